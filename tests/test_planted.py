"""The generated laws find what is wrong: ops and rules that are right but for one thing, planted in a scratch registry.

Each op comes with its right twin, which must pass: a law that rejects everything would find all of these too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from codegen.kernel import KernelError
from symgraph import expression, formula
from symgraph.errors import GradientError
from symgraph.expression import cast, select
from symgraph.formula import Combiner, compute
from symgraph.kinds import Reduction, elementwise, structured
from symgraph.op import OPS, scratch_registry
from symgraph.pattern import Pattern, exp, softmax
from symgraph.pattern import sum as sum_
from symgraph.rewrite import RULES, RewriteError, rewrite, rule, scratch_rules
from symgraph.types import TensorType
from tests import laws, rule_law, test_laws
from tests.cases import Case

Declare = Callable[[bool], Case]


@pytest.fixture(autouse=True)
def scratch() -> Iterator[None]:
    with scratch_registry(), scratch_rules():
        yield


def floats(low: float, high: float, *special: float) -> Any:
    """A matrix with some special values in it."""

    def draw(random: np.random.Generator, dtype: str) -> list[np.ndarray]:
        x = random.uniform(low, high, (5, 19))
        x.flat[: len(special)] = special
        return [x.astype(dtype)]

    return draw


# ------------------------------------------------------------------------------------------------ ops


def wrong_value(right: bool) -> Case:
    @elementwise(name="planted")
    def op(x: Any) -> Any:
        return expression.exp(x) * (1 if right else 1.0001)

    return Case(op, floats(-3, 3), np.exp, (0,))


def wrong_body_beside_a_right_reference(right: bool) -> Case:
    @elementwise(name="planted", reference=np.exp)
    def op(x: Any) -> Any:
        return expression.exp(x) * (1 if right else 1.0001)

    return Case(op, floats(-3, 3), np.exp, (0,))


def digits_lost(right: bool) -> Case:
    @elementwise(name="planted")
    def op(x: Any) -> Any:
        return expression.log1p(x) if right else expression.log(1 + x)

    return Case(op, floats(-1e-3, 1e-3), lambda x: np.log1p(x.astype("longdouble")), (0,))


def nan_swallowed(right: bool) -> Case:
    @elementwise(name="planted", grad=lambda g, x, y: [sg.switch(x > 0, g, 0)])
    def op(x: Any) -> Any:
        return expression.maximum(x, 0) if right else select(x > 0, x, 0)

    return Case(op, floats(-3, 3, np.nan, np.inf, -np.inf), lambda x: np.maximum(x, 0))


def wrong_gradient(right: bool) -> Case:
    @elementwise(name="planted", grad=lambda g, x, y: [g * ((3 if right else 2) * (x * x))])
    def op(x: Any) -> Any:
        return x * x * x

    return Case(op, floats(-2, 2), lambda x: x**3, (0,), 8.0)


def wrong_second_gradient(right: bool) -> Case:
    def grad(g: Any, x: Any, y: Any) -> list[Any]:
        slope = 3 * (x * x)
        return [g * (slope if right else sg.zero_grad(slope))]

    @elementwise(name="planted", grad=grad)
    def op(x: Any) -> Any:
        return x * x * x

    return Case(op, floats(-2, 2), lambda x: x**3, (0,), 8.0)


def wrong_dtype(right: bool) -> Case:
    @elementwise(name="planted")
    def op(x: Any) -> Any:
        return expression.sqrt(x if right else cast(x, "float64"))

    return Case(op, floats(0, 3), np.sqrt)


def wrong_dtype_of_a_comparison(right: bool) -> Case:
    @elementwise(name="planted", reference=lambda x: x > 0)
    def op(x: Any) -> Any:
        return x > 0 if right else cast(x > 0, x.dtype)

    return Case(op, floats(-3, 3), lambda x: x > 0)


def wrong_index(right: bool) -> Case:
    @structured(name="planted", infer=lambda x: x.type, reference=lambda x: x[:, ::-1], grad=lambda g, x, y: [op(g)])
    def op(x: Any) -> Any:
        return compute(x.shape, lambda i, j: x[i, x.shape[1] - 1 - j] if right else x[i, (x.shape[1] - j) % x.shape[1]])

    return Case(op, floats(-3, 3), lambda x: x[:, ::-1], (0,))


def wrong_shape(right: bool) -> Case:
    def infer(x: Any) -> TensorType:
        m, n = x.type.shape
        return TensorType(x.dtype, (n, m) if right else (m, n))

    @structured(name="planted", infer=infer, reference=np.transpose, grad=lambda g, x, y: [op(g)])
    def op(x: Any) -> Any:
        return compute(x.shape[::-1], lambda i, j: x[j, i])

    return Case(op, floats(-3, 3), np.transpose, (0,))


def wrong_identity(right: bool) -> Case:
    def least(dtypes: Any) -> tuple[Any]:
        return (formula.lowest(dtypes[0]) if right else expression.const(0, dtypes[0]),)

    combiner = Combiner("planted", least, formula.MAX.merge, formula.MAX.step)
    Reduction("planted", combiner, reference=np.max).register()
    return Case(lambda x: OPS["planted"](x, axis=1), floats(-3, -1), lambda x: x.max(1))


def wrong_merge(right: bool) -> Case:
    """A combiner that adds elements as it should, and forgets all but one lane."""
    add = formula.SUM
    combiner = Combiner("planted", add.identity, add.merge if right else lambda a, b: a, add.step)
    Reduction("planted", combiner, reference=np.sum).register()
    return Case(lambda x: OPS["planted"](x, axis=1), floats(1, 3), lambda x: x.astype("longdouble").sum(1), ulp=64.0)


def values(case: Case) -> None:
    for dtype in ("float32", "float64"):
        laws.check_value(case, 0, dtype)


def compiled(case: Case) -> None:
    for dtype in ("float32", "float64"):
        laws.check_compiled(case, 0, dtype)


def gradients(case: Case) -> None:
    laws.check_gradient(case, 0)


def dtypes(case: Case) -> None:
    for dtype in ("float32", "float64"):
        laws.check_dtype(case, 0, dtype)


PLANTED = [
    (wrong_value, values), (wrong_value, compiled), (wrong_body_beside_a_right_reference, compiled),
    (digits_lost, values), (digits_lost, compiled), (nan_swallowed, values), (nan_swallowed, compiled),
    (wrong_gradient, gradients), (wrong_second_gradient, gradients), (wrong_dtype, dtypes),
    (wrong_dtype_of_a_comparison, dtypes), (wrong_index, compiled), (wrong_shape, compiled),
    (wrong_identity, compiled), (wrong_merge, compiled),
]  # fmt: skip


@pytest.mark.parametrize(("declare", "law"), PLANTED)
def test_a_law_finds_out_a_wrong_op(declare: Declare, law: Callable[[Case], None]) -> None:
    case = declare(False)
    with pytest.raises((AssertionError, KernelError)):
        law(case)


@pytest.mark.parametrize("declare", dict.fromkeys(d for d, _ in PLANTED))
def test_the_laws_accept_its_right_twin(declare: Declare) -> None:
    case = declare(True)
    for law in (values, compiled, gradients, dtypes):
        law(case)


def test_a_formula_that_reads_beyond_its_operand_is_found_out() -> None:
    @structured(name="planted", infer=lambda x: x.type, reference=lambda x: x)
    def op(x: Any) -> Any:
        return compute(x.shape, lambda i, j: x[i, j + 1])

    with pytest.raises(KernelError, match="outside"):
        compiled(Case(op, floats(-3, 3), lambda x: x))


def test_a_kink_without_a_gradient_of_its_own_is_an_error() -> None:
    @elementwise(name="planted")
    def op(x: Any) -> Any:
        return 2 * expression.absolute(x)

    with pytest.raises(GradientError, match="kink"):
        gradients(Case(op, floats(-3, 3), lambda x: 2 * np.abs(x), (0,)))


def test_an_op_without_a_case_is_found_out() -> None:
    test_laws.test_every_op_has_a_case()
    elementwise(name="planted")(lambda x: x)
    with pytest.raises(AssertionError):
        test_laws.test_every_op_has_a_case()


# ------------------------------------------------------------------------------------------------ rules


def keepdims_dropped(x: Pattern, axis: Pattern) -> Any:
    """On a square matrix the sums of rows are taken for those of columns."""
    e = exp(x)
    return e / sum_(e, axis=axis, keepdims=False), softmax(x, axis=axis)


def nan_lost(x: Pattern) -> Any:
    """x - x is 0, but for infinities and NaNs."""
    return x - x, Pattern("switch", Pattern("isnan", x), 0.0, 0 * x)


def infinity_lost(x: Pattern) -> Any:
    """exp(x) is (1 + x + x²/2)², about, and finite where it is not."""
    return exp(x), Pattern("sqr", 1 + x / 2)


@pytest.mark.parametrize("wrong", [keepdims_dropped, nan_lost, infinity_lost])
@pytest.mark.parametrize("phase", ["canonicalize", "stabilize"])
def test_the_law_of_rules_finds_out_a_wrong_rule(wrong: Any, phase: str) -> None:
    rule(phase)(wrong)
    planted = RULES[wrong.__name__]
    with pytest.raises(AssertionError):
        rule_law.check_types(planted, "float64")
        for seed in range(4):
            rule_law.check_values(planted, seed, "float64")
            rule_law.check_special(planted, seed, "float64")


def test_the_laws_of_ops_find_out_a_rule_that_changes_them() -> None:
    case = Case(sg.exp, floats(-3, 3), np.exp, (0,))
    compiled(case)
    rule("stabilize")(infinity_lost)
    with pytest.raises(AssertionError):
        compiled(case)


def test_a_rule_that_changes_a_type_is_an_error_where_it_is_used() -> None:
    @rule("canonicalize")
    def planted(x: Pattern) -> Any:
        """Not the type of what it replaces."""
        return exp(x), Pattern("isnan", x)

    with pytest.raises(RewriteError, match="planted makes bool"):
        rewrite([sg.exp(sg.dvector("x"))])


def test_rules_that_undo_each_other_are_an_error() -> None:
    @rule("specialize")
    def there(x: Pattern) -> Any:
        """One way."""
        return exp(x), Pattern("exp2", x)

    @rule("specialize")
    def back(x: Pattern) -> Any:
        """And back."""
        return Pattern("exp2", x), exp(x)

    with pytest.raises(RewriteError, match="circles"):
        rewrite([sg.exp(sg.dvector("x"))], ("specialize",))

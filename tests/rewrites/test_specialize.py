"""Specialize: as accurate and cheaper. (The pairs are tested by the law.)"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgraph as sg
import symgraph.rewrites
from symgraph.graph import toposort
from symgraph.reference import evaluate
from symgraph.rewrite import rewrite
from tests.laws import same_bits

assert symgraph.rewrites


@pytest.mark.parametrize(
    ("power", "ops"), [(2, {"sqr"}), (3, {"sqr", "mul"}), (4, {"sqr"}), (-1, {"true_div"}), (1, set())]
)
def test_small_integer_powers_are_products(power: int, ops: set[str]) -> None:
    x = sg.vector("x")
    assert {n.op.name for n in toposort(rewrite([x ** float(power)]))} == ops


def test_a_root_is_one_only_where_nothing_is_negative() -> None:
    x = sg.vector("x")
    for v in (sg.sqr(x) + 1e-6, sg.cosh(x), sg.mean(sg.sqr(x)), sg.sum(sg.abs(x), keepdims=True)):
        assert {"sqrt", "shifted_root"} & {n.op.name for n in toposort(rewrite([v**0.5]))}
    for v in (x, -sg.sqr(x), sg.sqr(x) - 1, sg.sqr(x) * -0.0):
        assert not {"sqrt", "shifted_root"} & {n.op.name for n in toposort(rewrite([v**0.5]))}
    (y,) = evaluate(rewrite([sg.exp(x) ** 0.5]), {x: np.array([-np.inf, 0.0, np.inf, np.nan])})
    assert same_bits(y, np.array([0, 1, np.inf, np.nan]))


@pytest.mark.parametrize("reduce", [sg.sum, sg.max, sg.argmin, sg.all])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_reduction_that_keeps_its_axis_is_the_one_that_does_not(reduce: Any, axis: int) -> None:
    x = sg.matrix("x")
    both = rewrite([reduce(x, axis, keepdims=True), reduce(x, axis)])
    assert [n.op.name for n in toposort(both)] == [reduce.__name__, "dimshuffle"]
    value = np.random.default_rng(0).normal(size=(3, 4))
    for y, z in zip(evaluate(both, {x: value}), both, strict=True):
        assert same_bits(y, np.asarray(getattr(np, reduce.__name__)(value, axis=axis)).reshape(y.shape))
        assert y.ndim == z.ndim


POOLS = [((2, 2), None, False), ((3, 2), (2, 1), True), ((2, 2), (1, 1), False)]


@pytest.mark.parametrize(("size", "stride", "ceil"), POOLS)
def test_a_bound_goes_behind_the_largest_and_its_gradient_asks_there(size: Any, stride: Any, ceil: bool) -> None:
    """Also with ties, NaN, infinities, and windows that have nothing above the bound."""
    x = sg.tensor("x", "float64", (2, 7, 6))
    y = sg.nn.max_pool2d(sg.maximum(x, 0.5), size, stride, ceil_mode=ceil)
    written = [y, sg.grad((y * y).sum(), x)]
    rewritten = rewrite(written)
    values = np.random.default_rng(1).choice([-np.inf, -1.0, 0.0, 0.5, 0.75, 2.0, np.inf], size=(2, 7, 6))
    for v in (values, np.where(values == 2.0, np.nan, values)):
        for found, expected in zip(evaluate(rewritten, {x: v}), evaluate(written, {x: v}), strict=True):
            np.testing.assert_array_equal(found, expected)
    bounded = [n for n in toposort(rewritten) if n.op.name == "maximum"]
    assert {n.outputs[0].type.shape for n in bounded} == {y.type.shape}
    (choice,) = [n for n in toposort(rewritten) if n.op.name == "max_pool_index"]
    assert choice.inputs[0] is x


FAST: dict[str, Any] = {
    "x * 0": (lambda x, y: x * 0 + y, lambda x, y: y), "0 * x": (lambda x, y: y - 0 * x, lambda x, y: y),
    "x - x": (lambda x, y: x - x, lambda x, y: 0 * y), "x / x": (lambda x, y: x / x, lambda x, y: 0 * y + 1),
    "x * y / x": (lambda x, y: x * y / x, lambda x, y: y),
    "-x / (y * x)": (lambda x, y: -x / (y * x), lambda x, y: -1 / y),
    "of another shape": (lambda x, y: x[:1] / x[:1] * y, lambda x, y: y),
}  # fmt: skip


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
@pytest.mark.parametrize("name", FAST)
def test_fast_math_takes_every_input_for_a_number(name: str, backend: str) -> None:
    formula, meant = FAST[name]
    x, y = (sg.vector(name, dtype="float64") for name in "xy")
    given = np.array([np.nan, np.inf, 0.0, 3.0]), np.array([1.0, -2.0, 3.0, 0.1])
    written = sg.function([x, y], formula(x, y), backend=backend, on_unused_input="ignore")
    assert np.isnan(written(*given)[0])
    with sg.using(fast_math=True):
        fast = sg.function([x, y], formula(x, y), backend=backend, on_unused_input="ignore")
        np.testing.assert_array_equal(fast(*given), meant(*given))


REPEATED: list[Callable[[Any, Any], Any]] = [
    lambda x, y: x * y * x / x, lambda x, y: x * y * x * y / (x * y), lambda x, y: x / (x * y * x),
    lambda x, y: x * y / (x * y * x * y), lambda x, y: -x * y * x / (y * x * y),
]  # fmt: skip


@pytest.mark.parametrize("formula", REPEATED)
def test_a_factor_below_the_line_takes_one_of_its_equals_with_it(formula: Callable[[Any, Any], Any]) -> None:
    """Of powers of two every product and ratio is exact."""
    x, y = sg.scalars("x y")
    with sg.using(fast_math=True):
        found = evaluate(rewrite([formula(x, y)]), {x: np.float32(2), y: np.float32(8)})
    assert found == [formula(2, 8)]

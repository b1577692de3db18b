"""The engine: what a pattern matches, how a phase runs, and what it never does."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgraph as sg
import symgraph.rewrites
from symgraph.graph import Variable, apply, toposort
from symgraph.match import Matcher, owner_of
from symgraph.op import OPS, Op, scratch_registry
from symgraph.pattern import Pattern, cos, cosh, exp, sin, sinh, sqrt, tan, tanh
from symgraph.pattern import sum as sum_
from symgraph.reference import evaluate
from symgraph.rewrite import (
    PHASES,
    RewriteError,
    Step,
    expand_composites,
    rewrite,
    rewriter,
    rule,
    scratch_rules,
)

assert symgraph.rewrites
VIEWS = Matcher(owner_of, views=True)


@pytest.fixture
def alone() -> Any:
    """A registry of which the test is the only user."""
    with scratch_rules(without=PHASES):
        yield


def ops(v: Variable) -> list[str]:
    """The ops below ``v``, inputs first."""
    return [node.op.name for node in toposort([v])]


def first(pattern: Any, v: Variable, views: bool = False) -> Any:
    """The first match, or None."""
    return next(Matcher(owner_of, views).match(pattern, v, {}), None)


# ------------------------------------------------------------------------------------------------ matching


def test_a_name_that_occurs_twice_binds_one_variable() -> None:
    x, y = sg.vectors("x y")
    a = Pattern(name="a")
    assert first(exp(a) / sum_(exp(a), axis=(0,), keepdims=True), sg.exp(x) / sg.sum(sg.exp(x), 0, keepdims=True))
    assert not first(exp(a) / sum_(exp(a), axis=(0,), keepdims=True), sg.exp(y) / sg.sum(sg.exp(x), 0, keepdims=True))


def test_an_attribute_must_be_the_same_wherever_it_occurs() -> None:
    x = sg.matrix("x")
    a, k = Pattern(name="a"), Pattern(name="k")
    pattern = sum_(a, axis=k, keepdims=True) * sum_(exp(a), axis=k, keepdims=True)
    for other, found in ((0, True), (1, False)):
        v = sg.sum(x, 0, keepdims=True) * sg.sum(sg.exp(x), other, keepdims=True)
        assert (first(pattern, v) is not None) == found


def test_a_commutative_op_matches_both_ways_and_others_do_not() -> None:
    x = sg.vector("x")
    a = Pattern(name="a")
    assert first(1 + exp(a), sg.exp(x) + 1) and first(1 + exp(a), 1 + sg.exp(x))
    assert first(1 - exp(a), 1 - sg.exp(x)) and not first(1 - exp(a), sg.exp(x) - 1)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "float16"])
def test_a_number_matches_a_constant_all_of_whose_elements_equal_it(dtype: str) -> None:
    x = sg.matrix("x", dtype=dtype)
    a = Pattern(name="a")
    assert first(a * 2, x * 2) and first(a * 2, x * np.full((3, 1), 2, dtype))
    assert not first(a * 2, x * np.asarray([2, 3], dtype)) and not first(a * 2, x * 3)


def test_minus_zero_is_not_zero() -> None:
    x = sg.vector("x")
    a = Pattern(name="a")
    assert first(a + 0.0, x + 0.0) and not first(a + 0.0, x + -0.0) and not first(a + -0.0, x + 0.0)


def test_a_negation_is_seen_in_every_way_to_write_it() -> None:
    x, y = sg.vectors("x y")
    a = Pattern(name="a")
    for v, bound in ((-x, x), (x - y, y - x), (x, -x)):
        assert first(exp(-a), sg.exp(v), views=True)["a"] is bound


def test_an_op_is_seen_through_the_dimshuffle_that_broadcasts_it() -> None:
    x, y = sg.matrix("x"), sg.vector("y")
    a, b = Pattern(name="a"), Pattern(name="b")
    env = first(exp(a) + exp(b), sg.exp(x) + sg.exp(y), views=True)
    assert env["b"].ndim == 2 and env["b"].owner.inputs == (y,)
    assert not first(exp(a) + exp(b), sg.exp(x) + sg.exp(y))


def test_a_float16_sum_is_one_sum() -> None:
    x = sg.matrix("x", dtype="float16")
    a = Pattern(name="a")
    assert first(sum_(a, axis=(1,), keepdims=False), sg.sum(x, axis=1), views=True)["a"] is x


# ------------------------------------------------------------------------------------------------ the driver


def test_rewriting_goes_on_to_the_fixpoint(alone: None) -> None:
    @rule("canonicalize")
    def one(x: Pattern) -> Any:
        return sin(x), cos(x)

    @rule("canonicalize")
    def two(x: Pattern) -> Any:
        return cos(x), tan(x)

    x = sg.vector("x")
    (y,) = rewrite([sg.exp(sg.sin(sg.sin(x)))])
    assert ops(y) == ["tan", "tan", "exp"]


def test_phases_run_in_the_order_given_and_stabilize_tidies_up_after_itself(alone: None) -> None:
    @rule("canonicalize")
    def tidy(x: Pattern) -> Any:
        return cosh(x), x

    @rule("stabilize")
    def make(x: Pattern) -> Any:
        return sinh(x), cosh(tanh(x))

    x = sg.vector("x")
    trace: list[Step] = []
    (y,) = rewrite([sg.sinh(x)], trace=trace)
    assert ops(y) == ["tanh"] and [s.rule for s in trace] == ["make", "tidy"]
    assert rewrite([sg.sinh(x)], ("canonicalize",)) == [sg.sinh(x)]


def test_every_step_is_traced_with_the_line_the_user_wrote() -> None:
    x = sg.matrix("x", dtype="float32")
    y = sg.log(1 + sg.exp(x))  # the line
    for _ in range(2):  # what is kept from the first run is not left out of the second
        trace: list[Step] = []
        rewrite([y * 2], trace=trace)
        assert [(s.phase, s.rule) for s in trace] == [("stabilize", "log1p_from_log"), ("stabilize", "log1p_of_exp")]
        assert all(s.origin is not None and s.origin.file == __file__ for s in trace)
        assert "# the line" in trace[0].origin.excerpt()[0]  # type: ignore[union-attr]
        assert trace[0].before is y and trace[-1].after.owner.op.name == "softplus"


def test_what_a_rule_makes_has_the_origin_of_what_it_replaces() -> None:
    x = sg.matrix("x")
    y = sg.log(sg.exp(x).sum(axis=1))
    (z,) = rewrite([y + 1])
    assert z.owner is not None and z.owner.inputs[0].origin == y.origin


def test_leaves_are_neither_looked_through_nor_replaced() -> None:
    x = sg.vector("x")
    e = sg.exp(x)
    y = sg.log(e) + sg.log(e)
    assert ops(rewrite([y])[0]) == ["add"]
    (kept,) = rewrite([y], leaves=[e])
    assert ops(kept) == ["exp", "log", "add"] and e in {v for n in toposort([kept]) for v in n.inputs}
    assert ops(rewrite([y])[0]) == ["add"], "a run with leaves leaves no mark on a run without"
    assert rewrite([e], leaves=[e]) == [e]


def test_a_rewriter_may_replace_several_outputs(alone: None) -> None:
    class Both(Op):
        """x and -x."""

        name = "both"

        def infer(self, inputs: Any, attrs: Any) -> Any:
            return [inputs[0].type] * 2

    @rewriter("canonicalize", "both")
    def each(node: Any, owner: Any) -> Any:
        return [node.inputs[0], -node.inputs[0]]

    x = sg.vector("x")
    a, b = apply(Both(), [sg.sin(x)]).outputs
    assert rewrite([b, a * b]) == [-sg.sin(x), sg.sin(x) * -sg.sin(x)]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_types_are_kept(dtype: str) -> None:
    x = sg.matrix("x", dtype=dtype)
    e = sg.exp(x)
    for y in (e / e.sum(axis=1)[:, None], sg.log(e.sum(axis=0)), 1 / (1 + sg.exp(-x)), sg.log(1 + e), e - 1):
        (z,) = rewrite([y])
        assert z.type == y.type and z is not y


def test_a_replacement_that_forgets_a_stretch_is_not_made() -> None:
    """x * 1 is x only where the ones do not stretch it."""
    x = sg.tensor("x", "float64", shape=(1, 3))
    y = x * np.ones((4, 1))
    (z,) = rewrite([y])
    assert z.type == y.type
    value = np.arange(3.0)[None]
    assert (evaluate([z], {x: value})[0] == value * np.ones((4, 1))).all()


def test_a_rule_that_changes_the_dtype_is_an_error(alone: None) -> None:
    @rewriter("canonicalize", "exp")
    def narrowed(node: Any, owner: Any) -> Any:
        return node.outputs[0].astype("float32")

    with pytest.raises(RewriteError, match="narrowed"):
        rewrite([sg.exp(sg.vector("x", dtype="float64"))])


def test_a_pair_that_changes_the_rank_is_an_error(alone: None) -> None:
    @rule("canonicalize")
    def flattened(x: Pattern, axis: Pattern) -> Any:
        return sum_(x, axis=axis, keepdims=True), sum_(x, axis=axis, keepdims=False)

    with pytest.raises(RewriteError, match="flattened"):
        rewrite([sg.sum(sg.matrix("x"), axis=0, keepdims=True)])


@pytest.mark.parametrize("grows", [False, True])
def test_rules_that_go_in_circles_are_found_out_by_name(alone: None, grows: bool) -> None:
    @rule("canonicalize")
    def forth(x: Pattern) -> Any:
        return sin(x), cos(sqrt(x)) if grows else cos(x)

    @rule("canonicalize")
    def back(x: Pattern) -> Any:
        return cos(x), sin(x)

    with pytest.raises(RewriteError, match=r"forth \(\d+ times\), back|back \(\d+ times\), forth"):
        rewrite([sg.sin(sg.vector("x"))])


def test_a_left_side_must_be_an_op() -> None:
    with scratch_rules(), pytest.raises(RewriteError, match="everything"):

        @rule("canonicalize")
        def everything(x: Pattern) -> Any:
            return x, -x


def test_a_users_rule_is_used_and_forgotten_with_its_registry() -> None:
    x = sg.vector("x")
    y = sg.tan(x)
    with scratch_rules():

        @rule("specialize")
        def mine(x: Pattern) -> Any:
            """tan as a ratio."""
            return tan(x), sin(x) / cos(x)

        assert ops(rewrite([y])[0]) == ["sin", "cos", "true_div"]
    assert rewrite([y]) == [y]


def test_a_users_own_op_can_stand_in_a_rule() -> None:
    with scratch_registry(), scratch_rules():

        @sg.elementwise(reference=lambda x: x * 3)
        def thrice(x: Any) -> Any:
            """3 * x."""
            return 3 * x

        @rule("canonicalize")
        def shorter(x: Pattern) -> Any:
            return 3 * x, thrice(x)

        assert ops(rewrite([sg.vector("x") * 3])[0]) == ["thrice"]


# ------------------------------------------------------------------------------------------------ cost


def calls_in(work: Callable[[], object]) -> int:
    """How many functions ``work`` calls, of Python and of C: a measure of time that is the same on every run."""
    count = 0

    def tick(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(tick)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def test_a_chain_of_thousands_of_ops_is_rewritten_in_linear_time() -> None:
    def chain(n: int) -> Variable:
        x = y = sg.vector("x")
        for k in range(n):
            y = (y + x) * 1 if k % 2 else y * x / 3
        return y

    short, long = chain(300), chain(3000)
    spent = [calls_in(lambda y=y: rewrite([y])) for y in (chain(10), short, long)]
    assert len(toposort(rewrite([long]))) < len(toposort([long]))
    assert spent[2] < 11 * spent[1], "ten times the ops"


def test_a_diamond_is_rewritten_by_its_nodes_not_by_its_paths() -> None:
    """Of 2**60 paths; walking them would not end."""
    y = sg.vector("x")
    for _ in range(60):
        y = (y * y + y) * 1
    (z,) = rewrite([y])
    assert len(toposort([z])) == 2 * 60


def test_a_graph_rewritten_before_costs_nothing_again() -> None:
    x = y = sg.vector("x")
    for _ in range(2000):
        y = sg.tanh(y + x)
    found: list[list[Variable]] = []
    once, again = (calls_in(lambda: found.append(rewrite([y]))) for _ in range(2))
    assert found[0] == found[1] and again < once / 10


def test_what_is_kept_does_not_keep_the_graph_alive() -> None:
    x = sg.vector("x")
    y = sg.log(1 + sg.exp(x)) * 1
    rewrite([y])
    gone = weakref.ref(y.owner)
    del y
    gc.collect()
    assert gone() is None


def test_declaring_a_rule_looks_up_no_op() -> None:
    """So that importing the rules costs next to nothing, and needs no order."""
    with scratch_rules():

        @rule("canonicalize")
        def early(x: Pattern) -> Any:
            return Pattern("an_op_to_come", x), x

        assert rewrite([sg.sin(sg.vector("x"))]) and "an_op_to_come" not in OPS


# ------------------------------------------------------------------------------------------------ products


def test_a_pattern_takes_its_factors_out_of_a_longer_product() -> None:
    x, y = sg.matrix("x"), sg.matrix("y")
    e, s = sg.exp(x), sg.exp(x).sum(axis=1, keepdims=True)
    p = sg.nn.softmax(x, axis=1)
    spellings = {
        "after": (y * e / s, y * p), "before": (e * y / s, y * p), "inverse": (e * (1 / s), p),
        "inverse after": (1 / s * e, p), "below": (e / (s * y), p / y), "twice below": (e / y / s, p / y),
        "negated": (-e / s, -p), "all": (-y * e * 2 / s / 3, -(y * 2 * p / 3)), "power": (y / (s / e), y * p),
    }  # fmt: skip
    for name, (written, wanted) in spellings.items():
        assert rewrite([written], ("canonicalize", "stabilize"))[0] is rewrite([wanted])[0], name


def test_sums_are_not_regrouped() -> None:
    """(t + m) + log(sum(exp(x - m))) is right where t is -m; putting m back first loses it."""
    x, t = sg.vector("x"), sg.scalar("t")
    m = sg.max(x, axis=0)
    y = (t + m) + sg.log(sg.sum(sg.exp(x - m), axis=0))
    values = {x: np.array([1e16, 1e16]), t: np.array(-1e16)}
    assert evaluate(expand_composites(rewrite([y])), values)[0] == np.log(2)


def test_composites_are_expanded_all_the_way() -> None:
    x = sg.matrix("x")
    (y,) = expand_composites([sg.nn.log_softmax(sg.nn.softmax(x))])
    assert toposort([y]) and all(n.op.expand(n) is None for n in toposort([y]))

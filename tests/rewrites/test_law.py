"""Every rule that is a pair keeps the law of rules; wrong rules are found out by it."""

from typing import Any

import pytest

import symgraph.rewrites
from symgraph.op import OPS
from symgraph.pattern import Pattern, exp, log, log1p, maximum, softmax, walk
from symgraph.pattern import abs as absolute
from symgraph.pattern import max as max_
from symgraph.pattern import sum as sum_
from symgraph.rewrite import RULES, rewrite, rule, scratch_rules
from tests import rule_law

assert symgraph.rewrites
PAIRS = {name: r for name, r in RULES.items() if r.left is not None}
DIFFERENTIABLE = {n: r for n, r in PAIRS.items() if r.phase == "stabilize"}
DTYPES = ("float32", "float64")
VALUES = {"float32": [0], "float64": [1, 2]}
SPECIALS = {"float32": [0, 1], "float64": [2, 3]}
"""The draws of the quick laws."""


@pytest.mark.parametrize("name", PAIRS)
def test_a_rule_names_ops_that_exist(name: str) -> None:
    sides = (PAIRS[name].left, PAIRS[name].right)
    assert {p.op for side in sides for p in walk(side) if p.op} <= OPS.keys()


@pytest.mark.parametrize("name", RULES)
def test_a_rule_says_what_it_repairs(name: str) -> None:
    assert RULES[name].doc.endswith(".")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PAIRS)
def test_a_rule_keeps_the_type(name: str, dtype: str) -> None:
    rule_law.check_types(PAIRS[name], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PAIRS)
def test_a_rule_is_never_further_from_the_answer(name: str, dtype: str) -> None:
    for seed in VALUES[dtype]:
        rule_law.check_values(PAIRS[name], seed, dtype)


@pytest.mark.deep
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PAIRS)
def test_a_rule_is_never_further_from_the_answer_on_many_draws(name: str, dtype: str) -> None:
    for seed in set(range(40)) - set(VALUES[dtype]):
        rule_law.check_values(PAIRS[name], seed, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PAIRS)
def test_a_rule_keeps_infinities_and_nans(name: str, dtype: str) -> None:
    for seed in SPECIALS[dtype]:
        rule_law.check_special(PAIRS[name], seed, dtype)


@pytest.mark.deep
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PAIRS)
def test_a_rule_keeps_infinities_and_nans_on_many_draws(name: str, dtype: str) -> None:
    for seed in set(range(4)) - set(SPECIALS[dtype]):
        rule_law.check_special(PAIRS[name], seed, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [n for n, r in PAIRS.items() if "axis" in rule_law.free_attributes(r)])
def test_a_rule_keeps_what_nothing_gives(name: str, dtype: str) -> None:
    rule_law.check_empty(PAIRS[name], dtype)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_a_rule_keeps_the_gradient(name: str) -> None:
    rule_law.check_gradient(DIFFERENTIABLE[name], 0, "float64")


@pytest.mark.deep
@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_a_rule_keeps_the_gradient_on_many_draws(name: str) -> None:
    for seed in range(1, 3):
        rule_law.check_gradient(DIFFERENTIABLE[name], seed, "float64")


@pytest.mark.parametrize("name", PAIRS)
def test_a_rule_finds_its_own_left_side(name: str) -> None:
    """Its left side is in the form in which the phase meets it, and gone when the phase is done."""
    for i in rule_law.instances(PAIRS[name], "float64"):
        phases = ("canonicalize", "stabilize", "specialize")
        steps: list[Any] = []
        (done,) = rewrite([i.left], phases[: phases.index(PAIRS[name].phase) + 1], trace=steps)
        assert steps and done is not i.left


# ------------------------------------------------------------------------------------------------ wrong rules


def keepdims_dropped(x: Pattern, axis: Pattern) -> Any:
    """Takes the sum without keepdims too: on a square matrix the axes are confused."""
    e = exp(x)
    return e / sum_(e, axis=axis, keepdims=False), softmax(x, axis=axis)


def nan_lost(x: Pattern) -> Any:
    """x / x is not 1 for a NaN."""
    return x / x, 1 - 0 * absolute(absolute(x) * 0)


def zero_times(x: Pattern) -> Any:
    """x * 0 is not 0 for an infinity."""
    return (x * 0) * x, x * 0


def nan_hidden(x: Pattern) -> Any:
    """exp(log(x)) is a NaN for negative x."""
    return exp(log(x)), x


def sign_lost(x: Pattern) -> Any:
    """x + 0 is 0 for -0."""
    return x + 0.0, x


def finite_answer_lost(x: Pattern) -> Any:
    """The wrong way round: exp overflows."""
    return softmax(x, axis=(0,)), exp(x) / sum_(exp(x), axis=(0,), keepdims=True)


def digits_lost(x: Pattern) -> Any:
    """The wrong way round: 1 + x rounds."""
    return log1p(x), log(1 + x)


def axis_forgotten(x: Pattern, axis: Pattern) -> Any:
    """The type changes."""
    return max_(x, axis=axis, keepdims=True), x


def gradient_changed(x: Pattern) -> Any:
    """The same value off the kink by another branch, but no gradient."""
    return maximum(x, 0) + 0 * x, abs_of_sign(x)


def abs_of_sign(x: Pattern) -> Any:
    from symgraph.pattern import zero_grad

    return maximum(zero_grad(x), 0) + 0 * x


def laws(r: Any, dtype: str) -> None:
    """Everything a rule is tested for."""
    rule_law.check_types(r, dtype)
    for seed in range(3):
        rule_law.check_values(r, seed, dtype)
        rule_law.check_special(r, seed, dtype)
        rule_law.check_gradient(r, seed, "float64")


@pytest.mark.parametrize(
    ("phase", "wrong"),
    [
        ("stabilize", keepdims_dropped), ("stabilize", nan_lost), ("canonicalize", zero_times),
        ("stabilize", nan_hidden), ("canonicalize", sign_lost), ("stabilize", finite_answer_lost),
        ("stabilize", digits_lost), ("canonicalize", axis_forgotten), ("stabilize", gradient_changed),
    ],
)  # fmt: skip
def test_the_law_finds_out_a_wrong_rule(phase: str, wrong: Any) -> None:
    with scratch_rules():
        rule(phase)(wrong)
        with pytest.raises(AssertionError):
            for dtype in DTYPES:
                laws(RULES[wrong.__name__], dtype)


def test_the_law_accepts_the_right_ones() -> None:
    for name in ("softmax_from_ratio", "log1p_from_log", "times_one"):
        laws(RULES[name], "float32")

"""Stabilize: differences that cancel though what makes them is plain to see (see ``stabilize`` for the law).

Two values of one function are close where their places are: x + 1 and x, x + 2 and x - 1. A root is close to a part of
it: sqrt(x² + 1) and x, or sqrt(b² - 4*a*c) and b in the roots of a quadratic equation.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from symgraph.graph import Apply, Constant, Variable, apply, constant
from symgraph.match import Factor, Owner, factors, make, multiply, seen_through
from symgraph.pattern import (
    Pattern,
    arccosh,
    arcsinh,
    erf_gap,
    expm1,
    expm1_minus,
    expm1_over,
    log,
    log1p,
    log1p_minus,
    log_erf_gap,
    log_half_erf_gap,
    log_sigmoid_gap,
    root_gap,
    sigmoid_gap,
    sin,
    sin_over,
    sinh,
    sinh_over,
)
from symgraph.rewrite import repaired, rewriter, rule
from symgraph.rewrites.signs import is_nonnegative
from symgraph.rewrites.squares import as_written
from symgraph.rewrites.views import bare
from symgraph.types import is_float

Pair = tuple[Any, Any]

# ------------------------------------------------------------------------------------------------ two places


@dataclass(frozen=True)
class _Place:
    """scale * f(value), where ``f`` is "sqrt", "log", "arctan", "sin", "cos", "sigmoid", "erf" or "inverse"."""

    f: str
    scale: float
    value: Variable


@rewriter("stabilize", "sub")
def difference_of_close_values(node: Apply, owner: Owner) -> Variable | None:
    """sqrt(x + 1) - sqrt(x), log(x + 1) - log(x) and 1/x - 1/(x + 1) cancel for large x; written by the distance of the
    two places they do not."""
    y, x = (_place(v, owner) for v in node.inputs)
    if x is None or y is None or (x.f, x.scale) != (y.f, y.scale):
        return None
    step = _step(x, y, owner)
    step = _step_of_inverses(x, y, owner) if step is None else step
    step = _gap_of_places(x, y, owner) if step is None else step
    return step if step is not None and step.type == node.outputs[0].type else None


def _step_of_inverses(x: _Place, y: _Place, owner: Owner) -> Variable | None:
    """a/f - a/g where g - f is such a difference: 1/sqrt(x) - 1/sqrt(x + 1)."""
    low, high = _place(x.value, owner), _place(y.value, owner)
    if x.f != "inverse" or low is None or high is None or not low.f == high.f == "sqrt":
        return None
    step = _step(high, low, owner) if low.scale == high.scale == 1 else None
    return None if step is None else make("true_div", make("true_div", _scaled(step, x.scale), x.value), y.value)


def _gap_of_places(x: _Place, y: _Place, owner: Owner) -> Variable | None:
    """The difference of two values of a function that levels off, wherever the places are."""
    if x.f not in ("sigmoid", "erf"):
        return None
    if x.scale < 0:
        x, y = replace(y, scale=-y.scale), replace(x, scale=-x.scale)
    distance = _distance(x.value, y.value, owner)
    d = make("sub", y.value, x.value) if distance is None else make("identity_step", x.value, y.value, distance)
    return _scaled(make(f"{x.f}_gap", x.value, y.value, d), x.scale)


def _scaled(v: Variable, scale: float) -> Variable:
    return v if scale == 1 else make("mul", constant(scale, v.dtype), v)


def _step(x: _Place, y: _Place, owner: Owner) -> Variable | None:
    """The value at ``y`` minus that at ``x``."""
    distance = _distance(x.value, y.value, owner)
    if distance is None or x.f in ("sigmoid", "erf"):
        return None
    if x.f == "inverse":
        a, length = _fitted(Fraction(x.scale), distance.dtype), Fraction(float(distance.data))
        fits = a is not None and _fitted(Fraction(x.scale) * length, distance.dtype) is not None
        return make("inverse_step", x.value, y.value, distance, a) if fits else None
    if x.f in ("log", "arctan") and distance.data < 0:
        back = _step(y, x, owner)
        return None if back is None else make("neg", back)
    return _scaled(make(f"{x.f}_step", x.value, y.value, distance), x.scale)


@rewriter("stabilize", "log_product")
def log_of_quotient_of_close(node: Apply, owner: Owner) -> Variable | None:
    """(x + 1) / x is rounded beside 1 for large x, and its logarithm has lost its digits."""
    if node.attrs["below"] != (False, True):
        return None
    y, x = node.inputs
    distance = _distance(x, y, owner)
    return None if distance is None else make("log_quotient_step", x, y, distance)


@rewriter("stabilize", "sub")
def difference_of_sums(node: Apply, owner: Owner) -> Variable | None:
    """sum(log(x + 1)) - sum(log(x)) cancels where its terms do: each is a difference of close values."""
    part, other = (_summed(v, owner) for v in node.inputs)
    if part is None or other is None:
        return None
    (first, scales), (second, others) = part, other
    if first.attrs != second.attrs or not _are_same(scales, others):
        return None
    places = [_place(v, owner) for v in (first.inputs[0], second.inputs[0])]
    if places[0] is None or places[1] is None or _distance(places[0].value, places[1].value, owner) is None:
        return None
    found = difference_of_close_values(apply(node.op, [first.inputs[0], second.inputs[0]], {}), owner)
    if not isinstance(found, Variable):
        return None
    return multiply(apply(first.op, [found], first.attrs).outputs[0], False, scales)


def _summed(v: Variable, owner: Owner) -> tuple[Apply, list[Factor]] | None:
    """The sum that ``v`` is, and the scalars beside it, if it is a mean."""
    negative, given = factors(v, owner)
    made = [owner(f.value) for f in given]
    sums = [n for n in made if n is not None and n.op.name == "sum"]
    scales = [f for f, n in zip(given, made, strict=True) if n is None or n.op.name != "sum"]
    if negative or len(sums) != 1 or len(scales) > 1 or any(bare(f.value, owner).ndim for f in scales):
        return None
    return sums[0], scales


def _are_same(scales: list[Factor], others: list[Factor]) -> bool:
    if len(scales) != len(others):
        return False
    numbers = [(_number(f.value), _number(g.value)) for f, g in zip(scales, others, strict=True)]
    return all(
        f.below == g.below and (f.value is g.value or (a is not None and a == b))
        for f, g, (a, b) in zip(scales, others, numbers, strict=True)
    )


STEPS = ("identity", "sqrt", "log", "arctan", "sin", "cos", "log_quotient", "inverse")
"""Functions that have a difference of their own where the distance of the places is known."""


@rewriter("stabilize", *[f"{f}_step" for f in STEPS])
def step_of_unknown_length(node: Apply, owner: Owner) -> Variable | None:
    """Of two places a known distance apart one may be replaced, or held still while the other moves: then it is the
    difference of the values there, whatever these are."""
    x, y, d, *scale = node.inputs
    if _distance(x, y, owner) is d:
        return None
    if scale:
        return make("sub", make("true_div", *scale, y), make("true_div", *scale, x))
    f = node.op.name.removesuffix("_step")
    if f == "log_quotient":
        return make("log", make("true_div", y, x))
    return make("sub", make(f, y), make(f, x))


def _distance(x: Variable, y: Variable, owner: Owner) -> Constant | None:
    """y - x, if that is seen to be a number, one of their dtype, and not 0."""
    (base, start), (other, end) = _offset(x, owner), _offset(y, owner)
    return _fitted(end - start, x.dtype) if base is other else None


def _fitted(number: Fraction, dtype: str) -> Constant | None:
    """A number rounded to ``dtype``, if it stays one, and not 0."""
    if abs(number) > Fraction(float(np.finfo(dtype).max)):
        return None
    return constant(np.asarray(float(number), dtype)) if np.asarray(float(number), dtype) else None


def _place(v: Variable, owner: Owner) -> _Place | None:
    node = seen_through(v, owner)
    if node is None or not is_float(v.dtype):
        return None
    node = as_written(node)
    match node.op.name:
        case "sqrt" | "log" | "arctan" | "sin" | "cos" | "sigmoid" | "erf":
            return _Place(node.op.name, 1.0, node.inputs[0])
        case "erfc":
            return _Place("erf", -1.0, node.inputs[0])
        case "tanh":
            return _Place("sigmoid", 2.0, make("mul", 2, node.inputs[0]))
        case "log1p":
            value = make("add", 1, node.inputs[0])
            settled = value.owner is not None and repaired(value.owner, owner) is None
            return _Place("log", 1.0, value) if settled else None
        case "true_div":
            scale = _number(node.inputs[0])
            return None if scale is None else _Place("inverse", scale, node.inputs[1])
        case "mul":
            scale, value = next(((c, u) for u, v in _both_ways(node) if (c := _number(v)) is not None), (None, v))
            inner = None if scale is None else _place(value, owner)
            if scale is None or inner is None or not np.isfinite(scale * inner.scale):
                return None
            return replace(inner, scale=scale * inner.scale)
    return None


def _both_ways(node: Apply) -> tuple[tuple[Variable, Variable], tuple[Variable, Variable]]:
    """The two operands of a node, and swapped."""
    x, y = node.inputs
    return (x, y), (y, x)


def _offset(v: Variable, owner: Owner) -> tuple[Variable, Fraction]:
    """(u, c) where ``v`` is u + c, c a number."""
    node, at, sign = seen_through(v, owner), Fraction(0), 1
    while node is not None and node.op.name in ("add", "sub", "square_gap"):
        x, y = map(_square, node.inputs) if node.op.name == "square_gap" else node.inputs
        flip = 1 if node.op.name == "add" else -1
        if (number := _number(y)) is not None:
            v, at = x, at + sign * flip * Fraction(number)
        elif (number := _number(x)) is not None:
            v, at, sign = y, at + sign * Fraction(number), sign * flip
        else:
            break
        node = seen_through(v, owner)
    return v if sign > 0 else make("neg", v), at


def _square(v: Variable) -> Variable:
    return constant(np.square(v.data)) if isinstance(v, Constant) else make("sqr", v)


def _number(v: Variable) -> float | None:
    """The number that ``v`` is, if it is a constant scalar, finite and not 0."""
    if not isinstance(v, Constant) or v.ndim or not is_float(v.dtype) or not np.isfinite(v.data):
        return None
    return float(v.data) or None


def _is_gap(node: Apply) -> bool:
    """Whether a node is a difference by its distance, and no logarithm of one."""
    return node.op.name.endswith("_gap") and not node.op.name.startswith("log_") and len(node.inputs) == 3


@rewriter("stabilize", "neg")
def negated_gap(node: Apply, owner: Owner) -> Variable | None:
    """A difference turned round has a logarithm where the other has none."""
    negative, given = factors(node.outputs[0], owner)
    made = [owner(f.value) for f in given]
    at = [k for k, n in enumerate(made) if n is not None and _is_gap(n)]
    if not negative or len(at) != 1:
        return None
    gap = given[at[0]].value.owner
    assert gap is not None
    x, y, d = gap.inputs
    turned = Factor(make(gap.op.name, y, x, make("neg", d)), given[at[0]].below)
    rest = [turned if k == at[0] else f for k, f in enumerate(given)]
    return multiply(constant(np.ones((), x.dtype)), False, rest)


@rule("stabilize", d="distance")
def log_of_sigmoid_gap(x: Pattern, y: Pattern, d: Pattern) -> Pair:
    """The difference of two sigmoids underflows where both do; its logarithm is the sum of those of its factors."""
    return log(sigmoid_gap(x, y, d)), log_sigmoid_gap(x, y, d)


@rule("stabilize", d="distance")
def log_of_erf_gap(x: Pattern, y: Pattern, d: Pattern) -> Pair:
    """The difference of two values of erf underflows far out, where its logarithm is about -x*x."""
    return log(erf_gap(x, y, d)), log_erf_gap(x, y, d)


@rule("stabilize", d="distance")
def log_of_half_erf_gap(x: Pattern, y: Pattern, d: Pattern) -> Pair:
    """A probability of the normal distribution underflows far out, and is rounded to 1 around the mean."""
    return log(0.5 * erf_gap(x, y, d)), log_half_erf_gap(x, y, d)


# ------------------------------------------------------------------------------------------------ a root and its part


@rewriter("stabilize", "add", "sub")
def root_beside_its_part(node: Apply, owner: Owner) -> Variable | None:
    """sqrt(x² + y) - x and sqrt(1 + y) - 1 cancel where y is small; y over the sum of both does not. Of the roots of a
    quadratic equation it is one or the other that cancels."""
    signs = (1, -1 if node.op.name == "sub" else 1)
    first, second = (_unsigned(v, sign, owner) for v, sign in zip(node.inputs, signs, strict=True))
    for (sign, root), (other, x) in ((first, second), (second, first)):
        if sign == other and is_nonnegative(x, owner):
            continue  # two numbers of one sign: nothing cancels
        gap = _gap(root, x, sign != other, owner)
        if gap is not None and gap.type == node.outputs[0].type:
            return gap if sign > 0 else make("neg", gap)
    return None


def _unsigned(v: Variable, sign: int, owner: Owner) -> tuple[int, Variable]:
    node = owner(v)
    return (-sign, node.inputs[0]) if node is not None and node.op.name == "neg" else (sign, v)


def _gap(root: Variable, x: Variable, subtracted: bool, owner: Owner) -> Variable | None:
    """root - x, or else root + x, where the root is of x² and more."""
    node, part = seen_through(root, owner), x if subtracted else make("neg", x)
    if node is None:
        return None
    if node.op.name == "hypot":
        others = [u for u, v in _both_ways(node) if v is x]
        return make("hypot_gap", part, others[0]) if others else None
    if node.op.name == "shifted_root" and _is_square(node.inputs[1], x, owner):
        return make("hypot_gap", part, node.inputs[0])
    rest = _beside(node, x, owner)
    return None if rest is None else make("root_gap", part, rest)


def _beside(node: Apply, x: Variable, owner: Owner) -> Variable | None:
    """y where ``node`` is the root of x² + y."""
    match node.op.name:
        case "sqrt":
            return _beside_square(node.inputs[0], x, owner)
        case "shifted_root" if node.inputs[0] is x:
            return node.inputs[1]
        case "root_of_squares":
            *sides, number = node.inputs
            if x in sides:
                sides.remove(x)
                return functools.reduce(_plus_square, sides, number)
            if _is_square(number, x, owner):
                return functools.reduce(_plus_square, sides[1:], make("sqr", sides[0]))
    return None


def _plus_square(total: Variable, x: Variable) -> Variable:
    return make("add", total, make("sqr", x))


def _beside_square(v: Variable, x: Variable, owner: Owner) -> Variable | None:
    """y where ``v`` is x² + y."""
    node = seen_through(v, owner)
    if node is None or node.op.name not in ("add", "sub", "square_gap"):
        return None
    a, b = node.inputs
    if node.op.name == "square_gap":
        return make("neg", _square(b)) if _is_square(_square(a), x, owner) else None
    if _is_square(a, x, owner):
        return b if node.op.name == "add" else constant(-b.data) if isinstance(b, Constant) else make("neg", b)
    return a if node.op.name == "add" and _is_square(b, x, owner) else None


def _is_square(v: Variable, x: Variable, owner: Owner) -> bool:
    """Whether ``v`` is x²."""
    root, square = _number(x), _number(v)
    if root is not None and square is not None:
        return root * root == square
    node, made = seen_through(v, owner), seen_through(x, owner)
    inner = made.inputs[0] if made is not None and made.op.name == "abs" else x
    return node is not None and node.op.name == "sqr" and node.inputs[0] is inner


@rule("stabilize")
def arcsinh_from_log(x: Pattern) -> Pair:
    """x + sqrt(x² + 1) is near 1 for small x, and its logarithm has lost its digits; arcsinh keeps them."""
    return log(root_gap(-x, 1)), arcsinh(x)


@rule("stabilize", x="positive")
def arccosh_from_log(x: Pattern) -> Pair:
    """x + sqrt(x² - 1) is near 1 for x near 1, and its logarithm has lost its digits; arccosh keeps them."""
    return log(root_gap(-x, -1)), arccosh(x)


# ------------------------------------------------------------------------------------------------ over the argument


@rule("stabilize", x="positive")
def expm1_over_argument(x: Pattern) -> Pair:
    """The slope of (exp(x) - 1) / x is a difference of two that are nearly equal for small x; at 0 there is none."""
    return expm1(x) / x, expm1_over(x)


@rule("stabilize", x="positive")
def sinh_over_argument(x: Pattern) -> Pair:
    """The slope of sinh(x) / x is a difference of two that are nearly equal for small x; at 0 there is none."""
    return sinh(x) / x, sinh_over(x)


@rule("stabilize", x="positive")
def sine_over_argument(x: Pattern) -> Pair:
    """The slope of sin(x) / x is a difference of two that are nearly equal for small x; at 0 there is none."""
    return sin(x) / x, sin_over(x)


# ------------------------------------------------------------------------------------------------ beside the argument


@rule("stabilize")
def log1p_minus_argument(x: Pattern) -> Pair:
    """log(1 + x) - x is about -x²/2 for small x, and cancels there."""
    return log1p(x) - x, log1p_minus(x)


@rule("stabilize")
def expm1_minus_argument(x: Pattern) -> Pair:
    """exp(x) - 1 - x is about x²/2 for small x, and cancels there."""
    return expm1(x) - x, expm1_minus(x)

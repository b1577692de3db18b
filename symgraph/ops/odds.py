"""What is left of a softmax beside one element: its log odds, the logarithm of its complement; ratios of two softmaxes.

Rules alone make these ops (``symgraph.rewrites.odds``). Where one element dominates, the others are exponentials of
differences to the greatest of them: they do not underflow beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph import expression
from symgraph.coercion import convert
from symgraph.expression import Expr, const, select
from symgraph.graph import Variable
from symgraph.kinds import composite, elementwise
from symgraph.op import GradResult
from symgraph.ops.broadcast import sum_to
from symgraph.ops.cumulative import wide
from symgraph.ops.elementwise import add, and_, eq, gt, le, lt, mul, neg, sub, switch, true_div
from symgraph.ops.exponentials import (
    Axes,
    complement_op,
    exp_difference,
    exponentials,
    is_empty,
    log_softmax_grad,
    peak,
    rounded_difference,
    softmax_op,
)
from symgraph.ops.products import is_normal
from symgraph.ops.reduce import sum
from symgraph.ops.transcendental import exp, log1p, softplus

__all__: list[str] = []

# ------------------------------------------------------------------------------------------------ odds


def _without_dominant(x: Variable, axis: Axes) -> tuple[Variable, Variable, Variable, Variable]:
    """The greatest element, kept; where it alone is so great; ``x`` with -inf there; how many are as great as it."""
    best = peak(x, axis=axis)
    top = eq(x, best)
    ties = sum(top, axis, dtype=wide(x).dtype, keepdims=True)
    dominant = and_(top, eq(ties, 1))
    return best, dominant, switch(dominant, -np.inf, x), ties


def _log_odds_grad(g: Any, x: Any, y: Any, axis: Axes) -> GradResult:
    """By element j it is g_j, less g_k*p_j/(1 - p_k) of all others k. Of the dominant one 1 - p_k may vanish: there
    p_j/(1 - p_k) is q_j, the softmax of the others, and g_j - g_k*q_j is (g_j - g_k)*q_j + g_j*(1 - q_j)."""
    if is_empty(x, axis):
        return [mul(g, y)]
    _, dominant, lower, _ = _without_dominant(x, axis)
    from_dominant = sum(switch(dominant, g, 0), axis, keepdims=True)
    q, left = softmax_op(lower, axis=axis), complement_op(lower, axis=axis)
    terms = switch(dominant, 0, true_div(g, complement_op(x, axis=axis)))
    share = mul(softmax_op(x, axis=axis), sub(sum(terms, axis, keepdims=True), terms))
    return [sub(add(mul(sub(g, from_dominant), q), mul(g, left)), share)]


def _log_others_numpy(x: np.ndarray, axis: Axes) -> np.ndarray:
    """log(sum(exp(x))) of all others along ``axis``, for each element, in long double."""
    moved = np.moveaxis(x.astype("longdouble"), axis, range(len(axis)))
    rows = moved.reshape(-1, *moved.shape[len(axis) :])
    found = [np.logaddexp.reduce(np.delete(rows, k, 0), 0, initial=-np.inf) for k in range(len(rows))]
    return np.asarray(np.moveaxis(np.reshape(found, moved.shape), range(len(axis)), axis))


def _log_odds_numpy(x: np.ndarray, axis: Axes) -> np.ndarray:
    return np.asarray(x - _log_others_numpy(x, axis))


@composite(name="softmax_log_odds", grad=_log_odds_grad, reference=_log_odds_numpy)
def log_odds_op(x: Variable, axis: Axes) -> Variable:
    """log(p / (1 - p)) with p = softmax(x): x minus the logsumexp of all others."""
    if is_empty(x, axis):
        return exp(x)  # type: ignore[no-any-return]
    best, dominant, lower, ties = _without_dominant(x, axis)
    second = peak(lower, axis=axis)
    level = eq(lower, second)  # the next greatest: of those as great as the greatest, all but one
    beside = sub(sum(level, axis, dtype=ties.dtype, keepdims=True), gt(ties, 1))
    e, gap = exp_difference(wide(lower), wide(best)), exp_difference(wide(second), wide(best))
    least = sum(switch(lt(lower, second), e, 0), axis, keepdims=True)
    others = switch(level, add(mul(sub(beside, 1), gap), least), sub(add(mul(beside, gap), least), e))
    below = sub(sub(wide(x), wide(best)), log1p(others))
    rest = sum(switch(lt(lower, second), exp_difference(wide(lower), wide(second)), 0), axis, keepdims=True)
    above = sub(sub(wide(best), wide(second)), log1p(add(sub(beside, 1), rest)))
    return convert(switch(dominant, above, below), x.dtype)


def _log_complement_grad(g: Any, x: Any, y: Any, axis: Axes) -> GradResult:
    """The slope of -softplus is -p by the odds."""
    return _log_odds_grad(neg(mul(g, softmax_op(x, axis=axis))), x, y, axis)


def _log_complement_numpy(x: np.ndarray, axis: Axes) -> np.ndarray:
    return np.asarray(-np.logaddexp(0, _log_odds_numpy(x, axis)))


@composite(name="log_softmax_complement", grad=_log_complement_grad, reference=_log_complement_numpy)
def log_complement_op(x: Variable, axis: Axes) -> Variable:
    """log(1 - softmax(x)); of more than 1/2 by its odds, which do not underflow."""
    if is_empty(x, axis):
        return exp(x)  # type: ignore[no-any-return]
    p = softmax_op(x, axis=axis)
    return switch(le(p, 0.5), log1p(neg(p)), neg(softplus(log_odds_op(x, axis=axis))))  # type: ignore[no-any-return]


# ------------------------------------------------------------------------------------------------ ratio


def _gaps_grad(g: Any, x: Any, a: Any, y: Any, b: Any, scale: Any, out: Any) -> list[Any]:
    return [g * out, -(g * out), -(g * out), g * out, g * (out / scale)]


@elementwise(grad=_gaps_grad)
def exp_of_gaps(x: Any, a: Any, y: Any, b: Any, scale: Any) -> Any:
    """scale*exp((x - a) - (y - b)), with what the subtractions round off put back; where the exponential is out of
    range, by its two halves."""
    first, lost_first = rounded_difference(x, a)
    second, lost_second = rounded_difference(y, b)
    gap, lost = rounded_difference(first, second)
    whole, half = expression.exp(gap), expression.exp(0.5 * gap)
    product = expression.rare(~is_normal(whole), half * scale * half, scale * whole)
    return product * (1 + _small(lost + (lost_first - lost_second)))


def _small(lost: Expr) -> Expr:
    """``lost``, or 0 for 1 and more: of so large a difference the exponential is 0 or infinity."""
    return select(expression.absolute(lost) < 1, lost, const(0, lost.dtype))


def _ratio_grad(g: Any, x: Any, y: Any, out: Any, axis: Axes) -> GradResult:
    """Those of the logarithms, times the ratio; one that overflows spoils no other."""
    scaled = switch(eq(g, 0), 0, mul(g, out))
    (by_x,) = log_softmax_grad(sum_to(scaled, x), x, out, axis)
    (by_y,) = log_softmax_grad(sum_to(scaled, y), y, out, axis)
    return [by_x, neg(by_y)]


def _ratio_numpy(x: np.ndarray, y: np.ndarray, axis: Axes) -> np.ndarray:
    logs = [v - np.logaddexp.reduce(v, axis, keepdims=True) for v in (x.astype("longdouble"), y.astype("longdouble"))]
    return np.asarray(np.exp(logs[0] - logs[1]))


@composite(name="softmax_ratio", grad=_ratio_grad, reference=_ratio_numpy)
def ratio_op(x: Variable, y: Variable, axis: Axes) -> Variable:
    """softmax(x) / softmax(y), by the difference of their exponents: neither underflows beside its own maximum."""
    if is_empty(x, axis) or is_empty(y, axis):
        return exp(sub(x, y))  # type: ignore[no-any-return]
    tops = [wide(peak(v, axis=axis)) for v in (x, y)]
    totals = [exponentials(v, best, axis)[1] for v, best in zip((x, y), tops, strict=True)]
    return convert(exp_of_gaps(wide(x), tops[0], wide(y), tops[1], true_div(totals[1], totals[0])), x.dtype)

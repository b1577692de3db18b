"""logsumexp, softmax and log_softmax: exponentials of differences to the maximum, and their sums.

All three are exact to a few units in the last place for every finite input: the rounding of x - max(x) is made good
(a softmax without that is off by half a unit in the last place of x - max(x), 64 ulp at -100), and a logarithm of a sum
with the term 1 in it is log1p of the others.

References
----------
Blanchard, Higham, Higham (2021), "Accurately computing the log-sum-exp and softmax functions", IMA J. Numer. Anal.
Dekker (1971), "A floating-point technique for extending the available precision".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph import expression
from symgraph.coercion import convert, normalize_axis
from symgraph.expression import Expr, const, select
from symgraph.graph import Variable
from symgraph.kinds import composite, elementwise
from symgraph.op import GradResult, attach
from symgraph.ops.cumulative import wide
from symgraph.ops.elementwise import (
    add,
    and_,
    eq,
    gt,
    isinf,
    lt,
    minimum,
    mul,
    neg,
    sub,
    switch,
    true_div,
    zero_gradient,
)
from symgraph.ops.reduce import floating, kept, sum
from symgraph.ops.reduce import max as max_
from symgraph.ops.shape import permute
from symgraph.ops.transcendental import exp, log1p

__all__ = ["logsumexp"]

Axes = tuple[int, ...]


def _exact_exp(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """exp(x - y), the difference in a precision in which it is exact enough."""
    return np.asarray(np.exp(np.subtract(x, y, dtype="longdouble")))


def rounded_difference(x: Expr, y: Expr) -> tuple[Expr, Expr]:
    """x - y, and what its rounding lost."""
    d = x - y
    back = d - x
    return d, (x - (d - back)) - (y + back)


def mended_exp(d: Expr, lost: Expr) -> Expr:
    """1 + lost, by which exp(d) is mended; 1 where d is so large that this is 1 or more."""
    return 1 + select(expression.absolute(lost) < 1, lost, const(0, d.dtype))


@elementwise(grad=lambda g, x, y, out: [g * out, -(g * out)], reference=_exact_exp)
def exp_difference(x: Any, y: Any) -> Any:
    """exp(x - y), with what the subtraction rounds off put back; of so large a difference that this is 1 or more the
    exponential is 0 or infinity, and nothing is put back."""
    d, lost = rounded_difference(x, y)
    return expression.exp(d) * mended_exp(d, lost)


def is_empty(x: Variable, axis: Axes) -> bool:
    """Whether there is nothing along ``axis``."""
    return 0 in [x.type.shape[k] for k in axis]


def _peak_numpy(x: np.ndarray, axis: Axes) -> np.ndarray:
    best = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    return np.where(best == -np.inf, 0, np.minimum(best, np.finfo(x.dtype).max))


@composite(reference=_peak_numpy, grad=lambda g, x, y, axis: zero_gradient(g, x, y))
def peak(x: Variable, axis: Axes) -> Variable:
    """The maximum, kept; 0 for -inf or of nothing, the largest number for inf, beside which all others are nothing.

    It is taken out and put back, so that nothing depends on it: its gradient is 0.
    """
    if is_empty(x, axis):
        return sum(x, axis, keepdims=True)
    best = max_(x, axis, keepdims=True)
    largest = float(np.finfo(best.dtype).max)
    return switch(eq(best, -np.inf), 0, minimum(best, largest))  # type: ignore[no-any-return]


def exponentials(x: Variable, best: Variable, axis: Axes) -> tuple[Variable, Variable]:
    """exp(x - best) and its sum."""
    e = exp_difference(wide(x), wide(best))
    return e, sum(e, axis, keepdims=True)


def rest(x: Variable, best: Variable, axis: Axes) -> Variable:
    """sum(exp(x - best)) - 1, without the cancellation: one of the elements that are ``best`` is left out."""
    highest = eq(x, best)
    others = switch(highest, 0, exp_difference(wide(x), wide(best)))
    ties = sum(highest, axis, dtype=others.dtype, keepdims=True)
    return add(sum(others, axis, keepdims=True), sub(ties, 1))  # type: ignore[no-any-return]


def log_total(x: Variable, best: Variable, axis: Axes) -> Variable:
    """log(sum(exp(x - best)))."""
    return log1p(rest(x, best, axis))  # type: ignore[no-any-return]


# ------------------------------------------------------------------------------------------------ logsumexp


def _logsumexp_grad(g: Any, x: Any, y: Any, axis: Axes, keepdims: bool) -> GradResult:
    """softmax(x); beside an infinite element the others count nothing, and where all are -inf none does."""
    e, total = exponentials(x, peak(x, axis=axis), axis)
    best = kept(y, axis, keepdims)
    weight = switch(isinf(best), switch(eq(x, best) & gt(best, 0), 1, 0), true_div(e, total))
    return [mul(kept(g, axis, keepdims), convert(weight, x.dtype))]


def _shifted(x: np.ndarray, axis: Axes) -> tuple[np.ndarray, np.ndarray]:
    """x - max(x) and max(x), 0 for an infinite one, in long double."""
    y = x.astype("longdouble")
    best = np.max(y, axis=axis, keepdims=True, initial=-np.inf)
    best = np.where(np.isinf(best), 0, best)
    return y - best, best


def _logsumexp_numpy(x: np.ndarray, axis: Axes, keepdims: bool) -> Any:
    y, best = _shifted(x, axis)
    total = _log_total_numpy(y, axis) + best
    return total if keepdims else np.squeeze(total, axis)


def _log_total_numpy(y: np.ndarray, axis: Axes) -> np.ndarray:
    others = np.sum(np.where(y == 0, 0, np.exp(y)), axis=axis, keepdims=True)
    return np.asarray(np.log1p(others + (np.sum(y == 0, axis=axis, keepdims=True) - 1)))


@composite(name="logsumexp", grad=_logsumexp_grad, reference=_logsumexp_numpy)
def _logsumexp(x: Variable, axis: Axes, keepdims: bool) -> Variable:
    """log(sum(exp(x))), the maximum taken out first."""
    if is_empty(x, axis):
        return convert(log1p(sum(exp(x), axis, keepdims=keepdims) - 1), x.dtype)
    best = peak(x, axis=axis)
    found: Variable = add(convert(log_total(x, best, axis), x.dtype), best)
    return found if keepdims else permute(found, tuple(k for k in range(x.ndim) if k not in axis))


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Variable:
    """log(sum(exp(x))) along ``axis``, without overflow; -inf where all elements are, inf where one is.

    Parameters
    ----------
    x : Variable or array_like, any dtype
    axis : int, tuple of int, or None
        None reduces over all axes.
    keepdims : bool
        Whether reduced axes stay, with extent 1.

    Returns
    -------
    Variable, float, ``axis`` removed.

    Raises
    ------
    AxisError
        If an axis is out of range or named twice.
    """
    v = floating(x)
    return _logsumexp(v, axis=normalize_axis(axis, v.ndim, "logsumexp", v), keepdims=bool(keepdims))


attach("logsumexp", logsumexp)


# ------------------------------------------------------------------------------------------------ softmax


def _softmax_numpy(x: np.ndarray, axis: Axes) -> np.ndarray:
    e: np.ndarray = np.exp(_shifted(x, axis)[0])
    return np.asarray(e / np.sum(e, axis=axis, keepdims=True))


def _softmax_grad(g: Any, x: Any, y: Any, axis: Axes) -> GradResult:
    """y*(g - sum(g*y)), with g counted from where y is greatest: then the sum has no term that cancels."""
    return [mul(g, y) if is_empty(x, axis) else mul(y, counted_from_top(g, x, y, axis))]


def counted_from_top(g: Any, size: Any, y: Any, axis: Axes) -> Variable:
    """g - sum(g*y) where the sum of y is 1, with g counted from where ``size`` is greatest.

    The sum of y is 1, so it does not matter what is taken from g. What has no part in the sum does not spoil it: beside
    an infinite x, whose y is NaN, the others have a slope.
    """
    top = eq(size, max_(size, axis, keepdims=True))
    count = sum(top, axis, dtype=g.dtype, keepdims=True)
    d = sub(g, true_div(sum(switch(top, g, 0), axis, keepdims=True), count))
    return sub(d, sum(switch(eq(d, 0), 0, mul(d, y)), axis, keepdims=True))  # type: ignore[no-any-return]


def sum_of_others(terms: Any, x: Any, axis: Axes) -> Any:
    """For each element the sum of the terms of all others: that of the largest is not found by subtracting it."""
    if is_empty(x, axis):
        return terms
    top = eq(x, max_(x, axis, keepdims=True))
    highest = sum(switch(top, terms, 0), axis, keepdims=True)
    lower = sum(switch(top, 0, terms), axis, keepdims=True)
    return switch(top, add(lower, sub(highest, terms)), sub(add(highest, lower), terms))


@composite(name="softmax", grad=_softmax_grad, reference=_softmax_numpy)
def softmax_op(x: Variable, axis: Axes) -> Variable:
    """exp(x) / sum(exp(x))."""
    if is_empty(x, axis):
        return exp(x)  # type: ignore[no-any-return]
    e, total = exponentials(x, peak(x, axis=axis), axis)
    return convert(true_div(e, total), x.dtype)


def softmax(x: Any, axis: Any = -1) -> Variable:
    """exp(x) / sum(exp(x)) along ``axis``, without overflow.

    Parameters
    ----------
    x : Variable or array_like, any dtype
    axis : int or tuple of int
        The axis along which the result sums to 1.

    Returns
    -------
    Variable, float, same shape; NaN where an element is infinite or all are -inf, as in the plain formula.

    Raises
    ------
    AxisError
        If an axis is out of range or named twice.
    """
    v = floating(x)
    return softmax_op(v, axis=normalize_axis(axis, v.ndim, "softmax", v))


def _complement_numpy(x: np.ndarray, axis: Axes) -> np.ndarray:
    y, _ = _shifted(x, axis)
    e, others = np.exp(y), np.expm1(_log_total_numpy(y, axis))
    dominates = (y == 0) & np.isfinite(others)
    return np.asarray(np.where(dominates, others / (others + 1), 1 - e / (others + 1)))


def _complement_grad(g: Any, x: Any, y: Any, axis: Axes) -> GradResult:
    p = softmax_op(x, axis=axis)
    return [neg(found) for found in _softmax_grad(g, x, p, axis)]


@composite(name="softmax_complement", grad=_complement_grad, reference=_complement_numpy)
def complement_op(x: Variable, axis: Axes) -> Variable:
    """1 - softmax(x), accurate where the softmax is near 1."""
    if is_empty(x, axis):
        return exp(x)  # type: ignore[no-any-return]
    best = peak(x, axis=axis)
    e, total = exponentials(x, best, axis)
    dominates = and_(eq(x, best), lt(total, np.inf))
    return convert(switch(dominates, true_div(rest(x, best, axis), total), sub(1, true_div(e, total))), x.dtype)


def _log_softmax_numpy(x: np.ndarray, axis: Axes) -> np.ndarray:
    y, _ = _shifted(x, axis)
    return np.asarray(y - _log_total_numpy(y, axis))


def log_softmax_grad(g: Any, x: Any, y: Any, axis: Axes) -> GradResult:
    """g - p*sum(g) = g*(1 - p) - p*(the sum of the others), which does not cancel where p is near 1."""
    others = sum_of_others(g, x, axis)
    return [sub(mul(g, complement_op(x, axis=axis)), mul(softmax_op(x, axis=axis), others))]


@composite(name="log_softmax", grad=log_softmax_grad, reference=_log_softmax_numpy)
def log_softmax_op(x: Variable, axis: Axes) -> Variable:
    """x - log(sum(exp(x)))."""
    if is_empty(x, axis):
        return exp(x)  # type: ignore[no-any-return]
    best = peak(x, axis=axis)
    return convert(sub(sub(wide(x), wide(best)), log_total(x, best, axis)), x.dtype)


def log_softmax(x: Any, axis: Any = -1) -> Variable:
    """log(softmax(x)) along ``axis``: finite for every finite ``x``, and accurate where the softmax is near 1.

    Parameters
    ----------
    x : Variable or array_like, any dtype
    axis : int or tuple of int

    Returns
    -------
    Variable, float, same shape.

    Raises
    ------
    AxisError
        If an axis is out of range or named twice.
    """
    v = floating(x)
    return log_softmax_op(v, axis=normalize_axis(axis, v.ndim, "log_softmax", v))

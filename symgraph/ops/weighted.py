"""Sums of exponentials with weights of any sign and size: w*exp(x) without overflow, and the logarithm of its sum.

What is taken out of a sum is the maximum of x over the weights that are not 0. A weight so large or small that it
counts beside that maximum enters it by its logarithm: so what is left of the sum is in range, unless it cancels.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph import expression
from symgraph.coercion import convert
from symgraph.expression import const, rare, select
from symgraph.graph import Constant, Variable
from symgraph.kinds import composite, elementwise
from symgraph.op import GradResult
from symgraph.ops.cumulative import wide
from symgraph.ops.elementwise import (
    absolute,
    add,
    copysign,
    eq,
    maximum,
    minimum,
    mul,
    neg,
    sgn,
    sub,
    switch,
    true_div,
    zero_gradient,
)
from symgraph.ops.exponentials import (
    Axes,
    counted_from_top,
    is_empty,
    mended_exp,
    peak,
    rounded_difference,
    sum_of_others,
)
from symgraph.ops.products import log_product
from symgraph.ops.reduce import kept, sum
from symgraph.ops.reduce import max as max_
from symgraph.ops.shape import permute
from symgraph.ops.transcendental import exp, log, log1p, times_log0

__all__: list[str] = []

ORDINARY = {"float16": 2.0**4, "float32": 2.0**32, "float64": 2.0**256}
"""Weights up to this, and down to its inverse, move no sum out of range; nor do so many terms."""


# ------------------------------------------------------------------------------------------------ one term


def _weighted_exp_numpy(w: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    d = np.subtract(x, y, dtype="longdouble")
    return np.asarray(np.where(np.isfinite(d) & ((w == 0) | np.isinf(w)), w, w * np.exp(d)))


def _weighted_exp_grad(g: Any, w: Any, x: Any, y: Any, out: Any) -> list[Any]:
    return [weighted_exp(g, x, y), g * out, -(g * out)]


@elementwise(grad=_weighted_exp_grad, reference=_weighted_exp_numpy)
def weighted_exp(w: Any, x: Any, y: Any) -> Any:
    """w*exp(x - y), in range wherever that is, and w where that is 0 or infinite and x - y is not."""
    d, lost = rounded_difference(x, y)
    mended = mended_exp(d, lost)
    size = expression.absolute(d)
    far = (size >= -math.log(np.finfo(d.dtype).tiny)) & (size < math.inf)
    half = expression.exp(0.5 * d)
    decided = expression.eq(w, 0) | expression.eq(expression.absolute(w), math.inf)
    apart = select(decided, w, w * half * half * mended)
    return rare(far, apart, w * (expression.exp(d) * mended))


@elementwise(grad=lambda g, w, out: zero_gradient(g, w, out))
def extreme_log(w: Any) -> Any:
    """log(abs(w)) of 0 and of numbers that are very large or small; 0 of ordinary ones."""
    size, bound = expression.absolute(w), ORDINARY[w.dtype]
    ordinary = (size <= bound) & (size >= 1 / bound)
    return rare(~ordinary, expression.log(size), const(0, w.dtype))


# ------------------------------------------------------------------------------------------------ sums


def shift(x: Variable, w: Variable, axis: Axes) -> Variable:
    """What to take out of sum(w*exp(x)), kept; nothing depends on it, and its gradient is 0."""
    return peak(wide(x) if is_ordinary(w) else add(wide(x), extreme_log(wide(w))), axis=axis)


def is_ordinary(w: Variable) -> bool:
    """Whether weights are constants that are neither 0 nor move a sum out of range."""
    bound = ORDINARY.get(w.dtype, 0)
    return isinstance(w, Constant) and bool(((np.abs(w.data) <= bound) & (np.abs(w.data) >= 1 / bound)).all())


def weighted_terms(x: Variable, w: Variable, axis: Axes) -> tuple[Variable, Variable]:
    """w*exp(x) with what ``shift`` takes out of it, and that."""
    best = shift(x, w, axis)
    return weighted_exp(wide(w), wide(x), best), best


def _log_grad(g: Any, x: Any, w: Any, above: Any, below: Any, y: Any, axis: Axes, keepdims: bool) -> GradResult:
    """The share of each term; of a sum that is 0 no term that is 0 has one."""
    g = kept(g, axis, keepdims)
    beside = [true_div(g, above), neg(true_div(g, below))]
    if is_empty(x, axis):
        return [x, w, *beside]
    terms, best = weighted_terms(x, w, axis)
    share = true_div(g, sum(terms, axis, keepdims=True))
    by_weight = weighted_exp(share, wide(x), best)
    return [convert(times_log0(terms, share), x.dtype), convert(by_weight, w.dtype), *beside]


def _best_numpy(x: np.ndarray, w: np.ndarray, axis: Axes) -> np.ndarray:
    best = np.max(np.where(w == 0, -np.inf, x + np.log(np.abs(w))), axis=axis, keepdims=True, initial=-np.inf)
    return np.where(np.isinf(best), 0, best)


def _log_numpy(
    x: np.ndarray, w: np.ndarray, above: np.ndarray, below: np.ndarray, axis: Axes, keepdims: bool
) -> Any:  # fmt: skip
    x, w = np.broadcast_arrays(x.astype("longdouble"), w.astype("longdouble"))
    best = _best_numpy(x, w, axis)
    terms = np.where((w == 0) & np.isfinite(x), 0, w * np.exp(x - best))
    found = np.log(np.sum(terms, axis=axis, keepdims=True) * above / below) + best
    return found if keepdims else np.squeeze(found, axis)


@composite(name="log_weighted_sum_exp", grad=_log_grad, reference=_log_numpy)
def log_weighted_sum_exp(x: Variable, w: Variable, above: Variable, below: Variable, axis: Axes, keepdims: bool) -> Any:
    """log(above*sum(w*exp(x))/below), of weights and factors of any sign: NaN where it is negative.

    ``above`` and ``below`` have the axes of x, those of the sum of extent 1, or none. The fraction is formed before its
    logarithm: so that of a mean is right where the mean is near 1.
    """
    empty = is_empty(x, axis)
    terms, best = (mul(w, exp(x)), 0) if empty else weighted_terms(x, w, axis)
    size = sum(terms, axis, keepdims=True)
    found = convert(add(log_product(above, size, below, below=(False, False, True)), best), x.dtype)
    return found if keepdims else permute(found, tuple(k for k in range(found.ndim) if k not in axis))


# ------------------------------------------------------------------------------------------------ shares


def _softmax_numpy(x: np.ndarray, w: np.ndarray, axis: Axes) -> np.ndarray:
    x, w = np.broadcast_arrays(x.astype("longdouble"), w.astype("longdouble"))
    best = _best_numpy(x, w, axis)
    terms = np.where((w == 0) & np.isfinite(x), 0, w * np.exp(x - best))
    return np.asarray(terms / np.sum(terms, axis=axis, keepdims=True))


def _softmax_grad(g: Any, x: Any, w: Any, y: Any, axis: Axes) -> GradResult:
    """y*(g - sum(g*y)) by x, and without the weight by w; g is counted from where the share is greatest."""
    if is_empty(x, axis):
        return [mul(g, y), mul(g, y)]
    terms, best = weighted_terms(x, w, axis)
    d = counted_from_top(wide(g), absolute(terms), wide(y), axis)
    by_weight = weighted_exp(true_div(d, sum(terms, axis, keepdims=True)), wide(x), best)
    return [convert(mul(y, d), x.dtype), convert(by_weight, w.dtype)]


@composite(name="weighted_softmax", grad=_softmax_grad, reference=_softmax_numpy)
def weighted_softmax(x: Variable, w: Variable, axis: Axes) -> Any:
    """w*exp(x) / sum(w*exp(x))."""
    if is_empty(x, axis):
        return mul(w, exp(x))
    terms, _ = weighted_terms(x, w, axis)
    return convert(true_div(terms, sum(terms, axis, keepdims=True)), x.dtype)


def _parts(x: Variable, w: Variable, axis: Axes) -> tuple[Variable, Variable, Variable, Variable, Variable]:
    """The weights and terms with the sign that makes their sum positive; what is taken out of them; the size of the
    largest; the sum without it, without the cancellation."""
    terms, best = weighted_terms(x, w, axis)
    sign = copysign(1, sum(terms, axis, keepdims=True))
    terms = mul(terms, sign)
    top = minimum(max_(absolute(terms), axis, keepdims=True), float(np.finfo(terms.dtype).max))
    highest = eq(absolute(terms), top)
    ties = sum(switch(highest, sgn(terms), 0), axis, keepdims=True)
    others = add(sum(switch(highest, 0, terms), axis, keepdims=True), mul(sub(ties, 1), top))
    return mul(wide(w), sign), terms, best, top, others


def _log_softmax_numpy(x: np.ndarray, w: np.ndarray, axis: Axes) -> np.ndarray:
    return np.asarray(np.log(_softmax_numpy(x, w, axis)))


def _log_softmax_grad(g: Any, x: Any, w: Any, y: Any, axis: Axes) -> GradResult:
    """g*(1 - p) - p*(the sum of the others), p the shares, as of ``log_softmax``; by w over w, which may be 0."""
    if is_empty(x, axis):
        return [mul(g, y), mul(g, y)]
    weights, terms, best, top, others = _parts(x, w, axis)
    size = add(top, others)
    share = true_div(terms, size)
    complement = switch(eq(terms, top), true_div(others, size), sub(1, share))
    slope = sub(mul(g, complement), mul(share, sum_of_others(wide(g), absolute(terms), axis)))
    total = true_div(sum(wide(g), axis, keepdims=True), size)
    of_none = sub(true_div(g, w), weighted_exp(total, wide(x), best))
    return [convert(slope, x.dtype), convert(switch(eq(weights, 0), of_none, true_div(slope, wide(w))), w.dtype)]


@composite(name="log_weighted_softmax", grad=_log_softmax_grad, reference=_log_softmax_numpy)
def log_weighted_softmax(x: Variable, w: Variable, axis: Axes) -> Any:
    """log(w*exp(x) / sum(w*exp(x))), accurate where the share is near 1."""
    if is_empty(x, axis):
        return mul(w, exp(x))
    weights, terms, best, top, others = _parts(x, w, axis)
    part = sub(add(sub(wide(x), best), log(weights)), log(top))
    return convert(sub(switch(eq(terms, top), 0, part), log1p(true_div(others, top))), x.dtype)


# ------------------------------------------------------------------------------------------------ several terms


def _listed(parts: Sequence[Variable]) -> tuple[list[Variable], Variable, Variable]:
    """The terms of a list of weights and exponents in turn, what is taken out of them, and their sum."""
    pairs = list(zip(map(wide, parts[::2]), map(wide, parts[1::2]), strict=True))
    best = functools.reduce(maximum, [add(x, extreme_log(w)) for w, x in pairs])
    best = switch(eq(best, -np.inf), 0, minimum(best, float(np.finfo(best.dtype).max)))
    terms = [weighted_exp(w, x, best) for w, x in pairs]
    return terms, best, functools.reduce(add, terms)


def _list_grad(g: Any, *parts: Any) -> GradResult:
    """The share of each term; of a sum that is 0 no term that is 0 has one."""
    terms, best, size = _listed(parts[:-1])
    share = true_div(g, size)
    slopes: list[Variable | None] = []
    for x, term in zip(parts[1::2], terms, strict=True):
        slopes += [convert(weighted_exp(share, wide(x), best), x.dtype), convert(times_log0(term, share), x.dtype)]
    return slopes


def _list_numpy(*parts: np.ndarray) -> Any:
    every = np.broadcast_arrays(*[p.astype("longdouble") for p in parts])
    x, w = (np.stack(every[k::2]) for k in (1, 0))
    one = np.ones((), "longdouble")
    return _log_numpy(x, w, one, one, (0,), False)


@composite(grad=_list_grad, reference=_list_numpy)
def log_weighted_list(*parts: Variable) -> Any:
    """log(v*exp(x) + w*exp(y) + ...) of v, x, w, y, ...: NaN where the sum is negative."""
    _, best, size = _listed(parts)
    return convert(add(log(size), best), parts[1].dtype)

"""Differences f(y) - f(x) of functions that level off, and logarithms of them, by the distance d = y - x.

Far out both values are rounded to the same number. Rules alone make these ops (``symgraph.rewrites.differences``). Each
is a function of x, y and d, with slopes by all three: the distance is y - x, or a number where that is known exactly
(``identity_step``).
"""

from __future__ import annotations

from typing import Any

from symgraph import expression
from symgraph.expression import Expr, const, select
from symgraph.kinds import elementwise
from symgraph.ops.elementwise import absolute, eq, isinf, maximum, switch
from symgraph.ops.special import ROOT_PI, erf, erfc, erfcx, exp_neg_sqr
from symgraph.ops.transcendental import LN2, exp, expm1, log1p_exp, logistic, sech2, sigmoid

__all__: list[str] = []

INF = float("inf")


def _finite_distance(x: Any, y: Any, d: Any) -> Any:
    """d, and 0 between equal infinities."""
    return switch(eq(x, y) & isinf(x), 0, d)


def _distance(x: Expr, y: Expr, d: Expr) -> Expr:
    """d, and 0 between equal infinities."""
    same = expression.eq(x, y) & expression.eq(expression.absolute(x), INF)
    return select(same, const(0, d.dtype), d)


# ------------------------------------------------------------------------------------------------ sigmoid


def _shared(both: Any, x: Any, y: Any) -> list[Any]:
    """What moves both places alike as the slope by the smaller of them, where the function is steeper: beside it the
    slope by the distance is that of the larger one alone, and nothing cancels if each place moves by itself."""
    first = absolute(x) <= absolute(y)
    return [switch(first, both, 0), switch(first, 0, both)]


def _balance(x: Any, y: Any) -> Any:
    """sigmoid(-y) - sigmoid(x)."""
    return sigmoid_gap(x, -y, -(x + y))


def _larger(x: Any, y: Any) -> Any:
    return maximum(absolute(x), absolute(y))


def _sigmoid_gap_grad(g: Any, x: Any, y: Any, d: Any, out: Any) -> list[Any]:
    by_distance = 0.25 * sech2(0.5 * _larger(x, y))
    return [g * s for s in (*_shared(out * _balance(x, y), x, y), by_distance)]


def _log_sigmoid_gap_grad(g: Any, x: Any, y: Any, d: Any, out: Any) -> list[Any]:
    d = _finite_distance(x, y, d)
    by_distance = 1 / expm1(absolute(d)) + sigmoid(-_larger(x, y))
    return [g * s for s in (*_shared(_balance(x, y), x, y), switch(d < 0, -by_distance, by_distance))]


@elementwise(grad=_sigmoid_gap_grad)
def sigmoid_gap(x: Any, y: Any, d: Any) -> Any:
    """sigmoid(y) - sigmoid(x), for y > x sigmoid(y) * sigmoid(-x) * (1 - exp(-d))."""
    d = _distance(x, y, d)
    back = d < 0
    high, low = select(back, x, y), select(back, y, x)
    size = -expression.expm1(-expression.absolute(d)) * logistic(high) * logistic(-low)
    return select(back, -size, size)


@elementwise(grad=_log_sigmoid_gap_grad)
def log_sigmoid_gap(x: Any, y: Any, d: Any) -> Any:
    """log(sigmoid(y) - sigmoid(x)), of each factor by itself; NaN for y < x."""
    d = _distance(x, y, d)
    close = expression.log(-expression.expm1(-d))
    return select(d < LN2, close, expression.log1p(-expression.exp(-d))) - log1p_exp(-y) - log1p_exp(x)


# ------------------------------------------------------------------------------------------------ error function

TERMS = 19
"""Of the series of a difference to the last digit, where distances are below 1/2."""


def _density(x: Any) -> Any:
    """The slope of erf."""
    return 2 / ROOT_PI * exp_neg_sqr(x)


def _is_close(x: Expr, d: Expr) -> Expr:
    """Whether a difference from ``x`` is that of few terms of its series."""
    return (expression.absolute(d) < 0.5) & (expression.absolute(x * d) < 0.5)


def _series(x: Expr, d: Expr) -> Expr:
    """The integral of exp(x*x - t*t) from x to x + d: d times the sum of H_n(x)*(-d)**n / (n + 1)!, H the polynomials
    of Hermite."""
    before, term = const(0, x.dtype), const(1, x.dtype)
    total = term
    for n in range(TERMS):
        before, term = term, -2 * d * (x * term + d * before) / (n + 1)
        total = total + term / (n + 2)
    return d * total


def _slopes(weight: Any, x: Any, y: Any, d: Any) -> list[Any]:
    """By x, y and d, where ``weight`` is that of the smaller place: exp(-x*x) beside that of the larger one is
    exp(-|d*(x + y)|), and what moves both places moves the value by the difference."""
    size = switch(isinf(x) | isinf(y), INF, absolute(d * (x + y)))
    first = absolute(x) <= absolute(y)
    both = weight * switch(first, expm1(-size), -expm1(-size))
    return [*_shared(both, x, y), weight * exp(-size)]


def _smaller(x: Any, y: Any) -> Any:
    return switch(absolute(x) <= absolute(y), x, y)


@elementwise(grad=lambda g, x, y, d, out: [g * s for s in _slopes(_density(_smaller(x, y)), x, y, d)])
def erf_gap(x: Any, y: Any, d: Any) -> Any:
    """erf(y) - erf(x): on one side by what is left of 1, and of close places by a series."""
    far = select((x > 0.5) & (y > 0.5), erfc(x) - erfc(y), erf(y) - erf(x))
    far = select((x < -0.5) & (y < -0.5), erfc(-y) - erfc(-x), far)
    return select(_is_close(x, d), 2 / ROOT_PI * exp_neg_sqr(x) * _series(x, d), far)


def _tail(x: Expr, y: Expr, d: Expr) -> tuple[Expr, Expr, Expr]:
    """The smaller size of two places, the difference there, without its sign, over its exp(-x*x), and whether they are
    on one side, far enough out."""
    sizes, distance = (expression.absolute(x), expression.absolute(y)), expression.absolute(d)
    low, high = expression.minimum(*sizes), expression.maximum(*sizes)
    inside = (low > 0.5) & (((x > 0) & (y > 0)) | ((x < 0) & (y < 0)))
    near, beyond = expression.maximum(low, 0.5), expression.maximum(high, 0.5)
    apart = erfcx(near) - erfcx(beyond) * expression.exp(-(distance * (near + beyond)))
    return near, select(_is_close(near, distance), 2 / ROOT_PI * _series(near, distance), apart), inside


def _is_tail(x: Expr, y: Expr, low: Expr, inside: Expr) -> Expr:
    """Whether the logarithm is that of a tail: of places on one side in order, not both infinite."""
    return inside & (y >= x) & (low < INF)


def _density_share_grad(g: Any, x: Any, y: Any, d: Any, out: Any) -> list[Any]:
    by_x, by_y, by_d = _slopes(out, x, y, d)
    first = absolute(x) <= absolute(y)
    own = -2 * _smaller(x, y)
    return [g * (out * (switch(first, own, 0) - by_x)), g * (out * (switch(first, 0, own) - by_y)), -(g * (out * by_d))]


@elementwise(grad=_density_share_grad)
def density_share(x: Any, y: Any, d: Any) -> Any:
    """The slope of erf at the smaller place over erf(y) - erf(x)."""
    _, scaled, inside = _tail(x, y, d)
    smaller = select(expression.absolute(x) <= expression.absolute(y), x, y)
    own = exp_neg_sqr(smaller) / erf_gap(x, y, d)
    return 2 / ROOT_PI * select(inside, select(d < 0, -1 / scaled, 1 / scaled), own)


def _log_gap_grad(g: Any, x: Any, y: Any, d: Any, out: Any) -> list[Any]:
    return [g * s for s in _slopes(density_share(x, y, d), x, y, d)]


@elementwise(grad=_log_gap_grad)
def log_erf_gap(x: Any, y: Any, d: Any) -> Any:
    """log(erf(y) - erf(x)), finite where both are rounded to 1."""
    low, scaled, inside = _tail(x, y, d)
    within = expression.log(erf_gap(x, y, d))
    return select(_is_tail(x, y, low, inside), expression.log(scaled) - low * low, within)


@elementwise(grad=_log_gap_grad)
def log_half_erf_gap(x: Any, y: Any, d: Any) -> Any:
    """log((erf(y) - erf(x)) / 2), a probability of the normal distribution: of nearly 1 by what is left."""
    low, scaled, inside = _tail(x, y, d)
    around = expression.log1p(-0.5 * (erfc(y) + erfc(-x)))
    within = select((x < -0.5) & (y > 0.5), around, expression.log(0.5 * erf_gap(x, y, d)))
    return select(_is_tail(x, y, low, inside), expression.log(0.5 * scaled) - low * low, within)

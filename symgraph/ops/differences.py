"""Differences that would cancel, in values or in slopes, written by what makes them: nothing is subtracted that is
nearly equal.

Rules alone make these ops (``symgraph.rewrites.differences``). Two places whose distance is known move together: the
slope by both is given to the first, as a formula that is true of any two. Where the distance is not seen any more,
since one of them is held still or replaced, another rule takes the op for the plain difference that it is.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from symgraph import expression
from symgraph.expression import Expr, const, select
from symgraph.kinds import elementwise
from symgraph.ops.elementwise import absolute, eq, isinf, maximum, sqr, switch
from symgraph.ops.special import horner
from symgraph.ops.transcendental import cos, exp, expm1, hypot, share, shifted_root, sinh, sqrt, tanh

__all__: list[str] = []

INF = float("inf")

# ------------------------------------------------------------------------------------------------ two places


@elementwise(grad=lambda g, x, y, d, out: [None, None, None])
def identity_step(x: Any, y: Any, d: Any) -> Any:
    """y - x, which is d."""
    return d


@elementwise(grad=lambda g, x, y, d, out: [-(g * (0.5 * (out / sqrt(x)) / sqrt(y))), None, None])
def sqrt_step(x: Any, y: Any, d: Any) -> Any:
    """sqrt(y) - sqrt(x), where y - x is d, not 0."""
    return d / (expression.sqrt(y) + expression.sqrt(x))


@elementwise(grad=lambda g, x, y, d, a, out: [-(g * (out * (1 / x + 1 / y))), None, None, None])
def inverse_step(x: Any, y: Any, d: Any, a: Any) -> Any:
    """a/y - a/x, where y - x is d: -a*d / (x*y), by the larger place first, so that no quotient overflows on the
    way."""
    lower = expression.absolute(x) < expression.absolute(y)
    return -(a * d) / select(lower, y, x) / select(lower, x, y)


@elementwise(grad=lambda g, x, y, d, out: [g * inverse_step(x, y, d, 1), None, None])
def log_step(x: Any, y: Any, d: Any) -> Any:
    """log(y) - log(x), where y - x is d > 0: log1p(d / x), and the difference itself where that ratio overflows."""
    ratio = d / expression.absolute(x)
    step = select(ratio < INF, expression.log1p(ratio), expression.log(y) - expression.log(x))
    return select(x < 0, const(float("nan"), x.dtype), step)


def _arctan_step_grad(g: Any, x: Any, y: Any, d: Any, out: Any) -> list[Any]:
    slope = identity_step(x, y, d) * (x / (1 + sqr(x)) / (1 + sqr(y)) + y / (1 + sqr(y)) / (1 + sqr(x)))
    return [-(g * switch(isinf(x), 0, slope)), None, None]


@elementwise(grad=_arctan_step_grad)
def arctan_step(x: Any, y: Any, d: Any) -> Any:
    """arctan(y) - arctan(x), where y - x is d > 0: the angle of the point (1 + x*y, d)."""
    return expression.arctan2(d, 1 + x * y)


# ------------------------------------------------------------------------------------------------ squares


@elementwise(grad=lambda g, x, y, out: [g * (2 * x), -(g * (2 * y))])
def square_gap(x: Any, y: Any) -> Any:
    """x*x - y*y as (|x| - |y|) * (|x| + |y|): three roundings of the result, and 0 of equal ones is never -0."""
    a, b = expression.absolute(x), expression.absolute(y)
    return (a - b) * (a + b)


@elementwise(grad=lambda g, x, y: [-(g * (2 * x / square_gap(1, x)))])
def log1m_square(x: Any) -> Any:
    """log(1 - x*x): of small x by log1p, of x near 1 by (1 - |x|) * (1 + |x|)."""
    square = x * x
    return expression.rare(square > 0.5, expression.log(square_gap(const(1, x.dtype), x)), expression.log1p(-square))


def _sin_step_grad(g: Any, x: Any, y: Any, d: Any, out: Any) -> list[Any]:
    return [g * cos_step(x, y, d), None, None]


@elementwise(grad=_sin_step_grad)
def sin_step(x: Any, y: Any, d: Any) -> Any:
    """sin(y) - sin(x), where y - x is d: by the sum formula, 1 - cos(d) as 2*sin(d/2)**2."""
    half = expression.sin(0.5 * d)
    return expression.cos(x) * expression.sin(d) - 2 * half * half * expression.sin(x)


@elementwise(grad=lambda g, x, y, d, out: [-(g * sin_step(x, y, d)), None, None])
def cos_step(x: Any, y: Any, d: Any) -> Any:
    """cos(y) - cos(x), where y - x is d."""
    half = expression.sin(0.5 * d)
    return -(expression.sin(x) * expression.sin(d)) - 2 * half * half * expression.cos(x)


@elementwise(grad=lambda g, x, y, d, out: [g * inverse_step(x, y, d, 1), None, None])
def log_quotient_step(x: Any, y: Any, d: Any) -> Any:
    """log(y/x), where y - x is d: log1p(d / x) for a quotient near 1; of one out of range the difference."""
    quotient, share = y / x, d / x
    apart = expression.log(expression.absolute(y)) - expression.log(expression.absolute(x))
    lost = expression.eq(quotient, INF) & expression.ne(x, 0) & (expression.absolute(y) < INF)
    far = select(lost, apart, expression.log(quotient))
    return select(expression.absolute(share) < 0.5, expression.log1p(share), far)


# ------------------------------------------------------------------------------------------------ a root and its part


def _root_gap_grad(g: Any, x: Any, y: Any, out: Any) -> list[Any]:
    """By x out/root, negated, of which out may overflow where x < 0."""
    root = shifted_root(x, y)
    return [-(g * switch(x < 0, 1 - x / root, out / root)), g * (0.5 / root)]


@elementwise(grad=_root_gap_grad)
def root_gap(x: Any, y: Any) -> Any:
    """sqrt(x*x + y) - x; for x > 0, where that cancels, y / (sqrt(x*x + y) + x)."""
    root = shifted_root(x, y)
    return select((x > 0) & (root < INF), y / (root + x), root - x)


def _hypot_gap_grad(g: Any, x: Any, y: Any, out: Any) -> list[Any]:
    """By x out/hypot, negated, of which out may be out of range; at 0, where the slope of hypot is 0, it is -1. The
    slopes are those of a quarter of both, whose sums do not overflow."""
    scale = switch(maximum(absolute(x), absolute(y)) > float(np.finfo(x.dtype).max) / 4, 0.25, 1)
    x, y = x * scale, y * scale
    length = hypot(x, y)
    part = switch(x > 0, y / length * (y / (length + x)), 1 - x / length)
    return [-(g * switch(eq(length, 0), 1, part)), g * share(y, length)]


def _gap_of_sides(x: Expr, y: Expr, length: Expr) -> Expr:
    side = expression.absolute(y)
    return select((x > 0) & (length < INF), side * (side / (length + x)), length - x)


@elementwise(grad=_hypot_gap_grad)
def hypot_gap(x: Any, y: Any) -> Any:
    """hypot(x, y) - x; for x > 0, where that cancels, y*y / (hypot(x, y) + x)."""
    length = hypot(x, y)
    a, b = 0.25 * x, 0.25 * y
    far = 4 * _gap_of_sides(a, b, hypot(a, b))
    return expression.rare(~(length + expression.absolute(x) < INF), far, _gap_of_sides(x, y, length))


# ------------------------------------------------------------------------------------------------ over the argument

_EXP = tuple(1 / math.factorial(k + 1) for k in range(18, -1, -1))
_SINH = tuple(1 / math.factorial(2 * k + 1) for k in range(9, -1, -1))
_SIN = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(9, -1, -1))
"""Below 1 by their series: there the two parts of a slope cancel."""


def _slope(coefficients: tuple[float, ...]) -> tuple[float, ...]:
    """The derivative of a polynomial."""
    degree = len(coefficients) - 1
    return tuple(c * (degree - k) for k, c in enumerate(coefficients[:-1]))


def _expm1_over_grad(g: Any, x: Any, y: Any) -> list[Any]:
    far = switch(x > 40, y * (1 - 1 / x), (exp(x) - y) / x)
    return [g * switch(absolute(x) < 1, horner(x, _slope(_EXP)), far)]


@elementwise(grad=_expm1_over_grad)
def expm1_over(x: Any) -> Any:
    """(exp(x) - 1) / x, and 1 at 0."""
    half = expression.exp(0.5 * x)
    far = select(x > 40, half / x * half, expression.expm1(x) / x)  # exp(x) overflows before it is divided
    return select(expression.absolute(x) < 1, horner(x, _EXP), far)


def _inverse_expm1_grad(g: Any, x: Any, y: Any) -> list[Any]:
    return [g * (y * inverse_expm1(-x))]


@elementwise(grad=_inverse_expm1_grad)
def inverse_expm1(x: Any) -> Any:
    """1 / (exp(x) - 1), which is exp(-x) / (1 - exp(-x)) where exp(x) may overflow."""
    return select(x > 1, expression.exp(-x) / -expression.expm1(-x), 1 / expression.expm1(x))


def _sinh_over_grad(g: Any, x: Any, y: Any) -> list[Any]:
    far = y * (1 / tanh(x) - 1 / x)
    return [g * switch(absolute(x) < 1, 2 * x * horner(sqr(x), _slope(_SINH)), far)]


@elementwise(grad=_sinh_over_grad)
def sinh_over(x: Any) -> Any:
    """sinh(x) / x, and 1 at 0."""
    return select(expression.absolute(x) < 1, horner(x * x, _SINH), expression.sinh(x) / x)


def _sin_over_grad(g: Any, x: Any, y: Any) -> list[Any]:
    return [g * switch(absolute(x) < 1, 2 * x * horner(sqr(x), _slope(_SIN)), (cos(x) - y) / x)]


@elementwise(grad=_sin_over_grad)
def sin_over(x: Any) -> Any:
    """sin(x) / x, and 1 at 0."""
    return select(expression.absolute(x) < 1, horner(x * x, _SIN), expression.sin(x) / x)


# ------------------------------------------------------------------------------------------------ beside a number

_ARCTANH = tuple(1 / (2 * k + 3) for k in range(17, -1, -1))
_EXP_REST = tuple(1 / math.factorial(k + 2) for k in range(17, -1, -1))


@elementwise(grad=lambda g, x, y: [-(g * (x / (1 + x)))])
def log1p_minus(x: Any) -> Any:
    """log(1 + x) - x; for small x by r = x / (2 + x), of which log(1 + x) is 2*arctanh(r)."""
    r = x / (2 + x)
    square = r * r
    near = r * (2 * square * horner(square, _ARCTANH) - x)
    return select(expression.absolute(x) < 0.5, near, expression.log1p(x) - x)


@elementwise(grad=lambda g, x, y: [g * sinh(x)])
def coshm1(x: Any) -> Any:
    """cosh(x) - 1, by 2*sinh(x/2)²."""
    half = expression.sinh(0.5 * x)
    return 2 * half * half


@elementwise(grad=lambda g, x, y: [g * expm1(x)])
def expm1_minus(x: Any) -> Any:
    """exp(x) - 1 - x; for small x by its series."""
    return select(expression.absolute(x) < 1, x * x * horner(x, _EXP_REST), expression.expm1(x) - x)

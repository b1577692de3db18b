"""Functions of real numbers that complex formulas are made of, each right where its plain form overflows or cancels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph import expression
from symgraph.expression import Expr, eq, rare, select
from symgraph.kinds import elementwise
from symgraph.ops.transcendental import LN2, hypot, share


def _size(x: Expr, y: Expr) -> Expr:
    return expression.maximum(expression.absolute(x), expression.absolute(y))


# ------------------------------------------------------------------------------------------------ quotients


def _scale(size: Expr) -> Expr:
    """A power of two that brings numbers up to ``size`` to where their products neither overflow nor vanish."""
    info = np.finfo(size.dtype)
    raised = 2.0 ** min(2 * info.nmant + 1, info.maxexp - 3)
    small = float(info.tiny) * 2 / float(info.eps)
    return select(size >= float(info.max) / 2, 0.5, select(size <= small, expression.const(raised, size.dtype), 1.0))


def _quotient_grad(g: Any, a: Any, b: Any, c: Any, d: Any, q: Any) -> list[Any]:
    """With z = a + ib, w = c + id: the derivative of z/w by z is 1/w, by w it is -(z/w)/w."""
    p = quotient(b, -a, c, d)
    return [quotient(g, 0, c, d), quotient(0, g, c, d), -(g * quotient(q, p, c, d)), g * quotient(p, -q, c, d)]


@elementwise(grad=_quotient_grad)
def quotient(a: Any, b: Any, c: Any, d: Any) -> Any:
    """The real part of (a + ib) / (c + id), which is (a*c + b*d) / (c*c + d*d), without needless over- or underflow.

    The imaginary part is ``quotient(b, -a, c, d)``. Of a division by 0 it is a / 0.

    References
    ----------
    Smith (1962), "Algorithm 116: Complex division"; Baudin and Smith (2012), "A robust complex division in Scilab".
    """
    above, below = _scale(_size(a, b)), _scale(_size(c, d))
    x, y, p, m = a * above, b * above, c * below, d * below
    swap = expression.absolute(p) < expression.absolute(m)
    x, y = select(swap, y, x), select(swap, x, y)
    p, m = select(swap, m, p), select(swap, p, m)
    ratio = m / p
    whole = p + m * ratio
    part = y * ratio
    lost = select(eq(ratio, 0), (x + m * (y / p)) / whole, x / whole + (y / whole) * ratio)
    found = rare(eq(part, 0), lost, (x + part) / whole) * below / above
    return select(eq(_size(c, d), 0), a / expression.absolute(c), found)


# ------------------------------------------------------------------------------------------------ products


def _highest(dtype: str) -> float:
    """An integer whose exponential is finite, near the greatest such number."""
    return float(math.floor(math.log(float(np.finfo(dtype).max))))


def _past(size: Expr, y: Expr, factor: float) -> Expr:
    """factor * y * exp(size), where the exponential overflows."""
    high = _highest(size.dtype)
    return (y * expression.exp(size - high)) * (factor * math.exp(high))


def _past_range(exponential: Callable[[Expr], Expr], x: Expr, y: Expr) -> Expr:
    """y * exponential(x), which is exp(x) where that overflows."""
    found = rare(x > _highest(x.dtype), _past(x, y, 1.0), y * exponential(x))
    return select(_is_void(x, y), y, found)


def _is_void(x: Expr, y: Expr) -> Expr:
    """Whether an exponential that may overflow (or is unknown) is multiplied by 0."""
    return eq(y, 0) & ~(expression.absolute(x) <= _highest(x.dtype))


def _exp_grad(g: Any, x: Any, y: Any, out: Any) -> list[Any]:
    return [g * out, exp_times(x, g)]


def _exp2_grad(g: Any, x: Any, y: Any, out: Any) -> list[Any]:
    return [g * (out * LN2), exp2_times(x, g)]


def _expm1_grad(g: Any, x: Any, y: Any, out: Any) -> list[Any]:
    return [exp_times(x, g * y), expm1_times(x, g)]


def _cosh_grad(g: Any, x: Any, y: Any, out: Any) -> list[Any]:
    return [g * sinh_times(x, y), cosh_times(x, g)]


def _sinh_grad(g: Any, x: Any, y: Any, out: Any) -> list[Any]:
    return [g * cosh_times(x, y), sinh_times(x, g)]


@elementwise(grad=_exp_grad)
def exp_times(x: Any, y: Any) -> Any:
    """y * exp(x), finite where only the exponential overflows; 0 for y = 0."""
    return _past_range(expression.exp, x, y)


@elementwise(grad=_exp2_grad)
def exp2_times(x: Any, y: Any) -> Any:
    """y * 2**x, finite where only the power overflows; 0 for y = 0."""
    high = float(np.finfo(x.dtype).maxexp - 1)
    found = rare(x > high, (y * expression.exp2(x - high)) * 2.0**high, y * expression.exp2(x))
    return select(_is_void(x, y), y, found)


@elementwise(grad=_expm1_grad)
def expm1_times(x: Any, y: Any) -> Any:
    """y * expm1(x), finite where only expm1 overflows; 0 for y = 0."""
    return _past_range(expression.expm1, x, y)


@elementwise(grad=_cosh_grad)
def cosh_times(x: Any, y: Any) -> Any:
    """y * cosh(x), finite where only cosh overflows; 0 for y = 0."""
    size = expression.absolute(x)
    found = rare(size > _highest(x.dtype), _past(size, y, 0.5), y * expression.cosh(x))
    return select(_is_void(x, y), y, found)


@elementwise(grad=_sinh_grad)
def sinh_times(x: Any, y: Any) -> Any:
    """y * sinh(x), finite where only sinh overflows; 0 for y = 0."""
    size = expression.absolute(x)
    signed = select(x < 0, -y, y)
    found = rare(size > _highest(x.dtype), _past(size, signed, 0.5), y * expression.sinh(x))
    return select(_is_void(x, y), signed, found)


# ------------------------------------------------------------------------------------------------ size and direction


def _is_infinite(x: Expr, y: Expr) -> Expr:
    return eq(expression.absolute(x), float("inf")) | eq(expression.absolute(y), float("inf"))


@elementwise(commutes=True, grad=lambda g, x, y, out: [g * share(x, out), g * share(y, out)])
def magnitude(x: Any, y: Any) -> Any:
    """hypot(x, y), infinite if one of them is, even beside a NaN, as in C; its gradient at 0 is 0."""
    return select(_is_infinite(x, y), expression.const(float("inf"), x.dtype), hypot(x, y))


def _direction_grad(g: Any, x: Any, y: Any, out: Any) -> list[Any]:
    """Only a turn changes the direction: (y, -x) * y / hypot(x, y)**3."""
    across = direction(y, x)
    turn = g * share(across, magnitude(x, y))
    return [turn * across, -(turn * out)]


def _beside(x: Expr, y: Expr, unit: Expr) -> Expr:
    """x / unit, 1 or -1 if only x is infinite."""
    alone = eq(expression.absolute(x), float("inf")) & (expression.absolute(y) < float("inf"))
    return select(alone, expression.copysign(1, x), x / unit)


@elementwise(grad=_direction_grad)
def direction(x: Any, y: Any) -> Any:
    """x / hypot(x, y), and 0 at 0: a side of the vector of length 1. Beside an infinite side a finite one is 0."""
    size = _size(x, y)
    unit = select(eq(size, 0), expression.const(1, size.dtype), size)
    p, q = _beside(x, y, unit), _beside(y, x, unit)
    return select(eq(size, 0), x, p / expression.sqrt(p * p + q * q))


# ------------------------------------------------------------------------------------------------ logarithm and root


@elementwise(commutes=True, grad=lambda g, x, y, out: [quotient(g, 0, x, y), quotient(0, g, x, y)])
def log_hypot(x: Any, y: Any) -> Any:
    """log(sqrt(x*x + y*y)), accurate where that is near 1, and without overflow; inf if one is infinite."""
    a, b = expression.absolute(x), expression.absolute(y)
    longer, shorter = expression.maximum(a, b), expression.minimum(a, b)
    ratio = shorter / longer
    far = expression.log(longer) + 0.5 * expression.log1p(ratio * ratio)
    near = 0.5 * expression.log1p((longer - 1) * (longer + 1) + shorter * shorter)
    finite = select((longer > 0.5) & (longer < 2), near, select(eq(longer, 0), expression.log(longer), far))
    return select(_is_infinite(x, y), expression.const(float("inf"), longer.dtype), finite)


def _log1p_grad(g: Any, x: Any, y: Any, out: Any) -> list[Any]:
    return [quotient(g, 0, 1 + x, y), quotient(0, g, 1 + x, y)]


@elementwise(grad=_log1p_grad)
def log1p_hypot(x: Any, y: Any) -> Any:
    """log(sqrt((1 + x)**2 + y*y)), accurate near 0: the square is 1 + x*(2 + x) + y*y."""
    near = 0.5 * expression.log1p(x * (2 + x) + y * y)
    return select(_size(x, y) < 0.5, near, log_hypot(1 + x, y))


def _arctanh_slope(g: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """The parts of g / (1 - z) / (1 + z)."""
    a, b = quotient(g, 0, 1 - x, -y), quotient(0, -g, 1 - x, -y)
    return quotient(a, b, 1 + x, y), quotient(b, -a, 1 + x, y)


def _real_arctanh_grad(g: Any, x: Any, y: Any, out: Any) -> list[Any]:
    re, im = _arctanh_slope(g, x, y)
    return [re, -im]


def _imag_arctanh_grad(g: Any, x: Any, y: Any, out: Any) -> list[Any]:
    re, im = _arctanh_slope(g, x, y)
    return [im, re]


@elementwise(grad=_real_arctanh_grad)
def real_arctanh(x: Any, y: Any) -> Any:
    """The real part of arctanh(x + iy): log(|1 + z| / |1 - z|), whose squares differ by 4*x.

    Nearer to 1 than the spacing of numbers, 1 - z is -iy, and the quotient of the squares may overflow.
    """
    size = expression.absolute(x)
    p, q = expression.absolute(1 - size), expression.absolute(y)
    longer, shorter = expression.maximum(p, q), expression.minimum(p, q)
    slope = shorter / longer
    ratio = 4 * (size / longer / (1 + slope * slope) / longer)
    near = 0.5 * (LN2 - expression.log(longer))
    found = rare(longer < float(np.finfo(size.dtype).eps) / 4, near, 0.25 * expression.log1p(ratio))
    return expression.copysign(found, x)


@elementwise(grad=_imag_arctanh_grad)
def imag_arctanh(x: Any, y: Any) -> Any:
    """The imaginary part of arctanh(x + iy): half of what 1 + z and 1 - z differ in by their angles."""
    return 0.5 * (expression.arctan2(y, 1 + x) - expression.arctan2(-y, 1 - x))


def _root(x: Expr, y: Expr) -> Expr:
    """sqrt((|x + iy| + |x|) / 2): the greater part of the root."""
    size = _size(x, y)
    unit = select(eq(size, 0), expression.const(1, size.dtype), size)
    p, q = expression.absolute(x) / unit, expression.absolute(y) / unit
    plain = expression.sqrt(size) * expression.sqrt(0.5 * (p + expression.sqrt(p * p + q * q)))
    return select(_is_infinite(x, y), expression.const(float("inf"), size.dtype), plain)


def _real_sqrt_grad(g: Any, x: Any, y: Any, u: Any) -> list[Any]:
    return _root_grad(0.5 * g, 0, u, imag_sqrt(x, y))


def _imag_sqrt_grad(g: Any, x: Any, y: Any, v: Any) -> list[Any]:
    return _root_grad(0, -0.5 * g, real_sqrt(x, y), v)


def _root_grad(a: Any, b: Any, u: Any, v: Any) -> list[Any]:
    """The real parts of (a + ib) / (u + iv) and of i times it: the root u + iv has the derivative 1 / (2*(u + iv))."""
    return [quotient(a, b, u, v), -quotient(b, -a, u, v)]


@elementwise(grad=_real_sqrt_grad)
def real_sqrt(x: Any, y: Any) -> Any:
    """The real part of sqrt(x + iy), not negative."""
    greater, size = _root(x, y), expression.absolute(y)
    finite = select(x < 0, size / (2 * greater), greater)
    return select(eq(size, float("inf")), size, finite)


@elementwise(grad=_imag_sqrt_grad)
def imag_sqrt(x: Any, y: Any) -> Any:
    """The imaginary part of sqrt(x + iy), with the sign of y."""
    greater = _root(x, y)
    finite = select(x < 0, expression.copysign(greater, y), y / (2 * greater))
    return select(eq(greater, 0) | eq(expression.absolute(y), float("inf")), y, finite)

"""Elementwise special functions: the error functions and the gamma function.

erf, erfc, gamma, gammaln and digamma are scalar primitives. The others are published rational approximations; float16
is computed in float32, for their coefficients do not fit it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph import expression
from symgraph.expression import Expr, Operand, cast, fma, select
from symgraph.kinds import Elementwise, elementwise, primitive
from symgraph.ops.elementwise import FLOAT, documented, neg, round, sqr, switch
from symgraph.ops.transcendental import sin

__all__ = ["erf", "erfc", "erfcx", "erfinv", "erfcinv", "gamma", "gammaln", "psi"]

ROOT_PI = math.sqrt(math.pi)
Coefficients = tuple[float, ...]


def horner(x: Expr, coefficients: Coefficients) -> Expr:
    """The polynomial in ``x`` with these coefficients, the highest power first."""
    total: Operand = coefficients[0]
    for c in coefficients[1:]:
        total = total * x + c
    return total  # type: ignore[return-value]


def _in_float32(body: Callable[..., Expr]) -> Callable[[Any], Expr]:
    """``body``, with float16 computed in float32."""

    def widened(x: Expr) -> Expr:
        return cast(body(cast(x, "float32")), "float16") if x.dtype == "float16" else body(x)

    widened.__name__, widened.__doc__ = body.__name__, body.__doc__
    return widened


# ------------------------------------------------------------------------------------------------ exp of a square


def _exp_of_square(x: Expr, sign: int) -> Expr:
    """exp(sign*x*x), the rounding of x*x made good: it would be magnified x*x times."""
    square = x * x
    lost = select(square < float("inf"), fma(x, x, -square), expression.const(0, x.dtype))
    e = expression.exp(square if sign > 0 else -square)
    return select(e < float("inf"), e + e * lost if sign > 0 else e - e * lost, e)


@elementwise(grad=lambda g, x, y: [g * (-2 * x * y)])
def exp_neg_sqr(x: Any) -> Any:
    """exp(-x*x), accurate in the tails."""
    return _exp_of_square(x, -1)


@elementwise(grad=lambda g, x, y: [g * (2 * x * y)])
def exp_sqr(x: Any) -> Any:
    """exp(x*x), accurate for large x."""
    return _exp_of_square(x, 1)


# ------------------------------------------------------------------------------------------------ error functions

erf = primitive(
    "erf", doc=documented("The error function, 2/sqrt(pi) times the integral of exp(-t*t) from 0 to x.", 1, FLOAT),
    grad=lambda g, x, y: [g * (2 / ROOT_PI * exp_neg_sqr(x))],
)  # fmt: skip
erfc = primitive(
    "erfc", doc=documented("1 - erf(x), accurate where it is tiny.", 1, FLOAT),
    grad=lambda g, x, y: [g * (-2 / ROOT_PI * exp_neg_sqr(x))],
)  # fmt: skip

_CENTRE = (
    (1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2,
     3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)  # fmt: skip
_MIDDLE = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
     2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
     1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
     3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
)  # fmt: skip
_FAR = (
    (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
     1.60837851487422766e-2, 6.58749161529837803e-4),
    (1.0, 2.56852019228982242e0, 1.87295284992346725e0, 5.27905102951428412e-1, 6.05183413124413191e-2,
     2.33520497626869185e-3),
)  # fmt: skip


def _ratio(x: Expr, tables: tuple[Coefficients, Coefficients]) -> Expr:
    top, bottom = tables
    return horner(x, top) / horner(x, bottom)


_SERIES = tuple((-1) ** k * math.prod(range(1, 2 * k + 2, 2)) / 2 ** (k + 1) / ROOT_PI for k in range(11, -1, -1))


def _far_remainder(x: Expr) -> Expr:
    """R in x*erfcx(x) = 1/sqrt(pi) - R for x > 4: about 1/(2*sqrt(pi)*x*x); from 10 on by the asymptotic series, for
    the rational approximation is right to the last digit of 1/sqrt(pi), not of R."""
    z = 1 / (x * x)
    return z * select(x > 10, horner(expression.minimum(z, 0.01), _SERIES), _ratio(z, _FAR))


def _erfcx_grad(g: Any, x: Any, y: Any) -> list[Any]:
    return [g * erfcx_slope(x)]


@elementwise(grad=_erfcx_grad)
@_in_float32
def erfcx(x: Any) -> Any:
    """exp(x*x)*erfc(x), the scaled complement of the error function; about 1/(x*sqrt(pi)) for large x.

    Three rational approximations by |x|, below 1/2, below 4 and above; 2*exp(x*x) - erfcx(-x) for x < 0.

    References
    ----------
    Cody (1969), "Rational Chebyshev approximations for the error function", Math. Comp. 23.
    """
    size = expression.absolute(x)
    small = expression.minimum(size, 0.5)
    grown = _exp_of_square(expression.minimum(size, 30.0), 1)  # exp(30*30) is inf already
    centre = grown * (1 - small * _ratio(small * small, _CENTRE))
    middle = _ratio(expression.minimum(size, 4.0), _MIDDLE)
    beyond = expression.maximum(size, 4.0)
    far = (1 / ROOT_PI - _far_remainder(beyond)) / beyond
    right = select(size <= 0.5, centre, select(size <= 4, middle, far))
    return select(expression.isnan(x), x, select(x < 0, 2 * grown - right, right))


@elementwise(grad=lambda g, x, y: [g * (2 * (erfcx(x) + x * y))])
@_in_float32
def erfcx_slope(x: Any) -> Any:
    """2*x*erfcx(x) - 2/sqrt(pi), the slope of erfcx; for x > 4, where that cancels, from the remainder alone."""
    return select(x > 4, -2 * _far_remainder(expression.maximum(x, 4.0)), 2 * x * erfcx(x) - 2 / ROOT_PI)


def _log_tail(x: Expr, scale: float) -> Expr:
    """log(scale*erfc(x)) for x > 0: from 4 on by erfcx, which does not underflow."""
    far = expression.log(scale * erfcx(expression.maximum(x, 4.0))) - x * x
    return select(x < 4, expression.log(scale * erfc(expression.minimum(x, 4.0))), far)


def _log_erfc_grad(g: Any, x: Any, y: Any) -> list[Any]:
    return [g * (-2 / ROOT_PI / erfcx(x))]


@elementwise(grad=_log_erfc_grad)
@_in_float32
def log_erfc(x: Any) -> Any:
    """log(erfc(x)), finite where erfc underflows: about -x*x; accurate near 0, where it passes 0."""
    return select(x < 0.5, expression.log1p(-erf(expression.minimum(x, 0.5))), _log_tail(x, 1.0))


@elementwise(grad=_log_erfc_grad)
@_in_float32
def log_half_erfc(x: Any) -> Any:
    """log(erfc(x)/2), finite where erfc underflows; accurate for negative x, where it is near 0.

    The logarithm of the normal distribution function at y is this at -y/sqrt(2).
    """
    return select(x < 0, expression.log1p(-0.5 * erfc(-expression.minimum(x, 0))), _log_tail(x, 0.5))


_QUANTILE_CENTRE = (
    (2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
     1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0),
    (5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
     5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0),
)  # fmt: skip
_QUANTILE_MIDDLE = (
    (7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e0,
     3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0),
    (1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
     6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0, 1.0),
)  # fmt: skip
_QUANTILE_FAR = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
     2.96560571828504891230e-1, 1.78482653991729133580e0, 5.46378491116411436990e0, 6.65790464350110377720e0),
    (2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
     1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0),
)  # fmt: skip


def _quantile(middle: Expr, tail: Expr) -> Expr:
    """The normal quantile of 1/2 + ``middle`` over sqrt(2); ``tail`` is the smaller of it and its complement."""
    centre = middle * _ratio(0.180625 - middle * middle, _QUANTILE_CENTRE)
    r = expression.sqrt(-expression.log(tail))
    outer = select(r <= 5, _ratio(r - 1.6, _QUANTILE_MIDDLE), _ratio(expression.minimum(r, 30.0) - 5, _QUANTILE_FAR))
    far = select(expression.eq(tail, 0), expression.const(float("inf"), tail.dtype), outer)
    signed = select(middle < 0, -far, far)
    return select(expression.absolute(middle) <= 0.425, centre, signed) * math.sqrt(0.5)


@elementwise(grad=lambda g, x, y: [g * (ROOT_PI / 2 * exp_sqr(y))])
@_in_float32
def erfinv(x: Any) -> Any:
    """The y with erf(y) = x: inf at 1, -inf at -1, NaN outside.

    References
    ----------
    Wichura (1988), "Algorithm AS 241: the percentage points of the normal distribution", Appl. Statist. 37(3).
    """
    return _quantile(0.5 * x, 0.5 * (1 - expression.absolute(x)))


@elementwise(grad=lambda g, x, y: [g * (-ROOT_PI / 2 * exp_sqr(y))])
@_in_float32
def erfcinv(x: Any) -> Any:
    """The y with erfc(y) = x, accurate for tiny x: inf at 0, -inf at 2, NaN outside.

    References
    ----------
    Wichura (1988), "Algorithm AS 241: the percentage points of the normal distribution", Appl. Statist. 37(3).
    """
    return _quantile(0.5 * (1 - x), 0.5 * expression.minimum(x, 2 - x))


# ------------------------------------------------------------------------------------------------ gamma

gamma: Elementwise = primitive(
    "gamma", doc=documented("The gamma function; (x - 1)! for integers.", 1, FLOAT),
    grad=lambda g, x, y: [g * (y * psi(x))],
)  # fmt: skip
gammaln: Elementwise = primitive(
    "gammaln", doc=documented("log(|gamma(x)|).", 1, FLOAT), grad=lambda g, x, y: [g * psi(x)]
)


@elementwise(grad=lambda g, x, y, out: [g * (out * psi(x)), -(g * (out * psi(y)))])
def gamma_ratio(x: Any, y: Any) -> Any:
    """gamma(x) / gamma(y), by their logarithms where one overflows."""
    above, below = expression.gamma(x), expression.gamma(y)
    large = expression.eq(above, float("inf")) | expression.eq(below, float("inf"))
    apart = expression.exp(expression.gammaln(x) - expression.gammaln(y))
    return select((x > 1) & (y > 1) & large, apart, above / below)


@elementwise(grad=lambda g, x, y: [g * psi(x)])
def log_gamma(x: Any) -> Any:
    """log(gamma(x)), finite where gamma overflows; NaN where it is negative, as gammaln is not."""
    near = expression.log(expression.gamma(expression.minimum(x, 5.0)))
    return select(x > 5, expression.gammaln(expression.maximum(x, 5.0)), near)


@elementwise(grad=lambda g, x, y: [g * psi(x)])
def log_abs_gamma(x: Any) -> Any:
    """log(|gamma(x)|): gammaln where gamma is out of range; NaN at the poles below 0, where gamma is, as gammaln is
    not."""
    size = expression.absolute(expression.gamma(x))
    lost = (size < float(np.finfo(x.dtype).tiny)) | expression.eq(size, float("inf"))
    return select(lost, expression.gammaln(x), expression.log(size))


psi: Elementwise = primitive(
    "digamma", "psi", doc=documented("The digamma function: the slope of gammaln.", 1, FLOAT),
    grad=lambda g, x, y: [g * _psi_slope(x)],
)  # fmt: skip


def _psi_slope(x: Any) -> Any:
    """The trigamma function: on the left by reflection, (pi / sin(pi*x))**2 - trigamma(1 - x)."""
    left = x < 0.5
    turn = math.pi / sin(math.pi * (x - round(x)))
    tail = trigamma_right(switch(left, 1 - x, x))
    return switch(left, sqr(turn), 0) + switch(left, neg(tail), tail)


@elementwise
def trigamma_right(x: Any) -> Any:
    """The trigamma function for x > 0: recurrence to x + 10, then the asymptotic series.

    The body has no kink, so its derivatives of every order follow from it.

    References
    ----------
    Abramowitz, Stegun (1964), 6.4.6 and 6.4.12.
    """
    shift = expression.const(0, x.dtype)
    for k in range(10):
        shift = shift + 1 / ((x + k) * (x + k))
    z = 1 / (x + 10)
    w = z * z
    series = horner(w, (-691 / 2730, 5 / 66, -1 / 30, 1 / 42, -1 / 30, 1 / 6))
    return shift + (z + w * (0.5 + z * series))

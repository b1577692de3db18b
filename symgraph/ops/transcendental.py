"""Elementwise exponentials, logarithms, powers of two and ten, circular and hyperbolic functions.

Where a shorter form would overflow or cancel for a finite input, the longer one is taken, in values and in gradients.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph import expression
from symgraph.expression import Expr, select
from symgraph.kinds import Elementwise, elementwise, primitive
from symgraph.op import attach
from symgraph.ops.elementwise import COMPLEX_FLOAT, FLOAT, absolute, documented, eq, isinf, maximum, sgn, sqr, switch

__all__ = [
    "exp", "log", "sqrt", "cbrt", "log1p", "expm1", "exp2", "log2", "log10",
    "sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2",
    "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh",
    "deg2rad", "rad2deg", "sigmoid", "softplus", "log_sigmoid", "xlogx", "xlogy0", "logaddexp", "log1mexp",
]  # fmt: skip

LN2, LN10 = math.log(2), math.log(10)


def _of(prim: str, line: str, grad: Any, arity: int = 1) -> Elementwise:
    return primitive(prim, doc=documented(line, arity, FLOAT if arity == 2 else COMPLEX_FLOAT), grad=grad)


# ------------------------------------------------------------------------------------------------ exponentials

exp = _of("exp", "e**x.", lambda g, x, y: [g * y])
expm1 = _of("expm1", "e**x - 1, accurate near 0.", lambda g, x, y: [g * exp(x)])
exp2 = _of("exp2", "2**x.", lambda g, x, y: [g * (y * LN2)])
log = _of("log", "The natural logarithm of x; -inf at 0, NaN below.", lambda g, x, y: [g / x])
log1p = _of("log1p", "log(1 + x), accurate near 0.", lambda g, x, y: [g / (1 + x)])
log2 = _of("log2", "The logarithm of x to base 2.", lambda g, x, y: [g / (x * LN2)])
log10 = _of("log10", "The logarithm of x to base 10.", lambda g, x, y: [g / (x * LN10)])
sqrt = _of("sqrt", "The square root of x, NaN below 0; its gradient at 0 is inf.", lambda g, x, y: [g * (0.5 / y)])
cbrt = _of("cbrt", "The cube root of x, negative below 0; its gradient at 0 is inf.", lambda g, x, y: [g / (3 * y * y)])


@elementwise(grad=lambda g, x, s, y: [g * s, g * x])
def exponent_of_power(x: Any, s: Any) -> Any:
    """x*s, the exponent of exp(x)**s: 0 where one of them is 0, whatever the other is."""
    return select(expression.eq(x, 0) | expression.eq(s, 0), expression.const(0, x.dtype), x * s)


@elementwise(grad=lambda g, x, s, y: [g * (y * s), g * (y * x)])
def exp_product(x: Any, s: Any) -> Any:
    """exp(x)**s = exp(x*s), with what the product rounds off put back."""
    product = exponent_of_power(x, s)
    lost = expression.fma(x, s, -product)
    return expression.exp(product) * (1 + select(expression.absolute(lost) < 1, lost, expression.const(0, x.dtype)))


# ------------------------------------------------------------------------------------------------ circular functions


def _arctan2_grad(g: Any, x: Any, y: Any, out: Any) -> list[Any]:
    """(y, -x) / (x*x + y*y), scaled by the larger so that no square overflows or vanishes."""
    size = maximum(absolute(x), absolute(y))
    a, b = x / size, y / size
    norm = (sqr(a) + sqr(b)) * size
    return [g * (b / norm), -(g * (a / norm))]


sin = _of("sin", "The sine of x radians.", lambda g, x, y: [g * cos(x)])
cos: Elementwise = _of("cos", "The cosine of x radians.", lambda g, x, y: [-(g * sin(x))])
tan = _of("tan", "The tangent of x radians.", lambda g, x, y: [g * (1 + sqr(y))])
arcsin = _of("arcsin", "The angle in [-pi/2, pi/2] whose sine is x.", lambda g, x, y: [g / sqrt((1 - x) * (1 + x))])
arccos = _of("arccos", "The angle in [0, pi] whose cosine is x.", lambda g, x, y: [-(g / sqrt((1 - x) * (1 + x)))])
arctan = _of("arctan", "The angle in [-pi/2, pi/2] whose tangent is x.", lambda g, x, y: [g / (1 + sqr(x))])
arctan2 = _of("arctan2", "The angle of the point (y, x), in [-pi, pi].", _arctan2_grad, 2)


@elementwise(reference=np.deg2rad)
def deg2rad(x: Any) -> Any:
    """x degrees in radians; integers become floatX."""
    return x * (math.pi / 180)


@elementwise(reference=np.rad2deg)
def rad2deg(x: Any) -> Any:
    """x radians in degrees; integers become floatX."""
    return x * (180 / math.pi)


def share(side: Any, length: Any) -> Any:
    return switch(eq(length, 0), 0, side / length)


def root_in_range(s: Expr, size: Expr, scaled: Callable[[Expr], Expr]) -> Expr:
    """sqrt(s) where ``size``, of which s is made, is in range, else by ``scaled(k)``, s*k*k, with a power of two k."""
    info = np.finfo(s.dtype)
    far = 2.0 ** (3 * info.maxexp // 4)
    fine = (size >= float(info.tiny / info.eps)) & (size < float("inf"))
    k = select(size > 1, expression.const(1 / far, s.dtype), far)
    return expression.rare(~fine, expression.sqrt(scaled(k)) / k, expression.sqrt(s))


@elementwise(commutes=True, grad=lambda g, x, y, out: [g * share(x, out), g * share(y, out)])
def hypot(x: Any, y: Any) -> Any:
    """sqrt(x*x + y*y), scaled where a square overflows or vanishes; its gradient at 0 is 0."""
    s = x * x + y * y
    return root_in_range(s, s, lambda k: (x * k) * (x * k) + (y * k) * (y * k))


def _shifted_root_grad(g: Any, x: Any, y: Any, out: Any) -> list[Any]:
    return [g * switch(isinf(x), sgn(x), share(x, out)), g * (0.5 / out)]


@elementwise(grad=_shifted_root_grad)
def shifted_root(x: Any, y: Any) -> Any:
    """sqrt(x*x + y), scaled where the square overflows or vanishes; its gradient by x is 0 at 0, and that of abs(x) at
    infinity."""
    size = x * x + expression.absolute(y)
    return root_in_range(x * x + y, size, lambda k: (x * k) * (x * k) + y * k * k)


# ------------------------------------------------------------------------------------------------ hyperbolic functions


@elementwise(grad=lambda g, x, y: [g * (-2 * (y * tanh(x)))])
def sech2(x: Any) -> Any:
    """1 - tanh(x)**2, the slope of tanh, without cancellation: 4e / (1 + e)**2 with e = exp(-2|x|)."""
    e = expression.exp(-2 * expression.absolute(x))
    return 4 * e / ((1 + e) * (1 + e))


@elementwise(grad=lambda g, x, y: [-(g * (y * tanh(x)))])
def sech(x: Any) -> Any:
    """1 / cosh(x): 2e / (1 + e**2) with e = exp(-|x|), so that nothing overflows."""
    e = expression.exp(-expression.absolute(x))
    return 2 * e / (1 + e * e)


@elementwise(grad=lambda g, x, y: [g * tanh(x)])
def log_cosh(x: Any) -> Any:
    """log(cosh(x)), about |x| where cosh overflows; for small x by log1p(2*sinh(x/2)**2), for it is x*x/2 there."""
    size = expression.absolute(x)
    half = expression.sinh(0.5 * expression.minimum(size, 1.0))
    far = size - LN2 + expression.log1p(expression.exp(-2 * size))
    return select(size < 1, expression.log1p(2 * half * half), far)


sinh = _of("sinh", "The hyperbolic sine of x.", lambda g, x, y: [g * cosh(x)])
cosh: Elementwise = _of("cosh", "The hyperbolic cosine of x.", lambda g, x, y: [g * sinh(x)])
tanh: Elementwise = _of("tanh", "The hyperbolic tangent of x.", lambda g, x, y: [g * sech2(x)])
arcsinh = _of("arcsinh", "The inverse of sinh.", lambda g, x, y: [g / hypot(x, 1)])
arccosh = _of("arccosh", "The inverse of cosh, at least 0; NaN below 1.",
              lambda g, x, y: [g / (sqrt(x - 1) * sqrt(x + 1))])  # fmt: skip
arctanh = _of("arctanh", "The inverse of tanh; NaN outside [-1, 1].", lambda g, x, y: [g / ((1 - x) * (1 + x))])

# ------------------------------------------------------------------------------------------------ the logistic family


def logistic(x: Expr) -> Expr:
    """1 / (1 + exp(-x)): the exponential only ever sees a non-positive argument."""
    e = expression.exp(-expression.absolute(x))
    return select(x < 0, e, expression.const(1, x.dtype)) / (1 + e)


def log1p_exp(x: Expr) -> Expr:
    """log(1 + exp(x)): the exponential only ever sees a non-positive argument."""
    return expression.maximum(x, 0) + expression.log1p(expression.exp(-expression.absolute(x)))


@elementwise(grad=lambda g, x, y: [g * (0.25 * sech2(0.5 * x))])
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), without overflow, and accurate where it is tiny.

    Its gradient sigmoid(x)*sigmoid(-x) = sech(x/2)**2 / 4 is accurate on both sides, unlike y*(1 - y).
    """
    return logistic(x)


@elementwise(grad=lambda g, x, y: [g / x / (1 - x)])
def logit(x: Any) -> Any:
    """log(x / (1 - x)), the inverse of sigmoid: below 1/2 -log1p((1 - 2x) / x), above it log1p((2x - 1) / (1 - x)), of
    which nothing is rounded beside 1/2 but the quotient."""
    low = x < 0.5
    ratio = expression.absolute(1 - 2 * x) / select(low, x, 1 - x)
    size = expression.log1p(ratio)
    end = ~(expression.absolute(ratio) < float("inf"))
    return expression.rare(end, expression.log(x / (1 - x)), select(low, -size, size))


@elementwise(grad=lambda g, x, y: [g * sigmoid(x)], reference=lambda x: np.logaddexp(x, np.zeros_like(x)))
def softplus(x: Any) -> Any:
    """log(1 + exp(x)), finite for every finite x.

    ``exp`` only ever sees a non-positive argument, so it cannot overflow.
    Reference: Maechler (2012), "Accurately computing log(1 - exp(-|a|))".
    """
    return log1p_exp(x)


@elementwise(grad=lambda g, x, y: [g * sigmoid(-x)], reference=lambda x: -np.logaddexp(-x, np.zeros_like(x)))
def log_sigmoid(x: Any) -> Any:
    """log(sigmoid(x)) = -softplus(-x), finite for every finite x."""
    return -log1p_exp(-x)


def _rounded_off(dtype: str) -> float:
    """Below this exp(x) is nothing beside 1."""
    return math.log(np.finfo(dtype).eps)


def _log_softplus_grad(g: Any, x: Any, y: Any) -> list[Any]:
    return [g * switch(x < _rounded_off(x.dtype), 1, sigmoid(x) / softplus(x))]


@elementwise(grad=_log_softplus_grad)
def log_softplus(x: Any) -> Any:
    """log(log(1 + exp(x))); far below 0, where softplus(x) is exp(x) and may underflow, x.

    It passes 0 at log(e - 1), 554/1024 and a little, where the rounding of softplus is as large as it: there
    softplus(x) is 1 + log1p((1 - 1/e) * expm1(x - log(e - 1))).
    """
    beside = x - 554 / 1024
    root = expression.log1p((1 - math.exp(-1)) * expression.expm1(beside - 0.00030922961291810))
    near = select(expression.absolute(beside) < 1, expression.log1p(root), expression.log(log1p_exp(x)))
    return select(x < _rounded_off(x.dtype), x, near)


def _gap(x: Any, y: Any) -> Any:
    """x - y, and 0 between equal infinities."""
    return switch(eq(x, y) & isinf(x), 0, x - y)


@elementwise(
    commutes=True, reference=np.logaddexp,
    grad=lambda g, x, y, out: [g * sigmoid(_gap(x, y)), g * sigmoid(_gap(y, x))],
)  # fmt: skip
def logaddexp(x: Any, y: Any) -> Any:
    """log(exp(x) + exp(y)), without overflow; right for infinities."""
    gap = select(expression.eq(x, y), expression.const(0, x.dtype), x - y)
    return expression.maximum(x, y) + expression.log1p(expression.exp(-expression.absolute(gap)))


def _logsubexp_grad(g: Any, x: Any, y: Any, out: Any) -> list[Any]:
    """-1 / expm1(y - x), and exp(y - x) times that, negated: no exponential of a positive number."""
    gap = _gap(y, x)
    return [-(g / expm1(gap)), g * (exp(gap) / expm1(gap))]


@elementwise(grad=_logsubexp_grad)
def logsubexp(x: Any, y: Any) -> Any:
    """log(exp(x) - exp(y)) for x >= y, without overflow; NaN where x < y."""
    gap = select(expression.eq(x, y) & (x < float("inf")), expression.const(0, x.dtype), y - x)
    return x + select(gap > -LN2, expression.log(-expression.expm1(gap)), expression.log1p(-expression.exp(gap)))


@elementwise(grad=lambda g, x, y: [g * (exp(x) / expm1(x))])
def log1mexp(x: Any) -> Any:
    """log(1 - exp(x)) for x <= 0: accurate for x near 0 and for very negative x; NaN above 0.

    Reference: Maechler (2012), "Accurately computing log(1 - exp(-|a|))": the switch is at -log(2).
    """
    return select(x > -LN2, expression.log(-expression.expm1(x)), expression.log1p(-expression.exp(x)))


def _log1mexp_of_exp_grad(g: Any, x: Any, y: Any) -> list[Any]:
    """t / (exp(t) - 1) with t = exp(x): 1 where t underflows, 0 where it overflows."""
    t = exp(x)
    return [g * switch(eq(t, 0), 1, switch(t > 1000, 0, t / expm1(t)))]


@elementwise(grad=_log1mexp_of_exp_grad)
def log1mexp_of_exp(x: Any) -> Any:
    """log(1 - exp(-exp(x))), the logarithm of the inverse of the complementary log-log link; x where exp(x) underflows.
    """
    t = expression.exp(x)
    small = select(x < _rounded_off(x.dtype), x, expression.log(-expression.expm1(-t)))
    return select(t > LN2, expression.log1p(-expression.exp(-t)), small)


# ------------------------------------------------------------------------------------------------ x log y


@elementwise(grad=lambda g, x, y: [g * (1 + log(x))])
def xlogx(x: Any) -> Any:
    """x*log(x), and 0 at 0."""
    return select(expression.eq(x, 0), expression.const(0, x.dtype), x * expression.log(x))


def _unless_zero(x: Expr, y: Expr, value: Expr) -> Expr:
    """x*value, and 0 where x is 0; ``value`` is of ``y``, whose NaN stays."""
    return select(expression.eq(x, 0) & expression.eq(y, y), expression.const(0, x.dtype), x * value)


@elementwise(
    grad=lambda g, x, y, out: [
        switch(eq(x, 0) & (y <= 0), 0, g * log(y)), switch(eq(x, 0) & eq(y, 0), 0, g * (x / y))
    ]
)  # fmt: skip
def xlogy0(x: Any, y: Any) -> Any:
    """x*log(y), and 0 where x is 0; a NaN stays a NaN."""
    return _unless_zero(x, y, expression.log(y))


@elementwise(
    grad=lambda g, x, y, out: [
        switch(eq(x, 0) & (y <= -1), 0, g * log1p(y)), switch(eq(x, 0) & eq(y, -1), 0, g * (x / (1 + y)))
    ]
)  # fmt: skip
def xlog1py0(x: Any, y: Any) -> Any:
    """x*log(1 + y), and 0 where x is 0; accurate for y near 0, and a NaN stays a NaN."""
    return _unless_zero(x, y, expression.log1p(y))


@elementwise(grad=lambda g, x, y, out: [switch(eq(x, 0) & eq(y, -np.inf), 0, g * y), g * x])
def times_log0(x: Any, y: Any) -> Any:
    """x*y, and 0 where x is 0: ``y`` is the logarithm of what ``xlogy0`` would take."""
    return _unless_zero(x, y, y)


for _op in (exp, log, sqrt, sin, cos, tan, sinh, cosh, tanh):
    attach(_op.name, _op)

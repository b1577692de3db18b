"""exp, exp2, expm1: x = n*log(2) + r, a polynomial in r, and n in the exponent field."""

from __future__ import annotations

import math

from codegen.numerics.parts import (
    Table,
    Two,
    above,
    below,
    fast_sum,
    format_of,
    nearest,
    polynomial,
    power_of_two,
    same,
    times_power,
)
from symgraph.expression import Expr, absolute, fma, select

LOG2_E = 1 / math.log(2)

# log(2) as a head whose products with n are exact in fma, and what is missing
LN2 = {"float32": (0.693145752, 1.42860677e-6), "float64": (0.6931471805599453, 2.3190468138462996e-17)}

_EXP: Table = {
    "float32": (
        0.49999994, 0.16666521, 0.041668262, 0.008368674, 0.0013821044,
    ),
    "float64": (
        0.5000000000000011, 0.1666666666666646, 0.041666666666528504, 0.008333333333472625, 0.0013888888943808845,
        0.00019841269542401446, 2.480149304230795e-05, 2.7557561115232657e-06, 2.7630244374175906e-07,
        2.500656416281574e-08,
    ),
}  # fmt: skip

_EXP2: Table = {
    "float32": (
        0.6931472, 0.24022648, 0.055503596, 0.009618499, 0.0013390972, 0.00015329289,
    ),
    "float64": (
        0.6931471805599453, 0.24022650695910108, 0.05550410866482172, 0.0096181291076016, 0.0013333558146546498,
        0.0001540353044904278, 1.5252733633725563e-05, 1.3215438832252322e-06, 1.0178160161884927e-07,
        7.073233710885233e-09, 4.4388446892159515e-10,
    ),
}  # fmt: skip

_EXPM1: Table = {
    "float32": (
        0.5, 0.1666667, 0.04166659, 0.008332042, 0.0013917842, 0.00020942155,
    ),
    "float64": (
        0.5, 0.16666666666666666, 0.04166666666666743, 0.008333333333335436, 0.0013888888888217656,
        0.00019841269835097435, 2.4801589303918142e-05, 2.755731628538233e-06, 2.755482449135176e-07,
        2.5074467866971613e-08, 2.2002062818679097e-09,
    ),
}  # fmt: skip

# beyond these the result is 0, inf or -1; that of exp also where it is halved
_EXP_RANGE = {"float32": (-104.0, 90.0), "float64": (-746.0, 711.0)}
_EXP2_RANGE = {"float32": (-151.0, 129.0), "float64": (-1076.0, 1025.0)}
_EXPM1_RANGE = {"float32": (-18.0, 89.0), "float64": (-38.0, 710.0)}


def clamped(x: Expr, bounds: tuple[float, float]) -> Expr:
    """``x`` within ``bounds``; a NaN stays."""
    return above(below(x, bounds[1]), bounds[0])


def remainder(x: Expr, n: Expr) -> Expr:
    """x - n*log(2)."""
    head, tail = LN2[x.dtype]
    return fma(n, -tail, fma(n, -head, x))


def remainder_in_two(x: Expr, n: Expr) -> Two:
    """x - n*log(2), with what rounding takes from it."""
    head, tail = LN2[x.dtype]
    first = fma(n, -head, x)
    high = fma(n, -tail, first)
    return Two(high, fma(n, -tail, first - high))


def remainder_of_sum(x: Two, n: Expr) -> Expr:
    """x.high + x.low - n*log(2)."""
    head, tail = LN2[n.dtype]
    return fma(n, -head, x.high) + fma(n, -tail, x.low)


def exp_kernel(r: Expr) -> Expr:
    """exp(r) for |r| <= log(2)/2: 1 + r + r^2 p(r), by Horner's rule (tools/minimax.py, EXP: 2^-28.3, 2^-57.9)."""
    return polynomial(r, (1.0, 1.0, *_EXP[r.dtype]))


def exp_less_one(r: Expr) -> Expr:
    """exp(r) - 1 for |r| <= log(2)/2, right to an ulp of exp(r)."""
    return fma(r * r, polynomial(r, _EXP[r.dtype]), r)


def exp(x: Expr, halvings: int = 0) -> Expr:
    """2^n exp(x - n*log(2)), n = rint(x/log(2)); at most 0.9 ulp. Divided by 2**halvings.

    The range reduction is that of Cody and Waite (1980), with fma.
    """
    x = clamped(x, _EXP_RANGE[x.dtype])
    n, biased = nearest(x, LOG2_E, 2 * format_of(x).bias - halvings)
    return times_power(exp_kernel(remainder(x, n)), biased)


def moderate_exp(x: Expr) -> Expr:
    """``exp`` where neither ``x`` nor the result is extreme: |x| < 86, or 700 for float64."""
    f = format_of(x)
    n, biased = nearest(x, LOG2_E, f.bias)
    return exp_kernel(remainder(x, n)) * power_of_two(biased, f)


def exp2_kernel(r: Expr) -> Expr:
    """2^r = 1 + r p(r) for |r| <= 1/2 (tools/minimax.py, EXP2: 2^-28.3, 2^-57.8)."""
    return polynomial(r, (1.0, *_EXP2[r.dtype]))


def exp2(x: Expr) -> Expr:
    """2^n 2^(x - n), n = rint(x); at most 0.8 ulp, and exact for integers."""
    x = clamped(x, _EXP2_RANGE[x.dtype])
    n, biased = nearest(x, 1.0, 2 * format_of(x).bias)
    return times_power(exp2_kernel(x - n), biased)


def expm1_rest(r: Two) -> Expr:
    """expm1(r) - r.high for log(3/4) <= r <= log(3/2): r^2 p(r) (tools/minimax.py, EXPM1: 2^-31.3, 2^-61.3)."""
    x = r.high
    return fma(x * x, polynomial(x, _EXPM1[x.dtype]), fma(x, r.low, r.low))


def expm1(x: Expr) -> Expr:
    """2^n expm1(x - n*log(2)) + (2^n - 1); at most 1 ulp.

    n changes at log(3/2) and not at log(2)/2, so that |expm1(r)| is below 1/4 for n = 1 and below 1/2 for n = -1, where
    it cancels. All is done at 2^(n - 1), which is finite where the result is. A tiny ``x`` is its own result: that
    keeps the sign of zero and the last bits of subnormals.
    """
    f = format_of(x)
    y = clamped(x, _EXPM1_RANGE[x.dtype])
    n, biased = nearest(y - 0.0589, LOG2_E, f.bias - 1)
    half = power_of_two(biased, f)
    r = remainder_in_two(y, n)
    large = fast_sum(half - 0.5, half * r.high)
    result = 2 * (large.high + fma(half, expm1_rest(r), large.low))
    return select(absolute(x) < same(x, 2.0 ** -(f.mantissa + 1)), x, result)

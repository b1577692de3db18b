"""tanh, sinh, cosh and their inverses: from exp and log1p, with a polynomial where these would cancel."""

from __future__ import annotations

import math

from codegen.numerics.exponential import exp, moderate_exp
from codegen.numerics.logarithm import log1p, log_of, split_log1p
from codegen.numerics.parts import Table, below, polynomial, same
from symgraph.expression import Expr, absolute, copysign, fma, select, sqrt

_TANH: Table = {
    "float32": (
        -0.333333, 0.13331936, -0.053784717, 0.020798625, -0.0058979667,
    ),
    "float64": (
        -0.33333333333333126, 0.13333333333299768, -0.053968253949335965, 0.02186948800336679, -0.008863226787001653,
        0.003592037451065972, -0.0014552157134667901, 0.0005871895141001889, -0.00023039900210043246,
        7.93164108143864e-05, -1.7179923240708333e-05,
    ),
}  # fmt: skip

_SINH: Table = {
    "float32": (
        0.16666667, 0.0083333105, 0.00019842894, 2.7822293e-06,
    ),
    "float64": (
        0.16666666666666666, 0.008333333333333573, 0.00019841269841061113, 2.7557319310160344e-06,
        2.5052089381146804e-08, 1.6061345388990859e-10, 7.502706307053682e-13, 6.49415148549119e-15,
    ),
}  # fmt: skip

# tanh is 1 from here on
_TANH_RANGE = {"float32": 10.0, "float64": 20.0}

# 1 + x is x from here on
_HUGE = {"float32": 2.0**25, "float64": 2.0**54}


def tanh(x: Expr) -> Expr:
    """1 - 2/(exp(2|x|) + 1), with the sign of ``x``; at most 1.5 ulp.

    Below 0.6 it is x + x^3 p(x^2) (tools/minimax.py, TANH: 2^-28.4, 2^-57.8).
    """
    a = absolute(x)
    big = 1 - 2 / (moderate_exp(2 * below(a, _TANH_RANGE[x.dtype])) + 1)
    z = a * a
    small = fma(a * z, polynomial(z, _TANH[x.dtype]), a)
    return copysign(select(a < same(a, 0.6), small, big), x)


def sinh(x: Expr) -> Expr:
    """exp(|x|)/2 - 1/(2 exp(|x|)), with the sign of ``x``; at most 1.7 ulp.

    Below 1 it is x + x^3 p(x^2) (tools/minimax.py, SINH: 2^-31.6, 2^-63).
    """
    a = absolute(x)
    half = exp(a, halvings=1)
    z = a * a
    small = fma(a * z, polynomial(z, _SINH[x.dtype]), a)
    return copysign(select(a < same(a, 1.0), small, half - 0.25 / half), x)


def cosh(x: Expr) -> Expr:
    """exp(|x|)/2 + 1/(2 exp(|x|)); at most 1.3 ulp."""
    half = exp(absolute(x), halvings=1)
    return half + 0.25 / half


def arcsinh(x: Expr) -> Expr:
    """log1p(a + a^2/(1 + sqrt(1 + a^2))) with a = |x|, and the sign of ``x``; at most 1.8 ulp."""
    a = absolute(x)
    inner = fma(a, a / (1 + sqrt(fma(a, a, 1))), a)
    return copysign(_log1p_or_log_twice(inner, a), x)


def arccosh(x: Expr) -> Expr:
    """log1p(t + sqrt(2t + t^2)) with t = x - 1, NaN below 1; at most 2.2 ulp."""
    t = x - 1
    result = _log1p_or_log_twice(t + sqrt(fma(t, t, 2 * t)), x)
    return select(x < same(x, 1.0), same(x, math.nan), result)


def arctanh(x: Expr) -> Expr:
    """log1p(2a + 2a^2/(1 - a))/2 with a = |x|, and the sign of ``x``; NaN beyond 1; at most 1.7 ulp."""
    a = absolute(x)
    half = 0.5 * log1p(fma(2 * a, a / (1 - a), 2 * a))
    return copysign(select(same(a, 1.0) < a, same(a, math.nan), half), x)


def _log1p_or_log_twice(inner: Expr, a: Expr) -> Expr:
    """log1p(inner), but log(2a) where ``a`` is so large that they agree and its square may overflow; inf at inf."""
    big = same(a, _HUGE[a.dtype]) < a
    k, f = split_log1p(select(big, a, inner))
    return select(a < same(a, math.inf), log_of(select(big, k + 1, k), f), a)

"""erf and erfc."""

from __future__ import annotations

import math
from collections.abc import Callable

from codegen.numerics.exponential import LOG2_E, exp_less_one, moderate_exp, remainder_of_sum
from codegen.numerics.parts import Table, below, exact_product, format_of, nearest, polynomial, power_of_two, same
from symgraph.expression import Expr, absolute, copysign, fma, select

_ERF_NEAR: Table = {
    "float32": (
        0.12837917, -0.37612626, 0.11283579, -0.026853347, 0.005187162, -0.0007997853, 7.806904e-05,
    ),
    "float64": (
        0.1283791670955126, -0.376126389031841, 0.11283791670971118, -0.026866170648040606, 0.005223977652851995,
        -0.000854832854920118, 0.00012055386844800478, -1.4926901130648653e-05, 1.6481439441916894e-06,
        -1.656185434697984e-07, 1.604961336717679e-08, -1.6622935582324834e-09, 1.464029375571455e-10,
    ),
}  # fmt: skip

_ERF_FAR: Table = {
    "float32": (
        -0.00034153814, -1.1270891, -0.6381449, -0.10310666, 0.021837993, -0.0029476287, 0.00018637437,
    ),
    "float64": (
        -2.5274396169978304e-07, -1.1283765924257811, -0.6366319511950282, -0.10273717443217814, 0.019057797246473954,
        0.0003107919054832655, -0.0018034384651415337, 0.0006717195866737715, -6.625871295905342e-05,
        -5.837823604460214e-05, 3.968203732643662e-05, -1.4607793851673594e-05, 3.7905027785089623e-06,
        -7.327666000904235e-07, 1.0597152168916317e-07, -1.1193500804898281e-08, 8.177259483977341e-10,
        -3.6963755541066145e-11, 7.789089305329588e-13,
    ),
}  # fmt: skip

_ERFC_REST: Table = {
    "float32": (
        0.64407367, 0.5595838, 0.22292577, 0.03873256, 1.2930257, 0.7895408, 0.25710258, 0.038737226,
    ),
}  # fmt: skip

_ERFC: Table = {
    "float64": (
        0.2329951186255525, -0.3726162354661152, 0.3879958875687358, -0.3198988333140093, 0.21885976727768167,
        -0.12512693228064722, 0.058796566468527975, -0.021629050908800043, 0.005431316855990242,
        -0.0003993470807407752, -0.0003584262975692219, 0.0001591707009560626, -8.54832983083566e-06,
        -1.5854562641082404e-05, 4.629515145275881e-06, 1.087797018189384e-06, -7.861664724643342e-07,
        -4.823257743095587e-08, 1.108500690932284e-07, 3.917602615732288e-09, -1.173321839641976e-08,
        -1.7444041044166702e-09,
    ),
}  # fmt: skip

# erfc is 0 from here on
_ERFC_RANGE = {"float32": 10.5, "float64": 28.0}


def erf(x: Expr) -> Expr:
    """x + x p(x^2) below 1 and 1 - exp(p(|x|)) above, with the sign of ``x``; at most 1 ulp.

    The second p is log(erfc); erf is 1 from 6 on. Method: Juffa (2018), https://stackoverflow.com/q/35966695
    (tools/minimax.py, ERF_NEAR: 2^-29.4, 2^-56.3, ERF_FAR: 2^-29.8, 2^-58.6).
    """
    a = absolute(x)
    z = a * a
    near = fma(a, polynomial(z, _ERF_NEAR[x.dtype]), a)
    far = 1 - moderate_exp(polynomial(below(a, 6.0), _ERF_FAR[x.dtype]))
    return copysign(select(a < same(a, 1.0), near, far), x)


def erfc(x: Expr) -> Expr:
    """exp(-a^2) (exp(a^2) erfc(a)) with a = |x|, and 2 less that for negative ``x``.

    The second factor varies little; a^2 is formed in two words; the result is rounded once into the subnormals. At most
    3 ulp.
    """
    f = format_of(x)
    lift = 3 * f.mantissa  # so that the product with 2^n is normal for every a
    a = below(absolute(x), _ERFC_RANGE[x.dtype])
    square = exact_product(-a, a)
    n, biased = nearest(square.high, LOG2_E, f.bias + lift)
    decay = exp_less_one(remainder_of_sum(square, n))
    tail = _SCALED[x.dtype](a, decay) * power_of_two(biased, f) * 2.0**-lift
    return select(x < 0, 2 - tail, tail)


def _by_quotients(a: Expr, decay: Expr) -> Expr:
    """(1 + decay)/(1 + sqrt(pi) a - a p(a)/q(a)).

    sqrt(pi) a is what is left for large a, and 1 for small: errors of the quotient count at neither end
    (tools/minimax.py, ERFC_REST: 2^-25.6).
    """
    table = _ERFC_REST[a.dtype]
    rest = polynomial(a, table[:4]) / polynomial(a, (1.0, *table[4:]))
    inverse = 1 / fma(a, math.sqrt(math.pi), fma(-a, rest, 1))
    return fma(inverse, decay, inverse)


def _by_polynomial(a: Expr, decay: Expr) -> Expr:
    """(1 + decay) (1 + t p(t - 1))/(1 + 2a), t = 2a/(a + 4), the quotient right to its last bit.

    Method: Shepherd and Laframboise (1981), Math. Comp. 36; Juffa (2010), https://stackoverflow.com/q/39777360
    (tools/minimax.py, ERFC: 2^-56.1).
    """
    t = 2 * a / (a + 4)
    slow = fma(t, polynomial(t - 1, _ERFC[a.dtype]), 1)
    numerator = fma(slow, decay, slow)
    divisor = fma(2, a, 1)
    inverse = 1 / divisor
    q = numerator * inverse
    rest = fma(-q, divisor, numerator) - q * fma(2, a, 1 - divisor)
    return fma(rest, inverse, q)


_SCALED: dict[str, Callable[[Expr, Expr], Expr]] = {"float32": _by_quotients, "float64": _by_polynomial}

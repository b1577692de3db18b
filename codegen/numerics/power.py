"""pow: 2^(y log2|x|) with the logarithm and the product in two words, and the sign and special cases of C99."""

from __future__ import annotations

import math

from codegen.numerics.exponential import clamped, exp2_kernel
from codegen.numerics.logarithm import split
from codegen.numerics.parts import (
    Table,
    Two,
    exact_product,
    fast_sum,
    format_of,
    nearest,
    polynomial,
    same,
    times_power,
)
from symgraph.expression import Expr, absolute, copysign, eq, fma, ne, select, trunc

_POW: Table = {
    "float32": (
        0.60000587, 0.42788488, 0.35807613,
    ),
    "float64": (
        0.5999999999999959, 0.4285714285736592, 0.3333333328688955, 0.27272732287002655, 0.23076610087643654,
        0.20011713450016624, 0.1738858541877519, 0.1885686697503777,
    ),
}  # fmt: skip

# 2/(3 log(2)) in two words
_TWO_THIRDS = {"float32": (0.9617967, -7.028462e-09), "float64": (0.9617966939259756, 5.0577616648125907e-17)}

# y log2|x| beyond which the result is 0 or inf
_RANGE = {"float32": (-160.0, 130.0), "float64": (-1080.0, 1030.0)}


def pow(x: Expr, y: Expr) -> Expr:
    """x^y; at most 1.6 ulp, and that only for huge exponents of x near 1.

    Special cases by C99, annex F.9.4.4: 1 for y = 0 and for x = 1, whatever the other is; NaN for negative finite ``x``
    and fractional ``y``; the sign of ``x`` (of a zero too) for odd ``y``.
    """
    a = absolute(x)
    magnitude = exp2_of_two(_times(log2_in_two(a), y))
    integral = eq(trunc(y), y)
    odd = integral & ne(trunc(0.5 * y), 0.5 * y)
    signed = select(odd, copysign(magnitude, x), magnitude)
    fractional = (x < 0) & (a < same(a, math.inf)) & ne(trunc(y), y)
    one = eq(x, 1) | eq(y, 0) | (eq(x, -1) & eq(absolute(y), same(y, math.inf)))
    return select(one, same(x, 1), select(fractional, same(x, math.nan), signed))


def log2_in_two(a: Expr) -> Two:
    """log2(a) in two words, to 2^-34 or 2^-63 relative; -inf at 0, inf at inf, a NaN stays.

    With s = f/(2 + f) and z = s^2, all in two words, log(1 + f) = 2/3 s (3 + z + z^2 p(z)), as in fdlibm's e_pow.c
    (tools/minimax.py, POW: 2^-34.5, 2^-69).
    """
    k, f = split(a)
    s = _over_two_more(f)
    z = exact_product(s.high, s.high)
    rest = fma(z.high * z.high, polynomial(z.high, _POW[a.dtype]), fma(2 * s.high, s.low, z.low))
    three = fast_sum(same(z.high, 3), z.high)
    factor = fast_sum(three.high, three.low + rest)
    log = _product(_product(s, factor), Two(*(same(f, c) for c in _TWO_THIRDS[a.dtype])))
    total = fast_sum(k, log.high)
    total = fast_sum(total.high, total.low + log.low)
    high = select(eq(a, 0), same(a, -math.inf), select(a < same(a, math.inf), total.high, a))
    return Two(high, total.low)


def _over_two_more(f: Expr) -> Two:
    """f/(2 + f) in two words, for |f| <= 1/2."""
    divisor = fast_sum(same(f, 2), f)
    inverse = 1 / divisor.high
    quotient = f * inverse
    rest = fma(-quotient, divisor.low, fma(-quotient, divisor.high, f))
    return Two(quotient, rest * inverse)


def _product(a: Two, b: Two) -> Two:
    p = exact_product(a.high, b.high)
    return Two(p.high, p.low + fma(a.high, b.low, a.low * b.high))


def _times(a: Two, y: Expr) -> Two:
    """a*y, its head within ``_RANGE``, and then without a tail."""
    low, high = _RANGE[y.dtype]
    p = exact_product(a.high, y)
    inside = (same(y, low) < p.high) & (p.high < same(y, high))
    return Two(clamped(p.high, (low, high)), select(inside, fma(a.low, y, p.low), same(y, 0)))


def exp2_of_two(x: Two) -> Expr:
    """2^(high + low), rounded once into the subnormals."""
    return times_power(*split_exp2(x))


def split_exp2(x: Two) -> tuple[Expr, Expr]:
    """m, k with 2^(high + low) = m 2^(k - 2*bias) and 1/2 < m^2 < 2."""
    n, biased = nearest(x.high, 1.0, 2 * format_of(x.high).bias)
    return exp2_kernel(x.high - n + x.low), biased

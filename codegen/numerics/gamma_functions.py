"""gamma, gammaln, digamma: Stirling's series made a polynomial, recurrence below it, reflection below zero.

float32 is computed in float64: these are rare, and cancel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps

from codegen.numerics.logarithm import log
from codegen.numerics.parts import (
    Table,
    Two,
    below,
    exact_product,
    exact_sum,
    fast_sum,
    format_of,
    polynomial,
    same,
    times_power,
)
from codegen.numerics.power import log2_in_two, split_exp2
from codegen.numerics.trigonometric import cos_kernel, sin_kernel
from symgraph.expression import Expr, absolute, cast, copysign, eq, fma, rare, rint, select, trunc

_STIRLING: Table = {
    "float64": (
        0.08333333333333616, -6.668818784883004e-13, -0.002777777722858611, -2.270551671998211e-09,
        0.0007937058504022818, -8.49638230996508e-07, -0.0005865286412183291, -6.013330315313884e-05,
        0.0011157153492475436, -0.0007478563323817886, -0.0011907310631431086, 0.002266315942198774,
        -0.0011638955551090643,
    ),
}  # fmt: skip

_GAMMALN: Table = {
    "float64": (
        0.42278433509846713, 0.3224670334241132, -0.06735230105319753, 0.020580808427793217, -0.007385551028695089,
        0.002890510330241971, -0.0011927539110327006, 0.00050966953586674, -0.00022315477520829617,
        9.945739161983149e-05, -4.492599711360814e-05, 2.0507869324517315e-05, -9.441338838837042e-06,
        4.373613367179134e-06, -2.0317636133966065e-06, 9.518115868871826e-07, -4.622110924832855e-07,
        2.2999623550621095e-07, -1.0093335847464084e-07, 3.041681120513109e-08, -4.343331671333421e-09,
    ),
}  # fmt: skip

_DIGAMMA_FAR: Table = {
    "float64": (
        0.49999999999999556, 0.0833333333342378, -6.719859542301957e-11, -0.008333330760409331,
        -5.864087839251795e-08, 0.003969106166522981, -8.034406268012202e-06, -0.004120522905653153,
        -0.00010003742234623428, 0.00679485518100308, 0.009026239028591112, -0.06801022548441213, 0.1481944053475178,
        -0.18690687081033017, 0.14715089970223888, -0.06789187751738916, 0.014146716592083237,
    ),
}  # fmt: skip

_LOG2_E = (1.4426950408889634, 2.0355273740931033e-17)
_STIRLING_CONSTANT = 0.4189385332046727  # log(2*pi)/2 - 1/2
_LOG_PI = 1.1447298858494002

# below this gamma(x) is 1/x on both sides; sin(pi*x) of a subnormal would have few bits
_NEAR_ZERO = 1e-200


def _in_float64(build: Callable[[Expr], Expr]) -> Callable[[Expr], Expr]:
    @wraps(build)
    def widened(x: Expr) -> Expr:
        return cast(build(cast(x, "float64")), x.dtype)

    return widened


def _sin_cos_pi(a: Expr) -> tuple[Expr, Expr, Expr]:
    """|sin(pi*a)|, |cos(pi*a)|, and a - rint(a), whose sign is that of tan(pi*a)."""
    r = a - rint(a)
    q = absolute(r)
    steep = same(a, 0.25) < q
    angle = math.pi * select(steep, 0.5 - q, q)
    turned = Two(angle, same(angle, 0))
    s, c = sin_kernel(turned), cos_kernel(turned)
    return select(steep, c, s), select(steep, s, c), r


def _stirling_rest(u: Expr) -> Expr:
    """log(gamma(z)) - (z - 1/2)(log(z) - 1) for z = 1/u >= 3 (tools/minimax.py, STIRLING: 2^-57.9)."""
    return fma(u, polynomial(u, _STIRLING["float64"]), same(u, _STIRLING_CONSTANT))


@_in_float64
def gamma(x: Expr) -> Expr:
    """2^log2(gamma(a)) for a = |x| >= 3, with the logarithm in two words; at most 4.5 ulp.

    Below 3 it is gamma(a + 3)/(a (a + 1) (a + 2)), and for negative x it is -pi/(x sin(pi*x) gamma(-x)), whose power of
    two is that of gamma(a) inverted. At the negative integers NaN, at a zero inf with its sign.
    """
    size = absolute(x)
    a = below(size, 200.0)
    small, negative = a < same(a, 3), x < 0
    m, k = split_exp2(_log2_gamma(a, select(small, a + 3, a), select(small, same(a, 3), same(a, 0))))
    rising = (a + 1) * (a + 2)
    s, _, _ = _sin_cos_pi(size)
    reflected = math.pi * select(small, rising, same(a, 1)) / (s * m * select(small, same(a, 1), a))
    even = eq(trunc(0.5 * size), 0.5 * trunc(size))
    reflected = select(eq(s, 0), same(x, math.nan), select(even, -reflected, reflected))
    direct = m / select(small, a * rising, same(a, 1))
    pole = a < same(a, _NEAR_ZERO)
    value = rare(negative, select(pole, -direct, reflected), direct)
    result = times_power(value, select(negative & ~pole, 4 * format_of(a).bias - k, k))
    return select(eq(x, 0), copysign(same(x, math.inf), x), result)


def _log2_gamma(a: Expr, z: Expr, shift: Expr) -> Two:
    """log2(gamma(a + shift)) = (z - 1/2)(log2(z) - log2(e)) + rest, where z >= 3 is a + shift rounded.

    What the rounding of ``z`` took comes back times the derivative, log(z) - 1/(2z).
    """
    u = 1 / z
    log = log2_in_two(z)
    less = fast_sum(log.high, same(z, -_LOG2_E[0]))
    factor = z - 0.5
    main = exact_product(factor, less.high)
    rest = fma(factor, less.low + (log.low - _LOG2_E[1]), fma(_stirling_rest(u), _LOG2_E[0], main.low))
    rest = fma(a - (z - shift), fma(u, -0.5 * _LOG2_E[0], log.high), rest)
    return exact_sum(main.high, rest)


@_in_float64
def gammaln(x: Expr) -> Expr:
    """log|gamma(x)|: with a = |x|, (a - 1/2)(log(a) - 1) + rest from 3 on; at most 4 ulp of the largest term.

    Below 3 it is d p(d), d = a - 2 (tools/minimax.py, GAMMALN: 2^-56.2), less log(a) below 3/2 with d = a - 1, less
    log(a (a + 1)) below 1/2 with d = a: right to 5 ulp beside the zeros 1 and 2. For negative ``x`` it is
    log(pi/(a sin(pi*a))) - log(gamma(a)), inf at the integers.
    """
    a = absolute(x)
    tiny, low, small = (a < same(a, bound) for bound in (0.5, 1.5, 3.0))
    d = a - select(tiny, same(a, 0), select(low, same(a, 1), same(a, 2)))
    near = d * polynomial(below(d, 1.0), _GAMMALN["float64"])
    logarithm = log(select(tiny, a * (a + 1), a))
    far = fma(a - 0.5, logarithm - 1, _stirling_rest(1 / a))
    positive = select(small, select(low, near - logarithm, near), far)
    s, _, _ = _sin_cos_pi(a)
    # below 1/2 the logarithm of a tiny ``a`` is in both terms: it is left out of both
    mirrored = _LOG_PI - log(select(tiny, s / (a + 1), s * a)) - select(tiny, near, positive)
    mirrored = select(a < same(a, _NEAR_ZERO), positive, select(eq(s, 0), same(x, math.inf), mirrored))
    return select(eq(a, math.inf), a, rare(x < 0, mirrored, positive))


@_in_float64
def digamma(x: Expr) -> Expr:
    """log(z) - u p(u), u = 1/z, for z >= 2 (tools/minimax.py, DIGAMMA_FAR: 2^-59.5).

    Below 2, that of a + 2 less 1/a + 1/(a + 1), where a = |x|; for negative ``x``, with 1/a + pi/tan(pi*a) added. At
    most 5 ulp of the largest term. NaN at the negative integers and -inf; at a zero inf with the opposite of its sign.
    """
    a = absolute(x)
    small = a < same(a, 2)
    z = select(small, a + 2, a)
    u = 1 / z
    far = fma(-u, polynomial(u, _DIGAMMA_FAR["float64"]), log(z))
    positive = select(small, far - (2 * a + 1) / (a * (a + 1)), far)
    s, c, side = _sin_cos_pi(a)
    mirrored = select(small, far - 1 / (a + 1), far + 1 / a) + copysign(math.pi * c / s, side)
    mirrored = select(eq(s, 0), same(x, math.nan), mirrored)
    at_zero = copysign(same(x, math.inf), -x)
    return select(eq(x, 0), at_zero, rare(x < 0, mirrored, positive))

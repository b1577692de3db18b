"""sin, cos, tan: x = j*pi/2 + r, polynomials in r, and the quadrant j."""

from __future__ import annotations

import math

from codegen.numerics.parts import Table, Two, bits, exact_product, exact_sum, format_of, nearest, polynomial, same
from codegen.numerics.reduction import far_quadrant
from symgraph.expression import Expr, absolute, bitcast, eq, fma, rare, select

_SIN: Table = {
    "float32": (
        -0.16666667, 0.008333379, -0.00019853014, 2.831483e-06,
    ),
    "float64": (
        -0.16666666666666627, 0.008333333333321157, -0.00019841269828820712, 2.7557313354885152e-06,
        -2.5050706017894087e-08, 1.589380637022814e-10,
    ),
}  # fmt: skip

_COS: Table = {
    "float32": (
        -0.5, 0.041666646, -0.0013887304, 2.4431201e-05,
    ),
    "float64": (
        -0.5, 0.04166666666666659, -0.0013888888888872167, 2.480158728827481e-05, -2.755731400738796e-07,
        2.087567684502681e-09, -1.1357264698479751e-11,
    ),
}  # fmt: skip

# pi/2 in three words
_PI_2: Table = {
    "float32": (1.5707964, -4.371139e-08, -1.7151245e-15),
    "float64": (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33),
}
# and up to where x - n*pi/2 is right with them: n < 2^16, 2^30
_FAR = {"float32": 1e5, "float64": 1e9}


def sin(x: Expr) -> Expr:
    """sin(j*pi/2 + r); at most 0.9 ulp for every finite ``x``. A zero keeps its sign."""
    near = _sin(*near_quadrant(x))
    return rare(_is_far(x), _sin(*far_quadrant(x)), select(eq(x, 0), x, near))


def cos(x: Expr) -> Expr:
    """sin((j + 1)*pi/2 + r); at most 0.9 ulp for every finite ``x``."""
    (near_j, near_r), (far_j, far_r) = near_quadrant(x), far_quadrant(x)
    return rare(_is_far(x), _sin(far_j + 1, far_r), _sin(near_j + 1, near_r))


def tan(x: Expr) -> Expr:
    """sin(r)/cos(r), or -cos(r)/sin(r) for odd j; at most 2 ulp for every finite ``x``. A zero keeps its sign."""
    near = _tan(*near_quadrant(x))
    return rare(_is_far(x), _tan(*far_quadrant(x)), select(eq(x, 0), x, near))


def near_quadrant(x: Expr) -> tuple[Expr, Two]:
    """j, r with x = j*pi/2 + r and |r| <= pi/4, for moderate ``x``; of ``j`` only the low bits count.

    The first product is exact in fma, and so is the difference: both stand on the grid of the first word. The second
    may cancel against that, so it is taken off in two words. Inf gives NaN. Method: Cody and Waite (1980), with fma.
    """
    n, j = nearest(x, 2 / math.pi)
    first, second, third = _PI_2[x.dtype]
    product = exact_product(n, same(x, -second))
    rest = exact_sum(fma(n, -first, x), product.high)
    return j, Two(rest.high, fma(n, -third, rest.low + product.low))


def _is_far(x: Expr) -> Expr:
    return (same(x, _FAR[x.dtype]) <= absolute(x)) & (absolute(x) < same(x, math.inf))


def sin_kernel(r: Two) -> Expr:
    """sin(r) = r + r z p(z), z = r^2 (tools/minimax.py, SIN: 2^-32.5, 2^-57.8)."""
    z = r.high * r.high
    return r.high + fma(r.high * z, polynomial(z, _SIN[r.high.dtype]), fma(-0.5 * z, r.low, r.low))


def cos_kernel(r: Two) -> Expr:
    """cos(r) = 1 + z p(z), z = r^2 (tools/minimax.py, COS: 2^-32.9, 2^-63.8); 1 - z/2 is found in two words."""
    half, x = -0.5 * r.high, r.high
    z = x * x
    head = fma(half, x, same(x, 1))
    rest = fma(half, x, 1 - head)
    return head + fma(z * z, polynomial(z, _COS[x.dtype][1:]), fma(-x, r.low, rest))


def _sin(j: Expr, r: Two) -> Expr:
    """sin(j*pi/2 + r)."""
    wave = select(eq(j & 1, 0), sin_kernel(r), cos_kernel(r))
    return bitcast(bits(wave) ^ ((j & 2) << (format_of(wave).width - 2)), wave.dtype)


def _tan(j: Expr, r: Two) -> Expr:
    """tan(j*pi/2 + r)."""
    even = eq(j & 1, 0)
    s, c = sin_kernel(r), cos_kernel(r)
    return select(even, s, -c) / select(even, c, s)

"""sin, cos, tan: x = j*pi/2 + r, polynomials in r, and the quadrant j."""

from __future__ import annotations

import math

from codegen.numerics.parts import Table, bits, format_of, nearest, polynomial, same
from codegen.numerics.reduction import reduced
from symgraph.expression import Expr, absolute, bitcast, eq, fma, rare, select

_SIN: Table = {
}  # fmt: skip

_COS: Table = {
}  # fmt: skip

# pi/2 in three words, and up to where x - n*pi/2 with them is right to the last bit (n < 2^16, 2^30)
_PI_2: Table = {
    "float32": (1.5707964, -4.371139e-08, -1.7151245e-15),
    "float64": (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33),
}
_NEAR = {"float32": 1e5, "float64": 1e9}


def quadrant(x: Expr) -> tuple[Expr, Expr]:
    """j, r with x = j*pi/2 + r and |r| <= pi/4, for moderate ``x``; of ``j`` only the low bits count.

    The first product is exact in fma, and so is the difference: both stand on the grid of the first word.
    """
    n, j = nearest(x, 2 / math.pi)
    first, second, third = _PI_2[x.dtype]
    return j, fma(n, -third, fma(n, -second, fma(n, -first, x)))


def sin_kernel(r: Expr) -> Expr:
    """sin(r) = r + r z p(z), z = r^2 (tools/minimax.py, SIN: 2^-27.8, 2^-57.8)."""
    z = r * r
    return fma(r * z, polynomial(z, _SIN[r.dtype]), r)


def cos_kernel(r: Expr) -> Expr:
    """cos(r) = 1 + z p(z), z = r^2 (tools/minimax.py, COS: 2^-32.9, 2^-56.7)."""
    return polynomial(r * r, (1.0, *_COS[r.dtype]))


def _of_quadrant(j: Expr, r: Expr) -> Expr:
    """sin(j*pi/2 + r)."""
    f = format_of(r)
    wave = select(eq(j & 1, 0), sin_kernel(r), cos_kernel(r))
    return bitcast(bits(wave) ^ ((j & 2) << (f.mantissa + f.exponent_bits - 1)), r.dtype)


def sin(x: Expr) -> Expr:
    """sin of the remainder by its quadrant; at most 1.2 ulp. A tiny ``x`` is its own result."""
    far = rare_far(x)
    j, r = quadrant(x)
    fast = select(absolute(r) ...

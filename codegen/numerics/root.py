"""cbrt: a polynomial, a step of Halley's, and one of Newton's with the residual in two words."""

from __future__ import annotations

import math

from codegen.numerics.logarithm import split
from codegen.numerics.parts import Table, exact_product, format_of, nearest, polynomial, power_of_two, same
from symgraph.expression import Expr, absolute, copysign, eq, fma, select

_CBRT: Table = {
    "float32": (
        1.000009, 0.33330405, -0.11202328, 0.063608795, -0.030440122,
    ),
    "float64": (
        1.0000089269873806, 0.3333039169597635, -0.11202262471429493, 0.06361155392273767, -0.030447201015603522,
    ),
}  # fmt: skip

ROOT = 2 ** (1 / 3)


def cbrt(x: Expr) -> Expr:
    """The cube root; at most 0.7 ulp. Zeros keep their sign, infinities and NaN stay.

    With x = 2^(3n + r) (1 + f), r in {-1, 0, 1}: 2^n times the root of m = 2^r (1 + f). It begins at a polynomial in f
    (tools/minimax.py, CBRT: 2^-16.7); a step of Halley's leaves the cube of that, which a step of Newton's squares.
    """
    a = absolute(x)
    k, f = split(a)
    n, biased = nearest(k, 1 / 3, format_of(x).bias)
    r = k - 3 * n
    down, up = eq(r, -1), eq(r, 1)
    m = (1 + f) * select(down, same(x, 0.5), select(up, same(x, 2), same(x, 1)))
    y = polynomial(f, _CBRT[x.dtype]) * select(down, same(x, 1 / ROOT), select(up, same(x, ROOT), same(x, 1)))
    cube = y * y * y
    y = y * (cube + 2 * m) / (2 * cube + m)
    y = fma(_residual(m, y), 1 / (3 * y * y), y)
    found = copysign(y * power_of_two(biased, format_of(x)), x)
    return select((a > 0) & (a < same(x, math.inf)), found, x)


def _residual(m: Expr, y: Expr) -> Expr:
    """m - y^3, the cube in two words."""
    square = exact_product(y, y)
    cube = exact_product(square.high, y)
    return (m - cube.high) - fma(square.low, y, cube.low)

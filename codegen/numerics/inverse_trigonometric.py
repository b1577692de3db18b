"""arcsin, arccos, arctan, arctan2."""

from __future__ import annotations

from codegen.numerics.parts import Table, bits, polynomial, same
from symgraph.expression import Expr, absolute, const, copysign, eq, fma, select, sqrt

_ARCTAN: Table = {
    "float32": (
        -0.33333153, 0.19993767, -0.14211002, 0.10665772, -0.0755168, 0.043205176, -0.016363624, 0.0029195757,
    ),
    "float64": (
        -0.3333333333333186, 0.19999999999755164, -0.1428571427133972, 0.11111110678837477, -0.09090901236361254,
        0.07692212937418615, -0.06665860395982462, 0.05877307875662951, -0.05239233200416671, 0.04673949695032758,
        -0.04092637472391633, 0.03406778391749314, -0.025826744836429473, 0.01697796928018121, -0.009184499653759467,
        0.0038559379086332782, -0.0011640564728618997, 0.00022301861160631573, -2.0258126248459246e-05,
    ),
}  # fmt: skip

_ARCSIN: Table = {
    "float32": (
        0.16666752, 0.074953094, 0.04546915, 0.024184778, 0.042158306,
    ),
    "float64": (
        0.16666666666665408, 0.07500000000337101, 0.04464285682827213, 0.030381959138872795, 0.022371758011879097,
        0.017359705261121947, 0.013885231223832967, 0.012169235776214093, 0.0065278844893361, 0.01952848200185207,
        -0.016224550475482772, 0.03191244865926779,
    ),
}  # fmt: skip

# pi/2 in two words
_PI_2 = {"float32": (1.5707964, -4.371139e-08), "float64": (1.5707963267948966, 6.123233995736766e-17)}


def arctan(x: Expr) -> Expr:
    """arctan(|x|), or pi/2 - arctan(1/|x|) above 1, with the sign of ``x``; at most 1.6 ulp."""
    a = absolute(x)
    steep = same(a, 1) < a
    t = select(steep, 1 / a, a)
    return copysign(_turned(_arctan_kernel(t), steep, const(False, "bool")), x)


def arctan2(y: Expr, x: Expr) -> Expr:
    """The angle of the point (x, y), by the smaller coordinate over the larger; at most 2 ulp.

    Special cases by C99, annex F.9.1.4: the sign of a zero ``x`` counts, and two infinities are equal.
    """
    across, up = absolute(x), absolute(y)
    steep = across < up
    less, more = select(steep, across, up), select(steep, up, across)
    t = select(eq(less, more), select(eq(more, 0), more, same(y, 1)), less / more)
    return copysign(_turned(_arctan_kernel(t), steep, bits(x) < 0), y)


def _arctan_kernel(t: Expr) -> Expr:
    """t + t z p(z), z = t^2, for 0 <= t <= 1 (tools/minimax.py, ARCTAN: 2^-25.8, 2^-55)."""
    z = t * t
    return fma(t * z, polynomial(z, _ARCTAN[t.dtype]), t)


def _turned(angle: Expr, steep: Expr, backwards: Expr) -> Expr:
    """``angle``, mirrored at the diagonal if ``steep`` and at the vertical if ``backwards``."""
    high, low = _PI_2[angle.dtype]

    def base(word: float) -> Expr:
        return select(steep, same(angle, word), select(backwards, same(angle, 2 * word), same(angle, 0)))

    return base(high) + (select(steep ^ backwards, -angle, angle) + base(low))


def arcsin(x: Expr) -> Expr:
    """arcsin(|x|), or pi/2 - 2 arcsin(((1 - |x|)/2)^(1/2)) above 1/2, with the sign of ``x``; at most 2.1 ulp."""
    a = absolute(x)
    s, tail, small = _arcsin_parts(a)
    high, low = _PI_2[x.dtype]
    steep = fma(-2, s, same(s, high)) + fma(-2, tail, same(s, low))
    return copysign(select(small, s + tail, steep), x)


def arccos(x: Expr) -> Expr:
    """pi/2 - arcsin(x), or 2 arcsin(((1 - |x|)/2)^(1/2)) above 1/2 and pi less that below -1/2; at most 1.5 ulp."""
    s, tail, small = _arcsin_parts(absolute(x))
    high, low = _PI_2[x.dtype]
    s, tail = select(small, copysign(s, x), s), select(small, copysign(tail, x), tail)
    rest = high - (s + (tail - low))
    return select(small, rest, 2 * select(x < 0, rest, s + tail))


def _arcsin_parts(a: Expr) -> tuple[Expr, Expr, Expr]:
    """s, arcsin(s) - s, and whether s is ``a``, at most 1/2, or else ((1 - a)/2)^(1/2): NaN above 1.

    arcsin(s) = s + s z p(z), z = s^2 (tools/minimax.py, ARCSIN: 2^-27.6, 2^-55.9).
    """
    small = a < same(a, 0.5)
    z = select(small, a * a, fma(a, -0.5, 0.5))
    s = select(small, a, sqrt(z))
    return s, s * (z * polynomial(z, _ARCSIN[a.dtype])), small

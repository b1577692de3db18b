"""x = j*pi/2 + r for huge x: multiply the significand by as many bits of 2/pi as matter (Payne and Hanek 1983).

x = m 2^e with an integer m. Of 2/pi, the bits before position e - 2 give multiples of 4 in x*2/pi, which do not change
the quadrant, and those far behind are too small to matter. What is left is a product of integers, modulo 4.
"""

from __future__ import annotations

from itertools import pairwise

from codegen.numerics.parts import Two, exact_product, fast_sum, format_of, same
from symgraph.expression import Expr, absolute, bitcast, cast, const, fma, ne, select

# 2/pi times 2^1248, rounded down
_BITS = 1248
_TWO_OVER_PI = int(
    "A2F9836E4E441529FC2757D1F534DDC0DB6295993C439041FE5163ABDEBBC561B7246E3A424DD2E006492EEA09D1921C"
    "FE1DEB1CB129A73EE88235F52EBB4484E99C7026B45F7E413991D639835339F49C845F8BBDF9283B1FF897FFDE05980F"
    "EF2F118B5A0A6D1F6D367ECF27CB09B74F463F669E5FEA2D7527BAC7EBE5F17B3D0739F78A5292EA6BFB5FB11F8D5D08"
    "56033046FC7B6BABF0CFBC20",
    16,
)
_LOW = 0xFFFFFFFF

# zero bits put before 2/pi, so that the window never starts before it, and the number of bits of its word index
_LEAD = {"float32": (9, 2), "float64": (32, 5)}
_PI_2 = (1.5707963267948966, 6.123233995736766e-17)


def far_quadrant(x: Expr) -> tuple[Expr, Two]:
    """j, r with x = j*pi/2 + r and |r| <= pi/4, for finite |x| >= 1e5, or 1e9 for float64."""
    f = format_of(x)
    lead, _ = _LEAD[x.dtype]
    pattern = bitcast(absolute(x), f.unsigned)
    significand = cast((pattern & ((1 << f.mantissa) - 1)) | (1 << f.mantissa), "uint64")
    start = cast((pattern >> f.mantissa) - (f.bias + f.mantissa + 2 - lead), "uint64")
    turn = _single_turn if x.dtype == "float32" else _double_turn
    j, r = turn(significand, start)
    negative = x < 0
    signed = Two(select(negative, -r.high, r.high), select(negative, -r.low, r.low))
    return select(negative, -cast(j, f.integer), cast(j, f.integer)), signed


def _window(dtype: str, start: Expr, count: int) -> list[Expr]:
    """``count`` words of 32 bits of 2/pi from bit ``start`` on, by halving what is left: no table is indexed."""
    lead, levels = _LEAD[dtype]
    length = count + (1 << levels)
    words = [const((_TWO_OVER_PI >> (_BITS + lead - 32 * (i + 1))) & _LOW, "uint64") for i in range(length)]
    for level in reversed(range(levels)):
        step = 1 << level
        upper = ne(start & (32 << level), 0)
        words = [select(upper, words[i + step], words[i]) for i in range(count + step)]
    offset = start & 31
    return [((first << offset) | (second >> (32 - offset))) & _LOW for first, second in pairwise(words)]


def _nearest_quadrant(turn: Expr) -> tuple[Expr, Expr]:
    """j and the signed rest in units of 2^-62 quadrants, of an angle in units of 2^-64 turns."""
    j = (turn + (1 << 61)) >> 62
    return j, cast(turn - (j << 62), "int64")


def _single_turn(m: Expr, start: Expr) -> tuple[Expr, Two]:
    """24 bits by 96: 64 bits of the angle, of which at most 30 cancel."""
    first, second, third = _window("float32", start, 3)
    j, rest = _nearest_quadrant((m * first << 32) + m * second + (m * third >> 32))
    angle = cast(rest, "float64") * (_PI_2[0] * 2.0**-62)
    high = cast(angle, "float32")
    return j, Two(high, cast(angle - cast(high, "float64"), "float32"))


def _double_turn(m: Expr, start: Expr) -> tuple[Expr, Two]:
    """53 bits by 192, in columns of 32 bits: 128 bits of the angle, of which at most 62 cancel."""
    words = _window("float64", start, 6)
    upper, lower = m >> 32, m & _LOW
    crossed = [lower * w for w in words]
    total = upper * words[5] + (crossed[4] & _LOW)
    digits: list[Expr] = []
    for c in (4, 3, 2, 1):
        total = upper * words[c] + (crossed[c - 1] & _LOW) + (crossed[c] >> 32) + (total >> 32)
        digits.insert(0, total & _LOW)
    j, rest = _nearest_quadrant((digits[0] << 32) | digits[1])
    low = cast(digits[2], "float64") * 2.0**-32 + cast(digits[3], "float64") * 2.0**-64
    angle = fast_sum(cast(rest >> 32, "float64") * 2.0**32, cast(digits[1], "float64"))
    return j, _in_radians(fast_sum(angle.high, angle.low + low))


def _in_radians(angle: Two) -> Two:
    """``angle``, in units of 2^-62 quadrants, times pi/2."""
    first, second = (c * 2.0**-62 for c in _PI_2)
    product = exact_product(angle.high, same(angle.high, first))
    return fast_sum(product.high, product.low + fma(angle.high, second, angle.low * first))

"""What the expansions are made of: float formats, polynomials, powers of two, sums and products in two words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from symgraph.expression import Expr, bitcast, const, fma, select

Table = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Format:
    """A binary floating format.

    Attributes
    ----------
    dtype, integer, unsigned : str
        The format, and the integers of its size.
    mantissa : int
        Stored bits of the significand.
    bias : int
        The exponent field of 1.
    """

    dtype: str
    integer: str
    unsigned: str
    mantissa: int
    bias: int

    @property
    def width(self) -> int:
        """All its bits."""
        return self.mantissa + self.bias.bit_length() + 2

    @property
    def shifter(self) -> float:
        """1.5 * 2**mantissa: adding it rounds to an integer, which then stands in the low bits."""
        return 1.5 * 2.0**self.mantissa

    @property
    def exponent_mask(self) -> int:
        """The bits of inf."""
        return (2 * self.bias + 1) << self.mantissa

    @property
    def one(self) -> int:
        """The bits of 1."""
        return self.bias << self.mantissa

    @property
    def tiny(self) -> float:
        """The least normal number."""
        return 2.0 ** (1 - self.bias)


_SINGLE = Format("float32", "int32", "uint32", 23, 127)
_DOUBLE = Format("float64", "int64", "uint64", 52, 1023)
FORMATS = {f.dtype: f for f in (_SINGLE, _DOUBLE)}


def format_of(x: Expr) -> Format:
    """The format of ``x``."""
    return FORMATS[x.dtype]


def bits(x: Expr) -> Expr:
    """The bits of ``x`` as a signed integer."""
    return bitcast(x, format_of(x).integer)


def same(x: Expr, value: float) -> Expr:
    """The constant ``value`` in the dtype of ``x``."""
    return const(value, x.dtype)


def polynomial(x: Expr, coefficients: Sequence[float]) -> Expr:
    """sum(c[i] * x**i), by Horner's rule."""
    total = same(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = fma(total, x, same(x, c))
    return total


def below(x: Expr, most: float) -> Expr:
    """``minimum(x, most)``; a NaN stays."""
    return select(same(x, most) < x, most, x)


def above(x: Expr, least: float) -> Expr:
    """``maximum(x, least)``; a NaN stays."""
    return select(x < same(x, least), least, x)


def nearest(x: Expr, scale: float, offset: int = 0) -> tuple[Expr, Expr]:
    """n = rint(x * scale) as a float, and an integer whose low bits are n + offset.

    For |n| and the offset below 2**(mantissa - 2). Cheaper than ``rint`` with a cast, which AVX2 lacks for float64.
    """
    f = format_of(x)
    shifter = f.shifter + offset
    total = fma(x, scale, same(x, shifter))
    return total - shifter, bits(total)


def power_of_two(biased: Expr, f: Format) -> Expr:
    """2**(biased - bias), for 0 < biased < 2*bias + 1 in the low bits."""
    return bitcast(biased << f.mantissa, f.dtype)


def times_power(x: Expr, n: Expr) -> Expr:
    """x * 2**(n - 2*bias), rounded once: into the subnormals, and up to inf. 2 <= n < 4*bias in the low bits of ``n``.

    Two factors, each normal: n is halved within the exponent field.
    """
    f = format_of(x)
    half = (n << (f.mantissa - 1)) & f.exponent_mask
    rest = (n << f.mantissa) - half
    return x * bitcast(half, f.dtype) * bitcast(rest, f.dtype)


# ------------------------------------------------------------------------------------------------ two words


@dataclass(frozen=True)
class Two:
    """An unevaluated sum ``high + low`` with |low| <= ulp(high)/2."""

    high: Expr
    low: Expr


def fast_sum(a: Expr, b: Expr) -> Two:
    """a + b exactly, for |a| >= |b| (Dekker 1971)."""
    s = a + b
    return Two(s, b - (s - a))


def exact_sum(a: Expr, b: Expr) -> Two:
    """a + b exactly (Knuth's TwoSum)."""
    s = a + b
    t = s - a
    return Two(s, (a - (s - t)) + (b - t))


def exact_product(a: Expr, b: Expr) -> Two:
    """a * b exactly, but for underflow."""
    p = a * b
    return Two(p, fma(a, b, -p))

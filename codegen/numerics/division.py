"""floordiv and mod, as NumPy has them: Python's signs, no traps, and exact for floats of any quotient."""

from __future__ import annotations

import math

from codegen.numerics.parts import Format, bits, format_of, same
from symgraph.expression import (
    Expr,
    absolute,
    bitcast,
    cast,
    const,
    copysign,
    eq,
    floor,
    fma,
    kind_of,
    ne,
    quot,
    rare,
    rint,
    select,
    trunc,
)

# ------------------------------------------------------------------------------------------------ integers


def integer_floordiv(a: Expr, b: Expr) -> Expr:
    """floor(a/b); 0 for b = 0, and the least integer over -1 wraps. Powers of two shift."""
    shift = _log2_of_constant(b)
    if shift is not None:
        return a >> shift
    q, r, divisor = _quotient(a, b)
    q = select(_has_other_sign(r, divisor), q - 1, q)
    if _is_positive_constant(b):
        return q
    q = q if b.dtype.startswith("u") else select(eq(b, -1), -a, q)
    return select(eq(b, 0), 0, q)


def integer_mod(a: Expr, b: Expr) -> Expr:
    """a - b*floor(a/b), with the sign of ``b``; 0 for b = 0. Powers of two mask."""
    if _log2_of_constant(b) is not None:
        return a & (int(b.value or 0) - 1)
    _, r, divisor = _quotient(a, b)
    return select(_has_other_sign(r, divisor), r + divisor, r)


def _quotient(a: Expr, b: Expr) -> tuple[Expr, Expr, Expr]:
    """Truncated quotient and remainder, and the divisor used: 1 in place of 0 and -1, which trap."""
    divisor = b
    if not _is_positive_constant(b):
        traps = eq(b, 0) if b.dtype.startswith("u") else eq(b, 0) | eq(b, -1)
        divisor = select(traps, 1, b)
    q = quot(a, divisor)
    return q, a - q * divisor, divisor


def _has_other_sign(r: Expr, divisor: Expr) -> Expr:
    if r.dtype.startswith("u"):
        return const(False, "bool")
    if _is_positive_constant(divisor):
        return r < 0
    return ne(r, 0) & ((r ^ divisor) < 0)


def _is_positive_constant(b: Expr) -> bool:
    return b.prim == "const" and int(b.value or 0) > 0


def _log2_of_constant(b: Expr) -> int | None:
    if not _is_positive_constant(b):
        return None
    value = int(b.value or 0)
    return value.bit_length() - 1 if value & (value - 1) == 0 else None


# ------------------------------------------------------------------------------------------------ floats


def floordiv(a: Expr, b: Expr) -> Expr:
    """NumPy's floor_divide: (a - mod)/b rounded to the nearest integer; a/b for b = 0."""
    if kind_of(a.dtype) == "i":
        return integer_floordiv(a, b)
    m = fmod(a, b)
    q = (a - m) / b
    q = select(_needs_borrow(m, b), q - 1, q)
    whole = floor(q)
    whole = select(same(q, 0.5) < q - whole, whole + 1, whole)
    return select(eq(b, 0), a / b, select(eq(q, 0), copysign(same(q, 0), a / b), whole))


def mod(a: Expr, b: Expr) -> Expr:
    """NumPy's mod: exact, then + b if the signs differ; a zero has the sign of ``b``."""
    if kind_of(a.dtype) == "i":
        return integer_mod(a, b)
    m = fmod(a, b)
    return select(eq(m, 0), copysign(same(m, 0), b), select(_needs_borrow(m, b), m + b, m))


def _needs_borrow(m: Expr, b: Expr) -> Expr:
    return ne(m, 0) & ne(b < 0, m < 0)


def fmod(a: Expr, b: Expr) -> Expr:
    """a - b*trunc(a/b) exactly, with the sign of ``a``; NaN for infinite ``a`` and b = 0.

    For quotients below 2**mantissa one fma is exact: the quotient, where it was rounded up to an integer, is one too
    large, and the remainder then has the other sign.
    """
    f = format_of(a)
    q = trunc(a / b)
    r = fma(-q, b, a)
    r = select(ne(r < 0, a < 0) & ne(r, 0), r + copysign(b, a), r)
    r = select(absolute(a) < absolute(b), a, r)
    huge = (same(q, 2.0**f.mantissa) <= absolute(q)) & (absolute(a) < same(a, math.inf)) & ne(b, 0)
    return rare(huge, _long_fmod(a, b), r)


def _long_fmod(a: Expr, b: Expr) -> Expr:
    """``fmod`` by long division of the significands, mantissa - 1 bits of the quotient at a time.

    A remainder r in [-b, b] times 2^step minus its rounded quotient times b is exact: it is on b's grid and below it.
    """
    f = format_of(a)
    step = f.mantissa - 1
    (exponent_a, r), (exponent_b, divisor) = _significand(a), _significand(b)
    distance = exponent_a - exponent_b
    rounds = floor((distance + 0.5) * (1 / step))
    r = _reduce(r * _power(distance - rounds * step, f), divisor)
    for i in range(_longest(f) // step):
        r = select(same(r, i) < rounds, _reduce(r * 2.0**step, divisor), r)
    r = select(r < 0, r + divisor, r)
    # in two factors, the first normal: the second rounds nothing, as the remainder is a multiple of b's last bit
    half = floor(exponent_b * 0.5)
    return copysign(r * _power(half, f) * _power(exponent_b - half, f), a)


def _reduce(r: Expr, divisor: Expr) -> Expr:
    return fma(-rint(r / divisor), divisor, r)


def _longest(f: Format) -> int:
    """The largest difference of two exponents."""
    return 2 * f.bias + f.mantissa


def _significand(x: Expr) -> tuple[Expr, Expr]:
    """e, m with |x| = 2^e m and 1 <= m < 2, as floats, for a finite ``x`` other than 0."""
    f = format_of(x)
    a = absolute(x)
    lift = f.mantissa + 1
    small = a < same(x, f.tiny)
    pattern = bits(select(small, a * 2.0**lift, a))
    exponent = cast((pattern >> f.mantissa) - f.bias, f.dtype)
    m = bitcast((pattern & ((1 << f.mantissa) - 1)) | f.one, f.dtype)
    return select(small, exponent - lift, exponent), m


def _power(n: Expr, f: Format) -> Expr:
    """2^n for an integer-valued float, -bias < n <= bias."""
    return bitcast((cast(n, f.integer) + f.bias) << f.mantissa, f.dtype)

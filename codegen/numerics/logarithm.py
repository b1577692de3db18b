"""log, log1p, log2, log10: x = 2^k (1 + f) with 3/4 <= 1 + f < 3/2, and log(1 + f) = f + tail(f)."""

from __future__ import annotations

import math

from codegen.numerics.parts import Format, Table, bits, exact_product, fast_sum, format_of, polynomial, same
from symgraph.expression import Expr, bitcast, eq, fma, select

_LOG: Table = {
    "float32": (
        -0.5, 0.3333345, -0.25000104, 0.1999082, -0.16646999, 0.14478321, -0.13163874, 0.104688786, -0.045112055,
    ),
}  # fmt: skip

_LOG_ODD: Table = {
    "float64": (
        0.6666666666667268, 0.3999999999617685, 0.28571429392791475, 0.2222213868986085, 0.18186348913970987,
        0.15250322080117337, 0.1536721846171173,
    ),
}  # fmt: skip

# constants in two words; the first of log10(2) is short, so that its products with k are exact
LN2 = {"float32": (0.6931472, -1.9046542e-09), "float64": (0.6931471805599453, 2.3190468138462996e-17)}
_LOG2_E = {"float32": (1.442695, 1.925963e-08), "float64": (1.4426950408889634, 2.0355273740931033e-17)}
_LOG10_E = {"float32": (0.4342945, -1.010305e-08), "float64": (0.4342944819032518, 1.098319650216765e-17)}
_LOG10_2 = {"float32": (0.3010254, 4.605039e-06), "float64": (0.3010299956640665, -8.532344317057107e-14)}


def tail(f: Expr) -> Expr:
    """log(1 + f) - f for -1/4 <= f <= 1/2.

    float32: f^2 p(f) (tools/minimax.py, LOG: 2^-27.6). float64: with s = f/(2 + f) and z = s^2,
    -f^2/2 + s (f^2/2 + z p(z)), as in fdlibm's e_log.c (tools/minimax.py, LOG_ODD: 2^-55.9).
    """
    if f.dtype == "float32":
        return f * f * polynomial(f, _LOG["float32"])
    half_square = 0.5 * f * f
    s, inner = _odd(f, half_square)
    return fma(s, inner, -half_square)


def _odd(f: Expr, half_square: Expr) -> tuple[Expr, Expr]:
    """The factors s and f^2/2 + z p(z) of ``tail`` for float64."""
    s = f / (2 + f)
    z = s * s
    return s, fma(z, polynomial(z, _LOG_ODD["float64"]), half_square)


def _cubic(f: Expr, half_square: Expr) -> Expr:
    """log(1 + f) - f + f^2/2."""
    if f.dtype == "float32":
        return 2 * half_square * f * polynomial(f, _LOG["float32"][1:])
    s, inner = _odd(f, half_square)
    return s * inner


def quarters(x: Expr) -> Expr:
    """The bits of a positive ``x`` moved so that the exponent field changes at 3/4 of each power of two."""
    f = format_of(x)
    return bitcast(x, f.unsigned) + (1 << (f.mantissa - 1))


def exponent(moved: Expr, f: Format) -> Expr:
    """k from ``quarters``, as the float 2^mantissa + bias + k: AVX2 casts no int64, but a float can be put together."""
    return bitcast((moved >> f.mantissa) | ((f.bias + f.mantissa) << f.mantissa), f.dtype)


def split(x: Expr) -> tuple[Expr, Expr]:
    """k, f with x = 2^k (1 + f) and 3/4 <= 1 + f < 3/2, for positive finite ``x``; subnormals are scaled first."""
    f = format_of(x)
    lift = f.mantissa + 1
    base = 2.0**f.mantissa + f.bias
    small = x < same(x, f.tiny)
    moved = quarters(select(small, x * 2.0**lift, x))
    k = exponent(moved, f) - select(small, same(x, base + lift), same(x, base))
    fraction = bitcast((moved & ((1 << f.mantissa) - 1)) + (f.one - (1 << (f.mantissa - 1))), f.dtype)
    return k, fraction - 1


def with_specials(x: Expr, result: Expr, pole: float = 0.0) -> Expr:
    """``result`` above ``pole``, but inf at inf; -inf at the pole and NaN below it; a NaN stays."""
    bad = select(eq(x, pole), same(x, -math.inf), same(x, math.nan))
    return select(same(x, pole) < x, select(x < same(x, math.inf), result, x), bad)


def log_of(k: Expr, f: Expr) -> Expr:
    """k log(2) + log(1 + f); the sum of k log(2) and f in two words, or where k is 1 both roundings would count."""
    head, rest = LN2[f.dtype]
    product = exact_product(k, same(k, head))
    total = fast_sum(product.high, f)
    return total.high + (total.low + fma(k, rest, tail(f) + product.low))


def log(x: Expr) -> Expr:
    """k log(2) + log(1 + f); at most 1 ulp."""
    return with_specials(x, log_of(*split(x)))


def split_log1p(x: Expr) -> tuple[Expr, Expr]:
    """k, f with 1 + x = 2^k (1 + f) and 3/4 <= 1 + f < 3/2, for finite x > -1.

    k is read from 1 + x rounded, and f = x/2^k + (1/2^k - 1) rounded once: nothing of a small ``x`` is lost. x/2^k is
    formed in the exponent field (k is 0 where ``x`` is zero or subnormal), 1/2^k as a quarter of a normal number.
    Method: Juffa (2017), log1pf, https://stackoverflow.com/q/39821367.
    """
    f = format_of(x)
    moved = quarters(x + 1)
    power = (bitcast(moved, f.integer) & f.exponent_mask) - f.one
    scaled = bitcast(bits(x) - power, f.dtype)
    inverse = bitcast((f.one + (2 << f.mantissa)) - power, f.dtype)
    return exponent(moved, f) - (2.0**f.mantissa + f.bias), scaled + fma(inverse, 0.25, -1)


def log1p(x: Expr) -> Expr:
    """k log(2) + log(1 + f); at most 1 ulp. A zero keeps its sign."""
    return with_specials(x, select(eq(x, 0), x, log_of(*split_log1p(x))), -1.0)


def log2(x: Expr) -> Expr:
    """k + (f + tail(f)) log2(e) in two words; at most 1 ulp, and exact for powers of two."""
    k, f = split(x)
    return with_specials(x, _other_base(k, f, same(x, 0), _LOG2_E[x.dtype]))


def log10(x: Expr) -> Expr:
    """k log10(2) + (f + tail(f)) log10(e) in two words; at most 1 ulp, and exact for powers of ten."""
    k, f = split(x)
    head, rest = _LOG10_2[x.dtype]
    return with_specials(x, _other_base(k * head, f, k * rest, _LOG10_E[x.dtype]))


def _other_base(high: Expr, f: Expr, low: Expr, factor: tuple[float, float]) -> Expr:
    """high + low + factor*log(1 + f), where ``high`` is 0 or larger than the rest, of which f - f^2/2 in two words."""
    head, rest = factor
    half_square = exact_product(0.5 * f, f)
    even = fast_sum(f, -half_square.high)
    product = exact_product(even.high, same(f, head))
    total = fast_sum(high, product.high)
    lost = fma(even.low - half_square.low, head, product.low + low)
    return total.high + (total.low + fma(_cubic(f, half_square.high), head, fma(even.high, rest, lost)))

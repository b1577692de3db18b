"""The table of scalar primitives: for each its meaning in NumPy, the element types it takes, and its derivatives.

Importing this module fills ``expression.PRIMS``. Derivatives are expressions themselves: a quotient is preferred to a
product with an inverse, and a form that stays finite to one that is shorter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from symgraph.expression import (
    PRIMS,
    Expr,
    Partials,
    Prim,
    absolute,
    apply,
    const,
    cos,
    cosh,
    digamma,
    eq,
    exp,
    log,
    power,
    select,
    sign,
    sin,
    sinh,
    sqrt,
)


def _row(
    name: str, arity: int, numpy: Callable[..., object], partials: Partials | None = None, *, result: str = "same",
    kinds: str = "f", smooth: bool = True,
) -> None:  # fmt: skip
    PRIMS[name] = Prim(name, arity, numpy, result, kinds, partials, smooth)


# ------------------------------------------------------------------------------------------------ meanings


def _each(f: Callable[[float], float]) -> Callable[..., object]:
    """A function of Python's math module on arrays; its domain errors are NaN and its overflows inf."""

    def safe(x: float) -> float:
        try:
            return f(x)
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf

    many = np.vectorize(safe, otypes=["float64"])
    return lambda x: many(np.asarray(x, "float64")).astype(np.asarray(x).dtype)


def _gamma(x: float) -> float:
    if abs(x) < 5.5e-309:  # 1/x overflows
        return math.copysign(math.inf, x)
    return math.gamma(x)


def _gammaln(x: float) -> float:
    return math.inf if x <= 0 and x == math.floor(x) else math.lgamma(x)


def _digamma(x: float) -> float:
    """Reflection below 1/2, recurrence to 16, then the asymptotic series (Abramowitz & Stegun 6.3.18)."""
    if x == -math.inf or (x <= 0 and x == math.floor(x)):
        return math.copysign(math.inf, -x) if x == 0 else math.nan
    if x < 0.5:
        return _digamma(1 - x) - math.pi / math.tan(math.pi * math.remainder(x, 1))
    shift = 0.0
    while x < 16:
        shift, x = shift - 1 / x, x + 1
    z = 1 / (x * x)
    series = z * (1 / 12 - z * (1 / 120 - z * (1 / 252 - z * (1 / 240 - z * (1 / 132 - z * 691 / 32760)))))
    return shift + math.log(x) - 0.5 / x - series


def _maximum(x: np.ndarray, y: np.ndarray) -> object:
    return np.where((x > y) | (x != x), x, y)


def _minimum(x: np.ndarray, y: np.ndarray) -> object:
    return np.where((x < y) | (x != x), x, y)


def _pow(x: np.ndarray, y: np.ndarray) -> object:
    """C's pow. NumPy takes the root for one exponent of 0.5, which is NaN at -inf where the power is inf."""
    a, b = np.broadcast_arrays(x, y)
    return np.power(np.atleast_1d(a), np.array(np.atleast_1d(b), order="C")).reshape(a.shape)


def _bitcast(x: np.ndarray, dtype: str) -> object:
    return np.asarray(x).view(dtype)


def _fma(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Rounded once: exactly in double for narrow types; by error-free sums for double (Boldo, Melquiond 2011)."""
    if a.dtype != np.float64:
        wide = a.astype("float64") * b.astype("float64")  # exact: 24 + 24 bits
        return _round_odd_sum(wide, c.astype("float64")).astype(a.dtype)
    product, low = _two_product(a, b)
    high, rest = _two_sum(c, low)
    top, tail = _two_sum(product, high)
    exact = np.asarray(top + _round_odd_sum(tail, rest))
    finite = np.isfinite(a) & np.isfinite(b) & np.isfinite(c)
    small = (np.abs(product) < 1e-290) & (np.abs(c) < 1e-270) & (a != 0) & (b != 0)
    extreme = finite & (small | ~np.isfinite(exact))
    plain = np.where(np.isfinite(a) & np.isfinite(b) & np.isinf(c), c, a * b + c)  # a*b may only seem infinite
    rounded = np.where(finite & ~extreme & (exact != 0), exact, plain)  # a zero has the plain sum's sign
    if extreme.any():  # the parts over- or underflow
        rounded[extreme] = _fma_by_fractions(*(x[extreme] for x in np.broadcast_arrays(a, b, c)))
    return rounded


def _fma_by_fractions(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> list[float]:
    exact = [Fraction(x) * Fraction(y) + Fraction(z) for x, y, z in zip(a, b, c, strict=True)]
    return [_round(e) if e else x * y + z for e, x, y, z in zip(exact, a, b, c, strict=True)]


def _round(x: Fraction) -> float:
    try:
        return float(x)
    except OverflowError:
        return math.inf if x > 0 else -math.inf


def _two_sum(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def _two_product(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    p = a * b
    ah, bh = _split(a), _split(b)
    al, bl = a - ah, b - bh
    return p, ((ah * bh - p) + ah * bl + al * bh) + al * bl


def _split(a: np.ndarray) -> np.ndarray:
    c = a * 134217729.0
    high: np.ndarray = c - (c - a)
    return high


def _round_odd_sum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a + b rounded to odd, so that a second rounding is innocuous."""
    s, e = _two_sum(np.asarray(a), np.asarray(b))
    if not e.any():
        return np.asarray(s)
    bits = np.asarray(s).view("int64")
    inexact = (e != 0) & np.isfinite(s) & (bits & 1 == 0)
    away = (e > 0) == (s > 0)
    return np.where(inexact, (bits + np.where(away, 1, -1)).view("float64"), s)


def _integer(f: Callable[..., object]) -> Callable[..., object]:
    return lambda *xs: np.asarray(f(*xs)).astype(np.asarray(xs[0]).dtype)


def _quot(x: np.ndarray, y: np.ndarray) -> object:
    """C's division of integers: towards zero; 0 for a zero divisor, as NumPy's // has it."""
    q, r = np.floor_divide(x, y), np.mod(x, y)
    return q + ((r != 0) & ((x < 0) != (y < 0)) & (y != 0)).astype(q.dtype)


# ------------------------------------------------------------------------------------------------ rows

_SQRT_PI = math.sqrt(math.pi)

_row("add", 2, np.add, lambda a, b, y: (_one(a), _one(a)), kinds="fib")
_row("sub", 2, np.subtract, lambda a, b, y: (_one(a), -_one(a)), kinds="fi")
_row("mul", 2, np.multiply, lambda a, b, y: (b, a), kinds="fib")
_row("div", 2, np.divide, lambda a, b, y: (_one(a) / b, -(y / b)))
_row("neg", 1, np.negative, lambda x, y: (-_one(x),), kinds="fi")
_row("abs", 1, np.abs, lambda x, y: (sign(x),), kinds="fi", smooth=False)
_row("maximum", 2, _maximum, lambda a, b, y: _share(b < a, a, b), kinds="fib", smooth=False)
_row("minimum", 2, _minimum, lambda a, b, y: _share(a < b, a, b), kinds="fib", smooth=False)
_row("fma", 3, _fma, lambda a, b, c, y: (b, a, _one(a)))
_row("sqrt", 1, np.sqrt, lambda x, y: (0.5 / y,))
_row("cbrt", 1, np.cbrt, lambda x, y: (1 / (3 * y * y),))
_row("floor", 1, np.floor, lambda x, y: (_zero(x),), smooth=False)
_row("ceil", 1, np.ceil, lambda x, y: (_zero(x),), smooth=False)
_row("trunc", 1, np.trunc, lambda x, y: (_zero(x),), smooth=False)
_row("rint", 1, np.rint, lambda x, y: (_zero(x),), smooth=False)
_row("copysign", 2, np.copysign, lambda a, b, y: (sign(a) * sign(y), _zero(b)), smooth=False)

_row("exp", 1, np.exp, lambda x, y: (y,))
_row("expm1", 1, np.expm1, lambda x, y: (exp(x),))
_row("exp2", 1, np.exp2, lambda x, y: (y * math.log(2),))
_row("log", 1, np.log, lambda x, y: (1 / x,))
_row("log1p", 1, np.log1p, lambda x, y: (1 / (1 + x),))
_row("log2", 1, np.log2, lambda x, y: (1 / math.log(2) / x,))
_row("log10", 1, np.log10, lambda x, y: (1 / math.log(10) / x,))
_row("pow", 2, _pow, lambda a, b, y: (b * power(a, b - 1), _pow_by_exponent(a, y)), smooth=False)
_row("sin", 1, np.sin, lambda x, y: (cos(x),))
_row("cos", 1, np.cos, lambda x, y: (-sin(x),))
_row("tan", 1, np.tan, lambda x, y: (1 + y * y,))
_row("arcsin", 1, np.arcsin, lambda x, y: (1 / sqrt((1 - x) * (1 + x)),))
_row("arccos", 1, np.arccos, lambda x, y: (-1 / sqrt((1 - x) * (1 + x)),))
_row("arctan", 1, np.arctan, lambda x, y: (1 / (1 + x * x),))
_row("arctan2", 2, np.arctan2, lambda a, b, y: (b / (a * a + b * b), -a / (a * a + b * b)))
_row("sinh", 1, np.sinh, lambda x, y: (cosh(x),))
_row("cosh", 1, np.cosh, lambda x, y: (sinh(x),))
_row("tanh", 1, np.tanh, lambda x, y: (_sech2(x),))
_row("arcsinh", 1, np.arcsinh, lambda x, y: (1 / sqrt(x * x + 1),))
_row("arccosh", 1, np.arccosh, lambda x, y: (1 / (sqrt(x - 1) * sqrt(x + 1)),))
_row("arctanh", 1, np.arctanh, lambda x, y: (1 / ((1 - x) * (1 + x)),))
_row("erf", 1, _each(math.erf), lambda x, y: (exp(-x * x) * (2 / _SQRT_PI),))
_row("erfc", 1, _each(math.erfc), lambda x, y: (exp(-x * x) * (-2 / _SQRT_PI),))
_row("gamma", 1, _each(_gamma), lambda x, y: (y * digamma(x),))
_row("gammaln", 1, _each(_gammaln), lambda x, y: (digamma(x),))
_row("digamma", 1, _each(_digamma))

_row("floordiv", 2, np.floor_divide, lambda a, b, y: (_zero(a), _zero(a)), kinds="fi", smooth=False)
_row("mod", 2, np.mod, lambda a, b, y: (_one(a), -apply("floordiv", a, b)), kinds="fi", smooth=False)
_row("quot", 2, _quot, kinds="i")
_row("rem", 2, _integer(np.fmod), kinds="i")
_row("and", 2, np.bitwise_and, kinds="ib")
_row("or", 2, np.bitwise_or, kinds="ib")
_row("xor", 2, np.bitwise_xor, kinds="ib")
_row("not", 1, np.invert, kinds="ib")
_row("shl", 2, np.left_shift, kinds="i")
_row("shr", 2, np.right_shift, kinds="i")

_row("lt", 2, np.less, result="bool", kinds="fib")
_row("within", 2, np.less, result="bool", kinds="i")  # lt, where a position exists only if it holds
_row("le", 2, np.less_equal, result="bool", kinds="fib")
_row("eq", 2, np.equal, result="bool", kinds="fib")
_row("ne", 2, np.not_equal, result="bool", kinds="fib")
_row("select", 3, np.where, lambda c, a, b, y: _either(c, a), result="second", kinds="fib", smooth=False)
_row("rare", 3, np.where, lambda c, a, b, y: _either(c, a), result="second", kinds="fib", smooth=False)
_row("cast", 1, lambda x, dtype: np.asarray(x).astype(dtype), lambda x, y: (_one(x),), result="value", kinds="fib")
_row("bitcast", 1, _bitcast, result="value", kinds="fi")


def _one(x: Expr) -> Expr:
    return const(1, x.dtype)


def _zero(x: Expr) -> Expr:
    return const(0, x.dtype)


def _share(first: Expr, a: Expr, b: Expr) -> tuple[Expr, Expr]:
    """The partials of a choice between ``a`` and ``b``; at a tie each takes half."""
    half = const(0.5, a.dtype)
    one, zero = _one(a), _zero(a)
    tie = eq(a, b)
    return select(tie, half, select(first, one, zero)), select(tie, half, select(first, zero, one))


def _either(cond: Expr, a: Expr) -> tuple[None, Expr, Expr]:
    return None, select(cond, _one(a), _zero(a)), select(cond, _zero(a), _one(a))


def _pow_by_exponent(a: Expr, y: Expr) -> Expr:
    """y*log(a), and 0 where a and y are 0: the limit for a positive exponent."""
    return select(eq(y, 0), _zero(y), y * log(a))


def _sech2(x: Expr) -> Expr:
    """1 - tanh(x)**2 without cancellation: 4e / (1 + e)**2 with e = exp(-2|x|)."""
    e = exp(-2 * absolute(x))
    return 4 * e / ((1 + e) * (1 + e))



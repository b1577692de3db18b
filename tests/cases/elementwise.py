"""Cases of the elementwise ops: arithmetic, comparisons, bits, rounding, transcendental and special functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np
from scipy import special

import symgraph.ops as ops
from symgraph.op import OPS
from tests.cases import Arrays, Case

E, T, S, A = ops.elementwise, ops.transcendental, ops.special, ops.activations
Draw = Callable[[np.random.Generator, str], Arrays]
Range = tuple[float, float]

SHAPES: list[tuple[int, ...]] = [(), (0,), (1,), (7,), (2, 3), (5, 1, 2)]
PAIRS: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((7,), (7,)), ((3, 1), (1, 4)), ((), (5,)), ((2, 3), (3,)), ((0,), (1,)), ((2, 0, 3), (1, 3)), ((), ()),
]  # fmt: skip


def _floats(rng: np.random.Generator, shape: Sequence[int], spans: Sequence[Range], dtype: str) -> np.ndarray:
    """Numbers from a drawn one of ``spans`` each, which keep clear of the kinks between them."""
    which = rng.integers(len(spans), size=shape)
    low, high = np.array(spans, "float64").T
    drawn = low[which] + (high - low)[which] * rng.random(tuple(shape))
    return np.asarray(drawn, dtype)


def floats(*spans: Range) -> Draw:
    """One array with elements in ``spans``."""

    def draw(rng: np.random.Generator, dtype: str) -> Arrays:
        return [_floats(rng, SHAPES[rng.integers(len(SHAPES))], spans, dtype)]

    return draw


def pairs(first: Sequence[Range], second: Sequence[Range]) -> Draw:
    """Two arrays that broadcast."""

    def draw(rng: np.random.Generator, dtype: str) -> Arrays:
        a, b = PAIRS[rng.integers(len(PAIRS))]
        return [_floats(rng, a, first, dtype), _floats(rng, b, second, dtype)]

    return draw


def integers(low: int, high: int, dtypes: Sequence[str], count: int = 1) -> Draw:
    """Arrays of one drawn integer dtype, which broadcast."""

    def draw(rng: np.random.Generator, dtype: str) -> Arrays:
        shapes = PAIRS[rng.integers(len(PAIRS))][:count]
        kind = dtypes[rng.integers(len(dtypes))]
        return [rng.integers(low, high, size=s).astype(kind) for s in shapes]

    return draw


def special_values(rng: np.random.Generator, dtype: str) -> Arrays:
    """Infinities, NaN, zeros of both signs and a few numbers."""
    return [np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 1.5, -2.5], dtype)]


def special_pairs(rng: np.random.Generator, dtype: str) -> Arrays:
    """Every pair of special values."""
    (x,) = special_values(rng, dtype)
    return [x[:, None], x[None, :]]


def _exponent(x: np.ndarray, s: np.ndarray) -> np.ndarray:
    return np.where((x == 0) | (s == 0), 0, x * s)


def exact(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f`` of the arrays in float64 (integers as they are)."""

    def oracle(*arrays: np.ndarray) -> Any:
        with np.errstate(all="ignore"):
            return f(*[a.astype("float64") if a.dtype.kind == "f" else a for a in arrays])

    return oracle


def case(build: Any, draw: Draw, oracle: Any, differentiable: tuple[int, ...] = (), ulp: float = 4.0) -> Case:
    return Case(build, draw, exact(oracle), differentiable, ulp)


def by_mpmath(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f`` of mpmath numbers in 60 digits, on arrays."""

    def oracle(*arrays: np.ndarray) -> Any:
        with mpmath.workdps(60):
            found = np.vectorize(lambda *v: float(f(*map(mpmath.mpf, v))), otypes=["float64"])
            return found(*arrays) if np.broadcast(*arrays).size else np.broadcast_arrays(*arrays)[0]

    return oracle


WIDE: Range = (-3.0, 3.0)
POSITIVE: Range = (0.3, 3.0)
OFF_ZERO: tuple[Range, Range] = ((-3.0, -0.2), (0.2, 3.0))
INTS = ("int8", "int16", "int32", "int64")
ALL_INTS = (*INTS, "uint8", "uint16", "uint32", "uint64")
BITS = (*ALL_INTS, "bool")


def smooth(op: Any, oracle: Any, *spans: Range, ulp: float = 4.0) -> list[Case]:
    """A function of one float, differentiable on ``spans``, and its special values."""
    return [case(op, floats(*(spans or (WIDE,))), oracle, (0,), ulp), case(op, special_values, oracle, (), ulp)]


def stepped(op: Any, oracle: Any) -> list[Case]:
    """A step function: its gradient is zero away from the steps."""
    between = [(k + 0.1, k + 0.4) for k in range(-3, 3)] + [(k + 0.6, k + 0.9) for k in range(-3, 3)]
    return [
        case(op, floats(*between), oracle, (0,)),
        case(op, special_values, oracle),
        case(op, floats(WIDE), oracle),
        case(op, integers(0, 9, INTS), oracle),
    ]


def compared(op: Any, oracle: Any) -> list[Case]:
    draws = [pairs([WIDE], [WIDE]), special_pairs, integers(0, 3, ALL_INTS, 2), integers(0, 2, ("bool",), 2)]
    return [Case(op, d, oracle) for d in draws]


def bitwise(op: Any, oracle: Any, *kinds: str, high: int = 100) -> list[Case]:
    count = 1 if op is E.invert else 2
    return [Case(op, integers(0, high, kinds or BITS, count), oracle)]


def arithmetic(op: Any, oracle: Any, second: Sequence[Range] = (WIDE,), low: int = -9) -> list[Case]:
    """A binary operation on floats and on integers."""
    return [
        case(op, pairs([WIDE], second), oracle, (0, 1)),
        case(op, special_pairs, oracle),
        Case(op, integers(low, 10, INTS, 2), oracle),
        Case(op, integers(0, 10, ALL_INTS, 2), oracle),
    ]


def _mod_draw(rng: np.random.Generator, dtype: str) -> Arrays:
    """Quotients that keep clear of the integers."""
    y = _floats(rng, (5,), OFF_ZERO, "float64")
    x = y * (rng.integers(-3, 3, 5) + rng.uniform(0.2, 0.8, 5))
    return [x.astype(dtype), y.astype(dtype)]


def _divided(f: Any) -> Any:
    def quiet(*arrays: np.ndarray) -> Any:
        with np.errstate(all="ignore"):
            return f(*arrays)

    return quiet


ARITHMETIC: dict[str, list[Case]] = {
    "add": [*arithmetic(E.add, np.add), Case(E.add, integers(0, 2, ("bool",), 2), np.add)],
    "sub": arithmetic(E.sub, np.subtract),
    "mul": [*arithmetic(E.mul, np.multiply), Case(E.mul, integers(0, 2, ("bool",), 2), np.multiply)],
    "true_div": arithmetic(E.true_div, _divided(np.true_divide), OFF_ZERO),
    "int_div": [
        case(E.int_div, _mod_draw, np.floor_divide, (0, 1)),
        Case(E.int_div, integers(-9, 10, INTS, 2), _divided(np.floor_divide)),
        Case(E.int_div, special_pairs, _divided(np.floor_divide)),
    ],
    "mod": [
        Case(E.mod, _mod_draw, _divided(np.mod), (0, 1)),
        Case(E.mod, integers(-9, 10, INTS, 2), _divided(np.mod)),
        Case(E.mod, special_pairs, _divided(np.mod)),
    ],
    "pow": [
        case(E.pow, pairs([POSITIVE], [WIDE]), np.power, (0, 1)),
        case(lambda x: E.pow(x, 2), floats(WIDE), lambda x: x**2, (0,)),
        case(lambda x: E.pow(x, 3), floats(WIDE), lambda x: x**3, (0,)),
        case(lambda x: E.pow(x, -1), floats(*OFF_ZERO), lambda x: x**-1.0, (0,)),
        case(lambda x: E.pow(x, 0.5), floats(POSITIVE), lambda x: x**0.5, (0,)),
        case(lambda x: E.pow(x, 0.5), special_values, lambda x: np.power(x, np.full_like(x, 0.5))),  # no root of -inf
        case(E.pow, special_pairs, np.power),
        Case(E.pow, integers(0, 6, ALL_INTS, 2), np.power),
        Case(lambda x: E.pow(x, 5), integers(-9, 10, ("int64",)), lambda x: x**5),
    ],
    "neg": [*smooth(E.neg, np.negative), Case(E.neg, integers(-9, 10, INTS), np.negative)],
    "inv": smooth(E.inv, np.reciprocal, *OFF_ZERO),
    "sqr": [*smooth(E.sqr, np.square), Case(E.sqr, integers(-9, 10, INTS), np.square)],
    "identity": smooth(E.identity, np.positive),
    "lt": compared(E.lt, np.less),
    "le": compared(E.le, np.less_equal),
    "gt": compared(E.gt, np.greater),
    "ge": compared(E.ge, np.greater_equal),
    "eq": compared(E.eq, np.equal),
    "neq": compared(E.neq, np.not_equal),
    "isnan": [Case(E.isnan, special_values, np.isnan)],
    "isinf": [Case(E.isinf, special_values, np.isinf)],
    "isclose": [
        Case(lambda x, y: E.isclose(x, y, rtol=0.25, atol=0.125), special_pairs,
             lambda x, y: np.isclose(x, y, rtol=0.25, atol=0.125)),
        Case(lambda x, y: E.isclose(x, y, equal_nan=True), special_pairs,
             lambda x, y: np.isclose(x, y, equal_nan=True)),
    ],
    "and_": bitwise(E.and_, np.bitwise_and),
    "or_": bitwise(E.or_, np.bitwise_or),
    "xor": bitwise(E.xor, np.bitwise_xor),
    "invert": bitwise(E.invert, np.invert),
    "left_shift": bitwise(E.left_shift, np.left_shift, *ALL_INTS, high=7),
    "right_shift": bitwise(E.right_shift, np.right_shift, *ALL_INTS, high=7),
    "abs": [*smooth(E.absolute, np.abs, *OFF_ZERO), Case(E.absolute, integers(-9, 10, INTS), np.abs)],
    "sgn": [*smooth(E.sgn, np.sign, *OFF_ZERO), Case(E.sgn, integers(-9, 10, INTS), np.sign)],
    "copysign": [
        case(E.copysign, pairs(OFF_ZERO, OFF_ZERO), np.copysign, (0,)), case(E.copysign, special_pairs, np.copysign)
    ],
    "floor": stepped(E.floor, np.floor),
    "ceil": stepped(E.ceil, np.ceil),
    "trunc": stepped(E.trunc, np.trunc),
    "round": [
        *stepped(E.round, np.rint), Case(E.round, lambda rng, d: [np.array([-1.5, -0.5, 0.5, 1.5, 2.5], d)], np.rint)
    ],
}  # fmt: skip


def _apart(rng: np.random.Generator, dtype: str) -> Arrays:
    """Two arrays that tie nowhere."""
    x = _floats(rng, (3, 4), [WIDE], "float64")
    y = x + _floats(rng, (3, 4), OFF_ZERO, "float64")
    return [x.astype(dtype), y.astype(dtype)]


def _clip_draw(rng: np.random.Generator, dtype: str) -> Arrays:
    edges = [np.full(4, -1.0, dtype), np.full((3, 1), 1.0, dtype)]
    return [_floats(rng, (3, 4), [(-3, -1.2), (-0.8, 0.8), (1.2, 3)], dtype), *edges]


def _switch_draw(rng: np.random.Generator, dtype: str) -> Arrays:
    return [
        rng.random((3, 1)) < 0.5, _floats(rng, (4,), [WIDE], dtype), _floats(rng, (3, 4), [WIDE], dtype)
    ]  # fmt: skip


def _with_slope(rng: np.random.Generator, dtype: str) -> Arrays:
    return [_floats(rng, (2, 5), OFF_ZERO, dtype), _floats(rng, (5,), [POSITIVE], dtype)]


CHOICE: dict[str, list[Case]] = {
    "maximum": [
        Case(E.maximum, _apart, np.maximum, (0, 1)), Case(E.maximum, special_pairs, np.maximum),
        Case(lambda x: E.maximum(x, 0), floats(*OFF_ZERO), lambda x: np.maximum(x, 0), (0,)),
        Case(E.maximum, integers(0, 10, ALL_INTS, 2), np.maximum),
    ],
    "minimum": [
        Case(E.minimum, _apart, np.minimum, (0, 1)), Case(E.minimum, special_pairs, np.minimum),
        Case(lambda x: E.minimum(0, x), floats(*OFF_ZERO), lambda x: np.minimum(0, x), (0,)),
        Case(E.minimum, integers(0, 10, ALL_INTS, 2), np.minimum),
    ],
    "clip": [
        Case(E.clip, _clip_draw, np.clip, (0, 1, 2)),
        Case(lambda x: E.clip(x, -1, 1), special_values, lambda x: np.clip(x, -1, 1)),
        Case(lambda x: E.clip(x, 2, 5), integers(0, 10, ALL_INTS), lambda x: np.clip(x, 2, 5)),
    ],
    "switch": [Case(E.switch, _switch_draw, np.where, (1, 2))],
    "cast": [
        Case(lambda x: E.cast(x, "float64"), floats(WIDE), lambda x: x.astype("float64"), (0,)),
        Case(lambda x: E.cast(x, "int32"), floats(WIDE), lambda x: x.astype("int32")),
        Case(lambda x: E.cast(x, "bool"), special_values, lambda x: x.astype("bool")),
        Case(lambda x: E.cast(x, "float32"), integers(-9, 10, INTS), lambda x: x.astype("float32")),
        Case(lambda x: E.cast(x, "uint8"), integers(0, 300, INTS), lambda x: x.astype("uint8")),
    ],
    "relu": [Case(A.relu, floats(*OFF_ZERO), lambda x: np.maximum(x, 0), (0,)),
             Case(A.relu, integers(-9, 10, INTS), lambda x: np.maximum(x, 0))],
    "leaky_relu": [case(A.leaky_relu, _with_slope, lambda x, a: np.where(x > 0, x, a * x), (0, 1))],
    "elu": [case(A.elu, _with_slope, lambda x, a: np.where(x > 0, x, a * np.expm1(np.minimum(x, 0))), (0, 1))],
    "selu": smooth(
        A.selu,
        lambda x: np.where(x > 0, 1.0507009873554805 * x, 1.7580993408473766 * np.expm1(np.minimum(x, 0))), *OFF_ZERO),
    "hard_sigmoid": smooth(A.hard_sigmoid, lambda x: np.clip(0.2 * x + 0.5, 0, 1), (-4, -2.7), (-2.3, 2.3), (2.7, 4)),
    "softsign": [case(A.softsign, floats(*OFF_ZERO), lambda x: x / (1 + np.abs(x)), (0,))],
}  # fmt: skip


def _sech2(x: Any) -> Any:
    return 1 / np.cosh(np.clip(x, -700, 700)) ** 2


def _log1mexp(x: Any) -> Any:
    return np.where(x > -0.7, np.log(-np.expm1(x)), np.log1p(-np.exp(x)))


def _beside_nan(rng: np.random.Generator, dtype: str) -> Arrays:
    return [np.array([0.0, -0.0, 1.0, np.nan, np.nan], dtype), np.array([np.nan, np.nan, np.nan, 0.0, 1.0], dtype)]


def _xlogx(x: Any) -> Any:
    return special.xlogy(x, x)


def _log_half_erfc(x: Any) -> Any:
    if mpmath.isinf(x):
        return -x if x > 0 else mpmath.mpf(0)
    return mpmath.log(mpmath.erfc(x) / 2) if x > 0 else mpmath.log1p(-mpmath.erfc(-x) / 2)


def _ends(dtype: str, high: float, low: float) -> np.ndarray:
    """Multiples of the largest number and of the least normal one."""
    return np.array([high * np.finfo(dtype).max, low * np.finfo(dtype).tiny], dtype)


UNIT: Range = (-0.9, 0.9)
POSITIVE_PAIR = [(1.2, 3.0)]

TRANSCENDENTAL: dict[str, list[Case]] = {
    "exp": smooth(T.exp, np.exp),
    "expm1": smooth(T.expm1, np.expm1),
    "exp2": smooth(T.exp2, np.exp2),
    "log": smooth(T.log, np.log, POSITIVE),
    "log1p": smooth(T.log1p, np.log1p, (-0.7, 3.0)),
    "log2": smooth(T.log2, np.log2, POSITIVE),
    "log10": smooth(T.log10, np.log10, POSITIVE),
    "sqrt": smooth(T.sqrt, np.sqrt, POSITIVE),
    "sin": smooth(T.sin, np.sin),
    "cos": smooth(T.cos, np.cos),
    "tan": smooth(T.tan, np.tan, (-1.2, 1.2)),
    "arcsin": smooth(T.arcsin, np.arcsin, UNIT),
    "arccos": smooth(T.arccos, np.arccos, UNIT),
    "arctan": smooth(T.arctan, np.arctan),
    "arctan2": [
        case(T.arctan2, pairs(OFF_ZERO, OFF_ZERO), np.arctan2, (0, 1)), case(T.arctan2, special_pairs, np.arctan2)
    ],
    "logit": [
        case(T.logit, floats((0.05, 0.4), (0.6, 0.95)), by_mpmath(lambda x: mpmath.log(x / (1 - x))), (0,)),
        case(T.logit, floats((0.49, 0.51)), by_mpmath(lambda x: mpmath.log(x / (1 - x)))),
        case(T.logit, special_values, lambda x: np.log(x / (1 - x))),
    ],
    "log1mexp_of_exp": [
        case(T.log1mexp_of_exp, floats((-3.0, -0.5), (-0.2, 2.0), (-30, -20)),
             by_mpmath(lambda x: mpmath.log(-mpmath.expm1(-mpmath.exp(x)))), (0,)),
        case(T.log1mexp_of_exp, special_values, lambda x: np.where(x == -np.inf, x, np.log1p(-np.exp(-np.exp(x))))),
    ],
    "exponent_of_power": [
        case(T.exponent_of_power, pairs(OFF_ZERO, OFF_ZERO), np.multiply, (0, 1)),
        case(T.exponent_of_power, special_pairs, _exponent),
    ],
    "exp_product": [
        case(T.exp_product, pairs(OFF_ZERO, OFF_ZERO), lambda x, s: np.exp(np.longdouble(x) * s), (0, 1)),
        case(T.exp_product, pairs([(-20, 20)], OFF_ZERO), lambda x, s: np.exp(np.longdouble(x) * s)),
        case(T.exp_product, special_pairs, lambda x, s: np.exp(_exponent(x, s))),
    ],
    "hypot": [
        case(T.hypot, pairs(OFF_ZERO, OFF_ZERO), np.hypot, (0, 1)),
        case(T.hypot, special_pairs, lambda x, y: np.where(np.isnan(x) | np.isnan(y), np.nan, np.hypot(x, y))),
        case(T.hypot, lambda rng, d: [_ends(d, 0.7, -2.0), _ends(d, 0.6, 4.0)], np.hypot),
    ],
    "cbrt": smooth(T.cbrt, np.cbrt, *OFF_ZERO),
    "sinh": smooth(T.sinh, np.sinh),
    "cosh": smooth(T.cosh, np.cosh),
    "tanh": smooth(T.tanh, np.tanh),
    "arcsinh": smooth(T.arcsinh, np.arcsinh, *OFF_ZERO),
    "arccosh": smooth(T.arccosh, np.arccosh, (1.2, 4.0)),
    "arctanh": smooth(T.arctanh, np.arctanh, UNIT),
    "deg2rad": smooth(T.deg2rad, np.deg2rad),
    "rad2deg": smooth(T.rad2deg, np.rad2deg),
    "sech2": smooth(T.sech2, _sech2, *OFF_ZERO),
    "sech": [*smooth(T.sech, lambda x: 1 / np.cosh(x)), case(T.sech, floats((-90, 90)), by_mpmath(mpmath.sech))],
    "log_cosh": [
        *smooth(T.log_cosh, lambda x: np.logaddexp(x, -x) - np.log(2), *OFF_ZERO),
        case(T.log_cosh, floats((-1e-3, 1e-3), (-1.0, 1.0), (-900, 900)),
             by_mpmath(lambda x: mpmath.log(mpmath.cosh(x)))),
    ],
    "sigmoid": [*smooth(T.sigmoid, special.expit), case(T.sigmoid, floats((-9, 9)), special.expit)],
    "softplus": [
        *smooth(T.softplus, lambda x: np.logaddexp(x, 0.0)), case(T.softplus, floats((-9, 9)), special.softplus)
    ],
    "log_softplus": [
        *smooth(T.log_softplus, lambda x: np.log(np.logaddexp(x, 0.0)), (-3.0, -0.5), (1.5, 3.0)),
        case(T.log_softplus, floats((-900, -2), (-0.4, 1.5), (2, 900)),
             by_mpmath(lambda x: mpmath.log(mpmath.log1p(mpmath.exp(x))))),
    ],
    "log_sigmoid": smooth(T.log_sigmoid, special.log_expit),
    "xlogx": smooth(T.xlogx, _xlogx, POSITIVE),
    "xlogy0": [
        case(T.xlogy0, pairs([WIDE], [POSITIVE]), special.xlogy, (0, 1)),
        case(T.xlogy0, lambda rng, d: [np.zeros(3, d), np.array([0.0, 1.0, -1.0], d)], lambda x, y: np.zeros(3)),
        case(T.xlogy0, _beside_nan, special.xlogy),
    ],
    "xlog1py0": [
        case(T.xlog1py0, pairs([WIDE], [(-0.7, 3.0)]), special.xlog1py, (0, 1)),
        case(T.xlog1py0, lambda rng, d: [np.zeros(3, d), np.array([-1.0, 1.0, -3.0], d)], lambda x, y: np.zeros(3)),
        case(T.xlog1py0, _beside_nan, special.xlog1py),
    ],
    "times_log0": [
        case(T.times_log0, pairs([WIDE], [WIDE]), np.multiply, (0, 1)),
        case(T.times_log0, lambda rng, d: [np.zeros(2, d), np.array([-np.inf, 1.0], d)], lambda x, y: np.zeros(2)),
        case(T.times_log0, _beside_nan, np.multiply),
    ],
    "logaddexp": [
        case(T.logaddexp, pairs([WIDE], [WIDE]), np.logaddexp, (0, 1)), case(T.logaddexp, special_pairs, np.logaddexp)
    ],
    "logsubexp": [
        case(T.logsubexp, pairs([(1.0, 3.0), (10, 900)], [(-3.0, 0.5), (-900, -10)]),
             by_mpmath(lambda x, y: mpmath.log(mpmath.exp(x) - mpmath.exp(y))), (0, 1)),
        case(T.logsubexp, special_pairs, lambda x, y: np.log(np.exp(x) - np.exp(y))),
    ],
    "log1mexp": [case(T.log1mexp, floats((-3.0, -0.1)), _log1mexp, (0,))],
}  # fmt: skip

SPECIAL: dict[str, list[Case]] = {
    "erf": smooth(S.erf, special.erf),
    "erfc": smooth(S.erfc, special.erfc),
    "erfcx": [
        case(S.erfcx, floats(WIDE), special.erfcx, (0,), 8.0),
        case(S.erfcx, floats((5.0, 9.0)), special.erfcx, (0,), 8.0),
    ],
    "erfcx_slope": [  # 2*x*erfcx(x) cancels against 2/sqrt(pi): the error is relative to that
        case(S.erfcx_slope, floats(WIDE), lambda x: 2 * x * special.erfcx(x) - 2 / np.sqrt(np.pi), (), 256.0)
    ],
    "log_erfc": [
        case(S.log_erfc, special_values, lambda x: special.log_ndtr(-x * np.sqrt(2)) + np.log(2)),
        case(S.log_erfc, floats(UNIT, (-4, 5.0), (20, 90)), by_mpmath(lambda x: mpmath.log(mpmath.erfc(x))), (0,)),
    ],
    "log_half_erfc": [
        case(S.log_half_erfc, special_values, by_mpmath(_log_half_erfc)),
        case(S.log_half_erfc, floats(UNIT, (-9, 5.0), (20, 90)), by_mpmath(_log_half_erfc), (0,)),
    ],
    "erfinv": [case(S.erfinv, floats(UNIT), special.erfinv, (0,), 8.0)],
    "erfcinv": [case(S.erfcinv, floats((0.1, 1.9)), special.erfcinv, (0,), 8.0)],
    "exp_neg_sqr": smooth(S.exp_neg_sqr, lambda x: np.exp(-x * x)),
    "exp_sqr": [case(S.exp_sqr, floats(WIDE), lambda x: np.exp(x * x), (0,))],
    "gamma": [case(S.gamma, floats(POSITIVE), special.gamma, (0,), 8.0)],
    "gammaln": [case(S.gammaln, floats((2.5, 9.0)), special.gammaln, (0,), 16.0)],
    "log_gamma": [
        case(S.log_gamma, floats((2.5, 9.0), (-3.8, -3.4)), lambda x: np.log(special.gamma(x)), (0,), 16.0),
        case(S.log_gamma, floats((200.0, 900.0)), special.gammaln, (0,)),
        case(S.log_gamma, floats((-2.9, -2.1), (-0.9, -0.1)), lambda x: np.full_like(x, np.nan)),
    ],
    "log_abs_gamma": [
        case(S.log_abs_gamma, floats((2.5, 9.0), (-3.8, -3.4)), special.gammaln, (0,), 16.0),
        case(S.log_abs_gamma, floats((200.0, 900.0)), special.gammaln, (0,)),
        case(S.log_abs_gamma, lambda rng, d: [np.array([-1.0, -2.0, -90.0], d)], lambda x: np.full_like(x, np.nan)),
    ],
    "gamma_ratio": [
        case(S.gamma_ratio, pairs([(2.5, 6.0)], [(2.5, 6.0)]),
             lambda x, y: special.gamma(x) / special.gamma(y), (0, 1), 16.0),
        case(S.gamma_ratio, lambda rng, d: [np.array([200.0, 300.0], d), np.array([199.0, 301.0], d)],
             lambda x, y: np.array([199.0, 1 / 300]), (), 16384.0),  # the logarithms are about 1400
    ],
    "psi": [case(S.psi, floats((2.0, 9.0), (-2.5, -2.2)), special.psi, (0,), 16.0)],
    "trigamma_right": [case(S.trigamma_right, floats((0.5, 9.0)), lambda x: special.polygamma(1, x), (0,), 8.0)],
    "normal_cdf": [  # the rounding of x / sqrt(2) is magnified x*x times
        case(OPS["normal_cdf"], floats(WIDE), special.ndtr, (0,), 16.0)
    ],
    "gelu": [
        case(A.gelu, floats(WIDE), lambda x: x * special.ndtr(x), (0,), 16.0),
    ],
    "silu": [case(A.silu, floats(WIDE), lambda x: x * special.expit(x), (0,))],
}  # fmt: skip

CASES: dict[str, list[Case]] = {**ARITHMETIC, **CHOICE, **TRANSCENDENTAL, **SPECIAL}

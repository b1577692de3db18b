"""The expansions of ``codegen.numerics``: of basic primitives, near the real values, and exact at special ones."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import pkgutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import mpmath
import numpy as np
import pytest

from codegen import numerics
from codegen.numerics import BASIC, expand
from symgraph.expression import PRIMS, Expr, apply, bitcast, cast, evaluate, load, select, substitute, toposort
from symgraph.types import SIZES

mp = mpmath.mp
FLOATS = ("float32", "float64")
INTEGERS = tuple(d for d in SIZES if "int" in d)
EXPANDED = [name for name in PRIMS if name not in BASIC]


def operand(i: int, dtype: str) -> Expr:
    return load(i, (), dtype)


def of(name: str, dtype: str) -> Expr:
    """The primitive on loads of ``dtype``."""
    return apply(name, *(operand(i, dtype) for i in range(PRIMS[name].arity)))


def value(e: Expr, *xs: np.ndarray) -> np.ndarray:
    return evaluate([e], lambda leaf: xs[int(leaf.value or 0)])[0]


def expanded(name: str, dtype: str, *xs: np.ndarray) -> np.ndarray:
    return value(expand([of(name, dtype)])[0], *xs)


# ------------------------------------------------------------------------------------------------ form


@pytest.mark.parametrize("dtype", [*FLOATS, "float16"])
@pytest.mark.parametrize("name", [n for n in PRIMS if "f" in PRIMS[n].kinds and PRIMS[n].result in ("same", "bool")])
def test_only_basic_primitives_are_left(name: str, dtype: str) -> None:
    (e,) = expand([of(name, dtype)])
    terms = [t for t in toposort([e]) if t.prim in PRIMS]
    assert {t.prim for t in terms} <= BASIC
    assert e.dtype == of(name, dtype).dtype
    if dtype == "float16":
        touched = {t.prim for t in terms if "float16" in (t.dtype, *(a.dtype for a in t.args))}
        assert touched <= {"cast", "select", "rare", "bitcast"}
    assert expand([e]) == [e], "an expansion is its own"


@pytest.mark.parametrize("name", [n for n in EXPANDED if n not in ("gamma", "gammaln", "digamma")])
def test_float32_is_not_widened_where_it_is_frequent(name: str) -> None:
    hot = substitute(expand([of(name, "float32")]), lambda t: t.args[2] if t.prim == "rare" else None)
    assert not any(t.dtype == "float64" for t in toposort(hot))


def test_the_reduction_of_an_argument_is_shared() -> None:
    x = operand(0, "float32")
    sin, cos = expand([apply("sin", x)]), expand([apply("cos", x)])
    assert len(toposort(expand([apply("sin", x), apply("cos", x)]))) < 0.7 * (len(toposort(sin)) + len(toposort(cos)))


def test_nested_terms_are_expanded() -> None:
    x = operand(0, "float64")
    (e,) = expand([apply("exp", -apply("log", x)) + apply("log", x)])
    assert {t.prim for t in toposort([e]) if t.prim in PRIMS} <= BASIC
    at = np.array([0.5, 2.0, 10.0])
    np.testing.assert_allclose(value(e, at), 1 / at + np.log(at), rtol=4e-16)


# ------------------------------------------------------------------------------------------------ accuracy


@dataclass(frozen=True)
class Accuracy:
    """How far from ``real`` a primitive may be.

    ``ulps`` is the bound of the docstring, for both dtypes; ``spans`` are intervals to draw from beside all magnitudes;
    ``near`` are roots and thresholds to look at closely; ``scale`` is the size of the terms where they cancel.
    """

    real: Callable[..., Any]
    ulps: float
    spans: Sequence[tuple[float, float]] = ((-4, 4),)
    near: Sequence[float] = ()
    scale: Callable[[float], float] = lambda x: 0.0


def _gammaln(x: Any) -> Any:
    return mpmath.re(mpmath.loggamma(x))


LN2 = float(np.log(2))
HALF_PI = float(np.pi / 2)
ACCURACY = {
    "exp": Accuracy(mpmath.exp, 0.9, [(-104, 89), (-745, 710)], [LN2 / 2, -LN2 / 2, 88.72, -103.9, 709.78, -745.1]),
    "cbrt": Accuracy(lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)), 0.7, near=[1, 8, 0.75, 1.5]),
    "exp2": Accuracy(lambda x: mpmath.mpf(2) ** x, 0.9, [(-150, 128), (-1075, 1024)], [0.5, -0.5, 128, 1024]),
    "expm1": Accuracy(mpmath.expm1, 1.0, [(-18, 89), (-1, 1), (-40, 710)], [0.4055, -0.2877, 17.03, 88.72, 709.78]),
    "log": Accuracy(mpmath.log, 1.0, [(0, 2), (0, 1000)], [1, 0.75, 1.5, 2.0**-126]),
    "log1p": Accuracy(mpmath.log1p, 1.0, [(-1, 1), (0, 1000)], [-0.25, 0.5, -1]),
    "log2": Accuracy(lambda x: mpmath.log(x, 2), 1.0, [(0, 2), (0, 1000)], [1, 0.75, 1.5, 8]),
    "log10": Accuracy(mpmath.log10, 1.0, [(0, 2), (0, 1000)], [1, 0.75, 1.5, 1000]),
    "sin": Accuracy(mpmath.sin, 0.9, [(-7, 7), (-1e5, 1e5)], [HALF_PI / 2, 2 * HALF_PI, 22, 1e5, 1e9]),
    "cos": Accuracy(mpmath.cos, 0.9, [(-7, 7), (-1e5, 1e5)], [HALF_PI / 2, HALF_PI, 11, 1e5, 1e9]),
    "tan": Accuracy(mpmath.tan, 2.0, [(-7, 7), (-1e5, 1e5)], [HALF_PI / 2, HALF_PI, 11, 1e5, 1e9]),
    "arcsin": Accuracy(mpmath.asin, 2.1, [(-1, 1)], [0.5, 1]),
    "arccos": Accuracy(mpmath.acos, 1.3, [(-1, 1)], [0.5, -0.5, 1, -1]),
    "arctan": Accuracy(mpmath.atan, 1.7, near=[1, -1]),
    "sinh": Accuracy(mpmath.sinh, 1.7, [(-90, 90), (-711, 711)], [1, 89.41, 710.47]),
    "cosh": Accuracy(mpmath.cosh, 1.4, [(-90, 90), (-711, 711)], [89.41, 710.47]),
    "tanh": Accuracy(mpmath.tanh, 1.5, [(-1, 1), (-20, 20)], [0.6, 10, 20]),
    "arcsinh": Accuracy(mpmath.asinh, 1.9, near=[2.0**25, 2.0**54]),
    "arccosh": Accuracy(mpmath.acosh, 2.3, [(1, 4), (1, 1000)], [1, 2.0**25, 2.0**54]),
    "arctanh": Accuracy(mpmath.atanh, 1.8, [(-1, 1)], [0.2, 1]),
    "erf": Accuracy(mpmath.erf, 1.0, [(-6, 6)], [1, 4, 6]),
    "erfc": Accuracy(mpmath.erfc, 2.0, [(-6, 6), (4, 10.2), (6, 27.3)], [0, 10.05, 26.6]),
    "gamma": Accuracy(mpmath.gamma, 4.5, [(0, 3), (-6, 36), (-185, 172)], [1, 2, 3, 35.04, 171.62]),
    "gammaln": Accuracy(_gammaln, 4.0, [(0, 4), (-6, 40), (-200, 1e5)], [1, 2, 3, 0.5, 1.5], lambda x: max(1, abs(x))),
    "digamma": Accuracy(
        mpmath.digamma, 5.0, [(0, 4), (-6, 40), (-200, 1e5)], [1.4616, 2], lambda x: np.log(4 + abs(x))
    ),
}


def drawn(law: Accuracy, dtype: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """Points of every magnitude, subnormals too, of the spans, and beside the points to look at."""
    info = np.finfo(dtype)
    exponents = rng.uniform(np.log2(info.smallest_subnormal), np.log2(info.max), count)
    every = np.exp2(exponents) * rng.choice([-1, 1], count)
    inside = [rng.uniform(low, high, count) for low, high in law.spans]
    beside = [p * (1 + info.eps * np.arange(-8, 9)) for p in law.near]
    around = [p + rng.standard_normal(count // 8) * np.exp2(-rng.uniform(0, 60, count // 8)) for p in (*law.near, 0)]
    with np.errstate(all="ignore"):
        return np.concatenate([every, *inside, *beside, *around]).astype(dtype)


def ulps(found: float, real: Any, dtype: str, scale: float) -> float:
    """The distance in units in the last place of the real value, or of ``scale`` if that is larger.

    Overflow counts as the next power of two, so that it is right where rounding to nearest gives it.
    """
    info = np.finfo(dtype)
    size = min(max(abs(real), mpmath.mpf(scale), mpmath.mpf(float(info.tiny))), mpmath.mpf(float(info.max)))
    unit = mpmath.mpf(2) ** (int(mpmath.floor(mpmath.log(size, 2))) - info.nmant)
    top = mpmath.mpf(float(info.max)) + unit if np.isinf(found) else None
    if top is not None and abs(real) >= top - unit / 2 and mpmath.sign(real) == np.sign(found):
        return 0.0
    return float(abs((top * np.sign(found) if top is not None else mpmath.mpf(float(found))) - real) / unit)


def reals(law: Callable[..., Any], *xs: np.ndarray) -> list[Any]:
    """The real value at each point; None where there is none."""
    with mp.workprec(200):
        found = [law(*(mpmath.mpf(float(x)) for x in at)) for at in zip(*xs, strict=True)]
    return [y if isinstance(y, mpmath.mpf) and mpmath.isfinite(y) else None for y in found]


def worst(found: np.ndarray, real: Sequence[Any], dtype: str, scales: Sequence[float]) -> tuple[float, int]:
    """The largest error, and where it is."""
    with mp.workprec(200):
        triples = zip(found, real, scales, strict=True)
        errors = [0.0 if y is None else ulps(float(x), y, dtype, scale) for x, y, scale in triples]
    return max(errors), int(np.argmax(errors))


def in_domain(name: str, law: Accuracy, x: np.ndarray) -> np.ndarray:
    """The points where the value is a number; far beyond the spans only where it does not over- or underflow."""
    with np.errstate(all="ignore"):
        y = np.asarray(PRIMS[name].numpy(x.astype("float64")))
    inside = np.any([(low <= x) & (x <= high) for low, high in law.spans], axis=0)
    regular = np.isfinite(y) & (y != 0)
    return x[regular | (inside & ~np.isnan(y) & (x != np.rint(x)))]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ACCURACY)
def test_an_expansion_is_as_near_as_it_says(name: str, dtype: str, count: int = 240) -> None:
    law = ACCURACY[name]
    x = in_domain(name, law, drawn(law, dtype, count, np.random.default_rng(count)))
    error, i = worst(expanded(name, dtype, x), reals(law.real, x), dtype, [law.scale(float(v)) for v in x])
    assert error <= law.ulps, f"{name}({x[i]!r}) is {error:.2f} ulp off"


@pytest.mark.deep
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ACCURACY)
def test_an_expansion_is_as_near_as_it_says_at_many_points(name: str, dtype: str) -> None:
    test_an_expansion_is_as_near_as_it_says(name, dtype, 1500)


def powers(dtype: str, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Bases of every magnitude and near 1, with exponents for results of every magnitude, and a little beyond."""
    info = np.finfo(dtype)
    low, high = np.log2(info.smallest_subnormal) - 2, info.maxexp + 1
    x = np.concatenate([
        np.exp2(rng.uniform(low + 2, high - 1, count)), rng.uniform(0, 3, count),
        1 + rng.standard_normal(count) * np.exp2(-rng.uniform(1, info.nmant, count)),
    ]).astype(dtype)  # fmt: skip
    with np.errstate(all="ignore"):
        y = (rng.uniform(low, high, len(x)) / np.log2(x.astype("float64"))).astype(dtype)
    keep = np.isfinite(y) & (x > 0)
    return x[keep], y[keep]


def vectors(dtype: str, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points in all directions, whose quotient is anything down to a subnormal."""
    angles, tilt = rng.uniform(-np.pi, np.pi, 3 * count), np.exp2(-(rng.uniform(0, 2, 3 * count) ** 10))
    y, x = (np.sin(angles) * tilt).astype(dtype), np.cos(angles).astype(dtype)
    return y[y != 0], x[y != 0]


PAIRS: dict[str, tuple[Callable[..., Any], float, Callable[..., tuple[np.ndarray, np.ndarray]]]] = {
    "pow": (mpmath.power, 1.6, powers),
    "arctan2": (mpmath.atan2, 1.8, vectors),
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", PAIRS)
def test_an_expansion_of_two_operands_is_as_near_as_it_says(name: str, dtype: str, count: int = 300) -> None:
    real, bound, draw = PAIRS[name]
    x, y = draw(dtype, count, np.random.default_rng(count))
    error, i = worst(expanded(name, dtype, x, y), reals(real, x, y), dtype, [0.0] * len(x))
    assert error <= bound, f"{name}({x[i]!r}, {y[i]!r}) is {error:.2f} ulp off"


@pytest.mark.deep
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", PAIRS)
def test_an_expansion_of_two_operands_is_as_near_as_it_says_at_many_points(name: str, dtype: str) -> None:
    test_an_expansion_of_two_operands_is_as_near_as_it_says(name, dtype, 4000)


@pytest.mark.deep
@pytest.mark.parametrize("name", ["exp", "exp2", "expm1", "log", "log1p", "log2", "sin", "cos", "tanh", "arctan"])
def test_every_magnitude_of_float32(name: str) -> None:
    pattern = np.arange(0, 1 << 32, 1511, dtype="uint64").astype("uint32")
    x = pattern.view("float32")
    with np.errstate(all="ignore"):
        real = np.asarray(PRIMS[name].numpy(x.astype("float64")))  # right to 2^-29 of an ulp of float32
        unit = np.spacing(np.maximum(np.abs(real), 2.0**-126).astype("float32")).astype("float64")
        found = expanded(name, "float32", x)
        same = (found == real.astype("float32")) | (np.isnan(found) & np.isnan(real))
        error = np.where(same, 0, np.abs(found.astype("float64") - real) / unit)
    assert error.max() <= ACCURACY[name].ulps + 1e-6


def test_integer_powers_are_exact() -> None:
    n = np.arange(-1074, 1024).astype("float64")
    np.testing.assert_array_equal(expanded("exp2", "float64", n), np.ldexp(1.0, n.astype(int)))
    np.testing.assert_array_equal(expanded("log2", "float64", np.ldexp(1.0, n.astype(int))), n)
    tens = np.arange(0, 23).astype("float64")
    np.testing.assert_array_equal(expanded("log10", "float64", 10.0**tens), tens)


# ------------------------------------------------------------------------------------------------ special values


# NaNs whose bits would do harm where they are taken for an exponent
NANS = {
    "float16": [0x7E55, 0xFEAB, 0x7FFF],
    "float32": [0x7FD55555, 0xFFEAAAAB, 0x7FFFFFFF],
    "float64": [0x7FFD555555555555, 0xFFFAAAAAAAAAAAAB, 0x7FFFFFFFFFFFFFFF],
}


def specials(dtype: str) -> np.ndarray:
    info = np.finfo(dtype)
    sizes = [
        0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 1e4, 2.0**30 + 1, np.inf, info.max, info.tiny, info.smallest_subnormal,
        3 * info.smallest_subnormal, np.nextafter(np.array(1, dtype), 0), np.nextafter(np.array(1, dtype), 2),
        1 / info.eps, 2 / info.eps - 1, 1 / info.eps - 1, 1 / info.eps - 0.5,
    ]  # fmt: skip
    nans = np.array(NANS[dtype], f"uint{info.bits}").view(dtype)
    return np.concatenate([np.array([*sizes, *(-np.array(sizes)), np.nan], dtype), nans])


def kind(y: np.ndarray) -> np.ndarray:
    """What is exact about a special value: NaN, the sign of a zero or an inf, the sign alone of anything else."""
    name = np.where(np.isnan(y), "nan", np.where(np.isinf(y), "inf", np.where(y == 0, "zero", "finite")))
    return np.char.add(np.where(np.signbit(y) & ~np.isnan(y), "-", "+"), name)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ACCURACY)
def test_special_values_are_those_of_the_table(name: str, dtype: str) -> None:
    x = specials(dtype)
    cancels = name in ("gamma", "gammaln", "digamma")
    if cancels:  # the reflection of a huge argument is noise in both
        x = x[(np.abs(x) < 1e5) | (x > 0) | np.isinf(x)]
    with np.errstate(all="ignore"):
        table = np.asarray(PRIMS[name].numpy(x))
    found = expanded(name, dtype, x)
    np.testing.assert_array_equal(kind(found), kind(table), str(x))
    # the table's own values of those that cancel are some ulp of their terms off
    eps, tiny = float(np.finfo(dtype).eps), float(np.finfo(dtype).tiny)
    np.testing.assert_allclose(found, table, rtol=8 * eps, atol=8 * eps if cancels else tiny)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", PAIRS)
def test_special_values_of_two_operands_are_those_of_the_table(name: str, dtype: str) -> None:
    x, y = (np.ravel(g) for g in np.meshgrid(specials(dtype), specials(dtype)))
    with np.errstate(all="ignore"):
        table = np.asarray(PRIMS[name].numpy(x, y))
    found = expanded(name, dtype, x, y)
    np.testing.assert_array_equal(kind(found), kind(table))
    np.testing.assert_allclose(found, table, rtol=8 * np.finfo(dtype).eps)


# ------------------------------------------------------------------------------------------------ division


def equal(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (np.isnan(a) & np.isnan(b)) | ((a == b) & (np.signbit(a) == np.signbit(b)))


@pytest.mark.parametrize("dtype", [*FLOATS, "float16"])
@pytest.mark.parametrize("name", ["floordiv", "mod"])
def test_float_division_is_numpys_bit_for_bit(name: str, dtype: str) -> None:
    rng, info = np.random.default_rng(5), np.finfo(dtype)
    with np.errstate(all="ignore"):
        wide = rng.standard_normal(60) * np.exp2(rng.uniform(info.minexp - info.nmant, info.maxexp, 60))
        some = np.concatenate([specials(dtype), wide.astype(dtype), rng.integers(-20, 20, 20).astype(dtype)])
        x, y = (np.ravel(g) for g in np.meshgrid(some, some))
        table = np.asarray(PRIMS[name].numpy(x, y))
    found = expanded(name, dtype, x, y)
    bad = ~equal(found, table)
    assert not bad.any(), list(zip(x[bad], y[bad], found[bad], table[bad], strict=True))[:5]


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("name", ["floordiv", "mod"])
def test_integer_division_is_numpys_and_never_traps(name: str, dtype: str) -> None:
    info, rng = np.iinfo(dtype), np.random.default_rng(6)
    ends = [info.min, info.min + 1, info.max, info.max - 1, 0, 1, 2, 3, 7, 64]
    ends += [-1, -2, -3, -64] if info.min < 0 else []
    some = np.concatenate([np.array(ends, dtype), rng.integers(info.min, info.max, 40, dtype)])
    x, y = (np.ravel(g) for g in np.meshgrid(some, some))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(expanded(name, dtype, x, y), PRIMS[name].numpy(x, y))
        (e,) = expand([of(name, dtype)])
        divisors = [value(t.args[1], x, y) for t in toposort([e]) if t.prim in ("quot", "rem")]
        assert all((d != 0).all() and (info.min == 0 or (d != -1).all()) for d in divisors)
        for constant in ends:
            (e,) = expand([apply(name, operand(0, dtype), constant)])
            np.testing.assert_array_equal(value(e, some), PRIMS[name].numpy(some, np.array(constant, dtype)))


def test_division_by_a_power_of_two_divides_nothing() -> None:
    x = operand(0, "int64")
    assert not {"quot", "rem"} & {t.prim for t in toposort(expand([x // 8, x % 8]))}


# ------------------------------------------------------------------------------------------------ float16

HALVES = np.arange(1 << 16, dtype="uint16").view("float16")


@pytest.mark.parametrize("name", ["exp", "log", "tanh", "sin", "sqrt", "neg", "floor", "erf", "arctan"])
def test_float16_is_float32_rounded(name: str) -> None:
    found = expanded(name, "float16", HALVES)
    wide = expanded(name, "float32", HALVES.astype("float32"))
    with np.errstate(all="ignore"):
        assert found.dtype == np.float16
        assert equal(found, wide.astype("float16")).all()


def test_float16_is_rounded_after_each_primitive() -> None:
    x, y = operand(0, "float16"), operand(1, "float16")
    (e,) = expand([x * y + y])
    rng = np.random.default_rng(7)
    a, b = (rng.standard_normal(1000).astype("float16") for _ in "ab")
    np.testing.assert_array_equal(value(e, a, b), a * b + b)


def test_float16_is_chosen_as_it_is() -> None:
    x = operand(0, "float16")
    (e,) = expand([select(x < 1, x, -x)])
    assert equal(value(e, HALVES), np.where(HALVES < 1, HALVES, -HALVES)).all()
    assert expand([bitcast(x, "int16")]) == [bitcast(x, "int16")]


@pytest.mark.parametrize("dtype", ["bool", *INTEGERS, *FLOATS])
def test_conversions_of_float16_round_once(dtype: str) -> None:
    rng = np.random.default_rng(8)
    with np.errstate(all="ignore"):
        if dtype in FLOATS:  # beside the midpoints between two halves, where a second rounding would show
            halves = HALVES.astype("float64")
            shifts = itertools.product([0, 2.0**-11], [0, 2.0**-40, -(2.0**-40)])
            x = np.concatenate([halves * (1 + a + b) for a, b in shifts]).astype(dtype)
        else:
            x = rng.integers(0, 1 << 15, 1000).astype(dtype)
        to_half, from_half = expand([cast(operand(0, dtype), "float16"), cast(operand(0, "float16"), dtype)])
        assert equal(value(to_half, x), x.astype("float16")).all()
        small = HALVES[np.abs(HALVES) < 100]
        np.testing.assert_array_equal(value(from_half, abs(small)), abs(small).astype(dtype))


# ------------------------------------------------------------------------------------------------ coefficients


def minimax() -> ModuleType:
    path = Path(__file__).parents[2] / "tools" / "minimax.py"
    spec = importlib.util.spec_from_file_location("minimax", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules["minimax"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.deep
def test_coefficients_reach_the_errors_that_the_docstrings_state() -> None:
    tool = minimax()
    modules = [importlib.import_module(m.name) for m in pkgutil.iter_modules(numerics.__path__, "codegen.numerics.")]
    text = " ".join(" ".join(Path(str(m.__file__)).read_text().split()) for m in modules)
    with mp.workdps(60):
        for fit in tool.FITS:
            table = next(getattr(m, f"_{fit.name}") for m in modules if hasattr(m, f"_{fit.name}"))
            stated = text.split(f" {fit.name}: ")[1].split(")")[0].split(", ")
            for dtype, claim in zip(fit.degrees, stated, strict=False):
                error = tool.largest_error(fit, [mpmath.mpf(float(np.dtype(dtype).type(c))) for c in table[dtype]])
                assert mpmath.log(error, 2) <= float(claim.removeprefix("2^").split(",")[0]) + 0.1, fit.name

"""How far functions are from the real values, in units in the last place: the functions, their bounds, and the points.

``BOUNDS`` is what is promised; ``docs/numerics.md`` has what was measured, written by ``tools/make_numerics.py``.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mpmath
import numpy as np

import symgraph as sg

Span = tuple[float, float]
DIGITS = 60
LEAST = -1200
"""The exponent of what is nothing beside the least float."""
CLOSEST = 64
"""Of the points that long double finds worst, those that mpmath looks at again: its own error is 2**-11 ulp."""


@dataclass(frozen=True)
class Function:
    """A function with its real values.

    Attributes
    ----------
    real : callable
        mpmath numbers -> mpmath number.
    bound : float
        The largest error promised, in ulp.
    spans : sequence of (low, high)
        Where to look beside random bit patterns.
    near : sequence of float
        Roots, thresholds and ends to look at closely.
    wide : callable, optional
        The same of arrays in long double, where NumPy has it.
    scale : callable
        The size of the terms where they cancel: an error is counted in ulp of the larger.
    other : callable, optional
        Second arguments for given first ones, of a function of two.
    """

    real: Callable[[Any], Any]
    bound: float
    spans: Sequence[Span] = ((-4, 4),)
    near: Sequence[float] = ()
    wide: Callable[[np.ndarray], Any] | None = None
    scale: Callable[[np.ndarray], Any] = np.zeros_like
    other: Callable[[np.ndarray], np.ndarray] | None = None


def _gammaln(x: Any) -> Any:
    return mpmath.inf if x <= 0 and mpmath.isint(x) else mpmath.re(mpmath.loggamma(x))


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + mpmath.exp(-x))


def _softplus(x: Any) -> Any:
    return mpmath.log1p(mpmath.exp(-abs(x))) + max(x, 0)


def _wide_softplus(x: np.ndarray) -> np.ndarray:
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)


def _exponents(x: np.ndarray) -> np.ndarray:
    """For which powers of ``x`` are in range, most of them, and small integers and halves for some."""
    rng, info = np.random.default_rng(len(x)), np.finfo(x.dtype)
    with np.errstate(all="ignore"):
        reach = np.log(float(info.max)) / np.abs(np.log(np.abs(x.astype("float64"))))
        drawn = (rng.uniform(-1.05, 1.05, x.shape) * np.where(np.isfinite(reach), reach, 4)).astype(x.dtype)
    few = rng.choice(np.array([-3, -2, -1, -0.5, 0, 0.5, 1, 2, 3, 7], x.dtype), x.shape)
    return np.where((rng.random(x.shape) < 0.25) | (x < 0) | ~np.isfinite(drawn), few, drawn)


PI = float(np.pi)
FAR = 6381956970095103 * 2.0**797
"""The float64 that is nearest to a multiple of pi/2 (Kahan)."""
FUNCTIONS = {
    "exp": Function(mpmath.exp, 1, [(-104, 89), (-745, 710)], [0, 88.72, -103.9, 709.78, -745.1], np.exp),
    "cbrt": Function(lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)), 1, [(-1, 1)], [0.75, 1.5, 8, 0], np.cbrt),
    "pow": Function(mpmath.power, 2, [(0, 2), (0, 40)], [1, 0.75, 1.5], np.power, other=_exponents),
    "log": Function(mpmath.log, 1, [(0, 2), (0, 1000)], [1, 0.75, 1.5], np.log),
    "log2": Function(lambda x: mpmath.log(x, 2), 1, [(0, 2), (0, 1000)], [1, 0.75, 1.5, 8], np.log2),
    "log10": Function(mpmath.log10, 1, [(0, 2), (0, 1000)], [1, 0.75, 1.5, 1000], np.log10),
    "log1p": Function(mpmath.log1p, 1, [(-1, 1), (0, 1000)], [-0.25, 0.5, -1, 0], np.log1p),
    "expm1": Function(mpmath.expm1, 1, [(-18, 89), (-1, 1), (-40, 710)], [0.4055, -0.2877, 17.03, 0], np.expm1),
    "sin": Function(mpmath.sin, 1, [(-7, 7), (-1e5, 1e5)], [PI / 4, PI, 22, 1e5, 1e9, FAR], np.sin),
    "cos": Function(mpmath.cos, 1, [(-7, 7), (-1e5, 1e5)], [PI / 4, PI / 2, 11, 1e5, 1e9, FAR], np.cos),
    "tan": Function(mpmath.tan, 2, [(-7, 7), (-1e5, 1e5)], [PI / 4, PI / 2, 11, 1e5, 1e9, FAR], np.tan),
    "arcsin": Function(mpmath.asin, 2, [(-1, 1)], [0.5, 1, -1, 0], np.arcsin),
    "arccos": Function(mpmath.acos, 2, [(-1, 1)], [0.5, -0.5, 1, -1], np.arccos),
    "arctan": Function(mpmath.atan, 2, [(-4, 4)], [1, -1, 0], np.arctan),
    "sinh": Function(mpmath.sinh, 2, [(-90, 90), (-711, 711)], [1, 89.41, 710.47, 0], np.sinh),
    "cosh": Function(mpmath.cosh, 2, [(-90, 90), (-711, 711)], [89.41, 710.47, 0], np.cosh),
    "tanh": Function(mpmath.tanh, 2, [(-1, 1), (-20, 20)], [0.6, 10, 20, 0], np.tanh),
    "arcsinh": Function(mpmath.asinh, 2, [(-4, 4)], [2.0**25, 2.0**54, 0], np.arcsinh),
    "arccosh": Function(mpmath.acosh, 2, [(1, 4), (1, 1000)], [1, 2.0**25, 2.0**54], np.arccosh),
    "arctanh": Function(mpmath.atanh, 2, [(-1, 1)], [0.2, 1, 0], np.arctanh),
    "sigmoid": Function(_sigmoid, 2, [(-20, 20), (-746, 40)], [0, -88.7, -103.9, -709.8, -745.1],
                        lambda x: 1 / (1 + np.exp(-x))),
    "softplus": Function(_softplus, 2, [(-20, 20), (-746, 40)], [0, -88.7, -103.9, -709.8], _wide_softplus),
    "erf": Function(mpmath.erf, 2, [(-6, 6)], [0, 1, 4, 6]),
    "erfc": Function(lambda x: mpmath.erfc(min(x, 1e3)), 4, [(-6, 6), (4, 10.2), (6, 27.3)], [0, 10.05, 26.6]),
    "erfinv": Function(mpmath.erfinv, 8, [(-1, 1)], [0, 0.5, 1, -1]),
    "gammaln": Function(_gammaln, 10, [(0, 4), (-6, 40), (-200, 1e5)],
                        [1, 2, 3, 0.5, 1.5], scale=lambda x: np.maximum(1, np.abs(x))),
    "psi": Function(mpmath.digamma, 100, [(0, 4), (-6, 40), (-200, 1e5)], [1.4616321449683622, 2],
                    scale=lambda x: np.log(4 + np.abs(x))),
}  # fmt: skip


def points(f: Function, dtype: str, count: int, seed: int = 0) -> np.ndarray:
    """Random bit patterns, as many numbers of the spans, and those beside the hard points; each a finite number."""
    rng, info = np.random.default_rng(seed), np.finfo(dtype)
    patterns = rng.integers(0, 1 << info.bits, count, dtype="uint64").astype(f"uint{info.bits}").view(dtype)
    inside = [rng.uniform(low, high, count // 4 // len(f.spans)) for low, high in f.spans]
    beside = [p * (1 + info.eps * np.arange(-16, 17)) for p in f.near]
    around = [p + rng.standard_normal(50) * np.exp2(-rng.uniform(0, 60, 50)) for p in f.near]
    with np.errstate(all="ignore"):
        found = np.concatenate([patterns, *[np.asarray(a).astype(dtype) for a in (*inside, *beside, *around)]])
    return found[np.isfinite(found)]


def compiled(name: str, *arrays: np.ndarray) -> np.ndarray:
    """The function as users have it."""
    given = [sg.vector(f"x{k}", dtype=a.dtype.name) for k, a in enumerate(arrays)]
    found: np.ndarray = sg.function(given, getattr(sg, name)(*given), backend="llvm")(*arrays)
    return found


def unit(size: Any, dtype: str) -> Any:
    """One unit in the last place of numbers of this size."""
    info = np.finfo(dtype)
    clipped = min(max(abs(size), mpmath.mpf(float(info.tiny))), mpmath.mpf(float(info.max)))
    return mpmath.mpf(2) ** (mpmath.mag(clipped) - 1 - info.nmant)


def error(found: float, truth: Any, scale: float, dtype: str) -> float:
    """In ulp of the larger of the value and ``scale``; infinity counts as the next power of two."""
    if mpmath.isnan(truth) or mpmath.im(truth):
        return 0.0 if np.isnan(found) else float("inf")
    if not mpmath.isfinite(truth):
        return 0.0 if found == float(truth) else float("inf")
    u = unit(max(abs(truth), mpmath.mpf(scale)), dtype)
    top = mpmath.mpf(float(np.finfo(dtype).max)) + unit(mpmath.mpf(float(np.finfo(dtype).max)), dtype)
    if np.isinf(found) and truth * found > 0 and abs(truth) >= top - u / 2:
        return 0.0
    value = top * int(np.sign(found)) if np.isinf(found) else mpmath.mpf(float(found))
    return float(abs(value - truth) / u) if not np.isnan(found) else float("inf")


def worst(name: str, dtype: str, count: int, seed: int = 0) -> tuple[float, float]:
    """(the largest error in ulp, where it is)."""
    f = FUNCTIONS[name]
    x = points(f, dtype, count, seed)
    given = [x] if f.other is None else [x, f.other(x)]
    with np.errstate(all="ignore"):
        found, scale = compiled(name, *given), np.asarray(f.scale(x.astype("float64")))
        if f.wide is not None:
            rough = np.asarray(f.wide(*[a.astype("longdouble") for a in given]))
            keep = np.argsort(_rough_errors(found, rough, dtype))[-CLOSEST:]
            given, found, scale = [a[keep] for a in given], found[keep], scale[keep]
    with mpmath.workdps(DIGITS):
        truths = [truth(f, *map(float, xs)) for xs in zip(*given, strict=True)]
        errors = [error(float(y), t, float(s), dtype) for y, t, s in zip(found, truths, scale, strict=True)]
    k = int(np.argmax(errors))
    return errors[k], float(given[0][k])


def _rough_errors(found: np.ndarray, rough: np.ndarray, dtype: str) -> np.ndarray:
    size = np.clip(np.abs(rough), np.finfo(dtype).tiny, np.finfo(dtype).max)
    errors = np.abs(found - rough) / np.spacing(size.astype(dtype))
    unlike = (np.isnan(found) != np.isnan(rough)) | (np.isinf(found) != np.isinf(rough.astype(dtype)))
    return np.where(unlike, np.inf, np.nan_to_num(errors, nan=0.0))


def truth(f: Function, x: float, *more: float) -> Any:
    """The real value; NaN where there is none."""
    try:
        y = f.real(mpmath.mpf(x), *map(mpmath.mpf, more))
    except (ValueError, ZeroDivisionError):
        return mpmath.nan if x else -mpmath.inf
    # erfc(1e300) has an exponent that no float holds
    return mpmath.mpf(0) if y and mpmath.isfinite(y) and mpmath.mag(y) < LEAST else y


# ------------------------------------------------------------------------------------------------ NumPy's rows

FOLDER = Path(np.__file__).parent / "_core" / "tests" / "data"


def rows() -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """(function, dtype, inputs, correctly rounded values) of NumPy's validation sets."""
    for path in sorted(FOLDER.glob("umath-validation-set-*.csv")):
        name = path.stem.rpartition("-")[2]
        with path.open() as file:
            lines = [r for r in csv.reader(x for x in file if not x.startswith("#")) if len(r) == 4 and r[0] != "dtype"]
        for dtype, bits in (("float32", "uint32"), ("float64", "uint64")):
            kept = [r for r in lines if r[0] == f"np.{dtype}"]
            x, y = (np.array([int(r[k], 16) for r in kept], bits).view(dtype) for k in (1, 2))
            if kept:
                yield name, dtype, x, y


SETS = {f"{name} {dtype}": (name, x, y) for name, dtype, x, y in rows() if name in FUNCTIONS}


def distance(name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far the function is from rows, in ulp; infinity counts as next to the largest number."""
    with np.errstate(all="ignore"):
        found = compiled(name, x)
        error = np.abs(found.astype("longdouble") - y) / np.spacing(np.maximum(np.abs(y), np.finfo(x.dtype).tiny))
        same = (found == y) | (np.isnan(found) & np.isnan(y))
        beside = (np.isinf(found) != np.isinf(y)) & (np.minimum(abs(found), abs(y)) == np.finfo(x.dtype).max)
    return np.where(same, 0.0, np.where(beside, 1.0, np.nan_to_num(error, nan=np.inf))).astype("float64")

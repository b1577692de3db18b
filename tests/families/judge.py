"""Judging: the spellings of a family, compiled or by the reference, against mpmath in 700 digits."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

import symgraph as sg
from symgraph.graph import Variable
from tests.families import Family

DIGITS = 700
"""Enough for differences of 1e-30 of 1e-300."""
STEP = mpmath.mpf(10) ** -30
ULP, SLOPE_ULP = 4.0, 8.0


@dataclass(frozen=True)
class Miss:
    """Where a spelling is wrong."""

    spelling: str
    point: Any
    what: str
    found: float
    expected: Any

    def __str__(self) -> str:
        return f"{self.spelling!r} at {self.point}: {self.what} {self.found!r}, really {mpmath.nstr(self.expected, 17)}"


def misses(family: Family, dtype: str, rank: int, spellings: Sequence[str] | None = None) -> list[Miss]:
    """Every value and slope that is wrong, over all spellings and points."""
    names = list(family.spellings if spellings is None else spellings)
    found = (_run_rows if family.rows else _run_elements)(family, names, dtype, rank)
    truths = [(point, *truth(family, point, dtype)) for point in _points(family, dtype)]
    return [m for name, results in zip(names, found, strict=True) for m in _compare(family, name, results, truths)]


# ------------------------------------------------------------------------------------------------ running


def _compiled(family: Family, names: Sequence[str], inputs: list[Variable]) -> Callable[..., list[np.ndarray]]:
    """The values of all spellings, then their slopes, as one function: equal normal forms are computed once."""
    outputs = []
    for name in names:
        y = family.spellings[name](*inputs)
        cost = y if not family.rows or y.ndim < inputs[0].ndim else y[..., 0]
        outputs += [y, *sg.grad(cost.sum(), inputs, disconnected_inputs="ignore")]
    return sg.function(inputs, outputs, on_unused_input="ignore")


def _run_elements(family: Family, names: Sequence[str], dtype: str, rank: int) -> list[list[np.ndarray]]:
    points = _points(family, dtype)
    arity = len(points[0])
    shape = (2,) * (rank - 1) + (-1,)
    fill = -len(points) % 2 ** (rank - 1)
    columns = [np.array([p[k] for p in [*points, *points[:fill]]], dtype).reshape(shape) for k in range(arity)]
    inputs = [sg.tensor("xyz"[k], dtype, (None,) * rank) for k in range(arity)]
    results = [a.ravel()[: len(points)] for a in _compiled(family, names, inputs)(*columns)]
    return _grouped(results, 1 + arity)


def _run_rows(family: Family, names: Sequence[str], dtype: str, rank: int) -> list[list[np.ndarray]]:
    x = np.array(_points(family, dtype), dtype)
    symbol = sg.tensor("x", dtype, (None,) * rank)
    f = _compiled(family, names, [symbol])
    if rank == 1:
        results = [np.stack(many) for many in zip(*[f(row) for row in x], strict=True)]
    else:
        results = f(x.reshape((len(x),) + (1,) * (rank - 2) + (-1,)))
    return _grouped([a.reshape(len(x), -1) for a in results], 2)


def _grouped(results: list[np.ndarray], size: int) -> list[list[np.ndarray]]:
    return [results[k : k + size] for k in range(0, len(results), size)]


def _points(family: Family, dtype: str) -> list[Any]:
    """The points as numbers of the dtype, each once; without those that are out of its range."""
    found = {}
    for p in family.points:
        with np.errstate(all="ignore"):
            rounded = np.array(p, dtype).astype("float64")
        if ((rounded == 0) == (np.array(p) == 0)).all() and (np.isfinite(rounded) == np.isfinite(p)).all():
            found[str(rounded)] = tuple(rounded.tolist())
    return list(found.values())


# ------------------------------------------------------------------------------------------------ comparing


def _compare(family: Family, name: str, results: list[np.ndarray], truths: Sequence[Any]) -> Iterator[Miss]:
    for k, (point, value, slopes, value_slack, slope_slack) in enumerate(truths):
        found = [results[0][k], *[r[k] for r in results[1:]]]
        if family.rows:
            yield from _wrong(name, point, "value", found[0], value, value_slack, ULP)
            yield from _wrong(name, point, "slope", found[1], slopes, slope_slack, SLOPE_ULP)
            continue
        yield from _wrong(name, point, "value", [found[0]], [value], [value_slack], ULP)
        yield from _wrong(name, point, "slope", found[1:], slopes, slope_slack, SLOPE_ULP)


def _wrong(name: str, point: Any, what: str, found: Any, expected: Any, slack: Any, ulp: float) -> Iterator[Miss]:
    if expected is None:
        return
    assert len(found) == len(expected), f"{name}: {len(found)} {what}s for {len(expected)}"
    for a, t, s in zip(found, expected, slack, strict=True):
        if t is not None and not is_close(a, mpmath.mpf(t), mpmath.mpf(s), ulp):
            yield Miss(name, point, what, a.item(), t)


def is_close(found: Any, truth: Any, slack: Any, ulp: float) -> bool:
    """Within ``ulp`` units in the last place, or ``slack``; below the least normal number, units of that."""
    with np.errstate(over="ignore"):
        if found == found.dtype.type(truth):  # the nearest number there is
            return True
    info = np.finfo(found.dtype)
    largest = mpmath.mpf(float(info.max))
    if mpmath.isnan(truth):
        return bool(np.isnan(found))
    if not np.isfinite(found):
        return bool(not np.isnan(found) and truth * mpmath.sign(float(found)) >= largest * (1 - 8 * float(info.eps)))
    if abs(truth) > largest:
        return bool(abs(mpmath.mpf(float(found))) >= largest * (1 - 8 * mpmath.mpf(float(info.eps))))
    unit = max(mpmath.mpf(2) ** (mpmath.mag(truth) - 1) if truth else 0, mpmath.mpf(float(info.tiny)))
    return bool(abs(mpmath.mpf(float(found)) - truth) <= ulp * unit * mpmath.mpf(float(info.eps)) + slack)


@functools.cache
def _exact(
    family_value: Callable[..., Any], point: tuple[float, ...], rows: bool, bent: bool
) -> tuple[Any, list[Any], list[Any]]:
    """(value, slopes by each argument, their curvatures): by differences in 700 digits."""
    with mpmath.workdps(DIGITS):
        x = [mpmath.mpf(v) for v in point]

        def first(*z: Any) -> Any:
            found = family_value(list(z)) if rows else family_value(*z)
            return found[0] if isinstance(found, list) else found

        value = family_value(x) if rows else family_value(*x)
        slopes = [_difference(first, x, k) for k in range(len(x))]
        bends = {(j, k): _difference(_Slope(first, j), x, k) for j in range(len(x)) for k in range(j + 1) if bent}
        curves = [[bends[max(j, k), min(j, k)] for k in range(len(x))] for j in range(len(x))] if bent else []
    return value, slopes, curves


@dataclass(frozen=True)
class _Slope:
    """The slope of ``f`` by its argument ``k``."""

    f: Callable[..., Any]
    k: int

    def __call__(self, *x: Any) -> Any:
        return _difference(self.f, list(x), self.k)


def _difference(f: Callable[..., Any], x: list[Any], k: int) -> Any:
    h = abs(x[k]) * STEP if x[k] else STEP
    up, down = list(x), list(x)
    up[k], down[k] = x[k] + h, x[k] - h
    return (f(*up) - f(*down)) / (2 * h)


def truth(family: Family, point: Any, dtype: str) -> tuple[Any, Any, Any, Any]:
    """(value, slopes, what either may be off by for conditioning)."""
    known = family.at.get(point)
    if known is None and not np.isfinite(point).all():
        return None, None, None, None
    if known is not None:
        value, slopes = known
        if family.rows and value is not None and not isinstance(value, list):
            value = [value]
        many = len(value) if family.rows and value is not None else 0
        return value, slopes, [0] * many if family.rows else 0, [0] * len(point)
    value, slopes, curves = _exact(family.value, point, family.rows, family.conditioned)
    half = 4 * mpmath.mpf(float(np.finfo(dtype).eps)) / 2 if family.conditioned else mpmath.mpf(0)
    sizes = [abs(mpmath.mpf(v)) * half for v in point]
    moved = _reach(slopes, sizes)
    bent = [_reach(row, sizes) for row in curves] or [mpmath.mpf(0)] * len(point)
    if not family.rows:
        return value, slopes, moved, bent
    values = value if isinstance(value, list) else [value]
    return values, slopes, [moved] * len(values), bent


def _reach(slopes: Sequence[Any], sizes: Sequence[Any]) -> Any:
    """How far changes of these sizes in the arguments move what has these slopes."""
    return sum((abs(s) * d for s, d in zip(slopes, sizes, strict=True)), mpmath.mpf(0))

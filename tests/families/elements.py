"""What the families of functions of one number share: where they are judged, axes put in, and meanings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import mpmath as mp

import symgraph as sg
from symgraph.graph import Variable
from tests.families import Spelling

INF = math.inf
SIZES = [1e-300, 1e-30, 1e-17, 1e-7, 1e-3, 0.5, 1.0, 3.0, 6.0, 17.0, 40.0, 87.0, 104.0, 710.0, 746.0, 1e4]
REAL = [0.0, *SIZES, *[-v for v in SIZES], INF, -INF]
POSITIVE = [0.0, *SIZES, INF]
HUGE = [1e-300, 1e-170, 1e-30, 1e-17, 1e-3, 0.5, 1.0, 3.0, 40.0, 710.0, 1e4, 1e17, 1e30, 1e170, 1e300]


def points(values: Sequence[float]) -> list[tuple[float]]:
    return [(v,) for v in values]


ELEMENTS = points(REAL)


def at(**known: tuple[Any, Any]) -> dict[Any, Any]:
    """Limits by name: low, high and zero."""
    where = {"low": -INF, "high": INF, "zero": 0.0}
    return {(where[k],): (value, [slope]) for k, (value, slope) in known.items()}


def apart(f: Spelling) -> Spelling:
    """A column beside the axes, taken away after."""
    return lambda x: f(x[..., None])[..., 0]


def turned(f: Callable[[Variable], Variable], g: Callable[[Variable], Variable]) -> Spelling:
    """g of f, with an axis put in between and taken away after."""
    return lambda x: g(sg.expand_dims(f(x), 0))[0]


def logistic(v: Any) -> Any:
    return 1 / (1 + mp.exp(-v)) if v > 0 else mp.exp(v) / (1 + mp.exp(v))


def log1pexp(v: Any) -> Any:
    return max(v, 0) + mp.log1p(mp.exp(-abs(v)))


def log1(v: Any) -> Any:
    """log(1 + v), exact for tiny v."""
    return v - v * v / 2 if 0 < abs(v) < mp.mpf(10) ** -100 else mp.log(1 + v)

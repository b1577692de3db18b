"""Cases of softmax and its kin, and of the losses, against mpmath and SciPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
from scipy import special

from symgraph.graph import Variable
from symgraph.op import OPS
from symgraph.ops.elementwise import sub
from symgraph.ops.exponentials import exp_difference, log_softmax, logsumexp, peak, softmax
from symgraph.ops.nn import (
    batch_norm_test,
    batch_norm_train,
    binary_crossentropy,
    categorical_crossentropy,
    embedding,
    layer_norm,
    sigmoid_binary_crossentropy,
)
from symgraph.ops.odds import exp_of_gaps
from tests.cases import Arrays, Case
from tests.cases.shape import Draw, drawn, normal

Axes = int | tuple[int, ...] | None
Array = np.ndarray

# ------------------------------------------------------------------------------------------------ by mpmath


def rowwise(function: Callable[[list[Any]], list[Any]], axis: Axes) -> Callable[[Array], Array]:
    """An oracle from a function of the list of numbers along ``axis``, in 80 digits."""

    def oracle(x: Array) -> Array:
        axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        last = tuple(range(-len(axes), 0))
        moved = np.moveaxis(x, axes, last)
        rows = moved.reshape(-1, int(np.prod(moved.shape[x.ndim - len(axes) :])))
        with mpmath.workdps(80):
            found = [[float(v) for v in function([mpmath.mpf(float(v)) for v in row])] for row in rows]
        if function is log_of_sum:
            return np.array(found).reshape(moved.shape[: x.ndim - len(axes)])
        return np.moveaxis(np.array(found, "float64").reshape(moved.shape), last, axes)

    return oracle


def probabilities(row: list[Any]) -> list[Any]:
    """exp(x) / sum(exp(x))."""
    total = mpmath.fsum(mpmath.exp(v) for v in row)
    return [mpmath.exp(v) / total for v in row]


def others(row: list[Any]) -> list[Any]:
    """1 - softmax(x)."""
    return [mpmath.fsum(p for k, p in enumerate(probabilities(row)) if k != i) for i in range(len(row))]


def parts_of_log(row: list[Any]) -> tuple[Any, Any]:
    """The maximum m, and log(sum(exp(x))) - m: the latter to all digits, even where it is tiny."""
    first, *rest = sorted(row, reverse=True)
    return first, mpmath.log1p(mpmath.fsum(mpmath.exp(v - first) for v in rest))


def logarithms(row: list[Any]) -> list[Any]:
    """log(softmax(x))."""
    first, rest = parts_of_log(row)
    return [v - first - rest for v in row]


def log_others(row: list[Any]) -> list[Any]:
    """log(sum(exp(x))) of all others."""
    lists = [[v for j, v in enumerate(row) if j != k] for k in range(len(row))]
    return [sum(parts_of_log(r)) if r else -mpmath.inf for r in lists]


def odds(row: list[Any]) -> list[Any]:
    """log(p / (1 - p)) with p = softmax(x)."""
    return [v - other for v, other in zip(row, log_others(row), strict=True)]


def log_complements(row: list[Any]) -> list[Any]:
    """log(1 - softmax(x))."""
    return [-mpmath.log1p(mpmath.exp(v)) if v < mpmath.inf else -v for v in odds(row)]


def log_of_sum(row: list[Any]) -> list[Any]:
    """log(sum(exp(x)))."""
    first, rest = parts_of_log(row)
    return [first + rest]


# ------------------------------------------------------------------------------------------------ draws


def rows(*letters: str, scale: float = 1.0) -> Draw:
    """Normal numbers of drawn shapes, scaled."""
    inner = drawn(*letters)
    return lambda rng, dtype: [(a.astype("float64") * scale).astype(dtype) for a in inner(rng, dtype)]


def peaked(rng: np.random.Generator, dtype: str) -> Arrays:
    """Rows in which one element is far above the others, or several tie."""
    x = rng.normal(size=(4, 5))
    x[0, 2], x[1, :2], x[2] = 25.0, 12.0, 3.0
    return [x.astype(dtype)]


def chances(*letters: str) -> Draw:
    """Positive rows that sum to 1, and more arrays of normal numbers."""
    inner = drawn(*letters)

    def draw(rng: np.random.Generator, dtype: str) -> Arrays:
        x, *more = inner(rng, dtype)
        return [special.softmax(x.astype("float64"), axis=-1).astype(dtype), *more]

    return draw


def labelled(rng: np.random.Generator, dtype: str) -> Arrays:
    """Probabilities and labels."""
    (p,) = chances("nm")(rng, dtype)
    return [p, rng.integers(0, p.shape[1], size=p.shape[0]).astype("int32")]


def spread_targets(rng: np.random.Generator, dtype: str) -> Arrays:
    """Probabilities and distributions over the classes."""
    return [*chances("abn")(np.random.default_rng(1), dtype), *chances("abn")(np.random.default_rng(1), dtype)]


def outcomes(low: float, high: float) -> Draw:
    """Numbers in low..high, and targets 0, 1 or between."""

    def draw(rng: np.random.Generator, dtype: str) -> Arrays:
        x = rng.uniform(low, high, size=(3, 5))
        y = np.where(rng.random((3, 5)) < 0.5, rng.integers(0, 2, size=(3, 5)), rng.random((3, 5)))
        return [x.astype(dtype), y.astype(dtype)]

    return draw


def indices(rng: np.random.Generator, dtype: str) -> Arrays:
    """Rows of a table."""
    return [rng.integers(-4, 4, size=(3, 2)), rng.normal(size=(4, 5)).astype(dtype)]


# ------------------------------------------------------------------------------------------------ families


def near_zero(cases: list[Case]) -> list[Case]:
    """The cases with errors counted in the last place of the largest element: what passes 0 is a difference there; with
    slopes of the last alone, for those beside nothing are NaN."""
    *others, last = cases
    return [*[replace(c, normwise=True, differentiable=()) for c in others], replace(last, normwise=True)]


def by_axis(op: str) -> Callable[..., Variable]:
    """A composite of softmax's kin, which takes all of its axes as a tuple."""
    return lambda x, axis=-1: OPS[op](x, axis=tuple(a % x.ndim for a in np.atleast_1d(axis).tolist()))  # type: ignore


def family(build: Callable[..., Any], function: Callable[[list[Any]], list[Any]], ulp: float = 4.0) -> list[Case]:
    """One function of rows, along several axes and at several magnitudes."""
    return [
        Case(build, drawn("nm"), rowwise(function, -1), (0,), ulp),
        Case(build, drawn("n"), rowwise(function, -1), (0,), ulp),
        Case(lambda x: build(x, axis=0), drawn("nma"), rowwise(function, 0), (0,), ulp),
        Case(lambda x: build(x, axis=(0, 2)), drawn("nma"), rowwise(function, (0, 2)), (0,), ulp),
        Case(build, rows("nm", scale=30), rowwise(function, -1), (), ulp),
        Case(build, rows("nm", scale=1e4), rowwise(function, -1), (), ulp),
        Case(build, peaked, rowwise(function, -1), (), ulp),
    ]


def cross(x: Array, y: Array) -> Array:
    """The loss of logits, each softplus by SciPy."""
    return y * -special.log_expit(x) + (1 - y) * -special.log_expit(-x)


def standard(x: Array, axes: tuple[int, ...], eps: float) -> Array:
    """Mean 0 and variance 1 along ``axes``."""
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def unbounded(rng: np.random.Generator, dtype: str) -> Arrays:
    return [np.array([[-np.inf, np.inf, 1, np.nan], [-np.inf, 0, 2, 0]], dtype)]


def _ratios(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """softmax(x) / softmax(y) of rows."""
    return np.asarray(np.exp(rowwise_wide(x) - rowwise_wide(y)))


def rowwise_wide(x: np.ndarray) -> np.ndarray:
    """log(softmax(x)) of rows, in long double."""
    return x - np.asarray(np.logaddexp.reduce(x.astype("longdouble"), 1, keepdims=True))


def _gaps(rng: np.random.Generator, dtype: str) -> Arrays:
    return [*(rng.normal(size=(4, 5)).astype(dtype) for _ in range(4)), rng.uniform(0.5, 2, (4, 1)).astype(dtype)]


CASES: dict[str, list[Case]] = {
    "exp_difference": [
        Case(exp_difference, drawn("nm", "m"), lambda x, y: np.exp(np.longdouble(x) - np.longdouble(y)), (0, 1)),
        Case(exp_difference, rows("nm", "nm", scale=20), lambda x, y: np.exp(np.longdouble(x) - np.longdouble(y))),
    ],
    "peak": [
        Case(lambda x: peak(x, axis=(1,)), drawn("nma"), lambda x: x.max(1, keepdims=True)),
        Case(lambda x: peak(x, axis=(0,)), unbounded, lambda x: np.array([[0, np.finfo(x.dtype).max, 2, np.nan]])),
        Case(lambda x: peak(x, axis=(1,)), lambda rng, d: [np.zeros((2, 0), d)], lambda x: np.zeros((2, 1))),
    ],
    "softmax": family(softmax, probabilities),
    "softmax_complement": family(by_axis("softmax_complement"), others),
    "softmax_log_odds": near_zero(
        [*family(by_axis("softmax_log_odds"), odds),
         Case(by_axis("softmax_log_odds"), lambda rng, d: [rng.normal(size=(4, 5)).astype(d)], rowwise(odds, -1), (0,))]
    ),
    "log_softmax_complement": family(by_axis("log_softmax_complement"), log_complements),
    "softmax_ratio": [
        Case(lambda x, y: OPS["softmax_ratio"](x, y, axis=(1,)), drawn("nm", "nm"), _ratios, (0, 1), 8.0),  # type: ignore
        Case(lambda x, y: OPS["softmax_ratio"](x, y, axis=(0,)), drawn("nm", "nm"), lambda x, y: _ratios(x.T, y.T).T),  # type: ignore
        Case(lambda x, y: OPS["softmax_ratio"](x, y, axis=(1,)), rows("nm", "nm", scale=1e3), _ratios),  # type: ignore
    ],
    "exp_of_gaps": [
        Case(exp_of_gaps, _gaps, lambda x, a, y, b, s: s * np.exp(np.longdouble(x) - a - (np.longdouble(y) - b)),
             (0, 1, 2, 3, 4)),
    ],
    "log_softmax": family(log_softmax, logarithms),
    "logsumexp": [
        *family(lambda x, axis=-1: logsumexp(x, axis), log_of_sum, 8.0),
        Case(lambda x: logsumexp(x, 1, keepdims=True), drawn("nm"), lambda x: special.logsumexp(x, 1, keepdims=True)),
        Case(logsumexp, drawn("nma"), rowwise(log_of_sum, None), (0,), 8.0),
    ],
    "log": [
        Case(
            categorical_crossentropy, labelled, lambda p, y: -np.log(p[np.arange(len(y)), y]), (0,), 8.0
        ),
        Case(
            categorical_crossentropy, spread_targets, lambda p, y: -(y * np.log(p)).sum(-1), (0, 1), 32.0
        ),
        Case(
            binary_crossentropy, outcomes(0.05, 0.95),
            lambda p, y: -(y * np.log(p) + (1 - y) * np.log1p(-p)), (0, 1), 8.0,
        ),
    ],
    "sigmoid_binary_crossentropy": [
        Case(sigmoid_binary_crossentropy, outcomes(-4, 4), cross, (0, 1), 8.0),
        Case(sigmoid_binary_crossentropy, outcomes(-200, 200), cross, (0, 1), 8.0),
    ],
    "gather": [Case(embedding, indices, lambda y, table: table[y], (1,))],
    "sqrt": [
        Case(
            lambda x, c, b: layer_norm(x, c, b), normal((3, 7), (7,), (7,)),
            lambda x, c, b: standard(x, (1,), 1e-5) * c + b, (0, 1, 2), 64.0,
        ),
        Case(
            lambda x, c, b: batch_norm_train(x, c, b, "spatial")[0], normal((3, 2, 4, 5), (2,), (2,)),
            lambda x, c, b: standard(x, (0, 2, 3), 1e-4) * c[:, None, None] + b[:, None, None], (0, 1, 2), 64.0,
        ),
        Case(
            lambda x, c: batch_norm_train(x, c)[0], normal((5, 4), (4,)),
            lambda x, c: standard(x, (0,), 1e-4) * c, (0, 1), 64.0,
        ),
        Case(
            lambda x, c, m: batch_norm_test(x, c, None, m, sub(1, m * m) + 3), normal((5, 4), (4,), (4,)),
            lambda x, c, m: (x - m) / np.sqrt(4 - m * m + 1e-4) * c, (0, 1), 64.0,
        ),
    ],
}  # fmt: skip

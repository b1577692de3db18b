"""Cases of reductions, running sums and products, and counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import symgraph.ops as ops
from symgraph.op import OPS
from tests.cases import Arrays, Case
from tests.cases.elementwise import WIDE, _floats, exact

R, C = ops.reduce, ops.cumulative
Draw = Callable[[np.random.Generator, str], Arrays]
Axis = Any

AXES: list[tuple[Axis, bool]] = [(None, False), (0, False), (-1, True), ((0, 2), False), ((1, 2), True), ((), False)]
SHAPES: list[tuple[int, ...]] = [(2, 3, 4), (1, 5, 1), (7, 1, 2), (0, 3, 2)]
FULL = SHAPES[:3]


def cube(shapes: Sequence[tuple[int, ...]] = SHAPES, span: tuple[float, float] = WIDE) -> Draw:
    """Floats of three axes."""

    def draw(rng: np.random.Generator, dtype: str) -> Arrays:
        return [_floats(rng, shapes[rng.integers(len(shapes))], [span], dtype)]

    return draw


def scalar(rng: np.random.Generator, dtype: str) -> Arrays:
    return [_floats(rng, (), [WIDE], dtype)]


def whole(low: int, high: int, *dtypes: str) -> Draw:
    """Integers of three axes."""

    def draw(rng: np.random.Generator, dtype: str) -> Arrays:
        kind = dtypes[rng.integers(len(dtypes))]
        return [rng.integers(low, high, size=FULL[rng.integers(len(FULL))]).astype(kind)]

    return draw


def distinct(rng: np.random.Generator, dtype: str) -> Arrays:
    """Elements that are well apart, so that differences stay on one side of a tie."""
    shape = FULL[rng.integers(len(FULL))]
    return [(rng.permutation(int(np.prod(shape))) * 0.25 - 2).reshape(shape).astype(dtype)]


def holes(rng: np.random.Generator, dtype: str) -> Arrays:
    """Floats with a NaN and infinities."""
    x = _floats(rng, (3, 4, 2), [WIDE], dtype)
    x[0, 1, 0], x[1, 2, 1], x[2, 0, 0] = np.nan, np.inf, -np.inf
    return [x]


def zeros(rng: np.random.Generator, dtype: str) -> Arrays:
    """Small floats, some rows with one zero, some with two."""
    x = _floats(rng, (3, 4, 2), [(0.5, 1.5)], dtype)
    x[0, 1, 0] = x[1, 0, 0] = x[1, 2, 0] = 0
    return [x]


def along(op: Any, oracle: Any, draw: Draw, differentiable: tuple[int, ...] = (), ulp: float = 16.0) -> list[Case]:
    """``op`` along each of ``AXES``, in the words of NumPy."""

    def one(axis: Axis, keepdims: bool) -> Case:
        return Case(
            lambda x: op(x, axis=axis, keepdims=keepdims),
            draw,
            exact(lambda x: oracle(x, axis=axis, keepdims=keepdims)),
            differentiable,
            ulp,
        )

    return [one(axis, keepdims) for axis, keepdims in AXES]


def single(op: Any, oracle: Any, draw: Draw, axes: Sequence[int | None] = (None, 0, 1, -1)) -> list[Case]:
    """``op`` along one axis."""

    def one(axis: int | None) -> Case:
        return Case(lambda x: op(x, axis=axis), draw, lambda x: oracle(x, axis=axis))

    return [one(axis) for axis in axes]


INTS = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint32", "uint64")

# float16 sums are rounded once more, and numbers of both signs cancel: errors are relative to the largest magnitude
REDUCTIONS: dict[str, list[Case]] = {
    "sum": [
        *along(R.sum, np.sum, cube(), (0,), 64.0),
        Case(R.sum, scalar, exact(np.sum), (0,)),
        Case(R.sum, whole(-9, 10, *INTS), np.sum),
        Case(R.sum, whole(0, 10, *UNSIGNED), np.sum),
        Case(R.sum, whole(0, 2, "bool"), np.sum),
        Case(lambda x: R.sum(x, 0, dtype="float64"), whole(-9, 10, *INTS), lambda x: np.sum(x, 0, dtype="float64")),
    ],
    "prod": [
        *along(R.prod, np.prod, cube(span=(0.5, 1.5)), (0,), 64.0),
        *along(R.prod, np.prod, zeros, (0,), 64.0),
        Case(R.prod, whole(-2, 3, *INTS), lambda x: np.prod(x, dtype="int64")),
    ],
    "max": [
        *along(R.max, np.max, distinct, (0,)),
        *along(R.max, np.max, holes),
        *along(R.max, np.max, whole(-9, 10, *INTS)),
        Case(lambda x: R.max(x, 2), cube(), lambda x: np.max(x, 2)),
    ],
    "min": [
        *along(R.min, np.min, distinct, (0,)),
        *along(R.min, np.min, holes),
        *along(R.min, np.min, whole(-9, 10, *INTS)),
    ],
    "any": [*along(R.any, np.any, whole(0, 2, "bool", "int8")), *along(R.any, np.any, holes)],
    "all": [*along(R.all, np.all, whole(0, 2, "bool", "int8")), *along(R.all, np.all, holes)],
    "argmax": [
        *single(R.argmax, np.argmax, distinct),
        *single(R.argmax, np.argmax, holes),
        *single(R.argmax, np.argmax, whole(0, 3, *INTS)),
        Case(R.argmax, scalar, np.argmax),
    ],
    "argmin": [
        *single(R.argmin, np.argmin, distinct),
        *single(R.argmin, np.argmin, holes),
        *single(R.argmin, np.argmin, whole(0, 3, *INTS)),
        Case(lambda x: R.argmin(x, 1, keepdims=True), distinct, lambda x: np.argmin(x, 1, keepdims=True)),
    ],
    "log_prod": [
        Case(lambda x: R.log_prod(x, axis=(1,), keepdims=False), cube(FULL, (1.2, 3.0)),
             exact(lambda x: np.log(np.prod(x, 1))), (0,)),
        Case(lambda x: R.log_prod(x, axis=(0, 1), keepdims=True), lambda rng, d: [np.full((2, 60), 2.0**14, d)],
             lambda x: np.full((1, 1), 120 * 14 * np.log(2))),
        Case(lambda x: R.log_prod(x, axis=(2,), keepdims=False), holes, exact(lambda x: np.log(np.prod(x, 2)))),
    ],
    "norm": [
        *along(R.norm, lambda x, axis, keepdims: np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims)),
               cube(FULL, (0.3, 3.0)), (0,)),
        Case(lambda x: R.norm(x, 1, axis=1), cube(FULL, (0.3, 3.0)), exact(lambda x: np.sum(np.abs(x), 1)), (0,), 16.0),
        Case(lambda x: R.norm(x, 3, axis=1), cube(FULL, (0.3, 3.0)),
             exact(lambda x: np.sum(np.abs(x) ** 3, 1) ** (1 / 3)), (0,), 16.0),
        Case(lambda x: R.norm(x, np.inf, axis=1), distinct, lambda x: np.max(np.abs(x), 1)),
        Case(lambda x: R.norm(x, 0, axis=1), zeros, lambda x: np.sum(x != 0, 1)),
    ],
}  # fmt: skip

COMPOSED: dict[str, list[Case]] = {
    "true_div": [
        *along(R.mean, np.mean, cube(), (0,), 64.0),
        *along(R.mean, np.mean, whole(-9, 10, *INTS)),
        *along(R.var, np.var, cube(FULL), (0,), 64.0),
        Case(lambda x: R.var(x, (1, 2), ddof=1), cube(FULL[:1]),
             exact(lambda x: np.var(x, (1, 2), ddof=1)), (0,), 64.0),
        Case(lambda x: R.std(x, (0, 1)), cube(FULL), exact(lambda x: np.std(x, (0, 1))), (0,), 64.0),
        Case(lambda x: R.ptp(x, 1), distinct, lambda x: np.ptp(x, 1), (0,)),
    ],
}  # fmt: skip


def pieces(rng: np.random.Generator, dtype: str) -> Arrays:
    """Factors and terms of a recurrence."""
    return [_floats(rng, (3, 5), [(-0.9, 0.9)], dtype), _floats(rng, (3, 5), [WIDE], dtype)]


def recurrence(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    s = np.array(b, "float64")
    for k in range(1, s.shape[1]):
        s[:, k] += a[:, k] * s[:, k - 1]
    return s


def bins(rng: np.random.Generator, dtype: str) -> Arrays:
    return [rng.integers(0, 6, size=11), _floats(rng, (11,), [WIDE], dtype)]


def shifted(x: np.ndarray) -> np.ndarray:
    return np.concatenate([np.full((len(x), 1, x.shape[2]), 2.0), x[:, :-1]], 1)


RUNNING: dict[str, list[Case]] = {
    "cumsum": [
        *[Case(lambda x, k=k: C.cumsum(x, k), cube(), exact(lambda x, k=k: np.cumsum(x, k)), (0,), 64.0)
          for k in (None, 0, 1, -1)],
        Case(lambda x: C.cumsum(x, 1), whole(-9, 10, *INTS), lambda x: np.cumsum(x, 1, dtype="int64")),
        Case(lambda x: C.cumsum(x, 1), whole(0, 10, *UNSIGNED), lambda x: np.cumsum(x, 1, dtype="uint64")),
    ],
    "cumprod": [
        *[Case(lambda x, k=k: C.cumprod(x, k), cube(span=(0.5, 1.5)),
               exact(lambda x, k=k: np.cumprod(x, k)), (0,), 64.0) for k in (None, 0, 1, -1)],
        Case(lambda x: C.cumprod(x, 1), zeros, exact(lambda x: np.cumprod(x, 1)), (0,), 16.0),
    ],
    "reverse": [Case(lambda x: OPS["reverse"](x, axis=1), cube(), lambda x: np.flip(x, 1), (0,))],
    "shift": [Case(lambda x: OPS["shift"](x, axis=1, fill=2.0), cube(FULL), shifted, (0,))],
    "recurrence": [Case(lambda a, b: OPS["recurrence"](a, b, axis=1), pieces, exact(recurrence), (0, 1), 64.0)],
    "bincount": [
        Case(lambda x, w: C.bincount(x, minlength=6), bins, lambda x, w: np.bincount(x, minlength=6)),
        Case(lambda x, w: C.bincount(x, w, minlength=8), bins,
             exact(lambda x, w: np.bincount(x, w, minlength=8)), (1,), 64.0),
    ],
    "read_bins": [
        Case(lambda x, i: OPS["read_bins"](x, i),
             lambda rng, d: [_floats(rng, (6,), [WIDE], d), rng.integers(0, 6, size=9)], lambda x, i: x[i], (0,))
    ],
}  # fmt: skip

CASES: dict[str, list[Case]] = {**REDUCTIONS, **COMPOSED, **RUNNING}

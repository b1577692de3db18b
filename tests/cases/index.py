"""Cases of joining and indexing: concatenate, pad, roll, slices, integer arrays, and writing through them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph.op import OPS
from symgraph.ops.index import inc_subtensor, set_subtensor
from symgraph.ops.join import concatenate, flip, repeat, roll, split, stack, tile
from symgraph.ops.pad import pad
from symgraph.ops.search import nonzero, searchsorted
from symgraph.ops.sort import argsort, argtopk, sort, topk, unique
from symgraph.ops.taking import choose, take, take_along_axis
from symgraph.ops.transcendental import sqrt
from tests.cases import Arrays, Case
from tests.cases.shape import drawn, normal

Draw = Callable[[np.random.Generator, str], Arrays]


def with_integers(*shapes: tuple[int, ...], integers: tuple[tuple[int, int, tuple[int, ...]], ...]) -> Draw:
    """Normal numbers of these shapes, then integers as (least, one above the greatest, shape)."""

    def draw(rng: np.random.Generator, dtype: str) -> Arrays:
        return [*normal(*shapes)(rng, dtype), *[np.asarray(rng.integers(a, b, size=s)) for a, b, s in integers]]

    return draw


def written(key: Any, inc: bool = False) -> Callable[..., np.ndarray]:
    """NumPy's meaning of writing y at ``key``; a function of the integers gives the key."""

    def oracle(x: np.ndarray, y: np.ndarray, *integers: np.ndarray) -> np.ndarray:
        out = np.array(x, "float64")
        at = key(*integers) if callable(key) else key
        if inc:
            np.add.at(out, at, y)
        else:
            out[at] = y
        return out

    return oracle


def collected(x: np.ndarray, g: np.ndarray, i: np.ndarray) -> np.ndarray:
    out = np.array(x, "float64")
    np.add.at(out, np.clip(i, 0, len(x) - 1), g)
    return out


def at_key(key: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Reading at a fixed key, by symgraph and by NumPy: the same words."""
    return (lambda x: x[key]), (lambda x: x[key])


def roots_found(x: np.ndarray) -> np.ndarray:
    """Where the roots belong among themselves, NaN last."""
    with np.errstate(invalid="ignore"):
        roots = np.sqrt(x)
    return np.searchsorted(np.sort(roots), roots)


SLICES: list[Any] = [
    slice(1, -1), slice(None, None, 2), slice(None, None, -1), slice(5, 1, -2), (slice(1, 3), slice(None, -2)), 2,
    -1, (0, -2), (Ellipsis, 1), (None, slice(2, 4)), (slice(2, 2),),
]  # fmt: skip

CASES: dict[str, list[Case]] = {
    "concatenate": [
        Case(lambda x, y: concatenate([x, y]), drawn("nm", "am", low=0), lambda x, y: np.concatenate([x, y]), (0, 1)),
        Case(lambda x, y: concatenate([x, y, x], 1), drawn("nm", "na"),
             lambda x, y: np.concatenate([x, y, x], 1), (0, 1)),
        Case(lambda x, y: stack([x, y], -1), drawn("nm", "nm"), lambda x, y: np.stack([x, y], -1), (0, 1)),
        Case(lambda x, y: stack([x, y]), normal((), ()), lambda x, y: np.stack([x, y]), (0, 1)),
        Case(lambda x: pad(x, (2, 1), "edge"), normal((3, 4)), lambda x: np.pad(x, (2, 1), "edge"), (0,)),
        *[Case(lambda x, mode=mode: pad(x, ((2, 1), (0, 3)), mode), normal((3, 4)),
               lambda x, mode=mode: np.pad(x, ((2, 1), (0, 3)), mode), (0,))
          for mode in ("reflect", "symmetric", "wrap")],
    ],
    "pad": [
        Case(lambda x, v: pad(x, ((1, 2), (0, 3)), constant_values=v), normal((3, 4), ()),
             lambda x, v: np.pad(x, ((1, 2), (0, 3)), constant_values=v), (0, 1), ulp=16),
        Case(lambda x: pad(x, 1), drawn("nm", low=0), lambda x: np.pad(x, 1), (0,)),
    ],
    "roll": [
        Case(lambda x, n: roll(x, n, 1), with_integers((3, 5), integers=((-9, 9, ()),)),
             lambda x, n: np.roll(x, n, 1), (0,)),
        Case(lambda x: roll(x, 4), drawn("nm", low=0), lambda x: np.roll(x, 4), (0,)),
    ],
    "reshape": [
        Case(lambda x: tile(x, (2, 1, 3)), normal((4, 2)), lambda x: np.tile(x, (2, 1, 3)), (0,)),
        Case(lambda x: repeat(x, 3, 0), drawn("nm"), lambda x: np.repeat(x, 3, 0), (0,)),
    ],
    "slice": [
        *[Case(build, normal((7, 5)), oracle, (0,)) for build, oracle in map(at_key, SLICES)],
        Case(lambda x, i, j: x[i:j], with_integers((7, 2), integers=((-9, 9, ()), (-9, 9, ()))),
             lambda x, i, j: x[i:j], (0,)),
        Case(lambda x, k: x[::k], with_integers((7,), integers=((-4, 0, ()),)), lambda x, k: x[::k], (0,)),
        Case(lambda x, i: x[i * 2 : (i + 1) * 2], with_integers((7, 3), integers=((0, 3, ()),)),
             lambda x, i: x[i * 2 : (i + 1) * 2], (0,)),
        Case(lambda x, i: x[:, i], with_integers((4, 6), integers=((-6, 6, ()),)), lambda x, i: x[:, i], (0,)),
        Case(flip, drawn("nm", low=0), np.flip, (0,)),
        Case(lambda x: split(x, [1, 3], axis=1)[1], normal((2, 6)), lambda x: np.split(x, [1, 3], 1)[1], (0,)),
        Case(lambda x: x[:0], normal((0, 3)), lambda x: x[:0], (0,)),
    ],
    "set_slice": [
        *[Case(lambda x, y, key=key: set_subtensor(x[key], y), normal((7, 5), ()), written(key), (0, 1), ulp=64)
          for key in SLICES if key != (None, slice(2, 4))],
        *[Case(lambda x, y, key=key: inc_subtensor(x[key], y), normal((7, 5), ()), written(key, inc=True), (0, 1),
               ulp=64)
          for key in SLICES if key != (None, slice(2, 4))],
        Case(lambda x, y, i: set_subtensor(x[i:], y), with_integers((7, 2), (2,), integers=((-9, 9, ()),)),
             written(lambda i: slice(i, None)), (0, 1), ulp=64),
        Case(lambda x, y, i: inc_subtensor(x[1, i], y), with_integers((3, 5), (), integers=((-5, 5, ()),)),
             written(lambda i: (1, i), inc=True), (0, 1)),
    ],
    "gather": [
        Case(lambda x, i: x[i], with_integers((6, 3), integers=((-6, 6, (2, 4)),)), lambda x, i: x[i], (0,), ulp=16),
        Case(lambda x, i: x[:, i], with_integers((3, 6), integers=((0, 6, (4,)),)), lambda x, i: x[:, i], (0,), ulp=16),
        Case(lambda x, i, j: x[i, j], with_integers((5, 4, 2), integers=((-5, 5, (3,)), (0, 4, (2, 1)))),
             lambda x, i, j: x[i, j], (0,), ulp=16),
        Case(lambda x, i: x[i, :, 1], with_integers((5, 2, 3), integers=((-5, 5, (4,)),)),
             lambda x, i: x[i, :, 1], (0,), ulp=16),
        Case(lambda x: x[1:, [3, 0, 3]], normal((4, 5)), lambda x: x[1:, [3, 0, 3]], (0,), ulp=16),
        Case(lambda x: x[np.arange(12).reshape(3, 4) % 3 == 0], normal((3, 4)),
             lambda x: x[np.arange(12).reshape(3, 4) % 3 == 0], (0,)),
        Case(lambda x, i: x[i], with_integers((6, 3), integers=((0, 6, (0,)),)), lambda x, i: x[i], (0,)),
        Case(lambda x, i: take(x, i, 1, "wrap"), with_integers((2, 5), integers=((-20, 20, (3,)),)),
             lambda x, i: np.take(x, i, 1, mode="wrap"), (0,), ulp=16),
        Case(lambda x, i: take_along_axis(x, i, 1), with_integers((3, 4), integers=((0, 4, (3, 2)),)),
             lambda x, i: np.take_along_axis(x, i, 1), (0,), ulp=16),
        Case(lambda x, y, i: choose(i, [x, y]), with_integers((4,), (), integers=((0, 2, (3, 4)),)),
             lambda x, y, i: np.choose(i, [x, y]), (0, 1), ulp=16),
    ],
    "selected": [
        Case(lambda x: x[x > 0], normal((3, 4)), lambda x: x[x > 0], (0,)),
        Case(lambda x, m: x[:, m > 0] * 2, with_integers((2, 3, 2), integers=((0, 2, (3,)),)),
             lambda x, m: x[:, m > 0] * 2, (0,)),
        Case(lambda x, m: x[m > 0, 1], with_integers((2, 3, 2), integers=((0, 2, (2,)),)),
             lambda x, m: x[m > 0, 1], (0,)),
        Case(lambda x: x[x > 9], normal((5,)), lambda x: x[x > 9], (0,)),
        Case(lambda x: x[x > 9], normal((0, 2)), lambda x: x[x > 9], (0,)),
        Case(lambda x: x[x > 0].max() + x[x > 0].shape[0], normal((9,)),
             lambda x: x[x > 0].max() + (x > 0).sum(), (0,)),
    ],
    "searchsorted": [
        Case(lambda x, v: searchsorted(sort(x), v), drawn("n", "ab", low=0),
             lambda x, v: np.searchsorted(np.sort(x), v)),
        Case(lambda x, i: searchsorted(x, i, "right", sorter=argsort(x)),
             with_integers((9,), integers=((-2, 3, (5, 2)),)), lambda x, i: np.searchsorted(np.sort(x), i, "right")),
        Case(lambda x: searchsorted(sort(sqrt(x)), sqrt(x)), normal((8,)), roots_found),
    ],
    "sort": [
        Case(sort, drawn("mn", low=0), np.sort, (0,)),
        Case(lambda x: sort(x, 0), drawn("abc"), lambda x: np.sort(x, 0), (0,)),
        Case(lambda x: sort(x, None), drawn("ab"), lambda x: np.sort(x, None), (0,)),
        Case(lambda x: topk(x, 2, 0), normal((4, 3)), lambda x: -np.sort(-x, 0)[:2], (0,)),
        Case(lambda x: topk(x, -2), normal((4, 3)), lambda x: np.sort(x)[:, :2], (0,)),
        Case(unique, normal((4, 3)), np.unique, (0,)),
        Case(lambda i: stack(unique(i, True, False, True)), with_integers(integers=((0, 4, (3, 5)),)),
             lambda i: np.stack(np.unique(i, True, False, True))),
        Case(lambda i: unique(i, return_inverse=True)[1], with_integers(integers=((0, 4, (3, 5)),)),
             lambda i: np.unique(i, return_inverse=True)[1].reshape(3, 5)),
    ],
    "argsort": [
        Case(lambda x: argsort(x, 0), drawn("ab", low=0), lambda x: np.argsort(x, 0, kind="stable")),
        Case(argsort, with_integers(integers=((0, 3, (2, 7)),)), lambda i: np.argsort(i, kind="stable")),
    ],
    "argtopk": [
        Case(lambda i: argtopk(i, 3), with_integers(integers=((0, 3, (2, 7)),)),
             lambda i: np.argsort(-i, kind="stable")[:, :3]),
    ],
    "inverse_permutation": [
        Case(lambda i: OPS["inverse_permutation"](argsort(i))[0], with_integers(integers=((0, 3, (2, 7)),)),
             lambda i: np.argsort(np.argsort(i, kind="stable"))),
    ],
    "places": [
        Case(lambda x: stack(nonzero(x > 0)), normal((3, 2, 4)), lambda x: np.stack(np.nonzero(x > 0))),
        Case(lambda i: nonzero(i)[0], with_integers(integers=((0, 2, (9,)),)), lambda i: np.nonzero(i)[0]),
    ],
    "spread": [
        Case(lambda x, i: OPS["spread"](x, i, i > 0, axis=1, checked=False),
             with_integers((2, 3, 2), integers=((-2, 5, (6,)),)),
             lambda x, i: x[:, np.clip(i, 0, 2)], (0,), ulp=16),
        Case(lambda x, y: set_subtensor(x[x > 0], y), normal((3, 4), ()), lambda x, y: np.where(x > 0, y, x), (0, 1),
             ulp=16),
        Case(lambda x, y, m: inc_subtensor(x[:, m > 0], y), with_integers((2, 3), (), integers=((0, 2, (3,)),)),
             lambda x, y, m: x + y * (m > 0), (0, 1), ulp=64),
    ],
    "collect": [
        Case(lambda x, g, i: OPS["collect"](x, g, i, axis=0), with_integers((3, 2), (6, 2), integers=((-2, 5, (6,)),)),
             lambda x, g, i: collected(x, g, i), (0, 1), ulp=64),
    ],
    "put": [
        Case(lambda x, y, i: set_subtensor(x[i], y), with_integers((6, 2), (4, 2), integers=((-6, 6, (4,)),)),
             written(lambda i: i), (0, 1)),
        Case(lambda x, y, i: inc_subtensor(x[i], y), with_integers((6, 2), (4, 2), integers=((-6, 6, (4,)),)),
             written(lambda i: i, inc=True), (0, 1), ulp=16),
        Case(lambda x, y, i, j: set_subtensor(x[i, :, j], y),
             with_integers((4, 2, 3), (3, 5, 2), integers=((-4, 4, (5,)), (0, 3, (3, 1)))),
             written(lambda i, j: (i, slice(None), j)), (0, 1)),
        Case(lambda x, y, i: inc_subtensor(x[1:, i], y), with_integers((4, 5), (), integers=((0, 5, (6,)),)),
             written(lambda i: (slice(1, None), i), inc=True), (0, 1), ulp=64),
        Case(lambda x, y: set_subtensor(x[[2, 0]], y), normal((4, 3), (3,)), written(([2, 0],)), (0, 1), ulp=16),
    ],
}  # fmt: skip

"""Cases of the ops that change shapes: permutation, reshape, broadcasting, and summing back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from symgraph.ops.axes import moveaxis, squeeze, transpose
from symgraph.ops.broadcast import broadcast_like, broadcast_to, specify_shape, sum_to
from symgraph.ops.shape import dimshuffle, flatten, reshape, shape_of
from tests.cases import Arrays, Case

Draw = Callable[[np.random.Generator, str], Arrays]


def normal(*shapes: tuple[int, ...]) -> Draw:
    """Normal numbers of these shapes."""
    return lambda rng, dtype: [np.asarray(rng.normal(size=shape)).astype(dtype) for shape in shapes]


def drawn(*letters: str, low: int = 1) -> Draw:
    """Normal numbers of drawn shapes: a letter stands for the same drawn extent everywhere, a digit for itself."""

    def draw(rng: np.random.Generator, dtype: str) -> Arrays:
        extent = {c: int(rng.integers(low, 8)) for word in letters for c in word if c.isalpha()}
        shapes = [tuple(extent[c] if c.isalpha() else int(c) for c in word) for word in letters]
        return [np.asarray(rng.normal(size=shape)).astype(dtype) for shape in shapes]

    return draw


CASES: dict[str, list[Case]] = {
    "shape_of": [
        Case(lambda x: shape_of(x, 1), drawn("nm", low=0), lambda x: np.int64(x.shape[1])),
    ],
    "dimshuffle": [
        Case(lambda x: dimshuffle(x, 2, "x", 0, 1), drawn("abc"), lambda x: x.transpose(2, 0, 1)[:, None], (0,)),
        Case(lambda x: dimshuffle(x, 1), drawn("1n1"), lambda x: x[0, :, 0], (0,)),
        Case(transpose, drawn("abc", low=0), lambda x: x.T, (0,)),
        Case(lambda x: dimshuffle(x, "x", "x"), normal(()), lambda x: x.reshape(1, 1), (0,)),
        Case(lambda x: squeeze(x, 1), drawn("n1m"), lambda x: x[:, 0], (0,)),
        Case(lambda x: moveaxis(x, (0, 1), (-1, 0)), drawn("abc"), lambda x: np.moveaxis(x, (0, 1), (-1, 0)), (0,)),
    ],
    "reshape": [
        Case(lambda x: reshape(x, 6, 4), normal((2, 3, 4)), lambda x: x.reshape(6, 4), (0,)),
        Case(lambda x: reshape(x, (4, 6)), normal((2, 3, 4)), lambda x: x.reshape(4, 6), (0,)),
        Case(lambda x: reshape(x, 1, -1, 1), drawn("abc"), lambda x: x.reshape(1, -1, 1), (0,)),
        Case(lambda x: reshape(x, (x.shape[1], x.shape[0])), drawn("nm"), lambda x: x.reshape(x.shape[::-1]), (0,)),
        Case(lambda x: flatten(x, 2), drawn("abc"), lambda x: x.reshape(x.shape[0], -1), (0,)),
        Case(lambda x: reshape(x, (1, 1)), normal(()), lambda x: x.reshape(1, 1), (0,)),
        Case(lambda x: reshape(x, ()), normal((1, 1)), lambda x: x.reshape(()), (0,)),
        Case(lambda x: reshape(x, (5, 0)), normal((0, 3)), lambda x: x.reshape(5, 0), (0,)),
    ],
    "broadcast_to": [
        Case(lambda x: broadcast_to(x, (2, 3, 4)), normal((3, 1)), lambda x: np.broadcast_to(x, (2, 3, 4)), (0,)),
        Case(lambda x: broadcast_to(x, (7,)), normal(()), lambda x: np.broadcast_to(x, (7,)), (0,)),
        Case(lambda x: broadcast_to(x, (0, 3)), normal((1, 3)), lambda x: np.broadcast_to(x, (0, 3)), (0,)),
    ],
    "broadcast_like": [
        Case(broadcast_like, drawn("1m", "anm"), lambda x, y: np.broadcast_to(x, y.shape), (0,)),
    ],
    "sum_to": [
        Case(sum_to, drawn("anm", "1m"), lambda g, x: g.sum((0, 1), keepdims=True)[0], (0,), ulp=16),
        Case(sum_to, drawn("nm", "nm"), lambda g, x: g, (0,)),
        Case(sum_to, normal((3, 5), ()), lambda g, x: g.sum(), (0,), ulp=16),
    ],
    "specify_shape": [
        Case(lambda x: specify_shape(x, (None, 3)), normal((4, 3)), lambda x: x, (0,)),
    ],
}

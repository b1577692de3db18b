"""Cases of the ops that make arrays from extents, and of diagonals."""

from __future__ import annotations

import numpy as np

from symgraph.ops.creation import arange, full, linspace, ones_like, zeros
from symgraph.ops.matrices import diag, diagonal, eye, to_one_hot, tri, tril, triu
from tests.cases import Arrays, Case
from tests.cases.shape import drawn, normal


def count(rng: np.random.Generator, dtype: str) -> Arrays:
    """A small extent."""
    return [np.int64(rng.integers(0, 9))]


def labels(rng: np.random.Generator, dtype: str) -> Arrays:
    """Integers below 5."""
    return [rng.integers(0, 5, size=int(rng.integers(0, 7)))]


CASES: dict[str, list[Case]] = {
    "arange": [
        Case(arange, count, np.arange),
        Case(lambda n: arange(n, -7, -3), count, lambda n: np.arange(n, -7, -3)),
        Case(lambda n: arange(1, 2 * n, 2, dtype="float32"), count, lambda n: np.arange(1, 2 * n, 2)),
        Case(lambda n: linspace(-1, 2, n + 1), count, lambda n: np.linspace(-1, 2, n + 1), ulp=8),
        Case(lambda n: eye(n, n + 2, 1), count, lambda n: np.eye(n, n + 2, 1)),
        Case(lambda n: tri(n, 4, -1), count, lambda n: np.tri(n, 4, -1)),
        Case(lambda y: to_one_hot(y, 5), labels, lambda y: np.eye(5)[y]),
        Case(tril, drawn("nm"), np.tril, (0,)),
        Case(lambda x: triu(x, 1), drawn("anm"), lambda x: np.triu(x, 1), (0,)),
    ],
    "broadcast_to": [
        Case(lambda n: zeros((n, 2)), count, lambda n: np.zeros((n, 2))),
        Case(lambda x: full((2, 3), x), normal(()), lambda x: np.full((2, 3), x), (0,)),
    ],
    "broadcast_like": [
        Case(ones_like, drawn("nm", low=0), np.ones_like),
    ],
    "diagonal": [
        Case(diagonal, drawn("nm"), np.diagonal, (0,)),
        Case(lambda x: diagonal(x, 1, 0, 2), drawn("nam"), lambda x: np.diagonal(x, 1, 0, 2), (0,)),
        Case(lambda x: diagonal(x, -2), normal((5, 3)), lambda x: np.diagonal(x, -2), (0,)),
        Case(lambda x: diagonal(x, 4), normal((5, 3)), lambda x: np.diagonal(x, 4), (0,)),
    ],
    "set_diagonal": [
        Case(diag, drawn("n"), np.diag, (0,)),
        Case(lambda x: diag(x, 2), drawn("n"), lambda x: np.diag(x, 2), (0,)),
        Case(lambda x: diag(x, -1), normal((0,)), lambda x: np.diag(x, -1), (0,)),
    ],
}

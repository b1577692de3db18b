"""Cases of random bits, against a scalar Philox 4x32-10 written from its definition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import count

import numpy as np

from symgraph.graph import constant
from symgraph.ops.random import random_bits
from symgraph.ops.sampling import log_gamma_draw, poisson_draw
from tests.cases import Arrays, Case

FULL = 2**32 - 1


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Ten rounds of Philox 4x32 (Salmon et al. 2011)."""
    c, k = list(counter), list(key)
    for turn in range(10):
        if turn:
            k = [(k[0] + 0x9E3779B9) & FULL, (k[1] + 0xBB67AE85) & FULL]
        first, second = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(second >> 32) ^ c[1] ^ k[0], second & FULL, (first >> 32) ^ c[3] ^ k[1], first & FULL]
    return c


def word(state: list[int], o: int, j: int, lanes: int, part: int) -> int:
    """The bits at index ``j`` of the lane axis and flat index ``o`` of the others."""
    seed, stream, draw = state
    lane = (o * -(-lanes // 64) + j // 64) * 16 + j % 16
    counter = [lane & FULL, lane >> 32, draw & FULL, (draw >> 32) | part << 30]
    return philox(counter, [seed, stream])[j // 16 % 4]


def bits(state: np.ndarray, shape: tuple[int, ...], part: int) -> np.ndarray:
    """All words of a shape."""
    out = np.zeros(shape, "uint32")
    lane = min(1, len(shape) - 1)
    for index in np.ndindex(*shape):
        rest = [(i, n) for k, (i, n) in enumerate(zip(index, shape, strict=True)) if k != lane]
        o = 0
        for i, n in rest:
            o = o * n + i
        out[index] = word([int(v) for v in state], o, index[lane] if index else 0, shape[lane] if shape else 1, part)
    return out


def states(rng: np.random.Generator, dtype: str) -> Arrays:
    """A seed, a stream and a draw, some beyond 32 bits."""
    return [np.array([rng.integers(2**32), rng.integers(100), rng.choice([0, 5, 2**40 + 3])], "int64")]


def case(shape: tuple[int, ...], part: int = 0) -> Case:
    """The bits of one shape."""
    sizes = [constant(np.int64(n)) for n in shape]
    return Case(lambda s: random_bits(s, *sizes, part=part), states, lambda s: bits(s, shape, part), ulp=0.0)


def uniform(state: np.ndarray, i: int, n: int, attempt: int, number: int) -> float:
    """A number in (0, 1) for element ``i`` of a vector of ``n``."""
    moved = [int(state[0]), int(state[1]), int(state[2]) + attempt * 2**48]
    return (word(moved, 0, i, n, number) + 0.5) / 2**32


def log_gammas(state: np.ndarray, shapes: Sequence[float]) -> np.ndarray:
    """Marsaglia and Tsang's method as in their paper, one element after the other."""
    found = []
    for i, alpha in enumerate(shapes):
        d = (alpha if alpha >= 1 else alpha + 1) - 1 / 3
        for attempt in count():
            u, v, w = (uniform(state, i, len(shapes), attempt, k) for k in range(3))
            x = math.sqrt(-2 * math.log(u)) * math.cos(2 * math.pi * v)
            cube = (1 + x / math.sqrt(9 * d)) ** 3
            if cube > 0 and math.log(w) < x * x / 2 + d - d * cube + d * math.log(cube):
                break
        power = math.log(uniform(state, i, len(shapes), 0, 3)) / alpha if alpha < 1 else 0.0
        found.append(math.log(d * cube) + power)
    return np.array(found)


def poissons(state: np.ndarray, means: Sequence[float]) -> np.ndarray:
    """Hoermann's PTRS from 10 on, counting up below, one element after the other."""
    return np.array([_poisson(state, i, len(means), m) for i, m in enumerate(means)], "float64")


def _poisson(state: np.ndarray, i: int, n: int, m: float) -> int:
    if m < 10:
        u, k, total = uniform(state, i, n, 0, 0), 0, math.exp(-m)
        while u > total:
            k += 1
            total += math.exp(-m + k * math.log(m) - math.lgamma(k + 1))
        return k
    b = 0.931 + 2.53 * math.sqrt(m)
    a = -0.059 + 0.02483 * b
    for attempt in count():
        u, v = uniform(state, i, n, attempt, 0) - 0.5, uniform(state, i, n, attempt, 1)
        us = 0.5 - abs(u)
        k = math.floor((2 * a / us + b) * u + m + 0.43)
        if us >= 0.07 and v <= 0.9277 - 3.6224 / (b - 2):
            return k
        if k < 0 or (us < 0.013 and v > us):
            continue
        height = math.log(v) + math.log(1.1239 + 1.1328 / (b - 3.4)) - math.log(a / (us * us) + b)
        if height <= k * math.log(m) - m - math.lgamma(k + 1):
            return k
    raise AssertionError


SHAPES = [0.01, 0.3, 0.999, 1.0, 1.7, 40.0, *[1.1] * 60]
MEANS = [0.0, 0.01, 3.0, 9.999, 10.0, 12.5, 300.0, 1e6, *[15.0] * 60]

CASES: dict[str, list[Case]] = {
    "random_bits": [
        case(()), case((0,)), case((1,)), case((200,)), case((3, 70), 1), case((2, 3, 5), 2), case((2, 66, 2, 3)),
    ],
    "log_gamma_draw": [
        Case(lambda s: log_gamma_draw(s, constant(np.array(SHAPES)))[0], states, lambda s: log_gammas(s, SHAPES),
             ulp=64.0, normwise=True),
    ],
    "poisson_draw": [
        Case(lambda s: poisson_draw(s, constant(np.array(MEANS)))[0], states, lambda s: poissons(s, MEANS)),
    ],
}  # fmt: skip

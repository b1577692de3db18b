"""Cases of random bits, against a scalar Philox 4x32-10 written from its definition."""

from __future__ import annotations

import numpy as np

from symgraph.graph import constant
from symgraph.ops.random import random_bits
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


CASES: dict[str, list[Case]] = {
    "random_bits": [
        case(()), case((0,)), case((1,)), case((200,)), case((3, 70), 1), case((2, 3, 5), 2), case((2, 66, 2, 3)),
    ],
}  # fmt: skip

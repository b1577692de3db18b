"""Places in the arena: which pieces lie where, given how large each is and from which step to which it lives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import accumulate

import numpy as np

Span = tuple[int, int]
"""First and last step of a life."""


def pack(spans: Mapping[str, Span], sizes: Mapping[str, int]) -> dict[str, int]:
    """Offsets, large pieces first: each at the lowest place that is free for its whole life."""
    offsets: dict[str, int] = {}
    placed = np.empty((4, len(spans)), np.int64)  # rows: first step, last step, start, end; columns by start
    for k, s in enumerate(sorted(spans, key=lambda s: (-sizes[s], spans[s], s))):
        at = offsets[s] = _lowest(placed[:, :k], spans[s], sizes[s])
        behind = int(np.searchsorted(placed[2, :k], at))
        placed[:, behind + 1 : k + 1] = placed[:, behind:k]
        placed[:, behind] = (*spans[s], at, at + sizes[s])
    return offsets


def _lowest(placed: np.ndarray, span: Span, size: int) -> int:
    """Where ``size`` bytes fit between what lives at a step of ``span``.

    Every piece is looked at each time, but by vector instructions: 20,000 pieces take two seconds. Trees by steps
    were slower where most pieces are alive at once, as in training: each node has the holes that others fill.
    """
    first, last, starts, ends = placed
    alive = (first <= span[1]) & (last >= span[0])
    tops = np.maximum.accumulate(np.concatenate([[0], ends[alive]]))  # all below is taken, or too small
    fits = tops[:-1] + size <= starts[alive]
    return int(tops[fits.argmax()] if fits.any() else tops[-1])


def most_alive(spans: Mapping[str, Span], sizes: Mapping[str, int]) -> int:
    """The largest sum of the sizes of pieces that live at one step."""
    change: defaultdict[int, int] = defaultdict(int)
    for s, (first, last) in spans.items():
        change[first] += sizes[s]
        change[last + 1] -= sizes[s]
    return max(accumulate(change[k] for k in sorted(change)), default=0)

"""Calls timed in bursts, peers in turn, and what is said of the times."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from statistics import median
from typing import Any, TypeVar

from benchmarks.peers import Step

T = TypeVar("T")
Clock = Callable[[], float]

GROUP = 2e-4  # seconds: calls shorter than this are timed in groups of about this length
LEAST = 3  # groups in a burst, however long a call takes
WARMING = 2  # calls at the start of a burst: the caches hold another process's data


def burst(step: Step, seconds: float, clock: Clock = time.perf_counter) -> list[float]:
    """Seconds for one call, again and again for ``seconds``."""
    arguments = itertools.cycle(step.arguments)
    repeat(step.call, arguments, WARMING)
    start = clock()
    repeat(step.call, arguments, 1)
    group = max(1, int(GROUP / max(clock() - start, 1e-9)))
    times: list[float] = []
    start = clock()
    while len(times) < LEAST or clock() - start < seconds:
        before = clock()
        repeat(step.call, arguments, group)
        times.append((clock() - before) / group)
    return times


def repeat(call: Callable[..., Any], arguments: Iterator[tuple[Any, ...]], n: int) -> None:
    """Call ``n`` times, with the next arguments each time."""
    for these in itertools.islice(arguments, n):
        call(*these)


def interleave(samplers: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """One sample of each in turn, ``rounds`` times; each round begins with the next, so that none is always first."""
    names = list(samplers)
    found: dict[str, list[T]] = {name: [] for name in names}
    for first in range(rounds):
        for k in range(len(names)):
            name = names[(first + k) % len(names)]
            found[name].append(samplers[name]())
    return found


def spread(values: list[float]) -> float:
    """Half the range, of the median."""
    return (max(values) - min(values)) / 2 / (median(values) or 1)

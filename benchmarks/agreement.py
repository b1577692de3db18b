"""Whether a peer computes what the reference computes, which is asked before anything is timed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.peers import Step
from benchmarks.workloads import Array

CALLS = 3
"""How many calls are compared, where the arguments are not the same each time."""

# Of the largest element of each result, against float64. Rounding in float32 gives 1e-7 to 1e-5; a rectifier or a
# maximum that rounding tips the other way moves a few gradients by their own size among thousands, which gives 1e-4.
TOLERANCE = 1e-3


def results(step: Step) -> list[Array]:
    """The values of the first calls, and how much these changed the parameters."""
    before = step.parameters()
    values = [v for arguments in step.arguments[:CALLS] for v in outputs(step.call(*arguments))]
    changes = [after - b for after, b in zip(step.parameters(), before, strict=True)]
    return values + changes


def outputs(value: Any) -> list[Array]:
    """One array or several, as a list."""
    return [np.asarray(v) for v in value] if isinstance(value, list | tuple) else [np.asarray(value)]


def disagreement(found: Sequence[Array], expected: Sequence[Array]) -> float:
    """The largest difference, of the largest element of its array; infinite where the results cannot be compared."""
    if len(found) != len(expected):
        return float("inf")
    return max(difference(f, e) for f, e in zip(found, expected, strict=True))


def difference(found: Array, expected: Array) -> float:
    """The same for one array. Integers, such as the label of an image, must be equal."""
    if found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf")
    if expected.dtype.kind in "iu":
        return 0.0 if np.array_equal(found, expected) else float("inf")
    return float(np.abs(found - expected).max(initial=0) / (np.abs(expected).max(initial=0) or 1))

"""Whether a peer computes what the reference computes, which is asked before anything is timed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.peers import Step
from benchmarks.workloads import Array

CALLS = 3
"""How many calls are compared, where the arguments are not the same each time."""

# Euclidean distances from float64, of the length of the result. Rounding in float32 gives 1e-8 to 1e-5 everywhere.
# Among the 1.5 million windows in which conv_net takes the largest of four, rounding tips about one the other way. With
# RMSprop, that moved the parameters by 5e-3 of their change in the first step, and the cost of the third by 2e-4.
ALLOWED = {"value": 1e-3, "change": 1e-2}

Results = Mapping[str, Array]
"""By name: the values of the calls, ``value-...``, and what the first did to each parameter, ``change-...``."""


def results(step: Step) -> Results:
    """What the first calls give and do."""
    before, calls = step.parameters(), step.arguments[:CALLS]
    values = outputs(step.call(*calls[0]))
    changes = [after - b for after, b in zip(step.parameters(), before, strict=True)]
    values += [v for arguments in calls[1:] for v in outputs(step.call(*arguments))]
    named = {f"change-{k}": np.asarray(c) for k, c in enumerate(changes)}
    return {**{f"value-{k}": v for k, v in enumerate(values)}, **named}


def outputs(value: Any) -> list[Array]:
    """One array or several, as a list."""
    return [np.asarray(v) for v in value] if isinstance(value, list | tuple) else [np.asarray(value)]


def disagreement(found: Results, expected: Results) -> float:
    """The largest distance, as a multiple of what is allowed; infinite where results cannot be compared."""
    if found.keys() != expected.keys():
        return float("inf")
    return max(distance(found[k], expected[k]) / ALLOWED[k.partition("-")[0]] for k in expected)


def distance(found: Array, expected: Array) -> float:
    """Euclidean, of the length of ``expected``. Integers, such as the labels of images, must be equal."""
    if found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf")
    if expected.dtype.kind in "iu":
        return 0.0 if np.array_equal(found, expected) else float("inf")
    return float(np.linalg.norm(found - expected) / (np.linalg.norm(expected) or 1))

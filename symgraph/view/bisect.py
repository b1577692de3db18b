"""The first rewrite that changes a result: every graph of a document evaluated by the reference, op by op."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from symgraph.graph import Variable
from symgraph.reference import evaluate
from symgraph.types import is_float
from symgraph.view.document import Document, Step
from symgraph.view.plain import graph_of, leaf_of

TOLERANCE = {"float16": 2e-2, "float32": 1e-3, "float64": 1e-9}
"""Relative to the greatest element: what reordered sums and cheaper equals may differ by."""


@dataclass(frozen=True)
class Finding:
    """What became of the results after a step: "same", "repaired" (it was not finite before) or "changed"."""

    phase: str
    rule: str
    place: str
    verdict: str
    detail: str = ""


def bisect(doc: Document, values: Mapping[int, np.ndarray]) -> list[Finding]:
    """A finding for each step, up to the first that changes a result.

    Parameters
    ----------
    doc : Document
    values : mapping of int to ndarray
        Leaf -> its value.
    """
    leaves: dict[int, Variable] = {k: leaf_of(doc.nodes[k]) for k in values}
    known: list[np.ndarray] | None = None
    findings: list[Finding] = []
    with np.errstate(all="ignore"):
        for phase, step in [(s.phase, step) for s in doc.computed for step in s.steps]:
            outputs = list(graph_of(doc, step.state, leaves).values())
            found = evaluate(outputs, {leaves[k]: a for k, a in values.items()})
            if known is not None and step.rule:
                findings.append(_compare(doc, phase, step, known, found))
                if findings[-1].verdict == "changed":
                    return findings
            known = found
    return findings


def _compare(
    doc: Document, phase: str, step: Step, old: Sequence[np.ndarray], new: Sequence[np.ndarray]
) -> Finding:  # fmt: skip
    place = doc.place(step.source)
    repaired = ""
    for (label, _), a, b in zip(step.state.outputs, old, new, strict=True):
        finite = np.isfinite(a) if is_float(a.dtype.name) else np.ones(a.shape, bool)
        scale = max(1.0, float(np.abs(a[finite].astype("float64")).max(initial=0.0)))
        with np.errstate(all="ignore"):
            error = np.abs(a.astype("float64") - b.astype("float64"))[finite]
        wrong = ~(error <= TOLERANCE.get(a.dtype.name, 0.0) * scale)
        if wrong.any():
            where = int(np.flatnonzero(finite.ravel())[int(np.flatnonzero(wrong)[0])])
            return Finding(phase, step.rule, place, "changed",
                           f"{label}: {a.ravel()[where]} became {b.ravel()[where]}")  # fmt: skip
        if not finite.all() and not np.array_equal(a[~finite], b[~finite], equal_nan=True):
            repaired = f"{label}: {a[~finite].ravel()[0]} became {b[~finite].ravel()[0]}"
    return Finding(phase, step.rule, place, "repaired" if repaired else "same", repaired)

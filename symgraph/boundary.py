"""Between what the user wrote and what is compiled: a task on real values, two for each that is complex."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symgraph.backend import Task
from symgraph.complexes import apart, has_complex, in_parts
from symgraph.complexes.rules import Whole
from symgraph.graph import Variable
from symgraph.parts import ComplexShared, Parts, fresh_parts
from symgraph.shared_variable import SharedVariable
from symgraph.types import is_complex


def apart_task(task: Task) -> Task:
    """The task on real values; results that are joined on the host are not borrowed."""
    if not has_complex([*task.inputs, *task.shared, *task.results]):
        return task
    known: dict[Variable, Whole] = {s: s.parts for s in task.shared if isinstance(s, ComplexShared)}
    known.update({v: fresh_parts(v) if is_complex(v.dtype) else v for v in task.inputs})
    parts, count = apart(task.results, known), len(task.outputs)
    outputs, news = parts[:count], parts[count:]
    targets = _shared_parts([target for target, _ in task.updates])
    places = {k: len(in_parts(outputs[:k])) for k in task.borrowed if not isinstance(outputs[k], Parts)}
    return replace(
        task, inputs=tuple(in_parts([known[v] for v in task.inputs])), shared=tuple(_shared_parts(task.shared)),
        outputs=tuple(in_parts(outputs)), updates=tuple(zip(targets, in_parts(news), strict=True)),
        borrowed=tuple(places.values()),
    )  # fmt: skip


def _shared_parts(variables: Sequence[SharedVariable]) -> list[SharedVariable]:
    return [part for v in variables for part in (v.both if isinstance(v, ComplexShared) else (v,))]

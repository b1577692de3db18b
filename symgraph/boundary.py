"""Where complex values end: what is compiled has real values alone, two for each complex one that the user wrote.

=================  ===================================  ===================================================
what               the user's                           the program's
=================  ===================================  ===================================================
value of a graph   a complex ``Variable``               ``Parts``, two variables (``complexes.apart``)
input              a complex ``Variable``               two inputs, ``fresh_parts``
its argument       a complex array                      its parts, each contiguous: ``apart_arguments``
shared variable    ``ComplexShared``, which has none    ``ComplexShared.both``, which have the value
output             a complex array                      two outputs, ``joined`` by ``results.Form``
=================  ===================================  ===================================================

``gradient.py`` crosses too, both ways: it differentiates the graph of parts, and gives complex gradients. What comes
behind ``apart_task`` knows of no complex value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from symgraph.backend import Task
from symgraph.complexes import apart, has_complex, in_parts
from symgraph.complexes.rules import Whole
from symgraph.graph import Variable
from symgraph.parts import ComplexShared, Parts, fresh_parts, parted
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
        borrowed=tuple(places.values()), whole=task,
    )  # fmt: skip


def apart_arguments(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The arrays that ``apart_task`` makes inputs for: both parts of each that is complex."""
    return [part for a in arrays for part in (parted(a) if a.dtype.kind == "c" else (a,))]


def _shared_parts(variables: Sequence[SharedVariable]) -> list[SharedVariable]:
    return [part for v in variables for part in (v.both if isinstance(v, ComplexShared) else (v,))]

"""Drawn functions, prepared as a backend sees them: what fusion and the memory plan are tried on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import symgraph as sg
from codegen.fuse import fuse
from codegen.group import Fused
from codegen.memory import Memory, plan
from codegen.program import preconditions_of
from symgraph.backend import Prepared, Signature, Task, prepare
from symgraph.graph import Variable, leaves
from symgraph.shared_variable import SharedVariable

OPS = [
    lambda a, b, i: a + b, lambda a, b, i: a * 0.5 - b, lambda a, b, i: a[::-1], lambda a, b, i: sg.tanh(a),
    lambda a, b, i: a - a.mean(), lambda a, b, i: sg.maximum(a, b), lambda a, b, i: sg.cumsum(a) * 0.1,
    lambda a, b, i: sg.set_subtensor(a[1:], b[:-1]), lambda a, b, i: sg.inc_subtensor(a[i], b[:3]),
    lambda a, b, i: a[i].sum() + b, lambda a, b, i: a.reshape((1, -1)).reshape(a.shape),
    lambda a, b, i: sg.dot(sg.outer(a, b), b) * 0.01, lambda a, b, i: sg.nn.softmax(a) + b,
    lambda a, b, i: sg.switch(a > b, a, b.max()), lambda a, b, i: sg.concatenate([a[3:], b[:3]]),
    lambda a, b, i: sg.nn.softmax(sg.outer(a, b), axis=1).sum(axis=0), lambda a, b, i: sg.outer(a, b).var(axis=0) + b,
    lambda a, b, i: a * sg.tanh(a).sum() - sg.absolute(a).max(),
    lambda a, b, i: sg.outer(a, b).T.reshape((-1,))[: a.shape[0]], lambda a, b, i: (sg.exp(a) * b).sum() - a,
    lambda a, b, i: a[sg.minimum(sg.absolute(b) * 2, 8).astype("int64")],
]  # fmt: skip


def drawn(seed: int, n: int = 9) -> Task:
    """Some ops on an input, shared variables and a constant, with outputs and updates; ``i`` has preconditions."""
    random = np.random.default_rng(seed)
    x, i = sg.tensor("x", "float64", (n,)), sg.tensor("i", "int64", (3,))
    shared = [sg.shared(random.uniform(-1, 1, n), name=f"s{k}") for k in range(3)]
    made: list[Variable] = [*shared, x, sg.constant(random.uniform(-1, 1, n))]
    for _ in range(random.integers(2, 14)):
        a, b = (made[random.integers(len(made))] for _ in range(2))
        made.append(OPS[random.integers(len(OPS))](a, b, i))
    late = made[len(made) // 2 :]

    def some() -> Variable:
        return made[random.integers(len(made))] if random.random() < 0.3 else late[random.integers(len(late))]

    outputs = tuple(some() for _ in range(random.integers(4)))
    return task([x, i], outputs, [(s, some()) for s in shared[: random.integers(4)]])


def task(
    inputs: Sequence[Variable], outputs: Sequence[Variable], updates: Sequence[tuple[SharedVariable, Variable]] = ()
) -> Task:
    """A task of static inputs, with the shared variables it uses."""
    results = [*outputs, *[new for _, new in updates], *[s for s, _ in updates]]
    held = tuple(v for v in leaves(results) if isinstance(v, SharedVariable))
    return Task(tuple(inputs), held, tuple(outputs), tuple(updates))


def signature(t: Task) -> Signature:
    """The shapes of the types of a task."""
    return Signature(tuple(v.type for v in t.inputs), tuple(s.type for s in t.shared))


def prepared(t: Task) -> Prepared:
    """The task on the shapes of its types."""
    return prepare(t, signature(t))


def fused(p: Prepared) -> Fused:
    """Groups, those of the preconditions included."""
    preconditions = [ok for _, _, ok in preconditions_of(p)]
    return fuse([*p.outputs, *p.updates, *preconditions], [*p.inputs, *p.shared])


def planned(p: Prepared, f: Fused) -> Memory:
    """The memory plan."""
    return plan(p, f, [ok for _, _, ok in preconditions_of(p)])

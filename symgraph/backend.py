"""The seam between the language and the machines: what a backend is given, what it gives back, and where it is found.

Backends are named by lazy strings, so that importing symgraph loads no compiler and no device.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from time import perf_counter
from typing import Protocol

import numpy as np

from symgraph.errors import BackendError
from symgraph.graph import Constant, SharedVariable, Variable, toposort
from symgraph.op import Op
from symgraph.reference import evaluate
from symgraph.rewrite import STABILIZING, Step, expand_composites, rewrite
from symgraph.shapes import check_update, fix, settle
from symgraph.types import TensorType

BACKENDS: dict[str, str] = {
    "numpy": "symgraph.backend:NumpyBackend",
    "llvm": "codegen.llvm.backend:LlvmBackend",
}


@dataclass(frozen=True)
class Task:
    """A function as the user wrote it.

    Attributes
    ----------
    inputs : tuple of Variable
        Leaves that each call gives.
    shared : tuple of SharedVariable
        Every shared variable that is read or updated.
    outputs : tuple of Variable
    updates : tuple of (SharedVariable, Variable)
        New values; all outputs and right-hand sides see the old ones.
    """

    inputs: tuple[Variable, ...]
    shared: tuple[SharedVariable, ...]
    outputs: tuple[Variable, ...]
    updates: tuple[tuple[SharedVariable, Variable], ...]
    name: str = "f"

    @property
    def results(self) -> tuple[Variable, ...]:
        """Everything that is computed: outputs, then new values."""
        return (*self.outputs, *(new for _, new in self.updates))


@dataclass(frozen=True)
class Signature:
    """What a program is compiled for: the types of inputs and shared variables, and the prelude's extents."""

    inputs: tuple[TensorType, ...]
    shared: tuple[TensorType, ...]
    sizes: tuple[tuple[Variable, int], ...] = ()


@dataclass(frozen=True)
class Prepared:
    """A task with static shapes, rewritten, without composites: what is fused and lowered.

    Attributes
    ----------
    inputs, shared
        Stand-ins of the task's leaves, in its order.
    outputs, updates
        Results; ``updates[i]`` is the new value of ``shared[targets[i]]`` and has its shape.
    renewed : tuple of int
        The last outputs are new values of these shared variables, which change their shapes.
    trace : list of Step
        What the rewriter did.
    """

    inputs: tuple[Variable, ...]
    shared: tuple[Variable, ...]
    outputs: tuple[Variable, ...]
    updates: tuple[Variable, ...]
    targets: tuple[int, ...]
    renewed: tuple[int, ...] = ()
    trace: list[Step] = field(default_factory=list, compare=False)


def prepare(task: Task, signature: Signature) -> Prepared:
    """Fix shapes, rewrite through all phases, expand composites."""
    leaves = [*task.inputs, *task.shared]
    types = dict(zip(leaves, (*signature.inputs, *signature.shared), strict=True))
    results, stand_ins = fix(task.results, types, dict(signature.sizes))
    count = len(task.outputs)
    for (target, _), new in zip(task.updates, results[count:], strict=True):
        check_update(target, new)
    trace: list[Step] = []
    results = rewrite(results, STABILIZING, trace=trace)
    results = settle(expand_composites(results))
    results = settle(rewrite(results, ("specialize",), trace=trace))
    renewed = list(zip((task.shared.index(s) for s, _ in task.updates), results[count:], strict=True))
    shared = tuple(stand_ins[v] for v in task.shared)
    same = [(k, v) for k, v in renewed if v.type == shared[k].type]
    other = [(k, v) for k, v in renewed if v.type != shared[k].type]
    return Prepared(
        tuple(stand_ins[v] for v in task.inputs), shared, (*results[:count], *(v for _, v in other)),
        tuple(v for _, v in same), tuple(k for k, _ in same), tuple(k for k, _ in other), trace,
    )  # fmt: skip


class Executable(Protocol):
    """A compiled task."""

    def __call__(self, inputs: Sequence[np.ndarray], shared: Sequence[SharedVariable]) -> list[np.ndarray]:
        """Run: contiguous native inputs of the signature's types -> new arrays; updates are done when it returns."""
        ...

    @property
    def prepared(self) -> Prepared:
        """The graph that was compiled, rewritten for the signature."""
        ...

    @property
    def kernels(self) -> Sequence[object]:
        """The kernels, in order."""
        ...

    def code(self, kind: str) -> str:
        """The program as text: "graph", "kernel", "llvm", "optimized", "assembly", as far as the backend has it."""
        ...

    @property
    def buffers(self) -> Mapping[str, int]:
        """Bytes by purpose."""
        ...

    @property
    def timings(self) -> Mapping[str, float]:
        """Seconds that each stage of compiling took."""
        ...

    @property
    def trace(self) -> Sequence[Step]:
        """The rewrites that were done."""
        ...


class Backend(Protocol):
    """A way to run tasks."""

    def compile(self, task: Task, signature: Signature) -> Executable:
        """The executable for one signature."""
        ...


@cache
def _load(path: str) -> Backend:
    module, _, name = path.partition(":")
    found: Backend = getattr(importlib.import_module(module), name)()
    return found


def find_backend(name: str) -> Backend:
    """The backend called ``name``.

    Raises
    ------
    BackendError
        If there is none, or what it needs is not installed.
    """
    if name not in BACKENDS:
        raise BackendError(f"there is no backend {name!r}; known are {', '.join(BACKENDS)}")
    try:
        return _load(BACKENDS[name])
    except ImportError as error:
        raise BackendError(
            f"backend {name!r} cannot be loaded: {error}\ninstall what it needs, or use backend='numpy'"
        ) from error


def register_backend(name: str, path: str) -> None:
    """Make the class at ``"module:Class"`` available as ``backend=name``."""
    BACKENDS[name] = path


# ------------------------------------------------------------------------------------------------ numpy


class NumpyBackend:
    """Runs a task op by op with NumPy: slow, simple, the reference."""

    def compile(self, task: Task, signature: Signature) -> NumpyExecutable:
        """Rewrites only; there is nothing to compile."""
        start = perf_counter()
        return NumpyExecutable(prepare(task, signature), perf_counter() - start)


class NumpyExecutable:
    """A prepared task, evaluated by the reference."""

    def __init__(self, prepared: Prepared, seconds: float) -> None:
        self.prepared = prepared
        self.timings: Mapping[str, float] = {"rewrite": seconds}
        self.buffers: Mapping[str, int] = {}
        self.kernels: Sequence[Op] = [node.op for node in toposort([*prepared.outputs, *prepared.updates])]

    @property
    def trace(self) -> Sequence[Step]:
        """The rewrites that were done."""
        return self.prepared.trace

    def __call__(self, inputs: Sequence[np.ndarray], shared: Sequence[SharedVariable]) -> list[np.ndarray]:
        """Evaluate everything, then change the shared variables."""
        p = self.prepared
        held = [s.get_value(borrow=True) for s in shared]
        values = dict(zip((*p.inputs, *p.shared), (*inputs, *held), strict=True))
        found = evaluate([*p.outputs, *p.updates], {v: a for v, a in values.items() if not isinstance(v, Constant)})
        results = [np.array(a) for a in found]
        count = len(p.outputs) - len(p.renewed)
        for target, value in zip((*p.renewed, *p.targets), results[count:], strict=True):
            shared[target].set_value(value, borrow=True)
        return results[:count]

    def code(self, kind: str) -> str:
        """The graph, a line a node."""
        if kind != "graph":
            raise BackendError(f"the numpy backend has no {kind!r} code; it has 'graph'")
        return "\n".join(map(repr, toposort([*self.prepared.outputs, *self.prepared.updates])))

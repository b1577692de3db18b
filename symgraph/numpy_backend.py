"""The "numpy" backend: a task evaluated op by op with NumPy. Slow, simple, the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from time import perf_counter
from typing import Any

import numpy as np

from symgraph.backend import Part, Prepared, Signature, Storage, Task, prepare, renew
from symgraph.errors import BackendError
from symgraph.graph import Constant, Variable, toposort
from symgraph.lazy import lazy
from symgraph.op import Op
from symgraph.reference import evaluate
from symgraph.rewrite import Step
from symgraph.shared_variable import SharedVariable
from symgraph.types import SIZES


class NumpyBackend:
    """Runs a task op by op with NumPy."""

    def compile(self, task: Task, signature: Signature) -> NumpyExecutable:
        """Rewrites only; there is nothing to compile."""
        start = perf_counter()
        return NumpyExecutable(prepare(task, signature), perf_counter() - start)


class NumpyExecutable:
    """A prepared task, evaluated by the reference; each op is a part."""

    kinds = ("graph",)

    def __init__(self, prepared: Prepared, seconds: float) -> None:
        self.prepared = prepared
        self.timings: Mapping[str, float] = {"rewrite": seconds}
        self.buffers: Mapping[str, int] = {}
        self._nodes = toposort([*prepared.outputs, *prepared.updates])
        self.kernels: Sequence[Op] = [node.op for node in self._nodes]

    @property
    def trace(self) -> Sequence[Step]:
        """The rewrites that were done."""
        return self.prepared.trace

    @lazy
    def parts(self) -> Sequence[Part]:
        """One for each op."""
        names = {v: s.name for s in self.storages for v in s.values}
        return [
            Part(f"op{k}", "kernel", (node,), tuple(names[v] for v in dict.fromkeys(node.inputs)),
                 tuple(names[v] for v in node.outputs))
            for k, node in enumerate(self._nodes)
        ]  # fmt: skip

    @lazy
    def storages(self) -> Sequence[Storage]:
        """One for each value: NumPy gives each an array of its own."""
        made = {v: k for k, node in enumerate(self._nodes) for v in node.outputs}
        read = {v: k for k, node in enumerate(self._nodes) for v in node.inputs}
        last = len(self._nodes) - 1
        results = dict.fromkeys([*self.prepared.outputs, *self.prepared.updates], last)
        values = dict.fromkeys([*self.prepared.inputs, *self.prepared.shared, *read, *made])
        return [
            Storage(f"v{k}", self._kind(v), _bytes(v), None, (v,), made.get(v, 0), {**read, **results}.get(v, 0))
            for k, v in enumerate(values)
        ]

    def _kind(self, v: Variable) -> str:
        given = {**dict.fromkeys(self.prepared.inputs, "input"), **dict.fromkeys(self.prepared.shared, "shared")}
        return "constant" if isinstance(v, Constant) else given.get(v, "arena")

    def native(self, result: str, fallback: Callable[..., Any]) -> None:
        """There is none."""

    def __call__(
        self, inputs: Sequence[np.ndarray], shared: Sequence[SharedVariable], sizes: Sequence[int] = ()
    ) -> list[np.ndarray]:
        """Evaluate everything, then change the shared variables."""
        p = self.prepared
        found = evaluate([*p.outputs, *p.updates], self._given(inputs, shared))
        results = [np.array(a) for a in found]
        count = len(p.outputs) - len(p.renewed)
        targets = [shared[k] for k in (*p.renewed, *p.targets)]
        renew(list(zip(targets, results[count:], strict=True)))
        return results[:count]

    def _given(self, inputs: Sequence[np.ndarray], shared: Sequence[SharedVariable]) -> dict[Variable, np.ndarray]:
        held = [s.get_value(borrow=True) for s in shared]
        values = zip((*self.prepared.inputs, *self.prepared.shared), (*inputs, *held), strict=True)
        return {v: a for v, a in values if not isinstance(v, Constant)}

    def measure(
        self, inputs: Sequence[np.ndarray], shared: Sequence[SharedVariable], runs: int, sizes: Sequence[int] = ()
    ) -> np.ndarray:
        """Seconds of each op, a row a run."""
        seconds = np.zeros((runs, len(self._nodes)))
        for run in range(runs):
            known = self._given(inputs, shared)
            for k, node in enumerate(self._nodes):
                start = perf_counter()
                known.update(zip(node.outputs, evaluate(node.outputs, known), strict=True))
                seconds[run, k] = perf_counter() - start
        return seconds

    def code(self, kind: str, part: str | None = None) -> str:
        """The graph, a line a node."""
        if kind not in self.kinds:
            raise BackendError(f"the numpy backend has no {kind!r} code; it has 'graph'")
        return "\n".join(repr(node) for k, node in enumerate(self._nodes) if part in (None, f"op{k}"))


def _bytes(v: Variable) -> int:
    return prod(n or 0 for n in v.type.shape) * SIZES[v.dtype]

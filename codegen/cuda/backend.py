"""The "cuda" backend: a task as CUDA C kernels on a GPU, replayed as one graph.

A program owns memory on the device: a place for each input, output and constant, and an arena. What a call gives is
written to these places, and the addresses never change, so that the steps are captured once and then replayed: those
before the guards, and those behind them. Shared variables stay on the device between calls.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from time import perf_counter
from typing import Any, TypeVar

import numpy as np

from codegen.cuda.device import Device, Memory, Residents
from codegen.cuda.emit import Module, emit
from codegen.cuda.open import open_device
from codegen.cuda.schedule import GPU, schedule
from codegen.describe import parts, storages
from codegen.kernel import Kernel, show
from codegen.memory import constant_data, size_of
from codegen.program import Check, Launch, Move, Program, Step, build, guard_error
from symgraph import config
from symgraph.backend import Part, Prepared, Signature, Storage, Task, prepare
from symgraph.errors import BackendError
from symgraph.graph import SharedVariable, toposort
from symgraph.rewrite import Step as Rewrite

T = TypeVar("T")


class CudaBackend:
    """Compiles for the device that the settings name."""

    def __init__(self) -> None:
        self._residents: dict[str, Residents] = {}
        self._opening = threading.Lock()

    def compile(self, task: Task, signature: Signature) -> CudaExecutable:
        """Prepared, built, emitted and loaded onto the device."""
        return CudaExecutable(task, signature, self.residents(config.settings().device))

    def residents(self, name: str) -> Residents:
        """The device of a name, with the shared variables that it has."""
        with self._opening:
            if name not in self._residents:
                self._residents[name] = Residents(open_device(name))
            return self._residents[name]

    def machine(self) -> dict[str, str]:
        """What is compiled for."""
        return {"device": self.residents(config.settings().device).device.name}


class CudaExecutable:
    """A program on a device.

    Attributes
    ----------
    timings : dict
        Seconds by stage: rewrite, build, emit, load.
    """

    kinds = ("graph", "kernel", "cuda")

    def __init__(self, task: Task, signature: Signature, residents: Residents) -> None:
        self.task, self.residents = task, residents
        self.timings: dict[str, float] = {}
        self.prepared: Prepared = self._timed("rewrite", lambda: prepare(task, signature))
        self.program: Program = self._timed("build", lambda: build(self.prepared, GPU, schedule))
        self.module: Module = self._timed("emit", lambda: emit(self.program.kernels))
        self._loaded = self._timed("load", lambda: self.device.load(self.module))
        self._memory = _allocated(self.program, self.device)
        self._places = _places(self.program, self._memory)
        for k, a in enumerate(constant_data(self.program.constants)):
            self.device.write(self._places[f"c{k}"], a)
        self._replays: tuple[tuple[int, ...], list[Callable[[], None]]] | None = None
        self._lock = threading.Lock()

    @property
    def device(self) -> Device:
        """Where it runs."""
        return self.residents.device

    def _timed(self, stage: str, work: Callable[[], T]) -> T:
        start = perf_counter()
        done = work()
        self.timings[stage] = perf_counter() - start
        return done

    # ------------------------------------------------------------------------------------------------ calling

    def __call__(self, inputs: Sequence[np.ndarray], shared: Sequence[SharedVariable]) -> list[np.ndarray]:
        """Inputs in, the captured steps, outputs out."""
        with self._lock:
            self._give(inputs, shared)
            for replay, checks in zip(self._captured(shared), (self._checks, ()), strict=True):
                replay()
                self._check(checks)
            outputs = self._taken()
        count = len(outputs) - len(self.prepared.renewed)
        for target, value in zip(self.prepared.renewed, outputs[count:], strict=True):
            shared[target].set_value(value, borrow=True)
        return outputs[:count]

    def _give(self, inputs: Sequence[np.ndarray], shared: Sequence[SharedVariable]) -> None:
        for k, a in enumerate(inputs):
            self.device.write(self._places[f"in{k}"], a)
        for k, s in enumerate(shared):
            self._places[f"sh{k}"] = self.residents.address(s)

    def _captured(self, shared: Sequence[SharedVariable]) -> list[Callable[[], None]]:
        """What replays the steps before the guards and those behind, captured anew where a shared variable moved."""
        where = tuple(self._places[f"sh{k}"] for k in range(len(shared)))
        if self._replays is None or self._replays[0] != where:
            made = [self.device.capture(lambda half=half: self._ask(half)) for half in self._halves]  # type: ignore[misc]
            self._replays = where, made
        return self._replays[1]

    @cached_property
    def _checks(self) -> Sequence[Check]:
        return [s for s in self.program.steps if isinstance(s, Check)]

    @cached_property
    def _halves(self) -> tuple[Sequence[Step], Sequence[Step]]:
        """The steps before the guards and those behind them; what nothing guards is one."""
        steps = self.program.steps
        first = steps.index(self._checks[0]) if self._checks else len(steps)
        return steps[:first], steps[first + len(self._checks) :]

    def _ask(self, steps: Sequence[Step]) -> None:
        """Launches and copies, in order."""
        for step in steps:
            match step:
                case Launch(kernel, arguments):
                    self._launch(self.program.kernels[kernel], arguments)
                case Move(target, source, size):
                    self.device.copy(self._places[target], self._places[source], size)

    def _launch(self, kernel: Kernel, arguments: Sequence[str]) -> None:
        place = {b.name: self._places[a] for b, a in zip(kernel.buffers, arguments, strict=True)}
        for f in self.module.kernels[kernel.name]:
            self._loaded.launch(f, [place[b.name] for b in f.parameters])

    def _check(self, checks: Sequence[Check]) -> None:
        """Stop where a guard does not hold: nothing shared was written yet."""
        for check in checks:
            ok = np.zeros(1, bool)
            self.device.read(self._places[check.storage], ok)
            if not ok[0]:
                raise guard_error(self.prepared, check.guard)

    def _taken(self) -> list[np.ndarray]:
        outputs = [np.empty(tuple(n or 0 for n in t.shape), t.dtype) for t in self.program.outputs]
        for k, a in enumerate(outputs):
            self.device.read(self._places[f"out{k}"], a)
        self.device.wait()
        return outputs

    def native(self, result: str, fallback: Callable[..., Any]) -> None:
        """There is none."""

    def measure(self, inputs: Sequence[np.ndarray], shared: Sequence[SharedVariable], runs: int) -> np.ndarray:
        """Seconds of each part, a row a run; shared variables keep their values."""
        held = [s.get_value() for s in shared]
        with self._lock:
            found = np.zeros((runs, len(self.program.steps)))
            for run in range(runs):
                self._give(inputs, shared)
                for k, step in enumerate(self.program.steps):
                    found[run, k] = self.device.seconds(lambda step=step: self._ask([step]))  # type: ignore[misc]
                for s, value in zip(shared, held, strict=True):
                    s.set_value(value)
        return found

    # ------------------------------------------------------------------------------------------------ describing

    @property
    def kernels(self) -> Sequence[Kernel]:
        """The scheduled kernels, in order of their first launch."""
        return self.program.kernels

    @property
    def buffers(self) -> Mapping[str, int]:
        """Bytes of the arena, and the most that is alive in it at once."""
        return {"arena": self.program.arena, "live": self.program.live}

    @property
    def trace(self) -> Sequence[Rewrite]:
        """The rewrites that were done."""
        return self.prepared.trace

    @cached_property
    def parts(self) -> Sequence[Part]:
        """The steps of the program, in order."""
        return parts(self.program)

    @cached_property
    def storages(self) -> Sequence[Storage]:
        """Where the parts read and write."""
        return storages(self.program)

    def code(self, kind: str, part: str | None = None) -> str:
        """The program as text, or one of its kernels: graph, kernel or cuda."""
        if kind not in self.kinds:
            raise BackendError(f"the cuda backend has no {kind!r} code; it has {', '.join(self.kinds)}")
        chosen = [k for k in self.program.kernels if part in (None, k.name)]
        if part is not None and not chosen:
            known = ", ".join(k.name for k in self.program.kernels) or "none"
            raise BackendError(f"there is no kernel {part!r}; this program has {known}")
        if kind == "kernel":
            return "\n".join(map(show, chosen))
        if kind == "cuda":
            return "\n".join(f.text for k in chosen for f in self.module.kernels[k.name])
        nodes = toposort([*self.prepared.outputs, *self.prepared.updates])
        return "\n".join(map(repr, nodes if part is None else next(p.nodes for p in self.parts if p.name == part)))


def _allocated(program: Program, device: Device) -> dict[str, Memory]:
    """The memory of a program: its arena, and a piece for each storage of the caller's but shared variables."""
    sizes = {"arena": max(program.arena, 1)}
    for name, b in program.memory.buffers.items():
        if name.rstrip("0123456789") in ("in", "out", "c"):
            sizes[name] = size_of(b)
    return {name: device.allocate(size) for name, size in sizes.items()}


def _places(program: Program, memory: Mapping[str, Memory]) -> dict[str, int]:
    """The address of each storage."""
    places = {name: m.address for name, m in memory.items()}
    return {**places, **{name: places["arena"] + offset for name, offset in program.offsets.items()}}

"""The "cuda" backend: a task as CUDA C kernels on a GPU, replayed as one graph.

A program has places on the device (``Places``) whose addresses do not change from call to call, but for those of shared
variables that moved. So its steps are captured once and then replayed, in sections between what the host does:
preconditions that may stop a call, ops that only it can compute.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np

from codegen.cache import Cache
from codegen.cuda.device import Device, Residents, is_on
from codegen.cuda.emit import Function, Module, emit
from codegen.cuda.matrices import MatrixProduct
from codegen.cuda.open import open_device
from codegen.cuda.places import Places, extents
from codegen.cuda.schedule import GPU, schedule
from codegen.describe import Compiled, code
from codegen.kernel import Kernel
from codegen.program import Check, Hosted, Launch, Move, Program, Step, build, precondition_error
from symgraph import config
from symgraph.backend import Prepared, Signature, Task, renew
from symgraph.errors import BackendError
from symgraph.graph import Apply
from symgraph.shared_variable import SharedVariable

ROUNDING = (8, 0)  # capability from which on tensor cores multiply what ``precision`` lets factors be rounded to
Work = Callable[[], None]


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

    def tensor(self, value: object, dtype: str | None) -> Any:
        """A tensor that is on the device, as a contiguous array of the device's; None for any other value."""
        residents = self.residents(config.settings().device)
        if not is_on(residents.device, value):
            return None
        with residents.lock:
            return residents.device.as_array(value, None if dtype is None else np.dtype(dtype))

    def store(self) -> Cache:
        """The compiled modules on disk."""
        return Cache(config.settings().cache)

    def machine(self) -> dict[str, str]:
        """What is compiled for."""
        device = self.residents(config.settings().device).device
        return {"device": device.name, "library of matrix products": device.library}


class CudaExecutable(Compiled):
    """A program on a device.

    Attributes
    ----------
    timings : dict
        Seconds by stage: rewrite, build, emit, load.
    """

    kinds = ("graph", "kernel", "cuda")

    def __init__(self, task: Task, signature: Signature, residents: Residents) -> None:
        super().__init__(task, signature)
        self.residents = residents
        _check_precision(task.precision, self.device)
        program = self.program
        self.module: Module = self.timed("emit", lambda: emit(program.kernels))
        with residents.lock:
            self._loaded = self.timed("load", lambda: self.device.load(self.module))
            self._places = Places(program, [v.type for v in self.prepared.inputs], task.borrowed, residents)
        self._captured: dict[tuple[str, ...], tuple[tuple[int, ...], list[Work]]] = {}
        self._is_running = False

    @property
    def device(self) -> Device:
        """Where it runs."""
        return self.residents.device

    def build(self, prepared: Prepared) -> Program:
        """The program for a GPU."""
        return build(prepared, GPU, partial(schedule, precision=self.task.precision, takes=self._takes))

    def _takes(self, product: MatrixProduct) -> bool:
        """Whether the device's library does a product of matrices."""
        with self.residents.lock:
            return self.device.gemm(product) is not None

    # ------------------------------------------------------------------------------------------------ calling

    def __call__(
        self, inputs: Sequence[np.ndarray], shared: Sequence[SharedVariable], sizes: Sequence[int] = ()
    ) -> list[np.ndarray]:
        """Inputs in, the captured steps, outputs out; either may be arrays of the device."""
        with self.residents.lock:
            if self._is_running:  # the last call was interrupted: its copies may still read what this one stages
                self.device.wait()
            self._is_running = True
            if self.task.borrowed or self.residents.are_seen(shared):
                self.device.settle()
            for section in self._sections(inputs, shared):
                section()
            outputs = self._places.take()
            self._is_running = False
        count = len(outputs) - len(self.prepared.renewed)
        renew(list(zip([shared[k] for k in self.prepared.renewed], outputs[count:], strict=True)))
        return outputs[:count]

    def _sections(self, inputs: Sequence[np.ndarray], shared: Sequence[SharedVariable]) -> list[Work]:
        """The arguments put in place, and the steps in order: those that the device does captured for each choice of
        staged inputs, and anew where a shared variable moved."""
        staged, where = self._places.give(inputs), self._places.find_shared(shared)
        known = self._captured.get(staged)
        if known is None or known[0] != where:
            known = self._captured[staged] = where, self._capture(staged)
        return known[1]

    def _capture(self, staged: Sequence[str]) -> list[Work]:
        """The steps, between the copies of what is staged: sections of the device, and of the host among them."""
        steps = groupby(self.program.steps, _is_by_host)
        runs: list[tuple[bool, list[Work]]] = [(by_host, [partial(self._do, list(run))]) for by_host, run in steps]
        if not runs or runs[0][0]:
            runs.insert(0, (False, []))
        if runs[-1][0]:
            runs.append((False, []))
        runs[0][1].insert(0, partial(self._places.send, staged))
        runs[-1][1].append(self._places.bring)
        return [self._section(by_host, works) for by_host, works in runs]

    def _section(self, by_host: bool, works: Sequence[Work]) -> Work:
        def work() -> None:
            for each in works:
                each()

        return work if by_host else self.device.capture(work)

    def _do(self, steps: Sequence[Step]) -> None:
        """Steps in order; up to the commit the host may stop them."""
        for step in steps:
            match step:
                case Launch(kernel, arguments):
                    self._launch(self.program.kernels[kernel], arguments)
                case Move(target, source, size):
                    self.device.copy(self._places[target], self._places[source], size)
                case Check(precondition, storage):
                    self._check(precondition, self._places[storage])
                case Hosted(call, arguments):
                    self._compute(self.program.calls[call], [self._places[a] for a in arguments])

    def _launch(self, kernel: Kernel, arguments: Sequence[str]) -> None:
        place = {b.name: self._places[a] for b, a in zip(kernel.buffers, arguments, strict=True)}
        for top in self.module.kernels[kernel.name]:
            addresses = [place[b.name] for b in top.parameters]
            if isinstance(top, Function):
                self._loaded.launch(top, addresses)
            else:
                multiply = self.device.gemm(top.product)
                assert multiply is not None, "what the library does not do is no call of it"
                multiply(addresses)

    def _check(self, precondition: int, place: int) -> None:
        ok = np.zeros(1, bool)
        self.device.read(place, ok)
        if not ok[0]:
            raise precondition_error(self.prepared, precondition)

    def _compute(self, node: Apply, places: Sequence[int]) -> None:
        """What only the host can: its operands come over, its outputs go back."""
        values = [*node.outputs, *node.op.operands(node)]
        arrays = [np.empty(extents(v.type), v.dtype) for v in values]
        count = len(node.outputs)
        for a, place in list(zip(arrays, places, strict=True))[count:]:
            self.device.read(place, a)
        for found, place in zip(node.op.reference(node, arrays[count:]), places, strict=False):
            self.device.write(place, np.ascontiguousarray(found))

    def native(self, result: str, fallback: Callable[..., Any]) -> None:
        """There is none."""

    def measure(
        self, inputs: Sequence[np.ndarray], shared: Sequence[SharedVariable], runs: int, sizes: Sequence[int] = ()
    ) -> np.ndarray:
        """Seconds of each part, a row a run; shared variables keep their values."""
        held = [s.get_value() for s in shared]
        found = np.zeros((runs, len(self.program.steps)))
        for run in range(runs):
            with self.residents.lock:
                self._places.send(self._places.give(inputs))
                self._places.find_shared(shared)
                for k, step in enumerate(self.program.steps):
                    found[run, k] = self.device.seconds(lambda step=step: self._do([step]))  # type: ignore[misc]
            for s, value in zip(shared, held, strict=True):
                s.set_value(value)
        return found

    # ------------------------------------------------------------------------------------------------ describing

    @property
    def buffers(self) -> Mapping[str, int]:
        """Bytes of the arena, and the most that is alive in it at once."""
        return {"arena": self.program.arena, "live": self.program.live}

    def code(self, kind: str, part: str | None = None) -> str:
        """The program as text, or one of its kernels: graph, kernel or cuda."""
        return code("cuda", self.program, self.prepared, kind, part, {"cuda": self._text})

    def _text(self, chosen: Sequence[Kernel]) -> str:
        return "\n".join(f.text for k in chosen for f in self.module.kernels[k.name])


def _is_by_host(step: Step) -> bool:
    return isinstance(step, Check | Hosted)


def _check_precision(precision: str, device: Device) -> None:
    """Raise BackendError unless the device's tensor cores can do what a function lets them."""
    if precision != "highest" and device.capability < ROUNDING:
        has, wanted = (".".join(map(str, numbers)) for numbers in (device.capability, ROUNDING))
        raise BackendError(
            f"precision={precision!r} needs a GPU of compute capability {wanted}, {device.name} has {has}\n"
            "leave precision out: function(...) computes with float32 as it is"
        )

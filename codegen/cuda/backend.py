"""The "cuda" backend: a task as CUDA C kernels on a GPU, replayed as one graph.

A program owns memory on the device: a place for each input, output and constant, and an arena. What a call gives is
written to these places, and the addresses never change, so that the steps are captured once and then replayed, in
sections between what the host does: preconditions that may stop a call, ops that only it can compute. Small inputs and
outputs go by way of staged memory of the host, so that their copies are captured too. What is on the device already is
copied there, and a result that is borrowed is its place itself. Shared variables stay on the device between calls.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np

from codegen.cache import Cache
from codegen.cuda.device import Device, Memory, Residents, is_on
from codegen.cuda.emit import Function, Module, emit
from codegen.cuda.matrices import MatrixProduct
from codegen.cuda.open import open_device
from codegen.cuda.schedule import GPU, schedule
from codegen.describe import Compiled, code
from codegen.kernel import Kernel
from codegen.memory import ALIGNMENT, constant_data, size_of
from codegen.program import Check, Hosted, Launch, Move, Program, Step, build, precondition_error
from symgraph import config
from symgraph.backend import Prepared, Signature, Task, renew
from symgraph.errors import BackendError
from symgraph.graph import Apply
from symgraph.shared_variable import SharedVariable
from symgraph.types import SIZES, TensorType

STAGED = 1 << 20  # bytes of an input or output up to which a copy within the host is cheaper than one more request
ROUNDING = (8, 0)  # capability from which on tensor cores multiply what ``precision`` lets factors be rounded to


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
            self._memory = _allocated(self.program, residents)
            self._places = _places(self.program, self._memory)
            self._staged = _staged(self.prepared, task.borrowed, self.device)
            for k, a in enumerate(constant_data(self.program.constants)):
                self.device.write(self._places[f"c{k}"], a)
        self._captured: dict[tuple[str, ...], tuple[tuple[int, ...], list[Callable[[], None]]]] = {}
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

    def __call__(self, inputs: Sequence[np.ndarray], shared: Sequence[SharedVariable]) -> list[np.ndarray]:
        """Inputs in, the captured steps, outputs out; either may be arrays of the device."""
        with self.residents.lock:
            if self._is_running:  # the last call was interrupted: its copies may still read what this one stages
                self.device.wait()
            self._is_running = True
            if self.task.borrowed or self.residents.are_seen(shared):
                self.device.settle()
            staged = self._give(inputs, shared)
            for section in self._sections(shared, staged):
                section()
            outputs = self._taken()
            self._is_running = False
        count = len(outputs) - len(self.prepared.renewed)
        renew(list(zip([shared[k] for k in self.prepared.renewed], outputs[count:], strict=True)))
        return outputs[:count]

    def _give(self, inputs: Sequence[np.ndarray], shared: Sequence[SharedVariable]) -> tuple[str, ...]:
        """Put everything where the program finds it; gives what is staged."""
        staged = []
        for k, a in enumerate(inputs):
            name = f"in{k}"
            if is_on(self.device, a):
                self.device.copy(self._places[name], self.device.address(a), a.nbytes)
            elif name in self._staged:
                self._staged[name][...] = a
                staged.append(name)
            else:
                self.device.write(self._places[name], a)
        for k, s in enumerate(shared):
            self._places[f"sh{k}"] = self.residents.address(s)
        return tuple(staged)

    def _send(self, staged: Sequence[str]) -> None:
        for name in staged:
            self.device.write(self._places[name], self._staged[name])

    def _bring(self) -> None:
        for name in [n for n in self._staged if n.startswith("out")]:
            self.device.bring(self._places[name], self._staged[name])

    def _sections(self, shared: Sequence[SharedVariable], staged: tuple[str, ...]) -> list[Callable[[], None]]:
        """The steps in order, those that the device does captured: for each choice of staged inputs, and anew where a
        shared variable moved."""
        where = tuple(self._places[f"sh{k}"] for k in range(len(shared)))
        known = self._captured.get(staged)
        if known is None or known[0] != where:
            steps = groupby(self.program.steps, _is_by_host)
            runs: list[tuple[bool, list[Callable[[], None]]]] = [(by, [partial(self._do, list(s))]) for by, s in steps]
            if not runs or runs[0][0]:
                runs.insert(0, (False, []))
            if runs[-1][0]:
                runs.append((False, []))
            runs[0][1].insert(0, partial(self._send, staged))
            runs[-1][1].append(self._bring)
            known = self._captured[staged] = where, [self._section(by_host, works) for by_host, works in runs]
        return known[1]

    def _section(self, by_host: bool, works: Sequence[Callable[[], None]]) -> Callable[[], None]:
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
        arrays = [np.empty(_shape(v.type), v.dtype) for v in values]
        count = len(node.outputs)
        for a, place in list(zip(arrays, places, strict=True))[count:]:
            self.device.read(place, a)
        for found, place in zip(node.op.reference(node, arrays[count:]), places, strict=False):
            self.device.write(place, np.ascontiguousarray(found))

    def _taken(self) -> list[np.ndarray]:
        """The outputs: the caller's own, or what is on the device of those that are borrowed."""
        outputs: list[Any] = [np.empty(_shape(t), t.dtype) for t in self.program.outputs]
        for k in self.task.borrowed:
            outputs[k] = self._memory[f"out{k}"].array(outputs[k].dtype, outputs[k].shape)
        kept = [(f"out{k}", a) for k, a in enumerate(outputs) if k not in self.task.borrowed]
        for name, a in kept:
            if name not in self._staged:
                self.device.read(self._places[name], a)
        self.device.wait()
        for name, a in kept:
            if name in self._staged:
                a[...] = self._staged[name]
        return outputs

    def native(self, result: str, fallback: Callable[..., Any]) -> None:
        """There is none."""

    def measure(self, inputs: Sequence[np.ndarray], shared: Sequence[SharedVariable], runs: int) -> np.ndarray:
        """Seconds of each part, a row a run; shared variables keep their values."""
        held = [s.get_value() for s in shared]
        found = np.zeros((runs, len(self.program.steps)))
        for run in range(runs):
            with self.residents.lock:
                staged = self._give(inputs, shared)
                self._send(staged)
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


def _shape(t: TensorType) -> tuple[int, ...]:
    return tuple(n or 0 for n in t.shape)


def _allocated(program: Program, residents: Residents) -> dict[str, Memory]:
    """The memory of a program: its arena, and a piece for each storage of the caller's but shared variables."""
    sizes = {"arena": max(program.arena, 1)}
    for name, b in program.memory.buffers.items():
        if name.rstrip("0123456789") in ("in", "out", "c"):
            sizes[name] = size_of(b)
    return {name: residents.allocate(size) for name, size in sizes.items()}


def _staged(prepared: Prepared, borrowed: Sequence[int], device: Device) -> dict[str, np.ndarray]:
    """Where the host puts small inputs and finds small outputs, so that their copies are part of what is captured."""
    types = {f"in{k}": v.type for k, v in enumerate(prepared.inputs)}
    types |= {f"out{k}": v.type for k, v in enumerate(prepared.outputs) if k not in borrowed}
    sizes = {name: int(np.prod(_shape(t))) * SIZES[t.dtype] for name, t in types.items()}
    small = [name for name, size in sizes.items() if 0 < size <= STAGED]
    bytes_ = device.stage(sum(-(-sizes[name] // ALIGNMENT) * ALIGNMENT for name in small))
    found, offset = {}, 0
    for name in small:
        part = bytes_[offset : offset + sizes[name]]
        found[name] = part.view(types[name].dtype).reshape(_shape(types[name]))
        offset += -(-sizes[name] // ALIGNMENT) * ALIGNMENT
    return found


def _check_precision(precision: str, device: Device) -> None:
    """Raise BackendError unless the device's tensor cores can do what a function lets them."""
    if precision != "highest" and device.capability < ROUNDING:
        has, wanted = (".".join(map(str, numbers)) for numbers in (device.capability, ROUNDING))
        raise BackendError(
            f"precision={precision!r} needs a GPU of compute capability {wanted}, {device.name} has {has}\n"
            "leave precision out: function(...) computes with float32 as it is"
        )


def _places(program: Program, memory: Mapping[str, Memory]) -> dict[str, int]:
    """The address of each storage."""
    places = {name: m.address for name, m in memory.items()}
    return {**places, **{name: places["arena"] + offset for name, offset in program.offsets.items()}}

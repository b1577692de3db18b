"""The "llvm" backend: tasks to native code, one module a program and one native entry a call."""

from __future__ import annotations

import contextlib
import ctypes
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from math import prod
from typing import Any, cast

import numpy as np

from codegen.agreement import agreement
from codegen.cache import Cache
from codegen.calls import Callback, HostCall, read_call
from codegen.describe import Compiled, code
from codegen.kernel import Kernel, Loop, walk
from codegen.key import task_key
from codegen.llvm import native, pool, signals
from codegen.llvm.assemble import assemble, kernel_module, program_module
from codegen.llvm.beside import beside
from codegen.llvm.emit import Module
from codegen.llvm.entry import CHECKED, INTERRUPTED, NAME
from codegen.llvm.measure import TimedProgram
from codegen.llvm.native import Callee, address, native_call
from codegen.llvm.target import Target, emit_assembly, host, load, optimized_text
from codegen.memory import ALIGNMENT, constant_data
from codegen.program import Program, build, precondition_error
from codegen.schedule import PARALLEL_WORK
from codegen.shortage import no_arena, no_output
from codegen.tiles import Machine, work_of
from symgraph import config
from symgraph.backend import Prepared, Signature, Task, renew
from symgraph.lazy import lazy
from symgraph.shared_variable import SharedVariable
from symgraph.types import TensorType
from symgraph.varying import Varying, as_varying

_REGISTERS = {64: 32, 32: 16, 16: 16}
_NEAR = 1 << 18  # bytes: a part of the second cache of any processor of the last ten years


def machine(target: Target) -> Machine:
    """What scheduling knows of a target."""
    return Machine(target.vector_bytes, _REGISTERS[target.vector_bytes], _NEAR)


@dataclass(frozen=True)
class Image:
    """What a call needs of a program: what the disk keeps.

    Attributes
    ----------
    objects : tuple of bytes
        Object code; one of them defines the entry.
    outputs : tuple of TensorType
        An extent of -1 is the first length that a call decides, -2 the second.
    renewed : tuple of int
        The last outputs are new values of these shared variables.
    constants : tuple of ndarray
    calls : tuple of HostCall
        What the host computes.
    arena, live, scratch : int
        Bytes: of the arena, alive in it at once, and of scratch for one worker.
    heavy : bool
        Whether a call is long enough to let other threads of Python run meanwhile.
    checked : bool
        Whether there is an entry that checks the extents which integers decide.
    """

    objects: tuple[bytes, ...]
    outputs: tuple[TensorType, ...]
    renewed: tuple[int, ...]
    constants: tuple[np.ndarray, ...]
    calls: tuple[HostCall, ...]
    arena: int
    live: int
    scratch: int
    heavy: bool
    checked: bool


_PLAIN = ("arena", "live", "scratch", "heavy", "checked")


def pack(image: Image) -> bytes:
    """An image as bytes: a JSON line, the constants, the object code."""
    head = {
        "outputs": [(t.dtype, t.shape) for t in image.outputs],
        "renewed": image.renewed,
        "constants": [(a.dtype.name, a.shape) for a in image.constants],
        "calls": [c.plain() for c in image.calls],
        "objects": list(map(len, image.objects)),
        **{name: getattr(image, name) for name in _PLAIN},
    }
    return b"".join([json.dumps(head).encode(), b"\n", *[a.tobytes() for a in image.constants], *image.objects])


def unpack(data: bytes) -> Image:
    """The image that ``pack`` wrote."""
    line, _, rest = data.partition(b"\n")
    head = json.loads(line)
    constants, at = [], 0
    for dtype, shape in head["constants"]:
        count = prod(shape)
        constants.append(np.frombuffer(rest, dtype, count, at).reshape(shape).copy())
        at += count * np.dtype(dtype).itemsize
    outputs = tuple(TensorType(dtype, tuple(shape)) for dtype, shape in head["outputs"])
    renewed = tuple(head["renewed"])
    calls = tuple(map(read_call, head["calls"]))
    ends = list(accumulate(head["objects"], initial=at))
    objects = tuple(rest[start:end] for start, end in pairwise(ends))
    return Image(objects, outputs, renewed, tuple(constants), calls, **{name: head[name] for name in _PLAIN})


class LlvmBackend:
    """Compiles with LLVM for the processor it runs on."""

    takes_lengths = True

    def compile(self, task: Task, signature: Signature) -> LlvmExecutable:
        """From the disk if it is there, else prepared, built, emitted and kept there."""
        return LlvmExecutable(task, signature, host(), self.store())

    def store(self) -> Cache:
        """The compiled programs on disk."""
        return Cache(config.settings().cache)

    def machine(self) -> dict[str, str]:
        """What is compiled for."""
        target = host()
        features = [f[1:] for f in target.features.split(",") if f.startswith("+")]
        return {
            "triple": target.triple, "cpu": target.cpu, "vector bytes": str(target.vector_bytes),
            "features": " ".join(sorted(features)),
        }  # fmt: skip


class LlvmExecutable(Compiled):
    """A loaded program.

    Attributes
    ----------
    image : Image
    entry : callable
        The native function of two addresses: of the pointers of ``Program.layout``, and of the int64 that becomes 0 or
        the number of a failed precondition.
    timings : dict
        Seconds by stage: rewrite, build, compile, load; a program from the disk has load alone.
    """

    kinds = ("graph", "kernel", "llvm", "optimized", "assembly")

    def __init__(self, task: Task, signature: Signature, target: Target, cache: Cache) -> None:
        super().__init__(task, signature)
        self.target = target
        self.image = self._image(cache)
        pool.start()
        signals.start()
        self._library = self.timed("load", lambda: load(self.image.objects))
        self.entry = signals.runner(self._library.address(NAME))
        self._lengths = list(signature.lengths.values())
        self._written = [task.shared.index(s) for s, _ in task.updates]
        self._arenas: list[np.ndarray] = []
        self._callbacks = [Callback(c) for c in self.image.calls]
        self._constants = (*self.image.constants, *[c.address for c in self._callbacks])

    def _image(self, cache: Cache) -> Image:
        key = task_key(self.task, self.signature, self.target)
        found = cache.get(key) if key else None
        if found is not None:
            return unpack(found)
        image = self._made()
        if key:
            cache.put(key, pack(image))
        return image

    def _made(self) -> Image:
        with beside(_start):
            program, agreed = self.program, agreement(self.prepared)
            objects, scratch = self.timed("compile", lambda: assemble(program, self.target, agreed))
        return Image(
            tuple(objects), tuple(map(_open_type, program.outputs)), self.prepared.renewed,
            tuple(constant_data(program.constants)), tuple(map(HostCall.of, program.calls)), program.arena,
            program.live, scratch, _is_heavy(program), agreed is not None,
        )  # fmt: skip

    def build(self, prepared: Prepared) -> Program:
        """The program for the processor."""
        return build(prepared, machine(self.target))

    @lazy
    def module(self) -> Module:
        """The kernels and the entry as text."""
        return program_module(self.program, agreed=agreement(self.prepared))

    @property
    def text(self) -> str:
        """The LLVM IR."""
        return self.module.text()

    def __call__(
        self, inputs: Sequence[np.ndarray], shared: Sequence[SharedVariable], sizes: Sequence[int] = ()
    ) -> list[np.ndarray]:
        """One native call. Arrays must be contiguous and native, of the signature's types."""
        _use_threads()
        lengths = self._given_lengths(inputs, sizes)
        outputs = self._new_outputs(lengths)
        held = [s.get_value(borrow=True) for s in shared]
        arena = self._free_arena()
        inputs = _apart(inputs, [held[k] for k in self._written])
        pointers = self._pointers(arena, (*inputs, *held, *outputs), lengths)
        count = len(outputs) - len(self.image.renewed)
        renewed = [(shared[k], value) for k, value in zip(self.image.renewed, outputs[count:], strict=True)]
        self._run(pointers, renewed)
        self._arenas.append(arena)
        return outputs[:count]

    def _run(self, pointers: Sequence[int], renewed: Sequence[tuple[SharedVariable, np.ndarray]]) -> None:
        """Enter the program and give shared variables their new values, all of them or none."""
        for callback in self._callbacks:
            callback.raise_interrupt()
        io = (ctypes.c_void_p * len(pointers))(*pointers)
        failed = ctypes.c_int64(INTERRUPTED)
        try:
            self.entry(ctypes.addressof(io), ctypes.addressof(failed))
            if not failed.value:
                renew(renewed)
        except BaseException:
            if not failed.value:  # Ctrl-C came behind the commit point
                renew(renewed)
            raise
        if failed.value:
            raise self._failure(failed.value - 1)

    def native(self, result: str, fallback: Callable[..., Any]) -> Callable[..., Any] | None:
        """A builtin that calls this program with arguments that are right as they are, all else ``fallback``."""
        sizes_are_checked = self.image.checked or not self.signature.sizes
        if self.image.renewed or not sizes_are_checked:
            return None
        arena = self._free_arena()
        callee = Callee(
            self._library, self._library.address(CHECKED if self.signature.sizes else NAME), self.signature.inputs,
            self.signature.shared, [_closed_type(t, self.signature.lengths) for t in self.image.outputs],
            self.task.shared, self._written, self._constants, arena, _aligned(arena), self.image.heavy, _use_threads,
            self.signature.lengths,
        )  # fmt: skip
        return native_call(callee, result, fallback)

    def measure(
        self, inputs: Sequence[np.ndarray], shared: Sequence[SharedVariable], runs: int, sizes: Sequence[int] = ()
    ) -> np.ndarray:
        """Seconds of each part, a row a run, on copies of the shared variables."""
        _use_threads()
        text = program_module(self.program, timed=True).text()
        timed = TimedProgram(text, self.target, len(self.program.steps))
        held = [s.get_value() for s in shared]
        lengths = self._given_lengths(inputs, sizes)
        outputs, arena = self._new_outputs(lengths), self._free_arena()
        pointers = self._pointers(arena, (*inputs, *held, *outputs), lengths)
        try:
            return np.array([timed.run(pointers) for _ in range(runs)])
        except LookupError as failed:
            raise self._failure(failed.args[0]) from None

    def _failure(self, number: int) -> BaseException:
        """What stopped a call: a precondition, or behind these a call of the host."""
        preconditions = self.program.preconditions
        if number < preconditions:
            return precondition_error(self.prepared, number)
        return self._callbacks[number - preconditions].failure(self.program.calls[number - preconditions])

    def _given_lengths(self, inputs: Sequence[np.ndarray], sizes: Sequence[int]) -> list[np.ndarray]:
        """The lengths that this call decides, as inputs of the program."""
        given = (*[a.shape[:1] for a in inputs], *[(n,) for n in sizes])
        return [np.array(given[k][0], np.int64) for k in self._lengths]

    def _new_outputs(self, lengths: Sequence[np.ndarray]) -> list[np.ndarray]:
        given = [n.item() for n in lengths]
        return [
            self._new_output(k, tuple(given[~n] if n < 0 else n for n in map(_known, t.shape)), np.dtype(t.dtype))
            for k, t in enumerate(self.image.outputs)
        ]

    def _new_output(self, k: int, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        try:
            return np.empty(shape, dtype)
        except MemoryError as error:
            renewed = [self.task.shared[n] for n in self.image.renewed]
            raise no_output(self.task, k, renewed, self.image.outputs[k]) from error

    def _pointers(
        self, arena: np.ndarray, arrays: Sequence[np.ndarray], lengths: Sequence[np.ndarray]
    ) -> list[int]:
        """What the entry reads: the arena, then the arrays of the call, then constants, then lengths."""
        return [_aligned(arena), *[address(a) for a in (*arrays, *self._constants, *lengths)]]

    def _free_arena(self) -> np.ndarray:
        """One that no other call uses now."""
        with contextlib.suppress(IndexError):
            return self._arenas.pop()
        size = self.image.arena + self.image.scratch * pool.capacity() + ALIGNMENT
        try:
            return np.empty(size, np.uint8)
        except MemoryError as error:
            raise no_arena(size, self.storages) from error

    @property
    def buffers(self) -> Mapping[str, int]:
        """Bytes of the arena, the most that is alive in it at once, and scratch of one worker."""
        return {"arena": self.image.arena, "live": self.image.live, "scratch": self.image.scratch}

    def code(self, kind: str, part: str | None = None) -> str:
        """The program as text, or one of its kernels: graph, kernel, llvm, optimized or assembly."""
        forms: dict[str, Callable[[Sequence[Kernel]], str]] = {
            "llvm": lambda chosen: self._llvm(part, chosen),
            "optimized": lambda chosen: optimized_text(self._llvm(part, chosen), self.target),
            "assembly": lambda chosen: emit_assembly(self._llvm(part, chosen), self.target),
        }
        return code("llvm", self.program, self.prepared, kind, part, forms)

    def _llvm(self, part: str | None, chosen: Sequence[Kernel]) -> str:
        return self.text if part is None else kernel_module(chosen).text()


def _open_type(t: TensorType) -> TensorType:
    """A type as an image has it."""
    lengths = [as_varying(n) for n in t.shape]
    return replace(t, shape=tuple(n if v is None else ~v.number for n, v in zip(t.shape, lengths, strict=True)))


def _closed_type(t: TensorType, lengths: Iterable[Varying]) -> TensorType:
    """A type of an image with the extents that vary."""
    given = [cast(int, n) for n in lengths]
    return replace(t, shape=tuple(given[~n] if n is not None and n < 0 else n for n in t.shape))


def _known(n: int | None) -> int:
    assert n is not None, "a program of open extents"
    return n


def _is_heavy(program: Program) -> bool:
    """Whether a program does much, uses threads, or calls the host, which may let other threads run."""
    loops = [s for kernel in program.kernels for s in walk(kernel) if isinstance(s, Loop)]
    much = sum(map(work_of, program.kernels)) >= PARALLEL_WORK
    return bool(program.calls) or much or any(s.kind == "parallel" for s in loops)


def _aligned(arena: np.ndarray) -> int:
    """The address to begin at."""
    return -(-address(arena) // ALIGNMENT) * ALIGNMENT


def _start() -> None:
    """Have ready what programs need of this process."""
    pool.start()
    signals.start()
    native.start()


def _use_threads() -> None:
    threads = min(config.threads(), pool.capacity())
    if pool.threads() != threads:
        pool.set_threads(threads)


def _apart(inputs: Sequence[np.ndarray], written: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    """Inputs, copied where a caller's array is storage that the program writes."""
    return [a.copy() if any(np.may_share_memory(a, w) for w in written) else a for a in inputs]

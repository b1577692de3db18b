"""The "llvm" backend: tasks to native code, one module a program and one native entry a call."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import TypeVar

import numpy as np

from codegen.kernel import Kernel, show
from codegen.llvm import pool
from codegen.llvm.emit import Module, scratch_bytes
from codegen.llvm.entry import NAME, declarations, entry_text
from codegen.llvm.target import Target, emit_assembly, emit_object, host, load, optimized_text
from codegen.memory import ALIGNMENT, constant_data
from codegen.program import Program, build, guard_error, legal
from codegen.tiles import Machine
from symgraph import config
from symgraph.backend import Prepared, Signature, Task, prepare
from symgraph.errors import BackendError
from symgraph.graph import SharedVariable, toposort
from symgraph.rewrite import Step

T = TypeVar("T")
_REGISTERS = {64: 32, 32: 16, 16: 16}
_ENTRY = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)


def machine(target: Target) -> Machine:
    """What scheduling knows of a target."""
    return Machine(target.vector_bytes, _REGISTERS[target.vector_bytes])


def program_text(program: Program) -> str:
    """The program as one LLVM IR module."""
    module = Module()
    for kernel in program.kernels:
        module.add(legal(kernel))
    module.functions.append(entry_text(program))
    module.declares.add(declarations())
    return module.text()


class LlvmBackend:
    """Compiles with LLVM for the processor it runs on."""

    def compile(self, task: Task, signature: Signature) -> LlvmExecutable:
        """Prepare, build, emit and load."""
        return LlvmExecutable(task, signature, host())


class LlvmExecutable:
    """A loaded program.

    Attributes
    ----------
    prepared : Prepared
    program : Program
    timings : dict
        Seconds by stage: rewrite, build, emit, compile, load.
    """

    def __init__(self, task: Task, signature: Signature, target: Target) -> None:
        self.target = target
        self.timings: dict[str, float] = {}
        self.prepared: Prepared = self._timed("rewrite", lambda: prepare(task, signature))
        self.program: Program = self._timed("build", lambda: build(self.prepared, machine(target)))
        self.text: str = self._timed("emit", lambda: program_text(self.program))
        self.object: bytes = self._timed("compile", lambda: emit_object(self.text, target))
        pool.start()
        self._library = self._timed("load", lambda: load([self.object]))
        self.entry: Callable[[int], int] = _ENTRY(self._library.address(NAME))
        self._constants = constant_data(self.program.constants)
        self._outputs = [(t.shape, np.dtype(t.dtype)) for t in self.program.outputs]
        self._scratch = max((scratch_bytes(legal(k)) for k in self.program.kernels), default=0)
        self._arenas: list[np.ndarray] = []

    def _timed(self, stage: str, work: Callable[[], T]) -> T:
        start = perf_counter()
        done = work()
        self.timings[stage] = perf_counter() - start
        return done

    def __call__(self, inputs: Sequence[np.ndarray], shared: Sequence[SharedVariable]) -> list[np.ndarray]:
        """One native call. Arrays must be contiguous and native, of the signature's types."""
        threads = config.threads()
        if pool.threads() != threads:
            pool.set_threads(threads)
        outputs = [np.empty(shape, dtype) for shape, dtype in self._outputs]  # type: ignore[arg-type]
        held = [s.get_value(borrow=True) for s in shared]
        arena = self._arenas.pop() if self._arenas else self._new_arena()
        pointers = [address(a) for a in (*inputs, *held, *outputs, *self._constants)]
        first = -(-address(arena) // ALIGNMENT) * ALIGNMENT
        io = (ctypes.c_void_p * (1 + len(pointers)))(first, *pointers)
        failed = self.entry(ctypes.addressof(io))
        self._arenas.append(arena)
        if failed:
            raise guard_error(self.prepared, failed - 1)
        return outputs

    def _new_arena(self) -> np.ndarray:
        return np.empty(self.program.arena + self._scratch * pool.capacity() + ALIGNMENT, np.uint8)

    @property
    def kernels(self) -> Sequence[Kernel]:
        """The scheduled kernels, in order of their first launch."""
        return self.program.kernels

    @property
    def buffers(self) -> Mapping[str, int]:
        """Bytes of the arena, the most that is alive in it at once, and scratch of one worker."""
        return {"arena": self.program.arena, "live": self.program.live, "scratch": self._scratch}

    @property
    def trace(self) -> Sequence[Step]:
        """The rewrites that were done."""
        return self.prepared.trace

    def code(self, kind: str) -> str:
        """The program as text: graph, kernel, llvm, optimized or assembly."""
        writers: dict[str, Callable[[], str]] = {
            "graph": lambda: "\n".join(map(repr, toposort([*self.prepared.outputs, *self.prepared.updates]))),
            "kernel": lambda: "\n".join(map(show, self.program.kernels)),
            "llvm": lambda: self.text,
            "optimized": lambda: optimized_text(self.text, self.target),
            "assembly": lambda: emit_assembly(self.text, self.target),
        }
        if kind not in writers:
            raise BackendError(f"the llvm backend has no {kind!r} code; it has {', '.join(writers)}")
        return writers[kind]()


def address(a: np.ndarray) -> int:
    """Where an array's data lies."""
    where: int = a.__array_interface__["data"][0]
    return where

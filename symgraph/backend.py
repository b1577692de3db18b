"""The seam between the language and the machines: what a backend is given, what it gives back, and where it is found.

Backends are named by lazy strings, so that importing symgraph loads no compiler and no device.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from symgraph.errors import BackendError
from symgraph.graph import Apply, Variable
from symgraph.lazy import lazy
from symgraph.rewrite import STABILIZING, Step, expand_composites, rewrite
from symgraph.shapes import check_update, fix, settle
from symgraph.shared_variable import SharedVariable
from symgraph.types import TensorType, is_tensor
from symgraph.varying import Varying, as_varying

BACKENDS: dict[str, str] = {
    "numpy": "symgraph.numpy_backend:NumpyBackend",
    "llvm": "codegen.llvm.backend:LlvmBackend",
    "cuda": "codegen.cuda.backend:CudaBackend",
    "auto": "symgraph.backend:AutoBackend",
}


HOST = 1  # the kind of its memory in DLPack


PRECISIONS = ("highest", "tf32", "bf16", "fp16")
"""Factors as they are, or with the fractions of TensorFloat-32 (11 bits), bfloat16 (8), float16 (11, and its range)."""


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
    name : str
    precision : str
        Of ``PRECISIONS``: to what the factors of products of float32 may be rounded.
    borrowed : tuple of int
        Outputs that may be the program's own memory, until the next call.
    whole : Task or None
        That with the complex values which this one computes the parts of.
    """

    inputs: tuple[Variable, ...]
    shared: tuple[SharedVariable, ...]
    outputs: tuple[Variable, ...]
    updates: tuple[tuple[SharedVariable, Variable], ...]
    name: str = "f"
    precision: str = "highest"
    borrowed: tuple[int, ...] = ()
    whole: Task | None = None

    @property
    def written(self) -> Task:
        """The task with the values that the user wrote."""
        return self.whole or self

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

    @property
    def lengths(self) -> dict[Varying, int]:
        """The extents that each call decides, and for each the input whose first axis it is; or a size, numbered on."""
        given = [*[(t.shape[0] if t.shape else None) for t in self.inputs], *[n for _, n in self.sizes]]
        found = {n: k for k, n in reversed([*enumerate(map(as_varying, given))]) if n is not None}
        return dict(sorted(found.items(), key=lambda item: item[0].number))


@dataclass(frozen=True)
class Prepared:
    """A task with static shapes, rewritten, without composites: what is fused and lowered.

    Attributes
    ----------
    inputs, shared
        Stand-ins of the task's leaves, in its order; behind the inputs the lengths that each call decides.
    outputs, updates
        Results; ``updates[i]`` is the new value of ``shared[targets[i]]`` and has its shape.
    renewed : tuple of int
        The last outputs are new values of these shared variables, which change their shapes.
    sizes : tuple of (Variable, int)
        What the integers of a call decided, as it follows from the leaves, and the value compiled for.
    trace : list of Step
        What the rewriter did.
    stages : dict
        What became of the task's results, in their order: "written" on static shapes, and after each phase.
    """

    inputs: tuple[Variable, ...]
    shared: tuple[Variable, ...]
    outputs: tuple[Variable, ...]
    updates: tuple[Variable, ...]
    targets: tuple[int, ...]
    renewed: tuple[int, ...] = ()
    sizes: tuple[tuple[Variable, int], ...] = ()
    trace: list[Step] = field(default_factory=list, compare=False)
    stages: Mapping[str, Sequence[Variable]] = field(default_factory=dict, compare=False)


def renew(values: Sequence[tuple[SharedVariable, np.ndarray]]) -> None:
    """Give shared variables new values: all of them, also where Ctrl-C comes between two."""
    try:
        _assign(values)
    except KeyboardInterrupt:
        _assign(values)
        raise


def _assign(values: Sequence[tuple[SharedVariable, np.ndarray]]) -> None:
    for target, value in values:
        target.set_value(value, borrow=True)


def prepare(task: Task, signature: Signature) -> Prepared:
    """Fix shapes, rewrite through all phases, expand composites."""
    leaves = [*task.inputs, *task.shared]
    types = dict(zip(leaves, (*signature.inputs, *signature.shared), strict=True))
    results, stand_ins = fix(task.results, types, dict(signature.sizes))
    count = len(task.outputs)
    for (target, _), new in zip(task.updates, results[count:], strict=True):
        check_update(target, new)
    trace: list[Step] = []
    stages = {"written": results}
    stages["stabilize"] = results = rewrite(results, STABILIZING, trace=trace)
    stages["expand"] = results = settle(expand_composites(results, trace))
    stages["specialize"] = results = settle(rewrite(results, ("specialize",), trace=trace))
    renewed = list(zip((task.shared.index(s) for s, _ in task.updates), results[count:], strict=True))
    shared = tuple(stand_ins[v] for v in task.shared)
    same = [(k, v) for k, v in renewed if v.type == shared[k].type]
    other = [(k, v) for k, v in renewed if v.type != shared[k].type]
    lengths = (n.length for n in signature.lengths)
    return Prepared(
        (*(stand_ins[v] for v in task.inputs), *lengths), shared, (*results[:count], *(v for _, v in other)),
        tuple(v for _, v in same), tuple(k for k, _ in same), tuple(k for k, _ in other),
        tuple(zip(settle([v for v, _ in signature.sizes], stand_ins), (n for _, n in signature.sizes), strict=True)),
        trace, stages,
    )  # fmt: skip


@dataclass(frozen=True)
class Part:
    """A step of a compiled program.

    Attributes
    ----------
    name : str
        Of a kernel, unique in the program.
    kind : "kernel", "call" (of the host), "copy" or "check"
    nodes : tuple of Apply
        What it computes of the prepared graph; a node that several parts compute anew stands in each.
    reads, writes : tuple of str
        Names of storages.
    """

    name: str
    kind: str
    nodes: tuple[Apply, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]


@dataclass(frozen=True)
class Storage:
    """Where values of a program are while it runs.

    Attributes
    ----------
    name : str
    kind : "input", "shared", "output", "constant" or "arena"
    bytes : int
    offset : int or None
        In the arena.
    values : tuple of Variable
        Those of the prepared graph that are here at some time.
    first, last : int
        The parts between which its content matters.
    """

    name: str
    kind: str
    bytes: int
    offset: int | None
    values: tuple[Variable, ...]
    first: int
    last: int


class Executable(Protocol):
    """A compiled task."""

    def __call__(
        self, inputs: Sequence[np.ndarray], shared: Sequence[SharedVariable], sizes: Sequence[int] = ()
    ) -> list[np.ndarray]:
        """Run: contiguous native inputs of the signature's types -> new arrays; updates are done when it returns.

        ``sizes`` are those of the signature at this call, for a program that takes some at run time. A backend with a
        device takes arrays of that too (``tensor_of``), and gives such for borrowed outputs.
        """
        ...

    def native(self, result: str, fallback: Callable[..., Any]) -> Callable[..., Any] | None:
        """What to call instead of a function, if the backend can do so.

        It is called with a call's arguments. Where these are what the program takes, it does what calling the function
        does; anything else, before it did anything, it gives to ``fallback``. ``result`` says what it returns: "none",
        "one" array or a "list".
        """
        ...

    @property
    def prepared(self) -> Prepared:
        """The graph that was compiled, rewritten for the signature."""
        ...

    @property
    def kernels(self) -> Sequence[object]:
        """The kernels, in order."""
        ...

    @property
    def parts(self) -> Sequence[Part]:
        """The steps of the program, in order."""
        ...

    @property
    def storages(self) -> Sequence[Storage]:
        """Where the parts read and write."""
        ...

    def measure(
        self, inputs: Sequence[np.ndarray], shared: Sequence[SharedVariable], runs: int, sizes: Sequence[int] = ()
    ) -> np.ndarray:
        """Seconds of each part, a row a run; shared variables keep their values."""
        ...

    @property
    def kinds(self) -> Sequence[str]:
        """The forms of the program that ``code`` has, as far as the backend makes them, the user's graph first."""
        ...

    def code(self, kind: str, part: str | None = None) -> str:
        """The program as text, or one of its kernels: "graph", "kernel", "llvm", "optimized", "assembly".

        Raises
        ------
        BackendError
            If the backend has no such form, or the program no such part.
        """
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
    """A way to run tasks. What the functions below ask for, it may have or not."""

    def compile(self, task: Task, signature: Signature) -> Executable:
        """The executable for one signature."""
        ...


class Store(Protocol):
    """Compiled programs on disk."""

    @property
    def folder(self) -> Path:
        """Where they are."""
        ...

    @property
    def limit(self) -> int:
        """Bytes that they may have together."""
        ...

    def info(self) -> tuple[int, int]:
        """How many there are, and their bytes."""
        ...

    def clear(self) -> int:
        """Remove all; gives how many there were."""
        ...

    def verify(self) -> tuple[int, int]:
        """How many are whole, and how many were damaged and are removed now."""
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


def machine_of(name: str) -> Mapping[str, str]:
    """What the backend called ``name`` says of the machine that it compiles for."""
    found: Mapping[str, str] = getattr(find_backend(name), "machine", dict)()
    return found


def tensor_of(name: str, value: object, dtype: str | None = None) -> Any:
    """A tensor that is on the device of the backend called ``name``, as an array that its programs take.

    None for any other value. It has shape, ndim, dtype and size in bytes as NumPy's arrays, and is converted to
    ``dtype``, if one is named.
    """
    if not is_tensor(value) or int(value.__dlpack_device__()[0]) == HOST:  # type: ignore[attr-defined]
        return None
    return getattr(find_backend(name), "tensor", _no_tensor)(value, dtype)


def _no_tensor(value: object, dtype: str | None) -> None:
    return None


def takes_lengths(name: str) -> bool:
    """Whether programs of the backend called ``name`` may have varying extents."""
    return bool(getattr(find_backend(name), "takes_lengths", False))


def store_of(name: str) -> Store | None:
    """Where the backend called ``name`` keeps programs, or None."""
    found: Store | None = getattr(find_backend(name), "store", lambda: None)()
    return found


def register_backend(name: str, path: str) -> None:
    """Make the class at ``"module:Class"`` available as ``backend=name``."""
    BACKENDS[name] = path


class AutoBackend:
    """The GPU where there is one that can be used, else the processor."""

    @lazy
    def chosen(self) -> str:
        """The name of the backend that is used."""
        try:
            machine_of("cuda")
        except BackendError:
            return "llvm"
        return "cuda"

    def compile(self, task: Task, signature: Signature) -> Executable:
        """By the backend chosen."""
        return find_backend(self.chosen).compile(task, signature)

    @property
    def takes_lengths(self) -> bool:
        """Whether the backend chosen does."""
        return takes_lengths(self.chosen)

    def tensor(self, value: object, dtype: str | None) -> Any:
        """By the backend chosen."""
        return tensor_of(self.chosen, value, dtype)

    def machine(self) -> Mapping[str, str]:
        """What the backend chosen says, and its name."""
        return {"backend": self.chosen, **machine_of(self.chosen)}

    def store(self) -> Store | None:
        """That of the backend chosen."""
        return store_of(self.chosen)

"""What a program is made of, said in terms of the graph: its parts, their text, the storages they read and write.

``Compiled`` is what the executables of all backends have of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import TypeVar

from codegen.group import Call, Fused, Group, Joint
from codegen.kernel import Kernel, show
from codegen.memory import Copy, size_of
from codegen.program import Check, Hosted, Launch, Move, Program
from symgraph.backend import Part, Prepared, Signature, Storage, Task, prepare
from symgraph.errors import BackendError
from symgraph.graph import Apply, Variable, toposort
from symgraph.lazy import lazy
from symgraph.rewrite import Step

KINDS = {"in": "input", "sh": "shared", "out": "output", "c": "constant", "m": "arena"}
T = TypeVar("T")


class Compiled(ABC):
    """A task compiled for one signature: the stages of its compilation, and what it shows of its program.

    Attributes
    ----------
    timings : dict
        Seconds of each stage that was gone through.
    """

    def __init__(self, task: Task, signature: Signature) -> None:
        self.task, self.signature = task, signature
        self.timings: dict[str, float] = {}

    @abstractmethod
    def build(self, prepared: Prepared) -> Program:
        """The program of a rewritten graph, for what is compiled for."""

    @lazy
    def prepared(self) -> Prepared:
        """The rewritten graph; worked out again for a program from the disk."""
        return self.timed("rewrite", lambda: prepare(self.task, self.signature))

    @lazy
    def program(self) -> Program:
        """Kernels, steps and memory plan; worked out again for a program from the disk."""
        prepared = self.prepared
        return self.timed("build", lambda: self.build(prepared))

    def timed(self, stage: str, work: Callable[[], T]) -> T:
        """What ``work`` gives; its seconds are noted."""
        start = perf_counter()
        done = work()
        self.timings[stage] = perf_counter() - start
        return done

    @property
    def kernels(self) -> Sequence[Kernel]:
        """The scheduled kernels, in order of their first launch."""
        return self.program.kernels

    @property
    def trace(self) -> Sequence[Step]:
        """The rewrites that were done."""
        return self.prepared.trace

    @lazy
    def parts(self) -> Sequence[Part]:
        """The steps of the program, in order."""
        return parts(self.program)

    @lazy
    def storages(self) -> Sequence[Storage]:
        """Where the parts read and write."""
        return storages(self.program)


def parts(program: Program) -> list[Part]:
    """The steps of a program, each with the nodes of the graph that it computes."""
    planned = iter(program.memory.steps)
    return [_check(step) if isinstance(step, Check) else _part(step, next(planned), program) for step in program.steps]


def _check(step: Check) -> Part:
    return Part(f"check{step.precondition}", "check", (), (step.storage,), ())


def _part(step: Launch | Hosted | Move, planned: Group | Joint | Call | Copy, program: Program) -> Part:
    if isinstance(step, Move) or isinstance(planned, Copy):
        assert isinstance(step, Move), f"{planned} became {step}"
        return Part("copy", "copy", (), (step.source,), (step.target,))
    fused = program.fused
    reads = dict.fromkeys(program.memory.storage[fused.root(n)] for n in planned.reads)
    writes = dict.fromkeys(program.memory.storage[fused.root(n)] for n in planned.stored)
    if isinstance(planned, Call) or isinstance(step, Hosted):
        assert isinstance(step, Hosted) and isinstance(planned, Call), f"{planned} became {step}"
        return Part(f"call{step.call}", "call", (planned.node,), tuple(reads), tuple(writes))
    nodes = dict.fromkeys(nodes_of(planned, fused))
    return Part(program.kernels[step.kernel].name, "kernel", tuple(nodes), tuple(reads), tuple(writes))


def nodes_of(group: Group | Joint, fused: Fused) -> Iterator[Apply]:
    """The nodes whose formulas a group holds: of what it gives, and of what was inlined or is only a view."""
    waiting = [fused.values[n] for n in group.outputs if fused.names.get(fused.values[n]) == n]
    seen = set(waiting)
    while waiting:
        node = waiting.pop().owner
        if node is None:
            continue
        yield node
        inner = [v for v in node.op.operands(node) if v not in seen and _is_inside(v, fused)]
        seen.update(inner)
        waiting += inner


def _is_inside(v: Variable, fused: Fused) -> bool:
    """Whether a value has no memory of its own."""
    return v not in fused.names or fused.names[v] in fused.views


def code(
    backend: str, program: Program, prepared: Prepared, kind: str, part: str | None,
    forms: Mapping[str, Callable[[Sequence[Kernel]], str]],
) -> str:  # fmt: skip
    """A program as text, or one of its kernels: its graph, its kernels, or one of the backend's own ``forms``.

    Raises
    ------
    BackendError
        If the backend has no such form, or the program no such part.
    """
    kinds = ("graph", "kernel", *forms)
    if kind not in kinds:
        raise BackendError(f"the {backend} backend has no {kind!r} code; it has {', '.join(kinds)}")
    chosen = [k for k in program.kernels if part in (None, k.name)]
    if part is not None and not chosen:
        known = ", ".join(k.name for k in program.kernels) or "none"
        raise BackendError(f"there is no kernel {part!r}; this program has {known}")
    if kind == "graph":
        whole = toposort([*prepared.outputs, *prepared.updates])
        return "\n".join(map(repr, whole if part is None else next(p.nodes for p in parts(program) if p.name == part)))
    return "\n".join(map(show, chosen)) if kind == "kernel" else forms[kind](chosen)


def storages(program: Program) -> list[Storage]:
    """Every storage that a part touches, the caller's first."""
    touched: dict[str, list[int]] = {}
    for k, part in enumerate(parts(program)):
        for name in (*part.reads, *part.writes):
            touched.setdefault(name, []).append(k)
    values: dict[str, list[Variable]] = {}
    for name, v in program.fused.values.items():
        place = program.memory.storage.get(program.fused.root(name))
        if place is not None and v not in values.setdefault(place, []):
            values[place].append(v)
    order = list(KINDS.values())
    made = [_storage(name, at, values.get(name, ()), program) for name, at in touched.items()]
    return sorted(made, key=lambda s: (order.index(s.kind), s.first, len(s.name), s.name))


def _storage(name: str, at: Sequence[int], values: Sequence[Variable], program: Program) -> Storage:
    kind = KINDS[name.rstrip("0123456789").split("_")[0]]
    first = 0 if kind in ("input", "shared", "constant") else min(at)
    last = len(program.steps) - 1 if kind in ("output", "shared") else max(at)
    size = size_of(program.memory.buffers[name])
    return Storage(name, kind, size, program.offsets.get(name), tuple(values), first, last)

"""Program: a prepared graph as ordered steps over storages, with kernels, preconditions and the memory plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from codegen.checker import check
from codegen.fuse import fuse
from codegen.group import Call, Fused
from codegen.kernel import Buffer, Kernel
from codegen.layout import arrange
from codegen.memory import ALIGNMENT, Copy, Memory, plan, size_of
from codegen.schedule import schedule
from codegen.shortage import check_reach
from codegen.steps import join_steps
from codegen.tiles import Machine
from symgraph.backend import Prepared
from symgraph.errors import SymgraphError
from symgraph.graph import Apply, Constant, Variable, toposort
from symgraph.op import Precondition
from symgraph.origin import made_at
from symgraph.reference import failed
from symgraph.rewrite import expand_composites
from symgraph.shapes import settle
from symgraph.types import TensorType
from symgraph.varying import Length


@dataclass(frozen=True)
class Launch:
    """Run kernel number ``kernel`` on storages."""

    kernel: int
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Check:
    """Stop with ``precondition`` + 1 if the bool in ``storage`` is false."""

    precondition: int
    storage: str


@dataclass(frozen=True)
class Move:
    """Copy ``size`` bytes between storages."""

    target: str
    source: str
    size: int


@dataclass(frozen=True)
class Hosted:
    """Have the host compute call number ``call`` on storages, those written first; stop if it fails."""

    call: int
    arguments: tuple[str, ...]


Step = Launch | Hosted | Check | Move
Schedule = Callable[[Kernel, Machine], Kernel]


@dataclass(frozen=True)
class Program:
    """What an emitter is given.

    Attributes
    ----------
    kernels : tuple of Kernel
        As scheduled.
    calls : tuple of Apply
        What the host computes.
    steps : tuple of Launch, Hosted, Check or Move
        No Hosted or Check stands behind a step that writes a shared variable.
    offsets : dict
        Arena storage -> byte offset.
    arena, live : int
        Bytes of the arena, and the most that are alive at once.
    outputs : tuple of TensorType
    constants : tuple of Constant
    inputs, shared, lengths : int
        How many there are; lengths are the last inputs.
    fused : Fused
    memory : Memory
        What it was made from, for who asks which values a step computes. Each step of ``memory`` is one of ``steps``.
    """

    kernels: tuple[Kernel, ...]
    calls: tuple[Apply, ...]
    steps: tuple[Step, ...]
    offsets: dict[str, int]
    arena: int
    live: int
    outputs: tuple[TensorType, ...]
    constants: tuple[Constant, ...]
    inputs: int
    shared: int
    lengths: int
    fused: Fused = field(repr=False, compare=False)
    memory: Memory = field(repr=False, compare=False)

    @property
    def preconditions(self) -> int:
        """How many preconditions there are."""
        return sum(isinstance(s, Check) for s in self.steps)

    @property
    def commit(self) -> int:
        """The number of the first step that writes a shared variable, or of steps if there is none."""
        return self.memory.commit + self.preconditions

    @property
    def layout(self) -> tuple[str, ...]:
        """The pointers that a call gives, in order: the arena first, last the host's functions and the lengths."""
        kinds = (
            ("in", 0, self.inputs - self.lengths), ("sh", 0, self.shared), ("out", 0, len(self.outputs)),
            ("c", 0, len(self.constants)), ("call", 0, len(self.calls)),
            ("in", self.inputs - self.lengths, self.inputs),
        )  # fmt: skip
        return ("arena", *[f"{prefix}{k}" for prefix, first, end in kinds for k in range(first, end)])


def build(prepared: Prepared, machine: Machine, schedule: Schedule = schedule) -> Program:
    """Fuse, plan memory, lower, schedule and check.

    Parameters
    ----------
    prepared : Prepared
    machine : Machine
    schedule : callable
        (lowered kernel, machine) -> the kernel for it; that of processors by default.

    Raises
    ------
    SymgraphError
        If a precondition is known to fail already, of the precondition's kind.
    AllocationError
        If a value that must be in memory is too large for any.
    """
    preconditions = [ok for _, _, ok in preconditions_of(prepared)]
    results = [*prepared.outputs, *prepared.updates, *preconditions]
    fused = fuse(results, [*prepared.inputs, *prepared.shared])
    check_reach(fused.values[n] for group in fused.groups for n in group.stored)
    arrange(fused, _seen_outside(fused, results))
    memory = plan(prepared, fused, preconditions)
    lowered = join_steps(memory, fused, machine.near)
    kernels, steps = _kernels(memory, fused, lowered, lambda kernel: schedule(kernel, machine))
    places, size = _workspace(kernels, memory)
    checks = [Check(k, memory.storage[fused.root(fused.names[ok])]) for k, ok in enumerate(preconditions)]
    steps[memory.commit : memory.commit] = checks
    return Program(
        tuple(kernels), tuple(s.node for s in memory.steps if isinstance(s, Call)), tuple(steps),
        {**memory.offsets, **places},
        memory.arena + size, memory.live + size, tuple(v.type for v in prepared.outputs), tuple(memory.constants),
        len(prepared.inputs), len(prepared.shared), sum(isinstance(v, Length) for v in prepared.inputs), fused, memory,
    )  # fmt: skip


def _seen_outside(fused: Fused, results: Sequence[Variable]) -> set[str]:
    """The roots of leaves, results and whatever is viewed: these are row-major."""
    made = {n for g in fused.groups for n in g.outputs}
    by_host = {n for g in fused.groups if isinstance(g, Call) for n in (*g.reads, *g.stored)}
    roots = {fused.root(fused.names[v]) for v in results} | {fused.root(n) for n in (*fused.views, *by_host)}
    return roots | (fused.values.keys() - made)


def _kernels(
    memory: Memory, fused: Fused, lowered: Sequence[Kernel | None], schedule: Callable[[Kernel], Kernel]
) -> tuple[list[Kernel], list[Step]]:
    kernels: list[Kernel] = []
    steps: list[Step] = []
    calls = 0
    for step, plain in zip(memory.steps, lowered, strict=True):
        if isinstance(step, Copy):
            steps.append(Move(step.target, step.source, size_of(memory.buffers[step.target])))
            continue
        if isinstance(step, Call):
            values = [*step.node.outputs, *step.node.op.operands(step.node)]
            steps.append(Hosted(calls, tuple(memory.storage[fused.root(fused.names[v])] for v in values)))
            calls += 1
            continue
        assert plain is not None, f"{step} has no kernel"
        kernel = schedule(replace(plain, name=f"k{len(kernels)}"))
        check(kernel)
        names = [b.name if b.name in memory.buffers else _own(kernel, b) for b in kernel.buffers]
        steps.append(Launch(len(kernels), tuple(names)))
        kernels.append(kernel)
    return kernels, steps


def _own(kernel: Kernel, b: Buffer) -> str:
    """The storage of a buffer that scheduling gave to a kernel."""
    return f"{kernel.name}.{b.name}"


def _workspace(kernels: Sequence[Kernel], memory: Memory) -> tuple[dict[str, int], int]:
    """(offsets of the buffers that scheduling gave to kernels, bytes of the neediest): no two kernels run at once."""
    offsets: dict[str, int] = {}
    end = start = -(-memory.arena // ALIGNMENT) * ALIGNMENT
    for kernel in kernels:
        at = start
        for b in kernel.buffers:
            if b.name not in memory.buffers:
                offsets[_own(kernel, b)] = at
                at += -(-size_of(b) // ALIGNMENT) * ALIGNMENT
        end = max(end, at)
    return offsets, end - memory.arena if offsets else 0


def preconditions_of(prepared: Prepared) -> list[tuple[Apply, Precondition, Variable]]:
    """(node, precondition, ok) for all that must hold and is not known to; ``ok`` is settled on the static shapes."""
    found: list[tuple[Apply, Precondition, Variable]] = []
    for node in toposort([*prepared.outputs, *prepared.updates]):
        for precondition, ok in _settled_preconditions(node):
            if not isinstance(ok, Constant):
                found.append((node, precondition, ok))
            elif not ok.data.all():
                raise failed(node, precondition)
    return found


def _settled_preconditions(node: Apply) -> list[tuple[Precondition, Variable]]:
    with made_at(node.origin):
        stated = node.op.preconditions(node)
        return list(zip(stated, settle(expand_composites(settle([p.ok for p in stated]))), strict=True))


def precondition_error(prepared: Prepared, number: int) -> SymgraphError:
    """The error of precondition ``number``, which failed."""
    node, precondition, _ = preconditions_of(prepared)[number]
    return failed(node, precondition)

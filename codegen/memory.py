"""Memory: lifetimes, in-place updates, arena offsets. The only place where two values may share storage.

Storages are named: ``in0`` an input, ``sh0`` a shared variable, ``out0`` an output, ``c0`` a constant, ``m0`` a piece
of the arena.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from math import prod

import numpy as np

from codegen.affine import loads_in
from codegen.arena import most_alive, pack
from codegen.group import Call, Fused, Group, Joint, Stage, overwriting_order, same_position, static_shape, varies
from codegen.kernel import Buffer
from symgraph import expression
from symgraph.backend import Prepared
from symgraph.graph import Constant, Variable
from symgraph.types import SIZES
from symgraph.varying import VaryingError, as_varying

ALIGNMENT = 64


@dataclass(frozen=True)
class Copy:
    """A step that copies a whole storage: outputs that are inputs, new values that could not be written in place."""

    target: str
    source: str


Step = Group | Joint | Call | Copy


@dataclass
class Memory:
    """Where everything is.

    Attributes
    ----------
    steps : list of Group, Call or Copy
        In order; from ``commit`` on they write shared variables, and nothing can fail.
    commit : int
    storage : dict
        Name of a value's root -> storage.
    buffers : dict
        Storage -> flat parameter.
    offsets : dict
        Arena storage -> offset in bytes.
    arena, live : int
        Bytes of the arena, and the largest sum of bytes alive at once.
    constants : list of Constant
        ``c0``, ``c1``, ...
    checked : frozenset of str
        The storages that preconditions are read from.
    """

    steps: list[Step]
    commit: int
    storage: dict[str, str]
    buffers: dict[str, Buffer]
    offsets: dict[str, int] = field(default_factory=dict)
    arena: int = 0
    live: int = 0
    constants: list[Constant] = field(default_factory=list)
    checked: frozenset[str] = frozenset()


def plan(prepared: Prepared, fused: Fused, preconditions: Sequence[Variable] = ()) -> Memory:
    """Give every value a storage and the steps an order."""
    planner = _Planner(prepared, fused, preconditions)
    planner.place_leaves()
    planner.place_outputs()
    planner.place_updates()
    planner.place_rest()
    steps, commit = planner.order()
    checked = frozenset(planner.storage[root] for root in planner.preconditions)
    memory = Memory(steps, commit, planner.storage, planner.buffers, constants=planner.constants, checked=checked)
    allocate(memory, fused)
    return memory


class _Planner:
    """Decides storages one kind after the other."""

    def __init__(self, prepared: Prepared, fused: Fused, preconditions: Sequence[Variable]) -> None:
        self.prepared, self.fused = prepared, fused
        self.storage: dict[str, str] = {}
        self.buffers: dict[str, Buffer] = {}
        self.constants: list[Constant] = []
        self.copies: list[Copy] = []
        self.late: list[Copy] = []
        self.before: dict[int, set[int]] = {k: set() for k in range(len(fused.groups))}
        self.readers: dict[str, set[int]] = {}
        self.maker = {n: k for k, g in enumerate(fused.groups) for n in g.stored}
        self.preconditions = [self._root(v) for v in preconditions]
        self.calls = {k for k, g in enumerate(fused.groups) if isinstance(g, Call)}
        self.committing: set[int] = set()
        self._add_data_edges()

    def _add_data_edges(self) -> None:
        for k, g in enumerate(self.fused.groups):
            for root in map(self.fused.root, g.reads):
                self.readers.setdefault(root, set()).add(k)
                made_by = self.maker.get(root)
                if made_by is not None and made_by != k:
                    self.before[k].add(made_by)

    def _new(self, storage: str, v: Variable) -> str:
        is_open = varies(v) and not storage.startswith("m")
        if is_open and any(as_varying(n) for n in v.type.shape[_leading(v) :]):
            raise VaryingError(f"{v.type}: an extent that enters a stride varies")
        self.buffers[storage] = Buffer(storage, v.dtype, (max(prod(static_shape(v)), 1),), open=is_open)
        return storage

    def _root(self, v: Variable) -> str:
        return self.fused.root(self.fused.names[v])

    def place_leaves(self) -> None:
        for prefix, variables in (("in", self.prepared.inputs), ("sh", self.prepared.shared)):
            for k, v in enumerate(variables):
                self.storage[self.fused.names[v]] = self._new(f"{prefix}{k}", v)
        for name, v in self.fused.values.items():
            if isinstance(v, Constant) and self.fused.names[v] == name:  # not a packed copy of one
                self.storage[name] = self._new(f"c{len(self.constants)}", v)
                self.constants.append(v)

    def place_outputs(self) -> None:
        for k, v in enumerate(self.prepared.outputs):
            storage, root = self._new(f"out{k}", v), self._root(v)
            if root in self.storage and varies(v):
                raise VaryingError(f"{v.type}: a value of varying extents is copied")
            if root in self.storage:
                self.copies.append(Copy(storage, self.storage[root]))
            else:
                self.storage[root] = storage

    def place_updates(self) -> None:
        """Write new values where the old ones are, if every reader of the old ones can run before.

        Values that are somewhere already go first: what their copies read must not be written in place.
        """
        pairs = [(f"sh{t}", self._root(v)) for v, t in zip(self.prepared.updates, self.prepared.targets, strict=True)]
        moved = {target: root for target, root in pairs if root in self.storage}
        self.late = [Copy(target, self.storage[root]) for target, root in moved.items() if self.storage[root] != target]
        for target, root in pairs:
            if target in moved:
                continue
            if root not in self.storage and self._can_overwrite(root, target):
                self.storage[root] = target
                self.committing.add(self.maker[root])
            else:
                self.late.append(Copy(target, self._home(root)))

    def moves(self) -> list[Copy]:
        """The copies into shared variables as if they were done at once: a cycle goes through the arena."""
        left, done = list(self.late), []
        while left:
            free = next((c for c in left if not any(c.target == d.source for d in left)), None)
            if free is None:
                free = self._set_aside(left)
            else:
                left.remove(free)
            done.append(free)
        return done

    def _set_aside(self, left: list[Copy]) -> Copy:
        """Copy what the first of ``left`` would overwrite into the arena, for those that still read it."""
        storage = left[0].target
        aside = f"m_{storage}"
        self.buffers[aside] = Buffer(aside, self.buffers[storage].dtype, self.buffers[storage].shape)
        left[:] = [Copy(c.target, aside if c.source == storage else c.source) for c in left]
        return Copy(aside, storage)

    def _home(self, root: str) -> str:
        """The storage of a value, in the arena if it has none yet."""
        if root not in self.storage:
            v = self.fused.values[root]
            self.storage[root] = self._new(f"m{root[1:]}", v)
        return self.storage[root]

    def _can_overwrite(self, root: str, storage: str) -> bool:
        old = next(n for n, s in self.storage.items() if s == storage)
        writer = self.maker.get(root)
        group = None if writer is None else self.fused.groups[writer]
        if writer is None or not isinstance(group, Group) or not _reads_in_place(group, root, old, self.fused):
            return False
        readers = self.readers.get(old, set()) - {writer}
        may_fail = {self.maker[g] for g in self.preconditions if g in self.maker} | self.calls
        if any(self._depends(k, writer) for k in may_fail):
            return False  # what can fail must be over before anything is written
        copied = any(c.source == storage for c in (*self.copies, *self.late))
        if copied or any(self._depends(r, writer) for r in readers) or not self._orderable(writer, root, storage):
            return False
        self.before[writer] |= readers
        return True

    def _orderable(self, writer: int, root: str, storage: str) -> bool:
        """Whether the group can still store its values one after the other if ``root`` goes to ``storage``."""
        group = self.fused.groups[writer]
        assert isinstance(group, Group)
        placed = {**{n: self.storage.get(n, n) for n in group.stored}, root: storage}
        return overwriting_order(placed, self._reads(group)) is not None

    def _reads(self, group: Group) -> dict[str, set[str]]:
        """The storages that each stored value reads, through the values inside the group."""
        found: dict[str, set[str]] = {}
        for stage in group.stages:
            names = {self.fused.root(str(e.value)) for e in loads_in(stage.compute.exprs)}
            reads = {s for n in names for s in found.get(n, {self.storage.get(n, n)})}
            found.update(dict.fromkeys(stage.outputs, set() if stage.compute.combiner else reads))
        return {n: found[n] for n in group.stored}

    def _depends(self, later: int, earlier: int) -> bool:
        """Whether group ``later`` needs ``earlier`` done before."""
        pending, seen = [later], set()
        while pending:
            k = pending.pop()
            if k == earlier:
                return True
            if k not in seen:
                seen.add(k)
                pending.extend(self.before[k])
        return False

    def _dependents(self, chosen: Iterable[int]) -> set[int]:
        """``chosen``, and every group that needs one of them done before."""
        after = _reversed(self.before)
        pending, found = list(chosen), set(chosen)
        while pending:
            more = [k for k in after.get(pending.pop(), ()) if k not in found]
            found.update(more)
            pending += more
        return found

    def place_rest(self) -> None:
        for g in self.fused.groups:
            for name in g.stored:
                self._home(name)

    def order(self) -> tuple[list[Step], int]:
        """Groups in an order that respects every edge, those that write shared variables last."""
        committing = self._dependents(self.committing)
        first = self._sorted(k for k in self.before if k not in committing)
        last = self._sorted(committing)
        early: list[Step] = [*[self.fused.groups[k] for k in first], *self.copies_of(committing, False)]
        late: list[Step] = [*[self.fused.groups[k] for k in last], *self.copies_of(committing, True), *self.moves()]
        return early + late, len(early)

    def copies_of(self, committing: set[int], late: bool) -> list[Step]:
        """The copies of values made before the commit point, or after it."""
        made_late = {self.storage[n] for k in committing for n in self.fused.groups[k].stored}
        return [c for c in self.copies if (c.source in made_late and not c.source.startswith("sh")) == late]

    def _sorted(self, chosen: Iterable[int]) -> list[int]:
        """``chosen`` so that each stands behind those it needs; else in their own order."""
        members = set(chosen)
        missing = {k: self.before[k] & members for k in members}
        after = _reversed(missing)
        ready = [k for k in members if not missing[k]]
        heapify(ready)
        done: list[int] = []
        while ready:
            done.append(heappop(ready))
            for k in after.get(done[-1], ()):
                missing[k].discard(done[-1])
                if not missing[k]:
                    heappush(ready, k)
        return done


def _leading(v: Variable) -> int:
    """How many axes there are up to the first of more than one element, with that."""
    return next((k for k, n in enumerate(v.type.shape, 1) if n != 1), v.ndim)


def _reversed(edges: Mapping[int, set[int]]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for k, ends in edges.items():
        for n in ends:
            found.setdefault(n, []).append(k)
    return found


def _reads_in_place(group: Group, root: str, old: str, fused: Fused) -> bool:
    """Whether the group reads ``old`` only where it writes ``root``: then writing over it is safe.

    Where rows are passed several times, a pass that reads it must be one that ``root`` waits for.
    """
    target = next(s for s in group.stages if root in s.outputs)
    passes = any(group.further(s) for s in group.stages[1:])
    waited = _needed(group, target)
    for stage in group.stages:
        c = stage.compute
        loads = [e for e in loads_in((*c.exprs, *(c.at or ()))) if fused.root(str(e.value)) == old]
        if not loads:
            continue
        at_own_row = passes and c.combiner is not None and stage in waited
        if any(str(e.value) != old for e in loads) or c.at is not None or (passes and stage not in waited):
            return False
        if at_own_row:
            own = [(expression.axis(a), n if (a, n) in group.rows else 1) for a, n in target.compute.axes]
        elif c.combiner is None:
            own = [(expression.axis(a), n) for a, n in c.axes]
        else:
            return False
        if not all(same_position(e.args, [i for i, _ in own], [n for _, n in own]) for e in loads):
            return False
    return True


def _needed(group: Group, target: Stage) -> list[Stage]:
    """``target`` and the stages of the group that it is made from."""
    maker = {n: s for s in group.stages for n in s.outputs}
    found = [target]
    for s in found:
        names = [str(e.value) for e in loads_in(s.compute.exprs)]
        found += [maker[n] for n in dict.fromkeys(names) if n in maker and maker[n] not in found]
    return found


# ------------------------------------------------------------------------------------------------ the arena


def size_of(b: Buffer) -> int:
    """Bytes of a parameter."""
    return prod(b.shape) * SIZES[b.dtype]


def lifetimes(memory: Memory, fused: Fused) -> dict[str, tuple[int, int]]:
    """Arena storage -> first and last step that touches it; what is checked is read when the commit begins."""
    spans: dict[str, tuple[int, int]] = {}
    for k, step in enumerate(memory.steps):
        for storage in touched(step, memory, fused):
            if storage.startswith("m"):
                first, _ = spans.get(storage, (k, k))
                spans[storage] = (first, k)
    for storage in spans.keys() & memory.checked:
        first, last = spans[storage]
        spans[storage] = (first, max(last, memory.commit - 1))
    return spans


def touched(step: Step, memory: Memory, fused: Fused) -> list[str]:
    """The storages that a step reads or writes."""
    if isinstance(step, Copy):
        return [step.target, step.source]
    return [memory.storage[fused.root(n)] for n in (*step.stored, *step.reads)]


def allocate(memory: Memory, fused: Fused) -> None:
    """Give each piece of the arena that a step touches a place."""
    spans = lifetimes(memory, fused)
    sizes = {s: -(-size_of(memory.buffers[s]) // ALIGNMENT) * ALIGNMENT for s in spans}
    memory.offsets = pack(spans, sizes)
    memory.arena = max((at + sizes[s] for s, at in memory.offsets.items()), default=0)
    memory.live = most_alive(spans, sizes)


def constant_data(constants: Sequence[Constant]) -> list[np.ndarray]:
    """The arrays of ``c0``, ``c1``, ...; one element at least, as their buffers say."""
    return [c.data if c.data.size else np.zeros(1, c.dtype) for c in constants]

"""Grouping: which stages become one kernel.

A stage joins the latest group that it reads, at the position where it stands: a map of the group's shape as an
epilogue, and what needs a whole row of it (the sum that a softmax divides by) as one more pass over that row. A row is
what the common axes of the group leave; its data is read again while it is near, so it must be short. Reductions of
the same rows of one operand share a pass. A contraction reads its operands many times and takes epilogues only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from codegen.affine import loads_in, walks
from codegen.group import Call, Fused, Group, Stage, common_axes, size
from symgraph import expression
from symgraph.expression import Expr
from symgraph.formula import Compute
from symgraph.types import SIZES

LARGEST_GROUP = 200  # distinct scalar terms; a transcendental function is worth as many as its polynomial
FREE = 4  # terms: as many may be added to a stage that is a large group by itself
ROW_BYTES = 1 << 18  # of the arrays that a row's passes read: so much stays in a cache near the processor
PIECE = 256  # bytes of a row that are worked on at once where columns are reduced
FEW_ROWS = 16  # too few for all threads
SMALL = 1 << 15  # elements that one thread does before another has woken


def merge(steps: Sequence[Stage | Call], fused: Fused, kept: set[str]) -> list[Group | Call]:
    """The stages of ``steps``, which stand in an order in which they can run, in groups, and the calls between them.

    What ``kept`` names must be in memory at the end.
    """
    merger = _Merger(fused)
    for step in steps:
        if isinstance(step, Call):
            merger.call(step)
        else:
            merger.add(step)
    made = [merger.calls.get(k) or Group(tuple(stages), ()) for k, stages in enumerate(merger.groups)]
    return _with_stores(made, fused, kept)


def _with_stores(groups: Sequence[Group | Call], fused: Fused, kept: set[str]) -> list[Group | Call]:
    """Store what another group, a view or the caller reads; a group that no one reads any more is left out."""
    outside = set(kept)
    made: list[Group | Call] = []
    for g in reversed(groups):
        stored = tuple(n for n in g.outputs if n in outside)
        if stored:
            made.append(g if isinstance(g, Call) else replace(g, stored=stored))
            outside.update(fused.root(n) for n in g.reads)
    return made[::-1]


@dataclass
class _Merger:
    """The groups so far (none of stages where a call is), and the group and the stage of each value."""

    fused: Fused
    groups: list[list[Stage]] = field(default_factory=list)
    calls: dict[int, Call] = field(default_factory=dict)
    home: dict[str, int] = field(default_factory=dict)
    maker: dict[str, Stage] = field(default_factory=dict)

    def call(self, call: Call) -> None:
        self.calls[len(self.groups)] = call
        self.home.update(dict.fromkeys(call.outputs, len(self.groups)))
        self.groups.append([])

    def add(self, stage: Stage) -> None:
        place, stage = next(self.joined(stage), (len(self.groups), stage))
        if place == len(self.groups):
            self.groups.append([])
        self.groups[place].append(stage)
        # What is written in place is from now on what this stage made of it
        self.home.update(dict.fromkeys((*stage.outputs, *map(self.fused.root, stage.outputs)), place))
        self.maker.update(dict.fromkeys(stage.outputs, stage))

    def joined(self, stage: Stage) -> Iterator[tuple[int, Stage]]:
        """(a group, the stage on the names of its axes) for the groups that it can join, the best first."""
        c = stage.compute
        if _stands_alone(c):
            return
        reads = [self.fused.root(str(e.value)) for e in loads_in(c.exprs)]
        latest = max((self.home[r] for r in reads if r in self.home), default=-1)
        if latest >= 0 and self.groups[latest] and not _stands_alone(self.groups[latest][0].compute):
            names = self.at_own_row(stage, latest)
            if names is not None and self.fits(stage, names, latest):
                yield latest, _renamed(stage, names)
        if _streams(c) and c.combiner:
            for place in range(latest + 1, len(self.groups)):
                for other in self.groups[place]:
                    names = _beside(c, other.compute)
                    if names is not None and self.fits(stage, names, place):
                        yield place, _renamed(stage, names)

    def at_own_row(self, stage: Stage, place: int) -> dict[str, str] | None:
        """Axes of a stage -> the rows of a group that they are, if it reads the group at its own row only."""
        names: dict[str, str] = {}
        c, rows = stage.compute, self.rows(stage, place)
        outer = dict(c.axes)
        for e in loads_in(c.exprs):
            if self.home.get(self.fused.root(str(e.value))) != place:
                continue
            if str(e.value) not in self.maker:
                return None  # a view: its positions are others
            for (row, n), i in zip(self.maker[str(e.value)].compute.axes, e.args, strict=True):
                if n == 1 or row not in rows:
                    continue
                if not _is_axis(i, outer, n) or names.setdefault(str(i.value), row) != row:
                    return None
        in_order = [names[a] for a in outer if a in names] == [r for r, n in rows.items() if n != 1]
        return names if in_order else None

    def rows(self, stage: Stage, place: int) -> dict[str, int]:
        """The common axes that a group would have with a stage in it: a reduction makes rows of a group of maps."""
        group, c = self.groups[place], stage.compute
        rows = dict(common_axes(group))
        if not c.combiner or any(s.compute.combiner for s in group):
            return rows
        outer, found = dict(c.axes), {}
        for e in loads_in(c.exprs):
            if str(e.value) in self.maker and self.home[str(e.value)] == place:
                axes = self.maker[str(e.value)].compute.axes
                found.update({a: n for (a, n), i in zip(axes, e.args, strict=True) if _is_axis(i, outer, n)})
        return found

    def fits(self, stage: Stage, names: Mapping[str, str], place: int) -> bool:
        """Whether a stage whose axes ``names`` are the rows of a group may join it."""
        group, c = self.groups[place], stage.compute
        if _stands_alone(group[0].compute):
            return False
        if _size(*group, stage) > max(LARGEST_GROUP, _size(group[0]) + FREE):
            return False
        further = [n for a, n in (*c.axes, *c.reduce) if a not in names and n != 1]
        if not c.combiner and not further:
            return True
        if c.combiner and any(n != 1 for a, n in c.axes if a not in names):
            return False
        passes = [s.compute for s in (*group, stage) if s.compute.combiner]
        rows = prod(n for a, n in c.axes if a in names)
        return bool(passes) and all(map(_streams, passes)) and _is_near(rows, [*passes, c])


def _size(*stages: Stage) -> int:
    return size(expression.toposort([e for s in stages for e in s.compute.exprs]))


def _stands_alone(c: Compute) -> bool:
    """Whether the axes are not those of the result: a scatter's are its source's, and a scan goes along one."""
    return c.at is not None or c.prefix is not None


def _is_axis(i: Expr, axes: Mapping[str, int], extent: int) -> bool:
    """Whether an index is one of ``axes``, all along."""
    return i.prim == "axis" and axes.get(str(i.value)) == extent


def _streams(c: Compute) -> bool:
    """Whether a reduction reads an operand once, element by element."""
    return any(walks(e, (*c.axes, *c.reduce)) for e in loads_in(c.exprs))


def _is_near(rows: int, passes: Sequence[Compute]) -> bool:
    """Whether what the passes over one row read is small, and the rows are enough for all threads."""
    further = max(prod((*c.shape, *[n for _, n in c.reduce])) for c in passes) // max(rows, 1)
    streams = {e.value: e.dtype for c in passes for e in loads_in(c.exprs) if walks(e, (*c.axes, *c.reduce))}
    width = max((_width(e, c) for c in passes for e in loads_in(c.exprs)), default=1)
    near = further * sum(SIZES[d] for d in streams.values()) * width <= ROW_BYTES
    return near and (rows >= FEW_ROWS or rows * further <= SMALL)


def _width(load: Expr, c: Compute) -> int:
    """How many rows a pass takes at once: those that lie side by side."""
    along = load.args[-1].names if load.args else frozenset()
    is_column = c.combiner is not None and not along & {name for name, _ in c.reduce} and bool(along)
    return PIECE // SIZES[load.dtype] if is_column and walks(load, (*c.axes, *c.reduce)) else 1


def _beside(c: Compute, other: Compute) -> dict[str, str] | None:
    """The axes of ``c`` as those of another reduction that walks the same elements of an operand."""
    if other.combiner is None or c.shape != other.shape or [n for _, n in c.reduce] != [n for _, n in other.reduce]:
        return None
    every, others = (*c.axes, *c.reduce), (*other.axes, *other.reduce)
    same = {a: expression.axis(b) for (a, _), (b, _) in zip(every, others, strict=True)}
    walked = {e for e in loads_in(other.exprs) if walks(e, others)}
    if walked.isdisjoint(loads_in(expression.rename(c.exprs, same))):
        return None
    return {a: b for (a, _), (b, _) in zip(c.axes, other.axes, strict=True)}


# ------------------------------------------------------------------------------------------------ names


def _renamed(stage: Stage, names: Mapping[str, str]) -> Stage:
    """``stage`` with its axes called as ``names`` says, and no other axis as one of those."""
    c = stage.compute
    taken = set(names.values())
    new = {name: names.get(name) or _free(name, taken) for name, _ in (*c.axes, *c.reduce)}
    if all(a == b for a, b in new.items()):
        return stage
    names_of = {a: expression.axis(b) for a, b in new.items()}
    exprs, within = (tuple(expression.rename(terms, names_of)) for terms in (c.exprs, c.within))
    axes, reduce = (tuple((new[a], n) for a, n in own) for own in (c.axes, c.reduce))
    return replace(stage, compute=replace(c, exprs=exprs, axes=axes, reduce=reduce, within=within))


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "e"
    taken.add(name)
    return name

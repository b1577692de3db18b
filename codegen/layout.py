"""Layout: in which order the axes of a value lie in memory, outermost first. Row-major is what the outside sees.

A convolution's best vectors run along channels, which users write in front of rows and columns. Contractions with a
window vote for the axis they want innermost, with the weight of their work; values that maps and poolings join to a
decided one follow it. What has a place of its own (inputs, shared variables, outputs, what is viewed) stays row-major:
where a contraction wants such an operand otherwise, and works on it long enough, a packed copy is made first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod

from codegen.affine import loads_in
from codegen.group import Call, Fused, Group, Stage, static_shape, varies
from symgraph import expression
from symgraph.expression import Expr
from symgraph.formula import SUM, Compute
from symgraph.types import is_float

PACKED_WORK = 32  # multiply-adds for each element of an operand that pay for a copy of it
FULL_VECTOR = 16  # elements: a shorter axis makes poor vectors

Place = tuple[str, int]  # a value and one of its axes


def arrange(fused: Fused, fixed: set[str]) -> None:
    """Choose ``fused.layouts`` and put packing groups in front of the contractions that want them.

    Parameters
    ----------
    fused : Fused
    fixed : set of str
        Roots that must be row-major: all that something outside the groups sees.
    """
    wanted = [(g, axis) for g in _kernels(fused) if (axis := vector_axis(g)) is not None]
    votes: dict[Place, float] = {}
    for g, axis in wanted:
        name, _ = g.stages[0].compute.axes[axis]
        _vote(votes, places(g, name), _work(g), fixed)
    _decide(fused, votes, fixed | _scattered(fused))
    packed = {id(g): _packed(fused, g, axis) for g, axis in wanted}
    fused.groups = [new for g in fused.groups for new in packed.get(id(g), [g])]


def _kernels(fused: Fused) -> list[Group]:
    return [g for g in fused.groups if isinstance(g, Group)]


def _work(group: Group) -> int:
    c = group.stages[0].compute
    return prod(n for _, n in c.axes + c.reduce)


def _scattered(fused: Fused) -> set[str]:
    """What scatters start from and give: these are copied and walked flat."""
    found = set()
    for g in _kernels(fused):
        c = g.stages[0].compute
        if c.at is not None:
            found |= {*g.stages[0].outputs, fused.root(str(c.into))}
    return found


# ------------------------------------------------------------------------------------------------ contractions


def vector_axis(group: Group) -> int | None:
    """The output axis of a contraction with a window that makes the best vectors, if there is one.

    It walks one operand (the smaller the better: it may have to be packed) and leaves the other alone.
    """
    c = group.stages[0].compute
    if c.combiner is not SUM or len(c.exprs) != 1 or not is_float(c.exprs[0].dtype):
        return None
    loads = [e for e in loads_in(c.exprs) if e.args]
    if len(loads) < 2 or not any(_windows(e, c) for e in loads):
        return None
    ranked = []
    for k, (name, extent) in enumerate(c.axes):
        touched = [e for e in loads if name in e.names]
        plain = all(_position(e, name) is not None for e in touched)
        if plain and extent >= FULL_VECTOR and 0 < len(touched) < len(loads):
            ranked.append((min(_reach(e, c) for e in touched), k))
    return min(ranked)[1] if ranked else None


def _windows(load: Expr, c: Compute) -> set[str]:
    """The axes that meet others in one index of a load."""
    own = {name for name, _ in c.axes + c.reduce}
    meeting = [own & i.names for i in load.args]
    return {str(name) for names in meeting if len(names) > 1 for name in names}


def _reach(load: Expr, c: Compute) -> int:
    """About how many elements a load walks."""
    return prod(n for name, n in c.axes + c.reduce if name in load.names)


def _position(load: Expr, name: str) -> int | None:
    """Where ``name`` alone is the index, if it stands nowhere else."""
    found = [p for p, i in enumerate(load.args) if name in i.names]
    return found[0] if len(found) == 1 and load.args[found[0]] is expression.axis(name) else None


def places(group: Group, name: str) -> Iterator[Place]:
    """The axes of values that the axis ``name`` of a group walks alone."""
    for stage in group.stages:
        for e in loads_in(stage.compute.exprs):
            position = _position(e, name)
            if position is not None:
                yield str(e.value), position
        for axis, (own, _) in enumerate(stage.compute.axes):
            if own == name:
                yield from ((output, axis) for output in stage.outputs if output in group.stored)


# ------------------------------------------------------------------------------------------------ the choice


def _vote(votes: dict[Place, float], wanted: Iterator[Place], weight: float, fixed: set[str]) -> None:
    for name, position in set(wanted):
        if name not in fixed:
            votes[name, position] = votes.get((name, position), 0.0) + weight


def _decide(fused: Fused, votes: dict[Place, float], fixed: set[str]) -> None:
    """The strongest vote first; a decided value votes in the maps that touch it, with its size."""
    touching: dict[str, list[Group]] = {}
    for g in _kernels(fused):
        for name in {*g.reads, *g.stored}:
            touching.setdefault(name, []).append(g)
    inner: dict[str, int] = {}
    while votes:
        name, position = max(votes, key=lambda p: (votes[p], p))
        inner[name] = position
        votes = {p: w for p, w in votes.items() if p[0] != name}
        size = prod(static_shape(fused.values[name]))
        for g in touching.get(name, ()):
            joined = (n for n in _joined(g, name, position) if n[0] not in inner and n[0] not in fused.views)
            _vote(votes, joined, size, fixed)
    for name, position in inner.items():
        rest = [p for p in range(len(static_shape(fused.values[name]))) if p != position]
        fused.layouts[name] = (*rest, position)


def _joined(group: Group, name: str, position: int) -> Iterator[Place]:
    """What lies along the same axis of a group as an axis of a value; nothing if the group is a contraction."""
    if group.stages[0].compute.at is None and vector_axis(group) is None:
        for axis in dict.fromkeys(a for s in group.stages for a, _ in s.compute.axes):
            here = set(places(group, axis))
            if (name, position) in here:
                yield from here


# ------------------------------------------------------------------------------------------------ packing


def _packed(fused: Fused, group: Group, axis: int) -> Sequence[Group | Call]:
    """The group, reading copies of operands that should lie otherwise, and the groups that make those."""
    first = group.stages[0].compute
    made, copies = [], {}
    for load in loads_in(first.exprs):
        name, position = str(load.value), _position(load, first.axes[axis][0])
        layout = fused.layouts.get(name, tuple(range(len(load.args))))
        if position is None or layout[-1] == position or name in copies:
            continue
        shape = static_shape(fused.values[name])
        if _work(group) < PACKED_WORK * prod(shape) or varies(fused.values[name]):
            continue
        copies[name] = f"v{len(fused.values)}"
        fused.values[copies[name]] = fused.values[name]
        fused.layouts[copies[name]] = _walking_order(load, position, first)
        made.append(Group((Stage((copies[name],), _copy(name, shape, load.dtype)),), (copies[name],)))
    stages = (replace(group.stages[0], compute=_reading(first, copies)), *group.stages[1:])
    return [*made, replace(group, stages=stages)]


def _walking_order(load: Expr, innermost: int, c: Compute) -> tuple[int, ...]:
    """Axes in the order in which the contraction's loops pass them: those with a window outside, then the others."""
    windowed = {name for e in loads_in(c.exprs) for name in _windows(e, c)}
    rest = [p for p in range(len(load.args)) if p != innermost]
    rest.sort(key=lambda p: windowed.isdisjoint(load.args[p].names))
    return (*rest, innermost)


def _copy(name: str, shape: Sequence[int], dtype: str) -> Compute:
    axes = tuple((f"p{k}", n) for k, n in enumerate(shape))
    return Compute(axes, (expression.load(name, [expression.axis(n) for n, _ in axes], dtype),))


def _reading(c: Compute, copies: dict[str, str]) -> Compute:
    """``c`` reading copies in place of what they were made from."""

    def place(e: Expr) -> Expr | None:
        new = copies.get(str(e.value)) if e.prim == "load" else None
        return expression.load(new, e.args, e.dtype) if new else None

    return replace(c, exprs=tuple(expression.substitute(c.exprs, place))) if copies else c

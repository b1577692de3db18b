"""Lanes: a sequential loop is dealt to lanes, each with accumulators of its own, which are merged in a fixed tree.

Lane l takes elements l, l + lanes, ...; then halves are merged until one is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from codegen.affine import all_of
from codegen.guards import guards_of, without
from codegen.kernel import (
    Accumulate,
    Alloc,
    Body,
    Buffer,
    If,
    Loop,
    Statement,
    Store,
    block_of,
    map_body,
    nest,
    unnest,
    walk,
    with_block,
)
from codegen.tiles import Deal
from symgraph import expression
from symgraph.expression import INDEX, Expr, const

FIRST = const(0, INDEX)


def lanes(core: Body, deals: Mapping[str, Deal], names: Iterator[str]) -> Body:
    """The core with each of its loops along an axis of ``deals`` dealt to lanes."""
    accs = {s.buffer.name: s.buffer for s in core if isinstance(s, Alloc)}
    dealt: dict[str, Deal] = {}
    for s in core:
        axis = _axis(s, deals)
        if axis:
            found = [b for a in walk((s,)) if isinstance(a, Accumulate) for b in a.buffers]
            dealt.update(dict.fromkeys(found, deals[axis]))
    made = _Lanes(deals, accs, dealt, names)
    return tuple(new for s in core for new in made.statement(s))


def _axis(s: Statement, deals: Mapping[str, Deal]) -> str:
    """The axis of a nest of loops that is dealt."""
    loops, _ = unnest((s,))
    return next((name for name, _ in loops if name in deals), "")


@dataclass(frozen=True)
class _Lanes:
    """How the accumulators of a core are dealt."""

    deals: Mapping[str, Deal]
    accs: Mapping[str, Buffer]
    dealt: Mapping[str, Deal]
    names: Iterator[str]

    def statement(self, s: Statement) -> Body:
        axis = _axis(s, self.deals)
        match s:
            case Alloc(buffer) if buffer.name in self.dealt:
                deal = self.dealt[buffer.name]
                return (Alloc(replace(buffer, shape=(deal.vectors, deal.width))),)
            case Store(buffer) if buffer in self.dealt:
                return (self.over_lanes(s, self.dealt[buffer]),)
            case Loop() if axis:
                steps = [a for a in walk((s,)) if isinstance(a, Accumulate)]
                dealt = self.deal(self.read_first(s), axis)
                return (*dealt, *(m for a in steps for m in self.merge_tree(a, self.deals[axis])))
        return (self.read_first(s),)

    def lane_axes(self) -> tuple[str, str]:
        return "g" + next(self.names), "l" + next(self.names)

    def over_lanes(self, s: Store, deal: Deal) -> Statement:
        group, lane = self.lane_axes()
        inner = Loop(lane, deal.width, "vector", (replace(s, at=(expression.axis(group), expression.axis(lane))),))
        return Loop(group, deal.vectors, "unroll", (inner,))

    def deal(self, s: Statement, axis: str) -> Body:
        """The loops with ``axis`` innermost: whole turns, then one masked turn for what is left."""
        loops, body = unnest((s,))
        deal, extent = self.deals[axis], dict(loops)[axis]
        turns, left = divmod(extent, deal.lanes)
        turn = axis + "t" + next(self.names)
        whole = Loop(turn, turns, "serial", self.guarded(body, axis, expression.axis(turn) * deal.lanes))
        rest = self.turn(body, axis, const(turns * deal.lanes, INDEX), extent) if left else ()
        others = [(name, n) for name, n in loops if name != axis]
        return nest(others, ((whole,) if turns else ()) + rest)

    def guarded(self, body: Body, axis: str, base: Expr) -> Body:
        """One turn of all lanes: those that a guard leaves, without it where it leaves all."""
        guards = guards_of(body, axis)
        if not guards:
            return self.turn(body, axis, base, None)
        some, whole = (
            all_of(expression.rename(guards, {axis: place})) for place in (base, base + (self.deals[axis].lanes - 1))
        )
        return (
            If(whole, self.turn(without(body, guards), axis, base, None)),
            If(some & ~whole, self.turn(body, axis, base, None)),
        )

    def turn(self, body: Body, axis: str, base: Expr, extent: int | None) -> Body:
        """One turn of all lanes; beyond ``extent`` lanes rest."""
        deal = self.deals[axis]
        group, lane = self.lane_axes()
        index = base + expression.axis(group) * deal.width + expression.axis(lane)
        placed = map_body(body, lambda exprs: expression.rename(exprs, {axis: index}))
        at = (expression.axis(group), expression.axis(lane))
        moved = tuple(_accumulate_at(b, at) for b in placed)
        if extent is not None:
            moved = (If(index < extent, moved),)
        needed = deal.vectors if extent is None else -(-(extent % deal.lanes) // deal.width)
        return (Loop(group, needed, "unroll", (Loop(lane, deal.width, "vector", moved),)),)

    def merge_tree(self, step: Accumulate, deal: Deal) -> Body:
        """acc[0] gathers the other vectors, then its upper half, and so on to one element."""
        merge = replace(step.combiner, step=step.combiner.merge)
        made: list[Statement] = []

        def fold(extent: int, target: Callable[[Expr], Expr], source: Callable[[Expr], tuple[Expr, Expr]]) -> None:
            lane = "m" + next(self.names)
            i = expression.axis(lane)
            terms = tuple(expression.load(b, source(i), self.accs[b].dtype) for b in step.buffers)
            made.append(Loop(lane, extent, "vector", (Accumulate(step.buffers, (FIRST, target(i)), merge, terms),)))

        for g in range(1, deal.vectors):
            fold(deal.width, lambda i: i, lambda i, g=g: (const(g, INDEX), i))  # type: ignore[misc]
        half = deal.width // 2
        while half:
            fold(half, lambda i: i, lambda i, half=half: (FIRST, i + half))  # type: ignore[misc]
            half //= 2
        return tuple(made)

    def read_first(self, s: Statement) -> Statement:
        """What follows a reduction reads the merged element."""

        def place(e: Expr) -> Expr | None:
            own = e.prim == "load" and e.value in self.dealt
            return expression.load(str(e.value), (FIRST, FIRST), e.dtype) if own else None

        return map_body((s,), lambda exprs: expression.substitute(exprs, place))[0]


def _accumulate_at(s: Statement, at: tuple[Expr, ...]) -> Statement:
    if isinstance(s, Accumulate):
        return replace(s, at=at)
    return with_block(s, tuple(_accumulate_at(b, at) for b in block_of(s)))

"""Scheduling: transformations Kernel -> Kernel, each of which keeps what the kernel computes.

    cut        a choice between ranges of an index becomes a nest for each (``codegen.cuts``)
    collapse   two loops that walk memory as one become one
    split      one loop becomes two, with the rest as a piece of its own
    sink       independent inner loops move inside sequential ones; accumulators get an axis for each (a register tile)
    lanes      a sequential loop is dealt to lanes, each with an accumulator of its own, merged in a fixed tree
    parallel   the outermost loops of a large enough kernel are shared among threads
    columns    a reduction along the long stride of a large array goes block of rows by block (``codegen.columns``)
    chunked    a long reduction to few results becomes partial ones and their merge (``codegen.chunks``)
    hoisted    what does not change in a loop is computed before it (``codegen.hoist``)
    blocked    long chains of floating-point additions become short ones (``codegen.blocks``)

Which loop is split how is decided by ``codegen.tiles`` and ``codegen.passes``. Results never depend on the number of
threads: what is merged with what is fixed here by shapes alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, filterfalse, groupby
from typing import TypeVar

from codegen.affine import all_of, conjuncts, linear, loads_in
from codegen.blocks import blocked
from codegen.chunks import chunked
from codegen.columns import columns
from codegen.cuts import cut
from codegen.guards import guards_of, is_guard, without
from codegen.hoist import hoisted
from codegen.joint import joint_rows
from codegen.kernel import (
    Accumulate,
    Alloc,
    Body,
    Buffer,
    If,
    Kernel,
    Loop,
    Statement,
    Store,
    block_of,
    exprs_of,
    map_body,
    nest,
    unnest,
    walk,
    with_block,
    writes,
)
from codegen.lanes import lanes
from codegen.passes import has_passes, plan_passes
from codegen.ranges import simplify
from codegen.tiles import Machine, Nest, Plan, Tile, choose, work_of
from codegen.unroll import copy, unroll
from symgraph import expression
from symgraph.expression import INDEX, Expr, const

T = TypeVar("T")
EVEN_TURNS = 64  # of a parallel loop: with fewer, some threads would have much more to do than others
PARALLEL_WORK = 1 << 16  # scalar operations below which waking a thread costs more than it saves
SHARE = 8  # of such a kernel a nest with this part of the work finds the threads awake


def schedule(kernel: Kernel, machine: Machine) -> Kernel:
    """The kernel tiled, vectorised and parallelised for a machine."""
    names = (f"_{n}" for n in count())
    plain = unroll(kernel)
    rows = joint_rows(plain)
    if rows:
        body = _joint(replace(rows, body=cut(rows.body)), plain, machine, names)
    else:
        plain = replace(plain, body=cut(plain.body))
        least = PARALLEL_WORK if work_of(plain) < PARALLEL_WORK else PARALLEL_WORK // SHARE
        plain, nests = split_nests(plain, 4 * PARALLEL_WORK, names)
        body = tuple(new for nest in nests for new in _nest(nest, machine, names, least))
    return simplify(hoisted(blocked(replace(plain, body=body), machine, names), names))


def split_nests(kernel: Kernel, least: int, names: Iterator[str]) -> tuple[Kernel, list[Nest]]:
    """The nests of a kernel in order, and the kernel with the buffers that are between them.

    Reductions that do ``least`` work or more to few results are cut into chunks.
    """
    plain = unroll(kernel)
    stored = _stored(kernel)
    # a reduction of everything has no independent loop around it: its statements are one nest
    parts = [plain.body] if any(isinstance(s, Alloc) for s in plain.body) else [(s,) for s in plain.body]
    chunks = [chunked(analyse(body, stored), least, names) for body in parts]
    buffers = (*plain.buffers, *(b for _, between in chunks for b in between))
    return replace(plain, buffers=buffers), [nest for nests, _ in chunks for nest in nests]


def _joint(rows: Loop, kernel: Kernel, machine: Machine, names: Iterator[str]) -> Body:
    """The nests of a joint kernel, each scheduled by itself; threads share the rows."""
    stored = _stored(kernel)
    made: list[Statement] = []
    for s in rows.body:
        if isinstance(s, Alloc):
            made.append(s)
        else:
            made += _nest(replace(analyse((s,), stored), times=rows.extent), machine, names, None)
    return (replace(rows, kind="parallel", body=tuple(made)),)


def _stored(kernel: Kernel) -> frozenset[str]:
    return frozenset(b.name for b in kernel.buffers) & writes(kernel)


def _nest(nest: Nest, machine: Machine, names: Iterator[str], least: int | None) -> Body:
    """The loops of a nest; threads share them from ``least`` work on, if any is given."""
    plan = plan_passes(nest, machine) if has_passes(nest) else choose(nest, machine)
    core = lanes(nest.core, plan.deals, names) if plan.deals else nest.core
    spread = least is not None and nest.independent and plan.work >= least
    kind = "parallel" if spread else "serial"

    def build(core: Body, extents: dict[str, int], plan: Plan, kind: str) -> Body:
        return _Builder(extents, plan, names).pieces(plan.order, (), core, kind, ())

    by_columns = columns(nest, plan, names, build)
    return by_columns.loops(kind) if by_columns else build(core, dict(nest.axes), plan, kind)


# ------------------------------------------------------------------------------------------------ analysis


def analyse(body: Body, stored: frozenset[str]) -> Nest:
    """The independent loops outside, the core inside them, and its sequential loops; collapsed where memory allows."""
    loops, body = unnest(body)
    independent = not any(isinstance(s, Accumulate) and set(s.buffers) & stored for s in walk(body))
    axes, body = collapse(loops, body)
    return Nest(tuple(axes), _collapse_inner(body), independent)


def _collapse_inner(body: Body) -> Body:
    """Adjacent sequential loops of the core collapsed too."""
    return tuple(new for s in body for new in _collapse_one(s))


def _collapse_one(s: Statement) -> Body:
    loops, body = unnest((s,))
    return nest(*collapse(loops, body)) if loops else (s,)


def collapse(axes: Sequence[tuple[str, int]], body: Body) -> tuple[list[tuple[str, int]], Body]:
    """Neighbouring loops as one wherever every index takes them as one."""
    done = list(axes[:1])
    for inner in axes[1:]:
        merged = _collapse_pair(done[-1], inner, body) if done else None
        if merged is None:
            done.append(inner)
        else:
            done[-1] = (inner[0], done[-1][1] * inner[1])
            body = merged
    return done, body


def _collapse_pair(outer: tuple[str, int], inner: tuple[str, int], body: Body) -> Body | None:
    """``body`` with ``outer`` gone and ``inner`` walking both, or None where an index tells them apart."""
    # a guard of the outer one bounds both: o < n is i < n * extent for what walks both
    guards = {g: expression.within(expression.axis(inner[0]), g.args[1] * inner[1]) for g in guards_of(body, outer[0])}
    gone = {outer[0]: const(0, INDEX)}
    open_ = without(body, guards)
    fits = all(
        _walks_as_one(i, outer[0], inner) for s in walk(open_) for i in (*_indices(s), *_places(s))
    ) and not any(_outside_indices(s, {outer[0], inner[0]}) for s in walk(open_))
    if not fits:
        return None
    flat = map_body(body, lambda exprs: expression.substitute(exprs, guards.get)) if guards else body
    return map_body(flat, lambda exprs: expression.rename(exprs, gone))


def _indices(s: Statement) -> list[Expr]:
    return [i for e in loads_in(exprs_of(s)) for i in e.args]


def _places(s: Statement) -> Sequence[Expr]:
    return s.at if isinstance(s, Store | Accumulate) else ()


def _walks_as_one(index: Expr, outer: str, inner: tuple[str, int]) -> bool:
    form = linear(index)
    a, b = form.stride(outer), form.stride(inner[0])
    return a is not None and b is not None and a == b * inner[1]


def _outside_indices(s: Statement, names: set[str]) -> bool:
    """Whether a term other than an index reads one of the axes."""
    found = False
    indices = set(_indices(s))
    stack = [e for e in exprs_of(s) if e not in set(_places(s))]
    seen: set[Expr] = set()
    while stack and not found:
        e = stack.pop()
        if e in seen or e.prim == "load" or e in indices:
            continue
        seen.add(e)
        found = e.prim == "axis" and str(e.value) in names
        stack.extend(e.args)
    return found


# ------------------------------------------------------------------------------------------------ building


@dataclass(frozen=True)
class Inner:
    """A loop that is sunk: its name, extent and kind, and the condition under which a turn exists."""

    index: str
    extent: int
    kind: str
    exists: Expr | None = None


@dataclass(frozen=True)
class Edge:
    """A tile of an axis that ends at run time.

    Attributes
    ----------
    guard : Expr
        The condition of a turn, as it stands in the core.
    whole, some : Expr
        Whether every turn of the tile exists, and whether one does.
    step : int
        Turns of the tile.
    row : str
        The index of the tile's rows, if it has no vectors.
    """

    guard: Expr
    whole: Expr
    some: Expr
    step: int
    row: str


def _edge(guard: Expr, name: str, value: Expr, base: Expr, step: int, row: str = "") -> Edge:
    """The edge of a tile of ``step`` turns that begins at ``base`` and has the index ``value``."""
    placed, whole, some = (
        expression.rename([guard], {name: place})[0] for place in (value, base + (step - 1), base)
    )
    return Edge(placed, whole, some, step, row)


@dataclass(frozen=True)
class _Builder:
    """Builds the loops of a plan, outermost first."""

    extents: dict[str, int]
    plan: Plan
    names: Iterator[str]

    def pieces(
        self, order: Sequence[str], inner: tuple[Inner, ...], core: Body, kind: str, edges: tuple[Edge, ...]
    ) -> Body:
        """Loops over ``order``; a tiled axis gives a piece of whole tiles and one of the rest.

        ``kind`` is that of the outermost loop; those inside are serial.
        """
        if not order:
            return self.tile(inner, core, edges)
        name, rest = order[0], order[1:]
        n = self.extents[name]
        tile = self.plan.tiles.get(name)
        if tile is None:
            outer = name + next(self.names)
            place = expression.axis(outer) if n > 1 else const(0, INDEX)
            edges += tuple(_edge(guard, name, place, place, 1) for guard in guards_of(core, name))
            return self._loop(outer, n, kind, rest, inner, _placed(core, name, place), edges)
        # beyond a length that a call decides its guards leave nothing, so that all tiles may be whole ones
        cut = bool(guards_of(core, name))
        pieces = [(0, -(-n // tile.step), tile)] if cut else tile.pieces(n)
        return tuple(s for piece in pieces for s in self._piece(name, rest, inner, core, kind, edges, piece))

    def _piece(
        self, name: str, rest: Sequence[str], inner: tuple[Inner, ...], core: Body, kind: str,
        edges: tuple[Edge, ...], piece: tuple[int, int, Tile],
    ) -> Body:  # fmt: skip
        start, turns, tile = piece
        outer = name + "o" + next(self.names)
        base = expression.axis(outer) * tile.step + start if turns > 1 else const(start, INDEX)
        subs, value = _inner_loops(name, base, self.extents[name], tile, self.names)
        row = subs[0].index if subs and not tile.width else ""
        edges += tuple(_edge(guard, name, value, base, tile.step, row) for guard in guards_of(core, name))
        return self._loop(outer, turns, kind, rest, (*inner, *subs), _placed(core, name, value), edges)

    def tile(self, inner: tuple[Inner, ...], core: Body, edges: tuple[Edge, ...]) -> Body:
        """One tile; where guards cut it, as a whole one and as one of the turns that exist."""
        if not edges:
            return copy(sink(core, _in_order(inner)), next(self.names))
        whole = all_of([e.whole for e in edges])
        made = If(whole, self.tile(inner, without(core, {e.guard for e in edges}), ()))
        cut = tuple(e for e in edges if e.step > 1)
        if not cut:
            return (made,)
        single = without(core, {e.guard for e in edges if e.step == 1})
        return made, If(all_of([e.some for e in edges]) & ~whole, self.cut_tile(inner, single, cut))

    def cut_tile(self, inner: tuple[Inner, ...], core: Body, edges: tuple[Edge, ...]) -> Body:
        """The turns of a tile that exist: single rows one after the other, vectors under their masks."""
        rows = next((e for e in edges if e.row), None)
        if rows is None:
            return self.tile(inner, core, ())
        index = rows.row + next(self.names)
        (extent,) = (i.extent for i in inner if i.index == rows.row)
        others = tuple(i for i in inner if i.index != rows.row)
        turn = _placed((If(rows.guard, without(core, {rows.guard})),), rows.row, expression.axis(index))[0]
        body = self.cut_tile(others, block_of(turn), tuple(e for e in edges if e is not rows))
        return (Loop(index, extent, "serial", (with_block(turn, body),)),)

    def _loop(
        self, index: str, turns: int, kind: str, rest: Sequence[str], inner: tuple[Inner, ...], core: Body,
        edges: tuple[Edge, ...],
    ) -> Body:  # fmt: skip
        """``turns`` of what is inside; a parallel loop of few turns is one with the next, to be dealt out evenly."""
        if turns == 1:
            return self.pieces(rest, inner, core, kind, edges)
        if kind == "serial" or turns >= EVEN_TURNS or not rest:
            return (Loop(index, turns, kind, self.pieces(rest, inner, core, "serial", edges)),)
        inside = self.pieces(rest, inner, core, kind, edges)
        runs = [(spread, tuple(run)) for spread, run in groupby(inside, _is_parallel)]
        pieces = [piece for spread, run in runs for piece in ([(s,) for s in run] if spread else [run])]
        return tuple(self._both(index, turns, piece) for piece in pieces)

    def _both(self, index: str, turns: int, piece: Body) -> Statement:
        """``piece`` for each turn of ``index`` as one parallel loop, with its own turns if it is parallel itself."""
        joint = index + next(self.names)
        (first, *_) = piece
        if not (isinstance(first, Loop) and _is_parallel(first)):
            return Loop(joint, turns, "parallel", _placed(piece, index, expression.axis(joint)))
        place, inside = expression.axis(joint), const(first.extent, INDEX)
        body = _placed(_placed(first.body, index, place // inside), first.index, place % inside)
        return Loop(joint, turns * first.extent, "parallel", body)


def _is_parallel(s: Statement) -> bool:
    return isinstance(s, Loop) and s.kind == "parallel"


def _placed(core: Body, name: str, value: Expr) -> Body:
    """``core`` with the index ``name`` replaced."""
    return map_body(core, lambda exprs: expression.rename(exprs, {name: value}))


def _inner_loops(name: str, base: Expr, n: int, tile: Tile, names: Iterator[str]) -> tuple[list[Inner], Expr]:
    """The loops inside a tile and the index they make: rows, or vectors of lanes."""
    row, lane = name + "u" + next(names), name + "l" + next(names)
    rows = [Inner(row, tile.rows, "unroll")] if tile.rows > 1 else []
    position = expression.axis(row) if rows else const(0, INDEX)
    if not tile.width:
        return rows, base + position
    index = base + position * tile.width + expression.axis(lane)
    return [*rows, Inner(lane, tile.width, "vector", index < n if tile.masked else None)], index


def _in_order(inner: Sequence[Inner]) -> tuple[Inner, ...]:
    """The vector last, and before it the fewest rows: what they read stays in registers while the others go by."""
    return tuple(sorted(inner, key=lambda i: (i.kind == "vector", -i.extent)))


def sink(body: Body, inner: Sequence[Inner]) -> Body:
    """The independent loops ``inner`` moved inside ``body``: distributed over its statements and its own loops."""
    registers = {s.buffer.name: s.buffer for s in walk(body) if isinstance(s, Alloc)}
    return _with_rows(tuple(new for s in body for new in _sink_one(s, inner, registers)), inner, registers)


def _sink_one(s: Statement, inner: Sequence[Inner], registers: Mapping[str, Buffer]) -> Body:
    match s:
        case Alloc(buffer):
            return (Alloc(replace(buffer, shape=_beside(buffer, buffer.shape, tuple(i.extent for i in inner)))),)
        case Loop(_, _, "serial"):
            return (with_block(s, tuple(new for b in s.body for new in _sink_one(b, inner, registers))),)
        case If(cond, block):
            return tuple(_around(b, inner, (*conjuncts(cond), *_exist(inner)), registers) for b in block)
        case Store(buffer) if buffer in registers and not loads_in((s.expr,)):
            return (_around(s, inner, (), registers),)
    return (_around(s, inner, _exist(inner), registers),)


def _beside(buffer: Buffer, own: tuple[T, ...], tile: tuple[T, ...]) -> tuple[T, ...]:
    """Extents or indices of ``buffer`` with those of a tile: vectors lie side by side in memory, rows in registers."""
    return (*own, *tile) if buffer.space == "thread" else (*tile, *own)


def _exist(inner: Sequence[Inner]) -> tuple[Expr, ...]:
    return tuple(i.exists for i in inner if i.exists is not None)


def _around(
    s: Statement, inner: Sequence[Inner], conditions: Sequence[Expr], registers: Mapping[str, Buffer]
) -> Statement:
    """``s`` inside the inner loops, each condition as far out as its axes allow; ``registers`` get all of them."""
    levels = {i.index: k for k, i in enumerate(inner, 1)} | dict.fromkeys(registers, len(inner))
    depth = [max((levels.get(str(a), 0) for a in c.names), default=0) for c in conditions]
    for level in range(len(inner), -1, -1):
        held = [c for c, d in zip(conditions, depth, strict=True) if d == level]
        # what reads memory is asked only where the turn exists
        for part in (list(filter(_reads, held)), list(filterfalse(_reads, held))):
            if part:
                s = If(all_of(part), (s,))
        if level:
            i = inner[level - 1]
            s = Loop(i.index, i.extent, i.kind, (s,))
    return s


def _reads(cond: Expr) -> bool:
    return bool(loads_in((cond,))) and not is_guard(cond)


def _with_rows(body: Body, inner: Sequence[Inner], registers: Mapping[str, Buffer]) -> Body:
    """Accumulators indexed by the loops that were sunk; each sunk copy of a loop gets names of its own."""
    at = tuple(expression.axis(i.index) for i in inner)

    def place(e: Expr) -> Expr | None:
        own = registers.get(str(e.value)) if e.prim == "load" else None
        return expression.load(own.name, _beside(own, e.args, at), e.dtype) if own else None

    moved = tuple(_indexed(s, at, registers) for s in map_body(body, lambda exprs: expression.substitute(exprs, place)))
    return _unique(moved, {i.index for i in inner})


def _indexed(s: Statement, at: tuple[Expr, ...], registers: Mapping[str, Buffer]) -> Statement:
    match s:
        case Store(buffer) if buffer in registers:
            return replace(s, at=_beside(registers[buffer], s.at, at))
        case Accumulate(buffers) if set(buffers) <= registers.keys():
            return replace(s, at=(*at, *s.at))
    return with_block(s, tuple(_indexed(b, at, registers) for b in block_of(s)))


def _unique(body: Body, names: set[str]) -> Body:
    """Distribution wrote the same loops around each statement: number the copies."""
    turn = count()

    def fresh(s: Statement) -> Statement:
        if isinstance(s, Loop) and s.index in names:
            return copy((s,), f"x{next(turn)}")[0]
        return with_block(s, tuple(map(fresh, block_of(s))))

    return tuple(map(fresh, body))

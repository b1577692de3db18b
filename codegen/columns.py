"""Columns: a reduction along the long stride of a large array, done block of rows by block of rows.

A tile of columns that walks all rows takes a few bytes of each page, and the processor fetches none ahead. So a total
is kept for every column, and the rows come in blocks, whose pieces of a row lie side by side:

    parallel c < 4:
      total[4096] = 0
      serial b < 16:
        serial j < 4096:
          acc = 0
          serial r < 8:
            acc sum= x[(b * 8 + r) * 16384 + c * 4096 + j]
          total[j] sum= acc
      y[c * 4096 + j] = total[j]

Totals of many blocks are blocks again (see ``codegen.blocks``). Threads share the chunks of columns, or where a row is
too short for several of them chunks of rows (see ``codegen.chunks``). What is added to what is fixed by shapes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod

from codegen.affine import linear, loads_in
from codegen.blocks import CHAIN
from codegen.kernel import Accumulate, Alloc, Body, Buffer, Loop, Statement, Store, exprs_of, map_body, walk
from codegen.tiles import Nest, Plan
from symgraph import expression
from symgraph.expression import INDEX, Expr, const
from symgraph.types import SIZES

FAR = 1 << 10  # bytes from row to row that the processor does not fetch ahead
LARGE = 1 << 19  # bytes of an array that does not stay near
PIECE = 1 << 14  # bytes of a row in a chunk: their totals stay in the nearest cache
ROWS = 8  # rows of a block: so many streams are fetched ahead
CHUNKS = 4  # chunks at least, for threads
SHARED = 1 << 23  # bytes of an array whose rows threads share: each part is large too

Totals = Mapping[str, Buffer]
Build = Callable[[Body, dict[str, int], Plan, str], Body]
"""(a core, the extents of the axes around it, a plan for these, the kind of the outermost loop) -> its loops."""


def in_long_rows(nest: Nest) -> bool:
    """Whether a nest reduces so many rows that threads share them, as they are too short for several pieces each."""
    found = _reduction(nest, nest.axes[-1][0]) if nest.axes else None
    if found is None:
        return False
    loop, bytes_ = found
    row = prod(n for _, n in nest.axes) * bytes_
    return row * loop.extent >= SHARED and row < CHUNKS * PIECE


def columns(nest: Nest, plan: Plan, names: Iterator[str], build: Build) -> Columns | None:
    """How to reduce a nest by columns, if that is what it does and its array is large."""
    axis = next((a for a, tile in plan.tiles.items() if tile.width), None)
    found = None if axis is None or plan.deals else _reduction(nest, axis)
    if found is None or axis is None:
        return None
    loop, bytes_ = found
    extent, tile = dict(nest.axes)[axis], plan.tiles[axis]
    plan = replace(plan, tiles={axis: tile})
    alone = prod(n for a, n in nest.axes if a != axis) < CHUNKS
    parts = max(-(-extent * bytes_ // PIECE), CHUNKS if alone else 1)
    size = -(-extent // (parts * tile.step)) * tile.step
    return Columns(nest, plan, axis, min(size, extent), loop, names, build) if size > tile.step else None


def _reduction(nest: Nest, axis: str) -> tuple[Loop, int] | None:
    """The loop of a nest that reduces the columns ``axis`` of a large array, and the bytes of an element."""
    loops = [s for s in nest.core if isinstance(s, Loop)]
    if not nest.independent or len(loops) != 1 or len(nest.sequential) != 1:
        return None
    (loop,) = loops
    bytes_ = min((_width(e) for e in loads_in(_terms(loop)) if _is_far(e, axis, nest)), default=0)
    large = dict(nest.axes)[axis] * loop.extent * bytes_ >= LARGE
    return (loop, bytes_) if large and not any(isinstance(s, Store) for s in walk(loop.body)) else None


def _terms(loop: Loop) -> list[Expr]:
    return [e for s in walk(loop.body) for e in exprs_of(s)]


def _width(load: Expr) -> int:
    return SIZES[load.dtype]


def _is_far(load: Expr, axis: str, nest: Nest) -> bool:
    """Whether a load walks all that the nest does, ``axis`` side by side and the reduction in long strides."""
    if not load.args:
        return False
    form = linear(load.args[0])
    ((reduced, _),) = nest.sequential
    far = abs(form.stride(reduced) or 0) * _width(load) >= FAR
    return far and form.stride(axis) == 1 and all(form.stride(name) for name, _ in nest.axes)


@dataclass(frozen=True)
class Columns:
    """A nest that is reduced along ``loop``, in chunks of ``size`` columns of ``axis``."""

    nest: Nest
    plan: Plan
    axis: str
    size: int
    loop: Loop
    names: Iterator[str]
    build: Build

    def loops(self, kind: str) -> Body:
        """The loops of the nest, the outermost of a kind."""
        others = tuple(name for name in self.plan.order if name != self.axis)
        inside = self.chunks("serial" if others else kind)
        return self.build(inside, dict(self.nest.axes), replace(self.plan, order=others), kind)

    def chunks(self, kind: str) -> Body:
        """All columns; the loop of the whole chunks is of a kind."""
        count, rest = divmod(dict(self.nest.axes)[self.axis], self.size)
        index = "c" + next(self.names)
        whole = Loop(index, count, kind, self.chunk(expression.axis(index) * self.size, self.size))
        return (whole, *(self.chunk(const(count * self.size, INDEX), rest) if rest else ()))

    def chunk(self, first: Expr, size: int) -> Body:
        """``size`` columns from ``first`` on."""
        place = {self.axis: first + self.column}
        core = map_body(self.nest.core, lambda exprs: expression.rename(exprs, place))
        made = replace(self, nest=replace(self.nest, core=core), loop=next(s for s in core if isinstance(s, Loop)))
        return made.reduced(size, core[core.index(made.loop) + 1 :])

    def reduced(self, size: int, ends: Body) -> Body:
        """The reduction of a chunk, then what is done with its results."""
        totals = self.totals(size)
        found = {a: expression.load(b.name, (self.column,), b.dtype) for a, b in totals.items()}

        def place(e: Expr) -> Expr | None:
            return found.get(str(e.value)) if e.prim == "load" else None

        ends = map_body(ends, lambda exprs: expression.substitute(exprs, place))
        return (*self.cleared(totals), *self.rows(const(0, INDEX), self.loop.extent, totals), *self.tiled(ends, size))

    @property
    def column(self) -> Expr:
        return expression.axis(self.axis)

    @property
    def starts(self) -> Body:
        """The accumulators, allocated and set to their identity."""
        return self.nest.core[: self.nest.core.index(self.loop)]

    def tiled(self, core: Body, size: int) -> Body:
        """The loops over the columns of a chunk."""
        return self.build(core, {self.axis: size}, replace(self.plan, order=(self.axis,)), "serial")

    def totals(self, size: int) -> dict[str, Buffer]:
        """Accumulator -> a total for each column."""
        accs = [s.buffer for s in self.starts if isinstance(s, Alloc)]
        return {b.name: Buffer(f"total{next(self.names)}", b.dtype, (size,), "thread") for b in accs}

    def cleared(self, totals: Totals) -> Body:
        """``totals`` allocated and set to the identity."""
        sets = [Store(totals[s.buffer].name, (self.column,), s.expr) for s in self.starts if isinstance(s, Store)]
        return (*map(Alloc, totals.values()), *self.tiled(tuple(sets), _size(totals)))

    def rows(self, first: Expr, count: int, totals: Totals) -> Body:
        """``count`` rows from ``first`` on, added to ``totals``: no total takes more than ``CHAIN`` terms in a row."""
        if count <= ROWS:
            return self.block(first, count, totals)
        size = ROWS
        while size * CHAIN < count:
            size *= CHAIN
        blocks, rest = divmod(count, size)
        index = "b" + next(self.names)
        start = first + expression.axis(index) * size + rest
        before = self.rows(first, rest, totals) if rest else ()
        part = self.block if size == ROWS else self.part
        return (*before, Loop(index, blocks, "serial", part(start, size, totals)))

    def part(self, first: Expr, count: int, totals: Totals) -> Body:
        """``count`` rows, added to totals of their own first."""
        own = self.totals(_size(totals))
        found = {a: expression.load(b.name, (self.column,), b.dtype) for a, b in own.items()}
        merges = self.tiled(self.merges(found, totals), _size(totals))
        return (*self.cleared(own), *self.rows(first, count, own), *merges)

    def block(self, first: Expr, count: int, totals: Totals) -> Body:
        """Rows that each tile of columns adds up in registers, then to ``totals``."""
        name = self.loop.index
        place = {name: first + expression.axis(name)}
        body = map_body(self.loop.body, lambda exprs: expression.rename(exprs, place))
        accs = [s.buffer for s in self.starts if isinstance(s, Alloc)]
        found = {b.name: expression.load(b.name, (), b.dtype) for b in accs}
        core = (*self.starts, Loop(name, count, "serial", body), *self.merges(found, totals))
        return self.tiled(core, _size(totals))

    def merges(self, found: Mapping[str, Expr], totals: Totals) -> Body:
        """What was ``found`` for a column merged into its totals."""
        made: list[Statement] = []
        for s in self.nest.steps:
            terms = tuple(found[b] for b in s.buffers)
            merge = replace(s.combiner, step=s.combiner.merge)
            made.append(Accumulate(tuple(totals[b].name for b in s.buffers), (self.column,), merge, terms))
        return tuple(made)


def _size(totals: Totals) -> int:
    return next(iter(totals.values())).shape[0]

"""Chunks: a long reduction to few results becomes two, so that threads can share it.

    acc = 0                      parallel p < 64:
    serial r < 262144:             part = 0
      acc sum= x[r]                serial r < 4096:
    y = acc                          part sum= x[p * 4096 + r]
                                   work0[p] = part
                                 acc = 0
                                 serial q < 64:
                                   acc sum= work0[q]
                                 y = acc

How a reduction is cut depends on its shape alone, never on the number of threads, so neither does the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

from codegen.affine import flat_index
from codegen.columns import in_long_rows
from codegen.kernel import Accumulate, Alloc, Buffer, Loop, Statement, Store, map_body, nest, unnest, walk
from codegen.tiles import Nest, arithmetic
from codegen.unroll import copy
from symgraph import expression
from symgraph.expression import INDEX, Expr, const
from symgraph.formula import Axis

RESULTS = 64  # so many independent results are work for all threads as they are
CHUNKS = 128  # chunks at most, and half as many at least
ROW_CHUNKS = 16  # the same where rows of results are reduced
ALIGNED = 64  # turns: long chunks begin at multiples of it, so that vectors lie in the cache's lines


def chunked(whole: Nest, least: int, names: Iterator[str]) -> tuple[list[Nest], list[Buffer]]:
    """Nests that do what ``whole`` does, and the buffers between them.

    Itself if it does less than ``least``, or has results enough for all threads; unless these are one long row.
    """
    if work(whole) < least:
        return [whole], []
    if prod(n for _, n in whole.axes) < RESULTS:
        return cut(whole, CHUNKS, names)
    return cut(whole, ROW_CHUNKS, names) if in_long_rows(whole) else ([whole], [])


def cut(whole: Nest, most: int, names: Iterator[str]) -> tuple[list[Nest], list[Buffer]]:
    """Nests of at most ``most`` chunks and of their merge, and the buffers between; ``whole`` if it is no reduction."""
    found = _cut(whole, most, names)
    if found is None:
        return [whole], []
    count, rest = divmod(found.extent, found.turns)
    p = "p" + next(names)
    parts = [found.part(expression.axis(p), found.turns, ((p, count),))]
    if rest:
        parts.append(found.part(const(count, INDEX), rest))
    return [*parts, found.merged()], list(found.buffers)


def work(whole: Nest) -> int:
    """Scalar operations that ``whole`` does."""
    return whole.turns * max(1, arithmetic([e for s in whole.steps for e in s.exprs]))


def _cut(whole: Nest, most: int, names: Iterator[str]) -> _Cut | None:
    """How to cut a nest that is one accumulation: along its longest loop."""
    loops = [s for s in whole.core if isinstance(s, Loop)]
    if not whole.independent or len(loops) != 1 or len(whole.steps) != 1:
        return None
    allocs = [s.buffer for s in whole.core if isinstance(s, Alloc)]
    axis, extent = max(whole.sequential, key=lambda a: a[1])
    axes, body = unnest((loops[0],))
    plain = len(axes) == len(whole.sequential) and not any(isinstance(s, Store) for s in walk(body))
    if not plain or extent < 2 or [b.name for b in allocs] != list(whole.steps[0].buffers):
        return None
    turns = _chunk(extent, most)
    shape = (-(-extent // turns), *[n for _, n in whole.axes])
    buffers = tuple(Buffer(f"work{next(names)}", b.dtype, (prod(shape),)) for b in allocs)
    return _Cut(whole, loops[0], axis, extent, turns, shape, buffers, names)


def _chunk(extent: int, most: int) -> int:
    """Turns of a chunk; of some candidates the one that leaves fewest over."""
    least = -(-extent // most)
    step = ALIGNED if least > ALIGNED else 1
    first = -(-least // step) * step
    return min(range(first, max(2 * least, first + 1), step)[:CHUNKS], key=lambda n: extent % n)


@dataclass(frozen=True)
class _Cut:
    """The reduction ``loop`` of a nest, with ``axis`` in chunks whose results go to ``buffers``."""

    whole: Nest
    loop: Loop
    axis: str
    extent: int
    turns: int
    shape: tuple[int, ...]
    buffers: tuple[Buffer, ...]
    names: Iterator[str]

    def part(self, chunk: Expr, turns: int, axes: tuple[Axis, ...] = ()) -> Nest:
        """The nest that reduces ``turns`` turns of chunk number ``chunk``, or of all of ``axes``."""
        (step,) = self.whole.steps
        starts = [s for s in self.whole.core if isinstance(s, Alloc) or _sets(s, step)]
        place = {self.axis: chunk * self.turns + expression.axis(self.axis)}
        loops, body = unnest((self.loop,))
        placed = map_body(body, lambda exprs: expression.rename(exprs, place))
        turned = nest([(name, turns if name == self.axis else n) for name, n in loops], placed)
        pairs = zip(step.buffers, self.buffers, strict=True)
        ends = [Store(b.name, self.at(chunk), expression.load(acc, (), b.dtype)) for acc, b in pairs]
        core = copy((*starts, *turned, *ends), next(self.names))
        return Nest((*axes, *self.whole.axes), core, self.whole.independent)

    def merged(self) -> Nest:
        """The nest with the merge of the chunks' results in place of the reduction."""
        (step,) = self.whole.steps
        q = "q" + next(self.names)
        terms = tuple(expression.load(b.name, self.at(expression.axis(q)), b.dtype) for b in self.buffers)
        merge = Accumulate(step.buffers, (), replace(step.combiner, step=step.combiner.merge), terms)
        loop = Loop(q, self.shape[0], "serial", (merge,))
        core = tuple(loop if s is self.loop else s for s in self.whole.core)
        return Nest(self.whole.axes, core, self.whole.independent)

    def at(self, chunk: Expr) -> tuple[Expr]:
        """Where the results of a chunk lie."""
        return (flat_index([chunk, *[expression.axis(n) for n, _ in self.whole.axes]], self.shape),)


def _sets(s: Statement, step: Accumulate) -> bool:
    """Whether ``s`` sets an accumulator to its first value."""
    return isinstance(s, Store) and s.buffer in step.buffers

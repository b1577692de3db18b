"""Blocks: long chains of floating-point additions become short ones, level by level.

An accumulator that takes n terms one after the other is off by up to n units of rounding. So the turns of a long
sequential loop are cut into blocks: each block adds up from zero in an accumulator of its own, which is then added to
the total; long rows of blocks are blocks again. What is added to what is fixed by shapes alone.

    acc = 0                        acc = 0
    serial r < 1024:               serial o < 16:
      acc dot= x[r], y[r]            part = 0
                                     serial i < 64:
                                       part dot= x[o * 64 + i], y[o * 64 + i]
                                     acc sum= part

Reference: Blanchard, Higham, Mary (2020), "A class of fast and accurate summation algorithms", SIAM J. Sci. Comput. 42.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod

from codegen.kernel import (
    Accumulate,
    Alloc,
    Body,
    Buffer,
    Call,
    Kernel,
    Loop,
    Statement,
    Store,
    block_of,
    exprs_of,
    map_body,
    walk,
    with_block,
    with_exprs,
)
from codegen.tiles import Machine
from codegen.unroll import copy
from symgraph import expression
from symgraph.expression import INDEX, Expr, const
from symgraph.formula import SUM, Combiner
from symgraph.types import SIZES, is_float

CHAIN = 32  # additions to one accumulator where totals stay in registers beside the blocks
TILE_CHAIN = 512  # where they do not: they are fetched and put back at the end of each block


def blocked(kernel: Kernel, machine: Machine, names: Iterator[str]) -> Kernel:
    """A scheduled kernel with every long chain of floating-point additions in blocks."""
    return replace(kernel, body=_Blocks(machine, names).body(kernel.body, {}))


@dataclass(frozen=True)
class _Sum:
    """An accumulator that starts at zero: its storage, and the statement that clears it."""

    buffer: Buffer
    clear: Statement


Sums = Mapping[str, _Sum]


@dataclass(frozen=True)
class _Blocks:
    machine: Machine
    names: Iterator[str]

    def body(self, body: Body, sums: Sums) -> Body:
        """``body``, in whose loops ``sums`` and the accumulators that it allocates may be added to."""
        made: list[Statement] = []
        buffers: dict[str, Buffer] = {}
        sums = dict(sums)
        for s in body:
            if isinstance(s, Alloc) and s.buffer.space == "register":
                buffers[s.buffer.name] = s.buffer
            cleared = _cleared(s)
            if cleared in buffers:
                sums[cleared] = _Sum(buffers[cleared], s)
            if isinstance(s, Loop) and s.kind == "serial":
                made += self.loop(s, _added(s, sums))
            else:
                made.append(with_block(s, self.body(block_of(s), sums)))
        return tuple(made)

    def loop(self, s: Loop, sums: Sums) -> Body:
        """The turns of ``s``, which add to ``sums``."""
        chain, most = _chain(s.body, sums), self.most(sums)
        if s.extent < 2 or s.extent * chain <= most:
            return (with_block(s, self.body(s.body, sums if s.extent * chain > most else {})),)
        turns = _turns(s.extent, chain, most)
        blocks, rest = divmod(s.extent, turns)
        outer = s.index + next(self.names)
        block = self.block(s, turns, expression.axis(outer) * turns + rest, sums)
        # what is left comes first: added to a large total, each of its terms would be rounded once more
        first = self.turns(s, rest, const(0, INDEX), sums) if rest else ()
        return (*first, Loop(outer, blocks, "serial", block))

    def most(self, sums: Sums) -> int:
        """The longest chain that stays one."""
        size = sum(prod(a.buffer.shape) * SIZES[a.buffer.dtype] for a in sums.values())
        room = self.machine.registers * self.machine.vector_bytes
        return CHAIN if 4 * size <= room else TILE_CHAIN

    def turns(self, s: Loop, count: int, first: Expr, sums: Sums) -> Body:
        """``count`` turns of ``s`` from ``first`` on."""
        suffix = next(self.names)
        index = s.index + suffix
        place = {s.index: first + expression.axis(index)}
        body = map_body(copy(s.body, suffix), lambda exprs: expression.rename(exprs, place))
        return self.loop(Loop(index, count, "serial", body), sums)

    def block(self, s: Loop, count: int, first: Expr, totals: Sums) -> Body:
        """``count`` turns of ``s`` that add to accumulators of their own, and those to ``totals``."""
        suffix = next(self.names)
        parts = {name + suffix: _part(a, suffix) for name, a in totals.items()}
        clear = tuple(new for a in parts.values() for new in (Alloc(a.buffer), a.clear))
        turns = self.turns(replace(s, body=_redirected(s.body, totals, suffix)), count, first, parts)
        merges = tuple(_merge(a, suffix, next(self.names)) for a in totals.values())
        return (*clear, *turns, *merges)


def _turns(extent: int, chain: int, most: int) -> int:
    """Turns of a block: so many that at most ``most`` blocks follow each other, and none are left if possible."""
    longest = max(most // chain, -(-extent // (most // 2)), 1)
    return next((n for n in range(longest, longest // 2, -1) if extent % n == 0), longest)


# ------------------------------------------------------------------------------------------------ accumulators


def _cleared(s: Statement) -> str:
    """The buffer that ``s`` sets to zero and does nothing else; "" if there is none."""
    inner = [b for b in walk((s,)) if not isinstance(b, Loop)]
    match inner:
        case [Store(buffer, _, expr)] if expr.prim == "const" and expr.value == 0:
            return buffer
    return ""


def _added(s: Loop, sums: Sums) -> Sums:
    """Those of ``sums`` that ``s`` changes by floating-point additions only."""
    added: set[str] = set()
    changed: set[str] = set()
    for inner in walk((s,)):
        match inner:
            case Store(buffer):
                changed.add(buffer)
            case Accumulate(buffers, _, combiner):
                dtypes = tuple(sums[b].buffer.dtype for b in buffers if b in sums)
                (added if len(dtypes) == len(buffers) and _adds(combiner, dtypes) else changed).update(buffers)
    return {name: a for name, a in sums.items() if name in added - changed}


def _adds(combiner: Combiner, dtypes: tuple[str, ...]) -> bool:
    """Whether accumulators of ``combiner`` are merged by floating-point additions."""
    old, new = ([expression.axis(f"{side}{n}", d) for n, d in enumerate(dtypes)] for side in "ab")
    merged = combiner.merge(tuple(old), tuple(new))
    return all(map(is_float, dtypes)) and merged == tuple(a + b for a, b in zip(old, new, strict=True))


def _chain(body: Body, sums: Sums) -> int:
    """How many terms ``body`` adds to one element of an accumulator, at most."""
    counts = dict.fromkeys(sums, 0)

    def count(body: Body, loops: tuple[Loop, ...]) -> None:
        for s in body:
            if isinstance(s, Accumulate) and s.buffers[0] in counts:
                places = {name for i in s.at for name in i.names}
                counts[s.buffers[0]] += prod(loop.extent for loop in loops if loop.index not in places)
            count(block_of(s), (*loops, s) if isinstance(s, Loop) else loops)

    count(body, ())
    return max(counts.values(), default=0)


def _part(a: _Sum, suffix: str) -> _Sum:
    """An accumulator like ``a``."""
    alloc, clear = copy((Alloc(a.buffer), a.clear), suffix)
    assert isinstance(alloc, Alloc)
    return _Sum(alloc.buffer, clear)


def _merge(a: _Sum, suffix: str, fresh: str) -> Statement:
    """The part of ``a`` added to it, element by element as ``a`` is cleared."""

    def added(s: Statement) -> Statement:
        if isinstance(s, Store):
            part = expression.load(s.buffer + suffix, s.at, a.buffer.dtype)
            return Accumulate((s.buffer,), s.at, SUM, (part,))
        return with_block(s, tuple(map(added, block_of(s))))

    return added(copy((a.clear,), fresh)[0])


def _redirected(body: Body, totals: Sums, suffix: str) -> Body:
    """``body`` adding to the parts; where it reads a total, it reads the sum of total and part."""

    def part(e: Expr) -> Expr | None:
        own = e.prim == "load" and e.value in totals
        return expression.load(str(e.value) + suffix, e.args, e.dtype) if own else None

    def whole(e: Expr) -> Expr | None:
        found = part(e)
        return None if found is None else e + found

    def target(s: Statement) -> Statement:
        # what stands in a call is no value, but a place
        new = with_exprs(s, expression.substitute(exprs_of(s), part if isinstance(s, Call) else whole))
        if isinstance(new, Accumulate):
            return replace(new, buffers=tuple(b + suffix if b in totals else b for b in new.buffers))
        return with_block(new, tuple(map(target, block_of(new))))

    return tuple(map(target, body))

"""Rows: the threads of a block share the passes over each of its rows.

Of each pass a thread does turns t, t + width, ...; what they have accumulated is merged in halves within each warp, and
what the warps have by every thread, in their order.

    serial i < 64:                      block b < 64:
      acc = 0                             alloc part: [256] shared
      serial r < 1000:                    thread t < 256:
        acc sum= x[i * 1000 + r]            acc = 0
      y[i] = acc                            serial k < 4:
                                              if k * 256 + t < 1000: acc sum= x[b * 1000 + k * 256 + t]
                                            other = acc of thread t ^ 16, acc sum= other
                                            ...
                                            other = acc of thread t ^ 1, acc sum= other
                                            if t % 32 == 0: part[t / 32] = acc
                                            sync
                                            acc = part[0], acc sum= part[1], ..., acc sum= part[7]
                                            if t == 0: y[b] = acc
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from codegen.affine import linear, loads_in
from codegen.cuda.threads import THREADS, WARP, Bound, keep, placed, power_of_two, unravel
from codegen.intrinsics import SHUFFLE
from codegen.kernel import (
    Accumulate,
    Alloc,
    Body,
    Buffer,
    Call,
    If,
    Loop,
    Statement,
    Store,
    Sync,
    exprs_of,
    nest,
    unnest,
    walk,
)
from codegen.tiles import Nest
from symgraph import expression
from symgraph.expression import INDEX, Expr, axis, const, eq

MANY = 1 << 14  # rows that are work for a whole GPU with one thread each
TURNS = 4  # of a pass that a thread does at least, where the row is long enough


def wants_rows(whole: Nest) -> bool:
    """Whether passes are to be shared: their turns lie side by side, or there are few rows."""
    passes = tuple(s for s in whole.core if isinstance(s, Loop))
    added = [b for s in walk(whole.core) if isinstance(s, Accumulate) for b in s.buffers]
    if not passes or not all(map(_is_shareable, passes)) or len({*added}) < len(added) or _turns(passes) < WARP:
        return False
    along = sum(_neighbours(s, unnest((s,))[0][-1][0]) for s in passes)
    across = sum(_neighbours(s, name) for s in passes for name, _ in whole.axes[-1:])
    return prod(n for _, n in whole.axes) < MANY or along > across


def _turns(passes: Sequence[Loop]) -> int:
    """Of the longest pass."""
    return max(prod(n for _, n in unnest((s,))[0]) for s in passes)


def _is_shareable(loop: Loop) -> bool:
    """Whether the turns of a pass may be done in any order: none reads what another one accumulates."""
    loops, _ = unnest((loop,))
    own = {b for s in walk((loop,)) if isinstance(s, Accumulate) for b in s.buffers}
    running = any(e.value in own for s in walk((loop,)) for e in loads_in(exprs_of(s)))
    return not running and len(loops) == sum(isinstance(s, Loop) for s in walk((loop,)))


def _neighbours(s: Statement, name: str) -> int:
    """How many accesses of a pass have their neighbours along an axis side by side."""
    loads = [e.args[0] for i in walk((s,)) for e in loads_in(exprs_of(i)) if e.args]
    stores = [i.at[0] for i in walk((s,)) if isinstance(i, Store) and i.at]
    return sum(linear(i).stride(name) == 1 for i in (*loads, *stores))


def rows(whole: Nest, names: Iterator[str]) -> Bound:
    """Each row by several threads of a block."""
    total = prod(n for _, n in whole.axes)
    turns = _turns([s for s in whole.core if isinstance(s, Loop)])
    width = min(THREADS, max(WARP, power_of_two(-(-turns // TURNS))))
    count = min(THREADS // width, power_of_two(total))
    blocks = -(-total // count)
    suffix = next(names)
    block, y, x = (axis(f"{name}{suffix}") for name in ("block", "row", "thread"))
    row = block * count + y
    core, kept = keep(whole.core, total, lambda at, size: row * size + at, names)
    shared = _Shared((count, width), y, x, () if blocks * count == total else (row < total,), names)
    body = tuple(new for s in placed(core, unravel(row, whole.axes)) for new in shared.statement(s))
    if isinstance(body[-1], Sync):  # nobody reads what the last pass stored
        body = body[:-1]
    threads = Loop(str(y.value), count, "thread", (Loop(str(x.value), width, "thread", body),))
    return Bound(Loop(str(block.value), blocks, "block", (*map(Alloc, shared.parts), threads)), kept)


@dataclass
class _Shared:
    """A core as the threads of a block do it.

    ``exists``: under which condition a row is one. ``parts``: where warps show what they have accumulated.
    """

    shape: tuple[int, int]
    y: Expr
    x: Expr
    exists: tuple[Expr, ...]
    names: Iterator[str]
    parts: list[Buffer] = field(default_factory=list)
    own: dict[str, Buffer] = field(default_factory=dict)

    def statement(self, s: Statement) -> Body:
        """A statement of the core; behind a pass all threads have what it accumulated, and see what it stored."""
        match s:
            case Alloc(buffer):
                self.own[buffer.name] = buffer
                return (s,)
            case Store(buffer, _, expr) if buffer in self.own and not loads_in((expr,)):
                return (s,)
            case Loop():
                steps = [a for a in walk((s,)) if isinstance(a, Accumulate)]
                merged = [new for a in steps for new in self.merged(a)]
                return (*self.guarded(self.exists, self.dealt((s,))), *(merged or [Sync()]))
            case Store(buffer) | Accumulate((buffer, *_)) if buffer in self.own:  # what all threads have all go on with
                return self.guarded(self.exists, (s,))
        return self.guarded((*self.exists, eq(self.x, 0)), (s,))

    def guarded(self, conditions: Sequence[Expr], body: Body) -> Body:
        for cond in reversed(conditions):
            body = (If(cond, body),)
        return body

    def dealt(self, body: Body) -> Body:
        """The turns of a pass that one thread does."""
        axes, inner = unnest(body)
        turns, width = prod(n for _, n in axes), self.shape[1]
        turn = "turn" + next(self.names)
        number = -(-turns // width)
        r = axis(turn) * width + self.x
        dealt = placed(inner, unravel(r, axes))
        return nest([(turn, number)], dealt if number * width == turns else (If(r < turns, dealt),))

    def merged(self, step: Accumulate) -> Iterator[Statement]:
        """What the threads of each row have accumulated, in the accumulators of all of them."""
        width = self.shape[1]
        mine = [self.own[name] for name in step.buffers]
        parts = [self.like(b, self.shape, "shared") for b in mine]
        others = [self.like(b, (), "register") for b in mine]
        self.parts += parts
        yield from map(Alloc, others)
        for shuffle in SHUFFLE.values():
            for b, other, part in zip(mine, others, parts, strict=True):
                place = expression.load(part.name, (self.y, self.x), b.dtype)
                yield Call(shuffle, (_value(other), _value(b), place))
            yield self.merge(step, map(_value, others))
        first = [Store(p.name, (self.y, self.x // WARP), _value(b)) for p, b in zip(parts, mine, strict=True)]
        yield If(eq(self.x % WARP, 0), tuple(first))
        yield Sync()
        for b, part in zip(mine, parts, strict=True):
            yield Store(b.name, (), expression.load(part.name, (self.y, const(0, INDEX)), b.dtype))
        for warp in range(1, width // WARP):
            yield self.merge(step, [expression.load(p.name, (self.y, const(warp, INDEX)), p.dtype) for p in parts])

    def like(self, b: Buffer, shape: tuple[int, ...], space: str) -> Buffer:
        return Buffer(b.name + next(self.names), b.dtype, shape, space)

    def merge(self, step: Accumulate, other: Iterable[Expr]) -> Statement:
        return Accumulate(step.buffers, (), replace(step.combiner, step=step.combiner.merge), tuple(other))


def _value(b: Buffer) -> Expr:
    return expression.load(b.name, (), b.dtype)

"""What schedules for a GPU share: positions of threads, and what threads keep for later."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

from codegen.kernel import Alloc, Body, Buffer, Call, Loop, Statement, Store, block_of, map_body, with_block
from symgraph import expression
from symgraph.expression import INDEX, Expr, const
from symgraph.formula import Axis

THREADS = 256  # of a block
WARP = 32


@dataclass(frozen=True)
class Bound:
    """A nest as block loops around thread loops, or as a call, and the buffers that it needs beside the kernel's."""

    top: Loop | Call
    buffers: tuple[Buffer, ...] = ()


def unravel(flat: Expr, axes: Sequence[Axis]) -> dict[str, Expr]:
    """The index along each axis of a row-major position, the last axis fastest."""
    found: dict[str, Expr] = {}
    inner = 1
    for k, (name, n) in reversed(list(enumerate(axes))):
        outer = flat // inner if inner > 1 else flat
        found[name] = const(0, INDEX) if n == 1 else outer % n if k else outer
        inner *= n
    return found


def placed(body: Body, places: dict[str, Expr]) -> Body:
    """``body`` with indices replaced."""
    return map_body(body, lambda exprs: expression.rename(exprs, places))


def power_of_two(n: int) -> int:
    """The least power of two that is not below ``n``."""
    return 1 << max(n - 1, 0).bit_length()


def keep(
    core: Body, rows: int, place: Callable[[Expr, int], Expr], names: Iterator[str]
) -> tuple[Body, tuple[Buffer, ...]]:
    """``core`` with storage of the thread in memory that all threads share: ``rows`` times as much.

    A GPU's thread has registers, and no memory near to it. ``place(at, size)`` is where element ``at`` of the ``size``
    that a row keeps lies.
    """
    found = [s.buffer for s in core if isinstance(s, Alloc) and s.buffer.space == "thread"]
    sizes = {b.name: prod(b.shape) for b in found}
    new = {b.name: Buffer(b.name + next(names), b.dtype, (sizes[b.name] * rows,)) for b in found}

    def moved(e: Expr) -> Expr | None:
        if e.prim != "load" or e.value not in new:
            return None
        (at,) = expression.substitute(e.args, moved)
        return expression.load(new[str(e.value)].name, (place(at, sizes[str(e.value)]),), e.dtype)

    def stored(s: Statement) -> Statement:
        if isinstance(s, Store) and s.buffer in new:
            return replace(s, buffer=new[s.buffer].name, at=(place(s.at[0], sizes[s.buffer]),))
        return with_block(s, tuple(map(stored, block_of(s))))

    left = tuple(s for s in core if not (isinstance(s, Alloc) and s.buffer.name in new))
    body = tuple(map(stored, map_body(left, lambda exprs: expression.substitute(exprs, moved))))
    return body, tuple(new.values())

"""Joint kernels: two that walk the same rows one after the other become one, which does both row by row.

    serial n < 128:                       serial n < 128:
      m[n, ...] = ... x[n, ...]             row[...] = ... x[n, ...]
    serial n < 128:                  ->     y[n, ...] = ... row[...]
      y[n, ...] = ... m[n, ...]

What only these two touch is then as large as one row, in storage of the thread, and is read while it is in a cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from math import prod

from codegen.affine import Linear, linear, loads_in
from codegen.kernel import (
    Accumulate,
    Alloc,
    Body,
    Buffer,
    Kernel,
    Loop,
    Statement,
    Store,
    block_of,
    exprs_of,
    map_body,
    walk,
    with_block,
    writes,
)
from codegen.ranges import span
from codegen.unroll import copy
from symgraph import expression
from symgraph.expression import Expr
from symgraph.formula import DOT
from symgraph.types import SIZES

FEW_ROWS = 16  # too few for all threads
SMALL_ROW = 1 << 10  # elements of a row below which the loops inside would be short
REUSE = 12  # uses in a row of what all rows read: with fewer it is better kept for several rows
FAR = 4  # a value of so many times the bytes that stay near has left the cache before it is read again


def join(first: Kernel, second: Kernel, own: AbstractSet[str], near: int, suffix: str) -> Kernel | None:
    """Both kernels row by row, or None where that is not right or does not pay.

    Parameters
    ----------
    first, second : Kernel
        As lowered.
    own : set of str
        The buffers that nothing else touches: they become storage of the thread.
    near : int
        Bytes of a row that stay in a cache.
    suffix : str
        For the names that ``second`` binds.
    """
    a, b = _rows(first), _rows(second)
    if a is None or b is None or a.extent != b.extent or a.extent < FEW_ROWS:
        return None
    buffers = {b.name: b for b in (*first.buffers, *second.buffers)}
    both = {b.name for b in first.buffers} & {b.name for b in second.buffers}
    row = {b.index: expression.axis(a.index)}
    moved = copy(map_body(b.body, lambda exprs: expression.rename(exprs, row)), suffix)
    loop = replace(a, body=(*a.body, *moved))
    rows = {name: _row(name, loop) for name in both & (writes(first) | writes(second))}
    inside = {
        name: Buffer(f"row_{name}", buffers[name].dtype, (n or 0,), "thread") for name, n in rows.items() if name in own
    }
    sizes = [n * SIZES[b.dtype] for b in inside.values() for n in b.shape]
    if not all(rows.values()) or not inside or sum(sizes) > near or not all(_stays(s, a.index) for s in loop.body):
        return None
    if max(b.shape[0] for b in inside.values()) < SMALL_ROW or max(sizes) * loop.extent < FAR * near:
        return None
    body = (*map(Alloc, inside.values()), *_inside(loop, inside))
    return Kernel(first.name, tuple(b for n, b in buffers.items() if n not in inside), (replace(loop, body=body),))


def joint_rows(kernel: Kernel) -> Loop | None:
    """The loop over the rows of a joint kernel; None for any other."""
    loop = _rows(kernel)
    return loop if loop is not None and len([s for s in loop.body if isinstance(s, Loop)]) > 1 else None


def _rows(kernel: Kernel) -> Loop | None:
    """The loop around a kernel in which there are further loops, and nothing else."""
    loop = kernel.body[0] if len(kernel.body) == 1 else None
    if not isinstance(loop, Loop):
        return None
    return loop if all(isinstance(s, Loop) or _is_scratch(s) for s in loop.body) else None


def _is_scratch(s: Statement) -> bool:
    return isinstance(s, Alloc) and s.buffer.space == "thread"


def _stays(nest: Statement, row: str) -> bool:
    """Whether a nest of a row uses what it shares with other rows often enough."""
    extents = {s.index: s.extent for s in walk((nest,)) if isinstance(s, Loop)}
    loads = [e for s in walk((nest,)) if isinstance(s, Accumulate) and s.combiner is DOT for e in loads_in(s.exprs)]
    shared = [e for e in loads if e.args and row not in e.names]
    return all(prod(n for i, n in extents.items() if i not in e.names) >= REUSE for e in shared)


def _row(name: str, loop: Loop) -> int | None:
    """Elements of a row of a buffer, if each turn of ``loop`` stays in a row of its own."""
    ranges = {s.index: (0, s.extent - 1) for s in walk((loop,)) if isinstance(s, Loop)}
    places = [i for s in walk(loop.body) for n, i in _places(s) if n == name]
    steps = {linear(i).stride(loop.index) for i in places}
    size = steps.pop() if len(steps) == 1 else None
    if not size or size < 0:
        return None
    spans = [span(_in_row(i, loop.index), ranges) for i in places]
    return size if all(s is not None and s[0] >= 0 and s[1] < size for s in spans) else None


def _places(s: Statement) -> Iterator[tuple[str, Expr]]:
    """(buffer, flat index) of each access of memory in a statement, what is inside it aside."""
    yield from ((str(e.value), e.args[0]) for e in loads_in(exprs_of(s)) if e.args)
    if isinstance(s, Store | Accumulate) and s.at:
        yield from ((name, s.at[0]) for name in ((s.buffer,) if isinstance(s, Store) else s.buffers))


def _in_row(index: Expr, row: str) -> Expr:
    """A flat index without the part that says which row."""
    form = linear(index)
    return Linear(tuple((a, f) for a, f in form.terms if a.value != row or a.prim != "axis"), form.offset).expr()


def _inside(loop: Loop, inside: Mapping[str, Buffer]) -> Body:
    """The body of ``loop`` with the buffers of ``inside`` as storage of one row."""

    def place(e: Expr) -> Expr | None:
        b = inside.get(str(e.value)) if e.prim == "load" else None
        return expression.load(b.name, (_in_row(e.args[0], loop.index),), e.dtype) if b else None

    def written(s: Statement) -> Statement:
        s = with_block(s, tuple(map(written, block_of(s))))
        if isinstance(s, Store) and s.buffer in inside:
            return replace(s, buffer=inside[s.buffer].name, at=(_in_row(s.at[0], loop.index),))
        return s

    return tuple(map(written, map_body(loop.body, lambda exprs: expression.substitute(exprs, place))))

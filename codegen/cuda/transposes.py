"""Transposes: what a map reads across its own order comes through tiles in shared storage.

Neighbouring threads write neighbours along the last axis. An operand whose neighbours lie along another axis is fetched
in that order, a tile at a time, and read from the tile in the order of the results.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from codegen.affine import all_of, linear, loads_in
from codegen.cuda.threads import Bound, placed, unravel
from codegen.kernel import Alloc, Body, Buffer, If, Loop, Store, Sync, map_body
from codegen.tiles import Nest
from symgraph import expression
from symgraph.expression import Expr, axis
from symgraph.formula import Axis

SIDE = 32  # of a tile
ROWS = 8  # of threads: each fetches SIDE / ROWS elements
MOST = 4  # operands that go through tiles
LARGE = 1 << 14  # elements from which tiles are worth their barrier


@dataclass(frozen=True)
class Transpose:
    """A map over (..., ``across``, ..., ``along``), which reads ``operands`` with neighbours along ``across``."""

    across: Axis
    along: Axis
    operands: tuple[Expr, ...]


def find_transpose(whole: Nest) -> Transpose | None:
    """What a map reads across, where tiles are worth it."""
    stores = [s for s in whole.core if isinstance(s, Store)]
    if len(stores) < len(whole.core) or len(whole.axes) < 2 or prod(n for _, n in whole.axes) < LARGE:
        return None
    *others, along = whole.axes
    stored = {s.buffer for s in stores}
    loads = [e for e in loads_in([s.expr for s in stores]) if e.value not in stored]
    for across in reversed(others):
        found = tuple(e for e in loads if _is_across(e, across[0], along[0]))
        if found and min(across[1], along[1]) >= SIDE:
            return Transpose(across, along, found) if len(found) <= MOST else None
    return None


def _is_across(e: Expr, across: str, along: str) -> bool:
    form = linear(e.args[0])
    return form.stride(across) == 1 and form.stride(along) not in (None, 0, 1)


def transpose(whole: Nest, found: Transpose, names: Iterator[str]) -> Bound:
    """The map in tiles of ``SIDE`` by ``SIDE`` results."""
    suffix = next(names)
    block, y, x, part, again = (axis(f"{n}{suffix}") for n in ("block", "row", "thread", "part", "again"))
    outer = [a for a in whole.axes if a not in (found.across, found.along)]
    tiles = [(name, -(-n // SIDE)) for name, n in (found.across, found.along)]
    base = unravel(block, [*outer, *tiles])
    fetched, written = part * ROWS + y, again * ROWS + y
    held = [Buffer(f"tile{k}{suffix}", e.dtype, (SIDE, SIDE + 1), "shared") for k, e in enumerate(found.operands)]
    stores = tuple(Store(b.name, (fetched, x), e) for b, e in zip(held, found.operands, strict=True))
    in_tiles = {e: expression.load(b.name, (x, written), b.dtype) for e, b in zip(found.operands, held, strict=True)}
    core = map_body(whole.core, lambda exprs: expression.substitute(exprs, in_tiles.get))
    turns = SIDE // ROWS
    body = (
        Loop(str(part.value), turns, "unroll", _inside(stores, found, base, x, fetched)),
        Sync(),
        Loop(str(again.value), turns, "unroll", _inside(core, found, base, written, x)),
    )
    threads = Loop(str(y.value), ROWS, "thread", (Loop(str(x.value), SIDE, "thread", body),))
    count = prod(n for _, n in (*outer, *tiles))
    return Bound(Loop(str(block.value), count, "block", (*map(Alloc, held), threads)))


def _inside(body: Body, found: Transpose, base: dict[str, Expr], across: Expr, along: Expr) -> Body:
    """``body`` at a place of the tile, if there is a result."""
    places = dict(base)
    conditions = []
    for (name, n), place in ((found.across, across), (found.along, along)):
        places[name] = base[name] * SIDE + place
        conditions += [places[name] < n] if n % SIDE else []
    made = placed(body, places)
    return (If(all_of(conditions), made),) if conditions else made

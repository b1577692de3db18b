"""Which loops become vectors, rows of a register tile, and lanes: a small search over a cost model.

For each axis that could be the vector the model counts the elements that loads and stores move; for a reduction it also
tries rows along two more axes, and takes the tile with the fewest loads for each multiply-add that fits in registers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import gcd, prod

from codegen.affine import linear, loads_in
from codegen.guards import guards_of
from codegen.kernel import Accumulate, Alloc, Body, If, Kernel, Loop, Store, exprs_of, walk
from symgraph import expression
from symgraph.expression import INDEX, Expr
from symgraph.lazy import lazy
from symgraph.types import SIZES

GATHER = 1.3  # cost of a strided or gathered lane beside a scalar access
TRANSPOSED = 4.0  # cost of a vector of a square that is read or written along its rows
BROADCAST = 0.9  # cost of an element for all lanes beside a vector: both are a load, but it never crosses a cache line
FUSED, LOAD = 0.5, 0.5  # cost of a multiply-add and of a load: two of each start in a cycle
ROWS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 14)
HEAVY = 6  # terms of a summand
LONGEST_PERIOD = 8  # vectors side by side
CODE, MOST_CODE = 1 << 21, 0.06  # multiply-adds that compiling a tile is worth, and the share that it may be at most
GUARDED = 4  # vectors side by side where each tile asks whether it is whole
LATENCY = 8  # independent accumulators that keep the adders busy
WAY, WAYS = 4096, 8  # bytes after which lines fall into the same set of the nearest cache, and how many it holds
CROWDED = 3  # cost of an element that has left it again beside one that stayed


@dataclass(frozen=True)
class Machine:
    """What scheduling knows of a processor; ``near`` bytes stay in a cache of a thread's own."""

    vector_bytes: int
    registers: int
    near: int = 0


@dataclass(frozen=True)
class Tile:
    """The inside of a split loop: ``rows`` single turns, or as many vectors of ``width`` lanes, masked at the end."""

    rows: int
    width: int = 0
    masked: bool = False

    @property
    def step(self) -> int:
        """Turns of the loop that one tile does."""
        return self.rows * max(self.width, 1)

    def pieces(self, n: int) -> Iterator[tuple[int, int, Tile]]:
        """(first turn, number of tiles, tile): whole tiles, then what is left."""
        turns, left = divmod(n, self.step)
        if turns:
            yield 0, turns, self
        if left and self.width:
            yield turns * self.step, 1, Tile(-(-left // self.width), self.width, left % self.width > 0)
        elif left:
            yield turns * self.step, 1, Tile(left)


@dataclass(frozen=True)
class Nest:
    """Independent loops around a core.

    Attributes
    ----------
    axes : tuple of (name, extent)
    core : Body
        A map's stores, or the statements of a reduction with its sequential loops.
    independent : bool
        False for a scatter: its loops must keep their order.
    times : int
        How often all of it is done, in a loop around it.
    """

    axes: tuple[tuple[str, int], ...]
    core: Body
    independent: bool
    times: int = 1

    @lazy
    def sequential(self) -> list[tuple[str, int]]:
        """The loops inside the core, outermost first."""
        return [(s.index, s.extent) for s in walk(self.core) if isinstance(s, Loop)]

    @lazy
    def steps(self) -> list[Accumulate]:
        """The accumulating statements."""
        return [s for s in walk(self.core) if isinstance(s, Accumulate)]

    @lazy
    def accesses(self) -> list[Expr]:
        """The flat index of each global load and store, loads of registers left out."""
        loads = [e.args[0] for s in walk(self.core) for e in loads_in(exprs_of(s)) if e.args]
        return loads + [s.at[0] for s in walk(self.core) if isinstance(s, Store | Accumulate) and s.at]

    @lazy
    def inner_loads(self) -> list[Expr]:
        """What is read in the innermost sequential loop."""
        return [e for s in self.steps for e in loads_in(exprs_of(s)) if e.args]

    @lazy
    def inner_accesses(self) -> list[Expr]:
        """Their flat indices."""
        return [e.args[0] for e in self.inner_loads]

    @lazy
    def apart(self) -> list[dict[str, int]]:
        """For each of ``inner_loads`` and each loop, how far apart in the sets of the nearest cache its turns read."""
        names = [n for n, _ in (*self.axes, *self.sequential)]
        steps = [{n: linear(e.args[0]).stride(n) for n in names} for e in self.inner_loads]
        sizes = [SIZES[e.dtype] for e in self.inner_loads]
        return [{n: gcd(s * size, WAY) for n, s in by.items() if s} for by, size in zip(steps, sizes, strict=True)]

    @lazy
    def outer_accesses(self) -> list[Expr]:
        """The flat indices read and written once for each result."""
        inner = set(self.inner_accesses)
        return [i for i in self.accesses if i not in inner]

    @lazy
    def touched(self) -> list[set[str]]:
        """The loops that each of ``inner_accesses`` depends on."""
        names = [n for n, _ in (*self.axes, *self.sequential)]
        forms = [linear(i) for i in self.inner_accesses]
        return [{n for n in names if f.stride(n) != 0} for f in forms]

    @lazy
    def order(self) -> tuple[str, ...]:
        """The outer loops: first those that walk the largest operand, so that it is read once.

        A matrix as large as its factors goes by columns, as a product with it does: a thread keeps what is its own.
        """
        extents = dict((*self.axes, *self.sequential))
        sizes = [prod(extents[n] for n in names) for names in self.touched]
        largest = max(sizes, default=0)
        if len(self.axes) == 2 and prod(n for _, n in self.axes) >= largest:
            return self.axes[1][0], self.axes[0][0]
        first = {n for names, size in zip(self.touched, sizes, strict=True) if size == largest for n in names}
        return tuple(sorted((n for n, _ in self.axes), key=lambda n: n not in first))

    @lazy
    def heavy(self) -> bool:
        """Whether the summands are more work than to add them."""
        return is_heavy([e for s in self.steps for e in s.exprs])

    @property
    def turns(self) -> int:
        """How often the innermost statement runs."""
        return prod(n for _, n in (*self.axes, *self.sequential))


@dataclass(frozen=True)
class Deal:
    """A loop dealt to lanes: ``vectors`` of ``width`` elements in a turn."""

    vectors: int
    width: int

    @property
    def lanes(self) -> int:
        """Elements that one turn of the dealt loop takes."""
        return self.vectors * self.width


@dataclass(frozen=True)
class Plan:
    """How a nest is built: loop order, tiles by axis, and the sequential axes that are dealt to lanes."""

    order: tuple[str, ...]
    tiles: Mapping[str, Tile] = field(default_factory=dict)
    deals: Mapping[str, Deal] = field(default_factory=dict)
    work: int = 0


def choose(nest: Nest, machine: Machine) -> Plan:
    """The plan with the least cost."""
    order = tuple(name for name, _ in nest.axes)
    work = nest.turns * max(1, arithmetic([e for s in walk(nest.core) for e in exprs_of(s)]))
    plain = Plan(order, work=work)
    if not nest.independent:
        return _scatter_plan(nest, machine, plain)
    best = min(_candidates(nest, machine, plain), key=lambda c: c[0], default=None)
    return best[1] if best is not None and best[0] < 1.0 else plain


def arithmetic(exprs: Sequence[Expr]) -> int:
    """Terms that compute something, index arithmetic left out."""
    return sum(e.dtype != INDEX and e.prim not in ("load", "axis", "const") for e in expression.toposort(exprs))


def is_heavy(summands: Sequence[Expr]) -> bool:
    """Whether the values of summands want the registers, and keep the adders busy while one sum waits for the next."""
    return arithmetic(summands) > HEAVY


def work_of(part: Kernel | Loop | If) -> int:
    """About how many scalar operations are done, those under a condition always."""
    total = 0
    for s in part.body:
        if isinstance(s, Loop | If):
            total += work_of(s) * (s.extent if isinstance(s, Loop) else 1)
        elif isinstance(s, Store | Accumulate):
            total += max(1, arithmetic(exprs_of(s)))
    return total


def width_for(nest: Nest, machine: Machine, extent: int) -> int:
    """Lanes of a vector: by the widest element, halved while half would hold the whole loop.

    64-bit integers only count where nothing else is there: beside others they are indices, and products of words.
    """
    dtypes = [e.dtype for s in walk(nest.core) for e in expression.toposort(exprs_of(s)) if e.dtype != INDEX]
    size = max([SIZES[d] for d in dtypes if d not in ("int64", "uint64")], default=8)
    width = machine.vector_bytes // max(size, 4)
    while width // 2 >= extent:
        width //= 2
    return width


# ------------------------------------------------------------------------------------------------ candidates


def _candidates(nest: Nest, machine: Machine, plain: Plan) -> Iterator[tuple[float, Plan]]:
    """(cost beside scalar code, plan) for each way to use vectors."""
    for name, extent in nest.axes:
        yield from _outer_vector(nest, machine, plain, name, extent)
    if _is_plain_reduction(nest):
        for name, extent in nest.sequential:
            yield from _lane_vector(nest, machine, plain, name, extent)


def _is_plain_reduction(nest: Nest) -> bool:
    """One accumulation in one nest of loops, with nothing else inside them: it may be done in any order."""
    tops = [s for s in nest.core if isinstance(s, Loop)]
    inside = [s for s in walk(tuple(tops)) if isinstance(s, Store)]
    return len(tops) == 1 and len(nest.steps) == 1 and not inside


def prices(accesses: Sequence[Expr], name: str, width: int) -> list[float]:
    """What a vector along an axis costs for each access: a broadcast, a vector, or lane by lane."""
    known = {0: BROADCAST, 1: 1.0}
    strides = [linear(i).stride(name) for i in accesses]
    return [known.get(s, GATHER * width) if s is not None else GATHER * width for s in strides]


def use(extent: int, width: int) -> float:
    """The share of lanes that do work."""
    return extent / (-(-extent // width) * width)


def _outer_vector(nest: Nest, machine: Machine, plain: Plan, name: str, extent: int) -> Iterator[tuple[float, Plan]]:
    width = width_for(nest, machine, extent)
    if width < 2 or extent < 2:
        return
    lanes = width * use(extent, width)
    if not nest.steps:
        paid = prices(nest.accesses, name, width)
        order = _with_last(plain.order, name)
        cost = (1 + sum(paid)) / (lanes * (1 + len(paid)))
        vectors = max(_period(nest, name, width), GUARDED if guards_of(nest.core, name) else 1)
        yield cost, _planned(plain, order, {name: Tile(vectors, width)})
        yield from _squares(nest, plain, name, width, paid)
        return
    paid = prices(nest.inner_accesses, name, width)
    share = prod(n for _, n in nest.sequential)
    once = sum(prices(nest.outer_accesses, name, width)) / max(share, 1)
    for vectors in range(1, min(4, -(-extent // width)) + 1):
        for rows in _row_tiles(nest, machine, name, vectors):
            tiles = {**{a: Tile(r) for a, r in rows.items()}, name: Tile(vectors, width)}
            cost = _tile_cost(rows, nest, paid, name, tiles[name], False) + once
            yield cost / (lanes * _scalar_cost(nest)), _planned(plain, nest.order, tiles)


def _squares(
    nest: Nest, plain: Plan, name: str, width: int, paid: Sequence[float]
) -> Iterator[tuple[float, Plan]]:  # fmt: skip
    """Vectors along ``name`` in as many rows as they have lanes: what is strided across them lies along the rows."""
    if is_heavy([e for s in walk(nest.core) for e in exprs_of(s)]) or guards_of(nest.core, name):
        return
    forms, own = [linear(i) for i in nest.accesses], dict(nest.axes)[name]
    for other, extent in nest.axes:
        across = [f.stride(other) == 1 and f.stride(name) not in (None, -1, 0, 1) for f in forms]
        if other == name or min(extent, own) < width or not any(across) or guards_of(nest.core, other):
            continue
        moved = sum(TRANSPOSED if turned else price for turned, price in zip(across, paid, strict=True))
        order = _with_last(_with_last(plain.order, other), name)
        tiles = {name: Tile(1, width), other: Tile(width)}
        yield (1 + moved) / (width * use(own, width) * (1 + len(paid))), _planned(plain, order, tiles)


def _period(nest: Nest, name: str, width: int) -> int:
    """Vectors after which the quotients by multiples of ``width`` that stand in the terms begin anew.

    Side by side these vectors share what only depends on the quotient.
    """
    terms = expression.toposort([e for s in walk(nest.core) for e in exprs_of(s)])
    divided = [e for e in terms if e.prim in ("floordiv", "mod") and e.dtype == INDEX and e.args[1].prim == "const"]
    divisors = [int(e.args[1].value) for e in divided if linear(e.args[0]).stride(name) == 1]  # type: ignore[arg-type]
    return max([d // width for d in divisors if d % width == 0 and d <= LONGEST_PERIOD * width], default=1)


def _lane_vector(nest: Nest, machine: Machine, plain: Plan, name: str, extent: int) -> Iterator[tuple[float, Plan]]:
    width = width_for(nest, machine, extent)
    if width < 2 or extent < 4:
        return
    # one merge of the lanes for each result: dear beside a short loop
    merge = 1 + 12 * width.bit_length() / max(1, prod(n for _, n in nest.sequential))
    paid = prices(nest.inner_accesses, name, width)
    lanes = width * use(extent, width)
    for vectors in (1, 2, 4):
        if vectors > 1 and extent < vectors * width:
            continue
        for rows in _row_tiles(nest, machine, name, vectors):
            tiles = {a: Tile(r) for a, r in rows.items()}
            made = _planned(plain, nest.order, tiles)
            cost = _tile_cost(rows, nest, paid, name, Tile(vectors, width), True) * merge / (lanes * _scalar_cost(nest))
            yield cost, Plan(made.order, tiles, {name: Deal(vectors, width)}, plain.work)


def _planned(plain: Plan, order: tuple[str, ...], tiles: Mapping[str, Tile]) -> Plan:
    return Plan(order, tiles, work=plain.work)


def _row_tiles(nest: Nest, machine: Machine, vector: str, vectors: int) -> Iterator[dict[str, int]]:
    """Rows along up to two more axes that fit in registers."""
    accs = max(1, len([s for s in walk(nest.core) if isinstance(s, Alloc)]))
    room = (4 if nest.heavy else machine.registers * 3 // 4) // accs
    axes = [(n, e) for n, e in nest.axes if n != vector and any(n not in t for t in nest.touched)]
    for first, second in _axis_pairs(axes):
        for r1, r2 in product(_rows(first), _rows(second)):
            if r1 * r2 * vectors > room:
                continue
            yield {a[0]: r for a, r in ((first, r1), (second, r2)) if a and r > 1}


def _axis_pairs(axes: Sequence[tuple[str, int]]) -> Iterator[tuple[tuple[str, int] | None, tuple[str, int] | None]]:
    yield None, None
    for k, a in enumerate(axes):
        yield a, None
        for b in axes[k + 1 :]:
            yield a, b


def _rows(axis: tuple[str, int] | None) -> Sequence[int]:
    return (1,) if axis is None else [r for r in ROWS if r <= axis[1] and r > 1]


def _tile_cost(
    rows: Mapping[str, int], nest: Nest, prices: Sequence[float], vector: str, tile: Tile, deep: bool
) -> float:
    """What a multiply-add of a vector costs: its own time, its share of loads, the wait of too few accumulators.

    ``deep``: the vector axis is sequential, so that its vectors are not part of the result.
    """
    vectors, loads = tile.rows, 0.0
    adds = prod(rows.values()) * vectors
    turns = {**rows, vector: tile.step}
    for price, names, apart in zip(prices, nest.touched, nest.apart, strict=True):
        if any(turns.get(a, 1) * distance > WAYS * WAY for a, distance in apart.items()):
            price *= CROWDED
        loads += price * prod(r for a, r in rows.items() if a in names) * (vectors if vector in names or deep else 1)
    waits = 0.0 if nest.heavy else max(0, LATENCY - adds) / (4 * LATENCY)
    return (FUSED + LOAD * loads / adds + waits) * _waste(rows, nest)


def _scalar_cost(nest: Nest) -> float:
    return FUSED + LOAD * len(nest.inner_accesses)


def _waste(rows: Mapping[str, int], nest: Nest) -> float:
    """What the smaller tile at the end of an axis costs: its rows do less for each load, and its code is another."""
    cost, extents = 1.0, dict(nest.axes)
    code = min(MOST_CODE, CODE / max(nest.turns * nest.times, 1))
    for a, r in rows.items():
        n = extents[a]
        cost *= 1 + (n % r > 0) * (0.3 * r / n + code)
    return cost


def _with_last(order: Sequence[str], name: str) -> tuple[str, ...]:
    return (*[n for n in order if n != name], name)


def _scatter_plan(nest: Nest, machine: Machine, plain: Plan) -> Plan:
    """A scatter keeps its order; lanes along the innermost axis are safe where they write side by side."""
    if not nest.axes:
        return plain
    name, extent = nest.axes[-1]
    (step,) = nest.steps
    form = linear(step.at[0])
    atoms = [t for t, _ in form.terms if t.prim != "axis" and name in t.names]
    width = width_for(nest, machine, extent)
    if form.stride(name) != 1 or atoms or width < 2 or extent < 2:
        return plain
    return _planned(plain, plain.order, {name: Tile(1, width)})

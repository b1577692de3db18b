"""Plans for cores of several passes over a row: all share a vector of rows, or each is dealt to lanes of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod

from codegen.affine import loads_in
from codegen.group import cost
from codegen.kernel import Accumulate, Body, Loop, Statement, Store, exprs_of, unnest, walk
from codegen.tiles import FUSED, LOAD, Deal, Machine, Nest, Plan, Tile, arithmetic, is_heavy, prices, use, width_for
from symgraph import expression
from symgraph.expression import Expr

MERGE = 2.0  # cost of a step of the tree that merges lanes


def has_passes(nest: Nest) -> bool:
    """Whether the core has several loops, or one that does more than to accumulate, each in any order."""
    tops = [s for s in nest.core if isinstance(s, Loop)]
    single = len(tops) == 1 and len(nest.steps) == 1 and not _stores(tops[0])
    return nest.independent and bool(tops) and not single and not any(map(_is_running, tops))


def _stores(s: Statement) -> list[Store]:
    return [i for i in walk((s,)) if isinstance(i, Store)]


def _is_running(loop: Loop) -> bool:
    """Whether a loop reads what it accumulates."""
    own = {b for s in walk((loop,)) if isinstance(s, Accumulate) for b in s.buffers}
    return any(e.value in own for s in walk((loop,)) for e in loads_in(exprs_of(s)))


def plan_passes(nest: Nest, machine: Machine) -> Plan:
    """The plan with the least cost for each row."""
    order = tuple(name for name, _ in nest.axes)
    rows = prod(n for _, n in nest.axes)
    work = rows * sum(_turns(s) * max(1, arithmetic(_terms((s,)))) for s in nest.core)
    plain = Plan(order, work=work)
    candidates = [(_cost(nest, None, 1, 1), plain), *_vector(nest, machine, plain), *_dealt(nest, machine, plain)]
    return min(candidates, key=lambda c: c[0])[1]


def _turns(s: Statement) -> int:
    return prod(n for _, n in unnest((s,))[0])


def _terms(body: Body) -> list[Expr]:
    return [e for s in walk(body) for e in exprs_of(s)]


def _accesses(s: Statement) -> list[Expr]:
    """The flat indices of memory that a statement of the core reads and writes."""
    loads = [e.args[0] for e in loads_in(_terms((s,))) if e.args]
    return loads + [i.at[0] for i in _stores(s) if i.at]


def _pass_cost(s: Statement, name: str | None, width: int) -> float:
    """What one turn of a statement costs with vectors along ``name``."""
    found = _accesses(s)
    moved = prices(found, name, width) if name else [1.0] * len(found)
    return FUSED * cost(expression.toposort(_terms((s,)))) + LOAD * sum(moved)


def _cost(nest: Nest, name: str | None, width: int, lanes: float) -> float:
    """What a row costs with vectors of rows along ``name``."""
    return sum(_turns(s) * _pass_cost(s, name, width) for s in nest.core) / lanes


def _vectors(body: Body, machine: Machine, extent: int, width: int) -> int:
    """Vectors side by side: enough of them for independent chains of additions, as far as there are registers."""
    steps = [s for s in walk(body) if isinstance(s, Accumulate)]
    if is_heavy([e for s in steps for e in s.exprs]):
        return 1
    return max(v for v in (1, 2, 4) if v == 1 or (v * width <= extent and 2 * v * len(steps) <= machine.registers))


def _vector(nest: Nest, machine: Machine, plain: Plan) -> Iterator[tuple[float, Plan]]:
    """A vector of rows that all passes share."""
    for name, extent in nest.axes:
        width = width_for(nest, machine, extent)
        if width < 2 or extent < 2:
            continue
        vectors = _vectors(nest.core, machine, extent, width)
        order = (*[n for n in plain.order if n != name], name)
        made = replace(plain, order=order, tiles={name: Tile(vectors, width)})
        yield _cost(nest, name, width, width * use(extent, width)), made


def _dealt(nest: Nest, machine: Machine, made: Plan) -> Iterator[tuple[float, Plan]]:
    """Lanes of its own for each pass."""
    deals: dict[str, Deal] = {}
    total = 0.0
    for s in nest.core:
        plain = (_turns(s) * _pass_cost(s, None, 1), "", None)
        best, name, deal = min(_deals(nest, machine, s), key=lambda o: o[0], default=plain)
        total += best
        if deal:
            deals[name] = deal
    if deals:
        yield total, replace(made, deals=deals)


def _deals(nest: Nest, machine: Machine, s: Statement) -> Iterator[tuple[float, str, Deal]]:
    loops, _ = unnest((s,))
    accs = len([i for i in walk((s,)) if isinstance(i, Accumulate)])
    for name, extent in loops:
        width = width_for(nest, machine, extent)
        if width < 2 or extent < 4:
            continue
        price = _turns(s) * _pass_cost(s, name, width) / (width * use(extent, width))
        vectors = _vectors((s,), machine, extent, width)
        yield price + accs * MERGE * (width.bit_length() + vectors - 2), name, Deal(vectors, width)

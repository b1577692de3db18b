"""Scheduling for a GPU: the loops of a kernel bound to blocks and threads.

    vectors    a thread for a few neighbours of a large map, which memory gives and takes in one piece
    each       a thread for each result, neighbours side by side in memory
    library    a large product of matrices, which a library does (``codegen.cuda.matrices``)
    product    tiles of a sum of products, in shared storage and registers (``codegen.cuda.products``)
    tensor     the same by tensor cores, where a function's precision allows it (``codegen.cuda.tensors``)
    rows       the threads of a block share the passes over each of its rows (``codegen.cuda.rows``)
    transpose  what a map reads across comes through tiles (``codegen.cuda.transposes``)
    scattered  a thread for each target that no other thread writes, its own additions in their order

Results are the same at each run: what is merged with what is fixed by shapes alone, and nothing is added atomically.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from math import gcd, prod

from codegen.affine import Linear, linear, loads_in
from codegen.blocks import blocked
from codegen.chunks import cut
from codegen.cuda.matrices import Takes, by_library, no_library
from codegen.cuda.products import find_product, product, shares
from codegen.cuda.rows import rows, wants_rows
from codegen.cuda.tensors import TILES as TENSOR_TILES
from codegen.cuda.tensors import is_for_tensors, tensor_product
from codegen.cuda.threads import THREADS, WARP, Bound, keep, placed, power_of_two, unravel
from codegen.cuda.transposes import find_transpose, transpose
from codegen.kernel import Buffer, Call, If, Kernel, Loop, Store, nest
from codegen.ranges import Span, simplify, span
from codegen.schedule import split_nests
from codegen.tiles import Machine, Nest
from symgraph.expression import Expr, axis
from symgraph.types import SIZES

CHUNKED = 1 << 16  # operations from which a reduction to few results is cut into chunks
LARGE = 1 << 18  # elements of a map that keep a GPU busy with several for each thread
BYTES = 16  # that one access of a thread moves at most
MOST_LANES = 4
GPU = Machine(vector_bytes=4, registers=255)  # one lane: threads are the lanes


def schedule(kernel: Kernel, machine: Machine = GPU, precision: str = "highest", takes: Takes = no_library) -> Kernel:
    """The kernel as nests of block loops around thread loops.

    Parameters
    ----------
    kernel : Kernel
    machine : Machine
    precision : str
        Of the function: tensor cores do products that it allows.
    takes : callable
        Whether the device's library does a product of matrices; large ones that it does become calls.
    """
    names = (f"_{n}" for n in count())
    plain, nests = split_nests(kernel, CHUNKED, names)
    cuts = [_parts(n, precision, takes, names) for n in nests]
    made = [_bound(n, precision, names) for parts, _ in cuts for n in parts]
    buffers = (*plain.buffers, *(b for _, between in cuts for b in between), *(b for m in made for b in m.buffers))
    return simplify(blocked(replace(plain, buffers=buffers, body=tuple(m.top for m in made)), machine, names))


def _parts(
    whole: Nest, precision: str, takes: Takes, names: Iterator[str]
) -> tuple[Sequence[Nest | Call], Sequence[Buffer]]:
    """A product by the library, with the maps around it; or one of few tiles and long sums, cut along the sums."""
    found = find_product(whole)
    if found is None:
        return [whole], []
    parts = shares(found, TENSOR_TILES if is_for_tensors(found, precision) else ())
    left = by_library(whole, found, precision, takes, names)
    return left or (cut(whole, parts, names) if parts > 1 else ([whole], []))


def _bound(whole: Nest | Call, precision: str, names: Iterator[str]) -> Bound:
    if isinstance(whole, Call):
        return Bound(whole)
    if not whole.independent:
        return scattered(whole, names)
    found = find_product(whole)
    if found is not None:
        return tensor_product(found, precision, names) if is_for_tensors(found, precision) else product(found, names)
    if wants_rows(whole):
        return rows(whole, names)
    across = find_transpose(whole)
    if across is not None:
        return transpose(whole, across, names)
    width = lanes(whole)
    return vectors(whole, width, names) if width > 1 else each(whole, names)


def each(whole: Nest, names: Iterator[str]) -> Bound:
    """The core for each point of the axes, by a thread of its own."""
    total = prod(n for _, n in whole.axes)
    threads = min(THREADS, max(WARP, power_of_two(total)))
    blocks = -(-total // threads)
    block, thread = "block" + next(names), "thread" + next(names)
    i = axis(block) * threads + axis(thread)
    # neighbours side by side: what the threads keep lies element by element, not row by row
    core, kept = keep(whole.core, total, lambda at, size: at * total + i, names)
    body = placed(core, unravel(i, whole.axes))
    if blocks * threads > total:
        body = (If(i < total, body),)
    return Bound(Loop(block, blocks, "block", (Loop(thread, threads, "thread", body),)), kept)


# ------------------------------------------------------------------------------------------------ vectors


def lanes(whole: Nest) -> int:
    """Neighbours that one thread of a large map does: so many of the widest elements as one access moves."""
    maps = [s for s in whole.core if isinstance(s, Store)]
    if len(maps) < len(whole.core) or not whole.axes or prod(n for _, n in whole.axes) < LARGE:
        return 1
    terms = [e for s in maps for e in (*loads_in((s.expr,)), s.expr)]
    width = min(MOST_LANES, BYTES // max(SIZES[e.dtype] for e in terms))
    name, extent = whole.axes[-1]
    side_by_side = any(linear(i).stride(name) == 1 for i in whole.accesses)
    return width if side_by_side and extent % width == 0 else 1


def vectors(whole: Nest, width: int, names: Iterator[str]) -> Bound:
    """``width`` neighbours along the last axis by each thread."""
    name, extent = whole.axes[-1]
    lane = "lane" + next(names)
    places = {name: axis(name) * width + axis(lane)}
    core = (Loop(lane, width, "vector", placed(whole.core, places)),)
    return each(Nest((*whole.axes[:-1], (name, extent // width)), core, whole.independent), names)


# ------------------------------------------------------------------------------------------------ scatters


def scattered(whole: Nest, names: Iterator[str]) -> Bound:
    """Additions to places that repeat: the axes along which they cannot are threads, the others each thread's own."""
    (step,) = whole.steps
    own = distinct(linear(step.at[0]), dict(whole.axes))
    serial = [a for a in whole.axes if a[0] not in own]
    outer = tuple(a for a in whole.axes if a[0] in own)
    return each(Nest(outer, nest(serial, whole.core), whole.independent), names)


def distinct(place: Linear, extents: dict[str, int]) -> set[str]:
    """Axes that a place determines: two turns that differ in one of them write two places.

    The atoms of the place with the smallest factors are digits of a number, if each factor is greater than all that the
    atoms before it can add up to, and if what is left is a multiple of something greater than all of them.
    """
    ranges = {name: (0, n - 1) for name, n in extents.items()}
    atoms = sorted(place.terms, key=lambda a: abs(a[1]))
    reach, digits, found = 0, [], set[str]()
    for k, (atom, factor) in enumerate(atoms):
        bounds = _bounds(atom, ranges)
        if bounds is None or abs(factor) <= reach:
            break
        reach += abs(factor) * (bounds[1] - bounds[0])
        digits.append(atom)
        rest = gcd(*[f for _, f in atoms[k + 1 :]])
        if rest > reach or not atoms[k + 1 :]:
            found = {str(a.value) for a in digits if a.prim == "axis"}
    return found & extents.keys()


def _bounds(atom: Expr, ranges: dict[str, Span]) -> Span | None:
    return ranges.get(str(atom.value)) if atom.prim == "axis" else span(atom, ranges)

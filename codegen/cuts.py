"""Choices by place: a map that compares an index with a constant becomes a nest for each range of the index.

    serial i < 8:                                                   serial i < 5:
      y[i] = select(i < 5, a[minimum(i, 4)], b[maximum(i - 5, 0)])    y[i] = a[i]
                                                           ->       serial i < 3:
                                                                      y[i + 5] = b[i]

So what joins or pads arrays moves each of them as it lies, and computes nothing where it is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, pairwise

from codegen.affine import linear
from codegen.guards import guards_of
from codegen.kernel import Body, If, Statement, Store, exprs_of, map_body, nest, unnest, walk
from codegen.ranges import settled
from codegen.unroll import copy
from symgraph import expression
from symgraph.expression import INDEX, Expr

MOST_PIECES = 64  # nests that one becomes: each is code of its own

Axes = Sequence[tuple[str, int]]
Range = tuple[int, int]  # the first index, and the one behind the last


def cut(body: Body) -> Body:
    """``body``, loops as lowered, with the choices by place of its maps made by loops."""
    names = (f"_c{n}" for n in count())
    made = [_pieces(s) for s in body]
    return tuple(new for pieces in made for new in (pieces if len(pieces) == 1 else _named(pieces, names)))


def _named(pieces: Body, names: Iterator[str]) -> Body:
    return tuple(copy((s,), next(names))[0] for s in pieces)


def _pieces(s: Statement) -> Body:
    """A nest for each box of places where every choice of a map is one and the same."""
    axes, core = unnest((s,))
    if not axes or not all(isinstance(i, Store | If) for i in walk(core)):
        return (s,)
    found = boxes(axes, core)
    return tuple(_nest(axes, box, inside) for box, inside in found) if len(found) <= MOST_PIECES else (s,)


def boxes(axes: Axes, core: Body) -> Sequence[tuple[Sequence[Range], Body]]:
    """(a box of places, the core in it) for each box in which every choice of a map is one and the same."""
    return list(_boxes(axes, core, [(0, n) for _, n in axes]))


def _boxes(axes: Axes, core: Body, box: Sequence[Range]) -> Iterator[tuple[Sequence[Range], Body]]:
    """(a box, the core in it): cut along the outermost axis where a choice changes, and each part again."""
    spans = {name: (start, stop - 1) for (name, _), (start, stop) in zip(axes, box, strict=True)}
    core = map_body(core, lambda exprs: settled(exprs, spans))
    for k, (name, _) in enumerate(axes):
        parts = _parts(core, name, box[k])
        if len(parts) > 1:
            for part in parts:
                yield from _boxes(axes, core, [*box[:k], part, *box[k + 1 :]])
            return
    yield box, core


def _nest(axes: Axes, box: Sequence[Range], core: Body) -> Statement:
    """The turns of a box, counted from its corner."""
    corner = {name: expression.axis(name) + start for (name, _), (start, _) in zip(axes, box, strict=True) if start}
    extents = [(name, stop - start) for (name, _), (start, stop) in zip(axes, box, strict=True)]
    return nest(extents, map_body(core, lambda exprs: expression.rename(exprs, corner)))[0]


def _parts(core: Body, name: str, whole: Range) -> list[Range]:
    """The ranges of an axis between the places where a choice changes; one if its end is only known at run time."""
    if guards_of(core, name):
        return [whole]
    first, end = whole
    places = {p for cond in _choices(core) for p in _changes(cond, name) if first < p < end}
    return list(pairwise(sorted({first, *places, end})))


def _choices(core: Body) -> Iterator[Expr]:
    """The conditions of selections between terms that read memory."""
    for e in expression.toposort([e for s in walk(core) for e in exprs_of(s)]):
        if e.prim == "select" and any(a.names - e.args[0].names for a in e.args[1:]):
            yield e.args[0]


def _changes(cond: Expr, name: str) -> Iterator[int]:
    """The places along an axis from which on a comparison with a constant has another truth."""
    for e in expression.toposort([cond]):
        if e.prim not in ("lt", "le") or e.args[0].dtype != INDEX:
            continue
        form = linear(e.args[0] - e.args[1])
        if len(form.terms) == 1 and form.terms[0][0] is expression.axis(name) and abs(form.terms[0][1]) == 1:
            rising = form.terms[0][1] == 1
            # i + c < 0 from i = -c on no more; -i + c < 0 from i = c + 1 on; <= 0 one later or earlier
            yield -form.offset + (e.prim == "le") if rising else form.offset + (e.prim == "lt")

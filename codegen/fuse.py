"""Fusion: the graph is cut into groups of stages, each of which becomes one kernel.

Fusion is substitution of formulas into formulas; the work is policy. A map is inlined into its reader if it is read
once or costs little, or if it is far larger than what it is made of; an expensive map is never inlined into a reduction
that re-reads it; elementwise readers become epilogues of the contraction or reduction that feeds them, or join a map of
the same shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf, prod

import numpy as np

from codegen.affine import loads_in, walks
from codegen.cuts import MOST_PIECES, boxes
from codegen.group import Call, Fused, Stage, cost, size, static_shape, target_axes, varies
from codegen.kernel import Store, exprs_of
from codegen.merge import LARGEST_GROUP, merge
from symgraph import expression
from symgraph.expression import INDEX, Expr
from symgraph.formula import SUM, Compute
from symgraph.graph import Apply, Constant, Variable, toposort
from symgraph.types import SIZES
from symgraph.varying import Length, VaryingError, as_varying, capacity

CHEAP = 4  # terms: recomputing this much costs less than a store and a load
RECOMPUTED = 60  # terms: computing this much costs less than a store and a load of what no cache holds
LARGE = 2**20  # elements: no cache holds so many
GROWTH = 16  # how many times larger than what it is made of a value is that is not stored
TILE = 12  # results for which one tile of a contraction reads an operand's element once


def fuse(outputs: Sequence[Variable], given: Sequence[Variable]) -> Fused:
    """Cut a graph of static shapes without composites into groups.

    Parameters
    ----------
    outputs : sequence of Variable
        What must be in memory at the end.
    given : sequence of Variable
        Leaves whose memory exists: inputs and shared variables.
    """
    fused = Fused()
    for v in given:
        _name(fused, v)
    inliner = _Inliner(fused, outputs)
    steps: list[Stage | Call] = []
    for node in toposort(outputs):
        steps.extend(inliner.visit(node))
    for v in outputs:  # those that are leaves have no stage
        _name(fused, v)
    fused.groups = merge(steps, fused, {fused.root(fused.names[v]) for v in outputs} | inliner.viewed)
    return fused


def _name(fused: Fused, v: Variable) -> str:
    if v not in fused.names:
        name = f"v{len(fused.names)}"
        fused.names[v], fused.values[name] = name, v
    return fused.names[v]


# ------------------------------------------------------------------------------------------------ inlining


class _Inliner:
    """Walks the nodes in order; keeps the bodies of values that are not put into memory."""

    def __init__(self, fused: Fused, outputs: Sequence[Variable]) -> None:
        self.fused = fused
        self.bodies: dict[Variable, Compute] = {}
        self.viewed: set[str] = set()
        self.lengths = {str(v.name): name for v, name in fused.names.items() if isinstance(v, Length)}
        self.readers: dict[Variable, list[Apply]] = {}
        for node in toposort(outputs):
            for v in dict.fromkeys(node.op.operands(node)):
                self.readers.setdefault(v, []).append(node)
        self.formulas: dict[Apply, Compute | None] = {n: self._formula(n) for n in toposort(outputs)}
        in_memory = [n for n, formula in self.formulas.items() if n.op.is_view or formula is None]
        self.must = set(outputs) | {v for n in in_memory for v in n.op.operands(n)}

    def _formula(self, node: Apply) -> Compute | None:
        """The formula of a node, on capacities where extents vary."""
        formula = node.op.define(node)
        if not any(map(varies, (*node.outputs, *node.op.operands(node)))):
            return formula
        if formula is None:
            raise VaryingError(f"{node.op.name} takes no extents at run time")
        copied = target_axes(node.outputs[0]) if formula.at else ()
        within = [
            expression.within(expression.axis(a), expression.load(self.fused.names[n.length], (), INDEX))
            for a, extent in (*formula.axes, *formula.reduce, *copied)
            if (n := as_varying(extent))
        ]
        axes, reduce = (tuple((a, capacity(n)) for a, n in own) for own in (formula.axes, formula.reduce))
        return replace(formula, axes=axes, reduce=reduce, within=tuple(within))

    def visit(self, node: Apply) -> Sequence[Stage | Call]:
        """The steps that a node needs: none if it is inlined or a view."""
        if node.op.is_view:
            self._view(node)
            return []
        formula = self.formulas[node]
        if formula is None:
            assert node.op.expand(node) is None, f"{node.op.name}: composites are expanded before fusion"
            return [self._call(node)]
        body = self.inline(formula, node.op.operands(node))
        if len(node.outputs) == 1 and self._is_inlined(node.outputs[0], body):
            self.bodies[node.outputs[0]] = body
            return []
        return [Stage(tuple(_name(self.fused, v) for v in node.outputs), body)]

    def _call(self, node: Apply) -> Call:
        reads = [_name(self.fused, v) for v in node.op.operands(node)]
        return Call(node, tuple(_name(self.fused, v) for v in node.outputs), tuple(dict.fromkeys(reads)))

    def _view(self, node: Apply) -> None:
        (source,) = node.op.operands(node)
        name = _name(self.fused, node.outputs[0])
        self.fused.views[name] = _name(self.fused, source)
        self.viewed.add(self.fused.root(name))

    def inline(self, formula: Compute, operands: Sequence[Variable]) -> Compute:
        """``formula`` reading memory only."""

        def place(e: Expr) -> Expr | None:
            if e.prim != "load":
                return None
            if isinstance(e.value, str):
                return expression.load(self.lengths[e.value], (), INDEX)
            return self._element(operands[int(e.value)], e.args)  # type: ignore[arg-type]

        exprs = expression.substitute([*formula.exprs, *(formula.at or ())], place)
        count = len(formula.exprs)
        into = None if formula.into is None else _name(self.fused, operands[int(formula.into)])
        return replace(formula, exprs=tuple(exprs[:count]), at=tuple(exprs[count:]) if formula.at else None, into=into)

    def _element(self, v: Variable, at: Sequence[Expr]) -> Expr:
        if isinstance(v, Constant) and is_uniform(v):
            return expression.const(v.data.ravel()[0], v.dtype)
        if v in self.bodies:
            body = self.bodies[v]
            moved = {n: i for (n, _), i in zip(body.axes, at, strict=True) if i is not expression.axis(n)}
            return expression.rename(body.exprs, moved)[0] if moved else body.exprs[0]
        return expression.load(_name(self.fused, v), at, v.dtype)

    def _is_inlined(self, v: Variable, body: Compute) -> bool:
        if v in self.must or not body.is_map:
            return False
        terms = expression.toposort(body.exprs)
        if size(terms) > LARGEST_GROUP:
            return False
        price = cost(terms)
        readers = self.readers.get(v, [])
        if any(self._is_start_of_scatter(n, v) for n in readers):
            return False
        if price == 0:
            return True
        if self._narrows(v) and self._reads(v) > 1:
            return False
        uses = max((self._uses(n, v) for n in readers), default=1)
        bound = RECOMPUTED if uses <= 1 and self._outgrows(v, terms) else CHEAP
        return (uses <= TILE and price <= CHEAP) if uses > 1 else (len(readers) == 1 or price <= bound)

    def _outgrows(self, v: Variable, terms: Sequence[Expr]) -> bool:
        """Whether a map is so much larger than all that it reads that it is made again by each that reads it."""
        own = prod(static_shape(v))
        read = {str(e.value) for e in terms if e.prim == "load"}
        return own >= LARGE and own >= GROWTH * sum(prod(static_shape(self.fused.values[name])) for name in read)

    def _narrows(self, v: Variable) -> bool:
        """Whether only ``v`` reads a value in memory that is wider than itself, as the mask does of random bits."""
        assert v.owner is not None
        wider = [u for u in v.owner.op.operands(v.owner) if SIZES[u.dtype] > SIZES[v.dtype] and u.owner is not None]
        return any(
            u not in self.must and u not in self.bodies and self.readers[u] == [v.owner] and self._is_alike(u, v)
            for u in wider
        )

    def _is_alike(self, u: Variable, v: Variable) -> bool:
        """Whether ``u`` is a map of the shape of ``v``."""
        assert u.owner is not None
        formula = self.formulas[u.owner]
        return formula is not None and formula.is_map and static_shape(u) == static_shape(v)

    def _reads(self, v: Variable) -> int:
        """How many nodes compute with the elements of ``v``, casts of them included."""
        return sum(self._reads(n.outputs[0]) if self._is_cast(n) else 1 for n in self.readers.get(v, []))

    def _is_cast(self, node: Apply) -> bool:
        formula = self.formulas[node]
        return formula is not None and formula.is_map and [e.prim for e in formula.exprs] == ["cast"]

    def _is_start_of_scatter(self, node: Apply, v: Variable) -> bool:
        formula = self.formulas[node]
        return formula is not None and formula.into is not None and node.op.operands(node)[int(formula.into)] is v

    def _uses(self, node: Apply, v: Variable) -> float:
        """For how many results a reader uses each element; without end where they are not those of one tile."""
        formula = self.formulas[node]
        if formula is None:
            return 1
        axes = (*formula.axes, *formula.reduce)
        if prod(n for _, n in axes) <= prod(static_shape(v)):
            return 1
        if formula.is_map and not formula.within and node.outputs[0] in self.must:
            return self._times(node, formula, v)
        loads = _loads_of(v, node, (*formula.exprs, *(formula.at or ())))
        if formula.combiner is not SUM or not all(walks(e, [a for a in axes if a[0] in e.names]) for e in loads):
            return inf
        return max((prod(n for a, n in axes if a not in e.names) for e in loads), default=1)


    def _times(self, node: Apply, formula: Compute, v: Variable) -> float:
        """For how many places a map that is stored reads each element: what is joined, only where it stands."""
        found = boxes(formula.axes, tuple(Store("", (), e) for e in formula.exprs))
        read = [
            prod(stop - start for start, stop in box)
            for box, inside in found
            if any(_loads_of(v, node, exprs_of(s)) for s in inside)
        ]
        return sum(read) / max(prod(static_shape(v)), 1) if len(found) <= MOST_PIECES else inf


def _loads_of(v: Variable, node: Apply, exprs: Sequence[Expr]) -> list[Expr]:
    """The loads of an operand in the formula of a node; those of lengths are by their names."""
    operands = node.op.operands(node)
    return [e for e in loads_in(exprs) if isinstance(e.value, int) and operands[e.value] is v]


def is_uniform(v: Constant) -> bool:
    """Whether all elements of a constant have the same bits."""
    first = v.data.ravel()[:1].view(np.uint8)
    return v.data.size > 0 and bool((v.data.reshape(-1, 1).view(np.uint8) == first).all())

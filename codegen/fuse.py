"""Fusion: the graph is cut into groups of stages, each of which becomes one kernel.

Fusion is substitution of formulas into formulas; the work is policy. A map is inlined into its reader if it is read
once or costs little; an expensive map is never inlined into a reduction that re-reads it; elementwise readers become
epilogues of the contraction or reduction that feeds them, or join a map of the same shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod

import numpy as np

from codegen.affine import loads_in
from symgraph import expression
from symgraph.expression import Expr
from symgraph.formula import Compute
from symgraph.graph import Apply, Constant, Variable, toposort

CHEAP = 4  # terms: recomputing this much costs less than a store and a load
LARGEST_GROUP = 200  # distinct scalar terms; a transcendental function is worth as many as its polynomial
POLYNOMIAL = 20
MEMORY_PRIMS = ("load", "axis", "const", "cast")
COSTLY = {
    "exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "pow", "sin", "cos", "tan", "arcsin", "arccos", "arctan",
    "arctan2", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "erf", "erfc", "gamma", "gammaln", "digamma",
    "floordiv", "mod",
}  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """One Compute and the names of the values it gives."""

    outputs: tuple[str, ...]
    compute: Compute


@dataclass(frozen=True)
class Group:
    """Stages under common axes: the first may reduce, the others are maps over its output axes.

    A later stage reads earlier ones at its own position only: such a value stays in a register. ``stored`` names the
    values that something outside the group reads.
    """

    stages: tuple[Stage, ...]
    stored: tuple[str, ...]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Every value that the stages give."""
        return tuple(name for s in self.stages for name in s.outputs)

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """The buffers read, in order of first use."""
        inside = set(self.outputs)
        exprs = [e for s in self.stages for e in (*s.compute.exprs, *(s.compute.at or ()))]
        into = [f"{s.compute.into}" for s in self.stages if s.compute.into is not None]
        names = dict.fromkeys([*into, *[str(e.value) for e in loads_in(exprs)]])
        return tuple(n for n in names if n not in inside)


@dataclass
class Fused:
    """The graph in groups.

    Attributes
    ----------
    groups : list of Group
        In an order in which they can run.
    values : dict
        Name -> variable, for everything in memory.
    names : dict
        Variable -> name.
    views : dict
        Name of a view -> name of the value whose memory it is.
    layouts : dict
        Name of a value that is not row-major -> its axes in the order of memory, outermost first.
    """

    groups: list[Group] = field(default_factory=list)
    values: dict[str, Variable] = field(default_factory=dict)
    names: dict[Variable, str] = field(default_factory=dict)
    views: dict[str, str] = field(default_factory=dict)
    layouts: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def root(self, name: str) -> str:
        """The value whose memory ``name`` is."""
        while name in self.views:
            name = self.views[name]
        return name


def static_shape(v: Variable) -> tuple[int, ...]:
    """The extents of a value of a fixed graph."""
    return tuple(int(n or 0) for n in v.type.shape)


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
    stages: list[Stage] = []
    for node in toposort(outputs):
        stages.extend(inliner.visit(node))
    for v in outputs:  # those that are leaves have no stage
        _name(fused, v)
    fused.groups = _merge(stages, fused, {fused.root(fused.names[v]) for v in outputs} | inliner.viewed)
    return fused


def _name(fused: Fused, v: Variable) -> str:
    if v not in fused.names:
        name = f"v{len(fused.names)}"
        fused.names[v], fused.values[name] = name, v
    return fused.names[v]


def cost(terms: Sequence[Expr]) -> int:
    """Arithmetic of one element that is made of ``terms``; a transcendental function counts ten."""
    made = [e for e in terms if e.prim not in MEMORY_PRIMS and e.dtype != expression.INDEX]
    return sum([10 if e.prim in COSTLY else 1 for e in made])


def size(terms: Sequence[Expr]) -> int:
    """What compiling costs, in terms."""
    return sum([POLYNOMIAL if e.prim in COSTLY else 1 for e in terms])


# ------------------------------------------------------------------------------------------------ inlining


class _Inliner:
    """Walks the nodes in order; keeps the bodies of values that are not put into memory."""

    def __init__(self, fused: Fused, outputs: Sequence[Variable]) -> None:
        self.fused = fused
        self.bodies: dict[Variable, Compute] = {}
        self.viewed: set[str] = set()
        self.readers: dict[Variable, list[Apply]] = {}
        for node in toposort(outputs):
            for v in dict.fromkeys(node.op.operands(node)):
                self.readers.setdefault(v, []).append(node)
        self.formulas: dict[Apply, Compute | None] = {n: n.op.define(n) for n in toposort(outputs)}
        self.must = set(outputs) | {v for n in self.formulas if n.op.is_view for v in n.op.operands(n)}

    def visit(self, node: Apply) -> list[Stage]:
        """The stages that a node needs: none if it is inlined or a view."""
        if node.op.is_view:
            self._view(node)
            return []
        formula = self.formulas[node]
        assert formula is not None, f"{node.op.name} has no formula; composites are expanded before fusion"
        body = self.inline(formula, node.op.operands(node))
        if len(node.outputs) == 1 and self._is_inlined(node.outputs[0], body):
            self.bodies[node.outputs[0]] = body
            return []
        return [Stage(tuple(_name(self.fused, v) for v in node.outputs), body)]

    def _view(self, node: Apply) -> None:
        (source,) = node.op.operands(node)
        name = _name(self.fused, node.outputs[0])
        self.fused.views[name] = _name(self.fused, source)
        self.viewed.add(self.fused.root(name))

    def inline(self, formula: Compute, operands: Sequence[Variable]) -> Compute:
        """``formula`` reading memory only."""

        def place(e: Expr) -> Expr | None:
            return self._element(operands[int(e.value)], e.args) if e.prim == "load" else None  # type: ignore

        exprs = expression.substitute([*formula.exprs, *(formula.at or ())], place)
        count = len(formula.exprs)
        into = None if formula.into is None else _name(self.fused, operands[int(formula.into)])
        return replace(
            formula, exprs=tuple(exprs[:count]), at=tuple(exprs[count:]) if formula.at else None, into=into
        )

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
        rereads = any(self._rereads(n, v) for n in readers)
        return not rereads and (len(readers) == 1 or price <= CHEAP)

    def _is_start_of_scatter(self, node: Apply, v: Variable) -> bool:
        formula = self.formulas[node]
        return formula is not None and formula.into is not None and node.op.operands(node)[int(formula.into)] is v

    def _rereads(self, node: Apply, v: Variable) -> bool:
        """Whether a reader uses each element more often than it is worth computing again."""
        formula = self.formulas[node]
        if formula is None:
            return False
        work = prod(n for _, n in formula.axes + formula.reduce)
        return work > prod(static_shape(v))


def is_uniform(v: Constant) -> bool:
    """Whether all elements of a constant have the same bits."""
    first = v.data.ravel()[:1].view(np.uint8)
    return v.data.size > 0 and bool((v.data.reshape(-1, 1).view(np.uint8) == first).all())


# ------------------------------------------------------------------------------------------------ grouping


def _merge(stages: Sequence[Stage], fused: Fused, kept: set[str]) -> list[Group]:
    groups: list[list[Stage]] = []
    home: dict[str, int] = {}
    for stage in stages:
        place = _host(stage, groups, home, fused)
        if place is None:
            place = len(groups)
            groups.append([])
        groups[place].append(stage)
        home.update(dict.fromkeys(stage.outputs, place))
    return _with_stores(groups, fused, kept)


def _host(stage: Stage, groups: list[list[Stage]], home: Mapping[str, int], fused: Fused) -> int | None:
    """The latest group that ``stage`` depends on, if it can join it."""
    reads = [fused.root(str(e.value)) for e in loads_in(stage.compute.exprs)]
    needed = [home[r] for r in reads if r in home]
    if not stage.compute.is_map or not needed:
        return None
    place = max(needed)
    return place if _fits(stage, groups[place], home, place, fused) else None


def _fits(stage: Stage, group: Sequence[Stage], home: Mapping[str, int], place: int, fused: Fused) -> bool:
    first = group[0].compute
    if first.at is not None or first.prefix is not None or first.shape != stage.compute.shape:
        return False
    if size(expression.toposort([e for s in (*group, stage) for e in s.compute.exprs])) > LARGEST_GROUP:
        return False
    own = [expression.axis(name) for name, _ in stage.compute.axes]
    for e in loads_in(stage.compute.exprs):
        name = str(e.value)
        inside = home.get(fused.root(name)) == place
        if inside and (name in fused.views or not same_position(e.args, own, stage.compute.shape)):
            return False
    return True


def same_position(at: Sequence[Expr], own: Sequence[Expr], shape: Sequence[int]) -> bool:
    """Whether an index is the position itself; along an axis of extent 1 every index is."""
    return len(at) == len(own) and all(a is b or n == 1 for a, b, n in zip(at, own, shape, strict=True))


def _with_stores(groups: Sequence[Sequence[Stage]], fused: Fused, kept: set[str]) -> list[Group]:
    """Store what another group, a view or the caller reads; a group that no one reads any more is left out."""
    outside = set(kept)
    made: list[Group] = []
    for stages in reversed(groups):
        g = Group(tuple(stages), ())
        stored = tuple(n for n in g.outputs if n in outside)
        if stored:
            made.append(replace(g, stored=stored))
            outside.update(fused.root(n) for n in g.reads)
    return made[::-1]


def overwriting_order(storage: Mapping[str, str], reads: Mapping[str, set[str]]) -> list[str] | None:
    """An order of stores in which each value is written after all others that read what it overwrites.

    Parameters
    ----------
    storage : mapping
        Name of a value -> the storage it is written to.
    reads : mapping
        Name of a value -> the storages that its expression reads.

    Returns
    -------
    list of str, or None
        None if two values overwrite what the other reads.
    """
    left, done = list(storage), []
    while left:
        free = next((n for n in left if not any(storage[n] in reads[m] for m in left if m != n)), None)
        if free is None:
            return None
        done.append(free)
        left.remove(free)
    return done

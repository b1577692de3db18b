"""Lowering: a group of stages becomes a kernel of plain serial loops, which ``schedule`` then transforms.

The one crossing from the graph's world to the loops'. Buffers are flat: a load has one row-major offset.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from codegen.affine import all_of, conjuncts, flat_index, linear, loads_in
from codegen.group import Fused, Group, Stage, overwriting_order, same_position, static_shape, target_axes
from codegen.kernel import Accumulate, Alloc, Body, Buffer, If, Kernel, Statement, Store, allocs, map_body, nest, writes
from symgraph import expression
from symgraph.expression import INDEX, Expr, const
from symgraph.formula import ARGMAX, ARGMIN, DOT, MAX, MIN, SUM, Axis, Combiner, Compute, Terms
from symgraph.types import is_float
from symgraph.varying import capacity

VALUE_OF = {ARGMAX: MAX, ARGMIN: MIN}  # what finds a place -> what finds the value that stands there


@dataclass(frozen=True)
class Placed:
    """Where values live while kernels are made: value name -> storage name, and the storages' extents and dtypes."""

    storage: Mapping[str, str]
    buffers: Mapping[str, Buffer]


def lower(group: Group, name: str, fused: Fused, placed: Placed) -> Kernel:
    """The kernel of a group."""
    body = _Lowering(group, fused, placed).body()
    return Kernel(name, parameters(group, fused, placed), body)


def parameters(group: Group, fused: Fused, placed: Placed) -> tuple[Buffer, ...]:
    """Each storage the group touches, once: those written first."""
    names = [placed.storage[fused.root(n)] for n in (*group.stored, *group.reads)]
    return tuple(placed.buffers[n] for n in dict.fromkeys(names))


@dataclass
class _Pass:
    """A loop over further axes of a row: what is accumulated in it and which elements it makes.

    ``start`` stands before the loop: accumulators, set to their identity. ``order`` is that of the loops.
    """

    axes: tuple[Axis, ...]
    order: Sequence[Axis] = ()
    start: list[Statement] = field(default_factory=list)
    steps: list[Statement] = field(default_factory=list)
    elements: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Inside:
    """A value of the group: its expression, the first pass that can read it, and whether it is an element of a row.

    An element is an expression in the pass that makes it; later ones read it from memory. ``guards`` are the conditions
    under which the value exists.
    """

    expr: Expr
    ready: int
    element: bool = False
    guards: Terms = ()


class _Lowering:
    """The state of lowering one group: its passes, and what each value inside it is, as an expression."""

    def __init__(self, group: Group, fused: Fused, placed: Placed) -> None:
        self.group, self.fused, self.placed = group, fused, placed
        self.inside: dict[str, _Inside] = {}
        self.stage = {n: s for s in group.stages for n in s.outputs}
        self.passes: list[_Pass] = []
        self.scratch: dict[str, Buffer] = {}
        self.numbers = itertools.count()  # of accumulators

    def body(self) -> Body:
        first = self.group.stages[0].compute
        if first.at is not None:
            return self.scatter(self.group.stages[0])
        if first.prefix is not None:
            return self.scan(self.group.stages[0])
        for stage in self.group.stages:
            self.add(stage)
        # the loops walk the first value stored as it lies
        axes = self.stage[self.group.stored[0]].compute.axes
        order = [axes[p] for p in self.layout(self.group.stored[0])]
        rows = [a for a in order if a in self.group.rows]
        inner = [s for p in self.passes for s in (*p.start, *nest(p.order, (*p.steps, *self.elements(p))))]
        stored = [n for n in self.group.stored if not self.inside[n].element]
        return nest(rows, (*map(Alloc, self.scratch.values()), *inner, *self.stores(stored)))

    # ---------------------------------------------------------------------------------------- stages

    def add(self, stage: Stage) -> None:
        """A stage as part of a pass, or as expressions of the row."""
        c = stage.compute
        further = self.group.further(stage)
        if c.combiner is None and not further:
            terms, ready = self.row_terms(c)
            exprs, guards = _parted(c, terms)
            self.inside.update({n: _Inside(e, ready, guards=guards) for n, e in zip(stage.outputs, exprs, strict=True)})
            return
        number, terms = self.place(c, further)
        (self.reduction if c.combiner else self.row)(stage, number, *_parted(c, terms))

    def place(self, c: Compute, further: Sequence[Axis]) -> tuple[int, Terms]:
        """The first pass that can take a stage, and its terms and conditions there; a new one if there is none."""
        extents = [n for _, n in further]
        ready = self.ready(c)
        for number, p in enumerate(self.passes[ready:], ready):
            if extents == [n for _, n in p.axes]:
                exprs = self.named(c, {a: b for (a, _), (b, _) in zip(further, p.axes, strict=True)})
                if self.is_whole(exprs, number):
                    return number, self.terms(exprs, number)
        number = len(self.passes)
        taken = {a for a, _ in self.group.rows} | {a for p in self.passes for a, _ in p.axes}
        names = {a: f"{a}p{number}" if a in taken else a for a, _ in further}
        axes = tuple((names[a], n) for a, n in further)
        self.passes.append(_Pass(axes))
        return number, self.terms(self.named(c, names), number)

    def named(self, c: Compute, names: Mapping[str, str]) -> Terms:
        """The terms and conditions of a stage with its further axes renamed; an axis of one element is no loop."""
        new: dict[str, Expr] = {a: expression.axis(b) for a, b in names.items()}
        rows = dict(self.group.rows)
        new.update({a: const(0, INDEX) for a, n in c.axes if a not in rows and a not in new})
        return tuple(expression.rename((*c.exprs, *c.within), new))

    def ready(self, c: Compute) -> int:
        """The first pass that can read all that a stage reads of the group."""
        return max([self.inside[str(e.value)].ready for e in self.reads(c.exprs)], default=0)

    def reads(self, exprs: Sequence[Expr]) -> list[Expr]:
        return [e for e in loads_in(exprs) if e.value in self.inside]

    def is_whole(self, exprs: Sequence[Expr], number: int) -> bool:
        """Whether what ``exprs`` read of elements that a pass makes is what it has just made."""
        made = [e for e in self.reads(exprs) if self.inside[str(e.value)].element]
        return all(self.inside[str(e.value)].ready < number or self.is_here(e, number) for e in made)

    def is_here(self, load: Expr, number: int) -> bool:
        """Whether a load is of the element that pass ``number`` is at."""
        value = self.inside[str(load.value)]
        own = self.position(str(load.value))
        shape = self.shape(str(load.value))
        return value.element and value.ready == number and same_position(load.args, own, shape)

    def position(self, name: str) -> list[Expr]:
        """The indices of a value of the group where it is made."""
        c, rows = self.stage[name].compute, dict(self.group.rows)
        value = self.inside[name]
        loop = iter(self.passes[value.ready].axes if value.element else ())
        return [
            expression.axis(a if a in rows else next(loop)[0]) if a in rows or n != 1 else const(0, INDEX)
            for a, n in c.axes
        ]

    def row_terms(self, c: Compute) -> tuple[Terms, int]:
        """(the terms and conditions of a map over the rows, the first pass that can read them)."""
        exprs = self.named(c, {})
        ready = max([self.inside[str(e.value)].ready + self.inside[str(e.value)].element for e in self.reads(exprs)],
                    default=0)  # fmt: skip
        return self.terms(exprs, len(self.passes)), ready

    def reduction(self, stage: Stage, number: int, exprs: Terms, guards: Terms) -> None:
        """acc = identity; for further axes: acc = step(acc, terms)."""
        combiner, terms, cond = fold_form(stage.compute, exprs)
        accs, start = self.accumulators(combiner, terms)
        step: Statement = Accumulate(tuple(b.name for b in accs), (), combiner, terms)
        p = self.passes[number]
        if combiner in VALUE_OF:
            self.replace_value(p, VALUE_OF[combiner], terms[0], accs[0])
        p.start += start
        p.steps.append(_guarded(step if cond is None else If(cond, (step,)), guards))
        p.order = p.order or _loop_order(stage.compute.axes, p.axes, combiner, terms)
        for n, b in zip(stage.outputs, accs[-len(stage.outputs) :], strict=True):
            of_row = tuple(g for g in guards if not any(a in g.names for a, _ in p.axes))
            self.inside[n] = _Inside(expression.load(b.name, (), b.dtype), number + 1, guards=of_row)

    def replace_value(self, p: _Pass, combiner: Combiner, term: Expr, found: Buffer) -> None:
        """The largest element by itself is the one whose place is found: one accumulation less."""
        for s in p.steps:
            if isinstance(s, Accumulate) and s.combiner is combiner and s.exprs == (term,):
                (name,) = s.buffers
                p.steps.remove(s)
                p.start = [i for i in p.start if name not in (*writes((i,)), *[b.name for b in allocs((i,))])]
                self.read_instead(name, found)

    def read_instead(self, name: str, found: Buffer) -> None:
        """What reads the accumulator ``name``, in later passes and after them, reads another."""
        new = {expression.load(name, (), found.dtype): expression.load(found.name, (), found.dtype)}
        for p in self.passes:
            p.steps = [*map_body(tuple(p.steps), lambda exprs: expression.substitute(exprs, new.get))]
        self.inside = {n: replace(v, expr=expression.substitute([v.expr], new.get)[0]) for n, v in self.inside.items()}

    def row(self, stage: Stage, number: int, exprs: Terms, guards: Terms) -> None:
        """The elements of a row; they are walked as the first of them lies."""
        p = self.passes[number]
        p.elements += stage.outputs
        made = zip(stage.outputs, exprs, strict=True)
        self.inside.update({n: _Inside(e, number, element=True, guards=guards) for n, e in made})
        if not p.order:
            name = stage.outputs[0]
            at = self.position(name)
            lying = [at[k].value for k in self.layout(name)]
            p.order = sorted(p.axes, key=lambda axis: lying.index(axis[0]))

    def accumulators(self, combiner: Combiner, terms: Terms) -> tuple[list[Buffer], Body]:
        """Registers for the accumulators of a combiner, set to its identity."""
        count = 1 if combiner is DOT else len(terms)
        dtypes = [t.dtype for t in terms[:count]]
        accs = [Buffer(f"acc{next(self.numbers)}", d, (), "register") for d in dtypes]
        sets = [Store(b.name, (), e) for b, e in zip(accs, combiner.identity(dtypes), strict=True)]
        return accs, (*map(Alloc, accs), *sets)

    def elements(self, p: _Pass) -> Body:
        """The stores of the elements that a pass makes; what only this kernel reads again stays with the thread."""
        kept = [n for n in p.elements if n in self.scratch]
        own = tuple(
            _guarded(Store(f"row_{n}", (self.flat(n),), self.inside[n].expr), self.inside[n].guards) for n in kept
        )
        return (*own, *self.stores([n for n in p.elements if n in self.group.stored]))

    def stores(self, names: Sequence[str]) -> Body:
        """Values that leave the group, each stored after the last one that reads what it overwrites."""
        reads = {n: {str(e.value) for e in loads_in((self.inside[n].expr,))} for n in names}
        ordered = overwriting_order({n: self.storage(n) for n in names}, reads)
        assert ordered is not None, f"{self.group.outputs}: values overwrite each other"
        return tuple(
            _guarded(
                Store(self.storage(n), (self.offset(n, self.position(n)),), self.inside[n].expr), self.inside[n].guards
            )
            for n in ordered
        )

    def flat(self, name: str, at: Sequence[Expr] | None = None) -> Expr:
        """Where an element of a row lies in the thread's storage."""
        c, rows = self.stage[name].compute, dict(self.group.rows)
        places = zip(c.axes, self.position(name) if at is None else at, strict=True)
        own = [(i, n) for (a, n), i in places if a not in rows]
        return flat_index([i for i, _ in own], [n for _, n in own])

    def offset(self, name: str, at: Sequence[Expr]) -> Expr:
        """Where the element ``at`` of a value lies."""
        shape, layout = self.shape(name), self.layout(name)
        return flat_index([at[p] for p in layout], [shape[p] for p in layout])

    def layout(self, name: str) -> tuple[int, ...]:
        return self.fused.layouts.get(name, tuple(range(len(self.shape(name)))))

    def shape(self, name: str) -> tuple[int, ...]:
        return static_shape(self.fused.values[name])

    def storage(self, name: str) -> str:
        return self.placed.storage[self.fused.root(name)]

    def terms(self, exprs: Sequence[Expr], number: int) -> Terms:
        """``exprs`` in a pass, with loads of buffers at flat offsets and values of this group as what they are."""

        def place(e: Expr) -> Expr | None:
            if e.prim != "load":
                return None
            name = str(e.value)
            if name in self.inside and (not self.inside[name].element or self.is_here(e, number)):
                return self.inside[name].expr
            if name in self.inside and name not in self.group.stored:
                return self.near(e)
            return expression.load(self.storage(name), [self.offset(name, e.args)], e.dtype)

        return tuple(expression.substitute(exprs, place))

    def near(self, e: Expr) -> Expr:
        """An element of a row that an earlier pass made and nobody else reads."""
        name = str(e.value)
        extents = [n for _, n in self.group.further(self.stage[name])]
        self.scratch.setdefault(name, Buffer(f"row_{name}", e.dtype, (prod(extents),), "thread"))
        return expression.load(f"row_{name}", (self.flat(name, e.args),), e.dtype)

    def scan(self, stage: Stage) -> Body:
        """out[..., i, ...] = step(out[..., i-1, ...], term): one accumulator runs along the axis."""
        c = stage.compute
        assert c.combiner is not None
        terms, guards = _parted(c, self.terms((*c.exprs, *c.within), 0))
        accs, start = self.accumulators(c.combiner, terms)
        last = expression.load(accs[-1].name, (), accs[-1].dtype)
        self.inside[stage.outputs[0]] = _Inside(last, 0)
        step = Accumulate(tuple(b.name for b in accs), (), c.combiner, terms)
        along = [(n, extent) for n, extent in c.axes if n == c.prefix]
        others = [(n, extent) for n, extent in c.axes if n != c.prefix]
        body: Body = (step, *self.stores(stage.outputs))
        return nest(others, (*start, *nest(along, (If(all_of(guards), body),) if guards else body)))

    def scatter(self, stage: Stage) -> Body:
        """out = into; for axes: out[at] = step(out[at], value)."""
        c = stage.compute
        assert c.at is not None and c.into is not None and c.combiner is not None
        (name,) = stage.outputs
        shape, source, target = self.shape(name), self.storage(str(c.into)), self.storage(name)
        place = (flat_index(self.terms(c.at, 0), shape),)
        terms, guards = _parted(c, self.terms((*c.exprs, *c.within), 0))
        walked = {a for a, _ in c.axes}
        own, copied = ([g for g in guards if bool(g.names & walked) == here] for here in (True, False))
        step = Accumulate((target,), place, c.combiner, terms)
        walk = nest(c.axes, (_guarded(step, own),))
        if source == target:
            return walk
        v = self.fused.values[name]
        axes = [(a, capacity(n)) for a, n in target_axes(v)] if copied else [("to0", prod(shape))]
        at = (flat_index([expression.axis(a) for a, _ in axes], [n for _, n in axes]),)
        copy = Store(target, at, expression.load(source, at, v.dtype))
        return (*nest(axes, (_guarded(copy, copied),)), *walk)


def _parted(c: Compute, terms: Terms) -> tuple[Terms, Terms]:
    """(the terms of a stage, the conditions under which its positions exist)."""
    return terms[: len(c.exprs)], terms[len(c.exprs) :]


def _guarded(s: Statement, guards: Sequence[Expr]) -> Statement:
    """``s`` where ``guards`` hold; a condition of its own that reads memory is asked only there."""
    if isinstance(s, If) and guards and not loads_in((s.cond,)):
        return If(all_of((*guards, s.cond)), s.body)
    return If(all_of(guards), (s,)) if guards else s


# ------------------------------------------------------------------------------------------------ folds


def fold_form(c: Compute, terms: Terms) -> tuple[Combiner, Terms, Expr | None]:
    """How a reduction adds one more element: (combiner, terms, condition under which there is one).

    A sum of floating products is fused multiply-adds. A summand that is a select with zero is left out where the
    condition fails, and its clamped indices become plain ones: what is not there is not read.
    """
    assert c.combiner is not None
    if c.combiner is not SUM or len(terms) != 1 or not is_float(terms[0].dtype):
        return c.combiner, terms, None
    cond, term = terms[0].args[:2] if _is_masked(terms[0]) else (None, terms[0])
    factors = term.args if term.prim == "mul" else (term,)
    bare = factors if cond is None else tuple(_unclamp(factors, cond))
    return (DOT if len(bare) == 2 else SUM), bare, cond


def _loop_order(axes: Sequence[Axis], reduce: Sequence[Axis], combiner: Combiner, terms: Terms) -> Sequence[Axis]:
    """The reduced axes of a sum of products, those with the longest strides in the larger operand outermost."""
    if combiner is not DOT:
        return reduce
    loads = [e for e in loads_in(terms) if e.args]
    extents = dict((*axes, *reduce))
    walked = max(loads, key=lambda e: prod(n for name, n in extents.items() if name in e.names), default=None)
    form = linear(walked.args[0]) if walked is not None else None
    return sorted(reduce, key=lambda axis: -((form and form.stride(axis[0])) or 0))


def _is_masked(e: Expr) -> bool:
    return e.prim == "select" and e.args[2].prim == "const" and e.args[2].value == 0


def _unclamp(exprs: Sequence[Expr], cond: Expr) -> list[Expr]:
    """Indices clamped into [low, high] where ``cond`` says they lie there anyway."""
    held = {bound for e in conjuncts(cond) for bound in _bounds(e)}

    def strip(e: Expr) -> Expr | None:
        if e.dtype != INDEX or e.prim not in ("minimum", "maximum") or e.args[1].prim != "const":
            return None
        inner, bound = e.args
        below = e.prim == "minimum"
        return inner if (linear(inner), below, bound.value) in held else None

    def relinear(e: Expr) -> Expr | None:
        walks = e.prim == "load" and e.args
        return expression.load(str(e.value), [linear(e.args[0]).expr()], e.dtype) if walks else None

    # a load's flat offset is a sum of such indices: strip inside, then bring it into linear form again
    return expression.substitute(expression.substitute(exprs, strip), relinear)


def _bounds(e: Expr) -> list[tuple[object, bool, int]]:
    """What a comparison of indices says: (term, whether bounded above, the bound)."""
    if e.prim not in ("lt", "le") or e.args[0].dtype != INDEX:
        return []
    strict = 1 if e.prim == "lt" else 0
    low, high = e.args
    if high.prim == "const":
        return [(linear(low), True, int(high.value) - strict)]  # type: ignore[arg-type]
    if low.prim == "const":
        return [(linear(high), False, int(low.value) + strict)]  # type: ignore[arg-type]
    return []


def parameter(name: str, dtype: str, shape: Sequence[int]) -> Buffer:
    """A flat parameter for an array; one element at least, so that a clamped read stays inside."""
    return Buffer(name, dtype, (max(prod(shape), 1),))

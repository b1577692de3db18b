"""Lowering: a group of stages becomes a kernel of plain serial loops, which ``schedule`` then transforms.

The one crossing from the graph's world to the loops'. Buffers are flat: a load has one row-major offset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from codegen.affine import all_of, conjuncts, flat_index, linear, loads_in
from codegen.fuse import Fused, Group, Stage, overwriting_order, static_shape
from codegen.kernel import Accumulate, Alloc, Body, Buffer, If, Kernel, Statement, Store, nest
from symgraph import expression
from symgraph.expression import INDEX, Expr
from symgraph.formula import DOT, SUM, Axis, Combiner, Compute, Terms
from symgraph.types import is_float


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


class _Lowering:
    """The state of lowering one group: what each value inside it is, as an expression."""

    def __init__(self, group: Group, fused: Fused, placed: Placed) -> None:
        self.group, self.fused, self.placed = group, fused, placed
        self.inside: dict[str, Expr] = {}

    def body(self) -> Body:
        first = self.group.stages[0].compute
        if first.at is not None:
            return self.scatter(self.group.stages[0])
        if first.prefix is not None:
            return self.scan(self.group.stages[0])
        inner = self.reduction(self.group.stages[0]) if first.combiner else ()
        self.maps(self.group.stages[1:] if first.combiner else self.group.stages)
        # the loops walk the first value stored as it lies
        order = self.layout(self.group.stored[0])
        return nest([first.axes[p] for p in order], (*inner, *self.stores(self.group.stored, first.axes)))

    # ---------------------------------------------------------------------------------------- stages

    def reduction(self, stage: Stage) -> Body:
        """acc = identity; for reduce: acc = step(acc, terms)."""
        c = stage.compute
        combiner, terms, cond = fold_form(c, self.terms(c.exprs))
        accs, start = self.accumulators(combiner, terms)
        step: Statement = Accumulate(tuple(b.name for b in accs), (), combiner, terms)
        loop = nest(_loop_order(c, combiner, terms), (step if cond is None else If(cond, (step,)),))
        results = [expression.load(b.name, (), b.dtype) for b in accs][-len(stage.outputs) :]
        self.inside.update(zip(stage.outputs, results, strict=True))
        return (*start, *loop)

    def accumulators(self, combiner: Combiner, terms: Terms) -> tuple[list[Buffer], Body]:
        """Registers for the accumulators of a combiner, set to its identity."""
        count = 1 if combiner is DOT else len(terms)
        dtypes = [t.dtype for t in terms[:count]]
        accs = [Buffer(f"acc{k}", d, (), "register") for k, d in enumerate(dtypes)]
        sets = [Store(b.name, (), e) for b, e in zip(accs, combiner.identity(dtypes), strict=True)]
        return accs, (*map(Alloc, accs), *sets)

    def maps(self, stages: Sequence[Stage]) -> None:
        """The stages that compute one element from values at the same position, as expressions."""
        axes = self.group.stages[0].compute.axes
        for stage in stages:
            own = {n: expression.axis(m) for (n, _), (m, _) in zip(stage.compute.axes, axes, strict=True)}
            exprs = self.terms(expression.rename(stage.compute.exprs, own))
            self.inside.update(zip(stage.outputs, exprs, strict=True))

    def stores(self, names: Sequence[str], axes: Sequence[Axis]) -> Body:
        """The values that leave the group, each stored after the last one that reads what it overwrites."""
        at = [expression.axis(n) for n, _ in axes]
        reads = {n: {str(e.value) for e in loads_in((self.inside[n],))} for n in names}
        ordered = overwriting_order({n: self.storage(n) for n in names}, reads)
        assert ordered is not None, f"{self.group.outputs}: values overwrite each other"
        return tuple(Store(self.storage(n), (self.offset(n, at),), self.inside[n]) for n in ordered)

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

    def terms(self, exprs: Sequence[Expr]) -> Terms:
        """``exprs`` with loads of buffers at flat offsets, and values of this group as the expressions they are."""

        def place(e: Expr) -> Expr | None:
            if e.prim != "load":
                return None
            name = str(e.value)
            if name in self.inside:
                return self.inside[name]
            return expression.load(self.storage(name), [self.offset(name, e.args)], e.dtype)

        return tuple(expression.substitute(exprs, place))

    def scan(self, stage: Stage) -> Body:
        """out[..., i, ...] = step(out[..., i-1, ...], term): one accumulator runs along the axis."""
        c = stage.compute
        assert c.combiner is not None
        terms = self.terms(c.exprs)
        accs, start = self.accumulators(c.combiner, terms)
        last = expression.load(accs[-1].name, (), accs[-1].dtype)
        self.inside[stage.outputs[0]] = last
        step = Accumulate(tuple(b.name for b in accs), (), c.combiner, terms)
        along = [(n, extent) for n, extent in c.axes if n == c.prefix]
        others = [(n, extent) for n, extent in c.axes if n != c.prefix]
        return nest(others, (*start, *nest(along, (step, *self.stores(stage.outputs, c.axes)))))

    def scatter(self, stage: Stage) -> Body:
        """out = into; for axes: out[at] = step(out[at], value)."""
        c = stage.compute
        assert c.at is not None and c.into is not None and c.combiner is not None
        (name,) = stage.outputs
        shape, source, target = self.shape(name), self.storage(str(c.into)), self.storage(name)
        place = (flat_index(self.terms(c.at), shape),)
        step = Accumulate((target,), place, c.combiner, self.terms(c.exprs))
        walk = nest(c.axes, (step,))
        if source == target:
            return walk
        count = prod(shape)
        k = expression.axis("c0")
        copy = Store(target, (k,), expression.load(source, (k,), self.fused.values[name].dtype))
        return (*nest([("c0", count)], (copy,)), *walk)


# ------------------------------------------------------------------------------------------------ folds


def fold_form(c: Compute, terms: Terms) -> tuple[Combiner, Terms, Expr | None]:
    """How a reduction adds one more element: (combiner, terms, condition under which there is one).

    A sum of floating products is fused multiply-adds. A summand that is a select with zero is left out where the
    condition fails, and its clamped indices become plain ones: what is not there is not read. Of a product this holds
    for the border of an array only (a padded convolution with an infinite weight has no NaN there); where the condition
    depends on data, zero times inf is NaN.
    """
    assert c.combiner is not None
    if c.combiner is not SUM or len(terms) != 1 or not is_float(terms[0].dtype):
        return c.combiner, terms, None
    factors = terms[0].args if terms[0].prim == "mul" else terms
    masked = [_is_masked(f) and (len(factors) == 1 or not loads_in(f.args[:1])) for f in factors]
    conditions = [f.args[0] for f, left_out in zip(factors, masked, strict=True) if left_out]
    bare = tuple(f.args[1] if left_out else f for f, left_out in zip(factors, masked, strict=True))
    cond = all_of(conditions) if conditions else None
    if cond is not None:
        bare = tuple(_unclamp(bare, cond))
    return (DOT if len(bare) == 2 else SUM), bare, cond


def _loop_order(c: Compute, combiner: Combiner, terms: Terms) -> list[Axis]:
    """The reduced axes of a sum of products, those with the longest strides in the larger operand outermost."""
    if combiner is not DOT:
        return list(c.reduce)
    loads = [e for e in loads_in(terms) if e.args]
    extents = dict(c.axes + c.reduce)
    walked = max(loads, key=lambda e: prod(n for name, n in extents.items() if name in e.names), default=None)
    form = linear(walked.args[0]) if walked is not None else None
    return sorted(c.reduce, key=lambda axis: -((form and form.stride(axis[0])) or 0))


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

    # a load's flat offset is a sum of such indices: strip inside, then bring it into linear form again
    stripped = expression.substitute(exprs, strip)
    return expression.substitute(
        stripped,
        lambda e: expression.load(str(e.value), [linear(e.args[0]).expr()], e.dtype) if e.prim == "load" else None,
    )


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




"""Batching: a graph given one axis more, mechanically, because every op carries a formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from symgraph import expression
from symgraph.expression import Expr
from symgraph.formula import Compute
from symgraph.graph import Apply, Attr, Variable, apply, substitute, toposort
from symgraph.host import Host
from symgraph.op import OPS, Attrs, GradResult, Op, Precondition
from symgraph.ops.broadcast import expanded
from symgraph.ops.creation import zeros
from symgraph.ops.reduce import all as every
from symgraph.ops.shape import extents, permute
from symgraph.origin import made_at
from symgraph.types import TensorType, broadcast_extents

BATCH_AXIS = "b"


class Batched(Op):
    """``op`` done for each row of its batched operands. Attribute ``which``: for each input whether it is batched."""

    def __init__(self, inner: Op) -> None:
        self.inner, self.name, self.sizes_from, self.doc = inner, f"batched_{inner.name}", inner.sizes_from, inner.doc

    def __reduce__(self) -> tuple[object, ...]:
        return batched_op, (self.inner,)

    def _rows(self, inputs: Sequence[Variable], attrs: Attrs) -> tuple[Apply, int | None]:
        """The node of the inner op on unbatched stand-ins, and the batch extent."""
        which = attrs["which"]
        stand_ins = [
            Variable(TensorType(v.dtype, v.type.shape[1:]), name=v.name) if w else v
            for v, w in zip(inputs, which, strict=True)
        ]
        extent = broadcast_extents([v.type.shape[0] for v, w in zip(inputs, which, strict=True) if w])
        return apply(self.inner, stand_ins, _inner(attrs)), extent

    def infer(self, inputs: Sequence[Variable], attrs: Attrs) -> Sequence[TensorType]:
        node, extent = self._rows(inputs, attrs)
        return [TensorType(v.dtype, (extent, *v.type.shape)) for v in node.outputs]

    def resolve(self, node: Apply) -> Sequence[Variable] | None:
        """Batch what the inner op resolves to."""
        inner, _ = self._rows(node.inputs, node.attrs)
        simpler = self.inner.resolve(inner) or self.inner.expand(inner)
        if simpler is None:
            return None
        pairs = zip(inner.inputs, node.inputs, node.attrs["which"], strict=True)
        return batch(simpler, {a: b for a, b, w in pairs if w})

    def expand(self, node: Apply) -> Sequence[Variable] | None:
        return self.resolve(node)

    def define(self, node: Apply) -> Compute | None:
        inner, extent = self._rows(node.inputs, node.attrs)
        made = self.inner.define(inner)
        if made is None:
            return None
        assert extent is not None, f"{self.name}: the batch must have a known extent"
        row = expression.axis(BATCH_AXIS)

        def lift(e: Expr) -> Expr | None:
            if e.prim == "load" and node.attrs["which"][e.value]:
                return expression.load(e.value, (row, *e.args), e.dtype)  # type: ignore[arg-type]
            return None

        at = None if made.at is None else (row, *expression.substitute(made.at, lift))
        exprs = tuple(expression.substitute(made.exprs, lift))
        return replace(made, axes=((BATCH_AXIS, extent), *made.axes), exprs=exprs, at=at)

    def preconditions(self, node: Apply) -> Sequence[Precondition]:
        """What must hold for every row."""
        inner, _ = self._rows(node.inputs, node.attrs)
        rows = {a: b for a, b, w in zip(inner.inputs, node.inputs, node.attrs["which"], strict=True) if w}
        return [replace(g, ok=every(batch([g.ok], rows)[0])) for g in self.inner.preconditions(inner)]

    def reference(self, node: Apply, arrays: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        inner, _ = self._rows(node.inputs, node.attrs)
        which = node.attrs["which"]
        count = next(len(a) for a, w in zip(arrays, which, strict=True) if w)
        rows = [
            self.inner.reference(inner, [a[i] if w else a for a, w in zip(arrays, which, strict=True)])
            for i in range(count)
        ]
        empty = [np.zeros([0, *(n or 0 for n in v.type.shape)], v.dtype) for v in inner.outputs if v.type.is_static]
        return [np.stack(column) for column in zip(*rows, strict=True)] if rows else empty

    def grad(self, node: Apply, cotangents: Sequence[Variable | None]) -> GradResult:
        inner, _ = self._rows(node.inputs, node.attrs)
        weights = [Variable(v.type) for v in inner.outputs]
        given = [None if g is None else w for g, w in zip(cotangents, weights, strict=True)]
        pulled = self.inner.grad(inner, given)
        rows = {a: b for a, b, w in zip(inner.inputs, node.inputs, node.attrs["which"], strict=True) if w}
        rows.update({w: g for w, g in zip(weights, cotangents, strict=True) if g is not None})
        return [None if g is None else batch([g], rows)[0] for g in pulled]


_batched: dict[Op, Batched] = {}


def batched_op(inner: Op) -> Batched:
    """The batched form of an op, made once."""
    return _batched.setdefault(inner, Batched(inner))


def _inner(attrs: Attrs) -> dict[str, Attr]:
    return {k: v for k, v in attrs.items() if k != "which"}


def batch(outputs: Sequence[Variable], rows: Mapping[Variable, Variable]) -> list[Variable]:
    """``outputs`` for each row of the batched stand-ins.

    Parameters
    ----------
    rows : mapping
        Variable of the graph -> variable with one axis more in front, all of one extent.

    Returns
    -------
    list of Variable
        Each with the batch axis in front (repeated if it does not depend on ``rows``).
    """
    done: dict[Variable, Variable] = dict(rows)
    for node in toposort(outputs, rows):
        if node.op is not OPS["shape_of"] and any(v in done for v in node.op.operands(node)):
            with made_at(node.origin):
                done.update(zip(node.outputs, _batch_node(node, done), strict=True))
    like = next(iter(rows.values()))
    return _of_rows_alone([done[v] if v in done else _repeat(v, like) for v in outputs], rows)


def _of_rows_alone(outputs: Sequence[Variable], rows: Mapping[Variable, Variable]) -> list[Variable]:
    """``outputs`` without the stand-ins: extents are those of every row, so what asks for them gets zeros instead."""
    known = {row: row for row in rows.values()}
    read = {v for node in toposort(outputs, known) for v in node.inputs}
    zero = {v: zeros(extents(row)[1:], v.dtype) for v, row in rows.items() if v in read}
    return substitute(outputs, {**zero, **known}) if zero else list(outputs)


def _batch_node(node: Apply, done: Mapping[Variable, Variable]) -> Sequence[Variable]:
    expanded = node.op.expand(node)
    if expanded is not None:
        inside = {v: done[v] for v in node.inputs if v in done}
        return batch(expanded, inside)
    if isinstance(node.op, Host):  # the batch is one more axis of the stack
        like = next(done[v] for v in node.inputs if v in done)
        return apply(node.op, [done[v] if v in done else _repeat(v, like) for v in node.inputs], node.attrs).outputs
    rows = dict(done)
    if node.op.into is not None:  # each row writes into a copy of its own
        start = node.inputs[node.op.into]
        rows[start] = done[start] if start in done else _repeat(start, next(done[v] for v in node.inputs if v in done))
    inputs = [rows.get(v, v) for v in node.inputs]
    which = tuple(v in rows for v in node.inputs)
    return apply(batched_op(node.op), inputs, {**node.attrs, "which": which}).outputs


def _repeat(v: Variable, like: Variable) -> Variable:
    """``v`` with a batch axis in front, as long as that of ``like``."""
    return expanded(permute(v, (None, *range(v.ndim))), [extents(like)[0], *extents(v)])

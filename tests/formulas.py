"""Index formulas by NumPy, element by element: whether a formula means what the op's reference says."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from symgraph import expression
from symgraph.expression import Expr
from symgraph.formula import Compute
from symgraph.graph import Apply, Variable, apply, constant
from symgraph.op import OPS
from symgraph.types import TensorType


def compute_value(c: Compute, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """The (last) output of a map or a reduction; every load is checked to be in bounds."""
    every = (*c.axes, *c.reduce)
    grid = dict(zip([name for name, _ in every], np.indices([n for _, n in every], "int64", sparse=True), strict=True))

    terms = _values(c.exprs, grid, arrays)
    shape, over = [n for _, n in c.axes], [n for _, n in c.reduce]
    full = [np.broadcast_to(t, (*shape, *over)) for t in terms]
    if c.combiner is None:
        return np.array(full[-1])
    return _folded(c, [t.reshape(*shape, math.prod(over)) for t in full], shape)


def _values(exprs: Sequence[Expr], grid: dict[str, np.ndarray], arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    memo = {}
    with np.errstate(all="ignore"):
        for e in expression.toposort(exprs):
            if e.prim == "axis":
                memo[e] = grid[e.value]
            elif e.prim == "load":
                memo[e] = _element(arrays[e.value], [memo[i] for i in e.args])
            else:
                memo[e] = expression.evaluate_one(e, memo, lambda leaf: leaf)
    return [memo[e] for e in exprs]


def _element(a: np.ndarray, index: Sequence[np.ndarray]) -> np.ndarray:
    for i, n in zip(index, a.shape, strict=True):
        assert np.all((i >= 0) & (i < n)), f"a load at {i.min()}..{i.max()} of {n}"
    return a[tuple(index)]


def _folded(c: Compute, terms: Sequence[np.ndarray], shape: Sequence[int]) -> np.ndarray:
    assert c.combiner is not None
    dtypes = [t.dtype.name for t in terms]
    acc = [np.full(shape, e.value, e.dtype) for e in c.combiner.identity(dtypes)]
    slots = [expression.load(k, (), d) for k, d in enumerate(dtypes)]
    more = [expression.load(len(slots) + k, (), d) for k, d in enumerate(dtypes)]
    merged = c.combiner.merge(tuple(slots), tuple(more))
    for k in range(terms[0].shape[-1]):
        now = [*acc, *[t[..., k] for t in terms]]
        acc = expression.evaluate(merged, lambda e, now=now: now[e.value])
    return np.asarray(acc[-1])


def formula_value(op: str, arrays: Sequence[np.ndarray], sizes: Sequence[int] = (), **attrs: object) -> np.ndarray:
    """The value of an op on ``arrays`` and extents by its formula."""
    node = node_of(op, arrays, sizes, **attrs)
    return compute_value(node.op.define(node), arrays)


def reference_value(op: str, arrays: Sequence[np.ndarray], sizes: Sequence[int] = (), **attrs: object) -> np.ndarray:
    """The value of an op on ``arrays`` and extents by its reference."""
    node = node_of(op, arrays, sizes, **attrs)
    return node.op.reference(node, [*arrays, *[np.int64(n) for n in sizes]])[0]


def node_of(op: str, arrays: Sequence[np.ndarray], sizes: Sequence[int] = (), **attrs: object) -> Apply:
    """The node of an op on inputs of the arrays' types."""
    inputs = [Variable(TensorType(a.dtype.name, a.shape)) for a in arrays]
    return apply(OPS[op], [*inputs, *[constant(np.int64(n)) for n in sizes]], attrs)

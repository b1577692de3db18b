"""Canonicalize: extents, axes, stretches and casts (see ``canonicalize`` for the law and the measure)."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np

from symgraph.graph import Apply, Constant, Variable, apply, constant
from symgraph.kinds import Elementwise, Reduction
from symgraph.match import Owner, make
from symgraph.op import OPS
from symgraph.ops.shape import shape_of
from symgraph.rewrite import rewriter
from symgraph.types import is_float, is_integer

# ------------------------------------------------------------------------------------------------ extents


@rewriter("canonicalize")
def known_extents(node: Apply, owner: Owner) -> Sequence[Variable] | None:
    """Shape arithmetic on known shapes: the extent is a number, a broadcast or a sum back to the same shape nothing."""
    return node.op.resolve(node)


@rewriter("canonicalize", "shape_of")
def extent_of_source(node: Apply, owner: Owner) -> Variable | None:
    """The extent of an axis is that of the variable the axis comes from."""
    found = shape_of(node.inputs[0], node.attrs["axis"])
    return None if found is node.outputs[0] else found


@rewriter("canonicalize", "maximum")
def maximum_of_extent(node: Apply, owner: Owner) -> Variable | None:
    """maximum(n, 0) is n for an extent."""
    extent = [k for k, v in enumerate(node.inputs) if (made := owner(v)) is not None and made.op.name == "shape_of"]
    if not extent:
        return None
    other = node.inputs[1 - extent[0]]
    return node.inputs[extent[0]] if isinstance(other, Constant) and int(other) <= 0 else None


@rewriter("canonicalize", "lt")
def extents_are_not_negative(node: Apply, owner: Owner) -> Variable | None:
    """n < 0 is false for an extent."""
    made = owner(node.inputs[0])
    zero = isinstance(node.inputs[1], Constant) and not node.inputs[1].data.any()
    return constant(False) if made is not None and made.op.name == "shape_of" and zero else None


@rewriter("canonicalize", "slice")
def whole_slice(node: Apply, owner: Owner) -> Variable | None:
    """x[0:n] is x where n is the extent."""
    x, start, length, step = node.inputs
    first = isinstance(start, Constant) and int(start) == 0 and isinstance(step, Constant) and int(step) == 1
    return x if first and length is shape_of(x, node.attrs["axis"]) else None


# ------------------------------------------------------------------------------------------------ stretches


@rewriter("canonicalize")
def idle_broadcast(node: Apply, owner: Owner) -> Variable | None:
    """An elementwise op broadcasts by itself: an operand stretched to the shape the others have need not be."""
    if not isinstance(node.op, Elementwise) or len(node.inputs) < 2:
        return None
    for k, v in enumerate(node.inputs):
        narrow = _before_broadcast(v, owner)
        if narrow is not None and narrow.ndim == v.ndim:
            new = apply(node.op, [narrow if j == k else u for j, u in enumerate(node.inputs)], node.attrs).outputs[0]
            if new.type == node.outputs[0].type and (new.type.is_static or _follows(v, node, k, owner)):
                return new
    return None


def _before_broadcast(v: Variable, owner: Owner) -> Variable | None:
    """What ``v`` was stretched from; a constant scalar needs no axes."""
    made = owner(v)
    if made is None or made.op.name not in ("broadcast_to", "broadcast_like"):
        return None
    (x, *_) = made.inputs
    if isinstance(x, Constant) and x.data.size == 1:
        return constant(x.data.reshape((1,) * v.ndim))
    pad = (None,) * (v.ndim - x.ndim) + tuple(range(x.ndim))
    return apply(OPS["dimshuffle"], [x], {"pattern": pad}).outputs[0] if x.ndim < v.ndim else x


def _follows(v: Variable, node: Apply, k: int, owner: Owner) -> bool:
    """Whether ``v`` was stretched to the shape of another operand of ``node``, so that the shape stays without it."""
    made = owner(v)
    assert made is not None
    to = made.inputs[1:] if made.op.name == "broadcast_to" else extents_of(made.inputs[1])
    return any(u.ndim == len(to) and all(map(operator.is_, extents_of(u), to)) for u in _others(node, k))


def _others(node: Apply, k: int) -> list[Variable]:
    return [u for j, u in enumerate(node.inputs) if j != k]


def extents_of(v: Variable) -> list[Variable]:
    """The extents of ``v`` as variables; the same ones for shapes that are plainly the same."""
    return [shape_of(v, k) for k in range(v.ndim)]


# ------------------------------------------------------------------------------------------------ axes


def _shuffled(x: Variable, pattern: tuple[int | None, ...]) -> Variable:
    return x if pattern == tuple(range(x.ndim)) else apply(OPS["dimshuffle"], [x], {"pattern": pattern}).outputs[0]


@rewriter("canonicalize", "dimshuffle")
def merged_dimshuffle(node: Apply, owner: Owner) -> Variable | None:
    """A dimshuffle of a dimshuffle is one; one that moves nothing is none."""
    (x,), pattern = node.inputs, node.attrs["pattern"]
    first = owner(x)
    if first is not None and first.op is node.op:
        inner = first.attrs["pattern"]
        return _shuffled(first.inputs[0], tuple(None if p is None else inner[p] for p in pattern))
    return x if pattern == tuple(range(x.ndim)) else None


@rewriter("canonicalize", "dimshuffle")
def keepdims_by_dimshuffle(node: Apply, owner: Owner) -> Variable | None:
    """``x.sum(axis=1)[:, None]`` is ``x.sum(axis=1, keepdims=True)``; dropping the kept axes is not keeping them."""
    reduced = owner(node.inputs[0])
    if reduced is None or "keepdims" not in reduced.attrs or len(reduced.outputs) > 1:
        return None
    axis, keepdims, pattern = reduced.attrs["axis"], reduced.attrs["keepdims"], node.attrs["pattern"]
    rank = reduced.inputs[0].ndim
    others = [k for k in range(rank) if k not in axis]
    inserted = tuple(None if k in axis else others.index(k) for k in range(rank))
    if pattern != (tuple(others) if keepdims else inserted):
        return None
    return apply(reduced.op, reduced.inputs, {**reduced.attrs, "keepdims": not keepdims}).outputs[0]


@rewriter("canonicalize", "dimshuffle")
def dimshuffle_beside_reduction(node: Apply, owner: Owner) -> Variable | None:
    """``(1 / x.sum(axis=1))[:, None]`` is ``1 / x.sum(axis=1)[:, None]``: inserted axes stand beside the reduction that
    removed them."""
    (x,), pattern = node.inputs, node.attrs["pattern"]
    made = owner(x)
    if made is None or None not in pattern or not _is_of_reductions(x, owner):
        return None
    moved = [v if isinstance(v, Constant) and v.ndim == 0 else _shuffled(v, pattern) for v in made.inputs]
    return apply(made.op, moved, made.attrs).outputs[0]


def _is_of_reductions(v: Variable, owner: Owner, depth: int = 6) -> bool:
    """Whether ``v`` is an elementwise function of reductions without keepdims, and of constants."""
    made = owner(v)
    if made is None or not isinstance(made.op, Elementwise) or not depth:
        return False
    open_ = [u for u in made.inputs if not (isinstance(u, Constant) and u.ndim == 0)]
    return bool(open_) and all(_is_reduced(u, owner) or _is_of_reductions(u, owner, depth - 1) for u in open_)


def _is_reduced(v: Variable, owner: Owner) -> bool:
    made = owner(v)
    return made is not None and made.attrs.get("keepdims") is False


@rewriter("canonicalize", "dimshuffle")
def negation_outside_dimshuffle(node: Apply, owner: Owner) -> Variable | None:
    """A negation stands outside of a dimshuffle, where sums and products meet it."""
    made = owner(node.inputs[0])
    if made is None or made.op.name != "neg":
        return None
    return make("neg", _shuffled(made.inputs[0], node.attrs["pattern"]))


@rewriter("canonicalize", "reshape")
def reshape_by_ones(node: Apply, owner: Owner) -> Variable | None:
    """A reshape that only inserts or drops axes of extent 1 is a dimshuffle; one that changes nothing is none."""
    x = node.inputs[0]
    first = owner(x)
    if first is not None and first.op is node.op:
        return apply(node.op, [first.inputs[0], *node.inputs[1:]], node.attrs).outputs[0]
    old = [k for k, n in enumerate(x.type.shape) if n != 1]
    pattern: list[int | None] = []
    for size in node.inputs[1:]:
        if isinstance(size, Constant) and int(size) == 1:
            pattern.append(None)
        elif old and size is shape_of(x, old[0]):
            pattern.append(old.pop(0))
        else:
            return None
    return None if old else _with_ones_in_place(x, pattern)


def _with_ones_in_place(x: Variable, pattern: Sequence[int | None]) -> Variable:
    """The dimshuffle, idle where the axes of extent 1 are the old ones."""
    ones = [k for k, n in enumerate(x.type.shape) if n == 1]
    full = tuple(pattern)
    kept = tuple(ones.pop(0) if p is None and ones else p for p in full)
    return x if kept == tuple(range(x.ndim)) else _shuffled(x, full)


# ------------------------------------------------------------------------------------------------ casts


@rewriter("canonicalize", "cast")
def idle_cast(node: Apply, owner: Owner) -> Variable | None:
    """A cast to the dtype a value has is nothing; a cast through a wider dtype is a cast, or nothing."""
    (x,), dtype = node.inputs, node.attrs["dtype"]
    if x.dtype == dtype:
        return x
    first = owner(x)
    if first is None or first.op is not node.op or not is_lossless(first.inputs[0].dtype, x.dtype):
        return None
    start = first.inputs[0]
    return start if start.dtype == dtype else apply(node.op, [start], {"dtype": dtype}).outputs[0]


def is_lossless(narrow: str, wide: str) -> bool:
    """Whether every value of dtype ``narrow`` is one of ``wide``."""
    if is_float(wide) and is_integer(narrow):
        return np.iinfo(narrow).bits - (narrow[0] == "i") <= np.finfo(wide).nmant + 1
    return bool(np.can_cast(narrow, wide, "safe"))


@rewriter("canonicalize")
def idle_reduction(node: Apply, owner: Owner) -> Variable | None:
    """A product, maximum or minimum along axes of extent 1 is the value itself; so is a sum of integers.

    A sum of floats is not: 0 + -0.0 is 0.
    """
    if not isinstance(node.op, Reduction) or node.op.name not in ("sum", "prod", "max", "min"):
        return None
    (x,), axis = node.inputs, node.attrs["axis"]
    if node.op.name == "sum" and not is_integer(x.dtype):
        return None
    if node.outputs[0].dtype != x.dtype or any(x.type.shape[k] != 1 for k in axis):
        return None
    return x if node.attrs["keepdims"] else _shuffled(x, tuple(k for k in range(x.ndim) if k not in axis))

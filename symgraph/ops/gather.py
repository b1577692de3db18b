"""Several axes read, written or added to at integer arrays that broadcast against each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph.coercion import convert, pad_rank
from symgraph.errors import ShapeError, layout
from symgraph.expression import INDEX, Expr, cast, const, maximum, minimum, select
from symgraph.formula import LAST, SUM, Compute, Operand, compute, scatter
from symgraph.graph import Apply, Constant, Variable, constant, describe, label
from symgraph.kinds import Structured
from symgraph.op import OPS, Precondition
from symgraph.ops import elementwise as ew
from symgraph.ops.broadcast import broadcast_like, expanded
from symgraph.ops.creation import arange_of
from symgraph.ops.extents import product
from symgraph.ops.shape import extents, permute, reshaped, shape_of
from symgraph.ops.slicing import check_index, index_precondition, named
from symgraph.origin import here_excerpt
from symgraph.types import Shape, TensorType, broadcast_shapes
from symgraph.varying import fixed, term

__all__: list[str] = []

Axes = tuple[int, ...]
SAME_VALUES = {"dimshuffle", "reshape", "broadcast_to", "broadcast_like", "specify_shape", "slice"}

# ------------------------------------------------------------------------------------------------ range


def value_range(index: Variable) -> tuple[int, int] | None:
    """The least and greatest value of an integer variable, if they are plain to see (none at all: 0, 0)."""
    while index.owner is not None and (index.owner.op.name in SAME_VALUES or _is_widening(index)):
        index = index.owner.inputs[0]
    if isinstance(index, Constant):
        return (int(index.data.min()), int(index.data.max())) if index.data.size else (0, 0)
    if index.owner is None or index.owner.op.name != "arange":
        return None
    start, step, length = index.owner.inputs
    if not all(isinstance(v, Constant) for v in (start, step, length)):
        return None
    first, by, n = int(start), int(step), int(length)
    return (min(first, first + by * (n - 1)), max(first, first + by * (n - 1))) if n else (0, 0)


def _is_widening(index: Variable) -> bool:
    assert index.owner is not None
    return index.owner.op.name == "cast" and np.can_cast(index.owner.inputs[0].dtype, index.dtype)


def _is_inside(index: Variable, n: int | None) -> bool:
    found, n = value_range(index), fixed(n)
    return found is not None and n is not None and -n <= found[0] and found[1] < n


def _check_range(x: Variable, index: Variable, axis: int) -> None:
    n, found = fixed(x.type.shape[axis]), value_range(index)
    if isinstance(index, Constant) and index.data.size and n is not None and found is not None:
        for i in found:
            check_index(i, n, axis, x)


def _preconditions(x: Variable, indices: Sequence[Variable], axes: Axes) -> list[Precondition]:
    return [
        _range_precondition(x, index, axis)
        for index, axis in zip(indices, axes, strict=True)
        if not _is_inside(index, x.type.shape[axis])
    ]


def _range_precondition(x: Variable, index: Variable, axis: int) -> Precondition:
    n, wide = shape_of(x, axis), convert(index, "int64")
    ok = ew.and_(ew.le(ew.neg(n), wide), ew.lt(wide, n))
    every = OPS["all"](ok) if ok.ndim else ok  # type: ignore[operator]
    return index_precondition(every, f"an index is out of range for {named(axis, x)}", x, index, axis)


Finder = Callable[[Sequence[Expr]], dict[int, Expr]]


def _finder(node: Apply, first: int) -> Finder:
    """From the indices of the broadcast index arrays (inputs from ``first`` on) the place on each indexed axis.

    A place never leaves the axis, whatever the index holds: a wrong one raises, but no kernel reads beyond its buffer.
    """
    x, axes = node.inputs[0], node.attrs["axes"]
    sources = [(Operand(k, v.type), v, axes[k - first]) for k, v in enumerate(node.inputs) if k >= first]

    def find(out: Sequence[Expr]) -> dict[int, Expr]:
        return {axis: _wrapped(_broadcast_load(o, out), v, x.type.shape[axis] or 0) for o, v, axis in sources}

    return find


def _broadcast_load(index: Operand, out: Sequence[Expr]) -> Expr:
    own = out[len(out) - len(index.shape) :]
    return cast(index[tuple(const(0, INDEX) if n == 1 else i for i, n in zip(own, index.shape, strict=True))], INDEX)


def _wrapped(i: Expr, index: Variable, n: int) -> Expr:
    found = value_range(index)
    if found is None or found[0] < 0:
        i = select(i < 0, i + term(n), i)
    return i if _is_inside(index, n) else maximum(minimum(i, term(n) - 1), 0)


def _at(places: dict[int, Expr], rest: Sequence[Expr], rank: int) -> tuple[Expr, ...]:
    others = iter(rest)
    return tuple(places[k] if k in places else next(others) for k in range(rank))


# ------------------------------------------------------------------------------------------------ reading


def _result_shape(x: Variable, indices: Sequence[Variable], axes: Axes) -> Shape:
    try:
        lead = broadcast_shapes([v.type.shape for v in indices])
    except ShapeError as error:
        raise ShapeError(
            layout(f"the index arrays of {label(x)} do not fit each other: {error}", map(describe, indices),
                   here_excerpt(), "they must broadcast; x[i[:, None], j] takes every pair")
        ) from None  # fmt: skip
    return lead + tuple(n for k, n in enumerate(x.type.shape) if k not in axes)


def _gather_type(x: Variable, *indices: Variable, axes: Axes, head: bool) -> TensorType:
    for index, axis in zip(indices, axes, strict=True):
        _check_range(x, index, axis)
    return TensorType(x.dtype, _result_shape(x, indices, axes))


def _gather_numpy(x: np.ndarray, *indices: np.ndarray, axes: Axes, head: bool) -> object:
    return np.moveaxis(x, axes, range(len(axes)))[tuple(i.astype("int64") for i in indices)]


class _Gather(Structured):
    def define(self, node: Apply) -> Compute:
        return self.formula(Operand(0, node.inputs[0].type), node, _finder(node, 1))


def _read(x: Operand, node: Apply, find: Finder) -> Compute:
    """The elements at integer arrays on ``axes``: their axes come first, those that are not indexed after them."""
    shape = tuple(n for n in node.outputs[0].type.shape if n is not None)
    lead = len(shape) - len(x.shape) + len(node.attrs["axes"])

    def element(*out: Expr) -> Expr:
        if 0 in x.shape:
            return const(0, x.dtype)
        return x[_at(find(out[:lead]), out[lead:], len(x.shape))]

    return compute(shape, element)


def _gather_grad(g: Variable, x: Variable, *rest: Any, axes: Axes, head: bool) -> list[Variable | None]:
    return [put(broadcast_like(constant(0, x.dtype), x), g, rest[:-1], axes, inc=True)]


_gather = _Gather(
    "gather", _read, infer=_gather_type, reference=_gather_numpy, grad=_gather_grad, doc=_read.__doc__,
    preconditions=lambda x, *indices, axes, head: _preconditions(x, indices, axes),
    resolve=lambda x, *indices, axes, head: gather(x, indices, axes) if head else None,
)  # fmt: skip
_gather.register()


def gather(x: Variable, indices: Sequence[Variable], axes: Axes, *, head: bool = False) -> Variable:
    """``x`` at integer arrays, one for each of ``axes``; the axes of their broadcast come first.

    Parameters
    ----------
    head : bool
        Whether this is the first op of an index expression: where ``set_subtensor`` finds the base.
    """
    rank = max(v.ndim for v in indices)
    return _gather(x, *[pad_rank(v, rank) for v in indices], axes=axes, head=head)


# ------------------------------------------------------------------------------------------------ writing


def _put_type(x: Variable, y: Variable, *indices: Variable, axes: Axes, inc: bool) -> TensorType:
    wanted = _gather_type(x, *indices, axes=axes, head=False)
    if not wanted.accepts(y.type):
        raise ShapeError(
            layout(f"set_subtensor({label(x)}, {label(y)}): the value is {y.type}, the index selects {wanted}",
                   [describe(x), describe(y)], here_excerpt(), "the value must broadcast to the shape of x[...]")
        )  # fmt: skip
    return x.type


def _put_numpy(x: np.ndarray, y: np.ndarray, *indices: np.ndarray, axes: Axes, inc: bool) -> object:
    out = x.copy()
    view, at = np.moveaxis(out, axes, range(len(axes))), tuple(i.astype("int64") for i in indices)
    if inc:
        np.add.at(view, at, y)
    else:
        view[at] = y
    return out


class _Put(Structured):
    into = 0

    def define(self, node: Apply) -> Compute:
        return self.formula(Operand(0, node.inputs[0].type), Operand(1, node.inputs[1].type), node, _finder(node, 2))


def _write(x: Operand, y: Operand, node: Apply, find: Finder) -> Compute:
    """x, with the elements at integer arrays replaced by those of y (the last of several wins), or y added to them."""
    lead = len(y.shape) - len(x.shape) + len(node.attrs["axes"])

    def element(*out: Expr) -> tuple[tuple[Expr, ...], Expr]:
        return _at(find(out[:lead]), out[lead:], len(x.shape)), y[out]

    walked = y.shape if 0 not in x.shape else (0,) * len(y.shape)
    return scatter(walked, element, into=0, combiner=SUM if node.attrs["inc"] else LAST)


def _put_grad(g: Variable, x: Variable, y: Variable, *rest: Any, axes: Axes, inc: bool) -> list[Variable | None]:
    indices = rest[:-1]
    by_y = gather(g, indices, axes)
    if inc:
        return [g, by_y]
    zeros = broadcast_like(constant(0, y.dtype), y)
    by_x = put(g, zeros, indices, axes, inc=False)
    kept = _winners(x, indices, axes)
    if kept is None:
        return [by_x, by_y]
    mask = permute(kept, tuple(range(kept.ndim)) + (None,) * (y.ndim - kept.ndim))
    return [by_x, ew.switch(mask, by_y, zeros)]


def _winners(x: Variable, indices: Sequence[Variable], axes: Axes) -> Variable | None:
    """Where a value is not overwritten by a later one with the same target; None if none can be.

    Every place writes its number into a field of the indexed axes, and has won if it reads the number back.
    """
    lead = indices[0]
    for v in indices[1:]:
        lead = ew.add(lead, v)
    if any(_is_distinct(v) and v.type.shape == lead.type.shape for v in indices):
        return None
    order = reshaped(arange_of(0, 1, product(extents(lead)), "int64"), extents(lead))
    field = expanded(constant(-1, "int64"), [extents(x)[k] for k in axes])
    every = tuple(range(len(axes)))
    won: Variable = ew.eq(gather(put(field, order, indices, every, inc=False), indices, every), order)
    return won


def _is_distinct(index: Variable) -> bool:
    """Whether an index vector holds no place twice."""
    found = value_range(index)
    if found is None or found[0] < 0 or index.ndim > 1 or not index.type.is_static:
        return False
    if isinstance(index, Constant):
        return len(np.unique(index.data)) == index.data.size
    return index.owner is not None and index.owner.op.name == "arange"


_put = _Put(
    "put", _write, infer=_put_type, reference=_put_numpy, grad=_put_grad, doc=_write.__doc__,
    preconditions=lambda x, y, *indices, axes, inc: _preconditions(x, indices, axes),
)  # fmt: skip
_put.register()


def put(x: Variable, y: Variable, indices: Sequence[Variable], axes: Axes, *, inc: bool) -> Variable:
    """``x`` with the elements at ``indices`` replaced by ``y``, or ``y`` added; ``y`` has the shape of ``gather``'s."""
    rank = max(v.ndim for v in indices)
    padded = [pad_rank(v, rank) for v in indices]
    if inc and x.dtype == "float16":
        wide = _put(convert(x, "float32"), convert(y, "float32"), *padded, axes=axes, inc=inc)
        return convert(wide, "float16")
    return _put(x, y, *padded, axes=axes, inc=inc)

"""Boolean masks given as variables: ``x[mask]``, and what is written through it.

How many elements ``x[mask]`` has is known only when the function runs: the host counts them first
(``symgraph.ops.search``). What is written through a mask, or summed over what it selects, needs
no such number: it has the shape of ``x``, as a choice, ``switch(mask, value, x)``. The value of the k-th element
selected belongs at the place that has k selected ones before it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from symgraph.coercion import as_variable, pad_rank, size_variable
from symgraph.errors import ShapeError, layout
from symgraph.expression import Expr, const, maximum, minimum
from symgraph.formula import SUM, Compute, Operand, compute, scatter
from symgraph.graph import Apply, Constant, Variable, apply, constant, describe, label, toposort
from symgraph.kinds import Elementwise, Structured, structured
from symgraph.op import OPS, Precondition
from symgraph.ops import elementwise as ew
from symgraph.ops.broadcast import broadcast_like
from symgraph.ops.cumulative import cumsum
from symgraph.ops.search import count, places
from symgraph.ops.shape import extents, flatten, permute, reshaped, shape_of
from symgraph.ops.slicing import indexed
from symgraph.origin import here_excerpt
from symgraph.types import TensorType
from symgraph.varying import term

__all__: list[str] = []

# ------------------------------------------------------------------------------------------------ reading


def is_mask(part: object) -> bool:
    """Whether a part of an index is a mask whose values are not known yet."""
    return isinstance(part, Variable) and not isinstance(part, Constant) and part.dtype == "bool" and part.ndim > 0


def check_mask(x: Variable, mask: Variable, axis: int) -> None:
    """Raise ShapeError if a mask does not fit the axes from ``axis`` on."""
    own = x.type.shape[axis : axis + mask.ndim]
    pairs = zip(own, mask.type.shape, strict=False)
    if len(own) < mask.ndim or any(None not in (n, m) and n != m for n, m in pairs):
        raise ShapeError(
            layout(f"{label(indexed(x))}[mask]: the mask is {mask.type}, the axes from {axis} on are {own}",
                   [describe(indexed(x)), describe(mask)], here_excerpt(),
                   "a mask must have the shape of the axes it selects from")
        )  # fmt: skip


def _selected_shape(x: Variable, mask: Variable, places: Variable, axis: int) -> TensorType:
    check_mask(x, mask, axis)
    return TensorType(x.dtype, (*x.type.shape[:axis], places.type.shape[0], *x.type.shape[axis + mask.ndim :]))


def _selected_grad(
    g: Variable, x: Variable, mask: Variable, places: Variable, y: Variable, axis: int
) -> list[Variable | None]:
    chosen = _over(mask, x, axis)
    return [ew.switch(chosen, _in_place(g, x, mask, axis, checked=False), 0), None, None]


@structured(
    name="selected", infer=_selected_shape, grad=_selected_grad,
    reference=lambda x, mask, places, axis: x[(slice(None),) * axis + (mask,)],
)  # fmt: skip
def _selected(x: Operand, mask: Operand, places: Operand, axis: int) -> Compute:
    """x where a mask over the axes from ``axis`` on holds: at these flat places of it."""
    own = mask.shape

    def element(*out: Expr) -> Expr:
        if 0 in own:
            return const(0, x.dtype)
        return x[(*out[:axis], *_unravelled(places[out[axis],], own), *out[axis + 1 :])]

    return compute((*x.shape[:axis], *places.shape, *x.shape[axis + len(own) :]), element)


def _unravelled(flat: Expr, shape: Sequence[int]) -> list[Expr]:
    """A flat index, which is in range, as one for each axis."""
    behind = [prod(shape[k + 1 :]) for k in range(len(shape))]
    each = [flat // n if n > 1 else flat for n in behind]
    return [each[0], *[i % m for i, m in zip(each[1:], shape[1:], strict=True)]]


def selected(x: Variable, mask: Variable, axis: int) -> Variable:
    """``x`` where a mask over the axes from ``axis`` on holds."""
    check_mask(x, mask, axis)
    return _selected(x, mask, places(mask), axis=axis)


def is_selected(x: Variable) -> bool:
    """Whether ``x`` is ``base[mask]``."""
    return x.owner is not None and x.owner.op is _selected


def _over(mask: Variable, x: Variable, axis: int) -> Variable:
    """A mask over the axes from ``axis`` on of ``x``, in its rank."""
    return permute(mask, (None,) * axis + tuple(range(mask.ndim)) + (None,) * (x.ndim - axis - mask.ndim))


# ------------------------------------------------------------------------------------------------ folding


Owner = Callable[[Variable], Apply | None]


def everywhere(
    y: Variable, axes: Sequence[int], fill: object, owner: Owner
) -> tuple[Variable, tuple[int, ...]] | None:
    """(values, axes) whose sum (or another fold) is that of ``y`` over ``axes``, with ``fill`` where a mask fails.

    None unless ``y`` is computed element by element from selections by one mask, and ``axes`` hold their axis.
    """
    if not _selects(y):
        return None
    found, opaque = _selections(y, owner)
    target = next((n for n in found if n.attrs["axis"] in axes and n.outputs[0].ndim == y.ndim), None)
    values = None if target is None else _lifted(y, target, opaque)
    if target is None or values is None:
        return None
    mask, axis = target.inputs[1], target.attrs["axis"]
    wider = mask.ndim - 1
    whole = tuple(range(axis, axis + mask.ndim))
    over = (*[a for a in axes if a < axis], *whole, *[a + wider for a in axes if a > axis])
    chosen = broadcast_like(_over(mask, values, axis), values)
    return ew.switch(chosen, values, constant(fill, values.dtype)), over


_known: weakref.WeakKeyDictionary[Variable, bool] = weakref.WeakKeyDictionary()
"""Whether a selection is somewhere in what a variable is computed from element by element: asked of every sum."""


def _selects(y: Variable) -> bool:
    pending = [y]
    while pending:
        v = pending[-1]
        inner = v.owner.inputs if v.owner is not None and isinstance(v.owner.op, Elementwise) else ()
        unknown = [i for i in inner if i not in _known]
        if unknown:
            pending += unknown
            continue
        _known[v] = is_selected(v) or any(_known[i] for i in inner)
        pending.pop()
    return _known[y]


def _selections(y: Variable, owner: Owner) -> tuple[list[Apply], list[Variable]]:
    """The selections that ``y`` is computed from element by element, and what must not be looked through."""
    found: list[Apply] = []
    opaque: list[Variable] = []
    pending, seen = [y], {y}
    while pending:
        v = pending.pop()
        node = owner(v)
        if node is None:
            opaque.append(v)
        elif node.op is _selected:
            found.append(node)
        elif isinstance(node.op, Elementwise):
            pending += [i for i in node.inputs if i not in seen]
            seen.update(node.inputs)
    return found, opaque


def extent(y: Variable, along: int, owner: Owner) -> Variable | None:
    """An extent of a selection, from its mask or what it selects from."""
    target = owner(y)
    if target is None or target.op is not _selected:
        return None
    (x, mask, _), axis = target.inputs, target.attrs["axis"]
    if along == axis:
        return size_variable(count(mask))
    return shape_of(x, along if along < axis else along + mask.ndim - 1)


# ------------------------------------------------------------------------------------------------ spreading
# position[i] is the number of selected places before i: which element of the value belongs there.


def _nearest(position: Operand, i: Expr, n: int) -> Expr:
    """The element for place i, brought into range: of places not selected it does not matter."""
    return maximum(minimum(position[i,], term(n) - 1), 0)


def _spread_type(y: Variable, position: Variable, mask: Variable, axis: int, checked: bool) -> TensorType:
    return TensorType(y.dtype, (*y.type.shape[:axis], position.type.shape[0], *y.type.shape[axis + 1 :]))


def _spread_numpy(y: np.ndarray, position: np.ndarray, mask: np.ndarray, axis: int, checked: bool) -> np.ndarray:
    wide: np.ndarray = np.concatenate([y, np.zeros((*y.shape[:axis], 1, *y.shape[axis + 1 :]), y.dtype)], axis)
    found: np.ndarray = np.take(wide, np.clip(position, 0, max(y.shape[axis] - 1, 0)), axis)
    return found


def _spread(y: Operand, position: Operand, mask: Operand, axis: int, checked: bool) -> Compute:
    """y, an element for each place of a mask: that whose number is the place's position."""
    n = y.shape[axis]

    def element(*out: Expr) -> Expr:
        if n == 0:
            return const(0, y.dtype)
        return y[(*out[:axis], _nearest(position, out[axis], n), *out[axis + 1 :])]

    return compute((*y.shape[:axis], position.shape[0], *y.shape[axis + 1 :]), element)


def _counted(y: Variable, position: Variable, mask: Variable, axis: int, checked: bool) -> list[Precondition]:
    if not checked:
        return []
    n, count = shape_of(y, axis), OPS["sum"](ew.cast(mask, "int64"))  # type: ignore[operator]
    ok = ew.or_(ew.eq(n, count), ew.eq(n, 1))
    return [Precondition(ok, f"the value has {_shown(n)} elements along axis {axis}, the mask selects another number",
                         "give one for each that is selected, or a single one", ShapeError)]  # fmt: skip


def _shown(n: Variable) -> str:
    return str(n.data) if isinstance(n, Constant) else "some"


_spread_op = Structured(
    "spread", _spread, infer=_spread_type, reference=_spread_numpy, preconditions=_counted, doc=_spread.__doc__,
    grad=lambda g, y, position, *rest, axis, checked: [collect(y, g, position, axis)],
)  # fmt: skip
_spread_op.register()


def _collect_numpy(start: np.ndarray, g: np.ndarray, position: np.ndarray, axis: int) -> np.ndarray:
    out = start.copy()
    if out.shape[axis]:
        at = np.clip(position, 0, out.shape[axis] - 1)
        np.add.at(np.moveaxis(out, axis, 0), at, np.moveaxis(g, axis, 0))
    return out


class _Collect(Structured):
    into = 0


def _collect(start: Operand, g: Operand, position: Operand, axis: int) -> Compute:
    """start, each element of g added to the one whose number is its place's position: what ``spread`` undoes."""
    n = start.shape[axis]

    def element(*out: Expr) -> tuple[tuple[Expr, ...], Expr]:
        return (*out[:axis], _nearest(position, out[axis], n), *out[axis + 1 :]), g[out]

    return scatter((0,) * len(g.shape) if n == 0 else g.shape, element, into=0, combiner=SUM)


def _collect_grad(
    g: Variable, start: Variable, summed: Variable, position: Variable, out: Variable, axis: int
) -> list[Variable | None]:
    return [g, _spread_op(g, position, broadcast_like(constant(True), position), axis=axis, checked=False)]


_collect_op = _Collect(
    "collect", _collect, infer=lambda start, g, position, axis: start.type, reference=_collect_numpy,
    grad=_collect_grad, doc=_collect.__doc__,
)  # fmt: skip
_collect_op.register()


def collect(y: Variable, g: Variable, position: Variable, axis: int) -> Variable:
    """The elements of ``g`` summed by position, as an array like ``y``."""
    return _collect_op(broadcast_like(constant(0, y.dtype), y), g, position, axis=axis)

# ------------------------------------------------------------------------------------------------ writing


def write(target: Variable, y: Variable, inc: bool) -> tuple[Variable, Variable]:
    """(base, new value of the base) where ``y`` is written to, or added to, ``base[mask]``.

    Raises
    ------
    ShapeError
        If ``y`` does not broadcast to what the mask selects.
    """
    assert target.owner is not None
    (x, mask, _), axis = target.owner.inputs, target.owner.attrs["axis"]
    if y.ndim > target.ndim:
        raise ShapeError(
            layout(f"{label(indexed(x))}[mask]: the value has rank {y.ndim}, what the mask selects {target.ndim}",
                   [describe(indexed(x)), describe(y)], here_excerpt(), "it must broadcast to the shape of x[mask]")
        )  # fmt: skip
    everywhere = _lifted(y, target.owner) if y.ndim else None
    value = _in_place(y, x, mask, axis) if everywhere is None else everywhere
    chosen = _over(mask, x, axis)
    name = "inc_subtensor" if inc else "set_subtensor"
    return x, ew.switch(chosen, ew.add(x, value) if inc else broadcast_like(value, x, name), x)


def _in_place(y: Variable, x: Variable, mask: Variable, axis: int, checked: bool = True) -> Variable:
    """A value with a count axis, spread over the axes of the mask; one without is broadcast over them."""
    after = x.ndim - axis - mask.ndim
    if y.ndim <= after:
        return y
    y = pad_rank(y, axis + 1 + after)
    if y.ndim == 0 or y.type.shape[axis] == 1:
        return permute(y, (*range(axis), *(None,) * mask.ndim, *range(axis + 1, y.ndim))) if y.ndim else y
    flat = flatten(mask)
    position = ew.sub(cumsum(flat), 1)
    spread = _spread_op(y, position, flat, axis=axis, checked=checked)
    sizes = extents(spread)
    return reshaped(spread, (*sizes[:axis], *extents(mask), *sizes[axis + 1 :]))


def _lifted(y: Variable, target: Apply, opaque: Sequence[Variable] = ()) -> Variable | None:
    """A value computed element by element from selections by the same mask, computed for all elements instead."""
    x, mask, _ = target.inputs
    axis = target.attrs["axis"]
    done: dict[Variable, Variable] = {}
    for node in toposort([y], opaque):
        if node.op is _selected and node.inputs[1] is mask and node.attrs == target.attrs:
            done[node.outputs[0]] = node.inputs[0]
        elif any(v in done for v in node.inputs):
            if not isinstance(node.op, Elementwise):
                return None
            inputs = [done[v] if v in done else _in_place(v, x, mask, axis) for v in node.inputs]
            done[node.outputs[0]] = apply(node.op, inputs, node.attrs).outputs[0]
    return done.get(y)


# ------------------------------------------------------------------------------------------------ the index


def without_mask(parts: Sequence[Any]) -> tuple[list[Any], Variable, int] | None:
    """(an index with full slices in the place of its one mask, the mask, which part it was).

    None if the index holds other arrays beside the mask, or an integer that is apart from it: the axis of what is
    selected would then be moved to the front.
    """
    (k, *more) = [k for k, part in enumerate(parts) if is_mask(part)]
    kept = [part is None or part is Ellipsis or isinstance(part, slice) for part in parts]
    numbers = [i for i, basic in enumerate(kept) if not basic and i != k]
    near = all(not any(kept[min(i, k) + 1 : max(i, k)]) for i in numbers)
    if more or not near or any(as_variable(parts[i]).ndim for i in numbers):
        return None
    mask = parts[k]
    return [*parts[:k], *[slice(None)] * mask.ndim, *parts[k + 1 :]], mask, k

"""Boolean masks given as variables: ``set_subtensor(x[mask], y)`` and ``inc_subtensor(x[mask], y)``.

How many elements ``x[mask]`` has is known only when the function runs, so it is no array that could be computed with;
but what is written through it has the shape of ``x``: it is a choice, ``switch(mask, value, x)``. The value of the k-th
element selected belongs at the place that has k selected ones before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from symgraph.coercion import as_variable, pad_rank
from symgraph.errors import DTypeError, ShapeError, layout
from symgraph.expression import Expr, const, maximum, minimum
from symgraph.formula import SUM, Compute, Operand, compute, scatter
from symgraph.graph import Apply, Constant, Variable, apply, constant, describe, in_code, label, toposort
from symgraph.kinds import Elementwise, Structured
from symgraph.op import OPS, Guard
from symgraph.ops import elementwise as ew
from symgraph.ops.broadcast import broadcast_like
from symgraph.ops.cumulative import cumsum
from symgraph.ops.shape import extents, flatten, permute, reshaped, shape_of
from symgraph.ops.slicing import indexed
from symgraph.origin import here_excerpt
from symgraph.types import TensorType

__all__: list[str] = []

# ------------------------------------------------------------------------------------------------ reading


def is_mask(part: object) -> bool:
    """Whether a part of an index is a mask whose values are not known yet."""
    return isinstance(part, Variable) and not isinstance(part, Constant) and part.dtype == "bool" and part.ndim > 0


def _selected_type(x: Variable, mask: Variable, axis: int) -> TensorType:
    own = x.type.shape[axis : axis + mask.ndim]
    pairs = zip(own, mask.type.shape, strict=False)
    if len(own) < mask.ndim or any(None not in (n, m) and n != m for n, m in pairs):
        raise ShapeError(
            layout(f"{label(indexed(x))}[mask]: the mask is {mask.type}, the axes from {axis} on are {own}",
                   [describe(indexed(x)), describe(mask)], here_excerpt(),
                   "a mask must have the shape of the axes it selects from")
        )  # fmt: skip
    return TensorType(x.dtype, (*x.type.shape[:axis], None, *x.type.shape[axis + mask.ndim :]))


def _no_formula(*operands: Operand, axis: int) -> Compute:
    raise AssertionError("a selection is refused before it is compiled")


def _selected_grad(g: Variable, x: Variable, mask: Variable, y: Variable, axis: int) -> list[Variable | None]:
    assert y.owner is not None
    raise _refusal(y.owner)


_selected = Structured(
    "selected", _no_formula, infer=_selected_type, grad=_selected_grad,
    reference=lambda x, mask, axis: x[(slice(None),) * axis + (mask,)],
)  # fmt: skip


def selected(x: Variable, mask: Variable, axis: int) -> Variable:
    """``x`` where a mask over the axes from ``axis`` on holds: what writing through it starts from."""
    return _selected(x, mask, axis=axis)


def is_selected(x: Variable) -> bool:
    """Whether ``x`` is ``base[mask]``."""
    return x.owner is not None and x.owner.op is _selected


def check_no_selection(outputs: Iterable[Variable]) -> None:
    """Raise DTypeError if the value of a ``x[mask]`` is needed: its extent would depend on data."""
    for node in toposort(outputs):
        if node.op is _selected:
            raise _refusal(node)


def _refusal(node: Apply) -> DTypeError:
    x, mask = indexed(node.inputs[0]), node.inputs[1]
    name, condition = in_code(x), in_code(mask, "mask")
    return DTypeError(
        layout(f"{label(x)}[{condition}]: how many elements a mask selects is known only when the function runs",
               [describe(x), describe(mask)], node.origin.excerpt() if node.origin else [],
               f"keep the shape with switch (where): switch({condition}, {name}, 0); or index with positions, "
               "np.nonzero(mask), given as an input")
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------ spreading
# position[i] is the number of selected places before i: which element of the value belongs there.


def _nearest(position: Operand, i: Expr, n: int) -> Expr:
    """The element for place i, brought into range: of places not selected it does not matter."""
    return maximum(minimum(position[i,], n - 1), 0)


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


def _count_guard(y: Variable, position: Variable, mask: Variable, axis: int, checked: bool) -> list[Guard]:
    if not checked:
        return []
    n, count = shape_of(y, axis), OPS["sum"](ew.cast(mask, "int64"))  # type: ignore[operator]
    ok = ew.or_(ew.eq(n, count), ew.eq(n, 1))
    return [Guard(ok, f"the value has {_shown(n)} elements along axis {axis}, the mask selects another number",
                  "give one for each that is selected, or a single one")]  # fmt: skip


def _shown(n: Variable) -> str:
    return str(n.data) if isinstance(n, Constant) else "some"


_spread_op = Structured(
    "spread", _spread, infer=_spread_type, reference=_spread_numpy, guards=_count_guard, doc=_spread.__doc__,
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

    return scatter(g.shape if n else (0,) * len(g.shape), element, into=0, combiner=SUM)


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
    (x, mask), axis = target.owner.inputs, target.owner.attrs["axis"]
    if y.ndim > target.ndim:
        raise ShapeError(
            layout(f"{label(indexed(x))}[mask]: the value has rank {y.ndim}, what the mask selects {target.ndim}",
                   [describe(indexed(x)), describe(y)], here_excerpt(), "it must broadcast to the shape of x[mask]")
        )  # fmt: skip
    everywhere = _lifted(y, target.owner) if y.ndim else None
    value = _in_place(y, x, mask, axis) if everywhere is None else everywhere
    chosen = permute(mask, (None,) * axis + tuple(range(mask.ndim)) + (None,) * (x.ndim - axis - mask.ndim))
    name = "inc_subtensor" if inc else "set_subtensor"
    return x, ew.switch(chosen, ew.add(x, value) if inc else broadcast_like(value, x, name), x)


def _in_place(y: Variable, x: Variable, mask: Variable, axis: int) -> Variable:
    """A value with a count axis, spread over the axes of the mask; one without is broadcast over them."""
    after = x.ndim - axis - mask.ndim
    if y.ndim <= after:
        return y
    y = pad_rank(y, axis + 1 + after)
    if y.ndim == 0 or y.type.shape[axis] == 1:
        return permute(y, (*range(axis), *(None,) * mask.ndim, *range(axis + 1, y.ndim))) if y.ndim else y
    flat = flatten(mask)
    position = ew.sub(cumsum(flat), 1)
    spread = _spread_op(y, position, flat, axis=axis, checked=True)
    sizes = extents(spread)
    return reshaped(spread, (*sizes[:axis], *extents(mask), *sizes[axis + 1 :]))


def _lifted(y: Variable, target: Apply) -> Variable | None:
    """A value computed element by element from selections by the same mask, computed for all elements instead."""
    x, mask = target.inputs
    axis = target.attrs["axis"]
    done: dict[Variable, Variable] = {}
    for node in toposort([y]):
        if node.op is _selected and node.inputs[1] is mask and node.attrs == target.attrs:
            done[node.outputs[0]] = node.inputs[0]
        elif any(v in done for v in node.inputs):
            if not isinstance(node.op, Elementwise):
                return None
            inputs = [done[v] if v in done else _in_place(v, x, mask, axis) for v in node.inputs]
            done[node.outputs[0]] = apply(node.op, inputs, node.attrs).outputs[0]
    return done.get(y)


# ------------------------------------------------------------------------------------------------ the index


def without_mask(x: Variable, parts: Sequence[Any]) -> tuple[list[Any], Variable, int]:
    """(the index with full slices in the place of its one mask, the mask, how many axes of the result come after it).

    Raises
    ------
    DTypeError
        If the index holds other arrays beside the mask, or an integer that is apart from it: the axis of what is
        selected would then be moved to the front.
    """
    (k, *more) = [k for k, part in enumerate(parts) if is_mask(part)]
    kept = [part is None or part is Ellipsis or isinstance(part, slice) for part in parts]
    numbers = [i for i, basic in enumerate(kept) if not basic and i != k]
    near = all(not any(kept[min(i, k) + 1 : max(i, k)]) for i in numbers)
    if more or not near or any(as_variable(parts[i]).ndim for i in numbers):
        raise DTypeError(
            layout(f"{label(x)}[...]: a mask beside {'another mask' if more else 'other indices'}",
                   [describe(x), describe(parts[k])], here_excerpt(), "index in two steps: x[i][mask]")
        )  # fmt: skip
    mask = parts[k]
    return [*parts[:k], *[slice(None)] * mask.ndim, *parts[k + 1 :]], mask, k

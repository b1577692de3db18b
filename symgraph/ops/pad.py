"""Padding: with a value, with the outermost element, mirrored, or with the other end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph.coercion import as_variable, common_dtype, convert
from symgraph.errors import DTypeError, ShapeError, layout
from symgraph.expression import Expr, const, select
from symgraph.expression import maximum as highest_of
from symgraph.expression import minimum as least_of
from symgraph.formula import Compute, Operand, compute
from symgraph.graph import Variable, constant, describe, label
from symgraph.kinds import structured
from symgraph.op import OPS
from symgraph.ops import elementwise as ew
from symgraph.ops.broadcast import expanded
from symgraph.ops.creation import arange_of, zeros_like
from symgraph.ops.extents import Size, add, mul, sub
from symgraph.ops.join import concatenate
from symgraph.ops.shape import extents
from symgraph.ops.slicing import section, take_slice
from symgraph.ops.taking import take
from symgraph.origin import here_excerpt
from symgraph.types import TensorType

__all__ = ["pad"]

Widths = tuple[tuple[int, int], ...]


def _padded_type(x: Variable, value: Variable, widths: Widths) -> TensorType:
    pairs = zip(x.type.shape, widths, strict=True)
    return TensorType(x.dtype, tuple(None if n is None else n + sum(w) for n, w in pairs))


def _padded_grad(g: Variable, x: Variable, value: Variable, y: Variable, widths: Widths) -> list[Variable | None]:
    inner = g
    for k, (before, _) in enumerate(widths):
        inner = section(inner, before, extents(x)[k], k)
    outside = _pad(zeros_like(x, "bool"), constant(True), widths=widths)
    return [inner, OPS["sum"](ew.switch(outside, g, 0))]  # type: ignore[operator]


@structured(
    name="pad",
    infer=_padded_type,
    reference=lambda x, value, widths: np.pad(x, widths, constant_values=value) if widths else x,
    grad=_padded_grad,
)
def _pad(x: Operand, value: Operand, widths: Widths) -> Compute:
    """x, surrounded by a value: a choice between the two at clamped indices."""

    def element(*out: Expr) -> Expr:
        if 0 in x.shape:
            return value[()]
        inside, at = const(True, "bool"), []
        for i, n, (before, after) in zip(out, x.shape, widths, strict=True):
            own = i - before
            if before:
                inside = inside & (own >= 0)
            if after:
                inside = inside & (own < n)
            at.append(highest_of(least_of(own, n - 1), 0) if before or after else own)
        return select(inside, x[tuple(at)], value[()])

    shape = [n + before + after for n, (before, after) in zip(x.shape, widths, strict=True)]
    return compute(shape, element)


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Variable:
    """``x`` with elements put before and after it along each axis.

    Parameters
    ----------
    x : Variable
    pad_width : int, (before, after), or a sequence of such pairs, one for each axis
    mode : str
        "constant"; "edge": the outermost element again; "reflect": the elements mirrored at the outermost one;
        "symmetric": mirrored at the edge, the outermost one repeated; "wrap": those of the other end. Where there are
        fewer than are put, this goes on from mirror to mirror, or round after round.
    constant_values : number or scalar Variable
        What is put, in the dtype of ``x``.

    Returns
    -------
    Variable, same dtype.

    Raises
    ------
    ShapeError
        If a width is negative, or there are neither one pair nor one for each axis; or if an axis has no element to
        repeat.
    """
    v = as_variable(x)
    widths = _widths(v, pad_width)
    if mode == "constant":
        if common_dtype([v, constant_values]) != v.dtype:
            raise DTypeError(
                layout(f"pad({label(v)}): constant_values is {constant_values!r:.40}, it does not fit {v.dtype}",
                       [describe(v)], here_excerpt(), f"cast {label(v)} first, or give a value of {v.dtype}")
            )  # fmt: skip
        value = convert(constant_values, v.dtype)
        if value.ndim:
            raise ShapeError(f"pad: constant_values is {value.type}, it must be a scalar\npad once for each value")
        return _pad(v, value, widths=widths) if any(map(any, widths)) else v
    if mode not in _BORDERS:
        raise ValueError(f"pad: mode is {mode!r}; it must be one of {', '.join(['constant', *_BORDERS])}")
    for axis, (before, after) in enumerate(widths):
        if before or after:
            v = _bordered(v, axis, before, after, mode)
    return v


def _widths(x: Variable, given: Any) -> Widths:
    try:
        pairs = np.broadcast_to(np.asarray(given), (x.ndim, 2)).tolist()
    except ValueError:
        pairs = None
    if pairs is None or not all(isinstance(w, int) and w >= 0 for pair in pairs for w in pair):
        raise ShapeError(
            layout(f"pad({label(x)}): pad_width is {given!r}", [describe(x)], here_excerpt(),
                   f"give an int of 0 or more, (before, after), or {x.ndim} such pairs")
        )  # fmt: skip
    return tuple((before, after) for before, after in pairs)


def _bordered(x: Variable, axis: int, before: int, after: int, mode: str) -> Variable:
    n = x.type.shape[axis]
    if n == 0:
        raise ShapeError(
            layout(f"pad({label(x)}, mode={mode!r}): axis {axis} has no element to repeat", [describe(x)],
                   here_excerpt(), "pad with a constant")
        )  # fmt: skip
    if mode == "edge" or (n is not None and n > max(before, after)):
        return concatenate(_BORDERS[mode](x, axis, before, after), axis)
    return take(x, _sources(extents(x)[axis], before, after, mode), axis)


def _sources(n: Size, before: int, after: int, mode: str) -> Variable:
    """The index of the element that stands at each place, for any number of them: what is repeated has a period."""
    places = arange_of(-before, 1, add(n, before + after), "int64")
    if mode == "wrap":
        return ew.mod(places, n)  # type: ignore[no-any-return]
    last = sub(mul(n, 2), 2 if mode == "reflect" else 1)  # where the period of an element ends that is mirrored at once
    turned = ew.mod(places, last if mode == "reflect" else mul(n, 2))
    return ew.switch(ew.lt(turned, n), turned, ew.sub(last, turned))  # type: ignore[no-any-return]


def _edges(x: Variable, axis: int, before: int, after: int) -> list[Variable]:
    n, shape = extents(x)[axis], list(extents(x))

    def repeated(start: Size, times: int) -> Variable:
        return expanded(take_slice(x, start, 1, 1, axis, checked=True), [*shape[:axis], times, *shape[axis + 1 :]])

    return [repeated(0, before), x, repeated(sub(n, 1), after)]


def _mirrors(x: Variable, axis: int, before: int, after: int) -> list[Variable]:
    n = extents(x)[axis]
    return [
        take_slice(x, before, before, -1, axis, checked=True), x,
        take_slice(x, sub(n, 2) if after else 0, after, -1, axis, checked=bool(after)),
    ]  # fmt: skip


def _symmetric(x: Variable, axis: int, before: int, after: int) -> list[Variable]:
    return [
        take_slice(x, max(before - 1, 0), before, -1, axis, checked=bool(before)), x,
        take_slice(x, sub(extents(x)[axis], 1), after, -1, axis, checked=bool(after)),
    ]  # fmt: skip


def _wrapped(x: Variable, axis: int, before: int, after: int) -> list[Variable]:
    n = extents(x)[axis]
    return [
        take_slice(x, sub(n, before) if before else 0, before, 1, axis, checked=bool(before)), x,
        section(x, 0, after, axis),
    ]  # fmt: skip


_BORDERS: dict[str, Callable[[Variable, int, int, int], list[Variable]]] = {
    "edge": _edges, "reflect": _mirrors, "symmetric": _symmetric, "wrap": _wrapped,
}  # fmt: skip

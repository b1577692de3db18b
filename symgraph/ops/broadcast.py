"""Broadcasting made explicit: to a shape, to the shape of another variable, and back by summing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.coercion import as_variable, convert, extent_of
from symgraph.errors import ShapeError, layout
from symgraph.expression import INDEX, Expr, const
from symgraph.formula import SUM, Compute, Operand, compute
from symgraph.graph import Variable, describe, label
from symgraph.kinds import structured
from symgraph.op import OPS, attach
from symgraph.ops.extents import Size, same, sizes_of, variables
from symgraph.ops.shape import extents, permute
from symgraph.origin import here_excerpt
from symgraph.types import Extent, Shape, TensorType

__all__ = ["broadcast_to", "specify_shape"]


def _show(shape: Shape) -> str:
    return "(" + ", ".join("?" if n is None else str(n) for n in shape) + ("," if len(shape) == 1 else "") + ")"


def _stretched(x: Variable, wanted: Shape, name: str) -> TensorType:
    """The type of ``x`` broadcast to ``wanted``; an extent not known there is that of ``x`` unless this may stretch."""
    lead = len(wanted) - x.ndim
    old = (1,) * lead + x.type.shape
    if lead < 0 or any(None not in (n, m) and n not in (1, m) for n, m in zip(old, wanted, strict=True)):
        raise ShapeError(
            layout(f"{name}: {label(x)} of shape {_show(x.type.shape)} does not broadcast to {_show(wanted)}",
                   [describe(x)], here_excerpt(),
                   "from the last axis on each extent must be 1 or that of the target; insert axes with x[:, None]")
        )  # fmt: skip
    return TensorType(x.dtype, tuple(_agreed(n, m) for n, m in zip(old, wanted, strict=True)))


def _agreed(n: Extent, wanted: Extent) -> Extent:
    return n if wanted is None and n != 1 else wanted


def _spread(x: Operand, shape: Sequence[int]) -> Compute:
    """x with axes of extent 1 repeated."""
    lead = len(shape) - len(x.shape)

    def element(*out: Expr) -> Expr:
        return x[tuple(const(0, INDEX) if n == 1 else i for i, n in zip(out[lead:], x.shape, strict=True))]

    return compute(shape, element)


# ------------------------------------------------------------------------------------------------ to a shape


@structured(
    name="broadcast_to",
    infer=lambda x, *sizes: _stretched(x, tuple(map(extent_of, sizes)), "broadcast_to"),
    reference=lambda x, *sizes: np.broadcast_to(x, [int(n) for n in sizes]),
    grad=lambda g, x, y, *rest: [sum_to(g, x)],
    sizes_from=1,
    resolve=lambda x, *sizes: x if x.type.is_static and x.type.shape == tuple(map(extent_of, sizes)) else None,
)
def _broadcast_to(x: Operand, shape: tuple[int, ...]) -> Compute:
    """x with axes of extent 1 repeated, and axes put before it."""
    return _spread(x, shape)


def expanded(x: Variable, sizes: Sequence[Size]) -> Variable:
    """``x`` broadcast to known or symbolic extents; an idle one is ``x``."""
    return x if same(sizes, extents(x)) else _broadcast_to(x, *variables(sizes))


def broadcast_to(x: Any, shape: Any) -> Variable:
    """``x`` repeated along axes of extent 1 until it has ``shape``.

    Parameters
    ----------
    x : array_like or Variable
    shape : sequence of int or integer scalar Variable

    Returns
    -------
    Variable, same dtype.

    Raises
    ------
    ShapeError
        If NumPy would not broadcast ``x`` to ``shape``.
    """
    return expanded(as_variable(x), sizes_of(shape, "broadcast_to"))


# ------------------------------------------------------------------------------------------------ like a variable


@structured(
    name="broadcast_like",
    infer=lambda x, like, asked_by: _stretched(x, like.type.shape, asked_by),
    reference=lambda x, like, asked_by: np.broadcast_to(x, like.shape),
    grad=lambda g, x, like, y, asked_by: [sum_to(g, x), None],
    resolve=lambda x, like, asked_by: expanded(x, like.type.shape) if like.type.is_static else None,
)
def _broadcast_like(x: Operand, like: Operand, asked_by: str) -> Compute:
    """x broadcast to the shape of another operand."""
    return _spread(x, like.shape)


def broadcast_like(x: Any, like: Variable, asked_by: str = "broadcast_like") -> Variable:
    """``x`` broadcast to the shape of ``like``, of which nothing else is used.

    Parameters
    ----------
    x : array_like or Variable
    like : Variable
    asked_by : str
        The function that an error names.

    Returns
    -------
    Variable, dtype of ``x``, shape of ``like``.

    Raises
    ------
    ShapeError
        If ``x`` does not broadcast to that shape.
    """
    v = as_variable(x)
    if like.type.is_static:
        _stretched(v, like.type.shape, asked_by)
        return expanded(v, like.type.shape)  # type: ignore[arg-type]
    return v if v is like else _broadcast_like(v, like, asked_by=asked_by)


# ------------------------------------------------------------------------------------------------ summing back


def _summed_type(g: Variable, like: Variable) -> TensorType:
    lead, old = g.ndim - like.ndim, g.type.shape
    fits = lead >= 0 and all(
        None in (n, m) or m in (1, n) for n, m in zip(old[lead:], like.type.shape, strict=True)
    )
    if not fits:
        raise ShapeError(
            layout(f"sum_to({label(g)}, {label(like)}): {_show(old)} is no broadcast of {_show(like.type.shape)}",
                   [describe(g), describe(like)], here_excerpt(), "the second must broadcast to the first")
        )  # fmt: skip
    return TensorType(g.dtype, tuple(1 if n == 1 else m for n, m in zip(old[lead:], like.type.shape, strict=True)))


def _sum_numpy(g: np.ndarray, like: np.ndarray) -> np.ndarray:
    lead = g.ndim - like.ndim
    wide = g.astype("float32") if g.dtype == np.float16 else g
    ones = tuple(k + lead for k, n in enumerate(like.shape) if n == 1 and g.shape[k + lead] != 1)
    return np.asarray(wide.sum(axis=tuple(range(lead)) + ones, keepdims=True)).reshape(like.shape)


def _sum_axes(g: Shape, like: Shape) -> tuple[int, ...]:
    lead = len(g) - len(like)
    return tuple(k for k, n in enumerate(g) if k < lead or (like[k - lead] == 1 and n != 1))


def _summed(g: Variable, like: Variable) -> Variable | None:
    """The sum on known shapes: a reduction, a reshape, or nothing."""
    if not (g.type.is_static and like.type.is_static):
        return None
    axes, lead = _sum_axes(g.type.shape, like.type.shape), g.ndim - like.ndim
    if any(g.type.shape[k] != 1 for k in axes):
        wide = convert(g, "float32") if g.dtype == "float16" else g
        total: Variable = OPS["sum"](wide, axis=axes, keepdims=True)  # type: ignore[operator]
        g = convert(total, g.dtype)
    return permute(g, tuple(range(lead, g.ndim)))


@structured(
    name="sum_to",
    infer=_summed_type,
    reference=_sum_numpy,
    grad=lambda g, x, like, y: [broadcast_like(g, x), None],
    resolve=_summed,
)
def _sum_to(g: Operand, like: Operand) -> Compute:
    """g summed along the axes that broadcasting stretched."""
    axes, lead = _sum_axes(g.shape, like.shape), len(g.shape) - len(like.shape)

    def element(*index: Expr) -> Expr:
        over = iter(index[len(like.shape) :])
        return g[tuple(next(over) if k in axes else index[k - lead] for k in range(len(g.shape)))]

    return compute(like.shape, element, over=[g.shape[k] for k in axes], combiner=SUM if axes else None)


def sum_to(g: Variable, like: Variable) -> Variable:
    """``g`` summed to the shape of ``like``: the transpose of broadcasting ``like`` to that of ``g``.

    Parameters
    ----------
    g : Variable
    like : Variable
        Only its shape is used.

    Returns
    -------
    Variable, dtype of ``g``, shape of ``like``.

    Raises
    ------
    ShapeError
        If ``like`` does not broadcast to the shape of ``g``.
    """
    if g is like or (g.type.is_static and g.type.shape == like.type.shape):
        return g
    _summed_type(g, like)
    found = _summed(g, like)
    return _sum_to(g, like) if found is None else found


# ------------------------------------------------------------------------------------------------ specify_shape


def _specified_type(x: Variable, *sizes: Variable, axes: tuple[int, ...]) -> TensorType:
    shape = list(x.type.shape)
    for k, v in zip(axes, sizes, strict=True):
        n, old = extent_of(v), shape[k]
        if None not in (n, old) and n != old:
            raise ShapeError(
                layout(f"specify_shape({label(x)}): axis {k} has extent {old}, specified is {n}", [describe(x)],
                       here_excerpt(), "give the extents that the value has, or None where they are open")
            )  # fmt: skip
        shape[k] = old if n is None else n
    return TensorType(x.dtype, tuple(shape))


def _specified_numpy(x: np.ndarray, *sizes: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    for k, n in zip(axes, sizes, strict=True):
        if x.shape[k] != n:
            raise ShapeError(f"specify_shape: axis {k} has extent {x.shape[k]}, specified is {int(n)}\nmend the value")
    return x


@structured(
    name="specify_shape",
    infer=_specified_type,
    reference=_specified_numpy,
    grad=lambda g, x, *rest, axes: [g],
    sizes_from=1,
    resolve=lambda x, *sizes, axes: x if None not in map(extent_of, sizes) and x.type.is_static else None,
)
def _specify_shape(x: Operand, shape: tuple[int, ...], axes: tuple[int, ...]) -> Compute:
    """x itself, known to have these extents."""
    return compute(shape, lambda *out: x[out])


_specify_shape.is_view = True


def specify_shape(x: Any, shape: Any) -> Variable:
    """``x``, known from here on to have ``shape``.

    Parameters
    ----------
    x : Variable
    shape : sequence of int, integer scalar Variable, or None
        One for each axis; None leaves an extent open.

    Returns
    -------
    Variable, same dtype, the extents in its type.

    Raises
    ------
    ShapeError
        If the value has another shape: when built if that is known, else when the function is called.
    """
    v = as_variable(x)
    given = list(shape) if isinstance(shape, tuple | list) else [shape]
    if len(given) != v.ndim:
        raise ShapeError(
            layout(f"specify_shape({label(v)}): {len(given)} extents are given for a rank of {v.ndim}", [describe(v)],
                   here_excerpt(), "give one for each axis, None where it is open")
        )  # fmt: skip
    axes = tuple(k for k, n in enumerate(given) if n is not None)
    sizes = variables(sizes_of([given[k] for k in axes], "specify_shape"))
    node = _specify_shape(v, *sizes, axes=axes)
    return v if node.type == v.type and all(extent_of(n) is not None for n in sizes) else node


attach("broadcast_to", broadcast_to)

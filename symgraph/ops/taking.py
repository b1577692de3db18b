"""Elements by arrays of indices: take, take_along_axis, choose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.coercion import as_variable, convert, normalize_axis
from symgraph.errors import ShapeError, layout
from symgraph.graph import Variable, constant, describe, label
from symgraph.op import attach
from symgraph.ops import elementwise as ew
from symgraph.ops.broadcast import broadcast_like
from symgraph.ops.creation import arange_of
from symgraph.ops.extents import variables
from symgraph.ops.index import subtensor
from symgraph.ops.join import stack
from symgraph.ops.shape import extents, flatten, permute
from symgraph.origin import here_excerpt

__all__ = ["take", "take_along_axis", "choose"]


def take(x: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> Variable:
    """The elements at ``indices`` along an axis.

    Parameters
    ----------
    x : Variable
    indices : int, Variable or array_like of integers
    axis : int, optional
        By default ``x`` is flattened first.
    mode : str
        What an index out of range does: "raise", "clip" to the nearest, or "wrap" around.

    Returns
    -------
    Variable, same dtype, the axis replaced by those of ``indices``.

    Raises
    ------
    AxisError
        If ``axis`` is out of range.
    IndexOutOfRange
        If an index is, and ``mode`` is "raise".
    """
    v = as_variable(x)
    v, along = (flatten(v), 0) if axis is None else (v, normalize_axis((axis,), v.ndim, "take", v)[0])
    index = _fitted(indices, variables([extents(v)[along]])[0], mode)
    return subtensor(v, (slice(None),) * along + (index,))


def _fitted(index: Any, n: Variable, mode: str) -> Any:
    if mode == "raise":
        return index
    wide = convert(as_variable(index), "int64")
    if mode == "wrap":
        return ew.mod(wide, n)
    if mode == "clip":
        return ew.maximum(ew.minimum(wide, ew.sub(n, 1)), 0)
    raise ValueError(f"mode is {mode!r}; it must be 'raise', 'clip' or 'wrap'")


def take_along_axis(x: Any, indices: Any, axis: int | None = -1) -> Variable:
    """x[..., indices[..., k, ...], ...]: along an axis, an index for every place of the others.

    Parameters
    ----------
    x : Variable
    indices : Variable or array_like, integers, of the rank of ``x``
        Broadcasts against ``x`` on the other axes.
    axis : int, optional
        None: both are flattened first.

    Returns
    -------
    Variable, dtype of ``x``, shape of ``indices`` broadcast.

    Raises
    ------
    ShapeError
        If the ranks differ.
    AxisError
        If ``axis`` is out of range.
    """
    v, index = as_variable(x), as_variable(indices)
    if axis is None:
        return subtensor(flatten(v), flatten(index))
    if v.ndim != index.ndim:
        raise ShapeError(
            layout(f"take_along_axis: {label(v)} has rank {v.ndim}, the indices {index.ndim}",
                   [describe(v), describe(index)], here_excerpt(), "the ranks must agree; insert axes with i[:, None]")
        )  # fmt: skip
    (along,) = normalize_axis((axis,), v.ndim, "take_along_axis", v)
    return subtensor(v, tuple(index if k == along else _own_index(v, k) for k in range(v.ndim)))


def _own_index(x: Variable, axis: int) -> Variable:
    """0, 1, ... along ``axis``, of the rank of ``x``."""
    numbers = arange_of(0, 1, extents(x)[axis], "int64")
    return permute(numbers, tuple(0 if k == axis else None for k in range(x.ndim)))


def choose(a: Any, choices: Sequence[Any], mode: str = "raise") -> Variable:
    """choices[a] in every place.

    Parameters
    ----------
    a : Variable or array_like, integers
        Which of ``choices``; broadcasts against them.
    choices : sequence of Variable or array_like
        Broadcast against each other.
    mode : str
        What a number out of range does: "raise", "clip" to the nearest, or "wrap" around.

    Returns
    -------
    Variable, the common dtype and shape of ``choices``, broadcast against ``a``.

    Raises
    ------
    IndexOutOfRange
        If a number is out of range and ``mode`` is "raise".
    """
    many = [as_variable(c) for c in choices]
    which = _fitted(a, constant(len(many), "int64"), mode)
    like = ew.add(as_variable(which), many[0])
    for c in many[1:]:
        like = ew.add(like, c)
    table = stack([broadcast_like(c, like) for c in many])
    index = broadcast_like(which, like)
    found = take_along_axis(table, permute(index, (None, *range(index.ndim))), 0)
    return permute(found, tuple(range(1, table.ndim)))


attach("take", take)
attach("choose", choose)

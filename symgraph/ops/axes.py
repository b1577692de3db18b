"""Axes permuted, moved, inserted and dropped: every way of writing a dimshuffle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.coercion import as_variable, normalize_axis
from symgraph.errors import AxisError, ShapeError, layout
from symgraph.graph import Variable, describe, label
from symgraph.op import attach, attach_property
from symgraph.ops.shape import one_axis, permute
from symgraph.origin import here_excerpt

__all__ = [
    "transpose", "swapaxes", "moveaxis", "expand_dims", "squeeze", "shape_padleft", "shape_padright", "shape_padaxis",
]  # fmt: skip


def transpose(x: Any, *axes: Any) -> Variable:
    """The axes of ``x`` permuted, reversed by default.

    Parameters
    ----------
    x : Variable, shape (n0, n1, ...)
    *axes : int, or one sequence of int
        A permutation of the axes of ``x``.

    Returns
    -------
    Variable, same dtype.

    Raises
    ------
    AxisError
        If ``axes`` is no permutation.
    """
    v = as_variable(x)
    given: Any = axes[0] if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], tuple | list)) else axes
    if given is None or (not given and not axes):
        return permute(v, tuple(range(v.ndim))[::-1])
    order = normalize_axis(tuple(given), v.ndim, "transpose", v)
    if len(order) != v.ndim:
        raise AxisError(
            layout(f"transpose({label(v)}): {len(order)} axes are given for a rank of {v.ndim}", [describe(v)],
                   here_excerpt(), "name every axis once; x.dimshuffle(...) drops axes of extent 1")
        )  # fmt: skip
    return permute(v, tuple(int(a) % v.ndim for a in given))


def swapaxes(x: Any, axis1: int, axis2: int) -> Variable:
    """``x`` with two axes exchanged.

    Parameters
    ----------
    x : Variable
    axis1, axis2 : int

    Returns
    -------
    Variable, same dtype.

    Raises
    ------
    AxisError
        If an axis is out of range.
    """
    v = as_variable(x)
    a, b = one_axis(axis1, v, "swapaxes"), one_axis(axis2, v, "swapaxes")
    order = list(range(v.ndim))
    order[a], order[b] = b, a
    return permute(v, tuple(order))


def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Variable:
    """``x`` with axes moved to other places; the others keep their order.

    Parameters
    ----------
    x : Variable
    source, destination : int or sequence of int

    Returns
    -------
    Variable, same dtype.

    Raises
    ------
    AxisError
        If an axis is out of range or named twice, or the two differ in length.
    """
    v = as_variable(x)
    sources = (source,) if isinstance(source, int) else tuple(source)
    targets = (destination,) if isinstance(destination, int) else tuple(destination)
    if len(sources) != len(targets):
        raise AxisError(f"moveaxis: {len(sources)} source axes, {len(targets)} destinations\ngive one for each")
    normalize_axis(sources, v.ndim, "moveaxis", v), normalize_axis(targets, v.ndim, "moveaxis", v)
    order = [k for k in range(v.ndim) if k not in {a % v.ndim for a in sources}]
    for to, axis in sorted((b % v.ndim, a % v.ndim) for a, b in zip(sources, targets, strict=True)):
        order.insert(to, axis)
    return permute(v, tuple(order))


def expand_dims(x: Any, axis: int | Sequence[int]) -> Variable:
    """``x`` with new axes of extent 1.

    Parameters
    ----------
    x : Variable
    axis : int or sequence of int
        Places of the new axes in the result.

    Returns
    -------
    Variable, same dtype.

    Raises
    ------
    AxisError
        If a place is out of range for the result.
    """
    v = as_variable(x)
    many = tuple(axis) if isinstance(axis, tuple | list) else (axis,)
    places = normalize_axis(many, v.ndim + len(many), "expand_dims", v)
    old = iter(range(v.ndim))
    return permute(v, tuple(None if k in places else next(old) for k in range(v.ndim + len(many))))


def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Variable:
    """``x`` without axes of extent 1.

    Parameters
    ----------
    x : Variable
    axis : int or sequence of int, optional
        The axes to drop; by default all that are known to have extent 1 when the graph is built.

    Returns
    -------
    Variable, same dtype.

    Raises
    ------
    ShapeError
        If an axis to drop has another extent.
    """
    v = as_variable(x)
    if axis is None:
        return permute(v, tuple(k for k, n in enumerate(v.type.shape) if n != 1))
    gone = normalize_axis(axis, v.ndim, "squeeze", v)
    for k in gone:
        if v.type.shape[k] not in (1, None):
            raise ShapeError(
                layout(f"squeeze({label(v)}): axis {k} has extent {v.type.shape[k]}, not 1", [describe(v)],
                       here_excerpt(), "squeeze only axes of extent 1; x[0] takes one element of a longer one")
            )  # fmt: skip
    return permute(v, tuple(k for k in range(v.ndim) if k not in gone))


def shape_padleft(x: Any, n_ones: int = 1) -> Variable:
    """``x`` with ``n_ones`` axes of extent 1 before the others.

    Parameters
    ----------
    x : Variable
    n_ones : int

    Returns
    -------
    Variable, same dtype.
    """
    v = as_variable(x)
    return permute(v, (None,) * n_ones + tuple(range(v.ndim)))


def shape_padright(x: Any, n_ones: int = 1) -> Variable:
    """``x`` with ``n_ones`` axes of extent 1 after the others.

    Parameters
    ----------
    x : Variable
    n_ones : int

    Returns
    -------
    Variable, same dtype.
    """
    v = as_variable(x)
    return permute(v, tuple(range(v.ndim)) + (None,) * n_ones)


def shape_padaxis(x: Any, axis: int) -> Variable:
    """``x`` with a new axis of extent 1 at ``axis``; the same as ``expand_dims``.

    Parameters
    ----------
    x : Variable
    axis : int

    Returns
    -------
    Variable, same dtype.
    """
    return expand_dims(x, axis)


for _name, _method in (("transpose", transpose), ("swapaxes", swapaxes), ("squeeze", squeeze)):
    attach(_name, _method)
attach_property("T", transpose)

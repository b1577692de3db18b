"""Sorting, and what is made of it: the largest elements, and which values there are. NumPy sorts, between kernels."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from symgraph.coercion import as_variable, normalize_axis
from symgraph.errors import ShapeError, layout
from symgraph.graph import Variable, describe, label
from symgraph.host import host
from symgraph.op import GradResult, attach
from symgraph.ops import elementwise as ew
from symgraph.ops.axes import moveaxis
from symgraph.ops.creation import arange
from symgraph.ops.cumulative import cumsum
from symgraph.ops.search import places, searchsorted
from symgraph.ops.shape import extents, flatten, reshaped
from symgraph.ops.taking import take, take_along_axis
from symgraph.origin import here_excerpt
from symgraph.types import TensorType, is_float
from symgraph.varying import fixed

__all__ = ["sort", "argsort", "topk", "argtopk", "topk_and_argtopk", "unique"]

BLOCK = 16
"""Elements of which the extreme is taken before the largest of all are looked for."""


def _numbers(x: Variable) -> list[TensorType]:
    return [TensorType("int64", x.type.shape)]


@host(name="argsort", infer=_numbers)
def _argsort(x: np.ndarray) -> Any:
    """Which element stands at each place of the sorted last axis; stable."""
    return _order_of_words(x) if x.dtype.itemsize == 4 and x.shape[-1] else np.argsort(x, -1, kind="stable")


def _order_of_words(x: np.ndarray) -> np.ndarray:
    """The stable order of elements of 32 bits: sorted as integers of 64, with the place below the value.

    The bits of a float, those behind the sign turned around below 0, ascend as floats do; all NaN are one, and so are
    both zeros.
    """
    if x.dtype.kind == "f":
        bits = np.where(np.isnan(x), np.float32(np.nan), x + 0).view("int32")
        bits ^= (bits >> 31) & 0x7FFFFFFF
        x = bits
    least = 1 << 31 if x.dtype.kind == "u" else 0
    words = (x.astype("int64") - least) << 32
    words |= np.arange(x.shape[-1])
    words.sort(-1)
    return np.asarray(words & 0xFFFFFFFF)


@host(name="inverse_permutation", infer=_numbers)
def _rank(order: np.ndarray) -> Any:
    """The place of each element in such an order."""
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(order.shape[-1]), order.shape), -1)
    return rank


def _sort_grad(given: Sequence[Variable | None], inputs: Sequence[Variable], outputs: Sequence[Variable]) -> GradResult:
    (g,), (x,) = given, inputs
    assert g is not None
    return [take_along_axis(g, _rank(_argsort(x)[0])[0], -1)]


@host(name="sort", infer=lambda x: [x.type], grad=_sort_grad)
def _sort(x: np.ndarray) -> Any:
    """The elements of each last axis in ascending order, NaN last."""
    return np.sort(x, -1)


def _last(x: Any, axis: int | None, name: str) -> tuple[Variable, int]:
    """``x`` with ``axis`` last, and where it was."""
    v = as_variable(x)
    if axis is None:
        return flatten(v), 0
    (along,) = normalize_axis((axis,), v.ndim, name, v)
    return moveaxis(v, along, -1), along


def sort(x: Any, axis: int | None = -1) -> Variable:
    """``x`` in ascending order along an axis, NaN last.

    Parameters
    ----------
    x : Variable
    axis : int, optional
        None: ``x`` is flattened.

    Returns
    -------
    Variable, type of ``x``.

    Raises
    ------
    AxisError
        If ``axis`` is out of range.
    """
    v, along = _last(x, axis, "sort")
    return moveaxis(_sort(v)[0], -1, along)


def argsort(x: Any, axis: int | None = -1) -> Variable:
    """The places of the elements of ``sort(x)``, what is equal in its own order.

    Parameters
    ----------
    x : Variable
    axis : int, optional
        None: ``x`` is flattened.

    Returns
    -------
    Variable, int64, shape of ``x``.

    Raises
    ------
    AxisError
        If ``axis`` is out of range.
    """
    v, along = _last(x, axis, "argsort")
    return moveaxis(_argsort(v)[0], -1, along)


# ------------------------------------------------------------------------------------------------ the largest


def _check_count(x: Variable, k: int, axis: int, n: object) -> None:
    if isinstance(n, int) and abs(k) > n:
        raise ShapeError(
            layout(f"topk({label(x)}, {k}): there are {n} elements along axis {axis}", [describe(x)], here_excerpt(),
                   f"ask for {n} at most")
        )  # fmt: skip


def _top_type(x: Variable, k: int) -> list[TensorType]:
    _check_count(x, k, x.ndim - 1, fixed(x.type.shape[-1]))
    return [TensorType("int64", (*x.type.shape[:-1], abs(k)))]


@host(name="argtopk", infer=_top_type)
def _argtopk(x: np.ndarray, k: int) -> Any:
    """The places of the k largest elements of each last axis, or the -k smallest, the first of equal ones first.

    As many blocks as are asked for have an extreme that is at least the least extreme of these: so have all elements
    that can be meant, and the others are not sorted.
    """
    n, count = x.shape[-1], abs(k)
    rows = x.reshape(prod(x.shape[:-1]), n)
    if count * BLOCK > n or not rows.size or not count:
        candidates = np.ones(rows.shape, bool)
    else:
        blocks = rows[:, : n // BLOCK * BLOCK].reshape(len(rows), -1, BLOCK)
        ends = blocks.max(2) if k > 0 else np.fmin.reduce(blocks, 2)
        bound = np.partition(ends, -k if k > 0 else count - 1, 1)[:, -k if k > 0 else count - 1, None]
        candidates = ~(rows < bound if k > 0 else rows > bound)
    at = np.flatnonzero(candidates)[:: -1 if k > 0 else 1]
    row, place = at // n, at % n
    order = np.lexsort((rows[row, place], row))[:: -1 if k > 0 else 1]
    many = np.bincount(row, minlength=len(rows))[:: -1 if k > 0 else 1]
    firsts = np.cumsum(many) - many
    found = place[order][firsts[:, None] + np.arange(count)]
    return found[:: -1 if k > 0 else 1].reshape(*x.shape[:-1], count)


def topk_and_argtopk(x: Any, k: int, axis: int | None = -1) -> tuple[Variable, Variable]:
    """The ``k`` largest elements along an axis, the largest first, and their places.

    Parameters
    ----------
    x : Variable
    k : int
        Below 0: the ``-k`` smallest, the smallest first. Of equal ones the first is taken first; NaN is the largest.
    axis : int, optional
        None: ``x`` is flattened.

    Returns
    -------
    (values, places) : Variables, dtype of ``x`` and int64; ``axis`` has extent abs(k).

    Raises
    ------
    AxisError
        If ``axis`` is out of range.
    ShapeError
        If there are fewer elements, when built if that is known, else when called.
    ValueError
        If ``k`` is no integer.
    """
    found = argtopk(x, k, axis)
    v = flatten(as_variable(x)) if axis is None else as_variable(x)
    return take_along_axis(v, found, 0 if axis is None else axis), found


def topk(x: Any, k: int, axis: int | None = -1) -> Variable:
    """The ``k`` largest elements along an axis, the largest first; see ``topk_and_argtopk``."""
    return topk_and_argtopk(x, k, axis)[0]


def argtopk(x: Any, k: int, axis: int | None = -1) -> Variable:
    """The places of the ``k`` largest elements along an axis; see ``topk_and_argtopk``."""
    if isinstance(k, bool) or not isinstance(k, int | np.integer):
        raise ValueError(f"topk: k is {k!r}; it must be an integer")
    v, along = _last(x, axis, "topk")
    _check_count(as_variable(x), int(k), along, extents(v)[-1])
    return moveaxis(_argtopk(v, k=int(k))[0], -1, along)


# ------------------------------------------------------------------------------------------------ distinct values


def unique(
    x: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False
) -> Any:
    """The values that there are in ``x``, ascending, each once; NaN is one value.

    How many there are decides an extent, as of ``nonzero``.

    Parameters
    ----------
    x : Variable
        Flattened.
    return_index, return_inverse, return_counts : bool
        Whether to give, for each value, where it first stands in flattened ``x``; for each element of ``x`` the number
        of its value; and how often each stands there.

    Returns
    -------
    Variable, dtype of ``x``, shape (n,), where n depends on the data; or a list of it and what was asked for (int64).
    """
    v = as_variable(x)
    flat = flatten(v)
    n = extents(flat)[0]
    order = _argsort(flat)[0]
    ordered = _sort(flat)[0]
    is_new = _differs(ordered, take(ordered, ew.maximum(ew.sub(arange(n), 1), 0)))
    first = places(ew.or_(is_new, ew.eq(arange(n), 0)))
    found = [take(ordered, first)]
    if return_index:
        found.append(take(order, first))
    if return_inverse:
        number = cumsum(ew.cast(is_new, "int64"))
        found.append(reshaped(take(number, _rank(order)[0]), extents(v)))
    if return_counts:
        found.append(ew.sub(searchsorted(ordered, found[0], "right"), first))
    return found if len(found) > 1 else found[0]


def _differs(a: Variable, b: Variable) -> Variable:
    """a != b, where NaN is equal to NaN."""
    different = ew.neq(a, b)
    if not is_float(a.dtype):
        return different  # type: ignore[no-any-return]
    both = ew.and_(ew.isnan(a), ew.isnan(b))
    return ew.and_(different, ew.invert(both))  # type: ignore[no-any-return]


attach("sort", sort)
attach("argsort", argsort)

"""Searching: the places of what holds, and where values belong in a sorted vector.

How many places there are is known only when a function runs. It decides the extent of the result, so the host counts
them first, as it works out any other extent.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.coercion import as_variable, common_dtype, convert
from symgraph.errors import ShapeError, layout
from symgraph.expression import INDEX, Expr, const, isnan, maximum, minimum, select
from symgraph.formula import MAX, Compute, Operand, compute, scatter
from symgraph.graph import Variable, describe, label
from symgraph.kinds import Structured, structured
from symgraph.op import OPS, attach
from symgraph.ops import elementwise as ew
from symgraph.ops.creation import zeros
from symgraph.ops.cumulative import cumsum
from symgraph.ops.extents import Size, product, size
from symgraph.ops.shape import extents, flatten
from symgraph.origin import here_excerpt
from symgraph.types import TensorType, is_float
from symgraph.varying import capacity, term

__all__ = ["searchsorted", "nonzero", "where"]


def _before(a: Expr, b: Expr) -> Expr:
    """a < b, a NaN being the greatest."""
    return (a < b) | (isnan(b) & ~isnan(a)) if is_float(a.dtype) else a < b


@structured(
    name="searchsorted",
    infer=lambda x, v, right: TensorType("int64", v.type.shape),
    reference=lambda x, v, right: np.searchsorted(x, v, "right" if right else "left"),
    grad=lambda g, x, v, y, right: [None, None],
)
def _search(x: Operand, v: Operand, right: bool) -> Compute:
    """How many elements of sorted x come before each of v: bisection, from the largest power of 2 downwards."""
    (n,) = x.shape

    def element(*at: Expr) -> Expr:
        value, found = v[at], const(0, INDEX)
        for k in reversed(range(capacity(n).bit_length())):
            further = found + (1 << k)
            other = x[maximum(minimum(further, term(n)) - 1, 0),]
            is_before = ~_before(value, other) if right else _before(other, value)
            found = select((further < term(n) + 1) & is_before, further, found)
        return found

    return compute(v.shape, element)


def searchsorted(x: Any, v: Any, side: str = "left", sorter: Any = None) -> Variable:
    """Where ``v`` belongs in a sorted vector: how many of its elements are smaller.

    Parameters
    ----------
    x : Variable, shape (n,)
        Ascending, NaN last; or in the order that ``sorter`` gives.
    v : Variable or array_like, any shape
    side : "left" or "right"
        Whether what is equal comes after ``v`` or before it.
    sorter : Variable, integers, shape (n,), optional
        What ``argsort`` gives.

    Returns
    -------
    Variable, int64, shape of ``v``: 0 to n.

    Raises
    ------
    ShapeError
        If ``x`` is not a vector.
    ValueError
        If ``side`` is neither.
    """
    a, values = as_variable(x), as_variable(v)
    if a.ndim != 1:
        raise ShapeError(
            layout(f"searchsorted({label(a)}, {label(values)}): {label(a)} has rank {a.ndim}, it must be a vector",
                   [describe(a), describe(values)], here_excerpt(), "search one row after the other")
        )  # fmt: skip
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side is {side!r}; it must be 'left' or 'right'")
    if sorter is not None:
        a = a[sorter]
    dtype = common_dtype([a, v])
    return _search(convert(a, dtype), convert(v, dtype), right=side == "right")


# ------------------------------------------------------------------------------------------------ places


def count(mask: Variable) -> Size:
    """How many elements of a bool array hold."""
    return size(OPS["sum"](convert(mask, "int64")))  # type: ignore[operator]


def _places_numpy(start: np.ndarray, mask: np.ndarray, total: np.ndarray) -> np.ndarray:
    out = start.copy()
    found = np.flatnonzero(mask)[: out.size]
    out[: found.size] = found
    return out


class _Places(Structured):
    into = 0


def _place(start: Operand, mask: Operand, total: Operand) -> Compute:
    """Where a mask holds, each place at its number; ``total`` says how many there are up to each."""
    (n,) = start.shape

    def element(i: Expr) -> tuple[tuple[Expr, ...], Expr]:
        number = maximum(minimum(total[i,], term(n)) - 1, 0)
        return (number,), select(mask[i,], i, const(0, INDEX))

    return scatter((0,) if n == 0 else mask.shape, element, into=0, combiner=MAX)


_places_op = _Places(
    "places", _place, infer=lambda start, *rest: start.type, reference=_places_numpy,
    grad=lambda g, *rest: [None] * 3, doc=_place.__doc__,
)  # fmt: skip
_places_op.register()


def places(mask: Variable) -> Variable:
    """The flat places where a bool array holds, ascending."""
    flat = flatten(mask)
    return _places_op(zeros((count(mask),), "int64"), flat, cumsum(flat))


def nonzero(x: Any) -> tuple[Variable, ...]:
    """The places of the elements that are not zero, in row-major order.

    How many there are decides an extent: calls that differ in it share a program, as those of differing lengths do.

    Parameters
    ----------
    x : Variable, at least one axis

    Returns
    -------
    tuple of Variables, int64, one for each axis of ``x``
        All of one extent, which depends on the data.

    Raises
    ------
    ShapeError
        If ``x`` is a scalar.
    """
    v = as_variable(x)
    if not v.ndim:
        raise ShapeError(
            layout(f"nonzero({label(v)}): {label(v)} is a scalar, which has no places", [describe(v)], here_excerpt(),
                   "compare it with 0, or give it an axis with x[None]")
        )  # fmt: skip
    return _indices(places(ew.neq(v, 0)), extents(v))


def _indices(flat: Variable, shape: tuple[Size, ...]) -> tuple[Variable, ...]:
    """Flat places as an index for each axis."""
    found = []
    for k, n in enumerate(shape):
        behind = product(shape[k + 1 :])
        i = flat if k == len(shape) - 1 else ew.int_div(flat, behind)
        found.append(i if k == 0 else ew.mod(i, n))
    return tuple(found)


def where(cond: Any, x: Any = None, y: Any = None) -> Any:
    """x where ``cond``, else y: ``switch`` by NumPy's name; of a condition alone its ``nonzero``.

    Parameters
    ----------
    cond : Variable or array_like, bool
    x, y : Variable or array_like, optional
        Both or neither.

    Returns
    -------
    Variable, the common dtype of x and y, of the broadcast shape; or a tuple of index arrays.
    """
    if (x is None) != (y is None):
        raise TypeError("where takes a condition and two values, or a condition alone")
    return nonzero(cond) if x is None else ew.switch(cond, x, y)


attach("nonzero", nonzero)
attach("searchsorted", searchsorted)

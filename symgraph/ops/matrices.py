"""Matrices and grids: diagonals, triangles, index grids, one-hot rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.coercion import as_variable, convert, extent_of, normalize_axis
from symgraph.errors import DTypeError, ShapeError, layout
from symgraph.expression import Expr, const, eq, maximum, minimum, select
from symgraph.formula import Compute, Operand, compute
from symgraph.graph import Variable, constant, describe, in_code, label
from symgraph.kinds import structured
from symgraph.op import attach
from symgraph.ops import elementwise as ew
from symgraph.ops.axes import moveaxis
from symgraph.ops.broadcast import expanded
from symgraph.ops.creation import arange, arange_of
from symgraph.ops.extents import Size, add, sizes_of, variables
from symgraph.ops.shape import extents, permute, shape_of
from symgraph.origin import here_excerpt
from symgraph.types import Extent, TensorType, canonical, is_integer

__all__ = [
    "eye", "identity_like", "tri", "tril", "triu", "diag", "diagonal", "meshgrid", "mgrid", "to_one_hot",
]  # fmt: skip


def _index_grid(n: Size, m: Size) -> tuple[Variable, Variable]:
    """Row numbers (n, 1) and column numbers (1, m)."""
    rows, columns = arange_of(0, 1, n, "int64"), arange_of(0, 1, m, "int64")
    return permute(rows, (0, None)), permute(columns, (None, 0))


def _shifted(i: Variable, k: Any) -> Variable:
    found: Variable = i if isinstance(k, int) and k == 0 else ew.add(i, convert(as_variable(k), "int64"))
    return found


def eye(n: Any, m: Any = None, k: Any = 0, dtype: object = "floatX") -> Variable:
    """Ones on a diagonal, zeros elsewhere.

    Parameters
    ----------
    n, m : int or integer scalar Variable
        Rows and columns; as many columns as rows by default.
    k : int or integer scalar Variable
        The diagonal: above the main one if positive.
    dtype : str

    Returns
    -------
    Variable, shape (n, m).
    """
    rows, columns = _index_grid(*sizes_of((n, n if m is None else m), "eye"))
    return convert(ew.eq(_shifted(rows, k), columns), canonical(dtype))


def identity_like(x: Any, dtype: object = None) -> Variable:
    """The identity matrix of the shape of ``x``.

    Parameters
    ----------
    x : Variable, matrix
    dtype : str, optional
        Default: that of ``x``.

    Returns
    -------
    Variable, shape of ``x``.

    Raises
    ------
    ShapeError
        If ``x`` is no matrix.
    """
    v = as_variable(x)
    if v.ndim != 2:
        raise ShapeError(
            layout(f"identity_like({label(v)}): {label(v)} has {v.ndim} axes, it must have 2", [describe(v)],
                   here_excerpt(), "give a matrix")
        )  # fmt: skip
    n, m = extents(v)
    return eye(n, m, dtype=v.dtype if dtype is None else dtype)


def tri(n: Any, m: Any = None, k: Any = 0, dtype: object = "floatX") -> Variable:
    """Ones on and below a diagonal, zeros above it.

    Parameters
    ----------
    n, m : int or integer scalar Variable
        Rows and columns; as many columns as rows by default.
    k : int or integer scalar Variable
        The diagonal.
    dtype : str

    Returns
    -------
    Variable, shape (n, m).
    """
    rows, columns = _index_grid(*sizes_of((n, n if m is None else m), "tri"))
    return convert(ew.le(columns, _shifted(rows, k)), canonical(dtype))


def _triangle(x: Any, k: Any, name: str) -> tuple[Variable, Variable]:
    """``x``, and whether each place of its last two axes is on or below diagonal ``k``."""
    v = _at_least_matrix(x, name)
    rows, columns = _index_grid(*extents(v)[-2:])
    lower = ew.le(columns, _shifted(rows, k))
    return v, permute(lower, (None,) * (v.ndim - 2) + (0, 1))


def _at_least_matrix(x: Any, name: str) -> Variable:
    v = as_variable(x)
    if v.ndim < 2:
        raise ShapeError(
            layout(f"{name}({label(v)}): {v.type} has no rows and columns", [describe(v)], here_excerpt(),
                   "give a matrix or a stack of matrices")
        )  # fmt: skip
    return v


def tril(x: Any, k: Any = 0) -> Variable:
    """``x`` with zeros above a diagonal.

    Parameters
    ----------
    x : Variable, shape (..., n, m)
    k : int or integer scalar Variable
        The diagonal.

    Returns
    -------
    Variable, type of ``x``.

    Raises
    ------
    ShapeError
        If ``x`` has fewer than two axes.
    """
    v, lower = _triangle(x, k, "tril")
    found: Variable = ew.switch(lower, v, constant(0, v.dtype))
    return found


def triu(x: Any, k: Any = 0) -> Variable:
    """``x`` with zeros below a diagonal.

    Parameters
    ----------
    x : Variable, shape (..., n, m)
    k : int or integer scalar Variable
        The diagonal.

    Returns
    -------
    Variable, type of ``x``.

    Raises
    ------
    ShapeError
        If ``x`` has fewer than two axes.
    """
    v, below = _triangle(x, k - 1 if isinstance(k, int) else _shifted(as_variable(k), -1), "triu")
    found: Variable = ew.switch(below, constant(0, v.dtype), v)
    return found


# ------------------------------------------------------------------------------------------------ diagonals


def _corner(offset: int) -> tuple[int, int]:
    """Row and column of the first element of a diagonal."""
    return max(-offset, 0), max(offset, 0)


def _diagonal_length(n: Extent, m: Extent, offset: int) -> Extent:
    r, c = _corner(offset)
    return None if n is None or m is None else max(min(n - r, m - c), 0)


def _diagonal_type(x: Variable, offset: int) -> TensorType:
    *lead, n, m = x.type.shape
    return TensorType(x.dtype, (*lead, _diagonal_length(n, m, offset)))


def _diagonal_formula(x: Operand, offset: int) -> Compute:
    """The elements x[..., i + r, i + c] of a diagonal of the last two axes."""
    r, c = _corner(offset)
    *lead, n, m = x.shape
    length = _diagonal_length(n, m, offset)
    assert length is not None
    return compute((*lead, length), lambda *out: x[(*out[:-1], out[-1] + r, out[-1] + c)])


def _diagonal_grad(g: Variable, x: Variable, y: Variable, offset: int) -> list[Variable]:
    return [_set_diagonal(g, shape_of(x, x.ndim - 2), shape_of(x, x.ndim - 1), offset=offset)]


_diagonal = structured(
    name="diagonal", infer=_diagonal_type, grad=_diagonal_grad,
    reference=lambda x, offset: np.diagonal(x, offset, -2, -1),
)(_diagonal_formula)  # fmt: skip


def _set_diagonal_type(x: Variable, rows: Variable, columns: Variable, offset: int) -> TensorType:
    n, m = extent_of(rows), extent_of(columns)
    return TensorType(x.dtype, (*x.type.shape[:-1], n, m))


def _set_diagonal_numpy(x: np.ndarray, rows: Any, columns: Any, offset: int) -> object:
    y = np.zeros((*x.shape[:-1], int(rows), int(columns)), x.dtype)
    i, (r, c) = np.arange(x.shape[-1]), _corner(offset)
    y[..., i + r, i + c] = x
    return y


@structured(
    name="set_diagonal",
    infer=_set_diagonal_type,
    reference=_set_diagonal_numpy,
    grad=lambda g, x, *rest, offset: [_diagonal(g, offset=offset)],
    sizes_from=1,
)
def _set_diagonal(x: Operand, shape: tuple[int, ...], offset: int) -> Compute:
    """Matrices of zeros with the last axis of x on a diagonal."""
    r, c = _corner(offset)
    length = x.shape[-1]

    def element(*out: Expr) -> Expr:
        i, j = out[-2:]
        if length == 0:
            return const(0, x.dtype)
        inside = eq(i - r, j - c) & (r <= i) & (i < r + length)
        return select(inside, x[(*out[:-2], maximum(minimum(i - r, length - 1), 0))], const(0, x.dtype))

    return compute(shape, element)


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Variable:
    """A diagonal of two axes, as the last axis of the result.

    Parameters
    ----------
    x : Variable, at least two axes
    offset : int
        Which diagonal: above the main one if positive.
    axis1, axis2 : int
        Rows and columns.

    Returns
    -------
    Variable, same dtype, the two axes replaced by one at the end.

    Raises
    ------
    ShapeError
        If ``x`` has fewer than two axes.
    AxisError
        If the two axes are the same, or out of range.
    """
    v = _at_least_matrix(x, "diagonal")
    normalize_axis((axis1, axis2), v.ndim, "diagonal", v)
    return _diagonal(moveaxis(v, (axis1, axis2), (-2, -1)), offset=offset)


def diag(x: Any, k: int = 0) -> Variable:
    """The diagonal of a matrix, or the matrix with a vector on its diagonal.

    Parameters
    ----------
    x : Variable, vector or matrix
    k : int
        Which diagonal: above the main one if positive.

    Returns
    -------
    Variable, same dtype: a vector for a matrix, a square matrix for a vector.

    Raises
    ------
    ShapeError
        If ``x`` has another rank.
    """
    v = as_variable(x)
    if v.ndim == 1:
        (side,) = variables([add(extents(v)[0], abs(k))])
        return _set_diagonal(v, side, side, offset=k)
    if v.ndim == 2:
        return diagonal(v, k)
    raise ShapeError(
        layout(f"diag({label(v)}): {v.type} is neither vector nor matrix", [describe(v)], here_excerpt(),
               "x.diagonal(axis1=-2, axis2=-1) takes those of a stack of matrices")
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------ grids


def meshgrid(*xs: Any, indexing: str = "xy") -> list[Variable]:
    """Coordinates of a grid from those of its axes.

    Parameters
    ----------
    *xs : Variable, vectors or scalars
    indexing : str
        "ij": axis k of each result runs along ``xs[k]``; "xy": the first two axes are exchanged.

    Returns
    -------
    list of Variable, one for each of ``xs``, all of one shape.

    Raises
    ------
    ShapeError
        If one of ``xs`` has more than one axis.
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing is {indexing!r}; it must be 'xy' or 'ij'")
    given = [as_variable(x) for x in xs]
    for v in given:
        if v.ndim > 1:
            raise ShapeError(
                layout(f"meshgrid: {label(v)} is {v.type}, it must be a vector", [describe(v)], here_excerpt(),
                       "give the coordinates of one axis each: x.flatten()")
            )  # fmt: skip
    order = list(range(len(given)))
    if indexing == "xy" and len(given) > 1:
        order[:2] = [1, 0]
    lengths: list[Size] = [extents(v)[0] if v.ndim else 1 for v in given]
    sizes = [lengths[k] for k in order]
    return [expanded(permute(v, _along(order.index(k), len(given), v.ndim)), sizes) for k, v in enumerate(given)]


def _along(axis: int, rank: int, ndim: int) -> tuple[int | None, ...]:
    return tuple(0 if k == axis and ndim else None for k in range(rank))


class _Grid:
    """Coordinates by slices: ``mgrid[0:n, 0:m]``."""

    def __getitem__(self, key: Any) -> list[Variable]:
        """One variable for each slice, all of one shape (axis k runs along slice k)."""
        many: Sequence[slice] = key if isinstance(key, tuple) else (key,)
        ranges = [arange(0 if s.start is None else s.start, s.stop, 1 if s.step is None else s.step) for s in many]
        return meshgrid(*ranges, indexing="ij")


mgrid = _Grid()


def to_one_hot(y: Any, n_classes: Any, dtype: object = "floatX") -> Variable:
    """A row for each label: 1 in its column, 0 elsewhere.

    Parameters
    ----------
    y : Variable, integer, shape (...)
    n_classes : int or integer scalar Variable
    dtype : str

    Returns
    -------
    Variable, shape (..., n_classes); a label outside 0..n_classes-1 gives a row of zeros.

    Raises
    ------
    DTypeError
        If ``y`` is not of integers.
    """
    v = as_variable(y)
    if not is_integer(v.dtype):
        raise DTypeError(
            layout(f"to_one_hot({label(v)}): the labels are {v.dtype}, they must be integers", [describe(v)],
                   here_excerpt(), f"cast them: {in_code(v, 'y')}.astype('int64')")
        )  # fmt: skip
    labels = permute(convert(v, "int64"), (*range(v.ndim), None))
    (count,) = sizes_of(n_classes, "to_one_hot")
    return convert(ew.eq(labels, permute(arange_of(0, 1, count, "int64"), (None,) * v.ndim + (0,))), canonical(dtype))


attach("diagonal", diagonal)

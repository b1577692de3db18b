"""Norms of matrices and vectors, with the arguments of ``numpy.linalg.norm``."""

from __future__ import annotations

from typing import Any

from symgraph.coercion import normalize_axis
from symgraph.graph import Variable
from symgraph.ops import elementwise as ew
from symgraph.ops import reduce
from symgraph.ops.axes import moveaxis
from symgraph.ops.factor import svd
from symgraph.ops.shape import permute

__all__ = ["norm"]


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Variable:
    """The norm of vectors or matrices; its gradient at 0 is 0.

    Parameters
    ----------
    x : Variable or array_like
    ord : float or str, optional
        For vectors sum(abs(x)**ord)**(1/ord); for matrices "fro" (the root of the sum of squares), "nuc" (the sum of
        the singular values), 2 or -2 (the largest or smallest of them), 1 or -1 (the largest or smallest sum of
        magnitudes of a column), inf or -inf (of a row). None is the root of the sum of squares.
    axis : int, pair of int, or None
        The axis of vectors, or the axes of matrices (rows, columns). None is all of ``x`` as a vector if ``ord`` is
        None too, else the axes of ``x``, which must be one or two.
    keepdims : bool
        Whether reduced axes stay, with extent 1.

    Returns
    -------
    Variable, float.

    Raises
    ------
    ValueError
        If there is no such norm.
    AxisError
        If an axis is out of range or named twice.
    """
    v = reduce.floating(x)
    if ord is None:
        return reduce.norm(v, 2, axis, keepdims)
    axes = tuple(range(v.ndim)) if axis is None else tuple(axis) if isinstance(axis, tuple | list) else (axis,)
    normalize_axis(axes, v.ndim, "norm", v)
    if len(axes) == 1 and not isinstance(ord, str):
        return reduce.norm(v, ord, axes, keepdims)
    if len(axes) != 2 or ord not in ("fro", "nuc", 1, -1, 2, -2, float("inf"), -float("inf")):
        raise ValueError(f"norm: there is no norm {ord!r} over {len(axes)} axes; see numpy.linalg.norm ")
    last = moveaxis(v, axes, (-2, -1))
    return _with_axes(_of_matrices(last, ord), v.ndim, axes) if keepdims else _of_matrices(last, ord)


def _of_matrices(x: Variable, ord: Any) -> Variable:
    """The norm over the last two axes."""
    if ord == "fro":
        return reduce.norm(x, 2, (-2, -1))
    if ord in ("nuc", 2, -2):
        s = svd(x, compute_uv=False)
        return reduce.sum(s, axis=-1) if ord == "nuc" else (reduce.max if ord > 0 else reduce.min)(s, axis=-1)
    along = -2 if ord in (1, -1) else -1
    sums = reduce.sum(ew.absolute(x), axis=along)
    return (reduce.max if ord > 0 else reduce.min)(sums, axis=-1)


def _with_axes(x: Variable, rank: int, axes: tuple[int, ...]) -> Variable:
    """``x`` with extents of 1 where ``axes`` were."""
    gone = {a % rank for a in axes}
    rest = iter(range(x.ndim))
    return permute(x, tuple(None if k in gone else next(rest) for k in range(rank)))

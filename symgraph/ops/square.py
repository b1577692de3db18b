"""What is made of matrix products and diagonals: trace, Kronecker product, powers of a matrix."""

from __future__ import annotations

from typing import Any

from symgraph.coercion import as_variable, common_dtype, convert
from symgraph.errors import ShapeError, layout
from symgraph.graph import Variable, describe, label
from symgraph.op import attach
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.elementwise import mul
from symgraph.ops.extents import product
from symgraph.ops.inverse import inv
from symgraph.ops.linalg import matmul
from symgraph.ops.matrices import diagonal, eye
from symgraph.ops.reduce import sum
from symgraph.ops.shape import extents, permute, reshaped
from symgraph.origin import here_excerpt

__all__ = ["kron", "trace"]


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Variable:
    """The sum of a diagonal.

    Parameters
    ----------
    x : Variable, rank 2 or more
    offset : int
        How far above (below, if negative) the main diagonal.
    axis1, axis2 : int
        The axes that span the matrices.

    Returns
    -------
    Variable, without the two axes; the dtype that ``sum`` gives.

    Raises
    ------
    ShapeError, AxisError
        As of ``diagonal``.
    """
    return sum(diagonal(x, offset, axis1, axis2), axis=-1)


def kron(x: Any, w: Any) -> Variable:
    """The Kronecker product: blocks of ``w``, each times an element of ``x``.

    Parameters
    ----------
    x, w : Variable
        Of any ranks; the lower one gets axes of extent 1 before its own.

    Returns
    -------
    Variable, common dtype; each extent is the product of the two.
    """
    dtype = common_dtype([x, w])
    a, b = convert(x, dtype), convert(w, dtype)
    rank = max(a.ndim, b.ndim)
    a, b = (permute(v, (None,) * (rank - v.ndim) + tuple(range(v.ndim))) for v in (a, b))
    wide = permute(a, tuple(k for axis in range(rank) for k in (axis, None)))
    narrow = permute(b, tuple(k for axis in range(rank) for k in (None, axis)))
    return reshaped(mul(wide, narrow), [product(pair) for pair in zip(extents(a), extents(b), strict=True)])


def matrix_power(x: Any, n: int) -> Variable:
    """``x @ x @ ... @ x``, n times, with about 2*log2(n) products; of the inverse for a negative n.

    Parameters
    ----------
    x : Variable, shape (..., m, m)
    n : int
        The 0th power is the identity.

    Returns
    -------
    Variable, type of ``x``.

    Raises
    ------
    ShapeError
        If the matrices are not square.
    ValueError
        If ``n`` is no integer.
    LinAlgError
        When called, if ``n`` is negative and a matrix is singular.
    """
    v = as_variable(x)
    if isinstance(n, bool) or not isinstance(n, int):
        raise ValueError(f"matrix_power: n is {n!r}; it must be an integer")
    if v.ndim < 2 or len(set(v.type.shape[-2:]) - {None}) > 1:
        raise ShapeError(
            layout(f"matrix_power({label(v)}): {v.type} has no square matrices along its last axes", [describe(v)],
                   here_excerpt(), "the last two extents must be equal")
        )  # fmt: skip
    if n == 0:
        rows, columns = extents(v)[-2:]
        return broadcast_to(eye(rows, columns, dtype=v.dtype), v.shape)
    return _power(v, n) if n > 0 else _power(inv(v), -n)


def _power(x: Variable, n: int) -> Variable:
    if n == 1:
        return x
    half = _power(x, n // 2)
    even = matmul(half, half)
    return matmul(even, x) if n % 2 else even


attach("trace", trace)

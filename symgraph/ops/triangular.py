"""Triangular systems: ``solve_triangular``. NumPy has none of LAPACK's, so it is block substitution of our own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.coercion import convert
from symgraph.errors import ShapeError, layout
from symgraph.graph import Variable, describe, label
from symgraph.host import host
from symgraph.op import GradResult
from symgraph.ops import elementwise as ew
from symgraph.ops.linalg import adjoint, matmul
from symgraph.ops.matrices import tril, triu
from symgraph.ops.shape import permute
from symgraph.origin import here_excerpt
from symgraph.types import TensorType, broadcast_shapes

__all__: list[str] = []

BLOCK = 32  # rows substituted one after the other; longer systems are halved, so that most of the work is products


def system_type(name: str, a: Variable, b: Variable) -> list[TensorType]:
    """The type of the solution of ``a @ x == b``, matrices both."""
    m, n = a.type.shape[-1], b.type.shape[-2]
    if None not in (m, n) and m != n:
        raise _misfit(name, a, b, f"the matrix has {m} rows, the right side {n}")
    try:
        lead = broadcast_shapes([a.type.shape[:-2], b.type.shape[:-2]])
    except ShapeError as error:
        raise _misfit(name, a, b, f"leading axes: {error}") from None
    return [TensorType(b.dtype, (*lead, n if m is None else m, b.type.shape[-1]))]


def _misfit(name: str, a: Variable, b: Variable, why: str) -> ShapeError:
    return ShapeError(
        layout(f"{name}({label(a)}, {label(b)}): {why}", [describe(a), describe(b)], here_excerpt(),
               "a @ x == b needs shapes (..., n, n) and (..., n, k), or (n,) for a single vector")
    )  # fmt: skip


def as_columns(a: Variable, b: Variable) -> tuple[Variable, Variable, bool]:
    """Both with the same rank, and whether ``b`` was a vector: it becomes a column."""
    is_vector = b.ndim == 1
    if is_vector:
        b = permute(b, (0, None))
    rank = max(a.ndim, b.ndim)
    a, b = (permute(v, (None,) * (rank - v.ndim) + tuple(range(v.ndim))) for v in (a, b))
    return a, b, is_vector


def from_columns(x: Variable, is_vector: bool) -> Variable:
    """A solution in the rank of its right side."""
    return permute(x, tuple(range(x.ndim - 1))) if is_vector else x


# ------------------------------------------------------------------------------------------------ the op


def _scaled(a: np.ndarray, b: np.ndarray, unit: bool) -> np.ndarray:
    """x with a @ x = b for a lower triangle: rows are divided by the diagonal first."""
    if unit:
        return _lower(a, b)
    along = np.diagonal(a, axis1=-2, axis2=-1)[..., None]
    if (along == 0).any():
        raise np.linalg.LinAlgError("Singular matrix")
    return _lower(a / along, b / along)


def _lower(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """x with a @ x = b, the diagonal of ``a`` being 1."""
    n = a.shape[-1]
    if n > BLOCK:
        k = n // 2
        first = _lower(a[..., :k, :k], b[..., :k, :])
        rest = _lower(a[..., k:, k:], b[..., k:, :] - a[..., k:, :k] @ first)
        return np.concatenate([first, rest], axis=-2)
    x: np.ndarray = b.copy()
    for i in range(1, n):
        x[..., i : i + 1, :] -= a[..., i : i + 1, :i] @ x[..., :i, :]
    return x


def _triangular_grad(
    given: Sequence[Variable | None], inputs: Sequence[Variable], outputs: Sequence[Variable], lower: bool, unit: bool
) -> GradResult:
    (g,), (a, _), (x,) = given, inputs, outputs
    assert g is not None
    (by_b,) = triangular_outputs(adjoint(a), g, lower=not lower, unit=unit)
    by_a = ew.neg(matmul(by_b, adjoint(x)))
    return [tril(by_a, -int(unit)) if lower else triu(by_a, int(unit)), by_b]


@host(
    name="solve_triangular", grad=_triangular_grad,
    infer=lambda a, b, lower, unit: system_type("solve_triangular", a, b),
)  # fmt: skip
def _triangular(a: np.ndarray, b: np.ndarray, lower: bool, unit: bool) -> np.ndarray:
    """x with a @ x = b, where one triangle of ``a`` is read."""
    shape = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    b = np.broadcast_to(b, (*shape, *b.shape[-2:]))
    if lower:
        return _scaled(a, b, unit)
    return _scaled(a[..., ::-1, ::-1], b[..., ::-1, :], unit)[..., ::-1, :]


def triangular_outputs(a: Variable, b: Variable, lower: bool, unit: bool) -> tuple[Variable, ...]:
    """``x`` with ``a @ x == b`` for matrices of the same rank, as the outputs of a node."""
    return _triangular(a, b, lower=lower, unit=unit)


def triangular_op(a: Variable, b: Variable, lower: bool, unit: bool) -> Variable:
    """``x`` with ``a @ x == b`` for matrices of the same rank."""
    return triangular_outputs(a, b, lower, unit)[0]


def converted(a: Any, b: Any, dtype: str) -> tuple[Variable, Variable]:
    """Both in the dtype they are computed in."""
    wide = "float32" if dtype == "float16" else dtype
    return convert(a, wide), convert(b, wide)

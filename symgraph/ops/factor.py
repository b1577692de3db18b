"""Factorisations of matrices: Cholesky, QR, eigenvalues, singular values. NumPy (LAPACK) computes them.

All take stacks of matrices: the last two axes are rows and columns. Their gradients are products and triangular
systems of the factors.

References
----------
Murray (2016), "Differentiation of the Cholesky decomposition"; Townsend (2016), "Differentiating the singular value
decomposition"; Walter and Lehmann (2010), "Algorithmic differentiation of linear algebra functions"; Roberts and
Roberts (2020), "QR and LQ decomposition matrix backpropagation algorithms".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.coercion import convert
from symgraph.errors import GradientError, ShapeError, layout
from symgraph.graph import Variable, describe, label
from symgraph.host import host
from symgraph.op import GradResult
from symgraph.ops import elementwise as ew
from symgraph.ops.join import concatenate
from symgraph.ops.linalg import adjoint, matmul, swapped
from symgraph.ops.matrices import diagonal, eye, tril, triu
from symgraph.ops.reduce import floating
from symgraph.ops.shape import extents, permute
from symgraph.ops.triangular import triangular_op
from symgraph.origin import here_excerpt
from symgraph.types import Extent, TensorType, is_complex, real_of

__all__ = ["cholesky", "qr", "eigh", "svd"]

Given = Sequence[Variable | None]

# ------------------------------------------------------------------------------------------------ operands


def matrices(x: Any, name: str, square: bool = False) -> Variable:
    """``x`` as float matrices, float16 as float32.

    Raises
    ------
    ShapeError
        If it has fewer than two axes, or should be square and is not.
    """
    v = floating(x)
    if v.ndim < 2 or (square and len(set(v.type.shape[-2:]) - {None}) > 1):
        what = "square matrices" if square else "matrices"
        raise ShapeError(
            layout(f"{name}({label(v)}): {v.type} has no {what} along its last axes", [describe(v)], here_excerpt(),
                   "the last two extents must be equal" if square else "give a matrix or a stack of matrices")
        )  # fmt: skip
    return convert(v, "float32") if v.dtype == "float16" else v


def narrowed(results: Sequence[Variable], x: Any) -> tuple[Variable, ...]:
    """``results`` in the precision of ``x``."""
    dtype = floating(x).dtype
    return tuple(convert(v, dtype if is_complex(v.dtype) else real_of(dtype)) for v in results)


def diagonals(x: Variable) -> Variable:
    """The diagonal matrices of the rows of ``x``."""
    n = extents(x)[-1]
    unit = permute(eye(n, dtype=x.dtype), (None,) * (x.ndim - 1) + (0, 1))
    return ew.mul(column(x), unit)  # type: ignore[no-any-return]


def column(x: Variable) -> Variable:
    """The rows of ``x`` as columns."""
    return permute(x, (*range(x.ndim), None))


def row(x: Variable) -> Variable:
    """The rows of ``x`` as matrices of one row."""
    return permute(x, (*range(x.ndim - 1), None, x.ndim - 1))


def _sum(terms: Sequence[Variable | None]) -> Variable | None:
    """The sum of those there are."""
    found: Variable | None = None
    for term in terms:
        found = term if found is None else found if term is None else ew.add(found, term)
    return found


def _by_one_triangle(g: Variable, lower: bool = True) -> Variable:
    """The gradient by a symmetric (or Hermitian) matrix of which one triangle is read."""
    both = ew.add(g, adjoint(g))
    on_diagonal = diagonals(ew.mul(diagonal(both, axis1=-2, axis2=-1), 0.5))
    return ew.sub((tril if lower else triu)(both), on_diagonal)  # type: ignore[no-any-return]


def _inverse_differences(s: Variable, squares: bool = False) -> Variable:
    """f[i, j] = 1/(s[j] - s[i]), or of the squares; 0 where they are equal."""
    a, b = row(s), column(s)
    d = ew.mul(ew.sub(a, b), ew.add(a, b)) if squares else ew.sub(a, b)
    return safe_inverse(d)


def safe_inverse(x: Variable) -> Variable:
    """1/x, and 0 at 0."""
    is_zero = ew.eq(x, 0)
    return ew.switch(is_zero, 0, ew.inv(ew.switch(is_zero, 1, x)))  # type: ignore[no-any-return]


def _smaller(m: Extent, n: Extent) -> Extent:
    known = [k for k in (m, n) if k is not None]
    return 0 if 0 in known else min(known) if len(known) == 2 else None


# ------------------------------------------------------------------------------------------------ Cholesky


def _cholesky_grad(given: Given, inputs: Sequence[Variable], outputs: Sequence[Variable]) -> GradResult:
    (g,), (lower,) = given, outputs
    assert g is not None
    p = tril(matmul(adjoint(lower), tril(g)))
    p = ew.sub(p, ew.mul(diagonals(diagonal(p, axis1=-2, axis2=-1)), 0.5))
    left = triangular_op(adjoint(lower), p, lower=False, unit=False)
    s = swapped(triangular_op(swapped(lower), swapped(left), lower=False, unit=False))
    return [_by_one_triangle(s)]


@host(name="cholesky", infer=lambda x: [x.type], grad=_cholesky_grad)
def _cholesky(x: np.ndarray) -> Any:
    """The lower triangle L with x = L @ L.T, of complex matrices the conjugate of L.T."""
    return np.linalg.cholesky(x)


def cholesky(x: Any, lower: bool = True) -> Variable:
    """The triangular matrix L with positive diagonal and ``x == L @ L.T`` (``L @ L.conj().T``).

    Parameters
    ----------
    x : Variable, shape (..., n, n)
        Symmetric (Hermitian) and positive definite; only its lower triangle is read (the upper one if not ``lower``).
    lower : bool
        If False the upper triangle L.T is given.

    Returns
    -------
    Variable, float or complex, shape of ``x``.

    Raises
    ------
    ShapeError
        If the matrices are not square.
    LinAlgError
        When called, if a matrix is not positive definite; it is numpy.linalg.LinAlgError too.
    """
    v = matrices(x, "cholesky", square=True)
    found = _cholesky(v if lower else swapped(v))[0]
    return narrowed([found if lower else swapped(found)], x)[0]


# ------------------------------------------------------------------------------------------------ QR


def _qr_types(x: Variable, complete: bool) -> list[TensorType]:
    *lead, m, n = x.type.shape
    k = m if complete else _smaller(m, n)
    return [TensorType(x.dtype, (*lead, m, k)), TensorType(x.dtype, (*lead, k, n))]


def _qr_grad(given: Given, inputs: Sequence[Variable], outputs: Sequence[Variable], complete: bool) -> GradResult:
    """The columns beyond the rows of a wide matrix are Q @ R themselves; the others are a square or tall matrix."""
    (gq, gr), (x,), (q, r) = given, inputs, outputs
    if complete:
        raise _no_gradient("qr", "mode='complete' has columns that the matrix does not decide", "mode='reduced'")
    k = extents(r)[-2]
    square = r[..., :k]
    gq = _sum([gq, None if gr is None else matmul(x[..., k:], adjoint(gr[..., k:]))])
    m = _sum([
        None if gr is None else matmul(square, adjoint(triu(gr[..., :k]))),
        None if gq is None else ew.neg(matmul(adjoint(gq), q)),
    ])  # fmt: skip
    assert m is not None
    half = ew.sub(tril(m), ew.mul(diagonals(diagonal(m, axis1=-2, axis2=-1)), 0.5))
    symmetric = ew.add(half, adjoint(half))
    inner = _sum([gq, matmul(q, symmetric)])
    assert inner is not None
    first = adjoint(triangular_op(square, adjoint(inner), lower=False, unit=False))
    rest = ew.mul(x[..., k:], 0) if gr is None else matmul(q, gr[..., k:])
    return [concatenate([first, rest], axis=-1)]


def _no_gradient(name: str, why: str, instead: str) -> GradientError:
    return GradientError(layout(f"{name} has no gradient: {why}", [], here_excerpt(), f"pass {instead}"))


@host(name="qr", infer=_qr_types, grad=_qr_grad)
def _qr(x: np.ndarray, complete: bool) -> Any:
    """Q with orthonormal columns and upper triangular R with x = Q @ R."""
    return tuple(np.linalg.qr(x, "complete" if complete else "reduced"))


def qr(x: Any, mode: str = "reduced") -> Any:
    """Q with orthonormal columns and upper triangular R with ``x == Q @ R``.

    Parameters
    ----------
    x : Variable, shape (..., m, n)
    mode : "reduced", "complete" or "r"
        With k = min(m, n): Q (..., m, k) and R (..., k, n); Q (..., m, m) and R (..., m, n), which have no gradient; or
        R (..., k, n) alone.

    Returns
    -------
    (Q, R), or R: Variables, float or complex.

    Raises
    ------
    ShapeError
        If ``x`` has fewer than two axes.
    ValueError
        If ``mode`` is none of these.
    """
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(f"qr: mode is {mode!r}; it must be 'reduced', 'complete' or 'r'")
    q, r = narrowed(_qr(matrices(x, "qr"), complete=mode == "complete"), x)
    return r if mode == "r" else (q, r)


# ------------------------------------------------------------------------------------------------ eigenvalues


def _eigh_grad(given: Given, inputs: Sequence[Variable], outputs: Sequence[Variable], lower: bool) -> GradResult:
    (gw, gv), (w, v) = given, outputs
    within = _sum([
        None if gw is None else diagonals(gw),
        None if gv is None else ew.mul(_inverse_differences(w), matmul(adjoint(v), gv)),
    ])  # fmt: skip
    assert within is not None
    return [_by_one_triangle(matmul(matmul(v, within), adjoint(v)), lower)]


def _eigh_types(x: Variable, lower: bool) -> list[TensorType]:
    return [TensorType(real_of(x.dtype), x.type.shape[:-1]), x.type]


@host(name="eigh", infer=_eigh_types, grad=_eigh_grad)
def _eigh(x: np.ndarray, lower: bool) -> Any:
    """w ascending and orthogonal V with x @ V = V * w."""
    return tuple(np.linalg.eigh(x, "L" if lower else "U"))


def eigh(x: Any, UPLO: str = "L") -> tuple[Variable, Variable]:
    """Eigenvalues, ascending, and orthonormal eigenvectors of symmetric or Hermitian matrices.

    The gradient by eigenvectors takes those of equal eigenvalues as they come: a function that depends on the choice
    among them has none.

    Parameters
    ----------
    x : Variable, shape (..., n, n)
        Symmetric; only one triangle is read.
    UPLO : "L" or "U"
        Which one: the lower or the upper.

    Returns
    -------
    (w, v) : Variables, w float, v float or complex
        Of shapes (..., n) and (..., n, n); ``v[..., :, i]`` belongs to ``w[..., i]``.

    Raises
    ------
    ShapeError
        If the matrices are not square.
    LinAlgError
        When called, if the iteration does not end (a NaN in ``x``).
    """
    if UPLO.upper() not in ("L", "U"):
        raise ValueError(f"eigh: UPLO is {UPLO!r}; it must be 'L' or 'U'")
    w, v = narrowed(_eigh(matrices(x, "eigh", square=True), lower=UPLO.upper() == "L"), x)
    return w, v


# ------------------------------------------------------------------------------------------------ singular values


def _svd_types(x: Variable, full: bool) -> list[TensorType]:
    *lead, m, n = x.type.shape
    k = _smaller(m, n)
    u, v = ((*lead, m, m), (*lead, n, n)) if full else ((*lead, m, k), (*lead, k, n))
    dtypes = (x.dtype, real_of(x.dtype), x.dtype)
    return [TensorType(dtype, tuple(shape)) for dtype, shape in zip(dtypes, (u, (*lead, k), v), strict=True)]


def _svd_grad(given: Given, inputs: Sequence[Variable], outputs: Sequence[Variable], full: bool) -> GradResult:
    (gu, gs, gv), (x,), (u, s, vh) = given, inputs, outputs
    m, n = x.type.shape[-2:]
    if full and (m is None or m != n) and not (gu is None and gv is None):
        raise _no_gradient("svd", "full matrices have columns that the matrix does not decide", "full_matrices=False")
    if is_complex(x.dtype) and not (gu is None and gv is None):
        raise _no_gradient("svd", "singular vectors of a complex matrix are free to turn", "compute_uv=False")
    k = extents(s)[-1]
    u, vh = u[..., :k], vh[..., :k, :]
    inverse, differences = safe_inverse(s), _inverse_differences(s, squares=True)
    parts = [None if gs is None else diagonals(gs)]
    outside: list[Variable | None] = []
    if gu is not None:
        inner = matmul(swapped(u), gu)
        parts.append(ew.mul(ew.mul(differences, ew.sub(inner, swapped(inner))), row(s)))
        outside.append(matmul(ew.mul(ew.sub(gu, matmul(u, inner)), row(inverse)), vh))
    if gv is not None:
        inner = matmul(vh, swapped(gv))
        parts.append(ew.mul(ew.mul(differences, ew.sub(inner, swapped(inner))), column(s)))
        outside.append(matmul(u, ew.mul(ew.sub(gv, matmul(swapped(inner), vh)), column(inverse))))
    within = _sum(parts)
    assert within is not None
    return [_sum([matmul(matmul(u, within), vh), *outside])]


@host(name="svd", infer=_svd_types, grad=_svd_grad)
def _svd(x: np.ndarray, full: bool) -> Any:
    """Orthonormal U and V and s descending with x = U @ diag(s) @ V."""
    return tuple(np.linalg.svd(x, full))


def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Singular values, descending, with the orthonormal matrices beside them: ``x == U @ diag(s) @ Vh``.

    Parameters
    ----------
    x : Variable, shape (..., m, n)
    full_matrices : bool
        With k = min(m, n): U is (..., m, m) and Vh (..., n, n), which have a gradient only if m == n; if False they are
        (..., m, k) and (..., k, n).
    compute_uv : bool
        If False s alone is given.

    Returns
    -------
    (U, s, Vh), or s: Variables; s is float, of shape (..., k). Of complex matrices s alone has a gradient.

    Raises
    ------
    ShapeError
        If ``x`` has fewer than two axes.
    LinAlgError
        When called, if the iteration does not end (a NaN in ``x``).
    """
    u, s, vh = narrowed(_svd(matrices(x, "svd"), full=bool(full_matrices and compute_uv)), x)
    return (u, s, vh) if compute_uv else s

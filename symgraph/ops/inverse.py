"""Systems of equations, inverses and determinants. NumPy (LAPACK) computes them; all take stacks of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.coercion import as_variable, common_dtype
from symgraph.graph import Variable
from symgraph.host import host
from symgraph.op import GradResult
from symgraph.ops import elementwise as ew
from symgraph.ops.complexes import complex as make_complex
from symgraph.ops.complexes import conj, imag
from symgraph.ops.factor import column, matrices, narrowed
from symgraph.ops.linalg import adjoint, matmul, swapped
from symgraph.ops.reduce import sum as sum_
from symgraph.ops.triangular import as_columns, converted, from_columns, system_type, triangular_op
from symgraph.parts import part_type
from symgraph.types import TensorType, canonical, is_complex, is_inexact

__all__ = ["solve", "solve_triangular", "inv", "pinv", "det", "slogdet"]

Given = Sequence[Variable | None]
Several = Sequence[Variable]


def _single(x: Variable) -> TensorType:
    """One number for each matrix."""
    return TensorType(x.dtype, x.type.shape[:-2])


def _on_matrices(x: Variable) -> Variable:
    """A number for each matrix, to be multiplied with the matrices."""
    return column(column(x))


# ------------------------------------------------------------------------------------------------ systems


def _solve_grad(given: Given, inputs: Several, outputs: Several) -> GradResult:
    (g,), (a, _), (x,) = given, inputs, outputs
    assert g is not None
    (by_b,) = _solve(adjoint(a), g)
    return [ew.neg(matmul(by_b, adjoint(x))), by_b]


@host(name="solve", infer=lambda a, b: system_type("solve", a, b), grad=_solve_grad)
def _solve(a: np.ndarray, b: np.ndarray) -> Any:
    """x with a @ x = b."""
    return np.linalg.solve(a, b)


def _system(name: str, a: Any, b: Any) -> tuple[Variable, Variable, bool, str]:
    """Both sides as matrices of one rank and dtype, whether the right one was a vector, and the dtype of the result."""
    dtype = common_dtype([a, b])
    dtype = dtype if is_inexact(dtype) else canonical("floatX")
    left, right = converted(matrices(a, name, square=True), as_variable(b), dtype)
    return *as_columns(left, right if right.ndim == 1 else matrices(right, name)), dtype


def solve(a: Any, b: Any) -> Variable:
    """x with ``a @ x == b``.

    Parameters
    ----------
    a : Variable, shape (..., n, n)
    b : Variable, shape (..., n, k), or (n,)
        The leading axes of both broadcast.

    Returns
    -------
    Variable, float or complex, common dtype, shape (..., n, k), or (..., n) for a vector ``b``.

    Raises
    ------
    ShapeError
        If ``a`` is not square or the shapes do not fit.
    LinAlgError
        When called, if a matrix is singular; it is numpy.linalg.LinAlgError too.
    """
    left, right, is_vector, dtype = _system("solve", a, b)
    return ew.cast(from_columns(_solve(left, right)[0], is_vector), dtype)


def solve_triangular(
    a: Any, b: Any, trans: int | str = 0, lower: bool = False, unit_diagonal: bool = False
) -> Variable:
    """x with ``a @ x == b`` for a triangular ``a``; names as in scipy.linalg.

    Parameters
    ----------
    a : Variable, shape (..., n, n)
        Only one triangle is read.
    b : Variable, shape (..., n, k), or (n,)
        The leading axes of both broadcast.
    trans : 0 or "N", 1 or "T", 2 or "C"
        Whether to solve with ``a.T``, or with ``a.conj().T``.
    lower : bool
        Which triangle of ``a`` is read.
    unit_diagonal : bool
        Whether the diagonal is taken to be 1 and not read.

    Returns
    -------
    Variable, float or complex, common dtype, shape (..., n, k), or (..., n) for a vector ``b``.

    Raises
    ------
    ShapeError
        If ``a`` is not square or the shapes do not fit.
    LinAlgError
        When called, if there is a 0 on the diagonal; it is numpy.linalg.LinAlgError too.
    """
    if trans not in (0, 1, 2, "N", "T", "C"):
        raise ValueError(f"solve_triangular: trans is {trans!r}; it must be 0 or 'N', 1 or 'T', 2 or 'C'")
    left, right, is_vector, dtype = _system("solve_triangular", a, b)
    if trans not in (0, "N"):
        left, lower = swapped(left) if trans in (1, "T") else adjoint(left), not lower
    found = triangular_op(left, right, lower=bool(lower), unit=bool(unit_diagonal))
    return ew.cast(from_columns(found, is_vector), dtype)


# ------------------------------------------------------------------------------------------------ inverses


def _inverse_grad(given: Given, inputs: Several, outputs: Several) -> GradResult:
    (g,), (p,) = given, outputs
    assert g is not None
    return [ew.neg(matmul(matmul(adjoint(p), g), adjoint(p)))]


@host(name="matrix_inverse", infer=lambda x: [x.type], grad=_inverse_grad)
def _inverse(x: np.ndarray) -> Any:
    """p with x @ p = I."""
    return np.linalg.inv(x)


def inv(x: Any) -> Variable:
    """The inverse of square matrices; ``solve(a, b)`` is faster and more accurate than ``inv(a) @ b``.

    Parameters
    ----------
    x : Variable, shape (..., n, n)

    Returns
    -------
    Variable, float or complex, shape of ``x``.

    Raises
    ------
    ShapeError
        If the matrices are not square.
    LinAlgError
        When called, if a matrix is singular; it is numpy.linalg.LinAlgError too.
    """
    return narrowed(_inverse(matrices(x, "inv", square=True)), x)[0]


def _pinv_grad(given: Given, inputs: Several, outputs: Several, rcond: float | None) -> GradResult:
    """Golub and Pereyra (1973): the derivative where the rank does not change."""
    (g,), (x,), (p,) = given, inputs, outputs
    assert g is not None
    pt, gt = adjoint(p), adjoint(g)
    inner = ew.neg(matmul(matmul(pt, g), pt))
    right = matmul(matmul(gt, p), pt)
    left = matmul(matmul(pt, p), gt)
    outside = ew.add(ew.sub(right, matmul(x, matmul(p, right))), ew.sub(left, matmul(matmul(left, p), x)))
    return [ew.add(inner, outside)]


def _pinv_type(x: Variable, rcond: float | None) -> list[TensorType]:
    *lead, m, n = x.type.shape
    return [TensorType(x.dtype, (*lead, n, m))]


@host(name="pinv", infer=_pinv_type, grad=_pinv_grad)
def _pinv(x: np.ndarray, rcond: float | None) -> Any:
    """The Moore-Penrose inverse."""
    return np.linalg.pinv(x) if rcond is None else np.linalg.pinv(x, rcond)


def pinv(x: Any, rcond: float | None = None) -> Variable:
    """The Moore-Penrose pseudoinverse. Its gradient holds where the rank does not change.

    Parameters
    ----------
    x : Variable, shape (..., m, n)
    rcond : float, optional
        Singular values up to ``rcond`` times the largest count as 0; NumPy's default if not given.

    Returns
    -------
    Variable, float or complex, shape (..., n, m).

    Raises
    ------
    ShapeError
        If ``x`` has fewer than two axes.
    LinAlgError
        When called, if the iteration does not end (a NaN in ``x``).
    """
    return narrowed(_pinv(matrices(x, "pinv"), rcond=None if rcond is None else float(rcond)), x)[0]


# ------------------------------------------------------------------------------------------------ determinants


def _inner(a: Variable, b: Variable) -> Variable:
    """The sum of products of elements of conj(a) and b, to be multiplied with the matrices."""
    return _on_matrices(sum_(ew.mul(conj(a), b), axis=(-2, -1)))


def _second_cofactors_grad(given: Given, inputs: Several, outputs: Several) -> GradResult:
    """By ``g`` the same with the other matrix, for it is symmetric; by ``x`` from the inverse, in which det*inv(x).T is
    the cofactors."""
    (h,), (g, x) = given, inputs
    assert h is not None
    p = adjoint(_inverse(x)[0])
    pg, ph = (matmul(matmul(p, adjoint(v)), p) for v in (g, h))
    twice = ew.add(matmul(matmul(pg, adjoint(h)), p), matmul(matmul(ph, adjoint(g)), p))
    by_g, by_h = _inner(g, p), _inner(h, p)
    straight = ew.mul(ew.sub(ew.mul(by_g, by_h), _inner(h, pg)), p)
    crossed = ew.add(ew.mul(by_h, pg), ew.mul(by_g, ph))
    by_x = ew.mul(_on_matrices(conj(_det(x)[0])), ew.add(ew.sub(straight, crossed), twice))
    return [_second_cofactors(h, x)[0], by_x]


def _without_two(s: np.ndarray) -> np.ndarray:
    """For each two numbers along the last axis the product of all others; 0 for one with itself."""
    same = np.eye(s.shape[-1], dtype=bool)
    rest = np.where(same, 1, s[..., None, :])
    one = np.ones_like(rest[..., :1])
    before = np.cumprod(np.concatenate([one, rest[..., :-1]], -1), -1)
    after = np.cumprod(np.concatenate([one, rest[..., :0:-1]], -1), -1)[..., ::-1]
    return np.where(same, 0, before * after)


@host(name="second_cofactors", infer=lambda g, x: [x.type], grad=_second_cofactors_grad)
def _second_cofactors(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The derivative of sum(g * cofactors(x)), of singular matrices too; its conjugate of complex ones.

    Of a diagonal matrix s it is, in row i and column j, -g[j, i] times the product of all s but two, and on the
    diagonal the sum of these products times the diagonal of g; any other is turned to its singular values.
    """
    u, s, vh = np.linalg.svd(x)
    turned = np.swapaxes(u.conj(), -1, -2) @ g @ np.swapaxes(vh.conj(), -1, -2)
    pairs = _without_two(s)
    diagonal = pairs @ np.diagonal(turned, axis1=-2, axis2=-1)[..., None]
    inner = np.where(np.eye(s.shape[-1], dtype=bool), diagonal, -np.swapaxes(turned, -1, -2) * pairs)
    sign = np.conj(np.linalg.det(u) * np.linalg.det(vh))
    found: np.ndarray = sign[..., None, None] * (u @ inner.conj() @ vh)
    return found


def _cofactors_grad(given: Given, inputs: Several, outputs: Several) -> GradResult:
    (g,), (x,) = given, inputs
    assert g is not None
    return [_second_cofactors(g, x)[0]]


@host(name="cofactors", infer=lambda x: [x.type], grad=_cofactors_grad)
def _cofactors(x: np.ndarray) -> np.ndarray:
    """The derivative of the determinant, of singular matrices too: by singular values, each without one of them.

    Of complex matrices its conjugate, which is the gradient.
    """
    u, s, vh = np.linalg.svd(x)
    n = s.shape[-1]
    without = np.where(np.eye(n, dtype=bool), 1, s[..., None, :])
    sign = np.conj(np.linalg.det(u) * np.linalg.det(vh))
    found: np.ndarray = sign[..., None, None] * ((u * without.prod(-1)[..., None, :]) @ vh)
    return found


def _det_grad(given: Given, inputs: Several, outputs: Several) -> GradResult:
    (g,), (x,) = given, inputs
    assert g is not None
    return [ew.mul(_on_matrices(g), _cofactors(x)[0])]


@host(name="det", infer=lambda x: [_single(x)], grad=_det_grad)
def _det(x: np.ndarray) -> Any:
    """The determinant."""
    return np.linalg.det(x)


def det(x: Any) -> Variable:
    """The determinant; of singular matrices it has a gradient and a Hessian too.

    Parameters
    ----------
    x : Variable, shape (..., n, n)

    Returns
    -------
    Variable, float or complex, shape (...,).

    Raises
    ------
    ShapeError
        If the matrices are not square.
    """
    return narrowed(_det(matrices(x, "det", square=True)), x)[0]


def _slogdet_grad(given: Given, inputs: Several, outputs: Several) -> GradResult:
    (turn, g), (x,), (sign, _) = given, inputs, outputs
    if turn is not None and is_complex(x.dtype):  # d sign is i*sign times the imaginary part of trace(inv(x) @ dx)
        angle = ew.neg(imag(ew.mul(conj(turn), sign)))
        g = make_complex(0 if g is None else g, angle)
    return [None if g is None else ew.mul(_on_matrices(g), adjoint(_inverse(x)[0]))]


@host(name="slogdet", infer=lambda x: [_single(x), part_type(_single(x))], grad=_slogdet_grad)
def _slogdet(x: np.ndarray) -> Any:
    """Sign and logarithm of the magnitude of the determinant."""
    return tuple(np.linalg.slogdet(x))


def slogdet(x: Any) -> tuple[Variable, Variable]:
    """Sign of the determinant (of complex matrices its direction) and logarithm of its magnitude: neither overflows.

    Parameters
    ----------
    x : Variable, shape (..., n, n)

    Returns
    -------
    (sign, logabsdet) : Variables, shape (...,), the second float
        0 and -inf for a singular matrix, where there is no gradient.

    Raises
    ------
    ShapeError
        If the matrices are not square.
    """
    sign, size = narrowed(_slogdet(matrices(x, "slogdet", square=True)), x)
    return sign, size

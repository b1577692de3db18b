"""Cases of the linear algebra that a library computes, on matrices whose condition is small."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import scipy.linalg

from symgraph.op import OPS
from symgraph.ops.elementwise import sqr
from symgraph.ops.expm import expm
from symgraph.ops.factor import cholesky, eigh, qr, svd
from symgraph.ops.inverse import det, inv, pinv, slogdet, solve, solve_triangular
from symgraph.ops.norms import norm
from symgraph.ops.square import matrix_power
from tests.cases import Arrays, Case
from tests.cases.shape import Draw

ULP = 64.0  # of the largest element: backward errors of some units times a condition of some tens


def well(*shape: int, right: tuple[int, ...] | None = None, symmetric: bool = False) -> Draw:
    """A matrix (or stack) with singular values from about 2 to 8, well apart; a right side if its shape is given."""

    def draw(rng: np.random.Generator, dtype: str) -> Arrays:
        m, n = shape[-2:]
        x = rng.uniform(-0.4, 0.4, shape)
        if symmetric:
            x = x + np.swapaxes(x, -1, -2)
        x[..., range(min(m, n)), range(min(m, n))] += 3.0 + 1.5 * rng.permutation(min(m, n))
        return [x.astype(dtype), *([] if right is None else [rng.normal(size=right).astype(dtype)])]

    return draw


def each(f: Any) -> Any:
    """SciPy's function of one matrix in float64, on stacks."""

    def on_stack(x: np.ndarray, *rest: np.ndarray) -> np.ndarray:
        flat = x.reshape(-1, *x.shape[-2:]).astype("float64")
        found = [f(m, *[r.astype("float64") for r in rest]) for m in flat]
        return np.array(found).reshape((*x.shape[:-2], *np.shape(found[0])))

    return on_stack


def case(build: Any, draw: Draw, oracle: Any, differentiable: tuple[int, ...] = (0,)) -> Case:
    """A case judged by the norm of the result."""
    return Case(build, draw, oracle, differentiable, ULP, normwise=True)


def wide(f: Any) -> Any:
    """NumPy's function in float64."""
    return lambda *arrays: f(*[a.astype("float64") for a in arrays])


def triangle(a: np.ndarray, b: np.ndarray, **options: Any) -> np.ndarray:
    return scipy.linalg.solve_triangular(a.astype("float64"), b.astype("float64"), **options)


def cofactors(x: np.ndarray) -> np.ndarray:
    """Each minor with its sign."""
    n = len(x)
    rows = [[np.delete(np.delete(x, i, 0), j, 1) for j in range(n)] for i in range(n)]
    return np.array([[(-1) ** (i + j) * scipy.linalg.det(rows[i][j]) for j in range(n)] for i in range(n)])


def second_cofactors(x: np.ndarray, g: np.ndarray) -> np.ndarray:
    """The slopes of the sum of minors with their signs, times g: minors without two rows and two columns."""
    found, places = np.zeros(x.shape), range(len(x))
    for i, j, k, m in itertools.product(places, repeat=4):
        if i != k and j != m:
            sign = (-1) ** (i + j + k - (k > i) + m - (m > j))
            found[k, m] += sign * g[i, j] * scipy.linalg.det(np.delete(np.delete(x, [i, k], 0), [j, m], 1))
    return found


def singular(rng: np.random.Generator, dtype: str) -> Arrays:
    """A matrix of rank n - 1, exactly: its last row is the sum of two others."""
    x = rng.integers(-4, 5, (4, 4)).astype(dtype) + 5 * np.eye(4, dtype=dtype)
    x[3] = x[0] + x[1]
    return [x]


CASES: dict[str, list[Case]] = {
    "cholesky": [
        case(cholesky, well(4, 4, symmetric=True), each(lambda x: scipy.linalg.cholesky(x, lower=True))),
        case(lambda x: cholesky(x, lower=False), well(2, 3, 3, symmetric=True), each(scipy.linalg.cholesky)),
        case(cholesky, well(0, 0), lambda x: x),
    ],
    "qr": [
        case(lambda x: qr(x)[1], well(4, 4), wide(lambda x: np.linalg.qr(x)[1])),
        case(lambda x: qr(x)[0] @ x, well(3, 3), wide(lambda x: np.linalg.qr(x)[0] @ x)),
        case(lambda x: qr(x)[0], well(2, 5, 3), wide(lambda x: np.linalg.qr(x)[0])),
        case(lambda x: qr(x, "r"), well(3, 5), wide(lambda x: np.linalg.qr(x, "r"))),
        case(lambda x: qr(x, "complete")[0], well(5, 3), wide(lambda x: np.linalg.qr(x, "complete")[0]), ()),
    ],
    "eigh": [
        case(lambda x: eigh(x)[0], well(4, 4, symmetric=True), each(lambda x: scipy.linalg.eigh(x)[0])),
        case(lambda x: sqr(eigh(x)[1]), well(4, 4, symmetric=True), each(lambda x: scipy.linalg.eigh(x)[1] ** 2)),
        case(lambda x: sqr(eigh(x, "U")[1]) @ x, well(2, 3, 3),
             wide(lambda x: np.linalg.eigh(x, "U")[1] ** 2 @ x)),
    ],
    "svd": [
        case(lambda x: svd(x, compute_uv=False), well(4, 4), each(scipy.linalg.svdvals)),
        case(lambda x: sqr(svd(x, False)[0]), well(2, 5, 3), wide(lambda x: np.linalg.svd(x, False)[0] ** 2)),
        case(lambda x: sqr(svd(x, False)[2]), well(3, 5), wide(lambda x: np.linalg.svd(x, False)[2] ** 2)),
        case(lambda x: sqr(svd(x)[0]), well(5, 3), wide(lambda x: np.linalg.svd(x)[0] ** 2), ()),
        case(lambda x: norm(x, "nuc"), well(3, 4), wide(lambda x: np.linalg.norm(x, "nuc"))),
        case(lambda x: norm(x, 2, (0, 2), True), well(3, 2, 4), wide(lambda x: np.linalg.norm(x, 2, (0, 2), True))),
        case(lambda x: norm(x, -2), well(3, 3), wide(lambda x: np.linalg.norm(x, -2))),
    ],
    "solve": [
        case(solve, well(4, 4, right=(4, 3)), wide(np.linalg.solve), (0, 1)),
        case(solve, well(4, 4, right=(4,)), wide(np.linalg.solve), (0, 1)),
        case(solve, well(2, 1, 3, 3, right=(4, 3, 2)), wide(np.linalg.solve), (0, 1)),
        case(solve, well(2, 3, 3, right=(3,)), wide(np.linalg.solve), (0, 1)),
        case(solve, well(0, 0, right=(0, 2)), lambda a, b: b, (0, 1)),
    ],
    "solve_triangular": [
        case(solve_triangular, well(5, 5, right=(5, 2)), triangle, (0, 1)),
        case(lambda a, b: solve_triangular(a, b, trans="T", lower=True), well(4, 4, right=(4,)),
             lambda a, b: triangle(a, b, trans=1, lower=True), (0, 1)),
        case(lambda a, b: solve_triangular(a, b, lower=True, unit_diagonal=True), well(4, 4, right=(4, 2)),
             lambda a, b: triangle(a, b, lower=True, unit_diagonal=True), (0, 1)),
        case(lambda a, b: solve_triangular(a, b, trans=1, unit_diagonal=True), well(3, 3, right=(3, 2)),
             lambda a, b: triangle(a, b, trans=1, unit_diagonal=True), (0, 1)),
        case(solve_triangular, well(2, 3, 3, right=(3, 2)), each(scipy.linalg.solve_triangular), (0, 1)),
        case(lambda a, b: solve_triangular(a, b, lower=True), well(71, 71, right=(71, 2)),
             lambda a, b: triangle(a, b, lower=True), ()),
    ],
    "matrix_inverse": [
        case(inv, well(4, 4), each(scipy.linalg.inv)),
        case(inv, well(2, 3, 3), each(scipy.linalg.inv)),
        case(lambda x: matrix_power(x, -3), well(3, 3), wide(lambda x: np.linalg.matrix_power(x, -3))),
    ],
    "pinv": [
        case(pinv, well(3, 5), each(scipy.linalg.pinv)),
        case(lambda x: pinv(x, rcond=1e-3), well(2, 5, 3), each(scipy.linalg.pinv)),
    ],
    "det": [
        case(det, well(4, 4), each(scipy.linalg.det)),
        case(det, well(2, 3, 3), each(scipy.linalg.det)),
        case(det, singular, lambda x: 0.0 * x.sum()),
    ],
    "slogdet": [
        case(lambda x: slogdet(x)[1], well(4, 4), each(lambda x: np.log(abs(scipy.linalg.det(x))))),
        case(lambda x: slogdet(-x)[0] * x, well(3, 3), lambda x: -x),
    ],
    "cofactors": [
        case(lambda x: OPS["cofactors"](x)[0], well(3, 3), cofactors),
        case(lambda x: OPS["cofactors"](x)[0], singular, cofactors, ()),
    ],
    "second_cofactors": [
        case(lambda x, g: OPS["second_cofactors"](g, x)[0], well(3, 3, right=(3, 3)), second_cofactors, (0, 1)),
        case(lambda x, g: OPS["second_cofactors"](g, x)[0], well(4, 4, right=(4, 4)), second_cofactors, (0, 1)),
    ],
    "expm": [
        case(lambda x: expm(x / 4), well(3, 3), each(lambda x: scipy.linalg.expm(x / 4))),
        case(lambda x: expm(-x / 8), well(2, 3, 3), each(lambda x: scipy.linalg.expm(-x / 8))),
    ],
    "norm": [
        case(lambda x: norm(x, "fro"), well(3, 4), wide(np.linalg.norm)),
        case(norm, well(2, 3, 4), wide(np.linalg.norm)),
        case(lambda x: norm(x, 3, 1), well(3, 4), wide(lambda x: np.linalg.norm(x, 3, 1))),
    ],
    "max": [
        case(lambda x: norm(x, 1), well(3, 4), wide(lambda x: np.linalg.norm(x, 1))),
        case(lambda x: norm(x, np.inf, (-1, 0)), well(3, 2, 4), wide(lambda x: np.linalg.norm(x, np.inf, (-1, 0)))),
    ],
}  # fmt: skip


# ------------------------------------------------------------------------------------------------ complex


def turned(*shape: int, right: tuple[int, ...] | None = None, hermitian: bool = False) -> Draw:
    """Both parts of complex matrices near those of ``well``, and of a right side if its shape is given."""

    def draw(rng: np.random.Generator, dtype: str) -> Arrays:
        (re,) = well(*shape, symmetric=hermitian)(rng, dtype)
        im = rng.uniform(-0.3, 0.3, shape)
        im = (im - np.swapaxes(im, -1, -2)) / 2 if hermitian else im
        sides = [] if right is None else list(rng.normal(size=(2, *right)).astype(dtype))
        return [re, im.astype(dtype), *sides]

    return draw


def on_parts(
    name: str, f: Any, draw: Draw, differentiable: tuple[int, ...] = (0, 1), slots: int = 2,
    order: tuple[int, ...] = (0, 1, 2, 3), **attrs: Any,
) -> list[Case]:  # fmt: skip
    """Cases of each output of the op that computes ``name`` of complex matrices from parts, taken in ``order``."""

    def build(slot: int, parts: Any) -> Any:
        return OPS[f"complex_{name}"](*[parts[k] for k in order[: len(parts)]], **attrs)[slot]

    def of(slot: int) -> Case:
        def oracle(*parts: np.ndarray) -> Any:
            found = f(*[re + 1j * im for re, im in zip(parts[::2], parts[1::2], strict=True)])
            whole = found if isinstance(found, tuple) else (found,)
            flat = [part for a in whole for part in ((a.real, a.imag) if np.iscomplexobj(a) else (a,))]
            return np.asarray(flat[slot])

        return case(lambda *parts: build(slot, parts), draw, wide(oracle), differentiable)

    return [of(slot) for slot in range(slots)]


def _conjugate_cofactors(x: np.ndarray) -> np.ndarray:
    return np.conj(np.linalg.det(x) * np.swapaxes(np.linalg.inv(x), -1, -2))


def _conjugate_second(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    p = np.linalg.inv(x).T
    return np.conj(np.linalg.det(x) * ((g * p).sum() * p - p @ g.T @ p))


CASES |= {
    "complex_second_cofactors": on_parts(
        "second_cofactors", lambda x, g: _conjugate_second(g, x), turned(3, 3, right=(3, 3)), (0, 1, 2, 3),
        order=(2, 3, 0, 1),
    ),
    "complex_solve": on_parts("solve", np.linalg.solve, turned(2, 3, 3, right=(2, 3, 2)), (0, 1, 2, 3)),
    "complex_solve_triangular": on_parts(
        "solve_triangular", lambda a, b: scipy.linalg.solve_triangular(a, b, lower=True), turned(4, 4, right=(4, 2)),
        (0, 1, 2, 3), lower=True, unit=False,
    ),
    "complex_matrix_inverse": on_parts("matrix_inverse", np.linalg.inv, turned(2, 3, 3)),
    "complex_pinv": on_parts("pinv", np.linalg.pinv, turned(4, 3), rcond=None),
    "complex_det": on_parts("det", np.linalg.det, turned(2, 3, 3)),
    "complex_slogdet": on_parts("slogdet", lambda x: tuple(np.linalg.slogdet(x)), turned(3, 3), slots=3),
    "complex_cofactors": on_parts("cofactors", _conjugate_cofactors, turned(3, 3)),
    "complex_cholesky": on_parts("cholesky", np.linalg.cholesky, turned(2, 3, 3, hermitian=True)),
    "complex_eigh": on_parts(
        "eigh", lambda x: tuple(np.linalg.eigh(x)), turned(4, 4, hermitian=True), slots=1, lower=True
    ),
    "complex_qr": on_parts("qr", lambda x: tuple(np.linalg.qr(x)), turned(4, 3), slots=4, complete=False),
    "complex_expm": on_parts("expm", scipy.linalg.expm, turned(2, 3, 3)),
    "complex_svd": [
        case(lambda re, im: OPS["complex_svd"](re, im, full=False)[2], turned(4, 3),
             wide(lambda re, im: np.linalg.svd(re + 1j * im, False)[1]), ())
    ],
}  # fmt: skip

"""Calls of every op that takes complex operands, with what NumPy gives for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg

import symgraph as sg
from symgraph.custom import shaped_like
from symgraph.graph import Variable
from symgraph.op import OPS
from symgraph.ops.broadcast import broadcast_like, sum_to
from symgraph.types import complex_of

Draw = Callable[[np.random.Generator, str], list[np.ndarray]]
SHAPES: list[tuple[int, ...]] = [(), (0,), (1,), (7,), (2, 3), (5, 1, 2)]
PAIRS: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((7,), (7,)), ((3, 1), (1, 4)), ((), (5,)), ((2, 3), (3,)), ((0,), (1,)), ((), ()),
]  # fmt: skip


@dataclass(frozen=True)
class Call:
    """One call of an op.

    Attributes
    ----------
    build : callable
        Symbolic inputs -> output.
    oracle : callable
        Arrays -> the output by NumPy, in complex128.
    draw : callable
        (random generator, complex dtype) -> arrays; real ones stay real.
    ulp : float
        Units in the last place of the magnitude of the result (or of ``scale``) that each element may be off.
    scale : callable, optional
        Arrays -> the magnitude that sums of products are rounded by.
    smooth : bool
        Whether the gradient is checked.
    """

    build: Callable[..., Variable]
    oracle: Callable[..., Any]
    draw: Draw
    ulp: float = 8.0
    scale: Callable[..., Any] | None = None
    smooth: bool = True


def numbers(rng: np.random.Generator, shape: Sequence[int], dtype: str, reach: float = 3.0) -> np.ndarray:
    """Complex numbers with parts up to ``reach``, none of them near an axis."""
    parts = rng.uniform(0.2, reach, (2, *shape)) * rng.choice([-1, 1], (2, *shape))
    return np.asarray(parts[0] + 1j * parts[1]).astype(dtype)


def one(reach: float = 3.0) -> Draw:
    """An array of a drawn shape."""
    return lambda rng, dtype: [numbers(rng, SHAPES[rng.integers(len(SHAPES))], dtype, reach)]


def two(rng: np.random.Generator, dtype: str) -> list[np.ndarray]:
    """Two arrays that broadcast."""
    return [numbers(rng, shape, dtype) for shape in PAIRS[rng.integers(len(PAIRS))]]


def fixed(*shapes: tuple[int, ...]) -> Draw:
    """Arrays of these shapes."""
    return lambda rng, dtype: [numbers(rng, shape, dtype) for shape in shapes]


def with_real(rng: np.random.Generator, dtype: str) -> list[np.ndarray]:
    """A complex and a real array of one precision."""
    z, x = two(rng, dtype)
    return [z, x.real.copy()]


def magnitudes(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f`` of the magnitudes: what sums of products are rounded by."""
    return lambda *arrays: f(*[np.abs(a) for a in arrays])


def function(name: str, ulp: float = 8.0, reach: float = 3.0) -> list[Call]:
    """A function of one number that NumPy calls the same."""
    return [Call(getattr(sg, name), getattr(np, name), one(reach), ulp)]


def linear(build: Callable[..., Any], oracle: Callable[..., Any], *shapes: tuple[int, ...]) -> list[Call]:
    """Something that moves or sums elements."""
    return [Call(build, oracle, fixed(*shapes), 16.0, magnitudes(oracle))]


def _set(z: np.ndarray, y: np.ndarray, *, inc: bool) -> np.ndarray:
    z = z.copy()
    z[1:3] = z[1:3] + y if inc else y
    return z


def _put(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    z = z.copy()
    np.add.at(z, [3, 0, 3], y)
    return z


def _cast_to_complex(x: Variable) -> Variable:
    return x.astype(complex_of(x.dtype))


def _wide_mask(z: Any) -> Any:
    return z.real > 0


def _recurrence(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    s = b.copy()
    for k in range(1, len(s)):
        s[k] += a[k] * s[k - 1]
    return s


def _second_cofactors(z: np.ndarray, g: np.ndarray) -> np.ndarray:
    """The conjugate slopes of sum(g * cofactors): their cofactors are those of the determinant, det*inv.T."""
    p = np.linalg.inv(z).T
    return np.conj(np.linalg.det(z) * ((g * p).sum() * p - p @ g.T @ p))


def _hermitian(z: Any, xp: Any) -> Any:
    """A Hermitian positive definite matrix of any matrix."""
    return z @ xp.conj(z.T) + 3 * xp.eye(3)


ELEMENTWISE: dict[str, list[Call]] = {
    "add": [Call(sg.add, np.add, two), Call(sg.add, np.add, with_real),
    Call(lambda z: z + 1j, lambda z: z + 1j, one())],
    "sub": [Call(sg.sub, np.subtract, two)],
    "mul": [
        Call(sg.mul, np.multiply, two), Call(sg.mul, np.multiply, with_real),
        Call(lambda z: (2 - 1j) * z, lambda z: (2 - 1j) * z, one()),
    ],
    "true_div": [
        Call(sg.true_div, np.divide, two), Call(sg.true_div, np.divide, with_real),
        Call(lambda z: 1 / z, lambda z: 1 / z, one()),
    ],
    "neg": [Call(sg.neg, np.negative, one())],
    "inv": [Call(sg.inv, np.reciprocal, one())],
    "sqr": [Call(sg.sqr, np.square, one())],
    "identity": [Call(sg.identity, np.positive, one())],
    "pow": [
        Call(lambda z: z**3, lambda z: z**3, one(), 16.0), Call(lambda z: z**-2, lambda z: z**-2, one(), 16.0),
        Call(lambda z: z**0, lambda z: z**0, one()),
        Call(lambda z: z**0.5, lambda z: z**0.5, one(), 16.0), Call(sg.pow, np.power, two, 256.0),
        Call(lambda z: 2.0**z, lambda z: 2.0**z, one(), 32.0),
    ],
    "absolute": [], "abs": [Call(abs, np.abs, one())],
    "sgn": [Call(sg.sgn, np.sign, one())],
    "eq": [Call(lambda z, w: sg.eq(z, w), np.equal, two), Call(lambda z: sg.eq(z, z), lambda z: z == z, one())],
    "neq": [Call(sg.neq, np.not_equal, two)],
    "isnan": [Call(sg.isnan, np.isnan, one())],
    "isinf": [Call(sg.isinf, np.isinf, one())],
    "isclose": [
        Call(lambda z: sg.isclose(z, z * (1 + 1e-6j)), lambda z: np.isclose(z, z * (1 + 1e-6j)), one()),
        Call(sg.isclose, np.isclose, two),
    ],
    "switch": [Call(lambda z, w: sg.switch(_wide_mask(z), z, w), lambda z, w: np.where(_wide_mask(z), z, w), two)],
    "cast": [
        Call(_cast_to_complex, lambda x: x + 0j, lambda rng, d: [numbers(rng, (4,), d).real.copy()]),
        Call(lambda z: z.astype("complex64"), lambda z: z.astype("complex64"), one()),
        Call(lambda z: z.astype("bool"), lambda z: z != 0, one()),
    ],
    "real": [Call(lambda z: z.real, np.real, one())],
    "imag": [Call(lambda z: z.imag, np.imag, one())],
    "conj": [Call(lambda z: z.conj(), np.conj, one())],
    "angle": [Call(sg.angle, np.angle, one())],
    "complex": [
        Call(sg.complex, lambda x, y: x + 1j * y, lambda rng, d: [z.real.copy() for z in two(rng, d)]),
    ],
    "zero_grad": [Call(sg.zero_grad, lambda z: z, one(), smooth=False)],
    "disconnected_grad": [Call(sg.disconnected_grad, lambda z: z, one(), smooth=False)],
    "exp": function("exp"), "exp2": function("exp2", 16.0), "expm1": function("expm1"),
    "log": function("log"), "log2": function("log2"), "log10": function("log10"), "log1p": function("log1p"),
    "sqrt": function("sqrt"), "sin": function("sin"), "cos": function("cos"), "tan": function("tan", 32.0),
    "sinh": function("sinh"), "cosh": function("cosh"), "tanh": function("tanh", 32.0),
    "arcsin": function("arcsin", 32.0), "arccos": function("arccos", 32.0), "arctan": function("arctan", 32.0),
    "arcsinh": function("arcsinh", 32.0), "arccosh": function("arccosh", 32.0), "arctanh": function("arctanh", 32.0),
}  # fmt: skip
del ELEMENTWISE["absolute"]

STRUCTURE: dict[str, list[Call]] = {
    "dimshuffle": linear(lambda z: z.T[:, None], lambda z: z.T[:, None], (2, 3)),
    "reshape": linear(lambda z: z.reshape((3, 4)), lambda z: z.reshape(3, 4), (2, 6)),
    "broadcast_to": linear(lambda z: sg.broadcast_to(z, (4, 3)), lambda z: np.broadcast_to(z, (4, 3)), (3,)),
    "broadcast_like": linear(broadcast_like, lambda z, w: np.broadcast_to(z, w.shape), (3,), (4, 3)),
    "sum_to": linear(sum_to, lambda z, w: z.sum(0), (4, 3), (3,)),
    "specify_shape": linear(lambda z: sg.specify_shape(z, (2, None)), lambda z: z, (2, 3)),
    "shape_of": [Call(lambda z: z.shape[0] * sg.ones(()), lambda z: 1.0 * z.shape[0], fixed((4, 2)), smooth=False)],
    "concatenate": linear(lambda z, w: sg.concatenate([z, w], 1), lambda z, w: np.concatenate([z, w], 1), (2, 3),
    (2, 1)),
    "roll": linear(lambda z: sg.roll(z, 2, 0), lambda z: np.roll(z, 2, 0), (5, 2)),
    "reverse": linear(lambda z: OPS["reverse"](z, axis=0), lambda z: z[::-1], (5, 2)),
    "slice": linear(lambda z: z[1:5:2], lambda z: z[1:5:2], (7, 2)),
    "set_slice": [
        *linear(lambda z, w: sg.set_subtensor(z[1:3], w), lambda z, w: _set(z, w, inc=False), (5, 2), (2,)),
        *linear(lambda z, w: sg.inc_subtensor(z[1:3], w), lambda z, w: _set(z, w, inc=True), (5, 2), (2, 2)),
    ],
    "gather": linear(lambda z: z[np.array([3, 0, 3])], lambda z: z[np.array([3, 0, 3])], (5, 2)),
    "put": linear(lambda z, w: sg.inc_subtensor(z[np.array([3, 0, 3])], w), _put, (5, 2), (3, 2)),
    "selected": linear(lambda z: z[_wide_mask(z)].sum(), lambda z: z[_wide_mask(z)].sum(), (9,)),
    "spread": linear(
        lambda z, w: sg.set_subtensor(z[np.array([True, False, True]) & (z.real < 9)], w),
        lambda z, w: np.array([w[0], z[1], w[1]]), (3,), (2,),
    ),
    "collect": [Call(
        lambda z, w: OPS["collect"](z, w, np.array([0, 1, 1, 0]) + sg.zeros_like(w.real, "int64"), axis=0),
        lambda z, w: z + [w[0] + w[3], w[1] + w[2]], fixed((2,), (4,)), 16.0, magnitudes(lambda z, w: z + w.sum()),
    )],
    "diagonal": linear(lambda z: z.diagonal(1), lambda z: z.diagonal(1), (3, 4)),
    "set_diagonal": linear(sg.diag, np.diag, (3,)),
    "pad": [Call(
        lambda z: sg.pad(z, 1, constant_values=2j), lambda z: np.pad(z, 1, constant_values=2j), fixed((3, 2))
    )],
    "sum": [
        *linear(lambda z: z.sum(1), lambda z: z.sum(1), (4, 5)),
        *linear(lambda z: z.mean(0), lambda z: z.mean(0), (4, 5)),
        *linear(lambda z: z.sum(), lambda z: z.sum(), (300,)),
    ],
    "cumsum": linear(lambda z: sg.cumsum(z, 1), lambda z: np.cumsum(z, 1), (4, 5)),
    "cumprod": [
        Call(lambda z: sg.cumprod(z / 2, 1), lambda z: np.cumprod(z / 2, 1), fixed((4, 5)), 32.0),
        Call(lambda z: sg.cumprod(z), lambda z: np.cumprod(z), fixed((7,)), 32.0),
        Call(lambda z: sg.cumprod(z * np.array([1, 0, 1, 1]), 0), lambda z: np.cumprod(z * np.array([1, 0, 1, 1]), 0),
             fixed((4,)), 32.0),
    ],
    "prod": [
        Call(lambda z: z.prod(1), lambda z: z.prod(1), fixed((4, 5)), 32.0),
        Call(lambda z: z.prod(), lambda z: z.prod(), fixed((2, 3)), 32.0),
        Call(lambda z: z.prod((0, 2), keepdims=True), lambda z: z.prod((0, 2), keepdims=True), fixed((2, 3, 2)), 32.0),
        Call(lambda z: z.prod(0), lambda z: z.prod(0), fixed((0, 3)), 32.0),
        Call(lambda z: (z * np.array([1, 0, 1, 0])).prod(), lambda z: (z * np.array([1, 0, 1, 0])).prod(), fixed((4,))),
    ],
    "recurrence": [Call(lambda a, b: OPS["recurrence"](a, b, axis=0), _recurrence, fixed((6,), (6,)), 64.0)],
    "shift": linear(lambda z: OPS["shift"](z, axis=0, fill=1.0), lambda z: np.concatenate([[1], z[:-1]]), (4,)),
    "any": [Call(lambda z: (z * np.array([0, 1])).any(0), lambda z: (z * np.array([0, 1])).any(0), fixed((3, 2)))],
    "all": [Call(lambda z: (z * np.array([0, 1])).all(0), lambda z: (z * np.array([0, 1])).all(0), fixed((3, 2)))],
    "bincount": linear(
        lambda z: sg.bincount(np.array([1, 0, 1, 3]), z, minlength=4),
        lambda z: np.array([z[1], z[0] + z[2], 0 * z[0], z[3]]), (4,),
    ),
    "read_bins": linear(lambda z: OPS["read_bins"](z, sg.constant(np.array([1, 0, 1]))), lambda z: z[[1, 0, 1]], (3,)),
    "print": linear(lambda z: OPS["print"](z, message=""), lambda z: z, (3,)),
    "gradient_of": linear(lambda z, w: shaped_like(z, w, "a test", "w"), lambda z, w: z, (3,), (3,)),
}  # fmt: skip

PRODUCTS: dict[str, list[Call]] = {
    "dot": [
        *linear(sg.dot, np.dot, (4, 5), (5, 3)), *linear(sg.dot, np.dot, (5,), (5, 3)),
        *linear(lambda z: z @ z.T, lambda z: z @ z.T, (4, 5)),
        Call(lambda z, x: z @ x.real, lambda z, x: z @ x.real, fixed((4, 5), (5, 2)), 16.0, magnitudes(np.matmul)),
        *linear(lambda z, w: sg.tensordot(z, w, 2), lambda z, w: np.tensordot(z, w, 2), (2, 3, 4), (3, 4, 2)),
        *linear(lambda z, w: sg.einsum("ij,kj->ki", z, w), lambda z, w: np.einsum("ij,kj->ki", z, w), (2, 3), (4, 3)),
        *linear(sg.outer, np.outer, (3,), (4,)), *linear(sg.kron, np.kron, (2, 2), (3, 1)),
        *linear(lambda z: z.trace(), lambda z: z.trace(), (4, 4)),
    ],
    "batched_dot": linear(sg.matmul, np.matmul, (2, 4, 5), (2, 5, 3)),
}  # fmt: skip

MATRICES: dict[str, list[Call]] = {
    "solve": [Call(sg.linalg.solve, np.linalg.solve, fixed((3, 3), (3, 2)), 4096.0)],
    "solve_triangular": [
        Call(lambda z, w: sg.linalg.solve_triangular(z, w, lower=True), lambda z, w: np.linalg.solve(np.tril(z), w),
             fixed((3, 3), (3, 2)), 4096.0),
        Call(lambda z, w: sg.linalg.solve_triangular(z, w, trans="C"),
             lambda z, w: np.linalg.solve(np.triu(z).conj().T, w), fixed((3, 3), (3, 2)), 4096.0),
    ],
    "qr": [
        Call(lambda z: sg.linalg.qr(z)[0], lambda z: np.linalg.qr(z)[0], fixed((3, 3)), 4096.0,
        lambda z: np.array(1.0)),
        Call(lambda z: sg.linalg.qr(z, "r"), lambda z: np.linalg.qr(z, "r"), fixed((4, 3)), 512.0,
             lambda z: np.array(10.0)),
        Call(lambda z: sg.linalg.qr(z)[0] @ z, lambda z: np.linalg.qr(z)[0] @ z, fixed((2, 3)), 4096.0,
             lambda z: np.array(10.0)),
    ],
    "expm": [
        Call(lambda z: sg.linalg.expm(z / 4), lambda z: scipy.linalg.expm(z / 4), fixed((3, 3)), 4096.0,
             lambda z: np.array(3.0)),
    ],
    "matrix_inverse": [
        Call(sg.linalg.inv, np.linalg.inv, fixed((3, 3)), 4096.0),
        Call(lambda z: sg.linalg.matrix_power(z, -2), lambda z: np.linalg.matrix_power(z, -2), fixed((2, 2)), 65536.0),
    ],
    "pinv": [Call(sg.linalg.pinv, np.linalg.pinv, fixed((4, 2)), 4096.0)],
    "det": [Call(sg.linalg.det, np.linalg.det, fixed((2, 3, 3)), 512.0, lambda z: np.array(30.0))],
    "slogdet": [
        Call(lambda z: sg.linalg.slogdet(z)[0], lambda z: np.linalg.slogdet(z)[0], fixed((3, 3)), 512.0),
        Call(lambda z: sg.linalg.slogdet(z)[1], lambda z: np.linalg.slogdet(z)[1], fixed((3, 3)), 512.0),
    ],
    "cofactors": [
        Call(lambda z: OPS["cofactors"](z)[0], lambda z: np.conj(np.linalg.det(z) * np.linalg.inv(z).T), fixed((3, 3)),
             4096.0),
    ],
    "second_cofactors": [
        Call(lambda z, g: OPS["second_cofactors"](g, z)[0], _second_cofactors, fixed((3, 3), (3, 3)), 4096.0),
    ],
    "cholesky": [
        Call(lambda z: sg.linalg.cholesky(_hermitian(z, sg)), lambda z: np.linalg.cholesky(_hermitian(z, np)),
             fixed((3, 3)), 512.0),
    ],
    "eigh": [
        Call(lambda z: sg.linalg.eigh(_hermitian(z, sg))[0], lambda z: np.linalg.eigh(_hermitian(z, np))[0],
             fixed((3, 3)), 512.0, lambda z: np.array(30.0)),
        Call(lambda z: abs(sg.linalg.eigh(_hermitian(z, sg))[1]), lambda z: abs(np.linalg.eigh(_hermitian(z, np))[1]),
             fixed((3, 3)), 4096.0, lambda z: np.array(1.0)),
    ],
    "svd": [
        Call(lambda z: sg.linalg.svd(z, compute_uv=False), lambda z: np.linalg.svd(z, compute_uv=False),
             fixed((4, 3)), 512.0, lambda z: np.array(10.0)),
        Call(lambda z: sg.linalg.norm(z, "nuc"), lambda z: np.linalg.norm(z, "nuc"), fixed((4, 3)), 512.0),
    ],
}  # fmt: skip

COMPOSED: dict[str, list[Call]] = {
    "moments": [
        Call(lambda z: sg.var(z, 0), lambda z: np.var(z, 0), fixed((5, 3)), 32.0),
        Call(lambda z: sg.std(z, 0), lambda z: np.std(z, 0), fixed((5, 3)), 32.0),
        Call(lambda z: sg.norm(z, axis=0), lambda z: np.linalg.norm(z, axis=0), fixed((5, 3)), 32.0),
        Call(lambda z: sg.norm(z, 1, axis=0), lambda z: np.linalg.norm(z, 1, axis=0), fixed((5, 3)), 32.0),
        Call(lambda z: sg.norm(z, np.inf, axis=0), lambda z: np.linalg.norm(z, np.inf, axis=0), fixed((5, 3)), 32.0),
    ],
    "pieces": [
        Call(lambda z: sg.tril(z), np.tril, fixed((4, 4))),
        Call(lambda z: sg.tile(z, 2), lambda z: np.tile(z, 2), one()),
        Call(lambda z: sg.stack([z, 2 * z]), lambda z: np.stack([z, 2 * z]), one()),
        Call(lambda z: sg.take(z, np.array([1, 0])), lambda z: np.take(z, [1, 0]), fixed((4, 2))),
        Call(lambda z: sg.zeros_like(z) + sg.ones(3, "complex64"), lambda z: np.ones(z.shape), fixed((3,)),
        smooth=False),
        Call(lambda z: sg.linspace(0, 1j, 5) * z.sum(), lambda z: np.linspace(0, 1j, 5) * z.sum(), fixed((3,)), 64.0),
    ],
}  # fmt: skip

CALLS = {**ELEMENTWISE, **STRUCTURE, **PRODUCTS, **MATRICES, **COMPOSED}

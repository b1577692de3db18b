"""Gradients by complex variables: dC/dRe + i dC/dIm."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import symgraph as sg

A = np.array([1.0 + 2.0j, -0.5 + 0.3j, 2.0 - 1.5j])


def value(y, z, a=A):
    return sg.function([z], y, on_unused_input="ignore")(a)


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        (lambda z: z.real.sum(), lambda a: np.ones_like(a)),
        (lambda z: z.imag.sum(), lambda a: 1j * np.ones_like(a)),
        (lambda z: abs(z).sum(), lambda a: a / np.abs(a)),
        (lambda z: (abs(z) ** 2).sum(), lambda a: 2 * a),
        (lambda z: (z * z.conj()).real.sum(), lambda a: 2 * a),
        (lambda z: sg.angle(z).sum(), lambda a: 1j * a / np.abs(a) ** 2),
        (lambda z: sg.exp(z).real.sum(), lambda a: np.conj(np.exp(a))),
        (lambda z: sg.log(z).imag.sum(), lambda a: 1j * np.conj(1 / a)),
        (lambda z: sg.sqrt(z).real.sum(), lambda a: np.conj(0.5 / np.sqrt(a))),
        (lambda z: (z**3).real.sum(), lambda a: np.conj(3 * a**2)),
        (lambda z: (1 / z).imag.sum(), lambda a: 1j * np.conj(-1 / a**2)),
        (lambda z: sg.tanh(z).real.sum(), lambda a: np.conj(1 - np.tanh(a) ** 2)),
    ],
)
def test_a_gradient_is_the_formula(cost, expected):
    z = sg.zvector("z")
    g = sg.grad(cost(z), z)
    assert g.type == z.type
    assert np.allclose(value(g, z), expected(A), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_a_gradient_has_the_type_of_its_variable(dtype):
    z, x = sg.tensor("z", dtype, (3,)), sg.fvector("x")
    by_z, by_x = sg.grad(abs(z * x).sum(), [z, x])
    assert by_z.dtype == dtype and by_x.dtype == "float32"


def test_a_holomorphic_function_passes_on_its_conjugate_slope():
    z, g = sg.zvector("z"), sg.zvector("g")
    weight = np.array([1 - 1j, 2 + 0.5j, 0.3j])
    found = sg.function([z, g], sg.vjp(sg.sin(z), z, g))(A, weight)
    assert np.allclose(found, np.conj(np.cos(A)) * weight)
    pushed = sg.function([z, g], sg.jvp(sg.sin(z), z, g))(A, weight)
    assert np.allclose(pushed, np.cos(A) * weight)


def test_intermediate_variables_and_real_ones_beside_complex_ones():
    x = sg.dvector("x")
    z = sg.complex(sg.cos(x), sg.sin(x))
    w = 3 * z
    cost = (abs(w - 1) ** 2).sum()
    by_w, by_x = sg.grad(cost, w), sg.grad(cost, x)
    a = np.array([0.3, -1.2])
    g, slope = sg.function([x], [by_w, by_x])(a)
    assert np.allclose(g, 2 * (3 * np.exp(1j * a) - 1)) and np.allclose(slope, 6 * np.sin(a))


def test_second_gradients_are_those_of_the_gradient():
    z = sg.zvector("z")
    first = sg.grad((abs(sg.exp(z)) ** 2).sum(), z)
    v = np.array([0.5 - 1j, 1j, 2.0])
    found = value(sg.hessian_vector_product((abs(sg.exp(z)) ** 2).sum(), z, sg.constant(v)), z)
    step = 1e-6
    expected = (value(first, z, A + step * v) - value(first, z, A - step * v)) / (2 * step)
    assert np.allclose(found, expected, rtol=1e-6)


def test_a_jacobian_by_a_complex_variable():
    z = sg.zvector("z")
    found = value(sg.jacobian(abs(z) ** 2, z), z)
    assert np.allclose(found, np.diag(2 * A))


def test_what_the_cost_does_not_depend_on():
    z, w = sg.zvector("z"), sg.zvector("w")
    with pytest.raises(sg.GradientError, match="does not depend on w"):
        sg.grad(z.real.sum(), w)
    with pytest.raises(sg.GradientError, match="does not depend on z"):
        sg.grad(sg.disconnected_grad(z).real.sum(), z)
    constant = sg.grad((z * sg.disconnected_grad(z)).real.sum(), z)
    assert np.allclose(value(constant, z), np.conj(A))


def test_consider_constant_and_known_grads():
    z = sg.zvector("z")
    w = z * z
    assert np.allclose(value(sg.grad((w * z).real.sum(), z, consider_constant=[w]), z), np.conj(A**2))
    known = sg.grad(None, z, known_grads={w: sg.constant(np.full(3, 1j))})
    assert np.allclose(value(known, z), np.conj(2 * A) * 1j)


@pytest.mark.parametrize("method", ["inv", "det", "cholesky", "solve"])
def test_verify_grad_moves_both_parts(method):
    rng = np.random.default_rng(0)
    m = rng.normal(size=(3, 3)) + 1j * rng.normal(size=(3, 3)) + 3 * np.eye(3)
    build = {
        "inv": sg.linalg.inv, "det": sg.linalg.det, "solve": lambda z: sg.linalg.solve(z, z.T[:, :1]),
        "cholesky": lambda z: sg.linalg.cholesky(z @ z.T.conj()),
    }[method]  # fmt: skip
    sg.verify_grad(build, [m])


def test_verify_grad_finds_a_wrong_gradient():
    with pytest.raises(sg.GradientError, match="by input 0"):
        sg.verify_grad(lambda z: sg.disconnected_grad(z) * z, [A])


RULES = ["sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam"]


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_every_update_rule_lowers_a_cost_of_complex_parameters(name, dtype):
    w = sg.shared(np.array([1 + 1j, -2j], dtype), name="w")
    target = np.array([0.5 - 0.5j, 1.0], dtype)
    cost = (abs(w - target) ** 2).sum()
    step = sg.function([], cost, updates=getattr(sg.optim, name)(cost, [w], lr=sg.shared(0.01)))
    costs = [float(step()) for _ in range(6)]
    assert all(b < a for a, b in itertools.pairwise(costs)) and w.get_value().dtype == dtype


@pytest.mark.parametrize("name", RULES)
def test_steps_turn_with_the_plane(name):
    """A cost that is the same after a turn has a descent that is: what a step divides by must be a magnitude."""
    turn = np.exp(0.7j)
    start, target = np.array([1 + 1j, -2j]), np.array([0.5 - 0.5j, 1.0])
    found = []
    for by in (1, turn):
        w = sg.shared(by * start)
        cost = (abs(w - by * target) ** 2).sum()
        step = sg.function([], [], updates=getattr(sg.optim, name)(cost, [w], lr=0.05))
        for _ in range(5):
            step()
        found.append(w.get_value() / by)
    assert np.allclose(*found, rtol=1e-12)

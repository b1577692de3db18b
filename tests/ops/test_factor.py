"""What a library computes of matrices: identities of factors, errors with the user's line, programs that call it."""

import numpy as np
import pytest

import symgraph as sg
from codegen.program import Hosted

SQUARE = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, -0.25], [0.5, -0.25, 2.0]])
SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])


def compiled(build, *arrays):
    inputs = [sg.tensor(dtype=a.dtype, shape=(None,) * a.ndim) for a in arrays]
    return sg.function(inputs, build(*inputs))(*arrays)


@pytest.mark.parametrize("shape", [(3, 3), (2, 4, 3), (3, 5), (0, 0), (2, 0, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_factors_give_the_matrix_back(shape, dtype):
    a = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    q, r, u, s, vh = compiled(lambda x: [*sg.linalg.qr(x), *sg.linalg.svd(x, full_matrices=False)], a)
    assert {v.dtype.name for v in (q, r, u, s, vh)} == {dtype}
    unit, tolerance = np.eye(q.shape[-1]), 1e-5 if dtype == "float32" else 1e-13  # some units in the last place
    products = [q @ r - a, u * s[..., None, :] @ vh - a]
    for found in (q.swapaxes(-1, -2) @ q - unit, u.swapaxes(-1, -2) @ u - unit, *products):
        assert np.abs(found).max(initial=0) < tolerance


def test_eigenvectors_and_cholesky_give_the_matrix_back():
    w, v, lower, upper = compiled(
        lambda x: [*sg.linalg.eigh(x), sg.linalg.cholesky(x), sg.linalg.cholesky(x, lower=False)], SQUARE
    )
    for found in (v * w @ v.T, lower @ lower.T, upper.T @ upper):
        np.testing.assert_allclose(found, SQUARE, 1e-13)  # some units in the last place
    assert not np.triu(lower, 1).any() and not np.tril(upper, -1).any()


@pytest.mark.parametrize("name", ["cholesky", "inv", "det", "pinv", "expm"])
def test_integers_become_floats_and_half_precision_stays(name):
    f = getattr(sg.linalg, name)
    assert f(sg.imatrix()).dtype == "float64" and f(sg.matrix(dtype="float16")).dtype == "float16"
    half = compiled(f, SQUARE.astype("float16"))
    np.testing.assert_allclose(half, compiled(f, SQUARE), rtol=2e-3)  # half precision has three digits


@pytest.mark.parametrize(
    "build",
    [sg.linalg.inv, sg.linalg.det, sg.linalg.slogdet, sg.linalg.eigh, sg.linalg.cholesky, sg.linalg.expm,
     lambda x: sg.linalg.solve(x, sg.vector()), lambda x: sg.linalg.solve_triangular(x, sg.vector())],
)  # fmt: skip
def test_matrices_must_be_square(build):
    for x in (sg.tensor("x", shape=(2, 3)), sg.vector("x")):
        with pytest.raises(sg.ShapeError, match="no square matrices") as found:
            build(x)
        assert "test_factor.py" in str(found.value)


def test_arguments_that_there_are_not():
    x, b = sg.tensor("x", shape=(3, 3)), sg.tensor("b", shape=(2, 2))
    with pytest.raises(sg.ShapeError, match="the matrix has 3 rows, the right side 2"):
        sg.linalg.solve(x, b)
    with pytest.raises(sg.ShapeError, match="leading axes"):
        sg.linalg.solve(sg.tensor(shape=(4, 3, 3)), sg.tensor(shape=(5, 3, 2)))
    for wrong in (lambda: sg.linalg.qr(x, "full"), lambda: sg.linalg.eigh(x, "X"),
                  lambda: sg.linalg.solve_triangular(x, x, trans=3), lambda: sg.linalg.norm(x, "max"),
                  lambda: sg.linalg.norm(sg.tensor3(), 2)):  # fmt: skip
        with pytest.raises(ValueError, match=r"must be|there is no norm"):
            wrong()


@pytest.mark.parametrize("backend", ["llvm", "numpy"])
@pytest.mark.parametrize(
    ("build", "message"),
    [(sg.linalg.inv, "Singular matrix"), (lambda x: sg.linalg.solve(x, sg.constant([1.0, 2.0])), "Singular matrix"),
     (lambda x: sg.linalg.cholesky(-x), "not positive definite"),
     (lambda x: sg.linalg.solve_triangular(x * 0, sg.constant([1.0, 2.0])), "Singular matrix")],
)  # fmt: skip
def test_what_a_library_refuses_is_told_with_the_users_line(backend, build, message):
    x = sg.matrix("x")
    f = sg.function([x], build(x), backend=backend)
    for _ in range(2):  # by way of Python, then of the native call
        with pytest.raises(np.linalg.LinAlgError, match=message) as found:
            f(SINGULAR)
        assert isinstance(found.value, sg.LinAlgError) and "test_factor.py" in str(found.value)


def test_a_call_that_fails_updates_nothing():
    x, w = sg.matrix("x"), sg.shared(np.ones((2, 2)), name="w")
    step = sg.function([x], sg.linalg.inv(x), updates=[(w, w + x)])
    for _ in range(2):
        with pytest.raises(np.linalg.LinAlgError):
            step(SINGULAR)
        assert (w.get_value() == 1).all()
    np.testing.assert_allclose(step(2 * np.eye(2)), np.eye(2) / 2)
    assert (w.get_value() == [[3, 1], [1, 3]]).all()


def test_a_shared_matrix_is_updated_by_what_was_computed_from_it():
    w = sg.shared(SQUARE, name="w")
    sg.function([], [], updates=[(w, w - sg.linalg.inv(w))])()
    np.testing.assert_allclose(w.get_value(), SQUARE - np.linalg.inv(SQUARE), 1e-13)


def test_programs_with_calls_are_kept_on_the_disk(tmp_path):
    with sg.using(cache=str(tmp_path)):
        for _ in range(2):
            x = sg.matrix("x")
            f = sg.function([x], [*sg.linalg.svd(x, full_matrices=False), sg.linalg.solve(x, x)])
            np.testing.assert_allclose(f(SQUARE)[1], np.linalg.svd(SQUARE)[1], 1e-13)
            with pytest.raises(np.linalg.LinAlgError, match="Singular matrix") as found:
                f(SINGULAR)
            assert "test_factor.py" in str(found.value)
        assert "rewrite" not in f.compile(SQUARE).timings


def test_a_program_calls_the_library_between_its_kernels():
    x = sg.matrix("x")
    f = sg.function([x], sg.exp(sg.linalg.inv(sg.exp(x)).T).sum())
    program = f.compile(SQUARE).program
    assert [isinstance(s, Hosted) for s in program.steps].count(True) == len(program.calls) == 1
    assert [p.kind for p in f.compile(SQUARE).parts].count("call") == 1
    np.testing.assert_allclose(f(SQUARE), np.exp(np.linalg.inv(np.exp(SQUARE)).T).sum(), 1e-13)


def test_the_determinant_of_a_singular_matrix_has_a_gradient():
    x = sg.matrix("x")
    np.testing.assert_allclose(sg.grad(sg.linalg.det(x), x).eval({x: SINGULAR}), [[4, -2], [-2, 1]], atol=1e-12)
    assert not sg.grad(sg.linalg.det(x), x).eval({x: np.zeros((3, 3))}).any()


def test_the_determinant_of_a_singular_matrix_has_a_hessian():
    x = sg.tensor("x", "float64", (2, 2))
    flat = sg.hessian(sg.linalg.det(x), x).eval({x: SINGULAR}).reshape(4, 4)
    np.testing.assert_allclose(flat, np.fliplr(np.diag([1.0, -1.0, -1.0, 1.0])), atol=1e-12)
    y = sg.tensor("y", "float64", (3, 3))
    assert not sg.hessian(sg.linalg.det(y), y).eval({y: np.zeros((3, 3))}).any()


def test_equal_eigenvalues_leave_no_nan_in_gradients():
    x = sg.tensor("x", shape=(3, 3))
    for cost in (sg.linalg.eigh(x)[0].sum(), sg.sqr(sg.linalg.eigh(x)[1]).sum(), sg.linalg.norm(x, "nuc"),
                 sg.sqr(sg.linalg.svd(x)[0]).sum()):  # fmt: skip
        assert np.isfinite(sg.grad(cost, x).eval({x: np.eye(3)})).all()


def test_gradients_that_do_not_exist_say_what_to_pass():
    x = sg.tensor("x", shape=(3, 2))
    with pytest.raises(sg.GradientError, match="full_matrices=False"):
        sg.grad(sg.linalg.svd(x)[0].sum(), x)
    with pytest.raises(sg.GradientError, match="mode='reduced'"):
        sg.grad(sg.linalg.qr(x, "complete")[0].sum(), x)


def test_the_logarithm_of_a_determinant_neither_overflows_nor_vanishes():
    x = sg.matrix("x")
    outputs = [sg.log(sg.linalg.det(x)), sg.log(sg.abs(sg.linalg.det(-x))), sg.grad(sg.log(sg.linalg.det(x)), x)]
    f = sg.function([x], outputs)
    for scale in (1e3, 1e-3):
        a = scale * np.eye(201)
        plain, absolute, slope = f(a)
        np.testing.assert_allclose([plain, absolute], 201 * np.log(scale), 1e-12)
        np.testing.assert_allclose(slope, np.eye(201) / scale, 1e-12, 1e-12)
    assert np.isnan(f(np.diag([1.0, -1.0]))[0]) and f(np.zeros((0, 0)))[0] == 0


@pytest.mark.parametrize("build", [lambda a, b: sg.linalg.inv(a) @ b, lambda a, b: b.T @ sg.linalg.inv(a)])
def test_a_product_with_an_inverse_is_the_solution_of_a_system(build):
    """The error of a product with the inverse grows with the condition; that of a system's residual does not."""
    hilbert = 1 / (np.arange(9)[:, None] + np.arange(9) + 1)
    b = np.arange(9.0)
    a, v = sg.matrix("a"), sg.vector("b")
    x = sg.function([a, v], build(a, v))(hilbert, b)
    assert np.abs(hilbert @ x - b).max() < 1e-15 * np.abs(hilbert).sum() * np.abs(x).max()
    stacked = sg.tensor3("s")
    f = sg.function([stacked, a], [sg.linalg.inv(stacked) @ a, a @ sg.linalg.inv(stacked)])
    s = np.stack([SQUARE, 2 * SQUARE])
    for found, expected in zip(f(s, SQUARE), (np.linalg.inv(s) @ SQUARE, SQUARE @ np.linalg.inv(s)), strict=True):
        np.testing.assert_allclose(found, expected, 1e-12, 1e-12)


def test_jacobians_are_those_of_each_element():
    x = sg.matrix("x")
    found = sg.jacobian(sg.linalg.inv(x).flatten(), x).eval({x: SQUARE})
    p = np.linalg.inv(SQUARE)
    np.testing.assert_allclose(found.reshape(3, 3, 3, 3), -np.einsum("ik,lj->ijkl", p, p), 1e-12)


def test_numpys_own_functions_mean_these():
    x = sg.matrix("x")
    assert np.linalg.matrix_power(x, 2) is sg.linalg.matrix_power(x, 2) and x.mT is x.T
    assert np.linalg.inv(x) is sg.linalg.inv(x) and np.linalg.norm(x, "fro") is sg.linalg.norm(x, "fro")

"""Trace, Kronecker product and matrix powers are NumPy's."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.reference import evaluate


def value(build, *arrays):
    inputs = [sg.tensor(dtype=a.dtype, shape=(None,) * a.ndim) for a in arrays]
    return evaluate([build(*inputs)], dict(zip(inputs, arrays, strict=True)))[0]


def drawn(*shape, dtype="float64"):
    return (10 * np.random.default_rng(0).standard_normal(shape)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize(("shape", "options"), [((3, 3), {}), ((2, 5), {"offset": 1}), ((4, 3, 2), {"axis1": 2}),
                                                ((0, 3), {}), ((3, 4, 4), {"axis1": 1, "axis2": 2})])  # fmt: skip
def test_trace(shape, options, dtype):
    a = drawn(*shape, dtype=dtype)
    found = value(lambda x: sg.trace(x, **options), a)
    # another order of adding: a few ulp of the sum of magnitudes
    np.testing.assert_allclose(found, np.trace(a, **options), rtol=1e-5 if dtype == "float32" else 1e-13, atol=1e-5)


@pytest.mark.parametrize("shapes", [((2, 3), (4, 5)), ((3,), (2, 2)), ((), (3,)), ((2, 0), (3, 1)), ((2,), (3,))])
def test_kron(shapes):
    a, b = (drawn(*shape) for shape in shapes)
    assert (value(sg.kron, a, b) == np.kron(a, b)).all()


@pytest.mark.parametrize("shape", [(3, 3), (2, 4, 4)])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 7])
def test_matrix_power(shape, n):
    a = drawn(*shape) / 10
    np.testing.assert_allclose(value(lambda x: sg.linalg.matrix_power(x, n), a), np.linalg.matrix_power(a, n), 1e-10)


def test_gradients():
    a = drawn(3, 3) / 10
    sg.verify_grad(sg.trace, [a], backend="numpy")
    sg.verify_grad(sg.kron, [a, drawn(2, 2)], backend="numpy")
    sg.verify_grad(lambda x: sg.linalg.matrix_power(x, 5), [a], backend="numpy")


def test_what_has_no_power():
    with pytest.raises(sg.ShapeError, match="no square matrices"):
        sg.linalg.matrix_power(sg.tensor("x", shape=(2, 3)), 2)
    with pytest.raises(sg.ShapeError, match="no square matrices"):
        sg.linalg.matrix_power(sg.vector(), 2)
    with pytest.raises(ValueError, match="must be an integer"):
        sg.linalg.matrix_power(sg.matrix(), 0.5)


def test_numpys_own_functions_mean_these():
    x = sg.matrix("x")
    assert np.trace(x) is sg.trace(x) and np.kron(x, x) is sg.kron(x, x) and x.trace() is sg.trace(x)

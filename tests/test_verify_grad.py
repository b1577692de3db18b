"""verify_grad passes what is right and names what is wrong."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.op import scratch_registry

POINTS = np.array([0.3, -1.2, 2.0])


@pytest.fixture(autouse=True)
def scratch():
    with scratch_registry():
        yield


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_right_gradients_pass(backend):
    sg.verify_grad(lambda x: sg.tanh(x) * x, [POINTS], backend=backend)
    sg.verify_grad(lambda x, y: x @ y, [np.ones((2, 3)), np.arange(6.0).reshape(3, 2)], backend=backend)
    sg.verify_grad(lambda x, i: x[i] ** 2, [POINTS, np.array([2, 0, 2])], backend=backend)
    sg.verify_grad(sg.sin, [0.5], backend=backend)
    sg.verify_grad(sg.exp, [np.zeros((0, 2))], backend=backend)


def test_single_precision_points_are_checked_in_double():
    sg.verify_grad(lambda x: sg.exp(x), [POINTS.astype("float32")])


def test_a_wrong_gradient_is_named_with_both_values():
    @sg.custom_gradient(lambda g, x, y: [sg.switch(sg.gt(x, 1), 3 * x, 2 * x) * g], name="wrong_square")
    def square(x):
        return x * x

    with pytest.raises(sg.GradientError, match=r"by input 1 is .* at \(2,\); central differences") as error:
        sg.verify_grad(lambda a, x: a + square(x), [POINTS, POINTS])
    assert "1 of 3 elements" in str(error.value)


def test_a_gradient_that_is_not_a_number_is_wrong():
    @sg.custom_gradient(lambda g, x, y: [g * sg.log(x)], name="nan_gradient")
    def same(x):
        return x + 0.0

    with pytest.raises(sg.GradientError, match="is nan"):
        sg.verify_grad(same, [np.array([-1.0])])


def test_a_disconnected_gradient_must_be_zero():
    sg.verify_grad(lambda x: sg.floor(x) * 1.0, [POINTS + 0.1])
    with pytest.raises(sg.GradientError, match="is 0"):
        sg.verify_grad(sg.disconnected_grad, [POINTS])


def test_the_result_must_be_a_float_variable():
    with pytest.raises(sg.ArgumentError, match="must give a float"):
        sg.verify_grad(lambda x: x > 0, [POINTS])

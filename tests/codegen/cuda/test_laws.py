"""Every op of the registry on the device that simulates a GPU."""

import numpy as np
import pytest

from symgraph.gradient import vjp
from symgraph.types import is_float
from tests import laws
from tests.codegen.cuda.devices import interpreted_for_gpu, simulated
from tests.programs import by_reference
from tests.test_laws import EACH, EACH_ELEMENTWISE


@pytest.fixture(autouse=True)
def vectors(monkeypatch):
    """Small maps too are done by several neighbours in a thread."""
    monkeypatch.setattr("codegen.cuda.schedule.LARGE", 8)


SAMPLE = EACH[::15]


def check_simulated(case, seed, dtype):
    """CUDA text is the interpreter bit by bit, and the oracle to a few units in the last place."""
    inputs, y, arrays = laws.built(case, seed, dtype)
    values = dict(zip(inputs, arrays, strict=True))
    (slow,) = interpreted_for_gpu([y], values)
    (found,) = simulated([y], values)
    assert found.dtype.name == y.dtype and found.shape == slow.shape
    assert laws.same_bits(found, slow), f"{found} differs from the interpreter's {slow}"
    laws.assert_close(found, np.asarray(case.oracle(*arrays)), case.ulp, laws.magnitude(case, arrays))


def check_simulated_gradient(case, seed, dtype):
    """The gradient is the reference's, to rounding of the sums in it."""
    inputs, y, arrays = laws.built(case, seed, dtype)
    if not is_float(y.dtype) or not case.differentiable:
        return
    weight = laws.weights(seed, y, inputs, arrays)
    found = vjp(y, [inputs[k] for k in case.differentiable], weight, disconnected_inputs="ignore")
    values = dict(zip(inputs, arrays, strict=True))
    for a, b in zip(simulated(found, values), by_reference(found, values), strict=True):
        laws.assert_close(a, b, 64, np.abs(b).max(initial=0))


@pytest.mark.parametrize("case", SAMPLE)
def test_some_ops_are_the_interpreter_and_the_oracle(case):
    check_simulated(case, 0, "float32")


@pytest.mark.deep
@pytest.mark.parametrize("case", EACH)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_op_is_the_interpreter_and_the_oracle(case, dtype):
    check_simulated(case, 1, dtype)


@pytest.mark.deep
@pytest.mark.parametrize("case", EACH_ELEMENTWISE)
def test_an_elementwise_op_takes_half_precision(case):
    check_simulated(case, 0, "float16")


@pytest.mark.deep
@pytest.mark.parametrize("case", EACH)
def test_gradients_are_the_references(case):
    check_simulated_gradient(case, 0, "float32")

"""Complex numbers on the device that simulates a GPU: the same parts, the same values."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import config
from tests.complexes.test_complex_values import EACH, built, check

SAMPLE = EACH[::6]


@pytest.fixture(autouse=True)
def simulated():
    with config.using(device="simulate"):
        yield


@pytest.mark.parametrize("call", SAMPLE)
def test_a_call_is_numpys(call):
    inputs, y, arrays = built(call, 1, "complex64")
    check(sg.function(inputs, y, backend="cuda", on_unused_input="ignore")(*arrays), call, arrays)


def test_a_shared_variable_stays_on_the_device_in_parts():
    start = np.array([1 + 2j, -1j, 3], "complex64")
    w, z = sg.shared(start, name="w"), sg.cvector("z")
    step = sg.function([z], abs(w), updates={w: w * 1j + z}, backend="cuda")
    a = np.array([1, 1j, -2], "complex64")
    step(a)
    assert np.allclose(step(a), abs(start * 1j + a))
    assert np.array_equal(w.get_value(), (start * 1j + a) * 1j + a)

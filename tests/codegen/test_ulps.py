"""Compiled functions are as near to the real values as is promised, and subnormal numbers are numbers."""

from __future__ import annotations

import numpy as np
import pytest

import symgraph as sg
from tests.ulps import FUNCTIONS, SETS, distance, worst

FLOATS = ("float32", "float64")


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_as_near_as_is_promised(name: str, dtype: str, count: int = 500, seed: int = 1) -> None:
    error, x = worst(name, dtype, count, seed)
    assert error <= FUNCTIONS[name].bound, f"{name}({x!r}) is {error:.2f} ulp off"


@pytest.mark.deep
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_as_near_as_is_promised_at_many_points(name: str, dtype: str) -> None:
    test_a_function_is_as_near_as_is_promised(name, dtype, 20_000, 2)


def test_numpys_rows_are_there() -> None:
    assert len(SETS) > 30 and sum(len(x) for _, x, _ in SETS.values()) > 20_000


@pytest.mark.parametrize("key", SETS)
def test_a_function_is_near_numpys_correctly_rounded_rows(key: str) -> None:
    name, x, y = SETS[key]
    errors = distance(name, x, y)
    k = int(np.argmax(errors))
    # the row itself is half a unit off
    assert errors[k] <= FUNCTIONS[name].bound + 0.5, f"{name}({x[k]!r}) is {errors[k]} ulp from {y[k]!r}"


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("length", [3, 1_000_000])
def test_subnormal_numbers_are_not_flushed(dtype: str, length: int) -> None:
    """Neither read nor made, nor in the threads that share the work of a long array."""
    least = np.finfo(dtype).smallest_subnormal
    x = np.full(length, 5 * least, dtype)
    v = sg.vector("v", dtype=dtype)
    f = sg.function([v], [v * 3, sg.exp(sg.log(v)), v.sum() / length, sg.abs(v) / 5])
    thrice, again, mean, small = f(x)
    assert (thrice == 15 * least).all() and (small == least).all()
    assert (np.abs(again / least - 5) <= 1).all() and mean == 5 * least

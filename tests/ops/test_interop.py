"""NumPy's functions and operators on variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph.graph import Variable
from symgraph.reference import evaluate

A = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -3.0]])


@pytest.mark.parametrize(
    "build",
    [
        lambda x: np.exp(x),
        lambda x: np.ones(3) * x,
        lambda x: np.float64(2) - x,
        lambda x: A[0] / x,
        lambda x: np.greater(A, x),
        lambda x: np.maximum(x, 0),
        lambda x: np.multiply(2, x),
        lambda x: np.concatenate([x, A]),
        lambda x: np.stack([A, x], axis=1),
        lambda x: np.sum(x, axis=0),
        lambda x: np.mean(x, axis=1, keepdims=True),
        lambda x: np.max(x),
        lambda x: np.argmax(x, axis=1),
        lambda x: np.var(x, axis=0, ddof=1),
        lambda x: np.where(x > 0, x, 0),
        lambda x: np.clip(x, -1, 1),
        lambda x: np.reshape(x, (3, 2)),
        lambda x: np.transpose(x),
        lambda x: np.dot(x, A.T),
        lambda x: A.T @ x,
        lambda x: np.cumsum(x, axis=1),
        lambda x: np.logical_not(x > 0),
        lambda x: np.round(x),
        lambda x: np.round(x * 0.37, 2),
        lambda x: np.round(x * 100, -1),
        lambda x: np.zeros_like(x),
    ],
)
def test_numpy_on_a_variable_means_what_it_means_on_an_array(build: Callable[[Any], Any]) -> None:
    x = sg.matrix("x", "float64")
    y = build(x)
    assert isinstance(y, Variable)
    np.testing.assert_allclose(evaluate([y], {x: A})[0], build(A), rtol=1e-15)


def test_a_python_float_from_numpy_is_weak_and_an_array_is_not() -> None:
    x = sg.vector("x", "float32")
    assert (np.sqrt(2) * x).dtype == "float32"
    assert (np.array(2.0) * x).dtype == "float64"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda x: np.spacing(x), "np.spacing is not known to symgraph"),
        (lambda x: np.linalg.cond(x), "np.linalg.cond is not known to symgraph"),
        (lambda x: np.add.reduce(x), r"np.add with .reduce has no symbolic form"),
        (lambda x: np.add(x, 1, out=np.zeros((2, 3))), "np.add with out= has no symbolic form"),
        (lambda x: np.add(x, 1, where=A > 0), "np.add with where= has no symbolic form"),
    ],
)
def test_what_numpy_cannot_mean_says_how_to_mend_it(build: Callable[[Any], Any], message: str) -> None:
    x = sg.matrix("x", "float64")
    with pytest.raises(TypeError, match=message) as caught:
        build(x)
    lines = str(caught.value).splitlines()
    assert "x  float64 (?, ?)" in lines[1] and lines[-1].startswith("write ")


@pytest.mark.parametrize("build", [np.array, np.asarray, lambda x: np.array([x, x]), lambda x: np.array([x, 1.0])])
def test_an_array_of_variables_is_refused(build: Callable[[Any], Any]) -> None:
    for x in (sg.matrix("x", "float64"), sg.scalar("x"), sg.tensor("x", "float64", (2,))):
        with pytest.raises(TypeError, match=r"np.array needs values(.|\n)*symgraph.stack"):
            build(x)

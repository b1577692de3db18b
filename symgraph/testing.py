"""For tests of user code: gradients against central differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, GradientError
from symgraph.function import function
from symgraph.gradient import grad
from symgraph.graph import Variable, constant
from symgraph.op import OPS, PRIMITIVES
from symgraph.ops.join import stack
from symgraph.types import is_complex, is_float, is_inexact

__all__ = ["verify_grad"]

STEP = float(np.finfo("float64").eps ** (1 / 3))
"""Where the error of a central difference, step**2, is as large as what rounding adds, eps / step."""


def verify_grad(
    f: Callable[..., Any], points: Sequence[Any], *, rel_tol: float = 1e-5, abs_tol: float = 1e-6, seed: int = 0,
    backend: str | None = None,
) -> None:  # fmt: skip
    """Check the gradient of ``f`` by central differences in float64.

    Parameters
    ----------
    f : callable
        As many variables as there are points -> a float or complex variable of any shape. Its elements (both parts of
        them) are weighted with random numbers and summed, so that every one of them counts.
    points : sequence of array_like
        Where to check: floats and complex numbers, taken in double precision, and integers or bools, by which nothing
        is differentiated.
    rel_tol, abs_tol : float
        The error allowed, beside the greater of the two derivatives and as a number; the differences themselves are
        right to about 1e-10 of the value of ``f``.
    seed : int
        Of the weights.
    backend : str, optional
        As of ``function``.

    Raises
    ------
    GradientError
        If a derivative is wrong: says by which input, at which element, what it is and what it should be.
    ArgumentError
        If the result of ``f`` is no float or complex variable.
    """
    arrays = [_in_double(p) for p in points]
    inputs = [Variable(constant(a).type, name=f"point{k}") for k, a in enumerate(arrays)]
    result = f(*inputs)
    if not isinstance(result, Variable) or not is_inexact(result.dtype):
        raise ArgumentError(f"verify_grad: f gives {result!r}; it must give a float or complex variable")
    if is_complex(result.dtype):
        result = stack([result.real, result.imag])
    weights = Variable(result.type, name="weights")
    cost = OPS["sum"](PRIMITIVES["mul"](result, weights))  # type: ignore[operator]
    wrt = [k for k, v in enumerate(inputs) if is_inexact(v.dtype)]
    gradients = grad(cost, [inputs[k] for k in wrt], disconnected_inputs="ignore")
    options: Any = {"on_unused_input": "ignore", "backend": backend}
    shape = function(inputs, result, **options)(*arrays).shape
    drawn = np.random.default_rng(seed).uniform(0.5, 1.5, shape).astype(result.dtype)
    value = function([*inputs, weights], cost, **options)
    found = function([*inputs, weights], gradients, **options)(*arrays, drawn)
    for k, g in zip(wrt, found, strict=True):
        expected = _differences(lambda *a: float(value(*a, drawn)), arrays, k)
        _compare(k, g, expected, rel_tol, abs_tol)


def _in_double(point: Any) -> np.ndarray:
    given = np.array(point)
    if is_complex(given.dtype.name):
        return given.astype("complex128")
    return given.astype("float64") if is_float(given.dtype.name) else given


def _differences(value: Callable[..., float], arrays: Sequence[np.ndarray], k: int) -> np.ndarray:
    """d value / d arrays[k], element by element: by the real part plus i times that by the imaginary part."""
    result = np.zeros_like(arrays[k])
    for index in np.ndindex(result.shape):
        step = STEP * max(1.0, float(abs(arrays[k][index])))
        for unit in (1, 1j) if is_complex(result.dtype.name) else (1,):
            moved = [_moved(arrays, k, index, by * unit) for by in (step, -step)]
            # the step as it came out of rounding, not as it was meant
            span = float(abs(moved[0][k][index] - moved[1][k][index]))
            result[index] += unit * ((value(*moved[0]) - value(*moved[1])) / span)
    return result


def _moved(arrays: Sequence[np.ndarray], k: int, index: tuple[int, ...], by: complex) -> list[np.ndarray]:
    new = arrays[k].copy()
    new[index] += by
    return [*arrays[:k], new, *arrays[k + 1 :]]


def _compare(k: int, found: np.ndarray, expected: np.ndarray, rel_tol: float, abs_tol: float) -> None:
    allowed = abs_tol + rel_tol * np.maximum(np.abs(found), np.abs(expected))
    wrong = ~(np.abs(found - expected) <= allowed)
    if not wrong.any():
        return
    worst = np.where(np.isfinite(found), np.abs(found - expected), np.inf)
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(np.where(wrong, worst, -1))), found.shape))
    place = f" at {index}" if index else ""
    raise GradientError(
        f"verify_grad: the gradient by input {k} is {found[index]:.10g}{place}; "
        f"central differences give {expected[index]:.10g}\n"
        f"  {int(wrong.sum())} of {wrong.size} elements differ by more than rel_tol={rel_tol:g}, abs_tol={abs_tol:g}\n"
        "mend the gradient of the op, or move the point away from a kink"
    )

"""Complex functions over the whole range of floating-point numbers, in every quadrant, against mpmath."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import symgraph as sg
from symgraph.types import real_of

# Those of exponentials end at the greatest argument that does not overflow, and go past it
POWERS = {
    "complex64": [1e-37, 1e-25, 1e-12, 1e-5, 0.1, 1, 10, 88.5, 127.9, 1e12, 1e20, 1e37],
    "complex128": [1e-300, 1e-170, 1e-20, 1e-8, 0.1, 1, 10, 709.5, 1023.9, 1e20, 1e155, 1e300],
}
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "exp": mpmath.exp, "exp2": lambda z: mpmath.power(2, z), "expm1": lambda z: mpmath.exp(z) - 1,
    "log": mpmath.log, "log2": lambda z: mpmath.log(z) / mpmath.log(2), "log10": mpmath.log10,
    "log1p": lambda z: mpmath.log(1 + z), "sqrt": mpmath.sqrt,
    "sin": mpmath.sin, "cos": mpmath.cos, "tan": mpmath.tan,
    "sinh": mpmath.sinh, "cosh": mpmath.cosh, "tanh": mpmath.tanh,
    "arcsin": mpmath.asin, "arccos": mpmath.acos, "arctan": mpmath.atan,
    "arcsinh": mpmath.asinh, "arccosh": mpmath.acosh, "arctanh": mpmath.atanh,
}  # fmt: skip


def above(dtype: str) -> np.ndarray:
    """Points of the upper half-plane."""
    parts = np.array(POWERS[dtype])
    x, y = np.meshgrid(np.concatenate([parts, -parts]), parts)
    return (x + 1j * y).ravel().astype(dtype)


def exact(f: Callable[[Any], Any], points: np.ndarray) -> np.ndarray:
    """``f`` by mpmath, in double precision; the digits hold 1 beside the square of the smallest part."""
    with mpmath.workdps(700 if points.dtype == "complex128" else 120):
        return np.array([complex(f(mpmath.mpc(complex(z)))) for z in points])


def rounding(name: str, points: np.ndarray, values: np.ndarray, part: str, unit: float) -> np.ndarray:
    """``unit`` of the part, and for exp2 of its turn by im*log(2)."""
    own = unit * np.abs(getattr(values, part))
    if name != "exp2":
        return own
    with np.errstate(over="ignore"):
        return own + np.minimum(unit * np.abs(points.imag), 2) * np.hypot(values.real, values.imag)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_both_parts_are_right_over_the_whole_range(name, dtype):
    points = above(dtype)
    values = exact(FUNCTIONS[name], points)
    z = sg.tensor("z", dtype, (None,))
    f = sg.function([z], getattr(sg, name)(z))
    info = np.finfo(real_of(dtype))
    for given, expected in ((points, values), (points.conj(), values.conj())):
        found = f(given)
        for part in ("real", "imag"):
            a, b = getattr(found, part), getattr(expected, part)
            bound = rounding(name, given, expected, part, 8 * float(info.eps)) + 4 * float(info.smallest_subnormal)
            with np.errstate(over="ignore", invalid="ignore"):
                right = (a == b.astype(a.dtype)) | (np.abs(a - b) <= bound)
            assert right.all(), f"{part} of {name} at {given[~right]}: {a[~right]} for {b[~right]}"


@pytest.mark.parametrize("name", ["exp", "exp2", "expm1", "sinh", "cosh"])
def test_on_the_real_line_an_overflow_makes_no_nan(name):
    x = np.array([800, 1400, 3000, 1e300, np.inf])
    x = np.concatenate([x, -x])
    z = sg.zvector("z")
    found = sg.function([z], getattr(sg, name)(z))(x + 0j)
    with np.errstate(over="ignore"):
        expected = getattr(np, name)(x)
    assert np.allclose(found.real, expected, rtol=1e-15, atol=0) and (found.imag == 0).all()


@pytest.mark.parametrize("name", ["arctan", "arctanh"])
def test_slopes_of_inverse_tangents_neither_overflow_nor_vanish(name):
    points = np.array([complex(x, y) for x in (1e-170, 0.5, 1e100, -1e152) for y in (1e-170, -2.0, 1e100, 1e152)])
    z = sg.zvector("z")
    found = sg.function([z], sg.grad(getattr(sg, name)(z).real.sum(), z))(points)
    sign = 1 if name == "arctan" else -1
    expected = exact(lambda w: mpmath.conj(1 / (1 + sign * w * w)), points)
    assert (np.abs(found - expected) <= 16 * np.finfo("float64").eps * np.abs(expected)).all()

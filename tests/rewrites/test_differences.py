"""Differences of values at two places: the distance is exact, and each place may be held still or replaced."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import numpy as np
import pytest

import symgraph as sg
from symgraph.graph import Variable, toposort
from symgraph.reference import evaluate
from symgraph.rewrite import STABILIZING, expand_composites, rewrite
from tests.rewrites.test_stabilize import ulps

Formula = Callable[[Variable], Variable]
FUNCTIONS: dict[str, tuple[Formula, Callable[[mpmath.mpf], mpmath.mpf]]] = {
    "sqrt": (sg.sqrt, mpmath.sqrt),
    "log": (sg.log, mpmath.log),
    "log1p": (sg.log1p, lambda x: mpmath.log(1 + x)),
    "arctan": (sg.arctan, mpmath.atan),
    "sin": (sg.sin, mpmath.sin),
    "cos": (sg.cos, mpmath.cos),
    "inverse of a root": (lambda x: 3 / sg.sqrt(x), lambda x: 3 / mpmath.sqrt(x)),
    "inverse": (sg.inv, lambda x: 1 / x),
    "scaled inverse": (lambda x: 3 / x, lambda x: 3 / x),
}
X, U, V = sg.dvector("x"), sg.dvector("u"), sg.dvector("v")
PLACES: dict[str, Formula] = {
    "0.25+x": lambda x: 0.25 + x,
    "x+2": lambda x: x + 2,
    "x-0.5": lambda x: x - 0.5,
    "(x+1)-0.25": lambda x: (x + 1) - 0.25,
}


def slope(f: Formula, place: Variable) -> Variable:
    """Of f(place) - f(x) by x."""
    found = sg.grad((f(place) - f(X)).sum(), X)
    assert any(node.op.name.endswith("_step") for node in toposort([found])), "no step: nothing is tried"
    return found


def apart(f: Formula) -> Variable:
    """The same of places that know nothing of each other: what moves one moves the other as far."""
    by_x, by_u = sg.grad((f(U) - f(X)).sum(), [X, U])
    return by_x + by_u


SQUARES: dict[str, Callable[[Variable], Variable]] = {
    "roots": lambda x: sg.sqrt(x * x + 2) - sg.sqrt(x * x + 1),
    "logarithms": lambda x: sg.log(x * x + 2) - sg.log(x * x + 1),
    "inverses": lambda x: 1 / (x * x + 1) - 1 / (x * x + 2),
}


@pytest.mark.parametrize("name", SQUARES)
def test_functions_of_squares_have_places_too(name: str) -> None:
    assert any(node.op.name.endswith("_step") for node in toposort(rewrite([SQUARES[name](X)], STABILIZING)))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_place_may_be_differentiated_by_held_still_or_replaced(name: str, place: str) -> None:
    f, _ = FUNCTIONS[name]
    u = PLACES[place](X)
    g, expected = slope(f, u), apart(f)
    by_x, by_u = sg.grad(expected.sum(), [X, U])
    found = [sg.grad(g.sum(), u), sg.grad(g.sum(), X, consider_constant=[u]), sg.grad(g.sum(), X)]
    x, v = np.array([0.75, 3.0, 20.0]), np.array([100.0, 0.5, 3.0])
    at_u = sg.function([X], [by_u, by_x, by_x + by_u], givens={U: u})(x)
    for a, b in zip(sg.function([X], found)(x), at_u, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)  # the places are far enough apart: little cancels
    replaced = sg.function([X, V], g, givens={u: V})(x, v)
    np.testing.assert_allclose(replaced, sg.function([X, U], expected)(x, v), rtol=1e-12)


@pytest.mark.parametrize(("dtype", "least"), [("float64", -290), ("float32", -30)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_distance_of_two_places_is_exact(name: str, dtype: str, least: int) -> None:
    f, exact = FUNCTIONS[name]
    x, rng = sg.vector("x", dtype=dtype), np.random.default_rng(0)
    value = np.array([1e-3, 0.3, 5, 7e5], dtype)
    for exponent in [*rng.uniform(least, -6, 4), *rng.uniform(-16, 3, 4)]:
        c = np.asarray(10.0**exponent, dtype)[()]
        (found,) = evaluate(expand_composites(rewrite([f(x + c) - f(x)])), {x: value})
        with mpmath.workdps(700):
            truth = np.array([exact(v + mpmath.mpf(float(c))) - exact(v) for v in map(mpmath.mpf, value.tolist())])
            assert ulps(found, truth) <= 8, (c, found, truth)


@pytest.mark.parametrize("f", [sg.sigmoid, sg.erf])
def test_a_logarithm_of_a_difference_is_not_turned_round(f: Callable[[Variable], Variable]) -> None:
    """A difference is the negation of the other one; its logarithm is not."""
    x, y = sg.dvectors("x", "y")
    points = np.array([1.5, 2.0]), np.array([2e-4, 0.5])
    logarithm = sg.log(f(x) - f(y))
    found = sg.function([x, y], [logarithm, -logarithm, -3 / logarithm, 2 - logarithm])(*points)
    value = found[0]
    assert (value < 0).all()
    for a, b in zip(found, [value, -value, -3 / value, 2 - value], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)

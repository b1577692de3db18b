"""Cases of differences of values of functions that level off, by the distance of the places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
from scipy import special

from symgraph.graph import Variable
from symgraph.op import OPS
from tests.cases import Arrays, Case
from tests.cases.elementwise import by_mpmath, case, pairs

LOW, HIGH = [(-3.0, -2.5), (-0.4, 0.4)], [(0.6, 1.0), (2.5, 4.0)]


def gap(op: str) -> Callable[[Variable, Variable], Variable]:
    """The op on two places and their difference."""
    return lambda x, y: OPS[op](x, y, y - x)  # type: ignore[operator, no-any-return]


def _close(rng: np.random.Generator, dtype: str) -> Arrays:
    """Places that differ in the last digits, on both sides and around 0."""
    x = np.array([0.5, 3.0, -3.0, 0.01, 2.0, -0.75], dtype)
    return [x, (x * np.asarray(1 + 2.0**-8, dtype)).astype(dtype)]


def _increasing(rng: np.random.Generator, dtype: str) -> Arrays:
    """As ``_close``, the second place above the first."""
    x, y = _close(rng, dtype)
    return [np.minimum(x, y), np.maximum(x, y)]


def _ends(rng: np.random.Generator, dtype: str) -> Arrays:
    """Every pair of infinities, NaN, zeros and two numbers of which no difference is near 1."""
    x = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 0.3, -0.3], dtype)
    return [x[:, None], x[None, :]]


def _far(rng: np.random.Generator, dtype: str) -> Arrays:
    """Places where the functions are rounded to one number."""
    return [np.array([20.0, -21.0, 8.0, -8.0, 30.0], dtype), np.array([20.5, -20.5, 9.0, 8.0, 90.0], dtype)]


def _logistic(x: Any, y: Any) -> Any:
    return mpmath.expm1(y - x) / ((1 + mpmath.exp(y)) * (1 + mpmath.exp(-x)))


def _erf(x: Any, y: Any) -> Any:
    with mpmath.workdps(600):
        return mpmath.erf(y) - mpmath.erf(x)


def _share(x: Any, y: Any) -> Any:
    return 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-(min(abs(x), abs(y)) ** 2)) / _erf(x, y)


def _logarithm(f: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    return lambda x, y: np.log(f(x, y))


def _plain_logistic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return special.expit(y) - special.expit(x)


def _plain_erf(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    beyond = np.where(x > 0, special.erfc(x) - special.erfc(y), special.erfc(-y) - special.erfc(-x))
    return np.where(x * y > 0, beyond, special.erf(y) - special.erf(x))


def differences(op: str, exact: Callable[[Any, Any], Any], plain: Any, log: bool = False) -> list[Case]:
    """One of them at places that are apart, close, and far out; infinite ones by the plain formula."""
    build, draws = gap(op), (_increasing if log else _close, _far)
    finite = [
        case(build, pairs(LOW, HIGH), by_mpmath(exact), (0, 1)),
        *[case(build, draw, by_mpmath(exact), (), 6.0) for draw in draws],
    ]
    # A logarithm passes 0, where errors are those of the largest
    return [*[replace(c, normwise=log) for c in finite], case(build, _ends, plain, (), 16.0)]


CASES: dict[str, list[Case]] = {
    "sigmoid_gap": differences("sigmoid_gap", _logistic, _plain_logistic),
    "log_sigmoid_gap": differences(
        "log_sigmoid_gap", lambda x, y: mpmath.log(_logistic(x, y)), _logarithm(_plain_logistic), True
    ),
    "erf_gap": differences("erf_gap", _erf, _plain_erf),
    "log_erf_gap": differences("log_erf_gap", lambda x, y: mpmath.log(_erf(x, y)), _logarithm(_plain_erf), True),
    "log_half_erf_gap": differences(
        "log_half_erf_gap", lambda x, y: mpmath.log(_erf(x, y) / 2), _logarithm(lambda x, y: _plain_erf(x, y) / 2), True
    ),
    "density_share": [
        case(gap("density_share"), pairs(LOW, HIGH), by_mpmath(_share), (0, 1)),
        *[case(gap("density_share"), draw, by_mpmath(_share), (), 6.0) for draw in (_close, _far)],
    ],
}

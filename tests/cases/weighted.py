"""Cases of sums of exponentials with weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from symgraph.graph import Variable, constant
from symgraph.ops import weighted as W
from tests.cases import Arrays, Case
from tests.cases.elementwise import case

Draw = Callable[[np.random.Generator, str], Arrays]


def drawn(by: float = 0.0, least: float = 0.5) -> Draw:
    """Rows of exponents, and weights for a row or for all rows."""

    def draw(rng: np.random.Generator, dtype: str) -> Arrays:
        rows = rng.choice([1, 3])
        return [(rng.normal(size=(3, 4)) + by).astype(dtype), rng.uniform(least, 2, (rows, 4)).astype(dtype)]

    return draw


def extreme(rng: np.random.Generator, dtype: str) -> Arrays:
    """Weights as large, and as small, as there are, and of either sign; exponents that bring them back."""
    far = np.log(np.finfo(dtype).max) - 2
    x = np.array([[far, -far, 3 * far], [-far, -far, -3 * far], [3 * far, 3 * far - 1, 0]])
    w = np.array([[np.exp(-far), np.exp(far), 0], [np.exp(far), -np.exp(far - 1), 2], [1, 2, np.exp(far)]])
    return [x.astype(dtype), w.astype(dtype)]


def log_of_sum(x: Variable, w: Variable, keepdims: bool = False) -> Variable:
    above, below = (constant(np.asarray(v, x.dtype)) for v in (3, 0.7))
    found: Variable = W.log_weighted_sum_exp(x, w, above, below, axis=(1,), keepdims=keepdims)
    return found


def exactly(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """log(sum(w*exp(x))) in long double, whose range is wide enough."""
    return np.log(np.sum(np.longdouble(w) * np.exp(np.longdouble(x)), axis=1))


def shares(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    terms = np.longdouble(w) * np.exp(np.longdouble(x))
    return np.asarray(terms / np.sum(terms, axis=1, keepdims=True))


def of(function: Callable[..., Any]) -> Callable[..., Variable]:
    return lambda x, w: function(x, w, axis=(1,))


CASES: dict[str, list[Case]] = {
    "weighted_exp": [
        Case(W.weighted_exp, lambda rng, d: [rng.normal(size=(3, 4)).astype(d) for _ in range(3)],
             lambda w, x, y: w * np.exp(x - y), (0, 1, 2)),
        case(lambda x, w: W.weighted_exp(w, x, 0.0), extreme,
             lambda x, w: np.float64(np.longdouble(w) * np.exp(np.longdouble(x)))),
        Case(lambda w, x: W.weighted_exp(w, x, 0.0),
             lambda rng, d: [np.array([0, np.inf, np.inf, 0, np.nan], d), np.array([1e4, -1e4, 1, np.inf, 0], d)],
             lambda w, x: np.array([0, np.inf, np.inf, np.nan, np.nan])),
    ],
    "extreme_log": [
        case(W.extreme_log, lambda rng, d: [np.array([1, -3, 0.5], d)], lambda w: 0 * w),
        case(W.extreme_log, lambda rng, d: [np.array([0, np.finfo(d).max, -np.finfo(d).tiny], d)],
             lambda w: np.log(np.abs(w))),
    ],
    "log_weighted_sum_exp": [
        Case(log_of_sum, drawn(), lambda x, w: special.logsumexp(x, 1, w) + np.log(3 / 0.7), (0, 1)),
        Case(lambda x, w: log_of_sum(x, w, True), drawn(300),
             lambda x, w: special.logsumexp(np.float64(x), 1, np.float64(w), True) + np.log(3 / 0.7)),
        Case(log_of_sum, extreme, lambda x, w: exactly(x, w) + np.log(3 / 0.7)),
    ],
    "log_weighted_list": [
        Case(lambda x, w: W.log_weighted_list(w, x, w * w, x - 1), drawn(6),
             lambda x, w: np.log(w * np.exp(x) + w * w * np.exp(x - 1)), (0, 1)),
        case(lambda x, w: W.log_weighted_list(w, x, w, x - 1), extreme,
             lambda x, w: np.log(np.longdouble(w) * np.exp(np.longdouble(x)) * (1 + np.exp(np.longdouble(-1))))),
    ],
    "weighted_softmax": [
        Case(of(W.weighted_softmax), drawn(), shares, (0, 1), 8.0),
        Case(of(W.weighted_softmax), extreme, shares, (), 8.0),
    ],
    "log_weighted_softmax": [
        Case(of(W.log_weighted_softmax), drawn(), lambda x, w: np.log(shares(x, w)), (0, 1), 8.0),
        case(of(W.log_weighted_softmax), extreme, lambda x, w: np.log(shares(x, w)), (), 8.0),
    ],
}  # fmt: skip

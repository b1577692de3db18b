"""Cases of functions of products and of sums of squares."""

from __future__ import annotations

import mpmath
import numpy as np

from symgraph.ops import products as P
from tests.cases import Arrays, Case
from tests.cases.elementwise import OFF_ZERO, Range, by_mpmath, case, pairs, special_pairs

POSITIVE_PAIR: list[Range] = [(1.2, 3.0)]


def _out_of_range(rng: np.random.Generator, dtype: str) -> Arrays:
    """Two powers of two whose product no float of the dtype holds."""
    half = np.finfo(dtype).maxexp * 3 // 4
    signs = rng.choice([-1, 1], 3)
    return [np.exp2(signs * half).astype(dtype)] * 2


def _beside(rng: np.random.Generator, dtype: str) -> Arrays:
    """Numbers, some out of range, and what their logarithms are to be then."""
    return [np.array([2.0, np.inf, 0.0, -3.0, np.inf], dtype), np.array([np.nan, 800.0, -800.0, 1.0, np.inf], dtype)]


CASES: dict[str, list[Case]] = {
    "log_or": [
        case(P.log_or, pairs(POSITIVE_PAIR, POSITIVE_PAIR), lambda x, y: np.log(x), (0,)),
        case(P.log_or, _beside, lambda x, y: np.array([np.log(2), 800, -800, np.nan, np.inf])),
    ],
    "log_product": [
        case(lambda x, y: P.log_product(x, y, x, below=(False, True, False)), pairs([(2.0, 3.0)], POSITIVE_PAIR),
             lambda x, y: np.log(x / y * x), (0, 1)),
        case(lambda x, y: P.log_product(x, y, below=(False, False)), special_pairs, lambda x, y: np.log(x * y)),
        case(lambda x, y: P.log_product(x, y, below=(False, True)), special_pairs, lambda x, y: np.log(x / y)),
        Case(lambda x, y: P.log_product(x, y, 1 / x, x, below=(False, False, True, False)), _out_of_range,
             by_mpmath(lambda x, y: 4 * mpmath.log(x))),
    ],
    "sqrt_or": [
        case(P.sqrt_or, pairs(POSITIVE_PAIR, POSITIVE_PAIR), lambda x, y: np.sqrt(x), (0,)),
        case(P.sqrt_or, _beside, lambda x, y: np.array([np.sqrt(2), 800, -800, 1, np.inf])),
    ],
    "root_of_squares": [
        case(lambda x, y: P.root_of_squares(x, y, x, y), pairs(OFF_ZERO, POSITIVE_PAIR),
             lambda x, y: np.sqrt(2 * x * x + y * y + y), (0, 1)),
        case(lambda x, y: P.root_of_squares(x, y, y), special_pairs, lambda x, y: np.sqrt(x * x + y * y + y)),
        Case(lambda x, y: P.root_of_squares(x, y, x * 0), _out_of_range, by_mpmath(lambda x, y: mpmath.hypot(x, y))),
    ],
}  # fmt: skip

"""Cases of functions of products and of sums of squares."""

from __future__ import annotations

import mpmath
import numpy as np

from symgraph.ops import products as P
from tests.cases import Arrays, Case
from tests.cases.elementwise import OFF_ZERO, Range, by_mpmath, case, floats, pairs, special_pairs

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
    "log1p_or": [
        case(P.log1p_or, pairs(POSITIVE_PAIR, POSITIVE_PAIR), lambda x, y: np.log1p(x), (0,)),
        case(P.log1p_or, _beside, lambda x, y: np.array([np.log(3), 800, 0, np.nan, np.inf])),
    ],
    "share_or": [
        case(lambda x, y: P.share_or(x, y, x * y), pairs(POSITIVE_PAIR, POSITIVE_PAIR), lambda x, y: y / (1 + x * y)),
        case(lambda x, y: P.share_or(2.0, x, y), pairs(POSITIVE_PAIR, POSITIVE_PAIR), lambda x, y: x / (1 + y), (0, 1)),
        case(lambda x: P.share_or(x, x, np.inf), floats(*OFF_ZERO), lambda x: 1 / x),
    ],
    "log1p_product": [
        case(lambda x, y: P.log1p_product(x, y, x, below=(False, True, False)), pairs([(2.0, 3.0)], POSITIVE_PAIR),
             lambda x, y: np.log1p(x / y * x), (0, 1)),
        case(lambda x, y: P.log1p_product(x, y, below=(False, False)), special_pairs, lambda x, y: np.log1p(x * y)),
        case(lambda x, y: P.log1p_product(x, y, below=(False, True)), special_pairs, lambda x, y: np.log1p(x / y)),
        Case(lambda x, y: P.log1p_product(x, y, below=(False, False)), _out_of_range,
             by_mpmath(lambda x, y: mpmath.log1p(x * y))),
    ],
    "over_or": [
        case(P.over_or, lambda rng, d: [np.ones((3, 1), d), np.full(4, 5.0, d), np.full(4, 7.0, d)],
             lambda a, s, root: np.full((3, 4), 0.2), (0, 1)),
        case(P.over_or, lambda rng, d: [np.ones(3, d), np.array([np.inf, 0, np.nan], d), np.full(3, 2.0, d)],
             lambda a, s, root: np.full(3, 0.25)),
    ],
    "over_squares": [
        case(lambda x, y: P.over_squares(y, x, y, y), pairs(OFF_ZERO, POSITIVE_PAIR),
             lambda x, y: y / (x * x + y * y + y), (0, 1)),
        case(lambda x, y: P.over_squares(y, x, y * 0), special_pairs, lambda x, y: y / (x * x + y * 0)),
        Case(lambda x, y: P.over_squares(x, x, y, x * 0), _out_of_range, by_mpmath(lambda x, y: 1 / (x + y))),
    ],
    "log_of_squares": [
        case(lambda x, y: P.log_of_squares(x, y, x, y), pairs(OFF_ZERO, POSITIVE_PAIR),
             lambda x, y: np.log(2 * x * x + y * y + y), (0, 1)),
        case(lambda x, y: P.log_of_squares(x, y, y * y), special_pairs, lambda x, y: np.log(x * x + y * y + y * y)),
        Case(lambda x, y: P.log_of_squares(x, y, x * 0), _out_of_range,
             by_mpmath(lambda x, y: mpmath.log(x * x + y * y))),
    ],
    "scale_of": [
        case(P.scale_of, lambda rng, d: [np.array([0.1, 1.0, np.nan], d)], np.ones_like),
        case(P.scale_of, lambda rng, d: [np.array([1e25, 0.0, 1e-25], "float32")],
             lambda x: np.array([2.0**-96, 2.0**96, 2.0**96])),
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

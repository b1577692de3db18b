"""Cases of powers of numbers near 1."""

from __future__ import annotations

import mpmath
import numpy as np

from symgraph.ops import compound as C
from tests.cases import Arrays, Case
from tests.cases.elementwise import POSITIVE, WIDE, by_mpmath, case, pairs, special_pairs

SMALL = [(-0.5, -0.01), (0.01, 3.0)]


def _tiny(rng: np.random.Generator, dtype: str) -> Arrays:
    """What 1 + x rounds off, and exponents that bring it back."""
    eps = float(np.finfo(dtype).eps)
    return [np.array([eps / 4, -eps / 8, 1.7 * eps, 1e-3], dtype), np.array([4 / eps, 8 / eps, 1 / eps, 20.0], dtype)]


def _beyond(rng: np.random.Generator, dtype: str) -> Arrays:
    """Shares that are out of range."""
    least = float(np.finfo(dtype).smallest_subnormal)
    return [np.array([1.0, -1.0, 3e3, float(np.finfo(dtype).max)], dtype), np.array([least, -least, least, 0.1], dtype)]


def _even(rng: np.random.Generator, dtype: str) -> Arrays:
    """Bases below 0, of which an even power has a logarithm."""
    return [-rng.uniform(2.5, 5, 4).astype(dtype), np.array([2.0, 4.0, -2.0, 6.0], dtype)]


def _shared(rng: np.random.Generator, dtype: str) -> Arrays:
    return [np.array([0.5, -3.0, 2.0], dtype), np.array([8 / float(np.finfo(dtype).eps), 40.0, 3e3], dtype)]


CASES: dict[str, list[Case]] = {
    "compound": [
        case(C.compound, pairs(SMALL, [WIDE]), by_mpmath(lambda x, y: (1 + x) ** y), (0, 1)),
        case(C.compound, _tiny, by_mpmath(lambda x, y: (1 + x) ** y)),
        case(C.compound, special_pairs, lambda x, y: np.power(1 + x, y)),
    ],
    "compoundm1": [
        case(C.compoundm1, pairs(SMALL, [POSITIVE]), by_mpmath(lambda x, y: (1 + x) ** y - 1), (0, 1)),
        case(C.compoundm1, _tiny, by_mpmath(lambda x, y: (1 + x) ** y - 1)),
        case(C.compoundm1, special_pairs, lambda x, y: np.power(1 + x, y) - 1),
    ],
    "compound_share": [
        case(C.compound_share, pairs(SMALL, [(1.0, 3.0)]), by_mpmath(lambda x, n: (1 + x / n) ** n), (0, 1)),
        case(C.compound_share, _shared, by_mpmath(lambda x, n: (1 + x / n) ** n)),
        case(C.compound_share, _beyond, by_mpmath(lambda x, n: (1 + x / n) ** n)),
        case(C.compound_share, special_pairs, lambda x, n: np.power(1 + x / n, n)),
    ],
    "log_compound": [
        case(C.log_compound, pairs(SMALL, [WIDE]), by_mpmath(lambda x, y: y * mpmath.log1p(x)), (0, 1)),
        case(C.log_compound, _even, lambda x, y: y * np.log(np.abs(1 + x)), (0,)),
        case(C.log_compound, special_pairs, lambda x, y: np.log(np.power(1 + x, y))),
    ],
    "log_power": [
        case(C.log_power, pairs([POSITIVE], [WIDE]), by_mpmath(lambda x, y: y * mpmath.log(x)), (0, 1)),
        case(C.log_power, _even, lambda x, y: y * np.log(np.abs(x)), (0,)),
        case(C.log_power, special_pairs, lambda x, y: np.log(np.power(x, y))),
    ],
    "powm1": [
        case(C.powm1, pairs([POSITIVE], [WIDE]), by_mpmath(lambda x, y: x**y - 1), (0, 1)),
        case(C.powm1, pairs([POSITIVE], [(-1e-5, 1e-5)]), by_mpmath(lambda x, y: mpmath.expm1(y * mpmath.log(x)))),
        case(C.powm1, special_pairs, lambda x, y: np.power(x, y) - 1),
    ],
}  # fmt: skip

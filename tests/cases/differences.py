"""Cases of the ops that differences become: at places a known distance apart, and of a root and its part."""

from __future__ import annotations

import mpmath
import numpy as np

from symgraph.ops import differences as D
from symgraph.ops import transcendental as T
from tests.cases import Arrays, Case
from tests.cases.elementwise import (
    OFF_ZERO,
    POSITIVE,
    by_mpmath,
    case,
    floats,
    pairs,
    special_pairs,
    special_values,
)


def _tiny(rng: np.random.Generator, dtype: str) -> Arrays:
    """A number whose inverse is out of range."""
    return [np.array([np.finfo(dtype).tiny / 4, 0.3], dtype)]


def _small(rng: np.random.Generator, dtype: str) -> Arrays:
    return [np.array([1e-5, -1e-6, 0.0], dtype)]


def _far(rng: np.random.Generator, dtype: str) -> Arrays:
    """Numbers whose squares are out of range."""
    largest = np.finfo(dtype).max
    return [np.array([0.7 * largest, -0.2 * largest, 0.1 * largest], dtype), np.array([2.0, 0.5, -2.0], dtype)]


def _near(rng: np.random.Generator, dtype: str) -> Arrays:
    """Numbers whose squares vanish, and nothing beside them."""
    least = np.finfo(dtype).smallest_subnormal
    return [np.array([3 * least, -least, 0.0], dtype), np.zeros(3, dtype)]


def _ends(rng: np.random.Generator, dtype: str) -> Arrays:
    info = np.finfo(dtype)
    return [np.array([0.1 * info.max, -0.1 * info.max, 8 * info.tiny, 0.9 * info.max], dtype),
            np.array([0.2 * info.max, 0.3 * info.max, 4 * info.tiny, 0.8 * info.max], dtype)]  # fmt: skip


def _hypot(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(x) | np.isnan(y), np.nan, np.hypot(x, y))


CASES: dict[str, list[Case]] = {
    "identity_step": [
        case(lambda x: D.identity_step(x, x + 1, 1.0), special_values, np.ones_like),
    ],
    "sqrt_step": [
        case(lambda x: D.sqrt_step(x, x + 1, 1.0), floats(POSITIVE, (1e2, 1e4)),
             by_mpmath(lambda x: mpmath.sqrt(x + 1) - mpmath.sqrt(x)), (0,)),
        case(lambda x: D.sqrt_step(x, x + 1, 1.0), special_values,
             lambda x: np.where(x == np.inf, 0, np.sqrt(x + 1) - np.sqrt(x))),
    ],
    "log_step": [
        case(lambda x: D.log_step(x, x + 1, 1.0), floats(POSITIVE, (1e2, 1e4)),
             by_mpmath(lambda x: mpmath.log(x + 1) - mpmath.log(x)), (0,)),
        case(lambda x: D.log_step(x, x + 1, 1.0), _tiny, by_mpmath(lambda x: mpmath.log(x + 1) - mpmath.log(x))),
        case(lambda x: D.log_step(x, x + 1, 1.0), special_values,
             lambda x: np.where(x == np.inf, 0, np.log(x + 1) - np.log(x))),
    ],
    "arctan_step": [
        case(lambda x: D.arctan_step(x, x + 1, 1.0), floats((-3.0, -1.2), (-0.8, -0.6), POSITIVE, (10, 90)),
             by_mpmath(lambda x: mpmath.atan2(1, 1 + x * (x + 1))), (0,)),
        case(lambda x: D.arctan_step(x, x + 1, 1.0), special_values, lambda x: np.arctan(x + 1) - np.arctan(x)),
    ],
    "sin_step": [
        case(lambda x: D.sin_step(x, x + 1, 1.0), floats((-1.5, 0.3)),
             by_mpmath(lambda x: mpmath.sin(x + 1) - mpmath.sin(x)), (0,)),
        case(lambda x: D.sin_step(x, x + 1, 1.0), special_values, lambda x: np.sin(x + 1) - np.sin(x)),
    ],
    "cos_step": [
        case(lambda x: D.cos_step(x, x + 1, 1.0), floats((0.1, 2.0)),
             by_mpmath(lambda x: mpmath.cos(x + 1) - mpmath.cos(x)), (0,)),
        case(lambda x: D.cos_step(x, x + 1, 1.0), special_values, lambda x: np.cos(x + 1) - np.cos(x)),
    ],
    "log_quotient_step": [
        case(lambda x: D.log_quotient_step(x, x + 1, 1.0), floats((-90, -3.0), (-2.0, -1.5), POSITIVE, (10, 100)),
             by_mpmath(lambda x: mpmath.log((x + 1) / x)), (0,)),
        case(lambda x: D.log_quotient_step(x, x + 1, 1.0), _tiny, by_mpmath(lambda x: mpmath.log((x + 1) / x))),
        case(lambda x: D.log_quotient_step(x, x + 1, 1.0), special_values,
             lambda x: np.where(np.isinf(x), 0, np.log((x + 1) / x))),
    ],
    "inverse_step": [
        case(lambda x: D.inverse_step(x, x + 1, 1.0, 1.0), floats(POSITIVE, (-0.8, -0.2), (-3.0, -1.2), (10, 100)),
             by_mpmath(lambda x: 1 / (x + 1) - 1 / x), (0,)),
        case(lambda x: D.inverse_step(x, x + 1, 1.0, 1.0), special_values, lambda x: 1 / (x + 1) - 1 / x),
    ],
    "shifted_root": [
        case(T.shifted_root, pairs(OFF_ZERO, [POSITIVE]), lambda x, y: np.sqrt(x * x + y), (0, 1)),
        case(T.shifted_root, special_pairs, lambda x, y: np.sqrt(x * x + y)),
        case(T.shifted_root, _far, lambda x, y: np.abs(x)),
        case(T.shifted_root, _near, lambda x, y: np.abs(x)),
    ],
    "square_gap": [
        case(D.square_gap, pairs(OFF_ZERO, OFF_ZERO), by_mpmath(lambda x, y: x * x - y * y), (0, 1)),
        case(lambda x: D.square_gap(x, x - x / 1024), floats(*OFF_ZERO),
             by_mpmath(lambda x: x * x - (x - x / 1024) ** 2), (), 2.0**12),
        case(D.square_gap, special_pairs, lambda x, y: x * x - y * y),
        case(D.square_gap, _far, lambda x, y: np.full_like(x, np.inf)),
    ],
    "log1m_square": [
        case(D.log1m_square, floats((-0.9, -0.1), (0.1, 0.9)), by_mpmath(lambda x: mpmath.log(1 - x * x)), (0,)),
        case(D.log1m_square, floats((0.999, 0.9999)), by_mpmath(lambda x: mpmath.log(1 - x * x))),
        case(D.log1m_square, special_values, lambda x: np.log(1 - x * x)),
    ],
    "root_gap": [
        case(D.root_gap, pairs(OFF_ZERO, [POSITIVE]), by_mpmath(lambda x, y: mpmath.sqrt(x * x + y) - x), (0, 1)),
        case(lambda x: D.root_gap(x, 1.0), floats((20, 90), (-90, -20)),
             by_mpmath(lambda x: mpmath.sqrt(x * x + 1) - x), (0,)),
        case(D.root_gap, special_pairs, lambda x, y: np.sqrt(x * x + y) - x),
    ],
    "hypot_gap": [
        case(D.hypot_gap, pairs(OFF_ZERO, OFF_ZERO), by_mpmath(lambda x, y: mpmath.hypot(x, y) - x), (0, 1)),
        case(D.hypot_gap, _ends, by_mpmath(lambda x, y: mpmath.hypot(x, y) - x)),
        case(D.hypot_gap, special_pairs, lambda x, y: _hypot(x, y) - x),
    ],
    "log1p_minus": [
        case(D.log1p_minus, floats((-0.7, -0.1), (0.1, 3.0), (5, 90)),
             by_mpmath(lambda x: mpmath.log(1 + x) - x), (0,)),
        case(D.log1p_minus, floats((-0.01, 0.01)), by_mpmath(lambda x: mpmath.log(1 + x) - x)),
        case(D.log1p_minus, special_values, lambda x: np.log1p(x) - x),
    ],
    "coshm1": [
        case(D.coshm1, floats((-3.0, -0.1), (0.1, 3.0)), by_mpmath(lambda x: mpmath.cosh(x) - 1), (0,)),
        case(D.coshm1, floats((-0.01, 0.01)), by_mpmath(lambda x: mpmath.cosh(x) - 1)),
        case(D.coshm1, special_values, lambda x: np.cosh(x) - 1),
    ],
    "expm1_minus": [
        case(D.expm1_minus, floats((-3.0, -0.1), (0.1, 3.0)), by_mpmath(lambda x: mpmath.expm1(x) - x), (0,)),
        case(D.expm1_minus, floats((-0.01, 0.01)), by_mpmath(lambda x: mpmath.expm1(x) - x)),
        case(D.expm1_minus, special_values, lambda x: np.expm1(x) - x),
    ],
    "inverse_expm1": [
        case(
            D.inverse_expm1, floats((-3.0, -0.1), (0.1, 3.0), (-30, 50)), by_mpmath(lambda x: 1 / mpmath.expm1(x)), (0,)
        ),
        case(D.inverse_expm1, special_values, lambda x: 1 / np.expm1(x)),
    ],
    "expm1_over": [
        case(D.expm1_over, floats((-3.0, -0.1), (0.1, 3.0), (-30, 30)), by_mpmath(lambda x: mpmath.expm1(x) / x), (0,)),
        case(D.expm1_over, _small, by_mpmath(lambda x: 1 + x / 2 + x * x / 6)),
        case(D.expm1_over, special_values, lambda x: np.where(x == 0, 1, np.expm1(x) / x)),
    ],
    "sinh_over": [
        case(D.sinh_over, floats((-3.0, -0.1), (0.1, 3.0)), by_mpmath(lambda x: mpmath.sinh(x) / x), (0,)),
        case(D.sinh_over, _small, by_mpmath(lambda x: 1 + x * x / 6)),
        case(D.sinh_over, special_values, lambda x: np.where(x == 0, 1, np.sinh(x) / x)),
    ],
    "sin_over": [
        case(D.sin_over, floats((-2.5, -0.1), (0.1, 2.5)), by_mpmath(lambda x: mpmath.sin(x) / x), (0,)),
        case(D.sin_over, _small, by_mpmath(lambda x: 1 - x * x / 6)),
        case(D.sin_over, special_values, lambda x: np.where(x == 0, 1, np.sin(x) / x)),
    ],
}  # fmt: skip

"""Cases of the real functions that complex formulas are made of, and of the ops that make and read complex numbers."""

from __future__ import annotations

import mpmath
import numpy as np

from symgraph.op import OPS
from tests.cases import Arrays, Case
from tests.cases.elementwise import OFF_ZERO, POSITIVE, WIDE, Range, by_mpmath, case, pairs, special_pairs

PAST: Range = (1.0, 2.0)
"""How far beyond the range of the exponential."""


def _two_pairs(rng: np.random.Generator, dtype: str) -> Arrays:
    """Numerators and denominators of one sign: no sum of products cancels."""
    above, below = ((7,), (7,)) if rng.integers(2) else ((3, 1), (4,))
    return [rng.uniform(*POSITIVE, shape).astype(dtype) for shape in (above, above, below, below)]


def _far_apart(rng: np.random.Generator, dtype: str) -> Arrays:
    """Parts near both ends of the range whose quotients are in it."""
    info = np.finfo(dtype)
    large, small = float(info.max) * 0.9, float(info.tiny) * 4
    rows = [
        (large, large, large, large), (small, small, small, small), (large, 1.0, large, 0.5), (1.0, small, 2.0, small),
        (small, small, 2 * small, small / 2), (large, large, 8.0, 0.25), (1.0, 1.0, large, small),
    ]  # fmt: skip
    return list(np.array(rows, dtype).T)


def _by_zero(rng: np.random.Generator, dtype: str) -> Arrays:
    numbers = np.array([1.0, -2.0, 0.0, np.inf], dtype)
    return [numbers, numbers[::-1].copy(), np.zeros(4, dtype), np.zeros(4, dtype)]


def _quotient(a: mpmath.mpf, b: mpmath.mpf, c: mpmath.mpf, d: mpmath.mpf) -> mpmath.mpf:
    return (mpmath.mpc(a, b) / mpmath.mpc(c, d)).real


def _beyond(rng: np.random.Generator, dtype: str, log: np.ufunc = np.log) -> Arrays:
    """Arguments whose exponential overflows, with factors that bring it back."""
    top = float(log(np.finfo(dtype).max))
    return [(top + rng.uniform(*PAST, 5)).astype(dtype), (rng.uniform(0.5, 1.0, 5) * 1e-2).astype(dtype)]


def _void(rng: np.random.Generator, dtype: str) -> Arrays:
    return [np.array([np.inf, np.inf, 0.0, 1.0], dtype), np.array([0.0, -0.0, 0.0, -0.0], dtype)]


def _infinite_sides(rng: np.random.Generator, dtype: str) -> Arrays:
    x, y = [np.inf, -np.inf, 3.0, np.inf, np.inf], [0.0, 3.0, -np.inf, np.inf, np.nan]
    return [np.array(x, dtype), np.array(y, dtype)]


def _times(name: str, f: object, ulp: float) -> list[Case]:
    def whole(x: mpmath.mpf, y: mpmath.mpf) -> mpmath.mpf:
        return y * getattr(mpmath, str(f))(x)

    return [
        case(OPS[name], pairs(OFF_ZERO, OFF_ZERO), lambda x, y: y * getattr(np, str(f))(x), (0, 1)),
        # the argument is rounded to the unit of its hundreds
        Case(OPS[name], _beyond, by_mpmath(whole), ulp=ulp),
        case(OPS[name], _void, lambda x, y: y),
    ]


def _root(x: mpmath.mpf, y: mpmath.mpf) -> mpmath.mpc:
    return mpmath.sqrt(mpmath.mpc(x, y))


CASES: dict[str, list[Case]] = {
    "quotient": [
        Case(OPS["quotient"], _two_pairs, by_mpmath(_quotient), (0, 1, 2, 3), 8.0),
        Case(OPS["quotient"], _far_apart, by_mpmath(_quotient), (), 8.0),
        case(OPS["quotient"], _by_zero, lambda a, b, c, d: a / c),
    ],
    "exp_times": _times("exp_times", "exp", 8.0),
    "expm1_times": _times("expm1_times", "expm1", 8.0),
    "exp2_times": [
        case(OPS["exp2_times"], pairs(OFF_ZERO, OFF_ZERO), lambda x, y: y * np.exp2(x), (0, 1)),
        Case(OPS["exp2_times"], lambda rng, d: _beyond(rng, d, np.log2),
             by_mpmath(lambda x, y: y * mpmath.power(2, x))),
        case(OPS["exp2_times"], _void, lambda x, y: y),
    ],
    "cosh_times": _times("cosh_times", "cosh", 8.0),
    "sinh_times": _times("sinh_times", "sinh", 8.0),
    "log_hypot": [
        case(OPS["log_hypot"], pairs([(1.2, 3.0)], [(0.1, 3.0)]), lambda x, y: np.log(np.hypot(x, y)), (0, 1)),
        Case(OPS["log_hypot"], pairs([(1.0, 1.01)], [(0.01, 0.1)]),
             by_mpmath(lambda x, y: mpmath.log(mpmath.hypot(x, y)))),
        case(OPS["log_hypot"], lambda rng, d: [np.array([0.0, np.inf, np.nan, -np.inf], d), np.zeros(4, d)],
             lambda x, y: np.log(np.abs(x))),
    ],
    "log1p_hypot": [
        Case(OPS["log1p_hypot"], pairs([(0.1, 3.0)], [(0.1, 3.0)]),
             by_mpmath(lambda x, y: mpmath.log(mpmath.hypot(1 + x, y))), (0, 1)),
        Case(OPS["log1p_hypot"], pairs([(1e-6, 1e-3)], [(1e-6, 1e-3)]),
             by_mpmath(lambda x, y: mpmath.log(mpmath.hypot(1 + x, y)))),
    ],
    "real_arctanh": [
        Case(OPS["real_arctanh"], pairs(OFF_ZERO, OFF_ZERO),
             by_mpmath(lambda x, y: mpmath.atanh(mpmath.mpc(x, y)).real), (0, 1), 8.0),
        Case(OPS["real_arctanh"], lambda rng, d: [np.array([1e-3, -1e-3, 1.0, 0.0], d), np.array([1.0, 0, 0.1, 2], d)],
             by_mpmath(lambda x, y: mpmath.atanh(mpmath.mpc(x, y)).real), (), 8.0),
        case(OPS["real_arctanh"], lambda rng, d: [np.zeros(2, d), np.array([0.5, -2.0], d)], lambda x, y: x, (0, 1)),
    ],
    "imag_arctanh": [
        Case(OPS["imag_arctanh"], pairs(OFF_ZERO, OFF_ZERO),
             by_mpmath(lambda x, y: mpmath.atanh(mpmath.mpc(x, y)).imag), (0, 1), 8.0),
    ],
    "magnitude": [
        case(OPS["magnitude"], pairs(OFF_ZERO, OFF_ZERO), np.hypot, (0, 1)),
        case(OPS["magnitude"], special_pairs, np.hypot),
    ],
    "direction": [
        case(OPS["direction"], pairs(OFF_ZERO, OFF_ZERO), lambda x, y: x / np.hypot(x, y), (0, 1), 8.0),
        case(OPS["direction"], lambda rng, d: [np.array([0.0, -0.0, 2.0, 0.0], d), np.array([0.0, 0.0, 0.0, 3.0], d)],
             lambda x, y: np.array([0.0, -0.0, 1.0, 0.0])),
        Case(OPS["direction"], lambda rng, d: [np.full(2, np.finfo(d).max), np.array([np.finfo(d).max, 1.0], d)],
             lambda x, y: np.array([np.sqrt(0.5), 1.0])),
        case(OPS["direction"], _infinite_sides, lambda x, y: np.array([1.0, -1.0, 0.0, np.nan, np.nan])),
    ],
    "real_sqrt": [
        Case(OPS["real_sqrt"], pairs([WIDE], OFF_ZERO), by_mpmath(lambda x, y: _root(x, y).real), (0, 1), 8.0)
    ],
    "imag_sqrt": [
        Case(OPS["imag_sqrt"], pairs([WIDE], OFF_ZERO), by_mpmath(lambda x, y: _root(x, y).imag), (0, 1), 8.0)
    ],
}  # fmt: skip

def _recurrence(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    s = b.copy()
    for k in range(1, s.shape[1]):
        s[:, k] += a[:, k] * s[:, k - 1]
    return s


def _part_of_recurrence(imaginary: bool) -> Case:
    def oracle(*parts: np.ndarray) -> np.ndarray:
        ar, ai, br, bi = (part.astype("float64") for part in parts)
        s = _recurrence(ar + 1j * ai, br + 1j * bi)
        return s.imag if imaginary else s.real

    return Case(
        lambda *parts: OPS["complex_recurrence"](*parts, axis=1, imaginary=imaginary),
        lambda rng, dtype: list(rng.uniform(-1, 1, (4, 3, 6)).astype(dtype)), oracle, (0, 1, 2, 3), 64.0, normwise=True,
    )  # fmt: skip


CASES["complex_recurrence"] = [_part_of_recurrence(False), _part_of_recurrence(True)]

OF_COMPLEX = {"real", "imag", "conj", "angle", "complex"}
"""Ops that are something of their own for complex numbers alone: their laws are in tests/complexes."""

"""Differences of values of functions that level off, of sines, of sums of logarithms; and logarithms of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath as mp

import symgraph as sg
from symgraph.graph import Variable
from tests.families import Family, Spelling
from tests.families.differences import same
from tests.families.elements import HUGE, POSITIVE, REAL, apart, at, log1, log1pexp, points, turned
from tests.families.rows import total
from tests.families.special import log_tail

log, sigmoid, tanh, erf, erfc = sg.log, sg.sigmoid, sg.tanh, sg.erf, sg.erfc
ROOT2 = math.sqrt(2)
FAR = [
    (1.0, 0.5), (40.0, 39.0), (-39.0, -40.0), (100.0, -100.0), (17.0, 17.00001), (-17.00001, -17.0), (3.0, -17.0),
    (300.0, 299.5), (-299.5, -300.0), (0.25, 0.2500001), (1e-3, -1e-3), (700.0, 20.0), (6.0, 2.5), (1e-17, -1e-30),
    (9.0, 8.75),
]  # fmt: skip
TAILS = [
    (1.0, 0.5), (3.0, 2.0), (20.0, 19.5), (-19.5, -20.0), (8.0, -8.0), (5.0, 5.00001), (-5.00001, -5.0),
    (0.25, 0.2500001), (1e-3, -1e-3), (6.0, 2.5), (40.0, 0.75), (2.0, 1.75), (0.7, 0.55), (1e-17, -1e-30),
]  # fmt: skip
ORDERED = [(max(p), min(p)) for p in FAR]
TAILS_ORDERED = [(max(p), min(p)) for p in [*TAILS, (40.0, 39.0), (-39.0, -40.0), (300.0, 299.5), (-30.0, -40.0)]]


def difference(f: Callable[[Variable], Variable]) -> dict[str, Spelling]:
    """f(a) - f(b)."""
    return {
        "f(a)-f(b)": lambda a, b: f(a) - f(b),
        "-(f(b)-f(a))": lambda a, b: -(f(b) - f(a)),
        "-f(b)+f(a)": lambda a, b: -f(b) + f(a),
        "f(a)+(-f(b))": lambda a, b: f(a) + (-f(b)),
        "-1*(f(b)-f(a))": lambda a, b: -1 * (f(b) - f(a)),
        "0-(f(b)-f(a))": lambda a, b: 0 - (f(b) - f(a)),
        "2*(half-half)": lambda a, b: 2 * (0.5 * f(a) - 0.5 * f(b)),
        "(3*f-3*f)/3": lambda a, b: (3 * f(a) - f(b) * 3) / 3,
        "f(a*1)-f(b)": lambda a, b: f(a * 1) - f(b),
        "axis between": lambda a, b: (f(a)[None] - f(b)[None])[0],
    }


def logarithm(f: Callable[[Variable], Variable]) -> dict[str, Spelling]:
    """log(f(a) - f(b))."""
    written = {**difference(f), "(f(a)-f(b))*1": lambda a, b: (f(a) - f(b)) * 1}
    del written["(3*f-3*f)/3"]  # 3 times a difference of nearly 1/3 has a logarithm that cancels
    written["1/(1/(f(a)-f(b)))"] = lambda a, b: 1 / (1 / (f(a) - f(b)))
    return {f"log({name})": (lambda a, b, g=g: log(g(a, b))) for name, g in written.items() if name[0] != "0"}


STEP = 2.0**-20


def step(f: Callable[[Variable], Variable]) -> dict[str, Spelling]:
    """f(x + c) - f(x), c small."""
    return {
        "f(x+c)-f(x)": lambda x: f(x + STEP) - f(x),
        "f(c+x)-f(x)": lambda x: f(STEP + x) - f(x),
        "f(x-(-c))-f(x)": lambda x: f(x - (-STEP)) - f(x),
        "-(f(x)-f(x+c))": lambda x: -(f(x) - f(x + STEP)),
        "-f(x)+f(x+c)": lambda x: -f(x) + f(x + STEP),
        "f(x+c)+(-f(x))": lambda x: f(x + STEP) + (-f(x)),
        "0-(...)": lambda x: 0 - (f(x) - f(x + STEP)),
        "-1*(...)": lambda x: -1 * (f(x) - f(x + STEP)),
        "(2*f-2*f)/2": lambda x: (2 * f(x + STEP) - 2 * f(x)) / 2,
        "axis beside": apart(lambda x: f(x + STEP) - f(x)),
        "axis between": turned(same, lambda u: f(u + STEP) - f(u)),
    }


LOG_RATIO: dict[str, Spelling] = {
    "log((x+1)/x)": lambda x: log((x + 1) / x),
    "log((1+x)/x)": lambda x: log((1 + x) / x),
    "-log(x/(x+1))": lambda x: -log(x / (x + 1)),
    "log((x+1)*(1/x))": lambda x: log((x + 1) * (1 / x)),
    "log((x-(-1))/x)": lambda x: log((x - (-1)) / x),
    "-log(x/(1+x))": lambda x: -log(x / (1 + x)),
    "0-log(x/(x+1))": lambda x: 0 - log(x / (x + 1)),
    "log((x+1)*inv(x))": lambda x: log((x + 1) * sg.inv(x)),
    "log(-(x+1)/-x)": lambda x: log(-(x + 1) / -x),
    "axis beside": apart(lambda x: log((x + 1) / x)),
    "axis between": turned(lambda x: (x + 1) / x, log),
}
SUMS: dict[str, Spelling] = {
    "log(x+1).sum()-log(x).sum()": lambda x: total(log(x + 1), False) - total(log(x), False),
    "log1p(x).sum()-log(x).sum()": lambda x: total(sg.log1p(x), False) - total(log(x), False),
    "-(...)": lambda x: -(total(log(x), False) - total(log(x + 1), False)),
    "-sum+sum": lambda x: -total(log(x), False) + total(log(x + 1), False),
    "sum+(-sum)": lambda x: total(log(1 + x), False) + -total(log(x), False),
    "0-(...)": lambda x: 0 - (total(log(x), False) - total(log(x + 1), False)),
    "-1*(...)": lambda x: -1 * (total(log(x), False) - total(log(x + 1), False)),
    "kept": lambda x: (total(log(x + 1)) - total(log(x)))[..., 0],
    "sum of differences": lambda x: total(log(x + 1) - log(x), False),
    "means": lambda x: 4 * (log(x + 1).mean(axis=-1) - log(x).mean(axis=-1)),
    "2*sums": lambda x: total(2 * log(x + 1), False) / 2 - total(2 * log(x), False) / 2,
}
NORMAL: dict[str, Spelling] = {
    "0.5*(1+erf)": lambda a, b: log(0.5 * (1 + erf(a / ROOT2)) - 0.5 * (1 + erf(b / ROOT2))),
    "(1+erf)/2": lambda a, b: log((1 + erf(a / ROOT2)) / 2 - (1 + erf(b / ROOT2)) / 2),
    "0.5*erfc(-)": lambda a, b: log(0.5 * erfc(-a / ROOT2) - 0.5 * erfc(-b / ROOT2)),
    "erfc(-)/2": lambda a, b: log(erfc(-a / ROOT2) / 2 - erfc(-b / ROOT2) / 2),
    "survival": lambda a, b: log(0.5 * erfc(b / ROOT2) - 0.5 * erfc(a / ROOT2)),
    "half of the difference": lambda a, b: log(0.5 * (erf(a / ROOT2) - erf(b / ROOT2))),
    "(erf-erf)/2": lambda a, b: log((erf(a / ROOT2) - erf(b / ROOT2)) / 2),
    "-(...)": lambda a, b: log(-(0.5 * erfc(-b / ROOT2) - 0.5 * erfc(-a / ROOT2))),
    "0.5*erf-0.5*erf": lambda a, b: log(0.5 * erf(a / ROOT2) - 0.5 * erf(b / ROOT2)),
    "axis between": lambda a, b: log((0.5 * (erf(a / ROOT2) - erf(b / ROOT2)))[None])[0],
}


def log_logistic_gap(a: Any, b: Any) -> Any:
    return mp.log(-mp.expm1(b - a)) - log1pexp(-a) - log1pexp(b)


def log_erf_difference(a: Any, b: Any) -> Any:
    """log(erf(a) - erf(b)) for a > b."""
    if a < 0:
        return log_erf_difference(-b, -a)
    if b < 0.5:
        return mp.log(mp.erf(a) - mp.erf(b))
    return log_tail(b) + mp.log(-mp.expm1(log_tail(a) - log_tail(b)))


def erf_difference(a: Any, b: Any) -> Any:
    return mp.erfc(b) - mp.erfc(a) if b > 0 else mp.erf(a) - mp.erf(b)


ROW = [(1e8, 2e8, 3e8, 5e9), (1.0, 2.0, 3.0, 4.0), (1e17, 1e17, 3e16, 1e30), (1e-3, 40.0, 710.0, 1e4)]
FAMILIES = {
    "difference of sigmoids": Family(
        lambda a, b: mp.expm1(a - b) / ((1 + mp.exp(a)) * (1 + mp.exp(-b))) if abs(a - b) < 500 else mp.sign(a - b)
        * mp.exp(log_logistic_gap(max(a, b), min(a, b))), difference(sigmoid), FAR, conditioned=True,
    ),
    "difference of tanhs": Family(
        lambda a, b: mp.sinh(a - b) / mp.cosh(a) / mp.cosh(b), difference(tanh), FAR, conditioned=True,
    ),
    "log of a difference of sigmoids": Family(log_logistic_gap, logarithm(sigmoid), ORDERED, conditioned=True),
    "difference of error functions": Family(erf_difference, difference(erf), TAILS, conditioned=True),
    "log of a difference of error functions": Family(
        log_erf_difference, logarithm(erf), [p for p in TAILS_ORDERED if p[1] < 100], conditioned=True,
    ),
    "log of a normal probability": Family(
        lambda a, b: log_erf_difference(a / mp.sqrt(2), b / mp.sqrt(2)) - mp.log(2), NORMAL,
        [p for p in TAILS_ORDERED if p[1] < 100 and abs(p[0] - p[1]) > 1e-3], conditioned=True,
    ),
    "sin(x+c)-sin(x)": Family(
        lambda v: 2 * mp.sin(STEP / 2) * mp.cos(v + STEP / 2), step(sg.sin),
        points([v for v in REAL if abs(v) < 1e5]), conditioned=True,
    ),
    "cos(x+c)-cos(x)": Family(
        lambda v: -2 * mp.sin(STEP / 2) * mp.sin(v + STEP / 2), step(sg.cos),
        points([v for v in REAL if abs(v) < 1e5]), conditioned=True,
    ),
    "sigmoid(x+c)-sigmoid(x)": Family(
        lambda v: mp.expm1(STEP) / ((1 + mp.exp(v + STEP)) * (1 + mp.exp(-v))),
        step(sigmoid), points([v for v in REAL if abs(v) < 1e3]), at(low=(0, 0), high=(0, 0)), conditioned=True,
    ),
    "erf(x+c)-erf(x)": Family(
        lambda v: erf_difference(v + STEP, v), step(erf),
        points([v for v in REAL if abs(v) < 20]), at(low=(0, 0), high=(0, 0)), conditioned=True,
    ),
    "log((x+1)/x)": Family(
        lambda v: log1(1 / v), LOG_RATIO, points([*[v for v in POSITIVE if v], *HUGE[-4:], -40.0, -1.0001, -1e17]),
        at(high=(0, 0)), conditioned=True,
    ),
    "log(x+1).sum()-log(x).sum()": Family(
        lambda x: sum(log1(1 / v) for v in x), SUMS, ROW, rows=True, conditioned=True,
    ),
}  # fmt: skip

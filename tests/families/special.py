"""The error function, the gamma function, and what is left of a cosine."""

from __future__ import annotations

import math
from typing import Any

import mpmath as mp

import symgraph as sg
from tests.families import Family, Spelling
from tests.families.elements import ELEMENTS, HUGE, INF, REAL, apart, at, points, turned

e, log, erf, erfc = sg.exp, sg.log, sg.erf, sg.erfc
ROOT2, ROOT_HALF = math.sqrt(2), math.sqrt(0.5)


def tail(v: Any) -> Any:
    """erfc, exact where it is tiny."""
    with mp.workdps(mp.mp.dps + 20):
        return mp.erfc(v)


# erfc(1e4) is exp(-1e8): its logarithm by the asymptotic series
def log_tail(v: Any) -> Any:
    if v < 100:
        return mp.log(tail(v))
    term, total = mp.mpf(1), mp.mpf(1)
    for k in range(1, 60):
        term *= -(2 * k - 1) / (2 * v * v)
        total += term
    return -v * v - mp.log(v * mp.sqrt(mp.pi)) + mp.log(total)


ERFC: dict[str, Spelling] = {
    "1-erf(x)": lambda x: 1 - erf(x),
    "1+erf(-x)": lambda x: 1 + erf(-x),
    "-(erf(x)-1)": lambda x: -(erf(x) - 1),
    "1+(-erf(x))": lambda x: 1 + (-erf(x)),
    "0-(erf(x)-1)": lambda x: 0 - (erf(x) - 1),
    "-1*erf(x)+1": lambda x: -1 * erf(x) + 1,
    "2*(0.5-0.5*erf(x))": lambda x: 2 * (0.5 - 0.5 * erf(x)),
    "2*(0.5-erf(x)/2)": lambda x: 2 * (0.5 - erf(x) / 2),
    "2-erfc(-x)": lambda x: 2 - erfc(-x),
    "2*(1-0.5*erfc(-x))": lambda x: 2 * (1 - 0.5 * erfc(-x)),
    "axis between": turned(erf, lambda u: 1 - u),
}
LOG_ERFC: dict[str, Spelling] = {
    "log(erfc(x))": lambda x: log(erfc(x)),
    **{f"log({name})": (lambda x, f=f: log(f(x))) for name, f in ERFC.items()},
    "log1p(erf(0-x))": lambda x: sg.log1p(erf(0 - x)),
    "log1p(-erf(x))": lambda x: sg.log1p(-erf(x)),
    "log1p(erf(-x))": lambda x: sg.log1p(erf(-x)),
    "-log(1/erfc(x))": lambda x: -log(1 / erfc(x)),
}
LOG_NORMAL: dict[str, Spelling] = {
    "0.5*(1+erf)": lambda x: log(0.5 * (1 + erf(x / ROOT2))),
    "(1+erf)/2": lambda x: log((1 + erf(x * ROOT_HALF)) / 2),
    "0.5+0.5*erf": lambda x: log(0.5 + 0.5 * erf(x / ROOT2)),
    "0.5+erf/2": lambda x: log(0.5 + erf(x / ROOT2) / 2),
    "0.5*erfc(-x)": lambda x: log(0.5 * erfc(-x / ROOT2)),
    "erfc(-x)/2": lambda x: log(erfc(-x * ROOT_HALF) / 2),
    "1-0.5*erfc(x)": lambda x: log(1 - 0.5 * erfc(x / ROOT2)),
    "1-(1-cdf)": lambda x: log(1 - 0.5 * (1 - erf(x / ROOT2))),
    "0.5-0.5*erf(-x)": lambda x: log(0.5 - 0.5 * erf(-x / ROOT2)),
    "log1p(-survival)": lambda x: sg.log1p(-0.5 * erfc(x / ROOT2)),
    "sqrt(2) of the graph": lambda x: log(0.5 * (1 + erf(x / sg.sqrt(2.0)))),
    "erf, axis between": turned(lambda x: erf(x / ROOT2), lambda u: log(0.5 * (1 + u))),
}
ERFCX: dict[str, Spelling] = {
    "exp(x**2)*erfc(x)": lambda x: e(x**2) * erfc(x),
    "erfc(x)*exp(x*x)": lambda x: erfc(x) * e(x * x),
    "exp(x**2)*(1-erf(x))": lambda x: e(x**2) * (1 - erf(x)),
    "(1-erf(x))*exp(x**2)": lambda x: (1 - erf(x)) * e(x**2),
    "erfc(x)/exp(-x**2)": lambda x: erfc(x) / e(-(x**2)),
    "2*exp(x**2)*(0.5-0.5*erf(x))": lambda x: 2 * e(x**2) * (0.5 - 0.5 * erf(x)),
    "-(-exp(x**2)*erfc(x))": lambda x: -(-e(x**2) * erfc(x)),
    "exp(abs(x)**2)*erfc(x)": lambda x: e(sg.abs(x) ** 2) * erfc(x),
    "erfcx(x)": lambda x: sg.erfcx(x),
    "axis beside": apart(lambda x: e(x**2) * erfc(x)),
}
ONE_MINUS_COSINE: dict[str, Spelling] = {
    "1-cos(x)": lambda x: 1 - sg.cos(x),
    "1-cos(-x)": lambda x: 1 - sg.cos(-x),
    "-(cos(x)-1)": lambda x: -(sg.cos(x) - 1),
    "1+(-cos(x))": lambda x: 1 + (-sg.cos(x)),
    "-cos(x)+1": lambda x: -sg.cos(x) + 1,
    "0.5*(2-2*cos(x))": lambda x: 0.5 * (2 - 2 * sg.cos(x)),
    "2*(0.5-0.5*cos(x))": lambda x: 2 * (0.5 - 0.5 * sg.cos(x)),
    "-1*cos(x)+1": lambda x: -1 * sg.cos(x) + 1,
    "2*sin(x/2)**2": lambda x: 2 * sg.sin(x / 2) ** 2,
    "axis between": turned(sg.cos, lambda c: 1 - c),
}
LOG_GAMMA: dict[str, Spelling] = {
    "log(gamma(x))": lambda x: log(sg.gamma(x)),
    "-log(1/gamma(x))": lambda x: -log(1 / sg.gamma(x)),
    "0.5*log(gamma(x)**2)": lambda x: 0.5 * log(sg.gamma(x) ** 2),
    "log(abs(gamma(x)))": lambda x: log(sg.abs(sg.gamma(x))),
    "2*log(sqrt(gamma(x)))": lambda x: 2 * log(sg.sqrt(sg.gamma(x))),
    "log(2*gamma)-": lambda x: log(2 * sg.gamma(x) / 2),
    "log(1/(1/gamma))": lambda x: log(1 / (1 / sg.gamma(x))),
    "log(gamma), axis between": turned(sg.gamma, log),
    "log(exp(gammaln))": lambda x: log(e(sg.gammaln(x))),
    "gammaln": lambda x: sg.gammaln(x),
}

FAMILIES = {
    "erfc": Family(tail, ERFC, ELEMENTS, at(low=(2, 0), high=(0, 0))),
    "log of erfc": Family(log_tail, LOG_ERFC, ELEMENTS, at(low=(math.log(2), 0), high=(-INF, -INF))),
    "log of the normal distribution": Family(
        lambda v: log_tail(-v * mp.sqrt(0.5)) - mp.log(2), LOG_NORMAL, ELEMENTS, at(low=(-INF, INF), high=(0, 0)),
        conditioned=True,
    ),
    "erfcx": Family(
        lambda v: mp.exp(v * v) * tail(v), ERFCX,
        # not at 3: its slope, 2*x*erfcx(x) - 2/sqrt(pi), cancels there, and is 28 ulp off
        points([v for v in REAL if abs(v) < 1e3 and v > -30 and v != 3]), at(high=(0, 0)), conditioned=True,
    ),
    "1 - cos": Family(
        lambda v: 2 * mp.sin(v / 2) ** 2, ONE_MINUS_COSINE, points([v for v in REAL if abs(v) < 1e3]), conditioned=True,
    ),
    "log of gamma": Family(
        mp.loggamma, LOG_GAMMA, points([v for v in HUGE if v > 1e-18] + [170.0, 180.0, INF]), at(high=(INF, INF)),
        conditioned=True,
    ),
}  # fmt: skip

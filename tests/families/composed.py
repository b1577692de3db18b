"""Powers of exponentials and of what is near 1, and the complementary log-log."""

from __future__ import annotations

from typing import Any

import mpmath as mp

import symgraph as sg
from tests.families import Family, Spelling
from tests.families.elements import ELEMENTS, INF, POSITIVE, SIZES, apart, at, log1, points, turned

e, log, expm1 = sg.exp, sg.log, sg.expm1
PAIRS = [
    (0.0, 3.0), (1.0, 0.5), (40.0, 2.5), (-40.0, 1.5), (710.0, 0.5), (710.0, -1.5), (-746.0, 0.25), (1e4, 1e-3),
    (-1e4, 5e-3), (1e4, -1e-3), (0.3, -2.0), (87.0, 1.25), (-104.0, 0.7), (1e-17, 1e17), (17.0, 0.0), (1e4, 0.0),
    (-1e4, 0.0), (1e4, 3.0), (-1e4, 3.0),
]  # fmt: skip
GROWTH = [
    (1e-17, 1e17), (1e-17, 3.0), (1e-3, 1e3), (1e-7, 1e7), (1e-7, 1e8), (-1e-7, 1e7), (0.5, 40.0), (3.0, 17.0),
    (-0.5, 40.0), (1e-30, 1e30), (1e-3, -1e3), (1e-5, 1e6), (1e-20, 0.5), (1e-3, 0.5), (-1e-3, 1e-3), (0.25, 1e-20),
    (2.0**-30, 2.0**30), (40.0, -3.0), (1e10, 0.1), (0.0, 17.0), (17.0, 0.0), (0.1, 1e4), (-0.1, 1e4), (1e-8, 9e10),
]  # fmt: skip
SHARES = [
    (1.0, 1.0), (1.0, 1e3), (1.0, 1e8), (1.0, 1e17), (1.0, 1e-3), (-0.5, 1e5), (3.0, 17.0), (40.0, 1e4), (80.0, 1e15),
    (-40.0, 1e7), (0.5, 3.0), (1e-7, 40.0), (1e4, 1e3), (1.0, 1e-17), (-3.0, 40.0),
]  # fmt: skip

POWER_OF_EXP: dict[str, Spelling] = {
    "exp(x)**s": lambda x, s: e(x) ** s,
    "1/exp(-x)**s": lambda x, s: 1 / e(-x) ** s,
    "(1/exp(-x))**s": lambda x, s: (1 / e(-x)) ** s,
    "exp(x)**(s*1)": lambda x, s: e(x) ** (s * 1),
    "1/exp(x)**-s": lambda x, s: 1 / e(x) ** -s,
    "sqrt(exp(2x))**s": lambda x, s: sg.sqrt(e(2 * x)) ** s,
    "sqrt(exp(x)**(2s))": lambda x, s: sg.sqrt(e(x) ** (2 * s)),
    "(exp(x/2)**s)**2": lambda x, s: (e(x / 2) ** s) ** 2,
    "exp(x*s)": lambda x, s: e(x * s),
    "pow": lambda x, s: sg.pow(e(x), s),
    "axis between": lambda x, s: (e(x)[None] ** s[None])[0],
}
LOG_POWER_OF_EXP: dict[str, Spelling] = {
    **{f"log({name})": (lambda x, s, f=f: log(f(x, s))) for name, f in POWER_OF_EXP.items()},
    "s*log(exp(x))": lambda x, s: s * log(e(x)),
}
CUBE_OF_EXP: dict[str, Spelling] = {
    "log(exp(x)**3)": lambda x: log(e(x) ** 3),
    "log(exp(x)**3.0)": lambda x: log(e(x) ** 3.0),
    "2*log(exp(x)**1.5)": lambda x: 2 * log(e(x) ** 1.5),
    "-log(exp(x)**-3)": lambda x: -log(e(x) ** -3),
    "log(exp(x)*exp(x)*exp(x))": lambda x: log(e(x) * e(x) * e(x)),
    "log(exp(x)**2*exp(x))": lambda x: log(e(x) ** 2 * e(x)),
    "6*log(sqrt(exp(x)))": lambda x: 6 * log(sg.sqrt(e(x))),
    "3*log(exp(-x)**-1)": lambda x: 3 * log(e(-x) ** -1),
    "log(sqrt(exp(x))**6)": lambda x: log(sg.sqrt(e(x)) ** 6),
    "axis beside": apart(lambda x: log(e(x) ** 3)),
    "axis between": turned(lambda x: e(x) ** 3, log),
}
COMPOUND: dict[str, Spelling] = {
    "(1+x)**y": lambda x, y: (1 + x) ** y,
    "(x+1)**y": lambda x, y: (x + 1) ** y,
    "(1-(-x))**y": lambda x, y: (1 - (-x)) ** y,
    "(x-(-1))**y": lambda x, y: (x - (-1)) ** y,
    "1/(1+x)**-y": lambda x, y: 1 / (1 + x) ** -y,
    "pow": lambda x, y: sg.pow(1 + x, y),
    "(1/(1+x))**-y": lambda x, y: (1 / (1 + x)) ** -y,
    "(1+x*1)**y": lambda x, y: (1 + x * 1) ** y,
    "2*(...)/2": lambda x, y: 2 * (1 + x) ** y / 2,
    "axis between": lambda x, y: ((1 + x)[None] ** y[None])[0],
}
COMPOUND_MINUS_ONE: dict[str, Spelling] = {
    **{f"{name}-1": (lambda x, y, f=f: f(x, y) - 1) for name, f in COMPOUND.items()},
    "-(1-(1+x)**y)": lambda x, y: -(1 - (1 + x) ** y),
    "-1+(1+x)**y": lambda x, y: -1 + (1 + x) ** y,
}
THOUSAND: dict[str, Spelling] = {
    "(1+x)**1000-1": lambda x: (1 + x) ** 1000 - 1,
    "(x+1)**1000-1": lambda x: (x + 1) ** 1000 - 1,
    "(1+x)**1000.0-1": lambda x: (1 + x) ** 1000.0 - 1,
    "-1+(1+x)**1000": lambda x: -1 + (1 + x) ** 1000,
    "-(1-(1+x)**1000)": lambda x: -(1 - (1 + x) ** 1000),
    "(1+x)**1000+(-1)": lambda x: (1 + x) ** 1000 + (-1),
    "0-(1-(1+x)**1000)": lambda x: 0 - (1 - (1 + x) ** 1000),
    "1/(1+x)**-1000-1": lambda x: 1 / (1 + x) ** -1000 - 1,
    "exp(1000*log1p(x))-1": lambda x: e(1000 * sg.log1p(x)) - 1,
    "axis beside": apart(lambda x: (1 + x) ** 1000 - 1),
    "axis between": turned(lambda x: (1 + x) ** 1000, lambda u: u - 1),
}
SQUARE_MINUS_ONE: dict[str, Spelling] = {
    "(1+x)**2-1": lambda x: (1 + x) ** 2 - 1,
    "(x+1)**2-1": lambda x: (x + 1) ** 2 - 1,
    "sqr(1+x)-1": lambda x: sg.sqr(1 + x) - 1,
    "(1+x)*(1+x)-1": lambda x: (1 + x) * (1 + x) - 1,
    "-1+(1+x)**2": lambda x: -1 + (1 + x) ** 2,
    "-(1-(1+x)**2)": lambda x: -(1 - (1 + x) ** 2),
    "0-(1-(1+x)**2)": lambda x: 0 - (1 - (1 + x) ** 2),
    "(1+x)**2+(-1)": lambda x: (1 + x) ** 2 + (-1),
    "abs(1+x)**2-1": lambda x: sg.abs(1 + x) ** 2 - 1,
    "x*(x+2)": lambda x: x * (x + 2),
    "axis beside": apart(lambda x: (1 + x) ** 2 - 1),
}
POWER_MINUS_ONE: dict[str, Spelling] = {
    "x**y-1": lambda x, y: x**y - 1,
    "-1+x**y": lambda x, y: -1 + x**y,
    "x**y+(-1)": lambda x, y: x**y + (-1),
    "-(1-x**y)": lambda x, y: -(1 - x**y),
    "0-(1-x**y)": lambda x, y: 0 - (1 - x**y),
    "-1*(1-x**y)": lambda x, y: -1 * (1 - x**y),
    "pow-1": lambda x, y: sg.pow(x, y) - 1,
    "(1/x)**-y-1": lambda x, y: (1 / x) ** -y - 1,
    "1*x**y-1": lambda x, y: 1 * x**y - 1,
    "axis between": lambda x, y: (x**y)[None][0] - 1,
}
LOG_VARIABLE_POWER: dict[str, Spelling] = {
    "log(x**y)": lambda x, y: log(x**y),
    "log(pow)": lambda x, y: log(sg.pow(x, y)),
    "-log(x**-y)": lambda x, y: -log(x**-y),
    "-log((1/x)**y)": lambda x, y: -log((1 / x) ** y),
    "log((1/x)**-y)": lambda x, y: log((1 / x) ** -y),
    "log(1*x**y)": lambda x, y: log(1 * x**y),
    "0-log(x**-y)": lambda x, y: 0 - log(x**-y),
    "log((x*1)**y)": lambda x, y: log((x * 1) ** y),
    "2*log(x**y)/2": lambda x, y: 2 * log(x**y) / 2,
    "log(x[None]**y[None])": lambda x, y: log(x[None] ** y[None])[0],
    "axis between": lambda x, y: log((x**y)[None])[0],
}
LOG_COMPOUND: dict[str, Spelling] = {
    **{f"log of {name}": (lambda x, y, f=f: log(f(x, y))) for name, f in COMPOUND.items() if "2*" not in name},
    "-log((1+x)**-y)": lambda x, y: -log((1 + x) ** -y),
}
SHARE: dict[str, Spelling] = {
    "(1+x/n)**n": lambda x, n: (1 + x / n) ** n,
    "(x/n+1)**n": lambda x, n: (x / n + 1) ** n,
    "(1+x*(1/n))**n": lambda x, n: (1 + x * (1 / n)) ** n,
    "(1-(-x)/n)**n": lambda x, n: (1 - (-x) / n) ** n,
    "1/(1+x/n)**-n": lambda x, n: 1 / (1 + x / n) ** -n,
    "(1+x*n**-1)**n": lambda x, n: (1 + x * n**-1) ** n,
    "pow": lambda x, n: sg.pow(1 + x / n, n),
    "(1+x*inv(n))**n": lambda x, n: (1 + x * sg.inv(n)) ** n,
    "2*(...)/2": lambda x, n: 2 * (1 + x / n) ** n / 2,
    "axis between": lambda x, n: ((1 + x / n)[None] ** n[None])[0],
}
EULER: dict[str, Spelling] = {
    "(1+1/x)**x": lambda x: (1 + 1 / x) ** x,
    "(1/x+1)**x": lambda x: (1 / x + 1) ** x,
    "(1+x**-1)**x": lambda x: (1 + x**-1) ** x,
    "(1+inv(x))**x": lambda x: (1 + sg.inv(x)) ** x,
    "(1-1/-x)**x": lambda x: (1 - 1 / -x) ** x,
    "1/(1+1/x)**-x": lambda x: 1 / (1 + 1 / x) ** -x,
    "pow": lambda x: sg.pow(1 + 1 / x, x),
    "2*(...)/2": lambda x: 2 * (1 + 1 / x) ** x / 2,
    "axis beside": apart(lambda x: (1 + 1 / x) ** x),
    "axis between": turned(lambda x: 1 / x, lambda u: (1 + u) ** (1 / u)),
}
CLOGLOG: dict[str, Spelling] = {
    "log(1-exp(-exp(x)))": lambda x: log(1 - e(-e(x))),
    "log(-(exp(-exp(x))-1))": lambda x: log(-(e(-e(x)) - 1)),
    "log1p(-exp(-exp(x)))": lambda x: sg.log1p(-e(-e(x))),
    "log(-expm1(-exp(x)))": lambda x: log(-expm1(-e(x))),
    "log(1-1/exp(exp(x)))": lambda x: log(1 - 1 / e(e(x))),
    "log1mexp(-exp(x))": lambda x: sg.log1mexp(-e(x)),
    "-log(1/(1-exp(-exp(x))))": lambda x: -log(1 / (1 - e(-e(x)))),
    "log(1+-exp(-exp(x)))": lambda x: log(1 + -e(-e(x))),
    "log(1-exp(-1/exp(-x)))": lambda x: log(1 - e(-1 / e(-x))),
    "axis beside": apart(lambda x: log(1 - e(-e(x)))),
    "axis between": turned(lambda x: e(-e(x)), lambda u: log(1 - u)),
}


def cloglog(v: Any) -> Any:
    """log(1 - exp(-exp(v))), about v far below 0."""
    t = mp.exp(v)
    return v - t / 2 if v < -1000 else mp.log(-mp.expm1(-t)) if t < 1000 else -mp.exp(-t)


def grown(x: Any, y: Any) -> Any:
    return mp.exp(y * log1(x))


FAMILIES = {
    "power of an exponential": Family(lambda x, s: mp.exp(x * s), POWER_OF_EXP, PAIRS, conditioned=True),
    "log of a power of an exponential": Family(lambda x, s: x * s, LOG_POWER_OF_EXP, PAIRS, conditioned=True),
    "log of the cube of an exponential": Family(
        lambda v: 3 * v, CUBE_OF_EXP, ELEMENTS, at(low=(-INF, 3), high=(INF, 3)), conditioned=True,
    ),
    "(1+x)**y": Family(grown, COMPOUND, GROWTH, conditioned=True),
    "log of a variable power": Family(
        lambda x, y: y * mp.log(x), LOG_VARIABLE_POWER,
        [(x, y) for x in (1e-30, 1e-7, 0.5, 1.0, 1 + 2**-20, 3.0, 1e4, 1e30)
         for y in (-1e4, -40.0, -0.5, 0.0, 2.5, 710.0)],
        conditioned=True,
    ),
    "log((1+x)**y)": Family(lambda x, y: y * log1(x), LOG_COMPOUND, GROWTH, conditioned=True),
    "(1+x)**y-1": Family(lambda x, y: mp.expm1(y * log1(x)), COMPOUND_MINUS_ONE, GROWTH, conditioned=True),
    "x**y-1": Family(
        lambda x, y: mp.expm1(y * mp.log(x)), POWER_MINUS_ONE,
        [(3.0, 1e-10), (0.5, 1e-17), (1e-30, -1e-7), (40.0, 2.5), (1e17, 1e-3), (1.5, -3.0), (1e-17, 0.25), (3.0, 0.0)],
        conditioned=True,
    ),
    "(1+x)**2-1": Family(
        lambda v: v * (v + 2), SQUARE_MINUS_ONE, points([v for v in [*SIZES, *[-v for v in SIZES]] if v != -1]),
        conditioned=True,
    ),
    "(1+x)**1000-1": Family(
        lambda v: mp.expm1(1000 * log1(v)), THOUSAND,
        points([0.0, 1e-30, 1e-17, 1e-7, -1e-7, 1e-3, -1e-3, 0.01, -0.5, 1e-5, -1e-17]), at(zero=(0, 1000)),
        conditioned=True,
    ),
    "(1+x/n)**n": Family(lambda x, n: grown(x / n, n), SHARE, SHARES, conditioned=True),
    "(1+1/x)**x": Family(
        lambda v: mp.exp(v * log1(1 / v)), EULER, points([v for v in POSITIVE[3:] if v < INF] + [1e8, 1e17, 1e30]),
        conditioned=True,
    ),
    "log(1-exp(-exp(x)))": Family(cloglog, CLOGLOG, ELEMENTS, at(low=(-INF, 1), high=(0, 0)), conditioned=True),
}  # fmt: skip

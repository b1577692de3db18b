"""Powers of exponentials, and their logarithms."""

from __future__ import annotations

import mpmath as mp

import symgraph as sg
from tests.families import Family, Spelling
from tests.families.elements import ELEMENTS, INF, apart, at, turned

e, log = sg.exp, sg.log
PAIRS = [
    (0.0, 3.0), (1.0, 0.5), (40.0, 2.5), (-40.0, 1.5), (710.0, 0.5), (710.0, -1.5), (-746.0, 0.25), (1e4, 1e-3),
    (-1e4, 5e-3), (1e4, -1e-3), (0.3, -2.0), (87.0, 1.25), (-104.0, 0.7), (1e-17, 1e17), (17.0, 0.0), (1e4, 0.0),
    (-1e4, 0.0), (1e4, 3.0), (-1e4, 3.0),
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

FAMILIES = {
    "power of an exponential": Family(lambda x, s: mp.exp(x * s), POWER_OF_EXP, PAIRS, conditioned=True),
    "log of a power of an exponential": Family(lambda x, s: x * s, LOG_POWER_OF_EXP, PAIRS, conditioned=True),
    "log of the cube of an exponential": Family(
        lambda v: 3 * v, CUBE_OF_EXP, ELEMENTS, at(low=(-INF, 3), high=(INF, 3)), conditioned=True,
    ),
}  # fmt: skip

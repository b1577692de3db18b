"""The hyperbolic functions, their inverses, and logarithms of them."""

from __future__ import annotations

import math

import mpmath as mp

import symgraph as sg
from tests.families import Family, Spelling
from tests.families.elements import ELEMENTS, INF, POSITIVE, REAL, apart, at, log1, log1pexp, points, turned

e, log, tanh, sigmoid = sg.exp, sg.log, sg.tanh, sg.sigmoid

TANH: dict[str, Spelling] = {
    "sinh/cosh": lambda x: sg.sinh(x) / sg.cosh(x),
    "ratio": lambda x: (e(x) - e(-x)) / (e(x) + e(-x)),
    "ratio, swapped": lambda x: (e(x) - e(-x)) / (e(-x) + e(x)),
    "(exp(2x)-1)/(exp(2x)+1)": lambda x: (e(2 * x) - 1) / (e(2 * x) + 1),
    "(1-exp(-2x))/(1+exp(-2x))": lambda x: (1 - e(-2 * x)) / (1 + e(-2 * x)),
    "expm1 ratio": lambda x: sg.expm1(2 * x) / (1 + e(2 * x)),
    "2*s-1": lambda x: 2 * sigmoid(2 * x) - 1,
    "1-2*s": lambda x: 1 - 2 * sigmoid(-2 * x),
    "2/(1+exp)-1": lambda x: 2 / (1 + e(-2 * x)) - 1,
    "1-2/(exp+1)": lambda x: 1 - 2 / (e(2 * x) + 1),
    "-(1-2s)": lambda x: -(1 - 2 / (1 + e(-2 * x))),
    "s-s(-)": lambda x: sigmoid(2 * x) - sigmoid(-2 * x),
    "-1+2s": lambda x: -1 + 2 * sigmoid(2 * x),
    "axis beside": apart(lambda x: (e(x) - e(-x)) / (e(x) + e(-x))),
}
SINH: dict[str, Spelling] = {
    "(exp(x)-exp(-x))/2": lambda x: (e(x) - e(-x)) / 2,
    "0.5*(exp(x)-exp(-x))": lambda x: 0.5 * (e(x) - e(-x)),
    "0.5*exp-0.5*exp": lambda x: 0.5 * e(x) - 0.5 * e(-x),
    "exp/2-exp/2": lambda x: e(x) / 2 - e(-x) / 2,
    "(exp(x)-1/exp(x))/2": lambda x: (e(x) - 1 / e(x)) / 2,
    "-(exp(-x)-exp(x))/2": lambda x: -(e(-x) - e(x)) / 2,
    "(-exp(-x)+exp(x))/2": lambda x: (-e(-x) + e(x)) / 2,
    "(exp(x)+(-exp(-x)))*0.5": lambda x: (e(x) + (-e(-x))) * 0.5,
    "(exp(2x)-1)/(2*exp(x))": lambda x: (e(2 * x) - 1) / (2 * e(x)),
    "axis beside": apart(lambda x: (e(x) - e(-x)) / 2),
}
SECH2: dict[str, Spelling] = {
    "1-tanh**2": lambda x: 1 - tanh(x) ** 2,
    "1-tanh*tanh": lambda x: 1 - tanh(x) * tanh(x),
    "1+(-t*t)": lambda x: 1 + -(tanh(x) * tanh(x)),
    "-(t**2-1)": lambda x: -(sg.sqr(tanh(x)) - 1),
    "(1-t)*(1+t)": lambda x: (1 - tanh(x)) * (1 + tanh(x)),
    "1/cosh**2": lambda x: 1 / sg.cosh(x) ** 2,
    "(1/cosh)**2": lambda x: (1 / sg.cosh(x)) ** 2,
    "cosh**-2": lambda x: sg.cosh(x) ** -2,
    "4/(exp+exp)**2": lambda x: 4 / (e(x) + e(-x)) ** 2,
    "1-((exp(2x)-1)/(exp(2x)+1))**2": lambda x: 1 - ((e(2 * x) - 1) / (e(2 * x) + 1)) ** 2,
    "4*s*(1-s)": lambda x: 4 * sigmoid(2 * x) * (1 - sigmoid(2 * x)),
    "1-tanh**2, axis between": turned(tanh, lambda t: 1 - t**2),
}
LOG_COSH: dict[str, Spelling] = {
    "log(cosh(x))": lambda x: log(sg.cosh(x)),
    "log(cosh(-x))": lambda x: log(sg.cosh(-x)),
    "log((exp+exp)/2)": lambda x: log((e(x) + e(-x)) / 2),
    "log(0.5*(exp+exp))": lambda x: log(0.5 * (e(-x) + e(x))),
    "log(0.5*exp+0.5*exp)": lambda x: log(0.5 * e(x) + 0.5 * e(-x)),
    "log(exp/2+exp/2)": lambda x: log(e(x) / 2 + e(-x) / 2),
    "-log(1/cosh)": lambda x: -log(1 / sg.cosh(x)),
    "log(sqrt(cosh**2))": lambda x: log(sg.sqrt(sg.cosh(x) ** 2)),
    "0.5*log(cosh**2)": lambda x: 0.5 * log(sg.cosh(x) ** 2),
    "-log(1-tanh**2)/2": lambda x: -0.5 * log(1 - tanh(x) ** 2),
    "log cosh, axis between": turned(sg.cosh, log),
}
LOG_SINH: dict[str, Spelling] = {
    "log(sinh)": lambda x: log(sg.sinh(x)),
    "log((exp-exp)/2)": lambda x: log((e(x) - e(-x)) / 2),
    "log(0.5*(exp-exp))": lambda x: log(0.5 * (e(x) - e(-x))),
    "log(-(exp(-)-exp)/2)": lambda x: log(-(e(-x) - e(x)) / 2),
    "log(-sinh(-))": lambda x: log(-sg.sinh(-x)),
    "log(exp-exp)-log(2)": lambda x: log(e(x) - e(-x)) - math.log(2),
    "log(2*sinh)-log(2)": lambda x: log(2 * sg.sinh(x)) - math.log(2),
    "2*log(sinh)/2": lambda x: 2 * log(sg.sinh(x)) / 2,
    "-1*-log(sinh)": lambda x: -1 * -log(sg.sinh(x)),
    "axis between": turned(sg.sinh, log),
}
ARCSINH: dict[str, Spelling] = {
    "log(x+sqrt(x**2+1))": lambda x: log(x + sg.sqrt(x**2 + 1)),
    "log(x+sqrt(1+x*x))": lambda x: log(x + sg.sqrt(1 + x * x)),
    "log(sqrt(x**2+1)+x)": lambda x: log(sg.sqrt(x**2 + 1) + x),
    "-log(-x+sqrt(...))": lambda x: -log(-x + sg.sqrt(x**2 + 1)),
    "-log(sqrt(...)-x)": lambda x: -log(sg.sqrt(x**2 + 1) - x),
    "(x**2+1)**0.5": lambda x: log(x + (x**2 + 1) ** 0.5),
    "abs(x)**2": lambda x: log(x + sg.sqrt(sg.abs(x) ** 2 + 1)),
    "log(x-(-sqrt(...)))": lambda x: log(x - (-sg.sqrt(x**2 + 1))),
    "arcsinh(x)": lambda x: sg.arcsinh(x),
    "-arcsinh(-x)": lambda x: -sg.arcsinh(-x),
    "axis beside": apart(lambda x: log(x + sg.sqrt(x**2 + 1))),
}
ARCTANH: dict[str, Spelling] = {
    "log((1+x)/(1-x))/2": lambda x: log((1 + x) / (1 - x)) / 2,
    "0.5*log((x+1)/(1-x))": lambda x: 0.5 * log((x + 1) / (1 - x)),
    "(log(1+x)-log(1-x))/2": lambda x: (log(1 + x) - log(1 - x)) / 2,
    "0.5*(log1p(x)-log1p(-x))": lambda x: 0.5 * (sg.log1p(x) - sg.log1p(-x)),
    "-log((1-x)/(1+x))/2": lambda x: -log((1 - x) / (1 + x)) / 2,
    "log(sqrt((1+x)/(1-x)))": lambda x: log(sg.sqrt((1 + x) / (1 - x))),
    "0.5*log((1+x)*(1/(1-x)))": lambda x: 0.5 * log((1 + x) * (1 / (1 - x))),
    "arctanh(x)": lambda x: sg.arctanh(x),
    "-arctanh(-x)": lambda x: -sg.arctanh(-x),
    "axis beside": apart(lambda x: 0.5 * log((1 + x) / (1 - x))),
}

FAMILIES = {
    "tanh": Family(mp.tanh, TANH, ELEMENTS, at(low=(-1, 0), high=(1, 0))),
    "sinh": Family(mp.sinh, SINH, ELEMENTS, at(low=(-INF, INF), high=(INF, INF))),
    "complement of tanh": Family(lambda v: 1 / mp.cosh(v) ** 2, SECH2, ELEMENTS, at(low=(0, 0), high=(0, 0)),
    ),
    "log of cosh": Family(
        lambda v: log1(2 * mp.sinh(v / 2) ** 2) if abs(v) < 1 else log1pexp(2 * v) - v - mp.log(2), LOG_COSH, ELEMENTS,
        at(low=(INF, -1), high=(INF, 1)),
    ),
    "log of sinh": Family(
        lambda v: v + mp.log(-mp.expm1(-2 * v)) - mp.log(2), LOG_SINH, points(POSITIVE),
        at(high=(INF, 1), zero=(-INF, INF)), conditioned=True,
    ),
    "arcsinh": Family(mp.asinh, ARCSINH, points([*REAL, 1e17, -1e170]), at(low=(-INF, 0), high=(INF, 0))),
    "arctanh": Family(
        mp.atanh, ARCTANH, points([v for v in REAL if abs(v) < 1] + [0.999, -0.999]), conditioned=True,
    ),
}  # fmt: skip

"""Exponentials and logarithms with one taken away or added, and each of the other."""

from __future__ import annotations

import math

import mpmath as mp

import symgraph as sg
from tests.families import Family, Spelling
from tests.families.elements import ELEMENTS, HUGE, INF, POSITIVE, REAL, apart, at, log1, points, turned

e, log = sg.exp, sg.log

EXPONENT: dict[str, Spelling] = {
    "log2(2**x)": lambda x: sg.log2(2**x),
    "log2(exp2(x))": lambda x: sg.log2(sg.exp2(x)),
    "log10(10**x)": lambda x: sg.log10(10.0**x),
    "log(2**(x/log(2)))": lambda x: log(2.0 ** (x / math.log(2))),
    "log(3**x)/log(3)": lambda x: log(3.0**x) / math.log(3),
    "-log2(0.5**x)": lambda x: -sg.log2(0.5**x),
    "log10(exp(x))*log(10)": lambda x: sg.log10(e(x)) * math.log(10),
    "2*log2(2**(x/2))": lambda x: 2 * sg.log2(2.0 ** (x / 2)),
    "log10(exp(x*log(10)))": lambda x: sg.log10(e(x * math.log(10))),
    "axis between": turned(sg.exp2, sg.log2),
}
EXPM1: dict[str, Spelling] = {
    "axis beside": apart(lambda x: e(x) - 1),
    "exp(x)-1": lambda x: e(x) - 1,
    "-1+exp(x)": lambda x: -1 + e(x),
    "exp(x)+(-1)": lambda x: e(x) + (-1),
    "-(1-exp(x))": lambda x: -(1 - e(x)),
    "0-(1-exp(x))": lambda x: 0 - (1 - e(x)),
    "-1*(1-exp(x))": lambda x: -1 * (1 - e(x)),
    "1/exp(-x)-1": lambda x: 1 / e(-x) - 1,
    "exp(x/2)**2-1": lambda x: e(x / 2) ** 2 - 1,
    "2*(exp(x)/2-0.5)": lambda x: 2 * (e(x) / 2 - 0.5),
    "exp(x)*(1-exp(-x))": lambda x: e(x) * (1 - e(-x)),
    "axis between": turned(e, lambda u: u - 1),
}
LOG1P: dict[str, Spelling] = {
    "log(1-(0-x))": lambda x: log(1 - (0 - x)),
    "log(1+x*1)": lambda x: log(1 + x * 1),
    "log(1.5+x-0.5)": lambda x: log((1 + x) / 1),
    "log(1+x/2*2)": lambda x: log(1 + x / 2 * 2),
    "log(1--x)": lambda x: log(1 - (-1) * x),
    "log, axis beside": apart(lambda x: log(1 + x)),
    "log(1+x)": lambda x: log(1 + x),
    "log(x+1)": lambda x: log(x + 1),
    "log(1-(-x))": lambda x: log(1 - (-x)),
    "log(x-(-1))": lambda x: log(x - (-1)),
    "-log(1/(1+x))": lambda x: -log(1 / (1 + x)),
    "2*log(sqrt(1+x))": lambda x: 2 * log(sg.sqrt(1 + x)),
    "log(1+x), axis between": turned(lambda x: 1 + x, log),
}
LOG1MEXP: dict[str, Spelling] = {
    "log((exp(x)-1)*exp(-x))": lambda x: log((e(x) - 1) * e(-x)),
    "log(1-exp(-x))": lambda x: log(1 - e(-x)),
    "log(-(exp(-x)-1))": lambda x: log(-(e(-x) - 1)),
    "log(-expm1(-x))": lambda x: log(-sg.expm1(-x)),
    "log1p(-exp(-x))": lambda x: sg.log1p(-e(-x)),
    "log(1-1/exp(x))": lambda x: log(1 - 1 / e(x)),
    "log(1+-exp(-x))": lambda x: log(1 + -e(-x)),
    "-log(1/(1-exp(-x)))": lambda x: -log(1 / (1 - e(-x))),
    "log(1-exp(0-x))": lambda x: log(1 - e(0 - x)),
    "log(1-exp), axis between": turned(lambda x: 1 - e(-x), log),
}
LOG_EXPM1: dict[str, Spelling] = {
    "log(exp(x)-1)": lambda x: log(e(x) - 1),
    "log(-1+exp(x))": lambda x: log(-1 + e(x)),
    "log(expm1(x))": lambda x: log(sg.expm1(x)),
    "log(-(1-exp(x)))": lambda x: log(-(1 - e(x))),
    "x+log(1-exp(-x))": lambda x: x + log(1 - e(-x)),
    "log(exp(x)*(1-exp(-x)))": lambda x: log(e(x) * (1 - e(-x))),
    "log(1/exp(-x)-1)": lambda x: log(1 / e(-x) - 1),
    "log(exp(x)+-1)": lambda x: log(e(x) + -1.0),
    "-log(1/(exp(x)-1))": lambda x: -log(1 / (e(x) - 1)),
    "log(exp-1), axis between": turned(lambda x: e(x) - 1, log),
}
LOG_EXP_PLUS: dict[str, Spelling] = {
    "log((exp(x)+3)*1)": lambda x: log((e(x) + 3) * 1),
    "log, axis beside": apart(lambda x: log(3 + e(x))),
    "log(exp(x)+3)": lambda x: log(e(x) + 3),
    "log(3+exp(x))": lambda x: log(3 + e(x)),
    "log(exp(x)+1+2)": lambda x: log(e(x) + 1 + 2),
    "log(1+exp(x)+2)": lambda x: log(1 + e(x) + 2),
    "log(exp(x)-(-3))": lambda x: log(e(x) - (-3)),
    "log(3*(1+exp(x)/3))": lambda x: log((6 + 2 * e(x)) / 2),
    "-log(1/(exp(x)+3))": lambda x: -log(1 / (e(x) + 3)),
    "log(1/exp(-x)+3)": lambda x: log(1 / e(-x) + 3),
    "log(exp+3), axis between": turned(lambda x: e(x) + 3, log),
}

FAMILIES = {
    "logarithm of an exponential": Family(
        lambda v: v, EXPONENT, ELEMENTS, at(low=(-INF, 1), high=(INF, 1)), conditioned=True,
    ),
    "expm1": Family(mp.expm1, EXPM1, ELEMENTS, at(low=(-1, 0), high=(INF, INF))),
    "log1p": Family(
        log1, LOG1P, points([v for v in REAL if v > -1] + [-1 + 2**-20, *HUGE[-4:]]), at(high=(INF, 0)),
    ),
    "log1mexp": Family(
        lambda v: mp.log(-mp.expm1(-v)), LOG1MEXP, points(POSITIVE), at(high=(0, 0), zero=(-INF, None)),
    ),
    "log of expm1": Family(
        lambda v: mp.log(mp.expm1(v)), LOG_EXPM1, points(POSITIVE), at(high=(INF, 1), zero=(-INF, INF)),
    ),
    "log of exp plus a constant": Family(
        lambda v: mp.log(mp.exp(v) + 3), LOG_EXP_PLUS, ELEMENTS, at(low=(math.log(3), 0), high=(INF, 1)),
        conditioned=True,
    ),
}  # fmt: skip

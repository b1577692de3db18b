"""Differences of close values, and of a root and its part; logarithms of what underflows, to other bases too."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath as mp

import symgraph as sg
from symgraph.graph import Variable
from tests.families import Family, Spelling
from tests.families.elements import ELEMENTS, HUGE, POSITIVE, REAL, apart, at, log1pexp, points, turned
from tests.families.several import LENGTHS

e, log, sqrt, sigmoid = sg.exp, sg.log, sg.sqrt, sg.sigmoid
INF = math.inf
LOWEST = [-1.7e308, -3.3e38]
"""Of which twice is out of range."""


def same(x: Variable) -> Variable:
    return x


ROOTS: dict[str, Spelling] = {
    "sqrt(x+1)-sqrt(x)": lambda x: sqrt(x + 1) - sqrt(x),
    "sqrt(1+x)-sqrt(x)": lambda x: sqrt(1 + x) - sqrt(x),
    "sqrt(x-(-1))-sqrt(x)": lambda x: sqrt(x - (-1)) - sqrt(x),
    "-(sqrt(x)-sqrt(x+1))": lambda x: -(sqrt(x) - sqrt(x + 1)),
    "-sqrt(x)+sqrt(x+1)": lambda x: -sqrt(x) + sqrt(x + 1),
    "sqrt(x+1)+(-sqrt(x))": lambda x: sqrt(x + 1) + (-sqrt(x)),
    "0-(...)": lambda x: 0 - (sqrt(x) - sqrt(x + 1)),
    "-1*(...)": lambda x: -1 * (sqrt(x) - sqrt(x + 1)),
    "2*(half-half)": lambda x: 2 * (0.5 * sqrt(x + 1) - 0.5 * sqrt(x)),
    "(2*sqrt-2*sqrt)/2": lambda x: (2 * sqrt(x + 1) - 2 * sqrt(x)) / 2,
    "(3*sqrt-3*sqrt)/3": lambda x: (sqrt(x + 1) * 3 - 3 * sqrt(x)) / 3,
    "axis beside": apart(lambda x: sqrt(x + 1) - sqrt(x)),
    "axis between": turned(same, lambda u: sqrt(u + 1) - sqrt(u)),
}
LOGARITHMS: dict[str, Spelling] = {
    "log(x+1)-log(x)": lambda x: log(x + 1) - log(x),
    "log(1+x)-log(x)": lambda x: log(1 + x) - log(x),
    "log1p(x)-log(x)": lambda x: sg.log1p(x) - log(x),
    "-(log(x)-log(x+1))": lambda x: -(log(x) - log(x + 1)),
    "-log(x)+log1p(x)": lambda x: -log(x) + sg.log1p(x),
    "log(x+1)+(-log(x))": lambda x: log(x + 1) + (-log(x)),
    "0-(...)": lambda x: 0 - (log(x) - log(x + 1)),
    "-1*(...)": lambda x: -1 * (log(x) - log(x + 1)),
    "(2*log-2*log)/2": lambda x: (2 * log(x + 1) - 2 * log(x)) / 2,
    "(log/2-log/2)*2": lambda x: (log(x + 1) / 2 - log(x) / 2) * 2,
    "axis beside": apart(lambda x: log(x + 1) - log(x)),
    "axis between": turned(same, lambda u: log(u + 1) - log(u)),
}
INVERSES: dict[str, Spelling] = {
    "1/x-1/(x+1)": lambda x: 1 / x - 1 / (x + 1),
    "1/x-1/(1+x)": lambda x: 1 / x - 1 / (1 + x),
    "-(1/(x+1)-1/x)": lambda x: -(1 / (x + 1) - 1 / x),
    "-1/(x+1)+1/x": lambda x: -1 / (x + 1) + 1 / x,
    "1/x+(-1/(x+1))": lambda x: 1 / x + (-(1 / (x + 1))),
    "inv(x)-inv(x+1)": lambda x: sg.inv(x) - sg.inv(x + 1),
    "x**-1-(x+1)**-1": lambda x: x**-1 - (x + 1) ** -1,
    "0-(...)": lambda x: 0 - (1 / (x + 1) - 1 / x),
    "-1*(...)": lambda x: -1 * (1 / (x + 1) - 1 / x),
    "(2/x-2/(x+1))/2": lambda x: (2 / x - 2 / (x + 1)) / 2,
    "(3/x-3/(x+1))/3": lambda x: (3 / x - 3 / (x + 1)) / 3,
    "axis beside": apart(lambda x: 1 / x - 1 / (x + 1)),
}
INVERSE_ROOTS: dict[str, Spelling] = {
    "1/sqrt(x)-1/sqrt(x+1)": lambda x: 1 / sqrt(x) - 1 / sqrt(x + 1),
    "1/sqrt(x)-1/sqrt(1+x)": lambda x: 1 / sqrt(x) - 1 / sqrt(1 + x),
    "-(1/sqrt(x+1)-1/sqrt(x))": lambda x: -(1 / sqrt(x + 1) - 1 / sqrt(x)),
    "-1/sqrt(x+1)+1/sqrt(x)": lambda x: -1 / sqrt(x + 1) + 1 / sqrt(x),
    "1/sqrt(x)+(-1/sqrt(x+1))": lambda x: 1 / sqrt(x) + (-(1 / sqrt(x + 1))),
    "inv(sqrt(x))-inv(sqrt(x+1))": lambda x: sg.inv(sqrt(x)) - sg.inv(sqrt(x + 1)),
    "sqrt(x)**-1-sqrt(x+1)**-1": lambda x: sqrt(x) ** -1 - sqrt(x + 1) ** -1,
    "0-(...)": lambda x: 0 - (1 / sqrt(x + 1) - 1 / sqrt(x)),
    "(2/sqrt(x)-2/sqrt(x+1))/2": lambda x: (2 / sqrt(x) - 2 / sqrt(x + 1)) / 2,
    "(3/sqrt(x)-3/sqrt(x+1))/3": lambda x: (3 / sqrt(x) - 3 / sqrt(x + 1)) / 3,
    "axis beside": apart(lambda x: 1 / sqrt(x) - 1 / sqrt(x + 1)),
}
ARCTANS: dict[str, Spelling] = {
    "arctan(x+1)-arctan(x)": lambda x: sg.arctan(x + 1) - sg.arctan(x),
    "arctan(1+x)-arctan(x)": lambda x: sg.arctan(1 + x) - sg.arctan(x),
    "-(arctan(x)-arctan(x+1))": lambda x: -(sg.arctan(x) - sg.arctan(x + 1)),
    "-arctan(x)+arctan(x+1)": lambda x: -sg.arctan(x) + sg.arctan(x + 1),
    "arctan(x+1)+(-arctan(x))": lambda x: sg.arctan(x + 1) + (-sg.arctan(x)),
    "0-(...)": lambda x: 0 - (sg.arctan(x) - sg.arctan(x + 1)),
    "-1*(...)": lambda x: -1 * (sg.arctan(x) - sg.arctan(x + 1)),
    "(2*arctan-2*arctan)/2": lambda x: (2 * sg.arctan(x + 1) - 2 * sg.arctan(x)) / 2,
    "axis beside": apart(lambda x: sg.arctan(x + 1) - sg.arctan(x)),
    "axis between": turned(same, lambda u: sg.arctan(u + 1) - sg.arctan(u)),
}
SQUARES: dict[str, Spelling] = {
    "x*x-y*y": lambda x, y: x * x - y * y,
    "x**2-y**2": lambda x, y: x**2 - y**2,
    "sqr-sqr": lambda x, y: sg.sqr(x) - sg.sqr(-y),
    "(x-y)*(x+y)": lambda x, y: (x - y) * (x + y),
    "(y+x)*(x-y)": lambda x, y: (y + x) * (x - y),
    "-(y*y-x*x)": lambda x, y: -(y * y - x * x),
    "-y*y+x*x": lambda x, y: -y * y + x * x,
    "x*x+(-(y*y))": lambda x, y: x * x + (-(y * y)),
    "abs": lambda x, y: sg.abs(x) ** 2 - sg.abs(y) ** 2,
    "0-(...)": lambda x, y: 0 - (y * y - x * x),
    "4*(x*x/4-y*y/4)": lambda x, y: 4 * (x * x / 4 - y * y / 4),
    "axis between": lambda x, y: (sg.sqr(x)[None] - sg.sqr(y)[None])[0],
}
ONE_MINUS_SQUARE: dict[str, Spelling] = {
    "1-x*x": lambda x: 1 - x * x,
    "1-x**2": lambda x: 1 - x**2,
    "1-sqr(-x)": lambda x: 1 - sg.sqr(-x),
    "-(x*x-1)": lambda x: -(x * x - 1),
    "-x*x+1": lambda x: -x * x + 1,
    "-x**2-(-1)": lambda x: -(x**2) - (-1),
    "(1-x)*(1+x)": lambda x: (1 - x) * (1 + x),
    "-(x-1)*(x+1)": lambda x: -(x - 1) * (x + 1),
    "4*(0.25-x*x/4)": lambda x: 4 * (0.25 - x * x / 4),
    "axis beside": apart(lambda x: 1 - x * x),
    "axis between": turned(sg.sqr, lambda u: 1 - u),
}
LOG_ONE_MINUS_SQUARE: dict[str, Spelling] = {
    **{f"log({name})": (lambda x, f=f: log(f(x))) for name, f in ONE_MINUS_SQUARE.items() if name != "4*(0.25-x*x/4)"},
    "log1p(-x*x)": lambda x: sg.log1p(-x * x),
    "log1p(-x**2)": lambda x: sg.log1p(-(x**2)),
    "-log(1/(1-x*x))": lambda x: -log(1 / (1 - x * x)),
    "2*log(sqrt(1-x*x))": lambda x: 2 * log(sqrt(1 - x * x)),
}
COSH_MINUS_ONE: dict[str, Spelling] = {
    "cosh(x)-1": lambda x: sg.cosh(x) - 1,
    "-1+cosh(x)": lambda x: -1 + sg.cosh(x),
    "-(1-cosh(x))": lambda x: -(1 - sg.cosh(x)),
    "cosh(-x)-1": lambda x: sg.cosh(-x) - 1,
    "0-(1-cosh(x))": lambda x: 0 - (1 - sg.cosh(x)),
    "(exp+exp)/2-1": lambda x: (e(x) + e(-x)) / 2 - 1,
    "0.5*(exp+exp)-1": lambda x: 0.5 * (e(-x) + e(x)) - 1,
    "(2*cosh(x)-2)/2": lambda x: (2 * sg.cosh(x) - 2) / 2,
    "axis beside": apart(lambda x: sg.cosh(x) - 1),
    "axis between": turned(sg.cosh, lambda u: u - 1),
}
ROOT_BESIDE_ONE: dict[str, Spelling] = {
    "sqrt(1+x)-1": lambda x: sqrt(1 + x) - 1,
    "sqrt(x+1)-1": lambda x: sqrt(x + 1) - 1,
    "sqrt(x-(-1))-1": lambda x: sqrt(x - (-1)) - 1,
    "sqrt(1-(-x))-1": lambda x: sqrt(1 - (-x)) - 1,
    "-1+sqrt(1+x)": lambda x: -1 + sqrt(1 + x),
    "-(1-sqrt(1+x))": lambda x: -(1 - sqrt(1 + x)),
    "sqrt(1+x)+(-1)": lambda x: sqrt(1 + x) + (-1),
    "0-(...)": lambda x: 0 - (1 - sqrt(1 + x)),
    "-1*(...)": lambda x: -1 * (1 - sqrt(1 + x)),
    "sqrt(1*x+1)-1": lambda x: sqrt(1 * x + 1) - 1,
    "axis beside": apart(lambda x: sqrt(1 + x) - 1),
    "axis between": turned(lambda x: 1 + x, lambda u: sqrt(u) - 1),
}
ROOT_BESIDE_PART: dict[str, Spelling] = {
    "sqrt(x*x+1)-x": lambda x: sqrt(x * x + 1) - x,
    "sqrt(1+x**2)-x": lambda x: sqrt(1 + x**2) - x,
    "sqrt(1+sqr(x))-x": lambda x: sqrt(1 + sg.sqr(x)) - x,
    "sqrt(x*x-(-1))-x": lambda x: sqrt(x * x - (-1)) - x,
    "sqrt((-x)**2+1)-x": lambda x: sqrt((-x) ** 2 + 1) - x,
    "(x*x+1)**0.5-x": lambda x: (x * x + 1) ** 0.5 - x,
    "-(x-sqrt(x*x+1))": lambda x: -(x - sqrt(x * x + 1)),
    "-x+sqrt(x*x+1)": lambda x: -x + sqrt(x * x + 1),
    "sqrt(x*x+1)+(-x)": lambda x: sqrt(x * x + 1) + (-x),
    "-1*(...)": lambda x: -1 * (x - sqrt(x * x + 1)),
    "0-(...)": lambda x: 0 - (x - sqrt(x * x + 1)),
    "axis beside": apart(lambda x: sqrt(x * x + 1) - x),
    "axis between": lambda x: (sqrt(x * x + 1)[None] - x[None])[0],
}
QUADRATIC: dict[str, Spelling] = {
    "(-b+sqrt(b*b-4*c))/2": lambda b, c: (-b + sqrt(b * b - 4 * c)) / 2,
    "(sqrt(b**2-4*c)-b)/2": lambda b, c: (sqrt(b**2 - 4 * c) - b) / 2,
    "0.5*(-b+sqrt(...))": lambda b, c: 0.5 * (-b + sqrt(b * b - 4 * c)),
    "-(b-sqrt(...))/2": lambda b, c: -(b - sqrt(b * b - 4 * c)) / 2,
    "4*1*c": lambda b, c: (-b + sqrt(b * b - 4 * 1 * c)) / (2 * 1),
    "b*b+(-4*c)": lambda b, c: (sqrt(b * b + (-4 * c)) - b) / 2,
    "-4*c+b*b": lambda b, c: (sqrt(-4 * c + b * b) - b) / 2,
    "c*4": lambda b, c: (-b + sqrt(b * b - c * 4)) / 2,
    "-1*b": lambda b, c: (-1 * b + sqrt(b * b - 4 * c)) / 2,
    "axis between": lambda b, c: ((-b + sqrt(b * b - 4 * c))[None] / 2)[0],
}
BESIDE_HYPOTENUSE: dict[str, Spelling] = {
    "sqrt(x*x+y*y)-x": lambda x, y: sqrt(x * x + y * y) - x,
    "sqrt(x**2+y**2)-x": lambda x, y: sqrt(x**2 + y**2) - x,
    "sqrt(y*y+x*x)-x": lambda x, y: sqrt(y * y + x * x) - x,
    "sqrt(sqr+sqr)-x": lambda x, y: sqrt(sg.sqr(x) + sg.sqr(y)) - x,
    "(x*x+y*y)**0.5-x": lambda x, y: (x * x + y * y) ** 0.5 - x,
    "-(x-sqrt(...))": lambda x, y: -(x - sqrt(x * x + y * y)),
    "-x+sqrt(...)": lambda x, y: -x + sqrt(x * x + y * y),
    "sqrt(...)+(-x)": lambda x, y: sqrt(x * x + y * y) + (-x),
    "0-(...)": lambda x, y: 0 - (x - sqrt(x * x + y * y)),
    "-1*(...)": lambda x, y: -1 * (x - sqrt(x * x + y * y)),
}
ARCCOSH: dict[str, Spelling] = {
    "log(x+sqrt(x**2-1))": lambda x: log(x + sqrt(x**2 - 1)),
    "log(x+sqrt(x*x-1))": lambda x: log(x + sqrt(x * x - 1)),
    "log(sqrt(x**2-1)+x)": lambda x: log(sqrt(x**2 - 1) + x),
    "log(x+sqrt(-1+x*x))": lambda x: log(x + sqrt(-1 + x * x)),
    "log(x-(-sqrt(...)))": lambda x: log(x - (-sqrt(x * x - 1))),
    "abs(x)**2": lambda x: log(x + sqrt(sg.abs(x) ** 2 - 1)),
    "-log(1/(x+sqrt(...)))": lambda x: -log(1 / (x + sqrt(x * x - 1))),
    "2*log(sqrt(...))": lambda x: 2 * log(sqrt(x + sqrt(x * x - 1))),
    "arccosh(x)": lambda x: sg.arccosh(x),
    "axis beside": apart(lambda x: log(x + sqrt(x * x - 1))),
    "axis between": turned(lambda x: x + sqrt(x * x - 1), log),
}
LOG_SOFTPLUS: dict[str, Spelling] = {
    "log(log(1+exp(x)))": lambda x: log(log(1 + e(x))),
    "log(log(exp(x)+1))": lambda x: log(log(e(x) + 1)),
    "log(log1p(exp(x)))": lambda x: log(sg.log1p(e(x))),
    "log(softplus(x))": lambda x: log(sg.softplus(x)),
    "log(-log(s(-x)))": lambda x: log(-log(sigmoid(-x))),
    "log(-log(1-s))": lambda x: log(-log(1 - sigmoid(x))),
    "log(logaddexp(x, 0))": lambda x: log(sg.logaddexp(x, 0)),
    "-log(1/softplus)": lambda x: -log(1 / sg.softplus(x)),
    "2*log(sqrt(softplus))": lambda x: 2 * log(sqrt(sg.softplus(x))),
    "0.5*log(softplus**2)": lambda x: 0.5 * log(sg.softplus(x) ** 2),
    "axis between": turned(sg.softplus, log),
}
LOG2_SIGMOID: dict[str, Spelling] = {
    "log2(s)": lambda x: sg.log2(sigmoid(x)),
    "log2(1/(1+exp(-x)))": lambda x: sg.log2(1 / (1 + e(-x))),
    "log2(exp(x)/(1+exp(x)))": lambda x: sg.log2(e(x) / (1 + e(x))),
    "log2(1-s(-x))": lambda x: sg.log2(1 - sigmoid(-x)),
    "log10(s)/log10(2)": lambda x: sg.log10(sigmoid(x)) / math.log10(2),
    "log(s)/log(2)": lambda x: log(sigmoid(x)) / math.log(2),
    "-log2(1+exp(-x))": lambda x: -sg.log2(1 + e(-x)),
    "-log2(1/s)": lambda x: -sg.log2(1 / sigmoid(x)),
    "log2(exp(-log(1+exp(-x))))": lambda x: sg.log2(e(-log(1 + e(-x)))),
    "axis beside": apart(lambda x: sg.log2(sigmoid(x))),
    "axis between": turned(sigmoid, sg.log2),
}
SCALED_EXPONENT: dict[str, Spelling] = {
    "log2(8*2**x)": lambda x: sg.log2(8 * 2**x),
    "log2(2**x*8)": lambda x: sg.log2(2**x * 8),
    "log2(8*exp2(x))": lambda x: sg.log2(8 * sg.exp2(x)),
    "log2(2**x/0.125)": lambda x: sg.log2(2**x / 0.125),
    "log2(8/2**-x)": lambda x: sg.log2(8 / 2**-x),
    "log2(2*2**x*4)": lambda x: sg.log2(2 * 2**x * 4),
    "-log2(0.125*0.5**x)": lambda x: -sg.log2(0.125 * 0.5**x),
    "log10(1000*10**x)": lambda x: sg.log10(1000 * 10.0**x),
    "log(exp(3)*exp(x))": lambda x: log(math.exp(3) * e(x)),
    "log(8*2**x)/log(2)": lambda x: log(8 * 2**x) / math.log(2),
    "axis between": turned(sg.exp2, lambda u: sg.log2(8 * u)),
}


def beside_argument(f: Callable[[Variable], Variable]) -> dict[str, Spelling]:
    """A function minus its argument."""
    return {
        "f-x": lambda x: f(x) - x,
        "-(x-f)": lambda x: -(x - f(x)),
        "-x+f": lambda x: -x + f(x),
        "f+(-x)": lambda x: f(x) + (-x),
        "f-x*1": lambda x: f(x) - x * 1,
        "0-(x-f)": lambda x: 0 - (x - f(x)),
        "-1*(x-f)": lambda x: -1 * (x - f(x)),
        "2*(f-x)/2": lambda x: 2 * (f(x) - x) / 2,
        "axis beside": apart(lambda x: f(x) - x),
        "axis between": lambda x: (f(x)[None] - x[None])[0],
    }


def over(f: Callable[[Variable], Variable]) -> dict[str, Spelling]:
    """A function over its argument."""
    return {
        "f/x": lambda x: f(x) / x,
        "f*(1/x)": lambda x: f(x) * (1 / x),
        "f*x**-1": lambda x: f(x) * x**-1,
        "f*inv(x)": lambda x: f(x) * sg.inv(x),
        "f/(x*1)": lambda x: f(x) / (x * 1),
        "-f/-x": lambda x: -f(x) / -x,
        "-(-f/x)": lambda x: -(-f(x) / x),
        "2*(f/x)/2": lambda x: 2 * (f(x) / x) / 2,
        "f/x-0": lambda x: f(x) / x - 0.0,
        "axis beside": apart(lambda x: f(x) / x),
        "axis between": lambda x: (f(x)[None] / x[None])[0],
    }


def beside(x: mp.mpf, y: mp.mpf) -> mp.mpf:
    """sqrt(x*x + y*y) - x, without the cancellation that would take 1,200 digits."""
    root = mp.sqrt(x * x + y * y)
    return y * y / (root + x) if x > 0 else root - x


FAMILIES = {
    "sqrt(x+1)-sqrt(x)": Family(
        lambda v: 1 / (mp.sqrt(v + 1) + mp.sqrt(v)), ROOTS, points([*POSITIVE, *HUGE[-4:]]),
        at(zero=(1, -INF), high=(0, 0)),
    ),
    "log(x+1)-log(x)": Family(
        lambda v: mp.log(v + 1) - mp.log(v), LOGARITHMS, points([*POSITIVE, *HUGE[-4:]]),
        at(zero=(INF, -INF), high=(0, 0)),
    ),
    "1/x-1/(x+1)": Family(
        lambda v: 1 / (v * (v + 1)), INVERSES, points([v for v in REAL if v != -1] + HUGE[-4:]),
        at(zero=(INF, -INF), low=(0, 0), high=(0, 0)),
    ),
    "1/sqrt(x)-1/sqrt(x+1)": Family(
        lambda v: 1 / (mp.sqrt(v) * mp.sqrt(v + 1) * (mp.sqrt(v) + mp.sqrt(v + 1))), INVERSE_ROOTS,
        points([*POSITIVE, *HUGE[-4:]]), at(zero=(INF, -INF), high=(0, 0)),
    ),
    "arctan(x+1)-arctan(x)": Family(
        lambda v: mp.atan2(1, 1 + v * (v + 1)), ARCTANS, points(REAL + HUGE[-4:]), at(low=(0, 0), high=(0, 0)),
        conditioned=True,
    ),
    "x*x-y*y": Family(
        lambda x, y: x * x - y * y, SQUARES,
        [(1.0, 1 + 2**-20), (1e4, 1e4 + 2**-8), (3.0, 2.0), (1e30, 1e30), (1.25e25, 1e25), (1.5e19, 2e19), (-3.0, 3.0),
         (1e200, 1e200), (1e-170, 2e-170), (1e-30, 2e-30), (-3.0, 3.000001), (0.0, 3.0), (710.0, -709.5), (0.0, 0.0)],
    ),
    "1-x*x": Family(
        lambda v: 1 - v * v, ONE_MINUS_SQUARE,
        points([0.0, 1e-300, 1e-20, 1e-9, 0.5, 0.999, 1 - 2**-20, 1.0, -1.0, 1 + 2**-20, 3.0, 1e10, -1e30]),
        at(low=(-INF, INF), high=(-INF, -INF)),
    ),
    "log(1-x*x)": Family(
        lambda v: mp.log(1 - v * v), LOG_ONE_MINUS_SQUARE,
        points([0.0, 1e-17, -1e-7, 1e-3, 0.5, 0.7, -0.75, 0.999, 1 - 2**-20, -1 + 2**-23, 1.0, -1.0]),
        {(1.0,): (-INF, [-INF]), (-1.0,): (-INF, [INF])},
    ),
    "cosh(x)-1": Family(
        lambda v: 2 * mp.sinh(v / 2) ** 2, COSH_MINUS_ONE, ELEMENTS, at(zero=(0, 0), low=(INF, -INF), high=(INF, INF)),
    ),
    "sqrt(1+x)-1": Family(
        lambda v: v / (mp.sqrt(1 + v) + 1), ROOT_BESIDE_ONE, points([v for v in REAL if v > -1] + HUGE[-4:]),
        at(high=(INF, 0)),
    ),
    "sqrt(x*x+1)-x": Family(
        lambda v: beside(v, mp.mpf(1)), ROOT_BESIDE_PART,
        points([*REAL, *HUGE[-4:], *[-v for v in HUGE[-4:]], *LOWEST]),
    ),
    "root of a quadratic equation": Family(
        lambda b, c: (mp.sqrt(b * b - 4 * c) - b) / 2, QUADRATIC,
        [(1e8, 1.0), (1e4, 1e-3), (-1e8, 1.0), (3.0, 2.0), (3.0, -2.0), (1e-3, -5.0), (710.0, 1.0), (1e17, 40.0),
         (40.0, -1e-17), (-40.0, 1e-17)],
        conditioned=True,
    ),
    "hypotenuse and side": Family(
        beside, BESIDE_HYPOTENUSE, [*LENGTHS, *[(v, 1.0) for v in LOWEST]], conditioned=True,
    ),
    "arccosh": Family(
        mp.acosh, ARCCOSH, points([1.0, 1 + 2**-20, 1.5, 3.0, 40.0, 710.0, 1e4, 1e17, 1e170, INF]),
        {(1.0,): (0, [INF]), (INF,): (INF, [0])}, conditioned=True,
    ),
    "log of softplus": Family(
        lambda v: mp.log(log1pexp(v)), LOG_SOFTPLUS, ELEMENTS, at(low=(-INF, 1), high=(INF, 0)), conditioned=True,
    ),
    "log2 of sigmoid": Family(
        lambda v: -log1pexp(-v) / mp.log(2), LOG2_SIGMOID, ELEMENTS, at(low=(-INF, 1 / math.log(2)), high=(0, 0)),
    ),
    "log(1+x)-x": Family(
        lambda v: mp.log(1 + v) - v, {**beside_argument(lambda x: log(1 + x)), "log1p": lambda x: sg.log1p(x) - x},
        points([v for v in REAL if v > -1] + HUGE[-4:]), at(zero=(0, 0)),
    ),
    "exp(x)-1-x": Family(
        lambda v: mp.expm1(v) - v, {**beside_argument(lambda x: e(x) - 1), "expm1": lambda x: sg.expm1(x) - x},
        points([v for v in REAL if v < INF]), at(zero=(0, 0), low=(INF, -1)),
    ),
    "expm1(x)/x": Family(lambda v: mp.expm1(v) / v, over(lambda x: e(x) - 1), ELEMENTS, at(zero=(1, 0.5), low=(0, 0))),
    "sinh(x)/x": Family(lambda v: mp.sinh(v) / v, over(lambda x: (e(x) - e(-x)) / 2), ELEMENTS, at(zero=(1, 0))),
    "sin(x)/x": Family(
        lambda v: mp.sin(v) / v, over(sg.sin), points([v for v in REAL if abs(v) < 1e3]), at(zero=(1, 0)),
        conditioned=True,
    ),
    "logarithm of a scaled exponential": Family(
        lambda v: v + 3, SCALED_EXPONENT, ELEMENTS, at(low=(-INF, 1), high=(INF, 1)), conditioned=True,
    ),
}  # fmt: skip

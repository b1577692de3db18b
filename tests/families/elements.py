"""Functions of one number: the logistic and hyperbolic families, exponentials and logarithms, the error function."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import mpmath as mp

import symgraph as sg
from symgraph.graph import Variable
from tests.families import Family, Spelling

e, log, tanh, sigmoid, erf, erfc = sg.exp, sg.log, sg.tanh, sg.sigmoid, sg.erf, sg.erfc
INF = math.inf
SIZES = [1e-300, 1e-30, 1e-17, 1e-7, 1e-3, 0.5, 1.0, 3.0, 6.0, 17.0, 40.0, 87.0, 104.0, 710.0, 746.0, 1e4]
REAL = [0.0, *SIZES, *[-v for v in SIZES], INF, -INF]
POSITIVE = [0.0, *SIZES, INF]
HUGE = [1e-300, 1e-170, 1e-30, 1e-17, 1e-3, 0.5, 1.0, 3.0, 40.0, 710.0, 1e4, 1e17, 1e30, 1e170, 1e300]
ROOT2, ROOT_HALF = math.sqrt(2), math.sqrt(0.5)


def points(values: Sequence[float]) -> list[tuple[float]]:
    return [(v,) for v in values]


def at(**known: tuple[Any, Any]) -> dict[Any, Any]:
    """Limits by name: low, high and zero."""
    where = {"low": -INF, "high": INF, "zero": 0.0}
    return {(where[k],): (value, [slope]) for k, (value, slope) in known.items()}


def apart(f: Spelling) -> Spelling:
    """A column beside the axes, taken away after."""
    return lambda x: f(x[..., None])[..., 0]


def turned(f: Callable[[Variable], Variable], g: Callable[[Variable], Variable]) -> Spelling:
    """g of f, with an axis put in between and taken away after."""
    return lambda x: g(sg.expand_dims(f(x), 0))[0]


def logistic(v: Any) -> Any:
    return 1 / (1 + mp.exp(-v)) if v > 0 else mp.exp(v) / (1 + mp.exp(v))


def log1pexp(v: Any) -> Any:
    return max(v, 0) + mp.log1p(mp.exp(-abs(v)))


def log1(v: Any) -> Any:
    """log(1 + v), exact for tiny v."""
    return v - v * v / 2 if 0 < abs(v) < mp.mpf(10) ** -100 else mp.log(1 + v)


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


SIGMOID: dict[str, Spelling] = {
    "1/(1+exp(-x))": lambda x: 1 / (1 + e(-x)),
    "1/(exp(-x)+1)": lambda x: 1 / (e(-x) + 1),
    "0-x": lambda x: 1 / (1 + e(0 - x)),
    "-1*x": lambda x: 1 / (1 + e(-1 * x)),
    "inv": lambda x: sg.inv(1 + e(-x)),
    "**-1": lambda x: (1 + e(-x)) ** -1,
    "1/(1+1/exp(x))": lambda x: 1 / (1 + 1 / e(x)),
    "exp(x)/(1+exp(x))": lambda x: e(x) / (1 + e(x)),
    "exp(x)/(exp(x)+1)": lambda x: e(x) / (e(x) + 1),
    "exp(x)*1/(1+exp(x))": lambda x: e(x) * (1 / (1 + e(x))),
    "1-1/(1+exp(x))": lambda x: 1 - 1 / (1 + e(x)),
    "1-exp(-x)/(1+exp(-x))": lambda x: 1 - e(-x) / (1 + e(-x)),
    "1+(-s)": lambda x: 1 + (-sigmoid(-x)),
    "-(s-1)": lambda x: -(sigmoid(-x) - 1),
    "(1+tanh)/2": lambda x: (1 + tanh(x / 2)) / 2,
    "0.5+0.5*tanh": lambda x: 0.5 + 0.5 * tanh(0.5 * x),
    "exp(-log(1+exp))": lambda x: e(-log(1 + e(-x))),
    "exp(x-log(1+exp))": lambda x: e(x - log(1 + e(x))),
    "exp(x/2)/(exp(x/2)+exp(-x/2))": lambda x: e(x / 2) / (e(x / 2) + e(-x / 2)),
    "axis between": turned(lambda x: e(-x), lambda u: 1 / (1 + u)),
    "axis beside": apart(lambda x: 1 / (1 + e(-x))),
}
COMPLEMENT: dict[str, Spelling] = {
    "1-s": lambda x: 1 - sigmoid(x),
    "1-1/(1+exp(-x))": lambda x: 1 - 1 / (1 + e(-x)),
    "exp(-x/2)/(exp(x/2)+exp(-x/2))": lambda x: e(-x / 2) / (e(x / 2) + e(-x / 2)),
    "1-exp(x)/(1+exp(x))": lambda x: 1 - e(x) / (1 + e(x)),
    "1+(-s)": lambda x: 1 + -(1 / (1 + e(-x))),
    "-(s-1)": lambda x: -(1 / (1 + e(-x)) - 1),
    "-1*(s-1)": lambda x: -1 * (sigmoid(x) - 1),
    "s-1, negated": lambda x: 0 - (sigmoid(x) - 1),
    "(1-tanh)/2": lambda x: (1 - tanh(x / 2)) / 2,
    "0.5-0.5*tanh": lambda x: 0.5 - 0.5 * tanh(x / 2),
    "exp(-x)*s": lambda x: e(-x) / (1 + e(-x)),
    "1/(1+exp(x))": lambda x: 1 / (1 + e(x)),
    "axis between": turned(sigmoid, lambda s: 1 - s),
}
SLOPE: dict[str, Spelling] = {
    "s*(1-s)": lambda x: sigmoid(x) * (1 - sigmoid(x)),
    "(1-s)*s": lambda x: (1 - sigmoid(x)) * sigmoid(x),
    "naive s*(1-s)": lambda x: (lambda s: s * (1 - s))(1 / (1 + e(-x))),
    "s-s**2": lambda x: sigmoid(x) - sigmoid(x) ** 2,
    "s-s*s": lambda x: (lambda s: s - s * s)(1 / (1 + e(-x))),
    "-s**2+s": lambda x: -sg.sqr(sigmoid(x)) + sigmoid(x),
    "s*s(-x)": lambda x: sigmoid(x) * sigmoid(-x),
    "exp(-x)/(1+exp(-x))**2": lambda x: e(-x) / (1 + e(-x)) ** 2,
    "exp(x)/(1+exp(x))**2": lambda x: e(x) / sg.sqr(1 + e(x)),
    "exp(-x)*s**2": lambda x: e(-x) * sigmoid(x) ** 2,
    "(1-tanh**2)/4": lambda x: (1 - tanh(x / 2) ** 2) / 4,
    "1/(exp(x/2)+exp(-x/2))**2": lambda x: 1 / (e(x / 2) + e(-x / 2)) ** 2,
    "1/cosh**2/4": lambda x: 0.25 / sg.cosh(x / 2) ** 2,
}
LOG_SIGMOID: dict[str, Spelling] = {
    **{f"log of {name}": (lambda x, f=f: log(f(x))) for name, f in SIGMOID.items()},
    "-log(1+exp(-x))": lambda x: -log(1 + e(-x)),
    "-log1p(exp(-x))": lambda x: -sg.log1p(e(-x)),
    "log1p(-s)": lambda x: sg.log1p(-sigmoid(-x)),
    "binary loss": lambda x: -sg.nn.binary_crossentropy(sigmoid(x), sg.ones_like(x)),
    "the other loss": lambda x: -sg.nn.binary_crossentropy(sigmoid(-x), sg.zeros_like(x)),
    "x-log(1+exp(x))": lambda x: x - log(1 + e(x)),
    "log(s+0)": lambda x: log(sigmoid(x)),
    "log, axis between": turned(sigmoid, log),
}
SOFTPLUS: dict[str, Spelling] = {
    "log(1+exp(x))": lambda x: log(1 + e(x)),
    "log(exp(x)+1)": lambda x: log(e(x) + 1),
    "log1p(exp(x))": lambda x: sg.log1p(e(x)),
    "-log(1-s)": lambda x: -log(1 - sigmoid(x)),
    "-log(s(-x))": lambda x: -log(1 / (1 + e(x))),
    "x+log(1+exp(-x))": lambda x: x + log(1 + e(-x)),
    "x-log(s)": lambda x: x - log(sigmoid(x)),
    "log(1+1/exp(-x))": lambda x: log(1 + 1 / e(-x)),
    "logaddexp(x, 0)": lambda x: sg.logaddexp(x, 0),
    "max(x,0)+log1p(exp(-|x|))": lambda x: sg.maximum(x, 0) + sg.log1p(e(-sg.abs(x))),
    "relu+log1p(exp(-|x|))": lambda x: sg.nn.relu(x) + sg.log1p(e(-sg.abs(x))),
    "log1p(exp(-|x|))+max(x,0)": lambda x: sg.log1p(e(-sg.abs(x))) + sg.maximum(0, x),
    "log of reshaped": lambda x: log(1 + e(x)[..., None])[..., 0],
    "log(1+exp), axis between": turned(lambda x: 1 + e(x), log),
}
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
HALF_TANH: dict[str, Spelling] = {
    "s-0.5": lambda x: sigmoid(x) - 0.5,
    "0.5-s(-)": lambda x: 0.5 - sigmoid(-x),
    "-(0.5-s)": lambda x: -(0.5 - sigmoid(x)),
    "1/(1+exp)-0.5": lambda x: 1 / (1 + e(-x)) - 0.5,
    "-0.5+exp/(1+exp)": lambda x: -0.5 + e(x) / (1 + e(x)),
    "(2*s-1)/2": lambda x: (2 * sigmoid(x) - 1) / 2,
    "(s-s(-))/2": lambda x: (sigmoid(x) - sigmoid(-x)) / 2,
    "0.5*tanh(x/2)": lambda x: 0.5 * tanh(x / 2),
    "0.5-1/(1+exp(x))": lambda x: 0.5 - 1 / (1 + e(x)),
    "axis between": turned(sigmoid, lambda s: s - 0.5),
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
LOGIT: dict[str, Spelling] = {
    "log1p(expm1(x))": lambda x: sg.log1p(sg.expm1(x)),
    "log(s/(1-s))": lambda x: log(sigmoid(x) / (1 - sigmoid(x))),
    "naive log(s/(1-s))": lambda x: (lambda s: log(s / (1 - s)))(1 / (1 + e(-x))),
    "log(s)-log(1-s)": lambda x: log(sigmoid(x)) - log(1 - sigmoid(x)),
    "log(s)-log1p(-s)": lambda x: log(sigmoid(x)) - sg.log1p(-sigmoid(x)),
    "-(log(1-s)-log(s))": lambda x: -(log(1 - sigmoid(x)) - log(sigmoid(x))),
    "log(s)+(-log(1-s))": lambda x: log(sigmoid(x)) + (-log(1 - sigmoid(x))),
    "-log((1-s)/s)": lambda x: -log((1 - sigmoid(x)) / sigmoid(x)),
    "-log(1/s-1)": lambda x: -log(1 / sigmoid(x) - 1),
    "log(s/s(-x))": lambda x: log(sigmoid(x) / sigmoid(-x)),
    "log(exp(x))": lambda x: log(e(x)),
    "2*arctanh(2s-1)": lambda x: 2 * sg.arctanh(2 * sigmoid(x) - 1),
    "-log(1/exp(x))": lambda x: -log(1 / e(x)),
}
LOG_SQUARE: dict[str, Spelling] = {
    "log(x**2)": lambda x: log(x**2),
    "log(x*x)": lambda x: log(x * x),
    "log(sqr(x))": lambda x: log(sg.sqr(x)),
    "log(x**4)/2": lambda x: log(x**4) / 2,
    "2*log(abs(x))": lambda x: 2 * log(sg.abs(x)),
    "2*log(sqrt(x*x))": lambda x: 2 * log(sg.sqrt(x * x)),
    "log(abs(x)**2)": lambda x: log(sg.abs(x) ** 2),
    "log(abs(x)*abs(x))": lambda x: log(sg.abs(x) * sg.abs(x)),
    "-log(1/x**2)": lambda x: -log(1 / x**2),
    "-log(x**-2)": lambda x: -log(x**-2),
    "log((-x)**2)": lambda x: log((-x) ** 2),
    "log(x*x), axis between": turned(sg.sqr, log),
}
LOG_POWER: dict[str, Spelling] = {
    "log(x*(x*x))": lambda x: log(x * (x * x)),
    "3*log(x), axis beside": apart(lambda x: log(x**3)),
    "log(pow)": lambda x: log(sg.pow(x, 3.0)),
    "log(x**3)": lambda x: log(x**3),
    "3*log(x)": lambda x: 3 * log(x),
    "log(x*x*x)": lambda x: log(x * x * x),
    "log(x**2*x)": lambda x: log(x**2 * x),
    "log(x)+log(x**2)": lambda x: log(x) + log(x**2),
    "6*log(sqrt(x))": lambda x: 6 * log(sg.sqrt(x)),
    "6*log(x**0.5)": lambda x: 6 * log(x**0.5),
    "log(x**3), axis between": turned(lambda x: x**3, log),
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
X_LOG_X: dict[str, Spelling] = {
    "2*(x*log(x))/2": lambda x: 2 * (x * log(x)) / 2,
    "x*log(x*1)": lambda x: x * log(x * 1),
    "-(x*-log(x))": lambda x: -(x * -log(x)),
    "log(x)*x, axis beside": apart(lambda x: log(x) * x),
    "x*log(x)+0": lambda x: (x * log(x)) - 0.0,
    "x*log(x)": lambda x: x * log(x),
    "log(x)*x": lambda x: log(x) * x,
    "-(-x*log(x))": lambda x: -(-x * log(x)),
    "log(x)/(1/x)": lambda x: log(x) / (1 / x),
    "(2*x)*log(x)/2": lambda x: (2 * x) * log(x) / 2,
    "x*log(x), axis between": turned(lambda x: x, lambda u: u * log(u)),
}
GUARDED: dict[str, Spelling] = {
    "switch(x>0)": lambda x: sg.switch(x > 0, log(x), 0.0),
    "switch(x<=0)": lambda x: sg.switch(x <= 0, 0.0, log(x)),
    "where": lambda x: sg.where(x > 0, log(x), 0.0),
    "where(not)": lambda x: sg.where(~(x > 0), 0.0, log(x)),
    "gt": lambda x: sg.switch(sg.gt(x, 0), log(x), sg.zeros_like(x)),
    "half log of square": lambda x: sg.switch(x > 0, 0.5 * log(sg.sqr(x)), 0.0),
    "guarded inside": lambda x: log(sg.switch(x > 0, x, 1.0)),
    "times": lambda x: 2 * sg.switch(x > 0, 0.5 * log(x), 0.0),
    "sqrt inside": lambda x: sg.switch(x > 0, 2 * log(sg.sqrt(x)), 0.0),
    "axis between": lambda x: sg.switch(x[..., None] > 0, log(x)[..., None], 0.0)[..., 0],
    "in two": lambda x: sg.switch(x > 1, log(x), sg.switch(x > 0, log(x), 0.0)),
}
ROOT: dict[str, Spelling] = {
    "1/(1/sqrt(x))": lambda x: 1 / (1 / sg.sqrt(x)),
    "(4x)**0.5/2": lambda x: (4 * x) ** 0.5 / 2,
    "array exponent": lambda x: x ** sg.constant([0.5]).astype(x.dtype),
    "pow": lambda x: sg.pow(x, 0.5),
    "axis between": turned(lambda x: x, sg.sqrt),
    "abs": lambda x: sg.switch(x > 0, sg.sqrt(x), sg.sqrt(x)),
    "sqrt(x)": lambda x: sg.sqrt(x),
    "x**0.5": lambda x: x**0.5,
    "x**(1/2)": lambda x: x ** (1 / 2),
    "2*sqrt(x/4)": lambda x: 2 * sg.sqrt(x / 4),
}
CUBE: dict[str, Spelling] = {
    "axis beside": apart(lambda x: x**3),
    "x**3": lambda x: x**3,
    "x*x*x": lambda x: x * x * x,
    "x**2*x": lambda x: x**2 * x,
    "x*x**2": lambda x: x * x**2,
    "-(-x)**3": lambda x: -((-x) ** 3),
    "pow": lambda x: sg.pow(x, 3.0),
    "abs(x)**3": lambda x: sg.sgn(x) * sg.abs(x) ** 3,
    "sqr(x)*x": lambda x: sg.sqr(x) * x,
    "array exponent": lambda x: x ** sg.constant([3.0]).astype(x.dtype),
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

ELEMENTS = points(REAL)
NONE = (None, None)
FAMILIES = {
    "sigmoid": Family(logistic, SIGMOID, ELEMENTS, at(low=(0, 0), high=(1, 0))),
    "complement of sigmoid": Family(lambda v: logistic(-v), COMPLEMENT, ELEMENTS, at(low=(1, 0), high=(0, 0))),
    "slope of sigmoid": Family(lambda v: logistic(v) * logistic(-v), SLOPE, ELEMENTS, at(low=(0, 0), high=(0, 0))),
    "log of sigmoid": Family(lambda v: -log1pexp(-v), LOG_SIGMOID, ELEMENTS, at(low=(-INF, 1), high=(0, 0))),
    "softplus": Family(log1pexp, SOFTPLUS, ELEMENTS, at(low=(0, 0), high=(INF, 1))),
    "tanh": Family(mp.tanh, TANH, ELEMENTS, at(low=(-1, 0), high=(1, 0))),
    "sigmoid - 1/2": Family(lambda v: mp.tanh(v / 2) / 2, HALF_TANH, ELEMENTS, at(low=(-0.5, 0), high=(0.5, 0))),
    "log of sinh": Family(
        lambda v: v + mp.log(-mp.expm1(-2 * v)) - mp.log(2), LOG_SINH, points(POSITIVE),
        at(high=(INF, 1), zero=(-INF, INF)), conditioned=True,
    ),
    "logarithm of an exponential": Family(
        lambda v: v, EXPONENT, ELEMENTS, at(low=(-INF, 1), high=(INF, 1)), conditioned=True,
    ),
    "complement of tanh": Family(lambda v: 1 / mp.cosh(v) ** 2, SECH2, ELEMENTS, at(low=(0, 0), high=(0, 0)),
    ),
    "log of cosh": Family(
        lambda v: log1(2 * mp.sinh(v / 2) ** 2) if abs(v) < 1 else log1pexp(2 * v) - v - mp.log(2), LOG_COSH, ELEMENTS,
        at(low=(INF, -1), high=(INF, 1)),
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
    "arcsinh": Family(mp.asinh, ARCSINH, points([*REAL, 1e17, -1e170]), at(low=(-INF, 0), high=(INF, 0))),
    "arctanh": Family(
        mp.atanh, ARCTANH, points([v for v in REAL if abs(v) < 1] + [0.999, -0.999]), conditioned=True,
    ),
    "erfcx": Family(
        lambda v: mp.exp(v * v) * tail(v), ERFCX,
        # not at 3: its slope, 2*x*erfcx(x) - 2/sqrt(pi), cancels there, and is 28 ulp off
        points([v for v in REAL if abs(v) < 1e3 and v > -30 and v != 3]), at(high=(0, 0)), conditioned=True,
    ),
    "1 - cos": Family(
        lambda v: 2 * mp.sin(v / 2) ** 2, ONE_MINUS_COSINE, points([v for v in REAL if abs(v) < 1e3]), conditioned=True,
    ),
    "logit of sigmoid": Family(lambda v: v, LOGIT, ELEMENTS, at(low=(-INF, 1), high=(INF, 1))),
    "log of square": Family(
        lambda v: 2 * mp.log(abs(v)), LOG_SQUARE, points([*HUGE, *[-v for v in HUGE], INF, -INF]),
        at(low=(INF, 0), high=(INF, 0), zero=(-INF, None)),
    ),
    "log of power": Family(
        lambda v: 3 * mp.log(v), LOG_POWER, points([*HUGE, INF]), at(high=(INF, 0), zero=(-INF, INF)),
    ),
    "log of exp plus a constant": Family(
        lambda v: mp.log(mp.exp(v) + 3), LOG_EXP_PLUS, ELEMENTS, at(low=(math.log(3), 0), high=(INF, 1)),
        conditioned=True,
    ),
    "erfc": Family(tail, ERFC, ELEMENTS, at(low=(2, 0), high=(0, 0))),
    "log of erfc": Family(log_tail, LOG_ERFC, ELEMENTS, at(low=(math.log(2), 0), high=(-INF, -INF))),
    "log of the normal distribution": Family(
        lambda v: log_tail(-v * mp.sqrt(0.5)) - mp.log(2), LOG_NORMAL, ELEMENTS, at(low=(-INF, INF), high=(0, 0)),
        conditioned=True,
    ),
    "x log x": Family(
        lambda v: v * mp.log(v), X_LOG_X, points([0.0, *HUGE, INF]), at(zero=(0, -INF), high=(INF, INF)),
    ),
    "guarded log": Family(
        lambda v: mp.log(v) if v > 0 else mp.mpf(0), GUARDED, points([0.0, *HUGE, *[-v for v in HUGE], INF, -INF]),
        at(low=(0, 0), zero=(0, 0), high=(INF, 0)),
    ),
    "root": Family(mp.sqrt, ROOT, points([0.0, *HUGE, INF]), at(zero=(0, INF), high=(INF, 0)), conditioned=True,
    ),
    "cube": Family(
        lambda v: v**3, CUBE, points([0.0, *HUGE, *[-v for v in HUGE], INF, -INF]),
        at(low=(-INF, INF), zero=(0, 0), high=(INF, INF)),
    ),
    "sinh": Family(mp.sinh, SINH, ELEMENTS, at(low=(-INF, INF), high=(INF, INF))),
    "log of gamma": Family(
        mp.loggamma, LOG_GAMMA, points([v for v in HUGE if v > 1e-18] + [170.0, 180.0, INF]), at(high=(INF, INF)),
        conditioned=True,
    ),
}  # fmt: skip

"""The logistic family: the sigmoid, what is left of one and of a half, its slope, its logarithms."""

from __future__ import annotations

import mpmath as mp

import symgraph as sg
from tests.families import Family, Spelling
from tests.families.elements import ELEMENTS, INF, apart, at, log1pexp, logistic, points, turned

e, log, tanh, sigmoid = sg.exp, sg.log, sg.tanh, sg.sigmoid

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
LOG_ODDS: dict[str, Spelling] = {
    "log(x/(1-x))": lambda x: log(x / (1 - x)),
    "log(x*(1/(1-x)))": lambda x: log(x * (1 / (1 - x))),
    "log(x)-log(1-x)": lambda x: log(x) - log(1 - x),
    "log(x)-log1p(-x)": lambda x: log(x) - sg.log1p(-x),
    "-log(1-x)+log(x)": lambda x: -log(1 - x) + log(x),
    "-log((1-x)/x)": lambda x: -log((1 - x) / x),
    "-log(1/x-1)": lambda x: -log(1 / x - 1),
    "-log(inv(x)-1)": lambda x: -log(sg.inv(x) - 1),
    "-(log(1-x)-log(x))": lambda x: -(log(1 - x) - log(x)),
    "2*log(sqrt(x/(1-x)))": lambda x: 2 * log(sg.sqrt(x / (1 - x))),
    "axis beside": apart(lambda x: log(x / (1 - x))),
    "axis between": turned(lambda x: x / (1 - x), log),
}

FAMILIES = {
    "sigmoid": Family(logistic, SIGMOID, ELEMENTS, at(low=(0, 0), high=(1, 0))),
    "complement of sigmoid": Family(lambda v: logistic(-v), COMPLEMENT, ELEMENTS, at(low=(1, 0), high=(0, 0))),
    "slope of sigmoid": Family(lambda v: logistic(v) * logistic(-v), SLOPE, ELEMENTS, at(low=(0, 0), high=(0, 0))),
    "log of sigmoid": Family(lambda v: -log1pexp(-v), LOG_SIGMOID, ELEMENTS, at(low=(-INF, 1), high=(0, 0))),
    "softplus": Family(log1pexp, SOFTPLUS, ELEMENTS, at(low=(0, 0), high=(INF, 1))),
    "sigmoid - 1/2": Family(lambda v: mp.tanh(v / 2) / 2, HALF_TANH, ELEMENTS, at(low=(-0.5, 0), high=(0.5, 0))),
    "logarithm of odds": Family(
        lambda v: mp.log(v / (1 - v)), LOG_ODDS,
        points([0.0, 1e-300, 1e-40, 1e-17, 1e-3, 0.1, 0.25, 1 / 3, 0.49, 0.5 - 2**-18, 0.5, 0.5 + 2**-23, 0.5 + 2**-20,
                2 / 3, 0.75, 0.999, 1 - 2**-23, 1.0]), {(0.0,): (-INF, [INF]), (1.0,): (INF, [INF])},
    ),
    "logit of sigmoid": Family(lambda v: v, LOGIT, ELEMENTS, at(low=(-INF, 1), high=(INF, 1))),
}  # fmt: skip

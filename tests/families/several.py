"""Functions of two numbers: sums and ratios of exponentials, products and their logarithms, lengths."""

from __future__ import annotations

import math

import mpmath as mp

import symgraph as sg
from symgraph.graph import Variable
from tests.families import Family, Spelling
from tests.families.elements import log1pexp, logistic

e, log = sg.exp, sg.log
INF = math.inf
PAIRS = [
    (0.0, 0.0), (1.0, 1.0), (1.0, -1.0), (40.0, -40.0), (-40.0, 40.0), (710.0, 710.0), (710.0, -710.0), (-710.0, 3.0),
    (1e4, 1e4), (1e4, 9999.0), (9999.0, 1e4), (-1e4, -1e4), (-1e4, -9998.5), (1e4, -1e4), (1e-17, 0.0),
    (1e-300, 1e-300), (-746.0, -750.0), (0.3, -2.0), (88.5, 89.0), (-104.0, -103.5),
]  # fmt: skip
DESCENDING = [(a, b) for a, b in PAIRS if a > b and (a, b) != (1e-17, 0.0)]
SIZES = [1e-300, 1e-170, 1e-17, 0.5, 1.0, 3.0, 710.0, 1e17, 1e170, 1e300]
PRODUCTS = [(a, b) for a in SIZES for b in SIZES[::3]]
LENGTHS = [*PRODUCTS, *[(-a, b) for a, b in PRODUCTS[::3]], (0.0, 3.0), (-4.0, 0.0)]
SPACE = [
    (1e30, 1e30, -1e30), (1e-30, 2e-30, -1e-30), (1e200, -2e200, 1e200), (1e-200, 1e-200, 3e-200), (1.0, 2.0, 2.0),
    (1e-30, 1.0, 1e20), (0.0, 0.0, -1e-30), (0.0, 0.0, 0.0), (3e38, 1e38, 0.0), (1.7e308, 0.0, 2e307), (0.0, -4.0, 3.0),
]  # fmt: skip

LOGADDEXP: dict[str, Spelling] = {
    "log(exp(a)+exp(b))": lambda a, b: log(e(a) + e(b)),
    "log(exp(b)+exp(a))": lambda a, b: log(e(b) + e(a)),
    "-log(1/(exp(a)+exp(b)))": lambda a, b: -log(1 / (e(a) + e(b))),
    "a+log(1+exp(b-a))": lambda a, b: a + log(1 + e(b - a)),
    "b+log1p(exp(a-b))": lambda a, b: b + sg.log1p(e(a - b)),
    "log(exp(a)-(-exp(b)))": lambda a, b: log(e(a) - (-e(b))),
    "log(1/exp(-a)+exp(b))": lambda a, b: log(1 / e(-a) + e(b)),
    "log(sum of two)": lambda a, b: log(sum([e(a), e(b)], sg.constant(0.0).astype(a.dtype))),
    "log(stack.sum)": lambda a, b: log(sg.stack([e(a), e(b)]).sum(axis=0)),
    "logsumexp of stack": lambda a, b: log(e(sg.stack([a, b])).sum(axis=0)),
    "log(exp(a)*2+exp(b)*2)-": lambda a, b: log((2 * e(a) + 2 * e(b)) / 2),
    "axis between": lambda a, b: log(e(a)[None] + e(b)[None])[0],
    "axis between, summed": lambda a, b: log((e(a) + e(b))[None])[0],
}
LOGSUBEXP: dict[str, Spelling] = {
    "log(exp(a)-exp(b))": lambda a, b: log(e(a) - e(b)),
    "log(-(exp(b)-exp(a)))": lambda a, b: log(-(e(b) - e(a))),
    "log(-exp(b)+exp(a))": lambda a, b: log(-e(b) + e(a)),
    "log(exp(a)+(-exp(b)))": lambda a, b: log(e(a) + (-e(b))),
    "log(exp(a)+-1*exp(b))": lambda a, b: log(e(a) + -1 * e(b)),
    "log(0.5*(exp(a)-exp(b))*2)": lambda a, b: log(0.5 * (e(a) - e(b)) * 2),
    "a+log(1-exp(b-a))": lambda a, b: a + log(1 - e(b - a)),
    "a+log1p(-exp(b-a))": lambda a, b: a + sg.log1p(-e(b - a)),
    "log(1/exp(-a)-exp(b))": lambda a, b: log(1 / e(-a) - e(b)),
    "axis between": lambda a, b: log((e(a) - e(b))[None])[0],
}
SHARE: dict[str, Spelling] = {
    "exp(a)/(exp(a)+exp(b))": lambda a, b: e(a) / (e(a) + e(b)),
    "exp(a)/(exp(b)+exp(a))": lambda a, b: e(a) / (e(b) + e(a)),
    "exp(a)*(1/(exp(a)+exp(b)))": lambda a, b: e(a) * (1 / (e(a) + e(b))),
    "1/(1+exp(b-a))": lambda a, b: 1 / (1 + e(b - a)),
    "1-exp(b)/(exp(a)+exp(b))": lambda a, b: 1 - e(b) / (e(a) + e(b)),
    "1/(1+exp(b)/exp(a))": lambda a, b: 1 / (1 + e(b) / e(a)),
    "-exp(a)/-(...)": lambda a, b: -e(a) / -(e(a) + e(b)),
    "exp of difference": lambda a, b: e(a - log(e(a) + e(b))),
    "softmax of stack": lambda a, b: sg.nn.softmax(sg.stack([a, b]), axis=0)[0],
    "naive softmax of stack": lambda a, b: e(sg.stack([a, b]))[0] / e(sg.stack([a, b])).sum(axis=0),
    "axis between": lambda a, b: (e(a)[None] / (e(a) + e(b))[None])[0],
}
EXP_OF_SUM: dict[str, Spelling] = {
    "exp(a)*exp(b)": lambda a, b: e(a) * e(b),
    "exp(b)*exp(a)": lambda a, b: e(b) * e(a),
    "exp(a)/exp(-b)": lambda a, b: e(a) / e(-b),
    "1/(exp(-a)*exp(-b))": lambda a, b: 1 / (e(-a) * e(-b)),
    "exp(a)*(1/exp(-b))": lambda a, b: e(a) * (1 / e(-b)),
    "-exp(a)*-exp(b)": lambda a, b: -e(a) * -e(b),
    "2*exp(a)*exp(b)/2": lambda a, b: 2 * e(a) * e(b) / 2,
    "exp(a+b)": lambda a, b: e(a + b),
    "exp(a/2)**2*exp(b)": lambda a, b: e(a / 2) ** 2 * e(b),
    "(exp(a/2)*exp(b/2))**2": lambda a, b: (e(a / 2) * e(b / 2)) ** 2,
    "sqrt(exp(2a)*exp(2b))": lambda a, b: sg.sqrt(e(2 * a) * e(2 * b)),
    "sqrt(exp(2a))*exp(b)": lambda a, b: sg.sqrt(e(2 * a)) * e(b),
    "inv": lambda a, b: e(a) * sg.inv(e(-b)),
}
LOG_PRODUCT: dict[str, Spelling] = {
    "log(x*y)": lambda x, y: log(x * y),
    "log(y*x)": lambda x, y: log(y * x),
    "log(-x*-y)": lambda x, y: log(-x * -y),
    "log(x)+log(y)": lambda x, y: log(x) + log(y),
    "log(2*(x*y)/2)": lambda x, y: log(2 * (x * y) / 2),
    "log(x*(y*1))": lambda x, y: log(x * (y * 1)),
    "log(abs(x)*abs(y))": lambda x, y: log(sg.abs(x) * sg.abs(y)),
    "0.5*log((x*y)**2)": lambda x, y: 0.5 * log((x * y) ** 2),
    "2*log(sqrt(x*y))": lambda x, y: 2 * log(sg.sqrt(x * y)),
    "log(prod)": lambda x, y: log(sg.stack([x, y]).prod(axis=0)),
    "axis between": lambda x, y: log((x * y)[None])[0],
}
LOG_QUOTIENT: dict[str, Spelling] = {
    "log(x/y)": lambda x, y: log(x / y),
    "-log(y/x)": lambda x, y: -log(y / x),
    "log(-x/-y)": lambda x, y: log(-x / -y),
    "log(x)-log(y)": lambda x, y: log(x) - log(y),
    "log(x*(1/y))": lambda x, y: log(x * (1 / y)),
    "log(abs(x)/abs(y))": lambda x, y: log(sg.abs(x) / sg.abs(y)),
    "2*log(sqrt(x/y))": lambda x, y: 2 * log(sg.sqrt(x / y)),
    "0.5*log((x/y)**2)": lambda x, y: 0.5 * log((x / y) ** 2),
    "log(2*x/y/2)": lambda x, y: log(2 * x / y / 2),
    "axis between": lambda x, y: log((x / y)[None])[0],
}
LENGTH: dict[str, Spelling] = {
    "sqrt(x**2+y**2)": lambda x, y: sg.sqrt(x**2 + y**2),
    "sqrt(x*x+y*y)": lambda x, y: sg.sqrt(x * x + y * y),
    "sqrt(y*y+x*x)": lambda x, y: sg.sqrt(y * y + x * x),
    "(x**2+y**2)**0.5": lambda x, y: (x**2 + y**2) ** 0.5,
    "sqrt(sqr+sqr)": lambda x, y: sg.sqrt(sg.sqr(x) + sg.sqr(y)),
    "sqrt(abs**2+abs**2)": lambda x, y: sg.sqrt(sg.abs(x) ** 2 + sg.abs(y) ** 2),
    "sqrt((-x)**2+y**2)": lambda x, y: sg.sqrt((-x) ** 2 + y**2),
    "norm of stack": lambda x, y: sg.norm(sg.stack([x, y]), axis=0),
    "sqrt of the sum of squares of stack": lambda x, y: sg.sqrt((sg.stack([x, y]) ** 2).sum(axis=0)),
    "axis between": lambda x, y: sg.sqrt((x**2 + y**2)[None])[0],
    "1/(...)**-0.5": lambda x, y: 1 / (x**2 + y**2) ** -0.5,
}
GAMMA_RATIO: dict[str, Spelling] = {
    "gamma(x)/gamma(y)": lambda x, y: sg.gamma(x) / sg.gamma(y),
    "1/(gamma(y)/gamma(x))": lambda x, y: 1 / (sg.gamma(y) / sg.gamma(x)),
    "gamma(x)*(1/gamma(y))": lambda x, y: sg.gamma(x) * (1 / sg.gamma(y)),
    "-gamma(x)/-gamma(y)": lambda x, y: -sg.gamma(x) / -sg.gamma(y),
    "2*gamma(x)/gamma(y)/2": lambda x, y: 2 * sg.gamma(x) / sg.gamma(y) / 2,
    "inv": lambda x, y: sg.gamma(x) * sg.inv(sg.gamma(y)),
    "exp(gammaln-gammaln)": lambda x, y: e(sg.gammaln(x) - sg.gammaln(y)),
    "exp/exp": lambda x, y: e(sg.gammaln(x)) / e(sg.gammaln(y)),
    "exp*exp": lambda x, y: e(sg.gammaln(x)) * e(-sg.gammaln(y)),
    "axis between": lambda x, y: (sg.gamma(x)[None] / sg.gamma(y)[None])[0],
}
LENGTH_IN_SPACE: dict[str, Spelling] = {
    "sqrt(x**2+y**2+z**2)": lambda x, y, z: sg.sqrt(x**2 + y**2 + z**2),
    "sqrt(x*x+(y*y+z*z))": lambda x, y, z: sg.sqrt(x * x + (y * y + z * z)),
    "sqrt(z*z+y*y+x*x)": lambda x, y, z: sg.sqrt(z * z + y * y + x * x),
    "(...)**0.5": lambda x, y, z: (x**2 + y**2 + z**2) ** 0.5,
    "1/(...)**-0.5": lambda x, y, z: 1 / (x**2 + y**2 + z**2) ** -0.5,
    "sqr": lambda x, y, z: sg.sqrt(sg.sqr(x) + sg.sqr(-y) + sg.sqr(z)),
    "abs": lambda x, y, z: sg.sqrt(sg.abs(x) ** 2 + sg.abs(y) ** 2 + z**2),
    "halved": lambda x, y, z: 2 * sg.sqrt(x * x / 4 + y * y / 4 + z * z / 4),
    "norm of stack": lambda x, y, z: sg.norm(sg.stack([x, y, z]), axis=0),
    "of a length": lambda x, y, z: sg.sqrt(sg.sqr(sg.sqrt(x * x + y * y)) + z * z),
    "axis between": lambda x, y, z: sg.sqrt((x**2 + y**2 + z**2)[None])[0],
}

WEIGHTED_TWO: dict[str, Spelling] = {
    "3*exp(a)-0.5*exp(b)": lambda a, b: log(c(a, 3) * e(a) - c(a, 0.5) * e(b)),
    "exp(a)*3+exp(b)*-0.5": lambda a, b: log(e(a) * c(a, 3) + e(b) * c(a, -0.5)),
    "-(0.5*exp(b)-3*exp(a))": lambda a, b: log(-(c(a, 0.5) * e(b) - c(a, 3) * e(a))),
    "two of one": lambda a, b: log(c(a, 1) * e(a) + c(a, 2) * e(a) - c(a, 0.5) * e(b)),
    "products": lambda a, b: log(c(a, 3) * e(a / 2) * e(a / 2) - c(a, 0.5) * e(b)),
    "inverse": lambda a, b: log(c(a, 3) / e(-a) - c(a, 0.5) / e(-b)),
    "weights added": lambda a, b: log(c(a, 3) * e(a) + (c(a, 0.5) - 1) * e(b)),
    "negative first": lambda a, b: log(c(a, -0.5) * e(b) + c(a, 3) * e(a)),
    "squares": lambda a, b: log(c(a, 3) * e(a / 2) ** 2 - c(a, 0.5) * e(b / 2) ** 2),
    "axis between": lambda a, b: log((c(a, 3) * e(a) - c(a, 0.5) * e(b))[None])[0],
}


def c(x: Variable, number: float) -> Variable:
    """A number whose sign nothing is known of."""
    return sg.sin(sg.zeros_like(x)) + number


FAMILIES = {
    "log(3*exp(a)-0.5*exp(b))": Family(
        lambda a, b: a + mp.log(3 - mp.exp(b - a) / 2), WEIGHTED_TWO, [(a, b) for a, b in PAIRS if b < a + 1.5],
        conditioned=True,
    ),
    "log(exp(a)+exp(b))": Family(lambda a, b: max(a, b) + log1pexp(-abs(a - b)), LOGADDEXP, PAIRS, conditioned=True),
    "log(exp(a)-exp(b))": Family(lambda a, b: a + mp.log(-mp.expm1(b - a)), LOGSUBEXP, DESCENDING, conditioned=True),
    "exp(a)/(exp(a)+exp(b))": Family(lambda a, b: logistic(a - b), SHARE, PAIRS, conditioned=True),
    "exp(a)*exp(b)": Family(lambda a, b: mp.exp(a + b), EXP_OF_SUM, PAIRS, conditioned=True),
    "log of product": Family(lambda x, y: mp.log(x * y), LOG_PRODUCT, PRODUCTS, conditioned=True),
    "log of quotient": Family(lambda x, y: mp.log(x / y), LOG_QUOTIENT, PRODUCTS, conditioned=True,
    ),
    "hypotenuse": Family(
        lambda x, y: mp.sqrt(x * x + y * y), LENGTH, [*LENGTHS, (0.0, 0.0)], {(0.0, 0.0): (0, [0, 0])},
    ),
    "length in space": Family(
        lambda x, y, z: mp.sqrt(x * x + y * y + z * z), LENGTH_IN_SPACE, SPACE, {(0.0, 0.0, 0.0): (0, [0, 0, 0])},
        conditioned=True,
    ),
    "ratio of gammas": Family(
        lambda x, y: mp.gamma(x) / mp.gamma(y), GAMMA_RATIO,
        [(0.5, 1.0), (3.0, 2.5), (40.0, 39.0), (180.0, 179.5), (710.0, 709.0), (1e4, 9999.5), (171.0, 172.5),
         (36.0, 35.0)],
        conditioned=True,
    ),
}  # fmt: skip

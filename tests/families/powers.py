"""Powers, roots, and logarithms of them."""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp

import symgraph as sg
from symgraph.graph import Variable
from tests.families import Family, Spelling
from tests.families.elements import HUGE, INF, apart, at, log1, points, turned

log = sg.log
WIDE = [*HUGE, 1e8, 1e10, 1e20, 3e38, 1e200, 1.7e308]

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
BESIDE_ONE: dict[str, Spelling] = {
    "sqrt(x*x+1)": lambda x: sg.sqrt(x * x + 1),
    "sqrt(1+x**2)": lambda x: sg.sqrt(1 + x**2),
    "sqrt(1+sqr(x))": lambda x: sg.sqrt(1 + sg.sqr(x)),
    "sqrt(x*x-(-1))": lambda x: sg.sqrt(x * x - (-1)),
    "sqrt((-x)**2+1)": lambda x: sg.sqrt((-x) ** 2 + 1),
    "sqrt(abs(x)**2+1)": lambda x: sg.sqrt(sg.abs(x) ** 2 + 1),
    "(x*x+1)**0.5": lambda x: (x * x + 1) ** 0.5,
    "1/(x*x+1)**-0.5": lambda x: 1 / (x * x + 1) ** -0.5,
    "1/(1/sqrt)": lambda x: 1 / (1 / sg.sqrt(x * x + 1)),
    "2*sqrt(x*x/4+0.25)": lambda x: 2 * sg.sqrt(x * x / 4 + 0.25),
    "8*sqrt(x/4*x/16+1/64)": lambda x: 8 * sg.sqrt(x / 4 * x / 16 + 1 / 64),
    "axis beside": apart(lambda x: sg.sqrt(x * x + 1)),
    "axis between": turned(lambda x: x * x + 1, sg.sqrt),
}


def beside_square(c: float, f: Callable[[Variable, Variable], Variable]) -> dict[str, Spelling]:
    """f of x and of c + x*x."""
    sums: dict[str, Spelling] = {
        "x*x+c": lambda x: x * x + c,
        "c+x**2": lambda x: c + x**2,
        "c+sqr(x)": lambda x: c + sg.sqr(x),
        "x*x-(-c)": lambda x: x * x - (-c),
        "(-x)**2+c": lambda x: (-x) ** 2 + c,
        "abs(x)**2+c": lambda x: sg.abs(x) ** 2 + c,
        "c+x*x*1": lambda x: c + x * x * 1,
        "c-(-x*x)": lambda x: c - (-x * x),
        "1/(1/(...))": lambda x: 1 / (1 / (c + x * x)),
    }
    return {
        **{name: (lambda x, s=s: f(x, s(x))) for name, s in sums.items()},
        "axis beside": apart(lambda x: f(x, c + x * x)),
        "axis between": lambda x: f(x[None], (c + x * x)[None])[0],
    }


LOG_OF_INVERSE: dict[str, Spelling] = {
    "-log(1/(1+x*x))": lambda x: -log(1 / (1 + x * x)),
    "-2*log(sqrt(1/(1+x*x)))": lambda x: -2 * log(sg.sqrt(1 / (1 + x * x))),
    "-2*log(1/sqrt(1+x*x))": lambda x: -2 * log(1 / sg.sqrt(1 + x * x)),
}
STUDENT: dict[str, Spelling] = {
    "log(1+x*x/3)": lambda x: log(1 + x * x / 3),
    "log(1+x**2/3)": lambda x: log(1 + x**2 / 3),
    "log(x*x/3+1)": lambda x: log(x * x / 3 + 1),
    "log1p(x*x/3)": lambda x: sg.log1p(x * x / 3),
    "log1p(x/3*x)": lambda x: sg.log1p(x / 3 * x),
    "log1p(x*(x/3))": lambda x: sg.log1p(x * (x / 3)),
    "log1p(-x*-x/3)": lambda x: sg.log1p(-x * -x / 3),
    "log1p(x*x*(1/3))": lambda x: sg.log1p(x * x * (1 / 3)),
    "-log(1/(1+x*x/3))": lambda x: -log(1 / (1 + x * x / 3)),
    "2*log(sqrt(...))": lambda x: 2 * log(sg.sqrt(1 + x * x / 3)),
    "axis beside": apart(lambda x: log(1 + x * x / 3)),
    "axis between": turned(lambda x: x * x / 3, sg.log1p),
}
HARMONIC: dict[str, Spelling] = {
    "1/(1/x+1)": lambda x: 1 / (1 / x + 1),
    "1/(1+1/x)": lambda x: 1 / (1 + 1 / x),
    "1/(1+x**-1)": lambda x: 1 / (1 + x**-1),
    "(1+x**-1)**-1": lambda x: (1 + x**-1) ** -1,
    "inv(inv(x)+1)": lambda x: sg.inv(sg.inv(x) + 1),
    "2/(2/x+2)": lambda x: 2 / (2 / x + 2),
    "3/(3/x+3)": lambda x: 3 / (3 / x + 3),
    "-1/(-1/x-1)": lambda x: -1 / (-1 / x - 1),
    "1/(1-(-1/x))": lambda x: 1 / (1 - (-1 / x)),
    "axis beside": apart(lambda x: 1 / (1 / x + 1)),
    "axis between": turned(lambda x: 1 / x + 1, lambda u: 1 / u),
}

FAMILIES = {
    "log of square": Family(
        lambda v: 2 * mp.log(abs(v)), LOG_SQUARE, points([*HUGE, *[-v for v in HUGE], INF, -INF]),
        at(low=(INF, 0), high=(INF, 0), zero=(-INF, None)),
    ),
    "log of power": Family(
        lambda v: 3 * mp.log(v), LOG_POWER, points([*HUGE, INF]), at(high=(INF, 0), zero=(-INF, INF)),
    ),
    "x log x": Family(
        lambda v: v * mp.log(v), X_LOG_X, points([0.0, *HUGE, INF]), at(zero=(0, -INF), high=(INF, INF)),
    ),
    "guarded log": Family(
        lambda v: mp.log(v) if v > 0 else mp.mpf(0), GUARDED, points([0.0, *HUGE, *[-v for v in HUGE], INF, -INF]),
        at(low=(0, 0), zero=(0, 0), high=(INF, 0)),
    ),
    "sqrt(x*x+1)": Family(
        lambda v: mp.sqrt(v * v + 1), BESIDE_ONE, points([0.0, *WIDE, *[-v for v in WIDE], INF, -INF]),
        at(low=(INF, -1), high=(INF, 1)), conditioned=True,
    ),
    "1/sqrt(x*x+1)": Family(
        lambda v: 1 / mp.sqrt(v * v + 1), beside_square(1, lambda x, s: sg.sqrt(1 / s)),
        points([0.0, *WIDE, *[-v for v in WIDE], INF, -INF]), at(low=(0, 0), high=(0, 0)), conditioned=True,
    ),
    "1/(1+x*x)": Family(
        lambda v: 1 / (1 + v * v), beside_square(1, lambda x, s: 1 / s),
        points([0.0, *WIDE, *[-v for v in WIDE], INF, -INF]), at(low=(0, 0), high=(0, 0)),
    ),
    "x/(1+x*x)": Family(
        lambda v: v / (1 + v * v), beside_square(1, lambda x, s: x / s),
        points([0.0, *WIDE, *[-v for v in WIDE]]), conditioned=True,
    ),
    "log(1+x*x)": Family(
        lambda v: log1(v * v), {**beside_square(1, lambda x, s: log(s)), **LOG_OF_INVERSE},
        points([0.0, *WIDE, *[-v for v in WIDE], INF, -INF]), at(low=(INF, 0), high=(INF, 0)),
    ),
    "log(5+x*x)": Family(
        lambda v: mp.log(5 + v * v), beside_square(5, lambda x, s: log(s)),
        points([0.0, *WIDE, *[-v for v in WIDE], INF, -INF]), at(low=(INF, 0), high=(INF, 0)),
    ),
    "log(1+x*x/3)": Family(
        lambda v: log1(v * v / 3), STUDENT, points([0.0, *WIDE, *[-v for v in WIDE], INF, -INF]),
        at(low=(INF, 0), high=(INF, 0)),
    ),
    "1/(1/x+1)": Family(
        lambda v: 1 / (1 / v + 1), HARMONIC, points([v for v in WIDE if v not in (1e-300, 1.7e308)]), conditioned=True,
    ),
    "root": Family(mp.sqrt, ROOT, points([0.0, *HUGE, INF]), at(zero=(0, INF), high=(INF, 0)), conditioned=True,
    ),
    "cube": Family(
        lambda v: v**3, CUBE, points([0.0, *HUGE, *[-v for v in HUGE], INF, -INF]),
        at(low=(-INF, INF), zero=(0, 0), high=(INF, INF)),
    ),
}  # fmt: skip

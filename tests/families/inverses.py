"""Inverses of what is exponentially small or large: their slopes are a product of what is too large and too small."""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp

import symgraph as sg
from symgraph.graph import Variable
from tests.families import Family, Spelling
from tests.families.elements import ELEMENTS, INF, apart, at, turned

e = sg.exp


def one_over(f: Callable[[Variable], Variable]) -> dict[str, Spelling]:
    """1 over a function."""
    return {
        "1/f": lambda x: 1 / f(x),
        "f**-1": lambda x: f(x) ** -1,
        "inv(f)": lambda x: sg.inv(f(x)),
        "-1/-f": lambda x: -1 / -f(x),
        "-(1/-f)": lambda x: -(1 / -f(x)),
        "0-(-1/f)": lambda x: 0 - (-1 / f(x)),
        "1/(f*1)": lambda x: 1 / (f(x) * 1),
        "2/f/2": lambda x: 2 / f(x) / 2,
        "4*(0.25/f)": lambda x: 4 * (0.25 / f(x)),
        "1/(1/(1/f))": lambda x: 1 / (1 / (1 / f(x))),
        "axis beside": apart(lambda x: 1 / f(x)),
        "axis between": turned(f, lambda u: 1 / u),
    }


def over(f: Callable[[Variable], Variable], g: Callable[[Variable], Variable]) -> dict[str, Spelling]:
    """One function over another."""
    return {
        "f/g": lambda x: f(x) / g(x),
        "f*g**-1": lambda x: f(x) * g(x) ** -1,
        "f*(1/g)": lambda x: f(x) * (1 / g(x)),
        "-f/-g": lambda x: -f(x) / -g(x),
        "-(-f/g)": lambda x: -(-f(x) / g(x)),
        "0-(f/-g)": lambda x: 0 - f(x) / -g(x),
        "f/(g*1)": lambda x: f(x) / (g(x) * 1),
        "2*f/g/2": lambda x: 2 * f(x) / g(x) / 2,
        "1/(g/f)": lambda x: 1 / (g(x) / f(x)),
        "axis beside": apart(lambda x: f(x) / g(x)),
        "axis between": lambda x: (f(x)[None] / g(x)[None])[0],
    }


FAMILIES = {
    "1/sigmoid": Family(
        lambda v: 1 + mp.exp(-v), one_over(sg.sigmoid), ELEMENTS, at(low=(INF, -INF), high=(1, 0)), conditioned=True,
    ),
    "1/(1+tanh)": Family(
        lambda v: (1 + mp.exp(-2 * v)) / 2, one_over(lambda x: 1 + sg.tanh(x)), ELEMENTS,
        at(low=(INF, -INF), high=(0.5, 0)), conditioned=True,
    ),
    "1/(1-tanh**2)": Family(
        lambda v: mp.cosh(v) ** 2, one_over(lambda x: 1 - sg.tanh(x) ** 2), ELEMENTS,
        at(low=(INF, -INF), high=(INF, INF)), conditioned=True,
    ),
    "1/(exp(x)-1)": Family(
        lambda v: 1 / mp.expm1(v), one_over(lambda x: e(x) - 1), ELEMENTS,
        at(low=(-1, 0), zero=(INF, -INF), high=(0, 0)), conditioned=True,
    ),
    "x/sigmoid": Family(
        lambda v: v * (1 + mp.exp(-v)), over(lambda x: x, sg.sigmoid), ELEMENTS, at(low=(-INF, INF), high=(INF, None)),
        conditioned=True,
    ),
    "tanh/(1+tanh)": Family(
        lambda v: -mp.expm1(-2 * v) / 2, over(sg.tanh, lambda x: 1 + sg.tanh(x)), ELEMENTS,
        at(low=(-INF, INF), high=(0.5, 0)), conditioned=True,
    ),
    "1/sinh": Family(
        lambda v: 1 / mp.sinh(v), one_over(sg.sinh), ELEMENTS, at(low=(0, 0), zero=(INF, -INF), high=(0, 0)),
        conditioned=True,
    ),
}  # fmt: skip

"""What is left of a softmax, its odds and its logarithms; ratios of two; products along an axis of known logarithms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp

import symgraph as sg
from symgraph.graph import Variable
from tests.families import Family, Spelling
from tests.families.elements import log1pexp
from tests.families.rows import ROWS, first, log_total, on_rows, row, total

e, log, softmax, sigmoid = sg.exp, sg.log, sg.nn.softmax, sg.sigmoid


def naive(x: Variable) -> Variable:
    return e(x) / total(e(x))


def others(x: list[Any], k: int) -> Any:
    """The logarithm of the sum of the exponentials of all but one."""
    return log_total([v for j, v in enumerate(x) if j != k])


LOG_COMPLEMENT: dict[str, Spelling] = {
    "log(1-p)": lambda x: log(1 - softmax(x)),
    "naive log(1-p)": lambda x: log(1 - naive(x)),
    "log1p(-p)": lambda x: sg.log1p(-softmax(x)),
    "naive log1p(-p)": lambda x: sg.log1p(-naive(x)),
    "log(-(p-1))": lambda x: log(-(softmax(x) - 1)),
    "log(1+-p)": lambda x: log(1 + -softmax(x)),
    "-log(1/(1-p))": lambda x: -log(1 / (1 - softmax(x))),
    "log(1-p), exp of log": lambda x: log(1 - e(x - log(total(e(x))))),
    "2*log(sqrt)": lambda x: 2 * log(sg.sqrt(1 - softmax(x))),
    "binary loss": lambda x: -sg.nn.binary_crossentropy(softmax(x), sg.zeros_like(x)),
    "axis between": lambda x: log(row(1 - softmax(x)))[..., 0],
    "axis before": lambda x: log(1 - row(naive(x)))[..., 0],
}
LOG_ODDS: dict[str, Spelling] = {
    "log(p/(1-p))": lambda x: log(softmax(x) / (1 - softmax(x))),
    "naive log(p/(1-p))": lambda x: log(naive(x) / (1 - naive(x))),
    "log(p)-log(1-p)": lambda x: log(softmax(x)) - log(1 - softmax(x)),
    "log(p)-log1p(-p)": lambda x: log(softmax(x)) - sg.log1p(-softmax(x)),
    "-(log1p(-p)-log(p))": lambda x: -(sg.log1p(-naive(x)) - log(naive(x))),
    "-log((1-p)/p)": lambda x: -log((1 - softmax(x)) / softmax(x)),
    "log(p*(1/(1-p)))": lambda x: log(softmax(x) * (1 / (1 - softmax(x)))),
    "log(p)+-log(1-p)": lambda x: log(softmax(x)) + -log(1 - softmax(x)),
    "log(-p/(p-1))": lambda x: log(-softmax(x) / (softmax(x) - 1)),
    "axis between": lambda x: log(row(softmax(x) / (1 - softmax(x))))[..., 0],
}
LOG_ODDS_OF_ONE: dict[str, Spelling] = {
    "first": lambda x: first(log(softmax(x) / (1 - softmax(x)))),
    "of the first": lambda x: (lambda p: log(p / (1 - p)))(first(softmax(x))),
    "naive, of the first": lambda x: (lambda p: log(p / (1 - p)))(first(naive(x))),
    "first over total": lambda x: (lambda p: log(p / (1 - p)))(first(e(x)) / total(e(x), False)),
    "difference": lambda x: (lambda p: log(p) - log(1 - p))(first(softmax(x))),
    "log1p": lambda x: (lambda p: log(p) - sg.log1p(-p))(first(softmax(x))),
    "negated": lambda x: (lambda p: -log((1 - p) / p))(first(softmax(x))),
    "labels": on_rows(lambda x, y: (lambda p: log(p / (1 - p)))(softmax(x)[sg.arange(x.shape[0]), y])),
    "naive labels": on_rows(lambda x, y: (lambda p: log(p / (1 - p)))(naive(x)[sg.arange(x.shape[0]), y])),
    "take_along_axis": on_rows(
        lambda x, y: (lambda p: log(p / (1 - p)))(sg.take_along_axis(naive(x), y[:, None], axis=1))[:, 0]
    ),
    "inserted": lambda x: (lambda p: log(p / (1 - p)))(row(first(softmax(x))))[..., 0],
}


def ratio(f: Callable[[Variable], Variable], g: Callable[[Variable], Variable]) -> Spelling:
    """The first two of a row over the last two."""
    return lambda x: f(x[..., :2]) / g(x[..., 2:])


RATIO: dict[str, Spelling] = {
    "softmax/softmax": ratio(softmax, softmax),
    "naive/naive": ratio(naive, naive),
    "softmax/naive": ratio(softmax, naive),
    "naive*(1/softmax)": lambda x: naive(x[..., :2]) * (1 / softmax(x[..., 2:])),
    "1/(q/p)": lambda x: 1 / (softmax(x[..., 2:]) / softmax(x[..., :2])),
    "-p/-q": lambda x: -softmax(x[..., :2]) / -softmax(x[..., 2:]),
    "2*p/q/2": lambda x: 2 * softmax(x[..., :2]) / softmax(x[..., 2:]) / 2,
    "exp(log p-log q)": lambda x: e(log(softmax(x[..., :2])) - log(softmax(x[..., 2:]))),
    "p*q**-1": lambda x: softmax(x[..., :2]) * softmax(x[..., 2:]) ** -1,
    "inv": lambda x: softmax(x[..., :2]) * sg.inv(naive(x[..., 2:])),
    "axis between": lambda x: (row(softmax(x[..., :2])) / row(softmax(x[..., 2:])))[..., 0],
}


def product(f: Callable[[Variable], Variable]) -> dict[str, Spelling]:
    """The logarithm of the product of f(x) along the last axis."""
    return {
        "log(prod)": lambda x: log(f(x).prod(axis=-1)),
        "kept": lambda x: first(log(f(x).prod(axis=-1, keepdims=True))),
        "sum of logs": lambda x: total(log(f(x)), False),
        "-log(1/prod)": lambda x: -log(1 / f(x).prod(axis=-1)),
        "-log(prod of inverses)": lambda x: -log((1 / f(x)).prod(axis=-1)),
        "halves": lambda x: log(f(x[..., :2]).prod(axis=-1)) + log(f(x[..., 2:]).prod(axis=-1)),
        "2*log(sqrt)": lambda x: 2 * log(sg.sqrt(f(x).prod(axis=-1))),
        "half of squares": lambda x: 0.5 * log((f(x) ** 2).prod(axis=-1)),
        "log(c*prod)-log(c)": lambda x: log(2 * f(x).prod(axis=-1) / 2),
        "inserted": lambda x: first(log(row(f(x).prod(axis=-1)))),
        "half and twice": lambda x: log((2 * f(x) * 0.5).prod(axis=-1)),
        "terms": lambda x: log(f(x[..., 0]) * f(x[..., 1]) * f(x[..., 2]) * f(x[..., 3])),
    }


FAMILIES = {
    "log of a softmax's complement": Family(
        lambda x: [others(x, k) - log_total(x) for k in range(len(x))], LOG_COMPLEMENT, ROWS, rows=True,
        conditioned=True,
    ),
    "log odds of a softmax": Family(
        lambda x: [v - others(x, k) for k, v in enumerate(x)], LOG_ODDS, ROWS, rows=True, conditioned=True,
    ),
    "log odds of a chosen class": Family(
        lambda x: x[0] - others(x, 0), LOG_ODDS_OF_ONE, ROWS, rows=True, conditioned=True,
    ),
    "ratio of softmaxes": Family(
        lambda x: [mp.exp(x[k] - log_total(x[:2]) - x[k + 2] + log_total(x[2:])) for k in range(2)], RATIO, ROWS,
        rows=True, conditioned=True,
    ),
    "log of a product of exponentials": Family(lambda x: sum(x), product(e), ROWS, rows=True, conditioned=True),
    "log of a product of sigmoids": Family(
        lambda x: -sum(log1pexp(-v) for v in x), product(sigmoid), ROWS, rows=True, conditioned=True,
    ),
}  # fmt: skip

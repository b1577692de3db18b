"""Sums of exponentials with weights, both inputs: their logarithms, and the shares of their terms.

A row has an exponent and a weight in turn: x, w, x, w.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath as mp

import symgraph as sg
from symgraph.graph import Variable
from tests.families import Family, Spelling
from tests.families.rows import log_total, probabilities

e, log, softmax = sg.exp, sg.log, sg.nn.softmax
Rows = Callable[[Variable, Variable], Variable]

EXPONENTS = [(1e4, -1e4), (-1e4, -9998.5), (1e4, 9999.0), (0.3, -2.0), (0.0, 0.0), (40.0, -710.0), (-88.5, 89.0)]
POSITIVE = [
    *[(x, 0.5, y, 2.0) for x, y in EXPONENTS], (-80.0, 1e30, 0.0, 1e-30), (-700.0, 1e300, 0.0, 1e-300),
    (720.0, 1e-310, -1.0, 1.0), (-2.0, 8e307, -2.0, 8e307), (-3.0, 1.6e38, -3.0, 1.6e38), (88.0, 1e-39, 90.0, 1e-38),
]  # fmt: skip
ROWS = [
    *POSITIVE, *[(x, 3.0, y, -1e-3) for x, y in EXPONENTS if x > y], (700.0, 1e-300, -700.0, 1e300),
    (-1e4, -2.0, -1e4, 3.0), (1e4, 0.0, 9999.0, 2.0), (-9998.0, 2.0, -9997.0, 0.0), (0.0, 0.25, 0.0, 0.75),
]  # fmt: skip
HUGE_BESIDE_0, SMALL_BESIDE_0 = (1e4, 0.0, 3.0, 2.0), (-1e4, 2.0, 3.0, 0.0)
NOTHING = (1e4, 0.0, -3.0, 0.0)
MASKED = [(x, v, y, w) for x, y in EXPONENTS for v, w in [(1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (0.5, 3.0)]]
TWO = [(x, y, x / 2 - 1, 3.0) for x, y in EXPONENTS]


def by_pairs(spellings: dict[str, Rows]) -> dict[str, Spelling]:
    """Functions of the exponents and the weights of each row."""
    return {name: (lambda x, f=f: f(x[..., ::2], x[..., 1::2])) for name, f in spellings.items()}


def total(x: Variable, keepdims: bool = False) -> Variable:
    return x.sum(axis=-1, keepdims=keepdims)


def row(x: Variable) -> Variable:
    return x[..., None, :]


def column(x: Variable) -> Variable:
    return x[..., :, None]


def product(x: Variable, y: Variable) -> Variable:
    """The product of a row and a column, one number."""
    return (row(x) @ column(y))[..., 0, 0]


def terms(x: list[Any]) -> list[Any]:
    return [w * mp.exp(v) for v, w in zip(x[::2], x[1::2], strict=True)]


def log_sum(x: list[Any]) -> Any:
    return mp.log(sum(terms(x)))


def shares(x: list[Any]) -> list[Any]:
    return [t / sum(terms(x)) for t in terms(x)]


def logs_of_shares(x: list[Any]) -> list[Any]:
    """Of the first, the logarithm of the share: 1 + the other over it, inverted."""
    first, second = terms(x)
    return [-mp.log1p(second / first), -mp.log1p(first / second)]


WEIGHTED = by_pairs({
    "w*exp": lambda x, w: log(total(w * e(x))),
    "exp*w": lambda x, w: log(total(e(x) * w)),
    "kept": lambda x, w: log(total(w * e(x), True))[..., 0],
    "over the inverse": lambda x, w: log(total(w / e(-x))),
    "doubled, halved": lambda x, w: log(total(2 * w * e(x)) / 2),
    "mean": lambda x, w: log((2 * w * e(x)).mean(axis=-1)),
    "negative twice": lambda x, w: log(-total(-w * e(x))),
    "minus log of inverse": lambda x, w: -log(1 / total(w * e(x))),
    "product of exps": lambda x, w: log(total(e(x / 2) * w * e(x / 2))),
    "squared": lambda x, w: log(total(w * e(x / 2) ** 2)),
    "axis between": lambda x, w: log(total(w * e(x))[..., None])[..., 0],
    "dot": lambda x, w: log(product(w, e(x))),
    "dot of exp first": lambda x, w: log(product(e(x), w)),
    "log2": lambda x, w: sg.log2(total(w * e(x))) * 0.6931471805599453,
})  # fmt: skip
SCALED: dict[str, Spelling] = {
    "exp*s": lambda x, s: log(e(x) * s),
    "s*exp": lambda x, s: log(s * e(x)),
    "s/exp": lambda x, s: log(s / e(-x)),
    "halves": lambda x, s: log(e(x / 2) * s * e(x / 2)),
    "inverse": lambda x, s: -log(1 / (e(x) * s)),
    "inverse of both": lambda x, s: -log(e(-x) / s),
    "-s*-exp": lambda x, s: log(-s * -e(x)),
    "2s*exp/2": lambda x, s: log(2 * s * e(x) / 2),
    "sqrt": lambda x, s: log(s * sg.sqrt(e(2 * x))),
    "axis between": lambda x, s: log((s * e(x))[None])[0],
    "log10": lambda x, s: sg.log10(s * e(x)) * 2.302585092994046,
}
MIXTURE = by_pairs({
    "softmax*exp": lambda a, w: log(total(softmax(w) * e(a))),
    "exp*softmax": lambda a, w: log(total(e(a) * softmax(w))),
    "naive softmax": lambda a, w: log(total(e(w) / total(e(w), True) * e(a))),
    "over exp": lambda a, w: log(total(softmax(w) * e(a / 2) / e(-a / 2))),
    "dot": lambda a, w: log(product(softmax(w), e(a))),
    "doubled": lambda a, w: log(total(2 * softmax(w) * e(a)) / 2),
    "kept": lambda a, w: log(total(softmax(w) * e(a), True))[..., 0],
    "minus log of inverse": lambda a, w: -log(1 / total(softmax(w) * e(a))),
    "of logarithms": lambda a, w: log(total(e(a + log(softmax(w))))),
    "of log_softmax": lambda a, w: sg.logsumexp(a + sg.nn.log_softmax(w), axis=-1),
})  # fmt: skip
EXPECTED = by_pairs({
    "y*softmax": lambda x, y: log(total(y * softmax(x))),
    "softmax*y": lambda x, y: log(total(softmax(x) * y)),
    "naive softmax": lambda x, y: log(total(y * (e(x) / total(e(x), True)))),
    "kept": lambda x, y: log(total(y * softmax(x), True))[..., 0],
    "dot": lambda x, y: log(product(softmax(x), y)),
    "dot of y first": lambda x, y: log(product(y, softmax(x))),
    "minus log of inverse": lambda x, y: -log(1 / total(y * softmax(x))),
    "negative twice": lambda x, y: log(-total(-y * softmax(x))),
    "doubled": lambda x, y: log(total(2 * y * softmax(x)) / 2),
    "exp of log_softmax": lambda x, y: log(total(y * e(x - log(total(e(x), True))))),
})  # fmt: skip
SHARES = by_pairs({
    "w*exp": lambda x, w: w * e(x) / total(w * e(x), True),
    "exp*w": lambda x, w: e(x) * w / total(e(x) * w, True),
    "times the inverse": lambda x, w: w * e(x) * (1 / total(w * e(x), True)),
    "inserted": lambda x, w: w * e(x) / total(w * e(x))[..., None],
    "doubled": lambda x, w: 2 * w * e(x) / total(2 * w * e(x), True),
    "negated": lambda x, w: -(w * e(x)) / -total(w * e(x), True),
    "weight last": lambda x, w: w * (e(x) / total(w * e(x), True)),
    "maximum taken out": lambda x, w: w * e(x - top(x)) / total(w * e(x - top(x)), True),
    "weights normalised": lambda x, w: w * softmax(x) / total(w * softmax(x), True),
    "over the inverse exp": lambda x, w: w / e(-x) / total(w / e(-x), True),
})  # fmt: skip
"""Of a softmax with weights."""


def top(x: Variable) -> Variable:
    return x.max(axis=-1, keepdims=True)


def chosen(x: Variable, w: Variable) -> Variable:
    return sg.where(w > 0, e(x), 0)


WHERE = by_pairs({
    "log of sum": lambda x, w: log(total(chosen(x, w))),
    "chosen first": lambda x, w: log(total(sg.where(w <= 0, 0.0, e(x)))),
    "minus infinity": lambda x, w: log(total(e(sg.where(w > 0, x, -float("inf"))))),
    "kept": lambda x, w: log(total(chosen(x, w), True))[..., 0],
    "product": lambda x, w: log(total((w > 0) * e(x))),
    "cast": lambda x, w: log(total((w > 0).astype(x.dtype) * e(x))),
    "doubled": lambda x, w: log(total(2 * chosen(x, w)) / 2),
    "minus log of inverse": lambda x, w: -log(1 / total(chosen(x, w))),
    "negative": lambda x, w: log(-total(-chosen(x, w))),
    "inverse": lambda x, w: log(total(sg.where(w > 0, 1 / e(-x), 0))),
})  # fmt: skip
WHERE_SHARES = by_pairs({
    "where": lambda x, w: chosen(x, w) / total(chosen(x, w), True),
    "times the inverse": lambda x, w: chosen(x, w) * (1 / total(chosen(x, w), True)),
    "inserted": lambda x, w: chosen(x, w) / total(chosen(x, w))[..., None],
    "where not": lambda x, w: sg.where(w <= 0, 0.0, e(x)) / total(sg.where(w <= 0, 0.0, e(x)), True),
    "minus infinity": lambda x, w: softmax(sg.where(w > 0, x, -float("inf"))),
    "naive minus infinity": lambda x, w: e(sg.where(w > 0, x, -float("inf")))
    / total(e(sg.where(w > 0, x, -float("inf"))), True),
    "product": lambda x, w: (w > 0) * e(x) / total((w > 0) * e(x), True),
    "cast": lambda x, w: (w > 0).astype(x.dtype) * e(x) / total((w > 0).astype(x.dtype) * e(x), True),
    "doubled": lambda x, w: 2 * chosen(x, w) / total(2 * chosen(x, w), True),
    "exp of the difference": lambda x, w: sg.where(w > 0, e(x - log(total(chosen(x, w), True))), 0),
})  # fmt: skip
MATRICES = by_pairs({
    "exp@exp": lambda a, b: log(product(e(a), e(b))),
    "matrices": lambda a, b: log(row(e(a)) @ column(e(b)))[..., 0, 0],
    "exp of row": lambda a, b: log(e(row(a)) @ e(column(b)))[..., 0, 0],
    "sum of products": lambda a, b: log(total(e(a) * e(b))),
    "over the inverse": lambda a, b: log(product(e(a), 1 / e(-b))),
    "doubled": lambda a, b: log(product(2 * e(a), e(b)) / 2),
    "minus log of inverse": lambda a, b: -log(1 / product(e(a), e(b))),
    "two columns": lambda a, b: log(row(e(a)) @ e(sg.stack([b, b[..., ::-1]], axis=-1)))[..., 0, 0],
    "two rows": lambda a, b: log(e(sg.stack([a, b], axis=-2)) @ column(e(b)))[..., 0, 0],
    "terms": lambda a, b: log(e(a[..., 0]) * e(b[..., 0]) + e(a[..., 1]) * e(b[..., 1])),
    "transposed": lambda a, b: log(product(e(b), e(a))),
})  # fmt: skip


def first_chosen(x: list[Any]) -> Any:
    return log_total([v for v, w in zip(x[::2], x[1::2], strict=True) if w > 0])


def shares_of_chosen(x: list[Any]) -> list[Any]:
    found = iter(probabilities([v for v, w in zip(x[::2], x[1::2], strict=True) if w > 0]))
    return [next(found) if w > 0 else mp.mpf(0) for w in x[1::2]]


FAMILIES = {
    "log of a weighted sum of exp": Family(
        log_sum, WEIGHTED, [*ROWS, HUGE_BESIDE_0, SMALL_BESIDE_0, NOTHING], rows=True, conditioned=True,
        at={
            HUGE_BESIDE_0: (3 + math.log(2), [0, math.inf, 1, 0.5]),
            SMALL_BESIDE_0: (math.log(2) - 1e4, [1, 0.5, 0, math.inf]), NOTHING: (-math.inf, None),
        },
    ),
    "log of a scaled exp": Family(
        lambda x, s: x + mp.log(s), SCALED,
        [(x, s) for x in (0.0, 1e4, -1e4, 0.3, -88.5, 710.0, -746.0) for s in (1.0, 2.5, 1e-300, 1e300, 3e38, 1e-310)],
        conditioned=True,
    ),
    "log of a mixture": Family(
        lambda x: log_total([a + w for a, w in zip(x[::2], x[1::2], strict=True)]) - log_total(x[1::2]), MIXTURE,
        [(x, 0.5, y, -1.0) for x, y in EXPONENTS if x != y] + [(1.0, x, -3.0, y) for x, y in EXPONENTS]
        + [(-y, y, -x, x) for x, y in EXPONENTS], rows=True, conditioned=True,
    ),
    "log of an expected value": Family(
        lambda x: log_sum(x) - log_total(x[::2]), EXPECTED, ROWS, rows=True, conditioned=True,
    ),
    "weighted softmax": Family(shares, SHARES, ROWS, rows=True, conditioned=True),
    "log of a weighted softmax": Family(
        logs_of_shares, {f"log, {name}": (lambda x, f=f: log(f(x))) for name, f in SHARES.items()},
        POSITIVE, rows=True, conditioned=True,
    ),
    "log of a masked sum of exp": Family(first_chosen, WHERE, MASKED, rows=True, conditioned=True),
    "masked softmax": Family(shares_of_chosen, WHERE_SHARES, MASKED, rows=True, conditioned=True),
    "log of a product of exps of matrices": Family(
        lambda x: log_total([a + b for a, b in zip(x[::2], x[1::2], strict=True)]), MATRICES,
        [*TWO, *[(x, -y, y, -x) for x, y in EXPONENTS]], rows=True, conditioned=True,
    ),
}  # fmt: skip

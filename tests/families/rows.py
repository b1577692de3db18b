"""Functions of rows: softmax and its kin, lengths and variances, along the last axis."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np

import symgraph as sg
from symgraph.graph import Variable
from tests.families import Family, Spelling

e, log = sg.exp, sg.log
ROWS = [
    (1e4, -1e4, 9999.0, 0.0), (-1e4, -9998.0, -9999.5, -9999.0), (1e4, 1e4, 9996.75, 9992.0), (0.3, -2.0, 1.0, 5.0),
    (0.0, 0.0, 0.0, 0.0), (1.0, 1.0, 1.0, 1.0), (1e-17, -1e-300, 0.0, 1e-17), (40.0, -40.0, 710.0, -710.0),
    (-710.0, -746.0, -800.0, -1e4), (20.0, 20.0, -30.0, 36.5),
]  # fmt: skip
MAGNITUDES = [
    (3.0, 4.0, 0.0, 12.0), (1e300, -1e300, 1.0, 0.0), (1e-300, 1e-300, -1e-300, 0.0), (1e-170, 3e-170, 0.0, -1e-170),
    (1e200, 1e-200, -1.0, 1e100), (-1.0, -1.0, -1.0, -1.0), (1e4, -40.0, 710.0, 1e-17), (5e18, 5e18, 1e18, -2e18),
]  # fmt: skip
SPREADS = [
    (1e8 + 1, 1e8 + 2, 1e8 + 4, 1e8 - 3), (1e4, 1e4 + 1, 1e4 - 1, 1e4 + 0.5), (-1e15, -1e15 + 2, -1e15 + 7, -1e15 - 3),
    (0.3, -2.0, 1.0, 5.0), (1e-17, 2e-17, -1e-17, 5e-17), (710.0, -710.0, 40.0, -40.0), (1e100, -1e100, 0.0, 1.0),
    (4096.0, 4097.0, 4098.0, 4099.5),
]  # fmt: skip
FLAT = [(0.0, 0.0, 0.0, 0.0), (3.0, 3.0, 3.0, 3.0), (1e8, 1e8, 1e8, 1e8)]
ZERO = (0.0, 0.0, 0.0, 0.0)


def top(x: Variable) -> Variable:
    return x.max(axis=-1, keepdims=True)


def total(x: Variable, keepdims: bool = True) -> Variable:
    return x.sum(axis=-1, keepdims=keepdims)


def row(x: Variable) -> Variable:
    """The numbers of a row beside the elements of it."""
    return x[..., None]


def first(x: Variable) -> Variable:
    return x[..., 0]


def on_rows(choose: Callable[[Variable, Variable], Variable]) -> Spelling:
    """A function of a matrix and of labels, all 0, on whatever the rank."""

    def spelled(x: Variable) -> Variable:
        flat = x if x.ndim == 2 else x.reshape((-1, x.shape[-1]))
        chosen = choose(flat, sg.zeros_like(flat[:, 0]).astype("int64"))
        return chosen.reshape(x.shape[:-1]) if x.ndim > 1 else chosen[0]

    return spelled


def probabilities(x: list[Any]) -> list[Any]:
    peak = max(x)
    parts = [mp.exp(v - peak) for v in x]
    return [p / sum(parts) for p in parts]


def log_total(x: list[Any]) -> Any:
    peak = max(x)
    rest = sum(mp.exp(v - peak) for k, v in enumerate(x) if k != x.index(peak))
    return peak + mp.log(1 + rest)


def variance(x: list[Any]) -> Any:
    mean = sum(x) / len(x)
    return sum((v - mean) ** 2 for v in x) / len(x)


def length(x: list[Any]) -> Any:
    return mp.sqrt(sum(v * v for v in x))


def one_hot(x: Variable) -> Variable:
    return sg.zeros_like(x) + np.eye(4, dtype=x.dtype)[0]


SOFTMAX: dict[str, Spelling] = {
    "keepdims": lambda x: e(x) / total(e(x)),
    "axis inserted": lambda x: e(x) / row(total(e(x), False)),
    "expand_dims": lambda x: e(x) / sg.expand_dims(total(e(x), False), -1),
    "times the inverse": lambda x: e(x) * (1 / total(e(x))),
    "times the inverse, inserted": lambda x: e(x) * row(1 / total(e(x), False)),
    "maximum subtracted": lambda x: e(x - top(x)) / total(e(x - top(x))),
    "maximum of the whole": lambda x: e(x - top(x)) / row(total(e(x - top(x)), False)),
    "exp of log": lambda x: e(x - log(total(e(x)))),
    "twice, halved": lambda x: 2 * e(x) / total(2 * e(x)),
    "doubled": lambda x: 2 * e(x) / total(e(x)) / 2,
    "negated": lambda x: -(-e(x) / total(e(x))),
    "by columns": lambda x: (e(x.T) / e(x.T).sum(axis=0)).T if x.ndim == 2 else sg.nn.softmax(x),
    "product of exps": lambda x: e(x) * e(-top(x)) / total(e(x) * e(-top(x))),
    "op": lambda x: sg.nn.softmax(x),
}
LOG_SOFTMAX: dict[str, Spelling] = {
    **{
        f"log, {name}": (lambda x, f=f: log(f(x)))
        for name, f in SOFTMAX.items()
        if name not in ("by columns", "negated")
    },
    "difference": lambda x: x - log(total(e(x))),
    "difference, inserted": lambda x: x - row(log(total(e(x), False))),
    "shifted difference": lambda x: x - top(x) - log(total(e(x - top(x)))),
    "grouped difference": lambda x: x - (top(x) + log(total(e(x - top(x))))),
    "negated": lambda x: -(log(total(e(x))) - x),
    "plus the negative": lambda x: x + -log(total(e(x))),
    "minus log of inverse": lambda x: x + log(1 / total(e(x))),
}
CHOSEN: dict[str, Spelling] = {
    "log, then choose": on_rows(lambda x, y: log(e(x) / total(e(x)))[sg.arange(x.shape[0]), y]),
    "choose, then log": on_rows(lambda x, y: log((e(x) / total(e(x)))[sg.arange(x.shape[0]), y])),
    "numerator chosen": on_rows(lambda x, y: log(e(x)[sg.arange(x.shape[0]), y] / e(x).sum(axis=1))),
    "numerator of chosen": on_rows(lambda x, y: log(e(x[sg.arange(x.shape[0]), y]) / e(x).sum(axis=1))),
    "difference to the chosen": on_rows(lambda x, y: x[sg.arange(x.shape[0]), y] - log(e(x).sum(axis=1))),
    "minus the cost": on_rows(lambda x, y: -(log(e(x).sum(axis=1)) - x[sg.arange(x.shape[0]), y])),
    "plus the negative": on_rows(lambda x, y: -log(e(x).sum(axis=1)) + x[sg.arange(x.shape[0]), y]),
    "take_along_axis": on_rows(lambda x, y: log(sg.take_along_axis(e(x) / total(e(x)), y[:, None], axis=1))[:, 0]),
    "numerator along axis": on_rows(lambda x, y: log(sg.take_along_axis(e(x), y[:, None], axis=1) / total(e(x)))[:, 0]),
    "first column": lambda x: log(first(e(x) / total(e(x)))),
    "first of the numerator": lambda x: log(first(e(x)) / total(e(x), False)),
    "first minus logsumexp": lambda x: first(x) - log(total(e(x), False)),
    "one-hot": lambda x: total(sg.constant(np.eye(4)[0]).astype(x.dtype) * log(e(x) / total(e(x))), False),
    "loss": on_rows(lambda x, y: -sg.nn.categorical_crossentropy(e(x) / total(e(x)), y)),
    "loss of one-hot": lambda x: -sg.nn.categorical_crossentropy(e(x) / total(e(x)), one_hot(x)),
    "labels as many": on_rows(lambda x, y: log((e(x) / total(e(x)))[sg.arange(y.shape[0]), y])),
    "numerator of labels as many": on_rows(lambda x, y: log(e(x)[sg.arange(y.shape[0]), y] / e(x).sum(axis=1))),
}
CHOSEN_SHARE: dict[str, Spelling] = {
    "chosen over the sum": on_rows(lambda x, y: e(x)[sg.arange(x.shape[0]), y] / e(x).sum(axis=1)),
    "exp of chosen": on_rows(lambda x, y: e(x[sg.arange(x.shape[0]), y]) / e(x).sum(axis=1)),
    "chosen from the ratio": on_rows(lambda x, y: (e(x) / total(e(x)))[sg.arange(x.shape[0]), y]),
    "along axis": on_rows(lambda x, y: (sg.take_along_axis(e(x), y[:, None], axis=1) / total(e(x)))[:, 0]),
    "along axis, flat": on_rows(lambda x, y: sg.take_along_axis(e(x), y[:, None], axis=1)[:, 0] / e(x).sum(axis=1)),
    "labels as many": on_rows(lambda x, y: e(x)[sg.arange(y.shape[0]), y] / e(x).sum(axis=1)),
    "exp of the difference": on_rows(lambda x, y: e(x[sg.arange(x.shape[0]), y] - log(e(x).sum(axis=1)))),
    "first": lambda x: first(e(x)) / total(e(x), False),
    "first of exp": lambda x: e(first(x)) / total(e(x), False),
    "first of ratio": lambda x: first(e(x) / total(e(x))),
    "one-hot": lambda x: total(sg.constant(np.eye(4)[0]).astype(x.dtype) * e(x), False) / total(e(x), False),
    "one-hot of ratio": lambda x: total(sg.constant(np.eye(4)[0]).astype(x.dtype) * (e(x) / total(e(x))), False),
}
LOGSUMEXP: dict[str, Spelling] = {
    "plain": lambda x: log(total(e(x), False)),
    "kept": lambda x: first(log(total(e(x)))),
    "shifted": lambda x: first(log(total(e(x - top(x)))) + top(x)),
    "shifted, dropped": lambda x: x.max(axis=-1) + log(total(e(x - top(x)), False)),
    "log of first": lambda x: log(first(total(e(x)))),
    "inserted": lambda x: first(log(row(total(e(x), False)))),
    "doubled": lambda x: log(total(2 * e(x), False) / 2),
    "minus log of inverse": lambda x: -log(1 / total(e(x), False)),
    "inverse exps": lambda x: log(total(1 / e(-x), False)),
    "mean times number": lambda x: log(e(x).mean(axis=-1) * 4),
    "terms": lambda x: log(e(x[..., 0]) + e(x[..., 1]) + e(x[..., 2]) + e(x[..., 3])),
    "halves": lambda x: log(total(e(x[..., :2]), False) + total(e(x[..., 2:]), False)),
    "op": lambda x: sg.logsumexp(x, axis=-1),
}
OTHERS: dict[str, Spelling] = {
    "1-softmax": lambda x: 1 - sg.nn.softmax(x),
    "-(softmax-1)": lambda x: -(sg.nn.softmax(x) - 1),
    "1+(-softmax)": lambda x: 1 + -sg.nn.softmax(x),
    **{f"1-{name}": (lambda x, f=f: 1 - f(x)) for name, f in SOFTMAX.items() if name not in ("by columns", "op")},
}
WEIGHTS = (0.5, 2.0, 3.0, 0.25)
WEIGHTED: dict[str, Spelling] = {
    "w*exp": lambda x: log(total(weights(x) * e(x), False)),
    "exp*w": lambda x: log(total(e(x) * weights(x), False)),
    "exp/(1/w)": lambda x: log(total(e(x) / (1 / weights(x)), False)),
    "kept": lambda x: first(log(total(weights(x) * e(x)))),
    "exp(x+log w)": lambda x: log(total(e(x + log(weights(x))), False)),
    "dot": lambda x: log(total(2 * weights(x) * e(x), False) / 2),
    "mean": lambda x: log((4 * weights(x) * e(x)).mean(axis=-1)),
    "negative twice": lambda x: log(-total(-weights(x) * e(x), False)),
    "shifted": lambda x: first(log(total(weights(x) * e(x - top(x)))) + top(x)),
    "minus log of inverse": lambda x: -log(1 / total(weights(x) * e(x), False)),
    "terms": lambda x: log(0.5 * e(x[..., 0]) + 2 * e(x[..., 1]) + 3 * e(x[..., 2]) + 0.25 * e(x[..., 3])),
}
MEAN_EXP: dict[str, Spelling] = {
    "mean": lambda x: log(e(x).mean(axis=-1)),
    "mean, kept": lambda x: first(log(e(x).mean(axis=-1, keepdims=True))),
    "sum / n": lambda x: log(total(e(x), False) / x.shape[-1]),
    "sum / 4": lambda x: log(total(e(x), False) / 4),
    "sum * 0.25": lambda x: log(0.25 * total(e(x), False)),
    "mean of shifted": lambda x: first(log(e(x - top(x)).mean(axis=-1, keepdims=True)) + top(x)),
    "weights inside": lambda x: log(total(0.25 * e(x), False)),
    "divided inside": lambda x: log(total(e(x) / 4, False)),
    "minus log of inverse": lambda x: -log(1 / e(x).mean(axis=-1)),
    "log of 4 / sum": lambda x: -log(4 / total(e(x), False)),
    "mean of inverse": lambda x: log((1 / e(-x)).mean(axis=-1)),
}
WITH_ONE: dict[str, Spelling] = {
    "1+sum": lambda x: log(1 + total(e(x), False)),
    "sum+1": lambda x: log(total(e(x), False) + 1),
    "log1p(sum)": lambda x: sg.log1p(total(e(x), False)),
    "kept": lambda x: first(log(1 + total(e(x)))),
    "terms": lambda x: log(1 + e(x[..., 0]) + e(x[..., 1]) + e(x[..., 2]) + e(x[..., 3])),
    "terms first": lambda x: log(e(x[..., 0]) + e(x[..., 1]) + e(x[..., 2]) + e(x[..., 3]) + 1),
    "log1p of terms": lambda x: sg.log1p(e(x[..., 0]) + e(x[..., 1]) + e(x[..., 2]) + e(x[..., 3])),
    "minus log of inverse": lambda x: -log(1 / (1 + total(e(x), False))),
    "log of first": lambda x: log(first(1 + total(e(x)))),
    "softplus": lambda x: sg.softplus(log(total(e(x), False))),
}
NORM: dict[str, Spelling] = {
    "sqrt(sum(x**2))": lambda x: sg.sqrt(total(x**2, False)),
    "sqrt(sum(x*x))": lambda x: sg.sqrt(total(x * x, False)),
    "sqrt(sum(sqr))": lambda x: sg.sqrt(total(sg.sqr(x), False)),
    "sum**0.5": lambda x: total(x**2, False) ** 0.5,
    "kept": lambda x: first(sg.sqrt(total(x**2))),
    "abs**2": lambda x: sg.sqrt(total(sg.abs(x) ** 2, False)),
    "(-x)**2": lambda x: sg.sqrt(total((-x) ** 2, False)),
    "inserted": lambda x: first(sg.sqrt(row(total(x**2, False)))),
    "halved": lambda x: 2 * sg.sqrt(total(x**2, False) / 4),
    "mean times number": lambda x: 2 * sg.sqrt((x**2).mean(axis=-1)),
    "norm": lambda x: sg.norm(x, axis=-1),
    "square of norm": lambda x: sg.sqrt(sg.sqr(sg.norm(x, axis=-1))),
}
VARIANCE: dict[str, Spelling] = {
    "mean(x**2)-mean(x)**2": lambda x: (x**2).mean(axis=-1) - x.mean(axis=-1) ** 2,
    "mean(x*x)-mean(x)*mean(x)": lambda x: (x * x).mean(axis=-1) - x.mean(axis=-1) * x.mean(axis=-1),
    "-(mean(x)**2-mean(x**2))": lambda x: -(x.mean(axis=-1) ** 2 - (x**2).mean(axis=-1)),
    "sums over n": lambda x: total(x**2, False) / 4 - (total(x, False) / 4) ** 2,
    "(S2-S**2/n)/n": lambda x: (total(x**2, False) - total(x, False) ** 2 / 4) / 4,
    "kept": lambda x: first((x**2).mean(axis=-1, keepdims=True) - x.mean(axis=-1, keepdims=True) ** 2),
    "about the mean": lambda x: ((x - x.mean(axis=-1, keepdims=True)) ** 2).mean(axis=-1),
    "about the mean, inserted": lambda x: ((x - row(x.mean(axis=-1))) ** 2).mean(axis=-1),
    "square of std": lambda x: sg.sqr(x.std(axis=-1)),
    "var": lambda x: x.var(axis=-1),
    "unbiased, scaled": lambda x: x.var(axis=-1, ddof=1) * 0.75,
    "plus the negative": lambda x: (x**2).mean(axis=-1) + -(x.mean(axis=-1) ** 2),
}
DEVIATION: dict[str, Spelling] = {
    **{f"sqrt, {name}": (lambda x, f=f: sg.sqrt(f(x))) for name, f in VARIANCE.items() if name != "unbiased, scaled"},
    "std": lambda x: x.std(axis=-1),
    "variance**0.5": lambda x: x.var(axis=-1) ** 0.5,
    "norm over root": lambda x: sg.norm(x - x.mean(axis=-1, keepdims=True), axis=-1) / 2,
}


def backwards(x: Variable) -> Variable:
    return x[..., ::-1]


def length_of(x: Variable) -> Variable:
    return sg.sqrt(total(x * x, False))


COSINE: dict[str, Spelling] = {
    "over both": lambda x: total(x * backwards(x), False) / (length_of(x) * length_of(backwards(x))),
    "over one, then the other": lambda x: total(x * backwards(x), False) / length_of(x) / length_of(backwards(x)),
    "norms": lambda x: total(x * backwards(x), False) / (sg.norm(x, axis=-1) * sg.norm(backwards(x), axis=-1)),
    "other order": lambda x: total(backwards(x) * x, False) / (length_of(x) * length_of(backwards(x))),
    "root of a product": lambda x: total(x * backwards(x), False)
    / sg.sqrt(total(x**2, False) * total(backwards(x) ** 2, False)),
    "times the inverse": lambda x: total(x * backwards(x), False) * (1 / (length_of(x) * length_of(backwards(x)))),
    "kept": lambda x: first(total(x * backwards(x)) / (sg.sqrt(total(x**2)) * sg.sqrt(total(backwards(x) ** 2)))),
    "halved": lambda x: 2 * total(x * backwards(x), False) / (length_of(x) * length_of(backwards(x))) / 2,
    "negative": lambda x: -(-total(x * backwards(x), False) / (length_of(x) * length_of(backwards(x)))),
    "power": lambda x: total(x * backwards(x), False)
    / (total(x**2, False) ** 0.5 * total(backwards(x) ** 2, False) ** 0.5),
    "unit vectors": lambda x: total(
        x / sg.sqrt(total(x * x)) * (backwards(x) / sg.sqrt(total(backwards(x) * backwards(x)))), False
    ),
}
HARMONIC: dict[str, Spelling] = {
    "1/sum(1/x)": lambda x: 1 / total(1 / x, False),
    "1/sum(x**-1)": lambda x: 1 / total(x**-1, False),
    "sum(1/x)**-1": lambda x: total(1 / x, False) ** -1,
    "inv": lambda x: sg.inv(total(sg.inv(x), False)),
    "kept": lambda x: first(1 / total(1 / x)),
    "2/sum(2/x)": lambda x: 2 / total(2 / x, False),
    "3/sum(3/x)": lambda x: 3 / total(3 / x, False),
    "mean": lambda x: 1 / (1 / x).mean(axis=-1) / 4,
    "negative": lambda x: -1 / total(-1 / x, False),
    "inserted": lambda x: first(1 / row(total(1 / x, False))),
    "terms": lambda x: 1 / (1 / x[..., 0] + 1 / x[..., 1] + 1 / x[..., 2] + 1 / x[..., 3]),
}
PRODUCT: dict[str, Spelling] = {
    "log(prod)": lambda x: log(x.prod(axis=-1)),
    "kept": lambda x: first(log(x.prod(axis=-1, keepdims=True))),
    "sum of logs": lambda x: total(log(x), False),
    "-log(1/prod)": lambda x: -log(1 / x.prod(axis=-1)),
    "terms": lambda x: log(x[..., 0] * x[..., 1] * x[..., 2] * x[..., 3]),
    "halves": lambda x: log(x[..., :2].prod(axis=-1)) + log(x[..., 2:].prod(axis=-1)),
    "log(sqrt)": lambda x: 2 * log(sg.sqrt(x.prod(axis=-1))),
    "squares": lambda x: 0.5 * log((x**2).prod(axis=-1)),
    "exp of sum": lambda x: log(e(total(log(x), False))),
    "inserted": lambda x: first(log(row(x.prod(axis=-1)))),
}


def weights(x: Variable) -> Variable:
    return sg.constant(np.array(WEIGHTS)).astype(x.dtype)


INF = math.inf
LOWEST = (-INF, 0.0, -INF, 1.0)
FAMILIES = {
    "softmax": Family(probabilities, SOFTMAX, ROWS, rows=True,
    ),
    "complement of softmax": Family(
        lambda x: [sum(q for j, q in enumerate(probabilities(x)) if j != k) for k in range(len(x))], OTHERS, ROWS,
        rows=True,
    ),
    "log of softmax": Family(lambda x: [v - log_total(x) for v in x], LOG_SOFTMAX, ROWS, rows=True,
    ),
    "log of a chosen probability": Family(lambda x: x[0] - log_total(x), CHOSEN, ROWS, rows=True,
    ),
    "a chosen probability": Family(lambda x: probabilities(x)[0], CHOSEN_SHARE, ROWS, rows=True,
    ),
    "logsumexp": Family(
        log_total, LOGSUMEXP, [*ROWS, LOWEST, (-INF,) * 4, (INF, 1.0, -3.0, 0.0)], rows=True, conditioned=True,
        at={
            LOWEST: (math.log1p(math.e), [0, 1 / (1 + math.e), 0, 1 / (1 + 1 / math.e)]), (-INF,) * 4: (-INF, None),
            (INF, 1.0, -3.0, 0.0): (INF, None),
        },
    ),
    "weighted logsumexp": Family(
        lambda x: log_total([v + mp.log(w) for v, w in zip(x, WEIGHTS, strict=True)]), WEIGHTED, ROWS, rows=True,
        conditioned=True,
    ),
    "log of the mean of exp": Family(
        lambda x: log_total(x) - mp.log(4), MEAN_EXP, [r for r in ROWS if 1e-17 not in r], rows=True, conditioned=True,
    ),
    "log of 1 + sum of exp": Family(
        lambda x: log_total([mp.mpf(0), *x]), WITH_ONE, ROWS, rows=True, conditioned=True,
    ),
    "norm": Family(length, NORM, [*MAGNITUDES, ZERO], rows=True, at={ZERO: (0, [0, 0, 0, 0])}),
    "variance": Family(variance, VARIANCE, [*SPREADS, *FLAT], rows=True, conditioned=True),
    "standard deviation": Family(
        lambda x: mp.sqrt(variance(x)), DEVIATION, [*SPREADS, *FLAT], rows=True, conditioned=True,
        at={r: (0, [0, 0, 0, 0]) for r in FLAT},
    ),
    "cosine": Family(
        lambda x: sum(v * w for v, w in zip(x, x[::-1], strict=True)) / sum(v * v for v in x), COSINE,
        [(1.0, 2.0, -3.0, 4.0), (1e20, 2e20, 1e20, 3e20), (1e-20, 2e-20, 1e-20, 3e-20), (1e-30, 2e-30, -1e-30, 3e-30),
         (1e30, 2e30, 1e30, 3e30), (1e200, 2e200, 1e200, 1e200), (1e-200, 2e-200, 1e-200, 1e-200)], rows=True,
        conditioned=True,
    ),
    "harmonic sum": Family(
        lambda x: 1 / sum(1 / v for v in x), HARMONIC,
        [(1.0, 2.0, 3.0, 4.0), (1e20, 2e20, 1e20, 3e20), (1e-20, 2e-20, 1e-20, 3e-20), (1e-30, 2e-30, 1e-30, 3e-30),
         (1e30, 2e30, 1e30, 3e30), (1e200, 2e200, 1e200, 1e200), (1e-200, 2e-200, 1e-200, 1e-200)], rows=True,
        conditioned=True,
    ),
    "log of prod": Family(
        lambda x: mp.log(x[0] * x[1] * x[2] * x[3]), PRODUCT,
        [(1.0, 2.0, 3.0, 4.0), (1e-300, 1e-300, 1e-17, 1.0), (1e300, 1e300, 1e17, 1.0), (1e300, 1e-300, 3.0, 1e-30),
         (710.0, 1e4, 40.0, 1.0)], rows=True, conditioned=True,
    ),
}  # fmt: skip

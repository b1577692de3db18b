"""Formulas as a user writes them, at inputs of +-1e4: values within 4 ulp of mpmath, gradients within 8."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import numpy as np
import pytest

import symgraph as sg

mpmath.mp.dps = 50
LEVELS = [1e4, -1e4, 1e4 - 1, 1e4 - 3.25, -1e4 + 2, 0.0, 1.5, -0.75, 20.0, -30.0, 95.0, -100.0]
LABELS = np.array([2, 0, 3, 1])
ONE_HOT = np.eye(4)[LABELS]


def rows(dtype):
    """Four rows of four: far apart, close together at both ends, and ordinary."""
    return np.array(
        [
            [1e4, -1e4, 1e4 - 1, 0.0],
            [-1e4, -1e4 + 2, -1e4 + 0.5, -1e4 + 1],
            [1e4, 1e4, 1e4 - 3.25, 1e4 - 8],
            [0.3, -2, 1, 5],
        ],
        dtype,
    )


# ------------------------------------------------------------------------------------------------ exact values


def exact(f: Callable[..., list], x: np.ndarray) -> np.ndarray:
    """``f`` of each row, in 50 digits."""
    return np.array([f([mpmath.mpf(float(v)) for v in row]) for row in np.atleast_2d(x)], object)


def softmax(row):
    top = max(row)
    e = [mpmath.exp(v - top) for v in row]
    return [v / sum(e) for v in e]


def log_softmax(row):
    return [v - logsumexp(row) for v in row]


def logsumexp(row):
    top = max(row)
    return top + mpmath.log(sum(mpmath.exp(v - top) for v in row))


def sigmoid(v):
    return 1 / (1 + mpmath.exp(-v)) if v > 0 else mpmath.exp(v) / (1 + mpmath.exp(v))


def softplus(v):
    return max(v, 0) + mpmath.log1p(mpmath.exp(-abs(v)))


# ------------------------------------------------------------------------------------------------ formulas


def naive_softmax(x):
    e = sg.exp(x)
    return e / e.sum(axis=1, keepdims=True)


def shifted_softmax(x):
    e = sg.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def column_softmax(x):
    e = sg.exp(x)
    return e / e.sum(axis=1)[:, None]


def shuffled_softmax(x):
    e = sg.exp(x)
    return e / e.sum(axis=1).dimshuffle(0, "x")


def transposed_softmax(x):
    e = sg.exp(x.T)
    return (e / e.sum(axis=0)).T


def first(p):
    """The sum of the first column: its gradient is no difference of large terms, as that of any weighted sum may be."""
    return p[:, 0].sum() if p.ndim == 2 else p[0]


def softmax_slope(row):
    """d p[0] / d x: p[0] (1 - p[0]), and -p[0] p[k]."""
    p = softmax(row)
    return [p[0] * sum(p[1:]), *[-p[0] * q for q in p[1:]]]


def first_log_slope(row):
    """d log p[0] / d x."""
    p = softmax(row)
    return [sum(p[1:]), *[-q for q in p[1:]]]


def minus_one_hot(row, label):
    p = softmax(row)
    return [-sum(q for j, q in enumerate(p) if j != label) if k == label else v for k, v in enumerate(p)]


SOFTMAXES = [naive_softmax, shifted_softmax, column_softmax, shuffled_softmax, transposed_softmax, sg.nn.softmax]


def assert_within(found: np.ndarray, expected: np.ndarray, ulp: float) -> None:
    """Each element within ``ulp`` units in the last place of the exact value; below the least normal, of that."""
    found, expected = np.atleast_1d(found).ravel(), np.asarray(expected, object).ravel()
    assert found.size == expected.size
    tiny = float(np.finfo(found.dtype).tiny)
    for a, b in zip(found, expected, strict=True):
        unit = float(np.spacing(found.dtype.type(max(abs(float(b)), tiny))))
        assert abs(mpmath.mpf(float(a)) - b) <= ulp * unit, f"{a} for {mpmath.nstr(b, 20)}"


def check(write: Callable, x: np.ndarray, value: np.ndarray, slope: np.ndarray | None, cost: Callable) -> None:
    symbol = sg.tensor("x", x.dtype.name, (None,) * x.ndim)
    y = write(symbol)
    assert_within(sg.function([symbol], y)(x), value, 4)
    if slope is not None:
        assert_within(sg.function([symbol], sg.grad(cost(y), symbol))(x), slope, 8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("write", SOFTMAXES, ids=lambda f: f.__name__ if hasattr(f, "__name__") else "softmax")
class TestSoftmax:
    def test_softmax(self, write, dtype):
        x = rows(dtype)
        check(write, x, exact(softmax, x), exact(softmax_slope, x), first)

    def test_log_of_softmax(self, write, dtype):
        x = rows(dtype)
        check(lambda s: sg.log(write(s)), x, exact(log_softmax, x), exact(first_log_slope, x), first)

    def test_cross_entropy_with_one_hot_targets(self, write, dtype):
        x = rows(dtype)
        target = sg.constant(ONE_HOT.astype(dtype))
        value = [-log_softmax([mpmath.mpf(float(v)) for v in row])[k] for row, k in zip(x, LABELS, strict=True)]
        slope = [minus_one_hot([mpmath.mpf(float(v)) for v in row], k) for row, k in zip(x, LABELS, strict=True)]
        check(lambda s: -(target * sg.log(write(s))).sum(axis=1), x, value, np.array(slope, object), lambda y: y.sum())

    def test_cross_entropy_with_labels(self, write, dtype):
        x = rows(dtype)
        value = [-log_softmax([mpmath.mpf(float(v)) for v in row])[k] for row, k in zip(x, LABELS, strict=True)]
        slope = np.array(
            [minus_one_hot([mpmath.mpf(float(v)) for v in r], k) for r, k in zip(x, LABELS, strict=True)], object
        )
        every = [
            lambda s: -sg.log(write(s))[sg.arange(s.shape[0]), LABELS],
            lambda s: -sg.log(write(s)[np.arange(4), LABELS]),
            lambda s: sg.nn.categorical_crossentropy(write(s), sg.constant(LABELS)),
        ]
        for spell in every:
            check(spell, x, value, slope, lambda y: y.sum())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
class TestScalars:
    @pytest.fixture
    def x(self, dtype):
        return np.array(LEVELS, dtype)

    def run(self, x, write, value, slope):
        values = [value(mpmath.mpf(float(v))) for v in x]
        slopes = [slope(mpmath.mpf(float(v))) for v in x]
        check(write, x, values, slopes, lambda y: y.sum())

    def test_sigmoid(self, x):
        def slope(v):
            return sigmoid(v) * sigmoid(-v)

        self.run(x, lambda s: 1 / (1 + sg.exp(-s)), sigmoid, slope)
        self.run(x, lambda s: sg.exp(s) / (1 + sg.exp(s)), sigmoid, slope)
        self.run(x, lambda s: 1 - 1 / (1 + sg.exp(-s)), lambda v: sigmoid(-v), lambda v: -slope(v))

    def test_log_of_sigmoid(self, x):
        self.run(x, lambda s: sg.log(1 / (1 + sg.exp(-s))), lambda v: -softplus(-v), lambda v: sigmoid(-v))
        self.run(x, lambda s: sg.log(1 - 1 / (1 + sg.exp(-s))), lambda v: -softplus(v), lambda v: -sigmoid(v))
        self.run(x, lambda s: sg.log(1 - sg.sigmoid(s)), lambda v: -softplus(v), lambda v: -sigmoid(v))

    def test_softplus(self, x):
        self.run(x, lambda s: sg.log(1 + sg.exp(s)), softplus, sigmoid)
        self.run(x, lambda s: sg.log1p(sg.exp(s)), softplus, sigmoid)

    def test_logsumexp(self, dtype):
        x = rows(dtype)
        value = [logsumexp([mpmath.mpf(float(v)) for v in row]) for row in x]
        slope = exact(softmax, x)
        check(lambda s: sg.log(sg.exp(s).sum(axis=1)), x, value, slope, lambda y: y.sum())

        def shifted(s):
            top = s.max(axis=1)
            return top + sg.log(sg.exp(s - top[:, None]).sum(axis=1))

        check(shifted, x, value, slope, lambda y: y.sum())

    def test_logaddexp(self, x):
        def write(s):
            return sg.log(sg.exp(s) + sg.exp(-s))

        self.run(x, write, lambda v: logsumexp([v, -v]), lambda v: mpmath.tanh(v))

    def test_one_dimensional_softmax(self, dtype):
        x = rows(dtype)[2]

        def write(s):
            e = sg.exp(s)
            return e / e.sum()

        check(write, x, exact(softmax, x), exact(softmax_slope, x), first)

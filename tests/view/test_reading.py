"""Formulas as they read on paper: the same values, and p - y where p - y is meant."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symgraph as sg
from symgraph.rewrite import STABILIZING, rewrite
from symgraph.view.reading import _Reader, reading

SHAPE = (5, 3)
X = sg.tensor("x", "float64", (5, 3))
Z = sg.matrix("z", dtype="float64")
LABELS = sg.vector("y", dtype="int64")
TARGETS = sg.matrix("t", dtype="float64")
COLUMN = sg.tensor("c", "float64", (5, 1))
ROW = sg.tensor("r", "float64", (3,))
VALUES = {
    v: np.random.default_rng(k).uniform(0.5, 2, shape)
    for k, (v, shape) in enumerate([(X, SHAPE), (Z, SHAPE), (TARGETS, SHAPE), (COLUMN, (5, 1)), (ROW, (3,))])
} | {LABELS: np.array([0, 2, 1, 1, 0])}


def value(v):
    inputs = list(VALUES)
    return sg.function(inputs, v, backend="numpy", on_unused_input="ignore")(*VALUES.values())


def stable(v):
    return rewrite([v], STABILIZING)[0]


def softmax(z):
    e = sg.exp(z)
    return e / e.sum(axis=1, keepdims=True)


LOSSES = {
    "picked": lambda z, n: -sg.log(softmax(z))[sg.arange(n), LABELS].mean(),
    "labels": lambda z, n: sg.nn.categorical_crossentropy(sg.nn.softmax(z), LABELS).mean(),
    "summed": lambda z, n: sg.nn.categorical_crossentropy(softmax(z), LABELS).sum(),
    "targets": lambda z, n: -(TARGETS * sg.log(softmax(z))).sum(axis=1).mean(),
    "logistic": lambda z, n: sg.nn.binary_crossentropy(1 / (1 + sg.exp(-z)), TARGETS).mean(),
    "squares": lambda z, n: sg.sqr(z - TARGETS).mean(),
    "hidden": lambda z, n: sg.sqr(sg.tanh(z) @ z.T).sum(),
}
P_MINUS_Y = {
    ("picked", "z"): "(softmax(z, axis=1) - onehot(y)) / y.shape[0]",
    ("picked", "x"): "(softmax(x, axis=1) - onehot(y)) / 5.0",
    ("labels", "x"): "(softmax(x, axis=1) - onehot(y)) / 5.0",
    ("summed", "x"): "softmax(x, axis=1) - onehot(y)",
    ("summed", "z"): "softmax(z, axis=1) - onehot(y)",
    ("targets", "z"): "(sum(t, axis=1, keepdims=True) * softmax(z, axis=1) - t) / t.shape[0]",
    ("logistic", "x"): "(sigmoid(x) - t) / 15.0",
    ("targets", "x"): "(sum(t, axis=1, keepdims=True) * softmax(x, axis=1) - t) / 5.0",
}


@pytest.mark.parametrize("by", [X, Z], ids=["known", "open"])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_reading_has_the_value_of_the_formula(loss, by):
    cost = LOSSES[loss](by, 5 if by is X else LABELS.shape[0])
    for formula in (stable(cost), stable(sg.grad(cost, by))):
        read = _Reader()
        # sums are in another order, and 1 - p is formed
        np.testing.assert_allclose(value(read.build(read.read(formula))), value(formula), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(("loss", "by"), P_MINUS_Y)
def test_the_gradient_of_a_cross_entropy_reads_p_minus_y(loss, by):
    v = {"x": X, "z": Z}[by]
    found = reading(stable(sg.grad(LOSSES[loss](v, 5 if v is X else LABELS.shape[0]), v)))
    assert found.text == P_MINUS_Y[loss, by]
    assert found.stretched == (v is Z)
    noted = {"logistic": "sigmoid(-x) is 1 - sigmoid(x): "}
    assert found.notes[0].startswith(noted.get(loss, "softmax_complement(x, axis=axis) is 1 - softmax(x, axis=axis): "))


def test_labels_for_some_rows_alone_are_no_onehot_matrix():
    found = reading(stable(sg.grad(-sg.log(softmax(X))[sg.arange(3), LABELS[:3]].mean(), X)))
    assert found is None or "onehot" not in found.text


def formulas():
    leaf = st.sampled_from([X, COLUMN, ROW, 2.0, -0.5, 0.0, 1.0])

    def more(inner):
        pair = st.tuples(inner, inner)
        return st.one_of(
            pair.map(lambda ab: ab[0] + ab[1]),
            pair.map(lambda ab: ab[0] - ab[1]),
            pair.map(lambda ab: ab[0] * ab[1]),
            pair.map(lambda ab: ab[0] / (sg.sqr(ab[1]) + 1)),
            pair.map(lambda ab: sg.switch(X > 1, *ab)),
            inner.map(lambda a: -(a + X)),
            inner.map(lambda a: (a + X).sum(axis=1, keepdims=True)),
            inner.map(lambda a: (a * X).sum(axis=0, keepdims=True)),
            inner.map(lambda a: (a * COLUMN + X).sum()),
            inner.map(lambda a: sg.tanh(a + ROW * COLUMN)),
        )

    return st.recursive(leaf, more, max_leaves=8)


@settings(max_examples=60, deadline=None)
@given(formulas())
def test_any_sum_of_products_and_choices_reads_as_the_same_value(formula):
    v = X * 0.5 + formula
    read = _Reader()
    found = np.broadcast_to(value(read.build(read.read(v))), SHAPE)
    # sums of at most some hundred products of numbers near 1, in another order
    np.testing.assert_allclose(found, value(v), rtol=1e-9, atol=1e-9)


def test_what_is_as_short_already_or_too_large_has_no_reading():
    assert reading(stable(sg.tanh(X @ X.T).sum())) is None
    v = X
    for _ in range(500):
        v = sg.sin(v)
    assert reading(v - v + v) is None

"""Softmax and its kin to the last digits, losses, dropout, normalisation."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import symgraph as sg
from symgraph import nn
from symgraph.errors import DTypeError, IndexOutOfRange, ShapeError
from symgraph.graph import Variable, apply, transform
from symgraph.kinds import Composite
from symgraph.random import RandomStream
from symgraph.reference import evaluate
from tests.cases.nn import log_of_sum, logarithms, probabilities

RNG = np.random.default_rng(0)
INF, NAN = float("inf"), float("nan")


def expanded(v: Variable) -> Variable:
    """``v`` through the bodies of composites: what backends run."""

    def rebuild(node, inputs):
        new = apply(node.op, inputs, node.attrs)
        if isinstance(node.op, Composite):
            return [expanded(body) for body in node.op.expand(new)]
        return new.outputs

    return transform([v], lambda v: None, rebuild)[0]


def value(build, *arrays):
    xs = [sg.tensor(f"x{k}", a.dtype.name, a.shape) for k, a in enumerate(map(np.asarray, arrays))]
    return evaluate([expanded(build(*xs))], dict(zip(xs, arrays, strict=True)))[0]


def ulps(found, exact):
    """The greatest error in units in the last place of the exact values; those below the least normal are left out."""
    worst = 0.0
    for a, b in zip(np.ravel(found), np.ravel(exact), strict=True):
        size = np.asarray(abs(float(b)), found.dtype)
        if size >= np.finfo(found.dtype).tiny:
            worst = max(worst, float(abs(mpmath.mpf(float(a)) - b) / mpmath.mpf(float(np.spacing(size)))))
    return worst


# ------------------------------------------------------------------------------------------------ accuracy


def exact_rows(x):
    """softmax, log_softmax and logsumexp of a row, in 80 digits."""
    row = [mpmath.mpf(float(v)) for v in x]
    return probabilities(row), logarithms(row), log_of_sum(row)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1.0, 10.0, 100.0, 1e4])
def test_softmax_and_its_kin_are_within_4_ulp(dtype, scale):
    with mpmath.workdps(80):
        rng = np.random.default_rng(1)
        for _ in range(20):
            x = (rng.normal(size=9) * scale).astype(dtype)
            p, log_p, total = exact_rows(x)
            assert ulps(value(nn.softmax, x), p) <= 4
            assert ulps(value(nn.log_softmax, x), log_p) <= 4
            # max + log(sum) may cancel: then the error is that of the greater of the two
            size = np.spacing(np.asarray(np.abs(x).max(), dtype))
            assert abs(value(nn.logsumexp, x) - float(total[0])) <= 4 * size


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_do_not_cancel_where_one_class_is_nearly_sure(dtype):
    x = np.array([20.0, 0.0, -3.0], dtype)
    v = sg.tensor("x", dtype, (3,))
    with mpmath.workdps(80):
        p, _, _ = exact_rows(x)
        (of_log,) = evaluate([expanded(sg.grad(nn.log_softmax(v)[0], v))], {v: x})
        assert ulps(of_log, [p[1] + p[2], -p[1], -p[2]]) <= 8
        (of_p,) = evaluate([expanded(sg.grad(nn.softmax(v)[0], v))], {v: x})
        assert ulps(of_p, [p[0] * (p[1] + p[2]), -p[0] * p[1], -p[0] * p[2]]) <= 8


@pytest.mark.parametrize(
    ("row", "softmax", "log_softmax", "logsumexp"),
    [
        ([INF, 1.0], [NAN, 0], [NAN, -INF], INF),
        ([-INF, -INF], [NAN, NAN], [NAN, NAN], -INF),
        ([-INF, 1.0], [0, 1], [-INF, 0], 1.0),
        ([NAN, 1.0], [NAN, NAN], [NAN, NAN], NAN),
        ([1e4, 1e4], [0.5, 0.5], [-np.log(2), -np.log(2)], 1e4 + np.log(2)),
        ([-1e4, 1e4], [0, 1], [-2e4, 0], 1e4),
    ],
)
def test_infinities_do_what_they_do_in_the_plain_formula(row, softmax, log_softmax, logsumexp):
    x = np.array(row)
    np.testing.assert_allclose(value(nn.softmax, x), softmax)
    np.testing.assert_allclose(value(nn.log_softmax, x), log_softmax)
    np.testing.assert_allclose(value(nn.logsumexp, x), logsumexp)


def test_axes_empty_rows_and_dtypes():
    x = RNG.normal(size=(2, 3, 4)).astype("float16")
    for axis in (0, 1, -1, (0, 2)):
        found = value(lambda v, axis=axis: nn.softmax(v, axis), x)
        assert found.dtype == "float16"
        np.testing.assert_allclose(found.astype("float64").sum(axis), 1, atol=4e-3)
    assert value(nn.softmax, np.zeros((3, 0))).shape == (3, 0)
    assert value(nn.log_softmax, np.zeros((3, 0))).shape == (3, 0)
    assert (value(lambda v: nn.logsumexp(v, -1), np.zeros((3, 0))) == -INF).all()
    assert value(nn.softmax, np.arange(3)).dtype == sg.floatX()


# ------------------------------------------------------------------------------------------------ losses


def test_labels_and_one_hot_rows_give_the_same_loss():
    p, y = value(nn.softmax, RNG.normal(size=(5, 4))), np.array([0, 3, 2, 2, 1])
    by_label = value(lambda a: nn.categorical_crossentropy(a, y), p)
    one_hot = value(lambda a: nn.categorical_crossentropy(a, np.eye(4)[y]), p)
    np.testing.assert_allclose(by_label, -np.log(p[np.arange(5), y]), rtol=1e-15)
    np.testing.assert_allclose(by_label, one_hot, rtol=1e-15)


CERTAIN = {
    "labels": (lambda p: nn.categorical_crossentropy(p, np.array([0, 0, 1])), [0, INF, np.log(2)]),
    "one-hot": (lambda p: nn.categorical_crossentropy(p, np.eye(2)[[0, 0, 1]]), [0, INF, np.log(2)]),
    "binary": (lambda p: nn.binary_crossentropy(p[:, 0], np.array([1.0, 1.0, 0.0])), [0, INF, np.log(2)]),
    "binary, the other": (lambda p: nn.binary_crossentropy(p[:, 1], np.array([0.0, 0.0, 1.0])), [0, INF, np.log(2)]),
}


@pytest.mark.parametrize("name", CERTAIN)
@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_what_is_certain_costs_nothing_or_everything_and_has_a_slope(name, backend):
    """0*log(0) is 0: a class that neither is nor was expected adds nothing to a loss or its gradient."""
    build, expected = CERTAIN[name]
    p = sg.tensor("p", "float64", (3, 2))
    loss = build(p)
    found, g = sg.function([p], [loss, sg.grad(loss.sum(), p)], backend=backend)([[1, 0], [0, 1], [0.5, 0.5]])
    np.testing.assert_allclose(found, expected)
    assert not np.isnan(g).any()
    used = {"binary": 0, "binary, the other": 1}.get(name)
    slopes = {0: [-1, -INF, 2], 1: [1, INF, -2]} if used is not None else {0: [-1, -INF, 0], 1: [0, 0, -2]}
    for k in range(2):
        np.testing.assert_array_equal(g[:, k], slopes[k] if used in (None, k) else [0, 0, 0])


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_a_loss_hides_no_nan(backend):
    p, y = sg.matrix("p"), sg.matrix("y")
    losses = [nn.categorical_crossentropy(p, y), nn.categorical_crossentropy(nn.softmax(p), y),
              nn.binary_crossentropy(p, y)[:, 0]]  # fmt: skip
    assert np.isnan(sg.function([p, y], losses, backend=backend)([[NAN, 1.0]], [[0.0, 1.0]])).all()


def test_a_class_that_is_masked_out_adds_nothing():
    x, y = sg.tensor("x", "float64", (1, 3)), np.array([[0.0, 1.0, 0.0]])
    loss = nn.categorical_crossentropy(nn.softmax(x), y).sum()
    found, g = sg.function([x], [loss, sg.grad(loss, x)])([[-INF, 0.0, 1.0]])
    np.testing.assert_allclose(found, np.log1p(np.e))
    np.testing.assert_allclose(g, [[0, -1 / (1 + 1 / np.e), 1 / (1 + 1 / np.e)]], rtol=1e-15)


@pytest.mark.parametrize("label", [4, 100, -1])
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_a_label_out_of_range_is_an_error_at_the_call(label, dtype):
    p, y = sg.matrix("p"), sg.tensor("y", dtype, (None,))
    loss = nn.categorical_crossentropy(p, y)
    f = sg.function([p, y], loss, backend="numpy")
    f(np.full((2, 4), 0.25), np.array([0, 3], dtype))
    with pytest.raises(IndexOutOfRange):
        f(np.full((2, 4), 0.25), np.array([0, label], dtype))


def test_a_loss_refuses_targets_of_another_kind():
    p = sg.matrix("p")
    with pytest.raises(ShapeError, match="the target has 3 axes, the probabilities 2"):
        nn.categorical_crossentropy(p, sg.tensor3("y"))
    with pytest.raises(DTypeError, match="labels are float64, they must be integers"):
        nn.categorical_crossentropy(p, sg.vector("y", dtype="float64"))


def test_the_loss_of_a_softmax_is_finite_at_the_ends():
    x = sg.tensor("x", "float32", (2, 3))
    y = np.array([2, 0])
    cost = nn.categorical_crossentropy(nn.softmax(x), y).sum()
    f = sg.function([x], [cost, sg.grad(cost, x)], backend="numpy")
    loss, g = f(np.array([[1e4, 0, -1e4], [1, 2, 3]], "float32"))
    assert np.isfinite(loss) and np.isfinite(g).all()
    np.testing.assert_allclose(g[0], [1, 0, -1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_loss_of_logits_is_finite_and_its_gradient_does_not_cancel(dtype):
    x = np.array([-1e4, -30, -1, 0, 1, 30, 1e4], dtype)
    ones = np.ones_like(x)
    v = sg.tensor("x", dtype, (7,))
    loss = nn.sigmoid_binary_crossentropy(v, ones)
    found, g = evaluate([loss, sg.grad(loss.sum(), v)], {v: x})
    wide = x.astype("longdouble")
    np.testing.assert_allclose(found, np.logaddexp(0, -wide).astype(dtype), rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(g, -(1 / (1 + np.exp(wide))).astype(dtype), rtol=8 * np.finfo(dtype).eps)


# ------------------------------------------------------------------------------------------------ dropout


def test_dropout_keeps_the_share_and_the_mean():
    x = np.ones((200, 300), "float32")
    found = value(lambda v: nn.dropout(v, 0.3, RandomStream(1)), x)
    kept = found != 0
    assert found.dtype == "float32"
    # three deviations of a binomial share of 60,000 draws
    assert abs(kept.mean() - 0.7) < 3 * np.sqrt(0.21 / x.size)
    np.testing.assert_allclose(found[kept], 1 / 0.7, rtol=1e-6)


def test_dropout_and_its_gradient_use_one_mask():
    x = sg.matrix("x", dtype="float32")
    y = nn.dropout(x, 0.5, RandomStream(1))
    a, g = evaluate([y, sg.grad(y.sum(), x)], {x: np.ones((30, 40), "float32")})
    np.testing.assert_array_equal(a, g)


def test_dropout_hides_what_it_drops():
    x = np.full((10, 10), NAN)
    found = value(lambda v: nn.dropout(v, 0.5, RandomStream(1)), x)
    assert (found == 0).any() and np.isnan(found).any()


def test_dropout_is_nothing_without_training_or_without_a_share():
    x = sg.matrix("x")
    assert nn.dropout(x, 0.5, RandomStream(1), training=False) is x
    assert nn.dropout(x, 0, RandomStream(1)) is x


@pytest.mark.parametrize("p", [-0.1, 1, 1.5])
def test_dropout_refuses_a_share_outside_0_to_1(p):
    with pytest.raises(ValueError, match="p is"):
        nn.dropout(sg.matrix("x"), p, RandomStream(1))


def test_a_share_may_be_a_variable():
    p = sg.scalar("p", dtype="float64")
    x = sg.matrix("x", dtype="float32")
    y = nn.dropout(x, p, RandomStream(1))
    assert y.dtype == "float32"
    (found,) = evaluate([y], {x: np.ones((50, 60), "float32"), p: 0.3})
    same = value(lambda v: nn.dropout(v, 0.3, RandomStream(1)), np.ones((50, 60), "float32"))
    np.testing.assert_array_equal(found != 0, same != 0)


# ------------------------------------------------------------------------------------------------ the rest


def test_running_statistics_are_averages_of_those_of_batches():
    x = sg.matrix("x")
    mean, var = sg.shared(np.zeros(3), name="mean"), sg.shared(np.ones(3), name="var")
    y, *batch = nn.batch_norm_train(x)
    train = sg.function([x], y, updates=nn.batch_norm_updates(x, *batch, mean, var, factor=0.25))
    expected = [np.zeros(3), np.ones(3)]
    for seed in range(3):
        a = np.random.default_rng(seed).normal(size=(5, 3))
        train(a)
        expected = [0.75 * old + 0.25 * new for old, new in zip(expected, (a.mean(0), a.var(0, ddof=1)), strict=True)]
    np.testing.assert_allclose([mean.get_value(), var.get_value()], expected, 1e-12)


def test_batch_norm_in_training_gives_the_statistics_it_used():
    x = RNG.normal(2, 3, size=(6, 2, 4, 5))
    v = sg.tensor4("x")
    y, mean, var = evaluate(list(nn.batch_norm_train(v, axes="spatial")), {v: x})
    np.testing.assert_allclose(mean, x.mean((0, 2, 3)))
    np.testing.assert_allclose(var, x.var((0, 2, 3)))
    (again,) = evaluate([nn.batch_norm_test(v, None, None, mean, var, "spatial")], {v: x})
    np.testing.assert_allclose(again, y)


def test_normalisation_of_float16_sums_in_float32():
    x = np.full((1, 4096), 100, "float16")
    x[0, ::2] = 102
    found = value(nn.layer_norm, x)
    assert found.dtype == "float16"
    np.testing.assert_allclose(np.abs(found.astype("float64")), 1, atol=1e-3)


def test_embedding_and_one_hot_pick_rows():
    table = RNG.normal(size=(5, 3))
    y = np.array([[0, 4], [2, 2]])
    np.testing.assert_array_equal(value(lambda i, t: nn.embedding(i, t), y, table), table[y])
    np.testing.assert_array_equal(value(lambda i: nn.one_hot(i, 5), y), np.eye(5)[y])

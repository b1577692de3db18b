"""What users write naively: each spelling comes down to the named op, and is right at extreme inputs."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import symgraph as sg
import symgraph.rewrites
from symgraph.graph import Variable, toposort
from symgraph.reference import evaluate
from symgraph.rewrite import PHASES, Step, expand_composites, rewrite, scratch_rules
from symgraph.view import exactly

assert symgraph.rewrites
Formula = Callable[..., Variable]


def e(x: Variable) -> Variable:
    return sg.exp(x)


def peak(x: Variable, axis: int = 1) -> Variable:
    return sg.max(x, axis=axis, keepdims=True)


def total(x: Variable) -> Variable:
    return sg.sum(sg.exp(x), axis=1, keepdims=True)


def log_of(f: Formula) -> Formula:
    return lambda x: sg.log(f(x))


SOFTMAX: dict[str, Formula] = {
    "keepdims": lambda x: e(x) / e(x).sum(axis=1, keepdims=True),
    "negative axis": lambda x: e(x) / e(x).sum(axis=-1, keepdims=True),
    "dimshuffle": lambda x: e(x) / e(x).sum(axis=1).dimshuffle(0, "x"),
    "inserted axis": lambda x: e(x) / e(x).sum(axis=1)[:, None],
    "reshaped": lambda x: e(x) / e(x).sum(axis=1).reshape((x.shape[0], 1)),
    "expand_dims": lambda x: e(x) / sg.expand_dims(e(x).sum(axis=1), 1),
    "maximum subtracted": lambda x: e(x - peak(x)) / e(x - peak(x)).sum(axis=1, keepdims=True),
    "maximum, inserted": lambda x: (lambda z: e(z) / e(z).sum(axis=1)[:, None])(x - sg.max(x, axis=1)[:, None]),
    "times the inverse": lambda x: e(x) * (1 / e(x).sum(axis=1, keepdims=True)),
    "times inv": lambda x: e(x) * sg.inv(e(x).sum(axis=1, keepdims=True)),
    "inverse inserted": lambda x: e(x) * (1 / e(x).sum(axis=1))[:, None],
    "exp of log_softmax": lambda x: e(x - sg.log(total(x))),
    "by columns": lambda x: (e(x.T) / e(x.T).sum(axis=0)).T,
}
LOG_SOFTMAX: dict[str, Formula] = {
    **{f"log, {name}": log_of(f) for name, f in SOFTMAX.items() if name != "by columns"},
    "log of softmax": lambda x: sg.log(sg.nn.softmax(x)),
    "difference": lambda x: x - sg.log(total(x)),
    "shifted difference": lambda x: x - peak(x) - sg.log(total(x - peak(x))),
    "grouped difference": lambda x: x - (peak(x) + sg.log(total(x - peak(x)))),
    "difference, inserted": lambda x: x - sg.log(e(x).sum(axis=1))[:, None],
    "negated": lambda x: -(sg.log(total(x)) - x),
}
LOGSUMEXP: dict[str, Formula] = {
    "plain": lambda x: sg.log(e(x).sum(axis=1)),
    "kept": lambda x: sg.log(total(x))[:, 0],
    "shifted": lambda x: sg.log(total(x - peak(x)))[:, 0] + peak(x)[:, 0],
    "shifted, kept": lambda x: (peak(x) + sg.log(total(x - peak(x))))[:, 0],
    "shifted, dropped": lambda x: sg.max(x, axis=1) + sg.log(e(x - peak(x)).sum(axis=1)),
}
SIGMOID: dict[str, Formula] = {
    "inverse": lambda x: 1 / (1 + e(-x)),
    "swapped": lambda x: 1 / (e(-x) + 1),
    "inv": lambda x: sg.inv(1 + e(-x)),
    "ratio": lambda x: e(x) / (1 + e(x)),
    "swapped ratio": lambda x: e(x) / (e(x) + 1),
    "one minus": lambda x: 1 - 1 / (1 + e(x)),
    "by tanh": lambda x: 0.5 * (1 + sg.tanh(x / 2)),
    "half of": lambda x: (sg.tanh(0.5 * x) + 1) / 2,
    "by the complement": lambda x: 1 - sg.sigmoid(-x),
}
LOG_SIGMOID: dict[str, Formula] = {
    **{f"log, {name}": log_of(f) for name, f in SIGMOID.items()},
    "log of one minus": lambda x: sg.log(1 - sg.sigmoid(-x)),
    "log of one plus": lambda x: -sg.log(1 + e(-x)),
    "log1p": lambda x: -sg.log1p(e(-x)),
}
SOFTPLUS: dict[str, Formula] = {
    "one plus": lambda x: sg.log(1 + e(x)),
    "plus one": lambda x: sg.log(e(x) + 1),
    "log1p": lambda x: sg.log1p(e(x)),
    "by the sigmoid": lambda x: -sg.log(1 - sg.sigmoid(x)),
    "by the ratio": lambda x: -sg.log(1 / (1 + e(x))),
}
FAMILIES: dict[str, tuple[dict[str, Formula], Formula]] = {
    "softmax": (SOFTMAX, lambda x: e(x) / total(x)),
    "log_softmax": (LOG_SOFTMAX, lambda x: x - sg.log(total(x))),
    "logsumexp": (LOGSUMEXP, lambda x: sg.log(e(x).sum(axis=1))),
    "sigmoid": (SIGMOID, lambda x: 1 / (1 + e(-x))),
    "log_sigmoid": (LOG_SIGMOID, lambda x: -sg.log(1 + e(-x))),
    "softplus": (SOFTPLUS, lambda x: sg.log(1 + e(x))),
}
SPELLINGS = [(family, name) for family, (table, _) in FAMILIES.items() for name in table]
SPARE = {"dimshuffle", "neg", "mul", "slice"}  # placing and signs, around the op that is looked for


def named(v: Variable) -> set[str]:
    return {node.op.name for node in toposort([v])} - SPARE


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(("family", "name"), SPELLINGS)
def test_each_spelling_is_recognised(family: str, name: str, dtype: str) -> None:
    x = sg.matrix("x", dtype=dtype)
    (y,) = rewrite([FAMILIES[family][0][name](x)], ("canonicalize", "stabilize"))
    alias = {"softplus": {"log_sigmoid"}, "log_sigmoid": {"softplus"}}  # one is the other of -x, negated
    assert named(y) == {family} or named(y) == alias.get(family), named(y)


def extremes(dtype: str) -> np.ndarray:
    """Rows with large values of both signs, ties, and close ones; all of them numbers of float32."""
    rng = np.random.default_rng(0)
    rows = [
        [1e4, -1e4, 0, 3], [1e4, 1e4, -1e4, 9999], [-1e4, -1e4 + 1, -1e4, -9990],
        [0, 0, 0, 0], [-0.0, 1e-6, -1e-6, 1e-3],
        [88, 89, -104, 710], [-30, 20, 36, -745], *rng.normal(size=(3, 4)).tolist(),
    ]  # fmt: skip
    return np.asarray(rows, "float32").astype(dtype)


def ulps(found: np.ndarray, truth: np.ndarray, scale: Any = 0) -> float:
    """The largest error, in units in the last place of the answer or of ``scale``."""
    info = np.finfo(found.dtype)
    worst = 0.0
    for a, t, s in zip(found.ravel(), truth.ravel(), np.broadcast_to(scale, truth.shape).ravel(), strict=True):
        unit = mpmath.mpf(2) ** (mpmath.mag(max(abs(t), s)) - 1) * mpmath.mpf(float(info.eps)) if t or s else 0
        least = mpmath.mpf(float(info.smallest_subnormal))
        worst = max(worst, float(abs(mpmath.mpf(float(a)) - t) / max(unit, least)))
    return worst


BITS = 7000  # exp(-4e3) beside 1


@functools.cache
def exact(formula: Formula) -> np.ndarray:
    """The real answer at the extremes."""
    x = sg.dmatrix("x")
    with mpmath.workprec(BITS):
        return exactly.value([formula(x)], {x: extremes("float64")})[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_spelling_is_within_four_ulp_at_extreme_inputs(family: str, dtype: str) -> None:
    table, plain = FAMILIES[family]
    x, value = sg.matrix("x", dtype=dtype), extremes(dtype)
    truth = exact(plain)
    # a logarithm that passes 0 has a part that is rounded before: the largest input that counts
    scale = np.abs(value).min(axis=1) if family == "logsumexp" else 0
    for name, f in table.items():
        (y,) = evaluate(expand_composites(rewrite([f(x)])), {x: value})
        assert y.dtype == dtype and ulps(y, truth, scale) <= 4, (name, ulps(y, truth, scale))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_gradient_of_every_spelling_is_within_eight_ulp_at_extreme_inputs(family: str, dtype: str) -> None:
    table, _ = FAMILIES[family]
    x, value = sg.matrix("x", dtype=dtype), extremes(dtype)
    truth = exact(GRADIENTS[family])
    for name, f in table.items():
        g = pulled(f, x)
        (found,) = evaluate(expand_composites(rewrite([g])), {x: value})
        scale = 0.5 if family in ("softmax", "log_softmax") else 0  # of the weights, whose sums cancel
        assert ulps(found, truth, np.minimum(scale, magnitude(truth))) <= 8, name


def pulled(f: Formula, x: Variable) -> Variable:
    """The gradient of the weighted sum of ``f(x)``."""
    y = f(x)
    shape = extremes("float64").shape[: y.ndim]
    weights = np.random.default_rng(1).integers(8, 24, shape) / 16  # numbers of any float dtype
    return sg.vjp(y, x, sg.constant(weights.astype(y.dtype)))


# the gradient graph of the named op is its formula: what it is without rounding is the answer
GRADIENTS = {family: functools.partial(pulled, next(iter(table.values()))) for family, (table, _) in FAMILIES.items()}


def magnitude(truth: np.ndarray) -> np.ndarray:
    return np.asarray(np.max(np.abs(truth), axis=1, keepdims=True))


# ------------------------------------------------------------------------------------------------ axes


@pytest.mark.parametrize("axis", [0, 1, 2, (0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_a_softmax_is_found_along_any_axes(axis: Any) -> None:
    x = sg.tensor3("x")
    (y,) = rewrite([e(x) / e(x).sum(axis=axis, keepdims=True)])
    wanted = axis if isinstance(axis, tuple) else (axis,)
    assert y.owner is not None and y.owner.op.name == "softmax" and y.owner.attrs["axis"] == wanted


def test_a_softmax_of_a_vector_needs_no_axis() -> None:
    x = sg.vector("x")
    assert rewrite([e(x) / e(x).sum()])[0] is rewrite([sg.nn.softmax(x)])[0]
    m = sg.max(x)
    assert rewrite([e(x - m) / e(x - m).sum()])[0] is rewrite([sg.nn.softmax(x)])[0]


def test_a_sum_along_the_wrong_axis_is_no_softmax() -> None:
    """On a square matrix the shapes do not tell."""
    x = sg.tensor("x", "float64", shape=(3, 3))
    wrong = e(x) / e(x).sum(axis=1)
    (y,) = rewrite([wrong])
    value = np.random.default_rng(0).normal(size=(3, 3))
    assert "softmax" not in named(y)
    assert np.allclose(evaluate([y], {x: value})[0], np.exp(value) / np.exp(value).sum(axis=1))


# ------------------------------------------------------------------------------------------------ ratios of sums

RATIOS: dict[str, Formula] = {
    "exp over a sum": lambda x, w: e(w) / e(x).sum(),
    "sum over a sum": lambda x, w: e(w).sum() / e(x).sum(),
    "weighted": lambda x, w: (w * e(x)).sum() / e(x).sum(),
    "weighted below": lambda x, w: e(x).sum() / (w * e(x)).sum(),
    "weighted by itself": lambda x, w: (x * e(x)).sum() / e(x).sum(),
    "one-hot": lambda x, w: (np.array([0.0, 1.0]) * e(x)).sum() / e(x).sum(),
    "numbers": lambda x, w: (np.array([0.0, 1e300]) * e(x)).sum() / e(x).sum(),
}
BESIDE_WEIGHTS = [
    ([700.0, -700.0], [1.0, np.inf]), ([700.0, -700.0], [1.0, -np.inf]), ([100.0, -645.0], [0.0, 1e308]),
    ([-645.0, 100.0], [-1e308, 1e-300]), ([-700.0, -700.0], [1e-3, 1.0]), ([1.0, 2.0], [np.nan, 1.0]),
    ([-np.inf, -np.inf], [1.0, 1.0]), ([700.0, 600.0], [0.0, 0.0]),
]  # fmt: skip


@pytest.mark.parametrize("n", [0, 2])
@pytest.mark.parametrize("name", [name for name in RATIOS if name not in ("one-hot", "numbers")])
def test_a_ratio_of_sums_of_nothing_is_what_is_written(name: str, n: int) -> None:
    x, w = sg.vector("x", "float64"), sg.vector("w", "float64")
    written, values = RATIOS[name](x, w), [np.zeros(0), np.ones(0 if "weighted" in name else n)]
    (plain,) = evaluate([written], dict(zip([x, w], values, strict=True)))
    outputs = [written, sg.grad(written.sum(), x)]
    found, slope = sg.function([x, w], outputs, on_unused_input="ignore")(*values)
    np.testing.assert_array_equal(found, plain)
    assert slope.shape == (0,)


@pytest.mark.parametrize(("x", "w"), BESIDE_WEIGHTS)
@pytest.mark.parametrize("name", RATIOS)
def test_weights_of_any_size_give_a_ratio_of_sums_that_is_no_further_off(
    name: str, x: list[float], w: list[float]
) -> None:
    a, b = sg.vector("a", "float64"), sg.vector("b", "float64")
    written = RATIOS[name](a, b)
    values = {a: np.array(x), b: np.array(w)}
    (plain,) = evaluate([written], values)
    (found,) = evaluate(expand_composites(rewrite([written])), values)
    decided = np.isfinite(plain) | (not np.isfinite(w).all())  # else it overflowed on the way
    np.testing.assert_allclose(found[decided], plain[decided], rtol=1e-15, atol=5e-324)


@pytest.mark.parametrize("name", [name for name in RATIOS if name not in ("one-hot", "numbers")])
def test_a_ratio_of_sums_of_half_precision_keeps_its_type_and_range(name: str) -> None:
    x, w = sg.vector("x", "float16"), sg.vector("w", "float16")
    written = RATIOS[name](x, w)
    values = [np.array([20.0, 21.0], "float16"), np.array([1.0, 1.5], "float16")]
    with np.errstate(over="ignore"):
        (plain,) = evaluate([RATIOS[name](*map(sg.constant, [v.astype("float64") for v in values]))], {})
    found = sg.function([x, w], written, on_unused_input="ignore")(*values)
    np.testing.assert_allclose(found, plain, rtol=4e-3, atol=6e-8)  # 4 ulp of float16, and its least number


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_weighted_mean_does_not_overflow(dtype: str) -> None:
    x = sg.vector("x", dtype)
    y = (x * e(x)).sum() / e(x).sum()
    f = sg.function([x], [y, sg.grad(y, x)])
    for by in (-800.0, -80.0, 0.0, 85.0, 1000.0):
        value, slope = f(np.array([by, by - 1], dtype))
        p = 1 / (1 + np.exp(-1))
        np.testing.assert_allclose(value, by - (1 - p), rtol=1e-6)
        # the slope cancels: by enters it with a unit of its last place
        np.testing.assert_allclose(slope, [p * (2 - p), (1 - p) * (1 - p)], atol=2e-7 * max(1, abs(by)))


# ------------------------------------------------------------------------------------------------ variances


@pytest.mark.parametrize("n", [0, 1, 3, 4, 5, 40])
def test_a_variance_divided_by_any_number_is_what_is_written(n: int) -> None:
    x, rows = sg.matrix("x", dtype="float64"), np.random.default_rng(n).normal(1, 1, (3, n))
    y = (x * x).sum(axis=1) / 4 - (x.sum(axis=1) / 4) ** 2
    value, slope = sg.function([x], [y, sg.grad(y.sum(), x)])(rows)
    np.testing.assert_allclose(value, (rows * rows).sum(1) / 4 - (rows.sum(1) / 4) ** 2, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(slope, rows / 2 - rows.sum(1, keepdims=True) / 8, rtol=1e-12, atol=1e-12)


def test_the_variance_of_nothing_is_nan() -> None:
    x = sg.matrix("x", dtype="float64")
    assert np.isnan(sg.function([x], (x * x).mean(axis=1) - x.mean(axis=1) ** 2)(np.ones((3, 0)))).all()


# ------------------------------------------------------------------------------------------------ cross-entropy

CHOICES: dict[str, Callable[..., Variable]] = {
    "log, then choose": lambda p, y: sg.log(p)[sg.arange(p.shape[0]), y],
    "choose, then log": lambda p, y: sg.log(p[sg.arange(p.shape[0]), y]),
    "arange of the labels": lambda p, y: sg.log(p[sg.arange(y.shape[0]), y]),
    "numpy's arange": lambda p, y: sg.log(p[np.arange(10), y]),
    "take_along_axis": lambda p, y: sg.log(sg.take_along_axis(p, y[:, None], axis=1))[:, 0],
    "the loss": lambda p, y: -sg.nn.categorical_crossentropy(p, y),
    "flat": lambda p, y: sg.log(p.flatten()[sg.arange(p.shape[0]) * 4 + y]),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CHOICES)
def test_the_log_of_a_chosen_probability_is_stable(name: str, dtype: str) -> None:
    x, y = sg.matrix("x", dtype=dtype), sg.ivector("y")
    chosen = CHOICES[name](e(x) / e(x).sum(axis=1, keepdims=True), y)
    steps: list[Step] = []
    (found,) = rewrite([chosen], trace=steps)
    assert "log_softmax" in named(found) and "log" not in named(found)
    value, labels = extremes(dtype), np.arange(10, dtype="int32") % 4
    truth = exact(FAMILIES["log_softmax"][1])[np.arange(10), labels]
    (result,) = evaluate(expand_composites([found]), {x: value, y: labels})
    assert ulps(result, truth) <= 4


@pytest.mark.parametrize("shapes", [((None,), (None,)), ((5,), (7,))])
@pytest.mark.parametrize("choose", [lambda p: p[:3], lambda p: p[2], lambda p: p[sg.constant([0, -1, 3])]])
def test_what_is_chosen_alike_of_rows_of_other_lengths_is_divided_after_the_choice(
    shapes: tuple[tuple[int | None], ...], choose: Callable[[Variable], Variable]
) -> None:
    x, y = (sg.tensor(name, shape=shape) for name, shape in zip("xy", shapes, strict=True))
    p, q = sg.nn.softmax(x), sg.nn.softmax(y)
    a, b = np.arange(5.0), np.arange(7.0)
    values = {x: a, y: b}
    expected = evaluate([choose(p)], values)[0] / evaluate([choose(q)], values)[0]
    (found,) = rewrite([choose(p) / choose(q)])
    (result,) = evaluate(expand_composites([found]), values)
    assert ulps(result, expected) <= 4  # of the quotient and its two parts


def test_the_cross_entropy_with_one_hot_targets_is_stable() -> None:
    x, t = sg.fmatrix("x"), sg.fmatrix("t")
    p = e(x) / e(x).sum(axis=1, keepdims=True)
    costs = [-sg.sum(t * sg.log(p)), sg.nn.categorical_crossentropy(p, t).sum(), -(sg.log(p) * t).sum(axis=1).sum()]
    for cost in costs:
        assert "log_softmax" in named(rewrite([cost])[0]) and "log" not in named(rewrite([cost])[0])
    value = extremes("float32")
    target = np.eye(4, dtype="float32")[np.arange(10) % 4]
    (g,) = evaluate(expand_composites(rewrite([sg.grad(costs[0], x)])), {x: value, t: target})
    truth = exact(FAMILIES["softmax"][1]) - target
    assert ulps(g, truth) <= 8


def test_the_binary_cross_entropy_is_stable() -> None:
    x, t = sg.vector("x"), sg.vector("t")
    p = 1 / (1 + e(-x))
    spellings = [
        -(t * sg.log(p) + (1 - t) * sg.log(1 - p)),
        -t * sg.log(p) - (1 - t) * sg.log(1 - p),
        sg.nn.binary_crossentropy(p, t),
    ]
    value, target = np.array([1e4, -1e4, 1e4, -1e4, 0.3, -40]), np.array([1.0, 0, 0, 1, 0.25, 1])
    with mpmath.workprec(BITS):
        truth = np.asarray([
            target[k] * mpmath.log1p(mpmath.exp(-v)) + (1 - target[k]) * mpmath.log1p(mpmath.exp(v))
            for k, v in enumerate(map(mpmath.mpf, value.tolist()))
        ])  # fmt: skip
    for cost in spellings:
        (y,) = evaluate(expand_composites(rewrite([cost])), {x: value, t: target})
        assert ulps(y, truth) <= 4
        (g,) = evaluate(expand_composites(rewrite([sg.grad(cost.sum(), x)])), {x: value, t: target})
        assert np.isfinite(g).all() and np.allclose(
            g, 1 / (1 + np.exp(-np.clip(value, -700, 700))) - target, rtol=1e-15
        )


# ------------------------------------------------------------------------------------------------ the others

SINGLE: dict[str, tuple[Formula, str]] = {
    "log1p": (lambda x: sg.log(1 + x), "log1p"),
    "log1p of a difference": (lambda x: sg.log(1 - x), "log1p"),
    "expm1": (lambda x: e(x) - 1, "expm1"),
    "one minus exp": (lambda x: 1 - e(x), "expm1"),
    "log1mexp": (lambda x: sg.log(1 - e(x)), "log1mexp"),
    "log1mexp of -x": (lambda x: sg.log(1 - e(-x)), "log1mexp"),
    "tanh": (lambda x: (e(x) - e(-x)) / (e(x) + e(-x)), "tanh"),
    "tanh of 2x": (lambda x: (e(2 * x) - 1) / (e(2 * x) + 1), "tanh"),
    "tanh of -2x": (lambda x: (1 - e(-2 * x)) / (1 + e(-2 * x)), "tanh"),
    "tanh by sigmoid": (lambda x: 2 * sg.sigmoid(2 * x) - 1, "tanh"),
    "sinh": (lambda x: (e(x) - e(-x)) / 2, "sinh"),
    "sech2": (lambda x: 1 - sg.tanh(x) ** 2, "sech2"),
    "square by product": (lambda x: 1 - sg.tanh(x) * sg.tanh(x), "sech2"),
    "erfc": (lambda x: 0.5 * (1 + sg.erf(x)), "erfc"),
    "norm of one": (lambda x: sg.sqrt(x * x), "abs"),
    "log of exp": (lambda x: sg.log(e(sg.sin(x))), "sin"),
    "odds": (lambda x: sg.sigmoid(x) / (1 - sg.sigmoid(x)), "exp"),
    "logit": (lambda x: sg.log(sg.sigmoid(sg.sin(x)) / (1 - sg.sigmoid(sg.sin(x)))), "sin"),
}


@pytest.mark.parametrize("name", SINGLE)
def test_the_other_repairs(name: str) -> None:
    formula, op = SINGLE[name]
    assert named(rewrite([formula(sg.vector("x"))], ("canonicalize", "stabilize"))[0]) == {op}


@pytest.mark.parametrize("count", [2, 3, 5])
def test_logaddexp_of_any_number_and_any_broadcast(count: int) -> None:
    xs = [sg.matrix("m"), *[sg.vector(f"v{k}") for k in range(count - 1)]]
    y = sg.log(sum((e(x) for x in xs[1:]), e(xs[0])))
    (z,) = rewrite([y])
    assert named(z) == {"logaddexp"} and z.type == y.type
    values = {x: np.full((2,) * x.ndim, 1e4 + k) for k, x in enumerate(xs)}
    expected = 1e4 + np.log(np.sum(np.exp(np.arange(float(count)))))
    assert np.allclose(evaluate([z], values)[0], expected, rtol=1e-15)


def test_log_of_mean_of_exp() -> None:
    x = sg.matrix("x")
    (y,) = rewrite([sg.log(sg.mean(e(x), axis=1))])
    value = np.array([[1e4, 1e4], [-1e4, -1e4]])
    assert (evaluate([y], {x: value})[0] == [1e4, -1e4]).all()


def test_what_would_hide_a_nan_or_move_an_answer_is_left_alone() -> None:
    x, y = sg.vectors("x y")
    for v in (x * 0, x - x, x / x, x + 0.0, e(sg.log(x)), x + y - x, sg.sqr(sg.sqrt(x))):
        assert rewrite([v], ("canonicalize", "stabilize")) == [v]


def test_the_logarithm_of_an_inverse_keeps_what_infinities_make() -> None:
    """1 / -inf is -0, whose logarithm is -inf; -log(-inf) is NaN."""
    x = sg.vector("x", dtype="float64")
    found = sg.function([x], sg.log(1 / (1 + x)))(np.array([-np.inf, np.inf, np.nan, -3.0, 1e-30]))
    np.testing.assert_array_equal(found, [-np.inf, -np.inf, np.nan, np.nan, -1e-30])


def test_powers_of_two_meet_where_nothing_overflows_that_did_not() -> None:
    """4 * (0.5 * x / y) is not 2 * x / y."""
    x, y = sg.vector("x", dtype="float64"), sg.vector("y", dtype="float64")
    f = sg.function([x, y], [4 * (0.5 * x / y), 0.5 * (2 * x / y)])
    for found, expected in zip(f(np.array([1.7e308]), np.array([1e10])), (3.4e298, 1.7e298), strict=True):
        np.testing.assert_allclose(found, [expected], rtol=1e-15)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("formula", [lambda k, x, y: k * (k * x / y), lambda k, x, y: k * (k * (x / y))])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_powers_of_two_do_not_meet_in_infinity_or_zero(dtype: str, sign: int, formula: Callable[..., Any]) -> None:
    """Factor by factor these products are powers of two and exact; k * k is none."""
    k = 2.0 ** (sign * np.finfo(dtype).maxexp * 7 // 8)
    x, y = sg.scalar("x", dtype=dtype), sg.scalar("y", dtype=dtype)
    f = sg.function([x, y], formula(k, x, y))
    assert [f(v, k) for v in (0, 1, -1)] == [formula(k, v, k) for v in (0, 1, -1)]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("number", [2.0**100, 2.0**-100])
def test_a_common_power_of_two_is_taken_out_of_a_number_that_stays_one(number: float) -> None:
    x = sg.scalar("x", dtype="float32")
    f = sg.function([x], number + sg.tanh(x) / number)
    assert f(1) == np.float32(number + np.tanh(1) / number)


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_product_of_exponentials_is_not_below_zero(dtype: str, backend: str) -> None:
    """Also where all of the smaller exponent is lost in the sum of both; the inverse tells -0 from 0."""
    limits = np.finfo(dtype)
    sizes = [0, 1, 300, 0.75 / limits.eps, 2 / limits.eps + 2, 1e3 / limits.eps, limits.max, np.inf]
    numbers = np.array([s * v for v in sizes for s in (1, -1)], dtype)
    a, b = np.repeat(numbers, len(numbers)), np.tile(numbers, len(numbers))
    x, y = sg.vector("x", dtype=dtype), sg.vector("y", dtype=dtype)
    f = sg.function([x, y], [e(x) * e(y), 1 / (e(x) * e(y)), 1 / sg.minimum(e(x) * e(y), 1)], backend=backend)
    for found in f(a, b):
        assert ((found >= 0) & ~np.signbit(found))[a != -b].all()


def test_the_square_of_an_exponential_overflows_no_sooner_than_its_value() -> None:
    x, y = sg.vectors("x y")
    (z,) = rewrite([sg.sqr(e(x) * e(y))])
    assert evaluate([z], {x: np.array([1.7e308]), y: np.array([-1.7e308])})[0] == 1


@pytest.mark.parametrize("f", [sg.sqrt, sg.log])
def test_a_difference_by_its_distance_is_nan_where_a_part_is(f: Formula) -> None:
    x = sg.vector("x")
    (y,) = rewrite([f(x + 1) - f(x)])
    assert "sub" not in named(y)
    assert np.isnan(evaluate([y], {x: np.array([-0.5, -1.0, -2.0, -np.inf, np.nan])})[0]).all()


def test_places_that_are_one_or_far_apart_stay_a_difference() -> None:
    x, y = sg.vectors("x y")
    for v in (sg.sqrt(x) - sg.sqrt(y), sg.log(x) - sg.log(2 * x), 1 / x - 2 / (x + 1), sg.sqrt(x) - sg.sqrt(x)):
        assert rewrite([v], ("canonicalize", "stabilize")) == [v]


SIGNED: dict[str, Callable[[Any], Any]] = {
    "both": lambda x: -sg.exp(x) / (-sg.exp(x)).sum(axis=1, keepdims=True),
    "below": lambda x: sg.exp(x) / (-sg.exp(x)).sum(axis=1, keepdims=True),
    "above": lambda x: -sg.exp(x) / sg.exp(x).sum(axis=1, keepdims=True),
    "both, scaled": lambda x: -2 * sg.exp(x) / (-2 * sg.exp(x)).sum(axis=1, keepdims=True),
    "one scaled": lambda x: sg.exp(x) / (-2 * sg.exp(x)).sum(axis=1, keepdims=True),
    "around": lambda x: -(-sg.exp(x) / (-sg.exp(x)).sum(axis=1, keepdims=True)),
    "around the sum": lambda x: sg.exp(x) / -(-sg.exp(x)).sum(axis=1, keepdims=True),
    "weights": lambda x: x * sg.exp(x) / (-x * sg.exp(x)).sum(axis=1, keepdims=True),
    "totals": lambda x: (-sg.exp(x)).sum(axis=1) / (-x * sg.exp(x)).sum(axis=1),
    "a total of weights": lambda x: (x * sg.exp(x)).sum(axis=1) / (-sg.exp(x)).sum(axis=1),
    "another exponent": lambda x: -sg.exp(2 * x) / (-sg.exp(x)).sum(axis=1, keepdims=True),
    "logarithm": lambda x: sg.log(-(-sg.exp(x)).sum(axis=1)),
    "logarithm of a ratio": lambda x: sg.log(-sg.exp(x) / (-sg.exp(x)).sum(axis=1, keepdims=True)),
    "product": lambda x: sg.log(-((-sg.exp(x)) @ sg.exp(x.T))),
}  # fmt: skip


@pytest.mark.parametrize("name", SIGNED)
def test_signs_in_ratios_of_exponentials_are_kept(name: str) -> None:
    x = sg.dmatrix("x")
    at = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.5]])
    with scratch_rules(without=PHASES):
        wanted = sg.function([x], SIGNED[name](x), backend="numpy")(at)
    np.testing.assert_allclose(sg.function([x], SIGNED[name](x))(at), wanted, rtol=1e-13)


CHOSEN = {
    "1/(x/9)": (lambda x: 1 / (x / 9)[1], 0.0),
    "log(3*x*x)": (lambda x: sg.log((3 * x * x)[1]), 0.0),
    "log(x*(1+x))": (lambda x: sg.log((x * (1 + x))[1]), 0.0),
    "log(1+x)": (lambda x: sg.log((1 + x)[1]), -1.0),
    "log(1-exp(-x))": (lambda x: sg.log((1 - sg.exp(-x))[1]), 0.0),
    "log(exp(x)-1)": (lambda x: sg.log((sg.exp(x) - 1)[1:][0]), 0.0),
    "sqrt(x*x+1/4)": (lambda x: sg.sqrt((x * x + 0.25)[1]), np.inf),
    "sqrt(x+1)-sqrt(x)": (lambda x: sg.sqrt(x + 1)[1] - sg.sqrt(x)[1], 0.0),
    "log(x+1)-log(x)": (lambda x: sg.log(x + 1)[1] - sg.log(x)[1], -1.0),
    "1/x-1/(x+1)": (lambda x: (1 / x)[1] - (1 / (x + 1))[1], 0.0),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_elements_that_are_not_chosen_have_a_slope_of_0(name: str) -> None:
    """Also where one of what is done to the others is infinite or NaN there."""
    formula, number = CHOSEN[name]
    x = sg.dvector("x")
    y = formula(x)
    value, slope = sg.function([x], [y, sg.grad(y, x)])(np.array([number, 3.0]))
    others = sg.function([x], [y, sg.grad(y, x)])(np.array([2.0, 3.0]))
    assert value == others[0] and slope.tolist() == [0.0, others[1][1]]


@pytest.mark.parametrize("number", [1.0, 4.0])
def test_a_product_has_the_shape_that_a_constant_alone_gives_it(number: float) -> None:
    x, z = sg.dscalar("x"), sg.dscalar("z")
    y = sg.constant(np.full((2, 3), number)) * (1 / x / x) * (1 / z / z)
    np.testing.assert_array_equal(sg.function([x, z], y)(2.0, 0.5), np.full((2, 3), number))


def test_a_choice_of_a_sum_of_long_formulas_is_made_near_the_end() -> None:
    xs = [sg.dvector(f"x{k}") for k in range(28)]
    y, z = xs[:2]
    for _ in range(2000):
        y = sg.sin(y) * 1.5
    for _ in range(60):
        z = sg.sin(z) + sg.cos(z)
    total = functools.reduce(operator.add, map(sg.exp, [y, z, *xs]))
    (found,) = rewrite([sg.log(total[1:3])], PHASES)
    assert found.type == total.type and found is not total

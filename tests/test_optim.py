"""Update rules against their formulas in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import symgraph as sg
from symgraph import optim
from symgraph.errors import ArgumentError

TARGET = np.array([1.0, -2.0, 0.5])


def slope(p):
    """The gradient of the sum of (p - target)**4 / 4."""
    return (p - TARGET) ** 3


def sgd(p, s, t, lr):
    return p - lr * slope(p)


def momentum(p, s, t, lr, mu=0.9):
    s["v"] = mu * s.get("v", 0) - lr * slope(p)
    return p + s["v"]


def nesterov(p, s, t, lr, mu=0.9):
    s["v"] = mu * s.get("v", 0) - lr * slope(p)
    return p + mu * s["v"] - lr * slope(p)


def adagrad(p, s, t, lr=0.01, eps=1e-6):
    s["a"] = s.get("a", 0) + slope(p) ** 2
    return p - lr * slope(p) / np.sqrt(s["a"] + eps)


def adadelta(p, s, t, lr=1.0, rho=0.95, eps=1e-6):
    s["a"] = rho * s.get("a", 0) + (1 - rho) * slope(p) ** 2
    step = slope(p) * np.sqrt(s.get("d", 0) + eps) / np.sqrt(s["a"] + eps)
    s["d"] = rho * s.get("d", 0) + (1 - rho) * step**2
    return p - lr * step


def rmsprop(p, s, t, lr=0.001, rho=0.9, eps=1e-6):
    s["a"] = rho * s.get("a", 0) + (1 - rho) * slope(p) ** 2
    return p - lr * slope(p) / np.sqrt(s["a"] + eps)


def adam(p, s, t, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    s["m"] = beta1 * s.get("m", 0) + (1 - beta1) * slope(p)
    s["v"] = beta2 * s.get("v", 0) + (1 - beta2) * slope(p) ** 2
    return p - lr * (s["m"] / (1 - beta1**t)) / (np.sqrt(s["v"] / (1 - beta2**t)) + eps)


RULES = [
    (sgd, {"lr": 0.1}), (momentum, {"lr": 0.05}), (momentum, {"lr": 0.05, "mu": 0.5}), (nesterov, {"lr": 0.05}),
    (adagrad, {}), (adagrad, {"lr": 0.1, "eps": 1e-3}), (adadelta, {}), (adadelta, {"lr": 0.5, "rho": 0.8}),
    (rmsprop, {}), (rmsprop, {"lr": 0.1, "rho": 0.5, "eps": 1e-2}), (adam, {}),
    (adam, {"lr": 0.1, "beta1": 0.5, "beta2": 0.9, "eps": 1e-3}),
]  # fmt: skip


def trained(rule, options, dtype="float64", calls=7):
    """A parameter after some calls."""
    p = sg.shared(np.zeros(3, dtype), name="p")
    cost = ((p - TARGET.astype(dtype)) ** 4).sum() / 4
    f = sg.function([], cost, updates=getattr(optim, rule.__name__)(cost, [p], **options), backend="numpy")
    for _ in range(calls):
        f()
    return p.get_value()


@pytest.mark.parametrize(("rule", "options"), RULES)
def test_a_rule_is_its_formula(rule, options):
    p, state = np.zeros(3), {}
    for t in range(1, 8):
        p = rule(p, state, t, **options)
    np.testing.assert_allclose(trained(rule, options), p, rtol=1e-12)


@pytest.mark.parametrize(("rule", "options"), RULES)
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_parameter_keeps_its_dtype(rule, options, dtype):
    found = trained(rule, options, dtype)
    assert found.dtype == dtype
    assert np.isfinite(found).all()
    # seven steps, each a few roundings, of numbers up to 2; float16 squares of small gradients lose most digits
    np.testing.assert_allclose(found, trained(rule, options), rtol=0, atol={"float16": 0.1, "float32": 1e-4}[dtype])


@pytest.mark.parametrize("rule", [sgd, momentum, nesterov, adagrad, adadelta, rmsprop, adam])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_rate_may_be_shared_and_of_another_dtype(rule, dtype):
    rate = sg.shared(np.asarray(0.05, dtype), name="rate")
    found = trained(rule, {"lr": rate}, "float32")
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, trained(rule, {"lr": 0.05}, "float32"), rtol=1e-5)


def test_a_shared_rate_can_be_changed_between_calls():
    p, rate = sg.shared(np.zeros(3), name="p"), sg.shared(0.0, name="rate")
    cost = ((p - TARGET) ** 2).sum()
    f = sg.function([], cost, updates=optim.sgd(cost, [p], rate), backend="numpy")
    f()
    assert not p.get_value().any()
    rate.set_value(0.5)
    f()
    np.testing.assert_allclose(p.get_value(), TARGET)


def test_state_is_named_after_its_parameter():
    p = sg.shared(np.zeros(3), name="w")
    names = [s.name for s, _ in optim.adam((p**2).sum(), [p])]
    assert names == ["adam_step", "w_mean", "w_squares", "w"]


def test_only_shared_variables_are_parameters():
    x = sg.vector("x")
    with pytest.raises(ArgumentError, match="the parameter x is not shared"):
        optim.sgd((x**2).sum(), [x], 0.1)


def test_every_update_fits_its_variable():
    p = sg.shared(np.zeros((3, 1), "float32"), name="p")
    q = sg.shared(np.zeros((), "float32"), name="q")
    cost = ((p * q + 1) ** 2).mean()
    for name in optim.__all__:
        rule = getattr(optim, name)
        for target, new in rule(cost, [p, q], lr=0.1):
            assert new.type == target.type, name


def test_parameters_come_in_a_list():
    w = sg.shared(np.zeros(2), name="w")
    with pytest.raises(sg.ArgumentError, match=r"the parameters are one variable, w\ngive a list: \[w\]"):
        sg.optim.sgd(w.sum(), w, lr=0.1)

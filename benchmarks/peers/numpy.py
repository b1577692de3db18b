"""NumPy, with gradients written by hand. Precision follows the problem: ``reference`` asks for float64."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.peers import Build, Step
from benchmarks.workloads import (
    EPSILON,
    KEPT_HIDDEN,
    KEPT_INPUT,
    RATE,
    RATE_OF_DESCENT,
    RMSPROP,
    SLOPE_RATE,
    VOLATILITY,
    Array,
    Problem,
)

Keep = Callable[[Any, float], Any]


def log_softmax(x: Array, axis: int) -> Array:
    x = x - x.max(axis, keepdims=True)
    x -= np.log(np.exp(x).sum(axis, keepdims=True))
    return x


def logsumexp(x: Array, axis: int) -> Array:
    largest = x.max(axis, keepdims=True)
    total: Array = np.log(np.exp(x - largest).sum(axis))
    return total + largest.squeeze(axis)


def cross_entropy(z: Array, y: Array) -> tuple[Any, Array]:
    """The mean cost, and its gradient by the logits."""
    logs = log_softmax(z, 1)
    return -(y * logs).sum() / len(y), (np.exp(logs) - y) / len(y)


# ------------------------------------------------------------------------------------------------ training


def train(gradients: Callable[..., Any], update: Callable[..., Any]) -> Build:
    """A step; ``gradients(parameters, x, y)`` gives the cost and the gradients, ``update`` works in place."""

    def build(problem: Problem) -> Step:
        parameters = [p.copy() for p in problem.parameters]
        change = update(parameters)

        def step(x: Array, y: Array) -> Any:
            cost, gs = gradients(parameters, x, y)
            change(gs)
            return cost

        return Step(step, problem.arguments, lambda: [p.copy() for p in parameters])

    return build


def descend(parameters: list[Array]) -> Callable[[list[Array]], None]:
    def change(gs: list[Array]) -> None:
        for p, g in zip(parameters, gs, strict=True):
            g *= RATE_OF_DESCENT
            p -= g

    return change


def rmsprop(parameters: list[Array]) -> Callable[[list[Array]], None]:
    lr, rho, epsilon = RMSPROP.values()
    means = [np.zeros_like(p) for p in parameters]

    def change(gs: list[Array]) -> None:
        for p, g, mean in zip(parameters, gs, means, strict=True):
            mean *= rho
            mean += (1 - rho) * (g * g)
            p -= lr * g / np.sqrt(mean + epsilon)

    return change


def line(problem: Problem) -> Step:
    w, rate = problem.parameters[0][()], problem.parameters[0].dtype.type(2 * SLOPE_RATE)

    def step(x: Any, y: Any) -> Any:
        nonlocal w
        error = x * w - y
        w = w - rate * error * x
        return error * error

    scalars = [tuple(a[()] for a in call) for call in problem.arguments]
    return Step(step, scalars, lambda: [np.asarray(w)])


def logistic(parameters: list[Array], x: Array, y: Array) -> Any:
    cost, dz = cross_entropy(x @ parameters[0], y)
    return cost, [x.T @ dz]


def sigmoid_net(parameters: list[Array], x: Array, y: Array) -> Any:
    w, w_out = parameters
    h = 1 / (1 + np.exp(-(x @ w)))
    cost, dz = cross_entropy(h @ w_out, y)
    return cost, [x.T @ (dz @ w_out.T * h * (1 - h)), h.T @ dz]


def noise() -> Keep:
    """The factors of dropout."""
    random = np.random.default_rng(0)

    def keep(like: Array, p: float) -> Any:
        return (random.random(like.shape, like.dtype.type) < p) * like.dtype.type(1 / p)

    return keep


def quiet(like: Array, p: float) -> Any:
    """No dropout."""
    return 1


def modern(keep: Keep) -> Callable[..., Any]:
    def gradients(parameters: list[Array], x: Array, y: Array) -> Any:
        w1, w2, w3 = parameters
        x = x * keep(x, KEPT_INPUT)
        z1 = x @ w1
        m1 = keep(z1, KEPT_HIDDEN)
        h1 = np.maximum(z1, 0) * m1
        z2 = h1 @ w2
        m2 = keep(z2, KEPT_HIDDEN)
        h2 = np.maximum(z2, 0) * m2
        cost, dz = cross_entropy(h2 @ w3, y)
        d2 = (dz @ w3.T) * m2 * (z2 > 0)
        d1 = (d2 @ w2.T) * m1 * (z1 > 0)
        return cost, [x.T @ d1, h1.T @ d2, h2.T @ dz]

    return gradients


def modern_predict(problem: Problem) -> Step:
    w1, w2, w3 = problem.parameters

    def step(x: Array) -> Any:
        return (np.maximum(np.maximum(x @ w1, 0) @ w2, 0) @ w3).argmax(1)

    return Step(step, problem.arguments)


# ------------------------------------------------------------------------------------------------ functions


def call(f: Callable[..., Any]) -> Build:
    return lambda problem: Step(f, problem.arguments)


def add_one(x: Array) -> Any:
    return x + 1


def chain(a: Array, b: Array, c: Array) -> Array:
    """Two temporaries, used again and again: the best that plain NumPy does."""
    u = a * b
    u += c
    np.tanh(u, out=u)
    v = a * a
    np.negative(v, out=v)
    np.exp(v, out=v)
    u *= v
    np.abs(b, out=v)
    np.sqrt(v, out=v)
    u += v
    return u


def black_scholes(s: Array, k: Array, t: Array) -> list[Array]:
    from scipy.special import ndtr

    q = VOLATILITY * np.sqrt(t)
    d = (np.log(s / k) + (RATE + VOLATILITY**2 / 2) * t) / q
    discounted = k * np.exp(-RATE * t)
    price = s * ndtr(d) - discounted * ndtr(d - q)
    return [price, price - s + discounted]


def layer_norm(x: Array) -> Any:
    u = x - x.mean(1, keepdims=True)
    return u / np.sqrt((u * u).mean(1, keepdims=True) + EPSILON)


def over(axis: int) -> dict[str, Build]:
    return {
        "log_softmax": call(lambda x: log_softmax(x, axis)),
        "logsumexp": call(lambda x: logsumexp(x, axis)),
        "sum": call(lambda x: x.sum(axis)),
        "mean_var": call(lambda x: [x.mean(axis), x.var(axis)]),
    }


def builders(variant: str) -> Mapping[str, Build]:
    reductions = {
        f"{name}_{end}": build for end, axis in (("rows", 1), ("columns", 0)) for name, build in over(axis).items()
    }
    return {
        "linear_regression": line,
        "logistic_regression": train(logistic, descend),
        "net": train(sigmoid_net, descend),
        "modern_net": train(modern(noise()), rmsprop),
        "modern_net_quiet": train(modern(quiet), rmsprop),
        "modern_net_predict": modern_predict,
        "add_one_scalar": call(add_one),
        "add_one_10": call(add_one),
        "elementwise_chain": call(chain),
        "black_scholes": call(black_scholes),
        "log_softmax_gradient": call(lambda x, g: g - np.exp(log_softmax(x, 1)) * g.sum(1, keepdims=True)),
        "layer_norm": call(layer_norm),
        "argmax": call(lambda x: x.argmax(1)),
        "sum": call(lambda x: x.sum()),
        "matmul_1024": call(operator.matmul),
        "matmul_128x784x625": call(operator.matmul),
        **reductions,
    }

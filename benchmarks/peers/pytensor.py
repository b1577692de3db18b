"""PyTensor with its C or its numba backend. It has neither batched convolution nor pooling: no conv_net."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.gradient import hessian as hessian_of
from pytensor.tensor.random.utils import RandomStream

from benchmarks.peers import Build, Step
from benchmarks.workloads import (
    KEPT_HIDDEN,
    KEPT_INPUT,
    RATE,
    RATE_OF_DESCENT,
    RMSPROP,
    SLOPE_RATE,
    VOLATILITY,
    Problem,
)

F = np.float32
Compile = Callable[..., Any]


def compiler(mode: Any) -> Compile:
    """pytensor.function without copies of outputs and without checks of inputs."""

    def function(inputs: Sequence[Any], outputs: Any, updates: Any = None) -> Any:
        borrowed = (
            [pytensor.Out(o, borrow=True) for o in outputs]
            if isinstance(outputs, list)
            else pytensor.Out(outputs, borrow=True)
        )
        taken = [pytensor.In(i, borrow=True) for i in inputs]
        return pytensor.function(taken, borrowed, updates=updates, mode=mode, trust_input=True)

    return function


def tensor(rank: int) -> Any:
    return pt.tensor(dtype="float32", shape=(None,) * rank)


def arrays(problem: Problem) -> list[tuple[Any, ...]]:
    return [tuple(np.asarray(a) for a in call) for call in problem.arguments]


def descend(rate: float) -> Callable[..., Any]:
    return lambda parameters, gs: [(p, p - F(rate) * g) for p, g in zip(parameters, gs, strict=True)]


def rmsprop(parameters: Sequence[Any], gs: Sequence[Any]) -> list[tuple[Any, Any]]:
    lr, rho, epsilon = map(F, RMSPROP.values())
    updates = []
    for p, g in zip(parameters, gs, strict=True):
        mean = pytensor.shared(np.zeros_like(p.get_value()))
        new = rho * mean + (1 - rho) * g**2
        updates += [(mean, new), (p, p - lr * g / pt.sqrt(new + epsilon))]
    return updates


def train(function: Compile, cost: Callable[..., Any], update: Callable[..., Any], rank: int = 2) -> Build:
    """A step; ``cost`` also gets a stream of random numbers."""

    def build(problem: Problem) -> Step:
        parameters, stream = [pytensor.shared(p) for p in problem.parameters], RandomStream(0)
        x, y = tensor(rank), tensor(rank)
        c = cost(parameters, x, y, stream)
        updates = update(parameters, pt.grad(c, parameters))
        f = function([x, y], c, [*updates, *stream.updates()])
        return Step(f, arrays(problem), lambda: [p.get_value() for p in parameters])

    return build


def classify(model: Callable[..., Any], noisy: bool = False) -> Callable[..., Any]:
    def cost(parameters: Sequence[Any], x: Any, y: Any, stream: Any) -> Any:
        logits = model(parameters, x, stream if noisy else None)
        return -(y * pt.special.log_softmax(logits, axis=1)).sum(axis=1).mean()

    return cost


def dropout(x: Any, kept: float, stream: Any) -> Any:
    if stream is None:
        return x
    return x * stream.bernoulli(kept, size=x.shape).astype("float32") / F(kept)


def relu(x: Any) -> Any:
    return pt.maximum(x, F(0))


def logistic(parameters: Sequence[Any], x: Any, stream: Any) -> Any:
    return x @ parameters[0]


def sigmoid_net(parameters: Sequence[Any], x: Any, stream: Any) -> Any:
    return pt.sigmoid(x @ parameters[0]) @ parameters[1]


def modern(parameters: Sequence[Any], x: Any, stream: Any = None) -> Any:
    x = dropout(x, KEPT_INPUT, stream)
    x = dropout(relu(x @ parameters[0]), KEPT_HIDDEN, stream)
    x = dropout(relu(x @ parameters[1]), KEPT_HIDDEN, stream)
    return x @ parameters[2]


def predict(function: Compile, model: Callable[..., Any]) -> Build:
    def build(problem: Problem) -> Step:
        x = tensor(2)
        labels = model([pytensor.shared(p) for p in problem.parameters], x).argmax(axis=1)
        return Step(function([x], labels), problem.arguments)

    return build


def call(function: Compile, formula: Callable[..., Any]) -> Build:
    def build(problem: Problem) -> Step:
        inputs = [tensor(a.ndim) for a in problem.arguments[0]]
        return Step(function(inputs, formula(*inputs)), arrays(problem))

    return build


def chain(a: Any, b: Any, c: Any) -> Any:
    return pt.tanh(a * b + c) * pt.exp(-a * a) + pt.sqrt(pt.abs(b))


def normal_cdf(x: Any) -> Any:
    return F(0.5) * pt.erfc(x * F(-(0.5**0.5)))


def black_scholes(s: Any, k: Any, t: Any) -> list[Any]:
    q = F(VOLATILITY) * pt.sqrt(t)
    d = (pt.log(s / k) + F(RATE + VOLATILITY**2 / 2) * t) / q
    discounted = k * pt.exp(F(-RATE) * t)
    price = s * normal_cdf(d) - discounted * normal_cdf(d - q)
    return [price, price - s + discounted]


def over(axis: int) -> dict[str, Callable[..., Any]]:
    return {
        "log_softmax": lambda x: pt.special.log_softmax(x, axis=axis),
        "logsumexp": lambda x: pt.logsumexp(x, axis=axis),
        "sum": lambda x: x.sum(axis=axis),
        "mean_var": lambda x: [x.mean(axis=axis), x.var(axis=axis)],
    }


def hessian(function: Compile) -> Build:
    def build(problem: Problem) -> Step:
        w, parts, at = tensor(1), [], 0
        for p in problem.parameters:
            parts.append(w[at : at + p.size].reshape(p.shape))
            at += p.size
        (x, y), (a, b, c) = problem.arguments[0], parts
        cost = ((pt.tanh(pt.tanh(pt.constant(x) @ a) @ b) @ c - pt.constant(y)) ** 2).mean()
        flat = np.concatenate([p.ravel() for p in problem.parameters])
        return Step(function([w], hessian_of(cost, w)), [(flat,)])

    return build


def builders(variant: str) -> Mapping[str, Build]:
    pytensor.config.floatX = "float32"
    function = compiler({"c": pytensor.compile.mode.Mode("cvm", "fast_run"), "numba": "NUMBA"}[variant])
    descent = descend(RATE_OF_DESCENT)
    formulas = {
        "add_one_scalar": lambda x: x + F(1),
        "add_one_10": lambda x: x + F(1),
        "elementwise_chain": chain,
        "black_scholes": black_scholes,
        "sum": lambda x: x.sum(),
        "matmul_1024": lambda a, b: a @ b,
        "matmul_128x784x625": lambda a, b: a @ b,
        **{f"{name}_{end}": f for end, axis in (("rows", 1), ("columns", 0)) for name, f in over(axis).items()},
    }
    return {
        "linear_regression": train(
            function, lambda ps, x, y, stream: (x * ps[0] - y) ** 2, descend(SLOPE_RATE), rank=0
        ),
        "logistic_regression": train(function, classify(logistic), descent),
        "net": train(function, classify(sigmoid_net), descent),
        "modern_net": train(function, classify(modern, noisy=True), rmsprop),
        "modern_net_quiet": train(function, classify(modern), rmsprop),
        "modern_net_predict": predict(function, modern),
        "mlp_hessian": hessian(function),
        **{name: call(function, formula) for name, formula in formulas.items()},
    }

"""symgraph: the models are those of the tutorials, formulas as one would write them on paper."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import symgraph as sg
from benchmarks.peers import Build, Step
from benchmarks.workloads import EPSILON, IMAGE, RATE, RATE_OF_DESCENT, RMSPROP, SLOPE_RATE, VOLATILITY, Problem
from tutorials import conv_net, logistic_regression, modern_net, net

Updates = list[tuple[Any, Any]]


def tensor(rank: int) -> sg.Variable:
    return sg.tensor(dtype="float32", shape=(None,) * rank)


def descend(rate: float) -> Callable[..., Updates]:
    return lambda cost, parameters: net.sgd(cost, parameters, rate)


def rmsprop(cost: sg.Variable, parameters: Sequence[sg.SharedVariable]) -> Updates:
    return modern_net.RMSprop(cost, parameters, **RMSPROP)


def train(cost: Callable[..., Any], update: Callable[..., Updates], rank: int = 2, precision: str = "highest") -> Build:
    """A step of training; ``cost`` is a function of inputs, targets and parameters."""

    def build(problem: Problem) -> Step:
        parameters = [sg.shared(p) for p in problem.parameters]
        x, y = tensor(rank), tensor(rank)
        c = cost(x, y, *parameters)
        arguments = [tuple(np.asarray(a) for a in call) for call in problem.arguments]
        f = sg.function([x, y], c, updates=update(c, parameters), precision=precision)
        return Step(f, arguments, lambda: [p.get_value() for p in parameters])

    return build


def classify(model: Callable[..., Any], noisy: bool = False) -> Callable[..., Any]:
    """The cost of a model that gives probabilities."""

    def cost(x: Any, y: Any, *parameters: Any) -> Any:
        options = {"random": sg.random.RandomStream(0)} if noisy else {}
        return -(y * sg.log(model(x, *parameters, **options))).sum(axis=1).mean()

    return cost


def convolve(x: Any, *parameters: Any, random: Any = None) -> Any:
    return conv_net.model(x.reshape((-1, 1, IMAGE, IMAGE)), *parameters, random=random)


def predict(model: Callable[..., Any]) -> Build:
    def build(problem: Problem) -> Step:
        x = tensor(2)
        labels = model(x, *[sg.shared(p) for p in problem.parameters]).argmax(axis=1)
        return Step(sg.function([x], labels), problem.arguments)

    return build


def call(formula: Callable[..., Any]) -> Build:
    """A function of its arguments alone."""

    def build(problem: Problem) -> Step:
        inputs = [tensor(a.ndim) for a in problem.arguments[0]]
        return Step(sg.function(inputs, formula(*inputs)), problem.arguments)

    return build


def chain(a: Any, b: Any, c: Any) -> Any:
    return sg.tanh(a * b + c) * sg.exp(-a * a) + sg.sqrt(abs(b))


def normal_cdf(x: Any) -> Any:
    return 0.5 * sg.erfc(x * -(0.5**0.5))


def black_scholes(s: Any, k: Any, t: Any) -> list[Any]:
    q = VOLATILITY * sg.sqrt(t)
    d = (sg.log(s / k) + (RATE + VOLATILITY**2 / 2) * t) / q
    discounted = k * sg.exp(-RATE * t)
    price = s * normal_cdf(d) - discounted * normal_cdf(d - q)
    return [price, price - s + discounted]


def over(axis: int) -> dict[str, Build]:
    """Reductions along one axis, by the end of their names."""
    return {
        "log_softmax": call(lambda x: sg.log(sg.nn.softmax(x, axis=axis))),
        "logsumexp": call(lambda x: sg.log(sg.exp(x).sum(axis=axis))),
        "sum": call(lambda x: x.sum(axis=axis)),
        "mean_var": call(lambda x: [x.mean(axis=axis), x.var(axis=axis)]),
    }


def hessian(problem: Problem) -> Step:
    w, parts, at = tensor(1), [], 0
    for p in problem.parameters:
        parts.append(w[at : at + p.size].reshape(p.shape))
        at += p.size
    (x, y), (a, b, c) = problem.arguments[0], parts
    cost = ((sg.tanh(sg.tanh(sg.constant(x) @ a) @ b) @ c - sg.constant(y)) ** 2).mean()
    flat = np.concatenate([p.ravel() for p in problem.parameters])
    return Step(sg.function([w], sg.hessian(cost, w)), [(flat,)])


def builders(variant: str) -> Mapping[str, Build]:
    line = train(lambda x, y, w: sg.sqr(x * w - y), descend(SLOPE_RATE), rank=0)
    one, product = call(lambda x: x + 1), call(lambda a, b: a @ b)
    reductions = {
        f"{name}_{end}": build for end, axis in (("rows", 1), ("columns", 0)) for name, build in over(axis).items()
    }
    return {
        "linear_regression": line,
        "logistic_regression": train(classify(logistic_regression.model), descend(RATE_OF_DESCENT)),
        "net": train(classify(net.model), descend(RATE_OF_DESCENT)),
        "modern_net": train(classify(modern_net.model, noisy=True), rmsprop),
        "modern_net_quiet": train(classify(modern_net.model), rmsprop, precision=variant or "highest"),
        "conv_net": train(classify(convolve, noisy=True), rmsprop),
        "conv_net_quiet": train(classify(convolve), rmsprop),
        "modern_net_predict": predict(modern_net.model),
        "conv_net_predict": predict(convolve),
        "add_one_scalar": one,
        "add_one_10": one,
        "elementwise_chain": call(chain),
        "black_scholes": call(black_scholes),
        "log_softmax_gradient": call(lambda x, g: sg.grad((sg.log(sg.nn.softmax(x, axis=1)) * g).sum(), x)),
        "layer_norm": call(lambda x: sg.nn.layer_norm(x, eps=EPSILON)),
        "argmax": call(lambda x: x.argmax(axis=1)),
        "sum": call(lambda x: x.sum()),
        "matmul_1024": product,
        "matmul_128x784x625": product,
        "mlp_hessian": hessian,
        **reductions,
    }

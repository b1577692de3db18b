"""PyTorch: eager, or torch.compile in its default mode. Images and filters are channels-last, the faster layout."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as N

from benchmarks.peers import Build, Step
from benchmarks.workloads import (
    EPSILON,
    IMAGE,
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

Tensor = torch.Tensor
Faster = Callable[[Any], Any]
"""torch.compile, or nothing."""


def tensor(a: Array) -> Tensor:
    t = torch.tensor(a)
    return t.contiguous(memory_format=torch.channels_last) if t.ndim == 4 else t


def tensors(problem: Problem) -> list[tuple[Tensor, ...]]:
    return [tuple(tensor(a) for a in call) for call in problem.arguments]


# ------------------------------------------------------------------------------------------------ training


def descend(rate: float) -> Callable[..., Any]:
    return lambda parameters: lambda gs: torch._foreach_add_(parameters, gs, alpha=-rate)


def rmsprop(parameters: list[Tensor]) -> Callable[[Any], None]:
    lr, rho, epsilon = RMSPROP.values()
    means = [torch.zeros_like(p) for p in parameters]

    def change(gs: Sequence[Tensor]) -> None:
        torch._foreach_mul_(means, rho)
        torch._foreach_addcmul_(means, gs, gs, 1 - rho)
        scale = torch._foreach_add(means, epsilon)
        torch._foreach_sqrt_(scale)
        torch._foreach_addcdiv_(parameters, gs, scale, -lr)

    return change


def eager_step(cost: Callable[..., Tensor], parameters: list[Tensor], change: Callable[..., Any]) -> Any:
    for p in parameters:
        p.requires_grad_()

    def step(x: Tensor, y: Tensor) -> Tensor:
        c = cost(parameters, x, y)
        gs = torch.autograd.grad(c, parameters)
        with torch.no_grad():
            change(gs)
        return c.detach()

    return step


def functional_step(cost: Callable[..., Tensor], parameters: list[Tensor], change: Callable[..., Any]) -> Any:
    def step(x: Tensor, y: Tensor) -> Tensor:
        gs, c = torch.func.grad_and_value(cost)(parameters, x, y)
        change(gs)
        return c

    return step


def train(cost: Callable[..., Tensor], update: Callable[..., Any], compiled: bool) -> Build:
    def build(problem: Problem) -> Step:
        parameters = [tensor(p) for p in problem.parameters]
        change = update(parameters)
        step = functional_step(cost, parameters, change) if compiled else eager_step(cost, parameters, change)
        return Step(
            torch.compile(step) if compiled else step,
            tensors(problem),
            lambda: [p.detach().cpu().numpy().copy() for p in parameters],
        )

    return build


def classify(model: Callable[..., Tensor], **options: bool) -> Callable[..., Tensor]:
    return lambda parameters, x, y: N.cross_entropy(model(parameters, x, **options), y)


def dropout(x: Tensor, kept: float, noisy: bool) -> Tensor:
    return N.dropout(x, 1 - kept, noisy)


def modern(parameters: list[Tensor], x: Tensor, noisy: bool) -> Tensor:
    x = dropout(x, KEPT_INPUT, noisy)
    x = dropout(N.relu(x @ parameters[0]), KEPT_HIDDEN, noisy)
    x = dropout(N.relu(x @ parameters[1]), KEPT_HIDDEN, noisy)
    return x @ parameters[2]


def convolve(parameters: list[Tensor], x: Tensor, noisy: bool) -> Tensor:
    x = x.view(-1, 1, IMAGE, IMAGE)
    for w, pad in zip(parameters[:3], (2, 0, 0), strict=True):
        x = N.conv2d(x, w, padding=pad)
        x = x.contiguous(memory_format=torch.channels_last)  # images of one channel lose it, and pooling needs it
        x = dropout(N.max_pool2d(N.relu(x), 2, ceil_mode=True), KEPT_INPUT, noisy)
    x = dropout(N.relu(x.flatten(1) @ parameters[3]), KEPT_HIDDEN, noisy)
    return x @ parameters[4]


def predict(model: Callable[..., Tensor], faster: Faster) -> Build:
    def build(problem: Problem) -> Step:
        torch.set_grad_enabled(False)
        parameters = [tensor(p) for p in problem.parameters]
        return Step(faster(lambda x: model(parameters, x, noisy=False).argmax(1)), tensors(problem))

    return build


# ------------------------------------------------------------------------------------------------ functions


def call(f: Callable[..., Any], faster: Faster) -> Build:
    def build(problem: Problem) -> Step:
        torch.set_grad_enabled(False)  # in this process nothing else is computed
        return Step(faster(f), tensors(problem))

    return build


def chain(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return torch.tanh(a * b + c) * torch.exp(-a * a) + torch.sqrt(torch.abs(b))


def black_scholes(s: Tensor, k: Tensor, t: Tensor) -> list[Tensor]:
    q = VOLATILITY * torch.sqrt(t)
    d = (torch.log(s / k) + (RATE + VOLATILITY**2 / 2) * t) / q
    discounted = k * torch.exp(-RATE * t)
    price = s * torch.special.ndtr(d) - discounted * torch.special.ndtr(d - q)
    return [price, price - s + discounted]


def mean_var(axis: int) -> Callable[[Tensor], list[Tensor]]:
    def f(x: Tensor) -> list[Tensor]:
        var, mean = torch.var_mean(x, axis, correction=0)
        return [mean, var]

    return f


def over(axis: int, faster: Faster) -> dict[str, Build]:
    return {
        "log_softmax": call(lambda x: torch.log_softmax(x, axis), faster),
        "logsumexp": call(lambda x: torch.logsumexp(x, axis), faster),
        "sum": call(lambda x: torch.sum(x, axis), faster),
        "mean_var": call(mean_var(axis), faster),
    }


def hessian(faster: Faster) -> Build:
    def build(problem: Problem) -> Step:
        (x, y), parameters = tensors(problem)[0], [torch.tensor(p) for p in problem.parameters]
        cuts, shapes = [p.numel() for p in parameters], [p.shape for p in parameters]

        def cost(w: Tensor) -> Tensor:
            a, b, c = (v.view(s) for v, s in zip(w.split(cuts), shapes, strict=True))
            return (torch.tanh(torch.tanh(x @ a) @ b) @ c - y).square().mean()

        return Step(faster(torch.func.hessian(cost)), [(torch.cat([p.flatten() for p in parameters]),)])

    return build


def functions(faster: Faster) -> dict[str, Build]:
    reductions = {
        f"{name}_{end}": build
        for end, axis in (("rows", 1), ("columns", 0))
        for name, build in over(axis, faster).items()
    }
    one, product = call(lambda x: x + 1, faster), call(torch.matmul, faster)
    return {
        "modern_net_predict": predict(modern, faster),
        "conv_net_predict": predict(convolve, faster),
        "add_one_scalar": one,
        "add_one_10": one,
        "elementwise_chain": call(chain, faster),
        "black_scholes": call(black_scholes, faster),
        "log_softmax_gradient": call(torch.func.grad(lambda x, g: (torch.log_softmax(x, 1) * g).sum()), faster),
        "layer_norm": call(lambda x: N.layer_norm(x, x.shape[1:], eps=EPSILON), faster),
        "argmax": call(lambda x: x.argmax(1), faster),
        "sum": call(torch.sum, faster),
        "matmul_1024": product,
        "matmul_128x784x625": product,
        "mlp_hessian": hessian(faster),
        **reductions,
    }


def builders(variant: str) -> Mapping[str, Build]:
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    compiled = variant != "eager"
    descent = descend(RATE_OF_DESCENT)
    steps = {
        "linear_regression": (lambda ps, x, y: (x * ps[0] - y).square(), descend(SLOPE_RATE)),
        "logistic_regression": (classify(lambda ps, x: x @ ps[0]), descent),
        "net": (classify(lambda ps, x: torch.sigmoid(x @ ps[0]) @ ps[1]), descent),
        "modern_net": (classify(modern, noisy=True), rmsprop),
        "modern_net_quiet": (classify(modern, noisy=False), rmsprop),
        "conv_net": (classify(convolve, noisy=True), rmsprop),
        "conv_net_quiet": (classify(convolve, noisy=False), rmsprop),
    }
    trained = {name: train(cost, update, compiled) for name, (cost, update) in steps.items()}
    return {**trained, **functions(torch.compile if compiled else lambda f: f)}

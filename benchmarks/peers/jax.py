"""JAX: everything under jax.jit, parameters donated where they are updated, images with channels last."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree

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

Arrays = Sequence[Any]


# ------------------------------------------------------------------------------------------------ layouts


def unchanged(parameters: Arrays) -> list[Any]:
    return list(parameters)


def channels_last(parameters: Arrays) -> list[Array]:
    """conv_net's parameters for images with channels last: filters as (rows, columns, channels, filters)."""
    *filters, dense, out = parameters
    flat = dense.reshape(-1, 3, 3, dense.shape[1]).transpose(1, 2, 0, 3).reshape(dense.shape)
    return [*(w.transpose(2, 3, 1, 0) for w in filters), flat, out]


def channels_first(parameters: Arrays) -> list[Array]:
    """The way back."""
    *filters, dense, out = parameters
    flat = dense.reshape(3, 3, -1, dense.shape[1]).transpose(2, 0, 1, 3).reshape(dense.shape)
    return [*(w.transpose(3, 2, 0, 1) for w in filters), flat, out]


# ------------------------------------------------------------------------------------------------ training


def descend(rate: float) -> Callable[..., Any]:
    def update(parameters: Arrays, gs: Arrays, means: Arrays) -> tuple[Arrays, Arrays]:
        return [p - rate * g for p, g in zip(parameters, gs, strict=True)], means

    return update


def rmsprop(parameters: Arrays, gs: Arrays, means: Arrays) -> tuple[Arrays, Arrays]:
    lr, rho, epsilon = RMSPROP.values()
    means = [rho * m + (1 - rho) * g * g for m, g in zip(means, gs, strict=True)]
    changed = [p - lr * g / jnp.sqrt(m + epsilon) for p, g, m in zip(parameters, gs, means, strict=True)]
    return changed, means


def train(
    cost: Callable[..., Any],
    update: Callable[..., Any],
    noisy: bool = False,
    inward: Callable[[Arrays], list[Any]] = unchanged,
    outward: Callable[[Arrays], list[Any]] = unchanged,
) -> Build:
    """A step that owns its parameters; ``inward`` and ``outward`` change their layout."""

    def build(problem: Problem) -> Step:
        @partial(jax.jit, donate_argnums=0)
        def changed(state: Any, x: Any, y: Any) -> Any:
            parameters, means, key = state
            if noisy:
                key, use = jax.random.split(key)
            c, gs = jax.value_and_grad(cost)(parameters, x, y, *([use] if noisy else []))
            return (*update(parameters, gs, means), key), c

        parameters = [jnp.array(p) for p in inward(problem.parameters)]
        means = [jnp.zeros_like(p) for p in parameters] if update is rmsprop else []
        state = parameters, means, jax.random.key(0) if noisy else ()

        def step(x: Any, y: Any) -> Any:
            nonlocal state
            state, c = changed(state, x, y)
            return c.block_until_ready()

        # copied: on the CPU an array may lie in storage that the next call is given
        return Step(step, jax.device_put(problem.arguments), lambda: outward([np.array(p) for p in state[0]]))

    return build


def classify(model: Callable[..., Any]) -> Callable[..., Any]:
    def cost(parameters: Arrays, x: Any, y: Any, *key: Any) -> Any:
        return -(y * jax.nn.log_softmax(model(parameters, x, *key))).sum(1).mean()

    return cost


def dropout(x: Any, kept: float, key: Any) -> Any:
    return x if key is None else jnp.where(jax.random.bernoulli(key, kept, x.shape), x / kept, 0)


def keys(key: Any, n: int) -> Any:
    return [None] * n if key is None else jax.random.split(key, n)


def modern(parameters: Arrays, x: Any, key: Any = None) -> Any:
    k = keys(key, 3)
    x = dropout(x, KEPT_INPUT, k[0])
    x = dropout(jax.nn.relu(x @ parameters[0]), KEPT_HIDDEN, k[1])
    x = dropout(jax.nn.relu(x @ parameters[1]), KEPT_HIDDEN, k[2])
    return x @ parameters[2]


def convolve(parameters: Arrays, x: Any, key: Any = None) -> Any:
    k = keys(key, 4)
    x = x.reshape(-1, IMAGE, IMAGE, 1)
    for i, pad in enumerate((2, 0, 0)):
        x = lax.conv_general_dilated(
            x, parameters[i], (1, 1), [(pad, pad)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        odd = x.shape[1] % 2
        around = ((0, 0), (0, odd), (0, odd), (0, 0))
        x = lax.reduce_window(jax.nn.relu(x), -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), around)
        x = dropout(x, KEPT_INPUT, k[i])
    x = dropout(jax.nn.relu(x.reshape(len(x), -1) @ parameters[3]), KEPT_HIDDEN, k[3])
    return x @ parameters[4]


def predict(model: Callable[..., Any], inward: Callable[[Arrays], list[Any]] = unchanged) -> Build:
    def build(problem: Problem) -> Step:
        parameters = jax.device_put(inward(problem.parameters))
        f = jax.jit(lambda parameters, x: model(parameters, x).argmax(1))
        return Step(lambda x: f(parameters, x).block_until_ready(), jax.device_put(problem.arguments))

    return build


# ------------------------------------------------------------------------------------------------ functions


def call(f: Callable[..., Any]) -> Build:
    def build(problem: Problem) -> Step:
        g = jax.jit(f)
        return Step(lambda *arguments: jax.block_until_ready(g(*arguments)), jax.device_put(problem.arguments))

    return build


def chain(a: Any, b: Any, c: Any) -> Any:
    return jnp.tanh(a * b + c) * jnp.exp(-a * a) + jnp.sqrt(jnp.abs(b))


def black_scholes(s: Any, k: Any, t: Any) -> list[Any]:
    ndtr = jax.scipy.special.ndtr
    q = VOLATILITY * jnp.sqrt(t)
    d = (jnp.log(s / k) + (RATE + VOLATILITY**2 / 2) * t) / q
    discounted = k * jnp.exp(-RATE * t)
    price = s * ndtr(d) - discounted * ndtr(d - q)
    return [price, price - s + discounted]


def over(axis: int) -> dict[str, Build]:
    return {
        "log_softmax": call(lambda x: jax.nn.log_softmax(x, axis)),
        "logsumexp": call(lambda x: jax.scipy.special.logsumexp(x, axis)),
        "sum": call(lambda x: x.sum(axis)),
        "mean_var": call(lambda x: [x.mean(axis), x.var(axis)]),
    }


def hessian(problem: Problem) -> Step:
    (x, y), parameters = jax.device_put(problem.arguments)[0], jax.device_put(problem.parameters)
    flat, shaped = ravel_pytree(parameters)

    def cost(w: Any) -> Any:
        a, b, c = shaped(w)
        return ((jnp.tanh(jnp.tanh(x @ a) @ b) @ c - y) ** 2).mean()

    f = jax.jit(jax.hessian(cost))
    return Step(lambda w: f(w).block_until_ready(), [(flat,)])


def builders(variant: str) -> Mapping[str, Build]:
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    one, product, descent = call(lambda x: x + 1), call(jnp.matmul), descend(RATE_OF_DESCENT)
    images = {"inward": channels_last, "outward": channels_first}
    reductions = {
        f"{name}_{end}": build for end, axis in (("rows", 1), ("columns", 0)) for name, build in over(axis).items()
    }
    return {
        "linear_regression": train(lambda ps, x, y: (x * ps[0] - y) ** 2, descend(SLOPE_RATE)),
        "logistic_regression": train(classify(lambda ps, x: x @ ps[0]), descent),
        "net": train(classify(lambda ps, x: jax.nn.sigmoid(x @ ps[0]) @ ps[1]), descent),
        "modern_net": train(classify(modern), rmsprop, noisy=True),
        "modern_net_quiet": train(classify(modern), rmsprop),
        "conv_net": train(classify(convolve), rmsprop, noisy=True, **images),
        "conv_net_quiet": train(classify(convolve), rmsprop, **images),
        "modern_net_predict": predict(modern),
        "conv_net_predict": predict(convolve, channels_last),
        "add_one_scalar": one,
        "add_one_10": one,
        "elementwise_chain": call(chain),
        "black_scholes": call(black_scholes),
        "log_softmax_gradient": call(jax.grad(lambda x, g: (jax.nn.log_softmax(x, 1) * g).sum())),
        "layer_norm": call(lambda x: (x - x.mean(1, keepdims=True)) * lax.rsqrt(x.var(1, keepdims=True) + EPSILON)),
        "argmax": call(lambda x: x.argmax(1)),
        "sum": call(jnp.sum),
        "matmul_1024": product,
        "matmul_128x784x625": product,
        "mlp_hessian": hessian,
        **reductions,
    }

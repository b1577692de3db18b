"""What all must agree with: NumPy in float64, with the workloads that nobody writes in NumPy for speed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from benchmarks.peers import Build, Step
from benchmarks.peers import numpy as plain
from benchmarks.workloads import IMAGE, Array, Problem

_STEP = np.finfo(np.float64).eps ** (1 / 3)  # of central differences: truncation and rounding are then alike


def patches(x: Array) -> Array:
    """The 3x3 neighbourhoods: (batch, channels, rows, columns) to (batch, rows - 2, columns - 2, channels, 3, 3)."""
    return sliding_window_view(x, (3, 3), axis=(2, 3)).transpose(0, 2, 3, 1, 4, 5)


def pad(x: Array, before: int, after: int, value: float = 0.0) -> Array:
    return np.pad(x, [(0, 0), (0, 0), (before, after), (before, after)], constant_values=value)


def convolve(x: Array, w: Array) -> Array:
    """y[n, f, i, j] = sum of x[n, c, i + r, j + s] * w[f, c, r, s]."""
    return np.tensordot(patches(x), w, ((3, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)


def by_weights(g: Array, x: Array) -> Array:
    return np.tensordot(g, patches(x), ((0, 2, 3), (0, 1, 2)))


def by_input(g: Array, w: Array) -> Array:
    return convolve(pad(g, 2, 2), w[:, :, ::-1, ::-1].swapaxes(0, 1))


def in_windows(x: Array) -> Array:
    """2x2 windows as a last axis of four; a row and column of minus infinity where the size is odd."""
    x = pad(x, 0, x.shape[2] % 2, -np.inf)
    n, c, rows, columns = x.shape
    split = x.reshape(n, c, rows // 2, 2, columns // 2, 2).transpose(0, 1, 2, 4, 3, 5)
    return split.reshape(n, c, rows // 2, columns // 2, 4)


def pool(x: Array) -> tuple[Array, Array]:
    """The largest of each window, and which it was."""
    windows = in_windows(x)
    which = windows.argmax(-1)[..., None]
    return np.take_along_axis(windows, which, -1)[..., 0], which


def by_pooled(g: Array, which: Array, size: int) -> Array:
    """The gradient goes to the largest."""
    windows = np.zeros((*g.shape, 4))
    np.put_along_axis(windows, which, g[..., None], -1)
    n, c, rows, columns, _ = windows.shape
    joined = windows.reshape(n, c, rows, columns, 2, 2).transpose(0, 1, 2, 4, 3, 5)
    return joined.reshape(n, c, 2 * rows, 2 * columns)[:, :, :size, :size]


def forward(parameters: list[Array], x: Array) -> tuple[list[Any], Array, Array, Array]:
    """What each layer of filters saw and chose, the flat maps, the hidden units before the rectifier, the logits."""
    maps, layers = pad(x.reshape(-1, 1, IMAGE, IMAGE), 2, 2), []
    for w in parameters[:3]:
        z = convolve(maps, w)
        pooled, which = pool(np.maximum(z, 0))
        layers.append((maps, z, which))
        maps = pooled
    flat = maps.reshape(len(x), -1)
    hidden = flat @ parameters[3]
    return layers, flat, hidden, np.maximum(hidden, 0) @ parameters[4]


def conv_gradients(parameters: list[Array], x: Array, y: Array) -> Any:
    layers, flat, hidden, logits = forward(parameters, x)
    cost, dz = plain.cross_entropy(logits, y)
    d_hidden = (dz @ parameters[4].T) * (hidden > 0)
    gs = [flat.T @ d_hidden, np.maximum(hidden, 0).T @ dz]
    g = (d_hidden @ parameters[3].T).reshape(len(x), -1, 3, 3)
    for w, (maps, z, which) in reversed(list(zip(parameters[:3], layers, strict=True))):
        g = by_pooled(g, which, z.shape[2]) * (z > 0)
        gs.insert(0, by_weights(g, maps))
        g = by_input(g, w)
    return cost, gs


def conv_predict(problem: Problem) -> Step:
    return Step(lambda x: forward(problem.parameters, x)[3].argmax(1), problem.arguments)


def small_net_gradient(x: Array, y: Array, parameters: list[Array]) -> Array:
    """The gradient, flat, of the mean squared error of a net with two layers of tanh."""
    a, b, c = parameters
    h1 = np.tanh(x @ a)
    h2 = np.tanh(h1 @ b)
    e = 2 * (h2 @ c - y) / y.size
    d2 = (e @ c.T) * (1 - h2**2)
    d1 = (d2 @ b.T) * (1 - h1**2)
    return np.concatenate([g.ravel() for g in (x.T @ d1, h1.T @ d2, h2.T @ e)])


def hessian(problem: Problem) -> Step:
    """Central differences of the gradient."""
    flat = np.concatenate([p.ravel() for p in problem.parameters])
    cuts = np.cumsum([p.size for p in problem.parameters])[:-1]

    def gradient(x: Array, y: Array, w: Array) -> Array:
        parts = [v.reshape(p.shape) for v, p in zip(np.split(w, cuts), problem.parameters, strict=True)]
        return small_net_gradient(x, y, parts)

    def step(x: Array, y: Array) -> Array:
        moved = _STEP * np.eye(flat.size)
        rows = [gradient(x, y, flat + h) - gradient(x, y, flat - h) for h in moved]
        return np.stack(rows) / (2 * _STEP)

    return Step(step, problem.arguments)


def builders(variant: str) -> Mapping[str, Build]:
    train: Callable[..., Build] = plain.train
    return {
        **plain.builders(variant),
        "conv_net_quiet": train(conv_gradients, plain.rmsprop),
        "conv_net_predict": conv_predict,
        "mlp_hessian": hessian,
    }

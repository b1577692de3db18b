"""What is computed: the data of each workload, drawn from a seed, and its least work.

Only NumPy is needed here: the processes of all peers read this module.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Sizes = Mapping[str, Any]

RATE, VOLATILITY = 0.02, 0.3  # of black_scholes
SLOPE_RATE, RATE_OF_DESCENT = 0.01, 0.05  # learning rates of linear_regression, and of logistic_regression and net
RMSPROP = {"lr": 0.001, "rho": 0.9, "epsilon": 1e-6}  # of modern_net and conv_net
KEPT_INPUT, KEPT_HIDDEN = 0.8, 0.5  # what dropout leaves
EPSILON = 1e-5  # of layer_norm
IMAGE = 28  # rows and columns
POSITIONS = (30 * 30, 13 * 13, 5 * 5)  # at which conv_net's three layers of filters look


@dataclass(frozen=True)
class Problem:
    """The arrays of a workload.

    Attributes
    ----------
    arguments : sequence of tuples of arrays
        Those of each call, taken in turn.
    parameters : list of arrays
        What is trained, or stays the same from call to call.
    """

    arguments: Sequence[tuple[Array, ...]]
    parameters: list[Array] = field(default_factory=list)

    def astype(self, dtype: str) -> Problem:
        """The same numbers in another precision."""
        arguments = [tuple(np.asarray(a, dtype) for a in call) for call in self.arguments]
        return Problem(arguments, [np.asarray(p, dtype) for p in self.parameters])


@dataclass(frozen=True)
class Workload:
    """A computation that every peer is asked for.

    Attributes
    ----------
    problem : function of the sizes
        Makes the arrays, in float32.
    full, tiny : mapping
        The sizes that are measured, and those of a quick run.
    flops, traffic : function of the sizes, optional
        The floating operations of its products, and the bytes that must come from memory or go there. Left out where
        the time lies elsewhere.
    quiet : str
        The name of the same workload without random numbers, which is compared in its place.
    """

    problem: Callable[..., Problem]
    full: Sizes
    tiny: Sizes
    flops: Callable[..., int] | None = None
    traffic: Callable[..., int] | None = None
    quiet: str = ""


# ------------------------------------------------------------------------------------------------ arrays


def normal(shape: Sequence[int], seed: int = 0, mean: float = 0.0, scale: float = 1.0) -> Array:
    """Normally distributed float32."""
    draws = np.random.default_rng(seed).standard_normal(shape, np.float32)
    return np.asarray(draws * np.float32(scale) + np.float32(mean), np.float32)


def uniform(shape: Sequence[int], low: float, high: float, seed: int = 0) -> Array:
    """Uniformly distributed float32."""
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def weights(*shapes: Sequence[int]) -> list[Array]:
    """First weights of He et al. (2015): signals and gradients stay near one, so that errors in them show."""
    return [normal(s, seed, scale=(2 / fan_in(s)) ** 0.5) for seed, s in enumerate(shapes)]


def fan_in(shape: Sequence[int]) -> int:
    """How many inputs each output sums: (inputs, outputs) of a matrix, (filters, channels, rows, columns)."""
    return int(np.prod(shape[1:]) if len(shape) == 4 else shape[0])


def dense(widths: Sequence[int]) -> list[tuple[int, int]]:
    """The shapes of the weights between layers."""
    return list(itertools.pairwise(widths))


def convolutional(channels: Sequence[int], hidden: int, labels: int) -> list[tuple[int, ...]]:
    """The shapes of conv_net's weights: 3x3 filters, then 3x3 positions of the last channels to hidden units."""
    filters = [(b, a, 3, 3) for a, b in dense(channels)]
    return [*filters, (channels[-1] * 9, hidden), (hidden, labels)]


# ------------------------------------------------------------------------------------------------ problems


def points(n: int) -> Problem:
    """A noisy line, one point a call."""
    x = np.linspace(-1, 1, n).astype(np.float32)
    y = 2 * x + normal([n], scale=0.33)
    return Problem(list(zip(x, y, strict=True)), [np.zeros((), np.float32)])


def labelled(widths: Sequence[int], batch: int, batches: int) -> Problem:
    """Batches of images and one-hot labels, and dense weights."""
    return Problem([examples(widths[0], widths[-1], batch, seed) for seed in range(batches)], weights(*dense(widths)))


def labelled_images(channels: Sequence[int], hidden: int, labels: int, batch: int, batches: int) -> Problem:
    """Batches of images and one-hot labels, and conv_net's weights."""
    calls = [examples(IMAGE**2, labels, batch, seed) for seed in range(batches)]
    return Problem(calls, weights(*convolutional(channels, hidden, labels)))


def examples(width: int, labels: int, batch: int, seed: int) -> tuple[Array, Array]:
    """Random images, and random labels for them."""
    one_hot = np.eye(labels, dtype=np.float32)[np.random.default_rng(seed).integers(labels, size=batch)]
    return uniform([batch, width], 0, 1, seed), one_hot


def unlabelled(problem: Callable[..., Problem]) -> Callable[..., Problem]:
    """The same problem, to predict."""

    def predicted(**sizes: Any) -> Problem:
        whole = problem(**sizes, batches=1)
        return Problem([whole.arguments[0][:1]], whole.parameters)

    return predicted


def arrays(*shape: int, count: int = 1, mean: float = 0.0) -> Problem:
    """One call on ``count`` arrays of a shape."""
    return Problem([tuple(normal(shape, seed, mean) for seed in range(count))])


def options(n: int) -> Problem:
    """Prices, strikes and times to maturity."""
    ranges = [(10, 50), (10, 50), (0.2, 2)]
    return Problem([tuple(uniform([n], *r, seed) for seed, r in enumerate(ranges))])


def matrices(m: int, k: int, n: int) -> Problem:
    """Two matrices to multiply."""
    return Problem([(normal([m, k]), normal([k, n], seed=1))])


def regression(widths: Sequence[int], batch: int) -> Problem:
    """Inputs, targets, and the weights of a small net."""
    x, y = normal([batch, widths[0]]), normal([batch, widths[-1]], seed=1)
    return Problem([(x, y)], [w / 2 for w in weights(*dense(widths))])


# ------------------------------------------------------------------------------------------------ least work


def training(products: Sequence[int], batch: int) -> int:
    """Flops of a step: forward, by the weights, and by the input, which the first layer does not need."""
    return 2 * batch * (2 * sum(products) + sum(products[1:]))


def dense_products(widths: Sequence[int]) -> list[int]:
    """Multiply-adds of each layer for one image."""
    return [a * b for a, b in dense(widths)]


def convolutional_products(channels: Sequence[int], hidden: int, labels: int) -> list[int]:
    """Multiply-adds of each of conv_net's layers for one image, by direct convolution."""
    filters = [9 * a * b * n for (a, b), n in zip(dense(channels), POSITIONS, strict=True)]
    return [*filters, channels[-1] * 9 * hidden, hidden * labels]


def _dense_step(widths: Sequence[int], batch: int, batches: int) -> int:
    return training(dense_products(widths), batch)


def _dense_forward(widths: Sequence[int], batch: int) -> int:
    return 2 * batch * sum(dense_products(widths))


def _convolutional_step(batch: int, batches: int, **layers: Any) -> int:
    return training(convolutional_products(**layers), batch)


def _convolutional_forward(batch: int, **layers: Any) -> int:
    return 2 * batch * sum(convolutional_products(**layers))


# ------------------------------------------------------------------------------------------------ the workloads

_LAYERS = {"channels": (1, 32, 64, 128), "hidden": 625, "labels": 10}
_TINY_LAYERS = {"channels": (1, 2, 3, 4), "hidden": 5, "labels": 3}
_BATCH, _TINY_BATCH = {"batch": 128, "batches": 50}, {"batch": 3, "batches": 2}
_ROWS, _TINY_MATRIX = {"m": 4096, "n": 1000}, {"m": 5, "n": 7}
_SQUARE = {"m": 4096, "n": 4096}


def _trained(widths: Sequence[int], tiny: Sequence[int], quiet: str = "") -> Workload:
    full = {"widths": widths, **_BATCH}
    return Workload(labelled, full, {"widths": tiny, **_TINY_BATCH}, _dense_step, quiet=quiet)


def _convolved(quiet: str = "") -> Workload:
    full, tiny = {**_LAYERS, **_BATCH}, {**_TINY_LAYERS, **_TINY_BATCH}
    return Workload(labelled_images, full, tiny, _convolutional_step, quiet=quiet)


def _of_matrix(sizes: Sizes, passes: int = 1) -> Workload:
    """A reduction of a matrix; a mean of one, so that no sum of all is a small difference of large numbers."""
    return Workload(lambda m, n: arrays(m, n, mean=1.0), sizes, _TINY_MATRIX, traffic=lambda m, n: 4 * passes * m * n)


def _product(m: int, k: int, n: int) -> Workload:
    sizes = {"m": m, "k": k, "n": n}
    return Workload(matrices, sizes, {"m": 4, "k": 5, "n": 6}, lambda m, k, n: 2 * m * k * n)


_MODERN, _TINY_MODERN = (784, 625, 625, 10), (6, 5, 4, 3)

WORKLOADS = {
    "linear_regression": Workload(points, {"n": 101}, {"n": 5}),
    "logistic_regression": _trained((784, 10), (6, 3)),
    "net": _trained((784, 625, 10), (6, 5, 3)),
    "modern_net": _trained(_MODERN, _TINY_MODERN, quiet="modern_net_quiet"),
    "modern_net_quiet": _trained(_MODERN, _TINY_MODERN),
    "conv_net": _convolved(quiet="conv_net_quiet"),
    "conv_net_quiet": _convolved(),
    "modern_net_predict": Workload(
        unlabelled(labelled), {"widths": _MODERN, "batch": 1000}, {"widths": _TINY_MODERN, "batch": 8}, _dense_forward
    ),
    "conv_net_predict": Workload(
        unlabelled(labelled_images), {**_LAYERS, "batch": 1000}, {**_TINY_LAYERS, "batch": 8}, _convolutional_forward
    ),
    "add_one_scalar": Workload(arrays, {}, {}),
    "add_one_10": Workload(lambda n: arrays(n), {"n": 10}, {"n": 10}),
    "elementwise_chain": Workload(
        lambda n: arrays(n, count=3), {"n": 10_000_000}, {"n": 100}, traffic=lambda n: 16 * n
    ),
    "black_scholes": Workload(options, {"n": 5_000_000}, {"n": 100}, traffic=lambda n: 20 * n),
    "log_softmax_rows": _of_matrix(_ROWS, passes=2),
    "log_softmax_columns": _of_matrix(_ROWS, passes=2),
    "logsumexp_rows": _of_matrix(_ROWS),
    "logsumexp_columns": _of_matrix(_ROWS),
    "log_softmax_gradient": Workload(
        lambda m, n: arrays(m, n, count=2, mean=1.0), _ROWS, _TINY_MATRIX, traffic=lambda m, n: 12 * m * n
    ),
    "layer_norm": _of_matrix(_SQUARE, passes=2),
    "argmax": _of_matrix(_SQUARE),
    "sum": _of_matrix(_SQUARE),
    "sum_rows": _of_matrix(_SQUARE),
    "sum_columns": _of_matrix(_SQUARE),
    "mean_var_rows": _of_matrix(_SQUARE),
    "mean_var_columns": _of_matrix(_SQUARE),
    "matmul_1024": _product(1024, 1024, 1024),
    "matmul_128x784x625": _product(128, 784, 625),
    "mlp_hessian": Workload(regression, {"widths": (10, 16, 8, 1), "batch": 64}, {"widths": (3, 4, 2, 1), "batch": 5}),
}

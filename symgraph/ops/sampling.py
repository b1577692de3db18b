"""Draws that reject: gamma and Poisson. The host computes them from the bits of ``symgraph.ops.random``.

Most elements are accepted at once, so the bits of the first attempt are an op's, which a kernel draws, and are given.

An element is proposed until it is accepted. Attempt k has the bits of draw number draw + k * 2**48 of its state, so
which number an element gets is fixed by seed, stream, draw and index alone, as of every other draw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph.graph import Variable
from symgraph.host import host
from symgraph.op import GradResult
from symgraph.ops.extents import variables
from symgraph.ops.random import random_bits, words
from symgraph.ops.shape import extents
from symgraph.types import TensorType

__all__: list[str] = []

ATTEMPT = 2**48
Uniform = Callable[[np.ndarray, int, int], np.ndarray]
Propose = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]


def _uniform(state: np.ndarray, shape: tuple[int, ...], first: Sequence[np.ndarray]) -> Uniform:
    """(flat places, attempt, number) -> numbers in (0, 1) of 32 bits, four to an attempt; the bits of ``first``."""

    def drawn(places: np.ndarray, attempt: int, number: int) -> np.ndarray:
        if attempt == 0 and number < len(first):
            bits = first[number].ravel()[places]
        else:
            bits = words(state + np.array([0, 0, attempt * ATTEMPT]), shape, number, places)
        found: np.ndarray = (bits + 0.5) * 2.0**-32
        return found

    return drawn


def _accepted(shape: tuple[int, ...], propose: Propose) -> np.ndarray:
    """The first accepted proposal of each element; ``propose(places, attempt)`` gives (values, whether accepted)."""
    found = np.zeros(int(np.prod(shape)))
    left = np.arange(found.size)
    attempt = 0
    while left.size:
        values, fine = propose(left, attempt)
        found[left[fine]] = values[fine]
        left, attempt = left[~fine], attempt + 1
    return found.reshape(shape)


def _normal(uniform: Uniform, places: np.ndarray, attempt: int) -> np.ndarray:
    """Standard normal numbers (Box and Muller 1958), from the first two numbers of an attempt."""
    radius = np.sqrt(-2 * np.log(uniform(places, attempt, 0)))
    found: np.ndarray = radius * np.cos(2 * np.pi * uniform(places, attempt, 1))
    return found


def _like_parameter(state: Variable, parameter: Variable, *first: Variable) -> list[TensorType]:
    return [TensorType("float64", parameter.type.shape)]


def _no_gradient(given: object, inputs: Sequence[Variable], outputs: object) -> GradResult:
    """A proposal jumps where another attempt is accepted: its own derivative is not that of the sample."""
    return [None] * len(inputs)


def drawn_from(draw: Callable[..., Any], state: Variable, parameter: Variable, numbers: int) -> Variable:
    """The sample that ``draw`` makes, which takes so many numbers for an attempt; an op draws those of the first."""
    first = [random_bits(state, *variables(extents(parameter)), part=k) for k in range(numbers)]
    return draw(state, parameter, *first)[0]  # type: ignore[no-any-return]


# ------------------------------------------------------------------------------------------------ gamma


@host(name="log_gamma_draw", infer=_like_parameter, grad=_no_gradient)
def log_gamma_draw(state: np.ndarray, shape: np.ndarray, *first: np.ndarray) -> np.ndarray:
    """The logarithm of a gamma variable of scale 1: a small shape gives values below the least positive number.

    NaN where the shape is not positive. Reference: Marsaglia and Tsang (2000), "A simple method for generating gamma
    variables".
    """
    alpha = shape.astype("float64").ravel()
    raised = np.where(alpha < 1, alpha + 1, alpha)
    d = np.where(alpha > 0, raised, 1) - 1 / 3
    c = 1 / np.sqrt(9 * d)
    uniform = _uniform(state, shape.shape, first)

    def propose(places: np.ndarray, attempt: int) -> tuple[np.ndarray, np.ndarray]:
        x = _normal(uniform, places, attempt)
        v = (1 + c[places] * x) ** 3
        positive = np.where(v > 0, v, 1)
        bound = x * x / 2 + d[places] * (1 - positive + np.log(positive))
        return np.log(d[places] * positive), (v > 0) & (np.log(uniform(places, attempt, 2)) < bound)

    found = _accepted(alpha.shape, propose)
    # u**(1/alpha) times a gamma variable of shape alpha + 1 is one of shape alpha
    power = np.log(uniform(np.arange(alpha.size), 0, 3)) / np.where(alpha > 0, alpha, 1)
    scaled = np.where(alpha < 1, found + power, found)
    return np.where(alpha > 0, scaled, np.nan).reshape(shape.shape)


# ------------------------------------------------------------------------------------------------ Poisson

FEW = 10.0  # a mean from which on rejection takes less than counting up
LOG_FACTORIALS = np.cumsum(np.log(np.maximum(np.arange(16), 1)))


def _log_factorial(k: np.ndarray) -> np.ndarray:
    """log(k!), by Stirling's series from 16 on."""
    n = np.maximum(k, 1.0)
    series = n * np.log(n) - n + 0.5 * np.log(2 * np.pi * n) + 1 / (12 * n) - 1 / (360 * n**3) + 1 / (1260 * n**5)
    found: np.ndarray = np.where(k < 16, LOG_FACTORIALS[np.clip(k, 0, 15).astype("int64")], series)
    return found


def _counted(mean: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The first k whose distribution function passes u, counted up from 0."""
    term = np.exp(-mean)
    total, k = term.copy(), np.zeros_like(mean)
    for n in range(1, 60):  # beyond, for a mean up to 10, there is less than u can tell
        behind = u > total
        if not behind.any():
            break
        term = term * mean / n
        total += term
        k += behind
    return k


@host(name="poisson_draw", infer=_like_parameter, grad=_no_gradient)
def poisson_draw(state: np.ndarray, mean: np.ndarray, *first: np.ndarray) -> Any:
    """Poisson variables; NaN where the mean is negative or not finite.

    Reference: Hoermann (1993), "The transformed rejection method for generating Poisson random variables", PTRS.
    """
    valid = np.isfinite(mean) & (mean >= 0)
    rate = np.where(valid, mean, 0.0).astype("float64").ravel()
    uniform = _uniform(state, mean.shape, first)
    large = np.maximum(rate, FEW)
    b = 0.931 + 2.53 * np.sqrt(large)
    a = -0.059 + 0.02483 * b
    inverse, squeeze = 1.1239 + 1.1328 / (b - 3.4), 0.9277 - 3.6224 / (b - 2)

    def propose(places: np.ndarray, attempt: int) -> tuple[np.ndarray, np.ndarray]:
        u, v, m = uniform(places, attempt, 0) - 0.5, uniform(places, attempt, 1), large[places]
        few = rate[places] < FEW
        us = 0.5 - np.abs(u)
        k = np.floor((2 * a[places] / us + b[places]) * u + m + 0.43)
        height = np.log(v) + np.log(inverse[places]) - np.log(a[places] / (us * us) + b[places])
        fine = (us >= 0.07) & (v <= squeeze[places])
        fine |= (k >= 0) & ~((us < 0.013) & (v > us)) & (height <= k * np.log(m) - m - _log_factorial(k))
        return np.where(few, _counted(np.minimum(rate[places], FEW), u + 0.5), k), few | fine

    return np.where(valid, _accepted(mean.shape, propose), np.nan)

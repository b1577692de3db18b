"""First values of weights: NumPy arrays drawn from a seed.

The fans of a weight are the numbers of inputs to, and outputs from, one of its elements' units: for a matrix its rows
and columns; for convolution filters (out, in, kernel rows, kernel columns) in and out, each times the kernel's area.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from symgraph.errors import DTypeError, ShapeError
from symgraph.types import canonical, is_float

__all__ = [
    "normal", "uniform", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "orthogonal",
]  # fmt: skip


def __dir__() -> list[str]:
    """What completion shows: the public names."""
    return sorted(__all__)


Seed: TypeAlias = "int | np.random.Generator | None"  # quoted: loading numpy.random takes a while


def _generator(seed: Seed) -> np.random.Generator:
    return seed if isinstance(seed, np.random.Generator) else np.random.default_rng(seed)


def _dtype(dtype: Any) -> str:
    name = canonical(dtype)
    if not is_float(name):
        raise DTypeError(f"dtype is {name}; weights are floats\nuse float32, float64, or leave dtype out for floatX")
    return name


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """Inputs and outputs of a unit: of a matrix (rows, columns), of filters (in, out) times the kernel's area.

    Raises
    ------
    ShapeError
        If ``shape`` has fewer than two axes.
    """
    if len(shape) < 2:
        raise ShapeError(f"the shape {tuple(shape)} has no fans\ngive two axes or more, or use normal or uniform")
    if len(shape) == 2:
        return shape[0], shape[1]
    area = math.prod(shape[2:])
    return shape[1] * area, shape[0] * area


def normal(shape: Sequence[int], std: float = 0.01, mean: float = 0.0, seed: Seed = None,
           dtype: Any = "floatX") -> np.ndarray:  # fmt: skip
    """Normal with deviation ``std``.

    Parameters
    ----------
    shape : sequence of int
    std, mean : float
    seed : int or numpy.random.Generator, optional
        The same seed gives the same weights; by default they differ from run to run.
    dtype : float dtype

    Returns
    -------
    ndarray of ``shape`` and ``dtype``.
    """
    return np.asarray(_generator(seed).normal(mean, std, tuple(shape))).astype(_dtype(dtype))


def uniform(shape: Sequence[int], low: float = -0.01, high: float = 0.01, seed: Seed = None,
            dtype: Any = "floatX") -> np.ndarray:  # fmt: skip
    """Uniform in [low, high).

    Parameters
    ----------
    shape : sequence of int
    low, high : float
    seed, dtype
        As of ``normal``.

    Returns
    -------
    ndarray of ``shape`` and ``dtype``.
    """
    return np.asarray(_generator(seed).uniform(low, high, tuple(shape))).astype(_dtype(dtype))


def _with_variance(kind: str, variance: float, shape: Sequence[int], seed: Seed, dtype: Any) -> np.ndarray:
    if kind == "normal":
        return normal(shape, math.sqrt(variance), seed=seed, dtype=dtype)
    bound = math.sqrt(3 * variance)
    return uniform(shape, -bound, bound, seed=seed, dtype=dtype)


def glorot_uniform(shape: Sequence[int], gain: float = 1.0, seed: Seed = None, dtype: Any = "floatX") -> np.ndarray:
    """Uniform with variance 2 * gain**2 / (inputs + outputs): for tanh and sigmoid units.

    Parameters
    ----------
    shape : sequence of int
        Two axes or more.
    gain : float
    seed, dtype
        As of ``normal``.

    Returns
    -------
    ndarray of ``shape`` and ``dtype``.

    Raises
    ------
    ShapeError
        If ``shape`` has fewer than two axes.

    References
    ----------
    Glorot, Bengio (2010), AISTATS.
    """
    return _with_variance("uniform", 2 * gain**2 / max(sum(fans(shape)), 1), shape, seed, dtype)


def glorot_normal(shape: Sequence[int], gain: float = 1.0, seed: Seed = None, dtype: Any = "floatX") -> np.ndarray:
    """Normal with variance 2 * gain**2 / (inputs + outputs); see ``glorot_uniform``."""
    return _with_variance("normal", 2 * gain**2 / max(sum(fans(shape)), 1), shape, seed, dtype)


def he_uniform(shape: Sequence[int], gain: float = math.sqrt(2), seed: Seed = None,
               dtype: Any = "floatX") -> np.ndarray:  # fmt: skip
    """Uniform with variance gain**2 / inputs: for relu units.

    Parameters
    ----------
    shape : sequence of int
        Two axes or more.
    gain : float
    seed, dtype
        As of ``normal``.

    Returns
    -------
    ndarray of ``shape`` and ``dtype``.

    Raises
    ------
    ShapeError
        If ``shape`` has fewer than two axes.

    References
    ----------
    He, Zhang, Ren, Sun (2015), "Delving deep into rectifiers", ICCV.
    """
    return _with_variance("uniform", gain**2 / max(fans(shape)[0], 1), shape, seed, dtype)


def he_normal(shape: Sequence[int], gain: float = math.sqrt(2), seed: Seed = None,
              dtype: Any = "floatX") -> np.ndarray:  # fmt: skip
    """Normal with variance gain**2 / inputs; see ``he_uniform``."""
    return _with_variance("normal", gain**2 / max(fans(shape)[0], 1), shape, seed, dtype)


def orthogonal(shape: Sequence[int], gain: float = 1.0, seed: Seed = None, dtype: Any = "floatX") -> np.ndarray:
    """A random matrix whose rows or columns, whichever are fewer, are orthonormal (times ``gain``).

    Parameters
    ----------
    shape : sequence of int
        Two axes or more; axes from 1 on are taken as one.
    gain : float
    seed, dtype
        As of ``normal``.

    Returns
    -------
    ndarray of ``shape`` and ``dtype``.

    Raises
    ------
    ShapeError
        If ``shape`` has fewer than two axes.

    References
    ----------
    Saxe, McClelland, Ganguli (2014), arXiv:1312.6120; Mezzadri (2007), Notices of the AMS 54: the signs of R make
    the distribution uniform.
    """
    fans(shape)
    rows, columns = shape[0], math.prod(shape[1:])
    q, r = np.linalg.qr(_generator(seed).normal(size=(max(rows, columns), min(rows, columns))))
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return np.asarray(gain * (q if rows >= columns else q.T)).reshape(tuple(shape)).astype(_dtype(dtype))

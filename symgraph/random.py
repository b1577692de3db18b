"""Random streams: draws that are formulas of a seed, the same on every backend and thread count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.coercion import as_variable, convert
from symgraph.errors import DTypeError, ShapeError, layout
from symgraph.graph import SharedVariable, Variable, constant, describe
from symgraph.ops.elementwise import add, mul, sub
from symgraph.ops.extents import sizes_of, variables
from symgraph.ops.random import below, index_below, standard_exponential, standard_normal, unit
from symgraph.ops.reduce import sum as sum_
from symgraph.origin import here_excerpt
from symgraph.types import TensorType, canonical, is_float

__all__ = ["RandomStream"]


def __dir__() -> list[str]:
    """What completion shows: the public names."""
    return sorted(__all__)


STATE = TensorType("int64", (3,))
SEEDS = 2**32


class RandomStream:
    """A source of random variables.

    Each draw (a call of a method) is a variable with a stream number of its own and a state (seed, stream, draw) that
    functions advance after each call: two draws differ, two calls of a function differ, and one draw used twice is one
    sample. Which number each element gets is fixed by seed, stream, draw and index alone (see ``symgraph.ops.random``).

    Parameters
    ----------
    seed : int, optional
        0 to 2**32 - 1; by default one from the operating system.

    Examples
    --------
    >>> stream = RandomStream(1)
    >>> noise = stream.normal(x.shape, std=0.1)
    """

    def __init__(self, seed: int | None = None) -> None:
        self._seed = _checked(_entropy() if seed is None else seed)
        self._states: list[SharedVariable] = []

    # -------------------------------------------------------------------------------------------- state

    def seed(self, seed: int) -> None:
        """Start again from ``seed``: the draws made so far too.

        Raises
        ------
        ValueError
            If ``seed`` is not in 0..2**32 - 1.
        """
        self._seed = _checked(seed)
        for stream, state in enumerate(self._states):
            state.set_value(np.array([self._seed, stream, 0], "int64"))

    @property
    def state(self) -> np.ndarray:
        """int64, shape (draws + 1, 3): row 0 is (seed, number of draws, 0), each other the state of a draw."""
        own = np.array([self._seed, len(self._states), 0], "int64")
        return np.stack([own, *[s.get_value() for s in self._states]])

    def set_state(self, state: Any) -> None:
        """Go on from a ``state`` that a stream with the same draws was in.

        Raises
        ------
        ShapeError
            If it is the state of a stream with another number of draws.
        """
        rows = np.asarray(state)
        if rows.shape != (len(self._states) + 1, 3):
            raise ShapeError(
                f"set_state: the state has shape {rows.shape}, it must be ({len(self._states) + 1}, 3)\n"
                "give the state of a stream on which the same draws were made"
            )
        self._seed = _checked(int(rows[0, 0]))
        for own, row in zip(self._states, rows[1:], strict=True):
            own.set_value(row.astype("int64"))

    def _draw(self, name: str) -> SharedVariable:
        stream = len(self._states)
        state = SharedVariable(np.array([self._seed, stream, 0], "int64"), STATE, name=f"{name}_state")
        state.default_update = add(state, constant(np.array([0, 0, 1], "int64")))
        self._states.append(state)
        return state

    # -------------------------------------------------------------------------------------------- distributions

    def uniform(self, size: Any = (), low: Any = 0.0, high: Any = 1.0, dtype: Any = "floatX") -> Variable:
        """Uniform in [low, high).

        Parameters
        ----------
        size : int, integer scalar Variable, or sequence of these
            The shape; ``x.shape`` is one.
        low, high : float or Variable that broadcasts to ``size``
        dtype : float dtype

        Returns
        -------
        Variable of ``dtype`` and shape ``size``. Where rounding allows nothing else a value may be ``high``.

        Raises
        ------
        DTypeError
            If ``dtype`` is no float dtype, or an extent no integer.
        ShapeError
            If an extent is negative, or a parameter has more axes than ``size``.
        """
        sizes, kind = _sizes("uniform", size, low, high), _float("uniform", dtype)
        sample = unit(self._draw("uniform"), sizes, kind)
        if _is(low, 0) and _is(high, 1):
            return sample
        return add(mul(sample, _typed(sub(high, low), kind)), _typed(low, kind))  # type: ignore[no-any-return]

    def normal(self, size: Any = (), avg: Any = 0.0, std: Any = 1.0, dtype: Any = "floatX") -> Variable:
        """Normal (Gaussian) with mean ``avg`` and standard deviation ``std``.

        Parameters
        ----------
        size, dtype
            As of ``uniform``.
        avg, std : float or Variable that broadcasts to ``size``

        Returns
        -------
        Variable of ``dtype`` and shape ``size``.

        Raises
        ------
        DTypeError, ShapeError
            As of ``uniform``.
        """
        sizes, kind = _sizes("normal", size, avg, std), _float("normal", dtype)
        sample = standard_normal(self._draw("normal"), sizes, kind)
        scaled = sample if _is(std, 1) else mul(sample, _typed(std, kind))
        return scaled if _is(avg, 0) else add(scaled, _typed(avg, kind))

    def bernoulli(self, size: Any = (), p: Any = 0.5, dtype: Any = "floatX") -> Variable:
        """1 with probability ``p``, else 0.

        Parameters
        ----------
        size
            As of ``uniform``.
        p : float or Variable that broadcasts to ``size``
        dtype : any dtype
            "bool" for a mask.

        Returns
        -------
        Variable of ``dtype`` and shape ``size``.

        Raises
        ------
        ValueError
            If ``p`` is a number outside 0..1.
        ShapeError, DTypeError
            As of ``uniform``.
        """
        sizes = _sizes("bernoulli", size, p)
        return convert(below(self._draw("bernoulli"), sizes, _probability(p)), canonical(dtype))

    def binomial(self, size: Any = (), n: int = 1, p: Any = 0.5, dtype: Any = "floatX") -> Variable:
        """How many of ``n`` trials succeed, each with probability ``p``; for n = 1 the same as ``bernoulli``.

        Parameters
        ----------
        size, p, dtype
            As of ``bernoulli``.
        n : int
            Number of trials; time and memory grow with it.

        Returns
        -------
        Variable of ``dtype`` and shape ``size``.

        Raises
        ------
        ValueError
            If ``n`` is below 0, or ``p`` a number outside 0..1.
        ShapeError, DTypeError
            As of ``uniform``.
        """
        if not isinstance(n, int) or n < 0:
            raise ValueError(f"binomial: n is {n!r}; it must be an integer from 0 up")
        if n == 1:
            return self.bernoulli(size, p, dtype)
        trials = (*_listed(size), n)
        each = _probability(p)
        spread = each.dimshuffle(*range(each.ndim), "x") if isinstance(each, Variable) else each
        return convert(sum_(self.bernoulli(trials, spread, "int64"), axis=-1), canonical(dtype))

    def integers(self, size: Any = (), low: Any = 0, high: Any = 2, dtype: Any = "int64") -> Variable:
        """Integers in low..high-1, all equally likely to within (high - low) / 2**32.

        Parameters
        ----------
        size
            As of ``uniform``.
        low, high : int or integer Variable that broadcasts to ``size``
            At most 2**32 apart.
        dtype : integer dtype

        Returns
        -------
        Variable of ``dtype`` and shape ``size``.

        Raises
        ------
        ValueError
            If ``low`` and ``high`` are numbers and not 1 to 2**32 apart.
        ShapeError, DTypeError
            As of ``uniform``.
        """
        sizes = _sizes("integers", size, low, high)
        if isinstance(low, int) and isinstance(high, int) and not 1 <= high - low <= SEEDS:
            raise ValueError(f"integers: low is {low}, high {high}; high must be 1 to 2**32 above low")
        first = convert(as_variable(low), "int64")
        count = sub(convert(as_variable(high), "int64"), first)
        sample = index_below(self._draw("integers"), sizes, count)
        return convert(sample if _is(low, 0) else add(sample, first), canonical(dtype))

    def exponential(self, size: Any = (), scale: Any = 1.0, dtype: Any = "floatX") -> Variable:
        """Exponential with mean ``scale``.

        Parameters
        ----------
        size, dtype
            As of ``uniform``.
        scale : float or Variable that broadcasts to ``size``

        Returns
        -------
        Variable of ``dtype`` and shape ``size``.

        Raises
        ------
        DTypeError, ShapeError
            As of ``uniform``.
        """
        sizes, kind = _sizes("exponential", size, scale), _float("exponential", dtype)
        sample = standard_exponential(self._draw("exponential"), sizes, kind)
        return sample if _is(scale, 1) else mul(sample, _typed(scale, kind))


# ------------------------------------------------------------------------------------------------ arguments


def _entropy() -> int:
    return int(np.random.SeedSequence().generate_state(1)[0])


def _checked(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < SEEDS:
        raise ValueError(f"the seed is {seed!r}; it must be an integer from 0 to 2**32 - 1")
    return int(seed)


def _is(value: object, n: int) -> bool:
    return isinstance(value, int | float) and value == n


def _listed(size: Any) -> Sequence[Any]:
    return size if isinstance(size, tuple | list) else (size,)


def _typed(value: Any, dtype: str) -> Variable:
    return convert(value, dtype)


def _float(name: str, dtype: Any) -> str:
    kind = canonical(dtype)
    if not is_float(kind):
        raise DTypeError(layout(f"{name}: dtype is {kind}", [], here_excerpt(), "use a float dtype, or integers(...)"))
    return kind


def _probability(p: Any) -> Any:
    if not isinstance(p, int | float):
        return as_variable(p)
    if not 0 <= p <= 1:
        raise ValueError(f"p is {p}; a probability must be from 0 to 1")
    return float(p)


def _sizes(name: str, size: Any, *parameters: Any) -> list[Variable]:
    """The extents as variables; a parameter may not add axes, else elements would share a sample."""
    sizes = variables(sizes_of(size, name))
    for p in parameters:
        if isinstance(p, Variable | np.ndarray) and p.ndim > len(sizes):
            v = as_variable(p)
            raise ShapeError(
                layout(f"{name}: a parameter has {p.ndim} axes, size has {len(sizes)}", [describe(v)], here_excerpt(),
                       "give the shape of the result as size, e.g. size=p.shape")
            )  # fmt: skip
    return sizes

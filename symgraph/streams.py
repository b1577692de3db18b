"""The state of random streams: which numbers a draw gives, and how it goes on from call to call."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.errors import ShapeError
from symgraph.graph import constant
from symgraph.ops.elementwise import add
from symgraph.shared_variable import SharedVariable
from symgraph.types import TensorType

STATE = TensorType("int64", (3,))
SEEDS = 2**32


class Stream:
    """A seed, and the state of each draw made of it: (seed, stream, draw), which functions advance after each call.

    Parameters
    ----------
    seed : int, optional
        0 to 2**32 - 1; by default one from the operating system.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._seed = _checked(_entropy() if seed is None else seed)
        self._states: list[SharedVariable] = []

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


def _entropy() -> int:
    return int(np.random.SeedSequence().generate_state(1)[0])


def _checked(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < SEEDS:
        raise ValueError(f"the seed is {seed!r}; it must be an integer from 0 to 2**32 - 1")
    return int(seed)

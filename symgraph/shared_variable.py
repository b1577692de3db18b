"""Shared variables: those with a value of their own, and who has it."""

from __future__ import annotations

import threading
from typing import Any, Protocol

import numpy as np

from symgraph.graph import Variable, label
from symgraph.origin import made_again
from symgraph.types import TensorType, storage


class Away(Protocol):
    """A value that a device has, and the host has not."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its extents."""
        ...

    @property
    def array(self) -> Any:
        """The storage, as an array that speaks DLPack."""
        ...

    def fetch(self) -> np.ndarray:
        """The value as a new array."""
        ...

    def receive(self, value: object, type: TensorType, name: str, borrow: bool) -> bool:
        """Take a tensor that is on the device too, if it is one of ``type``; False for any other value."""
        ...


# No program takes it for a value: it is of no dtype of ours.
_ELSEWHERE = np.empty(0, "V1")


class SharedVariable(Variable):
    """A variable with a value of its own, kept between calls and changed by updates.

    Attributes
    ----------
    default_update : Variable or None
        Its new value after each call of a function that uses it and does not update it otherwise.
    away : Away or None
        Who has the value, if the host has not.
    """

    __slots__ = ("_value", "away", "default_update", "lock", "version")
    leaf_kind = "shared"
    away: Away | None
    default_update: Variable | None
    lock: threading.RLock
    version: int

    def __init__(self, value: np.ndarray, type: TensorType, name: str | None = None) -> None:
        super().__init__(type, name=name)
        self._value = value
        self.away = None
        self.default_update = None
        self.lock = threading.RLock()
        self.version = 0

    def get_value(self, borrow: bool = False) -> np.ndarray:
        """The value: a copy, or the storage itself with ``borrow=True`` (a later call may change it)."""
        with self.lock:
            if self.away is None:
                return self._value if borrow else self._value.copy()
            value = self.away.fetch()
            if borrow:  # who has the storage may write to it: it is the value from now on
                self._value, self.away = value, None
            return value

    @property
    def extents(self) -> tuple[int, ...]:
        """The shape of the value."""
        return self._value.shape if self.away is None else self.away.shape

    def lend(self, away: Away) -> None:
        """Let ``away`` have the value until somebody asks for the storage or sets another."""
        self._value, self.away = _ELSEWHERE, away

    def set_value(self, value: object, borrow: bool = False) -> None:
        """Replace the value; it must fit the type.

        A tensor may be on the device that has the value (as it does once a function ran there), which copies it. With
        ``borrow=True`` the array or tensor itself may become the storage, which updates write to.

        Raises
        ------
        ShapeError, DTypeError
            If it does not.
        """
        if isinstance(value, SharedVariable):
            value = value.get_value()  # before this one's lock is held: two may be set to each other
        with self.lock:
            if self.away is not None and self.away.receive(value, self.type, label(self), borrow):
                self.version += 1
                return
        self.keep(storage(value, self.type, label(self), borrow))

    def keep(self, value: np.ndarray) -> None:
        """Let storage of this type be the value."""
        with self.lock:
            self._value, self.away = value, None
            self.version += 1

    def __dlpack__(self, **options: Any) -> Any:
        """The storage itself, for another library: the host's, or that of the device that has the value."""
        with self.lock:
            return (self._value if self.away is None else self.away.array).__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        with self.lock:
            found: tuple[int, int] = (self._value if self.away is None else self.away.array).__dlpack_device__()
            return found

    def __reduce__(self) -> tuple[object, ...]:
        return made_again, (self.origin, _revive_shared, (self.get_value(), self.type, self.name))


def _revive_shared(value: np.ndarray, type: TensorType, name: str | None) -> SharedVariable:
    return SharedVariable(value, type, name)

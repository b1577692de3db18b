"""Complex values as pairs of real ones, (real part, imaginary part): what programs compute with.

A graph may hold complex variables; ``symgraph.complexes`` gives a graph of their parts for it. Here is what a pair is,
in graphs and on the host, and where a complex shared variable keeps its value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from symgraph.graph import Variable, label
from symgraph.origin import made_again
from symgraph.shared_variable import SharedVariable
from symgraph.types import TensorType, complex_of, is_complex, real_of, storage

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Parts:
    """A complex value as two real variables of one dtype and shape."""

    re: Variable
    im: Variable

    @property
    def type(self) -> TensorType:
        """The type of the complex value."""
        return TensorType(complex_of(self.re.dtype), self.re.type.shape)


def part_type(type: TensorType) -> TensorType:
    """The type of each part of a complex ``type``; a real one itself."""
    return TensorType(real_of(type.dtype), type.shape)


def fresh_parts(v: Variable) -> Parts:
    """Two inputs in the place of a complex one."""
    name = v.name or "input"
    parts = Parts(Variable(part_type(v.type), name=f"{name}.real"), Variable(part_type(v.type), name=f"{name}.imag"))
    parts.re.origin = parts.im.origin = v.origin
    return parts


def parted(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both parts of a complex array, each contiguous."""
    return value.real.copy(), value.imag.copy()


def joined(re: np.ndarray, im: np.ndarray) -> np.ndarray:
    """The complex array of two parts, which broadcast; no arithmetic, which would lose signed zeros and infinities."""
    value = np.empty(np.broadcast_shapes(re.shape, im.shape), complex_of(np.asarray(re).dtype.name))
    value.real, value.imag = re, im
    return value


def by_pairs(parts: Iterable[T], pairs: Iterable[bool], join: Callable[[T, T], T]) -> list[T]:
    """A value for each of ``pairs``: where it is true the next two of ``parts`` joined, elsewhere the next one."""
    following = iter(parts)
    return [join(next(following), next(following)) if pair else next(following) for pair in pairs]


# ------------------------------------------------------------------------------------------------ shared variables


class ComplexShared(SharedVariable):
    """A complex shared variable: its value is that of two real ones, which programs read and update.

    Attributes
    ----------
    parts : Parts
    """

    __slots__ = ("parts",)
    parts: Parts

    def __init__(self, value: np.ndarray, type: TensorType, name: str | None = None) -> None:
        super().__init__(np.empty(0, type.dtype), type, name)
        near = name or "shared"
        self.parts = Parts(*[
            SharedVariable(part, part_type(type), f"{near}.{which}")
            for part, which in zip(parted(value), ("real", "imag"), strict=True)
        ])  # fmt: skip

    @property
    def both(self) -> tuple[SharedVariable, SharedVariable]:
        """The shared variables of the two parts."""
        re, im = self.parts.re, self.parts.im
        assert isinstance(re, SharedVariable) and isinstance(im, SharedVariable)
        return re, im

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Both locks, in the order in which calls take them."""
        with ExitStack() as held:
            for part in sorted(self.both, key=id):
                held.enter_context(part.lock)
            yield

    def get_value(self, borrow: bool = False) -> np.ndarray:
        """The value: always a copy, as the parts are kept apart."""
        with self._held():
            return joined(*[part.get_value() for part in self.both])

    @property
    def extents(self) -> tuple[int, ...]:
        """The shape of the value."""
        return self.both[0].extents

    def set_value(self, value: object, borrow: bool = False) -> None:
        """Replace the value; it must fit the type, and be on the host.

        Raises
        ------
        ShapeError, DTypeError
            If it does not.
        """
        given = value.get_value() if isinstance(value, SharedVariable) else value
        new = parted(storage(given, self.type, label(self), borrow=True))
        with self._held():
            for part, array in zip(self.both, new, strict=True):
                part.keep(array)

    def __dlpack__(self, **options: Any) -> Any:
        """A copy of the value, for another library."""
        return self.get_value().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.get_value().__dlpack_device__()

    def __reduce__(self) -> tuple[object, ...]:
        return made_again, (self.origin, shared_variable, (self.get_value(), self.type, self.name))


def shared_variable(value: np.ndarray, type: TensorType, name: str | None = None) -> SharedVariable:
    """A shared variable of ``type``, which keeps ``value`` itself where it is real."""
    return (ComplexShared if is_complex(type.dtype) else SharedVariable)(value, type, name)

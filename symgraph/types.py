"""Types of values: TensorType, dtype promotion, broadcasting.

Promotion is NumPy's with two changes: Python scalars never change a precision, and integer or bool arrays do not widen
a float (``float32 / x.shape[0]`` is float32).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from symgraph import config
from symgraph.errors import DTypeError, ShapeError

Extent = int | None
Shape = tuple[Extent, ...]

BOOL = ("bool",)
SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
FLOATS = ("float16", "float32", "float64")
INTEGERS = SIGNED + UNSIGNED
DTYPES = BOOL + INTEGERS + FLOATS
SIZES = {d: np.dtype(d).itemsize for d in DTYPES}


def is_float(dtype: str) -> bool:
    """Whether ``dtype`` is a floating type."""
    return dtype in FLOATS


def is_integer(dtype: str) -> bool:
    """Whether ``dtype`` is a signed or unsigned integer type (bool is not)."""
    return dtype in INTEGERS


@cache
def _canonical(dtype: object) -> str:
    try:
        name = np.dtype(dtype).name  # type: ignore[call-overload]
    except TypeError:
        raise DTypeError(f"{dtype!r} is no dtype; known are {', '.join(DTYPES)}") from None
    if name not in DTYPES:
        raise DTypeError(f"dtype {name} is not supported; supported are {', '.join(DTYPES)}")
    return str(name)


def canonical(dtype: object) -> str:
    """The name of a dtype given as a name, a NumPy dtype or scalar type, or "floatX"."""
    return config.floatX() if dtype == "floatX" else _canonical(dtype)


@cache
def promote(*dtypes: str) -> str:
    """The common dtype of arrays: NumPy's, but integers and bools never widen a float."""
    floats = [d for d in dtypes if is_float(d)]
    return str(np.result_type(*(floats or dtypes)).name)


def weak_dtype(value: bool | int | float, strong: str | None) -> str:
    """The dtype a Python scalar takes beside arrays of dtype ``strong`` (None: alone)."""
    if isinstance(value, bool):
        return strong or "bool"
    if isinstance(value, int):
        dtype = "int64" if strong in (None, "bool") else str(strong)
        _check_fits(value, dtype)
        return dtype
    return strong if strong is not None and is_float(strong) else config.floatX()


def _check_fits(value: int, dtype: str) -> None:
    if not is_integer(dtype):
        return
    info = np.iinfo(dtype)
    if not info.min <= value <= info.max:
        reach = f"{info.min} to {info.max}"
        raise DTypeError(f"the Python integer {value} does not fit {dtype} ({reach})")


@dataclass(frozen=True)
class TensorType:
    """dtype and shape of a value; an extent of None is not known before the call."""

    dtype: str
    shape: Shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def is_static(self) -> bool:
        """Whether every extent is known."""
        return None not in self.shape

    def accepts(self, other: TensorType) -> bool:
        """Whether every value of type ``other`` is one of this type, as far as is known."""
        return (
            self.dtype == other.dtype
            and self.ndim == other.ndim
            and all(a is None or b is None or a == b for a, b in zip(self.shape, other.shape, strict=True))
        )

    def __str__(self) -> str:
        inner = ", ".join("?" if n is None else str(n) for n in self.shape)
        return f"{self.dtype} ({inner}{',' if self.ndim == 1 else ''})"


def tensor_type(dtype: object, shape: Iterable[int | None]) -> TensorType:
    """A checked ``TensorType`` from what a user may write."""
    extents = tuple(None if n is None else int(n) for n in shape)
    for n in extents:
        if n is not None and n < 0:
            raise ShapeError(f"shape {extents} has a negative extent; use None for one not known yet")
    return TensorType(canonical(dtype), extents)


def broadcast_extents(extents: Sequence[Extent]) -> Extent:
    """NumPy's rule for one axis; an unknown extent beside a known n > 1 is taken as n (checked at the call)."""
    known = {n for n in extents if n is not None}
    wide = known - {1}
    if len(wide) > 1:
        raise ShapeError(f"extents {sorted(wide)} do not broadcast")
    if wide:
        return wide.pop()
    return None if None in extents else 1


def broadcast_shapes(shapes: Sequence[Shape]) -> Shape:
    """The shape of an elementwise result."""
    rank = max((len(s) for s in shapes), default=0)
    padded = [(1,) * (rank - len(s)) + s for s in shapes]
    return tuple(broadcast_extents(column) for column in zip(*padded, strict=True))

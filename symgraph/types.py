"""Types of values: TensorType, dtype promotion, broadcasting.

Promotion is NumPy's with two changes: Python scalars never change a precision, and integer or bool arrays do not widen
a float (``float32 / x.shape[0]`` is float32). A Python complex makes complex what it stands beside, in its precision.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

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
"""Those that kernels know."""

COMPLEX = ("complex64", "complex128")
"""Those that graphs know beside them: a program has two real values for each."""

_REAL = dict(zip(COMPLEX, ("float32", "float64"), strict=True))
SIZES = {d: np.dtype(d).itemsize for d in DTYPES}


def is_float(dtype: str) -> bool:
    """Whether ``dtype`` is a floating type."""
    return dtype in FLOATS


def is_integer(dtype: str) -> bool:
    """Whether ``dtype`` is a signed or unsigned integer type (bool is not)."""
    return dtype in INTEGERS


def is_complex(dtype: str) -> bool:
    """Whether ``dtype`` is a complex type."""
    return dtype in COMPLEX


def is_inexact(dtype: str) -> bool:
    """Whether ``dtype`` is a floating or complex type."""
    return dtype in FLOATS or dtype in COMPLEX


def real_of(dtype: str) -> str:
    """The dtype of the parts of a complex ``dtype``; a real one itself."""
    return _REAL.get(dtype, dtype)


def complex_of(dtype: str) -> str:
    """The complex dtype of the precision of a floating or complex ``dtype``; float16 has that of float32."""
    return "complex128" if real_of(dtype) == "float64" else "complex64"


@cache
def _canonical(dtype: object) -> str:
    try:
        name = np.dtype(dtype).name  # type: ignore[call-overload]
    except TypeError:
        raise DTypeError(f"{dtype!r} is no dtype; known are {', '.join(DTYPES + COMPLEX)}") from None
    if name not in DTYPES and name not in COMPLEX:
        raise DTypeError(f"dtype {name} is not supported; supported are {', '.join(DTYPES + COMPLEX)}")
    return str(name)


def canonical(dtype: object) -> str:
    """The name of a dtype given as a name, a NumPy dtype or scalar type, or "floatX"."""
    return config.floatX() if dtype == "floatX" or dtype is config.floatX else _canonical(dtype)


@cache
def promote(*dtypes: str) -> str:
    """The common dtype of arrays: NumPy's, but integers and bools never widen a float."""
    inexact = [d for d in dtypes if is_inexact(d)]
    return str(np.result_type(*(inexact or dtypes)).name)


def weak_dtype(value: bool | int | float | complex, strong: str | None) -> str:
    """The dtype a Python scalar takes beside arrays of dtype ``strong`` (None: alone)."""
    if isinstance(value, bool):
        return strong or "bool"
    if isinstance(value, int):
        dtype = "int64" if strong in (None, "bool") else str(strong)
    else:
        near = strong if strong is not None and is_inexact(strong) else config.floatX()
        dtype = complex_of(near) if isinstance(value, complex) else near
    _check_fits(value, dtype)
    return dtype


def _check_fits(value: int | float | complex, dtype: str) -> None:
    if is_integer(dtype) and isinstance(value, int):
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        if not low <= value <= high:
            raise DTypeError(f"the Python integer {_written(value)} does not fit {dtype} ({low} to {high})")
    parts = (value.real, value.imag) if isinstance(value, complex) else (value,)
    if is_inexact(dtype) and not all(_is_in_reach(part, real_of(dtype)) for part in parts):
        kind = "integer" if isinstance(value, int) else "float" if isinstance(value, float) else "complex number"
        reach = f"{'parts ' if is_complex(dtype) else ''}up to {np.finfo(dtype).max:.5g}"
        raise DTypeError(f"the Python {kind} {_written(value)} does not fit {dtype} ({reach})")


def _written(value: int | float | complex) -> str:
    """A number in a message: a long integer by its length."""
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 128 else f"of {value.bit_length()} bits"
    return f"{value:.6g}"


def _is_in_reach(value: int | float, dtype: str) -> bool:
    """Whether a number rounds to a finite one, or is infinite or NaN itself."""
    try:
        wide = float(value)
    except OverflowError:
        return False
    with np.errstate(over="ignore"):
        return not math.isfinite(wide) or math.isfinite(np.dtype(dtype).type(wide))


def is_lossless(value: object, given: np.ndarray, dtype: str) -> bool:
    """Whether ``value``, which NumPy makes ``given``, may become an array of ``dtype`` unasked.

    Arrays convert where NumPy calls it safe, NumPy scalars where they are exact. Python's numbers, and lists of them,
    are rounded as they are beside a variable; but none becomes infinite, and none changes from float to integer.
    """
    if np.can_cast(given.dtype, dtype, "safe"):
        return True
    weak = isinstance(value, bool | int | float | complex | list | tuple)
    if isinstance(value, np.ndarray) or not (weak or isinstance(value, np.generic)):
        return False
    if not given.size:
        return True
    if is_integer(dtype):
        info = np.iinfo(dtype)
        return given.dtype.kind in "iu" and info.min <= int(given.min()) and int(given.max()) <= info.max
    if not is_inexact(dtype) or given.dtype.kind not in ("iufc" if is_complex(dtype) else "iuf"):
        return False
    with np.errstate(all="ignore"):
        near = given.astype(dtype)
    return bool((np.isinf(near) <= np.isinf(given)).all() if weak else np.array_equal(near, given, equal_nan=True))


def check_unmasked(value: object) -> None:
    """Raise DTypeError for a masked array: as a plain one it would show what it hides."""
    # asked first: to name numpy.ma loads it
    if hasattr(value, "_mask") and np.ma.is_masked(value):
        raise DTypeError("elements of this masked array are masked; fill them first: a.filled(0)")


def is_tensor(value: object) -> bool:
    """Whether ``value`` is an array of another library, which speaks DLPack."""
    return hasattr(value, "__dlpack__") and not isinstance(value, np.ndarray | np.generic)


def as_array(value: Any) -> np.ndarray:
    """``value`` as NumPy sees it; a tensor of another library without a copy.

    Raises
    ------
    DTypeError
        If the tensor is not on the host.
    """
    if not is_tensor(value):
        check_unmasked(value)
        return np.asarray(value)
    try:
        return np.from_dlpack(value)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise DTypeError(
            f"a tensor cannot become an array: {error}\ncopy it to the host first: on a GPU may be real arguments"
            " that decide no extents, and new values of real shared variables that a function used there"
        ) from error


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
    try:
        extents = tuple(None if n is None else operator.index(n) for n in shape)
    except TypeError:
        raise ShapeError(f"shape is {shape!r}; it must be a tuple of integers, None for one not known yet") from None
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


def check_storage(value: object, given: Any, type: TensorType, name: str) -> None:
    """Raise DTypeError or ShapeError unless ``value``, which is the array ``given``, may be one of ``type``."""
    if given.dtype.kind not in "biufc" or not is_lossless(value, given, type.dtype):
        raise DTypeError(
            f"{name}: the value is {given.dtype}, the variable is {type}\n"
            + _fitting(given, type.dtype)
        )
    if not type.accepts(TensorType(type.dtype, given.shape)):
        raise ShapeError(
            f"{name}: the value has shape {given.shape}, the variable is {type}\n{_reshaping(given.shape, type)}"
        )


def _reshaping(given: tuple[int, ...], type: TensorType) -> str:
    """What helps against a value of another shape."""
    if len(given) != len(type.shape):
        return "give a value of that shape"
    both = tuple(n if n == m else None for n, m in zip(type.shape, given, strict=True))
    return f"give a value of that shape; or let extents change: symgraph.shared(..., shape={both})"


def storage(value: object, type: TensorType, name: str, borrow: bool) -> np.ndarray:
    """``value`` as contiguous, aligned, native, writable storage of ``type``."""
    given = as_array(value)
    check_storage(value, given, type, name)
    fits = borrow and given.dtype == np.dtype(type.dtype) and given.flags.carray and given.dtype.isnative
    return given if fits else np.array(given, dtype=type.dtype, order="C")


def _fitting(given: Any, dtype: str) -> str:
    """How to make a value fit."""
    if given.dtype.kind == "c" and not is_complex(dtype):
        return "give one of its parts, value.real or value.imag"
    return f"cast it: value.astype({dtype!r})" if given.dtype.kind in "biufc" else "give numbers"

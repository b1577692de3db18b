"""What is passed to ops, checked and made fit: values as variables of a common dtype, axes, extents."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from symgraph.errors import AxisError, DTypeError, ShapeError, layout
from symgraph.expression import Expr
from symgraph.graph import Constant, Variable, apply, constant, describe, in_code, label
from symgraph.op import OPS
from symgraph.origin import here_excerpt
from symgraph.types import is_complex, is_inexact, is_integer, promote, weak_dtype
from symgraph.varying import Varying, product_of


def as_variable(x: object, dtype: object = None) -> Variable:
    """A variable as it is, a list with variables in it stacked; anything else as a constant of ``dtype``.

    The default dtype is its own, floatX for Python floats.
    """
    if isinstance(x, Variable):
        return x
    if isinstance(x, Expr):
        raise TypeError("the arguments of an elementwise body are scalars; this function takes whole variables")
    if isinstance(x, list | tuple) and holds_variable(x):
        return stack_op(x)
    try:
        return constant(x, dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise DTypeError(
            layout(f"{_shortened(x)} cannot become a variable{_why(x, error)}", [], here_excerpt(),
                   "give a number, an array of numbers, or a symgraph variable")
        ) from None  # fmt: skip


def _why(x: object, error: Exception) -> str:
    return f": {error}" if isinstance(x, np.ndarray) and x.dtype.kind not in "OSU" else ""


def _shortened(x: object) -> str:
    text = repr(x).replace("\n", " ")
    return text if len(text) <= 60 else f"{text[:57]}..."


def holds_variable(xs: Sequence[object]) -> bool:
    """Whether a nested list has a variable in it."""
    return any(isinstance(x, Variable) or (isinstance(x, list | tuple) and holds_variable(x)) for x in xs)


def stack_op(xs: Sequence[object]) -> Variable:
    """``xs`` along a new first axis."""
    dtype = common_dtype(xs)
    rows = [convert(as_variable(x), dtype) for x in xs]
    padded = [apply(OPS["dimshuffle"], [v], {"pattern": (None, *range(v.ndim))}).outputs[0] for v in rows]
    return apply(OPS["concatenate"], padded, {"axis": 0}).outputs[0]


def is_weak(x: object) -> bool:
    """Whether ``x`` is a Python scalar (or a NumPy scalar that is one), which never changes a precision."""
    return isinstance(x, bool | int | float | complex)


def strong_dtype(xs: Sequence[object]) -> str | None:
    """The common dtype of the arrays and variables among ``xs``."""
    strong = [as_variable(x).dtype for x in xs if not is_weak(x)]
    return promote(*strong) if strong else None


def common_dtype(xs: Sequence[object]) -> str:
    """The dtype that ``xs`` meet in: that of the arrays, which Python scalars join."""
    strong = strong_dtype(xs)
    try:
        weak = [weak_dtype(x, strong) for x in xs if is_weak(x)]  # type: ignore[arg-type]
    except DTypeError as error:
        raise DTypeError(
            layout(str(error), [describe(x) for x in xs if isinstance(x, Variable)], here_excerpt(), _wider(xs))
        ) from None
    return promote(*([strong] if strong else []), *weak)


def _wider(xs: Sequence[object]) -> str:
    """What to do with numbers that do not fit the dtype of the variables beside them."""
    cast = next((x for x in xs if isinstance(x, Variable)), None)
    if cast is None or cast.dtype in ("int64", "float64", "complex128"):
        return "give a smaller number, or a float"
    needs_both = is_complex(cast.dtype) or any(isinstance(x, complex) for x in xs)
    wide = "int64" if not is_inexact(cast.dtype) else "complex128" if needs_both else "float64"
    return f"cast the variable: {in_code(cast)}.astype({wide!r})"


def convert(x: object, dtype: str) -> Variable:
    """``x`` as a variable of ``dtype``, cast if it has another."""
    if isinstance(x, list | tuple) and holds_variable(x):
        x = stack_op(x)
    if not isinstance(x, Variable):
        return _converted(np.asarray(x), dtype)
    return x if x.dtype == dtype else cast_op(x, dtype)


def cast_op(x: Variable, dtype: str) -> Variable:
    """``x`` cast; constants at once."""
    if is_complex(x.dtype) and dtype != "bool" and not is_complex(dtype):
        raise _two_numbers(x, dtype)
    if isinstance(x, Constant):
        return _converted(x.data, dtype)
    return apply(OPS["cast"], [x], {"dtype": dtype}).outputs[0]


def _converted(value: np.ndarray, dtype: str) -> Variable:
    with np.errstate(all="ignore"):
        return constant(value.astype(dtype))


def _two_numbers(x: Variable, dtype: str) -> DTypeError:
    mend = f"say which number is meant: {in_code(x)}.real, {in_code(x)}.imag or abs({in_code(x)})"
    return DTypeError(layout(f"{label(x)} is {x.dtype}, it cannot become {dtype}", [describe(x)], here_excerpt(), mend))


def convert_condition(x: object) -> Variable:
    """A condition as bool: numbers are compared with zero."""
    v = as_variable(x)
    return v if v.dtype == "bool" else cast_op(v, "bool")


def pad_rank(x: Variable, rank: int) -> Variable:
    """``x`` with axes of extent 1 put before it; constant scalars need none."""
    if x.ndim == rank or (isinstance(x, Constant) and x.ndim == 0):
        return x
    pattern = (None,) * (rank - x.ndim) + tuple(range(x.ndim))
    return apply(OPS["dimshuffle"], [x], {"pattern": pattern}).outputs[0]


def normalize_axis(axis: object, rank: int, name: str, x: Variable | None = None) -> tuple[int, ...]:
    """A checked tuple of axes in 0..rank-1, sorted; None means all."""
    if axis is None:
        return tuple(range(rank))
    many: Sequence[Any] = axis if isinstance(axis, tuple | list) else (axis,)
    details = [describe(x)] if x is not None else []
    ints = [_axis(a, name, details) for a in many]
    bad = [a for a in ints if not -rank <= a < rank]
    if bad:
        reach = f"0 to {rank - 1}, or {-rank} to -1" if rank else "none: it is a scalar"
        raise AxisError(
            layout(f"{name}: axis {bad[0]} is out of range for rank {rank}", details, here_excerpt(), f"valid: {reach}")
        )
    axes = tuple(sorted(a % rank for a in ints))
    if len(set(axes)) < len(axes):
        headline = f"{name}: axis {axis!r} names one axis twice"
        raise AxisError(layout(headline, details, here_excerpt(), "name each axis once"))
    return axes


def _axis(a: Any, name: str, details: Sequence[str]) -> int:
    try:
        return operator.index(a.data.item() if isinstance(a, Constant) else a)
    except (TypeError, ValueError):
        raise AxisError(
            layout(f"{name}: axis is {a!r}", details, here_excerpt(), "an axis must be an integer")
        ) from None


def extent_of(v: Variable) -> int | None:
    """The value of an extent if it is a constant, or one that varies, else None."""
    if not isinstance(v, Constant):
        fixed, lengths = product_of(v) or (0, ())
        return cast(int, lengths[0]) if fixed == 1 and len(lengths) == 1 else None
    n = int(v.data)
    if n < 0:
        raise ShapeError(layout(f"an extent is {n}; it must be 0 or more", [], here_excerpt()))
    return n


def integer_scalar(n: object, what: str) -> Variable:
    """``n`` as an int64 scalar variable; ``what`` names it in a message."""
    v = as_variable(n)
    if v.ndim or not is_integer(v.dtype):
        fixed = v.ndim > 0 or isinstance(v, Constant)
        mend = "give an int or an integer scalar variable" if fixed else f"cast it: {in_code(v, 'n')}.astype('int64')"
        raise DTypeError(layout(f"{what} must be an integer scalar, not {v.type}", [describe(v)], here_excerpt(), mend))
    return convert(v, "int64")


def size_variable(n: object) -> Variable:
    """An extent as an int64 scalar variable."""
    return n.length if isinstance(n, Varying) else integer_scalar(n, "an extent")

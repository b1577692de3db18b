"""Variables made from extents: constant fills, ranges, grids, and the diagonals and triangles of matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.coercion import as_variable, common_dtype, convert, extent_of
from symgraph.errors import DTypeError, ShapeError, layout
from symgraph.expression import cast
from symgraph.formula import Compute, Operand, compute
from symgraph.graph import Constant, Variable, constant, describe, label
from symgraph.kinds import structured
from symgraph.op import OPS, Precondition, attach
from symgraph.ops import elementwise as ew
from symgraph.ops.broadcast import broadcast_like, expanded
from symgraph.ops.extents import Size, floordiv, maximum, size, sizes_of, sub, variables
from symgraph.ops.shape import extents, permute
from symgraph.origin import here_excerpt
from symgraph.types import TensorType, canonical, is_complex, is_inexact, is_integer

__all__ = [
    "zeros", "ones", "full", "empty", "zeros_like", "ones_like", "full_like", "alloc", "arange", "linspace",
]  # fmt: skip

# ------------------------------------------------------------------------------------------------ fills


def full(shape: Any, fill_value: Any, dtype: object = None) -> Variable:
    """``fill_value`` in every place of ``shape``.

    Parameters
    ----------
    shape : int, integer scalar Variable, or sequence of these
    fill_value : scalar or Variable
        Broadcast to ``shape``.
    dtype : str, optional
        Default: that of ``fill_value``.

    Returns
    -------
    Variable, shape ``shape``.

    Raises
    ------
    ShapeError
        If an extent is negative, or ``fill_value`` does not broadcast.
    DTypeError
        If an extent is no integer.
    """
    v = as_variable(fill_value)
    return expanded(v if dtype is None else convert(v, canonical(dtype)), sizes_of(shape, "full"))


def zeros(shape: Any, dtype: object = "floatX") -> Variable:
    """Zeros.

    Parameters
    ----------
    shape : int, integer scalar Variable, or sequence of these
    dtype : str

    Returns
    -------
    Variable, shape ``shape``.

    Raises
    ------
    ShapeError, DTypeError
        If an extent is negative, or no integer.
    """
    return expanded(constant(0, dtype), sizes_of(shape, "zeros"))


def ones(shape: Any, dtype: object = "floatX") -> Variable:
    """Ones.

    Parameters
    ----------
    shape : int, integer scalar Variable, or sequence of these
    dtype : str

    Returns
    -------
    Variable, shape ``shape``.

    Raises
    ------
    ShapeError, DTypeError
        If an extent is negative, or no integer.
    """
    return expanded(constant(1, dtype), sizes_of(shape, "ones"))


def empty(shape: Any, dtype: object = "floatX") -> Variable:
    """The same as ``zeros``: a formula has no contents that are undefined.

    Parameters
    ----------
    shape : int, integer scalar Variable, or sequence of these
    dtype : str

    Returns
    -------
    Variable, shape ``shape``.
    """
    return zeros(shape, dtype)


def full_like(x: Any, fill_value: Any, dtype: object = None) -> Variable:
    """``fill_value`` in every place of the shape of ``x``.

    Parameters
    ----------
    x : Variable
    fill_value : scalar or Variable
    dtype : str, optional
        Default: that of ``x``.

    Returns
    -------
    Variable, shape of ``x``.
    """
    v = as_variable(x)
    filling = convert(as_variable(fill_value), v.dtype if dtype is None else canonical(dtype))
    return broadcast_like(filling, v, "full_like")


def zeros_like(x: Any, dtype: object = None) -> Variable:
    """Zeros of the shape of ``x``.

    Parameters
    ----------
    x : Variable
    dtype : str, optional
        Default: that of ``x``.

    Returns
    -------
    Variable, shape of ``x``.
    """
    return full_like(x, 0, dtype)


def ones_like(x: Any, dtype: object = None) -> Variable:
    """Ones of the shape of ``x``.

    Parameters
    ----------
    x : Variable
    dtype : str, optional
        Default: that of ``x``.

    Returns
    -------
    Variable, shape of ``x``.
    """
    return full_like(x, 1, dtype)


def alloc(value: Any, *shape: Any) -> Variable:
    """``value`` broadcast to ``shape``.

    Parameters
    ----------
    value : scalar, array_like or Variable
    *shape : int or integer scalar Variable; or one sequence of these

    Returns
    -------
    Variable, dtype of ``value``.

    Raises
    ------
    ShapeError
        If ``value`` does not broadcast to ``shape``.
    """
    return full(shape[0] if len(shape) == 1 else shape, value)


# ------------------------------------------------------------------------------------------------ ranges


def _rises_or_falls(start: Variable, step: Variable, length: Variable, dtype: str) -> Sequence[Precondition]:
    """Whether a step that only a call knows is other than 0."""
    if isinstance(step, Constant):
        return ()
    return (Precondition(ew.neq(step, 0), "the step is 0", "give a step above or below 0", ShapeError),)


@structured(
    name="arange",
    infer=lambda start, step, length, dtype: TensorType(dtype, (extent_of(length),)),
    reference=lambda start, step, length, dtype: start + np.arange(int(length)).astype(dtype) * step,
    grad=lambda g, start, step, length, y, dtype: _range_grad(g, y),
    preconditions=_rises_or_falls,
    sizes_from=2,
)
def _arange(start: Operand, step: Operand, shape: tuple[int, ...], dtype: str) -> Compute:
    """start + i*step."""
    return compute(shape, lambda i: start[()] + cast(i, dtype) * step[()])


def _range_grad(g: Variable, y: Variable) -> list[Variable | None]:
    index = convert(arange_of(0, 1, extents(y)[0], "int64"), y.dtype)
    total = OPS["sum"]
    return [total(g), total(ew.mul(g, index))]  # type: ignore[operator]


def arange_of(start: object, step: object, length: Size, dtype: str) -> Variable:
    """``length`` numbers from ``start`` on, ``step`` apart."""
    ends = [convert(as_variable(v), dtype) for v in (start, step)]
    return _arange(*ends, *variables([length]), dtype=dtype)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: object = None) -> Variable:
    """start, start + step, ... below ``stop`` (above it for a negative step).

    Parameters
    ----------
    start, stop, step : number or scalar Variable
        With one argument it is ``stop``, and ``start`` is 0. Variables must be integers, for they decide the length.
    dtype : str, optional
        Default: the common dtype of the arguments, at least int64 for Python ints.

    Returns
    -------
    Variable, vector.

    Raises
    ------
    ShapeError
        If ``step`` is 0; when called, where only the call tells.
    DTypeError
        If a float Variable would decide the length: use ``linspace``.
    """
    first, last = (0, start) if stop is None else (start, stop)
    given = (first, last, step)
    kept = canonical(dtype) if dtype is not None else common_dtype(given)
    if is_complex(kept) or is_complex(common_dtype(given)):
        mend = "use linspace(start, stop, num)"
        raise DTypeError(layout("arange does not take complex numbers", [], here_excerpt(), mend))
    length = _range_length(*[as_variable(v) for v in given])
    return arange_of(first, step, length, kept)


def _range_length(start: Variable, stop: Variable, step: Variable) -> Size:
    ends = (start, stop, step)
    if isinstance(step, Constant) and step.data.size == 1 and not step.data.any():
        raise ShapeError(layout("arange: the step is 0", [], here_excerpt(), "give a step above or below 0"))
    if all(isinstance(v, Constant) and v.ndim == 0 for v in ends):
        first, last, by = (v.data.item() for v in ends if isinstance(v, Constant))
        exact = all(is_integer(v.dtype) for v in ends)
        return max(int(-((first - last) // by)) if exact else math.ceil((last - first) / by), 0)
    bad = [v for v in ends if v.ndim or not (is_integer(v.dtype) or _is_whole(v))]
    if bad:
        raise DTypeError(
            layout(f"arange: {label(bad[0])} is {bad[0].type}; what decides the length must be an integer scalar",
                   map(describe, bad), here_excerpt(), "give integers, or use linspace(start, stop, num)")
        )  # fmt: skip
    first, last, by = (size(convert(v, "int64")) for v in ends)
    if not (isinstance(by, int) and by == 1):
        return maximum(sub(0, floordiv(sub(first, last), by)), 0)
    return last if isinstance(first, int) and first == 0 and _is_extent(last) else maximum(sub(last, first), 0)


def _is_extent(n: Size) -> bool:
    """Whether it is the extent of something, which is not negative."""
    return isinstance(n, Variable) and n.owner is not None and n.owner.op is OPS["shape_of"]


def _is_whole(v: Variable) -> bool:
    return isinstance(v, Constant) and float(v.data).is_integer()


def linspace(start: Any, stop: Any, num: Any = 50, endpoint: bool = True, dtype: object = None) -> Variable:
    """``num`` numbers evenly spaced from ``start`` to ``stop``.

    Parameters
    ----------
    start, stop : number or scalar Variable
    num : int or integer scalar Variable
    endpoint : bool
        Whether ``stop`` itself is the last number.
    dtype : str, optional
        Default: the common float dtype of ``start`` and ``stop``, floatX for integers.

    Returns
    -------
    Variable, vector of length ``num``.
    """
    common = common_dtype((start, stop))
    kept = common if is_inexact(common) else canonical("floatX")
    a, b = (convert(as_variable(v), kept) for v in (start, stop))
    (count,) = sizes_of(num, "linspace")
    steps = maximum(sub(count, 1) if endpoint else count, 1)
    index = arange_of(0, 1, count, "int64")
    stride = ew.true_div(ew.sub(b, a), convert(variables([steps])[0], kept))
    y = ew.add(a, ew.mul(convert(index, kept), stride))
    if endpoint and not (isinstance(count, int) and count == 1):
        last = ew.and_(ew.eq(index, variables([sub(count, 1)])[0]), ew.lt(0, index))
        y = ew.switch(last, _as_vector(b), y)
    found: Variable = y
    return found if dtype is None else convert(found, canonical(dtype))


def _as_vector(x: Variable) -> Variable:
    """A scalar as a vector of one element."""
    return permute(x, (None,) * (1 - x.ndim) + tuple(range(x.ndim)))

for _name, _method in (("zeros_like", zeros_like), ("ones_like", ones_like)):
    attach(_name, _method)

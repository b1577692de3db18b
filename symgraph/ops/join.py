"""Joining and repeating: concatenate, stack, split, tile, repeat, roll, flip."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.coercion import as_variable, common_dtype, convert, integer_scalar, normalize_axis
from symgraph.errors import DTypeError, ShapeError, layout
from symgraph.expression import Expr, const, select
from symgraph.expression import maximum as highest_of
from symgraph.expression import minimum as least_of
from symgraph.formula import Compute, Operand, compute
from symgraph.graph import Variable, constant, describe, label
from symgraph.kinds import structured
from symgraph.op import attach
from symgraph.ops import elementwise as ew
from symgraph.ops.axes import expand_dims, moveaxis
from symgraph.ops.broadcast import expanded, specify_shape
from symgraph.ops.extents import Size, add, floordiv, mul, size, sizes_of, sub, total
from symgraph.ops.gather import gather
from symgraph.ops.shape import extents, flatten, permute, reshaped
from symgraph.ops.slicing import section, take_slice
from symgraph.origin import here_excerpt
from symgraph.types import Extent, TensorType, is_integer

__all__ = ["concatenate", "stack", "split", "tile", "repeat", "roll", "flip"]

# ------------------------------------------------------------------------------------------------ concatenate


def _joined_type(*xs: Variable, axis: int) -> TensorType:
    shape: list[Extent] = []
    for k in range(xs[0].ndim):
        column = [v.type.shape[k] for v in xs]
        if k == axis:
            shape.append(None if None in column else sum(n for n in column if n is not None))
            continue
        known = {n for n in column if n is not None}
        if len(known) > 1:
            raise ShapeError(
                layout(f"concatenate: the extents of axis {k} differ: {_listed(column)}", map(describe, xs),
                       here_excerpt(), f"all axes but the joined one, {axis}, must agree")
            )  # fmt: skip
        shape.append(known.pop() if known else None)
    return TensorType(xs[0].dtype, tuple(shape))


def _listed(column: Sequence[Extent]) -> str:
    return ", ".join("?" if n is None else str(n) for n in column)


def _joined_grad(g: Variable, *rest: Variable, axis: int) -> list[Variable | None]:
    start: Size = 0
    parts: list[Variable | None] = []
    for x in rest[:-1]:
        parts.append(section(g, start, extents(x)[axis], axis))
        start = add(start, extents(x)[axis])
    return parts


@structured(
    name="concatenate",
    infer=_joined_type,
    reference=lambda *xs, axis: np.concatenate(xs, axis),
    grad=_joined_grad,
    resolve=lambda *xs, axis: xs[0] if len(xs) == 1 else None,
)
def _concatenate(*xs: Operand, axis: int) -> Compute:
    """The operands one after the other along an axis: a choice between them at clamped indices."""
    lengths = [x.shape[axis] for x in xs]
    ends = list(itertools.accumulate(lengths))

    def element(*out: Expr) -> Expr:
        i, found = out[axis], None
        for x, n, end in reversed(list(zip(xs, lengths, ends, strict=True))):
            if n == 0:
                continue
            own = highest_of(least_of(i - (end - n), n - 1), 0)
            value = x[(*out[:axis], own, *out[axis + 1 :])]
            found = value if found is None else select(i < end, value, found)
        return const(0, xs[0].dtype) if found is None else found

    shape = list(xs[0].shape)
    shape[axis] = ends[-1]
    return compute(shape, element)


def concatenate(xs: Any, axis: int | None = 0) -> Variable:
    """``xs`` one after the other along an axis.

    Parameters
    ----------
    xs : sequence of Variable or array_like, or a Variable whose first axis is known
    axis : int, optional
        None: all are flattened.

    Returns
    -------
    Variable, the common dtype.

    Raises
    ------
    ShapeError
        If there is nothing to join, the ranks differ, or the extents of another axis differ.
    AxisError
        If ``axis`` is out of range.
    """
    given = list(xs)
    if not given:
        raise ShapeError("concatenate: there is nothing to join\ngive at least one variable")
    dtype = common_dtype(given)
    many = [convert(as_variable(x), dtype) for x in given]
    if axis is None:
        many, axis = [flatten(v) for v in many], 0
    if len({v.ndim for v in many}) > 1 or not many[0].ndim:
        what = "scalars have no axis" if not many[0].ndim else "the ranks differ"
        raise ShapeError(
            layout(f"concatenate: {what}", map(describe, many), here_excerpt(),
                   "use stack to join along a new axis, or insert axes with x[:, None]")
        )  # fmt: skip
    (along,) = normalize_axis((axis,), many[0].ndim, "concatenate", many[0])
    return many[0] if len(many) == 1 else _concatenate(*many, axis=along)


def stack(xs: Any, axis: int = 0) -> Variable:
    """``xs``, all of one shape, along a new axis.

    Parameters
    ----------
    xs : sequence of Variable or array_like
    axis : int
        Place of the new axis in the result.

    Returns
    -------
    Variable, the common dtype.

    Raises
    ------
    ShapeError
        If the shapes differ.
    AxisError
        If ``axis`` is out of range.
    """
    given = list(xs)
    if not given:
        raise ShapeError("stack: there is nothing to join\ngive at least one variable")
    dtype = common_dtype(given)
    many = [convert(as_variable(x), dtype) for x in given]
    if len({v.ndim for v in many}) > 1:
        raise ShapeError(
            layout("stack: the ranks differ", map(describe, many), here_excerpt(), "all must have one shape")
        )
    return concatenate([expand_dims(v, axis) for v in many], axis)


def split(x: Any, sections: Any, n_splits: int | None = None, axis: int = 0) -> list[Variable]:
    """``x`` cut along an axis: NumPy's ``split(x, indices)``, or Theano's ``split(x, sizes, n_splits)``.

    Parameters
    ----------
    x : Variable
    sections : int, or sequence of int or integer scalar Variable
        Without ``n_splits`` NumPy's meaning: a number of equal parts, or the *indices* before which to cut. With
        ``n_splits`` Theano's: the *sizes* of the parts.
    n_splits : int, optional
        How many parts there are: then ``sections`` holds their sizes, and may be a vector whose length is not known.
    axis : int

    Returns
    -------
    list of Variable, same dtype.

    Raises
    ------
    ShapeError
        If the axis does not divide into equal parts, or the extents do not add up to it: when built if that is known,
        else when called.
    AxisError
        If ``axis`` is out of range.

    Examples
    --------
    The first two of five elements, and the other three:

    >>> first, rest = split(x, [2])
    >>> first, rest = split(x, [2, 3], n_splits=2)
    """
    v = as_variable(x)
    (along,) = normalize_axis((axis,), v.ndim, "split", v)
    n = extents(v)[along]
    if isinstance(sections, int | np.integer):
        lengths = _equal_parts(v, n, int(sections), along)
    elif n_splits is not None:
        lengths = [size(sections[k]) for k in range(n_splits)]
    else:
        ends = [0, *sizes_of(sections, "split"), n]
        return [_between(v, a, b, along) for a, b in itertools.pairwise(ends)]
    v = _of_parts(v, n, lengths, along)
    starts: list[Size] = [0]
    for length in lengths[:-1]:
        starts.append(add(starts[-1], length))
    return [section(v, a, length, along) for a, length in zip(starts, lengths, strict=True)]


def _equal_parts(x: Variable, n: Size, parts: int, axis: int) -> list[Size]:
    if parts < 1 or (isinstance(n, int) and n % parts):
        raise ShapeError(
            layout(f"split({label(x)}, {parts}): axis {axis} of extent {n} does not divide into {parts} equal parts",
                   [describe(x)], here_excerpt(), "give the indices to cut at: split(x, [2, 5])")
        )  # fmt: skip
    return [floordiv(n, parts)] * parts


def _of_parts(x: Variable, n: Size, lengths: Sequence[Size], axis: int) -> Variable:
    """``x``, whose axis is as long as the parts together: checked when it is called if it is not known before."""
    whole = total(lengths)
    if isinstance(n, int) and isinstance(whole, int) and whole != n:
        raise ShapeError(
            layout(f"split({label(x)}): the parts add up to {whole}, axis {axis} has extent {n}", [describe(x)],
                   here_excerpt(), "the extents of the parts must add up to that of the axis")
        )  # fmt: skip
    return specify_shape(x, [whole if k == axis else None for k in range(x.ndim)])


def _between(x: Variable, start: Size, stop: Size, axis: int) -> Variable:
    key = [slice(None)] * x.ndim
    key[axis] = slice(start, stop)
    return x[tuple(key)]


# ------------------------------------------------------------------------------------------------ repeating


def tile(x: Any, reps: Any) -> Variable:
    """``x`` laid side by side.

    Parameters
    ----------
    x : Variable
    reps : int or integer scalar Variable, or sequence of these
        How often along each axis, aligned with the last axes as in broadcasting.

    Returns
    -------
    Variable, same dtype, of rank ``max(x.ndim, len(reps))``.
    """
    v, times = as_variable(x), list(sizes_of(reps, "tile"))
    rank = max(v.ndim, len(times))
    times[:0] = [1] * (rank - len(times))
    v = permute(v, (None,) * (rank - v.ndim) + tuple(range(v.ndim)))
    sizes = extents(v)
    pairs = [n for pair in zip(times, sizes, strict=True) for n in pair]
    wide = expanded(permute(v, tuple(p for k in range(rank) for p in (None, k))), pairs)
    return reshaped(wide, [mul(a, n) for a, n in zip(times, sizes, strict=True)])


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Variable:
    """``x`` with each element repeated.

    Parameters
    ----------
    x : Variable
    repeats : int, integer scalar Variable, or constant integer vector
        How often; a vector has one number for each element of the axis.
    axis : int, optional
        By default ``x`` is flattened first.

    Returns
    -------
    Variable, same dtype.

    Raises
    ------
    AxisError
        If ``axis`` is out of range.
    ShapeError
        If a vector ``repeats`` does not fit the axis.
    DTypeError
        If a vector ``repeats`` is symbolic: the extent of the result would depend on data.
    """
    v = as_variable(x)
    v, along = (flatten(v), 0) if axis is None else (v, normalize_axis((axis,), v.ndim, "repeat", v)[0])
    counts = as_variable(repeats)
    if counts.ndim:
        return _repeat_each(v, counts, along)
    (times,) = sizes_of(counts, "repeat")
    sizes = list(extents(v))
    n = sizes[along]
    apart = permute(v, (*range(along + 1), None, *range(along + 1, v.ndim)))
    wide = expanded(apart, [*sizes[: along + 1], times, *sizes[along + 1 :]])
    return reshaped(wide, [*sizes[:along], mul(n, times), *sizes[along + 1 :]])


def _repeat_each(x: Variable, counts: Variable, axis: int) -> Variable:
    data = getattr(counts, "data", None)
    if data is None or not is_integer(counts.dtype):
        raise DTypeError(
            layout(f"repeat({label(x)}): the vector of repeats is {counts.type} and not a constant of integers",
                   [describe(counts)], here_excerpt(), "give a list of ints, or one symbolic number for all")
        )  # fmt: skip
    n = x.type.shape[axis]
    if data.ndim != 1 or (n is not None and data.size not in (1, n)):
        raise ShapeError(
            layout(f"repeat({label(x)}): {data.size} repeats for axis {axis} of extent {n}", [describe(x)],
                   here_excerpt(), "give one number, or one for each element")
        )  # fmt: skip
    if data.size == 1 and n != 1:
        return repeat(x, int(data[0]), axis)
    index = constant(np.repeat(np.arange(data.size), data))
    return moveaxis(gather(x, [index], (axis,)), 0, axis)


# ------------------------------------------------------------------------------------------------ roll and flip


def _roll_grad(g: Variable, x: Variable, shift: Variable, y: Variable, axis: int) -> list[Variable | None]:
    return [_roll(g, ew.neg(shift), axis=axis), None]


@structured(
    name="roll",
    infer=lambda x, shift, axis: x.type,
    reference=lambda x, shift, axis: np.roll(x, int(shift), axis),
    grad=_roll_grad,
)
def _roll(x: Operand, shift: Operand, axis: int) -> Compute:
    """x moved along an axis; what leaves at the end comes in at the start."""
    n = max(x.shape[axis], 1)

    def element(*out: Expr) -> Expr:
        away = out[axis] - shift[()] % n
        return x[(*out[:axis], select(away < 0, away + n, away), *out[axis + 1 :])]

    return compute(x.shape, element)


def roll(x: Any, shift: Any, axis: int | Sequence[int] | None = None) -> Variable:
    """``x`` moved along an axis; what leaves at the end comes in at the start.

    Parameters
    ----------
    x : Variable
    shift : int or integer scalar Variable; or a sequence, one for each axis
    axis : int or sequence of int, optional
        By default ``x`` is flattened, moved, and brought back to its shape.

    Returns
    -------
    Variable, type of ``x``.

    Raises
    ------
    AxisError
        If an axis is out of range.
    """
    v = as_variable(x)
    if axis is None:
        return reshaped(roll(flatten(v), shift, 0), extents(v))
    axes = list(axis) if isinstance(axis, tuple | list) else [axis]
    shifts = list(shift) if isinstance(shift, tuple | list) else [shift] * len(axes)
    for by, along in zip(shifts, axes, strict=True):
        v = _roll(v, integer_scalar(by, "roll: the shift"), axis=normalize_axis((along,), v.ndim, "roll", v)[0])
    return v


def flip(x: Any, axis: int | Sequence[int] | None = None) -> Variable:
    """``x`` with the order of elements reversed.

    Parameters
    ----------
    x : Variable
    axis : int or sequence of int, optional
        By default all axes.

    Returns
    -------
    Variable, type of ``x``.

    Raises
    ------
    AxisError
        If an axis is out of range.
    """
    v = as_variable(x)
    for along in normalize_axis(axis, v.ndim, "flip", v):
        n = extents(v)[along]
        v = take_slice(v, sub(n, 1), n, -1, along)
    return v


attach("repeat", repeat)

"""Shape: extents, the one permutation op (dimshuffle), and reshape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph import varying
from symgraph.coercion import as_variable, extent_of, normalize_axis, size_variable
from symgraph.errors import ShapeError, layout
from symgraph.expression import INDEX, Expr, const
from symgraph.formula import Compute, Operand, compute, row_major
from symgraph.graph import Apply, Variable, describe, label
from symgraph.kinds import Elementwise, structured
from symgraph.op import attach, attach_property
from symgraph.ops.extents import Size, floordiv, maximum, product, same, sizes_of, variables
from symgraph.origin import here_excerpt
from symgraph.types import Extent, TensorType

__all__ = ["shape", "dimshuffle", "reshape", "flatten"]

# ------------------------------------------------------------------------------------------------ extents


@structured(
    name="shape_of",
    infer=lambda x, axis: TensorType("int64", ()),
    reference=lambda x, axis: np.int64(x.shape[axis]),
    grad=lambda g, x, y, axis: [None],
    resolve=lambda x, axis: None if x.type.shape[axis] is None else size_variable(x.type.shape[axis]),
)
def _shape_of(x: Operand, axis: int) -> Compute:
    """The extent of one axis."""
    return compute((), lambda: const(x.shape[axis], INDEX))


def shape_of(x: Variable, axis: int) -> Variable:
    """The extent of ``axis`` as an int64 scalar: a constant where it is known."""
    n = x.type.shape[axis]
    if n is not None:
        return size_variable(n)
    source: tuple[Variable, int] | None = (x, axis)
    while source is not None:
        x, axis = source
        source = _same_extent(x, axis)
    return _shape_of(x, axis=axis)


def _same_extent(x: Variable, axis: int) -> tuple[Variable, int] | None:
    """An axis of an input that plainly has the extent of ``axis``: no more of the graph than that needs to be known."""
    node = x.owner
    if node is None:
        return None
    if node.op is _dimshuffle:
        return node.inputs[0], node.attrs["pattern"][axis]
    if "keepdims" in node.attrs:
        left = range(node.inputs[0].ndim) if node.attrs["keepdims"] else _not_reduced(node)
        return node.inputs[0], left[axis]
    if node.op.name in ("broadcast_like", "sum_to", "gradient_of"):
        return node.inputs[1], axis
    if node.op.name == "dot":
        return node.inputs[axis], axis
    if node.op.name == "slice" and axis != node.attrs["axis"]:
        return node.inputs[0], axis
    if not isinstance(node.op, Elementwise):
        return None
    open_ = {v for v in node.inputs if v.ndim and v.type.shape[axis] is None}
    return (open_.pop(), axis) if len(open_) == 1 else None


def _not_reduced(node: Apply) -> list[int]:
    return [k for k in range(node.inputs[0].ndim) if k not in node.attrs["axis"]]


def shape(x: Any) -> tuple[Variable, ...]:
    """The extents of ``x``: a tuple of int64 scalars, constants where they are known.

    Parameters
    ----------
    x : Variable

    Returns
    -------
    tuple of Variable, one for each axis.
    """
    v = as_variable(x)
    return tuple(shape_of(v, k) for k in range(v.ndim))


def extents(x: Variable) -> tuple[Size, ...]:
    """The extents of ``x``: ints where they are known."""
    return tuple(shape_of(x, k) if n is None else n for k, n in enumerate(x.type.shape))


def elements(x: Variable) -> Variable:
    """The number of elements of ``x``, an int64 scalar."""
    return variables([product(extents(x))])[0]


# ------------------------------------------------------------------------------------------------ dimshuffle

Pattern = tuple[int | None, ...]


def _dimshuffle_type(x: Variable, pattern: Pattern) -> TensorType:
    for k in set(range(x.ndim)) - set(pattern):
        if x.type.shape[k] not in (1, None):
            raise ShapeError(
                layout(f"dimshuffle({label(x)}, {_show(pattern)}): axis {k} is left out but has extent "
                       f"{x.type.shape[k]}, not 1", [describe(x)], here_excerpt(),
                       f"name every axis of {label(x)} that has more than one element; or take one element: x[0]")
            )  # fmt: skip
    return TensorType(x.dtype, tuple(1 if p is None else x.type.shape[p] for p in pattern))


def _show(pattern: Pattern) -> str:
    return "(" + ", ".join("'x'" if p is None else str(p) for p in pattern) + ")"


def inverse(pattern: Pattern, rank: int) -> Pattern:
    """The pattern that undoes ``pattern`` on a variable of ``rank``."""
    return tuple(pattern.index(k) if k in pattern else None for k in range(rank))


def _dimshuffle_numpy(x: np.ndarray, pattern: Pattern) -> np.ndarray:
    axes = [p for p in pattern if p is not None]
    dropped = tuple(k for k in range(x.ndim) if k not in axes)
    moved = np.transpose(x, [*axes, *dropped]).reshape([x.shape[k] for k in axes])
    return moved[tuple(None if p is None else slice(None) for p in pattern)]


@structured(
    name="dimshuffle",
    infer=_dimshuffle_type,
    reference=_dimshuffle_numpy,
    grad=lambda g, x, y, pattern: [permute(g, inverse(pattern, x.ndim))],
)
def _dimshuffle(x: Operand, pattern: Pattern) -> Compute:
    """Axes permuted, inserted with extent 1, or (of extent 1) dropped."""

    def element(*out: Expr) -> Expr:
        at = {p: i for p, i in zip(pattern, out, strict=True) if p is not None}
        return x[tuple(at.get(k, const(0, INDEX)) for k in range(len(x.shape)))]

    return compute([1 if p is None else x.shape[p] for p in pattern], element)


_dimshuffle.broadcasts = False


def permute(x: Variable, pattern: Pattern) -> Variable:
    """``dimshuffle`` by a checked pattern; one of a dimshuffle is merged with it, an idle one is ``x``."""
    if x.owner is not None and x.owner.op is _dimshuffle:
        first: Pattern = x.owner.attrs["pattern"]
        return permute(x.owner.inputs[0], tuple(None if p is None else first[p] for p in pattern))
    return x if pattern == tuple(range(x.ndim)) else _dimshuffle(x, pattern=pattern)


def dimshuffle(x: Any, *pattern: object) -> Variable:
    """The axes of ``x`` in a new order.

    Parameters
    ----------
    x : Variable, shape (n0, n1, ...)
    *pattern : int, 'x' or None; or one sequence of these
        For each axis of the result the axis of ``x`` it is, or ``'x'`` (None) for a new axis of extent 1. Axes of ``x``
        that are left out must have extent 1.

    Returns
    -------
    Variable, same dtype.

    Raises
    ------
    AxisError
        If an axis is out of range or named twice.
    ShapeError
        If an axis with an extent other than 1 is left out.
    """
    v = as_variable(x)
    given: Sequence[object] = pattern
    if len(pattern) == 1 and isinstance(pattern[0], tuple | list):
        given = pattern[0]
    axes = [p for p in given if not _is_new(p)]
    normalize_axis(tuple(axes), v.ndim, "dimshuffle", v)
    return permute(v, tuple(None if _is_new(p) else one_axis(p, v, "dimshuffle") for p in given))


def _is_new(p: object) -> bool:
    return p is None or (isinstance(p, str) and p == "x")


def one_axis(axis: object, x: Variable, name: str) -> int:
    """A single axis, checked and counted from the front."""
    return normalize_axis((axis,), x.ndim, name, x)[0]


# ------------------------------------------------------------------------------------------------ reshape


def _reshape_type(x: Variable, *sizes: Variable, inferred: int | None) -> TensorType:
    new = tuple(map(extent_of, sizes))
    old = x.type.shape
    if None not in new and None not in old and varying.product(new) != varying.product(old):  # type: ignore[arg-type]
        raise _bad_reshape(x, [-1 if k == inferred else n for k, n in enumerate(new)])
    return TensorType(x.dtype, new)


def _bad_reshape(x: Variable, new: Sequence[Extent]) -> ShapeError:
    """The error for a shape as the user wrote it, -1 included."""
    count = math.prod(n for n in x.type.shape if n is not None)
    wanted = math.prod(n for n in new if n is not None and n >= 0)
    what = f"which {wanted} does not divide" if -1 in new else f"the shape has {wanted}"
    text = ", ".join("?" if n is None else str(n) for n in new)
    return ShapeError(
        layout(f"reshape({label(x)}, ({text})): {label(x)} has {count} elements, {what}", [describe(x)],
               here_excerpt(), "the products of the extents must agree; -1 stands for the one that makes them so")
    )  # fmt: skip


def _unravel(flat: Expr, sizes: Sequence[int]) -> list[Expr]:
    """The indices of flat index ``flat``: quotients and remainders of constants."""
    index = []
    for k, n in enumerate(sizes):
        quotient = flat // math.prod(sizes[k + 1 :])
        index.append(quotient if k == 0 else quotient % n)
    return index


def _groups(old: Sequence[int], new: Sequence[int]) -> list[tuple[slice, slice]]:
    """The shortest runs of axes with equal products: indices need not be mixed across runs."""
    found, i, j = [], 0, 0
    if old and new and varying.as_varying(old[0]) and old[0] == new[0]:
        found, i, j = [(slice(0, 1), slice(0, 1))], 1, 1
    while i < len(old) or j < len(new):
        first, p, q = (i, j), 1, 1
        while True:
            if p <= q and i < len(old) and (p < q or i == first[0]):
                p, i = p * old[i], i + 1
            elif j < len(new) and (q < p or j == first[1]):
                q, j = q * new[j], j + 1
            else:
                break
        found.append((slice(first[0], i), slice(first[1], j)))
    return found


@structured(
    name="reshape",
    infer=_reshape_type,
    reference=lambda x, *sizes, inferred: np.reshape(x, [int(n) for n in sizes]),
    grad=lambda g, x, *rest, inferred: [reshaped(g, extents(x))],
    sizes_from=1,
    resolve=lambda x, *sizes, inferred: None if inferred is None else reshaped(x, sizes_of(sizes, "reshape")),
)
def _reshape(x: Operand, shape: tuple[int, ...], inferred: int | None) -> Compute:
    """The same elements in row-major order under other extents."""

    def element(*out: Expr) -> Expr:
        if 0 in shape:
            return x[(const(0, INDEX),) * len(x.shape)]
        index: list[Expr] = []
        for old, new in _groups(x.shape, shape):
            index += _unravel(row_major(out[new], shape[new]), x.shape[old])
        return x[tuple(index)]

    return compute(shape, element)


_reshape.is_view = True


def reshape(x: Any, *shape: Any, ndim: int | None = None) -> Variable:
    """The elements of ``x`` in row-major order under another shape.

    Parameters
    ----------
    x : Variable
    *shape : int or integer scalar Variable, or one sequence of these
        One extent may be -1: it becomes what makes the number of elements agree.
    ndim : int, optional
        Rank of the result; only needed with a shape that is a vector of unknown length, and then the elements are
        taken one by one.

    Returns
    -------
    Variable, same dtype.

    Raises
    ------
    ShapeError
        If the number of elements changes (when built if both shapes are known, else when the function is called).
    """
    v = as_variable(x)
    given: Any = shape[0] if len(shape) == 1 else shape
    if ndim is not None and isinstance(given, Variable) and given.ndim == 1:
        given = [given[k] for k in range(ndim)]
    sizes = sizes_of(given, "reshape", least=-1)
    if sum(n == -1 for n in sizes if isinstance(n, int)) > 1:
        raise ShapeError(
            layout(f"reshape({label(v)}): more than one extent is -1", [describe(v)], here_excerpt(),
                   "only one extent can be worked out; give the others")
        )  # fmt: skip
    return reshaped(v, _fill(v, sizes), next((k for k, n in enumerate(sizes) if isinstance(n, int) and n == -1), None))


def _fill(x: Variable, sizes: Sequence[Size]) -> tuple[Size, ...]:
    """``sizes`` with the -1 worked out."""
    open_ = [k for k, n in enumerate(sizes) if isinstance(n, int) and n == -1]
    if not open_:
        return tuple(sizes)
    rest, count = product([n for k, n in enumerate(sizes) if k not in open_]), product(extents(x))
    if isinstance(rest, int) and isinstance(count, int) and (rest == 0 or count % rest):
        raise _bad_reshape(x, [n if isinstance(n, int) else None for n in sizes])
    filled = floordiv(count, rest if isinstance(rest, int) else maximum(rest, 1))
    return tuple(filled if k in open_ else n for k, n in enumerate(sizes))


def reshaped(x: Variable, sizes: Sequence[Size], inferred: int | None = None) -> Variable:
    """``reshape`` to extents without -1, of which the user left out ``inferred``; an idle one is ``x``."""
    return x if same(sizes, extents(x)) else _reshape(x, *variables(sizes), inferred=inferred)


def flatten(x: Any, ndim: int = 1, *, outdim: int | None = None) -> Variable:
    """``x`` with its last axes made one.

    Parameters
    ----------
    x : Variable
    ndim : int
        Rank of the result: the first ``ndim - 1`` axes stay, the rest become one.
    outdim : int, optional
        Another name of ``ndim``.

    Returns
    -------
    Variable, same dtype.

    Raises
    ------
    ShapeError
        If ``ndim`` is not between 1 and the rank of ``x``.
    """
    v, rank = as_variable(x), ndim if outdim is None else outdim
    if not 1 <= rank <= max(v.ndim, 1):
        raise ShapeError(
            layout(f"flatten({label(v)}, {rank}): the result cannot have rank {rank}", [describe(v)], here_excerpt(),
                   f"give a rank from 1 to {max(v.ndim, 1)}")
        )  # fmt: skip
    sizes = extents(v)
    return reshaped(v, (*sizes[: rank - 1], product(sizes[rank - 1 :])))


for _name, _method in (("dimshuffle", dimshuffle), ("reshape", reshape), ("flatten", flatten), ("ravel", flatten)):
    attach(_name, _method)
attach_property("shape", shape)
attach_property("size", elements)

"""Contractions: dot and everything that is one.

Two ops carry the work: ``dot`` of matrices and ``batched_dot`` of stacks of matrices. Vectors become matrices by
``dimshuffle``, several axes become one by ``reshape``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.coercion import as_variable, common_dtype, convert, normalize_axis
from symgraph.errors import AxisError, ShapeError, layout
from symgraph.expression import INDEX, Expr, const
from symgraph.formula import SUM, Compute, Operand, compute
from symgraph.graph import Apply, Variable, describe, in_code, label
from symgraph.kinds import structured
from symgraph.op import GradResult, attach, attach_property
from symgraph.ops.broadcast import specify_shape
from symgraph.ops.complexes import conj
from symgraph.ops.elementwise import mul
from symgraph.ops.extents import product
from symgraph.ops.shape import extents, permute, reshaped
from symgraph.origin import here_excerpt
from symgraph.types import Extent, TensorType, broadcast_shapes

__all__ = ["dot", "matmul", "tensordot", "batched_dot", "outer"]


# ------------------------------------------------------------------------------------------------ the two ops


def _dot_type(x: Variable, w: Variable) -> TensorType:
    _check_inner("dot", x, w, x.type.shape[1], w.type.shape[0])
    return TensorType(x.dtype, (x.type.shape[0], w.type.shape[1]))


def _dot_grad(g: Variable, x: Variable, w: Variable, y: Variable) -> GradResult:
    return [dot_op(g, swapped(w)), dot_op(swapped(x), g)]


@structured(name="dot", infer=_dot_type, reference=np.matmul, grad=_dot_grad)
def dot_op(x: Operand, w: Operand) -> Compute:
    """y[i, j] = sum over k of x[i, k] * w[k, j]."""
    (rows, inner), (_, columns) = x.shape, w.shape
    return compute((rows, columns), lambda i, j, k: x[i, k] * w[k, j], over=(inner,), combiner=SUM)


dot_op.broadcasts = False


def _batched_dot_type(x: Variable, w: Variable) -> TensorType:
    _check_inner("batched_dot", x, w, x.type.shape[-1], w.type.shape[-2])
    try:
        batch = broadcast_shapes([x.type.shape[:-2], w.type.shape[:-2]])
    except ShapeError as error:
        raise ShapeError(
            layout(f"batched_dot({label(plain(x))}, {label(plain(w))}): leading axes: {error}",
                   [describe(plain(x)), describe(plain(w))], here_excerpt(),
                   "all axes but the last two must be equal or 1")
        ) from None  # fmt: skip
    return TensorType(x.dtype, (*batch, x.type.shape[-2], w.type.shape[-1]))


def _batched_dot_grad(g: Variable, x: Variable, w: Variable, y: Variable) -> GradResult:
    return [batched_dot_op(g, swapped(w)), batched_dot_op(swapped(x), g)]


@structured(name="batched_dot", infer=_batched_dot_type, reference=np.matmul, grad=_batched_dot_grad)
def batched_dot_op(x: Operand, w: Operand) -> Compute:
    """y[..., i, j] = sum over k of x[..., i, k] * w[..., k, j]; leading axes of extent 1 are repeated."""
    (*x_batch, rows, inner), (*w_batch, _, columns) = x.shape, w.shape
    batch = [m if n == 1 else n for m, n in zip(x_batch, w_batch, strict=True)]

    def formula(*index: Expr) -> Expr:
        *lead, i, j, k = index
        return x[(*_repeated(lead, x_batch), i, k)] * w[(*_repeated(lead, w_batch), k, j)]

    return compute((*batch, rows, columns), formula, over=(inner,), combiner=SUM)


def _repeated(index: Sequence[Expr], shape: Sequence[int]) -> list[Expr]:
    return [const(0, INDEX) if n == 1 else i for i, n in zip(index, shape, strict=True)]


def swapped(x: Variable) -> Variable:
    """``x`` with its last two axes exchanged."""
    return permute(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def adjoint(x: Variable) -> Variable:
    """``x`` with its last two axes exchanged, conjugate where it is complex."""
    return swapped(conj(x))


def _stack(x: Variable) -> Variable:
    if x.ndim < 2:
        raise ShapeError(
            layout(f"{label(x)}.mT: {x.type} has no rows and columns", [describe(x)], here_excerpt(),
                   "give it two axes, x[None]")
        )  # fmt: skip
    return x


def plain(x: Variable) -> Variable:
    """What the user wrote, below the casts and the axes of extent 1 that were put on it."""
    while x.owner is not None and (x.owner.op.name == "cast" or _only_adds_axes(x.owner)):
        x = x.owner.inputs[0]
    return x


def _only_adds_axes(node: Apply) -> bool:
    if node.op.name != "dimshuffle":
        return False
    return [p for p in node.attrs["pattern"] if p is not None] == list(range(node.inputs[0].ndim))


def _check_inner(name: str, x: Variable, w: Variable, columns: Extent, rows: Extent) -> None:
    if columns is None or rows is None or columns == rows:
        return
    left, right = plain(x), plain(w)
    a, b = label(left), label(right)
    if a == b and left is not right:
        a, b = f"the first {a}", f"the second {b}"
    wanted = (*w.type.shape[:-2], columns, w.type.shape[-1]) if right.ndim > 1 else (columns,)
    text = ", ".join("?" if n is None else str(n) for n in wanted) + "," * (len(wanted) == 1)
    raise ShapeError(
        layout(f"{name}({label(left)}, {label(right)}): inner sizes differ: {a} has {columns} "
               f"{'columns' if left.ndim > 1 else 'elements'}, {b} has {rows} "
               f"{'rows' if right.ndim > 1 else 'elements'}",
               [describe(left), describe(right)], here_excerpt(),
               f"{b} should have shape ({text}){_turned(left, right)}.")
    )  # fmt: skip


def _turned(x: Variable, w: Variable) -> str:
    """Which of the factors to transpose, if that makes them fit."""
    if x.ndim != 2 or w.ndim != 2:
        return ""
    (m, k), (n, p) = x.type.shape, w.type.shape
    a, b = in_code(x, "x"), in_code(w, "w")
    if p in (k, None):
        return f"; or use {a} @ {b}.T if {b} holds one row per output"
    return f"; or use {a}.T @ {b} if {a} holds one example per column" if m in (n, None) else ""


# ------------------------------------------------------------------------------------------------ functions


def _operands(x: Any, w: Any) -> tuple[Variable, Variable, str]:
    """The factors in the dtype they are multiplied in, and the dtype of the result; float16 is summed in float32."""
    dtype = common_dtype([x, w])
    wide = "float32" if dtype == "float16" else dtype
    return convert(x, wide), convert(w, wide), dtype


def dot(x: Any, w: Any) -> Variable:
    """The dot product: sum over the last axis of ``x`` and the last but one of ``w`` (the only one of a vector).

    Parameters
    ----------
    x : Variable, shape (..., k), or scalar
    w : Variable, shape (..., k, n) or (k,), or scalar

    Returns
    -------
    Variable, common dtype of ``x`` and ``w``
        Of shape x.shape[:-1] + w.shape[:-2] + w.shape[-1:]; with a scalar the elementwise product.

    Raises
    ------
    ShapeError
        If the inner sizes differ.
    """
    a, b = as_variable(x), as_variable(w)
    if a.ndim == 0 or b.ndim == 0:
        return mul(x, w)  # type: ignore[no-any-return]
    return tensordot(x, w, ([-1], [-2 if b.ndim > 1 else -1]), _name="dot")


def tensordot(x: Any, w: Any, axes: Any = 2, *, _name: str = "tensordot") -> Variable:
    """The sum of products over given axes of ``x`` and ``w``.

    Parameters
    ----------
    x, w : Variable
    axes : int, or pair of int or of sequences of int
        Axes summed over: the last so many of ``x`` with the first of ``w``, or those of ``x`` with those of ``w``, in
        order.

    Returns
    -------
    Variable, common dtype
        The other axes of ``x``, then the other axes of ``w``.

    Raises
    ------
    AxisError
        If an axis is out of range or named twice, or the two lists differ in length.
    ShapeError
        If extents that are summed over together differ.
    """
    a, b, dtype = _operands(x, w)
    left, right = _paired_axes(axes, a, b, _name)
    _check_extents(a, b, left, right, _name)
    if len(left) > 1:
        b = _specified(b, right, [extents(a)[k] for k in left])
    rows, columns = _others(a, left), _others(b, right)
    first = _grouped(a, (rows, left))
    second = _grouped(b, (right, columns))
    shape = [extents(a)[k] for k in rows] + [extents(b)[k] for k in columns]
    return convert(_ungrouped(dot_op(first, second), shape, (len(rows), len(columns))), dtype)


def _paired_axes(axes: Any, x: Variable, w: Variable, name: str) -> tuple[list[int], list[int]]:
    if isinstance(axes, int):
        if not 0 <= axes <= min(x.ndim, w.ndim):
            raise AxisError(
                layout(f"{name}: axes is {axes}, the ranks are {x.ndim} and {w.ndim}", [describe(x), describe(w)],
                       here_excerpt(), f"give 0 to {min(x.ndim, w.ndim)}, or two lists of axes")
            )  # fmt: skip
        return list(range(x.ndim - axes, x.ndim)), list(range(axes))
    first, second = ([a] if isinstance(a, int) else list(a) for a in axes)
    if len(first) != len(second):
        raise AxisError(f"{name}: {len(first)} axes of the first, {len(second)} of the second\nname them in pairs")
    for each, v in ((first, x), (second, w)):
        normalize_axis(each, v.ndim, name, v)
    return [a % x.ndim for a in first], [a % w.ndim for a in second]


def _check_extents(x: Variable, w: Variable, left: Sequence[int], right: Sequence[int], name: str) -> None:
    """Each pair must agree."""
    if len(left) == 1:
        return _check_inner(name, x, w, x.type.shape[left[0]], w.type.shape[right[0]])
    for i, j in zip(left, right, strict=True):
        m, n = x.type.shape[i], w.type.shape[j]
        if m is not None and n is not None and m != n:
            raise ShapeError(
                layout(f"{name}({label(x)}, {label(w)}): axis {i} of {label(x)} has extent {m}, axis {j} of "
                       f"{label(w)} has {n}", [describe(x), describe(w)], here_excerpt(),
                       "axes that are summed over together must have equal extents")
            )  # fmt: skip
    return None


def _specified(x: Variable, axes: Sequence[int], sizes: Sequence[Any]) -> Variable:
    """``x`` with extents that are checked at the call: once axes are merged only their product would be seen."""
    wanted: list[Any] = [None] * x.ndim
    for axis, n in zip(axes, sizes, strict=True):
        wanted[axis] = n
    return specify_shape(x, wanted)


def _others(x: Variable, axes: Sequence[int]) -> list[int]:
    return [k for k in range(x.ndim) if k not in axes]


def _grouped(x: Variable, groups: Sequence[Sequence[int]]) -> Variable:
    """``x`` with one axis for each group of its axes; a group of none is an axis of extent 1."""
    if all(len(group) < 2 for group in groups):
        return permute(x, tuple(group[0] if group else None for group in groups))
    moved = permute(x, tuple(k for group in groups for k in group))
    return reshaped(moved, [product([extents(x)[k] for k in group]) for group in groups])


def _ungrouped(x: Variable, shape: Sequence[Any], counts: Sequence[int]) -> Variable:
    """The inverse of ``_grouped``: axis k of ``x`` becomes ``counts[k]`` axes, whose extents stand in ``shape``."""
    if any(n > 1 for n in counts):
        return reshaped(x, shape)
    return permute(x, tuple(k for k, n in enumerate(counts) if n))


def matmul(x: Any, w: Any) -> Variable:
    """The matrix product ``x @ w``; leading axes are stacks of matrices and broadcast.

    Parameters
    ----------
    x : Variable, shape (..., m, k) or (k,)
    w : Variable, shape (..., k, n) or (k,)

    Returns
    -------
    Variable, common dtype, shape (..., m, n); a vector's axis is left out.

    Raises
    ------
    ShapeError
        If an operand is a scalar, the inner sizes differ, or the leading axes do not broadcast.
    """
    a, b, dtype = _operands(x, w)
    for v in (a, b):
        if v.ndim == 0:
            raise ShapeError(
                layout(f"matmul({label(a)}, {label(b)}): {label(v)} is a scalar", [describe(a), describe(b)],
                       here_excerpt(), "multiply by a scalar with *")
            )  # fmt: skip
    if b.ndim <= 2:
        return convert(tensordot(a, b, ([-1], [0]), _name="dot"), dtype)
    row = a.ndim == 1
    stack = permute(a, (None, 0)) if row else a
    rank = max(stack.ndim, b.ndim)
    product_ = batched_dot_op(_raised(stack, rank), _raised(b, rank))
    return convert(permute(product_, (*range(rank - 2), rank - 1)) if row else product_, dtype)


def _raised(x: Variable, rank: int) -> Variable:
    return permute(x, (None,) * (rank - x.ndim) + tuple(range(x.ndim)))


def batched_dot(x: Any, w: Any) -> Variable:
    """The dot product of each ``x[b]`` with ``w[b]``.

    Parameters
    ----------
    x : Variable, shape (batch, ..., k)
    w : Variable, shape (batch, k, ...) or (batch, k)

    Returns
    -------
    Variable, common dtype
        ``stack([dot(x[b], w[b]) for b in range(batch)])`` for operands of two or three axes.

    Raises
    ------
    ShapeError
        If an operand has fewer than two or more than three axes, or sizes do not match.
    """
    a, b, dtype = _operands(x, w)
    for v in (a, b):
        if v.ndim not in (2, 3):
            raise ShapeError(
                layout(f"batched_dot({label(a)}, {label(b)}): {label(v)} has {v.ndim} axes, it must have 2 or 3",
                       [describe(a), describe(b)], here_excerpt(), "use matmul for more leading axes")
            )  # fmt: skip
    left = a if a.ndim == 3 else permute(a, (0, None, 1))
    right = b if b.ndim == 3 else permute(b, (0, 1, None))
    kept = (0, *([1] if a.ndim == 3 else []), *([2] if b.ndim == 3 else []))
    return convert(permute(batched_dot_op(left, right), kept), dtype)


def outer(x: Any, w: Any) -> Variable:
    """y[i, j] = x[i] * w[j] of two vectors; operands of other ranks are flattened.

    Parameters
    ----------
    x, w : Variable

    Returns
    -------
    Variable, common dtype, shape (x.size, w.size).
    """
    a, b = (reshaped(v, [product(extents(v))]) if v.ndim != 1 else v for v in map(as_variable, (x, w)))
    return mul(permute(a, (0, None)), permute(b, (None, 0)))  # type: ignore[no-any-return]


attach("dot", dot)
attach_property("mT", lambda x: swapped(_stack(x)))
attach("__matmul__", matmul)
attach("__rmatmul__", lambda x, other: matmul(other, x))

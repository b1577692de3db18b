"""Running sums and products, and counts.

Products are differentiated without a division, so zeros are right: the gradient of a running product is a linear
recurrence, and so is the gradient of a linear recurrence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph import expression, formula
from symgraph.coercion import as_variable, convert, normalize_axis
from symgraph.errors import AxisError, DTypeError, ShapeError, layout
from symgraph.expression import Expr, select
from symgraph.formula import Combiner, Compute, Operand, Terms, compute, scatter
from symgraph.graph import Constant, Variable, apply, constant, describe, in_code, label
from symgraph.kinds import structured
from symgraph.op import OPS, Precondition, attach
from symgraph.ops.broadcast import expanded
from symgraph.ops.elementwise import ge, lt, mul
from symgraph.ops.extents import size
from symgraph.ops.shape import flatten, shape_of
from symgraph.origin import here_excerpt
from symgraph.types import UNSIGNED, TensorType, canonical, is_inexact, is_integer
from symgraph.varying import term

__all__ = ["cumsum", "cumprod", "bincount"]

# ------------------------------------------------------------------------------------------------ dtypes


def total_dtype(dtype: str) -> str:
    """The dtype of a sum or product: int64 of integers and bools, uint64 of unsigned, else the same."""
    return dtype if is_inexact(dtype) else "uint64" if dtype in UNSIGNED else "int64"


def wide(x: Variable) -> Variable:
    """float16 as float32, in which its sums accumulate."""
    return convert(x, "float32") if x.dtype == "float16" else x


# ------------------------------------------------------------------------------------------------ running results


def _flipped(x: Any, axis: int, reverse: bool = True) -> Any:
    return OPS["reverse"](x, axis=axis) if reverse else x  # type: ignore[operator]


def _cumsum_grad(g: Any, x: Any, y: Any, axis: int) -> list[Variable]:
    return [_flipped(_cumsum(_flipped(g, axis), axis=axis), axis)]


def _shift_grad(g: Any, x: Any, y: Any, axis: int, fill: float) -> list[Variable]:
    return [_flipped(_shift(_flipped(g, axis), axis=axis, fill=0.0), axis)]


@structured(
    name="reverse",
    infer=lambda x, axis: x.type,
    reference=lambda x, axis: np.flip(x, axis),
    grad=lambda g, x, y, axis: [_flipped(g, axis)],
)
def _reverse(x: Operand, axis: int) -> Compute:
    """x from its last element along ``axis`` to its first."""

    def element(*at: Expr) -> Expr:
        return x[tuple(term(x.shape[k]) - 1 - i if k == axis else i for k, i in enumerate(at))]

    return compute(x.shape, element)


@structured(
    name="cumsum",
    infer=lambda x, axis: x.type,
    reference=lambda x, axis: np.cumsum(x, axis, dtype=x.dtype),
    grad=_cumsum_grad,
)
def _cumsum(x: Operand, axis: int) -> Compute:
    """The sum of each element and those before it."""
    return compute(x.shape, lambda *at: x[at], combiner=formula.SUM, prefix=axis)


@structured(
    name="cumprod",
    infer=lambda x, axis: x.type,
    reference=lambda x, axis: np.cumprod(x, axis, dtype=x.dtype),
    grad=lambda g, x, y, axis: [mul(product_before(x, axis), _backwards(x, g, axis))],
)
def _cumprod(x: Operand, axis: int) -> Compute:
    """The product of each element and those before it."""
    return compute(x.shape, lambda *at: x[at], combiner=formula.PROD, prefix=axis)


def _shift_numpy(x: np.ndarray, axis: int, fill: float) -> np.ndarray:
    y = np.roll(x, 1, axis)
    y[(slice(None),) * axis + (slice(0, 1),)] = fill
    return y


@structured(
    name="shift",
    infer=lambda x, axis, fill: x.type,
    reference=_shift_numpy,
    grad=_shift_grad,
)
def _shift(x: Operand, axis: int, fill: float) -> Compute:
    """x moved on by one along ``axis``, ``fill`` at the start."""

    def element(*at: Expr) -> Expr:
        before = expression.maximum(at[axis] - 1, 0)
        return select(at[axis] < 1, expression.const(fill, x.dtype), x[(*at[:axis], before, *at[axis + 1 :])])

    return compute(x.shape, element)


def product_before(x: Variable, axis: int, reverse: bool = False) -> Variable:
    """For each element the product of those before it along ``axis`` (``reverse``: of those after it)."""
    y = _flipped(x, axis, reverse)
    return _flipped(_shift(_cumprod(y, axis=axis), axis=axis, fill=1.0), axis, reverse)  # type: ignore[no-any-return]


# ------------------------------------------------------------------------------------------------ linear recurrence


def _compose(first: Terms, second: Terms) -> Terms:
    """The map s -> a*s + b of ``first``, then that of ``second``."""
    (a, b), (c, d) = first, second
    return a * c, b * c + d


AFFINE = Combiner(
    "affine", lambda dtypes: (expression.const(1, dtypes[0]), expression.const(0, dtypes[1])), _compose, _compose
)


def _recurrence_numpy(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
    s = np.array(b)
    rows, factors = np.moveaxis(s, axis, 0), np.moveaxis(a, axis, 0)
    for k in range(len(rows)):
        rows[k] += factors[k] * (rows[k - 1] if k else 0)
    return s


def _backwards(a: Variable, g: Variable, axis: int) -> Variable:
    """r[k] = g[k] + a[k+1]*r[k+1]: what reaches step k from all later ones."""
    factors = _shift(_flipped(a, axis), axis=axis, fill=0.0)
    return _flipped(_recurrence(factors, _flipped(g, axis), axis=axis), axis)  # type: ignore[no-any-return]


def _recurrence_grad(g: Any, a: Any, b: Any, s: Any, axis: int) -> list[Variable]:
    r = _backwards(a, g, axis)
    return [mul(r, _shift(s, axis=axis, fill=0.0)), r]


@structured(
    name="recurrence", infer=lambda a, b, axis: b.type, reference=_recurrence_numpy, grad=_recurrence_grad
)
def _recurrence(a: Operand, b: Operand, axis: int) -> Compute:
    """s[k] = a[k]*s[k-1] + b[k] along ``axis``, with s[-1] = 0.

    Reference: Blelloch (1990), "Prefix sums and their applications": affine maps compose associatively.
    """
    return compute(a.shape, lambda *at: (a[at], b[at]), combiner=AFFINE, prefix=axis)


# ------------------------------------------------------------------------------------------------ public


def _accumulated(op: Any, name: str, x: Any, axis: int | None, dtype: Any) -> Variable:
    v = as_variable(x)
    if isinstance(axis, tuple | list):
        raise AxisError(
            layout(f"{name}({label(v)}): axis is {axis!r}; it must be one integer or None", [describe(v)],
                   here_excerpt(), "None runs over the flattened array; or accumulate along one axis after the other")
        )  # fmt: skip
    if axis is None:
        v, axis = flatten(v), 0
    (along,) = normalize_axis(axis, v.ndim, name, v)
    target = total_dtype(v.dtype) if dtype is None else canonical(dtype)
    return convert(op(wide(convert(v, target)), axis=along), target)


def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Variable:
    """The running sum along ``axis``: each element plus all before it.

    Parameters
    ----------
    x : Variable or array_like, any dtype
    axis : int, optional
        None runs over the flattened array.
    dtype : str, optional
        int64 for integers and bools, uint64 for unsigned ones, else that of ``x``.

    Returns
    -------
    Variable, ``dtype``, shape of ``x`` (flat if ``axis`` is None).

    Raises
    ------
    AxisError
        If ``axis`` is out of range for ``x``.
    """
    return _accumulated(_cumsum, "cumsum", x, axis, dtype)


def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Variable:
    """The running product along ``axis``: each element times all before it; its gradient is right at zeros.

    Parameters
    ----------
    x : Variable or array_like, any dtype
    axis : int, optional
        None runs over the flattened array.
    dtype : str, optional
        int64 for integers and bools, uint64 for unsigned ones, else that of ``x``.

    Returns
    -------
    Variable, ``dtype``, shape of ``x`` (flat if ``axis`` is None).

    Raises
    ------
    AxisError
        If ``axis`` is out of range for ``x``.
    """
    return _accumulated(_cumprod, "cumprod", x, axis, dtype)


# ------------------------------------------------------------------------------------------------ counting


def _in_range(length: Callable[..., Variable]) -> Callable[..., Sequence[Precondition]]:
    """Every bin must be at least 0 and below the number of bins."""

    def preconditions(data: Variable, bins: Variable, *rest: Variable) -> Sequence[Precondition]:
        fits = ge(bins, 0) & lt(bins, length(data))
        ok = apply(OPS["all"], [fits], {"axis": (0,), "keepdims": False}).outputs[0]
        return (Precondition(ok, "a value is negative or beyond the last bin; raise minlength, or clip the values"),)

    return preconditions


def _bincount_grad(g: Any, start: Any, bins: Any, weights: Any, y: Any) -> list[Variable | None]:
    return [g, None, _read_bins(g, bins)]


def _read_bins_grad(g: Any, x: Any, bins: Any, y: Any) -> list[Variable | None]:
    return [_bincount(_zeros(shape_of(x, 0), g.dtype), bins, g), None]


def _counted_numpy(start: np.ndarray, bins: np.ndarray, weights: np.ndarray) -> np.ndarray:
    total = start.copy()
    np.add.at(total, bins, weights)
    return total


@structured(
    name="bincount",
    infer=lambda start, bins, weights: start.type,
    reference=_counted_numpy,
    grad=_bincount_grad,
    preconditions=_in_range(lambda start: shape_of(start, 0)),
)
def _bincount(start: Operand, bins: Operand, weights: Operand) -> Compute:
    """start, with each weight added to its bin."""
    walked = bins.shape if start.shape[0] else (0,)
    return scatter(walked, lambda i: ((_bin(bins, i, start),), weights[i]), into=0, combiner=formula.SUM)


def _bin(bins: Operand, i: Expr, data: Operand) -> Expr:
    """The bin of an element, inside of ``data`` whatever it holds: a wrong one raises, no kernel leaves a buffer."""
    return expression.maximum(expression.minimum(bins[i], data.shape[0] - 1), 0)


_bincount.into = 0


@structured(
    name="read_bins",
    infer=lambda x, bins: TensorType(x.dtype, bins.type.shape),
    reference=lambda x, bins: x[bins],
    grad=_read_bins_grad,
    preconditions=_in_range(lambda x: shape_of(x, 0)),
)
def _read_bins(x: Operand, bins: Operand) -> Compute:
    """x[bins]: the transpose of counting."""
    return compute(bins.shape, lambda i: x[_bin(bins, i, x)])


def _zeros(n: object, dtype: str) -> Variable:
    return expanded(constant(np.zeros((), dtype)), (size(n),))


def bincount(x: Any, weights: Any = None, minlength: Any = None) -> Variable:
    """How often each of 0, 1, ..., ``minlength`` - 1 occurs in ``x``, or the sum of its weights.

    Unlike NumPy's the result has exactly ``minlength`` bins: its shape does not depend on the data.

    Parameters
    ----------
    x : Variable or array_like, integer, shape (n,)
        Values from 0 to ``minlength`` - 1.
    weights : Variable or array_like, shape (n,), optional
    minlength : int or integer scalar Variable
        The number of bins. May be left out if ``x`` is a constant.

    Returns
    -------
    Variable, shape (minlength,): int64, or with weights their dtype (int64 and uint64 for narrower integers).

    Raises
    ------
    ShapeError
        If ``x`` or ``weights`` is not a vector, or the number of bins is not given.
    DTypeError
        If ``x`` is not of integers.
    IndexOutOfRange
        When called, if a value is negative or beyond the last bin.
    """
    v = as_variable(x)
    _check_bins(v, minlength)
    bins = convert(v, "int64")
    if minlength is None and isinstance(v, Constant):
        minlength = int(v.data.max(initial=-1)) + 1
    each = constant(np.int64(1)) if weights is None else as_variable(weights)
    dtype = total_dtype(each.dtype)
    start = _zeros(minlength, "float32" if dtype == "float16" else dtype)
    spread = each if each.ndim else expanded(each, (size(shape_of(v, 0)),))
    return convert(_bincount(start, bins, convert(spread, start.dtype)), dtype)


def _check_bins(v: Variable, minlength: object) -> None:
    if not is_integer(v.dtype):
        raise DTypeError(
            layout(f"bincount({label(v)}): the values are {v.dtype}, they must be integers", [describe(v)],
                   here_excerpt(), f"cast them: {in_code(v)}.astype('int64')")
        )  # fmt: skip
    if v.ndim != 1:
        raise ShapeError(
            layout(f"bincount({label(v)}): the values have rank {v.ndim}, they must be a vector", [describe(v)],
                   here_excerpt(), "flatten them: x.flatten()")
        )  # fmt: skip
    if minlength is None and not isinstance(v, Constant):
        raise ShapeError(
            layout(f"bincount({label(v)}): the number of bins must be known before the values are", [describe(v)],
                   here_excerpt(), "give it: bincount(x, minlength=n)")
        )  # fmt: skip


attach("cumsum", cumsum)
attach("cumprod", cumprod)

"""Reductions: combiners along axes, and what is composed of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph import expression, formula
from symgraph.coercion import as_variable, convert, normalize_axis
from symgraph.errors import AxisError, DTypeError, layout
from symgraph.expression import Expr
from symgraph.graph import Variable, describe, label
from symgraph.kinds import Reduction, composite
from symgraph.op import GradResult, attach
from symgraph.ops.broadcast import broadcast_like
from symgraph.ops.complexes import squared_magnitude
from symgraph.ops.cumulative import product_before, total_dtype, wide
from symgraph.ops.elementwise import (
    absolute,
    and_,
    eq,
    invert,
    isinf,
    isnan,
    le,
    lt,
    mul,
    neq,
    or_,
    pow,
    sgn,
    sqr,
    sub,
    switch,
    true_div,
)
from symgraph.ops.extents import Size, product
from symgraph.ops.extents import maximum as larger
from symgraph.ops.extents import sub as less
from symgraph.ops.shape import extents, permute
from symgraph.ops.transcendental import log, sqrt
from symgraph.origin import here_excerpt
from symgraph.types import canonical, is_complex, is_float, is_inexact, real_of

__all__ = [
    "sum", "prod", "max", "min", "any", "all", "argmax", "argmin", "mean", "var", "std", "norm", "ptp",
]  # fmt: skip

Axis = Any  # int, tuple of int, or None for all

# ------------------------------------------------------------------------------------------------ the combiners


def kept(v: Variable, axis: tuple[int, ...], keepdims: bool) -> Variable:
    """A reduced value with its axes back as extents of 1."""
    if keepdims:
        return v
    places = iter(range(v.ndim))
    rank = v.ndim + len(axis)
    return permute(v, tuple(None if k in axis else next(places) for k in range(rank)))


def _extremum_grad(g: Any, x: Any, y: Any, axis: tuple[int, ...], keepdims: bool) -> GradResult:
    """Elements that tie share equally; NaNs do, which are greatest and least, and equal to none."""
    best = or_(eq(x, kept(y, axis, keepdims)), isnan(x))
    count = sum(best, axis, dtype=x.dtype, keepdims=True)
    return [switch(best, true_div(kept(g, axis, keepdims), count), 0)]


def _prod_grad(g: Any, x: Any, y: Any, axis: tuple[int, ...], keepdims: bool) -> GradResult:
    """The product of all other elements, axis by axis; nothing is divided, so zeros are right."""
    partial = [x]
    for k in axis:
        partial.append(_prod(partial[-1], k, keepdims=True))
    total = kept(g, axis, keepdims)
    for part, k in reversed(list(zip(partial[:-1], axis, strict=True))):
        total = mul(total, others(part, k))
    return [total]


def others(x: Variable, axis: int) -> Variable:
    """For each element the product of all others along ``axis``: those before it times those after it."""
    found: Variable = mul(product_before(x, axis), product_before(x, axis, reverse=True))
    return found


def _is_set(x: Expr, at: Expr) -> tuple[Expr, ...]:
    return (expression.ne(x, False) if x.dtype == "bool" else expression.ne(x, 0),)


def _with_index(x: Expr, at: Expr) -> tuple[Expr, ...]:
    return x, at


def _arg_reference(best: Any) -> Any:
    def along(x: np.ndarray, axis: tuple[int, ...], keepdims: bool) -> Any:
        if len(axis) == 1:
            return best(x, axis=axis[0], keepdims=keepdims)
        found = best(x)
        return np.reshape(found, (1,) * x.ndim) if keepdims else found

    return along


_sum = Reduction(
    "sum", formula.SUM, reference=np.sum, doc="The sum of elements.",
    grad=lambda g, x, y, axis, keepdims: [broadcast_like(kept(g, axis, keepdims), x)],
)  # fmt: skip
_prod = Reduction("prod", formula.PROD, reference=np.prod, grad=_prod_grad, doc="The product of elements.")
_max = Reduction(
    "max", formula.MAX, reference=np.max, grad=_extremum_grad, needs_element=True, doc="The greatest element."
)
_min = Reduction(
    "min", formula.MIN, reference=np.min, grad=_extremum_grad, needs_element=True, doc="The least element."
)
_any = Reduction("any", formula.ANY, reference=np.any, terms=_is_set, doc="Whether any element is not zero.")
_all = Reduction("all", formula.ALL, reference=np.all, terms=_is_set, doc="Whether no element is zero.")
_argmax = Reduction(
    "argmax", formula.ARGMAX, reference=_arg_reference(np.argmax), terms=_with_index, needs_element=True,
    doc="The index of the first greatest element; a NaN counts as greater.",
)  # fmt: skip
_argmin = Reduction(
    "argmin", formula.ARGMIN, reference=_arg_reference(np.argmin), terms=_with_index, needs_element=True,
    doc="The index of the first least element; a NaN counts as less.",
)  # fmt: skip
for _op in (_sum, _prod, _max, _min, _any, _all, _argmax, _argmin):
    _op.register()

# ------------------------------------------------------------------------------------------------ logarithm of prod


def _log_prod_grad(g: Any, x: Any, y: Any, axis: tuple[int, ...], keepdims: bool) -> GradResult:
    return [true_div(kept(g, axis, keepdims), x)]


def _log_prod_numpy(x: np.ndarray, axis: tuple[int, ...], keepdims: bool) -> Any:
    """By long double, which reaches far beyond float64."""
    return np.log(np.prod(x.astype("longdouble"), axis=axis, keepdims=keepdims))


@composite(name="log_prod", grad=_log_prod_grad, reference=_log_prod_numpy)
def log_prod(x: Variable, axis: tuple[int, ...], keepdims: bool) -> Variable:
    """log(prod(x)), the sum of the logarithms where the product overflows or underflows."""
    w = wide(x)
    whole = _prod(w, axis, keepdims)
    size, info = absolute(whole), np.finfo(w.dtype)
    usable = and_(lt(size, np.inf), le(float(info.tiny), size))
    ordinary = _all(and_(neq(w, 0), lt(absolute(w), np.inf)), axis, keepdims)
    apart = _sum(log(absolute(w)), axis, keepdims)
    signed = switch(lt(_prod(sgn(w), axis, keepdims), 0), np.nan, apart)
    return convert(switch(or_(usable, invert(ordinary)), log(whole), signed), x.dtype)


# ------------------------------------------------------------------------------------------------ dtypes


def floating(x: object) -> Variable:
    """``x`` as a float or complex variable: integers and bools become floatX."""
    v = as_variable(x)
    return v if is_inexact(v.dtype) else convert(v, canonical("floatX"))


def _totalled(op: Reduction, x: object, axis: Axis, dtype: object, keepdims: bool) -> Variable:
    v = as_variable(x)
    target = total_dtype(v.dtype) if dtype is None else canonical(dtype)
    return convert(op(wide(convert(v, target)), axis, keepdims), target)


def _documented(line: str, x: str, result: str, raises: str = "") -> str:
    return (
        f"{line}\n\nParameters\n----------\nx : Variable or array_like, {x}\n"
        "axis : int, tuple of int, or None\n    None reduces over all axes.\nkeepdims : bool\n"
        "    Whether reduced axes stay, with extent 1.\n\n"
        f"Returns\n-------\nVariable, {result}, ``axis`` removed.\n\n"
        f"Raises\n------\nAxisError\n    If an axis is out of range or named twice.\n{raises}"
    )


# ------------------------------------------------------------------------------------------------ public reductions


def sum(x: Any, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Variable:
    return _totalled(_sum, x, axis, dtype, keepdims)


def prod(x: Any, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Variable:
    return _totalled(_prod, x, axis, dtype, keepdims)


def max(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    return _max(x, axis, keepdims)


def min(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    return _min(x, axis, keepdims)


def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    return _any(x, axis, keepdims)


def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    return _all(x, axis, keepdims)


def argmax(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    return _argmax(x, _one_axis("argmax", x, axis), keepdims)


def argmin(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    return _argmin(x, _one_axis("argmin", x, axis), keepdims)


def _one_axis(name: str, x: object, axis: Axis) -> Axis:
    if isinstance(axis, tuple | list):
        v = as_variable(x)
        raise AxisError(
            layout(f"{name}({label(v)}): axis is {axis!r}; it must be one integer or None", [describe(v)],
                   here_excerpt(), "None gives the index into the flattened array; or reshape the axes into one")
        )  # fmt: skip
    return axis


_ANY, _EMPTY = "any dtype", "ShapeError\n    If there is no element.\n"
_DTYPE = "int64 of integers and bools, uint64 of unsigned ones, else that of ``x``; or ``dtype``"
sum.__doc__ = _documented("The sum of elements along ``axis``; float16 accumulates in float32.", _ANY, _DTYPE)
prod.__doc__ = _documented("The product of elements along ``axis``; its gradient is right at zeros.", _ANY, _DTYPE)
max.__doc__ = _documented(
    "The greatest element along ``axis``, or NaN; elements that tie, or are NaN, share the gradient.",
    _ANY, "same dtype", _EMPTY,
)  # fmt: skip
min.__doc__ = _documented(
    "The least element along ``axis``, or NaN; elements that tie, or are NaN, share the gradient.",
    _ANY, "same dtype", _EMPTY,
)  # fmt: skip
any.__doc__ = _documented("Whether any element along ``axis`` is not zero.", _ANY, "bool")
all.__doc__ = _documented("Whether no element along ``axis`` is zero.", _ANY, "bool")
argmax.__doc__ = _documented(
    "The index of the first greatest element along one axis, or into the flattened array; a NaN counts as greatest.",
    _ANY, "int64", _EMPTY,
)  # fmt: skip
argmin.__doc__ = _documented(
    "The index of the first least element along one axis, or into the flattened array; a NaN counts as least.",
    _ANY, "int64", _EMPTY,
)  # fmt: skip

# ------------------------------------------------------------------------------------------------ moments


def count(x: Variable, axis: tuple[int, ...]) -> Size:
    """The number of elements along ``axis``."""
    sizes = extents(x)
    return product([sizes[k] for k in axis])


def mean(x: Any, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Variable:
    """The arithmetic mean along ``axis``; NaN of no elements.

    Parameters
    ----------
    x : Variable or array_like, any dtype
    axis : int, tuple of int, or None
        None reduces over all axes.
    dtype : str, optional
        Of the computation and the result; floatX for integers and bools.
    keepdims : bool
        Whether reduced axes stay, with extent 1.

    Returns
    -------
    Variable, float, ``axis`` removed.
    """
    v = floating(x) if dtype is None else convert(as_variable(x), canonical(dtype))
    if not is_inexact(v.dtype):
        raise DTypeError(
            layout(f"mean: dtype is {v.dtype}, it must be a float", [describe(v)], here_excerpt(),
                   "leave dtype out, and cast the result")
        )  # fmt: skip
    axes = normalize_axis(axis, v.ndim, "mean", v)
    return convert(true_div(_sum(wide(v), axes, keepdims), count(v, axes)), v.dtype)


def var(x: Any, axis: Axis = None, ddof: int = 0, keepdims: bool = False, dtype: Any = None) -> Variable:
    """mean(abs(x - mean(x))**2) along ``axis``, divided by n - ``ddof`` instead of n; real of complex numbers too.

    Parameters
    ----------
    x : Variable or array_like, any dtype
    axis : int, tuple of int, or None
        None reduces over all axes.
    ddof : int
        Delta degrees of freedom: 0 for the population, 1 for the unbiased estimate from a sample.
    keepdims : bool
        Whether reduced axes stay, with extent 1.
    dtype : float dtype, optional
        What is computed in: that of ``x`` by default, floatX for integers.

    Returns
    -------
    Variable, ``dtype``, ``axis`` removed.

    Raises
    ------
    DTypeError
        If ``dtype`` is no float dtype.
    """
    v = floating(x) if dtype is None else convert(x, _float_dtype("var", dtype))
    axes = normalize_axis(axis, v.ndim, "var", v)
    total = _sum(squared_magnitude(_centred(v, axes)), axes, keepdims)
    return convert(true_div(total, _freedom(v, axes, ddof)), real_of(v.dtype))


def std(x: Any, axis: Axis = None, ddof: int = 0, keepdims: bool = False, dtype: Any = None) -> Variable:
    """sqrt(var(x)) along ``axis``; its gradient is 0 where all elements are equal.

    Parameters
    ----------
    x : Variable or array_like, any dtype
    axis : int, tuple of int, or None
        None reduces over all axes.
    ddof : int
        Delta degrees of freedom: 0 for the population, 1 for the unbiased estimate from a sample.
    keepdims : bool
        Whether reduced axes stay, with extent 1.
    dtype : float dtype, optional
        What is computed in: that of ``x`` by default, floatX for integers.

    Returns
    -------
    Variable, ``dtype``, ``axis`` removed.

    Raises
    ------
    DTypeError
        If ``dtype`` is no float dtype.
    """
    v = floating(x) if dtype is None else convert(x, _float_dtype("std", dtype))
    axes = normalize_axis(axis, v.ndim, "std", v)
    length = _euclid(_sizes(_centred(v, axes)), axis=axes, keepdims=bool(keepdims))
    freedom = convert(as_variable(_freedom(v, axes, ddof)), length.dtype)
    return convert(true_div(length, sqrt(freedom)), real_of(v.dtype))


def _float_dtype(name: str, dtype: Any) -> str:
    kind = canonical(dtype)
    if not is_float(kind):
        raise DTypeError(layout(f"{name}: dtype is {kind}", [], here_excerpt(), "give a float dtype"))
    return kind


def _centred(v: Variable, axes: tuple[int, ...]) -> Variable:
    w = wide(v)
    return sub(w, mean(w, axes, keepdims=True))  # type: ignore[no-any-return]


def _sizes(x: Variable) -> Variable:
    """``x`` where only its magnitude matters: a real number."""
    return absolute(x) if is_complex(x.dtype) else x


def _freedom(v: Variable, axes: tuple[int, ...], ddof: int) -> Size:
    return larger(less(count(v, axes), ddof), 0)


# ------------------------------------------------------------------------------------------------ norms


def _euclid_grad(g: Any, x: Any, y: Any, axis: tuple[int, ...], keepdims: bool) -> GradResult:
    length = kept(y, axis, keepdims)
    return [mul(kept(g, axis, keepdims), switch(eq(length, 0), 0, true_div(x, length)))]


@composite(
    name="norm", grad=_euclid_grad,
    reference=lambda x, axis, keepdims: np.sqrt(np.sum(np.square(x, dtype="longdouble"), axis=axis, keepdims=keepdims)),
)  # fmt: skip
def _euclid(x: Variable, axis: tuple[int, ...], keepdims: bool) -> Variable:
    """sqrt(sum(x*x)), scaled by the greatest magnitude so that no square overflows or vanishes."""
    if 0 in [x.type.shape[k] for k in axis]:
        return convert(_sum(wide(x), axis, keepdims), x.dtype)
    size = _max(absolute(x), axis, keepdims=True)
    unit = wide(switch(eq(size, 0) | isinf(size), 1, size))
    length = mul(sqrt(_sum(sqr(true_div(wide(x), unit)), axis, keepdims=True)), unit)
    left = tuple(k for k in range(x.ndim) if k not in axis)
    return convert(length if keepdims else permute(length, left), x.dtype)


def norm(x: Any, ord: Any = 2, axis: Axis = None, keepdims: bool = False) -> Variable:
    """sum(|x|**ord)**(1/ord) along ``axis``: the length of vectors; its gradient at 0 is 0.

    Norms of matrices as operators are in ``linalg.norm``.

    Parameters
    ----------
    x : Variable or array_like, any dtype
    ord : float
        2 by default; inf and -inf give the largest and smallest magnitude, 0 the number of elements that are not 0.
    axis : int, tuple of int, or None
        None takes all elements as one vector.
    keepdims : bool
        Whether reduced axes stay, with extent 1.

    Returns
    -------
    Variable, float, ``axis`` removed; of complex numbers their magnitudes count.
    """
    v = _sizes(floating(x))
    axes = normalize_axis(axis, v.ndim, "norm", v)
    if ord == 2:
        return _euclid(v, axis=axes, keepdims=bool(keepdims))
    if ord in (np.inf, -np.inf):
        return (_max if ord > 0 else _min)(absolute(v), axes, keepdims)
    if ord == 0:
        return sum(neq(v, 0), axes, v.dtype, keepdims)
    if ord == 1:
        return sum(absolute(v), axes, keepdims=keepdims)
    total = sum(pow(absolute(v), ord), axes, keepdims=keepdims)
    return switch(eq(total, 0), 0, pow(total, 1 / ord))  # type: ignore[no-any-return]


def ptp(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    return sub(max(x, axis, keepdims), min(x, axis, keepdims))  # type: ignore[no-any-return]


ptp.__doc__ = _documented("max(x) - min(x) along ``axis``.", "float or integer", "same dtype", _EMPTY)


for _f in (sum, prod, max, min, any, all, argmax, argmin, mean, var, std, norm, ptp):
    attach(_f.__name__, _f)

"""Convolution: three index formulas, each the derivative of one trilinear sum by one of its factors.

With T(x, w, g) = sum of x*w*g over all matching positions, ``conv`` is dT/dg, ``conv_input_grad`` dT/dx and
``conv_weight_grad`` dT/dw: so each one's gradient consists of the other two, to any order. They are for any number of
spatial axes. The transposed convolution is ``conv_input_grad`` itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.coercion import as_variable, common_dtype, convert, extent_of, size_variable
from symgraph.errors import DTypeError, ShapeError, layout
from symgraph.expression import Expr, const, select
from symgraph.formula import SUM, Compute, Operand, compute
from symgraph.graph import Attr, Variable, describe, in_code, label
from symgraph.kinds import structured
from symgraph.op import GradResult
from symgraph.ops.extents import Size, add, floordiv, mul, sizes_of, sub, variables
from symgraph.ops.shape import extents
from symgraph.ops.window import AXES, Place, Window, all_of, each_axis
from symgraph.origin import here_excerpt
from symgraph.types import Extent, TensorType

__all__ = ["conv1d", "conv2d", "conv3d", "conv1d_transpose", "conv2d_transpose", "conv3d_transpose"]

Border = str | tuple[int, ...]
Attrs = dict[str, Attr]


# ------------------------------------------------------------------------------------------------ geometry


def _span(size: Size, dilation: int) -> Any:
    """How many elements a kernel reaches over."""
    return add(mul(sub(size, 1), dilation), 1)


def _pad(border: Border, span: Size, axis: int) -> Any:
    """Zeros on each side of a spatial axis."""
    if isinstance(border, tuple):
        return border[axis]
    return {"valid": 0, "full": sub(span, 1), "half": floordiv(span, 2)}[border]


def _window(
    n: int, size: int, axis: int, border: Border, stride: Sequence[int], dilation: Sequence[int]
) -> Window:
    span = _span(size, dilation[axis])
    pad = _pad(border, span, axis)
    out = (n + 2 * pad - span) // stride[axis] + 1
    return Window(n, out, size, stride[axis], dilation[axis], pad)


def _windows(image: Sequence[int], kernel: Sequence[int], attrs: Attrs) -> list[Window]:
    geometry = {k: attrs[k] for k in ("border", "stride", "dilation")}
    return [_window(n, kernel[k], k, **geometry) for k, n in enumerate(image)]


def _tap(r: Expr, size: int, flip: bool) -> Expr:
    """The weight's index for tap ``r``: true convolution runs over the kernel backwards."""
    return size - 1 - r if flip else r


def _inside(operand: Operand, lead: Sequence[Expr], places: Sequence[Place], factor: Expr) -> Expr:
    """``operand[lead, places] * factor``, zero where a place is outside: what is not there has no product with inf."""
    if 0 in operand.shape:
        return const(0, operand.dtype)
    product = operand[(*lead, *[index for index, _ in places])] * factor
    inside = all_of([condition for _, condition in places])
    return product if inside is None else select(inside, product, const(0, operand.dtype))


# ------------------------------------------------------------------------------------------------ the output


def _conv_type(x: Variable, w: Variable, **attrs: Attr) -> TensorType:
    (batch, channels, *image), (filters, per_group, *kernel) = x.type.shape, w.type.shape
    _check_channels(x, w, channels, filters, per_group, attrs["groups"])
    out = [_out_extent(x, w, k, n, kernel[k], attrs) for k, n in enumerate(image)]
    return TensorType(x.dtype, (batch, filters, *out))


def _out_extent(x: Variable, w: Variable, k: int, n: Extent, size: Extent, attrs: Attrs) -> Extent:
    if n is None or size is None:
        return None
    out = _window(n, size, k, attrs["border"], attrs["stride"], attrs["dilation"]).out
    if out < 1 or size < 1:
        what = AXES[x.ndim - 2][k]
        raise ShapeError(
            layout(f"{_name(x)}({label(x)}, {label(w)}): a kernel of {size} {what} does not fit an input of {n}",
                   [describe(x), describe(w)], here_excerpt(), "pad the input with border_mode='half' or 'full'")
        )  # fmt: skip
    return out


def _conv_reference(x: np.ndarray, w: np.ndarray, **attrs: Attr) -> np.ndarray:
    out = np.zeros((x.shape[0], w.shape[0], *[k.out for k in _windows(x.shape[2:], w.shape[2:], attrs)]), x.dtype)
    grouped_out = _grouped(out, 1, attrs["groups"])
    for image, at, weight in _taps(x, w, attrs):
        grouped_out[at] += np.einsum("ngc...,gfc->ngf...", image, weight)
    return out


def _conv_grad(g: Variable, x: Variable, w: Variable, y: Variable, **attrs: Attr) -> GradResult:
    return [_input_grad(g, w, x, attrs), _weight_grad(g, x, w, attrs)]


@structured(name="conv", infer=_conv_type, reference=_conv_reference, grad=_conv_grad)
def conv_op(x: Operand, w: Operand, **attrs: Attr) -> Compute:
    """y[n, f, i, j] = sum over c, r, s of x[n, c, i*stride + r - pad, j*stride + s - pad] * w[f, c, r, s]."""
    filters, per_group, *kernel = w.shape
    windows = _windows(x.shape[2:], kernel, attrs)
    width = filters // attrs["groups"]

    def formula(n: Expr, f: Expr, *rest: Expr) -> Expr:
        out, c, offsets = rest[: len(kernel)], rest[len(kernel)], rest[len(kernel) + 1 :]
        places = [k.source(a, b) for k, a, b in zip(windows, out, offsets, strict=True)]
        taps = [_tap(t, k, attrs["flip"]) for t, k in zip(offsets, kernel, strict=True)]
        return _inside(x, (n, _group(f, width, attrs) * per_group + c), places, w[f, c, *taps])

    shape = (x.shape[0], filters, *[k.out for k in windows])
    return compute(shape, formula, over=(per_group, *kernel), combiner=SUM)


def _group(channel: Expr, width: int, attrs: Attrs) -> Expr:
    """The group of a channel, groups being ``width`` wide."""
    return channel // width if attrs["groups"] > 1 else const(0, "int64")


# ------------------------------------------------------------------------------------------------ by the input


def _input_grad(g: Variable, w: Variable, x: Variable, attrs: Attrs) -> Variable:
    """d T / d x, of the shape of ``x``."""
    return conv_input_grad(g, w, *_spatial(x), **attrs)


def _spatial(x: Any) -> list[Variable]:
    return [size_variable(n) for n in x.shape[2:]]


def _input_grad_type(g: Variable, w: Variable, *sizes: Variable, **attrs: Attr) -> TensorType:
    per_group = w.type.shape[1]
    channels = None if per_group is None else per_group * attrs["groups"]
    image = [extent_of(n) for n in sizes]
    for k, (n, size, out) in enumerate(zip(image, w.type.shape[2:], g.type.shape[2:], strict=True)):
        if None not in (n, size, out) and _fitting(n, size, k, attrs) != out:
            what = AXES[len(image)][k]
            raise ShapeError(
                layout(f"{_name(g)}_transpose({label(g)}, {label(w)}): a convolution of {n} {what} with {size} gives "
                       f"{_fitting(n, size, k, attrs)}, {label(g)} has {out}", [describe(g), describe(w)],
                       here_excerpt(), "leave output_size out, or give one that a convolution makes of this")
            )  # fmt: skip
    return TensorType(g.dtype, (g.type.shape[0], channels, *image))


def _fitting(n: Extent, size: Extent, axis: int, attrs: Attrs) -> int:
    """How many outputs ``n`` inputs have."""
    return _window(n or 0, size or 0, axis, attrs["border"], attrs["stride"], attrs["dilation"]).out


def _input_grad_reference(g: np.ndarray, w: np.ndarray, *sizes: np.ndarray, **attrs: Attr) -> np.ndarray:
    x = np.zeros((g.shape[0], w.shape[1] * attrs["groups"], *map(int, sizes)), g.dtype)
    grouped_g = _grouped(g, 1, attrs["groups"])
    for image, at, weight in _taps(x, w, attrs):
        image += np.einsum("ngf...,gfc->ngc...", grouped_g[at], weight)
    return x


def _input_grad_grad(
    cotangent: Variable, g: Variable, w: Variable, *sizes_and_output: Variable, **attrs: Attr
) -> GradResult:
    return [conv_op(cotangent, w, **attrs), _weight_grad(g, cotangent, w, attrs)]


@structured(infer=_input_grad_type, reference=_input_grad_reference, grad=_input_grad_grad, sizes_from=2)
def conv_input_grad(g: Operand, w: Operand, shape: tuple[int, ...], **attrs: Attr) -> Compute:
    """x[n, c, y, z] = sum over f, r, s of g[n, f, i, j] * w[f, c, r, s], output (i, j) reading (y, z) at tap (r, s)."""
    filters, per_group, *kernel = w.shape
    windows = _windows(shape[2:], kernel, attrs)
    width = filters // attrs["groups"]

    def formula(n: Expr, c: Expr, *rest: Expr) -> Expr:
        at, f, offsets = rest[: len(kernel)], rest[len(kernel)], rest[len(kernel) + 1 :]
        places = [k.target(a, b) for k, a, b in zip(windows, at, offsets, strict=True)]
        taps = [_tap(t, k, attrs["flip"]) for t, k in zip(offsets, kernel, strict=True)]
        group = _group(c, per_group, attrs)
        filter_ = group * width + f
        return _inside(g, (n, filter_), places, w[filter_, c - group * per_group, *taps])

    return compute(shape, formula, over=(width, *kernel), combiner=SUM)


# ------------------------------------------------------------------------------------------------ by the weights


def _weight_grad(g: Variable, x: Variable, w: Variable, attrs: Attrs) -> Variable:
    """d T / d w, of the shape of ``w``."""
    return conv_weight_grad(g, x, *_spatial(w), **attrs)


def _weight_grad_type(g: Variable, x: Variable, *sizes: Variable, **attrs: Attr) -> TensorType:
    channels = x.type.shape[1]
    per_group = None if channels is None else channels // attrs["groups"]
    return TensorType(g.dtype, (g.type.shape[1], per_group, *map(extent_of, sizes)))


def _weight_grad_reference(g: np.ndarray, x: np.ndarray, *sizes: np.ndarray, **attrs: Attr) -> np.ndarray:
    w = np.zeros((g.shape[1], x.shape[1] // attrs["groups"], *map(int, sizes)), g.dtype)
    grouped_g = _grouped(g, 1, attrs["groups"])
    for image, at, weight in _taps(x, w, attrs):
        weight += np.einsum("ngfs,ngcs->gfc", _flat(grouped_g[at]), _flat(image))
    return w


def _weight_grad_grad(
    cotangent: Variable, g: Variable, x: Variable, *sizes_and_output: Variable, **attrs: Attr
) -> GradResult:
    return [conv_op(x, cotangent, **attrs), _input_grad(g, cotangent, x, attrs)]


@structured(infer=_weight_grad_type, reference=_weight_grad_reference, grad=_weight_grad_grad, sizes_from=2)
def conv_weight_grad(g: Operand, x: Operand, shape: tuple[int, ...], **attrs: Attr) -> Compute:
    """w[f, c, r, s] = sum over n, i, j of g[n, f, i, j] * x[n, c, i*stride + r - pad, j*stride + s - pad]."""
    filters, per_group, *kernel = shape
    windows = _windows(x.shape[2:], kernel, attrs)
    width = filters // attrs["groups"]

    def formula(f: Expr, c: Expr, *rest: Expr) -> Expr:
        offsets, n, out = rest[: len(kernel)], rest[len(kernel)], rest[len(kernel) + 1 :]
        taps = [_tap(t, k, attrs["flip"]) for t, k in zip(offsets, kernel, strict=True)]
        places = [k.source(a, b) for k, a, b in zip(windows, out, taps, strict=True)]
        return _inside(x, (n, _group(f, width, attrs) * per_group + c), places, g[n, f, *out])

    return compute(shape, formula, over=(g.shape[0], *g.shape[2:]), combiner=SUM)


# ------------------------------------------------------------------------------------------------ NumPy, tap by tap


def _grouped(a: np.ndarray, axis: int, groups: int) -> np.ndarray:
    """A view of ``a`` with ``axis`` cut into (groups, the rest)."""
    return a.reshape(*a.shape[:axis], groups, a.shape[axis] // groups, *a.shape[axis + 1 :])


def _flat(a: np.ndarray) -> np.ndarray:
    """The spatial axes of (batch, group, channel, ...) as one."""
    return a.reshape(*a.shape[:3], -1)


def _taps(x: np.ndarray, w: np.ndarray, attrs: Attrs) -> list[tuple[np.ndarray, Any, np.ndarray]]:
    """For each tap: views of the inputs that it reads (batch, group, channel, ...) and of its weights (group, filter,
    channel), and between them the outputs that read those."""
    windows = _windows(x.shape[2:], w.shape[2:], attrs)
    grouped_x, grouped_w = _grouped(x, 1, attrs["groups"]), _grouped(w, 0, attrs["groups"])
    found = []
    for taps in np.ndindex(*w.shape[2:]):
        read, at = zip(*[_overlap(k, t) for k, t in zip(windows, taps, strict=True)], strict=True)
        weights: Any = (..., *[-1 - t if attrs["flip"] else t for t in taps])
        found.append((grouped_x[..., *read], (..., *at), grouped_w[weights]))
    return found


def _overlap(k: Window, tap: int) -> tuple[slice, slice]:
    """The inputs that a tap reads along an axis, without the padding, and the outputs that read them."""
    shift = tap * k.dilation - k.pad
    first = max(0, -(shift // k.stride))
    count = max(0, min(k.out, (k.n - 1 - shift) // k.stride + 1) - first)
    start = first * k.stride + shift
    return slice(start, start + (count - 1) * k.stride + 1 if count else start, k.stride), slice(first, first + count)


# ------------------------------------------------------------------------------------------------ checks


def _name(x: Variable) -> str:
    return f"conv{x.ndim - 2}d"


def _attrs(name: str, rank: int, border_mode: Any, stride: Any, dilation: Any, groups: int, flip: bool) -> Attrs:
    return {
        "border": _border(name, rank, border_mode), "stride": each_axis(stride, rank, name, "stride", 1),
        "dilation": each_axis(dilation, rank, name, "dilation", 1), "groups": _groups(name, groups), "flip": bool(flip),
    }  # fmt: skip


def _border(name: str, rank: int, border_mode: object) -> Border:
    if border_mode in ("valid", "full", "half"):
        return str(border_mode)
    if isinstance(border_mode, str):
        raise ShapeError(
            layout(f"{name}: border_mode is {border_mode!r}", [], here_excerpt(),
                   f"use 'valid', 'full', 'half', a number of zeros, or ({', '.join(AXES[rank])}) of them")
        )  # fmt: skip
    return each_axis(border_mode, rank, name, "border_mode", 0)


def _groups(name: str, groups: object) -> int:
    if not isinstance(groups, int) or groups < 1:
        raise ShapeError(layout(f"{name}: groups is {groups!r}", [], here_excerpt(), "give a whole number from 1 up"))
    return groups


def _factors(name: str, rank: int, x: Any, w: Any, first: str, second: str) -> tuple[Variable, Variable, str]:
    """Both operands in the dtype that is computed in, and that of the result."""
    image, weight = as_variable(x), as_variable(w)
    _check_ranks(name, rank, image, weight, (first, second))
    dtype = common_dtype([x, w])
    if dtype == "bool":
        raise DTypeError(
            layout(f"{name} does not take bool", [describe(image), describe(weight)], here_excerpt(),
                   f"cast first: {in_code(image)}.astype('float32')")
        )  # fmt: skip
    wide = "float32" if dtype == "float16" else dtype
    return convert(image, wide), convert(weight, wide), dtype


def _check_ranks(name: str, rank: int, x: Variable, w: Variable, leading: Sequence[str]) -> None:
    for v, lead in zip((x, w), leading, strict=True):
        what = f"({lead}, {', '.join(AXES[rank])})"
        if v.ndim != rank + 2:
            raise ShapeError(
                layout(f"{name}({label(x)}, {label(w)}): {label(v)} has {v.ndim} axes, it must have {rank + 2}: {what}",
                       [describe(x), describe(w)], here_excerpt(), f"reshape {label(v)} to {what}")
            )  # fmt: skip


def _check_channels(
    x: Variable, w: Variable, channels: Extent, filters: Extent, per_group: Extent, groups: int
) -> None:
    wrong = None
    if channels is not None and per_group is not None and channels != per_group * groups:
        times = f" in each of {groups} groups" if groups > 1 else ""
        wrong = f"{label(x)} has {channels} channels, {label(w)} has {per_group}{times}"
    elif filters is not None and filters % groups:
        wrong = f"{filters} filters do not split into {groups} groups"
    if wrong:
        needs = "filters, channels" if groups == 1 else "a multiple of groups, channels / groups"
        raise ShapeError(
            layout(f"{_name(x)}({label(x)}, {label(w)}): {wrong}", [describe(x), describe(w)], here_excerpt(),
                   f"{label(w)} should have shape ({needs}, {', '.join(AXES[x.ndim - 2])})")
        )  # fmt: skip


# ------------------------------------------------------------------------------------------------ the functions

FILTERS = "filters, channels / groups"


def _convolved(
    rank: int, x: Any, w: Any, border_mode: Any, stride: Any, dilation: Any, groups: int, flip: bool
) -> Variable:
    name = f"conv{rank}d"
    image, weight, dtype = _factors(name, rank, x, w, "batch, channels", FILTERS)
    return convert(conv_op(image, weight, **_attrs(name, rank, border_mode, stride, dilation, groups, flip)), dtype)


def conv2d(
    x: Any, w: Any, border_mode: Any = "valid", stride: Any = 1, dilation: Any = 1, groups: int = 1, flip: bool = False
) -> Variable:
    """Cross-correlation of images with filters: y[n, f, i, j] = sum of x[n, c, i + r, j + s] * w[f, c, r, s].

    Parameters
    ----------
    x : Variable, shape (batch, channels, rows, columns)
    w : Variable, shape (filters, channels / groups, kernel rows, kernel columns)
    border_mode : "valid", "full", "half", int or pair of int
        Zeros around the input: none, one less than the kernel, half the kernel, or so many rows and columns.
    stride, dilation : int or pair of int
        Steps between outputs, and between the taps of the kernel.
    groups : int
        The channels and the filters are cut into so many groups that do not see each other.
    flip : bool
        True convolution: the kernel turned by 180 degrees.

    Returns
    -------
    Variable, common dtype of ``x`` and ``w``, shape (batch, filters, rows out, columns out)
        With n inputs, k taps and p zeros on each side: (n + 2p - (k - 1)*dilation - 1) // stride + 1 outputs.

    Raises
    ------
    ShapeError
        If the ranks are not 4, the channels do not match, or the kernel is larger than the padded input.
    """
    return _convolved(2, x, w, border_mode, stride, dilation, groups, flip)


def conv1d(
    x: Any, w: Any, border_mode: Any = "valid", stride: Any = 1, dilation: Any = 1, groups: int = 1, flip: bool = False
) -> Variable:
    """``conv2d`` with one spatial axis: ``x`` is (batch, channels, columns), ``w`` (filters, channels / groups, k)."""
    return _convolved(1, x, w, border_mode, stride, dilation, groups, flip)


def conv3d(
    x: Any, w: Any, border_mode: Any = "valid", stride: Any = 1, dilation: Any = 1, groups: int = 1, flip: bool = False
) -> Variable:
    """``conv2d`` with three spatial axes: ``x`` is (batch, channels, planes, rows, columns), ``w`` likewise."""
    return _convolved(3, x, w, border_mode, stride, dilation, groups, flip)


def _transposed(
    rank: int, x: Any, w: Any, border_mode: Any, stride: Any, dilation: Any, groups: int, flip: bool, output_size: Any
) -> Variable:
    name = f"conv{rank}d_transpose"
    g, weight, dtype = _factors(name, rank, x, w, "batch, filters", FILTERS)
    attrs = _attrs(name, rank, border_mode, stride, dilation, groups, flip)
    if output_size is None:
        image = [_least(k, n, extents(weight)[k + 2], attrs) for k, n in enumerate(extents(g)[2:])]
    else:
        image = list(sizes_of(output_size, name))
    filters, given = weight.type.shape[0], g.type.shape[1]
    if len(image) != rank or (None not in (filters, given) and filters != given):
        raise ShapeError(
            layout(f"{name}({label(g)}, {label(weight)}): {label(g)} has {given} channels, {label(weight)} {filters} "
                   f"filters; output_size has {len(image)} of {rank} extents", [describe(g), describe(weight)],
                   here_excerpt(), f"{label(weight)} should have shape (channels of {label(g)}, channels out / groups, "
                   f"{', '.join(AXES[rank])})")
        )  # fmt: skip
    return convert(conv_input_grad(g, weight, *variables(image), **attrs), dtype)


def _least(axis: int, out: Size, size: Size, attrs: Attrs) -> Size:
    """The fewest inputs that have ``out`` outputs."""
    span = _span(size, attrs["dilation"][axis])
    pad = _pad(attrs["border"], span, axis)
    return sub(add(mul(sub(out, 1), attrs["stride"][axis]), span), mul(pad, 2))


def conv2d_transpose(
    x: Any, w: Any, border_mode: Any = "valid", stride: Any = 1, dilation: Any = 1, groups: int = 1, flip: bool = False,
    output_size: Any = None,
) -> Variable:  # fmt: skip
    """The transposed convolution: what the gradient of ``conv2d`` by its input is of a cotangent ``x``.

    Parameters
    ----------
    x : Variable, shape (batch, filters, rows, columns)
    w : Variable, shape (filters, channels / groups, kernel rows, kernel columns)
        As of the convolution that it transposes.
    border_mode, stride, dilation, groups, flip
        As of ``conv2d``.
    output_size : pair of int or integer scalars, optional
        Rows and columns of the result: of those from which ``conv2d`` makes rows and columns of ``x``. By default the
        fewest: (n - 1)*stride + (k - 1)*dilation + 1 - 2p.

    Returns
    -------
    Variable, common dtype of ``x`` and ``w``, shape (batch, channels, *output_size)

    Raises
    ------
    ShapeError
        If the ranks are not 4, the filters do not match, or ``conv2d`` makes another size of ``output_size``.

    References
    ----------
    Dumoulin and Visin (2016), "A guide to convolution arithmetic for deep learning".
    """
    return _transposed(2, x, w, border_mode, stride, dilation, groups, flip, output_size)


def conv1d_transpose(
    x: Any, w: Any, border_mode: Any = "valid", stride: Any = 1, dilation: Any = 1, groups: int = 1, flip: bool = False,
    output_size: Any = None,
) -> Variable:  # fmt: skip
    """``conv2d_transpose`` with one spatial axis."""
    return _transposed(1, x, w, border_mode, stride, dilation, groups, flip, output_size)


def conv3d_transpose(
    x: Any, w: Any, border_mode: Any = "valid", stride: Any = 1, dilation: Any = 1, groups: int = 1, flip: bool = False,
    output_size: Any = None,
) -> Variable:  # fmt: skip
    """``conv2d_transpose`` with three spatial axes."""
    return _transposed(3, x, w, border_mode, stride, dilation, groups, flip, output_size)

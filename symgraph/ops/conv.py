"""Convolution: three index formulas, each the derivative of one trilinear sum by one of its factors.

With T(x, w, g) = sum of x*w*g over all matching positions, ``conv2d`` is dT/dg, ``conv2d_input_grad`` dT/dx and
``conv2d_weight_grad`` dT/dw: so each one's gradient consists of the other two, to any order.
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
from symgraph.ops.window import Place, Window, all_of, pair
from symgraph.origin import here_excerpt
from symgraph.types import Extent, TensorType

__all__ = ["conv2d"]

Border = str | tuple[int, int]
Attrs = dict[str, Attr]


# ------------------------------------------------------------------------------------------------ geometry


def _pad(border: Border, size: int, dilation: int, axis: int) -> int:
    """Zeros on each side of a spatial axis."""
    span = (size - 1) * dilation + 1
    if isinstance(border, tuple):
        return border[axis]
    return {"valid": 0, "full": span - 1, "half": span // 2}[border]


def _window(
    n: int, size: int, axis: int, border: Border, stride: tuple[int, int], dilation: tuple[int, int]
) -> Window:
    pad = _pad(border, size, dilation[axis], axis)
    out = (n + 2 * pad - (size - 1) * dilation[axis] - 1) // stride[axis] + 1
    return Window(n, out, size, stride[axis], dilation[axis], pad)


def _windows(image: Sequence[int], kernel: Sequence[int], attrs: Attrs) -> list[Window]:
    geometry = {k: attrs[k] for k in ("border", "stride", "dilation")}
    return [_window(image[k], kernel[k], k, **geometry) for k in (0, 1)]


def _tap(r: Expr, size: int, flip: bool) -> Expr:
    """The weight's index for tap ``r``: true convolution runs over the kernel backwards."""
    return size - 1 - r if flip else r


def _inside(operand: Operand, lead: tuple[Expr, Expr], places: Sequence[Place]) -> Expr:
    """``operand[lead, places]``, zero where a place is outside."""
    if 0 in operand.shape:
        return const(0, operand.dtype)
    element = operand[(*lead, *[index for index, _ in places])]
    inside = all_of([condition for _, condition in places])
    return element if inside is None else select(inside, element, const(0, operand.dtype))


# ------------------------------------------------------------------------------------------------ the output


def _conv2d_type(x: Variable, w: Variable, **attrs: Attr) -> TensorType:
    (batch, channels, *image), (filters, per_group, *kernel) = x.type.shape, w.type.shape
    _check_channels(x, w, channels, filters, per_group, attrs["groups"])
    out = [_out_extent(x, w, k, image[k], kernel[k], attrs) for k in (0, 1)]
    return TensorType(x.dtype, (batch, filters, *out))


def _out_extent(x: Variable, w: Variable, k: int, n: Extent, size: Extent, attrs: Attrs) -> Extent:
    if n is None or size is None:
        return None
    out = _window(n, size, k, attrs["border"], attrs["stride"], attrs["dilation"]).out
    if out < 1 or size < 1:
        what = ("rows", "columns")[k]
        raise ShapeError(
            layout(f"conv2d({label(x)}, {label(w)}): a kernel of {size} {what} does not fit an input of {n}",
                   [describe(x), describe(w)], here_excerpt(), "pad the input with border_mode='half' or 'full'")
        )  # fmt: skip
    return out


def _conv2d_reference(x: np.ndarray, w: np.ndarray, **attrs: Attr) -> np.ndarray:
    out = np.zeros((x.shape[0], w.shape[0], *[k.out for k in _windows(x.shape[2:], w.shape[2:], attrs)]), x.dtype)
    grouped_out = _grouped(out, 1, attrs["groups"])
    for image, weight in _taps(x, w, attrs):
        grouped_out += np.einsum("ngchw,gfc->ngfhw", image, weight)
    return out


def _conv2d_grad(g: Variable, x: Variable, w: Variable, y: Variable, **attrs: Attr) -> GradResult:
    return [_input_grad(g, w, x, attrs), _weight_grad(g, x, w, attrs)]


@structured(name="conv2d", infer=_conv2d_type, reference=_conv2d_reference, grad=_conv2d_grad)
def conv2d_op(x: Operand, w: Operand, **attrs: Attr) -> Compute:
    """y[n, f, i, j] = sum over c, r, s of x[n, c, i*stride + r - pad, j*stride + s - pad] * w[f, c, r, s]."""
    filters, per_group, *kernel = w.shape
    windows = _windows(x.shape[2:], kernel, attrs)
    width = filters // attrs["groups"]

    def formula(n: Expr, f: Expr, i: Expr, j: Expr, c: Expr, r: Expr, s: Expr) -> Expr:
        places = [k.source(a, b) for k, a, b in zip(windows, (i, j), (r, s), strict=True)]
        taps = [_tap(t, k, attrs["flip"]) for t, k in zip((r, s), kernel, strict=True)]
        return _inside(x, (n, _group(f, width, attrs) * per_group + c), places) * w[f, c, *taps]

    shape = (x.shape[0], filters, *[k.out for k in windows])
    return compute(shape, formula, over=(per_group, *kernel), combiner=SUM)


def _group(channel: Expr, width: int, attrs: Attrs) -> Expr:
    """The group of a channel, groups being ``width`` wide."""
    return channel // width if attrs["groups"] > 1 else const(0, "int64")


# ------------------------------------------------------------------------------------------------ by the input


def _input_grad(g: Variable, w: Variable, x: Variable, attrs: Attrs) -> Variable:
    """d T / d x, of the shape of ``x``."""
    return conv2d_input_grad(g, w, *_spatial(x), **attrs)


def _spatial(x: Any) -> list[Variable]:
    return [size_variable(n) for n in x.shape[2:]]


def _input_grad_type(g: Variable, w: Variable, rows: Variable, columns: Variable, **attrs: Attr) -> TensorType:
    per_group = w.type.shape[1]
    channels = None if per_group is None else per_group * attrs["groups"]
    return TensorType(g.dtype, (g.type.shape[0], channels, extent_of(rows), extent_of(columns)))


def _input_grad_reference(
    g: np.ndarray, w: np.ndarray, rows: np.ndarray, columns: np.ndarray, **attrs: Attr
) -> np.ndarray:
    image = (int(rows), int(columns))
    padded, inner = _padded(np.zeros((g.shape[0], w.shape[1] * attrs["groups"], *image), g.dtype), w, attrs)
    grouped_g = _grouped(g, 1, attrs["groups"])
    for view, weight in _taps_of(padded, image, w, attrs):
        view += np.einsum("ngfhw,gfc->ngchw", grouped_g, weight)
    return inner


def _input_grad_grad(
    cotangent: Variable, g: Variable, w: Variable, rows: Variable, columns: Variable, y: Variable, **attrs: Attr
) -> GradResult:
    return [conv2d_op(cotangent, w, **attrs), _weight_grad(g, cotangent, w, attrs)]


@structured(infer=_input_grad_type, reference=_input_grad_reference, grad=_input_grad_grad, sizes_from=2)
def conv2d_input_grad(g: Operand, w: Operand, shape: tuple[int, ...], **attrs: Attr) -> Compute:
    """x[n, c, y, z] = sum over f, r, s of g[n, f, i, j] * w[f, c, r, s], output (i, j) reading (y, z) at tap (r, s)."""
    filters, per_group, *kernel = w.shape
    windows = _windows(shape[2:], kernel, attrs)
    width = filters // attrs["groups"]

    def formula(n: Expr, c: Expr, y: Expr, z: Expr, f: Expr, r: Expr, s: Expr) -> Expr:
        places = [k.target(a, b) for k, a, b in zip(windows, (y, z), (r, s), strict=True)]
        taps = [_tap(t, k, attrs["flip"]) for t, k in zip((r, s), kernel, strict=True)]
        group = _group(c, per_group, attrs)
        filter_ = group * width + f
        return _inside(g, (n, filter_), places) * w[filter_, c - group * per_group, *taps]

    return compute(shape, formula, over=(width, *kernel), combiner=SUM)


# ------------------------------------------------------------------------------------------------ by the weights


def _weight_grad(g: Variable, x: Variable, w: Variable, attrs: Attrs) -> Variable:
    """d T / d w, of the shape of ``w``."""
    return conv2d_weight_grad(g, x, *_spatial(w), **attrs)


def _weight_grad_type(g: Variable, x: Variable, rows: Variable, columns: Variable, **attrs: Attr) -> TensorType:
    channels = x.type.shape[1]
    per_group = None if channels is None else channels // attrs["groups"]
    return TensorType(g.dtype, (g.type.shape[1], per_group, extent_of(rows), extent_of(columns)))


def _weight_grad_reference(
    g: np.ndarray, x: np.ndarray, rows: np.ndarray, columns: np.ndarray, **attrs: Attr
) -> np.ndarray:
    w = np.zeros((g.shape[1], x.shape[1] // attrs["groups"], int(rows), int(columns)), g.dtype)
    grouped_g = _grouped(g, 1, attrs["groups"])
    for image, weight in _taps(x, w, attrs):
        weight += np.einsum("ngfhw,ngchw->gfc", grouped_g, image)
    return w


def _weight_grad_grad(
    cotangent: Variable, g: Variable, x: Variable, rows: Variable, columns: Variable, y: Variable, **attrs: Attr
) -> GradResult:
    return [conv2d_op(x, cotangent, **attrs), _input_grad(g, cotangent, x, attrs)]


@structured(infer=_weight_grad_type, reference=_weight_grad_reference, grad=_weight_grad_grad, sizes_from=2)
def conv2d_weight_grad(g: Operand, x: Operand, shape: tuple[int, ...], **attrs: Attr) -> Compute:
    """w[f, c, r, s] = sum over n, i, j of g[n, f, i, j] * x[n, c, i*stride + r - pad, j*stride + s - pad]."""
    filters, per_group, *kernel = shape
    windows = _windows(x.shape[2:], kernel, attrs)
    width = filters // attrs["groups"]

    def formula(f: Expr, c: Expr, r: Expr, s: Expr, n: Expr, i: Expr, j: Expr) -> Expr:
        taps = [_tap(t, k, attrs["flip"]) for t, k in zip((r, s), kernel, strict=True)]
        places = [k.source(a, b) for k, a, b in zip(windows, (i, j), taps, strict=True)]
        return g[n, f, i, j] * _inside(x, (n, _group(f, width, attrs) * per_group + c), places)

    return compute(shape, formula, over=(g.shape[0], *g.shape[2:]), combiner=SUM)


# ------------------------------------------------------------------------------------------------ NumPy, tap by tap


def _grouped(a: np.ndarray, axis: int, groups: int) -> np.ndarray:
    """A view of ``a`` with ``axis`` cut into (groups, the rest)."""
    return a.reshape(*a.shape[:axis], groups, a.shape[axis] // groups, *a.shape[axis + 1 :])


def _padded(x: np.ndarray, w: np.ndarray, attrs: Attrs) -> tuple[np.ndarray, np.ndarray]:
    """``x`` with zeros around it, and the view of it in there."""
    pads = [k.pad for k in _windows(x.shape[2:], w.shape[2:], attrs)]
    padded = np.pad(x, [(0, 0), (0, 0), *[(p, p) for p in pads]])
    (top, left), (rows, columns) = pads, x.shape[2:]
    return padded, padded[:, :, top : top + rows, left : left + columns]


def _taps(x: np.ndarray, w: np.ndarray, attrs: Attrs) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each tap: the inputs it reads (batch, group, channel, i, j), and its weights (group, filter, channel)."""
    return _taps_of(_padded(x, w, attrs)[0], x.shape[2:], w, attrs)


def _taps_of(
    padded: np.ndarray, image: Sequence[int], w: np.ndarray, attrs: Attrs
) -> list[tuple[np.ndarray, np.ndarray]]:
    windows = _windows(image, w.shape[2:], attrs)
    grouped_x, grouped_w = _grouped(padded, 1, attrs["groups"]), _grouped(w, 0, attrs["groups"])
    pairs = []
    for r, s in np.ndindex(*w.shape[2:]):
        rows, columns = (_strided(k, t) for k, t in zip(windows, (r, s), strict=True))
        tap = (-1 - r, -1 - s) if attrs["flip"] else (r, s)
        pairs.append((grouped_x[..., rows, columns], grouped_w[..., tap[0], tap[1]]))
    return pairs


def _strided(k: Window, tap: int) -> slice:
    start = tap * k.dilation
    return slice(start, start + (k.out - 1) * k.stride + 1, k.stride)


# ------------------------------------------------------------------------------------------------ the function


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
    dtype = common_dtype([x, w])
    image, weight = as_variable(x), as_variable(w)
    _check_ranks(image, weight)
    attrs = {
        "border": _border(border_mode), "stride": pair(stride, "conv2d", "stride", 1),
        "dilation": pair(dilation, "conv2d", "dilation", 1), "groups": _groups(groups), "flip": bool(flip),
    }  # fmt: skip
    if dtype == "bool":
        raise DTypeError(
            layout("conv2d does not take bool", [describe(image), describe(weight)], here_excerpt(),
                   f"cast first: {in_code(image)}.astype('float32')")
        )  # fmt: skip
    if dtype != "float16":
        return conv2d_op(convert(image, dtype), convert(weight, dtype), **attrs)
    wide = conv2d_op(convert(image, "float32"), convert(weight, "float32"), **attrs)
    return convert(wide, "float16")


def _border(border_mode: object) -> Border:
    if border_mode in ("valid", "full", "half"):
        return str(border_mode)
    if isinstance(border_mode, str):
        raise ShapeError(
            layout(f"conv2d: border_mode is {border_mode!r}", [], here_excerpt(),
                   "use 'valid', 'full', 'half', a number of zeros, or (rows, columns) of them")
        )  # fmt: skip
    return pair(border_mode, "conv2d", "border_mode", 0)


def _groups(groups: object) -> int:
    if not isinstance(groups, int) or groups < 1:
        raise ShapeError(layout(f"conv2d: groups is {groups!r}", [], here_excerpt(), "give a whole number from 1 up"))
    return groups


def _check_ranks(x: Variable, w: Variable) -> None:
    for v, what in ((x, "(batch, channels, rows, columns)"), (w, "(filters, channels / groups, rows, columns)")):
        if v.ndim != 4:
            raise ShapeError(
                layout(f"conv2d({label(x)}, {label(w)}): {label(v)} has {v.ndim} axes, it must have 4: {what}",
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
            layout(f"conv2d({label(x)}, {label(w)}): {wrong}", [describe(x), describe(w)], here_excerpt(),
                   f"{label(w)} should have shape ({needs}, rows, columns)")
        )  # fmt: skip

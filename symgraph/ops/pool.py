"""Pooling: maxima and means over windows of the last axes, as many as a window has extents.

The gradient of a maximum goes to the first largest element of the window in row-major order: ``max_pool_index`` says
at which tap it stood, ``max_pool_spread`` puts values there, ``max_pool_pick`` takes them from there. The last two
are each other's gradients, as are ``sum_pool`` and ``sum_pool_spread``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from math import prod
from operator import mul
from typing import Any

import numpy as np

from symgraph.coercion import as_variable, convert, extent_of, size_variable
from symgraph.errors import DTypeError, ShapeError, layout
from symgraph.expression import INDEX, Expr, cast, const, eq, maximum, minimum, select
from symgraph.formula import ARGMAX, MAX, SUM, Compute, Operand, compute, lowest, row_major
from symgraph.graph import Attr, Variable, describe, in_code, label
from symgraph.kinds import structured
from symgraph.op import GradResult
from symgraph.ops.elementwise import true_div
from symgraph.ops.window import AXES, Window, all_of, each_axis, unravelled
from symgraph.origin import here_excerpt
from symgraph.types import Extent, TensorType, canonical, is_float

__all__ = ["max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d"]

Attrs = dict[str, Attr]
TAP = "int32"  # as wide as a float32, so that an index and a value fill the same number of lanes


# ------------------------------------------------------------------------------------------------ geometry


def _window(n: int, k: int, size: Sequence[int], stride: Sequence[int], pad: Sequence[int], ceil: bool) -> Window:
    """The window over axis ``k``; none starts beyond the input, so none is empty."""
    room = n + 2 * pad[k] - size[k]
    out = (room + (stride[k] - 1 if ceil else 0)) // stride[k] + 1
    if (out - 1) * stride[k] >= n + pad[k]:
        out -= 1
    return Window(n, out, size[k], stride[k], 1, pad[k])


def _windows(image: Sequence[int], attrs: Attrs) -> list[Window]:
    geometry = {k: attrs[k] for k in ("size", "stride", "pad", "ceil")}
    return [_window(n, k, **geometry) for k, n in enumerate(image)]


def _rank(attrs: Attrs) -> int:
    """How many axes a window has."""
    return len(attrs["size"])


def _pooled_shape(x: Variable, attrs: Attrs) -> tuple[Extent, ...]:
    rank = _rank(attrs)
    return (*x.type.shape[:-rank], *[_out_extent(x, k, attrs) for k in range(rank)])


def _out_extent(x: Variable, k: int, attrs: Attrs) -> Extent:
    rank = _rank(attrs)
    n = x.type.shape[k - rank]
    if n is None:
        return None
    out = _windows((n,) * rank, attrs)[k].out
    if out < 1 or n < 1:
        raise ShapeError(
            layout(f"pool({label(x)}): a window of {attrs['size'][k]} {AXES[rank][k]} does not fit {n}",
                   [describe(x)], here_excerpt(), "use a smaller window, or ceil_mode=True")
        )  # fmt: skip
    return out


Element = Callable[[Sequence[Expr], Sequence[Expr], "Expr | None", Expr], "Expr | tuple[Expr, ...]"]


def _over_windows(x: Operand, attrs: Attrs, element: Element) -> dict[str, Any]:
    """The shape, formula and reduced extents of a pool: ``element(index, place, inside, tap)`` of each tap."""
    rank = _rank(attrs)
    windows = _windows(x.shape[-rank:], attrs)

    def formula(*index: Expr) -> Expr | tuple[Expr, ...]:
        lead, out, offsets = index[: -2 * rank], index[-2 * rank : -rank], index[-rank:]
        places = [w.source(a, b) for w, a, b in zip(windows, out, offsets, strict=True)]
        inside = all_of([condition for _, condition in places])
        return element(lead, [p for p, _ in places], inside, _tap(offsets, attrs))

    return {
        "shape": (*x.shape[:-rank], *[w.out for w in windows]), "formula": formula, "over": [w.size for w in windows],
    }  # fmt: skip


def _tap(offsets: Sequence[Expr], attrs: Attrs) -> Expr:
    """The number of a tap in row-major order."""
    return cast(row_major(offsets, attrs["size"]), TAP)


Covered = Callable[[tuple[Expr, ...], Expr], "tuple[Expr, Expr | None]"]


def _over_cover(g: Operand, shape: Sequence[int], attrs: Attrs, element: Covered) -> Compute:
    """Each input's sum over the windows it belongs to; where windows do not overlap there is one, and no sum."""
    rank = _rank(attrs)
    windows = _windows(shape[-rank:], attrs)
    many = [w.overlap for w in windows]

    def formula(*index: Expr) -> Expr:
        lead, at = index[: len(shape) - rank], index[len(shape) - rank : len(shape)]
        turns = index[len(shape) :] or (const(0, INDEX),) * rank
        covers = [w.cover(a, k) for w, a, k in zip(windows, at, turns, strict=True)]
        value, condition = element((*lead, *[i for i, _, _ in covers]), _tap([r for _, r, _ in covers], attrs))
        wanted = all_of([*[inside for _, _, inside in covers], condition])
        return value if wanted is None else select(wanted, value, const(0, g.dtype))

    if all(n == 1 for n in many):
        return compute(shape, formula)
    return compute(shape, formula, over=many, combiner=SUM)


# ------------------------------------------------------------------------------------------------ NumPy, by windows


def _taps(x: np.ndarray, fill: float, attrs: Attrs) -> np.ndarray:
    """For each window its elements in row-major order, ``fill`` outside, as a last axis behind those of the windows."""
    rank = _rank(attrs)
    windows = _windows(x.shape[-rank:], attrs)
    room = [(w.pad, max(0, (w.out - 1) * w.stride + w.size - w.n - w.pad)) for w in windows]
    padded = np.pad(x, [(0, 0)] * (x.ndim - rank) + room, constant_values=fill)
    views = np.lib.stride_tricks.sliding_window_view(padded, attrs["size"], axis=tuple(range(-rank, 0)))
    starts = [slice(0, (w.out - 1) * w.stride + 1, w.stride) for w in windows]
    key: Any = (..., *starts, *[slice(None)] * rank)
    chosen: np.ndarray = views[key]
    return chosen.reshape(*chosen.shape[:-rank], prod(attrs["size"]))


def _scatter(values: np.ndarray, taps: np.ndarray, image: Sequence[int], attrs: Attrs) -> np.ndarray:
    """The sum of the value of each window at the tap whose number is in ``taps``."""
    rank = _rank(attrs)
    windows = _windows(image, attrs)
    margin = [max(w.size, (w.out - 1) * w.stride + w.size) + w.pad + w.n for w in windows]
    total = np.zeros((*values.shape[:-rank], *margin), values.dtype)
    at: list[np.ndarray] = list(np.indices(taps.shape, sparse=True))
    for axis, tap, w in zip(range(-rank, 0), np.unravel_index(taps, attrs["size"]), windows, strict=True):
        at[axis] = at[axis] * w.stride + tap
    np.add.at(total, tuple(at), values)
    inner: Any = (..., *[slice(w.pad, w.pad + n) for w, n in zip(windows, image, strict=True)])
    found: np.ndarray = total[inner]
    return found


# ------------------------------------------------------------------------------------------------ maxima


def _max_pool_grad(g: Variable, x: Variable, y: Variable, **attrs: Attr) -> GradResult:
    return [max_pool_spread(g, max_pool_index(x, **attrs), *_image(x, attrs), **attrs)]


def _image(x: Any, attrs: Attrs) -> list[Variable]:
    return [size_variable(n) for n in x.shape[-_rank(attrs) :]]


def _lowest(dtype: str) -> float:
    return np.iinfo(dtype).min if np.dtype(dtype).kind in "iu" else -np.inf


@structured(
    infer=lambda x, **attrs: TensorType(x.dtype, _pooled_shape(x, attrs)),
    reference=lambda x, **attrs: _taps(x, _lowest(x.dtype.name), attrs).max(-1),
    grad=_max_pool_grad,
)
def max_pool(x: Operand, **attrs: Attr) -> Compute:
    """The largest element of each window."""

    def element(lead: Sequence[Expr], place: Sequence[Expr], inside: Expr | None, tap: Expr) -> Expr:
        value = x[(*lead, *place)]
        return value if inside is None else select(inside, value, lowest(x.dtype))

    return compute(**_over_windows(x, attrs, element), combiner=MAX)


def _max_pool_index_numpy(x: np.ndarray, **attrs: Attr) -> np.ndarray:
    inside = _taps(np.ones(x.shape, bool), False, attrs)
    values = _taps(x, _lowest(x.dtype.name), attrs)
    best: np.ndarray = inside & ((values == values.max(-1, keepdims=True)) | (values != values))
    return np.asarray(best.argmax(-1))


@structured(
    infer=lambda x, **attrs: TensorType(TAP, _pooled_shape(x, attrs)),
    reference=_max_pool_index_numpy,
    grad=lambda g, x, y, **attrs: [None],
)
def max_pool_index(x: Operand, **attrs: Attr) -> Compute:
    """The number of the tap at which each window has its first largest element."""
    taps = prod(attrs["size"])

    def element(lead: Sequence[Expr], place: Sequence[Expr], inside: Expr | None, tap: Expr) -> tuple[Expr, Expr]:
        value = x[(*lead, *place)]
        if inside is None:
            return value, tap
        # a tap outside loses even to -inf inside, because its number is larger than any
        return select(inside, value, lowest(x.dtype)), select(inside, tap, tap + taps)

    return compute(**_over_windows(x, attrs, element), combiner=ARGMAX)


def _spread_type(g: Variable, *rest: Variable, **attrs: Attr) -> TensorType:
    rank = _rank(attrs)
    return TensorType(g.dtype, (*g.type.shape[:-rank], *map(extent_of, rest[-rank:])))


def _max_pool_spread_grad(
    cotangent: Variable, g: Variable, index: Variable, *sizes_and_output: Variable, **attrs: Attr
) -> GradResult:
    return [max_pool_pick(cotangent, index, **attrs), None]


@structured(
    infer=_spread_type, grad=_max_pool_spread_grad, sizes_from=2,
    reference=lambda g, index, *sizes, **attrs: _scatter(g, index, tuple(map(int, sizes)), attrs),
)  # fmt: skip
def max_pool_spread(g: Operand, index: Operand, shape: tuple[int, ...], **attrs: Attr) -> Compute:
    """Each input's sum of ``g`` over the windows whose ``index`` names it."""
    return _over_cover(g, shape, attrs, lambda at, tap: (g[at], eq(index[at], tap)))


def _pick_place(window: Window, i: Expr, r: Expr) -> Expr:
    return minimum(maximum(i * window.stride + r - window.pad, 0), window.n - 1)


def _max_pool_pick_grad(g: Variable, x: Variable, index: Variable, y: Variable, **attrs: Attr) -> GradResult:
    return [max_pool_spread(g, index, *_image(x, attrs), **attrs), None]


def _max_pool_pick_numpy(x: np.ndarray, index: np.ndarray, **attrs: Attr) -> np.ndarray:
    return np.asarray(np.take_along_axis(_taps(x, 0, attrs), index[..., None].astype("int64"), -1)[..., 0])


@structured(
    infer=lambda x, index, **attrs: TensorType(x.dtype, _pooled_shape(x, attrs)),
    reference=_max_pool_pick_numpy,
    grad=_max_pool_pick_grad,
)
def max_pool_pick(x: Operand, index: Operand, **attrs: Attr) -> Compute:
    """The element of each window at the tap that ``index`` names."""
    rank = _rank(attrs)
    windows = _windows(x.shape[-rank:], attrs)

    def formula(*at: Expr) -> Expr:
        offsets = unravelled(cast(index[at], INDEX), attrs["size"])
        places = zip(windows, at[-rank:], offsets, strict=True)
        return x[(*at[:-rank], *[_pick_place(w, a, r) for w, a, r in places])]

    return compute(index.shape, formula)


# ------------------------------------------------------------------------------------------------ sums and means


def _sum_pool_grad(g: Variable, x: Variable, y: Variable, **attrs: Attr) -> GradResult:
    return [sum_pool_spread(g, *_image(x, attrs), **attrs)]


@structured(
    infer=lambda x, **attrs: TensorType(x.dtype, _pooled_shape(x, attrs)),
    reference=lambda x, **attrs: _taps(x, 0, attrs).sum(-1),
    grad=_sum_pool_grad,
)
def sum_pool(x: Operand, **attrs: Attr) -> Compute:
    """The sum of each window."""

    def element(lead: Sequence[Expr], place: Sequence[Expr], inside: Expr | None, tap: Expr) -> Expr:
        value = x[(*lead, *place)]
        return value if inside is None else select(inside, value, const(0, x.dtype))

    return compute(**_over_windows(x, attrs, element), combiner=SUM)


def _sum_pool_spread_numpy(g: np.ndarray, *sizes: np.ndarray, **attrs: Attr) -> np.ndarray:
    image = tuple(map(int, sizes))
    start = np.zeros((*g.shape[: -len(image)], *image), g.dtype)
    return sum((_scatter(g, np.full(g.shape, tap), image, attrs) for tap in range(prod(attrs["size"]))), start)


@structured(
    infer=_spread_type, reference=_sum_pool_spread_numpy, sizes_from=1,
    grad=lambda cotangent, *rest, **attrs: [sum_pool(cotangent, **attrs)],
)  # fmt: skip
def sum_pool_spread(g: Operand, shape: tuple[int, ...], **attrs: Attr) -> Compute:
    """Each input's sum of ``g`` over the windows it belongs to."""
    return _over_cover(g, shape, attrs, lambda at, tap: (g[at], None))


def _count_numpy(x: np.ndarray, padded: bool, **attrs: Attr) -> np.ndarray:
    rank = _rank(attrs)
    pads = attrs["pad"] if padded else (0,) * rank
    counts = [
        np.array([sum(-p <= i * w.stride - w.pad + r < w.n + p for r in range(w.size)) for i in range(w.out)])
        for w, p in zip(_windows(x.shape[-rank:], attrs), pads, strict=True)
    ]
    found: np.ndarray = reduce(np.multiply, np.ix_(*counts))
    return found


@structured(
    infer=lambda x, padded, **attrs: TensorType(x.dtype, _pooled_shape(x, attrs)[-_rank(attrs) :]),
    reference=_count_numpy,
    grad=lambda g, x, y, **attrs: [None],
)
def pool_count(x: Operand, padded: bool, **attrs: Attr) -> Compute:
    """How many elements each window has; ``padded`` counts the zeros around the input. Only the shape is used."""
    windows = _windows(x.shape[-_rank(attrs) :], attrs)

    def formula(*at: Expr) -> Expr:
        return cast(reduce(mul, [w.count(i, padded) for w, i in zip(windows, at, strict=True)]), x.dtype)

    return compute([w.out for w in windows], formula)


# ------------------------------------------------------------------------------------------------ functions


def _geometry(name: str, rank: int, x: Variable, size: Any, stride: Any, pad: Any, ceil_mode: bool) -> Attrs:
    if x.ndim < rank:
        raise ShapeError(
            layout(f"{name}({label(x)}): {label(x)} has {x.ndim} axes, it must have {rank} or more", [describe(x)],
                   here_excerpt(), f"windows slide over the last axes: (..., {', '.join(AXES[rank])})")
        )  # fmt: skip
    sizes = each_axis(size, rank, name, "size", 1)
    pads = each_axis(pad, rank, name, "pad", 0)
    if any(p >= n for p, n in zip(pads, sizes, strict=True)):
        raise ShapeError(
            layout(f"{name}({label(x)}): pad {pad} is not below the window's size {size}", [describe(x)],
                   here_excerpt(), "a window must reach into the input: pad by less than its size")
        )  # fmt: skip
    strides = sizes if stride is None else each_axis(stride, rank, name, "stride", 1)
    return {"size": sizes, "stride": strides, "pad": pads, "ceil": bool(ceil_mode)}


def max_pool2d(x: Any, size: Any, stride: Any = None, pad: Any = 0, ceil_mode: bool = False) -> Variable:
    """The largest element of each window; its gradient goes to the first one in row-major order.

    Parameters
    ----------
    x : Variable, shape (..., rows, columns)
    size : int or pair of int
        Rows and columns of a window.
    stride : int or pair of int, optional
        Steps between windows; by default ``size``: they lie side by side.
    pad : int or pair of int
        Positions around the input that hold no element; less than ``size``.
    ceil_mode : bool
        Whether a last window that reaches beyond the (padded) input counts: 5 inputs, size 2 give 3 outputs, else 2.

    Returns
    -------
    Variable, same dtype, shape (..., rows out, columns out)
        With n inputs: (n + 2*pad - size) / stride + 1, rounded down, or up with ``ceil_mode``; one less if the last
        window would then start beyond the inputs.

    Raises
    ------
    ShapeError
        If ``x`` has fewer than two axes, or the window does not fit.
    DTypeError
        If ``x`` is bool.
    """
    return _maxima(2, x, size, stride, pad, ceil_mode)


def max_pool1d(x: Any, size: Any, stride: Any = None, pad: Any = 0, ceil_mode: bool = False) -> Variable:
    """``max_pool2d`` over the last axis alone."""
    return _maxima(1, x, size, stride, pad, ceil_mode)


def max_pool3d(x: Any, size: Any, stride: Any = None, pad: Any = 0, ceil_mode: bool = False) -> Variable:
    """``max_pool2d`` over the last three axes: planes, rows and columns."""
    return _maxima(3, x, size, stride, pad, ceil_mode)


def _maxima(rank: int, x: Any, size: Any, stride: Any, pad: Any, ceil_mode: bool) -> Variable:
    v, name = as_variable(x), f"max_pool{rank}d"
    attrs = _geometry(name, rank, v, size, stride, pad, ceil_mode)
    if v.dtype == "bool":
        raise DTypeError(
            layout(f"{name}({label(v)}) does not take bool", [describe(v)], here_excerpt(),
                   f"cast first: {in_code(v)}.astype('uint8')")
        )  # fmt: skip
    return max_pool(v, **attrs)


def avg_pool2d(
    x: Any, size: Any, stride: Any = None, pad: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True
) -> Variable:
    """The mean of each window.

    Parameters
    ----------
    x : Variable, shape (..., rows, columns)
    size, stride, pad, ceil_mode
        As of ``max_pool2d``.
    count_include_pad : bool
        Whether the ``pad`` positions around the input count as zeros. What ``ceil_mode`` adds beyond them never counts.

    Returns
    -------
    Variable, same dtype (floatX for integers), shape (..., rows out, columns out)

    Raises
    ------
    ShapeError
        If ``x`` has fewer than two axes, or the window does not fit.
    """
    return _means(2, x, size, stride, pad, ceil_mode, count_include_pad)


def avg_pool1d(
    x: Any, size: Any, stride: Any = None, pad: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True
) -> Variable:
    """``avg_pool2d`` over the last axis alone."""
    return _means(1, x, size, stride, pad, ceil_mode, count_include_pad)


def avg_pool3d(
    x: Any, size: Any, stride: Any = None, pad: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True
) -> Variable:
    """``avg_pool2d`` over the last three axes: planes, rows and columns."""
    return _means(3, x, size, stride, pad, ceil_mode, count_include_pad)


def _means(
    rank: int, x: Any, size: Any, stride: Any, pad: Any, ceil_mode: bool, count_include_pad: bool
) -> Variable:
    v = as_variable(x)
    attrs = _geometry(f"avg_pool{rank}d", rank, v, size, stride, pad, ceil_mode)
    dtype = v.dtype if is_float(v.dtype) else canonical("floatX")
    wide = convert(v, "float32" if dtype == "float16" else dtype)
    whole = not ceil_mode and (count_include_pad or not any(attrs["pad"]))
    count = float(np.prod(attrs["size"])) if whole else pool_count(wide, padded=bool(count_include_pad), **attrs)
    return convert(true_div(sum_pool(wide, **attrs), count), dtype)

"""Pooling: maxima and means over windows of the last two axes.

The gradient of a maximum goes to the first largest element of the window in row-major order: ``max_pool_index`` says
at which tap it stood, ``max_pool_spread`` puts values there, ``max_pool_pick`` takes them from there. The last two
are each other's gradients, as are ``sum_pool`` and ``sum_pool_spread``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph.coercion import as_variable, convert, extent_of, size_variable
from symgraph.errors import DTypeError, ShapeError, layout
from symgraph.expression import INDEX, Expr, cast, const, eq, maximum, minimum, select
from symgraph.formula import ARGMAX, MAX, SUM, Compute, Operand, compute, lowest
from symgraph.graph import Attr, Variable, describe, in_code, label
from symgraph.kinds import structured
from symgraph.op import GradResult
from symgraph.ops.elementwise import true_div
from symgraph.ops.window import Window, all_of, pair
from symgraph.origin import here_excerpt
from symgraph.types import Extent, TensorType, canonical, is_float

__all__ = ["max_pool2d", "avg_pool2d"]

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
    return [_window(image[k], k, **geometry) for k in (0, 1)]


def _pooled_shape(x: Variable, attrs: Attrs) -> tuple[Extent, ...]:
    return (*x.type.shape[:-2], *[_out_extent(x, k, attrs) for k in (0, 1)])


def _out_extent(x: Variable, k: int, attrs: Attrs) -> Extent:
    n = x.type.shape[k - 2]
    if n is None:
        return None
    out = _windows((n, n), attrs)[k].out
    if out < 1 or n < 1:
        raise ShapeError(
            layout(f"pool({label(x)}): a window of {attrs['size'][k]} {('rows', 'columns')[k]} does not fit {n}",
                   [describe(x)], here_excerpt(), "use a smaller window, or ceil_mode=True")
        )  # fmt: skip
    return out


Element = Callable[[Sequence[Expr], Sequence[Expr], "Expr | None", Expr], "Expr | tuple[Expr, ...]"]


def _over_windows(x: Operand, attrs: Attrs, element: Element) -> dict[str, Any]:
    """The shape, formula and reduced extents of a pool: ``element(index, place, inside, tap)`` of each tap."""
    windows = _windows(x.shape[-2:], attrs)

    def formula(*index: Expr) -> Expr | tuple[Expr, ...]:
        *lead, i, j, r, s = index
        places = [w.source(a, b) for w, a, b in zip(windows, (i, j), (r, s), strict=True)]
        inside = all_of([condition for _, condition in places])
        return element(lead, [p for p, _ in places], inside, _tap(r, s, attrs))

    return {
        "shape": (*x.shape[:-2], *[w.out for w in windows]), "formula": formula, "over": [w.size for w in windows],
    }  # fmt: skip


def _tap(r: Expr, s: Expr, attrs: Attrs) -> Expr:
    """The number of a tap in row-major order."""
    return cast(r * attrs["size"][1] + s, TAP)


Covered = Callable[[tuple[Expr, ...], Expr], "tuple[Expr, Expr | None]"]


def _over_cover(g: Operand, shape: Sequence[int], attrs: Attrs, element: Covered) -> Compute:
    """Each input's sum over the windows it belongs to; where windows do not overlap there is one, and no sum."""
    windows = _windows(shape[-2:], attrs)
    many = [w.overlap for w in windows]

    def formula(*index: Expr) -> Expr:
        *lead, y, z = index[: len(shape)]
        turns = index[len(shape) :] or (const(0, INDEX), const(0, INDEX))
        (i, r, in_i), (j, s, in_j) = (w.cover(a, k) for w, a, k in zip(windows, (y, z), turns, strict=True))
        value, condition = element((*lead, i, j), _tap(r, s, attrs))
        wanted = all_of([in_i, in_j, condition])
        return value if wanted is None else select(wanted, value, const(0, g.dtype))

    if many == [1, 1]:
        return compute(shape, formula)
    return compute(shape, formula, over=many, combiner=SUM)


# ------------------------------------------------------------------------------------------------ NumPy, by windows


def _taps(x: np.ndarray, fill: float, attrs: Attrs) -> np.ndarray:
    """For each window its elements in row-major order, ``fill`` outside: shape (..., rows, columns, taps)."""
    windows = _windows(x.shape[-2:], attrs)
    room = [(w.pad, max(0, (w.out - 1) * w.stride + w.size - w.n - w.pad)) for w in windows]
    padded = np.pad(x, [(0, 0)] * (x.ndim - 2) + room, constant_values=fill)
    views = np.lib.stride_tricks.sliding_window_view(padded, attrs["size"], axis=(-2, -1))
    rows, columns = (slice(0, (w.out - 1) * w.stride + 1, w.stride) for w in windows)
    chosen = views[..., rows, columns, :, :]
    return chosen.reshape(*chosen.shape[:-2], -1)


def _scatter(values: np.ndarray, taps: np.ndarray, image: Sequence[int], attrs: Attrs) -> np.ndarray:
    """The sum of ``values[..., i, j]`` at tap number ``taps[..., i, j]`` of window (i, j)."""
    windows = _windows(image, attrs)
    margin = [max(w.size, (w.out - 1) * w.stride + w.size) + w.pad + w.n for w in windows]
    total = np.zeros((*values.shape[:-2], *margin), values.dtype)
    at: list[np.ndarray] = list(np.indices(taps.shape, sparse=True))
    for axis, tap, w in zip((-2, -1), np.divmod(taps, attrs["size"][1]), windows, strict=True):
        at[axis] = at[axis] * w.stride + tap
    np.add.at(total, tuple(at), values)
    rows, columns = (slice(w.pad, w.pad + n) for w, n in zip(windows, image, strict=True))
    return total[..., rows, columns]


# ------------------------------------------------------------------------------------------------ maxima


def _max_pool_grad(g: Variable, x: Variable, y: Variable, **attrs: Attr) -> GradResult:
    return [max_pool_spread(g, max_pool_index(x, **attrs), *_image(x), **attrs)]


def _image(x: Any) -> list[Variable]:
    return [size_variable(n) for n in x.shape[-2:]]


def _lowest(dtype: str) -> float:
    return float(lowest(dtype).value or 0) if is_float(dtype) else np.iinfo(dtype).min


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
    best: np.ndarray = inside & ((values == values.max(-1, keepdims=True)) | np.isnan(values))
    return np.asarray(best.argmax(-1))


@structured(
    infer=lambda x, **attrs: TensorType(TAP, _pooled_shape(x, attrs)),
    reference=_max_pool_index_numpy,
    grad=lambda g, x, y, **attrs: [None],
)
def max_pool_index(x: Operand, **attrs: Attr) -> Compute:
    """The number of the tap at which each window has its first largest element."""
    taps = attrs["size"][0] * attrs["size"][1]

    def element(lead: Sequence[Expr], place: Sequence[Expr], inside: Expr | None, tap: Expr) -> tuple[Expr, Expr]:
        value = x[(*lead, *place)]
        if inside is None:
            return value, tap
        # a tap outside loses even to -inf inside, because its number is larger than any
        return select(inside, value, lowest(x.dtype)), select(inside, tap, tap + taps)

    return compute(**_over_windows(x, attrs, element), combiner=ARGMAX)


def _spread_type(g: Variable, *rest: Variable, **attrs: Attr) -> TensorType:
    return TensorType(g.dtype, (*g.type.shape[:-2], extent_of(rest[-2]), extent_of(rest[-1])))


def _max_pool_spread_grad(
    cotangent: Variable, g: Variable, index: Variable, rows: Variable, columns: Variable, y: Variable, **attrs: Attr
) -> GradResult:
    return [max_pool_pick(cotangent, index, **attrs), None]


@structured(
    infer=_spread_type, grad=_max_pool_spread_grad, sizes_from=2,
    reference=lambda g, index, rows, columns, **attrs: _scatter(g, index, (int(rows), int(columns)), attrs),
)  # fmt: skip
def max_pool_spread(g: Operand, index: Operand, shape: tuple[int, ...], **attrs: Attr) -> Compute:
    """Each input's sum of ``g`` over the windows whose ``index`` names it."""
    return _over_cover(g, shape, attrs, lambda at, tap: (g[at], eq(index[at], tap)))


def _pick_place(window: Window, i: Expr, r: Expr) -> Expr:
    return minimum(maximum(i * window.stride + r - window.pad, 0), window.n - 1)


def _max_pool_pick_grad(g: Variable, x: Variable, index: Variable, y: Variable, **attrs: Attr) -> GradResult:
    return [max_pool_spread(g, index, *_image(x), **attrs), None]


def _max_pool_pick_numpy(x: np.ndarray, index: np.ndarray, **attrs: Attr) -> np.ndarray:
    return np.asarray(np.take_along_axis(_taps(x, 0, attrs), index[..., None].astype("int64"), -1)[..., 0])


@structured(
    infer=lambda x, index, **attrs: TensorType(x.dtype, _pooled_shape(x, attrs)),
    reference=_max_pool_pick_numpy,
    grad=_max_pool_pick_grad,
)
def max_pool_pick(x: Operand, index: Operand, **attrs: Attr) -> Compute:
    """The element of each window at the tap that ``index`` names."""
    windows = _windows(x.shape[-2:], attrs)

    def formula(*at: Expr) -> Expr:
        *lead, i, j = at
        tap, width = cast(index[at], INDEX), attrs["size"][1]
        pairs = zip(windows, (i, j), (tap // width, tap % width), strict=True)
        return x[(*lead, *[_pick_place(w, a, r) for w, a, r in pairs])]

    return compute(index.shape, formula)


# ------------------------------------------------------------------------------------------------ sums and means


def _sum_pool_grad(g: Variable, x: Variable, y: Variable, **attrs: Attr) -> GradResult:
    return [sum_pool_spread(g, *_image(x), **attrs)]


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


def _sum_pool_spread_numpy(g: np.ndarray, rows: np.ndarray, columns: np.ndarray, **attrs: Attr) -> np.ndarray:
    image = (int(rows), int(columns))
    taps = range(attrs["size"][0] * attrs["size"][1])
    start = np.zeros((*g.shape[:-2], *image), g.dtype)
    return sum((_scatter(g, np.full(g.shape, tap), image, attrs) for tap in taps), start)


@structured(
    infer=_spread_type, reference=_sum_pool_spread_numpy, sizes_from=1,
    grad=lambda cotangent, g, rows, columns, y, **attrs: [sum_pool(cotangent, **attrs)],
)  # fmt: skip
def sum_pool_spread(g: Operand, shape: tuple[int, ...], **attrs: Attr) -> Compute:
    """Each input's sum of ``g`` over the windows it belongs to."""
    return _over_cover(g, shape, attrs, lambda at, tap: (g[at], None))


def _count_numpy(x: np.ndarray, padded: bool, **attrs: Attr) -> np.ndarray:
    pads = attrs["pad"] if padded else (0, 0)
    rows, columns = (
        [sum(-p <= i * w.stride - w.pad + r < w.n + p for r in range(w.size)) for i in range(w.out)]
        for w, p in zip(_windows(x.shape[-2:], attrs), pads, strict=True)
    )
    return np.multiply.outer(rows, columns)


@structured(
    infer=lambda x, padded, **attrs: TensorType(x.dtype, _pooled_shape(x, attrs)[-2:]),
    reference=_count_numpy,
    grad=lambda g, x, y, **attrs: [None],
)
def pool_count(x: Operand, padded: bool, **attrs: Attr) -> Compute:
    """How many elements each window has; ``padded`` counts the zeros around the input. Only the shape is used."""
    windows = _windows(x.shape[-2:], attrs)

    def formula(i: Expr, j: Expr) -> Expr:
        rows, columns = (w.count(a, padded) for w, a in zip(windows, (i, j), strict=True))
        return cast(rows * columns, x.dtype)

    return compute([w.out for w in windows], formula)


# ------------------------------------------------------------------------------------------------ functions


def _geometry(name: str, x: Variable, size: Any, stride: Any, pad: Any, ceil_mode: bool) -> Attrs:
    if x.ndim < 2:
        raise ShapeError(
            layout(f"{name}({label(x)}): {label(x)} has {x.ndim} axes, it must have 2 or more", [describe(x)],
                   here_excerpt(), "windows slide over the last two axes: (..., rows, columns)")
        )  # fmt: skip
    sizes = pair(size, name, "size", 1)
    pads = pair(pad, name, "pad", 0)
    if any(p >= n for p, n in zip(pads, sizes, strict=True)):
        raise ShapeError(
            layout(f"{name}({label(x)}): pad {pad} is not below the window's size {size}", [describe(x)],
                   here_excerpt(), "a window must reach into the input: pad by less than its size")
        )  # fmt: skip
    strides = sizes if stride is None else pair(stride, name, "stride", 1)
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
    v = as_variable(x)
    attrs = _geometry("max_pool2d", v, size, stride, pad, ceil_mode)
    if v.dtype == "bool":
        raise DTypeError(
            layout(f"max_pool2d({label(v)}) does not take bool", [describe(v)], here_excerpt(),
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
    v = as_variable(x)
    attrs = _geometry("avg_pool2d", v, size, stride, pad, ceil_mode)
    dtype = v.dtype if is_float(v.dtype) else canonical("floatX")
    wide = convert(v, "float32" if dtype == "float16" else dtype)
    whole = not ceil_mode and (count_include_pad or attrs["pad"] == (0, 0))
    count = float(np.prod(attrs["size"])) if whole else pool_count(wide, padded=bool(count_include_pad), **attrs)
    return convert(true_div(sum_pool(wide, **attrs), count), dtype)

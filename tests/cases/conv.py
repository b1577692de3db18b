"""Cases of convolution and pooling, against loops over output positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.graph import constant
from symgraph.ops.conv import (
    conv1d,
    conv1d_transpose,
    conv2d,
    conv2d_transpose,
    conv3d,
    conv3d_transpose,
    conv_input_grad,
    conv_weight_grad,
)
from symgraph.ops.pool import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    max_pool_index,
    max_pool_pick,
    max_pool_spread,
    pool_count,
    sum_pool,
    sum_pool_spread,
)
from tests.cases import Arrays, Case
from tests.cases.shape import Draw, normal

ULP = 64.0  # of a sum of up to a hundred products in any order
Options = dict[str, Any]
Array = np.ndarray

# ------------------------------------------------------------------------------------------------ convolution

CONVOLUTIONS = {1: conv1d, 2: conv2d, 3: conv3d}
TRANSPOSED = {1: conv1d_transpose, 2: conv2d_transpose, 3: conv3d_transpose}
LAYERS: list[tuple[Options, tuple[int, ...], tuple[int, ...]]] = [
    ({}, (2, 3, 6, 5), (4, 3, 3, 2)),
    ({"border": "full"}, (2, 2, 4, 5), (3, 2, 3, 2)),
    ({"border": "half"}, (1, 2, 5, 4), (2, 2, 3, 3)),
    ({"border": (2, 1), "stride": (2, 3)}, (2, 2, 7, 8), (3, 2, 3, 2)),
    ({"border": "full", "dilation": (2, 1)}, (1, 2, 4, 5), (2, 2, 2, 3)),
    ({"groups": 2, "stride": (2, 1)}, (2, 4, 5, 4), (6, 2, 2, 2)),
    ({"border": (1, 1), "flip": True}, (1, 2, 4, 4), (2, 2, 3, 2)),
    ({}, (2, 1, 1, 1), (1, 1, 1, 1)),
    ({"border": "half", "stride": (2,), "dilation": (2,)}, (2, 3, 9), (4, 3, 3)),
    ({"border": (1,), "groups": 2, "flip": True}, (1, 4, 6), (2, 2, 3)),
    ({"border": (1, 0, 2), "stride": (2, 1, 2)}, (1, 2, 4, 3, 5), (2, 2, 2, 2, 3)),
    ({"border": "full", "groups": 2, "dilation": (1, 2, 1)}, (2, 2, 2, 3, 2), (2, 1, 2, 2, 1)),
]


def plain(given: Options, rank: int) -> Options:
    """All attributes of a convolution over ``rank`` axes."""
    ones = (1,) * rank
    return {"border": "valid", "stride": ones, "dilation": ones, "groups": 1, "flip": False, **given}


def padding(options: Options, w: Array) -> tuple[int, ...]:
    """Zeros on each side of the spatial axes."""
    spans = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], options["dilation"], strict=True)]
    named = {"valid": (0,) * len(spans), "full": tuple(s - 1 for s in spans), "half": tuple(s // 2 for s in spans)}
    return named.get(options["border"], options["border"])


def patches(image: tuple[int, ...], w: Array, options: Options) -> list[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """Each output position, and the part of the padded input that it reads."""
    axes = []
    for n, k, p, s, d in zip(
        image, w.shape[2:], padding(options, w), options["stride"], options["dilation"], strict=True
    ):
        span = (k - 1) * d + 1
        axes.append([slice(y, y + span, d) for y in range(0, n + 2 * p - span + 1, s)])
    shape = [len(axis) for axis in axes]
    return [(at, tuple(axis[i] for axis, i in zip(axes, at, strict=True))) for at in np.ndindex(*shape)]


def surrounded(x: Array, pads: tuple[int, ...]) -> tuple[Array, tuple[slice, ...]]:
    """``x`` with zeros around its spatial axes, and where it is in there."""
    inner = tuple(slice(p, p + n) for p, n in zip(pads, x.shape[2:], strict=True))
    return np.pad(x, [(0, 0), (0, 0), *[(p, p) for p in pads]]), (slice(None), slice(None), *inner)


def turned(w: Array, options: Options) -> Array:
    """The kernel, turned around for true convolution."""
    return np.flip(w, tuple(range(2, w.ndim))) if options["flip"] else w


def channels_of(f: int, w: Array, options: Options) -> slice:
    """The channels that a filter sees."""
    first = f * options["groups"] // w.shape[0] * w.shape[1]
    return slice(first, first + w.shape[1])


def correlate(x: Array, w: Array, options: Options) -> Array:
    """The convolution, one output position and filter at a time."""
    padded, _ = surrounded(x, padding(options, w))
    kernel, places = turned(w, options), patches(x.shape[2:], w, options)
    y = np.zeros((x.shape[0], w.shape[0], *[n + 1 for n in places[-1][0]]))
    for at, read in places:
        for f in range(w.shape[0]):
            product = padded[:, channels_of(f, w, options), *read] * kernel[f]
            y[:, f, *at] = product.sum(tuple(range(1, x.ndim)))
    return y


def outer(g: Array, w: Array) -> Array:
    """A number for each image times one filter."""
    return g.reshape(-1, *(1,) * w.ndim) * w


def by_input(g: Array, w: Array, image: tuple[int, ...], options: Options) -> Array:
    """The gradient by the input: each output position adds its filter."""
    total, inner = surrounded(np.zeros((g.shape[0], w.shape[1] * options["groups"], *image)), padding(options, w))
    kernel = turned(w, options)
    for at, read in patches(image, w, options):
        for f in range(w.shape[0]):
            total[:, channels_of(f, w, options), *read] += outer(g[:, f, *at], kernel[f])
    return total[inner]


def by_weights(g: Array, x: Array, shape: tuple[int, ...], options: Options) -> Array:
    """The gradient by the weights: each output position adds its patch."""
    total = np.zeros(shape)
    padded, _ = surrounded(x, padding(options, total))
    for at, read in patches(x.shape[2:], total, options):
        for f in range(shape[0]):
            patch = padded[:, channels_of(f, total, options), *read]
            total[f] += np.tensordot(g[:, f, *at], patch, 1)
    return turned(total, options)


def sizes(*extents: int) -> list[Any]:
    """Extents as constants."""
    return [constant(np.int64(n)) for n in extents]


def layer(given: Options, x: tuple[int, ...], w: tuple[int, ...]) -> tuple[Case, Case, Case]:
    """The convolution of one layer and its two derivatives."""
    options = plain(given, len(x) - 2)
    y = correlate(np.zeros(x), np.zeros(w), options).shape
    call = {"border_mode" if k == "border" else k: v for k, v in options.items()}
    image, kernel = sizes(*x[2:]), sizes(*w[2:])
    return (
        Case(
            lambda a, b: CONVOLUTIONS[len(x) - 2](a, b, **call), normal(x, w),
            lambda a, b: correlate(a, b, options), (0, 1), ULP,
        ),
        Case(
            lambda g, b: conv_input_grad(g, b, *image, **options), normal(y, w),
            lambda g, b: by_input(g, b, x[2:], options), (0, 1), ULP,
        ),
        Case(
            lambda g, a: conv_weight_grad(g, a, *kernel, **options), normal(y, x),
            lambda g, a: by_weights(g, a, w, options), (0, 1), ULP,
        ),
    )  # fmt: skip


def transposed(given: Options, x: tuple[int, ...], w: tuple[int, ...]) -> Case:
    """The transposed convolution to the size that a layer has, from what it gives."""
    options = plain(given, len(x) - 2)
    y = correlate(np.zeros(x), np.zeros(w), options).shape
    call = {"border_mode" if k == "border" else k: v for k, v in options.items()}
    return Case(
        lambda g, b: TRANSPOSED[len(x) - 2](g, b, **call, output_size=x[2:]), normal(y, w),
        lambda g, b: by_input(g, b, x[2:], options), (0, 1), ULP,
    )  # fmt: skip


THREE = [layer(*each) for each in LAYERS]

# ------------------------------------------------------------------------------------------------ pooling

POOLS: list[tuple[Options, tuple[int, ...]]] = [
    ({"size": (2, 2)}, (2, 3, 6, 4)),
    ({"size": (2, 2), "ceil": True}, (2, 13, 5)),
    ({"size": (3, 2), "stride": (2, 1), "pad": (1, 0)}, (2, 5, 7)),
    ({"size": (3, 3), "stride": (2, 2), "pad": (1, 1), "ceil": True}, (1, 2, 6, 5)),
    ({"size": (2, 1), "stride": (3, 2)}, (7, 6)),
    ({"size": (2, 3), "stride": (3, 2), "pad": (1, 2), "ceil": True}, (2, 5, 8)),
    ({"size": (3,), "stride": (2,), "pad": (1,), "ceil": True}, (2, 8)),
    ({"size": (2, 1, 2), "stride": (1, 1, 2), "pad": (1, 0, 0)}, (2, 3, 2, 5)),
]


MAXIMA = {1: max_pool1d, 2: max_pool2d, 3: max_pool3d}
MEANS = {1: avg_pool1d, 2: avg_pool2d, 3: avg_pool3d}


def full(given: Options) -> Options:
    """All attributes of a pool."""
    return {"stride": given["size"], "pad": (0,) * len(given["size"]), "ceil": False, **given}


Cells = list[tuple[tuple[int, ...], int]]


def windows(shape: tuple[int, ...], options: Options) -> list[tuple[tuple[int, ...], Cells]]:
    """Each output position, and the (place, tap) of the elements in its window."""
    image = shape[-len(options["size"]) :]
    geometry = list(zip(image, options["size"], options["stride"], options["pad"], strict=True))
    counts = []
    for n, k, s, p in geometry:
        steps = (n + 2 * p - k) / s
        count = int(np.ceil(steps) if options["ceil"] else np.floor(steps)) + 1
        counts.append(count - ((count - 1) * s >= n + p))
    found = []
    for at in np.ndindex(*counts):
        cells: Cells = []
        for tap, offsets in enumerate(np.ndindex(*options["size"])):
            place = tuple(i * s + r - p for i, r, (_, _, s, p) in zip(at, offsets, geometry, strict=True))
            if all(0 <= y < n for y, n in zip(place, image, strict=True)):
                cells.append((place, tap))
        found.append((at, cells))
    return found


def pooled(x: Array, options: Options, function: Any) -> Array:
    """``function(elements, taps)`` of each window; elements are the last axis."""
    found = windows(x.shape, options)
    out = np.zeros((*x.shape[: -len(options["size"])], *[n + 1 for n in found[-1][0]]))
    for at, cells in found:
        elements = np.stack([x[..., *place] for place, _ in cells], -1)
        out[..., *at] = function(elements, np.array([k for _, k in cells]))
    return out


def spread(g: Array, index: Array | None, image: tuple[int, ...], options: Options) -> Array:
    """Each window's ``g`` added to its elements, or to the one that ``index`` names."""
    out = np.zeros((*g.shape[: -len(image)], *image))
    for at, cells in windows(image, options):
        for place, k in cells:
            out[..., *place] += g[..., *at] if index is None else np.where(index[..., *at] == k, g[..., *at], 0)
    return out


def first_best(elements: Array, taps: Array) -> Array:
    """The tap of the first largest element."""
    return taps[elements.argmax(-1)]


def picked(x: Array, index: Array, options: Options) -> Array:
    """The element of each window at a tap."""
    out = np.zeros(index.shape)
    for at, cells in windows(x.shape, options):
        for place, k in cells:
            out[..., *at] = np.where(index[..., *at] == k, x[..., *place], out[..., *at])
    return out


def apart(*shape: int) -> Draw:
    """Elements well apart, so that differences stay on one side of a tie."""
    return lambda rng, dtype: [(rng.permutation(int(np.prod(shape))) * 0.25 - 3).reshape(shape).astype(dtype)]


def tied(*shape: int) -> Draw:
    """Whole numbers with many ties."""

    def draw(rng: np.random.Generator, dtype: str) -> Arrays:
        return [rng.integers(-1, 2, size=shape).astype(dtype)]

    return draw


def with_taps(count: int, options: Options, shape: tuple[int, ...]) -> Draw:
    """``count`` arrays and, for each window of an input of ``shape``, the tap of one of its elements."""
    out = pooled(np.zeros(shape), options, lambda e, k: 0).shape

    def draw(rng: np.random.Generator, dtype: str) -> Arrays:
        index = np.zeros(out, "int32")
        for at, cells in windows(shape, options):
            index[..., *at] = rng.choice([k for _, k in cells], size=out[: -len(at)])
        values = rng.normal(size=shape if count == 2 else out).astype(dtype)
        return [values, index]

    return draw


def pool(given: Options, shape: tuple[int, ...]) -> dict[str, list[Case]]:
    """The cases of one pool and of its derivatives."""
    rank = len(given["size"])
    options, image = full(given), sizes(*shape[-rank:])
    call = {"ceil_mode" if k == "ceil" else k: v for k, v in options.items()}
    out = pooled(np.zeros(shape), options, lambda e, k: 0).shape

    def highest(x: Array) -> Array:
        return pooled(x, options, lambda e, k: e.max(-1))

    def mean(x: Array) -> Array:
        return pooled(x, options, lambda e, k: e.mean(-1))

    return {
        "max_pool": [
            Case(lambda x: MAXIMA[rank](x, **call), apart(*shape), highest, (0,)),
            Case(lambda x: max_pool(x, **options), tied(*shape), highest),
        ],
        "max_pool_index": [
            Case(lambda x: max_pool_index(x, **options), tied(*shape), lambda x: pooled(x, options, first_best)),
        ],
        "max_pool_spread": [
            Case(
                lambda g, i: max_pool_spread(g, i, *image, **options), with_taps(1, options, shape),
                lambda g, i: spread(g, i, shape[-rank:], options), (0,),
            ),
        ],
        "max_pool_pick": [
            Case(
                lambda x, i: max_pool_pick(x, i, **options), with_taps(2, options, shape),
                lambda x, i: picked(x, i, options), (0,),
            ),
        ],
        "sum_pool": [
            Case(
                lambda x: sum_pool(x, **options), normal(shape),
                lambda x: pooled(x, options, lambda e, k: e.sum(-1)), (0,), 16.0,
            ),
            Case(lambda x: MEANS[rank](x, **call, count_include_pad=False), normal(shape), mean, (0,), 16.0),
        ],
        "sum_pool_spread": [
            Case(
                lambda g: sum_pool_spread(g, *image, **options), normal(out),
                lambda g: spread(g, None, shape[-rank:], options), (0,), 16.0,
            ),
        ],
        "pool_count": [
            Case(
                lambda x: pool_count(x, padded=False, **options), normal(shape[-rank:]),
                lambda x: pooled(x, options, lambda e, k: len(k)),
            ),
        ],
    }  # fmt: skip


EACH = [pool(*each) for each in POOLS]

CASES: dict[str, list[Case]] = {
    "conv": [cases[0] for cases in THREE],
    "conv_input_grad": [*[cases[1] for cases in THREE], *[transposed(*each) for each in LAYERS]],
    "conv_weight_grad": [cases[2] for cases in THREE],
    **{name: [case for cases in EACH for case in cases[name]] for name in EACH[0]},
}

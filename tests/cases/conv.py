"""Cases of convolution and pooling, against loops over output positions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from symgraph.graph import constant
from symgraph.ops.conv import conv2d, conv2d_input_grad, conv2d_weight_grad
from symgraph.ops.pool import (
    avg_pool2d,
    max_pool,
    max_pool2d,
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

PLAIN: Options = {"border": "valid", "stride": (1, 1), "dilation": (1, 1), "groups": 1, "flip": False}
LAYERS: list[tuple[Options, tuple[int, ...], tuple[int, ...]]] = [
    ({}, (2, 3, 6, 5), (4, 3, 3, 2)),
    ({"border": "full"}, (2, 2, 4, 5), (3, 2, 3, 2)),
    ({"border": "half"}, (1, 2, 5, 4), (2, 2, 3, 3)),
    ({"border": (2, 1), "stride": (2, 3)}, (2, 2, 7, 8), (3, 2, 3, 2)),
    ({"border": "full", "dilation": (2, 1)}, (1, 2, 4, 5), (2, 2, 2, 3)),
    ({"groups": 2, "stride": (2, 1)}, (2, 4, 5, 4), (6, 2, 2, 2)),
    ({"border": (1, 1), "flip": True}, (1, 2, 4, 4), (2, 2, 3, 2)),
    ({}, (2, 1, 1, 1), (1, 1, 1, 1)),
]


def padding(options: Options, w: Array) -> tuple[int, int]:
    """Zeros on each side of rows and columns."""
    spans = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], options["dilation"], strict=True)]
    named = {"valid": (0, 0), "full": tuple(s - 1 for s in spans), "half": tuple(s // 2 for s in spans)}
    return named.get(options["border"], options["border"])


def patches(image: tuple[int, ...], w: Array, options: Options) -> Iterator[tuple[int, int, slice, slice]]:
    """Each output position, and the rows and columns of the padded input that it reads."""
    (top, left), (sr, sc), (dr, dc) = padding(options, w), options["stride"], options["dilation"]
    down, across = (w.shape[2] - 1) * dr + 1, (w.shape[3] - 1) * dc + 1
    for i, y in enumerate(range(0, image[0] + 2 * top - down + 1, sr)):
        for j, z in enumerate(range(0, image[1] + 2 * left - across + 1, sc)):
            yield i, j, slice(y, y + down, dr), slice(z, z + across, dc)


def correlate(x: Array, w: Array, options: Options) -> Array:
    """The convolution, one output position and filter at a time."""
    (top, left), per_group = padding(options, w), w.shape[1]
    padded = np.pad(x, [(0, 0), (0, 0), (top, top), (left, left)])
    kernel = w[:, :, ::-1, ::-1] if options["flip"] else w
    places = list(patches(x.shape[2:], w, options))
    y = np.zeros((x.shape[0], w.shape[0], places[-1][0] + 1, places[-1][1] + 1))
    for i, j, rows, columns in places:
        for f in range(w.shape[0]):
            first = f * options["groups"] // w.shape[0] * per_group
            y[:, f, i, j] = (padded[:, first : first + per_group, rows, columns] * kernel[f]).sum((1, 2, 3))
    return y


def by_input(g: Array, w: Array, image: tuple[int, ...], options: Options) -> Array:
    """The gradient by the input: each output position adds its filter."""
    (top, left), per_group = padding(options, w), w.shape[1]
    total = np.zeros((g.shape[0], per_group * options["groups"], image[0] + 2 * top, image[1] + 2 * left))
    kernel = w[:, :, ::-1, ::-1] if options["flip"] else w
    for i, j, rows, columns in patches(image, w, options):
        for f in range(w.shape[0]):
            first = f * options["groups"] // w.shape[0] * per_group
            total[:, first : first + per_group, rows, columns] += g[:, f, i, j, None, None, None] * kernel[f]
    return total[:, :, top : top + image[0], left : left + image[1]]


def by_weights(g: Array, x: Array, shape: tuple[int, ...], options: Options) -> Array:
    """The gradient by the weights: each output position adds its patch."""
    total = np.zeros(shape)
    (top, left), per_group = padding(options, total), shape[1]
    padded = np.pad(x, [(0, 0), (0, 0), (top, top), (left, left)])
    for i, j, rows, columns in patches(x.shape[2:], total, options):
        for f in range(shape[0]):
            first = f * options["groups"] // shape[0] * per_group
            patch = padded[:, first : first + per_group, rows, columns]
            total[f] += (g[:, f, i, j, None, None, None] * patch).sum(0)
    return total[:, :, ::-1, ::-1] if options["flip"] else total


def sizes(*extents: int) -> list[Any]:
    """Extents as constants."""
    return [constant(np.int64(n)) for n in extents]


def layer(given: Options, x: tuple[int, ...], w: tuple[int, ...]) -> tuple[Case, Case, Case]:
    """The convolution of one layer and its two derivatives."""
    options = {**PLAIN, **given}
    y = correlate(np.zeros(x), np.zeros(w), options).shape
    call = {"border_mode" if k == "border" else k: v for k, v in options.items()}
    image, kernel = sizes(*x[2:]), sizes(*w[2:])
    return (
        Case(
            lambda a, b: conv2d(a, b, **call), normal(x, w), lambda a, b: correlate(a, b, options), (0, 1), ULP
        ),
        Case(
            lambda g, b: conv2d_input_grad(g, b, *image, **options), normal(y, w),
            lambda g, b: by_input(g, b, x[2:], options), (0, 1), ULP,
        ),
        Case(
            lambda g, a: conv2d_weight_grad(g, a, *kernel, **options), normal(y, x),
            lambda g, a: by_weights(g, a, w, options), (0, 1), ULP,
        ),
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
]


def full(given: Options) -> Options:
    """All attributes of a pool."""
    return {"stride": given["size"], "pad": (0, 0), "ceil": False, **given}


def windows(shape: tuple[int, ...], options: Options) -> list[tuple[int, int, list[tuple[int, int, int]]]]:
    """Each output position, and the (row, column, tap) of the elements in its window."""
    counts = []
    for n, k, s, p in zip(shape[-2:], options["size"], options["stride"], options["pad"], strict=True):
        steps = (n + 2 * p - k) / s
        count = int(np.ceil(steps) if options["ceil"] else np.floor(steps)) + 1
        counts.append(count - ((count - 1) * s >= n + p))
    (sr, sc), (pr, pc) = options["stride"], options["pad"]
    found = []
    for i, j in np.ndindex(*counts):
        cells = [(i * sr + r - pr, j * sc + c - pc, k) for k, (r, c) in enumerate(np.ndindex(*options["size"]))]
        found.append((i, j, [(y, z, k) for y, z, k in cells if 0 <= y < shape[-2] and 0 <= z < shape[-1]]))
    return found


def pooled(x: Array, options: Options, function: Any) -> Array:
    """``function(elements, taps)`` of each window; elements are the last axis."""
    found = windows(x.shape, options)
    out = np.zeros((*x.shape[:-2], found[-1][0] + 1, found[-1][1] + 1))
    for i, j, cells in found:
        elements = np.stack([x[..., y, z] for y, z, _ in cells], -1)
        out[..., i, j] = function(elements, np.array([k for _, _, k in cells]))
    return out


def spread(g: Array, index: Array | None, image: tuple[int, ...], options: Options) -> Array:
    """Each window's ``g`` added to its elements, or to the one that ``index`` names."""
    out = np.zeros((*g.shape[:-2], *image))
    for i, j, cells in windows(image, options):
        for y, z, k in cells:
            out[..., y, z] += g[..., i, j] if index is None else np.where(index[..., i, j] == k, g[..., i, j], 0)
    return out


def first_best(elements: Array, taps: Array) -> Array:
    """The tap of the first largest element."""
    return taps[elements.argmax(-1)]


def picked(x: Array, index: Array, options: Options) -> Array:
    """The element of each window at a tap."""
    out = np.zeros(index.shape)
    for i, j, cells in windows(x.shape, options):
        for y, z, k in cells:
            out[..., i, j] = np.where(index[..., i, j] == k, x[..., y, z], out[..., i, j])
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
        for i, j, cells in windows(shape, options):
            index[..., i, j] = rng.choice([k for _, _, k in cells], size=out[:-2])
        values = rng.normal(size=shape if count == 2 else out).astype(dtype)
        return [values, index]

    return draw


def pool(given: Options, shape: tuple[int, ...]) -> dict[str, list[Case]]:
    """The cases of one pool and of its derivatives."""
    options, image = full(given), sizes(*shape[-2:])
    call = {"ceil_mode" if k == "ceil" else k: v for k, v in options.items()}
    out = pooled(np.zeros(shape), options, lambda e, k: 0).shape

    def highest(x: Array) -> Array:
        return pooled(x, options, lambda e, k: e.max(-1))

    def mean(x: Array) -> Array:
        return pooled(x, options, lambda e, k: e.mean(-1))

    return {
        "max_pool": [
            Case(lambda x: max_pool2d(x, **call), apart(*shape), highest, (0,)),
            Case(lambda x: max_pool(x, **options), tied(*shape), highest),
        ],
        "max_pool_index": [
            Case(lambda x: max_pool_index(x, **options), tied(*shape), lambda x: pooled(x, options, first_best)),
        ],
        "max_pool_spread": [
            Case(
                lambda g, i: max_pool_spread(g, i, *image, **options), with_taps(1, options, shape),
                lambda g, i: spread(g, i, shape[-2:], options), (0,),
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
            Case(lambda x: avg_pool2d(x, **call, count_include_pad=False), normal(shape), mean, (0,), 16.0),
        ],
        "sum_pool_spread": [
            Case(
                lambda g: sum_pool_spread(g, *image, **options), normal(out),
                lambda g: spread(g, None, shape[-2:], options), (0,), 16.0,
            ),
        ],
        "pool_count": [
            Case(
                lambda x: pool_count(x, padded=False, **options), normal(shape[-2:]),
                lambda x: pooled(x, options, lambda e, k: len(k)),
            ),
        ],
    }  # fmt: skip


EACH = [pool(*each) for each in POOLS]

CASES: dict[str, list[Case]] = {
    "conv2d": [cases[0] for cases in THREE],
    "conv2d_input_grad": [cases[1] for cases in THREE],
    "conv2d_weight_grad": [cases[2] for cases in THREE],
    **{name: [case for cases in EACH for case in cases[name]] for name in EACH[0]},
}

"""Pooling: shapes, ties, NaN, means at borders, errors."""

from __future__ import annotations

import numpy as np
import pytest

import symgraph as sg
from symgraph import expression
from symgraph.errors import DTypeError, ShapeError
from symgraph.nn import avg_pool2d, conv2d, max_pool2d
from symgraph.reference import evaluate
from tests.cases.conv import MEANS, POOLS, full, pooled, windows
from tests.formulas import formula_value, node_of, reference_value

RNG = np.random.default_rng(0)
NAN = float("nan")


def value(build, x):
    v = sg.tensor("x", x.dtype, x.shape)
    return evaluate([build(v)], {v: x})[0]


def test_the_classic_network_goes_28_30_15_13_7_5_3():
    x = sg.tensor("x", "float32", (None, 1, 28, 28))
    filters = [sg.tensor("w", "float32", s) for s in ((32, 1, 3, 3), (64, 32, 3, 3), (128, 64, 3, 3))]
    extents = []
    for w, border in zip(filters, ("full", "valid", "valid"), strict=True):
        x = conv2d(x, w, border)
        extents.append(x.type.shape[-1])
        x = max_pool2d(x, 2, ceil_mode=True)
        extents.append(x.type.shape[-1])
    assert extents == [30, 15, 13, 7, 5, 3]
    assert x.type.shape == (None, 128, 3, 3)


@pytest.mark.parametrize(("given", "shape"), POOLS)
def test_formulas_mean_what_the_references_say(given, shape):
    options, rank = full(given), len(given["size"])
    x = RNG.integers(-2, 3, size=shape).astype("float64")
    for name, extra in (("max_pool", {}), ("max_pool_index", {}), ("sum_pool", {}), ("pool_count", {"padded": True})):
        expected = reference_value(name, [x], **options, **extra)
        np.testing.assert_allclose(formula_value(name, [x], **options, **extra), expected, atol=1e-12)
    index = reference_value("max_pool_index", [x], **options)
    g = RNG.normal(size=index.shape)
    for name, arrays, sizes in (
        ("max_pool_spread", [g, index], shape[-rank:]), ("sum_pool_spread", [g], shape[-rank:]),
        ("max_pool_pick", [x, index], ()),
    ):  # fmt: skip
        expected = reference_value(name, arrays, sizes, **options)
        np.testing.assert_allclose(formula_value(name, arrays, sizes, **options), expected, atol=1e-12)


def test_side_by_side_windows_have_a_gradient_without_a_sum():
    options = full({"size": (2, 2), "ceil": True})
    g, index = np.zeros((1, 1, 7, 7), "float32"), np.zeros((1, 1, 7, 7), "int32")
    node = node_of("max_pool_spread", [g, index], (13, 13), **options)
    made = node.op.define(node)
    assert not made.reduce
    assert sum(e.prim == "select" for e in expression.toposort(made.exprs)) == 1


# ------------------------------------------------------------------------------------------------ maxima


def test_the_gradient_goes_to_the_first_maximum_of_each_window():
    x = np.array([[1.0, 3.0, 0.0, 0.0], [3.0, 3.0, 0.0, 0.0]])
    v = sg.matrix("x")
    (g,) = evaluate([sg.grad(max_pool2d(v, 2).sum(), v)], {v: x})
    np.testing.assert_array_equal(g, [[0, 1, 1, 0], [0, 0, 0, 0]])


def test_an_empty_batch_has_an_empty_pool():
    x = sg.ftensor4("x")
    for pool in (sg.nn.max_pool2d, sg.nn.avg_pool2d):
        y = pool(x, (1, 2))
        for backend in ("numpy", "llvm"):
            y_value, g_value = sg.function([x], [y, sg.grad(y.sum(), x)], backend=backend)(np.ones((0, 1, 3, 4), "f"))
            assert y_value.shape == (0, 1, 3, 2) and g_value.shape == (0, 1, 3, 4)


def test_overlapping_windows_add_their_gradients():
    x = np.array([[0.0, 5.0, 0.0], [0.0, 0.0, 0.0]])
    v = sg.matrix("x")
    (g,) = evaluate([sg.grad(max_pool2d(v, (2, 2), stride=1).sum(), v)], {v: x})
    np.testing.assert_array_equal(g, [[0, 2, 0], [0, 0, 0]])


def test_a_nan_wins_its_window():
    x = np.array([[1.0, NAN, 2.0, 3.0], [NAN, 9.0, 4.0, 5.0]])
    np.testing.assert_array_equal(value(lambda v: max_pool2d(v, 2), x), [[NAN, 5.0]])
    assert formula_value("max_pool_index", [x], **full({"size": (2, 2)})).tolist() == [[1, 3]]


def test_padding_never_wins_even_over_minus_infinity():
    x = np.full((3, 3), -np.inf)
    options = full({"size": (2, 2), "pad": (1, 1)})
    for f in (formula_value, reference_value):
        index = f("max_pool_index", [x], **options)
        for at, cells in windows((3, 3), options):
            assert index[at] == cells[0][1]
    low = np.full((3, 3), -128, "int8")
    assert (value(lambda v: max_pool2d(v, 2, pad=1), low) == -128).all()


# ------------------------------------------------------------------------------------------------ means


@pytest.mark.parametrize(("given", "shape"), POOLS)
def test_a_mean_counts_the_elements_or_the_padded_ones_too(given, shape):
    options, rank = full(given), len(given["size"])
    x, mean = RNG.normal(size=shape), MEANS[rank]
    call = {"ceil_mode" if k == "ceil" else k: v for k, v in options.items()}
    without = value(lambda v: mean(v, **call, count_include_pad=False), x)
    np.testing.assert_allclose(without, pooled(x, options, lambda e, k: e.mean(-1)), atol=1e-12)
    # with zeros written out, the same means are those of a pool without padding
    zeros = np.pad(x, [(0, 0)] * (x.ndim - rank) + [(p, p) for p in options["pad"]])
    found = value(lambda v: mean(v, **call), x)
    plain = pooled(zeros, {**options, "pad": (0,) * rank}, lambda e, k: e.mean(-1))
    np.testing.assert_allclose(found, plain[..., *[slice(n) for n in found.shape[-rank:]]], atol=1e-12)


def test_a_mean_of_integers_is_a_float_and_float16_sums_in_float32():
    assert value(lambda v: avg_pool2d(v, 2), np.array([[1, 2], [3, 5]])).dtype == sg.floatX()
    ones = np.full((64, 64), 1000, "float16")
    assert value(lambda v: avg_pool2d(v, 64), ones) == 1000


def test_open_extents_stay_open():
    x = sg.tensor("x", "float32", (None, 3, None, 28))
    y = avg_pool2d(x, 3, stride=2, pad=1)
    assert y.type.shape == (None, 3, None, 14)
    g = sg.grad(max_pool2d(x, 2, ceil_mode=True).sum() + y.sum(), x)
    assert evaluate([g], {x: np.ones((2, 3, 9, 28), "float32")})[0].shape == (2, 3, 9, 28)


# ------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("shape", "options", "what"),
    [
        ((5,), {"size": 2}, "x has 1 axes, it must have 2 or more"),
        ((5, 5), {"size": 0}, "size is 0"),
        ((5, 5), {"size": 2, "stride": (1, 0)}, "stride is (1, 0)"),
        ((5, 5), {"size": 2, "pad": 2}, "pad 2 is not below the window's size 2"),
        ((5, 1), {"size": 2}, "a window of 2 columns does not fit 1"),
    ],
)
def test_what_does_not_fit_is_said(shape, options, what):
    for pool in (max_pool2d, avg_pool2d):
        with pytest.raises(ShapeError) as caught:
            pool(sg.tensor("x", "float32", shape), **options)
        assert what in str(caught.value)


def test_bool_images_are_refused():
    with pytest.raises(DTypeError, match="does not take bool"):
        max_pool2d(sg.tensor("x", "bool", (4, 4)), 2)

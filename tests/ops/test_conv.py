"""Convolution: what the index formulas look like, borders, open extents, errors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import convolve2d, correlate2d

import symgraph as sg
from symgraph import expression
from symgraph.errors import DTypeError, ShapeError
from symgraph.nn import conv2d
from symgraph.ops.conv import conv_input_grad, conv_op, conv_weight_grad
from symgraph.reference import evaluate
from tests.formulas import formula_value, node_of, reference_value

RNG = np.random.default_rng(0)
PLAIN = {"border": "valid", "stride": (1, 1), "dilation": (1, 1), "groups": 1, "flip": False}
X, W, G = (2, 3, 7, 6), (4, 3, 3, 2), (2, 4, 5, 5)


def primitives(name, shapes, sizes=(), **changes):
    """The names of the primitives in a formula."""
    node = node_of(name, [np.zeros(s, "float32") for s in shapes], sizes, **{**PLAIN, **changes})
    return {e.prim for e in expression.toposort(node.op.define(node).exprs)}


def test_a_valid_convolution_is_loads_sums_and_a_product():
    assert primitives("conv", [X, W]) == {"load", "axis", "add", "mul"}
    assert primitives("conv_weight_grad", [G, X], (3, 2)) == {"load", "axis", "add", "mul"}


def test_a_full_convolutions_input_gradient_needs_no_condition():
    found = primitives("conv_input_grad", [(2, 4, 9, 7), W], (7, 6), border="full")
    assert found == {"load", "axis", "const", "add", "sub", "mul"}


@pytest.mark.parametrize("border", ["valid", "half", "full"])
def test_without_a_stride_no_formula_divides(border):
    pad = {"valid": (0, 0), "half": (1, 1), "full": (2, 1)}[border]
    g = (2, 4, 7 + 2 * pad[0] - 2, 6 + 2 * pad[1] - 1)
    every = primitives("conv", [X, W], border=border)
    every |= primitives("conv_input_grad", [g, W], (7, 6), border=border)
    every |= primitives("conv_weight_grad", [g, X], (3, 2), border=border)
    assert not every & {"floordiv", "mod", "quot", "rem", "div"}


@pytest.mark.parametrize("border", ["valid", "half", "full", (2, 1)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 1)])
@pytest.mark.parametrize(("groups", "flip"), [(1, False), (2, True)])
def test_formulas_mean_what_the_references_say(border, stride, dilation, groups, flip):
    options = {"border": border, "stride": stride, "dilation": dilation, "groups": groups, "flip": flip}
    x, w = RNG.normal(size=(2, 4, 7, 6)), RNG.normal(size=(6, 4 // groups, 3, 2))
    y = reference_value("conv", [x, w], **options)
    g = RNG.normal(size=y.shape)
    for name, arrays, sizes in (
        ("conv", [x, w], ()), ("conv_input_grad", [g, w], (7, 6)), ("conv_weight_grad", [g, x], (3, 2)),
    ):  # fmt: skip
        expected = reference_value(name, arrays, sizes, **options)
        np.testing.assert_allclose(formula_value(name, arrays, sizes, **options), expected, atol=1e-12)


@pytest.mark.parametrize(("border", "mode"), [("valid", "valid"), ("full", "full"), ("half", "same")])
def test_one_channel_is_scipys_correlation_and_flipped_its_convolution(border, mode):
    x, w = RNG.normal(size=(8, 9)), RNG.normal(size=(3, 5))
    image, filters = sg.tensor4("x"), sg.tensor4("w")
    outputs = [conv2d(image, filters, border), conv2d(image, filters, border, flip=True)]
    found = evaluate(outputs, {image: x[None, None], filters: w[None, None]})
    np.testing.assert_allclose(found[0][0, 0], correlate2d(x, w, mode), atol=1e-12)
    np.testing.assert_allclose(found[1][0, 0], convolve2d(x, w, mode), atol=1e-12)


def test_a_border_has_no_product_with_infinity():
    """Neither by the reference nor compiled: what is outside of the image is not there."""
    x, w = np.ones((1, 1, 3, 3)), np.full((1, 1, 3, 3), np.inf)
    given = sg.constant(x), sg.constant(w)
    y = conv2d(*given, border_mode="half")
    for v in (y, *sg.grad(y.sum(), given)):
        for backend in ("numpy", "llvm"):
            found = sg.function([], v, backend=backend)()
            assert np.isposinf(found).all() or (found == found.round()).all()


def test_an_empty_batch_gives_an_empty_result():
    found = formula_value("conv", [np.zeros((0, 3, 7, 6)), np.zeros(W)], **PLAIN)
    assert found.shape == (0, 4, 5, 5)
    arrays = [np.zeros((0, 4, 5, 5)), np.zeros((0, 3, 7, 6))]
    assert not formula_value("conv_weight_grad", arrays, (3, 2), **PLAIN).any()


def test_open_extents_stay_open_and_known_ones_are_worked_out():
    x = sg.tensor("x", "float32", (None, 3, None, 28))
    w = sg.tensor("w", "float32", (8, 3, 3, 3))
    y = conv2d(x, w, "half", stride=2)
    assert y.type.shape == (None, 8, None, 14)
    gx, gw = sg.grad(y.sum(), [x, w])
    arrays = {x: np.ones((2, 3, 9, 28), "float32"), w: np.ones((8, 3, 3, 3), "float32")}
    found = evaluate([gx, gw], arrays)
    assert [a.shape for a in found] == [(2, 3, 9, 28), (8, 3, 3, 3)]


def test_gradients_are_the_other_two_ops():
    x, w = sg.tensor("x", "float32", X), sg.tensor("w", "float32", W)
    gx, gw = sg.grad(conv2d(x, w).sum(), [x, w])
    assert gx.owner.op is conv_input_grad
    assert gw.owner.op is conv_weight_grad
    again = sg.grad((gx * gx).sum(), w)
    assert conv_op in {n.op for n in sg.graph.toposort([again])} or again.owner.op is conv_weight_grad


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8", "int64"])
def test_the_result_has_the_dtype_of_the_operands(dtype):
    x, w = sg.tensor("x", dtype, (1, 1, 4, 4)), sg.tensor("w", dtype, (1, 1, 2, 2))
    (found,) = evaluate([conv2d(x, w)], {x: np.full((1, 1, 4, 4), 2, dtype), w: np.full((1, 1, 2, 2), 3, dtype)})
    assert found.dtype == dtype
    assert (found == 24).all()


# ------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("x", "w", "options", "what"),
    [
        ((2, 3, 8, 8), (4, 5, 3, 3), {}, "x has 3 channels, w has 5"),
        ((2, 4, 8, 8), (4, 4, 3, 3), {"groups": 2}, "x has 4 channels, w has 4 in each of 2 groups"),
        ((2, 4, 8, 8), (3, 2, 3, 3), {"groups": 2}, "3 filters do not split into 2 groups"),
        ((2, 3, 2, 8), (4, 3, 3, 3), {}, "a kernel of 3 rows does not fit an input of 2"),
        ((2, 3, 8), (4, 3, 3, 3), {}, "x has 3 axes, it must have 4"),
        ((2, 3, 8, 8), (4, 3, 3, 3), {"border_mode": "same"}, "border_mode is 'same'"),
        ((2, 3, 8, 8), (4, 3, 3, 3), {"border_mode": (1, -1)}, "border_mode is (1, -1)"),
        ((2, 3, 8, 8), (4, 3, 3, 3), {"stride": 0}, "stride is 0"),
        ((2, 3, 8, 8), (4, 3, 3, 3), {"dilation": (1, 2, 3)}, "dilation is (1, 2, 3)"),
        ((2, 3, 8, 8), (4, 3, 3, 3), {"groups": 0}, "groups is 0"),
    ],
)
def test_what_does_not_fit_is_said(x, w, options, what):
    with pytest.raises(ShapeError) as caught:
        conv2d(sg.tensor("x", "float32", x), sg.tensor("w", "float32", w), **options)
    assert what in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 12


def test_channels_that_only_the_call_shows_are_checked_there():
    x, w = sg.tensor4("x"), sg.tensor4("w")
    f = sg.function([x, w], conv2d(x, w), backend="numpy")
    with pytest.raises(ShapeError, match="x has 2 channels, w has 3"):
        f(np.zeros((1, 2, 4, 4)), np.zeros((1, 3, 2, 2)))


def test_bool_images_are_refused():
    with pytest.raises(DTypeError, match="does not take bool"):
        conv2d(sg.tensor("x", "bool", (1, 1, 4, 4)), sg.tensor("w", "bool", (1, 1, 2, 2)))


# ------------------------------------------------------------------------------------------------ other ranks


@pytest.mark.parametrize("options", [{}, {"border_mode": 1, "stride": 2}, {"dilation": 2, "border_mode": "half"}])
def test_one_axis_is_two_of_which_one_has_one_row(options):
    x, w = RNG.normal(size=(2, 3, 9)), RNG.normal(size=(4, 3, 3))
    a, b = sg.tensor3("a"), sg.tensor3("b")
    wide = {k: (0 if k == "border_mode" else 1, v) if isinstance(v, int) else v for k, v in options.items()}
    one, two = evaluate(
        [sg.nn.conv1d(a, b, **options), conv2d(a[:, :, None], b[:, :, None], **wide)[:, :, 0]], {a: x, b: w}
    )
    np.testing.assert_allclose(one, two, atol=1e-12)


def test_three_axes_are_compiled_too():
    x, w = RNG.normal(size=(2, 3, 5, 6, 7)), RNG.normal(size=(4, 3, 2, 3, 3))
    a, b = sg.tensor5("a"), sg.tensor5("b")
    y = sg.nn.max_pool3d(sg.nn.conv3d(a, b, "half", stride=(1, 2, 1)), 2, ceil_mode=True)
    outputs = [y, *sg.grad(y.sum(), [a, b])]
    for found, expected in zip(sg.function([a, b], outputs)(x, w), evaluate(outputs, {a: x, b: w}), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-10)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"border_mode": 1, "dilation": 2}, {"border_mode": "full"}])
def test_a_transposed_convolution_has_the_least_size_by_default(rank, options):
    convolution, transposed = (getattr(sg.nn, f"conv{rank}d{end}") for end in ("", "_transpose"))
    g, w = sg.tensor("g", shape=(2, 4, *(5,) * rank)), sg.tensor("w", shape=(4, 3, *(3,) * rank))
    x = transposed(g, w, **options)
    assert convolution(x, w, **options).type.shape == g.type.shape
    less = tuple(n - 1 for n in x.type.shape[2:])
    with pytest.raises(ShapeError, match="leave output_size out"):
        transposed(g, w, **options, output_size=less)
    open_ = transposed(sg.tensor("g", shape=(None,) * (rank + 2)), w, **options)
    assert open_.type.shape == (None, 3, *(None,) * rank)


def test_a_transposed_convolution_says_what_does_not_fit():
    g, w = sg.tensor("g", shape=(2, 5, 6, 6)), sg.tensor("w", shape=(4, 3, 3, 3))
    with pytest.raises(ShapeError, match="g has 5 channels, w 4 filters"):
        sg.nn.conv2d_transpose(g, w)
    with pytest.raises(ShapeError, match="g has 4 axes, it must have 5"):
        sg.nn.conv3d_transpose(g, w)

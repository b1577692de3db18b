"""Layouts: values that nobody outside sees lie as their contractions want them, and mean what the graph says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symgraph as sg
from codegen.fuse import fuse
from codegen.layout import arrange, vector_axis
from codegen.llvm.backend import machine
from codegen.llvm.target import host
from codegen.program import build
from symgraph.backend import prepare
from symgraph.nn import conv2d, max_pool2d
from tests import programs

MODES = ("valid", "full", "half")
CHANNELS = ((1, 16, 17), (3, 32, 16), (16, 20, 4))


def fixed(shape, name=None):
    return sg.tensor(name, "float32", shape)


def net(channels, filters, mode, pool, image=(5, 7)):
    """A convolution, a pooling and another convolution: (inputs, a value in the middle, the output)."""
    x = fixed((2, channels[0], *image), name="x")
    w = fixed((channels[1], channels[0], filters, filters), name="w")
    v = fixed((channels[2], channels[1], 2, 2), name="v")
    h = sg.maximum(conv2d(x, w, border_mode=mode), 0)
    h = max_pool2d(h, (2, 2), ceil_mode=True) if pool else h * 2
    return (x, w, v), h, conv2d(h, v, border_mode=mode)


def small_integers(variables, seed):
    """Values whose sums of products are exact in any order."""
    rng = np.random.default_rng(seed)
    return {u: rng.integers(-3, 4, u.type.shape).astype("float32") for u in variables}


@settings(max_examples=6, deadline=None)
@given(st.sampled_from(CHANNELS), st.sampled_from(MODES), st.booleans(), st.integers(0, 3))
def test_layouts_keep_the_meaning_of_a_net_and_its_gradients(channels, mode, pool, seed):
    inputs, middle, out = net(channels, 2, mode, pool)
    gradients = sg.grad((out * out).sum() / 2, list(inputs))
    results = [out, *gradients, middle]
    values = small_integers(inputs, seed)
    expected = programs.by_reference(results, values)
    for found in programs.both(results, values) if seed == 0 else (programs.native(results, values),):
        for a, wanted in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, wanted)


def arranged(outputs, inputs):
    fused = fuse(outputs, inputs)
    before = len(fused.groups)
    seen = {fused.root(fused.names[v]) for v in (*outputs, *inputs)}
    arrange(fused, seen)
    return fused, len(fused.groups) - before, seen


def prepared(outputs, inputs):
    task, signature, _ = programs.task_of(outputs, {v: np.zeros(v.type.shape, v.dtype) for v in inputs})
    return prepare(task, signature)


def test_channels_lie_innermost_between_convolutions():
    inputs, _, out = net((3, 32, 16), 2, "valid", True, (20, 20))
    made = prepared([out], inputs)
    fused, packed, _ = arranged(made.outputs, made.inputs)
    pictures = [layout for name, layout in fused.layouts.items() if fused.values[name].type.shape[0] == 2]
    assert pictures and all(layout == (0, 2, 3, 1) for layout in pictures)
    assert packed == 2, "each weight is copied so that its filters lie innermost"


@pytest.mark.parametrize("shapes", [((5, 4), (4, 3)), ((2, 5, 4), (2, 4, 3))])
def test_products_of_matrices_keep_their_order(shapes):
    a, b = (fixed(shape) for shape in shapes)
    made = prepared([a @ b], (a, b))
    fused, packed, _ = arranged(made.outputs, made.inputs)
    assert not fused.layouts and not packed
    assert all(vector_axis(g) is None for g in fused.groups)


def test_what_is_seen_outside_is_row_major():
    inputs, middle, out = net((3, 32, 16), 3, "half", False)
    made = prepared([middle, out], inputs)
    fused, _, seen = arranged(made.outputs, made.inputs)
    assert seen.isdisjoint(fused.layouts)


def test_a_short_contraction_makes_no_copy():
    x, w = fixed((1, 2, 3, 3)), fixed((64, 2, 3, 3))
    made = prepared([conv2d(x, w)], (x, w))
    program = build(made, machine(host()))
    assert len(program.kernels) == 1


def test_a_packed_copy_of_a_constant_leaves_it_alone():
    x = fixed((2, 3, 20, 20), "x")
    weights = small_integers([fixed((32, 3, 3, 3))], 1).popitem()[1]
    w = sg.constant(weights.copy())
    out = conv2d(x, w)
    values = small_integers([x], 0)
    expected = programs.by_reference([out], values)[0]
    (slow,), (fast,) = programs.both([out], values)
    for found in (slow, fast, *programs.native([out], values)):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(w.data, weights)


@pytest.mark.parametrize("run", [programs.native, programs.interpreted])
def test_a_masked_factor_hides_no_nan(run):
    """Zero times inf is NaN, in a sum of products as anywhere."""
    x, y = fixed((3, 20), "x"), fixed((3, 20), "y")
    total = (sg.switch(x > 0, x, 0.0) * y).sum(axis=1)
    values = {x: np.full((3, 20), -1, "float32"), y: np.ones((3, 20), "float32")}
    values[y][1, 3] = np.inf
    assert np.isnan(run([total], values)[0]).tolist() == [False, True, False]


@pytest.mark.parametrize("run", [programs.native, programs.interpreted])
def test_a_zero_of_a_border_that_is_a_factor_hides_no_nan(run):
    x, y = fixed((3, 18), "x"), fixed((3, 20), "y")
    total = (sg.pad(x, ((0, 0), (1, 1))) * y).sum(axis=1)
    values = {x: np.ones((3, 18), "float32"), y: np.ones((3, 20), "float32")}
    values[y][1, 0] = np.inf
    assert np.isnan(run([total], values)[0]).tolist() == [False, True, False]

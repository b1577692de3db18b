"""Indexing follows NumPy exactly, writes give the base changed, and what is out of range raises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from symgraph.errors import AxisError, DTypeError, IndexOutOfRange, ShapeError
from symgraph.function import function
from symgraph.gradient import grad, jacobian
from symgraph.graph import Variable, toposort
from symgraph.op import OPS
from symgraph.ops.creation import zeros
from symgraph.ops.cumulative import bincount
from symgraph.ops.index import inc_subtensor, set_subtensor
from symgraph.ops.join import concatenate, repeat, roll
from symgraph.ops.pad import pad
from symgraph.ops.taking import choose, take, take_along_axis
from symgraph.reference import evaluate
from symgraph.shared_variable import SharedVariable
from symgraph.types import TensorType
from tests.programs import interpreted

SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5)


def symbol(value, open_=False, name="x"):
    """A variable of the type of ``value``."""
    a = np.asarray(value)
    return Variable(TensorType(a.dtype.name, (None,) * a.ndim if open_ else a.shape), name=name)


def tensor(*shape, dtype="float64", name="x"):
    return Variable(TensorType(dtype, shape), name=name)


def numbers(shape):
    """Distinct numbers: two places that are mixed up show."""
    return np.arange(1.0, 1 + np.prod(shape, dtype=int)).reshape(shape)


@st.composite
def mixed_keys(draw, shape):
    """Slices, integers, integer arrays, masks and new axes together."""
    lead = draw(st.sampled_from([(), (3,), (2, 3), (1,), (0,)]))
    key = []
    for n in shape[: draw(st.integers(0, len(shape)))]:
        kinds = ["slice", "int", "array", "whole", "new", "mask"] if n else ["slice", "whole", "new", "mask"]
        kind = draw(st.sampled_from(kinds))
        if kind == "new":
            key.append(None)
        if kind == "slice":
            ends = st.none() | st.integers(-n - 2, n + 2)
            key.append(slice(draw(ends), draw(ends), draw(st.sampled_from([None, 1, 2, 3, -1, -2]))))
        elif kind == "int" or (kind == "array" and not lead):
            key.append(draw(st.integers(-n, n - 1)))
        elif kind == "array":
            dtype = draw(st.sampled_from(["int64", "int32", "int8"]))
            key.append(draw(hnp.arrays(dtype, lead, elements=st.integers(-n, n - 1))))
        elif kind == "mask":
            key.append(draw(hnp.arrays(bool, n)))
        else:
            key.append(slice(None))
    if draw(st.booleans()):
        key.insert(draw(st.integers(0, len(key))), Ellipsis)
    return tuple(key)


@st.composite
def readings(draw):
    shape = draw(SHAPES)
    key = draw(st.one_of(hnp.basic_indices(shape, allow_newaxis=True), mixed_keys(shape)))
    key = key if isinstance(key, tuple) else (key,)
    try:
        numbers(shape)[key]
    except IndexError:  # an ellipsis that moved an index to a shorter axis, a mask that does not fit the arrays
        key = ()
    return shape, key, draw(st.booleans())


def symbolic(key, values, choose):
    """``key`` with integers, ends and arrays as variables if ``choose()``, their values entered into ``values``."""

    def lift(part):
        if part is None or part is Ellipsis:
            return part
        if isinstance(part, slice):
            return slice(lift(part.start), lift(part.stop), lift(part.step))
        if np.asarray(part).dtype == bool or not choose():
            return part
        v = symbol(np.asarray(part), name="i")
        values[v] = np.asarray(part)
        return v

    return tuple(map(lift, key))


@given(readings())
def test_reading_is_that_of_numpy(drawn):
    shape, key, open_ = drawn
    a = numbers(shape)
    x = symbol(a, open_)
    (found,) = evaluate([x[key]], {x: a})
    np.testing.assert_array_equal(found, a[key], strict=True)


@given(readings(), st.data())
def test_a_symbolic_key_reads_what_the_same_numbers_read(drawn, data):
    shape, key, open_ = drawn
    a = numbers(shape)
    values = {}
    x = symbol(a, open_)
    y = x[symbolic(key, values, lambda: data.draw(st.booleans()))]
    weight = np.cos(numbers(a[key].shape))
    want = np.zeros(shape)
    np.add.at(want, key, weight)
    found, by_x = evaluate([y, grad(OPS["sum"](y * weight), x)], {x: a, **values})
    np.testing.assert_array_equal(found, a[key], strict=True)
    np.testing.assert_allclose(by_x, want, rtol=1e-14, atol=1e-14)


@settings(max_examples=30)
@given(readings(), st.booleans(), st.data())
def test_a_compiled_index_reads_and_writes_as_numpy_does(drawn, inc, data):
    shape, key, open_ = drawn
    a = numbers(shape)
    values, read = {}, a[key]
    x, y = symbol(a, open_), symbol(read, name="y")
    part = x[symbolic(key, values, lambda: data.draw(st.booleans()))]
    want = a.copy()
    outputs = [part]
    if not all(k is Ellipsis for k in key):
        outputs.append((inc_subtensor if inc else set_subtensor)(part, y))
        np.add.at(want, key, -read) if inc else want.__setitem__(key, -read)
    f = function([x, y, *values], outputs, on_unused_input="ignore")
    for found, expected in zip(f(a, -read, *values.values()), (read, want), strict=False):
        np.testing.assert_array_equal(found, expected)


def test_an_ellipsis_keeps_index_arrays_apart_even_where_it_means_no_axis():
    a = numbers((2, 2, 4))
    x = symbol(a)
    every = slice(None)
    for key in ((every, [0, 1, 0], Ellipsis, [3]), (every, [0, 1, 0], [3], Ellipsis), ([1], Ellipsis, 0, 2)):
        np.testing.assert_array_equal(evaluate([x[key]], {x: a})[0], a[key], strict=True)
    mask = np.array([True, False, True, True])
    np.testing.assert_array_equal(evaluate([x[..., mask]], {x: a})[0], a[..., mask])


@given(readings(), st.booleans())
def test_writing_is_that_of_numpy(drawn, inc):
    shape, key, open_ = drawn
    if all(k is Ellipsis for k in key):
        return
    a = numbers(shape)
    values = -numbers(a[key].shape)
    want = a.copy()
    if inc:
        np.add.at(want, key, values)
    else:
        want[key] = values
    x, y = symbol(a, open_), symbol(values, name="y")
    write = inc_subtensor if inc else set_subtensor
    (found,) = evaluate([write(x[key], y)], {x: a, y: values})
    np.testing.assert_array_equal(found, want)


def test_the_mini_batch_slice_is_compiled_once():
    x, i = tensor(None, 3), tensor(dtype="int64", name="i")
    f = function([x, i], x[i * 2 : (i + 1) * 2] * 1.0, backend="numpy")
    a = numbers((8, 3))
    for k in range(4):
        np.testing.assert_array_equal(f(a, k), a[2 * k : 2 * k + 2])
    assert len(f.programs) == 1


def test_known_bounds_are_folded_when_the_graph_is_built():
    y = tensor(10, 4)[2:-1, ::-2]
    assert y.type.shape == (7, 2)
    assert all(v.owner is None for v in y.owner.inputs[1:])


@pytest.mark.parametrize("i", [3, -4])
def test_a_constant_index_out_of_range_raises_when_built(i):
    x = tensor(3, 2)
    with pytest.raises(IndexError, match=rf"index {i} is out of range for axis 0 of x, which has extent 3"):
        x[i]
    with pytest.raises(IndexOutOfRange, match=rf"index {i} is out of range"):
        x[[0, i]]


def test_a_constant_index_out_of_range_of_an_open_axis_raises_at_the_call():
    x = tensor(None, 2)
    f = function([x], x[-4], backend="numpy")
    np.testing.assert_array_equal(f(numbers((5, 2))), numbers((5, 2))[-4])
    with pytest.raises(IndexError, match=r"index -4 is out of range for axis 0 of x, which has extent 3"):
        f(numbers((3, 2)))


@pytest.mark.parametrize("i", [3, -4])
def test_a_symbolic_index_out_of_range_raises_at_the_call(i):
    x, k, v = tensor(3, 2), tensor(dtype="int64", name="k"), tensor(2, dtype="int64", name="v")
    with pytest.raises(IndexOutOfRange, match="axis 0, which has extent 3"):
        function([x, k], x[k], backend="numpy")(numbers((3, 2)), i)
    with pytest.raises(IndexOutOfRange, match="axis 0, which has extent 3"):
        function([x, v], x[v], backend="numpy")(numbers((3, 2)), [0, i])
    with pytest.raises(IndexOutOfRange, match="axis 0, which has extent 3"):
        function([x, v], set_subtensor(x[v], 0), backend="numpy")(numbers((3, 2)), [0, i])


def test_an_index_out_of_range_leaves_shared_variables_unchanged():
    w = SharedVariable(numbers((3, 2)), TensorType("float64", (3, 2)), "w")
    k = tensor(dtype="int64", name="k")
    f = function([k], [], updates=[(w, inc_subtensor(w[k], 1))], backend="numpy")
    with pytest.raises(IndexError):
        f(3)
    np.testing.assert_array_equal(w.get_value(), numbers((3, 2)))
    f(-1)
    np.testing.assert_array_equal(w.get_value()[2], [6, 7])


@pytest.mark.parametrize(
    ("key", "error", "words"),
    [
        ((0, 0, 0), AxisError, "3 indices are given for x, which has rank 2"),
        ((Ellipsis, Ellipsis), AxisError, "only one ellipsis"),
        (1.5, DTypeError, "must be of integers"),
        (slice(0.5, None), DTypeError, "a slice must be an integer"),
        (slice(None, None, 0), ShapeError, "step of a slice of x is 0"),
        (True, DTypeError, "switch"),
        (np.array([True, False]), ShapeError, r"the mask is bool \(2,\), the axes from 0 on are \(3,\)"),
    ],
)
def test_a_bad_index_says_what_is_wrong(key, error, words):
    with pytest.raises(error, match=words):
        tensor(3, 2)[key]


@st.composite
def maskings(draw):
    """(shape, parts before the mask, axes of the mask, parts after it)."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4))
    first = draw(st.integers(0, len(shape) - 1))
    count = draw(st.integers(1, len(shape) - first))
    before = draw(st.sampled_from([(slice(None),) * first, (Ellipsis,), (slice(None, None, -1),) * first]))
    if before == (Ellipsis,):
        first = len(shape) - count
    after = draw(st.sampled_from([(), (slice(None, None, 2),)])) if first + count < len(shape) else ()
    return shape, before, shape[first : first + count], after


@given(maskings(), st.booleans(), st.sampled_from(["scalar", "one", "each", "same"]), st.data())
def test_writing_through_a_symbolic_mask_is_that_of_numpy(drawn, inc, kind, data):
    shape, before, extents, after = drawn
    a, mask = numbers(shape), data.draw(hnp.arrays(bool, extents))
    picked = a[(*before, mask, *after)]
    values = {"scalar": np.array(-1.0), "same": -3 * picked}.get(kind, -numbers(picked.shape))
    if kind == "one":
        values = values[:1] if picked.ndim and before == () else np.array([-1.0])
    want = a.copy()
    want[(*before, mask, *after)] = values + (picked if inc else 0)
    x, m, y = symbol(a, open_=True), symbol(mask, open_=True, name="m"), symbol(values, open_=True, name="y")
    part = x[(*before, m, *after)]
    written = (inc_subtensor if inc else set_subtensor)(part, -3 * part if kind == "same" else y)
    weight = np.cos(numbers(shape))
    cost = OPS["sum"](written * weight)
    by_x, by_y = grad(cost, [x, y], disconnected_inputs="ignore")
    found, gx, gy = evaluate([written, by_x, by_y], {x: a, m: mask, y: values})
    np.testing.assert_array_equal(found, want)
    scale = {(True, "same"): -2.0, (False, "same"): -3.0}.get((inc, kind), 1.0 if inc else 0.0)
    factor = np.ones(shape)
    factor[(*before, mask, *after)] = scale
    np.testing.assert_allclose(gx, weight * factor, rtol=1e-14)
    if kind == "each":
        np.testing.assert_allclose(gy, weight[(*before, mask, *after)], rtol=1e-14)
    if kind == "scalar":
        np.testing.assert_allclose(gy, weight[(*before, mask, *after)].sum(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_a_value_for_a_mask_has_one_element_for_each_selected(backend):
    x, y = tensor(None), tensor(None, name="y")
    f = function([x, y], set_subtensor(x[x > 0], y), backend=backend)
    a = np.array([1.0, -2.0, 3.0])
    np.testing.assert_array_equal(f(a, [7.0, 8.0]), [7, -2, 8])
    np.testing.assert_array_equal(f(a, [7.0]), [7, -2, 7])
    np.testing.assert_array_equal(f(-abs(a), []), -abs(a))
    for values in ([1.0, 2.0, 3.0], []):
        with pytest.raises(ShapeError, match=f"the value has {len(values)} elements along axis 0"):
            f(a, values)


def test_masks_that_do_not_fit_say_so():
    x, m, n = tensor(2, 3, 4), tensor(3, dtype="bool", name="m"), tensor(2, dtype="bool", name="n")
    with pytest.raises(ShapeError, match=r"x\[mask\]: the mask is bool \(3,\), the axes from 0 on are \(2,\)"):
        x[m]
    with pytest.raises(ShapeError, match="the value has rank 4, what the mask selects 3"):
        set_subtensor(x[n], tensor(2, 2, 3, 4))
    with pytest.raises(DTypeError, match="the mask is a scalar"):
        x[tensor(dtype="bool")]


def test_index_arrays_that_do_not_fit_each_other_are_named():
    x, i, j = tensor(3, 4), tensor(2, dtype="int64", name="i"), tensor(3, dtype="int64", name="j")
    with pytest.raises(ShapeError, match="index arrays of x do not fit each other"):
        x[i, j]


def test_the_base_of_a_write_is_what_was_indexed_last():
    a = numbers((3, 4))
    x = symbol(a)
    whole, part = x[1:, 1:], x[1:][:, 1:]
    (full, inner) = evaluate([set_subtensor(whole, 0), set_subtensor(part, 0)], {x: a})
    assert full.shape == (3, 4) and inner.shape == (2, 4)
    (turned,) = evaluate([set_subtensor(x.T[0], 0)], {x: a})
    want = a.T.copy()
    want[0] = 0
    np.testing.assert_array_equal(turned, want)
    (everything,) = evaluate([set_subtensor(x[:], 7)], {x: a})
    np.testing.assert_array_equal(everything, np.full((3, 4), 7.0))


def test_a_write_needs_an_index_expression_a_fitting_dtype_and_a_fitting_shape():
    x = tensor(3, 2)
    with pytest.raises(TypeError, match="is no index expression"):
        set_subtensor(x, 0)
    with pytest.raises(TypeError, match="is no index expression"):
        inc_subtensor(x * 2, 0)
    with pytest.raises(DTypeError, match="float64 does not fit float32"):
        set_subtensor(tensor(3, dtype="float32")[0], np.array(1.0))
    with pytest.raises(ShapeError):
        set_subtensor(x[0], tensor(3, name="y"))
    assert set_subtensor(tensor(3, dtype="float32")[0], 0.5).dtype == "float32"


def test_of_equal_targets_the_last_value_wins_and_only_it_has_a_gradient():
    a, b, i = np.zeros(4), np.array([1.0, 2.0, 3.0]), np.array([1, 1, -1])
    x, y, k = symbol(a), symbol(b, name="y"), symbol(i, name="k")
    z = set_subtensor(x[k], y)
    cost = OPS["sum"](z * np.array([1.0, 10.0, 100.0, 1000.0]))
    found = evaluate([z, *grad(cost, [x, y])], {x: a, y: b, k: i})
    np.testing.assert_array_equal(found[0], [0, 2, 0, 3])
    np.testing.assert_array_equal(found[1], [1, 0, 100, 0])
    np.testing.assert_array_equal(found[2], [0, 10, 1000])


def test_increments_of_equal_targets_add_up():
    a, i = np.zeros(3, "float16"), np.zeros(4096, "int64")
    x, k = symbol(a), symbol(i, name="k")
    (found,) = evaluate([inc_subtensor(x[k], 0.25)], {x: a, k: i})
    # float16 sums in float32: adding 0.25 to 512 one at a time would stand still
    np.testing.assert_array_equal(found, np.array([1024, 0, 0], "float16"), strict=True)


def test_methods_set_and_inc_are_the_functions():
    a = numbers((3,))
    x = symbol(a)
    found = evaluate([x[0].set(9), x[1:].inc(1)], {x: a})
    np.testing.assert_array_equal(found, [[9, 2, 3], [1, 3, 4]])


def test_a_whole_axis_of_unknown_extent_leaves_no_op():
    x = tensor(None, None, None)
    assert x[:, None] is x.dimshuffle(0, "x", 1, 2)
    for key in ((slice(None), slice(0, None), slice(1, None)), (slice(None), slice(None, None, 1), 1)):
        assert [n.attrs["axis"] for n in toposort([x[key]]) if n.op.name == "slice"] == [2]


def test_a_value_may_have_leading_axes_of_one_element_as_in_numpy():
    a, y = numbers((3, 4)), -numbers((1, 1, 4))
    x, v = symbol(a), symbol(y, name="y")
    want = a.copy()
    want[1] = y
    np.testing.assert_array_equal(evaluate([set_subtensor(x[1], v)], {x: a, v: y})[0], want)


def test_an_empty_axis_reads_and_writes_nothing():
    a = np.zeros((0, 3))
    x = symbol(a)
    found = evaluate([x[:5], x[:, 1], set_subtensor(x[:, 1], 4), x[np.zeros(0, int)]], {x: a})
    assert [f.shape for f in found] == [(0, 3), (0,), (0, 3), (0, 3)]
    with pytest.raises(IndexError, match="the axis is empty"):
        x[0]


def test_iterating_a_known_axis_gives_its_parts():
    a = numbers((3, 2))
    x = symbol(a)
    np.testing.assert_array_equal(evaluate(list(x), {x: a}), a)
    first, *_ = x
    assert first is x[0]


def test_take_modes_and_choose_follow_numpy():
    a, i = numbers((2, 5)), np.array([[-9, 4], [7, 0]])
    x, k = symbol(a), symbol(i, name="k")
    for mode in ("clip", "wrap"):
        np.testing.assert_array_equal(evaluate([take(x, k, 1, mode)], {x: a, k: i})[0], np.take(a, i, 1, mode=mode))
    with pytest.raises(IndexError):
        evaluate([choose(k, [1, 2])], {k: i})
    with pytest.raises(ShapeError, match="the ranks must agree"):
        take_along_axis(x, tensor(2, dtype="int64"))


def test_a_list_of_variables_is_an_index():
    a = numbers((4, 2))
    x, i, j = symbol(a), tensor(dtype="int64", name="i"), tensor(dtype="int64", name="j")
    np.testing.assert_array_equal(evaluate([x[[i, 0, j], 1]], {x: a, i: 3, j: -1})[0], a[[3, 0, -1], 1])


def test_a_list_that_holds_variables_becomes_one_variable():
    x, y = tensor(), tensor(name="y")
    z = zeros(2) + [x, 2 * y]
    np.testing.assert_array_equal(evaluate([z], {x: 1.0, y: 2.0})[0], [1, 4])


@pytest.mark.parametrize(
    "f",
    [
        lambda x, k: x[1:4],
        lambda x, k: x[::-2],
        lambda x, k: x[k],
        lambda x, k: set_subtensor((x * x)[k], x[:3]),
        lambda x, k: inc_subtensor((x * x)[k], x[:3]),
        lambda x, k: set_subtensor((x * x)[1:3], x[:2]),
        lambda x, k: concatenate([x * x, x]),
        lambda x, k: pad(x, 2),
        lambda x, k: roll(x, 2),
        lambda x, k: repeat(x, 2),
    ],
)
def test_jacobians_go_through_indexing(f):
    a, i = np.arange(1.0, 7.0), np.array([1, 1, -2])
    x, k = symbol(a), symbol(i, name="k")
    y = f(x * x, k)
    (found,) = evaluate([jacobian(y, x)], {x: a, k: i})
    columns = [evaluate([y], {x: a + s * e, k: i})[0] for e in np.eye(6) for s in (1e-4, -1e-4)]
    # central differences of polynomials of degree 4 at most, with values below 1300: h**2 * f''' / 6 is below 1e-5
    want = np.stack([(up - down) / 2e-4 for up, down in zip(columns[::2], columns[1::2], strict=True)], -1)
    np.testing.assert_allclose(found, want, atol=1e-5)


def test_an_index_out_of_range_raises_in_a_jacobian_too():
    a = np.arange(1.0, 4.0)
    x, k = symbol(a), symbol(np.array([0, 1]), name="k")
    with pytest.raises(IndexOutOfRange):
        function([x, k], jacobian((x * x)[k], x), backend="numpy")(a, [0, 3])


OUT_OF_RANGE = {
    "read": lambda x, k: x[k],
    "of a matrix": lambda x, k: (x[:, None] * x)[k, k],
    "set": lambda x, k: set_subtensor(x[k], 1.0),
    "added to": lambda x, k: inc_subtensor(x[k], 1.0),
    "gradient": lambda x, k: grad((x[k] ** 2).sum(), x),
    "one element": lambda x, k: x[k[1]],
    "along an axis": lambda x, k: take_along_axis(x, k, 0),
    "chosen": lambda x, k: choose(k, [x[:3], x[1:4]]),
    "counted": lambda x, k: bincount(k, minlength=4),
    "weights": lambda x, k: bincount(k, x[:3], minlength=4),
    "gradient by weights": lambda x, k: grad((bincount(k, x[:3], minlength=4) ** 2).sum(), x),
    "no bins": lambda x, k: bincount(k, minlength=0),
}


@pytest.mark.parametrize("bad", [-(2**62), -5, 4, 2**62])
@pytest.mark.parametrize("f", OUT_OF_RANGE.values(), ids=list(OUT_OF_RANGE))
def test_a_precondition_fails_before_a_kernel_leaves_its_buffers(f, bad):
    a, i = np.arange(1.0, 5.0), np.array([0, bad, 1])
    x, k = symbol(a), symbol(i, name="k")
    with pytest.raises(AssertionError, match="precondition"):  # the interpreter raises where a store is outside
        interpreted([f(x, k)], {x: a, k: i})

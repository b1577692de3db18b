"""Shape ops: what may be permuted, reshaped, broadcast and summed back, and what the errors say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from symgraph.errors import AxisError, DTypeError, ShapeError
from symgraph.function import function
from symgraph.gradient import grad
from symgraph.graph import Constant, Variable
from symgraph.op import OPS
from symgraph.ops.axes import (
    expand_dims,
    moveaxis,
    shape_padaxis,
    shape_padleft,
    shape_padright,
    squeeze,
    swapaxes,
    transpose,
)
from symgraph.ops.broadcast import broadcast_like, broadcast_to, specify_shape, sum_to
from symgraph.ops.creation import zeros_like
from symgraph.ops.shape import dimshuffle, flatten, reshape
from symgraph.reference import evaluate
from symgraph.shapes import settle
from symgraph.types import TensorType
from tests.formulas import compute_value


def tensor(*shape, dtype="float64", name="x"):
    return Variable(TensorType(dtype, shape), name=name)


def value(y, **arrays):
    leaves = {v: arrays[v.name] for v in _leaves(y)}
    return evaluate([y], leaves)[0]


def _leaves(y):
    from symgraph.graph import leaves

    return [v for v in leaves([y]) if not isinstance(v, Constant)]


# ------------------------------------------------------------------------------------------------ extents


def test_a_known_extent_is_a_constant_and_an_open_one_a_symbol():
    rows, columns = tensor(None, 3).shape
    assert int(columns) == 3 and not isinstance(rows, Constant)
    assert int(tensor(2, 3).size) == 6
    assert value(tensor(None, 3).size, x=np.ones((4, 3))) == 12


def test_shape_of_an_expression_needs_only_shapes():
    x = tensor(None, 3)
    (settled,) = settle([(x * 2).shape[0]], {x: tensor(5, 3)})
    assert isinstance(settled, Constant) and int(settled) == 5


def test_the_extent_of_a_map_is_that_of_what_it_maps():
    x, row = tensor(None, 3), tensor(1, 3, name="row")
    n = (-(x.T) * 2 + row.T).shape[1]
    assert n is x.shape[0]
    both = x + tensor(None, 3, name="y")
    assert both.shape[0].owner.inputs[0] is both


def test_the_extent_of_a_slice_and_of_what_is_stretched_like_it_is_that_of_their_source():
    x = tensor(None, None)
    assert zeros_like(x[:, 0]).astype("int64").shape[0] is x.shape[0]
    assert x[1:].shape[1] is x.shape[1] and x[1:].shape[0] is not x.shape[0]


# ------------------------------------------------------------------------------------------------ dimshuffle


def test_nested_dimshuffles_are_one_and_an_idle_one_is_none():
    x = tensor(2, 3)
    assert x.T.T is x
    assert x.dimshuffle(0, "x", 1).dimshuffle(2, 1, 0).owner.inputs[0] is x
    assert x.dimshuffle(0, "x", 1).dimshuffle(0, 2) is x


def test_every_way_of_moving_axes_agrees_with_numpy():
    a = np.arange(24.0).reshape(2, 3, 4)
    x = tensor(2, 3, 4)
    pairs = [
        (transpose(x), a.T),
        (x.transpose(1, 0, 2), a.transpose(1, 0, 2)),
        (x.transpose((2, 0, -2)), a.transpose(2, 0, 1)),
        (swapaxes(x, 0, -1), a.swapaxes(0, -1)),
        (moveaxis(x, (0, 1), (-1, 0)), np.moveaxis(a, (0, 1), (-1, 0))),
        (expand_dims(x, (0, -1)), a[None, ..., None]),
        (shape_padleft(x, 2), a[None, None]),
        (shape_padright(x), a[..., None]),
        (shape_padaxis(x, 1), a[:, None]),
        (squeeze(expand_dims(x, 1)), a),
        (dimshuffle(x, [2, "x", 0, 1]), a.transpose(2, 0, 1)[:, None]),
    ]
    for y, want in pairs:
        np.testing.assert_array_equal(value(y, x=a), want, strict=True)
        assert y.type.shape == want.shape


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda x: x.dimshuffle(0), ShapeError, "axis 1 is left out but has extent 3, not 1"),
        (lambda x: x.dimshuffle(0, 0, 1), AxisError, "names one axis twice"),
        (lambda x: x.dimshuffle(0, 2), AxisError, "axis 2 is out of range"),
        (lambda x: x.transpose(0), AxisError, "1 axes are given for a rank of 2"),
        (lambda x: squeeze(x, 1), ShapeError, "axis 1 has extent 3, not 1"),
        (lambda x: expand_dims(x, 4), AxisError, "axis 4 is out of range"),
        (lambda x: swapaxes(x, 0, 5), AxisError, "axis 5 is out of range"),
        (lambda x: moveaxis(x, 0, (0, 1)), AxisError, "1 source axes, 2 destinations"),
    ],
)
def test_a_bad_axis_is_named(build, error, words):
    with pytest.raises(error, match=words):
        build(tensor(2, 3))


def test_dropping_an_open_axis_is_checked_at_the_call():
    x = tensor(None, 3)
    f = function([x], squeeze(x, 0), backend="numpy")
    np.testing.assert_array_equal(f(np.ones((1, 3))), np.ones(3))
    with pytest.raises(ShapeError, match="axis 0 is left out but has extent 2"):
        f(np.ones((2, 3)))


# ------------------------------------------------------------------------------------------------ reshape


@st.composite
def reshapes(draw):
    """Two shapes with equally many elements."""
    factors = draw(st.lists(st.sampled_from([1, 2, 3, 5]), max_size=5))

    def shape():
        out = []
        for n in draw(st.permutations(factors)):
            if out and draw(st.booleans()):
                out[-1] *= n
            else:
                out.append(n)
        return tuple(out)

    return shape(), shape()


@given(reshapes())
def test_the_formula_of_reshape_keeps_the_row_major_order(shapes):
    old, new = shapes
    a = np.arange(np.prod(old, dtype=int)).reshape(old).astype(float)
    y = reshape(tensor(*old), new)
    if y.owner is not None:
        np.testing.assert_array_equal(compute_value(y.owner.op.define(y.owner), [a]), a.reshape(new))


def test_axes_that_stay_are_not_divided():
    y = flatten(tensor(5, 3, 4), 2)
    text = str(y.owner.op.define(y.owner).exprs[0])
    assert text == "x0[i0, (i1 // 4), (i1 % 4)]"


def test_minus_one_is_worked_out():
    x = tensor(4, 6)
    assert reshape(x, -1, 3).type.shape == (8, 3)
    assert x.reshape((2, -1)).type.shape == (2, 12)
    assert x.reshape(x.shape[1], -1).type.shape == (6, 4)
    y = tensor(None, 6).reshape(-1, 3)
    np.testing.assert_array_equal(value(y, x=np.arange(12.0).reshape(2, 6)), np.arange(12.0).reshape(4, 3))


def test_reshape_to_its_own_shape_is_idle_even_if_that_is_open():
    x = tensor(None, 3)
    assert x.reshape(x.shape) is x


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((5, 5), r"x has 24 elements, the shape has 25"),
        ((-1, 5), r"reshape\(x, \(-1, 5\)\): x has 24 elements, which 5 does not divide"),
        ((-1, -1), "more than one extent is -1"),
        ((-2, 12), "the extent -2"),
        ((0, -1), "which 0 does not divide"),
    ],
)
def test_a_bad_reshape_says_how_many_elements(shape, words):
    with pytest.raises(ShapeError, match=words):
        tensor(4, 6).reshape(shape)


def test_a_reshape_error_shows_the_users_line():
    x = tensor(4, 6, name="images")
    with pytest.raises(ShapeError) as caught:
        x.reshape(5, 5)
    lines = str(caught.value).splitlines()
    assert lines[0] == "reshape(images, (5, 5)): images has 24 elements, the shape has 25"
    assert any("images  float64 (4, 6)" in line for line in lines)
    assert any("x.reshape(5, 5)" in line for line in lines)
    assert lines[-1] == "the products of the extents must agree; -1 stands for the one that makes them so"


def test_a_bad_reshape_of_an_open_shape_raises_at_the_call():
    x = tensor(None, 6)
    f = function([x], x.reshape(-1, 4), backend="numpy")
    assert f(np.zeros((2, 6))).shape == (3, 4)
    with pytest.raises(ShapeError, match=r"reshape\(x, \(-1, 4\)\): x has 18 elements, which 4 does not divide"):
        f(np.zeros((3, 6)))


def test_an_extent_must_be_an_integer():
    with pytest.raises(DTypeError, match="must be an integer scalar"):
        tensor(4).reshape(2.0, 2)
    n = tensor(dtype="int32", name="n")
    y = tensor(6).reshape(n, -1)
    np.testing.assert_array_equal(value(y, x=np.arange(6.0), n=np.int32(2)), np.arange(6.0).reshape(2, 3))


def test_flatten_keeps_the_first_axes():
    x = tensor(2, 3, 4)
    assert x.flatten().type.shape == (24,)
    assert x.flatten(2).type.shape == (2, 12)
    assert flatten(x, outdim=3) is x
    assert tensor().flatten().type.shape == (1,)
    with pytest.raises(ShapeError, match="cannot have rank 4"):
        x.flatten(4)


# ------------------------------------------------------------------------------------------------ broadcasting


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3))
def test_sum_to_is_the_transpose_of_broadcasting(drawn):
    shape, result = drawn.input_shapes[0], drawn.result_shape
    rng = np.random.default_rng(0)
    a, g = rng.normal(size=shape), rng.normal(size=result)
    for open_ in (False, True):
        x = tensor(*[None if open_ else n for n in shape])
        c = tensor(*[None if open_ else n for n in result], name="g")
        wide, narrow = evaluate([broadcast_like(x, c), sum_to(c, x)], {x: a, c: g})
        np.testing.assert_array_equal(wide, np.broadcast_to(a, result))
        assert narrow.shape == shape
        # both are the inner product <wide, g>; sums of at most 27 normal numbers
        np.testing.assert_allclose((wide * g).sum(), (a * narrow).sum(), rtol=1e-12, atol=1e-12)


def test_sum_to_resolves_to_a_sum_or_to_nothing():
    g, x = tensor(None, 3, name="g"), tensor(None, 3)
    y = sum_to(g, x)
    assert settle([y], {g: (h := tensor(4, 3)), x: tensor(4, 3)}) == [h]
    (summed,) = settle([y], {g: tensor(4, 3), x: tensor(1, 3)})
    assert summed.owner.op is OPS["sum"]


def test_float16_is_summed_in_float32():
    g, x = tensor(4096, dtype="float16", name="g"), tensor(1, dtype="float16")
    y = sum_to(g, x)
    assert y.dtype == "float16"
    # 2048 + 1 is 2048 in float16
    assert value(y, g=np.ones(4096, "float16"))[0] == 4096


def test_the_gradient_of_broadcasting_an_open_axis_has_the_type_of_its_variable():
    x, y = tensor(None), tensor(None, name="y")
    g = grad(OPS["sum"](x * y), x)
    for n in (1, 4):
        found = evaluate([g], {x: np.ones(n), y: np.arange(4.0)})[0]
        np.testing.assert_array_equal(found, [6.0] if n == 1 else np.arange(4.0))


def test_what_does_not_broadcast_is_an_error():
    with pytest.raises(ShapeError, match=r"x of shape \(3,\) does not broadcast to \(2, 4\)"):
        broadcast_to(tensor(3), (2, 4))
    with pytest.raises(ShapeError, match="is no broadcast of"):
        sum_to(tensor(3), tensor(4, name="y"))


def test_specify_shape_refines_the_type_and_is_checked():
    x = tensor(None, None)
    y = specify_shape(x, (None, 3))
    assert y.type.shape == (None, 3)
    f = function([x], y * 1, backend="numpy")
    assert f(np.zeros((2, 3))).shape == (2, 3)
    with pytest.raises(ShapeError, match="axis 1 has extent 4, specified is 3"):
        f(np.zeros((2, 4)))
    with pytest.raises(ShapeError, match="axis 0 has extent 2, specified is 5"):
        specify_shape(tensor(2), (5,))
    with pytest.raises(ShapeError, match="1 extents are given for a rank of 2"):
        specify_shape(x, 3)

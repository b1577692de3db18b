"""Arrays made from extents: lengths, dtypes and values are NumPy's; extents may be symbols."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symgraph import config
from symgraph.errors import DTypeError, ShapeError
from symgraph.function import function
from symgraph.graph import Variable
from symgraph.ops.creation import (
    alloc,
    arange,
    empty,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    zeros,
    zeros_like,
)
from symgraph.ops.matrices import diag, diagonal, eye, identity_like, meshgrid, mgrid, to_one_hot, tri, tril, triu
from symgraph.reference import evaluate
from symgraph.types import TensorType


def tensor(*shape, dtype="float64", name="x"):
    return Variable(TensorType(dtype, shape), name=name)


def scalar(name="n", dtype="int64"):
    return tensor(dtype=dtype, name=name)


def value(y, given=None):
    return evaluate([y], given or {})[0]


@given(st.integers(-6, 6), st.integers(-6, 6), st.sampled_from([-3, -2, -1, 1, 2, 3]))
def test_arange_has_the_length_of_pythons_range_known_or_not(start, stop, step):
    want = np.arange(start, stop, step)
    np.testing.assert_array_equal(value(arange(start, stop, step)), want, strict=True)
    a, b, c = scalar("a"), scalar("b"), scalar("c")
    np.testing.assert_array_equal(value(arange(a, b, c), {a: start, b: stop, c: step}), want, strict=True)


def test_arange_dtypes():
    assert arange(3).dtype == "int64"
    assert arange(3.0).dtype == config.floatX()
    assert arange(scalar(dtype="int32")).dtype == "int32"
    assert arange(3, dtype="float32").dtype == "float32"
    np.testing.assert_allclose(value(arange(0, 1, 0.25)), np.arange(0, 1, 0.25))


def test_arange_names_what_cannot_decide_a_length():
    with pytest.raises(DTypeError, match="linspace"):
        arange(scalar("limit", "float64"))
    with pytest.raises(ShapeError, match="the step is 0"):
        arange(1, 5, 0)


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_a_step_that_is_0_only_at_the_call_is_an_error_there(backend):
    step = scalar("step")
    f = function([step], arange(0, 6, step).sum(), backend=backend)
    assert f(2) == 6
    with pytest.raises(ShapeError, match="the step is 0"):
        f(0)
    assert f(-1) == 0


@pytest.mark.parametrize("endpoint", [True, False])
@pytest.mark.parametrize("num", [0, 1, 2, 7])
def test_linspace_ends_exactly(num, endpoint):
    n = scalar()
    for count, given_ in ((num, {}), (n, {n: num})):
        found = value(linspace(-0.1, 0.7, count, endpoint), given_)
        # one rounding of the step, one of the product, one of the sum
        np.testing.assert_allclose(found, np.linspace(-0.1, 0.7, num, endpoint), rtol=1e-14, atol=1e-15)
        if endpoint and num > 1:
            assert found[-1] == 0.7
    assert linspace(np.float32(0), np.array(1, "float32")).dtype == "float32"


def test_extents_may_be_ints_symbols_or_a_vector():
    n, v = scalar(), tensor(2, dtype="int32", name="v")
    assert value(zeros((n, 3)), {n: 2}).shape == (2, 3)
    assert value(ones(n, "int8"), {n: 2}).dtype == "int8"
    assert value(full(v, 1.5), {v: np.array([2, 5], "int32")}).shape == (2, 5)
    assert zeros((2, 3)).type == TensorType(config.floatX(), (2, 3))
    assert zeros(()).ndim == 0
    x = tensor(None, 4)
    np.testing.assert_array_equal(value(zeros((x.shape[0],)), {x: np.ones((3, 4))}), np.zeros(3))
    assert value(empty(2)).shape == (2,)


def test_a_program_is_made_for_the_extents_of_a_call():
    n = scalar()
    f = function([n], ones((n, 2)) * n, backend="numpy")
    for k in (0, 1, 3):
        np.testing.assert_array_equal(f(k), np.full((k, 2), float(k)))


def test_bad_extents_are_named():
    with pytest.raises(ShapeError, match="extent -1"):
        zeros((-1, 2))
    with pytest.raises(DTypeError, match="must be an integer scalar"):
        zeros(2.5)
    n = scalar()
    with pytest.raises(ShapeError, match="an extent is -2"):
        function([n], zeros(n), backend="numpy")(-2)


def test_likes_keep_the_shape_and_take_the_dtype():
    x = tensor(None, 2, dtype="float32")
    a = np.ones((3, 2), "float32")
    for y, want in (
        (zeros_like(x), np.zeros_like(a)),
        (ones_like(x, "int64"), np.ones_like(a, "int64")),
        (full_like(x, 2.5), np.full_like(a, 2.5)),
        (alloc(x[0], 4, 2), np.ones((4, 2), "float32")),
        (identity_like(x), np.eye(3, 2, dtype="float32")),
        (x.zeros_like(), np.zeros_like(a)),
    ):
        np.testing.assert_array_equal(value(y, {x: a}), want, strict=True)


@given(st.integers(0, 5), st.integers(0, 5), st.integers(-6, 6))
def test_triangles_and_diagonals_are_those_of_numpy(n, m, k):
    a = np.arange(1.0, 1 + n * m).reshape(n, m)
    x, rows, shift = tensor(n, m), scalar("rows"), scalar("shift")
    given_ = {x: a, rows: n, shift: k}
    for y, want in (
        (eye(n, m, k), np.eye(n, m, k)),
        (eye(rows, m, shift), np.eye(n, m, k)),
        (tri(rows, m, k), np.tri(n, m, k)),
        (tril(x, k), np.tril(a, k)),
        (triu(x, k), np.triu(a, k)),
        (triu(x, shift), np.triu(a, k)),
        (diagonal(x, k), a[max(-k, 0) :, max(k, 0) :].diagonal()),
    ):
        np.testing.assert_array_equal(value(y, given_), want, strict=True)


def test_diag_of_a_vector_and_of_a_matrix_undo_each_other():
    v = tensor(None, name="v")
    a = np.arange(3.0)
    for k in (-2, 0, 1):
        np.testing.assert_array_equal(value(diag(v, k), {v: a}), np.diag(a, k))
        np.testing.assert_array_equal(value(diag(diag(v, k), k), {v: a}), a)
    with pytest.raises(ShapeError, match="neither vector nor matrix"):
        diag(tensor(2, 2, 2))
    with pytest.raises(ShapeError, match="no rows and columns"):
        tril(tensor(3))


def test_grids_are_those_of_numpy():
    x, y = tensor(None), tensor(2, name="y")
    a, b = np.arange(3.0), np.arange(2.0)
    for indexing in ("xy", "ij"):
        found = evaluate(meshgrid(x, y, 5, indexing=indexing), {x: a, y: b})
        for got, want in zip(found, np.meshgrid(a, b, 5, indexing=indexing), strict=True):
            np.testing.assert_array_equal(got, want)
    n = scalar()
    np.testing.assert_array_equal(evaluate(mgrid[0:n, 1:7:2], {n: 2}), np.mgrid[0:2, 1:7:2])
    with pytest.raises(ShapeError, match="must be a vector"):
        meshgrid(tensor(2, 2))


def test_one_hot_rows():
    y = tensor(None, dtype="int32", name="y")
    found = to_one_hot(y, 3, "float32")
    want = np.array([[0, 0, 1], [1, 0, 0], [0, 0, 0]], "float32")
    np.testing.assert_array_equal(value(found, {y: np.array([2, 0, 3])}), want, strict=True)
    with pytest.raises(DTypeError, match="must be integers"):
        to_one_hot(tensor(3), 3)


def test_identity_like_takes_a_matrix():
    with pytest.raises(ShapeError, match="x has 1 axes, it must have 2"):
        identity_like(Variable(TensorType("float64", (3,)), name="x"))

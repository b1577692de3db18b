"""Reductions: dtypes, empty axes, ties and zeros in gradients, messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import symgraph as sg
from symgraph.errors import AxisError, DTypeError, IndexOutOfRange, ShapeError
from symgraph.graph import Variable
from symgraph.reference import evaluate


def value(build: Callable[..., Variable], *arrays: Any) -> np.ndarray:
    given_ = [np.asarray(a) for a in arrays]
    xs = [sg.tensor(f"x{k}", a.dtype, (None,) * a.ndim) for k, a in enumerate(given_)]
    return evaluate([build(*xs)], dict(zip(xs, given_, strict=True)))[0]


def slope(build: Callable[[Variable], Variable], x: Any) -> np.ndarray:
    a = np.asarray(x, "float64")
    v = sg.tensor("x", "float64", (None,) * a.ndim)
    return evaluate([sg.grad(build(v).sum(), v)], {v: a})[0]


def hessian(build: Callable[[Variable], Variable], x: Any) -> np.ndarray:
    a = np.asarray(x, "float64")
    v = sg.tensor("x", "float64", a.shape)
    first = sg.grad(build(v), v)
    # "ignore": the gradient of the product of one element is 1, which depends on nothing
    rows = [sg.grad(first[k], v, disconnected_inputs="ignore") for k in range(len(a))]
    return np.stack(evaluate(rows, {v: a}))


# ------------------------------------------------------------------------------------------------ types


@pytest.mark.parametrize(
    ("dtype", "total"),
    [("bool", "int64"), ("int8", "int64"), ("uint8", "uint64"), ("float16", "float16"), ("float32", "float32")],
)
def test_dtypes_of_totals(dtype: str, total: str) -> None:
    x = sg.matrix("x", dtype)
    assert {x.sum().dtype, x.prod(0).dtype, x.cumsum(0).dtype, x.cumprod(1).dtype} == {total}
    assert x.max().dtype == x.min(1).dtype == dtype and x.any().dtype == x.all(0).dtype == "bool"
    assert x.argmax().dtype == x.argmin(1).dtype == "int64"


def test_the_mean_of_integers_is_floatX() -> None:
    i = sg.matrix("i", "int32")
    with sg.using(floatX="float32"):
        assert {i.mean().dtype, i.var(0).dtype, i.std().dtype, i.norm().dtype, i.logsumexp().dtype} == {"float32"}
    with pytest.raises(DTypeError, match="mean: dtype is int64, it must be a float"):
        i.mean(dtype="int64")


def test_float16_accumulates_in_float32() -> None:
    x = np.full(5000, 0.1, "float16")
    assert abs(float(value(sg.sum, x)) - 499.8) < 0.5  # float16 addition alone stops at 256
    assert abs(float(value(sg.mean, np.full(100_000, 2, "float16"))) - 2) == 0  # the sum and the count pass 65504


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (-1, 0), ()])
@pytest.mark.parametrize("keepdims", [False, True])
def test_shapes_are_numpys(axis: Any, keepdims: bool) -> None:
    a = np.arange(24.0).reshape(2, 3, 4)
    x = sg.tensor("x", "float64", (2, None, 4))
    for ours, numpys in ((sg.sum, np.sum), (sg.max, np.max), (sg.mean, np.mean), (sg.std, np.std), (sg.any, np.any)):
        y = ours(x, axis=axis, keepdims=keepdims)
        expected = numpys(a, axis=axis, keepdims=keepdims)
        assert y.ndim == np.ndim(expected)
        np.testing.assert_allclose(evaluate([y], {x: a})[0], expected, rtol=1e-14)


def test_bad_axes_say_which_are_valid() -> None:
    x = sg.matrix("x")
    with pytest.raises(AxisError, match="sum: axis 2 is out of range for rank 2\n(.*\n)*valid: 0 to 1, or -2 to -1"):
        x.sum(2)
    with pytest.raises(AxisError, match="axis is 1.0\n  x  .*input, test_reduce.py(.|\n)*must be an integer"):
        sg.matrix("x").sum(1.0)
    with pytest.raises(AxisError, match="names one axis twice"):
        x.max((0, -2))
    with pytest.raises(AxisError, match=r"argmax\(x\): axis is \(0, 1\); it must be one integer or None"):
        x.argmax((0, 1))
    with pytest.raises(AxisError, match="axis 5 is out of range"):
        x.cumsum(5)
    assert issubclass(AxisError, ValueError) and issubclass(AxisError, IndexError)


# ------------------------------------------------------------------------------------------------ empty and special


def test_nothing_reduced() -> None:
    empty = np.zeros((0, 3))
    assert value(sg.sum, empty) == 0 and value(sg.prod, empty) == 1
    assert not value(sg.any, empty) and value(sg.all, empty)
    assert np.isnan(value(sg.mean, empty)) and value(lambda x: sg.norm(x), empty) == 0
    assert value(lambda x: sg.max(x, axis=1), empty).shape == (0,)
    for op in (sg.max, sg.min, sg.argmax):
        with pytest.raises(ShapeError, match="there is no element along axis"):
            op(sg.tensor("x", "float64", (0, 3)), axis=0)


def test_a_nan_is_the_extremum_and_the_first_one_counts() -> None:
    x = np.array([[1.0, np.nan, 3.0, np.nan], [2.0, 5.0, 5.0, 1.0]])
    for op, numpys in ((sg.max, np.max), (sg.min, np.min), (sg.argmax, np.argmax), (sg.argmin, np.argmin)):
        np.testing.assert_array_equal(value(lambda x, op=op: op(x, axis=1), x), numpys(x, axis=1))


def test_logsumexp_of_infinities() -> None:
    inf = np.inf
    x = np.array([[-inf, -inf], [-inf, 1.0], [inf, 1.0], [inf, inf], [inf, -inf], [1000.0, 1000.0], [np.nan, inf]])
    expected = [-inf, 1.0, inf, inf, inf, 1000 + np.log(2), np.nan]
    np.testing.assert_allclose(value(lambda x: sg.logsumexp(x, axis=1), x), expected, rtol=1e-15)
    np.testing.assert_array_equal(slope(lambda x: sg.logsumexp(x, axis=1), x[:3]), [[0, 0], [0, 1], [1, 0]])


# ------------------------------------------------------------------------------------------------ gradients


@pytest.mark.parametrize("op", [sg.max, sg.min])
def test_ties_share_the_gradient_of_an_extremum(op: Any) -> None:
    np.testing.assert_array_equal(slope(op, [2.0, 2.0, 2.0, 2.0]), [0.25] * 4)
    np.testing.assert_array_equal(slope(lambda x: op(x, axis=0), [[1.0, 1.0], [1.0, 1.0]]), [[0.5, 0.5], [0.5, 0.5]])


@given(st.lists(st.sampled_from([0.0, -1.0, 2.0, 3.0, 0.5]), min_size=1, max_size=6))
def test_products_are_differentiated_exactly_whatever_is_zero(row: list[float]) -> None:
    others = [float(np.prod(row[:k] + row[k + 1 :])) for k in range(len(row))]
    np.testing.assert_array_equal(slope(sg.prod, row), others)
    pairs = [
        [0.0 if j == k else float(np.prod([v for i, v in enumerate(row) if i not in (j, k)])) for j in range(len(row))]
        for k in range(len(row))
    ]
    np.testing.assert_array_equal(hessian(sg.prod, row), pairs)


@given(st.lists(st.sampled_from([0.0, -1.0, 2.0, 0.5]), min_size=1, max_size=6))
def test_running_products_are_differentiated_exactly_whatever_is_zero(row: list[float]) -> None:
    n = len(row)
    exact = [
        sum(float(np.prod([v for i, v in enumerate(row[: j + 1]) if i != k])) for j in range(k, n)) for k in range(n)
    ]
    np.testing.assert_array_equal(slope(sg.cumprod, row), exact)


def test_a_product_along_two_axes_with_a_zero() -> None:
    x = np.array([[[2.0, 3.0], [0.0, 5.0]], [[1.0, 2.0], [4.0, 0.0]]])
    found = slope(lambda v: sg.prod(v, axis=(0, 2)), x)
    np.testing.assert_array_equal(found[:, 0], [[6.0, 4.0], [12.0, 6.0]])
    np.testing.assert_array_equal(found[:, 1], 0)


def test_lengths_and_deviations_are_flat_at_zero() -> None:
    for build in (sg.norm, sg.std, sg.var, lambda x: sg.norm(x, 3), lambda x: sg.norm(x, 1)):
        np.testing.assert_array_equal(slope(build, [0.0, 0.0, 0.0]), 0)
    np.testing.assert_array_equal(slope(sg.std, [4.0, 4.0]), 0)


def test_the_deviation_moves_as_it_should() -> None:
    x = np.array([1.0, 4.0, 2.0, 9.0])
    centred = x - x.mean()
    np.testing.assert_allclose(slope(lambda v: sg.var(v, ddof=1), x), 2 * centred / 3, rtol=1e-14)
    np.testing.assert_allclose(slope(lambda v: sg.std(v, ddof=1), x), centred / (3 * x.std(ddof=1)), rtol=1e-14)


# ------------------------------------------------------------------------------------------------ bincount


def test_counts_and_weights() -> None:
    x, w = np.array([0, 3, 3, 1]), np.array([0.5, 1.0, 2.0, 4.0])
    np.testing.assert_array_equal(value(lambda x: sg.bincount(x, minlength=6), x), [1, 1, 0, 2, 0, 0])
    np.testing.assert_array_equal(value(lambda x, w: sg.bincount(x, w, 4), x, w), [0.5, 4, 0, 3])
    np.testing.assert_array_equal(evaluate([sg.bincount(sg.constant(x))])[0], [1, 1, 0, 2])
    assert sg.bincount(sg.vector("i", "int8"), minlength=sg.scalar("n", "int64")).type.shape == (None,)


def test_counting_needs_the_number_of_bins_and_integers() -> None:
    with pytest.raises(ShapeError, match="the number of bins must be known"):
        sg.bincount(sg.vector("i", "int64"))
    with pytest.raises(DTypeError, match="they must be integers"):
        sg.bincount(sg.vector("x", "float64"), minlength=3)
    with pytest.raises(ShapeError, match="they must be a vector"):
        sg.bincount(sg.matrix("m", "int64"), minlength=3)


@pytest.mark.parametrize("bad", [-1, 3])
def test_a_value_beyond_the_bins_is_an_error_when_called(bad: int) -> None:
    with pytest.raises(IndexOutOfRange, match="a value is negative or beyond the last bin"):
        value(lambda x: sg.bincount(x, minlength=3), np.array([0, bad]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_variances_are_computed_in_the_dtype_given(dtype):
    x = sg.imatrix("x")
    a = np.random.default_rng(0).integers(-9, 9, (3, 5)).astype("int32")
    for name in ("var", "std"):
        (found,) = evaluate([getattr(x, name)(axis=1, dtype=dtype)], {x: a})
        assert found.dtype == dtype
        np.testing.assert_allclose(found, getattr(a, name)(axis=1, dtype=dtype), rtol=1e-6)
        with pytest.raises(sg.DTypeError, match=f"{name}: dtype is int64"):
            getattr(sg, name)(x, dtype="int64")

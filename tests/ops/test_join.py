"""Joining, splitting and padding follow NumPy, and say what does not fit."""

import numpy as np
import pytest

from symgraph.errors import AxisError, DTypeError, IndexOutOfRange, ShapeError
from symgraph.function import function
from symgraph.ops.join import concatenate, repeat, roll, split, stack
from symgraph.ops.pad import pad
from symgraph.reference import evaluate
from tests.ops.test_index import numbers, symbol, tensor


def test_joining_says_what_does_not_fit():
    x, y = tensor(3, 2), tensor(2, 3, name="y")
    with pytest.raises(ShapeError, match="the extents of axis 1 differ: 2, 3"):
        concatenate([x, y])
    with pytest.raises(AxisError, match="axis 2 is out of range"):
        concatenate([x, x], 2)
    with pytest.raises(ShapeError, match="use stack"):
        concatenate([x, tensor()])
    with pytest.raises(ShapeError, match="nothing to join"):
        stack([])
    with pytest.raises(AxisError, match="axis is None"):
        stack([np.zeros(3)], axis=None)
    with pytest.raises(ShapeError, match="does not divide into 2 equal parts"):
        split(x, 2)
    with pytest.raises(ShapeError, match="pad_width"):
        pad(x, -1)
    with pytest.raises(DTypeError, match="vector of repeats"):
        repeat(x, tensor(3, dtype="int64"), 0)
    with pytest.raises(DTypeError, match="the shift must be an integer"):
        roll(x, 0.5)


def test_extents_found_only_at_the_call_are_checked_there():
    x, y = tensor(None, 2), tensor(None, 2, name="y")
    f = function([x, y], concatenate([x, y], 1), backend="numpy")
    assert f(np.zeros((3, 2)), np.ones((3, 2))).shape == (3, 4)
    with pytest.raises(ShapeError, match="the extents of axis 0 differ: 3, 4"):
        f(np.zeros((3, 2)), np.ones((4, 2)))


@pytest.mark.parametrize("widths", [(1, 4), (7, 0), (2, 11)])
@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_a_pad_repeats_what_is_there_as_often_as_it_takes(mode, widths, backend):
    x = tensor(None)
    f = function([x], pad(x, widths, mode), backend=backend)
    for n in range(1, 7):
        a = numbers((n,))
        np.testing.assert_array_equal(f(a), np.pad(a, widths, mode))
        known = tensor(n)
        np.testing.assert_array_equal(evaluate([pad(known, widths, mode)], {known: a})[0], np.pad(a, widths, mode))


@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric", "wrap"])
def test_nothing_cannot_be_repeated(mode):
    x = tensor(None)
    with pytest.raises((ShapeError, IndexOutOfRange)):
        function([x], pad(x, 1, mode), backend="numpy")(np.zeros(0))
    with pytest.raises(ShapeError, match="axis 0 has no element to repeat"):
        pad(tensor(0), 1, mode)


def test_a_pad_value_must_fit_the_dtype():
    with pytest.raises(DTypeError, match=r"constant_values is 0.5, it does not fit int32"):
        pad(tensor(3, dtype="int32"), 1, constant_values=0.5)
    assert pad(tensor(3, dtype="float32"), 1, constant_values=0.5).dtype == "float32"


def test_split_takes_indices_or_with_n_splits_sizes():
    a = numbers((6, 2))
    x, sizes = symbol(a), tensor(3, dtype="int64", name="sizes")
    for found, want in (
        (split(x, [1, 3]), np.split(a, [1, 3])), (split(x, 3), np.split(a, 3)),
        (split(x, [1, 3, 2], n_splits=3), np.split(a, [1, 4])), (split(x, sizes, 3), np.split(a, [1, 4])),
    ):  # fmt: skip
        for part, expected in zip(evaluate(found, {x: a, sizes: [1, 3, 2]}), want, strict=True):
            np.testing.assert_array_equal(part, expected)


def test_parts_that_do_not_make_up_the_axis_are_an_error_when_called():
    x, n = symbol(np.zeros(7), open_=True), tensor(dtype="int64", name="n")
    for parts in (split(x, 3), split(x, [2, 3], 2), split(x, [n, 2 * n], 2)):
        for part in parts:
            with pytest.raises(ShapeError, match="extent 7, specified is [56]"):
                function([x, n], part, on_unused_input="ignore")(np.zeros(7), 2)


def test_joined_along_no_axis_all_are_flattened():
    a, b = numbers((2, 3)), np.array(7.0)
    found = evaluate([concatenate([x := symbol(a), y := symbol(b, name="y"), x.T], axis=None)], {x: a, y: b})[0]
    np.testing.assert_array_equal(found, np.concatenate([a, b, a.T], axis=None))

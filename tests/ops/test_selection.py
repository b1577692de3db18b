"""What has an extent that depends on data: masks, places, distinct values; and searching and sorting."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.rewrite import STABILIZING, rewrite
from symgraph.rewrites.selections import fold_selections

RNG = np.random.default_rng(0)
A = RNG.standard_normal((3, 4, 2))


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
@pytest.mark.parametrize(
    "read",
    [lambda a, m, i: a[m], lambda a, m, i: a[:, m[0]] ** 2, lambda a, m, i: a[m[:, 0], 1], lambda a, m, i: a[i, m[0]],
     lambda a, m, i: a[m[:, 0], i], lambda a, m, i: a[0, :, m[0, :2]], lambda a, m, i: a[m[:, 0]][:, m[0]],
     lambda a, m, i: a[..., None, m[0, :2]], lambda a, m, i: a[1:][m[1:]].sum(0), lambda a, m, i: a[m][::-1]],
)  # fmt: skip
def test_reading_through_a_mask_is_that_of_numpy(backend, read):
    x, m, i = sg.tensor3("x"), sg.matrix("m", "bool"), sg.lvector("i")
    f = sg.function([x, m, i], read(x, m, i), backend=backend, on_unused_input="ignore")
    for seed in range(4):
        mask = np.random.default_rng(seed).random((3, 4)) < 0.6
        mask[0, :2], mask[:2, 0] = True, True  # an index array broadcasts against what is selected
        mask[0, 2:], mask[2:, 0] = False, False
        index = np.array([0, 2])
        np.testing.assert_allclose(f(A, mask, index), read(A, mask, index), rtol=1e-15)


@pytest.mark.parametrize(
    "fold",
    [lambda a, m: a[m].sum(), lambda a, m: (a[m] * 2 - a[m] ** 2).sum(0), lambda a, m: a[m].mean(),
     lambda a, m: a[:, m[0]].mean(axis=1, keepdims=True), lambda a, m: a[m].var(), lambda a, m: (a[m] > 0).any(),
     lambda a, m: (a[m] > 9).all(axis=0), lambda a, m: a[m].prod(), lambda a, m: a[m].shape[0] + a[0, m[0]].sum()],
)  # fmt: skip
def test_a_fold_over_a_selection_needs_one_program_for_all_masks(fold):
    x, m = sg.tensor3("x"), sg.matrix("m", "bool")
    y = fold(x, m)
    outputs = [y] if y.dtype != "float64" else [y, sg.grad(y.sum(), x)]
    f = sg.function([x, m], outputs)
    for seed in range(4):
        mask = np.random.default_rng(seed).random((3, 4)) < 0.5 + seed
        found = f(A, mask)
        np.testing.assert_allclose(found[0], fold(A, mask), rtol=1e-12)
        if len(found) > 1:
            step = 1e-6 * A
            expected = (fold(A + step, mask) - fold(A - step, mask)).sum() / 2e-6
            np.testing.assert_allclose((found[1] * A).sum(), expected, rtol=1e-6, atol=1e-6)
    assert len(f.programs) == 1


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_elements_are_counted_by_the_formula_that_selects_them(backend):
    """As it is written 1 + x rounds the small one away; as it is computed it counts."""
    x = sg.vector("x", dtype="float64")
    f = sg.function([x], sg.nonzero(sg.log(1 + x) > 0)[0], backend=backend)
    np.testing.assert_array_equal(f([2.0, 1e-30, -0.5, 3.0]), [0, 1, 3])


def test_a_selection_that_is_differentiated_by_is_not_looked_through():
    x = sg.vector("x")
    chosen = x[x > 0]
    g = sg.grad(sg.sqr(chosen).sum(), chosen)
    np.testing.assert_array_equal(g.eval({x: [1.0, -2.0, 3.0]}), [2, 6])


def test_writing_beside_other_indices_goes_to_the_places_of_the_mask():
    x, m = sg.matrix("x"), sg.vector("m", "bool")
    mask = np.array([True, False, True])
    for write, key in ((sg.set_subtensor, (mask, [0, 1])), (sg.inc_subtensor, (mask, [0, 1]))):
        found = write(x[m, np.array([0, 1])], 5.0).eval({x: np.ones((3, 2)), m: mask})
        expected = np.ones((3, 2))
        expected[key] = 5 if write is sg.set_subtensor else 6
        np.testing.assert_array_equal(found, expected)


def test_places_of_shared_data_are_those_of_each_call():
    w = sg.shared(np.array([1.0, 0.0, 2.0]), name="w")
    f = sg.function([], w.nonzero()[0], updates=[(w, w - 1)])
    assert [list(f()) for _ in range(3)] == [[0, 2], [1, 2], [0, 1]]


def test_where_of_a_condition_alone_is_its_places():
    x = sg.matrix("x")
    assert sg.where(x > 0) is not None and np.where(x > 0)[0] is sg.nonzero(x > 0)[0]
    with pytest.raises(TypeError, match="two values, or a condition alone"):
        sg.where(x > 0, x)
    with pytest.raises(sg.ShapeError, match="is a scalar, which has no places"):
        sg.nonzero(sg.scalar("s"))


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8", "bool", "float16"])
def test_sorting_keeps_the_dtype_and_puts_nan_last(dtype):
    a = RNG.integers(0, 9, (4, 50)).astype(dtype)
    if a.dtype.kind == "f":
        a[1, 3] = np.nan
    x = sg.matrix("x", dtype)
    values, order, top, bottom = sg.function([x], [sg.sort(x), x.argsort(0), sg.topk(x, 3), sg.argtopk(x, -3)])(a)
    assert values.dtype == top.dtype == a.dtype and order.dtype == bottom.dtype == "int64"
    np.testing.assert_array_equal(values, np.sort(a))
    np.testing.assert_array_equal(order, np.argsort(a, 0, kind="stable"))
    np.testing.assert_array_equal(top, np.sort(a)[:, ::-1][:, :3])
    np.testing.assert_array_equal(bottom, np.argsort(a, kind="stable")[:, :3])


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 8, 9, 100])
@pytest.mark.parametrize("side", ["left", "right"])
def test_searching_is_that_of_numpy(n, side):
    a = np.sort(RNG.integers(0, 30, n)).astype("float32")
    v = np.array([[-1, 0, 5, np.inf], [30, 7.5, np.nan, 12]])
    x, y = sg.fvector("x"), sg.matrix("y")
    np.testing.assert_array_equal(sg.function([x, y], x.searchsorted(y, side))(a, v), np.searchsorted(a, v, side))


def test_values_of_nothing_are_none():
    x = sg.vector("x")
    for found in sg.function([x], [*sg.unique(x, True, True, True), sg.sort(x), *sg.nonzero(x), x[x > 0]])(np.zeros(0)):
        assert found.shape == (0,)


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
@pytest.mark.parametrize("k", [-4, -2, -1, 0, 1, 2, 4, 5])
def test_there_are_no_more_largest_elements_than_elements(k, backend):
    x = sg.vector("x")
    f = sg.function([x], [sg.topk(x, k), sg.argtopk(x, k)], backend=backend)
    a = np.array([2.0, 3.0, 1.0])[: max(abs(k) - 1, 0)]
    if k:
        with pytest.raises((sg.ShapeError, sg.IndexOutOfRange)):
            f(a)
    largest, places = f(np.array([3.0, 1.0, 5.0, 4.0, 2.0]))
    want = np.argsort([3, 1, 5, 4, 2])[::-1][:k] if k >= 0 else np.argsort([3, 1, 5, 4, 2])[:-k]
    np.testing.assert_array_equal(places, want)
    np.testing.assert_array_equal(largest, np.array([3.0, 1.0, 5.0, 4.0, 2.0])[want])


@pytest.mark.parametrize("shape", [(3, 0), (0, 0), (0, 3)])
def test_none_of_the_largest_are_as_many_rows_of_nothing(shape):
    x = sg.matrix("x")
    for found in sg.function([x], [sg.topk(x, 0), sg.argtopk(x, 0)])(np.zeros(shape)):
        assert found.shape == (shape[0], 0)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32", "uint32", "int64", "uint8", "bool"])
def test_orders_are_stable_and_the_largest_are_those_of_the_order(dtype):
    """Ties, both zeros, infinities and NaN, in rows of few and of many blocks."""
    random = np.random.default_rng(5)
    x = sg.tensor("x", dtype, (None, None))
    f = sg.function([x], [sg.argsort(x), sg.sort(x), sg.argtopk(x, 3), sg.argtopk(x, -3)])
    for rows, n in [(1, 3), (4, 47), (3, 48), (5, 200), (2, 1000)]:
        for values in (random.integers(0, 5, (rows, n)), random.standard_normal((rows, n)) * 100):
            a = values.astype(dtype)
            if a.dtype.kind == "f":
                special = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0], dtype)
                a = np.where(random.random(a.shape) < 0.1, random.choice(special, a.shape), a)
            elif a.dtype.kind == "u":
                a[:, 1] = np.iinfo(dtype).max
            order = np.argsort(a, -1, kind="stable")
            # the last of those that are equal comes first from behind
            backwards = n - 1 - np.argsort(a[:, ::-1], -1, kind="stable")[:, ::-1]
            found = f(a)
            np.testing.assert_array_equal(found[0], order)
            np.testing.assert_array_equal(found[1], np.take_along_axis(a, order, -1))
            np.testing.assert_array_equal(found[2], backwards[:, :3])
            np.testing.assert_array_equal(found[3], order[:, :3])


def test_what_cannot_be_sorted_or_searched_says_so():
    x = sg.tensor("x", shape=(2, 3))
    with pytest.raises(sg.ShapeError, match="there are 3 elements along axis 1"):
        sg.topk(x, 4)
    with pytest.raises(ValueError, match="k is 1.5; it must be an integer"):
        sg.topk(x, 1.5)
    with pytest.raises(sg.ShapeError, match="it must be a vector"):
        sg.searchsorted(x, 1)
    with pytest.raises(ValueError, match="side is 'middle'"):
        sg.searchsorted(x[0], 1, "middle")
    with pytest.raises(sg.AxisError, match="sort"):
        sg.sort(x, 2)


def test_the_selections_of_a_variance_are_all_gone():
    x = sg.matrix("x")
    (y,) = fold_selections(rewrite([x[x > 0].var()], STABILIZING))
    assert "selected" not in sg.pprint(y)


@pytest.mark.parametrize(
    ("fold", "value"),
    [(lambda v: sg.log(sg.exp(v).sum()), 1e3), (lambda v: sg.sqrt(sg.sqr(v * 1e200).sum()), np.sqrt(2) * 1e203),
     (lambda v: sg.logsumexp(v), 1e3), (lambda v: sg.norm(v), np.sqrt(2) * 1e3)],
)  # fmt: skip
def test_folds_over_selections_are_as_stable_as_others(fold, value):
    x, m = sg.vector("x"), sg.vector("m", "bool")
    y = fold(x[m])
    f = sg.function([x, m], [y, sg.grad(y, x)])
    found, slope = f([1e3, -1e3, 1e9, 1e-3], [True, True, False, False])
    np.testing.assert_allclose(found, value, 1e-12)
    assert np.isfinite(slope).all() and slope[0] > 0 and not slope[2:].any()
    f([1.0, 2.0, 3.0, 4.0], [True, True, True, False])
    assert len(f.programs) == 1

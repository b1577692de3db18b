"""Contractions: NumPy's semantics, dtypes, and what a mismatch says."""

from __future__ import annotations

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import AxisError, ShapeError
from symgraph.graph import Variable
from symgraph.linalg import batched_dot, dot, einsum, matmul, outer, tensordot
from symgraph.reference import evaluate
from symgraph.types import TensorType

RNG = np.random.default_rng(0)


def variable(a: np.ndarray, known: bool = True, name: str | None = None) -> Variable:
    """A variable for ``a``; extents open unless ``known``."""
    return Variable(TensorType(a.dtype.name, a.shape if known else (None,) * a.ndim), name=name)


def value(build, *arrays, known=True):
    """What ``build`` makes of the arrays."""
    xs = [variable(a, known) for a in arrays]
    return evaluate([build(*xs)], dict(zip(xs, arrays, strict=True)))[0]


def random(*shape):
    return RNG.normal(size=shape)


DOTS = [
    ((), (2, 3)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((2, 5, 3), (3, 4)),
    ((2, 5, 3), (6, 3, 4)), ((5, 3), (2, 3, 4)), ((3,), (2, 3, 4)), ((2, 5, 3), (3,)), ((0, 3), (3, 2)),
    ((2, 0), (0, 3)), ((1, 1), (1, 1)),
]  # fmt: skip
PRODUCTS = [
    ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 5, 3), (3, 4)), ((2, 5, 3), (2, 3, 4)), ((5, 3), (2, 3, 4)),
    ((3,), (2, 3, 4)), ((2, 5, 3), (3,)), ((2, 7, 5, 3), (3, 4)), ((2, 7, 5, 3), (7, 3, 4)), ((2, 0, 3), (2, 3, 4)),
]  # fmt: skip


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("shapes", DOTS)
def test_dot_is_numpys(shapes, known):
    a, b = random(*shapes[0]), random(*shapes[1])
    np.testing.assert_allclose(value(dot, a, b, known=known), np.dot(a, b), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("shapes", PRODUCTS)
def test_matmul_is_numpys(shapes, known):
    a, b = random(*shapes[0]), random(*shapes[1])
    np.testing.assert_allclose(value(matmul, a, b, known=known), a @ b, rtol=1e-13, atol=1e-14)


def test_leading_axes_of_extent_1_are_repeated():
    a, b = random(7, 1, 5, 3), random(2, 3, 4)
    np.testing.assert_allclose(value(matmul, a, b), a @ b, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("axes", [0, 1, 2, ([1, 2], [0, 1]), (-1, 1), ([2, 0], [1, 2])])
def test_tensordot_is_numpys(axes):
    a, b = random(3, 4, 3), random(4, 3, 3) if axes != 0 else random(2)
    if axes in (1, 2):
        b = random(3, 5) if axes == 1 else random(4, 3, 2)
    np.testing.assert_allclose(value(lambda x, y: tensordot(x, y, axes), a, b), np.tensordot(a, b, axes), rtol=1e-13)


def test_operators_take_arrays_on_both_sides():
    a, b = random(2, 3), random(3, 4)
    np.testing.assert_allclose(value(lambda x: x @ b, a), a @ b)
    np.testing.assert_allclose(value(lambda x: a @ x, b), a @ b)
    np.testing.assert_allclose(value(lambda x: x.dot(b), a), a @ b)


# ------------------------------------------------------------------------------------------------ dtypes


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32", "int64", "float16", "float32", "float64"])
def test_a_product_has_the_dtype_of_its_factors(dtype):
    a, b = (RNG.integers(0, 2, (3, 4)).astype(dtype), RNG.integers(0, 2, (4, 2)).astype(dtype))
    found = value(matmul, a, b)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, a @ b)


def test_integers_do_not_widen_a_float():
    a, b = random(2, 3).astype("float32"), np.arange(3)
    assert value(dot, a, b).dtype == "float32"


def test_float16_sums_in_float32():
    ones = np.ones((1, 4096), "float16")
    assert value(matmul, ones, ones.T).item() == 4096
    third = np.full((1, 4096), 0.3333, "float16")
    assert abs(value(matmul, third, ones.T).item() - 4096 * float(np.float16(0.3333))) < 1


# ------------------------------------------------------------------------------------------------ einsum

EXTENTS = {"i": 2, "j": 3, "k": 4, "l": 5, "b": 6, "m": 7}
EINSUMS = [
    "ij,jk->ik", "ij,jk", "bij,bjk->bik", "ij,kj->ik", "i,j->ij", "ij->", "ij->ji", "ii->i", "ii", "ii->",
    "ij,ij->ij", "ij,ij->i", "ij,ij", "ijk,kl->ijl", "ijk,jkl->il", "ijk,jkl,lm->im", "bi,bij,bj->b", "ij,k->ij",
    "iij->j", "iijj->ij", "bij,bkj->bik", "ji,kj", "ijk,ikj->i", "i,i,i->i", ",ij->ij", " i j , j -> i",
]  # fmt: skip


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("subscripts", EINSUMS)
def test_einsum_is_numpys(subscripts, known):
    terms = subscripts.replace(" ", "").split("->")[0].split(",")
    arrays = [random(*[EXTENTS[c] for c in term]) for term in terms]
    found = value(lambda *xs: einsum(subscripts, *xs), *arrays, known=known)
    np.testing.assert_allclose(found, np.einsum(subscripts, *arrays), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("...ij,...jk->...ik", [(2, 1, 3, 4), (5, 4, 6)]), ("...i->...", [(2, 3)]), ("i...,i...", [(2, 3), (2, 1)]),
        ("ij,ij->i", [(2, 3), (2, 1)]), ("ij,ij->ij", [(1, 3), (2, 1)]), ("ij,ij->", [(1, 3), (2, 3)]),
        ("i...j->j...", [(2, 3, 4)]), ("ij...->ji", [(2, 3)]),
    ],
)  # fmt: skip
def test_einsum_broadcasts_as_numpys(subscripts, shapes):
    arrays = [random(*shape) for shape in shapes]
    found = value(lambda *xs: einsum(subscripts, *xs), *arrays)
    np.testing.assert_allclose(found, np.einsum(subscripts, *arrays), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "axes", [([0, 1], [1, 2]), ([0, 1], [1, 2], [2, 0]), ([Ellipsis, 5, 9], [9, 1]), ([0, 1], [1, 2], [])]
)
def test_einsum_takes_lists_of_numbers_too(axes):
    a, b = random(3, 4), random(4, 5)
    found = value(lambda x, y: einsum(x, axes[0], y, *axes[1:]), a, b)
    np.testing.assert_allclose(found, np.einsum(a, axes[0], b, *axes[1:]), rtol=1e-12, atol=1e-12)


def test_einsum_makes_the_cheapest_product_first():
    x, w, v = (sg.tensor(n, shape=s) for n, s in (("x", (500, 400)), ("w", (400, 300)), ("v", (300,))))
    products = [n for n in sg.graph.toposort([einsum("ij,jk,k->i", x, w, v)]) if n.op.name == "dot"]
    assert {n.outputs[0].type.shape for n in products} == {(400, 1), (500, 1)}


@pytest.mark.parametrize(
    ("subscripts", "count", "what"),
    [
        ("ij,jk", 1, "2 terms for 1 operands"), ("ij->ii", 1, "names an axis twice"),
        ("ijk->i", 1, "the term 'ijk' names 3 axes, x has 2"), ("ij->k", 1, "'k' is in no operand"),
        ("i1->i", 1, "not made of letters"), ("ij,ij", 2, "axis 'i' has extents 3 and 4"),
        ("...->", 1, "the axes of ... are missing"),
    ],
)  # fmt: skip
def test_einsum_says_what_does_not_fit(subscripts, count, what):
    xs = [sg.tensor("x", "float32", (3, 4)), sg.tensor("w", "float32", (4, 3))]
    with pytest.raises(ShapeError) as caught:
        einsum(subscripts, *xs[:count])
    assert what in str(caught.value)


# ------------------------------------------------------------------------------------------------ gradients


@pytest.mark.parametrize("shapes", [((2, 3), (3, 4)), ((3,), (3,)), ((2, 5, 3), (3, 4)), ((5, 3), (2, 3, 4))])
@pytest.mark.parametrize("known", [True, False])
def test_gradients_have_the_type_of_their_variable(shapes, known):
    arrays = [random(*s).astype("float32") for s in shapes]
    xs = [variable(a, known) for a in arrays]
    grads = sg.grad(matmul(*xs).sum(), xs)
    for a, g in zip(arrays, evaluate(grads, dict(zip(xs, arrays, strict=True))), strict=True):
        assert (g.shape, g.dtype) == (a.shape, a.dtype)


def test_the_gradient_of_a_matrix_product_is_two_matrix_products():
    x, w = sg.tensor("x", "float32", (5, 3)), sg.tensor("w", "float32", (3, 4))
    for g in sg.grad((x @ w).sum(), [x, w]):
        assert "dot" in {n.op.name for n in sg.graph.toposort([g])}


def test_outer_flattens():
    a, b = random(2, 3), random(4)
    np.testing.assert_array_equal(value(outer, a, b), np.outer(a, b))


def test_batched_dot_refuses_other_ranks():
    with pytest.raises(ShapeError, match="must have 2 or 3"):
        batched_dot(sg.vector("x"), sg.matrix("w"))


# ------------------------------------------------------------------------------------------------ errors


def test_a_mismatch_names_sizes_places_and_the_line():
    x = sg.tensor("x", "float32", (64, 784))
    w = sg.shared(np.zeros((512, 10), "float32"), name="w")
    with pytest.raises(ShapeError) as caught:
        x @ w + 1
    lines = str(caught.value).splitlines()
    assert lines[0] == "dot(x, w): inner sizes differ: x has 784 columns, w has 512 rows"
    assert lines[1].startswith("  x  float32 (64, 784)   input, test_linalg.py:")
    assert lines[2].startswith("  w  float32 (512, 10)   shared, test_linalg.py:")
    assert lines[3].endswith("x @ w + 1")
    assert lines[4].strip("~^ ") == ""
    assert lines[5] == "w should have shape (784, 10)."


def test_a_mismatch_of_vectors_counts_elements():
    with pytest.raises(ShapeError) as caught:
        dot(sg.tensor("x", "float32", (4, 3)), sg.tensor("v", "float32", (5,)))
    text = str(caught.value)
    assert "x has 3 columns, v has 5 elements" in text
    assert text.endswith("v should have shape (3,).")


def test_a_mismatch_that_only_the_call_shows_is_found_there():
    x, w = sg.matrix("x"), sg.matrix("w")
    f = sg.function([x, w], x @ w, backend="numpy")
    with pytest.raises(ShapeError, match=r"dot\(x, w\): inner sizes differ: x has 3 columns, w has 4 rows"):
        f(np.zeros((2, 3)), np.zeros((4, 5)))


def test_merged_axes_are_checked_one_by_one():
    x, w = sg.tensor3("x"), sg.tensor3("w")
    f = sg.function([x, w], tensordot(x, w, 2), backend="numpy")
    assert f(np.ones((1, 2, 6)), np.ones((2, 6, 1))).item() == 12
    with pytest.raises(ShapeError):
        f(np.ones((1, 2, 6)), np.ones((3, 4, 1)))


def test_axes_are_checked():
    x, w = sg.tensor3("x"), sg.matrix("w")
    with pytest.raises(AxisError, match="axes is 3, the ranks are 3 and 2"):
        tensordot(x, w, 3)
    with pytest.raises(AxisError, match="axis 5 is out of range"):
        tensordot(x, w, ([5], [0]))
    with pytest.raises(AxisError, match="2 axes of the first, 1 of the second"):
        tensordot(x, w, ([0, 1], [0]))


def test_a_scalar_is_no_matrix():
    with pytest.raises(ShapeError, match="is a scalar"):
        matmul(sg.scalar("x"), sg.matrix("w"))


def test_leading_axes_that_do_not_fit_are_an_error():
    with pytest.raises(ShapeError, match="leading axes"):
        matmul(sg.tensor("x", "float32", (2, 3, 4)), sg.tensor("w", "float32", (5, 4, 3)))

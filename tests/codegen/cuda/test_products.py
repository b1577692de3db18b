"""Tiles of products: each result as if it were computed alone, whatever the extents."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symgraph as sg
from codegen.affine import flat_index
from codegen.checker import check
from codegen.cuda.products import TILES, Tile, choose, find_product, shares
from codegen.cuda.schedule import schedule
from codegen.interpret import run
from codegen.kernel import Accumulate, Alloc, Buffer, If, Kernel, Store, nest
from codegen.schedule import split_nests
from symgraph import config
from symgraph.expression import axis, const, load
from symgraph.formula import DOT
from tests.codegen.cuda.devices import run_kernels
from tests.codegen.samples import assert_same_bits

F = "float32"


def product_kernel(z, m, n, k, condition=False, F=F):
    """y[z, m, n] = 2 * sum over k of a[z, m, k] * b[k, n]; with a ``condition``, of those k that are not below m."""
    names = [axis(name) for name in "zmnk"]
    zi, mi, ni, ki = names
    a = load("a", (flat_index((zi, mi, ki), (z, m, k)),), F)
    b = load("b", (flat_index((ki, ni), (k, n)),), F)
    step = Accumulate(("acc",), (), DOT, (a, b))
    body = (
        Alloc(Buffer("acc", F, (), "register")),
        Store("acc", (), const(0.0, F)),
        *nest([("k", k)], (If(mi <= ki, (step,)) if condition else step,)),
        Store("y", (flat_index((zi, mi, ni), (z, m, n)),), load("acc", (), F) * 2),
    )
    sizes = {"y": z * m * n, "a": z * m * k, "b": k * n}
    return Kernel("k", tuple(Buffer(b, F, (c,)) for b, c in sizes.items()), nest([("z", z), ("m", m), ("n", n)], body))


def held(z, m, n, k, seed=0):
    random = np.random.default_rng(seed)
    return {"y": np.zeros(z * m * n, F), "a": random.integers(-4, 5, z * m * k).astype(F),
            "b": random.integers(-4, 5, k * n).astype(F)}  # fmt: skip


def expected(z, m, n, k, arrays, condition):
    a, b = arrays["a"].reshape(z, m, k), arrays["b"].reshape(k, n)
    if condition:
        a = np.where(np.arange(m)[:, None] <= np.arange(k), a, 0)
    return (2 * a @ b).ravel()


extents = st.integers(8, 80)


def found_in(kernel):
    (whole,) = split_nests(kernel, 1 << 16, iter(map(str, range(99))))[1]
    return find_product(whole)


@given(st.integers(1, 2), st.integers(24, 80), st.integers(24, 80), extents, st.booleans())
@settings(max_examples=4)
def test_tiles_are_the_product(z, m, n, k, condition):
    kernel = product_kernel(z, m, n, k, condition)
    assert found_in(kernel) is not None
    scheduled = schedule(kernel)
    check(scheduled)
    arrays = held(z, m, n, k)
    run_kernels([scheduled], [arrays])
    assert_same_bits(arrays["y"], expected(z, m, n, k, arrays, condition))


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("condition", [False, True])
def test_every_tile_is_the_product(tile, condition, monkeypatch):
    monkeypatch.setattr("codegen.cuda.products.TILES", (tile,))
    size = (1, tile.m + 3, tile.n + 5, 21)
    arrays = held(*size)
    run_kernels([schedule(product_kernel(*size, condition))], [arrays])
    assert_same_bits(arrays["y"], expected(*size, arrays, condition))


@pytest.mark.parametrize("k", [2048, 3001])
@pytest.mark.parametrize("condition", [False, True])
def test_long_sums_of_few_tiles_are_shared_by_many_blocks(k, condition):
    size = (1, 40, 30, k)
    kernel = product_kernel(*size, condition)
    assert shares(found_in(kernel)) == k // 256
    scheduled = schedule(kernel)
    check(scheduled)
    arrays = {**held(*size), **{b.name: np.zeros(b.shape, F) for b in scheduled.buffers if b not in kernel.buffers}}
    run_kernels([scheduled], [arrays])
    assert_same_bits(arrays["y"], expected(*size, arrays, condition))


def test_large_products_are_not_cut():
    assert shares(found_in(product_kernel(1, 4096, 4096, 64))) == 1
    assert shares(found_in(product_kernel(1, 2048, 2048, 4096))) == 1


@pytest.mark.deep
@given(st.integers(8, 30), st.integers(8, 30), st.integers(8, 40), st.booleans(), st.integers(0, 9))
@settings(max_examples=20)
def test_threads_in_any_order_stay_inside(m, n, k, condition, seed):
    kernel = schedule(product_kernel(2, m, n, k, condition))
    arrays = held(2, m, n, k, seed)
    run(kernel, arrays, seed)
    assert_same_bits(arrays["y"], expected(2, m, n, k, arrays, condition))


def test_a_border_hides_a_weight_that_is_infinite():
    """What is not there is not multiplied: zero times inf would be NaN."""
    x, w = sg.ftensor4("x"), sg.ftensor4("w")
    random = np.random.default_rng(0)
    images, weights = random.random((4, 3, 12, 12), F), random.random((16, 3, 3, 3), F)
    weights[0, 0, 0, 0] = np.inf
    here, there = (
        sg.function([x, w], sg.nn.conv2d(x, w, border_mode="full"), backend=backend) for backend in ("llvm", "cuda")
    )
    with config.using(device="simulate"):
        found = there(images, weights)
    assert np.isinf(found).any() and not np.isnan(found).any()
    np.testing.assert_allclose(found, here(images, weights), rtol=1e-5)


def test_large_products_have_large_tiles_and_small_ones_many_blocks():
    assert choose(found_in(product_kernel(1, 4096, 4096, 64))) == Tile(128, 128, 8, 8)
    assert choose(found_in(product_kernel(1, 4096, 4096, 64, F="float64"))) == Tile(64, 64, 4, 4)
    assert choose(found_in(product_kernel(1, 4096, 32, 64))) == Tile(32, 32, 2, 2)
    assert choose(found_in(product_kernel(1, 64, 64, 64))) == Tile(16, 16, 1, 1)

"""Tensor cores: the interpreter's bits, and as near to the product as factors of their precision allow."""

import numpy as np
import pytest

import symgraph as sg
from codegen.checker import check
from codegen.cuda.schedule import GPU, schedule
from codegen.cuda.tensors import DROPPED, TILES, rounded
from codegen.interpret import run
from codegen.kernel import Call, walk
from symgraph.expression import evaluate, load
from tests.codegen.cuda.devices import run_kernels
from tests.codegen.cuda.test_products import expected, held, product_kernel
from tests.codegen.samples import SPECIAL, assert_same_bits

F = "float32"
FRACTION = {"tf32": 11, "bf16": 8, "fp16": 11}  # bits that a factor keeps
NARROW_NAN = np.uint32(0x7F800001).view(F)  # that it is one only its last bit says


def calls(kernel):
    return [s for s in walk(kernel) if isinstance(s, Call)]


@pytest.mark.parametrize("precision", FRACTION)
@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("condition", [False, True])
def test_every_tile_is_the_product(tile, condition, precision, monkeypatch):
    """Of small integers, which every precision has."""
    monkeypatch.setattr("codegen.cuda.schedule.TENSOR_TILES", (tile,))
    monkeypatch.setattr("codegen.cuda.tensors.TILES", (tile,))
    size = (2, tile.m + 3, tile.n + 5, 21)
    kernel = schedule(product_kernel(*size, condition), GPU, precision)
    check(kernel)
    assert calls(kernel)
    arrays = held(*size)
    run_kernels([kernel], [arrays])
    assert_same_bits(arrays["y"], expected(*size, arrays, condition))


@pytest.mark.parametrize("precision", FRACTION)
@pytest.mark.parametrize("backwards", [False, True])
def test_the_text_leaves_the_interpreters_bits(precision, backwards):
    size = (1, 18, 17, 20)
    kernel = schedule(product_kernel(*size, condition=backwards), GPU, precision)
    random = np.random.default_rng(0)
    drawn = {name: random.normal(size=a.size).astype(F) for name, a in held(*size).items()}
    found, wanted = ({n: a.copy() for n, a in drawn.items()} for _ in range(2))
    run_kernels([kernel], [found], backwards)
    run(kernel, wanted)
    assert_same_bits(found["y"], wanted["y"])


def check_product(precision, size):
    """A product is as near as its factors, and no nearer; on the device of the settings."""
    m, n, k = size
    x, y = sg.fmatrices("x y")
    random = np.random.default_rng(0)
    a, b = random.normal(size=(m, k)).astype(F), random.normal(size=(k, n)).astype(F)
    results = {}
    for p in ("highest", precision):
        results[p] = sg.function([x, y], x @ y, precision=p, backend="cuda")(a, b)
    exact = a.astype("float64") @ b.astype("float64")
    # each factor is off by half a unit of its last place, and float32 adds up to 512 terms in a row
    bound = (2.0 ** -(FRACTION[precision] - 1) + 512 * 2.0**-24) * (np.abs(a).astype("float64") @ np.abs(b))
    assert (np.abs(results[precision] - exact) <= bound).all()
    assert np.abs(results[precision] - exact).max() > 8 * np.abs(results["highest"] - exact).max()


@pytest.mark.parametrize("precision", FRACTION)
@pytest.mark.parametrize("size", [(70, 40, 64), (32, 16, 3000)])
def test_a_product_is_as_near_as_its_factors(precision, size):
    with sg.using(device="simulate"):
        check_product(precision, size)


def test_a_convolution_and_its_gradients_are_as_near_as_their_factors():
    x, w = sg.ftensor4("x"), sg.ftensor4("w")
    y = sg.nn.conv2d(x, w, border_mode="half")
    results = [y, *sg.grad(sg.tanh(y).sum(), [x, w])]
    random = np.random.default_rng(0)
    values = random.normal(size=(2, 16, 9, 9)).astype(F), random.normal(size=(16, 16, 3, 3)).astype(F) / 12
    here = sg.function([x, w], results, backend="llvm")(*values)
    f = sg.function([x, w], results, backend="cuda", precision="tf32")
    with sg.using(device="simulate"):
        there = f(*values)
        kernels = next(iter(f.programs.values())).kernels
    assert sum(bool(calls(k)) for k in kernels) >= 3
    for a, b in zip(here, there, strict=True):
        # each of 162 terms, whose sizes add up to less, is off by 2**-10
        np.testing.assert_allclose(a, b, atol=162 * 2.0**-10)
        assert not np.array_equal(a, b)


def test_training_by_rounded_products_keeps_weights_of_full_precision():
    """An update smaller than a unit in the last place of the narrow type is not lost."""
    w, x = sg.shared(np.ones((32, 32), F)), sg.fmatrix("x")
    step = 2.0**-12
    f = sg.function([x], x @ w, updates=[(w, w + step)], backend="cuda", precision="bf16")
    with sg.using(device="simulate"):
        for k in range(3):
            assert (f(np.eye(32, dtype=F)) == 1).all(), k
    assert (w.get_value() == 1 + 3 * step).all()


@pytest.mark.parametrize("precision", FRACTION)
def test_a_factor_is_rounded_to_the_nearest(precision):
    random = np.random.default_rng(0)
    powers = 2.0 ** random.uniform(-120, 120, 500)
    x = np.concatenate([SPECIAL[F], random.normal(size=1000), powers]).astype(F)
    with np.errstate(all="ignore"):
        (found,) = evaluate([rounded(load(0, (), F), precision)], lambda e: x)
        if precision == "fp16":
            assert_same_bits(found, x.astype("float16").astype(F))
            return
        normal = np.isfinite(x) & (np.abs(x) >= np.finfo(F).tiny) & (np.abs(x) < 3e38)
        mantissa, exponent = np.frexp(x[normal].astype("float64"))
        scaled = np.rint(mantissa * 2.0 ** FRACTION[precision]) / 2.0 ** FRACTION[precision]
    assert_same_bits(found[normal], np.ldexp(scaled, exponent).astype(F))
    assert_same_bits(found[~np.isfinite(x)], x[~np.isfinite(x)])


@pytest.mark.parametrize("precision", FRACTION)
def test_a_nan_is_one_in_the_bits_that_a_tensor_core_reads(precision):
    (found,) = evaluate([rounded(load(0, (), F), precision)], lambda e: np.array([NARROW_NAN, -NARROW_NAN]))
    dropped = DROPPED.get(precision, 0)
    narrow = (found.view("uint32") >> dropped << dropped).view(F)
    assert np.isnan(narrow.astype("float16") if precision == "fp16" else narrow).all()


def test_an_infinite_or_missing_factor_stays_so():
    x, y = sg.fmatrices("x y")
    a, b = np.ones((32, 32), F), np.ones((32, 32), F)
    a[3, 4], a[5, 6] = np.inf, NARROW_NAN
    for precision in FRACTION:
        f = sg.function([x, y], x @ y, precision=precision, backend="cuda")
        with sg.using(device="simulate"):
            found = f(a, b)
        assert np.isposinf(found[3]).all() and np.isnan(found[5]).all() and (np.delete(found, [3, 5], 0) == 32).all()


def test_doubles_small_products_and_the_highest_precision_have_no_tensor_cores():
    for kernel, precision in (
        (product_kernel(1, 64, 64, 64), "highest"),
        (product_kernel(1, 64, 64, 64, F="float64"), "tf32"),
        (product_kernel(1, 64, 64, 8), "tf32"),
    ):
        assert not calls(schedule(kernel, GPU, precision))


def test_a_processor_rounds_nothing():
    x, y = sg.fmatrices("x y")
    a = np.random.default_rng(0).normal(size=(64, 64)).astype(F)
    results = [sg.function([x, y], x @ y, precision=p, backend="llvm")(a, a) for p in ("highest", "bf16")]
    assert np.array_equal(*results)


def test_a_precision_that_is_none_is_refused_with_what_there_is():
    with pytest.raises(ValueError, match="precision is 'low'; it must be one of 'highest', 'tf32'"):
        sg.function([], sg.constant(1.0), precision="low")

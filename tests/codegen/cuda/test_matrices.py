"""Matrix products by a device's library: those that are matrices go there, and mean what the nest of loops meant."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symgraph as sg
from codegen.checker import check
from codegen.cuda import matrices
from codegen.cuda.emit import Multiplication, emit
from codegen.cuda.matrices import Matrix, merged, multiply
from codegen.cuda.schedule import GPU, schedule
from codegen.cuda.simulate import DeviceFault, SimulatedDevice
from codegen.interpret import run
from codegen.kernel import Call
from symgraph.backend import machine_of
from tests.codegen.cuda.devices import run_kernels
from tests.codegen.cuda.test_products import expected, held, product_kernel
from tests.codegen.cuda.test_tensors import FRACTION, NARROW_NAN, check_product
from tests.codegen.samples import assert_same_bits
from tests.programs import interpreted

F = "float32"


def always(product):
    return True


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Products of any size go to the library."""
    monkeypatch.setattr(matrices, "LARGE", 0)
    monkeypatch.setattr(matrices, "LEAST", 0)
    with sg.using(backend="cuda", device="simulate"):
        yield


def products(kernels):
    """What a library does of them."""
    return [s.intrinsic.product for k in kernels for s in k.body if isinstance(s, Call)]


def of_function(f):
    """What a library does of a function's programs."""
    return products([k for p in f.programs.values() for k in p.kernels])


# ------------------------------------------------------------------------------------------------ kernels


@given(st.integers(1, 2), st.integers(24, 28), st.integers(22, 28), st.integers(8, 12))
@settings(max_examples=3)
def test_a_kernel_is_the_product(z, m, n, k):
    size = (z, m, n, k)
    kernel = schedule(product_kernel(*size), GPU, takes=always)
    check(kernel)
    (found,) = products([kernel])
    assert sorted(found.extents) == sorted((1, z * m, n, k))  # the stack has one matrix b: it is rows
    arrays = {b.name: np.zeros(b.shape, b.dtype) for b in kernel.buffers} | held(*size)
    text, meaning = ({name: a.copy() for name, a in arrays.items()} for _ in range(2))
    run_kernels([kernel], [text])
    run(kernel, meaning)
    assert_same_bits(text["y"], expected(*size, arrays, False))
    assert_same_bits(meaning["y"], text["y"])


def test_products_under_conditions_and_small_ones_are_the_kernels_own(monkeypatch):
    assert not products([schedule(product_kernel(1, 64, 64, 64, condition=True), GPU, takes=always)])
    assert not products([schedule(product_kernel(1, 64, 64, 64), GPU, takes=lambda p: False)])
    assert products([schedule(product_kernel(1, 64, 64, 64), GPU, takes=always)])
    monkeypatch.undo()
    assert not products([schedule(product_kernel(1, 64, 64, 64), GPU, takes=always)])
    assert products([schedule(product_kernel(1, 1024, 1024, 1024), GPU, takes=always)])
    assert not products([schedule(product_kernel(1, 1 << 14, 16, 1 << 12), GPU, takes=always)])


def test_equal_products_are_one_intrinsic_and_one_kernel():
    kernels = [schedule(product_kernel(1, 64, 32, 16), GPU, takes=always) for _ in range(2)]
    assert kernels[0] == kernels[1]
    (product,) = products(kernels[:1])
    assert multiply(product) is multiply(product.by_columns.by_columns)


@pytest.mark.parametrize(
    ("axes", "stride"),
    [([], 0), ([(5, 7)], 7), ([(2, 15), (3, 5)], 5), ([(2, 16), (3, 5)], None), ([(1, 99), (3, 5), (1, 0)], 5),
     ([(2, 0), (3, 0)], 0), ([(2, 0), (3, 5)], None), ([(3, -5)], None)],
)  # fmt: skip
def test_axes_are_one_where_they_walk_memory_as_one(axes, stride):
    assert merged(axes) == stride


@pytest.mark.parametrize(
    ("offset", "dtype", "multiple"), [(0, F, 64), (1, F, 4), (4, "float64", 32), (3, "bfloat16", 2)]
)
def test_a_matrix_begins_at_a_multiple_of_what_it_promises(offset, dtype, multiple):
    assert Matrix(dtype, offset, 0, 8, 1).alignment == multiple


def test_a_matrix_that_is_not_where_it_was_promised_is_a_fault():
    (product,) = products([schedule(product_kernel(1, 64, 32, 16), GPU, takes=always)])
    device = SimulatedDevice()
    memory = device.allocate(1 << 14)
    with pytest.raises(DeviceFault, match="no multiple of 64 bytes"):
        device.gemm(product)([memory.address + 4] * 3)


# ------------------------------------------------------------------------------------------------ functions


def numbers(*shape, dtype=F, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


x, w, b = sg.fmatrices("x w b")
t, v = sg.ftensor3("t"), sg.ftensor3("v")
d, e = sg.dmatrices("d e")
h, g = sg.tensor("h", "float16", (24, 16)), sg.tensor("g", "float16", (16, 32))
row = sg.fvector("row")
big = {x: numbers(24, 16), w: numbers(16, 32, seed=1)}
stack = {t: numbers(2, 24, 16), v: numbers(2, 16, 32, seed=1)}

FORMS = {
    "plain": (x @ w, big),
    "left transposed": (x.T @ w, {x: numbers(16, 24), w: big[w]}),
    "right transposed": (x @ w.T, {x: big[x], w: numbers(32, 16)}),
    "both transposed": (x.T @ w.T, {x: numbers(16, 24), w: numbers(32, 16)}),
    "result transposed": ((x @ w).T, big),
    "of one matrix": (x @ x.T, {x: big[x]}),
    "bias and activation": (sg.tanh(x @ w + row), {**big, row: numbers(32)}),
    "rows of part of a matrix": (x[3:19, 6:] @ w[:10], {x: big[x], w: big[w]}),
    "every second column": (x[:, ::2] @ w[:8], big),
    "backwards": (x[::-1] @ w, big),
    "doubles": (d @ e, {d: numbers(24, 16, dtype="float64"), e: numbers(16, 32, dtype="float64", seed=1)}),
    "halves": (h @ g, {h: numbers(24, 16, dtype="float16"), g: numbers(16, 32, dtype="float16", seed=1)}),
    "a half and a single": (h @ w, {h: numbers(24, 16, dtype="float16"), w: big[w]}),
    "a stack": (t @ v, stack),
    "a stack with one matrix on the left": (x @ v, {x: big[x], v: stack[v]}),
    "a stack with one matrix on the right": (t @ w, {t: stack[t], w: big[w]}),
    "a stack transposed": (sg.matmul(t.dimshuffle(0, 2, 1), v), {t: numbers(2, 16, 24), v: stack[v]}),
    "a stack that is the second axis": (
        sg.matmul(t.dimshuffle(1, 0, 2), v), {t: numbers(24, 2, 16), v: stack[v]},
    ),
    "two axes at a time": (sg.tensordot(t, v, axes=[[1, 2], [0, 1]]), {t: numbers(24, 2, 8), v: numbers(2, 8, 32)}),
    "two axes the other way round": (
        sg.tensordot(t, v, axes=[[2, 1], [0, 1]]), {t: numbers(24, 2, 8), v: numbers(8, 2, 32)},
    ),
}  # fmt: skip


def bound(outputs, values, terms):
    """By how much sums of so many products may differ: 32 are added in a row here, and there all."""
    return terms * np.finfo(outputs[0].dtype).eps * max(np.abs(a).max() for a in values.values()) ** 2


@pytest.mark.parametrize("name", FORMS)
def test_a_product_is_the_cpus(name):
    y, values = FORMS[name]
    f = sg.function(list(values), y)
    there = f(*values.values())
    here = sg.function(list(values), y, backend="llvm")(*values.values())
    assert len(of_function(f)) == 1, "it is no call of the library"
    assert there.dtype == here.dtype and there.shape == here.shape
    np.testing.assert_allclose(there, here, rtol=0, atol=bound([y], values, 16))


def check_meaning(y, values):
    """What the interpreter makes of a call is what the device does."""
    (meant,) = interpreted([y], values, GPU, partial(schedule, takes=always))
    found = sg.function(list(values), y)(*values.values())
    # both add in float64; a tie between two roundings is all that can differ
    np.testing.assert_allclose(found, meant, rtol=4 * float(np.finfo(y.dtype).eps), atol=0)


@pytest.mark.parametrize("name", ["bias and activation", "a stack that is the second axis", "halves"])
def test_the_meaning_of_some_products_is_what_the_device_does(name):
    check_meaning(*FORMS[name])


@pytest.mark.deep
@pytest.mark.parametrize("name", FORMS)
def test_the_meaning_of_a_product_is_what_the_device_does(name):
    check_meaning(*FORMS[name])


@pytest.mark.deep
@given(*[st.integers(24, 50)] * 4, st.integers(0, 7), st.sampled_from([F, "float64"]), st.integers(0, 99))
@settings(max_examples=100)
def test_drawn_products_are_the_cpus(z, m, n, k, turned, dtype, seed):
    left, right = (sg.tensor(name, dtype, (None,) * 3) for name in "ab")
    a, c = numbers(z % 4 + 1, m, k, dtype=dtype, seed=seed), numbers(z % 4 + 1, k, n, dtype=dtype, seed=seed + 1)

    def flipped(value, yes):
        return value.transpose(0, 2, 1) if yes else value

    y = sg.matmul(*(flipped(s, turned >> i & 1) for i, s in enumerate((left, right))))
    y = flipped(y, turned >> 2)
    values = {
        left: np.ascontiguousarray(flipped(a, turned & 1)),
        right: np.ascontiguousarray(flipped(c, turned >> 1 & 1)),
    }
    f = sg.function([left, right], y)
    there = f(*values.values())
    assert len(of_function(f)) == 1
    np.testing.assert_allclose(there, flipped(a @ c, turned >> 2), rtol=0, atol=bound([y], values, k))


def test_a_sum_goes_straight_to_where_it_is_wanted_and_through_a_map_otherwise():
    for y, buffers in ((x @ w, 0), ((x @ w).T, 0), (sg.tanh(x @ w), 1), ((x @ w).astype("float64"), 1)):
        f = sg.function([x, w], y)
        f(*big.values())
        (p,) = f.programs.values()
        assert sum(b.name.startswith("product") for k in p.kernels for b in k.buffers) == buffers
        assert "by the library: " in p.code("cuda")


def test_a_step_of_training_is_the_cpus_and_updates_in_place():
    s, x_, y_ = sg.shared(numbers(40, 32)), sg.fmatrix("x"), sg.fmatrix("y")
    cost = ((sg.tanh(x_ @ s) - y_) ** 2).mean()
    learnt = {}
    for backend in ("llvm", "cuda"):
        s.set_value(numbers(40, 32))
        f = sg.function([x_, y_], cost, updates=[(s, s - 0.1 * sg.grad(cost, s))], backend=backend)
        costs = [f(numbers(24, 40, seed=k), numbers(24, 32, seed=k + 9)) for k in range(5)]
        learnt[backend] = np.array([*costs, *s.get_value().ravel()])
    assert len(of_function(f)) == 2
    np.testing.assert_allclose(learnt["cuda"], learnt["llvm"], rtol=1e-5, atol=1e-5)


def test_what_is_replayed_is_what_a_stream_run_gives(monkeypatch):
    def train():
        s = sg.shared(np.full((40, 32), 0.1, F))
        f = sg.function([x], sg.tanh(x @ s).sum(), updates=[(s, s - 0.01 * sg.grad(sg.tanh(x @ s).sum(), s))])
        return np.array([*[f(numbers(24, 40, seed=k)) for k in range(20)], *s.get_value().ravel()])

    replayed = train()
    monkeypatch.setattr(SimulatedDevice, "capture", lambda self, work: work)
    assert np.array_equal(replayed, train())


def test_a_convolution_by_single_weights_is_a_stack_of_products():
    images, filters = sg.ftensor4("images"), sg.ftensor4("filters")
    y, (a, c) = sg.nn.conv2d(images, filters), (numbers(3, 16, 9, 8), numbers(24, 16, 1, 1))
    wanted, sizes = (np.einsum("bcyx,oc->boyx", f(a), f(c[..., 0, 0])) for f in (np.positive, np.abs))
    # images that are rounded on the way are brought into the form of one matrix
    for precision, extents, near in (("highest", (3, 72, 24, 16), 1e-6), ("bf16", (1, 216, 24, 16), 2.0**-7)):
        f = sg.function([images, filters], y, precision=precision)
        np.testing.assert_allclose(f(a, c), wanted, atol=near * sizes.max())
        assert [p.extents for p in of_function(f)] == [extents]


def test_a_convolution_is_no_matrix():
    """It would have to be written out, each element as often as a filter is large."""
    images, filters = sg.ftensor4("images"), sg.ftensor4("filters")
    f = sg.function([images, filters], sg.nn.conv2d(images, filters))
    values = numbers(2, 8, 9, 9), numbers(16, 8, 3, 3)
    here = sg.function([images, filters], sg.nn.conv2d(images, filters), backend="llvm")(*values)
    np.testing.assert_allclose(f(*values), here, atol=1e-4)
    assert not of_function(f)


# ------------------------------------------------------------------------------------------------ precision


@pytest.mark.parametrize("precision", FRACTION)
@pytest.mark.parametrize("size", [(70, 40, 64), (32, 16, 3000)])
def test_a_product_is_as_near_as_its_factors(precision, size):
    check_product(precision, size)


@pytest.mark.parametrize(("precision", "dtype", "asked"), [
    ("highest", F, "highest"), ("tf32", F, "tf32"), ("bf16", "bfloat16", "highest"), ("fp16", "float16", "highest"),
])  # fmt: skip
def test_factors_are_kept_as_a_function_lets_them_be_rounded(precision, dtype, asked):
    for y, values in (FORMS["plain"], FORMS["left transposed"], FORMS["a stack with one matrix on the left"]):
        f = sg.function(list(values), y, precision=precision)
        f(*values.values())
        (p,) = of_function(f)
        assert (p.a.dtype, p.b.dtype, p.precision, p.y.dtype) == (dtype, dtype, asked, F)


def test_an_infinite_or_missing_factor_stays_so():
    a, c = np.ones((32, 32), F), np.ones((32, 32), F)
    a[3, 4], a[5, 6] = np.inf, NARROW_NAN
    for precision in ("highest", *FRACTION):
        found = sg.function([x, w], x @ w, precision=precision)(a, c)
        assert np.isposinf(found[3]).all() and np.isnan(found[5]).all() and (np.delete(found, [3, 5], 0) == 32).all()


# ------------------------------------------------------------------------------------------------ devices


def test_where_the_library_does_not_do_a_product_our_kernels_do(monkeypatch):
    monkeypatch.setattr(SimulatedDevice, "gemm", lambda self, product: None)
    f = sg.function([x, w], x @ w)
    assert np.allclose(f(*big.values()), big[x] @ big[w], atol=1e-4) and not of_function(f)
    (p,) = f.programs.values()
    assert "by the library" not in p.code("cuda")


def test_the_machine_says_which_library_it_has():
    assert machine_of("cuda")["library of matrix products"] == "NumPy"


def test_a_call_of_the_library_stands_between_functions_and_is_none():
    kernel = schedule(product_kernel(1, 64, 32, 16), GPU, takes=always)
    module = emit([kernel])
    first, *_ = module.kernels[kernel.name]
    assert isinstance(first, Multiplication) and [p.name for p in first.parameters][1:] == ["a", "b"]
    assert all(f.name != first for f in module.functions) and "a @ b" in first.text

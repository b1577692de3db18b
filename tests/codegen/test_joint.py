"""Joint kernels: what is done row by row is what was done one after the other."""

import numpy as np
import pytest

import symgraph as sg
from codegen import joint
from codegen.joint import join, joint_rows
from codegen.kernel import Buffer, Kernel, Store, allocs
from codegen.llvm.backend import machine
from codegen.llvm.target import host
from codegen.program import build
from symgraph.backend import prepare
from symgraph.expression import axis, const, load
from tests.codegen.graphs import drawn
from tests.codegen.samples import assert_agree, loops
from tests.programs import by_reference, interpreted, native, task_of

F = "float32"
N = 16
i, j, k = axis("i"), axis("j"), axis("k")
NEAR = 1 << 18


@pytest.fixture(autouse=True)
def every_size(monkeypatch):
    """Small values are joined too."""
    for name, value in {"FEW_ROWS": 2, "SMALL_ROW": 1, "FAR": 0, "REUSE": 1}.items():
        monkeypatch.setattr(joint, name, value)


def pair(read, rows=N):
    """m[i, j] = a[i, j] + 1; o[i, k] = m[read] * 2, as two kernels of ``rows`` rows of eight."""
    at = i * 8 + j
    a, m, o = (Buffer(n, F, (rows * 8,)) for n in "amo")
    made = Store("m", (at,), load("a", (at,), F) + const(1, F))
    used = Store("o", (i * 8 + k,), load("m", (read,), F) * const(2, F))
    first = Kernel("first", (m, a), (loops(("i", rows, "serial"), ("j", 8, "serial"), body=(made,)),))
    return first, Kernel("second", (o, m), (loops(("i", rows, "serial"), ("k", 8, "serial"), body=(used,)),))


@pytest.mark.parametrize(
    ("read", "places"),
    [(i * 8 + k, range(8)), (i * 8 - k + 7, range(7, -1, -1)), (i * 8 + k // 2, [0, 0, 1, 1, 2, 2, 3, 3])],
    ids=["as it lies", "mirrored", "twice"],
)
def test_rows_of_their_own_are_joined(read, places):
    together = join(*pair(read), own={"m"}, near=NEAR, suffix="_2")
    assert together is not None and joint_rows(together)
    assert {b.name for b in together.buffers} == {"a", "o"} and [b.shape for b in allocs(together)] == [(8,)]
    a = np.arange(N * 8, dtype=F)
    found = assert_agree(together, {"a": a, "o": np.zeros_like(a)})["o"]
    np.testing.assert_array_equal(found.reshape(N, 8), (a.reshape(N, 8)[:, list(places)] + 1) * 2)


@pytest.mark.parametrize(
    "kernels",
    [pair(k * 8 + i, rows=8), pair(i * 8 + k + 1), pair(k), pair(i * 7 + k)],
    ids=["columns", "beyond the row", "one row", "other rows"],
)
def test_rows_of_others_keep_kernels_apart(kernels):
    assert join(*kernels, own={"m"}, near=NEAR, suffix="_2") is None


def test_what_others_read_too_joins_nothing():
    assert join(*pair(i * 8 + k), own=set(), near=NEAR, suffix="_2") is None


def test_a_row_that_does_not_stay_near_joins_nothing():
    assert join(*pair(i * 8 + k), own={"m"}, near=31, suffix="_2") is None


def test_a_convolution_its_pool_and_their_gradient_are_joined():
    x, w = sg.tensor("x", "float32", (4, 1, 8, 8)), sg.tensor("w", "float32", (3, 1, 3, 3))
    y = sg.nn.max_pool2d(sg.nn.relu(sg.nn.conv2d(x, w, border_mode="full")), (2, 2))
    outputs = [y, *sg.grad((y * y).sum(), [x, w])]
    random = np.random.default_rng(0)
    values = {x: random.normal(size=(4, 1, 8, 8)).astype(F), w: random.normal(size=(3, 1, 3, 3)).astype(F)}
    program = build(prepare(*task_of(outputs, values)[:2]), machine(host()))
    assert any(b.name.startswith("row_m") for kernel in program.kernels for b in allocs(kernel))
    expected = by_reference(outputs, values)
    for found in (interpreted(outputs, values), native(outputs, values)):
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)  # sums of 64 terms in another order


@pytest.mark.parametrize("seed", range(24))
def test_drawn_programs_mean_the_same_when_all_that_can_be_is_joined(seed):
    t = drawn(seed)
    x, index = t.inputs
    values = {x: np.linspace(-1, 1, 9), index: np.array([1, 8, 1])}
    for a, b in zip(interpreted(t.results, values), by_reference(t.results, values), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)  # sums of up to 81 terms in another order

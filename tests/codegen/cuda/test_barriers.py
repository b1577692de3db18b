"""Each barrier of a scheduled kernel is needed: the simulation shows what goes wrong without it."""

from itertools import count

import numpy as np
import pytest

from codegen.cuda import transposes
from codegen.cuda.schedule import schedule
from codegen.kernel import (
    Accumulate,
    Alloc,
    Body,
    Buffer,
    Call,
    Kernel,
    Loop,
    Statement,
    Store,
    Sync,
    block_of,
    nest,
    walk,
    with_block,
)
from symgraph.expression import axis, const, load
from symgraph.formula import SUM
from tests.codegen.cuda.devices import run_kernels
from tests.codegen.cuda.test_products import product_kernel

F = "float32"
i, j, r, s = (axis(n) for n in "ijrs")


def two_passes(n=6, m=300):
    """y[i, :] = x[i, :] * sum(x[i, :]): the second pass reads what the first has merged."""
    element, again = (load("x", (i * m + k,), F) for k in (r, s))
    body = (
        Alloc(Buffer("acc", F, (), "register")),
        Store("acc", (), const(0.0, F)),
        Loop("r", m, "serial", (Accumulate(("acc",), (), SUM, (element,)),)),
        Loop("s", m, "serial", (Store("y", (i * m + s,), again * load("acc", (), F)),)),
    )
    return Kernel("k", (Buffer("y", F, (n * m,)), Buffer("x", F, (n * m,))), nest([("i", n)], body))


def transposed(n=70, m=50):
    store = Store("y", (i * m + j,), load("x", (j * n + i,), F))
    return Kernel("k", (Buffer("y", F, (n * m,)), Buffer("x", F, (n * m,))), nest([("i", n), ("j", m)], (store,)))


KERNELS = {"rows": two_passes, "products": lambda: product_kernel(1, 70, 60, 40), "transposes": transposed}


def without(body: Body, number: int) -> Body:
    """``body`` without barrier ``number``."""
    numbers = count()

    def each(body: Body) -> Body:
        return tuple(new for s in body for new in one(s))

    def one(s: Statement) -> Body:
        if isinstance(s, Sync):
            return () if next(numbers) == number else (s,)
        if isinstance(s, Call):
            return (s,)
        return (with_block(s, each(block_of(s))),)

    return each(body)


def count_of(kernel: Kernel) -> int:
    """Barriers in the text: those that say what an exchange within a warp means are none."""
    calls = [b for s in walk(kernel) if isinstance(s, Call) for b in block_of(s)]
    return sum(isinstance(s, Sync) for s in walk(kernel)) - sum(isinstance(s, Sync) for s in calls)


def results(kernel, backwards):
    random = np.random.default_rng(0)
    arrays = {b.name: random.integers(1, 5, b.shape).astype(F) for b in kernel.buffers}
    run_kernels([kernel], [arrays], backwards)
    return arrays["y"]


@pytest.mark.parametrize("name", KERNELS)
def test_without_any_of_its_barriers_a_kernel_is_wrong(name, monkeypatch):
    monkeypatch.setattr(transposes, "LARGE", 1)
    kernel = schedule(KERNELS[name]())
    expected = results(kernel, backwards=False)
    assert np.array_equal(expected, results(kernel, backwards=True))
    barriers = count_of(kernel)
    assert barriers
    for number in range(barriers):
        broken = Kernel("k", kernel.buffers, without(kernel.body, number))
        assert count_of(broken) == barriers - 1
        found = [results(broken, backwards) for backwards in (False, True)]
        assert not all(np.array_equal(f, expected) for f in found), f"barrier {number} is not needed"

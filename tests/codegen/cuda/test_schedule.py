"""The laws of scheduling for a GPU: a scheduled kernel obeys the loop IR and keeps the bits of the plain one."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symgraph as sg
from codegen.affine import linear
from codegen.checker import check
from codegen.cuda.schedule import distinct, schedule
from codegen.interpret import run
from codegen.kernel import Accumulate, Alloc, Buffer, Kernel, Loop, Store, walk
from symgraph.expression import axis, const, load
from symgraph.formula import SUM
from tests.codegen import samples
from tests.codegen.computes import contractions, maps, reductions, scans, scatters
from tests.codegen.cuda.devices import interpreted_for_gpu, run_kernels, simulated
from tests.codegen.legal import legalize

F = "float32"
KINDS = {"maps": maps, "reductions": reductions, "contractions": contractions, "scans": scans, "scatters": scatters}
drawn_kernels = st.one_of(*[kind() for kind in KINDS.values()])


def left_by(kernel, drawn, seed=None):
    memory = drawn.memory(kernel)
    run(legalize(kernel), memory, seed)
    return memory


def assert_kept(found, expected):
    for name in expected:
        samples.assert_same_bits(found[name], expected[name])


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
@settings(max_examples=10)
def test_a_schedule_keeps_the_bits_in_any_order_of_blocks_and_threads(kind, data):
    drawn = data.draw(KINDS[kind]())
    plain = drawn.kernel()
    scheduled = schedule(plain)
    check(scheduled)
    assert scheduled == schedule(plain)
    assert_kept(left_by(scheduled, drawn, seed=3), left_by(plain, drawn))


def large_maps():
    """Maps by several neighbours in a thread."""
    x, b, wide = sg.fmatrix("x"), sg.fvector("b"), sg.dmatrix("w")
    outputs = [sg.exp(x) + b, (x + b).T, x > 0, x[:, ::-1] * 2, wide + x, sg.sin(1e9 * x), x.astype("float16"), x + x.T]
    random = np.random.default_rng(0)
    return outputs, {x: random.random((24, 24), F), b: random.random(24, F), wide: random.random((24, 24))}


def test_neighbours_of_a_large_map_move_in_one_piece(monkeypatch):
    monkeypatch.setattr("codegen.cuda.schedule.LARGE", 1)
    outputs, values = large_maps()
    for found, wanted in zip(simulated(outputs, values), interpreted_for_gpu(outputs, values), strict=True):
        samples.assert_same_bits(found, wanted)
    s = sg.shared(np.arange(64, dtype=F))
    with sg.using(backend="cuda", device="simulate"):
        f = sg.function([], updates=[(s, s[::-1] + s)])
        f()
        text = next(iter(f.programs.values())).code("cuda")
    assert (s.get_value() == 63).all()
    assert text.count("*(const Lanes<float, 4>*)(sh0") == 2 and text.count(" = Lanes<float, 4>{{") == 1


@pytest.mark.deep
@given(drawn_kernels, st.booleans())
@settings(max_examples=100)
def test_the_text_leaves_the_interpreters_bits(drawn, backwards):
    scheduled = schedule(drawn.kernel())
    found = drawn.memory(scheduled)
    run_kernels([scheduled], [found], backwards)
    assert_kept(found, left_by(scheduled, drawn))


i, j, k = (axis(n) for n in "ijk")
gathered = load("t", (i,), "int64")


@pytest.mark.parametrize(
    ("place", "found"),
    [
        (gathered * 5 + j, {"j"}),  # rows picked by data: columns stay apart
        (gathered * 4 + j, set()),  # rows that overlap
        (i * 5 + j, {"i", "j"}),
        (i + j, set()),
        (k * 40 + gathered * 5 + j, {"j"}),  # nobody knows how far the data reach
        (gathered, set()),
        (i * 2, {"i"}),
    ],
)
def test_axes_that_a_place_determines_are_threads(place, found):
    assert distinct(linear(place), {"i": 8, "j": 5, "k": 3}) == found


def row_sums(n, m):
    acc = Buffer("acc", "float32", (), "register")
    row = (
        Alloc(acc),
        Store("acc", (), const(0.0, "float32")),
        Loop("r", m, "serial", (Accumulate(("acc",), (), SUM, (load("a", (i * m + axis("r"),), "float32"),)),)),
        Store("o", (i,), load("acc", (), "float32")),
    )
    return Kernel("k", (Buffer("o", "float32", (n,)), Buffer("a", "float32", (n * m,))), (Loop("i", n, "serial", row),))


@pytest.mark.parametrize(("n", "m", "threads"), [(64, 5000, [1, 256]), (64, 100, [8, 32]), (1 << 16, 8, [256])])
def test_long_rows_are_shared_by_the_threads_of_a_block(n, m, threads):
    found = [s.extent for s in walk(schedule(row_sums(n, m))) if isinstance(s, Loop) and s.kind == "thread"]
    assert found == threads


def test_a_sum_of_two_passes_is_one_threads():
    """Threads that have merged the first pass would add it up again behind the second."""
    kernel = row_sums(64, 100)
    (outer,) = kernel.body
    *before, store = outer.body
    (step,) = before[-1].body
    again = Loop("s", 100, "serial", (replace(step, exprs=(load("a", (i * 100 + axis("s"),), "float32"),)),))
    kernel = replace(kernel, body=(replace(outer, body=(*before, again, store)),))
    arrays = {"o": np.zeros(64, F), "a": np.arange(6400, dtype=F)}
    run_kernels([schedule(kernel)], [arrays])
    assert np.array_equal(arrays["o"], 2 * np.arange(6400, dtype=F).reshape(64, 100).sum(axis=1))


def test_what_is_accumulated_between_passes_all_threads_have():
    kernel = row_sums(64, 100)
    (outer,) = kernel.body
    *before, _ = outer.body
    b = Buffer("b", F, (), "register")
    total = Accumulate(("b",), (), SUM, (load("acc", (), F),))
    again = Loop("s", 100, "serial", (Store("o", (i * 100 + axis("s"),), load("b", (), F)),))
    body = (*before, Alloc(b), Store("b", (), const(1.0, F)), total, again)
    buffers = (Buffer("o", F, (6400,)), kernel.buffers[1])
    arrays = {"o": np.zeros(6400, F), "a": np.arange(6400, dtype=F)}
    run_kernels([schedule(replace(kernel, buffers=buffers, body=(replace(outer, body=body),)))], [arrays])
    wanted = 1 + np.arange(6400, dtype=F).reshape(64, 100).sum(axis=1)
    assert np.array_equal(arrays["o"].reshape(64, 100), np.repeat(wanted, 100).reshape(64, 100))

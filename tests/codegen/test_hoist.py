"""What a loop repeats is computed before it, where that is allowed and worth it."""

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codegen import hoist
from codegen.checker import check
from codegen.hoist import hoisted
from codegen.kernel import Alloc, Buffer, If, Kernel, Let, Loop, Store, walk
from symgraph import expression
from tests.codegen.computes import contractions, maps, reductions, rows, scans
from tests.codegen.samples import F, element, i, j, k, loops, v
from tests.codegen.test_schedule import check_schedules

PER_ROW = expression.apply("exp", element("b", i) * element("b", i))


def kernel(*body):
    buffers = Buffer("out", F, (512,)), Buffer("a", F, (512,)), Buffer("b", F, (8,))
    made = Kernel("k", buffers, body)
    check(made)
    result = hoisted(made, (f"_{n}" for n in count()))
    check(result)
    return result


def of(made, kind):
    return [s for s in walk(made) if isinstance(s, kind)]


def row(body, *inner):
    """``body`` in a loop over rows, a loop over 64 columns, and what may be inside."""
    return loops(("i", 8, "serial"), ("j", 64, "serial"), *inner, body=body)


def column(value):
    return (Store("out", (i * 64 + j,), value),)


def test_what_depends_on_the_row_is_computed_once_a_row():
    made = kernel(row(column(element("a", i * 64 + j) * PER_ROW)))
    (let,) = of(made, Let)
    assert let.expr is PER_ROW
    (outer,) = made.body
    assert outer.body[0] is let
    (store,) = of(made, Store)
    assert store.expr is element("a", i * 64 + j) * expression.axis(let.name, F)


def test_what_two_statements_of_a_tile_repeat_is_computed_once():
    def lanes(name, out):
        at = expression.axis(name)
        value = element("a", j * 16 + at) * expression.apply("exp", element("b", at) * element("b", at))
        return Loop(name, 8, "vector", (Store("out", (j * 16 + at + out,), value),))

    made = kernel(Loop("j", 16, "serial", (lanes("v", 0), lanes("w", 256))))
    (alloc,) = of(made, Alloc)
    reads = [e.args for s in of(made, Store)[1:] for e in expression.toposort([s.expr]) if e.value == alloc.buffer.name]
    assert reads == [(expression.axis("v"),), (expression.axis("w"),)]


def test_what_depends_on_the_column_stays():
    same = row(column(expression.apply("exp", element("a", i * 64 + j) * element("b", i))))
    assert kernel(same).body == (same,)


def test_a_single_operation_is_not_worth_it():
    same = row(column(element("a", i * 64 + j) * expression.apply("neg", element("b", i))))
    assert kernel(same).body == (same,)


def test_what_the_loop_writes_stays():
    value = expression.apply("exp", element("out", i) * element("b", i))
    same = row(column(element("a", i * 64 + j) * value))
    assert kernel(same).body == (same,)


def test_what_only_a_condition_keeps_in_bounds_stays():
    same = row((If(j < 5, column(element("a", i * 64 + j) * PER_ROW)),))
    assert kernel(same).body == (same,)


def test_what_only_a_condition_keeps_in_bounds_of_a_thread_s_storage_stays():
    value = element("t", j * 16 + v) * element("t", j * 16 + v) + element("t", j * 16 + v)
    store = Store("out", (k * 64 + j * 16 + v,), value * element("a", k))
    turns = loops(("k", 5, "serial"), ("v", 16, "vector"), body=(If(j * 16 + v < 20, (store,)),))
    body = Loop("j", 2, "serial", (turns,))
    assert kernel(Alloc(Buffer("t", F, (20,), "thread")), body).body[1:] == (body,)


def test_a_let_of_the_loop_is_not_known_before_it():
    value = expression.apply("exp", expression.axis("t", F) * expression.axis("t", F))
    same = row((Let("t", element("b", i)), *column(element("a", i * 64 + j) * value)))
    assert kernel(same).body == (same,)


def test_a_parallel_loop_keeps_what_it_repeats():
    """Its turns may run at any time, on another thread."""
    whole = expression.apply("exp", element("b", 0) * element("b", 1))
    same = loops(("j", 64, "parallel"), body=(Store("out", (j,), element("a", j) * whole),))
    assert kernel(same).body == (same,)


@pytest.mark.parametrize("inner", [("v", 16, "vector"), ("v", 4, "unroll")])
def test_lanes_and_rows_of_a_tile_keep_a_value_each(inner):
    value = expression.apply("exp", element("b", v % 8) * element("b", v % 8))
    body = (Store("out", (j * 16 + v,), element("a", j * 16 + v) * value),)
    made = kernel(loops(("j", 32, "serial"), inner, body=body))
    (alloc,) = of(made, Alloc)
    assert (alloc.buffer.space, alloc.buffer.shape) == ("register", (inner[1],))
    before, after = (s for s in made.body if isinstance(s, Loop))
    assert (before.kind, before.extent) == (inner[2], inner[1])
    (store,) = of(Kernel("after", (), (after,)), Store)
    assert store.expr is element("a", j * 16 + v) * expression.load(alloc.buffer.name, (v,), F)


def test_it_goes_as_far_out_as_it_may():
    value = expression.apply("exp", element("b", i) + element("b", 0))
    body = (Store("out", (i * 64 + j * 8 + k,), element("a", j * 8 + k) * value),)
    made = kernel(loops(("i", 8, "serial"), ("j", 8, "serial"), ("k", 8, "serial"), body=body))
    (outer,) = made.body
    assert isinstance(outer.body[0], Let) and len(of(made, Let)) == 1


@settings(max_examples=min(settings.default.max_examples, 100))
@given(st.one_of(maps(), reductions(), rows(), contractions(), scans()), st.booleans())
def test_results_stay_the_same(drawn, parallel):
    """With everything that may go in front of a loop there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hoist, "LEAST", 0)
        check_schedules(drawn, parallel)

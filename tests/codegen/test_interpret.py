import numpy as np
import pytest

from codegen.checker import check
from codegen.interpret import run, source
from codegen.kernel import Alloc, Buffer, If, Kernel, KernelError, Let, Loop, Store, Sync
from symgraph.expression import PRIMS, apply, axis, const, kind_of, load
from tests.codegen.samples import (
    SPECIAL,
    F,
    argmax,
    block_sum,
    clipped,
    element,
    filled,
    i,
    inputs,
    j,
    lane_sum,
    mapped,
    scattered,
    tail,
    tile,
    transposed,
)


def ran(kernel, seed=None, arrays=None):
    check(kernel)
    arrays = inputs(kernel) if arrays is None else arrays
    run(kernel, arrays, seed)
    return arrays


def test_a_map_broadcasts_as_its_indices_say():
    a = ran(mapped())
    assert (a["o"] == a["a"] * a["b"] + np.float32(0.5)).all()


def test_a_tail_stays_untouched_outside_its_mask():
    a = filled(tail(37))
    a["a"] = np.abs(a["a"])
    ran(tail(37), arrays=a)
    assert np.array_equal(a["o"], np.sqrt(a["a"]) + a["s"])


def test_a_row_sum_merges_its_lanes():
    a = ran(lane_sum())
    assert np.array_equal(a["o"], a["a"].sum(1))  # exact: multiples of a quarter


def test_a_tile_is_a_product():
    a = ran(tile())
    assert np.array_equal(a["c"], a["a"] @ a["b"])


def test_lanes_that_meet_take_turns():
    kernel = scattered()
    a = inputs(kernel)
    expected, last = a["o"].copy(), a["p"].copy()
    np.add.at(expected, a["t"], a["a"])
    for at, value in zip(a["t"], a["a"], strict=True):
        last[at] = value
    ran(kernel, arrays=a)
    assert np.array_equal(a["o"], expected) and np.array_equal(a["p"], last)


def test_argmax_finds_the_first_of_the_best():
    a = filled(argmax())
    a["a"][1, 4] = a["a"][1, 9] = np.nan
    ran(argmax(), arrays=a)
    assert np.array_equal(a["o"], a["a"].argmax(1))


def test_a_mask_guards_the_loads_at_a_border():
    arrays = inputs(clipped())
    before = arrays["o"].copy()
    a = ran(clipped(), arrays=arrays)
    padded = np.pad(a["a"], 1, constant_values=-np.inf)
    assert np.array_equal(a["o"], np.maximum.reduce([before, padded[:-2], padded[1:-1], padded[2:]]))


def test_an_intrinsic_does_what_its_meaning_says():
    a = ran(transposed())
    assert np.array_equal(a["o"], a["a"].T)


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_threads_meet_at_barriers(seed):
    a = ran(block_sum(), seed)
    assert np.array_equal(a["o"], a["a"].sum(1))


def test_missing_barriers_show():
    a = inputs(block_sum())
    results = {tuple(ran(block_sum(barriers=False), seed, dict(a, o=a["o"].copy()))["o"]) for seed in range(4)}
    assert len(results) > 1 or results != {tuple(a["a"].sum(1))}


def blocks(*body):
    t = Loop("t", 4, "thread", body)
    return Kernel("k", (Buffer("o", F, (4,)),), (Loop("i", 1, "block", (t,)),))


def test_a_barrier_that_some_threads_miss_is_an_error():
    with pytest.raises(KernelError, match="Sync is reached by some"):
        ran(blocks(If(axis("t") < 2, (Sync(),))))


def test_threads_of_two_dimensions_share_their_barriers():
    t, u = axis("t"), axis("u")
    body = (
        Store("s", (t * 2 + u,), element("a", t * 2 + u)), Sync(),
        Store("o", (t * 2 + u,), element("s", const(7, "int64") - (t * 2 + u))),
    )  # fmt: skip
    threads = Loop("t", 4, "thread", (Loop("u", 2, "thread", body),))
    block = Loop("i", 1, "block", (Alloc(Buffer("s", F, (8,), "shared")), threads))
    for seed in range(3):
        a = ran(Kernel("k", (Buffer("o", F, (8,)), Buffer("a", F, (8,))), (block,)), seed)
        assert np.array_equal(a["o"], a["a"][::-1])


def test_fresh_storage_is_poisoned():
    body = (Alloc(Buffer("s", F, (1,), "register")), Store("o", (const(0, "int64"),), element("s", 0)))
    assert np.isnan(ran(Kernel("k", (Buffer("o", F, (1,)),), body))["o"]).all()


@pytest.mark.parametrize("kind", ["serial", "vector"])
@pytest.mark.parametrize("shift", [-1, 1])
@pytest.mark.parametrize("what", ["load", "store"])
def test_an_access_out_of_bounds_raises(kind, shift, what):
    away = i + shift
    store = Store("o", (i,), element("a", away)) if what == "load" else Store("o", (away,), element("a", i))
    kernel = Kernel("k", (Buffer("o", F, (4,)), Buffer("a", F, (4,))), (Loop("i", 4, kind, (store,)),))
    with pytest.raises(KernelError):
        ran(kernel)


def test_parallel_iterations_that_depend_on_each_other_show():
    body = (Store("o", (i + 1,), element("o", i) + const(1, F)),)
    kernel = Kernel("k", (Buffer("o", F, (9,)),), (Loop("i", 8, "parallel", body),))
    assert len({tuple(ran(kernel, seed, {"o": np.zeros(9, F)})["o"]) for seed in range(4)}) > 1


def test_arrays_must_fit():
    with pytest.raises(KernelError, match="o is float32"):
        run(mapped(), dict(inputs(mapped()), o=np.zeros((5, 16))))


@pytest.mark.parametrize("prim", sorted(PRIMS))
@pytest.mark.parametrize("kind", ["serial", "vector"])
def test_a_primitive_does_what_its_row_says(prim, kind):
    row = PRIMS[prim]
    for dtype in (d for d in ("float32", "float64", "int32", "uint8", "bool") if kind_of(d) in row.kinds):
        x = SPECIAL[dtype]
        to = {"cast": "float64", "bitcast": {1: "int8", 4: "float32", 8: "int64"}[x.itemsize]}.get(prim)
        if prim == "bitcast" and to == "float32" and dtype == "float32":
            to = "int32"
        args = [load("x", (i,), dtype)] * row.arity
        if row.result == "second":
            args[0] = apply("ne", args[0], args[0])
        value = apply(prim, *args, dtype=to)
        buffers = Buffer("o", value.dtype, x.shape), Buffer("x", dtype, x.shape)
        arrays = {"o": np.zeros(x.shape, value.dtype), "x": x}
        ran(Kernel("k", buffers, (Loop("i", len(x), kind, (Store("o", (i,), value),)),)), arrays=arrays)
        operands = [x] * row.arity
        if row.result == "second":
            operands[0] = x != x
        with np.errstate(all="ignore"):
            expected = np.asarray(row.numpy(*operands, *([to] if row.result == "value" else []))).astype(value.dtype)
        assert np.array_equal(arrays["o"], expected, equal_nan=value.dtype.startswith("float"))


def test_a_let_keeps_the_value_of_its_moment():
    body = (Let("t", element("o", j)), Store("o", (j,), const(3, F)), Store("p", (j,), axis("t", F)))
    buffers = Buffer("o", F, (4,)), Buffer("p", F, (4,))
    for kind in ("serial", "vector"):
        a = ran(Kernel("k", buffers, (Loop("j", 4, kind, body),)), arrays={"o": np.ones(4, F), "p": np.zeros(4, F)})
        assert (a["p"] == 1).all() and (a["o"] == 3).all()


def test_each_distinct_term_is_computed_once():
    x = element("a", i)
    for _ in range(50):
        x = x * x
    body = (Loop("i", 4, "vector", (Store("o", (i,), x),)),)
    kernel = Kernel("k", (Buffer("o", F, (4,)), Buffer("a", F, (4,))), body)
    assert len(source(kernel).splitlines()) < 70

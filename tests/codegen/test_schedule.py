"""The laws of scheduling: a scheduled kernel obeys the loop IR, stays inside its buffers, and means what it meant."""

import dataclasses
import functools
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codegen import schedule as scheduling
from codegen.checker import check
from codegen.cuts import cut
from codegen.group import Stage
from codegen.interpret import run
from codegen.kernel import Accumulate, Alloc, Loop, exprs_of, show, walk
from codegen.llvm.backend import machine
from codegen.llvm.target import host
from codegen.schedule import schedule
from codegen.tiles import Machine
from symgraph import expression
from symgraph.expression import axis, load, maximum, minimum, select
from symgraph.formula import SUM, Compute
from symgraph.graph import Variable, apply, constant
from symgraph.op import OPS
from symgraph.types import TensorType
from tests.codegen import samples
from tests.codegen.computes import Drawn, contractions, joins, maps, of_node, reductions, rows, scans, scatters
from tests.codegen.legal import legalize
from tests.formulas import compute_value

MACHINES = (Machine(16, 16), Machine(32, 16), Machine(64, 32))
HOST = machine(host())
MARGIN = 64  # elements on each side of a buffer that machine code must leave alone


def interpreted(drawn, kernel, seed=1):
    memory = drawn.memory(kernel)
    run(legalize(kernel), memory, seed)
    return memory


def native(drawn, kernel):
    """What machine code leaves in the buffers; raises AssertionError if it touched their surroundings."""
    wide = {n: np.concatenate([np.full(MARGIN, 7, a.dtype), a, np.full(MARGIN, 7, a.dtype)])
            for n, a in drawn.memory(kernel).items()}  # fmt: skip
    samples.native(kernel, {n: a[MARGIN:-MARGIN] for n, a in wide.items()})
    for n, a in wide.items():
        assert (a[:MARGIN] == a.dtype.type(7)).all() and (a[-MARGIN:] == a.dtype.type(7)).all(), f"{n}: out of bounds"
    return {n: a[MARGIN:-MARGIN] for n, a in wide.items()}


def check_schedules(drawn, parallel=True):
    """Every machine's schedule leaves the bits of the plain kernel, and so does machine code.

    ``parallel``: loops become parallel however little there is to do.
    """
    plain = drawn.kernel()
    check(plain)
    expected = interpreted(drawn, plain)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scheduling, "PARALLEL_WORK", 1 if parallel else scheduling.PARALLEL_WORK)
        check_each(drawn, plain, expected)


def check_each(drawn, plain, expected):
    scheduled = {m: schedule(plain, m) for m in (*MACHINES, HOST)}
    for kernel in scheduled.values():
        check(kernel)
        assert_same(interpreted(drawn, kernel), expected, kernel)
    again = schedule(plain, HOST)
    assert again == scheduled[HOST]
    assert_same(native(drawn, again), expected, again)


def assert_same(found, expected, kernel):
    for name in expected:
        try:
            samples.assert_same_bits(found[name], expected[name])
        except AssertionError as error:
            raise AssertionError(f"{name} {error}\n{show(kernel)}") from None


# ------------------------------------------------------------------------------------------------ lowering


@given(st.one_of(maps(), reductions(), contractions(), rows()))
def test_a_lowered_kernel_means_its_formula(drawn):
    kernel = drawn.kernel()
    check(kernel)
    held = interpreted(drawn, kernel)
    values = dict(drawn.arrays)
    for stage in drawn.stages:
        value = compute_value(stage.compute, values)
        values[stage.outputs[-1]] = value
        for name in stage.outputs[:-1]:  # the best value beside its place
            values[name] = held[name][: value.size].reshape(value.shape)
        if stage.outputs[-1] not in drawn.near:
            samples.assert_same_bits(held[stage.outputs[-1]][: value.size], value.ravel())


@pytest.mark.parametrize(
    "conditions", [("low",), ("high",), ("low", "high"), ("loose low", "high"), ("low", "loose high")]
)
@pytest.mark.parametrize("factors", [1, 2])
def test_a_clamped_index_is_left_bare_only_where_the_condition_holds_it(conditions, factors):
    d = Drawn()
    i, r = axis("i"), axis("r")
    place = i + r - 2
    says = {"low": place >= 0, "high": place < 9, "loose low": place >= -1, "loose high": place <= 9}
    inside = functools.reduce(operator.and_, [says[c] for c in conditions])
    x = load(d.operand("float32", (9,)), (minimum(maximum(place, 0), 8),), "float32")
    value = select(inside, x, 0)
    if factors == 2:
        value = value * load(d.operand("float32", (5,)), (r,), "float32")
    d.stages.append(Stage(("y",), Compute((("i", 11),), (value,), (("r", 5),), SUM)))
    held = interpreted(d, d.kernel())
    assert np.array_equal(held["y"], compute_value(d.stages[0].compute, d.arrays))
    check_schedules(d)


# ------------------------------------------------------------------------------------------------ drawn kernels


@given(maps(), st.booleans())
def test_scheduled_maps_keep_their_bits(drawn, parallel):
    check_schedules(drawn, parallel)


@given(joins(), st.booleans())
def test_scheduled_joins_keep_their_bits(drawn, parallel):
    check_schedules(drawn, parallel)


@given(joins())
def test_a_part_of_a_join_is_moved_without_a_choice(drawn):
    plain = dataclasses.replace(drawn, stages=drawn.stages[:1]).kernel()
    kernel = dataclasses.replace(plain, body=cut(plain.body))
    for s in walk(kernel):
        terms = expression.toposort(exprs_of(s))
        assert not any(e.prim in ("select", "minimum", "maximum") for e in terms), show(kernel)


@given(reductions(), st.booleans())
def test_scheduled_reductions_keep_their_bits(drawn, parallel):
    check_schedules(drawn, parallel)


@given(rows(), st.booleans())
def test_scheduled_passes_over_rows_keep_their_bits(drawn, parallel):
    check_schedules(drawn, parallel)


@given(contractions(), st.booleans())
def test_scheduled_contractions_keep_their_bits(drawn, parallel):
    check_schedules(drawn, parallel)


@given(scans(), st.booleans())
def test_scheduled_scans_keep_their_bits(drawn, parallel):
    check_schedules(drawn, parallel)


@given(scatters(), st.booleans())
def test_scheduled_scatters_keep_their_bits(drawn, parallel):
    check_schedules(drawn, parallel)


def node(op, *inputs, **attrs):
    variables = [Variable(TensorType(*v)) if isinstance(v, tuple) else constant(np.int64(v)) for v in inputs]
    return apply(OPS[op], variables, attrs)


@st.composite
def convolutions(draw):
    """The three formulas of a convolution, with every kind of border."""
    rows, columns = draw(st.sampled_from([(1, 1), (5, 7), (8, 6), (9, 16)]))
    size = draw(st.sampled_from([(1, 1), (3, 3), (2, 3)]))
    groups = draw(st.sampled_from([1, 1, 2]))
    batch, channels, filters = draw(st.sampled_from([(1, 1, 1), (2, 3, 5), (1, 2, 17)]))
    channels, filters = channels * groups, filters * groups
    border = draw(st.sampled_from(["full", "half", (1, 2)]))
    stride, dilation = draw(st.sampled_from([(1, 1), (2, 1)])), draw(st.sampled_from([(1, 1), (1, 2)]))
    if any((n - 1) * d > m for n, m, d in zip(size, (rows, columns), dilation, strict=True)):
        border = "full"  # with any other the kernel would not fit
    attrs = {"border": border, "stride": stride, "dilation": dilation, "groups": groups, "flip": draw(st.booleans())}
    x = ("float32", (batch, channels, rows, columns))
    w = ("float32", (filters, channels // groups, *size))
    y = node("conv", x, w, **attrs)
    g = ("float32", y.outputs[0].type.shape)
    return draw(st.sampled_from([
        y, node("conv_input_grad", g, w, rows, columns, **attrs),
        node("conv_weight_grad", g, x, *size, **attrs),
    ]))  # fmt: skip


@settings(max_examples=min(settings.default.max_examples, 100))  # each is a fifth of a second
@given(convolutions(), st.booleans())
def test_scheduled_convolutions_keep_their_bits(convolution, parallel):
    check_schedules(of_node(convolution), parallel)


POOL = {"size": (2, 2), "stride": (2, 2), "pad": (0, 0), "ceil": True}
OVERLAPPING = {"size": (3, 2), "stride": (2, 1), "pad": (1, 0), "ceil": False}


@pytest.mark.parametrize("attrs", [POOL, OVERLAPPING], ids=["side by side", "overlapping"])
@pytest.mark.parametrize("op", ["max_pool", "max_pool_index", "sum_pool", "max_pool_spread", "sum_pool_spread"])
def test_scheduled_pools_keep_their_bits(op, attrs):
    x = ("float32", (2, 3, 13, 7))
    pooled = node("max_pool_index", x, **attrs).outputs[0].type
    g, places = ("float32", pooled.shape), (pooled.dtype, pooled.shape)
    inputs = {"max_pool_spread": (g, places, 13, 7), "sum_pool_spread": (g, 13, 7)}.get(op, (x,))
    check_schedules(of_node(node(op, *inputs, **attrs)))


# ------------------------------------------------------------------------------------------------ rounding


@given(st.one_of(contractions(), reductions(), scans()), st.integers(0, 99))
def test_sums_of_ordinary_floats_stay_within_rounding(drawn, seed):
    """Another order of n terms changes a sum by at most n units of rounding of the terms' magnitudes."""
    c = drawn.stages[0].compute
    if c.combiner is not SUM or c.exprs[0].dtype not in ("float32", "float64"):
        return
    random = np.random.default_rng(seed)
    for name, a in drawn.arrays.items():
        if a.dtype.kind == "f":
            drawn.arrays[name] = random.standard_normal(a.shape).astype(a.dtype)
    drawn.stages[1:] = []
    plain = drawn.kernel()
    expected = interpreted(drawn, plain)["y"]
    bound = _magnitudes(drawn) * _terms(drawn) * np.finfo(expected.dtype).eps
    for m in MACHINES:
        found = interpreted(drawn, schedule(plain, m))["y"]
        assert (np.abs(found.astype("float64") - expected) <= bound).all()


def _terms(drawn):
    c = drawn.stages[0].compute
    return 2 * int(np.prod([n for _, n in (*c.reduce, *[a for a in c.axes if a[0] == c.prefix])])) + 2


def _magnitudes(drawn):
    """The sum of the magnitudes of the terms, with those of each factor: products and differences round too."""
    positive = Drawn({n: np.abs(a) if a.dtype.kind == "f" else a for n, a in drawn.arrays.items()}, drawn.stages)
    total = np.abs(interpreted(positive, positive.kernel())["y"].astype("float64")).max()
    largest = max([1.0, *[float(np.abs(a).max()) for a in drawn.arrays.values() if a.dtype.kind == "f" and a.size]])
    return total + _terms(drawn) * largest**3


# ------------------------------------------------------------------------------------------------ what is chosen


def matmul(m, n, k, dtype="float32"):
    return of_node(node("dot", (dtype, (m, k)), (dtype, (k, n)))).kernel()


@pytest.mark.parametrize("target", MACHINES)
def test_a_product_accumulates_in_a_tile_of_registers(target):
    """One load serves several multiply-adds, and the accumulators leave room for the operands."""
    kernel = schedule(matmul(128, 256, 64), target)
    steps = [s for s in walk(kernel) if isinstance(s, Accumulate)]
    vectors = [s for s in walk(kernel) if isinstance(s, Loop) and s.kind == "vector"]
    rows = [s.extent for s in walk(kernel) if isinstance(s, Loop) and s.kind == "unroll"]
    assert steps and all(s.extent == target.vector_bytes // 4 for s in vectors)
    assert max(rows) > 1 and np.prod(sorted(set(rows))[-2:]) <= target.registers


@pytest.mark.parametrize("op", ["sum", "max"])
def test_what_is_reduced_along_contiguous_memory_is_dealt_to_lanes(op):
    kernel = of_node(node(op, ("float32", (4, 4096)), axis=(1,), keepdims=False)).kernel()
    scheduled = schedule(kernel, Machine(64, 32))
    assert any(isinstance(s, Loop) and s.kind == "vector" and s.extent == 16 for s in walk(scheduled))


@pytest.mark.parametrize("rows", [1, 3])
def test_a_sum_takes_every_element_once_whatever_the_length(rows):
    for n in (*range(1, 20), 31, 32, 33, 63, 64, 65, 127, 128, 131, 256, 257):
        check_schedules(of_node(node("sum", ("float32", (rows, n)), axis=(1,), keepdims=False)))


def test_a_kernel_of_no_turns_does_nothing():
    for shape in [(0, 5), (5, 0), (0,)]:
        check_schedules(of_node(node("sum", ("float32", shape), axis=(0,), keepdims=False)))


def test_threads_own_columns_of_a_matrix_that_is_larger_than_its_factors():
    """So what one writes as the result is what it reads as a right-hand factor."""
    update = schedule(of_node(node("dot", ("float32", (784, 128)), ("float32", (128, 625)))).kernel(), HOST)
    product = schedule(of_node(node("dot", ("float32", (128, 784)), ("float32", (784, 625)))).kernel(), HOST)
    for kernel in (update, product):
        first = next(s for s in walk(kernel) if isinstance(s, Loop))
        assert first.kind == "parallel" and first.index.startswith("i1")


@pytest.mark.parametrize(("inner", "crowded"), [(1024, True), (2048, True), (1040, False)])
def test_rows_that_meet_in_the_sets_of_a_cache_are_as_few_as_it_holds(inner, crowded):
    d = Drawn()
    i, j, r = map(axis, "ijr")
    value = load(d.operand("float32", (168, inner)), (i, r), "float32") * load(
        d.operand("float32", (inner, 8)), (r, j), "float32"
    )
    d.stages.append(Stage(("y",), Compute((("i", 168), ("j", 8)), (value,), (("r", inner),), SUM)))
    tiles = [s.buffer.shape for s in walk(schedule(d.kernel(), Machine(64, 32))) if isinstance(s, Alloc)]
    assert (max(shape[0] for shape in tiles) <= 8) == crowded


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool"])
@pytest.mark.parametrize("order", [(1, 0, 2), (2, 1, 0), (0, 2, 1), (1, 2, 0)])
def test_axes_in_another_order_go_through_squares_of_any_remainder(dtype, order):
    d = Drawn()
    shape = (19, 2, 35)
    axes = [(f"i{k}", n) for k, n in enumerate(shape)]
    places = [axis(f"i{k}") for k in order]
    value = load(d.operand(dtype, [shape[k] for k in order]), places, dtype)
    other = load(d.operand(dtype, shape), [axis(n) for n, _ in axes], dtype)
    d.stages.append(Stage(("y",), Compute(tuple(axes), (value | other if dtype == "bool" else value + other,))))
    check_schedules(d)

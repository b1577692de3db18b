"""The laws of long reductions: sums are as precise as their blocks are few; threads change nothing."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import symgraph as sg
from codegen import blocks, chunks, columns
from codegen import schedule as scheduling
from codegen.kernel import Accumulate, Alloc, Loop, allocs, walk
from codegen.schedule import schedule
from codegen.tiles import Machine
from tests.codegen.computes import contractions, reductions, scans
from tests.codegen.test_schedule import HOST, MACHINES, check_schedules, convolutions, node, of_node
from tests.laws import same_bits

F = "float32"
EXAMPLES = max(4, settings.default.max_examples // 5)  # each makes programs of its own and adds up a million terms
MOST = 1 << 20

# ------------------------------------------------------------------------------------------------ the transformation


@settings(max_examples=min(settings.default.max_examples, 100))
@given(st.one_of(reductions(), contractions(), scans(), convolutions().map(of_node)), st.integers(4, 8), st.booleans())
def test_blocks_keep_the_bits_of_exact_sums(drawn, most, parallel):
    """With blocks so short that several levels of them are needed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "CHAIN", most)
        patch.setattr(blocks, "TILE_CHAIN", most + 1)
        check_schedules(drawn, parallel)


@given(st.one_of(reductions(), contractions(), scans()))
def test_short_sums_are_left_alone(drawn):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "CHAIN", 10_000)  # more turns than a drawn kernel has
        patch.setattr(blocks, "TILE_CHAIN", 10_000)
        kernels = [schedule(drawn.kernel(), m) for m in MACHINES]
        patch.setattr(scheduling, "blocked", lambda kernel, machine, names: kernel)
        assert kernels == [schedule(drawn.kernel(), m) for m in MACHINES]


def chains(body, loops=(), depth=None):
    """For each accumulation the turns of the loops since its accumulator was allocated."""
    depth = dict(depth or {})
    for s in body:
        if isinstance(s, Alloc):
            depth[s.buffer.name] = len(loops)
        if isinstance(s, Accumulate) and s.buffers[0] in depth:
            inside = loops[depth[s.buffers[0]] :]
            yield math.prod(loop.extent for loop in inside if loop.kind == "serial")
        if isinstance(s, Loop):
            yield from chains(s.body, (*loops, s), depth)


@settings(max_examples=EXAMPLES)
@given(st.integers(1, MOST), st.integers(1, 100))
@example(MOST, 1)
@example(1_000_003, 1)
@example(4099, 211)
def test_no_accumulator_takes_more_terms_than_a_chain_has(n, m):
    """Full sums, rows, columns and products; extents of any size, primes too."""
    m = min(m, MOST // n)
    shapes = [((n, m), (0,)), ((m, n), (1,)), ((n, m), (0, 1))]
    drawn = [of_node(node("sum", (F, shape), axis=axis, keepdims=False)) for shape, axis in shapes]
    drawn.append(of_node(node("dot", (F, (m, n)), (F, (n, 7)))))
    for kernel in [d.kernel() for d in drawn]:
        for target in MACHINES:
            assert max(chains(schedule(kernel, target).body), default=0) <= blocks.TILE_CHAIN


# ------------------------------------------------------------------------------------------------ precision


def depth(n, most):
    """Additions on the way of a term to the result, at most: what bounds the error of terms of one sign."""
    levels = max(1, math.ceil(math.log(n, most // 2)))
    return 2 * most * levels + 16  # at each level what is left and the blocks; then lanes


def error(found, exact, dtype):
    """The largest distance in units of rounding of ``dtype``."""
    return float(np.max(np.abs(found.astype("float64") / exact - 1))) * 2 / np.finfo(dtype).eps


def terms(seed, dtype, shape, constant):
    """(values, the integers they are multiples of, the unit): in [1, 2), of every bit that ``dtype`` has.

    All the same if ``constant``: then each addition of a chain may round the same way.
    """
    low = 1 << np.finfo(dtype).nmant
    whole = np.random.default_rng(seed).integers(low, 2 * low, () if constant else shape)
    whole = np.broadcast_to(whole, shape)
    return (whole / low).astype(dtype), whole.astype(object), low


def _broadcast_gradient(x):
    row = x[0]
    return sg.grad((x * row).sum(), row)


KINDS = {  # name: (a function of x, the same on exact integers, its degree in x)
    "full": (lambda x: x.sum(), lambda x: x.sum(), 1),
    "columns": (lambda x: x.sum(0), lambda x: x.sum(0), 1),
    "rows of the transposed": (lambda x: x.T.sum(1), lambda x: x.sum(0), 1),
    "strided": (lambda x: x[::2, :1].sum(), lambda x: x[::2, :1].sum(), 1),
    "mean": (lambda x: x.mean(0) * x.shape[0], lambda x: x.sum(0), 1),
    "squares": (lambda x: (x * x).sum(0), lambda x: (x * x).sum(0), 2),
    "gradient of what is broadcast": (_broadcast_gradient, lambda x: x.sum(0), 1),
    "vector by matrix": (lambda x: x[:, 0] @ x, lambda x: (x[:, :1] * x).sum(0), 2),
    "weights by batch": (lambda x: x.T @ x, lambda x: x.T.dot(x), 2),
    "running": (lambda x: x.cumsum(0), lambda x: x.cumsum(0), 1),
}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=EXAMPLES)
@given(
    st.sampled_from(["float32", "float64"]), st.integers(2, MOST), st.integers(1, 40), st.booleans(),
    st.booleans(), st.integers(0, 99),
)  # fmt: skip
@example("float32", MOST, 1, True, False, 0)
@example("float32", MOST // 16, 16, True, False, 1)
@example("float64", 50_021, 2, False, True, 0)
def test_long_sums_are_precise(kind, dtype, n, m, constant, transposed, seed):
    f, exact, degree = KINDS[kind]
    m = max(1, min(m, MOST // n))
    values, whole, unit = terms(seed, dtype, (n, m), constant)
    x = sg.matrix("x", dtype)
    found = sg.function([x], f(x))(np.asfortranarray(values) if transposed else values)
    wanted = np.asarray(exact(whole) / unit**degree, "float64")
    assert found.dtype == dtype
    assert error(found, wanted, dtype) <= depth(n * m, blocks.TILE_CHAIN if degree == 2 else blocks.CHAIN)


@pytest.mark.parametrize("shape", [(1 << 25,), (1 << 19, 64), (64, 1 << 19)])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_sums_of_many_millions_are_off_by_a_few_units(shape, axis):
    """Of 0.1, whose sums are rounded the same way again and again, and of drawn terms."""
    x = sg.tensor("x", F, shape)
    f = sg.function([x], x.sum(axis))
    for values in (np.full(shape, 0.1, F), np.random.default_rng(0).random(shape, F)):
        # 2**25 terms of 24 bits: float64 adds them exactly
        assert error(f(values), values.sum(axis, dtype="float64"), F) <= 16


@given(st.integers(1, 1 << 14), st.booleans())
@example(1 << 14, True)
def test_half_precision_is_rounded_once(n, constant):
    values, whole, unit = terms(n, "float16", (n,), constant)
    x = sg.vector("x", "float16")
    found = sg.function([x], x.sum())(values / np.float16(1024))
    # the error of float32 is invisible beside half a unit of float16, which is one unit of rounding
    assert error(found, whole.sum() / unit / 1024, "float16") <= 1.01


def test_a_constant_has_almost_no_deviation():
    x = sg.vector("x", F)
    assert sg.function([x], x.std())(np.full(1_000_000, 0.1, F)) <= 0.1 * 16 * np.finfo(F).eps


# ------------------------------------------------------------------------------------------------ columns


@st.composite
def tall(draw):
    """A reduction of the rows of a small array, or of each of several."""
    shape = [*draw(st.lists(st.integers(1, 3), max_size=1)), draw(st.integers(2, 20)), draw(st.integers(40, 70))]
    op = draw(st.sampled_from(["sum", "max", "argmin", "all"]))
    dtype = "bool" if op == "all" else draw(st.sampled_from(["float32", "float64", "int32"]))
    return of_node(node(op, (dtype, tuple(shape)), axis=(len(shape) - 2,), keepdims=draw(st.booleans())))


@settings(max_examples=min(settings.default.max_examples, 100))
@given(tall(), st.integers(1, 5), st.integers(2, 4))
def test_columns_keep_the_bits_of_exact_reductions(drawn, rows, chain):
    """However small the array, with totals of totals."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"LARGE": 1, "FAR": 1, "CHUNKS": 1, "ROWS": rows, "CHAIN": chain}.items():
            patch.setattr(columns, name, value)
        assert any(b.space == "thread" for b in allocs(schedule(drawn.kernel(), Machine(16, 16))))
        check_schedules(drawn)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_columns_of_a_large_array_are_precise_and_the_same_for_any_number_of_threads(dtype):
    x = sg.tensor("x", dtype, (2, 1031, 517))
    f = sg.function([x], [x.sum(1), x.max(1), x.argmax(1), (x * x).sum(1)])
    values = np.random.default_rng(0).random(x.type.shape, dtype)
    found = []
    for threads in (1, 2, 3):
        with sg.using(threads=threads):
            found.append(f(values))
    assert all(same_bits(a, b) for one in found[1:] for a, b in zip(one, found[0], strict=True))
    total, most, where, squares = found[0]
    assert error(total, values.sum(1, dtype="longdouble"), dtype) <= depth(1031, blocks.CHAIN)
    assert error(squares, np.square(values, dtype="longdouble").sum(1), dtype) <= depth(1031, blocks.CHAIN)
    assert (most == values.max(1)).all() and (where == values.argmax(1)).all()


def test_a_large_array_is_summed_block_of_rows_by_block_of_rows():
    kernel = of_node(node("sum", (F, (4096, 4096)), axis=(0,), keepdims=False)).kernel()
    scheduled = schedule(kernel, HOST)
    assert {b.shape for b in allocs(scheduled) if b.space == "thread"} == {(columns.PIECE // 4,)}
    chains = [s for s in walk(scheduled) if isinstance(s, Loop) and s.kind == "serial" and _adds_to_one_place(s)]
    assert chains and max(s.extent for s in chains) <= blocks.CHAIN


def _adds_to_one_place(loop):
    steps = [s for s in walk(loop.body) if isinstance(s, Accumulate)]
    return bool(steps) and not any(loop.index in i.names for s in steps for i in s.at)


# ------------------------------------------------------------------------------------------------ chunks


@settings(max_examples=min(settings.default.max_examples, 100))
@given(st.one_of(reductions(), contractions(), convolutions().map(of_node)), st.integers(2, 20), st.integers(1, 8))
def test_chunks_keep_the_bits_of_exact_reductions(drawn, most, aligned):
    """Of every combiner, and however short: where all loops become parallel, four operations are worth a cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "CHUNKS", most)
        patch.setattr(chunks, "ALIGNED", aligned)
        check_schedules(drawn, parallel=True)


@settings(max_examples=EXAMPLES)
@given(st.sampled_from(list(KINDS)), st.integers(1 << 15, 1 << 19), st.integers(1, 9), st.integers(0, 99))
@example("full", 1 << 19, 9, 0)
@example("weights by batch", 500_009, 3, 0)
def test_long_reductions_are_the_same_for_any_number_of_threads(kind, n, m, seed):
    x = sg.matrix("x", F)
    f = sg.function([x], [KINDS[kind][0](x), x.argmax(0), x.max()])
    values = np.random.default_rng(seed).standard_normal((n, m)).astype(F)
    found = []
    for threads in (1, 2, 3):
        with sg.using(threads=threads):
            found.append([v.tobytes() for v in f(values)])
    assert found[1:] == found[:-1]


@pytest.mark.parametrize(
    ("shape", "axis"), [((1 << 20,), (0,)), ((1_000_003,), (0,)), ((1 << 16, 10), (0,)), ((2, 3, 1 << 18), (0, 2))]
)
@pytest.mark.parametrize("op", ["sum", "max"])
def test_a_long_reduction_to_few_results_is_shared_by_threads(op, shape, axis):
    kernel = of_node(node(op, (F, shape), axis=axis, keepdims=False)).kernel()
    loops = [s for s in walk(schedule(kernel, HOST)) if isinstance(s, Loop) and s.kind == "parallel"]
    assert max(s.extent for s in loops) >= 32

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen.checker import check
from codegen.kernel import Accumulate, Alloc, Buffer, If, Kernel, KernelError, Let, Loop, Store, show
from codegen.llvm import target
from codegen.llvm.emit import Module, emit, scratch_bytes
from codegen.llvm.spell import SPELL
from codegen.numerics import EXPANSIONS, expand
from codegen.unroll import unroll
from symgraph import expression
from symgraph.expression import PRIMS, apply, axis, const, fma, kind_of, load, rare, select
from symgraph.formula import DOT, MAX, PROD, SUM
from symgraph.types import DTYPES, SIZES, is_float
from tests.assembly import busiest_loop, stack_accesses
from tests.codegen.legal import legalize
from tests.codegen.samples import (
    SAMPLES,
    SPECIAL,
    F,
    assert_agree,
    block_sum,
    element,
    i,
    inputs,
    j,
    k,
    lane_sum,
    loops,
    mapped,
    native,
    r,
    scratched,
    seldom,
    tail,
    tile,
    v,
    zero,
)

# ------------------------------------------------------------------------------------------------ whole kernels


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("seed", [0, 1])
def test_machine_code_leaves_the_interpreters_bits(sample, seed):
    kernel = sample()
    assert_agree(kernel, inputs(kernel, seed))


@pytest.mark.parametrize("n", [1, 7, 16, 17, 33])
def test_a_tail_touches_nothing_outside_its_mask(n):
    kernel = tail(n)
    arrays = inputs(kernel)
    wide = {"o": np.full(n + 64, 9, F), "a": np.full(n + 64, np.nan, F), "s": arrays["s"]}
    wide["a"][:n] = np.abs(arrays["a"])
    native(kernel, wide)
    assert (wide["o"][n:] == 9).all()
    assert np.array_equal(wide["o"][:n], np.sqrt(wide["a"][:n]) + arrays["s"])


def test_memory_needs_no_more_than_its_elements_alignment():
    kernel = mapped()
    arrays = inputs(kernel)
    for name, a in arrays.items():
        arrays[name] = np.frombuffer(bytes(4) + a.tobytes(), F, offset=4).reshape(a.shape).copy()
    raw = {n: np.concatenate([np.zeros(1, F), a.ravel()]) for n, a in arrays.items()}
    shifted = {n: raw[n][1:].reshape(a.shape) for n, a in arrays.items()}
    assert_agree(kernel, shifted)


def test_a_bool_in_memory_is_any_byte_but_zero():
    kernel = Kernel("k", (Buffer("o", "bool", (16,)), Buffer("a", "bool", (16,))), (
        Loop("i", 16, "vector", (Store("o", (i,), ~element("a", i, dtype="bool")),)),))  # fmt: skip
    a = np.arange(16, dtype=np.uint8).view(bool)
    o = np.zeros(16, bool)
    native(kernel, {"o": o, "a": a})
    assert o.view(np.uint8).tolist() == [1] + [0] * 15


def test_several_kernels_share_one_module():
    module = Module()
    for sample in SAMPLES:
        module.add(sample())
    text = module.text()
    assert len(set(re.findall(r"^declare .*", text, re.M))) == text.count("\ndeclare ")
    target.optimize(text, target.host())


def test_threads_of_a_block_are_for_other_targets():
    with pytest.raises(KernelError, match="no shared storage|no threads"):
        emit(block_sum())


def test_primitives_are_expanded_where_they_are_computed():
    body = (Loop("i", 4, "vector", (Store("o", (i,), expression.erf(element("o", i))),)),)
    kernel = Kernel("k", (Buffer("o", F, (4,)),), body)
    assert emit(kernel) == emit(legalize(kernel))


def test_equal_slow_paths_are_one_function():
    values = [expression.sin(element(name, i)) + expression.sin(element(name, i) * 2) for name in "ab"]
    body = (Loop("i", 16, "vector", tuple(Store(name, (i,), v) for name, v in zip("ab", values, strict=True))),)
    text = emit(Kernel("k", (Buffer("a", F, (16,)), Buffer("b", F, (16,))), body))
    assert text.count("call <16 x float> @shared") == 4 and text.count("define internal <16 x float> @shared") == 1


# ------------------------------------------------------------------------------------------------ every primitive

BASIC = sorted({*SPELL, "rare"})
LANES = 16
HALF = {"select", "rare", "cast", "bitcast", "lt", "le", "eq", "ne", "neg", "abs", "maximum", "minimum"}


ROWS = [
    (prim, dtype)
    for prim in BASIC
    for dtype in DTYPES
    if kind_of(dtype) in PRIMS[prim].kinds and (dtype != "float16" or prim in HALF)
]


def results(prim, dtype):
    """The dtypes that a cast or bitcast may give."""
    if prim == "cast":
        return DTYPES
    if prim == "bitcast":
        return [d for d in DTYPES if SIZES[d] == SIZES[dtype] and d != "bool"]
    return [None]


def grid(*arrays):
    """Every combination of the elements."""
    return [np.ascontiguousarray(a.ravel()) for a in np.meshgrid(*arrays, indexing="ij")]


def assert_primitive(prim, dtype, to, kind, fixed=None):
    """``prim`` on every combination of special values; ``fixed`` replaces the last operand by a constant."""
    row = PRIMS[prim]
    values = SPECIAL[dtype]
    if prim == "cast" and is_float(dtype) and kind_of(to) == "i":
        values = values[[float(np.iinfo(to).min) <= x < 2.0 ** (8 * SIZES[to] - 1) for x in values.tolist()]]
    arity = row.arity
    dtypes = ["bool" if row.result == "second" and n == 0 else dtype for n in range(arity)]
    some = [SPECIAL["bool"] if d != dtype else values if arity < 3 else values[:10] for d in dtypes]
    at, arrays = place(kind), dict(zip("abc", grid(*some), strict=False))
    operands = [load(name, (at,), d) for name, d in zip("abc", dtypes, strict=False)]
    if fixed is not None:
        operands[fixed[0]] = const(fixed[1], dtypes[fixed[0]])
    assert_value(apply(prim, *operands, dtype=to), arrays, kind)


def place(kind):
    """An element of an array, which is walked in turn or by vectors."""
    return j * LANES + i if kind == "vector" else i


def assert_value(value, arrays, kind):
    """Of all elements of ``arrays``, vectors filled up."""
    n = len(arrays["a"])
    turns = (("j", -(-n // LANES), "serial"), ("i", LANES, "vector")) if kind == "vector" else (("i", n, "serial"),)
    whole = {name: np.resize(a, -(-n // LANES) * LANES) for name, a in arrays.items()}
    whole["o"] = np.zeros_like(whole["a"], value.dtype)
    buffers = tuple(Buffer(name, a.dtype.name, a.shape) for name, a in whole.items())
    assert_agree(Kernel("k", buffers, (loops(*turns, body=(Store("o", (place(kind),), value),)),)), whole)


@pytest.mark.parametrize("kind", ["serial", "vector"])
@pytest.mark.parametrize(("prim", "dtype"), ROWS)
def test_a_spelling_means_what_the_row_says(prim, dtype, kind):
    for to in results(prim, dtype):
        assert_primitive(prim, dtype, to, kind)


@pytest.mark.parametrize("prim", ["maximum", "minimum", "quot", "rem", "shl", "shr"])
def test_a_constant_operand_changes_nothing(prim):
    for dtype in ("float32", "float64", "int8", "int32", "int64", "uint8", "uint32"):
        if kind_of(dtype) in PRIMS[prim].kinds:
            for position in (0, 1):
                for value in SPECIAL[dtype][::3]:
                    assert_primitive(prim, dtype, None, "vector", (position, value.item()))


@pytest.mark.parametrize("kind", ["serial", "vector"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("prim", sorted(EXPANSIONS))
def test_an_expansion_is_the_same_in_machine_code(prim, dtype, kind):
    operands = [element(name, place(kind), dtype=dtype) for name in "ab"[: PRIMS[prim].arity]]
    (value,) = expand([apply(prim, *operands)])
    assert_value(value, dict(zip("ab", grid(*[SPECIAL[dtype]] * len(operands)), strict=False)), kind)


def test_every_primitive_is_spelled_or_expanded():
    for prim, row in PRIMS.items():
        for dtype in DTYPES:
            if kind_of(dtype) in row.kinds:
                operands = [axis("c", "bool") if row.result == "second" and n == 0 else axis(f"x{n}", dtype)
                            for n in range(row.arity)]  # fmt: skip
                for to in results(prim, dtype) if row.result == "value" else [None]:
                    for e in expression.toposort(expand([apply(prim, *operands, dtype=to)])):
                        assert not e.args or e.prim in SPELL or e.prim == "rare", f"{prim} of {dtype} leaves {e.prim}"


def test_float64_to_float16_is_rounded_once():
    random = np.random.default_rng(0)
    halves = np.abs(random.integers(0, 31 << 10, 2000).astype("uint16").view("float16").astype("float64"))
    middle = (halves + np.nextafter(halves.astype("float16"), np.float16(np.inf)).astype("float64")) / 2
    a = np.concatenate([middle, np.nextafter(middle, 0), np.nextafter(middle, np.inf), -middle, [1e-30, -1e-300, 7e4]])
    buffers = Buffer("o", "float16", a.shape), Buffer("a", "float64", a.shape)
    body = (Store("o", (i,), expression.cast(element("a", i, dtype="float64"), "float16")),)
    kernel = Kernel("k", buffers, (Loop("i", len(a), "serial", body),))
    found = assert_agree(kernel, {"o": np.zeros(len(a), "float16"), "a": a})
    with np.errstate(over="ignore"):
        assert np.array_equal(found["o"], a.astype("float16"))


# ------------------------------------------------------------------------------------------------ drawn kernels

KINDS = ("serial", "serial"), ("serial", "unroll"), ("unroll", "unroll"), ("parallel", "serial")
ATOMS = ("a", "b")
LENGTH = 256


@st.composite
def terms(draw, depth=3):
    """A float32 term over the indices i, j, x."""
    if depth == 0 or draw(st.integers(0, 4)) == 0:
        return draw(leaves())
    one, two, three = (draw(terms(depth=depth - 1)) for _ in range(3))
    build = draw(st.sampled_from([
        lambda: one + two, lambda: one - two, lambda: one * two, lambda: expression.maximum(one, two),
        lambda: expression.minimum(one, two), lambda: fma(one, two, three), lambda: select(one < two, two, three),
        lambda: rare(one > two, expression.sqrt(expression.absolute(three)), two), lambda: -one,
        lambda: expression.cast(expression.cast(one, "int32"), F),
    ]))  # fmt: skip
    return build()


@st.composite
def leaves(draw):
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return const(draw(st.integers(-4, 4)), F)
    if kind == 1:
        return expression.cast(draw(st.sampled_from([i, j, axis("x")])), F)
    return element(draw(st.sampled_from(ATOMS)), draw(addresses()))


@st.composite
def addresses(draw):
    """An affine or indexed place within ``LENGTH`` for i, j < 4 and x < 16."""
    if draw(st.integers(0, 5)) == 0:
        return load("t", (draw(st.sampled_from([i, j, axis("x")])),), "int64")
    strides = [draw(st.sampled_from([0, 1, 2, 16])) for _ in range(2)]
    lane = draw(st.sampled_from([0, 1, 1, 1, 2, 5]))
    return i * strides[0] + j * strides[1] + axis("x") * lane + draw(st.integers(0, 3))


@st.composite
def kernels(draw):
    """Loops over i, j and x in drawn kinds, with Lets, conditions, stores and accumulators."""
    lanes = draw(st.sampled_from([2, 3, 4, 8, 16]))
    at = (i * 4 + j) * 16 + axis("x")
    value = draw(terms())
    places = [(at,), (i * 4 + j,), (axis("x") * 5 + j,), (load("t", (axis("x"),), "int64"),)]
    inner = [Store("o", draw(st.sampled_from(places)), value)]
    if draw(st.booleans()):
        where = Let("w", load("t", (draw(st.sampled_from([i, axis("x")])),), "int64"))
        again = element("a", axis("w")) + draw(terms(depth=1))
        inner = [Let("u", value), where, Store("o", (at,), axis("u", F) * axis("u", F) + again)]
    if draw(st.booleans()):
        combiner, extra = draw(st.sampled_from([(SUM, 1), (MAX, 1), (PROD, 1), (DOT, 2)]))
        place = draw(st.sampled_from([*places, (axis("x"),)]))
        inner.append(Accumulate(("p",), place, combiner, tuple(draw(terms(depth=2)) for _ in range(extra))))
    kinds = draw(st.sampled_from(KINDS))
    if kinds[0] == "parallel":  # accumulators that iterations share would race
        inner = [replace(s, at=(at,)) if isinstance(s, Store | Accumulate) else s for s in inner]
    if draw(st.booleans()):
        limit = draw(st.sampled_from([axis("x") + i * 3 < 11, element("a", axis("x")) > 0, i + j < 3,
                                      element("b", axis("x") * 2 + j) < element("a", i)]))  # fmt: skip
        keep = draw(st.integers(0, len(inner) - 1)) if not isinstance(inner[0], Let) else 0
        inner = [*inner[:keep], If(limit, tuple(inner[keep:]))]
    last = draw(st.sampled_from(["vector", "vector", "vector", "serial", "unroll"]))
    body = loops(("i", 4, kinds[0]), ("j", 4, kinds[1]), ("x", lanes, last), body=tuple(inner))
    parameters = [Buffer(name, F, (LENGTH,)) for name in ("o", "p", *ATOMS)]
    return Kernel("drawn", (*parameters, Buffer("t", "int64", (16,))), (body,))


@given(kernels(), st.integers(0, 3))
def test_drawn_kernels_leave_the_interpreters_bits(kernel, seed):
    check(kernel)
    arrays = inputs(kernel, seed)
    arrays["t"] = np.random.default_rng(seed).integers(0, LENGTH, 16)
    assert_agree(kernel, arrays)


# ------------------------------------------------------------------------------------------------ the text


@pytest.mark.skipif(target.host().vector_bytes != 64, reason="counts the instructions of 512-bit vectors")
def test_a_register_tile_is_in_registers():
    loop = busiest_loop(target.emit_assembly(emit(tile(depth=64)), target.host()))
    inner = "\n".join(loop)
    assert inner.count("vfmadd") == 28 and inner.count("vbroadcastss") == 14 and inner.count("vmovups") == 2
    assert not stack_accesses(loop)


def test_a_register_tile_leaves_no_alloca():
    assert "alloca [448" not in target.optimized_text(emit(tile()), target.host())


def masked_sum(taken, shown, outside=False):
    """Totals in lanes, taken where ``taken`` holds and shown where ``shown`` does; lanes from 5 on have no element."""
    storage = Alloc(Buffer("t", F, (8,), "register"))
    clear = loops(("v", 8, "vector"), body=(Store("t", (v,), zero()),))
    add = (If(taken, (Accumulate(("t",), (j,), SUM, (element("a", i, r, j),)),)),)
    show_ = (If(shown, (Store("o", (i, k), element("t", k)),)),)
    turns = (clear, loops(("r", 3, "serial"), ("j", 8, "vector"), body=add), loops(("k", 8, "vector"), body=show_))
    body = (storage, loops(("i", 4, "serial"), body=turns)) if outside else (
        loops(("i", 4, "serial"), body=(storage, *turns)),)  # fmt: skip
    return Kernel("masked_sum", (Buffer("o", F, (4, 8)), Buffer("a", F, (4, 3, 8))), body)


def test_a_total_needs_no_mask_in_lanes_that_no_one_sees():
    kernel = masked_sum(j < 5, k < 5)
    assert "select <8 x i1>" not in emit(kernel)
    assert_agree(kernel)


@pytest.mark.parametrize(
    "kernel",
    [
        masked_sum(j < 5, k < 6),
        masked_sum(j < 5, expression.eq(k, k)),
        masked_sum(element("a", i, r, j) < zero(), k < 5),
        masked_sum(j < i + 2, k < i + 2, outside=True),
        masked_sum(j < r + 3, k < 5),
    ],
    ids=["wider", "all", "by data", "outlives its condition", "by turn"],
)
def test_a_total_keeps_its_mask_where_other_lanes_are_seen(kernel):
    assert "select <8 x i1>" in emit(kernel)
    assert_agree(kernel)


def test_a_map_is_written_in_vectors():
    text = emit(mapped())
    assert "load <16 x float>" in text and "store <16 x float>" in text and "masked" not in text


@pytest.mark.parametrize("step", [-1, -2, 3])
@pytest.mark.parametrize("cond", [None, v < 11])
def test_lanes_at_a_constant_distance_need_neither_gather_nor_scatter(step, cond):
    place = v * step + (15 * -step if step < 0 else 0)
    moved = (Store("o", (place,), element("a", v)), Store("p", (v,), element("a", place)))
    body = moved if cond is None else (If(cond, moved),)
    kernel = Kernel("k", tuple(Buffer(n, F, (48,)) for n in "opa"), (Loop("v", 16, "vector", body),))
    assert_agree(kernel)
    assert bool(re.search("gather|scatter", emit(kernel))) == (cond is not None and step != -1)


ROW, LANE = expression.axis("u"), v
SQUARES = {
    "read": (LANE + ROW * 16, element("a", LANE * 40 + ROW) * element("p", ROW * 16 + LANE)),
    "written": (LANE * 20 + ROW + 1, element("a", ROW * 16 + LANE) + element("p", LANE * 40 + ROW + 3)),
    "read where it is written": (LANE * 20 + ROW, element("o", LANE * 20 + ROW) + element("a", ROW * 30 + LANE)),
    "read behind what is written": (LANE * 20 + ROW + 1, element("o", LANE * 20 + ROW) + element("a", LANE)),
    "rows apart": (LANE * 40 + ROW * 2, element("a", LANE * 40 + ROW * 2)),
}


@pytest.mark.parametrize("name", SQUARES)
@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_a_square_is_what_its_rows_are(name, lanes):
    place, value = SQUARES[name]
    row = Loop("v", lanes, "vector", (Store("o", (place,), value),))
    kernel = Kernel("k", tuple(Buffer(n, F, (700,)) for n in "oap"), (Loop("u", lanes, "unroll", (row,)),))
    assert_agree(kernel, inputs(kernel, 3))
    transposes = {"read": 1, "written": 2}.get(name, 0)
    assert emit(kernel).count("shufflevector") == transposes * lanes * (lanes.bit_length() - 1)


def test_parameters_do_not_overlap_in_tasks_either():
    text = emit(mapped())
    assert text.count("noalias") == 6 and "call void @sg_parallel(ptr @mapped.0.task" in text


def test_a_parallel_loop_of_one_turn_is_no_task():
    kernel = Kernel("k", (Buffer("o", F, (4,)),), (Loop("i", 1, "parallel", (Store("o", (i,), const(1, F)),)),))
    assert "sg_parallel" not in emit(kernel)
    assert_agree(kernel)


def test_invariants_stand_before_the_loop():
    body = (Loop("j", 64, "serial", (Store("o", (j,), element("a", j) * expression.sqrt(element("b", i))),)),)
    text = emit(Kernel("k", (Buffer("o", F, (64,)), Buffer("a", F, (64,)), Buffer("b", F, (4,))), (
        Loop("i", 4, "serial", body),)))  # fmt: skip
    innermost = text[text.rindex("phi i64") :]
    assert "sqrt" in text and "sqrt" not in innermost.split("ret void")[0]


def test_a_guarded_load_stays_behind_its_guard():
    """``a`` is read only where the flag says so: with the flag off its index is out of bounds."""
    flag = element("on", i, dtype="bool")
    far = load("t", (const(0, "int64"),), "int64")
    for kind in ("serial", "vector"):
        body = (Loop("i", 8, kind, (If(flag, (Store("o", (i,), element("a", far)),)),)),)
        buffers = Buffer("o", F, (8,)), Buffer("a", F, (8,)), Buffer("t", "int64", (1,)), Buffer("on", "bool", (8,))
        far_away = np.array([1 << 40])
        assert_agree(Kernel("k", buffers, body), {
            "o": np.ones(8, F), "a": np.ones(8, F), "t": far_away, "on": np.zeros(8, bool)})  # fmt: skip


def test_a_function_that_stands_everywhere_is_called():
    """As in the epilogue of a register tile; once or twice it is expanded in place."""

    def kernel(rows):
        i, u = axis("i"), axis("u")
        store = Store("o", (u * 16 + i,), expression.exp(expression.load("o", (u * 16 + i,), F)))
        tile = Loop("u", rows, "unroll", (Loop("i", 16, "vector", (store,)),))
        return Kernel("k", (Buffer("o", F, (16 * rows,)),), (tile,))

    few, many = emit(kernel(2)), emit(kernel(24))
    assert "call <16 x float> @shared" not in few
    assert many.count("call <16 x float> @shared") == 24
    assert len(many) < 4 * len(few)


def test_a_slow_path_is_behind_a_branch():
    text = emit(seldom())
    assert "llvm.vector.reduce.or.v16i1" in text
    fast = text[: text.index("br i1")]
    assert "fdiv" not in fast


def test_scratch_is_cut_by_worker_in_cache_lines():
    assert scratch_bytes(scratched()) == 128 and scratch_bytes(mapped()) == 0
    assert "mul i64 %worker, 128" in emit(scratched())


def one_loop(kind, value):
    return Kernel("k", (Buffer("o", F, (4,)), Buffer("a", F, (4,))), (Loop("i", 4, kind, (Store("o", (i,), value),)),))


def test_shared_terms_are_named_once():
    x = element("a", i)
    for _ in range(30):
        x = x * x
    kernel = one_loop("serial", x)
    assert emit(kernel).count("fmul") == 30


def test_a_long_chain_needs_no_recursion():
    x = element("a", i)
    for n in range(20_000):
        x = x + const(n % 7, F)
    kernel = one_loop("vector", x)
    assert emit(kernel).count("fadd") == 20_000


def test_nothing_is_contracted_or_reassociated():
    text = "".join(emit(s()) for s in SAMPLES)
    assert not re.search(r"\b(fast|reassoc|contract|nnan|ninf|nsz|arcp|afn)\b", text)


def test_lane_sums_have_one_accumulator_register():
    optimized = target.optimized_text(emit(lane_sum()), target.host())
    assert "phi <8 x float>" in optimized and "alloca [16 x float]" not in optimized


def test_unrolled_text_is_that_of_its_copies():
    assert show(unroll(tile())).count("dot=") == 28

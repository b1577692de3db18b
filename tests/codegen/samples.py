"""Kernels written by hand, one for each thing the loop IR must be able to say, and ways to run them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np

from codegen.checker import check
from codegen.interpret import run
from codegen.intrinsics import shifted
from codegen.kernel import (
    Accumulate,
    Alloc,
    Body,
    Buffer,
    Call,
    If,
    Intrinsic,
    Kernel,
    Let,
    Loop,
    Statement,
    Store,
    Sync,
)
from codegen.llvm import pool, target
from codegen.llvm.emit import emit, scratch_bytes
from symgraph import expression
from symgraph.expression import Expr, axis, const, load, rare, select
from symgraph.formula import ARGMAX, DOT, MAX, SUM, highest, lowest
from symgraph.types import DTYPES, is_float

F = "float32"
Arrays = dict[str, np.ndarray]
i, j, k, r, v, w, x, y = (axis(n) for n in "ijkrvwxy")


def zero(dtype: str = F) -> Expr:
    return const(0, dtype)


def element(name: str, *at: object, dtype: str = F) -> Expr:
    return load(name, at, dtype)


def loops(*spec: tuple[str, int, str], body: Body) -> Statement:
    """Nested loops from (index, extent, kind), outermost first."""
    for index, extent, kind in reversed(spec):
        body = (Loop(index, extent, kind, body),)
    return body[0]


@lru_cache(maxsize=256)
def compiled(kernel: Kernel) -> tuple[Callable[..., None], int, object]:
    pool.start()
    library = target.load([target.emit_object(emit(kernel), target.host())])
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (len(kernel.buffers) + 1))(library.address(kernel.name))
    return function, scratch_bytes(kernel), library


def native(kernel: Kernel, arrays: Mapping[str, np.ndarray]) -> None:
    """Run ``kernel`` as machine code, in place."""
    function, scratch, _ = compiled(kernel)
    room = np.zeros(scratch * pool.capacity() + 64, np.uint8)
    start = -room.ctypes.data % 64 + room.ctypes.data
    function(*[arrays[b.name].ctypes.data for b in kernel.buffers], start)


def filled(kernel: Kernel, seed: int = 0) -> Arrays:
    """Small numbers of both signs, exact in every dtype, for every buffer."""
    random = np.random.default_rng(seed)
    return {
        b.name: np.asarray(random.integers(-8, 9, b.shape) / (4 if is_float(b.dtype) else 1)).astype(b.dtype)
        for b in kernel.buffers
    }


def assert_same_bits(a: np.ndarray, b: np.ndarray) -> None:
    """Equal bit by bit, except that a NaN is a NaN."""
    assert a.dtype == b.dtype
    both_nan = (a != a) & (b != b)
    bits = f"u{a.dtype.itemsize}"
    differ = (a.view(bits) != b.view(bits)) & ~both_nan
    assert not differ.any(), f"at {np.argwhere(differ)[:4].tolist()}: {a[differ][:4]} and {b[differ][:4]}"


def assert_agree(kernel: Kernel, arrays: Mapping[str, np.ndarray] | None = None) -> Arrays:
    """Machine code and interpreter leave the same bits; gives the arrays afterwards."""
    check(kernel)
    start = filled(kernel) if arrays is None else arrays
    expected, found = ({n: a.copy() for n, a in start.items()} for _ in range(2))
    run(kernel, expected, seed=1)
    native(kernel, found)
    for name in expected:
        assert_same_bits(expected[name], found[name])
    return found


# ------------------------------------------------------------------------------------------------ the kernels


def mapped() -> Kernel:
    body: Body = (Store("o", (i, j), element("a", i, j) * element("b", j) + const(0.5, F)),)
    shape = Buffer("o", F, (5, 16)), Buffer("a", F, (5, 16)), Buffer("b", F, (16,))
    return Kernel("mapped", shape, (loops(("i", 5, "parallel"), ("j", 16, "vector"), body=body),))


def tail(n: int = 37) -> Kernel:
    at = i * 16 + j
    body: Body = (If(at < n, (Store("o", (at,), expression.sqrt(element("a", at)) + element("s")),)),)
    buffers = Buffer("o", F, (n,)), Buffer("a", F, (n,)), Buffer("s", F, ())
    return Kernel("tail", buffers, (loops(("i", -(-n // 16), "serial"), ("j", 16, "vector"), body=body),))


def lane_sum(n: int = 64, m: int = 3) -> Kernel:
    """A sum over rows by eight accumulators, merged in order."""
    row: Body = (
        Alloc(Buffer("acc", F, (8,), "register")),
        loops(("x", 8, "vector"), body=(Store("acc", (x,), zero()),)),
        loops(
            ("k", n // 8, "serial"), ("j", 8, "vector"),
            body=(Accumulate(("acc",), (j,), SUM, (element("a", i, k * 8 + j),)),),
        ),
        loops(("r", 7, "unroll"), body=(Accumulate(("acc",), (const(0, "int64"),), SUM, (element("acc", r + 1),)),)),
        Store("o", (i,), element("acc", 0)),
    )  # fmt: skip
    return Kernel("lane_sum", (Buffer("o", F, (m,)), Buffer("a", F, (m, n))), (Loop("i", m, "parallel", row),))


def tile(rows: int = 14, m: int = 2, n: int = 2, depth: int = 24) -> Kernel:
    """A register-tiled product: ``rows`` x 2 vectors of 16."""

    def each(names: str, statement: Callable[[Expr, Expr], Statement]) -> Statement:
        a, b, c = (axis(name) for name in names.split())
        inside = statement(a, b * 16 + c)
        return loops((str(a), rows, "unroll"), (str(b), 2, "unroll"), (str(c), 16, "vector"), body=(inside,))

    def product(row: Expr, column: Expr) -> Statement:
        terms = element("a", i * rows + row, k), element("b", k, j * 32 + column)
        return Accumulate(("acc",), (row, column), DOT, terms)

    body: Body = (
        Alloc(Buffer("acc", F, (rows, 32), "register")),
        each("r0 v0 x0", lambda row, column: Store("acc", (row, column), zero())),
        Loop("k", depth, "serial", (each("r1 v1 x1", product),)),
        each("r2 v2 x2", lambda row, column: Store(
            "c", (i * rows + row, j * 32 + column), element("acc", row, column))),
    )  # fmt: skip
    buffers = Buffer("c", F, (rows * m, 32 * n)), Buffer("a", F, (rows * m, depth)), Buffer("b", F, (depth, 32 * n))
    return Kernel("tile", buffers, (loops(("j", n, "parallel"), ("i", m, "serial"), body=body),))


def scattered(n: int = 32) -> Kernel:
    """Lanes that meet at one element, one after the other."""
    at = element("t", j, dtype="int64")
    body: Body = (
        loops(("j", n, "vector"), body=(Accumulate(("o",), (at,), SUM, (element("a", j),)),)),
        loops(("x", n, "vector"), body=(Store("p", (element("t", x, dtype="int64"),), element("a", x)),)),
    )
    buffers = Buffer("o", F, (9,)), Buffer("p", F, (9,)), Buffer("t", "int64", (n,)), Buffer("a", F, (n,))
    return Kernel("scattered", buffers, body)


def argmax(n: int = 20, m: int = 3) -> Kernel:
    start = const(0, "int64")
    row: Body = (
        Alloc(Buffer("best", F, (1,), "register")),
        Alloc(Buffer("where", "int64", (1,), "register")),
        Store("best", (start,), lowest(F)),
        Store("where", (start,), highest("int64")),
        Loop("k", n, "serial", (Accumulate(("best", "where"), (start,), ARGMAX, (element("a", i, k), k)),)),
        Store("o", (i,), element("where", 0, dtype="int64")),
    )
    return Kernel("argmax", (Buffer("o", "int64", (m,)), Buffer("a", F, (m, n))), (Loop("i", m, "serial", row),))


def clipped(n: int = 16) -> Kernel:
    """A border: loads outside of it would be out of bounds; a bool in memory; If in If."""
    inner: Body = (If(element("on", j, dtype="bool"), (Store("p", (j,), element("a", j + i - 1)),)),)
    inside = (j + i >= 1) & (j + i < n + 1)
    body: Body = (If(inside, (Accumulate(("o",), (j,), MAX, (element("a", j + i - 1),)), *inner)),)
    buffers = Buffer("o", F, (n,)), Buffer("p", F, (n,)), Buffer("a", F, (n,)), Buffer("on", "bool", (n,))
    return Kernel("clipped", buffers, (loops(("i", 3, "serial"), ("j", n, "vector"), body=body),))


def gathered(n: int = 16) -> Kernel:
    """Strided, reversed, indexed and uniform reads; a strided write."""
    value = element("a", j * 3) + element("a", const(n, "int64") - j) + element("a", element("t", j, dtype="int64"))
    body: Body = (Store("o", (j * 2 + 1,), value * element("a", element("t", 3, dtype="int64"))),)
    buffers = Buffer("o", F, (2 * n,)), Buffer("a", F, (3 * n,)), Buffer("t", "int64", (n,))
    return Kernel("gathered", buffers, (Loop("j", n, "vector", body),))


def nested_unroll() -> Kernel:
    """Lets and allocations inside unrolled loops; a condition that unrolling decides."""
    body: Body = (
        Let("t", element("a", i * 3 + j) * const(2, F)),
        Alloc(Buffer("s", F, (1,), "register")),
        Store("s", (const(0, "int64"),), axis("t", F) + const(1, F)),
        If(i + j < 3, (Let("u", i + j), Store("o", (axis("u"),), element("s", 0) * axis("t", F)))),
    )
    buffers = Buffer("o", F, (3,)), Buffer("a", F, (6,))
    return Kernel("nested_unroll", buffers, (loops(("i", 2, "unroll"), ("j", 3, "unroll"), body=body),))


def seldom(n: int = 16, rows: int = 3) -> Kernel:
    """A slow path for a few rows, in vectors and in scalars, that shares terms with the fast one."""

    def value(a: Expr) -> Expr:
        shared = a * a
        return rare(a > 1, expression.sqrt(shared + const(1, F)) / shared, shared) + shared

    body: Body = (
        loops(("j", n, "vector"), body=(Store("o", (i, j), value(element("a", i, j))),)),
        loops(("k", n, "serial"), body=(Store("p", (i, k), value(element("a", i, k))),)),
    )
    shape = (rows, n)
    buffers = Buffer("o", F, shape), Buffer("p", F, shape), Buffer("a", F, shape)
    return Kernel("seldom", buffers, (Loop("i", rows, "serial", body),))


def scratched(n: int = 16, rows: int = 6) -> Kernel:
    """Scratch of the running thread, written in one loop and read in another; a Let from outside the loop."""
    body: Body = (
        Alloc(Buffer("row", F, (n,), "thread")),
        Alloc(Buffer("on", "bool", (n,), "thread")),
        loops(("j", n, "vector"), body=(
            Store("row", (j,), element("a", i, j) + axis("t", F)), Store("on", (j,), element("a", i, j) < 0))),
        loops(("k", n, "vector"), body=(
            Store("o", (i, k), select(element("on", k, dtype="bool"), element("row", const(n - 1, "int64") - k), 0)),)),
    )  # fmt: skip
    buffers = Buffer("o", F, (rows, n)), Buffer("a", F, (rows, n))
    return Kernel("scratched", buffers, (Let("t", element("a", 0, 0)), Loop("i", rows, "parallel", body)))


TILE = 8


def _transpose(target: Expr, source: Expr) -> Body:
    """target[.., r, c] = source[.., c, r] for a tile of ``TILE`` rows and columns, over the last two axes."""
    r, c = axis("transpose_r"), axis("transpose_c")
    store = Store(str(target.value), shifted(target, r, c).args, shifted(source, c, r))
    return (Loop("transpose_r", TILE, "unroll", (Loop("transpose_c", TILE, "vector", (store,)),)),)


TRANSPOSE = Intrinsic("transpose", _transpose)


def transposed() -> Kernel:
    shape = Buffer("o", F, (2 * TILE, TILE)), Buffer("a", F, (TILE, 2 * TILE))
    body: Body = (Call(TRANSPOSE, (element("o", i * TILE, 0), element("a", 0, i * TILE))),)
    return Kernel("transposed", shape, (Loop("i", 2, "parallel", body),))


def refilled(n: int = 8) -> Kernel:
    """A buffer that is read, written and read again: what was read before may not be used after."""
    first: Body = (
        Let("t", element("o", j)),
        Store("o", (j,), element("o", j) + element("a", j)),
        Store("p", (j,), element("o", j) * axis("t", F)),
    )
    body: Body = (loops(("j", n, "vector"), body=first), Store("o", (i,), element("o", i) + element("o", 0)))
    buffers = Buffer("o", F, (n,)), Buffer("p", F, (n,)), Buffer("a", F, (n,))
    return Kernel("refilled", buffers, (Loop("i", 3, "serial", body),))


def masked_registers(n: int = 12) -> Kernel:
    """Registers under a mask: 12 elements in vectors of 8."""
    at = i * 8 + j
    fill = loops(("y", 12, "unroll"), body=(Store("s", (y,), const(7, F)),))
    a = element("a", at)
    body: Body = (If(at < n, (Store("s", (at,), a), Accumulate(("s",), (at,), SUM, (a,)))),)
    drain = loops(("x", 12, "serial"), body=(If(x < 12, (Store("o", (x,), element("o", x) + element("s", 11)),)),))
    out = loops(("k", 12, "vector"), body=(Store("o", (k,), element("s", k)),))
    statements = (fill, loops(("i", 2, "unroll"), ("j", 8, "vector"), body=body), out, drain)
    buffers = Buffer("o", F, (12,)), Buffer("a", F, (12,))
    return Kernel("masked_registers", buffers, (Alloc(Buffer("s", F, (12,), "register")), *statements))


SAMPLES = (
    mapped, tail, lane_sum, tile, scattered, argmax, clipped, gathered, nested_unroll, seldom, scratched, transposed,
    refilled, masked_registers,
)  # fmt: skip


def inputs(kernel: Kernel, seed: int = 0) -> Arrays:
    """``filled``, with index buffers (called t) in bounds."""
    arrays = filled(kernel, seed)
    if "t" in arrays:
        arrays["t"] = np.random.default_rng(seed).integers(0, 9, arrays["t"].shape)
    return arrays


def block_sum(threads: int = 16, barriers: bool = True) -> Kernel:
    """The sum of each row by a tree of threads: ``barriers=False`` leaves out what makes it right."""
    sync: Body = (Sync(),) if barriers else ()
    t = axis("t")
    zero_index = const(0, "int64")
    steps: list[Statement] = []
    half = threads // 2
    while half:
        steps += [*sync, If(t < half, (Accumulate(("s",), (t,), SUM, (element("s", t + half),)),))]
        half //= 2
    body: Body = (Store("s", (t,), element("a", i, t)), *steps, If(expression.eq(t, zero_index), (
        Store("o", (i,), element("s", 0)),)))  # fmt: skip
    block: Body = (Alloc(Buffer("s", F, (threads,), "shared")), Loop("t", threads, "thread", body))
    buffers = Buffer("o", F, (3,)), Buffer("a", F, (3, threads))
    return Kernel("block_sum", buffers, (Loop("i", 3, "block", block),))


def _specials(dtype: str) -> np.ndarray:
    if dtype == "bool":
        return np.array([False, True])
    if is_float(dtype):
        info = np.finfo(dtype)
        edges = [info.max, -info.max, info.tiny, info.smallest_subnormal, info.eps, np.inf, -np.inf, np.nan]
        return np.array([0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 3.75, 100.25, *edges], dtype)
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    small = (0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 63, 64, 100, -1, -2, -7)
    return np.array([*(n for n in small if n >= low), high, high - 1, low, low + 1, high // 2], dtype)


SPECIAL = {dtype: _specials(dtype) for dtype in DTYPES}

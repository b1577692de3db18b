from dataclasses import replace

import pytest

from codegen.checker import check
from codegen.kernel import (
    Accumulate,
    Alloc,
    Body,
    Buffer,
    If,
    Kernel,
    KernelError,
    Let,
    Loop,
    Store,
    Sync,
    map_exprs,
    show,
    walk,
    writes,
)
from codegen.unroll import inline_calls, inline_lets, unroll
from symgraph import expression
from symgraph.expression import axis, const, load
from symgraph.formula import ARGMAX, DOT, SUM
from tests.codegen.samples import SAMPLES, F, block_sum, element, i, j, k, loops, mapped, nested_unroll, tile, zero

BUFFERS = Buffer("o", F, (8,)), Buffer("a", F, (8, 4)), Buffer("n", "int64", (8,))
STORE = Store("o", (i,), element("a", i, 0))
at_zero = (const(0, "int64"),)


@pytest.mark.parametrize("sample", [*SAMPLES, block_sum])
def test_a_right_kernel_passes_before_and_after_unrolling(sample):
    kernel = sample()
    check(kernel)
    check(unroll(inline_calls(kernel)))
    check(inline_lets(unroll(inline_calls(kernel))))


def in_loop(*body, kind="serial", extent=8):
    return (Loop("i", extent, kind, body),)


def with_register(*body):
    return (Alloc(Buffer("s", F, (8,), "register")), *body)


WRONG: dict[str, tuple[Body, str]] = {
    "unbound": ((STORE,), "i is not bound"),
    "out of scope": ((*in_loop(STORE), STORE), "i is not bound"),
    "bound twice": (in_loop(Loop("i", 2, "serial", (STORE,))), "bound twice"),
    "sibling": ((*in_loop(STORE), *in_loop(STORE)), "bound twice"),
    "buffer's name": ((Let("a", zero()),), "bound twice"),
    "let after use": (in_loop(Store("o", (i,), axis("t", F)), Let("t", zero())), "t is not bound"),
    "let's dtype": (in_loop(Let("t", i), Store("o", (i,), axis("t", F))), "t is int64, read as float32"),
    "unknown buffer": (in_loop(Store("z", (i,), zero())), "z is no buffer"),
    "unknown load": (in_loop(Store("o", (i,), element("z", i))), "z is no buffer"),
    "slot number": (in_loop(Store("o", (i,), load(0, (i,), F))), "0 is no buffer"),
    "rank": (in_loop(Store("o", (i, i), zero())), "has rank 1, got 2"),
    "load's rank": (in_loop(Store("o", (i,), element("a", i))), "has rank 2, got 1"),
    "index dtype": (in_loop(Store("o", (zero(),), zero())), "an index of o is not int64"),
    "constant out of bounds": (in_loop(Store("o", (const(8, "int64"),), zero())), "index 8 is outside of o"),
    "wrong dtype": (in_loop(Store("n", (i,), zero())), "n is int64, the value is float32"),
    "wrong load": (in_loop(Store("o", (i,), element("n", i))), "n is int64, loaded as float32"),
    "kind": (in_loop(STORE, kind="tiled"), "tiled is no kind of loop"),
    "extent": (in_loop(STORE, extent=-1), "the extent is -1"),
    "empty vector": (in_loop(STORE, kind="vector", extent=0), "the extent is 0"),
    "loop in vector": (in_loop(Loop("j", 2, "serial", (STORE,)), kind="vector"), "not allowed in a vector loop"),
    "alloc in vector": (in_loop(*with_register(STORE), kind="vector"), "not allowed in a vector loop"),
    "loop in masked vector": (in_loop(If(i < 2, in_loop(STORE)), kind="vector"), "not allowed in a vector loop"),
    "parallel inside": ((Loop("j", 2, "serial", in_loop(STORE, kind="parallel")),), "stands at the top"),
    "parallel under If": (
        (If(const(1, "int64") < load("n", at_zero, "int64"), in_loop(STORE, kind="parallel")),),
        "stands at the top",
    ),
    "parallel with outer storage": (
        with_register(*in_loop(Store("s", at_zero, zero()), kind="parallel")),
        "s is no buffer here",
    ),
    "thread without block": (in_loop(STORE, kind="thread"), "inside a block loop"),
    "block inside": ((Loop("j", 2, "serial", in_loop(STORE, kind="block")),), "stands at the top"),
    "sync": (in_loop(Sync()), "Sync outside of a thread loop"),
    "shared": ((Alloc(Buffer("s", F, (8,), "shared")),), "shared storage belongs to a block"),
    "allocated global": ((Alloc(Buffer("s", F, (8,))),), "s is global"),
    "register of a block": (in_loop(*with_register(), kind="block"), "register storage belongs to a thread"),
    "variable register": (with_register(*in_loop(Store("s", (i,), zero()))), "s is indexed by i, which stays variable"),
    "loaded register": (with_register(Store("s", (load("n", at_zero, "int64"),), zero())), "indexed by n"),
    "condition": (in_loop(If(i, (STORE,))), "the condition is int64"),
    "accumulator twice": (in_loop(Accumulate(("o", "o"), (i,), ARGMAX, (zero(), i))), "an accumulator occurs twice"),
    "too few terms": (in_loop(Accumulate(("o",), (i,), DOT, (zero(),))), "dot does not take these terms"),
    "too many terms": (in_loop(Accumulate(("o",), (i,), DOT, (zero(), zero(), zero()))), "does not use the terms"),
    "too few accumulators": (in_loop(Accumulate(("o",), (i,), ARGMAX, (zero(), i))), "argmax does not take"),
    "term's dtype": (in_loop(Accumulate(("o",), (i,), SUM, (i,))), "sum does not take these terms"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_kernel_is_rejected_with_its_statement(name):
    body, message = WRONG[name]
    with pytest.raises(KernelError, match=message):
        check(Kernel("wrong", BUFFERS, body))


def test_a_parameter_in_a_space_of_its_own_is_rejected():
    with pytest.raises(KernelError, match="parameter s is in space shared"):
        check(Kernel("wrong", (Buffer("s", F, (8,), "shared"),), ()))


def test_an_error_shows_the_statement():
    with pytest.raises(KernelError, match=r"in: o\[i\] = a\[i, 0\]"):
        check(Kernel("wrong", BUFFERS, (STORE,)))


def test_kernels_read_as_loops():
    assert (
        show(tile())
        == """\
kernel tile(out c: float32[28, 64], a: float32[28, 24], b: float32[24, 64]):
  parallel j < 2:
    serial i < 2:
      alloc acc: float32[14, 32] register
      unroll r0 < 14:
        unroll v0 < 2:
          vector x0 < 16:
            acc[r0, ((v0 * 16) + x0)] = 0.0
      serial k < 24:
        unroll r1 < 14:
          unroll v1 < 2:
            vector x1 < 16:
              acc[r1, ((v1 * 16) + x1)] dot= a[((i * 14) + r1), k], b[k, ((j * 32) + ((v1 * 16) + x1))]
      unroll r2 < 14:
        unroll v2 < 2:
          vector x2 < 16:
            c[((i * 14) + r2), ((j * 32) + ((v2 * 16) + x2))] = acc[r2, ((v2 * 16) + x2)]
"""
    )


def test_long_shared_terms_are_shown_once():
    a = element("a", i, j)
    shared = expression.sqrt(a * a + const(1, F)) + a
    body = (Store("o", (i,), shared * shared - shared),)
    text = show(Kernel("k", BUFFERS, (loops(("i", 8, "serial"), ("j", 4, "unroll"), body=body),)))
    assert text.count("sqrt") == 1 and "o[i] = ((t0 * t0) - t0)" in text


def test_showing_is_linear_in_shared_terms():
    x = element("a", 0, 0)
    for _ in range(60):
        x = x * x + x
    assert len(show(Kernel("k", BUFFERS, (Store("o", at_zero, x),)))) < 10_000


def test_writes_are_the_stored_and_accumulated_buffers():
    assert writes(tile()) == {"c", "acc"}
    assert writes(mapped()) == {"o"}


def test_mapping_terms_reaches_every_statement():
    seen = []

    def note(terms):
        seen.extend(terms)
        return [expression.rename([t], {"k": const(0, "int64")})[0] for t in terms]

    changed = map_exprs(tile(), note)
    assert not any(e is k for s in walk(changed) if isinstance(s, Accumulate) for e in expression.toposort(s.exprs))
    assert {e for e in expression.toposort(seen) if e.prim == "load"}
    assert map_exprs(tile(), lambda terms: terms) == tile()


def test_unrolling_gives_every_copy_names_of_its_own():
    plain = unroll(nested_unroll())
    assert not any(isinstance(s, Loop) for s in walk(plain))
    names = [s.name for s in walk(plain) if isinstance(s, Let)]
    assert len(names) == 6 + 5 == len(set(names))  # one condition is never true


def test_an_empty_loop_leaves_nothing():
    kernel = Kernel("k", BUFFERS, in_loop(STORE, extent=0))
    check(kernel)
    assert unroll(kernel) == replace(kernel, body=())

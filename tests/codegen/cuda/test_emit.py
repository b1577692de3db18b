"""CUDA text means what the kernel says: every primitive, on every dtype, against the interpreter."""

import numpy as np
import pytest

from codegen.cuda.emit import emit
from codegen.cuda.schedule import schedule
from codegen.cuda.spell import SPELL
from codegen.interpret import run
from codegen.kernel import Buffer, Kernel, KernelError, Loop, Store
from codegen.numerics import BASIC, EXPANSIONS
from symgraph.expression import PRIMS, apply, axis, const, kind_of, load
from symgraph.types import DTYPES, SIZES, is_float
from tests.codegen.cuda.devices import run_kernels
from tests.codegen.legal import legalize
from tests.codegen.samples import SPECIAL, assert_same_bits

i = axis("i")


def results(prim, dtype):
    """The dtypes that a primitive may give."""
    if prim == "cast":
        return DTYPES
    if prim == "bitcast":
        return [d for d in DTYPES if SIZES[d] == SIZES[dtype] and d != "bool"]
    return [None]


def on_special_values(name, prim, dtype, to, fixed=None):
    """(kernel, arrays): ``prim`` on every combination of special values; ``fixed`` is the value of the last operand."""
    row, values = PRIMS[prim], SPECIAL[dtype]
    if prim == "cast" and is_float(dtype) and kind_of(to) == "i":
        values = values[[float(np.iinfo(to).min) <= x < 2.0 ** (8 * SIZES[to] - 1) for x in values.tolist()]]
    dtypes = ["bool" if row.result == "second" and n == 0 else dtype for n in range(row.arity)]
    some = [SPECIAL["bool"] if d != dtype else values if row.arity < 3 else values[:10] for d in dtypes]
    grid = [np.ascontiguousarray(a.ravel()) for a in np.meshgrid(*some, indexing="ij")]
    arrays = dict(zip("abc", grid, strict=False))
    operands = [load(n, (i,), d) for n, d in zip("abc", dtypes, strict=False)]
    if fixed is not None:
        operands[-1] = const(fixed, dtypes[-1])
    result = apply(prim, *operands, dtype=to)
    arrays["o"] = np.zeros(len(grid[0]), result.dtype)
    buffers = tuple(Buffer(n, a.dtype.name, a.shape) for n, a in arrays.items())
    return Kernel(name, buffers, (Loop("i", len(grid[0]), "serial", (Store("o", (i,), result),)),)), arrays


def assert_interpreted(pairs):
    """One module of all the kernels leaves what the interpreter does."""
    expected = [{n: a.copy() for n, a in arrays.items()} for _, arrays in pairs]
    found = [{n: a.copy() for n, a in arrays.items()} for _, arrays in pairs]
    run_kernels([schedule(kernel) for kernel, _ in pairs], found)
    for (kernel, _), wanted, got in zip(pairs, expected, found, strict=True):
        run(legalize(kernel), wanted)
        try:
            assert_same_bits(got["o"], wanted["o"])
        except AssertionError as error:
            raise AssertionError(f"{kernel.body[0].body[0].expr}: {error}") from None


def takes(prim, dtype):
    return kind_of(dtype) in PRIMS[prim].kinds


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_primitive_is_the_interpreters(dtype):
    wanted = [(prim, to) for prim in sorted(PRIMS) if takes(prim, dtype) for to in results(prim, dtype)]
    assert_interpreted([on_special_values(f"k{k}", prim, dtype, to) for k, (prim, to) in enumerate(wanted)])


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint32"])
def test_a_constant_operand_changes_nothing(dtype):
    prims = [p for p in ("maximum", "minimum", "quot", "rem", "floordiv", "mod", "shl", "shr") if takes(p, dtype)]
    wanted = [(prim, value.item()) for prim in prims for value in SPECIAL[dtype][::3]]
    assert_interpreted([on_special_values(f"k{k}", p, dtype, None, value) for k, (p, value) in enumerate(wanted)])


def test_every_basic_primitive_has_a_spelling():
    assert {*SPELL, "rare"} == BASIC and not SPELL.keys() & EXPANSIONS.keys()


def test_a_function_that_no_instruction_does_stands_once_in_a_module():
    values = [apply("exp", load("a", (i,), "float32")), apply("exp", load("a", (i,), "float32") * 2)]
    body = tuple(Store("o", (i + 8 * k,), v) for k, v in enumerate(values))
    kernel = Kernel("k", (Buffer("o", "float32", (16,)), Buffer("a", "float32", (8,))), (Loop("i", 8, "serial", body),))
    text = emit([schedule(kernel)]).text()
    assert text.count("float exp_float32(float x0) {") == 1 and text.count("= exp_float32(t") == 2


def test_what_is_not_bound_to_threads_is_refused():
    body = (Loop("i", 8, "serial", (Store("o", (i,), const(0.0, "float32")),)),)
    kernel = Kernel("k", (Buffer("o", "float32", (8,)),), body)
    with pytest.raises(KernelError, match="no thread of a GPU does this"):
        emit([kernel])

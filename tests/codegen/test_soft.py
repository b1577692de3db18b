"""What stands in for instructions that a processor lacks: no library is called, and every bit is the instruction's."""

import ctypes
import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import symgraph as sg
from codegen.llvm import soft, target
from codegen.llvm.emit import emit
from codegen.llvm.target import Target, host
from codegen.program import build
from codegen.tiles import Machine
from symgraph.expression import PRIMS
from tests.codegen.graphs import prepared, task

MACHINES = [
    Target("x86_64-unknown-linux-gnu", "x86-64"),
    Target("x86_64-unknown-linux-gnu", "x86-64-v2"),
    Target("x86_64-unknown-linux-gnu", "x86-64-v3", "", 32),
    Target("aarch64-linux-gnu"),
]
LANES = 4
TYPES = {"float32": ("float", "f32"), "float64": ("double", "f64")}


def module(name, dtype, lanes):
    """A function that applies an intrinsic to vectors in memory: operands, then the result."""
    element, short = TYPES[dtype]
    kind, suffix = (f"<{lanes} x {element}>", f"v{lanes}{short}") if lanes else (element, short)
    operands = [f"%x{k}" for k in range(PRIMS[name].arity)]
    loads = "".join(f"  {x} = load {kind}, ptr %p{k}, align 4\n" for k, x in enumerate(operands))
    return (
        f"declare {kind} @llvm.{name}.{suffix}({', '.join(kind for _ in operands)})\n"
        f"define void @f({', '.join(f'ptr %p{k}' for k in range(len(operands)))}, ptr %out) {{\n{loads}"
        f"  %y = call {kind} @llvm.{name}.{suffix}({', '.join(f'{kind} {x}' for x in operands)})\n"
        f"  store {kind} %y, ptr %out, align 4\n  ret void\n}}\n"
    )


@pytest.mark.parametrize("lanes", [0, LANES])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", soft.NAMES)
@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: m.cpu)
def test_no_machine_calls_the_library(machine, name, dtype, lanes):
    assert target.undefined_symbols(target.emit_object(module(name, dtype, lanes), machine)) == set()


def test_the_machines_differ_in_what_they_lack():
    oldest, second, third, arm = map(target.lacking, MACHINES)
    assert oldest == set(soft.NAMES) and second == {"fma"} and third == arm == set()


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: m.cpu)
def test_kernels_call_no_library(machine, dtype):
    x, w = sg.tensor("x", dtype, (9, 9)), sg.shared(np.ones((9, 9), dtype))
    outputs = [f(sg.dot(x, w)) for f in (sg.exp, sg.sin, sg.log, sg.gammaln, sg.floor, sg.round)]
    program = build(prepared(task([x], outputs)), Machine(machine.vector_bytes, 16))
    for kernel in program.kernels:
        needed = target.undefined_symbols(target.emit_object(emit(kernel), machine))
        assert needed <= {"memcpy", "memset", "memmove"}


@functools.cache
def stand_in(name, dtype):
    """The stand-in on vectors as machine code of this machine."""
    text = soft.stand_in(module(name, dtype, LANES), set(soft.NAMES))
    assert f"@llvm.{name}." not in text
    return target.load([target.emit_object(text, host())])


def natively(name, dtype, arrays):
    """What the stand-in gives."""
    out = np.empty(LANES, dtype)
    pointers = [a.ctypes.data_as(ctypes.c_void_p) for a in (*arrays, out)]
    ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(pointers))(stand_in(name, dtype).address("f"))(*pointers)
    return out


def numbers(dtype):
    """Of all exponents, with few or many digits, and those that meet at the ends of the range."""
    width = 32 if dtype == "float32" else 64
    info = np.finfo(dtype)
    special = [0.0, 1.0, float(info.max), float(info.tiny), float(info.smallest_subnormal), np.inf, np.nan, 0.5, 2.5]
    signed = st.tuples(st.sampled_from(special), st.sampled_from([1.0, -1.0])).map(lambda pair: pair[0] * pair[1])
    return st.one_of(st.floats(width=width), signed, st.integers(-9, 9).map(lambda n: n / 2))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", soft.NAMES)
@given(data=st.data())
def test_a_stand_in_gives_the_bits_of_the_instruction(name, dtype, data):
    lane = st.lists(numbers(dtype), min_size=LANES, max_size=LANES).map(lambda xs: np.array(xs, dtype))
    arrays = [data.draw(lane) for _ in range(PRIMS[name].arity)]
    with np.errstate(all="ignore"):
        if name == "fma" and data.draw(st.booleans()):  # what is left of the product is its rounding
            arrays[2] = -arrays[0] * arrays[1]
        expected = np.asarray(PRIMS[name].numpy(*arrays)).astype(dtype)
    assert without_payloads(natively(name, dtype, arrays)) == without_payloads(expected)


def without_payloads(xs):
    """The bits, where all NaNs are one."""
    return np.where(np.isnan(xs), np.nan, xs).tobytes()


@pytest.mark.parametrize(("x", "y", "z", "exact"), [(1e300, 1e300, -np.inf, -np.inf), (0.5, -5e-324, 0.0, -0.0)])
def test_only_the_exact_sum_is_rounded(x, y, z, exact):
    """Not its product: which may overflow where the sum does not, or lose its sign to a zero."""
    arrays = [np.full(LANES, v) for v in (x, y, z)]
    with np.errstate(all="ignore"):
        assert np.asarray(PRIMS["fma"].numpy(*arrays)).tobytes() == np.full(LANES, exact).tobytes()
    assert natively("fma", "float64", arrays).tobytes() == np.full(LANES, exact).tobytes()

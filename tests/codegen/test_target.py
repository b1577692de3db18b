"""Machine code for this and other machines: what the passes keep, what an object names, what loading promises."""

import ctypes
import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen.llvm import target
from codegen.llvm.target import BackendError, Target, host

ROOT = Path(__file__).resolve().parents[2]

# Name of the machine, and the registers that a full vector of it lives in.
MACHINES = {
    "x86-64-v2": (Target("x86_64-unknown-linux-gnu", "x86-64-v2", "", 16), "%xmm"),
    "x86-64-v3": (Target("x86_64-unknown-linux-gnu", "x86-64-v3", "", 32), "%ymm"),
    "x86-64-v4": (Target("x86_64-unknown-linux-gnu", "x86-64-v4", "", 64), "%zmm"),
    "aarch64": (Target("aarch64-linux-gnu", "generic", "", 16), ".4s"),
    "darwin": (Target("arm64-apple-darwin", "apple-m1", "", 16), ".4s"),
}
OBJECTS = [machine for machine, _ in MACHINES.values()] + [host()]

CONSTANT = """
define i64 @constant() {{
  ret i64 {}
}}
"""
SCALE = """
define {0} @scale({0} %x, {0} %y) {{
  %z = fmul {0} %x, %y
  ret {0} %z
}}
"""


def emit(text: str) -> bytes:
    return target.emit_object(text, host())


def call(library: target.Library, name: str = "constant") -> int:
    return ctypes.CFUNCTYPE(ctypes.c_int64)(library.address(name))()


def vector_sum(machine: Target) -> str:
    kind = f"<{machine.vector_bytes // 4} x float>"
    return f"define {kind} @f({kind} %x, {kind} %y) {{\n  %z = fadd {kind} %x, %y\n  ret {kind} %z\n}}\n"


@given(st.integers(-(2**63), 2**63 - 1))
def test_what_is_loaded_computes_what_the_text_says(value):
    assert call(target.load([emit(CONSTANT.format(value))])) == value


def test_two_libraries_of_the_same_names_do_not_clash():
    libraries = [target.load([emit(CONSTANT.format(value))]) for value in range(10)]
    assert [call(library) for library in libraries] == list(range(10))
    del libraries[::2]
    gc.collect()
    assert [call(library) for library in libraries] == list(range(1, 10, 2))


def test_the_objects_of_a_library_see_each_other():
    caller = "declare i64 @constant()\ndefine i64 @twice() {\n  %x = call i64 @constant()\n"
    caller += "  %y = add i64 %x, %x\n  ret i64 %y\n}\n"
    library = target.load([emit(caller), emit(CONSTANT.format(21))])
    assert call(library, "twice") == 42


def test_a_defined_symbol_is_found_by_name_and_is_local_to_none():
    value = ctypes.c_int64(17)
    target.define_symbol("test_target_value", ctypes.addressof(value))
    text = "@test_target_value = external global i64\n"
    text += "define i64 @constant() {\n  %x = load i64, ptr @test_target_value\n  ret i64 %x\n}\n"
    library = target.load([emit(text)])
    value.value = 18
    assert call(library) == 18


def test_symbols_of_the_interpreter_are_found():
    text = "declare i32 @Py_IsInitialized()\ndefine i64 @constant() {\n  %x = call i32 @Py_IsInitialized()\n"
    library = target.load([emit(text + "  %y = zext i32 %x to i64\n  ret i64 %y\n}\n")])
    assert call(library) == 1


def test_a_missing_symbol_is_an_error_that_names_it():
    text = "declare i64 @nobody_has_this()\ndefine i64 @f() {\n  %x = call i64 @nobody_has_this()\n  ret i64 %x\n}\n"
    with pytest.raises(BackendError, match="nobody_has_this"):
        target.load([emit(text)])


def test_a_name_defined_twice_in_a_library_is_an_error():
    data = emit(CONSTANT.format(1))
    with pytest.raises(BackendError, match="duplicate definition"):
        target.load([data, data])


def test_an_unknown_name_has_no_address():
    with pytest.raises(KeyError):
        target.load([emit(CONSTANT.format(1))]).address("variable")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads the memory map that Linux shows")
def test_a_library_gives_its_code_back_when_collected():
    def is_executable(address: int) -> bool:
        for line in Path("/proc/self/maps").read_text().splitlines():
            low, high = (int(part, 16) for part in line.split()[0].split("-"))
            if low <= address < high:
                return "x" in line.split()[1]
        return False

    library = target.load([emit(CONSTANT.format(1))])
    address = library.address("constant")
    assert is_executable(address)
    del library
    gc.collect()
    assert not is_executable(address)


@pytest.mark.parametrize("name", MACHINES)
def test_a_full_vector_is_one_register(name):
    machine, register = MACHINES[name]
    instructions = [line.strip() for line in target.emit_assembly(vector_sum(machine), machine).splitlines()]
    sums = [line for line in instructions if line.startswith(("addps", "vaddps", "fadd"))]
    assert len(sums) == 1
    assert register in sums[0]


def test_the_vectors_of_this_machine_are_among_those_it_has():
    features = {"avx512f": True, "avx512bw": True, "avx512dq": True, "avx512vl": True, "avx2": True}
    assert target._vector_bytes(features) == 64
    assert target._vector_bytes(features | {"avx512vl": False}) == 32
    assert target._vector_bytes({}) == 16
    assert host().vector_bytes in (16, 32, 64)


@pytest.mark.parametrize("machine", OBJECTS, ids=lambda machine: f"{machine.triple}-{machine.cpu}")
def test_products_and_sums_are_not_contracted(machine):
    text = "define double @f(double %x, double %y, double %z) {{\n  {}\n  ret double %r\n}}\n"
    apart = text.format("%p = fmul double %x, %y\n  %r = fadd double %p, %z")
    assert "fma" not in target.emit_assembly(apart, machine)
    assert "fmul" in target.optimized_text(apart, machine)


@pytest.mark.parametrize(
    ("kind", "c_type", "dtype"), [("float", ctypes.c_float, "f4"), ("double", ctypes.c_double, "f8")]
)
def test_subnormal_numbers_are_kept(kind, c_type, dtype):
    library = target.load([emit(SCALE.format(kind))])
    scale = ctypes.CFUNCTYPE(c_type, c_type, c_type)(library.address("scale"))
    least = np.finfo(dtype).smallest_subnormal
    assert all(scale(least * k, 1.0) == least * k != 0 for k in (1, 3, 1000))
    assert scale(np.finfo(dtype).tiny, 0.5) == np.finfo(dtype).tiny / 2 != 0


def test_what_lives_in_an_alloca_of_constant_index_lives_in_registers():
    text = """
    define double @f(double %x) {
      %tile = alloca [4 x double]
      %p = getelementptr [4 x double], ptr %tile, i64 0, i64 3
      store double %x, ptr %p
      %y = load double, ptr %p
      ret double %y
    }
    """
    assert "alloca" not in target.optimized_text(text, host())


def test_a_text_that_is_not_llvm_is_refused():
    with pytest.raises(RuntimeError, match="parsing error"):
        target.optimize("define i64 @f() {\n  ret i32 0\n", host())
    with pytest.raises(RuntimeError, match="dominate"):
        target.optimize("define i64 @f() {\n  %x = add i64 %y, 1\n  %y = add i64 1, 1\n  ret i64 %x\n}", host())


@pytest.mark.parametrize("machine", OBJECTS, ids=lambda machine: f"{machine.triple}-{machine.cpu}")
def test_an_object_tells_what_it_defines_and_what_it_needs(machine):
    text = """
    @table = global [4 x i64] zeroinitializer
    @there = external global double
    declare double @sin(double)
    declare double @unused(double)
    declare double @llvm.sqrt.f64(double)
    define double @f(double %x) {
      %a = call double @sin(double %x)
      %b = load double, ptr @there
      %c = fadd double %a, %b
      %d = call double @llvm.sqrt.f64(double %c)
      %e = call double @inner(double %d)
      ret double %e
    }
    define internal double @inner(double %x) noinline {
      ret double %x
    }
    """
    table = target.symbol_table(target.emit_object(text, machine))
    assert table.defined == {"f", "table"}
    assert table.undefined == target.undefined_symbols(target.emit_object(text, machine)) == {"sin", "there"}


def test_a_hidden_call_of_the_mathematical_library_is_seen():
    text = "declare double @llvm.pow.f64(double, double)\ndefine double @f(double %x, double %y) {\n"
    text += "  %z = call double @llvm.pow.f64(double %x, double %y)\n  ret double %z\n}\n"
    assert target.undefined_symbols(emit(text)) == {"pow"}


@pytest.mark.parametrize("data", [b"", b"MZ\x90\x00", b"\x7fELF\x01\x01", b"\x7fELF\x02\x02", b"#!/bin/sh\n"])
def test_other_formats_are_refused_by_name(data):
    with pytest.raises(NotImplementedError, match="ELF and Mach-O"):
        target.undefined_symbols(data)


@pytest.mark.parametrize("machine", [MACHINES["x86-64-v3"][0], MACHINES["darwin"][0]], ids=["ELF", "Mach-O"])
def test_a_cut_object_is_an_error(machine):
    data = target.emit_object(CONSTANT.format(1), machine)
    whole = target.symbol_table(data)
    for length in range(8, len(data)):
        try:
            assert target.symbol_table(data[:length]) == whole, "nothing may be lost in silence"
        except BackendError:
            continue


FORK = """
import os, signal, sys, threading
from codegen.llvm import target

text = "define i64 @f() {\\n  ret i64 7\\n}\\n"
stop = threading.Event()

def compile_on():
    while not stop.is_set():
        target.emit_object(text, target.host())

threads = [threading.Thread(target=compile_on) for _ in range(2)]
for thread in threads:
    thread.start()
children = []
for _ in range(10):
    child = os.fork()
    if not child:
        signal.alarm(30)  # one that waits for a lock for ever would outlive the test
        target.load([target.emit_object(text, target.host())])
        os._exit(0)
    children.append(child)
codes = [os.waitpid(child, 0)[1] for child in children]
stop.set()
sys.exit(any(codes))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_a_child_can_compile_though_other_threads_compiled_at_the_fork():
    subprocess.run([sys.executable, "-c", FORK], cwd=ROOT, check=True, timeout=120)

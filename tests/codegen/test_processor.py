"""What processors spell differently, and the mode that a caller's thread is in."""

import ctypes
import threading

import numpy as np
import pytest

import symgraph as sg
from codegen.llvm import target
from codegen.llvm.parallel import pool_text
from codegen.llvm.target import Target, host

MODE = """
define i32 @mode(i32 %new) {
  %old = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %old)
  %given = alloca i32
  store i32 %new, ptr %given
  call void @llvm.x86.sse.ldmxcsr(ptr %given)
  %value = load i32, ptr %old
  ret i32 %value
}
declare void @llvm.x86.sse.ldmxcsr(ptr)
declare void @llvm.x86.sse.stmxcsr(ptr)
"""
FLUSH, DOWNWARDS, CONTROL = 0x9FC0, 0x3F80, 0xFFC0


def in_mode(mode, work):
    """What ``work`` gives in a thread of this mode, and the mode it leaves."""
    library = target.load([target.emit_object(MODE, host())])
    switch = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_uint32)(library.address("mode"))
    found = []

    def run():
        before = switch(mode)
        found.append(work())
        found.append(switch(before) & CONTROL)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found


@pytest.mark.skipif(not host().triple.startswith("x86_64"), reason="sets the control register of x86")
@pytest.mark.parametrize("mode", [FLUSH, DOWNWARDS])
@pytest.mark.parametrize("fails", [False, True])
def test_results_do_not_depend_on_the_mode_of_the_caller(mode, fails):
    x, i = sg.dvector("x"), sg.lscalar("i")
    f = sg.function([x, i], x / 3 + x[i])
    tiny, at = np.arange(1, 101) * 1e-310, 100 if fails else 0

    def work():
        try:
            return f(tiny, at).tobytes()
        except IndexError:
            return "out of range"

    with sg.using(cache="off"):
        expected = work()
    assert in_mode(mode, work) == [expected, mode]


@pytest.mark.parametrize("triple", ["x86_64-linux-gnu", "aarch64-linux-gnu", "arm64-apple-darwin"])
def test_the_instructions_are_those_of_the_processor(triple):
    assert target.emit_object(pool_text(Target(triple), parallel=True), Target(triple))

"""Signals of Python in native code: what takes long asks for them between its steps.

    i64 @sg_poll()                                      0, or 1 where a handler raised, as that of Ctrl-C does
    void @sg_run(ptr %entry, ptr %io, ptr %result)      calls an entry without the interpreter's lock

Only Python's main thread has its signals handled. What a handler raised is the thread's current exception.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable

from codegen.llvm.runtime import runtime_object
from codegen.llvm.target import Library, define_symbol, llvm_lock, load

_TEXT = """
declare i32 @PyGILState_Ensure()
declare void @PyGILState_Release(i32)
declare i32 @PyErr_CheckSignals()
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)

define i64 @sg_poll() {
  %lock = call i32 @PyGILState_Ensure()
  %found = call i32 @PyErr_CheckSignals()
  call void @PyGILState_Release(i32 %lock)
  %raised = icmp ne i32 %found, 0
  %result = zext i1 %raised to i64
  ret i64 %result
}

define void @sg_run(ptr %entry, ptr %io, ptr %result) {
  %state = call ptr @PyEval_SaveThread()
  %failed = call i64 %entry(ptr %io)
  call void @PyEval_RestoreThread(ptr %state)
  store i64 %failed, ptr %result
  ret void
}
"""

# PYFUNCTYPE: entered with the lock held, and an exception that is set on return is raised
_RUN = ctypes.PYFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


@functools.cache
def _library() -> Library:
    library = load([runtime_object(_TEXT)])
    define_symbol("sg_poll", library.address("sg_poll"))
    return library


def start() -> None:
    """Make ``sg_poll`` known to code loaded from now on."""
    with llvm_lock:
        _library()


@functools.cache
def _runner() -> Callable[[int, int, int], None]:
    with llvm_lock:
        return _RUN(_library().address("sg_run"))


def runner(entry: int) -> Callable[[int, int], None]:
    """(what the entry takes, where its result goes): a call that raises what a handler raised meanwhile."""
    return functools.partial(_runner(), entry)

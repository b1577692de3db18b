"""Tasks in native code that record how a pool ran them."""

import ctypes
import functools
from collections.abc import Iterable

import numpy as np

from codegen.llvm import pool, target
from codegen.llvm.target import host

# Tasks. A log is { i64 count, { i64 begin, i64 end, i64 worker } rows [] }; its rows are written by plain stores, so
# that a caller who returned too early would miss some.
TASKS = """
declare void @sg_parallel(ptr, ptr, i64)
declare i32 @sched_yield()

define void @run(ptr %task, ptr %context, i64 %extent) {
  call void @sg_parallel(ptr %task, ptr %context, i64 %extent)
  ret void
}

define void @log(ptr %log, i64 %begin, i64 %end, i64 %worker) {
  %count = atomicrmw add ptr %log, i64 1 monotonic
  %rows = getelementptr i64, ptr %log, i64 1
  %row = getelementptr [3 x i64], ptr %rows, i64 %count
  %second = getelementptr i64, ptr %row, i64 1
  %third = getelementptr i64, ptr %row, i64 2
  store i64 %begin, ptr %row
  store i64 %end, ptr %second
  store i64 %worker, ptr %third
  ret void
}

; { i64 clashes, i64 inside [capacity] }: whether two pieces run at once under one number.
define void @clash(ptr %state, i64 %begin, i64 %end, i64 %worker) {
entry:
  %flags = getelementptr i64, ptr %state, i64 1
  %flag = getelementptr i64, ptr %flags, i64 %worker
  %before = atomicrmw add ptr %flag, i64 1 seq_cst
  call i32 @sched_yield()
  atomicrmw add ptr %state, i64 %before seq_cst
  atomicrmw sub ptr %flag, i64 1 seq_cst
  ret void
}

; { i64 arrived, i64 wanted }: returns when as many pieces as are wanted are inside at once.
define void @meet(ptr %state, i64 %begin, i64 %end, i64 %worker) {
entry:
  %slot = getelementptr i64, ptr %state, i64 1
  %wanted = load i64, ptr %slot
  atomicrmw add ptr %state, i64 1 seq_cst
  br label %look
look:
  %arrived = load atomic i64, ptr %state seq_cst, align 8
  call i32 @sched_yield()
  %all = icmp uge i64 %arrived, %wanted
  br i1 %all, label %done, label %look
done:
  ret void
}

; { i64 arrived, i64 wanted, log }: as both say.
define void @meet_and_log(ptr %state, i64 %begin, i64 %end, i64 %worker) {
  %log = getelementptr i64, ptr %state, i64 2
  call void @log(ptr %log, i64 %begin, i64 %end, i64 %worker)
  call void @meet(ptr %state, i64 %begin, i64 %end, i64 %worker)
  ret void
}

; { i64 extent, ptr log [] }: a loop of its own for each index.
define void @nest(ptr %state, i64 %begin, i64 %end, i64 %worker) {
entry:
  %extent = load i64, ptr %state
  %logs = getelementptr ptr, ptr %state, i64 1
  br label %next
next:
  %i = phi i64 [%begin, %entry], [%i1, %next]
  %slot = getelementptr ptr, ptr %logs, i64 %i
  %log = load ptr, ptr %slot
  call void @sg_parallel(ptr @log, ptr %log, i64 %extent)
  %i1 = add i64 %i, 1
  %more = icmp slt i64 %i1, %end
  br i1 %more, label %next, label %done
done:
  ret void
}

; { double [capacity] }: half of the smallest normal number, as each worker finds it.
define void @halve(ptr %results, i64 %begin, i64 %end, i64 %worker) {
  call i32 @sched_yield()
  %half = load volatile double, ptr @one_half
  %product = fmul double %half, 0x0010000000000000
  %result = getelementptr double, ptr %results, i64 %worker
  store double %product, ptr %result
  ret void
}
@one_half = global double 0.5
"""


class Tasks:
    """The tasks, loaded against the pool of the process, or against the objects of another."""

    def __init__(self, objects: Iterable[bytes] = ()) -> None:
        pool.start()
        self.library = target.load([target.emit_object(TASKS, host()), *objects])
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
        self.enter = kind(self.library.address("run"))

    def run(self, task: str, context: np.ndarray, extent: int) -> None:
        self.enter(self.library.address(task), context.ctypes.data, extent)

    def pieces(self, extent: int) -> np.ndarray:
        """Rows (begin, end, worker) of a call, in order of begin."""
        log = empty_log()
        self.run("log", log, extent)
        return rows(log)

    def meet(self, count: int) -> None:
        """Return when ``count`` workers were inside at once; for ever, if they never are."""
        self.run("meet", np.array([0, count]), count)

    def met(self, count: int) -> np.ndarray:
        """Rows (begin, end, worker) of a call in which ``count`` workers take a piece each."""
        state = np.concatenate([[0, count], empty_log()])
        self.run("meet_and_log", state, count)
        return rows(state[2:])


@functools.cache
def shared_tasks() -> Tasks:
    """The tasks on the pool of the process."""
    return Tasks()


def empty_log() -> np.ndarray:
    return np.zeros(1 + 3 * 4 * (pool.capacity() + 1), np.int64)


def rows(log: np.ndarray) -> np.ndarray:
    found = log[1 : 1 + 3 * log[0]].reshape(-1, 3)
    return found[np.argsort(found[:, 0])]


def is_partition(pieces: np.ndarray, extent: int, threads: int) -> bool:
    """Whether the pieces cover [0, extent) once, none is empty, and the workers are those there may be."""
    begins, ends, workers = pieces.T
    covered = [0, *ends] == [*begins, max(extent, 0)]
    return covered and bool((begins < ends).all()) and bool(((workers >= 0) & (workers < threads)).all())

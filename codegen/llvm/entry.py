"""The entry of a program: one native function that runs every step of a call.

    i64 @entry(ptr %io)
    i64 @checked_entry(ptr %io)
    i64 @timed_entry(ptr %io, ptr %times)

``io`` holds the pointers of ``Program.layout``. It gives 0, or 1 + the number of the precondition that failed,
where calls of the host count behind the preconditions; no shared variable was written then. The checked one gives -1
where the call's integers decide other extents than those compiled for. Before the commit point signals are looked for
now and then; -2 means that a handler raised, and nothing was written. The timed one reads the clock before the first
step and after each, into ``times``: a ``struct timespec`` each.

Whatever mode the caller's thread rounds in, the steps compute as IEEE says, on every thread alike.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from codegen.kernel import Kernel
from codegen.llvm.processor import processor
from codegen.llvm.target import host
from codegen.program import Check, Hosted, Launch, Move, Program, Step
from codegen.tiles import work_of

NAME = "entry"
CHECKED = "checked_entry"
TIMED = "timed_entry"
INTERRUPTED = -2
POLL_WORK = 1 << 30  # scalar operations between two looks for signals: some 20 ms of multiply-adds, a second of x + 1
TIMESPEC = 16  # bytes: seconds and nanoseconds, 64 bits each


def entry_text(program: Program) -> str:
    """The entry as LLVM IR, for a module that holds the kernels."""
    lines: list[str] = []
    work = 0
    for k, step in enumerate(program.steps):
        if k <= program.commit and (work >= POLL_WORK or isinstance(step, Hosted)):
            lines += _poll(k)
            work = 0
        lines += _step(step, program)
        work += work_of(program.kernels[step.kernel]) if isinstance(step, Launch) else 0
    return _function(f"i64 @{NAME}(ptr %io)", program, lines)


def checked_entry_text(agreement: Kernel, layout: Sequence[str]) -> str:
    """The entry behind ``agreement``, which is in the module too. Its answer is the arena's first byte."""
    lines = [f"define i64 @{CHECKED}(ptr %io) {{"]
    for storage in ("arena", *[b.name for b in agreement.buffers[1:]]):
        place = f"  %{storage}.p = getelementptr ptr, ptr %io, i64 {layout.index(storage)}"
        lines += [place, f"  %{storage} = load ptr, ptr %{storage}.p"]
    given = ", ".join(f"ptr %{s}" for s in ("arena", *[b.name for b in agreement.buffers[1:]], "arena"))
    lines += [
        f"  call void @{agreement.name}({given})",
        "  %agreed = load i8, ptr %arena",
        "  %agrees = icmp ne i8 %agreed, 0",
        "  br i1 %agrees, label %same, label %other",
        "other:",
        "  ret i64 -1",
        "same:",
        f"  %failed = call i64 @{NAME}(ptr %io)",
        "  ret i64 %failed",
    ]
    return "\n".join([*lines, "}", ""])


def timed_entry_text(program: Program) -> str:
    """The entry that measures its steps."""
    steps = list(_clock(0))
    for k, step in enumerate(program.steps):
        steps += [*_step(step, program), *_clock(k + 1)]
    return _function(f"i64 @{TIMED}(ptr %io, ptr %times)", program, steps)


def _clock(k: int) -> Sequence[str]:
    return [
        f"  %t{k} = getelementptr i8, ptr %times, i64 {TIMESPEC * k}",
        f"  call i32 @clock_gettime(i32 {time.CLOCK_MONOTONIC}, ptr %t{k})",
    ]


def _function(head: str, program: Program, steps: Iterable[str]) -> str:
    mode = processor(host())
    lines = [f"define {head} {{\n{mode.save}{mode.ieee}"]
    for k, storage in enumerate(program.layout):
        lines += [f"  %{storage}.p = getelementptr ptr, ptr %io, i64 {k}", f"  %{storage} = load ptr, ptr %{storage}.p"]
    for storage, offset in program.offsets.items():
        lines.append(f"  %{storage} = getelementptr i8, ptr %arena, i64 {offset}")
    lines.append(f"  %scratch = getelementptr i8, ptr %arena, i64 {program.arena}")
    return "\n".join([*lines, *steps, *_leave("0"), "}", ""])


def _leave(result: str) -> Sequence[str]:
    return [f"{processor(host()).restore}  ret i64 {result}"]


def _step(step: Step, program: Program) -> Sequence[str]:
    match step:
        case Launch(kernel, arguments):
            given = ", ".join(f"ptr %{a}" for a in (*arguments, "scratch"))
            return [f"  call void @{program.kernels[kernel].name}({given})"]
        case Move(target, source, size):
            return [f"  call void @llvm.memcpy.p0.p0.i64(ptr %{target}, ptr %{source}, i64 {size}, i1 false)"]
        case Hosted(call, arguments):
            return _call(call, arguments, program.preconditions + call)
        case Check(precondition, storage):
            return _check(precondition, storage)


def _poll(k: int) -> Sequence[str]:
    """Leave before step ``k`` if a signal's handler raised."""
    p = f"poll{k}"
    return [
        f"  %{p} = call i64 @sg_poll()",
        f"  %{p}.none = icmp eq i64 %{p}, 0",
        f"  br i1 %{p}.none, label %{p}.on, label %{p}.off",
        f"{p}.off:",
        *_leave(str(INTERRUPTED)),
        f"{p}.on:",
    ]


def _check(precondition: int, storage: str) -> Sequence[str]:
    p = f"precondition{precondition}"
    return [
        f"  %{p} = load i8, ptr %{storage}",
        f"  %{p}.ok = icmp ne i8 %{p}, 0",
        f"  br i1 %{p}.ok, label %{p}.holds, label %{p}.fails",
        f"{p}.fails:",
        *_leave(str(precondition + 1)),
        f"{p}.holds:",
    ]


def _call(call: int, arguments: Sequence[str], number: int) -> Sequence[str]:
    """Call the function whose address is in the storage of the call, with a table of pointers."""
    c = f"call{call}"
    lines = [f"  %{c}.f = load ptr, ptr %{c}", f"  %{c}.t = alloca [{len(arguments)} x ptr]"]
    for k, storage in enumerate(arguments):
        place = f"  %{c}.a{k} = getelementptr ptr, ptr %{c}.t, i64 {k}"
        lines += [place, f"  store ptr %{storage}, ptr %{c}.a{k}"]
    return [
        *lines,
        f"  %{c}.r = call i64 %{c}.f(ptr %{c}.t)",
        f"  %{c}.ok = icmp eq i64 %{c}.r, 0",
        f"  br i1 %{c}.ok, label %{c}.done, label %{c}.fails",
        f"{c}.fails:",
        *_leave(str(number + 1)),
        f"{c}.done:",
    ]


def declarations(timed: bool = False) -> str:
    """What the entry needs declared."""
    clock = "declare i32 @clock_gettime(i32, ptr)\n" if timed else ""
    copy = "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)\n"
    return copy + "declare i64 @sg_poll()\n" + clock + processor(host()).declares

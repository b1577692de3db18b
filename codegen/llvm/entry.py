"""The entry of a program: one native function that runs every step of a call.

    i64 @entry(ptr %io)

``io`` holds the pointers of ``Program.layout``. The result is 0, or the number of the guard that failed plus one; no
shared variable was written then.
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen.program import Check, Launch, Move, Program, Step

NAME = "entry"


def entry_text(program: Program) -> str:
    """The entry as LLVM IR, for a module that holds the kernels."""
    lines = [f"define i64 @{NAME}(ptr %io) {{"]
    for k, storage in enumerate(program.layout):
        lines += [f"  %{storage}.p = getelementptr ptr, ptr %io, i64 {k}", f"  %{storage} = load ptr, ptr %{storage}.p"]
    for storage, offset in program.offsets.items():
        lines.append(f"  %{storage} = getelementptr i8, ptr %arena, i64 {offset}")
    lines.append(f"  %scratch = getelementptr i8, ptr %arena, i64 {program.arena}")
    for step in program.steps:
        lines += _step(step, program)
    return "\n".join([*lines, "  ret i64 0", "}", ""])


def _step(step: Step, program: Program) -> Sequence[str]:
    match step:
        case Launch(kernel, arguments):
            given = ", ".join(f"ptr %{a}" for a in (*arguments, "scratch"))
            return [f"  call void @{program.kernels[kernel].name}({given})"]
        case Move(target, source, size):
            return [f"  call void @llvm.memcpy.p0.p0.i64(ptr %{target}, ptr %{source}, i64 {size}, i1 false)"]
        case Check(guard, storage):
            return _check(guard, storage)


def _check(guard: int, storage: str) -> Sequence[str]:
    g = f"guard{guard}"
    return [
        f"  %{g} = load i8, ptr %{storage}",
        f"  %{g}.ok = icmp ne i8 %{g}, 0",
        f"  br i1 %{g}.ok, label %{g}.holds, label %{g}.fails",
        f"{g}.fails:",
        f"  ret i64 {guard + 1}",
        f"{g}.holds:",
    ]


def declarations() -> str:
    """What the entry needs declared."""
    return "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)\n"

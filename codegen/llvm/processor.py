"""What processors spell differently, as LLVM IR: how a thread gives way, and how it rounds and treats subnormals.

A thread inherits the latter from the one that made it, and some libraries change it for a whole process.
"""

from __future__ import annotations

from dataclasses import dataclass

from codegen.llvm.target import Target


@dataclass(frozen=True)
class Processor:
    """Instructions of a function, which may call what ``declares`` declares.

    Attributes
    ----------
    pause : str
        A wait of some cycles inside a loop that spins.
    ieee : str
        From here on numbers are rounded to nearest, and subnormal ones are kept.
    save, restore : str
        ``save`` names the mode in force, which ``restore`` brings back.
    declares : str
    """

    pause: str = ""
    ieee: str = ""
    save: str = ""
    restore: str = ""
    declares: str = ""


_X86 = Processor(
    pause="  call void @llvm.x86.sse2.pause()\n",
    ieee="  %ieee = alloca i32\n  store i32 u0x1f80, ptr %ieee\n  call void @llvm.x86.sse.ldmxcsr(ptr %ieee)\n",
    save="  %mode = alloca i32\n  call void @llvm.x86.sse.stmxcsr(ptr %mode)\n",
    restore="  call void @llvm.x86.sse.ldmxcsr(ptr %mode)\n",
    declares="""declare void @llvm.x86.sse2.pause()
declare void @llvm.x86.sse.ldmxcsr(ptr)
declare void @llvm.x86.sse.stmxcsr(ptr)
""",
)
_ARM = Processor(
    pause="  call void @llvm.aarch64.hint(i32 1)\n",
    ieee="  call void @llvm.aarch64.set.fpcr(i64 0)\n",
    save="  %mode = call i64 @llvm.aarch64.get.fpcr()\n",
    restore="  call void @llvm.aarch64.set.fpcr(i64 %mode)\n",
    declares="""declare void @llvm.aarch64.hint(i32)
declare void @llvm.aarch64.set.fpcr(i64)
declare i64 @llvm.aarch64.get.fpcr()
""",
)
_PROCESSORS = {"x86_64": _X86, "aarch64": _ARM, "arm64": _ARM}


def processor(target: Target) -> Processor:
    """That of ``target``; one that is not known waits without pause, and keeps the mode it is in."""
    return _PROCESSORS.get(target.triple.split("-")[0], Processor())

"""Programs to object code, in pieces: LLVM works on some kernels while the text of the next ones is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from codegen.kernel import Kernel
from codegen.llvm.beside import Beside
from codegen.llvm.emit import Module
from codegen.llvm.entry import checked_entry_text, declarations, entry_text, timed_entry_text
from codegen.llvm.target import Target, emit_object
from codegen.program import Program

PIECE = 1 << 15  # characters: enough that a module of its own costs little beside them


def program_module(program: Program, timed: bool = False, agreed: Kernel | None = None) -> Module:
    """The program as one LLVM IR module, with the entry that measures its steps if ``timed``.

    Given the kernel of ``agreement`` it has the checked entry too.
    """
    module = kernel_module(program.kernels)
    _add_entry(module, program, timed, agreed)
    return module


def kernel_module(kernels: Iterable[Kernel]) -> Module:
    """Kernels as one LLVM IR module."""
    module = Module()
    for kernel in kernels:
        module.add(kernel)
    return module


def assemble(program: Program, target: Target, agreed: Kernel | None = None) -> tuple[list[bytes], int]:
    """(objects that together define the entry, bytes of scratch for one worker)."""
    with Beside() as llvm:
        scratch, work = 0, []
        for module in _pieces(program, agreed):
            scratch = max(scratch, module.scratch)
            work.append(llvm.begin(emit_object, module.text(), target))
        return [done.result() for done in work], scratch


def _pieces(program: Program, agreed: Kernel | None) -> Iterator[Module]:
    """The program as modules; the entry is in the last."""
    module, here = Module(), set[str]()
    for kernel in program.kernels:
        if module.size > PIECE:
            yield module
            module, here = Module(), set()
        module.add(kernel)
        here.add(kernel.name)
    for kernel in program.kernels:
        if kernel.name not in here:
            module.declares.add(f"declare void @{kernel.name}({', '.join(['ptr'] * (len(kernel.buffers) + 1))})")
    _add_entry(module, program, False, agreed)
    yield module


def _add_entry(module: Module, program: Program, timed: bool, agreed: Kernel | None) -> None:
    module.functions.append(timed_entry_text(program) if timed else entry_text(program))
    module.declares.add(declarations(timed))
    if agreed is not None:
        module.add(agreed)
        module.functions.append(checked_entry_text(agreed, program.layout))

"""NVIDIA's run-time compiler, by ctypes: CUDA C to machine code. It needs no GPU and no driver."""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from symgraph.errors import BackendError

# No contraction: a*b + c is rounded twice, as everywhere; the rest is as IEEE says by default.
OPTIONS = ("--std=c++17", "--fmad=false", "--disable-warnings", "--ptxas-options=-v")
_USED = re.compile(
    r"Function properties for (\w+)\n\D*(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads"
    r".*?Used (\d+) registers",
    re.DOTALL,
)


@dataclass(frozen=True)
class Usage:
    """What a kernel takes of a processor: registers of a thread, bytes of its stack, and bytes put off to memory."""

    registers: int
    stack: int
    spilled: int


@dataclass(frozen=True)
class Cubin:
    """Machine code of a module, and what each of its kernels takes."""

    code: bytes
    usage: dict[str, Usage]


@cache
def library() -> ctypes.CDLL:
    """The compiler's library.

    Raises
    ------
    BackendError
        If there is none.
    """
    for path in (*in_packages("libnvrtc.so.*"), *filter(None, [ctypes.util.find_library("nvrtc")])):
        with contextlib.suppress(OSError):
            for builtins in in_packages("libnvrtc-builtins.so.*"):  # the library looks for it by name alone
                ctypes.CDLL(builtins)
            return ctypes.CDLL(path)
    raise BackendError(
        "backend='cuda' compiles with NVRTC, which was not found\n"
        "install it: pip install nvidia-cuda-nvrtc, or the CUDA toolkit"
    )


def in_packages(pattern: str) -> list[str]:
    """Where NVIDIA's wheels put a library."""
    found = importlib.util.find_spec("nvidia")
    folders = list(found.submodule_search_locations or ()) if found else []
    return sorted(str(p) for f in folders for p in Path(f).glob(f"*/lib/{pattern}"))


def version() -> str:
    """Of the compiler."""
    numbers = ctypes.c_int(), ctypes.c_int()
    _succeed(library().nvrtcVersion(ctypes.byref(numbers[0]), ctypes.byref(numbers[1])))
    return f"{numbers[0].value}.{numbers[1].value}"


def compile_text(text: str, architecture: str) -> Cubin:
    """The machine code of a module's text.

    Parameters
    ----------
    text : str
    architecture : str
        As in "sm_90".

    Raises
    ------
    BackendError
        If the compiler refuses: the text is ours, so that is our mistake, or the architecture is unknown to it.
    """
    program = ctypes.c_void_p()
    lib = library()
    _succeed(lib.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"module.cu", 0, None, None))
    options = [o.encode() for o in (f"--gpu-architecture={architecture}", *OPTIONS)]
    failed = lib.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    log = _taken(lib.nvrtcGetProgramLogSize, lib.nvrtcGetProgramLog, program).rstrip(b"\0").decode()
    if failed:
        raise BackendError(f"NVRTC {version()} refuses a module for {architecture}:\n{log[:4000]}")
    code = _taken(lib.nvrtcGetCUBINSize, lib.nvrtcGetCUBIN, program)
    _succeed(lib.nvrtcDestroyProgram(ctypes.byref(program)))
    return Cubin(code, read_usage(log))


def read_usage(log: str) -> dict[str, Usage]:
    """What the assembler says of each kernel."""
    return {
        name: Usage(int(registers), int(stack), int(stores) + int(loads))
        for name, stack, stores, loads, registers in _USED.findall(log)
    }


def _taken(size: Callable[..., int], fill: Callable[..., int], program: ctypes.c_void_p) -> bytes:
    count = ctypes.c_size_t()
    _succeed(size(program, ctypes.byref(count)))
    held = ctypes.create_string_buffer(count.value)
    _succeed(fill(program, held))
    return held.raw


def _succeed(status: int) -> None:
    if status:
        raise BackendError(f"NVRTC failed with status {status}")

"""How long each step of a program takes: the same kernels under an entry that reads the clock between them."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence

import numpy as np

from codegen.llvm.entry import TIMED
from codegen.llvm.target import Library, Target, emit_object, load
from symgraph.errors import BackendError

_ENTRY = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)


class TimedProgram:
    """A program whose steps are measured.

    Parameters
    ----------
    text : str
        LLVM IR with the timed entry.
    target : Target
    steps : int
        How many the program has.

    Raises
    ------
    BackendError
        Where the system has no ``clock_gettime``.
    """

    def __init__(self, text: str, target: Target, steps: int) -> None:
        if os.name != "posix":
            raise BackendError("measuring single kernels needs clock_gettime, which this system does not have")
        self._library: Library = load([emit_object(text, target)])
        self._entry = _ENTRY(self._library.address(TIMED))
        self._times = np.zeros((steps + 1, 2), np.int64)

    def run(self, pointers: Sequence[int]) -> np.ndarray:
        """Seconds of each step of one call; LookupError with the number of a precondition that fails."""
        io = (ctypes.c_void_p * len(pointers))(*pointers)
        failed = self._entry(ctypes.addressof(io), self._times.ctypes.data)
        if failed:
            raise LookupError(failed - 1)
        seconds: np.ndarray = np.diff(self._times, axis=0) @ np.array([1.0, 1e-9])
        return seconds

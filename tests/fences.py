"""Arrays against pages without access."""

from __future__ import annotations

import ctypes
import mmap

import numpy as np

PAGE = mmap.PAGESIZE
PLACES = ("", "before the fence", "behind the fence")
_NONE = 0  # PROT_NONE
_protect = getattr(ctypes.CDLL(None), "mprotect", None)


def fenced(a: np.ndarray, place: str) -> np.ndarray:
    """A copy of ``a`` that ends where a page without access begins, or begins where one ends; "" is anywhere."""
    if not place:
        return np.array(a)
    pages = -(-max(a.nbytes, 1) // PAGE)
    memory = mmap.mmap(-1, (pages + 2) * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for fence in (0, pages + 1):
        assert _protect(ctypes.c_void_p(start + fence * PAGE), PAGE, _NONE) == 0
    offset = PAGE if place == PLACES[2] else (pages + 1) * PAGE - a.nbytes
    placed = np.frombuffer(memory, a.dtype, a.size, offset).reshape(a.shape)
    placed[...] = a
    return placed

"""A device with no GPU, for tests: the CUDA text of a module, compiled by the host's C++ compiler.

Memory is the host's, with guard bytes around each piece and NaN in what is fresh. Captured launches are recorded and
replayed. It is slow, and never a fallback: ``device="simulate"`` asks for it by name.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from codegen.cache import Cache
from codegen.cuda.device import ALLOCATION_ALIGNMENT, Multiplier
from codegen.cuda.emit import Function, Module
from codegen.cuda.matrices import Matrix, MatrixProduct
from codegen.cuda.spell import TYPES
from codegen.cuda.tensors import rounded
from symgraph import config
from symgraph.errors import BackendError
from symgraph.expression import evaluate, load
from symgraph.types import SIZES

GUARD = 256  # bytes before and behind each piece of memory
PLACE = (12, 0)  # of its memory in DLPack: that of another device than the host, whose libraries must not take it
_UNTOUCHED, _POISON = 0xA5, 0xFF
_HEADER = (Path(__file__).parent / "simulate.h").read_text()
_FLAGS = "-std=c++17 -O1 -ffp-contract=off -fwrapv -fno-strict-aliasing -march=native -shared -fPIC -w".split()
_running = threading.Lock()  # fibres are the library's own


class DeviceFault(BackendError):
    """A kernel did what would go wrong on a GPU: our mistake, never the user's."""


class SimulatedArray:
    """An array in the device's memory: it speaks DLPack, and nothing that runs on the host takes it.

    Attributes
    ----------
    data : ndarray
        What the host would see if it could.
    """

    def __init__(self, data: np.ndarray) -> None:
        self.data = data
        self.shape, self.dtype, self.ndim, self.nbytes = data.shape, data.dtype, data.ndim, data.nbytes

    def __dlpack__(self, *, dl_device: tuple[int, int] | None = None, **options: Any) -> Any:
        if dl_device != PLACE:
            raise BufferError("the array is in the memory of the simulated device")
        return self.data.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return PLACE


class _Import:
    """A tensor as one of the host, for NumPy to take."""

    def __init__(self, tensor: Any) -> None:
        self._tensor = tensor

    def __dlpack__(self, **options: Any) -> Any:
        return self._tensor.__dlpack__(**{**options, "dl_device": PLACE})

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


class SimulatedMemory:
    """A piece of memory between guard bytes."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._bytes = np.full(size + 2 * GUARD + ALLOCATION_ALIGNMENT, _UNTOUCHED, np.uint8)
        start = self._bytes.ctypes.data
        self.address = -(-(start + GUARD) // ALLOCATION_ALIGNMENT) * ALLOCATION_ALIGNMENT
        self._first = self.address - start
        self._bytes[self._first : self._first + size] = _POISON

    def array(self, dtype: np.dtype, shape: tuple[int, ...]) -> SimulatedArray:
        """Its bytes as elements."""
        size = dtype.itemsize * int(np.prod(shape))
        return SimulatedArray(self._bytes[self._first : self._first + size].view(dtype).reshape(shape))

    def is_whole(self) -> bool:
        """Whether nothing was written outside of it."""
        before, behind = self._bytes[: self._first], self._bytes[self._first + self.size :]
        return bool((before == _UNTOUCHED).all() and (behind == _UNTOUCHED).all())


class SimulatedDevice:
    """The host in place of a GPU.

    Parameters
    ----------
    backwards : bool
        Run the warps of a block in the other order.
    """

    name, capability, place, library = "simulate", (9, 0), PLACE, "NumPy"

    def __init__(self, backwards: bool = False) -> None:
        self.backwards = backwards
        self._memory: weakref.WeakSet[SimulatedMemory] = weakref.WeakSet()
        self._staged: list[weakref.ref[np.ndarray]] = []
        self._recorded: list[Callable[[], None]] | None = None
        self._launched: dict[str, None] = {}

    def allocate(self, size: int) -> SimulatedMemory:
        """Poisoned memory."""
        self._refuse_in_capture("allocates memory")
        memory = SimulatedMemory(size)
        self._memory.add(memory)
        return memory

    def load(self, module: Module) -> SimulatedModule:
        """The module, compiled for the host."""
        return SimulatedModule(self, module)

    def gemm(self, product: MatrixProduct) -> Multiplier:
        """By NumPy, in float64, rounded once."""
        return lambda addresses: self.ask(lambda: self._multiply(product, addresses))

    def _multiply(self, product: MatrixProduct, addresses: Sequence[int]) -> None:
        self._launched["a product of matrices"] = None
        matrices = product.y, product.a, product.b
        for m, address in zip(matrices, addresses, strict=True):
            if (address + m.start) % m.alignment:
                raise DeviceFault(f"a matrix is not where it was promised: at no multiple of {m.alignment} bytes")
        y, a, b = map(_elements, matrices, addresses, product.shapes)
        with np.errstate(all="ignore"):
            y[...] = _factor(a, product.a, product.precision) @ _factor(b, product.b, product.precision)

    def stage(self, size: int) -> np.ndarray:
        """Memory of the host like any other, but known."""
        self._refuse_in_capture("allocates memory")
        made = np.zeros(size, np.uint8)
        self._staged = [r for r in self._staged if r() is not None] + [weakref.ref(made)]
        return made

    def write(self, address: int, array: np.ndarray) -> None:
        """Copy at once, or record it where the array is staged."""
        if not self._is_staged(array):
            self._refuse_in_capture("writes from the host")
        self.ask(lambda: ctypes.memmove(address, array.ctypes.data, array.nbytes))

    def bring(self, address: int, array: np.ndarray) -> None:
        """Copy at once, or record it."""
        if not self._is_staged(array):
            raise DeviceFault("memory of the host is filled that is not staged")
        self.ask(lambda: ctypes.memmove(array.ctypes.data, address, array.nbytes))

    def _is_staged(self, array: np.ndarray) -> bool:
        return any(np.may_share_memory(array, s) for r in self._staged if (s := r()) is not None)

    def read(self, address: int, array: np.ndarray) -> None:
        """Copy at once, after a look at all guard bytes."""
        self._refuse_in_capture("reads to the host")
        self.wait()
        ctypes.memmove(array.ctypes.data, address, array.nbytes)

    def copy(self, target: int, source: int, size: int) -> None:
        """Copy at once, or record it."""
        self.ask(lambda: ctypes.memmove(target, source, size))

    def as_array(self, value: Any, dtype: np.dtype | None = None) -> SimulatedArray:
        """A copy only where it is not contiguous, or of another dtype."""
        self._refuse_in_capture("takes a tensor")
        return SimulatedArray(np.require(np.from_dlpack(_Import(value)), dtype, "C"))

    def address(self, array: SimulatedArray) -> int:
        """Of its first element."""
        return array.data.ctypes.data

    def ask(self, work: Callable[[], object]) -> None:
        """Do ``work``, or record it while a capture is going on."""
        if self._recorded is None:
            work()
        else:
            self._recorded.append(lambda: (work(), None)[1])

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        """The recorded launches and copies, one after the other."""
        self._refuse_in_capture("captures again")
        recorded = self._recorded = []
        try:
            work()
        finally:
            self._recorded = None

        def replay() -> None:
            for step in recorded:
                step()

        return replay

    def wait(self) -> None:
        """All is done already: look at the guard bytes.

        Raises
        ------
        DeviceFault
            If a kernel wrote outside of its storages.
        """
        self._refuse_in_capture("waits")
        harmed = [m.size for m in list(self._memory) if not m.is_whole()]
        launched, self._launched = ", ".join(self._launched) or "a copy", {}
        if harmed:
            raise DeviceFault(f"one of {launched} wrote outside of a storage of {harmed[0]} bytes")

    def settle(self) -> None:
        """There is nobody else."""
        self.wait()

    def seconds(self, work: Callable[[], None]) -> float:
        """Of the host."""
        start = perf_counter()
        work()
        return perf_counter() - start

    def run(self, entry: Callable[..., bytes | None], function: Function, addresses: Sequence[int]) -> None:
        """Launch a compiled function now."""
        extents = (ctypes.c_int * 6)(*function.grid, *function.block)
        given = (ctypes.c_void_p * len(addresses))(*addresses)
        self._launched[function.name] = None
        with _running:
            wrong = entry(extents, int(function.together), int(self.backwards), given)
        if wrong:
            raise DeviceFault(f"{function.name}: {wrong.decode()}")

    def _refuse_in_capture(self, what: str) -> None:
        if self._recorded is not None:
            raise DeviceFault(f"a captured run {what}, which no GPU can replay")


class SimulatedModule:
    """A module compiled for the host."""

    def __init__(self, device: SimulatedDevice, module: Module) -> None:
        self._device = device
        self._library = _loaded(host_text(module))
        self._entries = {f.name: self._entry(f.name) for f in module.functions}

    def _entry(self, name: str) -> Callable[..., bytes | None]:
        entry = getattr(self._library, f"launch_{name}")
        entry.restype = ctypes.c_char_p
        found: Callable[..., bytes | None] = entry
        return found

    def launch(self, function: Function, addresses: Sequence[int]) -> None:
        """Run a function, or record it."""
        self._device.ask(lambda: self._device.run(self._entries[function.name], function, addresses))


def _elements(m: Matrix, address: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Matrices in the device's memory."""
    size = SIZES[m.stored]
    held = (ctypes.c_uint8 * (m.extent(*shape) * size)).from_address(address + m.start)
    flat = np.ctypeslib.as_array(held).view(m.stored)
    return np.lib.stride_tricks.as_strided(flat, shape, [s * size for s in (m.stack, m.row, m.column)])


def _factor(elements: np.ndarray, m: Matrix, precision: str) -> np.ndarray:
    """The numbers that are multiplied."""
    if m.dtype == "bfloat16":
        elements = (elements.astype("uint32") << 16).view("float32")
    if m.dtype == "float32" and precision == "tf32":
        (elements,) = evaluate([rounded(load(0, (), "float32"), precision)], lambda e: elements)
    return elements.astype("float64")


def host_text(module: Module) -> str:
    """The module's own text, with what stands before it and the entries behind it."""
    return "\n".join(['#include "simulate.h"', module.text(), *map(_launcher, module.functions), ""])


def _launcher(f: Function) -> str:
    pointers = ", ".join(f"({TYPES[b.dtype]}*)a[{k}]" for k, b in enumerate(f.parameters))
    return (
        f'extern "C" const char* launch_{f.name}(const int* extents, int together, int backwards, void** given) {{\n'
        f"  return gpu::launch([](void** a) {{ {f.name}({pointers}); }}, extents, together, backwards, given);\n}}"
    )


def _loaded(text: str) -> ctypes.CDLL:
    """The library of a text; its compiled form is kept on disk."""
    cache_ = Cache(config.settings().cache)
    key = Cache.key("simulate", text, _HEADER, " ".join(_FLAGS), *compiler())
    code = cache_.get(key)
    if code is None:
        code = _compiled(text)
        cache_.put(key, code)
    with tempfile.TemporaryDirectory(prefix="symgraph") as folder:
        path = os.path.join(folder, "module.so")
        Path(path).write_bytes(code)
        return ctypes.CDLL(path)


def _compiled(text: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="symgraph") as folder:
        source, target = Path(folder, "module.cpp"), Path(folder, "module.so")
        source.write_text(text)
        Path(folder, "simulate.h").write_text(_HEADER)
        done = subprocess.run(
            [compiler()[0], *_FLAGS, str(source), "-o", str(target)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise DeviceFault(f"the C++ compiler refuses a module:\n{done.stderr[:4000]}")
        return target.read_bytes()


@cache
def compiler() -> tuple[str, str]:
    """The host's C++ compiler, and what it says of itself and of the processor.

    Raises
    ------
    BackendError
        If there is none, or the system's object files are not those that ``simulate.h`` is written for.
    """
    if sys.platform != "linux":
        raise BackendError(f"device='simulate' is for Linux, this is {sys.platform}\nuse another backend")
    path = next(filter(None, map(shutil.which, (os.environ.get("CXX", "g++"), "g++", "clang++"))), None)
    if path is None:
        raise BackendError(
            "device='simulate' needs a C++ compiler, and found neither g++ nor clang++\n"
            "install one, or name one in the environment variable CXX"
        )
    macros = [path, "-march=native", "-dM", "-E", "-x", "c++", os.devnull]
    return path, subprocess.run(macros, capture_output=True, text=True, check=True).stdout

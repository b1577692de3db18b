"""A GPU through CuPy: its memory pool, a stream of our own, modules as cubins, captured graphs.

Of CuPy only what is safe in a capture is used: launches and copies on our stream; its products of matrices are not, so
those are cuBLASLt's own (``codegen.cuda.cublas``). A kernel's arguments are pointers, as integers, which CuPy hands
on as 64 bits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from codegen.cache import Cache
from codegen.cuda.cublas import WORKSPACE, CublasLt
from codegen.cuda.device import Multiplier
from codegen.cuda.emit import Function, Module
from codegen.cuda.matrices import MatrixProduct
from codegen.cuda.nvrtc import OPTIONS, Cubin, Usage, compile_text, version
from symgraph import config
from symgraph.errors import BackendError
from symgraph.lazy import lazy
from symgraph.types import SIZES

MEND = "or use backend='llvm', which needs no GPU"


def _cupy() -> Any:
    """The module.

    Raises
    ------
    BackendError
        If it is not installed.
    """
    try:
        import cupy
    except ImportError as error:
        raise BackendError(
            f"backend='cuda' needs CuPy, which cannot be imported: {error}\n"
            f"install it: pip install 'symgraph[gpu]' (for CUDA 12: cupy-cuda12x), {MEND}"
        ) from error
    return cupy


def _checked(cupy: Any, number: int) -> None:
    """Whether there is a driver, and that GPU."""
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise BackendError(
            f"backend='cuda' found no GPU that it can use: {error}\n"
            f"install NVIDIA's driver (nvidia-smi tells whether it works), {MEND}"
        ) from error
    if number >= count:
        has = "there is no GPU" if not count else f"the GPUs are numbered 0 to {count - 1}"
        raise BackendError(f"there is no GPU {number}: {has}\nset device to another (SYMGRAPH_DEVICE), {MEND}")


class GpuMemory:
    """A piece of CuPy's pool."""

    def __init__(self, cupy: Any, pointer: Any) -> None:
        self._cupy, self._pointer = cupy, pointer  # gives it back when it goes
        self.address = int(pointer.ptr)

    def array(self, dtype: np.dtype, shape: tuple[int, ...]) -> Any:
        """CuPy's."""
        return self._cupy.ndarray(shape, dtype, memptr=self._pointer)


class Gpu:
    """A GPU by its number."""

    def __init__(self, number: int) -> None:
        self._cupy = _cupy()
        _checked(self._cupy, number)
        self._device = self._cupy.cuda.Device(number)
        with self._device:
            # the null stream cannot be captured
            self._stream = self._cupy.cuda.Stream(non_blocking=True)
        numbers = str(self._device.compute_capability)
        self.architecture, self.capability = f"sm_{numbers}", (int(numbers[:-1]), int(numbers[-1]))
        self.place = 2, number  # DLPack: kDLCUDA
        properties = self._cupy.cuda.runtime.getDeviceProperties(number)
        self.name = f"{properties['name'].decode()} ({self.architecture})"
        self._products: dict[MatrixProduct, Multiplier | None] = {}

    def allocate(self, size: int) -> GpuMemory:
        """Of CuPy's pool."""
        try:
            with self._device, self._stream:
                return GpuMemory(self._cupy, self._cupy.cuda.alloc(size))
        except self._cupy.cuda.memory.OutOfMemoryError as error:
            raise BackendError(
                f"the GPU has not enough memory: {error}\nmake batches smaller, or set fewer values shared"
            ) from error

    def load(self, module: Module) -> GpuModule:
        """The module's cubin, from the disk if it was compiled before."""
        return GpuModule(self, module, self._cubin(module.text()))

    def _cubin(self, text: str) -> Cubin:
        cache = Cache(config.settings().cache)
        key = Cache.key("cuda", text, self.architecture, version(), " ".join(OPTIONS))
        found = cache.get(key)
        if found is not None:
            head, _, code = found.partition(b"\n")
            return Cubin(code, {name: Usage(**u) for name, u in json.loads(head).items()})
        made = compile_text(text, self.architecture)
        head = json.dumps({name: asdict(u) for name, u in made.usage.items()}).encode()
        cache.put(key, head + b"\n" + made.code)
        return made

    @property
    def library(self) -> str:
        """cuBLASLt and its version, or why there is none."""
        found = self._blas
        return found.name if isinstance(found, CublasLt) else f"none: {found}"

    @lazy
    def _blas(self) -> CublasLt | BackendError:
        try:
            with self._device:
                return CublasLt()
        except BackendError as error:
            return error

    @lazy
    def _workspace(self) -> GpuMemory:
        """The library's; one is enough, for products are done one after the other."""
        return self.allocate(WORKSPACE)

    def gemm(self, product: MatrixProduct) -> Multiplier | None:
        """By cuBLASLt, where there is one that does it."""
        if product not in self._products:
            self._products[product] = self._multiplier(product)
        return self._products[product]

    def _multiplier(self, product: MatrixProduct) -> Multiplier | None:
        library = self._blas
        if not isinstance(library, CublasLt):
            return None
        try:
            description = library.describe(product)
        except BackendError:
            return None
        with self._device:
            chosen = library.algorithm(description)
        if chosen is None:
            return None

        def ask(addresses: Sequence[int]) -> None:
            with self._device:
                library.multiply(description, chosen, addresses, self._workspace.address, self._stream.ptr)

        return ask if self._does(ask, product) else None

    def _does(self, ask: Multiplier, product: MatrixProduct) -> bool:
        """Whether a product is done, in memory that nobody sees.

        What the library loads for its first call it loads now: a capture might not allow it.
        """
        matrices = zip((product.y, product.a, product.b), product.shapes, strict=True)
        try:
            held = [self.allocate(m.start + m.extent(*shape) * SIZES[m.stored]) for m, shape in matrices]
            ask([memory.address for memory in held])
        except BackendError:
            return False
        self.wait()
        return True

    def stage(self, size: int) -> np.ndarray:
        """Pinned memory."""
        with self._device:
            return np.frombuffer(self._cupy.cuda.alloc_pinned_memory(max(size, 1)), np.uint8, size)

    def write(self, address: int, array: np.ndarray) -> None:
        """On the stream; pageable memory is staged before this comes back."""
        self._move(address, array.ctypes.data, array.nbytes, "memcpyHostToDevice")

    def read(self, address: int, array: np.ndarray) -> None:
        """On the stream, and wait."""
        self._move(array.ctypes.data, address, array.nbytes, "memcpyDeviceToHost")
        self.wait()

    def bring(self, address: int, array: np.ndarray) -> None:
        """On the stream."""
        self._move(array.ctypes.data, address, array.nbytes, "memcpyDeviceToHost")

    def copy(self, target: int, source: int, size: int) -> None:
        """On the stream."""
        self._move(target, source, size, "memcpyDeviceToDevice")

    def as_array(self, value: Any, dtype: np.dtype | None = None) -> Any:
        """CuPy's; the stream waits for the one on which the tensor is made."""
        with self._device, self._stream:
            given = self._cupy.from_dlpack(value)
            return self._cupy.ascontiguousarray(given, dtype).reshape(given.shape)

    def address(self, array: Any) -> int:
        """Of its first element."""
        return int(array.data.ptr)

    def _move(self, target: int, source: int, size: int, kind: str) -> None:
        runtime = self._cupy.cuda.runtime
        if size:
            with self._device:
                runtime.memcpyAsync(target, source, size, getattr(runtime, kind), self._stream.ptr)

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        """A graph of what ``work`` asks for, uploaded."""
        with self._device:
            # other threads may use the GPU meanwhile, on streams of their own
            self._stream.begin_capture(self._cupy.cuda.runtime.streamCaptureModeThreadLocal)
            try:
                work()
            finally:
                graph = self._stream.end_capture()
            graph.upload(self._stream)

        def replay() -> None:
            with self._device:
                graph.launch(self._stream)

        return replay

    def wait(self) -> None:
        """For the stream."""
        with self._device:
            self._stream.synchronize()

    def settle(self) -> None:
        """For all streams."""
        with self._device:
            self._device.synchronize()

    def seconds(self, work: Callable[[], None]) -> float:
        """By events on the stream."""
        with self._device:
            begin, end = self._cupy.cuda.Event(), self._cupy.cuda.Event()
            begin.record(self._stream)
            work()
            end.record(self._stream)
            end.synchronize()
        return float(self._cupy.cuda.get_elapsed_time(begin, end)) / 1000

    def functions(self, module: Module, code: bytes) -> dict[str, Callable[[Sequence[int]], None]]:
        """What launches each function of a module."""
        with self._device:
            loaded = self._cupy.cuda.function.Module()
            loaded.load(code)
            return {f.name: self._launcher(loaded.get_function(f.name), f) for f in module.functions}

    def _launcher(self, function: Any, f: Function) -> Callable[[Sequence[int]], None]:
        def launch(addresses: Sequence[int]) -> None:
            with self._device:
                function(f.grid, f.block, tuple(addresses), stream=self._stream)

        return launch


class GpuModule:
    """A module on a GPU.

    Attributes
    ----------
    usage : dict
        What each function takes of a processor.
    """

    def __init__(self, gpu: Gpu, module: Module, cubin: Cubin) -> None:
        self.usage = cubin.usage
        self._functions = gpu.functions(module, cubin.code)

    def launch(self, function: Function, addresses: Sequence[int]) -> None:
        """On the device's stream."""
        self._functions[function.name](addresses)

"""What a GPU's runtime asks of CuPy, on the host's memory: it keeps to the rules of streams and captures."""

from __future__ import annotations

import contextlib
import ctypes
import re
from types import SimpleNamespace

import numpy as np

from codegen.cuda.nvrtc import Cubin, Usage
from codegen.cuda.simulate import _loaded

KERNEL = re.compile(r'extern "C" __global__ void __launch_bounds__\([\d, ]+\) (\w+)\((.*?)\) \{')


class CUDARuntimeError(RuntimeError):
    pass


class OutOfMemoryError(MemoryError):
    pass


class Device(contextlib.nullcontext):
    compute_capability = "90"

    def __init__(self, number):
        super().__init__()

    def synchronize(self):
        assert STREAMS[-1].recorded is None, "a capture cannot wait"


class Stream(contextlib.nullcontext):
    """Does what it is asked at once, or records it."""

    ptr = 77

    def __init__(self, non_blocking):
        super().__init__()
        assert non_blocking
        self.recorded = None
        STREAMS.append(self)

    def ask(self, work):
        if self.recorded is None:
            work()
        else:
            self.recorded.append(work)

    def begin_capture(self, mode):
        assert self.recorded is None and mode == 1
        self.recorded = []

    def end_capture(self):
        recorded, self.recorded = self.recorded, None
        return SimpleNamespace(upload=lambda stream: None, launch=lambda stream: [step() for step in recorded])

    def synchronize(self):
        assert self.recorded is None, "a capture cannot wait"


STREAMS: list[Stream] = []
LIMIT = 1 << 30


def alloc(size):
    if size > LIMIT:
        raise OutOfMemoryError(f"Out of memory allocating {size} bytes")
    held = np.full(size + 512, 0xFF, np.uint8)
    return SimpleNamespace(ptr=-(-held.ctypes.data // 512) * 512, held=held)


PINNED: list[np.ndarray] = []


def alloc_pinned_memory(size):
    PINNED.append(np.zeros(size, np.uint8))
    return memoryview(PINNED[-1])


def is_pinned(address):
    return any(p.ctypes.data <= address < p.ctypes.data + p.size for p in PINNED)


class ndarray:
    """An array on the device."""

    def __init__(self, shape, dtype, memptr):
        at = memptr.ptr - memptr.held.ctypes.data
        size = np.dtype(dtype).itemsize * int(np.prod(shape))
        self._hold(memptr.held[at : at + size].view(dtype).reshape(shape))

    def _hold(self, host):
        self.host = host
        self.shape, self.dtype, self.ndim, self.nbytes = host.shape, host.dtype, host.ndim, host.nbytes
        self.data = SimpleNamespace(ptr=host.ctypes.data)
        return self

    def get(self):
        return self.host.copy()

    def reshape(self, shape):
        return of_host(self.host.reshape(shape))

    def __dlpack__(self, *, on_gpu=False, **options):
        if not on_gpu:
            raise BufferError("the array is on the GPU")
        return self.host.__dlpack__(**options)

    def __dlpack_device__(self):
        return 2, 0


def of_host(array):
    return ndarray.__new__(ndarray)._hold(array)


class Export:
    """A tensor on the GPU, as NumPy takes it."""

    def __init__(self, tensor):
        self.__dlpack__ = lambda **options: tensor.__dlpack__(on_gpu=True, **options)
        self.__dlpack_device__ = lambda: (1, 0)


def from_dlpack(tensor):
    assert tensor.__dlpack_device__() == (2, 0)
    return of_host(np.from_dlpack(Export(tensor)))


def memcpyAsync(target, source, size, kind, stream):
    assert stream == Stream.ptr and kind in (1, 2, 3)
    of_host = {1: source, 2: target, 3: None}[kind]
    pageable = of_host is not None and not is_pinned(of_host)
    assert not pageable or STREAMS[-1].recorded is None, "a capture cannot reach pageable memory"
    STREAMS[-1].ask(lambda: ctypes.memmove(target, source, size))


def compile_text(text, architecture):
    """The text itself, for the host's compiler."""
    assert architecture == "sm_90"
    return Cubin(text.encode(), {name: Usage(32, 0, 0) for name, _ in KERNEL.findall(text)})


class Module:
    def load(self, code):
        text = code.decode()
        entries = [
            f'extern "C" const char* launch_{name}(const int* extents, int together, int backwards, void** given) {{\n'
            f"  return gpu::launch([](void** a) {{ {name}({pointers(parameters)}); }},"
            " extents, together, backwards, given);\n}"
            for name, parameters in KERNEL.findall(text)
        ]
        self.library = _loaded("\n".join(['#include "simulate.h"', text, *entries, ""]))
        self.parameters = {name: parameters.count("*") for name, parameters in KERNEL.findall(text)}

    def get_function(self, name):
        entry = getattr(self.library, f"launch_{name}")
        entry.restype = ctypes.c_char_p

        def launch(grid, block, arguments, stream):
            assert len(arguments) == self.parameters[name] and all(type(a) is int for a in arguments)
            given = (ctypes.c_void_p * len(arguments))(*arguments)
            stream.ask(lambda: check(entry((ctypes.c_int * 6)(*grid, *block), 1, 0, given)))

        return launch


def check(wrong):
    assert wrong is None, wrong


def pointers(parameters):
    kinds = [p.rpartition("* __restrict__")[0].removeprefix("const ") for p in parameters.split(", ")]
    return ", ".join(f"({kind}*)a[{k}]" for k, kind in enumerate(kinds))


class Event:
    def record(self, stream):
        assert stream is STREAMS[-1]

    def synchronize(self):
        pass


def module(count=1):
    """The package, on a machine with ``count`` GPUs; None means no driver."""

    def get_device_count():
        if count is None:
            raise CUDARuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient")
        return count

    runtime = SimpleNamespace(
        getDeviceCount=get_device_count, CUDARuntimeError=CUDARuntimeError, memcpyAsync=memcpyAsync,
        getDeviceProperties=lambda number: {"name": b"Some GPU"},
        streamCaptureModeThreadLocal=1, memcpyHostToDevice=1, memcpyDeviceToHost=2, memcpyDeviceToDevice=3,
    )  # fmt: skip
    cuda = SimpleNamespace(
        runtime=runtime, Device=Device, Stream=Stream, Event=Event, alloc=alloc,
        alloc_pinned_memory=alloc_pinned_memory,
        memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError), function=SimpleNamespace(Module=Module),
        get_elapsed_time=lambda begin, end: 1.5,
    )  # fmt: skip
    return SimpleNamespace(
        cuda=cuda, ndarray=ndarray, from_dlpack=from_dlpack,
        ascontiguousarray=lambda a, dtype=None: of_host(np.ascontiguousarray(a.host, dtype)),
    )  # fmt: skip

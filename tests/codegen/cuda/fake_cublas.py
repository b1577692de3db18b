"""What our calls of cuBLASLt are answered, on the host's memory, as NVIDIA documents them: matrices by columns."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field

import numpy as np

DTYPES = {0: "float32", 1: "float64", 2: "float16", 14: "uint16"}
SCALES = {68: 0, 70: 1, 77: 0}  # compute type -> the type of alpha and beta that goes with it


@dataclass
class Descriptor:
    """A description by the arguments of its creation, and its attributes."""

    kind: str
    arguments: tuple
    attributes: dict = field(default_factory=dict)


def plain(value):
    return value.value if hasattr(value, "value") else value


def wide(elements):
    """Numbers as float64; those of 16 bits that are no float16 are the upper halves of float32."""
    if elements.dtype == "uint16":
        elements = (elements.astype("uint32") << 16).view("float32")
    return elements.astype("float64")


class Library:
    """The functions that are called; what is asked for is done on ``stream``, at once or when it is replayed."""

    def __init__(self, stream=None, refused=()):
        self.made, self.destroyed = [], []
        self.stream, self.refused = stream, refused
        self.calls = []

    def cublasLtCreate(self, handle):
        handle._obj.value = 1
        return 0

    def cublasLtGetVersion(self):
        return 130000

    def create(self, kind, made, *arguments):
        self.made.append(Descriptor(kind, tuple(map(plain, arguments))))
        made._obj.value = len(self.made)
        return 0

    def cublasLtMatmulDescCreate(self, made, compute, scale):
        assert SCALES[compute] == scale
        return self.create("operation", made, compute, scale)

    def cublasLtMatrixLayoutCreate(self, made, dtype, rows, columns, leading):
        assert leading.value >= rows.value
        return self.create("layout", made, dtype, rows, columns, leading)

    def cublasLtMatmulPreferenceCreate(self, made):
        return self.create("preference", made)

    def destroy(self, made):
        self.destroyed.append(made.value)
        return 0

    cublasLtMatmulDescDestroy = cublasLtMatrixLayoutDestroy = cublasLtMatmulPreferenceDestroy = destroy

    def set(self, target, attribute, value, size):
        assert size.value == ctypes.sizeof(value._obj)
        self.made[target.value - 1].attributes[attribute] = value._obj.value
        return 0

    cublasLtMatmulDescSetAttribute = cublasLtMatrixLayoutSetAttribute = cublasLtMatmulPreferenceSetAttribute = set

    def cublasLtMatmulAlgoGetHeuristic(self, handle, operation, a, b, c, d, preference, most, found, count):
        assert (handle.value, most, c.value) == (1, 1, d.value)
        (compute, _) = self.made[operation.value - 1].arguments
        found._obj.algorithm.data[0] = 42
        count._obj.value = int(compute not in self.refused)
        return 0

    def cublasLtMatmul(
        self, handle, operation, alpha, a, of_a, b, of_b, beta, c, of_c, d, of_d, algorithm, workspace, size, stream
    ):
        assert handle.value == 1 and algorithm._obj.data[0] == 42 and (c.value, of_c.value) == (d.value, of_d.value)
        assert (alpha._obj.value, beta._obj.value) == (1, 0) and workspace.value and size.value
        attributes = self.made[operation.value - 1].attributes
        self.calls.append(stream.value)

        def multiply():
            left, right, result = (self.matrices(*m) for m in ((a, of_a), (b, of_b), (d, of_d)))
            left = left.swapaxes(1, 2) if attributes.get(3) else left
            right = right.swapaxes(1, 2) if attributes.get(4) else right
            with np.errstate(all="ignore"):
                result[...] = wide(left) @ wide(right)

        if self.stream is None:
            multiply()
        else:
            self.stream().ask(multiply)
        return 0

    def matrices(self, place, layout):
        """(count, rows, columns) in memory."""
        m = self.made[layout.value - 1]
        kind, rows, columns, leading = m.arguments
        dtype = np.dtype(DTYPES[kind])
        count, stack = m.attributes.get(5, 1), m.attributes.get(6, 0)
        elements = (count - 1) * stack + (columns - 1) * leading + rows
        held = (ctypes.c_char * (elements * dtype.itemsize)).from_address(place.value)
        strides = [s * dtype.itemsize for s in (stack, 1, leading)]
        return np.lib.stride_tricks.as_strided(np.frombuffer(held, dtype), (count, rows, columns), strides)

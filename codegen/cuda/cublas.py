"""Products of matrices by NVIDIA's cuBLASLt, by ctypes.

A product is described, and its algorithm chosen, once; then it is one call on a stream, which a capture takes like a
launch: the workspace is ours, and nothing is allocated. What describes a product needs no GPU.

The library's matrices are column-major. A product whose result has contiguous rows is done as y.T = b.T @ a.T.

Reference: NVIDIA, cuBLAS documentation, "Using the cuBLASLt API"; the numbers are those of ``cublasLt.h``.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

from codegen.cuda.matrices import Matrix, MatrixProduct
from codegen.cuda.nvrtc import in_packages
from symgraph.errors import BackendError

WORKSPACE = 32 << 20  # bytes: what NVIDIA advises for its newest GPUs

# cudaDataType_t, cublasComputeType_t, cublasOperation_t
DATA = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 14}
COMPUTE = {"float32": 68, "float64": 70, "tf32": 77}
TRANSPOSED = 1
# cublasLtMatmulDescAttributes_t, cublasLtMatrixLayoutAttribute_t, cublasLtMatmulPreferenceAttributes_t
TRANSPOSE_A, TRANSPOSE_B = 3, 4
BATCH_COUNT, BATCH_STRIDE = 5, 6
MOST_WORKSPACE, ALIGNMENT_A, ALIGNMENT_B, ALIGNMENT_C, ALIGNMENT_D = 1, 5, 6, 7, 8


class Algorithm(ctypes.Structure):
    """cublasLtMatmulAlgo_t."""

    _fields_ = (("data", ctypes.c_uint64 * 8),)


class Heuristic(ctypes.Structure):
    """cublasLtMatmulHeuristicResult_t."""

    _fields_ = (
        ("algorithm", Algorithm), ("workspace", ctypes.c_size_t), ("state", ctypes.c_int), ("waves", ctypes.c_float),
        ("reserved", ctypes.c_int * 4),
    )  # fmt: skip


def libraries() -> Iterator[Any]:
    """Each cuBLASLt that can be loaded: those of NVIDIA's wheels, then the system's."""
    for path in (*in_packages("libcublasLt.so.*"), *filter(None, [ctypes.util.find_library("cublasLt")])):
        with contextlib.suppress(OSError):
            found = ctypes.CDLL(path)
            found.cublasLtGetVersion.restype = ctypes.c_size_t
            yield found


def succeed(status: int, what: str) -> None:
    """Raise BackendError if the library says that a call failed."""
    if status:
        raise BackendError(f"cuBLASLt failed with status {status}: {what}")


class Description:
    """A product as the library is told of it; needs no GPU.

    Attributes
    ----------
    product : MatrixProduct
        With a result of contiguous columns.
    is_turned : bool
        Whether that is the transposed product, so that its factors are b and a.
    operation, preference : c_void_p
    layouts : list of c_void_p
        Of y, a and b.
    alpha, beta : c_float or c_double

    Raises
    ------
    BackendError
        If the library has no words for it.
    """

    def __init__(self, lib: Any, product: MatrixProduct) -> None:
        self._lib = lib
        self.is_turned = product.y.row != 1
        self.product = p = product.by_columns if self.is_turned else product
        wide = p.y.dtype == "float64"
        scalar = ctypes.c_double if wide else ctypes.c_float
        self.alpha, self.beta = scalar(1), scalar(0)
        compute = COMPUTE["float64" if wide else "tf32" if p.precision == "tf32" else "float32"]
        self.operation = self._made("cublasLtMatmulDesc", compute, DATA[p.y.dtype])
        for m, attribute in ((p.a, TRANSPOSE_A), (p.b, TRANSPOSE_B)):
            if m.row != 1:
                self._set("cublasLtMatmulDescSetAttribute", self.operation, attribute, ctypes.c_int32(TRANSPOSED))
        self.layouts = [self._layout(m, shape) for m, shape in zip((p.y, p.a, p.b), p.shapes, strict=True)]
        self.preference = self._made("cublasLtMatmulPreference")
        self._prefer(MOST_WORKSPACE, ctypes.c_uint64(WORKSPACE))
        for attribute, m in ((ALIGNMENT_A, p.a), (ALIGNMENT_B, p.b), (ALIGNMENT_C, p.y), (ALIGNMENT_D, p.y)):
            self._prefer(attribute, ctypes.c_uint32(m.alignment))

    def _made(self, kind: str, *arguments: Any) -> ctypes.c_void_p:
        """A descriptor, destroyed when the description goes."""
        made = ctypes.c_void_p()
        succeed(getattr(self._lib, f"{kind}Create")(ctypes.byref(made), *arguments), f"{kind}Create")
        # not at exit: the library may be gone by then
        weakref.finalize(self, getattr(self._lib, f"{kind}Destroy"), made).atexit = False
        return made

    def _set(self, function: str, target: ctypes.c_void_p, attribute: int, value: Any) -> None:
        given = ctypes.byref(value), ctypes.c_size_t(ctypes.sizeof(value))
        succeed(getattr(self._lib, function)(target, attribute, *given), f"{function} {attribute}")

    def _prefer(self, attribute: int, value: Any) -> None:
        self._set("cublasLtMatmulPreferenceSetAttribute", self.preference, attribute, value)

    def _layout(self, m: Matrix, shape: tuple[int, int, int]) -> ctypes.c_void_p:
        """Of a stack of matrices, or of their transposes where not columns but rows are contiguous."""
        z, rows, columns = shape
        if m.row != 1:
            rows, columns = columns, rows
        extents = ctypes.c_uint64(rows), ctypes.c_uint64(columns), ctypes.c_int64(max(m.row, m.column))
        made = self._made("cublasLtMatrixLayout", DATA[m.dtype], *extents)
        if z > 1:
            self._set("cublasLtMatrixLayoutSetAttribute", made, BATCH_COUNT, ctypes.c_int32(z))
            self._set("cublasLtMatrixLayoutSetAttribute", made, BATCH_STRIDE, ctypes.c_int64(m.stack))
        return made

    def places(self, addresses: Sequence[int]) -> list[ctypes.c_void_p]:
        """Where the matrices of y, a and b begin as they are multiplied, given their storages."""
        y, a, b = addresses
        p = self.product
        given = zip((p.y, p.a, p.b), (y, b, a) if self.is_turned else (y, a, b), strict=True)
        return [ctypes.c_void_p(address + m.start) for m, address in given]


class CublasLt:
    """The library on the current GPU.

    Raises
    ------
    BackendError
        If there is none, or it cannot use the GPU.
    """

    def __init__(self) -> None:
        self._handle = ctypes.c_void_p()
        refused = ""
        for self._lib in libraries():  # a driver takes those of its own time and before
            status = self._lib.cublasLtCreate(ctypes.byref(self._handle))
            self.name = f"cuBLASLt {self._lib.cublasLtGetVersion()}"
            if not status:
                return
            refused += f"{self.name} cannot use the GPU, with status {status}; "
        raise BackendError(f"{refused or 'cuBLASLt was not found; '}install another: pip install nvidia-cublas")

    def describe(self, product: MatrixProduct) -> Description:
        """A product in the library's terms."""
        return Description(self._lib, product)

    def algorithm(self, d: Description) -> Heuristic | None:
        """What the library takes for the best way to do a product; None if it has none."""
        found, count = Heuristic(), ctypes.c_int()
        y, a, b = d.layouts
        status = self._lib.cublasLtMatmulAlgoGetHeuristic(
            self._handle, d.operation, a, b, y, y, d.preference, 1, ctypes.byref(found), ctypes.byref(count)
        )
        return None if status or not count.value or found.state else found

    def multiply(
        self, d: Description, chosen: Heuristic, addresses: Sequence[int], workspace: int, stream: int
    ) -> None:
        """Ask for a product on a stream."""
        y, a, b = d.places(addresses)
        of_y, of_a, of_b = d.layouts
        status = self._lib.cublasLtMatmul(
            self._handle, d.operation, ctypes.byref(d.alpha), a, of_a, b, of_b, ctypes.byref(d.beta), y, of_y, y, of_y,
            ctypes.byref(chosen.algorithm), ctypes.c_void_p(workspace), ctypes.c_size_t(WORKSPACE),
            ctypes.c_void_p(stream),
        )  # fmt: skip
        succeed(status, "cublasLtMatmul")

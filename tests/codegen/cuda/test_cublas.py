"""cuBLASLt is told the products that we mean: as a double of it takes them, and on its own descriptors."""

import ctypes
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from codegen.cuda import cublas
from codegen.cuda.cublas import Algorithm, CublasLt, Description, Heuristic
from codegen.cuda.matrices import Matrix, MatrixProduct
from symgraph.errors import BackendError
from symgraph.types import SIZES
from tests.codegen.cuda.fake_cublas import Library, wide

Z, M, N, K = 3, 5, 7, 4


def matrix(dtype, rows, columns, turned, z, gap=0, offset=0):
    """Matrices side by side, rows ``gap`` elements apart; of one for all of a stack where ``z`` is 0."""
    if turned:
        return matrix(dtype, columns, rows, False, z, gap, offset).turned
    return Matrix(dtype, offset, (columns + gap) * rows if z > 1 else 0, columns + gap, 1)


def product(forms, dtype="float32", z=Z, precision="highest", **shared):
    """y = a @ b, each transposed in memory if its letter is t."""
    y, a, b = (f == "t" for f in forms)
    result = "float64" if dtype == "float64" else "float32"
    return MatrixProduct(
        (z, M, N, K), matrix(result, M, N, y, z), matrix(dtype, M, K, a, shared.get("of_a", z), 3, 2),
        matrix(dtype, K, N, b, z), precision,
    )  # fmt: skip


FORMS = ["".join("nt"[k >> s & 1] for s in range(3)) for k in range(8)]
PRODUCTS = {
    **{form: product(form) for form in FORMS},
    **{f"one {form}": product(form, z=1) for form in FORMS[::3]},
    **{f"{dtype} {form}": product(form, dtype) for dtype in ("float64", "float16", "bfloat16") for form in FORMS[::3]},
    "tf32": product("ntn", precision="tf32"),
    "one a for all": product("nnt", of_a=0),
}


def view(array, m, shape):
    size = SIZES[m.stored]
    strides = [s * size for s in (m.stack, m.row, m.column)]
    return np.lib.stride_tricks.as_strided(array[m.offset :], shape, strides)


def drawn(m, shape, seed):
    numbers = np.random.default_rng(seed).integers(-4, 5, m.offset + m.extent(*shape))
    if m.dtype == "bfloat16":
        return (numbers.astype("float32").view("uint32") >> 16).astype("uint16")
    return numbers.astype(m.dtype)


@pytest.fixture
def double(monkeypatch):
    made = Library()
    monkeypatch.setattr(cublas, "libraries", lambda: [made])
    return made


@pytest.mark.parametrize("name", PRODUCTS)
def test_what_the_library_is_asked_for_is_the_product(name, double):
    p = PRODUCTS[name]
    library = CublasLt()
    description = library.describe(p)
    chosen = library.algorithm(description)
    matrices = p.y, p.a, p.b
    arrays = [drawn(m, shape, k) for k, (m, shape) in enumerate(zip(matrices, p.shapes, strict=True))]
    library.multiply(description, chosen, [a.ctypes.data for a in arrays], workspace=512, stream=77)
    y, a, b = (view(array, m, shape) for array, m, shape in zip(arrays, matrices, p.shapes, strict=True))
    assert np.array_equal(y, wide(a) @ wide(b)) and double.calls == [77]


def test_where_the_library_has_no_algorithm_it_says_none(monkeypatch):
    monkeypatch.setattr(cublas, "libraries", lambda: [Library(refused=(cublas.COMPUTE["tf32"],))])
    library = CublasLt()
    assert library.algorithm(library.describe(PRODUCTS["tf32"])) is None
    assert library.algorithm(library.describe(PRODUCTS["nnn"])) is not None


def test_what_describes_a_product_is_destroyed_with_the_description(double):
    description = CublasLt().describe(PRODUCTS["nnn"])
    assert not double.destroyed
    del description
    assert sorted(double.destroyed) == list(range(1, len(double.made) + 1))


def test_a_call_that_fails_is_an_error(double, monkeypatch):
    monkeypatch.setattr(Library, "cublasLtMatmul", lambda self, *arguments: 13)
    library = CublasLt()
    description = library.describe(PRODUCTS["nnn"])
    with pytest.raises(BackendError, match="cuBLASLt failed with status 13: cublasLtMatmul"):
        library.multiply(description, library.algorithm(description), [0, 0, 0], 1, 1)


def test_without_the_library_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(cublas, "in_packages", lambda pattern: [])
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    with pytest.raises(BackendError, match="cuBLASLt was not found; install another: pip install nvidia-cublas"):
        CublasLt()


def test_a_library_that_the_driver_does_not_take_gives_way_to_the_next(double, monkeypatch):
    class New(Library):
        def cublasLtCreate(self, handle):
            return 1

    monkeypatch.setattr(cublas, "libraries", lambda: [New(), double])
    assert CublasLt()._lib is double
    monkeypatch.setattr(cublas, "libraries", lambda: [New()])
    with pytest.raises(BackendError, match="cuBLASLt 130000 cannot use the GPU, with status 1"):
        CublasLt()


# ------------------------------------------------------------------------------------------------ the library itself


@pytest.fixture(scope="module")
def real():
    found = next(cublas.libraries(), None)
    if found is None:
        pytest.skip("cuBLASLt is not installed (pip install nvidia-cublas)")
    return found


def kept(lib, function, target, attribute, kind):
    """An attribute as the library has it, and its size in bytes."""
    value, written = kind(), ctypes.c_size_t()
    size = ctypes.c_size_t(ctypes.sizeof(value))
    assert getattr(lib, function)(target, attribute, ctypes.byref(value), size, ctypes.byref(written)) == 0
    assert written.value == size.value
    return value.value


def layout(lib, target):
    """Type, rows, columns, leading dimension, count, stride of a layout."""
    kinds = (
        (0, ctypes.c_uint32), (2, ctypes.c_uint64), (3, ctypes.c_uint64), (4, ctypes.c_int64), (5, ctypes.c_int32),
        (6, ctypes.c_int64),
    )  # fmt: skip
    return [kept(lib, "cublasLtMatrixLayoutGetAttribute", target, *attribute) for attribute in kinds]


@pytest.mark.parametrize("name", PRODUCTS)
def test_the_library_keeps_what_it_is_told(name, real):
    """The same as the double, which says what that means."""
    told, double = Description(real, PRODUCTS[name]), Library()
    meant = Description(double, PRODUCTS[name])
    operation = double.made[meant.operation.value - 1]
    get = "cublasLtMatmulDescGetAttribute"
    for attribute, default in ((0, operation.arguments[0]), (1, operation.arguments[1]), (3, 0), (4, 0)):
        found = kept(real, get, told.operation, attribute, ctypes.c_int32)
        assert found == operation.attributes.get(attribute, default)
    for mine, theirs in zip(meant.layouts, told.layouts, strict=True):
        m = double.made[mine.value - 1]
        assert layout(real, theirs) == [*m.arguments, m.attributes.get(5, 1), m.attributes.get(6, 0)]
    preference = double.made[meant.preference.value - 1].attributes
    for attribute, value in preference.items():
        kind = ctypes.c_uint64 if attribute == cublas.MOST_WORKSPACE else ctypes.c_uint32
        assert kept(real, "cublasLtMatmulPreferenceGetAttribute", told.preference, attribute, kind) == value


def test_the_library_refuses_what_is_wrong(real):
    description = Description(real, PRODUCTS["nnn"])
    with pytest.raises(BackendError, match="cublasLtMatmulDescSetAttribute 3"):
        description._set("cublasLtMatmulDescSetAttribute", description.operation, 3, ctypes.c_int64(1))


NUMBERS = {
    "CUBLASLT_MATMUL_DESC_TRANSA": cublas.TRANSPOSE_A, "CUBLASLT_MATMUL_DESC_TRANSB": cublas.TRANSPOSE_B,
    "CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT": cublas.BATCH_COUNT,
    "CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET": cublas.BATCH_STRIDE,
    "CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES": cublas.MOST_WORKSPACE,
    **{f"CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_{m}_BYTES": getattr(cublas, f"ALIGNMENT_{m}") for m in "ABCD"},
    "CUBLAS_COMPUTE_32F": cublas.COMPUTE["float32"], "CUBLAS_COMPUTE_64F": cublas.COMPUTE["float64"],
    "CUBLAS_COMPUTE_32F_FAST_TF32": cublas.COMPUTE["tf32"], "CUBLAS_OP_T": cublas.TRANSPOSED,
}  # fmt: skip


def test_the_numbers_are_those_of_the_headers():
    spec = importlib.util.find_spec("nvidia")
    folders = [Path(f) for f in (spec.submodule_search_locations or ())] if spec else []
    names = ("cublasLt.h", "cublas_api.h")
    text = "".join(p.read_text() for f in folders for name in names for p in f.glob(f"*/include/{name}"))
    if not text:
        pytest.skip("the wheel nvidia-cublas, which brings the headers, is not installed")
    found = {name: int(value) for name, value in re.findall(r"\b(CUBLAS\w+)\s*=\s*(\d+)\b", text)}
    assert {name: found[name] for name in NUMBERS} == NUMBERS


def test_results_are_as_large_as_the_library_says():
    assert ctypes.sizeof(Algorithm) == 64 and ctypes.sizeof(Heuristic) == 96

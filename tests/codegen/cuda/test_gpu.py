"""The way to a GPU, with a CuPy that keeps its rules on the host, and what is said where something is missing."""

import sys

import numpy as np
import pytest

import symgraph as sg
from codegen.cuda import cublas, matrices
from codegen.cuda.backend import CudaBackend
from codegen.cuda.gpu import Gpu
from symgraph.backend import BACKENDS, _load, machine_of, store_of
from symgraph.errors import BackendError
from tests.codegen.cuda import fake_cublas, fake_cupy


@pytest.fixture
def cupy(monkeypatch, tmp_path):
    """A machine with one GPU, as far as our code can tell."""
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy.module())
    monkeypatch.setattr("codegen.cuda.gpu.compile_text", fake_cupy.compile_text)
    monkeypatch.setattr("codegen.cuda.gpu.version", lambda: "13.0")
    monkeypatch.setattr(cublas, "libraries", lambda: [fake_cublas.Library(lambda: fake_cupy.STREAMS[-1])])
    monkeypatch.setitem(BACKENDS, "cuda", "codegen.cuda.backend:CudaBackend")
    _load.cache_clear()
    with sg.using(backend="cuda", cache=str(tmp_path / "cache")):
        yield
    _load.cache_clear()


def test_a_step_runs_on_the_stream_and_is_replayed(cupy):
    random = np.random.default_rng(0)
    x, w = sg.fmatrix("x"), sg.shared(random.random((20, 30), "float32"))
    cost = sg.nn.softmax(x @ w).max(axis=1).sum()
    steps = {}
    for backend in ("llvm", "cuda"):
        w.set_value(np.full((20, 30), 0.5, "float32"))
        f = sg.function([x], cost, updates=[(w, w - sg.grad(cost, w) + 0.1 * w)], backend=backend)
        steps[backend] = [f(random.random((40, 20), "float32") * 0 + k) for k in range(3)] + [w.get_value()]
    for here, there in zip(steps["llvm"], steps["cuda"], strict=True):
        np.testing.assert_allclose(here, there, rtol=1e-5)
    (program,) = f.programs.values()
    assert (program.measure([np.ones((40, 20), "float32")], [w], 1) == 0.0015).all()


def test_other_libraries_see_the_devices_memory_and_give_theirs(cupy):
    s = sg.shared(np.array([[1, 2], [3, 4]], "float32"))
    f = sg.function([], s * 2, updates=[(s, s + 1)])
    f()
    held, tensor = s.away, fake_cupy.from_dlpack(s).host
    assert tensor.tolist() == [[2, 3], [4, 5]] and tensor.ctypes.data == held.memory.address
    s.set_value(fake_cupy.of_host(np.array([[5, 6], [7, 8]], "float32").T))
    assert s.away is held and tensor.tolist() == [[5, 7], [6, 8]]
    assert f().tolist() == [[10, 14], [12, 16]]


def test_arguments_and_results_stay_on_the_gpu(cupy, monkeypatch):
    x, y = sg.fmatrix("x"), sg.fvector("y")
    f = sg.function([x, y], sg.Out((x * y).sum(axis=1), borrow=True))
    a, b = np.arange(6, dtype="float32").reshape(2, 3), np.array([1, 2, 3], "float32")
    f(fake_cupy.of_host(a), fake_cupy.of_host(b))
    moved = []
    plain = Gpu._move
    monkeypatch.setattr(Gpu, "_move", lambda self, *asked: moved.append(asked[-1]) or plain(self, *asked))
    found = f(fake_cupy.of_host(a.T.copy().T), fake_cupy.of_host(b))
    assert found.host.tolist() == (a * b).sum(axis=1).tolist() and set(moved) == {"memcpyDeviceToDevice"}


@pytest.fixture
def small(monkeypatch):
    """Products of any size go to the library."""
    monkeypatch.setattr(matrices, "LARGE", 0)
    monkeypatch.setattr(matrices, "LEAST", 0)


PRODUCTS = {
    "plain": lambda x, w: x @ w, "turned": lambda x, w: (x @ w).T, "with a map behind": lambda x, w: sg.tanh(x @ w),
}  # fmt: skip


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("precision", ["highest", "tf32", "bf16", "fp16"])
def test_products_are_the_librarys_and_replayed(name, precision, cupy, small):
    random = np.random.default_rng(0)
    a, b = random.integers(-2, 3, (24, 40)).astype("float32"), random.integers(-2, 3, (40, 32)).astype("float32")
    x, w = sg.fmatrices("x w")
    f = sg.function([x, w], PRODUCTS[name](x, w), precision=precision)
    here = sg.function([x, w], PRODUCTS[name](x, w), backend="llvm")
    for k in range(3):
        np.testing.assert_allclose(f(a + k, b), here(a + k, b), rtol=1e-6)
    (program,) = f.programs.values()
    asked = program.device._blas._lib.calls
    assert asked == [fake_cupy.Stream.ptr] * 2  # on trial, and in the capture
    assert "by the library" in program.code("cuda")


def test_the_library_has_a_workspace_before_any_capture(cupy, small, monkeypatch):
    x, w = sg.fmatrices("x w")
    f = sg.function([x, w], x @ w)
    a = np.ones((24, 40), "float32")
    f.compile(a, a.T)
    monkeypatch.setattr(Gpu, "allocate", None)
    assert (f(a, a.T.copy()) == 40).all()


def test_what_the_library_does_not_do_our_kernels_do(cupy, small, monkeypatch):
    refused = fake_cublas.Library(refused=tuple(cublas.COMPUTE.values()))
    monkeypatch.setattr(cublas, "libraries", lambda: [refused])
    x, w = sg.fmatrices("x w")
    f = sg.function([x, w], x @ w)
    assert (f(np.ones((24, 40), "float32"), np.ones((40, 32), "float32")) == 40).all() and not refused.calls


@pytest.mark.parametrize("function", ["MatmulDescCreate", "MatrixLayoutSetAttribute", "MatmulPreferenceCreate"])
def test_what_the_library_cannot_describe_our_kernels_do(function, cupy, small, monkeypatch):
    monkeypatch.setattr(fake_cublas.Library, f"cublasLt{function}", lambda self, *arguments: 15)
    x, w = sg.tensor3("x"), sg.tensor3("w")
    f = sg.function([x, w], x @ w)
    assert (f(np.ones((2, 24, 40)), np.ones((2, 40, 32))) == 40).all()


def test_without_the_library_our_kernels_multiply_and_the_machine_says_so(cupy, small, monkeypatch):
    monkeypatch.setattr(cublas, "libraries", lambda: [])
    x, w = sg.fmatrices("x w")
    f = sg.function([x, w], x @ w)
    assert (f(np.ones((24, 40), "float32"), np.ones((40, 32), "float32")) == 40).all()
    assert machine_of("cuda")["library of matrix products"] .startswith("none: cuBLASLt was not found")


def test_the_machine_says_which_library_it_has(cupy):
    assert machine_of("cuda")["library of matrix products"] == "cuBLASLt 130000"


def test_a_text_is_compiled_once(cupy, monkeypatch):
    x = sg.fvector("x")
    assert sg.function([x], x + 1)([1, 2]).tolist() == [2, 3]
    monkeypatch.setattr("codegen.cuda.gpu.compile_text", None)
    y = sg.fvector("y")
    program = sg.function([y], y + 1).compile([1, 2])
    assert program._loaded.usage["k0_0"].registers == 32


def test_a_failure_ends_the_capture(cupy):
    gpu = Gpu(0)
    with pytest.raises(ZeroDivisionError):
        gpu.capture(lambda: 1 / 0)
    gpu.wait()


def test_without_cupy_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(BackendError, match=r"(?s)needs CuPy.*pip install 'symgraph\[gpu\]'.*backend='llvm'"):
        CudaBackend().residents("0")


@pytest.mark.parametrize(
    ("count", "number", "said"),
    [(None, "0", "(?s)cudaErrorInsufficientDriver.*nvidia-smi"), (0, "0", "there is no GPU 0: there is no GPU"),
     (2, "2", "the GPUs are numbered 0 to 1")],
)  # fmt: skip
def test_without_a_gpu_the_error_says_what_is_missing(monkeypatch, count, number, said):
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy.module(count))
    with pytest.raises(BackendError, match=said):
        CudaBackend().residents(number)


@pytest.mark.parametrize(("count", "chosen"), [(1, "cuda"), (0, "llvm"), (None, "llvm")])
def test_auto_is_the_gpu_where_there_is_one(cupy, monkeypatch, count, chosen):
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy.module(count))
    assert machine_of("auto")["backend"] == chosen
    x = sg.fvector("x")
    f = sg.function([x], x * 2, backend="auto")
    assert f([1, 2]).tolist() == [2, 4]
    assert store_of("auto").folder == store_of(chosen).folder
    (program,) = f.programs.values()
    assert chosen in type(program).__name__.lower()


def test_without_memory_the_error_says_so(cupy):
    with pytest.raises(BackendError, match=r"(?s)not enough memory.*batches smaller"):
        Gpu(0).allocate(fake_cupy.LIMIT + 1)

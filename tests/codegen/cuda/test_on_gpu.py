"""What only a GPU can tell: it leaves the bits that the simulation leaves, and keeps its promises from call to call."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from contextvars import copy_context

import numpy as np
import pytest

import symgraph as sg
from codegen.cuda import matrices
from codegen.cuda.backend import CudaExecutable
from codegen.cuda.device import Residents
from codegen.cuda.gpu import Gpu
from symgraph.backend import find_backend
from symgraph.errors import BackendError
from tests import laws
from tests.codegen.cuda.devices import simulated
from tests.codegen.cuda.test_backend import STREAMS, alternating
from tests.codegen.cuda.test_matrices import FORMS, bound, of_function
from tests.codegen.cuda.test_programs import NETS, trained
from tests.codegen.cuda.test_tensors import FRACTION, check_product
from tests.programs import task_of
from tests.test_laws import EACH

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def residents():
    try:
        return Residents(Gpu(0))
    except BackendError as error:
        pytest.skip(str(error).splitlines()[0])


@pytest.fixture(autouse=True)
def on_the_gpu(residents):
    with sg.using(backend="cuda", device="0"):
        yield


@pytest.mark.parametrize("case", EACH)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_op_leaves_the_bits_of_the_simulation(case, dtype, residents):
    inputs, y, arrays = laws.built(case, 0, dtype)
    values = dict(zip(inputs, arrays, strict=True))
    task, signature, given = task_of([y], values)
    (found,) = CudaExecutable(task, signature, residents)(given, task.shared)
    (expected,) = simulated([y], values)
    assert laws.same_bits(found, expected), f"{found} differs from the simulation's {expected}"


@pytest.mark.parametrize("name", NETS)
def test_a_tutorial_learns_what_it_learns_on_the_cpu(name):
    for here, there in zip(trained(name, "llvm"), trained(name, "cuda"), strict=True):
        # as in the simulation: sums in another order, and neighbours in a pool that all but tie
        np.testing.assert_allclose(here, there, rtol=1e-5, atol=5e-5)


def steps(count):
    """What a training step gives, again and again, and what it has learnt."""
    w = sg.shared(np.full((300, 200), 0.01, "float32"))
    x = sg.fmatrix("x")
    kept = sg.random.RandomStream(5).bernoulli(x.shape, p=0.5, dtype="float32")
    cost = (sg.tanh((x * kept) @ w) ** 2).mean()
    f = sg.function([x], cost, updates=[(w, w - sg.grad(cost, w))])
    random = np.random.default_rng(0)
    costs = [f(random.random((64, 300), "float32")) for _ in range(count)]
    return np.array([*costs, *w.get_value().ravel()])


def test_what_is_replayed_is_what_a_stream_run_gives(monkeypatch):
    replayed = steps(20)
    assert len(set(replayed[:20])) == 20
    monkeypatch.setattr(Gpu, "capture", lambda self, work: work)
    assert np.array_equal(replayed, steps(20))


def test_a_replay_gives_what_a_run_of_the_stream_gives_when_shapes_alternate(monkeypatch):
    replayed = alternating()
    monkeypatch.setattr(Gpu, "capture", lambda self, work: work)
    assert np.array_equal(replayed, alternating())


@pytest.mark.parametrize("name", STREAMS)
def test_random_numbers_are_those_of_the_cpu_and_new_at_each_replay(name):
    draws = {}
    for backend in ("llvm", "cuda"):
        f = sg.function([], STREAMS[name](sg.random.RandomStream(3), (30, 130)), backend=backend)
        draws[backend] = [f() for _ in range(3)]
    for here, there in zip(draws["llvm"], draws["cuda"], strict=True):
        assert np.array_equal(here, there)
    assert not np.array_equal(*draws["cuda"][1:])


def test_other_libraries_see_the_devices_memory_and_give_theirs():
    import cupy

    s = sg.shared(np.array([[1, 2], [3, 4]], "float32"))
    f = sg.function([], s * 2, updates=[(s, s + 1)])
    f()
    held, tensor = s.away, cupy.from_dlpack(s)
    assert tensor.data.ptr == held.memory.address and tensor.get().tolist() == [[2, 3], [4, 5]]
    s.set_value(2 * tensor.T)
    assert s.away is held and tensor.get().tolist() == [[4, 8], [6, 10]]
    assert f().tolist() == [[8, 16], [12, 20]]


@pytest.mark.parametrize("precision", FRACTION)
@pytest.mark.parametrize("size", [(70, 40, 64), (500, 300, 3000)])
def test_a_product_is_as_near_as_its_factors(precision, size):
    check_product(precision, size)


@pytest.mark.parametrize("tool", ["memcheck", "racecheck"])
def test_the_sanitizer_finds_nothing(tool):
    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer is None:
        pytest.skip("compute-sanitizer, which the CUDA toolkit brings, is not on the path")
    tests = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", __file__, "-k", "stream or sum or softmax or as_near"]
    done = subprocess.run(
        [sanitizer, "--tool", tool, "--error-exitcode", "9", *tests], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]


def test_replays_allocate_nothing():
    import cupy

    x = sg.fmatrix("x")
    f = sg.function([x], sg.nn.softmax(x).sum(axis=0))
    value = np.ones((100, 1000), "float32")
    f(value)
    held = cupy.get_default_memory_pool().used_bytes()
    for _ in range(20):
        f(value)
    assert cupy.get_default_memory_pool().used_bytes() == held


def test_threads_call_one_function():
    x = sg.fvector("x")
    f = sg.function([x], sg.exp(x).sum() / x.shape[0])
    found = {}

    def call(k):
        found[k] = [f(np.full(1000 + k % 2, k, "float32")) for _ in range(20)]

    threads = [threading.Thread(target=copy_context().run, args=(call, k)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for k, values in found.items():
        np.testing.assert_allclose(values, np.exp(k), rtol=1e-5)


def test_the_machine_says_which_gpu_it_has():
    assert "sm_" in find_backend("cuda").machine()["device"]


# ------------------------------------------------------------------------------------------------ the library


@pytest.fixture
def by_library(monkeypatch):
    """Products of any size go to cuBLASLt."""
    device = find_backend("cuda").residents("0").device
    if device.library.startswith("none"):
        pytest.skip(device.library)
    monkeypatch.setattr(matrices, "LARGE", 0)
    monkeypatch.setattr(matrices, "LEAST", 0)


@pytest.mark.parametrize("name", FORMS)
def test_a_product_of_the_library_is_the_cpus(name, by_library):
    y, values = FORMS[name]
    f = sg.function(list(values), y)
    there = f(*values.values())
    assert len(of_function(f)) == 1, "it is no call of the library"
    here = sg.function(list(values), y, backend="llvm")(*values.values())
    np.testing.assert_allclose(there, here, rtol=0, atol=bound([y], values, 16))


@pytest.mark.parametrize("precision", FRACTION)
@pytest.mark.parametrize("size", [(70, 40, 64), (500, 300, 3000)])
def test_a_product_of_the_library_is_as_near_as_its_factors(precision, size, by_library):
    check_product(precision, size)


def test_a_replayed_product_of_the_library_is_what_a_stream_run_gives(by_library, monkeypatch):
    replayed = steps(20)
    monkeypatch.setattr(Gpu, "capture", lambda self, work: work)
    assert np.array_equal(replayed, steps(20))


# ------------------------------------------------------------------------------------------------ other libraries


def test_arguments_and_results_stay_on_the_gpu(monkeypatch):
    import cupy

    x = sg.fmatrix("x")
    f = sg.function([x], sg.Out(x.sum(axis=1), borrow=True))
    given = cupy.arange(6, dtype="float32").reshape(2, 3)
    f(given)
    moved = []
    plain = Gpu._move
    monkeypatch.setattr(Gpu, "_move", lambda self, *asked: moved.append(asked[-1]) or plain(self, *asked))
    assert f(2 * given).get().tolist() == [6, 24] and f(given.T.copy().T).get().tolist() == [3, 12]
    assert set(moved) == {"memcpyDeviceToDevice"}


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_tensors_of_other_libraries_are_arguments_and_take_results(library):
    module = pytest.importorskip(library)
    x = sg.fmatrix("x")
    f = sg.function([x], sg.Out(x * 2, borrow=True))
    if library == "torch":
        given, taken = module.arange(6, dtype=module.float32, device="cuda").reshape(2, 3), module.from_dlpack
    else:
        given, taken = module.numpy.arange(6, dtype="float32").reshape(2, 3), module.dlpack.from_dlpack
    if tuple(map(int, given.__dlpack_device__())) != (2, 0):
        pytest.skip(f"{library} has no GPU here")
    assert taken(f(given)).tolist() == [[0, 2, 4], [6, 8, 10]]

"""Whole functions on the device that simulates a GPU: what the CPU gives, and shared variables that stay over there."""

import threading
from contextvars import copy_context

import numpy as np
import pytest

import symgraph as sg
from codegen.cuda.backend import CudaBackend
from codegen.cuda.device import Residents
from codegen.cuda.simulate import SimulatedDevice
from symgraph import config
from symgraph.backend import find_backend
from symgraph.errors import BackendError, IndexOutOfRange, LinAlgError


@pytest.fixture(autouse=True)
def simulated():
    with config.using(backend="cuda", device="simulate"):
        yield


def shared(*values):
    return sg.shared(np.array(values, "float32"), name="s")


def device():
    return find_backend("cuda").residents("simulate").device


def test_updates_are_done_in_place_and_all_see_the_old_values():
    a, b = shared(1, 2), shared(3, 4)
    f = sg.function([], [a, b], updates=[(a, b), (b, a + b)])
    assert [x.tolist() for x in f()] == [[1, 2], [3, 4]]
    assert [x.tolist() for x in f()] == [[3, 4], [4, 6]]
    assert a.get_value().tolist() == [4, 6] and b.get_value().tolist() == [7, 10]


def test_an_output_is_the_callers_own():
    x = sg.fvector("x")
    f = sg.function([x], 2 * x)
    first = f(np.ones(4, "float32"))
    f(np.zeros(4, "float32"))
    assert first.tolist() == [2, 2, 2, 2]


def test_a_shared_variable_stays_on_the_device_until_somebody_asks_for_its_storage():
    s = shared(1, 2)
    f = sg.function([], updates=[(s, s + 1)])
    f()
    held = s.away
    assert held is not None and s.extents == (2,)
    assert s.get_value().tolist() == [2, 3] and s.away is held
    f()
    assert s.away is held
    storage = s.get_value(borrow=True)
    assert s.away is None and storage.tolist() == [3, 4]
    storage[0] = 10
    f()
    assert s.get_value().tolist() == [11, 5] and s.away is held


def test_set_value_is_seen_by_the_next_call_and_needs_no_new_capture(monkeypatch):
    s = shared(1, 2)
    f = sg.function([], s * 2, updates=[(s, s + 1)])
    f()
    monkeypatch.setattr(SimulatedDevice, "capture", None)
    s.set_value(np.array([5, 6], "float32"))
    assert f().tolist() == [10, 12] and s.get_value().tolist() == [6, 7]


def test_functions_of_two_backends_share_a_variable():
    s = shared(1, 2)
    here = sg.function([], updates=[(s, s * 2)], backend="llvm")
    there = sg.function([], updates=[(s, s + 1)])
    for f in (here, there, here, there, there, here):
        f()
    assert s.get_value().tolist() == [(((1 * 2 + 1) * 2) + 2) * 2, (((2 * 2 + 1) * 2) + 2) * 2]


def test_a_shared_variable_of_another_shape_has_a_program_of_its_own():
    s = sg.shared(np.ones(2, "float32"), shape=(None,))
    f = sg.function([], s.sum(), updates=[(s, s + 1)])
    assert f() == 2
    s.set_value(np.ones(3, "float32"))
    assert f() == 3 and f() == 6
    s.set_value(np.ones(2, "float32"))
    assert f() == 2 and f() == 4


STREAMS = {
    "uniform": lambda r, size: r.uniform(size, dtype="float32"),
    "uniform of float64": lambda r, size: r.uniform(size, -2.0, 3.0, dtype="float64"),
    "bernoulli": lambda r, size: r.bernoulli(size, p=0.3),
    "integers": lambda r, size: r.integers(size, -5, 1000),
    "permutation": lambda r, size: r.permutation(size=size[:-1], n=size[-1]),
}  # fmt: skip


@pytest.mark.parametrize("size", [(200,), (3, 130, 2)])
@pytest.mark.parametrize("name", STREAMS)
def test_random_numbers_are_those_of_the_cpu_and_new_at_each_call(name, size):
    draws = {}
    for backend in ("llvm", "cuda"):
        f = sg.function([], STREAMS[name](sg.random.RandomStream(3), size), backend=backend)
        draws[backend] = [f(), f()]
    for here, there in zip(draws["llvm"], draws["cuda"], strict=True):
        assert here.dtype == there.dtype and np.array_equal(here, there)
    assert not np.array_equal(*draws["cuda"])


def test_a_precondition_that_fails_leaves_shared_variables_as_they_were():
    x, k, s = sg.fvector("x"), sg.lscalar("k"), shared(1, 2)
    f = sg.function([x, k], x[k], updates=[(s, s + x[k])])
    values = np.arange(4, dtype="float32")
    assert f(values, 3) == 3
    with pytest.raises(IndexOutOfRange):
        f(values, 4)
    assert s.get_value().tolist() == [4, 5]
    assert f(values, -1) == 3


def test_extents_that_integers_decide_are_worked_out_without_fetching_shared_variables():
    data, k = sg.shared(np.arange(12, dtype="float32")), sg.lscalar("k")
    f = sg.function([k], data[k * 4 : (k + 1) * 4].sum())
    assert f(0) == 6
    held = data.away
    assert f(1) == 22 and f(2) == 38 and data.away is held and held is not None


@pytest.mark.parametrize("most", [0, 1 << 20])
def test_small_arrays_are_copied_within_what_is_captured(most, monkeypatch):
    monkeypatch.setattr("codegen.cuda.places.STAGED", most)
    x, k = sg.fmatrix("x"), sg.lscalar("k")
    f = sg.function([x, k], [x * 2, x[k], sg.linalg.inv(x)])
    asked = []
    for name in ("write", "read", "bring"):
        plain = getattr(SimulatedDevice, name)
        monkeypatch.setattr(SimulatedDevice, name, lambda *a, plain=plain, name=name: asked.append(name) or plain(*a))
    for scale in (1, 2):
        asked.clear()
        value = np.array([[2, 0], [0, 4]], "float32") * scale
        found = f(value, 1)
        assert [a.tolist() for a in found] == [(2 * value).tolist(), value[1].tolist(), np.linalg.inv(value).tolist()]
    # at the second call: a precondition and an operand of the host are read, what it computes is written
    more = {"read": 3, "write": 2} if most == 0 else {}  # outputs and inputs
    for name, count in (("read", 2), ("write", 1), ("bring", 0)):
        assert asked.count(name) == count + more.get(name, 0)
    with pytest.raises(IndexOutOfRange):
        f(value, 2)
    with pytest.raises(LinAlgError):
        f(0 * value, 1)
    assert f(value, 0)[1].tolist() == value[0].tolist()


def test_what_is_replayed_is_what_a_stream_run_gives(monkeypatch):
    def train():
        w = sg.shared(np.full((6, 3), 0.1, "float32"))
        x, y = sg.fmatrices("x y")
        cost = ((sg.tanh(x @ w) - y) ** 2).mean()
        f = sg.function([x, y], cost, updates=[(w, w - sg.grad(cost, w))])
        random = np.random.default_rng(0)
        steps = [f(random.random((8, 6), "float32"), random.random((8, 3), "float32")) for _ in range(20)]
        return np.array([*steps, *w.get_value().ravel()])

    replayed = train()
    monkeypatch.setattr(SimulatedDevice, "capture", lambda self, work: work)
    assert np.array_equal(replayed, train())


def test_measuring_keeps_shared_variables():
    s = shared(1, 2)
    f = sg.function([], s.sum(), updates=[(s, s + 1)])
    program = f.compile()
    seconds = program.measure([], [s], 2)
    assert seconds.shape == (2, len(program.parts)) and (seconds >= 0).all()
    assert s.get_value().tolist() == [1, 2]


def test_a_program_has_its_forms_as_text():
    x = sg.fvector("x")
    program = sg.function([x], sg.exp(x).sum()).compile(np.ones(100, "float32"))
    assert "exp" in program.code("graph")
    assert "thread" in program.code("kernel", "k0")
    assert "__global__" in program.code("cuda", "k0")
    with pytest.raises(BackendError, match="it has graph, kernel, cuda"):
        program.code("assembly")
    with pytest.raises(BackendError, match="this program has k0"):
        program.code("cuda", "k7")


@pytest.mark.parametrize("name", ["first", "-1"])
def test_a_device_that_is_none_is_refused_with_what_there_is(name):
    with pytest.raises(BackendError, match="(?s)device.*simulate"):
        CudaBackend().residents(name)


def test_what_only_the_host_computes_stands_between_captured_sections():
    x = sg.fmatrix("x")
    f = sg.function([x], sg.linalg.inv(x + 1) @ x)
    value = np.array([[2, 1], [0, 3]], "float32")
    for scale in (1, 2):
        found = np.linalg.inv(scale * value + 1) @ (scale * value)
        np.testing.assert_allclose(f(scale * value), found, rtol=1e-6)
    with pytest.raises(LinAlgError, match="test_backend.py"):
        f(np.full((2, 2), -1, "float32"))


def test_threads_call_functions_of_one_device_and_ask_for_values_meanwhile():
    s, x = shared(0, 0), sg.fvector("x")
    add = sg.function([x], (x * s).sum(), updates=[(s, s + x)])
    look = sg.function([x], sg.exp(x).sum())
    failed = []

    def work(k):
        try:
            for n in range(10):
                add(np.ones(2, "float32"))
                found = look(np.zeros(n % 3 + k, "float32"))
                assert found == n % 3 + k, f"{found} of {n % 3 + k}"
                s.get_value()
        except BaseException as error:
            failed.append(error)

    # a thread has settings of its own
    threads = [threading.Thread(target=copy_context().run, args=(work, k)) for k in range(1, 4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed and s.get_value().tolist() == [30, 30]


def test_what_one_thread_captures_is_nobody_elses(monkeypatch):
    s = shared(1, 2)
    sg.function([], updates=[(s, s + 1)])()
    found = []

    def ask():
        try:
            found.append(s.get_value().tolist())
        except BackendError as error:
            found.append(error)

    other = threading.Thread(target=ask)
    plain = SimulatedDevice.capture

    def capture(device, work):
        def with_company():
            other.start()
            other.join(0.2)
            work()

        return plain(device, with_company)

    monkeypatch.setattr(SimulatedDevice, "capture", capture)
    assert sg.function([], sg.constant(np.ones(2, "float32")) + shared(1, 1))().tolist() == [2, 2]
    other.join()
    assert found == [[2, 3]]


def alternating():
    """What twenty steps of training give whose batches have three sizes, and what they have learnt."""
    w, x = sg.shared(np.full((6, 3), 0.1, "float32")), sg.fmatrix("x")
    kept = sg.random.RandomStream(5).bernoulli(x.shape, p=0.5, dtype="float32")
    cost = (sg.tanh((x * kept) @ w) ** 2).mean()
    f = sg.function([x], cost, updates=[(w, w - sg.grad(cost, w))])
    random = np.random.default_rng(0)
    costs = [f(random.random((8 + k % 3, 6), "float32")) for k in range(20)]
    return np.array([*costs, *w.get_value().ravel()])


def test_a_replay_gives_what_a_run_of_the_stream_gives_when_shapes_alternate(monkeypatch):
    """Shapes have programs of their own, which share what is learnt; each is captured once."""
    captured = []
    capture = SimulatedDevice.capture
    monkeypatch.setattr(SimulatedDevice, "capture", lambda self, work: captured.append(1) or capture(self, work))
    replayed = alternating()
    assert len(captured) == 3
    monkeypatch.setattr(SimulatedDevice, "capture", lambda self, work: work)
    assert np.array_equal(replayed, alternating())


class LateDevice(SimulatedDevice):
    """It does what it replays when somebody waits, as a GPU may."""

    def __init__(self):
        super().__init__()
        self.late = []

    def capture(self, work):
        replay = super().capture(work)
        return lambda: self.late.append(replay)

    def read(self, address, array):
        self.wait()
        super().read(address, array)

    def wait(self):
        late, self.late = self.late, []
        for replay in late:
            replay()
        super().wait()


def test_a_call_that_is_interrupted_while_it_waits_is_over_before_the_next(monkeypatch):
    """Its copies read what the next call would stage."""
    residents = Residents(LateDevice())
    monkeypatch.setattr(find_backend("cuda"), "residents", lambda name: residents)
    x, s = sg.fvector("x"), shared(0, 0)
    f = sg.function([x], s + 0, updates=[(s, s + x)])
    assert f(np.array([1, 2], "float32")).tolist() == [0, 0]

    def interrupted(device):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LateDevice, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            f(np.array([10, 20], "float32"))
    assert f(np.array([100, 200], "float32")).tolist() == [11, 22]
    assert s.get_value().tolist() == [111, 222]


@pytest.mark.parametrize(("capability", "precision", "refused"), [
    ((7, 5), "tf32", True), ((7, 5), "bf16", True), ((7, 5), "fp16", True), ((7, 5), "highest", False),
    ((8, 0), "tf32", False), ((12, 0), "bf16", False),
])  # fmt: skip
def test_a_precision_asks_for_a_gpu_whose_tensor_cores_have_it(capability, precision, refused, monkeypatch):
    monkeypatch.setattr(SimulatedDevice, "capability", capability)
    x = sg.fmatrix("x")
    f = sg.function([x], x @ x, precision=precision)
    value = np.eye(16, dtype="float32")
    if not refused:
        assert (f(value) == value).all()
        return
    with pytest.raises(BackendError, match=f"precision='{precision}' needs a GPU of compute capability 8.0, simulate"):
        f(value)

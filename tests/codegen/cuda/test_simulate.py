"""The device with no GPU finds what a GPU would not forgive."""

import numpy as np
import pytest

from codegen.cuda.emit import emit
from codegen.cuda.schedule import schedule
from codegen.cuda.simulate import DeviceFault, SimulatedDevice, compiler, host_text
from codegen.intrinsics import MMA
from codegen.kernel import Alloc, Buffer, Call, If, Kernel, Loop, Store, Sync
from symgraph.errors import BackendError
from symgraph.expression import INDEX, axis, const, load
from tests.codegen.cuda.devices import run_kernels

t = axis("t")
F = "float32"


def block(*body, threads=64, shared=()):
    """A kernel of one block that reads a and writes o, ``threads`` elements each."""
    inside = (*map(Alloc, shared), Loop("t", threads, "thread", tuple(body)))
    buffers = (Buffer("o", F, (threads,)), Buffer("a", F, (threads,)))
    return Kernel("k", buffers, (Loop("b", 1, "block", inside),))


def reversal(barrier):
    """o = a backwards, by way of shared storage."""
    s = Buffer("s", F, (64,), "shared")
    store = Store("s", (t,), load("a", (t,), F))
    return block(store, *[Sync()] * barrier, Store("o", (t,), load("s", (63 - t,), F)), shared=[s])


def arrays():
    return {"o": np.zeros(64, F), "a": np.arange(64, dtype=F)}


@pytest.mark.parametrize("backwards", [False, True])
def test_shared_storage_behind_a_barrier_holds_what_others_wrote(backwards):
    held = arrays()
    run_kernels([reversal(barrier=True)], [held], backwards)
    assert (held["o"] == np.arange(64)[::-1]).all()


@pytest.mark.parametrize("backwards", [False, True])
def test_a_missing_barrier_shows_as_nan(backwards):
    held = arrays()
    run_kernels([reversal(barrier=False)], [held], backwards)
    assert np.isnan(held["o"]).any()


def test_a_barrier_that_some_threads_miss_is_a_fault():
    kernel = block(If(t < 32, (Sync(),)), Store("o", (t,), load("a", (t,), F)))
    with pytest.raises(DeviceFault, match="a barrier is reached by some threads"):
        run_kernels([kernel], [arrays()])


@pytest.mark.parametrize(("threads", "some", "said"), [(32, 16, "some threads of a warp"), (16, 16, "incomplete warp")])
def test_an_exchange_that_some_threads_of_a_warp_miss_is_a_fault(threads, some, said):
    shared = [Buffer(name, F, (8, 16), "shared") for name in "xy"]
    held = Buffer("acc", F, (2, 2), "register")
    zero = const(0, INDEX)
    operands = (load("acc", (zero, zero), F), load("x", (zero, zero), F), load("y", (zero, zero), F), t)
    exchange = If(t < some, (Call(MMA["tf32"], operands),))
    with pytest.raises(DeviceFault, match=said):
        run_kernels([block(Alloc(held), exchange, threads=threads, shared=shared)], [arrays()])


@pytest.mark.parametrize("shift", [1, -1])
def test_a_write_outside_of_its_storage_is_a_fault(shift):
    kernel = block(Store("o", (t + shift,), load("a", (t,), F)))
    with pytest.raises(DeviceFault, match="one of k_0 wrote outside of a storage of 256 bytes"):
        run_kernels([kernel], [arrays()])


def test_fresh_memory_is_nan():
    device = SimulatedDevice()
    memory, held = device.allocate(64), np.zeros(16, F)
    device.read(memory.address, held)
    assert np.isnan(held).all()


def test_captured_work_is_done_at_each_replay_and_not_before():
    device = SimulatedDevice()
    one, other = device.allocate(4), device.allocate(4)
    device.write(other.address, np.zeros(1, F))
    replay = device.capture(lambda: device.copy(other.address, one.address, 4))
    held = np.ones(1, F)
    for value in (2, 3):
        device.write(one.address, np.full(1, value, F))
        device.read(other.address, held)
        assert held[0] == (0 if value == 2 else 2)
        replay()
        device.read(other.address, held)
        assert held[0] == value


@pytest.mark.parametrize("what", ["allocate", "read", "write", "wait"])
def test_what_no_graph_can_replay_is_a_fault_in_a_capture(what):
    device = SimulatedDevice()
    memory, held = device.allocate(4), np.zeros(1, F)
    work = {
        "allocate": lambda: device.allocate(4), "read": lambda: device.read(memory.address, held),
        "write": lambda: device.write(memory.address, held), "wait": device.wait,
    }[what]  # fmt: skip
    with pytest.raises(DeviceFault, match="no GPU can replay"):
        device.capture(lambda: (work(), None)[1])
    device.wait()


def test_a_capture_copies_from_and_to_what_is_staged():
    device = SimulatedDevice()
    memory, staged, plain = device.allocate(4), device.stage(4).view(F), np.zeros(1, F)

    def work():
        device.write(memory.address, staged)
        device.bring(memory.address, staged)

    replay = device.capture(work)
    staged[0] = 3
    replay()
    device.read(memory.address, plain)
    assert plain[0] == staged[0] == 3
    with pytest.raises(DeviceFault, match="not staged"):
        device.bring(memory.address, plain)


def test_without_a_compiler_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    compiler.cache_clear()
    with pytest.raises(BackendError, match=r"(?s)needs a C\+\+ compiler.*CXX"):
        compiler()
    compiler.cache_clear()


def test_on_other_systems_the_error_says_so(monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    compiler.cache_clear()
    with pytest.raises(BackendError, match="is for Linux, this is darwin"):
        compiler()
    compiler.cache_clear()


def test_the_text_that_runs_is_that_of_the_device():
    body = (Loop("i", 8, "serial", (Store("o", (axis("i"),), const(1.0, F)),)),)
    module = emit([schedule(Kernel("k", (Buffer("o", F, (8,)),), body))])
    assert 'extern "C" __global__ void __launch_bounds__(32) k_0(float* __restrict__ o)' in module.text()
    assert module.text() in host_text(module)

"""The native threads: each index once, whoever calls, whatever else the process does."""

import gc
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen.llvm import pool, target
from codegen.llvm.parallel import SHARES, pool_text
from codegen.llvm.target import Target, host
from tests.codegen.pool_tasks import Tasks, empty_log, is_partition, rows, shared_tasks

ROOT = Path(__file__).resolve().parents[2]

extents = st.one_of(st.integers(-3, 100), st.integers(2**31 - 5, 2**31 + 5), st.integers(2**63 - 5, 2**63 - 1))
thread_counts = st.integers(1, pool.LEAST_CAPACITY)

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")


@pytest.fixture(autouse=True)
def _keep_threads():
    before = pool.threads()
    yield
    pool.set_threads(before)


# A process whose pool is broken waits for ever, and would outlive the test: this ends it.
ALARM = "import signal\nif hasattr(signal, 'alarm'): signal.alarm(60)\n"


def python(code: str, **environment: str) -> None:
    """Run ``code`` in an interpreter of its own; it must end well and say nothing."""
    done = subprocess.run(
        [sys.executable, "-c", ALARM + code],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@given(extents, thread_counts)
def test_every_index_is_visited_once(extent, threads):
    pool.set_threads(threads)
    assert is_partition(shared_tasks().pieces(extent), extent, threads)


@given(st.integers(1, 10**6), thread_counts)
def test_pieces_are_few_but_enough_to_balance(extent, threads):
    pool.set_threads(threads)
    pieces = shared_tasks().pieces(extent)
    alone = len(pieces) == 1
    assert alone or len(pieces) <= 4 * threads
    assert alone or np.ptp((pieces[:, 1] - pieces[:, 0])[:-1]) == 0


@given(thread_counts)
def test_no_two_pieces_run_at_once_under_one_number(threads):
    pool.set_threads(threads)
    state = np.zeros(1 + pool.capacity(), np.int64)
    for _ in range(20):
        shared_tasks().run("clash", state, 64)
    assert not state.any()


def test_as_many_workers_as_were_asked_for_run_at_once():
    for threads in (2, 3, pool.LEAST_CAPACITY, 2):
        pool.set_threads(threads)
        shared_tasks().meet(threads)


def test_a_thread_begins_with_the_same_turns_in_every_job():
    """It has them in its cache."""
    for threads in (2, 3, pool.LEAST_CAPACITY, 2, 2):
        pool.set_threads(threads)
        assert shared_tasks().met(threads).tolist() == [[n, n + 1, n] for n in range(threads)]


def test_more_threads_than_shares_have_some_in_common():
    python(
        "from codegen.llvm import parallel, pool\n"
        "from tests.codegen.pool_tasks import is_partition, shared_tasks\n"
        "assert pool.threads() == parallel.SHARES + 9\n"
        "for extent in (1, 7, 1000, 10**9):\n"
        "    assert is_partition(shared_tasks().pieces(extent), extent, pool.threads())\n"
        "shared_tasks().meet(pool.threads())",
        SYMGRAPH_THREADS=str(SHARES + 9),
    )


def test_a_lower_number_of_threads_holds_at_once():
    """Workers that are now too many still spin, and see the next loop."""
    for _ in range(100):
        pool.set_threads(4)
        shared_tasks().meet(4)
        pool.set_threads(2)
        assert is_partition(shared_tasks().pieces(1000), 1000, 2)


def test_no_wake_up_is_lost_however_long_the_pool_was_idle():
    """Pauses on both sides of the moment where workers fall asleep; one that slept on would leave the caller alone."""
    pool.set_threads(2)
    draw = random.Random(1)
    for _ in range(5000):
        shared_tasks().meet(2)
        until = time.perf_counter() + draw.uniform(0.8, 1.4) * pool.SPIN_SECONDS
        while time.perf_counter() < until:
            pass


def test_a_caller_waits_for_a_long_last_piece():
    """The caller runs out of pieces, spins, and falls asleep before the others have met."""
    pool.set_threads(2)
    state = np.array([0, 3])  # one more than will come by itself: the test is the third

    def arrive() -> None:
        while state[0] < 2:
            time.sleep(1e-3)
        time.sleep(20 * pool.SPIN_SECONDS)
        state[0] += 1

    for _ in range(10):
        state[0] = 0
        thread = threading.Thread(target=arrive)
        thread.start()
        shared_tasks().run("meet", state, 2)
        thread.join()
        assert state[0] == 3


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_eight_callers_at_once_each_get_their_own(threads):
    pool.set_threads(threads)

    def calls(seed: int) -> bool:
        draw = random.Random(seed)
        drawn = (draw.randrange(200) for _ in range(200))
        return all(is_partition(shared_tasks().pieces(extent), extent, threads) for extent in drawn)

    with ThreadPoolExecutor(8) as callers:
        assert all(callers.map(calls, range(8)))


@given(st.integers(0, 40), st.integers(0, 40), thread_counts)
def test_loops_inside_tasks_are_whole(outer, inner, threads):
    pool.set_threads(threads)
    logs = [empty_log() for _ in range(outer)]
    shared_tasks().run("nest", np.array([inner, *(log.ctypes.data for log in logs)], np.int64), outer)
    assert all(is_partition(rows(log), inner, threads) for log in logs)


def test_the_number_of_threads_may_change_while_loops_run():
    done = threading.Event()

    def change() -> None:
        draw = random.Random(2)
        while not done.is_set():
            pool.set_threads(draw.randint(1, pool.LEAST_CAPACITY))

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for extent in range(500):
            assert is_partition(shared_tasks().pieces(extent), extent, pool.capacity())
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("count", [0, -1, 10**9])
def test_a_number_of_threads_that_cannot_be_is_refused(count):
    before = pool.threads()
    with pytest.raises(ValueError, match=r"1 to \d+ threads"):
        pool.set_threads(count)
    assert pool.threads() == before


def test_one_thread_on_platforms_without_posix_threads():
    tasks = Tasks([target.emit_object(pool_text(host(), parallel=False), host())])
    assert tasks.pieces(0).tolist() == []
    assert tasks.pieces(100).tolist() == [[0, 100, 0]]
    assert pool.load_pool(parallel=False).capacity == 1


@pytest.mark.parametrize("triple", ["x86_64-unknown-linux-gnu", "aarch64-linux-gnu", "arm64-apple-darwin"])
def test_the_pool_needs_nothing_but_posix(triple):
    machine = Target(triple)
    needed = target.undefined_symbols(target.emit_object(pool_text(machine, parallel=True), machine))
    assert all(name.startswith("pthread_") or name in ("sigfillset", "sigdelset") for name in needed)


def test_the_code_of_the_pool_is_never_given_back():
    """Workers run it for as long as the process lives."""
    shared_tasks().meet(min(2, pool.threads()))
    gc.collect()
    assert is_partition(shared_tasks().pieces(50), 50, pool.threads())


def test_threads_and_capacity_begin_as_configured():
    python(
        "from codegen.llvm import pool\n"
        "assert pool.threads() == 3 and pool.capacity() >= 8\n"
        "pool.set_threads(8)\n"
        "assert pool.threads() == 8",
        SYMGRAPH_THREADS="3",
    )
    python("from codegen.llvm import pool\nassert pool.threads() == 50 == pool.capacity()", SYMGRAPH_THREADS="50")


@needs_fork
def test_a_child_has_a_pool_of_its_own():
    """Forked at rest, and while another thread keeps the pool busy: its workers and locks do not come along."""
    python("""
import os, sys, threading
from codegen.llvm import pool
from tests.codegen.pool_tasks import Tasks, is_partition

pool.set_threads(3)
tasks = Tasks()
stop = threading.Event()

def work():
    while not stop.is_set():
        tasks.pieces(100)

def child():
    signal.alarm(30)
    for extent in range(50):
        assert is_partition(tasks.pieces(extent), extent, 3)
    tasks.meet(3)
    os._exit(0)

def codes(count):
    children = [os.fork() or child() for _ in range(count)]
    return [os.waitpid(pid, 0)[1] for pid in children]

assert not any(codes(3))
thread = threading.Thread(target=work)
thread.start()
failed = any(codes(20))
stop.set()
thread.join()
tasks.meet(3)
sys.exit(failed)
""")


def test_a_process_ends_well_while_its_workers_spin_sleep_or_work():
    start = (
        "from tests.codegen.pool_tasks import Tasks\nfrom codegen.llvm import pool\npool.set_threads(4)\nt = Tasks()\n"
    )
    python(start)
    python(start + "t.meet(4)")
    python(start + "import time\nt.meet(4)\ntime.sleep(0.05)")
    python(start + "import threading\nthreading.Thread(target=lambda: t.meet(4 + 1), daemon=True).start()\nt.pieces(9)")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads what Linux says of each thread")
def test_workers_leave_signals_to_the_other_threads():
    pool.set_threads(4)
    shared_tasks().meet(4)
    masks = [re.search(r"SigBlk:\s*(\w+)", path.read_text()) for path in Path("/proc/self/task").glob("*/status")]
    blocking = [mask for mask in masks if mask and int(mask[1], 16) >> (signal.SIGINT - 1) & 1]
    assert len(blocking) >= 3
    assert not any(int(mask[1], 16) >> (signal.SIGSEGV - 1) & 1 for mask in masks if mask)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.skipif(not host().triple.startswith("x86_64"), reason="sets the control register of x86")
def test_workers_keep_subnormal_numbers_though_their_maker_does_not():
    python("""
import ctypes
import numpy as np
from codegen.llvm import pool, target
from codegen.llvm.parallel import SHARES, pool_text
from tests.codegen.pool_tasks import Tasks

flush = target.load([target.emit_object('''
define void @flush() {
  %mode = alloca i32
  store i32 u0x9fc0, ptr %mode
  call void @llvm.x86.sse.ldmxcsr(ptr %mode)
  ret void
}
declare void @llvm.x86.sse.ldmxcsr(ptr)
''', target.host())])
pool.set_threads(2)
tasks = Tasks()
ctypes.CFUNCTYPE(None)(flush.address("flush"))()
bits = np.full(2, 7, np.uint64)  # not as float64: in this thread a subnormal number is now equal to 0
while bits[1] == 7:
    tasks.run("halve", bits, 2)
assert bits[1] == 1 << 51, bits
""")

"""Threads, processes and the disk: what happens at the same time, and what is the same every time."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import numpy as np
import pytest

import symgraph as sg
from codegen.llvm import pool

THREADS = 8
CALLS = 1000


def in_threads(work, count=THREADS):
    """``work(k)`` in ``count`` threads that start together; what each gave."""
    gate = threading.Barrier(count)

    def run(k):
        gate.wait()
        return work(k)

    with ThreadPoolExecutor(count) as executor:
        return list(executor.map(run, range(count)))


def network():
    x = sg.fmatrix("x")
    w = sg.shared(np.random.default_rng(0).standard_normal((60, 40), "float32"), name="w")
    h = sg.tanh(x @ w)
    return x, w, sg.nn.softmax(h[:, ::-1]) * h.sum(axis=0)


# ------------------------------------------------------------------------------------------------ threads


def test_each_thread_gets_its_own_result():
    x, _, y = network()
    f = sg.function([x], y)
    given = [np.random.default_rng(k).standard_normal((30 + k % 2, 60), "float32") for k in range(THREADS)]
    alone = [sg.function([x], y)(a) for a in given]

    def work(k):
        # the first to call gets a program of its own length, whose sums may have another order
        return all(np.allclose(f(given[k]), alone[k], rtol=1e-4) for _ in range(CALLS // THREADS))

    assert all(in_threads(work)) and len(f.programs) == 2


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_no_update_is_lost(backend):
    x, s, t = sg.dscalar("x"), sg.shared(np.zeros(50), name="s"), sg.shared(0, name="t")
    f = sg.function([x], s.sum(), updates=[(s, s + x), (t, t + 1)], backend=backend)
    g = sg.function([], [s, t], backend=backend)

    def work(k):
        for _ in range(50):
            f(1)
            values, count = g()
            assert (values == count).all()

    in_threads(work)
    assert t.get_value() == 50 * THREADS and (s.get_value() == 50 * THREADS).all()


def test_random_streams_give_each_call_its_own_sample():
    u = sg.random.RandomStream(1).uniform((4,))
    f = sg.function([], u)
    samples = in_threads(lambda k: {f().tobytes() for _ in range(25)})
    assert len(set.union(*samples)) == 25 * THREADS


def test_python_runs_on_during_a_long_call():
    x = sg.dmatrix("x")
    y = x
    for _ in range(30):
        y = sg.sin(y) + y.T
    f = sg.function([x], y.sum())
    a = np.random.default_rng(0).standard_normal((700, 700))
    f(a)
    ticks, done = [], threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    start = time.perf_counter()
    with sg.using(threads=1):
        f(a)
    end = time.perf_counter()
    done.set()
    thread.join()
    assert sum(start < t < end for t in ticks) > 3, f"{end - start} s without Python"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_functions_work_in_the_child_of_a_fork():
    x, w, y = network()
    f = sg.function([x], y.sum(), updates=[(w, w * 2)])
    g = sg.function([x], y.mean())
    a = np.ones((500, 60), "float32")
    expected = f(a), f(a), g(a)
    w.set_value(w.get_value() / 2)
    child = os.fork()
    if child == 0:
        new = sg.function([x], y.max())
        w.set_value(w.get_value())
        fine = f(a) == expected[1] and g(a) == expected[2] and np.isfinite(new(a))
        os._exit(0 if fine else 1)
    assert ended(child) == 0
    assert f(a) == expected[1]


def ended(child, seconds=60):
    """The status with which a process ends; None if it does not, and it is killed."""
    for _ in range(seconds * 50):
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_child_of_a_fork_compiles_while_a_thread_of_the_parent_does():
    x = sg.dvector("x")
    large = x
    for k in range(60):
        large = sg.tanh(large * (k + 0.5)).cumsum() + sg.sort(large)
    f, small = sg.function([x], large), sg.exp(x).sum() + (x[:, None] @ x[None]).max()
    a = np.linspace(0, 1, 5)
    with sg.using(cache="off"):
        expected = sg.function([x], small)(a)
        thread = threading.Thread(target=copy_context().run, args=(f, a))
        thread.start()
        statuses = []
        while thread.is_alive() and len(statuses) < 8:
            child = os.fork()
            if child == 0:
                os._exit(0 if sg.function([x], small)(a) == expected else 1)
            statuses.append(ended(child))
        thread.join()
    assert statuses and not any(s != 0 for s in statuses)


def test_a_function_compiles_while_the_interpreter_ends():
    program = """
import atexit
import numpy as np
import symgraph as sg

x = sg.dvector("x")
y = sg.exp(x).sum() + x[0]
sg.configure(cache="off")
atexit.register(lambda: print(sg.function([x], y)(np.zeros(3)), sg.function([x], sg.sort(x))(np.ones(2))))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("3.0 [1. 1.]\n", "")


def test_results_do_not_depend_on_the_number_of_threads():
    x, w, y = network()
    cost = sg.sqr(y).mean()
    table, i = sg.fmatrix("table"), sg.lvector("i")
    f = sg.function([x, table, i], [y, cost, sg.grad(cost, w), sg.inc_subtensor(table[i], 0.1).sum(axis=0), y.std()])
    random = np.random.default_rng(2)
    rows = random.random((501, 7), "float32")
    args = (random.standard_normal((777, 60), "float32"), rows, random.integers(0, 501, 999))
    found = {}
    for threads in (1, 2, 3, 5):
        with sg.using(threads=threads):
            found[threads] = [v.tobytes() for v in f(*args)]
            assert pool.threads() == threads
    assert all(v == found[1] for v in found.values())


def test_two_runs_with_one_seed_give_the_same_weights():
    def run():
        stream = sg.random.RandomStream(9)
        x, w, y = network()
        kept = y * stream.bernoulli(y.shape, p=0.5, dtype="float32")
        cost = sg.sqr(kept).mean()
        f = sg.function([x], cost, updates=[(w, w - 0.1 * sg.grad(cost, w))])
        for k in range(5):
            f(np.random.default_rng(k).standard_normal((64, 60), "float32"))
        return w.get_value().tobytes()

    assert run() == run()


def test_shared_variables_may_be_set_to_each_other_at_once():
    a, b = sg.shared(np.zeros(1000), name="a"), sg.shared(np.ones(1000), name="b")

    def follow(one, other):
        for _ in range(200):
            one.set_value(other)

    threads = [threading.Thread(target=follow, args=pair, daemon=True) for pair in ((a, b), (b, a))]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert not any(t.is_alive() for t in threads)
    assert set(a.get_value()) | set(b.get_value()) <= {0.0, 1.0}

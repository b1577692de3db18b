"""Ctrl-C during a call: a long one stops between its steps, and shared variables are all old or all new."""

import os
import signal
import threading

import numpy as np
import pytest

import symgraph as sg
from codegen.llvm import entry
from symgraph.function import Function
from symgraph.host import host
from symgraph.op import scratch_registry
from symgraph.shared_variable import SharedVariable

pytestmark = pytest.mark.skipif(os.name != "posix", reason="no signals from other threads here")
DELAY, STEPS, SIZE = 0.01, 16, 1024


@pytest.fixture(autouse=True)
def _listening():
    """A shell's background jobs ignore the key."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press():
    os.kill(os.getpid(), signal.SIGINT)


def press_soon():
    threading.Timer(DELAY, press).start()


def slowly(f, *args):
    """What a call through Python gives."""
    return Function.__call__(f, *args)


@pytest.fixture
def keyboard(monkeypatch):
    """An op of the host that does nothing but what is put into its list, once each."""
    monkeypatch.setattr(entry, "POLL_WORK", 1)
    waiting = []

    def keyed(x):
        while waiting:
            waiting.pop()()
        return x

    with sg.using(cache="off"), scratch_registry():
        yield host(infer=lambda x: [x.type], name="keyed")(keyed), waiting


@pytest.mark.parametrize("key", [press, press_soon], ids=["in a step of the host", "in a kernel"])
@pytest.mark.parametrize("call", [slowly, Function.__call__], ids=["python", "native"])
def test_a_call_stops_before_it_writes_anything(keyboard, key, call):
    op, waiting = keyboard
    x, s, t = sg.fmatrix("x"), sg.shared(np.float32(1), name="s"), sg.shared(np.float32(2), name="t")
    (y,) = op(x)
    for _ in range(STEPS):
        y = sg.tanh(y @ x)
    f = sg.function([x], y.sum(), updates=[(s, s + 1), (t, t + y.sum())])
    a = np.eye(SIZE, dtype="float32")
    f.compile(a)
    if call is not slowly:
        f(a)
    before = s.get_value(), t.get_value()
    waiting.append(key)
    with pytest.raises(KeyboardInterrupt):
        slowly(f, a) if call is slowly else f(a)
    assert not waiting and (s.get_value(), t.get_value()) == before
    assert not s.lock._is_owned()
    assert f(a) > 0 and s.get_value() == before[0] + 1 and t.get_value() > before[1]


def growing(backend="llvm"):
    """A function of no input: one variable is written where it is, two get storage of another shape."""
    s, t = (sg.shared(np.zeros(1), name=name, shape=(None,)) for name in "st")
    n = sg.shared(np.zeros(3), name="n")
    longer = [(v, sg.concatenate([v, v + 1])) for v in (s, t)]
    return sg.function([], n.sum(), updates=[*longer, (n, n + 1)], backend=backend), (s, t, n)


def test_a_signal_at_the_end_of_a_call_finds_all_values_new():
    f, variables = growing()
    executable = f.compile()
    run = executable.entry
    executable.entry = lambda *given: (run(*given), press())
    with pytest.raises(KeyboardInterrupt):
        f()
    assert [v.get_value().tolist() for v in variables] == [[0, 1], [0, 1], [1, 1, 1]]
    assert f() == 3


@pytest.mark.parametrize("backend", ["llvm", "numpy"])
def test_a_signal_between_two_new_values_leaves_both_new(backend, monkeypatch):
    f, variables = growing(backend)
    f.compile()
    write, pressed = SharedVariable.set_value, []

    def pressing(*args, **options):
        write(*args, **options)
        if not pressed:
            pressed.append(True)
            press()

    monkeypatch.setattr(SharedVariable, "set_value", pressing)
    with pytest.raises(KeyboardInterrupt):
        f()
    assert [v.get_value().tolist() for v in variables] == [[0, 1], [0, 1], [1, 1, 1]]


def test_locks_that_were_taken_are_given_back_if_the_next_is_interrupted():
    f, variables = growing()
    f.compile()
    taken = threading.Event()

    def hold():
        with last.lock:
            taken.set()
            press_soon()
            done.wait(10)

    last, done = max(variables, key=id), threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            taken.wait(10)
            f()
    finally:
        done.set()
        thread.join()
    assert not any(v.lock._is_owned() for v in variables)
    assert f() == 0

"""Work on a second thread: what it sees, what it raises, and what it leaves of the interpreter's settings."""

import os
import sys
import threading

import pytest

import symgraph as sg
from codegen.llvm.beside import SECONDS, beside, turns


@pytest.fixture
def usual():
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.004)
    yield sys.getswitchinterval()
    sys.setswitchinterval(before)


def test_threads_take_turns_often_while_anybody_needs_it(usual):
    with turns:
        assert sys.getswitchinterval() == pytest.approx(SECONDS)
        with pytest.raises(KeyError), turns:
            raise KeyError
        assert sys.getswitchinterval() == pytest.approx(SECONDS)
    assert sys.getswitchinterval() == usual


def test_a_shorter_interval_is_left_alone():
    before = sys.getswitchinterval()
    sys.setswitchinterval(SECONDS / 2)
    try:
        with turns:
            assert sys.getswitchinterval() == pytest.approx(SECONDS / 2)
    finally:
        sys.setswitchinterval(before)


def test_many_threads_at_once_put_back_what_was(usual):
    def use():
        for _ in range(200):
            with turns:
                pass

    threads = [threading.Thread(target=use) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sys.getswitchinterval() == usual


def test_work_beside_has_the_configuration_of_its_caller_and_is_done_at_the_end(usual):
    seen = []
    with sg.using(threads=1), beside(lambda: seen.append((sg.config.threads(), threading.current_thread()))):
        pass
    ((threads, thread),) = seen
    assert threads == 1 and thread is not threading.current_thread()
    assert sys.getswitchinterval() == usual


def test_work_beside_raises_in_its_caller(usual):
    with pytest.raises(ZeroDivisionError), beside(lambda: 1 // 0):
        pass
    with pytest.raises(KeyError), beside(lambda: 1 // 0):
        raise KeyError
    assert sys.getswitchinterval() == usual


def test_what_somebody_sets_meanwhile_stays(usual):
    with turns:
        sys.setswitchinterval(0.05)
    assert sys.getswitchinterval() == pytest.approx(0.05)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_child_of_a_fork_has_the_usual_interval(usual):
    with turns:
        child = os.fork()
        if not child:
            os._exit(sys.getswitchinterval() != usual)
        assert os.waitpid(child, 0)[1] == 0
    assert sys.getswitchinterval() == usual


def test_where_no_thread_can_be_made_the_caller_does_the_work(usual, monkeypatch):
    def start(self):
        raise RuntimeError("can't start new thread")

    x = sg.dvector("x")
    monkeypatch.setattr(threading.Thread, "start", start)
    with sg.using(cache="off"):
        assert sg.function([x], sg.exp(x).sum() + x[0])([0.0, 0.0]) == 2
    with pytest.raises(KeyError), beside(lambda: {}[0]):
        pass
    assert sys.getswitchinterval() == usual

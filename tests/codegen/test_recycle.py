"""Memory of large outputs is used again, and is the caller's own for as long as an output is there."""

import threading

import numpy as np

import symgraph as sg
from codegen.llvm.recycle import LARGE

LARGE_ROWS = LARGE // 8

x = sg.dvector("x")


def test_memory_of_large_outputs_is_used_again():
    f = sg.function([x], [x + 1, x * 2])
    a = np.arange(float(LARGE_ROWS))
    f(a)
    first = [o.ctypes.data for o in f(a)]
    for _ in range(3):
        found = f(a)
        assert {o.ctypes.data for o in found} == set(first)
        assert (found[0] == a + 1).all() and (found[1] == a * 2).all()
        del found
    held = f(a)
    other = f(a + 1)
    assert not {o.ctypes.data for o in held} & {o.ctypes.data for o in other}
    assert (held[0] == a + 1).all() and (other[0] == a + 2).all()


def test_large_outputs_are_arrays_as_any_other():
    f = sg.function([x], x + 1)
    a = np.arange(float(LARGE_ROWS))
    f(a)
    for size in (LARGE_ROWS + 9, 10, LARGE_ROWS):
        y = f(a)
        assert y.flags.owndata and y.base is None and y.ctypes.data % 64 == 0
        y.resize(size, refcheck=False)
        kept = min(size, LARGE_ROWS)
        assert (y[:kept] == a[:kept] + 1).all() and not y[kept:].any()
    assert np.zeros(LARGE_ROWS).ctypes.data and (f(a) == a + 1).all()


def test_threads_that_drop_large_outputs_never_share_one():
    f = sg.function([x], x + 1)
    a = np.zeros(LARGE_ROWS)
    f(a), f(a)
    wrong = []

    def work(k):
        for _ in range(4):
            y = f(np.full(LARGE_ROWS, float(k)))
            y += 1
            if not (y == k + 2).all():
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong

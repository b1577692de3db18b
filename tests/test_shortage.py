"""What the system has no memory for: the error names op, shape and bytes, and the function stays usable."""

import gc
import math
import weakref

import numpy as np
import pytest

import symgraph as sg
from codegen.llvm.backend import LlvmExecutable
from codegen.llvm.pool import capacity
from codegen.memory import ALIGNMENT

HUGE = [2**45, 2**60, 2**61]  # more than there is, than an address reaches, than 64 bits count in bytes


def refused(f, *args):
    """The message of a call that finds no memory."""
    with pytest.raises(MemoryError) as caught:
        f(*args)
    assert isinstance(caught.value, sg.AllocationError) and isinstance(caught.value, sg.SymgraphError)
    return str(caught.value)


@pytest.mark.parametrize("n", HUGE)
def test_outputs_that_find_no_memory(n):
    x, k, s = sg.dscalar("x"), sg.lscalar("k"), sg.shared(np.zeros(2), name="s")
    f = sg.function([x, k], [x + 1, sg.exp(x * sg.ones((k,)))], updates=[(s, s + 1)])
    for turn in (1, 2):
        assert (f(0.0, 3)[1] == 1).all() and (s.get_value() == turn).all()
        message = refused(f, 0.0, n)
        assert message.startswith(f"exp: no memory for float64 ({n},), {8 * n:,} bytes")
        assert "test_shortage.py" in message
        assert (s.get_value() == turn).all() and not s.lock._is_owned()


@pytest.mark.parametrize("n", HUGE)
def test_values_on_the_way_that_find_no_memory(n):
    x, k, s = sg.dscalar("x"), sg.lscalar("k"), sg.shared(np.zeros(2), name="s")
    f = sg.function([x, k], sg.sort(x * sg.ones((k,)))[0], updates=[(s, s + 1)])
    for turn in (1, 2):
        assert f(2.0, 3) == 2 and (s.get_value() == turn).all()
        message = refused(f, 2.0, n)
        assert f"float64 ({n},)" in message and f"{8 * n:,}" in message and "test_shortage.py" in message
        assert (s.get_value() == turn).all() and not s.lock._is_owned()


def test_new_values_of_another_shape_that_find_no_memory():
    k, s = sg.lscalar("k"), sg.shared(np.zeros(2), name="s", shape=(None,))
    f = sg.function([k], updates=[(s, sg.concatenate([s, sg.zeros((k,))]))])
    f(1)
    assert refused(f, 2**45).startswith(f"concatenate: no memory for float64 ({2**45 + 3},)")
    assert s.get_value().shape == (3,)
    f(1)
    assert s.get_value().shape == (4,)


def test_a_constant_whose_size_overflows_is_not_folded():
    assert "no memory" in refused(sg.function([], sg.ones((2**61,)) * 2))


# ----------------------------------------------------------------------------------------------- programs of any length

X = sg.fmatrix("x")
KEPT = sg.exp(X @ sg.constant(np.full((20, 200), 0.01, "float32")))  # read twice: the whole of it is in the arena


def ones(n):
    return np.ones((n, 20), "float32")


def allow(monkeypatch, most):
    """Let the system have no more than so many bytes in one piece."""
    whole = np.empty

    def empty(shape, dtype=float, **options):
        if math.prod(np.atleast_1d(shape).tolist()) * np.dtype(dtype).itemsize > most:
            raise MemoryError
        return whole(shape, dtype, **options)

    monkeypatch.setattr(np, "empty", empty)


def test_a_program_for_the_very_shapes_is_tried_where_one_of_more_finds_no_memory(monkeypatch):
    s = sg.shared(0)
    f = sg.function([X], (KEPT / KEPT.sum(axis=0)).sum(axis=1), updates=[(s, s + 1)])
    f(ones(1000))
    common = f.compile(ones(520))
    assert common is f.compile(ones(1024))
    allow(monkeypatch, common.buffers["arena"] - 1)
    for n in (520, 530, 520):
        assert np.allclose(f(ones(n)), 200 / n, rtol=1e-5)  # some roundings of float32
        assert f.compile(ones(n)).signature.inputs[0].shape == (n, 20)
    assert s.get_value() == 4
    allow(monkeypatch, 1 << 16)
    message = refused(f, ones(540))
    assert "(540, 200)" in message and f"{540 * 200 * 4:,}" in message
    assert s.get_value() == 4


def test_a_call_that_is_done_is_not_lost_where_there_is_no_memory_for_native_ones(monkeypatch):
    def nothing(*_):
        raise sg.AllocationError("no memory")

    s = sg.shared(0)
    f = sg.function([X], X + 1, updates=[(s, s + 1)])
    monkeypatch.setattr(LlvmExecutable, "native", nothing)
    for turn in (1, 2):
        assert (f(ones(3)) == 2).all() and s.get_value() == turn


@pytest.fixture
def uncollected():
    """Without the collector of cycles: what is not dropped at once stays."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_programs_of_growing_capacity_leave_no_arenas_behind(monkeypatch, uncollected):
    whole, made = LlvmExecutable._free_arena, {}

    def counted(self):
        arena = whole(self)
        made[id(arena)] = weakref.ref(arena)
        return arena

    monkeypatch.setattr(LlvmExecutable, "_free_arena", counted)
    f = sg.function([X], (KEPT / KEPT.sum(axis=0)).sum(axis=1))
    for n in (60, 50, 100, 200, 400, 800):
        for _ in range(2):
            assert np.allclose(f(ones(n)), 200 / n, rtol=1e-5)
    held = [arena.nbytes for reference in made.values() if (arena := reference()) is not None]
    programs = set(f.programs.values())
    needed = sum(p.buffers["arena"] + p.buffers["scratch"] * capacity() + ALIGNMENT for p in programs)
    assert len(held) <= len(programs) == 6 and sum(held) <= needed

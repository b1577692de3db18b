"""What the system has no memory for: the error names op, shape and bytes, and the function stays usable."""

import numpy as np
import pytest

import symgraph as sg

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

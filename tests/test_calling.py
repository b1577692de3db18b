"""Native calls: what Python does with any arguments, machine code does, or leaves to Python before it did anything."""

import gc
import os
import pickle
import sys
import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import symgraph as sg
from codegen.llvm import native
from codegen.llvm.accept import NUMBERS
from codegen.llvm.calling import calling_text
from codegen.llvm.target import emit_object, host, undefined_symbols
from symgraph.function import MOST_NATIVE, Function
from symgraph.prelude import python_function, scalar_terms
from symgraph.reference import evaluate
from symgraph.types import DTYPES

# The stable C interface of CPython, and functions of NumPy's table.
CALLED = {
    "PyArray_NewFromDescr", "PyArray_Type", "PyDataMem_SetHandler", "PyErr_Clear", "PyErr_Fetch", "PyErr_Restore",
    "PyEval_RestoreThread",
    "PyEval_SaveThread", "PyFloat_Type", "PyList_New", "PyList_SetItem", "PyLong_AsLongLongAndOverflow", "PyLong_Type",
    "PyObject_Vectorcall", "Py_DecRef", "Py_IncRef", "_Py_NoneStruct",
}  # fmt: skip
BIG = 400


class Sub(np.ndarray):
    """An array that says so."""


class Counted:
    """Counts the calls of a function that go through Python."""

    def __init__(self, monkeypatch):
        self.calls = 0
        bind = Function._bind

        def counting(*args):
            self.calls += 1
            return bind(*args)

        monkeypatch.setattr(Function, "_bind", counting)


@pytest.fixture
def counted(monkeypatch):
    return Counted(monkeypatch)


def slowly(f, *args, **kwargs):
    """What a call through Python gives."""
    return Function.__call__(f, *args, **kwargs)


def outcome(call, *args, **kwargs):
    """What can be seen of a call: the arrays it gives, or its error."""
    try:
        found = call(*args, **kwargs)
    except Exception as error:
        return type(error), str(error)
    arrays = found if isinstance(found, list) else [found]
    return [None if a is None else (type(a), a.dtype, a.shape, a.flags.carray, a.tobytes()) for a in arrays]


# ------------------------------------------------------------------------------------------------ arguments

INTEGERS = [0, 1, -1, 7, 127, 128, -129, 255, 256, *[2**k + d for k in (15, 24, 31, 53, 63, 70) for d in (-1, 0, 1)]]
FLOATS = [0.0, -0.0, 1.5, 0.1, 1e30, 3.4e38, 3.5e38, 1e300, 1e-40, float("inf"), float("nan")]
OTHERS = [True, None, "1", 1j, [1, 2, 3], [[1.0]], (), object(), np.ma.masked_array([1.0, 2, 3], [0, 1, 0])]
VALUES = [*INTEGERS, -(2**63), -(2**63) - 1, *FLOATS, *OTHERS]
SCALARS = [np.dtype(d).type(v) for d in DTYPES for v in (0, 1, 3)]
shapes = st.sampled_from([(), (1,), (3,), (2, 3), (3, 2), (0,), (0, 3)])


@st.composite
def arrays(draw):
    """Arrays of every dtype, layout and kind."""
    shape = draw(shapes)
    a = np.arange(1, 1 + np.prod(shape, dtype=int)).reshape(shape).astype(draw(st.sampled_from(DTYPES)))
    match draw(st.sampled_from("plain strided transposed read-only swapped unaligned subclass pickled list".split())):
        case "strided":
            return np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a
        case "transposed":
            return np.asfortranarray(a)
        case "read-only":
            a.flags.writeable = False
        case "swapped":
            return a.astype(a.dtype.newbyteorder())
        case "unaligned":
            return np.frombuffer(b"x" + a.tobytes(), a.dtype, offset=1).reshape(shape) if a.size else a
        case "subclass":
            return a.view(Sub)
        case "pickled":
            return pickle.loads(pickle.dumps(a))
        case "list":
            return a.tolist()
    return a


arguments = st.one_of(st.sampled_from(VALUES), st.sampled_from(SCALARS), arrays(), st.integers(), st.floats())
types = [("float32", ()), ("float64", (None,)), ("int64", ()), ("uint8", ()), ("float32", (None, None)), ("bool", ()),
         ("float16", ()), ("int32", (3,)), ("float64", ()), ("int8", ()), ("uint64", ())]  # fmt: skip


def pair(dtype, shape):
    """Two equal functions with states of their own: one that was made native for two shapes, and one of Python."""
    made = []
    for _ in range(2):
        x = sg.tensor("x", dtype, shape)
        s = sg.shared(np.zeros(3), name="s")
        updates = [(s, s * 2 + x.sum().astype("float64"))]
        f = sg.function([x], [x + x if dtype != "bool" else ~x, x.sum()], updates=updates)
        for extent in (3, 2):
            f(np.ones([n or extent for n in shape], dtype))
        made.append((f, s))
    return made


PAIRS = {t: pair(*t) for t in types}


@pytest.mark.parametrize("kind", types, ids=str)
@given(value=arguments)
def test_a_call_does_what_python_does(kind, value):
    (fast, s), (slow, t) = PAIRS[kind]
    assert outcome(fast, value) == outcome(slowly, slow, value)
    assert s.get_value().tobytes() == t.get_value().tobytes()


@pytest.mark.parametrize("kind", types, ids=str)
def test_plain_arguments_never_meet_python(kind, counted):
    dtype, shape = kind
    f, _ = PAIRS[kind][0]
    given = [np.ones([n or extent for n in shape], dtype) for extent in (2, 3)]
    if not shape:
        given += [given[0][()]] + [1] * (dtype in NUMBERS) + [1.0] * dtype.startswith("float") * (dtype in NUMBERS)
        if dtype == "float16":
            given = given[:2]
    for a in given:
        f(a)
    assert counted.calls == 0 or dtype == "bool"


def test_names_and_defaults_are_pythons(counted):
    x, y = sg.dscalars("x y")
    f = sg.function([x, sg.In(y, value=2.0)], x - y)
    assert f(5.0, 1.0) == 4 and f(5.0) == 3 and f(y=1.0, x=5.0) == 4 and f(5.0, y=1.0) == 4 and f(5.0, 1.0) == 4
    assert counted.calls == 4
    for args, kwargs in [((), {}), ((1.0, 2.0, 3.0), {}), ((1.0,), {"z": 1.0}), ((1.0,), {"x": 1.0})]:
        assert outcome(f, *args, **kwargs) == outcome(slowly, f, *args, **kwargs)
        with pytest.raises(sg.ArgumentError):
            f(*args, **kwargs)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_the_form_of_the_result_is_kept(count):
    x = sg.dvector("x")
    outputs = [x * k for k in range(count)]
    for form in (outputs, tuple(outputs), dict(zip("abc", outputs, strict=False)), x + 1, None):
        f = sg.function([x], form, on_unused_input="ignore")
        first, second = f(np.ones(2)), f(np.ones(2))
        assert type(first) is type(second)
        if isinstance(first, dict):
            assert list(first) == list(second)
            first, second = list(first.values()), list(second.values())
        assert np.array_equal(first, second) if first is not None else second is None


def test_each_of_many_shapes_has_its_program(counted):
    x = sg.dvector("x")
    f = sg.function([x], x * 2)
    with sg.config.using(extents="fixed"):
        for _ in range(2):
            for n in range(MOST_NATIVE + 3):
                assert (f(np.ones(n)) == 2 * np.ones(n)).all() and f(np.ones(n)).shape == (n,)
    assert counted.calls == MOST_NATIVE + 4 * 3


def test_functions_stay_functions():
    x = sg.dscalar("x")
    f = sg.function([x], x + 1)
    f(1.0), f(1.0)
    assert isinstance(f, Function) and "1 compiled" in repr(f) and f.copy()(1.0) == 2
    assert pickle.loads(pickle.dumps(f))(1.0) == 2
    call = f.__call__
    del f
    gc.collect()
    assert call(1.0) == 2 and call([1.0][0]) == 2 and call(np.int8(1)) == 2


def test_another_layout_of_objects_means_python(monkeypatch, counted):
    monkeypatch.setattr(native, "layout", lambda: None)
    x = sg.dscalar("x")
    f = sg.function([x], x + 1)
    assert f(1.0) == f(2.0) - 1 == 2 and counted.calls == 2 and type(f) is Function


def test_a_layout_that_differs_is_noticed(monkeypatch):
    native.layout.cache_clear()
    assert native.layout() is not None
    try:
        for check in ("_arrays_are_known", "_numbers_are_known"):
            with monkeypatch.context() as patch:
                patch.setattr(native, check, lambda: False)
                native.layout.cache_clear()
                assert native.layout() is None
        with monkeypatch.context() as patch:
            patch.setattr(native.threading, "RLock", threading.Lock)
            native.layout.cache_clear()
            assert native.layout() is None
    finally:
        native.layout.cache_clear()


def test_the_code_of_calls_needs_only_the_stable_interface():
    assert undefined_symbols(emit_object(calling_text(24), host())) <= CALLED


# ------------------------------------------------------------------------------------------------ integers and extents


def slices():
    """A function of an integer that takes pieces of a shared array, and the array."""
    data = np.arange(40.0).reshape(20, 2)
    d, i = sg.shared(data, name="d"), sg.lscalar("i")
    return data, sg.function([i], [d[i * 4 : (i + 1) * 4] * 2, d[i:].sum(axis=0)])


SLICES = slices()


@given(st.one_of(st.integers(-30, 30), st.integers(-(2**63), 2**63 - 1)))
@example(2**61)
@example(2**63 - 1)
@example(-(2**63))
def test_a_program_knows_the_integers_it_is_for(i):
    _, f = SLICES
    assert outcome(f, i) == outcome(slowly, f, i) == outcome(f, np.int64(i))


def test_slices_of_one_length_never_meet_python(counted):
    data = np.arange(40.0).reshape(20, 2)
    d, i, x = sg.shared(data), sg.iscalar("i"), sg.dmatrix("x")
    f = sg.function([i], x * 2, givens={x: d[i * 4 : (i + 1) * 4]})
    for k in (0, 4, 1, 3, 2):
        assert (f(k) == 2 * data[4 * k : 4 * k + 4]).all()
    assert counted.calls == 1 and f(6).shape == (0, 2) and counted.calls == 2


def test_extents_that_are_no_arithmetic_are_pythons(counted):
    x = sg.lvector("x")
    f = sg.function([x], sg.zeros((x.max(), 2)))
    assert [f(np.array(v)).shape for v in ([1, 3], [5, 3], [1, 3])] == [(3, 2), (5, 2), (3, 2)] and counted.calls == 3


numbers = st.one_of(st.integers(-5, 5), st.integers(-(2**63), 2**63 - 1), st.sampled_from([2**63 - 1, -(2**63), 2**62]))


@given(numbers, numbers)
def test_extents_are_worked_out_in_64_bits(a, b):
    x, y = sg.lscalars("x y")
    terms = [x + y, x - y, x * y, -x, abs(x), x // y, x % y, sg.maximum(x * y, x), sg.switch(x < y, x * x, y)]
    f = python_function(scalar_terms(terms, [x, y]), 2)
    with np.errstate(all="ignore"):
        expected = evaluate(terms, {x: np.array(a), y: np.array(b)})
    assert f(a, b) == tuple(int(v) for v in expected)


# ------------------------------------------------------------------------------------------------ shared variables


def counter(size=3):
    x, s = sg.dvector("x"), sg.shared(np.zeros(size), name="s", shape=(None,))
    return sg.function([x], s.sum(), updates=[(s, s + x)]), s


@pytest.mark.parametrize("size", [3, BIG * BIG])
def test_new_values_are_seen(size, counted):
    f, s = counter(size)
    f(np.ones(size)), f(np.ones(size))
    s.set_value(np.full(size, 5.0))
    assert f(np.ones(size)) == 5 * size and (s.get_value() == 6).all() and counted.calls == 1
    s.set_value(np.ones(4))
    assert f(np.ones(4)) == 4 and f(np.ones(4)) == 8 and counted.calls == 2


@pytest.mark.parametrize("size", [3, BIG * BIG])
def test_an_argument_may_be_the_storage_that_is_written(size):
    f, s = counter(size)
    for _ in range(2):
        f(np.ones(size))
    held = s.get_value(borrow=True)
    f(held)
    assert (s.get_value() == 4).all()
    whole = np.ones(2 * size)
    s.set_value(whole[:size], borrow=True)
    f(whole[1 : size + 1])
    assert (s.get_value() == 2).all()


@pytest.mark.parametrize("size", [3, BIG * BIG])
def test_what_fails_has_changed_nothing(size):
    x, i, s = sg.dvector("x"), sg.lscalar("i"), sg.shared(np.zeros(size), name="s")
    f = sg.function([x, i], x[i], updates=[(s, s + x)])
    a = np.arange(float(size))
    f(a, 1), f(a, 1)
    for _ in range(3):
        assert outcome(f, a, size) == outcome(slowly, f, a, size)
        with pytest.raises(IndexError, match="out of"):
            f(a, size)
    assert (s.get_value() == 2 * a).all() and f(a, 2) == 2


@pytest.mark.parametrize("size", [3, BIG * BIG])
def test_a_call_waits_for_the_locks_of_its_variables(size):
    f, s = counter(size)
    f(np.ones(size)), f(np.ones(size))
    done = threading.Event()
    thread = threading.Thread(target=lambda: (f(np.ones(size)), done.set()))
    with s.lock:
        assert f(np.ones(size)) == 2 * size  # its own lock stops nobody
        thread.start()
        assert not done.wait(0.1) and (s.get_value() == 3).all()
    thread.join()
    assert done.is_set() and (s.get_value() == 4).all()
    with s.lock:
        pass


def test_a_heavy_call_that_cannot_begin_leaves_everything_as_it_was(monkeypatch):
    f, s = counter(BIG * BIG)
    a = np.ones(BIG * BIG)
    f(a), f(a)
    with sg.using(threads=1):
        f(a)
    with monkeypatch.context() as patch:
        patch.setattr("symgraph.config.threads", lambda: 1 // 0)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                f(a)
    assert not s.lock._is_owned() and (s.get_value() == 3).all()
    f(a)
    assert (s.get_value() == 4).all()


def test_outputs_that_find_no_memory_are_pythons_to_explain():
    x = sg.dscalar("x")
    f = sg.function([x], [x * sg.ones((2**45,)), x + 1])
    program = f.compile(1.0)
    seen = []
    call = program.native("list", lambda *args: seen.append(args))
    assert call(2.0) is None and call(2.0) is None and seen == [(2.0,)] * 2
    assert sys.exc_info() == (None, None, None)


# ------------------------------------------------------------------------------------------------ references


def kept(f, args, turns):
    """How many more references and blocks there are after ``turns`` calls, at least."""
    watched = [*args, None, np.dtype("float64"), np.dtype("float32"), np.dtype("int64")]
    counts = []
    for _ in range(6):  # some rounds also fill caches of bounded size
        gc.collect()
        counts.append([*[sys.getrefcount(o) for o in watched], sys.getallocatedblocks()])
        for _ in range(turns):
            outcome(f, *args)
    return np.diff(counts, axis=0).min(axis=0)


x, y, i = sg.dvector("x"), sg.dvector("y"), sg.lscalar("i")
CALLS = {
    "one": (lambda: sg.function([x], x * 2), [np.ones(3)]),
    "none": (lambda: sg.function([x], None, updates=[(v := sg.shared(np.zeros(3)), v + x)]), [np.ones(3)]),
    "list": (lambda: sg.function([x], [x * 2, x.sum(), x.astype("float32")]), [np.ones(3)]),
    "heavy": (lambda: sg.function([x], [sg.exp(x)], updates=[(v := sg.shared(np.zeros(BIG**2)), v + x)]),
              [np.ones(BIG**2)]),
    "failing": (lambda: sg.function([x, i], [x[i], x + 1]), [np.ones(3), 3]),
    "converted": (lambda: sg.function([x], x * 2), [np.ones(3, "float32")]),
    "refused": (lambda: sg.function([x], x * 2), [np.ones(3, complex)]),
    "number": (lambda: sg.function([i], i * 2), [3]),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_calls_keep_nothing(name):
    make, args = CALLS[name]
    f = make()
    plain = [np.ones(a.shape) if isinstance(a, np.ndarray) else 1 for a in args]
    f(*plain), f(*plain)
    assert (kept(f, args, 100) < 50).all()


def test_outputs_are_the_callers_own():
    f = sg.function([x], [x * 2, x + 1])
    f(np.ones(3))
    found = f(np.ones(3))
    assert [sys.getrefcount(a) for a in found] == [sys.getrefcount(np.ones(3)) + 2] * 2
    assert all(a.flags.owndata and a.flags.writeable and a.base is None for a in found)


def test_a_function_that_is_dropped_is_gone():
    def blocks():
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    f = sg.function([x], sg.exp(x))
    f(np.ones(1000))
    tracemalloc.start()
    try:
        sizes = []
        for _ in range(5):
            g = f.copy()
            g(np.ones(1000)), g(np.ones(1000))
            del g
            sizes.append(blocks())
    finally:
        tracemalloc.stop()
    assert sizes[-1] - sizes[1] < 20_000


# ------------------------------------------------------------------------------------------------ at the same time


def test_a_function_may_be_called_from_inside_its_own_call():
    f = sg.function([x], [x * 2, x + 1])
    f(np.ones(3)), f(np.ones(3))

    class Calling:
        def __array__(self, dtype=None, copy=None):
            assert (f(np.ones(3))[0] == 2).all()
            return np.full(3, 7.0)

    assert (f(Calling())[0] == 14).all()


@pytest.mark.parametrize("size", [3, BIG * BIG])
def test_many_threads_lose_no_update(size):
    f, s = counter(size)
    a = np.ones(size)
    f(a), f(a)
    threads = [threading.Thread(target=lambda: [f(a) for _ in range(30)]) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert (s.get_value() == 242).all()


@pytest.mark.parametrize("size", [3, BIG * BIG])
def test_threads_get_their_own_outputs(size):
    f = sg.function([x], [x * 2, x + 1])
    f(np.ones(size)), f(np.ones(size))
    wrong = []

    def work(k):
        for _ in range(30):
            double, more = f(np.full(size, float(k)))
            if not ((double == 2 * k).all() and (more == k + 1).all()):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("size", [3, BIG * BIG])
def test_the_child_of_a_fork_calls_on(size):
    f, s = counter(size)
    a = np.ones(size)
    f(a), f(a)
    child = os.fork()
    if child == 0:
        fine = f(a) == 2 * size and f(a) == 3 * size and (s.get_value() == 4).all()
        os._exit(0 if fine else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0 and f(a) == 2 * size

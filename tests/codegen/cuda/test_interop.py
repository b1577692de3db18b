"""Arrays of other libraries in a device's memory: taken and given without a way through the host."""

import numpy as np
import pytest

import symgraph as sg
from codegen.cuda.simulate import SimulatedArray, SimulatedDevice
from symgraph import config
from tests.codegen.cuda.devices import RESIDENTS, Tensor, seen

F = "float32"


@pytest.fixture(autouse=True)
def simulated():
    with config.using(backend="cuda", device="simulate"):
        yield


@pytest.fixture
def at_home(monkeypatch):
    """From here on nothing comes over from the host, and nothing goes there."""

    def stay():
        for name in ("write", "read", "bring"):
            monkeypatch.setattr(SimulatedDevice, name, None)

    return stay


def shared(*values):
    return sg.shared(np.array(values, F), name="s")


# ------------------------------------------------------------------------------------------------ shared variables


def test_another_library_sees_the_devices_own_storage():
    s = shared(1, 2)
    f = sg.function([], s * 2, updates=[(s, s + 1)])
    f()
    held, tensor = s.away, seen(s)
    assert tensor.ctypes.data == held.memory.address and tensor.tolist() == [2, 3]
    f()
    assert tensor.tolist() == [3, 4]
    tensor[0] = 7
    assert f().tolist() == [14, 8] and s.get_value().tolist() == [8, 5] and s.away is held


def test_what_runs_on_the_host_takes_nothing_of_the_devices():
    s = shared(1, 2)
    sg.function([], updates=[(s, s + 1)])()
    with pytest.raises(BufferError, match="simulated device"):
        np.from_dlpack(s)
    with pytest.raises(sg.DTypeError, match="copy it to the host first"):
        sg.shared(Tensor(np.ones(2, F)))


def test_what_another_library_has_outlives_the_variable():
    s = shared(1, 2)
    sg.function([], updates=[(s, s + 1)])()
    tensor = seen(s)
    del s
    assert tensor.tolist() == [2, 3]


@pytest.mark.parametrize("step", [1, -1])
def test_a_tensor_on_the_device_is_copied_there(step, monkeypatch):
    s = shared(1, 2)
    f = sg.function([], s * 2, updates=[(s, s + 1)])
    f()
    monkeypatch.setattr(SimulatedDevice, "write", None)
    data = np.array([5, 6], F)
    s.set_value(Tensor(data[::step]))
    data[:] = 0
    assert f().tolist() == [10, 12][::step] and s.away is not None


def test_a_tensor_of_another_shape_or_dtype_that_fits_is_taken_too(monkeypatch):
    s = sg.shared(np.ones(2), shape=(None,))
    f = sg.function([], s.sum(), updates=[(s, s + 1)])
    assert f() == 2
    held = s.away
    monkeypatch.setattr(SimulatedDevice, "write", None)
    s.set_value(Tensor(np.full(3, 2, F)))
    monkeypatch.undo()
    assert s.away is held and f() == 6 and f() == 9
    s.set_value(np.ones(2))
    assert f() == 2 and f() == 4 and s.away is held


def test_a_tensor_that_does_not_fit_is_refused_for_what_is_wrong_with_it():
    s = shared(1, 2)
    f = sg.function([], s.sum(), updates=[(s, s + 1)])
    f()
    with pytest.raises(sg.DTypeError, match=r"(?s)the value is float64, the variable is float32 \(2,\).*cast it"):
        s.set_value(Tensor(np.ones(2)))
    for shape in ((3,), (2, 1)):
        with pytest.raises(sg.ShapeError, match="the value has shape"):
            s.set_value(Tensor(np.ones(shape, F)))
    assert f() == 5


def on_device(values):
    """An array in memory of the simulated device, which begins as all of it does."""
    memory = RESIDENTS.device.allocate(values.nbytes)
    array = memory.array(values.dtype, values.shape)
    array.data[...] = values
    return array


def test_a_borrowed_tensor_is_the_storage_itself():
    s = shared(1, 2)
    f = sg.function([], s.sum(), updates=[(s, s + 1)])
    assert f() == 3
    tensor = on_device(np.array([5, 6], F))
    s.set_value(tensor, borrow=True)
    assert seen(s).ctypes.data == tensor.data.ctypes.data
    assert f() == 11 and f() == 13 and tensor.data.tolist() == [7, 8] == s.get_value().tolist()
    s.set_value(Tensor(np.array([1, 1], F)))
    assert f() == 2 and tensor.data.tolist() == [7, 8]
    s.set_value(tensor, borrow=True)
    s.set_value(np.zeros(2, F))
    assert f() == 0 and tensor.data.tolist() == [7, 8]


def test_a_borrowed_tensor_is_copied_where_it_cannot_be_the_storage():
    s, t = shared(1, 2), shared(3, 4)
    f = sg.function([], updates=[(s, s + t), (t, t + 1)])
    f()
    large, both = on_device(np.arange(4, dtype=F)), on_device(np.array([1, 2], F))
    s.set_value(SimulatedArray(large.data[1:3]), borrow=True)  # at no multiple of what memory begins at
    f()
    assert s.get_value().tolist() == [1 + 4, 2 + 5] and large.data.tolist() == [0, 1, 2, 3]
    s.set_value(both, borrow=True)
    t.set_value(both, borrow=True)
    f()
    assert s.get_value().tolist() == [2, 4] == both.data.tolist() and t.get_value().tolist() == [2, 3]


@pytest.fixture
def later(monkeypatch):
    """What another library asks of the device and has not been done yet."""
    asked = []
    monkeypatch.setattr(SimulatedDevice, "settle", lambda self: [asked.pop(0)() for _ in asked[:]])
    return asked


@pytest.mark.parametrize("borrowed", [False, True])
def test_what_another_library_still_reads_is_not_written(borrowed, later):
    s, found = shared(1, 2), []
    f = sg.function([], updates=[(s, s + 1)])
    f()
    if borrowed:
        s.set_value(on_device(np.array([2, 3], F)), borrow=True)
    tensor = seen(s)
    for change, wanted in ((f, [3, 4]), (lambda: s.set_value(Tensor(np.zeros(2, F))), [0, 0])):
        later.append(lambda: found.append(tensor.tolist()))
        change()
        assert s.get_value().tolist() == wanted
    for read in later:
        read()
    assert found == [[2, 3], [3, 4]]


def test_what_another_library_is_about_to_write_is_read_after_that(later):
    s = shared(1, 2)
    f = sg.function([], s.sum(), updates=[(s, s + 1)])
    f()
    tensor = seen(s)
    later.append(lambda: tensor.fill(5))
    assert f() == 10
    later.append(lambda: tensor.fill(7))
    assert s.get_value().tolist() == [7, 7]


def test_storage_of_the_host_is_what_another_library_sees_before_any_call():
    s = shared(1, 2)
    tensor = np.from_dlpack(s)
    tensor[1] = 5
    assert s.get_value().tolist() == [1, 5]


def test_the_place_of_a_borrowed_result_becomes_no_variables_storage():
    w = shared(0, 1, 2, 3)
    f = sg.function([], sg.Out(w[::-1] * 1, borrow=True), updates=[(w, w)])
    g = sg.function([], w * 1, updates=[(w, w + 0)])
    g()
    w.set_value(f(), borrow=True)
    assert seen(f()).tolist() == [0, 1, 2, 3] and w.get_value().tolist() == [3, 2, 1, 0]


# ------------------------------------------------------------------------------------------------ arguments


@pytest.mark.parametrize("most", [0, 1 << 20])
def test_an_argument_on_the_device_is_copied_there(most, monkeypatch, at_home):
    """Whether arguments of the host are staged or not."""
    monkeypatch.setattr("codegen.cuda.places.STAGED", most)
    x, y, s = sg.fmatrix("x"), sg.fvector("y"), sg.shared(np.zeros(2, F))
    f = sg.function([x, y], updates=[(s, s + (x * y).sum(axis=1))])
    a, b = np.arange(6, dtype=F).reshape(2, 3), np.array([1, 2, 3], F)
    f(a, b)
    f(Tensor(a), b)
    f(a, y=Tensor(b))
    f(Tensor(a), Tensor(b))
    at_home()
    f(Tensor(a[::-1]), Tensor(b))
    monkeypatch.undo()
    assert (s.get_value() == 4 * (a * b).sum(axis=1) + (a[::-1] * b).sum(axis=1)).all()


def test_arguments_of_the_host_and_of_the_device_take_turns():
    x = sg.fvector("x")
    f = sg.function([x], x * 2)
    for k in range(3):
        assert f(np.full(4, k, F)).tolist() == [2 * k] * 4
        assert f(Tensor(np.full(4, 10 + k, F))).tolist() == [20 + 2 * k] * 4


def test_an_argument_on_the_device_is_held_to_the_inputs_type():
    x = sg.fmatrix("x")
    f = sg.function([x], x + 1, name="f")
    assert f(Tensor(np.ones((1, 2), "int16"))).tolist() == [[2, 2]]
    with pytest.raises(sg.DTypeError, match="f: the input x is float64, it must be float32"):
        f(Tensor(np.ones((1, 2))))
    with pytest.raises(sg.ShapeError, match="f: the input x has 1 axes"):
        f(Tensor(np.ones(2, F)))
    loose = sg.function([x], x + 1, allow_input_downcast=True)
    assert loose(Tensor(np.ones((1, 2)))).dtype == F


@pytest.mark.parametrize("shape", [(), (0,), (3, 0)])
def test_scalars_and_empty_arrays_on_the_device_are_arguments_too(shape):
    x = sg.tensor("x", F, shape)
    assert (sg.function([x], x + 1)(Tensor(np.zeros(shape, F))) == np.ones(shape, F)).all()


def test_what_decides_extents_must_be_on_the_host():
    k = sg.lscalar("k")
    f = sg.function([k], sg.arange(k))
    assert f(3).tolist() == [0, 1, 2]
    with pytest.raises(sg.DTypeError, match="copy it to the host first"):
        f(Tensor(np.array(3)))


@pytest.mark.parametrize("build", [lambda x, n: x[:n], lambda x, n: (x * 2)[n::-1], lambda x, n: x.T[:, n:]])
def test_what_gives_the_host_extents_alone_may_be_on_the_device(build):
    x, n = sg.fmatrix("x"), sg.lscalar("n")
    f, here = (sg.function([x, n], build(x, n) + 1, backend=backend) for backend in ("cuda", "llvm"))
    a = np.arange(12, dtype=F).reshape(4, 3)
    for k in (2, 1):
        assert np.array_equal(f(Tensor(a), k), here(a, k)) and np.array_equal(f(Tensor(a[1:]), k), here(a[1:], k))


def test_what_the_host_counts_must_be_there():
    x, n = sg.fvector("x"), sg.lscalar("n")
    for y in (x[x > 0], x[x > 0][:n], x[: x.sum().astype("int64")]):
        f = sg.function([x, n], y, on_unused_input="ignore")
        f(np.ones(3, F), 2)
        with pytest.raises(sg.DTypeError, match="copy it to the host first: .* decide no extents"):
            f(Tensor(np.ones(3, F)), 2)


def test_complex_tensors_and_values_of_variables_that_were_never_there_must_be_on_the_host():
    z, s = sg.cvector("z"), shared(1, 2)
    w = sg.shared(np.ones(2, "complex64"))
    f = sg.function([z], z * w * s, updates=[(w, w + z)])
    a = Tensor(np.ones(2, "complex64"))
    with pytest.raises(sg.DTypeError, match="on a GPU may be real arguments"):
        f(a)
    with pytest.raises(sg.DTypeError, match="values of real shared variables that a function used there"):
        s.set_value(Tensor(np.ones(2, F)))
    f(np.ones(2, "complex64"))
    s.set_value(Tensor(np.ones(2, F)))
    with pytest.raises(sg.DTypeError, match="values of real shared variables that a function used there"):
        w.set_value(a)


def test_a_processor_takes_no_tensor_of_a_device():
    x = sg.fvector("x")
    with pytest.raises(sg.DTypeError, match="copy it to the host first"):
        sg.function([x], x, backend="llvm")(Tensor(np.ones(2, F)))


def test_measuring_takes_arguments_on_the_device():
    x = sg.fvector("x")
    f = sg.function([x], x.sum())
    given = f.bind(Tensor(np.ones(3, F)))
    assert f.compile(*given).measure(given, [], 2).shape[0] == 2


# ------------------------------------------------------------------------------------------------ results


def test_a_borrowed_result_stays_on_the_device(at_home):
    x = sg.fvector("x")
    f = sg.function([x], sg.Out(x * 2, borrow=True))
    a, b = Tensor(np.array([1, 2], F)), Tensor(np.array([3, 4], F))
    first = f(a)
    assert isinstance(first, SimulatedArray)
    at_home()
    assert seen(first).tolist() == [2, 4]
    assert seen(f(b)).tolist() == [6, 8] and seen(first).tolist() == [6, 8]


def test_a_borrowed_result_that_another_library_still_reads_is_not_written(later):
    x, found = sg.fvector("x"), []
    f = sg.function([x], sg.Out(x * 2, borrow=True))
    first = f(np.ones(2, F))
    later.append(lambda: found.append(first.data.tolist()))
    f(np.zeros(2, F))
    assert found == [[2, 2]] and first.data.tolist() == [0, 0]


def test_a_borrowed_result_is_an_argument_of_another_function(at_home):
    x = sg.fvector("x")
    double, total = sg.function([x], sg.Out(x * 2, borrow=True)), sg.function([x], sg.Out(x.sum(), borrow=True))
    a = Tensor(np.array([1, 2], F))
    total(double(a))
    at_home()
    assert seen(total(double(a))).item() == 6


def test_results_that_are_not_borrowed_are_the_callers_beside_those_that_are():
    x, s = sg.fvector("x"), shared(1, 2)
    f = sg.function(
        [x], {"y": sg.Out(x + s, borrow=True), "z": sg.Out(x * s), "s": s, "x": sg.Out(x, borrow=True)},
        updates=[(s, s + 1)],
    )  # fmt: skip
    found = [f(np.array([k, k], F)) for k in (1, 2)]
    assert [d["z"].tolist() for d in found] == [[1, 2], [4, 6]]
    assert [d["s"].tolist() for d in found] == [[1, 2], [2, 3]]
    assert seen(found[1]["y"]).tolist() == [4, 5] and seen(found[1]["x"]).tolist() == [2, 2]


def test_a_processor_gives_arrays_whether_borrowed_or_not():
    x = sg.fvector("x")
    f = sg.function([x], [sg.Out(x * 2, borrow=True), sg.Out(x)], backend="llvm")
    for k in (1, 2):
        assert [a.tolist() for a in f(np.full(2, k, F))] == [[2 * k, 2 * k], [k, k]]

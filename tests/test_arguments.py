"""What a call takes: by position, by name, by default; arrays of any kind, and never a lossy cast."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

import symgraph as sg

BACKENDS = ["numpy", "llvm", pytest.param("cuda", marks=pytest.mark.deep)]


@pytest.fixture(params=BACKENDS)
def backend(request):
    with sg.using(backend=request.param, device="simulate"):
        yield request.param


# ------------------------------------------------------------------------------------------------ binding


def test_arguments_come_by_position_name_or_default(backend):
    x, y, z = sg.dscalars("x y z")
    f = sg.function([x, sg.In(y, value=10), sg.In(z, value=1, name="last")], x * 100 + y - z)
    assert f(1) == 109 and f(1, 2) == 101 and f(1, 2, 3) == 99
    assert f(x=1) == 109 and f(1, last=0) == 110 and f(last=0, y=0, x=2) == 200


@pytest.mark.parametrize(
    "args, names, message",
    [
        ((), {}, "misses the input x"),
        ((1,), {}, "misses the input y"),
        ((1, 2, 3), {}, "takes 2 inputs, got 3"),
        ((1,), {"z": 3}, "no input named 'z'"),
        ((1, 2), {"x": 3}, "got the input 'x' twice"),
    ],
)
def test_arguments_that_do_not_fit_the_inputs(args, names, message):
    x, y = sg.dscalars("x y")
    f = sg.function([x, y], x + y, name="add", backend="numpy")
    with pytest.raises(sg.ArgumentError, match=message) as info:
        f(*args, **names)
    assert "add(x: float64 (), y: float64 ())" in str(info.value)


def test_inputs_of_one_name_go_by_position(backend):
    x, y, z = sg.dscalar(), sg.dscalar("same"), sg.dscalar("same")
    f = sg.function([x, y, z], x * 100 + y * 10 + z)
    for _ in range(2):  # the second call is one of machine code
        assert f(1, 2, 3) == 123
        with pytest.raises(sg.ArgumentError, match="f.. has 2 inputs named .same.: the name cannot say which") as e:
            f(1, 2, same=3)
        assert "f(input: float64 (), same: float64 (), same: float64 ())" in str(e.value) and "sg.In" in str(e.value)
    assert sg.function([x, sg.In(y, name="first"), z], x * 100 + y * 10 + z)(1, same=3, first=2) == 123


def test_eval_takes_no_name_that_two_variables_have():
    x, y = sg.dscalar("same"), sg.dscalar("same")
    with pytest.raises(sg.ArgumentError, match="eval: sub.* has 2 inputs named 'same'"):
        (x - y).eval({"same": 1})
    assert (x - y).eval({x: 3, y: 1}) == 2 and (x - x * x).eval({"same": 3}) == -6


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_a_shared_variable_is_no_input(dtype):
    s, x = sg.shared(np.ones(2, dtype), name="s"), sg.tensor("x", dtype, (None,))
    for inputs in (lambda: [s], lambda: [x, s], lambda: [sg.In(s, value=3)]):
        with pytest.raises(sg.ArgumentError, match="input s is a shared variable(.|\n)*set_value(.|\n)*givens={s: x}"):
            sg.function(inputs(), s + x)


def test_eval_gives_shared_variables_other_values():
    s, t = sg.shared(np.ones(2), name="s"), sg.shared(np.ones(2), name="t")
    assert (s - t).eval({"s": [3.0, 4.0]}).tolist() == (s - t).eval({s: [3.0, 4.0]}).tolist() == [2, 3]
    assert s.get_value().tolist() == [1, 1]


@pytest.mark.parametrize("bad", [3, "x", None, np.ones(2)])
def test_inputs_must_be_variables(bad):
    with pytest.raises(sg.ArgumentError):
        sg.function([bad], sg.constant(1.0))


def test_a_constant_or_the_same_variable_twice_is_no_input():
    x = sg.dscalar("x")
    for inputs in ([x, x], [x, sg.constant(1.0)], [sg.In(x), x]):
        with pytest.raises(sg.ArgumentError):
            sg.function(inputs, x)


# ------------------------------------------------------------------------------------------------ conversion


def test_lists_and_python_scalars_are_taken(backend):
    x, i, m, b = sg.fscalar("x"), sg.iscalar("i"), sg.fmatrix("m"), sg.tensor("b", "bool", (None,))
    f = sg.function([x, i, m, b], [x, i, m, b])
    for args in [(1.5, 3, [[1, 2], [3, 4]], [True]), (1, True, ((0.1, 2),), ()), (np.float32(2), np.int8(1), [[]], [])]:
        found = f(*args)
        for v, a, dtype in zip(found, args, ("float32", "int32", "float32", "bool"), strict=True):
            assert v.dtype == dtype and (v == np.asarray(a, dtype)).all() and v.shape == np.shape(a)


@pytest.mark.parametrize(
    "dtype, value",
    [
        ("float32", np.ones(2)), ("float32", np.array(1.0)), ("int32", np.ones(2, "int64")), ("int32", 1.5),
        ("int8", 200), ("int8", [1, 300]), ("uint8", -1), ("int64", 1.0), ("bool", 1), ("float64", 1j),
        ("float64", "1.0"), ("float64", None), ("float64", [object()]), ("int64", 2**70), ("uint8", np.ones(2, "int8")),
        ("float32", np.ones(2, "int32")), ("float32", 1e50), ("float32", [1.0, -1e50]), ("float16", 2**16),
        ("float32", 10**400), ("int32", np.int64(2**40)), ("int64", np.float64(1.0)), ("bool", np.int64(1)),
        ("float32", np.int64(2**24 + 1)), ("float16", np.float32(0.1)), ("uint8", np.int8(-1)),
    ],
)  # fmt: skip
def test_a_lossy_cast_is_an_error(dtype, value):
    x = sg.tensor("x", dtype, (None,) * np.ndim(value))
    f = sg.function([x], x, backend="numpy")
    with pytest.raises(sg.DTypeError, match="the input x"):
        f(value)


@pytest.mark.parametrize(
    "dtype, value",
    [("float64", np.ones(2, "float32")), ("float32", np.ones(2, "int16")), ("int64", np.ones(2, "uint8")),
     ("float64", np.ones(2, "bool")), ("float16", 0.1), ("float32", [0.1, 2]), ("int8", [100, -100]), ("uint8", 255),
     ("int32", np.int64(3)), ("uint8", np.int64(255)), ("float32", np.int64(3)), ("float16", np.float32(0.5)),
     ("float32", np.float64(0.1)), ("float32", float("inf")), ("float32", [-np.inf, 1.0]), ("float32", 2**100)],
)  # fmt: skip
def test_a_lossless_cast_is_made(dtype, value, backend):
    x = sg.tensor("x", dtype, (None,) * np.ndim(value))
    found = sg.function([x], x)(value)
    assert found.dtype == dtype and (found == np.asarray(value, dtype)).all()


@pytest.mark.parametrize("dtype, value", [("float32", 1e50), ("float16", -1e5), ("float32", 2**200), ("int8", 300)])
def test_a_number_that_does_not_fit_is_an_error_beside_a_variable_too(dtype, value):
    x = sg.tensor("x", dtype, (None,))
    for build in (lambda: x + value, lambda: sg.maximum(x, value), lambda: sg.set_subtensor(x[0], value)):
        with pytest.raises(sg.DTypeError, match=f"does not fit {dtype}"):
            build()


def test_a_masked_array_must_be_filled_first(backend):
    x = sg.dvector("x")
    hidden = np.ma.array([1.0, 2.0], mask=[True, False])
    s = sg.shared(np.zeros(2), name="s")
    for build in (
        lambda: sg.function([x], x)(hidden), lambda: x + hidden, lambda: sg.shared(hidden), lambda: sg.constant(hidden),
        lambda: s.set_value(hidden),
    ):  # fmt: skip
        with pytest.raises(sg.DTypeError, match=r"masked.*a\.filled\(0\)"):
            build()
    assert sg.function([x], x + hidden.filled(0))(np.ma.array([1.0, 2.0], mask=False)).tolist() == [1, 4]


def test_shared_variables_take_what_inputs_take(backend):
    s = sg.shared(np.float32(1), name="s")
    for value, stored in ((0.1, np.float32(0.1)), (3, 3), (np.int64(4), 4), (np.float64(0.1), np.float32(0.1))):
        s.set_value(value)
        assert s.get_value() == stored and s.get_value().dtype == "float32"
    for value in (1e50, np.array(1.0), "one", None):
        with pytest.raises(sg.DTypeError):
            s.set_value(value)


@pytest.mark.parametrize("value", ["abc", None, [1, [2]], [object()], np.clongdouble(1j), 2**70])
def test_a_shared_variable_holds_numbers(value):
    with pytest.raises(sg.DTypeError, match="cannot become an array of numbers|does not fit int64"):
        sg.shared(value)


def test_downcasts_are_made_where_they_are_allowed(backend):
    x, i = sg.fvector("x"), sg.iscalar("i")
    f = sg.function([x, i], [x, i], allow_input_downcast=True)
    found = f(np.array([0.1, 1e300]), 2.9)
    assert found[0].tolist() == [np.float32(0.1), np.inf] and found[1] == 2


@pytest.mark.parametrize("value", [1.0, [[1.0]], np.ones((2, 2))])
def test_the_rank_must_be_right(value):
    x = sg.dvector("x")
    with pytest.raises(sg.ShapeError, match="the input x"):
        sg.function([x], x, backend="numpy")(value)


def test_known_extents_must_be_right(backend):
    x = sg.tensor("x", "float64", (None, 3))
    f = sg.function([x], x.sum())
    assert f(np.ones((2, 3))) == 6
    for _ in range(2):
        with pytest.raises(sg.ShapeError, match="the input x"):
            f(np.ones((3, 2)))


def test_a_symbol_is_no_argument(backend):
    x = sg.dscalar("x")
    with pytest.raises(sg.ArgumentError, match="a call takes values"):
        sg.function([x], x)(x)


# ------------------------------------------------------------------------------------------------ memory


def unaligned(a):
    raw = np.zeros(a.nbytes + 1, "uint8")
    view = raw[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


LAYOUTS = {
    "fortran": np.asfortranarray,
    "reversed": lambda a: a[::-1].copy()[::-1],
    "strided": lambda a: np.repeat(np.repeat(a, 2, 0), 3, 1)[::2, ::3],
    "transposed": lambda a: a.T.copy().T,
    "unaligned": unaligned,
    "read-only": read_only,
    "swapped": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "subclass": lambda a: a.view(type("Mine", (np.ndarray,), {})),
    "list": lambda a: a.tolist(),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8", "bool", "float16"])
def test_every_layout_gives_the_same(layout, dtype, backend):
    a = (np.arange(35).reshape(5, 7) % 3).astype(dtype)
    x = sg.tensor("x", dtype, (None, None))
    given = LAYOUTS[layout](a)
    kept = np.array(given)
    f = sg.function([x], [x, x.T, x.reshape((7, 5)), sg.cast(x, "float64") * 2])
    same, turned, flat, double = f(given)
    assert (same == a).all() and (turned == a.T).all() and (flat == a.reshape(7, 5)).all() and (double == a * 2.0).all()
    assert same.dtype == dtype and type(same) is np.ndarray and same.flags.writeable and same.flags.owndata
    assert (np.asarray(given) == kept).all()


def test_a_broadcast_array_is_read_as_it_looks(backend):
    x = sg.dmatrix("x")
    f = sg.function([x], x.sum(axis=0))
    assert f(np.broadcast_to(np.array([1.0, 2.0]), (5, 2))).tolist() == [5, 10]
    assert f(as_strided(np.arange(6.0), (4, 3), (8, 8))).tolist() == [6, 10, 14]


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_empty_arrays_work(shape, backend):
    x = sg.dmatrix("x")
    s = sg.shared(np.zeros((0, 3)), name="s", shape=(None, 3))
    f = sg.function([x], [x + 1, x.sum(), x.sum(axis=0), x.T @ x, x[::-1], x.reshape((-1, 1))], updates=[(s, s * 2)])
    a = np.zeros(shape)
    expected = [a, np.float64(0), a.sum(axis=0), a.T @ a, a, a.reshape(0, 1)]
    for v, e in zip(f(a), expected, strict=True):
        assert v.shape == e.shape and (v == e).all()


def test_arrays_of_no_axes_work(backend):
    x = sg.dscalar("x")
    f = sg.function([x], [x, x + 1, x.reshape((1, 1)), x.dimshuffle("x")])
    assert [v.shape for v in f(np.array(2.0))] == [(), (), (1, 1), (1,)]


def test_an_input_may_be_the_storage_that_is_written(backend):
    x, y = sg.dvectors("x y")
    s = sg.shared(np.arange(1000.0), name="s", borrow=True)
    f = sg.function([x, y], x + y, updates=[(s, s + x[::-1] * y)])
    for part in (slice(None), slice(None, None, -1)):
        before, held = s.get_value(), s.get_value(borrow=True)
        assert (f(held, held[part]) == before + before[part]).all()
        assert (s.get_value() == before + before[::-1] * before[part]).all()


def test_inputs_may_overlap_each_other(backend):
    x, y = sg.dvectors("x y")
    a = np.arange(5.0)
    assert sg.function([x, y], x + y)(a[:4], a[1:]).tolist() == [1, 3, 5, 7] and a.tolist() == [0, 1, 2, 3, 4]


class Tensor:
    """A CPU tensor of another library: it speaks DLPack and nothing else."""

    def __init__(self, data):
        self.data = data

    def __dlpack__(self, **options):
        return self.data.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.data.__dlpack_device__()


def test_tensors_of_other_libraries_are_taken(backend):
    x = sg.fmatrix("x")
    a = np.arange(6, dtype="float32").reshape(2, 3)
    f = sg.function([x], x * 2)
    assert (f(Tensor(a)) == a * 2).all() and (f(x=Tensor(a.T)) == a.T * 2).all()
    with pytest.raises(sg.DTypeError):
        f(Tensor(a.astype("float64")))


def test_a_shared_variable_takes_a_tensor_and_is_one():
    a = np.arange(6, dtype="float32").reshape(2, 3)
    s = sg.shared(Tensor(a.T))
    assert (s.get_value() == a.T).all()
    s.set_value(Tensor(a.T + 1))
    assert (np.from_dlpack(s) == a.T + 1).all()
    np.from_dlpack(s)[0, 0] = 9
    assert s.get_value()[0, 0] == 9


class Elsewhere(Tensor):
    """A tensor on a GPU."""

    def __dlpack__(self, **options):
        raise BufferError("not on the host")

    def __dlpack_device__(self):
        return 2, 0


def test_a_tensor_that_is_not_on_the_host_is_refused_with_a_mend():
    x, s = sg.fvector("x"), sg.shared(np.ones(3, "float32"))
    tensor = Elsewhere(np.ones(3, "float32"))
    for take in (sg.function([x], x), s.set_value, sg.shared):
        with pytest.raises(sg.DTypeError, match="copy it to the host"):
            take(tensor)


@pytest.mark.parametrize("shape", [(4, 0), (0, 4), (0, 0)])
def test_empty_arrays_can_be_joined_and_set(shape, backend):
    """Their branches fold to one term, and what no one reads any more is not computed."""
    x = sg.dmatrix("x")
    for y in (sg.concatenate([x, x]), sg.stack([x, x]), sg.set_subtensor(x[1:], 1), sg.inc_subtensor(x[:1], 1)):
        f = sg.function([x], y)
        assert f(np.zeros(shape)).size == 0
    none = np.zeros((0,), "int64")
    for y in (sg.set_subtensor(x[none], 2), sg.inc_subtensor(x[:, none], 2)):
        assert sg.function([x], y)(np.zeros(shape)).shape == shape

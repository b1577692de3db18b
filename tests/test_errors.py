"""What bad input gets, word for word: every message against ``goldens/errors.txt``.

``SYMGRAPH_WRITE_GOLDENS=1`` writes the file anew; read the difference before it is committed.
"""

import gzip
import os
import re
from pathlib import Path

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import MAX_LINES, SymgraphError
from symgraph.graph import describe
from tutorials import data

GOLDENS = Path(__file__).parent / "goldens" / "errors.txt"
WRITE = bool(os.environ.get("SYMGRAPH_WRITE_GOLDENS"))

CASES = {}


def case(f):
    """A function of (backend, folder) that must raise."""
    CASES[f.__name__] = f
    return f


# ------------------------------------------------------------------------------------------------ while building


@case
def dot_sizes(*_):
    x = sg.tensor("x", "float32", (64, 784))
    w = sg.shared(np.zeros((512, 10), "float32"), name="w")
    b = sg.shared(np.zeros(10, "float32"), name="b")
    return x @ w + b


@case
def broadcast_at_build(*_):
    a, b = sg.tensor("a", "float64", (3, 4)), sg.tensor("b", "float64", (5, 4))
    return sg.exp(a) * b


@case
def bad_reshape(*_):
    a = sg.tensor("a", "float64", (3, 4))
    return a.reshape((5, 3))


@case
def bad_axis(*_):
    a = sg.tensor("a", "float64", (3, 4))
    return a.sum(axis=2)


@case
def joined_extents(*_):
    a, b = sg.tensor("a", "float64", (3, 4)), sg.tensor("b", "float64", (5, 4))
    return sg.concatenate([a, b], axis=1)


@case
def constant_index(*_):
    a = sg.tensor("a", "float64", (3, 4))
    return a[1, -5]


@case
def constant_indices(*_):
    a = sg.tensor("a", "float64", (3, 4))
    return sg.exp(a)[::2, 4]


@case
def value_that_does_not_fit_an_index(*_):
    a = sg.tensor("a", "float64", (3, 4))
    y = sg.tensor("y", "float64", (3,))
    return sg.set_subtensor(a[0], y)


@case
def value_of_another_dtype_than_the_base(*_):
    n = sg.ivector("n")
    return sg.inc_subtensor(n[1:], 0.5)


@case
def float_that_does_not_fit(*_):
    a = sg.fvector("a")
    return a * 1e50


@case
def difference_of_bools(*_):
    a = sg.dmatrix("a")
    return (a > 0) - (a < 0)


@case
def bits_of_floats(*_):
    a = sg.dmatrix("a")
    return a & 1


@case
def what_is_no_number(*_):
    a = sg.dmatrix("a")
    return a + "one"


@case
def an_integer_that_does_not_fit(*_):
    a = sg.bvector("a")
    return a + 1000


# ------------------------------------------------------------------------------------------------ symbols in Python


@case
def truth(*_):
    x = sg.dscalar("x")
    if x > 0:
        return x


@case
def iteration(*_):
    a = sg.dvector("a")
    for v in a:
        return v


@case
def membership(*_):
    a = sg.dvector("a")
    return 3.0 in a


@case
def assignment(*_):
    a = sg.dvector("a")
    a[1:] = 0


@case
def comparison(*_):
    a = sg.dvector("a")
    return a == 3


@case
def a_number_wanted(*_):
    a = sg.dvector("a")
    return range(a.shape[0])


@case
def a_float_wanted(*_):
    a = sg.dvector("a")
    return float(a.sum())


@case
def a_length_wanted(*_):
    a = sg.dvector("a")
    return len(a)


# ------------------------------------------------------------------------------------------------ gradients


@case
def cost_that_is_no_scalar(*_):
    x = sg.dvector("x")
    cost = sg.sqr(x)
    return sg.grad(cost, x)


@case
def cost_that_is_no_float(*_):
    n = sg.lvector("n")
    return sg.grad(n.sum(), n)


@case
def disconnected_wrt(*_):
    x, z = sg.dvectors("x z")
    return sg.grad(x.sum(), [x, z])


@case
def integer_wrt(*_):
    x, n = sg.dvector("x"), sg.lvector("n")
    return sg.grad((x * n).sum(), n)


# ------------------------------------------------------------------------------------------------ functions


@case
def missing_input(*_):
    x, y = sg.dscalars("x y")
    return sg.function([x], x + y)


@case
def unused_input(*_):
    x, y = sg.dscalars("x y")
    return sg.function([x, y], x)


@case
def duplicate_input(*_):
    x = sg.dscalar("x")
    return sg.function([x, x], x)


@case
def update_of_another_dtype(*_):
    w = sg.shared(np.zeros((3, 2), "float32"), name="w")
    return sg.function([], [], updates=[(w, w * np.ones(2))])


@case
def update_of_another_shape(*_):
    w = sg.shared(np.zeros((3, 2), "float32"), name="w")
    return sg.function([], [], updates=[(w, w.sum(axis=0))])


@case
def update_twice(*_):
    w = sg.shared(0.0, name="w")
    return sg.function([], [], updates=[(w, w + 1), (w, w * 2)])


@case
def update_of_an_input(*_):
    x = sg.dscalar("x")
    return sg.function([x], [], updates=[(x, x + 1)])


@case
def given_of_another_dtype(*_):
    x, w = sg.dvector("x"), sg.shared(np.zeros(2, "float32"), name="w")
    return sg.function([], x.sum(), givens={x: w})


@case
def given_of_another_rank(*_):
    x, w = sg.dvector("x"), sg.shared(np.zeros((2, 2)), name="w")
    return sg.function([], x.sum(), givens={x: w})


@case
def an_expression_as_input(*_):
    x = sg.dvector("x")
    h = sg.tanh(x)
    return sg.function([h], h * 2)


@case
def eval_without_values(*_):
    x, y = sg.dvectors("x y")
    return (x + y).eval({x: [1.0]})


@case
def eval_of_an_unknown_name(*_):
    x, y = sg.dvectors("x y")
    return (x + y).eval({"z": [1.0]})


@case
def shared_words(*_):
    return sg.shared("abc")


@case
def order_of_complex(*_):
    z = sg.cvector("z")
    return sg.maximum(z, 0)


@case
def reduction_of_complex(*_):
    z = sg.cvector("z")
    return z.argmax()


@case
def complex_cast_to_real(*_):
    z = sg.zvector("z")
    return z.astype("float64")


@case
def complex_cost(*_):
    z = sg.zvector("z")
    return sg.grad((z * z).sum(), z)


@case
def complex_argument_of_real(backend, _):
    x = sg.fvector("x")
    return sg.function([x], x, backend=backend)(np.ones(2, "complex64"))


@case
def unknown_backend(*_):
    return sg.function([], sg.constant(1.0), backend="abacus")


@case
def value_of_another_shape(*_):
    w = sg.shared(np.zeros((3, 2), "float32"), name="w")
    w.set_value(np.zeros(3, "float32"))


@case
def value_of_another_dtype(*_):
    w = sg.shared(np.zeros((3, 2), "float32"), name="w")
    w.set_value(np.zeros((3, 2)))


# ------------------------------------------------------------------------------------------------ calls


def add(backend):
    a, b = sg.dmatrices("a b")
    total = sg.exp(a) + b
    return sg.function([a, b], total, name="add", backend=backend)


@case
def broadcast_at_call(backend, _):
    return add(backend)(np.ones((2, 3)), np.ones((4, 3)))


@case
def dot_at_call(backend, _):
    a, b = sg.dmatrices("a b")
    product = sg.tanh(a @ b)
    return sg.function([a, b], product, backend=backend)(np.ones((2, 3)), np.ones((4, 3)))


@case
def reshape_at_call(backend, _):
    a = sg.dmatrix("a")
    rows = a.reshape((-1, 4)) * 2
    return sg.function([a], rows, backend=backend)(np.ones((2, 3)))


@case
def value_for_an_index_at_call(backend, _):
    a, b = sg.dvectors("a b")
    y = sg.set_subtensor(a[:3], b)
    return sg.function([a, b], y, backend=backend)(np.ones(5), np.ones(2))


@case
def ndim_at_call(backend, _):
    return add(backend)(np.ones(3), np.ones((4, 3)))


@case
def dtype_at_call(backend, _):
    x = sg.fvector("x")
    return sg.function([x], x, backend=backend)(np.ones(3))


@case
def numpy_scalar_at_call(backend, _):
    i = sg.iscalar("i")
    return sg.function([i], i, backend=backend)(np.int64(2**40))


@case
def number_out_of_range_at_call(backend, _):
    x = sg.fvector("x")
    return sg.function([x], x, backend=backend)([1.0, 1e50])


@case
def masked_array_at_call(backend, _):
    x = sg.dvector("x")
    return sg.function([x], x, backend=backend)(np.ma.array([1.0, 2.0], mask=[True, False]))


@case
def words_at_call(backend, _):
    return add(backend)("one", "two")


@case
def extent_at_call(backend, _):
    x = sg.tensor("x", "float64", (None, 784))
    return sg.function([x], x.sum(), name="predict", backend=backend)(np.ones((10, 28)))


@case
def missing_argument(backend, _):
    return add(backend)(np.ones((2, 3)))


@case
def unknown_argument(backend, _):
    return add(backend)(np.ones((2, 3)), c=1)


@case
def duplicate_argument(backend, _):
    return add(backend)(np.ones((2, 3)), a=1)


@case
def too_many_arguments(backend, _):
    return add(backend)(1, 2, 3)


@case
def too_many_arguments_for_one(backend, _):
    x = sg.dscalar("x")
    return sg.function([x], x, backend=backend)(1, 2)


@case
def a_symbol_as_argument(backend, _):
    return add(backend)(sg.dmatrix("c"), 1)


@case
def index_at_call(backend, _):
    table, i = sg.dmatrix("table"), sg.lvector("i")
    picked = table[i] * 2
    return sg.function([table, i], picked, backend=backend)(np.ones((3, 2)), [0, 3])


@case
def scalar_index_at_call(backend, _):
    table, i = sg.dmatrix("table"), sg.lscalar("i")
    row = table[i]
    return sg.function([table, i], row, backend=backend)(np.ones((3, 2)), -4)


@case
def constant_index_at_call(backend, _):
    table = sg.dmatrix("table")
    row = table[7]
    return sg.function([table], row, backend=backend)(np.ones((3, 2)))


@case
def update_extent_at_call(backend, _):
    x, w = sg.dvector("x"), sg.shared(np.zeros(3), name="w")
    step = sg.function([x], [], updates=[(w, x * 2)], backend=backend)
    return step(np.ones(2))


# ------------------------------------------------------------------------------------------------ data


def idx(folder, name, contents):
    path = folder / name
    path.write_bytes(contents)
    return path


@case
def damaged_data_file(_, folder):
    for file in data.MNIST:
        idx(folder, f"{file.name}.gz", gzip.compress(file.header + bytes(100)))
    return data.load("mnist", folder)


# ------------------------------------------------------------------------------------------------ the tests


def message(name, backend, folder):
    """The exception's class and text, without what differs from place to place."""
    with pytest.raises(Exception) as info:
        CASES[name](backend, folder)
    assert isinstance(info.value, SymgraphError), repr(info.value)
    text = f"{type(info.value).__name__}: {info.value}".replace(str(folder), "FOLDER")
    return re.sub(r"test_errors\.py:(\d+)(:.*\n)?( *[~^]+$)?", _without_number, text, flags=re.MULTILINE)


def _without_number(found):
    """N for the number of a line, and the caret below moved as far."""
    number, rest, caret = found.groups(default="")
    return "test_errors.py:N" + rest + caret[len(number) - 1 if caret else 0 :]


def goldens():
    parts = re.split(r"^== (\w+)\n", GOLDENS.read_text() if GOLDENS.exists() else "", flags=re.MULTILINE)[1:]
    return {name: text.rstrip("\n") for name, text in zip(parts[::2], parts[1::2], strict=True)}


@pytest.mark.skipif(not WRITE, reason="SYMGRAPH_WRITE_GOLDENS is not set")
def test_write_goldens(tmp_path):
    GOLDENS.write_text("".join(f"== {name}\n{message(name, 'numpy', tmp_path)}\n\n" for name in CASES))


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
@pytest.mark.parametrize("name", CASES)
def test_messages_are_the_goldens(name, backend, tmp_path):
    found = message(name, backend, tmp_path)
    assert found == goldens()[name]
    assert len(found.splitlines()) <= MAX_LINES


def test_the_place_of_a_constant_that_many_share_is_not_told():
    message = []
    for constant in (sg.constant(0.625), sg.constant(0.625), sg.constant(np.arange(1000.0))):
        message.append(describe(constant))
    assert message[:2] == ["0.625  float64 ()   constant"] * 2 and "test_errors.py" in message[2]


def test_no_golden_is_left_over():
    assert list(goldens()) == list(CASES)


def test_the_classes_are_kinds_that_a_user_would_catch():
    expected = {
        "ShapeError": (ValueError,), "DTypeError": (TypeError,), "AxisError": (ValueError, IndexError),
        "IndexOutOfRange": (IndexError,), "ArgumentError": (TypeError,), "UpdateError": (TypeError,),
        "SymbolicTruthError": (TypeError,), "GradientError": (ValueError,), "DataError": (ValueError,),
    }  # fmt: skip
    for name, kinds in expected.items():
        assert issubclass(getattr(sg, name), (SymgraphError, *kinds)) and all(
            issubclass(getattr(sg, name), kind) for kind in kinds
        )

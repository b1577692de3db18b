"""What a compiled function refuses of its arguments."""

import numpy as np

import symgraph as sg
from tests.errors import case


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
def keyword_of_two_inputs(backend, _):
    x, y = sg.dscalar("x"), sg.dscalar("x")
    return sg.function([x, y], x - y, backend=backend)(1, x=2)


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
def label_at_call(backend, _):
    p, y = sg.dmatrix("p"), sg.lvector("y")
    loss = sg.nn.categorical_crossentropy(p, y)
    return sg.function([p, y], loss, backend=backend)(np.full((2, 2), 0.5), [-1, 0])


@case
def second_index_at_call(backend, _):
    table, i = sg.dmatrix("table"), sg.ivector("i")
    column = sg.exp(table)[:, i]
    return sg.function([table, i], column, backend=backend)(np.ones((3, 2)), np.array([2], "int32"))


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

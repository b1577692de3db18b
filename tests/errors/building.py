"""What calls of ops refuse while a graph is built."""

import numpy as np

import symgraph as sg
from tests.errors import case


@case
def dot_sizes(*_):
    x = sg.tensor("x", "float32", (64, 784))
    w = sg.shared(np.zeros((512, 10), "float32"), name="w")
    b = sg.shared(np.zeros(10, "float32"), name="b")
    return x @ w + b


@case
def dot_with_examples_in_columns(*_):
    x, w = sg.tensor("x", "float32", (784, 5)), sg.shared(np.zeros((784, 10), "float32"), name="w")
    return x @ w


@case
def dot_with_rows_per_output(*_):
    x, w = sg.tensor("x", "float32", (5, 784)), sg.shared(np.zeros((10, 784), "float32"), name="w")
    return sg.dot(x, w)


@case
def dot_of_nameless_inputs(*_):
    a, b = sg.tensor(None, "float64", (4, 3)), sg.tensor(None, "float64", (2, 5))
    return sg.dot(a, b)


@case
def embedding_the_wrong_way_round(*_):
    table, y = sg.shared(np.zeros((784, 10)), name="table"), sg.ivector("y")
    return sg.nn.embedding(table, y)


@case
def shape_of_unknown_length(*_):
    x, n = sg.dmatrix("x"), sg.lvector("n")
    return x.reshape(n)


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
def an_integer_beyond_all_floats(*_):
    x = sg.fvector("x")
    return x * 10**5000


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

"""What ``function``, ``eval`` and ``shared`` refuse before any call."""

import numpy as np

import symgraph as sg
from tests.errors import case


@case
def missing_input(*_):
    x, y = sg.dscalars("x y")
    return sg.function([x], x + y)


@case
def missing_shape(*_):
    x, y = sg.dvectors("x y")
    return sg.function([y], sg.grad((x * y).sum(), x))


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
def set_value_of_another_shape(*_):
    w = sg.shared(np.zeros((3, 2), "float32"), name="w")
    w.set_value(np.zeros((4, 2), "float32"))


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
def a_shared_variable_as_input(*_):
    w = sg.shared(0.0, name="w")
    return sg.function([w], w + 1)


@case
def eval_of_a_name_of_two(*_):
    x, y = sg.dscalar("x"), sg.dscalar("x")
    return (x - y).eval({"x": 1})


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

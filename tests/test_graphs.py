"""Graphs as things: they are copied, kept, and as long as a user makes them."""

import copy
import pickle

import numpy as np
import pytest

import symgraph as sg
from symgraph.graph import toposort

LONG = 10_000


def model():
    x = sg.fmatrix("x")
    w = sg.shared(np.ones((3, 2), "float32"), name="w")
    return x, w, sg.nn.softmax(x @ w + sg.constant([1.0, 2.0], "float32")).sum(axis=0)


def test_equal_expressions_are_one():
    x, y = sg.dvectors("x y")
    assert sg.exp(x) + y is sg.exp(x) + y
    assert x + 1 is x + 1 and x + 1 is not x + 1.5 and sg.sum(x, axis=0) is x.sum()
    assert x * 0.0 is not x * -0.0 and sg.switch(sg.constant(True), x, y) is not sg.switch(sg.constant(1), x, x)


def test_a_pickled_graph_computes_the_same():
    x, _, y = model()
    x2, y2 = pickle.loads(pickle.dumps((x, y)))
    a = np.arange(6, dtype="float32").reshape(2, 3)
    assert (sg.function([x2], y2)(a) == sg.function([x], y)(a)).all()
    assert y2 is not y and x2.name == "x" and y2.type == y.type


def test_what_is_pickled_together_stays_together():
    x, w, y = model()
    loaded_w, loaded_x, loaded_y, again = pickle.loads(pickle.dumps([w, x, y, y]))
    assert again is loaded_y
    f = sg.function([loaded_x], loaded_y)
    loaded_w.set_value(np.zeros((3, 2), "float32"))
    assert f(np.zeros((1, 3), "float32")).shape == (2,)
    assert (w.get_value() == 1).all()
    values = [n.inputs for n in toposort([loaded_y])]
    assert any(loaded_w in [v for v in inputs if v.owner is None] for inputs in values)


@pytest.mark.parametrize("through", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_functions_are_copied_with_their_shared_values(through):
    x, s = sg.dscalar("x"), sg.shared(1.0, name="s")
    f = sg.function([sg.In(x, value=2.0)], {"sum": x + s}, updates=[(s, s + x)], name="add", allow_input_downcast=True)
    f()
    g = through(f)
    assert g()["sum"] == 5 and g(x=1)["sum"] == 6 and f()["sum"] == 5 and s.get_value() == 5
    assert g.name == "add"


@pytest.mark.parametrize("through", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_copies_are_of_the_lines_that_wrote_them(through):
    x, z, s = sg.dvector("x"), sg.shared(np.ones(3) * 1j, name="z"), sg.shared(np.ones(3), name="s")
    y = (sg.exp(x) * s * z).real.sum()
    g = through(sg.function([x], y, updates=[(s, s + x)]))
    told = [v for node in toposort([*g.task.results]) for v in (*node.inputs, *node.outputs) if v.origin is not None]
    assert {v.origin.file for v in told} == {__file__} and len({v.origin.position[0] for v in told}) == 3
    assert {w.origin.excerpt()[0].partition(":   ")[2][:10] for w in told} == {"x, z, s = ", "y = (sg.ex", "g = throug"}


def test_a_random_stream_goes_on_in_a_copy_as_in_the_original():
    u = sg.random.RandomStream(5).uniform((3,))
    f = sg.function([], u)
    f()
    g = copy.deepcopy(f)
    assert (f() == g()).all() and (f() == g()).all()


def test_variables_deepcopy_and_copy():
    x, w, y = model()
    assert copy.copy(y) is y
    x2, y2 = copy.deepcopy((x, y))
    assert sg.function([x2], y2)(np.ones((1, 3), "float32")).shape == (2,)
    c = sg.constant([1.0, 2.0])
    assert (copy.deepcopy(c).data == c.data).all() and pickle.loads(pickle.dumps(c)) is c
    s = copy.deepcopy(w)
    s.set_value(np.zeros((3, 2), "float32"))
    assert (w.get_value() == 1).all() and s.name == "w"


def test_a_chain_of_ten_thousand_ops():
    x = sg.dvector("x")
    y = x
    for k in range(LONG):
        y = y * 0.5 if k % 2 else y + x
    g = sg.grad(y.sum(), x)
    f = sg.function([x], [y, g])
    found, gradient = f([1.0, 2.0])
    slope = 0.0
    for k in range(LONG):
        slope = slope * 0.5 if k % 2 else slope + (1 if k else 2)
    np.testing.assert_allclose(found, [slope, 2 * slope], rtol=1e-12)
    np.testing.assert_allclose(gradient, slope, rtol=1e-12)
    y2 = pickle.loads(pickle.dumps(y))
    assert len(toposort([y2])) == len(toposort([y])) and copy.deepcopy(y).type == y.type


def test_a_wide_sum_of_many_terms():
    x = sg.dvector("x")
    y = sg.concatenate([x * float(k) for k in range(300)])
    f = sg.function([x], [y.sum(), sg.grad(y.sum(), x)])
    total, gradient = f([1.0, 1.0])
    assert total == 2 * sum(range(300)) and gradient.tolist() == [sum(range(300))] * 2


# ------------------------------------------------------------------------------------------------ places


def test_gradients_and_compilations_move_no_line():
    x, w = sg.fmatrix("x"), sg.shared(np.ones((3, 2), "float32"), name="w")
    hidden = sg.tanh(x @ w) + x.mean(axis=1, keepdims=True)
    loss = (sg.nn.softmax(hidden)[:, 0] ** 2).mean()
    nodes = toposort([loss])
    lines = [node.origin.line for node in nodes]
    f = sg.function([x], [loss, sg.jacobian(hidden[0], x)], updates=sg.optim.adam(loss, [w]), backend="llvm")
    for n in (4, 5, 6):
        f(np.ones((n, 3), "float32"))
    assert [node.origin.line for node in nodes] == lines


def test_a_number_is_not_blamed_on_another_line():
    x, w = sg.dvector("x"), sg.shared(np.zeros(2), name="w")
    sg.grad(sg.sqr(x).sum(), x)
    with pytest.raises(sg.UpdateError, match=r"sg\.function\(\[\], updates=\[\(w, 1\.0\)\]\)"):
        sg.function([], updates=[(w, 1.0)])

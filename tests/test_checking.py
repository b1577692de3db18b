"""Checked calls: what is said of a NaN and of an op that is wrong, and that nothing is said of what is right."""

import copy
import pickle

import numpy as np
import pytest

import symgraph as sg
from symgraph import expression
from symgraph.kinds import elementwise
from symgraph.op import scratch_registry
from symgraph.optim import adam

X = np.array([[1.0, 4.0, 2.0], [3.0, -1.0, 0.5]], "float32")


@pytest.fixture(params=["llvm", "numpy"])
def backend(request):
    return request.param


def made(outputs, inputs, check, **options):
    with sg.config.using(**{check: True}):
        return sg.function(inputs, outputs, **options)


def test_a_nan_is_traced_to_the_op_that_made_it_and_the_call_is_undone(backend):
    x, s = sg.fmatrix("x"), sg.shared(np.zeros(3, "float32"), name="s")
    f = made((sg.log(x) * 2).sum(), [x], "check_nan", updates=[(s, s + x.sum(axis=0))], backend=backend)
    assert f(abs(X)) == pytest.approx(2 * np.log(abs(X)).sum(), rel=1e-6)
    held = s.get_value()
    with pytest.raises(sg.NumericalError) as raised:
        f(X)
    text = str(raised.value)
    assert text.startswith("log(x) makes NaN of numbers: 1 of 6, the first at (1, 1)")
    assert "x  float32" in text and "from -1.0 to 4.0" in text and "sg.log(x) * 2" in text
    assert isinstance(raised.value, FloatingPointError)
    assert (s.get_value() == held).all() and held.any()


def test_a_nan_in_a_new_value_counts_and_one_that_nothing_takes_does_not():
    x, s = sg.fvector("x"), sg.shared(np.zeros(3, "float32"), name="s")
    f = made(x + 1, [x], "check_nan", updates=[(s, sg.sqrt(x))])
    with pytest.raises(sg.NumericalError, match="sqrt"):
        f(np.array([1, -1, 0], "float32"))
    assert (s.get_value() == 0).all()
    g = made(sg.switch(x > 0, sg.log(x), 0), [x], "check_nan")
    assert np.isfinite(g(np.array([1, -1, 0], "float32"))).all()


def test_an_argument_with_nan_is_named():
    x, y = sg.dvectors("x", "y")
    f = made(x * y, [x, y], "check_nan")
    with pytest.raises(sg.NumericalError, match=r"check_nan: y holds NaN: 2 of 3, the first at \(1,\)"):
        f([1.0, 2.0, 3.0], [1.0, np.nan, np.nan])


def test_training_is_what_it_is_without_checks(backend):
    def trained(**check):
        x, y = sg.fmatrix("x"), sg.ivector("y")
        w = sg.shared(np.linspace(-1, 1, 12, dtype="float32").reshape(3, 4), name="w")
        cost = sg.nn.categorical_crossentropy(sg.nn.softmax(sg.nn.dropout(x, 0.2, sg.random.RandomStream(1)) @ w), y)
        with sg.config.using(**check):
            f = sg.function([x, y], cost.mean(), updates=adam(cost.mean(), [w]), backend=backend)
        return [f(X, np.array([0, 3], "int32")) for _ in range(3)], w.get_value()

    costs, w = trained(check_nan=True, check_reference=True)
    plain_costs, plain_w = trained()
    assert np.array_equal(costs, plain_costs) and np.array_equal(w, plain_w)


def test_an_op_that_is_wrong_is_found():
    with scratch_registry():

        @elementwise(grad=lambda g, x, out: [g], reference=lambda x: x * np.float32(1.001))
        def mistaken(x):
            """x, which its reference has otherwise."""
            return x + expression.const(0, x.dtype)

        x = sg.fmatrix("x")
        f = made(sg.exp(mistaken(x)).sum(), [x], "check_reference")
        with pytest.raises(sg.NumericalError) as raised:
            f(X)
    text = str(raised.value)
    assert text.startswith("mistaken(x) gives 4.0 at (0, 1), its reference 4.00") and "mistaken(x)).sum()" in text


def test_copies_and_pickles_are_checked_too():
    x = sg.dvector("x")
    f = made(sg.log(x), [x], "check_nan")
    for g in (f.copy(), pickle.loads(pickle.dumps(f)), copy.deepcopy(f)):
        with pytest.raises(sg.NumericalError, match="log"):
            g([-1.0])
    assert np.isnan(sg.function([x], sg.log(x))([-1.0])).all()


@pytest.mark.parametrize("name", ["check_nan", "check_reference"])
def test_the_environment_has_a_word_for_it(name, monkeypatch):
    monkeypatch.setenv(f"SYMGRAPH_{name.upper()}", "1")
    monkeypatch.setattr(sg.config, "_defaults", [])
    assert getattr(sg.config.settings(), name) is True
    message = f"{name} is 'yes'; it must be True or False"
    with pytest.raises(ValueError, match=message), sg.config.using(**{name: "yes"}):
        pass

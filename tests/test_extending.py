"""What user code may declare as the catalogue does: ops, gradients, rules, backends."""

import copy
import pickle

import numpy as np
import pytest

import symgraph as sg
from symgraph.backend import BACKENDS, NumpyBackend
from symgraph.kinds import composite, structured
from symgraph.op import OPS, scratch_registry
from symgraph.pattern import exp, log
from symgraph.rewrite import scratch_rules


@pytest.fixture(params=["numpy", "llvm"])
def backend(request):
    with sg.using(backend=request.param):
        yield request.param


@pytest.fixture(autouse=True)
def scratch():
    with scratch_registry(), scratch_rules():
        yield


def test_an_elementwise_op_of_the_users_own(backend):
    @sg.elementwise(grad=lambda g, x, beta, y: [g * sg.sigmoid(beta * x), None])
    def my_softplus(x, beta):
        """log(1 + exp(beta x)) / beta"""
        return sg.log1p(sg.exp(beta * x)) / beta

    x = sg.dmatrix("x")
    a = np.linspace(-2, 2, 12).reshape(3, 4)
    y = my_softplus(x, 2.0)
    f = sg.function([x], [y, sg.grad(y.sum(), x)])
    np.testing.assert_allclose(f(a)[0], np.log1p(np.exp(2 * a)) / 2, rtol=1e-14)
    np.testing.assert_allclose(f(a)[1], 1 / (1 + np.exp(-2 * a)), rtol=1e-14)
    assert my_softplus.doc.startswith("log(1") and my_softplus(np.float32(1), 1.0).dtype == "float32"


def test_a_smooth_body_needs_no_gradient(backend):
    @sg.elementwise
    def cube(x):
        return x * x * x

    x = sg.dvector("x")
    g = sg.grad(cube(x).sum(), x)
    assert g.eval({x: [1, 2]}).tolist() == [3, 12]
    assert sg.grad(g.sum(), x).eval({x: [1, 2]}).tolist() == [6, 12]


def test_a_body_with_a_kink_needs_a_gradient():
    @sg.elementwise
    def bent(x):
        return sg.maximum(x, 0.0) * 2.0

    x = sg.dvector("x")
    with pytest.raises(sg.GradientError, match="bent: its body has a kink"):
        sg.grad(bent(x).sum(), x)


def test_two_ops_of_one_name_are_two_ops(backend):
    x = sg.dvector("x")
    found = []
    for factor in (2.0, 3.0):
        found.append(sg.function([x], _times(factor)(x))([1.0]).item())
    assert found == [2, 3]


def _times(factor):
    @sg.elementwise(name="times_factor")
    def op(x):
        return x * factor

    return op


@pytest.mark.parametrize(
    "declare", [sg.elementwise, composite(reference=np.tanh), structured(infer=lambda x: x.type, reference=np.tanh)]
)
def test_a_name_of_ours_cannot_be_taken(declare):
    with pytest.raises(sg.ArgumentError, match="there is an op named 'sigmoid' in symgraph already"):

        @declare
        def sigmoid(x):
            return x


def test_a_gradient_of_the_users_own(backend):
    @sg.custom_gradient(lambda g, x, y: [g])
    def straight_through(x):
        return sg.round(x)

    x = sg.dvector("x")
    y = straight_through(x * 2.0)
    f = sg.function([x], [y, sg.grad(sg.sqr(y).sum(), x)])
    value, gradient = f([0.3, 1.1])
    assert value.tolist() == [1, 2] and gradient.tolist() == [4, 8]


def test_a_gradient_by_some_inputs_with_attributes(backend):
    @sg.custom_gradient(lambda g, x, w, y, times: [None, times * g.sum() + w * 0.0])
    def weighted(x, w, times):
        return x * w * float(times)

    x, w = sg.dvector("x"), sg.dscalar("w")
    y = weighted(x, w, times=3)
    assert sg.grad(y.sum(), w).eval({x: [1, 1], w: 2}) == 6
    with pytest.raises(sg.GradientError, match="does not depend on x"):
        sg.grad(y.sum(), x)


def test_a_second_gradient_goes_through_the_users_own(backend):
    @sg.custom_gradient(lambda g, x, y: [g * sg.exp(x)])
    def mine(x):
        return sg.exp(x) + 5.0

    x = sg.dscalar("x")
    assert sg.grad(sg.grad(mine(x), x), x).eval({x: 0.0}) == 1


@pytest.mark.parametrize("declare", [sg.custom_gradient, lambda rule: sg.elementwise(grad=rule)])
@pytest.mark.parametrize(
    ("rule", "given"), [(lambda g, x, w, y: g, "a Variable"), (lambda g, x, w, y: [g], "a list of 1")]
)
def test_a_gradient_rule_gives_a_list_with_one_for_each_input(declare, rule, given):
    @declare(rule)
    def product(x, w):
        return x * w

    x, w = sg.dvectors("x w")
    y = product(x, w)
    with pytest.raises(sg.GradientError, match=rf"(?s)rule of product gives {given}; it has 2 inputs.*product\(x, w\)"):
        sg.grad(y.sum(), x)


def test_what_the_body_reads_must_be_an_argument():
    w = sg.shared(2.0, name="w")

    @sg.custom_gradient(lambda g, x, y: [g])
    def scaled(x):
        return x * w

    with pytest.raises(sg.ArgumentError, match="scaled: the function reads w"):
        scaled(sg.dscalar("x"))

    @sg.custom_gradient(lambda g, x, y: [g])
    def pair(x):
        return x, x

    with pytest.raises(sg.ArgumentError, match="must give one variable"):
        pair(sg.dscalar("x"))


def test_a_rule_of_the_users_own(backend):
    @sg.rule("stabilize")
    def exp_of_log(x):
        """exp(log(x)) is x."""
        return exp(log(x)), x

    x = sg.dvector("x")
    f = sg.function([x], sg.exp(sg.log(x)) + 1.0)
    assert f([0.1, 3]).tolist() == [1.1, 4]
    assert "exp_of_log" in [s.rule for s in f.trace]


class Loud(NumpyBackend):
    compiled = 0

    def compile(self, task, signature):
        Loud.compiled += 1
        return super().compile(task, signature)


def test_a_backend_of_the_users_own():
    sg.register_backend("loud", f"{__name__}:Loud")
    x = sg.dscalar("x")
    try:
        found = sg.function([x], x + 1, backend="loud")(1)
    finally:
        BACKENDS.pop("loud", None)
    assert found == 2 and Loud.compiled == 1
    with pytest.raises(sg.BackendError, match="no backend 'loud'"):
        sg.function([x], x, backend="loud")


def test_graphs_with_ops_of_the_users_own_pickle_where_they_are_declared():
    @sg.elementwise
    def cube(x):
        return x * x * x

    x = sg.dscalar("x")
    y = pickle.loads(pickle.dumps(cube(x)))
    assert copy.deepcopy(y).owner.op is cube
    with scratch_registry():
        OPS.pop("cube")
        with pytest.raises(LookupError, match="no op named 'cube' is declared"):
            pickle.loads(pickle.dumps(cube(x)))

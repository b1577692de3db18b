"""What user code may declare as the catalogue does: ops, gradients, rules, backends."""

import copy
import math
import pickle
import re

import numpy as np
import pytest

import symgraph as sg
from symgraph.backend import BACKENDS
from symgraph.kinds import composite, structured
from symgraph.numpy_backend import NumpyBackend
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


RULES_THAT_DO_NOT_FIT = {
    "float64 () for x, it must give float64 (?,)": lambda g, x, w, y: [g.sum(), None],
    "float64 (2, ?) for x": lambda g, x, w, y: [sg.stack([g, g]), None],
    "float32 for x, which is float64": lambda g, x, w, y: [g.astype("float32"), None],
    "bool for x": lambda g, x, w, y: [g > 0, None],
}


@pytest.mark.parametrize("declare", [sg.custom_gradient, lambda rule: sg.elementwise(grad=rule)])
@pytest.mark.parametrize("words", RULES_THAT_DO_NOT_FIT)
def test_a_gradient_must_have_the_type_of_its_argument(declare, words):
    @declare(RULES_THAT_DO_NOT_FIT[words])
    def product(x, w):
        return x * w

    x, w = sg.dvectors("x w")
    y = product(x, w)
    with pytest.raises((sg.ShapeError, sg.DTypeError), match=f"rule of product gives {re.escape(words)}") as info:
        sg.grad(y.sum(), x)
    assert "y = product(x, w)" in str(info.value)


def test_a_gradient_of_open_extents_is_compared_at_the_call(backend):
    @sg.custom_gradient(lambda g, x, y: [sg.concatenate([g, g])])
    def doubled(x):
        return x * 2.0

    x = sg.dvector("x")
    f = sg.function([x], sg.grad(doubled(x).sum(), x))
    with pytest.raises(sg.ShapeError, match=r"gives float64 \(6,\) for x, it must give float64 \(3,\)"):
        f([1, 2, 3])


def test_a_rule_of_an_elementwise_op_is_summed_over_what_was_broadcast(backend):
    @sg.elementwise(grad=lambda g, x, w, y: [g * w, g * x])
    def product(x, w):
        return x * w

    x, w = sg.dvector("x"), sg.dscalar("w")
    f = sg.function([x, w], sg.grad(product(x, w).sum(), [x, w]))
    assert [g.tolist() for g in f([1, 2], 5)] == [[5, 5], 3]


@pytest.mark.parametrize("rule", [lambda g, x: [g], lambda g, x, w, y, z: [g, g]])
def test_a_gradient_rule_takes_the_incoming_gradient_the_inputs_and_the_output(rule):
    with pytest.raises(sg.ArgumentError, match=r"product: its gradient rule takes .*called with \(g, x0, x1, output\)"):
        sg.elementwise(grad=rule, name="product")(lambda x, w: x * w)
    op = sg.custom_gradient(rule, name="product")(lambda x, w: x * w)
    with pytest.raises(sg.ArgumentError, match="product: its gradient rule takes"):
        op(sg.dscalar("x"), 2.0)


def _forgets_to_return(x):
    sg.exp(x)


def _asks_python(x):
    return x if x > 0 else 0


def _uses_math(x):
    return math.exp(x)


def _takes_a_whole_variable(x):
    return sg.sum(x)


def _uses_a_method(x):
    return x.clip(0, 1)


def _gives_two(x):
    return x, x


BAD_BODIES = {
    _forgets_to_return: "gives None", _asks_python: "use symgraph.switch", _uses_math: "symgraph's own",
    _takes_a_whole_variable: "takes whole variables", _uses_a_method: "no attribute 'clip'", _gives_two: r"gives \(",
}  # fmt: skip


@pytest.mark.parametrize("body", BAD_BODIES)
def test_a_mistake_in_a_body_is_told_with_the_op_and_the_line(body):
    op = sg.elementwise(body)
    with pytest.raises(sg.ArgumentError, match=f"{body.__name__}: its body .*{BAD_BODIES[body]}") as info:
        op(sg.dvector("x"))
    assert "test_extending.py:" in str(info.value)


def test_a_body_may_use_numpy_and_every_operator(backend):
    @sg.elementwise(takes="float")
    def mixed(x):
        return np.exp(x) + abs(x) ** 2 + 2**x + np.float64(3) * x + 7 // x + 7 % x

    x, a = sg.dvector("x"), np.array([0.5, 2.0])
    expected = np.exp(a) + a**2 + 2**a + 3 * a + 7 // a + 7 % a
    np.testing.assert_allclose(sg.function([x], mixed(x))(a), expected, rtol=1e-14)


@pytest.mark.parametrize("given", [3, lambda *xs: xs[0], len])
def test_an_elementwise_op_is_declared_from_a_function_of_named_arguments(given):
    with pytest.raises(sg.ArgumentError, match="fixed number of arguments"):
        sg.elementwise(given)


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

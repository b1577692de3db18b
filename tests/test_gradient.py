"""What differentiation means: policies, kinks, and products with Jacobians and Hessians."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.kinds import Structured

BACKENDS = ["numpy", "llvm", pytest.param("cuda", marks=pytest.mark.deep)]


@pytest.fixture(params=BACKENDS)
def backend(request):
    with sg.using(backend=request.param, device="simulate"):
        yield request.param


def gradient(f, *values):
    """The gradients of the sum of f by each value."""
    inputs = [sg.tensor(f"x{k}", np.asarray(v).dtype.name, (None,) * np.ndim(v)) for k, v in enumerate(values)]
    wrt = [v for v in inputs if v.dtype.startswith("float")]
    return [g.tolist() for g in sg.function(inputs, sg.grad(f(*inputs).sum(), wrt))(*values)]


def odds(p):
    """Their logarithm, as users write it."""
    return sg.log(p) - sg.log(1 - p)


# ------------------------------------------------------------------------------------------------ kinks

INF, NAN = np.inf, np.nan
KEPT = np.array([True, False])
KINKS = {
    "relu": (sg.nn.relu, [-1.0, 0.0, 2.0], [0, 0, 1]),
    "absolute value": (sg.abs, [-1.0, 0.0, 2.0], [-1, 0, 1]),
    "maximum with 0 is relu": (lambda x: sg.maximum(x, 0.0), [-1.0, 0.0, 2.0], [0, 0, 1]),
    "0 first": (lambda x: sg.maximum(0.0, x), [-1.0, 0.0, 2.0], [0, 0, 1]),
    "minimum with 1": (lambda x: sg.minimum(x, 1.0), [0.0, 1.0, 2.0], [1, 0, 0]),
    "clip": (lambda x: sg.clip(x, -1.0, 1.0), [-2.0, -1.0, 0.0, 1.0, 2.0], [0, 1, 1, 1, 0]),
    "sqrt": (sg.sqrt, [0.0, 4.0], [INF, 0.25]),
    "norm": (lambda x: sg.norm(x), [0.0, 0.0], [0, 0]),
    "max shares ties": (lambda x: x.max(), [3.0, 1.0, 3.0, 3.0], [1 / 3, 0, 1 / 3, 1 / 3]),
    "min shares ties": (lambda x: x.min(), [1.0, 1.0], [0.5, 0.5]),
    "max is at the NaN": (lambda x: x.max(), [1.0, NAN, 3.0], [0, 1, 0]),
    "min is at the NaNs": (lambda x: x.min(), [1.0, NAN, NAN], [0, 0.5, 0.5]),
    "prod with a zero": (lambda x: x.prod(), [2.0, 0.0, 3.0], [0, 6, 0]),
    "prod with two": (lambda x: x.prod(), [2.0, 0.0, 0.0], [0, 0, 0]),
    "sign": (sg.sgn, [-1.0, 0.0, 1.0], [0, 0, 0]),
    "floor": (sg.floor, [0.5, 1.0], [0, 0]),
    "no NaN from the other branch of a switch": (
        lambda x: sg.switch(x > 0, sg.log(x), 0.0), [-1.0, 0.0, 2.0], [0, 0, 0.5]),
    "nor through what follows": (
        lambda x: sg.switch(sg.gt(x, 0), sg.sqrt(sg.abs(x) * x), x * 2.0), [-1.0, 4.0], [2, 1]),
    "nor where a gradient that is none joins it": (
        lambda x: sg.switch(sg.exp(x) < 1, sg.arccos(sg.exp(x)), 0) + sg.sgn(sg.exp(x)), [-1e4, 800.0], [0, 0]),
    "nor from the product of a row left out": (
        lambda x: sg.switch(KEPT, sg.prod(x, axis=1), 0), [[2.0, 3.0], [INF, 0.0]], [[3, 2], [0, 0]]),
    "nor from its logarithm": (
        lambda x: sg.switch(KEPT[:, None], sg.log(sg.prod(x, axis=1, keepdims=True)), 0), [[2.0, 4.0], [0.0, 1.0]],
        [[0.5, 0.25], [0, 0]]),
    "nor from its length": (
        lambda x: sg.switch(KEPT, sg.norm(x, axis=1), 0), [[3.0, 4.0], [INF, 1.0]], [[0.6, 0.8], [0, 0]]),
    "nor from the one row there is": (
        lambda x: sg.switch(x[0] > 0, sg.norm(x), 0), [-INF, 1.0], [0, 0]),
    "nothing of rows that a choice leaves out": (
        lambda x: sg.switch(x.sum(axis=1, keepdims=True) > 0, x / x.sum(axis=1, keepdims=True), 0)[:, 0],
        [[1.0, 3.0], [0.0, 0.0]], [[3 / 16, -1 / 16], [0, 0]]),
    "nothing of everything, by one choice": (
        lambda x: sg.switch(x.sum() > 0, x / x.sum(), 0), [0.0, 0.0], [0, 0]),
    "nothing of a product, by one choice": (
        lambda x: sg.switch(x.sum() > 0, (x / x.sum()) @ np.ones((2, 3)), 0), [0.0, 0.0], [0, 0]),
    "nothing of a softmax of nothing": (
        lambda x: sg.switch(sg.any(x > -INF, axis=1, keepdims=True), sg.nn.softmax(x, axis=1), 0)[:, 0],
        [[0.0, 0.0], [-INF, -INF]], [[0.25, -0.25], [0, 0]]),
    "nothing of a log_softmax of nothing": (
        lambda x: sg.switch(x > -INF, sg.nn.log_softmax(x, axis=1), 0)[:, 0],
        [[0.0, 0.0], [-INF, -INF]], [[0.5, -0.5], [0, 0]]),
    "nothing of the complement of a softmax of nothing": (
        lambda x: sg.switch(sg.any(x > -INF, axis=1, keepdims=True), 1 - sg.nn.softmax(x, axis=1), 0)[:, 0],
        [[0.0, 0.0], [-INF, -INF]], [[-0.25, 0.25], [0, 0]]),
    "nothing of its logarithm": (
        lambda x: sg.switch(sg.any(x > -INF, axis=1, keepdims=True), sg.log(1 - sg.nn.softmax(x, axis=1)), 0)[:, 0],
        [[0.0, 0.0], [-INF, -INF]], [[-0.5, 0.5], [0, 0]]),
    "nothing of the odds": (
        lambda x: sg.switch(sg.any(x > -INF, axis=1, keepdims=True), odds(sg.nn.softmax(x, axis=1)), 0)[:, 0],
        [[0.0, 0.0], [-INF, -INF]], [[1, -1], [0, 0]]),
    "nothing of what has none": (lambda x: sg.switch(x > 0, sg.zero_grad(x), 0), [-1.0, 1.0], [0, 0]),
    "log1p at -1": (sg.log1p, [-1.0, 0.0], [INF, 1]),
}  # fmt: skip


@pytest.mark.parametrize("name", KINKS)
def test_gradients_at_kinks(name, backend):
    f, x, expected = KINKS[name]
    np.testing.assert_allclose(gradient(f, np.array(x))[0], expected, rtol=1e-15)


def test_two_variables_share_a_tie_half_each(backend):
    a, b = np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])
    assert gradient(sg.maximum, a, b) == [[0.5, 0, 1], [0.5, 1, 0]]
    assert gradient(sg.minimum, a, b) == [[0.5, 1, 0], [0.5, 0, 1]]


def test_a_pool_gives_its_gradient_to_the_first_maximum(backend):
    x = np.array([[1.0, 2.0, 0.0, 0.0], [2.0, 2.0, 0.0, 0.0]])[None, None]
    assert gradient(lambda v: sg.nn.max_pool2d(v, (2, 2)), x)[0][0][0] == [[0, 1, 1, 0], [0, 0, 0, 0]]


# ------------------------------------------------------------------------------------------------ types


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_gradient_has_the_type_of_its_variable(dtype, backend):
    x = sg.tensor("x", dtype, (None, 3))
    n, b, s = sg.imatrix("n"), sg.tensor("b", "float64", (3,)), sg.tensor("s", dtype, ())
    cost = (sg.exp(x) * n * 0.5 + b * s).sum() / x.shape[0]
    found = sg.function([x, n, b, s], sg.grad(cost, [x, b, s]))(
        np.ones((2, 3), dtype), np.ones((2, 3), "int32"), np.ones(3), np.ones((), dtype)
    )
    assert [(g.dtype.name, g.shape) for g in found] == [(dtype, (2, 3)), ("float64", (3,)), (dtype, ())]
    assert [g.type.dtype for g in sg.grad(cost, [x, b, s])] == [dtype, "float64", dtype]


SHAPES = [((3, 4), (4,)), ((3, 1), (1, 4)), ((), (2, 3)), ((1, 1), (3, 4)), ((2, 3), (2, 3))]


@pytest.mark.parametrize("shapes", SHAPES)
def test_what_was_broadcast_is_summed(shapes, backend):
    random = np.random.default_rng(0)
    a, b = (random.standard_normal(s) for s in shapes)
    for x, y in ((a, b), (b, a)):
        full = np.broadcast_arrays(x, y)
        found = gradient(lambda v, w: v * w, x, y)
        for g, other, own in zip(found, full[::-1], (x, y), strict=True):
            lead = other.ndim - own.ndim
            axes = tuple(range(lead)) + tuple(lead + k for k, n in enumerate(own.shape) if n == 1)
            np.testing.assert_allclose(g, other.sum(axis=axes).reshape(own.shape), rtol=1e-14)


# ------------------------------------------------------------------------------------------------ policies


def test_by_a_variable_or_a_list_of_them():
    x, y = sg.dscalars("x y")
    assert isinstance(sg.grad(x * y, x), sg.Variable)
    assert isinstance(sg.grad(x * y, [x]), list)
    assert [g.eval({x: 2, y: 3}) for g in sg.grad(x * x * y, [x, y])] == [12, 4]


def test_by_an_intermediate_variable(backend):
    x = sg.dvector("x")
    h = sg.exp(x)
    f = sg.function([x], sg.grad((h * h).sum() + x.sum(), [h, x]))
    by_h, by_x = f([0.0, 1.0])
    np.testing.assert_allclose(by_h, 2 * np.exp([0, 1]), rtol=1e-15)
    np.testing.assert_allclose(by_x, 1, rtol=1e-15)  # what lies behind h counts for h alone


def test_disconnected_inputs():
    x, y = sg.dvectors("x y")
    with pytest.raises(sg.GradientError, match="does not depend on y"):
        sg.grad(x.sum(), [x, y])
    with pytest.warns(UserWarning, match="does not depend on y"):
        (zero,) = sg.grad(x.sum(), [y], disconnected_inputs="warn")
    assert zero.eval({y: [1, 2]}).tolist() == [0, 0]
    assert sg.grad(x.sum(), y, disconnected_inputs="ignore", return_disconnected="none") is None
    with pytest.raises(ValueError, match="'raise', 'warn' or 'ignore'"):
        sg.grad(x.sum(), y, disconnected_inputs="maybe")


def test_what_is_considered_constant_gets_no_gradient(backend):
    x = sg.dscalar("x")
    y = x * x
    assert sg.grad(y * x, x, consider_constant=[y]).eval({x: 3.0}) == 9
    with pytest.raises(sg.GradientError):
        sg.grad(y + 1, x, consider_constant=[y])


RANDOM = np.random.default_rng(0)
W3, V3 = sg.shared(RANDOM.normal(size=(3, 4)), name="W3"), sg.shared(RANDOM.normal(size=3), name="V3")
STACK, FILTERS = sg.shared(RANDOM.normal(size=(5, 3, 2))), sg.shared(RANDOM.normal(size=(2, 1, 2, 1)))
BRANCHES = {
    "inverse": lambda x: 1 / x, "logarithm": sg.log, "root": sg.sqrt,
    "ratio": lambda x: x / x.sum(axis=1, keepdims=True),
}  # fmt: skip
BEHIND = {
    "product": lambda f: f @ W3, "by a vector": lambda f: f @ V3, "two layers": lambda f: sg.tanh(f @ W3) @ W3.T,
    "relu and bias": lambda f: sg.nn.relu(f @ W3 + V3[0]), "stack": lambda f: sg.batched_dot(f[:, None], STACK)[:, 0],
    "convolution": lambda f: sg.nn.conv2d(f[:, None, :, None], FILTERS)[:, :, :, 0],
    "slice": lambda f: f[:, 1:], "joined": lambda f: sg.concatenate([f, V3[None] * f], axis=1),
    "padded": lambda f: sg.pad(f, ((0, 0), (1, 1))), "running sum": lambda f: f.cumsum(axis=1),
    "running product": lambda f: f.cumprod(axis=1), "rolled": lambda f: sg.roll(f, 1, axis=1) @ W3,
    "moved": lambda f: sg.pad(f[:, 1:], ((0, 0), (1, 0)))[:, ::-1] + f,
}  # fmt: skip


@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize("shape", [(None, None), (5, 3)])
def test_rows_that_a_switch_does_not_take_stay_outside_of_whatever_is_between(branch, shape, backend):
    """The gradients are those of a formula whose rows left out are numbers without danger from the start."""
    x = sg.tensor("x", "float64", shape)
    at = np.random.default_rng(1).uniform(0.5, 2, (5, 3))
    taken = np.array([True, False, True, True, False])
    at[~taken] = 0

    def gradients(behind, f):
        y = behind(f)
        cost = sg.sqr(sg.switch(taken.reshape((5,) + (1,) * (y.ndim - 1)), y, 0)).sum()
        return sg.grad(cost, [x, W3, V3, STACK, FILTERS], disconnected_inputs="ignore")

    safe = sg.switch(taken[:, None], x, 1.0)
    each = [g for behind in BEHIND.values() for v in (x, safe) for g in gradients(behind, BRANCHES[branch](v))]
    found = iter(sg.function([x], each)(at))
    for name in BEHIND:
        as_written, wanted = ([next(found) for _ in range(5)] for _ in range(2))
        for a, b in zip(as_written, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13, err_msg=name)  # sums of some ten products near 1


BESIDE = {
    "log of a ratio": lambda x: sg.log(x / 3), "log of a product": lambda x: sg.log(x * sg.abs(x) * 2),
    "log of 1 and a product": lambda x: sg.log(1 + x / (x * x)),
    "root of squares": lambda x: sg.sqrt(x**2 + (2 * x) ** 2),
    "log of a list": lambda x: sg.log(sg.exp(x) + sg.sqrt(x)),
    "log of squares": lambda x: sg.log(x * x + 0.0 * x), "over squares": lambda x: 1 / (x * x + (3 * x) ** 2),
}  # fmt: skip


@pytest.mark.parametrize("name", BESIDE)
def test_elements_that_a_switch_does_not_take_stay_outside_of_ops_on_several(name, backend):
    x, (formula, at) = sg.dvector("x"), (BESIDE[name], np.array([2.0, 0.0, 3.0]))
    found = sg.function([x], sg.grad(sg.switch(x > 0, formula(x), 0).sum(), x), backend=backend)(at)
    wanted = sg.function([x], sg.grad(formula(x).sum(), x), backend=backend)(at[[0, 2]])
    np.testing.assert_allclose(found[[0, 2]], wanted, rtol=1e-14)
    assert found[1] == 0


def test_columns_that_a_switch_does_not_take_stay_outside_of_a_product(backend):
    x, w = sg.dmatrix("x"), sg.dmatrix("w")
    cost = sg.switch(np.array([True, False]), sg.exp(x) @ (1 / w), 0).sum()
    at, by = np.ones((3, 2)), np.array([[1.0, 0.0], [2.0, 0.0]])
    by_x, by_w = sg.function([x, w], sg.grad(cost, [x, w]))(at, by)
    np.testing.assert_allclose(by_x, np.e * np.array([[1, 0.5]] * 3), rtol=1e-15)
    np.testing.assert_allclose(by_w, -3 * np.e * np.array([[1, 0], [0.25, 0]]), rtol=1e-15)


def test_known_gradients_start_the_walk(backend):
    x = sg.dvector("x")
    h, k = sg.exp(x), x * 3.0
    g = sg.grad(None, x, known_grads={h: sg.constant([1.0, 2.0]), k: sg.constant([10.0, 20.0])})
    np.testing.assert_allclose(g.eval({x: [0, 1]}), np.exp([0, 1]) * [1, 2] + [30, 60], rtol=1e-15)
    both = sg.grad(k.sum(), x, known_grads={h: sg.ones_like(h)})
    np.testing.assert_allclose(both.eval({x: [0, 1]}), 3 + np.exp([0, 1]), rtol=1e-15)


def test_an_op_without_a_gradient_is_named():
    x = sg.dvector("x")
    assert sg.grad((x * sg.argmax(x)).sum(), x).eval({x: [1, 3]}).tolist() == [1, 1]
    opaque = Structured("opaque", lambda v: None, infer=lambda v: v.type, reference=lambda v: v)
    with pytest.raises(sg.GradientError, match="opaque has no gradient\\n  x  float64"):
        sg.grad(opaque(x).sum(), x)
    assert sg.grad((sg.disconnected_grad(opaque(x)) + x).sum(), x).eval({x: [1, 3]}).tolist() == [1, 1]


def test_ops_that_change_the_gradient_alone(backend):
    x = np.array([1.0, 2.0])
    assert gradient(lambda v: sg.grad_clip(v * 1.0, -1.0, 1.0) * np.array([5.0, -0.5]), x) == [[1, -0.5]]
    assert gradient(lambda v: sg.grad_scale(v, -2.0) * 3.0, x) == [[-6, -6]]
    assert gradient(lambda v: sg.zero_grad(v) * v, x) == [[1, 2]]
    assert gradient(lambda v: sg.disconnected_grad(v) * v, x) == [[1, 2]]
    v = sg.dvector("v")
    same = [sg.grad_clip(v, 0.0, 1.0), sg.grad_scale(v, 2.0), sg.zero_grad(v), sg.disconnected_grad(v)]
    assert all(a.tolist() == [1, 2] for a in sg.function([v], same)(x))
    with pytest.raises(sg.GradientError):
        sg.grad(sg.disconnected_grad(v).sum(), v)
    assert sg.grad(sg.zero_grad(v).sum(), v).eval({v: x}).tolist() == [0, 0]


# ------------------------------------------------------------------------------------------------ products


def numeric_jacobian(f, x, step=1e-6):
    """Central differences: error about step**2 and 1e-16 / step."""
    rows = []
    for k in range(x.size):
        d = np.zeros(x.size)
        d[k] = step
        d = d.reshape(x.shape)
        rows.append((f(x + d) - f(x - d)) / (2 * step))
    return np.moveaxis(np.stack(rows), 0, -1).reshape(*np.shape(f(x)), *x.shape)


W = np.random.default_rng(3).standard_normal((3, 4))
INDEX = np.array([2, 0, 2, 1])
NETS = {
    "elementwise": lambda x: sg.tanh(x) * x,
    "product": lambda x: x @ W,
    "product from the left": lambda x: W.T @ x,
    "with itself": lambda x: x @ x.T,
    "softmax": lambda x: sg.nn.softmax(x @ W),
    "log softmax": lambda x: sg.nn.log_softmax(x, axis=0),
    "sums": lambda x: x.sum(axis=0) * x.mean(axis=1, keepdims=True) + x.prod(axis=1),
    "maximum": lambda x: x.max(axis=1) + sg.maximum(x, 0.3).sum(axis=0),
    "views": lambda x: sg.exp(x.T.reshape((3, 3))[::-1, 1:]),
    "broadcast": lambda x: x[:, None, :] * x[None, :, 0, None],
    "gathered": lambda x: sg.sqr(x[INDEX]) * x[:, INDEX[:3]][0],
    "scattered": lambda x: sg.inc_subtensor(sg.sqr(x)[INDEX[:3]], x),
    "set": lambda x: sg.set_subtensor(sg.sqr(x)[1:], sg.exp(x[:2])),
    "set at places": lambda x: sg.set_subtensor(sg.sqr(x)[np.array([0, 2])], sg.exp(x[:2])),
    "joined": lambda x: sg.concatenate([x * 2.0, sg.sin(x[:1])]) * 3.0,
    "cumulative": lambda x: sg.cumsum(x * x, axis=0),
    "norm": lambda x: sg.norm(x, axis=1) + x.var(axis=0),
    "convolution": lambda x: sg.nn.conv2d(x[None, None], W[None, None, :2, :2]),
    "pool": lambda x: sg.nn.max_pool2d(sg.sqr(x)[None, None], (2, 2)),
}


@pytest.mark.parametrize("name", NETS)
def test_jacobians_and_their_products(name, backend):
    """Against central differences; the products against the Jacobian."""
    x = sg.tensor("x", "float64", (3, 3))
    y = NETS[name](x)
    a = np.random.default_rng(5).uniform(0.5, 1.5, (3, 3))
    value = sg.function([x], y)
    left = np.random.default_rng(6).standard_normal(value(a).shape)
    right = np.random.default_rng(7).standard_normal((3, 3))
    f = sg.function(
        [x], [sg.jacobian(y, x), sg.vjp(y, x, sg.constant(left)), sg.jvp(y, x, sg.constant(right))],
        on_unused_input="ignore",
    )  # fmt: skip
    jacobian, pulled, pushed = f(a)
    expected = numeric_jacobian(value, a)
    np.testing.assert_allclose(jacobian, expected, atol=1e-7)
    np.testing.assert_allclose(pulled, np.tensordot(left, jacobian, left.ndim), atol=1e-12)
    np.testing.assert_allclose(pushed, np.tensordot(jacobian, right, 2), atol=1e-12)


@pytest.mark.parametrize("name", NETS)
def test_hessians_and_their_products(name, backend):
    x = sg.tensor("x", "float64", (3, 3))
    y = NETS[name](x)
    weight = np.random.default_rng(8).standard_normal([int(n) for n in y.shape])
    cost = (y * weight).sum()
    direction = np.random.default_rng(9).standard_normal((3, 3))
    first = sg.function([x], sg.grad(cost, x), on_unused_input="ignore")
    a = np.random.default_rng(5).uniform(0.5, 1.5, (3, 3))
    try:
        hessian, product = sg.function(
            [x],
            [sg.hessian(cost, x), sg.hessian_vector_product(cost, x, sg.constant(direction))],
            on_unused_input="ignore",
        )(a)
    except sg.GradientError:
        assert name in ("product", "product from the left")  # linear: the gradient does not depend on x
        return
    np.testing.assert_allclose(hessian, numeric_jacobian(first, a), atol=1e-6)
    np.testing.assert_allclose(product, np.tensordot(hessian, direction, 2), atol=1e-11)


def test_a_jacobian_of_open_extents(backend):
    x, w = sg.dvector("x"), sg.dmatrix("w")
    y = sg.tanh(w @ x)
    f = sg.function([x, w], sg.jacobian(y, [x, w]))
    for n in (2, 3):
        a, b = np.ones(n), np.arange(4.0 * n).reshape(4, n) / 9
        by_x, by_w = f(a, b)
        slope = 1 - np.tanh(b @ a) ** 2
        np.testing.assert_allclose(by_x, slope[:, None] * b, atol=1e-14)
        np.testing.assert_allclose(by_w, np.einsum("i,ij,k->ijk", slope, np.eye(4), a), atol=1e-14)


FACTORED = {
    "cholesky": lambda x: sg.linalg.cholesky(x @ x.T),
    "eigenvalues": lambda x: sg.linalg.eigh(x @ x.T)[0],
    "qr": lambda x: sg.linalg.qr(x)[1],
    "solve_triangular": lambda x: sg.linalg.solve_triangular(x, x[0]),
    "expm": lambda x: sg.linalg.expm(x * 0.2),
    "sort": lambda x: sg.sort(x * x, 0),
    "singular values": lambda x: sg.linalg.svd(x, compute_uv=False),
}


@pytest.mark.parametrize("name", FACTORED)
def test_jacobians_and_hessians_of_factors_of_open_extents(name):
    """What a gradient asks for the shape of a cotangent alone is there when it is batched; by NumPy, as factors are."""
    x = sg.dmatrix("x")
    y = FACTORED[name](x)
    a = np.array([[4.0, 1.0, 0.5], [0.7, 5.0, 0.3], [0.2, 0.1, 3.0]])
    value, first = (sg.function([x], v, backend="numpy") for v in (y, sg.grad(sg.sqr(y).sum(), x)))
    f = sg.function([x], [sg.jacobian(y, x), sg.hessian(sg.sqr(y).sum(), x)], backend="numpy")
    for found, expected in zip(f(a), [numeric_jacobian(value, a), numeric_jacobian(first, a)], strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_is_linear_does_not_need_what_it_is_differentiated_by(backend):
    """A product stretches nothing, so no shape is needed to sum its gradient back."""
    x, v, w = sg.dvector("x"), sg.dvector("v"), sg.dmatrix("w")
    a, b = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), np.array([2.0, 3.0])
    pulled = sg.function([v, x], sg.Lop(sg.dot(x, w), w, v))([0.0, 1.0], b)
    np.testing.assert_array_equal(pulled, [[0, 2], [0, 3]])
    np.testing.assert_array_equal(sg.function([w, v], sg.Rop(x @ w, x, v))(a, b), b @ a)
    known = sg.tensor("known", "float64", (2,))
    np.testing.assert_array_equal(sg.function([x], sg.grad((known * x).sum(), known))(b), b)
    np.testing.assert_array_equal(sg.function([w], sg.hessian(known @ w @ known, known))(a[:, :2]), [[2, 6], [6, 10]])


def test_a_jacobian_of_a_scalar_is_its_gradient(backend):
    x = sg.dvector("x")
    cost = sg.sqr(x).sum()
    assert sg.jacobian(cost, x).eval({x: [1, 2]}).tolist() == [2, 4]
    assert sg.hessian(cost, x).eval({x: [1, 2]}).tolist() == [[2, 0], [0, 2]]


@pytest.mark.parametrize("cost", [lambda x, s: 3 * x.sum(), lambda x, s: x[0] + s, lambda x, s: sg.dot(x, x * 0 + 1)])
def test_the_hessian_of_what_is_linear_is_zero(cost, backend):
    x, s = sg.dvector("x"), sg.dscalar("s")
    found = sg.function([x, s], [*sg.hessian(cost(x, s) + s, [x, s]), sg.hessian_vector_product(cost(x, s), x, x)],
                        on_unused_input="ignore")([1, 2, 3], 1)  # fmt: skip
    assert [v.shape for v in found] == [(3, 3), (), (3,)] and not any(v.any() for v in found)


def test_second_derivatives_follow_the_policy_for_what_is_disconnected(backend):
    x, z = sg.dvectors("x z")
    for build in (lambda **how: sg.hessian(sg.sqr(x).sum(), z, **how), lambda **how: sg.jacobian(x * 2, z, **how)):
        with pytest.raises(sg.GradientError, match="does not depend on z"):
            build()
        with pytest.raises(ValueError, match="disconnected_inputs is 'maybe'"):
            build(disconnected_inputs="maybe")
        found = sg.function([x, z], build(disconnected_inputs="ignore"), on_unused_input="ignore")([1, 2], [1, 2])
        assert found.shape == (2, 2) and not found.any()
    with pytest.raises(ValueError, match="return_disconnected is 'nan'"):
        sg.grad(x.sum(), x, return_disconnected="nan")


def test_weights_of_another_shape_are_errors(backend):
    x, s, m = sg.dvector("x"), sg.dscalar("s"), sg.dmatrix("m")
    for build in (
        lambda w: sg.vjp(x * 2, x, w), lambda w: sg.jvp(x * 2, x, w),
        lambda w: sg.hessian_vector_product(x.sum(), x, w),
        lambda w: sg.grad(None, x, known_grads={x * 2: w}),
    ):  # fmt: skip
        for weight in (s, m, 1.0):
            with pytest.raises(sg.ShapeError, match=r"must give float64 \(\?,\)"):
                build(weight)
        f = sg.function([x, m], build(m[0]), on_unused_input="ignore")
        assert f([1, 2], [[3, 4]]).shape == (2,)
    with pytest.raises(sg.ShapeError, match=r"vjp: the cotangent gives float64 \(1,\) for mul"):
        sg.function([x, m], sg.vjp(x * 2, x, m[0]))([1, 2], [[3]])
    with pytest.raises(sg.ArgumentError, match="2 are given for 1"):
        sg.vjp(x * 2, x, [x, x])


def test_products_by_several_variables(backend):
    x, y = sg.dvectors("x y")
    f = [x * y, x.sum() * sg.exp(y)]
    tangents = [sg.constant([1.0, 2.0]), sg.constant([3.0, 4.0])]
    a, b = np.array([0.5, 1.5]), np.array([0.1, 0.2])
    first, second = sg.function([x, y], sg.jvp(f, [x, y], tangents))(a, b)
    np.testing.assert_allclose(first, [1, 2] * b + a * [3, 4], rtol=1e-14)
    np.testing.assert_allclose(second, 3 * np.exp(b) + a.sum() * np.exp(b) * [3, 4], rtol=1e-14)
    by_x, by_y = sg.function([x, y], sg.vjp(f, [x, y], tangents))(a, b)
    np.testing.assert_allclose(by_x, [1, 2] * b + (np.exp(b) * [3, 4]).sum(), rtol=1e-14)
    np.testing.assert_allclose(by_y, [1, 2] * a + a.sum() * np.exp(b) * [3, 4], rtol=1e-14)
    assert sg.Lop is sg.vjp and sg.Rop is sg.jvp


def test_second_order_through_softmax_cross_entropy(backend):
    """The Hessian by the logits is (diag(p) - p p') / rows, however the loss is written."""
    z = sg.dmatrix("z")
    labels = np.array([2, 0])
    one_hot = np.eye(3)[labels]
    e = sg.exp(z)
    naive = e / e.sum(axis=1, keepdims=True)
    losses = [
        sg.nn.categorical_crossentropy(sg.nn.softmax(z), labels).mean(), -(one_hot * sg.log(naive)).sum(axis=1).mean(),
        -sg.log(sg.nn.softmax(z))[np.arange(2), labels].mean(), -(one_hot * sg.nn.log_softmax(z)).sum() / 2.0,
    ]  # fmt: skip
    for a in (np.array([[0.1, -0.3, 0.5], [1.0, 0.0, -1.0]]), np.array([[1e4, -1e4, 0.0], [0.0, 1e4, 1e4]])):
        p = np.exp(a - a.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        expected = np.zeros((2, 3, 2, 3))
        for k in range(2):
            expected[k, :, k] = (np.diag(p[k]) - np.outer(p[k], p[k])) / 2
        for loss in losses:
            first, second = sg.function([z], [sg.grad(loss, z), sg.hessian(loss, z)])(a)
            np.testing.assert_allclose(first, (p - one_hot) / 2, atol=1e-15)
            np.testing.assert_allclose(second, expected, atol=1e-15)


def test_an_input_in_the_place_of_what_is_computed_is_replaced_in_gradients_too(backend):
    """A gradient of log(x + 1) holds no x + 1; one of log(u) holds u."""
    x, u = sg.dscalar("x"), sg.dscalar("u")
    cost = sg.log(u)
    both = sg.function([x], [cost, sg.grad(cost, u)], givens={u: x + 1})
    assert [float(v) for v in both(1e-20)] == [1e-20, 1]
    with pytest.raises(sg.GradientError, match="need not hold what its cost computed"):
        sg.grad(sg.grad(sg.log(x + 1), x), x + 1)

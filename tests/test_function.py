"""What a function does: its outputs, its updates, its givens, and what none of them may touch."""

import gc
import weakref

import numpy as np
import pytest

import symgraph as sg

BACKENDS = ["numpy", "llvm", pytest.param("cuda", marks=pytest.mark.deep)]


@pytest.fixture(params=BACKENDS)
def backend(request):
    with sg.using(backend=request.param, device="simulate"):
        yield request.param


def values(*variables):
    return [v.get_value().tolist() for v in variables]


# ------------------------------------------------------------------------------------------------ outputs


def test_outputs_come_in_the_form_they_were_given(backend):
    x = sg.dvector("x")
    a = np.array([1.0, 2.0])
    one = sg.function([x], x + 1)(a)
    assert type(one) is np.ndarray and one.tolist() == [2, 3]
    assert [v.tolist() for v in sg.function([x], [x + 1, x.sum()])(a)] == [[2, 3], 3]
    named = sg.function([x], {"up": x + 1, "sum": x.sum()})(a)
    assert {k: v.tolist() for k, v in named.items()} == {"up": [2, 3], "sum": 3}
    assert sg.function([x], [], on_unused_input="ignore")(a) == []
    assert sg.function([x], {}, on_unused_input="ignore")(a) == {}
    assert sg.function([x], None, on_unused_input="ignore")(a) is None


def test_a_scalar_result_is_an_array_of_no_axes(backend):
    x = sg.dscalar("x")
    found = sg.function([x], x * 2)(3)
    assert type(found) is np.ndarray and found.shape == () and found == 6


def test_outputs_may_be_anything_twice_over(backend):
    x = sg.dvector("x")
    s = sg.shared(np.array([5.0, 6.0]), name="s")
    y = x * 2
    outputs = [y, y, x, x, s, sg.constant([7.0]), 8.0, y.reshape((2, 1)), x.reshape((1, 2)), x[None].T]
    a = np.array([1.0, 2.0])
    found = sg.function([x], outputs)(a)
    expected = [[2, 4], [2, 4], [1, 2], [1, 2], [5, 6], [7], 8, [[2], [4]], [[1, 2]], [[1], [2]]]
    assert [v.tolist() for v in found] == expected
    for k, v in enumerate(found):
        assert not np.shares_memory(v, a) and not np.shares_memory(v, s.get_value(borrow=True))
        assert not any(np.shares_memory(v, w) for w in found[:k])
        v[...] = -1
    assert [v.tolist() for v in sg.function([x], outputs)(a)] == expected


def test_a_function_of_nothing_gives_its_constants(backend):
    assert sg.function([], [sg.constant(3), sg.constant([1.0, 2.0]) + 1])()[1].tolist() == [2, 3]


def test_results_are_not_those_of_the_call_before(backend):
    x = sg.dvector("x")
    f = sg.function([x], [x + 1, (x + 1).reshape((2, 1)), x])
    first = f([1, 2])
    f([10, 20])
    assert [v.tolist() for v in first] == [[2, 3], [[2], [3]], [1, 2]]


# ------------------------------------------------------------------------------------------------ updates


def test_updates_are_simultaneous(backend):
    a, b, c = (sg.shared(float(k), name=n) for k, n in enumerate("abc", 1))
    swap = sg.function([], [a, b], updates=[(a, b), (b, a)])
    assert [v.item() for v in swap()] == [1, 2] and values(a, b) == [2, 1]
    chain = sg.function([], [], updates={a: b, b: c})
    chain()
    assert values(a, b, c) == [1, 3, 3]


def test_larger_values_swap_and_turn(backend):
    names = "abc"
    for turn in ([1, 0, 2], [1, 2, 0], [2, 0, 1], [1, 1, 1], [0, 0, 0], [2, 2, 0]):
        start = [np.full((3, 40), k, "float32") for k in range(3)]
        s = [sg.shared(v, name=n) for v, n in zip(start, names, strict=True)]
        f = sg.function([], [s[0] + s[1], s[1]], updates=[(s[k], s[t]) for k, t in enumerate(turn)])
        found = f()
        assert (found[0] == 1).all() and (found[1] == 1).all()
        assert [v.get_value()[0, 0] for v in s] == turn


def test_old_values_move_on_before_they_are_overwritten(backend):
    a, b, c = (sg.shared(np.full(40, k, "float32"), name=n) for k, n in enumerate("abc", 1))
    sg.function([], [], updates=[(a, a + 1), (b, a), (c, a + 1)])()
    assert [v.get_value()[0] for v in (a, b, c)] == [2, 1, 2]
    sg.function([], [], updates=[(c, b), (b, a), (a, c * b)])()
    assert [v.get_value()[0] for v in (a, b, c)] == [2, 2, 1]


def test_swaps_through_ops(backend):
    a, b = (sg.shared(np.arange(12.0).reshape(3, 4) + k, name="ab"[k]) for k in range(2))
    x, y = a.get_value(), b.get_value()
    f = sg.function([], (a * b).sum(), updates=[(a, b + 1), (b, a[::-1] * 2)])
    assert f() == (x * y).sum()
    assert (a.get_value() == y + 1).all() and (b.get_value() == x[::-1] * 2).all()


def test_an_update_may_read_its_variable_anywhere(backend):
    start = np.arange(12.0).reshape(3, 4)
    x = sg.dmatrix("x")
    for new, expected in [
        (lambda w: w[::-1], start[::-1]), (lambda w: w - w.sum(axis=0), start - start.sum(axis=0)),
        (lambda w: w @ x, start @ np.ones((4, 4))), (lambda w: w.T.reshape((3, 4)), start.T.reshape(3, 4)),
        (lambda w: sg.concatenate([w[1:], w[:1]]), np.roll(start, -1, 0)),
        (lambda w: w.reshape((4, 3)).reshape((3, 4)), start),
        (lambda w: sg.set_subtensor(w[1], w[0]), start[[0, 0, 2]]),
        (lambda w: sg.inc_subtensor(w[:, 0], 1), start + [1, 0, 0, 0]),
        (lambda w: sg.set_subtensor(w[:2], w[1:]), start[[1, 2, 2]]),
    ]:  # fmt: skip
        w = sg.shared(start, name="w")
        f = sg.function([x], [w.sum(), w], updates=[(w, new(w))], on_unused_input="ignore")
        total, old = f(np.ones((4, 4)))
        assert total == start.sum() and (old == start).all()
        assert (w.get_value() == expected).all()


def test_outputs_see_the_old_value_even_if_they_are_the_variable_or_the_new_value(backend):
    x = sg.dscalar("x")
    s = sg.shared(np.zeros(3), name="s")
    new = s + x
    f = sg.function([x], [s, new, new * 2, s * 1, new.reshape((3, 1))], updates=[(s, new)])
    for k in range(3):
        old, now, double, same, column = f(1)
        assert old.tolist() == same.tolist() == [k] * 3 and now.tolist() == [k + 1] * 3
        assert double.tolist() == [2 * k + 2] * 3 and column.tolist() == [[k + 1]] * 3
        for v in (old, now, double, same, column):
            assert not np.shares_memory(v, s.get_value(borrow=True))
            v[...] = 100
    assert values(s) == [[3, 3, 3]]


def test_a_shared_variable_may_become_an_input_or_a_constant(backend):
    x = sg.dvector("x")
    s, t = sg.shared(np.zeros(2), name="s"), sg.shared(np.zeros(2), name="t")
    a = np.array([1.0, 2.0])
    sg.function([x], [], updates=[(s, x), (t, np.array([8.0, 9.0]))])(a)
    a[0] = 5
    assert values(s, t) == [[1, 2], [8, 9]]


def test_a_call_that_fails_updates_nothing(backend):
    table = sg.shared(np.arange(100_000.0), name="table")
    count = sg.shared(0, name="count")
    i = sg.lvector("i")
    picked = table[i] * 2
    f = sg.function([i], picked, updates=[(count, count + 1), (table, table * 2)])
    good = np.arange(0, 100_000, 2)
    f(good)
    assert values(count) == [1] and table.get_value()[1] == 2
    bad = good.copy()
    bad[40_000] = 100_000
    with pytest.raises(sg.IndexOutOfRange, match="picked = table"):
        f(bad)
    assert values(count) == [1] and table.get_value()[1] == 2
    f(good)
    assert values(count) == [2] and table.get_value()[1] == 4


def test_each_index_of_a_call_is_checked(backend):
    """The first of two checks once shared its place in the arena with the second."""
    x, i, j = sg.dvector("x"), sg.lvector("i"), sg.lvector("j")
    f = sg.function([x, i, j], x[i] * x[j])
    assert f([1, 2], [0], [1]).tolist() == [2]
    for bad in ([2], [0]), ([0], [2]), ([-3], [0]), ([0], [-3]):
        with pytest.raises(sg.IndexOutOfRange):
            f([1, 2], *bad)


def test_an_index_that_is_a_new_value_too_is_checked_before_it_is_stored(backend):
    """Both where the new value is stored for others to read, and where each makes it anew."""
    x, i = sg.dvector("x"), sg.lvector("i")
    for index in (lambda s: s + i, lambda s: sg.cumsum(s + i)):
        s = sg.shared(np.zeros(3, "int64"), name="s")
        f = sg.function([x, i], x[index(s)], updates=[(s, index(s))])
        assert f(np.arange(5), [1, 1, 0]).shape == (3,)
        before = values(s)
        with pytest.raises(sg.IndexOutOfRange):
            f(np.arange(5), [0, 7, 0])
        assert values(s) == before


def test_what_an_update_must_be():
    x, s = sg.dscalar("x"), sg.shared(np.zeros(3), name="s")
    wrong_types = [[(s, sg.fvector("v"))], [(s, sg.dscalar("d"))], [(s, np.ones(4))]]
    for updates in ([(x, x)], [(s, s + 1), (s, s + 2)], *wrong_types):
        with pytest.raises(sg.UpdateError):
            sg.function([], [], updates=updates)


def test_what_lets_a_shared_variable_grow_is_named_where_it_may_not():
    s = sg.shared(np.zeros((3, 2)), name="s")
    with pytest.raises(sg.UpdateError, match=r"let extents change: symgraph.shared\(..., shape=\(None, 2\)\)"):
        sg.function([], [], updates=[(s, sg.concatenate([s, s]))])
    grown = sg.shared(np.zeros((3, 2)), shape=(None, 2))
    sg.function([], [], updates=[(grown, sg.concatenate([grown, grown]))])()
    assert grown.get_value().shape == (6, 2)


def test_an_update_of_the_wrong_extent_is_found_at_the_call(backend):
    x, s = sg.dvector("x"), sg.shared(np.zeros(3), name="s")
    f = sg.function([x], [], updates=[(s, s + x)])
    f([1, 1, 1])
    with pytest.raises(sg.ShapeError):
        f([1, 1])
    g = sg.function([x], [], updates=[(s, x)])
    with pytest.raises((sg.ShapeError, sg.UpdateError)):
        g([1, 1])
    assert values(s) == [[1, 1, 1]]


# ------------------------------------------------------------------------------------------------ givens


def test_givens_replace_inputs_and_expressions(backend):
    x, y = sg.dvectors("x y")
    total = (x * 2).sum() + y.sum()
    assert sg.function([y], total, givens={x: y + 1})([1, 2]) == 13
    assert sg.function([y], total, givens=[(x, np.array([1.0]))])([1]) == 3
    assert sg.function([x, y], total, givens={x * 2: x * 3})([1], [0]) == 3


def test_givens_are_simultaneous(backend):
    x, y = sg.dscalars("x y")
    assert sg.function([x, y], x - y, givens={x: y, y: x})(5, 2) == -3


def test_minibatches_of_a_shared_data_set_compile_once(backend):
    data = sg.shared(np.arange(70.0).reshape(35, 2), name="data")
    x, i, b = sg.dmatrix("x"), sg.lscalar("i"), 8
    f = sg.function([i], x.sum(axis=1), givens={x: data[i * b : (i + 1) * b]})
    for k in range(4):
        assert (f(k) == data.get_value()[k * b : (k + 1) * b].sum(axis=1)).all()
    assert len(f.programs) == 1
    assert f(4).tolist() == data.get_value()[32:].sum(axis=1).tolist() and len(f.programs) == 2
    assert f(9).shape == (0,)
    f(2)
    assert len(f.programs) == 3


def test_updates_and_givens_are_pairs_or_none(backend):
    w = sg.shared(np.zeros(2), name="w")
    for how in ({"updates": [w]}, {"givens": [w]}, {"updates": [(w, 1, 2)]}):
        with pytest.raises(sg.ArgumentError, match="is no pair"):
            sg.function([], w, **how)
    assert sg.function([], w, updates=None, givens=None)().tolist() == [0, 0]


def test_givens_must_fit():
    x = sg.dvector("x")
    with pytest.raises(sg.DTypeError):
        sg.function([], x, givens={x: sg.shared(np.zeros(2, "float32"))})
    with pytest.raises(sg.ShapeError):
        sg.function([], x, givens={x: sg.shared(np.zeros((2, 2)))})


# ------------------------------------------------------------------------------------------------ random streams


def test_two_calls_and_two_draws_differ_and_one_draw_is_one_sample(backend):
    stream = sg.random.RandomStream(3)
    u, v = stream.uniform((20,)), stream.uniform((20,))
    f = sg.function([], [u, v, u - u])
    first, second = f(), f()
    assert not (first[0] == first[1]).any() and not (first[0] == second[0]).any()
    assert (first[2] == 0).all() and ((first[0] >= 0) & (first[0] < 1)).all()
    stream.seed(3)
    assert (f()[0] == first[0]).all()


def test_no_default_updates_gives_the_same_sample_again(backend):
    u = sg.random.RandomStream(4).normal((5,))
    f = sg.function([], u, no_default_updates=True)
    assert (f() == f()).all()


def test_an_update_takes_the_place_of_the_default(backend):
    s = sg.shared(0, name="s")
    s.default_update = s + 1
    f, g = sg.function([], s), sg.function([], s, updates={s: s + 10})
    assert [f().item(), g().item(), f().item()] == [0, 1, 11] and values(s) == [12]


def test_default_updates_follow_one_another(backend):
    s, t = sg.shared(0, name="s"), sg.shared(0, name="t")
    t.default_update = t + 1
    s.default_update = s + t
    sg.function([], s)()
    assert values(s, t) == [0, 1]


# ------------------------------------------------------------------------------------------------ shared values


def test_get_value_copies_and_set_value_too():
    a = np.zeros(3)
    s = sg.shared(a, name="s")
    a[0] = 1
    s.get_value()[1] = 1
    assert values(s) == [[0, 0, 0]]
    s.set_value(a)
    a[0] = 2
    assert values(s) == [[1, 0, 0]]


def test_borrowing_keeps_the_array_itself():
    a, b = np.zeros(3), np.zeros(3)
    s = sg.shared(a, name="s", borrow=True)
    a[0] = 1
    assert values(s) == [[1, 0, 0]] and s.get_value(borrow=True) is a
    s.set_value(b, borrow=True)
    s.get_value(borrow=True)[1] = 5
    assert b.tolist() == [0, 5, 0]


def test_a_value_must_fit_its_type():
    s = sg.shared(np.zeros((2, 3), "float32"), name="s")
    for value in (np.zeros((3, 2), "float32"), np.zeros(3, "float32")):
        with pytest.raises(sg.ShapeError):
            s.set_value(value)
    with pytest.raises(sg.DTypeError):
        s.set_value(np.zeros((2, 3)))
    s.set_value(np.ones((2, 3), "int8"))
    assert s.get_value().dtype == "float32"


def test_an_open_extent_of_a_shared_variable_may_change(backend):
    s = sg.shared(np.zeros((2, 3)), name="s", shape=(None, 3))
    f = sg.function([], s.sum(axis=0), updates=[(s, s + 1)])
    f()
    s.set_value(np.ones((5, 3)))
    assert f().tolist() == [5, 5, 5] and s.get_value().shape == (5, 3) and (s.get_value() == 2).all()
    with pytest.raises(sg.ShapeError):
        s.set_value(np.ones((5, 2)))
    grow = sg.function([], [], updates=[(s, sg.concatenate([s, s[:1]]))])
    grow()
    grow()
    assert s.get_value().shape == (7, 3) and (s.get_value() == 2).all()


def test_a_float_becomes_a_shared_variable_of_floatX():
    with sg.using(floatX="float32"):
        assert sg.shared(1.5).dtype == "float32"
    assert sg.shared(np.float64(1.5)).dtype == "float64" and sg.shared(3).dtype == "int64"


# ------------------------------------------------------------------------------------------------ the rest


def test_eval_takes_values_by_variable_or_name(backend):
    x, y = sg.dscalars("x y")
    assert (x + y).eval({x: 1, "y": 2}) == 3
    assert sg.constant(2.0).eval() == 2
    with pytest.raises(sg.ArgumentError, match="no input named 'z'"):
        x.eval({"z": 1})


def test_a_copy_shares_values_and_nothing_else(backend):
    x, s = sg.dscalar("x"), sg.shared(0.0, name="s")
    f = sg.function([x], s, updates=[(s, s + x)], name="add")
    f(1)
    g = f.copy()
    assert not g.programs and g.name == "add"
    assert g(2) == 1 and f(3) == 3 and values(s) == [6]


def test_a_profile_counts_calls():
    x = sg.dscalar("x")
    f = sg.function([x], x, profile=True)
    f(1), f(2)
    assert f.usage.calls == 2 and f.usage.seconds > 0
    assert sg.function([x], x).usage is None


X, Y, V = sg.dscalar("x"), sg.dscalar("y"), sg.dvector("v")
CANCELLED = {
    "linear": ([X], lambda: sg.grad(3 * X, X)),
    "bilinear": ([X, Y], lambda: sg.grad(X * Y, X)),
    "rewritten": ([X], lambda: sg.grad(sg.log(sg.exp(X)), X)),
    "in an expression": ([X], lambda: 2 * sg.grad(3 * X, X) + 1),
    "of a gradient": ([X, Y], lambda: sg.grad(sg.grad(X * Y, X), Y)),
    "disconnected": ([X, Y], lambda: sg.grad(Y * Y, X, disconnected_inputs="ignore")),
    "vjp": ([X, Y], lambda: sg.vjp(3 * X, X, Y)),
    "jvp": ([X, Y], lambda: sg.jvp(3 * X, X, Y)),
    "jacobian": ([V], lambda: sg.jacobian(3 * V, V)),
    "hessian": ([X], lambda: sg.hessian(X * X, X)),
    "hessian_vector_product": ([X, Y], lambda: sg.hessian_vector_product(X * X, X, Y)),
}


@pytest.mark.parametrize(("inputs", "build"), CANCELLED.values(), ids=CANCELLED)
def test_a_derivative_depends_on_the_inputs_of_its_cost_though_they_cancel(inputs, build):
    found = build()
    values = [np.ones((2,) * v.ndim) for v in inputs]
    expected = sg.function(inputs, found, on_unused_input="ignore")(*values)
    np.testing.assert_array_equal(sg.function(inputs, found)(*values), expected)


def test_an_input_of_a_cost_is_not_needed_for_its_gradient_and_may_be_replaced():
    x, y, z = sg.dscalars("x y z")
    gradient = sg.grad(x * y, x)
    assert sg.function([y], gradient)(2) == 2
    assert sg.function([z, y], gradient, givens={x: z + 1})(5, 2) == 2
    with pytest.raises(sg.UnusedInputError, match="the input z"):
        sg.function([x, y, z], gradient)


def test_what_a_gradient_was_taken_of_is_not_kept_alive():
    x, y = sg.dscalars("x y")
    results = [sg.grad(3 * x, x), sg.grad(x * y, x), sg.grad(x * y, y)]
    gone = [weakref.ref(x), weakref.ref(y)]
    del x, y, results[1:]
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


def test_an_unknown_backend_is_an_error_that_names_the_known():
    with pytest.raises(sg.BackendError, match="no backend 'abacus'; known are numpy, llvm"):
        sg.function([], sg.constant(1), backend="abacus")


def test_on_unused_input_has_three_ways():
    x, y = sg.dscalars("x y")
    with pytest.raises(sg.UnusedInputError, match="the input y"):
        sg.function([x, y], x)
    with pytest.warns(UserWarning, match="the input y"):
        f = sg.function([x, y], x, on_unused_input="warn")
    assert f(1, 2) == 1
    assert sg.function([x, y], x, on_unused_input="ignore")(1, 2) == 1
    with pytest.raises(ValueError, match="'raise', 'warn' or 'ignore'"):
        sg.function([x, y], x, on_unused_input="maybe")
    with pytest.raises(ValueError, match="'raise', 'warn' or 'ignore'"):
        sg.function([x], x, on_unused_input="maybe")

"""The laws of fusion: what a group reads is there, is read where it is computed, and means what the graph says."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import symgraph as sg
from codegen.affine import loads_in
from codegen.fuse import fuse
from codegen.group import overwriting_order, same_position, size
from codegen.merge import FREE, LARGEST_GROUP
from symgraph import expression
from symgraph.expression import axis
from symgraph.graph import Constant
from tests.codegen.graphs import drawn, fused, prepared, task
from tests.programs import by_reference, interpreted

SEEDS = range(60)


def groups_of(inputs, *outputs):
    return fused(prepared(task(inputs, outputs))).groups


@pytest.mark.parametrize("seed", SEEDS)
def test_a_group_reads_what_earlier_groups_stored(seed):
    p = prepared(drawn(seed))
    f = fused(p)
    there = {f.names[v] for v in (*p.inputs, *p.shared)} | {n for n, v in f.values.items() if isinstance(v, Constant)}
    for g in f.groups:
        assert {f.root(n) for n in g.reads} <= there
        assert g.stored and set(g.stored) <= set(g.outputs) and not there & set(g.outputs)
        there |= set(g.stored)
    assert {f.root(f.names[v]) for v in (*p.outputs, *p.updates)} <= there


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stage_reads_values_of_its_group_at_its_own_row(seed):
    """Only then is the value there when it is read."""
    f = fused(prepared(drawn(seed)))
    for g in f.groups:
        check_rows(g)
        made = {n: s.compute for s in g.stages for n in s.outputs}
        for stage in g.stages:
            for e in loads_in([*stage.compute.exprs, *(stage.compute.at or ())]):
                if f.root(str(e.value)) in made:
                    axes = made[str(e.value)].axes
                    own = [axis(a) if (a, n) in g.rows else i for (a, n), i in zip(axes, e.args, strict=True)]
                    assert same_position(e.args, own, [n for _, n in axes])
        if len(g.stages) > 1:
            most = max(LARGEST_GROUP, size(expression.toposort(g.stages[0].compute.exprs)) + FREE)
            assert size(expression.toposort([e for s in g.stages for e in s.compute.exprs])) <= most


def check_rows(g):
    """Every stage has the rows, once; a reduction has no other axes, a scatter or scan stands alone."""
    for stage in g.stages:
        c = stage.compute
        names = [a for a, _ in (*c.axes, *c.reduce)]
        assert set(g.rows) <= set(c.axes) and len(set(names)) == len(names)
        assert c.combiner is None or all(a in g.rows or a[1] == 1 for a in c.axes)
        assert len(g.stages) == 1 or (c.at is None and c.prefix is None)


@pytest.mark.parametrize("seed", range(12))
def test_groups_mean_what_the_graph_says(seed):
    t = drawn(seed)
    x, i = t.inputs
    values = {x: np.linspace(-1, 1, 9), i: np.array([1, 8, 1])}
    for a, b in zip(interpreted(t.results, values), by_reference(t.results, values), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)  # sums of up to 81 terms in another order


# ------------------------------------------------------------------------------------------------ policy


@pytest.fixture
def x():
    return sg.tensor("x", "float32", (64, 32))


@pytest.fixture
def w():
    return sg.tensor("w", "float32", (32, 48))


def test_maps_of_one_shape_are_one_kernel(x):
    y = sg.tanh(x)
    (g,) = groups_of([x], y * 2, sg.exp(y) + x)
    assert len(g.stored) == 2


def test_what_follows_a_product_is_its_epilogue(x, w):
    b = sg.tensor("b", "float32", (48,))
    (g,) = groups_of([x, w, b], sg.nn.relu(x @ w + b))
    assert len(g.stages) == 2 and len(g.stored) == 1


def test_an_expensive_map_is_not_repeated_by_a_product(x, w):
    first, second = groups_of([x, w], sg.tanh(x) @ w)
    assert first.stored and not first.stages[0].compute.reduce and second.stages[0].compute.reduce


def test_what_is_far_larger_than_what_it_is_made_of_is_not_stored():
    """The terms of a logarithm of a product of matrices, which the sum and both slopes read."""
    a, b = (sg.tensor(name, "float32", (128, 128)) for name in "ab")
    y = sg.log(sg.exp(a) @ sg.exp(b))
    f = fused(prepared(task([a, b], [y, *sg.grad(y.sum(), [a, b])])))
    stored = [f.values[name].type.shape for g in f.groups for name in g.stored]
    assert stored and all(np.prod(shape) <= 128**2 for shape in stored)


def test_a_map_that_a_sum_reads_once_is_part_of_it(x):
    (g,) = groups_of([x], sg.exp(x).sum(axis=1))
    assert len(g.stages) == 1


def test_what_reads_a_scatter_comes_after_it():
    x, v = sg.tensor("x", "float64", (64, 32)), sg.tensor("v", "float64", (64,))
    column = sg.tensor("column", "int64", (64,))
    centred = x - x.mean(axis=1, keepdims=True)
    scattered = sg.set_subtensor(centred[sg.arange(64), column], v) * x
    values = {x: np.random.default_rng(0).normal(size=(64, 32)), v: np.ones(64), column: np.arange(64) % 32}
    (found,), (expected,) = interpreted([scattered], values), by_reference([scattered], values)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_of_random_bits_that_are_compared_the_answer_is_kept_for_several_readers(x):
    kept = sg.random.RandomStream(1).bernoulli(x.type.shape, 0.5, "float32")
    f = fused(prepared(task([x], [(x * kept).sum(), (sg.exp(x) * kept).sum()])))
    stored = [f.values[n].type for g in f.groups for n in g.stored]
    assert [t.dtype for t in stored if t.shape == x.type.shape] == ["bool"]


def test_moving_elements_costs_nothing(x):
    (g,) = groups_of([x], x.T[::-1] @ x[:, 3:])
    assert len(g.stages) == 1


def test_what_is_joined_is_computed_in_its_place(x):
    parts = [sg.exp(x), sg.tanh(x)]
    assert len(groups_of([x], sg.concatenate(parts, axis=1))) == 1
    assert len(groups_of([x], sg.pad(sg.exp(x), 2))) == 1


def test_what_is_joined_is_computed_once_where_a_sum_reads_it(x):
    groups = groups_of([x], sg.concatenate([sg.exp(x), x], axis=1).sum(axis=1))
    costly = [e for g in groups for s in g.stages for e in expression.toposort(s.compute.exprs) if e.prim == "exp"]
    assert len(costly) == 1 and len(groups) == 2


def test_a_reshape_is_a_view(x):
    assert not groups_of([x], x.reshape((32, 64)))
    (g,) = groups_of([x], sg.exp(x).reshape((32, 64)))
    assert len(g.stored) == 1


def test_equal_elements_are_one_literal(x):
    f = fused(prepared(task([x], [x + np.full((64, 32), 2.5, "float32"), x * np.zeros((1, 32), "float32")])))
    assert not [v for v in f.values.values() if isinstance(v, Constant)]


def test_zeros_of_both_signs_are_not_equal_elements(x):
    signed = np.zeros((1, 32), "float32")
    signed[0, 3] = -0.0
    f = fused(prepared(task([x], [x * signed])))
    assert [v for v in f.values.values() if isinstance(v, Constant)]


def test_a_long_formula_is_cut_into_kernels_that_compile_quickly(x):
    y = x
    for _ in range(60):
        y = sg.tanh(y) + sg.exp(-y)
    groups = groups_of([x], y)
    assert 60 * 42 / LARGEST_GROUP / 2 < len(groups) < 60


def test_an_input_that_is_returned_is_no_kernel(x):
    assert not fuse([x], [x]).groups


@pytest.mark.parametrize("backend", ["llvm", pytest.param("cuda", marks=pytest.mark.deep)])
@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize(("best", "place"), [(sg.max, sg.argmax), (sg.min, sg.argmin)])
def test_what_a_later_pass_reads_of_a_best_element_is_that_whose_place_is_found(best, place, axis, backend):
    x = sg.dmatrix("x")
    outputs = [sg.eq(x, best(x, axis=axis, keepdims=True)).sum(axis=axis), place(x, axis=axis)]
    a = np.array([[3.0, 1.0, 3.0], [2.0, 5.0, 1.0]])
    with sg.using(backend=backend, device="simulate"):
        found = sg.function([x], outputs)(a)
    for mine, reference in zip(found, sg.function([x], outputs, backend="numpy")(a), strict=True):
        np.testing.assert_array_equal(mine, reference)


# ------------------------------------------------------------------------------------------------ stores that meet


@given(st.lists(st.sets(st.integers(0, 4)), min_size=1, max_size=5))
def test_stores_are_ordered_so_that_none_overwrites_what_another_reads(reads):
    """Value k goes to storage k; there is an order just if some permutation is one."""
    storage = {f"v{k}": f"s{k}" for k in range(len(reads))}
    wanted = {f"v{k}": {f"s{n}" for n in r} for k, r in enumerate(reads)}

    def fits(order):
        return not any(storage[n] in wanted[m] for k, n in enumerate(order) for m in order[k + 1 :])

    found = overwriting_order(storage, wanted)
    possible = any(map(fits, itertools.permutations(storage)))
    assert (found is not None) == possible
    assert found is None or (sorted(found) == sorted(storage) and fits(found))

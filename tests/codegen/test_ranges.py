"""Ranges of index terms: simpler terms have the same values, and the range that was said."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from codegen.kernel import Buffer, Kernel, Store, nest
from codegen.ranges import settled, simplify, span
from symgraph import expression
from symgraph.expression import INDEX, axis, const

EXTENTS = {"i": 3, "j": 4, "k": 16}
RANGES = {name: (0, n - 1) for name, n in EXTENTS.items()}

leaves = st.one_of(st.sampled_from([axis(n) for n in EXTENTS]), st.integers(-20, 70).map(lambda n: const(n, INDEX)))


def grown(terms):
    sums = st.tuples(terms, terms).map(lambda t: t[0] + t[1])
    multiples = st.tuples(terms, st.integers(-3, 64)).map(lambda t: t[0] * t[1])
    quotients = st.tuples(terms, st.sampled_from([1, 2, 4, 16, 64])).map(lambda t: t[0] // const(t[1], INDEX))
    remainders = st.tuples(terms, st.sampled_from([1, 2, 4, 16, 64])).map(lambda t: t[0] % const(t[1], INDEX))
    bounds = st.tuples(terms, terms).map(lambda t: expression.minimum(*t))
    return st.one_of(sums, multiples, quotients, remainders, bounds)


def values(e):
    places = dict(zip(EXTENTS, np.indices(tuple(EXTENTS.values())), strict=True))
    return expression.evaluate([e], lambda t: places[t.value])[0]


def simplified(e):
    store = Store("out", (const(0, INDEX),), e)
    kernel = Kernel("k", (Buffer("out", INDEX, (1,)),), nest(list(EXTENTS.items()), (store,)))
    body = simplify(kernel).body
    while not isinstance(body[0], Store):
        body = body[0].body
    return body[0].expr


@given(st.recursive(leaves, grown, max_leaves=8))
def test_simpler_terms_have_the_same_values_inside_their_range(e):
    expected = values(e)
    np.testing.assert_array_equal(values(simplified(e)), expected)
    bounds = span(e, RANGES)
    if bounds is not None:
        assert bounds[0] <= expected.min() and expected.max() <= bounds[1]


@given(st.recursive(leaves, grown, max_leaves=6), st.recursive(leaves, grown, max_leaves=6))
def test_a_settled_choice_has_the_same_values(a, b):
    cases = [expression.minimum(a, b), expression.maximum(a, b)]
    cases += [expression.select(cond, a, b) for cond in (a < b, a <= b, a > b, a >= b)]
    for e in cases:
        np.testing.assert_array_equal(values(settled([e], RANGES)[0]), values(e))


def test_what_the_loops_bound_is_gone():
    i, j, k = map(axis, EXTENTS)
    flat = i * 64 + j * 16 + k
    assert simplified(flat // 64) is i
    assert simplified(flat // 16 % 4) is j
    assert simplified(flat % 16) is k


def test_arithmetic_that_may_wrap_is_left_alone():
    value = expression.load("out", (const(0, INDEX),), INDEX)
    e = (value * 4) // const(4, INDEX)
    assert simplified(e) is e


def test_what_a_term_shares_is_looked_at_once():
    """60 levels that each read the one before twice have 2**60 paths."""
    e = axis("i")
    for _ in range(60):
        e = expression.select(e < const(2, INDEX), expression.minimum(e + 1, const(9, INDEX)), e)
    assert span(e, RANGES) == (0, 9)
    simplified(e // const(16, INDEX))

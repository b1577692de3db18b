"""Random streams: known answers, the mapping from index to word, state, distributions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import symgraph as sg
from symgraph import expression
from symgraph.errors import DTypeError, ShapeError
from symgraph.ops.random import _bits as word_of
from symgraph.ops.random import philox
from symgraph.ops.sampling import drawn_from, log_gamma_draw, poisson_draw
from symgraph.random import RandomStream
from symgraph.reference import evaluate
from tests.cases.random import FULL, bits, word
from tests.cases.random import philox as oracle
from tests.formulas import formula_value, reference_value

KNOWN = [
    ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([FULL] * 4, [FULL] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344], [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_philox_gives_the_known_answers(counter, key, words):
    assert oracle(counter, key) == words
    terms = [expression.const(v, "uint32") for v in (*counter, *key)]
    found = expression.evaluate(philox(tuple(terms[:4]), tuple(terms[4:])), lambda e: np.asarray(0))
    assert [int(v) for v in found] == words


@pytest.mark.parametrize("shape", [(), (1,), (130,), (2, 70), (3, 5, 2), (2, 65, 2, 2), (0, 3)])
@pytest.mark.parametrize("part", [0, 2])
def test_each_index_has_its_word(shape, part):
    state = np.array([7, 3, 2**33 + 9])
    expected = bits(state, shape, part)
    np.testing.assert_array_equal(formula_value("random_bits", [state], shape, part=part), expected)
    np.testing.assert_array_equal(reference_value("random_bits", [state], shape, part=part), expected)


def test_counters_beyond_32_bits_go_on_in_the_second_word():
    shape = (2**30, 2, 3)
    index, key = [expression.axis(f"i{k}") for k in range(3)], [expression.axis(f"k{k}") for k in range(3)]
    term = word_of(key, index, shape, 1)
    for place in ((2**30 - 1, 1, 2), (5, 0, 1)):
        values = dict(zip([*key, *index], [7, 3, 9, *place], strict=True))
        (found,) = expression.evaluate([term], lambda e, values=values: np.asarray(values[e]))
        assert int(found) == word([7, 3, 9], place[0] * 3 + place[2], place[1], 2, 1)


def test_all_four_words_of_a_counter_are_used():
    found = bits(np.array([1, 2, 3]), (64,), 0)
    assert sorted(found[[0, 16, 32, 48]]) == sorted(oracle([0, 0, 3, 0], [1, 2]))


# ------------------------------------------------------------------------------------------------ state


def test_one_draw_used_twice_is_one_sample_and_two_draws_differ():
    stream = RandomStream(1)
    a, b = stream.uniform((50,)), stream.uniform((50,))
    twice, once, other = evaluate([a - a, a, b])
    assert not twice.any()
    assert (once != other).all()


def test_two_calls_differ_and_a_seed_starts_again():
    stream = RandomStream(1)
    f = sg.function([], stream.uniform((50,)), backend="numpy")
    first, second = f(), f()
    assert (first != second).all()
    stream.seed(1)
    np.testing.assert_array_equal(f(), first)
    stream.seed(2)
    assert (f() != first).all()
    np.testing.assert_array_equal(evaluate([RandomStream(1).uniform((50,))])[0], first)


def test_two_outputs_of_one_draw_agree_and_it_advances_once():
    stream = RandomStream(1)
    x = stream.normal((4,))
    f = sg.function([], [x, 2 * x], backend="numpy")
    for calls in (1, 2):
        a, b = f()
        np.testing.assert_array_equal(2 * a, b)
        assert stream.state[1, 2] == calls


def test_a_function_may_leave_the_stream_where_it_is():
    stream = RandomStream(1)
    f = sg.function([], stream.uniform((5,)), no_default_updates=True, backend="numpy")
    np.testing.assert_array_equal(f(), f())


def test_state_goes_out_and_in():
    stream = RandomStream(5)
    f = sg.function([], [stream.uniform((5,)), stream.normal((5,))], backend="numpy")
    f()
    state = stream.state
    assert state.tolist() == [[5, 2, 0], [5, 0, 1], [5, 1, 1]]
    later = f()
    stream.set_state(state)
    for a, b in zip(f(), later, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ShapeError, match=r"must be \(3, 3\)"):
        stream.set_state(state[:2])


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, True, "1"])
def test_a_seed_is_a_32_bit_number(seed):
    with pytest.raises(ValueError, match="the seed is"):
        RandomStream(seed)


# ------------------------------------------------------------------------------------------------ distributions


def sample(draw, **options):
    """120,000 values of a fixed seed."""
    return evaluate([draw(RandomStream(11), (400, 300), **options)])[0]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_uniform_is_uniform(dtype):
    x = sample(RandomStream.uniform, dtype=dtype)
    assert x.dtype == dtype
    assert x.min() >= 0 and x.max() < 1
    # the statistic of a right sample exceeds this once in 1,000 seeds; the seed is fixed. A continuous distribution
    # would be wrong for 2,048 different values, so the bins stand on their grid
    counts = np.histogram(x.astype("float64"), 64, (0, 1))[0]
    assert stats.chisquare(counts).pvalue > 1e-3


def test_uniform_values_are_the_leading_bits():
    state = np.array([11, 0, 0])
    high, low = bits(state, (300,), 0), bits(state, (300,), 1)
    single = evaluate([RandomStream(11).uniform((300,), dtype="float32")])[0]
    np.testing.assert_array_equal(single, (high >> 8).astype("float32") / np.float32(2**24))
    double = evaluate([RandomStream(11).uniform((300,), dtype="float64")])[0]
    np.testing.assert_array_equal(double, ((high >> 5) * 2.0**26 + (low >> 6)) / 2.0**53)


def test_uniform_between_bounds():
    x = sample(RandomStream.uniform, low=-2.0, high=3, dtype="float32")
    assert x.dtype == "float32"
    assert x.min() >= -2 and x.max() <= 3
    assert abs(x.mean() - 0.5) < 4 * 5 / np.sqrt(12 * x.size)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_is_normal(dtype):
    x = sample(RandomStream.normal, dtype=dtype)
    assert x.dtype == dtype
    assert stats.kstest(x.ravel(), "norm").pvalue > 1e-3
    n = x.size
    assert abs(x.mean()) < 4 / np.sqrt(n)
    assert abs(x.std() - 1) < 4 / np.sqrt(2 * n)
    assert abs((x**4).mean() - 3) < 4 * np.sqrt(96 / n)


def test_neighbours_are_not_correlated():
    x = sample(RandomStream.normal, dtype="float64")
    for a, b in ((x[:, :-1], x[:, 1:]), (x[:-1], x[1:]), (x[:, :-16], x[:, 16:]), (x[:, :-64], x[:, 64:])):
        assert abs((a * b).mean()) < 4 / np.sqrt(a.size)


def test_normal_with_mean_and_deviation():
    x = sample(RandomStream.normal, avg=5, std=0.1, dtype="float32")
    assert x.dtype == "float32"
    assert abs(x.mean() - 5) < 4 * 0.1 / np.sqrt(x.size)


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("dtype", ["bool", "int8", "float32"])
def test_bernoulli_has_its_share(p, dtype):
    x = sample(RandomStream.bernoulli, p=p, dtype=dtype)
    assert x.dtype == dtype
    assert abs(x.mean(dtype="float64") - p) <= 4 * np.sqrt(p * (1 - p) / x.size)


@pytest.mark.parametrize("p", [0.0, 0.2, 1 / 3, 0.5, 0.8, 1.0])
def test_bernoulli_is_whether_the_word_is_below_p(p):
    words = bits(np.array([11, 0, 0]), (5, 200), 0)
    v = sg.scalar("p", dtype="float64")
    by_number = evaluate([RandomStream(11).bernoulli((5, 200), p, "bool")])[0]
    by_variable = evaluate([RandomStream(11).bernoulli((5, 200), v, "bool")], {v: p})[0]
    np.testing.assert_array_equal(by_number, words < p * 2.0**32)
    np.testing.assert_array_equal(by_number, by_variable)


def test_binomial_counts_trials():
    one = evaluate([RandomStream(3).binomial((40, 50), p=0.3), RandomStream(3).bernoulli((40, 50), 0.3)])
    np.testing.assert_array_equal(*one)
    x = sample(RandomStream.binomial, n=5, p=0.3, dtype="int64")
    counts = np.bincount(x.ravel(), minlength=6)
    assert stats.chisquare(counts, stats.binom.pmf(range(6), 5, 0.3) * x.size).pvalue > 1e-3


@pytest.mark.parametrize(("low", "high"), [(0, 2), (-3, 4), (0, 2**32), (5, 6), (-(2**31), 2**31)])
def test_integers_are_equally_likely(low, high):
    x = sample(RandomStream.integers, low=low, high=high)
    assert x.dtype == "int64"
    assert x.min() >= low and x.max() < high
    bins = min(high - low, 16)
    counts = np.histogram(x.astype("float64"), bins, (low, high))[0]
    assert bins == 1 or stats.chisquare(counts).pvalue > 1e-3


def test_exponential_is_exponential():
    x = sample(RandomStream.exponential, scale=2.0)
    assert x.min() >= 0
    assert stats.kstest(x.ravel() / 2, "expon").pvalue > 1e-3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_other_distributions_are_theirs(dtype):
    for draw, options, law in (
        (RandomStream.gamma, {"shape": 2.5, "scale": 2.0}, stats.gamma(2.5, scale=2)),
        (RandomStream.gamma, {"shape": 0.3}, stats.gamma(0.3)),
        (RandomStream.beta, {"a": 0.5, "b": 2.0}, stats.beta(0.5, 2)),
        (RandomStream.truncated_normal, {"avg": 1.0, "std": 2.0}, stats.truncnorm(-2, 2, 1, 2)),
        (RandomStream.truncated_normal, {"bound": 0.5}, stats.truncnorm(-0.5, 0.5)),
    ):
        x = sample(draw, dtype=dtype, **options)
        assert x.dtype == dtype
        assert stats.kstest(x.ravel(), law.cdf).pvalue > 1e-3


@pytest.mark.parametrize("mean", [0.5, 7.0, 10.0, 80.0])
def test_poisson_is_poisson(mean):
    x = sample(RandomStream.poisson, lam=mean)
    assert x.dtype == "int64"
    counts = np.bincount(x.ravel())
    expected = stats.poisson(mean).pmf(range(len(counts))) * x.size
    often = expected > 10
    assert stats.chisquare(counts[often], expected[often] * counts[often].sum() / expected[often].sum()).pvalue > 1e-3


@pytest.mark.parametrize(("draw", "numbers"), [(log_gamma_draw, 4), (poisson_draw, 2)])
def test_bits_of_the_first_attempt_change_no_number(draw, numbers):
    state, parameter = sg.constant(np.array([3, 1, 2])), sg.constant(np.linspace(0.1, 30, 2000).reshape(40, 50))
    np.testing.assert_array_equal(*evaluate([draw(state, parameter)[0], drawn_from(draw, state, parameter, numbers)]))


def test_small_shapes_underflow_to_no_nan():
    x = sample(RandomStream.beta, a=1e-3, b=1e-3)
    assert np.isfinite(x).all() and abs(x.mean() - 0.5) < 0.05
    assert np.isnan(sample(RandomStream.gamma, shape=-1.0)).all()


def test_a_gamma_is_differentiated_by_its_scale_alone():
    shape, scale = sg.vector("shape"), sg.vector("scale")
    y = RandomStream(1).gamma((3,), shape, scale)
    values = {shape: np.array([1.0, 2.0, 3.0]), scale: np.array([1.0, 2.0, 4.0])}
    np.testing.assert_allclose(*evaluate([sg.grad(y.sum(), scale) * scale, y], values))
    with pytest.raises(sg.GradientError, match="does not depend on shape"):
        sg.grad(y.sum(), shape)


def test_multinomial_counts_outcomes():
    x = sample(RandomStream.multinomial, n=7, pvals=[0.1, 0.2, 0.7])
    assert x.shape[-1] == 3 and (x.sum(-1) == 7).all()
    assert stats.chisquare(x.sum((0, 1)), np.array([0.1, 0.2, 0.7]) * x.sum()).pvalue > 1e-3
    each = evaluate([RandomStream(1).multinomial((200,), 1, np.eye(4)[np.arange(200) % 4] * 3)])[0]
    np.testing.assert_array_equal(each.argmax(-1), np.arange(200) % 4)


def test_permutations_are_all_equally_likely_and_one_on_every_backend():
    y = RandomStream(5).permutation((6000,), 3)
    found = [sg.function([], y, backend=b, no_default_updates=True)() for b in ("numpy", "llvm")]
    np.testing.assert_array_equal(*found)
    assert (np.sort(found[0]) == np.arange(3)).all()
    assert stats.chisquare(np.unique(found[0] @ [9, 3, 1], return_counts=True)[1]).pvalue > 1e-3


def test_choices_have_their_probabilities():
    stream, p = RandomStream(2), np.array([0.1, 0.2, 0.3, 0.4])
    names = sg.constant([10.0, 20.0, 30.0, 40.0])
    plain, weighted, few, first = sg.function([], [
        stream.choice((20000,), names), stream.choice((20000,), 4, p=p), stream.choice((2, 2), names, replace=False),
        stream.choice((3,), 4, replace=False, p=[0.5, 0, 0.25, 0.25]),
    ])()  # fmt: skip
    assert stats.chisquare(np.unique(plain, return_counts=True)[1]).pvalue > 1e-3
    assert stats.chisquare(np.bincount(weighted), p * 20000).pvalue > 1e-3
    assert sorted(few.ravel()) == [10, 20, 30, 40] and few.shape == (2, 2) and sorted(first) == [0, 2, 3]


# ------------------------------------------------------------------------------------------------ arguments


ROWS = np.arange(1, 7).reshape(3, 2) / 10
DRAWS_BY_PARAMETERS = {
    "uniform": ((3, 2), lambda s, v, **k: s.uniform(low=v, high=v[:, :1] + 2, **k)),
    "normal": ((3, 2), lambda s, v, **k: s.normal(avg=v[:, :1], std=v[0], **k)),
    "bernoulli": ((3, 2), lambda s, v, **k: s.bernoulli(p=v, **k)),
    "binomial": ((3, 2), lambda s, v, **k: s.binomial(n=4, p=v, **k)),
    "integers": ((3, 2), lambda s, v, **k: s.integers(high=(v * 100).astype("int64"), **k)),
    "exponential": ((3, 2), lambda s, v, **k: s.exponential(scale=v, **k)),
    "truncated_normal": ((3, 2), lambda s, v, **k: s.truncated_normal(avg=v, **k)),
    "gamma": ((3, 2), lambda s, v, **k: s.gamma(shape=v[:, :1], scale=v, **k)),
    "beta": ((3, 2), lambda s, v, **k: s.beta(a=v, b=v[0], **k)),
    "poisson": ((3, 2), lambda s, v, **k: s.poisson(lam=v * 10, **k)),
    "multinomial": ((3,), lambda s, v, **k: s.multinomial(pvals=v, n=5, **k)),
}


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
@pytest.mark.parametrize("name", DRAWS_BY_PARAMETERS)
def test_without_a_size_it_is_that_of_the_parameters(name, backend):
    size, draw = DRAWS_BY_PARAMETERS[name]
    v = sg.dmatrix("v")
    f = sg.function([v], [draw(RandomStream(1), v), draw(RandomStream(1), v, size=size)], backend=backend)
    inferred, given = f(ROWS)
    assert inferred.shape == (3, 2)
    np.testing.assert_array_equal(inferred, given)


def test_without_a_size_each_row_is_a_draw_of_its_own():
    p = sg.dmatrix("p")
    x = evaluate([RandomStream(1).multinomial(pvals=p)], {p: np.full((1000, 4), 0.25)})[0]
    assert x.shape == (1000, 4) and (x.sum(-1) == 1).all()
    assert stats.chisquare(x.sum(0)).pvalue > 1e-3


def test_a_parameter_does_not_stretch_a_draw():
    v = sg.tensor("v", "float64", (3, 2))
    for name, (size, draw) in DRAWS_BY_PARAMETERS.items():
        for few in ((1,) * len(size), size[1:]):
            with pytest.raises(ShapeError, match=f"{name}: a parameter has|does not broadcast to"):
                draw(RandomStream(1), v, size=few)


@pytest.mark.parametrize(
    ("draw", "what"),
    [
        (
            lambda s: s.normal(0, 1),
            r"normal: the first argument is the size; 0 is a number(.|\n)*normal\(avg=0, \.\.\.\)",
        ),
        (lambda s: s.uniform(0, 1, (3,)), r"uniform\(low=0, \.\.\.\); or give a size in parentheses: uniform\(\(0,\)"),
        (lambda s: s.choice(10, 3), r"choice\(a=10, \.\.\.\)"),
        (lambda s: s.integers(0, 10), r"integers\(low=0, \.\.\.\)"),
        (lambda s: s.permutation(10), r"permutation: n is not given; (.|\n)*permutation\(n=10\)"),
        (lambda s: s.choice(10), r"choice: a is not given"),
        (lambda s: s.integers(10), r"integers: high is not given"),
    ],
)
def test_the_order_of_numpy_is_refused(draw, what):
    with pytest.raises(sg.ArgumentError, match=what):
        draw(RandomStream(1))


def test_a_number_alone_is_a_size():
    stream = RandomStream(1)
    draws = [stream.choice(5, a=4), stream.choice(5, a=[1.0, 2.0]), stream.binomial(size=5, p=0.3), stream.uniform(5)]
    assert [v.type.shape for v in draws] == [(5,)] * len(draws)


def test_one_draw_is_that_of_no_axes():
    stream = RandomStream(1)
    assert [v.type.shape for v in (stream.permutation(n=10), stream.choice(a=10), stream.integers(high=3))] == [
        (10,), (), (),
    ]  # fmt: skip


def test_a_size_may_be_the_shape_of_a_variable():
    x = sg.matrix("x", dtype="float32")
    y = RandomStream(1).uniform(x.shape, dtype="float32")
    assert y.type.shape == (None, None)
    f = sg.function([x], x + y, backend="numpy", no_default_updates=True)
    small, large = f(np.zeros((2, 70), "float32")), f(np.zeros((5, 70), "float32"))
    np.testing.assert_array_equal(small, large[:2])


def test_parameters_may_be_variables_with_gradients():
    avg, std = sg.vector("avg"), sg.scalar("std")
    y = RandomStream(1).normal((200, 3), avg, std, dtype="float64")
    values = {avg: np.array([1.0, 2.0, 3.0]), std: 0.5}
    by_avg, by_std, sample_ = evaluate([*sg.grad(y.sum(), [avg, std]), y], values)
    np.testing.assert_allclose(by_avg, 200)
    np.testing.assert_allclose(by_std, ((sample_ - [1, 2, 3]) / 0.5).sum())


def test_scalars_and_dtypes():
    stream = RandomStream(1)
    assert stream.uniform().type == sg.TensorType(sg.floatX(), ())
    assert stream.bernoulli((3,)).dtype == sg.floatX()
    assert stream.integers((3,), 0, 9, "int8").dtype == "int8"


@pytest.mark.parametrize(
    ("draw", "kind", "what"),
    [
        (lambda s: s.uniform((2,), dtype="int32"), DTypeError, "dtype is int32"),
        (lambda s: s.uniform((2.5,)), DTypeError, "an extent must be an integer"),
        (lambda s: s.uniform((-1,)), ShapeError, "negative"),
        (lambda s: s.normal((2,), np.zeros((3, 2))), ShapeError, "a parameter has 2 axes, size has 1"),
        (lambda s: s.bernoulli((2,), 1.5), ValueError, "p is 1.5"),
        (lambda s: s.bernoulli((2,), np.float32(1.5)), ValueError, "p is 1.5"),
        (lambda s: s.bernoulli((2,), np.array([0.5, -1.0])), ValueError, "a probability must be from 0 to 1"),
        (lambda s: s.normal((2,), std=-1), ValueError, "std is -1"),
        (lambda s: s.normal((2,), std=np.float32(-1)), ValueError, "std is -1"),
        (lambda s: s.normal((2,), std=np.array([1.0, -1.0])), ValueError, "must be 0 or above"),
        (lambda s: s.truncated_normal((2,), std=-0.5), ValueError, "std is -0.5"),
        (lambda s: s.exponential((2,), -1.0), ValueError, "scale is -1.0"),
        (lambda s: s.gamma((2,), 1.0, -1), ValueError, "scale is -1"),
        (lambda s: s.poisson((2,), -1), ValueError, "lam is -1; it must be 0 or above"),
        (lambda s: s.binomial((2,), -1), ValueError, "n is -1"),
        (lambda s: s.multinomial((2,), -1), ValueError, "n is -1"),
        (lambda s: s.gamma((2,), dtype="int8"), DTypeError, "dtype is int8"),
        (lambda s: s.poisson((2,), np.ones((3, 2))), ShapeError, "a parameter has 2 axes, size has 1"),
        (lambda s: s.choice((5,), 4, replace=False), ShapeError, "reshape"),
        (lambda s: s.choice((5,), 3, p=[0.5, 0.5]), ShapeError, "extent 2, specified is 3"),
        (lambda s: s.choice((2,), 3, False, [0.5, 0.5]), ShapeError, "extent 2, specified is 3"),
        (lambda s: s.integers((2,), 3, 3), ValueError, "low is 3, high 3"),
        (lambda s: s.integers((2,), 0, 2**32 + 1), ValueError, "1 to 2\\*\\*32 above"),
    ],
)
def test_what_does_not_fit_is_said(draw, kind, what):
    with pytest.raises(kind, match=what):
        draw(RandomStream(1))

"""Elementwise semantics: dtypes, operators, kinks, stability, messages."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import symgraph as sg
from symgraph.errors import DTypeError, ShapeError, SymbolicTruthError
from symgraph.graph import Variable
from symgraph.op import OPS, PRIMITIVES
from symgraph.reference import evaluate

FLOATS = ("float16", "float32", "float64")


def value(build: Callable[..., Variable], *arrays: Any) -> np.ndarray:
    given_ = [np.asarray(a) for a in arrays]
    xs = [sg.tensor(f"x{k}", a.dtype, a.shape) for k, a in enumerate(given_)]
    return evaluate([build(*xs)], dict(zip(xs, given_, strict=True)))[0]


def slope(build: Callable[..., Variable], *arrays: Any, by: int = 0) -> np.ndarray:
    given_ = [np.asarray(a, "float64") for a in arrays]
    xs = [sg.tensor(f"x{k}", "float64", (None,) * a.ndim) for k, a in enumerate(given_)]
    return evaluate([sg.grad(build(*xs).sum(), xs[by])], dict(zip(xs, given_, strict=True)))[0]


# ------------------------------------------------------------------------------------------------ dtypes


@pytest.mark.parametrize("dtype", FLOATS)
def test_python_scalars_and_integers_do_not_widen_a_float(dtype: str) -> None:
    x, n = sg.vector("x", dtype), sg.scalar("n", "int64")
    for y in (x * 0.1, 2 + x, x / n, x**2, np.sqrt(2) * x, sg.maximum(x, 0), x // 2, sg.switch(x > 0, x, 0)):
        assert y.dtype == dtype


@pytest.mark.parametrize("floatX", FLOATS)
def test_a_quotient_of_integers_is_floatX(floatX: str) -> None:
    i = sg.vector("i", "int32")
    with sg.using(floatX=floatX):
        assert {(i / i).dtype, (1 / i).dtype, sg.exp(i).dtype, (i * 0.5).dtype} == {floatX}


def test_comparisons_give_bool_and_bools_do_not_subtract() -> None:
    x, b = sg.vector("x"), sg.vector("b", "bool")
    for y in (x < 1, x <= 1, x > 1, x >= 1, sg.eq(x, 1), sg.neq(x, 1), b + b, b & b, b | b, b ^ b, ~b, sg.isnan(x)):
        assert y.dtype == "bool"
    with pytest.raises(DTypeError, match="sub does not take bool"):
        b - b
    with pytest.raises(DTypeError, match="neg does not take bool"):
        sg.neg(b)


def test_bits_of_a_float_are_refused_with_a_way_out() -> None:
    x = sg.vector("x")
    with pytest.raises(DTypeError, match="and_ does not take float64.*\n(.*\n)*cast to an integer or bool first"):
        x & 1
    with pytest.raises(DTypeError, match="left_shift does not take bool"):
        sg.vector("b", "bool") << sg.vector("c", "bool")


def test_a_python_integer_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(DTypeError, match="300 does not fit uint8"):
        sg.vector("i", "uint8") + 300


def test_equality_is_identity_and_other_things_are_refused() -> None:
    x = sg.vector("x")
    assert x == x and x != sg.vector("x")
    with pytest.raises(SymbolicTruthError, match=r"use symgraph\.eq"):
        x == 1  # noqa: B015


def test_shapes_that_do_not_broadcast_name_both_arguments() -> None:
    a, b = sg.tensor("a", "float32", (2, 3)), sg.tensor("b", "float32", (4,))
    with pytest.raises(ShapeError) as caught:
        a + b
    text = str(caught.value)
    assert text.startswith("add(a, b): extents [3, 4] do not broadcast")
    assert "a  float32 (2, 3)" in text and "b  float32 (4,)" in text and "a + b" in text and text.count("\n") < 12


# ------------------------------------------------------------------------------------------------ integers


@given(st.integers(-100, 100), st.integers(-100, 100).filter(bool))
def test_quotient_and_remainder_have_pythons_signs(a: int, b: int) -> None:
    for dtype in ("int64", "float64"):
        x, y = np.array(a, dtype), np.array(b, dtype)
        assert value(lambda x, y: x // y, x, y) == a // b
        assert value(lambda x, y: x % y, x, y) == a % b


def test_integers_divided_by_zero_give_zero() -> None:
    x, y = np.array([-3, 0, 3]), np.zeros(3, "int64")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (value(lambda x, y: x // y, x, y) == 0).all() and (value(lambda x, y: x % y, x, y) == 0).all()


@pytest.mark.parametrize("dtype", ["int64", "float64"])
def test_quotients_come_with_their_remainders(dtype: str) -> None:
    x = np.array([-7, -1, 0, 3, 8], dtype)
    for f in (lambda x: divmod(x, 3), lambda x: divmod(-20, x + 10)):
        np.testing.assert_array_equal([value(lambda x, f=f, k=k: f(x)[k], x) for k in (0, 1)], f(x))


@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 70))
def test_integer_powers_wrap_as_products_do(a: int, n: int) -> None:
    wrapped = (pow(a, n) + 2**63) % 2**64 - 2**63
    x = np.array(a)
    assert value(lambda x, n: x**n, x, np.array(n)) == wrapped
    assert value(lambda x: x**n, x) == wrapped


def test_negative_powers_of_integers_are_refused() -> None:
    i = sg.vector("i", "int64")
    for build in (lambda: i**-1, lambda: 2 ** sg.constant(np.array([1, -1])), lambda: i ** sg.constant(-2)):
        with pytest.raises(DTypeError, match="an integer has no negative integer power"):
            build()
    with pytest.raises(DTypeError, match="an integer has no negative integer power"):
        value(lambda x, n: x**n, np.array([2, 3]), np.array([1, -1]))
    assert (i**-1.0).dtype == "float64"


# ------------------------------------------------------------------------------------------------ kinks

X = np.array([-1.0, 0.0, 1.0])


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (sg.relu, [0, 0, 1]),
        (lambda x: sg.relu(x, 0.1), [0.1, 0.1, 1]),
        (sg.abs, [-1, 0, 1]),
        (lambda x: sg.maximum(x, 0), [0, 0, 1]),
        (lambda x: sg.maximum(0.0, x), [0, 0, 1]),
        (lambda x: sg.maximum(x, np.zeros(3)), [0, 0, 1]),
        (lambda x: sg.maximum(x, sg.zeros_like(x)), [0, 0, 1]),
        (lambda x: sg.minimum(x, 0), [1, 0, 0]),
        (lambda x: sg.maximum(x, x * x), [-2, 0.5, 1.5]),
        (lambda x: sg.clip(x, -1, 1), [1, 1, 1]),
        (lambda x: sg.clip(x, -0.5, 0), [0, 1, 0]),
        (lambda x: sg.clip(x, 0), [0, 0, 1]),
        (sg.sgn, [0, 0, 0]),
        (sg.round, [0, 0, 0]),
        (lambda x: sg.elu(x), [math.exp(-1), 1, 1]),
        (lambda x: sg.sqrt(abs(x) + x), [np.nan, np.nan, math.sqrt(0.5)]),
        (lambda x: x**2, [-2, 0, 2]),
        (lambda x: x**3, [3, 0, 3]),
        (lambda x: x**1, [1, 1, 1]),
        (lambda x: x**0, [0, 0, 0]),
        (lambda x: x ** sg.constant(np.array([2.0, 0.0, 3.0])), [-2, 0, 3]),
        (lambda x: sg.xlogy0(x, sg.zeros_like(x)), [-np.inf, 0, -np.inf]),
        (lambda x: sg.hard_sigmoid(2.5 * x), [0.5, 0.5, 0.5]),
    ],
)
def test_gradients_at_kinks(build: Callable[..., Variable], expected: list[float]) -> None:
    np.testing.assert_allclose(slope(build, X), expected, rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_round_to_decimals_whose_power_is_out_of_range_is_that_of_a_wider_float(dtype: str) -> None:
    x, info = sg.vector("x", dtype), np.finfo(dtype)
    most = int(np.log10(float(info.max)))
    values = np.array([0.0, -0.0, 1.25, -0.1, np.pi, info.max, info.tiny, np.inf, -np.inf, np.nan], dtype)
    values = np.append(values, info.smallest_subnormal)
    wide = values.astype("longdouble")
    for decimals in (most + 1, most + 3, 400):
        power = np.longdouble(10) ** decimals
        up, down = sg.round(x, decimals), sg.round(x, -decimals)
        with np.errstate(all="ignore"):
            fine = np.where(np.isfinite(wide), np.rint(wide * power) / power, wide).astype(dtype)
            coarse = np.where(np.isfinite(wide), np.rint(wide / power) * power, wide).astype(dtype)
        # two divisions round once each
        np.testing.assert_array_max_ulp(evaluate([up], {x: values})[0], fine, 1)
        np.testing.assert_array_equal(evaluate([down], {x: values})[0], coarse, strict=True)
        assert (evaluate([sg.grad(up.sum(), x)], {x: values})[0] == 0).all()


@pytest.mark.parametrize("decimals", [-3, -1, 0, 1, 3, 20])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
def test_round_to_decimals_is_numpys(dtype: str, decimals: int) -> None:
    values = np.array([0, 5, 15, 25, -35, 12345, 0.125, 2.675, -1.05, 1e-4, 4999.5]).astype(dtype)
    x = sg.vector("x", dtype)
    for y in (sg.round(x, decimals), x.round(decimals), round(x, decimals)):
        np.testing.assert_array_equal(evaluate([y], {x: values})[0], np.round(values, decimals), strict=True)


def test_decimals_are_an_integer() -> None:
    with pytest.raises(TypeError):
        sg.round(sg.vector("x"), 0.5)


def test_two_variables_share_a_tie() -> None:
    for op in (sg.maximum, sg.minimum):
        for by in (0, 1):
            assert slope(op, [1.0, 2.0], [1.0, 2.0], by=by).tolist() == [0.5, 0.5]


def test_the_square_root_is_infinitely_steep_at_zero() -> None:
    assert slope(sg.sqrt, [0.0]) == np.inf


def test_powers_by_their_exponent_at_base_zero() -> None:
    assert slope(lambda x, n: x**n, [0.0, 0.0, 2.0], [2.0, 0.0, 3.0], by=1).tolist() == [0, 0, 8 * math.log(2)]


@pytest.mark.parametrize(
    "build",
    [
        lambda x: sg.switch(x > 0, sg.log(x), 0),
        lambda x: sg.switch(x > 0, sg.log(x) * sg.log(x), 0),
        lambda x: sg.switch(x <= 0, x, sg.sqrt(x) / x),
        lambda x: sg.switch((x > 0).dimshuffle(0, "x"), sg.log(x).dimshuffle(0, "x"), 0),
        lambda x: sg.switch(sg.eq(x, 0), 0, sg.arctan2(x, x) + 1 / x),
        lambda x: sg.switch(x < 1, x, sg.exp(800 * x) * 0 + x),
        lambda x: sg.where(x > 0, x ** sg.abs(x), 1),
        lambda x: sg.switch((x > 0).reshape((1, -1)), sg.log(x).reshape((1, -1)), 0),
        lambda x: sg.switch(sg.eq(x.min(), 0.5), sg.log(x).sum(), 0),
    ],
)
def test_switch_lets_no_nan_through_from_the_branch_not_taken(build: Callable[..., Variable]) -> None:
    at = np.array([-1.0, 0.0, 0.5])
    assert np.isfinite(slope(build, at)).all()


def test_switch_keeps_the_second_derivative() -> None:
    x = sg.vector("x")
    first = sg.grad(sg.switch(x > 0, x * x * x, sg.exp(x)).sum(), x)
    second = sg.grad(first.sum(), x)
    (found,) = evaluate([second], {x: np.array([-1.0, 2.0])})
    np.testing.assert_allclose(found, [math.exp(-1), 12.0], rtol=1e-15)


# ------------------------------------------------------------------------------------------------ stability

EXTREMES = [-1e4, -800.0, -80.0, -20.0, -1.0, -1e-8, 0.0, 1e-8, 1.0, 20.0, 80.0, 800.0, 1e4]


def ulps(found: np.ndarray, exact: list[Any]) -> float:
    """Largest error in units of the last place of the exact value."""
    unit = [float(np.spacing(np.abs(np.asarray(float(e))).astype(found.dtype))) for e in exact]
    error = [abs(mpmath.mpf(float(f)) - e) / u for f, e, u in zip(found, exact, unit, strict=True)]
    return float(max(error))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("op", "exact", "exact_slope"),
    [
        (sg.sigmoid, lambda x: 1 / (1 + mpmath.exp(-x)), lambda x: mpmath.sech(x / 2) ** 2 / 4),
        (sg.softplus, lambda x: mpmath.log1p(mpmath.exp(x)), lambda x: 1 / (1 + mpmath.exp(-x))),
        (sg.log_sigmoid, lambda x: -mpmath.log1p(mpmath.exp(-x)), lambda x: 1 / (1 + mpmath.exp(x))),
        (sg.tanh, mpmath.tanh, lambda x: mpmath.sech(x) ** 2),
        (lambda x: sg.logaddexp(x, 0), lambda x: mpmath.log1p(mpmath.exp(x)), lambda x: 1 / (1 + mpmath.exp(-x))),
    ],
    ids=["sigmoid", "softplus", "log_sigmoid", "tanh", "logaddexp"],
)
def test_the_logistic_family_is_stable(op: Any, exact: Any, exact_slope: Any, dtype: str) -> None:
    at = np.array(EXTREMES, dtype)
    x = sg.vector("x", dtype)
    y, dy = evaluate([op(x), sg.grad(op(x).sum(), x)], {x: at})
    with mpmath.workdps(60):
        points = [mpmath.mpf(float(a)) for a in at]
        assert ulps(y, [exact(p) for p in points]) < 4
        assert ulps(dy, [exact_slope(p) for p in points]) < 8


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_scaled_error_functions_are_accurate(dtype: str) -> None:
    rng = np.random.default_rng(0)
    low = -8 if dtype == "float32" else -25
    x = rng.uniform(low, 12, 200).astype(dtype)
    with mpmath.workdps(60):
        exact = [mpmath.exp(mpmath.mpf(float(a)) ** 2) * mpmath.erfc(mpmath.mpf(float(a))) for a in x]
        assert ulps(value(sg.erfcx, x), exact) < 6
        y = np.concatenate([rng.uniform(-1, 1, 200), [1e-30, 1 - 1e-6, -1 + 1e-6]]).astype(dtype)
        assert ulps(value(sg.erfinv, y), [mpmath.erfinv(mpmath.mpf(float(a))) for a in y]) < 6
        z = rng.uniform(0.1, 2, 200).astype(dtype)
        assert ulps(value(sg.erfcinv, z), [mpmath.erfinv(1 - mpmath.mpf(float(a))) for a in z]) < 8


def test_erfcinv_is_the_inverse_of_erfc_in_the_tail() -> None:
    x = 10.0 ** -np.arange(1, 300, 7)
    with mpmath.workdps(40):
        back = [mpmath.erfc(mpmath.mpf(float(y))) for y in value(sg.erfcinv, x)]
    # erfc is steep there: a few units in the last place of y move log(x) by y*y times as many
    np.testing.assert_allclose([float(b) for b in back], x, rtol=1e-12)


@pytest.mark.parametrize("dtype", FLOATS)
def test_edges_of_the_error_functions(dtype: str) -> None:
    edges = np.array([-np.inf, np.inf, np.nan], dtype)
    np.testing.assert_array_equal(value(sg.erfcx, edges), [np.inf, 0, np.nan])
    beyond = np.array([1.5, -1.5, np.nan], dtype)
    np.testing.assert_array_equal(value(sg.erfinv, np.array([-1, 1], dtype)), [-np.inf, np.inf])
    np.testing.assert_array_equal(value(sg.erfcinv, np.array([0, 2], dtype)), [np.inf, -np.inf])
    assert np.isnan(value(sg.erfinv, beyond)).all() and np.isnan(value(sg.erfcinv, 1 + beyond)).all()


def test_the_slope_of_psi_is_the_trigamma_function_on_both_sides() -> None:
    at = np.array([-2.5, -0.3, 0.2, 0.5, 1.0, 7.0, 1e6])
    exact = [float(mpmath.psi(1, a)) for a in at]
    np.testing.assert_allclose(slope(sg.psi, at), exact, rtol=1e-14)


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_squares_inside_gradients_do_not_overflow(scale: float) -> None:
    np.testing.assert_allclose(slope(sg.arctan2, [scale], [scale]), [0.5 / scale], rtol=1e-15)
    exact = float(1 / mpmath.sqrt(1 + mpmath.mpf(scale) ** 2))
    np.testing.assert_allclose(slope(sg.arcsinh, [scale]), [exact], rtol=1e-15)


# ------------------------------------------------------------------------------------------------ declarations


def test_every_primitive_of_a_derivative_has_a_graph_form() -> None:
    """Differentiating each smooth op twice meets only primitives that have an op."""
    from symgraph.expression import PRIMS, load, partials
    from symgraph.expression import apply as primitive

    for name, row in PRIMS.items():
        if row.partials is None or "f" not in row.kinds or name in ("cast", "select", "rare", "fma"):
            continue
        args = [load(k, (), "float64") for k in range(row.arity)]
        waiting = [d for d in partials(primitive(name, *args)) if d is not None]
        while waiting:
            e = waiting.pop()
            waiting.extend(e.args)
            assert e.prim in PRIMITIVES or e.prim in ("load", "const", "cast"), (name, e.prim)


def test_ops_of_this_family_are_documented() -> None:
    for module in (sg.ops.elementwise, sg.ops.transcendental, sg.ops.special, sg.ops.activations):
        for name in module.__all__:
            assert getattr(module, name).__doc__, name


def test_cast_casts_the_gradient_back() -> None:
    x = sg.vector("x", "float32")
    g = sg.grad((x.astype("float64") ** 2).sum().astype("float32"), x)
    assert g.dtype == "float32" and x.astype("float32") is x and OPS["cast"].name == "cast"
    np.testing.assert_array_equal(evaluate([g], {x: np.array([1, 2], "float32")})[0], [2, 4])
    with pytest.raises(DTypeError, match="float128"):
        x.astype("float128")

"""The accuracy report: digits of both forms against real arithmetic, and the rule that made the difference."""

from __future__ import annotations

import sys

import mpmath
import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import ArgumentError, BackendError
from symgraph.op import OPS
from symgraph.primitives import PRIMS
from symgraph.view import exactly
from symgraph.view.accuracy import digits_right


def test_a_formula_that_overflows_and_cancels_is_told_with_what_repairs_it():
    x = sg.vector("x", dtype="float64")
    report = sg.accuracy(sg.log(1 + sg.exp(x)), {x: (-1000, 1000)})
    bad = [r for r in report.regions if r.written < 1]
    assert [r.rules for r in bad] == [("log1p_from_log",), ("log1p_of_exp",)]
    assert bad[0].high <= -10 and bad[1].low > 700
    assert all(r.compiled > 15 for r in report.regions)
    assert not any(r.rules for r in report.regions if r not in bad)


def test_a_formula_that_is_right_as_written_needs_no_rule():
    x = sg.scalar("x", dtype="float32")
    (region,) = sg.accuracy(sg.tanh(x), {"x": (-3.0, 3.0)}).regions
    assert region.rules == () and min(region.written, region.compiled) > 6
    assert (region.low, region.high) == (-3, 3)


def test_samples_are_one_array_or_several_along_a_first_axis():
    x = sg.vector("x", dtype="float64")
    norm = sg.sqrt((x**2).sum())
    report = sg.accuracy(norm, {x: [[3.0, 4.0], [3e200, 4e200]]})
    assert report.points.tolist() == [0, 1]  # their numbers
    np.testing.assert_allclose(report.compiled, [5, 5e200], rtol=4e-16)  # two roundings
    assert report.written_digits[1] == 0 < report.compiled_digits[1]
    np.testing.assert_array_equal(report.written, [5, np.inf])
    assert sg.accuracy(norm, {x: [3.0, 4.0]}).exact.tolist() == [5]


def test_two_inputs_may_have_samples_of_their_own():
    x, y = sg.scalar("x", dtype="float64"), sg.scalar("y", dtype="float64")
    report = sg.accuracy(sg.log(sg.exp(x) + sg.exp(y)), {x: [1.0, 800.0, -800.0], y: 0.0})
    assert report.points.tolist() == [-800, 1, 800] and (report.compiled_digits > 15).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_digits_are_those_of_the_relative_error(dtype):
    exact = np.array([mpmath.mpf(v) for v in ("1", "1", "1", "0", "nan", "inf", "1e-330", "1e400")], "object")
    found = np.array([1, 1.01, np.inf, 0, 2, np.inf, 0, np.inf], dtype)
    digits = digits_right(found, exact)
    full = -np.log10(np.finfo(dtype).eps)
    np.testing.assert_allclose(digits, [full, 2, 0, full, np.nan, full, full, full], atol=1e-4)


def test_the_table_has_a_row_for_each_region_and_the_plot_both_curves(tmp_path):
    x = sg.vector("x", dtype="float64")
    report = sg.accuracy(1 - sg.cos(x), {x: (0, 1)})
    lines = str(report).splitlines()
    assert len(lines) == 2 + len(report.regions) and "one_minus_cosine" in lines[3]
    figure = report.plot(tmp_path / "digits.png")
    assert (tmp_path / "digits.png").stat().st_size > 0
    drawn = [line.get_ydata() for line in figure.axes[0].get_lines()]
    np.testing.assert_array_equal(drawn, [report.written_digits, report.compiled_digits])


def test_what_does_not_fit_is_said():
    x, y = sg.vectors("x y")
    for at, message in [({x: [1.0]}, "y has no samples"), ({"z": [1.0], x: [1.0]}, "no samples|no input")]:
        with pytest.raises(ArgumentError, match=message):
            sg.accuracy(x + y, at)
    with pytest.raises(ArgumentError, match="axes"):
        sg.accuracy(sg.exp(x), {x: np.ones((2, 2, 2))})
    with pytest.raises(ArgumentError, match="samples"):
        sg.accuracy(x + y, {x: np.ones((2, 3)), y: np.ones((4, 3))})
    with pytest.raises(ArgumentError, match="float"):
        sg.accuracy(sg.eq(x, y), {x: [1.0], y: [1.0]})


def test_without_mpmath_it_says_what_to_install(monkeypatch):
    for name in ("symgraph.view.accuracy", "symgraph.view.exactly"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "mpmath", None)
    with pytest.raises(BackendError, match="pip install mpmath"):
        sg.accuracy(sg.scalar("x"), {"x": 1.0})


def test_every_primitive_of_real_numbers_has_its_exact_meaning():
    of_bits_and_integers = {"bitcast", "shl", "shr", "quot", "rem", "within"}
    assert PRIMS.keys() - exactly.PRIMS.keys() == of_bits_and_integers


def test_real_numbers_as_integers_lose_their_fraction():
    x = sg.dvector("x")
    values = {x: np.array([0.0, -1.5, 7.9])}
    found = exactly.value([x.astype("bool") | (x > 5), x.astype("int64")], values)
    assert [a.tolist() for a in found] == [[False, True, True], [0, -1, 7]]


@pytest.mark.parametrize("bits", [300, 3000])
def test_the_error_functions_have_every_bit(bits):
    for v in (-1e4, -20.0, -1e-3, 1e-9, 0.0, 0.5, 1.5, 13.0, 14.6, 45.7, 700.0, float("inf")):
        x = mpmath.mpf(v)
        for name in ("erf", "erfc"):
            with mpmath.workprec(bits + 40):
                expected = getattr(mpmath, name)(x)
            with mpmath.workprec(bits):
                found = exactly.PRIMS[name](x)
            assert abs(found - expected) <= mpmath.ldexp(abs(expected), 4 - bits), (name, v)


def test_the_greatest_of_numbers_and_a_nan_is_nan():
    x = sg.dmatrix("x")
    values = {x: np.array([[1.0, np.nan, 3.0], [3.0, 4.0, 2.0]])}
    pooled = OPS["max_pool"](x[:, None], size=(3,), stride=(3,), pad=(0,), ceil=False)[:, 0, 0]
    found = exactly.value([x.max(1), x.min(1), pooled], values)
    for a, last in zip(found, (4, 2, 4), strict=True):
        assert mpmath.isnan(a[0]) and a[1] == last


def test_a_recurrence_of_complex_numbers_has_every_bit():
    a, b = sg.dvector("a"), sg.dvector("b")
    zeros = sg.zeros_like(a)
    values = {a: np.array([0.0, 1 / 3, 1 / 7]), b: np.array([0.1, 0.2, 0.3])}
    with mpmath.workprec(300):
        (found,) = exactly.value([OPS["complex_recurrence"](a, a, b, zeros, axis=0, imaginary=False)], values)
        (_, y, z), b = (exactly.lifted(v) for v in values.values())
        assert found[2] == b[2] + (y * z - y * z) * b[0] + z * b[1]


@pytest.mark.parametrize("y", [1e25, -1e25, 1e40])
def test_powers_of_large_exponents_are_those_of_logarithms(y):
    with mpmath.workprec(200):
        assert abs(exactly.PRIMS["pow"](1 + mpmath.ldexp(1, -90), mpmath.mpf(y)) / mpmath.exp(
            mpmath.mpf(y) * mpmath.log(1 + mpmath.ldexp(1, -90))) - 1) < mpmath.mpf(10) ** -30

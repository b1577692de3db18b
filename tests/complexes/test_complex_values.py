"""Every op that takes complex operands gives what NumPy gives: by the reference, and compiled on its parts."""

from __future__ import annotations

import numpy as np
import pytest

import symgraph as sg
from symgraph.complexes import has_complex
from symgraph.gradient import vjp
from symgraph.graph import Variable
from symgraph.op import OPS
from symgraph.parts import Parts
from symgraph.reference import evaluate
from symgraph.types import TensorType, real_of
from tests.complexes.cases import CALLS, Call

EACH = [pytest.param(call, id=f"{name}-{k}") for name, calls in CALLS.items() for k, call in enumerate(calls)]
SEEDS = range(3)
STEP = 1e-6  # central differences in float64: their error is about STEP**2 + 1e-16 / STEP, some 1e-10


def built(call: Call, seed: int, dtype: str) -> tuple[list[Variable], Variable, list[np.ndarray]]:
    """(inputs, output, drawn arrays) of a call."""
    arrays = [np.asarray(a) for a in call.draw(np.random.default_rng(seed), dtype)]
    inputs = [
        Variable(TensorType(a.dtype.name, tuple(1 if n == 1 else None for n in a.shape)), name=f"z{k}")
        for k, a in enumerate(arrays)
    ]
    return inputs, call.build(*inputs), arrays


def wide(arrays: list[np.ndarray]) -> list[np.ndarray]:
    """In double precision."""
    return [a.astype("complex128" if a.dtype.kind == "c" else "float64") for a in arrays]


def check(found: np.ndarray, call: Call, arrays: list[np.ndarray]) -> None:
    """Each element within ``ulp`` units of its magnitude, or of what its sums are rounded by."""
    expected = np.asarray(call.oracle(*wide(arrays)))
    assert found.shape == expected.shape
    if found.dtype.kind not in "fc":
        assert np.array_equal(found, expected)
        return
    scale = np.abs(expected) if call.scale is None else np.maximum(call.scale(*wide(arrays)), np.abs(expected))
    eps = max(np.finfo(real_of(found.dtype.name)).eps, *[np.finfo(a.dtype).eps for a in arrays])
    assert (np.abs(found - expected) <= call.ulp * eps * scale).all(), f"{found} for {expected}"


def test_every_op_that_takes_complex_operands_has_a_call():
    assert {name for name, op in OPS.items() if op.parts is not None} <= CALLS.keys()


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("call", EACH)
def test_the_reference_is_numpy(call, dtype):
    for seed in SEEDS:
        inputs, y, arrays = built(call, seed, dtype)
        (found,) = evaluate([y], dict(zip(inputs, arrays, strict=True)))
        assert found.dtype.name == y.dtype
        check(found, call, arrays)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("call", EACH)
def test_machine_code_is_numpy(call, dtype):
    for seed in SEEDS:
        inputs, y, arrays = built(call, seed, dtype)
        f = sg.function(inputs, y, on_unused_input="ignore")
        found = f(*arrays)
        assert found.dtype.name == y.dtype and not has_complex(f.task.results)
        check(found, call, arrays)


@pytest.mark.parametrize("call", [c for c in EACH if c.values[0].smooth])
def test_gradients_by_both_parts_are_those_of_central_differences(call):
    inputs, y, arrays = built(call, 3, "complex128")
    if y.dtype in ("bool", "int64", "complex64"):
        return
    shape = evaluate([y], dict(zip(inputs, arrays, strict=True)))[0].shape
    rng = np.random.default_rng(7)
    weight = rng.uniform(0.5, 1.5, shape)
    if y.dtype == "complex128":
        weight = weight + 1j * rng.uniform(0.5, 1.5, shape)
    given = vjp(y, inputs, sg.constant(weight), disconnected_inputs="ignore")
    found = sg.function(inputs, given, on_unused_input="ignore")(*arrays)
    for k, g in enumerate(found):
        assert g.dtype == arrays[k].dtype and g.shape == arrays[k].shape
        for unit in (1, 1j) if g.dtype.kind == "c" else (1,):
            direction = unit * np.asarray(rng.uniform(-1, 1, g.shape))
            up, down = (
                _weighted(inputs, y, weight, arrays, k, s * STEP * direction) for s in (1, -1)
            )
            expected, claimed = (up - down) / (2 * STEP), np.real(np.conj(direction) * g).sum()
            assert abs(claimed - expected) <= 1e-6 * (np.abs(g).sum() + 1), f"by part {unit} of input {k}"


def _weighted(
    inputs: list[Variable], y: Variable, weight: np.ndarray, arrays: list[np.ndarray], k: int, change: np.ndarray
) -> float:
    """The sum of Re(conj(weight) * y) where one input is moved: what a cotangent means."""
    moved = [a + change if i == k else a for i, a in enumerate(arrays)]
    (value,) = evaluate([y], dict(zip(inputs, moved, strict=True)))
    return float(np.real(np.conj(weight) * value).sum())


WRONG = {
    "mul": lambda x, y: Parts(x.re * y.re + x.im * y.im, x.re * y.im + x.im * y.re),
    "exp": lambda z: Parts(sg.exp(z.re) * sg.cos(z.im), -sg.exp(z.re) * sg.sin(z.im)),
    "abs": lambda z: sg.maximum(abs(z.re), abs(z.im)),
    "dot": lambda x, w: Parts(sg.dot(x.re, w.re) - sg.dot(x.im, w.im), sg.dot(x.re, w.im)),
    "sum": lambda z, axis,
    keepdims: Parts(sg.sum(z.re, axis, keepdims=keepdims), -sg.sum(z.im, axis, keepdims=keepdims)),
    "det": lambda z: (Parts(sg.linalg.det(z.re), sg.linalg.det(z.im)),),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_meaning_is_found_out(name, monkeypatch):
    monkeypatch.setattr(OPS[name], "parts", WRONG[name])
    with pytest.raises(AssertionError):
        test_machine_code_is_numpy(CALLS[name][0], "complex128")


# ------------------------------------------------------------------------------------------------ ends of the range

PARTS = [0.0, -0.0, 1.0, -1.0, 0.5, -2.0]
POINTS = np.array([complex(a, b) for a in PARTS for b in PARTS])
SIGNED = [
    "exp", "log", "sqrt", "sin", "cos", "sinh", "cosh", "conj", "negative", "angle", "real", "imag", "absolute",
    "arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh", "square", "log1p",
]  # fmt: skip


@pytest.mark.parametrize("name", SIGNED)
def test_signed_zeros_choose_the_side_of_a_branch_cut(name):
    z = sg.zvector("z")
    found = sg.function([z], getattr(np, name)(z))(POINTS)
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(POINTS)
    assert np.allclose(found, expected, rtol=1e-14, atol=1e-15)
    for part in (np.real, np.imag):
        zero = (part(expected) == 0) & (part(found) == 0)
        assert np.array_equal(np.signbit(part(found))[zero], np.signbit(part(expected))[zero])


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_quotients_neither_overflow_nor_underflow_needlessly(dtype):
    info = np.finfo(real_of(dtype))
    big, small = float(info.max) * 0.75, float(info.tiny) * 4
    above = np.array([
        big + big * 1j, small + small * 1j, big + 1j, small + 2 * small * 1j, 1 + 1j, 1 + 1j,
    ]).astype(dtype)  # fmt: skip
    below = np.array([
        big - big * 1j, small - small * 1j, big + 2j, small - 1j * small, big + 1j, 8 * small + 1j,
    ]).astype(dtype)  # fmt: skip
    z, w = sg.tensor("z", dtype, (6,)), sg.tensor("w", dtype, (6,))
    found = sg.function([z, w], z / w)(above, below)
    wide_ = [a.astype("clongdouble") for a in (above, below)]
    expected = wide_[0] / wide_[1]
    assert (np.abs(found - expected) <= 8 * info.eps * np.abs(expected) + 2 * info.smallest_subnormal).all()


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_magnitudes_exponentials_and_roots_stay_in_range(dtype):
    info = np.finfo(real_of(dtype))
    big, top = float(info.max) / 2, float(np.log(info.max))
    z = sg.tensor("z", dtype, (None,))
    f = sg.function([z], [abs(z), sg.sqrt(z), sg.log(z), z / abs(z)])
    for found in f(np.array([big + big * 1j, 4 * info.tiny * (1 - 1j)]).astype(dtype)):
        assert np.isfinite(found).all() and (found != 0).all()
    near = np.array([top + 0.3 + 0.785j]).astype(dtype)
    found = sg.function([z], [sg.exp(z), sg.sinh(z), sg.cosh(z)])(near)
    with np.errstate(all="ignore"):
        expected = np.exp(near.astype("clongdouble")) if dtype == "complex128" else np.exp(near.astype("complex128"))
    assert np.isfinite(found[0]).all() and np.abs(found[0] - expected) <= 16 * info.eps * np.abs(expected)


def test_infinities_and_nans_where_they_are_defined():
    inf, nan = np.inf, np.nan
    points = np.array([complex(inf, 0), complex(-inf, 0), complex(0, inf), complex(inf, nan), complex(nan, inf)])
    z = sg.zvector("z")
    size, root, log = sg.function([z], [abs(z), sg.sqrt(z), sg.log(z)])(points)
    assert (size == inf).all()
    assert root[0] == inf and root[1] == complex(0, inf) and (root[[2, 4]].real == inf).all()
    assert (log.real == inf).all() and np.allclose(log.imag[:3], [0, np.pi, np.pi / 2])
    with np.errstate(all="ignore"):
        zeros, ones = np.zeros(3, complex), np.array([1 + 1j, 1, 0])
        found = sg.function([z, w := sg.zvector("w")], z / w)(ones, zeros)
        assert np.array_equal(found, ones / zeros, equal_nan=True)
    exp, sinh = sg.function([z], [sg.exp(z), sg.sinh(z)])(points[:2])
    assert exp[0] == inf and exp[1] == 0 and sinh[0] == inf and sinh[1] == -inf


def test_arithmetic_on_special_values_is_numpys():
    values = np.array([complex(a, b) for a in (0.0, -0.0, 1.5, np.inf, np.nan) for b in (0.0, -2.0, np.inf, np.nan)])
    z, w = sg.zmatrix("z"), sg.zmatrix("w")
    x, y = np.broadcast_arrays(values[:, None], values[None, :])
    given = [np.ascontiguousarray(a) for a in (x, y)]
    built = [z + w, z - w, z * w, z / w, -z, z.conj(), sg.eq(z, w), sg.isnan(z), sg.isinf(w)]
    found = sg.function([z, w], built)(*given)
    with np.errstate(all="ignore"):
        expected = [x + y, x - y, x * y, x / y, -x, x.conj(), x == y, np.isnan(x), np.isinf(y)]
    for a, b in zip(found, expected, strict=True):
        assert np.array_equal(np.nan_to_num(a.real, nan=7), np.nan_to_num(b.real, nan=7))
        assert np.array_equal(np.nan_to_num(a.imag, nan=7), np.nan_to_num(b.imag, nan=7))


def test_a_real_factor_or_divisor_leaves_an_infinite_part_alone():
    z, x = sg.zvector("z"), sg.dvector("x")
    points, numbers = np.array([complex(np.inf, 1), complex(-2, -np.inf)]), np.array([2.0, -0.5])
    for y, expected in ((z * 2.0, [complex(np.inf, 2), complex(-4, -np.inf)]),
                        (z * x, [complex(np.inf, 2), complex(1, np.inf)]),
                        (z / x, [complex(np.inf, 0.5), complex(4, np.inf)])):  # fmt: skip
        assert np.array_equal(sg.function([z, x], y, on_unused_input="ignore")(points, numbers), expected)


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_powers_at_zero(backend):
    z, w = sg.zvector("z"), sg.zvector("w")
    exponents = np.array([complex(a, b) for a in (0, 0.5, 2, -1, np.inf, np.nan) for b in (0, -2, np.nan)])
    base = np.repeat([0, complex(-0.0, 0), 2], len(exponents))
    given = base, np.tile(exponents, 3)
    with np.errstate(all="ignore"):
        found, expected = sg.function([z, w], z**w, backend=backend)(*given), np.power(*given)
    at_zero = base == 0
    assert np.array_equal(found[at_zero], expected[at_zero], equal_nan=True)
    assert (found[given[1] == 0] == 1).all()


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_running_products_begin_with_what_they_are_given():
    z = sg.zvector("z")
    f = sg.function([z], sg.cumprod(z))
    for numbers in ([np.inf, 2, 3], [np.nan, 2], [-np.inf], [2, np.inf, 0, 3]):
        given = np.array(numbers, "complex128")
        np.testing.assert_array_equal(f(given), np.cumprod(given))

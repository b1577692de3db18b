"""The law of rules, as functions that raise AssertionError.

For the left side L and the right side R of a rule on the same inputs:

* same type;
* canonicalize: the same bits;
* stabilize and specialize: on finite inputs R is never further from the real answer than L, or than a few units in the
  last place of the answer (or of what a change of the inputs in their last place makes of it: no formula does better);
  at infinite inputs R is L, or the limit; where a NaN comes in R is NaN just where L is;
* the gradient likewise, wherever that of L is finite.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

from symgraph.errors import ShapeError
from symgraph.gradient import vjp
from symgraph.graph import Variable
from symgraph.match import build
from symgraph.pattern import Pattern, walk
from symgraph.reference import evaluate
from symgraph.rewrite import PHASES, Rule, expand_composites, scratch_rules
from symgraph.types import TensorType
from symgraph.view import exactly
from tests.laws import same_bits

ULP = 4.0
GRADIENT_ULP = 8.0
EDGES = (0.0, -0.0, 1.0, -1.0, 0.5, 1e3, -1e3, 1e-4, -1e-7, 88.0, -88.0, 0.6931471805599453)
"""Zeros, the ends of tanh and erf, where exp overflows and underflows, and where a logarithm passes 0."""


@dataclass(frozen=True)
class Instance:
    """A rule on variables of its own."""

    inputs: tuple[Variable, ...]
    names: tuple[str, ...]
    left: Variable
    right: Variable


def instances(rule: Rule, dtype: str, open_shape: bool = False, extent: int = 4) -> Iterator[Instance]:
    """The rule at each rank and attribute it can be used with, ``extent`` elements along each reduced axis."""
    attributes = free_attributes(rule)
    names = list(dict.fromkeys(p.name for p in walk(rule.left) if p.op is None))
    cases: list[dict[str, object]] = [{}]
    if "axis" in attributes:
        cases = [{"axis": (0,), "rank": 1}, {"axis": (1,)}, {"axis": (0,)}, {"axis": (0, 1)}]
    if "keepdims" in attributes:
        cases = [{**c, "keepdims": k} for c in cases for k in (True, False)]
    variables = sorted((n for n in names if n not in attributes), key=lambda n: rule.domain.get(n) == "bool")
    for case in cases:
        rank, axis = int(case.pop("rank", 2)), case.get("axis")  # type: ignore[call-overload]
        whole = _along(rule) | {n for n, kind in rule.domain.items() if kind == "distance"}
        shapes = _shapes(variables, whole, rank, axis, extent)  # type: ignore[call-overload, arg-type]
        env = {n: _variable(n, shapes[n], rule.domain.get(n, ""), dtype, open_shape) for n in variables}
        left, right = build(rule.left, {**env, **case}), build(rule.right, {**env, **case})
        yield Instance(tuple(env.values()), tuple(variables), left, right)


def free_attributes(rule: Rule) -> set[str]:
    """The names of what may be any axis, any flag."""
    return {a.name for p in walk(rule.left) for a in p.attrs.values() if isinstance(a, Pattern)}


def _along(rule: Rule) -> set[str]:
    """The names of what stands under an op along an axis."""
    operands = [v for p in walk(rule.left) if "axis" in p.attrs for v in p.inputs]
    return {q.name for v in operands for q in walk(v) if q.op is None}


def _shapes(
    names: Sequence[str], along: set[str], rank: int, axis: tuple[int, ...] | None, extent: int
) -> dict[str, tuple[int, ...]]:
    """Square, so that a wrong axis still fits; further variables broadcast (scalars beside a reduction)."""
    shape = tuple(extent if k in (axis or ()) else 4 for k in range(rank))
    other = (4,) if axis is None else ()
    return {name: shape if k == 0 or name in along else other for k, name in enumerate(names)}


def _variable(name: str, shape: tuple[int, ...], domain: str, dtype: str, open_shape: bool) -> Variable:
    kind = "bool" if domain == "bool" else dtype
    return Variable(TensorType(kind, tuple(None if open_shape else n for n in shape)), name=name)


# ------------------------------------------------------------------------------------------------ draws


def draws(rule: Rule, instance: Instance, seed: int, dtype: str) -> dict[Variable, np.ndarray]:
    """Finite arrays: ordinary numbers, small ones, large ones, and the edges."""
    rng = np.random.default_rng(seed)
    found = {}
    for v, name in zip(instance.inputs, instance.names, strict=True):
        shape = tuple(4 if n is None else n for n in v.type.shape)
        found[v] = _draw(rng, shape, rule.domain.get(name, ""), v.dtype)
    return _with_distance(rule, instance, found)


def _with_distance(rule: Rule, i: Instance, values: dict[Variable, np.ndarray]) -> dict[Variable, np.ndarray]:
    """The values with what must be a distance that of the first two."""
    distances = [v for v, name in zip(i.inputs, i.names, strict=True) if rule.domain.get(name) == "distance"]
    x, y = (values[v] for v in i.inputs[:2]) if distances else (None, None)
    with np.errstate(all="ignore"):
        return {v: np.asarray(y - x, v.dtype) if v in distances else a for v, a in values.items()}


def _draw(rng: np.random.Generator, shape: tuple[int, ...], domain: str, dtype: str) -> np.ndarray:
    if dtype == "bool":
        return np.asarray(rng.random(shape) < 0.5)
    scale = 10.0 ** rng.choice([-8, -3, 0, 0, 1, 1.5])
    x = np.asarray(rng.normal(size=shape) * scale)
    edges = rng.choice(EDGES, size=shape)
    x = np.where(rng.random(shape) < 0.3, edges, x)
    if x.size:
        x.flat[rng.integers(x.size)] = -0.0
    wide = (-1e3, 1e3)
    limits = {"unit": (0, 0.999), "positive": (1e-3, 1e3), "moderate": (-9, 9)}
    low, high = limits.get(domain, wide)
    return np.asarray(np.clip(np.abs(x) if low >= 0 else x, low, high), dtype)


SPECIAL = (np.inf, -np.inf, np.nan)


def special_draws(
    rule: Rule, instance: Instance, seed: int, dtype: str
) -> Iterator[tuple[float, dict[Variable, np.ndarray]]]:
    """(an infinity or NaN, arrays in which it occurs)."""
    rng = np.random.default_rng(seed)
    for bad in SPECIAL:
        values = draws(rule, instance, seed, dtype)
        for v in instance.inputs:
            if v.dtype != "bool":
                hit = rng.random(values[v].shape) < 0.3
                values[v] = np.asarray(np.where(hit, bad, np.clip(values[v], -30, 30)), v.dtype)
        yield bad, _with_distance(rule, instance, values)


# ------------------------------------------------------------------------------------------------ the law


def check_types(rule: Rule, dtype: str) -> None:
    """The two sides have one type, whatever is known of the shapes."""
    for open_shape in (False, True):
        for i in instances(rule, dtype, open_shape):
            assert i.left.type == i.right.type, f"{rule.name}: {i.right.type} for {i.left.type}"


def check_values(rule: Rule, seed: int, dtype: str) -> None:
    """The law at finite inputs."""
    for i in instances(rule, dtype):
        _check_sides(rule, [i.left], [i.right], draws(rule, i, seed, dtype), ULP)


def check_empty(rule: Rule, dtype: str) -> None:
    """Of no element at all R is L, an error where that is one."""
    try:
        made = list(instances(rule, dtype, extent=0))
    except ShapeError:
        return
    for i in made:
        values = draws(rule, i, 0, dtype)
        left, right = both_sides(i, values)
        assert np.array_equal(left, right, equal_nan=True), f"{rule.name}: {right} for {left} of no element"


def check_special(rule: Rule, seed: int, dtype: str) -> None:
    """The law at infinities and NaNs."""
    for i in instances(rule, dtype):
        for bad, values in special_draws(rule, i, seed, dtype):
            left, right = both_sides(i, values)
            if rule.phase == "canonicalize":
                assert same_bits(left, right), f"{rule.name}: {right} for {left}"
            elif np.isnan(bad):
                assert (np.isnan(left) == np.isnan(right)).all(), f"{rule.name}: {right} for {left} at {values}"
            else:
                _check_limit(rule, i, left, right, values)


def check_gradient(rule: Rule, seed: int, dtype: str) -> None:
    """The gradient of R is no further from that of the formula than the gradient of L, wherever L's is finite."""
    for i in instances(rule, dtype):
        values = _off_kinks(rule, i, draws(rule, i, seed, dtype))
        weight = Variable(i.left.type, name="weight")
        shape = tuple(int(n or 0) for n in i.left.type.shape)
        values[weight] = np.random.default_rng(seed).uniform(0.5, 1.5, shape).astype(dtype)
        wrt = [v for v in i.inputs if v.dtype == dtype]
        with scratch_rules(without=PHASES):  # what is written: rules would make the sides equal first
            sides = [vjp(y, wrt, weight, disconnected_inputs="ignore") for y in (i.left, i.right)]
        _check_sides(rule, sides[0], sides[1], values, GRADIENT_ULP, only_finite=True)


def _off_kinks(rule: Rule, i: Instance, values: dict[Variable, np.ndarray]) -> dict[Variable, np.ndarray]:
    """The draws with other numbers where a part of the formula has a kink."""
    kinked = {v for v, name in zip(i.inputs, i.names, strict=True) if rule.domain.get(name) == "kinked"}
    return {v: np.where(a == 0, a.dtype.type(0.5), a) if v in kinked else a for v, a in values.items()}


def both_sides(i: Instance, values: Mapping[Variable, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(L, R), composites by their bodies: what is compiled."""
    return plainly([i.left], values)[0], plainly([i.right], values)[0]


def plainly(outputs: Sequence[Variable], values: Mapping[Variable, np.ndarray]) -> list[np.ndarray]:
    """The values of the outputs with composites opened."""
    return evaluate(expand_composites(outputs), dict(values))


def _check_sides(
    rule: Rule, lefts: Sequence[Variable], rights: Sequence[Variable], values: Mapping[Variable, np.ndarray],
    ulp: float, only_finite: bool = False,
) -> None:  # fmt: skip
    found = zip(plainly(lefts, values), plainly(rights, values), strict=True)
    if rule.phase == "canonicalize" and not only_finite:
        assert all(same_bits(a, b) for a, b in found), f"{rule.name}: not the same bits at {values}"
        return
    truths, slack = real_answers(lefts, values)
    for (left, right), truth, loose in zip(found, truths, slack, strict=True):
        fine = _no_further(left, right, truth, loose, ulp)
        fine |= ~np.isfinite(left) if only_finite else False
        bad = np.argwhere(~fine)
        assert fine.all(), _report(rule, bad[0], left, right, truth, values)


def _report(rule: Rule, at: Any, left: Any, right: Any, truth: Any, values: Any) -> str:
    at = tuple(at)
    inputs = ", ".join(f"{v.name}={a!r}" for v, a in values.items())
    return f"{rule.name}: R = {right[at]!r}, L = {left[at]!r}, really {mpmath.nstr(truth[at], 20)} at {at} of {inputs}"


def _no_further(left: np.ndarray, right: np.ndarray, truth: np.ndarray, loose: np.ndarray, ulp: float) -> np.ndarray:
    """Elementwise: R no further from the truth than L, or than rounding."""

    largest = mpmath.mpf(float(np.finfo(left.dtype).max))

    def one(a: float, b: float, t: Any, s: Any) -> bool:
        if mpmath.isnan(t):
            return bool(np.isnan(b) or not np.isnan(a))
        if np.isnan(b):
            return bool(np.isnan(a))
        return bool(distance(b, t) <= max(distance(a, t), ulp * s))

    def distance(x: float, t: Any) -> Any:
        """|x - t|; an overflow is right where the truth is out of range."""
        return mpmath.inf if np.isnan(x) else abs(clip(mpmath.mpf(x)) - clip(t))

    def clip(x: Any) -> Any:
        return max(-largest, min(largest, x))

    return np.asarray(np.frompyfunc(one, 4, 1)(left, right, truth, loose), "bool")


PROBE = mpmath.mpf(2) ** -80


def real_answers(
    outputs: Sequence[Variable], values: Mapping[Variable, np.ndarray]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What the outputs really are; and the unit in the last place of the answer, or how far a change in the last place
    of the inputs moves it if that is more."""
    with mpmath.workprec(_bits(values)):
        truths = exactly.value(outputs, values)
        dtype = outputs[0].dtype
        eps = mpmath.mpf(float(np.finfo(dtype).eps)) / 2
        slack = [_units(t, dtype) for t in truths]
        for seed in range(2):
            others = exactly.value(outputs, _moved(values, seed))
            slack = [_larger(s, abs(o - t) / PROBE * eps) for s, o, t in zip(slack, others, truths, strict=True)]
    return truths, slack


def _moved(values: Mapping[Variable, np.ndarray], seed: int) -> dict[Variable, np.ndarray]:
    """Each number changed by ``PROBE`` of it, up or down."""
    rng = np.random.default_rng(seed)
    found = dict(values)
    for v, a in values.items():
        if a.dtype.kind == "f":
            found[v] = np.asarray(exactly.lifted(a) * (1 + PROBE * exactly.lifted(rng.choice([-1.0, 1.0], a.shape))))
    return found


def _bits(values: Mapping[Variable, np.ndarray]) -> int:
    """Precision for 1 + exp(-x)."""
    largest = max((float(np.abs(a).max()) for a in values.values() if a.dtype.kind == "f" and a.size), default=0.0)
    return 400 + int(4 * largest)


def _units(truth: np.ndarray, dtype: str) -> np.ndarray:
    least, eps = (mpmath.mpf(float(x)) for x in (np.finfo(dtype).smallest_subnormal, np.finfo(dtype).eps))
    return np.asarray(np.frompyfunc(lambda t: max(least, abs(t) * eps) if mpmath.isfinite(t) else least, 1, 1)(truth))


def _larger(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.frompyfunc(lambda x, y: y if mpmath.isfinite(y) and y > x else x, 2, 1)(a, b))


def _check_limit(
    rule: Rule, i: Instance, left: np.ndarray, right: np.ndarray, values: Mapping[Variable, np.ndarray]
) -> None:
    """R is L to rounding, or what the formula tends to."""
    with np.errstate(all="ignore"):
        near = np.abs(left - right) <= 64 * np.finfo(left.dtype).eps * np.maximum(1, np.abs(left))
    fine = near | (left == right) | (np.isnan(left) & np.isnan(right))
    if fine.all():
        return
    limit = _limit(i, values)
    with np.errstate(all="ignore"):
        reached = np.abs(right - limit) <= 64 * np.finfo(left.dtype).eps * np.maximum(1, np.abs(limit))
    assert (fine | reached | (right == limit)).all(), f"{rule.name}: {right} for {left}, limit {limit}, at {values}"


def _limit(i: Instance, values: Mapping[Variable, np.ndarray]) -> np.ndarray:
    """The value with infinities replaced by large numbers; infinite where it grows with them."""
    tried = []
    for big in (300.0, 600.0):
        finite = {
            v: np.where(np.isinf(a), np.sign(a) * big, a) if a.dtype.kind == "f" else a for v, a in values.items()
        }
        with mpmath.workprec(int(8 * big)):
            tried.append(exactly.value([i.left], finite)[0])

    def one(a: Any, b: Any) -> float:
        grows, shrinks = abs(b) > abs(a) + 0.5, abs(b) < 0.01 and abs(b) < 0.6 * abs(a)
        return float(mpmath.sign(b) * mpmath.inf if grows else 0 if shrinks else b)

    return np.asarray(np.frompyfunc(one, 2, 1)(*tried), "float64")

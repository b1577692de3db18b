"""What the results of a drawn graph may be.

The reference computes op by op what is written. How far rounding may take a result is found by computing it again with
every inexact value moved by a few units in its last place (Monte Carlo arithmetic, Parker 1997): what such changes do
to it, any way of computing may do. Equal numbers move alike, so ties stay ties, and what an op only moves about is
exact. Where a change turns a number into an infinity or NaN or flips a bool, the result says nothing.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

from symgraph.graph import Apply, Variable, leaves, toposort
from symgraph.reference import evaluate_node, value_of
from symgraph.types import is_float
from symgraph.view import exactly
from tests.drawn.moves import cases

RUNS = 4
UP, DOWN = -1, -2
"""Instead of a seed: each number is moved away from 0, or towards it."""
JUMP = 1e4
"""So much further than changes at random a change in one direction takes a result only at a discontinuity."""
BITS = 1200, 6000, 16_000, 40_000
"""Of mpmath numbers, and where these are too few: exp(-1e4) beside 1 takes 14,427."""
LEAST = {name: mpmath.mpf(float(np.finfo(name).smallest_subnormal)) for name in ("float32", "float64")}
ULP = {name: max(4.0, *[c.ulp for c in many]) for name, many in cases().items()}
SUMS = {
    "sum", "sum_to", "cumsum", "bincount", "dot", "batched_dot", "conv", "conv_input_grad", "conv_weight_grad",
    "sum_pool", "sum_pool_spread", "put",
}  # fmt: skip
"""Ops that add up their operands, or products of them."""
PAIRS = {"add", "sub"}
"""Those of two operands."""
TRANSCENDENTAL = {"exp", "exp2", "cos", "cosh", "tanh", "erf", "erfc", "sigmoid"}
"""Ops that make no fraction of a number other than 0 (but exp2): what looks like one is rounded to it."""
MARGIN = 16.0
"""The largest of four draws underestimates what the worst rounding does, and errors of many ops add up."""
FAR = mpmath.mpf("1e100"), mpmath.mpf("1e200")
"""Where a function of what is infinite is looked at: what still grows from one to the other is infinite itself."""
LIMITS = 0.7, 1e30, -1e30
"""Numbers that what is NaN might be instead."""


@dataclass(frozen=True)
class Expected:
    """A result by the reference; ``reach`` is how far from it another may be, infinite where it says nothing."""

    value: np.ndarray
    reach: np.ndarray


def expected(outputs: Sequence[Variable], values: Mapping[Variable, np.ndarray]) -> list[Expected]:
    """What each output should be."""
    exact = _made(outputs, values, None, {})
    moved = [_made(outputs, values, seed, exact) for seed in range(RUNS)]
    found = [(value_of(v, exact), [value_of(v, m) for m in moved]) for v in outputs]
    return [Expected(a, _reach(a, beside)) for a, beside in found]


def wrong(found: np.ndarray, e: Expected) -> np.ndarray:
    """Where ``found`` is not what was expected."""
    assert found.dtype == e.value.dtype
    if found.shape != e.value.shape:  # an extent that depends on data
        return np.full(found.shape, not np.isinf(e.reach).all())
    with np.errstate(all="ignore"):
        same = (found == e.value) | ((found != found) & (e.value != e.value)) | (np.isinf(found) & _inverts_rounding(e))
        return np.asarray(~same & ~(_distance(found, e.value) <= e.reach) & ~np.isinf(e.reach))


def _inverts_rounding(e: Expected) -> np.ndarray:
    """Where rounding may make anything of what is as large as one over a rounding error: that may be none, too."""
    if e.value.dtype.kind != "f":
        return np.zeros(e.value.shape, bool)
    size = np.abs(e.value.astype("float64"))
    return np.asarray((size >= 1 / (64 * _eps(e.value))) & (e.reach >= size))


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(a.astype("float64") - b.astype("float64")))


def _reach(a: np.ndarray, moved: Sequence[np.ndarray]) -> np.ndarray:
    if any(m.shape != a.shape for m in moved):
        return np.full(a.shape, np.inf)
    if a.dtype.kind != "f":
        return np.where(np.all([m == a for m in moved], axis=0), 0.0, np.inf)
    info = np.finfo(a.dtype)
    with np.errstate(all="ignore"):
        far = np.max([np.where(m == a, 0, _distance(m, a)) for m in moved], axis=0)
        unit = np.maximum(np.abs(a.astype("float64")) * float(info.eps), float(info.smallest_subnormal))
        both = [(np.isfinite(m) & np.isfinite(a)) | (m == a) | (np.isnan(m) & np.isnan(a)) for m in moved]
        alike = np.all(both, axis=0)
        return np.where(~alike, np.inf, np.where(np.isfinite(a), MARGIN * (far + unit), 0.0))


# ------------------------------------------------------------------------------------------------ Monte Carlo


def _run(
    outputs: Sequence[Variable], values: Mapping[Variable, np.ndarray], seed: int | None, limit: float = math.nan
) -> list[np.ndarray]:
    memo = _made(outputs, values, seed, {}, limit)
    return [value_of(v, memo) for v in outputs]


def _made(
    outputs: Sequence[Variable], values: Mapping[Variable, np.ndarray], seed: int | None,
    exact: Mapping[Variable, np.ndarray], limit: float = math.nan,
) -> dict[Variable, np.ndarray]:  # fmt: skip
    """What each variable is, as it is, or moved from what is ``exact``."""
    memo = {v: a if seed is None else _moved(a, 1.0, seed) for v, a in values.items()}
    for node in toposort(outputs, memo):
        arrays = [value_of(v, memo) for v in node.inputs]
        size = None if seed is None else _size(node, arrays)
        for v, a in zip(node.outputs, evaluate_node(node, arrays, memo), strict=True):
            moved = a if seed is None else _rounded(a, arrays, ULP.get(node.op.name, 4.0), seed, size)
            if seed is not None and seed % 2:
                moved = _other_way(node, moved, arrays, [value_of(u, exact) for u in node.inputs])
            memo[v] = _without_nan(moved, limit)
    return memo


def _other_way(
    node: Apply, a: np.ndarray, arrays: Sequence[np.ndarray], exact: Sequence[np.ndarray]
) -> np.ndarray:
    """What may also be: another sign of a 0 that is a sum, in another order; and that two numbers are equal which no
    more than rounding holds apart."""
    if node.op.name in SUMS | PAIRS and a.dtype.kind == "f":
        return np.where(a == 0, -a, a)
    if node.op.name == "eq" and arrays[0].dtype.kind == "f":
        with np.errstate(all="ignore"):
            moves = [_distance(x, y) for x, y in zip(arrays, exact, strict=True)]
            return np.asarray(a | (_distance(*exact) <= sum(moves)))
    return a


def _size(node: Apply, arrays: Sequence[np.ndarray]) -> np.ndarray | None:
    """For a sum of more than two terms the sum of their sizes, by which its order is of consequence."""
    if node.op.name not in SUMS or not is_float(node.outputs[0].dtype):
        return None
    with np.errstate(all="ignore"):
        (size,) = node.op.reference(node, [np.abs(a) if a.dtype.kind == "f" else a for a in arrays])
        return np.where(_terms(node, [np.abs(np.sign(a)) if a.dtype.kind == "f" else a for a in arrays]) > 2, size, 0)


def _terms(node: Apply, ones: Sequence[np.ndarray]) -> np.ndarray:
    """How many terms of a sum are not 0, of what is 1 where a number is not 0."""
    if node.op.name in PAIRS:
        return np.asarray(ones[0] + ones[1])
    (count,) = node.op.reference(node, ones)
    return count


def _rounded(
    a: np.ndarray, inputs: Sequence[np.ndarray], ulp: float, seed: int, size: np.ndarray | None = None
) -> np.ndarray:
    """The result of an op moved, but for elements that are elements of its inputs."""
    if a.dtype.kind != "f":
        return a
    given = [np.abs(x).ravel() for x in inputs if x.dtype == a.dtype]
    exact = np.isin(np.abs(a), np.concatenate(given)) if given else False
    if size is not None:
        exact &= size == 0
    return np.where(exact, a, _moved(a, ulp, seed, size))


def _moved(a: np.ndarray, ulp: float, seed: int, size: np.ndarray | None = None) -> np.ndarray:
    """Each number changed by up to ``ulp`` units in its last place, or that of ``size``, equal ones alike and opposite
    ones oppositely."""
    if a.dtype.kind != "f":
        return a
    info = np.finfo(a.dtype)
    bits = np.ascontiguousarray(np.abs(a)).view(f"uint{8 * a.itemsize}").astype("uint64")
    hashed = (bits + np.uint64(seed + 1)) * np.uint64(0x9E3779B97F4A7C15)
    hashed = (hashed ^ (hashed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    part = (hashed >> np.uint64(11)).astype("float64") * 2.0**-52 - 1
    with np.errstate(all="ignore"):
        larger = a if size is None else np.copysign(np.fmax(size, np.abs(a)), a).astype(a.dtype)
        step = a.dtype.type(ulp * info.eps) * larger
        least = np.copysign(np.where(larger == 0, 0, info.smallest_subnormal * ulp), a)
        found = a + (np.where(np.abs(step) > np.abs(least), step, least) * part.reshape(a.shape)).astype(a.dtype)
    return np.where(np.isfinite(found), found, a)


# ------------------------------------------------------------------------------------------------ the real answer


def no_repair(
    found: np.ndarray, e: Expected, at: np.ndarray, output: Variable, values: Mapping[Variable, np.ndarray]
) -> np.ndarray:
    """Where among ``at`` a result is further from what the formula really is than what was expected: what was wrong
    may be repaired, and one part of it may be and another not.

    A formula that is NaN where no NaN came in, as x*log(x) at 0, may be given its limit. What is between may be out of
    range: x % (exp(x) - 1 - x) at 1e-30 is x % 0 in float32, where 5e-61 is 0, and it may be repaired until it is
    infinite: sqrt((exp(2*x) - 1) / (2*exp(x))) at 98 is that of inf, not of inf / inf. Or what is beyond the range is
    repaired, and what is below it is 0: exp(-x)**2*exp(x)**2 at 400 is 0 times a number, not times infinity. Where what
    is written is no number, a repaired one is as good as the inputs: log(exp(-1e4)*exp(1e-3)*exp(1e4)) as their sum.
    At infinite inputs it may be what the value tends to. And, as the law of rules says, no formula does better than
    what a change of the inputs in their last place makes of the value, each on its own.
    """
    bad, before = at, None
    for bits in BITS:
        if bad.any():
            real: dict[Variable, np.ndarray] = {}
            truth, reach = real_answer(output, values, bits, _recorded(real))
            if truth.shape != found.shape:
                return at & any(mpmath.isfinite(r) for r in reach.flat)
            limit = e.value.shape == at.shape and _limits(e, output, values)
            tells = truth != truth if found.dtype.kind == "f" else True
            far = _further(e.value, truth, reach) if e.value.shape == at.shape else reach
            bad = bad & ~_near(found, truth, far) & ~(limit & tells)
            for within in (_in_range({}), _in_range(real), _not_below):
                if bad.any():
                    bad &= ~_near(found, *real_answer(output, values, bits, within))
            if bad.any() and any(np.isinf(a).any() for a in values.values() if a.dtype.kind == "f"):
                bad &= ~_near(found, *_limit_at_infinity(e, output, values, bits))
            lost = bad & (e.value.shape == at.shape and ~np.isfinite(e.value))
            if lost.any():
                bad &= ~(lost & _near(found, *real_answer(output, values, bits, _recorded({}), inputs=True)))
            if bad.any() and e.value.shape == at.shape:
                bad &= ~_near(found, truth, _smooth_reach(truth, output, values, bits))
            if before is not None:  # a difference of equal values is what the last bits say, in any precision
                settled = abs(truth - before) <= abs(truth) * 1e-30
                bad &= (truth == before) | ((truth != truth) & (before != before)) | settled
            before = truth
    return bad


def _near(found: np.ndarray, truth: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Where ``found`` is within ``reach`` of ``truth``."""
    if truth.shape != found.shape:
        return np.zeros(found.shape, bool)
    return np.reshape([_is_near(found[k], truth[k], reach[k]) for k in np.ndindex(found.shape)], found.shape)


def _limits(e: Expected, output: Variable, values: Mapping[Variable, np.ndarray]) -> np.ndarray:
    """Where a NaN is none that came in, but made from infinities or at a singularity; or is what a bool or an
    index tells of: with some number instead of NaN it is another."""
    floats = [a for v, a in values.items() if v in leaves([output]) and a.dtype.kind == "f"]
    if e.value.dtype.kind != "f":
        if any(np.isnan(a).any() for a in floats):
            return np.zeros(e.value.shape, bool)
        told = np.zeros(e.value.shape, bool)
        for limit in LIMITS:
            (without,) = _run([output], values, None, limit)
            told |= without != e.value if without.shape == e.value.shape else True
        return told
    infinite = any(np.isinf(a).any() for a in floats)
    (without,) = _run([output], {v: _without_nan(a, LIMITS[0]) for v, a in values.items()}, None)
    same = without.shape == e.value.shape
    return np.asarray(np.isnan(e.value) & ((same and np.isnan(without)) | infinite))


def _without_nan(a: np.ndarray, instead: float) -> np.ndarray:
    return np.where(np.isnan(a), a.dtype.type(instead), a) if a.dtype.kind == "f" else a


def _further(a: np.ndarray, truth: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """``reach``, or how far ``a`` is from the truth if that is more, and a distance."""
    return np.asarray(np.frompyfunc(_larger_distance, 3, 1)(a, truth, reach), "object")


def _larger_distance(a: Any, truth: Any, reach: Any) -> Any:
    if not np.isfinite(a) or not mpmath.isfinite(truth):
        return reach
    return max(reach, abs(mpmath.mpf(float(a)) - truth))


def _is_near(found: Any, truth: Any, reach: Any) -> bool:
    if found.dtype.kind != "f":
        return bool(found == truth) or not mpmath.isfinite(reach)
    if mpmath.isnan(truth):
        return bool(np.isnan(found))
    if not mpmath.isfinite(reach):
        return True
    if np.isnan(found):
        return False
    largest = mpmath.mpf(float(np.finfo(found.dtype).max))
    low, x, high = (max(-largest, min(largest, y)) for y in (truth - reach, mpmath.mpf(float(found)), truth + reach))
    return bool(low <= x <= high)


def _recorded(found: dict[Variable, np.ndarray]) -> exactly.Rounded:
    """What is made as it is, noted in ``found`` the first time."""

    def within(a: np.ndarray, v: Variable, arrays: Sequence[np.ndarray]) -> np.ndarray:
        found.setdefault(v, a)
        return a

    return within


def _not_below(a: np.ndarray, v: Variable, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Numbers below the range of their dtype as 0 or a subnormal; others as they are, in its range or beyond."""
    if not is_float(v.dtype):
        return a
    least, normal = (mpmath.mpf(float(x)) for x in (np.finfo(v.dtype).smallest_subnormal, np.finfo(v.dtype).tiny))
    rounded = np.frompyfunc(lambda x: mpmath.nint(x / least) * least if abs(x) < normal else x, 1, 1)
    return np.asarray(rounded(a), "object")


def _in_range(real: Mapping[Variable, np.ndarray]) -> exactly.Rounded:
    """Numbers as their dtype has them but for its precision: 0, a subnormal, or infinite out of its range. NaN, which
    numbers out of range make, is what is ``real`` instead, for variables that are there."""

    def within(a: np.ndarray, v: Variable, arrays: Sequence[np.ndarray]) -> np.ndarray:
        if not is_float(v.dtype):
            return a
        largest = mpmath.mpf(float(np.finfo(v.dtype).max))

        def one(x: Any, y: Any) -> Any:
            x = y if mpmath.isnan(x) else x
            return x * mpmath.inf if abs(x) > largest else x

        fits = v in real and real[v].shape == a.shape
        found = np.asarray(np.frompyfunc(one, 2, 1)(a, real[v] if fits else a), "object")
        return _not_below(found, v, arrays)

    return within


def real_answer(
    output: Variable, values: Mapping[Variable, np.ndarray], bits: int, within: exactly.Rounded, inputs: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """(the value in mpmath, how far rounding what is between, and the ``inputs``, may take it); ``within`` changes what
    each op makes."""
    with mpmath.workprec(bits):
        (truth,) = exactly.value([output], values, within)
        seeds = UP, DOWN, *range(RUNS // 2)
        moved = [_value_of_moved(output, values, seed, within, inputs) for seed in seeds]
        eps = mpmath.mpf(float(np.finfo(output.dtype).eps)) if is_float(output.dtype) else 0

        def one(t: Any, *more: Any) -> Any:
            if isinstance(t, bool | np.bool_ | int | np.integer):
                return mpmath.mpf(0) if all(m == t for m in more) else mpmath.inf
            if mpmath.isnan(t) or (mpmath.isinf(t) and all(m == t for m in more)):
                return mpmath.mpf(0)
            if not all(map(mpmath.isfinite, more)):
                return mpmath.inf
            jumps, moves = ([abs(m - t) for m in some] for some in (more[:2], more[2:]))
            least = max(moves) + abs(t) * eps + LEAST[output.dtype]
            return MARGIN * max([least, *[d for d in jumps if d > JUMP * least]])

        if any(m is None or m.shape != truth.shape for m in moved):
            return truth, np.full(truth.shape, mpmath.inf)
        reach = np.frompyfunc(one, 1 + len(moved), 1)(truth, *moved)
    return np.asarray(truth, "object"), np.asarray(reach, "object")


def _smooth_reach(
    truth: np.ndarray, output: Variable, values: Mapping[Variable, np.ndarray], bits: int
) -> np.ndarray:
    """How far changes of the inputs in their last place take the value, each on its own, so that equal ones differ; 0
    where it jumps: there a quarter of the change does as much."""
    whole, quarter = ([_value_beside(output, values, bits, seed, part) for seed in range(2)] for part in (1.0, 0.25))
    if any(v is None or v.shape != truth.shape for v in whole + quarter):
        return np.zeros(truth.shape)

    def reach(t: Any, *beside: Any) -> Any:
        if not isinstance(t, mpmath.mpf) or not all(map(mpmath.isfinite, (t, *beside))):
            return mpmath.mpf(0)
        far, near = (max(abs(b - t) for b in some) for some in (beside[:2], beside[2:]))
        return MARGIN * far if near <= far / 2 else mpmath.mpf(0)

    return np.asarray(np.frompyfunc(reach, 5, 1)(truth, *whole, *quarter), "object")


def _value_beside(
    output: Variable, values: Mapping[Variable, np.ndarray], bits: int, seed: int, part: float
) -> np.ndarray | None:
    """The value with each input changed by up to ``part`` units in its last place."""
    rng = np.random.default_rng(seed)
    with mpmath.workprec(bits):
        steps = {v: rng.uniform(-1, 1, a.shape) * (part * _eps(a)) for v, a in values.items()}
        changed = np.frompyfunc(lambda x, d: x * (1 + mpmath.mpf(d)), 2, 1)
        floats = {v: a for v, a in values.items() if a.dtype.kind == "f"}
        beside = {v: np.asarray(changed(exactly.lifted(a), steps[v]), "object") for v, a in floats.items()}
        given = {**values, **beside}
        try:
            return exactly.value([output], given)[0]
        except ValueError:
            return None


def _limit_at_infinity(
    e: Expected, output: Variable, values: Mapping[Variable, np.ndarray], bits: int
) -> tuple[np.ndarray, np.ndarray]:
    """(what the value comes to as infinite inputs are approached, how far from it the last places may be)."""
    with mpmath.workprec(bits):
        near, far = (
            exactly.value([output], {v: _for_infinite(a, size) for v, a in values.items()})[0] for size in FAR
        )
    if not near.shape == far.shape == e.value.shape:
        return far, np.zeros(far.shape)
    eps = _eps(e.value)

    def grown(x: Any, y: Any) -> Any:
        if isinstance(y, mpmath.mpf) and mpmath.isfinite(x) and abs(y) > max(1, 2 * abs(x)):
            return mpmath.sign(y) * mpmath.inf
        return y

    def last_places(y: Any, reach: float) -> Any:
        if not isinstance(y, mpmath.mpf) or not mpmath.isfinite(y):
            return mpmath.mpf(0)
        return MARGIN * (abs(y) * eps + LEAST[output.dtype]) + (reach if np.isfinite(reach) else 0)

    limit = np.asarray(np.frompyfunc(grown, 2, 1)(near, far), "object")
    return limit, np.asarray(np.frompyfunc(last_places, 2, 1)(limit, e.reach), "object")


def _for_infinite(a: np.ndarray, size: Any) -> np.ndarray:
    if a.dtype.kind != "f":
        return a
    each = np.frompyfunc(lambda x: mpmath.sign(x) * size if mpmath.isinf(x) else x, 1, 1)
    return np.asarray(each(exactly.lifted(a)), "object")


def _value_of_moved(
    output: Variable, values: Mapping[Variable, np.ndarray], seed: int, within: exactly.Rounded, inputs: bool
) -> np.ndarray | None:
    """The value with numbers moved; None where extents that depend on data do not fit each other any more."""
    given = {v: _moved_input(a, seed) for v, a in values.items()} if inputs else values
    steps = [4 * float(np.finfo(v.dtype).eps) for v in values if is_float(v.dtype)]
    try:
        return exactly.value([output], given, _moves(max(steps, default=0.0), seed, within))[0]
    except ValueError:
        return None


def _eps(a: np.ndarray) -> float:
    return float(np.finfo(a.dtype).eps) if a.dtype.kind == "f" else 0.0


def _moved_input(a: np.ndarray, seed: int) -> np.ndarray:
    """Each number changed by up to one unit in its last place, equal ones alike, and opposite ones as others."""
    if a.dtype.kind != "f":
        return a
    return np.asarray(np.frompyfunc(lambda x: _changed(x, _eps(a), seed, x > 0), 1, 1)(exactly.lifted(a)), "object")


def _changed(x: Any, step: float, seed: int, *made_of: Any) -> Any:
    if not isinstance(x, mpmath.mpf) or not mpmath.isfinite(x) or not x:
        return x
    if seed in (UP, DOWN):
        return x * (1 + step if seed == UP else 1 - step)
    return x * (1 + step * mpmath.mpf(random.Random(hash((abs(x), *made_of)) + seed).uniform(-1, 1)))


def _moves(step: float, seed: int, within: exactly.Rounded) -> exactly.Rounded:
    """``_rounded`` for mpmath numbers."""

    def moved(a: np.ndarray, v: Variable, arrays: Sequence[np.ndarray]) -> np.ndarray:
        if a.dtype != object:
            return a
        numbers = [b for b in arrays if b.dtype == object]
        exact = _may_be_exact(v, arrays)
        if all(_fits(b, a) for b in numbers):  # place by place: t / (1 + t) is not exact because another 1 + t is 1
            lost = v.owner is not None and v.owner.op.name in TRANSCENDENTAL

            def alone(x: Any, e: Any, *own: Any) -> Any:
                if e and abs(x) in map(abs, own):
                    return x
                made_of = own if lost and _is_fraction(x) else ()  # exp(1e-999) is not exp(-1e-999)
                return _changed(x, step, seed, *made_of)

            return within(np.asarray(np.frompyfunc(alone, 2 + len(numbers), 1)(a, exact, *numbers)), v, arrays)
        given = {abs(x) for b in numbers for x in b.flat}
        each = np.frompyfunc(lambda x, e: x if e and abs(x) in given else _changed(x, step, seed), 2, 1)
        return within(np.asarray(each(a, exact)), v, arrays)

    return moved


def _may_be_exact(v: Variable, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Where what an op makes, if it is one of its operands, is exact: 1 + exp(-1e30) is 1 in any precision there is."""
    assert v.owner is not None
    if v.owner.op.name not in SUMS | PAIRS:
        return np.asarray(True)
    kinds = [u.dtype for u in v.owner.inputs]
    ones = [(a != 0).astype(k) if a.dtype == object else a for a, k in zip(arrays, kinds, strict=True)]
    return np.asarray(_terms(v.owner, ones) <= 1)


def _is_fraction(x: Any) -> bool:
    """Whether a number takes so few bits that it is not what rounding makes of most."""
    return isinstance(x, mpmath.mpf) and x.man.bit_length() <= 64


def _fits(b: np.ndarray, a: np.ndarray) -> bool:
    """Whether each element of ``a`` has one of ``b`` at its place."""
    return b.ndim <= a.ndim and all(n in (1, m) for n, m in zip(b.shape[::-1], a.shape[::-1], strict=False))

"""``accuracy``: how many digits of a formula are right as it is written and as it is compiled, and what repaired it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import mpmath
import numpy as np

from symgraph.complexes import has_complex
from symgraph.errors import ArgumentError
from symgraph.function import function
from symgraph.graph import Constant, Variable, label, leaves
from symgraph.printing import pprint
from symgraph.reference import evaluate
from symgraph.rewrite import STABILIZING, Step, rewrite
from symgraph.shared_variable import SharedVariable
from symgraph.types import is_float
from symgraph.view import exactly
from symgraph.view.figure import empty_figure
from symgraph.view.replay import Numbering

SAMPLES = 201
"""Points of a range."""
START, MOST = 200, 1 << 16
"""Bits: at least 60 digits, then twice as many until 20 digits stay."""
STEADY = mpmath.mpf(10) ** -20
LOST = 3.0
"""Digits less than all that make a point a bad one, and digits gained that make a rule the reason."""

Arrays = dict[Variable, np.ndarray]


@dataclass(frozen=True)
class Region:
    """Neighbouring points of one kind.

    Attributes
    ----------
    low, high : float
        The first and the last point.
    written, compiled : float
        The fewest correct digits in it.
    worst : float
        The point where the formula as written is worst.
    rules : tuple of str
        What made the difference.
    """

    low: float
    high: float
    written: float
    compiled: float
    worst: float
    rules: tuple[str, ...]


@dataclass(frozen=True)
class Accuracy:
    """Correct digits point by point; prints as a table of regions.

    Attributes
    ----------
    formula, name : str
        The expression, and what the points are values of.
    points : array
        Ascending.
    exact : array of mpmath numbers
        To 20 digits and more.
    written, compiled : array
        The values that the two forms give.
    written_digits, compiled_digits : array
        Correct significant digits; NaN where the formula has no value.
    rules : tuple of str
        For each point, what made the difference, or "".
    """

    formula: str
    name: str
    points: np.ndarray
    exact: np.ndarray
    written: np.ndarray
    compiled: np.ndarray
    written_digits: np.ndarray
    compiled_digits: np.ndarray
    rules: tuple[str, ...]

    @property
    def regions(self) -> tuple[Region, ...]:
        """Neighbours that are as good as one another, for one reason, as one."""
        full = _digits_of(self.written.dtype) - LOST
        kinds = [
            (a >= full, b >= full, rule)
            for a, b, rule in zip(self.written_digits, self.compiled_digits, self.rules, strict=True)
        ]
        each = groupby(range(len(kinds)), key=kinds.__getitem__)
        return tuple(self._region(list(members)) for _, members in each)

    def _region(self, k: list[int]) -> Region:
        written, compiled = self.written_digits[k], self.compiled_digits[k]
        worst = k[int(np.argmin(np.where(np.isnan(written), np.inf, written)))]
        rules = dict.fromkeys(self.rules[i] for i in k if self.rules[i])
        ends = float(self.points[k[0]]), float(self.points[k[-1]])
        return Region(*ends, _least(written), _least(compiled), float(self.points[worst]), tuple(rules))

    def __str__(self) -> str:
        rows: list[tuple[str, ...]] = [("from", "to", "digits as written", "as compiled", "worst at", "repaired by")]
        for r in self.regions:
            digits = ("-" if np.isnan(d) else f"{d:.1f}" for d in (r.written, r.compiled))
            rows.append((f"{r.low:.5g}", f"{r.high:.5g}", *digits, f"{r.worst:.5g}", ", ".join(r.rules)))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(c.rjust(w) for c, w in zip(row[:-1], widths, strict=False)) + f"  {row[-1]}" for row in rows]
        title = f"{self.formula}, by {self.name}, of {_digits_of(self.written.dtype):.1f} digits"
        return "\n".join([title, *(line.rstrip() for line in lines)])

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Both curves of digits, drawn by matplotlib.

        Parameters
        ----------
        path : str or path, optional
            Where to save the picture.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        BackendError
            If matplotlib is not installed.
        """
        figure = empty_figure("a plot", "print it", figsize=(7, 3.5), layout="constrained")
        axes = figure.subplots()
        sizes = np.abs(self.points[self.points != 0])
        axes.set_xscale("symlog", linthresh=max(sizes.min(initial=1.0), 1e-12 * sizes.max(initial=1.0)))
        axes.plot(self.points, self.written_digits, label="as written")
        axes.plot(self.points, self.compiled_digits, label="as compiled")
        axes.set(title=self.formula, xlabel=self.name, ylabel="correct digits", ylim=(-0.5, None))
        axes.legend()
        if path is not None:
            figure.savefig(path)
        return figure


def _digits_of(dtype: np.dtype[Any]) -> float:
    return float(-np.log10(np.finfo(dtype).eps))


def _least(digits: np.ndarray) -> float:
    known = digits[~np.isnan(digits)]
    return float(known.min()) if known.size else float("nan")


# ------------------------------------------------------------------------------------------------ finding out


def accuracy(expression: Variable, at: Mapping[Variable | str, Any]) -> Accuracy:
    """See ``symgraph.accuracy``."""
    if not isinstance(expression, Variable) or not is_float(expression.dtype):
        raise ArgumentError(f"accuracy: {expression!r:.60} is no float expression\ngive a formula of floats")
    if has_complex([expression]):
        raise ArgumentError(f"accuracy: {expression!r:.60} is of complex numbers\ngive a formula of floats")
    given = _given(expression, at)
    ranged = [v for v, a in given.items() if isinstance(a, tuple)]
    arrays = {v: _spread(v, *a) if isinstance(a, tuple) else _array(v, a) for v, a in given.items()}
    many = [v for v, a in arrays.items() if a.ndim == v.ndim + 1]
    samples = [{v: a[k] if v in many else a for v, a in arrays.items()} for k in range(_count(arrays, many))]
    along = (ranged or many or list(arrays))[0]
    written = [_values([expression], s) for s in samples]
    compiled = _compiled(expression, samples)
    exact = np.concatenate([_exact(expression, s) for s in samples])
    sizes = [w.size for w in written]
    points = np.concatenate([_points(along, s, n, k) for k, (s, n) in enumerate(zip(samples, sizes, strict=True))])
    order = np.argsort(points, kind="stable")
    a, b, t = np.concatenate(written)[order], np.concatenate(compiled)[order], exact[order]
    digits, better = digits_right(a, t), digits_right(b, t)
    rules = _reasons(expression, samples, order, t, digits, better)
    return Accuracy(pprint(expression), label(along), points[order], t, a, b, digits, better, rules)


def _given(expression: Variable, at: Mapping[Variable | str, Any]) -> dict[Variable, Any]:
    free = [v for v in leaves([expression]) if not isinstance(v, Constant | SharedVariable)]
    named = {v.name: v for v in free if v.name}
    found = {named.get(k) if isinstance(k, str) else k: a for k, a in at.items()}
    missing = [v for v in free if v not in found]
    if missing or None in found:
        what = f"{label(missing[0])} has no samples" if missing else f"no input has one of the names {list(at)}"
        names = ", ".join(map(label, free))
        raise ArgumentError(f"accuracy: {what}\ngive an array, or a range (low, high), for each of {names}")
    return {v: found[v] for v in free}


def _spread(v: Variable, low: float, high: float) -> np.ndarray:
    """Points of a range: even ones, and those of every magnitude, of either sign."""
    info = np.finfo(v.dtype)
    top = max(abs(low), abs(high))
    sizes = np.geomspace(min(float(info.tiny), top) if top else 1.0, top or 1.0, SAMPLES // 2)
    some = np.concatenate([np.linspace(low, high, SAMPLES), sizes, -sizes, [0.0]])
    inside = np.unique(some[(low <= some) & (some <= high)].astype(v.dtype))
    return inside.reshape(-1, *(1,) * (v.ndim - 1)) if v.ndim else inside


def _array(v: Variable, a: Any) -> np.ndarray:
    found = np.asarray(a, v.dtype)
    if found.ndim not in (v.ndim, v.ndim + 1):
        raise ArgumentError(
            f"accuracy: the samples of {label(v)} have {found.ndim} axes; it has {v.ndim}\n"
            "give one array of its rank, or several along a first axis"
        )
    return found


def _count(arrays: Arrays, many: Sequence[Variable]) -> int:
    counts = {len(arrays[v]) for v in many} or {1}
    if len(counts) > 1:
        raise ArgumentError(f"accuracy: inputs have {sorted(counts)} samples\ngive each as many, or one for all")
    return counts.pop()


def _points(along: Variable, sample: Arrays, size: int, k: int) -> np.ndarray:
    """What the elements of a result are told by: the input's elements, its only one, or the number of the sample."""
    x = sample[along].astype("float64").ravel()
    return x if x.size == size else np.full(size, x[0] if x.size == 1 else float(k))


def _values(outputs: Sequence[Variable], sample: Arrays) -> np.ndarray:
    with np.errstate(all="ignore"):
        return evaluate(outputs, sample)[0].ravel()


def _compiled(expression: Variable, samples: Sequence[Arrays]) -> list[np.ndarray]:
    f = function(list(samples[0]), expression)
    return [np.asarray(f(*s.values())).ravel() for s in samples]


def _exact(expression: Variable, sample: Arrays) -> np.ndarray:
    """The real value, in as many bits as it takes until 20 digits do not change."""
    bits, before = START, None
    while True:
        with mpmath.workprec(bits):
            (found,) = exactly.value([expression], sample)
            now = np.asarray(found, "object").ravel()
            if (before is not None and all(map(_is_steady, before, now))) or bits >= MOST:
                return now
        bits, before = 2 * bits, now


def _is_steady(a: Any, b: Any) -> bool:
    return bool(a == b or (a != a and b != b) or abs(a - b) <= STEADY * abs(b))


def digits_right(found: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Correct significant digits of each number; NaN where there is no real value."""
    full, info = _digits_of(found.dtype), np.finfo(found.dtype)
    largest, least = mpmath.mpf(float(info.max)), mpmath.mpf(float(info.smallest_subnormal))

    def one(a: float, t: Any) -> float:
        if mpmath.isnan(t):
            return float("nan")
        value = mpmath.mpf(float(a))
        if value == t or (abs(t) > largest and abs(value) >= largest and value * t > 0):
            return full
        if not mpmath.isfinite(value) or not mpmath.isfinite(t):
            return 0.0
        error = max(abs(value - t) - least, 0)  # below that there are no numbers
        return float(min(max(-mpmath.log10(error / abs(t)), 0), full)) if error and t else full if not error else 0.0

    return np.array([one(a, t) for a, t in zip(found, exact, strict=True)])


# ------------------------------------------------------------------------------------------------ reasons


def _reasons(
    expression: Variable, samples: Sequence[Arrays], order: np.ndarray, exact: np.ndarray, written: np.ndarray,
    compiled: np.ndarray,
) -> tuple[str, ...]:  # fmt: skip
    """For each point that the compiler made better, the rule whose step brought the most digits."""
    trace: list[Step] = []
    rewrite([expression], STABILIZING, trace=trace)
    best, names = np.full(len(exact), LOST), [""] * len(exact)
    before = written
    for step, result in _steps(expression, trace):
        now = digits_right(np.concatenate([_values([result], s) for s in samples])[order], exact)
        for k in np.flatnonzero(now - before > best):
            best[k], names[k] = (now - before)[k], step.rule
        before = now
    return tuple(n if b - a > LOST else "" for n, a, b in zip(names, written, compiled, strict=True))


def _steps(expression: Variable, trace: Sequence[Step]) -> Iterator[tuple[Step, Variable]]:
    """The whole expression after each step that changed it."""
    numbering, result = Numbering(), expression
    for step in trace:
        (new,) = numbering.replace([result], step.before, step.after)
        if new is not result:
            yield step, new
        result = new

"""``check``: what may be wrong with a graph, found by looking at it and by trying it on drawn numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from symgraph.backend import Task
from symgraph.dependence import dependence
from symgraph.errors import SymgraphError
from symgraph.gradient import grad
from symgraph.graph import Apply, Constant, Variable, apply, constant, label, leaves, toposort, transform
from symgraph.origin import made_at
from symgraph.reference import evaluate, evaluate_node, value_of
from symgraph.rewrite import STABILIZING, rewrite
from symgraph.types import TensorType, is_float

SCALES = (1.0, 10.0, 100.0, 1000.0)
STEP, ALLOWED = 1e-5, 1e-5
"""Of differences along a drawn direction in float64, and their error: its own is STEP**2, and rounding 1e-16 / STEP."""


@dataclass(frozen=True)
class Problem:
    """Something found: "unused", "float64", "nan" or "gradient"; ``fatal`` if a check failed."""

    kind: str
    text: str
    place: str
    fatal: bool


def check(task: Task, values: Mapping[Variable, np.ndarray]) -> list[Problem]:
    """Everything that is found.

    Parameters
    ----------
    task : Task
    values : mapping of Variable to ndarray
        A value for each input; what is tried is drawn in their shapes.
    """
    stable = rewrite(task.results, STABILIZING)
    return [*_unused(task), *_wide(task), *_not_finite(task, stable, values), *_gradients(task, values)]


def _unused(task: Task) -> Iterator[Problem]:
    used = dependence(task.results)
    for v in task.inputs:
        if v not in used:
            yield Problem("unused", f"no result depends on the input {label(v)}", str(v.origin or ""), True)


def _wide(task: Task) -> Iterator[Problem]:
    """Where float32 becomes float64, and what made it so."""
    for node in toposort(task.results):
        if not any(v.dtype == "float64" for v in node.outputs) or not any(v.dtype == "float32" for v in node.inputs):
            continue
        if node.op.name == "cast":
            yield _leak(node, "a cast")
        for v in node.inputs:
            if v.dtype == "float64":
                said = f"the constant {label(v)}" if isinstance(v, Constant) else label(v)
                yield _leak(node, said)


def _leak(node: Apply, said: str) -> Problem:
    return Problem("float64", f"{node.op.name}: float32 becomes float64 by {said}", str(node.origin or ""), True)


def _drawn(task: Task, values: Mapping[Variable, np.ndarray], scale: float) -> dict[Variable, np.ndarray]:
    """Normal numbers of a scale for float inputs; the others, and shared variables, as they are."""
    rng = np.random.default_rng(0)
    given: dict[Variable, np.ndarray] = {s: s.get_value() for s in task.shared}
    for v, a in values.items():
        given[v] = (scale * rng.standard_normal(a.shape)).astype(v.dtype) if is_float(v.dtype) else a
    return given


def _not_finite(
    task: Task, stable: Sequence[Variable], values: Mapping[Variable, np.ndarray]
) -> Iterator[Problem]:  # fmt: skip
    """The first op, after everything that can be repaired was, that makes infinity or NaN of finite numbers."""
    for scale in SCALES:
        known = _drawn(task, values, scale)
        with np.errstate(all="ignore"):
            culprit = _culprit(stable, known)
        if culprit is not None:
            node, what = culprit
            text = f"{node.op.name} gives {what} for inputs of about {scale:g}"
            yield Problem("nan", text, str(node.origin or "in the gradient"), False)
            return


def _culprit(outputs: Sequence[Variable], known: dict[Variable, np.ndarray]) -> tuple[Apply, str] | None:
    """A node whose own inputs are finite and whose result is not, and on which a result that is not finite depends."""
    bad: dict[Apply, str] = {}
    for node in toposort(outputs, known):
        arrays = [value_of(v, known) for v in node.inputs]
        known.update(zip(node.outputs, evaluate_node(node, arrays, known), strict=True))
        if all(map(_finite, arrays)) and not all(_finite(known[v]) for v in node.outputs):
            bad[node] = "NaN" if any(np.isnan(known[v]).any() for v in node.outputs) else "infinity"
    wrong = [v for v in outputs if v in known and not _finite(known[v])]
    return next(((n, bad[n]) for n in toposort(wrong) if n in bad), None)


def _finite(a: np.ndarray) -> bool:
    return not is_float(a.dtype.name) or bool(np.isfinite(a).all())


def _gradients(task: Task, values: Mapping[Variable, np.ndarray]) -> Iterator[Problem]:
    """Of the first output, if it is a float scalar: derivatives along drawn directions against differences."""
    if not task.outputs or task.outputs[0].ndim or not is_float(task.outputs[0].dtype):
        return
    given = _drawn(task, values, 1.0)
    try:
        cost, wide = _in_double(task.outputs[0])
    except SymgraphError as error:
        yield Problem("gradient", f"not checked: {str(error).splitlines()[0]}", "", False)
        return
    known = {wide.get(v, v): a.astype(wide[v].dtype) if v in wide else a for v, a in given.items()}
    for v, stand_in in wide.items():
        try:
            said, found = _derivatives(cost, stand_in, known)
        except SymgraphError as error:
            yield Problem("gradient", f"by {label(v)}: {str(error).splitlines()[0]}", "", False)
            continue
        if np.isfinite([said, found]).all() and abs(said - found) > ALLOWED * max(1.0, abs(said), abs(found)):
            text = f"by {label(v)}: {said:.6g} along a drawn direction, a difference gives {found:.6g}"
            yield Problem("gradient", text, str(v.origin or ""), True)


def _in_double(cost: Variable) -> tuple[Variable, dict[Variable, Variable]]:
    """The cost in float64, where differences are exact enough to tell; leaf -> the float64 leaf in its place."""
    wide = {v: Variable(TensorType("float64", v.type.shape), name=v.name) for v in leaves([cost])
            if is_float(v.dtype) and not isinstance(v, Constant)}  # fmt: skip

    def replace(v: Variable) -> Variable | None:
        if isinstance(v, Constant) and is_float(v.dtype):
            return constant(v.data, "float64")
        return wide.get(v)

    def rebuild(node: Apply, inputs: Sequence[Variable]) -> Sequence[Variable]:
        attrs = {k: "float64" if k == "dtype" and is_float(str(a)) else a for k, a in node.attrs.items()}
        with made_at(node.origin):
            return apply(node.op, inputs, attrs).outputs

    return transform([cost], replace, rebuild)[0], wide


def _derivatives(cost: Variable, v: Variable, known: Mapping[Variable, np.ndarray]) -> tuple[float, float]:
    """Along a drawn direction: what the gradient says, and a central difference."""
    along = np.random.default_rng(1).standard_normal(known[v].shape)
    along = along / max(1.0, float(np.sqrt((along**2).sum())))
    stable, g = rewrite([cost, grad(cost, v)], STABILIZING)
    with np.errstate(all="ignore"):
        said = float((evaluate([g], known)[0] * along).sum())
        sides = [float(evaluate([stable], {**known, v: known[v] + s * along})[0]) for s in (STEP, -STEP)]
    return said, (sides[0] - sides[1]) / (2 * STEP)

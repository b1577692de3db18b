"""The NumPy evaluator, op by op: the oracle, constant folding, and the "numpy" backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod

import numpy as np

from symgraph.errors import SymgraphError, layout
from symgraph.graph import Apply, Constant, Variable, describe, label, toposort
from symgraph.op import Op, Precondition
from symgraph.shared_variable import SharedVariable

Values = Mapping[Variable, object]


def evaluate(outputs: Sequence[Variable], values: Values | None = None) -> list[np.ndarray]:
    """The values of ``outputs``, given those of the inputs (arrays of the right dtype).

    Raises
    ------
    KeyError
        If an input has no value.
    """
    memo: dict[Variable, np.ndarray] = {v: np.asarray(a, v.dtype) for v, a in (values or {}).items()}
    for node in toposort(outputs, memo):
        arrays = [value_of(v, memo) for v in node.inputs]
        memo.update(zip(node.outputs, evaluate_node(node, arrays, memo), strict=True))
    return [value_of(v, memo) for v in outputs]


def value_of(v: Variable, memo: Mapping[Variable, np.ndarray]) -> np.ndarray:
    """The value of a variable: computed before, constant, or shared."""
    if v in memo:
        return memo[v]
    if isinstance(v, Constant):
        return v.data
    if isinstance(v, SharedVariable):
        return v.get_value(borrow=True)
    raise KeyError(f"no value is given for {describe(v)}")


def evaluate_node(
    node: Apply, arrays: Sequence[np.ndarray], known: Mapping[Variable, np.ndarray] | None = None
) -> Sequence[np.ndarray]:
    """One op by NumPy; a composite without a NumPy meaning through its body.

    ``known`` are values of variables below: the extent of an input may be that of one of these.
    """
    preconditions = node.op.preconditions(node)
    if preconditions:
        _check_preconditions(node, preconditions, _around(node, arrays, known))
    if type(node.op).reference is Op.reference:
        body = node.op.expand(node)
        assert body is not None, f"{node.op.name} has neither a reference nor a body"
        return evaluate(body, _around(node, arrays, known))
    return node.op.reference(node, arrays)


def _around(node: Apply, arrays: Sequence[np.ndarray], known: Mapping[Variable, np.ndarray] | None) -> Values:
    return {**(known or {}), **dict(zip(node.inputs, arrays, strict=True))}


def _check_preconditions(node: Apply, preconditions: Sequence[Precondition], values: Values) -> None:
    found = evaluate([g.ok for g in preconditions], values)
    for precondition, ok in zip(preconditions, found, strict=True):
        if not ok.all():
            raise failed(node, precondition)


def failed(node: Apply, precondition: Precondition) -> SymgraphError:
    """The error of a precondition that does not hold: the op, its arguments, the user's line."""
    operands = precondition.operands or [v for v in node.op.operands(node) if not isinstance(v, Constant)]
    source = node.origin.excerpt() if node.origin else []
    call = precondition.call or f"{node.op.name}({', '.join(map(label, operands))})"
    headline = f"{call}: {precondition.message}"
    return precondition.kind(layout(headline, map(describe, operands), source, precondition.mend))


def is_foldable(node: Apply) -> bool:
    """Whether every input is constant."""
    return bool(node.inputs) and all(isinstance(v, Constant) for v in node.inputs)


def folder(limit_bytes: int) -> Callable[[Apply], list[np.ndarray] | None]:
    """Constant folding of nodes whose result stays below ``limit_bytes``."""

    def fold(node: Apply) -> list[np.ndarray] | None:
        if not is_foldable(node) or any(not v.type.is_static for v in node.outputs):
            return None
        size = max(prod(n or 0 for n in v.type.shape) * np.dtype(v.dtype).itemsize for v in node.outputs)
        if size > limit_bytes:
            return None
        return list(evaluate_node(node, [v.data for v in node.inputs if isinstance(v, Constant)]))

    return fold

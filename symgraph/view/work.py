"""What an op costs, by its formula: bytes of its results and arithmetic operations. A measure, not a prediction.

An extent that varies counts as the most that it can be.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from symgraph import expression
from symgraph.expression import Expr
from symgraph.formula import Compute
from symgraph.graph import Apply, toposort
from symgraph.types import TensorType, is_complex
from symgraph.varying import capacity

FREE = ("load", "axis", "const", "cast", "select")
"""Terms that are no arithmetic."""


def bytes_of(types: Sequence[TensorType]) -> int | None:
    """Bytes of values of ``types``; None if an extent is not known."""
    if not all(t.is_static for t in types):
        return None
    return sum(prod(capacity(n or 0) for n in t.shape) * np.dtype(t.dtype).itemsize for t in types)


def flops_of(node: Apply) -> int | None:
    """Arithmetic operations of a node, a transcendental function counted as one.

    None if an extent is not known, or a value is complex: those of its parts are counted.
    """
    if any(not v.type.is_static or is_complex(v.dtype) for v in (*node.inputs, *node.outputs)):
        return None
    if node.op.is_view:
        return 0
    formula = node.op.define(node)
    if formula is not None:
        return _of_formula(formula)
    body = node.op.expand(node)
    if body is None:
        return None
    inner = [flops_of(n) for n in toposort(body, node.inputs)]
    return sum(n for n in inner if n is not None)


def _of_formula(formula: Compute) -> int:
    terms = expression.toposort(formula.exprs)
    each = sum(map(_is_arithmetic, terms)) + (len(formula.exprs) if formula.combiner else 0)
    return each * prod(capacity(n) for _, n in (*formula.axes, *formula.reduce))


def _is_arithmetic(e: Expr) -> bool:
    return e.prim not in FREE and e.dtype not in (expression.INDEX, "bool")

"""The derivatives of an elementwise op that follow from its body, as scalar expressions and as graphs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from symgraph import expression
from symgraph.coercion import convert
from symgraph.errors import GradientError
from symgraph.expression import Expr
from symgraph.graph import Apply, Constant, Variable, constant
from symgraph.op import PRIMITIVES
from symgraph.types import is_float


@cache
def derivatives(root: Expr, inputs: tuple[Expr, ...]) -> list[Expr | None]:
    """Derivative of a body by each operand: reverse accumulation over the scalar expression.

    Raises
    ------
    GradientError
        If the body has a kink inside, or a primitive whose derivative is not known.
    """
    if not is_float(root.dtype):
        return [None] * len(inputs)
    total: dict[Expr, Expr] = {root: expression.const(1, root.dtype)}
    for e in reversed(expression.toposort([root])):
        if e not in total or e.prim in ("load", "const", "axis"):
            continue
        _check_differentiable(e, root)
        for a, d in zip(e.args, expression.partials(e), strict=True):
            if d is not None and (d.prim != "const" or d.value != 0):
                term = _scalar_times(total[e], d)
                total[a] = total[a] + term if a in total else term
    return [total.get(x, expression.const(0, x.dtype)) if is_float(x.dtype) else None for x in inputs]


def _check_differentiable(e: Expr, root: Expr) -> None:
    """A kink inside a longer body would differentiate to something wrong at the kink."""
    if is_float(e.dtype) and expression.PRIMS[e.prim].partials is None:
        raise GradientError(f"the derivative of {e.prim} is not known")
    if e is not root and e.prim in expression.PRIMS and not expression.PRIMS[e.prim].smooth:
        raise GradientError(f"its body has a kink ({e.prim}), so it needs a gradient of its own")


def _scalar_times(a: Expr, b: Expr) -> Expr:
    """a*b, leaving out factors of one."""
    if b.prim == "const" and b.value == 1:
        return a
    return b if a.prim == "const" and a.value == 1 else a * b


def times(g: Any, d: Variable) -> Variable:
    """g*d, leaving out factors of one."""
    if isinstance(d, Constant) and d.data.size == 1:
        if d.data.item() == 1:
            return g  # type: ignore[no-any-return]
        if d.data.item() == -1:
            return PRIMITIVES["neg"](g)  # type: ignore[no-any-return]
    return PRIMITIVES["mul"](g, d)  # type: ignore[no-any-return]


def to_graph(exprs: Sequence[Expr], root: Expr, node: Apply) -> list[Variable]:
    """Scalar expressions of a node's elements as graphs of primitive ops on its inputs; ``root`` is its output."""
    made: dict[Expr, Variable] = {}
    for e in expression.toposort(exprs):
        if e is root:
            made[e] = node.outputs[0]
        elif e.prim == "load":
            made[e] = node.inputs[int(e.value)]  # type: ignore[arg-type]
        elif e.prim == "const":
            made[e] = constant(np.asarray(e.value, e.dtype))
        elif e.prim == "cast":
            made[e] = convert(made[e.args[0]], e.dtype)
        else:
            made[e] = PRIMITIVES[e.prim](*[made[a] for a in e.args])
    return [made[e] for e in exprs]

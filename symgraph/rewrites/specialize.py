"""Specialize: as accurate and cheaper, once nothing needs to be recognised any more.

The measure that each rule lowers: the number of powers, then that of reductions that keep their axes.
"""

from __future__ import annotations

from typing import Any

from symgraph.graph import Apply, Variable
from symgraph.kinds import Reduction
from symgraph.match import Owner
from symgraph.ops.reduce import kept
from symgraph.pattern import Pattern, sqr
from symgraph.rewrite import rewriter, rule

Pair = tuple[Any, Any]


@rule("specialize")
def power_of_three(x: Pattern) -> Pair:
    """x ** 3 is x * x²."""
    return x**3, x * sqr(x)


@rule("specialize")
def power_of_four(x: Pattern) -> Pair:
    """x ** 4 is (x²)²."""
    return x**4, sqr(sqr(x))


@rewriter("specialize")
def reduction_without_kept_axes(node: Apply, owner: Owner) -> Variable | None:
    """sum(x, axis, keepdims=True) is sum(x, axis) with axes put back, so that both are computed once."""
    if not isinstance(node.op, Reduction) or not node.attrs["keepdims"]:
        return None
    axis = node.attrs["axis"]
    return kept(node.op(node.inputs[0], axis), axis, False)

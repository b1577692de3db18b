"""Specialize: as accurate and cheaper, once nothing needs to be recognised any more.

The measure that each rule lowers: the number of powers, then that of reductions that keep their axes, then that of
elements chosen by a condition.
"""

from __future__ import annotations

from typing import Any

from symgraph.graph import Apply, Constant, Variable
from symgraph.kinds import Reduction
from symgraph.match import Owner
from symgraph.ops.elementwise import lt, maximum, switch
from symgraph.ops.pool import max_pool, max_pool_index, max_pool_spread
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


@rewriter("specialize", "max_pool")
def largest_of_bounded(node: Apply, owner: Owner) -> Variable | None:
    """max_pool(maximum(x, c)) is maximum(max_pool(x), c): fewer elements are compared with c."""
    x, low = _bounded(node.inputs[0], owner)
    return maximum(max_pool(x, **node.attrs), low) if x is not None else None


@rewriter("specialize", "switch")
def condition_of_largest(node: Apply, owner: Owner) -> Variable | None:
    """The gradient through y = max_pool(maximum(x, c)) asks c < y of each window, not c < x of each element.

    switch(c < x, max_pool_spread(g, max_pool_index(maximum(x, c))), 0) has g at the first largest element of a window,
    where x is y, and nothing in windows without one above c: there it is the same which of their elements is chosen.
    """
    condition, spread, other = owner(node.inputs[0]), owner(node.inputs[1]), node.inputs[2]
    if condition is None or condition.op is not lt or spread is None or spread.op is not max_pool_spread:
        return None
    g, index, *image = spread.inputs
    chosen = owner(index)
    if chosen is None or chosen.op is not max_pool_index or chosen.attrs != spread.attrs or not _is_zero(other):
        return None
    x, low = _bounded(chosen.inputs[0], owner)
    if x is None or condition.inputs != (low, x):
        return None
    attrs = spread.attrs
    gradient = switch(lt(low, max_pool(x, **attrs)), g, other)
    return max_pool_spread(gradient, max_pool_index(x, **attrs), *image, **attrs)


def _bounded(v: Variable, owner: Owner) -> tuple[Variable | None, Variable]:
    """(x, c) where ``v`` is maximum(x, c) for one number c, else (None, v)."""
    node = owner(v)
    if node is None or node.op is not maximum:
        return None, v
    pairs = [(x, c) for x, c in (node.inputs, node.inputs[::-1]) if isinstance(c, Constant) and c.data.size == 1]
    return pairs[0] if pairs else (None, v)


def _is_zero(v: Variable) -> bool:
    """Whether a constant is one zero."""
    return isinstance(v, Constant) and v.data.size == 1 and not v.data.any()

"""Specialize, where ``config.fast_math`` is on: what is so for numbers, but not for infinities and NaNs.

These rules do not keep the law of rules: a NaN or an infinity that comes in is not seen in the result. The measure is
the number of ops.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symgraph import config
from symgraph.graph import Apply, Constant, Variable, constant
from symgraph.match import Factor, Owner, factors, multiply
from symgraph.ops.broadcast import broadcast_to
from symgraph.rewrite import rewriter
from symgraph.rewrites.views import views_of
from symgraph.types import is_float


@rewriter("specialize", "mul")
def product_with_zero(node: Apply, owner: Owner) -> Variable | None:
    """x * 0 is 0 for every number x."""
    return _filled(node, 0) if _is_on(node) and any(_is_zero(v, owner) for v in node.inputs) else None


@rewriter("specialize", "sub")
def difference_of_equals(node: Apply, owner: Owner) -> Variable | None:
    """x - x is 0 for every number x."""
    return _filled(node, 0) if _is_on(node) and node.inputs[0] is node.inputs[1] else None


@rewriter("specialize", "true_div")
def ratio_of_equals(node: Apply, owner: Owner) -> Variable | None:
    """x / x is 1 and x * y / x is y for every number x but 0."""
    if not _is_on(node):
        return None
    negative, given = factors(node.outputs[0], owner)
    for f in given:
        inverse = Factor(f.value, True)
        if not f.below and inverse in given:
            given.remove(f)  # the first of its equals: the others stay
            given.remove(inverse)
            return _shaped(_product(node, negative, given), node)
    return None


def _product(node: Apply, negative: bool, given: Sequence[Factor]) -> Variable:
    above = [f for f in given if not f.below]
    first = above[0].value if above else _filled(node, 1)
    return multiply(first, negative, [*above[1:], *[f for f in given if f.below]])


@rewriter("specialize", "add", "sub")
def sum_with_zero(node: Apply, owner: Owner) -> Variable | None:
    """x + 0 and x - 0 are x, but for the sign of a zero."""
    if not _is_on(node):
        return None
    x, y = node.inputs
    if _is_zero(y, owner):
        return _shaped(x, node)
    return _shaped(y, node) if node.op.name == "add" and _is_zero(x, owner) else None


def _is_on(node: Apply) -> bool:
    y = node.outputs[0]
    return config.settings().fast_math and is_float(y.dtype) and y.type.is_static


def _is_zero(v: Variable, owner: Owner) -> bool:
    _, base = views_of(v, owner)
    return isinstance(base, Constant) and base.data.size > 0 and not base.data.any()


def _filled(node: Apply, number: int) -> Variable:
    return _shaped(constant(np.asarray(number, node.outputs[0].dtype)), node)


def _shaped(v: Variable, node: Apply) -> Variable:
    shape = node.outputs[0].type.shape
    return v if v.type.shape == shape else broadcast_to(v, shape)

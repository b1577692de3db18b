"""Specialize: as accurate and cheaper, once nothing needs to be recognised any more.

The measure that each rule lowers: the number of powers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.graph import Apply, Constant, Variable
from symgraph.match import Owner, make
from symgraph.pattern import Pattern, sqr
from symgraph.rewrite import rewriter, rule

Pair = tuple[Any, Any]


@rule("specialize")
def power_of_two(x: Pattern) -> Pair:
    """x ** 2 is x * x."""
    return x**2, sqr(x)


@rule("specialize")
def power_of_three(x: Pattern) -> Pair:
    """x ** 3 is x * x²."""
    return x**3, x * sqr(x)


@rule("specialize")
def power_of_four(x: Pattern) -> Pair:
    """x ** 4 is (x²)²."""
    return x**4, sqr(sqr(x))


@rule("specialize")
def power_of_minus_one(x: Pattern) -> Pair:
    """x ** -1 is 1 / x."""
    return x**-1, 1 / x


@rewriter("specialize", "pow")
def root_of_nonnegative(node: Apply, owner: Owner) -> Variable | None:
    """x ** 0.5 is sqrt(x) where x cannot be negative: a power makes inf of -inf and 0 of -0, a root does not."""
    x, exponent = node.inputs
    half = isinstance(exponent, Constant) and bool((exponent.data == 0.5).all()) and exponent.data.size > 0
    if not half or not is_nonnegative(x, owner):
        return None
    root = make("sqrt", x)
    return root if root.type == node.outputs[0].type else None


_NONNEGATIVE = ("sqr", "exp", "abs", "sigmoid", "softmax", "softplus", "shape_of")
_KEEPS_SIGN = ("add", "mul", "true_div", "sum", "max", "min", "maximum", "dimshuffle", "reshape", "cast")


def is_nonnegative(v: Variable, owner: Owner, depth: int = 4) -> bool:
    """Whether no element can be below 0 or be -0, by the ops within ``depth`` steps."""
    if isinstance(v, Constant):
        return bool((v.data >= 0).all()) and not np.signbit(v.data).any()
    node = owner(v)
    if node is None or node.op.name in _NONNEGATIVE:
        return node is not None
    keeps = node.op.name in _KEEPS_SIGN and depth > 0
    return keeps and all(is_nonnegative(u, owner, depth - 1) for u in node.inputs)

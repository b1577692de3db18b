"""Stabilize: squares of single numbers in sums, differences and products (see ``stabilize`` for the law)."""

from __future__ import annotations

from typing import Any, TypeGuard

import numpy as np

from symgraph.graph import Apply, Constant, Variable, constant
from symgraph.match import Factor, Owner, added, factors, make, multiply, seen_through
from symgraph.pattern import Pattern, hypot, shifted_root, sqr, sqrt, square_gap
from symgraph.pattern import abs as absolute
from symgraph.rewrite import rewriter, rule
from symgraph.rewrites.views import VIEWS
from symgraph.types import is_float

Pair = tuple[Any, Any]

# ------------------------------------------------------------------------------------------------ roots of sums


@rule("stabilize")
def hypotenuse(x: Pattern, y: Pattern) -> Pair:
    """The squares overflow or underflow where their root is an ordinary number, and at 0 the slope is 0 * inf."""
    return sqrt(sqr(x) + sqr(y)), hypot(x, y)


@rewriter("stabilize", "sqrt")
def root_of_squares_and_number(node: Apply, owner: Owner) -> Variable | None:
    """sqrt(x² + 1) and sqrt(x² + y² + z²): the squares overflow, or all of them underflow, where their root is an
    ordinary number, and at 0 the slope is 0 * inf."""
    made = owner(node.inputs[0])
    terms = added(node.inputs[0], owner) if made is not None and made.op.name == "add" else []
    roots = [_side(v, owner) for v in terms]
    sides = [x for x in roots if x is not None]
    others = [v for v, x in zip(terms, roots, strict=True) if x is None]
    if not sides or len(terms) < 2 or len(others) > 1 or not all(isinstance(v, Constant) for v in others):
        return None
    rest = others[0] if others else constant(np.zeros((), sides[0].dtype))
    return make("shifted_root" if len(sides) == 1 else "root_of_squares", *sides, rest)


@rule("stabilize")
def root_of_square_alone(x: Pattern) -> Pair:
    """Beside nothing a square is not needed for its root."""
    return shifted_root(x, 0.0), absolute(x)


# ------------------------------------------------------------------------------------------------ differences


@rewriter("stabilize", "sub")
def difference_of_squares(node: Apply, owner: Owner) -> Variable | None:
    """x² - y² and 1 - x² cancel where the two are close, to what is left of two roundings, and are NaN where both
    overflow."""
    if any(isinstance(u, Constant) and _is_view(v, owner) for u, v in (node.inputs, node.inputs[::-1])):
        return None  # the difference is done before the view
    x, y = (_side_or_number(v, owner) for v in node.inputs)
    if x is None or y is None or (isinstance(x, Constant) and isinstance(y, Constant)):
        return None
    return make("square_gap", x, y)


@rule("stabilize")
def product_of_sum_and_difference(x: Pattern, y: Pattern) -> Pair:
    """The slope of (x - y) * (x + y) is the difference of the two, 2*x, which cancels."""
    return (x - y) * (x + y), square_gap(x, y)


def _is_view(v: Variable, owner: Owner) -> bool:
    node = owner(v)
    return node is not None and node.op.name in VIEWS


def _side_or_number(v: Variable, owner: Owner) -> Variable | None:
    """x where ``v`` is x², or a number that is the square of one."""
    if not isinstance(v, Constant) or not is_float(v.dtype):
        return _side(v, owner) if is_float(v.dtype) else None
    if v.ndim or not v.data >= 0:
        return None
    root = np.sqrt(v.data)
    return constant(root) if root * root == v.data else None


# ------------------------------------------------------------------------------------------------ what is a square


def _side(v: Variable, owner: Owner) -> Variable | None:
    """x where ``v`` is x², written as a product of squares, of equals, and of powers of four."""
    node = seen_through(v, owner)
    if node is not None and node.op.name == "sqr":
        return node.inputs[0]
    if node is None or node.op.name not in ("mul", "true_div"):
        return None
    negative, given = factors(v, owner)
    roots, left = [], list[Factor]()
    for f in given:
        made = owner(f.value)
        if made is not None and made.op.name == "sqr":
            roots.append(Factor(made.inputs[0], f.below))
        elif _is_power_of_four(f.value):
            roots.append(Factor(constant(np.sqrt(f.value.data)), f.below))
        elif f in left:
            left.remove(f)
            roots.append(f)
        else:
            left.append(f)
    first = next((f for f in roots if not f.below), None)
    if negative or left or first is None:
        return None
    return multiply(first.value, False, [f for f in roots if f is not first])


def _is_power_of_four(v: Variable) -> TypeGuard[Constant]:
    if not isinstance(v, Constant) or v.data.size != 1 or v.data.item() <= 0:
        return False
    mantissa, exponent = np.frexp(v.data.item())
    return bool(mantissa == 0.5 and exponent % 2)

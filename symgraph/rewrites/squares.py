"""Stabilize: squares of single numbers in sums, differences and products (see ``stabilize`` for the law)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np

from symgraph.graph import Apply, Constant, Variable, constant
from symgraph.match import Factor, Owner, added, factors, make, multiply, seen_through
from symgraph.pattern import Pattern, hypot, log, log1m_square, log1p, shifted_root, sqr, sqrt, square_gap
from symgraph.pattern import abs as absolute
from symgraph.rewrite import rewriter, rule
from symgraph.rewrites.logarithms import is_one, log_of, log_of_factors
from symgraph.rewrites.signs import is_nonnegative, is_positive_constant
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
    parts = _squares(node.inputs[0], owner)
    return None if parts is None else make("shifted_root" if len(parts) == 2 else "root_of_squares", *parts)


def _squares(v: Variable, owner: Owner, through: bool = False) -> list[Variable] | None:
    """The sides and the number where ``v`` is a sum of squares of sides, and of a number; ``through`` a dimshuffle
    only where the op on it has another operand, and is not done before it."""
    made = seen_through(v, owner) if through else owner(v)
    terms = added(v, owner) if made is not None and made.op.name == "add" else []
    roots = [_side(u, owner) for u in terms]
    sides = [x for x in roots if x is not None]
    others = [u for u, x in zip(terms, roots, strict=True) if x is None]
    if not sides or len(others) > 1 or not all(isinstance(u, Constant) for u in others):
        return None
    return [*sides, others[0] if others else constant(np.zeros((), sides[0].dtype))]


@rule("stabilize")
def root_of_square_alone(x: Pattern) -> Pair:
    """Beside nothing a square is not needed for its root."""
    return shifted_root(x, 0.0), absolute(x)


# ------------------------------------------------------------------------------------------------ logarithms and ratios


@rewriter("stabilize", "log")
def log_of_squares_and_number(node: Apply, owner: Owner) -> Variable | None:
    """log(x² + 4): the squares overflow where their logarithm is an ordinary number."""
    parts = _squares(node.inputs[0], owner)
    return None if parts is None else make("log_of_squares", *parts)


@rewriter("stabilize", "log1p")
def log1p_of_product(node: Apply, owner: Owner) -> Variable | None:
    """log(1 + x²/3): the square overflows where its logarithm is an ordinary number."""
    made = owner(node.inputs[0])
    if made is None or made.op.name not in ("sqr", "mul", "true_div", "neg"):
        return None
    if log_of(node.inputs[0], owner) is not None:
        return None
    found = log_of_factors(node.inputs[0], owner)
    product = None if found is None else found.owner
    return None if product is None else make("log1p_product", *product.inputs, **product.attrs)


@rewriter("stabilize", "true_div")
def ratio_to_squares(node: Apply, owner: Owner) -> Variable | None:
    """x / (1 + x²) is 0 where the square overflows, and the slope of 1 / (1 + x²) by way of 1 / (1 + x²)², which
    underflows before it."""
    parts = _squares(node.inputs[1], owner, not isinstance(node.inputs[0], Constant))
    if parts is None or not is_nonnegative(parts[-1], owner):
        return None
    return make("over_squares", node.inputs[0], *parts)


@rewriter("stabilize", "log", "sqrt")
def function_of_ratio_to_squares(node: Apply, owner: Owner) -> Variable | None:
    """log(1 / (1 + x²)) and sqrt(1 / (1 + x²)): the ratio underflows where these are ordinary numbers."""
    made = owner(node.inputs[0])
    if made is None or made.op.name != "over_squares" or not is_positive_constant(made.inputs[0]):
        return None
    parts = [make(node.op.name, v) for v in (made.inputs[0], _total(made.inputs[1:]))]
    return make("sub" if node.op.name == "log" else "true_div", *parts)


@rewriter("stabilize", "true_div")
def inverse_of_ratio_to_squares(node: Apply, owner: Owner) -> Variable | None:
    """1 / (1 / (1 + x²)) rounds twice."""
    made = owner(node.inputs[1])
    if made is None or made.op.name != "over_squares" or not (is_one(node.inputs[0]) and is_one(made.inputs[0])):
        return None
    return _total(made.inputs[1:])


def _total(parts: Sequence[Variable]) -> Variable:
    """The sum of the squares of sides and of the number after them."""
    return functools.reduce(functools.partial(make, "add"), [*[make("sqr", x) for x in parts[:-1]], parts[-1]])


@rewriter("stabilize", "mul")
def product_with_ratio_to_squares(node: Apply, owner: Owner) -> Variable | None:
    """x * (1 / (1 + x²)) is rounded twice, and its second factor underflows; x / (1 + x²) is rounded once."""
    for u, v in (node.inputs, node.inputs[::-1]):
        made = owner(v)
        if made is not None and made.op.name == "over_squares" and is_one(made.inputs[0]):
            return make("over_squares", u, *made.inputs[1:])
    return None


@rewriter("stabilize", "log")
def log_of_root_of_squares(node: Apply, owner: Owner) -> Variable | None:
    """The rounding of sqrt(1 + x²) is as large as its logarithm where x is near 0."""
    made = owner(node.inputs[0])
    if made is None or made.op.name not in ("shifted_root", "root_of_squares"):
        return None
    return make("mul", 0.5, make("log", _total(made.inputs)))


def as_written(node: Apply) -> Apply:
    """A root, a logarithm or an inverse of squares and a number that is not negative, by that sum; any other node."""
    xs = node.inputs
    match node.op.name:
        case "shifted_root" | "root_of_squares" if is_number(xs[-1]):
            found = make("sqrt", _total(xs))
        case "log_of_squares" if is_number(xs[-1]):
            found = make("log", _total(xs))
        case "log1p_product" if len(xs) == 2 and xs[0] is xs[1] and not any(node.attrs["below"]):
            found = make("log1p", make("sqr", xs[0]))
        case "over_squares":
            found = make("true_div", xs[0], _total(xs[1:]))
        case _:
            return node
    assert found.owner is not None
    return found.owner


def is_number(v: Variable) -> bool:
    """Whether ``v`` is a number that is not negative."""
    return isinstance(v, Constant) and bool((v.data >= 0).all())


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


@rule("stabilize")
def negated_difference_of_squares(x: Pattern, y: Pattern) -> Pair:
    """-(x² - 1) is 1 - x², which logarithms and powers know."""
    return -square_gap(x, y), square_gap(y, x)


@rule("stabilize", x="unit")
def log_of_one_minus_square(x: Pattern) -> Pair:
    """1 - x² rounds a small x away, and its logarithm is nothing."""
    return log(square_gap(1.0, x)), log1m_square(x)


@rule("stabilize", x="unit")
def log1p_of_negated_square(x: Pattern) -> Pair:
    """x² near 1 has lost the digits that log(1 - x²) is made of."""
    return log1p(-sqr(x)), log1m_square(x)


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


# ------------------------------------------------------------------------------------------------ products


@rewriter("stabilize", "mul", "true_div")
def square_of_product(node: Apply, owner: Owner) -> Variable | None:
    """x²*y² and the slope of 1/(1/x + 1/y), 1/u²/x²: one square overflows where the other mends it; the square of the
    product is in range where the result is."""
    if not is_float(node.outputs[0].dtype) or not all(_may_have_roots(v, owner) for v in node.inputs):
        return None
    negative, given = factors(node.outputs[0], owner, through=True)
    given = [Factor(_uniform(f.value, owner), f.below) for f in given]
    roots, rest = _roots([f for f in given if not is_one(f.value)], owner)
    if rest or len(roots) < 2 or all(isinstance(f.value, Constant) for f in roots[1:]):
        return None
    first = next((f for f in roots if not f.below), Factor(constant(np.ones((), node.outputs[0].dtype)), False))
    found = make("sqr", multiply(first.value, False, [f for f in roots if f is not first]))
    if found.type != node.outputs[0].type:  # a constant alone has this shape
        return None
    return make("neg", found) if negative else found


def _uniform(v: Variable, owner: Owner) -> Variable:
    """The number that each element of ``v`` is, if it is a constant; else ``v``."""
    base = v
    while (made := owner(base)) is not None and made.op.name == "dimshuffle":
        base = made.inputs[0]
    if not isinstance(base, Constant) or not base.data.size or not (base.data == base.data.flat[0]).all():
        return v
    return constant(base.data.flat[0])


def _may_have_roots(v: Variable, owner: Owner) -> bool:
    """Whether ``v`` is a product or a square: asked first, because it is cheap."""
    node = owner(v)
    while node is not None and node.op.name in ("dimshuffle", "neg"):
        node = owner(node.inputs[0])
    return node is not None and node.op.name in ("mul", "true_div", "sqr")


# ------------------------------------------------------------------------------------------------ what is a square


def _side(v: Variable, owner: Owner) -> Variable | None:
    """x where ``v`` is x², written as a product of squares, of equals, and of powers of four."""
    node = seen_through(v, owner)
    if node is not None and node.op.name == "sqr":
        return node.inputs[0]
    if node is None or node.op.name not in ("mul", "true_div"):
        return None
    negative, given = factors(v, owner)
    roots, left = _roots(given, owner)
    first = next((f for f in roots if not f.below), None)
    if negative or left or first is None:
        return None
    return multiply(first.value, False, [f for f in roots if f is not first])


def _roots(given: Sequence[Factor], owner: Owner) -> tuple[list[Factor], list[Factor]]:
    """(The roots of squares, of pairs of equals and of powers of four, the other factors)."""
    roots, left = [], list[Factor]()
    for f in given:
        made = seen_through(f.value, owner)
        if made is not None and made.op.name == "sqr":
            roots.append(Factor(made.inputs[0], f.below))
        elif _is_power_of_four(f.value):
            roots.append(Factor(constant(np.sqrt(f.value.data)), f.below))
        elif f in left:
            left.remove(f)
            roots.append(f)
        else:
            left.append(f)
    return roots, left


def _is_power_of_four(v: Variable) -> TypeGuard[Constant]:
    if not isinstance(v, Constant) or v.data.size != 1 or v.data.item() <= 0:
        return False
    mantissa, exponent = np.frexp(v.data.item())
    return bool(mantissa == 0.5 and exponent % 2)

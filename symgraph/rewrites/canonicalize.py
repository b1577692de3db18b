"""Canonicalize: one spelling for each value, exact bit for bit.

The measure that each rule lowers: the number of ops, then of negations, then the size of what is computed, then of
ops that are not in canonical spelling. What is *not* here changes an answer: x + 0 (makes 0.0 of -0.0), x * 0, x - x,
x / x (lose a NaN or an infinity), a + b - a (loses the rounding of the sum).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np

from symgraph.errors import IndexOutOfRange
from symgraph.graph import Apply, Constant, Variable, apply, constant
from symgraph.kinds import Elementwise
from symgraph.match import Owner, make
from symgraph.ops.broadcast import expanded
from symgraph.pattern import (
    Pattern,
    cos,
    cosh,
    erf,
    identity,
    inv,
    log_sigmoid,
    maximum,
    minimum,
    neg,
    sgn,
    sin,
    sinh,
    softplus,
    sqr,
    switch,
    tanh,
)
from symgraph.pattern import abs as absolute
from symgraph.reference import folder
from symgraph.rewrite import rewriter, rule
from symgraph.rewrites.signs import is_nonnegative
from symgraph.types import UNSIGNED, is_float, is_integer

Pair = tuple[Any, Any]
FOLD_BYTES = 1024
"""Constants up to this size are worked out now; larger results are cheaper to compute than to carry."""

_fold = folder(FOLD_BYTES)

# ------------------------------------------------------------------------------------------------ arithmetic


@rule("canonicalize")
def double_negation(x: Pattern) -> Pair:
    """--x is x."""
    return neg(neg(x)), x


@rule("canonicalize")
def times_one(x: Pattern) -> Pair:
    """x * 1 is x."""
    return x * 1, x


@rule("canonicalize")
def over_one(x: Pattern) -> Pair:
    """x / 1 is x."""
    return x / 1, x


@rule("canonicalize")
def minus_zero(x: Pattern) -> Pair:
    """x - 0 is x, for -0.0 too."""
    return x - 0.0, x


@rule("canonicalize")
def plus_negative_zero(x: Pattern) -> Pair:
    """x + -0.0 is x; x + 0.0 is not, for it makes 0.0 of -0.0."""
    return x + -0.0, x


@rule("canonicalize")
def power_of_one(x: Pattern) -> Pair:
    """x ** 1 is x."""
    return x**1, x


@rewriter("canonicalize", "mul")
def negative_factor(node: Apply, owner: Owner) -> Variable | None:
    """x * -2 is -(x * 2): the sign of a product stands before it."""
    for k, v in enumerate(node.inputs):
        if is_negative(v):
            return make("neg", make("mul", *[constant(-v.data) if j == k else u for j, u in enumerate(node.inputs)]))
    return None


@rewriter("canonicalize", "true_div")
def negative_divisor(node: Apply, owner: Owner) -> Variable | None:
    """x / -2 is -(x / 2), and -2 / x is -(2 / x)."""
    if not any(map(is_negative, node.inputs)):
        return None
    x, y = [constant(-v.data) if is_negative(v) else v for v in node.inputs]
    ratio = make("true_div", x, y)
    return ratio if all(map(is_negative, node.inputs)) else make("neg", ratio)


def is_negative(v: Variable) -> TypeGuard[Constant]:
    """Whether ``v`` is a constant of floats, every one below 0."""
    return isinstance(v, Constant) and is_float(v.dtype) and v.data.size > 0 and bool((v.data < 0).all())


@rewriter("canonicalize", "add")
def plus_negative_constant(node: Apply, owner: Owner) -> Variable | None:
    """x + -2 is x - 2."""
    for k, v in enumerate(node.inputs):
        if is_negative(v):
            return make("sub", node.inputs[1 - k], constant(-v.data))
    return None


@rewriter("canonicalize", "add")
def plus_zero_of_nonnegative(node: Apply, owner: Owner) -> Variable | None:
    """x + 0 is x where no element can be -0."""
    for k, v in enumerate(node.inputs):
        if isinstance(v, Constant) and v.data.size and not v.data.any() and is_nonnegative(node.inputs[1 - k], owner):
            return _same_type(node.inputs[1 - k], node)
    return None


@rewriter("canonicalize", "sub")
def minus_negative_constant(node: Apply, owner: Owner) -> Variable | None:
    """x - -2 is x + 2."""
    x, y = node.inputs
    return make("add", x, constant(-y.data)) if is_negative(y) else None


@rewriter("canonicalize", "true_div")
def product_with_power_of_two(node: Apply, owner: Owner) -> Variable | None:
    """x / 2**k is x * 2**-k, exactly."""
    x, divisor = node.inputs
    if not isinstance(divisor, Constant) or not divisor.data.size or not is_float(divisor.dtype):
        return None
    with np.errstate(all="ignore"):
        inverse = 1 / divisor.data
    exact = np.isfinite(inverse) & (np.abs(np.frexp(divisor.data)[0]) == 0.5) & (inverse != 0)
    normal = np.abs(inverse) >= np.finfo(divisor.dtype).tiny
    if not (exact & normal).all():
        return None
    return make("mul", x, constant(inverse, divisor.dtype))


@rule("canonicalize")
def plus_negation(x: Pattern, y: Pattern) -> Pair:
    """x + -y is x - y."""
    return x + -y, x - y


@rule("canonicalize")
def minus_negation(x: Pattern, y: Pattern) -> Pair:
    """x - -y is x + y."""
    return x - -y, x + y


@rewriter("canonicalize", "mul")
def negated_factor(node: Apply, owner: Owner) -> Variable | None:
    """-x * y is -(x * y): the sign of a product stands before it, and the factors in the order they had."""
    made = [owner(v) for v in node.inputs]
    for k, inner in enumerate(made):
        if inner is not None and inner.op.name == "neg":
            return make("neg", make("mul", *[inner.inputs[0] if j == k else v for j, v in enumerate(node.inputs)]))
    return None


@rule("canonicalize")
def negated_numerator(x: Pattern, y: Pattern) -> Pair:
    """-x / y is -(x / y)."""
    return -x / y, -(x / y)


@rule("canonicalize")
def negated_denominator(x: Pattern, y: Pattern) -> Pair:
    """x / -y is -(x / y)."""
    return x / -y, -(x / y)


@rule("canonicalize")
def inverse(x: Pattern) -> Pair:
    """inv(x) is 1 / x."""
    return inv(x), 1 / x


@rule("canonicalize")
def identity_op(x: Pattern) -> Pair:
    """identity(x) is x."""
    return identity(x), x


@rewriter("canonicalize", "abs")
def absolute_of_negation(node: Apply, owner: Owner) -> Variable | None:
    """abs(-x) is abs(x), where -x is no wrapped unsigned integer."""
    inner = owner(node.inputs[0])
    if inner is None or inner.op.name != "neg" or node.inputs[0].dtype in UNSIGNED:
        return None
    return make("abs", inner.inputs[0])


@rewriter("canonicalize", "abs")
def absolute_of_nonnegative(node: Apply, owner: Owner) -> Variable | None:
    """abs(x) is x where no element can be below 0 or be -0."""
    x = node.inputs[0]
    return x if is_nonnegative(x, owner) else None


@rule("canonicalize")
def tanh_is_odd(x: Pattern) -> Pair:
    """tanh(-x) is -tanh(x)."""
    return tanh(-x), -tanh(x)


@rule("canonicalize")
def sinh_is_odd(x: Pattern) -> Pair:
    """sinh(-x) is -sinh(x)."""
    return sinh(-x), -sinh(x)


@rule("canonicalize")
def erf_is_odd(x: Pattern) -> Pair:
    """erf(-x) is -erf(x)."""
    return erf(-x), -erf(x)


@rule("canonicalize")
def sine_is_odd(x: Pattern) -> Pair:
    """sin(-x) is -sin(x)."""
    return sin(-x), -sin(x)


@rule("canonicalize")
def cosine_is_even(x: Pattern) -> Pair:
    """cos(-x) is cos(x)."""
    return cos(-x), cos(x)


@rule("canonicalize")
def cosh_is_even(x: Pattern) -> Pair:
    """cosh(-x) is cosh(x)."""
    return cosh(-x), cosh(x)


@rule("canonicalize")
def log_of_sigmoid_by_softplus(x: Pattern) -> Pair:
    """log_sigmoid(x) is -softplus(-x): one name for one thing."""
    return log_sigmoid(x), -softplus(-x)


@rule("canonicalize")
def square_of_negation(x: Pattern) -> Pair:
    """(-x)² is x²."""
    return sqr(-x), sqr(x)


@rule("canonicalize")
def square_of_absolute(x: Pattern) -> Pair:
    """|x|² is x²."""
    return sqr(absolute(x)), sqr(x)


@rule("canonicalize")
def square(x: Pattern) -> Pair:
    """x * x is x²."""
    return x * x, sqr(x)


@rule("canonicalize")
def sign_of_sign(x: Pattern) -> Pair:
    """sgn(sgn(x)) is sgn(x)."""
    return sgn(sgn(x)), sgn(x)


@rule("canonicalize")
def maximum_with_itself(x: Pattern) -> Pair:
    """maximum(x, x) is x."""
    return maximum(x, x), x


@rule("canonicalize")
def minimum_with_itself(x: Pattern) -> Pair:
    """minimum(x, x) is x."""
    return minimum(x, x), x


@rule("canonicalize", cond="bool")
def choice_without_difference(cond: Pattern, x: Pattern) -> Pair:
    """switch(cond, x, x) is x."""
    return switch(cond, x, x), x


@rewriter("canonicalize", "sub")
def integer_zero_minus(node: Apply, owner: Owner) -> Variable | None:
    """0 - x is -x for integers, which have no -0."""
    zero, x = node.inputs
    idle = is_integer(x.dtype) and isinstance(zero, Constant) and not zero.data.any()
    return _same_type(make("neg", x), node) if idle else None


@rewriter("canonicalize", "add")
def integer_plus_zero(node: Apply, owner: Owner) -> Variable | None:
    """x + 0 is x for integers, which have no -0."""
    if not is_integer(node.outputs[0].dtype):
        return None
    zero = [k for k, v in enumerate(node.inputs) if isinstance(v, Constant) and not v.data.any()]
    return _same_type(node.inputs[1 - zero[0]], node) if zero else None


def _same_type(v: Variable, node: Apply) -> Variable | None:
    """``v`` if it may stand for the output of ``node``."""
    old = node.outputs[0].type
    known = all(b is None or a == b for a, b in zip(v.type.shape, old.shape, strict=False))
    return v if v.dtype == old.dtype and v.ndim == len(old.shape) and known else None


# ------------------------------------------------------------------------------------------------ constants


@rewriter("canonicalize")
def constant_folding(node: Apply, owner: Owner) -> Sequence[Variable] | None:
    """An op on constants is worked out once."""
    if not all(isinstance(v, Constant) and owner(v) is None for v in node.inputs):
        return None
    try:
        folded = _fold(node)
    except IndexOutOfRange:
        return None  # the call raises it, with the user's line
    return None if folded is None else [constant(a, a.dtype) for a in folded]


@rewriter("canonicalize")
def scalar_constant(node: Apply, owner: Owner) -> Variable | None:
    """A constant of one element has no axes beside an operand that has them all."""
    if not isinstance(node.op, Elementwise) or len(node.inputs) < 2:
        return None
    bare = [constant(v.data.reshape(())) if isinstance(v, Constant) and v.data.size == 1 else v for v in node.inputs]
    if all(a is b for a, b in zip(bare, node.inputs, strict=True)) or not any(v.ndim for v in bare):
        return None
    new = apply(node.op, bare, node.attrs).outputs[0]
    return new if new.type == node.outputs[0].type else None


@rewriter("canonicalize", "switch")
def known_choice(node: Apply, owner: Owner) -> Variable | None:
    """switch with a constant condition is the branch taken."""
    cond = node.inputs[0]
    if not isinstance(cond, Constant) or not cond.data.size:
        return None
    if cond.data.any() and not cond.data.all():
        return None
    taken, old = node.inputs[1 if cond.data.all() else 2], node.outputs[0].type
    return expanded(taken, old.shape) if old.is_static else _same_type(taken, node)  # type: ignore[arg-type]

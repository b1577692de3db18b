"""Stabilize: powers, roots and common factors (see ``stabilize`` for the law and the measure)."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.graph import Apply, Constant, Variable, apply, constant
from symgraph.match import Owner, make
from symgraph.pattern import (
    Pattern,
    cos,
    cosh,
    coshm1,
    exp,
    exp_product,
    exponent_of_power,
    log,
    log_prod,
    prod,
    sin,
    sqr,
    sqrt,
    xlogx,
)
from symgraph.pattern import abs as absolute
from symgraph.rewrite import repaired, rewriter, rule
from symgraph.rewrites.signs import is_nonnegative, is_positive_constant
from symgraph.types import is_float

Pair = tuple[Any, Any]

# ------------------------------------------------------------------------------------------------ powers


@rule("stabilize")
def square_from_power(x: Pattern) -> Pair:
    """x * x is rounded once; a general power is not."""
    return x**2, sqr(x)


@rewriter("stabilize", "mul")
def merged_powers_of_two(node: Apply, owner: Owner) -> Variable | None:
    """2 * (0.5 * x) and 2 * (0.5 * x / y) are x and x / y: factors that are powers of two are exact, and together
    overflow later than one by one."""
    k = _power_of_two(node)
    made = None if k is None else owner(node.inputs[1 - k])
    if k is None or made is None:
        return None
    scale = node.inputs[k].data  # type: ignore[attr-defined]
    if made.op is node.op:
        return _scaled(made, scale)
    above = owner(made.inputs[0]) if made.op.name == "true_div" else None
    product = None if above is None or above.op is not node.op else _scaled(above, scale, nearer=True)
    return None if product is None else make("true_div", product, made.inputs[1])


def _scaled(product: Apply, scale: np.ndarray, nearer: bool = False) -> Variable | None:
    """A product with a power of two in it, times ``scale``, where both make one power of two, neither infinity nor 0;
    with ``nearer`` it must be nearer to 1 than the one: then nothing overflows that did not."""
    k = _power_of_two(product)
    if k is None:
        return None
    before = product.inputs[k].data  # type: ignore[attr-defined]
    with np.errstate(over="ignore", under="ignore"):
        together = scale * before
    if not _is_power_of_two(together) or (nearer and _distance(together) >= _distance(before)):
        return None
    return make("mul", constant(together), product.inputs[1 - k])


def _distance(power: np.ndarray) -> int:
    """How many doublings or halvings a power of two is from 1."""
    return abs(int(np.frexp(power)[1]) - 1)


@rewriter("stabilize", "sum")
def power_of_two_out_of_sum(node: Apply, owner: Owner) -> Variable | None:
    """The sum of 2 * x is twice that of x, exactly: beside the sum the factor meets others."""
    made = owner(node.inputs[0])
    k = _power_of_two(made) if made is not None and made.op.name == "mul" else None
    if made is None or k is None or abs(made.inputs[k].data) < 1:  # type: ignore[attr-defined]
        return None
    return make("mul", made.inputs[k], apply(node.op, [made.inputs[1 - k]], node.attrs).outputs[0])


def _power_of_two(node: Apply) -> int | None:
    """Which factor is a constant scalar power of two."""
    for k, v in enumerate(node.inputs):
        if isinstance(v, Constant) and v.ndim == 0 and is_float(v.dtype) and _is_power_of_two(v.data):
            return k
    return None


def _is_power_of_two(number: np.ndarray) -> bool:
    """Whether a number is a power of two or the negative of one."""
    return bool(abs(np.frexp(number)[0]) == 0.5)


@rule("stabilize")
def root_of_square(x: Pattern) -> Pair:
    """x² overflows or underflows where its root is still abs(x)."""
    return sqrt(sqr(x)), absolute(x)


@rule("stabilize")
def one_minus_cosine(x: Pattern) -> Pair:
    """1 - cos(x) cancels for small x; 2*sin(x/2)² keeps every digit."""
    return 1 - cos(x), 2 * sqr(sin(0.5 * x))


@rule("stabilize")
def cosh_minus_one(x: Pattern) -> Pair:
    """cosh(x) - 1 is about x²/2 for small x, and cancels there."""
    return cosh(x) - 1, coshm1(x)


@rewriter("stabilize", "pow")
def root_of_nonnegative(node: Apply, owner: Owner) -> Variable | None:
    """x ** 0.5 is sqrt(x) where x cannot be negative: a power makes inf of -inf and 0 of -0, a root does not."""
    x, exponent = node.inputs
    if not _is_exponent(exponent, 0.5) or not is_nonnegative(x, owner):
        return None
    root = make("sqrt", x)
    return root if root.type == node.outputs[0].type else None


@rewriter("stabilize", "pow")
def inverse_root_of_nonnegative(node: Apply, owner: Owner) -> Variable | None:
    """x ** -0.5 is 1 / sqrt(x) where x cannot be negative."""
    x, exponent = node.inputs
    if not _is_exponent(exponent, -0.5) or not is_nonnegative(x, owner):
        return None
    ratio = make("true_div", 1, make("sqrt", x))
    return ratio if ratio.type == node.outputs[0].type else None


def _is_exponent(v: Variable, number: float) -> bool:
    return isinstance(v, Constant) and v.data.size > 0 and bool((v.data == number).all())


@rewriter("stabilize", "log")
def log_of_power(node: Apply, owner: Owner) -> Variable | None:
    """x ** n overflows or underflows where n * log(x) is an ordinary number; |x| for an even n, and an odd one is above
    0: a power below it makes -inf of -0, which has no logarithm. Of another exponent it depends on x what this is."""
    power = owner(node.inputs[0])
    if power is None or power.op.name not in ("pow", "compound") or not is_float(power.outputs[0].dtype):
        return None
    x, exponent = power.inputs
    same = node.outputs[0].type == x.type
    if power.op.name == "pow" and isinstance(exponent, Constant) and not exponent.ndim and same:
        n = exponent.data
        if n % 2 == 0 and n != 0:
            return make("mul", make("log", make("abs", x)), exponent)
        if n % 2 == 1 and n > 0:
            return make("mul", make("log", x), exponent)
    if power.op.name == "compound":
        return make("log_compound", x, exponent)
    return None if is_positive_constant(x) else make("log_power", x, exponent)


@rule("stabilize")
def power_of_exp(x: Pattern, s: Pattern) -> Pair:
    """exp(x) overflows or underflows where a power of it, exp(x*s), does not."""
    return exp(x) ** s, exp_product(x, s)


@rule("stabilize")
def log_of_power_of_exp(x: Pattern, s: Pattern) -> Pair:
    """exp(x)**s overflows or underflows where its logarithm is an ordinary number."""
    return log(exp_product(x, s)), exponent_of_power(x, s)


@rewriter("stabilize", "exponent_of_power", "exp_product")
def power_of_exp_by_constant(node: Apply, owner: Owner) -> Variable | None:
    """The exponent of exp(x)**3 is 3*x; exp(x)**4 is exp(4*x), exactly."""
    x, s = node.inputs
    if not isinstance(s, Constant) or not s.data.size or not (np.isfinite(s.data) & (s.data != 0)).all():
        return None
    if node.op.name == "exponent_of_power":
        return make("mul", s, x)
    return make("exp", make("mul", s, x)) if s.ndim == 0 and _is_power_of_two(s.data) else None


@rule("stabilize")
def log_of_cube(x: Pattern) -> Pair:
    """x³ overflows or underflows where its logarithm is an ordinary number."""
    return log(x * sqr(x)), 3 * log(x)


@rule("stabilize")
def inverse_square_from_power(x: Pattern) -> Pair:
    """A power is not rounded once, and of what else a product or a sum is made is not seen in it; 1/x² is (1/x)²."""
    return x**-2, sqr(1 / x)


@rule("stabilize")
def inverse_from_power(x: Pattern) -> Pair:
    """A power is not rounded once; 1 / x is, and products and sums know it."""
    return x**-1, 1 / x


@rule("stabilize")
def difference_to_square(x: Pattern) -> Pair:
    """x - x² cancels for x near 1, and has no digit more than 1 - x there."""
    return x - sqr(x), x * (1 - x)


@rule("stabilize", x="positive")
def xlogx_from_product(x: Pattern) -> Pair:
    """x * log(x) is 0 * -inf at 0, where it tends to 0."""
    return x * log(x), xlogx(x)


@rule("stabilize")
def inverse_of_quotient(x: Pattern, y: Pattern) -> Pair:
    """1 / (x/y) rounds twice, and overflows or underflows on its way; it is y / x, and of x = 1 it is y."""
    return 1 / (x / y), y / x


@rule("stabilize")
def product_with_inverse(x: Pattern, y: Pattern) -> Pair:
    """x * (1/y) is rounded twice, and 1/y may overflow; x / y is rounded once."""
    return x * (1 / y), x / y


@rule("stabilize")
def log_of_prod(x: Pattern, axis: Pattern, keepdims: Pattern) -> Pair:
    """The product overflows or underflows where its logarithm is an ordinary number."""
    return log(prod(x, axis=axis, keepdims=keepdims)), log_prod(x, axis=axis, keepdims=keepdims)


@rule("stabilize")
def log_prod_of_squares(x: Pattern, axis: Pattern, keepdims: Pattern) -> Pair:
    """The squares underflow or overflow before they are multiplied."""
    squares = log_prod(sqr(x), axis=axis, keepdims=keepdims)
    return squares, 2 * log_prod(absolute(x), axis=axis, keepdims=keepdims)


# ------------------------------------------------------------------------------------------------ common factors


@rewriter("stabilize", "add", "sub")
def common_power_of_two(node: Apply, owner: Owner) -> Variable | None:
    """0.5 + 0.5*tanh(x) is 0.5*(1 + tanh(x)), exactly: a common factor that is a power of two is taken out where that
    makes the sum one that has a name."""
    for v in node.inputs:
        scale = _scale(v, owner)
        if scale is None:
            continue
        parts = [_divided(u, scale, owner) for u in node.inputs]
        if all(p is not None for p in parts):
            found = repaired(apply(node.op, parts, node.attrs), owner, pairs_only=True)  # type: ignore[arg-type]
            if found is not None:
                return make("mul", found, constant(scale, node.outputs[0].dtype))
    return None


def _scale(v: Variable, owner: Owner) -> float | None:
    """The factor of ``v`` that is a power of two, not 1."""
    made = owner(v)
    k = _power_of_two(made) if made is not None and made.op.name == "mul" else None
    return None if k is None else float(made.inputs[k].data)  # type: ignore[union-attr]


def _divided(v: Variable, scale: float, owner: Owner) -> Variable | None:
    """``v`` over ``scale``, where that is plain to see, and exact."""
    if isinstance(v, Constant) and v.ndim == 0:
        divisor = np.asarray(scale, v.dtype)
        with np.errstate(over="ignore", under="ignore"):
            quotient = v.data / divisor
            return constant(quotient) if quotient * divisor == v.data else None
    return owner(v).inputs[1 - _power_of_two(owner(v))] if _scale(v, owner) == scale else None  # type: ignore

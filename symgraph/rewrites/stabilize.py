"""Stabilize: what overflows, cancels or rounds away becomes a named op that does not.

The law of each rule, for its left side L and right side R: where L is right to rounding, so is R; on finite inputs R
is never further from the real answer; at infinite inputs R equals L, or L is NaN and R the limit; a NaN that comes in
gives what L gives; the gradient of L, where it is finite and off kinks, is that of R. So these stay out: exp(log(x))
(x hides the NaN of a negative x), log(prod(x)) (two negative factors), x - m - c in any other order than the user's
(see ``symgraph.match``).

The measure that each rule lowers: the number of ops that take part in a cancellation, an overflow or an underflow; and
where that stays, the number of ops.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.coercion import convert
from symgraph.graph import Apply, Constant, Variable, apply
from symgraph.kinds import Elementwise
from symgraph.match import Matcher, Owner, build, make
from symgraph.ops.exponentials import exponentials, peak
from symgraph.ops.shape import permute
from symgraph.pattern import (
    Pattern,
    arcsinh,
    arctanh,
    cos,
    erf,
    erfc,
    erfcx,
    exp,
    expm1,
    log,
    log1mexp,
    log1p,
    log_sigmoid,
    log_softmax,
    logaddexp,
    logsumexp,
    sech2,
    sigmoid,
    sin,
    sinh,
    softmax,
    softmax_complement,
    softplus,
    sqr,
    sqrt,
    tanh,
)
from symgraph.pattern import abs as absolute
from symgraph.pattern import max as max_
from symgraph.pattern import sum as sum_
from symgraph.rewrite import rewriter, rule, rules_for
from symgraph.types import is_float

Pair = tuple[Any, Any]

_EXP = exp(Pattern(name="x"))
_SUM_OF_EXP = sum_(_EXP, axis=Pattern(name="axis"), keepdims=Pattern(name="keepdims"))

# ------------------------------------------------------------------------------------------------ softmax


@rule("stabilize")
def softmax_from_ratio(x: Pattern, axis: Pattern) -> Pair:
    """exp overflows float32 past 88, and inf / inf is NaN; softmax subtracts the maximum first."""
    e = exp(x)
    return e / sum_(e, axis=axis, keepdims=True), softmax(x, axis=axis)


@rule("stabilize")
def softmax_of_shifted(x: Pattern, axis: Pattern) -> Pair:
    """softmax subtracts the maximum itself: doing it before is idle, and costs gradients their accuracy."""
    return softmax(x - max_(x, axis=axis, keepdims=True), axis=axis), softmax(x, axis=axis)


@rule("stabilize")
def log_of_softmax(x: Pattern, axis: Pattern) -> Pair:
    """A small probability is rounded to 0, and its logarithm to -inf; log_softmax never forms it."""
    return log(softmax(x, axis=axis)), log_softmax(x, axis=axis)


@rule("stabilize")
def one_minus_softmax(x: Pattern, axis: Pattern) -> Pair:
    """1 - softmax(x) cancels where one element dominates; its complement keeps every digit."""
    return 1 - softmax(x, axis=axis), softmax_complement(x, axis=axis)


@rule("stabilize")
def log_softmax_from_difference(x: Pattern, axis: Pattern) -> Pair:
    """x and logsumexp(x) may be large and close: log_softmax subtracts the maximum before it adds."""
    return x - logsumexp(x, axis=axis, keepdims=True), log_softmax(x, axis=axis)


@rule("stabilize")
def log_softmax_of_shifted(x: Pattern, axis: Pattern) -> Pair:
    """log_softmax subtracts the maximum itself."""
    return log_softmax(x - max_(x, axis=axis, keepdims=True), axis=axis), log_softmax(x, axis=axis)


@rule("stabilize")
def exp_of_log_softmax(x: Pattern, axis: Pattern) -> Pair:
    """exp magnifies the rounding of a large negative logarithm; softmax has no logarithm."""
    return exp(log_softmax(x, axis=axis)), softmax(x, axis=axis)


# ------------------------------------------------------------------------------------------------ logsumexp


@rule("stabilize")
def logsumexp_from_parts(x: Pattern, axis: Pattern, keepdims: Pattern) -> Pair:
    """exp overflows, or all of it underflows to log(0); logsumexp takes the maximum out first."""
    return log(sum_(exp(x), axis=axis, keepdims=keepdims)), logsumexp(x, axis=axis, keepdims=keepdims)


@rule("stabilize")
def logsumexp_of_shifted(x: Pattern, axis: Pattern) -> Pair:
    """logsumexp takes the maximum out and puts it back itself."""
    peak = max_(x, axis=axis, keepdims=True)
    return peak + logsumexp(x - peak, axis=axis, keepdims=True), logsumexp(x, axis=axis, keepdims=True)


@rule("stabilize")
def logsumexp_of_shifted_flat(x: Pattern, axis: Pattern) -> Pair:
    """logsumexp takes the maximum out and puts it back itself."""
    peak = max_(x, axis=axis, keepdims=True)
    return (
        max_(x, axis=axis, keepdims=False) + logsumexp(x - peak, axis=axis, keepdims=False),
        logsumexp(x, axis=axis, keepdims=False),
    )


@rewriter("stabilize", "log")
def log_of_mean_of_exp(node: Apply, owner: Owner) -> Variable | None:
    """The mean of exponentials overflows, or underflows to log(0), as their sum does: the maximum is taken out first.

    It is not logsumexp(x) - log(n), which cancels where the mean is near 1.
    """
    ratio = owner(node.inputs[0])
    if ratio is None or ratio.op.name not in ("mul", "true_div"):
        return None
    for k, v in enumerate(ratio.inputs[: 1 if ratio.op.name == "true_div" else 2]):
        parts = next(Matcher(owner, views=True).match(_SUM_OF_EXP, v, {}), None)
        if parts is not None:
            return _shifted_log(ratio, k, **parts)
    return None


def _shifted_log(ratio: Apply, slot: int, x: Any, axis: Any, keepdims: Any) -> Variable:
    """log of the ratio with the maximum taken out of the sum that stands at ``slot`` in it."""
    best = peak(x, axis)
    _, total = exponentials(x, best, axis)
    if not keepdims:
        left = tuple(k for k in range(x.ndim) if k not in axis)
        best, total = permute(best, left), permute(total, left)
    scaled = [convert(total, x.dtype) if k == slot else v for k, v in enumerate(ratio.inputs)]
    return make("add", make("log", make(ratio.op.name, *scaled)), best)


@rule("stabilize")
def logaddexp_from_parts(x: Pattern, y: Pattern) -> Pair:
    """exp overflows, or both underflow to log(0); logaddexp takes the larger out first."""
    return log(exp(x) + exp(y)), logaddexp(x, y)


@rewriter("stabilize", "log")
def logaddexp_of_several(node: Apply, owner: Owner) -> Variable | None:
    """log(exp(x) + exp(y) + exp(z) + ...) overflows as the sum does; logaddexp takes the largest out."""
    terms = _added(node.inputs[0], owner)
    logs = [_log_of_term(v, owner) for v in terms]
    known = [v for v in logs if v is not None]
    if len(known) < max(3, len(terms)):
        return None
    return functools.reduce(functools.partial(make, "logaddexp"), known)


def _added(v: Variable, owner: Owner, limit: int = 32) -> list[Variable]:
    """The terms of a sum in order, none negative; at most ``limit``."""
    found: list[Variable] = []
    stack = [v]
    while stack:
        v = stack.pop()
        node = owner(v)
        if node is None or node.op.name != "add" or len(found) + len(stack) >= limit:
            found.append(v)
        else:
            stack += node.inputs[::-1]
    return found


def _log_of_term(v: Variable, owner: Owner) -> Variable | None:
    """x for a term exp(x), log(c) for a positive constant."""
    if isinstance(v, Constant) and v.data.size == 1 and v.data.item() > 0:
        return make("log", v)
    found = next(Matcher(owner, views=True).match(_EXP, v, {}), None)
    return None if found is None else build(_EXP.inputs[0], found)


# ------------------------------------------------------------------------------------------------ exp and log


@rule("stabilize")
def log_of_exp(x: Pattern) -> Pair:
    """exp overflows where its logarithm is still x."""
    return log(exp(x)), x


@rule("stabilize")
def log1p_of_expm1(x: Pattern) -> Pair:
    """expm1 overflows where its log1p is still x."""
    return log1p(expm1(x)), x


@rule("stabilize")
def log1p_of_exp(x: Pattern) -> Pair:
    """log(1 + exp(x)) overflows; softplus is x where exp(x) is large, and exp(x) where it is small."""
    return log1p(exp(x)), softplus(x)


@rule("stabilize")
def log1p_from_log(x: Pattern) -> Pair:
    """1 + x rounds a small x away; log1p keeps every digit."""
    return log(1 + x), log1p(x)


@rule("stabilize")
def log1p_of_negation(x: Pattern) -> Pair:
    """1 - x rounds a small x away; log1p keeps every digit."""
    return log(1 - x), log1p(-x)


@rule("stabilize")
def expm1_from_exp(x: Pattern) -> Pair:
    """exp(x) - 1 cancels for small x; expm1 keeps every digit."""
    return exp(x) - 1, expm1(x)


@rule("stabilize")
def log1mexp_from_parts(x: Pattern) -> Pair:
    """log(1 - exp(x)) loses its digits for x near 0 or far below; log1mexp picks the right form for each."""
    return log(-expm1(x)), log1mexp(x)


@rule("stabilize")
def log1mexp_from_log1p(x: Pattern) -> Pair:
    """log1p(-exp(x)) loses its digits for x near 0; log1mexp picks the right form."""
    return log1p(-exp(x)), log1mexp(x)


# ------------------------------------------------------------------------------------------------ hyperbolic


@rule("stabilize")
def sinh_from_difference(x: Pattern) -> Pair:
    """exp(x) - exp(-x) cancels for small x; sinh keeps every digit."""
    return exp(x) - exp(-x), 2 * sinh(x)


@rule("stabilize")
def tanh_from_ratio(x: Pattern) -> Pair:
    """The ratio of sinh and cosh is inf / inf for large x; tanh is 1."""
    return 2 * sinh(x) / (exp(x) + exp(-x)), tanh(x)


@rule("stabilize")
def tanh_from_expm1(x: Pattern) -> Pair:
    """(exp(x) - 1) / (exp(x) + 1) is inf / inf for large x; tanh is 1."""
    return expm1(x) / (1 + exp(x)), tanh(0.5 * x)


@rule("stabilize")
def tanh_from_sigmoid(x: Pattern) -> Pair:
    """2*sigmoid(x) - 1 cancels for small x; tanh keeps every digit."""
    return 2 * sigmoid(x) - 1, tanh(0.5 * x)


@rule("stabilize")
def sigmoid_from_tanh(x: Pattern) -> Pair:
    """1 + tanh(x) cancels for negative x; sigmoid keeps every digit."""
    return 0.5 * (1 + tanh(x)), sigmoid(2 * x)


@rule("stabilize")
def one_minus_square_of_tanh(x: Pattern) -> Pair:
    """1 - tanh(x)² cancels to 0 for large x; sech(x)² keeps every digit."""
    return 1 - sqr(tanh(x)), sech2(x)


@rule("stabilize")
def arcsinh_from_log(x: Pattern) -> Pair:
    """x + sqrt(x² + 1) cancels for negative x and overflows for large; arcsinh does neither."""
    return log(x + sqrt(1 + sqr(x))), arcsinh(x)


@rule("stabilize", x="unit")
def arctanh_from_log(x: Pattern) -> Pair:
    """(1 + x) / (1 - x) rounds a small x away; arctanh keeps every digit."""
    return log((1 + x) / (1 - x)), 2 * arctanh(x)


# ------------------------------------------------------------------------------------------------ sigmoid


@rule("stabilize")
def sigmoid_from_ratio(x: Pattern) -> Pair:
    """exp(x) / (1 + exp(x)) is inf / inf for large x; sigmoid is 1."""
    e = exp(x)
    return e / (1 + e), sigmoid(x)


@rule("stabilize")
def sigmoid_from_inverse(x: Pattern) -> Pair:
    """The gradient of 1 / (1 + exp(-x)) is 0 * inf for very negative x; sigmoid's is exact on both sides."""
    return 1 / (1 + exp(-x)), sigmoid(x)


@rule("stabilize")
def one_minus_sigmoid(x: Pattern) -> Pair:
    """1 - sigmoid(x) cancels to 0 for large x; sigmoid(-x) keeps every digit."""
    return 1 - sigmoid(x), sigmoid(-x)


@rule("stabilize")
def log_of_sigmoid(x: Pattern) -> Pair:
    """sigmoid underflows to 0 for very negative x, and its logarithm to -inf; log_sigmoid is about x there."""
    return log(sigmoid(x)), log_sigmoid(x)


@rule("stabilize")
def log1p_of_negated_sigmoid(x: Pattern) -> Pair:
    """1 - sigmoid(x) cancels to 0 for large x, and its logarithm is -inf; log_sigmoid(-x) is about -x there."""
    return log1p(-sigmoid(x)), log_sigmoid(-x)


@rule("stabilize")
def exp_of_log_sigmoid(x: Pattern) -> Pair:
    """exp magnifies the rounding of a large negative logarithm; sigmoid has no logarithm."""
    return exp(log_sigmoid(x)), sigmoid(x)


@rule("stabilize")
def exp_of_negated_softplus(x: Pattern) -> Pair:
    """exp magnifies the rounding of softplus; sigmoid does not form it."""
    return exp(-softplus(x)), sigmoid(-x)


@rule("stabilize")
def softplus_minus_argument(x: Pattern) -> Pair:
    """softplus(x) - x cancels for large x; softplus(-x) keeps every digit."""
    return softplus(x) - x, softplus(-x)


@rule("stabilize")
def odds_of_sigmoid(x: Pattern) -> Pair:
    """p / (1 - p) is a ratio with a vanishing denominator; for p = sigmoid(x) it is exp(x)."""
    return sigmoid(x) / sigmoid(-x), exp(x)


# ------------------------------------------------------------------------------------------------ squares and erf


@rule("stabilize")
def square_from_power(x: Pattern) -> Pair:
    """x * x is rounded once; a general power is not."""
    return x**2, sqr(x)


@rewriter("stabilize", "mul")
def merged_powers_of_two(node: Apply, owner: Owner) -> Variable | None:
    """2 * (0.5 * x) is x: factors that are powers of two are exact, and together overflow later than one by one."""
    outer = _power_of_two(node)
    for k, v in enumerate(node.inputs):
        made = owner(v)
        if outer == 1 - k and made is not None and made.op is node.op:
            inner = _power_of_two(made)
            if inner is not None:
                return make("mul", make("mul", node.inputs[outer], made.inputs[inner]), made.inputs[1 - inner])
    return None


def _power_of_two(node: Apply) -> int | None:
    """Which factor is a constant scalar power of two."""
    for k, v in enumerate(node.inputs):
        if isinstance(v, Constant) and v.ndim == 0 and is_float(v.dtype) and abs(np.frexp(v.data)[0]) == 0.5:
            return k
    return None


@rule("stabilize")
def root_of_square(x: Pattern) -> Pair:
    """x² overflows or underflows where its root is still abs(x)."""
    return sqrt(sqr(x)), absolute(x)


@rule("stabilize")
def one_minus_cosine(x: Pattern) -> Pair:
    """1 - cos(x) cancels for small x; 2*sin(x/2)² keeps every digit."""
    return 1 - cos(x), 2 * sqr(sin(0.5 * x))


@rule("stabilize", x="moderate")
def one_minus_erf(x: Pattern) -> Pair:
    """1 - erf(x) cancels to 0 for large x; erfc keeps every digit."""
    return 1 - erf(x), erfc(x)


@rule("stabilize", x="moderate")
def one_plus_erf(x: Pattern) -> Pair:
    """1 + erf(x) cancels to 0 for very negative x (the normal distribution function); erfc keeps every digit."""
    return 1 + erf(x), erfc(-x)


@rule("stabilize", x="moderate")
def erfcx_from_product(x: Pattern) -> Pair:
    """exp(x²) overflows where erfc(x) underflows; erfcx is their product."""
    return exp(sqr(x)) * erfc(x), erfcx(x)


# ------------------------------------------------------------------------------------------------ through views

VIEWS = ("gather", "slice", "dimshuffle", "reshape", "broadcast_to", "broadcast_like")


@rewriter("stabilize")
def elementwise_through_view(node: Apply, owner: Owner) -> Variable | None:
    """log(softmax(x)[i, y]) is log(softmax(x))[i, y]: an op on chosen elements is the same op before the choice, which
    is done where that makes it stable."""
    slot = _only_operand(node)
    if slot is None:
        return None
    chain, base = _views(node.inputs[slot], owner)
    if not chain or owner(base) is None:
        return None
    before = [base if k == slot else v for k, v in enumerate(node.inputs)]
    repaired = _repaired(_on(node, before), owner)
    if repaired is None:
        return None
    for view in reversed(chain):
        repaired = apply(view.op, [repaired, *view.inputs[1:]], view.attrs).outputs[0]
    return repaired


def _only_operand(node: Apply) -> int | None:
    """The one operand of an elementwise op that is no constant scalar."""
    if not isinstance(node.op, Elementwise):
        return None
    open_ = [k for k, v in enumerate(node.inputs) if not (isinstance(v, Constant) and v.ndim == 0)]
    return open_[0] if len(open_) == 1 else None


def _views(v: Variable, owner: Owner) -> tuple[list[Apply], Variable]:
    """The ops that only choose or place elements, outermost first, and what they choose from."""
    chain = []
    while (node := owner(v)) is not None and node.op.name in VIEWS:
        chain.append(node)
        v = node.inputs[0]
    return chain, v


def _on(node: Apply, inputs: Sequence[Variable]) -> Apply:
    return apply(node.op, inputs, node.attrs)


def _repaired(node: Apply, owner: Owner) -> Variable | None:
    """What the first rule of this phase that concerns ``node`` makes of it."""
    for r in rules_for("stabilize", node.op.name):
        if r.phase == "stabilize" and r.left is not None:
            found = r.apply(node, owner)
            if found is not None:
                return found[0]
    return None

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

from typing import Any

from symgraph.pattern import (
    Pattern,
    exp,
    exp_difference,
    expm1,
    log,
    log1mexp,
    log1mexp_of_exp,
    log1p,
    log_softmax,
    logaddexp,
    logsumexp,
    softmax,
    softmax_complement,
    softplus,
    sqr,
    sqrt,
)
from symgraph.pattern import abs as absolute
from symgraph.pattern import max as max_
from symgraph.pattern import sum as sum_
from symgraph.rewrite import rule

Pair = tuple[Any, Any]

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


@rule("stabilize")
def logaddexp_from_parts(x: Pattern, y: Pattern) -> Pair:
    """exp overflows, or both underflow to log(0); logaddexp takes the larger out first."""
    return log(exp(x) + exp(y)), logaddexp(x, y)


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


@rule("stabilize")
def log1mexp_of_exponential(x: Pattern) -> Pair:
    """exp(x) underflows for very negative x, and log(1 - exp(-exp(x))) is -inf, where it is x."""
    return log1mexp(-exp(x)), log1mexp_of_exp(x)


@rule("stabilize")
def inverse_of_exp(x: Pattern) -> Pair:
    """1 / exp(x) is 0 or inf before exp(-x) is, and its gradient inf / inf."""
    return 1 / exp(x), exp(-x)


@rule("stabilize")
def product_of_exps(x: Pattern, y: Pattern) -> Pair:
    """One exponential overflows where the other mends it: the exponents are added first, and nothing of them lost."""
    return exp(x) * exp(y), exp_difference(x, -y)


@rule("stabilize")
def inverse_of_exp_difference(x: Pattern, y: Pattern) -> Pair:
    """1 / exp(x - y) is 0 or inf before exp(y - x) is."""
    return 1 / exp_difference(x, y), exp_difference(y, x)


@rule("stabilize")
def root_of_exp_difference(x: Pattern, y: Pattern) -> Pair:
    """exp(x - y) overflows where its root does not."""
    return sqrt(exp_difference(x, y)), exp_difference(0.5 * x, 0.5 * y)


@rule("stabilize")
def square_of_exp(x: Pattern) -> Pair:
    """exp(x)² is exp(2x)."""
    return sqr(exp(x)), exp(2 * x)


@rule("stabilize")
def root_of_exp(x: Pattern) -> Pair:
    """exp(x) overflows where its root, exp(x/2), does not."""
    return sqrt(exp(x)), exp(0.5 * x)


@rule("stabilize")
def expm1_from_product(x: Pattern) -> Pair:
    """exp(x) * (exp(-x) - 1) is 0 * inf for very negative x."""
    return exp(x) * expm1(-x), -expm1(x)


@rule("stabilize", x="positive")
def log_of_expm1(x: Pattern) -> Pair:
    """expm1 overflows where its logarithm is x."""
    return log(expm1(x)), x + log1mexp(-x)


@rule("stabilize")
def log_of_square(x: Pattern) -> Pair:
    """x² overflows or underflows where its logarithm is an ordinary number."""
    return log(sqr(x)), 2 * log(absolute(x))


@rule("stabilize")
def log_of_root(x: Pattern) -> Pair:
    """The rounding of sqrt(x) is as large as its logarithm where x is near 1."""
    return log(sqrt(x)), 0.5 * log(x)


@rule("stabilize")
def logaddexp_with_zero(x: Pattern) -> Pair:
    """logaddexp(x, 0) rounds off what softplus keeps of a very negative x."""
    return logaddexp(x, 0.0), softplus(x)


@rule("stabilize")
def logaddexp_minus_argument(x: Pattern, y: Pattern) -> Pair:
    """logaddexp(x, y) - x cancels where both are large; softplus of the difference keeps every digit."""
    return logaddexp(x, y) - x, softplus(y - x)

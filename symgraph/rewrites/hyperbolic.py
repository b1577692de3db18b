"""Stabilize: the hyperbolic and logistic functions (see ``stabilize`` for the law and the measure)."""

from __future__ import annotations

import math
from typing import Any

from symgraph.pattern import (
    Pattern,
    arctanh,
    cosh,
    exp,
    expm1,
    log,
    log1mexp,
    log1p,
    log_cosh,
    log_softplus,
    logit,
    maximum,
    relu,
    sech,
    sech2,
    sigmoid,
    sinh,
    softplus,
    sqr,
    tanh,
)
from symgraph.pattern import abs as absolute
from symgraph.rewrite import rule

Pair = tuple[Any, Any]

# ------------------------------------------------------------------------------------------------ hyperbolic


@rule("stabilize")
def sinh_from_difference(x: Pattern) -> Pair:
    """exp(x) - exp(-x) cancels for small x; sinh keeps every digit."""
    return exp(x) - exp(-x), 2 * sinh(x)


@rule("stabilize")
def cosh_from_sum(x: Pattern) -> Pair:
    """exp(x) + exp(-x) by its name, which rules on cosh know."""
    return exp(x) + exp(-x), 2 * cosh(x)


@rule("stabilize")
def tanh_from_ratio(x: Pattern) -> Pair:
    """The ratio of sinh and cosh is inf / inf for large x; tanh is 1."""
    return sinh(x) / cosh(x), tanh(x)


@rule("stabilize")
def coth_from_ratio(x: Pattern) -> Pair:
    """The ratio of cosh and sinh is inf / inf for large x; 1 / tanh is 1."""
    return cosh(x) / sinh(x), 1 / tanh(x)


@rule("stabilize")
def inverse_of_cosh(x: Pattern) -> Pair:
    """The gradient of 1 / cosh(x) is 0 * inf for large x; that of sech is 0."""
    return 1 / cosh(x), sech(x)


@rule("stabilize")
def square_of_sech(x: Pattern) -> Pair:
    """sech(x)² by the name that its gradient needs."""
    return sqr(sech(x)), sech2(x)


@rule("stabilize")
def log_of_cosh(x: Pattern) -> Pair:
    """cosh overflows where its logarithm is |x| - log(2), and is rounded to 1 where it is x²/2."""
    return log(cosh(x)), log_cosh(x)


@rule("stabilize")
def log_of_sinh(x: Pattern) -> Pair:
    """sinh overflows where its logarithm is x - log(2)."""
    return log(sinh(x)), x + log1mexp(-(2 * x)) - math.log(2)


@rule("stabilize")
def log_of_twice_sinh(x: Pattern) -> Pair:
    """exp(x) - exp(-x) overflows where its logarithm is x."""
    return log(2 * sinh(x)), x + log1mexp(-(2 * x))


@rule("stabilize")
def log_of_sech(x: Pattern) -> Pair:
    """sech underflows where its logarithm is log(2) - |x|."""
    return log(sech(x)), -log_cosh(x)


@rule("stabilize")
def log_of_sech2(x: Pattern) -> Pair:
    """sech² underflows where its logarithm is 2*log(2) - 2|x|."""
    return log(sech2(x)), -(2 * log_cosh(x))


@rule("stabilize")
def tanh_from_expm1(x: Pattern) -> Pair:
    """(exp(x) - 1) / (exp(x) + 1) is inf / inf for large x; tanh is 1."""
    return expm1(x) / (1 + exp(x)), tanh(0.5 * x)


@rule("stabilize")
def tanh_from_sigmoid(x: Pattern) -> Pair:
    """2*sigmoid(x) - 1 cancels for small x; tanh keeps every digit."""
    return 2 * sigmoid(x) - 1, tanh(0.5 * x)


@rule("stabilize")
def sigmoid_minus_half(x: Pattern) -> Pair:
    """sigmoid(x) - 0.5 cancels for small x; tanh keeps every digit."""
    return sigmoid(x) - 0.5, 0.5 * tanh(0.5 * x)


@rule("stabilize")
def tanh_from_sigmoids(x: Pattern) -> Pair:
    """sigmoid(x) - sigmoid(-x) cancels for small x; tanh keeps every digit."""
    return sigmoid(x) - sigmoid(-x), tanh(0.5 * x)


@rule("stabilize")
def one_plus_tanh(x: Pattern) -> Pair:
    """1 + tanh(x) cancels for negative x; sigmoid keeps every digit."""
    return 1 + tanh(x), 2 * sigmoid(2 * x)


@rule("stabilize")
def one_minus_tanh(x: Pattern) -> Pair:
    """1 - tanh(x) cancels for large x; sigmoid keeps every digit."""
    return 1 - tanh(x), 2 * sigmoid(-(2 * x))


@rule("stabilize")
def one_minus_square_of_tanh(x: Pattern) -> Pair:
    """1 - tanh(x)² cancels to 0 for large x; sech(x)² keeps every digit."""
    return 1 - sqr(tanh(x)), sech2(x)


@rule("stabilize", x="unit")
def arctanh_from_log_of_inverse(x: Pattern) -> Pair:
    """(1 - x) / (1 + x) rounds a small x away; arctanh keeps every digit."""
    return log((1 - x) / (1 + x)), -(2 * arctanh(x))


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
def exp_times_sigmoid(x: Pattern) -> Pair:
    """exp(x) * sigmoid(-x) is inf * 0 for large x; sigmoid(x) is 1."""
    return exp(x) * sigmoid(-x), sigmoid(x)


@rule("stabilize")
def product_of_sigmoids(x: Pattern) -> Pair:
    """The slope of sigmoid(x) * sigmoid(-x) cancels for small x; that of sech² keeps every digit."""
    return sigmoid(x) * sigmoid(-x), 0.25 * sech2(0.5 * x)


@rule("stabilize")
def sigmoid_from_cosh(x: Pattern) -> Pair:
    """exp(x) / cosh(x) is inf / inf for large x; sigmoid is 1."""
    return exp(x) / cosh(x), 2 * sigmoid(2 * x)


@rule("stabilize")
def sigmoid_of_negation_from_cosh(x: Pattern) -> Pair:
    """exp(-x) / cosh(x) is inf / inf for very negative x; sigmoid is 1."""
    return exp(-x) / cosh(x), 2 * sigmoid(-(2 * x))


@rule("stabilize")
def log_of_sigmoid(x: Pattern) -> Pair:
    """sigmoid underflows to 0 for very negative x, and its logarithm to -inf; -softplus(-x) is about x there."""
    return log(sigmoid(x)), -softplus(-x)


@rule("stabilize")
def log1p_of_negated_sigmoid(x: Pattern) -> Pair:
    """1 - sigmoid(x) cancels to 0 for large x, and its logarithm is -inf; -softplus(x) is about -x there."""
    return log1p(-sigmoid(x)), -softplus(x)


@rule("stabilize")
def exp_of_negated_softplus(x: Pattern) -> Pair:
    """exp magnifies the rounding of softplus; sigmoid does not form it."""
    return exp(-softplus(x)), sigmoid(-x)


@rule("stabilize")
def odds_against(x: Pattern) -> Pair:
    """1/sigmoid(x) - 1 cancels for large x; it is exp(-x)."""
    return 1 / sigmoid(x) - 1, exp(-x)


@rule("stabilize")
def arctanh_of_tanh(x: Pattern) -> Pair:
    """tanh is rounded to 1, and its arctanh is inf, where x is an ordinary number."""
    return arctanh(tanh(x)), x


@rule("stabilize")
def sinh_from_expm1(x: Pattern) -> Pair:
    """(exp(2x) - 1) / exp(x) overflows long before sinh(x)."""
    return expm1(2 * x) * exp(-x), 2 * sinh(x)


@rule("stabilize")
def logit_of_sigmoid(x: Pattern) -> Pair:
    """softplus(x) - softplus(-x) rounds large parts off; it is x."""
    return softplus(x) - softplus(-x), x


@rule("stabilize", x="unit")
def logit_from_quotient(x: Pattern) -> Pair:
    """x / (1 - x) is rounded beside 1 for x near 1/2, and its logarithm has lost its digits."""
    return log(x / (1 - x)), logit(x)


@rule("stabilize", x="unit")
def logit_from_inverse_quotient(x: Pattern) -> Pair:
    """(1 - x) / x is rounded beside 1 for x near 1/2, and its logarithm has lost its digits."""
    return log((1 - x) / x), -logit(x)


@rule("stabilize", x="unit")
def logit_from_inverse(x: Pattern) -> Pair:
    """1/x - 1 cancels for x near 1, and its logarithm has no digit for x near 1/2."""
    return log(1 / x - 1), -logit(x)


@rule("stabilize", x="unit")
def logit_from_logarithms(x: Pattern) -> Pair:
    """log(x) and log(1 - x) cancel for x near 1/2."""
    return log(x) - log1p(-x), logit(x)


@rule("stabilize")
def softplus_minus_argument(x: Pattern) -> Pair:
    """softplus(x) - x cancels for large x; softplus(-x) keeps every digit."""
    return softplus(x) - x, softplus(-x)


@rule("stabilize")
def odds_of_sigmoid(x: Pattern) -> Pair:
    """p / (1 - p) is a ratio with a vanishing denominator; for p = sigmoid(x) it is exp(x)."""
    return sigmoid(x) / sigmoid(-x), exp(x)


@rule("stabilize")
def log_of_softplus(x: Pattern) -> Pair:
    """softplus underflows for very negative x, where its logarithm is x."""
    return log(softplus(x)), log_softplus(x)


@rule("stabilize", x="kinked")
def softplus_from_parts(x: Pattern) -> Pair:
    """The two parts have kinks at 0, where their slopes are 0, and the sum has none: its slope is 1/2."""
    return maximum(x, 0.0) + softplus(-absolute(x)), softplus(x)


@rule("stabilize", x="kinked")
def softplus_from_rectifier(x: Pattern) -> Pair:
    """The two parts have kinks at 0, where their slopes are 0, and the sum has none: its slope is 1/2."""
    return relu(x) + softplus(-absolute(x)), softplus(x)

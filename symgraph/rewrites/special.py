"""Stabilize: the error function and the gamma function (see ``stabilize`` for the law and the measure)."""

from __future__ import annotations

from typing import Any

from symgraph.pattern import (
    Pattern,
    erf,
    erfc,
    erfcx,
    exp,
    gamma,
    gamma_ratio,
    log,
    log1p,
    log_abs_gamma,
    log_erfc,
    log_gamma,
    log_half_erfc,
    sqr,
)
from symgraph.pattern import abs as absolute
from symgraph.rewrite import rule

Pair = tuple[Any, Any]


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


@rule("stabilize", x="moderate")
def two_minus_erfc(x: Pattern) -> Pair:
    """2 - erfc(x) cancels to 0 for very negative x; erfc(-x) keeps every digit."""
    return 2 - erfc(x), erfc(-x)


@rule("stabilize", x="moderate")
def log_of_erfc(x: Pattern) -> Pair:
    """erfc underflows to 0 past 26, and its logarithm to -inf; that is about -x² there."""
    return log(erfc(x)), log_erfc(x)


@rule("stabilize", x="moderate")
def log_of_half_erfc(x: Pattern) -> Pair:
    """The normal distribution function underflows to 0, and its logarithm to -inf; at the other end the logarithm is
    the complement, which 1 rounds away."""
    return log(0.5 * erfc(x)), log_half_erfc(x)


@rule("stabilize", x="moderate")
def log1p_of_erf(x: Pattern) -> Pair:
    """1 + erf(x) cancels to 0 for very negative x, and its logarithm is -inf."""
    return log1p(erf(x)), log_erfc(-x)


@rule("stabilize", x="moderate")
def log1p_of_negated_erf(x: Pattern) -> Pair:
    """1 - erf(x) cancels to 0 for large x, and its logarithm is -inf."""
    return log1p(-erf(x)), log_erfc(x)


@rule("stabilize", x="moderate")
def log1p_of_negated_half_erfc(x: Pattern) -> Pair:
    """1 - erfc(x)/2 cancels to 0 for very negative x, and its logarithm is -inf."""
    return log1p(-(0.5 * erfc(x))), log_half_erfc(-x)


@rule("stabilize")
def log_of_gamma(x: Pattern) -> Pair:
    """gamma overflows past 171, where its logarithm is some hundreds."""
    return log(gamma(x)), log_gamma(x)


@rule("stabilize")
def log_of_abs_gamma(x: Pattern) -> Pair:
    """|gamma(x)| overflows past 171 and underflows below -178, where its logarithm is an ordinary number."""
    return log(absolute(gamma(x))), log_abs_gamma(x)


@rule("stabilize")
def ratio_of_gammas(x: Pattern, y: Pattern) -> Pair:
    """Both gammas overflow past 171, where their ratio may be an ordinary number."""
    return gamma(x) / gamma(y), gamma_ratio(x, y)

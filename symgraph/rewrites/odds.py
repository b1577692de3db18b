"""Stabilize: what is left of a softmax beside one element (see ``stabilize`` for the law and the measure)."""

from __future__ import annotations

from typing import Any

from symgraph.pattern import (
    Pattern,
    exp,
    log,
    log1p,
    log_softmax,
    log_softmax_complement,
    softmax,
    softmax_complement,
    softmax_log_odds,
    softmax_ratio,
)
from symgraph.rewrite import rule

Pair = tuple[Any, Any]


@rule("stabilize")
def log_of_softmax_complement(x: Pattern, axis: Pattern) -> Pair:
    """1 - softmax(x) underflows where one element dominates; its logarithm is about what the next one is below it."""
    return log(softmax_complement(x, axis=axis)), log_softmax_complement(x, axis=axis)


@rule("stabilize")
def log1p_of_negated_softmax(x: Pattern, axis: Pattern) -> Pair:
    """1 - softmax(x) cancels to 0 where one element dominates, and its logarithm is -inf."""
    return log1p(-softmax(x, axis=axis)), log_softmax_complement(x, axis=axis)


@rule("stabilize")
def log_odds_of_softmax(x: Pattern, axis: Pattern) -> Pair:
    """log(p) - log(1 - p) is x minus the logsumexp of all others, and cancels where p is near 1/2."""
    return log_softmax(x, axis=axis) - log_softmax_complement(x, axis=axis), softmax_log_odds(x, axis=axis)


@rule("stabilize")
def ratio_of_softmaxes(x: Pattern, y: Pattern, axis: Pattern) -> Pair:
    """Both underflow where their ratio is an ordinary number."""
    return softmax(x, axis=axis) / softmax(y, axis=axis), softmax_ratio(x, y, axis=axis)


@rule("stabilize")
def inverse_of_ratio_of_softmaxes(x: Pattern, y: Pattern, axis: Pattern) -> Pair:
    """1 / (p / q) is 0 or inf before q / p is."""
    return 1 / softmax_ratio(x, y, axis=axis), softmax_ratio(y, x, axis=axis)


@rule("stabilize")
def exp_of_difference_of_log_softmaxes(x: Pattern, y: Pattern, axis: Pattern) -> Pair:
    """exp magnifies the rounding of two logarithms; their exponents are subtracted first, and nothing is lost."""
    return exp(log_softmax(x, axis=axis) - log_softmax(y, axis=axis)), softmax_ratio(x, y, axis=axis)

"""Stabilize: ratios of exponentials and sums of them (see ``stabilize`` for the law)."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import numpy as np

from symgraph.coercion import convert
from symgraph.graph import Apply, Constant, Variable, apply
from symgraph.match import Factor, Owner, added, factors, make, multiply
from symgraph.op import OPS
from symgraph.ops.shape import permute
from symgraph.ops.weighted import shift
from symgraph.rewrite import rewriter
from symgraph.rewrites.logarithms import Product, Total, logs_of_terms, taken_apart, total_of
from symgraph.rewrites.views import beside_reduction, placed, views_of


@rewriter("stabilize", "mul", "true_div")
def exp_over_sum_of_exps(node: Apply, owner: Owner) -> Variable | None:
    """w*exp(x) / sum(v*exp(y)) is inf / inf, or 0 / 0: what is too large or too small is taken out of both."""
    if not _may_be_ratio(node, owner) or beside_reduction(node, owner) is not None:
        return None
    negative, given = factors(node.outputs[0], owner)
    for f, total in _totals(given, owner, below=True):
        others = [g for g in given if g is not f]
        for way in (_share,) if _is_shifted(f.value, owner) else (_share, _exp_over, _total_over):
            found = way(negative, others, total, owner)
            if found is not None:
                return found
    return None


def _totals(given: Sequence[Factor], owner: Owner, below: bool) -> Iterator[tuple[Factor, Total]]:
    """The factors that are sums of exponentials, on one side of the line."""
    for f in given:
        total = total_of(f.value, owner) if f.below is below else None
        if total is not None:
            yield f, total


def _is_shifted(v: Variable, owner: Owner) -> bool:
    """Whether what is too large or too small is taken out of a sum already."""
    node = owner(v)
    terms = owner(node.inputs[0]) if node is not None and node.inputs else None
    return terms is not None and terms.op.name == "weighted_exp"


def _share(negative: bool, given: Sequence[Factor], total: Total, owner: Owner) -> Variable | None:
    """A term of the total over the total."""
    above = taken_apart(negative, given, owner)
    if not total.keepdims or above.exponent is not total.x:
        return None
    if total.is_plain:
        return multiply(make("softmax", total.x, axis=total.axis), above.negative, above.rest)
    others = [f for f in above.rest if f not in total.rest]
    if len(others) + len(total.rest) != len(above.rest):
        return None
    share = make("weighted_softmax", total.x, total.weights, axis=total.axis)
    return multiply(share, above.negative != total.negative, others)


def _exp_over(negative: bool, given: Sequence[Factor], total: Total, owner: Owner) -> Variable | None:
    """Exponentials over the total, neither out of range."""
    exponents = [_exponent(f.value, owner) for f in given]
    signed = [make("neg", x) if f.below else x for f, x in zip(given, exponents, strict=True) if x is not None]
    if not signed:
        return None
    above = Product(signed, negative, [f for f, x in zip(given, exponents, strict=True) if x is None])
    best, size = _shifted(total)
    weights = above.weights(total.x.dtype)
    terms = make("weighted_exp", weights, above.exponent, _dropped(best, total))
    return convert(make("true_div", terms, size), total.x.dtype)


def _total_over(negative: bool, given: Sequence[Factor], total: Total, owner: Owner) -> Variable | None:
    """A total over another of the same axes."""
    for f, above in _totals(given, owner, below=False):
        if above.axes == total.axes:
            return multiply(_ratio(above, total), negative, [g for g in given if g is not f])
    return None


def _ratio(above: Total, below: Total) -> Variable:
    if above.x is below.x and below.is_plain and _is_chosen(above):
        share = make("softmax", below.x, axis=below.axis)
        return make("sum", make("mul", above.weights, share), **below.axes)
    (first, size), (second, other) = _shifted(above), _shifted(below)
    ratio = make("weighted_exp", make("true_div", size, other), _dropped(first, below), _dropped(second, below))
    return convert(ratio, below.x.dtype)


def _shifted(total: Total) -> tuple[Variable, Variable]:
    """What is too large or too small in the terms of a total, kept, and the total without it.

    What it is does not matter to a ratio, nor does its slope.
    """
    best: Variable = OPS["disconnected_grad"](shift(total.x, total.weights, total.axis))  # type: ignore[operator]
    return best, make("sum", make("weighted_exp", total.weights, total.x, best), **total.axes)


def _dropped(v: Variable, total: Total) -> Variable:
    """``v``, whose axes are kept, with those of the total."""
    return permute(v, tuple(k for k in range(v.ndim) if total.keepdims or k not in total.axis))


def _is_chosen(total: Total) -> bool:
    """Whether the weights are numbers of at most 1 together, as a one-hot row: where their softmax underflows, no more
    than the least number is lost, and the slope of its sum does not cancel."""
    if not isinstance(total.weights, Constant):
        return False
    data = total.weights.data
    w = data.reshape((1,) * (total.x.ndim - data.ndim) + data.shape)
    return all(w.shape[k] > 1 for k in total.axis) and bool((np.abs(w).sum(total.axis) <= 1).all())


def _may_be_ratio(node: Apply, owner: Owner) -> bool:
    """Whether something stands below the line, asked first because it is cheap."""
    made = [owner(v) for v in node.inputs]
    return node.op.name == "true_div" or any(n is not None and n.op.name == "true_div" for n in made)


def _exponent(v: Variable, owner: Owner) -> Variable | None:
    """x for exp(x), for elements chosen or placed from it, or for a choice between it and 0 or 1."""
    chain, base = views_of(v, owner)
    made = owner(base)
    if made is not None and made.op.name == "exp":
        return placed(made.inputs[0], chain)
    if made is None or made.op.name != "switch" or chain:
        return None
    numbers = [_log_of_zero_or_one(u) for u in made.inputs[1:]]
    branches = [_exponent(u, owner) if n is None else n for u, n in zip(made.inputs[1:], numbers, strict=True)]
    decided = None not in numbers or any(x is None for x in branches)
    return None if decided else make("switch", made.inputs[0], *branches)


def _log_of_zero_or_one(v: Variable) -> float | None:
    number = v.data.item() if isinstance(v, Constant) and v.data.size == 1 else None
    return {0.0: -np.inf, 1.0: 0.0}.get(number)  # type: ignore[arg-type]


@rewriter("stabilize", "mul", "true_div")
def exp_over_list_of_exps(node: Apply, owner: Owner) -> Variable | None:
    """exp(x) / (exp(x) + exp(y) + ...) is inf / inf, or 0 / 0: only differences to x are exponentiated."""
    if not _may_be_ratio(node, owner):
        return None
    negative, given = factors(node.outputs[0], owner)
    for k, f in enumerate(given):
        terms = added(f.value, owner) if f.below else []
        for j, g in enumerate(given):
            if len(terms) > 1 and not g.below and any(g.value is t for t in terms):
                found = _share_of_list(g.value, terms, owner)
                if found is not None:
                    return multiply(found, negative, [h for i, h in enumerate(given) if i not in (j, k)])
    return None


def _share_of_list(part: Variable, terms: Sequence[Variable], owner: Owner) -> Variable | None:
    """exp(x) over a sum with it in it."""
    x, others = _exponent(part, owner), [t for t in terms if t is not part]
    logs = logs_of_terms(others, owner)
    if x is None or logs is None or len(others) != len(terms) - 1:
        return None
    gaps = [make("sub", v, x) for v in logs]
    return make("exp", make("neg", make("softplus", functools.reduce(functools.partial(make, "logaddexp"), gaps))))


@rewriter("stabilize", "concatenate")
def exp_of_join(node: Apply, owner: Owner) -> Variable | None:
    """Joined exponentials are the exponential of what is joined, which sums and ratios know."""
    exponents = [_exponent(v, owner) for v in node.inputs]
    if any(x is None for x in exponents):
        return None
    return make("exp", apply(node.op, exponents, node.attrs).outputs[0])  # type: ignore[arg-type]

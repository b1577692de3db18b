"""Stabilize: powers of numbers near 1 (see ``stabilize`` for the law and the measure)."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.graph import Apply, Constant, Variable
from symgraph.match import Owner, make, seen_through
from symgraph.pattern import Pattern, compound, compound_share, sqr
from symgraph.rewrite import rewriter, rule
from symgraph.types import is_float

Pair = tuple[Any, Any]
MODERATE = 8.0
"""Up to this exponent a power has the digits of its base, but for a few units in the last place."""


@rewriter("stabilize", "pow")
def power_beside_one(node: Apply, owner: Owner) -> Variable | None:
    """(1 + x)**y has lost the digits of x that 1 + x rounds off, which count y times."""
    base, y = node.inputs
    x = None if _is_within(y, 0, MODERATE) else _beside_one(base, owner)
    if x is None or not is_float(x.dtype) or x.dtype != y.dtype:
        return None
    share = _share(x, y, owner)
    return make("compound", x, y) if share is None else make("compound_share", share, y)


def _is_within(v: Variable, low: float, high: float) -> bool:
    """Whether ``v`` is a constant, its elements of sizes from ``low`` to ``high``."""
    return isinstance(v, Constant) and bool(((np.abs(v.data) >= low) & (np.abs(v.data) <= high)).all())


def _is_one(v: Variable) -> bool:
    return isinstance(v, Constant) and v.data.size > 0 and bool((v.data == 1).all())


def _beside_one(v: Variable, owner: Owner) -> Variable | None:
    """x where ``v`` is 1 + x or 1 - -x."""
    node = seen_through(v, owner)
    if node is not None and node.op.name == "square_gap" and _is_one(node.inputs[0]):
        return make("neg", make("sqr", node.inputs[1]))
    if node is None or node.op.name not in ("add", "sub"):
        return None
    x, y = node.inputs
    if _is_one(x):
        return y if node.op.name == "add" else make("neg", y)
    return x if node.op.name == "add" and _is_one(y) else None


def _share(u: Variable, n: Variable, owner: Owner) -> Variable | None:
    """x where ``u`` is x / n, or else -x / -n."""
    node, turned = seen_through(u, owner), seen_through(n, owner)
    if node is not None and node.op.name == "neg":
        inner = _share(node.inputs[0], n, owner)
        return None if inner is None else make("neg", inner)
    if node is None or node.op.name != "true_div":
        return None
    x, divisor = node.inputs
    if divisor is n:
        return x
    negated = turned is not None and turned.op.name == "neg" and turned.inputs[0] is divisor
    return make("neg", x) if negated else None


@rewriter("stabilize", "sub")
def power_minus_one(node: Apply, owner: Owner) -> Variable | None:
    """x**y - 1 cancels where the power is near 1, and where it is one of 1 + x has lost the digits of x before."""
    ones = [k for k, v in enumerate(node.inputs) if _is_one(v)]
    found = _more_than_one(node.inputs[1 - ones[0]], owner) if ones else None
    if found is None or found.type != node.outputs[0].type:
        return None
    return found if ones[0] else make("neg", found)


def _more_than_one(v: Variable, owner: Owner) -> Variable | None:
    """v - 1 of a power; what is rounded of a moderate one is less than its argument is uncertain."""
    node = seen_through(v, owner)
    match None if node is None else node.op.name:
        case "compound":
            return make("compoundm1", *node.inputs)  # type: ignore[union-attr]
        case "compound_share":
            x, n = node.inputs  # type: ignore[union-attr]
            return make("compoundm1", make("true_div", x, n), n)
        case "pow" if is_float(v.dtype):
            base, y = node.inputs  # type: ignore[union-attr]
            x = _beside_one(base, owner)
            if x is not None:
                return make("compoundm1", x, y)
            return None if _is_within(y, 0.5, MODERATE) else make("powm1", base, y)
    return None


@rule("stabilize")
def square_minus_one(x: Pattern) -> Pair:
    """(1 + x)² - 1 cancels for small x."""
    return sqr(1 + x) - 1, x * (2 + x)


@rule("stabilize")
def power_of_inverse(x: Pattern, y: Pattern) -> Pair:
    """The rounding of 1/x counts y times in its power."""
    return (1 / x) ** y, x**-y


@rule("stabilize")
def inverse_of_compound(x: Pattern, y: Pattern) -> Pair:
    """1 / (1 + x)**y is 0 or inf before (1 + x)**-y is."""
    return 1 / compound(x, y), compound(x, -y)


@rule("stabilize", n="positive")
def inverse_of_compound_share(x: Pattern, n: Pattern) -> Pair:
    """1 / (1 + x/n)**n is 0 or inf before (1 + x/n)**-n is."""
    return 1 / compound_share(x, n), compound_share(-x, -n)

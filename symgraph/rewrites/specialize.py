"""Specialize: as accurate and cheaper, once nothing needs to be recognised any more.

The measure that each rule lowers: the number of powers.
"""

from __future__ import annotations

from typing import Any

from symgraph.pattern import Pattern, sqr
from symgraph.rewrite import rule

Pair = tuple[Any, Any]


@rule("specialize")
def power_of_three(x: Pattern) -> Pair:
    """x ** 3 is x * x²."""
    return x**3, x * sqr(x)


@rule("specialize")
def power_of_four(x: Pattern) -> Pair:
    """x ** 4 is (x²)²."""
    return x**4, sqr(sqr(x))

"""The rules, by phase. Importing this declares them."""

from __future__ import annotations

from symgraph.rewrites import (
    bases,
    canonicalize,
    compound,
    differences,
    fast,
    hyperbolic,
    layout,
    logarithms,
    matrices,
    norms,
    odds,
    powers,
    quotients,
    ratios,
    selections,
    special,
    specialize,
    squares,
    stabilize,
    views,
)

__all__ = [
    "bases", "canonicalize", "compound", "differences", "fast", "hyperbolic", "layout", "logarithms", "matrices",
    "norms", "odds", "powers", "quotients", "ratios", "selections", "special", "specialize", "squares",
    "stabilize", "views",
]  # fmt: skip

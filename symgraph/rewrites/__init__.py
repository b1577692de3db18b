"""The rules, by phase. Importing this declares them."""

from __future__ import annotations

from symgraph.rewrites import (
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
    selections,
    special,
    specialize,
    squares,
    stabilize,
    views,
)

__all__ = [
    "canonicalize", "compound", "differences", "fast", "hyperbolic", "layout", "logarithms", "matrices",
    "norms", "odds", "powers", "selections", "special", "specialize", "squares", "stabilize", "views",
]  # fmt: skip

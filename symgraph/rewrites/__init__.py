"""The rules, by phase. Importing this declares them."""

from __future__ import annotations

from symgraph.rewrites import canonicalize, specialize, stabilize

__all__ = ["canonicalize", "specialize", "stabilize"]

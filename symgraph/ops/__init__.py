"""The catalogue: one declaration for each op, a module for each family."""

from symgraph.ops import elementwise  # noqa: F401

"""The catalogue: one declaration for each op, a module for each family."""

from symgraph.ops import broadcast, cumulative, elementwise, reduce, shape, transcendental  # noqa: F401

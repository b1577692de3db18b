"""The catalogue: one declaration for each op, a module for each family."""

from symgraph.ops import (  # noqa: F401
    broadcast,
    creation,
    cumulative,
    elementwise,
    gather,
    index,
    join,
    matrices,
    reduce,
    shape,
    slicing,
    transcendental,
)

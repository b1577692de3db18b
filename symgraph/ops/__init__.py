"""The catalogue: one declaration for each op, a module for each family."""

from symgraph.ops import (  # noqa: F401
    activations,
    broadcast,
    conv,
    creation,
    cumulative,
    elementwise,
    gather,
    index,
    join,
    linalg,
    matrices,
    passing,
    pool,
    random,
    reduce,
    shape,
    slicing,
    special,
    transcendental,
)

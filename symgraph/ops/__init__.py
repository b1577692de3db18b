"""The catalogue: one declaration for each op, a module for each family."""

from symgraph.ops import (
    activations,
    axes,
    broadcast,
    conv,
    creation,
    cumulative,
    einsum,
    elementwise,
    exponentials,
    gather,
    index,
    interop,
    join,
    linalg,
    mask,
    matrices,
    nn,
    pad,
    passing,
    pool,
    random,
    reduce,
    shape,
    slicing,
    special,
    square,
    transcendental,
)

FAMILIES = (
    activations, axes, broadcast, conv, creation, cumulative, einsum, elementwise, exponentials, gather, index, join,
    linalg, mask, matrices, nn, pad, passing, pool, random, reduce, shape, slicing, special, square, transcendental,
)

interop.publish({name: getattr(module, name) for module in FAMILIES for name in module.__all__})

"""The catalogue: one declaration for each op, a module for each family."""

from symgraph.ops import (
    activations,
    axes,
    broadcast,
    complexes,
    compound,
    conv,
    creation,
    cumulative,
    differences,
    einsum,
    elementwise,
    expm,
    exponentials,
    factor,
    gaps,
    gather,
    index,
    interop,
    inverse,
    join,
    linalg,
    mask,
    matrices,
    nn,
    norms,
    odds,
    pad,
    passing,
    pool,
    products,
    random,
    reduce,
    rounding,
    sampling,
    search,
    shape,
    slicing,
    sort,
    special,
    square,
    taking,
    transcendental,
    weighted,
)

FAMILIES = (
    activations, axes, broadcast, complexes, compound, conv, creation, cumulative, differences, einsum, elementwise,
    expm, exponentials, factor, gaps, gather, index, inverse, join, linalg, mask, matrices, nn, norms, odds, pad,
    passing, pool, products, random, reduce, rounding, sampling, search, shape, slicing, sort, special, square,
    taking, transcendental, weighted,
)

_MATRICES = (expm, factor, inverse, norms)
"""Families that NumPy has in ``numpy.linalg``."""

interop.publish({n: getattr(module, n) for module in FAMILIES if module not in _MATRICES for n in module.__all__})
_PRODUCTS = (square.matrix_power, linalg.outer, linalg.tensordot, linalg.matmul)
interop.publish({f"linalg.{f.__name__}": f for f in _PRODUCTS})
interop.publish({f"linalg.{n}": getattr(module, n) for module in _MATRICES for n in module.__all__})

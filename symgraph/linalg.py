"""Linear algebra: products of vectors, matrices and stacks of matrices."""

from symgraph.ops.einsum import einsum
from symgraph.ops.linalg import batched_dot, dot, matmul, outer, tensordot
from symgraph.ops.matrices import diagonal
from symgraph.ops.reduce import norm
from symgraph.ops.square import kron, matrix_power, trace

__all__ = [
    "dot", "matmul", "tensordot", "batched_dot", "outer", "einsum", "kron", "matrix_power", "trace", "diagonal", "norm",
]  # fmt: skip


def __dir__() -> list[str]:
    """What completion shows: the public names."""
    return sorted(__all__)

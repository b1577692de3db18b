"""Linear algebra: products, factorisations, systems of equations; of vectors, matrices and stacks of matrices."""

from symgraph.ops.einsum import einsum
from symgraph.ops.expm import expm
from symgraph.ops.factor import cholesky, eigh, qr, svd
from symgraph.ops.inverse import det, inv, pinv, slogdet, solve, solve_triangular
from symgraph.ops.linalg import batched_dot, dot, matmul, outer, tensordot
from symgraph.ops.matrices import diagonal
from symgraph.ops.norms import norm
from symgraph.ops.square import kron, matrix_power, trace

__all__ = [
    "dot", "matmul", "tensordot", "batched_dot", "outer", "einsum", "kron", "matrix_power", "trace", "diagonal", "norm",
    "inv", "solve", "solve_triangular", "pinv", "det", "slogdet", "cholesky", "qr", "eigh", "svd", "expm",
]  # fmt: skip


def __dir__() -> list[str]:
    """What completion shows: the public names."""
    return sorted(__all__)

"""Linear algebra: products of vectors, matrices and stacks of matrices."""

from symgraph.ops.einsum import einsum
from symgraph.ops.linalg import batched_dot, dot, matmul, outer, tensordot

__all__ = ["dot", "matmul", "tensordot", "batched_dot", "outer", "einsum"]

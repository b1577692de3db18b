"""Complex numbers: what each op means on them, in real parts, and the graph of parts of a graph that has them."""

from symgraph.complexes import arithmetic, functions, matrices, products, running, structure
from symgraph.complexes.apart import apart, has_complex, in_parts, leaf_parts

__all__ = [
    "apart", "arithmetic", "functions", "has_complex", "in_parts", "leaf_parts", "matrices", "products", "running",
    "structure",
]  # fmt: skip

"""Stabilize: systems instead of inverses, and logarithms of determinants that do not overflow.

The measures are the numbers of inverses that are multiplied and of determinants under a logarithm.
"""

from __future__ import annotations

from symgraph.graph import Apply, Variable
from symgraph.match import Owner
from symgraph.op import OPS
from symgraph.ops import elementwise as ew
from symgraph.ops.inverse import slogdet, solve
from symgraph.ops.linalg import swapped
from symgraph.ops.transcendental import log
from symgraph.rewrite import rewriter


@rewriter("stabilize", "dot", "batched_dot")
def system_from_inverse_matrix(node: Apply, owner: Owner) -> Variable | None:
    """inv(a) @ b takes more work than solving a @ x = b, and loses more digits."""
    left, right = node.inputs
    first, second = owner(left), owner(right)
    if first is not None and first.op is OPS["matrix_inverse"]:
        return solve(first.inputs[0], right)
    if second is not None and second.op is OPS["matrix_inverse"]:
        return swapped(solve(swapped(second.inputs[0]), swapped(left)))
    return None


@rewriter("stabilize", "log")
def log_of_determinant(node: Apply, owner: Owner) -> Variable | None:
    """A determinant overflows or underflows long before its logarithm does."""
    (x,) = node.inputs
    inner = owner(x)
    of = owner(inner.inputs[0]) if inner is not None and inner.op is OPS["abs"] else inner
    if of is None or of.op is not OPS["det"]:
        return None
    sign, size = slogdet(of.inputs[0])
    # where the determinant is negative its logarithm is that of a negative number
    return size if of is not inner else ew.switch(ew.lt(sign, 0), log(sign), size)

"""Stabilize: what is summed over a selection needs no array whose extent depends on data.

The measure is the number of selections. Without one the host has nothing to count before a call, and one program serves
every mask.
"""

from __future__ import annotations

from symgraph.graph import Apply, Variable
from symgraph.kinds import Reduction
from symgraph.match import Owner
from symgraph.ops.mask import everywhere, extent
from symgraph.ops.reduce import kept
from symgraph.rewrite import rewriter

NOTHING = {"sum": 0, "prod": 1, "any": False, "all": True}


@rewriter("stabilize", *NOTHING)
def fold_of_selection(node: Apply, owner: Owner) -> Variable | None:
    """What the mask leaves out counts as nothing: sum(x[mask]) is sum(switch(mask, x, 0))."""
    axis = node.attrs["axis"]
    found = everywhere(node.inputs[0], axis, NOTHING[node.op.name], owner)
    if found is None:
        return None
    assert isinstance(node.op, Reduction)
    folded = node.op(*found)
    return kept(folded, axis, keepdims=False) if node.attrs["keepdims"] else folded


@rewriter("stabilize", "shape_of")
def extent_of_selection(node: Apply, owner: Owner) -> Variable | None:
    """How many elements a mask selects is how often it holds: the selection itself is not needed."""
    return extent(node.inputs[0], node.attrs["axis"], owner)

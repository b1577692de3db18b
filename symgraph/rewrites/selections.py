"""Folds over selections: what is summed over ``x[mask]`` needs no array whose extent depends on data.

This is done once all rules have run, so that a rule sees ``log(sum(exp(x[mask])))`` as it was written: a choice inside
the sum would stand in its way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph.graph import Apply, Variable, apply, toposort, transform
from symgraph.match import Owner
from symgraph.op import OPS
from symgraph.ops.mask import everywhere, extent, is_selected
from symgraph.ops.reduce import kept
from symgraph.origin import made_at

NOTHING = {"sum": 0, "prod": 1, "any": False, "all": True, "norm": 0, "logsumexp": -np.inf, "log_prod": 1}
"""Folds, and the element that changes nothing."""


def fold_selections(outputs: Sequence[Variable], leaves: Sequence[Variable] = ()) -> list[Variable]:
    """``outputs`` with folds over selections done over everything, where what is left out counts as nothing.

    Then the host has nothing to count before a call, and one program serves every mask.

    Parameters
    ----------
    outputs : sequence of Variable
    leaves : sequence of Variable
        What is not looked through.
    """
    if not any(is_selected(v) for node in toposort(outputs) for v in node.outputs):
        return list(outputs)
    stop = set(leaves)

    def owner(v: Variable) -> Apply | None:
        return None if v in stop else v.owner

    def rebuild(node: Apply, inputs: Sequence[Variable]) -> Sequence[Variable]:
        with made_at(node.origin):
            new = apply(node.op, inputs, node.attrs)
            found = _without_selection(new, owner)
        return new.outputs if found is None else [found]

    return transform(outputs, lambda v: v if v in stop else None, rebuild)


def _without_selection(node: Apply, owner: Owner) -> Variable | None:
    if node.op is OPS["shape_of"]:
        return extent(node.inputs[0], node.attrs["axis"], owner)
    if node.op.name not in NOTHING or node.op is not OPS.get(node.op.name):
        return None
    axis = node.attrs["axis"]
    found = everywhere(node.inputs[0], axis, NOTHING[node.op.name], owner)
    if found is None:
        return None
    fold: Callable[..., Any] = node.op  # type: ignore[assignment]
    folded: Variable = fold(found[0], axis=found[1], keepdims=False)
    return kept(folded, axis, keepdims=False) if node.attrs["keepdims"] else folded

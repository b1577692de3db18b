"""What a result depends on as the user sees it: a gradient on the inputs of its cost, even of those that cancelled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from weakref import WeakKeyDictionary, WeakSet

from symgraph.graph import Constant, Variable, leaves, toposort
from symgraph.shared_variable import SharedVariable

# Beside the graph, not in it: the gradient of 3*x is the one constant 3. Weak on both sides, for a gradient may be one
# of the inputs; a set is replaced, never added to, so that another thread may read it.
_sources: WeakKeyDictionary[Variable, WeakSet[Variable]] = WeakKeyDictionary()


def remember(results: Sequence[Variable | None], taken_of: Iterable[Variable]) -> None:
    """Let ``results`` count as depending on the inputs of what they were derived from."""
    inputs = {v for v in dependence(taken_of) if not isinstance(v, Constant | SharedVariable)}
    for v in results:
        if v is not None and not inputs <= (known := set(_sources.get(v, ()))):
            _sources[v] = WeakSet(known | inputs)


def dependence(outputs: Iterable[Variable]) -> set[Variable]:
    """The leaves of ``outputs``, and the inputs of the costs whose derivatives are in them."""
    outputs = list(outputs)
    found = set(leaves(outputs))
    within = {*found, *outputs, *(v for node in toposort(outputs) for v in node.outputs)}
    return found.union(*(_sources.get(v, ()) for v in within))

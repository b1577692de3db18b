"""The graph as a NetworkX graph, for its algorithms and writers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symgraph.errors import BackendError
from symgraph.view.collect import Graph, document

if TYPE_CHECKING:
    import networkx


def to_networkx(what: Graph, phase: str | None = None) -> networkx.MultiDiGraph:
    """A directed graph with a node for each op and leaf, and an edge from each operand.

    Parameters
    ----------
    what : Variable, sequence or dict of Variable, Function or Document
    phase : str, optional
        The graph at the end of this phase: "written", "parts" (of complex values), "canonicalize", "stabilize",
        "expand", "specialize" or "compiled", of those that there are; by default the last.

    Returns
    -------
    networkx.MultiDiGraph
        Attributes of nodes: kind, op, name, dtype, shape, bytes, flops, source, kernel, output; of edges: argument and
        slot. All are numbers and text, so that NetworkX can write them to any format; what is unknown is left out.
    """
    try:
        import networkx
    except ImportError as error:
        raise BackendError(f"to_networkx needs NetworkX: {error}\npip install networkx") from error
    doc = document(what)
    state = doc.state(phase)
    kernels = {k: g.name for g in reversed(doc.groups) for k in g.nodes}
    outputs = {ref[0]: label for label, ref in state.outputs}
    graph = networkx.MultiDiGraph(title=doc.title)
    for k in state.inputs:
        n = doc.nodes[k]
        known = {
            "kind": n.kind, "op": n.op, "name": n.name, "dtype": n.types[0].dtype, "shape": str(n.types[0].shape),
            "bytes": n.bytes, "flops": n.flops, "source": doc.place(n.source), "kernel": kernels.get(k),
            "output": outputs.get(k),
        }  # fmt: skip
        graph.add_node(k, **{name: value for name, value in known.items() if value not in (None, "")})
    for k, inputs in state.inputs.items():
        for argument, (operand, slot) in enumerate(inputs):
            graph.add_edge(operand, k, argument=argument, slot=slot)
    return graph

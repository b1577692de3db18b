"""Documents as JSON and back. What is read is data: it names ops of the registry and nothing that could be imported."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from symgraph.errors import DataError, SymgraphError
from symgraph.graph import Attr, Variable, apply, constant
from symgraph.op import OPS
from symgraph.origin import Origin, made_at, remembered
from symgraph.parts import shared_variable
from symgraph.types import COMPLEX, DTYPES, TensorType
from symgraph.view.document import Document, Group, Node, Scene, Source, State, Step

FORMAT = "symgraph graph"
VERSION = 1
Plain = Any  # what JSON can say

# ------------------------------------------------------------------------------------------------ to JSON


def to_plain(doc: Document, data: bool = True) -> dict[str, Plain]:
    """A document as what JSON can say; with ``data``, the values of constants too.

    Of each scene the first state is whole, the others say what changed.
    """
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": doc.title,
        "nodes": [_node(n, data) for n in doc.nodes],
        "sources": [_fields(s) for s in doc.sources],
        "scenes": [{"phase": s.phase, "steps": list(_steps(s))} for s in doc.scenes],
        "groups": [_fields(g) for g in doc.groups],
        "facts": {k: dict(v) for k, v in doc.facts.items()},
    }


def _fields(thing: Source | Group) -> dict[str, Plain]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in vars(thing).items()}


def _node(n: Node, data: bool) -> dict[str, Plain]:
    said = {
        "id": n.id, "kind": n.kind, "op": n.op, "name": n.name, "value": n.value, "formula": n.formula,
        "source": n.source, "bytes": n.bytes, "flops": n.flops,
        "types": [[t.dtype, list(t.shape)] for t in n.types],
        "attrs": {k: _attr(v) for k, v in n.attrs.items()},
    }  # fmt: skip
    if data and n.data is not None:
        said["data"] = base64.b64encode(n.data.tobytes()).decode()
    return said


def _attr(value: Attr) -> Plain:
    """A tuple as a list, a float as its exact text: JSON has neither inf nor NaN."""
    if isinstance(value, tuple):
        return [_attr(v) for v in value]
    return {"float": value.hex()} if isinstance(value, float) else value


def _steps(scene: Scene) -> Iterator[dict[str, Plain]]:
    before = State({}, ())
    for step in scene.steps:
        now = step.state
        yield {
            "rule": step.rule, "why": step.why, "source": step.source, "before": step.before, "after": step.after,
            "removed": sorted(before.inputs.keys() - now.inputs.keys()),
            "inputs": {str(k): list(map(list, refs)) for k, refs in now.inputs.items() if before.inputs.get(k) != refs},
            "outputs": [[label, *ref] for label, ref in now.outputs],
        }  # fmt: skip
        before = now


# ------------------------------------------------------------------------------------------------ from JSON


def read(path: str | Path) -> Document:
    """The document in a file that ``draw`` wrote with the suffix json.

    Raises
    ------
    DataError
        If it is damaged, or names what this version does not know.
    OSError
        If it cannot be read.
    """
    try:
        return from_plain(json.loads(Path(path).read_text(encoding="utf-8")))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path} is no saved graph: {error}") from None
    except DataError as error:
        raise DataError(f"{path} is a damaged graph: {error}") from None


def from_plain(data: Plain) -> Document:
    """The document that ``to_plain`` wrote; its first graph is checked op by op.

    Raises
    ------
    DataError
    """
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise DataError(f"it does not say that it is a {FORMAT}")
    if data.get("version") != VERSION:
        raise DataError(f"its version is {data.get('version')!r}, this symgraph reads {VERSION}")
    try:
        doc = _document(data)
        graph_of(doc)
    except DataError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, StopIteration) as error:
        raise DataError(f"a part is missing or of the wrong kind ({type(error).__name__}: {error})") from None
    return doc


def _document(data: Mapping[str, Plain]) -> Document:
    nodes = tuple(map(_read_node, data["nodes"]))
    if any(n.id != k for k, n in enumerate(nodes)):
        raise DataError("its nodes are not numbered in order")
    scenes = tuple(Scene(str(s["phase"]), tuple(_read_steps(s["steps"], len(nodes)))) for s in data["scenes"])
    if not scenes or not all(s.steps for s in scenes):
        raise DataError("it has no graph")
    sources = tuple(Source(**{**s, "excerpt": tuple(s["excerpt"])}) for s in data["sources"])
    groups = tuple(map(_read_group, data["groups"]))
    return Document(str(data["title"]), nodes, sources, scenes, groups, dict(data["facts"]))


def _read_group(g: Mapping[str, Plain]) -> Group:
    fields: dict[str, Plain] = {k: tuple(v) if isinstance(v, list) else v for k, v in g.items()}
    return Group(**fields)


def _read_node(n: Mapping[str, Plain]) -> Node:
    types = tuple(_read_type(t) for t in n["types"])
    raw = n.get("data")
    array = None
    if raw is not None:
        array = np.frombuffer(base64.b64decode(raw), types[0].dtype).reshape([m or 0 for m in types[0].shape])
    attrs = {str(k): _read_attr(v) for k, v in n["attrs"].items()}
    return Node(
        int(n["id"]), str(n["kind"]), str(n["op"]), str(n["name"]), types, attrs, str(n["value"]), array,
        str(n["formula"]), n["source"], n["bytes"], n["flops"],
    )  # fmt: skip


def _read_type(t: Plain) -> TensorType:
    dtype, shape = t
    if dtype not in DTYPES + COMPLEX:
        raise DataError(f"there is no dtype {dtype!r}")
    return TensorType(dtype, tuple(None if n is None else int(n) for n in shape))


def _read_attr(value: Plain) -> Attr:
    if isinstance(value, list):
        return tuple(map(_read_attr, value))
    return float.fromhex(value["float"]) if isinstance(value, dict) else value


def _read_steps(steps: Plain, count: int) -> Iterator[Step]:
    inputs: dict[int, tuple[tuple[int, int], ...]] = {}
    for s in steps:
        gone = set(s["removed"])
        inputs = {k: refs for k, refs in inputs.items() if k not in gone}
        inputs.update((int(k), tuple((int(a), int(b)) for a, b in refs)) for k, refs in s["inputs"].items())
        outputs = tuple((str(label), (int(k), int(slot))) for label, k, slot in s["outputs"])
        named = {k for refs in inputs.values() for k, _ in refs} | {k for _, (k, _) in outputs}
        if not named <= inputs.keys() or not all(0 <= k < count for k in inputs):
            raise DataError("a step names a node that is not there")
        yield Step(s["rule"], s["why"], s["source"], s["before"], s["after"], State(inputs, outputs))


# ------------------------------------------------------------------------------------------------ graphs


def graph_of(
    doc: Document, state: State | None = None, leaves: Mapping[int, Variable] | None = None
) -> dict[str, Variable]:  # fmt: skip
    """The graph of a document as variables, built anew by the registered ops; by default as it was written.

    Parameters
    ----------
    doc : Document
    state : State, optional
    leaves : mapping of int to Variable, optional
        The variables to use for some leaves.

    Raises
    ------
    DataError
        If an op is not known, or does not give what the document says.
    """
    state = state or doc.first
    made: dict[int, tuple[Variable, ...]] = {}
    order = _sorted(state)
    for k in order:
        node = doc.nodes[k]
        with made_at(_origin(doc, node)):
            if node.kind == "op":
                made[k] = _applied(node, [made[a][b] for a, b in state.inputs[k]])
            else:
                made[k] = (leaves[k] if leaves and k in leaves else leaf_of(node),)
    return {label: made[k][slot] for label, (k, slot) in state.outputs}


def _origin(doc: Document, node: Node) -> Origin | None:
    if node.source is None:
        return None
    s = doc.sources[node.source]
    return remembered(s.file, s.line, s.function, s.excerpt)


def _sorted(state: State) -> list[int]:
    """Nodes, operands first."""
    order: dict[int, None] = {}
    open_: set[int] = set()
    waiting: list[int] = list(state.inputs)[::-1]
    while waiting:
        k = waiting[-1]
        missing = [a for a, _ in state.inputs[k] if a not in order]
        if k in order or not missing:
            order.setdefault(waiting.pop())
            continue
        if k in open_:
            raise DataError("its nodes are operands of each other in a circle")
        open_.add(k)
        waiting += missing
    return list(order)


def leaf_of(node: Node) -> Variable:
    """The leaf that a node is."""
    (t,) = node.types
    if node.kind == "constant":
        if node.data is None:
            raise DataError(f"the constant {node.id} has no value")
        return constant(node.data, t.dtype, node.name or None)
    if node.kind == "shared":
        return shared_variable(np.zeros([1 if n is None else n for n in t.shape], t.dtype), t, node.name or None)
    if node.kind != "input":
        raise DataError(f"there is no kind of node {node.kind!r}")
    return Variable(t, name=node.name or None)


def _applied(node: Node, inputs: list[Variable]) -> tuple[Variable, ...]:
    if node.op not in OPS:
        raise DataError(f"there is no op {node.op!r}")
    try:
        outputs = apply(OPS[node.op], inputs, node.attrs).outputs
    except SymgraphError as error:
        raise DataError(f"node {node.id}, {node.op}: {str(error).splitlines()[0]}") from None
    found = [v.type for v in outputs]
    if len(found) != len(node.types) or not all(map(TensorType.accepts, found, node.types)):
        raise DataError(f"node {node.id}, {node.op}, gives {', '.join(map(str, found))}, not {type_list(node)}")
    return outputs


def type_list(node: Node) -> str:
    """The types that a node says it has."""
    return ", ".join(map(str, node.types))

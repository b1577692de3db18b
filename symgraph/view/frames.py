"""What is drawn of a document: boxes with their texts, edges, and where they go, for pages and pictures alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from symgraph.view.document import Document, Node, State
from symgraph.view.layout import Drawing, Edge, Key, Size, arrange, arrange_both

TITLE_WIDTH, TYPE_WIDTH, PADDING = 7.6, 6.2, 22.0
HEIGHT = 40.0
NARROWEST, WIDEST = 64.0, 260.0
HEAD, BORDER = 24.0, 14.0
"""Of the box around a group: the line with its name, and the space around its members."""

Grouping = Mapping[int, str]
"""Node -> the name of the group it is in."""


def caption(node: Node, inputs: Sequence[tuple[int, int]], doc: Document) -> str:
    """The op, with the numbers it takes in their places."""
    numbers = [doc.nodes[k].value if doc.nodes[k].is_scalar_constant else "·" for k, _ in inputs]
    if node.op and set(numbers) - {"·"}:
        return f"{node.op}({', '.join(numbers)})"
    return f"{node.op}  {node.name}" if node.op and node.name else node.title


def type_text(node: Node) -> str:
    """The types of the outputs, short."""
    return ", ".join(map(str, node.types))


def size(title: str, below: str) -> Size:
    """Width and height of a box for two lines of text."""
    width = max(len(title) * TITLE_WIDTH, len(below) * TYPE_WIDTH) + PADDING
    return min(max(width, NARROWEST), WIDEST), HEIGHT


@dataclass(frozen=True)
class Box:
    """A group as drawn.

    Attributes
    ----------
    name : str
    members : tuple of int
    inner : Drawing
        Where the members are in the open box, without its head and border.
    framed : bool
        False for a node that is in no group.
    """

    name: str
    members: tuple[int, ...]
    inner: Drawing
    framed: bool

    @property
    def open(self) -> Size:
        """Its size with the members shown."""
        if not self.framed:
            return self.inner.width, self.inner.height
        width = max(self.inner.width + 2 * BORDER, self.closed[0])
        return width, self.inner.height + HEAD + BORDER

    @property
    def closed(self) -> Size:
        """Its size without them."""
        return size(self.name, f"{len(self.members)} ops") if self.framed else self.open

    @property
    def left(self) -> float:
        """How far the members are from the left border of the open box."""
        return (self.open[0] - self.inner.width) / 2


@dataclass(frozen=True)
class Frame:
    """The boxes and edges of one or several states together.

    Attributes
    ----------
    sizes : dict
        Node -> size.
    edges : tuple of (node, node)
    captions : dict
        Node -> its first line.
    """

    sizes: Mapping[int, Size]
    edges: tuple[tuple[int, int], ...]
    captions: Mapping[int, str]

    def flat(self) -> Drawing:
        """Every node by itself."""
        return arrange({k: (w, h) for k, (w, h) in self.sizes.items()}, self.edges)

    def boxes(self, grouping: Grouping) -> dict[Key, Box]:
        """The groups, and each node that is in none, with the layout inside each."""
        members: dict[Key, list[int]] = {}
        for k in self.sizes:
            members.setdefault(grouping.get(k, k), []).append(k)
        inside: dict[Key, list[Edge]] = {}
        for a, b in self.edges:
            if grouping.get(a, a) == grouping.get(b, b):
                inside.setdefault(grouping.get(a, a), []).append((a, b))
        return {
            key: Box(str(key), tuple(nodes), arrange({k: self.sizes[k] for k in nodes}, inside.get(key, [])),
                     isinstance(key, str))
            for key, nodes in members.items()
        }  # fmt: skip

    def outer(self, boxes: Mapping[Key, Box], grouping: Grouping) -> tuple[Drawing, Drawing]:
        """The boxes among each other, all closed and all open."""
        edges = dict.fromkeys((grouping.get(a, a), grouping.get(b, b)) for a, b in self.edges)
        return arrange_both({k: b.closed for k, b in boxes.items()}, {k: b.open for k, b in boxes.items()}, edges)


def frame(doc: Document, states: Iterable[State]) -> Frame:
    """Everything that occurs in ``states``; numbers are written into the boxes that use them."""
    sizes: dict[int, Size] = {}
    captions: dict[int, str] = {}
    edges: dict[tuple[int, int], None] = {}
    last: State | None = None
    for state in states:
        results = {ref[0]: label for label, ref in state.outputs}
        for k, inputs in state.inputs.items():
            if doc.nodes[k].is_scalar_constant or (last is not None and last.inputs.get(k) == inputs):
                continue
            captions[k] = caption(doc.nodes[k], inputs, doc) + (f" → {results[k]}" if k in results else "")
            sizes[k] = size(captions[k], type_text(doc.nodes[k]))
            edges.update(((a, k), None) for a, _ in inputs if not doc.nodes[a].is_scalar_constant)
        last = state
    return Frame(sizes, tuple(edges), captions)


def by_kernel(doc: Document) -> dict[int, str]:
    """Node -> the first part of the program that computes it."""
    found: dict[int, str] = {}
    for group in doc.groups:
        for k in group.nodes:
            found.setdefault(k, group.name)
    return found


def by_source(doc: Document, nodes: Iterable[int], edges: Iterable[tuple[int, int]]) -> dict[int, str]:
    """Node -> the user's function that wrote it. Calls that are not connected are groups of their own."""
    function = {k: name for k in nodes if (name := _function(doc, k))}
    near: dict[int, list[int]] = {k: [] for k in function}
    for a, b in edges:
        if function.get(a, "") == function.get(b):
            near[a].append(b)
            near[b].append(a)
    found: dict[int, str] = {}
    count: dict[str, int] = {}
    for k, name in function.items():
        if k not in found:
            members = _connected(k, near)
            if len(members) == 1:
                continue  # a box around one node says no more than the node
            count[name] = count.get(name, 0) + 1
            found.update(dict.fromkeys(members, f"{name} #{count[name]}"))
    return {k: name.removesuffix(" #1") if count[name.rpartition(" #")[0]] == 1 else name for k, name in found.items()}


def _function(doc: Document, k: int) -> str:
    node = doc.nodes[k]
    if node.source is None or node.kind != "op":
        return ""
    source = doc.sources[node.source]
    return f"{source.module}.{source.function}" if source.function else source.module


def _connected(start: int, near: Mapping[int, Sequence[int]]) -> set[int]:
    found, waiting = {start}, [start]
    while waiting:
        fresh = [k for k in near[waiting.pop()] if k not in found]
        found.update(fresh)
        waiting += fresh
    return found


GROUPINGS: dict[str, Callable[[Document, Frame], Grouping]] = {
    "kernel": lambda doc, f: by_kernel(doc),
    "source": lambda doc, f: by_source(doc, f.sizes, f.edges),
}
"""The ways in which nodes are put together."""

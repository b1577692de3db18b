"""What two graphs do not have in common: nodes are the same if all that is behind them is."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

from symgraph.view.document import Document, Node, State
from symgraph.view.frames import type_text


@dataclass(frozen=True)
class Difference:
    """Lines for nodes that only the first, only the second, or both have in another form."""

    removed: tuple[str, ...]
    added: tuple[str, ...]
    changed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.removed or self.added or self.changed)

    def __str__(self) -> str:
        if not self:
            return "the graphs are the same"
        marked = (("-", self.removed), ("+", self.added), ("~", self.changed))
        return "\n".join(f"{mark} {line}" for mark, lines in marked for line in lines)

    def plain(self) -> dict[str, Any]:
        """As what JSON can say."""
        return {k: list(v) for k, v in vars(self).items()}


def difference(a: Document, b: Document, phase: str | None = None) -> Difference:
    """From ``a`` to ``b``, as they were written or at the end of a phase."""
    states = [doc.state(phase) if phase else doc.first for doc in (a, b)]
    ours, theirs = (_digests(doc, state) for doc, state in zip((a, b), states, strict=True))
    common = Counter(ours.values()) & Counter(theirs.values())
    gone, new = _without(ours, common.copy()), _without(theirs, common.copy())
    pairs = _paired(a, gone, b, new)
    lost, come = {k for k, _ in pairs}, {k for _, k in pairs}
    changes = [_changed(a.nodes[j], b.nodes[k]) for j, k in pairs]
    return Difference(
        tuple(_line(a, k) for k in gone if k not in lost), tuple(_line(b, k) for k in new if k not in come),
        tuple(c for c in changes if c),
    )  # fmt: skip


def _digests(doc: Document, state: State) -> dict[int, str]:
    """Node -> a digest of it and of all that is behind it."""
    found: dict[int, str] = {}
    for k in _in_order(state):
        node = doc.nodes[k]
        data = node.data.tobytes() if node.data is not None else b""
        behind = [(found[i], slot) for i, slot in state.inputs[k]]
        text = repr((node.kind, node.op, node.name, node.types, sorted(node.attrs.items()), behind))
        found[k] = hashlib.sha256(text.encode() + data).hexdigest()
    for number, (label, (k, slot)) in enumerate(state.outputs):
        found[-1 - number] = hashlib.sha256(repr((label, found[k], slot)).encode()).hexdigest()
    return {k: digest for k, digest in found.items() if k >= 0}


def _in_order(state: State) -> list[int]:
    order: dict[int, None] = {}
    waiting = list(state.inputs)[::-1]
    while waiting:
        missing = [i for i, _ in state.inputs[waiting[-1]] if i not in order]
        if missing:
            waiting += missing
        else:
            order.setdefault(waiting.pop())
    return list(order)


def _without(digests: dict[int, str], common: Counter[str]) -> list[int]:
    """The nodes that the other graph does not have."""
    left = []
    for k, digest in digests.items():
        if common[digest] > 0:
            common[digest] -= 1
        else:
            left.append(k)
    return left


def _paired(a: Document, gone: list[int], b: Document, new: list[int]) -> list[tuple[int, int]]:
    """Nodes that are the same op in both, in order: what is behind them changed, or their attributes or types did."""
    waiting: dict[tuple[str, str, str], list[int]] = {}
    for k in new:
        waiting.setdefault(_kind(b.nodes[k]), []).append(k)
    return [(k, waiting[_kind(a.nodes[k])].pop(0)) for k in gone if waiting.get(_kind(a.nodes[k]))]


def _kind(node: Node) -> tuple[str, str, str]:
    return node.kind, node.op, node.name


def _changed(old: Node, new: Node) -> str:
    """What differs in the node itself; "" if only what is behind it does."""
    said = []
    if old.types != new.types:
        said.append(f"{type_text(old)} -> {type_text(new)}")
    said += [f"{k}={old.attrs.get(k)!r} -> {new.attrs.get(k)!r}" for k in {**old.attrs, **new.attrs}
             if old.attrs.get(k) != new.attrs.get(k)]  # fmt: skip
    if old.value != new.value:
        said.append(f"{old.value} -> {new.value}")
    return f"{new.title}: {', '.join(said)}" if said else ""


def _line(doc: Document, k: int) -> str:
    node = doc.nodes[k]
    place = doc.place(node.source)
    return f"{node.formula or node.title}  {type_text(node)}" + (f"  {place}" if place else "")

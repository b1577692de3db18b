"""The graphs between the steps of a trace, each node under one number for as long as it is the same op.

A rewrite builds everything above the place anew. The numbers say which of the new nodes are the old ones on other
operands, so that a viewer shows a step as the few nodes that changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from symgraph.graph import Apply, Constant, Variable, apply, toposort, transform
from symgraph.origin import made_at
from symgraph.view.document import Ref, State

Thing = Apply | Variable
"""What has a number: a node, or a leaf."""


class Numbering:
    """The numbers of nodes and leaves.

    Attributes
    ----------
    things : dict
        Number -> the node or leaf as it was when it got it.
    """

    def __init__(self) -> None:
        self.things: dict[int, Thing] = {}
        self._numbers: dict[Thing, int] = {}
        self._fresh = count()

    def number(self, thing: Thing) -> int:
        """The number of a node or leaf, a new one if it has none."""
        if thing not in self._numbers:
            new = next(self._fresh)
            self._numbers[thing], self.things[new] = new, thing
        return self._numbers[thing]

    def ref(self, v: Variable) -> Ref:
        """A value by number and slot."""
        return self.number(v if v.owner is None else v.owner), v.slot

    def state(self, outputs: Sequence[Variable], labels: Sequence[str]) -> State:
        """The graph of ``outputs``; two nodes that have come to one number by different ways are told apart."""
        nodes = toposort(outputs)
        seen: set[int] = set()
        for node in nodes:
            if self.number(node) in seen:
                del self._numbers[node]
            seen.add(self.number(node))
        inputs: dict[int, tuple[Ref, ...]] = {}
        for node in nodes:
            refs = tuple(self.ref(v) for v in node.inputs)
            inputs.update((ref[0], ()) for v, ref in zip(node.inputs, refs, strict=True) if v.owner is None)
            inputs[self.number(node)] = refs
        inputs.update((self.number(v), ()) for v in outputs if v.owner is None)
        return State(inputs, tuple(zip(labels, map(self.ref, outputs), strict=True)))

    def replace(self, outputs: Sequence[Variable], before: Variable, after: Variable) -> list[Variable]:
        """``outputs`` with ``after`` for ``before``; what is rebuilt keeps its number."""

        def rebuild(node: Apply, inputs: Sequence[Variable]) -> Sequence[Variable]:
            if all(a is b for a, b in zip(node.inputs, inputs, strict=True)):
                return node.outputs
            with made_at(node.origin):
                new = apply(node.op, inputs, node.attrs)
            self._inherit(node, new)
            return new.outputs

        return transform(outputs, lambda v: after if v is before else None, rebuild)

    def carry(self, old: Sequence[Variable], new: Sequence[Variable]) -> None:
        """Give nodes of ``new`` the numbers of those of ``old`` that stand at the same place and are the same op."""
        waiting = list(zip(old, new, strict=True))
        seen: set[tuple[Variable, Variable]] = set()
        while waiting:
            a, b = waiting.pop()
            if a is b or (a, b) in seen:
                continue
            seen.add((a, b))
            if a.owner is None and b.owner is None and _is_same_leaf(a, b):
                self._inherit(a, b)
            elif a.owner is not None and b.owner is not None and _is_alike(a.owner, b.owner):
                self._inherit(a.owner, b.owner)
                waiting += zip(a.owner.inputs, b.owner.inputs, strict=True)

    def _inherit(self, old: Thing, new: Thing) -> None:
        if new not in self._numbers and old in self._numbers:
            self._numbers[new] = self._numbers[old]
            self.things[self._numbers[old]] = new


def _is_same_leaf(a: Variable, b: Variable) -> bool:
    return a.name == b.name and not isinstance(a, Constant) and not isinstance(b, Constant)


def _is_alike(a: Apply, b: Apply) -> bool:
    return a.op is b.op and a.attrs == b.attrs and len(a.inputs) == len(b.inputs)

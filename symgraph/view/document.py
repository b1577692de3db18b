"""The document: what is known of a graph and of its way through the compiler, as plain data.

Everything that shows a graph (page, picture, text, network) is written from a ``Document``, so all of them say the
same. A value of the graph is named by its node's number and a slot.

    Document ::= nodes, sources, scenes, parts, storages
    Scene    ::= a phase of the compiler: its steps; the first is the graph as the phase found it
    Step     ::= a rule, where and why it was applied, and the State of the graph after it
    State    ::= node -> operands, and the results

A node keeps its number for as long as it is the same op, although what it is applied to may change from step to step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from symgraph.errors import ArgumentError
from symgraph.graph import Attr, printable
from symgraph.types import TensorType

PARTS = "parts"
"""The scene in which complex values have become two real ones; a graph without any has none."""

Ref = tuple[int, int]
"""A value: number of its node, slot."""


@dataclass(frozen=True)
class Source:
    """A place in the user's code.

    Attributes
    ----------
    file, line : str, int
    label : str
        ``file:line`` without folders.
    module, function : str
        The file's name without its suffix, and the function with the classes around it.
    excerpt : tuple of str
        The line, and carets under the expression.
    """

    file: str
    line: int
    label: str
    module: str
    function: str
    excerpt: tuple[str, ...]


@dataclass(frozen=True)
class Node:
    """An op on operands, or a leaf.

    Attributes
    ----------
    id : int
        Position in ``Document.nodes``.
    kind : "op", "input", "shared" or "constant"
    op : str
        Name of the op; "" for a leaf.
    name : str
        What the user called it, or "".
    types : tuple of TensorType
        Of each output.
    attrs : dict
        Of the op.
    value, data : str, ndarray or None
        Of a constant, shortened, and as it is; of a leaf without a name, what to call it.
    formula : str
        The op with the names of its operands.
    source : int or None
        Position in ``Document.sources``.
    bytes, flops : int or None
        Of all outputs together, and to compute them; None where an extent is not known.
    """

    id: int
    kind: str
    op: str
    name: str
    types: tuple[TensorType, ...]
    attrs: Mapping[str, Attr]
    value: str
    data: np.ndarray | None
    formula: str
    source: int | None
    bytes: int | None
    flops: int | None

    @property
    def is_scalar_constant(self) -> bool:
        """Whether drawings write it into what uses it: the number 1 has users everywhere."""
        return self.kind == "constant" and all(n == 1 for t in self.types for n in t.shape)

    @property
    def title(self) -> str:
        """The op, or the leaf's name or value."""
        return printable(self.op or self.name or self.value or self.kind)


@dataclass(frozen=True)
class State:
    """A graph at one moment: each node with its operands, in an order in which they can be computed."""

    inputs: Mapping[int, tuple[Ref, ...]]
    outputs: tuple[tuple[str, Ref], ...]


@dataclass(frozen=True)
class Step:
    """What a rule did.

    Attributes
    ----------
    rule, why : str
        The rule and its docstring.
    source : int or None
    before, after : str
        What was there and what took its place, as formulas.
    state : State
        The graph after it.
    """

    rule: str
    why: str
    source: int | None
    before: str
    after: str
    state: State


@dataclass(frozen=True)
class Scene:
    """A phase: ``steps[0]`` is the graph as it was found."""

    phase: str
    steps: tuple[Step, ...]

    @property
    def states(self) -> Iterator[State]:
        """The graphs, in order."""
        return (step.state for step in self.steps)


@dataclass(frozen=True)
class Group:
    """A step of the compiled program: a kernel, a copy, a check.

    Attributes
    ----------
    name, kind : str
    nodes : tuple of int
        What it computes. A node that several compute anew stands in each.
    reads, writes : tuple of str
        Names of storages.
    bytes, flops : int
        Moved through memory at least once, and computed.
    seconds : float or None
        Of one run, where it was measured.
    code : str
        As the backend shows it.
    """

    name: str
    kind: str
    nodes: tuple[int, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    bytes: int
    flops: int
    seconds: float | None
    code: str


@dataclass(frozen=True)
class Document:
    """A graph and its way through the compiler.

    Attributes
    ----------
    title : str
    nodes : tuple of Node
        Everything that occurs at any step.
    sources : tuple of Source
    scenes : tuple of Scene
    groups : tuple of Group
        Of the last scene, in the order in which they run; none where nothing was compiled.
    facts : dict
        What the backend says of the program: bytes by purpose, seconds of compiling by stage.
    """

    title: str
    nodes: tuple[Node, ...]
    sources: tuple[Source, ...]
    scenes: tuple[Scene, ...]
    groups: tuple[Group, ...] = ()
    facts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def first(self) -> State:
        """The graph as it was written."""
        return self.scenes[0].steps[0].state

    @property
    def computed(self) -> tuple[Scene, ...]:
        """The scenes on real values: all, if none of those written is complex."""
        return self.scenes[1:] if any(scene.phase == PARTS for scene in self.scenes) else self.scenes

    @property
    def real(self) -> State:
        """The graph as it was written, on the parts of what is complex."""
        return self.computed[0].steps[0].state

    @property
    def last(self) -> State:
        """The graph as it is compiled."""
        return self.scenes[-1].steps[-1].state

    def state(self, phase: str | None = None) -> State:
        """The graph at the end of ``phase``; as it is compiled for None.

        Raises
        ------
        ArgumentError
            If there is no such phase.
        """
        if phase is None:
            return self.last
        states = {scene.phase: scene.steps[-1].state for scene in self.scenes}
        if phase not in states:
            raise ArgumentError(f"{self.title} has no phase {phase!r}\nit has {', '.join(states)}")
        return states[phase]

    def node(self, ref: Ref) -> Node:
        """The node of a value."""
        return self.nodes[ref[0]]

    def place(self, source: int | None) -> str:
        """``file:line``, or "" where it is not known."""
        return "" if source is None else self.sources[source].label

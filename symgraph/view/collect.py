"""From variables and functions to a ``Document``: every fact that a drawing shows is found out here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from symgraph.backend import Executable, Part, Task
from symgraph.boundary import apart_task
from symgraph.errors import ArgumentError
from symgraph.function import Function
from symgraph.graph import Apply, Constant, Variable, leaves, printable
from symgraph.origin import Origin
from symgraph.printing import in_terms_of
from symgraph.rewrite import EXPAND, PHASES, RULES, STABILIZING, rewrite
from symgraph.rewrite import Step as Rewrite
from symgraph.shared_variable import SharedVariable
from symgraph.types import is_complex
from symgraph.varying import as_open
from symgraph.view import brief
from symgraph.view.document import PARTS, Document, Group, Node, Scene, Source, State, Step
from symgraph.view.replay import Numbering, Thing
from symgraph.view.work import bytes_of, flops_of

Graph = Variable | Sequence[Variable] | Mapping[str, Variable] | Function | Document

WRITTEN, COMPILED = "written", "compiled"
ORDER = (WRITTEN, PARTS, *STABILIZING, EXPAND, *PHASES[2:], COMPILED)
WHY = {
    WRITTEN: "The graph as it was written.",
    PARTS: "Each complex value is two real ones, its real and its imaginary part: programs compute with these.",
    "canonicalize": "One spelling for each value; exact bit for bit.",
    "stabilize": "What would overflow or cancel becomes a stable op.",
    EXPAND: "Named ops that are made of others give way to them.",
    "specialize": "Cheaper equals, as accurate.",
    COMPILED: "What runs: the graph in kernels.",
}
SETTLED = "Shapes are fixed: extents become numbers, small constants are folded."
LONGEST_VALUE = 40  # characters of a constant


def document(what: Graph, seconds: Mapping[str, float] | None = None) -> Document:
    """What is known of a graph.

    Parameters
    ----------
    what : Variable, sequence or dict of Variable, Function or Document
        Of a function, the program compiled last; before the first, its graph for any shapes.
    seconds : mapping of str to float, optional
        Name of a part of the program -> how long one run of it takes.

    Raises
    ------
    ArgumentError
        If it is none of these.
    """
    if isinstance(what, Document):
        return what
    if isinstance(what, Function):
        compiled = list(what.programs.values())
        return _of_program(what.task, compiled[-1], seconds or {}) if compiled else _of_task(what.task)
    return _of_task(task_of(what))


def task_of(what: Variable | Sequence[Variable] | Mapping[str, Variable]) -> Task:
    """Expressions as a function of all their leaves."""
    if isinstance(what, Variable):
        many: list[object] = [what]
    else:
        many = list(what.values() if isinstance(what, Mapping) else what)
    outputs = [v for v in many if isinstance(v, Variable)]
    if len(outputs) < len(many) or not many:
        wrong = next((v for v in many if not isinstance(v, Variable)), many)
        raise ArgumentError(f"{wrong!r} is no graph\ngive a variable, several, or a function of symgraph.function")
    free = [v for v in leaves(outputs) if not isinstance(v, Constant)]
    shared = tuple(v for v in free if isinstance(v, SharedVariable))
    inputs = tuple(v for v in free if not isinstance(v, SharedVariable))
    name = outputs[0].name if len(outputs) == 1 else None
    return apart_task(Task(inputs, shared, tuple(outputs), (), name or "graph"))


def labels_of(task: Task) -> list[str]:
    """What to call each result of a task; no two alike."""
    if task.whole is not None:
        named = zip(labels_of(task.whole), task.whole.results, strict=True)
        return [part for label, v in named for part in _parts_of(label, v)]
    single = len(task.outputs) == 1
    labels = [v.name or ("output" if single else f"output {k}") for k, v in enumerate(task.outputs)]
    labels += [f"new {target.name or f'shared {task.shared.index(target)}'}" for target, _ in task.updates]
    labels = [printable(label) for label in labels]
    return [label if labels.count(label) == 1 else f"{label} #{k}" for k, label in enumerate(labels)]


def _parts_of(label: str, v: Variable) -> list[str]:
    return [f"{label}.real", f"{label}.imag"] if is_complex(v.dtype) else [label]


def unnamed(inputs: Sequence[Variable], shared: Sequence[Variable]) -> dict[Variable, str]:
    """What to call leaves without a name: by their kind and position."""
    kinds = (("input", inputs), ("shared", shared))
    return {v: f"{kind} {k}" for kind, many in kinds for k, v in enumerate(many) if not v.name}


def _unnamed_of(task: Task) -> dict[Variable, str]:
    return {v: name for t in (task.written, task) for v, name in unnamed(t.inputs, t.shared).items()}


def _of_task(task: Task) -> Document:
    film = _Film(labels_of(task), _unnamed_of(task))
    film.open(task)
    trace: list[Rewrite] = []
    results = rewrite(task.results, STABILIZING, trace=trace)
    film.play(trace)
    film.end(results)
    return film.document(task.name)


def _of_program(task: Task, program: Executable, seconds: Mapping[str, float]) -> Document:
    p = program.prepared
    called = {**_unnamed_of(task), **unnamed(p.inputs, p.shared)}
    film = _Film(labels_of(task), called)
    film.open(task)
    stages = p.stages
    film.end(stages[WRITTEN])
    for phases, stage in ((STABILIZING, "stabilize"), ((EXPAND,), EXPAND), (PHASES[2:], "specialize")):
        film.play([step for step in program.trace if step.phase in phases])
        film.end(stages[stage])
    film.begin(COMPILED, film.results)
    groups = [film.group(p, program, seconds) for p in program.parts]
    facts: dict[str, Mapping[str, float]] = {"bytes": dict(program.buffers), "seconds": dict(program.timings)}
    return film.document(task.name, groups, facts)


@dataclass
class _Film:
    """The scenes as they are found, under one numbering."""

    labels: Sequence[str]
    called: Mapping[Variable, str]
    numbering: Numbering = field(default_factory=Numbering)
    sources: dict[Origin, int] = field(default_factory=dict)
    scenes: list[Scene] = field(default_factory=list)
    results: list[Variable] = field(default_factory=list)
    closed: dict[Variable, bool] = field(default_factory=dict)

    def open(self, task: Task) -> None:
        """What the user wrote; where it has complex values, then its parts."""
        labels, self.labels = self.labels, labels_of(task.written)
        self.begin(WRITTEN, task.written.results)
        self.labels = labels
        if task.whole is not None:
            self.begin(PARTS, task.results)

    def begin(self, phase: str, results: Sequence[Variable]) -> None:
        """A scene that starts with ``results``."""
        self.results = list(results)
        self.scenes.append(Scene(phase, (Step("", WHY[phase], None, "", "", self._state()),)))

    def play(self, trace: Sequence[Rewrite]) -> None:
        """Every step of a trace; a phase begins with its first."""
        for step in trace:
            if ORDER.index(step.phase) > ORDER.index(self.scenes[-1].phase):
                self.begin(step.phase, self.results)
            self.results = self.numbering.replace(self.results, step.before, step.after)
            before, after = brief.of_change(step.before, step.after, self.called)
            why = RULES[step.rule].doc if step.rule in RULES else ""
            origin = None if self._is_closed(step.before) else step.origin
            self._add(Step(step.rule, why, self.source(origin), before, after, self._state()))

    def end(self, results: Sequence[Variable]) -> None:
        """What the phase came to, if the steps do not tell it all: shapes and constants settle without a rule."""
        if all(a is b for a, b in zip(self.results, results, strict=True)):
            return
        self.numbering.carry(self.results, results)
        self.results = list(results)
        self._add(Step("shapes", SETTLED, None, "", "", self._state()))

    def _add(self, step: Step) -> None:
        last = self.scenes[-1]
        self.scenes[-1] = Scene(last.phase, (*last.steps, step))

    def _state(self) -> State:
        return self.numbering.state(self.results, self.labels)

    def _is_closed(self, v: Variable) -> bool:
        """Whether only constants are behind a value: all graphs share it, and its origin is the first one's."""
        waiting = [v]
        while waiting:
            u = waiting[-1]
            inputs = () if u.owner is None else u.owner.inputs
            missing = [i for i in inputs if i not in self.closed]
            if missing:
                waiting += missing
                continue
            self.closed[waiting.pop()] = isinstance(u, Constant) or (
                u.owner is not None and all(self.closed[i] for i in inputs)
            )
        return self.closed[v]

    def source(self, origin: Origin | None) -> int | None:
        """The number of a place."""
        return None if origin is None else self.sources.setdefault(origin, len(self.sources))

    def group(self, part: Part, program: Executable, seconds: Mapping[str, float]) -> Group:
        """A part of the program with numbers for nodes."""
        sizes = {s.name: s.bytes for s in program.storages}
        flops = [flops_of(node) for node in part.nodes]
        return Group(
            part.name, part.kind, tuple(self.numbering.number(node) for node in part.nodes), part.reads, part.writes,
            sum(sizes[s] for s in dict.fromkeys((*part.reads, *part.writes))), sum(n or 0 for n in flops),
            seconds.get(part.name), _code(part, program),
        )  # fmt: skip

    def document(
        self, title: str, groups: Sequence[Group] = (), facts: Mapping[str, Mapping[str, float]] | None = None
    ) -> Document:
        """All that was found."""
        nodes = tuple(self._node(k, thing) for k, thing in self.numbering.things.items())
        sources = tuple(map(_source, self.sources))
        return Document(title, nodes, sources, tuple(self.scenes), tuple(groups), facts or {})

    def _node(self, number: int, thing: Thing) -> Node:
        if isinstance(thing, Apply):
            types = tuple(as_open(v.type) for v in thing.outputs)
            names = [v.name for v in thing.outputs if v.name]
            origin = None if self._is_closed(thing.outputs[0]) else thing.origin
            return Node(number, "op", thing.op.name, names[0] if names else "", types, thing.attrs, "", None,
                        brief.of_node(thing, self.called), self.source(origin), bytes_of(types),
                        flops_of(thing))  # fmt: skip
        types = (as_open(thing.type),)
        value, source, data = self.called.get(thing, ""), None, None
        if isinstance(thing, Constant):
            value, data = _value(thing), thing.data
        else:
            source = self.source(thing.origin)
        return Node(number, _kind(thing), "", thing.name or "", types, {}, value, data, "", source, bytes_of(types), 0)


def _code(part: Part, program: Executable) -> str:
    return program.code("kernel", part.name) if part.kind == "kernel" and "kernel" in program.kinds else ""


def _kind(v: Variable) -> str:
    return "constant" if isinstance(v, Constant) else "shared" if isinstance(v, SharedVariable) else "input"


def _value(v: Constant) -> str:
    text = in_terms_of(v, {})
    return brief.shortened(text, LONGEST_VALUE)


def _source(origin: Origin) -> Source:
    line, _, _ = origin.position
    function = origin.code.co_qualname.removeprefix("<module>")
    return Source(origin.file, line, str(origin), Path(origin.file).stem, function, tuple(origin.excerpt()))

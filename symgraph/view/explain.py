"""``explain``: what the compiler did to a graph and why, in plain words and in order, and what it left as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from symgraph.errors import SymgraphError
from symgraph.function import Function
from symgraph.gradient import grad
from symgraph.graph import Apply, Constant, Variable, leaves, printable, toposort
from symgraph.pattern import walk
from symgraph.printing import pprint
from symgraph.rewrite import EXPAND, RULES, STABILIZING, Rule, rewrite, rules_for
from symgraph.types import is_float
from symgraph.view import brief
from symgraph.view.collect import Graph, document, task_of
from symgraph.view.document import PARTS, Document, Scene, State
from symgraph.view.known import known
from symgraph.view.plain import graph_of
from symgraph.view.reading import reading

PURPOSE = {
    PARTS: "taken apart: programs compute with real numbers",
    "canonicalize": "rewritten to one spelling, exact bit for bit",
    "stabilize": "repaired: it would overflow, cancel or lose digits",
    "expand": "written out: a named op gave way to what it is made of",
    "specialize": "made cheaper, as accurate",
}
NEAR_MISSES = 8
"""Rules that looked and found something else, told at most."""

FITTING = "where no axis is stretched"


@dataclass(frozen=True)
class Told:
    """A rewrite in words.

    Attributes
    ----------
    phase, rule, why : str
        ``why`` is the rule's docstring.
    place : str
        The user's ``file:line``, or "in the gradient" where there is none.
    excerpt : tuple of str
    before, after : str
    effect : str
        What it saved.
    times : int
        How often in a row it was done to the same effect at this place.
    """

    phase: str
    rule: str
    why: str
    place: str
    excerpt: tuple[str, ...]
    before: str
    after: str
    effect: str
    times: int = 1


@dataclass(frozen=True)
class Named:
    """A formula with a name: ``why`` says what it is and why it matters."""

    name: str
    formula: str
    why: str
    place: str
    excerpt: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """What a result became.

    Attributes
    ----------
    name, formula : str
        The formula in its stable form.
    reading : str
        The formula as one of real numbers, where that is shorter: what it means, without what keeps its digits.
    notes : tuple of str
        The meaning of ops that were read as others.
    fitting : bool
        Whether the reading takes extents that are not known to fit without being stretched.
    """

    name: str
    formula: str
    reading: str = ""
    notes: tuple[str, ...] = ()
    fitting: bool = False


@dataclass(frozen=True)
class Explanation:
    """What was done, what was not, and what came of it.

    Attributes
    ----------
    title : str
    steps : tuple of Told
    named : tuple of Named
        Formulas with a name that were found in the stable form.
    left : tuple of str
        What looks as if it could be simpler and was not, with the reason.
    results : tuple of Result
        After the stable form was found; gradients too, for a scalar expression.
    """

    title: str
    steps: tuple[Told, ...]
    named: tuple[Named, ...]
    left: tuple[str, ...]
    results: tuple[Result, ...]

    def __str__(self) -> str:
        return "\n".join([f"{self.title}: {brief.counted(len(self.steps), 'rewrite')}", *self._steps(), *self._rest()])

    def plain(self) -> dict[str, object]:
        """The same as dicts and lists, for JSON."""
        many = {"steps": self.steps, "named": self.named, "results": self.results}
        return {"title": self.title, "left": self.left, **{k: [vars(x) for x in v] for k, v in many.items()}}

    def _steps(self) -> Iterator[str]:
        phase = ""
        for number, told in enumerate(self.steps, 1):
            if told.phase != phase:
                phase = told.phase
                yield f"\n{phase}: {PURPOSE.get(phase, '')}"
            often = f" ({told.times} times)" if told.times > 1 else ""
            yield f"\n{number}. {told.rule}, {told.place or 'in the gradient'}{often}"
            yield f"   {told.before}\n-> {told.after}"
            yield from (f"   {line}" for line in told.why.splitlines())
            yield from (f"     {line}" for line in told.excerpt)
            if told.effect:
                yield f"   {told.effect}"

    def _rest(self) -> Iterator[str]:
        for found in self.named:
            yield f"\nhere is a {found.name}, {found.place}\n   {found.formula}\n   {found.why}"
            yield from (f"     {line}" for line in found.excerpt)
        if self.left:
            yield "\nleft as it is"
            yield from (f"- {line}" for line in self.left)
        if self.results:
            yield "\nwhat became of it"
        for result in self.results:
            first, *more = result.formula.splitlines()
            yield "\n".join([f"{result.name}: {first}", *(f"  {line}" for line in more)])
            if result.reading:
                yield f"  in real numbers{f', {FITTING}' if result.fitting else ''}: {result.reading}"
                yield from (f"    {note}" for note in result.notes)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def explain(what: Graph) -> Explanation:
    """The explanation of a graph; see ``symgraph.explain``."""
    doc = document(what)
    outputs = _written(what, doc)
    labels = [label for label, _ in doc.real.outputs]
    stable = rewrite(outputs, STABILIZING)
    results = [_result(label, v) for label, v in zip(labels, stable, strict=True)]
    if not (isinstance(what, Function) and what.task.updates):
        results += _gradients(outputs)
    nodes = toposort(stable)
    left = dict.fromkeys([*_kept(nodes), *_near_misses(nodes)])
    return Explanation(doc.title, tuple(_told(doc)), tuple(_named(nodes)), tuple(left), tuple(results))


def _result(name: str, v: Variable) -> Result:
    read = reading(v)
    return Result(name, pprint(v), *((read.text, read.notes, read.stretched) if read is not None else ()))


def _named(nodes: Iterable[Apply]) -> Iterator[Named]:
    for found in known(nodes):
        origin = found.node.origin
        yield Named(found.name, found.what, found.why, str(origin or "in the gradient"),
                    tuple(origin.excerpt()) if origin else ())  # fmt: skip


def _written(what: Graph, doc: Document) -> Sequence[Variable]:
    """The results as the user wrote them, on real values."""
    if isinstance(what, Function):
        return what.task.results
    return list(graph_of(doc, doc.real).values()) if isinstance(what, Document) else task_of(what).outputs


def _gradients(outputs: Sequence[Variable]) -> Iterator[Result]:
    """Of a single float scalar: the gradient by each leaf that has one."""
    if len(outputs) != 1 or outputs[0].ndim or not is_float(outputs[0].dtype):
        return
    for v in leaves(outputs):
        if isinstance(v, Constant) or not is_float(v.dtype):
            continue
        try:
            (stable,) = rewrite([grad(outputs[0], v)], STABILIZING)
        except SymgraphError:
            continue
        yield _result(f"gradient by {printable(v.name or 'an unnamed input')}", stable)


# ------------------------------------------------------------------------------------------------ what was done


def _told(doc: Document) -> list[Told]:
    """The steps of every scene; equal ones in a row are one."""
    found: list[Told] = []
    for scene in doc.scenes:
        for told in _of_scene(doc, scene):
            last = found[-1] if found else None
            if last is not None and _key(last) == _key(told):
                found[-1] = Told(**{**vars(last), "times": last.times + 1})
            else:
                found.append(told)
    return found


def _key(told: Told) -> tuple[str, ...]:
    return told.phase, told.rule, told.place, told.before, told.after


def _of_scene(doc: Document, scene: Scene) -> Iterator[Told]:
    if scene.phase == PARTS:
        whole, parts = (", ".join(map(brief.of_value, graph_of(doc, s).values())) for s in (doc.first, doc.real))
        yield Told(PARTS, "parts_of_complex_values", scene.steps[0].why, "everywhere", (), whole, parts, "")
    for before, step in zip(scene.steps, scene.steps[1:], strict=False):
        if step.rule not in RULES or step.before == brief.without_where(step.after):
            continue  # shapes that became known, or a note of a builder: the formula is as it was
        excerpt = doc.sources[step.source].excerpt if step.source is not None else ()
        yield Told(
            scene.phase, step.rule, step.why, doc.place(step.source), excerpt, step.before, step.after,
            _effect(doc, before.state, step.state) if scene.phase != EXPAND else "",
        )  # fmt: skip


def _effect(doc: Document, before: State, after: State) -> str:
    """How many ops and how much work a step saved, where it did."""
    ops = [sum(doc.nodes[k].kind == "op" for k in s.inputs) for s in (before, after)]
    work = [[doc.nodes[k].flops for k in s.inputs] for s in (before, after)]
    said = []
    if ops[1] < ops[0]:
        said.append(f"{brief.counted(ops[0] - ops[1], 'op')} fewer")
    if not any(None in w for w in work):
        saved = sum(n or 0 for n in work[0]) - sum(n or 0 for n in work[1])
        if saved > 0:
            said.append(f"{brief.counted(saved, 'operation')} less")
    return ", ".join(said)


# ------------------------------------------------------------------------------------------------ what was not


def _is(value: float) -> Callable[[Variable], bool]:
    def test(v: Variable) -> bool:
        v = _under_axes(v)
        return isinstance(v, Constant) and v.data.size > 0 and bool((v.data == value).all())

    return test


def _under_axes(v: Variable) -> Variable:
    while v.owner is not None and v.owner.op.name == "dimshuffle":
        v = v.owner.inputs[0]
    return v


KEPT: dict[str, list[tuple[Callable[[Sequence[Variable]], bool], str]]] = {
    "mul": [(lambda i: any(map(_is(0.0), i)), "x * 0 stays: it is NaN where x is infinite or NaN, -0 where x < 0")],
    "sub": [(lambda i: i[0] is i[1], "x - x stays: it is NaN where x is infinite or NaN")],
    "true_div": [(lambda i: i[0] is i[1], "x / x stays: it is NaN where x is 0, infinite or NaN")],
    "add": [(lambda i: any(map(_is(0.0), i)), "x + 0 stays: it makes 0 of -0")],
    "eq": [(lambda i: i[0] is i[1], "x == x stays: it is false where x is NaN")],
}  # fmt: skip
"""Identities of real numbers that are none of floats: op -> whether its operands have the form, and the reason."""


def _kept(nodes: Iterable[Apply]) -> Iterator[str]:
    for node in nodes:
        if not any(is_float(v.dtype) for v in node.inputs):
            continue
        for test, reason in KEPT.get(node.op.name, ()):
            if test(node.inputs):
                yield f"{brief.of_value(node.outputs[0])}, {node.origin or 'in the gradient'}: {reason}"


ARITHMETIC = {"add", "sub", "mul", "true_div", "neg"}


def _near_misses(nodes: Iterable[Apply]) -> list[str]:
    """Stabilizing rules whose ops are all there, in another form than the rule is about."""
    found: dict[str, None] = {}
    for node in nodes:
        around = brief.ops_near(node)
        for rule in rules_for("stabilize", node.op.name):
            if rule.phase == "stabilize" and _looked(rule, node, around):
                text = brief.of_value(node.outputs[0])
                found.setdefault(f"{text}, {node.origin or 'in the gradient'}: {rule.name} is about {rule.left!r}")
    return list(found)[:NEAR_MISSES]


def _looked(rule: Rule, node: Apply, around: set[str]) -> bool:
    """Whether a pair finds all its ops at and near a node, more than arithmetic, and does not match."""
    if rule.left is None or rule.left.op != node.op.name:
        return False
    ops = {p.op for p in walk(rule.left) if p.op}
    wanted = ops - {node.op.name} if ops - ARITHMETIC else set()
    numbers = [p for p in rule.left.inputs if isinstance(p, int | float)]
    if not all(any(_is(p)(v) for v in node.inputs) for p in numbers):
        return False
    return bool(wanted) and wanted <= around and rule.apply(node) is None

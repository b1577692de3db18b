"""``explain``: what the compiler did to a graph and why, in plain words and in order, and what it left as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from symgraph.errors import SymgraphError
from symgraph.function import Function
from symgraph.gradient import grad
from symgraph.graph import Apply, Constant, Variable, leaves, toposort
from symgraph.pattern import walk
from symgraph.printing import pprint
from symgraph.rewrite import RULES, STABILIZING, Rule, rewrite, rules_for
from symgraph.types import is_float
from symgraph.view import brief
from symgraph.view.collect import Graph, document, task_of
from symgraph.view.document import Document, Scene, State
from symgraph.view.plain import graph_of

PURPOSE = {
    "canonicalize": "rewritten to one spelling, exact bit for bit",
    "stabilize": "repaired: it would overflow, cancel or lose digits",
    "expand": "written out: a named op gave way to what it is made of",
    "specialize": "made cheaper, as accurate",
}
NEAR_MISSES = 8
"""Rules that looked and found something else, told at most."""


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
class Explanation:
    """What was done, what was not, and what came of it.

    Attributes
    ----------
    title : str
    steps : tuple of Told
    left : tuple of str
        What looks as if it could be simpler and was not, with the reason.
    results : tuple of (str, str)
        Name and formula of each result after the stable form was found; gradients too, for a scalar expression.
    """

    title: str
    steps: tuple[Told, ...]
    left: tuple[str, ...]
    results: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "\n".join([f"{self.title}: {len(self.steps)} rewrites", *self._steps(), *self._rest()])

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
        if self.left:
            yield "\nleft as it is"
            yield from (f"- {line}" for line in self.left)
        if self.results:
            yield "\nwhat became of it"
        for name, formula in self.results:
            first, *more = formula.splitlines()
            yield "\n".join([f"{name}: {first}", *(f"  {line}" for line in more)])

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def explain(what: Graph) -> Explanation:
    """The explanation of a graph; see ``symgraph.explain``."""
    doc = document(what)
    outputs = _written(what, doc)
    labels = [label for label, _ in doc.first.outputs]
    stable = rewrite(outputs, STABILIZING)
    results = [(label, pprint(v)) for label, v in zip(labels, stable, strict=True)]
    if not (isinstance(what, Function) and what.task.updates):
        results += _gradients(outputs)
    left = [*_kept(toposort(stable)), *_near_misses(toposort(stable))]
    return Explanation(doc.title, tuple(_told(doc)), tuple(dict.fromkeys(left)), tuple(results))


def _written(what: Graph, doc: Document) -> Sequence[Variable]:
    """The results as the user wrote them."""
    if isinstance(what, Function):
        return what.task.results
    return list(graph_of(doc).values()) if isinstance(what, Document) else task_of(what).outputs


def _gradients(outputs: Sequence[Variable]) -> Iterator[tuple[str, str]]:
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
        yield f"gradient by {v.name or 'an unnamed input'}", pprint(stable)


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
    for before, step in zip(scene.steps, scene.steps[1:], strict=False):
        if step.rule not in RULES:
            continue
        excerpt = doc.sources[step.source].excerpt if step.source is not None else ()
        yield Told(
            scene.phase, step.rule, step.why, doc.place(step.source), excerpt, step.before, step.after,
            _effect(doc, before.state, step.state),
        )  # fmt: skip


def _effect(doc: Document, before: State, after: State) -> str:
    """How many ops and how much work a step saved, where it did."""
    ops = [sum(doc.nodes[k].kind == "op" for k in s.inputs) for s in (before, after)]
    work = [[doc.nodes[k].flops for k in s.inputs] for s in (before, after)]
    said = []
    if ops[1] < ops[0]:
        said.append(f"{ops[0] - ops[1]} op{'s' if ops[0] - ops[1] > 1 else ''} fewer")
    if not any(None in w for w in work):
        saved = sum(n or 0 for n in work[0]) - sum(n or 0 for n in work[1])
        if saved > 0:
            said.append(f"{saved:,} operations less")
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
    """Whether a pair finds all its ops at and near a node, and does not match."""
    if rule.left is None or rule.left.op != node.op.name:
        return False
    wanted = {p.op for p in walk(rule.left) if p.op} - {node.op.name}
    return bool(wanted) and wanted <= around and rule.apply(node) is None

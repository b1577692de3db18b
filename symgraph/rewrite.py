"""Rewriting: rules, phases, the driver, and the trace of what was done.

A rule is a pair of formulas with the same value; the left one is looked for and the right one takes its place. What a
pair cannot say is a *rewriter*, a function from a node to what replaces it. Each belongs to a phase:

============  ========================================================================================
canonicalize  exact bit for bit: one spelling for each value
stabilize     never further from the real answer; what overflowed or cancelled becomes a named, stable op
specialize    as accurate and cheaper
============  ========================================================================================

Each phase runs to its fixpoint, operands before the ops on them, so the inputs of a node that is tried are in normal
form. Stabilize runs the rules of canonicalize too, on what its own rules make. Results are kept for as long as the
graph they are of, so rewriting a graph again, or a larger one around it, costs only what is new.
"""

from __future__ import annotations

import contextlib
import inspect
import weakref
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from symgraph import config
from symgraph.errors import SymgraphError
from symgraph.graph import Apply, Variable, apply
from symgraph.match import (
    SUMS,
    Env,
    Matcher,
    Owner,
    build,
    heads,
    make,
    match_product,
    multiply,
    needed_heads,
    owner_of,
)
from symgraph.origin import Origin, made_at
from symgraph.pattern import Pattern, walk
from symgraph.types import TensorType

PHASES = ("canonicalize", "stabilize", "specialize")
STABILIZING = PHASES[:2]
"""Those before composites are expanded, and before a graph is differentiated."""
EXPAND = "expand"
PRODUCT_ROOTS, SEEN_THROUGH = ("mul", "true_div"), {"dimshuffle", "cast"}
RUNS = {"canonicalize": ("canonicalize",), "stabilize": ("canonicalize", "stabilize"), "specialize": ("specialize",)}
MAX_GENERATION = 1000
"""How many steps may follow from one another at one place before they are taken to go in circles."""

Replacement = Sequence[Variable]
Rewrite = Callable[[Apply, Owner], "Replacement | Variable | None"]
Formulas = tuple[Pattern, "Pattern | int | float"]


class RewriteError(SymgraphError, RuntimeError):
    """A rule that changes a type or goes in circles: an error in the rule, not in the graph."""


@dataclass(frozen=True)
class Step:
    """One rewrite: ``rule`` of ``phase`` put ``after`` in the place of ``before``, written at ``origin``."""

    phase: str
    rule: str
    before: Variable
    after: Variable
    origin: Origin | None


@dataclass(frozen=True, eq=False)
class Rule:
    """A pair of formulas, or a rewriter.

    Attributes
    ----------
    name, phase, doc : str
        The doc says in plain words what is repaired; users read it.
    left, right : Pattern
        Of a pair; ``left`` is None for a rewriter.
    ops : tuple of str
        Names of the ops a rewriter looks at; none for all.
    domain : dict
        For the test of the law: stand-in -> what to draw for it, where anything would be mostly undefined.
    """

    name: str
    phase: str
    doc: str
    left: Pattern | None = None
    right: Pattern | int | float | None = None
    rewrite: Rewrite | None = None
    ops: tuple[str, ...] = ()
    domain: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How much a node must be for a pair to match; 0 for a rewriter."""
        return sum(1 + len(p.inputs) for p in walk(self.left))

    @property
    def forgets(self) -> bool:
        """Whether an operand of a pair is not among those of its right side, which it may have stretched."""
        return not {p.name for p in walk(self.left) if p.op is None} <= {p.name for p in walk(self.right)}

    def apply(self, node: Apply, owner: Owner = owner_of) -> Replacement | None:
        """What takes the place of the outputs of ``node``, or None if the rule does not concern it."""
        if self.rewrite is None:
            return _apply_pair(self, node, owner)
        found = self.rewrite(node, owner)
        return [found] if isinstance(found, Variable) else found

    def may_concern(self, heads: set[str]) -> bool:
        """Whether a node with inputs of these ``heads`` can match: asked first, because it is cheap."""
        views = self.phase != "canonicalize"
        if self.left is None or (views and (self.left.op in PRODUCT_ROOTS or heads & SEEN_THROUGH)):
            return True
        return needed_heads(self.left, views) <= heads


RULES: dict[str, Rule] = {}
"""Every rule and rewriter by name. The order says nothing: what a phase makes of a graph does not depend on it."""


def _register(new: Rule) -> None:
    """Enter a rule; results kept from before may not be normal forms any more."""
    assert new.phase in (*PHASES, EXPAND), f"{new.name}: no phase {new.phase!r}"
    RULES[new.name] = new
    _forget()


def _forget() -> None:
    _normal.clear()
    _index.clear()


@contextlib.contextmanager
def scratch_rules(without: Collection[str] = ()) -> Iterator[None]:
    """Rules declared in the body are forgotten after it, and those of the phases ``without`` are not there in it."""
    saved = dict(RULES)
    for name in [n for n, r in RULES.items() if r.phase in without]:
        del RULES[name]
    _forget()
    try:
        yield
    finally:
        RULES.clear()
        RULES.update(saved)
        _forget()


def rule(phase: str, **domain: str) -> Callable[[Callable[..., Formulas]], Callable[..., Formulas]]:
    """Declare a rule: a function of stand-ins that gives the formula to find and the one to put in its place.

    Parameters
    ----------
    phase : "canonicalize", "stabilize" or "specialize"
    **domain : str
        For the generated test of the law: what to draw for a stand-in, "positive", "unit" (0 to 1), "moderate"
        (at most 9 away from 0), "kinked" (parts have kinks at 0, where gradients are not compared), "distance" (from
        the first to the second) or "bool"; by default any float.

    Examples
    --------
    >>> from symgraph.pattern import log, log1p
    >>> @rule("stabilize")
    ... def log_of_one_plus(x):
    ...     '''log(1 + x) loses every digit of a small x; log1p keeps them.'''
    ...     return log(1 + x), log1p(x)
    """

    def declare(f: Callable[..., Formulas]) -> Callable[..., Formulas]:
        names = inspect.signature(f).parameters
        left, right = f(*[Pattern(name=n) for n in names])
        if not isinstance(left, Pattern) or left.op is None:
            raise RewriteError(f"rule {f.__name__}: its left side is {left!r}; it must be an op of something")
        _register(Rule(f.__name__, phase, inspect.getdoc(f) or "", left, right, domain=domain))
        return f

    return declare


def rewriter(phase: str, *ops: str) -> Callable[[Rewrite], Rewrite]:
    """Declare a function ``(node, owner)`` -> replacement outputs (or one variable) or None, for nodes of ``ops``.

    ``owner(v)`` is the node behind a variable, or None where it must not be looked through; use it instead of
    ``v.owner``.
    """

    def declare(f: Rewrite) -> Rewrite:
        _register(Rule(f.__name__, phase, inspect.getdoc(f) or "", rewrite=f, ops=ops))
        return f

    return declare


# ------------------------------------------------------------------------------------------------ one pair


def _apply_pair(pair: Rule, node: Apply, owner: Owner) -> Replacement | None:
    assert pair.left is not None
    matcher = Matcher(owner, views=pair.phase != "canonicalize")
    for new in _candidates(pair, pair.left, node, matcher):
        if _fits(pair, new, node.outputs[0]):
            return [new]
    return None


def _candidates(pair: Rule, left: Pattern, node: Apply, matcher: Matcher) -> Iterator[Variable]:
    (v,) = node.outputs
    for env in matcher.match(left, v, {}):
        yield _right(pair, env)
    if not matcher.views:
        return
    if left.op == "sub" and node.op.name == "sub":
        for env in matcher.match_all(left.inputs, node.inputs[::-1], {}):
            yield make("neg", _right(pair, env))
    if left.op in PRODUCT_ROOTS:
        for env, negative, rest in match_product(matcher, left, node):
            yield multiply(_right(pair, env), negative, rest)


def _right(pair: Rule, env: Env) -> Variable:
    return build(pair.right, env)


def _fits(pair: Rule, new: Variable, old: Variable) -> bool:
    """Whether ``new`` may stand for ``old``: not if another operand may have stretched ``old``."""
    if new.dtype != old.dtype or (new.ndim != old.ndim and new.owner is not None):
        raise _wrong_type(pair.name, new.type, old.type)
    if pair.forgets and None in new.type.shape + old.type.shape:
        return False
    return new.ndim == old.ndim and is_as_precise(new.type, old.type)


def _wrong_type(name: str, new: TensorType, old: TensorType) -> RewriteError:
    return RewriteError(f"{name} makes {new} of {old}; a rewrite keeps the type")


def is_as_precise(new: TensorType, old: TensorType) -> bool:
    """Whether every extent known in ``old`` is the same in ``new``."""
    return (
        new.dtype == old.dtype
        and len(new.shape) == len(old.shape)
        and all(b is None or a == b for a, b in zip(new.shape, old.shape, strict=True))
    )


# ------------------------------------------------------------------------------------------------ the driver

_normal: dict[str, weakref.WeakKeyDictionary[Apply, Replacement | None]] = {}
"""phase -> node -> what became of its outputs (None: they are normal forms). Nothing normal refers to what is not, so a
value never keeps its key alive."""

_index: dict[str, dict[str, list[Rule]]] = {}


def rewrite(
    outputs: Sequence[Variable], phases: Sequence[str] = PHASES, *, trace: list[Step] | None = None,
    leaves: Iterable[Variable] = (),
) -> list[Variable]:  # fmt: skip
    """``outputs`` with every rule of ``phases`` applied until none applies.

    Parameters
    ----------
    outputs : sequence of Variable
    phases : sequence of str
    trace : list of Step, optional
        Gets every step, in order.
    leaves : iterable of Variable
        Variables that are neither looked through nor replaced.

    Returns
    -------
    list of Variable
        Of the same types; extents that were unknown may be known.
    """
    kept = frozenset(v for v in leaves if v.owner is not None)
    results = list(outputs)
    for phase in phases:
        results = _Run(phase, kept, trace).normal_forms(results)
    assert all(map(_same_type, results, outputs)), "a rewrite changed a type"
    return results


def _same_type(new: Variable, old: Variable) -> bool:
    return is_as_precise(new.type, old.type)


def expand_composites(outputs: Sequence[Variable], trace: list[Step] | None = None) -> list[Variable]:
    """``outputs`` with every composite replaced by its body; ``trace`` gets every step."""
    return _Run(EXPAND, frozenset(), trace).normal_forms(outputs)


@rewriter(EXPAND)
def body_of_composite(node: Apply, owner: Owner) -> Replacement | None:
    """A named op that is made of others gives way to them once all rules that know its name have run."""
    return node.op.expand(node)


def rules_for(phase: str, op: str) -> list[Rule]:
    """The rules that ``phase`` tries at a node of ``op``, in order of phase, then what says more first: long pairs
    before short ones, and rewriters, which are general, last, those for any op behind those for named ones."""
    index = _index.setdefault(phase, {})
    if op not in index:
        found = [r for p in RUNS.get(phase, (phase,)) for r in RULES.values() if r.phase == p and _concerns(r, op)]
        index[op] = sorted(found, key=lambda r: (RUNS.get(phase, (phase,)).index(r.phase), -r.size, not r.ops))
    return index[op]


def _concerns(r: Rule, op: str) -> bool:
    if r.left is None:
        return not r.ops or op in r.ops
    if r.left.op == op or r.phase == "canonicalize":
        return r.left.op == op
    return SUMS.get(op) == r.left.op or (op in PRODUCT_ROOTS and r.left.op in PRODUCT_ROOTS)


def repaired(node: Apply, owner: Owner, pairs_only: bool = False) -> Variable | None:
    """What the first rule of stabilize that concerns ``node`` makes of it, tried before the node is put anywhere."""
    for r in rules_for("stabilize", node.op.name):
        if r.phase == "stabilize" and (r.left is not None or not pairs_only):
            found = r.apply(node, owner)
            if found is not None:
                return found[0]
    return None


class _Run:
    """One phase over one graph, without recursion."""

    def __init__(self, phase: str, leaves: Collection[Variable], trace: list[Step] | None) -> None:
        self.phase, self.trace = phase, trace
        self.owner: Owner = (lambda v: None if v in leaves else v.owner) if leaves else owner_of
        self.done: dict[Apply, Replacement] = {}
        self.waiting: dict[Apply, Replacement] = {}
        self.asked: set[Apply] = set()
        self.last: deque[str] = deque(maxlen=MAX_GENERATION)
        # A trace wants every step, leaves change what a rule may see, and a setting what it may do: then nothing kept
        # from before will do.
        usual = trace is None and not leaves and not config.settings().fast_math
        self.kept = _normal.setdefault(phase, weakref.WeakKeyDictionary()) if usual else None

    def normal_forms(self, outputs: Sequence[Variable]) -> list[Variable]:
        for v in outputs:
            self._settle(v)
        if self.kept is not None:
            for node, new in self.done.items():
                self.kept[node] = None if new is node.outputs else new
        return [self._image(v) for v in outputs]  # type: ignore[misc]

    def _image(self, v: Variable) -> Variable | None:
        """The normal form of ``v`` if it is known."""
        node = self.owner(v)
        if node is None:
            return v
        new = self.done.get(node)
        if new is None and node not in self.asked:
            new = self._recall(node)
        return None if new is None else new[v.slot]

    def _recall(self, node: Apply) -> Replacement | None:
        """What an earlier run found, asked once for each node."""
        self.asked.add(node)
        if self.kept is None or node not in self.kept:
            return None
        found = self.kept[node]
        self.done[node] = node.outputs if found is None else found
        return self.done[node]

    def _settle(self, root: Variable) -> None:
        stack = [(root, 0)]
        while stack:
            v, generation = stack[-1]
            node = self.owner(v)
            if node is None or self._image(v) is not None:
                stack.pop()
                continue
            after = self.waiting.get(node)
            needed = node.inputs if after is None else after
            missing = [u for u in needed if self._image(u) is None]
            if missing:
                later = generation if after is None else generation + 1
                if later > MAX_GENERATION:
                    raise RewriteError(f"phase {self.phase} goes in circles at {node!r}: {self._firing()}")
                stack += [(u, later) for u in reversed(missing)]
            elif after is None:
                self._advance(node)
            else:
                self.done[node] = [self._image(u) for u in after]  # type: ignore[misc]

    def _advance(self, node: Apply) -> None:
        """One step at a node whose inputs are in normal form: rebuilt on them, rewritten, or found normal."""
        inputs = [self._image(u) for u in node.inputs]
        with made_at(node.origin):
            if any(a is not b for a, b in zip(inputs, node.inputs, strict=True)):
                self.waiting[node] = apply(node.op, inputs, node.attrs).outputs  # type: ignore[arg-type]
                return
            after = self._fire(node)
        if after is None:
            self.done[node] = node.outputs
        else:
            self.waiting[node] = after

    def _fire(self, node: Apply) -> Replacement | None:
        found = heads(node, self.owner)
        for r in rules_for(self.phase, node.op.name):
            after = r.apply(node, self.owner) if r.may_concern(found) else None
            if after is None or all(a is b for a, b in zip(after, node.outputs, strict=True)):
                continue
            if not all(map(_same_type, after, node.outputs)):
                raise _wrong_type(r.name, after[0].type, node.outputs[0].type)
            self.last.append(r.name)
            self._record(r, node, after)
            return after
        return None

    def _firing(self) -> str:
        """The rules that keep firing, the most frequent first."""
        return ", ".join(f"{name} ({times} times)" for name, times in Counter(self.last).most_common())

    def _record(self, r: Rule, node: Apply, after: Replacement) -> None:
        if self.trace is not None:
            self.trace += [
                Step(r.phase, r.name, old, new, node.origin) for old, new in zip(node.outputs, after, strict=True)
                if old is not new
            ]  # fmt: skip

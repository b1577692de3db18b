"""Matching: where in a graph a pattern is found, and a pattern built as a graph.

A match binds the pattern's stand-ins to variables and attributes. The same name twice must bind the same variable:
nodes are interned, so that is structural equality. Numbers match constants all of whose elements equal them. A matcher
that looks *through views* also sees what is exactly the same value written differently:

* ``-p`` in the negation of anything: ``b - a`` is the negation of ``a - b``;
* ``p - q`` in ``p + -q`` and ``p + q`` in ``p - -q``, where what is negated has been met before;
* an elementwise op under a ``dimshuffle`` (broadcasting inserts these);
* a float16 sum that accumulates in float32;
* ``exp(x - y)`` in ``exp_difference(x, y)`` and ``exp(x*y)`` in ``exp_product(x, y)``, which round less;
* at the root, a product: ``mul``, ``true_div`` and ``neg`` are a chain of factors, of which the pattern may take some;
  a square is its root twice, where the pattern asks for that.

Sums are not regrouped. ``(t + m) + log(sum(exp(x - m)))`` with t = -m = 1e8 is right to the last digit; taking
``m + log(sum(exp(x - m)))`` out of it leaves t + 1e8, and nothing of the answer. A product has no such loss.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from symgraph.graph import Apply, Constant, Variable, apply, constant
from symgraph.kinds import Elementwise, Reduction
from symgraph.op import OPS
from symgraph.pattern import Pattern

Env = Mapping[str, object]
Owner = Callable[[Variable], Apply | None]
MAX_FACTORS = MAX_TERMS = 32
PRODUCTS = ("mul", "true_div", "neg")
TAKEN_FOR = {"exp_difference": "exp", "exp_product": "exp"}
"""Ops that are another of a difference or a product, but for its rounding."""
SUMS = {"add": "sub", "sub": "add"}


def owner_of(v: Variable) -> Apply | None:
    """The node that made ``v``."""
    return v.owner


def seen_through(v: Variable, owner: Owner) -> Apply | None:
    """The node that made ``v``; of an elementwise op under a dimshuffle, that op on dimshuffled operands."""
    node = owner(v)
    inner = owner(node.inputs[0]) if node is not None and node.op.name == "dimshuffle" else None
    if node is None or inner is None or not isinstance(inner.op, Elementwise):
        return node
    rank = node.inputs[0].ndim
    moved = [apply(node.op, [u], node.attrs).outputs[0] if u.ndim == rank else u for u in inner.inputs]
    return apply(inner.op, moved, inner.attrs)


def heads(node: Apply, owner: Owner) -> set[str]:
    """What the inputs of ``node`` are: names of ops, and "constant"."""
    found = {made.op.name for v in node.inputs if (made := owner(v)) is not None}
    found |= {TAKEN_FOR[name] for name in found & TAKEN_FOR.keys()}
    return found | {"constant"} if any(isinstance(v, Constant) for v in node.inputs) else found


@functools.cache
def needed_heads(pattern: Pattern, views: bool) -> frozenset[str]:
    """What the inputs of a node must be for ``pattern`` to match there; a negation through views may be anything."""
    ops = {p.op for p in pattern.inputs if isinstance(p, Pattern) and p.op is not None}
    numbers = any(not isinstance(p, Pattern) for p in pattern.inputs)
    return frozenset((ops - {"neg"} if views else ops) | ({"constant"} if numbers else set()))


# ------------------------------------------------------------------------------------------------ building


def build(pattern: object, env: Env) -> Variable:
    """``pattern`` as a graph on the variables and attributes that its stand-ins are bound to."""
    made = _build(pattern, env, {})
    assert isinstance(made, Variable), f"{pattern!r} is no formula"
    return made


def make(op: str, *inputs: object, **attrs: object) -> Variable:
    """The op of that name, called: inputs meet in dtype and rank."""
    made = OPS[op](*inputs, **attrs)  # type: ignore[operator]
    assert isinstance(made, Variable)
    return made


def _build(pattern: object, env: Env, memo: dict[Pattern, object]) -> object:
    if not isinstance(pattern, Pattern):
        return pattern
    if pattern.op is None:
        return env[pattern.name]
    if pattern not in memo:
        inputs = [_build(p, env, memo) for p in pattern.inputs]
        attrs = {k: _build(a, env, memo) for k, a in pattern.attrs.items()}
        memo[pattern] = make(pattern.op, *inputs, **attrs)
    return memo[pattern]


# ------------------------------------------------------------------------------------------------ matching


@dataclass(frozen=True)
class Matcher:
    """Finds patterns.

    Attributes
    ----------
    owner : callable
        The node behind a variable, or None for one that must not be looked through.
    views : bool
        Whether to look through views.
    """

    owner: Owner = owner_of
    views: bool = False

    def match(self, pattern: object, v: Variable, env: Env) -> Iterator[Env]:
        """The ways ``v`` is ``pattern``, each as the bindings it extends ``env`` to."""
        if not isinstance(pattern, Pattern):
            return iter([env] if self.is_number(v, pattern) else [])
        if pattern.op is None:
            return _bind(pattern.name, v, env)
        if pattern.op == "neg":
            return self._match_negation(pattern, v, env)
        return self._match_op(pattern, v, env)

    def is_number(self, v: Variable, number: object) -> bool:
        """Whether every element of ``v`` is the constant ``number``; -0.0 is not 0.0."""
        node = self.owner(v)
        while node is not None and node.op.name == "dimshuffle":
            v = node.inputs[0]
            node = self.owner(v)
        if not isinstance(v, Constant) or not v.data.size or v.data.flat[0] != number:
            return False
        negative = bool(np.signbit(np.float64(number)))  # type: ignore[arg-type]
        zero_fits = number != 0 or bool((np.signbit(v.data) == negative).all())
        return zero_fits and bool((v.data == number).all())

    def _match_op(self, pattern: Pattern, v: Variable, env: Env) -> Iterator[Env]:
        node = self.owner(v)
        if node is None:
            return
        if node.op.name == pattern.op:
            yield from self._match_node(pattern, node.op, node.inputs, node.attrs, env)
        elif self.views and TAKEN_FOR.get(node.op.name) == pattern.op:
            combined = self.difference if node.op.name == "exp_difference" else self.exponent
            yield from self.match(pattern.inputs[0], combined(*node.inputs), env)
        elif self.views and node.op.name == SUMS.get(pattern.op or ""):
            yield from self.match_other_sum(pattern, node.inputs, env)
        elif self.views and node.op.name == "dimshuffle":
            yield from self._match_shuffled(pattern, node, env)
        elif self.views and node.op.name == "cast":
            yield from self._match_narrow(pattern, node, env)

    def _match_node(
        self, pattern: Pattern, op: object, inputs: Sequence[Variable], attrs: Env, env: Env
    ) -> Iterator[Env]:
        if len(inputs) != len(pattern.inputs) or attrs.keys() != pattern.attrs.keys():
            return
        found: Env | None = env
        for key, wanted in pattern.attrs.items():
            found = None if found is None else _unify(wanted, attrs[key], found)
        if found is None:
            return
        yield from self.match_all(pattern.inputs, inputs, found)
        if len(inputs) == 2 and getattr(op, "commutes", False):
            yield from self.match_all(pattern.inputs, inputs[::-1], found)

    def match_all(self, patterns: Sequence[object], vs: Sequence[Variable], env: Env) -> Iterator[Env]:
        """The ways in which each of ``patterns`` matches its variable, all with the same bindings."""
        if not patterns:
            yield env
            return
        for found in self.match(patterns[0], vs[0], env):
            yield from self.match_all(patterns[1:], vs[1:], found)

    # -------------------------------------------------------------------------------------------- views

    def match_other_sum(self, pattern: Pattern, terms: Sequence[Variable], env: Env) -> Iterator[Env]:
        """A difference as the sum with a negated term, or a sum as the difference: one term is matched, and the other
        must be the negation of what that binds a stand-in to."""
        a, b = pattern.inputs
        ways = [(a, b, *terms), (a, b, *terms[::-1])] if pattern.op == "sub" else [(a, b, *terms), (b, a, *terms)]
        for first, second, v, other in ways:
            if isinstance(second, Pattern) and second.op is None:
                for found in self.match(first, v, env):
                    if second.name in found and found[second.name] is self.negated(other):
                        yield found

    def _match_negation(self, pattern: Pattern, v: Variable, env: Env) -> Iterator[Env]:
        (inner,) = pattern.inputs
        if not self.views:
            yield from self._match_op(pattern, v, env)
        elif (isinstance(inner, Pattern) and inner.op is None) or self._shows_negation(v):
            yield from self.match(inner, self.negated(v), env)

    def _shows_negation(self, v: Variable) -> bool:
        node = self.owner(v)
        return node is not None and node.op.name in ("neg", "sub")

    def negated(self, v: Variable) -> Variable:
        """-v, by undoing a negation where there is one (exact, but for the sign of a zero difference)."""
        node = self.owner(v)
        if isinstance(v, Constant):
            return constant(-v.data)
        if node is not None and node.op.name == "neg":
            return node.inputs[0]
        if node is not None and node.op.name == "sub":
            return _again(node, node.inputs[::-1])
        return make("neg", v)

    def difference(self, x: Variable, y: Variable) -> Variable:
        """x - y as it is written canonically."""
        node = self.owner(y)
        return make("add", x, node.inputs[0]) if node is not None and node.op.name == "neg" else make("sub", x, y)

    def exponent(self, x: Variable, s: Variable) -> Variable:
        """The exponent of exp(x)**s."""
        return make("exponent_of_power", x, s)

    def _match_shuffled(self, pattern: Pattern, node: Apply, env: Env) -> Iterator[Env]:
        """An elementwise op under a dimshuffle is that op on dimshuffled inputs."""
        inner = self.owner(node.inputs[0])
        if inner is None or inner.op.name != pattern.op:
            return
        moved = seen_through(node.outputs[0], self.owner)
        if moved is not None and moved is not node:
            yield from self._match_node(pattern, moved.op, moved.inputs, moved.attrs, env)

    def _match_narrow(self, pattern: Pattern, node: Apply, env: Env) -> Iterator[Env]:
        """A reduction done in a wider float and cast back is that reduction of the narrow one."""
        inner = self.owner(node.inputs[0])
        if inner is None or inner.op.name != pattern.op or not isinstance(inner.op, Reduction):
            return
        widened = self.owner(inner.inputs[0])
        narrow = node.outputs[0].dtype == "float16"
        if widened is not None and widened.op.name == "cast" and narrow and widened.inputs[0].dtype == "float16":
            yield from self._match_node(pattern, inner.op, widened.inputs, inner.attrs, env)


def _bind(name: str, value: object, env: Env) -> Iterator[Env]:
    if name not in env:
        yield {**env, name: value}
    elif env[name] is value:
        yield env


def _unify(wanted: object, value: object, env: Env) -> Env | None:
    """An attribute: a stand-in takes its value, which must be the same wherever the name occurs."""
    if not isinstance(wanted, Pattern):
        return env if wanted == value and type(wanted) is type(value) else None
    if wanted.name not in env:
        return {**env, wanted.name: value}
    return env if env[wanted.name] == value else None


def _again(node: Apply, inputs: Sequence[Variable]) -> Variable:
    return apply(node.op, inputs, node.attrs).outputs[0]


# ------------------------------------------------------------------------------------------------ sums


def added(v: Variable, owner: Owner) -> list[Variable]:
    """The terms of a sum in order, none negative, at most ``MAX_TERMS``."""
    found: list[Variable] = []
    stack = [v]
    while stack:
        v = stack.pop()
        node = seen_through(v, owner)
        if node is None or node.op.name != "add" or len(found) + len(stack) >= MAX_TERMS:
            found.append(v)
        else:
            stack += node.inputs[::-1]
    return found


# ------------------------------------------------------------------------------------------------ products


@dataclass(frozen=True)
class Factor:
    """A factor of a product: ``value``, or 1/value if ``below``."""

    value: Variable
    below: bool


def factors(v: Variable, owner: Owner, through: bool = False) -> tuple[bool, list[Factor]]:
    """``v`` as (whether it is negated, its factors in the order they are written), at most ``MAX_FACTORS``; with
    ``through`` those under a dimshuffle too."""
    found: list[Factor] = []
    stack, negative = [Factor(v, False)], False
    while stack:
        factor = stack.pop()
        node = seen_through(factor.value, owner) if through else owner(factor.value)
        if node is None or node.op.name not in PRODUCTS or len(found) + len(stack) >= MAX_FACTORS:
            found.append(factor)
        elif node.op.name == "neg":
            negative = not negative
            stack.append(Factor(node.inputs[0], factor.below))
        else:
            below = factor.below != (node.op.name == "true_div")
            stack += [Factor(node.inputs[1], below), Factor(node.inputs[0], factor.below)]
    return negative, found


@functools.cache
def pattern_factors(pattern: object) -> list[tuple[object, bool]]:
    """The factors of a pattern and whether each is below the line; ones above it are left out."""
    if isinstance(pattern, Pattern) and pattern.op in ("mul", "true_div"):
        first, second = map(pattern_factors, pattern.inputs)
        turned = [(p, below != (pattern.op == "true_div")) for p, below in second]
        return first + turned
    return [] if pattern == 1 and not isinstance(pattern, Pattern) else [(pattern, False)]


def match_product(matcher: Matcher, pattern: Pattern, node: Apply) -> Iterator[tuple[Env, bool, list[Factor]]]:
    """The ways in which ``node`` is the product of ``pattern`` and more: bindings, a sign, and the other factors.

    A match within one operand of the node belongs to that operand, where it has been tried before: factors of both are
    needed, or the one below the line. So a long chain costs no more than its length.
    """
    wanted = pattern_factors(pattern)
    heads = {p.op for p, _ in wanted if isinstance(p, Pattern) and p.op is not None}
    if not heads or not _may_take(matcher, heads, node, len(wanted)):
        return
    negative, given = factors(node.outputs[0], matcher.owner)
    split = len(factors(node.inputs[0], matcher.owner)[1])
    given, split = _opened(given, split, heads, matcher.owner)
    for env, taken in _take(matcher, wanted, given, {}, ()):
        sides = {k < split for k in taken}
        if len(sides) == 2 or (sides == {False} and node.op.name == "true_div"):
            yield env, negative, [f for k, f in enumerate(given) if k not in taken]


def _opened(given: list[Factor], split: int, heads: set[str], owner: Owner) -> tuple[list[Factor], int]:
    """The factors with each square of one of ``heads`` as its root twice, and where the second operand's begin now."""
    found: list[Factor] = []
    first = split
    for k, f in enumerate(given):
        node = owner(f.value)
        root = factors(node.inputs[0], owner)[1] if node is not None and node.op.name == "sqr" else []
        if any((made := owner(r.value)) is not None and made.op.name in heads for r in root):
            twice = [Factor(r.value, r.below != f.below) for r in root] * 2
            first += (len(twice) - 1) * (k < split)
            found += twice
        else:
            found.append(f)
    return found, first


def _may_take(matcher: Matcher, heads: set[str], node: Apply, count: int) -> bool:
    """Whether the operands that are single factors can have a part in a match: asked first, because it is cheap."""
    if count == 1 and node.op.name != "true_div":
        return False
    asked = node.inputs[1:] if count == 1 else node.inputs
    owners = [matcher.owner(v) for v in asked]
    single = [n for n in owners if n is None or n.op.name not in PRODUCTS]
    squared = any(n is not None and n.op.name == "sqr" for n in single)
    if count > 1 and len(single) == 2 and not squared:
        return False
    if node.op.name == "true_div" and owners[-1] not in single:
        return True
    behind = {"dimshuffle", "cast", "sqr", *heads, *(op for op, other in TAKEN_FOR.items() if other in heads)}
    return all(n is not None and n.op.name in behind for n in single)


def _take(
    matcher: Matcher, wanted: list[tuple[object, bool]], given: list[Factor], env: Env, taken: tuple[int, ...]
) -> Iterator[tuple[Env, tuple[int, ...]]]:
    if not wanted:
        yield env, taken
        return
    pattern, below = wanted[0]
    for k, factor in enumerate(given):
        if k not in taken and factor.below == below:
            for found in matcher.match(pattern, factor.value, env):
                yield from _take(matcher, wanted[1:], given, found, (*taken, k))


def multiply(new: Variable, negative: bool, rest: Sequence[Factor]) -> Variable:
    """``new`` put back among the other factors of a product."""
    first, *more = [*(f.value for f in rest if not f.below), new]
    above = functools.reduce(functools.partial(make, "mul"), more, first)
    result = functools.reduce(functools.partial(make, "true_div"), [f.value for f in rest if f.below], above)
    return make("neg", result) if negative else result

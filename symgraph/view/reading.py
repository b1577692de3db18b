"""A formula as a formula of real numbers: what it means, without the detours that keep its digits.

What is computed for p - y, say, multiplies by ``softmax_complement`` and adds the smaller terms first. On paper all of
that is gone: sums of products are collected, a choice between equals is none, and an op that only exists to lose no
digits is the formula that its rule replaced. Nothing here is ever computed; people read it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from symgraph.errors import SymgraphError
from symgraph.graph import Apply, Constant, Variable, apply, constant, toposort
from symgraph.kinds import Elementwise
from symgraph.match import Matcher, build, make
from symgraph.ops.broadcast import broadcast_like
from symgraph.pattern import Pattern
from symgraph.printing import in_terms_of, pprint
from symgraph.rewrite import RULES
from symgraph.types import is_float
from symgraph.view import brief
from symgraph.view.polynomial import ONE, Monomial, Polynomial, atom, content, inverse, number, plus, split, times

BACKWARDS = ("one_minus_softmax", "one_minus_sigmoid", "log1mexp_from_parts")
"""Rules whose right side is read as their left: it is written by rules alone, so that no digits are lost."""

SAME_SHAPE = ("softmax", "softmax_complement", "log_softmax")
"""Ops, beside those that go by elements, of which the result has the shape of the operand."""

LARGEST = 400
"""Ops of a graph that is read."""

TERMS = 24
"""Of a sum that is collected."""

SIMPLE = 1000
"""Denominators of the fractions that a float may be the nearest to."""


@dataclass(frozen=True)
class Reading:
    """What a formula is in real numbers.

    Attributes
    ----------
    value : Variable
        A graph with that value, up to rounding.
    text : str
    notes : tuple of str
        What the ops mean that were read as others.
    stretched : bool
        Whether it holds only if no axis of unknown extent is stretched by broadcasting.
    """

    value: Variable
    text: str
    notes: tuple[str, ...]
    stretched: bool


def reading(v: Variable) -> Reading | None:
    """How a formula reads on paper; None if it is no shorter, or too large."""
    if len(toposort([v])) > LARGEST:
        return None
    reader = _Reader()
    try:
        value = reader.build(reader.read(v))
    except SymgraphError:
        return None
    text = in_terms_of(value, reader.names) if value not in reader.names else reader.names[value]
    if value.ndim != v.ndim or len(text) >= len(pprint(v)):
        return None
    return Reading(value, text, tuple(reader.notes), reader.assumes)


class _Reader:
    """Polynomials of the variables of one graph.

    Attributes
    ----------
    names : dict
        What to call variables that stand for something simpler.
    notes : dict
        Sentences, in order.
    assumes : bool
        Whether an extent was taken to be the one that fits.
    """

    def __init__(self) -> None:
        self.names: dict[Variable, str] = {}
        self.notes: dict[str, None] = {}
        self.assumes = False
        self._atoms: list[Variable] = []
        self._numbers: dict[Variable, int] = {}
        self._flags: set[int] = set()
        self._chosen: dict[int, int] = {}  # a one-hot array -> the axis along which it sums to 1
        self._known: dict[Variable, Polynomial] = {}

    def read(self, root: Variable) -> Polynomial:
        """The polynomial of a variable."""
        waiting = [root]
        while waiting:
            v = waiting[-1]
            missing = [u for u in v.owner.inputs if u not in self._known] if v.owner is not None else []
            if missing:
                waiting += missing
            else:
                self._known[waiting.pop()] = self._read(v)
        return self._known[root]

    def _read(self, v: Variable) -> Polynomial:
        if isinstance(v, Constant):
            value = _uniform(v)
            return self._atom(v) if value is None else number(value)
        if v.owner is None or len(v.owner.outputs) > 1 or v.dtype.startswith("uint"):
            return self._atom(v)
        found = READ[v.owner.op.name](self, v.owner) if v.owner.op.name in READ else None
        if found is None:
            found = self._plainly(v)
        return self._atom(self._rebuilt(v.owner)) if found is None or len(found) > TERMS else found

    def _atom(self, v: Variable, exponent: int = 1) -> Polynomial:
        return atom(self._number(v), exponent)

    def _number(self, v: Variable) -> int:
        if v not in self._numbers:
            self._numbers[v] = len(self._atoms)
            self._atoms.append(v)
        return self._numbers[v]

    def _rebuilt(self, node: Apply) -> Variable:
        """The node on its operands as they read."""
        inputs = [self._operand(u) for u in node.inputs]
        return apply(node.op, inputs, node.attrs).outputs[0]

    def _operand(self, v: Variable) -> Variable:
        """How a variable reads, where that is simpler and of one type with it."""
        new = self.build(self._known[v])
        fits = new.ndim == v.ndim and new.dtype == v.dtype
        return new if fits and len(toposort([new])) < len(toposort([v])) else v

    # -------------------------------------------------------------------------------------------- arithmetic

    def add(self, node: Apply) -> Polynomial | None:
        a, b = (self._known[u] for u in node.inputs)
        return plus(a, b)

    def sub(self, node: Apply) -> Polynomial | None:
        a, b = (self._known[u] for u in node.inputs)
        return plus(a, b, -1)

    def neg(self, node: Apply) -> Polynomial | None:
        return plus({}, self._known[node.inputs[0]], -1)

    def mul(self, node: Apply) -> Polynomial | None:
        a, b = (self._known[u] for u in node.inputs)
        return times(a, b, self._flags) if len(a) * len(b) <= TERMS else None

    def true_div(self, node: Apply) -> Polynomial | None:
        a, b = (self._known[u] for u in node.inputs)
        under = inverse(b) or self._atom(self._operand(node.inputs[1]), -1)
        return times(a, under, self._flags) if not self._flags & {k for m in under for k, _ in m} else None

    def switch(self, node: Apply) -> Polynomial | None:
        a, b = (self._known[u] for u in node.inputs[1:])
        flag = self._number(node.inputs[0])
        self._flags.add(flag)
        return plus(times(atom(flag), plus(a, b, -1), self._flags), b)

    def cast(self, node: Apply) -> Polynomial | None:
        (x,) = node.inputs
        if not is_float(node.outputs[0].dtype):
            return None
        if is_float(x.dtype):
            return self._known[x]
        new = self._rebuilt(node)
        source = new.owner.inputs[0].owner if new.owner is not None else None
        if source is not None and source.op.name == "shape_of":
            self.names[new] = in_terms_of(source.outputs[0], self.names)
        return self._atom(new)

    # -------------------------------------------------------------------------------------------- axes

    def _is_scalar(self, p: Polynomial) -> bool:
        return all(n == 1 for m in p for k, _ in m for n in self._atoms[k].type.shape)

    def stretch(self, node: Apply) -> Polynomial | None:
        p = self._known[node.inputs[0]]
        return p if self._is_scalar(p) else None

    def dimshuffle(self, node: Apply) -> Polynomial | None:
        (x,), pattern = node.inputs, node.attrs["pattern"]
        padded = pattern == (None,) * (len(pattern) - x.ndim) + tuple(range(x.ndim))
        p = self._known[x]
        return p if padded or all(not self._atoms[k].ndim for m in p for k, _ in m) else None

    def sum_to(self, node: Apply) -> Polynomial | None:
        x, like = node.inputs
        if x.ndim != like.ndim or any(
            n == 1 != m for m, n in zip(x.type.shape, like.type.shape, strict=True)
        ):  # fmt: skip
            return None
        self.assumes = True
        return self._known[x]

    def shape_of(self, node: Apply) -> Polynomial | None:
        """The extent of an index, for that of what it chose; of an operand; the length of a range."""
        made, axis = node.inputs[0].owner, node.attrs["axis"]
        if made is None:
            return None
        if made.op.name == "arange":
            return self._known[made.inputs[2]]
        if isinstance(made.op, Elementwise) or made.op.name in SAME_SHAPE:
            whole = [u for u in made.inputs if u.ndim > axis and u.type.shape[axis] != 1]
            self.assumes |= len(whole) > 1
            return self.read(make("shape_of", whole[0], axis=axis)) if whole else None
        if made.op.name != "gather" or len(made.attrs["axes"]) != made.inputs[0].ndim:
            return None
        index = next((i for i in made.inputs[:0:-1] if i.ndim == made.outputs[0].ndim), None)
        return None if index is None else self.read(make("shape_of", unchecked(index), axis=axis))

    def sum(self, node: Apply) -> Polynomial | None:
        """Term by term, what does not vary along the axes taken out."""
        (x,), axes, keepdims = node.inputs, node.attrs["axis"], node.attrs["keepdims"]
        total: Polynomial = {}
        for monomial, c in self._known[x].items():
            inner = tuple(f for f in monomial if self._varies(f[0], axes, x.ndim))
            outer = tuple(f for f in monomial if f not in inner)
            if not keepdims and any(self._atoms[k].ndim for k, _ in outer):
                return None
            part = self._summed(inner, axes, keepdims, x)
            if part is None:
                return None
            total = plus(total, times({outer: c}, part, self._flags))
        return total

    def _varies(self, k: int, axes: Sequence[int], rank: int) -> bool:
        shape = self._atoms[k].type.shape
        places = [a - rank + len(shape) for a in axes]
        return any(place >= 0 and shape[place] != 1 for place in places)

    def _summed(self, inner: Monomial, axes: Sequence[int], keepdims: bool, x: Variable) -> Polynomial | None:
        """The sum of a product, of which each factor varies along an axis."""
        still = [a for a in axes if not any(self._varies(k, (a,), x.ndim) for k, _ in inner)]
        repeats: Polynomial = ONE
        for a in still:
            n = x.type.shape[a]
            repeats = times(repeats, number(n) if isinstance(n, int) else self.read(make("shape_of", x, axis=a)))
        if not inner:
            return repeats
        if len(inner) == 1 and self._chosen.get(inner[0][0]) in axes and len(axes) == 1:
            return repeats
        factor = self.build({inner: Fraction(1)})
        places = tuple(a - x.ndim + factor.ndim for a in axes)
        if min(places) < 0 or (not keepdims and factor.ndim < x.ndim):
            return None
        return times(repeats, self._atom(make("sum", factor, axis=places, keepdims=keepdims)))

    # -------------------------------------------------------------------------------------------- named ops

    def put(self, node: Apply) -> Polynomial | None:
        """One number added at places of zeros: that number, times the array of ones at those places."""
        base, value, *indices = node.inputs
        if not node.attrs["inc"] or self._known[base] or not self._is_scalar(self._known[value]):
            return None
        ones = broadcast_like(constant(np.ones((), value.dtype)), value)
        at = apply(node.op, [base, ones, *indices], node.attrs).outputs[0]
        self._name_choice(at, base, indices, node.attrs["axes"])
        return times(self._atom(at), self._known[value])

    def _name_choice(self, at: Variable, base: Variable, indices: Sequence[Variable], axes: Sequence[int]) -> None:
        """A matrix with a one in each row, at the places of labels, is called by them."""
        rows = [self._covers(i, base.type.shape[a]) for i, a in zip(indices, axes, strict=True)]
        if base.ndim == 2 == len(indices) and sum(rows) == 1:
            labels = indices[rows.index(False)]
            self._chosen[self._number(at)] = axes[rows.index(False)]
            self.names[at] = f"onehot({brief.of_value(unchecked(labels))})"

    def _covers(self, index: Variable, extent: int | None) -> bool:
        """Whether an index is 0, 1, ... along a whole axis."""
        v = _unshuffled(index)
        if isinstance(v, Constant):
            return is_range(v) and extent == v.data.size
        self.assumes |= is_range(v)
        return is_range(v)

    def _plainly(self, v: Variable) -> Polynomial | None:
        """What a rule that loses no digits replaced."""
        for rule in (RULES[name] for name in BACKWARDS):
            env = next(Matcher().match(rule.right, v, {}), None)
            if env is not None and rule.left is not None:
                self.notes[f"{_shown(rule.right)} is {_shown(rule.left)}: {rule.doc}"] = None
                return self.read(build(rule.left, env))
        return None

    # -------------------------------------------------------------------------------------------- back to a graph

    def build(self, p: Polynomial) -> Variable:
        """A graph of a polynomial: common factors outside, what is added before what is subtracted."""
        if not p:
            return constant(0)
        flag = next((k for m in p for k, _ in m if k in self._flags), None)
        if flag is not None:
            where, elsewhere = split(p, flag)
            return make("switch", self._atoms[flag], self.build(where), self.build(elsewhere))
        if max(p.values()) < 0:
            return make("neg", self.build(plus({}, p, -1)))
        common, size = content(p)
        rest = times(p, {tuple((k, -e) for k, e in common): 1 / size})
        return self._product(common, size, None if rest == ONE else self._total(rest))

    def _total(self, p: Polynomial) -> Variable:
        """The sum of the terms, a positive one first."""
        first, *others = sorted(p.items(), key=lambda item: item[1] < 0)
        found = self._product(*first, None)
        for monomial, c in others:
            found = make("add" if c > 0 else "sub", found, self._product(monomial, abs(c), None))
        return found

    def _product(self, factors: Monomial, size: Fraction, more: Variable | None) -> Variable:
        above = [*(_power(self._atoms[k], e) for k, e in factors if e > 0), *([more] if more is not None else [])]
        below = [_power(self._atoms[k], -e) for k, e in factors if e < 0]
        if size.denominator != 1 and size.numerator != 1:
            above.insert(0, constant(float(size)))
        elif size.numerator != 1 or not above:
            above.insert(0, constant(size.numerator))
        if size.denominator != 1 and size.numerator == 1:
            below.insert(0, constant(size.denominator))
        found = _multiplied(above)
        return make("true_div", found, _multiplied(below)) if below else found


READ: Mapping[str, Callable[[_Reader, Apply], Polynomial | None]] = {
    "add": _Reader.add, "sub": _Reader.sub, "neg": _Reader.neg, "mul": _Reader.mul, "true_div": _Reader.true_div,
    "switch": _Reader.switch, "cast": _Reader.cast, "broadcast_like": _Reader.stretch,
    "broadcast_to": _Reader.stretch, "dimshuffle": _Reader.dimshuffle, "sum_to": _Reader.sum_to,
    "shape_of": _Reader.shape_of, "sum": _Reader.sum, "put": _Reader.put,
}  # fmt: skip


def _multiplied(factors: Sequence[Variable]) -> Variable:
    found = factors[0]
    for v in factors[1:]:
        found = make("mul", found, v)
    return found


def _power(v: Variable, exponent: int) -> Variable:
    return v if exponent == 1 else make("pow", v, exponent)


def _uniform(v: Constant) -> Fraction | None:
    """The one finite number that all elements are, or None; 0.2 is 1/5, which is what it is rounded from."""
    if not v.data.size or v.dtype == "bool" or not np.isfinite(v.data).all() or np.ptp(v.data):
        return None
    exact = Fraction(v.data.flat[0].item())
    simple = exact.limit_denominator(SIMPLE)
    return simple if v.data.dtype.type(float(simple)) == v.data.flat[0] else exact


def _unshuffled(v: Variable) -> Variable:
    while v.owner is not None and v.owner.op.name == "dimshuffle":
        v = v.owner.inputs[0]
    return v


def is_range(index: object) -> bool:
    """Whether an index is 0, 1, ... along an axis."""
    v = _unshuffled(index) if isinstance(index, Variable) else index
    if isinstance(v, Constant):
        return bool((v.data.ravel() == np.arange(v.data.size)).all())
    if not isinstance(v, Variable) or v.owner is None or v.owner.op.name != "arange":
        return False
    return [_uniform(u) if isinstance(u, Constant) else None for u in v.owner.inputs[:2]] == [0, 1]


def unchecked(index: Variable) -> Variable:
    """Labels without what puts negative ones out of range."""
    v = _unshuffled(index)
    if v.owner is not None and v.owner.op.name == "switch":
        test, _, y = v.owner.inputs
        if test.owner is not None and test.owner.op.name == "lt" and test.owner.inputs[0] is y:
            return y
    return v


def _shown(pattern: object) -> str:
    """A pattern as a formula."""
    symbols = {"add": "+", "sub": "-", "mul": "*", "true_div": "/"}
    if not isinstance(pattern, Pattern) or pattern.op is None:
        return repr(pattern)
    if pattern.op in symbols:
        return f" {symbols[pattern.op]} ".join(map(_shown, pattern.inputs))
    if pattern.op == "neg":
        return f"-{_shown(pattern.inputs[0])}"
    attrs = (f"{k}={a!r}" for k, a in pattern.attrs.items())
    return f"{pattern.op}({', '.join([*map(_shown, pattern.inputs), *attrs])})"

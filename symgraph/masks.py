"""Cotangents that are zero where a branch was not taken.

The cotangent of the branch not taken is zero there, but the branch's own derivative may be infinite: 0 * inf is NaN.
So a choice is moved outwards past elementwise gradients, ``switch(c, g, 0) * d -> switch(c, g * d, 0)``, and what the
branch does where it was not taken never meets the result. A sum of products has a choice for whole rows or columns
alone: one for each element would be a condition inside of the sum.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence

import numpy as np

from symgraph.coercion import convert
from symgraph.custom import checked_gradients
from symgraph.graph import Apply, Constant, Variable, apply, constant
from symgraph.kinds import Elementwise, of_elements
from symgraph.op import PRIMITIVES, GradResult
from symgraph.ops.broadcast import broadcast_like, sum_to
from symgraph.ops.reduce import any as any_
from symgraph.ops.reduce import kept
from symgraph.ops.reduce import sum as total_of

Masked = tuple[Variable | None, Variable]
Pattern = tuple[int | None, ...]

VIEWS = frozenset({"dimshuffle", "reshape", "broadcast_to", "broadcast_like"})
"""Ops that move elements and do nothing to them: a condition moves with its values."""

ALONG = frozenset({
    "softmax", "log_softmax", "softmax_complement", "softmax_log_odds", "log_softmax_complement", "softmax_ratio",
    "cumsum", "cumprod",
})  # fmt: skip
"""Ops that work on rows of their operand, along ``axis``."""

MOVES = frozenset({"slice", "concatenate", "pad", "reverse", "roll"})
"""Ops each element of whose result is an element of an operand, or a constant."""

FACTORS: dict[str, Callable[[int], tuple[Pattern, Pattern]]] = {
    "dot": lambda rank: ((0, None), (None, 1)),
    "batched_dot": lambda rank: ((*range(rank - 1), None), (*range(rank - 2), None, rank - 1)),
    "conv": lambda rank: ((0, *[None] * (rank - 1)), (1, *[None] * (rank - 1))),
}
"""Products -> the axes of a result of some rank that each factor has; where it has another one, None."""

_found: weakref.WeakKeyDictionary[Variable, tuple[Variable | None, Variable | None]] = weakref.WeakKeyDictionary()
"""Cotangent -> what ``split`` gave; None in the place of the cotangent itself, which must not keep its own entry."""


def split(g: Variable) -> Masked:
    """(condition, value) if ``g`` is the value where the condition holds and zero elsewhere; (None, g) if not.

    The value may be ``g`` itself, if it is known to be zero elsewhere.
    """
    chain = [g]
    while chain[-1] not in _found and _passes(chain[-1]):
        chain.append(chain[-1].owner.inputs[0])  # type: ignore[union-attr]
    for v in reversed(chain):
        if v not in _found:
            cond, value = _split_one(v)
            _found[v] = cond, None if value is v else value
    cond, other = _found[g]
    return cond, g if other is None else other


def _passes(v: Variable) -> bool:
    """Whether a condition on the first operand of ``v``'s op is one on ``v``."""
    return v.owner is not None and (v.owner.op.name in ("sum_to", "cast") or v.owner.op.name in VIEWS)


def _split_one(g: Variable) -> Masked:
    """``split`` where that of the first operand is known."""
    node = g.owner
    if node is None:
        return None, g
    if node.op is PRIMITIVES["select"]:
        cond, a, b = node.inputs
        if _is_zero(b):
            return _single(cond), a
        return (PRIMITIVES["not"](_single(cond)), b) if _is_zero(a) else (None, g)
    if node.op.name == "sum_to":
        return _any_to(node), g
    return _split_view(node, g) if _passes(g) else (None, g)


def _single(cond: Variable) -> Variable:
    """One choice for everything as a scalar."""
    return cond.dimshuffle(()) if cond.ndim and all(n == 1 for n in cond.type.shape) else cond


def _any_to(node: Apply) -> Variable | None:
    """Where a masked cotangent, summed to the shape of what was broadcast, can be other than zero.

    Casts rather than a comparison: once the shapes show that nothing is summed they cancel.
    """
    conditions, _ = _peel(node.inputs[0])
    if not conditions:
        return None
    whole = _both(conditions)
    partial = [c for c in _conjuncts(conditions) if c is not whole and 1 in c.type.shape]
    return _both([_summed(node, c) for c in (whole, *([_both(partial)] if partial else []))])


def _summed(node: Apply, cond: Variable) -> Variable:
    """A condition on what is summed as one on the sum; one choice for whole rows stays one."""
    g, like = node.inputs
    if not cond.ndim:
        return cond
    repeated = [k - g.ndim for k, (n, m) in enumerate(zip(cond.type.shape, g.type.shape, strict=True)) if n == 1 != m]
    axes = tuple(k + like.ndim for k in repeated if k + like.ndim >= 0)
    if axes:
        like = total_of(like, axis=axes, keepdims=True)
    return convert(sum_to(convert(cond, "int64"), like), "bool")


def _split_view(node: Apply, g: Variable) -> Masked:
    x = node.inputs[0]
    cond, value = split(x)
    if cond is None:
        return None, g
    if node.op.name == "cast":
        return cond, convert(value, g.dtype)
    if not cond.ndim:
        return cond, g
    if x.type.is_static and cond.type.shape == value.type.shape == x.type.shape:
        return _moved(node, cond), _moved(node, value)
    if node.op.name == "dimshuffle":
        return _moved(node, cond), g
    return _moved(node, broadcast_like(cond, x)), g


def _moved(node: Apply, v: Variable) -> Variable:
    return apply(node.op, [v, *node.inputs[1:]], node.attrs).outputs[0]


def join(cond: Variable | None, value: Variable) -> Variable:
    """``value`` where ``cond`` holds, zero elsewhere."""
    if cond is None:
        return value
    zero = constant(np.zeros((), value.dtype))
    return PRIMITIVES["select"](cond, value, zero)  # type: ignore[no-any-return]


def _is_zero(v: Variable) -> bool:
    return isinstance(v, Constant) and not v.data.any()


def gradient(node: Apply, cotangents: Sequence[Variable | None]) -> GradResult:
    """The gradient of a node, with the conditions of a masked cotangent moved outside of it.

    An elementwise op has them for each element; a reduction, whose result has one element for each row, for whole rows,
    and so has what works on rows, where nothing of a row is taken. What moves elements moves their conditions. A factor
    of a product has those of the axes that are its own in the result, and counts for nothing where they do not hold. A
    choice of everything is one for any op. A sum only hands its cotangent on, and the conditions with it.
    """
    g = cotangents[0]
    if g is None or len(cotangents) > 1:
        return _pulled(node, cotangents)
    reduces = "keepdims" in node.attrs and node.op.name != "sum"
    conditions, value = _peel(g)
    if reduces or isinstance(node.op, Elementwise):
        found = _pulled(node, [value])
        return [None if d is None else _rejoin([_fitted(c, d, node) for c in conditions], d) for d in found]
    if of_elements(node.op) and all(v.type.shape == value.type.shape for v in node.inputs if _asks(v)):
        found = _pulled(node, [value])
        return [d if d is None or not _asks(v) else _rejoin(conditions, d)
                for d, v in zip(found, node.inputs, strict=True)]  # fmt: skip
    each = _on_operands(node, conditions) if conditions else [[] for _ in node.inputs]
    found = _pulled(_cleared(node, each) if node.op.name in FACTORS else node, [g])
    return [None if d is None else _rejoin(held, d) for held, d in zip(each, found, strict=True)]


def _asks(v: Variable) -> bool:
    """Whether an operand has a gradient that anything depends on."""
    return not isinstance(v, Constant)


def _on_operands(node: Apply, conditions: Sequence[Variable]) -> list[list[Variable]]:
    """For each operand of an op that mixes elements the conditions under which it has a part in the result."""
    if node.op.name in FACTORS:
        patterns = FACTORS[node.op.name](node.outputs[0].ndim)
        return [_of_factor(_conjuncts(conditions), pattern) for pattern in patterns]
    if node.op.name in MOVES:
        return [[c for c in (_moved_back(node, k, c) for c in conditions) if c is not None]
                for k in range(len(node.inputs))]  # fmt: skip
    whole = [c if not c.ndim else _of_rows(node, c) for c in conditions]
    return [[c for c in whole if c is not None]] * len(node.inputs)


def _of_factor(conditions: Sequence[Variable], pattern: Pattern) -> list[Variable]:
    """Those conditions on a product as one on a factor that ask for none of the other's axes."""
    own = [c for c in conditions if all(n == 1 for k, n in enumerate(c.type.shape) if k not in pattern)]
    found = [c.dimshuffle(pattern) if c.ndim else c for c in own]
    return [_both(found)] if found else []


def _cleared(node: Apply, each: Sequence[Sequence[Variable]]) -> Apply:
    """A product with zeros where factors have no part in it: what is not taken may be infinite there."""
    factors = [_rejoin([c for c in held if c.ndim], v) for held, v in zip(each, node.inputs, strict=True)]
    return apply(node.op, factors, node.attrs)


def _moved_back(node: Apply, k: int, cond: Variable) -> Variable | None:
    """A condition on what was moved as one on operand ``k``: the gradient of how many places an element came to."""
    axis = node.attrs.get("axis")
    if not cond.ndim or (axis is not None and cond.type.shape[axis] == 1):
        return cond
    if node.inputs[k].owner is None:
        return None
    y = node.outputs[0]
    everywhere = cond if cond.type.shape == y.type.shape else broadcast_like(cond, y)
    count = _pulled(node, [convert(everywhere, y.dtype)])[k]
    return None if count is None else convert(count, "bool")


def _of_rows(node: Apply, cond: Variable) -> Variable | None:
    """Where anything of a row is taken, for what works on rows."""
    if node.op.name not in ALONG:
        return None
    return any_(broadcast_like(cond, node.outputs[0]), axis=node.attrs["axis"], keepdims=True)


def _fitted(cond: Variable, d: Variable, node: Apply) -> Variable:
    """A condition on the result of a node as one on a gradient, whose axes may be those of what was reduced."""
    y = node.outputs[0]
    if not cond.ndim or d.ndim <= y.ndim:
        return cond
    return kept(broadcast_like(cond, y), node.attrs["axis"], keepdims=False)


def _pulled(node: Apply, cotangents: Sequence[Variable | None]) -> GradResult:
    """What the op's own rule gives, which a user may have written."""
    return checked_gradients(node, node.op.grad(node, cotangents))


def _peel(g: Variable) -> tuple[list[Variable], Variable]:
    """All conditions around a value, the outermost first."""
    conditions: list[Variable] = []
    while True:
        cond, value = split(g)
        conditions += [] if cond is None else [cond]
        if cond is None or value is g:
            return conditions, value
        g = value


def _rejoin(conditions: Sequence[Variable], d: Variable) -> Variable:
    for cond in reversed(conditions):
        d = join(cond, d)
    return d


def total(a: Variable, b: Variable) -> Variable:
    """a + b, masked if both are."""
    (c, x), (d, y) = split(a), split(b)
    if c is not None and c is d and x is not a and y is not b:
        return join(c, total(x, y))
    first, second = _everywhere(a), _everywhere(b)
    if first is None or second is None or not _meet(first, second):
        return PRIMITIVES["add"](a, b)  # type: ignore[no-any-return]
    return join(first if first is second else PRIMITIVES["or"](first, second), PRIMITIVES["add"](a, b))


def _meet(first: Variable, second: Variable) -> bool:
    """Whether two conditions on values of one shape broadcast to it: a choice may be one for all elements."""
    return first.ndim == second.ndim or not (first.ndim and second.ndim)


def _everywhere(g: Variable) -> Variable | None:
    """Where all conditions around ``g`` hold."""
    conditions, _ = _peel(g)
    return _both(conditions) if conditions else None


def _both(conditions: Sequence[Variable]) -> Variable:
    return functools.reduce(PRIMITIVES["and"], conditions)


def _conjuncts(conditions: Sequence[Variable]) -> list[Variable]:
    """The conditions that must all hold, those that were put together one by one."""
    waiting, found = list(reversed(conditions)), []
    while waiting:
        cond = waiting.pop()
        if cond.owner is not None and cond.owner.op is PRIMITIVES["and"]:
            waiting += reversed(cond.owner.inputs)
        else:
            found.append(cond)
    return found

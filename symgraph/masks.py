"""Cotangents that are zero where a branch was not taken.

The cotangent of the branch not taken is zero there, but the branch's own derivative may be infinite: 0 * inf is NaN.
So a choice is moved outwards past elementwise gradients, ``switch(c, g, 0) * d -> switch(c, g * d, 0)``, and what the
branch does where it was not taken never meets the result.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Sequence

import numpy as np

from symgraph.coercion import convert
from symgraph.custom import checked_gradients
from symgraph.graph import Apply, Constant, Variable, apply, constant
from symgraph.kinds import Elementwise
from symgraph.op import PRIMITIVES, GradResult
from symgraph.ops.broadcast import broadcast_like
from symgraph.ops.reduce import any as any_
from symgraph.ops.reduce import kept

VIEWS = frozenset({"dimshuffle", "reshape", "broadcast_to", "broadcast_like"})
"""Ops that move elements and do nothing to them: a condition moves with its values."""

NORMALISE = frozenset({"softmax", "log_softmax"})
"""Ops that work on rows of their operand, along ``axis``."""

Masked = tuple[Variable | None, Variable]


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
    cond = _everywhere(node.inputs[0])
    if cond is None or not cond.ndim:
        return cond
    if cond.type.shape != node.inputs[0].type.shape:
        cond = broadcast_like(cond, node.inputs[0])  # one choice may be for whole rows
    count = apply(node.op, [convert(cond, "int64"), node.inputs[1]], node.attrs).outputs[0]
    return convert(count, "bool")


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
    and so has what normalises rows, where nothing of a row is taken. A choice of everything is one for any op. A sum
    only hands its cotangent on, and the conditions with it.
    """
    g = cotangents[0]
    reduces = "keepdims" in node.attrs and node.op.name != "sum"
    if g is None or not (reduces or isinstance(node.op, Elementwise)):
        whole = None if g is None or len(cotangents) > 1 else _whole(node, _everywhere(g))
        return [None if d is None else join(whole, d) for d in _pulled(node, cotangents)]
    conditions, value = _peel(g)
    found = _pulled(node, [value])
    return [None if d is None else _rejoin([_fitted(c, d, node) for c in conditions], d) for d in found]


def _whole(node: Apply, cond: Variable | None) -> Variable | None:
    """Of a condition on the result of an op that mixes elements what holds for all its operands."""
    if cond is None or not cond.ndim:
        return cond
    if node.op.name in NORMALISE:
        return any_(broadcast_like(cond, node.outputs[0]), axis=node.attrs["axis"], keepdims=True)
    return None


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
    return first.type.shape == second.type.shape or not (first.ndim and second.ndim)


def _everywhere(g: Variable) -> Variable | None:
    """Where all conditions around ``g`` hold."""
    conditions, _ = _peel(g)
    return functools.reduce(PRIMITIVES["and"], conditions) if conditions else None

"""Stabilize: ops that stand on chosen or placed elements (see ``stabilize`` for the law and the measure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.graph import Apply, Constant, Variable, apply
from symgraph.kinds import Elementwise, of_elements
from symgraph.match import Owner, make
from symgraph.ops.broadcast import expanded
from symgraph.ops.extents import same
from symgraph.ops.shape import extents, shape_of
from symgraph.rewrite import repaired, rewriter

VIEWS = ("gather", "slice", "dimshuffle", "reshape", "broadcast_to", "broadcast_like")
CHOOSING = ("gather", "slice")
"""Those that need not have every element."""
DEPTH = 4
"""Ops of a formula that a rule makes, one on the other, about as many as there are."""


@rewriter("stabilize")
def elementwise_through_view(node: Apply, owner: Owner) -> Variable | None:
    """log(softmax(x)[i, y]) is log(softmax(x))[i, y], and so is a ratio of two that are chosen alike: an op on chosen
    elements is the same op before the choice, which is done where that makes it stable."""
    slots = _operands(node)
    viewed = [_negated_views(node.inputs[k], owner) for k in slots]
    if not viewed or any(not chain or owner(base) is None for chain, base in viewed):
        return None
    if any(not _are_alike(viewed[0], other) for other in viewed[1:]):
        return None
    bases = dict(zip(slots, [base for _, base in viewed], strict=True))
    found = repaired(_on(node, [bases.get(k, v) for k, v in enumerate(node.inputs)]), owner)
    if found is None:
        return None
    chain, base = viewed[0]
    if not any(view.op.name in CHOOSING for view in chain):
        return placed(found, chain)
    return _of_chosen(found, chain, base, owner, {}, DEPTH)


def _of_chosen(
    v: Variable, chain: Sequence[Apply], base: Variable, owner: Owner, done: dict[Variable, Variable], depth: int
) -> Variable:
    """``v`` with the choice made of what its elementwise ops are made of, to some depth: of elements that are not
    chosen log and a quotient may have a slope of 0 * inf."""
    if v not in done:
        node = owner(v)
        if isinstance(v, Constant) and v.ndim == 0:
            done[v] = v
        elif node is not None and v is not base and depth and of_elements(node.op):
            inputs = [_of_chosen(u, chain, base, owner, done, depth - 1) for u in node.inputs]
            done[v] = apply(node.op, inputs, node.attrs).outputs[0]
        else:
            done[v] = placed(v if same(extents(v), extents(base)) else expanded(v, extents(base)), chain)
    return done[v]


def _operands(node: Apply) -> list[int]:
    """The operands of an elementwise op that are no constant scalars."""
    if not isinstance(node.op, Elementwise):
        return []
    return [k for k, v in enumerate(node.inputs) if not (isinstance(v, Constant) and v.ndim == 0)]


def _are_alike(first: tuple[list[Apply], Variable], second: tuple[list[Apply], Variable]) -> bool:
    """Whether two are views by the same ops of two of one rank; if any does more than move axes, of one shape."""
    (chain, base), (other, beside) = first, second
    if len(chain) != len(other) or base.ndim != beside.ndim:
        return False
    pairs = zip(chain, other, strict=True)
    if any((a.op, a.inputs[1:], a.attrs) != (b.op, b.inputs[1:], b.attrs) for a, b in pairs):
        return False
    return all(view.op.name == "dimshuffle" for view in chain) or same(extents(base), extents(beside))


def _only_operand(node: Apply) -> int | None:
    """The one operand of an elementwise op that is no constant scalar."""
    slots = _operands(node)
    return slots[0] if len(slots) == 1 else None


def views_of(v: Variable, owner: Owner) -> tuple[list[Apply], Variable]:
    """The ops that only choose or place elements, outermost first, and what they choose from."""
    chain = []
    while (node := owner(v)) is not None and node.op.name in VIEWS:
        chain.append(node)
        v = node.inputs[0]
    return chain, v


def _negated_views(v: Variable, owner: Owner) -> tuple[list[Apply], Variable]:
    """The views of ``v``; the negation of chosen elements is chosen from what is negated."""
    made = owner(v)
    if made is None or made.op.name != "neg":
        return views_of(v, owner)
    chain, base = views_of(made.inputs[0], owner)
    return chain, make("neg", base) if chain else base


def placed(v: Variable, chain: Sequence[Apply]) -> Variable:
    """``v`` with the views of ``chain``, outermost first, put on it."""
    for view in reversed(chain):
        v = apply(view.op, [v, *view.inputs[1:]], view.attrs).outputs[0]
    return v


def bare(v: Variable, owner: Owner) -> Variable:
    """A scalar without the axes of extent 1 that broadcasting gave it; others as they are."""
    made = owner(v)
    inserted = made is not None and made.op.name == "dimshuffle" and made.inputs[0].ndim == 0
    return made.inputs[0] if inserted else v  # type: ignore[union-attr]


def _on(node: Apply, inputs: Sequence[Variable]) -> Apply:
    return apply(node.op, inputs, node.attrs)


# ------------------------------------------------------------------------------------------------ beside a reduction


@rewriter("stabilize", "sub", "true_div")
def choice_beside_reduction(node: Apply, owner: Owner) -> Variable | None:
    """exp(x)[i, y] / sum(exp(x), axis=1) is (exp(x) / sum(exp(x)))[i, y]: one element chosen of each row, beside a
    number for each row."""
    return beside_reduction(node, owner)


def beside_reduction(node: Apply, owner: Owner) -> Variable | None:
    """The op done on whole rows, where that has a name, and the choice after it."""
    for k, v in enumerate(node.inputs):
        total = node.inputs[1 - k]
        made = owner(total)
        if made is None or "keepdims" not in made.attrs or len(made.outputs) > 1:
            continue
        row = apply(made.op, made.inputs, {**made.attrs, "keepdims": True}).outputs[0]
        for chain, base in _chosen(v, owner):
            if base.ndim == row.ndim and _chooses_of_rows(chain, base, made.attrs, owner):
                found = repaired(_on(node, [base, row] if k == 0 else [row, base]), owner, pairs_only=True)
                if found is not None:
                    return placed(found, chain)
    return None


def _chosen(v: Variable, owner: Owner) -> Iterator[tuple[list[Apply], Variable]]:
    """``v`` as views of something, fewest first; a function of chosen elements is chosen from the function."""
    made = owner(v)
    slot = None if made is None else _only_operand(made)
    chain, _ = views_of(v if made is None or slot is None else made.inputs[slot], owner)
    for k in range(len(chain)):
        base = chain[k].inputs[0]
        if made is not None and slot is not None:
            base = _on(made, [base if j == slot else u for j, u in enumerate(made.inputs)]).outputs[0]
        yield chain[: k + 1], base


def _chooses_of_rows(chain: Sequence[Apply], base: Variable, reduction: Mapping[str, Any], owner: Owner) -> bool:
    """Whether ``chain`` leaves the axes that are not reduced as they are, in place, and takes one element of others."""
    axes, kept = reduction["axis"], reduction["keepdims"]
    places: list[int | None] = list(range(base.ndim))
    for view in reversed(chain):
        after = _places_after(view, places, axes, owner)
        if after is None:
            return False
        places = after
    wanted = [k for k in range(base.ndim) if k not in axes]
    return places == [k if k in wanted else None for k in range(base.ndim)] if kept else places == wanted


def _places_after(
    view: Apply, places: list[int | None], axes: tuple[int, ...], owner: Owner
) -> list[int | None] | None:
    """Which axis of the base each axis is after ``view``, None for one of extent 1 within ``axes``."""
    x, attrs = view.inputs[0], view.attrs
    match view.op.name:
        case "slice":
            if places[attrs["axis"]] not in axes:
                return None
            one = isinstance(view.inputs[2], Constant) and int(view.inputs[2]) == 1
            return [None if k == attrs["axis"] and one else p for k, p in enumerate(places)]
        case "dimshuffle":
            return [None if p is None else places[p] for p in attrs["pattern"]]
        case "gather":
            return _places_after_gather(view, x, places, axes, owner)
    return None


def _places_after_gather(
    view: Apply, x: Variable, places: list[int | None], axes: tuple[int, ...], owner: Owner
) -> list[int | None] | None:
    """One index runs along each axis that is kept, and the others take one element of ``axes`` for each."""
    gathered = view.attrs["axes"]
    rank = view.inputs[1].ndim
    found: list[int | None] = [None] * rank
    for axis, index in zip(gathered, view.inputs[1:], strict=True):
        if places[axis] in axes:
            continue
        along = _runs_along(index, x, axis, owner)
        if along is None:
            return None
        found[along] = places[axis]
    full = [n for n, p in zip(view.outputs[0].type.shape, found, strict=False) if p is None]
    return None if any(n != 1 for n in full) else [*found, *[p for k, p in enumerate(places) if k not in gathered]]


def _runs_along(index: Variable, x: Variable, axis: int, owner: Owner) -> int | None:
    """The axis of ``index`` along which it is 0, 1, ... to the extent of ``axis`` of ``x``."""
    along, made = 0, owner(index)
    if made is not None and made.op.name == "dimshuffle" and [p for p in made.attrs["pattern"] if p is not None] == [0]:
        along = made.attrs["pattern"].index(0)
        index, made = made.inputs[0], owner(made.inputs[0])
    if isinstance(index, Constant):
        shape = index.type.shape
        counts = sum(n != 1 for n in shape) <= 1 and (index.data.ravel() == np.arange(index.data.size)).all()
        fits = index.data.size == x.type.shape[axis]
        return max(range(len(shape)), key=lambda k: shape[k] or 0) if counts and fits else None
    if index.ndim != 1 or made is None or made.op.name != "arange":
        return None
    start, step, length = made.inputs
    plain = all(isinstance(v, Constant) and int(v) == n for v, n in ((start, 0), (step, 1)))
    same = length is shape_of(x, axis) or (isinstance(length, Constant) and int(length) == x.type.shape[axis])
    return along if plain and same else None

"""Formulas short enough to be read: of one op in terms of its operands, and of what a rule changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from symgraph.graph import Apply, Constant, Variable, printable
from symgraph.printing import in_terms_of

DEPTH = 5
"""Levels of ops that the formula of a step has at most."""

LONGEST = 300
"""Characters of a formula."""

WHERE = "   where "

LETTERS = "abcdefghijklmnopqrstuvwxyz"

Names = Mapping[Variable, str]
NONE: Names = {}


def of_node(node: Apply, leaves: Names = NONE) -> str:
    """A node with its operands called by their names, or by the op that makes them."""
    names = {v: called(v, leaves) for v in node.inputs if v.owner is not None or not _is_told(v)}
    return shortened(in_terms_of(node.outputs[0], names))


def called(v: Variable, leaves: Names = NONE) -> str:
    """A few characters for a variable; ``leaves`` says what to call those without a name."""
    if v.name or v in leaves:
        return printable(v.name or leaves[v])
    return f"{v.owner.op.name}(…)" if v.owner is not None else "constant" if isinstance(v, Constant) else "input"


def of_change(before: Variable, after: Variable, leaves: Names = NONE) -> tuple[str, str]:
    """Both formulas in terms of what they have in common, which is named by letters and explained in the second."""
    old, new = _upper(before), _upper(after)
    kept = [v for v in new if v in old and v is not before]
    cut = _first_met(after, set(kept)) | _first_met(before, set(kept))
    names = {v: called(v, leaves) for v in (*old, *new) if v.owner is None and not _is_told(v)}
    shared = [v for v in kept if v in cut and v.owner is not None and not isinstance(v, Constant)]
    taken = {v.name for v in (*old, *new) if v.name}
    letters = (c for c in LETTERS if c not in taken)
    names.update((v, v.name or c) for v, c in zip(shared, letters, strict=False))
    for v in _below(old, new):
        names.setdefault(v, called(v))
    texts = in_terms_of(before, names), names[after] if after in names else in_terms_of(after, names)
    said = set(re.findall(r"\w+", " ".join(texts)))
    where = [f"{names[v]} = {_explained(v, leaves)}" for v in shared if names.get(v) in said and not v.name]
    return shortened(texts[0]), shortened(texts[1]) + (f"{WHERE}{', '.join(where)}" if where else "")


def without_where(after: str) -> str:
    """The second formula of a change without what its letters stand for."""
    return after.partition(WHERE)[0]


def of_value(v: Variable) -> str:
    """The formula of a value, its deep parts left out."""
    upper = _upper(v)
    names = {u: called(u) for u in upper if u.owner is None and not _is_told(u)}
    for u in _below(upper):
        names.setdefault(u, called(u))
    return shortened(in_terms_of(v, names))


def ops_near(node: Apply) -> set[str]:
    """The ops of the next levels below a node."""
    return {v.owner.op.name for u in node.inputs for v in _upper(u) if v.owner is not None}


def counted(n: int, what: str) -> str:
    """A number of things."""
    return f"{n:,} {what}{'s' if n != 1 else ''}"


def shortened(text: str, most: int = LONGEST) -> str:
    """A text, its end left out if it is too long."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _explained(v: Variable, leaves: Names) -> str:
    return of_node(v.owner, leaves) if v.owner is not None else called(v, leaves)


def _is_told(v: Variable) -> bool:
    """Whether a leaf has a text of its own in a formula."""
    return bool(v.name) or (isinstance(v, Constant) and v.data.size == 1)


def _upper(root: Variable) -> dict[Variable, int]:
    """What is at most ``DEPTH`` levels below ``root``, with its level."""
    found = {root: 0}
    for v in (walk := [root]):
        if v.owner is not None and found[v] < DEPTH:
            fresh = [i for i in v.owner.inputs if i not in found]
            found.update((i, found[v] + 1) for i in fresh)
            walk += dict.fromkeys(fresh)
    return found


def _below(*uppers: dict[Variable, int]) -> Iterable[Variable]:
    """What lies at the bottom of these."""
    return [v for upper in uppers for v, level in upper.items() if level == DEPTH and v.owner is not None]


def _first_met(root: Variable, stops: set[Variable]) -> set[Variable]:
    """The members of ``stops`` that a walk down from ``root`` meets without passing another."""
    met: set[Variable] = set()
    seen = {root}
    waiting: list[tuple[Variable, int]] = [(root, 0)]
    while waiting:
        v, level = waiting.pop()
        if v in stops and v is not root:
            met.add(v)
        elif v.owner is not None and level < DEPTH:
            inner: Sequence[Variable] = [i for i in v.owner.inputs if i not in seen]
            seen.update(inner)
            waiting += [(i, level + 1) for i in inner]
    return met | (stops & {root})

"""Index expressions as linear forms: sums of integer multiples of atoms, plus a constant.

An atom is an axis, or a term that is not linear (a quotient, a gathered index). Schedules ask for the stride of a load
along an axis, fusion whether two axes walk memory as one.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce

from symgraph import expression
from symgraph.expression import INDEX, Expr, const


@dataclass(frozen=True)
class Linear:
    """``sum(factor * atom) + offset``; atoms in order of first appearance."""

    terms: tuple[tuple[Expr, int], ...]
    offset: int

    def expr(self) -> Expr:
        """As an expression again: equal forms give one expression."""
        total = const(0, INDEX)
        for atom, factor in self.terms:
            total = total + atom * factor
        return total + self.offset

    def stride(self, name: str) -> int | None:
        """The factor of an axis, or None if the form depends on it in another way."""
        found = 0
        for atom, factor in self.terms:
            if atom.prim == "axis" and atom.value == name:
                found = factor
            elif atom.prim != "axis" and name in atom.names:
                return None
        return found


@lru_cache(maxsize=1 << 16)
def linear(e: Expr) -> Linear:
    """The linear form of an int64 expression."""
    if e.prim == "const":
        return Linear((), int(e.value))  # type: ignore[arg-type]
    if e.prim in ("add", "sub"):
        return _combine(linear(e.args[0]), linear(e.args[1]), 1 if e.prim == "add" else -1)
    if e.prim == "neg":
        return _combine(Linear((), 0), linear(e.args[0]), -1)
    if e.prim == "mul" and any(a.prim == "const" for a in e.args):
        factor, other = e.args if e.args[0].prim == "const" else e.args[::-1]
        return _combine(Linear((), 0), linear(other), int(factor.value))  # type: ignore[arg-type]
    return Linear(((e, 1),), 0)


def _combine(a: Linear, b: Linear, sign: int) -> Linear:
    total = dict(a.terms)
    for atom, factor in b.terms:
        total[atom] = total.get(atom, 0) + sign * factor
    return Linear(tuple((t, f) for t, f in total.items() if f), a.offset + sign * b.offset)


def loads_in(exprs: Iterable[Expr]) -> list[Expr]:
    """Every distinct load, those inside other loads' indices too."""
    return [e for e in expression.toposort(exprs) if e.prim == "load"]


def walks(load: Expr, axes: Sequence[tuple[str, int]]) -> bool:
    """Whether a load is of another element at each position: each axis stands in an index, with room for the others."""
    extents = {name: n for name, n in axes if n != 1}
    return bool(load.args) and all(_has_room(i, extents) for i in load.args) and load.names >= extents.keys()


def _has_room(index: Expr, extents: Mapping[str, int]) -> bool:
    """Whether an index is different for all values of its axes: i, or 2*i + r for r < 2."""
    reach = 0
    for atom, factor in sorted(linear(index).terms, key=lambda t: abs(t[1])):
        if atom.prim != "axis" or abs(factor) <= reach:
            return False
        reach += abs(factor) * (extents.get(str(atom.value), 1) - 1)
    return True


def flat_form(indices: Sequence[Expr], shape: Sequence[int]) -> Linear:
    """The row-major offset of ``indices`` in an array of ``shape``."""
    total: dict[Expr, int] = {}
    offset = 0
    for i, n in zip(indices, shape, strict=True):
        form = linear(i)
        total = {atom: factor * n for atom, factor in total.items()}
        for atom, factor in form.terms:
            total[atom] = total.get(atom, 0) + factor
        offset = offset * n + form.offset
    return Linear(tuple([(t, f) for t, f in total.items() if f]), offset)


def flat_index(indices: Sequence[Expr], shape: Sequence[int]) -> Expr:
    """The row-major offset of ``indices`` in an array of ``shape``, as a term in linear form."""
    return flat_form(indices, shape).expr()


def conjuncts(cond: Expr) -> tuple[Expr, ...]:
    """The parts of a conjunction, in order."""
    return (*conjuncts(cond.args[0]), *conjuncts(cond.args[1])) if cond.prim == "and" else (cond,)


def all_of(conditions: Sequence[Expr]) -> Expr:
    """The conjunction of one condition or more."""
    return reduce(operator.and_, conditions)

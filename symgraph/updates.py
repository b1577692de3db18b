"""What ``function`` is given in pairs: updates of shared variables, and givens, which replace variables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from symgraph.coercion import as_variable
from symgraph.errors import ArgumentError, DTypeError, ShapeError, UpdateError, layout
from symgraph.graph import Variable, describe, in_code, label, leaves
from symgraph.shapes import check_update
from symgraph.shared_variable import SharedVariable

Pairs = Mapping[Any, Any] | Iterable[tuple[Any, Any]]


def _pairs(pairs: Pairs) -> list[tuple[Any, Any]]:
    many = list(pairs.items()) if isinstance(pairs, Mapping) else list(pairs or ())
    for pair in many:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise ArgumentError(f"function: {pair!r:.60} is no pair (variable, value)\ngive a dict or a list of pairs")
    return [(a, b) for a, b in many]


def checked_updates(updates: Pairs) -> list[tuple[SharedVariable, Variable]]:
    """Each shared variable and its new value; raises UpdateError where that does not fit."""
    checked: dict[SharedVariable, Variable] = {}
    for target, new in _pairs(updates):
        if not isinstance(target, SharedVariable):
            details = [describe(target)] if isinstance(target, Variable) else []
            name = label(target) if isinstance(target, Variable) else repr(target)
            raise UpdateError(
                layout(f"updates: {name} is not a shared variable", details, [], "make it one: symgraph.shared(value)")
            )
        if target in checked:
            raise UpdateError(
                layout(f"updates: {label(target)} is updated twice", [describe(target)], [],
                       "combine the two new values into one")
            )  # fmt: skip
        checked[target] = _fit_update(target, new)
    return list(checked.items())


def _fit_update(target: SharedVariable, new: object) -> Variable:
    value = as_variable(new, target.dtype) if not isinstance(new, Variable) else new
    check_update(target, value)
    return value


def checked_givens(givens: Pairs) -> dict[Variable, Variable]:
    """Each variable and its replacement; raises DTypeError or ShapeError where that does not fit."""
    checked: dict[Variable, Variable] = {}
    for old, new in _pairs(givens):
        if not isinstance(old, Variable):
            raise ArgumentError(f"givens: {old!r} is not a variable")
        value = as_variable(new, old.dtype) if not isinstance(new, Variable) else new
        if not old.type.accepts(value.type):
            raise (DTypeError if old.dtype != value.dtype else ShapeError)(
                layout(f"givens: {label(old)} is {old.type}, its replacement is {value.type}",
                       [describe(old), describe(value)], [], _agreeing(old, value))
            )  # fmt: skip
        checked[old] = value
    return checked


def _agreeing(old: Variable, new: Variable) -> str:
    """How to make a replacement fit."""
    if old.dtype != new.dtype:
        return f"make them agree: {in_code(new, 'new')}.astype({old.dtype!r})"
    if old.ndim != new.ndim:
        return f"the ranks must agree: insert axes with {in_code(new, 'new')}[None], or take one element of an axis"
    return "the extents that both types name must agree"


def with_default_updates(
    targets: list[SharedVariable], results: list[Variable]
) -> tuple[list[SharedVariable], list[Variable]]:
    """Both with the default updates of the shared variables in use, and of those that these use in turn."""
    targets, results = list(targets), list(results)
    seen = set(targets)
    pending = leaves(results)
    while pending:
        v = pending.pop(0)
        if not isinstance(v, SharedVariable) or v in seen or v.default_update is None:
            continue
        seen.add(v)
        new = _fit_update(v, v.default_update)
        targets.append(v)
        results.append(new)
        pending.extend(leaves([new]))
    return targets, results

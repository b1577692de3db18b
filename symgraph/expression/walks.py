"""Walks over terms, none of them recursive: rebuilding, replacing, evaluating, writing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TypeVar

import numpy as np

from symgraph.expression.terms import PRIMS, Expr, applied, apply, load, toposort
from symgraph.types import is_float

T = TypeVar("T")


def rebuild(e: Expr, args: Sequence[Expr]) -> Expr:
    """``e`` with other operands."""
    new = tuple(args)
    if new == e.args:
        return e
    if e.prim == "load":
        return load(e.value, new, e.dtype)  # type: ignore[arg-type]
    if [a.dtype for a in new] == [a.dtype for a in e.args]:
        return applied(PRIMS[e.prim], new, e.dtype)
    return apply(e.prim, *new, dtype=e.dtype if PRIMS[e.prim].result == "value" else None)


def substitute(
    exprs: Sequence[Expr], replace: Callable[[Expr], Expr | None], *, memo: dict[Expr, Expr] | None = None,
    names: AbstractSet[str | int] | None = None,
) -> list[Expr]:  # fmt: skip
    """Each of ``exprs`` rebuilt bottom-up; ``replace`` sees every rebuilt term once and may give another in its place.

    Parameters
    ----------
    memo : dict, optional
        What became of each term, kept from call to call of one replacement.
    names : set, optional
        Only terms in which one of these axes and slots stands are looked at.
    """
    memo = {} if memo is None else memo
    stack = list(exprs)[::-1]
    while stack:
        e = stack[-1]
        if e in memo:
            stack.pop()
        elif names is not None and names.isdisjoint(e.names):
            memo[e] = e
        elif pending := [a for a in e.args if a not in memo]:
            stack += pending[::-1]
        else:
            args = [memo[a] for a in e.args]
            new = rebuild(e, args)
            found = None if any(new is a for a in args) else replace(new)  # folded to what has been replaced
            memo[e] = new if found is None else found
    return [memo[e] for e in exprs]


def rename(exprs: Sequence[Expr], axes: Mapping[str, Expr]) -> list[Expr]:
    """Each of ``exprs`` with the axes named in ``axes`` replaced."""
    return substitute(exprs, lambda e: axes.get(str(e.value)) if e.prim == "axis" else None, names=axes.keys())


def on_demand(
    e: Expr, find: Callable[[Expr], T | None], needs: Callable[[Expr], Sequence[Expr]],
    compute: Callable[[Expr], None],
) -> T:  # fmt: skip
    """What ``find`` knows of ``e``; terms that it does not know are computed, each after what it ``needs``."""
    found = find(e)
    stack = [e] if found is None else []
    while stack:
        t = stack[-1]
        missing = [a for a in needs(t) if find(a) is None]
        stack.extend(reversed(missing))
        if not missing:
            stack.pop()
            if find(t) is None:
                compute(t)
    found = find(e) if found is None else found
    assert found is not None, f"{e} was computed and is not known"
    return found


def evaluate(exprs: Sequence[Expr], leaf: Callable[[Expr], np.ndarray]) -> list[np.ndarray]:
    """The values of ``exprs`` by NumPy; ``leaf`` gives that of an axis, or of a load with its indices in args."""
    memo: dict[Expr, np.ndarray] = {}
    with np.errstate(all="ignore"):
        for e in toposort(exprs):
            memo[e] = evaluate_one(e, memo, leaf)
    return [memo[e] for e in exprs]


def evaluate_one(e: Expr, memo: Mapping[Expr, np.ndarray], leaf: Callable[[Expr], np.ndarray]) -> np.ndarray:
    """The value of one term, given those of its operands."""
    if e.prim == "const":
        return np.asarray(e.value, e.dtype)
    if e.prim in ("axis", "load"):
        return np.asarray(leaf(e))
    args = [memo[a] for a in e.args]
    extra = [e.dtype] if PRIMS[e.prim].result == "value" else []
    return np.asarray(PRIMS[e.prim].numpy(*args, *extra)).astype(e.dtype, copy=False)


def partials(e: Expr) -> Sequence[Expr | None]:
    """The derivative of the primitive at the root of ``e`` by each of its operands."""
    rule = PRIMS[e.prim].partials
    if rule is None or not is_float(e.dtype):
        return [None] * len(e.args)
    return [d if is_float(a.dtype) else None for d, a in zip(rule(*e.args, e), e.args, strict=True)]

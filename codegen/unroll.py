"""Copies of statements: calls inlined, loops unrolled.

Each step is a function from kernel to kernel and keeps its meaning; names stay unique, because every copy of a
statement gets a suffix of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from codegen import kernel as ir
from codegen.kernel import (
    Accumulate,
    Alloc,
    Body,
    Call,
    If,
    Kernel,
    Let,
    Loop,
    Statement,
    Store,
    block_of,
    walk,
    with_block,
)
from symgraph import expression
from symgraph.expression import INDEX, Expr, axis, const

LANE = "lane."


def inline_calls(kernel: Kernel, spelled: Collection[str] = ()) -> Kernel:
    """Each Call replaced by its meaning, but of the intrinsics that the target has a spelling for."""
    count = iter(range(10**9))

    def each(body: Body) -> Body:
        return tuple(new for s in body for new in one(s))

    def one(s: Statement) -> Body:
        if isinstance(s, Call):
            if s.intrinsic.name in spelled:
                return (s,)
            return copy(each(block_of(s)), f"_{next(count)}")
        return (with_block(s, each(block_of(s))),)

    has_calls = any(isinstance(s, Call) for s in walk(kernel))
    return replace(kernel, body=each(kernel.body)) if has_calls else kernel


def unroll(kernel: Kernel) -> Kernel:
    """Unroll loops, and loops of a single turn, replaced by copies with a constant index.

    What turns out empty is dropped: loops of no turn, bodies of conditions that are never true.
    """
    return replace(kernel, body=_unroll(kernel.body, "", {}, Instances()))


def flatten(kernel: Kernel) -> Kernel:
    """Calls inlined, loops unrolled, Lets of index arithmetic gone, one index for all vector loops of a width.

    So terms of different loops are one where their values are.
    """
    plain = inline_calls(kernel)
    return inline_lets(replace(plain, body=_unroll(plain.body, "", {}, Instances(one_lane_index=True))))


def lane_index(lanes: int) -> Expr:
    """The index that all vector loops of so many lanes share in a flat kernel."""
    return axis(f"{LANE}{lanes}")


def _unroll(body: Body, suffix: str, known: Known, instances: Instances) -> Body:
    """The copy ``suffix`` of ``body``; ``known`` is what became of the names bound around it."""
    known = dict(known)
    result: list[Statement] = []
    for s in body:
        if isinstance(s, Loop) and _is_unrolled(s):
            for n in range(s.extent):
                turn = f"{suffix}_{n}" if s.extent > 1 else suffix
                result += _unroll(s.body, turn, {**known, s.index: const(n, INDEX)}, instances)
            continue
        known.update(instances.bound(s, suffix))
        new = instances.statement(s, known)
        inner = () if _never(new) else _unroll(block_of(s), suffix, known, instances)
        result += inner if isinstance(new, If) and new.cond.prim == "const" else [with_block(new, inner)]
    return tuple(result)


def _is_unrolled(s: Loop) -> bool:
    return s.kind not in ("block", "thread") and (s.kind == "unroll" or s.extent < 2)


def _never(s: Statement) -> bool:
    return isinstance(s, If) and s.cond.prim == "const" and not s.cond.value


def copy(body: Body, suffix: str) -> Body:
    """``body`` with a suffix on each name that it binds."""
    known: Known = {name: name + suffix for s in walk(body) for name in _bound(s)}
    return Instances().body(body, known)


def _bound(s: Statement) -> Sequence[str]:
    match s:
        case Loop(name) | Let(name):
            return (name,)
        case Alloc(buffer):
            return (buffer.name,)
    return ()


# ------------------------------------------------------------------------------------------------ instances

Known = Mapping[str | int, str | Expr]


class Instances:
    """Statements with names replaced: by other names, indices by terms.

    Of a tile's rows and columns each copy reads one, but there are only so many rows: each term is made once for each
    choice of the names that stand in it.
    """

    def __init__(self, one_lane_index: bool = False) -> None:
        self.made: dict[tuple[Expr, tuple[str | Expr, ...]], Expr] = {}
        self.one_lane_index = one_lane_index

    def bound(self, s: Statement, suffix: str) -> Known:
        """What becomes of the names that the copy ``suffix`` of ``s`` binds."""
        if self.one_lane_index and isinstance(s, Loop) and s.kind == "vector":
            return {s.index: lane_index(s.extent)}
        return {name: name + suffix for name in _bound(s)} if suffix else {}

    def term(self, e: Expr, known: Known) -> Expr:
        """``e`` with the names in ``known`` replaced."""
        if known.keys().isdisjoint(e.names):
            return e
        key = e, tuple([known[n] for n in e.names if n in known])
        found = self.made.get(key) if e.args else _replaced(e, known)
        if found is None:
            (found,) = expression.substitute([e], lambda t: _replaced(t, known), names=known.keys())
            self.made[key] = found
        return found

    def statement(self, s: Statement, known: Known) -> Statement:
        """``s``, what is inside aside."""
        if not known:
            return s
        new = ir.with_exprs(s, [self.term(e, known) for e in ir.exprs_of(s)])
        return _relabel(new, lambda name: _name(known.get(name, name)))

    def body(self, body: Body, known: Known) -> Body:
        """Every statement of ``body``."""
        return tuple([with_block(self.statement(s, known), self.body(block_of(s), known)) for s in body])


def _name(new: str | Expr) -> str:
    return str(new.value) if isinstance(new, Expr) else new


def _replaced(e: Expr, known: Known) -> Expr | None:
    new = known.get(e.value) if e.prim in ("axis", "load") else None  # type: ignore[arg-type]
    if new is None or isinstance(new, Expr):
        return new
    return axis(new, e.dtype) if e.prim == "axis" else expression.load(new, e.args, e.dtype)


def _relabel(s: Statement, name: Callable[[str], str]) -> Statement:
    match s:
        case Loop(index, extent, kind, body):
            return Loop(name(index), extent, kind, body)
        case Let(old, expr):
            return Let(name(old), expr)
        case Alloc(buffer):
            return Alloc(replace(buffer, name=name(buffer.name)))
        case Store(buffer, at, expr):
            return Store(name(buffer), at, expr)
        case Accumulate(buffers, at, combiner, exprs):
            return Accumulate(tuple(map(name, buffers)), at, combiner, exprs)
    return s


# ------------------------------------------------------------------------------------------------ lets


def inline_lets(kernel: Kernel) -> Kernel:
    """Lets of index arithmetic replaced by their terms, so that addresses show what they are made of."""
    has_lets = any(isinstance(s, Let) for s in walk(kernel))
    return replace(kernel, body=_inline_lets(kernel.body, {})) if has_lets else kernel


def _inline_lets(body: Body, known: dict[str, Expr]) -> Body:
    known, result = dict(known), []
    for s in body:
        terms = expression.rename(ir.exprs_of(s), known) if known else ir.exprs_of(s)
        if isinstance(s, Let) and _is_index(terms[0]):
            known[s.name] = terms[0]
        else:
            result.append(ir.with_exprs(with_block(s, _inline_lets(block_of(s), known)), terms))
    return tuple(result)


def _is_index(e: Expr) -> bool:
    """Whether ``e`` is index arithmetic: of loops and constants alone."""
    return e.dtype == INDEX and not any(t.prim == "load" for t in expression.toposort([e]))

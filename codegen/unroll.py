"""Copies of statements: calls inlined, loops unrolled.

Each step is a function from kernel to kernel and keeps its meaning; names stay unique, because every copy of a
statement gets a suffix of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


def inline_calls(kernel: Kernel) -> Kernel:
    """Each Call replaced by its meaning."""
    count = iter(range(10**9))

    def each(body: Body) -> Body:
        return tuple(new for s in body for new in one(s))

    def one(s: Statement) -> Body:
        if isinstance(s, Call):
            return copy(each(block_of(s)), f"_{next(count)}", {})
        return (with_block(s, each(block_of(s))),)

    return replace(kernel, body=each(kernel.body))


def unroll(kernel: Kernel) -> Kernel:
    """Unroll loops, and loops of a single turn, replaced by copies with a constant index.

    What turns out empty is dropped: loops of no turn, bodies of conditions that are never true.
    """
    return replace(kernel, body=_unroll(kernel.body, "", {}, {}))


def _unroll(body: Body, suffix: str, names: Mapping[str, str], constants: Mapping[str, int]) -> Body:
    """The copy ``suffix`` of ``body``; ``names`` and ``constants`` are what was bound around it."""
    names = dict(names)
    result: list[Statement] = []
    for s in body:
        if isinstance(s, Loop) and _is_unrolled(s):
            for n in range(s.extent):
                turn = f"{suffix}_{n}" if s.extent > 1 else suffix
                result += _unroll(s.body, turn, names, {**constants, s.index: n})
            continue
        names.update({name: name + suffix for name in _bound(s) if suffix})
        new = _renamed(s, names, constants)
        inner = () if _never(new) else _unroll(block_of(s), suffix, names, constants)
        result += inner if isinstance(new, If) and new.cond.prim == "const" else [with_block(new, inner)]
    return tuple(result)


def _is_unrolled(s: Loop) -> bool:
    return s.kind not in ("block", "thread") and (s.kind == "unroll" or s.extent < 2)


def _never(s: Statement) -> bool:
    return isinstance(s, If) and s.cond.prim == "const" and not s.cond.value


def _renamed(s: Statement, names: Mapping[str, str], constants: Mapping[str, int]) -> Statement:
    """``s``, what is inside aside, in other names, with constants for indices."""
    if not names and not constants:
        return s
    terms = expression.substitute(ir.exprs_of(s), lambda e: _renamed_term(e, names, constants))
    return _relabel_one(ir.with_exprs(s, terms), lambda name: names.get(name, name))


def _renamed_term(e: Expr, names: Mapping[str, str], constants: Mapping[str, int]) -> Expr | None:
    name = str(e.value)
    if e.prim == "axis" and name in constants:
        return const(constants[name], INDEX)
    if e.prim in ("axis", "load") and name in names:
        return axis(names[name], e.dtype) if e.prim == "axis" else expression.load(names[name], e.args, e.dtype)
    return None


def rename(body: Body, new: Callable[[Expr], Expr | None]) -> Body:
    """``body`` with terms replaced where ``new`` gives another."""
    return tuple(
        ir.with_exprs(with_block(s, rename(block_of(s), new)), expression.substitute(ir.exprs_of(s), new)) for s in body
    )


def copy(body: Body, suffix: str, constants: Mapping[str, int]) -> Body:
    """``body`` with a suffix on each name that it binds, and ``constants`` for indices bound outside."""
    names = {name: name + suffix for s in walk(body) for name in _bound(s)}
    return _copied(body, names, constants)


def _copied(body: Body, names: Mapping[str, str], constants: Mapping[str, int]) -> Body:
    return tuple(with_block(_renamed(s, names, constants), _copied(block_of(s), names, constants)) for s in body)


def _bound(s: Statement) -> Sequence[str]:
    match s:
        case Loop(name) | Let(name):
            return (name,)
        case Alloc(buffer):
            return (buffer.name,)
    return ()


def _relabel_one(s: Statement, name: Callable[[str], str]) -> Statement:
    match s:
        case Loop(index):
            return replace(s, index=name(index))
        case Let(old):
            return replace(s, name=name(old))
        case Alloc(buffer):
            return replace(s, buffer=replace(buffer, name=name(buffer.name)))
        case Store(buffer):
            return replace(s, buffer=name(buffer))
        case Accumulate(buffers):
            return replace(s, buffers=tuple(map(name, buffers)))
    return s


def inline_lets(kernel: Kernel) -> Kernel:
    """Lets of index arithmetic replaced by their terms, so that addresses show what they are made of."""
    return replace(kernel, body=_inline_lets(kernel.body, {}))


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

"""Copies of statements: calls inlined, loops unrolled.

Each step is a function from kernel to kernel and keeps its meaning; names stay unique, because every copy of a
statement gets a suffix of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    return replace(kernel, body=_settle(_unroll(kernel.body)))


def _settle(body: Body) -> Body:
    """Conditions that constants decide, decided."""
    return tuple(new for s in body for new in _settle_one(with_block(s, _settle(block_of(s)))))


def _settle_one(s: Statement) -> Body:
    if isinstance(s, If) and s.cond.prim == "const":
        return s.body if s.cond.value else ()
    return (s,)


def _unroll(body: Body) -> Body:
    return tuple(new for s in body for new in _unroll_one(s))


def _unroll_one(s: Statement) -> Body:
    inner = _unroll(block_of(s))
    if not isinstance(s, Loop) or s.kind in ("block", "thread"):
        return (with_block(s, inner),)
    if s.extent == 0:
        return ()
    if s.extent == 1:
        return rename(inner, lambda e: _constant(e, s.index, 0))
    if s.kind != "unroll":
        return (with_block(s, inner),)
    return tuple(new for n in range(s.extent) for new in copy(inner, f"_{n}", {s.index: n}))


def _constant(e: Expr, name: str, n: int) -> Expr | None:
    return const(n, INDEX) if e.prim == "axis" and e.value == name else None


def rename(body: Body, new: Callable[[Expr], Expr | None]) -> Body:
    """``body`` with terms replaced where ``new`` gives another."""
    return tuple(
        ir.with_exprs(with_block(s, rename(block_of(s), new)), expression.substitute(ir.exprs_of(s), new)) for s in body
    )


def copy(body: Body, suffix: str, constants: dict[str, int]) -> Body:
    """``body`` with a suffix on each name that it binds, and ``constants`` for indices bound outside."""
    names = {name: name + suffix for s in walk(body) for name in _bound(s)}

    def new(e: Expr) -> Expr | None:
        if e.prim == "axis":
            name = str(e.value)
            return const(constants[name], INDEX) if name in constants else axis(names.get(name, name), e.dtype)
        if e.prim == "load" and str(e.value) in names:
            return expression.load(names[str(e.value)], e.args, e.dtype)
        return None

    return _relabel(rename(body, new), lambda name: names.get(name, name))


def _bound(s: Statement) -> Sequence[str]:
    match s:
        case Loop(name) | Let(name):
            return (name,)
        case Alloc(buffer):
            return (buffer.name,)
    return ()


def _relabel(body: Body, name: Callable[[str], str]) -> Body:
    return tuple(with_block(_relabel_one(s, name), _relabel(block_of(s), name)) for s in body)


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

"""The loop IR: grammar, dataclasses, walks, printer. Speed lives here; both emitters walk it and nothing else.

    Kernel    ::= Kernel(name, buffers, body)            buffers: the parameters, each one storage, none overlapping
    Statement ::= Loop(index, extent, kind, body)        kind: serial parallel vector unroll block thread
                | Let(name, expr)                        a scalar, for the rest of the block
                | Alloc(buffer)                          space: register, thread or shared, for the rest of the block
                | Store(buffer, at, expr)                buffer[at] = expr
                | Accumulate(buffers, at, combiner, exprs)   buffers[at] = combiner.step(buffers[at], exprs)
                | If(cond, body)
                | Sync()
                | Call(intrinsic, operands)

Indices and Let names are ``expression.axis`` terms, elements ``expression.load`` terms whose slot is the buffer's
name. A Let may have any dtype: it is read as ``axis(name, dtype)``. Names of indices, Lets and buffers are unique in a
kernel.

* Every load of a statement is done, those in the arms of a select too, so each must be in bounds; only If guards.
* A ``vector`` loop has a constant extent (the number of lanes); its body holds Let, Store, Accumulate and If only. If
  is a mask there: nothing outside it is read or written. Each statement is done for all lanes before the next, and
  reads before it writes; lanes that meet at one element write it in their order, and accumulate in their order.
* A ``parallel`` loop stands at the top of the kernel's body; its iterations write nothing that another one reads. It
  uses no storage that was allocated outside of it.
* A ``block`` loop stands at the top, or tightly inside another; ``thread`` loops stand inside, and Sync inside those.
* A register Alloc has constant indices once its loops are unrolled and vectors: it becomes machine registers. A thread
  Alloc is scratch memory of the running thread.
* Accumulate owns neither loops nor a store: then a register tile, two accumulators in one loop, and argmax are sayable.
* A Call carries its intrinsic, and that its meaning: a body made from the operands, where a load stands for a place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from symgraph import expression
from symgraph.errors import SymgraphError
from symgraph.expression import Expr
from symgraph.formula import Combiner, Terms

KINDS = ("serial", "parallel", "vector", "unroll", "block", "thread")
SPACES = ("global", "register", "thread", "shared")


class KernelError(SymgraphError, ValueError):
    """A kernel that breaks the rules of the loop IR: our mistake, never the user's."""


@dataclass(frozen=True)
class Buffer:
    """A row-major array; ``space`` is "global" for a parameter.

    An ``open`` one may end earlier than ``shape`` says: what is there beyond its first element only guards tell.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    space: str = "global"
    open: bool = False


@dataclass(frozen=True)
class Loop:
    """``for index in range(extent): body``."""

    index: str
    extent: int
    kind: str
    body: Body


@dataclass(frozen=True)
class Let:
    """``name = expr`` for the rest of the block."""

    name: str
    expr: Expr


@dataclass(frozen=True)
class Alloc:
    """Storage for the rest of the block, without a defined content."""

    buffer: Buffer


@dataclass(frozen=True)
class Store:
    """``buffer[at] = expr``."""

    buffer: str
    at: Terms
    expr: Expr


@dataclass(frozen=True)
class Accumulate:
    """``buffers[at] = combiner.step(buffers[at], exprs)``: the accumulators share their indices."""

    buffers: tuple[str, ...]
    at: Terms
    combiner: Combiner
    exprs: Terms


@dataclass(frozen=True)
class If:
    """``if cond: body``; a mask inside a vector loop."""

    cond: Expr
    body: Body


@dataclass(frozen=True)
class Sync:
    """A barrier of the threads of a block."""


@dataclass(frozen=True)
class Intrinsic:
    """An operation with a hardware spelling; ``meaning(*operands)`` is the body that says what it does.

    Loops and Lets of the meaning take names of their own; whoever inlines it makes them unique.
    """

    name: str
    meaning: Callable[..., Body]


@dataclass(frozen=True)
class Call:
    """A hardware operation on ``operands``."""

    intrinsic: Intrinsic
    operands: Terms


Statement = Loop | Let | Alloc | Store | Accumulate | If | Sync | Call
Body = tuple[Statement, ...]


@dataclass(frozen=True)
class Kernel:
    """A function of its buffers. Those in ``writes(kernel)`` are written (and may be read), the others only read."""

    name: str
    buffers: tuple[Buffer, ...]
    body: Body


# ------------------------------------------------------------------------------------------------ walks


def block_of(s: Statement) -> Body:
    """The statements inside ``s``; those of a call are its meaning."""
    match s:
        case Loop() | If():
            return s.body
        case Call(intrinsic, operands):
            return intrinsic.meaning(*operands)
    return ()


def with_block(s: Statement, body: Body) -> Statement:
    """``s`` with other statements inside."""
    match s:
        case Loop(index, extent, kind, _):
            return Loop(index, extent, kind, body)
        case If(cond, _):
            return If(cond, body)
    return s


def exprs_of(s: Statement) -> Terms:
    """The terms that stand in ``s`` itself."""
    match s:
        case Let(_, expr):
            return (expr,)
        case Store(_, at, expr):
            return (*at, expr)
        case Accumulate(_, at, _, exprs):
            return (*at, *exprs)
        case If(cond, _):
            return (cond,)
        case Call(_, operands):
            return operands
    return ()


def with_exprs(s: Statement, terms: Sequence[Expr]) -> Statement:
    """``s`` with other terms, in the order of ``exprs_of``."""
    new = tuple(terms)
    match s:
        case Let(name, _):
            return Let(name, new[0])
        case Store(buffer, at, _):
            return Store(buffer, new[: len(at)], new[-1])
        case Accumulate(buffers, at, combiner, _):
            return Accumulate(buffers, new[: len(at)], combiner, new[len(at) :])
        case If(_, body):
            return If(new[0], body)
        case Call(intrinsic, _):
            return Call(intrinsic, new)
    return s


def walk(part: Kernel | Body) -> Iterator[Statement]:
    """Every statement, outer before inner, in the order of the text; the meaning of a call counts as its inside."""
    stack = [iter(part.body if isinstance(part, Kernel) else part)]
    while stack:
        s = next(stack[-1], None)
        if s is None:
            stack.pop()
        else:
            yield s
            stack.append(iter(block_of(s)))


def nest(axes: Sequence[tuple[str, int]], body: Body) -> Body:
    """``body`` inside serial loops over ``axes``, the first outermost."""
    for name, extent in reversed(axes):
        body = (Loop(name, extent, "serial", body),)
    return body


def unnest(body: Body) -> tuple[list[tuple[str, int]], Body]:
    """The loops that stand tightly inside each other, outermost first, and what is inside them."""
    axes: list[tuple[str, int]] = []
    while len(body) == 1 and isinstance(body[0], Loop):
        axes.append((body[0].index, body[0].extent))
        body = body[0].body
    return axes, body


def map_body(body: Body, f: Callable[[Sequence[Expr]], Sequence[Expr]]) -> Body:
    """``body`` with the terms of each statement, together, passed through ``f``."""
    return tuple(with_exprs(with_block(s, map_body(block_of(s), f)), f(exprs_of(s))) for s in body)


def map_exprs(kernel: Kernel, f: Callable[[Sequence[Expr]], Sequence[Expr]]) -> Kernel:
    """``kernel`` with the terms of each statement, together, passed through ``f``."""
    return replace(kernel, body=map_body(kernel.body, f))


def writes(part: Kernel | Body) -> frozenset[str]:
    """Names of the buffers stored to."""
    found: set[str] = set()
    for s in walk(part):
        match s:
            case Store(buffer):
                found.add(buffer)
            case Accumulate(buffers):
                found.update(buffers)
    return frozenset(found)


def allocs(part: Kernel | Body) -> tuple[Buffer, ...]:
    """The buffers allocated inside."""
    return tuple(s.buffer for s in walk(part) if isinstance(s, Alloc))


# ------------------------------------------------------------------------------------------------ printer

_WIDE = 24


def show(kernel: Kernel) -> str:
    """The kernel as loop text; long terms used more than once in a statement are named above it."""
    stored = writes(kernel)
    params = ", ".join(("out " if b.name in stored else "") + _show_buffer(b) for b in kernel.buffers)
    return "\n".join([f"kernel {kernel.name}({params}):", *_show_body(kernel.body, "  ")]) + "\n"


def show_statement(s: Statement) -> str:
    """The first lines of ``s``, without what is inside."""
    return "\n".join(_show_one(s, ""))


def _show_buffer(b: Buffer) -> str:
    space = "" if b.space == "global" else f" {b.space}"
    most = "<=" if b.open else ""
    return f"{b.name}: {b.dtype}[{most}{', '.join(map(str, b.shape))}]{space}"


def _show_body(body: Body, pad: str) -> list[str]:
    lines: list[str] = []
    for s in body:
        lines += _show_one(s, pad)
        if isinstance(s, Loop | If):
            lines += _show_body(s.body, pad + "  ")
    return lines


def _show_one(s: Statement, pad: str) -> list[str]:
    named, t = _show_terms(exprs_of(s))
    return [pad + line for line in [*named, _head(s, t)]]


def _head(s: Statement, t: list[str]) -> str:
    match s:
        case Loop(index, extent, kind):
            return f"{kind} {index} < {extent}:"
        case Let(name):
            return f"let {name} = {t[0]}"
        case Alloc(buffer):
            return f"alloc {_show_buffer(buffer)}"
        case Store(buffer):
            return f"{buffer}[{', '.join(t[:-1])}] = {t[-1]}"
        case Accumulate(buffers, at, combiner):
            places = ", ".join(f"{b}[{', '.join(t[: len(at)])}]" for b in buffers)
            return f"{places} {combiner}= {', '.join(t[len(at) :])}"
        case If():
            return f"if {t[0]}:"
        case Call(intrinsic):
            return f"call {intrinsic.name}({', '.join(t)})"
        case Sync():
            return "sync"


def _show_terms(terms: Terms) -> tuple[list[str], list[str]]:
    """(lines that name shared terms, the text of each term)."""
    uses: dict[Expr, int] = {}
    order = expression.toposort(terms)
    for e in order:
        for a in e.args:
            uses[a] = uses.get(a, 0) + 1
    lines: list[str] = []
    short: dict[Expr, Expr] = {}
    for e in order:
        short[e] = expression.rebuild(e, [short[a] for a in e.args]) if e.args else e
        text = expression.show(short[e]) if uses.get(e, 0) > 1 else ""
        if len(text) > _WIDE:
            short[e] = expression.axis(f"t{len(lines)}", e.dtype)
            lines.append(f"t{len(lines)} := {text}")
    return lines, [expression.show(short[e]) for e in terms]

"""The loop IR: grammar, dataclasses, walks, checker, printer. Speed lives here; both emitters walk it and nothing else.

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
from functools import lru_cache

from symgraph import expression
from symgraph.errors import DTypeError, SymgraphError
from symgraph.expression import INDEX, Expr
from symgraph.formula import Combiner, Terms
from symgraph.types import DTYPES

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


# ------------------------------------------------------------------------------------------------ checker

_IN_VECTOR = (Let, Store, Accumulate, If)


@dataclass(frozen=True)
class _Scope:
    """What is visible to a statement: names, buffers, and the loops around it, outermost first."""

    names: dict[str, str]
    buffers: dict[str, Buffer]
    loops: tuple[Loop, ...] = ()
    nested: bool = False

    def inside(self, kind: str) -> bool:
        return any(loop.kind == kind for loop in self.loops)

    def fixed(self) -> set[str]:
        """Indices that are constants once loops are unrolled."""
        return {loop.index for loop in self.loops if loop.kind in ("unroll", "vector") or loop.extent == 1}


def check(kernel: Kernel) -> None:
    """Raise ``KernelError`` with the offending statement unless ``kernel`` obeys the rules of this module."""
    taken: set[str] = set()
    for b in kernel.buffers:
        _claim(b.name, taken, f"kernel {kernel.name}")
        _need(b.space == "global", f"parameter {b.name} is in space {b.space}", kernel.name)
        _check_buffer(b, kernel.name)
    _check_body(kernel.body, _Scope({}, {b.name: b for b in kernel.buffers}), taken)


def _need(truth: bool, message: str, where: Statement | str) -> None:
    if not truth:
        raise KernelError(f"{message}\n  in: {where if isinstance(where, str) else show_statement(where)}")


def _claim(name: str, taken: set[str], where: Statement | str) -> None:
    _need(name not in taken, f"the name {name} is bound twice", where)
    taken.add(name)


def _check_buffer(b: Buffer, where: Statement | str) -> None:
    _need(b.space in SPACES, f"{b.space} is no space", where)
    _need(b.dtype in DTYPES, f"{b.dtype} is no dtype", where)
    _need(all(n >= 0 for n in b.shape), f"{b.name} has a negative extent", where)


def _check_body(body: Body, scope: _Scope, taken: set[str]) -> None:
    here = replace(scope, names=dict(scope.names), buffers=dict(scope.buffers))
    for s in body:
        _need(not here.inside("vector") or isinstance(s, _IN_VECTOR), "not allowed in a vector loop", s)
        for e in expression.toposort(exprs_of(s)):
            _check_term(e, here, s)
        _check_statement(s, here, taken)


def _check_term(e: Expr, scope: _Scope, s: Statement) -> None:
    if e.prim == "axis":
        name = str(e.value)
        _need(name in scope.names, f"{name} is not bound", s)
        _need(scope.names[name] == e.dtype, f"{name} is {scope.names[name]}, read as {e.dtype}", s)
    elif e.prim == "load":
        b = _check_place(str(e.value), e.args, scope, s)
        _need(b.dtype == e.dtype, f"{b.name} is {b.dtype}, loaded as {e.dtype}", s)


def _check_place(name: str, at: Terms, scope: _Scope, s: Statement) -> Buffer:
    _need(name in scope.buffers, f"{name} is no buffer here", s)
    b = scope.buffers[name]
    _need(len(at) == len(b.shape), f"{name} has rank {len(b.shape)}, got {len(at)} indices", s)
    _need(all(i.dtype == INDEX for i in at), f"an index of {name} is not {INDEX}", s)
    if b.space == "register" and not isinstance(s, Call):
        loose = {str(t.value) for t in expression.toposort(at) if t.prim in ("axis", "load")} - scope.fixed()
        _need(not loose, f"register {name} is indexed by {', '.join(sorted(loose))}, which stays variable", s)
    for i, n in zip(at, b.shape, strict=True):
        inside = i.prim != "const" or (isinstance(i.value, int) and 0 <= i.value < n)
        _need(inside, f"index {i.value} is outside of {name}, whose extent is {n}", s)
    return b


def _check_statement(s: Statement, scope: _Scope, taken: set[str]) -> None:
    match s:
        case Loop():
            _check_loop(s, scope, taken)
        case Let(name, expr):
            _claim(name, taken, s)
            scope.names[name] = expr.dtype
        case Alloc(buffer):
            _claim(buffer.name, taken, s)
            _check_alloc(buffer, scope, s)
            scope.buffers[buffer.name] = buffer
        case Store(buffer, at, expr):
            b = _check_place(buffer, at, scope, s)
            _need(b.dtype == expr.dtype, f"{buffer} is {b.dtype}, the value is {expr.dtype}", s)
        case Accumulate():
            _check_accumulate(s, scope)
        case If(cond, body):
            _need(cond.dtype == "bool", f"the condition is {cond.dtype}", s)
            _check_body(body, replace(scope, nested=True), taken)
        case Sync():
            _need(scope.inside("thread"), "Sync outside of a thread loop", s)
        case Call():
            _check_body(block_of(s), replace(scope, nested=True), set(taken))


def _check_alloc(b: Buffer, scope: _Scope, s: Statement) -> None:
    _check_buffer(b, s)
    _need(b.space != "global", f"{b.name} is global: a parameter, never allocated", s)
    if b.space == "shared":
        _need(scope.inside("block") and not scope.inside("thread"), "shared storage belongs to a block", s)
    else:
        _need(not scope.inside("block") or scope.inside("thread"), f"{b.space} storage belongs to a thread", s)


def _check_loop(loop: Loop, scope: _Scope, taken: set[str]) -> None:
    _claim(loop.index, taken, loop)
    _need(loop.kind in KINDS, f"{loop.kind} is no kind of loop", loop)
    _need(loop.extent >= (1 if loop.kind == "vector" else 0), f"the extent is {loop.extent}", loop)
    _check_nesting(loop, scope)
    buffers = scope.buffers
    if loop.kind == "parallel":
        buffers = {name: b for name, b in buffers.items() if b.space == "global"}
    names = {**scope.names, loop.index: INDEX}
    _check_body(loop.body, replace(scope, names=names, buffers=buffers, loops=(*scope.loops, loop)), taken)


def _check_nesting(loop: Loop, scope: _Scope) -> None:
    around = [outer.kind for outer in scope.loops]
    match loop.kind:
        case "parallel":
            _need(not around and not scope.nested, "a parallel loop stands at the top", loop)
        case "block":
            _need(set(around) <= {"block"} and not scope.nested, "a block loop stands at the top", loop)
        case "thread":
            _need("block" in around and "parallel" not in around, "a thread loop stands inside a block loop", loop)


def _check_accumulate(s: Accumulate, scope: _Scope) -> None:
    _need(len(set(s.buffers)) == len(s.buffers), "an accumulator occurs twice", s)
    dtypes = tuple(_check_place(name, s.at, scope, s).dtype for name in s.buffers)
    try:
        results, unused = _step_signature(s.combiner, dtypes, tuple(e.dtype for e in s.exprs))
    except (DTypeError, ValueError, IndexError) as error:
        raise KernelError(f"{s.combiner} does not take these terms: {error}\n  in: {show_statement(s)}") from None
    _need(results == dtypes, f"{s.combiner} gives {', '.join(results)} for {', '.join(dtypes)}", s)
    _need(not unused, f"{s.combiner} does not use the terms {unused}", s)


@lru_cache(maxsize=512)
def _step_signature(
    combiner: Combiner, accumulators: tuple[str, ...], terms: tuple[str, ...]
) -> tuple[tuple[str, ...], list[int]]:
    """(dtypes of the results of a step, positions of the terms that no result depends on)."""
    old = tuple(expression.axis(f"a{n}", d) for n, d in enumerate(accumulators))
    new = tuple(expression.axis(f"x{n}", d) for n, d in enumerate(terms))
    results = combiner.step(old, new)
    used = set(expression.toposort(results))
    return tuple(e.dtype for e in results), [n for n, e in enumerate(new) if e not in used]

"""The rules of the loop IR, as stated in ``kernel``, checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from codegen.kernel import (
    KINDS,
    SPACES,
    Accumulate,
    Alloc,
    Body,
    Buffer,
    Call,
    If,
    Kernel,
    KernelError,
    Let,
    Loop,
    Statement,
    Store,
    Sync,
    block_of,
    exprs_of,
    show_statement,
)
from symgraph import expression
from symgraph.errors import DTypeError
from symgraph.expression import INDEX, Expr
from symgraph.formula import Combiner, Terms
from symgraph.types import DTYPES

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
    """Raise ``KernelError`` with the offending statement unless ``kernel`` obeys the rules of ``codegen.kernel``."""
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

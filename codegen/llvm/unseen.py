"""Registers whose idle lanes no one sees.

A vector at the end of an axis has lanes that stand for no element. What memory a statement reads and writes is masked
there, but what it leaves in such a lane of a register does not matter if whoever reads the register is idle there too:
then the register takes the whole vector, and needs no blend.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from codegen.affine import conjuncts, loads_in
from codegen.guards import is_guard
from codegen.kernel import Accumulate, Alloc, Body, If, Kernel, Loop, Statement, Store, block_of, exprs_of, walk
from codegen.llvm.terms import is_lane
from codegen.unroll import LANE
from symgraph import expression
from symgraph.expression import Expr


@dataclass(frozen=True)
class _Use:
    """A statement: the buffer that it writes, if any, under which conditions, and the registers that it reads."""

    buffer: str | None
    conditions: frozenset[Expr]
    reads: frozenset[str]


@dataclass
class _Registers:
    """Where registers begin, and who reads and writes them."""

    scopes: dict[str, frozenset[str]] = field(default_factory=dict)  # the loops around the storage of each
    askew: set[str] = field(default_factory=set)  # those with an access other than lane by lane
    uses: list[_Use] = field(default_factory=list)


def unseen(kernel: Kernel) -> frozenset[str]:
    """The registers of a flat kernel to which masks need not apply."""
    if not any(isinstance(s, If) for s in walk(kernel)):
        return frozenset()  # nothing is masked
    found = _Registers()
    _collect(kernel.body, frozenset(), frozenset(), found)
    idle = _idle_lanes(found)
    shown = {name for name, conditions in idle.items() if not _is_fixed(conditions, found.scopes[name])} | found.askew
    for u in found.uses:
        if u.buffer not in found.scopes:
            shown |= {r for r in u.reads if not idle[r] <= u.conditions}
    while more := {r for u in found.uses if u.buffer in shown for r in u.reads} - shown:
        shown |= more
    return frozenset(found.scopes) - shown


def _collect(body: Body, loops: frozenset[str], conditions: frozenset[Expr], found: _Registers) -> None:
    for s in body:
        inner, under = loops, conditions
        match s:
            case Alloc(buffer) if buffer.space == "register":
                found.scopes[buffer.name] = loops
            case Loop(index):
                inner = loops | {index}
            case If(cond):
                under = conditions | {c for c in conjuncts(cond) if not _is_branch(c)}
        _use(s, conditions, found)
        _collect(block_of(s), inner, under, found)


def _is_branch(cond: Expr) -> bool:
    """Whether a condition is a guard, or none of some, that is one for all lanes."""
    guards = conjuncts(cond.args[0]) if cond.prim == "not" else (cond,)
    return all(is_guard(c) and not any(map(is_lane, expression.toposort([c]))) for c in guards)


def _use(s: Statement, conditions: frozenset[Expr], found: _Registers) -> None:
    """Note what a statement reads and writes, what is inside it aside."""
    written = [(b, s.at) for b in _targets(s)] if isinstance(s, Store | Accumulate) else []
    places = [*written, *[(str(e.value), e.args) for e in loads_in(exprs_of(s))]]
    found.askew |= {name for name, at in places if name in found.scopes and not (at and is_lane(at[-1]))}
    reads = frozenset(name for name, _ in places[len(written) :] if name in found.scopes)
    found.uses += [_Use(b, conditions, reads) for b, _ in written] or [_Use(None, conditions, reads)]


def _targets(s: Store | Accumulate) -> tuple[str, ...]:
    return s.buffers if isinstance(s, Accumulate) else (s.buffer,)


def _idle_lanes(found: _Registers) -> dict[str, frozenset[Expr]]:
    """Register -> the conditions under which it is written, and those under which what it takes was written."""
    idle = dict.fromkeys(found.scopes, frozenset[Expr]())
    changed = True
    while changed:
        before = dict(idle)
        for u in found.uses:
            if u.buffer in idle:
                idle[u.buffer] = idle[u.buffer].union(u.conditions, *[idle[r] for r in u.reads])
        changed = idle != before
    return idle


def _is_fixed(conditions: frozenset[Expr], loops: frozenset[str]) -> bool:
    """Whether conditions tell lanes apart once and for all while a register lives."""
    names = {str(n) for c in conditions for n in c.names}
    return not loads_in(tuple(conditions)) and all(n.startswith(LANE) or n in loops for n in names)

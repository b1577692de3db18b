"""What does not change in a loop is computed once, before it.

    serial j < 1000:                             let h = log(total[0])
      out[i, j] = in[i, j] - log(total[0])       serial j < 1000:
                                                   out[i, j] = in[i, j] - h

A value that differs by lane or by row of a tile, inside the loop, is kept in a register for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from codegen.group import cost
from codegen.kernel import (
    Alloc,
    Body,
    Buffer,
    If,
    Kernel,
    Let,
    Loop,
    Statement,
    Store,
    allocs,
    block_of,
    exprs_of,
    map_body,
    walk,
    with_block,
    writes,
)
from codegen.unroll import copy
from symgraph import expression
from symgraph.expression import INDEX, Expr

LEAST = 2  # operations that are worth a register for the length of a loop


def hoisted(kernel: Kernel, names: Iterator[str]) -> Kernel:
    """The kernel with what its serial loops repeat in front of them."""
    memory = [*kernel.buffers, *(b for b in allocs(kernel) if b.space == "thread")]
    return replace(kernel, body=_Hoist(frozenset(b.name for b in memory), names).body(kernel.body))


@dataclass(frozen=True)
class _Hoist:
    memory: frozenset[str]  # what only conditions keep within bounds
    names: Iterator[str]

    def body(self, body: Body) -> Body:
        made: list[Statement] = []
        for s in body:
            if isinstance(s, Loop) and s.kind == "serial" and s.extent > 0:
                before, s = self.loop(s)
                made += before
            made.append(with_block(s, self.body(block_of(s))))
        return tuple(made)

    def loop(self, s: Loop) -> tuple[Body, Loop]:
        """What goes before ``s``, and what stays."""
        found = _Found(_changing(s), self.memory)
        found.search(s.body, (), False)
        before: list[Statement] = []
        reads: dict[Expr, Expr] = {}
        made: dict[object, str] = {}
        for e, tile in found.terms.items():
            form = _form(e, tile)
            if form not in made:
                made[form] = "h" + next(self.names)
                before += _kept(e, tile, made[form], next(self.names))
            reads[e] = _read(e, tile, made[form])
        if not reads:
            return (), s
        body = map_body(s.body, lambda exprs: expression.substitute(exprs, reads.get))
        return tuple(before), replace(s, body=body)


def _changing(s: Loop) -> set[str]:
    """The names whose values differ by turn of ``s``; rows and lanes of a tile do not."""
    inside = list(walk((s,)))
    turns = {i.index for i in inside if isinstance(i, Loop) and i.kind not in ("unroll", "vector")}
    lets = {i.name for i in inside if isinstance(i, Let)}
    return turns | lets | writes((s,)) | {b.name for b in allocs((s,))}


@dataclass(frozen=True)
class _Found:
    """The largest terms of a loop that stay the same, each with the loops of a tile that it depends on."""

    changing: set[str]
    memory: frozenset[str]
    terms: dict[Expr, tuple[Loop, ...]] = field(default_factory=dict)

    def search(self, body: Body, tile: tuple[Loop, ...], guarded: bool) -> None:
        """``tile``: the loops around ``body`` that are rows or lanes; ``guarded``: it is not always run."""
        for s in body:
            self.terms_of(exprs_of(s), tile, guarded)
            inner = (*tile, s) if isinstance(s, Loop) and s.kind in ("unroll", "vector") else tile
            self.search(block_of(s), inner, guarded or isinstance(s, If))

    def terms_of(self, exprs: Sequence[Expr], tile: tuple[Loop, ...], guarded: bool) -> None:
        stack, seen = list(exprs), set(exprs)
        while stack:
            e = stack.pop()
            if e.dtype == INDEX:
                continue
            if self.changing.isdisjoint(e.names) and not (guarded and e.names & self.memory):
                if e.dtype != "bool" and cost(expression.toposort([e])) >= LEAST:
                    self.terms.setdefault(e, tuple(i for i in tile if i.index in e.names))
                continue
            new = [a for a in e.args if a not in seen]
            seen.update(new)
            stack += new


def _form(e: Expr, tile: Sequence[Loop]) -> object:
    """What is the same for terms that differ in the names of the rows and lanes alone."""
    numbered = {i.index: expression.axis(f"#{k}") for k, i in enumerate(tile)}
    return expression.rename([e], numbered)[0], tuple((i.kind, i.extent) for i in tile)


def _kept(e: Expr, tile: Sequence[Loop], name: str, suffix: str) -> Body:
    """The statements that compute ``e`` for each turn of ``tile``."""
    if not tile:
        return (Let(name, e),)
    body: Body = (Store(name, _place(tile), e),)
    for i in reversed(tile):
        body = (replace(i, body=body),)
    storage = Buffer(name, e.dtype, tuple(i.extent for i in tile), "register")
    return (Alloc(storage), *copy(body, suffix))


def _read(e: Expr, tile: Sequence[Loop], name: str) -> Expr:
    """The term that reads what ``_kept`` computed."""
    return expression.load(name, _place(tile), e.dtype) if tile else expression.axis(name, e.dtype)


def _place(tile: Sequence[Loop]) -> tuple[Expr, ...]:
    return tuple(expression.axis(i.index) for i in tile)

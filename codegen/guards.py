"""Guards: the conditions ``within(index, bound)`` under which the turns of a loop exist, whose bounds a call decides.

They stand around single statements of a kernel (see ``codegen.lower``). Here they are found, and taken away from where
a condition outside holds them already.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from codegen.affine import all_of, conjuncts
from codegen.kernel import Body, If, Statement, block_of, walk, with_block
from symgraph import expression
from symgraph.expression import Expr


def is_guard(cond: Expr) -> bool:
    """Whether a condition bounds an index by a length: a user's comparison never does, whatever it compares."""
    return cond.prim == "within"


def guards_of(body: Body, name: str) -> list[Expr]:
    """The guards of the axis ``name``."""
    own = expression.axis(name)
    return list(dict.fromkeys(c for c in _conditions(body) if is_guard(c) and c.args[0] is own))


def _conditions(body: Body) -> Iterator[Expr]:
    for s in walk(body):
        if isinstance(s, If):
            yield from conjuncts(s.cond)


def without(body: Body, held: Collection[Expr]) -> Body:
    """``body`` where the conditions ``held`` are known to be true."""
    return tuple(new for s in body for new in _without(s, held))


def _without(s: Statement, held: Collection[Expr]) -> Body:
    inside = without(block_of(s), held)
    if not isinstance(s, If):
        return (with_block(s, inside),)
    left = [c for c in conjuncts(s.cond) if c not in held]
    return (If(all_of(left), inside),) if left else inside

"""A scheduled kernel in basic primitives: what machine code computes, for the interpreter to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from codegen.kernel import Accumulate, Body, Kernel, Statement, block_of, exprs_of, with_block, with_exprs
from codegen.numerics import expand
from codegen.unroll import inline_calls
from symgraph.expression import Expr
from symgraph.formula import Combiner, Terms


def legalize(kernel: Kernel) -> Kernel:
    """``kernel`` with calls inlined and transcendental functions expanded."""
    plain = inline_calls(kernel)
    return replace(plain, body=_legal(plain.body, {}))


def _legal(body: Body, memo: dict[Expr, Expr]) -> Body:
    """``body`` expanded; ``memo`` has the terms expanded so far."""
    made: list[Statement] = []
    for s in body:
        new = with_exprs(s, expand(exprs_of(s), memo))
        if isinstance(new, Accumulate):
            new = replace(new, combiner=_expanded(new.combiner))
        made.append(with_block(new, _legal(block_of(s), memo)))
    return tuple(made)


@lru_cache(maxsize=256)
def _expanded(combiner: Combiner) -> Combiner:
    def through(f: Callable[[Terms, Terms], Terms]) -> Callable[[Terms, Terms], Terms]:
        return lambda a, b: tuple(expand(f(a, b)))

    return replace(combiner, merge=through(combiner.merge), step=through(combiner.step))

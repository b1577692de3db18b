"""From a scheduled kernel to one that an emitter can spell: calls inlined, terms in basic primitives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from codegen.kernel import Accumulate, Kernel, Statement, block_of, map_exprs, with_block
from codegen.numerics import expand
from codegen.unroll import inline_calls
from symgraph.formula import Combiner, Terms


def legalize(kernel: Kernel) -> Kernel:
    """``kernel`` in basic primitives only: what an emitter has a spelling for."""
    plain = inline_calls(kernel)
    return map_exprs(replace(plain, body=tuple(map(_expand_combiner, plain.body))), expand)


def _expand_combiner(s: Statement) -> Statement:
    if isinstance(s, Accumulate):
        return replace(s, combiner=_expanded(s.combiner))
    return with_block(s, tuple(map(_expand_combiner, block_of(s))))


@lru_cache(maxsize=256)
def _expanded(combiner: Combiner) -> Combiner:
    def through(f: Callable[[Terms, Terms], Terms]) -> Callable[[Terms, Terms], Terms]:
        return lambda a, b: tuple(expand(f(a, b)))

    return replace(combiner, merge=through(combiner.merge), step=through(combiner.step))

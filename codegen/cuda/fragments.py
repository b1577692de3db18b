"""How CUDA C spells what the threads of a warp do together: the arguments of a function of ``prelude.cuh``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from codegen.intrinsics import MMA, MMA_DEPTHS, SHUFFLE, mma_row
from symgraph import expression
from symgraph.expression import Expr, const

Spelling = Callable[[Sequence[Expr]], tuple[list[Expr], list[Expr]]]
"""Operands -> (places that are written, values)."""


def _mma(depth: int, operands: Sequence[Expr]) -> tuple[list[Expr], list[Expr]]:
    """A thread's places of the result, and its elements of the factors, neighbours along the depth together.

    Reference: PTX ISA, "Matrix fragments for mma.m16n8k8" and "... mma.m16n8k16".
    """
    acc, a, b, lane = operands
    member, pair = lane % 4, depth // 8
    i, j = acc.args
    places = [expression.load(str(acc.value), (i + r, j + c), acc.dtype) for r in (0, 1) for c in (0, 1)]

    def element(tile: Expr, k: Expr, at: Expr) -> Expr:
        return expression.load(str(tile.value), (tile.args[0] + k, tile.args[1] + at), tile.dtype)

    deep = [[member * pair + half * 4 * pair + n for n in range(pair)] for half in (0, 1)]
    left = [element(a, k, mma_row(lane, r)) for half in (0, 1) for r in (0, 1) for k in deep[half]]
    right = [element(b, k, lane // 4) for half in (0, 1) for k in deep[half]]
    return places, [*left, *right]


def _shuffle(distance: int, operands: Sequence[Expr]) -> tuple[list[Expr], list[Expr]]:
    """A thread's register for what it gets, what it gives, and how far away the other is."""
    other, mine, _ = operands
    return [other], [mine, const(distance, "int32")]


FRAGMENTS: Mapping[str, tuple[str, Spelling]] = {
    **{MMA[kind].name: (MMA[kind].name, partial(_mma, depth)) for kind, depth in MMA_DEPTHS.items()},
    **{i.name: ("shuffle", partial(_shuffle, distance)) for distance, i in SHUFFLE.items()},
}
"""The function of each intrinsic, and its arguments."""

"""Operations with a hardware spelling. Each is meant by a body of the kernel IR, which the checker, the interpreter and
targets without the hardware run; how a target spells one stands in that target's emitter.

An operand that is a load stands for a place: the element where a tile begins.
"""

from __future__ import annotations

from codegen.kernel import Accumulate, Body, Intrinsic, Loop, Store, Sync, nest
from symgraph import expression
from symgraph.expression import Expr
from symgraph.formula import DOT


def shifted(place: Expr, row: Expr, column: Expr) -> Expr:
    """The element ``row`` and ``column`` further along the last two axes."""
    *outer, i, j = place.args
    return expression.load(str(place.value), (*outer, i + row, j + column), place.dtype)


# ------------------------------------------------------------------------------------------------ warps


def _shuffle(distance: int) -> Intrinsic:
    def meaning(other: Expr, mine: Expr, place: Expr) -> Body:
        """other = what thread x ^ distance of the warp has, by way of shared storage, where ``place`` is this one's."""
        *outer, x = place.args
        source = expression.load(str(place.value), (*outer, x ^ distance), place.dtype)
        return (
            Store(str(place.value), place.args, mine), Sync(),
            Store(str(other.value), other.args, source), Sync(),
        )  # fmt: skip

    return Intrinsic(f"shuffle_{distance}", meaning)


SHUFFLE = {distance: _shuffle(distance) for distance in (16, 8, 4, 2, 1)}


# ------------------------------------------------------------------------------------------------ tensor cores

MMA_DEPTHS = {"tf32": 8, "bf16": 16, "fp16": 16}
"""Terms that one instruction adds to each result, by the type to which the factors are rounded."""

MMA_ROWS, MMA_COLUMNS = 16, 8
"""Of the results of one instruction, which the threads of a warp share: two rows and two columns of each."""


def mma_row(lane: Expr, number: Expr | int) -> Expr:
    """Where row ``number``, 0 or 1, of a thread's results is among all, and so of what it has of the left factor."""
    return lane // 4 + number * (MMA_ROWS // 2)


def mma_column(lane: Expr, number: Expr | int) -> Expr:
    """The same of its columns."""
    return lane % 4 * 2 + number


def _mma(kind: str, depth: int) -> Intrinsic:
    def meaning(acc: Expr, a: Expr, b: Expr, lane: Expr) -> Body:
        """What thread ``lane`` of a warp has of acc[16, 8] += a[depth, 16].T * b[depth, 8]."""
        r, c, k = (expression.axis(f"mma_{name}") for name in "rck")
        step = Accumulate(
            (str(acc.value),), shifted(acc, r, c).args, DOT,
            (shifted(a, k, mma_row(lane, r)), shifted(b, k, mma_column(lane, c))),
        )  # fmt: skip
        return (Loop("mma_r", 2, "unroll", (Loop("mma_c", 2, "unroll", nest([("mma_k", depth)], (step,))),)),)

    return Intrinsic(f"mma_{kind}", meaning)


MMA = {kind: _mma(kind, depth) for kind, depth in MMA_DEPTHS.items()}

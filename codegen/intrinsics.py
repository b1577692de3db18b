"""Operations with a hardware spelling. Each is meant by a body of the kernel IR, which the checker, the interpreter and
targets without the hardware run; how a target spells one stands in that target's emitter.

An operand that is a load stands for a place: the element where a tile begins.
"""

from __future__ import annotations

from codegen.kernel import Body, Intrinsic, Loop, Store
from symgraph import expression
from symgraph.expression import Expr

TILE = 8


def _transpose(target: Expr, source: Expr) -> Body:
    """target[.., r, c] = source[.., c, r] for a tile of ``TILE`` rows and columns, over the last two axes."""
    r, c = expression.axis("transpose_r"), expression.axis("transpose_c")
    store = Store(str(target.value), shifted(target, r, c).args, shifted(source, c, r))
    return (Loop("transpose_r", TILE, "unroll", (Loop("transpose_c", TILE, "vector", (store,)),)),)


def shifted(place: Expr, row: Expr, column: Expr) -> Expr:
    """The element ``row`` and ``column`` further along the last two axes."""
    *outer, i, j = place.args
    return expression.load(str(place.value), (*outer, i + row, j + column), place.dtype)


TRANSPOSE = Intrinsic("transpose", _transpose)

"""Products of complex matrices: four real products, two where a factor is real."""

from __future__ import annotations

from symgraph.complexes.rules import Rule, is_real, of_parts
from symgraph.kinds import Structured
from symgraph.ops.elementwise import add, sub
from symgraph.ops.linalg import batched_dot_op, dot_op
from symgraph.parts import Parts


def _product(op: Structured) -> Rule:
    def rule(x: Parts, w: Parts) -> Parts:
        if is_real(x):
            return Parts(op(x.re, w.re), op(x.re, w.im))
        if is_real(w):
            return Parts(op(x.re, w.re), op(x.im, w.re))
        return Parts(sub(op(x.re, w.re), op(x.im, w.im)), add(op(x.re, w.im), op(x.im, w.re)))

    return rule


for _op in (dot_op, batched_dot_op):
    of_parts(_op)(_product(_op))

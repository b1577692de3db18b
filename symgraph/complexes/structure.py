"""Ops that move, join or add elements: they act on both parts. Sums of complex numbers are sums of their parts."""

from __future__ import annotations

from typing import Any

from symgraph.complexes.arithmetic import is_nonzero
from symgraph.complexes.rules import named, of_parts, on_each, on_shape
from symgraph.graph import Variable, apply
from symgraph.parts import Parts

LINEAR = (
    "dimshuffle", "reshape", "broadcast_to", "broadcast_like", "sum_to", "specify_shape", "concatenate", "roll",
    "reverse", "slice", "set_slice", "gather", "put", "selected", "spread", "collect", "diagonal", "set_diagonal",
    "pad",
    "sum", "cumsum", "bincount", "read_bins", "print",
)  # fmt: skip

for _name in LINEAR:
    on_each(named(_name))
on_shape(named("shape_of"))


@of_parts(named("any"))
def _any(z: Parts, **attrs: Any) -> Variable:
    return apply(named("any"), [is_nonzero(z)], attrs).outputs[0]


@of_parts(named("all"))
def _all(z: Parts, **attrs: Any) -> Variable:
    return apply(named("all"), [is_nonzero(z)], attrs).outputs[0]

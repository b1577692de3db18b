"""Stabilize: logarithms to the bases 2 and 10, and of powers of numbers (see ``stabilize`` for the law)."""

from __future__ import annotations

import functools
import math

from symgraph.graph import Apply, Constant, Variable, constant
from symgraph.match import Owner, factors, make
from symgraph.rewrite import rewriter
from symgraph.rewrites.logarithms import LOGARITHMS, is_one, log_of, log_of_exponential
from symgraph.rewrites.signs import is_positive_constant
from symgraph.rewrites.views import VIEWS


def _log_of_exponentials(v: Variable, owner: Owner, name: str) -> Variable | None:
    """The logarithm of 8 * 2**x / 2**y: of exponentials and positive numbers, not all of them numbers."""
    negative, given = factors(v, owner)
    if negative or all(isinstance(f.value, Constant) for f in given):
        return None
    logs = [_log_of_part(f.value, owner, name) for f in given]
    if any(u is None for u in logs):
        return None
    signed = [make("neg", u) if f.below else u for f, u in zip(given, logs, strict=True) if not is_one(f.value)]
    return functools.reduce(functools.partial(make, "add"), signed)


def _log_of_part(v: Variable, owner: Owner, name: str) -> Variable | None:
    if is_positive_constant(v):
        return make(name, v)
    node = owner(v)
    return None if node is None else log_of_exponential(node, name)


@rewriter("stabilize", *LOGARITHMS)
def logarithm_of_exponential(node: Apply, owner: Owner) -> Variable | None:
    """c**x overflows or underflows where its logarithm is x times that of c, an ordinary number; and what has a natural
    logarithm of its own has one to the bases 2 and 10."""
    v, name = node.inputs[0], node.op.name
    made = owner(v)
    if made is None or made.op.name in VIEWS:
        return None
    if name == "log":
        found = log_of_exponential(made, name)
    else:
        found = _log_of_exponentials(v, owner, name)
        natural = log_of(v, owner) if found is None else None
        found = found if natural is None else make("mul", natural, constant(LOGARITHMS[name](math.e), v.dtype))
    return found if found is not None and found.type == node.outputs[0].type else None

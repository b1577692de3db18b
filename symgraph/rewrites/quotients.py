"""Stabilize: quotients and their slopes (see ``stabilize`` for the law and the measure)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symgraph.graph import Apply, Constant, Variable
from symgraph.match import MAX_FACTORS, Owner, factors, make, multiply, seen_through
from symgraph.pattern import Pattern, sech2, sigmoid
from symgraph.rewrite import rewriter, rule
from symgraph.rewrites.logarithms import is_one
from symgraph.rewrites.views import bare

Pair = tuple[Any, Any]
Path = tuple[tuple[str, tuple[Variable, ...], tuple[Variable, ...]], ...]
"""The ops from a product to what is in it: each by name, with the operands before and after."""


@rewriter("stabilize", "mul")
def slope_of_quotient(node: Apply, owner: Owner) -> Variable | None:
    """a/b/b * b' overflows or underflows before a/b * (b'/b) does: what a slope is of its function is moderate."""
    product, slope = node.inputs
    divisions = _divisions(product, owner)
    below = [_without_axes(b, slope, owner) for b, _, _ in divisions]
    for k, (b, (_, above, path)) in enumerate(zip(below, divisions, strict=True)):
        if b in below[:k] and owner(b) is not None and _is_slope(slope, b, owner):
            return make("mul", _along(path, above), make("true_div", slope, b))
    return None


def _without_axes(v: Variable, slope: Variable, owner: Owner) -> Variable:
    """What ``v`` is without axes of extent 1 put in or left out, if that has the type of ``slope``; else ``v``."""
    base = v
    while (made := owner(base)) is not None and made.op.name == "dimshuffle":
        kept = [k for k in made.attrs["pattern"] if k is not None]
        if kept != sorted(kept):
            return v
        base = made.inputs[0]
    return base if base.type == slope.type else v


def _is_slope(v: Variable, b: Variable, owner: Owner) -> bool:
    """Whether ``v`` may be one of ``b``, which is made of something: it is no constant, nor one over something, nor
    divided by ``b`` already."""
    _, given = factors(v, owner)
    below = [f.value for f in given if f.below]
    return b not in below and not all(f.below or _is_number(f.value, owner) for f in given)


def _is_number(v: Variable, owner: Owner) -> bool:
    return isinstance(bare(v, owner), Constant)


def _divisions(v: Variable, owner: Owner) -> list[tuple[Variable, Variable, Path]]:
    """Of the divisions a product is made of, as far as they are near: by what, of what, and the way to the product."""
    found: list[tuple[Variable, Variable, Path]] = []
    stack: list[tuple[Variable, Path]] = [(v, ())]
    for _ in range(MAX_FACTORS):
        if not stack:
            break
        v, path = stack.pop()
        node = seen_through(v, owner)
        if node is None or node.op.name not in ("true_div", "mul", "neg", "sqr"):
            continue
        name, (x, *others) = node.op.name, node.inputs
        if name == "true_div":
            found.append((others[0], x, path))
        if name == "mul":
            stack.append((others[0], (*path, (name, (x,), ()))))
        again = 2 * [(x, (*path, ("mul", (), (x,))))]
        stack += again if name == "sqr" else [(x, (*path, (name, (), tuple(others))))]
    return found


def _along(path: Path, v: Variable) -> Variable:
    """The product with ``v`` at the end of the way."""
    for op, before, after in reversed(path):
        v = make(op, *before, v, *after)
    return v


INVERSES: dict[str, Callable[[Variable], Variable]] = {
    "expm1": lambda x: make("inverse_expm1", x),
    "sech": lambda x: make("cosh", x),
    "sech2": lambda x: make("sqr", make("cosh", x)),
}
"""What one over a function is, in range where that function is too large or too small."""


@rewriter("stabilize", "true_div")
def inverse_of_function(node: Apply, owner: Owner) -> Variable | None:
    """1/f(x) has a slope of 0 * inf where f(x) is out of range. Only of a number over it: another quotient of small
    numbers need not have an inverse in range."""
    negative, given = factors(node.outputs[0], owner)
    numbers = [f for f in given if _is_number(f.value, owner)]
    others = [f for f in given if f not in numbers]
    made = owner(others[0].value) if len(others) == 1 and others[0].below else None
    if made is None or made.op.name not in INVERSES or node.outputs[0].type != made.outputs[0].type:
        return None
    inverse = INVERSES[made.op.name](made.inputs[0])
    rest = [f for f in numbers if not is_one(f.value)]
    return multiply(inverse, negative, rest)


@rewriter("stabilize", "true_div")
def exp_over_expm1(node: Apply, owner: Owner) -> Variable | None:
    """The slope of expm1 over itself is inf / inf for large x."""
    above, below = (owner(v) for v in node.inputs)
    if above is None or below is None or (above.op.name, below.op.name) != ("exp", "expm1"):
        return None
    (x,) = above.inputs
    return make("neg", make("inverse_expm1", make("neg", x))) if below.inputs[0] is x else None


@rule("stabilize")
def slope_over_sigmoid(x: Pattern) -> Pair:
    """A sigmoid and its slope are 0 / 0 for x far below 0; one is the other times what is left of 1."""
    return sech2(0.5 * x) / sigmoid(x), 4 * sigmoid(-x)


@rule("stabilize")
def slope_over_sigmoid_of_twice(x: Pattern) -> Pair:
    """The same where halving has met a doubling, as of 1 + tanh(x)."""
    return sech2(x) / sigmoid(2 * x), 4 * sigmoid(-2 * x)

"""Stabilize: quotients and their slopes (see ``stabilize`` for the law and the measure)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from symgraph.graph import Apply, Constant, Variable
from symgraph.match import MAX_FACTORS, Owner, factors, make, multiply, seen_through
from symgraph.rewrite import rewriter
from symgraph.rewrites.logarithms import is_one
from symgraph.rewrites.views import bare

Rebuild = Callable[[Variable], Variable]


@rewriter("stabilize", "mul")
def slope_of_quotient(node: Apply, owner: Owner) -> Variable | None:
    """a/b/b * b' overflows or underflows before a/b * (b'/b) does: what a slope is of its function is moderate."""
    product, slope = node.inputs
    divisions = _divisions(product, owner)
    below = [_without_axes(b, slope, owner) for b, _ in divisions]
    for k, (b, (_, less)) in enumerate(zip(below, divisions, strict=True)):
        if b in below[:k] and not _is_number(b, owner) and _is_slope(slope, b, owner):
            return make("mul", less(), make("true_div", slope, b))
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
    """Whether ``v`` may be one of ``b``: it is no constant, nor one over something, nor divided by ``b`` already."""
    _, given = factors(v, owner)
    below = [f.value for f in given if f.below]
    return b not in below and not all(f.below or _is_number(f.value, owner) for f in given)


def _is_number(v: Variable, owner: Owner) -> bool:
    return isinstance(bare(v, owner), Constant)


def _divisions(v: Variable, owner: Owner) -> list[tuple[Variable, Callable[[], Variable]]]:
    """What a product is divided by, one after the other, and the product without this division; only the nearest."""
    found: list[tuple[Variable, Callable[[], Variable]]] = []
    stack: list[tuple[Variable, Rebuild]] = [(v, lambda u: u)]
    for _ in range(MAX_FACTORS):
        if not stack:
            break
        v, outer = stack.pop()
        node = seen_through(v, owner)
        match None if node is None else (node.op.name, *node.inputs):
            case "true_div", x, y:
                found.append((y, partial(outer, x)))
                stack.append((x, partial(_within, outer, lambda u, y=y: make("true_div", u, y))))
            case "mul", x, y:
                stack.append((y, partial(_within, outer, lambda u, x=x: make("mul", x, u))))
                stack.append((x, partial(_within, outer, lambda u, y=y: make("mul", u, y))))
            case "neg", x:
                stack.append((x, partial(_within, outer, partial(make, "neg"))))
            case "sqr", x:
                stack += 2 * [(x, partial(_within, outer, lambda u, x=x: make("mul", u, x)))]
    return found


def _within(outer: Rebuild, inner: Rebuild, v: Variable) -> Variable:
    return outer(inner(v))


INVERSES: dict[str, Callable[[Variable], Variable]] = {
    "expm1": lambda x: make("inverse_expm1", x),
    "sigmoid": lambda x: make("add", 1, make("exp", make("neg", x))),
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

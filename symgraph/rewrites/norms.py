"""Stabilize: lengths and variances (see ``stabilize`` for the law and the measure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np

from symgraph.coercion import convert
from symgraph.graph import Apply, Constant, Variable, constant
from symgraph.match import Factor, Matcher, Owner, added, factors, make, multiply, seen_through
from symgraph.ops.reduce import count
from symgraph.pattern import Pattern, hypot, norm, sqr, sqrt
from symgraph.pattern import sum as sum_
from symgraph.rewrite import rewriter, rule
from symgraph.rewrites.signs import is_nonnegative
from symgraph.rewrites.views import bare

Pair = tuple[Any, Any]
_SQUARES = sum_(sqr(Pattern(name="x")), axis=Pattern(name="axis"), keepdims=Pattern(name="keepdims"))
_TOTAL = sum_(Pattern(name="x"), axis=Pattern(name="axis"), keepdims=Pattern(name="keepdims"))

# ------------------------------------------------------------------------------------------------ lengths


@rule("stabilize")
def norm_from_squares(x: Pattern, axis: Pattern, keepdims: Pattern) -> Pair:
    """The squares overflow or underflow where their root is an ordinary number, and at 0 the slope is 0 * inf."""
    return sqrt(sum_(sqr(x), axis=axis, keepdims=keepdims)), norm(x, axis=axis, keepdims=keepdims)


@rule("stabilize")
def hypotenuse(x: Pattern, y: Pattern) -> Pair:
    """The squares overflow or underflow where their root is an ordinary number, and at 0 the slope is 0 * inf."""
    return sqrt(sqr(x) + sqr(y)), hypot(x, y)


@rewriter("stabilize", "sqrt")
def root_of_squares_and_number(node: Apply, owner: Owner) -> Variable | None:
    """sqrt(x² + 1) and sqrt(x² + y² + z²): the squares overflow, or all of them underflow, where their root is an
    ordinary number, and at 0 the slope is 0 * inf."""
    terms = added(node.inputs[0], owner)
    roots = [_root(v, owner) for v in terms]
    sides = [x for x in roots if x is not None]
    others = [v for v, x in zip(terms, roots, strict=True) if x is None]
    if not sides or len(terms) < 2 or len(others) > 1 or not all(isinstance(v, Constant) for v in others):
        return None
    rest = others[0] if others else constant(np.zeros((), sides[0].dtype))
    return make("shifted_root" if len(sides) == 1 else "root_of_squares", *sides, rest)


def _root(v: Variable, owner: Owner) -> Variable | None:
    """x where ``v`` is x², written as a product of squares, of equals, and of powers of four."""
    node = seen_through(v, owner)
    if node is not None and node.op.name == "sqr":
        return node.inputs[0]
    if node is None or node.op.name not in ("mul", "true_div"):
        return None
    negative, given = factors(v, owner)
    roots, left = [], list[Factor]()
    for f in given:
        made = owner(f.value)
        if made is not None and made.op.name == "sqr":
            roots.append(Factor(made.inputs[0], f.below))
        elif _is_power_of_four(f.value):
            roots.append(Factor(constant(np.sqrt(f.value.data)), f.below))
        elif f in left:
            left.remove(f)
            roots.append(f)
        else:
            left.append(f)
    first = next((f for f in roots if not f.below), None)
    if negative or left or first is None:
        return None
    return multiply(first.value, False, [f for f in roots if f is not first])


def _is_power_of_four(v: Variable) -> TypeGuard[Constant]:
    if not isinstance(v, Constant) or v.data.size != 1 or v.data.item() <= 0:
        return False
    mantissa, exponent = np.frexp(v.data.item())
    return bool(mantissa == 0.5 and exponent % 2)


@rewriter("stabilize", "sqrt")
def root_of_mean_of_squares(node: Apply, owner: Owner) -> Variable | None:
    """The root of a mean of squares is a length over the root of their number."""
    negative, given = factors(node.inputs[0], owner)
    matcher = Matcher(owner, views=True)
    for k, f in enumerate(given):
        env = None if f.below else next(matcher.match(_SQUARES, f.value, {}), None)
        rest = [g for j, g in enumerate(given) if j != k]
        if env is not None and not negative and rest and all(is_nonnegative(g.value, owner) for g in rest):
            roots = [Factor(make("sqrt", g.value), g.below) for g in rest]
            return multiply(make("norm", env["x"], axis=env["axis"], keepdims=env["keepdims"]), False, roots)
    return None


# ------------------------------------------------------------------------------------------------ variances


@rewriter("stabilize", "sub")
def squares_about_the_mean(node: Apply, owner: Owner) -> Variable | None:
    """mean(x**2) - mean(x)**2 cancels where the mean is large; the mean of (x - mean(x))**2 does not."""
    a, b = node.inputs
    found = _about_the_mean(a, b, owner)
    if found is not None:
        return found
    found = _about_the_mean(b, a, owner)
    return None if found is None else make("neg", found)


def _about_the_mean(first: Variable, second: Variable, owner: Owner) -> Variable | None:
    """a*(sum(x**2) - sum(x)**2/n), from its two terms."""
    negative, above = factors(first, owner)
    for k, f in enumerate(above):
        env = None if f.below else next(Matcher(owner, views=True).match(_SQUARES, f.value, {}), None)
        if env is None or negative:
            continue
        x, axis, keepdims = env["x"], env["axis"], env["keepdims"]
        rest = [g for j, g in enumerate(above) if j != k]
        number = convert(count(x, axis), first.dtype)  # type: ignore[arg-type]
        if _is_square_of_total(second, env, [*rest, Factor(number, True)], owner):
            mean = make("true_div", make("sum", x, axis, True), number)
            squares = make("sum", make("sqr", make("sub", x, mean)), axis, keepdims)
            return multiply(squares, False, rest)
    return None


def _is_square_of_total(v: Variable, env: Any, rest: Sequence[Factor], owner: Owner) -> bool:
    """Whether ``v`` is sum(x)**2 times ``rest``."""
    negative, given = factors(v, owner)
    roots: list[Factor] = []
    for f in given:
        made = owner(f.value)
        if made is not None and made.op.name == "sqr":
            inner = factors(made.inputs[0], owner)[1]
            roots += [Factor(g.value, g.below != f.below) for g in inner] * 2
        else:
            roots.append(f)
    matcher = Matcher(owner, views=True)
    totals = [f for f in roots if not f.below and next(matcher.match(_TOTAL, f.value, env), None) is not None]
    others = [f for f in roots if all(f is not t for t in totals)]
    return not negative and len(totals) == 2 and _same_product(_bare(others, owner), _bare(rest, owner))


def _bare(product: Sequence[Factor], owner: Owner) -> list[Factor]:
    return [Factor(bare(f.value, owner), f.below) for f in product]


def _same_product(first: Sequence[Factor], second: Sequence[Factor]) -> bool:
    """Whether two products are of the same factors, and their constants multiply to one number but for rounding."""
    (a, many), (b, more) = _constants(first), _constants(second)
    return many == more and abs(a - b) <= 1e-6 * abs(b)


def _constants(product: Sequence[Factor]) -> tuple[float, Counter[Factor]]:
    """The constants of a product in one, and its other factors, those that stand on both sides left out."""
    number, found = 1.0, Counter[Factor]()
    for f in product:
        if isinstance(f.value, Constant) and f.value.data.size == 1:
            number *= f.value.data.item() ** (-1 if f.below else 1)
        elif found[opposite := Factor(f.value, not f.below)] > 0:
            found[opposite] -= 1
        else:
            found[f] += 1
    return number, +found

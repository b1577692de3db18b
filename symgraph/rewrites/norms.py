"""Stabilize: lengths and variances (see ``stabilize`` for the law and the measure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from symgraph.coercion import convert
from symgraph.graph import Apply, Constant, Variable, constant
from symgraph.match import Factor, Matcher, Owner, factors, make, multiply
from symgraph.ops.broadcast import broadcast_like
from symgraph.ops.reduce import count
from symgraph.pattern import Pattern, norm, sqr, sqrt
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


@rewriter("stabilize", "sqrt")
def root_of_mean_of_squares(node: Apply, owner: Owner) -> Variable | None:
    """The root of a mean of squares is a length over the root of their number."""
    negative, given = factors(node.inputs[0], owner)
    for k, f in enumerate(given):
        root = None if f.below else _root_of_sum(f.value, owner)
        rest = [g for j, g in enumerate(given) if j != k]
        alone = not rest and root is not None and root.op.name == "norm"
        if root is not None and not negative and not alone and all(is_nonnegative(g.value, owner) for g in rest):
            return multiply(root.outputs[0], False, [Factor(make("sqrt", g.value), g.below) for g in rest])
    return None


def _root_of_sum(v: Variable, owner: Owner) -> Apply | None:
    """The length whose square is ``v``, or the root of that and of what ``_beyond_the_mean`` adds."""
    env = next(Matcher(owner, views=True).match(_SQUARES, v, {}), None)
    if env is not None:
        return make("norm", env["x"], axis=env["axis"], keepdims=env["keepdims"]).owner
    made = owner(v)
    squares = _root_of_sum(made.inputs[0], owner) if made is not None and made.op.name == "add" else None
    rest = None if squares is None else owner(made.inputs[1])  # type: ignore[union-attr]
    if squares is None or rest is None or rest.op.name != "switch":
        return None
    return make("shifted_root", squares.outputs[0], rest.outputs[0]).owner


@rewriter("stabilize", "true_div")
def product_over_lengths(node: Apply, owner: Owner) -> Variable | None:
    """sum(x*y) / (norm(x)*norm(y)): the products overflow or underflow where their ratio to the lengths is a cosine; x
    and y are scaled by powers of two."""
    negative, given = factors(node.outputs[0], owner)
    for f in given:
        total = owner(f.value)
        inner = owner(total.inputs[0]) if total is not None and total.op.name == "sum" and not f.below else None
        if total is None or inner is None or inner.op.name != "mul":
            continue
        lengths = [_length_below(x, total, given, owner) for x in inner.inputs]
        if lengths[0] is None or lengths[1] is None or lengths[0] is lengths[1]:
            continue
        scaled = [make("mul", x, _scale(x, total, True)) for x in inner.inputs]
        cosine = make("sum", make("mul", *scaled), total.attrs["axis"], total.attrs["keepdims"])
        rest = [g for g in given if g is not f and all(g is not n for n in lengths)]
        sizes = [make("mul", n.value, _scale(x, total, total.attrs["keepdims"]))  # type: ignore[union-attr]
                 for n, x in zip(lengths, inner.inputs, strict=True)]  # fmt: skip
        return multiply(make("true_div", cosine, make("mul", *sizes)), negative, rest)
    return None


def _length_below(x: Variable, total: Apply, given: Sequence[Factor], owner: Owner) -> Factor | None:
    """The factor that is the length of ``x`` below the line, along the axes of ``total``."""
    for f in given:
        made = owner(f.value) if f.below else None
        if made is not None and made.op.name == "norm" and made.inputs[0] is x and made.attrs == total.attrs:
            return f
    return None


def _scale(x: Variable, total: Apply, keepdims: bool) -> Variable:
    return make("scale_of", make("norm", x, axis=total.attrs["axis"], keepdims=keepdims))


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
        others = _beside_square_of_total(second, env, owner)
        if others is None or (isinstance(number, Constant) and not number.data.any()):
            continue
        mean = make("true_div", make("sum", x, axis, True), number)
        squares = make("sum", make("sqr", make("sub", x, mean)), axis, keepdims)
        if _same_product(_bare(others, owner), _bare([*rest, Factor(number, True)], owner)):
            return multiply(squares, False, rest)
        divisor = None if isinstance(number, Constant) else _divisor(rest, others, owner)
        if divisor is not None:
            beyond = _beyond_the_mean(make("sum", x, axis, keepdims), number, divisor)
            return multiply(make("add", squares, beyond), False, rest)
    return None


def _divisor(rest: Sequence[Factor], others: Sequence[Factor], owner: Owner) -> int | None:
    """n where ``others`` is ``rest`` / n, both of numbers alone."""
    (a, many), (b, more) = _constants(_bare(rest, owner)), _constants(_bare(others, owner))
    if many or more or not a * b > 0 or not 0.5 < a / b < 2.0**53:
        return None
    n = round(a / b)
    return n if abs(a / b - n) <= 1e-6 * n else None


def _beyond_the_mean(total: Variable, number: Variable, divisor: int) -> Variable:
    """total**2 * (1/number - 1/divisor): nothing, if the extents, not known yet, are as many as they are divided by."""
    many = make("maximum", number, 1)
    share = make("true_div", make("sub", divisor, many), make("mul", many, divisor))
    nothing = broadcast_like(constant(0, total.dtype), total)
    return make("switch", make("eq", number, divisor), nothing, make("mul", make("sqr", total), share))


def _beside_square_of_total(v: Variable, env: Any, owner: Owner) -> list[Factor] | None:
    """What ``v`` is times sum(x)**2."""
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
    return None if negative or len(totals) != 2 else others


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

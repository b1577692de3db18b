"""Functions of products and of sums of squares, right where these are out of range though the results are not.

Rules alone make these composites. Each forms the product or the sum as it was written, and takes the long way only
where that has left the range of normal numbers.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph import expression
from symgraph.expression import Expr, select
from symgraph.graph import Constant, Variable
from symgraph.kinds import composite, elementwise
from symgraph.op import GradResult
from symgraph.ops.elementwise import absolute, add, and_, isinf, lt, mul, neg, sqr, switch, true_div, xor
from symgraph.ops.transcendental import hypot, log, share, shifted_root

__all__: list[str] = []


def is_normal(x: Expr) -> Expr:
    size = expression.absolute(x)
    return (size >= float(np.finfo(x.dtype).tiny)) & (size < math.inf)


# ------------------------------------------------------------------------------------------------ products


def _product(xs: Sequence[Any], below: Sequence[bool]) -> Any:
    """The factors multiplied in order, those that are ``below`` divided by; numbers or variables."""
    first = 1 / xs[0] if below[0] else xs[0]
    steps = zip(xs[1:], below[1:], strict=True)
    return functools.reduce(lambda p, step: p / step[0] if step[1] else p * step[0], steps, first)


def _log_apart(xs: Sequence[Variable], below: Sequence[bool]) -> Variable:
    """The logarithm of a product by those of the factors, NaN where it is negative; inf where one is 0 or infinite."""
    sizes = [absolute(x) for x in xs]
    logs = [neg(log(size)) if under else log(size) for size, under in zip(sizes, below, strict=True)]
    total = switch(functools.reduce(xor, [lt(x, 0) for x in xs]), math.nan, functools.reduce(add, logs))
    ordinary = functools.reduce(and_, [and_(lt(0, size), lt(size, math.inf)) for size in sizes])
    return switch(ordinary, total, math.inf)  # type: ignore[no-any-return]


@elementwise(grad=lambda g, p, apart, y: [g / p, None])
def log_or(p: Any, apart: Any) -> Any:
    """log(p), which is ``apart``, unless that is inf, where p is no normal number."""
    usual = expression.log(p)
    return expression.rare(~is_normal(p), select(expression.eq(apart, math.inf), usual, apart), usual)


def _log_product_grad(g: Any, *rest: Any, below: tuple[bool, ...]) -> GradResult:
    return [neg(true_div(g, x)) if under else true_div(g, x) for x, under in zip(rest, below, strict=False)]


@composite(
    grad=_log_product_grad,
    reference=lambda *xs, below: np.log(_product([x.astype("longdouble") for x in xs], below)),
)  # fmt: skip
def log_product(*xs: Variable, below: tuple[bool, ...]) -> Variable:
    """log of the product of ``xs``, over those that are ``below``: the sum of their logarithms where the product
    overflows or underflows."""
    found: Variable = log_or(_product(xs, below), _log_apart(xs, below))
    return found


@elementwise(grad=lambda g, p, apart, y: [g / (1 + p), None])
def log1p_or(p: Any, apart: Any) -> Any:
    """log(1 + p), which is ``apart``, unless that is inf, where p is infinite."""
    usual = expression.log1p(p)
    return expression.rare(~(p < math.inf), select(expression.eq(apart, math.inf), usual, apart), usual)


@elementwise(grad=lambda g, x, others, p, y: [None, g / (1 + p), -(g * (y / (1 + p)))])
def share_or(x: Any, others: Any, p: Any) -> Any:
    """others / (1 + p), p the product of x and others; 1 / x where that is infinite."""
    return expression.rare(~(p < math.inf), 1 / x, others / (1 + p))


def _log1p_product_grad(g: Any, *rest: Any, below: tuple[bool, ...]) -> GradResult:
    *xs, _ = rest
    p = _product(xs, below)
    return [neg(mul(g, true_div(share_or(1, p, p), x))) if under else mul(g, share_or(x, _others(xs, below, k), p))
            for k, (x, under) in enumerate(zip(xs, below, strict=True))]  # fmt: skip


def _others(xs: Sequence[Any], below: Sequence[bool], k: int) -> Any:
    """The product without its factor k."""
    left = [*xs[:k], *xs[k + 1 :]]
    return _product(left, [*below[:k], *below[k + 1 :]]) if left else 1


@composite(
    grad=_log1p_product_grad,
    reference=lambda *xs, below: np.log1p(_product([x.astype("longdouble") for x in xs], below)),
)  # fmt: skip
def log1p_product(*xs: Variable, below: tuple[bool, ...]) -> Variable:
    """log(1 + p), p the product of ``xs``, over those that are ``below``: the sum of their logarithms where p
    overflows."""
    found: Variable = log1p_or(_product(xs, below), _log_apart(xs, below))
    return found


@elementwise(grad=lambda g, n, k: [None])
def scale_of(n: Any) -> Any:
    """1, or a power of two that brings n to where it may be squared; what it scales is to be divided by it again."""
    high = np.finfo(n.dtype).maxexp
    far, near = 2.0 ** (3 * high // 4), 2.0 ** (11 * high // 32)
    return select(n > near, expression.const(1 / far, n.dtype), select(n < 1 / near, expression.const(far, n.dtype), 1))


# ------------------------------------------------------------------------------------------------ sums of squares


@elementwise(grad=lambda g, s, far, y: [g * (0.5 / y), None])
def sqrt_or(s: Any, far: Any) -> Any:
    """sqrt(s), which is ``far`` where s is out of range, or so small that squares in it may have vanished."""
    info = np.finfo(s.dtype)
    fine = (s >= float(info.tiny / info.eps)) & (s < math.inf)
    return expression.rare(~fine, far, expression.sqrt(s))


def _root_of_squares_grad(g: Any, *rest: Any) -> GradResult:
    *xs, _, out = rest
    return [*[mul(g, share(x, out)) for x in xs], mul(g, true_div(0.5, out))]


@composite(
    grad=_root_of_squares_grad,
    reference=lambda *xs: np.sqrt(sum(np.square(x, dtype="longdouble") for x in xs[:-1]) + xs[-1]),
)  # fmt: skip
def root_of_squares(*xs: Variable) -> Variable:
    """The root of the sum of the squares of all of ``xs`` but the last, and of the last; its gradient by a square at 0
    is 0."""
    found: Variable = sqrt_or(_total(xs), _far_root(xs))
    return found


def _total(xs: Sequence[Any]) -> Any:
    """The squares of all of ``xs`` but the last, and that."""
    return functools.reduce(add, [*map(sqr, xs[:-1]), *([] if _is_zero(xs[-1]) else xs[-1:])])


def _far_root(xs: Sequence[Any]) -> Any:
    """The root of ``_total`` by scaled squares."""
    length = functools.reduce(hypot, xs[:-1])
    return length if _is_zero(xs[-1]) else shifted_root(length, xs[-1])


def _is_zero(v: Variable) -> bool:
    return isinstance(v, Constant) and v.ndim == 0 and not v.data


def _log_of_squares_grad(g: Any, *rest: Any) -> GradResult:
    *xs, _ = rest
    return [*[mul(mul(2, g), _side_over_squares(x, xs)) for x in xs[:-1]], over_squares(g, *xs)]


@composite(
    grad=_log_of_squares_grad,
    reference=lambda *xs: np.log(sum(np.square(x, dtype="longdouble") for x in xs[:-1]) + xs[-1]),
)  # fmt: skip
def log_of_squares(*xs: Variable) -> Variable:
    """The logarithm of the sum of the squares of all of ``xs`` but the last, and of the last."""
    found: Variable = log_or(_total(xs), mul(2, log(_far_root(xs))))
    return found


def _side_over_squares(x: Variable, xs: Sequence[Variable]) -> Variable:
    """The side ``x`` over all squares, 0 at infinity."""
    return switch(isinf(x), 0, over_squares(x, *xs))  # type: ignore[no-any-return]


@elementwise(grad=lambda g, a, s, root, y: [g / s, -(g * (y / s)), None])
def over_or(a: Any, s: Any, root: Any) -> Any:
    """a / s, by the root of s where s is out of range, or so small that squares in it may have vanished."""
    info = np.finfo(s.dtype)
    fine = (s >= float(info.tiny / info.eps)) & (s < math.inf)
    return expression.rare(~fine, a / root / root, a / s)


def _over_squares_grad(g: Any, a: Any, *rest: Any) -> GradResult:
    """By a side x of the squares -2*g*y times x over them, which is in range where they are not."""
    *xs, y = rest
    by_sides = [neg(mul(mul(2, mul(g, y)), _side_over_squares(x, xs))) for x in xs[:-1]]
    return [over_squares(g, *xs), *by_sides, neg(over_squares(mul(g, y), *xs))]


@composite(
    grad=_over_squares_grad,
    reference=lambda a, *xs: a / (sum(np.square(x, dtype="longdouble") for x in xs[:-1]) + xs[-1]),
)  # fmt: skip
def over_squares(a: Variable, *xs: Variable) -> Variable:
    """a over the sum of the squares of all of ``xs`` but the last, and of the last, which is not negative."""
    found: Variable = over_or(a, _total(xs), _far_root(xs))
    return found

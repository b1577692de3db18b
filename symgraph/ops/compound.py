"""Powers of numbers near 1, and what they are more than 1: the digits of x that 1 + x rounds off count y times in
(1 + x)**y.

Rules alone make these ops (``symgraph.rewrites.compound``).
"""

from __future__ import annotations

from typing import Any

from symgraph import expression
from symgraph.expression import Expr, const, select
from symgraph.kinds import elementwise
from symgraph.ops.differences import log1p_minus
from symgraph.ops.elementwise import absolute, eq, pow, sqr, switch
from symgraph.ops.transcendental import log, log1p

__all__: list[str] = []

INF = float("inf")


def _compound(x: Expr, y: Expr) -> Expr:
    """(1 + x)**y: that of the rounded sum, times exp(drift), where 1 + x is the sum times 1 + drift/y; of so large an
    exponent that the drift is 1 and more by its logarithm, for either factor may be out of range."""
    total = 1 + x
    back = total - 1
    moved = y * (((1 - (total - back)) + (x - back)) / total)
    size = expression.absolute(moved)
    drift = select((size > 0) & (size < INF) & (total > 0), moved, const(0, x.dtype))
    far = expression.exp(y * expression.log(total) + drift)
    near = pow(total, y) * expression.exp(drift)
    return expression.rare(expression.absolute(drift) >= 1, far, near)


def _slope(x: Any, y: Any) -> Any:
    """y*(1 + x)**(y - 1)."""
    return switch(eq(y, 0), 0, y * compound(x, y - 1))


def _by_exponent(x: Any, y: Any, power: Any) -> Any:
    """(1 + x)**y * log(1 + x), and 0 where 1 + x is."""
    return switch(eq(x, -1) & (y >= 0), 0, power * log1p(x))


@elementwise(grad=lambda g, x, y, out: [g * _slope(x, y), g * _by_exponent(x, y, out)])
def compound(x: Any, y: Any) -> Any:
    """(1 + x)**y, with what 1 + x rounds off put back."""
    return _compound(x, y)


@elementwise(grad=lambda g, x, y, out: [g * _slope(x, y), g * _by_exponent(x, y, compound(x, y))])
def compoundm1(x: Any, y: Any) -> Any:
    """(1 + x)**y - 1; near 0 by the logarithm of the power."""
    exponent = y * expression.log1p(x)
    return select(expression.absolute(exponent) < 1, expression.expm1(exponent), _compound(x, y) - 1)


def _share_grad(g: Any, x: Any, n: Any, out: Any) -> list[Any]:
    """By n the power times log(1 + u) - u/(1 + u), where u = x/n: of small u that is about u²/2, by what the logarithm
    is less than u."""
    u = x / n
    near = log1p_minus(u) + sqr(u) / (1 + u)
    return [g * compound(u, n - 1), g * (out * switch(absolute(u) < 0.5, near, log1p(u) - u / (1 + u)))]


@elementwise(grad=_share_grad)
def compound_share(x: Any, n: Any) -> Any:
    """(1 + x/n)**n; of so small an n that the share is out of range, by powers of both."""
    share = x / n
    lost = expression.eq(expression.absolute(share), INF) & (expression.absolute(x) < INF) & expression.ne(n, 0)
    apart = pow(expression.absolute(x), n) / pow(expression.absolute(n), n)
    return expression.rare(lost, select(share > 0, apart, const(float("nan"), x.dtype)), _compound(share, n))


def _is_ordinary(x: Expr, y: Expr) -> Expr:
    """Whether x**y is a power of a finite x above 0."""
    return (x > 0) & (x < INF) & (expression.absolute(y) < INF)


@elementwise(grad=lambda g, x, y, out: [g * switch(eq(y, 0), 0, y / (1 + x)), g * _by_exponent(x, y, 1)])
def log_compound(x: Any, y: Any) -> Any:
    """log((1 + x)**y), without the power where 1 + x is above 0."""
    power = expression.log(_compound(x, y))
    return expression.rare(~_is_ordinary(1 + x, y), power, y * expression.log1p(x))


@elementwise(grad=lambda g, x, y, out: [g * switch(eq(y, 0), 0, y / x), g * switch(eq(x, 0) & (y >= 0), 0, log(x))])
def log_power(x: Any, y: Any) -> Any:
    """log(x**y), without the power where x is above 0."""
    return expression.rare(~_is_ordinary(x, y), expression.log(expression.power(x, y)), y * expression.log(x))


def _powm1_grad(g: Any, x: Any, y: Any, out: Any) -> list[Any]:
    """By x y*x**(y - 1), of a small exponent as y*x**y/x: y - 1 would round it off."""
    power = pow(x, y)
    by_base = y * switch((absolute(y) < 1) & ~eq(x, 0), power / x, pow(x, y - 1))
    return [g * switch(eq(y, 0), 0, by_base), g * switch(eq(x, 0) & (y >= 0), 0, power * log(x))]


@elementwise(grad=_powm1_grad)
def powm1(x: Any, y: Any) -> Any:
    """x**y - 1; near 0 by the logarithm of the power."""
    exponent = y * expression.log(x)
    return select(expression.absolute(exponent) < 1, expression.expm1(exponent), pow(x, y) - 1)

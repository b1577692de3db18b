"""Powers, exponentials, logarithms, circular and hyperbolic functions of complex numbers: the principal values.

Of arguments with finite parts they are what C99's Annex G says, signed zeros and the sides of branch cuts included. Of
one with an infinite part they are NaN in some places where Annex G has a number.

References
----------
Kahan (1987), "Branch cuts for complex elementary functions, or much ado about nothing's sign bit".
"""

from __future__ import annotations

import math

from symgraph.complexes.arithmetic import inv, mul, scaled
from symgraph.complexes.rules import is_real, of_parts
from symgraph.complexes.scalars import (
    cosh_times,
    exp2_times,
    exp_times,
    expm1_times,
    imag_arctanh,
    imag_sqrt,
    log1p_hypot,
    log_hypot,
    real_arctanh,
    real_sqrt,
    sinh_times,
)
from symgraph.graph import Constant, Variable, constant
from symgraph.ops import elementwise as ew
from symgraph.ops import transcendental as tr
from symgraph.ops.creation import ones_like, zeros_like
from symgraph.parts import Parts

# ------------------------------------------------------------------------------------------------ exponentials


@of_parts(tr.exp)
def exp(z: Parts) -> Parts:
    """e**re * (cos(im) + i*sin(im))."""
    return Parts(exp_times(z.re, tr.cos(z.im)), exp_times(z.re, tr.sin(z.im)))


@of_parts(tr.exp2)
def _exp2(z: Parts) -> Parts:
    turn = ew.mul(z.im, tr.LN2)
    return Parts(exp2_times(z.re, tr.cos(turn)), exp2_times(z.re, tr.sin(turn)))


@of_parts(tr.expm1)
def _expm1(z: Parts) -> Parts:
    """Accurate near 0: expm1(re)*cos(im) - 2*sin(im/2)**2 in the real part."""
    half = tr.sin(ew.mul(z.im, 0.5))
    re = ew.sub(expm1_times(z.re, tr.cos(z.im)), ew.mul(2, ew.sqr(half)))
    return Parts(re, exp_times(z.re, tr.sin(z.im)))


@of_parts(tr.log)
def log(z: Parts) -> Parts:
    """log(abs(z)) + i*angle(z)."""
    return Parts(log_hypot(z.re, z.im), tr.arctan2(z.im, z.re))


@of_parts(tr.log2)
def _log2(z: Parts) -> Parts:
    return scaled(log(z), 1 / tr.LN2)


@of_parts(tr.log10)
def _log10(z: Parts) -> Parts:
    return scaled(log(z), 1 / tr.LN10)


@of_parts(tr.log1p)
def _log1p(z: Parts) -> Parts:
    return Parts(log1p_hypot(z.re, z.im), tr.arctan2(z.im, ew.add(1, z.re)))


# ------------------------------------------------------------------------------------------------ powers


@of_parts(tr.sqrt)
def _sqrt(z: Parts) -> Parts:
    return Parts(real_sqrt(z.re, z.im), imag_sqrt(z.re, z.im))


@of_parts(ew.pow)
def power(x: Parts, y: Parts) -> Parts:
    """x**y = exp(y*log(x)); constant integer powers up to 64 by products, which keep every digit."""
    n = _whole(y)
    if n is not None:
        return _by_squaring(x, n, y)
    spiral = exp(mul(y, log(x)))
    at_zero = ew.switch(ew.lt(0, y.re), constant(0, x.re.dtype), math.nan)
    base_is_zero = ew.and_(ew.eq(x.re, 0), ew.eq(x.im, 0))
    is_zeroth = ew.and_(ew.eq(y.re, 0), ew.eq(y.im, 0))
    return Parts(
        ew.switch(is_zeroth, 1, ew.switch(base_is_zero, at_zero, spiral.re)),
        ew.switch(is_zeroth, 0, ew.switch(base_is_zero, at_zero, spiral.im)),
    )


def _whole(y: Parts) -> int | None:
    """The exponent, if it is one constant integer that is not large."""
    if not (isinstance(y.re, Constant) and y.re.ndim == 0 and is_real(y)):
        return None
    n = float(y.re.data)
    return int(n) if n.is_integer() and abs(n) <= 64 else None


def _by_squaring(x: Parts, n: int, y: Parts) -> Parts:
    if n == 0:
        like = ew.add(x.re, y.re)
        return Parts(ones_like(like), zeros_like(like))
    result: Parts | None = None
    rest, square = abs(n), x
    while rest:
        if rest & 1:
            result = square if result is None else mul(result, square)
        rest >>= 1
        square = mul(square, square) if rest else square
    assert result is not None
    return inv(result) if n < 0 else result


# ------------------------------------------------------------------------------------------------ circular, hyperbolic


@of_parts(tr.sinh)
def _sinh(z: Parts) -> Parts:
    return Parts(sinh_times(z.re, tr.cos(z.im)), cosh_times(z.re, tr.sin(z.im)))


@of_parts(tr.cosh)
def _cosh(z: Parts) -> Parts:
    return Parts(cosh_times(z.re, tr.cos(z.im)), sinh_times(z.re, tr.sin(z.im)))


@of_parts(tr.tanh)
def tanh(z: Parts) -> Parts:
    """(sinh(re)*cosh(re) + i*sin(im)*cos(im)) / (sinh(re)**2 + cos(im)**2), divided by cosh(re)**2: all is bounded."""
    t, s = tr.tanh(z.re), tr.sech2(z.re)
    cos, sin = tr.cos(z.im), tr.sin(z.im)
    whole = ew.add(ew.sqr(t), ew.mul(ew.sqr(cos), s))
    return Parts(ew.true_div(t, whole), ew.true_div(ew.mul(ew.mul(sin, cos), s), whole))


@of_parts(tr.sin)
def _sin(z: Parts) -> Parts:
    return Parts(cosh_times(z.im, tr.sin(z.re)), sinh_times(z.im, tr.cos(z.re)))


@of_parts(tr.cos)
def _cos(z: Parts) -> Parts:
    return Parts(cosh_times(z.im, tr.cos(z.re)), ew.neg(sinh_times(z.im, tr.sin(z.re))))


@of_parts(tr.tan)
def _tan(z: Parts) -> Parts:
    """-i * tanh(i*z)."""
    turned = tanh(Parts(ew.neg(z.im), z.re))
    return Parts(turned.im, ew.neg(turned.re))


# ------------------------------------------------------------------------------------------------ their inverses


def _sides(z: Parts) -> tuple[Parts, Parts]:
    """sqrt(1 - z) and sqrt(1 + z): each knows the side of its branch cut by the sign of a zero."""
    return _sqrt(Parts(ew.sub(1, z.re), ew.neg(z.im))), _sqrt(Parts(ew.add(1, z.re), z.im))


def _across(a: Parts, b: Parts) -> Variable:
    """The imaginary part of conj(a) * b."""
    return ew.sub(ew.mul(a.re, b.im), ew.mul(a.im, b.re))  # type: ignore[no-any-return]


@of_parts(tr.arcsin)
def arcsin(z: Parts) -> Parts:
    """The angle in a strip of width pi about 0 whose sine is z."""
    less, more = _sides(z)
    along = ew.sub(ew.mul(less.re, more.re), ew.mul(less.im, more.im))
    return Parts(tr.arctan2(z.re, along), tr.arcsinh(_across(less, more)))


@of_parts(tr.arccos)
def _arccos(z: Parts) -> Parts:
    less, more = _sides(z)
    return Parts(ew.mul(2, tr.arctan2(less.re, more.re)), tr.arcsinh(_across(more, less)))


@of_parts(tr.arcsinh)
def _arcsinh(z: Parts) -> Parts:
    """-i * arcsin(i*z)."""
    turned = arcsin(Parts(ew.neg(z.im), z.re))
    return Parts(turned.im, ew.neg(turned.re))


@of_parts(tr.arccosh)
def _arccosh(z: Parts) -> Parts:
    less, more = _sqrt(Parts(ew.sub(z.re, 1), z.im)), _sqrt(Parts(ew.add(z.re, 1), z.im))
    along = ew.add(ew.mul(less.re, more.re), ew.mul(less.im, more.im))
    return Parts(tr.arcsinh(along), ew.mul(2, tr.arctan2(less.im, more.re)))


@of_parts(tr.arctanh)
def arctanh(z: Parts) -> Parts:
    """(log(1 + z) - log(1 - z)) / 2."""
    return Parts(real_arctanh(z.re, z.im), imag_arctanh(z.re, z.im))


@of_parts(tr.arctan)
def _arctan(z: Parts) -> Parts:
    """-i * arctanh(i*z)."""
    turned = arctanh(Parts(ew.neg(z.im), z.re))
    return Parts(turned.im, ew.neg(turned.re))

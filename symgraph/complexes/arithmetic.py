"""Arithmetic, comparison and choice of complex numbers, and the ops that take them apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.coercion import convert
from symgraph.complexes.rules import Whole, is_real, named, of_parts, on_each
from symgraph.complexes.scalars import direction, magnitude, quotient
from symgraph.graph import Variable
from symgraph.ops import complexes as plane
from symgraph.ops import elementwise as ew
from symgraph.ops import passing
from symgraph.ops.broadcast import broadcast_like
from symgraph.ops.creation import zeros_like
from symgraph.ops.transcendental import arctan2
from symgraph.parts import Parts
from symgraph.types import is_complex, real_of

for _op in (ew.add, ew.sub, ew.neg, ew.identity, passing.zero_grad, passing.disconnected_grad):
    on_each(_op)

# ------------------------------------------------------------------------------------------------ parts


@of_parts(plane.real)
def _real(z: Parts) -> Variable:
    return z.re


@of_parts(plane.imag)
def _imag(z: Parts) -> Variable:
    return z.im


@of_parts(plane.conj)
def conj(z: Parts) -> Parts:
    """re - i*im."""
    return Parts(z.re, ew.neg(z.im))


@of_parts(plane.angle)
def angle(z: Parts) -> Variable:
    """The angle of z in [-pi, pi]."""
    return arctan2(z.im, z.re)  # type: ignore[no-any-return]


@of_parts(plane.complex)
def _complex(re: Variable, im: Variable) -> Parts:
    if re.type == im.type and re.type.is_static:
        return Parts(re, im)
    both = ew.add(re, im)
    return Parts(broadcast_like(re, both), broadcast_like(im, both))


@of_parts(named("cast"))
def _cast(x: Whole, dtype: str) -> Whole:
    """Another precision, a real number as a complex one, or whether it is not 0."""
    part = real_of(dtype)
    if isinstance(x, Variable):
        re = convert(x, part)
        return Parts(re, zeros_like(re))
    if is_complex(dtype):
        return Parts(convert(x.re, part), convert(x.im, part))
    return is_nonzero(x)


@of_parts(ew.switch)
def _switch(cond: Variable, x: Parts, y: Parts) -> Parts:
    return Parts(ew.switch(cond, x.re, y.re), ew.switch(cond, x.im, y.im))


# ------------------------------------------------------------------------------------------------ arithmetic


@of_parts(ew.mul)
def mul(x: Parts, y: Parts) -> Parts:
    """The product; a real factor multiplies both parts, as C has it."""
    if is_real(x):
        return Parts(ew.mul(x.re, y.re), ew.mul(x.re, y.im))
    if is_real(y):
        return Parts(ew.mul(x.re, y.re), ew.mul(x.im, y.re))
    re = ew.sub(ew.mul(x.re, y.re), ew.mul(x.im, y.im))
    return Parts(re, ew.add(ew.mul(x.re, y.im), ew.mul(x.im, y.re)))


@of_parts(ew.sqr)
def sqr(z: Parts) -> Parts:
    """z * z."""
    return mul(z, z)


@of_parts(ew.true_div)
def divide(x: Parts, y: Parts) -> Parts:
    """The quotient; by a real number, of both parts."""
    if is_real(y):
        return Parts(ew.true_div(x.re, y.re), ew.true_div(x.im, y.re))
    return Parts(quotient(x.re, x.im, y.re, y.im), quotient(x.im, ew.neg(x.re), y.re, y.im))


@of_parts(ew.inv)
def inv(z: Parts) -> Parts:
    """1 / z."""
    return Parts(quotient(1, 0, z.re, z.im), quotient(0, -1, z.re, z.im))


def scaled(z: Parts, factor: Any) -> Parts:
    """A real number times z."""
    return Parts(ew.mul(z.re, factor), ew.mul(z.im, factor))


# ------------------------------------------------------------------------------------------------ size and direction


@of_parts(ew.absolute)
def absolute(z: Parts) -> Variable:
    """The length of z."""
    return magnitude(z.re, z.im)  # type: ignore[no-any-return]


@of_parts(ew.sgn)
def _sign(z: Parts) -> Parts:
    """z / abs(z), and 0 at 0."""
    return Parts(direction(z.re, z.im), direction(z.im, z.re))


# ------------------------------------------------------------------------------------------------ comparisons


@of_parts(ew.eq)
def equal(x: Parts, y: Parts) -> Variable:
    """Whether both parts are equal."""
    return ew.and_(ew.eq(x.re, y.re), ew.eq(x.im, y.im))  # type: ignore[no-any-return]


@of_parts(ew.neq)
def _differ(x: Parts, y: Parts) -> Variable:
    return ew.or_(ew.neq(x.re, y.re), ew.neq(x.im, y.im))  # type: ignore[no-any-return]


def is_nonzero(z: Parts) -> Variable:
    """Whether a part is not 0."""
    return ew.or_(ew.neq(z.re, 0), ew.neq(z.im, 0))  # type: ignore[no-any-return]


@of_parts(ew.isnan)
def _isnan(z: Parts) -> Variable:
    return ew.or_(ew.isnan(z.re), ew.isnan(z.im))  # type: ignore[no-any-return]


@of_parts(ew.isinf)
def _isinf(z: Parts) -> Variable:
    return ew.or_(ew.isinf(z.re), ew.isinf(z.im))  # type: ignore[no-any-return]


@of_parts(named("isclose"))
def _isclose(a: Parts, b: Parts, rtol: Parts, atol: Parts) -> Variable:
    """Whether abs(a - b) <= atol + rtol*abs(b), or both are the same."""
    size = absolute(b)
    distance = absolute(Parts(ew.sub(a.re, b.re), ew.sub(a.im, b.im)))
    near = ew.and_(ew.le(distance, ew.add(atol.re, ew.mul(rtol.re, size))), ew.lt(size, np.inf))
    return ew.or_(equal(a, b), near)  # type: ignore[no-any-return]

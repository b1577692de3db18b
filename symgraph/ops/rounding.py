"""Rounding to a number of decimals."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from symgraph.coercion import as_variable, convert
from symgraph.expression import Expr
from symgraph.graph import Variable
from symgraph.op import attach
from symgraph.ops.elementwise import absolute, lt, mul, switch, true_div
from symgraph.ops.elementwise import round as nearest
from symgraph.ops.passing import zero_grad
from symgraph.types import is_float

__all__ = ["round"]


def round(x: Any, decimals: int = 0) -> Variable:
    """``x`` to a number of decimals, half to even.

    This goes by x * 10**decimals, as NumPy has it: of a decimal fraction that no float is, half is not told.

    Parameters
    ----------
    x : Variable or array_like, float or integer
    decimals : int
        Digits after the point; before it, if negative.

    Returns
    -------
    Variable, same dtype, of the same shape; its gradient is 0.

    Raises
    ------
    TypeError
        If ``decimals`` is no integer.
    """
    places = operator.index(decimals)
    if places == 0 or isinstance(x, Expr):
        return nearest(x)  # type: ignore[no-any-return]
    v = as_variable(x)
    if not is_float(v.dtype):
        return nearest(v) if places > 0 else convert(_scaled(convert(v, "float64"), places), v.dtype)
    return _scaled(v, places)


def _scaled(v: Variable, places: int) -> Variable:
    """By a whole power of ten, which is exact where its inverse is not."""
    most = int(math.log10(np.finfo(v.dtype).max))
    if abs(places) > most:
        return _scaled_twice(v, places > 0, 10.0**most, 10.0 ** min(abs(places) - most, most))
    power = float(f"1e{abs(places)}")
    first, second = (mul, true_div) if places > 0 else (true_div, mul)
    found: Variable = second(nearest(first(v, power)), power)
    return found


def _scaled_twice(v: Variable, up: bool, power: float, other: float) -> Variable:
    """By two powers whose product is out of range; where there are no digits to round off it is ``v``."""
    if not up:
        return mul(mul(nearest(true_div(true_div(v, power), other)), power), other)  # type: ignore[no-any-return]
    scaled = mul(mul(v, power), other)
    rounded = true_div(true_div(nearest(scaled), other), power)
    return switch(lt(absolute(scaled), 1 / float(np.finfo(v.dtype).eps)), rounded, zero_grad(v))  # type: ignore[no-any-return]


attach("round", round)
attach("__round__", round)

"""Rounding to a number of decimals."""

from __future__ import annotations

import operator
from typing import Any

from symgraph.coercion import as_variable, convert
from symgraph.expression import Expr
from symgraph.graph import Variable
from symgraph.op import attach
from symgraph.ops.elementwise import mul, true_div
from symgraph.ops.elementwise import round as nearest
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
    power = float(f"1e{abs(places)}")
    first, second = (mul, true_div) if places > 0 else (true_div, mul)
    found: Variable = second(nearest(first(v, power)), power)
    return found


attach("round", round)
attach("__round__", round)

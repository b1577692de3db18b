"""Transcendental primitives as polynomial scalar expressions, which vectorise where a call of libm would not.

``expand`` leaves only the primitives in ``BASIC``: those with an instruction, and those that a few make up on every
target. float32 stays in float32 and float64 in float64; float16 is computed in float32 and rounded after each
primitive. Errors are given in units in the last place (ulp) of the result, special values are those of C99 and NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from codegen.numerics.division import floordiv, mod
from codegen.numerics.error_function import erf, erfc
from codegen.numerics.exponential import exp, exp2, expm1
from codegen.numerics.gamma_functions import digamma, gamma, gammaln
from codegen.numerics.half import touches_half, widened
from codegen.numerics.hyperbolic import arccosh, arcsinh, arctanh, cosh, sinh, tanh
from codegen.numerics.inverse_trigonometric import arccos, arcsin, arctan, arctan2
from codegen.numerics.logarithm import log, log1p, log2, log10
from codegen.numerics.power import pow
from codegen.numerics.root import cbrt
from codegen.numerics.trigonometric import cos, sin, tan
from symgraph.expression import Expr, kind_of, load, substitute

BASIC = frozenset(
    "add sub mul div neg abs fma sqrt floor ceil trunc rint copysign lt within le eq ne select rare cast bitcast "
    "and or xor not shl shr quot rem maximum minimum".split()
)

EXPANSIONS: dict[str, Callable[..., Expr]] = {
    "exp": exp, "exp2": exp2, "expm1": expm1, "log": log, "log1p": log1p, "log2": log2, "log10": log10, "pow": pow,
    "cbrt": cbrt, "sin": sin, "cos": cos, "tan": tan, "arcsin": arcsin, "arccos": arccos, "arctan": arctan,
    "arctan2": arctan2,
    "sinh": sinh, "cosh": cosh, "tanh": tanh, "arcsinh": arcsinh, "arccosh": arccosh, "arctanh": arctanh,
    "erf": erf, "erfc": erfc, "gamma": gamma, "gammaln": gammaln, "digamma": digamma,
    "floordiv": floordiv, "mod": mod,
}  # fmt: skip


def expand(exprs: Sequence[Expr], memo: dict[Expr, Expr] | None = None) -> list[Expr]:
    """Each of ``exprs`` in BASIC primitives alone, with float16 in loads, constants, casts and selections alone.

    Parameters
    ----------
    exprs : sequence of Expr
    memo : dict, optional
        What became of each term, kept from call to call.

    Returns
    -------
    list of Expr
        In the same order; terms shared before are shared after.
    """
    return substitute(exprs, expansion, memo=memo)


def expansion(e: Expr) -> Expr | None:
    """The primitive at the root of ``e`` by others, its operands left as they are; None if it is basic."""
    if not e.args or e.prim == "load" or (e.prim in BASIC and not touches_half(e)):
        return None
    return widened(e, _instance) if touches_half(e) else _instance(e)


def _instance(e: Expr) -> Expr:
    if e.prim in BASIC:
        return e
    if kind_of(e.dtype) == "i":  # a constant divisor is worth seeing
        return EXPANSIONS[e.prim](*e.args)
    template, operands = _template(e.prim, e.dtype, len(e.args))
    actual = dict(zip(operands, e.args, strict=True))
    return substitute([template], actual.get)[0]


@cache
def _template(name: str, dtype: str, arity: int) -> tuple[Expr, tuple[Expr, ...]]:
    """The expansion of a primitive, built once, on loads that stand for its operands."""
    operands = tuple(load(f"operand{i}", (), dtype) for i in range(arity))
    return EXPANSIONS[name](*operands), operands

"""What is built of primitives: a function for each that formulas call."""

from __future__ import annotations

from collections.abc import Callable

from symgraph.expression.terms import Expr, Operand, apply, const
from symgraph.types import SIZES


def cast(x: Expr, dtype: str) -> Expr:
    """``x`` converted as NumPy's astype does."""
    return apply("cast", x, dtype=dtype)


def bitcast(x: Expr, dtype: str) -> Expr:
    """The bits of ``x`` read as another dtype of the same size."""
    assert SIZES[x.dtype] == SIZES[dtype], f"bitcast from {x.dtype} to {dtype}: sizes differ"
    return apply("bitcast", x, dtype=dtype)


def select(cond: Expr, a: Operand, b: Operand) -> Expr:
    """``a`` where ``cond``, else ``b``; neither can disturb the other."""
    return apply("select", cond, a, b)


def rare(cond: Expr, slow: Operand, fast: Operand) -> Expr:
    """``select``, but ``slow`` is computed only if any lane of the vector asks for it."""
    return apply("rare", cond, slow, fast)


def fma(a: Operand, b: Operand, c: Operand) -> Expr:
    """``a*b + c`` rounded once."""
    return apply("fma", a, b, c)


def eq(a: Operand, b: Operand) -> Expr:
    """Whether equal (never for a NaN)."""
    return apply("eq", a, b)


def ne(a: Operand, b: Operand) -> Expr:
    """Whether different (always for a NaN)."""
    return apply("ne", a, b)


def _unary(name: str) -> Callable[[Operand], Expr]:
    def build(x: Operand) -> Expr:
        return apply(name, x)

    build.__name__, build.__doc__ = name, f"The primitive ``{name}``."
    return build


def _binary(name: str) -> Callable[[Operand, Operand], Expr]:
    def build(x: Operand, y: Operand) -> Expr:
        return apply(name, x, y)

    build.__name__, build.__doc__ = name, f"The primitive ``{name}``."
    return build


absolute, sqrt, floor, ceil, trunc, rint = map(_unary, ("abs", "sqrt", "floor", "ceil", "trunc", "rint"))
cbrt = _unary("cbrt")
exp, expm1, exp2, log, log1p, log2, log10 = map(_unary, ("exp", "expm1", "exp2", "log", "log1p", "log2", "log10"))
sin, cos, tan, arcsin, arccos, arctan = map(_unary, ("sin", "cos", "tan", "arcsin", "arccos", "arctan"))
sinh, cosh, tanh, arcsinh, arccosh, arctanh = map(_unary, ("sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh"))
erf, erfc, gamma, gammaln, digamma = map(_unary, ("erf", "erfc", "gamma", "gammaln", "digamma"))
maximum, minimum, copysign, power, arctan2 = map(_binary, ("maximum", "minimum", "copysign", "pow", "arctan2"))
quot, rem, within = map(_binary, ("quot", "rem", "within"))


def isnan(x: Expr) -> Expr:
    """Whether ``x`` is a NaN."""
    return ne(x, x)


def sign(x: Expr) -> Expr:
    """-1, 0 or 1; a NaN stays a NaN, and so does the sign of a zero."""
    return select(x > 0, const(1, x.dtype), select(x < 0, -const(1, x.dtype), x))

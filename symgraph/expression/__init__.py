"""Scalar expressions: the one language shared by the graph and the kernels.

An ``Expr`` is a primitive applied to terms, a constant, an index variable, or a load. Expressions are interned, so
structural equality is identity. ``PRIMS`` is the table of primitives: one row gives the NumPy function, the dtype of
the result, and the partial derivatives, which are themselves expressions.

    Expr ::= const(value, dtype) | axis(name) | load(slot, indices) | prim(Expr, ...)
"""

from symgraph.expression.building import (
    absolute,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    bitcast,
    cast,
    cbrt,
    ceil,
    copysign,
    cos,
    cosh,
    digamma,
    eq,
    erf,
    erfc,
    exp,
    exp2,
    expm1,
    floor,
    fma,
    gamma,
    gammaln,
    isnan,
    log,
    log1p,
    log2,
    log10,
    maximum,
    minimum,
    ne,
    power,
    quot,
    rare,
    rem,
    rint,
    select,
    sign,
    sin,
    sinh,
    sqrt,
    tan,
    tanh,
    trunc,
    within,
)
from symgraph.expression.terms import (
    INDEX,
    PRIMS,
    Expr,
    Names,
    Number,
    Operand,
    Partials,
    Prim,
    apply,
    axis,
    const,
    kind_of,
    load,
    show,
    toposort,
)
from symgraph.expression.walks import evaluate, evaluate_one, on_demand, partials, rebuild, rename, substitute

__all__ = [
    "Expr", "Names", "Number", "Operand", "INDEX", "const", "axis", "load", "apply", "kind_of", "toposort", "show",
    "Prim", "Partials", "PRIMS",
    "cast", "bitcast", "select", "rare", "fma", "eq", "ne", "isnan", "sign", "within",
    "absolute", "sqrt", "cbrt", "floor", "ceil", "trunc", "rint", "maximum", "minimum", "copysign", "quot", "rem",
    "power",
    "exp", "expm1", "exp2", "log", "log1p", "log2", "log10",
    "sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2",
    "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "erf", "erfc", "gamma", "gammaln", "digamma",
    "rebuild", "substitute", "rename", "evaluate", "evaluate_one", "on_demand", "partials",
]  # fmt: skip

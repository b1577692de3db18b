"""tanh, sinh, cosh and their inverses: from exp and log1p, with a polynomial where these would cancel."""

from __future__ import annotations

from codegen.numerics.exponential import moderate_exp
from codegen.numerics.parts import Table, below, polynomial, same
from symgraph.expression import Expr, absolute, copysign, fma, select

_TANH: Table = {
    "float32": (
        -0.333333, 0.13331936, -0.053784717, 0.020798625, -0.0058979667,
    ),
    "float64": (
        -0.33333333333333126, 0.13333333333299768, -0.053968253949335965, 0.02186948800336679, -0.008863226787001653,
        0.003592037451065972, -0.0014552157134667901, 0.0005871895141001889, -0.00023039900210043246,
        7.93164108143864e-05, -1.7179923240708333e-05,
    ),
}  # fmt: skip

# tanh is 1 from here on
_TANH_RANGE = {"float32": 10.0, "float64": 20.0}


def tanh(x: Expr) -> Expr:
    """1 - 2/(exp(2|x|) + 1), with the sign of ``x``; at most 1.4 ulp.

    Below 0.6 it is x + x^3 p(x^2) (tools/minimax.py, TANH: 2^-29.7, 2^-55.5).
    """
    a = absolute(x)
    big = 1 - 2 / (moderate_exp(2 * below(a, _TANH_RANGE[x.dtype])) + 1)
    z = a * a
    small = fma(a * z, polynomial(z, _TANH[x.dtype]), a)
    return copysign(select(a < same(a, 0.6), small, big), x)

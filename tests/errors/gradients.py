"""Costs that have no gradient, and variables that have none of it."""

import symgraph as sg
from tests.errors import case


@case
def cost_that_is_no_scalar(*_):
    x = sg.dvector("x")
    cost = sg.sqr(x)
    return sg.grad(cost, x)


@case
def cost_that_is_no_float(*_):
    n = sg.lvector("n")
    return sg.grad(n.sum(), n)


@case
def disconnected_wrt(*_):
    x, z = sg.dvectors("x z")
    return sg.grad(x.sum(), [x, z])


@case
def integer_wrt(*_):
    x, n = sg.dvector("x"), sg.lvector("n")
    return sg.grad((x * n).sum(), n)

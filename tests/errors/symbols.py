"""What Python asks of a symbol, and a symbol cannot tell."""

import symgraph as sg
from tests.errors import case


@case
def truth(*_):
    x = sg.dscalar("x")
    if x > 0:
        return x


@case
def iteration(*_):
    a = sg.dvector("a")
    for v in a:
        return v


@case
def membership(*_):
    a = sg.dvector("a")
    return 3.0 in a


@case
def assignment(*_):
    a = sg.dvector("a")
    a[1:] = 0


@case
def comparison(*_):
    a = sg.dvector("a")
    return a == 3


@case
def a_number_wanted(*_):
    a = sg.dvector("a")
    return range(a.shape[0])


@case
def a_float_wanted(*_):
    a = sg.dvector("a")
    return float(a.sum())


@case
def a_length_wanted(*_):
    a = sg.dvector("a")
    return len(a)

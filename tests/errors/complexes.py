"""What has no meaning on complex values."""

import numpy as np

import symgraph as sg
from tests.errors import case


@case
def order_of_complex(*_):
    z = sg.cvector("z")
    return sg.maximum(z, 0)


@case
def float_that_does_not_fit_complex(*_):
    z = sg.cvector("z")
    return z * 1e300


@case
def complex_that_does_not_fit(*_):
    x = sg.fvector("x")
    return x + (1 - 1e300j)


@case
def reduction_of_complex(*_):
    z = sg.cvector("z")
    return z.argmax()


@case
def complex_cast_to_real(*_):
    z = sg.zvector("z")
    return z.astype("float64")


@case
def complex_cost(*_):
    z = sg.zvector("z")
    return sg.grad((z * z).sum(), z)


@case
def complex_argument_of_real(backend, _):
    x = sg.fvector("x")
    return sg.function([x], x, backend=backend)(np.ones(2, "complex64"))

"""Complex numbers: their parts, conjugates and angles, and how they are made of two real ones.

What other ops mean on complex operands is said in ``symgraph.complexes``. Of a function of a complex variable the
gradient is dC/dRe + i dC/dIm, as in Theano and PyTorch: a step against it lowers the cost C. A holomorphic f passes on
conj(f'(z)) * g.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph.coercion import as_variable, common_dtype, convert
from symgraph.expression import Expr
from symgraph.graph import Variable
from symgraph.kinds import Elementwise
from symgraph.op import Attrs, attach, attach_property
from symgraph.ops.creation import zeros_like
from symgraph.ops.elementwise import add, sqr
from symgraph.ops.transcendental import arctan2
from symgraph.parts import joined
from symgraph.types import TensorType, canonical, complex_of, is_complex, is_float, real_of

__all__ = ["real", "imag", "conj", "angle", "complex"]


class OnComplex(Elementwise):
    """An op of complex numbers, which on real ones is another function or nothing."""

    def __init__(
        self, name: str, on_real: Callable[[Variable], Variable], reference: Callable[..., object], doc: str
    ) -> None:
        super().__init__(name, lambda x: x, 1, reference=reference, doc=doc)
        self.on_real = on_real

    def __call__(self, *xs: Any) -> Any:
        if len(xs) != 1 or isinstance(xs[0], Expr):
            return super().__call__(*xs)
        v = as_variable(xs[0])
        return super().__call__(v) if is_complex(v.dtype) else self.on_real(v)


def _of_complex(
    name: str, on_real: Callable[[Variable], Variable], reference: Callable[..., object], line: str, result: str
) -> OnComplex:
    doc = (
        f"{line}\n\nParameters\n----------\nx : Variable or array_like, any dtype\n\n"
        f"Returns\n-------\nVariable, {result}, of the same shape.\n"
    )
    op = OnComplex(name, on_real, reference, doc)
    op.register()
    return op


def _angle_of_real(x: Variable) -> Variable:
    found: Variable = arctan2(zeros_like(x), x)
    return found


PART = "the float dtype of the parts"
real = _of_complex("real", lambda x: x, np.real, "The real part; a real ``x`` itself.", PART)
imag = _of_complex("imag", zeros_like, np.imag, "The imaginary part; 0 of a real ``x``.", PART)
conj = _of_complex("conj", lambda x: x, np.conj, "The conjugate re - i*im; a real ``x`` itself.", "same dtype")
angle = _of_complex(
    "angle", _angle_of_real, np.angle, "The angle of x in [-pi, pi], of a real x 0 or pi; integers become floatX.", PART
)


class Complex(Elementwise):
    """complex(re, im)."""

    def prepare(self, xs: Sequence[object]) -> list[Variable]:
        """Both parts as floats of one dtype, float16 as float32."""
        dtype = common_dtype(xs)
        if is_complex(dtype):
            self._reject(dtype, xs, "give two real numbers")
        wide = real_of(complex_of(dtype if is_float(dtype) else canonical("floatX")))
        return [convert(x, wide) for x in xs]

    def infer(self, inputs: Sequence[Variable], attrs: Attrs) -> Sequence[TensorType]:
        return [TensorType(complex_of(inputs[0].dtype), self._broadcast(inputs))]


complex = Complex(
    "complex", lambda re, im: re, 2, reference=joined,
    doc="""re + i*im.

    Parameters
    ----------
    re, im : Variable or array_like, float (integers become floatX); they broadcast and meet in one dtype

    Returns
    -------
    Variable, complex64 or complex128, of the broadcast shape.

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If one is complex itself.
    """,
)  # fmt: skip
complex.register()

attach_property("real", real)
attach_property("imag", imag)
attach("conj", conj)
attach("conjugate", conj)


def squared_magnitude(x: Any) -> Any:
    """x*x, of complex numbers |x|**2."""
    return add(sqr(real(x)), sqr(imag(x))) if is_complex(x.dtype) else sqr(x)

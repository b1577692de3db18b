"""Elementwise arithmetic: operators, comparisons, bits, rounding, choice, cast.

A function that is a scalar primitive is declared by ``primitive``; any other by its body. Where a gradient is left out
it follows from the body.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph import expression
from symgraph.coercion import as_variable, common_dtype, convert
from symgraph.errors import DTypeError, layout
from symgraph.expression import Expr
from symgraph.formula import Compute, Operand, compute
from symgraph.graph import Apply, Constant, Variable, apply, constant, describe, label
from symgraph.kinds import Elementwise, elementwise, primitive
from symgraph.op import OPS, PRIMITIVES, Arrays, Attrs, GradResult, Precondition, attach
from symgraph.origin import here_excerpt
from symgraph.types import SIGNED, SIZES, TensorType, canonical, is_float, is_integer

__all__ = [
    "add", "sub", "mul", "true_div", "int_div", "mod", "pow", "neg", "inv", "sqr", "identity",
    "lt", "le", "gt", "ge", "eq", "neq", "isnan", "isinf", "isclose",
    "and_", "or_", "xor", "invert", "left_shift", "right_shift",
    "abs", "absolute", "sgn", "floor", "ceil", "trunc", "copysign",
    "maximum", "minimum", "clip", "switch", "cast",
]  # fmt: skip


def documented(line: str, arity: int = 1, takes: str = "any dtype", gives: str = "") -> str:
    """The docstring of an elementwise op: ``line``, then what it takes and gives."""
    broadcast = "ShapeError\n    If the shapes do not broadcast.\n" if arity > 1 else ""
    result = gives or ("the common dtype" if arity > 1 else "same dtype")
    names = ", ".join(("x", "y", "z")[:arity])
    many = "; they broadcast and meet in one dtype" if arity > 1 else ""
    return (
        f"{line}\n\nParameters\n----------\n{names} : Variable or array_like, {takes}{many}\n\n"
        f"Returns\n-------\nVariable, {result}, of the {'broadcast' if arity > 1 else 'same'} shape.\n\n"
        f"Raises\n------\n{broadcast}DTypeError\n    If the dtype is not one of those.\n"
    )


NUMBERS = "float or integer"
FLOAT = "float (integers become floatX)"
COMPLEX_NUMBERS = "float, complex or integer"
COMPLEX_FLOAT = "float or complex (integers become floatX)"


def zero_gradient(g: Any, x: Any, y: Any) -> GradResult:
    """The gradient of a step function: zero, whatever comes in."""
    return [switch(constant(False), g, 0)]


# ------------------------------------------------------------------------------------------------ arithmetic

add = primitive(
    "add", takes="common", commutes=True, doc=documented("x + y; ``or`` for bools.", 2),
    grad=lambda g, x, y, out: [g, g],
)  # fmt: skip
sub = primitive(
    "sub", takes="common", doc=documented("x - y.", 2, COMPLEX_NUMBERS), grad=lambda g, x, y, out: [g, neg(g)]
)
mul = primitive(
    "mul", takes="common", commutes=True, doc=documented("x * y; ``and`` for bools.", 2),
    grad=lambda g, x, y, out: [g * y, g * x],
)  # fmt: skip
true_div = primitive(
    "div", "true_div", doc=documented("x / y; integers are divided in floatX.", 2, COMPLEX_FLOAT),
    grad=lambda g, x, y, out: [g / y, -(g * (out / y))],
)  # fmt: skip
int_div = primitive(
    "floordiv", "int_div", takes="common",
    doc=documented("floor(x / y), with Python's signs; an integer divided by zero gives 0.", 2, NUMBERS),
    grad=lambda g, x, y, out: [switch(constant(False), g, 0)] * 2,
)  # fmt: skip
mod = primitive(
    "mod", takes="common",
    doc=documented("x - y*floor(x / y): the sign of y; an integer modulo zero gives 0.", 2, NUMBERS),
    grad=lambda g, x, y, out: [g, -(g * int_div(x, y))],
)  # fmt: skip
neg: Elementwise = primitive(
    "neg", takes="common", doc=documented("-x.", 1, COMPLEX_NUMBERS), grad=lambda g, x, y: [neg(g)]
)
sub.mend = "for bools use {x} ^ {y} or {x} & ~{y}; or cast first: {x}.astype('int64')"
neg.mend = "for bools use ~{x}; or cast first: {x}.astype('int64')"


@elementwise(grad=lambda g, x, y: [-(g * y * y)], reference=np.reciprocal)
def inv(x: Any) -> Any:
    """1 / x; integers become floatX. The inverse of a matrix is ``linalg.inv``."""
    return 1 / x


@elementwise(takes="common", grad=lambda g, x, y: [g * (2 * x)], reference=np.square)
def sqr(x: Any) -> Any:
    """x * x."""
    return x * x


@elementwise(takes="common", grad=lambda g, x, y: [g], reference=np.positive)
def identity(x: Any) -> Any:
    """x."""
    return x


# ------------------------------------------------------------------------------------------------ powers


class Power(Elementwise):
    """pow: integers by squaring, so that they wrap as a product does; negative powers of integers are refused."""

    def __call__(self, *xs: Any) -> Any:
        if len(xs) == 2 and not any(isinstance(x, Expr) for x in xs):
            dtype, exponent = common_dtype(xs), xs[1] if isinstance(xs[1], Variable) else as_variable(xs[1])
            if is_integer(dtype) and isinstance(exponent, Constant):
                _refuse_negative(xs[0], exponent)
                if exponent.ndim == 0 and int(exponent) <= 64:
                    return _by_squaring(convert(as_variable(xs[0]), dtype), int(exponent))
        return super().__call__(*xs)

    def preconditions(self, node: Apply) -> Sequence[Precondition]:
        exponent = node.inputs[1]
        if exponent.dtype not in SIGNED or isinstance(exponent, Constant):
            return ()
        ok = apply(OPS["all"], [ge(exponent, 0)], {"axis": tuple(range(exponent.ndim)), "keepdims": False})
        message = "an integer has no negative integer power"
        return (Precondition(ok.outputs[0], message, "cast one of them to a float first", DTypeError),)


def _refuse_negative(x: object, exponent: Constant) -> None:
    if (exponent.data < 0).any():
        details = [describe(v) for v in (x, exponent) if isinstance(v, Variable)]
        raise DTypeError(
            layout(f"pow({label(as_variable(x))}, {label(exponent)}): an integer has no negative integer power",
                   details, here_excerpt(), "cast the base to a float first, or write 1 / x**n")
        )  # fmt: skip


def _by_squaring(x: Variable, n: int) -> Variable:
    """x**n by products: the order of NumPy's loop, and exact modulo the width."""
    result: Variable | None = None
    while n:
        if n & 1:
            result = x if result is None else mul(result, x)
        n >>= 1
        x = mul(x, x) if n else x
    return add(mul(x, 0), 1) if result is None else result


def _power(x: Expr, y: Expr) -> Expr:
    dtype = x.dtype if isinstance(x, Expr) else y.dtype
    if not is_integer(dtype):
        return expression.power(x, y)
    result, square = expression.const(1, dtype), x
    for bit in range(8 * SIZES[dtype] - (dtype in SIGNED)):
        result = expression.select(expression.eq(y & (1 << bit), 0), result, result * square)
        square = square * square
    return result


def _power_grad(g: Any, x: Any, y: Any, out: Any) -> GradResult:
    return [_power_by_base(g, x, y), None if isinstance(y, Constant) else _power_by_exponent(g, x, y, out)]


def _power_by_base(g: Any, x: Any, n: Any) -> Any:
    """g * n * x**(n - 1); 0 for n = 0, where x**-1 may be infinite."""
    if not isinstance(n, Constant) or n.ndim:
        return switch(eq(n, 0), 0, g * (n * pow(x, n - 1)))
    match n.data.item():
        case 0.0:
            return zero_gradient(g, x, None)[0]
        case 1.0:
            return g
        case 2.0:
            return g * (n * x)
        case exact:
            return g * (n * pow(x, constant(exact - 1, n.dtype)))


def _power_by_exponent(g: Any, x: Any, n: Any, out: Any) -> Any:
    """g * x**n * log(x); 0 at x = 0 for n >= 0, as it is for every n > 0."""
    return switch(eq(x, 0) & (n >= 0), 0, g * (out * OPS["log"](x)))  # type: ignore[operator]


pow = Power(
    "pow", _power, 2, takes="common", grad=_power_grad, reference=expression.PRIMS["pow"].numpy,
    doc=documented("x ** y, with 0 ** 0 = 1; integers have no negative powers.", 2, COMPLEX_NUMBERS),
)  # fmt: skip
pow.mend = "cast first: {x}.astype('int64')"
pow.register()
PRIMITIVES["pow"] = pow

# ------------------------------------------------------------------------------------------------ comparisons

lt = primitive("lt", takes="common", doc=documented("Whether x < y.", 2, gives="bool"))
le = primitive("le", takes="common", doc=documented("Whether x <= y.", 2, gives="bool"))
eq = primitive("eq", takes="common", commutes=True, doc=documented("Whether x and y are equal.", 2, gives="bool"))
neq = primitive("ne", "neq", takes="common", commutes=True, doc=documented("Whether x and y differ.", 2, gives="bool"))


@elementwise(takes="common", reference=np.greater)
def gt(x: Any, y: Any) -> Any:
    """Whether x > y: bool, of the broadcast shape."""
    return x > y


@elementwise(takes="common", reference=np.greater_equal)
def ge(x: Any, y: Any) -> Any:
    """Whether x >= y: bool, of the broadcast shape."""
    return x >= y


@elementwise(reference=np.isnan)
def isnan(x: Any) -> Any:
    """Whether x is a NaN: bool, of the same shape."""
    return expression.isnan(x)


@elementwise(reference=np.isinf)
def isinf(x: Any) -> Any:
    """Whether x is inf or -inf: bool, of the same shape."""
    return expression.eq(expression.absolute(x), float("inf"))


@elementwise(name="isclose", reference=np.isclose)
def _isclose(a: Any, b: Any, rtol: Any, atol: Any) -> Any:
    """Whether |a - b| <= atol + rtol*|b|, or both are the same infinity."""
    size = expression.absolute(b)
    near = expression.absolute(a - b) <= atol + rtol * size
    return expression.eq(a, b) | ((size < float("inf")) & near)


def isclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> Variable:
    """Whether |a - b| <= atol + rtol*|b|, as NumPy's isclose has it.

    Parameters
    ----------
    a, b : Variable or array_like
    rtol, atol : float
        Relative and absolute tolerance.
    equal_nan : bool
        Whether two NaNs are close.

    Returns
    -------
    Variable, bool, of the broadcast shape.
    """
    close: Variable = _isclose(a, b, rtol, atol)
    return or_(close, and_(isnan(a), isnan(b))) if equal_nan else close


# ------------------------------------------------------------------------------------------------ bits

_BITS = "integer or bool"
and_ = primitive("and", "and_", takes="bits", commutes=True, doc=documented("x & y, bit by bit.", 2, _BITS))
or_ = primitive("or", "or_", takes="bits", commutes=True, doc=documented("x | y, bit by bit.", 2, _BITS))
xor = primitive("xor", takes="bits", commutes=True, doc=documented("x ^ y, bit by bit.", 2, _BITS))
invert = primitive("not", "invert", takes="bits", doc=documented("~x, bit by bit.", 1, _BITS))
left_shift = primitive("shl", "left_shift", takes="bits", doc=documented("x * 2**y, bits lost.", 2, "integer"))
right_shift = primitive("shr", "right_shift", takes="bits", doc=documented("floor(x / 2**y).", 2, "integer"))

# ------------------------------------------------------------------------------------------------ sign, rounding


@elementwise(takes="common", reference=np.sign, grad=zero_gradient)
def sgn(x: Any) -> Any:
    """-1, 0 or 1 by the sign of x; a NaN stays a NaN."""
    return expression.sign(x)


absolute: Elementwise = primitive(
    "abs", takes="common",
    doc=documented("|x|; its gradient at 0 is 0.", 1, COMPLEX_NUMBERS, "same dtype, that of the parts of complex x"),
    grad=lambda g, x, y: [g * sgn(x)],
)  # fmt: skip
copysign: Elementwise = primitive(
    "copysign", doc=documented("|x| with the sign of y.", 2, FLOAT),
    grad=lambda g, x, y, out: [g * (sgn(x) * copysign(1, y)), switch(constant(False), g, 0)],
)  # fmt: skip


def _rounding(prim: str, name: str, line: str) -> Elementwise:
    """A step function; integers are what they are."""

    def body(x: Any) -> Expr:
        return expression.apply(prim, x) if is_float(x.dtype) else x

    op = Elementwise(
        name, body, 1, grad=zero_gradient, reference=expression.PRIMS[prim].numpy, doc=documented(line, 1, NUMBERS)
    )
    op.register()
    PRIMITIVES[prim] = op
    return op


floor = _rounding("floor", "floor", "The greatest integer not above x.")
ceil = _rounding("ceil", "ceil", "The least integer not below x.")
trunc = _rounding("trunc", "trunc", "x without its fraction.")
round = _rounding("rint", "round", "The nearest integer, half to even.")

# ------------------------------------------------------------------------------------------------ choice


def is_constant(v: Variable) -> bool:
    """Whether ``v`` is a constant, perhaps cast, broadcast or reshaped."""
    while v.owner is not None:
        data = v.owner.op.operands(v.owner)
        if len(data) != 1 and v.owner.op.name != "broadcast_like":
            return False
        v = data[0]
    return isinstance(v, Constant)


def _choice_grad(g: Any, x: Any, y: Any, x_wins: Any, y_wins: Any) -> GradResult:
    """The winner takes it all; at a tie two variables take half each, and a constant takes it from a variable."""
    if is_constant(y):
        return [switch(x_wins, g, 0), None]
    if is_constant(x):
        return [None, switch(y_wins, g, 0)]
    tied = switch(eq(x, y), g * 0.5, 0)
    return [switch(x_wins, g, tied), switch(y_wins, g, tied)]


maximum: Elementwise = primitive(
    "maximum", takes="common", commutes=True, reference=np.maximum,
    doc=documented("The greater of x and y, NaN if one is. A constant wins a tie for the gradient.", 2),
    grad=lambda g, x, y, out: _choice_grad(g, x, y, y < x, x < y),
)  # fmt: skip
minimum: Elementwise = primitive(
    "minimum", takes="common", commutes=True, reference=np.minimum,
    doc=documented("The lesser of x and y, NaN if one is. A constant wins a tie for the gradient.", 2),
    grad=lambda g, x, y, out: _choice_grad(g, x, y, x < y, y < x),
)  # fmt: skip


@elementwise(
    name="clip", takes="common", reference=np.clip,
    grad=lambda g, x, low, high, y: [
        switch((low <= x) & (x <= high), g, 0), switch(x < low, g, 0), switch((high < x) & (low <= x), g, 0)
    ],
)  # fmt: skip
def _clip(x: Any, low: Any, high: Any) -> Any:
    """x brought into [low, high]; the gradient by x is 1 on both edges."""
    return expression.minimum(expression.maximum(x, low), high)


def clip(x: Any, low: Any = None, high: Any = None) -> Variable:
    """x brought into [low, high]; its gradient is 1 inside and on both edges, 0 outside.

    Parameters
    ----------
    x : Variable or array_like
    low, high : Variable or array_like, optional
        None leaves that side open.

    Returns
    -------
    Variable, the common dtype, of the broadcast shape.
    """
    if low is None or high is None:
        one_sided: Variable = as_variable(x) if low is None else maximum(x, low)
        return one_sided if high is None else minimum(one_sided, high)
    return _clip(x, low, high)  # type: ignore[no-any-return]


switch: Elementwise = primitive(
    "select", "switch", takes="first bool",
    grad=lambda g, c, x, y, out: [None, switch(c, g, 0), switch(c, 0, g)],
    doc="""x where ``cond``, else y; nothing of the branch not taken comes through, in value or gradient.

    Parameters
    ----------
    cond : Variable or array_like, bool (numbers are compared with zero)
    x, y : Variable or array_like; all broadcast, x and y meet in one dtype

    Returns
    -------
    Variable, the common dtype of x and y, of the broadcast shape.
    """,
)  # fmt: skip


# ------------------------------------------------------------------------------------------------ cast


class Cast(Elementwise):
    """cast: an elementwise op whose dtype is an attribute."""

    def __init__(self) -> None:
        super().__init__("cast", lambda x: x, 1, takes="common", doc="x converted as NumPy's astype does.")

    def __call__(self, *xs: Any, dtype: str = "") -> Any:
        (x,) = xs
        return expression.cast(x, dtype) if isinstance(x, Expr) else apply(self, [x], {"dtype": dtype}).outputs[0]

    def infer(self, inputs: Sequence[Variable], attrs: Attrs) -> Sequence[TensorType]:
        return [TensorType(attrs["dtype"], inputs[0].type.shape)]

    def define(self, node: Apply) -> Compute:
        x = Operand(0, node.inputs[0].type)
        return compute(x.shape, lambda *at: expression.cast(x[at], node.attrs["dtype"]))

    def reference(self, node: Apply, arrays: Arrays) -> Sequence[np.ndarray]:
        with np.errstate(all="ignore"):
            return [arrays[0].astype(node.attrs["dtype"])]

    def grad(self, node: Apply, cotangents: Sequence[Variable | None]) -> GradResult:
        (g,), (x,) = cotangents, node.inputs
        return [cast(g, x.dtype) if is_float(x.dtype) and is_float(node.attrs["dtype"]) else None]


_cast = Cast()
_cast.register()


def cast(x: Any, dtype: Any) -> Variable:
    """x converted to ``dtype`` as NumPy's astype does; the gradient is converted back.

    Parameters
    ----------
    x : Variable or array_like
    dtype : str or NumPy dtype
        "floatX" for the default float.

    Returns
    -------
    Variable, ``dtype``, of the same shape.

    Raises
    ------
    DTypeError
        If there is no such dtype.
    """
    return convert(as_variable(x), canonical(dtype))


# ------------------------------------------------------------------------------------------------ operators


def _reflected(op: Elementwise) -> Any:
    def swapped(x: Any, y: Any) -> Any:
        return op(y, x)

    swapped.__doc__ = op.doc
    return swapped


_OPERATORS = {
    "add": add, "sub": sub, "mul": mul, "truediv": true_div, "floordiv": int_div, "mod": mod, "pow": pow, "and": and_,
    "or": or_, "xor": xor, "lshift": left_shift, "rshift": right_shift,
}  # fmt: skip
for _name, _op in _OPERATORS.items():
    attach(f"__{_name}__", _op)
    attach(f"__r{_name}__", _reflected(_op))
for _name, _op in {"lt": lt, "le": le, "gt": gt, "ge": ge, "neg": neg, "abs": absolute, "invert": invert}.items():
    attach(f"__{_name}__", _op)
for _name, _op in {"pow": pow, "floordiv": int_div, "mod": mod}.items():
    attach(f"__r{_name}__", _reflected(_op), to=Expr)
for _name, _op in {"pow": pow, "abs": absolute, "pos": identity}.items():
    attach(f"__{_name}__", _op, to=Expr)
attach("__pos__", identity)
attach("astype", cast)
attach("clip", clip)


def _divmod(x: Any, y: Any) -> tuple[Variable, Variable]:
    """(x // y, x % y)."""
    return int_div(x, y), mod(x, y)


def _rdivmod(x: Any, y: Any) -> tuple[Variable, Variable]:
    """(y // x, y % x)."""
    return _divmod(y, x)


attach("__divmod__", _divmod)
attach("__rdivmod__", _rdivmod)

abs = absolute

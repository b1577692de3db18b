"""How CUDA C spells types, constants and the basic primitives.

``SPELL`` has a row for each primitive and kind of element: f float, i signed, u unsigned, b bool. A spelling gets the
term and the operands' texts. Meanings are those of ``expression.PRIMS``; what takes more than an operator is a function
of ``PRELUDE``, the text that stands before all kernels.

A float16 in a register is its bits, an ``unsigned short``: ``codegen.numerics`` leaves it nothing but to be stored,
chosen and converted. Integers wrap, so their arithmetic is done on unsigned numbers, except on indices that are known
to stay within 32 bits: these are of type int.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from codegen.kernel import KernelError
from symgraph.expression import Expr
from symgraph.types import SIZES, UNSIGNED, is_float

Spelling = Callable[[Expr, Sequence[str]], str]

PRELUDE = (Path(__file__).parent / "prelude.cuh").read_text()

TYPES = {
    "bool": "bool", "int8": "signed char", "int16": "short", "int32": "int", "int64": "long long",
    "uint8": "unsigned char", "uint16": "unsigned short", "uint32": "unsigned int", "uint64": "unsigned long long",
    "float16": "unsigned short", "float32": "float", "float64": "double",
}  # fmt: skip
_BITS = {
    "float16": ("uint16", ""), "float32": ("uint32", "__uint_as_float"), "float64": ("int64", "__longlong_as_double"),
}  # fmt: skip


def literal(value: object, dtype: str) -> str:
    """A constant as C writes it; in brackets where an operator could tear it apart."""
    if dtype == "bool":
        return "true" if value else "false"
    if is_float(dtype):
        return _float(float(value), dtype)  # type: ignore[arg-type]
    number = int(value)  # type: ignore[call-overload]
    if dtype in ("int32", "int64") and -(2**31) < number < 2**31:  # of type int, as indices are
        return _bracketed(str(number))
    return f"({TYPES[dtype]}){number % 2**64:#x}ull"


def _float(value: float, dtype: str) -> str:
    bits, function = _BITS[dtype]
    if dtype != "float16" and math.isfinite(value) and (value or math.copysign(1, value) > 0):
        return _bracketed(repr(value) + ("f" if dtype == "float32" else ""))
    with np.errstate(over="ignore"):
        raw = int(np.dtype(dtype).type(value).view(f"u{SIZES[dtype]}"))
    return f"{function}(({TYPES[bits]}){raw:#x}ull)"


def _bracketed(text: str) -> str:
    return f"({text})" if text.startswith("-") else text


def kind(dtype: str) -> str:
    """The column of the table: f, i, u or b."""
    if is_float(dtype):
        return "f"
    return "b" if dtype == "bool" else "u" if dtype in UNSIGNED else "i"


def spell(e: Expr, args: Sequence[str]) -> str:
    """The primitive at the root of ``e`` on the texts of its operands."""
    operand = e.args[-1].dtype
    row = SPELL.get(e.prim, {}).get(kind(operand))
    if row is None:
        raise KernelError(f"{e.prim} of {operand} has no spelling")
    return row(e, args)


# ------------------------------------------------------------------------------------------------ spellings


def _infix(op: str) -> Spelling:
    return lambda e, a: f"{a[0]} {op} {a[1]}"


def _prefix(op: str) -> Spelling:
    return lambda e, a: f"{op}{a[0]}"


def _call(name: str) -> Spelling:
    return lambda e, a: f"{name}({', '.join(a)})"


def _math(name: str) -> Spelling:
    """A function of C's library that is one instruction, or exact: its single form ends in f."""
    return lambda e, a: f"{name}{'f' if e.dtype == 'float32' else ''}({', '.join(a)})"


def _unsigned(dtype: str) -> str:
    return "unsigned long long" if SIZES[dtype] == 8 else "unsigned int"


def _wrapping(op: str) -> Spelling:
    def write(e: Expr, a: Sequence[str]) -> str:
        u = _unsigned(e.dtype)
        return f"({TYPES[e.dtype]})(({u}){a[0]} {op} ({u}){a[1]})"

    return write


def _negate(e: Expr, a: Sequence[str]) -> str:
    return f"({TYPES[e.dtype]})(0 - ({_unsigned(e.dtype)}){a[0]})"


def _function(name: str) -> Spelling:
    """A function template of the prelude."""
    return lambda e, a: f"{name}<{TYPES[e.args[0].dtype]}>({', '.join(a)})"


def _divide(op: str, total: str) -> Spelling:
    """C's operator where the divisor is known not to trap, else the function that is 0 for 0 and wraps for -1."""

    def write(e: Expr, a: Sequence[str]) -> str:
        divisor = e.args[1]
        safe = divisor.prim == "const" and divisor.value not in (0, -1)
        return f"{a[0]} {op} {a[1]}" if safe else f"{total}<{TYPES[e.dtype]}>({a[0]}, {a[1]})"

    return write


def _cast(e: Expr, a: Sequence[str]) -> str:
    source, target = e.args[0].dtype, e.dtype
    if target == "bool":
        return f"{a[0]} != 0"
    if "float16" in (source, target):
        return f"{'half_to_float' if source == 'float16' else 'float_to_half'}({a[0]})"
    if not is_float(source) or is_float(target) or target in ("int32", "int64", "uint64"):
        return f"({TYPES[target]}){a[0]}"
    # small and unsigned integers wrap, as NumPy's do
    return f"({TYPES[target]})({'long long' if target == 'uint32' else 'int'}){a[0]}"


_AS = {
    ("float32", "int32"): "__float_as_int", ("float32", "uint32"): "__float_as_uint",
    ("int32", "float32"): "__int_as_float", ("uint32", "float32"): "__uint_as_float",
    ("float64", "int64"): "__double_as_longlong", ("float64", "uint64"): "__double_as_longlong",
    ("int64", "float64"): "__longlong_as_double", ("uint64", "float64"): "__longlong_as_double",
}  # fmt: skip


def _bitcast(e: Expr, a: Sequence[str]) -> str:
    function = _AS.get((e.args[0].dtype, e.dtype), "")
    return f"({TYPES[e.dtype]}){function}({a[0]})"


def _integral(signed: Spelling, unsigned: Spelling | None = None) -> dict[str, Spelling]:
    return {"i": signed, "u": unsigned or signed}


def _all(spelling: Spelling) -> dict[str, Spelling]:
    return dict.fromkeys("fiub", spelling)


def _bits(op: str) -> dict[str, Spelling]:
    return dict.fromkeys("iub", lambda e, a: f"({TYPES[e.dtype]})({a[0]} {op} {a[1]})")


SPELL: dict[str, dict[str, Spelling]] = {
    "add": {"f": _infix("+"), **_integral(_wrapping("+")), "b": _infix("||")},
    "sub": {"f": _infix("-"), **_integral(_wrapping("-"))},
    "mul": {"f": _infix("*"), **_integral(_wrapping("*")), "b": _infix("&&")},
    "div": {"f": _infix("/")},
    "neg": {"f": _prefix("-"), **_integral(_negate)},
    "abs": {"f": _math("fabs"), **_integral(lambda e, a: f"{a[0]} < 0 ? {_negate(e, a)} : {a[0]}", lambda e, a: a[0])},
    "maximum": {"f": _function("maximum"), **_integral(_function("maximum")), "b": _infix("||")},
    "minimum": {"f": _function("minimum"), **_integral(_function("minimum")), "b": _infix("&&")},
    "fma": {"f": _math("fma")},
    "sqrt": {"f": _math("sqrt")},
    "floor": {"f": _math("floor")},
    "ceil": {"f": _math("ceil")},
    "trunc": {"f": _math("trunc")},
    "rint": {"f": _math("rint")},
    "copysign": {"f": _math("copysign")},
    "quot": _integral(_divide("/", "quotient")),
    "rem": _integral(_divide("%", "remainder_of")),
    "and": _bits("&"),
    "or": _bits("|"),
    "xor": _bits("^"),
    "not": {**_integral(lambda e, a: f"({TYPES[e.dtype]})~{a[0]}"), "b": _prefix("!")},
    "shl": _integral(_function("shift_left")),
    "shr": _integral(_function("shift_right")),
    "lt": _all(_infix("<")),
    "within": _integral(_infix("<")),
    "le": _all(_infix("<=")),
    "eq": _all(_infix("==")),
    "ne": _all(_infix("!=")),
    "select": _all(lambda e, a: f"{a[0]} ? {a[1]} : {a[2]}"),
    "cast": _all(_cast),
    "bitcast": {"f": _bitcast, **_integral(_bitcast)},
}

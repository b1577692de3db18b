"""A graph's real value: every op in mpmath, with precision enough for what cancels or is tiny."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mpmath
import numpy as np

from symgraph import expression
from symgraph.expression import Expr
from symgraph.graph import Apply, Constant, Variable, toposort
from symgraph.host import Host
from symgraph.kinds import Declared, Elementwise
from symgraph.rewrite import expand_composites
from symgraph.types import is_float

mp = mpmath.mp
Rounded = Callable[[np.ndarray, Variable, Sequence[np.ndarray]], np.ndarray]


def real(f: Callable[..., Any]) -> Callable[..., Any]:
    """NaN where ``f`` has no real value."""

    def safe(*args: Any) -> Any:
        try:
            y = f(*args)
        except (ValueError, ZeroDivisionError, OverflowError):
            return mpmath.nan
        return y if isinstance(y, bool | mpmath.mpf) else mpmath.nan

    return safe


def _divide(a: Any, b: Any) -> Any:
    if b == 0:
        return mpmath.nan if a == 0 or mpmath.isnan(a) else mpmath.inf * mpmath.sign(a)
    return a / b


def _log(x: Any) -> Any:
    return -mpmath.inf if x == 0 else mpmath.log(x)


def _copysign(a: Any, b: Any) -> Any:
    return -abs(a) if b < 0 else abs(a)


def _mod(a: Any, b: Any) -> Any:
    """Of the sign of ``b``, as NumPy has it."""
    if b == 0 or not mpmath.isfinite(a):
        return mpmath.nan
    return a - b * mpmath.floor(a / b) if mpmath.isfinite(b) else a if a * b >= 0 else b


def _step(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: f(x) if mpmath.isfinite(x) else x


BEYOND = mpmath.mpf(2) ** 1100
"""Larger than any float: of powers like it mpmath would write down the exponent for ever."""


def _grows(f: Callable[[Any], Any], below: Any) -> Callable[[Any], Any]:
    """``f``, infinite above ``BEYOND``, and ``below`` on the other side."""
    return lambda x: f(x) if not abs(x) > BEYOND else mpmath.inf if x > 0 else below


def _no_finer(f: Callable[[Any], Any], bits: int) -> Callable[[Any], Any]:
    """``f`` in at most so many bits: in more it would take minutes."""

    def rounded(x: Any) -> Any:
        with mpmath.workprec(min(mp.prec, bits)):
            return f(x)

    return rounded


def _power(x: Any, y: Any) -> Any:
    """x ** y; of a large y by exp, for mpmath multiplies as often as it has bits."""
    if not (mpmath.isfinite(x) and mpmath.isfinite(y) and x > 0 and abs(y) > 2**64):
        return mpmath.power(x, y)
    with mpmath.workprec(mp.prec + mpmath.mag(y)):
        return PRIMS["exp"](y * mpmath.log(x))


def _erf(x: Any) -> Any:
    """The error function by 2x/sqrt(pi) * exp(-x²) times the sum of (2x²)^n / (2n + 1)!!, whose terms are positive.

    The n-th term is in column n mod m, so that only 2m products are of long numbers.

    References
    ----------
    Smith (1989), "Efficient multiple-precision evaluation of elementary functions", Math. Comp. 52.
    """
    size = min(float(abs(x)), 1e300)
    if size > (0.7 * mp.prec) ** 0.5:
        return mpmath.sign(x)
    if not size > 2.0**-20:
        return mpmath.erf(x)
    m = int((mp.prec + 3 * size * size) ** 0.5 / 2) + 1
    bits = mp.prec + 40 + int(m * max(0, 2 * math.log2(size) + 1))
    square = int(mpmath.ldexp(2 * x * x, bits))
    whole = functools.reduce(lambda power, _: power * square >> bits, range(m), 1 << bits)
    columns, term, n = [0] * m, 1 << bits, 0
    while term:
        columns[n % m] += term
        n += 1
        term //= 2 * n + 1
        if n % m == 0:
            term = term * whole >> bits
    total = functools.reduce(lambda s, column: (s * square >> bits) + column, reversed(columns))
    return 2 * x / mpmath.sqrt(mpmath.pi) * mpmath.exp(-x * x) * mpmath.ldexp(mpmath.mpf(total), -bits)


def _erfc(x: Any) -> Any:
    """1 - erf, in so many more bits as it loses; the asymptotic series where that has as many."""
    if not 0 < x < (0.7 * mp.prec) ** 0.5:
        return mpmath.erfc(x) if x > 0 else 1 - _erf(x)
    with mpmath.workprec(mp.prec + 20 + int(1.45 * float(x * x) + 4 * float(x))):
        return 1 - _erf(x)


def _select(cond: bool, a: Any, b: Any) -> Any:
    return a if cond else b


PRIMS: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "div": _divide,
    "neg": lambda a: -a, "abs": abs, "sqrt": mpmath.sqrt, "exp": _grows(mpmath.exp, 0 * BEYOND), "log": _log,
    "expm1": _grows(lambda x: mpmath.exp(x) - 1, -1 + 0 * BEYOND), "log1p": lambda x: _log(1 + x), "tanh": mpmath.tanh,
    "sinh": _grows(mpmath.sinh, -mpmath.inf), "cosh": _grows(mpmath.cosh, mpmath.inf),
    "cbrt": lambda a: mpmath.sign(a) * mpmath.cbrt(abs(a)),
    "sin": mpmath.sin, "cos": mpmath.cos, "pow": _power, "erf": _no_finer(_erf, 6000),
    "erfc": _no_finer(_erfc, 6000), "maximum": lambda a, b: a if a > b or a != a else b,
    "minimum": lambda a, b: a if a < b or a != a else b, "select": _select, "rare": _select,
    "lt": lambda a, b: bool(a < b), "le": lambda a, b: bool(a <= b), "eq": lambda a, b: bool(a == b),
    "ne": lambda a, b: bool(a != b), "and": lambda a, b: a and b, "or": lambda a, b: a or b, "not": lambda a: not a,
    "xor": lambda a, b: a ^ b,
    "fma": lambda a, b, c: a * b + c, "cast": lambda x: x if isinstance(x, bool) else mpmath.mpf(x),
    "gamma": _no_finer(_grows(mpmath.gamma, mpmath.nan), 2000), "digamma": _no_finer(mpmath.digamma, 2000),
    "gammaln": _no_finer(lambda x: mpmath.log(abs(mpmath.gamma(x))), 2000),
    "floor": _step(mpmath.floor), "ceil": _step(mpmath.ceil), "rint": _step(mpmath.nint),
    "trunc": _step(lambda x: mpmath.sign(x) * mpmath.floor(abs(x))), "copysign": _copysign,
    "exp2": _grows(lambda x: mpmath.power(2, x), 0 * BEYOND), "log2": lambda x: _log(x) / mpmath.log(2),
    "log10": lambda x: _log(x) / mpmath.log(10), "tan": mpmath.tan, "arcsin": mpmath.asin, "arccos": mpmath.acos,
    "arctan": mpmath.atan, "arctan2": mpmath.atan2, "arcsinh": mpmath.asinh, "arccosh": mpmath.acosh,
    "arctanh": mpmath.atanh, "floordiv": lambda a, b: _step(mpmath.floor)(_divide(a, b)),
    "mod": _mod,
}  # fmt: skip


GREATEST = {"max", "min", "max_pool"}
"""Ops that give one of the numbers they compare."""


def value(
    outputs: Sequence[Variable], values: Mapping[Variable, np.ndarray],
    rounded: Rounded = lambda a, v, arrays: a,
) -> list[np.ndarray]:  # fmt: skip
    """The values of ``outputs`` as arrays of mpmath numbers, in the working precision.

    ``rounded`` may change what an op makes of arrays for a variable.
    """
    memo = {v: lifted(a) for v, a in values.items()}
    bodies = expand_composites(outputs)
    for node in toposort(bodies, memo):
        arrays = [_of(v, memo) for v in node.inputs]
        made = zip(node.outputs, _apply(node, arrays), strict=True)
        memo.update((v, rounded(a, v, arrays)) for v, a in made)
    return [_of(v, memo) for v in bodies]


def lifted(a: np.ndarray) -> np.ndarray:
    """An array of floats as one of mpmath numbers; others as they are."""
    if a.dtype.kind != "f":
        return a
    return np.frompyfunc(lambda x: mpmath.mpf(float(x)), 1, 1)(np.asarray(a, "object")) if a.ndim else _cell(a)


def _cell(a: np.ndarray) -> np.ndarray:
    return _scalar(mpmath.mpf(float(a)))


def _scalar(x: Any) -> np.ndarray:
    cell = np.empty((), "object")
    cell[()] = x
    return cell


def _of(v: Variable, memo: Mapping[Variable, np.ndarray]) -> np.ndarray:
    return lifted(v.data) if isinstance(v, Constant) and v not in memo else memo[v]


def _apply(node: Apply, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    if not any(is_float(v.dtype) for v in node.inputs):
        return [lifted(a) for a in node.op.reference(node, arrays)]
    if node.op.name == "cast":
        return [_cast(arrays[0], node.outputs[0].dtype)]
    if isinstance(node.op, Elementwise):
        body = node.op.expr(tuple(v.dtype for v in node.inputs))
        return [_map(body, arrays)]
    if node.op.name in GREATEST:
        return [_greatest(node, arrays)]
    if node.op.name == "sum":
        return [np.asarray(np.sum(arrays[0], **node.attrs), "object")]
    if node.op.name == "sum_to":
        return [_sum_to(*arrays)]
    if isinstance(node.op, Host) and not all(is_float(v.dtype) for v in node.inputs):
        # a draw from a state has no formula: it is the number that is drawn
        given = [a.astype(v.dtype) for a, v in zip(arrays, node.inputs, strict=True)]
        return [lifted(a) for a in node.op.reference(node, given)]
    assert isinstance(node.op, Declared)
    found = node.op.numpy(*arrays, **node.attrs)  # the reference itself rounds to the node's dtype
    return [np.asarray(a) for a in (found if isinstance(found, tuple) else (found,))]


def _greatest(node: Apply, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """The greatest or least of some numbers, NaN where one of them is: no comparison of objects says that."""
    assert isinstance(node.op, Declared)
    known = [np.where(a != a, np.nan, 0.0) if a.dtype == object else a for a in arrays]
    unknown, found = (np.asarray(node.op.numpy(*given, **node.attrs)) for given in (known, arrays))
    return np.asarray(np.frompyfunc(_select, 3, 1)(np.isnan(unknown), mpmath.nan, found), "object")


def _cast(a: np.ndarray, dtype: str) -> np.ndarray:
    """Real numbers as floats are themselves; as integers they lose their fraction, and what has none is what NumPy
    makes of it."""
    if is_float(dtype):
        return np.asarray(np.frompyfunc(mpmath.mpf, 1, 1)(a), "object")
    if a.dtype != object or dtype == "bool":
        return a.astype(dtype)
    least, largest = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    fits = np.frompyfunc(lambda x: int(x) if mpmath.isfinite(x) and least <= x <= largest else least, 1, 1)
    return np.asarray(fits(a)).astype(dtype)


def _sum_to(g: np.ndarray, like: np.ndarray) -> np.ndarray:
    lead = g.ndim - like.ndim
    total = np.sum(g, axis=tuple(range(lead)))
    ones = tuple(k for k, n in enumerate(like.shape) if n == 1)
    return np.asarray(np.sum(total, axis=ones, keepdims=True), "object")


def _map(body: Expr, arrays: Sequence[np.ndarray]) -> np.ndarray:
    def at(*elements: Any) -> Any:
        memo: dict[Expr, Any] = {}
        for e in expression.toposort([body]):
            memo[e] = _term(e, memo, elements)
        return memo[body]

    return np.asarray(np.frompyfunc(at, len(arrays), 1)(*arrays), "object")


def _term(e: Expr, memo: Mapping[Expr, Any], elements: Sequence[Any]) -> Any:
    if e.prim == "load":
        return elements[e.value]  # type: ignore[index]
    if e.prim == "const":
        return e.value if isinstance(e.value, bool) else mpmath.mpf(e.value)
    return real(PRIMS[e.prim])(*[memo[a] for a in e.args])

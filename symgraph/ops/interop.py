"""NumPy's own functions on variables: ``np.exp(x)``, ``np.ones(2) * x``, ``np.concatenate([x, a])`` build graphs.

A NumPy function means the public function of the same name; ``RENAMED`` lists those that are called otherwise here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from symgraph.errors import layout
from symgraph.expression import Expr
from symgraph.graph import Variable, describe
from symgraph.op import attach
from symgraph.origin import here_excerpt

RENAMED = {
    "subtract": "sub", "multiply": "mul", "divide": "true_div", "floor_divide": "int_div", "remainder": "mod",
    "power": "pow", "float_power": "pow", "negative": "neg", "positive": "identity", "square": "sqr",
    "reciprocal": "inv", "sign": "sgn", "rint": "round", "fix": "trunc",
    "less": "lt", "less_equal": "le", "greater": "gt", "greater_equal": "ge", "equal": "eq", "not_equal": "neq",
    "bitwise_and": "and_", "bitwise_or": "or_", "bitwise_xor": "xor", "logical_and": "and_", "logical_or": "or_",
    "logical_xor": "xor", "logical_not": "invert", "bitwise_not": "invert",
    "fabs": "absolute", "radians": "deg2rad", "degrees": "rad2deg", "amax": "max", "amin": "min",
    "conjugate": "conj", "around": "round", "astype": "cast", "cumulative_sum": "cumsum", "cumulative_prod": "cumprod",
}  # fmt: skip
"""NumPy's name -> ours."""

PUBLIC: dict[str, Callable[..., Any]] = {}
"""The public functions by name, gathered by ``publish``."""


def publish(functions: Mapping[str, Callable[..., Any]]) -> None:
    """Let NumPy's functions of these names act on variables."""
    PUBLIC.update(functions)


def _array_ufunc(self: Any, ufunc: Any, method: str, *inputs: Any, out: Any = None, **kwargs: Any) -> Any:
    name = str(ufunc.__name__)
    if out is not None or method != "__call__" or kwargs:
        what = "out=" if out is not None else f".{method}" if method != "__call__" else f"{next(iter(kwargs))}="
        raise TypeError(_refused(f"np.{name}", f"with {what} has no symbolic form", inputs, _plain(name)))
    return _called(name, inputs, {})


def _array(self: Variable, *args: Any, **kwargs: Any) -> Any:
    mend = "join variables with symgraph.stack([x, y]), or compute the value: x.eval({...})"
    raise TypeError(_refused("np.array", "needs values, and a variable has none yet", [self], mend))


def _array_function(
    self: Variable, function: Any, types: Iterable[type], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    return _called(_qualified(function), args, kwargs)


def _qualified(function: Any) -> str:
    """``sum`` for numpy.sum, ``linalg.inv`` for numpy.linalg.inv: the same word may mean another thing there."""
    return f"{function.__module__}.{function.__name__}".removeprefix("numpy.")


def _called(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    ours = PUBLIC.get(RENAMED.get(name, name))
    if ours is None:
        raise TypeError(_refused(f"np.{name}", "is not known to symgraph", args, _plain(name)))
    return ours(*args, **kwargs)


def _plain(name: str) -> str:
    ours = RENAMED.get(name, name)
    if ours in PUBLIC:
        return f"write symgraph.{ours}(...) without it"
    return "write it with symgraph's own functions, or declare it with @symgraph.elementwise"


def _refused(what: str, why: str, args: Sequence[Any], mend: str) -> str:
    return layout(f"{what} {why}", [describe(v) for v in args if isinstance(v, Variable)], here_excerpt(), mend)


attach("__array_ufunc__", _array_ufunc)
attach("__array_ufunc__", _array_ufunc, to=Expr)
attach("__array_function__", _array_function)
attach("__array__", _array)

"""Arithmetic of extents: Python ints where all is known, int64 scalar variables where it is not.

Extents are folded as they are built, so that the graph of a model whose shapes are known holds none of this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from symgraph.coercion import integer_scalar, size_variable
from symgraph.errors import ShapeError, layout
from symgraph.graph import Constant, Variable, describe, in_code, label
from symgraph.op import PRIMITIVES
from symgraph.origin import here_excerpt

Size = int | Variable
Combine = Callable[[Size, Size], Size]

__all__: list[str] = []


def size(n: object) -> Size:
    """An extent given by a user or a graph: an int if its value is known, else an int64 scalar variable."""
    v = size_variable(n)
    return int(v.data) if isinstance(v, Constant) else v


def variables(sizes: Sequence[object]) -> list[Variable]:
    """Extents as int64 scalar variables, to be inputs of a node."""
    return [size_variable(n) for n in sizes]


def known(v: Variable) -> int | None:
    """The value of a scalar variable if it is a constant; unlike an extent it may be negative."""
    return int(v.data) if isinstance(v, Constant) else None


def _combine(prim: str, exact: Callable[[int, int], int]) -> Combine:
    def build(a: Size, b: Size) -> Size:
        if isinstance(a, int) and isinstance(b, int):
            return exact(a, b)
        return size(PRIMITIVES[prim](size_variable(a), size_variable(b)))

    return build


_add, _sub, _mul = (
    _combine("add", lambda a, b: a + b),
    _combine("sub", lambda a, b: a - b),
    _combine("mul", lambda a, b: a * b),
)
_floordiv = _combine("floordiv", lambda a, b: a // b)
maximum, minimum = _combine("maximum", max), _combine("minimum", min)


def _is(a: Size, n: int) -> bool:
    return isinstance(a, int) and a == n


def add(a: Size, b: Size) -> Size:
    """a + b."""
    return b if _is(a, 0) else a if _is(b, 0) else _add(a, b)


def sub(a: Size, b: Size) -> Size:
    """a - b."""
    return a if _is(b, 0) else 0 if a is b else _sub(a, b)


def mul(a: Size, b: Size) -> Size:
    """a * b."""
    return b if _is(a, 1) else a if _is(b, 1) else _mul(a, b)


def floordiv(a: Size, b: Size) -> Size:
    """a // b."""
    return a if _is(b, 1) else _floordiv(a, b)


def select(cond: Variable, a: Size, b: Size) -> Size:
    """``a`` where ``cond`` else ``b``."""
    return size(PRIMITIVES["select"](cond, size_variable(a), size_variable(b)))


def product(sizes: Sequence[Size]) -> Size:
    """The product of extents: the number of elements."""
    total: Size = 1
    for n in sizes:
        total = mul(total, n)
    return total


def total(sizes: Sequence[Size]) -> Size:
    """The sum of extents."""
    found: Size = 0
    for n in sizes:
        found = add(found, n)
    return found


def same(a: Sequence[Size], b: Sequence[Size]) -> bool:
    """Whether two shapes are plainly the same."""
    if len(a) != len(b):
        return False
    return all(n is m or (isinstance(n, int) and isinstance(m, int) and n == m) for n, m in zip(a, b, strict=True))


def _check_rank(shape: Variable, name: str) -> None:
    """Raise ShapeError where nobody knows how many extents a shape has."""
    if shape.type.shape[0] is None:
        n = in_code(shape, "n")
        raise ShapeError(
            layout(f"{name}: the shape {label(shape)} has an unknown number of extents", [describe(shape)],
                   here_excerpt(), f"give them one by one, ({n}[0], {n}[1]); or declare how many {n} holds")
        )  # fmt: skip


def sizes_of(shape: object, name: str, *, least: int = 0) -> tuple[Size, ...]:
    """A shape as a user may write it: an int, a scalar variable, a sequence of these, or an integer vector.

    Raises
    ------
    DTypeError
        If an extent is no integer scalar.
    ShapeError
        If a known extent is below ``least``, or nobody knows how many there are.
    """
    if isinstance(shape, np.ndarray):
        shape = shape.tolist()
    if isinstance(shape, Variable) and shape.ndim == 1:
        _check_rank(shape, name)
        shape = shape.data.tolist() if isinstance(shape, Constant) else list(shape)
    many: Sequence[object] = shape if isinstance(shape, tuple | list) else (shape,)
    sizes = tuple(size(integer_scalar(n, f"{name}: an extent")) for n in many)
    for n in sizes:
        if isinstance(n, int) and n < least:
            text = ", ".join(str(m) if isinstance(m, int) else "?" for m in sizes)
            raise ShapeError(
                layout(f"{name}: the extent {n} in the shape ({text}) is negative", [], here_excerpt(),
                       "every extent must be 0 or more")
            )  # fmt: skip
    return sizes

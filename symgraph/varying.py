"""Extents that vary from call to call: a program takes their lengths at run time, up to a capacity.

A ``Varying`` stands in the shape of a type where an int stands otherwise. It is no number: what asks it for one gets a
``VaryingError``, so that nothing takes the capacity for the length, and it equals itself alone. What needs a number of
its size (storage, costs) asks for ``capacity``; its value in a graph is ``length``.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NoReturn, cast

from symgraph.expression import INDEX, Expr, const, load
from symgraph.graph import Constant, Variable, toposort
from symgraph.types import TensorType

STEPS = 32


class VaryingError(Exception):
    """Something that a program cannot take at run time: it is compiled for the extents themselves instead.

    No ``TypeError``: who expects one of what is no number (NumPy, too) would take it for that.
    """


class Varying:
    """An extent of ``least``, 2 or more, to ``capacity``, the same for all of one program.

    Attributes
    ----------
    number : int
        Tells the varying extents of a program apart.
    least, capacity : int
    length : Length
        Its value: an int64 scalar.
    """

    __slots__ = ("capacity", "least", "length", "number")

    def __init__(self, number: int, capacity: int, least: int) -> None:
        self.number, self.capacity, self.least = number, capacity, least
        self.length = Length(self)

    def __repr__(self) -> str:
        return f"n{self.number}<={self.capacity}"

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        """What Python and NumPy ask of a number."""
        raise VaryingError(f"{self!r} has no number before a call")

    __add__ = __sub__ = __mul__ = __truediv__ = __floordiv__ = __mod__ = __divmod__ = __pow__ = _refuse
    __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __rdivmod__ = __rpow__ = _refuse
    __and__ = __or__ = __xor__ = __lshift__ = __rshift__ = _refuse
    __rand__ = __ror__ = __rxor__ = __rlshift__ = __rrshift__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __neg__ = __pos__ = __abs__ = __invert__ = __round__ = _refuse
    __int__ = __float__ = __index__ = __array__ = _refuse


class Length(Variable):
    """The value of a varying extent, an input of the program."""

    __slots__ = ("extent",)

    def __init__(self, extent: Varying) -> None:
        super().__init__(TensorType("int64", ()), name=f"n{extent.number}")
        self.extent, self.origin = extent, None


def varying(number: int, capacity: int, least: int = 2) -> int:
    """A ``Varying``, as what stands in a shape."""
    return cast(int, Varying(number, capacity, least))


def as_varying(n: object) -> Varying | None:
    """An extent that varies; None for a number."""
    return n if isinstance(n, Varying) else None


def capacity(n: int) -> int:
    """The most that an extent can be."""
    extent = as_varying(n)
    return n if extent is None else extent.capacity


def fixed(n: int | None) -> int | None:
    """An extent that is a number; None for one that varies, or is not known."""
    return None if as_varying(n) else n


def term(n: int) -> Expr:
    """An extent in a formula: a constant, or a load of the length by its name."""
    extent = as_varying(n)
    return const(n, INDEX) if extent is None else load(str(extent.length.name), (), INDEX)


Product = tuple[int, tuple[Varying, ...]]
"""A number of elements: a factor and the extents that vary, by number."""


def product(shape: Sequence[int]) -> Product:
    """How many elements a shape has."""
    known = prod(n for n in shape if as_varying(n) is None)
    return known, tuple(sorted(filter(None, map(as_varying, shape)), key=lambda n: n.number))


def product_of(v: Variable) -> Product | None:
    """The value of an int64 scalar that is a product of constants and lengths, if it is worked out in a few steps."""
    if not _is_of_lengths(v):
        return None
    known: dict[Variable, Product | None] = {}
    for node in toposort([v]):
        parts = [p for u in node.inputs if (p := _leaf(u) or known.get(u))]
        whole = len(parts) == len(node.inputs)
        known[node.outputs[0]] = _COMBINED[node.op.name](*parts) if whole else None
    return _leaf(v) or known.get(v)


def _leaf(v: Variable) -> Product | None:
    if isinstance(v, Length):
        return 1, (v.extent,)
    return (int(v.data), ()) if isinstance(v, Constant) and not v.ndim else None


def _is_of_lengths(v: Variable) -> bool:
    """Whether ``v`` is made of constants and lengths alone, by at most ``STEPS`` combinations."""
    waiting, seen = [v], {v}
    while waiting:
        u = waiting.pop()
        if u.owner is not None and u.owner.op.name in _COMBINED and len(seen) <= STEPS:
            new = [i for i in u.owner.inputs if i not in seen]
            seen.update(new)
            waiting += new
        elif _leaf(u) is None:
            return False
    return True


def _times(a: Product, b: Product) -> Product:
    return a[0] * b[0], tuple(sorted((*a[1], *b[1]), key=lambda n: n.number))


def _difference(a: Product, b: Product) -> Product | None:
    """Of products of the same lengths."""
    if a[0] and b[0] and a[1] != b[1]:
        return None
    return (a[0] - b[0], a[1] if a[0] else b[1]) if a[0] != b[0] else (0, ())


def _quotient(a: Product, b: Product) -> Product | None:
    left = list(a[1])
    if b[0] < 1 or a[0] % b[0] or any(b[1].count(n) > left.count(n) for n in b[1]):
        return None
    for n in b[1]:
        left.remove(n)
    return a[0] // b[0], tuple(left)


def _greater(a: Product, b: Product) -> Product | None:
    """The maximum of a product and a number that it cannot be below."""
    return a if a[0] >= max(b[0], 1) and not b[1] else None


_COMBINED = {"mul": _times, "sub": _difference, "int_div": _quotient, "maximum": _greater}


def as_open(t: TensorType) -> TensorType:
    """A type with None for the extents that vary: as far as it is known before a call."""
    return TensorType(t.dtype, tuple(None if as_varying(n) else n for n in t.shape))

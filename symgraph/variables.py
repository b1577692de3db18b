"""Making variables: ``matrix("x")``, ``tensor("x", "float32", (None, 784))``, ``shared(array)``.

Names are Theano's: a prefix letter fixes the dtype (b int8, w int16, i int32, l int64, f float32, d float64), without
one it is floatX.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from symgraph.errors import DTypeError
from symgraph.graph import SharedVariable, Variable, storage
from symgraph.types import TensorType, canonical, tensor_type, weak_dtype

__all__ = ["make_constructors", "shared", "tensor"]

RANKS: dict[str, tuple[int | None, ...]] = {
    "scalar": (), "vector": (None,), "row": (1, None), "col": (None, 1), "matrix": (None, None),
    "tensor3": (None,) * 3, "tensor4": (None,) * 4, "tensor5": (None,) * 5,
}  # fmt: skip
PREFIXES = {"b": "int8", "w": "int16", "i": "int32", "l": "int64", "f": "float32", "d": "float64"}
PLURALS = {"matrix": "matrices"}


def tensor(name: str | None = None, dtype: object = "floatX", shape: Iterable[int | None] = ()) -> Variable:
    """A symbolic input.

    Parameters
    ----------
    name : str, optional
    dtype : str
        Default: floatX, as configured now.
    shape : tuple
        Extents; None for one that each call decides.
    """
    if name is not None and not isinstance(name, str):
        raise DTypeError(f"tensor: the name is {name!r}; it must be a string (dtype and shape come after it)")
    return Variable(tensor_type(dtype, shape), name=name)


def shared(
    value: object, name: str | None = None, *, dtype: object = None, shape: Sequence[int | None] | None = None,
    borrow: bool = False,
) -> SharedVariable:  # fmt: skip
    """A variable with a value of its own, kept between calls.

    Parameters
    ----------
    value : array_like
        The first value.
    name : str, optional
    dtype : str, optional
        Default: that of the value; floatX for Python floats.
    shape : tuple, optional
        Extents of the type; None for one that ``set_value`` may change. Default: those of the value.
    borrow : bool
        Keep the array itself instead of a copy, where it is contiguous and of the right dtype.
    """
    weak = isinstance(value, bool | int | float) and not isinstance(value, np.generic)
    chosen = canonical(dtype) if dtype is not None else weak_dtype(value, None) if weak else None  # type: ignore[arg-type]
    given = np.asarray(value, chosen)
    extents = given.shape if shape is None else shape
    type = TensorType(canonical(given.dtype), tuple(extents))
    return SharedVariable(storage(given, type, name or "shared", borrow), type, name)


def _constructor(kind: str, dtype: str | None) -> Callable[..., Variable]:
    def make(name: str | None = None, dtype: object = dtype or "floatX") -> Variable:
        return tensor(name, dtype, RANKS[kind])

    make.__doc__ = f"A symbolic {kind}: {dtype or 'floatX'}, {len(RANKS[kind])} axes."
    return make


def _plural(one: Callable[..., Variable], kind: str) -> Callable[..., list[Variable]]:
    def make(*names: str | int) -> list[Variable]:
        if len(names) == 1 and isinstance(names[0], int):
            return [one() for _ in range(names[0])]
        words = names[0].split() if len(names) == 1 else names  # type: ignore[union-attr]
        return [one(name) for name in words]

    make.__doc__ = f"Several of ``{kind}``: by names (``('a', 'b')`` or ``('a b')``) or by number."
    return make


def make_constructors() -> dict[str, Callable[..., object]]:
    """Every constructor by its public name: ``matrix``, ``fmatrix``, ``matrices``, ``fmatrices`` and so on."""
    made: dict[str, Callable[..., object]] = {}
    for kind in RANKS:
        for prefix, dtype in [("", None), *PREFIXES.items()]:
            one = _constructor(kind, dtype)
            many = prefix + PLURALS.get(kind, kind + "s")
            one.__name__ = one.__qualname__ = prefix + kind
            made[prefix + kind] = one
            made[many] = _plural(one, prefix + kind)
    return made

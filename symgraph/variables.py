"""Making variables: ``matrix("x")``, ``tensor("x", "float32", (None, 784))``, ``shared(array)``.

Names are Theano's: a prefix letter fixes the dtype (b int8, w int16, i int32, l int64, f float32, d float64,
c complex64, z complex128), without one it is floatX.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from symgraph.errors import DTypeError, layout
from symgraph.graph import Variable
from symgraph.origin import here_excerpt
from symgraph.parts import shared_variable
from symgraph.shared_variable import SharedVariable
from symgraph.types import (
    COMPLEX,
    DTYPES,
    TensorType,
    as_array,
    canonical,
    check_unmasked,
    is_tensor,
    storage,
    tensor_type,
    weak_dtype,
)

__all__ = [
    "shared", "tensor",
    "scalar", "vector", "row", "col", "matrix", "tensor3", "tensor4", "tensor5",
    "scalars", "vectors", "rows", "cols", "matrices", "tensor3s", "tensor4s", "tensor5s",
    "bscalar", "bvector", "brow", "bcol", "bmatrix", "btensor3", "btensor4", "btensor5",
    "bscalars", "bvectors", "brows", "bcols", "bmatrices", "btensor3s", "btensor4s", "btensor5s",
    "wscalar", "wvector", "wrow", "wcol", "wmatrix", "wtensor3", "wtensor4", "wtensor5",
    "wscalars", "wvectors", "wrows", "wcols", "wmatrices", "wtensor3s", "wtensor4s", "wtensor5s",
    "iscalar", "ivector", "irow", "icol", "imatrix", "itensor3", "itensor4", "itensor5",
    "iscalars", "ivectors", "irows", "icols", "imatrices", "itensor3s", "itensor4s", "itensor5s",
    "lscalar", "lvector", "lrow", "lcol", "lmatrix", "ltensor3", "ltensor4", "ltensor5",
    "lscalars", "lvectors", "lrows", "lcols", "lmatrices", "ltensor3s", "ltensor4s", "ltensor5s",
    "fscalar", "fvector", "frow", "fcol", "fmatrix", "ftensor3", "ftensor4", "ftensor5",
    "fscalars", "fvectors", "frows", "fcols", "fmatrices", "ftensor3s", "ftensor4s", "ftensor5s",
    "dscalar", "dvector", "drow", "dcol", "dmatrix", "dtensor3", "dtensor4", "dtensor5",
    "dscalars", "dvectors", "drows", "dcols", "dmatrices", "dtensor3s", "dtensor4s", "dtensor5s",
    "cscalar", "cvector", "crow", "ccol", "cmatrix", "ctensor3", "ctensor4", "ctensor5",
    "cscalars", "cvectors", "crows", "ccols", "cmatrices", "ctensor3s", "ctensor4s", "ctensor5s",
    "zscalar", "zvector", "zrow", "zcol", "zmatrix", "ztensor3", "ztensor4", "ztensor5",
    "zscalars", "zvectors", "zrows", "zcols", "zmatrices", "ztensor3s", "ztensor4s", "ztensor5s",
]  # fmt: skip

RANKS: dict[str, tuple[int | None, ...]] = {
    "scalar": (), "vector": (None,), "row": (1, None), "col": (None, 1), "matrix": (None, None),
    "tensor3": (None,) * 3, "tensor4": (None,) * 4, "tensor5": (None,) * 5,
}  # fmt: skip
PREFIXES = {
    "": "floatX", "b": "int8", "w": "int16", "i": "int32", "l": "int64", "f": "float32", "d": "float64",
    "c": "complex64", "z": "complex128",
}  # fmt: skip


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
    weak = isinstance(value, bool | int | float | complex) and not isinstance(value, np.generic)
    chosen = canonical(dtype) if dtype is not None else weak_dtype(value, None) if weak else None  # type: ignore[arg-type]
    check_unmasked(value)
    plain = as_array(value) if is_tensor(value) else value
    try:
        with np.errstate(over="ignore"):
            given = np.asarray(plain, chosen)
        stored = canonical(given.dtype)
    except (TypeError, ValueError, OverflowError):
        raise DTypeError(
            layout(f"shared: {value!r:.60} cannot become an array of numbers", [], here_excerpt(),
                   f"give a number or an array; dtypes are {', '.join(DTYPES + COMPLEX)}")
        ) from None  # fmt: skip
    extents = given.shape if shape is None else shape
    type = TensorType(stored, tuple(extents))
    return shared_variable(storage(given, type, name or "shared", borrow), type, name)


Constructor = Callable[..., Variable]
Plural = Callable[..., list[Variable]]


def _constructors(prefix: str) -> list[Constructor]:
    """One for each of ``RANKS``, of the dtype of ``prefix``."""
    return [_constructor(prefix, kind) for kind in RANKS]


def _constructor(prefix: str, kind: str) -> Constructor:
    default, shape = PREFIXES[prefix], RANKS[kind]

    def make(name: str | None = None, dtype: object = default) -> Variable:
        return tensor(name, dtype, shape)

    make.__name__ = make.__qualname__ = prefix + kind
    make.__doc__ = f"A symbolic {kind}: {default}, {len(shape)} axes."
    return make


def _plurals(ones: Sequence[Constructor]) -> list[Plural]:
    return [_plural(one) for one in ones]


def _plural(one: Constructor) -> Plural:
    def make(*names: str | int, **dtype: object) -> list[Variable]:
        if len(names) == 1 and isinstance(names[0], int):
            return [one(**dtype) for _ in range(names[0])]
        words = names[0].split() if len(names) == 1 else names  # type: ignore[union-attr]
        return [one(name, **dtype) for name in words]

    make.__name__ = make.__qualname__ = one.__name__.replace("matrix", "matrice") + "s"
    make.__doc__ = (
        f"Several of ``{one.__name__}``: by names (``('a', 'b')`` or ``('a b')``) or by number; "
        f"``dtype`` is that of each."
    )
    return make


scalar, vector, row, col, matrix, tensor3, tensor4, tensor5 = _constructors("")
(
    scalars, vectors, rows, cols, matrices, tensor3s, tensor4s, tensor5s,
) = _plurals([scalar, vector, row, col, matrix, tensor3, tensor4, tensor5])  # fmt: skip
bscalar, bvector, brow, bcol, bmatrix, btensor3, btensor4, btensor5 = _constructors("b")
(
    bscalars, bvectors, brows, bcols, bmatrices, btensor3s, btensor4s, btensor5s,
) = _plurals([bscalar, bvector, brow, bcol, bmatrix, btensor3, btensor4, btensor5])  # fmt: skip
wscalar, wvector, wrow, wcol, wmatrix, wtensor3, wtensor4, wtensor5 = _constructors("w")
(
    wscalars, wvectors, wrows, wcols, wmatrices, wtensor3s, wtensor4s, wtensor5s,
) = _plurals([wscalar, wvector, wrow, wcol, wmatrix, wtensor3, wtensor4, wtensor5])  # fmt: skip
iscalar, ivector, irow, icol, imatrix, itensor3, itensor4, itensor5 = _constructors("i")
(
    iscalars, ivectors, irows, icols, imatrices, itensor3s, itensor4s, itensor5s,
) = _plurals([iscalar, ivector, irow, icol, imatrix, itensor3, itensor4, itensor5])  # fmt: skip
lscalar, lvector, lrow, lcol, lmatrix, ltensor3, ltensor4, ltensor5 = _constructors("l")
(
    lscalars, lvectors, lrows, lcols, lmatrices, ltensor3s, ltensor4s, ltensor5s,
) = _plurals([lscalar, lvector, lrow, lcol, lmatrix, ltensor3, ltensor4, ltensor5])  # fmt: skip
fscalar, fvector, frow, fcol, fmatrix, ftensor3, ftensor4, ftensor5 = _constructors("f")
(
    fscalars, fvectors, frows, fcols, fmatrices, ftensor3s, ftensor4s, ftensor5s,
) = _plurals([fscalar, fvector, frow, fcol, fmatrix, ftensor3, ftensor4, ftensor5])  # fmt: skip
dscalar, dvector, drow, dcol, dmatrix, dtensor3, dtensor4, dtensor5 = _constructors("d")
(
    dscalars, dvectors, drows, dcols, dmatrices, dtensor3s, dtensor4s, dtensor5s,
) = _plurals([dscalar, dvector, drow, dcol, dmatrix, dtensor3, dtensor4, dtensor5])  # fmt: skip
cscalar, cvector, crow, ccol, cmatrix, ctensor3, ctensor4, ctensor5 = _constructors("c")
(
    cscalars, cvectors, crows, ccols, cmatrices, ctensor3s, ctensor4s, ctensor5s,
) = _plurals([cscalar, cvector, crow, ccol, cmatrix, ctensor3, ctensor4, ctensor5])  # fmt: skip
zscalar, zvector, zrow, zcol, zmatrix, ztensor3, ztensor4, ztensor5 = _constructors("z")
(
    zscalars, zvectors, zrows, zcols, zmatrices, ztensor3s, ztensor4s, ztensor5s,
) = _plurals([zscalar, zvector, zrow, zcol, zmatrix, ztensor3, ztensor4, ztensor5])  # fmt: skip

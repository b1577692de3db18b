"""The exponential of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.graph import Variable
from symgraph.host import host
from symgraph.op import GradResult
from symgraph.ops import elementwise as ew
from symgraph.ops.factor import matrices, narrowed
from symgraph.ops.join import concatenate
from symgraph.ops.linalg import adjoint
from symgraph.ops.shape import extents

__all__ = ["expm"]

# The numerator of the [13/13] Pade approximant of exp, and the norm up to which it has full precision in float64:
# Higham (2005), "The scaling and squaring method for the matrix exponential revisited", table 2.3.
PADE = (
    64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600,
    670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1,
)  # fmt: skip
THETA = 5.371920351148152


def _of_matrix(x: np.ndarray) -> np.ndarray:
    """exp(x) = r(x / 2**s)**(2**s)."""
    size = np.abs(x).sum(0).max(initial=0)
    if not np.isfinite(size):
        return np.full_like(x, np.nan)
    s = max(0, int(np.ceil(np.log2(size / THETA)))) if size > THETA else 0
    x = x / 2.0**s
    unit = np.eye(len(x))
    x2 = x @ x
    x4 = x2 @ x2
    x6 = x2 @ x4
    c = PADE
    odd = x @ (
        x6 @ (c[13] * x6 + c[11] * x4 + c[9] * x2) + c[7] * x6 + c[5] * x4 + c[3] * x2 + c[1] * unit
    )
    even = x6 @ (c[12] * x6 + c[10] * x4 + c[8] * x2) + c[6] * x6 + c[4] * x4 + c[2] * x2 + c[0] * unit
    found: np.ndarray = np.linalg.solve(even - odd, even + odd)
    for _ in range(s):
        found = found @ found
    return found


def _expm_grad(
    given: Sequence[Variable | None], inputs: Sequence[Variable], outputs: Sequence[Variable]
) -> GradResult:
    """The corner of the exponential of a block matrix (Najfeld and Havel 1995)."""
    (g,), (x,) = given, inputs
    assert g is not None
    n, turned = extents(x)[-1], adjoint(x)
    top = concatenate([turned, g], axis=-1)
    bottom = concatenate([ew.mul(turned, 0), turned], axis=-1)
    return [_expm(concatenate([top, bottom], axis=-2))[0][..., :n, n:]]


@host(name="expm", infer=lambda x: [x.type], grad=_expm_grad)
def _expm(x: np.ndarray) -> np.ndarray:
    """The sum of x**k / k!, in double precision."""
    flat = x.reshape(-1, *x.shape[-2:]).astype(np.result_type(x, "float64"))
    return np.array([_of_matrix(m) for m in flat]).reshape(x.shape)


def expm(x: Any) -> Variable:
    """The matrix exponential, by scaling and squaring of a Pade approximant.

    Parameters
    ----------
    x : Variable, shape (..., n, n)

    Returns
    -------
    Variable, float or complex, shape of ``x``.

    Raises
    ------
    ShapeError
        If the matrices are not square.

    References
    ----------
    Higham (2005), SIAM J. Matrix Anal. Appl. 26(4).
    """
    return narrowed(_expm(matrices(x, "expm", square=True)), x)[0]

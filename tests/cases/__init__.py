"""What the generated tests draw for each op: one list of cases an op, gathered from the modules of this folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from symgraph.graph import Variable

Arrays = Sequence[np.ndarray]


@dataclass(frozen=True)
class Case:
    """One way to call an op.

    Attributes
    ----------
    build : callable
        Symbolic inputs -> output variable.
    draw : callable
        (random generator, float dtype) -> the arrays of the inputs, of drawn shapes.
    oracle : callable
        Arrays -> the output, by NumPy, SciPy or mpmath in float64; never the op's own body.
    differentiable : tuple of int
        Inputs by which the gradient is checked at the drawn points.
    ulp : float
        Units in the last place allowed against the oracle.
    linear : bool
        Whether the op sums products of its inputs: then ``ulp`` is of the sum of their magnitudes.
    normwise : bool
        Whether ``ulp`` is of the largest element: what factorisations promise.
    """

    build: Callable[..., Variable]
    draw: Callable[[np.random.Generator, str], Arrays]
    oracle: Callable[..., object]
    differentiable: tuple[int, ...] = ()
    ulp: float = 4.0
    linear: bool = False
    normwise: bool = False

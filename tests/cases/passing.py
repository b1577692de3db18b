"""Cases of the ops that pass their value through and change the gradient; their gradients are tested by hand."""

from __future__ import annotations

import numpy as np

from symgraph.op import OPS
from symgraph.ops.passing import Print, disconnected_grad, grad_clip, grad_scale, zero_grad
from tests.cases import Arrays, Case


def draw(rng: np.random.Generator, dtype: str) -> Arrays:
    return [rng.standard_normal([(), (3,), (2, 0), (2, 3)][rng.integers(4)]).astype(dtype)]


CASES = {
    "grad_clip": [Case(lambda x: grad_clip(x, -1.0, 1.0), draw, lambda x: x)],
    "grad_scale": [Case(lambda x: grad_scale(x, 1.0), draw, lambda x: x, (0,))],
    "zero_grad": [Case(zero_grad, draw, lambda x: x)],
    "print": [Case(lambda x: Print("x")(x), draw, lambda x: x, (0,))],
    "gradient_of": [Case(lambda x: OPS["gradient_of"](x, x, giver="op", by="x"), draw, lambda x: x, (0,))],
    "disconnected_grad": [Case(disconnected_grad, draw, lambda x: x)],
}

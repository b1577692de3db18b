"""Ops that are the identity in value but not in gradient: rules do not look through them."""

from __future__ import annotations

from typing import Any

from symgraph.graph import constant
from symgraph.op import elementwise
from symgraph.ops.elementwise import maximum, minimum, mul

__all__ = ["disconnected_grad", "grad_clip", "grad_scale", "zero_grad"]


@elementwise(grad=lambda g, x, low, high, y: [minimum(maximum(g, low), high), None, None], reference=lambda x, a, b: x)
def grad_clip(x: Any, low: Any, high: Any) -> Any:
    """``x``, whose gradient is clipped into [low, high] on the way back.

    Parameters
    ----------
    x : Variable, float
    low, high : float or Variable
        Bounds of each element of the gradient.
    """
    return x


@elementwise(grad=lambda g, x, factor, y: [mul(g, factor), None], reference=lambda x, factor: x)
def grad_scale(x: Any, factor: Any) -> Any:
    """``x``, whose gradient is multiplied by ``factor`` on the way back."""
    return x


@elementwise(grad=lambda g, x, y: [constant(0.0, g.dtype)], reference=lambda x: x)
def zero_grad(x: Any) -> Any:
    """``x``, with a gradient of zero: constant, but still connected."""
    return x


@elementwise(grad=lambda g, x, y: [None], reference=lambda x: x)
def disconnected_grad(x: Any) -> Any:
    """``x``, through which no gradient is defined: what lies before it is disconnected from the cost."""
    return x

"""Ops that are the identity in value and do something else: to the gradient, or on the screen.

Rules do not look through them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symgraph.coercion import as_variable
from symgraph.graph import Variable, constant
from symgraph.kinds import composite, elementwise
from symgraph.ops.elementwise import maximum, minimum, mul

__all__ = ["Print", "disconnected_grad", "grad_clip", "grad_scale", "zero_grad"]


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


@composite(name="print", reference=lambda x, message: x, grad=lambda g, x, y, message: [g])
def _print(x: Variable, message: str) -> Variable:
    """``x``; functions print its value."""
    return x


def Print(message: str = "") -> Callable[[Any], Variable]:
    """Make an identity that prints: ``y = Print("y")(y)``.

    Each call of a function whose results depend on it prints the message, the value, its dtype and shape on standard
    output, once the call has computed everything. Value and gradient pass unchanged.

    Parameters
    ----------
    message : str
        What to print before the value.

    Returns
    -------
    callable
        Variable -> Variable of the same type.
    """
    return lambda x: _print(as_variable(x), message=str(message))

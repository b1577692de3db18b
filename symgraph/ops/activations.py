"""Elementwise activations of networks. ``sigmoid``, ``softplus`` and ``log_sigmoid`` are in ``transcendental``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from symgraph import expression
from symgraph.coercion import as_variable
from symgraph.expression import select
from symgraph.graph import Constant, Variable
from symgraph.kinds import elementwise
from symgraph.ops.elementwise import absolute, add, mul, sqr, switch
from symgraph.ops.special import exp_neg_sqr
from symgraph.ops.transcendental import exp, expm1, logistic, sigmoid

__all__ = ["relu", "leaky_relu", "elu", "selu", "gelu", "silu", "hard_sigmoid", "softsign"]

ROOT_HALF = math.sqrt(0.5)

# ------------------------------------------------------------------------------------------------ rectifiers


@elementwise(
    name="relu", takes="common", grad=lambda g, x, y: [switch(x > 0, g, 0)],
    reference=lambda x: np.maximum(x, np.zeros_like(x)),
)  # fmt: skip
def _relu(x: Any) -> Any:
    """max(x, 0); its gradient at 0 is 0."""
    return expression.maximum(x, 0)


@elementwise(
    name="leaky_relu", reference=lambda x, slope: np.where(x > 0, x, slope * x),
    grad=lambda g, x, slope, y: [switch(x > 0, g, g * slope), switch(x > 0, 0, g * x)],
)  # fmt: skip
def _leaky_relu(x: Any, slope: Any) -> Any:
    """x where it is positive, else slope*x."""
    return select(x > 0, x, slope * x)


def relu(x: Any, alpha: Any = 0) -> Variable:
    """max(x, 0), or with ``alpha`` the leaky form: alpha*x where x is negative.

    Parameters
    ----------
    x : Variable or array_like, any dtype
    alpha : float or Variable
        Slope for negative x.

    Returns
    -------
    Variable, same dtype and shape. The gradient at 0 is ``alpha``.
    """
    slope = as_variable(alpha)
    if isinstance(slope, Constant) and slope.ndim == 0 and slope.data == 0:
        return _relu(x)  # type: ignore[no-any-return]
    return leaky_relu(x, alpha)


def leaky_relu(x: Any, alpha: Any = 0.01) -> Variable:
    """x where it is positive, else alpha*x; its gradient at 0 is ``alpha``.

    Parameters
    ----------
    x : Variable or array_like, float (integers become floatX)
    alpha : float or Variable

    Returns
    -------
    Variable, same dtype and shape.
    """
    return _leaky_relu(x, alpha)  # type: ignore[no-any-return]


# ------------------------------------------------------------------------------------------------ exponential units


@elementwise(
    name="elu", reference=lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
    grad=lambda g, x, alpha, y: [switch(x > 0, g, g * (alpha * exp(x))), switch(x > 0, 0, g * expm1(x))],
)  # fmt: skip
def _elu(x: Any, alpha: Any) -> Any:
    """x where it is positive, else alpha*(exp(x) - 1)."""
    return select(x > 0, x, alpha * expression.expm1(expression.minimum(x, 0)))


def elu(x: Any, alpha: Any = 1.0) -> Variable:
    """x where it is positive, else alpha*(exp(x) - 1).

    Parameters
    ----------
    x : Variable or array_like, float (integers become floatX)
    alpha : float or Variable

    Returns
    -------
    Variable, same dtype and shape. The gradient at 0 is ``alpha``.

    References
    ----------
    Clevert, Unterthiner, Hochreiter (2015), "Fast and accurate deep network learning by exponential linear units".
    """
    return _elu(x, alpha)  # type: ignore[no-any-return]


SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717


@elementwise(
    grad=lambda g, x, y: [g * switch(x > 0, SELU_SCALE, SELU_SCALE * SELU_ALPHA * exp(x))],
    reference=lambda x: np.where(x > 0, SELU_SCALE * x, SELU_SCALE * SELU_ALPHA * np.expm1(np.minimum(x, 0))),
)
def selu(x: Any) -> Any:
    """scale * elu(x, alpha), the self-normalising unit.

    References
    ----------
    Klambauer et al. (2017), "Self-normalizing neural networks": the constants keep mean 0 and variance 1.
    """
    negative = (SELU_SCALE * SELU_ALPHA) * expression.expm1(expression.minimum(x, 0))
    return select(x > 0, SELU_SCALE * x, negative)


# ------------------------------------------------------------------------------------------------ gated units


@elementwise(
    name="normal_cdf", grad=lambda g, x, y: [g * exp_neg_sqr(x * ROOT_HALF) * (ROOT_HALF / math.sqrt(math.pi))]
)
def _normal_cdf(x: Any) -> Any:
    """The normal distribution function."""
    return 0.5 * expression.erfc(-x * ROOT_HALF)


@elementwise(
    name="gelu",
    grad=lambda g, x, y: [g * (_normal_cdf(x) + x * exp_neg_sqr(x * ROOT_HALF) * (ROOT_HALF / math.sqrt(math.pi)))],
)
def _gelu(x: Any) -> Any:
    """x * Phi(x), Phi the normal distribution function; erfc keeps the left tail accurate."""
    return 0.5 * x * expression.erfc(-x * ROOT_HALF)


def gelu(x: Any, approximate: bool = False) -> Variable:
    """x * Phi(x), where Phi is the normal distribution function.

    Parameters
    ----------
    x : Variable or array_like, float (integers become floatX)
    approximate : bool
        Whether to take x * sigmoid(sqrt(8/pi) * (x + 0.044715*x**3)) instead, the form that uses tanh.

    Returns
    -------
    Variable, same dtype and shape.

    References
    ----------
    Hendrycks, Gimpel (2016), "Gaussian error linear units".
    """
    if not approximate:
        return _gelu(x)  # type: ignore[no-any-return]
    v = as_variable(x)
    inner = mul(add(mul(mul(v, sqr(v)), 0.044715), v), math.sqrt(8 / math.pi))
    return mul(v, sigmoid(inner))  # type: ignore[no-any-return]


@elementwise(grad=lambda g, x, y: [g * (sigmoid(x) * (1 + x * sigmoid(-x)))])
def silu(x: Any) -> Any:
    """x * sigmoid(x), also called swish.

    References
    ----------
    Elfwing, Uchibe, Doya (2017), "Sigmoid-weighted linear units".
    """
    return x * logistic(x)


# ------------------------------------------------------------------------------------------------ bounded units


@elementwise(
    grad=lambda g, x, y: [switch((x >= -2.5) & (x <= 2.5), g * 0.2, 0)],
    reference=lambda x: np.clip(x * np.asarray(0.2, x.dtype) + np.asarray(0.5, x.dtype), 0, 1),
)
def hard_sigmoid(x: Any) -> Any:
    """clip(0.2*x + 0.5, 0, 1), a sigmoid of straight lines."""
    return expression.minimum(expression.maximum(x * 0.2 + 0.5, 0), 1)


@elementwise(grad=lambda g, x, y: [g / sqr(1 + absolute(x))], reference=lambda x: x / (1 + np.abs(x)))
def softsign(x: Any) -> Any:
    """x / (1 + |x|)."""
    return x / (1 + expression.absolute(x))

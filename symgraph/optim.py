"""Update rules: each gives the pairs (shared variable, new value) that ``function(updates=...)`` takes.

The parameters' state (velocities, running averages) lives in shared variables of their own, made when the rule is
called, with the dtype and shape of the parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.coercion import convert
from symgraph.errors import ArgumentError, layout
from symgraph.gradient import grad
from symgraph.graph import Variable, describe, in_code, label
from symgraph.ops.complexes import squared_magnitude
from symgraph.ops.transcendental import sqrt
from symgraph.origin import here_excerpt
from symgraph.parts import part_type, shared_variable
from symgraph.shared_variable import SharedVariable
from symgraph.types import TensorType, real_of

__all__ = ["sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam"]


def __dir__() -> list[str]:
    """What completion shows: the public names."""
    return sorted(__all__)


Updates = list[tuple[SharedVariable, Variable]]
Rate = Any  # float, or a scalar variable, shared or not


def _gradients(cost: Variable, params: Sequence[SharedVariable]) -> list[tuple[SharedVariable, Any]]:
    if isinstance(params, Variable):
        raise ArgumentError(f"the parameters are one variable, {label(params)}\ngive a list: [{in_code(params)}]")
    for p in params:
        if not isinstance(p, SharedVariable):
            what = [describe(p)] if isinstance(p, Variable) else []
            name = label(p) if isinstance(p, Variable) else repr(p)
            raise ArgumentError(
                layout(f"the parameter {name} is not shared: there is nothing to update", what, here_excerpt(),
                       "make it with symgraph.shared(value)")
            )  # fmt: skip
    return list(zip(params, grad(cost, list(params)), strict=True))


def _slot(p: SharedVariable, name: str, type: TensorType | None = None) -> Any:
    """A shared variable of zeros like ``p``, of its type by default."""
    kind = type or p.type
    return shared_variable(np.zeros(p.extents, kind.dtype), kind, f"{p.name or 'parameter'}_{name}")


def _squares(p: SharedVariable, name: str = "squares") -> Any:
    """A shared variable for averages of squared magnitudes (steps turn as a complex plane does), at first 0."""
    return _slot(p, name, part_type(p.type))


def _typed(x: Rate, p: SharedVariable) -> Any:
    """A number as it is; a variable in the precision of the parameter, so that it does not change it."""
    return convert(x, real_of(p.dtype)) if isinstance(x, Variable) else x


def sgd(cost: Variable, params: Sequence[SharedVariable], lr: Rate) -> Updates:
    """Gradient descent: p - lr*g.

    Parameters
    ----------
    cost : Variable, float scalar
    params : sequence of SharedVariable
    lr : float or scalar Variable
        The learning rate; a shared one can be changed between calls.

    Returns
    -------
    list of (SharedVariable, Variable)

    Raises
    ------
    ArgumentError
        If a parameter is not shared.
    GradientError, ShapeError, DTypeError
        As of ``grad``.
    """
    return [(p, p - _typed(lr, p) * g) for p, g in _gradients(cost, params)]


def momentum(cost: Variable, params: Sequence[SharedVariable], lr: Rate, mu: Rate = 0.9) -> Updates:
    """Gradient descent with a velocity: v = mu*v - lr*g, p + v.

    Parameters
    ----------
    cost, params, lr
        As of ``sgd``.
    mu : float or scalar Variable
        How much of the velocity is kept.

    Returns
    -------
    list of (SharedVariable, Variable)
    """
    updates: Updates = []
    for p, g in _gradients(cost, params):
        v = _slot(p, "velocity")
        new = _typed(mu, p) * v - _typed(lr, p) * g
        updates += [(v, new), (p, p + new)]
    return updates


def nesterov(cost: Variable, params: Sequence[SharedVariable], lr: Rate, mu: Rate = 0.9) -> Updates:
    """Nesterov's accelerated gradient, the gradient taken at ``p``: v = mu*v - lr*g, p + mu*v - lr*g.

    Parameters
    ----------
    cost, params, lr, mu
        As of ``momentum``.

    Returns
    -------
    list of (SharedVariable, Variable)

    References
    ----------
    Sutskever, Martens, Dahl, Hinton (2013), ICML; in the form of Bengio et al. (2012), arXiv:1212.0901.
    """
    updates: Updates = []
    for p, g in _gradients(cost, params):
        v, step = _slot(p, "velocity"), _typed(lr, p) * g
        new = _typed(mu, p) * v - step
        updates += [(v, new), (p, p + _typed(mu, p) * new - step)]
    return updates


def adagrad(cost: Variable, params: Sequence[SharedVariable], lr: Rate = 0.01, eps: float = 1e-6) -> Updates:
    """a = a + g**2, p - lr*g / sqrt(a + eps).

    Parameters
    ----------
    cost, params, lr
        As of ``sgd``.
    eps : float
        Inside the root.

    Returns
    -------
    list of (SharedVariable, Variable)

    References
    ----------
    Duchi, Hazan, Singer (2011), JMLR 12.
    """
    updates: Updates = []
    for p, g in _gradients(cost, params):
        a = _squares(p)
        new = a + squared_magnitude(g)
        updates += [(a, new), (p, p - _typed(lr, p) * g / sqrt(new + eps))]
    return updates


def adadelta(cost: Variable, params: Sequence[SharedVariable], lr: Rate = 1.0, rho: Rate = 0.95,
             eps: float = 1e-6) -> Updates:  # fmt: skip
    """Steps in the units of the parameter: the ratio of running averages of past steps and gradients.

    Parameters
    ----------
    cost, params, lr
        As of ``sgd``.
    rho : float or scalar Variable
        How much of the averages is kept.
    eps : float
        Inside the roots.

    Returns
    -------
    list of (SharedVariable, Variable)

    References
    ----------
    Zeiler (2012), arXiv:1212.5701.
    """
    updates: Updates = []
    for p, g in _gradients(cost, params):
        a, d, r = _squares(p), _squares(p, "steps"), _typed(rho, p)
        squares = r * a + (1 - r) * squared_magnitude(g)
        step = g * sqrt(d + eps) / sqrt(squares + eps)
        updates += [(a, squares), (d, r * d + (1 - r) * squared_magnitude(step)), (p, p - _typed(lr, p) * step)]
    return updates


def rmsprop(cost: Variable, params: Sequence[SharedVariable], lr: Rate = 0.001, rho: Rate = 0.9,
            eps: float = 1e-6) -> Updates:  # fmt: skip
    """a = rho*a + (1 - rho)*g**2, p - lr*g / sqrt(a + eps).

    Parameters
    ----------
    cost, params, lr
        As of ``sgd``.
    rho : float or scalar Variable
        How much of the average is kept.
    eps : float
        Inside the root.

    Returns
    -------
    list of (SharedVariable, Variable)

    References
    ----------
    Tieleman, Hinton (2012), Coursera lecture 6.5.
    """
    updates: Updates = []
    for p, g in _gradients(cost, params):
        a, r = _squares(p), _typed(rho, p)
        new = r * a + (1 - r) * squared_magnitude(g)
        updates += [(a, new), (p, p - _typed(lr, p) * (g / sqrt(new + eps)))]
    return updates


def _share(beta: Any, step: Any, p: SharedVariable) -> Variable:
    """1 - beta**(step + 1), how much of its weights an average has; in double, where it does not cancel."""
    wide: Any = convert(beta, "float64") if isinstance(beta, Variable) else beta
    return convert(1 - wide ** convert(step + 1, "float64"), real_of(p.dtype))


def adam(cost: Variable, params: Sequence[SharedVariable], lr: Rate = 0.001, beta1: Rate = 0.9, beta2: Rate = 0.999,
         eps: float = 1e-8) -> Updates:  # fmt: skip
    """m = average of g, v = average of g**2, both freed of their bias to 0; p - lr*m / (sqrt(v) + eps).

    Parameters
    ----------
    cost, params, lr
        As of ``sgd``.
    beta1, beta2 : float or scalar Variable
        How much of the averages is kept.
    eps : float
        Outside the root.

    Returns
    -------
    list of (SharedVariable, Variable)

    References
    ----------
    Kingma, Ba (2015), arXiv:1412.6980.
    """
    step: Any = SharedVariable(np.zeros((), "int64"), TensorType("int64", ()), name="adam_step")
    updates: Updates = [(step, step + 1)]
    for p, g in _gradients(cost, params):
        m, v = _slot(p, "mean"), _squares(p)
        b1, b2 = _typed(beta1, p), _typed(beta2, p)
        mean, squares = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * squared_magnitude(g)
        direction = mean / _share(b1, step, p) / (sqrt(squares / _share(b2, step, p)) + eps)
        updates += [(m, mean), (v, squares), (p, p - _typed(lr, p) * direction)]
    return updates

"""Functions of variables with a gradient of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symgraph.coercion import as_variable
from symgraph.errors import ArgumentError, layout
from symgraph.graph import Constant, Variable, describe, label, leaves
from symgraph.kinds import Composite
from symgraph.op import GradRule, Op
from symgraph.origin import here_excerpt

__all__ = ["custom_gradient"]


class Custom(Composite):
    """A composite that is evaluated through its body, so that no reference is needed."""

    reference = Op.reference

    def __call__(self, *xs: Any, **attrs: Any) -> Variable:
        inputs = [as_variable(x) for x in xs]
        self._check_closed([v for v in inputs if not isinstance(v, Constant)], attrs)
        return super().__call__(*inputs, **attrs)

    def _check_closed(self, inputs: list[Variable], attrs: dict[str, Any]) -> None:
        """What the body reads must come in as an argument: no gradient would reach it otherwise."""
        stand_ins = [Variable(v.type, name=v.name) for v in inputs]
        result = self.body(*stand_ins, **attrs)
        if not isinstance(result, Variable):
            raise ArgumentError(
                layout(f"{self.name}: the function gives {result!r}; it must give one variable", [], here_excerpt(),
                       "declare one function for each result")
            )  # fmt: skip
        own = set(stand_ins)
        outside = [v for v in leaves([result]) if v not in own and not isinstance(v, Constant)]
        if outside:
            raise ArgumentError(
                layout(f"{self.name}: the function reads {label(outside[0])}, which is none of its arguments",
                       map(describe, outside), here_excerpt(), "make it an argument, and give its gradient")
            )  # fmt: skip


def custom_gradient(grad: GradRule, name: str | None = None) -> Callable[[Callable[..., Variable]], Custom]:
    """Give a function of variables a gradient of its own instead of the derivative of what it computes.

    Parameters
    ----------
    grad : callable
        ``grad(g, *inputs, output, **attrs)`` -> list with the gradient by each input (None where there is none), given
        that by the output.
    name : str, optional
        Name of the op; default that of the function. Keyword arguments of a call are its attributes: hashable values.

    Returns
    -------
    A decorator. What it gives is called on variables or arrays.

    Raises
    ------
    ArgumentError
        At a call, if the function reads a variable that is not among its arguments, or gives more than one.

    Examples
    --------
    The gradient passes a rounding as if it were not there (Bengio, Léonard, Courville 2013):

    >>> @custom_gradient(lambda g, x, y: [g])
    ... def straight_through(x):
    ...     return round(x)
    """

    def declare(f: Callable[..., Variable]) -> Custom:
        op = Custom(name or f.__name__, f, reference=f, grad=grad, doc=f.__doc__)
        op.module = f.__module__
        op.register()
        return op

    return declare

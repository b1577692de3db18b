"""Functions of variables with a gradient of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symgraph.coercion import as_variable
from symgraph.complexes.rules import on_each
from symgraph.errors import ArgumentError, DTypeError, GradientError, ShapeError, layout
from symgraph.formula import compute
from symgraph.graph import Apply, Constant, Variable, describe, label, leaves
from symgraph.kinds import Composite, Elementwise, Structured, check_rule
from symgraph.op import PACKAGE, GradRule, Op
from symgraph.origin import here_excerpt
from symgraph.types import TensorType, is_float

__all__ = ["custom_gradient"]


class Custom(Composite):
    """A composite that is evaluated through its body, so that no reference is needed."""

    reference = Op.reference

    def __call__(self, *xs: Any, **attrs: Any) -> Variable:
        inputs = [as_variable(x) for x in xs]
        self._check_closed(inputs, attrs)
        check_rule(self, len(inputs), attrs)
        return super().__call__(*inputs, **attrs)

    def _check_closed(self, inputs: list[Variable], attrs: dict[str, Any]) -> None:
        """What the body reads must come in as an argument: no gradient would reach it otherwise."""
        stand_ins = [v if isinstance(v, Constant) else Variable(v.type, name=v.name) for v in inputs]
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


# ------------------------------------------------------------------------------------------------ gradient rules


def checked_gradients(node: Apply, found: object) -> Sequence[Variable | None]:
    """What the gradient rule of a node gives: a list with one for each input, or an error that says what it is.

    Rules of a user's own must give gradients that fit: those of an elementwise op have the shape of its output (what
    was broadcast is summed afterwards), others that of the argument.
    """
    if not isinstance(found, list | tuple) or len(found) != len(node.inputs):
        given = f"a list of {len(found)}" if isinstance(found, list | tuple) else f"a {type(found).__name__}"
        raise GradientError(
            layout(f"grad: the gradient rule of {node.op.name} gives {given}; it has {len(node.inputs)} inputs",
                   [describe(v) for v in node.inputs], _source(node),
                   "give a list with one gradient for each input, None for one that has none")
        )  # fmt: skip
    if node.op.module.startswith(PACKAGE) or not isinstance(node.op, Elementwise | Custom):
        return found
    return [None if g is None or not is_float(v.dtype) else _fitted(node, g, v)
            for v, g in zip(node.inputs, found, strict=True)]  # fmt: skip


def _source(node: Apply) -> list[str]:
    return node.origin.excerpt() if node.origin else []


def _fitted(node: Apply, gradient: object, x: Variable) -> Variable:
    """The gradient by ``x`` as a variable of the type it must have; open extents are compared at the call."""
    g, like = as_variable(gradient), node.outputs[0] if isinstance(node.op, Elementwise) else x
    if g.dtype != x.dtype:
        raise DTypeError(
            layout(f"grad: the gradient rule of {node.op.name} gives {g.dtype} for {label(x)}, which is {x.dtype}",
                   [describe(x), describe(g)], _source(node), f"cast it in the rule: g.astype({x.dtype!r})")
        )  # fmt: skip
    return shaped_like(g, like, f"grad: the gradient rule of {node.op.name}", label(x))


def shaped_like(g: Variable, like: Variable, giver: str, by: str) -> Variable:
    """``g``, which must have the shape of ``like``; open extents are compared at the call."""
    same = g.type.shape == like.type.shape and g.type.is_static
    return g if same else _gradient_of(g, like, giver=giver, by=by)


def _gradient_type(g: Variable, like: Variable, giver: str, by: str) -> TensorType:
    wanted = TensorType(g.dtype, like.type.shape)
    if not wanted.accepts(g.type):
        raise ShapeError(
            layout(f"{giver} gives {g.type} for {by}, it must give {wanted}", [describe(like), describe(g)],
                   here_excerpt(), "the shapes must be the same: sum over what was broadcast, or reshape")
        )  # fmt: skip
    return wanted


_gradient_of = Structured(
    "gradient_of", lambda g, like, giver, by: compute(g.shape, lambda *out: g[out]), infer=_gradient_type,
    reference=lambda g, like, giver, by: g, grad=lambda g, x, like, y, giver, by: [g],
    resolve=lambda g, like, giver, by: g if g.type.is_static and like.type.is_static else None,
    doc="The gradient that a rule gave, which must have the shape of another variable.",
)  # fmt: skip
_gradient_of.register()
on_each(_gradient_of)


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

"""How the meaning of an op on complex operands is declared, and what such meanings have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from symgraph.graph import Constant, Variable, apply
from symgraph.op import OPS, Op
from symgraph.ops.gather import SAME_VALUES
from symgraph.parts import Parts

Whole = Variable | Parts
"""A value of the user's graph as the graph of parts has it: a variable where it is real."""
Rule = Callable[..., Any]
Declared = TypeVar("Declared", bound=Rule)


def of_parts(*ops: Op) -> Callable[[Declared], Declared]:
    """Declare what ops mean on complex operands: ``rule(*inputs, **attrs)``, see ``Op.parts``."""

    def declare(rule: Declared) -> Declared:
        for op in ops:
            op.parts = rule
        return rule

    return declare


def on_each(op: Op) -> None:
    """Declare that a linear op acts on both parts; of an operand that only lends its shape one part is enough."""

    def rule(*inputs: Whole, **attrs: Any) -> Whole:
        if not isinstance(inputs[0], Parts):
            return _applied(op, [v.re if isinstance(v, Parts) else v for v in inputs], attrs)
        return Parts(
            _applied(op, [v.re if isinstance(v, Parts) else v for v in inputs], attrs),
            _applied(op, [v.im if isinstance(v, Parts) else v for v in inputs], attrs),
        )

    op.parts = rule


def on_shape(op: Op) -> None:
    """Declare that an op looks at the shape of its operands alone."""
    op.parts = lambda *inputs, **attrs: _applied(op, [v.re if isinstance(v, Parts) else v for v in inputs], attrs)


def _applied(op: Op, inputs: list[Variable], attrs: dict[str, Any]) -> Variable:
    return apply(op, inputs, attrs).outputs[0]


def named(name: str) -> Op:
    """The op called ``name``."""
    return OPS[name]


def is_zero(v: Variable) -> bool:
    """Whether a value is plainly zero: the imaginary part of what was a real number."""
    while v.owner is not None:
        if v.owner.op.name not in SAME_VALUES and v.owner.op.name != "cast":
            return False
        v = v.owner.inputs[0]
    return isinstance(v, Constant) and not v.data.any()


def is_real(z: Parts) -> bool:
    """Whether a complex value is plainly a real number."""
    return is_zero(z.im)

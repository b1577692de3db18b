"""Patterns: formulas over stand-ins, which rewrite rules are written in.

Import an op's name from here and call it on stand-ins; the result records what was written, and nothing else happens.
Any name is an op's: which ops exist is settled when a rule is first tried, so a rule may be declared before its ops.

>>> from symgraph.pattern import exp, log, softplus
>>> x = Pattern(name="x")
>>> log(1 + exp(x))
log(add(1, exp(x)))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


class Pattern:
    """A formula: an op on other patterns and numbers, or (without an op) a stand-in for a variable or an attribute.

    Attributes
    ----------
    op : str or None
        Name of the op.
    inputs : tuple of Pattern, int or float
    attrs : dict
        Attributes; a stand-in among them takes the attribute's value.
    name : str
        Of a stand-in.
    """

    __slots__ = ("attrs", "inputs", "name", "op")
    __array_priority__ = 2000.0

    def __init__(self, op: str | None = None, *inputs: Any, name: str = "", **attrs: Any) -> None:
        self.op, self.inputs, self.attrs, self.name = op, inputs, attrs, name

    def __add__(self, other: Any) -> Pattern:
        return Pattern("add", self, other)

    def __radd__(self, other: Any) -> Pattern:
        return Pattern("add", other, self)

    def __sub__(self, other: Any) -> Pattern:
        return Pattern("sub", self, other)

    def __rsub__(self, other: Any) -> Pattern:
        return Pattern("sub", other, self)

    def __mul__(self, other: Any) -> Pattern:
        return Pattern("mul", self, other)

    def __rmul__(self, other: Any) -> Pattern:
        return Pattern("mul", other, self)

    def __truediv__(self, other: Any) -> Pattern:
        return Pattern("true_div", self, other)

    def __rtruediv__(self, other: Any) -> Pattern:
        return Pattern("true_div", other, self)

    def __pow__(self, other: Any) -> Pattern:
        return Pattern("pow", self, other)

    def __neg__(self) -> Pattern:
        return Pattern("neg", self)

    def __repr__(self) -> str:
        if self.op is None:
            return self.name
        parts = [*map(repr, self.inputs), *(f"{k}={v!r}" for k, v in self.attrs.items())]
        return f"{self.op}({', '.join(parts)})"


def walk(pattern: object) -> Iterator[Pattern]:
    """Every pattern in ``pattern``, itself first, attributes included."""
    if isinstance(pattern, Pattern):
        yield pattern
        for part in (*pattern.inputs, *pattern.attrs.values()):
            yield from walk(part)


def __getattr__(name: str) -> Callable[..., Pattern]:
    """The op ``name`` as a function of patterns."""
    if name.startswith("__"):
        raise AttributeError(name)
    return lambda *inputs, **attrs: Pattern(name, *inputs, **attrs)

"""The host's part of a call: the integers that decide extents, worked out before a program is looked up.

With the types of the inputs they are the signature of a program. On known shapes they are arithmetic of a few integers,
which is turned into one Python function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from symgraph import expression
from symgraph.expression import Expr
from symgraph.graph import Constant, Variable, leaves, toposort
from symgraph.kinds import Elementwise
from symgraph.lazy import lazy
from symgraph.op import OPS
from symgraph.reference import evaluate
from symgraph.shapes import like, settle
from symgraph.types import TensorType, is_float

Rewriting = Callable[[Sequence[Variable]], Sequence[Variable]]


def extents(outputs: Sequence[Variable]) -> list[Variable]:
    """The variables whose values are extents, or other integers that must be known to compile."""
    found: dict[Variable, None] = {}
    for node in toposort(outputs):
        if node.op.sizes_from is not None:
            found.update({v: None for v in node.inputs[node.op.sizes_from :] if not isinstance(v, Constant)})
    return list(found)


def from_values(sizes: Sequence[Variable]) -> list[Variable]:
    """Those of ``sizes`` that depend on the value of an input, not on shapes alone."""
    return [v for v in sizes if _reads_a_value(v)]


def _reads_a_value(v: Variable) -> bool:
    return bool(_values_read([v], [n.outputs[0] for n in toposort([v]) if n.op is OPS["shape_of"]]))


def _values_read(outputs: Sequence[Variable], shapes: Sequence[Variable]) -> list[Variable]:
    """What has no owner and is read, but for what only ``shapes`` come from."""
    given = set(shapes)
    read = dict.fromkeys([*[i for node in toposort(outputs, shapes) for i in node.inputs], *outputs])
    return [v for v in read if v.owner is None and v not in given and not isinstance(v, Constant)]


@dataclass(frozen=True)
class Prelude:
    """The host's part of a call: integers that decide extents.

    Attributes
    ----------
    sizes : tuple of Variable
        Their values are part of the signature.
    inputs : tuple of Variable
        The function's inputs and shared variables that they read.
    stand_ins : tuple of Variable
        What ``sizes`` has in the place of each of ``inputs``.
    """

    sizes: tuple[Variable, ...]
    inputs: tuple[Variable, ...]
    stand_ins: tuple[Variable, ...]

    @property
    def by_value(self) -> list[Variable]:
        """Those of ``inputs`` that may be read at a call, not for their extents alone, which are known by then."""
        shapes = [n.outputs[0] for n in toposort(self.sizes) if n.op is OPS["shape_of"] and n.inputs[0].owner is None]
        return _values_read(self.sizes, shapes)

    def on(self, types: Mapping[Variable, TensorType], stable: Rewriting) -> Prelude:
        """The same for inputs of these types: what followed from shapes is a number, integers are what is left.

        What is counted in floats is rewritten as the program is, in which the same elements must count.
        """
        typed = {v: like(v, types[v]) for v in self.inputs}
        sizes = settle(self.sizes, typed)
        if any(is_float(v.dtype) for node in toposort(sizes) for v in node.inputs):
            sizes = list(stable(sizes))
        read = set(leaves(sizes))
        kept = [v for v in self.inputs if typed[v] in read]
        return Prelude(tuple(sizes), tuple(kept), tuple(typed[v] for v in kept))

    def values(self, known: Mapping[Variable, np.ndarray]) -> tuple[int, ...]:
        """The sizes at this call, from the values of ``inputs``."""
        given = [known[v] for v in self.inputs]
        if self._function is not None:
            return self._function(*[a.item() for a in given])
        return tuple(int(a) for a in evaluate(self.sizes, dict(zip(self.stand_ins, given, strict=True))))

    @lazy
    def _function(self) -> Callable[..., tuple[int, ...]] | None:
        """The sizes as a Python function of numbers, where they are arithmetic of scalars alone."""
        terms = scalar_terms(self.sizes, self.stand_ins)
        return None if terms is None else python_function(terms, len(self.stand_ins))


def prelude(outputs: Sequence[Variable]) -> Prelude:
    """The prelude of a function's outputs."""
    sizes = from_values(extents(outputs))
    read = tuple(v for v in leaves(sizes) if not isinstance(v, Constant))
    return Prelude(tuple(sizes), read, read)


# ------------------------------------------------------------------------------------------------ as Python

_SPELLED = {
    "add": "({0} + {1})", "sub": "({0} - {1})", "mul": "({0} * {1})", "neg": "(-{0})", "abs": "abs({0})",
    "floordiv": "({0} // {1} if {1} else 0)", "mod": "({0} % {1} if {1} else 0)", "lt": "({0} < {1})",
    "le": "({0} <= {1})", "eq": "({0} == {1})", "ne": "({0} != {1})", "and": "({0} & {1})", "or": "({0} | {1})",
    "select": "({1} if {0} else {2})", "maximum": "max({0}, {1})", "minimum": "min({0}, {1})",
}  # fmt: skip
_MAY_OVERFLOW = ("add", "sub", "mul", "neg", "abs", "floordiv")


def scalar_terms(sizes: Sequence[Variable], inputs: Sequence[Variable]) -> list[Expr] | None:
    """``sizes`` as scalar expressions of ``inputs`` (loads 0, 1, ...), or None if there is more than that to them."""
    known: dict[Variable, Expr] = {v: expression.load(k, (), v.dtype) for k, v in enumerate(inputs)}
    for node in toposort(sizes):
        if not isinstance(node.op, Elementwise) or any(v.ndim for v in (*node.inputs, *node.outputs)):
            return None
        given = [_constant(v) if isinstance(v, Constant) else known[v] for v in node.inputs]
        body = node.op.define(node).exprs[0]
        known[node.outputs[0]] = _filled(body, given)
    return [_constant(v) if isinstance(v, Constant) else known[v] for v in sizes]


def _constant(v: Constant) -> Expr:
    return expression.const(v.data.item(), v.dtype)


def _filled(body: Expr, given: Sequence[Expr]) -> Expr:
    return expression.substitute([body], lambda e: given[cast(int, e.value)] if e.prim == "load" else None)[0]


def python_function(terms: Sequence[Expr], count: int) -> Callable[..., tuple[int, ...]] | None:
    """A Python function of ``count`` numbers, each shared term computed once; None if a primitive has no spelling."""
    names: dict[Expr, str] = {}
    lines = []
    for e in expression.toposort(terms):
        text = _spell(e, [names[a] for a in e.args])
        if text is None:
            return None
        names[e] = f"t{len(names)}"
        lines.append(f"    {names[e]} = {text}")
        if e.prim in _MAY_OVERFLOW and e.dtype == "int64":
            lines.append(f"    if not {-(2**63)} <= {names[e]} < {2**63}: {names[e]} = {_wrapped(names[e])}")
    results = "".join(f"int({names[t]}), " for t in terms)
    head = f"def sizes({', '.join(f'x{k}' for k in range(count))}):"
    space: dict[str, Callable[..., tuple[int, ...]]] = {}
    exec("\n".join([head, *lines, f"    return ({results})"]), {}, space)
    return space["sizes"]


def _wrapped(name: str) -> str:
    return f"({name} + {2**63}) % {2**64} - {2**63}"


def _spell(e: Expr, args: Sequence[str]) -> str | None:
    if e.prim == "const":
        return repr(e.value)
    if e.prim == "load":
        return f"x{e.value}"
    if e.prim == "cast" and e.dtype in ("int64", "bool"):
        return f"{'bool' if e.dtype == 'bool' else 'int'}({args[0]})"
    if e.prim not in _SPELLED or (e.args[0].dtype not in ("int64", "bool")):
        return None
    return _SPELLED[e.prim].format(*args)

"""Fixing shapes: from a graph with open extents to one in which every extent is a number.

Extents come from the shapes of the inputs, and from integer inputs through arithmetic (``arange(n)``, ``x[:n]``). The
latter are worked out on the host before a program is looked up: together with the input types they are its signature.
A length that cancels, as in ``x[i*b:(i+1)*b]``, is the same number at each call, so the program is reused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from symgraph.errors import ShapeError, UpdateError, layout
from symgraph.graph import (
    Apply,
    Constant,
    SharedVariable,
    Variable,
    apply,
    constant,
    describe,
    label,
    leaves,
    made_at,
    toposort,
    transform,
)
from symgraph.op import OPS
from symgraph.reference import evaluate, folder
from symgraph.types import TensorType

FOLD_BYTES = 1024
_fold = folder(FOLD_BYTES)


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
    shapes = [n.outputs[0] for n in toposort([v]) if n.op is OPS["shape_of"]]
    below = toposort([v], shapes)
    read = {i for node in below for i in node.inputs if i not in set(shapes)} | {v}
    return any(i.owner is None and not isinstance(i, Constant) for i in read)


def settle(outputs: Sequence[Variable], replace: Mapping[Variable, Variable] | None = None) -> list[Variable]:
    """``outputs`` with types inferred anew, small constants folded and shape-only ops resolved."""
    given = replace or {}

    def rebuild(node: Apply, inputs: Sequence[Variable]) -> Sequence[Variable]:
        with made_at(node.origin):
            return _settled(apply(node.op, inputs, node.attrs))

    return transform(outputs, lambda v: given.get(v), rebuild)


def _settled(node: Apply) -> Sequence[Variable]:
    folded = _fold(node)
    if folded is not None:
        return [constant(a, a.dtype) for a in folded]
    simpler = node.op.resolve(node)
    if simpler is None:
        return node.outputs
    return settle(simpler, {v: v for v in node.inputs})


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

    def on(self, types: Mapping[Variable, TensorType]) -> Prelude:
        """The same for inputs of these types: what followed from shapes is a number, integers are what is left."""
        typed = {v: _like(v, types[v]) for v in self.inputs}
        sizes = settle(self.sizes, typed)
        read = set(leaves(sizes))
        kept = [v for v in self.inputs if typed[v] in read]
        return Prelude(tuple(sizes), tuple(kept), tuple(typed[v] for v in kept))

    def values(self, known: Mapping[Variable, np.ndarray]) -> tuple[int, ...]:
        """The sizes at this call, from the values of ``inputs``."""
        given = {s: known[v] for s, v in zip(self.stand_ins, self.inputs, strict=True)}
        return tuple(int(a) for a in evaluate(self.sizes, given)) if self.sizes else ()


def prelude(outputs: Sequence[Variable]) -> Prelude:
    """The prelude of a function's outputs."""
    sizes = from_values(extents(outputs))
    read = tuple(v for v in leaves(sizes) if not isinstance(v, Constant))
    return Prelude(tuple(sizes), read, read)


def fix(
    outputs: Sequence[Variable], types: Mapping[Variable, TensorType], sizes: Mapping[Variable, int]
) -> tuple[list[Variable], dict[Variable, Variable]]:
    """``outputs`` on inputs of static ``types``.

    Parameters
    ----------
    types : mapping
        Leaf -> its type at this call.
    sizes : mapping
        Extent that the prelude worked out -> its value.

    Returns
    -------
    outputs, stand_ins
        The new outputs, and for each leaf the variable that takes its place.

    Raises
    ------
    ShapeError
        If the shapes do not fit (with the user's line), or an extent still depends on data.
    """
    stand_ins = {v: v if v.type == t else _like(v, t) for v, t in types.items()}
    known = {v: constant(np.int64(n)) for v, n in sizes.items()}
    fixed = settle(outputs, {**stand_ins, **known})
    for node in toposort(fixed):
        open_ = [v for v in node.outputs if not v.type.is_static]
        if open_:
            raise ShapeError(
                f"{node.op.name}: the shape of its result {open_[0].type} depends on data\n"
                + "\n".join(f"  {describe(v)}" for v in node.inputs)
            )
    return fixed, stand_ins


def check_update(target: SharedVariable, new: Variable) -> None:
    """Raise UpdateError if ``new`` is no value that ``target`` may take."""
    if target.type.accepts(new.type):
        return
    mend = f"cast it: new.astype({target.dtype!r})" if new.dtype != target.dtype else "give the new value its shape"
    raise UpdateError(
        layout(f"updates: the new value of {label(target)} is {new.type}, the variable is {target.type}",
               [describe(target), describe(new)], new.origin.excerpt() if new.origin else [], mend)
    )  # fmt: skip


def _like(v: Variable, type: TensorType) -> Variable:
    new = Variable(type, name=v.name)
    new.origin = v.origin
    return new

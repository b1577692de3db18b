"""Fixing shapes: from a graph with open extents to one in which every extent is a number.

Extents come from the shapes of the inputs, and from integer inputs through arithmetic (``arange(n)``, ``x[:n]``). The
latter are worked out on the host before a program is looked up: together with the input types they are its signature.
A length that cancels, as in ``x[i*b:(i+1)*b]``, is the same number at each call, so the program is reused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from symgraph.errors import ShapeError, UpdateError, layout
from symgraph.graph import (
    Apply,
    Constant,
    Variable,
    apply,
    constant,
    describe,
    in_code,
    label,
    leaves,
    toposort,
    transform,
)
from symgraph.op import OPS
from symgraph.ops.creation import zeros
from symgraph.ops.shape import extents
from symgraph.origin import here_excerpt, made_at
from symgraph.reference import folder
from symgraph.shared_variable import SharedVariable
from symgraph.types import TensorType
from symgraph.varying import as_varying

FOLD_BYTES = 1024
_fold = folder(FOLD_BYTES)


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


def fix(
    outputs: Sequence[Variable], types: Mapping[Variable, TensorType], sizes: Mapping[Variable, int]
) -> tuple[list[Variable], dict[Variable, Variable]]:
    """``outputs`` on inputs of static ``types``.

    Parameters
    ----------
    types : mapping
        Leaf -> its type at this call.
    sizes : mapping
        Extent that the prelude worked out -> its value, or the ``Varying`` that stands for it.

    Returns
    -------
    outputs, stand_ins
        The new outputs, and for each leaf the variable that takes its place.

    Raises
    ------
    ShapeError
        If the shapes do not fit (with the user's line), or an extent still depends on data.
    """
    stand_ins = {v: v if v.type == t else like(v, t) for v, t in types.items()}
    known = {v: _value(n) for v, n in sizes.items()}
    fixed = settle(outputs, {**stand_ins, **known})
    for node in toposort(fixed):
        open_ = [v for v in node.outputs if not v.type.is_static]
        if open_:
            raise ShapeError(
                f"{node.op.name}: the shape of its result {open_[0].type} depends on data\n"
                + "\n".join(f"  {describe(v)}" for v in node.inputs)
            )
    return fixed, stand_ins


def _value(n: int) -> Variable:
    extent = as_varying(n)
    return constant(np.int64(n)) if extent is None else extent.length


# ------------------------------------------------------------------------------------------------ without values

LIKE = ("broadcast_like", "sum_to", "gradient_of")
"""Ops whose second operand is there for its shape alone."""


def _has_like(node: Apply) -> bool:
    """Whether it is such an op, or one batched by its first operand alone."""
    return node.op.name in LIKE or (node.op.name.removeprefix("batched_") in LIKE and not node.attrs["which"][1])


def by_extents(outputs: Sequence[Variable], missing: Sequence[Variable]) -> list[Variable]:
    """``outputs`` that ask for the extents of values made of ``missing`` by way of what else has them, if anything.

    Where nothing has, the shape of a cotangent is not compared: what it must fit is not there.
    """
    absent = set(missing)

    def rebuild(node: Apply, inputs: Sequence[Variable]) -> Sequence[Variable]:
        if _has_like(node) and not absent.isdisjoint(leaves([inputs[1]])):
            stand_in = zeros(extents(inputs[1]), inputs[1].dtype)
            if absent.isdisjoint(leaves([stand_in])):
                inputs = [inputs[0], stand_in]
            elif node.op.name.endswith("gradient_of"):
                return [inputs[0]]
        with made_at(node.origin):
            return apply(node.op, inputs, node.attrs).outputs

    return transform(outputs, lambda v: None, rebuild)


def values_read(outputs: Sequence[Variable]) -> set[Variable]:
    """The leaves that more than the shape of is read."""
    found: set[Variable] = set()
    left, seen = list(outputs), set(outputs)
    while left:
        node = (v := left.pop()).owner
        if node is None:
            found.add(v)
            continue
        read = () if node.op is OPS["shape_of"] else node.inputs[:1] if _has_like(node) else node.inputs
        left.extend(set(read) - seen)
        seen.update(read)
    return found


# ------------------------------------------------------------------------------------------------ updates


def check_update(target: SharedVariable, new: Variable) -> None:
    """Raise UpdateError if ``new`` is no value that ``target`` may take."""
    if target.type.accepts(new.type):
        return
    raise UpdateError(
        layout(f"updates: the new value of {label(target)} is {new.type}, the variable is {target.type}",
               [describe(target), describe(new)], _written(new), _mend(target, new))
    )  # fmt: skip


def _written(new: Variable) -> list[str]:
    """The line of a new value; a small constant is one object for all who wrote it, so its own would be anybody's."""
    if new.origin is None or (isinstance(new, Constant) and new.name is None):
        return here_excerpt()
    return new.origin.excerpt()


def _mend(target: SharedVariable, new: Variable) -> str:
    if new.dtype != target.dtype:
        return f"cast it: {in_code(new, 'new')}.astype({target.dtype!r})"
    if new.ndim != target.ndim:
        return "give the new value its shape"
    both = tuple(n if n == m else None for n, m in zip(target.type.shape, new.type.shape, strict=True))
    return f"give the new value its shape; or let extents change: symgraph.shared(..., shape={both})"


def like(v: Variable, type: TensorType) -> Variable:
    new = Variable(type, name=v.name)
    new.origin = v.origin
    return new

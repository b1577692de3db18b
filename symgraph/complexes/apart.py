"""The graph of parts: every complex value of a graph replaced by two real ones, every op by its meaning on them.

It is made before anything else is done to a user's graph, so rules, gradients and compilers see real values alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from symgraph.complexes.rules import Whole
from symgraph.graph import Apply, Constant, Variable, apply, constant, toposort
from symgraph.ops.complexes import imag, real
from symgraph.origin import made_at
from symgraph.parts import Parts, parted
from symgraph.types import is_complex


def has_complex(outputs: Iterable[Variable], leaves: Iterable[Variable] = ()) -> bool:
    """Whether a complex value is among ``outputs``, or in what they are computed from down to ``leaves``."""
    outputs = list(outputs)
    inner = (v for node in toposort(outputs, leaves) for v in (*node.inputs, *node.outputs))
    return any(is_complex(v.dtype) for v in (*outputs, *inner))


def apart(outputs: Sequence[Variable], known: Mapping[Variable, Whole] | None = None) -> list[Whole]:
    """The graph of parts of ``outputs``: a ``Parts`` for each that is complex, a variable for each that is real.

    Parameters
    ----------
    known : mapping, optional
        What stands for some variables: the walk stops there. Of any other complex leaf the parts are ``real(v)`` and
        ``imag(v)``.
    """
    done: dict[Variable, Whole] = dict(known or {})
    for node in toposort(outputs, done):
        inputs = [_image(v, done) for v in node.inputs]
        with made_at(node.origin):
            for v, new in zip(node.outputs, _rebuilt(node, inputs), strict=True):
                done.setdefault(v, new)
    return [_image(v, done) for v in outputs]


def in_parts(values: Sequence[Whole]) -> list[Variable]:
    """Each part for itself."""
    return [part for v in values for part in ((v.re, v.im) if isinstance(v, Parts) else (v,))]


def leaf_parts(v: Variable) -> Parts:
    """The parts of a complex variable that is not looked into."""
    if isinstance(v, Constant):
        return Parts(*map(constant, parted(v.data)))
    return Parts(real(v), imag(v))


def _image(v: Variable, done: Mapping[Variable, Whole]) -> Whole:
    if v in done:
        return done[v]
    return leaf_parts(v) if is_complex(v.dtype) else v


def _rebuilt(node: Apply, inputs: Sequence[Whole]) -> Sequence[Whole]:
    if any(isinstance(v, Parts) for v in inputs) or any(is_complex(v.dtype) for v in node.outputs):
        assert node.op.parts is not None, f"{node.op.name} has complex operands and no meaning on them"
        found = node.op.parts(*inputs, **node.attrs)
        return found if isinstance(found, tuple) else (found,)
    if all(a is b for a, b in zip(node.inputs, inputs, strict=True)):
        return node.outputs
    return apply(node.op, inputs, node.attrs).outputs  # type: ignore[arg-type]

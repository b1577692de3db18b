"""Ops that a library computes on whole arrays: factorisations, sorting. A program calls them between its kernels.

Such an op has no index formula: its value is what a NumPy function gives, for the reference and for compiled programs
alike (NumPy's matrices are LAPACK's). Its gradient is made of other ops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph.errors import LinAlgError, layout
from symgraph.graph import Apply, Attr, Constant, Variable, apply, describe, label
from symgraph.kinds import Declared
from symgraph.op import Arrays, Attrs, GradResult, GradRule
from symgraph.types import TensorType

__all__: list[str] = []


class Host(Declared):
    """An op that NumPy computes.

    All axes but the last ones that ``infer`` reads are a stack: each of its elements is done for itself, and all
    operands have the same.

    Parameters
    ----------
    function : callable
        ``function(*arrays, **attrs)`` -> array, or tuple of arrays.
    infer : callable
        ``infer(*inputs, **attrs)`` -> list of TensorType.
    grad : callable, optional
        ``grad(cotangents, inputs, outputs, **attrs)``: the gradient by each input; a cotangent may be None.
    """

    def __init__(
        self, name: str, function: Callable[..., Any], *, infer: Callable[..., Sequence[TensorType]],
        grad: GradRule | None = None, doc: str | None = None,
    ) -> None:  # fmt: skip
        self.name, self.numpy, self._infer, self.grad_rule, self.doc = name, function, infer, grad, doc

    def __call__(self, *inputs: Variable, **attrs: Attr) -> tuple[Variable, ...]:
        return tuple(apply(self, inputs, attrs).outputs)

    def infer(self, inputs: Sequence[Variable], attrs: Attrs) -> Sequence[TensorType]:
        return self._infer(*inputs, **attrs)

    def reference(self, node: Apply, arrays: Arrays) -> Sequence[np.ndarray]:
        try:
            with np.errstate(all="ignore"):
                found = self.numpy(*arrays, **node.attrs)
        except np.linalg.LinAlgError as error:
            raise failure(node, error) from error
        each = found if isinstance(found, tuple) else (found,)
        return [np.asarray(a).astype(v.dtype, copy=False) for a, v in zip(each, node.outputs, strict=True)]

    def grad(self, node: Apply, cotangents: Sequence[Variable | None]) -> GradResult:
        if self.grad_rule is None:
            return super().grad(node, cotangents)
        return self.grad_rule(cotangents, node.inputs, node.outputs, **node.attrs)


def failure(node: Apply, error: Exception) -> LinAlgError:
    """What to say where a library refused the operands of ``node``."""
    operands = [v for v in node.inputs if not isinstance(v, Constant)]
    source = node.origin.excerpt() if node.origin else []
    headline = f"{node.op.name}({', '.join(map(label, operands))}): {error}"
    return LinAlgError(layout(headline, map(describe, operands), source, _mend(str(error))))


def _mend(text: str) -> str:
    if "positive definite" in text:
        return "add a small multiple of the identity, or use eigh"
    return "add a small multiple of the identity, or use pinv" if "ingular" in text else ""


def host(
    *, infer: Callable[..., Sequence[TensorType]], grad: GradRule | None = None, name: str | None = None
) -> Callable[[Callable[..., Any]], Host]:
    """Declare an op from its NumPy function; see ``Host``."""

    def declare(f: Callable[..., Any]) -> Host:
        op = Host(name or f.__name__, f, infer=infer, grad=grad, doc=f.__doc__)
        op.module = f.__module__
        op.register()
        return op

    return declare

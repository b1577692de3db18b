"""What every op answers: its meaning is asked for through the interface of ``Op``, its name looked up in ``OPS``.

What a backend, a rewriter or the gradient may ask of any op is here; how ops are declared is in ``kinds``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import update_wrapper
from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, GradientError, IndexOutOfRange, SymgraphError, layout
from symgraph.formula import Compute
from symgraph.graph import Apply, Attr, Variable, describe, in_code
from symgraph.origin import here_excerpt
from symgraph.types import TensorType, is_complex

if TYPE_CHECKING:
    from symgraph.kinds import Elementwise

Attrs = Mapping[str, Attr]
Arrays = Sequence[np.ndarray]
GradResult = Sequence[Variable | None]
GradRule = Callable[..., GradResult]

PACKAGE = "symgraph."

REAL_MEND = "take a real number of it: {x}.real, {x}.imag or abs({x})"
"""What helps where an op takes no complex operands."""

OPS: dict[str, Op] = {}
"""Every op by name, in order of declaration."""

PRIMITIVES: dict[str, Elementwise] = {}
"""The elementwise op that is just a scalar primitive, by the primitive's name: how derivatives come back as graphs."""


@dataclass(frozen=True)
class Precondition:
    """Something that must hold when a function runs.

    Attributes
    ----------
    ok : Variable
        Bool scalar.
    message, mend : str
        What is wrong if it is False, and what helps.
    kind : type
        The error that is raised then.
    call : str
        How the user wrote it, where that is not the op called on its operands.
    operands : tuple of Variable
        What ``call`` names.
    """

    ok: Variable
    message: str
    mend: str = ""
    kind: type[SymgraphError] = IndexOutOfRange
    call: str = ""
    operands: tuple[Variable, ...] = ()


class Op:
    """What every op answers.

    Attributes
    ----------
    name : str
        Unique in ``OPS``.
    sizes_from : int or None
        Inputs from this one on are extents: int64 scalars that must be known when a program is compiled.
    is_view : bool
        Whether the output is the first input's elements in the same row-major order: it may share its storage.
    module : str
        Where it was declared.
    broadcasts : bool
        Whether an input may be stretched when a function runs: then its gradient is summed back.
    into : int or None
        The input that a scatter's output starts as a copy of.
    parts : callable or None
        ``parts(*inputs, **attrs)`` is the meaning on complex operands, which come as ``Parts``: a variable, ``Parts``,
        or a tuple with one of these for each output. An op without it takes no complex operands.
    """

    name: str
    sizes_from: int | None = None
    is_view: bool = False
    broadcasts: bool = True
    into: int | None = None
    parts: Callable[..., Any] | None = None
    module: str = __name__
    doc: str | None = None

    def register(self) -> None:
        """Enter the op into ``OPS``; rules and gradients know the ops of symgraph by name, so none may take theirs."""
        known = OPS.get(self.name)
        if known is not None and known.module.startswith(PACKAGE) and not self.module.startswith(PACKAGE):
            raise ArgumentError(
                layout(f"there is an op named {self.name!r} in symgraph already", [], here_excerpt(),
                       "give yours another name, e.g. name='my_" + self.name + "'")
            )  # fmt: skip
        OPS[self.name] = self

    def types(self, inputs: Sequence[Variable], attrs: Attrs) -> Sequence[TensorType]:
        """The types of the outputs, where the op takes operands of these dtypes."""
        culprit = next((v for v in inputs if is_complex(v.dtype)), None) if self.parts is None else None
        if culprit is not None:
            raise DTypeError(
                layout(f"{self.name} does not take {culprit.dtype}", map(describe, inputs), here_excerpt(),
                       REAL_MEND.format(x=in_code(culprit)))
            )  # fmt: skip
        return self.infer(inputs, attrs)

    def infer(self, inputs: Sequence[Variable], attrs: Attrs) -> Sequence[TensorType]:
        """The types of the outputs; raises ShapeError or DTypeError."""
        raise NotImplementedError

    def define(self, node: Apply) -> Compute | None:
        """The index formula on static types, or None if the op has none of its own (a composite)."""
        return None

    def reference(self, node: Apply, arrays: Arrays) -> Sequence[np.ndarray]:
        """The outputs by NumPy: the oracle."""
        raise NotImplementedError

    def grad(self, node: Apply, cotangents: Sequence[Variable | None]) -> GradResult:
        """The gradient by each input, given that by each output; None where there is none."""
        raise GradientError(no_gradient(node, f"{self.name} has no gradient"))

    def expand(self, node: Apply) -> Sequence[Variable] | None:
        """The outputs in terms of other ops, for a composite."""
        return None

    def resolve(self, node: Apply) -> Sequence[Variable] | None:
        """The outputs in simpler terms once all extents are known (an extent becomes a constant), or None."""
        return None

    def preconditions(self, node: Apply) -> Sequence[Precondition]:
        """What must hold at run time."""
        return ()

    def operands(self, node: Apply) -> tuple[Variable, ...]:
        """The inputs that are data: those that are not extents."""
        return node.inputs[: self.sizes_from]

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[object, ...]:
        return _lookup, (self.name,)


def no_gradient(node: Apply, what: str) -> str:
    """The message of a GradientError at ``node``."""
    source = node.origin.excerpt() if node.origin else []
    mend = "declare grad= where the op is defined, or put symgraph.disconnected_grad around it"
    return layout(f"grad: {what}", map(describe, node.inputs), source, mend)


def _lookup(name: str) -> Op:
    try:
        return OPS[name]
    except KeyError:
        raise LookupError(f"no op named {name!r} is declared; import the module that declares it first") from None


@contextlib.contextmanager
def scratch_registry() -> Iterator[None]:
    """Declarations made in the body are forgotten after it: for tests of wrong ops."""
    ops, primitives = dict(OPS), dict(PRIMITIVES)
    try:
        yield
    finally:
        for table, saved in ((OPS, ops), (PRIMITIVES, primitives)):
            table.clear()
            table.update(saved)  # type: ignore[arg-type]


def attach(name: str, function: Callable[..., Any], to: type = Variable) -> None:
    """Make ``function`` a method or operator of variables: called on a variable it takes it as first argument."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    update_wrapper(method, function, assigned=("__doc__",), updated=())
    method.__name__ = name
    setattr(to, name, method)


def attach_property(name: str, function: Callable[..., Any]) -> None:
    """Make ``function`` of one variable a property of variables."""
    setattr(Variable, name, property(function))

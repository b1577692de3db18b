"""Arrays for a target's inputs, from ``--shapes`` and ``--inputs``, and its compiled program."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from symgraph.backend import Executable
from symgraph.command.errors import UsageError
from symgraph.command.target import Target
from symgraph.errors import SymgraphError
from symgraph.function import Function, function
from symgraph.graph import Variable
from symgraph.types import TensorType, is_complex, is_inexact
from symgraph.view.collect import task_of
from symgraph.view.document import Document
from symgraph.view.plain import graph_of

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Compiled:
    """A target as a function with a program, and the arrays that this runs on."""

    function: Function
    program: Executable
    arrays: list[np.ndarray]

    @property
    def values(self) -> dict[Variable, np.ndarray]:
        """Input -> array."""
        return dict(zip(self.function.task.inputs, self.arrays, strict=True))


def shapes_of(text: str | None) -> dict[str, tuple[int, ...]]:
    """``x=128x784,n=`` as a dict; an empty shape is a scalar's."""
    found: dict[str, tuple[int, ...]] = {}
    for item in filter(None, (text or "").split(",")):
        name, equals, extents = item.partition("=")
        try:
            shape = tuple(int(n) for n in extents.split("x") if n)
        except ValueError:
            shape, equals = (), ""
        if not equals or min(shape, default=0) < 0:
            raise UsageError(f"--shapes: {item!r} is no shape\nwrite x=128x784, with commas between several")
        found[name.strip()] = shape
    return found


def as_function(target: Target, backend: str | None = None) -> Function:
    """A target as a function: an expression takes all its leaves."""
    if isinstance(target.graph, Function):
        if backend in (None, target.graph.backend):
            return target.graph
        f = target.graph
        return Function(f.task, f.declared, f.form, str(backend), f.downcast, False)
    graph = graph_of(target.graph) if isinstance(target.graph, Document) else target.graph
    task = task_of(graph).written
    many = task.outputs[0] if len(task.outputs) == 1 else list(task.outputs)
    name = target.graph.title if isinstance(target.graph, Document) else task.name
    return function(list(task.inputs), many, name=name, backend=backend, no_default_updates=True)


def compiled(target: Target, options: argparse.Namespace) -> Compiled:
    """The program of a target for the shapes that were asked for.

    Raises
    ------
    UsageError
        If an extent is not known, or a shape does not fit.
    """
    try:
        f = as_function(target, options.backend)
        arrays = arrays_of(f, shapes_of(options.shapes), getattr(options, "inputs", None))
        return Compiled(f, f.compile(*arrays), f.bind(*arrays))
    except SymgraphError as error:
        raise UsageError(str(error)) from None


def can_compile(target: Target, options: argparse.Namespace) -> bool:
    """Whether all extents are known without asking."""
    if target.is_saved:
        return bool(options.shapes)
    f = as_function(target, options.backend)
    return bool(options.shapes) or bool(f.programs) or all(v.type.is_static for v in f.task.inputs)


def arrays_of(f: Function, shapes: Shapes, path: str | None = None) -> list[np.ndarray]:
    """An array for each input: from a file, of the shape asked for, or of the one that the type fixes."""
    stored = _stored(path)
    variables = [i.variable for i in f.declared]
    names = _names(variables)
    unknown = sorted((shapes.keys() | stored.keys()) - set(names))
    if unknown:
        raise UsageError(f"there is no input {unknown[0]!r}; {f.name} takes {', '.join(names) or 'none'}")
    earlier = iter(list(f.programs)[-1][0] if f.programs and not shapes else ())
    arrays = []
    for name, v in zip(names, variables, strict=True):
        before = next(earlier, None)
        if is_complex(v.dtype):
            next(earlier, None)
        arrays.append(stored[name] if name in stored else _example(v, shapes.get(name, before), name))
    return arrays


def _names(inputs: Sequence[Variable]) -> list[str]:
    """What to call inputs: their names, or their positions."""
    names = [v.name or str(k) for k, v in enumerate(inputs)]
    return [n if names.count(n) == 1 else str(k) for k, n in enumerate(names)]


def _stored(path: str | None) -> Mapping[str, np.ndarray]:
    if path is None:
        return {}
    try:
        with np.load(path, allow_pickle=False) as file:
            return {k: file[k] for k in file.files}
    except (OSError, ValueError, EOFError, AttributeError) as error:
        raise UsageError(f"{path} is no file of arrays (npz): {error}") from None


def _example(v: Variable, given: tuple[int, ...] | None, name: str) -> np.ndarray:
    """Real numbers between 0 and 1 for floats, zeros for the others: an index of 0 is always there."""
    if given is None and not v.type.is_static:
        extents = "x".join("64" if n is None else str(n) for n in v.type.shape)
        mend = f"give them, e.g. --shapes {name}={extents}"
        raise UsageError(f"the extents of {name} are not known: it is {v.type}\n{mend}")
    shape = tuple(n or 0 for n in v.type.shape) if given is None else given
    if not v.type.accepts(TensorType(v.dtype, shape)):
        raise UsageError(f"--shapes: {name} is {v.type}, it cannot have the shape {'x'.join(map(str, shape)) or '()'}")
    if is_inexact(v.dtype):
        return np.asarray(np.random.default_rng(0).random(shape), v.dtype)
    return np.zeros(shape, v.dtype)

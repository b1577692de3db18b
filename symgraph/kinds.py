"""The kinds of op. Each op is declared once and carries its own meaning.

==============  ====================================================================================
elementwise     a scalar expression of its inputs' elements
reduction       a combiner along axes
structured      an index formula over its operands
composite       a named body of other ops, expanded after stabilising
==============  ====================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from inspect import CO_VARARGS, signature
from pathlib import Path
from types import FunctionType
from typing import Any, overload

import numpy as np

from symgraph import expression
from symgraph.coercion import as_variable, common_dtype, convert, convert_condition, normalize_axis, pad_rank
from symgraph.derivative import derivatives, times, to_graph
from symgraph.errors import ArgumentError, DTypeError, GradientError, ShapeError, layout
from symgraph.expression import Expr
from symgraph.formula import Combiner, Compute, Operand, row_major
from symgraph.graph import Apply, Attr, Constant, Variable, apply, describe, in_code, label
from symgraph.op import (
    PACKAGE,
    PRIMITIVES,
    REAL_MEND,
    Arrays,
    Attrs,
    GradResult,
    GradRule,
    Op,
    Precondition,
    no_gradient,
)
from symgraph.origin import here_excerpt, raised_at
from symgraph.parts import fresh_parts
from symgraph.pattern import Pattern
from symgraph.types import Shape, TensorType, broadcast_shapes, canonical, is_complex, is_float, is_inexact, real_of


class Declared(Op):
    """What the kinds share: a NumPy function and a gradient, given where the op is declared.

    Attributes
    ----------
    numpy : callable
        ``numpy(*arrays, **attrs)``, the oracle.
    grad_rule : callable or None
        ``grad_rule(g, *inputs, output, **attrs)`` gives the gradient by each input.
    """

    numpy: Callable[..., object]
    grad_rule: GradRule | None

    def reference(self, node: Apply, arrays: Arrays) -> Sequence[np.ndarray]:
        with np.errstate(all="ignore"):
            value = self.numpy(*arrays, **node.attrs)
            return [np.asarray(value).astype(node.outputs[0].dtype, copy=False)]

    def grad(self, node: Apply, cotangents: Sequence[Variable | None]) -> GradResult:
        if self.grad_rule is None:
            return super().grad(node, cotangents)
        return self.grad_rule(cotangents[0], *node.inputs, node.outputs[0], **node.attrs)


def check_rule(op: Declared, count: int, attrs: Iterable[str] = ()) -> None:
    """Raise ArgumentError if a gradient rule of a user's own does not take the incoming gradient, inputs and output."""
    if op.grad_rule is None or op.module.startswith(PACKAGE):
        return
    try:
        signature(op.grad_rule).bind(*range(count + 2), **dict.fromkeys(attrs))
    except TypeError:
        names = ", ".join(["g", *[f"x{k}" for k in range(count)], "output", *[f"{a}=" for a in attrs]])
        raise ArgumentError(
            layout(f"{op.name}: its gradient rule takes {signature(op.grad_rule)}, it is called with ({names})", [],
                   here_excerpt(), "give it these arguments: the incoming gradient, the inputs, then the output")
        ) from None  # fmt: skip


class Elementwise(Declared):
    """An op given by a scalar expression; called on variables it builds a node, on expressions it is its body.

    Parameters
    ----------
    name : str
    body : callable
        Scalar expressions -> scalar expression.
    takes : str
        "common" (inputs meet in one dtype), "float" (and integers become floatX), "bits" (integers and bools only),
        "first bool" (a condition, then values that meet).
    grad : callable, optional
        ``grad(g, *inputs, output)`` gives the gradient by each input. May be left out where the body is smooth: then
        it follows from the body.
    reference : callable, optional
        NumPy's (or SciPy's) function of the same meaning. Without it the tests use mpmath, evaluation the body.
    commutes : bool
        Whether rules match the two inputs in either order.

    Attributes
    ----------
    mend : str
        What an error about dtypes tells the user to do; x and y in braces are the names of the variables.
    """

    mend = "cast first: {x}.astype('float64')"

    def __init__(
        self, name: str, body: Callable[..., Expr], arity: int, *, takes: str = "common", grad: GradRule | None = None,
        reference: Callable[..., object] | None = None, commutes: bool = False, doc: str | None = None,
    ) -> None:  # fmt: skip
        self.name, self.body, self.arity, self.takes = name, body, arity, takes
        self.grad_rule, self.numpy, self.commutes = grad, reference or self.evaluate, commutes
        self.doc = self.__doc__ = doc

    def __call__(self, *xs: Any) -> Any:
        if any(isinstance(x, Expr) for x in xs):
            return self.body(*xs)
        if any(isinstance(x, Pattern) for x in xs):
            return Pattern(self.name, *xs)
        if len(xs) != self.arity:
            raise TypeError(f"{self.name} takes {self.arity} argument{'s' * (self.arity != 1)}, got {len(xs)}")
        inputs = self.prepare(xs)
        self._broadcast(inputs)
        rank = max(v.ndim for v in inputs)
        return apply(self, [pad_rank(v, rank) for v in inputs]).outputs[0]

    def prepare(self, xs: Sequence[object]) -> list[Variable]:
        """The inputs as variables of the dtypes that the body takes."""
        meeting = xs[1:] if self.takes == "first bool" else xs
        dtype = common_dtype(meeting)
        if is_complex(dtype) and self.parts is None:
            self._reject(dtype, xs, REAL_MEND)
        if self.takes == "first bool":
            return [convert_condition(xs[0]), *[convert(x, dtype) for x in meeting]]
        if self.takes == "float" and not is_inexact(dtype):
            dtype = canonical("floatX")
        if self.takes == "bits" and is_float(dtype):
            self._reject(dtype, xs, "cast to an integer or bool first: {x}.astype('int64')")
        return [convert(x, dtype) for x in xs]

    def _reject(self, dtype: str, xs: Sequence[object], mend: str) -> None:
        given = [x for x in xs if isinstance(x, Variable)]
        culprits = sorted(given, key=lambda x: x.dtype != dtype)
        names = {other: in_code(x, other) for x, other in zip(culprits, "xy", strict=False)}
        mended = mend.format_map({"x": "x", "y": "y", **names})
        raise DTypeError(layout(f"{self.name} does not take {dtype}", map(describe, given), here_excerpt(), mended))

    def expr(self, dtypes: tuple[str, ...]) -> Expr:
        """The body on scalar operands of these dtypes."""
        return _traced(self, dtypes)

    def infer(self, inputs: Sequence[Variable], attrs: Attrs) -> Sequence[TensorType]:
        dtypes = tuple(v.dtype for v in inputs)
        try:
            dtype = _on_complex(self, dtypes) if any(map(is_complex, dtypes)) else self.expr(dtypes).dtype
        except DTypeError:
            self._reject(inputs[0].dtype, inputs, self.mend)
        return [TensorType(dtype, self._broadcast(inputs))]

    def _broadcast(self, inputs: Sequence[Variable]) -> Shape:
        """The shape of the result; asked for before ranks are padded, so that a message names the user's variables."""
        try:
            return broadcast_shapes([v.type.shape for v in inputs])
        except ShapeError as error:
            names = ", ".join(map(label, inputs))
            raise ShapeError(
                layout(f"{self.name}({names}): {error}", map(describe, inputs), here_excerpt(),
                       "extents must be equal or 1; reshape one, or insert an axis with x[:, None]")
            ) from None  # fmt: skip

    def define(self, node: Apply) -> Compute:
        out = node.outputs[0].type
        axes = tuple((f"i{k}", n) for k, n in enumerate(_static(out)))
        names = [expression.axis(name) for name, _ in axes]
        at = [_broadcast_indices(v.type, names) for v in node.inputs]

        def place(e: Expr) -> Expr | None:
            return expression.load(e.value, at[e.value], e.dtype) if e.prim == "load" else None  # type: ignore

        expr = self.expr(tuple(v.dtype for v in node.inputs))
        return Compute(axes, tuple(expression.substitute([expr], place)))

    def evaluate(self, *arrays: np.ndarray) -> np.ndarray:
        """The body by NumPy."""
        expr = self.expr(tuple(a.dtype.name for a in arrays))
        value = expression.evaluate([expr], lambda e: arrays[e.value])[0]  # type: ignore[index]
        return np.broadcast_to(value, np.broadcast_shapes(*[a.shape for a in arrays]))

    def grad(self, node: Apply, cotangents: Sequence[Variable | None]) -> GradResult:
        if self.grad_rule is not None:
            return super().grad(node, cotangents)
        (g,) = cotangents
        return [None if d is None else times(g, d) for d in self._derivatives(node)]

    def _derivatives(self, node: Apply) -> list[Variable | None]:
        """The body differentiated mechanically, as graphs."""
        dtypes = tuple(v.dtype for v in node.inputs)
        root = self.expr(dtypes)
        try:
            found = derivatives(root, _loads(dtypes))
        except GradientError as error:
            raise GradientError(no_gradient(node, f"{self.name}: {error}")) from None
        graphs = to_graph([d for d in found if d is not None], root, node)
        return [None if d is None else graphs.pop(0) for d in found]


@cache
def _on_complex(op: Elementwise, dtypes: tuple[str, ...]) -> str:
    """The dtype of the result for operands of which some are complex."""
    assert op.parts is not None
    scalars = [Variable(TensorType(d, ())) for d in dtypes]
    found = op.parts(*[fresh_parts(v) if is_complex(v.dtype) else v for v in scalars])
    return str(found.type.dtype)


@cache
def _traced(op: Elementwise, dtypes: tuple[str, ...]) -> Expr:
    if op.module.startswith(PACKAGE):
        return op.body(*_loads(dtypes))
    return _traced_by_user(op, dtypes)


def _traced_by_user(op: Elementwise, dtypes: tuple[str, ...]) -> Expr:
    """The body that a user wrote; what Python says of a mistake in it is told with the op and the line."""
    try:
        found = op.body(*_loads(dtypes))
    except (TypeError, AttributeError, ValueError) as error:
        place = raised_at(error)
        raise ArgumentError(
            layout(f"{op.name}: its body cannot be read: {str(error).splitlines()[0]}",
                   [f"its arguments are scalars of {', '.join(dtypes)}"], place.excerpt() if place else [],
                   "write it with operators and symgraph's functions of its arguments alone; symgraph.switch is if")
        ) from error  # fmt: skip
    if not isinstance(found, Expr):
        code = op.body.__code__
        raise ArgumentError(
            layout(f"{op.name}: its body gives {found!r:.60}; it must give one scalar expression",
                   [f"declared in {Path(code.co_filename).name}:{code.co_firstlineno}"], here_excerpt(),
                   "return an expression of the arguments; a constant is 0 * x + constant")
        )  # fmt: skip
    return found


def _loads(dtypes: tuple[str, ...]) -> tuple[Expr, ...]:
    """The elements of operands of these dtypes."""
    return tuple(expression.load(k, (), d) for k, d in enumerate(dtypes))


def _static(t: TensorType) -> tuple[int, ...]:
    assert t.is_static, f"a formula is asked for on the open type {t}"
    return tuple(n for n in t.shape if n is not None)


def _broadcast_indices(t: TensorType, names: Sequence[Expr]) -> list[Expr]:
    lead = len(names) - t.ndim
    return [expression.const(0, expression.INDEX) if n == 1 else names[lead + k] for k, n in enumerate(t.shape)]


@overload
def elementwise(function: Callable[..., Any]) -> Elementwise: ...
@overload
def elementwise(
    function: None = None, *, name: str | None = None, takes: str = "float", grad: GradRule | None = None,
    reference: Callable[..., object] | None = None, commutes: bool = False,
) -> Callable[[Callable[..., Any]], Elementwise]: ...  # fmt: skip
def elementwise(
    function: Callable[..., Any] | None = None, *, name: str | None = None, takes: str = "float",
    grad: GradRule | None = None, reference: Callable[..., object] | None = None, commutes: bool = False,
) -> Any:  # fmt: skip
    """Declare an elementwise op from a scalar function written with symgraph's own operators and functions.

    >>> @elementwise(grad=lambda g, x, y: [g * sigmoid(x)], reference=lambda x: np.logaddexp(x, 0))
    ... def softplus(x):
    ...     return maximum(x, 0) + log1p(exp(-absolute(x)))

    See ``Elementwise`` for the parameters.
    """

    def declare(f: Callable[..., Any]) -> Elementwise:
        if not isinstance(f, FunctionType) or f.__code__.co_flags & CO_VARARGS:
            raise ArgumentError(
                layout(f"elementwise: {f!r:.60} is no function with a fixed number of arguments", [], here_excerpt(),
                       "declare one with def or lambda, its arguments named one by one")
            )  # fmt: skip
        op = Elementwise(
            name or f.__name__, f, f.__code__.co_argcount, takes=takes, grad=grad, reference=reference,
            commutes=commutes, doc=f.__doc__,
        )  # fmt: skip
        op.module = f.__module__
        check_rule(op, op.arity)
        op.register()
        return op

    return declare(function) if function is not None else declare


def primitive(
    prim: str, name: str | None = None, *, takes: str = "float", grad: GradRule | None = None,
    reference: Callable[..., object] | None = None, commutes: bool = False, doc: str = "",
) -> Elementwise:  # fmt: skip
    """Declare the elementwise op that is the scalar primitive ``prim`` itself."""
    row = expression.PRIMS[prim]

    def body(*xs: Any) -> Expr:
        return expression.apply(prim, *xs)

    op = Elementwise(
        name or prim, body, row.arity, takes=takes, grad=grad, reference=reference or row.numpy,
        commutes=commutes, doc=doc,
    )  # fmt: skip
    op.register()
    PRIMITIVES[prim] = op
    return op


class Reduction(Declared):
    """A combiner along axes. Attributes of a node: ``axis`` (sorted tuple), ``keepdims``."""

    def __init__(
        self, name: str, combiner: Combiner, *, reference: Callable[..., object], grad: GradRule | None = None,
        terms: Callable[[Expr, Expr], tuple[Expr, ...]] | None = None, needs_element: bool = False,
        doc: str | None = None,
    ) -> None:  # fmt: skip
        """
        Parameters
        ----------
        terms : callable, optional
            (element, its flat index along the axes) -> terms for the combiner; default the element alone. The value
            of the op is the combiner's last accumulator.
        needs_element : bool
            Whether reducing no element at all is an error (max), or gives the identity (sum).
        """
        self.name, self.combiner, self.numpy, self.grad_rule = name, combiner, reference, grad
        self.terms, self.needs_element, self.doc = terms, needs_element, doc

    def __call__(self, x: Any, axis: object = None, keepdims: bool = False) -> Variable:
        v = as_variable(x)
        axes = normalize_axis(axis, v.ndim, self.name, v)
        return apply(self, [v], {"axis": axes, "keepdims": bool(keepdims)}).outputs[0]

    def infer(self, inputs: Sequence[Variable], attrs: Attrs) -> Sequence[TensorType]:
        (x,) = inputs
        axis, keepdims = attrs["axis"], attrs["keepdims"]
        if self.needs_element and any(x.type.shape[a] == 0 for a in axis):
            raise ShapeError(
                layout(f"{self.name}({label(x)}): there is no element along axis {axis}", [describe(x)],
                       here_excerpt(), "reduce along an axis that is not empty")
            )  # fmt: skip
        shape = tuple(1 if k in axis else n for k, n in enumerate(x.type.shape) if keepdims or k not in axis)
        part = real_of(x.dtype)
        dtype = self._terms(part)[-1].dtype
        return [TensorType(x.dtype if dtype == part else dtype, shape)]

    def _terms(self, dtype: str) -> tuple[Expr, ...]:
        element = expression.load(0, (), dtype)
        return self.terms(element, expression.const(0, expression.INDEX)) if self.terms else (element,)

    def define(self, node: Apply) -> Compute:
        (x,) = node.inputs
        axis, keepdims = node.attrs["axis"], node.attrs["keepdims"]
        operand = Operand(0, x.type)
        index = [expression.axis(f"r{k}" if k in axis else f"i{k}") for k in range(x.ndim)]
        axes = tuple((f"i{k}", 1 if k in axis else n) for k, n in enumerate(operand.shape) if keepdims or k not in axis)
        flat = row_major([index[k] for k in axis], [operand.shape[k] for k in axis])
        element = operand[tuple(index)]
        terms = self.terms(element, flat) if self.terms else (element,)
        return Compute(axes, terms, tuple((f"r{k}", operand.shape[k]) for k in axis), self.combiner)


class Structured(Declared):
    """An op given by an index formula.

    Parameters
    ----------
    formula : callable
        ``formula(*operands, **attrs)`` -> Compute; with ``shape=`` (the output's extents) too if the op has sizes.
    infer : callable
        ``infer(*inputs, **attrs)`` -> TensorType; sees the variables, so that it can read constant extents.
    reference : callable
        ``reference(*arrays, **attrs)``; the extents come as the last arrays.
    grad : callable, optional
        ``grad(g, *inputs, output, **attrs)``; the last inputs that it says nothing about have no gradient.
    sizes_from : int, optional
        Inputs from this one on are extents.
    preconditions : callable, optional
        ``preconditions(*inputs, **attrs)`` -> list of Precondition.
    resolve : callable, optional
        ``resolve(*inputs, **attrs)`` -> the same value in simpler terms, or None; asked once all extents are known.
    """

    def __init__(
        self, name: str, formula: Callable[..., Compute], *, infer: Callable[..., TensorType],
        reference: Callable[..., object], grad: GradRule | None = None, sizes_from: int | None = None,
        preconditions: Callable[..., Sequence[Precondition]] | None = None,
        resolve: Callable[..., Variable | None] | None = None, doc: str | None = None,
    ) -> None:  # fmt: skip
        self.name, self.formula, self._infer, self.numpy, self.grad_rule = name, formula, infer, reference, grad
        self.sizes_from, self._preconditions, self._resolve, self.doc = sizes_from, preconditions, resolve, doc

    def __call__(self, *inputs: Variable, **attrs: Attr) -> Variable:
        return apply(self, inputs, attrs).outputs[0]

    def infer(self, inputs: Sequence[Variable], attrs: Attrs) -> Sequence[TensorType]:
        return [self._infer(*inputs, **attrs)]

    def define(self, node: Apply) -> Compute:
        operands = [Operand(k, v.type) for k, v in enumerate(self.operands(node))]
        sized = {} if self.sizes_from is None else {"shape": _static(node.outputs[0].type)}
        return self.formula(*operands, **sized, **node.attrs)

    def grad(self, node: Apply, cotangents: Sequence[Variable | None]) -> GradResult:
        found = list(super().grad(node, cotangents))
        return found + [None] * (len(node.inputs) - len(found))

    def preconditions(self, node: Apply) -> Sequence[Precondition]:
        return () if self._preconditions is None else self._preconditions(*node.inputs, **node.attrs)

    def resolve(self, node: Apply) -> Sequence[Variable] | None:
        simpler = None if self._resolve is None else self._resolve(*node.inputs, **node.attrs)
        return None if simpler is None else [simpler]


def structured(
    *, infer: Callable[..., TensorType], reference: Callable[..., object], grad: GradRule | None = None,
    sizes_from: int | None = None, preconditions: Callable[..., Sequence[Precondition]] | None = None,
    resolve: Callable[..., Variable | None] | None = None, name: str | None = None,
) -> Callable[[Callable[..., Compute]], Structured]:  # fmt: skip
    """Declare a structured op from its index formula; see ``Structured``."""

    def declare(f: Callable[..., Compute]) -> Structured:
        op = Structured(
            name or f.__name__, f, infer=infer, reference=reference, grad=grad, sizes_from=sizes_from,
            preconditions=preconditions, resolve=resolve, doc=f.__doc__,
        )  # fmt: skip
        op.module = f.__module__
        op.register()
        return op

    return declare


class Composite(Declared):
    """A named op with a body of other ops: rules and gradients see the name, backends the body.

    Parameters
    ----------
    body : callable
        ``body(*inputs, **attrs)`` -> Variable.
    grad : callable, optional
        ``grad(g, *inputs, output, **attrs)``; by default the body is differentiated.
    """

    def __init__(
        self, name: str, body: Callable[..., Variable], *, reference: Callable[..., object],
        grad: GradRule | None = None, doc: str | None = None,
    ) -> None:  # fmt: skip
        self.name, self.body, self.numpy, self.grad_rule, self.doc = name, body, reference, grad, doc
        self.variadic = any(p.kind is p.VAR_POSITIONAL for p in signature(body).parameters.values())

    def __call__(self, *inputs: Variable, **attrs: Attr) -> Variable:
        return apply(self, inputs, attrs).outputs[0]

    def infer(self, inputs: Sequence[Variable], attrs: Attrs) -> Sequence[TensorType]:
        return [self.body(*[Variable(v.type) if not isinstance(v, Constant) else v for v in inputs], **attrs).type]

    def expand(self, node: Apply) -> Sequence[Variable]:
        return [self.body(*node.inputs, **node.attrs)]

    def grad(self, node: Apply, cotangents: Sequence[Variable | None]) -> GradResult:
        if self.grad_rule is None:
            raise NotImplementedError  # gradient.py differentiates the body
        return super().grad(node, cotangents)


def of_elements(op: Op) -> bool:
    """Whether ``op`` works element by element: a composite of any number of operands does, it has no axis."""
    return isinstance(op, Elementwise) or (isinstance(op, Composite) and op.variadic)


def composite(
    *, reference: Callable[..., object], grad: GradRule | None = None, name: str | None = None
) -> Callable[[Callable[..., Variable]], Composite]:
    """Declare a composite op from its body; see ``Composite``."""

    def declare(f: Callable[..., Variable]) -> Composite:
        op = Composite(name or f.__name__, f, reference=reference, grad=grad, doc=f.__doc__)
        op.module = f.__module__
        op.register()
        return op

    return declare

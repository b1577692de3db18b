"""The kinds of op. Each op is declared once and carries its own meaning.

==============  ====================================================================================
elementwise     a scalar expression of its inputs' elements
reduction       a combiner along axes
structured      an index formula over its operands
composite       a named body of other ops, expanded after stabilising
==============  ====================================================================================

What a backend, a rewriter or the gradient may ask of any op is the interface of ``Op``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, update_wrapper
from typing import Any, overload

import numpy as np

from symgraph import expression
from symgraph.errors import ArgumentError, AxisError, DTypeError, GradientError, ShapeError, layout
from symgraph.expression import Expr
from symgraph.formula import Combiner, Compute, Operand, row_major
from symgraph.graph import (
    Apply,
    Attr,
    Constant,
    Variable,
    apply,
    constant,
    describe,
    here_excerpt,
    label,
)
from symgraph.pattern import Pattern
from symgraph.types import (
    Shape,
    TensorType,
    broadcast_shapes,
    canonical,
    is_float,
    is_integer,
    promote,
    weak_dtype,
)

Attrs = Mapping[str, Attr]
Arrays = Sequence[np.ndarray]
GradResult = Sequence[Variable | None]

PACKAGE = "symgraph."
OPS: dict[str, Op] = {}
"""Every op by name, in order of declaration."""

PRIMITIVES: dict[str, Elementwise] = {}
"""The elementwise op that is just a scalar primitive, by the primitive's name: how derivatives come back as graphs."""


@dataclass(frozen=True)
class Guard:
    """Something that must hold when a function runs: ``ok`` is a bool scalar, ``message`` says what is wrong if not."""

    ok: Variable
    message: str
    mend: str = ""


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
    into : int or None
        The input that a scatter's output starts as a copy of.
    """

    name: str
    sizes_from: int | None = None
    is_view: bool = False
    into: int | None = None
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
        raise GradientError(_no_gradient(node, f"{self.name} has no gradient"))

    def expand(self, node: Apply) -> Sequence[Variable] | None:
        """The outputs in terms of other ops, for a composite."""
        return None

    def resolve(self, node: Apply) -> Sequence[Variable] | None:
        """The outputs in simpler terms once all extents are known (an extent becomes a constant), or None."""
        return None

    def guards(self, node: Apply) -> Sequence[Guard]:
        """What must hold at run time."""
        return ()

    def operands(self, node: Apply) -> tuple[Variable, ...]:
        """The inputs that are data: those that are not extents."""
        return node.inputs[: self.sizes_from]

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[object, ...]:
        return _lookup, (self.name,)


def _no_gradient(node: Apply, what: str) -> str:
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


# ------------------------------------------------------------------------------------------------ arguments


def as_variable(x: object, dtype: object = None) -> Variable:
    """A variable as it is, a list with variables in it stacked; anything else as a constant of ``dtype``.

    The default dtype is its own, floatX for Python floats.
    """
    if isinstance(x, Variable):
        return x
    if isinstance(x, list | tuple) and holds_variable(x):
        return stack_op(x)
    try:
        return constant(x, dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise DTypeError(
            layout(f"{_shortened(x)} cannot become a variable{_why(x, error)}", [], here_excerpt(),
                   "give a number, an array of numbers, or a symgraph variable")
        ) from None  # fmt: skip


def _why(x: object, error: Exception) -> str:
    return f": {error}" if isinstance(x, np.ndarray) and x.dtype.kind not in "OSU" else ""


def _shortened(x: object) -> str:
    text = repr(x).replace("\n", " ")
    return text if len(text) <= 60 else f"{text[:57]}..."


def holds_variable(xs: Sequence[object]) -> bool:
    """Whether a nested list has a variable in it."""
    return any(isinstance(x, Variable) or (isinstance(x, list | tuple) and holds_variable(x)) for x in xs)


def stack_op(xs: Sequence[object]) -> Variable:
    """``xs`` along a new first axis."""
    dtype = common_dtype(xs)
    rows = [convert(as_variable(x), dtype) for x in xs]
    padded = [apply(OPS["dimshuffle"], [v], {"pattern": (None, *range(v.ndim))}).outputs[0] for v in rows]
    return apply(OPS["concatenate"], padded, {"axis": 0}).outputs[0]


def is_weak(x: object) -> bool:
    """Whether ``x`` is a Python scalar (or a NumPy scalar that is one), which never changes a precision."""
    return isinstance(x, bool | int | float)


def strong_dtype(xs: Sequence[object]) -> str | None:
    """The common dtype of the arrays and variables among ``xs``."""
    strong = [as_variable(x).dtype for x in xs if not is_weak(x)]
    return promote(*strong) if strong else None


def common_dtype(xs: Sequence[object]) -> str:
    """The dtype that ``xs`` meet in: that of the arrays, which Python scalars join."""
    strong = strong_dtype(xs)
    try:
        weak = [weak_dtype(x, strong) for x in xs if is_weak(x)]  # type: ignore[arg-type]
    except DTypeError as error:
        details = [describe(x) for x in xs if isinstance(x, Variable)]
        raise DTypeError(layout(str(error), details, here_excerpt(), "cast the variable: x.astype('int64')")) from None
    return promote(*([strong] if strong else []), *weak)


def convert(x: object, dtype: str) -> Variable:
    """``x`` as a variable of ``dtype``, cast if it has another."""
    if isinstance(x, list | tuple) and holds_variable(x):
        x = stack_op(x)
    if not isinstance(x, Variable):
        return constant(np.asarray(x).astype(dtype))
    return x if x.dtype == dtype else cast_op(x, dtype)


def cast_op(x: Variable, dtype: str) -> Variable:
    """``x`` cast; constants at once."""
    if isinstance(x, Constant):
        with np.errstate(all="ignore"):
            return constant(x.data.astype(dtype))
    return apply(OPS["cast"], [x], {"dtype": dtype}).outputs[0]


def pad_rank(x: Variable, rank: int) -> Variable:
    """``x`` with axes of extent 1 put before it; constant scalars need none."""
    if x.ndim == rank or (isinstance(x, Constant) and x.ndim == 0):
        return x
    pattern = (None,) * (rank - x.ndim) + tuple(range(x.ndim))
    return apply(OPS["dimshuffle"], [x], {"pattern": pattern}).outputs[0]


def normalize_axis(axis: object, rank: int, name: str, x: Variable | None = None) -> tuple[int, ...]:
    """A checked tuple of axes in 0..rank-1, sorted; None means all."""
    if axis is None:
        return tuple(range(rank))
    many: Sequence[Any] = axis if isinstance(axis, tuple | list) else (axis,)
    try:
        ints = [int(np.asarray(a).item()) if not isinstance(a, int) else a for a in many]
    except (TypeError, ValueError):
        raise AxisError(f"{name}: axis is {axis!r}; it must be an integer, a tuple of integers or None") from None
    bad = [a for a in ints if not -rank <= a < rank]
    if bad:
        details = [describe(x)] if x is not None else []
        reach = f"0 to {rank - 1}, or {-rank} to -1" if rank else "none: it is a scalar"
        raise AxisError(
            layout(f"{name}: axis {bad[0]} is out of range for rank {rank}", details, here_excerpt(), f"valid: {reach}")
        )
    axes = tuple(sorted(a % rank for a in ints))
    if len(set(axes)) < len(axes):
        raise AxisError(f"{name}: axis {axis!r} names one axis twice\nname each axis once")
    return axes


def extent_of(v: Variable) -> int | None:
    """The value of an extent if it is a constant, else None."""
    if not isinstance(v, Constant):
        return None
    n = int(v.data)
    if n < 0:
        raise ShapeError(layout(f"an extent is {n}; it must be 0 or more", [], here_excerpt()))
    return n


def size_variable(n: object) -> Variable:
    """An extent as an int64 scalar variable."""
    v = as_variable(n)
    if v.ndim or not is_integer(v.dtype):
        raise DTypeError(
            layout(f"an extent must be an integer scalar, not {v.type}", [describe(v)], here_excerpt(),
                   "give an int, an integer scalar variable, or x.shape[k]")
        )  # fmt: skip
    return convert(v, "int64")


# ------------------------------------------------------------------------------------------------ elementwise

GradRule = Callable[..., GradResult]


class Elementwise(Op):
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
        What an error about dtypes tells the user to do.
    """

    mend = "cast first: x.astype('float64')"

    def __init__(
        self, name: str, body: Callable[..., Expr], arity: int, *, takes: str = "common", grad: GradRule | None = None,
        reference: Callable[..., object] | None = None, commutes: bool = False, doc: str | None = None,
    ) -> None:  # fmt: skip
        self.name, self.body, self.arity, self.takes = name, body, arity, takes
        self.grad_rule, self.numpy, self.commutes = grad, reference, commutes
        self.doc = self.__doc__ = doc

    def __call__(self, *xs: Any) -> Any:
        if any(isinstance(x, Expr) for x in xs):
            return self.body(*xs)
        if any(isinstance(x, Pattern) for x in xs):
            return Pattern(self.name, *xs)
        if len(xs) != self.arity:
            raise TypeError(f"{self.name} takes {self.arity} argument{'s' * (self.arity > 1)}, got {len(xs)}")
        inputs = self.prepare(xs)
        self._broadcast(inputs)
        rank = max(v.ndim for v in inputs)
        return apply(self, [pad_rank(v, rank) for v in inputs]).outputs[0]

    def prepare(self, xs: Sequence[object]) -> list[Variable]:
        """The inputs as variables of the dtypes that the body takes."""
        if self.takes == "first bool":
            dtype = common_dtype(xs[1:])
            return [convert_condition(xs[0]), *[convert(x, dtype) for x in xs[1:]]]
        dtype = common_dtype(xs)
        if self.takes == "float" and not is_float(dtype):
            dtype = canonical("floatX")
        if self.takes == "bits" and is_float(dtype):
            self._reject(dtype, xs, "cast to an integer or bool first: x.astype('int64')")
        return [convert(x, dtype) for x in xs]

    def _reject(self, dtype: str, xs: Sequence[object], mend: str) -> None:
        details = [describe(x) for x in xs if isinstance(x, Variable)]
        raise DTypeError(layout(f"{self.name} does not take {dtype}", details, here_excerpt(), mend))

    def expr(self, dtypes: tuple[str, ...]) -> Expr:
        """The body on scalar operands of these dtypes."""
        return _traced(self, dtypes)

    def infer(self, inputs: Sequence[Variable], attrs: Attrs) -> Sequence[TensorType]:
        try:
            dtype = self.expr(tuple(v.dtype for v in inputs)).dtype
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

    def reference(self, node: Apply, arrays: Arrays) -> Sequence[np.ndarray]:
        with np.errstate(all="ignore"):
            value = self.evaluate(arrays) if self.numpy is None else self.numpy(*arrays)
        return [np.asarray(value).astype(node.outputs[0].dtype, copy=False)]

    def evaluate(self, arrays: Arrays) -> np.ndarray:
        """The body by NumPy."""
        expr = self.expr(tuple(a.dtype.name for a in arrays))
        value = expression.evaluate([expr], lambda e: arrays[e.value])[0]  # type: ignore[index]
        return np.broadcast_to(value, np.broadcast_shapes(*[a.shape for a in arrays]))

    def grad(self, node: Apply, cotangents: Sequence[Variable | None]) -> GradResult:
        (g,) = cotangents
        if self.grad_rule is not None:
            return self.grad_rule(g, *node.inputs, node.outputs[0])
        return [None if d is None else times(g, d) for d in self.derivatives(node)]

    def derivatives(self, node: Apply) -> list[Variable | None]:
        """The body differentiated mechanically, as graphs."""
        dtypes = tuple(v.dtype for v in node.inputs)
        try:
            found = _derived(self, dtypes)
        except GradientError as error:
            raise GradientError(_no_gradient(node, str(error))) from None
        graphs = to_graph([d for d in found if d is not None], node)
        return [None if d is None else graphs.pop(0) for d in found]


def convert_condition(x: object) -> Variable:
    """A condition as bool: numbers are compared with zero."""
    v = as_variable(x)
    return v if v.dtype == "bool" else cast_op(v, "bool")


@cache
def _traced(op: Elementwise, dtypes: tuple[str, ...]) -> Expr:
    return op.body(*[expression.load(k, (), d) for k, d in enumerate(dtypes)])


@cache
def _derived(op: Elementwise, dtypes: tuple[str, ...]) -> list[Expr | None]:
    """Derivative of the body by each operand: reverse accumulation over the scalar expression."""
    root = op.expr(dtypes)
    inputs = [expression.load(k, (), d) for k, d in enumerate(dtypes)]
    if not is_float(root.dtype):
        return [None] * len(inputs)
    total: dict[Expr, Expr] = {root: expression.const(1, root.dtype)}
    for e in reversed(expression.toposort([root])):
        if e not in total or e.prim in ("load", "const", "axis"):
            continue
        _check_differentiable(op, e, root)
        for a, d in zip(e.args, expression.partials(e), strict=True):
            if d is not None and (d.prim != "const" or d.value != 0):
                term = scalar_times(total[e], d)
                total[a] = total[a] + term if a in total else term
    return [total.get(x, expression.const(0, x.dtype)) if is_float(x.dtype) else None for x in inputs]


def _check_differentiable(op: Elementwise, e: Expr, root: Expr) -> None:
    """A kink inside a longer body would differentiate to something wrong at the kink."""
    if is_float(e.dtype) and expression.PRIMS[e.prim].partials is None:
        raise GradientError(f"{op.name}: the derivative of {e.prim} is not known")
    if e is not root and e.prim in expression.PRIMS and not expression.PRIMS[e.prim].smooth:
        raise GradientError(f"{op.name}: its body has a kink ({e.prim}), so it needs a gradient of its own")


def scalar_times(a: Expr, b: Expr) -> Expr:
    """a*b, leaving out factors of one."""
    if b.prim == "const" and b.value == 1:
        return a
    return b if a.prim == "const" and a.value == 1 else a * b


def times(g: Any, d: Variable) -> Variable:
    """g*d, leaving out factors of one."""
    if isinstance(d, Constant) and d.data.size == 1:
        if d.data.item() == 1:
            return g  # type: ignore[no-any-return]
        if d.data.item() == -1:
            return PRIMITIVES["neg"](g)  # type: ignore[no-any-return]
    return PRIMITIVES["mul"](g, d)  # type: ignore[no-any-return]


def to_graph(exprs: Sequence[Expr], node: Apply) -> list[Variable]:
    """Scalar expressions of a node's elements as graphs of primitive ops on its inputs (and on its output)."""
    root = node.op.expr(tuple(v.dtype for v in node.inputs)) if isinstance(node.op, Elementwise) else None
    made: dict[Expr, Variable] = {}
    for e in expression.toposort(exprs):
        if e is root:
            made[e] = node.outputs[0]
        elif e.prim == "load":
            made[e] = node.inputs[int(e.value)]  # type: ignore[arg-type]
        elif e.prim == "const":
            made[e] = constant(np.asarray(e.value, e.dtype))
        elif e.prim == "cast":
            made[e] = convert(made[e.args[0]], e.dtype)
        else:
            made[e] = PRIMITIVES[e.prim](*[made[a] for a in e.args])
    return [made[e] for e in exprs]


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
        op = Elementwise(
            name or f.__name__, f, f.__code__.co_argcount, takes=takes, grad=grad, reference=reference,
            commutes=commutes, doc=f.__doc__,
        )  # fmt: skip
        op.module = f.__module__
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


# ------------------------------------------------------------------------------------------------ reductions


class Reduction(Op):
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
        dtypes = [e.dtype for e in self._terms(x.dtype)]
        return [TensorType(dtypes[-1], shape)]

    def _terms(self, dtype: str) -> tuple[Expr, ...]:
        element = expression.load(0, (), dtype)
        return self.terms(element, expression.const(0, expression.INDEX)) if self.terms else (element,)

    def define(self, node: Apply) -> Compute:
        (x,) = node.inputs
        axis, keepdims = node.attrs["axis"], node.attrs["keepdims"]
        operand = Operand(0, x.type)
        index = [expression.axis(f"r{k}" if k in axis else f"i{k}") for k in range(x.ndim)]
        axes = tuple(
            (f"i{k}", 1 if k in axis else n) for k, n in enumerate(operand.shape) if keepdims or k not in axis
        )
        flat = row_major([index[k] for k in axis], [operand.shape[k] for k in axis])
        element = operand[tuple(index)]
        terms = self.terms(element, flat) if self.terms else (element,)
        return Compute(axes, terms, tuple((f"r{k}", operand.shape[k]) for k in axis), self.combiner)

    def reference(self, node: Apply, arrays: Arrays) -> Sequence[np.ndarray]:
        with np.errstate(all="ignore"):
            value = self.numpy(arrays[0], axis=node.attrs["axis"], keepdims=node.attrs["keepdims"])
        return [np.asarray(value).astype(node.outputs[0].dtype, copy=False)]

    def grad(self, node: Apply, cotangents: Sequence[Variable | None]) -> GradResult:
        if self.grad_rule is None:
            return super().grad(node, cotangents)
        return self.grad_rule(cotangents[0], *node.inputs, node.outputs[0], **node.attrs)


# ------------------------------------------------------------------------------------------------ structured


class Structured(Op):
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
        ``grad(g, *inputs, output, **attrs)``.
    sizes_from : int, optional
        Inputs from this one on are extents.
    guards : callable, optional
        ``guards(*inputs, **attrs)`` -> list of Guard.
    resolve : callable, optional
        ``resolve(*inputs, **attrs)`` -> the same value in simpler terms, or None; asked once all extents are known.
    """

    def __init__(
        self, name: str, formula: Callable[..., Compute], *, infer: Callable[..., TensorType],
        reference: Callable[..., object], grad: GradRule | None = None, sizes_from: int | None = None,
        guards: Callable[..., Sequence[Guard]] | None = None,
        resolve: Callable[..., Variable | None] | None = None, doc: str | None = None,
    ) -> None:  # fmt: skip
        self.name, self.formula, self._infer, self.numpy, self.grad_rule = name, formula, infer, reference, grad
        self.sizes_from, self._guards, self._resolve, self.doc = sizes_from, guards, resolve, doc

    def __call__(self, *inputs: Variable, **attrs: Attr) -> Variable:
        return apply(self, inputs, attrs).outputs[0]

    def infer(self, inputs: Sequence[Variable], attrs: Attrs) -> Sequence[TensorType]:
        return [self._infer(*inputs, **attrs)]

    def define(self, node: Apply) -> Compute:
        operands = [Operand(k, v.type) for k, v in enumerate(self.operands(node))]
        sized = {} if self.sizes_from is None else {"shape": _static(node.outputs[0].type)}
        return self.formula(*operands, **sized, **node.attrs)

    def reference(self, node: Apply, arrays: Arrays) -> Sequence[np.ndarray]:
        with np.errstate(all="ignore"):
            value = self.numpy(*arrays, **node.attrs)
        return [np.asarray(value).astype(node.outputs[0].dtype, copy=False)]

    def grad(self, node: Apply, cotangents: Sequence[Variable | None]) -> GradResult:
        if self.grad_rule is None:
            return super().grad(node, cotangents)
        found = list(self.grad_rule(cotangents[0], *node.inputs, node.outputs[0], **node.attrs))
        return found + [None] * (len(node.inputs) - len(found))

    def guards(self, node: Apply) -> Sequence[Guard]:
        return () if self._guards is None else self._guards(*node.inputs, **node.attrs)

    def resolve(self, node: Apply) -> Sequence[Variable] | None:
        simpler = None if self._resolve is None else self._resolve(*node.inputs, **node.attrs)
        return None if simpler is None else [simpler]


def structured(
    *, infer: Callable[..., TensorType], reference: Callable[..., object], grad: GradRule | None = None,
    sizes_from: int | None = None, guards: Callable[..., Sequence[Guard]] | None = None,
    resolve: Callable[..., Variable | None] | None = None, name: str | None = None,
) -> Callable[[Callable[..., Compute]], Structured]:  # fmt: skip
    """Declare a structured op from its index formula; see ``Structured``."""

    def declare(f: Callable[..., Compute]) -> Structured:
        op = Structured(
            name or f.__name__, f, infer=infer, reference=reference, grad=grad, sizes_from=sizes_from, guards=guards,
            resolve=resolve, doc=f.__doc__,
        )  # fmt: skip
        op.register()
        return op

    return declare


# ------------------------------------------------------------------------------------------------ composites


class Composite(Op):
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

    def __call__(self, *inputs: Variable, **attrs: Attr) -> Variable:
        return apply(self, inputs, attrs).outputs[0]

    def infer(self, inputs: Sequence[Variable], attrs: Attrs) -> Sequence[TensorType]:
        return [self.body(*[Variable(v.type) if not isinstance(v, Constant) else v for v in inputs], **attrs).type]

    def expand(self, node: Apply) -> Sequence[Variable]:
        return [self.body(*node.inputs, **node.attrs)]

    def reference(self, node: Apply, arrays: Arrays) -> Sequence[np.ndarray]:
        with np.errstate(all="ignore"):
            value = self.numpy(*arrays, **node.attrs)
        return [np.asarray(value).astype(node.outputs[0].dtype, copy=False)]

    def grad(self, node: Apply, cotangents: Sequence[Variable | None]) -> GradResult:
        if self.grad_rule is None:
            raise NotImplementedError  # gradient.py differentiates the body
        return self.grad_rule(cotangents[0], *node.inputs, node.outputs[0], **node.attrs)


def composite(
    *, reference: Callable[..., object], grad: GradRule | None = None, name: str | None = None
) -> Callable[[Callable[..., Variable]], Composite]:
    """Declare a composite op from its body; see ``Composite``."""

    def declare(f: Callable[..., Variable]) -> Composite:
        op = Composite(name or f.__name__, f, reference=reference, grad=grad, doc=f.__doc__)
        op.register()
        return op

    return declare


def attach(name: str, function: Callable[..., Any]) -> None:
    """Make ``function`` a method or operator of variables: called on a variable it takes it as first argument."""

    def method(self: Variable, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    update_wrapper(method, function, assigned=("__doc__",), updated=())
    method.__name__ = name
    setattr(Variable, name, method)


def attach_property(name: str, function: Callable[..., Any]) -> None:
    """Make ``function`` of one variable a property of variables."""
    setattr(Variable, name, property(function))

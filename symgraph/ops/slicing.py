"""One axis read, written or added to at ``start + i*step``: what every basic index is made of.

``start`` is a run-time scalar already brought into range; the length and the step are extents, so that a mini-batch
``x[i*b:(i+1)*b]`` is compiled once for the length b.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.coercion import extent_of, integer_scalar
from symgraph.errors import IndexOutOfRange, ShapeError, layout
from symgraph.expression import INDEX, Expr, const, eq
from symgraph.expression import maximum as highest_of
from symgraph.expression import minimum as least_of
from symgraph.expression import select as either
from symgraph.formula import Compute, Operand, compute
from symgraph.graph import Apply, Constant, Variable, constant, describe, label
from symgraph.kinds import Structured
from symgraph.op import OPS, Precondition
from symgraph.ops import elementwise as ew
from symgraph.ops.broadcast import broadcast_like
from symgraph.ops.extents import Size, add, floordiv, known, maximum, minimum, same, select, size, sub, variables
from symgraph.ops.shape import extents, shape_of
from symgraph.origin import here_excerpt
from symgraph.types import Shape, TensorType
from symgraph.varying import fixed

__all__: list[str] = []


class Strided(Structured):
    """A structured op along ``axis`` whose formula gets ``start`` as a term and ``step``, the last input, as an int."""

    start_slot: int = 1

    def define(self, node: Apply) -> Compute:
        operands = [Operand(k, v.type) for k, v in enumerate(self.operands(node))]
        given = node.inputs[self.start_slot]
        start = const(int(given.data), INDEX) if isinstance(given, Constant) else operands[self.start_slot][()]
        step = known(node.inputs[-1])
        assert step is not None, f"{self.name}: the step must be known when a program is compiled"
        out = tuple(n for n in node.outputs[0].type.shape if n is not None)
        return self.formula(*operands[: self.start_slot], shape=out, start=start, step=step, **node.attrs)


def _check_step(step: Variable, x: Variable) -> None:
    if known(step) == 0:
        raise ShapeError(
            layout(f"the step of a slice of {label(x)} is 0", [describe(x)], here_excerpt(),
                   "give a step above or below 0")
        )  # fmt: skip


def check_index(i: int, n: int, axis: int, x: Variable) -> None:
    """Raise if ``i`` is no index of an axis of extent ``n``."""
    if not -n <= i < n:
        raise IndexOutOfRange(
            layout(f"index {i} is out of range for axis {axis} of {label(x)}, which has extent {n}", [describe(x)],
                   here_excerpt(), valid_range(n))
        )  # fmt: skip


def indexed(x: Variable) -> Variable:
    """What the user indexed, where ``x`` is what the first ops of the same index expression made of it."""
    while x.owner is not None and x.owner.op is _slice:
        node = x.owner
        x = node.inputs[0]
        if node.attrs["head"]:
            break
    return x


def _check_start(x: Variable, start: Variable, axis: int, checked: bool) -> None:
    i, n = known(start), x.type.shape[axis]
    if checked and i is not None and n is not None and not 0 <= i < n:
        check_index(i - n if i < 0 else i, n, axis, x)


def _check_last(x: Variable, start: Variable, length: Variable, step: Variable, axis: int) -> None:
    """Raise if the last element is known to lie outside; a user's slice is clipped, so this is one of our own."""
    first, count, by, n = known(start), known(length), known(step), x.type.shape[axis]
    if first is None or count is None or by is None or n is None or count < 2:
        return
    if not 0 <= first + (count - 1) * by < n:
        raise ShapeError(
            layout(f"{count} elements are wanted of axis {axis} of {label(x)}, which has extent {n}", [describe(x)],
                   here_excerpt(), "give a longer axis, or ask for fewer elements")
        )  # fmt: skip


def _start_precondition(x: Variable, start: Variable, axis: int, checked: bool) -> list[Precondition]:
    if not checked or isinstance(start, Constant):
        return []
    low, high = ew.le(0, start), ew.lt(start, shape_of(x, axis))
    message = f"the index is out of range for {named(axis, x)}"
    return [index_precondition(ew.and_(low, high), message, x, start, axis)]


def index_precondition(ok: Variable, message: str, x: Variable, index: Variable, axis: int) -> Precondition:
    """What must hold of an index, as the user wrote it."""
    (given, from_0), base = _given(index), indexed(x)
    call = f"{label(base)}[{':, ' * axis}{label(given)}]"
    return Precondition(ok, message, valid_range(x.type.shape[axis], from_0), call=call, operands=(base, given))


def _given(index: Variable) -> tuple[Variable, bool]:
    """What the user gave, of which ``index`` is the place or has other axes, and whether no place is below 0."""
    from_0 = False
    while (node := index.owner) is not None:
        if _replaces_negative(node):
            from_0 |= node.inputs[1].owner is None or node.inputs[1].owner.op is OPS["shape_of"]
            index = node.inputs[2]
        elif node.op.name in ("cast", "dimshuffle"):
            index = node.inputs[0]
        else:
            break
    return index, from_0


def _replaces_negative(node: Apply) -> bool:
    """Whether it is ``switch(i < 0, ..., i)``."""
    made = node.inputs[0].owner if node.op.name == "switch" else None
    return made is not None and made.op.name == "lt" and made.inputs[0] is node.inputs[2]


def named(axis: int, x: Variable) -> str:
    """An axis for a message, with its extent where it is known."""
    n = fixed(x.type.shape[axis])
    return f"axis {axis}" if n is None else f"axis {axis}, which has extent {n}"


def valid_range(n: int | None, from_0: bool = False) -> str:
    """The indices that an axis of ``n`` elements has, for a message."""
    n = fixed(n)
    if n == 0:
        return "there is no valid index: the axis is empty"
    first = "0" if from_0 else "-n" if n is None else str(-n)
    return f"valid are {first} to n - 1, where n is its extent" if n is None else f"valid are {first} to {n - 1}"


# ------------------------------------------------------------------------------------------------ reading


def _with_axis(shape: Shape, axis: int, n: int | None) -> Shape:
    return shape[:axis] + (n,) + shape[axis + 1 :]


def _slice_type(
    x: Variable, start: Variable, length: Variable, step: Variable, axis: int, checked: bool, head: bool
) -> TensorType:
    _check_step(step, x)
    _check_start(x if head else indexed(x), start, axis, checked)
    _check_last(x, start, length, step, axis)
    return TensorType(x.dtype, _with_axis(x.type.shape, axis, extent_of(length)))


def _slice_numpy(x: np.ndarray, start: Any, length: Any, step: Any, axis: int, **flags: bool) -> object:
    return np.take(x, int(start) + np.arange(int(length)) * int(step), axis=axis)


def _simpler_slice(
    x: Variable, start: Variable, length: Variable, step: Variable, axis: int, checked: bool, head: bool
) -> Variable | None:
    """The whole axis is ``x`` itself; and where an index began matters only while the graph is being built."""
    if known(start) == 0 and known(step) == 1 and known(length) is not None and known(length) == x.type.shape[axis]:
        return x
    return take_slice(x, start, length, step, axis, checked=checked) if head else None


def _read(x: Operand, shape: tuple[int, ...], start: Expr, step: int, axis: int, checked: bool, head: bool) -> Compute:
    """The elements of one axis at start + i*step."""
    n = x.shape[axis]
    first = highest_of(least_of(start, n - 1), 0) if checked else start

    def element(*out: Expr) -> Expr:
        if n == 0:
            return const(0, x.dtype)
        at = first if shape[axis] == 1 else first + out[axis] * step
        return x[(*out[:axis], at, *out[axis + 1 :])]

    return compute(shape, element)


_slice = Strided(
    "slice", _read, infer=_slice_type, reference=_slice_numpy, sizes_from=2, resolve=_simpler_slice, doc=_read.__doc__,
    grad=lambda g, x, start, length, step, y, axis, checked, head: [
        set_slice(broadcast_like(constant(0, x.dtype), x), g, start, step, axis, checked=checked)
    ],
    preconditions=lambda x, start, length, step, axis, checked, head: _start_precondition(x, start, axis, checked),
)  # fmt: skip
_slice.register()


def take_slice(
    x: Variable, start: Size, length: Size, step: Size, axis: int, *, checked: bool = False, head: bool = False
) -> Variable:
    """``length`` elements of ``axis`` from ``start`` on, ``step`` apart.

    Parameters
    ----------
    checked : bool
        Whether ``start`` may lie outside the axis and then is an error.
    head : bool
        Whether this is the first op of an index expression: where ``set_subtensor`` finds the base.
    """
    return _slice(x, *variables([start, length, step]), axis=axis, checked=checked, head=head)


def section(x: Variable, start: Size, length: Size, axis: int) -> Variable:
    """``length`` adjacent elements of ``axis``; all of them are ``x`` itself."""
    return x if is_full((start, length, 1), extents(x)[axis]) else take_slice(x, start, length, 1, axis)


# ------------------------------------------------------------------------------------------------ writing


def _set_type(
    x: Variable, y: Variable, start: Variable, step: Variable, axis: int, inc: bool, checked: bool
) -> TensorType:
    _check_step(step, x)
    _check_start(x, start, axis, checked)
    wanted = _with_axis(x.type.shape, axis, None)
    if not TensorType(x.dtype, wanted).accepts(y.type):
        raise ShapeError(
            layout(f"set_subtensor({label(x)}, {label(y)}): {y.type} does not fit {x.type} along axis {axis}",
                   [describe(x), describe(y)], here_excerpt(), "the value must broadcast to the shape of x[...]")
        )  # fmt: skip
    return x.type


def _set_numpy(x: np.ndarray, y: np.ndarray, start: Any, step: Any, axis: int, inc: bool, checked: bool) -> object:
    out = x.copy()
    at = (slice(None),) * axis + (int(start) + np.arange(y.shape[axis]) * int(step),)
    out[at] = out[at] + y if inc else y
    return out


def _place(i: Expr, start: Expr, step: int, length: int) -> tuple[Expr, Expr]:
    """(position in the slice, whether ``i`` is in it) for index ``i`` of the axis."""
    away = i - start if step > 0 else start - i
    stride = abs(step)
    q = away // stride
    inside = (away >= 0) & (q < length)
    return q, inside if stride == 1 else inside & eq(away % stride, 0)


def _write(
    x: Operand, y: Operand, shape: tuple[int, ...], start: Expr, step: int, axis: int, inc: bool, checked: bool
) -> Compute:
    """x, with the elements of one axis at start + i*step replaced by those of y, or y added to them."""
    length = y.shape[axis]

    def element(*out: Expr) -> Expr:
        old = x[out]
        if length == 0:
            return old
        q, inside = _place(out[axis], start, step, length)
        new = y[(*out[:axis], highest_of(least_of(q, length - 1), 0), *out[axis + 1 :])]
        return either(inside, old + new if inc else new, old)

    return compute(shape, element)


def _set_grad(
    g: Variable, x: Variable, y: Variable, start: Variable, step: Variable, out: Variable, axis: int, inc: bool,
    checked: bool,
) -> list[Variable | None]:  # fmt: skip
    by_y = take_slice(g, start, shape_of(y, axis), step, axis, checked=checked)
    if inc:
        return [g, by_y]
    return [set_slice(g, broadcast_like(constant(0, y.dtype), y), start, step, axis, checked=checked), by_y]


class _SetSlice(Strided):
    start_slot = 2


_set_slice = _SetSlice(
    "set_slice", _write, infer=_set_type, reference=_set_numpy, sizes_from=3, doc=_write.__doc__, grad=_set_grad,
    preconditions=lambda x, y, start, step, axis, inc, checked: _start_precondition(x, start, axis, checked),
)  # fmt: skip
_set_slice.register()


def set_slice(
    x: Variable, y: Variable, start: Variable, step: Variable, axis: int, *, inc: bool = False, checked: bool = False
) -> Variable:
    """``x`` with the slice replaced by ``y`` (or ``y`` added to it); ``y`` has the shape of the slice."""
    return _set_slice(x, y, start, step, axis=axis, inc=inc, checked=checked)


# ------------------------------------------------------------------------------------------------ Python's slices


def wrap(i: Size, n: Size) -> Size:
    """``i``, counted from the end if it is negative."""
    if isinstance(i, int):
        return i if i >= 0 else add(n, i)
    return select(ew.lt(i, 0), add(i, n), i)


def _clip(i: Size, n: Size, low: Size, high: Size) -> Size:
    """End ``i`` of a slice of an axis of extent ``n``, as Python clips it."""
    if isinstance(i, int) and i == 0 and isinstance(low, int) and low == 0:
        return 0
    inside = wrap(i, n)
    if not (isinstance(i, int) and i < 0):
        inside = minimum(inside, high)
    is_above = isinstance(i, int) and i >= 0 and isinstance(low, int) and low == 0
    return inside if is_above else maximum(inside, low)


def span(key: slice, x: Variable, axis: int) -> tuple[Size, Size, Size]:
    """(start, length, step) of a Python slice of an axis: Python's semantics exactly."""
    n = extents(x)[axis]
    what = "an end or the step of a slice"
    start, stop, step = (None if e is None else size(integer_scalar(e, what)) for e in (key.start, key.stop, key.step))
    step = 1 if step is None else step
    _check_step(variables([step])[0], x)
    if isinstance(n, int) and not any(isinstance(e, Variable) for e in (start, stop, step)):
        first, last, by = slice(start, stop, step).indices(n)
        return first, len(range(first, last, by)), by
    from_start = start is None or (isinstance(start, int) and start == 0)
    if from_start and stop is None and isinstance(step, int) and step == 1:
        return 0, n, 1
    low, high, sign = _reach(step, n)
    default = (low, high) if not isinstance(step, int) or step > 0 else (high, low)
    if not isinstance(step, int):
        forward = ew.lt(0, step)
        default = select(forward, low, high), select(forward, high, low)
    begin = default[0] if start is None else _clip(start, n, low, high)
    end = default[1] if stop is None else _clip(stop, n, low, high)
    count = floordiv(add(sub(end, begin), sub(step, sign)), step)
    return begin, maximum(count, 0), step


def _reach(step: Size, n: Size) -> tuple[Size, Size, Size]:
    """(least end, greatest end, sign of the step)."""
    if isinstance(step, int):
        return (0, n, 1) if step > 0 else (-1, sub(n, 1), -1)
    forward = ew.lt(0, step)
    return select(forward, 0, -1), select(forward, n, sub(n, 1)), select(forward, 1, -1)


def is_full(sizes: Sequence[Size], n: Size) -> bool:
    """Whether (start, length, step) is known to be the whole axis of extent ``n``."""
    start, length, step = sizes
    return same([start, length, step], [0, n, 1])

"""``x[...]`` and what is written through it: set_subtensor, inc_subtensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.coercion import as_variable, common_dtype, convert, holds_variable
from symgraph.errors import ArgumentError, AxisError, DTypeError, layout
from symgraph.graph import Apply, Constant, Variable, constant, describe, in_code, label
from symgraph.op import attach
from symgraph.ops import elementwise as ew
from symgraph.ops.broadcast import broadcast_like
from symgraph.ops.gather import gather, put
from symgraph.ops.mask import check_mask, is_mask, is_selected, selected, without_mask
from symgraph.ops.mask import write as write_selected
from symgraph.ops.search import nonzero
from symgraph.ops.shape import extents, inverse, permute
from symgraph.ops.slicing import check_index, indexed, is_full, set_slice, span, take_slice, wrap
from symgraph.origin import here_excerpt
from symgraph.types import is_integer

__all__ = ["set_subtensor", "inc_subtensor"]

# ------------------------------------------------------------------------------------------------ reading the key

Entry = slice | int | Variable | None  # a slice, an integer, an integer array or scalar, a new axis


def _entries(x: Variable, key: object) -> tuple[list[Entry], int]:
    """The parts of an index, one for each axis of ``x`` (new axes between them), ellipses and masks written out.

    The number says before which part the ellipsis stood: it keeps index arrays apart even where it means no axis.
    """
    parts = list(key) if isinstance(key, tuple) else [key]
    gap = [k for k, part in enumerate(parts) if part is Ellipsis]
    if len(gap) > 1:
        raise AxisError(f"{label(x)}[...]: an index can have only one ellipsis\nwrite ':' for single axes")
    first, last = (parts[: gap[0]], parts[gap[0] + 1 :]) if gap else (parts, [])
    missing = x.ndim - sum(map(_axes_of, first + last))
    if missing < 0:
        raise AxisError(
            layout(f"{x.ndim - missing} indices are given for {label(x)}, which has rank {x.ndim}", [describe(x)],
                   here_excerpt(), f"give at most {x.ndim}")
        )  # fmt: skip
    front, back = _written_out(x, first, 0), _written_out(x, last, x.ndim - sum(map(_axes_of, last)))
    return [*front, *[slice(None)] * missing, *back], len(front)


def _axes_of(part: Any) -> int:
    """How many axes a part of an index is about: none, one, or those of a mask."""
    if part is None:
        return 0
    if is_mask(part):
        return int(part.ndim)
    if isinstance(part, Constant):
        part = part.data
    if isinstance(part, list) and not holds_variable(part):
        part = np.asarray(part)
    return part.ndim if isinstance(part, np.ndarray) and part.dtype == bool else 1


def _written_out(x: Variable, parts: Sequence[Any], axis: int) -> list[Entry]:
    """The entries of adjacent parts, the first of which is about ``axis``."""
    found: list[Entry] = []
    for part in parts:
        found += _entry(x, part, axis)
        axis += _axes_of(part)
    return found


def _entry(x: Variable, part: Any, axis: int) -> list[Entry]:
    if part is None or isinstance(part, slice):
        return [part]
    if isinstance(part, int | np.integer) and not isinstance(part, bool | np.bool_):
        return [int(part)]
    index = _index_array(x, part)
    if index.dtype == "bool":
        return list(_nonzero(x, index, axis))
    if isinstance(index, Constant) and index.ndim == 0:
        return [int(index.data)]
    return [index]


def _index_array(x: Variable, part: Any) -> Variable:
    if isinstance(part, list) and not holds_variable(part) and np.size(part) == 0:
        part = np.zeros(np.shape(part), "int64")
    index = as_variable(part)
    if not is_integer(index.dtype) and index.dtype != "bool":
        raise DTypeError(
            layout(f"an index of {label(x)} is {index.type}; an index must be of integers", [describe(index)],
                   here_excerpt(), f"cast it: {in_code(index, 'i')}.astype('int64')")
        )  # fmt: skip
    return index


def _nonzero(x: Variable, mask: Variable, axis: int) -> list[Variable]:
    """The index arrays of a mask."""
    if not mask.ndim:
        raise DTypeError(
            layout(f"{label(x)}[mask]: the mask is a scalar", [describe(mask)], here_excerpt(),
                   "keep the shape with switch(mask, x, 0)")
        )  # fmt: skip
    check_mask(x, mask, axis)
    if not isinstance(mask, Constant):
        return list(nonzero(mask))
    return [constant(i.astype("int64")) for i in np.nonzero(mask.data)]


# ------------------------------------------------------------------------------------------------ x[...]


@dataclass
class _Reading:
    """An index expression being built: its first op is marked, so that writing finds the base."""

    value: Variable
    started: bool = False

    def head(self) -> bool:
        """Whether the next op is the first."""
        first, self.started = not self.started, True
        return first

    def slice(self, key: slice, axis: int) -> None:
        """Take a slice; the whole axis needs no op."""
        sizes = span(key, self.value, axis)
        if not is_full(sizes, extents(self.value)[axis]):
            self.value = take_slice(self.value, *sizes, axis, head=self.head())

    def item(self, i: int | Variable, axis: int) -> None:
        """Take one element, its axis kept with extent 1."""
        n = extents(self.value)[axis]
        if isinstance(i, int) and isinstance(n, int):
            check_index(i, n, axis, indexed(self.value) if self.started else self.value)
        start = wrap(i if isinstance(i, int) else convert(i, "int64"), n)
        self.value = take_slice(self.value, start, 1, 1, axis, checked=True, head=self.head())


def subtensor(x: Any, key: Any) -> Variable:
    """``x[key]`` by NumPy's rules.

    Parameters
    ----------
    x : Variable
    key : int, slice, None, Ellipsis, integer array, mask; or a tuple of these
        Integers, ends and steps may be variables; negative ones count from the end. How many elements
        a mask selects depends on data (see ``nonzero``), but that number is not needed to write them,
        ``set_subtensor(x[mask], y)``, or to sum them, ``x[mask].sum()``.

    Returns
    -------
    Variable, same dtype.

    Raises
    ------
    IndexOutOfRange
        If an index is out of range: when built if that is known, else when the function is called.
    AxisError
        If there are more indices than axes.
    DTypeError
        If an index is not of integers.
    """
    parts = list(key) if isinstance(key, tuple) else [key]
    alone = without_mask(parts) if any(map(is_mask, parts)) else None
    if alone is not None:
        return _with_mask(as_variable(x), parts, *alone)
    entries, gap = _entries(as_variable(x), key)
    reading = _Reading(as_variable(x))
    arrays = any(isinstance(e, Variable) and e.ndim for e in entries)
    for axis, e in enumerate([e for e in entries if e is not None]):
        if isinstance(e, slice):
            reading.slice(e, axis)
        elif not arrays:
            reading.item(e, axis)
    if arrays:
        return _with_arrays(reading, entries, gap)
    if not reading.started and reading.value.ndim and None not in entries:
        reading.value = take_slice(reading.value, 0, extents(reading.value)[0], 1, 0, head=True)
    return permute(reading.value, _kept(entries))


def _with_mask(x: Variable, parts: Sequence[Any], rest: Sequence[Any], mask: Variable, k: int) -> Variable:
    """The other parts first, then the mask, which was part ``k``, on the axes that they leave."""
    whole = subtensor(x, tuple(rest))
    before, after = parts[:k], parts[k + 1 :]
    lead = whole.ndim - mask.ndim - _width(after) if any(p is Ellipsis for p in before) else _width(before)
    return selected(whole, mask, lead)


def _width(parts: Sequence[Any]) -> int:
    """How many axes of the result come from slices and new axes."""
    return sum(part is None or isinstance(part, slice) for part in parts)


def _kept(entries: Sequence[Entry]) -> tuple[int | None, ...]:
    """The pattern that drops the axes of single elements and inserts the new ones."""
    pattern: list[int | None] = []
    axis = 0
    for e in entries:
        if e is None:
            pattern.append(None)
            continue
        if isinstance(e, slice):
            pattern.append(axis)
        axis += 1
    return tuple(pattern)


def _with_arrays(reading: _Reading, entries: Sequence[Entry], gap: int) -> Variable:
    """Integers and arrays together: their common axes stand where the arrays do, or first if these are apart."""
    x = reading.value
    axes = [e for e in entries if e is not None]
    chosen = tuple(k for k, e in enumerate(axes) if not isinstance(e, slice))
    indices = [e if isinstance(e, Variable) else constant(e, "int64") for e in axes if not isinstance(e, slice)]
    taken = gather(x, indices, chosen, head=reading.head())
    lead = taken.ndim - (x.ndim - len(chosen))
    places = [k for k, e in enumerate(entries) if e is not None and not isinstance(e, slice)]
    together = places[-1] - places[0] == len(places) - 1 and not places[0] < gap <= places[-1]
    rest = iter(range(lead, taken.ndim))
    pattern: list[int | None] = [] if together else list(range(lead))
    for k, e in enumerate(entries):
        if together and k == places[0]:
            pattern += range(lead)
        if k not in places:
            pattern.append(None if e is None else next(rest))
    return permute(taken, tuple(pattern))


# ------------------------------------------------------------------------------------------------ writing

Write = Callable[[Variable], Variable]


def set_subtensor(x: Any, y: Any) -> Variable:
    """The base of ``x[...]`` with the elements that the index selects replaced by ``y``.

    >>> set_subtensor(x[2:5], 0)

    Parameters
    ----------
    x : Variable
        An index expression ``base[...]``.
    y : Variable or array_like
        Broadcasts to its shape; where an index array holds a place twice, the last value wins.

    Returns
    -------
    Variable, type of the base.

    Raises
    ------
    ArgumentError
        If ``x`` is no index expression.
    DTypeError
        If the dtype of ``y`` does not fit that of the base.
    ShapeError
        If ``y`` does not broadcast.
    """
    return _written(as_variable(x), y, "set_subtensor", inc=False)


def inc_subtensor(x: Any, y: Any) -> Variable:
    """The base of ``x[...]`` with ``y`` added to the elements that the index selects.

    >>> inc_subtensor(w[i], -lr * g)

    Parameters
    ----------
    x : Variable
        An index expression ``base[...]``.
    y : Variable or array_like
        Broadcasts to its shape; where an index array holds a place twice, both are added.

    Returns
    -------
    Variable, type of the base.

    Raises
    ------
    ArgumentError
        If ``x`` is no index expression.
    DTypeError
        If the dtype of ``y`` does not fit that of the base.
    ShapeError
        If ``y`` does not broadcast.
    """
    return _written(as_variable(x), y, "inc_subtensor", inc=True)


def _written(x: Variable, y: Any, name: str, inc: bool) -> Variable:
    _check_is_index(x, name)
    if common_dtype([x, y]) != x.dtype:
        value = as_variable(y)
        raise DTypeError(
            layout(f"{name}({label(x)}, {label(value)}): {value.dtype} does not fit {x.dtype}",
                   [describe(x), describe(value)], here_excerpt(),
                   f"cast the base, or give a value of {x.dtype}")
        )  # fmt: skip
    value = _led(convert(y, x.dtype), x.ndim)
    if is_selected(x):
        x, value = write_selected(x, value, inc)
        return _through(x, value, inc=False)
    return _through(x, broadcast_like(value, x, name), inc)


def _led(y: Variable, rank: int) -> Variable:
    """``y`` without first axes of extent 1 that the place it goes to has not."""
    extra = max(y.ndim - rank, 0)
    if extra and all(n == 1 for n in y.type.shape[:extra]):
        return permute(y, tuple(range(extra, y.ndim)))
    return y


def _check_is_index(x: Variable, name: str) -> None:
    node = x.owner.inputs[0].owner if is_selected(x) and x.owner is not None else x.owner
    inserted = []
    while node is not None and node.op.name in _WRITE and not node.attrs.get("head"):
        inserted.append(_only_inserts(node))
        node = node.inputs[0].owner
    if (node is None or node.op.name not in _WRITE) and not (inserted and all(inserted)):
        raise ArgumentError(
            layout(f"{name}: the first argument, {label(x)}, is no index expression", [describe(x)], here_excerpt(),
                   f"write {name}(x[i], y)")
        )  # fmt: skip


def _only_inserts(node: Apply) -> bool:
    """Whether an op is ``x[:, None]``: then it is an index expression, though nothing is selected."""
    pattern = node.attrs.get("pattern", ())
    return [p for p in pattern if p is not None] == list(range(node.inputs[0].ndim))


def _through(x: Variable, y: Variable, inc: bool) -> Variable:
    """Write ``y`` into the base through the ops of an index expression, the last one first.

    Only the last op adds; what it gives replaces what the ops before it had selected.
    """
    while True:
        node = x.owner
        if node is None or node.op.name not in _WRITE:
            return ew.add(x, y) if inc else y
        y, inc = _WRITE[node.op.name](node, y, inc)
        if node.attrs.get("head"):
            return y
        x = node.inputs[0]


def _write_slice(node: Apply, y: Variable, inc: bool) -> tuple[Variable, bool]:
    x, start, _, step = node.inputs
    return set_slice(x, y, start, step, node.attrs["axis"], inc=inc, checked=node.attrs["checked"]), False


def _write_gather(node: Apply, y: Variable, inc: bool) -> tuple[Variable, bool]:
    return put(node.inputs[0], y, node.inputs[1:], node.attrs["axes"], inc=inc), False


def _write_dimshuffle(node: Apply, y: Variable, inc: bool) -> tuple[Variable, bool]:
    return permute(y, inverse(node.attrs["pattern"], node.inputs[0].ndim)), inc


_WRITE: dict[str, Callable[[Apply, Variable, bool], tuple[Variable, bool]]] = {
    "slice": _write_slice, "gather": _write_gather, "dimshuffle": _write_dimshuffle,
}  # fmt: skip

attach("__getitem__", subtensor)
attach("set", set_subtensor)
attach("inc", inc_subtensor)

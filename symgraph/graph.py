"""The graph: Variable, Apply, Constant, and iterative walks over them.

Nodes are interned: ``Apply(op, inputs, attrs)`` with the same op, inputs and attributes is the same object, so common
subexpressions merge by construction. Every walk is iterative: a chain of 10,000 ops is no deeper than one of ten.
"""

from __future__ import annotations

import struct
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.errors import SymbolicTruthError, layout
from symgraph.origin import Origin, here, here_excerpt, made_again, made_at
from symgraph.types import Shape, TensorType, canonical, check_unmasked, complex_of

if TYPE_CHECKING:
    from symgraph.op import Op

Attr = Any  # attributes are hashable values of an op's own choosing: int, float, str, bool, None, tuples of these
SMALL = 1024  # bytes up to which constants merge by value

# ------------------------------------------------------------------------------------------------ variables


_TRUTH_MEND = (
    "use & | ~ for and, or, not; (0 < x) & (x < 1) for a chain; symgraph.maximum for max; "
    "symgraph.switch(cond, a, b) to choose"
)


class Variable:
    """A value: an input if ``owner`` is None, else output ``slot`` of ``owner``.

    Equality and hash are identity. Operators and methods are attached by the declarations of the ops.
    """

    __slots__ = ("__weakref__", "name", "origin", "owner", "slot", "type")
    __array_priority__ = 1000.0
    leaf_kind = "input"  # what a message calls one without an owner
    type: TensorType
    owner: Apply | None
    slot: int
    name: str | None
    origin: Origin | None

    def __init__(
        self, type: TensorType, owner: Apply | None = None, slot: int = 0, name: str | None = None
    ) -> None:
        self.type, self.owner, self.slot, self.name = type, owner, slot, name
        self.origin = owner.origin if owner is not None else here()

    @property
    def dtype(self) -> str:
        """Element type, as a name."""
        return self.type.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.type.ndim

    @property
    def static_shape(self) -> Shape:
        """The extents as far as they are known: None for one that is not."""
        return self.type.shape

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Variable):
            return self is other
        raise SymbolicTruthError(_no_value(self, f"comparing {other!r} with", "use symgraph.eq({x}, y) for the values"))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __bool__(self) -> bool:
        raise SymbolicTruthError(_no_value(self, "the truth of", _TRUTH_MEND))

    def __float__(self) -> float:
        raise SymbolicTruthError(_no_value(self, "float() of", "use {x}.eval({{...}}) or {x}.astype('float64')"))

    def __int__(self) -> int:
        raise SymbolicTruthError(_no_value(self, "int() of", "use {x}.eval({{...}}) or {x}.astype('int64')"))

    def __index__(self) -> int:
        raise SymbolicTruthError(_no_value(self, "the integer value of", "use {x}.eval({{...}}), or leave it symbolic"))

    def __len__(self) -> int:
        if self.ndim and self.type.shape[0] is not None:
            return self.type.shape[0]
        raise SymbolicTruthError(_no_value(self, "len() of", "use {x}.shape[0]"))

    def __contains__(self, item: object) -> bool:
        raise SymbolicTruthError(_no_value(self, "'in' on", "use symgraph.eq({x}, item).any()"))

    def __iter__(self) -> Iterator[Variable]:
        if self.ndim and self.type.shape[0] is not None:
            return iter([self[k] for k in range(self.type.shape[0])])  # type: ignore[index]
        mend = "give its length in the type, symgraph.tensor(name, dtype, shape=(n, ...)); or take elements, {x}[k]"
        raise SymbolicTruthError(_no_value(self, "iterating over", mend))

    def __setitem__(self, key: object, value: object) -> None:
        raise SymbolicTruthError(_no_value(self, "assigning to elements of", "use y = {x}[i].set(v) or {x}[i].inc(v)"))

    def __repr__(self) -> str:
        return f"<{label(self)}: {self.type}>"

    def __copy__(self) -> Variable:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        if self.owner is None:
            return made_again, (self.origin, _leaf, (self.type, self.name))
        places: dict[Origin | None, int] = {}
        where = [places.setdefault(node.origin, len(places)) for node in toposort([self])]
        return _revive, (flatten([self]), list(places), where)


def printable(name: str) -> str:
    """A name for a line of text: what would break the line, or speak to the terminal, is written as an escape."""
    return name if name.isprintable() else name.encode("unicode_escape").decode()


def label(v: Variable) -> str:
    """What to call a variable in a message."""
    if v.name:
        return printable(v.name)
    if isinstance(v, Constant):
        return str(v.data) if v.data.size == 1 else "constant"
    return f"{v.owner.op.name}(...)" if v.owner is not None else "input"


def in_code(v: Variable, other: str = "x") -> str:
    """What to call a variable in a line of code that a message suggests: its name, or ``other`` if it has none."""
    return v.name if v.name and v.name.isidentifier() else other


def _no_value(v: Variable, what: str, mend: str) -> str:
    headline = f"{what} {label(v)}: it is a symbol and has no value yet"
    return layout(headline, [describe(v)], here_excerpt(), mend.format(x=in_code(v)))


def describe(v: Variable) -> str:
    """One line of an error: name, type, kind and place."""
    made = v.owner.op.name if v.owner is not None else v.leaf_kind
    # a small constant is one object for all who wrote it: where the first of them stood says nothing here
    is_common = isinstance(v, Constant) and v.name is None and v.data.nbytes <= SMALL
    return f"{label(v)}  {v.type}   {made}{f', {v.origin}' if v.origin and not is_common else ''}"


class Constant(Variable):
    """A value known now; ``data`` is a read-only array. Small ones merge by bits."""

    __slots__ = ("data",)
    leaf_kind = "constant"
    data: np.ndarray

    def __bool__(self) -> bool:
        return bool(self.data)

    def __int__(self) -> int:
        return int(self.data)

    def __float__(self) -> float:
        return float(self.data)

    def __index__(self) -> int:
        return self.data.__index__()

    def __reduce__(self) -> tuple[object, ...]:
        return constant, (np.asarray(self.data), None, self.name)


_constants: weakref.WeakValueDictionary[tuple[object, ...], Constant] = weakref.WeakValueDictionary()


def constant(value: object, dtype: object = None, name: str | None = None) -> Constant:
    """A constant from an array, a nested list or a scalar.

    Parameters
    ----------
    value : array_like
    dtype : str, optional
        Default: the array's own; floatX for Python floats.
    """
    check_unmasked(value)
    data = np.array(value, dtype=_constant_dtype(value, dtype), order="C")
    canonical(data.dtype)
    if not data.dtype.isnative:
        data = data.astype(data.dtype.newbyteorder("="))
    data.flags.writeable = False
    if data.nbytes > SMALL or name is not None:
        return _constant(data, name)
    key = (data.dtype.name, data.shape, data.tobytes())
    found = _constants.get(key)
    return _constants.setdefault(key, _constant(data, None)) if found is None else found


def _constant_dtype(value: object, dtype: object) -> str | None:
    if dtype is not None:
        return canonical(dtype)
    kind = np.asarray(value).dtype if isinstance(value, float | complex | list | tuple) else None
    if kind == np.complex128:
        return complex_of(canonical("floatX"))
    return canonical("floatX") if kind == np.float64 else None


def _constant(data: np.ndarray, name: str | None) -> Constant:
    new = Constant(TensorType(data.dtype.name, data.shape), name=name)
    new.data = data
    return new


def _leaf(type: TensorType, name: str | None) -> Variable:
    return Variable(type, name=name)


# ------------------------------------------------------------------------------------------------ apply


class Apply:
    """``op`` applied to ``inputs`` with ``attrs``; made through ``apply``, which interns it.

    Attributes
    ----------
    op : Op
    inputs : tuple of Variable
    attrs : dict
        Read-only by convention.
    outputs : tuple of Variable
    origin : Origin or None
        Where the user first wrote it.
    """

    __slots__ = ("__weakref__", "attrs", "inputs", "op", "origin", "outputs")
    op: Op
    inputs: tuple[Variable, ...]
    attrs: dict[str, Attr]
    outputs: tuple[Variable, ...]
    origin: Origin | None

    def __repr__(self) -> str:
        return f"{self.op.name}({', '.join(map(label, self.inputs))})"


_nodes: weakref.WeakValueDictionary[tuple[object, ...], Apply] = weakref.WeakValueDictionary()


def bits(value: Attr) -> object:
    """A key that tells 1 from True and 0.0 from -0.0."""
    if isinstance(value, float):
        return "float", struct.pack("<d", value)
    if isinstance(value, tuple):
        return tuple(map(bits, value))
    return type(value).__name__, value


def apply(op: Op, inputs: Sequence[Variable], attrs: Mapping[str, Attr] | None = None) -> Apply:
    """The node of ``op`` on ``inputs``: an existing one if there is one."""
    attrs = dict(attrs or {})
    key = (op, tuple(map(id, inputs)), tuple((k, bits(v)) for k, v in sorted(attrs.items())))
    found = _nodes.get(key)
    if found is not None:
        return found
    node = Apply()
    node.op, node.inputs, node.attrs, node.origin = op, tuple(inputs), attrs, here()
    node.outputs = tuple(Variable(t, node, slot) for slot, t in enumerate(op.types(node.inputs, attrs)))
    return _nodes.setdefault(key, node)


# ------------------------------------------------------------------------------------------------ walks


@dataclass(frozen=True)
class Graph:
    """A function to be: what it takes and what it gives."""

    inputs: tuple[Variable, ...]
    outputs: tuple[Variable, ...]


def toposort(outputs: Iterable[Variable], leaves: Iterable[Variable] = ()) -> list[Apply]:
    """Every node that ``outputs`` need, inputs first; the walk stops at ``leaves``."""
    stop = set(leaves)
    seen: set[Apply] = set()
    order: list[Apply] = []
    stack = [(v.owner, False) for v in reversed(list(outputs)) if v not in stop]
    while stack:
        node, ready = stack.pop()
        if node is None:
            continue
        if ready:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((v.owner, False) for v in reversed(node.inputs) if v not in stop)
    return order


def leaves(outputs: Iterable[Variable]) -> list[Variable]:
    """The variables without an owner that ``outputs`` depend on, each once, in order of first use."""
    outputs = list(outputs)
    found = dict.fromkeys(v for node in toposort(outputs) for v in node.inputs if v.owner is None)
    found.update(dict.fromkeys(v for v in outputs if v.owner is None))
    return list(found)


def substitute(outputs: Sequence[Variable], replace: Mapping[Variable, Variable]) -> list[Variable]:
    """``outputs`` with variables replaced (whole subgraphs too); everything above is rebuilt with its origin."""
    return transform(outputs, lambda v: replace.get(v))


def transform(
    outputs: Sequence[Variable],
    replace: Callable[[Variable], Variable | None],
    rebuild: Callable[[Apply, Sequence[Variable]], Sequence[Variable]] | None = None,
) -> list[Variable]:
    """``outputs`` rebuilt, inputs first.

    ``replace`` sees each variable of the old graph and may give the new one, ``rebuild`` each node with its new inputs
    (by default the same op on them).
    """
    done: dict[Variable, Variable] = {}

    def image(v: Variable) -> Variable | None:
        if v not in done:
            given = replace(v)
            if given is None and v.owner is None:
                given = v
            if given is None:
                return None
            done[v] = given
        return done[v]

    stack = list(reversed(list(outputs)))
    while stack:
        v = stack[-1]
        if image(v) is not None:
            stack.pop()
            continue
        node = v.owner
        assert node is not None
        missing = [i for i in node.inputs if image(i) is None]
        if missing:
            stack.extend(reversed(missing))
            continue
        new = (rebuild or _same_op)(node, [done[i] for i in node.inputs])
        done.update(zip(node.outputs, new, strict=True))
    return [done[v] for v in outputs]


def _same_op(node: Apply, inputs: Sequence[Variable]) -> Sequence[Variable]:
    if all(a is b for a, b in zip(node.inputs, inputs, strict=True)):
        return node.outputs
    with made_at(node.origin):
        return apply(node.op, inputs, node.attrs).outputs


# ------------------------------------------------------------------------------------------------ flat form

Flat = tuple[list[Variable], list[tuple["Op", list[tuple[int, int]], dict[str, Attr]]], list[tuple[int, int]]]


def flatten(outputs: Sequence[Variable]) -> Flat:
    """Leaves, nodes as (op, input references, attrs), output references; a reference is (node or -1, position)."""
    base = leaves(outputs)
    where: dict[Variable, tuple[int, int]] = {v: (-1, k) for k, v in enumerate(base)}
    rows = []
    for k, node in enumerate(toposort(outputs)):
        rows.append((node.op, [where[v] for v in node.inputs], node.attrs))
        where.update({v: (k, v.slot) for v in node.outputs})
    return base, rows, [where[v] for v in outputs]


def _revive(flat: Flat, places: Sequence[Origin | None], where: Sequence[int]) -> Variable:
    """The first output of a flat graph, whose nodes were made at ``places[where[k]]``."""
    base, rows, outputs = flat
    made: list[Sequence[Variable]] = []

    def at(ref: tuple[int, int]) -> Variable:
        return base[ref[1]] if ref[0] < 0 else made[ref[0]][ref[1]]

    for (op, inputs, attrs), k in zip(rows, where, strict=True):
        with made_at(places[k]):
            made.append(apply(op, [at(r) for r in inputs], attrs).outputs)
    return at(outputs[0])

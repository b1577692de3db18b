"""Terms: what an ``Expr`` is, how equal ones become one object, and the table of primitives that they are made of."""

from __future__ import annotations

import operator
import os
import struct
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Union

import numpy as np

from symgraph.errors import DTypeError, SymbolicTruthError
from symgraph.types import is_float, is_integer, weak_dtype

Number = bool | int | float
Names = frozenset[str | int]
Operand = Union["Expr", Number]
INDEX = "int64"


class Expr:
    """One scalar term. Never constructed directly: use ``const``, ``axis``, ``load`` and the primitives.

    Attributes
    ----------
    prim : str
        "const", "axis", "load", or a name in ``PRIMS``.
    args : tuple of Expr
        Operands; for a load, its indices.
    dtype : str
    value : bool, int, float, str
        The constant, the axis's name, or the load's slot (a number in formulas, a buffer's name in kernels).
    names : frozenset of str and int
        The axes and slots that stand in the term: a walk can pass over terms without those it looks for.
    """

    __slots__ = ("__weakref__", "args", "dtype", "names", "prim", "value")
    prim: str
    args: tuple[Expr, ...]
    dtype: str
    value: Number | str | None
    names: Names

    def __add__(self, other: Operand) -> Expr:
        return apply("add", self, other)

    def __radd__(self, other: Operand) -> Expr:
        return apply("add", other, self)

    def __sub__(self, other: Operand) -> Expr:
        return apply("sub", self, other)

    def __rsub__(self, other: Operand) -> Expr:
        return apply("sub", other, self)

    def __mul__(self, other: Operand) -> Expr:
        return apply("mul", self, other)

    def __rmul__(self, other: Operand) -> Expr:
        return apply("mul", other, self)

    def __truediv__(self, other: Operand) -> Expr:
        return apply("div", self, other)

    def __rtruediv__(self, other: Operand) -> Expr:
        return apply("div", other, self)

    def __floordiv__(self, other: Operand) -> Expr:
        return apply("floordiv", self, other)

    def __mod__(self, other: Operand) -> Expr:
        return apply("mod", self, other)

    def __neg__(self) -> Expr:
        return apply("neg", self)

    def __invert__(self) -> Expr:
        return apply("not", self)

    def __and__(self, other: Operand) -> Expr:
        return apply("and", self, other)

    def __or__(self, other: Operand) -> Expr:
        return apply("or", self, other)

    def __xor__(self, other: Operand) -> Expr:
        return apply("xor", self, other)

    def __lshift__(self, other: Operand) -> Expr:
        return apply("shl", self, other)

    def __rshift__(self, other: Operand) -> Expr:
        return apply("shr", self, other)

    def __lt__(self, other: Operand) -> Expr:
        return apply("lt", self, other)

    def __le__(self, other: Operand) -> Expr:
        return apply("le", self, other)

    def __gt__(self, other: Operand) -> Expr:
        return apply("lt", other, self)

    def __ge__(self, other: Operand) -> Expr:
        return apply("le", other, self)

    def __bool__(self) -> bool:
        raise SymbolicTruthError("the truth of a scalar expression is not known yet; use symgraph.switch(cond, a, b)")

    def __float__(self) -> float:
        raise SymbolicTruthError("a scalar expression has no value yet; use symgraph's own functions: symgraph.exp(x)")

    def __repr__(self) -> str:
        return show(self)


# ------------------------------------------------------------------------------------------------ interning

Key = tuple[str, tuple[Expr, ...], str, object]


class _Entry(weakref.ref[Expr]):
    """A term in the table, and its key there."""

    __slots__ = ("key",)
    key: Key


# What WeakValueDictionary does, at a third of its time: a compilation looks up some hundred thousand terms.
_interned: dict[Key, _Entry] = {}
_lock = threading.RLock()  # for changes of the table; taken again where the collector runs inside one
if hasattr(os, "register_at_fork"):  # a child must not inherit it taken
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def _forget(entry: _Entry) -> None:
    with _lock:
        if _interned.get(entry.key) is entry:
            del _interned[entry.key]


def _make(prim: str, args: tuple[Expr, ...], dtype: str, value: Number | str | None = None) -> Expr:
    # -0.0 is not 0.0: floats differ by bits; 1 is not True by dtype
    key = (prim, args, dtype, _BITS(value) if type(value) is float else value)
    entry = _interned.get(key)
    found = None if entry is None else entry()
    return _enter(key, value) if found is None else found


_BITS = struct.Struct("<d").pack


def _enter(key: Key, value: Number | str | None) -> Expr:
    new = object.__new__(Expr)
    new.prim, new.args, new.dtype, _ = key
    new.value = value
    new.names = _names(new)
    entry = _Entry(new, _forget)
    entry.key = key
    with _lock:
        other = _interned.get(key)
        found = None if other is None else other()
        if found is None:
            _interned[key] = entry
    return new if found is None else found


def _names(e: Expr) -> Names:
    """What stands in ``e``; most terms share the set of an operand."""
    own: Names = frozenset((e.value,)) if e.prim in ("axis", "load") else _NO_NAMES  # type: ignore[arg-type]
    for a in e.args:
        if not a.names <= own:
            own = a.names if own <= a.names else own | a.names
    return own


_NO_NAMES: Names = frozenset()


def const(value: Number | np.generic, dtype: str) -> Expr:
    """A constant; ``value`` is rounded (float) or wrapped (integer) to ``dtype``."""
    if type(value) is int and dtype == INDEX and abs(value) < 2**63:  # most constants are: spare them NumPy
        return _make("const", (), dtype, value)
    with np.errstate(over="ignore"):
        exact = np.asarray(value).astype(dtype).item()
    return _make("const", (), dtype, exact)


def axis(name: str, dtype: str = INDEX) -> Expr:
    """The index variable ``name``; in kernels also a name bound by Let, of any dtype."""
    return _make("axis", (), dtype, name)


def load(slot: int | str, indices: Sequence[Operand], dtype: str) -> Expr:
    """The element of operand or buffer ``slot`` at ``indices``."""
    return _make("load", tuple(_lift(i, INDEX) for i in indices), dtype, slot)


def _lift(x: Operand, dtype: str) -> Expr:
    if isinstance(x, Expr):
        return x
    return const(x, INDEX if type(x) is int and dtype == INDEX else weak_dtype(x, dtype))


# ------------------------------------------------------------------------------------------------ the table

Partials = Callable[..., Sequence["Expr | None"]]


@dataclass(frozen=True)
class Prim:
    """A row of the table.

    Attributes
    ----------
    name, arity
    numpy : callable
        The meaning, on arrays of the operands' dtype.
    result : str
        "same" (as the operands), "bool", "second" (select), or "value" (cast: the dtype is an attribute).
    kinds : str
        Element types taken: any of f (float), i (integer), b (bool).
    partials : callable or None
        ``partials(*args, y)`` gives the derivative by each operand, as expressions; None where there is none.
    smooth : bool
        Whether the derivative exists everywhere in the interior of the domain.
    """

    name: str
    arity: int
    numpy: Callable[..., object]
    result: str = "same"
    kinds: str = "f"
    partials: Partials | None = None
    smooth: bool = True


PRIMS: dict[str, Prim] = {}


def kind_of(dtype: str) -> str:
    """"f", "i" or "b"."""
    return "f" if is_float(dtype) else "i" if is_integer(dtype) else "b"


def apply(name: str, *operands: Operand, dtype: str | None = None) -> Expr:
    """The primitive ``name`` on ``operands``; Python scalars take the dtype of the others.

    Parameters
    ----------
    dtype : str, optional
        The result's, for cast and bitcast.

    Raises
    ------
    DTypeError
        If the operands' dtypes differ or the primitive does not take them.
    """
    row = PRIMS[name]
    same = operands[1:] if row.result == "second" else operands
    common = next((x.dtype for x in (*same, *operands) if isinstance(x, Expr)), "float64")
    args = tuple([_lift(x, common) for x in operands])
    _check(row, args)
    out = {"same": args[-1].dtype, "bool": "bool", "second": args[-1].dtype, "value": dtype}[row.result]
    assert out is not None, f"{name} needs dtype="
    return applied(row, args, out)


def applied(row: Prim, args: tuple[Expr, ...], dtype: str) -> Expr:
    """A primitive on operands that it takes, simplified."""
    folded = _fold(row, args, dtype)
    return _make(row.name, args, dtype, dtype if row.result == "value" else None) if folded is None else folded


def _check(row: Prim, args: tuple[Expr, ...]) -> None:
    assert len(args) == row.arity, f"{row.name} takes {row.arity} operands, got {len(args)}"
    typed = args[1:] if row.result == "second" else args
    if row.result == "second" and args[0].dtype != "bool":
        raise DTypeError(f"{row.name}: the condition is {args[0].dtype}, it must be bool")
    if len({a.dtype for a in typed}) > 1:
        raise DTypeError(f"{row.name}: operands are {', '.join(a.dtype for a in args)}; they must agree")
    if typed and kind_of(typed[0].dtype) not in row.kinds:
        raise DTypeError(f"{row.name} does not take {typed[0].dtype}")


def _fold(row: Prim, args: tuple[Expr, ...], dtype: str) -> Expr | None:
    """Exact simplifications: of index arithmetic (so that addresses stay readable) and of idle casts."""
    if row.name == "cast" and args[0].dtype == dtype:
        return args[0]
    if row.name == "select" and args[1] is args[2]:
        return args[1]
    if row.name == "select" and args[0].prim == "const":
        return args[1] if args[0].value else args[2]
    if row.result == "bool" or dtype == "bool":
        return _fold_bool(row, args)
    return _fold_index(row.name, args) if dtype == INDEX and row.arity == 2 else None


def _fold_bool(row: Prim, args: tuple[Expr, ...]) -> Expr | None:
    constants = [a for a in args if a.prim == "const"]
    if len(constants) == len(args) and args[0].dtype in ("bool", INDEX):
        return const(bool(row.numpy(*[np.asarray(a.value, a.dtype) for a in args])), "bool")
    if row.name in ("and", "or") and constants and args[0].dtype == "bool":
        c, other = (args[0], args[1]) if args[0] is constants[0] else (args[1], args[0])
        return other if bool(c.value) == (row.name == "and") else c
    return None


def _fold_index(name: str, args: tuple[Expr, ...]) -> Expr | None:
    a, b = args
    if a.prim == b.prim == "const":
        return const(_index_arithmetic(name, a.value, b.value), INDEX)  # type: ignore[arg-type]
    if name == "add" and a.prim == "const" and a.value == 0:
        return b
    if name in ("add", "sub") and b.prim == "const" and b.value == 0:
        return a
    if name in ("mul", "floordiv") and b.prim == "const" and b.value == 1:
        return a
    if name == "mul" and a.prim == "const" and a.value == 1:
        return b
    if (name == "mul" and any(c.prim == "const" and c.value == 0 for c in args)) or (
        name == "mod" and b.prim == "const" and b.value == 1
    ):
        return const(0, INDEX)
    return None


_EXACT: dict[str, Callable[[int, int], int]] = {"add": operator.add, "sub": operator.sub, "mul": operator.mul}


def _index_arithmetic(name: str, a: int, b: int) -> int:
    if name in _EXACT and abs(exact := _EXACT[name](a, b)) < 2**63:  # nearly always: spare it NumPy
        return exact
    with np.errstate(all="ignore"):
        return int(PRIMS[name].numpy(np.int64(a), np.int64(b)))  # type: ignore[call-overload, no-any-return]


# ------------------------------------------------------------------------------------------------ order and text


def toposort(exprs: Iterable[Expr]) -> list[Expr]:
    """Every distinct term below ``exprs``, operands first."""
    seen: set[Expr] = set()
    order: list[Expr] = []
    stack = list(exprs)[::-1]
    while stack:
        e = stack[-1]
        pending = [] if e in seen else [a for a in e.args if a not in seen]
        if pending:
            stack += pending[::-1]
            continue
        stack.pop()
        if e not in seen:
            seen.add(e)
            order.append(e)
    return order


_INFIX = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "floordiv": "//", "mod": "%", "lt": "<", "le": "<=", "eq": "==",
    "ne": "!=", "within": "<", "and": "&", "or": "|", "xor": "^", "shl": "<<", "shr": ">>",
}  # fmt: skip


def show(e: Expr) -> str:
    """``e`` as text; shared terms are written out each time."""
    text: dict[Expr, str] = {}
    for t in toposort([e]):
        args = [text[a] for a in t.args]
        if t.prim in ("const", "axis"):
            text[t] = str(t.value)
        elif t.prim == "load":
            slot = f"x{t.value}" if isinstance(t.value, int) else str(t.value)
            text[t] = f"{slot}[{', '.join(args)}]"
        elif t.prim in _INFIX:
            text[t] = f"({args[0]} {_INFIX[t.prim]} {args[1]})"
        else:
            extra = [t.dtype] if t.prim in ("cast", "bitcast") else []
            text[t] = f"{t.prim}({', '.join([*args, *extra])})"
    return text[e]

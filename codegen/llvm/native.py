"""Native callables: what Python calls is machine code, which checks its arguments itself (``calling`` has the IR).

They read the structures of CPython and NumPy. Where these are not laid out as expected (a build without the
interpreter's lock, for debugging, of another Python), ``layout`` is None and calls go the way of Python.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from ctypes import POINTER, Structure, c_char_p, c_int, c_int64, c_ssize_t, c_void_p, py_object, pythonapi
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from codegen.llvm.accept import NUMBERS
from codegen.llvm.calling import RESULTS, calling_text
from codegen.llvm.recycle import LARGE, recycle_text
from codegen.llvm.runtime import runtime_object
from codegen.llvm.target import Library, define_symbol, load
from symgraph.shared_variable import SharedVariable
from symgraph.types import TensorType
from symgraph.varying import Varying, as_varying, capacity

# Places in NumPy's table of C functions, which never change (numpy/__multiarray_api.h).
_NUMPY = {"PyArray_NewFromDescr": 94, "PyDataMem_SetHandler": 304}


class _Object(Structure):
    _fields_ = [("references", c_ssize_t), ("kind", c_void_p), ("value", c_int64)]


class _Array(Structure):
    _fields_ = [
        ("references", c_ssize_t), ("kind", c_void_p), ("data", c_void_p), ("rank", c_int), ("shape", POINTER(c_int64)),
        ("strides", c_void_p), ("base", c_void_p), ("dtype", c_void_p), ("flags", c_int),
    ]  # fmt: skip


class _Type(Structure):
    _fields_ = [("dtype", c_void_p), ("rank", c_int64), ("shape", POINTER(c_int64)), ("bytes", c_int64)]


class _Input(Structure):
    _fields_ = [("type", _Type), ("scalar", c_void_p), ("number", c_int64), ("place", c_int64)]


class _Shared(Structure):
    _fields_ = [("type", _Type), ("named", c_void_p), ("written", c_int64)]


class _Output(Structure):
    _fields_ = [("type", _Type), ("array", c_void_p), ("allocator", c_void_p)]


class _Lock(Structure):
    _fields_ = [("owner", c_void_p), ("acquire", c_void_p), ("release", c_void_p)]


class _Length(Structure):
    _fields_ = [("input", c_int64), ("least", c_int64), ("most", c_int64), ("count", c_int64), ("places", c_void_p)]


class _Table(Structure):
    _fields_ = [("count", c_int64), ("records", c_void_p)]


class _Call(Structure):
    _fields_ = [
        ("entry", c_void_p), ("fallback", c_void_p), ("prepare", c_void_p), ("pointers", c_void_p), ("heavy", c_int64),
        ("result", c_int64), ("busy", c_int64), ("list", c_void_p), ("inputs", _Table), ("shared", _Table),
        ("outputs", _Table), ("locks", _Table), ("lengths", _Table),
    ]  # fmt: skip


class _Method(Structure):
    _fields_ = [("name", c_char_p), ("function", c_void_p), ("flags", c_int), ("doc", c_char_p)]


_FASTCALL_WITH_KEYWORDS = 0x0080 | 0x0002
_new_builtin = ctypes.PYFUNCTYPE(py_object, c_void_p, py_object, c_void_p)(("PyCFunction_NewEx", pythonapi))
_new_capsule = ctypes.PYFUNCTYPE(py_object, c_void_p, c_char_p, c_void_p)(("PyCapsule_New", pythonapi))
_capsule_pointer = ctypes.PYFUNCTYPE(c_void_p, py_object, c_char_p)(("PyCapsule_GetPointer", pythonapi))

# ------------------------------------------------------------------------------------------------ layout


@dataclass(frozen=True)
class Layout:
    """Byte offsets: of a tuple's items, of the owner of a lock (0 if free), of a shared variable's array."""

    items: int
    owner: int
    value: int


@functools.cache
def layout() -> Layout | None:
    """The layout of this interpreter's objects, or None if it is not what the native code expects."""
    if ctypes.sizeof(c_void_p) != 8 or not (_arrays_are_known() and _numbers_are_known()):
        return None
    value, lock = np.zeros(()), threading.RLock()
    item, shared = object(), SharedVariable(value, TensorType("float64", ()))
    free = _offsets(lock, 0)
    with lock:
        owners = _offsets(lock, threading.get_ident())
    found = [_offsets((item,), id(item)), [n for n in owners if n in free], _offsets(shared, id(value))]
    return Layout(*[n[0] for n in found]) if all(len(n) == 1 for n in found) else None


def _offsets(thing: object, word: int) -> list[int]:
    """Where in an object a word stands, its head left out."""
    size = max(type(thing).__basicsize__, thing.__sizeof__() if isinstance(thing, tuple) else 0)
    words = (c_int64 * (size // 8)).from_address(id(thing))
    return [8 * k for k, w in enumerate(words) if k >= 2 and w == word]


def _arrays_are_known() -> bool:
    a = np.zeros((2, 3), "float32")[:, ::2]
    seen = _Array.from_address(id(a))
    return (seen.kind, seen.data, seen.rank, seen.dtype, seen.flags) == (
        id(np.ndarray), a.__array_interface__["data"][0], 2, id(a.dtype), a.flags.num
    ) and seen.shape[:2] == [2, 2]  # fmt: skip


def _numbers_are_known() -> bool:
    numbers = [1.5, *[np.dtype(name).type(1) for name in NUMBERS]]
    return all(_is_known(number) for number in numbers)


def _is_known(number: Any) -> bool:
    data = np.asarray(number).tobytes()
    seen = _Object.from_address(id(number))
    return seen.kind == id(type(number)) and ctypes.string_at(id(number) + _Object.value.offset, len(data)) == data


def address(a: np.ndarray) -> int:
    """Where an array's data lies; NumPy takes microseconds to tell."""
    if layout() is None:
        return int(a.__array_interface__["data"][0])
    return c_void_p.from_address(id(a) + _Array.data.offset).value or 0


# ------------------------------------------------------------------------------------------------ callables


@functools.cache
def _runtime() -> Library:
    """The code of all native calls."""
    found = layout()
    assert found is not None
    table = _capsule_pointer(np._core._multiarray_umath._ARRAY_API, None)  # type: ignore[attr-defined]
    for name, place in _NUMPY.items():
        define_symbol(name, (ctypes.c_size_t * (place + 1)).from_address(table)[-1])
    define_symbol("PyArray_Type", id(np.ndarray))
    return load([runtime_object(calling_text(found.items)), runtime_object(recycle_text())])


def start() -> None:
    """Have the code of native calls ready."""
    if layout() is not None:
        _runtime()


class _Allocator(Structure):
    _fields_ = [
        ("name", ctypes.c_char * 127), ("version", ctypes.c_uint8), ("context", c_void_p), ("malloc", c_void_p),
        ("calloc", c_void_p), ("realloc", c_void_p), ("free", c_void_p),
    ]  # fmt: skip


@functools.cache
def _recycler() -> tuple[object, _Allocator]:
    """NumPy's handle of the allocator that keeps large blocks, and what it refers to."""
    code = {name: _runtime().address(f"sg_recycle_{name}") for name in ("malloc", "calloc", "realloc", "free")}
    allocator = _Allocator(name=b"symgraph", version=1, **code)
    return _new_capsule(ctypes.addressof(allocator), b"mem_handler", None), allocator


@dataclass(frozen=True)
class Callee:
    """A loaded program, as a native call sees it.

    Attributes
    ----------
    library : Library
        Its code, kept while it can be called.
    entry : int
        Address of its entry.
    inputs, shared_types, outputs : sequences of TensorType
    lengths : mapping
        Each of these, and the input whose first axis it is.
    shared : sequence of SharedVariable
    written : collection of int
        The numbers of the shared variables that the program writes.
    constants : sequence of ndarray
    arena : ndarray
        For these calls alone.
    first : int
        The address in it to start at.
    heavy : bool
        Whether to let other threads of Python run meanwhile.
    prepare : callable
        What heavy work wants done before: nothing may be locked then.
    """

    library: Library
    entry: int
    inputs: Sequence[TensorType]
    shared_types: Sequence[TensorType]
    outputs: Sequence[TensorType]
    shared: Sequence[SharedVariable]
    written: Sequence[int]
    constants: Sequence[np.ndarray]
    arena: np.ndarray
    first: int
    heavy: bool
    prepare: Callable[[], object]
    lengths: Mapping[Varying, int]


def native_call(callee: Callee, result: str, fallback: Callable[..., Any]) -> Callable[..., Any] | None:
    """A builtin that runs a program on arguments that are right as they are, and gives all else to ``fallback``.

    Parameters
    ----------
    result : "none", "one" or "list"
        What a call returns.

    Returns
    -------
    callable, or None where the interpreter has another layout than the code knows.
    """
    if layout() is None:
        return None
    table = _Keeper(callee.lengths)
    call = table.record(_Call)
    call.entry, call.fallback, call.prepare = callee.entry, table.address(fallback), table.address(callee.prepare)
    call.heavy, call.result = callee.heavy, RESULTS[result]
    call.inputs = table.records(_Input, [table.input(t) for t in callee.inputs])
    call.shared = table.records(_Shared, table.shared(callee))
    call.outputs = table.records(_Output, [table.output(t) for t in callee.outputs])
    call.locks = table.records(_Lock, table.locks(callee.shared))
    call.lengths = table.records(_Length, table.lengths(callee.lengths))
    call.pointers = table.pointers(callee)
    method = table.record(_Method)
    method.name, method.flags, method.doc = b"call", _FASTCALL_WITH_KEYWORDS, b"A compiled function."
    method.function = _runtime().address("sg_call")
    table.kept += [callee, _runtime()]
    builtin: Callable[..., Any] = _new_builtin(ctypes.addressof(method), tuple(table.kept), None)
    return builtin


class _Keeper:
    """Makes the records of a call and keeps what they point at.

    All of it goes into a tuple that the builtin holds, the array with the call first. (Neither a builtin nor a tuple
    lets go of what it has before it is freed, so nothing here ends before its last call.)
    """

    def __init__(self, lengths: Mapping[Varying, int]) -> None:
        self.kept: list[object] = []
        self.given = [np.zeros(1, np.int64) for _ in lengths]
        self.places = {n: [address(a)] for n, a in zip(lengths, self.given, strict=True)}

    def record(self, kind: Any) -> Any:
        """A structure of zeros in an array of its own."""
        memory = np.zeros(-(-ctypes.sizeof(kind) // 8), np.int64)
        self.kept.append(memory)
        return kind.from_buffer(memory)

    def address(self, thing: object) -> int:
        """Where an object is."""
        self.kept.append(thing)
        return id(thing)

    def records(self, kind: Any, given: Sequence[Any]) -> _Table:
        """A table."""
        held = (kind * len(given))(*given)
        self.kept.append(held)
        return _Table(len(given), ctypes.addressof(held))

    def type(self, t: TensorType) -> _Type:
        """A type; extents are known, or lengths that a call decides: these are written to where they stand."""
        dtype = np.dtype(t.dtype)
        shape = tuple(capacity(n or 0) for n in t.shape)
        extents = (c_int64 * max(len(shape), 1))(*shape)
        for k, n in enumerate(map(as_varying, t.shape)):
            if n is not None:
                self.places[n].append(ctypes.addressof(extents) + 8 * k)
        self.kept.append(extents)
        return _Type(self.address(dtype), len(shape), extents, prod(shape) * dtype.itemsize)

    def input(self, t: TensorType) -> _Input:
        """An input; one of a dtype that Python's numbers are not converted to takes arrays only."""
        known = t.dtype in NUMBERS
        return _Input(self.type(t), self.address(np.dtype(t.dtype).type) if known else None, NUMBERS.get(t.dtype, 0))

    def output(self, t: TensorType) -> _Output:
        """An output."""
        made = self.type(t)
        return _Output(made, None, self.address(_recycler()[0]) if made.bytes >= LARGE else None)

    def shared(self, callee: Callee) -> list[_Shared]:
        """The shared variables."""
        found = layout()
        assert found is not None
        return [
            _Shared(self.type(t), self.address(s) + found.value, k in callee.written)
            for k, (s, t) in enumerate(zip(callee.shared, callee.shared_types, strict=True))
        ]

    def lengths(self, inputs: Mapping[Varying, int]) -> list[_Length]:
        """The lengths, and the places that they go to: what the program reads, and the extents of records."""
        made = []
        for n, k in inputs.items():
            places = (c_void_p * len(self.places[n]))(*self.places[n])
            self.kept.append(places)
            made.append(_Length(k, n.least, n.capacity, len(places), ctypes.addressof(places)))
        return made

    def locks(self, shared: Sequence[SharedVariable]) -> list[_Lock]:
        """Their locks, in the order in which everybody takes them."""
        found = layout()
        assert found is not None
        return [
            _Lock(self.address(s.lock) + found.owner, self.address(s.lock.acquire), self.address(s.lock.release))
            for s in sorted(shared, key=id)
        ]

    def pointers(self, callee: Callee) -> int:
        """What the entry takes, the arena, constants and lengths filled in."""
        open_ = len(callee.inputs) + len(callee.shared) + len(callee.outputs)
        self.kept += self.given
        constants = [address(a) for a in (*callee.constants, *self.given)]
        held = (c_void_p * (1 + open_ + len(constants)))(callee.first, *[None] * open_, *constants)
        self.kept.append(held)
        return ctypes.addressof(held)

"""Calls of the host from compiled programs: ops without a formula, on whole arrays between kernels.

A program finds the address of each call's function beside its constants. What is called is Python, which takes the
interpreter's lock for as long as it works, and there NumPy (LAPACK for matrices): NumPy alone exports no C functions of
LAPACK, so the way to it is through Python, some microseconds a call.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from symgraph.graph import Apply, Attr, Variable, apply
from symgraph.host import failure
from symgraph.lazy import lazy
from symgraph.op import OPS
from symgraph.types import TensorType

_FUNCTION = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)


@dataclass(frozen=True)
class HostCall:
    """A call as the disk keeps it.

    Attributes
    ----------
    op : str
    attrs : tuple of (str, Attr)
    inputs : tuple of TensorType
        Static.
    """

    op: str
    attrs: tuple[tuple[str, Attr], ...]
    inputs: tuple[TensorType, ...]

    @staticmethod
    def of(node: Apply) -> HostCall:
        """That of a node."""
        types = tuple(v.type for v in node.op.operands(node))
        return HostCall(node.op.name, tuple(sorted(node.attrs.items())), types)

    def plain(self) -> Sequence[Any]:
        """It as JSON takes it."""
        return [self.op, self.attrs, [(t.dtype, t.shape) for t in self.inputs]]

    @lazy
    def node(self) -> Apply:
        """The op on inputs of these types."""
        return apply(OPS[self.op], [Variable(t) for t in self.inputs], dict(self.attrs))

    def run(self, memory: Sequence[np.ndarray]) -> None:
        """Compute the outputs, which are the first arrays, from the others; all are flat."""
        values = [*self.node.outputs, *self.node.inputs]
        arrays = [a[: prod(_shape(v))].reshape(_shape(v)) for a, v in zip(memory, values, strict=True)]
        count = len(self.node.outputs)
        for out, found in zip(arrays, self.node.op.reference(self.node, arrays[count:]), strict=False):
            out[...] = found


def read_call(plain: Sequence[Any]) -> HostCall:
    """The call that ``plain`` made."""
    op, attrs, inputs = plain
    return HostCall(op, _tuples(attrs), tuple(TensorType(dtype, tuple(shape)) for dtype, shape in inputs))


def _tuples(plain: Any) -> Any:
    return tuple(map(_tuples, plain)) if isinstance(plain, list) else plain


def _shape(v: Variable) -> tuple[int, ...]:
    return tuple(n or 0 for n in v.type.shape)


class _Address(ctypes.Structure):
    _fields_ = [("function", _FUNCTION)]


class Callback:
    """A call as a native function.

    Attributes
    ----------
    address : ndarray
        One pointer: to a function that takes a table of pointers and gives 0, or 1 if it failed.
    """

    def __init__(self, call: HostCall) -> None:
        self._call = call
        # the array holds the structure, and that the function
        self.address: np.ndarray = np.frombuffer(memoryview(_Address(_FUNCTION(self._run))), np.uintp)
        self._thread = threading.local()

    def _run(self, table: int) -> int:
        node = self._call.node
        values = [*node.outputs, *node.inputs]
        pointers = (ctypes.c_void_p * len(values)).from_address(table)
        try:
            self._call.run([_array(p, v) for p, v in zip(pointers, values, strict=True)])
        except BaseException as error:  # nothing may leave: the caller is machine code
            self._thread.error = error
            return 1
        return 0

    def raise_interrupt(self) -> None:
        """Raise what stopped this thread's last call if it was no failure, as Ctrl-C is: nobody has been told yet."""
        error = vars(self._thread).get("error")
        if error is not None and not isinstance(error, Exception):
            del self._thread.error
            raise error

    def failure(self, node: Apply) -> BaseException:
        """What stopped this thread's last call, said of ``node``."""
        error: BaseException = vars(self._thread).pop("error")
        cause = error.__cause__
        return failure(node, cause) if isinstance(cause, np.linalg.LinAlgError) else error


def _array(pointer: int, v: Variable) -> np.ndarray:
    """The memory of a value, flat."""
    count = prod(_shape(v))
    if not count:
        return np.empty(0, v.dtype)
    size = count * np.dtype(v.dtype).itemsize
    found: np.ndarray = np.frombuffer(memoryview((ctypes.c_char * size).from_address(pointer)), v.dtype)
    return found

"""The loop IR: grammar, dataclasses, checker, printer. Speed lives here; both emitters walk it and nothing else.

    Kernel    ::= Kernel(name, buffers, body)            buffers: the parameters, each one storage, none overlapping
    Statement ::= Loop(index, extent, kind, body)        kind: serial parallel vector unroll block thread
                | Let(name, expr)                        a scalar, for the rest of the block
                | Alloc(buffer)                          space: register, thread or shared, for the rest of the block
                | Store(buffer, at, expr)                buffer[at] = expr
                | Accumulate(buffers, at, combiner, exprs)   buffers[at] = combiner.step(buffers[at], exprs)
                | If(cond, body)
                | Sync()
                | Call(intrinsic, operands)

Indices and Let names are ``scalar.axis`` terms, elements ``scalar.load`` terms whose slot is the buffer's name.

* A ``vector`` loop has a constant extent (the number of lanes); its body holds Let, Store, Accumulate and If only. If is
  a mask there: nothing outside it is read or written. Each statement is done for all lanes before the next.
* A ``parallel`` loop stands at the top of the kernel's body; its iterations write nothing that another one reads.
* A register Alloc has constant indices once its loops are unrolled and vectors: it becomes machine registers. A thread
  Alloc is scratch memory of the running thread.
* Accumulate owns neither loops nor a store: then a register tile, two accumulators in one loop, and argmax are sayable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from symgraph.formula import Combiner, Terms
from symgraph.scalar import Expr

KINDS = ("serial", "parallel", "vector", "unroll", "block", "thread")
SPACES = ("global", "register", "thread", "shared")


@dataclass(frozen=True)
class Buffer:
    """A row-major array; ``space`` is "global" for a parameter."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    space: str = "global"


@dataclass(frozen=True)
class Loop:
    """``for index in range(extent): body``."""

    index: str
    extent: int
    kind: str
    body: Body


@dataclass(frozen=True)
class Let:
    """``name = expr`` for the rest of the block."""

    name: str
    expr: Expr


@dataclass(frozen=True)
class Alloc:
    """Storage for the rest of the block, without a defined content."""

    buffer: Buffer


@dataclass(frozen=True)
class Store:
    """``buffer[at] = expr``."""

    buffer: str
    at: Terms
    expr: Expr


@dataclass(frozen=True)
class Accumulate:
    """``buffers[at] = combiner.step(buffers[at], exprs)``: the accumulators share their indices."""

    buffers: tuple[str, ...]
    at: Terms
    combiner: Combiner
    exprs: Terms


@dataclass(frozen=True)
class If:
    """``if cond: body``; a mask inside a vector loop."""

    cond: Expr
    body: Body


@dataclass(frozen=True)
class Sync:
    """A barrier of the threads of a block."""


@dataclass(frozen=True)
class Call:
    """A hardware operation; ``intrinsic`` names one in ``codegen.intrinsics``, which gives its meaning as a body."""

    intrinsic: str
    operands: Terms


Statement = Union[Loop, Let, Alloc, Store, Accumulate, If, Sync, Call]
Body = tuple[Statement, ...]


@dataclass(frozen=True)
class Kernel:
    """A function of its buffers. Those in ``writes`` are written (and may be read), the others only read."""

    name: str
    buffers: tuple[Buffer, ...]
    body: Body

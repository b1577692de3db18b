"""Kernels to LLVM IR text: the statements.

    define void @NAME(ptr noalias %B0, ..., ptr %scratch)

has a pointer for each buffer of the kernel in order, and ``scratch_bytes(kernel)`` bytes for each worker at
``scratch``. A parallel loop becomes a task that ``sg_parallel(task, context, extent)`` runs in pieces on the workers;
its loop is a function of its own, whose parameters are again known not to overlap. Vector loops are written as vectors,
register storage as allocas that LLVM's ``sroa`` dissolves, and invariants stand before their loops, so that the text
needs no other passes than ``sroa, instcombine, simplifycfg``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from math import prod

from codegen.kernel import (
    Accumulate,
    Alloc,
    Body,
    Buffer,
    If,
    Kernel,
    KernelError,
    Let,
    Loop,
    Statement,
    Store,
    allocs,
    block_of,
    exprs_of,
    show_statement,
    walk,
    writes,
)
from codegen.llvm.address import Accesses, Address
from codegen.llvm.spell import element, shaped, stored
from codegen.llvm.squares import Squares, squares
from codegen.llvm.terms import Scope, Storage, Value
from codegen.llvm.unseen import unseen
from codegen.numerics import EXPANSIONS
from codegen.unroll import flatten
from symgraph import expression
from symgraph.expression import Expr, axis
from symgraph.types import SIZES, is_float

_LINE = 64
COPIES = 8  # of a function's text in a kernel; beyond, all are calls
_PARALLEL = "declare void @sg_parallel(ptr, ptr, i64)"
_ATTRIBUTES = 'nounwind "min-legal-vector-width"="512" "prefer-vector-width"="512" "no-trapping-math"="true"'


@dataclass
class Module:
    """The text of several kernels, each intrinsic declared once.

    >>> module = Module()
    >>> module.add(kernel)
    >>> module.text()
    """

    functions: list[str] = field(default_factory=list)
    declares: set[str] = field(default_factory=set)
    scratch: int = 0  # bytes of thread storage that the neediest kernel wants for each worker
    shared: dict[tuple[Expr, tuple[tuple[str, int], ...], int], str] = field(default_factory=dict)
    shared_functions: list[str] = field(default_factory=list)

    def add(self, kernel: Kernel) -> None:
        """Add a scheduled kernel.

        Raises
        ------
        KernelError
            If it holds threads of a block.
        """
        made = _Kernel(self, flatten(kernel))
        made.emit()
        self.scratch = max(self.scratch, made.scratch)

    @property
    def size(self) -> int:
        """Characters of its functions."""
        return sum(map(len, (*self.functions, *self.shared_functions)))

    def text(self) -> str:
        """The module; ``functions`` and ``declares`` may be extended by hand before."""
        attributes = [f"attributes #0 = {{ {_ATTRIBUTES} }}"]
        if self.shared_functions:  # cold: or the registers that a slow path takes would be saved on the usual one
            attributes.append(f"attributes #1 = {{ {_ATTRIBUTES} cold noinline }}")
        return "\n".join([*self.functions, *self.shared_functions, *sorted(self.declares), *attributes, ""])

    def function(self, body: Expr, given: tuple[tuple[str, int], ...], lanes: int) -> str:
        """The function that computes ``body`` of ``axis("x0")``, ..., whose dtypes and lanes are ``given``."""
        key = body, given, lanes
        if key not in self.shared:
            self.shared[key] = f"shared{len(self.shared)}"
            self.shared_functions.append(self.function_text(self.shared[key], body, given, lanes))
        return self.shared[key]

    def function_text(self, name: str, body: Expr, given: Sequence[tuple[str, int]], lanes: int) -> str:
        numbers = count(1)
        f = Accesses(lambda: f"v{next(numbers)}", self.declares, self.function, frozenset())
        f.lanes = lanes
        for k, (dtype, n) in enumerate(given):
            f.bind(axis(f"x{k}", dtype), Value(f"%x{k}", n))
            f.vectors |= {f"x{k}"} if n else set()
        kind, result = shaped(element(body.dtype), lanes), f.text(body, lanes)
        parameters = ", ".join(f"{shaped(element(dtype), n)} %x{k}" for k, (dtype, n) in enumerate(given))
        head = f"define internal {kind} @{name}({parameters}) #1 {{"
        return "\n".join([head, "entry:", *f.here.writer.lines, f"  ret {kind} {result}", "}"])


def emit(kernel: Kernel) -> str:
    """The text of a module with one kernel."""
    module = Module()
    module.add(kernel)
    return module.text()


def scratch_bytes(kernel: Kernel) -> int:
    """Bytes of thread storage that each worker needs, a multiple of the cache line."""
    if not any(b.space == "thread" for b in allocs(kernel)):
        return 0
    return _scratch(flatten(kernel))[1]


def _scratch(kernel: Kernel) -> tuple[dict[str, int], int]:
    """(the offset of each thread buffer, the size of all)."""
    offsets: dict[str, int] = {}
    total = 0
    for b in allocs(kernel):
        if b.space == "thread":
            offsets[b.name] = total
            total += -(-_bytes(b) // _LINE) * _LINE
    return offsets, total


def _called(kernel: Kernel) -> set[tuple[str, str]]:
    """The functions that stand in a kernel so often that their text would be most of it: as in a tile's epilogue."""
    terms = expression.toposort([e for s in walk(kernel) for e in exprs_of(s)])
    times = Counter((e.prim, e.dtype) for e in terms if e.prim in EXPANSIONS and is_float(e.dtype))
    return {function for function, n in times.items() if n > COPIES}


def _bytes(b: Buffer) -> int:
    return prod(b.shape) * SIZES[b.dtype]


class _Kernel:
    """The functions of one kernel: itself, and for each parallel loop the task and its loop."""

    def __init__(self, module: Module, kernel: Kernel) -> None:
        self.module, self.kernel = module, kernel
        self.offsets, self.scratch = _scratch(kernel)
        self.stored = writes(kernel)
        self.called = _called(kernel)
        self.unseen = unseen(kernel)
        self.widest = max((s.extent for s in walk(kernel) if isinstance(s, Loop) and s.kind == "vector"), default=0)
        self.tasks = 0

    def emit(self) -> None:
        f = _Function(self, self.stored)
        f.body(self.kernel.body)
        self.define(f"void @{self.kernel.name}({self.parameters(f)})", f)

    def parameters(self, f: _Function, extra: Iterable[str] = ()) -> str:
        pointers = [f"ptr noalias{'' if b.name in f.stored else ' readonly'} %B{n}" for n, b in self.buffers()]
        return ", ".join([*pointers, "ptr %scratch", *extra])

    def buffers(self) -> list[tuple[int, Buffer]]:
        return list(enumerate(self.kernel.buffers))

    def define(self, head: str, f: _Function) -> None:
        lines = [f"define {head} #0 {{", "entry:", *f.entry.lines, *f.scopes[0].writer.lines, "  ret void", "}"]
        self.module.functions.append("\n".join(lines))

    # -------------------------------------------------------------------------------------------- parallel loops

    def parallel(self, s: Loop, f: _Function) -> None:
        """Run ``s`` as a task: its context is an array of the pointers and of the Lets that it reads."""
        name = f"{self.kernel.name}.{self.tasks}"
        self.tasks += 1
        names = {n for inner in walk((s,)) for e in exprs_of(inner) for n in e.names}
        lets = [e for e in f.lets if e.value in names and f.find(e)]
        self.loop_function(s, name, lets)
        self.task_function(name, lets)
        w = f.here.writer
        values = [f"ptr %B{n}" for n, _ in self.buffers()] + ["ptr %scratch"]
        values += [f"{element(e.dtype)} {f.text(e)}" for e in lets]
        context = f.entry.value(f"alloca [{len(values)} x i64], align 8")
        for n, value in enumerate(values):
            w.line(f"store {value}, ptr {w.value(_slot(context, n))}, align 8")
        self.module.declares.add(_PARALLEL)
        w.line(f"call void @sg_parallel(ptr @{name}.task, ptr {context}, i64 {s.extent})")

    def loop_function(self, s: Loop, name: str, lets: list[Expr]) -> None:
        f = _Function(self, writes(s.body))
        for n, e in enumerate(lets):
            f.bind(e, Value(f"%let{n}"))
        f.turns(s, "%begin", "%end")
        extra = [f"{element(e.dtype)} %let{n}" for n, e in enumerate(lets)]
        head = f"internal void @{name}({self.parameters(f, [*extra, 'i64 %begin', 'i64 %end'])}) noinline"
        self.define(head, f)

    def task_function(self, name: str, lets: list[Expr]) -> None:
        f = _Function(self, self.stored)
        w = f.here.writer
        kinds = ["ptr"] * (len(self.kernel.buffers) + 1) + [element(e.dtype) for e in lets]
        values = [w.value(f"load {k}, ptr {w.value(_slot('%context', n))}, align 8") for n, k in enumerate(kinds)]
        first = len(self.kernel.buffers)
        mine = w.value(f"mul i64 %worker, {self.scratch}")
        values[first] = w.value(f"getelementptr i8, ptr {values[first]}, i64 {mine}")
        some = w.value("icmp slt i64 %begin, %end")
        w.line(f"br i1 {some}, label %run, label %done")
        w.start("run")
        operands = ", ".join(f"{k} {v}" for k, v in zip(kinds, values, strict=True))
        w.line(f"call void @{name}({operands}, i64 %begin, i64 %end)")
        w.line("br label %done")
        w.start("done")
        self.define(f"internal void @{name}.task(ptr %context, i64 %begin, i64 %end, i64 %worker)", f)


def _slot(context: str, n: int) -> str:
    return f"getelementptr i64, ptr {context}, i64 {n}"


class _Function(Squares):
    """A function under construction: its statements."""

    def __init__(self, owner: _Kernel, stored: frozenset[str]) -> None:
        self.count = 0
        super().__init__(self._fresh, owner.module.declares, owner.module.function, stored)
        self.called = owner.called
        self.owner = owner
        self.lets: list[Expr] = []
        self.entry = self.writer()
        self.storage = {b.name: Storage(f"%B{n}", b) for n, b in owner.buffers()}

    def _fresh(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def body(self, body: Body) -> None:
        for part in squares(body):
            if len(part) == 1 or not self.is_written(part):
                for s in part:
                    self.statement(s)

    def is_written(self, rows: Body) -> bool:
        """Whether the rows of a square are written together."""
        stores = [s for row in rows for s in block_of(row) if isinstance(s, Store)]
        self.lanes = len(rows)
        self.lane_axis(self.lanes)
        written = self.square(stores)
        self.lanes = 0
        return written

    def statement(self, s: Statement) -> None:
        match s:
            case Loop():
                self.loop(s)
            case Let(name, expr):
                self.let(name, expr)
            case Alloc(buffer):
                self.storage[buffer.name] = Storage(self.allocate(buffer), buffer)
            case Store(buffer, at, expr):
                self.put(((buffer, expr),), at)
            case Accumulate():
                self.accumulate(s)
            case If(cond, body):
                self.condition(cond, body)
            case _:
                raise KernelError(f"this target has no threads of a block\n  in: {show_statement(s)}")

    def let(self, name: str, expr: Expr) -> None:
        value = self.value(expr)
        if value.lanes:
            self.vectors.add(name)
        self.lets.append(axis(name, expr.dtype))
        self.bind(self.lets[-1], value, self.level(expr))

    def allocate(self, b: Buffer) -> str:
        if b.space == "thread":
            return self.entry.value(f"getelementptr i8, ptr %scratch, i64 {self.owner.offsets[b.name]}")
        if b.space != "register":
            raise KernelError(f"this target has no {b.space} storage: {b.name}")
        # a masked vector may reach beyond the last element; its blend must not
        return self.entry.value(f"alloca [{prod(b.shape) + self.owner.widest} x {stored(b.dtype)}], align {_LINE}")

    # -------------------------------------------------------------------------------------------- control

    def loop(self, s: Loop) -> None:
        match s.kind:
            case "vector":
                self.lanes = s.extent
                self.lane_axis(s.extent)
                self.body(s.body)
                self.lanes = 0
            case "parallel":
                self.owner.parallel(s, self)
                self.forget(writes(s.body))
            case "thread":
                raise KernelError(f"this target has no threads of a block\n  in: {show_statement(s)}")
            case _ if s.extent:
                self.turns(s, "0", str(s.extent))

    def turns(self, s: Loop, begin: str, end: str) -> None:
        """``s`` from ``begin`` to ``end``, at least once: invariants may stand before it."""
        self.forget(writes(s.body))
        start, leave, index, following = (self.fresh() for _ in range(4))
        self.ranges[s.index] = (0, s.extent - 1)
        outer = self.here
        with self.scope(Scope(self.writer(start), mask=outer.mask)) as inner:
            self.bind(axis(s.index), Value(f"%{index}"))
            self.body(s.body)
        w, body = outer.writer, inner.writer
        before = w.label
        w.line(f"br label %{start}")
        body.line(f"%{following} = add nuw nsw i64 %{index}, 1")
        more = body.value(f"icmp slt i64 %{following}, {end}")
        body.line(f"br i1 {more}, label %{start}, label %{leave}")
        body.lines.insert(0, f"  %{index} = phi i64 [ {begin}, %{before} ], [ %{following}, %{body.label} ]")
        w.append(body, start)
        w.start(leave)

    def condition(self, cond: Expr, body: Body) -> None:
        value = self.value(cond)
        if value.lanes:
            self.masked(value, body)
        else:
            with self.branch(value.text):
                self.body(body)

    def masked(self, cond: Value, body: Body) -> None:
        """A mask for the statements of ``body``; they go where the statements around it go."""
        outer = self.here
        mask = cond
        if outer.mask is not None:
            both = outer.writer.value(f"and <{self.lanes} x i1> {outer.mask.text}, {cond.text}")
            mask = Value(both, self.lanes)
        with self.scope(Scope(outer.writer, mask=mask, guarded=True)):
            self.body(body)

    @contextmanager
    def branch(self, cond: str) -> Iterator[None]:
        """A block that is entered if ``cond``."""
        outer, start, leave = self.here, self.fresh(), self.fresh()
        with self.scope(Scope(self.writer(start), mask=outer.mask, guarded=True)) as inner:
            yield
        w = outer.writer
        w.line(f"br i1 {cond}, label %{start}, label %{leave}")
        w.append(inner.writer, start)
        w.line(f"br label %{leave}")
        w.start(leave)

    # -------------------------------------------------------------------------------------------- writing

    def put(self, pairs: Iterable[tuple[str, Expr]], at: tuple[Expr, ...]) -> None:
        """Each buffer's element ``at`` becomes its term; all terms are read before the first write."""
        ready = [(self.place(name, at), self.text(expr, self.lanes)) for name, expr in pairs]
        for address, text in ready:
            self.store(address, text, None if address.buffer.name in self.owner.unseen else self.here.mask)
        self.forget(frozenset(a.buffer.name for a, _ in ready))

    def place(self, name: str, at: tuple[Expr, ...]) -> Address:
        address = self.address(name, at)
        for part in (address.base, address.scattered):
            if part is not None:
                self.value(part)
        return address

    def accumulate(self, s: Accumulate) -> None:
        address = self.place(s.buffers[0], s.at)
        if self.lanes and (address.is_uniform or not address.is_affine):
            self.accumulate_lanes(s)
            return
        old = tuple(expression.load(b, s.at, self.storage[b].buffer.dtype) for b in s.buffers)
        self.put(zip(s.buffers, s.combiner.step(old, s.exprs), strict=True), s.at)

    def accumulate_lanes(self, s: Accumulate) -> None:
        """Lanes may meet at one element: one after the other, as scalars."""
        lanes, mask = self.lanes, self.here.mask
        parts = [(e.dtype, self.text(e, lanes)) for e in (*s.at, *s.exprs)]
        for n in range(lanes):
            if mask is None:
                self.accumulate_lane(s, parts, n)
            else:
                with self.branch(self.here.writer.value(f"extractelement <{lanes} x i1> {mask.text}, i64 {n}")):
                    self.accumulate_lane(s, parts, n)

    def accumulate_lane(self, s: Accumulate, parts: list[tuple[str, str]], n: int) -> None:
        lanes, w = self.lanes, self.here.writer
        terms = []
        for dtype, text in parts:
            one = w.value(f"extractelement {shaped(element(dtype), lanes)} {text}, i64 {n}")
            terms.append(axis(f"one.{self.fresh()}", dtype))
            self.bind(terms[-1], Value(one))
        self.lanes, mask, self.here.mask = 0, self.here.mask, None
        self.accumulate(Accumulate(s.buffers, tuple(terms[: len(s.at)]), s.combiner, tuple(terms[len(s.at) :])))
        self.lanes, self.here.mask = lanes, mask

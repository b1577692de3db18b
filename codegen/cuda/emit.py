"""Scheduled kernels to CUDA C.

Each statement at the top of a kernel is a nest of block loops around thread loops and becomes a function of its own,

    extern "C" __global__ void NAME(float* __restrict__ out0, const float* __restrict__ in0)

whose parameters are the buffers that it touches, or a product of matrices that a library does; a kernel is the launch
of its functions in order. Terms are named where they are first needed, and again after what they read was written;
moving invariants out of loops is left to the compiler. Transcendental functions are expanded as they are for processors
(``codegen.numerics``), once in a module.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod

from codegen.affine import Linear, flat_index, linear
from codegen.cuda.fragments import FRAGMENTS
from codegen.cuda.matrices import MULTIPLY, MatrixProduct, Multiply
from codegen.cuda.spell import PRELUDE, TYPES, literal, spell
from codegen.kernel import (
    Accumulate,
    Alloc,
    Body,
    Buffer,
    Call,
    If,
    Kernel,
    KernelError,
    Let,
    Loop,
    Statement,
    Store,
    Sync,
    allocs,
    exprs_of,
    show_statement,
    walk,
    writes,
)
from codegen.numerics import BASIC, expansion
from codegen.numerics.half import touches_half, widened
from codegen.ranges import Span, span
from codegen.unroll import inline_calls
from symgraph.expression import INDEX, Expr, apply, axis, const, kind_of, load, on_demand, rename, toposort

_DIMENSIONS = ("x", "y", "z")
_NARROW = 2**31 - 1
_TILE = 64  # elements that a thread has in registers, from which on one block on a processor is enough


@dataclass(frozen=True)
class Function:
    """A ``__global__`` function.

    Attributes
    ----------
    name : str
    text : str
    grid, block : tuple of int
        Blocks, and threads of a block, along x, y and z.
    parameters : tuple of Buffer
        What its pointers point to.
    together : bool
        Whether the threads of a block wait for each other or share storage.
    """

    name: str
    text: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    parameters: tuple[Buffer, ...]
    together: bool


@dataclass(frozen=True)
class Multiplication:
    """A product of matrices that the device's library does.

    Attributes
    ----------
    product : MatrixProduct
    parameters : tuple of Buffer
        y, a and b.
    """

    product: MatrixProduct
    parameters: tuple[Buffer, ...]

    @property
    def text(self) -> str:
        """What it is, as a comment."""
        z, m, n, k = self.product.extents
        y, a, b = (buffer.name for buffer in self.parameters)
        dtype = self.product.a.dtype if self.product.precision == "highest" else self.product.precision
        return f"// by the library: {y} = {a} @ {b}, {z} of {m} by {n}, each a sum of {k} products of {dtype}\n"


@dataclass
class Module:
    """The text of several kernels, and the functions and products that each of them is."""

    kernels: dict[str, tuple[Function | Multiplication, ...]] = field(default_factory=dict)
    shared: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, kernel: Kernel) -> None:
        """Add a kernel whose blocks and threads are bound.

        Raises
        ------
        KernelError
            If a loop at the top is no block loop.
        """
        plain = inline_calls(kernel, {*FRAGMENTS, MULTIPLY})
        made = [_top(self, plain, k, s) for k, s in enumerate(plain.body)]
        self.kernels[kernel.name] = tuple(made)

    @property
    def functions(self) -> list[Function]:
        """Every function, in order."""
        return [f for tops in self.kernels.values() for f in tops if isinstance(f, Function)]

    def text(self) -> str:
        """The module."""
        return "\n".join([PRELUDE, *self.shared.values(), *[f.text for f in self.functions]])

    def shared_function(self, prim: str, dtype: str, arity: int) -> str:
        """The name of the function that computes a primitive that no instruction does."""
        name = f"{prim}_{dtype}"
        if (prim, dtype) not in self.shared:
            operands = [axis(f"x{k}", dtype) for k in range(arity)]
            body = expansion(apply(prim, *operands))
            assert body is not None, prim
            f = _Terms(self)
            for e in operands:
                f.bind(e, str(e.value))
            result = f.value(body)
            kind = TYPES[dtype]
            head = f"static __device__ {kind} {name}({', '.join(f'{kind} {e.value}' for e in operands)}) {{"
            self.shared[prim, dtype] = "\n".join([head, *f.lines, f"  return {result};", "}", ""])
        return name


class _Terms:
    """A function under construction: its lines, and the names of the terms that are known at the current one."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.lines: list[str] = []
        self.count = 0
        self.scopes: list[dict[Expr, str]] = [{}]
        self.reads: dict[Expr, frozenset[str]] = {}
        self.ranges: dict[str, Span] = {}
        self.buffers: dict[str, Buffer] = {}
        self.lanes = 1  # of the vector loop around the current term

    def line(self, text: str) -> None:
        self.lines.append("  " * len(self.scopes) + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Lines inside braces."""
        self.line(f"{head} {{")
        self.scopes.append({})
        yield
        self.scopes.pop()
        self.line("}")

    def bind(self, e: Expr, name: str) -> None:
        self.scopes[-1][e] = name

    def find(self, e: Expr) -> str | None:
        if e.prim == "const":
            return literal(e.value, e.dtype)
        return next((scope[e] for scope in reversed(self.scopes) if e in scope), None)

    def forget(self, buffers: frozenset[str]) -> None:
        """Drop what was read from ``buffers``: they are written now."""
        for scope in self.scopes:
            for e in [e for e in scope if self.reads.get(e, frozenset()) & buffers]:
                del scope[e]

    def value(self, e: Expr) -> str:
        """The text of ``e``: a name or a constant; writes what is not known yet."""
        return on_demand(e, self.find, self.needs, self.compute)

    def needs(self, e: Expr) -> Sequence[Expr]:
        """The terms that are written before ``e``."""
        if e.prim == "rare":
            return e.args[0], e.args[2]
        if e.prim == "load":
            return (self.place(e),)
        other = self.simpler(e)
        return e.args if other is None else (other,)

    def simpler(self, e: Expr) -> Expr | None:
        """``e`` by other terms, if it is neither basic nor a function of the module."""
        if not e.args or self.is_plain_division(e):
            return None
        if touches_half(e):
            return widened(e, lambda wide: wide)
        return expansion(e) if e.prim not in BASIC and kind_of(e.dtype) == "i" else None

    def place(self, e: Expr) -> Expr:
        """The flat index of a load."""
        return self.flat(str(e.value), e.args)

    def flat(self, name: str, at: Sequence[Expr]) -> Expr:
        """The flat index of an element."""
        return flat_index(at, self.buffers[name].shape)

    def compute(self, e: Expr) -> None:
        """Write a term whose needs are known."""
        needs = self.needs(e)
        own = frozenset([str(e.value)]) if e.prim == "load" else frozenset()
        self.reads[e] = own.union(*(self.reads.get(a, frozenset()) for a in needs))
        if e.prim == "rare":
            self.rare(e)
            return
        other = self.simpler(e)
        if other is not None:
            self.bind(e, self.value(other))
            return
        narrow = self.is_narrow(e)
        if narrow and e.prim in _INLINE:
            self.bind(e, f"({self.value(e.args[0])} {_INLINE[e.prim]} {self.value(e.args[1])})")
            return
        self.bind(e, self.named("int" if narrow else TYPES[e.dtype], self.text(e)))

    def named(self, kind: str, text: str) -> str:
        self.count += 1
        self.line(f"const {kind} t{self.count} = {text};")
        return f"t{self.count}"

    def text(self, e: Expr) -> str:
        if e.prim == "load":
            return self.loaded(str(e.value), self.place(e))
        args = [self.value(a) for a in e.args]
        if self.is_plain_division(e):
            return f"{args[0]} {'/' if e.prim == 'floordiv' else '%'} {args[1]}"
        if e.prim in BASIC:
            return spell(e, args)
        return f"{self.module.shared_function(e.prim, e.dtype, len(args))}({', '.join(args)})"

    def element(self, name: str, place: Expr) -> str:
        """An element of a buffer; storage without an extent is a plain variable."""
        return f"{name}[{self.value(place)}]" if self.buffers[name].shape else name

    def loaded(self, name: str, place: Expr) -> str:
        """An element that is read; of the piece around it where lanes read their neighbours."""
        form = linear(place)
        base = Linear(form.terms, form.offset - form.offset % self.lanes)
        if self.lanes == 1 or self.buffers[name].space != "global" or not is_multiple(base, self.lanes):
            return self.element(name, place)
        piece = load(name, (base.expr(),), f"{self.lanes} of {self.buffers[name].dtype}")
        if self.find(piece) is None:
            kind = f"Lanes<{TYPES[self.buffers[name].dtype]}, {self.lanes}>"
            self.reads[piece] = frozenset([name])
            self.bind(piece, self.named(kind, f"*(const {kind}*)({name} + {self.value(base.expr())})"))
        return f"{self.find(piece)}.at[{form.offset % self.lanes}]"

    def rare(self, e: Expr) -> None:
        """A slow path that is only computed where it is chosen."""
        cond, slow, fast = e.args
        self.count += 1
        name = f"t{self.count}"
        self.line(f"{TYPES[e.dtype]} {name} = {self.value(fast)};")
        with self.block(f"if ({self.value(cond)})"):
            self.line(f"{name} = {self.value(slow)};")
        self.bind(e, name)

    def span(self, e: Expr) -> Span | None:
        """The least and greatest value of an index, where loops bound it to 32 bits."""
        found = span(e, self.ranges) if e.dtype == INDEX and e.prim != "load" else None
        return found if found and found[0] >= -_NARROW and found[1] <= _NARROW else None

    def is_narrow(self, e: Expr) -> bool:
        """Whether ``e`` is an index of type int: so is all that it is computed from."""
        return self.span(e) is not None and all(a.dtype != INDEX or self.span(a) is not None for a in e.args)

    def is_plain_division(self, e: Expr) -> bool:
        """Whether a quotient or remainder of indices is C's: nothing is negative."""
        if e.prim not in ("floordiv", "mod") or not self.is_narrow(e):
            return False
        low, divisor = (self.span(a) for a in e.args)
        return low is not None and divisor is not None and low[0] >= 0 and divisor[0] > 0


_INLINE = {"add": "+", "sub": "-", "mul": "*"}


class _GlobalFunction(_Terms):
    """The function that one statement at the top of a kernel becomes."""

    def __init__(self, module: Module, kernel: Kernel, number: int, top: Statement) -> None:
        super().__init__(module)
        self.name, self.top = f"{kernel.name}_{number}", top
        self.stored = writes((top,))
        used = self.stored | {str(e.value) for s in walk((top,)) for e in toposort(exprs_of(s)) if e.prim == "load"}
        self.parameters = tuple(b for b in kernel.buffers if b.name in used)
        self.buffers.update((b.name, b) for b in self.parameters)
        self.bound: dict[str, list[Loop]] = {"block": [], "thread": []}

    def made(self) -> Function:
        self.statement(self.top)
        grid, block = self.dimensions("block"), self.dimensions("thread")
        pointers = ", ".join(map(self.pointer, self.parameters))
        own = allocs((self.top,))
        bounds = f"{prod(block)}{', 1' if _in_registers(own) >= _TILE else ''}"
        head = f'extern "C" __global__ void __launch_bounds__({bounds}) {self.name}({pointers}) {{'
        together = any(isinstance(s, Sync) for s in walk((self.top,))) or any(b.space == "shared" for b in own)
        return Function(self.name, "\n".join([head, *self.lines, "}", ""]), grid, block, self.parameters, together)

    def pointer(self, b: Buffer) -> str:
        return f"{'' if b.name in self.stored else 'const '}{TYPES[b.dtype]}* __restrict__ {b.name}"

    def dimensions(self, kind: str) -> tuple[int, int, int]:
        """Extents of the bound loops, the innermost along x."""
        x, y, z = [*[s.extent for s in reversed(self.bound[kind])], 1, 1, 1][:3]
        return x, y, z

    def body(self, body: Body) -> None:
        for s in body:
            self.statement(s)

    def statement(self, s: Statement) -> None:
        in_thread = bool(self.bound["thread"])
        match s:
            case Loop(kind="block" | "thread"):
                self.bind_loop(s)
            case Alloc(buffer):
                self.allocate(buffer)
            case _ if not in_thread:
                raise KernelError(f"no thread of a GPU does this\n  in: {show_statement(s)}")
            case Loop():
                self.loop(s)
            case Let(name, expr):
                self.let(name, expr)
            case Store(buffer, at, expr):
                self.put(((buffer, expr),), at)
            case Accumulate(buffers, at, combiner, exprs):
                old = tuple(load(b, at, self.buffers[b].dtype) for b in buffers)
                self.put(tuple(zip(buffers, combiner.step(old, exprs), strict=True)), at)
            case If(cond, body):
                with self.block(f"if ({self.value(cond)})"):
                    self.body(body)
            case Call(intrinsic, operands):
                self.exchange(intrinsic.name, operands)
            case Sync():
                self.line("__syncthreads();")
                self.forget(self.stored)

    def exchange(self, name: str, operands: Sequence[Expr]) -> None:
        """What the threads of a warp do together."""
        function, spelling = FRAGMENTS[name]
        places, given = spelling(operands)
        targets = [self.element(str(p.value), self.place(p)) for p in places]
        self.line(f"{function}({', '.join([*targets, *map(self.value, given)])});")
        self.forget(frozenset(str(p.value) for p in places))

    def bind_loop(self, s: Loop) -> None:
        """A loop whose turns are blocks or threads; the outermost of a kind is the last dimension."""
        around, inner = self.bound[s.kind], [t for t in walk(s.body) if isinstance(t, Loop) and t.kind == s.kind]
        if len(inner) + len(around) >= len(_DIMENSIONS):
            raise KernelError(f"more than three {s.kind} loops\n  in: {show_statement(s)}")
        around.append(s)
        self.ranges[s.index] = (0, s.extent - 1)
        self.line(f"const int {s.index} = {s.kind}Idx.{_DIMENSIONS[len(inner)]};")
        self.bind(axis(s.index), s.index)
        self.body(s.body)

    def allocate(self, b: Buffer) -> None:
        self.buffers[b.name] = b
        # aligned so that the compiler may read several neighbours at once
        shared = "__shared__ __align__(16) " if b.space == "shared" else ""
        extent = f"[{prod(b.shape)}]" if b.shape else ""
        self.line(f"{shared}{TYPES[b.dtype]} {b.name}{extent};")

    def let(self, name: str, expr: Expr) -> None:
        value, bounds = self.value(expr), self.span(expr)
        if bounds:
            self.ranges[name] = bounds
        self.line(f"const {'int' if bounds else TYPES[expr.dtype]} {name} = {value};")
        self.bind(axis(name, expr.dtype), name)

    def loop(self, s: Loop) -> None:
        if s.kind == "parallel":
            raise KernelError(f"threads of a GPU have no parallel loops\n  in: {show_statement(s)}")
        if s.kind == "vector":
            self.vector(s)
            return
        self.forget(writes(s.body))
        self.ranges[s.index] = (0, max(s.extent - 1, 0))
        if s.extent == 1:
            self.bind(axis(s.index), "0")
            self.body(s.body)
            return
        if s.kind != "serial":
            self.line("#pragma unroll")
        with self.block(f"for (int {s.index} = 0; {s.index} < {s.extent}; ++{s.index})"):
            self.bind(axis(s.index), s.index)
            self.body(s.body)

    def vector(self, s: Loop) -> None:
        """Each statement for all lanes before the next; what lies side by side is moved in one piece."""
        for store in s.body:
            if not isinstance(store, Store):
                raise KernelError(f"vectors of a GPU are for maps\n  in: {show_statement(store)}")
            self.lanes = s.extent
            turns = [rename((*store.at, store.expr), {s.index: const(k, INDEX)}) for k in range(s.extent)]
            values = [self.value(expr) for *_, expr in turns]
            places = [self.flat(store.buffer, at) for *at, _ in turns]
            self.lanes = 1
            self.put_lanes(store.buffer, places, values)

    def put_lanes(self, name: str, places: Sequence[Expr], values: Sequence[str]) -> None:
        """Values at places, in one piece if these begin at a multiple of their number and are neighbours."""
        n, dtype = len(places), self.buffers[name].dtype
        first, *others = (linear(p) for p in places)
        neighbours = all(p.terms == first.terms and p.offset == first.offset + k for k, p in enumerate(others, 1))
        if neighbours and is_multiple(first, n):
            kind = f"Lanes<{TYPES[dtype]}, {n}>"
            self.line(f"*({kind}*)({name} + {self.value(places[0])}) = {kind}{{{{{', '.join(values)}}}}};")
        else:
            for place, value in zip(places, values, strict=True):
                self.line(f"{name}[{self.value(place)}] = {value};")
        self.forget(frozenset([name]))

    def put(self, pairs: Sequence[tuple[str, Expr]], at: tuple[Expr, ...]) -> None:
        """Each buffer's element ``at`` becomes its term; all terms are read before the first write."""
        ready = [(self.element(name, self.flat(name, at)), self.value(e)) for name, e in pairs]
        for target, text in ready:
            self.line(f"{target} = {text};")
        self.forget(frozenset(name for name, _ in pairs))


def is_multiple(form: Linear, n: int) -> bool:
    """Whether an index is a multiple of ``n``."""
    return form.offset % n == 0 and all(factor % n == 0 for _, factor in form.terms)


def _in_registers(buffers: Sequence[Buffer]) -> int:
    """Elements that a thread has in registers, if none is cleared before another comes."""
    return sum(prod(b.shape) for b in buffers if b.space == "register")


def _top(module: Module, kernel: Kernel, number: int, top: Statement) -> Function | Multiplication:
    """What one statement at the top of a kernel becomes."""
    match top:
        case Call(Multiply(product=product), operands):
            buffers = {b.name: b for b in kernel.buffers}
            return Multiplication(product, tuple(buffers[str(e.value)] for e in operands))
    return _GlobalFunction(module, kernel, number, top).made()


def emit(kernels: Sequence[Kernel]) -> Module:
    """The module of several kernels."""
    module = Module()
    for kernel in kernels:
        module.add(kernel)
    return module

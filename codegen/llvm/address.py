"""Loads and stores: affine addresses, vectors, masks, gathers and scatters.

The address of an element is ``offset + sum(factor * atom) + step * lane``. The part without the lane and the offset is
one pointer, shared and hoisted; the offset becomes the displacement of the machine's address. A step of 1 is a vector
access, of -1 a reversed one, of 0 a scalar one. Any other is done lane by lane, all at constant distances from that
pointer: the instructions for gather and scatter take two to three times as long. They are for masks, for lanes at
places that are computed, and for the many accesses of an unrolled tile, which would be code for LLVM to work at for
seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod

from codegen.affine import flat_form
from codegen.kernel import Buffer
from codegen.llvm.spell import Writer, element, mangled, shaped, stored
from codegen.llvm.terms import FunctionOf, Terms, Value, any_lane, is_lane, lane_numbers
from codegen.ranges import span
from symgraph.expression import INDEX, Expr, const
from symgraph.types import SIZES

_SMALL = 2**31


MOST_APART = 8
"""Accesses of a kernel whose lanes are done one by one."""


@dataclass(frozen=True)
class Address:
    """Where the lanes of an access lie in a buffer.

    Attributes
    ----------
    base : Expr
        What all lanes share, without the constant.
    offset : int
    step : int
        Elements from one lane to the next, without ``scattered``.
    scattered : Expr or None
        A further part that differs between lanes in another way.
    inside : bool
        Whether every lane, masked or not, is known to be in bounds.
    """

    buffer: Buffer
    base: Expr
    offset: int
    step: int
    scattered: Expr | None
    inside: bool

    @property
    def is_uniform(self) -> bool:
        """Whether all lanes meet at one element."""
        return self.step == 0 and self.scattered is None

    @property
    def is_affine(self) -> bool:
        """Whether the lanes lie at a constant distance."""
        return self.scattered is None


class Accesses(Terms):
    """Terms with loads and stores."""

    def __init__(
        self, fresh: Callable[[], str], declares: set[str], function: FunctionOf, stored: frozenset[str]
    ) -> None:
        super().__init__(fresh, declares, function, stored)
        self.addresses: dict[tuple[str, tuple[Expr, ...]], Address] = {}
        self.parts: dict[Sequence[tuple[Expr, int]], tuple[Expr, int, Expr | None]] = {}
        self.apart = 0

    def may_be_apart(self) -> bool:
        """Whether the lanes of one more access may be done one by one."""
        self.apart += 1
        return self.apart <= MOST_APART

    def address(self, name: str, at: Sequence[Expr]) -> Address:
        """The address of ``name[at]``."""
        key = name, tuple(at)
        if key not in self.addresses:
            b = self.storage[name].buffer
            form = flat_form(at, b.shape)
            if form.terms not in self.parts:
                self.parts[form.terms] = self.split(form.terms)
            base, step, scattered = self.parts[form.terms]
            self.addresses[key] = Address(b, base, form.offset, step, scattered, self.is_inside(at, b))
        return self.addresses[key]

    def split(self, terms: Sequence[tuple[Expr, int]]) -> tuple[Expr, int, Expr | None]:
        """(what all lanes share, the step of a lane, a further part that varies); outer loops' terms first."""
        zero = const(0, INDEX)
        base, scattered, step = zero, None, 0
        for atom, factor in sorted(terms, key=lambda term: self.depth(term[0])):
            if is_lane(atom):
                step = factor
            elif self.varying(atom):
                scattered = atom * factor if scattered is None else scattered + atom * factor
            else:
                base = base + atom * factor
        return base, step, scattered

    def is_inside(self, at: Sequence[Expr], b: Buffer) -> bool:
        if b.open:
            return False
        spans = [span(i, self.ranges) for i in at]
        return all(s is not None and s[0] >= 0 and s[1] < n for s, n in zip(spans, b.shape, strict=True))

    def atoms(self, e: Expr) -> tuple[Expr, ...]:
        a = self.address(str(e.value), e.args)
        return (a.base,) if a.scattered is None else (a.base, a.scattered)

    # -------------------------------------------------------------------------------------------- pointers

    def pointer(self, a: Address, w: Writer) -> str:
        """The element of lane 0, or what ``scattered`` counts from; the constant part is not hoisted."""
        kind = stored(a.buffer.dtype)
        start = self.base_pointer(a, kind)
        return w.value(f"getelementptr {kind}, ptr {start}, i64 {a.offset}") if a.offset else start

    def base_pointer(self, a: Address, kind: str) -> str:
        pointer = self.storage[a.buffer.name].pointer
        if a.base.prim == "const":
            return pointer
        text, level = self.text(a.base), max(self.level(a.base), self.floor())
        key = "pointer", a.buffer.name, a.base
        if key not in self.scopes[level].memo:
            made = self.scopes[level].writer.value(f"getelementptr {kind}, ptr {pointer}, i64 {text}")
            self.scopes[level].memo[key] = Value(made)
        return self.scopes[level].memo[key].text

    def pointers(self, a: Address, w: Writer) -> str:
        """A vector of pointers to the elements of all lanes."""
        first, kind = self.pointer(a, w), stored(a.buffer.dtype)
        if a.scattered is None:
            steps = lane_numbers(self.lanes, a.step, "i64")
        else:
            steps = self.text(a.scattered + self.lane_axis(self.lanes) * a.step, self.lanes)
        if prod(a.buffer.shape) < _SMALL and a.scattered is not None:
            narrow = w.value(f"trunc <{self.lanes} x i64> {steps} to <{self.lanes} x i32>")
            return w.value(f"getelementptr {kind}, ptr {first}, <{self.lanes} x i32> {narrow}")
        return w.value(f"getelementptr {kind}, ptr {first}, <{self.lanes} x i64> {steps}")

    # -------------------------------------------------------------------------------------------- loads

    def load(self, e: Expr) -> None:
        """A load, as far out as its address, its condition and the writes of the kernel allow."""
        a = self.address(str(e.value), e.args)
        written = a.buffer.name in self.stored
        level = len(self.scopes) - 1
        if not written:
            parts = [self.level(t) for t in self.atoms(e)]
            level = max([self.floor(guarded=not a.inside), *parts])
        else:
            self.reads[e] = self.reads[e] | {a.buffer.name}
        self.bind(e, self.load_at(a, self.scopes[level].writer), level)

    def load_at(self, a: Address, w: Writer) -> Value:
        mask = None if a.inside or a.buffer.space == "register" else self.here.mask
        if a.is_uniform:
            return Value(_decoded(w, a.buffer, w.value(self.scalar_load(a, mask, w)), 0))
        apart = a.is_affine and a.step != 1
        if apart and (a.buffer.space == "register" or (mask is None and a.step != -1 and self.may_be_apart())):
            return Value(self.gather_lanes(a, w), self.lanes)
        kind = shaped(stored(a.buffer.dtype), self.lanes)
        return Value(_decoded(w, a.buffer, self.vector_load(a, mask, kind, w), self.lanes), self.lanes)

    def scalar_load(self, a: Address, mask: Value | None, w: Writer) -> str:
        """Under a mask the address is only good if some lane is active: else element 0 is read, and not used."""
        kind, start = stored(a.buffer.dtype), self.pointer(a, w)
        if mask is not None:
            if not prod(a.buffer.shape):
                return f"freeze {kind} poison"
            asked = any_lane(w, mask)
            start = w.value(f"select i1 {asked}, ptr {start}, ptr {self.storage[a.buffer.name].pointer}")
        return f"load {kind}, ptr {start}, align {SIZES[a.buffer.dtype]}"

    def vector_load(self, a: Address, mask: Value | None, kind: str, w: Writer) -> str:
        align, name = SIZES[a.buffer.dtype], mangled(stored(a.buffer.dtype), self.lanes)
        if a.is_affine and a.step == -1:
            turned = mask and Value(self.backwards(mask.text, "i1", w), self.lanes)
            return self.backwards(self.vector_load(self.turned(a), turned, kind, w), stored(a.buffer.dtype), w)
        lanes = shaped("i1", self.lanes)
        active = mask.text if mask else "splat (i1 true)"
        if a.step != 1 or not a.is_affine:
            every = shaped("ptr", self.lanes)
            operands = [(f"{every} align {align}", self.pointers(a, w)), (lanes, active), (kind, "zeroinitializer")]
            return w.call(f"llvm.masked.gather.{name}.v{self.lanes}p0", kind, operands)
        if mask is None:
            return w.value(f"load {kind}, ptr {self.pointer(a, w)}, align {align}")
        operands = [(f"ptr align {align}", self.pointer(a, w)), (lanes, active), (kind, "zeroinitializer")]
        return w.call(f"llvm.masked.load.{name}.p0", kind, operands)

    def turned(self, a: Address) -> Address:
        """The lanes of an access in reverse order."""
        return replace(a, offset=a.offset + (self.lanes - 1) * a.step, step=-a.step)

    def backwards(self, text: str, kind: str, w: Writer) -> str:
        """A vector with its lanes in reverse order."""
        typ, order = shaped(kind, self.lanes), lane_numbers(self.lanes, -1, "i32", self.lanes - 1)
        return w.value(f"shufflevector {typ} {text}, {typ} poison, <{self.lanes} x i32> {order}")

    def gather_lanes(self, a: Address, w: Writer) -> str:
        """Lane by lane; the address of a machine register could not be taken either."""
        typ = shaped(element(a.buffer.dtype), self.lanes)
        result = "poison"
        for n, pointer in enumerate(self.lane_pointers(a, w)):
            x = w.value(f"load {stored(a.buffer.dtype)}, ptr {pointer}, align {SIZES[a.buffer.dtype]}")
            one = _decoded(w, a.buffer, x, 0)
            result = w.value(f"insertelement {typ} {result}, {element(a.buffer.dtype)} {one}, i64 {n}")
        return result

    def lane_pointers(self, a: Address, w: Writer) -> list[str]:
        kind = stored(a.buffer.dtype)
        pointer = self.base_pointer(a, kind)
        places = [a.offset + n * a.step for n in range(self.lanes)]
        return [w.value(f"getelementptr {kind}, ptr {pointer}, i64 {p}") for p in places]

    # -------------------------------------------------------------------------------------------- stores

    def store(self, a: Address, value: str, mask: Value | None) -> None:
        """Store a value of ``self.lanes`` lanes, lanes without the mask left out; the last lane wins."""
        w = self.here.writer
        text = _encoded(w, a.buffer, value, self.lanes)
        if not self.lanes:
            w.line(f"store {stored(a.buffer.dtype)} {text}, ptr {self.pointer(a, w)}, align {SIZES[a.buffer.dtype]}")
        elif a.buffer.space == "register":
            self.store_register(a, text, mask)
        elif a.is_uniform and mask is None:
            self.store_one(a, self.pointer(a, w), text, self.lanes - 1)
        else:
            self.store_vector(a, text, mask)

    def store_one(self, a: Address, pointer: str, text: str, lane: int) -> None:
        w, kind = self.here.writer, stored(a.buffer.dtype)
        one = w.value(f"extractelement {shaped(kind, self.lanes)} {text}, i64 {lane}")
        w.line(f"store {kind} {one}, ptr {pointer}, align {SIZES[a.buffer.dtype]}")

    def store_vector(self, a: Address, text: str, mask: Value | None) -> None:
        w, align, lanes = self.here.writer, SIZES[a.buffer.dtype], shaped("i1", self.lanes)
        kind, name = shaped(stored(a.buffer.dtype), self.lanes), mangled(stored(a.buffer.dtype), self.lanes)
        active = (lanes, mask.text if mask else "splat (i1 true)")
        if a.is_affine and a.step == -1:
            turned = mask and Value(self.backwards(mask.text, "i1", w), self.lanes)
            self.store_vector(self.turned(a), self.backwards(text, stored(a.buffer.dtype), w), turned)
        elif a.is_affine and a.step != 1 and mask is None and self.may_be_apart():
            for n, pointer in enumerate(self.lane_pointers(a, w)):
                self.store_one(a, pointer, text, n)
        elif a.step != 1 or not a.is_affine:
            every = (f"{shaped('ptr', self.lanes)} align {align}", self.pointers(a, w))
            w.call(f"llvm.masked.scatter.{name}.v{self.lanes}p0", "void", [(kind, text), every, active])
        elif mask is None:
            w.line(f"store {kind} {text}, ptr {self.pointer(a, w)}, align {align}")
        else:
            place = (f"ptr align {align}", self.pointer(a, w))
            w.call(f"llvm.masked.store.{name}.p0", "void", [(kind, text), place, active])

    def store_register(self, a: Address, text: str, mask: Value | None) -> None:
        """A blend with the old content: only plain vectors at constant places become registers."""
        w, kind = self.here.writer, shaped(stored(a.buffer.dtype), self.lanes)
        if a.step == 1:
            pointer = self.pointer(a, w)
            if mask is not None:
                old = w.value(f"load {kind}, ptr {pointer}, align {SIZES[a.buffer.dtype]}")
                text = w.value(f"select {shaped('i1', self.lanes)} {mask.text}, {kind} {text}, {kind} {old}")
            w.line(f"store {kind} {text}, ptr {pointer}, align {SIZES[a.buffer.dtype]}")
            return
        for n, pointer in enumerate(self.lane_pointers(a, w)):
            self.store_lane(a, pointer, text, mask, n)

    def store_lane(self, a: Address, pointer: str, text: str, mask: Value | None, n: int) -> None:
        if mask is None:
            self.store_one(a, pointer, text, n)
            return
        w, kind, align = self.here.writer, stored(a.buffer.dtype), SIZES[a.buffer.dtype]
        old = w.value(f"load {kind}, ptr {pointer}, align {align}")
        new = w.value(f"extractelement {shaped(kind, self.lanes)} {text}, i64 {n}")
        active = w.value(f"extractelement {shaped('i1', self.lanes)} {mask.text}, i64 {n}")
        one = w.value(f"select i1 {active}, {kind} {new}, {kind} {old}")
        w.line(f"store {kind} {one}, ptr {pointer}, align {align}")


def _decoded(w: Writer, b: Buffer, text: str, lanes: int) -> str:
    """A bool is any byte but 0 in memory."""
    if b.dtype != "bool":
        return text
    return w.value(f"icmp ne {shaped('i8', lanes)} {text}, {'zeroinitializer' if lanes else '0'}")


def _encoded(w: Writer, b: Buffer, text: str, lanes: int) -> str:
    return w.value(f"zext {shaped('i1', lanes)} {text} to {shaped('i8', lanes)}") if b.dtype == "bool" else text

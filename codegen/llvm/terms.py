"""Scalar terms to LLVM values: each named once, in the outermost block where it can be computed.

A function under construction is a stack of scopes: the entry, then the loops and conditions around the current
statement. A term goes to the innermost scope that one of its operands belongs to, which for a loop's invariants is the
block before the loop: the text of a loop is appended to the block around it only when the loop ends. Terms that do not
differ between lanes are computed as scalars and splat once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field

from codegen.affine import linear
from codegen.kernel import Buffer
from codegen.llvm.spell import Writer, constant, element, literal, mangled, shaped, spell
from codegen.numerics import expansion
from codegen.unroll import LANE, lane_index
from symgraph.expression import INDEX, Expr, axis, const, on_demand, substitute


@dataclass(frozen=True)
class Value:
    """The text of a value in a register; ``lanes`` is 0 for a scalar."""

    text: str
    lanes: int = 0


@dataclass(frozen=True)
class Storage:
    """Where a buffer is: a pointer in the function's text."""

    pointer: str
    buffer: Buffer


@dataclass
class Scope:
    """Terms known inside a loop or condition, and where its instructions go."""

    writer: Writer
    memo: dict[object, Value] = field(default_factory=dict)
    volatile: set[Expr] = field(default_factory=set)  # the terms that were read from written buffers
    mask: Value | None = None
    guarded: bool = False  # entered under a condition: an access may not move out
    sealed: bool = False  # no term may move out: a slow path


class Terms:
    """The values of a function under construction.

    Parameters
    ----------
    fresh : callable
        Gives names that are new in the function.
    declares : set of str
        Collects the declarations of intrinsics.
    function : callable
        (term, dtypes and lanes of ``axis("x0")``, ..., lanes) -> the name of a function of these, which computes it.
    stored : frozenset of str
        The buffers that the function writes: loads from those stay where they are.
    """

    def __init__(
        self, fresh: Callable[[], str], declares: set[str], function: FunctionOf, stored: frozenset[str]
    ) -> None:
        self.fresh, self.declares, self.function, self.stored = fresh, declares, function, stored
        self.storage: dict[str, Storage] = {}
        self.ranges: dict[str, tuple[int, int]] = {}
        self.reads: dict[Expr, frozenset[str]] = {}
        self.expanded: dict[Expr, Expr | None] = {}
        self.vectors: set[str | int] = set()  # the lane indices, and the Lets that differ between lanes
        self.lanes = 0  # of the vector loop around the current statement
        self.called: AbstractSet[tuple[str, str]] = set()  # (primitive, dtype) that are calls, not expanded in place
        self.scopes = [Scope(self.writer())]
        self.accesses: Mapping[str, Callable[[Expr], None]] = {"load": self.load, "rare": self.rare}

    def writer(self, label: str = "entry") -> Writer:
        return Writer(self.fresh, self.declares, label=label)

    @property
    def here(self) -> Scope:
        """The innermost scope."""
        return self.scopes[-1]

    # -------------------------------------------------------------------------------------------- scopes

    @contextmanager
    def scope(self, scope: Scope) -> Iterator[Scope]:
        self.scopes.append(scope)
        yield scope
        self.scopes.pop()

    def floor(self, *, guarded: bool = False) -> int:
        """The outermost scope a new term may go to."""
        for level in range(len(self.scopes) - 1, 0, -1):
            if self.scopes[level].sealed or (guarded and self.scopes[level].guarded):
                return level
        return 0

    def level(self, key: object) -> int:
        """The scope that a known term belongs to."""
        for level in range(len(self.scopes) - 1, 0, -1):
            if key in self.scopes[level].memo:
                return level
        return 0

    def find(self, e: Expr) -> Value | None:
        if e.prim == "const":
            return Value(literal(e.value, e.dtype))
        for scope in reversed(self.scopes):
            if e in scope.memo:
                return scope.memo[e]
        return None

    def bind(self, e: Expr, value: Value, level: int = -1) -> None:
        self.scopes[level].memo[e] = value
        if self.reads.get(e):
            self.scopes[level].volatile.add(e)

    def forget(self, buffers: frozenset[str]) -> None:
        """Drop what was read from ``buffers``: they are written now."""
        for scope in self.scopes:
            stale = {e for e in scope.volatile if self.reads[e] & buffers}
            scope.volatile -= stale
            for e in stale:
                del scope.memo[e]

    # -------------------------------------------------------------------------------------------- terms

    def lane_axis(self, lanes: int) -> Expr:
        """The index of the vector loops of so many lanes."""
        e = lane_index(lanes)
        self.scopes[0].memo[e] = Value(lane_numbers(lanes, 1, "i64"), lanes)
        self.vectors.add(str(e.value))
        self.ranges[str(e.value)] = (0, lanes - 1)
        return e

    def value(self, e: Expr) -> Value:
        """The value of ``e``; computes what is not known yet (only a slow path nests)."""
        return on_demand(e, self.find, self.needs, self.compute)

    def needs(self, e: Expr) -> tuple[Expr, ...]:
        """The terms that are computed before ``e``."""
        if e.prim == "rare":
            return e.args[0], e.args[2]
        if e.prim == "load":
            return self.atoms(e)
        other = self.lane_bound(e)
        if other is None and not self.is_called(e):
            other = self.expansion(e)
        return e.args if other is None else (other,)

    def is_called(self, e: Expr) -> bool:
        return (e.prim, e.dtype) in self.called and self.expansion(e) is not None

    def expansion(self, e: Expr) -> Expr | None:
        """``e`` in basic primitives, if it is none itself: expanded where it is computed, and nowhere else."""
        if e not in self.expanded:
            self.expanded[e] = expansion(e)
        return self.expanded[e]

    def compute(self, e: Expr) -> None:
        """Append the instructions of a term whose needs are known."""
        self.reads[e] = frozenset().union(*(self.reads.get(a, _NOTHING) for a in self.needs(e)))
        if e.prim in self.accesses:
            self.accesses[e.prim](e)
            return
        bound = self.lane_bound(e)
        if bound is not None:
            self.compare_lanes(e, bound)
            return
        expanded = self.expansion(e)
        if expanded is not None and self.is_called(e):
            lanes = self.lanes if self.varying(e) else 0
            self.bind(e, Value(self.call(expanded, lanes), lanes))
            return
        if expanded is not None:
            self.bind(e, self.value(expanded), self.level(expanded))
            return
        level = max([self.floor(), *(self.level(a) for a in e.args)])
        lanes = max(self.value(a).lanes for a in e.args)
        args = [self.text(a, lanes) for a in e.args]
        self.bind(e, Value(spell(self.scopes[level].writer, e, args, lanes), lanes), level)

    def varying(self, e: Expr) -> bool:
        """Whether ``e`` differs between lanes."""
        return not self.vectors.isdisjoint(e.names)

    def text(self, e: Expr, lanes: int = 0) -> str:
        """The text of a known term, splat to ``lanes`` where it is a scalar."""
        known = self.value(e)
        if known.lanes == lanes:
            return known.text
        assert not known.lanes, f"a term of {known.lanes} lanes where {lanes} are wanted"
        return constant(e.value, e.dtype, lanes) if e.prim == "const" else self.splat(e, known, lanes)

    def splat(self, e: Expr, known: Value, lanes: int) -> str:
        level = max(self.level(e), self.floor())
        memo, key = self.scopes[level].memo, ("splat", e, lanes)
        if key not in memo:
            memo[key] = Value(broadcast(self.scopes[level].writer, element(e.dtype), known.text, lanes), lanes)
        return memo[key].text

    def lane_bound(self, e: Expr) -> Expr | None:
        """b where ``e`` says ``lane < b``, and b is the same in all lanes."""
        if e.prim not in ("lt", "within", "le") or e.args[0].dtype != INDEX or not self.varying(e):
            return None
        difference = linear(e.args[1] - e.args[0])
        lanes = [(a, f) for a, f in difference.terms if is_lane(a)]
        if len(lanes) != 1 or lanes[0][1] != -1 or any(self.varying(a) for a, _ in difference.terms if not is_lane(a)):
            return None
        return linear(difference.expr() + lanes[0][0] + const(int(e.prim == "le"), INDEX)).expr()

    def compare_lanes(self, e: Expr, bound: Expr) -> None:
        """32-bit lanes against one clamped bound: 64-bit ones would take twice the vectors."""
        level = max(self.level(bound), self.floor())
        w = self.scopes[level].writer
        low = w.call("llvm.smax.i64", "i64", [("i64", self.text(bound)), ("i64", "0")])
        clamped = w.call("llvm.smin.i64", "i64", [("i64", low), ("i64", str(self.lanes))])
        limit = broadcast(w, "i32", w.value(f"trunc i64 {clamped} to i32"), self.lanes)
        numbers = lane_numbers(self.lanes, 1, "i32")
        self.bind(e, Value(w.value(f"icmp ult <{self.lanes} x i32> {numbers}, {limit}"), self.lanes), level)

    def rare(self, e: Expr) -> None:
        """A slow path behind "any lane"."""
        cond, slow, fast = e.args
        level = max(self.floor(), self.level(cond), self.level(fast), self.depth(slow))
        lanes = self.lanes if self.varying(e) else 0
        outer, kind = self.scopes, shaped(element(e.dtype), lanes)
        w = outer[level].writer
        usual, asked = self.text(fast, lanes), any_lane(w, self.value(cond))
        mask = self.text(cond, lanes)
        start, end = self.fresh(), self.fresh()
        self.scopes = [*outer[: level + 1], Scope(self.writer(start), mask=outer[level].mask, sealed=True)]
        inner, unusual = self.here.writer, self.call(slow, lanes)
        merged = inner.value(f"select {shaped('i1', lanes)} {mask}, {kind} {unusual}, {kind} {usual}")
        self.scopes = outer
        w.line(f"br i1 {asked}, label %{start}, label %{end}")
        before = w.label
        w.append(inner, start)
        w.line(f"br label %{end}")
        after = w.label
        w.start(end)
        result = w.value(f"phi {kind} [ {usual}, %{before} ], [ {merged}, %{after} ]")
        self.bind(e, Value(result, lanes), level)

    def call(self, e: Expr, lanes: int) -> str:
        """The value of ``e`` by a function, which all terms of this form share: they are long."""
        given = self.given(e)
        if e in given:
            return self.text(e, lanes)
        values = [self.value(t) for t in given]
        (body,) = substitute([e], lambda t: None, memo={t: axis(f"x{k}", t.dtype) for k, t in enumerate(given)})
        name = self.function(body, tuple([(t.dtype, v.lanes) for t, v in zip(given, values, strict=True)]), lanes)
        operands = [f"{shaped(element(t.dtype), v.lanes)} {v.text}" for t, v in zip(given, values, strict=True)]
        return self.here.writer.value(f"call {shaped(element(e.dtype), lanes)} @{name}({', '.join(operands)})")

    def given(self, e: Expr) -> list[Expr]:
        """The terms that ``e`` is computed from: those known already, and loads."""
        found, stack, seen = [], [e], {e}
        while stack:
            t = stack.pop()
            if t.prim == "load" or (t.prim != "const" and self.find(t) is not None):
                found.append(t)
                continue
            stack.extend(a for a in reversed(t.args) if a not in seen)
            seen.update(t.args)
        return found

    def depth(self, e: Expr) -> int:
        """The outermost scope where a term that is not known yet could be computed."""
        deepest, stack, seen = 0, [e], {e}
        while stack:
            t = stack.pop()
            if self.find(t) is not None:
                deepest = max(deepest, self.level(t))
                continue
            if t.prim == "load":
                return len(self.scopes) - 1
            stack.extend(a for a in t.args if a not in seen)
            seen.update(t.args)
        return deepest

    # -------------------------------------------------------------------------------------------- memory

    def atoms(self, e: Expr) -> tuple[Expr, ...]:
        """The terms that the address of a load is made of."""
        raise NotImplementedError

    def load(self, e: Expr) -> None:
        """Compute a load."""
        raise NotImplementedError


_NOTHING: frozenset[str] = frozenset()
FunctionOf = Callable[[Expr, tuple[tuple[str, int], ...], int], str]


def is_lane(e: Expr) -> bool:
    """Whether ``e`` is the index of a vector loop."""
    return e.prim == "axis" and str(e.value).startswith(LANE)


def lane_numbers(lanes: int, step: int, kind: str, first: int = 0) -> str:
    """The constant <first, first + step, first + 2*step, ...>."""
    return "<" + ", ".join(f"{kind} {first + n * step}" for n in range(lanes)) + ">"


def broadcast(w: Writer, kind: str, text: str, lanes: int) -> str:
    """A scalar in all lanes."""
    typ = shaped(kind, lanes)
    first = w.value(f"insertelement {typ} poison, {kind} {text}, i64 0")
    return w.value(f"shufflevector {typ} {first}, {typ} poison, <{lanes} x i32> zeroinitializer")


def any_lane(w: Writer, mask: Value) -> str:
    """Whether any lane is true."""
    if not mask.lanes:
        return mask.text
    typ = shaped("i1", mask.lanes)
    return w.call(f"llvm.vector.reduce.or.{mangled('i1', mask.lanes)}", "i1", [(typ, mask.text)])

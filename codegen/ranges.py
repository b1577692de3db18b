"""Ranges of index terms, from the extents of the loops around them, and what they make simpler."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from codegen.affine import Linear, linear
from codegen.kernel import Kernel, Loop, map_exprs, walk
from symgraph import expression
from symgraph.expression import INDEX, Expr, const

Span = tuple[int, int]  # the least and the greatest value
Ranges = Mapping[str, Span]  # of each loop's index
_WORD = 2**63


def span(e: Expr, ranges: Ranges, known: dict[Expr, Span | None] | None = None) -> Span | None:
    """The least and greatest value of an index, where loops bound it; None where the user's arithmetic may wrap.

    ``known`` keeps what was found of its parts.
    """
    known = {} if known is None else known
    if e not in known:
        known[e] = _span(e, ranges, known)
    return known[e]


def _span(e: Expr, ranges: Ranges, known: dict[Expr, Span | None]) -> Span | None:
    form = linear(e)
    low = high = form.offset
    for atom, factor in form.terms:
        s = ranges.get(str(atom.value)) if atom.prim == "axis" else _span_of_atom(atom, ranges, known)
        if s is None:
            return None
        ends = s[0] * factor, s[1] * factor
        low, high = low + min(ends), high + max(ends)
    return (low, high) if low >= -_WORD and high < _WORD else None


def _span_of_atom(e: Expr, ranges: Ranges, known: dict[Expr, Span | None]) -> Span | None:
    divisor = _divisor(e)
    if divisor:
        inner = span(e.args[0], ranges, known)
        if inner is None or e.prim == "mod":
            return inner and (0, divisor - 1)
        return inner[0] // divisor, inner[1] // divisor
    if e.prim not in _SPANS:
        return None
    spans = [span(a, ranges, known) for a in (e.args[1:] if e.prim == "select" else e.args)]
    bounded = [s for s in spans if s is not None]
    return _SPANS[e.prim](bounded) if len(bounded) == len(spans) else None


def _divisor(e: Expr) -> int:
    """The positive constant of a quotient or remainder, else 0."""
    divided = e.prim in ("floordiv", "mod") and e.dtype == INDEX and e.args[1].prim == "const"
    return max(int(e.args[1].value), 0) if divided else 0  # type: ignore[arg-type]


_SPANS: dict[str, Callable[[Sequence[Span]], Span]] = {
    "select": lambda s: (min(s[0][0], s[1][0]), max(s[0][1], s[1][1])),
    "minimum": lambda s: (min(s[0][0], s[1][0]), min(s[0][1], s[1][1])),
    "maximum": lambda s: (max(s[0][0], s[1][0]), max(s[0][1], s[1][1])),
}


# ------------------------------------------------------------------------------------------------ simplification


def simplify(kernel: Kernel) -> Kernel:
    """Quotients and remainders without the parts that loops bound: (16*i + j) // 16 is i where j < 16."""
    ranges = {s.index: (0, s.extent - 1) for s in walk(kernel) if isinstance(s, Loop) and s.extent}
    memo: dict[Expr, Expr] = {}
    known: dict[Expr, Span | None] = {}

    def place(e: Expr) -> Expr | None:
        divisor = _divisor(e)
        return _divided(e, divisor, ranges, known) if divisor else None

    return map_exprs(kernel, lambda exprs: expression.substitute(exprs, place, memo=memo))


def _divided(e: Expr, divisor: int, ranges: Ranges, known: dict[Expr, Span | None]) -> Expr | None:
    """A quotient or remainder whose parts that ``divisor`` does not divide stay between two multiples of it."""
    if span(e.args[0], ranges, known) is None:
        return None  # arithmetic of the user's, which may wrap
    form = linear(e.args[0])
    whole = tuple((atom, factor) for atom, factor in form.terms if not factor % divisor)
    rest = Linear(tuple((atom, factor) for atom, factor in form.terms if factor % divisor), form.offset).expr()
    bounds = span(rest, ranges, known)
    if bounds is None:
        return None
    below, above = (b // divisor for b in bounds)
    if below != above:
        return None
    if e.prim == "mod":
        return rest - const(below * divisor, INDEX)
    return Linear(tuple((atom, factor // divisor) for atom, factor in whole), below).expr()


def settled(exprs: Sequence[Expr], ranges: Ranges) -> list[Expr]:
    """``exprs`` without the comparisons, minima and maxima of indices that ``ranges`` decide."""
    known: dict[Expr, Span | None] = {}

    def place(e: Expr) -> Expr | None:
        if e.prim not in _DECIDED or e.args[0].dtype != INDEX:
            return None
        a, b = (span(x, ranges, known) for x in e.args)
        return _DECIDED[e.prim](e.args, a, b) if a and b else None

    return expression.substitute(exprs, place)


def _least(args: Sequence[Expr], a: Span, b: Span) -> Expr | None:
    return args[0] if a[1] <= b[0] else args[1] if b[1] <= a[0] else None


def _greatest(args: Sequence[Expr], a: Span, b: Span) -> Expr | None:
    return args[0] if a[0] >= b[1] else args[1] if b[0] >= a[1] else None


def _less(args: Sequence[Expr], a: Span, b: Span) -> Expr | None:
    return const(a[1] < b[0], "bool") if a[1] < b[0] or a[0] >= b[1] else None


def _at_most(args: Sequence[Expr], a: Span, b: Span) -> Expr | None:
    return const(a[1] <= b[0], "bool") if a[1] <= b[0] or a[0] > b[1] else None


_DECIDED: dict[str, Callable[[Sequence[Expr], Span, Span], Expr | None]] = {
    "minimum": _least, "maximum": _greatest, "lt": _less, "le": _at_most,
}  # fmt: skip

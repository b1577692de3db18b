"""einsum: a subscript expression read into axes, sums, products and contractions of two operands at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod
from string import ascii_lowercase, ascii_uppercase
from typing import Any

from symgraph.coercion import as_variable, common_dtype, convert
from symgraph.errors import AxisError, ShapeError, layout
from symgraph.graph import Variable, describe, label
from symgraph.ops.elementwise import mul
from symgraph.ops.extents import Size, product
from symgraph.ops.linalg import batched_dot_op, dot_op
from symgraph.ops.matrices import diagonal
from symgraph.ops.reduce import sum
from symgraph.ops.shape import extents, permute, reshaped
from symgraph.origin import here_excerpt

__all__ = ["einsum"]


@dataclass(frozen=True)
class Term:
    """An operand and the label of each of its axes, all different."""

    value: Variable
    labels: str

    @property
    def sizes(self) -> dict[str, Size]:
        """The extent of each label."""
        return dict(zip(self.labels, extents(self.value), strict=True))

    def static(self, name: str) -> int | None:
        """The extent of a label, as far as it is known."""
        return self.value.type.shape[self.labels.index(name)]


# ------------------------------------------------------------------------------------------------ reading


def _refuse(subscripts: str, what: str, mend: str, operands: Sequence[Variable] = ()) -> ShapeError:
    return ShapeError(layout(f"einsum({subscripts!r}): {what}", map(describe, operands), here_excerpt(), mend))


def _parse(subscripts: str, operands: Sequence[Variable]) -> tuple[list[str], str]:
    """The labels of each operand and of the result, ellipses written out as labels of their own."""
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    parts = left.split(",")
    if len(parts) != len(operands):
        raise _refuse(subscripts, f"{len(parts)} terms for {len(operands)} operands", "give a term for each operand",
                      operands)  # fmt: skip
    counts = [_hidden(part, v, subscripts) for part, v in zip(parts, operands, strict=True)]
    hidden = "".join(chr(ord("\u03b1") + k) for k in range(max(counts, default=0)))
    full = [part.replace("...", hidden[len(hidden) - n :]) for part, n in zip(parts, counts, strict=True)]
    result = right.replace("...", hidden) if arrow else _implicit(full, hidden)
    _check_result(subscripts, full, result, hidden if "..." not in right and arrow else "")
    return full, result


def _hidden(part: str, v: Variable, subscripts: str) -> int:
    """How many axes an ellipsis stands for."""
    named = part.replace("...", "", 1)
    if not all(c.isascii() and c.isalpha() for c in named):
        raise _refuse(subscripts, f"the term {part!r} is not made of letters", "use letters, commas, -> and ...", [v])
    spare = v.ndim - len(named)
    if spare < 0 or (spare and "..." not in part):
        raise _refuse(subscripts, f"the term {part!r} names {len(named)} axes, {label(v)} has {v.ndim}",
                      "name every axis, or let ... stand for the rest", [v])  # fmt: skip
    return spare


def _implicit(parts: Sequence[str], hidden: str) -> str:
    """Without an arrow: the ellipsis, then the labels that occur once, in alphabetical order."""
    every = "".join(parts)
    return hidden + "".join(sorted(c for c in set(every) - set(hidden) if every.count(c) == 1))


def _check_result(subscripts: str, parts: Sequence[str], result: str, lost: str) -> None:
    if len(set(result)) < len(result):
        raise _refuse(subscripts, "the result names an axis twice", "name each axis of the result once")
    unknown = sorted(set(result) - set("".join(parts)))
    if unknown:
        raise _refuse(subscripts, f"the result's axis {unknown[0]!r} is in no operand", "use labels of the operands")
    if lost:
        raise _refuse(subscripts, "the axes of ... are missing from the result", "write ... after -> too")


# ------------------------------------------------------------------------------------------------ computing


def _distinct(v: Variable, labels: str) -> Term:
    """The diagonal along labels that repeat."""
    for name in dict.fromkeys(labels):
        while labels.count(name) > 1:
            first, second = labels.index(name), labels.index(name, labels.index(name) + 1)
            v = diagonal(v, 0, first, second)
            labels = labels[:first] + labels[first + 1 : second] + labels[second + 1 :] + name
    return Term(v, labels)


def _summed(term: Term, needed: set[str]) -> Term:
    """``term`` without the axes that nothing else needs."""
    gone = tuple(k for k, name in enumerate(term.labels) if name not in needed)
    if not gone:
        return term
    return Term(sum(term.value, gone, dtype=term.value.dtype), "".join(c for c in term.labels if c in needed))


def _without_ones(term: Term, other: Term) -> Term:
    """``term`` without axes of extent 1 that ``other`` has longer: they are repeated, so nothing is lost."""
    idle = {c for c in term.labels if c in other.labels and term.static(c) == 1 and other.static(c) != 1}
    kept = "".join(c for c in term.labels if c not in idle)
    return Term(_ordered(term, kept), kept)


def _ordered(term: Term, labels: str) -> Variable:
    """The axes of ``term`` in the order of ``labels``; those it does not have are of extent 1."""
    return permute(term.value, tuple(term.labels.index(c) if c in term.labels else None for c in labels))


def _contract(a: Term, b: Term, needed: set[str]) -> Term:
    """The product of two operands, summed over what nothing else needs."""
    a, b = _without_ones(a, b), _without_ones(b, a)
    a, b = _summed(a, needed | set(b.labels)), _summed(b, needed | set(a.labels))
    shared = [c for c in a.labels if c in b.labels]
    batch, inner = "".join(c for c in shared if c in needed), "".join(c for c in shared if c not in needed)
    rows = "".join(c for c in a.labels if c not in shared)
    columns = "".join(c for c in b.labels if c not in shared)
    if not inner:
        every = batch + rows + columns
        return Term(mul(_ordered(a, every), _ordered(b, every)), every)
    left, right = _merged(a, batch, (rows, inner)), _merged(b, batch, (inner, columns))
    made = batched_dot_op(left, right) if batch else dot_op(left, right)
    sizes = {**b.sizes, **a.sizes}
    return Term(reshaped(made, [sizes[c] for c in batch + rows + columns]), batch + rows + columns)


def _merged(term: Term, batch: str, groups: Sequence[str]) -> Variable:
    """``term`` with the axes of each group made one, behind those of ``batch``."""
    moved, sizes = _ordered(term, batch + "".join(groups)), term.sizes
    return reshaped(moved, [*[sizes[c] for c in batch], *[product([sizes[c] for c in group]) for group in groups]])


def _check_extents(subscripts: str, terms: Sequence[Term]) -> None:
    for name in dict.fromkeys("".join(t.labels for t in terms)):
        found = {t.static(name) for t in terms if name in t.labels} - {None, 1}
        if len(found) > 1:
            operands = [t.value for t in terms if name in t.labels]
            raise _refuse(subscripts, f"axis {name!r} has extents {' and '.join(map(str, sorted(found, key=str)))}",
                          "axes with one label must have one extent, or 1", operands)  # fmt: skip


USUAL = 64  # what an extent that is not known yet counts as when products are put in order


def _cheapest(terms: Sequence[Term]) -> tuple[int, int]:
    """The two operands whose product takes the fewest multiplications, those that stand first of equal ones."""
    sizes: dict[str, int] = {}
    for t in terms:
        for c in t.labels:
            n = t.static(c)
            sizes[c] = max(sizes.get(c, 1), USUAL if n is None else n)

    def work(pair: tuple[int, int]) -> int:
        return prod(sizes[c] for c in set(terms[pair[0]].labels + terms[pair[1]].labels))

    return min(combinations(range(len(terms)), 2), key=work)


def _interleaved(args: Sequence[Any]) -> tuple[str, list[Any]]:
    """``(x, [0, 1], w, [1, 2], [0, 2])`` as subscripts and operands."""
    operands, axes = list(args[: len(args) // 2 * 2 : 2]), list(args[1::2])
    result = args[-1] if len(args) % 2 else None
    numbers = sorted({n for part in (*axes, result or ()) for n in part if n is not Ellipsis})
    letters = dict(zip(numbers, ascii_uppercase + ascii_lowercase, strict=False))

    def spelled(part: Any) -> str:
        return "".join("..." if n is Ellipsis else letters[n] for n in part)

    written = ",".join(map(spelled, axes))
    return written if result is None else f"{written}->{spelled(result)}", operands


def einsum(subscripts: Any, *operands: Any) -> Variable:
    """Sums of products by Einstein's convention: ``einsum("ij,jk->ik", x, w)`` is ``x @ w``.

    Parameters
    ----------
    subscripts : str, or the first operand
        For each operand a letter for each axis, ``...`` for the rest; after ``->`` the axes of the result. Labels that
        the result leaves out are summed over. Without ``->`` those that occur once are kept, in alphabetical order.
    *operands : Variable or array_like
        Multiplied two at a time, the cheapest pair first. In the form ``einsum(x, [0, 1], w, [1, 2],
        [0, 2])`` each is followed by a list of numbers (or Ellipsis) that stand for labels; a last list is of the
        result's.

    Returns
    -------
    Variable, common dtype.

    Raises
    ------
    ShapeError
        If the subscripts do not fit the operands, or extents with one label differ.
    """
    if not isinstance(subscripts, str) and operands and isinstance(operands[0], list | tuple):
        subscripts, listed = _interleaved((subscripts, *operands))
        operands = tuple(listed)
    if not isinstance(subscripts, str) or not operands:
        raise AxisError("einsum needs subscripts and operands\nwrite einsum('ij,jk->ik', x, w)")
    dtype = common_dtype(operands)
    wide = "float32" if dtype == "float16" else dtype
    values = [as_variable(x) for x in operands]
    parts, result = _parse(subscripts, values)
    terms = [_distinct(convert(v, wide), part) for v, part in zip(values, parts, strict=True)]
    _check_extents(subscripts, terms)
    while len(terms) > 1:
        first, second = _cheapest(terms)
        b, a = terms.pop(second), terms.pop(first)
        terms.insert(first, _contract(a, b, set(result).union(*[t.labels for t in terms])))
    total = _summed(terms[0], set(result))
    return convert(_ordered(total, result), dtype)

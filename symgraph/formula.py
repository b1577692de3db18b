"""Index formulas: the meaning of a dense op as on paper.

    out[axes] = combine over reduce of exprs

A formula is written on operands (``x[i, j]`` is a load) by ``compute``; the kinds of op keep it, and nobody looks at
it until fusion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from symgraph import expression, primitives  # noqa: F401 (importing it fills the table)
from symgraph.expression import Expr, const
from symgraph.types import SIGNED, SIZES, UNSIGNED, TensorType, is_float

Terms = tuple[Expr, ...]
Axis = tuple[str, int]


@dataclass(frozen=True)
class Combiner:
    """An associative merge with its identity; split, vectors, threads and warps use ``merge`` alone.

    Attributes
    ----------
    name : str
    identity : callable
        dtypes of the accumulators -> their starting values.
    merge : callable
        (accumulators, accumulators) -> accumulators, in scalar expressions.
    step : callable
        (accumulators, terms) -> accumulators: one more element. ``merge`` unless the terms are not accumulators
        themselves (a product that is added without rounding in between).
    """

    name: str
    identity: Callable[[Sequence[str]], Terms]
    merge: Callable[[Terms, Terms], Terms]
    step: Callable[[Terms, Terms], Terms]

    def __repr__(self) -> str:
        return self.name


def _combiner(name: str, identity: Callable[[str], Expr], merge: Callable[[Expr, Expr], Expr]) -> Combiner:
    def both(a: Terms, b: Terms) -> Terms:
        return tuple(merge(x, y) for x, y in zip(a, b, strict=True))

    return Combiner(name, lambda dtypes: tuple(map(identity, dtypes)), both, both)


def lowest(dtype: str) -> Expr:
    """The least value of ``dtype``: -inf for floats."""
    if is_float(dtype):
        return const(float("-inf"), dtype)
    return const(-(2 ** (8 * SIZES[dtype] - 1)) if dtype in SIGNED else 0, dtype)


def highest(dtype: str) -> Expr:
    """The greatest value of ``dtype``: inf for floats."""
    if is_float(dtype):
        return const(float("inf"), dtype)
    bits = 8 * SIZES[dtype]
    return const(2**bits - 1 if dtype in UNSIGNED else 2 ** (bits - 1) - 1 if dtype in SIGNED else 1, dtype)


SUM = _combiner("sum", lambda d: const(0, d), lambda a, b: a + b)
PROD = _combiner("prod", lambda d: const(1, d), lambda a, b: a * b)
MAX = _combiner("max", lowest, expression.maximum)
MIN = _combiner("min", highest, expression.minimum)
ANY = _combiner("any", lambda d: const(False, d), lambda a, b: a | b)
ALL = _combiner("all", lambda d: const(True, d), lambda a, b: a & b)
LAST = _combiner("last", lambda d: const(0, d), lambda a, b: b)
DOT = Combiner("dot", SUM.identity, SUM.merge, lambda acc, ab: (expression.fma(ab[0], ab[1], acc[0]),))


def _arg(name: str, worst: Callable[[str], Expr], better: Callable[[Expr, Expr], Expr]) -> Combiner:
    """(value, index): the first of the best values; a NaN is better than any number, the first NaN best of all."""

    def merge(a: Terms, b: Terms) -> Terms:
        (av, ai), (bv, bi) = a, b
        a_nan, b_nan = expression.isnan(av), expression.isnan(bv)
        tie = expression.eq(av, bv) | (a_nan & b_nan)
        take = select_bool(tie, bi < ai, ~a_nan & (b_nan | better(bv, av)))
        return expression.select(take, bv, av), expression.select(take, bi, ai)

    def identity(dtypes: Sequence[str]) -> Terms:
        return worst(dtypes[0]), highest(dtypes[1])

    return Combiner(name, identity, merge, merge)


def select_bool(cond: Expr, a: Expr, b: Expr) -> Expr:
    """``a`` where ``cond`` else ``b``, for three bools."""
    return (cond & a) | (~cond & b)


ARGMAX = _arg("argmax", lowest, lambda a, b: a > b)
ARGMIN = _arg("argmin", highest, lambda a, b: a < b)


@dataclass(frozen=True)
class Operand:
    """An input of a formula; indexing it gives a load."""

    slot: int
    type: TensorType

    @property
    def shape(self) -> tuple[int, ...]:
        """Known extents: formulas are asked for only when all are."""
        assert self.type.is_static, f"formula asked for with the open type {self.type}"
        return tuple(n for n in self.type.shape if n is not None)

    @property
    def dtype(self) -> str:
        """Element type."""
        return self.type.dtype

    def __getitem__(self, indices: object) -> Expr:
        each = indices if isinstance(indices, tuple) else (indices,)
        assert len(each) == self.type.ndim, f"{len(each)} indices for a rank of {self.type.ndim}"
        return expression.load(self.slot, each, self.dtype)


@dataclass(frozen=True)
class Compute:
    """The meaning of a dense op on static shapes.

    Attributes
    ----------
    axes : tuple of (name, extent)
        The axes that are walked: those of the output, or those of the values for a scatter.
    exprs : tuple of Expr
        One term for each output (for each term of ``combiner.step``).
    reduce : tuple of (name, extent)
        Axes that ``combiner`` folds; empty for a map.
    combiner : Combiner or None
    at : tuple of Expr or None
        Scatter: the target of the element at ``axes``; targets may repeat, and then combine in the order of axes.
    into : int or None
        Scatter: the operand that the output starts as a copy of, with its shape.
    prefix : str or None
        Scan: the output axis along which results accumulate (cumsum); the output keeps every partial result.
    within : tuple of Expr
        Conditions on the axes, whose extents are capacities then: there are no other positions. Those of a scatter are
        on the axes of its target too.
    """

    axes: tuple[Axis, ...]
    exprs: Terms
    reduce: tuple[Axis, ...] = ()
    combiner: Combiner | None = None
    at: Terms | None = None
    into: int | str | None = None
    prefix: str | None = None
    within: Terms = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents of ``axes``: the output's shape, except for a scatter."""
        return tuple(n for _, n in self.axes)

    @property
    def is_map(self) -> bool:
        """Whether each output element is one expression of input elements."""
        return self.combiner is None and self.at is None


def compute(
    shape: Sequence[int], formula: Callable[..., Expr | Terms], *, over: Sequence[int] = (),
    combiner: Combiner | None = None, prefix: int | None = None,
) -> Compute:  # fmt: skip
    """A ``Compute`` from a function of the output's indices, then those reduced over.

    >>> compute((m, n), lambda i, j, k: a[i, k] * b[k, j], over=(p,), combiner=SUM)
    """
    axes = tuple((f"i{k}", n) for k, n in enumerate(shape))
    reduce = tuple((f"r{k}", n) for k, n in enumerate(over))
    exprs = formula(*[expression.axis(name) for name, _ in axes + reduce])
    return Compute(
        axes, exprs if isinstance(exprs, tuple) else (exprs,), reduce, combiner,
        prefix=None if prefix is None else axes[prefix][0],
    )  # fmt: skip


def scatter(
    shape: Sequence[int], formula: Callable[..., tuple[Terms, Expr]], *, into: int, combiner: Combiner
) -> Compute:
    """A scatter: ``formula`` of the indices of the values gives (target indices, value)."""
    axes = tuple((f"i{k}", n) for k, n in enumerate(shape))
    at, value = formula(*[expression.axis(name) for name, _ in axes])
    return Compute(axes, (value,), (), combiner, at=at, into=into)


def row_major(index: Sequence[Expr], sizes: Sequence[int]) -> Expr:
    """The flat index of ``index`` in an array of extents ``sizes``."""
    flat, *rest = index or (const(0, expression.INDEX),)
    for i, n in zip(rest, sizes[1:], strict=True):
        flat = flat * n + i
    return flat

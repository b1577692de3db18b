"""Drawn index formulas and the groups made of them: what lowering and scheduling are tried on.

Values are small multiples of a power of two, so that every sum and product of them is exact: however a kernel orders
its work, an element that is lost or taken twice changes the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from codegen.group import Fused, Group, Stage
from codegen.kernel import Kernel
from codegen.lower import Placed, lower, parameter
from symgraph import expression
from symgraph.expression import INDEX, Expr, axis, cast, const, load, maximum, minimum, select
from symgraph.formula import ALL, ANY, ARGMAX, ARGMIN, LAST, MAX, MIN, PROD, SUM, Combiner, Compute, Terms
from symgraph.graph import Variable
from symgraph.ops.cumulative import AFFINE
from symgraph.types import TensorType, is_float

EXTENTS = (0, 1, 1, 2, 3, 4, 5, 7, 8, 13, 16, 17, 31, 33, 64, 67)
MOST = 1500  # turns of a kernel: the interpreter takes some microseconds for each
Draw = Callable[..., object]


@dataclass
class Drawn:
    """Operands and the stages that read them.

    Attributes
    ----------
    arrays : dict
        Operand name -> its value.
    stages : list of Stage
        On operands and earlier stages, by name.
    start : dict
        Output name -> the operand whose storage it takes (a scatter in place).
    near : set
        Outputs that are not stored.
    """

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)
    start: dict[str, str] = field(default_factory=dict)
    near: set[str] = field(default_factory=set)

    def operand(self, dtype: str, shape: Sequence[int], values: np.ndarray | None = None) -> str:
        """A new operand; with small values of its own if none are given."""
        name = f"x{len(self.arrays)}"
        self.arrays[name] = small(len(self.arrays), dtype, shape) if values is None else values.astype(dtype)
        return name

    def outputs(self) -> dict[str, TensorType]:
        """Name and type of what each stage gives."""
        return {n: t for s in self.stages for n, t in zip(s.outputs, self._types(s), strict=True)}

    def _types(self, s: Stage) -> list[TensorType]:
        c = s.compute
        shape = self.arrays[str(c.into)].shape if c.into is not None else c.shape
        return [TensorType(e.dtype, shape) for e in c.exprs[-len(s.outputs) :]]

    def kernel(self, name: str = "k") -> Kernel:
        """The group of all stages, lowered."""
        types = {n: TensorType(a.dtype.name, a.shape) for n, a in self.arrays.items()} | self.outputs()
        fused = Fused(values={n: Variable(t) for n, t in types.items()})
        group = Group(tuple(self.stages), tuple(n for n in self.outputs() if n not in self.near))
        storage = {n: self.start.get(n, n) for n in types}
        buffers = {n: parameter(n, t.dtype, [m or 0 for m in t.shape]) for n, t in types.items()}
        return lower(group, name, fused, Placed(storage, buffers))

    def memory(self, kernel: Kernel) -> dict[str, np.ndarray]:
        """Flat storage for every buffer of a kernel; what it writes first holds something else."""
        held = {}
        for b in kernel.buffers:
            given = self.arrays.get(b.name)
            held[b.name] = np.full(b.shape, 5, b.dtype) if given is None else _flat(given)
        return held


def _flat(a: np.ndarray) -> np.ndarray:
    return a.ravel().copy() if a.size else np.zeros(1, a.dtype)


def small(seed: int, dtype: str, shape: Sequence[int]) -> np.ndarray:
    """Quarters from -2 to 2, small integers, or bools."""
    random = np.random.default_rng(seed)
    if dtype == "bool":
        return random.random(tuple(shape)) < 0.5
    if is_float(dtype):
        return (random.integers(-8, 9, tuple(shape)) / 4).astype(dtype)
    return random.integers(0 if dtype.startswith("u") else -3, 4, tuple(shape)).astype(dtype)


def units(seed: int, dtype: str, shape: Sequence[int]) -> np.ndarray:
    """1 and -1: what any number of can be multiplied."""
    return np.where(np.random.default_rng(seed).random(tuple(shape)) < 0.5, 1, -1).astype(dtype)


# ------------------------------------------------------------------------------------------------ extents, indices


def extents(draw: Draw, most: int, rank: int, least: int = 0) -> list[int]:
    """``rank`` extents of a product of at most ``most``; as often odd as not, seldom 0."""
    found: list[int] = []
    for _ in range(rank):
        room = most // max(math.prod(found), 1)
        found.append(int(draw(st.sampled_from([n for n in EXTENTS if least <= n <= room] or [1]))))
    return found


Axes = Sequence[tuple[str, int]]


def index(draw: Draw, d: Drawn, axes: Axes, kinds: str = "iiiii0s-2+/%tc") -> tuple[Expr, int]:
    """(an index of some axes, an extent that holds it)."""
    if not axes:
        return const(0, INDEX), 1
    name, n = draw(st.sampled_from(list(axes)))
    i, n = axis(name), max(n, 1)
    match draw(st.sampled_from(kinds)):
        case "0":
            return const(1, INDEX), 3
        case "s":
            return i + 2, n + 3
        case "-":
            return n - 1 - i, n
        case "2":
            return i * 2 + 1, 2 * n
        case "+":
            other, m = draw(st.sampled_from(list(axes)))
            return i + axis(other), n + max(m, 1) - 1
        case "/":
            return i // 3, (n - 1) // 3 + 1
        case "%":
            return i % 3, 3
        case "t":
            table = d.operand("int64", (n,), np.random.default_rng(n).integers(0, 5, n))
            return load(table, (i,), "int64"), 5
        case "c":
            return minimum(maximum(i - 1, 0), max(n - 3, 0)), max(n - 2, 1)
    return i, n


def element(draw: Draw, d: Drawn, axes: Axes, dtype: str, values: Callable[..., np.ndarray] = small) -> Expr:
    """An element of a new operand of ``dtype``, perhaps stored as another one, or masked."""
    stored = draw(st.sampled_from([dtype] * 3 + ["float16" if is_float(dtype) else dtype]))
    places = [(axis(n), max(m, 1)) for n, m in axes]
    if len(axes) > 4 or draw(st.booleans()):  # seldom all axes, and in any way
        places = [index(draw, d, axes) for _ in range(draw(st.integers(0, min(len(axes) + 1, 3))))]
    elif draw(st.booleans()):
        places = draw(st.permutations(places))
    inside = const(True, "bool")
    if axes and draw(st.integers(0, 3)) == 0:
        border, inside = bordered(draw, axes)
        places = [*places, border]
    shape = [n for _, n in places]
    x = load(d.operand(stored, shape, values(len(d.arrays), stored, shape)), [i for i, _ in places], stored)
    return select(inside, cast(x, dtype), const(0, dtype))


def bordered(draw: Draw, axes: Axes) -> tuple[tuple[Expr, int], Expr]:
    """((an index moved and clamped, an extent that holds it), a condition that may say what the clamps do)."""
    name, n = draw(st.sampled_from(list(axes)))
    shift, room = draw(st.integers(0, 2)), max(n - draw(st.integers(0, 3)), 1)
    i = axis(name) - shift
    below = draw(st.sampled_from([i >= 0, i > 0, i >= -1]))
    above = draw(st.sampled_from([i < room, i <= room - 1, i < n]))
    cond = draw(st.sampled_from([below, above, below & above, above & below]))
    return (maximum(minimum(i, room - 1), 0), room), cond


def term(draw: Draw, d: Drawn, axes: Axes, dtype: str) -> Expr:
    """A term of one to three elements."""
    x = element(draw, d, axes, dtype)
    for _ in range(draw(st.integers(0, 2))):
        x = combine(draw, x, element(draw, d, axes, dtype))
    return x


def combine(draw: Draw, a: Expr, b: Expr) -> Expr:
    if a.dtype == "bool":
        return draw(st.sampled_from([a & b, a | b, a ^ b]))
    ways = [a + b, a * b, maximum(a, b), select(a < b, a, b)]
    return draw(st.sampled_from(ways if a.dtype.startswith("u") else [*ways, a - b]))


# ------------------------------------------------------------------------------------------------ formulas

DTYPES = ("float32", "float32", "float64", "int32", "int64", "uint8", "bool")


def _named(prefix: str, sizes: Sequence[int]) -> tuple[tuple[str, int], ...]:
    return tuple((f"{prefix}{k}", n) for k, n in enumerate(sizes))


def _followed(draw: Draw, d: Drawn, least: int = 0) -> Drawn:
    """Maps over the axes of the first stage, each of which reads a value before it."""
    first = d.stages[0]
    for k in range(draw(st.integers(least, 2))):
        name, kind = draw(st.sampled_from(list(d.outputs().items())))
        axes = first.compute.axes
        x = load(name, [axis(n) for n, _ in axes], kind.dtype)
        value = combine(draw, x, element(draw, d, axes, kind.dtype))
        d.stages.append(Stage((f"z{k}",), Compute(axes, (value,))))
    return d


@st.composite
def maps(draw: Draw) -> Drawn:
    """Maps that broadcast, transpose, gather, stride and mask; some in a row."""
    d = Drawn()
    axes = _named("i", extents(draw, MOST, draw(st.integers(0, 4))))
    d.stages.append(Stage(("y",), Compute(axes, (term(draw, d, axes, draw(st.sampled_from(DTYPES))),))))
    return _followed(draw, d)


@st.composite
def joins(draw: Draw) -> Drawn:
    """Operands one after the other along an axis, those of no element too, perhaps within a border of another value."""
    d = Drawn()
    sizes = extents(draw, MOST // 4, draw(st.integers(1, 3)), 1)
    along = draw(st.integers(0, len(sizes) - 1))
    lengths = draw(st.lists(st.integers(0, 20), min_size=1, max_size=4).filter(any))
    border = [draw(st.integers(0, 2)) for _ in sizes]
    sizes[along] = sum(lengths)
    axes = _named("i", [n + 2 * b for n, b in zip(sizes, border, strict=True)])
    own = [axis(name) - b for (name, _), b in zip(axes, border, strict=True)]
    value, end = const(0, "float32"), sum(lengths)
    for n in reversed(lengths):
        shape = [*sizes[:along], n, *sizes[along + 1 :]]
        start = end - n
        places = [i - start * (k == along) for k, i in enumerate(own)]
        at = [maximum(minimum(i, m - 1), 0) for i, m in zip(places, shape, strict=True)]
        if n:
            value = select(own[along] < end, load(d.operand("float32", shape), at, "float32"), value)
        end = start
    for i, n in zip(own, sizes, strict=True):
        value = select((i >= 0) & (i < n), value, const(-1, "float32"))
    d.stages.append(Stage(("y",), Compute(axes, (value,))))
    return _followed(draw, d)


@st.composite
def reductions(draw: Draw) -> Drawn:
    """Reductions along any axes by any combiner, with maps behind them."""
    d = Drawn()
    outer = extents(draw, 200, draw(st.integers(0, 3)))
    axes = _named("i", outer)
    reduce = _named("r", extents(draw, MOST // max(math.prod(outer), 1), draw(st.integers(1, 3))))
    every = (*axes, *reduce)
    combiner = draw(st.sampled_from([SUM, SUM, SUM, PROD, MAX, MIN, ANY, ALL, ARGMAX, ARGMIN]))
    if combiner in (ANY, ALL):
        terms: Terms = (term(draw, d, every, "bool"),)
    elif combiner is PROD:
        terms = (element(draw, d, every, draw(st.sampled_from(("float32", "float64", "int32"))), units),)
    else:
        terms = (term(draw, d, every, draw(st.sampled_from(("float32", "float64", "int32", "int64")))),)
    outputs: tuple[str, ...] = ("y",)
    if combiner in (ARGMAX, ARGMIN):
        terms = (*terms, _number(reduce))
        outputs = draw(st.sampled_from([("y",), ("y", "w")]))
    d.stages.append(Stage(outputs, Compute(axes, terms, reduce, combiner)))
    return _followed(draw, d)


@st.composite
def rows(draw: Draw) -> Drawn:
    """Stages that share rows: sums and maxima of a row, maps of those, and elements of the row made with them."""
    d = Drawn()
    outer = extents(draw, 60, draw(st.integers(0, 2)))
    rows = _named("i", outer)
    room = MOST // max(math.prod(outer), 1)
    # an element of one row of no elements could not be read anywhere
    count = draw(st.integers(1, 2))
    shapes = [extents(draw, room, draw(st.integers(1, 2)), count - 1) for _ in range(count)]
    dtype = draw(st.sampled_from(("float32", "float64", "float64", "int32", "int64")))
    for k in range(draw(st.integers(2, 6))):
        # float32 holds the sum of a row exactly, not that of such sums
        combiners = [MAX, MIN] if dtype == "float32" and k else [SUM, SUM, MAX, MIN]
        combiner = draw(st.sampled_from([*combiners, None, None])) if k else SUM
        walks = combiner or 0 in shapes[0] or draw(st.booleans())
        further = _named("r", draw(st.sampled_from(shapes))) if walks else ()
        value = element(draw, d, (*rows, *further), dtype, special if draw(st.integers(0, 4)) == 0 else small)
        for _ in range(draw(st.integers(0, 2)) if d.stages else 0):
            way = draw(st.sampled_from([expression.maximum, lambda a, b: a + b]))
            value = way(value, _row(draw, d, further))
        if further and draw(st.integers(0, 2)) == 0:
            by_place = not d.stages or draw(st.booleans())
            cond = bordered(draw, further)[1] if by_place else _row(draw, d, further) <= value
            value = select(cond, value, const(0, dtype))
        axes = rows if combiner else (*further, *rows) if draw(st.booleans()) else (*rows, *further)
        d.stages.append(Stage((f"y{k}",), Compute(axes, (value,), further if combiner else (), combiner)))
    d.near = set(draw(st.lists(st.sampled_from(list(d.outputs())[:-1]))))
    return d


def _row(draw: Draw, d: Drawn, further: Axes) -> Expr:
    """Any value of the same row."""
    return _read(draw, d, draw(st.sampled_from(list(d.outputs()))), further)


def _read(draw: Draw, d: Drawn, name: str, further: Axes) -> Expr:
    """A value of the same row; an element of it at the own position, or anywhere."""
    made = next(s for s in d.stages if name in s.outputs)
    own = iter(draw(st.permutations(further)))
    places: list[Expr] = []
    for a, n in made.compute.axes:
        i, m = (a, n) if a.startswith("i") else next(own, ("", 0))
        if a.startswith("r") and (a, n) in further and (n == 0 or draw(st.booleans())):
            i, m = a, n
        places.append(const(0, INDEX) if not i else axis(i) if m == n else minimum(axis(i), n - 1))
    return load(name, places, d.outputs()[name].dtype)


def special(seed: int, dtype: str, shape: Sequence[int]) -> np.ndarray:
    """Small values, some of which are infinite or no numbers."""
    values = small(seed, dtype, shape)
    if is_float(dtype):
        picked = np.random.default_rng(seed + 1).choice([0.0] * 40 + [np.inf, -np.inf, np.nan], values.shape)
        values = (values + picked).astype(dtype)
    return values


def _number(axes: Axes) -> Expr:
    """The number of an element in row-major order."""
    flat = const(0, INDEX)
    for name, n in axes:
        flat = flat * n + axis(name)
    return flat


@st.composite
def contractions(draw: Draw) -> Drawn:
    """Products of matrices in every transposed form, of stacks of them, and with a map behind."""
    d = Drawn()
    batch = extents(draw, 4, draw(st.integers(0, 1)), 1)
    rows, columns, inner = extents(draw, 6000, 3)
    dtype = draw(st.sampled_from(("float32", "float64", "int32")))
    axes = (*_named("b", batch), ("i", rows), ("j", columns))

    def factor(first: tuple[str, int], second: tuple[str, int]) -> Expr:
        own = [first, second] if draw(st.booleans()) else [second, first]
        lead = [("b0", batch[0])] if batch and draw(st.booleans()) else []
        name = d.operand(dtype, [n for _, n in (*lead, *own)])
        return load(name, [axis(n) for n, _ in (*lead, *own)], dtype)

    value = factor(("i", rows), ("k", inner)) * factor(("k", inner), ("j", columns))
    d.stages.append(Stage(("y",), Compute(axes, (value,), (("k", inner),), SUM)))
    return _followed(draw, d)


@st.composite
def scans(draw: Draw) -> Drawn:
    """Running sums, products and linear recurrences along any axis."""
    d = Drawn()
    axes = _named("i", extents(draw, MOST, draw(st.integers(1, 3))))
    along, _ = draw(st.sampled_from(list(axes)))
    combiner: Combiner = draw(st.sampled_from([SUM, PROD, AFFINE]))
    dtype = draw(st.sampled_from(("float32", "float64", "int64")))
    if combiner is SUM:
        terms: Terms = (term(draw, d, axes, dtype),)
    elif combiner is PROD:
        terms = (element(draw, d, axes, dtype, units),)
    else:
        terms = (element(draw, d, axes, dtype, units), term(draw, d, axes, dtype))
    d.stages.append(Stage(("y",), Compute(axes, terms, (), combiner, prefix=along)))
    return d


@st.composite
def scatters(draw: Draw) -> Drawn:
    """Additions and assignments at places that repeat, in place or to a copy."""
    d = Drawn()
    axes = _named("i", extents(draw, 300, draw(st.integers(1, 3)), draw(st.sampled_from([0, 2, 2]))))
    dtype = draw(st.sampled_from(("float32", "float64", "int32")))
    pairs = [index(draw, d, axes, "it%/0") for _ in range(draw(st.integers(1, 2)))]
    start = d.operand(dtype, [n for _, n in pairs])
    combiner = draw(st.sampled_from([SUM, LAST]))
    value = term(draw, d, axes, dtype)
    at = tuple(i for i, _ in pairs)
    d.stages.append(Stage(("y",), Compute(axes, (value,), (), combiner, at=at, into=start)))
    if draw(st.booleans()):
        d.start["y"] = start
    return d


def of_node(node: object) -> Drawn:
    """The formula of a graph's node on small operands."""
    d = Drawn()
    operands = node.op.operands(node)  # type: ignore[attr-defined]
    names = [d.operand(v.dtype, v.type.shape) for v in operands]
    c: Compute = node.op.define(node)  # type: ignore[attr-defined]

    def place(e: Expr) -> Expr | None:
        return load(names[int(e.value)], e.args, e.dtype) if e.prim == "load" else None  # type: ignore[arg-type]

    exprs = tuple(expression.substitute(c.exprs, place))
    d.stages.append(Stage(("y",), Compute(c.axes, exprs, c.reduce, c.combiner, prefix=c.prefix)))
    return d

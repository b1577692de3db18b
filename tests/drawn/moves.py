"""What a step of a drawn graph may do: an op of the registry, a reduction, a spelling of a family, or arithmetic."""

from __future__ import annotations

import importlib
import math
import pkgutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

import symgraph as sg
import tests.cases
from symgraph.graph import Variable
from symgraph.kinds import Elementwise
from symgraph.op import OPS
from symgraph.reference import evaluate
from symgraph.types import TensorType, is_float
from tests.cases import Case, matrices
from tests.cases.complexes import OF_COMPLEX
from tests.families import families

SHAPES: list[tuple[int, ...]] = [(), (3,), (1,), (2, 3), (4, 1), (1, 3), (2, 1, 3), (3, 3), (2, 3, 4), (17,), (5, 9)]
ROWS: list[tuple[int, ...]] = [(4,), (3, 4), (2, 1, 4)]
"""Some spellings have weights for rows of four."""
NUMBERS = (0.0, 1.0, -1.0, 2.0, 0.5, -3.0, 1e-3, 10.0)
FINITE = (0.0, -0.0, 1.0, -1.0, 1e-30, -1e-40, 1e4, -1e4, 40.0, -710.0)
SPECIAL: list[tuple[float, ...]] = [(), FINITE, (*FINITE, math.nan), (*FINITE, math.inf, -math.inf)]
"""What is put among ordinary numbers: never NaN and infinities together, so that each keeps its law."""
TAME = 1e6
MOST = 400
"""Elements of a value, so that a graph is cheap however its steps broadcast."""


@dataclass
class Pool:
    """What a graph has made so far.

    Attributes
    ----------
    dtype : str
        Of its floats.
    inputs : dict
        Input -> its value.
    values : dict
        Variable that a step made -> its value by the reference.
    """

    dtype: str
    inputs: dict[Variable, np.ndarray] = field(default_factory=dict)
    values: dict[Variable, np.ndarray] = field(default_factory=dict)

    def enter(self, a: np.ndarray, open_extents: bool = False) -> Variable:
        """A new input."""
        shape = tuple(None if open_extents and n != 1 else n for n in a.shape)
        v = Variable(TensorType(a.dtype.name, shape), name=f"x{len(self.inputs)}")
        self.inputs[v] = self.values[v] = a
        return v

    def keep(self, v: Variable) -> None:
        """Remember what a step made, if it is small enough to go on with, and its floats are those of the graph."""
        if is_float(v.dtype) and v.dtype != self.dtype:
            return
        known = {**self.inputs, **self.values}
        try:
            (value,) = evaluate([v], known)
        except ValueError as error:
            if "zero-size" in str(error):  # the largest of none is an error, for NumPy and for us
                return
            raise
        if 0 < value.size <= MOST:
            self.values[v] = value

    def pick(self, rng: np.random.Generator, shape: tuple[int, ...] | None = None) -> Variable:
        """A float, rather a late one, and rather one whose elements are numbers of ordinary size."""
        floats = [v for v, a in self.values.items() if is_float(v.dtype) and a.size]
        fitting = [v for v in floats if shape is None or _meet(self.values[v].shape, shape)] or floats
        tame = [v for v in fitting if _is_tame(self.values[v])]
        among = tame if tame and rng.random() < 0.9 else fitting
        late = among[len(among) // 2 :]
        return _one(rng, late if rng.random() < 0.6 else among)

    def condition(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Variable:
        """A bool that broadcasts with ``shape``."""
        bools = [v for v, a in self.values.items() if v.dtype == "bool" and _meet(a.shape, shape)]
        if bools and rng.random() < 0.5:
            return _one(rng, bools)
        return self.pick(rng, shape) > _one(rng, NUMBERS)

    def fitted(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Variable:
        """A float of ``shape``, made from one that is there by moving its elements."""
        same = [v for v, a in self.values.items() if is_float(v.dtype) and a.shape == shape]
        v = _one(rng, same) if same and rng.random() < 0.8 else self.pick(rng)
        have = self.values[v].shape
        if have == shape:
            return v
        if math.prod(have) == math.prod(shape):
            return v.reshape(shape)
        if _meet(have, shape) and np.broadcast_shapes(have, shape) == shape:
            return sg.broadcast_to(v, shape)
        return v.reshape((-1,))[np.arange(math.prod(shape)) % math.prod(have)].reshape(shape)


T = TypeVar("T")
Move = Callable[[Pool, np.random.Generator], Variable]


def _one(rng: np.random.Generator, among: Sequence[T]) -> T:
    return among[int(rng.integers(len(among)))]


def _is_tame(a: np.ndarray) -> bool:
    with np.errstate(invalid="ignore"):
        return a.size > 0 and bool((np.abs(a) < TAME).mean() > 0.6)


def _meet(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return all(m == n or 1 in (m, n) for m, n in zip(a[::-1], b[::-1], strict=False))


# ------------------------------------------------------------------------------------------------ kinds of move


def operands(pool: Pool, rng: np.random.Generator, count: int) -> list[Variable]:
    """Floats that broadcast together."""
    found = [pool.pick(rng)]
    while len(found) < count:
        shape = np.broadcast_shapes(*[pool.values[v].shape for v in found])
        v = pool.pick(rng, shape)
        found.append(v if _meet(pool.values[v].shape, shape) else found[0])
    return found


def elementwise(op: Elementwise) -> Move:
    """An op on floats that broadcast; one of several operands may be a number."""

    def move(pool: Pool, rng: np.random.Generator) -> Variable:
        if op.takes == "first bool":
            x, y = operands(pool, rng, 2)
            return op(pool.condition(rng, np.broadcast_shapes(*[pool.values[v].shape for v in (x, y)])), x, y)
        xs: list[Variable | float] = [*operands(pool, rng, op.arity)]
        if op.arity > 1 and rng.random() < 0.3:
            xs[int(rng.integers(op.arity))] = _one(rng, NUMBERS)
        return op(*(xs if any(isinstance(x, Variable) for x in xs) else operands(pool, rng, op.arity)))

    return move


def along(f: Callable[..., Variable]) -> Move:
    """A function along one axis."""

    def move(pool: Pool, rng: np.random.Generator) -> Variable:
        x = pool.pick(rng)
        x = x if x.ndim else x[None]
        return f(x, int(rng.integers(-x.ndim, x.ndim)), bool(rng.integers(2)))

    return move


def spelling(write: Callable[..., Variable], arity: int, rows: bool) -> Move:
    """A formula as users write it."""

    shapes = ROWS if rows else SHAPES

    def move(pool: Pool, rng: np.random.Generator) -> Variable:
        shape = pool.values[pool.pick(rng)].shape
        shape = shape if shape in shapes else _one(rng, shapes)
        return write(*[pool.fitted(rng, shape) for _ in range(arity)])

    return move


def of_case(case: Case) -> Move:
    """An op as its case calls it: floats are brought to the shapes that it wants, all else is drawn as it draws."""

    def move(pool: Pool, rng: np.random.Generator) -> Variable:
        arrays = [np.asarray(a) for a in case.draw(rng, pool.dtype)]
        xs = [pool.fitted(rng, a.shape) if is_float(a.dtype.name) and a.size else pool.enter(a) for a in arrays]
        return case.build(*xs)

    return move


ALONG: dict[str, Callable[..., Variable]] = {
    "sum": lambda x, axis, keep: sg.sum(x, axis, keepdims=keep),
    "mean": lambda x, axis, keep: sg.mean(x, axis, keepdims=keep),
    "max": lambda x, axis, keep: sg.max(x, axis, keepdims=keep),
    "min": lambda x, axis, keep: sg.min(x, axis, keepdims=keep),
    "prod": lambda x, axis, keep: sg.prod(x, axis, keepdims=keep),
    "var": lambda x, axis, keep: sg.var(x, axis, keepdims=keep),
    "std": lambda x, axis, keep: sg.std(x, axis, keepdims=keep),
    "norm": lambda x, axis, keep: sg.norm(x, axis=axis, keepdims=keep),
    "logsumexp": lambda x, axis, keep: sg.logsumexp(x, axis, keepdims=keep),
    "softmax": lambda x, axis, keep: sg.nn.softmax(x, axis),
    "log_softmax": lambda x, axis, keep: sg.nn.log_softmax(x, axis),
    "less the mean": lambda x, axis, keep: x - x.mean(axis, keepdims=True),
    "less the largest": lambda x, axis, keep: x - x.max(axis, keepdims=True),
    "by the sum": lambda x, axis, keep: x / x.sum(axis, keepdims=True),
    "flipped": lambda x, axis, keep: sg.flip(x, axis),
    "moved": lambda x, axis, keep: sg.moveaxis(x, axis, 0),
    "first": lambda x, axis, keep: sg.moveaxis(x, axis, 0)[0],
    "running sum": lambda x, axis, keep: sg.cumsum(x, axis),
}

BY_CASE_ONLY = {
    "cast", "print", "gradient_of", "disconnected_grad", "zero_grad", "grad_clip", "grad_scale", "copysign",
    *OF_COMPLEX,
}  # fmt: skip
"""Ops with attributes of their own, one that reads the sign of a NaN, which is anyone's, and those of complex numbers
alone."""


def cases() -> dict[str, list[Case]]:
    """Every op's cases by the op's name."""
    found: dict[str, list[Case]] = {}
    for module in pkgutil.iter_modules(tests.cases.__path__):
        for name, many in importlib.import_module(f"tests.cases.{module.name}").CASES.items():
            found.setdefault(name, []).extend(many)
    return found


def _elementwise() -> Iterator[tuple[str, Move]]:
    for name, op in OPS.items():
        public = getattr(sg, name, None) is op
        if isinstance(op, Elementwise) and op.takes != "bits" and public and name not in BY_CASE_ONLY:
            yield name, elementwise(op)


def _spellings() -> Iterator[tuple[str, Move]]:
    for name, family in families().items():
        arity = 1 if family.rows else len(family.points[0])
        for written, write in family.spellings.items():
            yield f"{name}: {written}", spelling(write, arity, family.rows)


def _cases() -> Iterator[tuple[str, Move]]:
    factored = {id(case) for many in matrices.CASES.values() for case in many}  # of drawn numbers most are singular
    for name, many in cases().items():
        if name != "print" and (not isinstance(OPS[name], Elementwise) or OPS[name].takes == "bits"):
            yield from ((f"{name}-{k}", of_case(case)) for k, case in enumerate(many) if id(case) not in factored)


ARITHMETIC = [(name, elementwise(OPS[name])) for name in ("add", "sub", "mul", "true_div", "neg", "sqr", "exp", "log")]
KINDS: list[list[tuple[str, Move]]] = [
    list(_elementwise()), ARITHMETIC, [(name, along(f)) for name, f in ALONG.items()], list(_spellings()),
    list(_cases()),
]  # fmt: skip
"""Kinds of moves, each as probable as another."""
_KEYS = [np.array([zlib.crc32(name.encode()) for name, _ in many], "uint64") for many in KINDS]


def chosen(kind: int, which: int) -> tuple[str, Move]:
    """One move of a kind: a new one takes its share of the numbers, and the others keep theirs.

    Each move's name gives it a rank for every number; the one of the highest is taken (rendezvous hashing, Thaler and
    Ravishankar 1998).
    """
    ranks = (_KEYS[kind] + np.uint64(which)) * np.uint64(0x9E3779B97F4A7C15)
    ranks = (ranks ^ (ranks >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return KINDS[kind][int(np.argmax(ranks))]

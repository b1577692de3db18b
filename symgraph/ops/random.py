"""Random draws as formulas: Philox 4x32-10, a function of a key and a counter that keeps no state of its own.

A draw has a state, an int64 vector (seed, stream, draw): stream tells the draws of a program apart, draw the calls of
a function. Which number an element gets is part of the interface, so that layout, tiling, fusion, threads and
backends cannot change it. The lane axis is axis 1 (axis 0 of a vector). For index j on it and o, the flat index of the
others,

    key = (seed, stream), counter = (block*16 + j % 16, draw), block = o*ceil(lanes/64) + j//64, word = (j//16) % 4

where both parts of the counter have 64 bits. A draw that needs several words for an element takes them from several
``part`` s, which stand in the two highest bits of the counter.

References
----------
Salmon, Moraes, Dror, Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce, wraps
from inspect import signature
from typing import Any, ParamSpec

import numpy as np

from symgraph import expression
from symgraph.coercion import as_variable, convert, extent_of
from symgraph.errors import ArgumentError, DTypeError, ShapeError, layout
from symgraph.expression import INDEX, Expr, cast, const, eq, select
from symgraph.formula import Compute, Operand, compute, row_major
from symgraph.graph import Variable, constant, describe
from symgraph.kinds import structured
from symgraph.ops.broadcast import broadcast_to
from symgraph.ops.elementwise import add, le, left_shift, lt, mul, or_, right_shift
from symgraph.ops.extents import sizes_of, variables
from symgraph.ops.passing import disconnected_grad
from symgraph.ops.shape import extents
from symgraph.ops.transcendental import cos, log1p, sqrt
from symgraph.origin import here_excerpt
from symgraph.types import TensorType, canonical, is_float

__all__: list[str] = []

P = ParamSpec("P")
Words = tuple[Expr, Expr, Expr, Expr]

WORD, PRODUCT = "uint32", "uint64"
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
LANES = 16  # consecutive elements that use the same word of different counters: a vector of uint32
PART_SHIFT = 30
CHUNK = 2**16  # elements that the reference evaluates at a time: it keeps every term of the formula


# ------------------------------------------------------------------------------------------------ Philox


def philox(counter: Words, key: tuple[Expr, Expr]) -> Words:
    """The four words of a counter under a key, all uint32."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for turn in range(ROUNDS):
        if turn:
            k0, k1 = k0 + const(WEYL[0], WORD), k1 + const(WEYL[1], WORD)
        (high0, low0), (high1, low1) = _product(MULTIPLIERS[0], c0), _product(MULTIPLIERS[1], c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
    return c0, c1, c2, c3


def _product(multiplier: int, x: Expr) -> tuple[Expr, Expr]:
    """The high and the low word of a product."""
    wide = cast(x, PRODUCT) * const(multiplier, PRODUCT)
    return cast(wide >> 32, WORD), x * const(multiplier, WORD)


def _halves(x: Expr) -> tuple[Expr, Expr]:
    """The low and the high word of an index."""
    return cast(x, WORD), cast(x >> 32, WORD)


def _place(index: Sequence[Expr], shape: Sequence[int]) -> tuple[Expr, Expr]:
    """(flat index of the other axes, index on the lane axis)."""
    if not index:
        return const(0, INDEX), const(0, INDEX)
    lane = min(1, len(index) - 1)
    others = [k for k in range(len(index)) if k != lane]
    return row_major([index[k] for k in others], [shape[k] for k in others]), index[lane]


def _counter(o: Expr, j: Expr, shape: Sequence[int]) -> tuple[Expr, Expr]:
    """The two words that tell elements apart: block*16 + j % 16, where a row of the lane axis has whole blocks."""
    lanes = shape[min(1, len(shape) - 1)] if shape else 1
    blocks = -(-lanes // (4 * LANES))
    return _halves((o * blocks + j // (4 * LANES)) * LANES + j % LANES)


def _bits(state: Sequence[Expr], index: Sequence[Expr], shape: Sequence[int], part: int) -> Expr:
    """The random word of one element; ``state`` is (seed, stream, draw)."""
    seed, stream, draw = state
    o, j = _place(index, shape)
    low, high = _halves(draw)
    counter = (*_counter(o, j, shape), low, high | const(part << PART_SHIFT, WORD))
    w0, w1, w2, w3 = philox(counter, (cast(seed, WORD), cast(stream, WORD)))
    # which word is the same for 16 neighbours: with the lane axis cut by 64, each vector needs one of the four only,
    # and the four vectors share one evaluation of philox
    word = j // LANES % 4
    return select(word < 2, select(eq(word, 0), w0, w1), select(eq(word, 2), w2, w3))


def _bits_numpy(state: np.ndarray, *sizes: np.ndarray, part: int) -> np.ndarray:
    """The formula by NumPy: one meaning, which the tests hold against a scalar Philox of their own."""
    shape = tuple(int(n) for n in sizes)
    return words(state, shape, part, np.arange(math.prod(shape))).reshape(shape)


def words(state: np.ndarray, shape: tuple[int, ...], part: int, places: np.ndarray) -> np.ndarray:
    """The random words of the elements at flat ``places`` of a draw of ``shape``."""
    index = [expression.axis(f"i{k}") for k in range(len(shape))]
    key = [expression.load(0, (k,), INDEX) for k in range(3)]
    word = [_bits(key, index, shape, part)]
    out = np.empty(places.size, WORD)
    for start in range(0, out.size, CHUNK):
        some = places[start : start + CHUNK]
        at = np.unravel_index(some, shape) if shape else ()
        values = dict(zip([*key, *index], [*state, *at], strict=True))
        out[start : start + CHUNK] = expression.evaluate(word, values.__getitem__)[0]
    return out


@structured(
    infer=lambda state, *sizes, part: TensorType(WORD, tuple(map(extent_of, sizes))),
    reference=_bits_numpy,
    grad=lambda g, state, *rest, part: [None],
    sizes_from=1,
)
def random_bits(state: Operand, shape: tuple[int, ...], part: int) -> Compute:
    """32 random bits for each element."""
    key = [state[const(k, INDEX)] for k in range(3)]
    return compute(shape, lambda *index: _bits(key, index, shape, part))


# ------------------------------------------------------------------------------------------------ distributions


def unit(state: Variable, sizes: Sequence[Variable], dtype: str) -> Variable:
    """Uniform in [0, 1): a multiple of 2**-11, 2**-24 or 2**-53, as many bits as the dtype has."""
    high = random_bits(state, *sizes, part=0)
    if dtype == "float64":
        low = random_bits(state, *sizes, part=1)
        whole = convert(right_shift(high, 5), dtype) * 2.0**26 + convert(right_shift(low, 6), dtype)
        return mul(whole, 2.0**-53)  # type: ignore[no-any-return]
    digits = {"float16": 11, "float32": 24}[dtype]
    # by way of int32, whose conversion every vector unit has
    return mul(convert(convert(right_shift(high, 32 - digits), "int32"), dtype), 2.0**-digits)  # type: ignore[no-any-return]


def random_key(state: Variable, sizes: Sequence[Variable]) -> Variable:
    """64 random bits for each element, as uint64."""
    high, low = (convert(random_bits(state, *sizes, part=part), PRODUCT) for part in (0, 1))
    return or_(left_shift(high, constant(32, PRODUCT)), low)  # type: ignore[no-any-return]


def below(state: Variable, sizes: Sequence[Variable], p: float | Variable) -> Variable:
    """True with probability ``p``, to 2**-32: whether the word is below p * 2**32."""
    bits = random_bits(state, *sizes, part=0)
    if isinstance(p, Variable):
        # exact in float64, so that a constant and a variable p give the same draws
        return lt(convert(bits, "float64"), mul(convert(p, "float64"), 2.0**32))  # type: ignore[no-any-return]
    last = math.ceil(p * 2.0**32) - 1
    return le(bits, constant(last, WORD)) if last >= 0 else lt(bits, constant(0, WORD))  # type: ignore[no-any-return]


def standard_normal(state: Variable, sizes: Sequence[Variable], dtype: str) -> Variable:
    """Normal with mean 0 and deviation 1 (Box and Muller 1958); float16 by way of float32.

    The radius has all bits of the dtype, the angle 32.
    """
    wide = "float64" if dtype == "float64" else "float32"
    radius = sqrt(mul(log1p(-unit(state, sizes, wide)), -2.0))
    angle = mul(convert(random_bits(state, *sizes, part=2), wide), 2.0**-31 * math.pi)
    return convert(mul(radius, cos(angle)), dtype)


def standard_exponential(state: Variable, sizes: Sequence[Variable], dtype: str) -> Variable:
    """Exponential with mean 1."""
    wide = "float64" if dtype == "float64" else "float32"
    return convert(-log1p(-unit(state, sizes, wide)), dtype)


def index_below(state: Variable, sizes: Sequence[Variable], count: Variable) -> Variable:
    """An int64 in 0..count-1 for a count up to 2**32; by multiplication, so some are more frequent by count / 2**32.

    References
    ----------
    Lemire (2019), "Fast random integer generation in an interval".
    """
    bits = convert(random_bits(state, *sizes, part=0), PRODUCT)
    return convert(right_shift(mul(bits, convert(count, PRODUCT)), 32), INDEX)


# ------------------------------------------------------------------------------------------------ arguments


def everywhere(parameter: Any, sizes: Sequence[Variable]) -> Variable:
    """A parameter at every element of a draw, in float64; it is not differentiated by."""
    return broadcast_to(disconnected_grad(convert(as_variable(parameter), "float64")), tuple(sizes))


def float_dtype(name: str, dtype: Any) -> str:
    """A dtype, if it is one of floats."""
    kind = canonical(dtype)
    if not is_float(kind):
        raise DTypeError(layout(f"{name}: dtype is {kind}", [], here_excerpt(), "use a float dtype, or integers(...)"))
    return kind


def probability(p: Any) -> Any:
    """Numbers from 0 to 1, or a variable."""
    if isinstance(p, Variable):
        return p
    numbers = np.asarray(p)
    if not ((numbers >= 0) & (numbers <= 1)).all():
        raise ValueError(f"p is {p}; a probability must be from 0 to 1")
    return float(p) if isinstance(p, int | float) else as_variable(p)


def check_scale(name: str, value: Any) -> None:
    """Raise ValueError for a number below 0; what a variable is, only a call tells."""
    if not isinstance(value, Variable) and (np.asarray(value) < 0).any():
        raise ValueError(f"{name} is {value}; it must be 0 or above")


def draw_sizes(name: str, size: Any, *parameters: Any) -> list[Variable]:
    """The extents as variables; those of the parameters broadcast together where no size is given."""
    arrays = [convert(v, "float64") for v in map(as_variable, parameters) if v.ndim]
    if size is None:
        return variables(extents(reduce(add, arrays)) if arrays else ())
    sizes = variables(sizes_of(size, name))
    for v in arrays:
        if v.ndim > len(sizes):
            raise ShapeError(
                layout(f"{name}: a parameter has {v.ndim} axes, size has {len(sizes)}", [describe(v)], here_excerpt(),
                       "leave size out: it is that of the parameters then; or give the shape of the result")
            )  # fmt: skip
    return sizes


def at_most(parameter: Any, sizes: Sequence[Variable]) -> Any:
    """A parameter that broadcasts to ``sizes``: one that made a draw larger would let elements share a sample."""
    if isinstance(parameter, int | float):
        return parameter
    v = as_variable(parameter)
    return broadcast_to(v, tuple(sizes)) if v.ndim else v


def required(name: str, parameter: str, value: Any) -> Any:
    """A parameter without a default that would be of use; who leaves it out most often gave it as the size."""
    if value is None:
        raise ArgumentError(
            layout(f"{name}: {parameter} is not given; the first argument is the size", [], here_excerpt(),
                   f"name it: {name}({parameter}=10)")
        )  # fmt: skip
    return value


def size_first(method: Callable[P, Variable]) -> Callable[P, Variable]:
    """A draw whose first argument is its size: a bare number with more after it is a parameter in NumPy's order."""
    name, first = method.__name__, list(signature(method).parameters)[2]

    @wraps(method)
    def draw(*args: P.args, **named: P.kwargs) -> Variable:
        if len(args) > 2 and not isinstance(args[1], Sequence | np.ndarray | Variable | None):
            raise ArgumentError(
                layout(f"{name}: the first argument is the size; {args[1]!r} is a number, and more follow", [],
                       here_excerpt(),
                       f"name the parameters: {name}({first}={args[1]!r}, ...); or give a size in parentheses: "
                       f"{name}(({args[1]!r},), ...)")
            )  # fmt: skip
        return method(*args, **named)

    return draw

"""Matrix products that a device's library does: stacks of matrices in memory, y[z] = a[z] @ b[z].

Such a product is one statement at the top of a kernel, a call of an intrinsic whose meaning is the plain nest of loops.
On a GPU it is a call of cuBLASLt between two launches.

    serial i, j:                            serial i, j: work[i * n + j] = 0, serial k: ... += x[...] * w[...]
      acc = 0                         ->    block b, thread t:
      serial k: acc dot= x[...], w[...]       y[...] = tanh(work[b * 256 + t])
      y[...] = tanh(acc)

A factor that is no matrix, since it is computed as it is read, lies elsewhere, or is to be rounded, is brought into the
form of one by a map before. What follows the sum is a map behind, unless it stores the sum as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from math import prod

from codegen.affine import flat_index, linear, loads_in, walks
from codegen.cuda.products import Product
from codegen.cuda.tensors import is_for_tensors, rounded
from codegen.kernel import Accumulate, Alloc, Body, Buffer, Call, Intrinsic, Store, map_body, nest
from codegen.memory import ALIGNMENT
from codegen.tiles import Nest
from symgraph import expression
from symgraph.expression import INDEX, Expr, axis, bitcast, cast, const
from symgraph.formula import DOT, Axis
from symgraph.types import SIZES

LARGE = 1 << 28  # multiplications from which a call of the library is worth what it keeps from being fused; a guess,
LEAST = 64  # as is this extent of each of m, n and k: no device has been asked

STORED = {"bfloat16": "uint16"}  # the upper half of a float32
KEPT = {"bf16": "bfloat16", "fp16": "float16"}  # precision -> the type in which factors of float32 are kept


# ------------------------------------------------------------------------------------------------ the intrinsic


@dataclass(frozen=True)
class Matrix:
    """A stack of matrices: where element (z, i, j) is, in elements from the place that an operand names.

    Attributes
    ----------
    dtype : str
        One of symgraph's, or "bfloat16".
    offset, stack, row, column : int
        The element is at ``offset + z * stack + i * row + j * column``.
    """

    dtype: str
    offset: int
    stack: int
    row: int
    column: int

    @property
    def stored(self) -> str:
        """The dtype of the buffer."""
        return STORED.get(self.dtype, self.dtype)

    @property
    def start(self) -> int:
        """Bytes in front of the first element."""
        return self.offset * SIZES[self.stored]

    @property
    def alignment(self) -> int:
        """The power of two of which every address of a first element is a multiple."""
        return ALIGNMENT if not self.start else min(ALIGNMENT, self.start & -self.start)

    @property
    def turned(self) -> Matrix:
        """The same elements as transposed matrices."""
        return replace(self, row=self.column, column=self.row)

    def at(self, z: Expr, i: Expr, j: Expr) -> Expr:
        """Where an element is."""
        return const(self.offset, INDEX) + z * self.stack + i * self.row + j * self.column

    def extent(self, z: int, rows: int, columns: int) -> int:
        """Elements from the first to the last of so many matrices."""
        return 1 + (z - 1) * self.stack + (rows - 1) * self.row + (columns - 1) * self.column


@dataclass(frozen=True)
class MatrixProduct:
    """y = a @ b, for each of a stack.

    Attributes
    ----------
    extents : tuple of int
        (z, m, n, k).
    y, a, b : Matrix
        z matrices each, of (m, n), (m, k) and (k, n).
    precision : str
        "highest", or "tf32", to which factors of float32 may be rounded.
    """

    extents: tuple[int, int, int, int]
    y: Matrix
    a: Matrix
    b: Matrix
    precision: str

    @property
    def by_columns(self) -> MatrixProduct:
        """y.T = b.T @ a.T."""
        z, m, n, k = self.extents
        return replace(self, extents=(z, n, m, k), y=self.y.turned, a=self.b.turned, b=self.a.turned)

    @property
    def shapes(self) -> tuple[tuple[int, int, int], ...]:
        """Of y, a and b."""
        z, m, n, k = self.extents
        return (z, m, n), (z, m, k), (z, k, n)


@dataclass(frozen=True)
class Multiply(Intrinsic):
    """The intrinsic of one product; its operands are the places of y, a and b."""

    product: MatrixProduct


MULTIPLY = "multiply"


@cache
def multiply(product: MatrixProduct) -> Multiply:
    """The intrinsic of a product: one for equal ones."""
    return Multiply(MULTIPLY, partial(_meaning, product), product)


def _meaning(product: MatrixProduct, y: Expr, a: Expr, b: Expr) -> Body:
    """Sums in float64, rounded once: in which order a library adds is its own affair."""
    z, i, j, k = (axis(f"multiply_{name}") for name in "zijk")
    acc = Buffer("multiply_acc", "float64", (), "register")
    left = _element(product.a, a, product.a.at(z, i, k), product.precision)
    right = _element(product.b, b, product.b.at(z, k, j), product.precision)
    body = (
        Alloc(acc),
        Store(acc.name, (), const(0.0, acc.dtype)),
        *nest([(str(k.value), product.extents[3])], (Accumulate((acc.name,), (), DOT, (left, right)),)),
        Store(str(y.value), (product.y.at(z, i, j),), cast(expression.load(acc.name, (), acc.dtype), y.dtype)),
    )
    return nest([(str(e.value), n) for e, n in zip((z, i, j), product.extents[:3], strict=True)], body)


def _element(m: Matrix, place: Expr, at: Expr, precision: str) -> Expr:
    """An element of a factor as a float64."""
    found = expression.load(str(place.value), (at,), m.stored)
    if m.dtype == "bfloat16":
        found = bitcast(cast(found, "uint32") << 16, "float32")
    if m.dtype == "float32" and precision == "tf32":
        found = rounded(found, "tf32")
    return cast(found, "float64") if found.dtype != "float64" else found


# ------------------------------------------------------------------------------------------------ finding

Takes = Callable[[MatrixProduct], bool]


def no_library(product: MatrixProduct) -> bool:
    """Where there is none."""
    return False


def by_library(
    whole: Nest, found: Product, precision: str, takes: Takes, names: Iterator[str]
) -> tuple[list[Nest | Call], list[Buffer]] | None:
    """What a nest becomes whose product is left to a library, and the buffers between; None where it is not.

    Parameters
    ----------
    whole : Nest
    found : Product
        What ``whole`` is.
    precision : str
        Of the function.
    takes : callable
        Whether the library does a product.
    names : iterator of str
        Suffixes that nobody has.
    """
    dtypes = {e.dtype for e in found.step.exprs}
    if prod(found.extents) < LARGE or min(found.extents[1:]) < LEAST:
        return None
    if found.conditions or len(dtypes) > 1 or not dtypes <= {"float32", "float64"}:
        return None
    return _Library(whole, found, precision, names).parts(takes)


class _Library:
    """A nest as a product of matrices, with the maps around it."""

    def __init__(self, whole: Nest, found: Product, precision: str, names: Iterator[str]) -> None:
        self.whole, self.found, self.names = whole, found, names
        self.precision = precision if is_for_tensors(found, precision) else "highest"
        self.before: list[Nest | Call] = []
        self.buffers: list[Buffer] = []
        a, b = found.step.exprs
        self.stack, self.m, self.n, self.k = (
            sorted(axes, key=lambda x: -_stride(a, x[0]) - _stride(b, x[0]))
            for axes in (found.stack, found.m, found.n, found.k)
        )
        if not self.stack:
            self.stack, self.m = _apart(self.m, a, self.dtype)
        if not self.stack:
            self.stack, self.n = _apart(self.n, b, self.dtype)

    @property
    def extents(self) -> tuple[int, int, int, int]:
        """Of the stack, m, n and k."""
        z, m, n, k = (prod(e for _, e in axes) for axes in (self.stack, self.m, self.n, self.k))
        return z, m, n, k

    def parts(self, takes: Takes) -> tuple[list[Nest | Call], list[Buffer]] | None:
        a = self.factor(self.found.step.exprs[0], self.m, self.k)
        b = self.factor(self.found.step.exprs[1], self.k, self.n)
        if a is None or b is None:
            return None
        y, after = self.result({str(a[0].value), str(b[0].value)})
        precision = "tf32" if self.precision == "tf32" and self.dtype == "float32" else "highest"
        product = MatrixProduct(self.extents, y[1], a[1], b[1], precision)
        if not takes(product):
            return None
        return [*self.before, Call(multiply(product), (y[0], a[0], b[0])), *after], self.buffers

    @property
    def dtype(self) -> str:
        """Of the elements of both factors."""
        terms = self.found.step.exprs
        if all(_source(t).dtype == "float16" for t in terms):
            return "float16"
        return KEPT.get(self.precision, terms[0].dtype)

    # ---------------------------------------------------------------------------------------- factors

    def factor(self, term: Expr, rows: Sequence[Axis], columns: Sequence[Axis]) -> _Placed | None:
        """A factor as it lies in memory, or as a map brings it there; None where that would be more than it is."""
        source = _source(term)
        in_memory = source.args and source.dtype == self.dtype
        as_it_lies = self.matrix(source.args[0], self.dtype, rows, columns) if in_memory else None
        if as_it_lies is not None:
            return _place(str(source.value), as_it_lies), as_it_lies
        if not all(walks(e, [x for x in self.axes if x[0] in e.names]) for e in loads_in((term,)) if e.args):
            return None
        return self.packed(term, rows, columns)

    @property
    def axes(self) -> list[Axis]:
        return [*self.stack, *self.m, *self.n, *self.k]

    def packed(self, term: Expr, rows: Sequence[Axis], columns: Sequence[Axis]) -> _Placed:
        """A factor that a map computes before, its neighbours those that lie side by side where it is read."""
        stack = self.stack if any(name in term.names for name, _ in self.stack) else ()
        along_rows = any(_stride(term, name) == 1 for name, _ in rows[-1:])
        axes = [*stack, *columns, *rows] if along_rows else [*stack, *rows, *columns]
        place = flat_index([axis(name) for name, _ in axes], [n for _, n in axes])
        found = self.matrix(place, self.dtype, rows, columns)
        assert found is not None, "row-major is a matrix"
        buffer = Buffer("factor" + next(self.names), found.stored, (prod(n for _, n in axes),))
        self.buffers.append(buffer)
        self.before.append(Nest(tuple(axes), (Store(buffer.name, (place,), _kept(term, self.dtype)),), True))
        return _place(buffer.name, found), found

    def matrix(self, place: Expr, dtype: str, rows: Sequence[Axis], columns: Sequence[Axis]) -> Matrix | None:
        """Where the elements of matrices are, if the places of one are as a library wants them."""
        form = linear(place)
        if any(atom.prim != "axis" for atom, _ in form.terms):
            return None
        strides = ([(n, form.stride(name) or 0) for name, n in axes] for axes in (self.stack, rows, columns))
        stack, row, column = map(merged, strides)
        if stack is None or row is None or column is None:
            return None
        height, width = (prod(n for _, n in axes) for axes in (rows, columns))
        fits = (column == 1 and row >= width) or (row == 1 and column >= height)
        return Matrix(dtype, form.offset, stack, row, column) if fits else None

    # ---------------------------------------------------------------------------------------- the result

    def result(self, read: set[str]) -> tuple[_Placed, list[Nest]]:
        """Where the sums go, and what follows them."""
        acc = self.acc
        after = self.found.core[3:]
        match after:
            case (Store(buffer, (at,), expr),) if expr is acc and buffer not in read:
                y = self.matrix(at, acc.dtype, self.m, self.n)
                if y is not None:
                    return (_place(buffer, y), y), []
        last = self.whole.axes[-1] in self.m
        axes = [*self.stack, *(self.n if last else self.m), *(self.m if last else self.n)]
        place = flat_index([axis(name) for name, _ in axes], [n for _, n in axes])
        y = self.matrix(place, acc.dtype, self.m, self.n)
        assert y is not None, "row-major is a matrix"
        work = Buffer("product" + next(self.names), acc.dtype, (prod(n for _, n in axes),))
        self.buffers.append(work)
        sums = {acc: expression.load(work.name, (place,), work.dtype)}
        core = map_body(after, lambda exprs: expression.substitute(exprs, sums.get))
        return (_place(work.name, y), y), [replace(self.whole, core=core)]

    @property
    def acc(self) -> Expr:
        """The sum, as what follows reads it."""
        (name,) = self.found.step.buffers
        return expression.load(name, (), self.found.step.exprs[0].dtype)


_Placed = tuple[Expr, Matrix]


def _place(name: str, m: Matrix) -> Expr:
    """The operand that stands for a buffer."""
    return expression.load(name, (const(0, INDEX),), m.stored)


def _source(term: Expr) -> Expr:
    """A load as it is in memory, behind a cast that loses nothing; any other term itself, without indices."""
    inner = term.args[0] if term.prim == "cast" and term.args[0].dtype == "float16" else term
    return inner if inner.prim == "load" else const(0, term.dtype)


def _stride(term: Expr, name: str) -> int:
    """How far apart neighbours along an axis are read; 0 where that is not said."""
    return max((linear(e.args[0]).stride(name) or 0 for e in loads_in((term,)) if e.args), default=0)


def _apart(axes: Sequence[Axis], term: Expr, dtype: str) -> tuple[list[Axis], list[Axis]]:
    """The outer axes of a factor that memory does not walk as one with the inner ones, and those.

    All are inner where the factor is brought into another form anyway.
    """
    source = _source(term)
    in_memory = source.args and source.dtype == dtype
    inner: list[Axis] = []
    for x in reversed(axes):
        together = [(n, _stride(source, name)) for name, n in (x, *inner)]
        if in_memory and inner and merged(together) is None and prod(n for _, n in inner) >= LEAST:
            break
        inner.insert(0, x)
    return list(axes[: len(axes) - len(inner)]), inner


def merged(axes: Sequence[tuple[int, int]]) -> int | None:
    """The stride of several axes as one, given (extent, stride) from the outermost; None where they are not one."""
    found = None
    size = 1
    for n, stride in reversed(axes):
        if n == 1:
            continue
        if found is not None and stride != found * size:
            return None
        found = stride if found is None else found
        size *= n
    return 0 if found is None else found if found >= 0 else None


def _kept(term: Expr, dtype: str) -> Expr:
    """A factor as its buffer holds it."""
    if dtype == "bfloat16":
        return cast(bitcast(rounded(term, "bf16"), "uint32") >> 16, "uint16")
    return term if term.dtype == dtype else cast(term, dtype)

"""Products: tiles of a sum of products, from shared storage and in registers.

    y[m, n] = sum over k of a[m, k] * b[k, n]

is what a matrix product is, and a convolution, each of its gradients, or any sum of products, once its axes are taken
together: those that only the first factor knows are m, those that only the second knows are n, those that both know are
a stack of products. A block of threads makes a tile of y. Turn by turn it fetches tiles of a and b to shared storage,
where an index of either is whatever its term says; each thread multiplies what it needs for a tile of its own, which it
keeps in registers.

A factor that is not there, at the border of a convolution, is fetched as zero. Where that could matter, which is where
a sum is not finite, the tile's results are computed once more, one by one as they are written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

from codegen.affine import all_of, conjuncts, linear, loads_in
from codegen.cuda.threads import Bound, placed, unravel
from codegen.kernel import (
    Accumulate,
    Alloc,
    Body,
    Buffer,
    If,
    Loop,
    Statement,
    Store,
    Sync,
    block_of,
    map_body,
    unnest,
)
from codegen.tiles import Nest
from codegen.unroll import copy
from symgraph import expression
from symgraph.expression import Expr, axis, const, eq
from symgraph.formula import DOT, Axis
from symgraph.lazy import lazy
from symgraph.types import SIZES

DEPTH = 16  # of the tiles in shared storage, along k
LEAST = 8  # extent of each of m, n and k from which tiles are worth their barriers
SHARE = 256  # of k, at least, where it is cut
RESULTS = 512  # of a product from which on there are
ROOM = 256  # bytes of results of a thread: as many again are for a block of terms, and both are to stay in registers
PROCESSORS = 128  # that want a block each; the number says what a tile is worth, not what a result is


@dataclass(frozen=True)
class Tile:
    """Results of a block along m and n, and of each of its threads."""

    m: int
    n: int
    rows: int
    columns: int

    @property
    def threads(self) -> tuple[int, int]:
        """Along m and n."""
        return self.m // self.rows, self.n // self.columns


TILES = (Tile(128, 128, 8, 8), Tile(64, 64, 4, 4), Tile(128, 32, 4, 4), Tile(32, 128, 4, 4), Tile(32, 32, 2, 2),
         Tile(128, 16, 4, 2), Tile(16, 128, 2, 4), Tile(16, 16, 1, 1))  # fmt: skip


@dataclass(frozen=True)
class Product:
    """A nest as a stack of products.

    Attributes
    ----------
    stack, m, n, k : tuple of (name, extent)
    step : Accumulate
    conditions : tuple of Expr
        Under which there is a term: each known along m or along n.
    core : Body
        Of the nest.
    """

    stack: tuple[Axis, ...]
    m: tuple[Axis, ...]
    n: tuple[Axis, ...]
    k: tuple[Axis, ...]
    step: Accumulate
    conditions: tuple[Expr, ...]
    core: Body

    @lazy
    def extents(self) -> tuple[int, int, int, int]:
        """Of the stack, m, n and k."""
        z, m, n, k = (prod(e for _, e in axes) for axes in (self.stack, self.m, self.n, self.k))
        return z, m, n, k


def find_product(whole: Nest) -> Product | None:
    """The nest as products that are large enough for tiles."""
    loops = [k for k, s in enumerate(whole.core) if isinstance(s, Loop)]
    if not whole.independent or loops != [2] or len(whole.steps) != 1 or whole.steps[0].combiner is not DOT:
        return None
    k, (inner, *more) = unnest((whole.core[2],))
    conditions = conjuncts(inner.cond) if isinstance(inner, If) else ()
    (step,) = block_of(inner) if isinstance(inner, If) else (inner,)
    if more or not isinstance(step, Accumulate):
        return None
    a, b = (e.names for e in step.exprs)
    in_m = tuple(x for x in whole.axes if x[0] in a and x[0] not in b)
    in_n = tuple(x for x in whole.axes if x[0] in b and x[0] not in a)
    stack = tuple(x for x in whole.axes if x not in (*in_m, *in_n))
    names_m, names_n = ({name for name, _ in axes} for axes in (in_m, in_n))
    if any(c.names & names_m and c.names & names_n for c in conditions):
        return None
    found = Product(stack, in_m, in_n, tuple(k), step, tuple(conditions), whole.core)
    _, m, n, depth = found.extents
    return found if min(m, n, depth) >= LEAST and prod(found.extents[:3]) >= RESULTS else None


def choose(product: Product, tiles: Sequence[Tile] = ()) -> Tile:
    """Of ``tiles``, or ``TILES``, the cheapest: by what is computed in vain or fetched, and processors left idle."""
    z, m, n, _ = product.extents
    size = max(SIZES[e.dtype] for e in product.step.exprs)

    def cost(t: Tile) -> float:
        blocks = z * -(-m // t.m) * -(-n // t.n)
        return max(blocks, PROCESSORS) * t.m * t.n * (1 + 1 / t.rows + 1 / t.columns)

    return min([t for t in tiles or TILES if t.rows * t.columns * size <= ROOM], key=cost)


def shares(product: Product, tiles: Sequence[Tile] = ()) -> int:
    """Into how many sums k is cut, so that all processors have a block; one where that is not worth a merge."""
    z, m, n, k = product.extents
    t = choose(product, tiles)
    blocks = z * -(-m // t.m) * -(-n // t.n)
    return max(1, min(2 * PROCESSORS // blocks, k // SHARE))


def product(found: Product, names: Iterator[str]) -> Bound:
    """The nest as tiles."""
    return Tiled(found, choose(found), next(names), names).bound()


@dataclass
class Tiled:
    """A product in tiles, as loops."""

    product: Product
    tile: Tile
    suffix: str
    names: Iterator[str]

    def __post_init__(self) -> None:
        _, m, n, _ = self.product.extents
        self.blocks = -(-m // self.tile.m), -(-n // self.tile.n)
        self.block, self.y, self.x, self.turn = (
            axis(name + self.suffix) for name in ("block", "row", "thread", "turn")
        )
        across, down = self.blocks[1], self.blocks[0]
        self.first_m = self.block // across % down * self.tile.m
        self.first_n = self.block % across * self.tile.n
        self.stack = unravel(self.block // (across * down), self.product.stack)
        (name,) = self.product.step.buffers
        self.acc = next(s.buffer for s in self.product.core if isinstance(s, Alloc) and s.buffer.name == name)

    def bound(self) -> Bound:
        z, _, _, k = self.product.extents
        a, b = self.product.step.exprs
        tile_a = self.shared("a", a.dtype, self.tile.m)
        tile_b = self.shared("b", b.dtype, self.tile.n)
        turns = Loop(str(self.turn.value), -(-k // DEPTH), "serial", (
            self.fetch(tile_a, a, self.product.m, self.first_m, self.tile.m),
            self.fetch(tile_b, b, self.product.n, self.first_n, self.tile.n),
            Sync(), self.multiply(tile_a, tile_b), Sync(),
        ))  # fmt: skip
        accs = replace(self.acc, shape=(self.tile.rows, self.tile.columns))
        clear = self.over_tile("c", lambda at: (Store(accs.name, at, const(0, accs.dtype)),))
        body = (Alloc(accs), clear, turns, *self.results())
        down, across = self.tile.threads
        threads = Loop(str(self.y.value), down, "thread", (Loop(str(self.x.value), across, "thread", body),))
        count = z * self.blocks[0] * self.blocks[1]
        return Bound(Loop(str(self.block.value), count, "block", (Alloc(tile_a), Alloc(tile_b), threads)))

    def shared(self, name: str, dtype: str, width: int) -> Buffer:
        # rows are apart by more than their length: or threads that store a column would wait for one bank
        return Buffer(name + self.suffix, dtype, (DEPTH, width + 4), "shared")

    def row(self, at: Expr) -> Expr:
        """Where in the tile the thread's result ``at`` along m is."""
        return self.y * self.tile.rows + at

    def column(self, at: Expr) -> Expr:
        """The same along n."""
        return self.x * self.tile.columns + at

    def fetched(self, value: Expr) -> Expr:
        """A factor as it is multiplied."""
        return value

    # ---------------------------------------------------------------------------------------- fetching

    def fetch(self, tile: Buffer, term: Expr, axes: Sequence[Axis], first: Expr, width: int) -> Statement:
        """Each thread fetches some elements of a tile, neighbours what lies side by side."""
        down, across = self.tile.threads
        part = axis("part" + next(self.names))
        element = part * (down * across) + self.y * across + self.x
        deep = self.is_contiguous(term, self.product.k) and not self.is_contiguous(term, axes)
        i, k = (element // DEPTH, element % DEPTH) if deep else (element % width, element // width)
        extent, depth = prod(n for _, n in axes), self.product.extents[3]
        places = {
            **self.stack, **unravel(first + i, axes), **unravel(self.turn * DEPTH + k, self.product.k),
        }  # fmt: skip
        inside = [c for c in self.product.conditions if c.names <= places.keys()]
        exists = [self.turn * DEPTH + k < depth] if depth % DEPTH else []
        exists += [first + i < extent] if extent % width else []
        value, *conditions = expression.rename([term, *inside], places)
        held = Buffer("held" + next(self.names), term.dtype, (), "register")
        got: Statement = Store(held.name, (), self.fetched(value))
        for cond in (*reversed(conditions), *exists):
            got = If(cond, (got,))
        body = (
            Alloc(held), Store(held.name, (), const(0, term.dtype)), got,
            Store(tile.name, (k, i), expression.load(held.name, (), held.dtype)),
        )  # fmt: skip
        count = DEPTH * width // (down * across)
        return Loop(str(part.value), count, "unroll", body)

    def is_contiguous(self, term: Expr, axes: Sequence[Axis]) -> bool:
        """Whether neighbours along the last axis lie side by side."""
        return bool(axes) and any(linear(e.args[0]).stride(axes[-1][0]) == 1 for e in loads_in((term,)) if e.args)

    # ---------------------------------------------------------------------------------------- multiplying

    def over_tile(self, letter: str, body: Callable[[tuple[Expr, Expr]], Body]) -> Statement:
        """``body(indices)`` for each of a thread's results."""
        i, j = (axis(f"{letter}{d}{next(self.names)}") for d in "ij")
        inner = Loop(str(j.value), self.tile.columns, "unroll", body((i, j)))
        return Loop(str(i.value), self.tile.rows, "unroll", (inner,))

    def multiply(self, a: Buffer, b: Buffer) -> Statement:
        k = axis("k" + next(self.names))

        def step(at: tuple[Expr, Expr]) -> Body:
            left = expression.load(a.name, (k, self.row(at[0])), a.dtype)
            right = expression.load(b.name, (k, self.column(at[1])), b.dtype)
            return (replace(self.product.step, at=at, exprs=(left, right)),)

        return Loop(str(k.value), DEPTH, "unroll", (self.over_tile("m", step),))

    # ---------------------------------------------------------------------------------------- results

    def results(self) -> Body:
        """What follows the sum, for each result of the thread."""
        after = self.product.core[3:]
        usual = self.over_tile("r", lambda at: self.at_result(after, at))
        if not self.product.conditions:
            return (usual,)
        check = Buffer("check" + next(self.names), self.acc.dtype, (), "register")
        total = expression.load(check.name, (), check.dtype)
        again = self.serial_tile(lambda at: self.at_result(self.product.core, at))
        return (
            Alloc(check), Store(check.name, (), const(0, check.dtype)),
            self.over_tile("s", lambda at: (Store(check.name, (), total + self.load(at) * 0),)),
            If(eq(total, total), (usual,)),
            If(expression.ne(total, total), (again,)),
        )  # fmt: skip

    def load(self, at: tuple[Expr, Expr]) -> Expr:
        return expression.load(self.acc.name, at, self.acc.dtype)

    def serial_tile(self, body: Callable[[tuple[Expr, Expr]], Body]) -> Statement:
        i, j = (axis(f"a{d}{next(self.names)}") for d in "ij")
        inner = Loop(str(j.value), self.tile.columns, "serial", body((i, j)))
        return Loop(str(i.value), self.tile.rows, "serial", (inner,))

    def at_result(self, body: Body, at: tuple[Expr, Expr]) -> Body:
        """``body`` for one result, if there is one."""
        _, m, n, _ = self.product.extents
        i = self.first_m + self.row(at[0])
        j = self.first_n + self.column(at[1])
        places = {**self.stack, **unravel(i, self.product.m), **unravel(j, self.product.n)}
        own = {s.buffer.name for s in body if isinstance(s, Alloc)}

        def place(e: Expr) -> Expr | None:
            mine = e.prim == "load" and e.value == self.acc.name and self.acc.name not in own
            return self.load(at) if mine else None

        made = map_body(placed(body, places), lambda exprs: expression.substitute(exprs, place))
        made = copy(made, next(self.names))
        exists = [cond for cond, cut in ((i < m, m % self.tile.m), (j < n, n % self.tile.n)) if cut]
        return (If(all_of(exists), made),) if exists else made

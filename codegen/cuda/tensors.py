"""Tensor cores: products of float32 whose factors a function allows to be rounded (``precision=``).

The factors are rounded as they come to shared storage, to the nearest number of the narrower type. There the threads of
a warp multiply them 16 rows by 8 columns at a time (``mma.sync``) and add in float32; ``mma_row``, ``mma_column`` say
which results of each such piece are a thread's. What is added up in float32 is moved to totals from time to time, as it
is everywhere (``codegen.blocks``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from codegen.cuda.products import DEPTH, LEAST, Product, Tile, Tiled, choose
from codegen.cuda.threads import WARP, Bound
from codegen.intrinsics import MMA, MMA_COLUMNS, MMA_DEPTHS, MMA_ROWS, mma_column, mma_row
from codegen.kernel import Buffer, Call, Loop, Statement
from symgraph import expression
from symgraph.expression import Expr, axis, bitcast, cast, const, eq, select

DROPPED = {"tf32": 13, "bf16": 16}  # bits of a float32's fraction that are rounded away
QUIET = 0x00400000  # the bit of a float32 by which a NaN stays one in every narrower type


@dataclass(frozen=True)
class WarpTile(Tile):
    """A tile of warps: each thread has two results along m, and two along n, of each piece that its warp multiplies."""

    @property
    def warps(self) -> tuple[int, int]:
        """Along m and n."""
        return self.m // (MMA_ROWS * self.rows // 2), self.n // (MMA_COLUMNS * self.columns // 2)

    @property
    def threads(self) -> tuple[int, int]:
        """Warps, and threads of each."""
        return self.warps[0] * self.warps[1], WARP


TILES = (WarpTile(128, 128, 8, 8), WarpTile(64, 64, 4, 4), WarpTile(128, 32, 4, 4), WarpTile(32, 32, 2, 2))


def is_for_tensors(product: Product, precision: str) -> bool:
    """Whether a function's precision lets tensor cores do a product, and they would have something to do."""
    dtypes = {e.dtype for e in product.step.exprs}
    return precision != "highest" and dtypes == {"float32"} and min(product.extents[1:]) >= 2 * LEAST


def tensor_product(found: Product, precision: str, names: Iterator[str]) -> Bound:
    """The nest as tiles that tensor cores multiply."""
    tile = choose(found, TILES)
    assert isinstance(tile, WarpTile)
    return _TensorTiled(found, tile, next(names), names, precision).bound()


@dataclass
class _TensorTiled(Tiled):
    """A product in tiles, as loops whose threads are warps and their lanes."""

    tile: WarpTile
    precision: str

    def row(self, at: Expr) -> Expr:
        warp = self.y // self.tile.warps[1]
        return warp * (MMA_ROWS * self.tile.rows // 2) + at // 2 * MMA_ROWS + mma_row(self.x, at % 2)

    def column(self, at: Expr) -> Expr:
        warp = self.y % self.tile.warps[1]
        return warp * (MMA_COLUMNS * self.tile.columns // 2) + at // 2 * MMA_COLUMNS + mma_column(self.x, at % 2)

    def shared(self, name: str, dtype: str, width: int) -> Buffer:
        # rows apart by so many that no two threads of a warp that fetch their parts wait for one bank
        return Buffer(name + self.suffix, dtype, (DEPTH, width + 64 // MMA_DEPTHS[self.precision]), "shared")

    def fetched(self, value: Expr) -> Expr:
        return rounded(value, self.precision)

    def multiply(self, a: Buffer, b: Buffer) -> Statement:
        depth = MMA_DEPTHS[self.precision]
        turn, i, j = (axis(letter + next(self.names)) for letter in ("k", "mi", "mj"))
        warp_m, warp_n = self.y // self.tile.warps[1], self.y % self.tile.warps[1]
        operands = (
            expression.load(self.acc.name, (i * 2, j * 2), self.acc.dtype),
            expression.load(a.name, (turn * depth, (warp_m * (self.tile.rows // 2) + i) * MMA_ROWS), a.dtype),
            expression.load(b.name, (turn * depth, (warp_n * (self.tile.columns // 2) + j) * MMA_COLUMNS), b.dtype),
            self.x,
        )
        inner: Statement = Call(MMA[self.precision], operands)
        for index, extent in ((j, self.tile.columns // 2), (i, self.tile.rows // 2), (turn, DEPTH // depth)):
            inner = Loop(str(index.value), extent, "unroll", (inner,))
        return inner


def rounded(x: Expr, precision: str) -> Expr:
    """The nearest number to ``x`` that the narrower type has, ties to even; a NaN stays one there too."""
    if precision == "fp16":
        return cast(cast(x, "float16"), "float32")
    n = DROPPED[precision]
    bits = bitcast(x, "uint32")
    below = const((1 << (n - 1)) - 1, "uint32") + (bits >> n & 1)
    nearest = (bits + below) & (0xFFFFFFFF << n & 0xFFFFFFFF)
    return bitcast(select(eq(x, x), nearest, bits | QUIET), "float32")

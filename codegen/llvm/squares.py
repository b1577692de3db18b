"""Squares: as many vectors as they have lanes, whose lanes lie apart in memory and whose rows lie side by side.

    unroll u < 4:                                      four vectors of x, each of consecutive elements,
      vector l < 4:                              ->    are transposed in registers, and give the
        y[8 * u + l] = x[100 * l + u] + 1              four vectors to which 1 is added
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from codegen.affine import loads_in
from codegen.kernel import Body, Loop, Statement, Store
from codegen.llvm.address import Accesses, Address
from codegen.llvm.spell import Writer, shaped, stored
from codegen.llvm.terms import Value
from symgraph.expression import Expr


def squares(body: Body) -> Iterator[Body]:
    """The statements of a flat body, those of a square together, all others by themselves."""
    for key, run in groupby(body, _row):
        statements = tuple(run)
        side = key[1] if key and len(statements) % key[1] == 0 else 1
        yield from (statements[k : k + side] for k in range(0, len(statements), side))


def _row(s: Statement) -> tuple[str, int] | None:
    """The buffer and the lanes of a statement that may be a row of a square."""
    if isinstance(s, Loop) and s.kind == "vector" and len(s.body) == 1 and isinstance(s.body[0], Store):
        return s.body[0].buffer, s.extent
    return None


def transposed(rows: Sequence[str], kind: str, w: Writer) -> list[str]:
    """The columns of a square of vectors: in each step, blocks beside the diagonal change places.

    Reference: Eklundh (1972), "A fast computer method for matrix transposing", IEEE Trans. Comput. C-21.
    """
    lanes, made = len(rows), list(rows)
    typ, step = shaped(kind, lanes), lanes // 2
    while step:
        for i in (i for i in range(lanes) if not i & step):
            pair = f"{typ} {made[i]}, {typ} {made[i + step]}"
            upper = [lane if not lane & step else lanes + lane - step for lane in range(lanes)]
            lower = [lane + step if not lane & step else lanes + lane for lane in range(lanes)]
            made[i], made[i + step] = (w.value(f"shufflevector {pair}, {_mask(order)}") for order in (upper, lower))
        step //= 2
    return made


def _mask(order: Sequence[int]) -> str:
    return f"<{len(order)} x i32> <{', '.join(f'i32 {k}' for k in order)}>"


class Squares(Accesses):
    """Terms with loads and stores, where those of a square go through registers."""

    def square(self, rows: Sequence[Store]) -> bool:
        """Prepare the loads of a square and write it; False if its rows are still to be written one by one."""
        loads = [loads_in((s.expr,)) for s in rows]
        if len({len(own) for own in loads}) == 1:
            for column in zip(*loads, strict=True):
                self.read_square(column)
        places = [self.address(s.buffer, s.at) for s in rows]
        if not self.is_square(places) or any(e.value in self.stored for own in loads for e in own):
            return False
        self.write_square(places[0], [self.text(s.expr, self.lanes) for s in rows])
        return True

    def is_square(self, places: Sequence[Address]) -> bool:
        """Whether the rows of these accesses lie side by side, and their lanes apart."""
        first = places[0]
        return (
            first.is_affine and first.step not in (-1, 0, 1) and first.buffer.space != "register"
            and first.buffer.dtype != "bool" and self.here.mask is None
            and all(p == replace(first, offset=first.offset + k, inside=p.inside) for k, p in enumerate(places))
        )  # fmt: skip

    def read_square(self, column: Sequence[Expr]) -> None:
        """Know the loads of the rows by their columns, if they are those of a square that is only read."""
        places = [self.address(str(e.value), e.args) for e in column]
        if column[0].value in self.stored or not self.is_square(places) or self.find(column[0]) is not None:
            return
        w, kind = self.here.writer, stored(places[0].buffer.dtype)
        self.value(places[0].base)
        lanes = [self.vector_load(a, None, shaped(kind, self.lanes), w) for a in self.across(places[0])]
        for e, text in zip(column, transposed(lanes, kind, w), strict=True):
            self.reads[e] = frozenset()
            self.bind(e, Value(text, self.lanes))

    def write_square(self, first: Address, rows: Sequence[str]) -> None:
        """Store the rows by their columns."""
        self.value(first.base)
        columns = transposed(rows, stored(first.buffer.dtype), self.here.writer)
        for a, text in zip(self.across(first), columns, strict=True):
            self.store_vector(a, text, None)
        self.forget(frozenset((first.buffer.name,)))

    def across(self, first: Address) -> list[Address]:
        """For each lane of a square the elements that its rows have there."""
        return [replace(first, offset=first.offset + n * first.step, step=1) for n in range(self.lanes)]

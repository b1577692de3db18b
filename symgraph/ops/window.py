"""The geometry of windows that slide over an axis: what convolutions and pools share.

Output ``i`` of a window of ``size`` taps reads, at tap ``r``, the input position ``i*stride + r*dilation - pad``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from symgraph.errors import ShapeError, layout
from symgraph.expression import Expr, eq, maximum, minimum
from symgraph.origin import here_excerpt

Place = tuple[Expr, Expr | None]
"""An index that is always in bounds, and whether it is the one meant (None: always)."""


@dataclass(frozen=True)
class Window:
    """A window over one axis of ``n`` elements, with ``out`` positions."""

    n: int
    out: int
    size: int
    stride: int = 1
    dilation: int = 1
    pad: int = 0

    def source(self, i: Expr, r: Expr) -> Place:
        """The input that tap ``r`` of output ``i`` reads; a condition only where the padding is within reach."""
        last = (self.out - 1) * self.stride + (self.size - 1) * self.dilation - self.pad
        return _clamp(i * self.stride + r * self.dilation - self.pad, -self.pad, last, self.n)

    def target(self, y: Expr, r: Expr) -> Place:
        """The output that reads input ``y`` at tap ``r``; free of divisions for stride 1."""
        reach = y + self.pad - r * self.dilation
        least, most = self.pad - (self.size - 1) * self.dilation, self.n - 1 + self.pad
        if self.stride == 1:
            return _clamp(reach, least, most, self.out)
        i = reach // self.stride
        index, inside = _clamp(i, least // self.stride, most // self.stride, self.out)
        return index, both(eq(i * self.stride, reach), inside)

    @property
    def overlap(self) -> int:
        """The most windows that an input belongs to."""
        return -(-self.size // self.stride)

    def cover(self, y: Expr, k: Expr) -> tuple[Expr, Expr, Expr | None]:
        """The ``k``-th last window over input ``y``: its index, the tap where it reads ``y``, whether there is one."""
        reach = y + self.pad
        i = reach // self.stride - k
        tap = reach - i * self.stride
        most = (self.n - 1 + self.pad) // self.stride
        index, inside = _clamp(i, self.pad // self.stride - self.overlap + 1, most, self.out)
        whole = self.size % self.stride == 0
        return index, tap, inside if whole else both(tap < self.size, inside)

    def count(self, i: Expr, padded: bool) -> Expr:
        """How many taps of output ``i`` lie inside the input, or inside the padded input."""
        start = i * self.stride - self.pad
        margin = self.pad if padded else 0
        end = minimum(start + self.size, self.n + margin)
        return end - maximum(start, -margin)


def _clamp(p: Expr, least: int, most: int, n: int) -> Place:
    """``p``, known to lie in least..most, held to 0..n-1."""
    inside: Expr | None = None
    index = p
    if least < 0:
        inside, index = p >= 0, maximum(index, 0)
    if most >= n:
        inside, index = both(p < n, inside), minimum(index, n - 1)
    return index, inside


def both(a: Expr | None, b: Expr | None) -> Expr | None:
    """``a & b``, where None is true."""
    if a is None or b is None:
        return b if a is None else a
    return a & b


def all_of(conditions: Sequence[Expr | None]) -> Expr | None:
    """The conjunction of ``conditions``, where None is true."""
    result: Expr | None = None
    for c in conditions:
        result = both(result, c)
    return result


AXES = {1: ("columns",), 2: ("rows", "columns"), 3: ("planes", "rows", "columns")}
"""What the spatial axes are called, by their number."""


def each_axis(value: object, rank: int, name: str, what: str, least: int) -> tuple[int, ...]:
    """``value`` as ``rank`` integers of at least ``least``; an integer stands for all."""
    if isinstance(value, int) and value >= least:
        return (value,) * rank
    several = isinstance(value, tuple | list) and len(value) == rank
    if several and all(isinstance(n, int) and n >= least for n in value):  # type: ignore[attr-defined]
        return tuple(value)  # type: ignore[arg-type]
    many = "" if rank == 1 else f", or {rank} of them"
    raise ShapeError(
        layout(f"{name}: {what} is {value!r}; it must be an integer of at least {least}{many}", [], here_excerpt(),
               f"give one number for every axis, or ({', '.join(AXES[rank])})")
    )  # fmt: skip


def unravelled(tap: Expr, sizes: Sequence[int]) -> list[Expr]:
    """A row-major number as one for each axis."""
    behind = [prod(sizes[k + 1 :]) for k in range(len(sizes))]
    found = []
    for k, n in enumerate(behind):
        i = tap // n if n > 1 else tap
        found.append(i % sizes[k] if k else i)
    return found

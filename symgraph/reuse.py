"""Which calls share a program: leading extents that were seen to vary are taken at run time.

The first call of a function is compiled for its shapes. A later one that differs from an earlier one in the first axes
of inputs alone gets a program that takes these extents at run time, up to a capacity: the next power of two. Calls that
fit it compile nothing; those that would use little of it get one of a smaller capacity, as loops look at each tile.
Extents that were equal in all calls so far are one. 0 and 1 stay programs of their own: they broadcast, or there is
nothing to compute. The integers that a call decides (how many elements a mask selects, n of ``arange(n)``) are treated
as leading extents of inputs are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from symgraph import config
from symgraph.backend import Executable, Signature, Task, find_backend, takes_lengths
from symgraph.errors import AllocationError, ShapeError, UpdateError
from symgraph.graph import Variable
from symgraph.types import TensorType
from symgraph.varying import VaryingError, varying

Shapes = tuple[tuple[int, ...], ...]
Places = tuple[tuple[int, ...], ...]
LEAST = 2
SMALL = 64  # of such a capacity a call may use as little as it likes
NEAR = 4  # a capacity is not made for lengths so many times the new one


@dataclass(frozen=True)
class Family:
    """Calls whose shapes differ in leading extents alone.

    Attributes
    ----------
    shapes : tuple of tuple
        Those of the inputs at one such call, behind them those of shared variables, and each integer as a shape.
    places : tuple of tuple of int
        For each extent that varies the shapes whose first axis it is.
    capacities : tuple of int
        The most that each can be.
    """

    shapes: Shapes
    places: Places
    capacities: tuple[int, ...]

    @property
    def frame(self) -> tuple[Shapes, Places]:
        """What all families have that differ in capacities alone."""
        return self._framed(self.shapes), self.places

    def _framed(self, shapes: Shapes) -> Shapes:
        at = {k for group in self.places for k in group}
        return tuple(s[1:] if k in at else s for k, s in enumerate(shapes))

    def extents(self) -> list[tuple[int, ...]]:
        """``shapes``, with extents that vary."""
        shapes = [list(s) for s in self.shapes]
        for number, (group, most) in enumerate(zip(self.places, self.capacities, strict=True)):
            extent = varying(number, most, _least(most))
            for k in group:
                shapes[k][0] = extent
        return list(map(tuple, shapes))

    def holds(self, shapes: Shapes) -> bool:
        """Whether a call with these shapes is one of the family."""
        return self._framed(shapes) == self._framed(self.shapes) and all(
            _least(most) <= shapes[group[0]][0] <= most and len({shapes[k][0] for k in group}) == 1
            for group, most in zip(self.places, self.capacities, strict=True)
        )


@dataclass
class Reuse:
    """The programs of a task that several shapes share.

    Attributes
    ----------
    task : Task
    backend : str
    sizes : sequence of Variable
        The integers that a call decides.
    seen : list
        The shapes of inputs and open shared variables, and the integers, that programs were made for.
    programs : dict
    refused : set
        Families that have no program in common, as shapes without what varies, and what that is.
    """

    task: Task
    backend: str
    sizes: Sequence[Variable] = ()
    seen: list[Shapes] = field(default_factory=list)
    programs: dict[Family, Executable] = field(default_factory=dict)
    refused: set[tuple[Shapes, Places]] = field(default_factory=set)

    def find(self, shapes: Shapes) -> Executable | None:
        """The program of a call's family, the latest first."""
        # a copy: another thread may add one meanwhile
        return next((program for f, program in reversed(list(self.programs.items())) if f.holds(shapes)), None)

    def is_common(self, program: Executable) -> bool:
        """Whether a program is that of a family."""
        return program in self.programs.values()

    def make(self, shapes: Shapes, each: Callable[[], Executable]) -> Executable:
        """A program for a call: of its family, or that of its shapes, which ``each`` makes."""
        family = self.family(shapes)
        common = None if family is None or family.frame in self.refused else self._compiled(family)
        made = each() if common is None else common
        if family is not None and common is None:
            self.refused.add(family.frame)
        elif family is not None:
            self.programs[family] = made
        self.seen.append(shapes)
        return made

    def family(self, shapes: Shapes) -> Family | None:
        """The family of a call that no program is for; None if it has none."""
        if config.settings().extents == "fixed" or not takes_lengths(self.backend):
            return None
        alike = [old for old in self.seen if self._differ_in_lengths(old, shapes)]
        columns: dict[tuple[int, ...], list[int]] = {}
        for k, shape in enumerate(shapes):
            if shape and any(old[k] != shape for old in alike):
                columns.setdefault((*[old[k][0] for old in alike], shape[0]), []).append(k)
        found = Family(shapes, tuple(map(tuple, columns.values())), tuple(map(_capacity, columns)))
        return found if columns else None

    def _differ_in_lengths(self, old: Shapes, new: Shapes) -> bool:
        """Whether only first extents of inputs and integers differ, and none of these is below 2."""
        held = range(len(self.task.inputs), len(new) - len(self.sizes))
        return all(
            a == b or (k not in held and len(a) == len(b) > 0 and a[1:] == b[1:] and min(a[0], b[0]) >= LEAST)
            for k, (a, b) in enumerate(zip(old, new, strict=True))
        )

    def _compiled(self, family: Family) -> Executable | None:
        """The program of a family; None where something needs the numbers of its extents."""
        held = tuple(TensorType(s.dtype, s.extents) for s in self.task.shared)
        extents = family.extents()
        inputs = [TensorType(v.dtype, s) for v, s in zip(self.task.inputs, extents, strict=False)]
        sizes = [(v, n) for v, (n,) in zip(self.sizes, extents[len(extents) - len(self.sizes) :], strict=True)]
        signature = Signature(tuple(inputs), held, tuple(sizes))
        try:
            return find_backend(self.backend).compile(self.task, signature)
        # what does not fit all lengths may fit these, or is told with them
        except (VaryingError, ShapeError, UpdateError, AllocationError):
            return None


def _least(most: int) -> int:
    """The least length for which a capacity is not too much."""
    return LEAST if most <= SMALL else -(-most // (2 * NEAR))


def _capacity(lengths: Sequence[int]) -> int:
    """The next power of two for the last of ``lengths`` and those before that are near it."""
    near = [n for n in lengths if n <= NEAR * lengths[-1]]
    return 1 << (max(*near, SMALL) - 1).bit_length()

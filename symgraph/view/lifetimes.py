"""What lies in memory while a program runs: live ranges, the peak, and which storage is used again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symgraph.backend import Executable, Storage
from symgraph.graph import Variable, label
from symgraph.view.brief import counted
from symgraph.view.collect import unnamed

WIDEST = 60  # characters of the chart
FEW = 4  # names of storages in a cell of the table


@dataclass(frozen=True)
class Lifetimes:
    """The storages of a program over its parts.

    Attributes
    ----------
    title : str
    parts : tuple of str
    storages : tuple of Storage
    leaves : dict
        What to call inputs and shared variables without a name.
    """

    title: str
    parts: tuple[str, ...]
    storages: tuple[Storage, ...]
    leaves: Mapping[Variable, str]

    @property
    def alive(self) -> list[int]:
        """Bytes of the arena that matter during each part."""
        arena = [s for s in self.storages if s.kind == "arena"]
        return [sum(s.bytes for s in arena if s.first <= k <= s.last) for k in range(len(self.parts))]

    @property
    def arena(self) -> int:
        """Bytes of the arena."""
        return max((s.offset + s.bytes for s in self.storages if s.offset is not None), default=0)

    def reused(self, s: Storage) -> list[str]:
        """The storages that have the place of ``s`` at another time."""
        if s.offset is None:
            return []
        return [
            o.name for o in self.storages
            if o.offset is not None and o is not s and o.offset < s.offset + s.bytes and s.offset < o.offset + o.bytes
        ]  # fmt: skip

    def table(self) -> list[list[str]]:
        """Heads, then a row for each storage."""
        rows = [
            [s.name, s.kind, f"{s.bytes:,}", "" if s.offset is None else f"{s.offset:,}", self._span(s), self._named(s),
             _few(self.reused(s)), self.bar(s)] for s in self.storages
        ]  # fmt: skip
        return [["storage", "kind", "bytes", "offset", "parts", "value", "shares with", "alive"], *rows]

    def _span(self, s: Storage) -> str:
        return f"{self.parts[s.first]}-{self.parts[s.last]}" if self.parts else ""

    def _names(self, s: Storage) -> list[str]:
        return [self.leaves.get(v) or label(v) for v in s.values]

    def _named(self, s: Storage) -> str:
        names = self._names(s)
        return ", ".join(dict.fromkeys(names[:2])) + (", ..." if len(names) > 2 else "")

    def bar(self, s: Storage) -> str:
        """The live range as a line."""
        count = max(len(self.parts), 1)
        width = min(count, WIDEST)
        first, last = s.first * width // count, max(s.last, s.first) * width // count
        return "." * first + "#" * (last - first + 1) + "." * (width - last - 1)

    def summary(self) -> Iterator[str]:
        """The totals."""
        alive = self.alive
        most = max(alive, default=0)
        where = f" during {self.parts[alive.index(most)]}" if most else ""
        kept = sum(s.bytes for s in self.storages if s.kind == "arena")
        yield f"{self.title}: {counted(len(self.storages), 'storage')}, {counted(len(self.parts), 'part')}"
        if not kept:
            yield "nothing is kept between the parts"
            return
        yield f"the arena has {self.arena:,} bytes; {most:,} are alive at once at most{where}"
        if kept > self.arena:
            yield f"values of {kept:,} bytes share it: {kept - self.arena:,} bytes are saved"

    def plain(self) -> dict[str, Any]:
        """As what JSON can say."""
        said = [{**vars(s), "values": self._names(s), "shares": self.reused(s)} for s in self.storages]
        return {"title": self.title, "parts": list(self.parts), "arena": self.arena, "alive": self.alive,
                "storages": said}  # fmt: skip


def lifetimes(title: str, program: Executable) -> Lifetimes:
    """The live ranges of a program."""
    leaves = unnamed(program.prepared.inputs, program.prepared.shared)
    return Lifetimes(title, tuple(p.name for p in program.parts), tuple(program.storages), leaves)


def _few(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    more = len(names) - FEW
    return ", ".join(names if more <= 0 else [*names[:FEW], f"+{more}"])

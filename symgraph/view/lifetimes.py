"""What lies in memory while a program runs: live ranges, the peak, and which storage is used again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from symgraph.backend import Executable, Storage
from symgraph.graph import label

WIDEST = 60  # characters of the chart


@dataclass(frozen=True)
class Lifetimes:
    """The storages of a program over its parts.

    Attributes
    ----------
    title : str
    parts : tuple of str
    storages : tuple of Storage
    """

    title: str
    parts: tuple[str, ...]
    storages: tuple[Storage, ...]

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
            [s.name, s.kind, f"{s.bytes:,}", "" if s.offset is None else f"{s.offset:,}", self._span(s), _named(s),
             ", ".join(self.reused(s)), self.bar(s)] for s in self.storages
        ]  # fmt: skip
        return [["storage", "kind", "bytes", "offset", "parts", "value", "shares with", "alive"], *rows]

    def _span(self, s: Storage) -> str:
        return f"{self.parts[s.first]}-{self.parts[s.last]}" if self.parts else ""

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
        yield f"{self.title}: {len(self.storages)} storages, {len(self.parts)} parts"
        yield f"the arena has {self.arena:,} bytes; {most:,} are alive at once at most{where}"
        if kept > self.arena:
            yield f"values of {kept:,} bytes share it: {kept - self.arena:,} bytes are saved"

    def plain(self) -> dict[str, Any]:
        """As what JSON can say."""
        said = [{**vars(s), "values": [label(v) for v in s.values], "shares": self.reused(s)} for s in self.storages]
        return {"title": self.title, "parts": list(self.parts), "arena": self.arena, "alive": self.alive,
                "storages": said}  # fmt: skip


def lifetimes(title: str, program: Executable) -> Lifetimes:
    """The live ranges of a program."""
    return Lifetimes(title, tuple(p.name for p in program.parts), tuple(program.storages))


def _named(s: Storage) -> str:
    names: Sequence[str] = [label(v) for v in s.values]
    return ", ".join(dict.fromkeys(names[:2])) + (", ..." if len(names) > 2 else "")

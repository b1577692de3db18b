"""``profile``: what each part of a program costs, beside what the machine can do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from time import perf_counter
from typing import Any

import numpy as np

from symgraph.backend import Executable
from symgraph.errors import DataError
from symgraph.function import Function
from symgraph.varying import Length
from symgraph.view.collect import document

FORMAT = "symgraph profile"
SIDE, COPIED = 512, 1 << 24
"""Of the product, and bytes of the copy, by which the machine's peak is measured."""


@dataclass(frozen=True)
class Row:
    """A part: median seconds of one run, its share of all, arithmetic, bytes it touches, the user's lines."""

    name: str
    kind: str
    seconds: float
    share: float
    flops: int
    bytes: int
    peak: float
    lines: tuple[str, ...]

    @property
    def gflops(self) -> float:
        """10**9 arithmetic operations a second."""
        return self.flops / self.seconds / 1e9 if self.seconds else 0.0

    @property
    def gbytes(self) -> float:
        """10**9 bytes a second."""
        return self.bytes / self.seconds / 1e9 if self.seconds else 0.0


@dataclass(frozen=True)
class Profile:
    """What was measured.

    Attributes
    ----------
    title : str
    runs : int
    seconds : float
        Median of all parts together.
    rows : tuple of Row
        In the order in which they run. ``peak`` is the greater of the fractions of the machine's arithmetic and of its
        memory; what stays in caches can pass 1.
    compiling : dict
        Seconds by stage.
    memory : dict
        Bytes by purpose.
    machine : dict
        The measured peak: gflops and gbytes a second, by NumPy's product and copy.
    times : ndarray
        Seconds of every run of every part.
    extents : tuple of str
        Those that the program takes at run time, each with the most that it can be: arithmetic and bytes are for that.
    """

    title: str
    runs: int
    seconds: float
    rows: tuple[Row, ...]
    compiling: Mapping[str, float]
    memory: Mapping[str, int]
    machine: Mapping[str, float]
    times: np.ndarray
    extents: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As what JSON can say."""
        rows = [{**vars(r), "lines": list(r.lines), "gflops": r.gflops, "gbytes": r.gbytes} for r in self.rows]
        return {
            "format": FORMAT, "title": self.title, "runs": self.runs, "seconds": self.seconds, "parts": rows,
            "compiling": dict(self.compiling), "memory": dict(self.memory), "machine": dict(self.machine),
        }  # fmt: skip

    def table(self) -> list[list[str]]:
        """Heads, then a row for each part, the slowest first."""
        heads = ["part", "us", "share", "GFLOP/s", "GB/s", "of peak", "lines"]
        rows = sorted(self.rows, key=lambda r: -r.seconds)
        return [heads, *(_cells(r) for r in rows)]

    def __str__(self) -> str:
        table = self.table()
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in table]
        return "\n".join([self.summary(), *lines, *self.notes()])

    def summary(self) -> str:
        """One line."""
        return f"{self.title}: {self.seconds * 1e6:.2f} us a call in {len(self.rows)} parts, median of {self.runs}"

    def notes(self) -> Iterator[str]:
        """Compiling, memory, and what the fractions are of."""
        yield "compiling: " + ", ".join(f"{k} {v:.3f} s" for k, v in self.compiling.items())
        yield "memory: " + ", ".join(f"{k} {v:,} bytes" for k, v in self.memory.items())
        if self.extents:
            yield f"extents: {', '.join(self.extents)} at run time; arithmetic and bytes are those of the most"
        yield f"peak: {self.machine['gflops']:.0f} GFLOP/s in a product, {self.machine['gbytes']:.0f} GB/s in a copy"

    def trace(self) -> dict[str, Any]:
        """The runs one after the other in the format of Chrome's traces, which Perfetto opens."""
        events, now = [], 0.0
        for run in self.times:
            for row, seconds in zip(self.rows, run, strict=True):
                events.append({"name": row.name, "cat": row.kind, "ph": "X", "pid": 1, "tid": 1, "ts": now * 1e6,
                               "dur": seconds * 1e6, "args": {"lines": list(row.lines), "bytes": row.bytes,
                                                              "flops": row.flops}})  # fmt: skip
                now += float(seconds)
        return {"traceEvents": events, "displayTimeUnit": "ns", "otherData": {"title": self.title}}

    def _repr_html_(self) -> str:
        rows = ["".join(f"<td>{escape(c)}</td>" for c in row) for row in self.table()]
        return f"<p>{escape(self.summary())}</p><table>{''.join(f'<tr>{r}</tr>' for r in rows)}</table>"


def _cells(r: Row) -> list[str]:
    return [
        r.name, f"{r.seconds * 1e6:.2f}", f"{100 * r.share:.1f} %", f"{r.gflops:.2f}", f"{r.gbytes:.2f}",
        f"{100 * r.peak:.0f} %", ", ".join(r.lines[:4]) + (", ..." if len(r.lines) > 4 else ""),
    ]  # fmt: skip


def profile(f: Function, *args: Any, runs: int = 200, **kwargs: Any) -> Profile:
    """Measure each part of the program for these arguments; shared variables keep their values."""
    return profile_program(f, f.compile(*args, **kwargs), f.bind(*args, **kwargs), runs)


def profile_program(f: Function, program: Executable, arrays: Sequence[np.ndarray], runs: int) -> Profile:
    """Measure a program of ``f``."""
    sizes = f.sizes(arrays)
    program.measure(arrays, f.task.shared, max(2, runs // 10), sizes)
    times = program.measure(arrays, f.task.shared, runs, sizes)
    medians = np.median(times, axis=0)
    total = float(np.median(times.sum(axis=1))) if times.size else 0.0
    machine = peak()
    doc = document(f)
    rows = []
    for group, seconds in zip(doc.groups, medians.tolist(), strict=True):
        lines = dict.fromkeys(doc.place(doc.nodes[k].source) for k in group.nodes)
        fraction = (
            max(group.flops / machine["gflops"], group.bytes / machine["gbytes"]) / 1e9 / seconds if seconds else 0
        )
        rows.append(
            Row(group.name, group.kind, seconds, seconds / max(float(medians.sum()), 1e-12), group.flops, group.bytes,
                fraction, tuple(filter(None, lines)))
        )  # fmt: skip
    extents = tuple(repr(v.extent) for v in program.prepared.inputs if isinstance(v, Length))
    return Profile(
        f.name, runs, total, tuple(rows), dict(program.timings), dict(program.buffers), machine, times, extents
    )  # fmt: skip


@cache
def peak() -> dict[str, float]:
    """What the machine does at best, in 10**9 a second, measured once in a process."""
    a = np.ones((SIDE, SIDE), "float32")
    product = _best(lambda: np.matmul(a, a))
    source = np.zeros(COPIED, np.uint8)
    target = np.zeros_like(source)
    copy = _best(lambda: np.copyto(target, source))
    return {"gflops": 2 * SIDE**3 / product / 1e9, "gbytes": 2 * COPIED / copy / 1e9}


def _best(work: Callable[[], object], times: int = 8) -> float:
    least = float("inf")
    for _ in range(times):
        start = perf_counter()
        work()
        least = min(least, perf_counter() - start)
    return least


# ------------------------------------------------------------------------------------------------ comparing


def read_profile(text: str, path: str) -> dict[str, Any]:
    """A profile that was written as JSON.

    Raises
    ------
    DataError
        If it is none.
    """
    try:
        data = json.loads(text)
        good = data["format"] == FORMAT and float(data["seconds"]) >= 0
        {p["name"]: float(p["seconds"]) for p in data["parts"]}
    except (json.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path} is no profile: {error}") from None
    if not good:
        raise DataError(f"{path} is no profile: its format is {data['format']!r}")
    return dict(data)


def slower(now: Profile, old: Mapping[str, Any], tolerance: float) -> list[str]:
    """What takes longer than before by more than a fraction ``tolerance``: the whole, then parts of the same lines."""
    found = []
    if now.seconds > old["seconds"] * (1 + tolerance):
        found.append(_change("a call", old["seconds"], now.seconds))
    before = {tuple(p.get("lines", ())) or p["name"]: p["seconds"] for p in old["parts"]}
    for row in now.rows:
        then = before.get(row.lines or row.name)
        # parts of a hundredth of the whole are noise
        if then and row.seconds > then * (1 + tolerance) and row.share > 0.01:
            found.append(_change(f"{row.name} ({', '.join(row.lines)})", then, row.seconds))
    return found


def _change(what: str, then: float, now: float) -> str:
    return f"{what}: {then * 1e6:.2f} us before, {now * 1e6:.2f} us now, {100 * (now / then - 1):+.0f} %"

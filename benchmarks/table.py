"""The table of a run, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from benchmarks.agreement import ALLOWED
from benchmarks.cases import CASES
from benchmarks.measure import Result
from benchmarks.peers import OURS
from benchmarks.workloads import WORKLOADS

UNITS = ((1, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))
Limits = Mapping[int, Mapping[str, float]]
"""For each number of threads, what ``limits.measure`` gave."""


def report(results: Sequence[Result], limits: Limits, sizes: str) -> list[str]:
    """The lines of the table, and below it what could not be measured and why."""
    peers = list(dict.fromkeys(r.peer for r in results))
    head = ["case", "threads", *peers, "ours / best", "bar", "of the floor"]
    rows = [row(list(group), peers, limits, sizes) for _, group in groupby(results, lambda r: (r.case, r.threads))]
    lines = [line(head), line(["---"] * len(head)), *map(line, rows)]
    return [*lines, "", *notes(results)]


def line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def row(results: Sequence[Result], peers: Sequence[str], limits: Limits, sizes: str) -> list[str]:
    """One case with one number of threads."""
    by_peer = {r.peer: r for r in results}
    case, threads = CASES[results[0].case], results[0].threads
    cells = [cell(by_peer[p]) if p in by_peer else "-" for p in peers]
    compared = [ratio_text(results), bar_text(results, sizes), floor_text(results, limits, sizes)]
    return [case.title, str(threads), *cells, *compared]


def cell(result: Result) -> str:
    """Median and spread."""
    if result.rounds:
        return f"{amount(result)} ±{100 * result.spread:.0f} %"
    if not result.supported:
        return "-"
    return "differs" if (result.difference or 0) > 1 else "failed"


def amount(result: Result) -> str:
    """The median with its unit."""
    if CASES[result.case].of_memory:
        return f"{result.median / 1e6:.1f} MB"
    return duration(result.median)


def duration(seconds: float) -> str:
    """Three digits, in the unit that leaves one to three of them before the point."""
    size, unit = next((u for u in UNITS if seconds >= u[0]), UNITS[-1])
    return f"{seconds / size:.3g} {unit}" if seconds < 999.5 * size else f"{seconds / size:.0f} {unit}"


# ------------------------------------------------------------------------------------------------ comparisons


def ratio(results: Sequence[Result]) -> float | None:
    """Ours, as a multiple of the best other peer's."""
    ours = [r.median for r in results if r.peer == OURS and r.rounds]
    others = [r.median for r in results if r.peer != OURS and r.rounds]
    return ours[0] / min(others) if ours and others else None


def ratio_text(results: Sequence[Result]) -> str:
    """Left out for first calls: a library that compiles nothing has none to speak of."""
    found = ratio(results) if CASES[results[0].case].relative else None
    return "-" if found is None else f"{found:.2f}"


def bar_text(results: Sequence[Result], sizes: str) -> str:
    """What it may be at most, and whether it is; the bars are for the full sizes."""
    case = CASES[results[0].case]
    if case.bar is None or sizes != "full":
        return "-"
    ours = [r.median for r in results if r.peer == OURS and r.rounds]
    found = ratio(results) if case.relative else ours[0] if ours else None
    verdict = "" if found is None else ", met" if found <= case.bar else ", short"
    return f"{case.bar:g}{'' if case.relative else ' s'}{verdict}"


def floor_text(results: Sequence[Result], limits: Limits, sizes: str) -> str:
    """The share of our time that the machine could not do without."""
    ours = [r.median for r in results if r.peer == OURS and r.rounds]
    least = floor(results[0].case, limits.get(results[0].threads, {}), sizes)
    return f"{100 * least / ours[0]:.0f} %" if ours and least else "-"


def floor(name: str, rates: Mapping[str, float], sizes: str) -> float | None:
    """Seconds for the multiply-adds, or for the bytes if they take longer; None where neither is stated."""
    case = CASES[name]
    if case.measure != "step" or not rates:
        return None
    workload = WORKLOADS[case.workload]
    chosen = workload.full if sizes == "full" else workload.tiny
    stated = ((workload.flops, rates["flops"]), (workload.traffic, rates["bandwidth"]))
    return max((work(**chosen) / rate for work, rate in stated if work), default=None)


def notes(results: Sequence[Result]) -> Iterator[str]:
    """One line for each peer that should have been measured and was not."""
    for r in results:
        if not r.rounds and r.supported:
            yield f"{CASES[r.case].title}, {r.threads} threads, {r.peer}: {r.note}"


def machine_lines(
    machine: Mapping[str, object], versions: Mapping[str, str | None], limits: Limits, rounds: int
) -> Iterator[str]:
    """What the figures are for, and what they mean."""
    yield f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}"
    yield ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    for threads, rates in limits.items():
        yield (
            f"{threads} threads: {rates['flops'] / 1e9:.0f} GFLOP/s of multiply-adds in float32, "
            f"{rates['bandwidth'] / 1e9:.1f} GB/s; {rates['empty_call'] * 1e9:.0f} ns of each call are the loop's"
        )
    allowed = ", ".join(f"{name} {bound:g}" for name, bound in ALLOWED.items())
    yield f"equal to float64 within, as a Euclidean distance of the length of the result: {allowed}"
    yield f"median of {rounds} rounds ± half their range; floor: least arithmetic or traffic at these rates"

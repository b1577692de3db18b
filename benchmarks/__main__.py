"""symgraph beside other libraries: the same computation, equal results first, then times taken in turn.

Each library runs in a process of its own. One that is not installed is left out with a line that says so. Nothing else
heavy may run meanwhile. The table is Markdown.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES
from benchmarks.machine import cores, describe
from benchmarks.measure import QUICK, Bench, Effort, Result, ours_failed, runs
from benchmarks.peers import OURS, PEERS
from benchmarks.processes import ROOT, here, versions
from benchmarks.table import Limits, machine_lines, report

LIBRARIES = tuple(dict.fromkeys(peer.library for name, peer in PEERS.items() if name != OURS))


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; the exit status is 1 if symgraph failed or differed in a case."""
    options = parse(argv)
    found = {python: versions(python, needed()) for python in {here(), options.peers_python}}
    pythons, missing = installed(options, found)
    print(*missing, sep="\n", file=sys.stderr, flush=True)
    effort = QUICK if options.quick else Effort(rounds=options.rounds)
    limits = {n: machine_limits(n) for n in ([] if options.quick else options.threads)}
    used = {**found[options.peers_python], **{OURS: found[here()][OURS], "llvmlite": found[here()]["llvmlite"]}}
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="symgraph-benchmarks-") as folder:
        for case in measured(Bench(pythons, effort, Path(folder)), options):
            results += case
            write(options.json, results, limits, used, missing)  # so that a run that is stopped leaves what it did
    about = list(machine_lines(describe(), used, limits, effort.rounds))
    table = report(results, limits, effort.sizes)
    print(*about, "", *table, *missing, sep="\n")
    return int(ours_failed(results))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    listed = ", ".join(CASES)
    parser.add_argument("--cases", type=names(CASES), default=list(CASES), metavar="A,B", help=f"of {listed}")
    chosen = (*LIBRARIES, *PEERS)
    parser.add_argument(
        "--peers", type=names(chosen), default=list(LIBRARIES), metavar="A,B",
        help=f"libraries ({', '.join(LIBRARIES)}) or variants ({', '.join(PEERS)})",
    )  # fmt: skip
    parser.add_argument("--peers-python", default=here(), metavar="PATH", help="the interpreter that has the peers")
    parser.add_argument("--threads", type=counts, default=[cores()], metavar="1,2", help="default: all processors")
    parser.add_argument("--rounds", type=int, default=Effort.rounds, metavar="N", help="default %(default)s")
    parser.add_argument("--json", metavar="FILE", help="write every round of every peer to FILE")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one round: whether it runs, not how fast")
    return parser.parse_args(argv)


def names(known: Iterator[str] | Any) -> Any:
    """A parser of names with commas between them."""

    def parsed(text: str) -> list[str]:
        wanted = text.split(",")
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown {unknown[0]!r}; known are {', '.join(known)}")
        return wanted

    return parsed


def counts(text: str) -> list[int]:
    """Numbers of threads with commas between them."""
    found = [int(word) for word in text.split(",")]
    if not all(0 < n <= cores() for n in found):
        raise argparse.ArgumentTypeError(f"{text}: this process may use 1 to {cores()} processors")
    return found


def needed() -> list[str]:
    """All distributions that any peer uses."""
    return list(dict.fromkeys(name for peer in PEERS.values() for name in (peer.library, *peer.needs)))


def installed(
    options: argparse.Namespace, found: Mapping[str, Mapping[str, str | None]]
) -> tuple[dict[str, str], list[str]]:
    """The interpreter of each peer that can run, and a line for each that cannot."""
    pythons, missing = {OURS: here()}, []
    for name, peer in PEERS.items():
        if name == OURS or not {name, peer.library} & set(options.peers):
            continue
        lacking = [d for d in (peer.library, *peer.needs) if not found[options.peers_python][d]]
        if lacking:
            how = "--peers-python PATH names an interpreter that has it"
            missing.append(f"{name}: left out, {options.peers_python} has no {' or '.join(lacking)}; {how}")
        else:
            pythons[name] = options.peers_python
    return pythons, missing


def machine_limits(threads: int) -> dict[str, float]:
    """In a process of its own, pinned as the peers are."""
    command = [here(), "-m", "benchmarks.limits", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    rates: dict[str, float] = json.loads(done.stdout)
    return rates


def measured(bench: Bench, options: argparse.Namespace) -> Iterator[list[Result]]:
    """Case after case, with a line for each on the way."""
    for name, threads in runs(options.cases, options.threads):
        print(f"{name}, {threads} threads", file=sys.stderr, flush=True)
        yield bench.run(name, threads)


def write(
    path: str | None, results: Sequence[Result], limits: Limits, used: Mapping[str, str | None], missing: Sequence[str]
) -> None:
    """Everything that was found, if a file was asked for."""
    if not path:
        return
    found = {
        "machine": describe(),
        "versions": used,
        "limits": limits,
        "missing": missing,
        "results": [dataclasses.asdict(r) for r in results],
    }
    Path(path).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # processes that are held would stay for ever
    sys.exit(main())

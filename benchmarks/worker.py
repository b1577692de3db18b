"""The process of one peer: ``python -m benchmarks.worker PEER WORKLOAD SIZES THREADS``.

It reads requests, one JSON object a line, and answers each with one: ``{"value": ...}`` or ``{"error": "..."}``.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from benchmarks.agreement import disagreement, outputs, results
from benchmarks.peers import PEERS, REFERENCE, Build, Step
from benchmarks.timing import burst
from benchmarks.workloads import WORKLOADS, Problem

STEPS = 10  # of training, for its memory
UNSUPPORTED = "unsupported"


class Worker:
    """One workload on one peer."""

    def __init__(self, peer: str, workload: str, sizes: str) -> None:
        self.workload = WORKLOADS[workload]
        self.names = workload, self.workload.quiet or workload
        chosen = self.workload.full if sizes == "full" else self.workload.tiny
        self.problem: Problem = self.workload.problem(**chosen)
        self.builders: Mapping[str, Build] = {}
        self.peer = REFERENCE if peer == "reference" else PEERS[peer]
        self.step: Step | None = None
        self.requests: dict[str, Callable[..., Any]] = {
            "load": self.load, "refer": self.refer, "check": self.check, "build": self.build, "burst": self.burst,
            "memory": self.memory,
        }  # fmt: skip

    def load(self) -> str | None:
        """Import the library; the answer is ``UNSUPPORTED`` where it has no builder of the workload."""
        self.builders = self.peer.builders()
        return None if self.names[1] in self.builders else UNSUPPORTED

    def refer(self, path: str) -> None:
        """Keep the reference's results in a file."""
        np.savez(path, **results(self.builders[self.names[1]](self.problem.astype("float64"))))

    def check(self, path: str) -> float:
        """How far the results are from those in the file, as a multiple of what is allowed."""
        with np.load(path) as kept:
            return disagreement(results(self.builders[self.names[1]](self.problem)), dict(kept))

    def build(self) -> float:
        """Build, compile and call once: the seconds. Raises ArithmeticError if the value is not finite."""
        start = time.perf_counter()
        self.step = self.builders[self.names[0]](self.problem)
        value = self.step.call(*self.step.arguments[0])
        seconds = time.perf_counter() - start
        if not all(np.isfinite(v).all() for v in outputs(value)):
            raise ArithmeticError("the first call gave a value that is not finite")
        return seconds

    def burst(self, seconds: float) -> list[float]:
        """Seconds of later calls."""
        assert self.step is not None
        return burst(self.step, seconds)

    def memory(self) -> dict[str, int]:
        """Resident bytes before building, and what the steps after the first grew them by at most."""
        idle = resident("VmRSS")
        self.build()
        assert self.step is not None
        forget_peak()
        for k in range(STEPS):
            self.step.call(*self.step.arguments[k % len(self.step.arguments)])
        return {"idle": idle, "memory": resident("VmHWM") - idle}


def resident(name: str) -> int:
    """Bytes of this process in memory now (``VmRSS``) or at most (``VmHWM``)."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: in bytes, and the peak only
    (line,) = (s for s in status.read_text().splitlines() if s.startswith(name))
    return int(line.split()[1]) * 1024


def forget_peak() -> None:
    """Let ``VmHWM`` begin again: compiling is over (Linux, proc(5))."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")


def pin(threads: int) -> None:
    """Stay on as many processors as there are to be threads: some libraries take their number from these."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])


def serve(worker: Worker, requests: TextIO, answers: TextIO) -> None:
    """Answer until there are no more requests."""
    for line in requests:
        request = json.loads(line)
        try:
            answer = {"value": worker.requests[request.pop("do")](**request)}
        except Exception as error:  # whatever a library raises belongs into the table
            answer = {"error": f"{type(error).__name__}: {error}".partition("\n")[0][:300]}
        print(json.dumps(answer), file=answers, flush=True)


def main() -> None:
    peer, workload, sizes, threads = sys.argv[1:]
    pin(int(threads))
    # libraries print: only answers may go where they are read
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        serve(Worker(peer, workload, sizes), sys.stdin, answers)


if __name__ == "__main__":
    main()

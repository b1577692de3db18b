"""Cases measured: equal results first, then samples of each peer in turn."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.cases import CASES, Case
from benchmarks.peers import OURS, PEERS
from benchmarks.processes import PeerError, Process, here, import_seconds
from benchmarks.timing import interleave, spread
from benchmarks.worker import UNSUPPORTED


@dataclass(frozen=True)
class Effort:
    """How much is measured: sizes ("full" or "tiny"), rounds, seconds of a burst, seconds until a peer is given up."""

    sizes: str = "full"
    rounds: int = 7
    seconds: float = 0.5
    limit: float = 300.0


QUICK = Effort("tiny", 1, 0.0, 120.0)


@dataclass(frozen=True)
class Result:
    """What one peer did in one case.

    Attributes
    ----------
    case, peer : str
    threads : int
    rounds : list of float
        The median of each round: seconds, or bytes where memory is measured. Empty if it was not measured.
    difference : float, optional
        From the reference, as a multiple of what is allowed.
    note : str
        Why it was not measured, or what else belongs to the figure.
    """

    case: str
    threads: int
    peer: str
    rounds: list[float] = field(default_factory=list)
    difference: float | None = None
    note: str = ""

    @property
    def median(self) -> float:
        return median(self.rounds)

    @property
    def spread(self) -> float:
        return spread(self.rounds)

    @property
    def supported(self) -> bool:
        return self.note != UNSUPPORTED


@dataclass
class Bench:
    """One run: which interpreter each peer has, how much is measured, and a folder of its own.

    Attributes
    ----------
    pythons : mapping of peer to interpreter
    effort : Effort
    folder : Path
        Caches of compiled programs and the reference's results.
    checked : dict
        What was found of (workload, peer, threads).
    """

    pythons: Mapping[str, str]
    effort: Effort
    folder: Path
    checked: dict[tuple[str, str, int], tuple[float | None, str]] = field(default_factory=dict)

    def run(self, name: str, threads: int) -> list[Result]:
        """All peers in one case."""
        case = CASES[name]
        if case.measure == "import":
            return self._imports(name, threads)
        samples = self._steps if case.measure == "step" else self._first_calls
        with contextlib.ExitStack() as stack:
            results = {peer: Result(name, threads, peer) for peer in self.pythons}
            samplers: dict[str, Callable[[], float]] = {}
            for peer in self.pythons:
                try:
                    results[peer] = self._checked(name, peer, threads)
                    if not results[peer].note:
                        samplers[peer] = samples(case, peer, threads, stack)
                except PeerError as error:
                    results[peer] = Result(name, threads, peer, note=str(error))
            return sampled(results, samplers, self.effort.rounds)

    # -------------------------------------------------------------------------------- equal results

    def _checked(self, name: str, peer: str, threads: int) -> Result:
        """Without a note if the peer can do it and agrees with the reference; asked once for each workload."""
        workload = CASES[name].workload
        known = self.checked.get((workload, peer, threads)) or self._check(workload, peer, threads)
        self.checked[workload, peer, threads] = known
        return Result(name, threads, peer, [], *known)

    def _check(self, workload: str, peer: str, threads: int) -> tuple[float | None, str]:
        """How far the peer is from the reference, and why it is not to be measured."""
        with self._process(peer, workload, threads, self._cache(workload, peer)) as process:
            if process.ask("load") == UNSUPPORTED:
                return None, UNSUPPORTED
            difference = process.ask("check", path=str(self._reference(workload)))
        note = "" if difference <= 1 else f"differs from the reference {difference:.2g} times as much as is allowed"
        return difference, note

    def _reference(self, workload: str) -> Path:
        """The file of float64 results, made when it is first wanted."""
        path = self.folder / f"{workload}.npz"
        if not path.exists():
            python, effort = self.pythons.get("numpy", here()), self.effort
            with Process(python, "reference", workload, effort.sizes, 1, self.folder, effort.limit) as process:
                process.ask("load")
                process.ask("refer", path=str(path))
        return path

    # -------------------------------------------------------------------------------- samples

    def _steps(self, case: Case, peer: str, threads: int, stack: contextlib.ExitStack) -> Callable[[], float]:
        """A process that goes on; a sample is the median of a burst of calls."""
        process = stack.enter_context(self._process(peer, case.workload, threads, self._cache(case.workload, peer)))
        process.ask("load")
        process.ask("build")
        process.hold()

        def sample() -> float:
            process.go_on()
            times: list[float] = process.ask("burst", seconds=self.effort.seconds)
            process.hold()
            return median(times)

        return sample

    def _first_calls(self, case: Case, peer: str, threads: int, stack: contextlib.ExitStack) -> Callable[[], float]:
        """A fresh process for each sample, and unless an earlier one is to have filled it, a fresh cache."""
        kept = self._cache(case.workload, peer)

        def sample(warm: bool = case.measure != "cold") -> float:
            with contextlib.ExitStack() as own:
                cache = kept if warm else Path(own.enter_context(tempfile.TemporaryDirectory(dir=self.folder)))
                process = own.enter_context(self._process(peer, case.workload, threads, cache))
                process.ask("load")
                return float(process.ask("memory")[case.measure] if case.of_memory else process.ask("build"))

        if case.measure != "cold":
            sample()
        return sample

    def _imports(self, name: str, threads: int) -> list[Result]:
        """A fresh interpreter for each sample; variants of a library are imported once."""
        libraries = {PEERS[peer].library: peer for peer in reversed(list(self.pythons))}
        results = {peer: Result(name, threads, peer) for peer in libraries.values()}
        samplers = {peer: partial(import_seconds, self.pythons[peer], lib) for lib, peer in libraries.items()}
        sampled(results, samplers, 1)  # reads the disk
        return sampled(results, samplers, self.effort.rounds)

    # -------------------------------------------------------------------------------- processes

    def _process(self, peer: str, workload: str, threads: int, cache: Path) -> Process:
        effort = self.effort
        return Process(self.pythons[peer], peer, workload, effort.sizes, threads, cache, effort.limit)

    def _cache(self, workload: str, peer: str) -> Path:
        """Where the peer keeps what it has compiled."""
        path = self.folder / workload / peer
        path.mkdir(parents=True, exist_ok=True)
        return path


def sampled(results: Mapping[str, Result], samplers: Mapping[str, Callable[[], float]], rounds: int) -> list[Result]:
    """The results with the samples of those peers that have any; one that fails meanwhile is left out from then on."""
    failed: dict[str, str] = {}

    def guarded(peer: str) -> float | None:
        if peer in failed:
            return None
        try:
            return samplers[peer]()
        except PeerError as error:
            failed[peer] = str(error)
            return None

    found = interleave({peer: partial(guarded, peer) for peer in samplers}, rounds)
    return [with_samples(r, found.get(peer, []), failed.get(peer)) for peer, r in results.items()]


def with_samples(result: Result, found: Sequence[float | None], failure: str | None) -> Result:
    """One result completed."""
    note, rounds = (failure, []) if failure else (result.note, [s for s in found if s is not None])
    return Result(result.case, result.threads, result.peer, rounds, result.difference, note)


def runs(cases: Sequence[str], threads: Sequence[int]) -> Iterator[tuple[str, int]]:
    """Steps with each number of threads; what a process does once, with the most."""
    for name in cases:
        for n in threads if CASES[name].measure == "step" else [max(threads)]:
            yield name, n


def ours_failed(results: Sequence[Result]) -> bool:
    """Whether a case was not measured that we should be able to do."""
    return any(r.peer == OURS and not r.rounds for r in results)

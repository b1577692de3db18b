"""Processes of peers: started, asked, and held still while others are timed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

_VERSIONS = """
import importlib.metadata, json, sys
found = {"python": sys.version.split()[0]}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        found[name] = None
print(json.dumps(found))
"""
_IMPORT = "from time import perf_counter as now; start = now(); import {}; print(now() - start)"


class PeerError(Exception):
    """A peer that raised, stopped or took too long."""


def environment(threads: int, cache: Path) -> dict[str, str]:
    """What libraries read when they are imported."""
    pools = {f"{pool}_NUM_THREADS": str(threads) for pool in ("OMP", "MKL", "OPENBLAS", "NUMBA")}
    return {
        **os.environ,
        **pools,
        "PYTHONPATH": str(ROOT),
        "SYMGRAPH_THREADS": str(threads),
        "SYMGRAPH_CACHE": str(cache / "symgraph"),
        "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'}",
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(cache / "jax"),
        "THP_MEM_ALLOC_ENABLE": "1",  # torch: huge pages for its tensors
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
        "NUMBA_CACHE_DIR": str(cache / "numba"),
        "PYTENSOR_FLAGS": f"base_compiledir={cache / 'pytensor'}",
    }


class Process:
    """A running ``benchmarks.worker``; a context manager, which ends it.

    Parameters
    ----------
    python : str
        Interpreter.
    peer, workload, sizes : str
    threads : int
    cache : Path
        Folder of compiled programs.
    limit : float
        Seconds that one answer may take.
    """

    def __init__(
        self, python: str, peer: str, workload: str, sizes: str, threads: int, cache: Path, limit: float
    ) -> None:
        self.limit = limit
        self.said = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        self.child = subprocess.Popen(
            [python, "-m", "benchmarks.worker", peer, workload, sizes, str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.said, text=True, cwd=ROOT,
            env=environment(threads, cache),
        )  # fmt: skip

    def ask(self, do: str, **details: Any) -> Any:
        """The answer to a request.

        Raises
        ------
        PeerError
            With what the peer said, if it gave none.
        """
        assert self.child.stdin is not None and self.child.stdout is not None
        timer = threading.Timer(self.limit, self.child.kill)
        timer.start()
        try:
            print(json.dumps({"do": do, **details}), file=self.child.stdin, flush=True)
            line = self.child.stdout.readline()
        except BrokenPipeError:
            line = ""
        overdue = not timer.is_alive()
        timer.cancel()
        if not line:
            raise PeerError(f"took more than {self.limit:g} s" if overdue else self._last_words())
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"])
        return answer["value"]

    def _last_words(self) -> str:
        self.child.wait()
        self.said.seek(0)
        lines = self.said.read().strip().splitlines()
        return lines[-1][:300] if lines else f"ended with status {self.child.returncode}"

    def hold(self) -> None:
        """Stop it, so that threads that wait by spinning take no processor from others."""
        self.child.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.child.send_signal(signal.SIGCONT)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *raised: object) -> None:
        self.child.kill()
        self.child.communicate()
        self.said.close()


def versions(python: str, distributions: Sequence[str]) -> dict[str, str | None]:
    """What an interpreter has; None for what it has not."""
    done = subprocess.run([python, "-c", _VERSIONS, *distributions], capture_output=True, text=True, check=True)
    found: dict[str, str | None] = json.loads(done.stdout)
    return found


def import_seconds(python: str, module: str) -> float:
    """What an import takes in a fresh interpreter.

    Raises
    ------
    PeerError
        If it fails.
    """
    done = subprocess.run([python, "-c", _IMPORT.format(module)], capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise PeerError((done.stderr.strip().splitlines() or ["failed"])[-1][:300])
    return float(done.stdout.strip().splitlines()[-1])


def here() -> str:
    """Our own interpreter."""
    return sys.executable

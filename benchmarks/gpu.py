"""symgraph on a GPU beside torch.compile and jax.jit: what the GPU can do, its tests, then times of a call.

Each stage is a process of its own with a time limit, and what is known so far is written after each, so that a run
that is stopped leaves what it did. ``--simulate`` runs the same stages on the device that needs no GPU: whether they
run, not how fast.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.peers import OURS
from benchmarks.processes import ROOT


@dataclass(frozen=True)
class Case:
    """A workload at sizes for a GPU.

    Attributes
    ----------
    workload : str
    sizes : mapping
        Those that differ from the workload's own.
    precision : str
        To what products may be rounded, by us and by the peers.
    """

    workload: str
    sizes: Mapping[str, Any] = field(default_factory=dict)
    precision: str = "highest"


AS_THEY_ARE = (
    "add_one_10", "linear_regression", "logistic_regression", "net", "modern_net", "conv_net", "log_softmax_rows",
    "log_softmax_gradient", "layer_norm", "argmax", "sum", "sum_rows", "sum_columns", "mean_var_rows", "matmul_1024",
    "matmul_128x784x625",
)  # fmt: skip
LARGE = {"widths": (4096,) * 4, "batch": 8192, "batches": 2}
CASES = {
    **{name: Case(name) for name in AS_THEY_ARE},
    "elementwise_chain": Case("elementwise_chain", {"n": 1 << 26}),
    "large_mlp_tf32": Case("modern_net_quiet", LARGE, "tf32"),
    "large_mlp_bf16": Case("modern_net_quiet", LARGE, "bf16"),
    "conv_net_1024": Case("conv_net", {"batch": 1024, "batches": 8}),
}
PEERS = (OURS, "torch-compile", "jax")
LIMITS = {"machine": 60.0, "tests": 300.0, "case": 120.0}  # seconds of a stage


@dataclass
class Run:
    """What is known, and until when there is time.

    Attributes
    ----------
    deadline : float
        By ``time.monotonic``.
    simulate : bool
    file : Path or None
        Where it is written.
    """

    deadline: float
    simulate: bool
    file: Path | None
    found: dict[str, Any] = field(default_factory=lambda: {"cases": []})

    def stage(self, kind: str, *arguments: str) -> dict[str, Any]:
        """The answer of a stage, or why there is none."""
        seconds = min(LIMITS[kind], self.deadline - time.monotonic())
        if seconds <= 0:
            return {"error": "no time left"}
        command = [sys.executable, "-m", "benchmarks.gpu_stage", kind, *arguments]
        env = environment(self.simulate, kind)
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            return {"error": f"took more than {seconds:.0f} s"}
        if done.returncode:
            return {"error": (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]}
        answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return answer

    def keep(self) -> None:
        """Write what is known."""
        if self.file:
            self.file.write_text(json.dumps(self.found, indent=1) + "\n")


def environment(simulate: bool, kind: str) -> Mapping[str, str]:
    """What the process of a stage reads; on a GPU first calls are measured, so that nothing may come from the disk."""
    ours = {"SYMGRAPH_BACKEND": "cuda", "SYMGRAPH_DEVICE": "simulate" if simulate else os.environ.get("DEVICE", "0")}
    if kind == "case" and not simulate:
        ours |= {"SYMGRAPH_CACHE": "off", "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"}
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]), **ours}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stages; the exit status is 1 if symgraph failed or differed in a case."""
    options = parse(argv)
    run = Run(time.monotonic() + options.budget, options.simulate, options.json)
    for name in ("machine", "tests"):
        run.found[name] = run.stage(name, "simulate" if run.simulate else "gpu")
        run.keep()
        print(f"{name}: {json.dumps(run.found[name])}", flush=True)
    with tempfile.TemporaryDirectory(prefix="symgraph-gpu-") as folder:
        for case in cases(run, options, folder):
            run.found["cases"].append(case)
            run.keep()
    print(*table(run.found["cases"]), sep="\n")
    return int(any("error" in c for c in run.found["cases"] if c["peer"] == OURS))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--budget", type=float, default=1200, metavar="SECONDS", help="for all stages together")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what is known to FILE after each stage")
    parser.add_argument("--simulate", action="store_true", help="no GPU, tiny sizes, no peers")
    parser.add_argument("--cases", default=",".join(CASES), metavar="A,B", help="default: %(default)s")
    return parser.parse_args(argv)


def cases(run: Run, options: argparse.Namespace, folder: str) -> Iterator[dict[str, Any]]:
    """Each case on each peer: its answer, with the names of both."""
    sizes = "tiny" if run.simulate else "full"
    for name in options.cases.split(","):
        for peer in PEERS[:1] if run.simulate else PEERS:
            yield {"case": name, "peer": peer, **run.stage("case", name, peer, sizes, folder)}


def table(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Microseconds of a call, a row a case, with ours over the best of the others: calls, and first ones."""
    yield "| case | " + " | ".join(PEERS) + " | ours / best | first calls |"
    yield "|---|" + "---:|" * (len(PEERS) + 2)
    for name in dict.fromkeys(c["case"] for c in found):
        of_peers = {c["peer"]: c for c in found if c["case"] == name}
        cells = [f"{1e6 * t:.1f}" if (t := of_peers.get(peer, {}).get("seconds")) else "-" for peer in PEERS]
        ratios = [ratio({peer: c.get(key) for peer, c in of_peers.items()}) for key in ("seconds", "first call")]
        yield f"| {name} | {' | '.join([*cells, *ratios])} |"


def ratio(times: Mapping[str, float | None]) -> str:
    """Ours over the best of the others."""
    others = [t for peer, t in times.items() if peer != OURS and t]
    ours = times.get(OURS)
    return f"{ours / min(others):.2f}" if others and ours else "-"


if __name__ == "__main__":
    sys.exit(main())

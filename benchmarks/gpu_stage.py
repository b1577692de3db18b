"""A stage of ``benchmarks.gpu`` in a process of its own: it prints one line of JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import symgraph as sg
from benchmarks.agreement import disagreement, results
from benchmarks.peers import PEERS, REFERENCE, Step
from benchmarks.processes import ROOT
from benchmarks.timing import burst
from benchmarks.workloads import WORKLOADS
from symgraph.backend import PRECISIONS

COPIED = 1 << 30  # bytes
SECONDS = 2.0  # of calls that are timed
Answer = Mapping[str, Any]


def machine(kind: str) -> Answer:
    """The device, how fast it copies, and how fast our products are at each precision."""
    from codegen.cuda.open import open_device

    device = open_device("simulate" if kind == "simulate" else os.environ["SYMGRAPH_DEVICE"])
    size = COPIED >> (10 if kind == "simulate" else 0)
    source, target = device.allocate(size), device.allocate(size)
    device.write(source.address, np.zeros(size, np.uint8))
    seconds = min(device.seconds(lambda: device.copy(target.address, source.address, size)) for _ in range(5))
    rates = {p: multiplied(64 if kind == "simulate" else 4096, p) for p in PRECISIONS}
    return {"device": device.name, "copied bytes a second": 2 * size / seconds, "operations a second": rates}


def multiplied(n: int, precision: str) -> float:
    """Operations a second of a product of two matrices of ``n`` by ``n``."""
    random = np.random.default_rng(0)
    a, b = (sg.shared(random.normal(size=(n, n)).astype("float32")) for _ in range(2))
    c = sg.shared(np.zeros((n, n), "float32"))
    f = sg.function([], updates=[(c, a @ b)], precision=precision, backend="cuda")
    seconds = f.compile().measure([], f.task.shared, 5).sum(axis=1).min()
    return float(2 * n**3 / seconds)


def tests(kind: str) -> Answer:
    """The last line of the tests that need the device; of some that do not, where it is simulated."""
    chosen = ["-m", "gpu", "tests/codegen/cuda/test_on_gpu.py"]
    if kind == "simulate":
        chosen = ["tests/codegen/cuda/test_simulate.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen], cwd=ROOT, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    return {"status": done.returncode, "said": (done.stdout.strip().splitlines() or [""])[-1]}


def case(workload: str, peer: str, sizes: str, folder: str) -> Answer:
    """Seconds of a call, after its results were compared with those in float64."""
    chosen = WORKLOADS[workload]
    problem = chosen.problem(**(chosen.full if sizes == "full" else chosen.tiny))
    builders = PEERS[peer].builders()
    quiet = chosen.quiet or workload
    if quiet not in builders:
        return {"error": "not built by this library"}
    kept = Path(folder, f"{quiet}.npz")
    if not kept.exists():
        np.savez(kept, **results(REFERENCE.builders()[quiet](problem.astype("float64"))))
    with DEVICES[peer]() as finished, np.load(kept) as expected:
        distance = disagreement(results(finished(builders[quiet](problem))), dict(expected))
        if distance > 1:
            return {"error": f"differs: {distance:.1f} times what is allowed"}
        step = finished(builders[workload](problem))
        step.call(*step.arguments[0])
        return {"distance": distance, "seconds": median(burst(step, SECONDS if sizes == "full" else 0.0))}


# ------------------------------------------------------------------------------------------------ peers on a GPU


class Ours:
    """Nothing: a call comes back when its results are here."""

    def __enter__(self) -> Callable[[Step], Step]:
        return lambda step: step

    def __exit__(self, *error: object) -> None:
        pass


class Torch(Ours):
    """Tensors on the GPU, compiled functions as CUDA graphs; results come over when a call is asked for them."""

    def __enter__(self) -> Callable[[Step], Step]:
        import torch
        import torch._inductor.config as inductor

        torch.set_default_device("cuda")
        inductor.triton.cudagraphs = True

        def finished(step: Step) -> Step:
            def call(*arguments: Any) -> Any:
                found = step.call(*arguments)
                many = found if isinstance(found, list | tuple) else [found]
                return [t.cpu() for t in many]

            return replace(step, call=call)

        return finished


DEVICES: Mapping[str, Callable[[], Ours]] = {"symgraph": Ours, "torch-compile": Torch, "jax": Ours}
STAGES: Mapping[str, Callable[..., Answer]] = {"machine": machine, "tests": tests, "case": case}

if __name__ == "__main__":
    print(json.dumps(STAGES[sys.argv[1]](*sys.argv[2:])))


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
from time import perf_counter
from typing import Any

import numpy as np

import symgraph as sg
from benchmarks.agreement import disagreement, results
from benchmarks.gpu import CASES
from benchmarks.peers import OURS, PEERS, REFERENCE, Step
from benchmarks.processes import ROOT
from benchmarks.timing import burst
from benchmarks.workloads import WORKLOADS
from codegen.cuda.open import SIMULATE, open_device
from codegen.cuda.simulate import SimulatedArray
from symgraph.backend import PRECISIONS

COPIED = 1 << 30  # bytes
SECONDS = 2.0  # of calls that are timed
# of what float32 is allowed; with layers of 256 and 512, rounded factors were 1.4 and 4.6 times that away, mostly in a
# first step of RMSprop, which has one length for all gradients, so that it turns where a small one changes its sign
ALLOWED = {"highest": 1, "tf32": 2, "bf16": 16}
Answer = Mapping[str, Any]


def machine(kind: str) -> Answer:
    """The device, how fast it copies, and how fast our products are at each precision."""
    device = open_device(SIMULATE if kind == SIMULATE else os.environ["SYMGRAPH_DEVICE"])
    size = COPIED >> (10 if kind == SIMULATE else 0)
    source, target = device.allocate(size), device.allocate(size)
    device.write(source.address, np.zeros(size, np.uint8))
    seconds = min(device.seconds(lambda: device.copy(target.address, source.address, size)) for _ in range(5))
    rates = {p: multiplied(64 if kind == SIMULATE else 4096, p) for p in PRECISIONS}
    return {
        "device": device.name, "library of matrix products": device.library,
        "copied bytes a second": 2 * size / seconds, "operations a second": rates,
    }  # fmt: skip


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
    if kind == SIMULATE:
        chosen = ["tests/codegen/cuda/test_simulate.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen], cwd=ROOT, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    return {"status": done.returncode, "said": (done.stdout.strip().splitlines() or [""])[-1]}


def case(name: str, peer: str, sizes: str, folder: str) -> Answer:
    """Seconds of a call and of the first, after results were compared with those in float64."""
    asked = CASES[name]
    chosen = WORKLOADS[asked.workload]
    problem = chosen.problem(**({**chosen.full, **asked.sizes} if sizes == "full" else chosen.tiny))
    with DEVICES[peer](asked.precision) as finished:
        builders = replace(PEERS[peer], variant=asked.precision if peer == OURS else PEERS[peer].variant).builders()
        quiet = chosen.quiet or asked.workload
        if quiet not in builders:
            return {"error": "not built by this library"}
        kept = Path(folder, f"{name}.npz")
        if not kept.exists():
            np.savez(kept, **results(REFERENCE.builders()[quiet](problem.astype("float64"))))
        with np.load(kept) as expected:
            distance = disagreement(results(finished(builders[quiet](problem))), dict(expected))
        if distance > ALLOWED[asked.precision]:
            return {"error": f"differs: {distance:.1f} times what float32 is allowed"}
        start = perf_counter()
        step = finished(builders[asked.workload](problem))
        step.call(*step.arguments[0])
        first = perf_counter() - start
        times = burst(step, SECONDS if sizes == "full" else 0.0)
        return {"distance": distance, "seconds": median(times), "first call": first}


# ------------------------------------------------------------------------------------------------ peers on a GPU


class Ours:
    """Arguments on the device, as the peers have them; a call comes back when its results are on the host."""

    def __init__(self, precision: str) -> None:
        self.precision = precision

    def __enter__(self) -> Callable[[Step], Step]:
        def finished(step: Step) -> Step:
            return replace(step, arguments=[tuple(map(on_device, call)) for call in step.arguments])

        return finished

    def __exit__(self, *error: object) -> None:
        pass


def on_device(a: Any) -> Any:
    """An array where the device is."""
    if os.environ["SYMGRAPH_DEVICE"] == SIMULATE:
        return SimulatedArray(np.asarray(a))
    import cupy

    return cupy.asarray(a)


class Torch(Ours):
    """Tensors on the GPU, compiled functions as CUDA graphs; results come over when a call is asked for them."""

    def __enter__(self) -> Callable[[Step], Step]:
        import torch
        import torch._inductor.config as inductor

        torch.set_default_device("cuda")
        torch.set_float32_matmul_precision("high" if self.precision == "tf32" else "highest")
        torch.backends.cudnn.allow_tf32 = self.precision == "tf32"
        inductor.triton.cudagraphs = True

        def finished(step: Step) -> Step:
            def call(*arguments: Any) -> Any:
                with torch.autocast("cuda", torch.bfloat16, enabled=self.precision == "bf16"):
                    found = step.call(*arguments)
                many = found if isinstance(found, list | tuple) else [found]
                return [t.cpu() for t in many]

            return replace(step, call=call)

        return finished


class Jax(Ours):
    """Products as precise as ours; results come over when a call is asked for them."""

    def __enter__(self) -> Callable[[Step], Step]:
        import jax

        chosen = {"highest": "highest", "tf32": "tensorfloat32", "bf16": "BF16_BF16_F32"}[self.precision]
        jax.config.update("jax_default_matmul_precision", chosen)

        def finished(step: Step) -> Step:
            return replace(step, call=lambda *arguments: jax.device_get(step.call(*arguments)))

        return finished


DEVICES: Mapping[str, Callable[[str], Ours]] = {"symgraph": Ours, "torch-compile": Torch, "jax": Jax}
STAGES: Mapping[str, Callable[..., Answer]] = {"machine": machine, "tests": tests, "case": case}

if __name__ == "__main__":
    print(json.dumps(STAGES[sys.argv[1]](*sys.argv[2:])))

"""Our own figures, kept from one commit to the next: ``pytest benchmarks/micro --benchmark-autosave``.

``--benchmark-compare`` then shows what has changed. Collected only when asked for by this path.
"""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from benchmarks.peers import OURS, PEERS
from benchmarks.workloads import WORKLOADS
from symgraph.graph import toposort

BUILDERS = PEERS[OURS].builders()
TIMED = [name for name in WORKLOADS if not name.endswith("_quiet")]


@pytest.fixture(autouse=True)
def one_thread_and_no_disk():
    with sg.using(threads=1, cache="off"):
        yield


def net_cost() -> tuple[Any, list[Any], list[Any]]:
    """A cost, its inputs and its parameters."""
    x, y = sg.fmatrices("x y")
    w, w_out = (sg.shared(np.zeros(s, "float32")) for s in ((784, 625), (625, 10)))
    p = sg.nn.softmax(sg.sigmoid(x @ w) @ w_out)
    return -(y * sg.log(p)).sum(axis=1).mean(), [x, y], [w, w_out]


@pytest.mark.parametrize("name", TIMED)
def test_call(benchmark, name):
    workload = WORKLOADS[name]
    step = BUILDERS[name](workload.problem(**workload.full))
    arguments = cycle(step.arguments)
    step.call(*next(arguments))
    benchmark(lambda: step.call(*next(arguments)))


@pytest.mark.parametrize("name", ["net", "modern_net", "conv_net"])
def test_first_call(benchmark, name):
    workload = WORKLOADS[name]
    problem = workload.problem(**workload.full)

    def first() -> None:
        step = BUILDERS[name](problem)
        step.call(*step.arguments[0])

    benchmark.pedantic(first, rounds=3)


def test_gradient(benchmark):
    def build() -> int:
        cost, _, parameters = net_cost()
        return len(toposort(sg.grad(cost, parameters)))

    assert benchmark(build) > 0


def test_reading_a_shared_variable(benchmark):
    w = sg.shared(np.zeros((784, 625), "float32"))
    benchmark(w.get_value)

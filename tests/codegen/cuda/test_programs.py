"""The tutorials and drawn functions give what the CPU gives."""

import importlib

import numpy as np
import pytest

from symgraph import config
from tests import laws
from tests.drawn import judge
from tests.drawn.graphs import build, recipe, slopes
from tests.test_drawn_functions import run
from tests.test_drawn_graphs import run as run_graph

BATCH = 2
NETS = ["logistic_regression", "net", "modern_net", "conv_net"]


@pytest.fixture(autouse=True)
def simulated():
    with config.using(device="simulate"):
        yield


def trained(name, backend):
    """The costs of two steps of a tutorial, its predictions, and what it has learnt."""
    random = np.random.default_rng(0)
    x = random.random((BATCH, 784), "float32")
    y = np.eye(10, dtype="float32")[random.integers(0, 10, BATCH)]
    with config.using(backend=backend):
        train, predict = importlib.import_module(f"tutorials.{name}").build()
        costs = [train(x, y) for _ in range(2)]
        return [*costs, predict(x), *[s.get_value() for s in train.task.shared]]


@pytest.mark.parametrize("name", NETS)
def test_a_tutorial_learns_what_it_learns_on_the_cpu(name):
    for here, there in zip(trained(name, "llvm"), trained(name, "cuda"), strict=True):
        assert here.dtype == there.dtype
        # sums in another order; where neighbours in a pool all but tie, the other one may be the larger, which turns
        # the step of a filter, 1e-3 long, by some per cent
        np.testing.assert_allclose(here, there, rtol=1e-5, atol=5e-5)


def test_the_tutorial_of_one_number_learns_what_it_learns_on_the_cpu():
    slopes = []
    for backend in ("llvm", "cuda"):
        with config.using(backend=backend):
            train, w = importlib.import_module("tutorials.linear_regression").build()
            for point in zip(np.linspace(-1, 1, 11), np.linspace(-2, 2, 11), strict=True):
                train(*point)
            slopes.append(w.get_value())
    assert slopes[0] == slopes[1] != 0


def test_the_smallest_tutorial_is_the_cpus():
    with config.using(backend="cuda"):
        multiply, slope = importlib.import_module("tutorials.multiplication").build()
        assert multiply(3.0, 4.0) == 12 and slope(3.0, 4.0) == 4


def check_drawn(seed, most):
    for a, b in zip(run(seed, 40, "llvm", most), run(seed, 40, "cuda", most), strict=True):
        # sums of up to 40 terms in another order, again and again
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("seed", range(6))
def test_a_drawn_function_is_the_cpus(seed):
    check_drawn(seed, 12)


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(200))
def test_a_drawn_function_of_many_steps_is_the_cpus(seed):
    check_drawn(1000 + seed, 40)


def check_graph(number):
    """Bit by bit what the CPU gives, or else as far from the reference as rounding lets a result be."""
    drawing = recipe(number)
    drawn = build(drawing)
    outputs = slopes(drawn) if drawing.gradient else drawn.outputs
    here, there = (run_graph(drawn, outputs, drawing.seed, backend) for backend in ("llvm", "cuda"))
    if all(laws.same_bits(a, b) for a, b in zip(here, there, strict=True)):
        return
    for v, a, e in zip(outputs, there, judge.expected(outputs, drawn.inputs), strict=True):
        differs = judge.wrong(a, e)
        bad = judge.no_repair(a, e, differs, v, drawn.inputs) if differs.any() else differs
        assert not bad.any(), f"{a[bad][:3]} for {e.value[bad][:3]}, of {v}, made by {drawn.moves}"


GRAPHS = range(200)


@pytest.mark.parametrize("number", GRAPHS[::25])
def test_a_drawn_graph_is_the_cpus(number):
    check_graph(number)


@pytest.mark.deep
@pytest.mark.parametrize("number", GRAPHS)
def test_each_drawn_graph_is_the_cpus(number):
    check_graph(number)

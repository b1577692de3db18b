"""What a map reads across its own order comes through tiles, and is the same."""

import numpy as np
import pytest

import symgraph as sg
from codegen.cuda import transposes
from codegen.cuda.schedule import GPU, schedule
from codegen.kernel import Loop, walk
from codegen.program import build
from symgraph.backend import prepare
from tests.codegen.cuda.devices import interpreted_for_gpu, simulated
from tests.codegen.samples import assert_same_bits
from tests.programs import task_of

F = "float32"


def drawn(*shape):
    return np.random.default_rng(len(shape)).random(shape, F)


def cases():
    x, y, v = sg.fmatrix("x"), sg.fmatrix("y"), sg.fvector("v")
    t = sg.ftensor3("t")
    return {
        "plain": ([x.T], {x: drawn(40, 70)}),
        "whole tiles": ([x.T + 1], {x: drawn(64, 32)}),
        "with what lies along": ([sg.exp(x.T) * y + v], {x: drawn(40, 33), y: drawn(33, 40), v: drawn(40)}),
        "two operands": ([x.T - y.T * 2], {x: drawn(40, 70), y: drawn(40, 70)}),
        "with its own": ([x + x.T], {x: drawn(45, 45)}),
        "a stack": ([t.transpose(0, 2, 1)], {t: drawn(3, 40, 50)}),
        "three axes": ([t.transpose(2, 1, 0) * 2], {t: drawn(35, 4, 50)}),
    }


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(transposes, "LARGE", 1)


def has_tiles(outputs, values):
    task, signature, _ = task_of(outputs, values)
    kernels = build(prepare(task, signature), GPU, schedule).kernels
    loops = [s for k in kernels for s in walk(k) if isinstance(s, Loop) and s.kind == "thread"]
    return [s.extent for s in loops] == [transposes.ROWS, transposes.SIDE]


@pytest.mark.parametrize("name", cases())
def test_tiles_hold_what_is_read_across(name):
    outputs, values = cases()[name]
    assert has_tiles(outputs, values)
    for found, wanted in zip(simulated(outputs, values), interpreted_for_gpu(outputs, values), strict=True):
        assert_same_bits(found, wanted)


def test_what_is_transposed_is_the_transpose():
    x = sg.fmatrix("x")
    (found,) = simulated([x.T], {x: drawn(40, 70)})
    assert np.array_equal(found, drawn(40, 70).T)


def test_what_lies_along_needs_no_tiles():
    x = sg.fmatrix("x")
    assert not has_tiles([x * 2], {x: drawn(40, 70)})
    assert not has_tiles([x.T], {x: drawn(40, 7)})

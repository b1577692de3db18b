"""Drawn graphs of 3 to 40 ops: compiled as written, and rewritten, they give what the reference gives op by op.

Wherever the reference itself is wrong, as rounding, overflow or cancellation make it, a result may be the real answer
instead. ``DRAWN_GRAPHS`` in the environment says how many graphs a deep run draws.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import pytest

import symgraph as sg
from symgraph.graph import Variable
from symgraph.rewrite import PHASES, scratch_rules
from tests.drawn import judge
from tests.drawn.graphs import Drawn, Recipe, build, laid_out, recipe, slopes

EACH = 25
"""Graphs of a part: parts run side by side, and a part draws the same on every run."""
OPEN: dict[int, str] = {}
"""Graphs that are known to differ, or that cannot be judged yet, and why."""
QUICK = 200 // EACH
DEEP = int(os.environ.get("DRAWN_GRAPHS", "2000")) // EACH


def check(drawing: Recipe) -> None:
    with scratch_rules(without=PHASES):
        drawn = build(drawing)
        written = slopes(drawn) if drawing.gradient else drawn.outputs
        expected = judge.expected(written, drawn.inputs)
        as_written = run(drawn, written, drawing)
    rewritten = run(drawn, slopes(drawn) if drawing.gradient else drawn.outputs, drawing)
    for how, found in (("as written", as_written), ("rewritten", rewritten)):
        for v, a, e in zip(written, found, expected, strict=True):
            differs = judge.wrong(a, e)
            bad = judge.no_repair(a, e, differs, v, drawn.inputs) if differs.any() else differs
            wanted = e.value[bad][:3] if e.value.shape == bad.shape else f"shape {e.value.shape}"
            assert not bad.any(), f"{how}: {a[bad][:3]} for {wanted}, of {v}, made by {drawn.moves}"


def run(drawn: Drawn, outputs: Sequence[Variable], drawing: Recipe, backend: str = "llvm") -> list[np.ndarray]:
    """The compiled results on inputs of drawn strides; the second call, which enters machine code, gives them again."""
    rng = np.random.default_rng(drawing.seed)
    with sg.using(cache="off"):
        f = sg.function(list(drawn.inputs), list(outputs), backend=backend, on_unused_input="ignore")
        arrays = [laid_out(a, rng) for a in drawn.inputs.values()]
        found, again = f(*arrays), f(*drawn.inputs.values())
    for a, b in zip(found, again, strict=True):
        np.testing.assert_array_equal(a, b)
    return list(found)


def differing(part: int) -> dict[int, str]:
    """What is wrong with the graphs of a part, by number."""
    found = {}
    for number in range(part * EACH, (part + 1) * EACH):
        try:
            check(recipe(number))
        except (AssertionError, ValueError, TypeError) as error:
            found[number] = f"{type(error).__name__}: {error}".splitlines()[0]
    return found


def check_part(part: int) -> None:
    found = differing(part)
    known = OPEN.keys() & range(part * EACH, (part + 1) * EACH)
    assert found.keys() == known, found


@pytest.mark.parametrize("part", range(QUICK))
def test_a_drawn_graph_is_what_the_reference_makes_of_it(part: int) -> None:
    check_part(part)


TELLING = {
    315: "an extent is a count of what rounding may make 0",
    1630: "an answer whose error reaches beyond the largest number need not overflow",
    2077: "a draw has a real answer: itself",
}


@pytest.mark.parametrize("number", TELLING)
def test_the_judge_can_tell(number: int) -> None:
    check(recipe(number))


@pytest.mark.deep
@pytest.mark.timeout(1200)  # a graph whose answer takes high precision can need minutes
@pytest.mark.parametrize("part", range(QUICK, QUICK + DEEP))
def test_more_drawn_graphs_are_what_the_reference_makes_of_them(part: int) -> None:
    check_part(part)

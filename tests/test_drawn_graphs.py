"""Drawn graphs of 3 to 40 ops: compiled as written, and rewritten, they give what the reference gives op by op.

Wherever the reference itself is wrong, as rounding, overflow or cancellation make it, a result may be the real answer
instead. ``DRAWN_GRAPHS`` in the environment says how many graphs a deep run draws.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np
import pytest

import symgraph as sg
from symgraph.graph import Variable, constant
from symgraph.ops.sampling import poisson_draw
from symgraph.rewrite import PHASES, scratch_rules
from tests.drawn import judge
from tests.drawn.graphs import Drawn, Recipe, build, laid_out, recipe, slopes

EACH = 25
"""Graphs of a part: parts run side by side, and a part draws the same on every run."""
QUICK = 200 // EACH
DEEP = int(os.environ.get("DRAWN_GRAPHS", "2000")) // EACH


def tanh(x: Variable) -> Variable:
    """As users write it."""
    return (sg.exp(x) - sg.exp(-x)) / (sg.exp(x) + sg.exp(-x))


def check(drawing: Recipe) -> None:
    with scratch_rules(without=PHASES):
        drawn = build(drawing)
    agree(drawn, (lambda: slopes(drawn)) if drawing.gradient else lambda: drawn.outputs, drawing.seed)


def agree(drawn: Drawn, make: Callable[[], list[Variable]], seed: int = 0) -> None:
    """Raise AssertionError if results, compiled as they are written or rewritten, are not what they should be."""
    with scratch_rules(without=PHASES):
        written = make()
        expected = judge.expected(written, drawn.inputs)
        as_written = run(drawn, written, seed)
    for how, found in (("as written", as_written), ("rewritten", run(drawn, make(), seed))):
        for v, a, e in zip(written, found, expected, strict=True):
            differs = judge.wrong(a, e)
            bad = judge.no_repair(a, e, differs, v, drawn.inputs) if differs.any() else differs
            wanted = e.value[bad][:3] if e.value.shape == bad.shape else f"shape {e.value.shape}"
            assert not bad.any(), f"{how}: {a[bad][:3]} for {wanted}, of {v}, made by {drawn.moves}"


def run(drawn: Drawn, outputs: Sequence[Variable], seed: int, backend: str = "llvm") -> list[np.ndarray]:
    """The compiled results on inputs of drawn strides; the second call, which enters machine code, gives them again."""
    rng = np.random.default_rng(seed)
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
    assert not found, found


@pytest.mark.parametrize("part", range(QUICK))
def test_a_drawn_graph_is_what_the_reference_makes_of_it(part: int) -> None:
    check_part(part)


STATE = np.array([3984003047, 44, 5])
TOLD: dict[str, tuple[Callable[[Variable], Variable], list[float], str]] = {
    "what may overflow need not": (lambda x: 1 / tanh(x), [3.2e-38, 1e-45, 1.0], "float32"),
    "an extent may count what is rounded to 0": (
        lambda x: sg.nonzero(sg.log(x + sg.sqrt(x**2 + 1)) ** 2 > 0)[0], [-1e-40, 0.0, 1.0], "float64"),
    "what is NaN may have a limit": (lambda x: sg.isnan(x * sg.log(x)), [0.0, 2.0], "float64"),
    "a draw is its own real answer": (
        lambda x: (lambda k: k * sg.log(k))(poisson_draw(sg.constant(STATE), x)[0]), [0.1] * 8, "float64"),
    "what is left of 1 may take millions of bits": (
        lambda x: sg.log(1 - sg.exp(x) / (1 + sg.exp(x))), [3.9e6, -3.9e6, 2.0], "float32"),
    "the exponent of an exponential may be one": (lambda x: sg.exp(sg.exp(sg.exp(x))), [20.0, 1.0], "float64"),
    "what is left of 1 may take more bits than there are": (
        lambda x: sg.log(1 - ((sg.exp(x) - 1) / (sg.exp(x) + 1)) ** 2) ** 2, [-1e30, -1e9, 2.0], "float64"),
    "what is nothing beside 1 may be something alone": (
        lambda x: (lambda t: (sg.exp(t) - sg.exp(-t)) / 2 / t)(sg.erfc(x)), [1e4, 1.0], "float32"),
    "what is below the range is 0": (lambda x: x % (sg.exp(x) - 1 - x), [1e-30, -1e-30, 1.0], "float32"),
    "what is beyond the range is infinite": (
        lambda x: sg.sqrt((sg.exp(2 * x) - 1) / (2 * sg.exp(x))), [98.0, 400.0, 1.0], "float32"),
    "a result is known to what the last places of the inputs do to it": (
        lambda x: sg.log(sg.exp(x).prod()), [-0.0012, 1e4, -1e4], "float32"),
    "a sum is known to its largest term": (lambda x: x.sum(), [1e-3, 1e4, 2e-3, -1e4, 6e-4] * 8, "float32"),
    "rounding may make ties": (
        lambda x: sg.eq(y := sg.sigmoid(x + 1e-6) - sg.sigmoid(x), y.max()) * 1.0,
        [1.4e-3, 3e-4, -1.2e-3, -8e-4, 8e-4, -1.5e-3, 1.1e-3, -2.1e-3], "float32"),
    "a sum of 0 has any sign": (
        lambda x: sg.gamma(sg.expm1(-(sg.tanh(x) - sg.tanh(x)))), [-0.99, 0.3], "float64"),
    "what comes of an infinite input may be where it tends": (
        lambda x: sg.sort(sg.sqrt(x * x + 4) - x), [np.inf, 3.0, 0.1], "float64"),
    "what jumps may go either way": (
        lambda x: sg.arctan2(sg.log((1 + sg.erf(x)) / 2), constant(-3.0, "float32")), [9e3, 1e3, 0.5], "float32"),
}  # fmt: skip


@pytest.mark.parametrize("name", TOLD)
def test_the_judge_can_tell(name: str) -> None:
    formula, numbers, dtype = TOLD[name]
    x = sg.tensor("x", dtype, (len(numbers),))
    y = formula(x)
    agree(Drawn({x: np.array(numbers, dtype)}, [y], [name]), lambda: [formula(x)])


def test_the_judge_knows_which_inputs_a_result_has() -> None:
    x, z = sg.dvector("x"), sg.dvector("z")

    def made() -> list[Variable]:
        return [sg.argmin(sg.sin(x) * x**-1, 0), z + 1]  # at 0 the limit is 1

    with scratch_rules(without=PHASES):
        drawn = Drawn({x: np.array([-0.0, 0.4]), z: np.array([np.nan])}, made(), [])
    agree(drawn, made)


ASKED: dict[str, tuple[Callable[[Variable], Variable], float, list[float], list[float]]] = {
    "an overflow where there must be one": (lambda x: 1 / x, 1e-45, [np.inf], [-np.inf, 1e30, np.nan]),
    "the remainder by what is below the range": (
        lambda x: x % (sg.exp(x) - 1 - x), 1e-30, [0.0, np.nan], [np.inf, 1.0, -1.0]),
    "the root of what is beyond the range": (
        lambda x: sg.sqrt((sg.exp(2 * x) - 1) / (2 * sg.exp(x))), 98.0, [np.inf, 1.34869e21], [-np.inf, 1e30, 0.0]),
    "nothing times what may be repaired": (
        lambda x: sg.exp(-x) ** 2 * sg.exp(x) ** 2, 60.0, [1.0, 0.0, np.nan], [np.inf, -1.0, 2.0]),
    "nothing where a sum is that of 1 and what is nothing beside it": (
        lambda x: sg.log(1 - 1 / sg.stack([sg.ones_like(x), sg.exp(-x)]).sum(0)), 1e30, [-1e30, -np.inf], []),
    "no number where one over a rounding error may be one over none": (
        lambda x: 1 / (1 - sg.tanh(x) ** 2), 9.0, [np.inf, 1 / 6.09e-8, 1e6], [np.nan]),
    "an ordinary number where no rounding error is inverted": (
        lambda x: 1e6 / sg.exp(x), 1.0, [367879.44], [np.inf, 0.0, np.nan]),
    "ties where inputs are equal": (
        lambda x: sg.switch(sg.eq(x, x.max()), x, 0.0), 0.3, [0.3], [0.0, 0.15, np.nan]),
    "what equal inputs cancel to, if each may be another": (
        lambda x: x - x[::-1], 0.3, [0.0, 1e-8, -1e-8], [1e-5, -1e-5, np.nan]),
    "one of two signs where a sum is 0": (lambda x: 1 / (x - x), 3.0, [np.inf, -np.inf], []),
    "where an infinite input tends": (
        lambda x: sg.sort(sg.sqrt(x * x + 4) - x), np.inf, [0.0], [1.0, -1.0, np.inf, -np.inf]),
    "what is in the range but for what it is not made of": (
        lambda x: sg.exp(x) / (1 + sg.exp(x)), 98.0, [1.0], [np.inf, 0.0, 2.0]),
}  # fmt: skip


@pytest.mark.parametrize("name", ASKED)
def test_the_judge_asks_for(name: str) -> None:
    formula, number, right, wrong = ASKED[name]
    x = sg.tensor("x", "float32", (2,))
    values = {x: np.array([number, 0.3], "float32")}
    with scratch_rules(without=PHASES):
        y = formula(x)
        (e,) = judge.expected([y], values)
        for first in right + wrong:
            found = np.array([first, e.value[1]], "float32")
            at = np.array([judge.wrong(found, e)[0], False])
            assert judge.no_repair(found, e, at, y, values).any() == (first in wrong), first


@pytest.mark.deep
@pytest.mark.timeout(1200)  # a graph whose answer takes high precision can need minutes
@pytest.mark.parametrize("part", range(QUICK, QUICK + DEEP))
def test_more_drawn_graphs_are_what_the_reference_makes_of_them(part: int) -> None:
    check_part(part)

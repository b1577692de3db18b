"""The rules together: each has a use among the formulas of the tests, and their order says nothing."""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import symgraph as sg
from symgraph.graph import Apply, Variable
from symgraph.ops.differences import sqrt_step
from symgraph.ops.transcendental import shifted_root
from symgraph.rewrite import EXPAND, PHASES, RULES, STABILIZING, Rule, rewrite, scratch_rules
from tests.families import families
from tests.rewrites.test_canonicalize import SAME

INPUTS = [sg.tensor(name, "float64", (None, None)) for name in "xyz"]


def spelled() -> Iterator[tuple[str, Variable]]:
    """Every spelling of every family, on matrices of open extents."""
    for name, family in families().items():
        arity = 1 if family.rows else len(family.points[0])
        for spelling, write in family.spellings.items():
            yield f"{name}: {spelling}", write(*INPUTS[:arity])


def slopes(v: Variable) -> list[Variable]:
    found: list[Variable] = sg.grad(v.sum(), INPUTS, disconnected_inputs="ignore")
    return found


IMAGE = sg.tensor("image", "float64", (6, 4))
POOLED = sg.nn.max_pool2d(sg.maximum(IMAGE, 0.0), 2)

QUOTIENTS: list[Callable[[Variable], Variable]] = [
    lambda x: 1 / sg.sinh(x), lambda x: x / sg.sigmoid(x), lambda x: sg.tanh(x) / (1 + sg.tanh(x)),
    lambda x: x / (sg.exp(x) - 1),
]  # fmt: skip

# Canonicalize and specialize are for all formulas, and these are not spellings of anything in the families; by an image
# of known extents nothing of a slope is summed back.
PLAIN = [
    sg.identity(INPUTS[0]), sg.sgn(sg.sgn(INPUTS[0])), sg.minimum(INPUTS[0], INPUTS[0]), INPUTS[0] + -0.0,
    INPUTS[0] ** 1, INPUTS[0] ** 4, sg.abs(-INPUTS[0]), sg.sin(-INPUTS[0]), sg.log_sigmoid(INPUTS[0]),
    sg.maximum(INPUTS[0].shape[0], 0), sg.switch(INPUTS[0].shape[0] < 0, 1.0, INPUTS[0]),
    sg.switch(True, sg.exp(INPUTS[0]), INPUTS[1]).shape[0],
    POOLED, sg.grad(sg.sqr(POOLED).sum(), IMAGE), sg.switch(IMAGE > 0, IMAGE, IMAGE), shifted_root(INPUTS[0], 0.0),
    sqrt_step(INPUTS[0], INPUTS[1], 1.0), sg.linalg.inv(INPUTS[0]) @ INPUTS[1], sg.log(sg.linalg.det(INPUTS[0])),
    *[sg.grad(f(IMAGE).sum(), IMAGE) for f in QUOTIENTS],
]  # fmt: skip


def test_every_rule_changes_the_value_of_some_formula_or_its_spelling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speculative uses count: a rule that is asked what it would make of a part is used."""
    fired: set[str] = set()
    apply = Rule.apply

    def recorded(self: Rule, node: Apply, *owner: Any) -> Any:
        found = apply(self, node, *owner)
        if found is not None:
            fired.add(self.name)
        return found

    monkeypatch.setattr(Rule, "apply", recorded)
    with scratch_rules():  # nothing is known from before
        for _, v in spelled():
            rewrite([v, *slopes(v)], PHASES)
        rewrite([*PLAIN, *[v for pair in SAME.values() for v in pair]], PHASES)
        with sg.using(fast_math=True):
            rewrite([IMAGE * 0 + IMAGE, IMAGE - IMAGE, IMAGE * sg.exp(IMAGE) / IMAGE], PHASES)
    unused = {name for name, r in RULES.items() if r.phase != EXPAND} - fired
    assert not unused, sorted(unused)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_in_which_rules_are_listed_says_nothing(seed: int) -> None:
    written = dict(spelled())
    expected = {name: rewrite([v], STABILIZING)[0] for name, v in written.items()}
    with scratch_rules():
        listed = list(RULES.items())
        random.Random(seed).shuffle(listed)
        RULES.clear()
        RULES.update(listed)
        found = {name: rewrite([v], STABILIZING)[0] for name, v in written.items()}
    assert [name for name in written if found[name] is not expected[name]] == []


def test_no_two_rules_have_one_name() -> None:
    """The later one would take the place of the other."""
    folder = Path(sg.rewrites.__file__).parent
    defined = [f for path in folder.glob("*.py") for f in ast.parse(path.read_text()).body]
    names = [f.name for f in defined if isinstance(f, ast.FunctionDef) and f.decorator_list]
    assert len(names) > 100 and sorted(set(names)) == sorted(names)

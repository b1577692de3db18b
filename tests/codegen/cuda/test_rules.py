"""The laws of rules on the device that simulates a GPU: both sides of each pair, and every spelling of each family."""

from __future__ import annotations

import numpy as np
import pytest

import symgraph as sg
from codegen.cuda.backend import CudaExecutable
from symgraph.graph import Variable
from symgraph.pattern import Pattern, walk
from symgraph.rewrite import PHASES, Rule, scratch_rules
from tests import laws, rule_law
from tests.codegen.cuda.devices import RESIDENTS
from tests.programs import native, task_of
from tests.rewrites.test_law import DTYPES, PAIRS
from tests.test_families import FAMILIES, wrong

SUMS = 128.0
"""Units in the last place between results of sums in two orders: exp makes that of one unit of a number above 64."""
Values = dict[Variable, np.ndarray]


def drawn(rule: Rule, sides: list[rule_law.Instance], dtype: str) -> list[Values]:
    """Numbers, and infinities and NaNs, for the rule at every rank and attribute."""
    each = [
        [rule_law.draws(rule, i, 0, dtype), *[v for _, v in rule_law.special_draws(rule, i, 1, dtype)]] for i in sides
    ]
    return [{v: a for values in row for v, a in values.items()} for row in zip(*each, strict=True)]


def parameters(rule: Rule) -> set[str]:
    """What a rule leaves open beside its operands."""
    return {a.name for p in walk(rule.left) for a in p.attrs.values() if isinstance(a, Pattern)}


def check_rule(rule: Rule, dtype: str) -> None:
    """Each side gives what it gives on the CPU, the same bits but for sums; so do both in canonicalize."""
    sides = list(rule_law.instances(rule, dtype))
    outputs = [v for i in sides for v in (i.left, i.right)]
    many = drawn(rule, sides, dtype)
    with scratch_rules(without=PHASES):  # what is written: rules would make the sides equal first
        task, signature, _ = task_of(outputs, many[0])
        program = CudaExecutable(task, signature, RESIDENTS)
        for values in many:
            found = program([values[v] for v in task.inputs], task.shared)
            for a, b in zip(found, native(outputs, values), strict=True):
                assert laws.same_bits(a, b) or "axis" in parameters(rule), f"{a} for {b} at {values}"
                laws.assert_close(a, b, SUMS, np.zeros(()))
            if rule.phase == "canonicalize":
                assert all(laws.same_bits(a, b) for a, b in zip(found[::2], found[1::2], strict=True)), values


def check_family(name: str, dtype: str, rank: int) -> None:
    """Values within four units in the last place of the real answer, slopes within eight: as on the CPU."""
    with sg.using(backend="cuda", device="simulate"):
        assert not wrong(FAMILIES[name], dtype, rank)


@pytest.mark.parametrize("name", list(PAIRS)[::15])
def test_some_rules_are_the_cpus(name: str) -> None:
    check_rule(PAIRS[name], "float32")


@pytest.mark.deep
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PAIRS)
def test_a_rule_is_the_cpus(name: str, dtype: str) -> None:
    check_rule(PAIRS[name], dtype)


@pytest.mark.parametrize("name", list(FAMILIES)[::15])
def test_some_spellings_have_their_values_and_slopes(name: str) -> None:
    check_family(name, "float32", 2)


@pytest.mark.deep
@pytest.mark.parametrize(("dtype", "rank"), [("float32", 1), ("float64", 2)])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_spelling_has_its_value_and_slope(name: str, dtype: str, rank: int) -> None:
    check_family(name, dtype, rank)

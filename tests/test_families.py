"""Formulas as users write them, judged by mpmath: values within 4 ulp, slopes within 8, in families of spellings."""

from __future__ import annotations

import itertools

import pytest

from symgraph.rewrite import scratch_rules
from tests.families import Family, families
from tests.families.judge import misses

FAMILIES = families()
LAYOUTS = [("float64", 2), ("float32", 1)]
OTHER_LAYOUTS = [pair for pair in itertools.product(("float32", "float64"), (1, 2, 3)) if pair not in LAYOUTS]


def wrong(family: Family, dtype: str, rank: int) -> list[str]:
    return [str(m) for m in misses(family, dtype, rank)]


@pytest.mark.parametrize(("dtype", "rank"), LAYOUTS)
@pytest.mark.parametrize("name", FAMILIES)
def test_every_spelling_has_its_value_and_slope(name: str, dtype: str, rank: int) -> None:
    assert not wrong(FAMILIES[name], dtype, rank)


@pytest.mark.deep
@pytest.mark.parametrize(("dtype", "rank"), OTHER_LAYOUTS)
@pytest.mark.parametrize("name", FAMILIES)
def test_every_spelling_has_its_value_and_slope_in_other_layouts(name: str, dtype: str, rank: int) -> None:
    assert not wrong(FAMILIES[name], dtype, rank)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_has_ten_spellings(name: str) -> None:
    assert len(FAMILIES[name].spellings) >= 10


def test_without_rules_most_families_are_wrong() -> None:
    """Else the table would not ask for anything."""
    with scratch_rules(without=("stabilize",)):
        right = [n for n, f in FAMILIES.items() if not any(misses(f, "float64", 2, [s]) for s in f.spellings)]
    assert set(right) <= {"cube", "root"}

"""Formulas as users write them: families of spellings with one meaning each, and what that is in mpmath.

A spelling is written with symgraph alone, its meaning with mpmath alone. ``judge`` compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from symgraph.graph import Variable

Spelling = Callable[..., Variable]
Point = tuple[float, ...]
Known = tuple[Any, Sequence[Any]]


@dataclass(frozen=True)
class Family:
    """Spellings of one function of numbers, applied to each element; or of rows, applied along the last axis.

    Attributes
    ----------
    value : callable
        The meaning: mpmath numbers -> number; or for rows a list of numbers -> number or list of numbers.
    spellings : dict
        Name -> function of variables.
    points : sequence of tuple, or of rows
        Where it is judged: one number for each argument; or rows of one length.
    at : dict
        Point -> (value, slopes), where the meaning is a limit, or infinite, or has a kink; None is not judged.
    rows : bool
        Whether the points are rows.
    conditioned : bool
        Whether the answer may also be off by what a change of the arguments in their last place makes of it.
    """

    value: Callable[..., Any]
    spellings: Mapping[str, Spelling]
    points: Sequence[Any]
    at: Mapping[Any, Known] = field(default_factory=dict)
    rows: bool = False
    conditioned: bool = False


def families() -> dict[str, Family]:
    """All of them by name."""
    from tests.families import (
        composed,
        differences,
        exponentials,
        gaps,
        hyperbolic,
        inverses,
        logistic,
        powers,
        rows,
        several,
        shares,
        special,
        weighted,
    )

    modules = (
        logistic, hyperbolic, exponentials, powers, special, several, differences, rows, shares, composed, weighted,
        gaps, inverses,
    )  # fmt: skip
    return {name: family for module in modules for name, family in module.FAMILIES.items()}

"""Graphs of drawn steps, and the layouts in which their inputs are given."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

import symgraph as sg
from symgraph.graph import Variable, toposort
from symgraph.reference import evaluate
from symgraph.types import is_float
from tests.drawn.moves import KINDS, SHAPES, SPECIAL, Pool, chosen

MOST_NODES = 40


@dataclass(frozen=True)
class Recipe:
    """How to make a graph: the same in every dtype.

    Attributes
    ----------
    steps : tuple of (int, int, int)
        Kind, which of the kind, and the seed of its choices.
    seed : int
        Of the inputs.
    gradient : bool
        Whether the results are slopes.
    """

    dtype: str
    steps: tuple[tuple[int, int, int], ...]
    seed: int
    special: tuple[float, ...]
    open_extents: bool
    gradient: bool


def recipe(number: int) -> Recipe:
    """Recipe ``number``: three to forty steps; a quarter of the graphs are differentiated.

    Those get no NaN: one that comes in makes slopes NaN that nothing depends on, where a rewrite may find the zero.
    """
    rng = np.random.default_rng(number)
    gradient = bool(rng.integers(4) == 0)
    specials = [values for values in SPECIAL if not gradient or not any(map(math.isnan, values))]
    count = min(3 + int(rng.exponential(6)), MOST_NODES)
    steps = [(int(rng.integers(len(KINDS))), *map(int, rng.integers(2**31, size=2))) for _ in range(count)]
    return Recipe(
        ("float32", "float64")[rng.integers(2)], tuple(steps), int(rng.integers(2**31)),
        specials[rng.integers(len(specials))], bool(rng.integers(2)), gradient,
    )  # fmt: skip


@dataclass(frozen=True)
class Drawn:
    """A graph: inputs with their values, its results, and which moves made it."""

    inputs: dict[Variable, np.ndarray]
    outputs: list[Variable]
    moves: list[str]


def build(recipe: Recipe) -> Drawn:
    """The graph of a recipe; a quarter as large where it is differentiated, which makes it about four times larger."""
    pool = Pool(recipe.dtype)
    rng = np.random.default_rng(recipe.seed)
    for k in range(3):
        pool.enter(_values(rng, SHAPES[rng.integers(len(SHAPES))], recipe, k), recipe.open_extents)
    moves = []
    for kind, which, seed in recipe.steps:
        name, move = chosen(kind, which)
        moves.append(name)
        made = move(pool, np.random.default_rng(seed))
        pool.keep(made)
        if len(toposort([*pool.values])) >= MOST_NODES:
            break
    return Drawn(pool.inputs, _results(pool), moves)


def _values(rng: np.random.Generator, shape: tuple[int, ...], recipe: Recipe, k: int) -> np.ndarray:
    scale = rng.choice([1e-3, 1.0, 1.0, 3.0, 100.0])
    x = np.asarray(rng.normal(size=shape) * scale)
    if recipe.special and k:
        x = np.where(rng.random(shape) < 0.2, rng.choice(recipe.special, size=shape), x)
    # numbers that both precisions have, so that a graph of the one can be told by that of the other
    return x.astype("float32").astype(recipe.dtype)


def _results(pool: Pool) -> list[Variable]:
    """What no step goes on with, and the last step."""
    made = [v for v in pool.values if v not in pool.inputs]
    used = {u for node in toposort(made) for u in node.inputs}
    return [v for v in made if v not in used] or made


def slopes(drawn: Drawn) -> list[Variable]:
    """The gradient of the sum of everything that is a number by the inputs that are floats."""
    finite = [np.isfinite(a) for a in evaluate(drawn.outputs, drawn.inputs)]
    each = zip(drawn.outputs, finite, strict=True)
    # of what is a number nowhere a rule makes 0, which has no slope; as written its slope is 0 times NaN
    costs = [sg.switch(sg.constant(here), v, 0).sum() for v, here in each if is_float(v.dtype) and here.any()]
    wrt = [v for v in drawn.inputs if is_float(v.dtype)]
    found: list[Variable] = sg.grad(sum(costs), wrt, disconnected_inputs="ignore") if costs else []
    return found


def laid_out(a: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same numbers with other strides: transposed, negative, spread out, or 0 where all elements are one."""
    match rng.integers(5):
        case 1:
            return np.array(a, order="F")
        case 2 if a.ndim:
            return np.flip(np.ascontiguousarray(np.flip(a)))
        case 3 if a.ndim:
            wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
            wide[..., ::2] = a
            return wide[..., ::2]
        case 4 if a.size and (a == a.flat[0]).all():
            return np.broadcast_to(a.flat[0], a.shape)
    return a

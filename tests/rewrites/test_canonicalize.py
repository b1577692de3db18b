"""Canonicalize: one spelling for each value, and the same bits. (The pairs are tested by the law.)"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgraph as sg
import symgraph.rewrites
from symgraph.graph import Variable, toposort
from symgraph.reference import evaluate
from symgraph.rewrite import rewrite
from symgraph.rewrites.layout import is_lossless
from symgraph.types import DTYPES
from tests.laws import same_bits

assert symgraph.rewrites


def canonical(v: Variable) -> Variable:
    return rewrite([v], ("canonicalize",))[0]


def special(shape: tuple[int, ...], dtype: str = "float64") -> np.ndarray:
    """Zeros of both signs, infinities, a NaN, subnormals and ordinary numbers."""
    pool = [0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -1e-40, 1.5, -3.25, 1e308, 7.0, -1.0]
    with np.errstate(over="ignore"):
        return np.resize(np.asarray(pool), shape).astype(dtype)


x, y = sg.matrix("x", dtype="float64"), sg.matrix("y", dtype="float64")
r, v = sg.vector("r", dtype="float64"), sg.tensor("v", "float64", shape=(3, 1, 4))
i = sg.imatrix("i")

SAME: dict[str, tuple[Variable, Variable]] = {
    "signs of a sum": (-x + y, y - x),
    "signs of a difference": (x - (-y), x + y),
    "signs of a product": (-x * -y, x * y),
    "signs of a quotient": (-x / -y, x / y),
    "ones": ((x * 1) / 1, x),
    "a matrix of ones": (x.T * 1, x.T),
    "minus one": (x * -1 + y, y - x),
    "a power of two below": (x / 4, x * 0.25),
    "squares": (x * x, sg.sqr(x)),
    "inverse": (sg.inv(x), 1 / x),
    "double transpose": (x.T.T, x),
    "axes inserted and dropped": (x[:, None, :].dimshuffle(0, 2), x),
    "keepdims by an index": (x.sum(axis=1)[:, None], x.sum(axis=1, keepdims=True)),
    "keepdims by dimshuffle": (x.sum(axis=1).dimshuffle(0, "x"), x.sum(axis=1, keepdims=True)),
    "keepdims by reshape": (x.max(axis=1).reshape((x.shape[0], 1)), x.max(axis=1, keepdims=True)),
    "keepdims of all axes": (x.sum().dimshuffle("x", "x"), x.sum(keepdims=True)),
    "keepdims of the middle": (v.sum(axis=(0, 2)).dimshuffle("x", 0, "x"), v.sum(axis=(0, 2), keepdims=True)),
    "keepdims squeezed": (sg.squeeze(x.sum(axis=0, keepdims=True), 0), x.sum(axis=0)),
    "keepdims after an op": ((1 / x.sum(axis=1))[:, None], 1 / x.sum(axis=1, keepdims=True)),
    "keepdims after two": (sg.log(x.sum(axis=1) + x.max(axis=1))[:, None],
                           sg.log(x.sum(axis=1, keepdims=True) + x.max(axis=1, keepdims=True))),
    "a maximum of one element": (v.max(axis=1), v.dimshuffle(0, 2)),
    "a product of one element": (v.prod(axis=1, keepdims=True), v),
    "a sum of one integer": (i.astype("int64")[:, None].sum(axis=1), i.astype("int64")),
    "a reshape by ones": (v.reshape((3, 4)), v.dimshuffle(0, 2)),
    "a reshape of a reshape": (x.reshape((2, -1)).reshape(x.shape), x),
    "an idle cast": (x.astype("float64"), x),
    "a lossless detour": (r.astype("float32").astype("float64").astype("float32"), r.astype("float32")),
    "constants": (x + (sg.constant(2.0) * 3), x + 6.0),
    "idle stretch": (x * sg.broadcast_to(sg.constant(2.0), x.shape), x * 2.0),
    "ones like": (x * sg.ones_like(x), x),
    "zeros like": (x - sg.zeros_like(x), x),
    "choice": (sg.switch(True, x, y), x),
    "choice of a column": (sg.switch(True, v[:, :, :1], v), sg.broadcast_to(v[:, :, :1], (3, 1, 4))),
    "maximum of one": (sg.maximum(x, x), x),
    "integer zero": (i + 0, i),
    "integer difference": (0 - (0 - i), i),
    "known extent": (v.shape[0] + 1, sg.constant(4, "int64")),
    "the extent of a result": (sg.exp(x).sum(axis=1).shape[0] * 2, x.shape[0] * 2),
    "all of an axis": (x[: x.shape[0]], x),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_two_spellings_of_one_value_are_one_graph(name: str) -> None:
    a, b = SAME[name]
    assert canonical(a) is canonical(b)


@pytest.mark.parametrize("name", SAME)
def test_the_bits_stay(name: str) -> None:
    a, _ = SAME[name]
    values = {x: special((2, 6)), y: special((2, 6))[::-1], r: special((12,)), v: special((3, 1, 4)),
              i: np.array([[0, -5], [2**31 - 1, -(2**31)]], "int32")}  # fmt: skip
    with np.errstate(all="ignore"):
        before, after = evaluate([a], values)[0], evaluate([canonical(a)], values)[0]
    assert before.dtype == after.dtype and before.shape == after.shape and same_bits(before, after)


UNTOUCHED: dict[str, Callable[..., Variable]] = {
    "a sum of one element makes 0 of -0": lambda x: x.dimshuffle(0, "x", 1).sum(axis=1),
    "x + 0 makes 0 of -0": lambda x: x + 0.0,
    "x * 0 loses a NaN": lambda x: x * 0,
    "x - x loses an infinity": lambda x: x - x,
    "x / x loses a NaN": lambda x: x / x,
    "a + b - a rounds": lambda x: (1e16 + x) - 1e16,
    "0 - x is 0 at 0": lambda x: 0.0 - x,
    "constants round in order": lambda x: (x * 3.0) * (1 / 3),
    "1/3 is not exact": lambda x: x / 3.0,
    "1 / 2**1074 overflows": lambda x: x / 5e-324,
    "eq(x, x) is false for a NaN": lambda x: sg.eq(x, x),
    "a cast that rounds": lambda x: x.astype("float32").astype("float64"),
    "a cast that cuts": lambda x: x.astype("int64").astype("float64"),
    "a sum along the other axis": lambda x: x.sum(axis=1)[None, :],
    "opaque to rules": lambda x: sg.disconnected_grad(x),
}


@pytest.mark.parametrize("name", UNTOUCHED)
def test_what_would_change_an_answer_is_left_alone(name: str) -> None:
    written = UNTOUCHED[name](x)
    assert rewrite([written]) == [canonical(written)] and written.owner is not None
    kept = {node.op.name for node in toposort([canonical(written)])}
    assert written.owner.op.name in kept


@pytest.mark.parametrize("wide", DTYPES)
@pytest.mark.parametrize("narrow", DTYPES)
def test_a_lossless_cast_loses_nothing(narrow: str, wide: str) -> None:
    if not is_lossless(narrow, wide):
        return
    if narrow in ("float16", "float32", "float64"):
        values = special((40,), narrow)
    else:
        info: Any = np.iinfo("uint8" if narrow == "bool" else narrow)
        values = np.array([info.min, info.max, info.max - 1, info.min + 1, 0, 1], "object").astype(narrow)
    assert same_bits(values.astype(wide).astype(narrow), values)
    if narrow == "int64":
        assert not is_lossless("int64", "float64")


def test_a_constant_above_the_limit_is_not_folded() -> None:
    small, large = (sg.constant(np.ones(n)) * 2 for n in (4, 4000))
    assert canonical(small).owner is None and canonical(large).owner is not None


def test_a_random_draw_is_never_folded_or_merged() -> None:
    stream = sg.random.RandomStream(1)
    a, b = stream.uniform(size=(2,)), stream.uniform(size=(2,))
    assert canonical(a - b).owner is not None and canonical(a) is not canonical(b)


def test_a_stretch_that_gives_the_shape_stays() -> None:
    """Where the other operand's extent is not known to be the target's, the broadcast is what makes the shape."""
    n = sg.lscalar("n")
    written = sg.broadcast_to(sg.constant(1.0), (n,)) * r
    value = evaluate([canonical(written)], {n: np.int64(3), r: np.array([2.0])})[0]
    assert (value == [2, 2, 2]).all()


def test_a_choice_without_difference_has_the_shape_of_its_condition() -> None:
    c = sg.tensor("c", "bool", (None, None))
    for y in (sg.tensor("y", "float64", (1, 1)), sg.tensor("y", "float64", (None, None))):
        values = {c: np.ones((2, 3), bool), y: np.ones((1, 1))}
        written = sg.switch(c, y, y)
        assert evaluate([canonical(written)], values)[0].shape == (2, 3)
        assert evaluate([sg.grad((written**2).sum(), y)], values)[0] == 12


@pytest.mark.parametrize("dtype", ["uint8", "uint64", "int8", "int64"])
def test_absolute_values_of_integers_are_as_written(dtype):
    """A negated unsigned integer wraps, and so may a signed square."""
    x = sg.tensor("x", dtype, (3,))
    values = {x: np.array([3, 0, 12], dtype)}
    for y in (sg.abs(-x), sg.abs(sg.sqr(x))):
        np.testing.assert_array_equal(sg.function([x], y)(values[x]), evaluate([y], values)[0])

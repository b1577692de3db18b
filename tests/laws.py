"""The laws that every op keeps, as functions that raise AssertionError; the tests draw over the registry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from codegen.program import preconditions_of
from symgraph.backend import prepare
from symgraph.gradient import vjp
from symgraph.graph import Variable, constant, toposort
from symgraph.types import TensorType, is_float, promote
from tests.cases import Case
from tests.programs import both, by_reference, native, task_of

STEP = 1e-5  # central differences in float64: their error is about STEP**2 + 1e-16 / STEP, some 1e-10


def symbols(arrays: Sequence[np.ndarray]) -> list[Variable]:
    """An input of open extents for each array."""
    return [
        Variable(TensorType(a.dtype.name, tuple(1 if n == 1 else None for n in a.shape)), name=f"x{k}")
        for k, a in enumerate(arrays)
    ]


def built(case: Case, seed: int, dtype: str) -> tuple[list[Variable], Variable, list[np.ndarray]]:
    """(inputs, output, drawn arrays) of a case."""
    arrays = [np.asarray(a) for a in case.draw(np.random.default_rng(seed), dtype)]
    inputs = symbols(arrays)
    return inputs, case.build(*inputs), arrays


def check_value(case: Case, seed: int, dtype: str) -> None:
    """The reference is the oracle, to a few units in the last place."""
    inputs, y, arrays = built(case, seed, dtype)
    (found,) = by_reference([y], dict(zip(inputs, arrays, strict=True)))
    assert found.dtype.name == y.dtype, f"{found.dtype} where the type says {y.dtype}"
    assert_close(found, np.asarray(case.oracle(*arrays)), case.ulp, magnitude(case, arrays))


def check_dtype(case: Case, seed: int, dtype: str) -> None:
    """A float result has the precision of the float inputs, and a bool is one just where the oracle's is."""
    inputs, y, arrays = built(case, seed, dtype)
    floats = [v.dtype for v in inputs if is_float(v.dtype)]
    if floats and is_float(y.dtype):
        assert y.dtype == promote(*floats), f"{y.dtype} of {', '.join(floats)}"
    assert (y.dtype == "bool") == (np.asarray(case.oracle(*arrays)).dtype == bool), f"{y.dtype}"


def check_compiled(case: Case, seed: int, dtype: str) -> None:
    """Machine code is the interpreter bit by bit, and the oracle to a few units in the last place."""
    inputs, y, arrays = built(case, seed, dtype)
    values = dict(zip(inputs, arrays, strict=True))
    (slow,), (machine,) = both([y], values)
    assert machine.dtype.name == y.dtype and machine.shape == slow.shape
    assert same_bits(machine, slow), f"native {machine} differs from the interpreter's {slow}"
    assert_close(machine, np.asarray(case.oracle(*arrays)), case.ulp, magnitude(case, arrays))


def check_gradient(case: Case, seed: int) -> None:
    """The gradient is that of central differences, and the second gradient that of the first."""
    inputs, y, arrays = built(case, seed, "float64")
    if not is_float(y.dtype) or not case.differentiable:
        return
    wrt = [inputs[k] for k in case.differentiable]
    weight = weights(seed, y, inputs, arrays)
    first = vjp(y, wrt, weight, disconnected_inputs="ignore")
    _check_differences([y], [weight], first, case.differentiable, inputs, arrays, tolerance=1e-6)
    seconds = [weights(seed + 1 + k, g, inputs, arrays) for k, g in enumerate(first)]
    again = vjp(first, wrt, seconds, disconnected_inputs="ignore")
    _check_differences(first, seconds, again, case.differentiable, inputs, arrays, tolerance=1e-5)


def check_compiled_gradient(case: Case, seed: int, dtype: str) -> None:
    """The compiled gradient is the reference's, to rounding of the sums in it."""
    inputs, y, arrays = built(case, seed, dtype)
    if not is_float(y.dtype) or not case.differentiable:
        return
    weight = weights(seed, y, inputs, arrays)
    found = vjp(y, [inputs[k] for k in case.differentiable], weight, disconnected_inputs="ignore")
    values = dict(zip(inputs, arrays, strict=True))
    for g, a, b in zip(found, native(found, values), by_reference(found, values), strict=True):
        assert a.dtype.name == g.dtype
        assert_close(a, b, 64, np.abs(b).max(initial=0))


def weights(seed: int, y: Variable, inputs: Sequence[Variable], arrays: Sequence[np.ndarray]) -> Variable:
    """A drawn cotangent of the shape of ``y``."""
    (value,) = by_reference([y], dict(zip(inputs, arrays, strict=True)))
    return constant(np.random.default_rng(seed + 7).uniform(0.5, 1.5, value.shape).astype(y.dtype))


def _check_differences(
    outputs: Sequence[Variable], weights: Sequence[Variable], gradients: Sequence[Variable],
    which: Sequence[int], inputs: Sequence[Variable], arrays: Sequence[np.ndarray], tolerance: float,
) -> None:  # fmt: skip
    """Along a drawn direction: (f(x + h d) - f(x - h d)) / 2h is the gradient times d."""
    found = by_reference(list(gradients), dict(zip(inputs, arrays, strict=True)))
    for k, v, g in zip(which, gradients, found, strict=True):
        assert g.shape == arrays[k].shape and v.dtype == arrays[k].dtype.name
        if not g.size:
            continue
        direction = np.random.default_rng(k + 3).uniform(-1, 1, arrays[k].shape)
        up, down = (_weighted(outputs, weights, inputs, arrays, k, s * STEP * direction) for s in (1, -1))
        expected, scale = (up - down) / (2 * STEP), np.abs(g * direction).sum() + 1
        error = abs((g * direction).sum() - expected)
        # a value that is NaN everywhere, as the mean of nothing, has a gradient that is
        both_nan = np.isnan(expected) and np.isnan(g).any()
        assert both_nan or error <= tolerance * scale, f"gradient by input {k}: {(g * direction).sum()} for {expected}"


def _weighted(
    outputs: Sequence[Variable], weights: Sequence[Variable], inputs: Sequence[Variable],
    arrays: Sequence[np.ndarray], k: int, change: np.ndarray,
) -> float:  # fmt: skip
    moved = [a + change if i == k else a for i, a in enumerate(arrays)]
    found = by_reference([*outputs, *weights], dict(zip(inputs, moved, strict=True)))
    n = len(outputs)
    return float(sum((a * w).sum() for a, w in zip(found[:n], found[n:], strict=True)))


# ------------------------------------------------------------------------------------------------ comparing


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal, zeros of one sign with zeros of that sign, and NaN with NaN."""
    if a.dtype.kind != "f":
        return bool(np.array_equal(a, b))
    nan = np.isnan(a) & np.isnan(b)
    return bool(np.all(nan | ((a == b) & (np.signbit(a) == np.signbit(b)))))


def magnitude(case: Case, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """What rounding is relative to: the sum of magnitudes where inputs' products are summed, or the largest element."""
    if case.normwise:
        return np.abs(np.asarray(case.oracle(*arrays))).max(initial=0)
    if not case.linear:
        return np.zeros(())
    return np.asarray(case.oracle(*[np.abs(a) if a.dtype.kind == "f" else a for a in arrays]))


WRITTEN_IN = str(Path(__file__).parent)
PREPARE = compile("(prepared := prepare(*task)), preconditions_of(prepared)", "<call>", "eval")


def check_places(case: Case) -> None:
    """All that is compiled, checks included, was made where the user wrote the op, not where the program was called."""
    inputs, y, arrays = built(case, 0, "float32")
    wrt = [inputs[k] for k in case.differentiable if is_float(inputs[k].dtype)]
    gradients = vjp([y], wrt, [y], disconnected_inputs="ignore") if wrt and is_float(y.dtype) else []
    *task, _ = task_of([y, *gradients], dict(zip(inputs, arrays, strict=True)))
    names = {"preconditions_of": preconditions_of, "prepare": prepare, "task": task}
    prepared, checks = eval(PREPARE, names)
    nodes = toposort([*prepared.outputs, *[ok for _, _, ok in checks]])
    assert not [n.op.name for n in nodes if n.origin is None or not n.origin.file.startswith(WRITTEN_IN)]


def assert_close(found: np.ndarray, expected: np.ndarray, ulp: float, scale: np.ndarray) -> None:
    """Within ``ulp`` units in the last place of the larger of the result and ``scale``."""
    assert found.shape == expected.shape, f"shape {found.shape}, expected {expected.shape}"
    if found.dtype.kind != "f":
        assert np.array_equal(found, expected), f"{found} for {expected}"
        return
    with np.errstate(all="ignore"):
        rounded = expected.astype(found.dtype)
        largest = np.maximum(np.abs(rounded), np.asarray(scale).astype(found.dtype))
        unit = np.maximum(np.spacing(largest), np.finfo(found.dtype).smallest_subnormal)
        error = np.abs(found.astype("float64") - expected.astype("float64"))
        fine = (error <= ulp * unit.astype("float64")) | (found == rounded) | (np.isnan(found) & np.isnan(rounded))
    assert fine.all(), f"{found[~fine][:4]} for {expected[~fine][:4]}, more than {ulp} ulp"

"""Checked calls: a result with NaN is traced to the op that made it, and every op is compared with its reference.

Slow, for finding mistakes: a call computes everything a second time by NumPy, op by op. An error undoes the updates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from symgraph.backend import Executable, Prepared, Signature, Task, find_backend, renew
from symgraph.errors import NumericalError, layout
from symgraph.graph import Apply, Constant, Variable, apply, describe, label, toposort
from symgraph.reference import evaluate_node, value_of
from symgraph.shared_variable import SharedVariable
from symgraph.types import TensorType, is_float

TOLERANCE = {"float16": 2e-2, "float32": 1e-4, "float64": 1e-10}
"""Relative to the largest element: by what sums in another order may differ."""


@dataclass
class Checks:
    """What is checked at each call of a function.

    Attributes
    ----------
    backend : str
    nan, reference : bool
    """

    backend: str
    nan: bool = False
    reference: bool = False
    _alone: dict[Apply, Executable] = field(default_factory=dict)
    _stand_ins: dict[tuple[int, TensorType], Variable] = field(default_factory=dict)

    def run(
        self, program: Executable, arrays: Sequence[np.ndarray], shared: Sequence[SharedVariable]
    ) -> list[np.ndarray]:
        """A call of a program, checked.

        Raises
        ------
        NumericalError
            If a result or a new value holds NaN (``nan``), or an op does not give what its reference gives
            (``reference``).
        """
        before = [s.get_value() for s in shared]
        outputs = program(arrays, shared)
        try:
            prepared = program.prepared
            given = dict(zip((*prepared.inputs, *prepared.shared), (*arrays, *before), strict=True))
            results = [*outputs, *[s.get_value(borrow=True) for s in shared]]
            if self.nan and any(map(_has_nan, results)):
                raise _of_nan(prepared, given)
            if self.reference:
                self._compare(prepared, given)
        except BaseException:
            renew(list(zip(shared, before, strict=True)))
            raise
        return outputs

    def _compare(self, prepared: Prepared, given: Mapping[Variable, np.ndarray]) -> None:
        """Every op of the compiled graph by itself, on the values that the reference gives its operands."""
        known = dict(given)
        for node in toposort([*prepared.outputs, *prepared.updates], known):
            arrays = [value_of(v, known) for v in node.inputs]
            with np.errstate(all="ignore"):
                expected = evaluate_node(node, arrays, known)
            known.update(zip(node.outputs, expected, strict=True))
            for v, found in zip(node.outputs, self._computed(node, arrays), strict=True):
                if not _agree(found, known[v]):
                    raise _of_difference(node, known, found, known[v])

    def _computed(self, node: Apply, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The values of one op, compiled alone."""
        inputs = [v if isinstance(v, Constant) else self._stand_in(k, v.type) for k, v in enumerate(node.inputs)]
        alone = apply(node.op, inputs, node.attrs)
        free = [(v, a) for v, a in zip(inputs, arrays, strict=True) if not isinstance(v, Constant)]
        if alone not in self._alone:
            task = Task(tuple(v for v, _ in free), (), tuple(alone.outputs), ())
            self._alone[alone] = find_backend(self.backend).compile(task, Signature(tuple(v.type for v, _ in free), ()))
        return self._alone[alone]([np.require(a, v.dtype, ["C", "A"]) for v, a in free], [])

    def _stand_in(self, k: int, type: TensorType) -> Variable:
        return self._stand_ins.setdefault((k, type), Variable(type, name=f"operand{k}"))


def _has_nan(a: np.ndarray) -> bool:
    return a.dtype.kind in "fc" and bool(np.isnan(a).any())


def _agree(found: np.ndarray, expected: np.ndarray) -> bool:
    """The same numbers to rounding; the same bits if they are no floats."""
    if not is_float(found.dtype.name):
        return np.array_equal(found, expected)
    finite = np.isfinite(expected)
    if not np.array_equal(found[~finite], expected[~finite], equal_nan=True):
        return False
    a, b = found[finite].astype("float64"), expected[finite].astype("float64")
    scale = np.abs(b).max(initial=float(np.finfo(found.dtype).tiny))
    return bool((np.abs(a - b) <= TOLERANCE[found.dtype.name] * scale).all())


# ------------------------------------------------------------------------------------------------ what is said


def _of_nan(prepared: Prepared, given: Mapping[Variable, np.ndarray]) -> NumericalError:
    """The error for results with NaN: it names an input with NaN, or the first op on the way that makes one."""
    wrong = [v for v, a in given.items() if _has_nan(a)]
    if wrong:
        text = f"check_nan: {label(wrong[0])} holds NaN: {_where(given[wrong[0]])}"
        return NumericalError(layout(text, map(describe, wrong), [], "look at what is given"))
    results = [*prepared.outputs, *prepared.updates]
    known, makers = dict(given), set()
    for node in toposort(results, known):
        arrays = [value_of(v, known) for v in node.inputs]
        with np.errstate(all="ignore"):
            known.update(zip(node.outputs, evaluate_node(node, arrays, known), strict=True))
        if any(_has_nan(known[v]) for v in node.outputs) and not any(map(_has_nan, arrays)):
            makers.add(node)
    reached = toposort([v for v in results if v in known and _has_nan(known[v])], given)
    first = next((n for n in reached if n in makers), None)
    if first is None:
        return NumericalError("check_nan: a result holds NaN, by the reference none does\ntry check_reference")
    made = next(known[v] for v in first.outputs if _has_nan(known[v]))
    return _error(first, f"makes NaN of numbers: {_where(made)}", known, "keep its operands where it is defined")


def _of_difference(
    node: Apply, known: Mapping[Variable, np.ndarray], found: np.ndarray, expected: np.ndarray
) -> NumericalError:
    with np.errstate(all="ignore"):
        gap = np.abs(found.astype("float64") - expected.astype("float64"))
    at = np.unravel_index(int(np.nanargmax(np.where(np.isnan(gap), np.inf, gap))), gap.shape)
    text = f"gives {found[at]}{_place(at)}, its reference {expected[at]}"
    return _error(node, text, known, "please report it, with these operands")


def _error(node: Apply, text: str, known: Mapping[Variable, np.ndarray], mend: str) -> NumericalError:
    operands = list(node.op.operands(node))
    details = [f"{describe(v)}: {_range(value_of(v, known))}" for v in operands]
    source = node.origin.excerpt() if node.origin else []
    return NumericalError(layout(f"{node.op.name}({', '.join(map(label, operands))}) {text}", details, source, mend))


def _where(a: np.ndarray) -> str:
    bad = np.isnan(a)
    first = np.unravel_index(int(bad.argmax()), a.shape)
    return f"{int(bad.sum())} of {a.size}{', the first' + _place(first) if a.ndim else ''}"


def _place(at: Sequence[np.integer]) -> str:
    return f" at {tuple(map(int, at))}" if at else ""


def _range(a: np.ndarray) -> str:
    """The values of an operand in short."""
    if not a.size:
        return "empty"
    return f"{a.item()}" if a.size == 1 else f"from {a.min()} to {a.max()}"

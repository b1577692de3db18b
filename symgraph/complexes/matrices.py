"""Factorisations and systems of complex matrices: the same NumPy functions, given both parts of each operand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.coercion import convert
from symgraph.complexes.apart import apart, in_parts
from symgraph.complexes.rules import Whole, named
from symgraph.graph import Variable
from symgraph.host import Host
from symgraph.op import GradResult
from symgraph.ops.creation import zeros_like
from symgraph.parts import Parts, joined, part_type, parted
from symgraph.types import TensorType, is_complex

NAMES = (
    "solve", "solve_triangular", "matrix_inverse", "pinv", "det", "slogdet", "cofactors", "second_cofactors",
    "cholesky", "qr", "eigh", "svd", "expm",
)  # fmt: skip


class OnParts(Host):
    """A host op of complex arrays as one of their parts; its gradient is that of the op, taken apart."""

    def __init__(self, whole: Host) -> None:
        super().__init__(f"complex_{whole.name}", self.compute, infer=self.part_types, grad=self.pull, doc=whole.doc)
        self.whole, self.module = whole, __name__

    def compute(self, *parts: np.ndarray, **attrs: Any) -> tuple[np.ndarray, ...]:
        """Join, compute, take apart."""
        found = self.whole.numpy(*map(joined, parts[::2], parts[1::2]), **attrs)
        each = map(np.asarray, found if isinstance(found, tuple) else (found,))
        return tuple(part for a in each for part in (parted(a) if a.dtype.kind == "c" else (a,)))

    def types_of(self, operands: Sequence[Variable], attrs: dict[str, Any]) -> Sequence[TensorType]:
        """The types of the op's own outputs, for operands that stand for the complex ones."""
        return self.whole.infer(operands, attrs)

    def part_types(self, *parts: Variable, **attrs: Any) -> list[TensorType]:
        """Two for each complex output."""
        types = self.types_of(_stand_ins(parts), attrs)
        return [part_type(t) for t in types for _ in range(1 + is_complex(t.dtype))]

    def grouped(self, parts: Sequence[Any], types: Sequence[TensorType]) -> list[tuple[Any, ...]]:
        """One tuple for each of the op's outputs: both parts, or the real value."""
        rest = iter(parts)
        return [tuple(next(rest) for _ in range(1 + is_complex(t.dtype))) for t in types]

    def meaning(self, *operands: Parts, **attrs: Any) -> tuple[Whole, ...]:
        """What the op means on complex operands."""
        outputs = self(*in_parts(operands), **attrs)
        types = self.types_of([Variable(z.type) for z in operands], attrs)
        return tuple(Parts(*group) if len(group) == 2 else group[0] for group in self.grouped(outputs, types))

    def pull(
        self, cotangents: Sequence[Variable | None], inputs: Sequence[Variable], outputs: Sequence[Variable],
        **attrs: Any,
    ) -> GradResult:  # fmt: skip
        """The gradient by each part, from the op's own rule on variables that stand for the complex values."""
        assert self.whole.grad_rule is not None
        operands = _stand_ins(inputs)
        types = self.types_of(operands, attrs)
        known: dict[Variable, Whole] = dict(zip(operands, _pairs(inputs), strict=True))
        given: list[Variable | None] = []
        results: list[Variable] = []
        for t, value, g in zip(types, self.grouped(outputs, types), self.grouped(cotangents, types), strict=True):
            results.append(_standing_for(t, value, known))
            missing = all(part is None for part in g)
            filled = [zeros_like(v) if part is None else part for v, part in zip(value, g, strict=True)]
            given.append(None if missing else _standing_for(t, filled, known))
        found = self.whole.grad_rule(given, operands, results, **attrs)
        return in_parts(apart([convert(g, v.dtype) for g, v in zip(found, operands, strict=True)], known))


def _pairs(parts: Sequence[Variable]) -> list[Parts]:
    return [Parts(re, im) for re, im in zip(parts[::2], parts[1::2], strict=True)]


def _stand_ins(parts: Sequence[Variable]) -> list[Variable]:
    return [Variable(z.type, name=(z.re.name or "").removesuffix(".real") or None) for z in _pairs(parts)]


def _standing_for(type: TensorType, value: Sequence[Variable], known: dict[Variable, Whole]) -> Variable:
    """A variable of ``type`` that stands for a value, as ``known`` then says; a real value is one itself."""
    if len(value) == 1:
        return value[0]
    stand_in = Variable(type)
    known[stand_in] = Parts(*value)
    return stand_in


for _name in NAMES:
    _whole = named(_name)
    assert isinstance(_whole, Host)
    _op = OnParts(_whole)
    _op.register()
    _whole.parts = _op.meaning

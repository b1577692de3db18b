"""What to say where there is no memory for what a program computes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

from symgraph.backend import Storage, Task
from symgraph.errors import AllocationError, layout
from symgraph.graph import Variable, label
from symgraph.shared_variable import SharedVariable
from symgraph.types import SIZES, TensorType
from symgraph.varying import capacity

UNREACHABLE = 1 << 57  # bytes: what no processor addresses; below it, sums of sizes fit in 64 bits
_MEND = "compute it in parts, or drop arrays that are no longer needed"


def check_reach(values: Iterable[Variable]) -> None:
    """Raise if there can be no address for all of a value that is to be in memory."""
    for v in values:
        if _size(v.type) >= UNREACHABLE:
            raise _error(v, f"no memory for {v.type}, {_size(v.type):,} bytes")


def no_output(task: Task, k: int, renewed: Sequence[SharedVariable], t: TensorType) -> AllocationError:
    """For result ``k`` of type ``t``; those behind the outputs are new values of ``renewed``."""
    count = len(task.outputs)
    v = task.outputs[k] if k < count else dict(task.updates)[renewed[k - count]]
    return _error(v, f"no memory for {t}, {_size(t):,} bytes")


def no_arena(size: int, storages: Sequence[Storage]) -> AllocationError:
    """For the ``size`` bytes that hold the values between parts of a program; the largest is named."""
    kept = [s for s in storages if s.kind == "arena" and s.values]
    headline = f"no memory for what is computed on the way, {size:,} bytes"
    if not kept:
        return AllocationError(f"{headline}\n{_MEND}")
    largest = max(kept, key=lambda s: s.bytes)
    v = largest.values[0]
    return _error(v, headline, [f"its result {v.type} takes {largest.bytes:,} of them"])


def _size(t: TensorType) -> int:
    return prod(capacity(n or 0) for n in t.shape) * SIZES[t.dtype]


def _error(v: Variable, found: str, details: Sequence[str] = ()) -> AllocationError:
    op = v.owner.op.name if v.owner else label(v)
    source = v.owner.origin.excerpt() if v.owner and v.owner.origin else []
    return AllocationError(layout(f"{op}: {found}", details, source, _MEND))

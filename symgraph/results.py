"""What a call returns: its form, and results that need not be the caller's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.coercion import as_variable
from symgraph.graph import Variable
from symgraph.parts import by_pairs, joined
from symgraph.types import is_complex


@dataclass(frozen=True, eq=False)
class Out:
    """An output that a call need not copy.

    Attributes
    ----------
    variable : Variable
    borrow : bool
        The result may be memory of the function's own, which its next call overwrites. On a GPU it is: an array there,
        which other libraries take by DLPack (``torch.from_dlpack``), so that nothing comes to the host.
    """

    variable: Variable
    borrow: bool = False


Output = Variable | Out
Outputs = Output | Sequence[Output] | Mapping[Any, Output] | None


@dataclass(frozen=True)
class Form:
    """What a call returns: "one" array, a "list", a "dict" with ``keys``, or "none".

    The last results are printed, each after one of ``messages``, and not returned. Where ``pairs`` is true two arrays
    of the program are the parts of one result.
    """

    kind: str
    keys: tuple[Any, ...] = ()
    messages: tuple[str, ...] = ()
    pairs: tuple[bool, ...] = ()

    @property
    def is_native(self) -> bool:
        """Whether what a program gives can be returned as it is."""
        return self.kind != "dict" and not self.messages and not any(self.pairs)

    def __call__(self, found: list[np.ndarray]) -> Any:
        if any(self.pairs):
            found = by_pairs(found, self.pairs, joined)
        if self.messages:
            count = len(self.messages)
            for message, value in zip(self.messages, found[-count:], strict=True):
                print(message, value, value.dtype, value.shape)
            found = found[:-count]
        match self.kind:
            case "one":
                return found[0]
            case "dict":
                return dict(zip(self.keys, found, strict=True))
            case "none":
                return None
        return found


def flatten_outputs(outputs: Outputs) -> tuple[Form, list[Variable], tuple[int, ...]]:
    """The form of the result, the variables, and which of them are borrowed."""
    if outputs is None:
        return Form("none"), [], ()
    form = Form("one")
    many: list[Any] = [outputs]
    if isinstance(outputs, Mapping):
        form, many = Form("dict", tuple(outputs)), list(outputs.values())
    elif isinstance(outputs, list | tuple):
        form, many = Form("list"), list(outputs)
    borrowed = tuple(k for k, v in enumerate(many) if isinstance(v, Out) and v.borrow)
    return form, [as_variable(v.variable if isinstance(v, Out) else v) for v in many], borrowed


def pairs_of(results: Sequence[Variable]) -> tuple[bool, ...]:
    """For each result whether a program gives two arrays for it."""
    return tuple(is_complex(v.dtype) for v in results)

"""The arguments of a call: declarations with defaults, and conversion of what the user gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, ShapeError
from symgraph.graph import Constant, Variable, describe, label
from symgraph.types import is_float, is_integer


class _NoValue:
    def __repr__(self) -> str:
        return "required"


REQUIRED = _NoValue()


@dataclass(frozen=True, eq=False)
class In:
    """An input with a default value.

    Attributes
    ----------
    variable : Variable
    value : array_like
        What a call uses if it gives none.
    borrow : bool
        The function may read the array in place even if the caller changes it meanwhile.
    name : str, optional
        The keyword; default the variable's name.
    """

    variable: Variable
    value: Any = REQUIRED
    borrow: bool = False
    name: str | None = None

    def __post_init__(self) -> None:
        if self.name is None:
            object.__setattr__(self, "name", self.variable.name)

    @property
    def has_default(self) -> bool:
        """Whether a call may leave it out."""
        return self.value is not REQUIRED

    @property
    def label(self) -> str:
        """Its name, or "input"."""
        return self.name or "input"


def as_inputs(inputs: Sequence[Variable | In]) -> list[In]:
    """Checked declarations.

    Raises
    ------
    ArgumentError
        If one is no variable, a constant, or given twice.
    """
    if isinstance(inputs, Variable | In):
        raise ArgumentError(f"function: inputs is one variable\nwrite a list: [{inputs!r}]")
    declared = [i if isinstance(i, In) else In(_check_input(i)) for i in inputs]
    seen: set[Variable] = set()
    for i in declared:
        if i.variable in seen:
            raise ArgumentError(f"function: the input {i.label} is given twice\n  {describe(i.variable)}\nlist it once")
        seen.add(i.variable)
    names = [i.name for i in declared if i.name]
    twice = [n for n in names if names.count(n) > 1]
    if twice:
        # Two inputs of one name are fine by position; by keyword neither can be meant.
        declared = [In(i.variable, i.value, i.borrow, "") if i.name in twice else i for i in declared]
    return declared


def _check_input(v: object) -> Variable:
    if not isinstance(v, Variable):
        raise ArgumentError(f"function: the input {v!r} is not a variable\nmake one: symgraph.matrix('x')")
    if isinstance(v, Constant):
        raise ArgumentError(f"function: the input {label(v)} is a constant\nleave it out of inputs")
    return v


def convert_argument(value: Any, declared: In, function: str, downcast: bool) -> np.ndarray:
    """``value`` as a contiguous, aligned, native array of the input's dtype and rank.

    Raises
    ------
    DTypeError
        If the conversion would lose something and ``downcast`` is off.
    ShapeError
        If the rank differs.
    """
    wanted = declared.variable.type
    given = _as_array(value, declared, function)
    if given.ndim != wanted.ndim:
        raise ShapeError(
            f"{function}: the input {declared.label} has {given.ndim} axes {given.shape}, it must have {wanted.ndim}\n"
            f"  {describe(declared.variable)}\nreshape it, e.g. {_reshaped(declared.label, wanted.ndim)}"
        )
    if given.dtype.name != wanted.dtype and not downcast:
        _check_lossless(value, given, declared, function)
    with np.errstate(all="ignore"):
        return np.require(given, np.dtype(wanted.dtype), ["C", "A"])


def _reshaped(name: str, rank: int) -> str:
    return f"{name}.reshape({', '.join(['1'] * (rank - 1) + ['-1'])})" if rank else f"{name}.item()"


def _as_array(value: Any, declared: In, function: str) -> np.ndarray:
    if isinstance(value, Variable):
        raise ArgumentError(
            f"{function}: the input {declared.label} got the symbol {label(value)}; a call takes values\n"
            "build expressions with symgraph functions instead, or evaluate it first: v.eval({...})"
        )
    try:
        if hasattr(value, "__dlpack__") and not isinstance(value, np.ndarray | np.generic):
            return np.from_dlpack(value)
        given = np.asarray(value)
    except (ValueError, TypeError, BufferError) as error:
        raise DTypeError(f"{function}: the input {declared.label} cannot become an array: {error}") from None
    if given.dtype.kind not in "biuf":
        raise DTypeError(
            f"{function}: the input {declared.label} is {given.dtype}, it must be {declared.variable.type}\n"
            f"  {describe(declared.variable)}\ngive numbers"
        )
    return given


def _check_lossless(value: Any, given: np.ndarray, declared: In, function: str) -> None:
    """Arrays convert where NumPy calls it safe; Python numbers and lists, where the kind and the range fit."""
    wanted = declared.variable.dtype
    weak = isinstance(value, bool | int | float | list | tuple)
    if (weak and (is_float(wanted) or not given.size)) or np.can_cast(given.dtype, wanted, "safe"):
        return
    if weak and is_integer(wanted) and given.dtype.kind in "iu":
        info = np.iinfo(wanted)
        if info.min <= int(given.min()) and int(given.max()) <= info.max:
            return
    raise DTypeError(
        f"{function}: the input {declared.label} is {given.dtype}, it must be {wanted}: converting may lose values\n"
        f"  {describe(declared.variable)}\ncast it: x.astype({wanted!r}), or pass allow_input_downcast=True to function"
    )

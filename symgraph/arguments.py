"""The arguments of a call: declarations with defaults, and conversion of what the user gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, ShapeError, layout
from symgraph.graph import Constant, Variable, describe, in_code, label
from symgraph.shared_variable import SharedVariable
from symgraph.types import as_array, is_complex, is_inexact, is_lossless


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
        _check_input(self.variable)
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
        If one is no variable, a constant, shared, computed, or given twice.
    """
    if isinstance(inputs, Variable | In):
        raise ArgumentError(f"function: inputs is one variable\nwrite a list: [{inputs!r}]")
    declared = [i if isinstance(i, In) else In(i) for i in inputs]
    seen: set[Variable] = set()
    for i in declared:
        if i.variable in seen:
            raise ArgumentError(f"function: the input {i.label} is given twice\n  {describe(i.variable)}\nlist it once")
        seen.add(i.variable)
    return declared


def _check_input(v: object) -> None:
    if not isinstance(v, Variable):
        raise ArgumentError(f"function: the input {v!r} is not a variable\nmake one: symgraph.matrix('x')")
    if isinstance(v, Constant):
        raise ArgumentError(f"function: the input {label(v)} is a constant\nleave it out of inputs")
    if isinstance(v, SharedVariable):
        name = in_code(v, "shared")
        raise ArgumentError(
            layout(f"function: the input {label(v)} is a shared variable, which has a value of its own", [describe(v)],
                   [], f"leave it out and set it, {name}.set_value(...) or updates=[({name}, x)]; or put an input x in "
                   f"its place: givens={{{name}: x}}")
        )  # fmt: skip
    if v.owner is not None:
        made = f"h = symgraph.tensor('h', {v.dtype!r}, {v.type.shape})"
        raise ArgumentError(
            layout(f"function: the input {label(v)} is computed from others; inputs must be variables without an owner",
                   [describe(v)], v.owner.origin.excerpt() if v.owner.origin else [],
                   f"put an input in its place: {made}; function([h], ..., givens={{{in_code(v, 'expression')}: h}})")
        )  # fmt: skip


Tensors = Callable[[object, str | None], Any]
"""What a device makes of a tensor that it has, in a dtype if one is named; None for any other value."""


def nowhere(value: object, dtype: str | None) -> None:
    """Where there is no device: every tensor must be on the host."""
    return None


def convert_argument(value: Any, declared: In, function: str, downcast: bool, tensors: Tensors = nowhere) -> np.ndarray:
    """``value`` as a contiguous, aligned, native array of the input's dtype and rank.

    A tensor that ``tensors`` knows becomes an array of its device.

    Raises
    ------
    DTypeError
        If the conversion would lose something and ``downcast`` is off.
    ShapeError
        If the rank differs.
    """
    wanted = declared.variable.type
    there = None if isinstance(value, Variable) else tensors(value, None)
    given = _as_array(value, declared, function) if there is None else there
    if given.ndim != wanted.ndim:
        raise ShapeError(
            f"{function}: the input {declared.label} has {given.ndim} axes {given.shape}, it must have {wanted.ndim}\n"
            f"  {describe(declared.variable)}\nreshape it, e.g. {_reshaped(declared.label, wanted.ndim)}"
        )
    if given.dtype.name != wanted.dtype and not downcast:
        _check_lossless(value, given, declared, function)
    if there is not None:
        found: np.ndarray = there if given.dtype.name == wanted.dtype else tensors(there, wanted.dtype)
        return found
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
        # Python's integers have no bounds, and a large one may still be a float
        is_large = type(value) is int and is_inexact(declared.variable.dtype)
        given = as_array(float(value) if is_large else value)
    except (ValueError, TypeError, OverflowError) as error:
        raise DTypeError(f"{function}: the input {declared.label} cannot become an array: {error}") from None
    takes_complex = is_complex(declared.variable.dtype)
    if given.dtype.kind not in ("biufc" if takes_complex else "biuf"):
        found = f"{value!r:.40}" if given.dtype.kind == "O" else given.dtype
        mend = "give one of its parts, or declare the input complex" if given.dtype.kind == "c" else "give numbers"
        raise DTypeError(
            f"{function}: the input {declared.label} is {found}, it must be {declared.variable.type}\n"
            f"  {describe(declared.variable)}\n{mend}"
        )
    return given


def _check_lossless(value: Any, given: np.ndarray, declared: In, function: str) -> None:
    wanted = declared.variable.dtype
    if is_lossless(value, given, wanted):
        return
    cast = f"{declared.label}.astype({wanted!r})" if isinstance(value, np.ndarray | np.generic) else None
    shown = f"{value}, {given.dtype}" if not given.ndim else given.dtype
    raise DTypeError(
        f"{function}: the input {declared.label} is {shown}, it must be {wanted}: converting may lose values\n"
        f"  {describe(declared.variable)}\n"
        + (f"cast it: {cast}, or pass" if cast else f"give what fits {wanted}, or pass")
        + " allow_input_downcast=True to function"
    )

"""function(): from expressions to something that is called with arrays.

A call binds and checks the arguments, finds the program for their shapes (compiling it the first time), and runs it.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from types import MethodType
from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph import config
from symgraph.arguments import In, Tensors, as_inputs, convert_argument, nowhere
from symgraph.backend import PRECISIONS, Executable, Signature, Task, find_backend, tensor_of
from symgraph.boundary import apart_arguments, apart_task
from symgraph.checking import Checks
from symgraph.dependence import dependence
from symgraph.errors import AllocationError, ArgumentError, ShapeError, SymgraphError, UnusedInputError, layout
from symgraph.graph import Constant, Variable, describe, in_code, label, leaves, substitute, toposort
from symgraph.op import OPS, attach
from symgraph.ops.mask import is_selected
from symgraph.prelude import Prelude, prelude
from symgraph.results import Form, Outputs, flatten_outputs, pairs_of
from symgraph.reuse import Reuse, Shapes
from symgraph.rewrite import STABILIZING, Step, rewrite
from symgraph.rewrites.selections import fold_selections
from symgraph.shapes import by_extents, values_read
from symgraph.shared_variable import SharedVariable
from symgraph.types import TensorType, is_complex
from symgraph.updates import Pairs, checked_givens, checked_updates, with_default_updates

if TYPE_CHECKING:
    from symgraph.view.profile import Profile

Key = tuple[Shapes, tuple[int, ...]]

_compiling = threading.RLock()
"""One program is made at a time: threads that call a new function at once wait for the first."""


def _forget_compiling() -> None:
    """In the child of a fork: the thread that was making a program is not there, and would never end."""
    global _compiling
    _compiling = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_compiling)


MOST_NATIVE = 32
"""How many programs of a function are asked, one after the other, whether a call is for them."""


@dataclass
class Usage:
    """How often a function was called, and how long it took (seconds)."""

    calls: int = 0
    seconds: float = 0.0


def function(
    inputs: Sequence[Variable | In] = (), outputs: Outputs = None, updates: Pairs = (), givens: Pairs = (),
    name: str | None = None, allow_input_downcast: bool = False, on_unused_input: str = "raise",
    no_default_updates: bool = False, backend: str | None = None, profile: bool = False, precision: str = "highest",
) -> Function:  # fmt: skip
    """Compile expressions into a callable.

    Parameters
    ----------
    inputs : list of Variable or In
        What a call gives, by position or by name.
    outputs : Variable or Out, list, dict or None
        What a call returns, in the same form; arrays (0-d too).
    updates : dict or list of pairs (SharedVariable, new value)
        Done together after each call: outputs and new values all see the old values.
    givens : dict or list of pairs (Variable, replacement)
        Replacements made before compiling, e.g. ``{x: data[i*b:(i+1)*b]}``. A gradient need not hold what its cost
        computed on the way (see ``grad``), so replace inputs and shared variables there.
    name : str, optional
        For messages.
    allow_input_downcast : bool
        Take inputs whose conversion loses precision.
    on_unused_input : "raise", "warn" or "ignore"
        What to do about an input that no output depends on. A gradient depends on all inputs of its cost.
    no_default_updates : bool
        Do not advance random streams and other shared variables with a default update.
    backend : str, optional
        "llvm" (default), "cuda" for a GPU, "auto" for a GPU where there is one, "numpy", ...; see
        ``symgraph.backend.BACKENDS``.
    profile : bool
        Count calls and their seconds in ``f.usage``.
    precision : "highest", "tf32", "bf16" or "fp16"
        To what a GPU may round the factors of large products of float32 (matrix products, convolutions and their
        gradients), which its tensor cores then multiply; sums and all else stay float32. With "fp16" a factor above
        65504 is infinite. A processor rounds nothing.

    Returns
    -------
    Function

    Raises
    ------
    ArgumentError, UnusedInputError, UpdateError, ShapeError, DTypeError
    """
    _check_choice("on_unused_input", on_unused_input, ("raise", "warn", "ignore"))
    _check_choice("precision", precision, PRECISIONS)
    declared = as_inputs(inputs)
    form, flat, borrowed = flatten_outputs(outputs)
    pairs = checked_updates(updates)
    replaced = checked_givens(givens)
    targets = [s for s, _ in pairs]
    written = [*flat, *[new for _, new in pairs]]
    results = substitute(written, replaced) if replaced else written
    if not no_default_updates:
        targets, results = with_default_updates(targets, results)
    variables = [i.variable for i in declared]
    results = _of_inputs(results, variables)
    free = [v for v in leaves([*results, *targets]) if not isinstance(v, Constant)]
    given = set(variables)
    if on_unused_input != "ignore" and not given <= set(free):
        replacing = leaves(replaced.get(v, v) for v in dependence(written))
        _check_used(variables, {*free, *replacing, *dependence(results)}, on_unused_input)
    shown, messages = _with_printed(results, len(flat))
    form = replace(form, messages=messages, pairs=pairs_of(shown))
    shared = dict.fromkeys([*[v for v in free if isinstance(v, SharedVariable)], *targets])
    updated = tuple(zip(targets, results[len(flat) :], strict=True))
    whole = Task(tuple(variables), tuple(shared), tuple(shown), updated, name or "f", precision, borrowed)
    task = _folded(apart_task(whole))
    now = config.settings()
    checks = Checks(backend or now.backend, now.check_nan, now.check_reference)
    return Function(task, declared, form, backend or now.backend, allow_input_downcast, profile, checks)


# ------------------------------------------------------------------------------------------------ building


def _folded(task: Task) -> Task:
    """The task with sums over what masks select as sums over everything."""
    if not any(is_selected(v) for node in toposort(task.results) for v in node.outputs):
        return task
    results, count = fold_selections(rewrite(task.results, STABILIZING)), len(task.outputs)
    targets = [target for target, _ in task.updates]
    return replace(task, outputs=tuple(results[:count]), updates=tuple(zip(targets, results[count:], strict=True)))


def _of_inputs(results: list[Variable], inputs: Sequence[Variable]) -> list[Variable]:
    """``results`` where they need no more than inputs, constants and shared variables."""
    if not (missing := _missing(results, inputs)):
        return results
    results = by_extents(results, missing)
    if not (missing := _missing(results, inputs)):
        return results
    read = values_read(results)
    first = next((v for v in missing if v in read), missing[0])
    what, mend = f"the shape of {label(first)}", "add it to inputs"
    if first in read:
        what, mend = label(first), "add it to inputs, replace it through givens, or make it shared"
    elif not first.type.is_static:
        mend += "; or declare its extents if they are known: " + in_code(first, "x")
        mend += f" = symgraph.tensor({first.name!r}, {first.dtype!r}, shape=(...))"
    raise ArgumentError(
        layout(f"function: the outputs depend on {what}, which is no input", map(describe, missing), [], mend)
    )


def _missing(results: Sequence[Variable], inputs: Sequence[Variable]) -> list[Variable]:
    given = set(inputs)
    return [v for v in leaves(results) if v not in given and not isinstance(v, Constant | SharedVariable)]


def _check_choice(name: str, given: str, choices: Sequence[str]) -> None:
    if given not in choices:
        *others, last = map(repr, choices)
        raise ValueError(f"{name} is {given!r}; it must be one of {', '.join(others)} or {last}")


def _with_printed(results: Sequence[Variable], count: int) -> tuple[list[Variable], tuple[str, ...]]:
    """The first ``count`` results and behind them what is printed on the way to any, and the messages for that."""
    printed = [node for node in toposort(results) if node.op is OPS["print"]]
    shown = [*results[:count], *[node.inputs[0] for node in printed]]
    return shown, tuple(node.attrs["message"] for node in printed)


def _shared_name(where: str, count: int, name: str) -> str:
    return f"{where} has {count} inputs named {name!r}: the name cannot say which"


def _check_used(inputs: Sequence[Variable], used: set[Variable], on_unused: str) -> None:
    unused = [v for v in inputs if v not in used]
    if not unused:
        return
    message = layout(
        f"function: no output depends on the input {label(unused[0])}", map(describe, unused), [],
        "leave it out, or pass on_unused_input='ignore'",
    )  # fmt: skip
    if on_unused == "raise":
        raise UnusedInputError(message)
    warnings.warn(message, stacklevel=4)


# ------------------------------------------------------------------------------------------------ calling


class Function:
    """A compiled function; made by ``function``.

    Attributes
    ----------
    task : Task
    programs : dict
        (Shapes, sizes) of the call that it was made for -> Executable. One that takes lengths at run time serves others
        too.
    usage : Usage or None
        Calls and their seconds, if they are counted.
    """

    def __init__(
        self, task: Task, declared: Sequence[In], form: Form, backend: str, downcast: bool, profile: bool,
        checks: Checks | None = None,
    ) -> None:  # fmt: skip
        self.task, self.declared, self.form = task, tuple(declared), form
        self.backend, self.downcast = backend, downcast
        self.name = task.name
        self.usage = Usage() if profile else None
        self.checks = checks if checks is not None and (checks.nan or checks.reference) else None
        self.programs: dict[Any, Executable] = {}
        self._positions = {i.name: k for k, i in enumerate(declared) if i.name}
        self._names = Counter(i.name for i in declared)
        self._dtypes = [np.dtype(i.variable.dtype) for i in declared]
        self._takers = [i for i in declared for _ in range(1 + is_complex(i.variable.dtype))]
        self._prelude = prelude(task.results)
        # what the host reads to find a program it must have
        by_host = set(self._prelude.by_value)
        there: Tensors = partial(tensor_of, backend)
        self._tensors = [nowhere if i.variable in by_host or is_complex(i.variable.dtype) else there for i in declared]
        self._preludes: dict[Any, Prelude] = {}
        self._open = [k for k, s in enumerate(task.shared) if not s.type.is_static]
        self._locks = [s.lock for s in sorted(task.shared, key=id)]
        self._reuse = Reuse(task, backend, self._prelude.sizes)
        self._native: list[Executable] = []
        self._next: Callable[..., Any] = MethodType(Function.__call__, self)
        find_backend(backend)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        start = perf_counter() if self.usage else 0.0
        arrays = self._bind(args, kwargs)
        with contextlib.ExitStack() as held:
            for lock in self._locks:
                held.enter_context(lock)
            executable, found = self._run(arrays)
        if self.usage:
            self.usage.calls += 1
            self.usage.seconds += perf_counter() - start
        elif executable not in self._native and len(self._native) < MOST_NATIVE:
            self._make_native(executable)
        return self.form(found)

    def _run(self, arrays: Sequence[np.ndarray]) -> tuple[Executable, list[np.ndarray]]:
        """The program of a call and what it gives: one for its very shapes, where there is no memory for a larger, or
        an error is to name them."""
        key = self._key(arrays)
        if self.checks:
            executable = self._own_program(key, arrays)
            return executable, self.checks.run(executable, arrays, self.task.shared)
        executable = self._program(key, arrays)
        if self._reuse.is_common(executable):
            with contextlib.suppress(SymgraphError):
                return executable, executable(arrays, self.task.shared, key[1])
            executable = self._own_program(key, arrays)
        return executable, executable(arrays, self.task.shared)

    def _make_native(self, executable: Executable) -> None:
        """Let calls for this program be calls of its machine code: it passes on to the others what is not for it."""
        if self.checks or not self.form.is_native or len(self._takers) > len(self.declared):
            return
        with _compiling:
            if executable in self._native:
                return
            self._native.append(executable)
            added = [executable]
            if self._reuse.is_common(executable):  # programs for the very shapes of a call go first
                self._native.sort(key=self._reuse.is_common, reverse=True)
                self._answer_by(MethodType(Function.__call__, self))  # what was native goes, and its memory
                added = self._native
            for program in added:
                with contextlib.suppress(AllocationError):  # then Python runs it, as it did
                    found = program.native(self.form.kind, self._next)
                    if found is not None:
                        self._answer_by(found)

    def _answer_by(self, call: Callable[..., Any]) -> None:
        """Let ``call`` answer calls of this function: Python looks for __call__ in the class alone."""
        if type(self) is Function:
            self.__class__ = type("Function", (Function,), {"__module__": __name__})
        self._next = type(self).__call__ = call  # type: ignore[method-assign]

    def _bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[np.ndarray]:
        values = list(args) if not kwargs and len(args) == len(self.declared) else self._match(args, kwargs)
        arrays = [
            a
            if type(a) is np.ndarray and a.dtype is d and a.ndim == i.variable.ndim and a.flags.carray
            else convert_argument(a, i, self.name, self.downcast, tensors)
            for a, d, i, tensors in zip(values, self._dtypes, self.declared, self._tensors, strict=True)
        ]
        return arrays if len(self._takers) == len(arrays) else apart_arguments(arrays)

    def _match(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
        """Arguments in the order of the inputs, defaults filled in."""
        if len(args) > len(self.declared):
            count = len(self.declared)
            takes = f"{self.name}() takes {count} input{'s' * (count != 1)}, got {len(args)}"
            raise ArgumentError(f"{takes}\n{self._usage()}")
        bound: dict[int, Any] = dict(enumerate(args))
        for key, value in kwargs.items():
            if self._names[key] > 1:
                mend = f"give them by position, or each a name of its own: sg.In({key}, name=...)"
                raise ArgumentError(f"{_shared_name(f'{self.name}()', self._names[key], key)}\n{self._usage()}\n{mend}")
            if key not in self._positions:
                raise ArgumentError(f"{self.name}() has no input named {key!r}\n{self._usage()}")
            if self._positions[key] in bound:
                twice = f"{self.name}() got the input {key!r} twice: by position and by name"
                raise ArgumentError(f"{twice}\n{self._usage()}")
            bound[self._positions[key]] = value
        for k, i in enumerate(self.declared):
            if k not in bound and i.has_default:
                bound[k] = i.value
        missing = [i for k, i in enumerate(self.declared) if k not in bound]
        if missing:
            raise ArgumentError(f"{self.name}() misses the input {missing[0].label}\n{self._usage()}")
        return [bound[k] for k in range(len(self.declared))]

    def _usage(self) -> str:
        return f"call it as {self.name}({', '.join(f'{i.label}: {i.variable.type}' for i in self.declared)})"

    # ---------------------------------------------------------------------------------------- programs

    def _key(self, arrays: Sequence[np.ndarray]) -> Key:
        """The shapes of a call, and the extents that its integers decide."""
        shapes = (*[a.shape for a in arrays], *[self.task.shared[k].extents for k in self._open])
        return shapes, self._sizes(arrays, shapes) if self._prelude.sizes else ()

    def _program(self, key: Key, arrays: Sequence[np.ndarray]) -> Executable:
        found = self._found(key)
        if found is not None:
            return found
        with _compiling:
            return self._found(key) or self._made(key, arrays)

    def _own_program(self, key: Key, arrays: Sequence[np.ndarray]) -> Executable:
        """The program for the very shapes of a call that shares one with others."""
        with _compiling:
            found = self.programs.get(key)
            if found is None or self._reuse.is_common(found):
                found = self.programs[key] = self._compile(arrays, key[1])
            return found

    def _found(self, key: Key) -> Executable | None:
        """The program for a call, if there is one."""
        return self.programs.get(key) or self._reuse.find(_extents(key))

    def _made(self, key: Key, arrays: Sequence[np.ndarray]) -> Executable:
        """A new program for a call, which may take extents at run time."""
        made = self.programs[key] = self._reuse.make(_extents(key), partial(self._compile, arrays, key[1]))
        return made

    def _sizes(self, arrays: Sequence[np.ndarray], shapes: Any) -> tuple[int, ...]:
        """The extents that this call's integers decide."""
        given: dict[Variable, np.ndarray] = dict(zip(self.task.inputs, arrays, strict=True))
        if shapes not in self._preludes:
            types = {v: TensorType(v.dtype, a.shape) for v, a in given.items()}
            types.update((s, TensorType(s.dtype, s.extents)) for s in self.task.shared)
            self._preludes[shapes] = self._prelude.on(types, partial(rewrite, phases=STABILIZING))
        host_part = self._preludes[shapes]
        given.update((s, s.get_value()) for s in host_part.inputs if isinstance(s, SharedVariable) and s not in given)
        return host_part.values(given)

    def _compile(self, arrays: Sequence[np.ndarray], sizes: Sequence[int]) -> Executable:
        for a, i in zip(arrays, self._takers, strict=True):
            self._check_extents(a, i)
        signature = Signature(
            tuple(TensorType(a.dtype.name, a.shape) for a in arrays),
            tuple(TensorType(s.dtype, s.extents) for s in self.task.shared),
            tuple(zip(self._prelude.sizes, sizes, strict=True)),
        )
        return find_backend(self.backend).compile(self.task, signature)

    def _check_extents(self, a: np.ndarray, i: In) -> None:
        if not i.variable.type.accepts(TensorType(i.variable.dtype, a.shape)):
            raise ShapeError(
                f"{self.name}: the input {i.label} has shape {a.shape}, its type is {i.variable.type}\n"
                f"  {describe(i.variable)}\ngive an array of that shape, or declare the extent as None"
            )

    def compile(self, *args: Any, **kwargs: Any) -> Executable:
        """The program for arguments of these shapes, compiled if need be, without running it."""
        arrays = self._bind(args, kwargs)
        return self._program(self._key(arrays), arrays)

    def bind(self, *args: Any, **kwargs: Any) -> list[np.ndarray]:
        """The arrays that a call with these arguments runs on."""
        return self._bind(args, kwargs)

    def sizes(self, arrays: Sequence[np.ndarray]) -> tuple[int, ...]:
        """The extents that the values of such arrays decide."""
        return self._key(arrays)[1]

    def profile(self, *args: Any, runs: int = 200, **kwargs: Any) -> Profile:
        """Measure each kernel of the program for these arguments; shared variables keep their values.

        Parameters
        ----------
        *args, **kwargs
            As of a call.
        runs : int
            How often the program runs; a time is the median.

        Returns
        -------
        Profile
            Prints as a table of time, share, speed and the user's lines.
        """
        # by name: what shows graphs is loaded when it is first asked for
        found: Profile = importlib.import_module("symgraph.view.profile").profile(self, *args, runs=runs, **kwargs)
        return found

    @property
    def trace(self) -> list[Step]:
        """What the rewriter did to make the programs compiled so far, in order."""
        return [step for program in self.programs.values() for step in program.trace]

    def copy(self) -> Function:
        """The same function with programs and counters of its own; shared variables stay shared."""
        return Function(*self._parts())

    def __repr__(self) -> str:
        inside = ", ".join(i.label for i in self.declared)
        return f"<Function {self.name}({inside}), {len(self.programs)} compiled>"

    def __reduce__(self) -> tuple[object, ...]:
        return Function, self._parts()

    def _parts(self) -> tuple[Any, ...]:
        checks = self.checks and Checks(self.backend, self.checks.nan, self.checks.reference)
        return self.task, self.declared, self.form, self.backend, self.downcast, self.usage is not None, checks


def _extents(key: Key) -> Shapes:
    """The shapes of a call, and behind them the extents that its integers decide."""
    return *key[0], *[(n,) for n in key[1]]


# ------------------------------------------------------------------------------------------------ eval


def evaluate(v: Variable, inputs: Mapping[Variable | str, Any] | None = None, backend: str | None = None) -> np.ndarray:
    """The value of an expression: ``x.eval({a: 1.0})``; keys are variables or their names."""
    given = dict(inputs or {})
    free = [x for x in leaves([v]) if not isinstance(x, Constant)]
    by_name, names = {x.name: x for x in free if x.name}, Counter(x.name for x in free)
    for k in given:
        if isinstance(k, str) and names[k] > 1:
            raise ArgumentError(f"{_shared_name(f'eval: {label(v)}', names[k], k)}\nuse the variables as keys")
    unknown = [k for k in given if isinstance(k, str) and k not in by_name]
    if unknown:
        known = f"its inputs are {', '.join(map(label, free))}" if free else "it has no inputs"
        raise ArgumentError(f"eval: {label(v)} has no input named {unknown[0]!r}\n{known}")
    keys = [by_name[k] if isinstance(k, str) else k for k in given]
    others: dict[Variable, Variable] = {
        s: Variable(s.type, name=s.name) for s in keys if isinstance(s, SharedVariable)
    }
    declared = as_inputs([others.get(k, k) for k in keys])
    missing = [x for x in free if x not in set(keys) and not isinstance(x, SharedVariable)]
    if missing:
        values = ", ".join(f"{in_code(x, 'input')}: ..." for x in missing)
        raise ArgumentError(
            layout(f"eval: {label(v)} depends on {', '.join(map(label, missing))}, which got no value",
                   map(describe, missing), [], f"give one for each: eval({{{values}}})")
        )  # fmt: skip
    f = function(
        declared, v, givens=others, backend=backend, name="eval", on_unused_input="ignore", no_default_updates=True
    )
    result: np.ndarray = f(*given.values())
    return result


attach("eval", evaluate)

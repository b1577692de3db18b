"""Slow execution of kernels in Python: the oracle of the emitters, blocks, threads and barriers included.

A kernel becomes the text of one Python function (once: it is cached), whose terms are NumPy calls on scalars, or on
one array of lanes in a vector loop. What the loop IR leaves open is made to hurt: fresh storage holds NaN, an access
out of bounds raises, and parallel iterations run in any order that ``seed`` asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, lru_cache

import numpy as np

from codegen.kernel import (
    Accumulate,
    Alloc,
    Body,
    Call,
    If,
    Kernel,
    KernelError,
    Let,
    Loop,
    Statement,
    Store,
    Sync,
    block_of,
)
from codegen.unroll import inline_calls
from symgraph import expression
from symgraph.expression import INDEX, PRIMS, Expr
from symgraph.formula import Combiner, Terms
from symgraph.types import is_float

Order = Callable[[int], Iterable[int]]
Array = np.ndarray


def run(kernel: Kernel, arrays: Mapping[str, Array], seed: int | None = None) -> None:
    """Run ``kernel`` on ``arrays`` in place.

    Parameters
    ----------
    arrays : mapping
        An array for each buffer of the kernel, of its dtype and shape; one for an open buffer may be shorter.
    seed : int, optional
        Shuffles the iterations of parallel loops, and blocks and threads; in turn without it.

    Raises
    ------
    KernelError
        For an access out of bounds, a barrier that some threads do not reach, or an array that does not fit.
    """
    for b in kernel.buffers:
        a = arrays[b.name]
        fits = a.ndim == len(b.shape) and all(n <= most for n, most in zip(a.shape, b.shape, strict=True))
        if a.dtype != b.dtype or not (fits if b.open else a.shape == b.shape):
            raise KernelError(f"{kernel.name}: {b.name} is {b.dtype}{b.shape}, got {a.dtype}{a.shape}")
    with np.errstate(all="ignore"):
        _compiled(kernel)([arrays[b.name] for b in kernel.buffers], _order(seed))


def source(kernel: Kernel) -> str:
    """The Python text that ``run`` executes."""
    return _Writer(inline_calls(kernel)).text()


def _order(seed: int | None) -> Order:
    if seed is None:
        return range
    random = np.random.default_rng(seed)
    return lambda n: [int(i) for i in random.permutation(n)]


@lru_cache(maxsize=1024)
def _compiled(kernel: Kernel) -> Callable[[list[Array], Order], None]:
    writer = _Writer(inline_calls(kernel))
    names = {**_RUNTIME, **writer.objects}
    exec(compile(writer.text(), f"<kernel {kernel.name}>", "exec"), names)
    run: Callable[[list[Array], Order], None] = names["run"]  # type: ignore[assignment]
    return run


# ------------------------------------------------------------------------------------------------ the text

_OPERATORS = {"add": "+", "sub": "-", "mul": "*", "lt": "<", "le": "<=", "eq": "==", "ne": "!=", "within": "<"}


class _Writer:
    """Writes the function ``run(arrays, order)`` line by line; every distinct term of a statement is one line."""

    def __init__(self, kernel: Kernel) -> None:
        self.objects: dict[str, object] = {}
        self.lines: list[str] = []
        self.depth = 1
        self.names: dict[str, str] = {b.name: f"arrays[{n}]" for n, b in enumerate(kernel.buffers)}
        self.indices: set[str] = set()  # loop indices: Python integers, or lanes
        self.varying: set[str] = set()  # names that differ between lanes
        self.lanes = 0
        self.mask = "None"
        self.threads = 0
        self.count = 0
        for n, b in enumerate(kernel.buffers):
            self.names[b.name] = self.assign(f"arrays[{n}]")
        self.body(kernel.body)

    def text(self) -> str:
        return "\n".join(["def run(arrays, order):", *self.lines])

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def fresh(self) -> str:
        self.count += 1
        return f"t{self.count}"

    def assign(self, text: str) -> str:
        name = self.fresh()
        self.line(f"{name} = {text}")
        return name

    def object(self, value: object) -> str:
        name = f"c{len(self.objects)}"
        self.objects[name] = value
        return name

    # -------------------------------------------------------------------------------------------- statements

    def body(self, body: Body) -> None:
        self.line("pass")
        for s in body:
            self.statement(s)

    def block(self, head: str, body: Body) -> None:
        self.line(head)
        self.depth += 1
        self.body(body)
        self.depth -= 1

    def statement(self, s: Statement) -> None:
        match s:
            case Loop():
                self.loop(s)
            case Let(name, expr):
                text, varying = self.terms((expr,))[0]
                self.names[name] = text
                self.varying |= {name} if varying else set()
            case Alloc(buffer):
                self.names[buffer.name] = self.assign(f"poison({buffer.dtype!r}, {buffer.shape})")
            case Store(buffer, at, expr):
                *where, (value, _) = self.terms((*at, expr))
                self.store(self.names[buffer], _tuple(t for t, _ in where), value)
            case Accumulate():
                self.accumulate(s)
            case If(cond, body):
                self.guard(*self.terms((cond,))[0], body)
            case Sync():
                self.line(f"yield {self.count}")
            case Call():
                self.body(block_of(s))

    def loop(self, s: Loop) -> None:
        self.indices.add(s.index)
        if s.kind == "vector":
            self.vector(s)
        elif s.kind == "thread":
            self.thread(s)
        else:
            name = self.names[s.index] = self.fresh()
            order = "order" if s.kind in ("parallel", "block") else "range"
            self.block(f"for {name} in {order}({s.extent}):", s.body)

    def vector(self, s: Loop) -> None:
        self.names[s.index] = self.object(np.arange(s.extent))
        self.varying.add(s.index)
        self.lanes = s.extent
        self.body(s.body)
        self.lanes = 0

    def thread(self, s: Loop) -> None:
        """A generator function; its barriers yield to the loop that owns all threads of the block."""
        function, name = self.fresh(), self.fresh()
        self.names[s.index] = name
        self.threads += 1
        self.block(f"def {function}({name}):", (*s.body,))
        self.threads -= 1
        self.line("    if False: yield")
        group = f"lockstep([{function}(i) for i in order({s.extent})])"
        self.line(f"yield from {group}" if self.threads else f"for _ in {group}: pass")

    def guard(self, cond: str, varying: bool, body: Body) -> None:
        if not varying:
            self.block(f"if {cond}:", body)
            return
        outer = self.mask
        self.mask = self.assign(cond if outer == "None" else f"{outer} & {cond}")
        self.block(f"if {self.mask}.any():", body)
        self.mask = outer

    def store(self, array: str, at: str, value: str) -> None:
        if self.lanes:
            self.line(f"store_lanes({array}, {at}, {value}, {self.mask}, {self.lanes})")
        else:
            self.line(f"store({array}, {at}, {value})")

    def accumulate(self, s: Accumulate) -> None:
        arrays = [self.names[b] for b in s.buffers]
        if self.lanes:
            terms = [t for t, _ in self.terms((*s.at, *s.exprs))]
            at, values = _tuple(terms[: len(s.at)]), _tuple(terms[len(s.at) :])
            step = self.object(s.combiner)
            self.line(f"accumulate_lanes({_tuple(arrays)}, {at}, {step}, {values}, {self.mask}, {self.lanes})")
            return
        terms = [t for t, _ in self.terms((*s.at, *s.exprs))]
        at = _tuple(terms[: len(s.at)])
        old = _tuple(f"load({a}, {at})" for a in arrays)
        new = self.assign(f"step({self.object(s.combiner)}, {old}, {_tuple(terms[len(s.at) :])})")
        for n, a in enumerate(arrays):
            self.store(a, at, f"{new}[{n}]")

    # -------------------------------------------------------------------------------------------- terms

    def terms(self, exprs: Terms) -> list[tuple[str, bool]]:
        """(the name, whether it differs between lanes) of each term, after the lines that compute it."""
        memo: dict[Expr, tuple[str, bool]] = {}
        plain: set[Expr] = set()
        for e in expression.toposort(exprs):
            if self.is_index(e, plain):
                plain.add(e)
            args = [memo[a][0] for a in e.args]
            varying = any(memo[a][1] for a in e.args) or (e.prim == "axis" and str(e.value) in self.varying)
            text = self.term(e, args, varying, e in plain or all(a in plain for a in e.args))
            memo[e] = (self.assign(text) if e.args else text), varying
        return [memo[e] for e in exprs]

    def is_index(self, e: Expr, plain: set[Expr]) -> bool:
        """Whether Python's operators on integers do what NumPy's functions do."""
        if e.dtype != INDEX:
            return False
        if e.prim == "axis":
            return str(e.value) in self.indices
        return e.prim == "const" or (e.prim in ("add", "sub", "mul") and all(a in plain for a in e.args))

    def term(self, e: Expr, args: list[str], varying: bool, plain: bool) -> str:
        if e.prim == "const":
            return f"({e.value})" if e.dtype == INDEX else self.object(np.asarray(e.value, e.dtype)[()])
        if e.prim == "axis":
            return self.names[str(e.value)]
        if e.prim == "load":
            return self.load(self.names[str(e.value)], _tuple(args), varying)
        if plain and e.prim in _OPERATORS:
            return f"{args[0]} {_OPERATORS[e.prim]} {args[1]}"
        return f"{self.object(_function(e.prim, e.dtype))}({', '.join(args)})"

    def load(self, array: str, at: str, varying: bool) -> str:
        if varying:
            return f"load_lanes({array}, {at}, {self.mask}, {self.lanes})"
        return f"load({array}, {at})" if self.mask == "None" else f"load({array}, {at}) if {self.mask}.any() else 0"


def _tuple(parts: Iterable[str]) -> str:
    return "(" + "".join(f"{p}, " for p in parts) + ")"


@cache
def _function(prim: str, dtype: str) -> Callable[..., object]:
    """The meaning of a primitive, with the result in its dtype."""
    row = PRIMS[prim]
    if isinstance(row.numpy, np.ufunc):
        return row.numpy
    extra = (dtype,) if row.result == "value" else ()
    return lambda *xs: np.asarray(row.numpy(*xs, *extra)).astype(dtype, copy=False)[()]


# ------------------------------------------------------------------------------------------------ at run time


def _poison(dtype: str, shape: tuple[int, ...]) -> Array:
    return np.full(shape, np.nan if is_float(dtype) else dtype == "bool" or 85, dtype)


def _load(array: Array, at: tuple[int, ...]) -> object:
    for i, n in zip(at, array.shape, strict=True):
        if not 0 <= i < n:
            raise KernelError(f"load at {tuple(map(int, at))} outside of {array.shape}")
    return array[at]


def _store(array: Array, at: tuple[int, ...], value: object) -> None:
    for i, n in zip(at, array.shape, strict=True):
        if not 0 <= i < n:
            raise KernelError(f"store at {tuple(map(int, at))} outside of {array.shape}")
    array[at] = value


def _places(array: Array, at: tuple[Array, ...], mask: Array | None, lanes: int) -> tuple[Array, ...]:
    """The indices of the active lanes, each checked."""
    where = tuple(_lanes(i, lanes) if mask is None else _lanes(i, lanes)[mask] for i in at)
    try:
        if where and where[0].size:
            np.ravel_multi_index(where, array.shape)
    except ValueError:
        raise KernelError(f"lanes at {tuple(i.tolist() for i in where)} outside of {array.shape}") from None
    return where


def _lanes(x: object, lanes: int) -> Array:
    return x if isinstance(x, np.ndarray) and x.ndim else np.full(lanes, x)


def _load_lanes(array: Array, at: tuple[Array, ...], mask: Array | None, lanes: int) -> Array:
    where = _places(array, at, mask, lanes)
    if mask is None:
        return np.asarray(array[where])
    result = _poison(array.dtype.name, (lanes,))
    result[mask] = array[where]
    return result


def _store_lanes(array: Array, at: tuple[Array, ...], value: Array, mask: Array | None, lanes: int) -> None:
    where = _places(array, at, mask, lanes)
    if not at:
        active = _lanes(value, lanes)[slice(None) if mask is None else mask]
        array[()] = active[-1] if active.size else array[()]
    else:
        array[where] = value if mask is None or np.ndim(value) == 0 else value[mask]


def _accumulate_lanes(
    arrays: tuple[Array, ...], at: tuple[Array, ...], combiner: Combiner, values: tuple[Array, ...],
    mask: Array | None, lanes: int,
) -> None:  # fmt: skip
    """All lanes at once where their elements differ, else one after the other."""
    where = _places(arrays[0], at, mask, lanes)
    active = np.arange(lanes) if mask is None else np.flatnonzero(mask)
    terms = tuple(_lanes(v, lanes)[active] for v in values)
    if at and len(set(zip(*(i.tolist() for i in where), strict=True))) == len(active):
        for a, new in zip(arrays, _step(combiner, tuple(a[where] for a in arrays), terms), strict=True):
            a[where] = new
        return
    for n in range(len(active)):
        one = tuple(int(i[n]) for i in where)
        results = _step(combiner, tuple(a[one] for a in arrays), tuple(t[n] for t in terms))
        for a, x in zip(arrays, results, strict=True):
            a[one] = x


def _step(combiner: Combiner, old: tuple[Array, ...], terms: tuple[Array, ...]) -> tuple[Array, ...]:
    dtypes = [tuple(np.asarray(x).dtype for x in xs) for xs in (old, terms)]  # an index is a Python integer
    return _step_function(combiner, *dtypes)(old, terms)


@lru_cache(maxsize=512)
def _step_function(
    combiner: Combiner, old: tuple[np.dtype, ...], terms: tuple[np.dtype, ...]
) -> Callable[[tuple[Array, ...], tuple[Array, ...]], tuple[Array, ...]]:
    """``combiner.step`` as a Python function."""
    accumulators = tuple(expression.axis(f"a{n}", d.name) for n, d in enumerate(old))
    elements = tuple(expression.axis(f"x{n}", d.name) for n, d in enumerate(terms))
    results = combiner.step(accumulators, elements)
    writer = _Writer(Kernel("step", (), ()))
    writer.lines.clear()
    writer.line(f"({_tuple(map(str, accumulators))}, {_tuple(map(str, elements))}) = old, terms")
    writer.names = {str(e): str(e) for e in (*accumulators, *elements)}
    writer.line(f"return {_tuple(name for name, _ in writer.terms(results))}")
    names: dict[str, object] = dict(writer.objects)
    exec("\n".join(["def step(old, terms):", *writer.lines]), names)
    return names["step"]  # type: ignore[return-value]


def _lockstep(threads: list[Iterator[int]]) -> Iterator[int]:
    """Run ``threads`` from barrier to barrier; yields at each, for the threads around these."""
    end = -1
    while True:
        reached = {next(t, end) for t in threads}
        if len(reached) > 1:
            raise KernelError("a Sync is reached by some threads of the block only")
        if reached <= {end}:
            return
        yield from reached


_RUNTIME: dict[str, object] = {
    "poison": _poison, "load": _load, "store": _store, "load_lanes": _load_lanes, "store_lanes": _store_lanes,
    "accumulate_lanes": _accumulate_lanes, "step": _step, "lockstep": _lockstep,
}  # fmt: skip

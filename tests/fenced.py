"""Programs whose arrays lie against pages without access: who reads or writes outside of a buffer is stopped.

``python -m tests.fenced NAME ...`` runs the samples of these names, ``--part K N`` instead those that are number K when
N are dealt. Each is told before it runs, so the last line names the one that died.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np

import symgraph as sg
from codegen.cache import Cache
from codegen.llvm import pool
from codegen.llvm.backend import LlvmExecutable
from codegen.llvm.target import host
from symgraph.backend import Signature, Task
from symgraph.function import Function
from tests.cases import Arrays
from tests.fences import PLACES, fenced
from tests.laws import built, same_bits
from tests.test_laws import CASES


class Fenced(LlvmExecutable):
    """A program whose outputs, constants and arena lie at ``place``; what is not written yet there is garbage."""

    place = ""

    def __call__(self, inputs, shared):
        constants = [fenced(c, self.place) for c in self.image.constants]
        self._constants = (*constants, *[c.address for c in self._callbacks])
        return super().__call__([fenced(a, self.place) for a in inputs], shared)

    def _new_output(self, k, shape, dtype):
        return fenced(_garbage(shape, dtype), self.place)

    def _free_arena(self):
        if not self.place:
            return super()._free_arena()
        return fenced(_garbage((self.image.arena + self.image.scratch * pool.capacity(),), np.uint8), self.place)


def _garbage(shape: Sequence[int], dtype: object) -> np.ndarray:
    a = np.empty(shape, dtype)
    a.reshape(-1).view(np.uint8)[...] = 0xA5
    return a


class Backend:
    """Compiles to fenced programs."""

    takes_lengths = True

    def compile(self, task: Task, signature: Signature) -> Fenced:
        return Fenced(task, signature, host(), Cache("off"))


sg.register_backend("fenced", "tests.fenced:Backend")

# ------------------------------------------------------------------------------------------------ samples

Sample = Callable[[], tuple[Function, Arrays]]
DRAWS = np.random.default_rng(0)


def _call(formula: Callable[..., object], *shapes: Sequence[int], dtype: str = "float32") -> Sample:
    """A formula of arrays of these shapes."""

    def make() -> tuple[Function, Arrays]:
        inputs = [sg.tensor(f"x{k}", dtype, (None,) * len(s)) for k, s in enumerate(shapes)]
        arrays = [(3 * DRAWS.random(s)).astype(dtype) for s in shapes]
        return sg.function(inputs, formula(*inputs), backend="fenced"), arrays

    return make


def _train(cost: Callable[..., sg.Variable], weights: Sequence[int], *shapes: Sequence[int]) -> Sample:
    """A step of gradient descent."""

    def make() -> tuple[Function, Arrays]:
        w = sg.shared(DRAWS.random(weights, np.float32) / 8)
        inputs = [sg.tensor(f"x{k}", "float32", (None,) * len(s)) for k, s in enumerate(shapes)]
        c = cost(w, *inputs)
        arrays = [DRAWS.random(s, np.float32) for s in shapes]
        return sg.function(inputs, c, updates=[(w, w - 0.1 * sg.grad(c, w))], backend="fenced"), arrays

    return make


def _varying(sample: Sample) -> Sample:
    """A sample whose program takes the extents of first axes at run time: they were others before."""

    def make() -> tuple[Function, Arrays]:
        f, arrays = sample()
        f.compile(*[np.concatenate([a, a]) for a in arrays])
        before = len(f.programs)
        program = f.compile(*arrays)
        assert program.signature.lengths and len(f.programs) == before + 1
        return f, arrays

    return make


def _of_case(name: str) -> Sample:
    def make() -> tuple[Function, Arrays]:
        inputs, y, arrays = built(CASES[name][0], 0, "float32")
        return sg.function(inputs, y, on_unused_input="ignore", backend="fenced"), arrays

    return make


def _loss(w, x, y):
    return -(y * sg.log(sg.nn.softmax(x @ w))).sum(axis=1).mean()


def _convolved(w, x, **options):
    return (sg.nn.max_pool2d(sg.maximum(sg.nn.conv2d(x, w, **options), 0), (2, 2)) ** 2).sum()


IMAGES, FILTERS = (3, 5, 17, 19), (7, 5, 3, 3)
PRIMES: dict[str, Sample] = {
    **{f"map of {t}": _call(lambda x, y: sg.switch(x < y, x * y, x - y), (1009,), (1009,), dtype=t)
       for t in ("float16", "float32", "float64", "int8", "int32", "int64", "uint8")},
    "map by threads": _call(lambda x: sg.tanh(x) * sg.exp(-x), (1_000_003,)),
    "map of rows and columns": _call(lambda x, y, z: sg.sin(x + y) * z, (37, 101), (101,), (37, 1)),
    **{f"reductions over {a}": _call(lambda x, a=a: [x.sum(a), x.max(a), x.var(a), x.argmax(a)], (67, 131))
       for a in (None, 0, 1)},
    **{f"passes over {a} of {s}": _call(lambda x, a=a: [sg.nn.softmax(x, axis=a), sg.logsumexp(x, axis=a)], s)
       for a in (0, 1) for s in [(31, 103), (5, 3), (103, 7)]},
    **{f"dot of {m}, {k}, {n}": _call(lambda x, y: x @ y, (m, k), (k, n))
       for m, k, n in [(67, 53, 71), (131, 31, 10), (1, 1009, 3), (257, 263, 269)]},
    "dot of float64": _call(lambda x, y: x @ y, (67, 53), (53, 71), dtype="float64"),
    "dot of transposed": _call(lambda x, y: [x.T @ y, y.T @ x, x @ x.T], (67, 53), (67, 71)),
    "dot of vectors": _call(lambda x, y, z: [x @ y, z @ x, y @ y], (67, 53), (53,), (67,)),
    "batched dot": _call(lambda x, y: sg.batched_dot(x, y), (3, 17, 19), (3, 19, 23)),
    **{f"conv {o}": _train(lambda w, x, o=o: _convolved(w, x, **o), FILTERS, IMAGES)
       for o in [{}, {"border_mode": "full"}, {"border_mode": "half", "stride": (2, 2)}]},
    "cost": _train(_loss, (53, 7), (31, 53), (31, 7)),
    "running sums": _call(lambda x: [sg.cumsum(x, 0), sg.cumsum(x, 1)], (67, 131)),
    "pieces": _call(lambda x: [x[1::3] + 1, x[::-1, ::2] * 2, sg.concatenate([x, x[:5]]), x.T + 0], (67, 53)),
    "gather": _call(lambda x: [x[sg.constant([66, 0, 3])], x[:, sg.constant([52, 51, 0, 52, 1])]], (67, 53)),
    "scatter": _train(lambda w: (w[sg.constant([66, 0, 3, 3])] ** 2).sum(), (67, 53)),
    "dropout": _call(lambda x: x * sg.random.RandomStream(1).bernoulli(x.shape, p=0.5, dtype="float32"), (67, 53)),
}  # fmt: skip


LENGTHS = (
    "map of float32", "map of float16", "map of int8", "reductions over None", "reductions over 0", "reductions over 1",
    "passes over 1 of (31, 103)", "passes over 0 of (31, 103)", "passes over 1 of (103, 7)", "cost",
    "conv {}",
)  # fmt: skip


def samples() -> dict[str, Sample]:
    """Every op in the first of its cases, and what leaves tails; some with extents at run time too."""
    varying = {f"{name} of any length": _varying(PRIMES[name]) for name in LENGTHS}
    return {**PRIMES, **varying, **{name: _of_case(name) for name in CASES}}


# ------------------------------------------------------------------------------------------------ running


def check(make: Sample) -> Iterator[str]:
    """Run a sample at each place, which is told before; every bit is that of the first run."""
    f, arrays = make()
    program = f.compile(*arrays)
    inputs, before = f.bind(*arrays), [s.get_value() for s in f.task.shared]
    expected: list[np.ndarray] = []
    for place in PLACES:
        yield place
        program.place = place
        for s, value in zip(f.task.shared, before, strict=True):
            placed = fenced(value, place)
            s.set_value(placed, borrow=True)
            assert np.shares_memory(s.get_value(borrow=True), placed) or not placed.size
        found = [*program(inputs, f.task.shared), *[s.get_value() for s in f.task.shared]]
        expected = expected or found
        assert all(map(same_bits, found, expected)), f"{place}: other values"


def main(names: Sequence[str]) -> None:
    known = samples()
    if names[0] == "--part":
        k, n = map(int, names[1:])
        names = list(known)[k::n]
    for name in names:
        for place in check(known[name]):
            print(f"{name}, {place or 'anywhere'}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

"""What the machine code is like: vectors, no library calls, one entry a call, an arena that is not wasted."""

import re

import numpy as np
import pytest

import symgraph as sg
from codegen.llvm.target import symbol_table
from symgraph.kinds import Elementwise, Reduction
from symgraph.op import OPS
from tutorials import conv_net, logistic_regression, modern_net, net

VECTOR = re.compile(r"<\d+ x (float|double|half|i\d+)>")
# Nothing but the pool and what LLVM makes of copies and fills: a call of libm would stop every loop around it.
ALLOWED = {"sg_parallel", "memcpy", "memset", "memmove"}
BATCH = 32


@pytest.fixture(autouse=True)
def no_cache():
    with sg.using(cache="off"):
        yield


def compiled(inputs, outputs, **options):
    f = sg.function(inputs, outputs, backend="llvm", on_unused_input="ignore", **options)
    return f.compile(*[np.ones([n or BATCH for n in v.type.shape], v.dtype) for v in inputs])


def outside(executable):
    """The symbols that the machine code needs from elsewhere."""
    tables = [symbol_table(data) for data in executable.image.objects]
    return set().union(*[t.undefined for t in tables]) - set().union(*[t.defined for t in tables])


def elementwise_call(op):
    """(inputs, output) of an elementwise op on vectors of the first dtype it takes."""
    for dtype in ("float32", "int32", "bool"):
        inputs = [sg.tensor(f"x{k}", dtype, (100,)) for k in range(op.arity)]
        try:
            return inputs, op(*inputs)
        except sg.DTypeError:
            continue
    raise AssertionError(f"{op.name} takes no dtype")


PLAIN = [name for name, op in OPS.items() if type(op) is Elementwise]


@pytest.mark.parametrize("name", PLAIN)
def test_elementwise_kernels_are_vectors_and_call_no_library(name):
    inputs, y = elementwise_call(OPS[name])
    executable = compiled(inputs, y)
    assert VECTOR.search(executable.code("llvm")) or not executable.kernels
    assert outside(executable) <= ALLOWED


@pytest.mark.parametrize("axis", [0, 1, None])
@pytest.mark.parametrize("name", [n for n, op in OPS.items() if isinstance(op, Reduction)])
def test_reduction_kernels_are_vectors(name, axis):
    x = sg.tensor("x", "bool" if name in ("any", "all") else "float32", (64, 64))
    executable = compiled([x], OPS[name](x, axis=axis))
    assert VECTOR.search(executable.code("llvm"))
    assert outside(executable) <= ALLOWED


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "shapes",
    [((64, 50), (50, 40)), ((64, 50), (50,)), ((50,), (50, 40)), ((50,), (50,)), ((64, 50), (50, 10))],
)
def test_products_are_vectors(shapes, dtype):
    a, b = (sg.tensor(n, dtype, s) for n, s in zip("ab", shapes, strict=True))
    executable = compiled([a, b], sg.dot(a, b))
    assert VECTOR.search(executable.code("llvm"))
    assert outside(executable) <= ALLOWED


# ------------------------------------------------------------------------------------------------ training steps


def weights(*shape):
    return sg.shared((0.05 * np.random.default_rng(1).standard_normal(shape)).astype("float32"))


def step_of(model, shapes, inputs, x, updates, **options):
    params = [weights(*s) for s in shapes]
    p = model(x, *params, **options)
    cost = -(inputs[1] * sg.log(p)).sum(axis=1).mean()
    return sg.function(inputs, cost, updates=updates(cost, params), backend="llvm"), params


def step(name):
    inputs = sg.fmatrices("x y")
    x = inputs[0]
    random = sg.random.RandomStream(1)
    if name == "logistic_regression":
        return step_of(logistic_regression.model, [(784, 10)], inputs, x, lambda c, p: net.sgd(c, p, 0.05))
    if name == "net":
        return step_of(net.model, [(784, 625), (625, 10)], inputs, x, lambda c, p: net.sgd(c, p, 0.05))
    if name == "modern_net":
        shapes = [(784, 625), (625, 625), (625, 10)]
        return step_of(modern_net.model, shapes, inputs, x, modern_net.RMSprop, random=random)
    shapes = [(32, 1, 3, 3), (64, 32, 3, 3), (128, 64, 3, 3), (128 * 9, 625), (625, 10)]
    return step_of(conv_net.model, shapes, inputs, x.reshape((-1, 1, 28, 28)), modern_net.RMSprop, random=random)


@pytest.mark.parametrize("name", ["logistic_regression", "net", "modern_net", "conv_net"])
def test_a_training_step_is_one_call_of_plain_code_in_a_small_arena(name):
    f, params = step(name)
    random = np.random.default_rng(0)
    x = random.random((BATCH, 784), dtype="float32")
    y = np.eye(10, dtype="float32")[random.integers(0, 10, BATCH)]
    executable = f.compile(x, y)
    assert outside(executable) <= ALLOWED
    assert executable.buffers["arena"] <= 1.3 * executable.buffers["live"]
    calls = []
    entry = executable.entry
    executable.entry = lambda *given: calls.append(given) or entry(*given)  # Python's way to it
    before = [p.get_value() for p in params]
    costs = [f(x, y) for _ in range(3)]
    assert len(calls) == 1 and len(f.programs) == 1
    assert np.isfinite(costs).all() and all((p.get_value() != b).any() for p, b in zip(params, before, strict=True))

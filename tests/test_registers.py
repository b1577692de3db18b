"""What the benchmarks compute stays in registers: no inner loop keeps values on the stack."""

import pytest

import symgraph as sg
from benchmarks.peers import ours
from benchmarks.workloads import WORKLOADS
from codegen.llvm import target
from codegen.llvm.backend import machine
from codegen.llvm.emit import emit
from codegen.program import build
from codegen.tiles import Machine
from symgraph.backend import Signature, Task, prepare
from symgraph.prelude import prelude
from symgraph.types import TensorType
from tests.assembly import busiest_loop, multiply_adds, stack_accesses

pytestmark = pytest.mark.skipif(
    target.host().vector_bytes != 64 or not target.host().triple.startswith("x86_64"),
    reason="reads x86-64 assembly with 512-bit vectors",
)
LARGEST = {"n": 100_000, "batches": 1}  # of sizes that only make longer loops
BUILDERS = ours.builders("")


def kernels(name):
    """The scheduled kernels of a benchmark in the shapes that are measured."""
    workload = WORKLOADS[name]
    sizes = {k: min(n, LARGEST[k]) if k in LARGEST else n for k, n in workload.full.items()}
    step = BUILDERS[name](workload.problem(**sizes))
    task, arrays = step.call.task, step.call.bind(*step.arguments[0])
    types = tuple(TensorType(a.dtype.name, a.shape) for a in arrays)
    held = tuple(TensorType(s.dtype, s.extents) for s in task.shared)
    decided = tuple(zip(prelude(task.results).sizes, step.call.sizes(arrays), strict=True))
    return build(prepare(task, Signature(types, held, decided)), machine(target.host())).kernels


def busiest(kernel):
    """The instructions of the loop with the most multiply-adds."""
    return busiest_loop(target.emit_assembly(emit(kernel), target.host()))


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_loop_with_the_most_multiply_adds_stays_in_registers(name):
    found = {k.name: stack_accesses(busiest(k)) for k in kernels(name)}
    assert not {name: lines for name, lines in found.items() if lines}


def test_a_tile_of_more_accumulators_than_registers_would_be_found():
    a, b = sg.tensor("a", "float32", (120, 784)), sg.tensor("b", "float32", (784, 624))
    task = Task(inputs=(a, b), shared=(), outputs=(a @ b,), updates=())
    prepared = prepare(task, Signature(inputs=(a.type, b.type), shared=()))
    (kernel,) = build(prepared, Machine(vector_bytes=64, registers=64)).kernels
    loop = busiest(kernel)
    assert multiply_adds(loop) > 32 and stack_accesses(loop)

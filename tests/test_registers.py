"""What the benchmarks compute stays in registers: no inner loop keeps values on the stack."""

import pytest

import symgraph as sg
from benchmarks.peers import ours
from benchmarks.workloads import WORKLOADS
from codegen.llvm import target
from codegen.llvm.emit import emit
from codegen.program import build
from codegen.tiles import Machine
from symgraph.backend import Signature, Task, prepare
from tests.assembly import busiest_loop, multiply_adds, stack_accesses

pytestmark = pytest.mark.skipif(
    target.host().vector_bytes != 64 or not target.host().triple.startswith("x86_64"),
    reason="reads x86-64 assembly with 512-bit vectors",
)
LARGEST = {"n": 100_000, "batches": 1}  # of sizes that only make longer loops
BUILDERS = ours.builders("")


def compiled(name):
    """The program of a benchmark in the shapes that are measured."""
    workload = WORKLOADS[name]
    sizes = {k: min(n, LARGEST[k]) if k in LARGEST else n for k, n in workload.full.items()}
    step = BUILDERS[name](workload.problem(**sizes))
    with sg.using(cache="off", backend="llvm"):
        return step.call.compile(*step.arguments[0])


def on_the_stack(executable, kernels):
    """Of each kernel that does so, the instructions by which its busiest loop reads or writes the stack."""
    found = {k.name: stack_accesses(busiest_loop(executable.code("assembly", k.name))) for k in kernels}
    return {name: lines for name, lines in found.items() if lines}


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_loop_with_the_most_multiply_adds_stays_in_registers(name):
    executable = compiled(name)
    assert not on_the_stack(executable, executable.kernels)


def test_a_tile_of_more_accumulators_than_registers_would_be_found():
    a, b = sg.tensor("a", "float32", (120, 784)), sg.tensor("b", "float32", (784, 624))
    task = Task(inputs=(a, b), shared=(), outputs=(a @ b,), updates=())
    prepared = prepare(task, Signature(inputs=(a.type, b.type), shared=()))
    (kernel,) = build(prepared, Machine(vector_bytes=64, registers=64)).kernels
    loop = busiest_loop(target.emit_assembly(emit(kernel), target.host()))
    assert multiply_adds(loop) > 32 and stack_accesses(loop)

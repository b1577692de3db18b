"""Ways to run an expression: by the reference, as machine code, and by the kernel interpreter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from codegen.cache import Cache
from codegen.calls import HostCall
from codegen.interpret import run
from codegen.llvm.backend import LlvmExecutable, machine
from codegen.llvm.target import host
from codegen.memory import constant_data
from codegen.program import Check, Hosted, Launch, Move, Program, Schedule, build
from codegen.schedule import schedule
from codegen.tiles import Machine
from symgraph.backend import Signature, Task, prepare
from symgraph.graph import Variable, leaves
from symgraph.prelude import prelude
from symgraph.reference import evaluate
from symgraph.shared_variable import SharedVariable
from symgraph.types import TensorType
from symgraph.varying import as_varying
from tests.codegen.legal import legalize

Values = Mapping[Variable, np.ndarray]


def task_of(outputs: Sequence[Variable], values: Values) -> tuple[Task, Signature, list[np.ndarray]]:
    """A task without updates, its signature, and the arrays of its inputs."""
    shared = tuple(v for v in leaves(outputs) if isinstance(v, SharedVariable))
    arrays = [np.require(a, v.dtype, "CA") for v, a in values.items()]
    task = Task(tuple(values), shared, tuple(outputs), ())
    types = tuple(TensorType(a.dtype.name, a.shape) for a in arrays)
    held = tuple(TensorType(s.dtype, s.get_value(borrow=True).shape) for s in shared)
    host_part = prelude(outputs)
    known = {**dict(zip(values, arrays, strict=True)), **{s: s.get_value(borrow=True) for s in shared}}
    sizes = tuple(zip(host_part.sizes, host_part.values(known), strict=True))
    return task, Signature(types, held, sizes), arrays


def by_reference(outputs: Sequence[Variable], values: Values) -> list[np.ndarray]:
    """Op by op, without any rewriting."""
    return evaluate(outputs, values)


def native(outputs: Sequence[Variable], values: Values) -> list[np.ndarray]:
    """Rewritten, fused, scheduled, compiled."""
    task, signature, arrays = task_of(outputs, values)
    return LlvmExecutable(task, signature, host(), Cache("off"))(arrays, task.shared)


def both(outputs: Sequence[Variable], values: Values) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(what the interpreter makes of a program, what its machine code does)."""
    task, signature, arrays = task_of(outputs, values)
    executable = LlvmExecutable(task, signature, host(), Cache("off"))
    # the interpreter first: it raises where machine code would write outside its buffers
    slow = run_program(executable.program, arrays, [s.get_value() for s in task.shared])
    return slow, executable(arrays, task.shared)


def interpreted(
    outputs: Sequence[Variable], values: Values, machine_: Machine | None = None, schedule: Schedule = schedule
) -> list[np.ndarray]:
    """The same program, its kernels run by the interpreter."""
    task, signature, arrays = task_of(outputs, values)
    program = build(prepare(task, signature), machine_ or machine(host()), schedule)
    return run_program(program, arrays, [s.get_value() for s in task.shared])


def run_program(
    program: Program, inputs: Sequence[np.ndarray], shared: Sequence[np.ndarray], lengths: Sequence[int] = ()
) -> list[np.ndarray]:
    """Every step of a program on flat arrays; raises AssertionError where a precondition fails."""
    inputs = [*inputs, *map(np.int64, lengths)]
    shapes = [[lengths[v.number] if (v := as_varying(n)) else n for n in t.shape] for t in program.outputs]
    outputs = [np.zeros(s, t.dtype) for s, t in zip(shapes, program.outputs, strict=True)]  # type: ignore[arg-type]
    memory = {f"in{k}": _flat(a) for k, a in enumerate(inputs)}
    memory.update({f"sh{k}": _flat(a) for k, a in enumerate(shared)})
    memory.update({f"out{k}": _flat(a) for k, a in enumerate(outputs)})
    memory.update({f"c{k}": _flat(a) for k, a in enumerate(constant_data(program.constants))})
    arena = np.full(program.arena + 1, 0xA5, np.uint8)
    launches = [s for s in program.steps if isinstance(s, Launch)]
    own = {a: b for s in launches for a, b in zip(s.arguments, program.kernels[s.kernel].buffers, strict=True)}
    sizes = {**program.memory.buffers, **own}
    for name, offset in program.offsets.items():
        b = sizes[name]
        count = int(np.prod(b.shape))
        memory[name] = arena[offset : offset + count * np.dtype(b.dtype).itemsize].view(b.dtype)
    for step in program.steps:
        match step:
            case Launch(number, arguments):
                kernel = legalize(program.kernels[number])
                run(kernel, {b.name: memory[a] for b, a in zip(kernel.buffers, arguments, strict=True)})
            case Hosted(call, arguments):
                HostCall.of(program.calls[call]).run([memory[a] for a in arguments])
            case Move(target, source):
                memory.setdefault(target, np.empty_like(memory[source]))[...] = memory[source]
            case Check(_, storage):
                assert memory[storage].all(), "a precondition failed"
    return [memory[f"out{k}"][: a.size].reshape(a.shape) for k, a in enumerate(outputs)]


def _flat(a: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(a).ravel() if a.size else np.zeros(1, a.dtype)

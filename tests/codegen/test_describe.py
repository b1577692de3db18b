"""What an executable says of itself: parts, storages, times and text, the same questions to every backend."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import BackendError
from symgraph.graph import toposort


def network():
    """A step of training with a precondition, a reshape, inlined maps and updates."""
    x, y = sg.tensor("x", "float32", (6, 8)), sg.tensor("y", "int64", (6,))
    w = sg.shared(np.linspace(-1, 1, 32).reshape(8, 4).astype("float32"), name="w")
    b = sg.shared(np.zeros(4, "float32"), name="b")
    p = sg.nn.softmax(x.reshape((6, 8)) @ w + b)
    cost = sg.nn.categorical_crossentropy(p, y).mean()
    return [x, y], cost, [(v, v - 0.1 * sg.grad(cost, v)) for v in (w, b)]


ARGUMENTS = np.linspace(0, 1, 48).reshape(6, 8).astype("float32"), np.arange(6) % 4


@pytest.fixture(params=["llvm", "numpy"])
def compiled(request):
    inputs, cost, updates = network()
    f = sg.function(inputs, cost, updates=updates, backend=request.param)
    return f, f.compile(*ARGUMENTS)


def test_every_node_of_the_prepared_graph_is_computed_by_some_part(compiled):
    _, program = compiled
    nodes = set(toposort([*program.prepared.outputs, *program.prepared.updates]))
    assert nodes <= {node for part in program.parts for node in part.nodes}  # preconditions have nodes too


def test_a_part_reads_what_was_given_or_written_before(compiled):
    _, program = compiled
    known = {s.name for s in program.storages if s.kind in ("input", "shared", "constant")}
    for part in program.parts:
        assert known.issuperset(part.reads)
        known.update(part.writes)
    assert known.issuperset(s.name for s in program.storages)


def test_storages_that_live_together_do_not_overlap_and_the_most_alive_is_what_the_program_says(compiled):
    _, program = compiled
    arena = [s for s in program.storages if s.offset is not None]
    for a in arena:
        for b in arena:
            apart = a.offset + a.bytes <= b.offset or b.offset + b.bytes <= a.offset
            assert a is b or apart or a.last < b.first or b.last < a.first
    if "live" in program.buffers:
        alive = [sum(s.bytes for s in arena if s.first <= k <= s.last) for k in range(len(program.parts))]
        assert max(alive, default=0) <= program.buffers["live"] <= program.buffers["arena"]


def test_measuring_gives_a_time_for_each_part_and_run_and_leaves_shared_variables_alone(compiled):
    f, program = compiled
    before = [s.get_value() for s in f.task.shared]
    seconds = program.measure(ARGUMENTS, f.task.shared, 3)
    assert seconds.shape == (3, len(program.parts)) and (seconds >= 0).all() and seconds.sum() > 0
    assert all(np.array_equal(a, s.get_value()) for a, s in zip(before, f.task.shared, strict=True))


def test_measuring_a_call_that_a_precondition_forbids_raises_what_the_call_raises(compiled):
    f, program = compiled
    outside = ARGUMENTS[0], np.full(6, 7)
    with pytest.raises(IndexError) as called:
        f(*outside)
    with pytest.raises(IndexError) as measured:
        program.measure(outside, f.task.shared, 1)
    assert str(called.value) == str(measured.value)


def test_each_kernel_has_text_of_its_own_in_every_form(compiled):
    _, program = compiled
    for kind in program.kinds:
        texts = {p.name: program.code(kind, p.name) for p in program.parts if p.kind == "kernel"}
        assert all(texts.values()) and len(program.code(kind)) >= max(map(len, texts.values()))
        if kind != "graph":
            assert all(name in text for name, text in texts.items())


def test_a_form_or_a_kernel_that_is_not_there_is_refused_by_name():
    f = sg.function(*network()[:2])
    program = f.compile(*ARGUMENTS)
    with pytest.raises(BackendError, match="no 'brainfuck' code; it has graph, kernel"):
        program.code("brainfuck")
    with pytest.raises(BackendError, match="no kernel 'k99'; this program has k0"):
        program.code("kernel", "k99")


def test_the_stages_of_a_prepared_graph_are_the_task_s_results_in_its_order():
    inputs, cost, updates = network()
    f = sg.function(inputs, cost, updates=updates)
    stages = f.compile(*ARGUMENTS).prepared.stages
    assert list(stages) == ["written", "stabilize", "expand", "specialize"]
    for results in stages.values():
        assert [v.dtype for v in results] == [v.dtype for v in f.task.results]
        assert [v.ndim for v in results] == [v.ndim for v in f.task.results]

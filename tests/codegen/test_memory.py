"""The laws of the memory plan, held step by step: what a step reads is what it wants, and ends where it belongs."""

from dataclasses import replace

import numpy as np
import pytest

import symgraph as sg
from codegen.group import Group
from codegen.interpret import run
from codegen.kernel import writes
from codegen.lower import Placed, lower
from codegen.memory import ALIGNMENT, Copy, size_of
from codegen.program import Check, Launch, Move, build, preconditions_of
from codegen.tiles import Machine
from tests.codegen.graphs import drawn, fused, planned, prepared, task
from tests.codegen.samples import assert_same_bits

SEEDS = range(150)


class Contents:
    """Which value each storage holds; a write to a piece of the arena spoils what overlaps it."""

    def __init__(self, p, f, memory):
        self.memory, self.f = memory, f
        leaves = {f.names[v] for v in (*p.inputs, *p.shared)}
        self.held = {s: n for n, s in memory.storage.items() if n in leaves or s.startswith("c")}

    def place(self, name):
        return self.memory.storage[self.f.root(name)]

    def span(self, storage):
        start = self.memory.offsets[storage]
        return start, start + size_of(self.memory.buffers[storage])

    def overlapping(self, storage):
        if storage not in self.memory.offsets:
            return []
        start, end = self.span(storage)
        return [s for s in self.memory.offsets if s != storage and self.span(s)[0] < end and start < self.span(s)[1]]

    def read(self, name):
        root = self.f.root(name)
        assert self.held.get(self.place(name)) == root, f"{self.place(name)} holds {self.held.get(self.place(name))}"

    def write(self, storage, root):
        self.held[storage] = root
        for s in self.overlapping(storage):
            self.held.pop(s, None)


def walk(p, f, memory):
    """Run the plan on names of values; gives what every storage holds at the end."""
    contents = Contents(p, f, memory)
    preconditions = [f.names[ok] for _, _, ok in preconditions_of(p)]
    for k, step in enumerate(memory.steps):
        if k == memory.commit:
            for name in preconditions:
                contents.read(name)
        if isinstance(step, Copy):
            assert step.source in contents.held, f"{step} copies what is not there"
            written = {step.target: contents.held[step.source]}
        else:
            for name in step.reads:
                contents.read(name)
            check_apart(contents, step)
            written = {contents.place(n): n for n in step.stored}
        assert k >= memory.commit or not any(s.startswith("sh") for s in written), "a shared variable before the commit"
        for storage, root in written.items():
            contents.write(storage, root)
    return contents.held


def check_apart(contents, group):
    """The storages of a kernel do not overlap, and what it reads of one that it writes is what was there before."""
    assert isinstance(group, Group)
    touched = {contents.place(n) for n in (*group.stored, *group.reads)}
    assert not any(touched & set(contents.overlapping(s)) for s in touched)
    assert len({contents.place(n) for n in group.stored}) == len(group.stored)
    if {contents.place(n) for n in group.stored} & {contents.place(n) for n in group.reads}:
        check_in_place(contents, group)


def check_in_place(contents, group):
    """The kernel leaves what it would if each value had a storage of its own."""
    memory, f = contents.memory, contents.f
    roots = {f.root(n) for n in (*group.stored, *group.reads)}
    apart = {n: replace(memory.buffers[memory.storage[n]], name=n) for n in roots}
    alone = lower(group, "k", f, Placed({n: n for n in roots}, apart))
    together = lower(group, "k", f, Placed(memory.storage, memory.buffers))
    wanted = {b.name: filled(b) for b in alone.buffers}
    found = {memory.storage[f.root(n)]: wanted[f.root(n)].copy() for n in (*group.stored, *group.reads)}
    run(alone, wanted, 0)
    run(together, found, 0)
    for n in group.stored:
        assert_same_bits(found[memory.storage[n]], wanted[n])


def filled(b):
    """Numbers that are indices too."""
    return np.random.default_rng(len(b.name)).integers(0, 2 if b.dtype == "bool" else 9, b.shape).astype(b.dtype)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_step_reads_the_values_it_wants_and_results_end_where_they_belong(seed):
    p = prepared(drawn(seed))
    f = fused(p)
    memory = planned(p, f)
    held = walk(p, f, memory)
    for k, v in enumerate(p.outputs):
        assert held[f"out{k}"] == f.root(f.names[v])
    for target, v in zip(p.targets, p.updates, strict=True):
        assert held[f"sh{target}"] == f.root(f.names[v])
    for k in set(range(len(p.shared))) - set(p.targets):
        assert held[f"sh{k}"] == f.names[p.shared[k]]
    for k, v in enumerate(p.inputs):
        assert held[f"in{k}"] == f.names[v]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_arena_holds_what_is_alive_and_no_more_than_all(seed):
    p = prepared(drawn(seed))
    memory = planned(p, fused(p))
    sizes = {s: -(-size_of(memory.buffers[s]) // ALIGNMENT) * ALIGNMENT for s in memory.offsets}
    assert memory.live <= memory.arena <= sum(sizes.values())
    assert all(at % ALIGNMENT == 0 and at + sizes[s] <= memory.arena for s, at in memory.offsets.items())


@pytest.mark.parametrize("seed", range(30))
def test_preconditions_stand_before_the_first_write_of_a_shared_variable(seed):
    p = prepared(drawn(seed))
    program = build(p, Machine(32, 16))
    written = [k for k, s in enumerate(program.steps) if writes_shared(program, s)]
    checks = [k for k, s in enumerate(program.steps) if isinstance(s, Check)]
    assert len(checks) == len(preconditions_of(p))
    assert max(checks, default=-1) < min(written, default=len(program.steps))


def writes_shared(program, step):
    match step:
        case Launch(kernel, arguments):
            k = program.kernels[kernel]
            return any(a.startswith("sh") and b.name in writes(k) for a, b in zip(arguments, k.buffers, strict=True))
        case Move(target):
            return target.startswith("sh")
    return False


# ------------------------------------------------------------------------------------------------ updates in place


def shared(name, n=8):
    return sg.shared(np.arange(float(n)), name=name)


def steps_of(outputs, updates):
    p = prepared(task([], outputs, updates))
    f = fused(p)
    memory = planned(p, f)
    walk(p, f, memory)
    return memory


def test_an_update_that_reads_its_variable_in_place_needs_no_arena():
    s = shared("s")
    memory = steps_of([], [(s, s * 0.9 + 1)])
    assert len(memory.steps) == 1 and memory.arena == 0 and memory.commit == 0


def test_readers_of_the_old_value_run_before_it_is_overwritten():
    s, t = shared("s"), shared("t")
    memory = steps_of([s[::-1].cumsum()], [(s, s + 1), (t, t + s.sum())])
    assert memory.arena <= ALIGNMENT and not [c for c in memory.steps if isinstance(c, Copy)]


def test_a_value_read_out_of_place_is_not_overwritten_while_it_is_read():
    s = shared("s")
    for new in (s[::-1], sg.roll(s, 1), sg.cumsum(s), s - s.mean(), sg.dot(sg.outer(s, s), s)):
        steps_of([], [(s, new)])


def test_two_values_of_one_kernel_do_not_overwrite_what_the_other_reads():
    s, t = shared("s"), shared("t")
    y = sg.tanh(s + t)
    steps_of([], [(s, y * t), (t, y * s)])


def test_what_is_checked_is_known_before_the_variable_it_depends_on_is_written():
    s, x = shared("s"), sg.constant(np.arange(20.0))
    new = s + 1
    memory = steps_of([x[new.astype("int64")].sum()], [(s, new)])
    assert memory.commit == len(memory.steps) - 1


def test_two_variables_that_swap_go_through_the_arena():
    s, t = shared("s"), shared("t")
    memory = steps_of([], [(s, t), (t, s)])
    assert len(memory.steps) == 3 and memory.arena == ALIGNMENT


def test_a_ring_of_updates_needs_one_value_set_aside():
    ring = [shared(f"s{k}") for k in range(5)]
    memory = steps_of([], list(zip(ring, [*ring[1:], ring[0]], strict=True)))
    assert len(memory.steps) == 6


def test_values_that_are_never_alive_together_share_their_place():
    s = shared("s", 1000)
    y = s
    for _ in range(10):
        y = sg.tanh(y[::-1].cumsum())
    memory = steps_of([y.sum()], [])
    assert memory.arena <= 2 * 8064


def test_a_row_is_not_written_over_before_its_last_pass_has_read_it():
    w, x = sg.shared(np.arange(9.0)), sg.tensor("x", "float64", (9,))
    e = sg.tanh(x)
    p = prepared(task([x], [w * e.sum()], [(w, w * e)]))
    f = fused(p)
    memory = planned(p, f)
    walk(p, f, memory)
    assert len(f.groups) == 1 and memory.storage[f.names[p.updates[0]]] != "sh0"


def test_a_row_is_divided_by_its_sum_in_place():
    w = sg.shared(np.arange(63.0).reshape(9, 7))
    p = prepared(task([], [], [(w, w / w.sum(axis=1, keepdims=True))]))
    f = fused(p)
    memory = planned(p, f)
    walk(p, f, memory)
    assert len(memory.steps) == 1 and memory.storage[f.names[p.updates[0]]] == "sh0"

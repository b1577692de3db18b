"""The kernels of a memory plan's steps, as lowered; neighbours that walk the same rows are joined."""

from __future__ import annotations

from collections import Counter

from codegen.group import Fused, Group, Joint
from codegen.joint import join
from codegen.kernel import Kernel
from codegen.lower import Placed, lower
from codegen.memory import Memory, Step, allocate, touched


def join_steps(memory: Memory, fused: Fused, near: int) -> list[Kernel | None]:
    """The kernel of each step before scheduling, None where there is none; neighbouring steps are joined.

    Parameters
    ----------
    memory : Memory
        Its steps become what is left of them, with memory allocated anew.
    fused : Fused
    near : int
        Bytes of a row that stay in a cache; with 0 nothing is joined.
    """
    joiner = _Joiner(memory, fused, near)
    commit = None
    for k, step in enumerate(memory.steps):
        if k == memory.commit:
            commit = len(joiner.made)
        joiner.add(step, alone=len(joiner.made) == commit)
    if len(joiner.made) < len(memory.steps):
        memory.steps = [step for step, _ in joiner.made]
        memory.commit = len(joiner.made) if commit is None else commit
        allocate(memory, fused)
    return [kernel for _, kernel in joiner.made]


class _Joiner:
    """The steps so far, each with its kernel."""

    def __init__(self, memory: Memory, fused: Fused, near: int) -> None:
        self.memory, self.fused, self.near = memory, fused, near
        self.placed = Placed(memory.storage, memory.buffers)
        self.uses = Counter(s for step in memory.steps for s in set(touched(step, memory, fused)))
        self.made: list[tuple[Step, Kernel | None]] = []

    def add(self, step: Step, alone: bool) -> None:
        """A step more; ``alone`` keeps it apart from the one before."""
        kernel = lower(step, "k", self.fused, self.placed) if isinstance(step, Group) else None
        together = None if alone or not self.made else self.together(step, kernel)
        if together:
            self.made[-1] = together
        else:
            self.made.append((step, kernel))

    def together(self, step: Step, kernel: Kernel | None) -> tuple[Step, Kernel] | None:
        """The last step and ``step`` as one."""
        last, before = self.made[-1]
        if kernel is None or before is None or not isinstance(last, Group | Joint) or not isinstance(step, Group):
            return None
        groups = (*(last.groups if isinstance(last, Joint) else (last,)), step)
        own = {s for s, n in self.inside(groups).items() if n == self.uses[s]}
        together = join(before, kernel, own, self.near, f"_{len(groups)}")
        if together is None:
            return None
        left = {b.name for b in together.buffers}
        return Joint(groups, frozenset(n for g in groups for n in g.stored if self.storage(n) not in left)), together

    def inside(self, groups: tuple[Group, ...]) -> Counter[str]:
        """How many of ``groups`` touch each piece of the arena, those left out that checks read."""
        found = Counter(s for g in groups for s in set(touched(g, self.memory, self.fused)))
        return Counter({s: n for s, n in found.items() if s.startswith("m") and s not in self.memory.checked})

    def storage(self, name: str) -> str:
        return self.memory.storage[self.fused.root(name)]

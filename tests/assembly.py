"""Reading x86-64 assembly: the loops of its functions, as LLVM writes it in the syntax of AT&T."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

_FUNCTION = re.compile(r"^(?=\"?[A-Za-z_][^\s:]*:)", re.M)
_LABEL = re.compile(r"^(\.L\w+):")
_JUMP = re.compile(r"^\tj(\w+)\t(\.L\w+)")
_MULTIPLY_ADD = re.compile(r"^\tvfn?m(add|sub)")
_STACK = re.compile(r"%[re]?sp\b")

Block = Sequence[str]


def busiest_loop(text: str) -> Block:
    """Of the innermost loops, what every turn of that with the most multiply-adds does; nothing where none has any."""
    return max(filter(multiply_adds, innermost_loops(text)), key=multiply_adds, default=())


def multiply_adds(lines: Block) -> int:
    """How many of the instructions are fused multiply-adds."""
    return sum(bool(_MULTIPLY_ADD.match(line)) for line in lines)


def stack_accesses(lines: Block) -> list[str]:
    """The instructions that name the stack pointer."""
    return [line for line in lines if _STACK.search(line)]


def innermost_loops(text: str) -> Iterator[Block]:
    """The instructions that each turn of a loop without inner loops does: what is behind a branch is left out."""
    for function in _FUNCTION.split(text):
        blocks, follows = _blocks(function.split("\n"))
        over = _dominators(follows)
        ends: dict[int, list[int]] = {}
        for source, targets in enumerate(follows):
            for head in targets:
                if head in over[source]:
                    ends.setdefault(head, []).append(source)
        bodies = {head: _body(head, sources, follows) for head, sources in ends.items()}
        for head, sources in ends.items():
            if not any(other in bodies[head] for other in ends if other != head):
                always = bodies[head].intersection(*[over[s] for s in sources])
                yield [line for k in sorted(always) for line in blocks[k]]


def _blocks(lines: Sequence[str]) -> tuple[list[list[str]], list[list[int]]]:
    """The basic blocks of a function, and which may follow each."""
    blocks: list[list[str]] = [[]]
    labels: dict[str, int] = {}
    for line in lines:
        if label := _LABEL.match(line):
            blocks.append([])
            labels[label[1]] = len(blocks) - 1
        else:
            blocks[-1].append(line)
            if _JUMP.match(line):
                blocks.append([])
    return blocks, [_successors(k, block, labels, len(blocks)) for k, block in enumerate(blocks)]


def _successors(k: int, block: Block, labels: Mapping[str, int], count: int) -> list[int]:
    last = next((line for line in reversed(block) if line.startswith("\t") and not line.startswith("\t.")), "")
    jump = _JUMP.match(last)
    target = [labels[jump[2]]] if jump and jump[2] in labels else []
    ends = last.startswith("\tret") or (jump is not None and jump[1] == "mp")
    return target if ends or k + 1 == count else [*target, k + 1]


def _dominators(follows: Sequence[Sequence[int]]) -> list[set[int]]:
    """For each block, those that are on every way to it."""
    before = [[s for s, targets in enumerate(follows) if k in targets] for k in range(len(follows))]
    over = [{0}, *[set(range(len(follows))) for _ in follows[1:]]]
    changed = True
    while changed:
        found = [{k} | (_common([over[s] for s in sources]) if k else set()) for k, sources in enumerate(before)]
        changed, over = found != over, found
    return over


def _common(sets: Sequence[set[int]]) -> set[int]:
    return set.intersection(*sets) if sets else set()


def _body(head: int, sources: Sequence[int], follows: Sequence[Sequence[int]]) -> set[int]:
    """The blocks of a natural loop: those that lead to its end without its head."""
    body, stack = {head}, list(sources)
    while stack:
        k = stack.pop()
        if k not in body:
            body.add(k)
            stack += [s for s, targets in enumerate(follows) if k in targets]
    return body

"""The identity of a compilation: the user's graph before rewriting, shapes, settings, rules, processor and our source.

Keying on the graph means that a hit skips rewriting, scheduling and emission altogether.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from codegen.cache import Cache, source_digest
from codegen.llvm.target import COMPILER, Target
from symgraph import config, expression
from symgraph.backend import Signature, Task
from symgraph.batch import Batched
from symgraph.expression import Expr
from symgraph.graph import Apply, Constant, flatten, toposort
from symgraph.host import Host
from symgraph.kinds import Composite, Elementwise, Reduction, Structured
from symgraph.op import Op
from symgraph.rewrite import RULES, Rule

OWN = ("symgraph.", "codegen.")


def task_key(task: Task, signature: Signature, target: Target) -> str | None:
    """The key of a program, or None if something in it cannot be told by its text (an op of the user's own code)."""
    nodes = toposort(task.results)
    if not all(_is_readable(_inner(node.op)) for node in nodes) or not all(map(_is_own, RULES.values())):
        return None
    return Cache.key(*_parts(task, signature, target, nodes))


def _parts(task: Task, signature: Signature, target: Target, nodes: list[Apply]) -> Iterator[bytes | str]:
    yield from (source_digest(), COMPILER, repr(target), config.floatX(), repr(config.settings().fast_math))
    sizes = [v for v, _ in signature.sizes]
    base, rows, outputs = flatten([*task.results, *sizes])
    position = {v: k for k, v in enumerate((*task.inputs, *task.shared))}
    for v in base:
        yield repr((v.type, position.get(v)))
        if isinstance(v, Constant):
            yield v.data.tobytes()
    for op, inputs, attrs in rows:
        yield repr((op.name, inputs, sorted(attrs.items())))
    yield repr((outputs, len(task.outputs), [task.shared.index(s) for s, _ in task.updates]))
    yield repr((signature.inputs, signature.shared, [n for _, n in signature.sizes]))
    for node in nodes:
        op = _inner(node.op)
        if isinstance(op, Elementwise) and not _is_ours(op):
            yield from _text(op.expr(tuple(v.dtype for v in node.inputs)))
    for r in RULES.values():
        yield repr((r.name, r.phase, r.left, r.right))


def _text(root: Expr) -> Iterator[str]:
    """A body, a line a term."""
    order = expression.toposort([root])
    number = {e: k for k, e in enumerate(order)}
    for e in order:
        yield repr((e.prim, [number[a] for a in e.args], e.dtype, e.value))


def _is_readable(op: Op) -> bool:
    return isinstance(op, Elementwise) or _is_ours(op)


def _is_ours(op: Op) -> bool:
    """Whether the op's meaning is part of our source."""
    return all(str(part.__module__).startswith(OWN) for part in (type(op), *_meaning(op)))


def _meaning(op: Op) -> Sequence[Callable[..., object]]:
    """The functions that say what an op computes."""
    match op:
        case Structured():
            return [op.formula]
        case Host():
            return [op.numpy]
        case Elementwise() | Composite():
            return [op.body]
        case Reduction():
            return [f for f in (op.combiner.identity, op.combiner.merge, op.combiner.step, op.terms) if f is not None]
    return []


def _inner(op: Op) -> Op:
    """The op that is done for each row of a batch."""
    while isinstance(op, Batched):
        op = op.inner
    return op


def _is_own(r: Rule) -> bool:
    """Whether a rule is told by its text: a pair, or a rewriter of ours."""
    return r.rewrite is None or str(r.rewrite.__module__).startswith(OWN)

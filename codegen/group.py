"""Groups of stages: what fusion makes of a graph, and what everything behind it works on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from codegen.affine import loads_in
from symgraph import expression
from symgraph.expression import Expr
from symgraph.formula import Axis, Compute
from symgraph.graph import Apply, Variable
from symgraph.lazy import lazy
from symgraph.varying import as_varying, capacity

POLYNOMIAL = 20  # terms that a transcendental function is worth
MEMORY_PRIMS = ("load", "axis", "const", "cast")
COSTLY = {
    "exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "pow", "sin", "cos", "tan", "arcsin", "arccos", "arctan",
    "arctan2", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "erf", "erfc", "gamma", "gammaln", "digamma",
    "floordiv", "mod", "cbrt",
}  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """One Compute and the names of the values it gives."""

    outputs: tuple[str, ...]
    compute: Compute


@dataclass(frozen=True)
class Group:
    """Stages under common axes, the rows; each reads those before it at its own row only.

    A stage is a reduction whose results are the rows, a map over the rows (its values stay in registers), or a map over
    the rows and further axes, whose elements stay near. ``stored`` names the values that something outside the group
    reads. A common axis has the same name in all stages.
    """

    stages: tuple[Stage, ...]
    stored: tuple[str, ...]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Every value that the stages give."""
        return tuple(name for s in self.stages for name in s.outputs)

    @lazy
    def rows(self) -> tuple[Axis, ...]:
        """The axes that all stages have."""
        return common_axes(self.stages)

    def further(self, stage: Stage) -> tuple[Axis, ...]:
        """The axes that a stage walks in each row."""
        c, rows = stage.compute, dict(self.rows)
        return (*[(a, n) for a, n in c.axes if a not in rows and n != 1], *c.reduce)

    @lazy
    def reads(self) -> tuple[str, ...]:
        """The buffers read, in order of first use."""
        inside = set(self.outputs)
        exprs = [e for s in self.stages for e in (*s.compute.exprs, *(s.compute.at or ()), *s.compute.within)]
        into = [f"{s.compute.into}" for s in self.stages if s.compute.into is not None]
        names = dict.fromkeys([*into, *[str(e.value) for e in loads_in(exprs)]])
        return tuple(n for n in names if n not in inside)


@dataclass(frozen=True)
class Call:
    """A node that has no formula: the host computes it, all outputs at once, from operands in memory."""

    node: Apply
    stored: tuple[str, ...]
    reads: tuple[str, ...]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Every value that the call gives: all are stored."""
        return self.stored


@dataclass(frozen=True)
class Joint:
    """Groups that one kernel does row by row; nothing outside sees the values of ``inside``."""

    groups: tuple[Group, ...]
    inside: frozenset[str]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Every value that the groups give."""
        return tuple(n for g in self.groups for n in g.outputs)

    @property
    def stored(self) -> tuple[str, ...]:
        """The values that something outside reads."""
        return tuple(n for g in self.groups for n in g.stored if n not in self.inside)

    @property
    def reads(self) -> tuple[str, ...]:
        """The buffers read, in order of first use, storage of the thread left out."""
        return tuple(dict.fromkeys(n for g in self.groups for n in g.reads if n not in self.inside))


def common_axes(stages: Sequence[Stage]) -> tuple[Axis, ...]:
    """The axes that all stages have, in the order of the first reduction."""
    first = next((s for s in stages if s.compute.combiner), stages[0])
    return tuple(a for a in first.compute.axes if all(a in s.compute.axes for s in stages))


@dataclass
class Fused:
    """The graph in groups.

    Attributes
    ----------
    groups : list of Group or Call
        In an order in which they can run.
    values : dict
        Name -> variable, for everything in memory.
    names : dict
        Variable -> name.
    views : dict
        Name of a view -> name of the value whose memory it is.
    layouts : dict
        Name of a value that is not row-major -> its axes in the order of memory, outermost first.
    """

    groups: list[Group | Call] = field(default_factory=list)
    values: dict[str, Variable] = field(default_factory=dict)
    names: dict[Variable, str] = field(default_factory=dict)
    views: dict[str, str] = field(default_factory=dict)
    layouts: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def root(self, name: str) -> str:
        """The value whose memory ``name`` is."""
        while name in self.views:
            name = self.views[name]
        return name


def static_shape(v: Variable) -> tuple[int, ...]:
    """The extents of a value of a fixed graph; of those that vary the capacity."""
    return tuple(capacity(n or 0) for n in v.type.shape)


def target_axes(v: Variable) -> tuple[Axis, ...]:
    """Those along which a scatter copies what it starts from."""
    return tuple((f"to{k}", n or 0) for k, n in enumerate(v.type.shape))


def varies(v: Variable) -> bool:
    """Whether an extent of a value is known at run time alone."""
    return any(as_varying(n) for n in v.type.shape)


def cost(terms: Sequence[Expr]) -> int:
    """Arithmetic of one element that is made of ``terms``; a transcendental function counts ten."""
    made = [e for e in terms if e.prim not in MEMORY_PRIMS and e.dtype != expression.INDEX]
    return sum([10 if e.prim in COSTLY else 1 for e in made])


def size(terms: Sequence[Expr]) -> int:
    """What compiling costs, in terms."""
    return sum([POLYNOMIAL if e.prim in COSTLY else 1 for e in terms])


def same_position(at: Sequence[Expr], own: Sequence[Expr], shape: Sequence[int]) -> bool:
    """Whether an index is the position itself; along an axis of extent 1 every index is."""
    return len(at) == len(own) and all(a is b or n == 1 for a, b, n in zip(at, own, shape, strict=True))


def overwriting_order(storage: Mapping[str, str], reads: Mapping[str, set[str]]) -> list[str] | None:
    """An order of stores in which each value is written after all others that read what it overwrites.

    Parameters
    ----------
    storage : mapping
        Name of a value -> the storage it is written to.
    reads : mapping
        Name of a value -> the storages that its expression reads.

    Returns
    -------
    list of str, or None
        None if two values overwrite what the other reads.
    """
    left, done = list(storage), []
    while left:
        free = next((n for n in left if not any(storage[n] in reads[m] for m in left if m != n)), None)
        if free is None:
            return None
        done.append(free)
        left.remove(free)
    return done

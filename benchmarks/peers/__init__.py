"""The libraries compared, each at its idiomatic best.

A module here has ``builders(variant)``: for the name of a workload, a function that builds it from a ``Problem``. What
a library cannot do, or not without writing it by hand, has no builder. Each module is imported in a process of its own,
and imports nothing of symgraph's; only ``ours`` does.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.workloads import Array, Problem


@dataclass(frozen=True)
class Step:
    """A workload, ready to be called.

    Attributes
    ----------
    call : callable
        Gives an array or several, finished when it returns. Called directly: nothing of ours stands between.
    arguments : sequence of tuples
        Those of each call, taken in turn, in the form that the library likes best.
    parameters : callable
        The parameters as they are now, in the shapes of the problem.
    """

    call: Callable[..., Any]
    arguments: Sequence[tuple[Any, ...]]
    parameters: Callable[[], list[Array]] = list


Build = Callable[[Problem], Step]


@dataclass(frozen=True)
class Peer:
    """A way to compute.

    Attributes
    ----------
    library : str
        The distribution that must be installed, which is also the name that ``--peers`` knows.
    module : str
        Of this package.
    variant : str
        What ``builders`` is given.
    needs : tuple of str
        Other distributions it uses.
    """

    library: str
    module: str
    variant: str = ""
    needs: tuple[str, ...] = ()

    def builders(self) -> Mapping[str, Build]:
        """The workloads it can do; imports the library."""
        found: Mapping[str, Build] = importlib.import_module(f"benchmarks.peers.{self.module}").builders(self.variant)
        return found


OURS = "symgraph"
REFERENCE = Peer("numpy", "reference", needs=("scipy",))
PEERS = {
    OURS: Peer("symgraph", "ours", needs=("numpy", "llvmlite")),
    "torch-eager": Peer("torch", "torch", "eager"),
    "torch-compile": Peer("torch", "torch", "default"),
    "jax": Peer("jax", "jax", needs=("jaxlib",)),
    "pytensor-c": Peer("pytensor", "pytensor", "c"),
    "pytensor-numba": Peer("pytensor", "pytensor", "numba", needs=("numba",)),
    "numba": Peer("numba", "numba", needs=("llvmlite",)),
    "numpy": Peer("numpy", "numpy", needs=("scipy",)),
}

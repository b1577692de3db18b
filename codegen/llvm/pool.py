"""The threads of the process: one pool, entered from native code (``parallel`` has its IR).

Loaded code calls ::

    declare void @sg_parallel(ptr %task, ptr %context, i64 %extent)
    task:    void (ptr %context, i64 %begin, i64 %end, i64 %worker)

which runs ``task`` on pieces that cover [0, extent) exactly once and returns when all are done. The caller is worker 0.
``worker`` is below ``capacity()``, which never changes once the pool runs, and no two pieces of one call run at once
under the same number: per-worker scratch holds ``capacity()`` slices and needs no lock. The pool takes one call at a
time. Whoever finds it busy, a nested call included, runs its whole range itself as worker 0, so a task that calls
``sg_parallel`` must hand it scratch that is not shared with other workers of the outer call.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from codegen.llvm.parallel import MOST_CAPACITY, pool_text
from codegen.llvm.runtime import runtime_object
from codegen.llvm.target import Library, define_symbol, host, llvm_lock, load
from symgraph import config

# Waking a sleeper takes about 20 us: one that spins for this long costs at most about as much as it can save.
SPIN_SECONDS = 30e-6

# What set_threads may always go up to: a slice of scratch that no worker touches costs no memory.
LEAST_CAPACITY = 8

# Functions of a pool, and how many numbers each takes.
_CONTROLS = {
    "sg_pool_reset": 0,
    "sg_pool_set_threads": 1,
    "sg_pool_threads": 0,
    "sg_pool_set_spins": 1,
    "sg_pool_spin": 1,
}


@dataclass(frozen=True)
class Pool:
    """A loaded pool.

    Attributes
    ----------
    library : Library
        Its code. Workers never end, so neither may this.
    capacity : int
        The bound of worker numbers.
    controls : mapping of str to function
        Its functions; the value of those without one means nothing.
    """

    library: Library
    capacity: int
    controls: Mapping[str, Callable[..., int]]


def _control(library: Library, name: str) -> Callable[..., int]:
    # with the GIL held: each takes less than giving it up and asking for it back
    kind = ctypes.PYFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * _CONTROLS[name])
    return kind(library.address(name))


def load_pool(parallel: bool) -> Pool:
    """A pool of its own, with one thread, that no loaded code knows yet."""
    library = load([runtime_object(pool_text(host(), parallel))])
    wanted = max(LEAST_CAPACITY, os.cpu_count() or 1, config.threads())
    controls = {name: _control(library, name) for name in _CONTROLS}
    controls["sg_pool_reset"]()
    controls["sg_pool_set_spins"](_spins(controls["sg_pool_spin"]))
    return Pool(library, min(wanted, MOST_CAPACITY) if parallel else 1, controls)


def _spins(spin: Callable[..., int]) -> int:
    """How many turns of waiting make ``SPIN_SECONDS``; the least of three, since another process may come between."""
    turns, least = 1000, float("inf")
    for _ in range(3):
        before = time.perf_counter()
        spin(turns)
        least = min(least, time.perf_counter() - before)
    return max(1, round(SPIN_SECONDS * turns / least))


_pool: list[Pool] = []


def _the_pool() -> Pool:
    """The pool of the process, made at the first use."""
    # no lock once there is one: a call must not wait for a compilation elsewhere
    if not _pool:
        with llvm_lock:
            if not _pool:
                _pool.append(_installed(load_pool(parallel=os.name == "posix")))
    return _pool[0]


def _installed(pool: Pool) -> Pool:
    """``pool``, with as many threads as configured, as what loaded code means by ``sg_parallel``."""
    pool.controls["sg_pool_set_threads"](min(config.threads(), pool.capacity))
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=pool.controls["sg_pool_reset"])
    define_symbol("sg_parallel", pool.library.address("sg_parallel"))
    return pool


def start() -> None:
    """Make ``sg_parallel`` known to code loaded from now on. Threads are created by the first call that needs them."""
    _the_pool()


def threads() -> int:
    """How many threads share a parallel loop, the caller included."""
    return _the_pool().controls["sg_pool_threads"]()


def capacity() -> int:
    """What every worker number is below, now and after any ``set_threads``."""
    return _the_pool().capacity


def set_threads(count: int) -> None:
    """Let ``count`` threads share each parallel loop that begins from now on.

    Raises
    ------
    ValueError
        If ``count`` is not in [1, ``capacity()``].
    """
    pool = _the_pool()
    if not 1 <= count <= pool.capacity:
        raise ValueError(
            f"set_threads({count}): this process can have 1 to {pool.capacity} threads\n"
            f"set SYMGRAPH_THREADS before the first function is compiled to have more"
        )
    pool.controls["sg_pool_set_threads"](count)

"""Work beside other work: LLVM compiles on one thread what Python writes on another."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context

SECONDS = 2e-4
HALF = 5e-7  # the interpreter cuts to whole microseconds


class _Turns:
    """How long a thread may keep the interpreter that another one waits for, shortened while anybody needs it so."""

    def __init__(self) -> None:
        self._lock, self._users, self._usual, self._short = threading.Lock(), 0, 0.0, 0.0

    def __enter__(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._usual = sys.getswitchinterval()
                sys.setswitchinterval(min(SECONDS, self._usual) + HALF)
                self._short = sys.getswitchinterval()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._restore()

    def _restore(self) -> None:
        if sys.getswitchinterval() == self._short:  # else somebody has set another meanwhile
            sys.setswitchinterval(self._usual + HALF)

    def forget(self) -> None:
        """In the child of a fork: the threads that needed it are not there."""
        self._lock = threading.Lock()
        if self._users:
            self._users = 0
            self._restore()


turns = _Turns()
"""Each return from LLVM waits for the interpreter, some twenty times a module and by default 5 ms each time."""


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=turns.forget)


@contextmanager
def beside(work: Callable[[], object]) -> Iterator[None]:
    """Do ``work`` on a thread of its own meanwhile, under the same configuration; at the end it is done, or raises."""
    with turns, ThreadPoolExecutor(1) as other:
        done = other.submit(copy_context().run, work)
        yield
        done.result()

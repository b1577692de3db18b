"""Work beside other work: LLVM compiles on one thread what Python writes on another."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future  # no pool of threads: none can be made, or even imported, at exit
from contextlib import contextmanager, suppress
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")

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


class Beside:
    """Work on another thread, one after the other, in a ``with`` block at whose end all of it is done."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve)
        self._serves = False

    def __enter__(self) -> Beside:
        turns.__enter__()
        with suppress(RuntimeError):  # there can be no more threads, as while the interpreter ends
            self._thread.start()
            self._serves = True
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.put(None)
        try:
            if self._serves:
                self._thread.join()
        finally:
            turns.__exit__()

    def _serve(self) -> None:
        for work in iter(self._waiting.get, None):
            work()

    def begin(self, work: Callable[..., T], *given: object) -> Future[T]:
        """``work(*given)`` meanwhile; at once if there is no other thread."""
        done: Future[T] = Future()
        doing = partial(_do, done, work, *given)
        if self._serves:
            self._waiting.put(doing)
        else:
            doing()
        return done


def _do(done: Future[T], work: Callable[..., T], *given: object) -> None:
    try:
        done.set_result(work(*given))
    except BaseException as error:
        done.set_exception(error)


@contextmanager
def beside(work: Callable[[], object]) -> Iterator[None]:
    """Do ``work`` on a thread of its own meanwhile, under the same configuration; at the end it is done, or raises."""
    with Beside() as other:
        done = other.begin(copy_context().run, work)
        yield
        done.result()

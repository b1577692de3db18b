"""Settings: argument > ``with config.using(...)`` > SYMGRAPH_* environment > file > default."""

from __future__ import annotations

import contextlib
import contextvars
import os
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

FLOATS = ("float16", "float32", "float64")
EXTENTS = ("run-time", "fixed")
SWITCHES = ("fast_math", "check_nan", "check_reference")
SWITCH = {"true": True, "1": True, "false": False, "0": False}


def _cpus() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@dataclass(frozen=True)
class Settings:
    """What can be set.

    Attributes
    ----------
    floatX : str
        Default dtype of constructors and of quotients of integers.
    backend : str
        Name in ``symgraph.backend.BACKENDS``.
    threads : int
        Threads of a call; 0 means one for each processor this process may use.
    cache : str
        Folder of compiled programs; "" means the user's cache folder, "off" none.
    device : str
        Which GPU the "cuda" backend uses, by number; "simulate" is its test device, which needs none.
    extents : str
        "run-time": leading extents that were seen to vary are taken at each call, by one program for all; "fixed": one
        program for each set of shapes.
    fast_math : bool
        Whether a program compiled now may take ``x * 0`` and ``x - x`` for 0 and ``x / x`` for 1, which hides NaNs and
        infinities.
    check_nan : bool
        Whether calls of functions made now raise a NumericalError where a result or a new value holds NaN. It names the
        op that made it, the user's line and the operands; the updates are undone.
    check_reference : bool
        Whether calls of functions made now compute every op alone as well, and raise a NumericalError where it does not
        give what NumPy gives. Slow: for finding mistakes of the compiler, or of an op of one's own.
    """

    floatX: str = "float64"
    backend: str = "llvm"
    threads: int = 0
    cache: str = ""
    device: str = "0"
    extents: str = "run-time"
    fast_math: bool = False
    check_nan: bool = False
    check_reference: bool = False

    def __post_init__(self) -> None:
        if self.floatX not in FLOATS:
            raise ValueError(f"floatX is {self.floatX!r}; it must be one of {', '.join(FLOATS)}")
        if self.extents not in EXTENTS:
            raise ValueError(f"extents is {self.extents!r}; it must be one of {', '.join(EXTENTS)}")
        for name in SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be True or False")
        if not isinstance(self.threads, int) or self.threads < 0:
            raise ValueError(f"threads is {self.threads!r}; it must be 0 (all processors) or more")


def _changed(now: Settings, changes: Mapping[str, str | int]) -> Settings:
    known = [f.name for f in fields(Settings)]
    unknown = [name for name in changes if name not in known]
    if unknown:
        raise TypeError(f"there is no setting {unknown[0]!r}; the settings are {', '.join(known)}")
    return replace(now, **changes)  # type: ignore[arg-type]


def _parse(name: str, text: str, source: str) -> str | int:
    if name in SWITCHES and text.lower() in SWITCH:
        return SWITCH[text.lower()]
    if name != "threads":
        return text
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{source}: threads is {text!r}; it must be an integer") from None


def _file() -> Path:
    return Path(os.environ.get("SYMGRAPH_CONFIG", Path.home() / ".config" / "symgraph.toml"))


def _from_file() -> dict[str, str | int]:
    path = _file()
    try:
        table = tomllib.loads(path.read_text())
    except (OSError, RuntimeError):
        return {}
    known = {f.name for f in fields(Settings)}
    unknown = sorted(set(table) - known)
    if unknown:
        raise ValueError(f"{path}: unknown setting {unknown[0]!r}; known are {', '.join(sorted(known))}")
    return {name: _parse(name, str(value), str(path)) for name, value in table.items()}


def _from_environment() -> dict[str, str | int]:
    names = {f.name: f"SYMGRAPH_{f.name.upper()}" for f in fields(Settings)}
    return {n: _parse(n, os.environ[v], v) for n, v in names.items() if os.environ.get(v)}


_current: contextvars.ContextVar[Settings | None] = contextvars.ContextVar("symgraph_settings", default=None)
_defaults: list[Settings] = []


def settings() -> Settings:
    """The settings in force here."""
    here = _current.get()
    if here is not None:
        return here
    if not _defaults:
        _defaults.append(replace(Settings(), **{**_from_file(), **_from_environment()}))  # type: ignore[arg-type]
    return _defaults[0]


def sources() -> dict[str, tuple[str | int, str]]:
    """Each setting in force here and where it comes from: the code, the environment, a file, the default."""
    from_file, from_environment, now = _from_file(), _from_environment(), settings()
    found: dict[str, tuple[str | int, str]] = {}
    for f in fields(Settings):
        variable = f"SYMGRAPH_{f.name.upper()}"
        places = ((from_environment, variable), (from_file, str(_file())), ({f.name: f.default}, "default"))
        given, where = next((table[f.name], where) for table, where in places if f.name in table)
        value = getattr(now, f.name)
        found[f.name] = (value, where if given == value else "configure() or using()")
    return found


def configure(**changes: str | int) -> None:
    """Change the settings of the whole process, e.g. ``configure(floatX="float32")``."""
    _defaults[:] = [_changed(settings(), changes)]


@contextlib.contextmanager
def using(**changes: str | int) -> Iterator[Settings]:
    """Settings for the body of a ``with`` statement, in this thread or task only."""
    token = _current.set(_changed(settings(), changes))
    try:
        yield settings()
    finally:
        _current.reset(token)


class FloatX:
    """The default float dtype: called it is the name, and NumPy takes it for a dtype."""

    def __call__(self) -> str:
        return settings().floatX

    @property
    def dtype(self) -> np.dtype:
        """The dtype itself."""
        return np.dtype(settings().floatX)

    def __repr__(self) -> str:
        return settings().floatX


floatX = FloatX()
"""The default float dtype."""


def threads() -> int:
    """How many threads a call may use."""
    return settings().threads or _cpus()


class _Assignable(ModuleType):
    """This module: ``config.floatX = "float32"``, as in Theano, is ``configure(floatX="float32")``."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in (f.name for f in fields(Settings)) and not callable(value):
            configure(**{name: value})
        elif name in self.__dict__ or name.startswith("_"):
            super().__setattr__(name, value)
        else:
            known = ", ".join(f.name for f in fields(Settings))
            raise AttributeError(f"there is no setting {name!r}; the settings are {known}")


sys.modules[__name__].__class__ = _Assignable


def cache_folder() -> Path:
    """The user's folder for files that can be had again."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "symgraph"

"""Targets: ``FILE.py:NAME``, ``package.module:NAME`` or a saved graph, and what stands behind the name.

Only the module that is named runs. A function of no arguments is called. What it gives, and what anything else holds as
a key or an attribute, is named after a dot: ``tutorials.net:build.train``, ``model.py:network.layer.cost``.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from symgraph.command.errors import UsageError
from symgraph.errors import DataError
from symgraph.function import Function
from symgraph.graph import Constant, Variable
from symgraph.shared_variable import SharedVariable
from symgraph.view.collect import Graph
from symgraph.view.document import Document
from symgraph.view.plain import read

OURS = (*(str(Path(__file__).parents[2] / package / "_")[:-1] for package in ("symgraph", "codegen")),
        "<frozen importlib", str(importlib.__file__))  # fmt: skip
"""Files whose frames are no part of a user's traceback: errors of ours say in words where and what."""

WANTED = "name an expression, a list of them, or a function of symgraph.function"


@dataclass(frozen=True)
class Target:
    """What a command is about, and how it was named."""

    text: str
    graph: Graph

    @property
    def is_saved(self) -> bool:
        """Whether it is a document and no living graph."""
        return isinstance(self.graph, Document)


def find(text: str) -> Target:
    """The target of that name.

    Raises
    ------
    UsageError
        If there is none; says where it was looked for and what there is.
    """
    if text.endswith(".json"):
        return Target(text, _saved(text))
    place, colon, name = text.rpartition(":")
    if not colon or not place or not name:
        raise UsageError(f"{text!r} names no graph\nwrite FILE.py:NAME, package.module:NAME or SAVED.json")
    found: object = _run_file(Path(place)) if place.endswith(".py") else _run_module(place)
    reached = place
    for part in name.split("."):
        found = _held(_opened(found, text), part, reached)
        reached += f"{':' if reached == place else '.'}{part}"
    return Target(text, _chosen(_called(found, text), text))


def _saved(text: str) -> Document:
    try:
        return read(text)
    except OSError as error:
        raise UsageError(f"{text}: {error.strerror or error}") from None
    except DataError as error:
        raise UsageError(str(error)) from None


# ------------------------------------------------------------------------------------------------ modules


def _run_file(path: Path) -> ModuleType:
    if not path.is_file():
        beside = ", ".join(sorted(p.name for p in path.parent.glob("*.py"))[:10]) if path.parent.is_dir() else ""
        raise UsageError(f"there is no file {path.resolve()}" + (f"\nthe folder has {beside}" if beside else ""))
    name = path.stem if path.stem not in sys.modules else f"_symgraph_target_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None, path
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with _on_path(path.resolve().parent), _user_errors():
        spec.loader.exec_module(module)
    return module


def _run_module(name: str) -> ModuleType:
    with _on_path(Path.cwd()), _user_errors():
        if _spec(name) is None:
            looked = "\n".join(f"  {p or Path.cwd()}" for p in sys.path)
            raise UsageError(f"there is no module {name!r}; looked in\n{looked}")
        return importlib.import_module(name)


def _spec(name: str) -> object:
    """How a module would be loaded, or None; a package on the way that is not there is no error."""
    try:
        return importlib.util.find_spec(name)
    except (ModuleNotFoundError, ValueError):
        return None


@contextlib.contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    """A folder in front of ``sys.path`` for the body alone."""
    before = list(sys.path)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path[:] = before


@contextlib.contextmanager
def _user_errors() -> Iterator[None]:
    """What the user's code raises is told with the user's frames alone."""
    try:
        yield
    except UsageError:
        raise
    except SystemExit as error:
        raise UsageError(f"the module ended the program: SystemExit({error.code!r})") from None
    except Exception as error:
        told = traceback.TracebackException.from_exception(error)
        frames = [f for f in told.stack if not f.filename.startswith(OURS)]
        told.stack = traceback.StackSummary.from_list(frames)
        raise UsageError("".join(told.format(chain=False)).rstrip()) from None


# ------------------------------------------------------------------------------------------------ values


def _called(value: object, text: str) -> object:
    if isinstance(value, Function | Variable) or not callable(value):
        return value
    try:
        inspect.signature(value).bind()
    except ValueError:
        raise UsageError(f"{text} is {_kind(value)}, and what it takes cannot be told\n{WANTED}") from None
    except TypeError as error:
        raise UsageError(f"{text} is a function that takes arguments: {error}\nname one that takes none") from None
    with _user_errors():
        return value()


def _opened(value: object, text: str) -> object:
    """What holds the rest of a path: an object of a class, the class itself where it takes arguments."""
    try:
        return _called(value, text)
    except UsageError:
        if isinstance(value, type):
            return value
        raise


def _held(value: object, name: str, reached: str) -> object:
    """What a value has by a name: a graph in a collection, a key, or an attribute."""
    many = _named(value)
    if name in many:
        return many[name]
    if isinstance(value, Mapping) and name in value:
        return value[name]
    if isinstance(value, Variable | Function | Mapping | list) or not hasattr(value, name):
        raise UsageError(f"{reached} has no {name!r}\n{_offers(value)}")
    return getattr(value, name)


def _chosen(value: object, text: str) -> Graph:
    """The graph that a value is or holds."""
    if isinstance(value, Variable | Function):
        return value
    many = _named(value)
    functions = [v for v in many.values() if isinstance(v, Function)]
    if len(functions) == 1:
        return functions[0]
    if functions:
        raise UsageError(f"{text} gives several functions\nwrite one of {', '.join(f'{text}.{n}' for n in many)}")
    if many and isinstance(value, Mapping | Iterable):
        return list(many.values()) if not isinstance(value, Mapping) else dict(many)
    raise UsageError(f"{text} is {_kind(value)}\n{WANTED}" + (f"\n{_offers(value)}" if _graphs_in(value) else ""))


def _named(value: object) -> dict[str, Any]:
    """The graphs in a list, tuple or dict, by their names."""
    if isinstance(value, Mapping):
        return {str(k): v for k, v in value.items() if isinstance(v, Variable | Function)}
    if not isinstance(value, list | tuple):
        return {}
    return {_name(v) or str(k): v for k, v in enumerate(value) if isinstance(v, Variable | Function)}


def _name(v: Variable | Function) -> str | None:
    return v.name


def _kind(value: object) -> str:
    name = "module" if isinstance(value, ModuleType) else type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _offers(value: object) -> str:
    """The names in a value that are graphs, or functions of a module that may give one."""
    builders = [k for k, v in _public(value).items() if callable(v) and _is_of(v, value)]
    lines = [f"graphs in it: {', '.join(_graphs_in(value)) or 'none'}"]
    if builders:
        lines.append(f"functions that may build one: {', '.join(builders)}")
    return "\n".join(lines)


def _graphs_in(value: object) -> list[str]:
    own = [k for k, v in _public(value).items() if isinstance(v, Function) or _is_expression(v)]
    return list(_named(value)) or own


def _public(value: object) -> dict[str, object]:
    """What a module or an object has in it, without what is private or of our own."""
    kind = value if isinstance(value, type) else type(value)
    scopes = () if isinstance(value, Variable | Function) else (*reversed(kind.__mro__), value)
    inside = {k: v for scope in scopes for k, v in getattr(scope, "__dict__", {}).items()}
    return {k: v for k, v in inside.items() if not k.startswith("_")}


def _is_of(found: object, module: object) -> bool:
    return isinstance(module, ModuleType) and getattr(found, "__module__", None) == module.__name__


def _is_expression(value: object) -> bool:
    return isinstance(value, Variable) and not isinstance(value, Constant | SharedVariable)

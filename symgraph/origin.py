"""Where in the user's source a node was made, and how an error shows it."""

from __future__ import annotations

import ast
import contextlib
import contextvars
import linecache
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, TypeVar

T = TypeVar("T")

_OURS = tuple(str(Path(__file__).parents[1] / package) + os.sep for package in ("symgraph", "codegen"))


@dataclass(frozen=True)
class Origin:
    """A place in the user's source; columns are worked out only when asked for."""

    code: CodeType
    instruction: int
    line: int

    @property
    def file(self) -> str:
        """Path of the source file."""
        return self.code.co_filename

    @property
    def position(self) -> tuple[int, int, int | None]:
        """line, first column, end column in bytes; None if the expression goes on below, 0, 0 if nobody knows."""
        spans = list(self.code.co_positions())
        line, end, first, last = spans[self.instruction // 2]
        if line is None or first is None or last is None:
            return self.line, 0, 0
        return line, first, last if end == line else None

    def excerpt(self) -> list[str]:
        """The user's line, and below it a caret under the expression."""
        line, first, last = self.position
        text = linecache.getline(self.file, line).rstrip("\n")
        if not text.strip():
            return [str(self)]
        head = f"{self}:   "
        data = text.encode()
        before, marked = data[:first].decode(), data[first:last].decode()
        indent = len(text) - len(text.lstrip())
        shown = [head + text.strip()]
        if marked:
            shown.append(" " * (len(head) + len(before) - indent) + underline(marked))
        return shown

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.position[0]}"

    def __deepcopy__(self, memo: object) -> Origin:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return remembered, (self.file, self.position[0], self.code.co_qualname, tuple(self.excerpt()))


@dataclass(frozen=True)
class Remembered(Origin):
    """A place whose line is as it was when the graph was saved."""

    shown: tuple[str, ...]

    @property
    def position(self) -> tuple[int, int, int | None]:
        """The line; nobody knows the columns any more."""
        return self.line, 0, 0

    def excerpt(self) -> list[str]:
        """The line as it was."""
        return list(self.shown)


def remembered(file: str, line: int, function: str, shown: tuple[str, ...]) -> Remembered:
    """The place in a function of a file that was saved."""
    code = compile("", file, "exec").replace(co_qualname=function or "<module>")
    return Remembered(code, 0, line, shown)


def underline(expression: str) -> str:
    """Tildes with a caret under the operator, or carets under what is no operation, as Python's own messages have."""
    try:
        tree = ast.parse(expression, mode="eval").body
    except SyntaxError:
        return "^" * len(expression)
    if not isinstance(tree, ast.BinOp | ast.Compare):
        return "^" * len(expression)
    left = tree.left.end_col_offset or 0
    data = expression.encode()
    at = next((k for k in range(left, len(data)) if data[k : k + 1] not in b" )"), left)
    column = len(data[:at].decode())
    return "~" * column + "^" + "~" * (len(expression) - column - 1)


_origin: contextvars.ContextVar[Origin | None] = contextvars.ContextVar("symgraph_origin", default=None)


def here() -> Origin | None:
    """Where the user's code is: the innermost frame outside these packages, or the origin in force."""
    given = _origin.get()
    if given is not None:
        return given
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_OURS):
        frame = frame.f_back
    return None if frame is None else Origin(frame.f_code, max(frame.f_lasti, 0), frame.f_lineno)


def raised_at(error: BaseException) -> Origin | None:
    """The user's line that an error came from: the innermost one outside these packages."""
    found, step = None, error.__traceback__
    while step is not None:
        if not step.tb_frame.f_code.co_filename.startswith(_OURS):
            found = Origin(step.tb_frame.f_code, step.tb_lasti, step.tb_lineno)
        step = step.tb_next
    return found


@contextlib.contextmanager
def made_at(origin: Origin | None) -> Iterator[None]:
    """Nodes made in the body get this origin: that of what they replace or differentiate."""
    token = _origin.set(origin or _origin.get())
    try:
        yield
    finally:
        _origin.reset(token)


def made_again(origin: Origin | None, make: Callable[..., T], given: tuple[Any, ...]) -> T:
    """``make(*given)`` where it was made before: what a pickle calls."""
    with made_at(origin):
        return make(*given)


def here_excerpt() -> list[str]:
    """The user's current line with a caret."""
    origin = here()
    return origin.excerpt() if origin else []

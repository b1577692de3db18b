"""What commands print: text for people, plainer where it is no terminal, or JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any


def is_rich() -> bool:
    """Whether to colour: on a terminal that NO_COLOR does not forbid it."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def say(text: str = "") -> None:
    """A line, or several."""
    sys.stdout.write(text + "\n")


def head(text: str) -> None:
    """A heading."""
    say(f"\033[1m{text}\033[0m" if is_rich() else text)


def as_json(data: Any) -> None:
    """The same as JSON."""
    say(json.dumps(data, indent=1, default=str))


def table(rows: Sequence[Sequence[str]]) -> None:
    """Heads and rows, in columns."""
    if is_rich() and _with_rich(rows):
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _with_rich(rows: Sequence[Sequence[str]]) -> bool:
    """Whether rich is installed and has printed the table."""
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return False
    made = Table(box=None, pad_edge=False)
    for name in rows[0]:
        made.add_column(Text(name))
    for row in rows[1:]:
        made.add_row(*map(Text, row))
    Console().print(made)
    return True

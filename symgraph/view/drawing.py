"""``draw``: a graph to a file or a string, in the form that the suffix names."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from symgraph.errors import ArgumentError
from symgraph.view.collect import Graph, document
from symgraph.view.document import Document
from symgraph.view.page import page
from symgraph.view.picture import png, svg
from symgraph.view.plain import to_plain
from symgraph.view.text import dot, listing, mermaid

Where = str | os.PathLike[str]
Writer = Callable[[Document, str | None], str | bytes]

WRITERS: dict[str, Writer] = {
    "html": lambda doc, phase: page(doc),
    "svg": svg,
    "png": png,
    "dot": dot,
    "json": lambda doc, phase: json.dumps(to_plain(doc), indent=1) + "\n",
    "txt": listing,
    "mmd": mermaid,
}
"""The forms by suffix. The page and JSON hold every phase."""


@dataclass(frozen=True)
class Drawn:
    """A drawing: shows itself in a notebook.

    Attributes
    ----------
    document : Document
    phase : str or None
    path : Path or None
        Where it was written.
    """

    document: Document
    phase: str | None = None
    path: Path | None = None

    def to(self, form: str) -> str | bytes:
        """The text of the drawing in one of ``WRITERS``; bytes of a picture of dots.

        Raises
        ------
        ArgumentError
            If there is no such form or phase.
        """
        if form not in WRITERS:
            found = f"there is no form {form!r}" if form else "the suffix of the file must name a form"
            raise ArgumentError(f"draw: {found}\nknown are {', '.join(WRITERS)}")
        self.document.state(self.phase)
        return WRITERS[form](self.document, self.phase)

    def write(self, path: Where) -> Drawn:
        """Write it in the form that the suffix names.

        Raises
        ------
        ArgumentError
            If the suffix names none.
        OSError
            If the file cannot be written.
        """
        made = self.to(Path(path).suffix.removeprefix("."))
        if isinstance(made, bytes):
            Path(path).write_bytes(made)
        else:
            Path(path).write_text(made, encoding="utf-8")
        return Drawn(self.document, self.phase, Path(path))

    def _repr_html_(self) -> str:
        return str(self.to("svg"))

    def __repr__(self) -> str:
        return f"<drawing of {self.document.title}{f' in {self.path}' if self.path else ''}>"

    def __str__(self) -> str:
        return str(self.to("txt"))


def draw(what: Graph, path: Where | None = None, phase: str | None = None) -> Drawn:
    """A graph as a drawing; see ``symgraph.draw``."""
    drawn = Drawn(document(what), phase)
    return drawn if path is None else drawn.write(path)

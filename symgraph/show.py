"""What shows graphs to people, loaded when it is first asked for: importing symgraph loads no layouts and no pages."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from symgraph.errors import BackendError
from symgraph.function import Function
from symgraph.graph import Variable
from symgraph.op import attach

if TYPE_CHECKING:
    from symgraph.view import Document, Drawn
    from symgraph.view.accuracy import Accuracy
    from symgraph.view.explain import Explanation

__all__ = ["accuracy", "draw", "explain"]


def draw(
    what: Variable | Sequence[Variable] | Mapping[str, Variable] | Function | Document,
    path: str | os.PathLike[str] | None = None, phase: str | None = None,
) -> Drawn:  # fmt: skip
    """Draw a graph: every step that the compiler took, its kernels, and the lines of source it came from.

    Parameters
    ----------
    what : Variable, sequence or dict of Variable, or Function
        Of a function, the program compiled last; before its first call, its graph for any shapes.
    path : str or path, optional
        Where to write the drawing. The suffix names the form: html, one page that needs nothing else; svg; png (with
        matplotlib); dot; mmd, Mermaid; json, which can be read back; txt.
    phase : str, optional
        The graph at the end of this phase, for the forms that show one graph; by default as it is compiled.

    Returns
    -------
    Drawn
        Shows itself in a notebook; ``to("svg")`` gives any form as text.

    Raises
    ------
    ArgumentError
        If the suffix or the phase is not known.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> x = matrix("x")
    >>> print(draw(log(1 + exp(x)), phase="written"))
    """
    found: Drawn = _view().draw(what, path, phase)
    return found


def explain(
    what: Variable | Sequence[Variable] | Mapping[str, Variable] | Function | Document,
) -> Explanation:
    """Say in plain words what the compiler did to a graph, at which of the user's lines, why, and what it left alone.

    Parameters
    ----------
    what : Variable, sequence or dict of Variable, or Function
        Of a scalar expression, what its gradient becomes is told too.

    Returns
    -------
    Explanation
        Prints as text; ``steps``, ``left`` and ``results`` hold the same as data.
    """
    found: Explanation = _view("explain").explain(what)
    return found


def accuracy(expression: Variable, at: Mapping[Variable | str, Any]) -> Accuracy:
    """Say how many digits of a formula are right, as it is written and as it is compiled, and which rule repaired it.

    Parameters
    ----------
    expression : Variable, float
        Read as it stands: a gradient taken by ``grad`` is repaired already.
    at : dict
        For each input, or its name: a range ``(low, high)``, of which points of every magnitude are taken; an array of
        the input's rank; or such arrays along a first axis, one a sample.

    Returns
    -------
    Accuracy
        Prints as a table of regions; ``plot()`` draws it, ``regions`` and the arrays hold the same as data.

    Raises
    ------
    ArgumentError
        If the expression is no float, or an input has no samples that fit.
    BackendError
        If mpmath is not installed.

    Notes
    -----
    As written, ops are evaluated one by one by NumPy; as compiled, by a function of the default backend. The real value
    is found by mpmath in 60 digits, or as many more as it takes until 20 of them stay.

    Examples
    --------
    >>> x = vector("x")
    >>> print(accuracy(log(1 + exp(x)), {x: (-1e3, 1e3)}))
    """
    try:
        view = _view("accuracy")
    except ImportError as error:
        raise BackendError(f"accuracy needs mpmath: {error}\npip install mpmath") from error
    found: Accuracy = view.accuracy(expression, at)
    return found


def _view(module: str = "") -> Any:
    return importlib.import_module(f"symgraph.view.{module}" if module else "symgraph.view")


def _as_html(what: Variable | Function) -> str:
    return str(_view().draw(what).to("svg"))


attach("_repr_html_", _as_html)
attach("_repr_svg_", _as_html)
for _name in ("_repr_html_", "_repr_svg_"):
    setattr(Function, _name, _as_html)

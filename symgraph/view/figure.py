"""Figures of matplotlib, where it is installed: without windows, and without its global state."""

from __future__ import annotations

from typing import Any

from symgraph.errors import BackendError


def empty_figure(what: str, instead: str, **options: Any) -> Any:
    """A new matplotlib.figure.Figure.

    Parameters
    ----------
    what, instead : str
        What needs it, and what can be done without it.

    Raises
    ------
    BackendError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BackendError(f"{what} needs matplotlib: {error}\npip install matplotlib, or {instead}") from error
    figure = Figure(**options)
    FigureCanvasAgg(figure)
    return figure

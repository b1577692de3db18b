"""The exception classes, and how a message is laid out.

A message says what is wrong (op and variable names), what each argument is and where the user made it, the user's line
with a caret, and one line that mends it.
"""

from __future__ import annotations

from collections.abc import Iterable

from numpy import linalg

MAX_LINES = 12


class SymgraphError(Exception):
    """Base of every error symgraph raises on purpose."""


class ShapeError(SymgraphError, ValueError):
    """Extents that do not fit each other or the op."""


class DTypeError(SymgraphError, TypeError):
    """An element type that the op or the input does not take."""


class AxisError(SymgraphError, ValueError, IndexError):
    """An axis outside the rank of its variable, or named twice."""


class IndexOutOfRange(SymgraphError, IndexError):
    """An index beyond the extent it selects from, found while the function ran."""


class LinAlgError(SymgraphError, linalg.LinAlgError):
    """A matrix that is singular, not positive definite, or for which an iteration did not end; found while running."""


class AllocationError(SymgraphError, MemoryError):
    """Results, or values on the way to them, that the system has no memory for; found while running."""


class NumericalError(SymgraphError, FloatingPointError):
    """A NaN, or a value that its reference does not give, found by a checked call."""


class GradientError(SymgraphError, ValueError):
    """A derivative that does not exist: disconnected, undefined, or by an integer."""


class ArgumentError(SymgraphError, TypeError):
    """A call with missing, unknown, repeated or unusable arguments."""


class UnusedInputError(SymgraphError, ValueError):
    """A declared input that no output depends on."""


class UpdateError(SymgraphError, TypeError):
    """An update that does not fit its shared variable."""


class SymbolicTruthError(SymgraphError, TypeError):
    """A symbol used where Python needs a number now."""


class DataError(SymgraphError, ValueError):
    """A file whose contents are not what they should be."""


class BackendError(SymgraphError, RuntimeError):
    """A backend that is unknown or cannot run here."""


def layout(headline: str, details: Iterable[str] = (), source: Iterable[str] = (), mend: str = "") -> str:
    """The text of an error: headline, argument lines, source excerpt, mend; at most ``MAX_LINES`` lines."""
    body = [f"  {line}" for line in details] + [f"  {line}" for line in source]
    room = MAX_LINES - 1 - bool(mend)
    if len(body) > room:
        body = [*body[: room - 1], "  ..."]
    return "\n".join([headline, *body, *([mend] if mend else [])])

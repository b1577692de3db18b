"""What bad input gets, word for word: every message against ``goldens/errors.txt``.

``SYMGRAPH_WRITE_GOLDENS=1`` writes the file anew; read the difference before it is committed.
"""

import os
import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import MAX_LINES, SymgraphError
from symgraph.graph import describe
from tests.errors import CASES

GOLDENS = Path(__file__).parent / "goldens" / "errors.txt"
WRITE = bool(os.environ.get("SYMGRAPH_WRITE_GOLDENS"))

for subject in ("building", "symbols", "gradients", "functions", "complexes", "calls", "data"):
    import_module(f"tests.errors.{subject}")


def message(name, backend, folder):
    """The exception's class and text, without what differs from place to place."""
    with pytest.raises(Exception) as info:
        CASES[name](backend, folder)
    assert isinstance(info.value, SymgraphError), repr(info.value)
    text = f"{type(info.value).__name__}: {info.value}".replace(str(folder), "FOLDER")
    return re.sub(r"(\w+\.py):(\d+)(:.*\n)?( *[~^]+$)?", _without_number, text, flags=re.MULTILINE)


def _without_number(found):
    """N for the number of a line, and the caret below moved as far."""
    file, number, rest, caret = found.groups(default="")
    return f"{file}:N" + rest + caret[len(number) - 1 if caret else 0 :]


def goldens():
    parts = re.split(r"^== (\w+)\n", GOLDENS.read_text() if GOLDENS.exists() else "", flags=re.MULTILINE)[1:]
    return {name: text.rstrip("\n") for name, text in zip(parts[::2], parts[1::2], strict=True)}


@pytest.mark.skipif(not WRITE, reason="SYMGRAPH_WRITE_GOLDENS is not set")
def test_write_goldens(tmp_path):
    GOLDENS.write_text("".join(f"== {name}\n{message(name, 'numpy', tmp_path)}\n\n" for name in CASES))


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
@pytest.mark.parametrize("name", CASES)
def test_messages_are_the_goldens(name, backend, tmp_path):
    found = message(name, backend, tmp_path)
    assert found == goldens()[name]
    assert len(found.splitlines()) <= MAX_LINES


def test_the_place_of_a_constant_that_many_share_is_not_told():
    message = []
    for constant in (sg.constant(0.625), sg.constant(0.625), sg.constant(np.arange(1000.0))):
        message.append(describe(constant))
    assert message[:2] == ["0.625  float64 ()   constant"] * 2 and "test_errors.py" in message[2]


def test_no_golden_is_left_over():
    assert list(goldens()) == list(CASES)


def test_the_classes_are_kinds_that_a_user_would_catch():
    expected = {
        "ShapeError": (ValueError,), "DTypeError": (TypeError,), "AxisError": (ValueError, IndexError),
        "IndexOutOfRange": (IndexError,), "ArgumentError": (TypeError,), "UpdateError": (TypeError,),
        "SymbolicTruthError": (TypeError,), "GradientError": (ValueError,), "DataError": (ValueError,),
    }  # fmt: skip
    for name, kinds in expected.items():
        assert issubclass(getattr(sg, name), (SymgraphError, *kinds)) and all(
            issubclass(getattr(sg, name), kind) for kind in kinds
        )

"""What docs/design.md shows is what the code does."""

import doctest
import re
from pathlib import Path

import symgraph as sg
from symgraph.op import scratch_registry
from tests.test_layering import ORDER

ROOT = Path(__file__).parent.parent
DESIGN = ROOT / "docs" / "design.md"


def test_the_worked_example_of_the_design_runs_as_shown():
    with scratch_registry(), sg.using(cache="off"):
        failed, tried = doctest.testfile(str(DESIGN), module_relative=False, verbose=False)
    assert tried > 40
    assert failed == 0


def test_every_file_that_the_design_names_is_there():
    text = DESIGN.read_text()
    names = set(re.findall(r"`([\w/]+(?:\.py|/))`", text))
    folders = ("symgraph", "symgraph/rewrites", "codegen", "codegen/llvm", "tests/codegen")
    bases = (ROOT, *[ROOT / folder for folder in folders])
    assert len(names) > 30
    assert not [name for name in names if not any((base / name).exists() for base in bases)]


def test_the_design_gives_the_order_of_imports():
    quoted = " ".join(line.removeprefix("> ") for line in DESIGN.read_text().splitlines() if line.startswith("> "))
    named = re.findall(r"\w+", quoted.partition(", and what")[0])
    assert named == [name for name in ORDER if name in named]
    assert set(ORDER) - set(named) <= {"testing", "nn", "linalg", "command", "__main__"}

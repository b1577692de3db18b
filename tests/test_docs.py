"""What docs/design.md shows is what the code does."""

import doctest
from pathlib import Path


def test_the_worked_example_of_the_design_runs_as_shown():
    failed, tried = doctest.testfile(
        str(Path(__file__).parent.parent / "docs" / "design.md"), module_relative=False, verbose=False
    )
    assert tried > 10
    assert failed == 0

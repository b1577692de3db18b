"""Write the golden listings of the tutorials: ``python -m tests.view.goldens.make``."""

from tests.view.graphs import TUTORIALS
from tests.view.test_forms import GOLDENS, listing

for name in TUTORIALS:
    (GOLDENS / f"{name}.txt").write_text(listing(name))

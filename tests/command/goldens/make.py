"""Write the goldens of the commands: ``python -m tests.command.goldens.make``."""

import os
import tempfile
from pathlib import Path

from tests.command.commands import SHAPES, run
from tests.command.test_command import GOLDENS, USER, formula

for name in SHAPES:
    (GOLDENS / f"{name}.txt").write_text(formula(name))
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "user.py").write_text(USER)
    os.chdir(folder)
    (GOLDENS / "explain.txt").write_text(run("explain", "user.py:y").out)

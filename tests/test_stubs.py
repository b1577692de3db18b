"""The stub beside graph.py: current, and as strict as the module it stands for."""

import shutil
import subprocess
import sys

import pytest

from symgraph.graph import Variable
from tools.make_stubs import SOURCE, STUB, attached_methods, stub


def test_the_stub_is_current():
    assert STUB.read_text() == stub(), "run python tools/make_stubs.py"


def test_every_attached_method_is_declared():
    text = "\n".join(attached_methods())
    for name in ("__add__", "__rmatmul__", "exp", "sum", "reshape", "shape", "T", "eval", "__array_ufunc__"):
        assert hasattr(Variable, name)
        assert f"def {name}(self" in text


@pytest.mark.deep
def test_the_module_behind_the_stub_is_strict_too(tmp_path):
    """mypy reads the stub in place of the module, so the module is checked where there is no stub."""
    pytest.importorskip("mypy")
    root = SOURCE.parent.parent
    shutil.copytree(SOURCE.parent, tmp_path / "symgraph", ignore=shutil.ignore_patterns("*.pyi", "__pycache__"))
    shutil.copy(root / "pyproject.toml", tmp_path)
    command = [sys.executable, "-m", "mypy", "--follow-imports=silent", "symgraph/graph.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout

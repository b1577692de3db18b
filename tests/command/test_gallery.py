"""The gallery shows commands that work, and pictures that are there."""

import re
from pathlib import Path

from tests.command.commands import run
from tools.make_gallery import DOCS, SECTIONS

TEXT = (DOCS / "gallery.md").read_text()


def test_every_picture_and_file_of_the_gallery_is_there():
    named = re.findall(r"\]\((gallery/[\w.-]+)\)", TEXT)
    assert len(named) >= 4 and all((DOCS / name).is_file() for name in named)


def test_every_command_of_the_gallery_is_shown_and_works(monkeypatch, tmp_path):
    monkeypatch.chdir(DOCS.parent)
    for _, command, _ in SECTIONS:
        assert f"$ {command}\n" in TEXT
        words = [str(tmp_path / Path(w).name) if w.endswith(".svg") else w for w in command.split()[1:]]
        done = run(*words)
        assert done.status == 0 and done.out, command

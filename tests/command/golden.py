"""What the commands print, as it is kept in ``goldens/``: the first lines of each, the same on every machine.

``python -m tests.command.golden`` writes them anew; look at the difference before it is kept.
"""

import contextlib
import functools
import json
import re
import tempfile
from pathlib import Path

import pytest

import symgraph as sg
from codegen.llvm import backend
from codegen.tiles import Machine
from symgraph.command import graphs, programs
from symgraph.command.target import find
from tests.command.commands import SHAPES, run, target

FOLDER = Path(__file__).parent / "goldens"
LINES = 14
"""Of an output that are kept."""

LONGEST = 150
"""Characters of a line that are kept."""

PLAIN = Machine(vector_bytes=32, registers=16)
"""What kernels are scheduled for, whatever this machine is."""

WRITTEN = [["print"], *(["draw", "--phase", "written", "-o", f"g.{form}"] for form in ("txt", "dot", "mmd"))]
"""Asked of what each tutorial predicts, for any shapes."""

COMPILED = [
    ["print", "--json"], ["explain"], ["rewrites"], ["draw", "-o", "g.json"], ["code", "--kind", "kernel"], ["memory"],
    ["profile", "-n", "2"], ["check"],
]  # fmt: skip
"""Asked of each tutorial's training function, compiled for a small batch."""

FEW = 6
"""Lines that are kept of what the compiler makes of a larger graph: it makes something else each time it learns."""

PREDICTS = {"multiplication": "multiply", "linear_regression": "train"}
MACHINE = [["env"], ["cache", "info"], ["cache", "verify"], ["cache", "clear"], ["data", "verify", "--data", "nowhere"]]

USER = """
import symgraph as sg

z = sg.matrix("z", dtype="float32")
y = sg.vector("y", dtype="int64")
n = y.shape[0]
loss = -sg.log(sg.exp(z) / sg.exp(z).sum(axis=1, keepdims=True))[sg.arange(n), y].mean()
both = [loss, sg.grad(loss, z)]
x = sg.tensor("x", "float32", (4, 3))
soft = sg.log(1 + sg.exp(x)).sum()
"""
EXPLAINED = [["explain", "user.py:both"], ["explain", "user.py:soft"]]


def asked(name):
    """The commands that a golden file shows."""
    if name == "machine":
        return MACHINE
    if name == "explain":
        return EXPLAINED
    train, predict = target(name), target(name, PREDICTS.get(name, "predict"))
    written = [[c[0], predict, *c[1:]] for c in WRITTEN]
    compiled = [[c[0], train, *SHAPES[name], *c[1:]] for c in COMPILED]
    return [*written, *compiled, ["print", predict, "--pretty"], ["diff", train, predict]]


@functools.cache
def built(text, shapes):
    """A target, built and compiled once for all commands that ask for the same shapes of it."""
    return find(text)


@contextlib.contextmanager
def alike(words, folder):
    """The same on every machine: one schedule, one folder, no programs kept from before; and nothing built twice."""
    (folder / "user.py").write_text(USER)
    (folder / "programs").mkdir(exist_ok=True)
    kept = str(folder / "programs") if words[0] == "cache" else "off"
    shapes = " ".join(w for w in words if "=" in w)
    with pytest.MonkeyPatch.context() as patch, sg.using(cache=kept):
        patch.chdir(folder)
        patch.setattr(backend, "machine", lambda target: PLAIN)
        for commands in (graphs, programs):
            patch.setattr(commands, "find", lambda text: built(text, shapes if words[0] != "diff" else "open"))
        yield


def shown(words, folder):
    """The beginning of what a command prints, or draws."""
    with alike(words, folder):
        done = run(*words)
        text = Path(words[-1]).read_text() if words[0] == "draw" else done.out
    assert not done.err, done.err
    text = MASKS.get(words[0], str)(outline(text) if text.startswith(("{", "[")) else text.replace(str(folder), "HERE"))
    most = len(text) if "tutorials" not in " ".join(words) else LINES
    if "--shapes" in words and words[0] != "check":
        text, most = vaguely(text), FEW
    lines = [line[:LONGEST].rstrip() for line in text.splitlines()]
    return "\n".join([*lines[:most], *(["..."] if len(lines) > most else []), f"[exits with {done.status}]"])


def outline(text):
    """Of JSON the keys, and how many things there are."""
    said = json.loads(text)
    return "\n".join(f"{k}: {_outlined(v)}" for k, v in said.items())


def _outlined(value):
    if not isinstance(value, list | dict) or not value:
        return json.dumps(value)
    first = value[0] if isinstance(value, list) else value
    keys = ", ".join(first) if isinstance(first, dict) else ""
    return f"{len(value)} of {keys}" if isinstance(value, list) else keys


def vaguely(text):
    """A text without numbers, but for those of source lines, and without charts."""
    text = re.sub(r"  [.#]+$", "  (chart)", text, flags=re.MULTILINE)
    text = re.sub(r"(?<![\d:.])\d[\d,.]*(?!\d)", "#", text)
    return re.sub(r" {2,}(?=\S)", "  ", text)


def without_numbers(text):
    """Numbers, and the order that they give to lines, vary: a ``#`` for each."""
    text = re.sub(r"(?<![\w:.])\d[\d,]*(\.\d+)?(?![\w:])", "#", text)
    head, *lines = [re.sub(r" +", " ", line) for line in text.splitlines()]
    return "\n".join([head, *sorted(lines, key=lambda line: (line.startswith("k"), line))])


def names_alone(text):
    """What is told of a machine, without what is so on this one, and which backends there are."""
    text = re.sub(r"^backends\n(  .*\n)+", "backends\n", text, flags=re.MULTILINE)
    return "\n".join(re.sub(r"(?<=\S)  +.*", "  ...", line) for line in text.splitlines())


MASKS = {"profile": without_numbers, "env": names_alone, "cache": without_numbers}


def sections(name):
    """Command -> its output, as kept."""
    parts = re.split(r"^\$ symgraph (.*)\n", (FOLDER / f"{name}.txt").read_text(), flags=re.MULTILINE)
    return {command: text.strip("\n") for command, text in zip(parts[1::2], parts[2::2], strict=True)}


def write(name, folder):
    """The file anew."""
    found = (f"$ symgraph {' '.join(words)}\n{shown(words, folder)}\n" for words in asked(name))
    (FOLDER / f"{name}.txt").write_text("\n".join(found))


NAMES = [*SHAPES, "explain", "machine"]

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        for each in NAMES:
            write(each, Path(place))

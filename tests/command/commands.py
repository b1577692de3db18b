"""Running the command in this process, as a shell would."""

import contextlib
import io
import json
from dataclasses import dataclass

from symgraph.command import main

SHAPES = {
    "multiplication": [], "linear_regression": [], "logistic_regression": ["--shapes", "x=8x784,y=8x10"],
    "net": ["--shapes", "x=8x784,y=8x10"], "modern_net": ["--shapes", "x=8x784,y=8x10"],
    "conv_net": ["--shapes", "images=2x784,y=2x10"],
}  # fmt: skip
TRAINED = {"multiplication": "multiply"}


def target(name, part=None):
    """A tutorial's training function, or its only one."""
    return f"tutorials.{name}:build.{part or TRAINED.get(name, 'train')}"


@dataclass(frozen=True)
class Done:
    """What a command left."""

    status: int
    out: str
    err: str

    @property
    def data(self):
        """The output as JSON."""
        return json.loads(self.out)


def run(*words):
    """Run ``symgraph WORDS``."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main([str(w) for w in words])
        except SystemExit as end:  # argparse
            status = end.code
    return Done(status, out.getvalue(), err.getvalue())

"""Nothing is read or written outside of its buffer: arrays lie against pages without access, in a child process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="no mprotect here")
ROOT = Path(__file__).parent.parent
PARTS = 4
OVERRUN = """
import numpy as np
from tests import fenced
f, (a, b) = fenced.PRIMES["map of float32"]()
program = f.compile(a, b)
program.place = {place!r}
program([a{less}, b], ())
"""


def run(*arguments):
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=280)


@pytest.mark.parametrize("part", range(PARTS))
def test_no_program_leaves_its_buffers(part):
    done = run("-m", "tests.fenced", "--part", str(part), str(PARTS))
    died = (done.stdout.splitlines() or ["nothing"])[-1]
    assert done.returncode == 0, f"{died}: exit status {done.returncode}\n{done.stderr}"
    assert len(done.stdout.splitlines()) > 100


@pytest.mark.parametrize("less", ["", "[:-1]"])
def test_the_fence_stops_a_read_of_one_element_more(less):
    done = run("-c", OVERRUN.format(place="before the fence", less=less))
    assert (done.returncode < 0) == bool(less) and not done.stderr

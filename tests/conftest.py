"""Hypothesis profiles, and what every test leaves as it was.

The draws are the same on every run where a failure must be reproducible, and more of them in deep runs.
"""

import gc
import os

import pytest
from hypothesis import HealthCheck, settings

from symgraph.op import OPS
from symgraph.rewrite import RULES

# deadline None: the first example of a test may compile, and the machine may be shared
settings.register_profile("quick", deadline=None, max_examples=25)
settings.register_profile("ci", settings.get_profile("quick"), derandomize=True)
settings.register_profile(
    "deep",
    deadline=None,
    max_examples=500,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)


def pytest_configure(config: pytest.Config) -> None:
    deep = config.getoption("markexpr") == "deep"
    settings.load_profile("deep" if deep else "ci" if os.environ.get("CI") else "quick")


def pytest_collection_finish() -> None:
    """Thousands of tests stay as they are: the collector of garbage need not walk them again and again."""
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@pytest.fixture(autouse=True)
def what_a_test_declares_is_its_own():
    """Another test would meet it, or not, by the order in which they are run."""
    ops, rules = len(OPS), len(RULES)
    yield
    assert (len(OPS), len(RULES)) == (ops, rules), "declare ops in scratch_registry(), rules in scratch_rules()"

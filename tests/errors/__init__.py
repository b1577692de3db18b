"""Calls that must raise, by subject; each module of this folder adds its own to ``CASES``."""

CASES = {}


def case(f):
    """A function of (backend, folder) that must raise."""
    CASES[f.__name__] = f
    return f

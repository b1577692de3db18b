"""What ends a command early."""

from __future__ import annotations


class UsageError(Exception):
    """A request that cannot be met: told in a few lines, without a traceback; the exit status is 2."""

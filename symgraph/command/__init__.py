"""The command ``symgraph``: graphs, compiled programs and the machine, seen from a shell."""

from symgraph.command.main import main

__all__ = ["main"]

"""The commands that show compiled programs: code, memory, profile, check."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from symgraph.backend import Part
from symgraph.command.errors import UsageError
from symgraph.command.output import as_json, head, say, table
from symgraph.command.target import find
from symgraph.command.values import Compiled, compiled
from symgraph.errors import BackendError, DataError, IndexOutOfRange
from symgraph.graph import printable
from symgraph.view.checks import check
from symgraph.view.lifetimes import lifetimes
from symgraph.view.profile import Profile, profile_program, read_profile, slower


def code(options: argparse.Namespace) -> int:
    """The text of the program, part by part, each under the user's lines that it computes."""
    made = compiled(find(options.target), options)
    kind = options.kind or next(k for k in ("kernel", "graph") if k in made.program.kinds)
    try:
        if options.kernel:
            made.program.code(kind, options.kernel)
        chosen = [p for p in made.program.parts if p.kind == "kernel" and options.kernel in (None, p.name)]
        texts = {p.name: made.program.code(kind, p.name) for p in chosen}
    except BackendError as error:
        raise UsageError(str(error)) from None
    if options.json:
        as_json([{"part": p.name, "kind": kind, "lines": list(_lines(p)), "code": texts[p.name]} for p in chosen])
        return 0
    if not chosen:
        say(f"{made.function.name} has no kernels: what it gives is only copied")
    for part in chosen:
        head(f"; {part.name}")
        for line in _lines(part):
            say(f"; {line}")
        say(texts[part.name].rstrip() + "\n")
    return 0


def _lines(part: Part) -> Iterator[str]:
    """The user's lines that a part computes, each once."""
    if not part.nodes:
        yield f"{', '.join(part.writes)} is {', '.join(part.reads)} in another order"
    yield from dict.fromkeys(node.origin.excerpt()[0] for node in part.nodes if node.origin is not None)


def memory(options: argparse.Namespace) -> int:
    """Live ranges, the peak, and what shares storage."""
    made = compiled(find(options.target), options)
    lives = lifetimes(made.function.name, made.program)
    if options.json:
        as_json(lives.plain())
        return 0
    for line in lives.summary():
        say(line)
    say()
    table(lives.table())
    return 0


def profile(options: argparse.Namespace) -> int:
    """Times of the parts; with ``--compare``, whether they are slower than they were."""
    old = _old(options.compare) if options.compare else None
    made = compiled(find(options.target), options)
    found = _measured(made, options.runs)
    if options.trace:
        _write(options.trace, found.trace())
    if options.output:
        _write(options.output, found.plain())
    worse = slower(found, old, options.tol) if old is not None else []
    if options.json:
        as_json({**found.plain(), "slower": worse})
    else:
        say(found.summary())
        table(found.table())
        for line in (*found.notes(), *worse):
            say(line)
    return 1 if worse else 0


def _measured(made: Compiled, runs: int) -> Profile:
    try:
        return profile_program(made.function, made.program, made.arrays, runs)
    except (BackendError, IndexOutOfRange) as error:
        raise UsageError(f"{error}\ngive arrays that fit by --inputs") from None


def _old(path: str) -> dict:  # type: ignore[type-arg]
    try:
        return read_profile(Path(path).read_text(encoding="utf-8"), path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except (DataError, UnicodeDecodeError) as error:
        raise UsageError(str(error)) from None


def _write(path: str, data: object) -> None:
    try:
        Path(path).write_text(json.dumps(data) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from None


def check_(options: argparse.Namespace) -> int:
    """Types, unused inputs, float64 where float32 was meant, what is not finite, and gradients."""
    made = compiled(find(options.target), options)
    task = made.function.task
    problems = check(task, made.values)
    failed = any(p.fatal for p in problems)
    if options.json:
        as_json({"types": {v.name or f"input {k}": str(v.type) for k, v in enumerate(task.inputs)},
                 "problems": [vars(p) for p in problems], "failed": failed})  # fmt: skip
        return int(failed)
    for k, v in enumerate(task.inputs):
        say(f"input {printable(v.name or str(k))}: {v.type}")
    for k, v in enumerate(task.outputs):
        say(f"output {printable(v.name or str(k))}: {v.type}")
    for p in problems:
        say(f"{'FAILED' if p.fatal else 'note'} {p.kind}: {p.text}" + (f", {p.place}" if p.place else ""))
    if not problems:
        say("nothing found")
    return int(failed)

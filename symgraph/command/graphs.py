"""The commands that show graphs: draw, print, explain, rewrites, diff."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from symgraph.command.errors import UsageError
from symgraph.command.output import as_json, head, say
from symgraph.command.target import Target, find
from symgraph.command.values import Compiled, can_compile, compiled
from symgraph.errors import BackendError, SymgraphError
from symgraph.function import Function
from symgraph.graph import Variable
from symgraph.printing import debugprint, pprint
from symgraph.view.bisect import Finding, bisect
from symgraph.view.brief import counted
from symgraph.view.collect import Graph, document, task_of
from symgraph.view.difference import difference
from symgraph.view.document import Document, Step
from symgraph.view.drawing import Drawn
from symgraph.view.explain import explain
from symgraph.view.plain import graph_of, to_plain
from symgraph.view.profile import profile_program


def seen(target: Target, options: argparse.Namespace) -> Graph:
    """What to show of a target: its program where the shapes are known, else its graph for any."""
    if target.is_saved and not options.shapes:
        return target.graph
    return compiled(target, options).function if can_compile(target, options) else target.graph


def draw(options: argparse.Namespace) -> int:
    """A drawing in a file."""
    target = find(options.target)
    seconds = None
    if options.time:
        made = compiled(target, options)
        measured = profile_program(made.function, made.program, made.arrays, options.runs)
        seconds = {row.name: row.seconds for row in measured.rows}
        doc = document(made.function, seconds)
    else:
        doc = document(seen(target, options))
    try:
        drawn = Drawn(doc, options.phase).write(options.output)
    except OSError as error:
        raise UsageError(f"{options.output} cannot be written: {error.strerror or error}") from None
    except BackendError as error:
        raise UsageError(str(error)) from None
    if options.json:
        as_json(
            {"path": str(drawn.path), "nodes": len(doc.last.inputs), "steps": sum(len(s.steps) for s in doc.scenes)}
        )
    else:
        say(str(drawn.path))
    if options.open:
        webbrowser.open(Path(options.output).resolve().as_uri())
    return 0


def print_(options: argparse.Namespace) -> int:
    """A tree, or a formula."""
    target = find(options.target)
    if options.json:
        as_json(to_plain(document(seen(target, options)), data=False))
        return 0
    graph = seen(target, options) if isinstance(target.graph, Function) else target.graph
    if options.pretty:
        for v in _results(graph):
            say(pprint(v))
    else:
        say(debugprint(graph if isinstance(graph, Function) else _results(graph)))
    return 0


def _results(graph: Graph) -> Sequence[Variable]:
    """The results of a graph, as they were written."""
    if isinstance(graph, Document):
        return list(graph_of(graph).values())
    return (graph.task if isinstance(graph, Function) else task_of(graph)).written.results


def explain_(options: argparse.Namespace) -> int:
    """The rewrites in plain words."""
    told = explain(seen(find(options.target), options))
    if options.json:
        as_json(told.plain())
    else:
        say(str(told))
    return 0


# ------------------------------------------------------------------------------------------------ rewrites


def rewrites(options: argparse.Namespace) -> int:
    """The steps with what they changed; with ``--check``, the first that changes a result."""
    target = find(options.target)
    if options.check:
        return _checked(target, options)
    doc = document(seen(target, options))
    steps = [(scene.phase, step) for scene in doc.scenes for step in scene.steps if step.rule]
    if options.json:
        as_json([{"phase": phase, "rule": s.rule, "why": s.why, "source": doc.place(s.source), "before": s.before,
                  "after": s.after} for phase, s in steps])  # fmt: skip
        return 0
    say(f"{doc.title}: {counted(len(steps), 'step')}")
    for number, (phase, step) in enumerate(steps, 1):
        _show_step(doc, number, phase, step)
        if options.step and number < len(steps) and not _go_on():
            break
    return 0


def _show_step(doc: Document, number: int, phase: str, step: Step) -> None:
    place = doc.place(step.source)
    head(f"\n{number}. {phase}: {step.rule}" + (f", {place}" if place else ""))
    if step.before:
        say(f"- {step.before}\n+ {step.after}")


def _go_on() -> bool:
    """Whether the user wants the next step: Enter goes on, q or the end of the input stops."""
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() not in ("q", "quit") if sys.stdin.isatty() else True


def _checked(target: Target, options: argparse.Namespace) -> int:
    options.inputs = options.check
    made = compiled(target, options)
    findings = bisect(document(made.function), _leaf_values(made))
    wrong = next((f for f in findings if f.verdict == "changed"), None)
    if options.json:
        as_json({"steps": [vars(f) for f in findings], "first_changed": vars(wrong) if wrong else None})
    else:
        for f in findings:
            say(_finding(f))
        say(f"{wrong.rule} changes the result" if wrong else "no step changes the result")
    return 1 if wrong else 0


def _finding(f: Finding) -> str:
    return (
        f"{f.verdict:9} {f.phase}: {f.rule}"
        + (f", {f.place}" if f.place else "")
        + (f"  {f.detail}" if f.detail else "")
    )


def _leaf_values(made: Compiled) -> dict[int, np.ndarray]:
    """Node of a leaf -> its value, in the document of the function."""
    doc = document(made.function)
    given: dict[tuple[str, str], list[np.ndarray]] = {}
    task = made.function.task
    for kind, variables, arrays in (
        ("input", task.inputs, made.arrays),
        ("shared", task.shared, [s.get_value() for s in task.shared]),
    ):
        for k, (v, a) in enumerate(zip(variables, arrays, strict=True)):
            given.setdefault((kind, v.name or f"{kind} {k}"), []).append(a)
    found = {}
    for node in doc.nodes:
        waiting = given.get((node.kind, node.name or node.value))
        if waiting:
            found[node.id] = waiting.pop(0) if len(waiting) > 1 else waiting[0]
    return found


def diff(options: argparse.Namespace) -> int:
    """What two graphs do not have in common."""
    documents = [document(find(t).graph) for t in (options.a, options.b)]
    try:
        found = difference(documents[0], documents[1], options.phase)
    except SymgraphError as error:
        raise UsageError(str(error)) from None
    if options.json:
        as_json(found.plain())
    else:
        say(str(found))
    return 1 if found else 0

"""The command line: what can be asked, and how errors are told."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from symgraph.command import graphs, machine, programs
from symgraph.command.errors import UsageError
from symgraph.errors import SymgraphError
from symgraph.view.collect import ORDER

TARGET = "FILE.py:NAME, package.module:NAME, or a graph saved as JSON; NAME may be an expression, several, a function \
of symgraph.function, or a Python function of no arguments that gives one, and NAME.PART a key or an attribute of it"
FORMS = "FILE.html, svg, png, dot, json, txt or mmd"


def percent(text: str) -> float:
    """``10%`` or ``0.1`` as a fraction."""
    return float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)


def positive(text: str) -> int:
    """A number of runs."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a positive number")
    return number


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    made = argparse.ArgumentParser(prog="symgraph", description="See what becomes of a graph, and why.")
    commands = made.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _graph_commands(commands)
    _program_commands(commands)
    _machine_commands(commands)
    return made


def _command(commands: argparse._SubParsersAction, name: str, run: object, what: str) -> argparse.ArgumentParser:  # type: ignore[type-arg]
    made: argparse.ArgumentParser = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
    made.set_defaults(run=run)
    made.add_argument("--json", action="store_true", help="print JSON")
    return made


def _on_target(made: argparse.ArgumentParser) -> argparse.ArgumentParser:
    made.add_argument("target", help=TARGET)
    made.add_argument("--shapes", metavar="x=128x784,...", help="shapes of the inputs, to compile for")
    made.add_argument("--backend", help="default: as configured")
    return made


def _graph_commands(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    draw = _on_target(_command(commands, "draw", graphs.draw, "draw a graph and every step of the compiler"))
    draw.add_argument("-o", "--output", required=True, metavar="FILE", help=FORMS)
    phases = ", ".join(ORDER)
    draw.add_argument("--phase", help=f"the graph at the end of this phase, for forms that show one: {phases}")
    draw.add_argument("--time", action="store_true", help="measure the parts, for the heat of the page")
    draw.add_argument("-n", "--runs", type=positive, default=50, help="of a measurement, default %(default)s")
    draw.add_argument("--inputs", metavar="FILE.npz", help="arrays to measure with")
    draw.add_argument("--open", action="store_true", help="open it in the browser")
    show = _on_target(_command(commands, "print", graphs.print_, "print a graph as a tree with types and places"))
    show.add_argument("--pretty", action="store_true", help="as a formula")
    _on_target(_command(commands, "explain", graphs.explain_, "say what was rewritten, where and why"))
    steps = _on_target(_command(commands, "rewrites", graphs.rewrites, "list the rewrites with what they changed"))
    steps.add_argument("--step", action="store_true", help="wait for Enter after each")
    steps.add_argument("--check", metavar="FILE.npz", help="evaluate after every step; name the first that is wrong")
    diff = _command(commands, "diff", graphs.diff, "compare two graphs; the exit status is 1 if they differ")
    diff.add_argument("a", help=TARGET)
    diff.add_argument("b")
    diff.add_argument("--phase", help="compare them at the end of this phase; default: as written")


def _program_commands(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    code = _on_target(_command(commands, "code", programs.code, "show the code of the kernels under the user's lines"))
    code.add_argument("--kernel", metavar="K", help="one of them")
    code.add_argument("--kind", help="kernel (default) or graph; llvm, optimized or assembly; cuda of a GPU")
    _on_target(_command(commands, "memory", programs.memory, "show the live ranges of buffers and the peak"))
    profile = _on_target(_command(commands, "profile", programs.profile, "measure each kernel"))
    profile.add_argument("-n", "--runs", type=positive, default=200, help="default %(default)s")
    profile.add_argument("--inputs", metavar="FILE.npz", help="arrays to run with; default: drawn")
    profile.add_argument("-o", "--output", metavar="FILE.json", help="keep the profile")
    profile.add_argument("--trace", metavar="FILE.json", help="write the runs for Perfetto")
    profile.add_argument("--compare", metavar="OLD.json", help="exit with 1 if it is slower than this profile")
    profile.add_argument("--tol", type=percent, default=0.1, metavar="10%", help="what --compare lets pass")
    check = _on_target(_command(commands, "check", programs.check_, "look for mistakes; the exit status is 1 if any"))
    check.add_argument("--inputs", metavar="FILE.npz", help="arrays for inputs that are no floats")


def _machine_commands(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    data = _command(commands, "data", machine.data, "fetch or verify the tutorials' data")
    data.add_argument("action", choices=["get", "verify"])
    data.add_argument("--data", metavar="PATH", help="folder with the files")
    cache = _command(commands, "cache", machine.cache, "look after the compiled programs on disk")
    cache.add_argument("action", choices=["info", "clear", "verify"])
    _command(commands, "env", machine.env, "show versions, processor and settings")
    script = _command(commands, "completion", machine.completion, "print a script that completes commands")
    script.add_argument("shell", choices=sorted(machine.SCRIPTS))


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 0 is fine, 1 a check that failed, 2 a request that cannot be met."""
    made = parser()
    options = made.parse_args(argv)
    options.commands = _words(made)
    try:
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except (UsageError, SymgraphError, ValueError) as error:
        said = str(error).removeprefix(f"{options.command}: ")
        print(f"symgraph {options.command}: {said}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # whoever read the output has seen enough; nothing may be written to it at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _words(made: argparse.ArgumentParser) -> dict[str, list[str]]:
    """The options and choices of each command, for completion."""
    (commands,) = [a for a in made._actions if isinstance(a, argparse._SubParsersAction)]
    return {
        name: [w for a in sub._actions for w in (*a.option_strings, *(a.choices or ())) if w != "-h"]
        for name, sub in commands.choices.items()
    }

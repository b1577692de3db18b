"""The commands about the machine: data, cache, env, completion."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import os
import platform
import sys
from typing import Any

from symgraph import config
from symgraph.backend import BACKENDS, machine_of, store_of
from symgraph.command.errors import UsageError
from symgraph.command.output import as_json, say, table
from symgraph.errors import SymgraphError

PACKAGES = ("numpy", "llvmlite", "networkx", "scipy", "matplotlib", "rich", "cupy-cuda13x")


def env(options: argparse.Namespace) -> int:
    """Versions, processor, threads, and every setting with where it comes from."""
    said: dict[str, dict[str, Any]] = {
        "versions": {"symgraph": sys.modules["symgraph"].__version__, "python": platform.python_version(),
                     **{name: _version(name) for name in PACKAGES}},
        "machine": {"system": platform.platform(), "processors": os.cpu_count() or 1, "threads": config.threads(),
                    **_processor()},
        "backends": dict(BACKENDS),
        "settings": {name: {"value": value, "from": where} for name, (value, where) in config.sources().items()},
    }  # fmt: skip
    if options.json:
        as_json(said)
        return 0
    for title in ("versions", "machine", "backends"):
        say(title)
        table([[f"  {k}", str(v)] for k, v in said[title].items()])
    say("settings")
    table([[f"  {k}", repr(v["value"]), v["from"]] for k, v in said["settings"].items()])
    return 0


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> dict[str, str]:
    """What the configured backend says of the processor."""
    try:
        return dict(machine_of(config.settings().backend))
    except SymgraphError as error:
        return {"backend": str(error).splitlines()[0]}


def cache(options: argparse.Namespace) -> int:
    """The compiled programs on disk."""
    try:
        store = store_of(config.settings().backend)
    except SymgraphError as error:
        raise UsageError(str(error)) from None
    if store is None:
        raise UsageError(f"the {config.settings().backend} backend keeps no programs")
    if options.action == "clear":
        said: dict[str, Any] = {"folder": str(store.folder), "removed": store.clear()}
    elif options.action == "verify":
        good, bad = store.verify()
        said = {"folder": str(store.folder), "good": good, "damaged": bad}
    else:
        count, size = store.info()
        said = {"folder": str(store.folder), "entries": count, "bytes": size, "limit": store.limit}
    _print(said, options)
    return 1 if said.get("damaged") else 0


def data(options: argparse.Namespace) -> int:
    """The tutorials' data: fetched where they are missing, compared with their digests."""
    try:
        files = importlib.import_module("tutorials.data")
    except ImportError as error:
        raise UsageError(f"the tutorials are not installed: {error}") from None
    try:
        loaded = files.load("mnist", options.data)
    except (files.MissingDataError, SymgraphError) as error:
        if options.action == "verify":
            if options.json:
                as_json({"data": "mnist", "failed": str(error)})
            else:
                say(f"FAILED {error}")
            return 1
        raise UsageError(str(error)) from None
    digests = {f.name: f.sha256 for f in files.MNIST}
    _print({"data": loaded.name, "train": len(loaded.train_x), "test": len(loaded.test_x), "sha256": digests}, options)
    return 0


def _print(said: dict[str, Any], options: argparse.Namespace) -> None:
    if options.json:
        as_json(said)
        return
    table([[k, str(v)] for k, v in said.items()])


# ------------------------------------------------------------------------------------------------ completion

SCRIPTS = {
    "bash": """_symgraph() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}"
  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W "{commands}" -- "$word")); return; fi
  case "${{COMP_WORDS[1]}}" in
{cases}
  esac
  COMPREPLY+=($(compgen -f -- "$word"))
}}
complete -o filenames -F _symgraph symgraph""",
    "zsh": """autoload -U +X bashcompinit && bashcompinit
{bash}""",
    "fish": """complete -c symgraph -n __fish_use_subcommand -a "{commands}"
{fish}""",
}


def completion(options: argparse.Namespace) -> int:
    """A script that completes commands and options."""
    commands: dict[str, list[str]] = options.commands
    names = " ".join(commands)
    cases = "\n".join(
        f'    {name}) COMPREPLY=($(compgen -W "{" ".join(words)}" -- "$word")) ;;' for name, words in commands.items()
    )
    bash = SCRIPTS["bash"].format(commands=names, cases=cases)
    fish = "\n".join(
        f'complete -c symgraph -n "__fish_seen_subcommand_from {name}" -l {word.removeprefix("--")}'
        for name, words in commands.items() for word in words if word.startswith("--")
    )  # fmt: skip
    say(SCRIPTS[options.shell].format(commands=names, cases=cases, bash=bash, fish=fish))
    return 0

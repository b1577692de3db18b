"""The ladder: every model in turn, and a table of what each reached.

The quick form takes a few minutes; ``--full`` trains for 100 epochs, as the scripts of the original series do.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tutorials.common import Report, add_data_options, add_recipe, clock, load_data
from tutorials.data import Dataset

FULL = 100  # epochs
DIGITS_EPOCHS = 20  # digits have a fortieth of MNIST's images; this many epochs for one take half as many steps


@dataclass(frozen=True)
class Rung:
    """A model, its epochs in the quick form, and the accuracy the original series publishes for it."""

    name: str
    quick: int
    published: float | None = None

    def epochs(self, dataset: str, full: bool) -> int | None:
        """How many to train for; None leaves it to a model that makes up its own data."""
        if self.published is None:
            return None
        return FULL if full else self.quick * (DIGITS_EPOCHS if dataset == "digits" else 1)


LADDER = (
    Rung("multiplication", 0),
    Rung("linear_regression", 0),
    Rung("logistic_regression", 10, 92.5),
    Rung("net", 5, 98.4),
    Rung("modern_net", 3, 99.0),
    Rung("conv_net", 1, 99.5),
)


@dataclass(frozen=True)
class Result:
    """How one model fared; ``report`` is None where it failed."""

    rung: Rung
    report: Report | None
    seconds: float


def main(argv: Sequence[str] | None = None) -> int:
    """Climb the ladder; the exit status is 1 if a model failed."""
    parser = argparse.ArgumentParser(
        prog="python -m tutorials", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help=f"train for {FULL} epochs; takes hours")
    add_recipe(parser)
    add_data_options(parser)
    options = parser.parse_args(argv)
    data = load_data(options)
    print(describe(data), flush=True)
    results = [climb(rung, data.name, options) for rung in LADDER]
    print(*table(results, data, options), sep="\n")
    return int(any(result.report is None for result in results))


def climb(rung: Rung, dataset: str, options: argparse.Namespace) -> Result:
    """Run one model in a process of its own, as a reader would."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", f"tutorials.{rung.name}", *arguments(rung, dataset, options)]
        print(f"\n== {rung.name}", flush=True)
        start = time.perf_counter()
        done = subprocess.run([*command, "--json", str(report)], check=False)
        seconds = time.perf_counter() - start
        succeeded = done.returncode == 0 and report.exists()
        return Result(rung, Report(**json.loads(report.read_text())) if succeeded else None, seconds)


def arguments(rung: Rung, dataset: str, options: argparse.Namespace) -> list[str]:
    """The options passed on; the data set is the one found, so that all models use the same."""
    passed = {
        "--epochs": rung.epochs(dataset, options.full),
        "--recipe": options.recipe if rung.published else None,
        "--seed": options.seed,
        "--data": options.data,
        "--dataset": dataset,
    }
    return [word for name, value in passed.items() if value is not None for word in (name, str(value))]


def table(results: Sequence[Result], data: Dataset, options: argparse.Namespace) -> list[str]:
    """The lines of the table; published figures are MNIST's, so they stand beside MNIST's alone."""
    compared = data.name == "mnist"
    heads = ["model", "epochs", "accuracy %", *(["published %"] if compared else []), "s/epoch", "compile s", "total"]
    rows = [cells(result, compared) for result in results]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    aligned = ["  ".join(align(row, widths)) for row in (heads, *rows)]
    hint = [f"The original scripts train for {FULL} epochs; so does --full."] if compared and not options.full else []
    return ["", *aligned, "", f"{describe(data)}; {options.recipe} recipe", *hint]


def describe(data: Dataset) -> str:
    """Which data the figures are for."""
    note = f" ({data.note})" if data.note else ""
    return f"data: {data.name}{note}, {len(data.train_x)} images to train on and {len(data.test_x)} to test"


def align(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Names to the left, numbers to the right."""
    return [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]


def cells(result: Result, compared: bool) -> list[str]:
    """One row of the table; a dash where a model has no such figure."""
    rung, report = result.rung, result.report
    published = [f"{rung.published:.1f}" if rung.published else "-"] if compared else []
    if report is None:
        return [rung.name, "-", "failed", *published, "-", "-", clock(result.seconds)]
    reached = f"{report.test_accuracy[-1]:.2f}" if report.test_accuracy else "-"
    pace = f"{sum(report.seconds) / len(report.seconds):.2f}" if report.seconds else "-"
    return [
        rung.name,
        str(report.epochs),
        reached,
        *published,
        pace,
        f"{report.compile_seconds:.2f}",
        clock(result.seconds),
    ]


if __name__ == "__main__":
    sys.exit(main())

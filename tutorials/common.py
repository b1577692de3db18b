"""What the models share: their options, the training loop, the progress line and the report."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import symgraph as sg
from symgraph.errors import DataError
from tutorials.data import Dataset, MissingDataError, load, one_hot

Array = npt.NDArray[Any]

BATCH = 128  # images a step
TEST_BATCH = 1000  # images a prediction: all 10,000 at once would take gigabytes in a convolutional net
REDRAW = 0.1  # seconds between two drawings of the progress line


@dataclass
class Report:
    """What a run did; the fields are the keys of the JSON file.

    Attributes
    ----------
    dataset : str
        "mnist", "digits", or what the model made up.
    epochs : int
        How many were asked for.
    test_accuracy : list of float
        Per cent of the test images named rightly after each epoch. Empty for a model that names nothing.
    seconds : list of float
        Training time of each epoch, without the test and without compiling.
    compile_seconds : float
        The first step and the first prediction, which compile.
    """

    dataset: str
    epochs: int
    test_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    compile_seconds: float = 0.0

    def write(self, path: str | os.PathLike[str] | None) -> None:
        """Write the JSON file, if one was asked for."""
        if path:
            Path(path).write_text(json.dumps(asdict(self), indent=2) + "\n")


def parse_options(
    doc: str | None,
    epochs: int,
    lr: float | None = None,
    published: float | None = None,
    argv: Sequence[str] | None = None,
) -> argparse.Namespace:
    """The options every model has; ``--lr`` for a model that gives its default.

    A model that also gives the learning rate that its published recipe starts with has ``--recipe`` and ``--validate``.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=positive, default=epochs, metavar="N", help="default %(default)s")
    if lr is not None:
        other = f", {published} in the published recipe" if published else ""
        parser.add_argument("--lr", type=float, help=f"learning rate, default {lr}{other}")
    if published is not None:
        add_recipe(parser)
        text = "keep a sixth of the training images for testing, in place of the test images"
        parser.add_argument("--validate", action="store_true", help=text)
    parser.add_argument("--json", metavar="FILE", help="write accuracy and time of each epoch to FILE")
    add_data_options(parser)
    options = parser.parse_args(argv)
    if lr is not None and options.lr is None:
        options.lr = published if published is not None and options.recipe == "published" else lr
    return options


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """``--recipe``."""
    text = "the learning rate stays (plain, the default), or falls to zero during the run (published)"
    parser.add_argument("--recipe", choices=["plain", "published"], default="plain", help=text)


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """``--seed``, ``--data`` and ``--dataset``."""
    parser.add_argument("--seed", type=int, default=0, help="of weights and dropout, default %(default)s")
    parser.add_argument("--data", metavar="PATH", help="folder with the MNIST files, default $SYMGRAPH_DATA")
    parser.add_argument("--dataset", choices=["mnist", "digits"], help="default: mnist, or digits if it cannot be had")


def positive(text: str) -> int:
    """An argument that counts something there must be one of."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a positive number")
    return number


def load_data(options: argparse.Namespace) -> Dataset:
    """The data the options ask for; without it the program ends with what to do about it."""
    try:
        return load(options.dataset, options.data)
    except (DataError, MissingDataError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


def held_out(data: Dataset) -> Dataset:
    """The last sixth of the training images in place of the test images, to choose a recipe by."""
    x, y = data.train_x, data.train_y
    n = len(x) // 6
    note = "; ".join(filter(None, [data.note, f"the last {n} training images, held out"]))
    return replace(data, train_x=x[:-n], train_y=y[:-n], test_x=x[-n:], test_y=y[-n:], note=note)


def learning_rate(options: argparse.Namespace) -> float | sg.SharedVariable:
    """A number; in the published recipe a shared variable, which ``train_epochs`` lowers."""
    return sg.shared(np.float32(options.lr), name="lr") if options.recipe == "published" else options.lr


def train_epochs(
    step: Callable[[Array, Array], Any],
    predict: Callable[[Array], Array],
    data: Dataset,
    options: argparse.Namespace,
    rate: float | sg.SharedVariable,
) -> Report:
    """Train, test after each epoch, show progress, and write the report.

    Parameters
    ----------
    step : function of (images, one-hot targets)
        Updates the weights and returns the loss.
    predict : function of images
        The label of each.
    data : Dataset
    options : Namespace
        As ``parse_options`` gives them.
    rate : float or shared variable
        The learning rate. A shared one falls linearly from epoch to epoch; one more epoch would have rate zero.
    """
    data = held_out(data) if options.validate else data
    step, predict = Timed(step), Timed(predict)
    report = Report(data.name, options.epochs)
    progress = Progress(options.epochs, len(data.train_x) // BATCH)
    targets = one_hot(data.train_y)
    for epoch in range(options.epochs):
        if isinstance(rate, sg.SharedVariable):
            rate.set_value(np.float32(options.lr * (1 - epoch / options.epochs)))
        start, compiled = time.perf_counter(), step.first
        for x, y in batches(data.train_x, targets):
            progress.advance(float(step(x, y)), compiling=step.calls == 1)
        report.seconds.append(time.perf_counter() - start - (step.first - compiled))
        report.test_accuracy.append(accuracy(predict, data.test_x, data.test_y))
        report.compile_seconds = step.first + predict.first
        report.write(options.json)  # after each epoch, so that a run that is stopped leaves what it did
        progress.end_epoch(report.test_accuracy[-1])
    progress.close()
    print(summary(report, data.note))
    return report


def batches(x: Array, y: Array, size: int = BATCH) -> Iterator[tuple[Array, Array]]:
    """Rows in file order, ``size`` at a time; what is left at the end is dropped."""
    for start in range(0, len(x) - size + 1, size):
        yield x[start : start + size], y[start : start + size]


def accuracy(predict: Callable[[Array], Array], x: Array, y: Array) -> float:
    """Per cent of labels predicted rightly."""
    right = 0
    for start in range(0, len(x), TEST_BATCH):
        part = slice(start, start + TEST_BATCH)
        right += int(np.count_nonzero(np.asarray(predict(x[part])) == y[part]))
    return 100 * right / len(x)


def summary(report: Report, note: str) -> str:
    """One line: the last epoch's accuracy, never the best, which would be chosen by looking at the test images."""
    plural = "s" if report.epochs > 1 else ""
    data = f"{report.dataset} ({note})" if note else report.dataset
    return (
        f"test accuracy {report.test_accuracy[-1]:.2f} % after {report.epochs} epoch{plural} on {data}; "
        f"{np.mean(report.seconds):.2f} s an epoch, {report.compile_seconds:.2f} s to compile"
    )


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Timed:
    """A function that knows how many calls it had and how long the first took."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.calls, self.first = function, 0, 0.0

    def __call__(self, *arguments: Array) -> Any:
        self.calls += 1
        if self.calls > 1:
            return self.function(*arguments)
        start = time.perf_counter()
        result = self.function(*arguments)
        self.first = time.perf_counter() - start
        return result


class Progress:
    """One line with loss, accuracy and time left: redrawn on a terminal, printed once an epoch elsewhere."""

    def __init__(self, epochs: int, steps: int) -> None:
        self.epochs, self.steps = epochs, steps
        self.done, self.losses = 0, 0.0
        self.accuracy = ""
        self.start = self.drawn = time.perf_counter()
        self.on_terminal = sys.stdout.isatty()

    def advance(self, loss: float, compiling: bool) -> None:
        """One step more, whose loss counts in this epoch's mean."""
        if self.done % self.steps == 0:
            self.losses = 0.0
        self.done, self.losses = self.done + 1, self.losses + loss
        now = time.perf_counter()
        if compiling:
            self.start = now  # compiling happens once, so it says nothing of the time left
        if self.on_terminal and now - self.drawn > REDRAW:
            self.drawn = now
            self.show()

    def end_epoch(self, accuracy: float) -> None:
        """All steps of an epoch and its test are done."""
        self.accuracy = f"  accuracy {accuracy:.2f} %"
        self.show()

    def close(self) -> None:
        """Leave the line for what is printed next."""
        if self.on_terminal:
            print()

    def show(self) -> None:
        """Draw over what is there, or add a line."""
        if self.on_terminal:
            print(f"\r{self.line():<79}", end="", flush=True)
        else:
            print(self.line(), flush=True)

    def line(self) -> str:
        """Where the run stands; the accuracy is that of the last epoch that ended."""
        finished = (self.done - 1) // self.steps
        loss = self.losses / (self.done - finished * self.steps)
        left = (time.perf_counter() - self.start) / self.done * (self.epochs * self.steps - self.done)
        return f"epoch {finished + 1}/{self.epochs}  loss {loss:.4f}{self.accuracy}  {clock(left)} left"

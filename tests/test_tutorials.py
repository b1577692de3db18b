"""What the tutorials share: options, the training loop, the report and the ladder's table."""

import argparse
import io
import json
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import symgraph as sg
from tutorials import __main__ as ladder
from tutorials import common, conv_net, data, logistic_regression, modern_net, net
from tutorials.data import Dataset

RATE = 0.5
STEPS = 3  # in an epoch of the data below, whose last partial batch is dropped


def dataset(note=""):
    """Images that say where they stand in the file, and labels that follow from them."""
    n = STEPS * common.BATCH + 100
    x = np.repeat(np.arange(n, dtype="float32")[:, None], 784, axis=1)
    return Dataset("mnist", x, np.arange(n) % 10, x[:200], np.arange(200) % 10, note)


def options(**changes):
    return argparse.Namespace(**{"epochs": 2, "json": None, "lr": RATE, "validate": False, **changes})


class Clock:
    """Time that passes only where a test says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def taking(self, first, rest, result):
        """A function whose first call takes ``first`` seconds, and each other ``rest``."""
        durations = iter([first])

        def call(*arguments):
            self.now += next(durations, rest)
            return result(*arguments)

        return call


@pytest.fixture
def clock(monkeypatch):
    fake = Clock()
    monkeypatch.setattr(common.time, "perf_counter", fake)
    return fake


def right(x):
    return x[:, 0].astype(int) % 10


@given(n=st.integers(0, 700), size=st.integers(1, 200))
def test_batches_are_all_full_in_file_order_and_leave_out_less_than_one(n, size):
    x = np.arange(n)
    parts = list(common.batches(x, -x, size))
    assert all(len(a) == size and np.array_equal(a, -b) for a, b in parts)
    joined = np.concatenate([a for a, _ in parts]) if parts else x[:0]
    np.testing.assert_array_equal(joined, x[: len(joined)])
    assert 0 <= n - len(joined) < size


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=50), st.integers(1, 60))
def test_accuracy_does_not_depend_on_the_size_of_a_prediction(pairs, size):
    said, true = np.array(pairs).T
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(common, "TEST_BATCH", size)
        assert common.accuracy(lambda x: x, said, true) == pytest.approx(100 * np.mean(said == true))


def test_each_step_sees_a_batch_of_images_and_one_hot_targets_in_float32():
    seen = []
    common.train_epochs(lambda x, y: seen.append((x, y)) or 0.0, right, dataset(), options(epochs=1), RATE)
    assert len(seen) == STEPS
    for i, (x, y) in enumerate(seen):
        assert x.shape == (128, 784) and y.shape == (128, 10) and x.dtype == y.dtype == np.float32
        np.testing.assert_array_equal(x[:, 0], np.arange(i * 128, (i + 1) * 128))
        np.testing.assert_array_equal(y.argmax(axis=1), np.arange(i * 128, (i + 1) * 128) % 10)


def test_the_report_has_the_last_epoch_last_and_says_it_though_an_earlier_one_was_better(tmp_path, capsys):
    answers = iter([right, lambda x: right(x) * (x[:, 0] < 100)])
    target = tmp_path / "report.json"
    asked = options(json=str(target))
    report = common.train_epochs(lambda x, y: 0.0, lambda x: next(answers)(x), dataset(), asked, RATE)
    # of the last 100 images the second epoch names every 0 rightly, and nothing else
    assert report.test_accuracy == [100.0, 55.0]
    assert "test accuracy 55.00 % after 2 epochs on mnist" in capsys.readouterr().out
    written = json.loads(target.read_text())
    assert set(written) == {"dataset", "epochs", "test_accuracy", "seconds", "compile_seconds"}
    assert written == common.asdict(report)
    assert len(written["seconds"]) == written["epochs"] == 2


def test_compiling_is_counted_apart_from_the_epochs(clock):
    step, predict = clock.taking(50, 2, lambda x, y: 0.0), clock.taking(7, 1, right)
    report = common.train_epochs(step, predict, dataset(), options(), RATE)
    assert report.compile_seconds == 57
    assert report.seconds == [2 * (STEPS - 1), 2 * STEPS]


def test_elsewhere_than_on_a_terminal_each_epoch_is_one_line_with_loss_accuracy_and_time_left(clock, capsys):
    losses = iter(range(2 * STEPS))
    step = clock.taking(50, 60, lambda x, y: next(losses))
    common.train_epochs(step, right, dataset(), options(), RATE)
    first, second, _summary = capsys.readouterr().out.splitlines()
    assert first.split("  ") == ["epoch 1/2", "loss 1.0000", "accuracy 100.00 %", "2:00 left"]
    assert second.split("  ") == ["epoch 2/2", "loss 4.0000", "accuracy 100.00 %", "0:00 left"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_one_line_is_drawn_again_and_again(clock, monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(common.sys, "stdout", screen)
    common.train_epochs(clock.taking(9, 1, lambda x, y: 0.5), right, dataset(), options(), RATE)
    progress, summary = screen.getvalue().splitlines(keepends=False)[-2:], screen.getvalue().splitlines()[-1]
    assert screen.getvalue().count("\n") == 2
    assert screen.getvalue().count("\r") == 2 * STEPS + 2
    assert "epoch 2/2  loss 0.5000" in progress[0] and summary.startswith("test accuracy")


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (7325, "2:02:05")])
def test_time_left_reads_as_a_clock(seconds, text):
    assert common.clock(seconds) == text


def test_only_a_model_with_a_learning_rate_has_the_option(capsys):
    assert common.parse_options("doc", epochs=7, lr=0.05, argv=["--lr", "0.5"]).lr == 0.5
    parsed = common.parse_options("doc", epochs=7, argv=[])
    assert not hasattr(parsed, "lr")
    assert (parsed.epochs, parsed.seed, parsed.data, parsed.dataset, parsed.json) == (7, 0, None, None, None)
    with pytest.raises(SystemExit):
        common.parse_options("doc", epochs=7, argv=["--lr", "0.5"])
    assert "--lr" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "rate"),
    [([], 0.05), (["--recipe", "published"], 0.5), (["--recipe", "published", "--lr", "0.25"], 0.25)],
)
def test_each_recipe_has_a_learning_rate_of_its_own_unless_one_is_given(argv, rate):
    parsed = common.parse_options("doc", epochs=7, lr=0.05, published=0.5, argv=argv)
    assert parsed.lr == rate
    assert parsed.recipe == ("published" if argv else "plain")


def test_in_the_plain_recipe_the_learning_rate_is_the_number_itself():
    assert common.learning_rate(options(recipe="plain")) is RATE


def test_in_the_published_recipe_the_learning_rate_falls_from_epoch_to_epoch_and_the_next_would_have_none():
    rate, seen = common.learning_rate(options(recipe="published")), []

    def step(x, y):
        seen.append(float(rate.get_value()))
        return 0.0

    common.train_epochs(step, right, dataset(), options(epochs=4), rate)
    assert rate.type.dtype == "float32"
    assert seen == [RATE * share for share in (1, 0.75, 0.5, 0.25) for _ in range(STEPS)]


@pytest.mark.parametrize("model", [logistic_regression, net, modern_net, conv_net])
def test_a_model_learns_at_the_rate_it_shares_and_at_rate_zero_nothing(model):
    rate = sg.shared(np.float32(0), name="lr")
    train, predict = model.build(0, rate)
    images = np.random.default_rng(0).uniform(0, 1, (20, 784)).astype("float32")
    before = predict(images)
    train(images, data.one_hot(np.arange(20) % 10))
    np.testing.assert_array_equal(predict(images), before)
    rate.set_value(np.float32(0.5))
    train(images, data.one_hot(1 - before % 2))
    assert (predict(images) != before).any()


@pytest.mark.parametrize(("recipe", "sizes"), [("plain", [0.01, 0.01]), ("published", [0.151, 0.224])])
def test_the_net_of_sigmoids_starts_from_larger_weights_in_the_published_recipe(recipe, sizes, monkeypatch):
    shared, found = sg.shared, []

    def spy(value, **options):
        if np.ndim(value) == 2:
            found.append(np.std(value))
        return shared(value, **options)

    monkeypatch.setattr(sg, "shared", spy)
    for name in ("load_data", "train_epochs", "explain"):
        monkeypatch.setattr(net, name, lambda *arguments: None)
    net.main(["--recipe", recipe])
    # the deviation of 6250 numbers varies by 0.9 %
    np.testing.assert_allclose(found, sizes, rtol=0.05)


def test_validation_trains_on_the_first_images_and_tests_on_the_rest_of_them():
    trained, tested = [], []
    common.train_epochs(
        lambda x, y: trained.extend(x[:, 0]) or 0.0,
        lambda x: tested.extend(x[:, 0]) or right(x),
        dataset(),
        options(epochs=1, validate=True),
        RATE,
    )
    n = len(dataset().train_x)
    assert tested == list(range(n - n // 6, n))
    assert max(trained) < min(tested) < max(trained) + common.BATCH


@pytest.mark.parametrize("epochs", ["0", "-3", "many"])
def test_epochs_must_be_a_positive_number(epochs, capsys):
    with pytest.raises(SystemExit):
        common.parse_options("doc", epochs=7, argv=["--epochs", epochs])
    assert "--epochs" in capsys.readouterr().err


def test_data_that_cannot_be_had_ends_the_program_with_what_to_do(tmp_path):
    with pytest.raises(SystemExit, match=r"(?s)MissingDataError.*--dataset digits"):
        common.load_data(argparse.Namespace(dataset="mnist", data=str(tmp_path)))


@pytest.fixture
def models(monkeypatch):
    """Models that write a report without training; those in ``failing`` end with status 1. Also the commands run."""
    commands, failing = [], set()

    def run(command, check):
        name, arguments = command[2].removeprefix("tutorials."), dict(zip(command[3::2], command[4::2], strict=True))
        commands.append((name, arguments))
        if name not in failing:
            epochs = int(arguments.get("--epochs", 100))
            common.Report("mnist", epochs, [91.25] * ("--epochs" in arguments), [2.0] * epochs, 0.5).write(
                arguments["--json"]
            )
        return subprocess.CompletedProcess(command, int(name in failing))

    monkeypatch.setattr(ladder.subprocess, "run", run)
    monkeypatch.setattr(ladder, "load_data", lambda options: dataset())
    return commands, failing


def rows(text):
    """Model name -> words of its row in the table."""
    names = {rung.name for rung in ladder.LADDER}
    return {line.split()[0]: line.split()[1:] for line in text.splitlines() if line and line.split()[0] in names}


def test_the_ladder_runs_each_model_and_sets_it_beside_the_published_figure(models, capsys):
    assert ladder.main(["--seed", "5", "--data", "here"]) == 0
    commands, _ = models
    assert [name for name, _ in commands] == [rung.name for rung in ladder.LADDER]
    assert all((a["--seed"], a["--data"], a["--dataset"]) == ("5", "here", "mnist") for _, a in commands)
    out = capsys.readouterr().out
    table = rows(out)
    assert table["conv_net"] == ["1", "91.25", "99.5", "2.00", "0.50", "0:00"]
    assert [table[name][2] for name in table] == ["-", "-", "92.5", "98.4", "99.0", "99.5"]
    assert "data: mnist, 484 images to train on and 200 to test" in out and "plain recipe" in out


def test_full_trains_every_net_for_100_epochs(models):
    ladder.main(["--full"])
    assert [a.get("--epochs") for _, a in models[0]] == [None, None, "100", "100", "100", "100"]


def test_every_net_is_trained_by_the_recipe_asked_for(models):
    ladder.main(["--recipe", "published"])
    assert [a.get("--recipe") for _, a in models[0]] == [None, None, *["published"] * 4]


def test_a_model_that_fails_is_said_to_and_the_others_still_run(models, capsys):
    models[1].add("net")
    assert ladder.main([]) == 1
    table = rows(capsys.readouterr().out)
    assert table["net"][:3] == ["-", "failed", "98.4"] and table["conv_net"][1] == "91.25"


def test_digits_stand_beside_no_published_figure_and_are_named(models, monkeypatch, capsys):
    digits = Dataset(
        "digits", *(getattr(dataset(), f) for f in ("train_x", "train_y", "test_x", "test_y")), "no network"
    )
    monkeypatch.setattr(ladder, "load_data", lambda options: digits)
    ladder.main([])
    out = capsys.readouterr().out
    assert "data: digits (no network)" in out
    assert "published" not in out and "99.5" not in out
    assert all(arguments["--dataset"] == "digits" for _, arguments in models[0])

"""What the README promises."""

import re
from pathlib import Path

import numpy as np

README = (Path(__file__).parent.parent / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def test_there_are_two_set_up_commands_of_one_line_each_with_an_environment_of_its_own():
    main_job, tests = blocks("sh")
    environments = set()
    for command in (main_job, tests):
        assert command.count("\n") == 1
        (environment,) = re.findall(r"^python3 -m venv (\S+) && \1/bin/pip install -e ", command)
        environments.add(environment)
    assert len(environments) == 2
    assert main_job.endswith("/python -m tutorials\n") and re.search(r"/pytest -n \d+\n$", tests)


def test_the_example_stays_finite_and_learns_where_its_softmax_as_written_overflows():
    (example,) = blocks("python")
    names = {}
    exec(example, names)
    images = np.random.default_rng(0).uniform(0, 1, (64, 784)).astype("float32")
    labels = images.argmax(axis=1) % 10
    targets = np.eye(10, dtype="float32")[labels]
    costs = [float(names["train"](images, targets)) for _ in range(50)]
    np.testing.assert_allclose(costs[0], np.log(10), rtol=1e-6)  # zero weights: ten equal chances; rounding of 64 terms
    assert costs[-1] < costs[0]
    names["w"].set_value(1e4 * np.eye(784, 10, dtype="float32"))
    assert np.isfinite(names["train"](images, targets))
    assert np.isfinite(names["w"].get_value()).all()
    assert names["predict"](images).shape == (64,)

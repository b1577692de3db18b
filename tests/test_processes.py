"""Many processes and one cache folder: the first compiles, the others load, and what is damaged is made anew."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import symgraph as sg
from codegen.cache import CacheWarning
from symgraph.op import scratch_registry

ROOT = Path(__file__).parent.parent
PROGRAM = """
import json, sys, warnings
import numpy as np
import symgraph as sg

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    x, y = sg.fmatrices("x y")
    stream = sg.random.RandomStream(3)
    w = sg.shared(np.random.default_rng(0).standard_normal((20, 5)).astype("float32"))
    p = sg.nn.softmax((x * stream.bernoulli(x.shape, p=0.8, dtype="float32")) @ w)
    cost = -(y * sg.log(p)).sum(axis=1).mean()
    train = sg.function([x, y], cost, updates=[(w, w - 0.1 * sg.grad(cost, w))])
    predict = sg.function([x], p.argmax(axis=1))
    a = np.random.default_rng(1).random((16, 20), dtype="float32")
    b = np.eye(5, dtype="float32")[np.arange(16) % 5]
    costs = [float(train(a, b)) for _ in range(3)]
    stages = sorted({s for f in (train, predict) for e in (f.compile(*[a, b][: len(f.declared)]),) for s in e.timings})
print(json.dumps({"costs": costs, "labels": predict(a).tolist(), "stages": stages,
                  "weights": w.get_value().tobytes().hex(), "warnings": [str(c.message) for c in caught]}))
"""
COMPILING = {"rewrite", "build", "compile"}


def start(folder):
    environment = {**os.environ, "SYMGRAPH_CACHE": str(folder), "SYMGRAPH_CONFIG": str(folder / "none.toml")}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def result(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return json.loads(out)


def without_stages(found):
    return {k: v for k, v in found.items() if k != "stages"}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A folder that one process has filled, and what that process found."""
    folder = tmp_path_factory.mktemp("programs")
    return folder, result(start(folder))


def test_a_second_process_compiles_nothing_and_finds_the_same(first):
    folder, found = first
    assert set(found["stages"]) >= COMPILING and not found["warnings"]
    again = result(start(folder))
    assert not COMPILING & set(again["stages"]) and again["stages"] == ["load"]
    assert without_stages(again) == without_stages(found)


def test_eight_processes_on_one_empty_folder(first, tmp_path):
    found = [result(p) for p in [start(tmp_path) for _ in range(8)]]
    assert all(without_stages(f) == without_stages(first[1]) for f in found)
    assert len(list(tmp_path.glob("*.program"))) == 2 and not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied"])
def test_damaged_entries_are_made_anew_with_one_warning(first, damage, tmp_path):
    entries = sorted(first[0].glob("*.program"))
    assert len(entries) == 2
    for entry in entries:
        data = bytearray(entry.read_bytes())
        if damage == "flipped":
            data[len(data) // 2] ^= 1
        (tmp_path / entry.name).write_bytes({"cut": data[:-7], "flipped": data, "emptied": b""}[damage])
    found = result(start(tmp_path))
    assert all(found[k] == first[1][k] for k in ("costs", "labels", "weights"))
    assert set(found["stages"]) >= COMPILING
    assert len(found["warnings"]) == 1 and "is not a compiled program of ours" in found["warnings"][0]
    assert result(start(tmp_path))["stages"] == ["load"]


def test_every_byte_of_an_entry_matters(tmp_path):
    """Flipped anywhere, cut anywhere: the entry is a miss, and the result is right."""
    x = sg.dvector("x")
    a = np.linspace(0, 1, 50)
    expected = None
    random = np.random.default_rng(0)
    with sg.using(cache=str(tmp_path)), warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheWarning)
        for k in range(12):
            f = sg.function([x], sg.exp(x) * 2 + x.sum())
            found, executable = f(a), f.compile(a)
            expected = found if expected is None else expected
            assert (found == expected).all() and ("compile" in executable.timings)
            (entry,) = tmp_path.glob("*.program")
            data = bytearray(entry.read_bytes())
            at = int(random.integers(len(data)))
            if k % 2:
                data[at] ^= 1 << int(random.integers(8))
            else:
                del data[at:]
            entry.write_bytes(data)


def test_another_graph_shape_or_setting_is_another_entry(tmp_path):
    x, y = sg.dvectors("x y")
    a = np.ones(4)
    with sg.using(cache=str(tmp_path)):
        for k, (inputs, output, args) in enumerate(
            [([x], x + 1, [a]), ([x], x + 2, [a]), ([x], x + 1, [np.ones(5)]), ([x, y], x - y, [a, a]),
             ([y, x], x - y, [a, a]), ([x], x * sg.constant([1.0, 2, 3, 4]), [a]),
             ([x], x * sg.constant([1.0, 2, 3, 5]), [a]), ([x], sg.cast(x, "float32"), [a])], 1
        ):  # fmt: skip
            sg.function(inputs, output)(*args)
            assert len(list(tmp_path.glob("*.program"))) == k
        sg.function([y], y + 1)(a)  # names are not part of the meaning
        assert len(list(tmp_path.glob("*.program"))) == k


def test_programs_with_ops_of_the_users_own_are_told_apart(tmp_path):
    x = sg.dvector("x")
    a = np.ones(3)
    with sg.using(cache=str(tmp_path)):
        for factor in (2.0, 3.0):
            with scratch_registry():
                assert (sg.function([x], times(factor)(x))(a) == factor).all()


def times(factor):
    @sg.elementwise(name="times_something")
    def op(x):
        return x * factor

    return op

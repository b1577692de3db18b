"""The harness of the benchmarks: what is computed is right, peers take turns, a wrong peer is not timed."""

import io
import itertools
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as program
from benchmarks import gpu, limits, table
from benchmarks.agreement import ALLOWED, disagreement, results
from benchmarks.cases import CASES, Case
from benchmarks.measure import QUICK, Bench, Result, runs
from benchmarks.peers import OURS, PEERS, REFERENCE, Step
from benchmarks.processes import PeerError, Process
from benchmarks.timing import GROUP, WARMING, burst, interleave, spread
from benchmarks.worker import UNSUPPORTED, Worker, serve
from benchmarks.workloads import WORKLOADS
from symgraph import using

IN_PROCESS = {name: peer.builders() for name, peer in {**PEERS, "reference": REFERENCE}.items()
              if name in (OURS, "numpy", "reference")}  # fmt: skip
DETERMINISTIC = [name for name, workload in WORKLOADS.items() if not workload.quiet]


def problem(name):
    return WORKLOADS[name].problem(**WORKLOADS[name].tiny)


# ------------------------------------------------------------------------------------------------ what is computed


@pytest.mark.parametrize("name", DETERMINISTIC)
@pytest.mark.parametrize("peer", [OURS, "numpy"])
def test_every_workload_agrees_with_float64(peer, name):
    build = IN_PROCESS[peer].get(name)
    if build is None:
        pytest.skip(f"nobody writes {name} in {peer}")
    expected = results(IN_PROCESS["reference"][name](problem(name).astype("float64")))
    assert all(e.dtype.kind in "if" and e.dtype.itemsize == 8 for e in expected.values())
    with using(cache="off"):
        found = results(build(problem(name)))
    # a parameter near 1 changes by 0.003 in a step of RMSprop: of that change, float32 keeps four to five digits
    assert disagreement(found, expected) < 0.01


def test_every_workload_is_ours_and_has_a_reference():
    assert IN_PROCESS[OURS].keys() == WORKLOADS.keys()
    assert set(DETERMINISTIC) <= IN_PROCESS["reference"].keys()
    assert {workload.quiet for workload in WORKLOADS.values()} - {""} < set(DETERMINISTIC)


@pytest.mark.parametrize("name", sorted(set(WORKLOADS) - set(DETERMINISTIC)))
def test_what_is_timed_has_the_noise_that_is_left_out_of_the_comparison(name):
    with using(cache="off"):
        noisy, quiet = (results(IN_PROCESS[OURS][n](problem(name))) for n in (name, WORKLOADS[name].quiet))
    assert not np.isclose(noisy["value-0"], quiet["value-0"])


@pytest.mark.parametrize("name", [name for name in WORKLOADS if WORKLOADS[name].flops and "conv" in name])
@pytest.mark.parametrize("sizes", ["full", "tiny"])
def test_each_weight_is_used_once_at_every_position_of_an_image(name, sizes):
    chosen = getattr(WORKLOADS[name], sizes)
    rest = {k: v for k, v in chosen.items() if k not in ("batch", "batches")}
    shapes = [p.shape for p in WORKLOADS[name].problem(**{**chosen, "batch": 1}).parameters]
    products = [int(np.prod(s)) * n for s, n in zip(shapes, (900, 169, 25, 1, 1), strict=True)]
    directions = 3 if "batches" in chosen else 1
    expected = 2 * chosen["batch"] * (directions * sum(products) - (directions > 1) * products[0])
    assert rest and WORKLOADS[name].flops(**chosen) == expected


# ------------------------------------------------------------------------------------------------ agreement


RIGHT = {"value-0": np.linspace(-1, 1, 6), "value-1": np.arange(6), "change-0": np.linspace(0, 1, 6)}
ONE = np.arange(6) == 3
WRONG = {
    "a value": {"value-0": RIGHT["value-0"] + 10 * ALLOWED["value"] * ONE},
    "a NaN": {"value-0": np.where(ONE, np.nan, RIGHT["value-0"])},
    "a shape": {"value-0": RIGHT["value-0"][:, None]},
    "one label": {"value-1": RIGHT["value-1"] + ONE},
    "a change": {"change-0": RIGHT["change-0"] + 10 * ALLOWED["change"] * ONE},
    "no change": {"change-0": np.zeros(6)},
    "a result more": {"value-2": np.zeros(6)},
}


@pytest.mark.parametrize("how", WRONG)
def test_a_wrong_result_is_refused(how):
    rounded = {k: v.astype("float32") for k, v in RIGHT.items()}
    assert disagreement(rounded, RIGHT) < 1
    assert disagreement({**rounded, **WRONG[how]}, RIGHT) > 1


def test_a_step_that_leaves_its_parameters_is_refused():
    build = IN_PROCESS["reference"]["net"]
    expected = results(build(problem("net")))
    step = build(problem("net"))
    assert disagreement(results(replace(step, parameters=lambda: problem("net").parameters)), expected) > 1


# ------------------------------------------------------------------------------------------------ times and turns


class Clock:
    """Time that passes only in calls."""

    def __init__(self):
        self.now, self.calls = 0.0, []

    def __call__(self):
        return self.now

    def taking(self, seconds):
        def call(*arguments):
            self.calls.append(arguments)
            self.now += seconds

        return call


@pytest.mark.parametrize("each", [2.0**-18, 2.0**-4])
def test_a_burst_gives_the_time_of_one_call_and_takes_the_arguments_in_turn(each):
    clock = Clock()
    times = burst(Step(clock.taking(each), [(0, 1), (2,), ()]), 0.25, clock)
    assert times == [each] * len(times)
    group = max(1, int(GROUP / each))
    assert len(clock.calls) == WARMING + 1 + group * len(times)
    assert clock.calls[:7] == [(0, 1), (2,), (), (0, 1), (2,), (), (0, 1)][: len(clock.calls)]
    assert sum(times) * group >= 0.25


@pytest.mark.parametrize("rounds", [1, 2, 5])
@pytest.mark.parametrize("peers", ["a", "ab", "abcd"])
def test_peers_take_turns_and_each_begins_a_round(peers, rounds):
    order, count = [], itertools.count()

    def sampler(peer):
        return lambda: order.append(peer) or next(count)

    found = interleave({peer: sampler(peer) for peer in peers}, rounds)
    cut = [order[i : i + len(peers)] for i in range(0, len(order), len(peers))]
    assert len(cut) == rounds and all(sorted(turn) == list(peers) for turn in cut)
    assert [turn[0] for turn in cut] == [peers[k % len(peers)] for k in range(rounds)]
    assert {peer: [order[i] for i in taken] for peer, taken in found.items()} == {p: [p] * rounds for p in peers}


def test_spread_is_half_the_range_of_the_median():
    assert spread([9.0, 10.0, 13.0]) == pytest.approx(0.2)


class Scripted:
    """A process whose answers are known; it keeps what it was asked."""

    def __init__(self, log, peer, answers):
        self.log, self.peer, self.answers = log, peer, answers

    def ask(self, do, **details):
        self.log.append((self.peer, do))
        answer = self.answers.get(do)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def hold(self):
        self.log.append((self.peer, "hold"))

    def go_on(self):
        self.log.append((self.peer, "go on"))

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        pass


class Staged(Bench):
    """A run whose processes are scripted."""

    def __init__(self, folder, scripts):
        super().__init__(dict.fromkeys(scripts, sys.executable), replace(QUICK, rounds=2), folder)
        self.scripts, self.log = scripts, []

    def _process(self, peer, workload, threads, cache):
        return Scripted(self.log, peer, self.scripts[peer])

    def _reference(self, workload):
        return self.folder / "reference"


GOOD = {"check": 0.25, "burst": [3.0, 1.0, 2.0]}


def test_a_peer_that_differs_or_fails_is_not_timed_and_the_others_are(tmp_path):
    scripts = {
        OURS: GOOD,
        "wrong": {**GOOD, "check": 2.0},
        "broken": {**GOOD, "build": PeerError("no such kernel")},
        "gone": {**GOOD, "burst": PeerError("ended with status -9")},
        "unable": {"load": UNSUPPORTED},
    }
    bench = Staged(tmp_path, scripts)
    found = {r.peer: r for r in bench.run("net", 1)}
    assert found[OURS].rounds == [2.0, 2.0] and found[OURS].difference == 0.25
    assert not any(found[peer].rounds for peer in scripts if peer != OURS)
    assert "2 times" in found["wrong"].note and found["broken"].note == "no such kernel"
    assert found["gone"].note == "ended with status -9" and not found["unable"].supported
    asked = [peer for peer, do in bench.log if do == "burst"]
    assert asked == [OURS, "gone", OURS]  # the second round begins with the next, which is gone


def test_results_are_compared_once_for_all_cases_of_a_workload(tmp_path):
    bench = Staged(tmp_path, {"a": {**GOOD, "build": 0.5}, "unable": {"load": UNSUPPORTED}})
    for case in ("net", "net_cold", "net_warm"):
        found = {r.peer: r for r in bench.run(case, 1)}
        assert found["a"].rounds and found["a"].difference == 0.25 and not found["unable"].supported
    assert [peer for peer, do in bench.log if do == "check"] == ["a"]
    assert [peer for peer, do in bench.log if peer == "unable"] == ["unable"]


def test_results_are_compared_before_anything_is_timed_and_others_stand_still_meanwhile(tmp_path):
    bench = Staged(tmp_path, {"a": GOOD, "b": GOOD})
    bench.run("net", 1)
    words = [do for _, do in bench.log]
    assert words.index("burst") > max(k for k, do in enumerate(words) if do == "check")
    awake = {"a", "b"}
    for peer, do in bench.log:
        awake = awake - {peer} if do == "hold" else awake | {peer} if do in ("load", "go on") else awake
        assert do != "burst" or awake == {peer}


@pytest.mark.parametrize("fault", [ZeroDivisionError("x\ny"), None])
def test_a_worker_answers_each_request_and_goes_on_after_an_error(fault):
    worker = Worker("numpy", "add_one_10", "tiny")

    def raising():
        if fault:
            raise fault

    worker.requests["test"] = raising
    requests = io.StringIO('{"do": "load"}\n{"do": "test"}\n{"do": "build"}\n')
    answers = io.StringIO()
    serve(worker, requests, answers)
    loaded, tested, built = map(json.loads, answers.getvalue().splitlines())
    assert loaded == {"value": None} and built["value"] > 0
    assert tested == ({"error": "ZeroDivisionError: x"} if fault else {"value": None})


def test_a_process_that_ends_or_takes_too_long_says_so(tmp_path):
    with (
        Process(sys.executable, "nobody", "net", "tiny", 1, tmp_path, 60) as process,
        pytest.raises(PeerError, match="nobody"),
    ):
        process.ask("load")
    with (
        Process(sys.executable, "numpy", "net", "tiny", 1, tmp_path, 0.01) as process,
        pytest.raises(PeerError, match="more than 0.01 s"),
    ):
        process.ask("load")


# ------------------------------------------------------------------------------------------------ the table

RATES = {1: {"flops": 1e11, "bandwidth": 1e10, "empty_call": 4e-8}}


def test_a_row_has_medians_spreads_ratio_bar_and_floor():
    found = [
        Result("net", 1, OURS, [2e-3, 2.2e-3, 1.8e-3], 0.1),
        Result("net", 1, "jax", [2.5e-3], 0.1),
        Result("net", 1, "torch", [], 1.5, "differs from the reference"),
        Result("net", 1, "numpy", [], 0.1, "ended with status -9"),
        Result("net", 1, "numba", [], None, UNSUPPORTED),
        Result("net", 1, "pytensor", [], None, "no compiler"),
    ]
    head, _, row, blank, *notes = table.report(found, RATES, "full")
    peers = "symgraph | jax | torch | numpy | numba | pytensor"
    assert head == f"| case | threads | {peers} | ours / best | bar | of the floor |"
    # 256 MFLOP at 100 GFLOP/s are 2.56 ms: more than the 2 ms assumed here
    cells = "2 ms ±10 % | 2.5 ms ±0 % | differs | failed | - | failed"
    assert row == f"| net step | 1 | {cells} | 0.80 | 0.95, met | 128 % |"
    assert blank == "" and [line.split(", ")[2].partition(":")[0] for line in notes] == ["torch", "numpy", "pytensor"]


def test_the_bar_is_a_ratio_or_seconds_and_holds_for_full_sizes_only():
    def bar(case, ours, other, sizes="full"):
        return table.bar_text([Result(case, 1, OURS, [ours]), Result(case, 1, "jax", [other])], sizes)

    assert bar("matmul_1024", 1.0, 1.0) == "1, met"
    assert bar("matmul_1024", 1.1, 1.0) == "1, short"
    assert bar("import", 0.2, 1.0) == "0.12 s, short"
    assert bar("import", 0.1, 0.01) == "0.12 s, met"
    assert bar("conv_net_memory", 5e6, 1e7) == "0.5, met"
    assert bar("matmul_1024", 1.0, 1.0, "tiny") == "-" == bar("sum_columns", 1.0, 1.0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.5, "1.5 s"),
        (999.4e-3, "999 ms"),
        (12.34e-3, "12.3 ms"),
        (1e-3, "1 ms"),
        (42.7e-9, "42.7 ns"),
        (1234.0, "1234 s"),
    ],
)
def test_durations_have_three_digits_and_a_unit(seconds, text):
    assert table.duration(seconds) == text


def test_a_floor_is_the_longer_of_arithmetic_and_traffic():
    assert table.floor("matmul_1024", RATES[1], "full") == pytest.approx(2 * 1024**3 / 1e11)
    assert table.floor("sum", RATES[1], "full") == pytest.approx(4 * 4096**2 / 1e10)
    assert table.floor("add_one_scalar", RATES[1], "full") is None is table.floor("net_cold", RATES[1], "full")


def test_steps_are_measured_for_each_number_of_threads_and_the_rest_once():
    planned = list(runs(CASES, [1, 2]))
    steps = {name for name, case in CASES.items() if case.measure == "step"}
    assert sorted(planned) == sorted([(s, n) for s in steps for n in (1, 2)] + [(c, 2) for c in set(CASES) - steps])


def test_a_case_measures_a_workload_in_a_known_way():
    for case in CASES.values():
        assert isinstance(case, Case) and (case.workload in WORKLOADS or case.measure == "import")
        assert case.measure in ("step", "cold", "warm", "memory", "idle", "import")


# ------------------------------------------------------------------------------------------------ the machine


@pytest.mark.parametrize("threads", [1, 2])
def test_the_loops_that_measure_the_machine_do_what_they_are_taken_for(threads):
    loops = limits.Loops(threads, floats=10_000)
    assert 0 < loops.part * threads <= 10_000
    for a, b, c in loops.arrays:
        assert {x.ctypes.data % 64 for x in (a, b, c)} == {0} and a[0] != b[0]
    loops.seconds("triad", loops.part, 1)
    for a, b, c in loops.arrays:
        assert (c == a + a[0] * b).all()
    loops.seconds("sum", loops.part, 1)
    assert all(c[: loops.lanes].sum() == a.sum() for a, _, c in loops.arrays)
    loops.seconds("fma", 3, 1)  # 0 -> y -> x y + y -> x (x y + y) + y
    x, y = 0.5, 0.25
    assert all((c[: loops.lanes] == limits.ACCUMULATORS * (x * (x * y + y) + y)).all() for _, _, c in loops.arrays)


# ------------------------------------------------------------------------------------------------ the program


def test_a_library_that_is_not_there_is_a_line_and_no_failure():
    options = program.parse(["--peers", "torch,numpy", "--peers-python", "/other/python"])
    everything = dict.fromkeys(program.needed(), "1.0")
    found = {"/other/python": {**everything, "torch": None}}
    pythons, missing = program.installed(options, found)
    assert pythons == {OURS: sys.executable, "numpy": "/other/python"}
    assert [line.partition(":")[0] for line in missing] == ["torch-eager", "torch-compile"]
    assert all("/other/python" in line and "--peers-python" in line for line in missing)


@pytest.mark.parametrize("wrong", [["--cases", "net,nett"], ["--peers", "tensorflow"], ["--threads", "0"]])
def test_an_option_that_names_nothing_is_refused(wrong, capsys):
    with pytest.raises(SystemExit):
        program.parse(wrong)
    assert wrong[1].rpartition(",")[2] in capsys.readouterr().err


def test_a_quick_run_measures_each_kind_of_case(tmp_path, capsys):
    kinds = {case.measure: name for name, case in reversed(CASES.items()) if case.measure != "idle"}
    path = tmp_path / "found.json"
    options = [
        "--quick",
        "--peers",
        "numpy",
        "--threads",
        "1",
        "--cases",
        ",".join(kinds.values()),
        "--json",
        str(path),
    ]
    assert program.main(options) == 0
    found = json.loads(Path(path).read_text())
    measured = {(r["case"], r["peer"]) for r in found["results"] if r["rounds"]}
    assert {(name, OURS) for name in kinds.values()} <= measured
    assert ("import", "numpy") in measured and found["versions"]["numpy"] == np.__version__
    out = capsys.readouterr().out
    assert all(CASES[name].title in out for name in kinds.values())


def test_the_script_for_gpus_runs_where_there_is_none(tmp_path, capsys):
    file = tmp_path / "found.json"
    chosen = "add_one_10,large_mlp_tf32"
    assert gpu.main(["--simulate", "--cases", chosen, "--json", str(file)]) == 0
    found = json.loads(file.read_text())
    assert found["machine"]["device"] == "simulate" and found["tests"]["status"] == 0
    assert [c["case"] for c in found["cases"]] == chosen.split(",")
    assert all(c["distance"] <= 1 and c["seconds"] > 0 for c in found["cases"])
    assert [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines()[-2:]] == chosen.split(",")


def test_a_stage_of_a_gpu_that_has_no_time_or_fails_says_so():
    late = gpu.Run(deadline=0.0, simulate=True, file=None)
    assert late.stage("machine", "simulate") == {"error": "no time left"}
    run = gpu.Run(deadline=float("inf"), simulate=True, file=None)
    assert "KeyError" in run.stage("case", "no such workload", "symgraph", "tiny", ".")["error"]

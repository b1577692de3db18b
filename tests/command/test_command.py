"""Every command on every tutorial, and on what is wrong: output, JSON, exit status."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import symgraph as sg
from symgraph.op import scratch_registry
from symgraph.rewrite import rule, scratch_rules
from tests.command import golden
from tests.command.commands import SHAPES, run, target

SLOW = ("profile", "check")
"""Commands that compile, or evaluate, everything again: as JSON they are asked of small graphs, below."""

USER = """
import numpy as np
import symgraph as sg

x = sg.tensor("x", "float32", (4, 3))
y = sg.log(1 + sg.exp(x)).sum()
wide = (x * sg.constant(np.array(2.0))).sum()
rooted = sg.sqrt(x)
several = [y, x * 2]
named = {"first": y, "second": x + 1}
f = sg.function([x], y, name="f")
unused = sg.function([x, sg.vector("z")], y, on_unused_input="ignore")
number = 3
index = sg.ivector("i")
picked = sg.vector("v")[index]

def build():
    return f

class Net:
    kept = y

    def __init__(self, rows=4):
        self.cost, self.inner = y, {"train": f, "deep": {"er": [x, y]}}

    def build(self):
        return {"train": f, "cost": y}

class Layer(Net):
    def __init__(self, rows):
        super().__init__()

net, layer = Net(), Layer(3)

def broken():
    return helper()

def helper():
    return 1 / 0

def takes(a):
    return a
"""


@pytest.fixture
def user(tmp_path, monkeypatch):
    (tmp_path / "user.py").write_text(USER)
    (tmp_path / "other.py").write_text("raise SystemExit('a module that was not named ran')")
    (tmp_path / "stops.py").write_text("import sys\nsys.exit(7)")
    (tmp_path / "wrong.py").write_text(
        "import symgraph as sg\n\n\ndef inner():\n    raise KeyError('mine')\n\n\ninner()"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ------------------------------------------------------------------------------------------------ on tutorials


@pytest.mark.parametrize("name", golden.NAMES)
def test_every_command_prints_its_golden_and_the_same_as_json(name, tmp_path):
    """``python -m tests.command.golden`` writes them anew; look at the difference before it is kept."""
    kept = golden.sections(name)
    assert list(kept) == [" ".join(words) for words in golden.asked(name)]
    for words in golden.asked(name):
        assert golden.shown(words, tmp_path) == kept[" ".join(words)], " ".join(words)
        if words[0] not in SLOW and "--json" not in words and "--pretty" not in words:
            with golden.alike(words, tmp_path):
                assert run(*words, "--json").data is not None


@pytest.mark.parametrize("name", SHAPES)
def test_a_tutorial_is_drawn_saved_and_compared_with_itself(name, tmp_path):
    page, saved = tmp_path / "g.html", tmp_path / "g.json"
    assert run("draw", target(name), *SHAPES[name], "-o", page).out == f"{page}\n"
    assert page.read_text().startswith("<!doctype html>")
    assert run("draw", target(name), *SHAPES[name], "-o", saved, "--json").data["nodes"] > 0
    same = run("diff", saved, saved)
    assert (same.status, same.out) == (0, "the graphs are the same\n")
    assert run("print", saved, "--pretty").status == 0


@pytest.mark.parametrize("name", ["logistic_regression", pytest.param("modern_net", marks=pytest.mark.deep)])
def test_no_rewrite_of_a_tutorial_changes_its_results(name, tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "in.npz", x=rng.random((4, 784), "float32"), y=np.eye(10, dtype="float32")[:4])
    done = run("rewrites", target(name), "--check", tmp_path / "in.npz")
    assert done.status == 0 and done.out.endswith("no step changes the result\n")


# ------------------------------------------------------------------------------------------------ one by one


@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="the test device needs a C++ compiler")
def test_code_shows_cuda_c_under_the_user_s_lines(user):
    with sg.using(device="simulate"):
        text = run("code", "user.py:f", "--backend", "cuda", "--kind", "cuda")
        (part, *_) = run("code", "user.py:f", "--backend", "cuda", "--kind", "cuda", "--json").data
        assert run("code", "user.py:f", "--backend", "cuda").out.startswith("; k0\n; user.py:6:")
        assert run("code", "user.py:f", "--backend", "cuda", "--kind", "llvm").status == 2
    assert text.status == 0 and text.out.startswith("; k0\n; user.py:6:   y = sg.log(1 + sg.exp(x)).sum()\n")
    assert "__global__" in part["code"] and part["code"].rstrip() in text.out and part["kind"] == "cuda"


def test_explain_says_what_was_left_alone_and_why():
    x = sg.vector("x")
    told = sg.explain([x * 0, x - x, x / x, sg.log(2 + x)])
    for reason in ("x * 0 stays", "x - x stays", "x / x stays", "log1p_from_log is about log(add(1, x))"):
        assert reason in "\n".join(told.left)
    assert sg.explain(sg.log(1 + x).sum()).results[1].name == "gradient by x"


def test_explain_names_the_rules_of_a_softmax_with_their_lines():
    z, y = sg.matrix("z"), sg.ivector("y")
    cost = -sg.log(sg.exp(z) / sg.exp(z).sum(axis=1, keepdims=True))[sg.arange(z.shape[0]), y].mean()
    told = sg.explain(cost)
    stable = {s.rule: s for s in told.steps if s.phase == "stabilize"}
    assert list(stable) == ["softmax_from_ratio", "log_of_softmax"]
    assert stable["log_of_softmax"].after.startswith("log_softmax(z")
    (named,) = told.named
    assert named.name == "cross-entropy" and "onehot(y)" in named.why
    for said in (*stable.values(), named):
        assert said.place.startswith("test_command.py:") and said.why and "^" in said.excerpt[-1]
    assert [r.name for r in told.results] == ["output", "gradient by z"]
    reading = "(softmax(z, axis=1) - onehot(y)) / y.shape[0]"
    assert told.results[1].reading == reading and f"in real numbers, where no axis is stretched: {reading}" in str(told)
    asked = sg.explain([cost, sg.grad(cost, z)])
    assert asked.results[1].reading == reading and not asked.left


def test_rewrites_shows_each_step_with_what_it_changed(user):
    steps = run("rewrites", "user.py:y", "--json").data
    assert [s["rule"] for s in steps if s["phase"] == "stabilize"] == ["log1p_from_log", "log1p_of_exp"]
    assert all(s["before"] != s["after"] and s["why"] for s in steps if s["phase"] == "stabilize")
    text = run("rewrites", "user.py:y").out
    assert "- log(1.0 + a)\n+ log1p(a)   where a = exp(x)" in text


def test_check_of_the_rewrites_names_the_first_that_changes_the_result(user):
    np.savez("in.npz", x=np.ones((4, 3), "float32"))
    with scratch_rules():

        @rule("stabilize")
        def wrong_softplus(x):
            """A rule that is wrong, for the test."""
            from symgraph.pattern import log1p, softplus

            return softplus(x), log1p(x)

        done = run("rewrites", "user.py:y", "--check", "in.npz", "--json")
    assert done.status == 1 and done.data["first_changed"]["rule"] == "wrong_softplus"
    # user.py:y was built before: only the bisection may say which rule it was
    assert [s["verdict"] for s in done.data["steps"]][-1] == "changed"


def test_check_of_the_rewrites_tells_a_repair_from_a_change(user):
    np.savez("in.npz", x=np.full((4, 3), 100, "float32"))
    done = run("rewrites", "user.py:y", "--check", "in.npz", "--json")
    assert done.status == 0 and "repaired" in [s["verdict"] for s in done.data["steps"]]


def test_code_shows_kernels_under_the_lines_of_the_user_in_every_form(user):
    for kind in ("kernel", "llvm", "optimized", "assembly", "graph"):
        done = run("code", "user.py:f", "--kind", kind)
        assert done.status == 0 and "user.py:6:   y = sg.log(1 + sg.exp(x)).sum()" in done.out
    one = run("code", "user.py:f", "--kernel", "k0", "--json").data
    assert [part["part"] for part in one] == ["k0"] and "k0" in one[0]["code"]
    assert run("code", "user.py:x").out == "x has no kernels: what it gives is only copied\n"


def test_memory_adds_up(user):
    data = run("memory", target("net"), *SHAPES["net"], "--json").data
    arena = [s for s in data["storages"] if s["kind"] == "arena"]
    assert data["arena"] == max(s["offset"] + s["bytes"] for s in arena)
    assert max(data["alive"]) <= data["arena"] and len(data["alive"]) == len(data["parts"])
    text = run("memory", target("net"), *SHAPES["net"]).out
    assert all(re.search(rf"^{s['name']} .*[#.]+$", text, re.MULTILINE) for s in data["storages"])


def test_profile_measures_keeps_compares_and_traces(user):
    done = run("profile", "user.py:f", "-n", "5", "-o", "old.json", "--trace", "trace.json", "--json")
    assert done.status == 0 and done.data["parts"] and done.data["seconds"] > 0
    assert done.data["parts"][0]["lines"] == ["user.py:6"]
    events = json.loads(Path("trace.json").read_text())["traceEvents"]
    assert len(events) == 5 * len(done.data["parts"]) and all(e["ph"] == "X" and e["dur"] >= 0 for e in events)
    old = json.loads(Path("old.json").read_text())
    assert run("profile", "user.py:f", "-n", "5", "--compare", "old.json", "--tol", "1e9").status == 0
    for part in [old, *old["parts"]]:
        part["seconds"] = 1e-12
    Path("fast.json").write_text(json.dumps(old))
    slow = run("profile", "user.py:f", "-n", "5", "--compare", "fast.json", "--tol", "10%")
    assert slow.status == 1 and "a call: 0.00 us before" in slow.out


@pytest.mark.parametrize("command", ["profile", "memory", "code", "check", "explain"])
def test_a_function_of_complex_arguments_is_shown_in_its_parts(user, command):
    (user / "plane.py").write_text(
        "import symgraph as sg\n\nz, x = sg.cvector('z'), sg.vector('x')\n"
        "f = sg.function([z, x], [sg.exp(z).sum() * x.sum(), abs(z)])\n"
    )
    shapes = ["--shapes", "z=4,x=3"] if command != "explain" else []
    done = run(command, "plane.py:f", *shapes)
    assert done.status in (0, 1) and not done.err and ("z.imag" in done.out or "k0" in done.out), done.err


def test_a_function_profiles_itself_and_leaves_its_shared_variables_alone():
    x = sg.tensor("x", "float32", (8, 8))
    w = sg.shared(np.ones((8, 8), "float32"), name="w")
    f = sg.function([x], (x @ w).sum(), updates=[(w, w * 2)])
    found = f.profile(np.ones((8, 8), "float32"), runs=3)
    assert found.seconds > 0 and w.get_value().sum() == 64 and found._repr_html_().startswith("<p>")
    assert sum(r.share for r in found.rows) == pytest.approx(1) and "test_command.py" in str(found)


@pytest.mark.parametrize(
    ("name", "kind", "status"),
    [("wide", "float64", 1), ("unused", "unused", 1), ("rooted", "nan", 0), ("y", None, 0), ("f", None, 0)],
)
def test_check_finds_what_is_wrong_and_says_where(user, name, kind, status):
    words = ["check", f"user.py:{name}", *(["--shapes", "z=2"] if name == "unused" else [])]
    done = run(*words, "--json")
    assert done.status == status and [p["kind"] for p in done.data["problems"]] == ([kind] if kind else [])
    text = run(*words).out
    assert kind is None or f"{kind}: {done.data['problems'][0]['text']}" in text


def test_check_finds_a_wrong_gradient(user):
    with scratch_registry():

        @sg.elementwise(grad=lambda g, x, y: [g * 3], reference=np.sin, name="my_wrong_sine")
        def my_wrong_sine(x):
            """The sine, with a wrong derivative."""
            return sg.sin(x)

        from symgraph.view.checks import check
        from symgraph.view.collect import task_of

        x = sg.tensor("x", "float64", (3,))
        found = check(task_of(my_wrong_sine(x).sum()), {x: np.ones(3)})
    assert [p.kind for p in found] == ["gradient"] and found[0].fatal


def test_diff_tells_added_removed_and_changed_nodes(user):
    x = sg.matrix("x")
    for name, y in (("a", sg.exp(x).sum(axis=0)), ("b", sg.exp(x).sum(axis=1)), ("c", sg.log(sg.exp(x).sum(axis=0)))):
        sg.draw(y, f"{name}.json")
    changed = run("diff", "a.json", "b.json", "--json")
    assert changed.status == 1 and changed.data == {"removed": [], "added": [], "changed": ["sum: axis=(0,) -> (1,)"]}
    assert [line.split("  ")[0] for line in run("diff", "a.json", "c.json", "--json").data["added"]] == ["log(sum(…))"]
    assert run("diff", "a.json", "a.json").status == 0


def test_env_says_where_each_setting_comes_from(monkeypatch, tmp_path):
    (tmp_path / "settings.toml").write_text('floatX = "float32"\nthreads = 1\nfast_math = true\n')
    environment = {**os.environ, "SYMGRAPH_CONFIG": str(tmp_path / "settings.toml"), "SYMGRAPH_THREADS": "2"}
    command = [sys.executable, "-m", "symgraph", "env", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    settings = json.loads(done.stdout)["settings"]
    assert settings["floatX"] == {"value": "float32", "from": str(tmp_path / "settings.toml")}
    assert settings["threads"] == {"value": 2, "from": "SYMGRAPH_THREADS"}
    assert settings["fast_math"]["value"] is True
    assert settings["backend"] == {"value": "llvm", "from": "default"}
    with sg.using(floatX="float16"):
        assert run("env", "--json").data["settings"]["floatX"] == {"value": "float16", "from": "configure() or using()"}
    assert "avx" in run("env").out or "cpu" in run("env").out


def test_cache_counts_verifies_and_clears(user):
    folder = user / "programs"
    with sg.using(cache=str(folder)):
        assert run("cache", "info", "--json").data["entries"] == 0
        run("code", "user.py:f")
        entries = run("cache", "info", "--json").data["entries"]
        assert entries > 0
        next(folder.iterdir()).write_bytes(b"nonsense")
        damaged = run("cache", "verify", "--json")
        assert damaged.status == 1 and damaged.data["damaged"] == 1 and damaged.data["good"] == entries - 1
        assert run("cache", "verify").status == 0
        assert run("cache", "clear", "--json").data["removed"] == entries - 1
        assert run("cache", "info", "--json").data["entries"] == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_command(shell):
    script = run("completion", shell).out
    for command in ("draw", "explain", "profile", "completion"):
        assert command in script
    if shell == "bash":
        assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0


# ------------------------------------------------------------------------------------------------ targets


@pytest.mark.parametrize(
    "name",
    ["user.py:y", "user:y", "user.py:several", "user.py:named", "user.py:named.second", "user.py:build", "user:f",
     "user.py:net.cost", "user.py:net.inner.train", "user:net.build.cost", "user.py:Net.build.train",
     "user.py:layer.kept", "user.py:Layer.kept", "user.py:layer.inner.deep.er", "user.py:layer.inner.deep.er.1",
     "user.py:several.0"],
)  # fmt: skip
def test_a_target_may_be_an_expression_several_or_a_function_or_give_one(user, name):
    before = list(sys.path)
    done = run("print", name)
    sys.modules.pop("user", None)
    assert done.status == 0 and "[id A]" in done.out and sys.path == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["print", "user.py"], "names no graph\nwrite FILE.py:NAME"),
        (["print", "nosuch.py:y"], "there is no file"),
        (["print", "nosuch.module:y"], "there is no module 'nosuch.module'; looked in\n"),
        (["print", "user.py:nosuch"], "user.py has no 'nosuch'\ngraphs in it: x, y, wide"),
        (["print", "user.py:number"], "user.py:number is an int\nname an expression"),
        (["print", "user.py:takes"], "a function that takes arguments: missing a required argument: 'a'"),
        (["print", "user.py:index.eval"], "user.py:index has no 'eval'\n"),
        (["print", "user.py:net"], "user.py:net is a Net\nname an expression"),
        (["draw", "user.py:net", "-o", "net.html"], "of symgraph.function\ngraphs in it: kept, cost"),
        (["draw", "user.py:net.nosuch", "-o", "net.html"], "user.py:net has no 'nosuch'\ngraphs in it: kept, cost"),
        (["print", "user.py:Layer.cost"], "user.py:Layer has no 'cost'\ngraphs in it: kept"),
        (["print", "user.py:takes.cost"], "is a function that takes arguments"),
        (["print", "user.py:net.inner.train.task"], "user.py:net.inner.train has no 'task'"),
        (["print", "user.py:dict"], "user.py has no 'dict'"),
        (["print", "user.py:named.third"], "user.py:named has no 'third'\ngraphs in it: first, second"),
        (["print", "nosuch.json"], "nosuch.json: No such file"),
        (["print", "user.json"], "user.json is no saved graph"),
        (["print", "stops.py:x"], "SystemExit(7)"),
        (["draw", "user.py:y", "-o", "nosuch/y.html"], "nosuch/y.html cannot be written: No such file"),
        (["draw", "user.py:y", "-o", "y"], "the suffix of the file must name a form\nknown are html"),
        (["draw", "user.py:y", "-o", "y.gif"], "there is no form 'gif'\nknown are html"),
        (["draw", "user.py:y", "-o", "y.svg", "--phase", "nosuch"], "has no phase 'nosuch'\nit has written"),
        (["memory", "user.py:picked"], "extents of v are not known: it is float64 (?,)\ngive them, e.g. --shapes v=64"),
        (["memory", "user.py:y", "--shapes", "x=3"], "x is float32 (4, 3), it cannot have the shape 3"),
        (["memory", "user.py:y", "--shapes", "q=3"], "there is no input 'q'; graph takes x"),
        (["memory", "user.py:y", "--shapes", "x=4xq"], "'x=4xq' is no shape\nwrite x=128x784"),
        (["memory", "user.py:y", "--backend", "nosuch"], "there is no backend 'nosuch'"),
        (["code", "user.py:y", "--kernel", "k99"], "there is no kernel 'k99'"),
        (["code", "user.py:y", "--kind", "nosuch"], "has no 'nosuch' code; it has graph"),
        (["profile", "user.py:y", "--compare", "nosuch.json"], "nosuch.json: No such file"),
        (["profile", "user.py:y", "--compare", "user.json"], "user.json is no profile"),
        (["profile", "user.py:y", "--inputs", "user.json"], "user.json is no file of arrays"),
        (["rewrites", "user.py:y", "--check", "nosuch.npz"], "nosuch.npz is no file of arrays"),
        (["diff", "user.py:y", "user.py:y", "--phase", "nosuch"], "graph has no phase 'nosuch'\nit has written"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_told_in_a_few_lines_and_exits_with_2(user, words, said):
    Path("user.json").write_text("{")
    done = run(*words)
    assert done.status == 2 and not done.out
    assert said in done.err and done.err.startswith(f"symgraph {words[0]}: ") and "Traceback" not in done.err


@pytest.mark.parametrize("words", [[], ["nosuch"], ["draw", "x"], ["profile", "x:y", "-n", "0"]])
def test_a_command_that_is_none_exits_with_2_and_shows_the_usage(words):
    done = run(*words)
    assert done.status == 2 and "usage: symgraph" in done.err


@pytest.mark.parametrize(
    ("words", "line"), [(["print", "wrong.py:y"], "inner()"), (["print", "user.py:broken"], "helper()")]
)
def test_an_error_in_the_module_shows_the_frames_of_its_own_code_alone(user, words, line):
    done = run(*words)
    assert done.status == 2 and "Traceback" in done.err and line in done.err
    assert "symgraph/command" not in done.err and "importlib" not in done.err


def test_an_error_of_ours_shows_the_user_s_line_and_its_words_alone(user):
    Path("shapes.py").write_text("import symgraph as sg\n\ny = sg.ones((2, 3)) @ sg.ones((2, 3))\n")
    for name in ("shapes.py:y", "shapes:y"):
        done = run("print", name)
        sys.modules.pop("shapes", None)
        assert done.status == 2 and done.err.count("  File ") == 1 and 'shapes.py", line 3' in done.err
        assert "inner sizes differ" in done.err


def test_a_name_neither_breaks_a_line_nor_speaks_to_the_terminal(user):
    Path("named.py").write_text("import symgraph as sg\n\ny = sg.exp(sg.vector('a\\n\\x1b[31mb')).sum()\n")
    for words in (["print"], ["print", "--pretty"], ["explain"], ["rewrites"], ["memory"], ["check"], ["code"]):
        shapes = ["--shapes", "a\n\x1b[31mb=3"] if words[0] in ("memory", "check", "code") else []
        done = run(words[0], "named.py:y", *words[1:], *shapes)
        assert done.status == 0 and "\x1b" not in done.out and "\nb" not in done.out, words
        sys.modules.pop("named", None)
    assert "a\\n\\x1b[31mb" in run("print", "named.py:y", "--pretty").out


def test_it_is_a_module_and_plain_where_it_is_no_terminal(user):
    command = [sys.executable, "-m", "symgraph", "code", "user.py:f"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "\033[" not in done.stdout and done.stdout.startswith("; k0\n")


def test_a_reader_that_leaves_early_is_no_error(user):
    script = f"{sys.executable} -m symgraph memory user.py:f | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr


def test_an_input_that_a_precondition_forbids_is_told(user):
    np.savez("far.npz", i=np.array([99], "int32"), v=np.ones(3))
    done = run("profile", "user.py:picked", "--inputs", "far.npz", "-n", "2")
    assert done.status == 2 and "99" not in done.out and "--inputs" in done.err

"""The public names: stated one by one, all there, and cheap to import."""

import os
import subprocess
import sys

import numpy as np
import pytest

import symgraph as sg
from symgraph import initializers, ops, variables
from symgraph.names import OURS
from tools.make_surface import PAGE, page

NAMESPACES = [sg, sg.nn, sg.linalg, sg.random, sg.optim]
ELSEWHERE = {"conv": sg.nn, "pool": sg.nn, **dict.fromkeys(["expm", "factor", "inverse", "norms"], sg.linalg)}
"""Families whose functions are public in a namespace of their own."""


@pytest.mark.parametrize("module", NAMESPACES, ids=lambda m: m.__name__)
def test_every_name_stated_is_there_once(module):
    assert len(set(module.__all__)) == len(module.__all__)
    assert not [name for name in module.__all__ if not hasattr(module, name)]


def test_every_function_of_a_family_is_public():
    for family in ops.FAMILIES:
        home = ELSEWHERE.get(family.__name__.rpartition(".")[2], sg)
        assert not set(family.__all__) - set(home.__all__), family.__name__
        assert all(getattr(home, name) is getattr(family, name) for name in family.__all__)


@pytest.mark.parametrize("module", [*NAMESPACES, initializers], ids=lambda m: m.__name__)
def test_completion_shows_the_public_names_alone(module):
    assert dir(module) == sorted(module.__all__)


@pytest.mark.parametrize("shape", [3, (2.5,), ("a",), (-1,)])
def test_a_shape_is_a_tuple_of_integers(shape):
    with pytest.raises(sg.ShapeError, match="shape"):
        sg.tensor("x", shape=shape)


@pytest.mark.parametrize("name", [*OURS, "softmax", "cholesky", "adam", "RandomStream"])
def test_another_name_of_a_function_leads_to_ours(name):
    with pytest.raises(AttributeError, match=f"no attribute '{name}'; use symgraph") as info:
        getattr(sg, name)
    found = sg
    for part in str(info.value).rpartition("symgraph.")[2].split("."):
        found = getattr(found, part)


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(sg, "no_such_thing")
    with pytest.raises(AttributeError, match=r"^module 'symgraph' has no attribute 'no_such_thing'$"):
        sg.no_such_thing  # noqa: B018


def test_a_setting_may_be_assigned():
    before = sg.floatX()
    try:
        sg.config.floatX = "float32"
        assert sg.matrix("x").dtype == sg.config.floatX() == "float32"
        assert np.zeros(3, dtype=sg.config.floatX).dtype == "float32"
        assert np.zeros(3).astype(sg.floatX).dtype == sg.zeros(3, dtype=sg.floatX).dtype == "float32"
    finally:
        sg.config.floatX = before
    with pytest.raises(AttributeError, match="there is no setting 'compute_test_value'; the settings are floatX"):
        sg.config.compute_test_value = "warn"
    with pytest.raises(ValueError, match="floatX is 'int8'"):
        sg.config.floatX = "int8"


@pytest.mark.parametrize("change", [sg.configure, lambda **changes: sg.using(**changes).__enter__()])
def test_a_setting_that_is_wrong_says_what_it_may_be(change):
    with pytest.raises(TypeError, match="no setting 'floatx'; the settings are floatX, backend, threads, cache"):
        change(floatx="float32")
    with pytest.raises(ValueError, match="must be one of float16, float32, float64"):
        change(floatX="nonsense")
    with pytest.raises(ValueError, match="threads is '2'; it must be 0"):
        change(threads="2")


@pytest.mark.parametrize("module", NAMESPACES, ids=lambda m: m.__name__)
def test_every_public_function_is_documented(module):
    assert not [n for n in module.__all__ if callable(getattr(module, n)) and not getattr(module, n).__doc__]


@pytest.mark.parametrize("prefix", variables.PREFIXES)
@pytest.mark.parametrize("kind", variables.RANKS)
def test_a_constructor_makes_what_its_name_says(prefix, kind):
    one = getattr(sg, prefix + kind)
    v = one("v")
    assert (v.name, v.static_shape) == ("v", variables.RANKS[kind])
    assert v.dtype == ("float64" if not prefix else variables.PREFIXES[prefix]) and one.__name__ == prefix + kind
    several = getattr(sg, prefix + ("matrices" if kind == "matrix" else kind + "s"))
    assert several.__name__ == prefix + ("matrices" if kind == "matrix" else kind + "s")
    assert [(w.name, w.dtype, w.ndim) for w in several("p q", dtype="int32")] == [(n, "int32", v.ndim) for n in "pq"]
    assert [(w.name, w.dtype) for w in several(2, dtype="float32")] == [(None, "float32")] * 2
    assert [m.type for m in several("a b")] == [v.type] * 2


def test_settings_by_argument_context_process_and_environment(monkeypatch):
    with sg.using(floatX="float32"):
        assert sg.scalar().dtype == "float32" and sg.config.floatX() == "float32"
        assert sg.scalar(dtype="float64").dtype == "float64"
    assert sg.scalar().dtype == "float64"
    code = "import symgraph as sg; a = sg.floatX(); sg.configure(floatX='float16'); print(a, sg.floatX())"
    environment = {**os.environ, "SYMGRAPH_FLOATX": "float32"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == ["float32", "float16"]


def test_an_import_loads_few_modules():
    """Time varies with the machine; what is loaded does not. Beyond NumPy: our own modules and a little of Python's."""
    code = "import sys, numpy; before = set(sys.modules); import symgraph; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    others = {name.split(".")[0] for name in done.stdout.split()} - {"symgraph"}
    assert not others & {"llvmlite", "networkx", "codegen", "scipy", "cupy", "numpy", "unittest", "asyncio", "secrets"}


def test_the_page_of_public_functions_is_current():
    assert PAGE.read_text(encoding="utf-8") == page(), "run python tools/make_surface.py"

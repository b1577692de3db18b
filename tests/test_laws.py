"""Every op of the registry keeps the laws, on drawn shapes, dtypes and values."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace

import pytest

import tests.cases
from symgraph.kinds import Elementwise
from symgraph.op import OPS
from tests import laws
from tests.cases import Case
from tests.cases.complexes import OF_COMPLEX

LINEAR = {
    "conv", "conv_input_grad", "conv_weight_grad", "dot", "batched_dot", "sum_pool", "sum_pool_spread", "sum",
    "sum_to", "cumsum",
}  # fmt: skip
CASES: dict[str, list[Case]] = {}
for _module in pkgutil.iter_modules(tests.cases.__path__):
    for _name, _list in importlib.import_module(f"tests.cases.{_module.name}").CASES.items():
        CASES.setdefault(_name, []).extend(replace(c, linear=_name in LINEAR) for c in _list)

EACH = [pytest.param(case, id=f"{name}-{k}") for name, cases in CASES.items() for k, case in enumerate(cases)]
EACH_ELEMENTWISE = [c for c in EACH if isinstance(OPS[c.id.rpartition("-")[0]], Elementwise)]
SEEDS = range(4)
COMPILED = {"float32": [0], "float64": [1]}
"""The draws that are compiled: a program each."""


def test_every_op_has_a_case():
    assert not [name for name in OPS if name not in CASES and name not in OF_COMPLEX]


@pytest.mark.parametrize("case", EACH)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_reference_is_the_oracle(case, dtype):
    for seed in SEEDS:
        laws.check_value(case, seed, dtype)


@pytest.mark.parametrize("case", [c for c in EACH if not str(c.id).startswith("cast-")])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_op_keeps_the_precision_of_its_inputs(case, dtype):
    laws.check_dtype(case, 0, dtype)


@pytest.mark.parametrize("case", EACH_ELEMENTWISE)
def test_elementwise_ops_take_half_precision(case):
    for seed in SEEDS:
        laws.check_value(case, seed, "float16")


@pytest.mark.parametrize("case", EACH)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_machine_code_is_the_interpreter_and_the_oracle(case, dtype):
    for seed in COMPILED[dtype]:
        laws.check_compiled(case, seed, dtype)


@pytest.mark.deep
@pytest.mark.parametrize("case", EACH)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_machine_code_is_the_interpreter_and_the_oracle_on_more_draws(case, dtype):
    for seed in set(SEEDS[:2]) - set(COMPILED[dtype]):
        laws.check_compiled(case, seed, dtype)


@pytest.mark.parametrize("case", EACH)
def test_gradients_are_those_of_central_differences(case):
    for seed in SEEDS[:2]:
        laws.check_gradient(case, seed)


@pytest.mark.deep
@pytest.mark.parametrize("case", EACH)
def test_gradients_are_those_of_central_differences_on_more_draws(case):
    for seed in SEEDS[2:]:
        laws.check_gradient(case, seed)


@pytest.mark.parametrize("case", EACH)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiled_gradients_are_the_references(case, dtype):
    laws.check_compiled_gradient(case, 0, dtype)


@pytest.mark.parametrize("case", EACH)
def test_what_is_compiled_is_of_the_lines_that_wrote_it(case):
    laws.check_places(case)

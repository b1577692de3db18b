"""The identity of a compilation: equal where the program is the same, different wherever it is not, or none at all."""

import numpy as np
import pytest

import symgraph as sg
from codegen.key import task_key
from codegen.llvm.target import Target
from symgraph import formula
from symgraph.batch import batch
from symgraph.formula import Combiner, compute
from symgraph.graph import Variable
from symgraph.kinds import Reduction, structured
from symgraph.op import OPS, scratch_registry
from symgraph.rewrite import rewriter, scratch_rules
from symgraph.types import TensorType
from tests.codegen.graphs import signature, task

X86 = Target("x86_64-linux-gnu", "x86-64-v3")


def key(outputs, inputs, target=X86):
    t = task(inputs, outputs)
    return task_key(t, signature(t), target)


@pytest.fixture
def x():
    return sg.tensor("x", "float32", (4, 5))


def test_the_same_formula_has_the_same_key(x):
    z = sg.tensor("z", "float32", (4, 5))
    assert key([sg.exp(x) + 1], [x]) == key([sg.exp(z) + 1], [z])


def test_whatever_changes_the_program_changes_the_key(x):
    y = sg.tensor("y", "float32", (4, 5))
    wide = sg.tensor("x", "float32", (4, 6))
    whole = sg.tensor("x", "int32", (4, 5))
    keys = [
        key([x + y], [x, y]), key([x - y], [x, y]), key([y - x], [x, y]), key([x + y, x], [x, y]),
        key([x + x], [x]), key([wide + wide], [wide]), key([whole + whole], [whole]), key([x + 1], [x]),
        key([x + 2], [x]), key([x + 0.0], [x]), key([x + -0.0], [x]), key([x.sum(0)], [x]), key([x.sum(1)], [x]),
        key([x + x], [x], Target("x86_64-linux-gnu", "x86-64-v4")),
        key([x + np.arange(5, dtype="float32")], [x]), key([x + np.arange(5, dtype="float32")[::-1]], [x]),
    ]  # fmt: skip
    assert None not in keys and len(set(keys)) == len(keys)


def test_another_compiler_makes_another_program(x, monkeypatch):
    ours = key([x + 1], [x])
    monkeypatch.setattr("codegen.key.COMPILER", "llvmlite 0")
    assert key([x + 1], [x]) != ours


def each_row(op, **attrs):
    """``op`` of a vector, for each row of a matrix."""
    v, rows = Variable(TensorType("float32", (5,))), sg.tensor("x", "float32", (4, 5))
    return key(batch([op(v, **attrs)], {v: rows}), [rows])


def declared(body):
    with scratch_registry():
        op = sg.elementwise(name="planted")(body)
        x = sg.tensor("x", "float32", (4, 5))
        return key([op(x)], [x]), each_row(op)


def test_an_elementwise_op_of_the_user_is_told_by_its_body():
    once, again, other = declared(lambda x: x * 2), declared(lambda x: x * 2), declared(lambda x: x * 3)
    assert once == again and None not in once
    assert once[0] != other[0] and once[1] != other[1]


def test_what_cannot_be_told_by_its_text_is_not_kept(x):
    with scratch_registry():
        op = structured(name="planted", infer=lambda x: x.type, reference=lambda x: x)(
            lambda x: compute(x.shape, lambda *i: x[i])
        )
        assert key([op(x)], [x]) is None and each_row(op) is None
        combiner = Combiner("planted", formula.SUM.identity, lambda a, b: a, formula.SUM.step)
        Reduction("total", combiner, reference=np.sum).register()
        assert key([OPS["total"](x)], [x]) is None and each_row(OPS["total"], axis=0) is None


def test_rewriters_of_the_user_are_not_told_by_their_text(x):
    with scratch_rules():
        rewriter("specialize", "exp")(lambda node, owner: None)
        assert key([x + 1], [x]) is None
    assert key([x + 1], [x]) is not None


def test_batched_ops_of_ours_are_kept():
    assert each_row(sg.exp) is not None and each_row(OPS["sum"], axis=0) is not None

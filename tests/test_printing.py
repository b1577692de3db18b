"""Text of graphs: a formula that evaluates to the very graph it was printed from, and trees that tell all."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import symgraph as sg
from symgraph.printing import DEEPEST

X, Y, V = sg.matrix("x"), sg.matrix("y"), sg.vector("v")
SPACE = {name: getattr(sg, name) for name in sg.__all__ if callable(getattr(sg, name))} | {"x": X, "y": Y, "v": V}

BINARY = [
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / b, lambda a, b: a // b,
    lambda a, b: a % b, lambda a, b: a**b, sg.maximum,
]  # fmt: skip
UNARY = [lambda a: -a, sg.exp, lambda a: a**2, lambda a: 1.5 - a, lambda a: -2 * a, lambda a: a.sum(axis=0)]


def formulas() -> st.SearchStrategy:
    leaves = st.sampled_from([X, Y, V])
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(lambda f, a, b: f(a, b), st.sampled_from(BINARY), inner, inner),
            st.builds(lambda f, a: f(a) if a.ndim else a, st.sampled_from(UNARY), inner),
        ),
        max_leaves=12,
    )


def read(text: str) -> sg.Variable:
    """The graph that the lines of ``pprint`` describe."""
    space = dict(SPACE)
    *lines, last = text.splitlines()
    for line in lines:
        exec(line, space)
    return eval(last, space)


@given(v=formulas())
def test_a_formula_read_as_python_is_the_same_graph(v):
    assert read(sg.pprint(v)) is v


@given(v=formulas())
def test_no_parentheses_are_needless(v):
    """Taking away any pair changes the graph, or is no formula."""
    text = sg.pprint(v)
    for k in [k for k, c in enumerate(text) if c == "(" and not (k and (text[k - 1].isalnum() or text[k - 1] == "_"))]:
        depth, end = 0, k
        for end in range(k, len(text)):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            if depth == 0:
                break
        bare = text[:k] + text[k + 1 : end] + text[end + 1 :]
        assert read(bare) is not v


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: X - (Y - V), "x - (y - v)"),
        (lambda: X - Y - V, "x - y - v"),
        (lambda: -(X**2), "-x ** 2.0"),
        (lambda: (-X) ** 2, "(-x) ** 2.0"),
        (lambda: (X < Y) & ~(X > 0), "(x < y) & ~(x > 0.0)"),
        (lambda: X.T @ (X @ V), "x.T @ (x @ v)"),
        (lambda: X[0] + X[:, 2], "x[0] + x[:, 2]"),
        (lambda: V[:, None] * X, "v[:, None] * x"),
        (lambda: X.max(axis=1, keepdims=True), "max(x, axis=1, keepdims=True)"),
        (lambda: X.shape[0] * 2, "x.shape[0] * 2"),
        (lambda: X.astype("float32"), "cast(x, dtype='float32')"),
        (lambda: sg.nn.softmax(X), "softmax(x, axis=1)"),
        (lambda: sg.vector() + sg.vector(), "<0: float64 (?,)> + <1: float64 (?,)>"),
        (lambda: V + np.array([1.0, 2.0]), "v + [1.0, 2.0]"),
        (lambda: X, "x"),
    ],
)
def test_formulas_read_as_on_paper(build, text):
    assert sg.pprint(build()) == text


def test_a_larger_shared_part_has_a_name_of_its_own():
    logits = X @ sg.exp(Y - 1) + V * 2
    logits.name = "logits"
    assert sg.pprint(logits / sg.log(logits)).splitlines() == [
        "logits = x @ exp(y - 1.0) + v * 2.0",
        "logits / log(logits)",
    ]


def test_the_text_is_as_long_as_the_graph_not_as_its_paths():
    v = X
    for _ in range(200):
        v = v * sg.exp(v) + v
    assert len(sg.pprint(v)) < 20_000
    assert len(sg.debugprint(v)) < 200_000


def test_a_range_is_written_as_numpy_does():
    n = sg.lscalar("n")
    written = {
        "arange(v.shape[0])": sg.arange(V.shape[0]), "arange(n)": sg.arange(n), "arange(5)": sg.arange(5),
        "arange(3, dtype='float64')": sg.arange(3.0), "arange(2, step=1, length=maximum(n - 2, 0))": sg.arange(2, n),
    }  # fmt: skip
    assert [sg.pprint(v).replace(V.name, "v") for v in written.values()] == list(written)


def test_a_chain_of_10_000_ops_prints():
    v = V
    for _ in range(5_000):
        v = sg.sin(v) + 1
    text, tree = sg.pprint(v), sg.debugprint(v)
    assert text.count("sin(") == 5_000
    assert len({line.split("[id ")[1].split("]")[0] for line in tree.splitlines()}) == 10_002
    assert max(map(len, tree.splitlines())) < 4 * DEEPEST + 100


def test_a_tree_tells_types_kinds_places_and_what_is_shared():
    w = sg.shared(np.zeros((3, 4)), name="w")
    product = X @ w
    product.name = "product"
    lines = sg.debugprint(sg.exp(product).sum(axis=1) + product[0, 0]).splitlines()
    text = "\n".join(lines)
    assert lines[0].startswith("add [id A] float64 (?,)") and "test_printing.py:" in lines[0]
    assert sum("dot [id " in line and line.endswith("...") for line in lines) == 1
    assert "'product', test_printing.py:" in text
    assert "w [id" in text and "shared" in text and "x [id" in text and "input" in text
    assert "axis=(1,), keepdims=False" in text


def test_debugprint_writes_to_a_file_and_returns_the_text():
    file = io.StringIO()
    assert sg.debugprint([X, Y], file) + "\n" == file.getvalue()
    with pytest.raises(sg.ArgumentError, match="no variable"):
        sg.debugprint([3])


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_a_function_shows_the_rewritten_graph_of_each_program(backend):
    w = sg.shared(np.zeros(3), name="w")
    f = sg.function([X], sg.log(1 + X), updates={w: w + X.sum(axis=0)}, backend=backend)
    assert "not compiled yet" in sg.debugprint(f) and "log1p [id A]" in sg.debugprint(f)
    f(np.zeros((2, 3)))
    f(np.zeros((5, 3)))
    text = sg.debugprint(f)
    varying = "(5, 3)" if backend == "numpy" else "(n0<=64, 3)"
    assert "compiled for x float64 (2, 3), w float64 (3,)" in text and f"x float64 {varying}" in text
    assert text.count("update of w: add") == 2 and text.count("output 0: log1p") == 2


# ------------------------------------------------------------------------------------------------ Print


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_print_shows_value_and_shape_and_changes_nothing(backend, capsys):
    shown = sg.Print("the sum:")(V.sum())
    f = sg.function([V], {"a": shown * 2, "b": sg.grad(shown**2, V)}, backend=backend)
    found = f([1.0, 2.0])
    assert found.keys() == {"a", "b"} and found["a"] == 6 and (found["b"] == 6).all()
    assert capsys.readouterr().out == "the sum: 3.0 float64 ()\n"
    f.copy()([4.0])
    assert capsys.readouterr().out == "the sum: 4.0 float64 ()\n"


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_print_in_an_update_shows_the_value_before_it(backend, capsys):
    w = sg.shared(1.0, name="w")
    step = sg.function([], updates={w: sg.Print("w")(w) + 1}, backend=backend)
    assert step() is None and step() is None
    assert capsys.readouterr().out == "w 1.0 float64 ()\nw 2.0 float64 ()\n"
    assert w.get_value() == 3


def test_only_print_prints(capsys):
    sg.pprint(X + 1)
    sg.debugprint(X + 1)
    sg.function([V], V + 1, backend="numpy")([1.0])
    assert capsys.readouterr().out == ""

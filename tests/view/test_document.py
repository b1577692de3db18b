"""The document says what the compiler has, at every step, and survives being written and read."""

import itertools
import json

import networkx
import pytest

import symgraph as sg
from symgraph.errors import ArgumentError, DataError, SymgraphError
from symgraph.graph import toposort
from symgraph.view import document, to_networkx
from symgraph.view.plain import from_plain, graph_of, read, to_plain
from tests.view.graphs import TUTORIALS, chain, compiled, hostile


@pytest.fixture(scope="module")
def documents():
    made = {}

    def get(name):
        if name not in made:
            f = compiled(name)
            made[name] = f, document(f)
        return made[name]

    return get


def shape_of(outputs):
    """A graph up to names: the op of each node with the numbers of its operands, in order."""
    number, rows = {}, []
    for node in toposort(outputs):
        for v in node.inputs:
            number.setdefault(v, len(number))
        rows.append((node.op.name, [number[v] for v in node.inputs]))
        for v in node.outputs:
            number.setdefault(v, len(number))
    return rows


@pytest.mark.parametrize("name", TUTORIALS)
def test_the_last_graph_is_what_was_compiled_and_the_first_what_was_written(name, documents):
    f, doc = documents(name)
    (program,) = f.programs.values()
    final = program.prepared.stages["specialize"]
    assert shape_of(list(graph_of(doc, doc.last).values())) == shape_of(final)
    assert shape_of(list(graph_of(doc).values())) == shape_of(f.task.results)


@pytest.mark.parametrize("name", TUTORIALS)
def test_every_step_leaves_a_whole_graph_and_changes_less_than_it_keeps(name, documents):
    _, doc = documents(name)
    for scene in doc.scenes:
        for before, after in itertools.pairwise(scene.steps):
            for k, inputs in after.state.inputs.items():
                assert all(ref[0] in after.state.inputs for ref in inputs), k
            if after.rule != "shapes":
                assert after.state.inputs != before.state.inputs
                gone = before.state.inputs.keys() - after.state.inputs.keys()
                assert len(gone) <= max(12, len(before.state.inputs) / 2)


@pytest.mark.parametrize("name", TUTORIALS)
def test_every_op_that_runs_is_in_a_part_and_has_bytes_and_work(name, documents):
    _, doc = documents(name)
    ops = {k for k in doc.last.inputs if doc.nodes[k].kind == "op"}
    assert ops <= {k for g in doc.groups for k in g.nodes}
    assert all(doc.nodes[k].bytes is not None and doc.nodes[k].flops is not None for k in ops)


def test_work_is_counted_as_on_paper():
    x, y = sg.tensor("x", "float32", (3, 5)), sg.tensor("y", "float32", (5, 7))
    counted = {n.op: n.flops for n in document([x @ y, (x + 1).sum(), x.T]).nodes if n.kind == "op"}
    assert (counted["dot"], counted["add"], counted["sum"], counted["dimshuffle"]) == (2 * 3 * 5 * 7, 15, 15, 0)


def test_a_step_names_what_it_changed_in_terms_of_what_it_kept():
    x = sg.matrix("x")
    steps = [s for scene in document(sg.log(1 + sg.exp(x @ x))).scenes for s in scene.steps if s.rule]
    assert [(s.rule, s.before, s.after.partition("   ")[0]) for s in steps] == [
        ("log1p_from_log", "log(1.0 + a)", "log1p(a)"),
        ("log1p_of_exp", "log1p(exp(a))", "softplus(a)"),
    ]


@pytest.mark.parametrize("name", TUTORIALS)
def test_a_document_is_the_same_after_it_was_written_and_read(name, documents, tmp_path):
    f, doc = documents(name)
    path = tmp_path / "graph.json"
    sg.draw(f, path)
    again = read(path)
    texts = [json.dumps(to_plain(again)), json.dumps(to_plain(doc)), path.read_text()]
    assert json.loads(texts[0]) == json.loads(texts[1]) == json.loads(texts[2])
    assert document(again) is again


def test_a_graph_that_was_read_computes_what_the_written_one_does():
    x = sg.vector("x")
    y = sg.nn.softmax(sg.concatenate([x, sg.constant([1.5, float("inf"), -0.0])]) * 2).sum()
    (found,) = graph_of(from_plain(json.loads(json.dumps(to_plain(document(y)))))).values()
    (leaf,) = [v for node in toposort([found]) for v in node.inputs if v.name == "x"][:1]
    values = [0.5, 2.0]
    assert str(found.eval({leaf: values})) == str(y.eval({x: values}))


def changed(data, *path, to):
    """A copy of JSON with one entry replaced."""
    data = json.loads(json.dumps(data))
    at = data
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = to
    return data


@pytest.mark.parametrize(
    ("path", "to", "message"),
    [
        (["format"], "png", "does not say that it is a symgraph graph"),
        (["version"], 99, "version is 99"),
        (["nodes", 0, "op"], "os.system", "there is no op 'os.system'"),
        (["nodes", 0, "types", 0, 0], "object", "there is no dtype 'object'"),
        (["nodes", 0, "types", 0, 1], [3], "gives float64"),
        (["nodes", 0, "id"], 5, "not numbered in order"),
        (["nodes", 0, "types"], 7, "of the wrong kind"),
        (["scenes"], [], "it has no graph"),
        (["scenes", 0, "steps", 0, "inputs", "0"], [[999, 0]], "a node that is not there"),
        (["scenes", 0, "steps", 0, "inputs", "0"], [[0, 0]], "in a circle"),
        (["scenes", 0, "steps", 0, "outputs"], [["y", 0, 9]], "of the wrong kind"),
        (["sources", 0], {"file": 1}, "of the wrong kind"),
    ],
)
def test_a_damaged_document_is_told_in_one_line(path, to, message, tmp_path):
    data = to_plain(document(sg.exp(sg.matrix("x"))))
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(changed(data, *path, to=to)))
    with pytest.raises(DataError) as told:
        read(file)
    assert message in str(told.value) and "\n" not in str(told.value)


def test_a_document_cut_anywhere_is_damaged(tmp_path):
    text = json.dumps(to_plain(document(sg.exp(sg.matrix("x")))))
    for end in range(0, len(text), 97):
        (tmp_path / "cut.json").write_text(text[:end])
        with pytest.raises(DataError):
            read(tmp_path / "cut.json")


def test_what_is_no_graph_is_refused():
    for wrong in ([], [1], {"x": "y"}, "x"):
        with pytest.raises(SymgraphError, match="is no graph"):
            document(wrong)


def test_a_phase_or_form_that_is_not_there_is_refused_by_name(tmp_path):
    x = sg.exp(sg.matrix("x"))
    with pytest.raises(ArgumentError, match="no phase 'compiled'\nit has written"):
        sg.draw(x, phase="compiled").to("txt")
    with pytest.raises(ArgumentError, match="no form 'gif'\nknown are html, svg"):
        sg.draw(x, tmp_path / "x.gif")


# ------------------------------------------------------------------------------------------------ networkx


@pytest.mark.parametrize("name", TUTORIALS)
def test_networkx_has_every_node_and_edge_and_can_write_them(name, documents, tmp_path):
    _, doc = documents(name)
    graph = to_networkx(doc)
    assert set(graph) == set(doc.last.inputs) and networkx.is_directed_acyclic_graph(graph)
    assert graph.number_of_edges() == sum(map(len, doc.last.inputs.values()))
    assert {graph.nodes[k]["output"] for k in graph if "output" in graph.nodes[k]} <= {o for o, _ in doc.last.outputs}
    networkx.write_graphml(graph, tmp_path / "g.graphml")
    networkx.write_gexf(graph, tmp_path / "g.gexf")


def test_networkx_finds_the_operands_in_order_and_takes_hostile_names(tmp_path):
    x, y = sg.matrices("x y")
    graph = to_networkx(x - y, "written")
    arguments = {d["argument"]: graph.nodes[a]["name"] for a, _, d in graph.edges(data=True)}
    assert arguments == {0: "x", 1: "y"}
    networkx.write_graphml(to_networkx(hostile()), tmp_path / "g.graphml")


def test_a_graph_of_ten_thousand_ops_in_a_row_is_no_deeper_than_one_of_ten():
    assert len(document(chain(10_000)).last.inputs) == 10_001


def test_complex_values_are_shown_as_written_and_then_taken_apart(tmp_path):
    z, x, w = sg.zvector("z"), sg.dvector("x"), sg.shared([1j, 2.0], name="w")
    y = sg.exp(z) * w + x
    f = sg.function([z, x], [y, abs(y).sum()], updates=[(w, w * 2)])
    for what in (y, [y], f):
        doc = document(what)
        assert [s.phase for s in doc.scenes[:2]] == ["written", "parts"] and "real" in doc.scenes[1].steps[0].why
        ops = {doc.nodes[k].op for k in doc.first.inputs}
        assert {"exp", "mul", "add"} <= ops and not {"sin", "cos"} & ops
        assert next(iter(graph_of(doc).values())).dtype == "complex128"
        assert {t.dtype for k in doc.real.inputs for t in doc.nodes[k].types} == {"float64"}
        assert from_plain(json.loads(json.dumps(to_plain(doc)))) == doc
        assert "parts_of_complex_values" in str(sg.explain(what)) and "exp(z) * w" in str(sg.explain(what))
    f([1j, 0], [1, 2])
    doc = document(f)
    assert [label for label, _ in doc.first.outputs] == ["output 0", "output 1", "new w"]
    parts = ["output 0.real", "output 0.imag", "output 1", "new w.real", "new w.imag"]
    assert [label for label, _ in doc.last.outputs] == parts
    for form in ("svg", "txt", "dot", "mmd", "html", "json"):
        assert sg.draw(f).to(form)
    assert not any(s.phase == "parts" for s in document(sg.exp(x)).scenes)

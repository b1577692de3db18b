"""Every form of a drawing: well formed, complete, and with names shown as they are."""

import base64
import configparser
import hashlib
import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

import symgraph as sg
from symgraph.view import document
from symgraph.view.drawing import WRITERS
from tests.view.graphs import HOSTILE, TUTORIALS, chain, compiled, hostile

GOLDENS = Path(__file__).parent / "goldens"


class Parsed(HTMLParser):
    """The elements of a page, and the text of each script, style and heading."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.attrs, self.inside = [], {}, [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attrs.append((tag, dict(attrs)))
        self.texts.setdefault(tag, []).append("")
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside:
            self.texts[self.inside][-1] += data


@pytest.mark.parametrize("name", TUTORIALS)
def test_every_form_of_a_tutorial_is_written_before_and_after_compiling(name, tmp_path):
    for what in (TUTORIALS[name].build()[0], compiled(name)):
        for form in sorted(WRITERS.keys() - {"png"}):
            text = sg.draw(what, tmp_path / f"graph.{form}").path.read_text()
            assert len(text) > 100
            if form == "svg":
                ET.fromstring(text)
            if form == "json":
                json.loads(text)


def test_a_picture_of_dots_is_a_png(tmp_path):
    pytest.importorskip("matplotlib")
    for graph in (hostile(), compiled("net")):
        drawn = sg.draw(graph, tmp_path / "g.png")
        assert drawn.path.read_bytes().startswith(b"\x89PNG\r\n")


def test_a_page_forbids_the_network_and_every_script_and_style_but_its_own():
    page = Parsed(sg.draw(hostile()).to("html"))
    (policy,) = [a["content"] for t, a in page.attrs if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    for tag in ("script", "style"):
        text = page.texts[tag][-1]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not [a for _, a in page.attrs if {"src", "href", "style", "onclick", "onload"} & a.keys()]
    assert page.tags.count("script") == 2 and "img" not in page.tags and "b" not in page.tags


def test_hostile_names_are_data_in_every_form():
    graph = hostile()
    page = Parsed(sg.draw(graph).to("html"))
    data = json.loads(page.texts["script"][0])
    assert HOSTILE in [n["name"] for n in data["nodes"]]
    svg = ET.fromstring(sg.draw(graph).to("svg"))
    assert {e.tag.rpartition("}")[2] for e in svg.iter()} == {"svg", "title", "style", "rect", "path", "g", "text"}
    assert any(HOSTILE in (e.text or "") for e in svg.iter())
    mermaid = sg.draw(graph).to("mmd")
    assert "<script" not in mermaid and "#60;#47;script" not in mermaid.partition("flowchart")[0]
    labels = re.findall(r'label="((?:[^"\\]|\\.)*)"', sg.draw(graph).to("dot"))
    assert any(label.startswith("</script>") for label in labels)


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_reads_the_dot_form():
    for graph in (hostile(), compiled("conv_net")):
        text = sg.draw(graph).to("dot")
        assert subprocess.run(["dot", "-Tsvg"], input=text, text=True, capture_output=True).returncode == 0


@pytest.mark.parametrize("form", ["html", "svg", "dot", "mmd", "txt"])
def test_a_deep_graph_is_drawn(form):
    assert sg.draw(chain(1500)).to(form)


def listing(name):
    """The graph that a tutorial predicts with, or its only one, as it was written; without lines of source."""
    functions = [f for f in TUTORIALS[name].build() if isinstance(f, sg.Function)]
    text = sg.draw(functions[-1], phase="written").to("txt")
    return re.sub(r"  \w+\.py:\d+$", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("name", TUTORIALS)
def test_the_listing_of_a_tutorial_is_its_golden(name):
    """``python -m tests.view.goldens.make`` writes them anew; look at the difference before it is kept."""
    assert listing(name) == (GOLDENS / f"{name}.txt").read_text()


def test_notebooks_show_expressions_functions_and_drawings():
    x = sg.matrix("x")
    f = sg.function([x], sg.exp(x))
    for what in (x, sg.exp(x), f, sg.draw(f)):
        assert what._repr_html_().startswith("<svg ") and repr(what)
    assert f._repr_svg_() == f._repr_html_()
    assert sg.explain(f)._repr_html_().startswith("<pre>")


def test_a_drawing_prints_as_its_listing_and_holds_the_document():
    drawn = sg.draw(sg.exp(sg.matrix("x")))
    assert str(drawn) == drawn.to("txt") and drawn.document.title == document(drawn.document).title


def test_importing_symgraph_loads_nothing_that_draws():
    code = "import sys, symgraph; print(*[m for m in sys.modules if m.startswith(('symgraph.view', 'networkx'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_an_installation_holds_what_a_page_is_made_of():
    settings = configparser.ConfigParser()
    settings.read(Path(__file__).parents[2] / "setup.cfg")
    package = Path(sg.__file__).parent / "view"
    held = set(package.glob(settings["options.package_data"]["symgraph.view"]))
    assert {p for p in package.rglob("*") if p.suffix in (".html", ".css", ".js")} <= held

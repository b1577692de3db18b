"""The page in a real browser: no word on the console, and everything reachable with the mouse, keys and a reader."""

import json
import os
from pathlib import Path

import pytest

import symgraph as sg
from symgraph.view.page import CROWDED
from tests.view.browser import CHROMIUM, Browser
from tests.view.graphs import HOSTILE, compiled, hostile, network

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here; apt-get install chromium")


@pytest.fixture(scope="module")
def browser():
    made = Browser()
    yield made
    made.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    made = {}
    graphs = {"net": lambda: compiled("net"), "hostile": hostile, "deep": deep}

    def get(name):
        if name not in made:
            made[name] = sg.draw(graphs[name](), folder / f"{name}.html")
        return made[name]

    return get


def deep():
    """A training function of more than a thousand nodes."""
    f = network(60)
    f.compile(*[[[0.5] * 8] * 4] * 2)
    return f


@pytest.fixture
def page(browser, pages):
    def load(name, fragment=""):
        browser.said.clear()
        browser.open(pages(name).path, fragment)
        assert browser.said == []
        return browser

    yield load
    assert browser.said == [], "the console must be silent"


def chosen(browser):
    return browser.run("document.querySelector('#panel h2').textContent")


@pytest.mark.parametrize("name", ["net", "hostile", "deep"])
def test_a_page_loads_without_a_word_and_without_the_network(page, name):
    b = page(name)
    assert b.run("document.querySelectorAll('#world .node, #world .box').length") > 3
    assert not b.run("performance.getEntriesByType('resource').length")


def test_the_steps_go_by_with_j_and_k_and_the_slider(page):
    b = page("net")
    last = b.run("Number(document.getElementById('step').max)")
    b.press("k")
    assert b.run("document.getElementById('step').valueAsNumber") == last - 1
    b.press("j", "j")
    assert b.run("document.getElementById('step').valueAsNumber") == last
    seen = set()
    for k in range(last + 1):
        b.run(f"(s => {{ s.value = {k}; s.dispatchEvent(new Event('input')); }})(document.getElementById('step'))")
        seen.add(b.run("document.getElementById('said').textContent.split(' ')[0]"))
    assert {"written", "stabilize:", "expand:", "compiled"} <= seen


def test_a_step_colours_what_came_and_what_went(page):
    b = page("hostile")
    b.press("k", "j")
    assert b.run("document.querySelectorAll('.node.new').length") >= 1
    assert b.run("document.querySelectorAll('.node.gone').length") >= 1
    assert "log1p_of_exp" in b.run("document.getElementById('said').textContent")


def test_search_finds_by_op_shape_name_and_line(page):
    b = page("net")
    for query, least in (("dot", 3), ("float32 (8, 10)", 2), ("x input", 1), ("net.py", 3), ("nothing-like-it", 0)):
        b.press("/")
        assert b.run("document.activeElement.id") == "search"
        b.run("document.getElementById('search').value = ''")
        b("Input.insertText", text=query)
        count = int(b.run("document.getElementById('found').textContent").split()[0])
        assert count >= least and (least or not count)
        assert bool(b.run("document.querySelectorAll('.found').length")) == bool(least)
        b.press("Escape")


def test_enter_in_the_search_goes_to_a_hit(page):
    b = page("net")
    b.press("/")
    b("Input.insertText", text="dot")
    b.press("Enter")
    assert chosen(b) == "dot" and "net.py" in b.run("document.getElementById('panel').textContent")


def test_groups_close_and_open(page):
    b = page("net")
    opened = b.run("document.querySelectorAll('.box.open').length")
    assert opened > 2
    b.run("document.getElementById('close-all').click()")
    assert b.run("document.querySelectorAll('.box.closed').length") == opened
    assert b.run("document.querySelectorAll('.box.open').length") == 0
    b.run("document.querySelector('.box.closed').focus()")
    b.press("Enter")
    assert b.run("document.querySelectorAll('.box.open').length") == 1
    assert b.run("document.activeElement.getAttribute('aria-expanded')") == "true"
    assert "kernel k" in b.run("document.getElementById('panel').textContent")


def test_arrows_walk_the_graph_and_enter_shows_a_node(page):
    b = page("hostile")
    b.run("document.querySelector('#world [tabindex=\"0\"]').focus()")
    for key in ("ArrowDown", "ArrowDown", "ArrowUp", "ArrowDown"):
        b.press(key)
        assert b.run("document.activeElement.classList.contains('node')")
    b.press("Enter")
    assert b.run("document.activeElement.classList.contains('chosen')")
    assert chosen(b) in b.run("document.activeElement.querySelector('title').textContent")
    assert b.run("document.querySelectorAll('#world [tabindex=\"0\"]').length") == 1


def test_hostile_names_are_shown_as_they_are(page):
    b = page("hostile")
    assert b.run("document.title") == "graph - symgraph"
    assert b.run("document.querySelectorAll('img, #world b, #panel b, #panel script').length") == 0
    assert HOSTILE in b.run("data.nodes.map((n) => n.name)")
    b.run(f"choose(data.nodes.find((n) => n.name === {json.dumps(HOSTILE)}).id)")
    assert HOSTILE in b.run("document.getElementById('panel').textContent")


def test_the_address_holds_the_state(page, browser):
    b = page("net")
    b.press("k", "k", "h")
    b.run("choose(drawn.shown[4])")
    b.run("new Promise((done) => setTimeout(done, 300))")
    state = "JSON.stringify([view.frame, view.heat, view.chosen, view.scale.toFixed(3)])"
    fragment, before = b.run("location.hash"), b.run(state)
    assert page("net", fragment).run(state) == before


@pytest.mark.parametrize("fragment", ["#step=999999&open=nonsense&chosen={", "#step=-1&group=x&heat=y&at=1,2", "#%%%"])
def test_a_wrong_address_is_no_error(page, fragment):
    assert page("net", fragment).run("document.querySelectorAll('.node').length") > 3


def test_heat_colours_by_bytes_and_work(page):
    b = page("net")
    b.run("(h => { h.value = 'flops'; h.dispatchEvent(new Event('change')); })(document.getElementById('heat'))")
    assert b.run("[...document.querySelectorAll('.node rect')].filter((r) => r.style.fill).length") > 3


def test_a_thousand_nodes_open_closed_by_the_user_s_functions_and_can_be_opened_and_dragged(page):
    b = page("deep")
    assert b.run("nodeCount(frames[frames.length - 1])") > max(1000, CROWDED)
    assert b.run("view.grouping") == "source" and b.run("document.querySelectorAll('.box.closed').length") >= 1
    assert b.run("document.querySelectorAll('.node').length") < 400
    b.run("document.getElementById('open-all').click()")
    assert b.run("document.querySelectorAll('.node').length") > 1000
    before = b.run("[view.x, view.y]")
    b.mouse("mousePressed", 500, 500, button="left", clickCount=1)
    for k in range(10):
        b.mouse("mouseMoved", 500 + 9 * k, 500 + 5 * k, button="left", buttons=1)
    b.mouse("mouseReleased", 581, 545, button="left", clickCount=1)
    after = b.run("[view.x, view.y]")
    assert (after[0] - before[0], after[1] - before[1]) == (81, 45)


def test_what_is_far_from_the_window_is_not_painted_and_comes_back(page):
    b = page("deep")
    b.run("document.getElementById('open-all').click()")
    every = b.run("drawn.elements.size")
    painted = "document.querySelectorAll('#world .node:not(.out), #world .box:not(.out)').length"
    lengths = "drawn.edges.map((e) => e.path.getTotalLength())"
    b.run("fit()")
    whole = b.run(lengths)
    assert b.run(painted) == every
    b.run("zoomAtCentre(1 / view.scale)")
    assert 0 < b.run(painted) < every / 10
    # a window and its margins are about two windows wide and high
    near = "drawn.edges.filter((e) => !e.path.classList.contains('out')).map((e) => e.path.getTotalLength())"
    assert 0 < max(b.run(near)) < 4 * 2 * 1400 < max(whole)
    b.run("focusOn(drawn.shown[0])")
    assert b.run("document.activeElement.getBoundingClientRect().width") > 0
    b.run("fit()")
    assert b.run(painted) == every and b.run(lengths) == pytest.approx(whole, rel=1e-6)


def test_the_cut_part_of_a_curve_is_that_part(page):
    b = page("net")
    b.run("globalThis.whole = [[0, 0], [0, 5000], [3000, 5000], [3000, 10000]]")
    b.run("globalThis.part = within(whole, [1000, 4000, 1600, 6000])")
    first, last = b.run("[part[0], part[3]]")
    assert first[1] < last[1] and first[0] <= 1000 and last[0] >= 1600
    # points of the part lie on the whole curve: a distance of samples 1/4000 apart
    b.run("globalThis.many = Array.from({length: 4001}, (_, i) => along(whole, i / 4000))")
    nearest = "((p) => Math.min(...many.map(([x, y]) => Math.hypot(x - p[0], y - p[1]))))(along(part, {t}))"
    assert max(b.run(nearest.format(t=t)) for t in (0, 0.3, 0.5, 0.9, 1)) < 3
    assert b.run("within(whole, [5000, 0, 6000, 100])") is None
    assert b.run("within(whole, [-10, -10, 9999, 10001])") == [[0, 0], [0, 5000], [3000, 5000], [3000, 10000]]


def test_the_wheel_zooms_about_the_pointer(page):
    b = page("net")
    top = "picture.getBoundingClientRect().top"
    there = f"[(400 - view.x) / view.scale, (400 - view.y - {top}) / view.scale]"
    before, scale = b.run(there), b.run("view.scale")
    b("Input.dispatchMouseEvent", type="mouseWheel", x=400, y=400, deltaX=0, deltaY=-300)
    assert b.run("view.scale") > scale
    assert b.run(there) == pytest.approx(before, abs=1e-6)


def axe():
    """The accessibility checker's script: where AXE_CORE says, or where npm puts it globally."""
    known = [os.environ.get("AXE_CORE", ""), "/usr/local/lib/node_modules/axe-core/axe.min.js"]
    return next((Path(p) for p in known if p and Path(p).is_file()), None)


@pytest.mark.skipif(axe() is None, reason="no axe-core here; npm install -g axe-core, or name axe.min.js in AXE_CORE")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["net", "hostile", "deep"])
def test_the_accessibility_checker_finds_nothing(page, browser, name, scheme):
    browser.emulate(scheme)
    b = page(name)
    b.run("choose(drawn.shown[0])")
    # the page's policy lets no script in; what the developer tools evaluate is not of the page
    b("Runtime.evaluate", expression=axe().read_text())
    found = b.run("axe.run().then((r) => r.violations.map((v) => [v.id, v.nodes.map((n) => n.html.slice(0, 200))]))")
    browser.emulate("light")
    assert found == []

"""Laws of the layered layout, on drawn graphs."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from symgraph.view.layout import GAP, LONGEST, arrange, arrange_both, nondecreasing

SIZES = st.tuples(st.floats(10, 200), st.floats(10, 60))


@st.composite
def graphs(draw, acyclic=True):
    n = draw(st.integers(1, 14))
    sizes = dict(enumerate(draw(st.lists(SIZES, min_size=n, max_size=n))))
    pairs = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=30))
    return sizes, [(min(p), max(p)) for p in pairs] if acyclic else pairs


@given(graphs(acyclic=False))
def test_boxes_keep_their_distance_and_lie_inside_the_drawing(graph):
    sizes, edges = graph
    drawing = arrange(sizes, edges)
    assert drawing.at.keys() == sizes.keys()
    for (a, (xa, ya)), (b, (xb, yb)) in itertools.combinations(drawing.at.items(), 2):
        wide = (sizes[a][0] + sizes[b][0]) / 2 + GAP
        high = (sizes[a][1] + sizes[b][1]) / 2
        assert abs(xa - xb) >= wide - 0.2 or abs(ya - yb) >= high  # coordinates are rounded to a tenth
    for k, (x, y) in drawing.at.items():
        w, h = sizes[k]
        assert x - w / 2 >= -0.2 and x + w / 2 <= drawing.width + 0.2
        assert y - h / 2 >= -0.2 and y + h / 2 <= drawing.height + 0.2


@given(graphs())
def test_edges_without_a_cycle_go_down_from_border_to_border(graph):
    sizes, edges = graph
    drawing = arrange(sizes, edges)
    for a, b in edges:
        if a != b:
            assert drawing.rows[a] < drawing.rows[b]
            points = drawing.routes[a, b]
            assert [y for _, y in points] == sorted(y for _, y in points)
            assert points[0][0] == drawing.at[a][0] and points[-1][0] == drawing.at[b][0]
            span = drawing.rows[b] - drawing.rows[a]
            assert len(points) == (span + 1 if span <= LONGEST else 2)


@given(graphs(acyclic=False))
def test_two_sizes_of_the_same_boxes_have_one_order(graph):
    sizes, edges = graph
    small, large = arrange_both(sizes, {k: (3 * w, 2 * h) for k, (w, h) in sizes.items()}, edges)
    assert small.rows == large.rows
    for a, b in itertools.permutations(sizes, 2):
        if small.rows[a] == small.rows[b]:
            assert (small.at[a][0] < small.at[b][0]) == (large.at[a][0] < large.at[b][0])


def test_a_chain_is_straight_and_two_chains_do_not_cross():
    sizes = dict.fromkeys(range(10), (50.0, 20.0))
    chains = [(k, k + 2) for k in range(8)]
    drawing = arrange(sizes, chains)
    for parity in (0, 1):
        assert len({drawing.at[k][0] for k in range(parity, 10, 2)}) == 1


def test_an_empty_graph_has_an_empty_drawing():
    assert arrange({}, []).at == {}


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=6))
def test_pooled_violators_are_the_nearest_nondecreasing_numbers(wishes):
    found = nondecreasing(wishes)
    assert all(a <= b for a, b in itertools.pairwise(found))
    cost = sum((a - b) ** 2 for a, b in zip(found, wishes, strict=True))
    # the best is constant on runs, each the mean of its wishes: try every way to cut them
    for cuts in itertools.product([False, True], repeat=len(wishes) - 1):
        runs = [[wishes[0]]]
        for wish, cut in zip(wishes[1:], cuts, strict=True):
            runs.append([wish]) if cut else runs[-1].append(wish)
        tried = [sum(run) / len(run) for run in runs for _ in run]
        if all(a <= b for a, b in itertools.pairwise(tried)):
            assert cost <= sum((a - b) ** 2 for a, b in zip(tried, wishes, strict=True)) + 1e-9

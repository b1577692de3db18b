"""The places of pieces in the arena, against a search of every place where one could lie."""

from hypothesis import given
from hypothesis import strategies as st

from codegen.arena import most_alive, pack

STEPS = 12
spans = st.tuples(st.integers(0, STEPS - 1), st.integers(0, STEPS - 1)).map(lambda ends: (min(ends), max(ends)))
pieces = st.lists(st.tuples(spans, st.integers(0, 40).map(lambda n: 64 * n)), max_size=40)


def meet(one, other):
    """Whether two ranges, both ends included, have something in common."""
    return one[0] <= other[1] and other[0] <= one[1]


def free(at, size, busy):
    return all(at + size <= start or end <= at for start, end in busy)


@given(pieces)
def test_large_pieces_come_first_and_each_lies_at_the_lowest_place_free_for_its_life(drawn):
    lives = {f"m{k}": span for k, (span, _) in enumerate(drawn)}
    sizes = {f"m{k}": size for k, (_, size) in enumerate(drawn)}
    offsets = pack(lives, sizes)
    placed = []
    for s in sorted(lives, key=lambda s: (-sizes[s], lives[s], s)):
        busy = [(offsets[p], offsets[p] + sizes[p]) for p in placed if meet(lives[p], lives[s])]
        places = sorted({0, *(end for _, end in busy)})
        assert offsets[s] == next(at for at in places if free(at, sizes[s], busy))
        placed.append(s)


@given(pieces)
def test_the_most_alive_is_the_largest_sum_of_a_step(drawn):
    lives, sizes = dict(enumerate(s for s, _ in drawn)), dict(enumerate(n for _, n in drawn))
    alive = [sum(sizes[p] for p in lives if meet(lives[p], (k, k))) for k in range(STEPS)]
    assert most_alive(lives, sizes) == max(alive)

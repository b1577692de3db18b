"""Layered drawing of a directed graph: ranks from top to bottom, few crossings, edges as straight as can be.

    rank: longest path from the sources; a source moves down to its first reader
    order: barycentres of the neighbours, sweeping down and up, then swaps of neighbours that lessen crossings
    place: along a rank, the least squares to the mean of the neighbours that keep boxes apart

An edge over several ranks goes through a point in each; one over very many, as from a value to its gradient, is a
single curve that moves nothing, or the points would outnumber the boxes.

References
----------
Sugiyama, Tagawa, Toda (1981), "Methods for visual understanding of hierarchical system structures".
Barlow, Bartholomew, Bremner, Brunk (1972), "Statistical inference under order restrictions" (pooling violators).
"""

from __future__ import annotations

import itertools
from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

GAP, RANK_GAP, POINT = 18.0, 46.0, 6.0
SWEEPS, SWAPS, STRAIGHTENINGS = 6, 2, 4
LONGEST = 10  # ranks that an edge may pass by points

Key = int | str
Size = tuple[float, float]
Edge = tuple[Key, Key]
Point = tuple[float, float]


@dataclass
class Drawing:
    """Where boxes and edges are: centres, and the points of each edge from above to below.

    Attributes
    ----------
    at : dict
        Box -> its centre.
    routes : dict
        Edge -> its points; the ends are on the borders of the boxes.
    rows : dict
        Box -> its rank.
    width, height : float
    """

    at: dict[Key, Point] = field(default_factory=dict)
    routes: dict[Edge, list[Point]] = field(default_factory=dict)
    rows: dict[Key, int] = field(default_factory=dict)
    width: float = 0.0
    height: float = 0.0


def arrange(sizes: Mapping[Key, Size], edges: Iterable[Edge]) -> Drawing:
    """Lay a graph out.

    Parameters
    ----------
    sizes : mapping
        Box -> width and height.
    edges : iterable of (box, box)
        Drawn downwards; those that close a cycle go up.
    """
    if not sizes:
        return Drawing()
    links = _without_cycles(list(sizes), dict.fromkeys(e for e in edges if e[0] != e[1]))
    ranks = _ranks(list(sizes), links)
    return _Layers(sizes, links, ranks).drawing()


def arrange_both(
    sizes: Mapping[Key, Size], others: Mapping[Key, Size], edges: Iterable[Edge]
) -> tuple[Drawing, Drawing]:
    """Two layouts that differ in the sizes of the boxes alone: every rank has one order."""
    if not sizes:
        return Drawing(), Drawing()
    links = _without_cycles(list(sizes), dict.fromkeys(e for e in edges if e[0] != e[1]))
    layers = _Layers(sizes, links, _ranks(list(sizes), links))
    first = layers.drawing()
    layers.resize(others)
    return first, layers.placed()


def _without_cycles(boxes: Sequence[Key], edges: Iterable[Edge]) -> dict[Edge, Edge]:
    """Edge of an acyclic graph -> the edge as given: those that lead back to where a walk is are turned round."""
    after: dict[Key, list[Key]] = {b: [] for b in boxes}
    for a, b in edges:
        after[a].append(b)
    state: dict[Key, int] = {}
    links: dict[Edge, Edge] = {}
    for root in boxes:
        waiting = [root]
        while waiting:
            a = waiting[-1]
            if a in state:
                waiting.pop()
                state[a] = 2
                continue
            state[a] = 1
            for b in after[a]:
                back = state.get(b) == 1
                links[(b, a) if back else (a, b)] = (a, b)
                if b not in state:
                    waiting.append(b)
    return links


def _ranks(boxes: Sequence[Key], links: Iterable[Edge]) -> dict[Key, int]:
    """The longest path to each box; a source stands right above its first reader."""
    before: dict[Key, list[Key]] = {b: [] for b in boxes}
    after: dict[Key, list[Key]] = {b: [] for b in boxes}
    for a, b in links:
        before[b].append(a)
        after[a].append(b)
    missing = {b: len(before[b]) for b in boxes}
    ready = [b for b in boxes if not missing[b]]
    ranks: dict[Key, int] = dict.fromkeys(ready, 0)
    for a in ready:
        for b in after[a]:
            ranks[b] = max(ranks.get(b, 0), ranks[a] + 1)
            missing[b] -= 1
            if not missing[b]:
                ready.append(b)
    for b in boxes:
        if not before[b] and after[b]:
            ranks[b] = min(ranks[c] for c in after[b]) - 1
    return ranks


class _Layers:
    """Boxes and the points of long edges, in ranks; both are numbered."""

    def __init__(self, sizes: Mapping[Key, Size], links: Mapping[Edge, Edge], ranks: Mapping[Key, int]) -> None:
        self.sizes, self.links, self.ranks = sizes, links, ranks
        self.number = {b: k for k, b in enumerate(sizes)}
        self.width = [w for w, _ in sizes.values()]
        self.rank = [ranks[b] for b in sizes]
        self.up: list[list[int]] = [[] for _ in sizes]
        self.down: list[list[int]] = [[] for _ in sizes]
        self.paths = {link: self._path(link) for link in links}
        self.rows: list[list[int]] = [[] for _ in range(max(self.rank) + 1)]
        self.x = [0.0] * len(self.rank)

    def _path(self, link: Edge) -> list[int]:
        """The numbers that an edge goes through, those of its ends included."""
        a, b = self.number[link[0]], self.number[link[1]]
        if self.rank[b] - self.rank[a] > LONGEST:
            return [a, b]
        path = [a]
        for rank in range(self.rank[a] + 1, self.rank[b]):
            path.append(len(self.rank))
            self.rank.append(rank)
            self.width.append(POINT)
            self.up.append([])
            self.down.append([])
        path.append(b)
        for one, other in itertools.pairwise(path):
            self.down[one].append(other)
            self.up[other].append(one)
        return path

    def drawing(self) -> Drawing:
        self._fill()
        self._order()
        return self.placed()

    def placed(self) -> Drawing:
        """The drawing in the order that was found."""
        self._place()
        return self._drawn()

    def resize(self, sizes: Mapping[Key, Size]) -> None:
        """Other sizes of the same boxes."""
        self.sizes = sizes
        for b, (w, _) in sizes.items():
            self.width[self.number[b]] = w

    def _fill(self) -> None:
        """Rows in the order of a walk from the top: what hangs together starts together."""
        seen: set[int] = set()
        for root in sorted(range(len(self.sizes)), key=lambda k: (self.rank[k], k)):
            waiting = [root]
            while waiting:
                k = waiting.pop()
                if k not in seen:
                    seen.add(k)
                    self.rows[self.rank[k]].append(k)
                    waiting += reversed(self.down[k] + self.up[k])

    # ---------------------------------------------------------------------------------------- order

    def _order(self) -> None:
        best, fewest = [list(row) for row in self.rows], self._crossings()
        for sweep in range(SWEEPS):
            if not fewest:
                break
            self._sweep(downwards=sweep % 2 == 0)
            if sweep >= SWEEPS - SWAPS:
                self._swap()
            found = self._crossings()
            if found < fewest:
                best, fewest = [list(row) for row in self.rows], found
        self.rows = best

    def _sweep(self, downwards: bool) -> None:
        rows = self.rows[1:] if downwards else self.rows[-2::-1]
        near = self.up if downwards else self.down
        position = self._positions()
        for row in rows:
            mean = {k: _mean([position[n] for n in near[k]], position[k]) for k in row}
            row.sort(key=mean.__getitem__)
            position.update((k, float(i)) for i, k in enumerate(row))

    def _positions(self) -> dict[int, float]:
        return {k: float(i) for row in self.rows for i, k in enumerate(row)}

    def _crossings(self) -> int:
        position = self._positions()
        return sum(_crossed([(position[k], position[n]) for k in row for n in self.down[k]]) for row in self.rows)

    def _swap(self) -> None:
        """Exchange neighbours of a row wherever fewer edges cross afterwards."""
        position = self._positions()
        for row in self.rows:
            for i in range(len(row) - 1):
                a, b = row[i], row[i + 1]
                gain = sum(
                    _pairs(near[a], near[b], position) - _pairs(near[b], near[a], position)
                    for near in (self.up, self.down)
                )
                if gain > 0:
                    row[i], row[i + 1] = b, a
                    position[a], position[b] = position[b], position[a]

    # ---------------------------------------------------------------------------------------- place

    def _place(self) -> None:
        for row in self.rows:
            self._settle(row, lambda k: 0.0)
        for turn in range(STRAIGHTENINGS):
            rows = self.rows if turn % 2 == 0 else self.rows[::-1]
            near = self.up if turn % 2 == 0 else self.down
            for row in rows:
                self._settle(row, lambda k, near=near: _mean([self.x[n] for n in near[k]], self.x[k]))  # type: ignore[misc]
        for row in self.rows:
            self._settle(row, lambda k: _mean([self.x[n] for n in (*self.up[k], *self.down[k])], self.x[k]))

    def _settle(self, row: Sequence[int], wish: Callable[[int], float]) -> None:
        """The places nearest to the wishes that keep the order and the gaps."""
        offsets = [0.0]
        for a, b in itertools.pairwise(row):
            offsets.append(offsets[-1] + (self.width[a] + self.width[b]) / 2 + GAP)
        placed = nondecreasing([wish(k) - o for k, o in zip(row, offsets, strict=True)])
        for k, x, o in zip(row, placed, offsets, strict=True):
            self.x[k] = x + o

    def _drawn(self) -> Drawing:
        boxes = list(self.sizes)
        heights = [max((self.sizes[boxes[k]][1] for k in row if k < len(boxes)), default=0.0) for row in self.rows]
        tops = [sum(heights[:r]) + RANK_GAP * r for r in range(len(heights))]
        middle = [top + h / 2 for top, h in zip(tops, heights, strict=True)]
        left = min(x - w / 2 for x, w in zip(self.x, self.width, strict=True))
        right = max(x + w / 2 for x, w in zip(self.x, self.width, strict=True))
        at = [(round(x - left, 1), round(middle[r], 1)) for x, r in zip(self.x, self.rank, strict=True)]
        routes = {given: self._route(link, given, at) for link, given in self.links.items()}
        drawn = {b: at[k] for b, k in self.number.items()}
        rows = {b: self.rank[k] for b, k in self.number.items()}
        return Drawing(drawn, routes, rows, round(right - left, 1), round(tops[-1] + heights[-1], 1))

    def _route(self, link: Edge, given: Edge, at: Sequence[Point]) -> list[Point]:
        points = [at[k] for k in self.paths[link]]
        (x0, y0), (x1, y1) = points[0], points[-1]
        points[0] = x0, round(y0 + self.sizes[link[0]][1] / 2, 1)
        points[-1] = x1, round(y1 - self.sizes[link[1]][1] / 2, 1)
        return points if link == given else points[::-1]


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _crossed(edges: list[Point]) -> int:
    """How many pairs of edges between two rows cross."""
    edges.sort()
    ends: list[float] = []
    found = 0
    for _, end in edges:
        found += len(ends) - bisect_right(ends, end)
        insort(ends, end)
    return found


def _pairs(left: Sequence[int], right: Sequence[int], position: Mapping[int, float]) -> int:
    """Crossings between the edges of two neighbours."""
    return sum(position[a] > position[b] for a in left for b in right)


def nondecreasing(wishes: Sequence[float]) -> list[float]:
    """The nondecreasing numbers with the least sum of squared distances to ``wishes``: violators are pooled."""
    pools: list[tuple[float, int]] = []
    for wish in wishes:
        total, count = wish, 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            more, n = pools.pop()
            total, count = total + more, count + n
        pools.append((total, count))
    return [total / count for total, count in pools for _ in range(count)]

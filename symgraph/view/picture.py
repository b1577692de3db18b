"""Pictures of a graph as it ends: SVG, and PNG from the same layout."""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from symgraph.view.document import Document, State
from symgraph.view.figure import empty_figure
from symgraph.view.frames import HEAD, Box, Frame, by_kernel, frame, type_text
from symgraph.view.layout import Point, Size

MARGIN = 16.0
TEXT_WIDTH = 6.8  # of a character, to know where a title must be cut
COLOURS = {"op": "#eef1f7", "input": "#d5e6fd", "shared": "#d8f0dc", "constant": "#ececec"}
INK, SOFT, LINE, PAPER = "#1c2330", "#565f70", "#8b95a7", "#f7f8fb"
STYLE = f"""
  text {{ font: 13px system-ui, "DejaVu Sans", sans-serif; fill: {INK}; text-anchor: middle; }}
  .type {{ font: 10.5px ui-monospace, "DejaVu Sans Mono", monospace; fill: {SOFT}; }}
  .name {{ font-weight: 600; font-size: 12px; text-anchor: start; }}
  .edge {{ fill: none; stroke: {LINE}; stroke-width: 1.2; }}
  .paper {{ fill: #ffffff; }} .group {{ fill: {PAPER}; stroke: {LINE}; }}
  {" ".join(f".{kind} {{ fill: {colour}; stroke: #c3cad6; }}" for kind, colour in COLOURS.items())}
  .result {{ stroke: #1456c0; stroke-width: 2.5; }}
  @media (prefers-color-scheme: dark) {{
    text {{ fill: #e8ebf1; }} .type {{ fill: #a9b2c1; }} .paper {{ fill: #14171d; }} .group {{ fill: #191d25; }}
    .op {{ fill: #262d39; }} .input {{ fill: #1d3a63; }} .shared {{ fill: #1e4a30; }} .constant {{ fill: #33363c; }}
  }}
"""


@dataclass(frozen=True)
class Placed:
    """A picture before it is written: centres and sizes of everything, and the points of the edges."""

    frame: Frame
    state: State
    at: Mapping[int, Point]
    boxes: Sequence[tuple[Box, Point]]
    edges: Sequence[Sequence[Point]]
    width: float
    height: float


def place(doc: Document, phase: str | None = None) -> Placed:
    """The graph at the end of a phase, laid out; the last in boxes for the parts of the program."""
    state = doc.state(phase)
    f = frame(doc, [state])
    if phase is not None or not doc.groups:
        flat = f.flat()
        at = {int(k): p for k, p in flat.at.items()}
        return Placed(f, state, at, (), list(flat.routes.values()), flat.width, flat.height)
    return _in_boxes(f, state, by_kernel(doc))


def _in_boxes(f: Frame, state: State, grouping: Mapping[int, str]) -> Placed:
    boxes = f.boxes(grouping)
    _, outer = f.outer(boxes, grouping)
    at: dict[int, Point] = {}
    for key, box in boxes.items():
        x, y = outer.at[key]
        left, top = x - box.open[0] / 2 + box.left, y - box.open[1] / 2 + (HEAD if box.framed else 0)
        at.update((k, (left + box.inner.at[k][0], top + box.inner.at[k][1])) for k in box.members)
    framed = [(box, outer.at[key]) for key, box in boxes.items() if box.framed]
    edges = [_between(at[a], f.sizes[a], at[b], f.sizes[b]) for a, b in f.edges]
    return Placed(f, state, at, framed, edges, outer.width, outer.height)


def _between(a: Point, size_a: Size, b: Point, size_b: Size) -> list[Point]:
    """From the border of one box to that of another."""
    sign = 1 if b[1] > a[1] else -1
    return [(a[0], a[1] + sign * size_a[1] / 2), (b[0], b[1] - sign * size_b[1] / 2)]


# ------------------------------------------------------------------------------------------------ SVG


def svg(doc: Document, phase: str | None = None) -> str:
    """The graph as an SVG image."""
    p = place(doc, phase)
    width, height = p.width + 2 * MARGIN, p.height + 2 * MARGIN
    title = html.escape(doc.title)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{-MARGIN:g} {-MARGIN:g} {width:g} {height:g}" role="img" aria-label="graph of {title}">',
        f"<title>{title}</title><style>{STYLE}</style>",
        f'<rect class="paper" x="{-MARGIN:g}" y="{-MARGIN:g}" width="{width:g}" height="{height:g}"/>',
        *_svg_boxes(p), *[f'<path class="edge" d="{_curve(points)}"/>' for points in p.edges], *_svg_nodes(doc, p),
        "</svg>",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _svg_boxes(p: Placed) -> Iterator[str]:
    for box, (x, y) in p.boxes:
        w, h = box.open
        yield f'<rect class="group" x="{x - w / 2:g}" y="{y - h / 2:g}" width="{w:g}" height="{h:g}" rx="9"/>'
        yield f'<text class="name" x="{x - w / 2 + 10:g}" y="{y - h / 2 + 16:g}">{html.escape(box.name)}</text>'


def _svg_nodes(doc: Document, p: Placed) -> Iterator[str]:
    results = {k: label for label, (k, _) in p.state.outputs}
    for k, (w, h) in p.frame.sizes.items():
        node, (x, y) = doc.nodes[k], p.at[k]
        kind = f"{node.kind} result" if k in results else node.kind
        tip = " · ".join(filter(None, [node.formula, type_text(node), doc.place(node.source), results.get(k, "")]))
        yield (
            f'<g><title>{html.escape(tip)}</title><rect class="{kind}" x="{x - w / 2:g}" y="{y - h / 2:g}" '
            f'width="{w:g}" height="{h:g}" rx="7"/><text x="{x:g}" y="{y - 3:g}">'
            f'{html.escape(_fitted(p.frame.captions[k], w))}</text><text class="type" x="{x:g}" y="{y + 13:g}">'
            f"{html.escape(_fitted(type_text(node), w))}</text></g>"
        )


def _fitted(text: str, width: float) -> str:
    most = max(3, int((width - 8) / TEXT_WIDTH * 1.1))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _curve(points: Sequence[Point]) -> str:
    """A curve that leaves and arrives vertically."""
    path = [f"M{points[0][0]:g} {points[0][1]:g}"]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        middle = (y0 + y1) / 2
        path.append(f"C{x0:g} {middle:g} {x1:g} {middle:g} {x1:g} {y1:g}")
    return " ".join(path)


# ------------------------------------------------------------------------------------------------ PNG

DOTS = 144  # per inch
LARGEST = 16_000  # dots: what a picture may have in each direction


def png(doc: Document, phase: str | None = None) -> bytes:
    """The graph as a PNG image.

    Raises
    ------
    BackendError
        If matplotlib is not installed.
    """
    p = place(doc, phase)
    width, height = p.width + 2 * MARGIN, p.height + 2 * MARGIN
    figure = empty_figure("a PNG", "draw an SVG", figsize=(width / 72, height / 72), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(-MARGIN, p.width + MARGIN)
    axes.set_ylim(p.height + MARGIN, -MARGIN)
    _paint(axes, doc, p)
    out = BytesIO()
    dots = min(DOTS, LARGEST * 72 / max(width, height))
    figure.savefig(out, format="png", dpi=dots, metadata={"Software": "symgraph"})
    return out.getvalue()


def _paint(axes: Any, doc: Document, p: Placed) -> None:
    from matplotlib.patches import FancyBboxPatch, PathPatch
    from matplotlib.path import Path

    def rectangle(x: float, y: float, w: float, h: float, **style: Any) -> None:
        axes.add_patch(FancyBboxPatch((x - w / 2, y - h / 2), w, h, "round,pad=0,rounding_size=6", **style))

    for box, (x, y) in p.boxes:
        rectangle(x, y, *box.open, facecolor=PAPER, edgecolor=LINE)
        _write(axes, x - box.open[0] / 2 + 10, y - box.open[1] / 2 + 12, box.name, ha="left", weight="bold", size=9)
    for points in p.edges:
        vertices, codes = [points[0]], [Path.MOVETO]
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            middle = (y0 + y1) / 2
            vertices += [(x0, middle), (x1, middle), (x1, y1)]
            codes += [Path.CURVE4] * 3
        axes.add_patch(PathPatch(Path(vertices, codes), facecolor="none", edgecolor=LINE))
    results = {k for _, (k, _) in p.state.outputs}
    for k, (w, h) in p.frame.sizes.items():
        x, y = p.at[k]
        edge, thick = ("#1456c0", 2.0) if k in results else ("#c3cad6", 1.0)
        rectangle(x, y, w, h, facecolor=COLOURS[doc.nodes[k].kind], edgecolor=edge, linewidth=thick)
        _write(axes, x, y - 7, _fitted(p.frame.captions[k], w), size=9)
        _write(axes, x, y + 9, _fitted(type_text(doc.nodes[k]), w), size=7, color=SOFT, family="monospace")


def _write(axes: Any, x: float, y: float, text: str, **style: Any) -> None:
    """Text as it is: a dollar sign starts no formula."""
    axes.text(x, y, text, **{"ha": "center", "va": "center", "color": INK, "parse_math": False, **style})

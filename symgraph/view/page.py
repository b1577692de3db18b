"""The page: one HTML file with every step, the layouts, script and style in it, which needs nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib import resources
from typing import Any

from symgraph.op import OPS
from symgraph.view.document import Document, Scene
from symgraph.view.frames import GROUPINGS, Box, Frame, frame, type_text
from symgraph.view.layout import Drawing
from symgraph.view.plain import to_plain

SCRIPTS = ("model.js", "draw.js", "panel.js", "main.js")
CROWDED = 600
"""Nodes above which a page opens with the user's functions closed."""

POLICY = "default-src 'none'; script-src '{script}'; style-src '{style}'; base-uri 'none'; form-action 'none'"


def page(doc: Document) -> str:
    """The page of a document."""
    script = "\n".join(["'use strict';", *map(_asset, SCRIPTS)])
    style = _asset("page.css")
    policy = POLICY.format(script=_digest(script), style=_digest(style))
    parts = {
        "TITLE": html.escape(f"{doc.title} - symgraph"), "POLICY": html.escape(policy), "STYLE": style,
        "HEADING": html.escape(doc.title), "DATA": _embedded(page_data(doc)), "SCRIPT": script,
    }  # fmt: skip
    first, *rest = _asset("page.html").split("{{")
    pieces = (piece.partition("}}") for piece in rest)
    return first + "".join(parts[name] + after for name, _, after in pieces)


def _asset(name: str) -> str:
    return resources.files("symgraph.view").joinpath("assets", name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _embedded(data: object) -> str:
    """JSON that no parser of HTML can leave."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e").replace("\u2028", "\\u2028")


def page_data(doc: Document) -> dict[str, Any]:
    """The document with what is drawn of it: layouts of each scene, captions, and what the ops mean."""
    data = to_plain(doc, data=False)
    for scene, said in zip(doc.scenes, data["scenes"], strict=True):
        said |= _drawn(doc, scene, with_kernels=scene is doc.scenes[-1] and bool(doc.groups))
    for node, said in zip(doc.nodes, data["nodes"], strict=True):
        said["type"] = type_text(node)
        said["folded"] = node.is_scalar_constant
        said["attrs"] = {k: repr(v) for k, v in node.attrs.items()}
    data["ops"] = {name: OPS[name].doc or "" for name in dict.fromkeys(n.op for n in doc.nodes) if name in OPS}
    data["crowded"] = CROWDED
    return data


def _drawn(doc: Document, scene: Scene, with_kernels: bool) -> dict[str, Any]:
    f = frame(doc, scene.states)
    return {
        "captions": {str(k): [text, *f.sizes[k]] for k, text in f.captions.items()},
        "flat": _flat(f.flat()),
        "groupings": {
            name: _grouped(f, grouping(doc, f)) for name, grouping in GROUPINGS.items()
            if name != "kernel" or with_kernels
        },
    }  # fmt: skip


def _flat(drawing: Drawing) -> dict[str, Any]:
    return {
        "at": {str(k): list(p) for k, p in drawing.at.items()},
        "routes": {f"{a},{b}": [list(p) for p in points] for (a, b), points in drawing.routes.items()
                   if len(points) > 2},
    }  # fmt: skip


def _grouped(f: Frame, grouping: Any) -> list[dict[str, Any]]:
    """The boxes, row after row."""
    boxes = f.boxes(grouping)
    closed, opened = f.outer(boxes, grouping)
    order = sorted(boxes, key=lambda k: (closed.rows[k], closed.at[k][0]))
    return [_box(boxes[k], closed.rows[k], (closed.at[k][0], opened.at[k][0])) for k in order]


def _box(box: Box, row: int, x: tuple[float, float]) -> dict[str, Any]:
    return {
        "name": box.name if box.framed else "", "members": list(box.members), "row": row, "x": x,
        "at": [list(box.inner.at[k]) for k in box.members], "open": box.open, "closed": box.closed, "left": box.left,
    }  # fmt: skip

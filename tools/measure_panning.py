"""Frames a second while the page of a thousand open nodes is dragged in a headless Chromium, at several scales.

``python -m tools.measure_panning`` prints a line for each scale: frames a second, and the time between two of them that
one in twenty exceeds.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import symgraph as sg
from tests.view.browser import Browser
from tests.view.graphs import network

SCALES = (0.02, 0.05, 0.12, 0.3, 0.6, 1, 2)
SECONDS = 3

DRAG = """new Promise((done) => {
  const at = (type, x, y) => picture.dispatchEvent(new PointerEvent(type, {clientX: x, clientY: y, bubbles: true}));
  const gaps = [];
  let first = null, last = null;
  picture.setPointerCapture = () => {};
  at('pointerdown', 600, 500);
  const step = (now) => {
    if (last === null) first = now; else gaps.push(now - last);
    last = now;
    if (now - first < MILLISECONDS) {
      at('pointermove', 600 + 200 * Math.sin(gaps.length / 20), 500 + 150 * Math.cos(gaps.length / 15));
      requestAnimationFrame(step);
      return;
    }
    at('pointerup', 600, 500);
    gaps.sort((a, b) => a - b);
    done([gaps.length / (now - first) * 1000, gaps[Math.floor(gaps.length * 0.95)]]);
  };
  requestAnimationFrame(step);
})"""


def main() -> None:
    """Draw, open, drag."""
    f = network(60)
    f.compile(*[[[0.5] * 8] * 4] * 2)
    browser = Browser()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "deep.html"
        sg.draw(f, page)
        browser.open(page)
        browser.run("document.getElementById('open-all').click()")
        print(browser.run("document.querySelectorAll('.node').length"), "nodes")
        for scale in SCALES:
            browser.run(f"fit(); zoomAtCentre({scale} / view.scale)")
            rate, slow = browser.run(DRAG.replace("MILLISECONDS", str(1000 * SECONDS)))
            print(f"scale {scale:4}  {rate:5.1f} frames/s  95 % within {slow:.0f} ms")
    browser.close()


if __name__ == "__main__":
    main()

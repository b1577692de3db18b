"""docs/gallery.md: what each command shows, produced by the commands themselves.

``python tools/make_gallery.py`` writes the page and its pictures; with Chromium, screenshots of the drawn page too.
"""

from __future__ import annotations

import contextlib
import io
import shlex
import sys
import tempfile
import textwrap
from pathlib import Path

from symgraph.command import main

DOCS = Path(__file__).resolve().parent.parent / "docs"
FOLDER = DOCS / "gallery"
EXAMPLE = "docs/gallery/example.py"
LONGEST = 40  # lines of an output that the page shows
WHOLE = ("explain",)  # commands whose end says what the rest comes to

SECTIONS = [
    ("Draw it", f"symgraph draw {EXAMPLE}:train -o docs/gallery/train.svg --shapes x=64x784,y=64x10",
     "SVG and PNG, Graphviz's and Mermaid's languages, JSON that can be read back, and text come from one layout."),
    ("Say what happened, and why", f"symgraph explain {EXAMPLE}:cost",
     "Each rewrite with its rule, its reason and the line it was made at; formulas that have a name; and what came of "
     "it. What keeps digits hides the meaning, so a formula is also shown as one of real numbers: here the gradient is "
     "the softmax minus the target."),
    ("The formula, or the tree", f"symgraph print {EXAMPLE}:cost --pretty", ""),
    ("", f"symgraph print {EXAMPLE}:cost", ""),
    ("Every rewrite", f"symgraph rewrites {EXAMPLE}:train",
     "`--check inputs.npz` evaluates the graph after each of them, and names the first that changes a result."),
    ("The code of a kernel, under the lines it computes", f"symgraph code {EXAMPLE}:train --kernel k0",
     "`--kind llvm`, `optimized` and `assembly` go further down. `--backend cuda --kind cuda` shows CUDA C for a GPU; "
     "without one, with a C++ compiler, `SYMGRAPH_DEVICE=simulate` lets it be seen too."),
    ("Where the memory goes", f"symgraph memory {EXAMPLE}:train", ""),
    ("Where the time goes", f"symgraph profile {EXAMPLE}:train -n 200",
     "Measured when this page was made. `-o` keeps a profile, `--compare` exits with 1 where a later one is slower, "
     "and `--trace` writes the runs for Perfetto."),
    ("Look for mistakes", f"symgraph check {EXAMPLE}:train", ""),
    ("The machine and the settings", "symgraph env", "Each setting with where it comes from."),
]  # fmt: skip

HEAD = f"""# Gallery

What the command `symgraph` shows of [this script](gallery/example.py). This page was written by
`python tools/make_gallery.py`, which runs the commands below. Every command takes `--json`; `symgraph COMMAND --help`
says the rest. From Python the same is `sg.draw(f, "f.html")`, `sg.explain(f)`, `f.profile(...)`; `sg.debugprint(f)` is
a text to print.

## The page

```console
$ symgraph draw {EXAMPLE}:train -o train.html
```

One file that opens without a network: every step of the compiler under a slider (keys j and k), what came in green and
what went in red, kernels or the user's functions as groups that open and close, search, heat by bytes, work or time;
for each node its formula, its line of source and the code of its kernel. The whole page works by keyboard.

![The compiled graph, in kernels](gallery/page-light.png)

![A rewrite, in a dark theme](gallery/page-dark.png)
"""


def output(command: str) -> str:
    """What a command prints, its long end left out."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = main(shlex.split(command)[1:])
    assert status == 0, f"{command} exits with {status}"
    lines = [line[:160] for line in out.getvalue().rstrip().splitlines()]
    cut = len(lines) > LONGEST and shlex.split(command)[1] not in WHOLE
    return "\n".join([*lines[:LONGEST], "..."] if cut else lines)


def page() -> str:
    """The text of the gallery."""
    parts = [HEAD]
    for title, command, text in SECTIONS:
        parts += [f"## {title}\n"] if title else []
        parts += [textwrap.fill(text, 120) + "\n"] if text else []
        parts.append(f"```console\n$ {command}\n{output(command)}\n```\n")
        if " draw " in command:
            parts.append("![The graph of a training step](gallery/train.svg)\n")
    return "\n".join(parts)


def screenshots() -> None:
    """Pictures of the page in a browser, light and dark."""
    sys.path.insert(0, str(DOCS.parent))
    from tests.view.browser import CHROMIUM, Browser

    if CHROMIUM is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "train.html")
        output(f"symgraph draw {EXAMPLE}:train -o {file} --time")
        browser = Browser()
        browser.open(file)
        browser.run("view.heat = 'flops'; show(true)")
        browser.run("choose(drawn.shown.find((k) => data.nodes[k].op === 'dot'))")
        browser.picture(FOLDER / "page-light.png")
        browser.emulate("dark")
        browser.open(file)
        browser.run("goTo(frames.findIndex((f) => f.step.rule === 'log_of_softmax'))")
        browser.picture(FOLDER / "page-dark.png")
        browser.close()


if __name__ == "__main__":
    (DOCS / "gallery.md").write_text(page())
    screenshots()

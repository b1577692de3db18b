"""Write ``docs/numerics.md``: how far each function is from the real values, as measured, and what a report looks like.

    python tools/make_numerics.py             # 100,000 random bit patterns of each precision, beside hard points
    python tools/make_numerics.py 5000        # fewer
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import symgraph as sg  # noqa: E402
from tests.ulps import FUNCTIONS, SETS, distance, worst  # noqa: E402

HEAD = """# Numerics, as measured

Written by `tools/make_numerics.py`.

## Functions

The largest error in units in the last place, compiled by LLVM, over {count:,} random bit patterns of each precision, a
quarter as many numbers where a function does most, and points beside its roots and thresholds, judged by mpmath. Of
NumPy's validation sets, {rows:,} correctly rounded values, it is the largest distance to a row. The bound is what
`tests/codegen/test_ulps.py` holds on drawn points. `gammaln` and `psi` are counted in units of their largest term: they
cancel beside their roots. Subnormal numbers are read and made, in every thread.

| function | bound | float32 | float64 | NumPy's rows, float32 | float64 |
|---|---|---|---|---|---|
"""
REPORT = """
## What becomes of a formula

`symgraph.accuracy` says it for a formula of your own: the digits that are right as it is written and as it is compiled,
and the rule that made the difference.

```python
{code}
```
"""
EXAMPLES = ("sg.log(1 + sg.exp(x))", "1 - sg.tanh(x) ** 2", "sg.sqrt(x + 1) - sg.sqrt(x)")


def table(count: int) -> Iterator[str]:
    """A row for each function."""
    for name, f in FUNCTIONS.items():
        measured = [f"{worst(name, dtype, count)[0]:.2f}" for dtype in ("float32", "float64")]
        keys = [f"{name} {dtype}" for dtype in ("float32", "float64")]
        rows = [f"{distance(*SETS[key]).max():.2f}" if key in SETS else "" for key in keys]
        yield f"| `{name}` | {f.bound} | {' | '.join([*measured, *rows])} |"
        print(name, *measured, *rows, flush=True)


def example() -> Iterator[str]:
    """Reports, as a session."""
    x = sg.vector("x", dtype="float64")
    yield '>>> import symgraph as sg\n>>> x = sg.vector("x", dtype="float64")'
    for code in EXAMPLES:
        yield f">>> print(sg.accuracy({code}, {{x: (-1000, 1000)}}))"
        yield str(sg.accuracy(eval(code, {"sg": sg, "x": x}), {x: (-1000, 1000)}))


def main(arguments: list[str]) -> None:
    """Measure and write."""
    count = int(arguments[0]) if arguments else 100_000
    rows = sum(len(x) for _, x, _ in SETS.values())
    parts = [HEAD.format(count=count, rows=rows), "\n".join(table(count)), "\n"]
    report = REPORT.format(code="\n".join(example()))
    (ROOT / "docs" / "numerics.md").write_text("".join([*parts, report]))


if __name__ == "__main__":
    main(sys.argv[1:])

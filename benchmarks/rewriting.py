"""How the time of rewriting grows with the graph: mixed arithmetic of 10,000 and of 100,000 nodes, and a diamond.

    python -m benchmarks.rewriting
"""

from __future__ import annotations

from time import process_time

import symgraph as sg
from symgraph.graph import Variable, toposort
from symgraph.rewrite import rewrite


def mixed(count: int) -> Variable:
    """A graph of ``count`` nodes: sums, differences, products, quotients, exponentials and logarithms in turn."""
    x = y = sg.vector("x")
    made = [x, y]
    for k in range(count):
        a, b = made[-1], made[-1 - k % 7] if k % 7 < len(made) else x
        step = k % 6
        made.append((a + b, a * 0.5 - b, a * b, sg.exp(-sg.abs(a)), sg.log(1 + sg.sqr(a)), a / (1 + sg.sqr(b)))[step])
    return made[-1]


def diamond(levels: int) -> Variable:
    """2**levels paths from the result to the input."""
    y = sg.vector("x")
    for _ in range(levels):
        y = y * y + y
    return y


def seconds(y: Variable) -> float:
    """The processor time of all phases."""
    start = process_time()
    rewrite([y])
    return process_time() - start


def main() -> None:
    """Measure and print."""
    spent = []
    for count in (10_000, 100_000):
        y = mixed(count // 2)
        nodes = len(toposort([y]))
        spent.append(seconds(y) / nodes)
        print(f"{nodes:,} nodes: {spent[-1] * nodes:.2f} s, {spent[-1] * 1e6:.0f} us a node")
    print(f"the time for ten times the nodes is {10 * spent[1] / spent[0]:.1f} times as long")
    print(f"a diamond of 60 levels: {seconds(diamond(60)):.3f} s")


if __name__ == "__main__":
    main()

"""Multiplication: the smallest function there is. Two symbols, one expression, one compiled function."""

import symgraph as sg
from tutorials.common import Report, parse_options


def build():
    """The product, and its derivative by the first factor."""
    # Symbols stand for numbers that do not exist yet.
    a, b = sg.scalars("a b")
    # Arithmetic on symbols builds a graph instead of a number.
    y = a * b
    # Compiling turns the graph into native code; only now are there numbers.
    multiply = sg.function([a, b], y, name="multiply")
    # The graph can be asked for its derivative, too.
    slope = sg.function([a, b], sg.grad(y, a), on_unused_input="ignore", name="slope")
    return multiply, slope


def main(argv=None):
    options = parse_options(__doc__, epochs=1, argv=argv)
    multiply, slope = build()
    print(f"multiply(1, 2) = {multiply(1, 2)}")
    print(f"multiply(3, 3) = {multiply(3, 3)}")
    print(f"d(a*b)/da at (1, 2) = {slope(1, 2)}")
    Report("none", options.epochs).write(options.json)


if __name__ == "__main__":
    main()

"""Linear regression: find the slope of noisy points by gradient descent, one point at a time."""

import time

import numpy as np

import symgraph as sg
from tutorials.common import Report, parse_options

SLOPE, NOISE = 2.0, 0.33


def build(lr=0.01):
    """One step of gradient descent, and the slope that it learns."""
    x, y = sg.scalars("x y")
    # A shared variable keeps its value between calls: this is what is learnt.
    w = sg.shared(0.0, name="w")
    cost = sg.sqr(x * w - y)
    # The gradient is an expression like any other.
    gradient = sg.grad(cost, w)
    # An update is done after each call: one step downhill.
    train = sg.function([x, y], cost, updates=[(w, w - lr * gradient)], name="train")
    return train, w


def main(argv=None):
    options = parse_options(__doc__, epochs=100, lr=0.01, argv=argv)
    random = np.random.default_rng(options.seed)
    train_x = np.linspace(-1, 1, 101)
    train_y = SLOPE * train_x + NOISE * random.standard_normal(101)
    train, w = build(options.lr)

    start = time.perf_counter()
    train(train_x[0], train_y[0])
    compiling = time.perf_counter() - start
    w.set_value(0.0)
    seconds = []
    for _ in range(options.epochs):
        start = time.perf_counter()
        for point in zip(train_x, train_y, strict=True):
            train(*point)
        seconds.append(time.perf_counter() - start)

    best = np.dot(train_x, train_y) / np.dot(train_x, train_x)
    found = float(w.get_value())
    print(f"slope {found:.4f} after {options.epochs} epochs; least squares {best:.4f}, drawn with {SLOPE}")
    Report("points", options.epochs, [], seconds, compiling).write(options.json)


if __name__ == "__main__":
    main()

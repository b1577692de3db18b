"""Logistic regression on MNIST: one matrix product and a softmax."""

import numpy as np

import symgraph as sg
from tutorials.common import learning_rate, load_data, parse_options, train_epochs
from tutorials.report import explain


def softmax(x):
    """The textbook's formula. It overflows beyond exp(88), which is repaired before it is compiled."""
    e = sg.exp(x)
    return e / e.sum(axis=1, keepdims=True)


def model(x, w):
    return softmax(x @ w)


def build(seed=0, lr=0.05):
    """The function that trains, and the one that predicts."""
    random = np.random.default_rng(seed)

    x, y = sg.fmatrices("x y")
    w = sg.shared((0.01 * random.standard_normal((784, 10))).astype("float32"), name="w")

    p = model(x, w)
    cost = -(y * sg.log(p)).sum(axis=1).mean()
    updates = [(w, w - lr * sg.grad(cost, w))]

    train = sg.function([x, y], cost, updates=updates, name="train")
    predict = sg.function([x], p.argmax(axis=1), name="predict")
    return train, predict


def main(argv=None):
    options = parse_options(__doc__, epochs=10, lr=0.05, published=0.5, argv=argv)
    data = load_data(options)
    rate = learning_rate(options)
    train, predict = build(options.seed, rate)
    train_epochs(train, predict, data, options, rate)
    explain(train)


if __name__ == "__main__":
    main()

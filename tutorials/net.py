"""An old-fashioned net on MNIST: one hidden layer of sigmoids, plain gradient descent."""

import numpy as np

import symgraph as sg
from tutorials.common import learning_rate, load_data, parse_options, train_epochs
from tutorials.logistic_regression import softmax
from tutorials.report import explain


def sigmoid(x):
    return 1 / (1 + sg.exp(-x))


def model(x, w_hidden, w_out):
    hidden = sigmoid(x @ w_hidden)
    return softmax(hidden @ w_out)


def sgd(cost, params, lr):
    return [(p, p - lr * g) for p, g in zip(params, sg.grad(cost, params), strict=True)]


def build(seed=0, lr=0.05, wide=False):
    """The function that trains, and the one that predicts; ``wide`` is for large initial weights."""
    random = np.random.default_rng(seed)

    def weights(*shape):
        # A sigmoid's slope is a quarter at most, which four times Glorot and Bengio's (2010) weights make up for.
        size = 4 * np.sqrt(2 / sum(shape)) if wide else 0.01
        return sg.shared((size * random.standard_normal(shape)).astype("float32"))

    x, y = sg.fmatrices("x y")
    params = [weights(784, 625), weights(625, 10)]

    p = model(x, *params)
    cost = -(y * sg.log(p)).sum(axis=1).mean()

    train = sg.function([x, y], cost, updates=sgd(cost, params, lr), name="train")
    predict = sg.function([x], p.argmax(axis=1), name="predict")
    return train, predict


def main(argv=None):
    options = parse_options(__doc__, epochs=5, lr=0.05, published=1.0, argv=argv)
    data = load_data(options)
    rate = learning_rate(options)
    train, predict = build(options.seed, rate, wide=options.recipe == "published")
    train_epochs(train, predict, data, options, rate)
    explain(train)


if __name__ == "__main__":
    main()

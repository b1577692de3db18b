"""A convolutional net on MNIST: three layers of 3x3 filters with max-pooling, then one of rectifiers."""

import numpy as np

import symgraph as sg
from tutorials.common import learning_rate, load_data, parse_options, train_epochs
from tutorials.logistic_regression import softmax
from tutorials.modern_net import RMSprop, dropout, rectify
from tutorials.report import explain


def convolve(x, filters, border_mode, random):
    """Filters, rectifier, the larger of 2x2 neighbours, dropout: (batch, channels, height, width) throughout."""
    maps = rectify(sg.nn.conv2d(x, filters, border_mode=border_mode))
    return dropout(sg.nn.max_pool2d(maps, (2, 2), ceil_mode=True), 0.2, random)


def model(x, w, w2, w3, w4, w_out, random=None):
    maps = convolve(x, w, "full", random)  # 28 -> 30 -> 15
    maps = convolve(maps, w2, "valid", random)  # 15 -> 13 -> 7
    maps = convolve(maps, w3, "valid", random)  # 7 -> 5 -> 3
    hidden = dropout(rectify(maps.flatten(2) @ w4), 0.5, random)
    return softmax(hidden @ w_out)


def build(seed=0, lr=0.001):
    """The function that trains, and the one that predicts."""
    numpy_random = np.random.default_rng(seed)
    random = sg.random.RandomStream(seed)

    def weights(*shape):
        return sg.shared((0.01 * numpy_random.standard_normal(shape)).astype("float32"))

    images, y = sg.fmatrices("images y")
    x = images.reshape((-1, 1, 28, 28))
    filters = [weights(32, 1, 3, 3), weights(64, 32, 3, 3), weights(128, 64, 3, 3)]
    params = [*filters, weights(128 * 3 * 3, 625), weights(625, 10)]

    noisy, clean = model(x, *params, random=random), model(x, *params)
    cost = -(y * sg.log(noisy)).sum(axis=1).mean()

    train = sg.function([images, y], cost, updates=RMSprop(cost, params, lr), name="train")
    predict = sg.function([images], clean.argmax(axis=1), name="predict")
    return train, predict


def main(argv=None):
    options = parse_options(__doc__, epochs=1, lr=0.001, published=0.001, argv=argv)
    data = load_data(options)
    rate = learning_rate(options)
    train, predict = build(options.seed, rate)
    train_epochs(train, predict, data, options, rate)
    explain(train)


if __name__ == "__main__":
    main()

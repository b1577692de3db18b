"""A modern net on MNIST: two hidden layers of rectifiers, dropout, RMSprop."""

import numpy as np

import symgraph as sg
from tutorials.common import learning_rate, load_data, parse_options, train_epochs
from tutorials.logistic_regression import softmax
from tutorials.report import explain


def rectify(x):
    return sg.maximum(x, 0.0)


def dropout(x, p, random):
    """Each element kept with probability 1 - p, and scaled so that the mean stays."""
    if random is None:
        return x
    keep = 1 - p
    return x * random.binomial(size=x.shape, p=keep, dtype="float32") / keep


def model(x, w_hidden, w_hidden2, w_out, random=None):
    """With random numbers the net that trains, without them the one that predicts."""
    x = dropout(x, 0.2, random)
    hidden = dropout(rectify(x @ w_hidden), 0.5, random)
    hidden2 = dropout(rectify(hidden @ w_hidden2), 0.5, random)
    return softmax(hidden2 @ w_out)


def RMSprop(cost, params, lr=0.001, rho=0.9, epsilon=1e-6):
    """Divide each gradient by a running mean of its size (Tieleman and Hinton 2012)."""
    updates = []
    for p, g in zip(params, sg.grad(cost, params), strict=True):
        acc = sg.shared(np.zeros_like(p.get_value()))
        acc_new = rho * acc + (1 - rho) * g**2
        updates += [(acc, acc_new), (p, p - lr * g / sg.sqrt(acc_new + epsilon))]
    return updates


def build(seed=0, lr=0.001):
    """The function that trains, and the one that predicts."""
    numpy_random = np.random.default_rng(seed)
    random = sg.random.RandomStream(seed)

    def weights(*shape):
        return sg.shared((0.01 * numpy_random.standard_normal(shape)).astype("float32"))

    x, y = sg.fmatrices("x y")
    params = [weights(784, 625), weights(625, 625), weights(625, 10)]

    noisy, clean = model(x, *params, random=random), model(x, *params)
    cost = -(y * sg.log(noisy)).sum(axis=1).mean()

    train = sg.function([x, y], cost, updates=RMSprop(cost, params, lr), name="train")
    predict = sg.function([x], clean.argmax(axis=1), name="predict")
    return train, predict


def main(argv=None):
    options = parse_options(__doc__, epochs=3, lr=0.001, published=0.001, argv=argv)
    data = load_data(options)
    rate = learning_rate(options)
    train, predict = build(options.seed, rate)
    train_epochs(train, predict, data, options, rate)
    explain(train)


if __name__ == "__main__":
    main()

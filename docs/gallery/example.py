"""What the gallery looks at: a classifier as one would write it down, on 64 images of 28 by 28."""

import numpy as np

import symgraph as sg

x = sg.tensor("x", "float32", (64, 784))
y = sg.tensor("y", "float32", (64, 10))
w = sg.shared(np.zeros((784, 10), "float32"), name="w")


def softmax(z):
    e = sg.exp(z)
    return e / e.sum(axis=1, keepdims=True)


cost = -(y * sg.log(softmax(x @ w))).sum(axis=1).mean()
train = sg.function([x, y], cost, updates=[(w, w - 0.1 * sg.grad(cost, w))], name="train")

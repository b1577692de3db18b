"""The graphs that the viewer and the commands are tried on: the six tutorials', and what is awkward to draw."""

import numpy as np

import symgraph as sg
from tutorials import conv_net, linear_regression, logistic_regression, modern_net, multiplication, net

TUTORIALS = {m.__name__.rpartition(".")[2]: m for m in
             (multiplication, linear_regression, logistic_regression, net, modern_net, conv_net)}  # fmt: skip
SHAPES = {"x": (8, 784), "y": (8, 10), "images": (8, 784)}
HOSTILE = "</script><script>document.title='caught'</script><img src=x onerror=alert(1)>\"'&\\"


def example(kind, shape):
    """An array for an input of a tutorial."""
    return np.random.default_rng(0).random(shape).astype(kind)


def compiled(name):
    """The function that a tutorial trains, or its only one, compiled for small batches."""
    f = TUTORIALS[name].build()[0]
    f.compile(*[example(v.dtype, SHAPES.get(v.name, ()) if v.ndim else ()) for v in f.task.inputs])
    return f


def hostile():
    """An expression whose names would be markup, if they were not shown as they are."""
    x, w = sg.matrix(HOSTILE), sg.shared(np.ones((3, 3)), name="</title><b>w</b>]]>-->")
    y = sg.exp(x @ w)
    y.name = "<svg onload=alert(1)>"
    return sg.log(1 + y).sum()


def chain(length):
    """As deep as it is long."""
    x = sg.vector("x")
    for k in range(length):
        x = sg.sin(x) if k % 2 else sg.cos(x)
    return x


def network(layers):
    """A training step of many layers: a thousand nodes at fifty; run by NumPy, where each op is a part."""
    x, y = sg.tensor("x", "float32", (4, 8)), sg.tensor("y", "float32", (4, 8))
    weights = [sg.shared(np.full((8, 8), 0.1, "float32"), name=f"w{k}") for k in range(layers)]
    hidden = x
    for w in weights:
        hidden = sg.tanh(hidden @ w) + hidden * 0.5
    cost = sg.sqr(hidden - y).mean()
    velocities = [sg.shared(np.zeros((8, 8), "float32"), name=f"v{k}") for k in range(layers)]
    updates = []
    for w, v, g in zip(weights, velocities, sg.grad(cost, weights), strict=True):
        new = 0.9 * v + g
        updates += [(v, new), (w, w - 0.1 * new / sg.sqrt(1 + sg.sqr(new)))]
    return sg.function([x, y], cost, updates=updates, name="deep", backend="numpy")

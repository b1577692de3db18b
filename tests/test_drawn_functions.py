"""Drawn functions with updates: the backends agree on every output and on every shared variable, call after call."""

import numpy as np
import pytest

import symgraph as sg

OPS = [
    lambda a, b: a + b, lambda a, b: a * 0.5 - b, lambda a, b: a[::-1], lambda a, b: sg.tanh(a),
    lambda a, b: a - a.mean(), lambda a, b: sg.maximum(a, b), lambda a, b: sg.cumsum(a) * 0.1,
    lambda a, b: sg.roll(a, 2), lambda a, b: sg.set_subtensor(a[1:], b[:-1]),
    lambda a, b: sg.inc_subtensor(a[np.array([1, 1, 0])], b[2:5]), lambda a, b: sg.concatenate([a[3:], b[:3]]),
    lambda a, b: a.reshape((1, -1)).reshape(a.shape), lambda a, b: sg.outer(a, b).sum(axis=1) * 0.1,
    lambda a, b: sg.nn.softmax(a), lambda a, b: sg.dot(sg.outer(a, b), b) * 0.01,
    lambda a, b: sg.switch(a > b, a, b.max()), lambda a, b: a.sum() + b,
]  # fmt: skip


def run(seed, n, backend, most=12):
    """Outputs and shared values of two calls of a drawn function of fewer than ``most`` steps."""
    random = np.random.default_rng(seed)
    shared = [sg.shared(random.uniform(-1, 1, n), name=f"s{k}") for k in range(4)]
    x = sg.tensor("x", "float64", (n,))
    made = [*shared, x, sg.constant(random.uniform(-1, 1, n))]

    def drawn(first=0):
        return made[random.integers(first, len(made))]

    for _ in range(random.integers(2, most)):
        made.append(OPS[random.integers(len(OPS))](drawn(), drawn()))
    late = len(made) // 2
    updates = [(shared[k], drawn(late if random.random() < 0.7 else 0)) for k in random.permutation(4)]
    outputs = [drawn(late) for _ in range(random.integers(4))]
    f = sg.function([x], outputs, updates=updates[: random.integers(1, 5)], backend=backend, on_unused_input="ignore")
    found = []
    for k in range(2):
        found += [*f(np.linspace(-1, 1, n) + k), *[s.get_value() for s in shared]]
    return found


@pytest.mark.parametrize("n", [7, 300])
def test_backends_agree_on_drawn_functions(n):
    with sg.using(cache="off"):
        for seed in range(20):
            for a, b in zip(run(seed, n, "numpy"), run(seed, n, "llvm"), strict=True):
                # sums of up to 300 terms in another order, twice over
                np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12, err_msg=f"seed {seed}")

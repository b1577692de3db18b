"""First values of weights: seeds, dtypes, variances."""

from __future__ import annotations

import numpy as np
import pytest

import symgraph as sg
from symgraph import nn
from symgraph.errors import DTypeError, ShapeError

ALL = [nn.normal, nn.uniform, nn.glorot_uniform, nn.glorot_normal, nn.he_uniform, nn.he_normal, nn.orthogonal]


@pytest.mark.parametrize("draw", ALL)
def test_a_seed_fixes_the_weights(draw):
    a = draw((20, 30), seed=1)
    np.testing.assert_array_equal(a, draw((20, 30), seed=1))
    assert (a != draw((20, 30), seed=2)).any()
    shared = np.random.default_rng(1)
    np.testing.assert_array_equal(a, draw((20, 30), seed=shared))
    assert (a != draw((20, 30), seed=shared)).any()
    assert (draw((20, 30)) != draw((20, 30))).any()


@pytest.mark.parametrize("draw", ALL)
def test_weights_are_floatX_arrays(draw):
    assert draw((4, 5), seed=1).dtype == sg.floatX()
    with sg.using(floatX="float32"):
        assert draw((4, 5), seed=1).dtype == "float32"
    found = draw((8, 3, 3, 3), seed=1, dtype="float16")
    assert (found.dtype, found.shape) == (np.dtype("float16"), (8, 3, 3, 3))
    with pytest.raises(DTypeError, match="weights are floats"):
        draw((4, 5), dtype="int32")


@pytest.mark.parametrize(
    ("draw", "shape", "variance"),
    [
        (nn.normal, (300, 400), 0.01**2),
        (nn.uniform, (300, 400), 0.02**2 / 12),
        (nn.glorot_uniform, (300, 400), 2 / 700),
        (nn.glorot_normal, (300, 400), 2 / 700),
        (nn.he_uniform, (300, 400), 2 / 300),
        (nn.he_normal, (300, 400), 2 / 300),
        (nn.he_normal, (64, 32, 5, 5), 2 / (32 * 25)),
        (nn.glorot_uniform, (64, 32, 5, 5), 2 / (96 * 25)),
    ],
)
def test_the_variance_is_as_published(draw, shape, variance):
    found = draw(shape, seed=1)
    # four deviations of the variance of n normal numbers; less for uniform ones
    assert abs(found.var() / variance - 1) < 4 * np.sqrt(2 / found.size)
    assert abs(found.mean()) < 4 * np.sqrt(variance / found.size)


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7), (4, 3, 2, 2)])
def test_orthogonal_rows_or_columns_are_orthonormal(shape):
    flat = nn.orthogonal(shape, gain=2.0, seed=1).reshape(shape[0], -1)
    gram = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-12)


@pytest.mark.parametrize("draw", ALL[2:])
def test_a_vector_has_no_fans(draw):
    with pytest.raises(ShapeError, match="no fans"):
        draw((5,))

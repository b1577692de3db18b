"""Neural networks: activations, losses, convolution, pooling, normalisation, dropout, first values of weights."""

from symgraph.initializers import (
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    normal,
    orthogonal,
    uniform,
)
from symgraph.ops.activations import elu, gelu, hard_sigmoid, leaky_relu, relu, selu, silu, softsign
from symgraph.ops.conv import conv1d, conv1d_transpose, conv2d, conv2d_transpose, conv3d, conv3d_transpose
from symgraph.ops.exponentials import log_softmax, logsumexp, softmax
from symgraph.ops.matrices import to_one_hot as one_hot
from symgraph.ops.nn import (
    batch_norm_test,
    batch_norm_train,
    batch_norm_updates,
    binary_crossentropy,
    categorical_crossentropy,
    dropout,
    embedding,
    layer_norm,
    sigmoid_binary_crossentropy,
)
from symgraph.ops.pool import avg_pool1d, avg_pool2d, avg_pool3d, max_pool1d, max_pool2d, max_pool3d
from symgraph.ops.transcendental import log_sigmoid, sigmoid, softplus, tanh

__all__ = [
    "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "hard_sigmoid", "softsign", "softplus",
    "log_sigmoid", "softmax", "log_softmax", "logsumexp",
    "categorical_crossentropy", "binary_crossentropy", "sigmoid_binary_crossentropy",
    "conv1d", "conv2d", "conv3d", "conv1d_transpose", "conv2d_transpose", "conv3d_transpose",
    "max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d",
    "batch_norm_train", "batch_norm_test", "batch_norm_updates", "layer_norm", "dropout",
    "one_hot", "embedding",
    "normal", "uniform", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "orthogonal",
]  # fmt: skip


def __dir__() -> list[str]:
    """What completion shows: the public names."""
    return sorted(__all__)

"""Losses, normalisation, dropout, embeddings: plain formulas of other ops, which rules make stable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from symgraph import expression
from symgraph.coercion import as_variable, convert, normalize_axis
from symgraph.errors import DTypeError, ShapeError, layout
from symgraph.graph import Variable, describe, in_code, label
from symgraph.kinds import elementwise
from symgraph.ops.cumulative import wide
from symgraph.ops.elementwise import add, lt, maximum, mul, neg, sqr, sub, switch, true_div
from symgraph.ops.reduce import count, floating, mean, sum
from symgraph.ops.shape import permute, shape, shape_of
from symgraph.ops.taking import take, take_along_axis
from symgraph.ops.transcendental import log, sigmoid, sqrt, xlog1py0, xlogy0
from symgraph.origin import here_excerpt
from symgraph.shared_variable import SharedVariable
from symgraph.types import is_integer

__all__: list[str] = []


# ------------------------------------------------------------------------------------------------ losses


def categorical_crossentropy(p: Any, y: Any) -> Variable:
    """-log of the probability of the right class, or -sum(y * log(p)) for a distribution ``y`` over the classes.

    A class of weight 0 adds nothing, be its probability 0 too.

    Parameters
    ----------
    p : Variable, float, shape (..., classes)
        Probabilities, such as a softmax's: log(softmax(x)) is computed as log_softmax(x).
    y : Variable, integer of shape (...), or any dtype of shape (..., classes)
        Labels 0..classes-1, or one-hot rows (or other distributions).

    Returns
    -------
    Variable, dtype of ``p``, shape (...): take its mean for a cost.

    Raises
    ------
    ShapeError, DTypeError
        If ``y`` is neither of these.
    IndexOutOfRange
        When the function runs, if a label is not in 0..classes-1.
    """
    probabilities, target = floating(p), as_variable(y)
    if target.ndim == probabilities.ndim and target.ndim:
        return neg(sum(xlogy0(convert(target, probabilities.dtype), probabilities), axis=-1))  # type: ignore[no-any-return]
    if target.ndim != probabilities.ndim - 1:
        raise ShapeError(
            layout(f"categorical_crossentropy({label(probabilities)}, {label(target)}): the target has {target.ndim} "
                   f"axes, the probabilities {probabilities.ndim}", [describe(probabilities), describe(target)],
                   here_excerpt(), "give labels of one axis less, or one-hot rows of the same shape")
        )  # fmt: skip
    if not is_integer(target.dtype):
        raise DTypeError(
            layout(f"categorical_crossentropy({label(probabilities)}, {label(target)}): labels are {target.dtype}, "
                   "they must be integers", [describe(probabilities), describe(target)], here_excerpt(),
                   f"cast them: {in_code(target, 'y')}.astype('int64')")
        )  # fmt: skip
    chosen = log(take_along_axis(probabilities, _column(target, probabilities), axis=-1))
    return neg(permute(chosen, tuple(range(target.ndim))))  # type: ignore[no-any-return]


def _column(labels: Variable, p: Variable) -> Variable:
    """Labels as indices along a last axis; a negative one, which would count from the end, is put out of range."""
    index = convert(labels, "int64")
    checked = switch(lt(index, 0), shape_of(p, p.ndim - 1), index)
    return permute(checked, (*range(labels.ndim), None))


def binary_crossentropy(p: Any, y: Any) -> Variable:
    """-(y*log(p) + (1 - y)*log(1 - p)), element by element; a term whose weight is 0 is 0, be its logarithm infinite.

    Parameters
    ----------
    p : Variable, float
        Probabilities, such as a sigmoid's.
    y : Variable, any dtype, shape of ``p``
        0 or 1, or a probability.

    Returns
    -------
    Variable, dtype of ``p``: take its mean for a cost.
    """
    probability = floating(p)
    target = convert(y, probability.dtype)
    found: Variable = neg(add(xlogy0(target, probability), xlog1py0(sub(1, target), neg(probability))))
    return found


def _logit_loss_numpy(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    wide_x = x.astype("longdouble")
    return np.asarray(y * np.logaddexp(0, -wide_x) + (1 - y) * np.logaddexp(0, wide_x))


def _logit_loss_grad(g: Any, x: Any, y: Any, out: Any) -> list[Any]:
    """sigmoid(x) - y, without cancellation where the two are near 1."""
    slope = sub(mul(sub(1, y), sigmoid(x)), mul(y, sigmoid(neg(x))))
    return [mul(g, slope), neg(mul(g, x))]


@elementwise(name="sigmoid_binary_crossentropy", grad=_logit_loss_grad, reference=_logit_loss_numpy)
def _logit_loss(x: Any, y: Any) -> Any:
    """softplus(x) - x*y; the exponential only ever sees a non-positive argument."""
    return expression.maximum(x, 0) - x * y + expression.log1p(expression.exp(-expression.absolute(x)))


def sigmoid_binary_crossentropy(x: Any, y: Any) -> Variable:
    """binary_crossentropy(sigmoid(x), y) of logits ``x``, finite for every finite ``x``.

    Parameters
    ----------
    x : Variable, float
        Logits.
    y : Variable, any dtype, shape of ``x``
        0 or 1, or a probability.

    Returns
    -------
    Variable, dtype of ``x``: take its mean for a cost.
    """
    logits = floating(x)
    return _logit_loss(logits, convert(y, logits.dtype))  # type: ignore[no-any-return]


# ------------------------------------------------------------------------------------------------ dropout


class Draws(Protocol):
    """What dropout needs of a random stream."""

    def bernoulli(self, size: Any = ..., p: Any = ..., dtype: Any = ...) -> Variable:
        """1 with probability ``p``, else 0."""
        ...


def dropout(x: Any, p: Any, stream: Draws, training: bool = True) -> Variable:
    """Each element 0 with probability ``p``, else x / (1 - p), so that the expected value is ``x``.

    Parameters
    ----------
    x : Variable, float
    p : float or float scalar Variable
        The share of elements that are dropped, from 0 up to but not including 1.
    stream : RandomStream
    training : bool
        False gives ``x`` itself.

    Returns
    -------
    Variable, dtype and shape of ``x``.

    Raises
    ------
    ValueError
        If ``p`` is a number outside 0 <= p < 1.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov (2014), JMLR 15.
    """
    v = floating(x)
    if not isinstance(p, Variable) and not 0 <= p < 1:
        raise ValueError(f"dropout: p is {p}; the share that is dropped must be from 0 up to but not including 1")
    if not training or (not isinstance(p, Variable) and p == 0):
        return v
    keep = sub(1, p) if isinstance(p, Variable) else 1 - float(p)
    mask = stream.bernoulli(shape(v), keep, dtype="bool")
    scale = convert(true_div(1.0, keep), v.dtype) if isinstance(keep, Variable) else 1 / keep
    return switch(mask, mul(v, scale), 0)  # type: ignore[no-any-return]


# ------------------------------------------------------------------------------------------------ embedding


def embedding(y: Any, table: Any) -> Variable:
    """The row of ``table`` for each of ``y``.

    Parameters
    ----------
    y : Variable, integer, shape (...)
    table : Variable, shape (rows, width)

    Returns
    -------
    Variable, dtype of ``table``, shape (..., width).

    Raises
    ------
    IndexOutOfRange
        When the function runs, if an index is out of range.
    DTypeError
        If ``y`` is not of integers.
    """
    index, rows = as_variable(y), as_variable(table)
    if not is_integer(index.dtype) and is_integer(rows.dtype):
        raise DTypeError(
            layout(f"embedding({label(index)}, {label(rows)}): the indices {label(index)} are {index.dtype}, the table "
                   f"{label(rows)} is {rows.dtype}", [describe(index), describe(rows)], here_excerpt(),
                   f"indices come first: embedding({in_code(rows, 'y')}, {in_code(index, 'table')})")
        )  # fmt: skip
    return take(rows, index, axis=0)


# ------------------------------------------------------------------------------------------------ normalisation


def _standard(x: Variable, centre: Any, variance: Any, eps: float) -> Any:
    return mul(sub(wide(x), centre), true_div(1.0, sqrt(add(variance, eps))))


def _scaled(x: Variable, gamma: Any, beta: Any, dtype: str) -> Variable:
    """gamma*x + beta, where they are given."""
    if gamma is not None:
        x = mul(x, gamma)
    return convert(x if beta is None else add(x, beta), dtype)


def _moments(x: Variable, axes: Sequence[int]) -> tuple[Variable, Variable]:
    """Mean and variance along ``axes``, kept; the mean of squares of differences, which does not cancel."""
    centre = mean(wide(x), tuple(axes), keepdims=True)
    return centre, mean(sqr(sub(wide(x), centre)), tuple(axes), keepdims=True)


def layer_norm(x: Any, gamma: Any = None, beta: Any = None, axis: Any = -1, eps: float = 1e-5) -> Variable:
    """gamma * (x - mean) / sqrt(var + eps) + beta, with mean and variance along ``axis`` of each example.

    Parameters
    ----------
    x : Variable, float
    gamma, beta : Variable that broadcasts to ``x``, optional
    axis : int or tuple of int
    eps : float

    Returns
    -------
    Variable, dtype and shape of ``x``.

    Raises
    ------
    AxisError
        If an axis is out of range.

    References
    ----------
    Ba, Kiros, Hinton (2016), arXiv:1607.06450.
    """
    v = floating(x)
    centre, variance = _moments(v, normalize_axis(axis, v.ndim, "layer_norm", v))
    return _scaled(_standard(v, centre, variance, eps), gamma, beta, v.dtype)


Statistics = tuple[Variable, Variable, Variable]


def batch_norm_train(x: Any, gamma: Any = None, beta: Any = None, axes: Any = "per-activation",
                     eps: float = 1e-4) -> Statistics:  # fmt: skip
    """gamma * (x - mean) / sqrt(var + eps) + beta, with the batch's own mean and variance along ``axes``.

    Parameters
    ----------
    x : Variable, float, shape (batch, channels, ...)
    gamma, beta : Variable, optional
        Of the shape of the mean, or one that broadcasts to ``x``.
    axes : "per-activation", "spatial", int or tuple of int
        Axis 0; all but axis 1; or these.
    eps : float

    Returns
    -------
    y, mean, var : Variable
        y of the shape of ``x``; mean and variance without ``axes``: keep running averages of them for
        ``batch_norm_test``.

    Raises
    ------
    AxisError
        If an axis is out of range.

    References
    ----------
    Ioffe, Szegedy (2015), arXiv:1502.03167.
    """
    v = floating(x)
    over = _norm_axes(v, axes, "batch_norm_train")
    centre, variance = _moments(v, over)
    y = _standard(v, centre, variance, eps)
    kept = tuple(k for k in range(v.ndim) if k not in over)
    scaled = _scaled(y, _spread(gamma, v, over), _spread(beta, v, over), v.dtype)
    return scaled, permute(centre, kept), permute(variance, kept)


def batch_norm_updates(
    x: Any, mean: Any, var: Any, running_mean: SharedVariable, running_var: SharedVariable,
    axes: Any = "per-activation", factor: Any = 0.1,
) -> list[tuple[SharedVariable, Variable]]:  # fmt: skip
    """Updates that keep running averages of the statistics that ``batch_norm_train`` gives.

    >>> y, mean, var = batch_norm_train(x, gamma, beta)
    >>> train = function([x], y, updates=batch_norm_updates(x, mean, var, running_mean, running_var))

    Parameters
    ----------
    x, axes
        As given to ``batch_norm_train``.
    mean, var : Variable
        What it gave.
    running_mean, running_var : SharedVariable
        Of the shape of ``mean``; what ``batch_norm_test`` takes. The variance is kept as that of the population:
        n/(n - 1) times that of a batch of n.
    factor : float
        The share of a batch in the average: new = (1 - factor)*old + factor*batch.

    Returns
    -------
    list of pairs (SharedVariable, Variable), for ``updates=``.
    """
    v = floating(x)
    n = convert(count(v, _norm_axes(v, axes, "batch_norm_updates")), v.dtype)
    unbiased = mul(var, true_div(n, maximum(sub(n, 1), 1)))
    new = ((running_mean, as_variable(mean)), (running_var, unbiased))
    return [(old, convert(add(mul(old, 1 - factor), mul(now, factor)), old.dtype)) for old, now in new]


def batch_norm_test(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, axes: Any = "per-activation",
                    eps: float = 1e-4) -> Variable:  # fmt: skip
    """gamma * (x - mean) / sqrt(var + eps) + beta, with a given mean and variance.

    Parameters
    ----------
    x : Variable, float, shape (batch, channels, ...)
    gamma, beta : Variable or None
    mean, var : Variable
        As ``batch_norm_train`` gives them, averaged.
    axes, eps
        As of ``batch_norm_train``.

    Returns
    -------
    Variable, dtype and shape of ``x``.

    Raises
    ------
    AxisError
        If an axis is out of range.
    """
    v = floating(x)
    over = _norm_axes(v, axes, "batch_norm_test")
    y = _standard(v, _spread(mean, v, over), _spread(var, v, over), eps)
    return _scaled(y, _spread(gamma, v, over), _spread(beta, v, over), v.dtype)


def _norm_axes(x: Variable, axes: Any, name: str) -> tuple[int, ...]:
    named = {"per-activation": (0,), "spatial": (0, *range(2, x.ndim))}
    return normalize_axis(named.get(axes, axes) if isinstance(axes, str) else axes, x.ndim, name, x)


def _spread(parameter: Any, x: Variable, axes: Sequence[int]) -> Variable | None:
    """A parameter without the normalised axes, with them as extents of 1."""
    if parameter is None:
        return None
    v = as_variable(parameter)
    if v.ndim != x.ndim - len(axes):
        return v
    places = iter(range(v.ndim))
    return permute(v, tuple(None if k in axes else next(places) for k in range(x.ndim)))

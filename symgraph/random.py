"""Random streams: draws that are formulas of a seed, the same on every backend and thread count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.coercion import as_variable, convert
from symgraph.graph import Variable, constant
from symgraph.ops.broadcast import broadcast_to, specify_shape
from symgraph.ops.creation import arange
from symgraph.ops.cumulative import cumsum
from symgraph.ops.elementwise import add, eq, ge, mul, sub, true_div
from symgraph.ops.extents import product, sizes_of
from symgraph.ops.random import (
    at_most,
    below,
    check_scale,
    draw_sizes,
    everywhere,
    float_dtype,
    index_below,
    probability,
    random_key,
    required,
    size_first,
    standard_exponential,
    standard_normal,
    unit,
)
from symgraph.ops.reduce import floating
from symgraph.ops.reduce import sum as sum_
from symgraph.ops.sampling import drawn_from, log_gamma_draw, poisson_draw
from symgraph.ops.shape import reshape
from symgraph.ops.sort import argsort
from symgraph.ops.special import erf, erfinv
from symgraph.ops.taking import take
from symgraph.ops.transcendental import exp, sigmoid
from symgraph.streams import SEEDS, Stream
from symgraph.types import canonical

__all__ = ["RandomStream"]


def __dir__() -> list[str]:
    """What completion shows: the public names."""
    return sorted(__all__)


class RandomStream(Stream):
    """A source of random variables.

    Each draw (a call of a method) is a variable with a stream number of its own and a state (seed, stream, draw) that
    functions advance after each call: two draws differ, two calls of a function differ, and one draw used twice is one
    sample. Which number each element gets is fixed by seed, stream, draw and index alone (see ``symgraph.ops.random``).

    Parameters
    ----------
    seed : int, optional
        0 to 2**32 - 1; by default one from the operating system.

    Examples
    --------
    >>> stream = RandomStream(1)
    >>> noise = stream.normal(x.shape, std=0.1)
    """

    @size_first
    def uniform(self, size: Any = None, low: Any = 0.0, high: Any = 1.0, dtype: Any = "floatX") -> Variable:
        """Uniform in [low, high).

        Parameters
        ----------
        size : int, integer scalar Variable, or sequence of these, optional
            The shape; ``x.shape`` is one. By default that of the parameters broadcast together.
        low, high : float or Variable that broadcasts to ``size``
        dtype : float dtype

        Returns
        -------
        Variable of ``dtype`` and shape ``size``. Where rounding allows nothing else a value may be ``high``.

        Raises
        ------
        DTypeError
            If ``dtype`` is no float dtype, or an extent no integer.
        ShapeError
            If an extent is negative, or a parameter does not broadcast to ``size``.
        ArgumentError
            If the first argument is a number and another follows: it would be a parameter in NumPy's order.
        """
        sizes, kind = draw_sizes("uniform", size, low, high), float_dtype("uniform", dtype)
        sample = unit(self._draw("uniform"), sizes, kind)
        if _is(low, 0) and _is(high, 1):
            return sample
        span, least = at_most(sub(high, low), sizes), at_most(low, sizes)
        return add(mul(sample, convert(span, kind)), convert(least, kind))  # type: ignore[no-any-return]

    @size_first
    def normal(self, size: Any = None, avg: Any = 0.0, std: Any = 1.0, dtype: Any = "floatX") -> Variable:
        """Normal (Gaussian) with mean ``avg`` and standard deviation ``std``.

        Parameters
        ----------
        size, dtype
            As of ``uniform``.
        avg, std : float or Variable that broadcasts to ``size``

        Returns
        -------
        Variable of ``dtype`` and shape ``size``.

        Raises
        ------
        DTypeError, ShapeError, ValueError
            As of ``uniform``; ValueError if ``std`` is a number below 0.
        """
        check_scale("std", std)
        sizes, kind = draw_sizes("normal", size, avg, std), float_dtype("normal", dtype)
        sample = standard_normal(self._draw("normal"), sizes, kind)
        scaled = sample if _is(std, 1) else mul(sample, convert(at_most(std, sizes), kind))
        return scaled if _is(avg, 0) else add(scaled, convert(at_most(avg, sizes), kind))

    @size_first
    def bernoulli(self, size: Any = None, p: Any = 0.5, dtype: Any = "floatX") -> Variable:
        """1 with probability ``p``, else 0.

        Parameters
        ----------
        size
            As of ``uniform``.
        p : float or Variable that broadcasts to ``size``
        dtype : any dtype
            "bool" for a mask.

        Returns
        -------
        Variable of ``dtype`` and shape ``size``.

        Raises
        ------
        ValueError
            If ``p`` is a number outside 0..1.
        ShapeError, DTypeError
            As of ``uniform``.
        """
        sizes = draw_sizes("bernoulli", size, p)
        return convert(below(self._draw("bernoulli"), sizes, at_most(probability(p), sizes)), canonical(dtype))

    @size_first
    def binomial(self, size: Any = None, n: int = 1, p: Any = 0.5, dtype: Any = "floatX") -> Variable:
        """How many of ``n`` trials succeed, each with probability ``p``; for n = 1 the same as ``bernoulli``.

        Parameters
        ----------
        size, p, dtype
            As of ``bernoulli``.
        n : int
            Number of trials; time and memory grow with it.

        Returns
        -------
        Variable of ``dtype`` and shape ``size``.

        Raises
        ------
        ValueError
            If ``n`` is below 0, or ``p`` a number outside 0..1.
        ShapeError, DTypeError
            As of ``uniform``.
        """
        if not isinstance(n, int) or n < 0:
            raise ValueError(f"binomial: n is {n!r}; it must be an integer from 0 up")
        if n == 1:
            return self.bernoulli(size=size, p=p, dtype=dtype)
        trials = (*draw_sizes("binomial", size, p), n)
        each = probability(p)
        spread = each.dimshuffle(*range(each.ndim), "x") if isinstance(each, Variable) else each
        return convert(sum_(self.bernoulli(trials, spread, "int64"), axis=-1), canonical(dtype))

    @size_first
    def integers(self, size: Any = None, low: Any = 0, high: Any = None, dtype: Any = "int64") -> Variable:
        """Integers in low..high-1, all equally likely to within (high - low) / 2**32.

        Parameters
        ----------
        size
            As of ``uniform``.
        low, high : int or integer Variable that broadcasts to ``size``
            At most 2**32 apart; ``high`` must be given.
        dtype : integer dtype

        Returns
        -------
        Variable of ``dtype`` and shape ``size``.

        Raises
        ------
        ValueError
            If ``low`` and ``high`` are numbers and not 1 to 2**32 apart.
        ShapeError, DTypeError
            As of ``uniform``.
        """
        sizes = draw_sizes("integers", size, low, required("integers", "high", high))
        if isinstance(low, int) and isinstance(high, int) and not 1 <= high - low <= SEEDS:
            raise ValueError(f"integers: low is {low}, high {high}; high must be 1 to 2**32 above low")
        first = convert(at_most(as_variable(low), sizes), "int64")
        count = sub(convert(at_most(as_variable(high), sizes), "int64"), first)
        sample = index_below(self._draw("integers"), sizes, count)
        return convert(sample if _is(low, 0) else add(sample, first), canonical(dtype))

    @size_first
    def exponential(self, size: Any = None, scale: Any = 1.0, dtype: Any = "floatX") -> Variable:
        """Exponential with mean ``scale``.

        Parameters
        ----------
        size, dtype
            As of ``uniform``.
        scale : float or Variable that broadcasts to ``size``

        Returns
        -------
        Variable of ``dtype`` and shape ``size``.

        Raises
        ------
        DTypeError, ShapeError, ValueError
            As of ``uniform``; ValueError if ``scale`` is a number below 0.
        """
        check_scale("scale", scale)
        sizes, kind = draw_sizes("exponential", size, scale), float_dtype("exponential", dtype)
        sample = standard_exponential(self._draw("exponential"), sizes, kind)
        return sample if _is(scale, 1) else mul(sample, convert(at_most(scale, sizes), kind))

    @size_first
    def truncated_normal(
        self, size: Any = None, avg: Any = 0.0, std: Any = 1.0, bound: float = 2.0, dtype: Any = "floatX"
    ) -> Variable:
        """Normal, given that it is less than ``bound`` standard deviations from the mean.

        Parameters
        ----------
        size, avg, std, dtype
            As of ``normal``.
        bound : float

        Returns
        -------
        Variable of ``dtype`` and shape ``size``.

        Raises
        ------
        DTypeError, ShapeError, ValueError
            As of ``uniform``; ValueError if ``std`` is a number below 0.
        """
        check_scale("std", std)
        sizes, kind = draw_sizes("truncated_normal", size, avg, std), float_dtype("truncated_normal", dtype)
        share = erf(constant(bound / np.sqrt(2), kind))
        centred = sub(mul(unit(self._draw("truncated_normal"), sizes, kind), 2.0), 1.0)
        sample = mul(erfinv(mul(centred, share)), constant(np.sqrt(2), kind))
        deviation, mean = (convert(at_most(parameter, sizes), kind) for parameter in (std, avg))
        return add(mul(sample, deviation), mean)  # type: ignore[no-any-return]

    @size_first
    def gamma(self, size: Any = None, shape: Any = 1.0, scale: Any = 1.0, dtype: Any = "floatX") -> Variable:
        """Gamma with mean ``shape * scale``; differentiable by ``scale``, not by ``shape``.

        Parameters
        ----------
        size, dtype
            As of ``uniform``.
        shape, scale : float or Variable that broadcasts to ``size``
            Positive; a ``shape`` that is not gives NaN.

        Returns
        -------
        Variable of ``dtype`` and shape ``size``.

        Raises
        ------
        DTypeError, ShapeError, ValueError
            As of ``uniform``; ValueError if ``scale`` is a number below 0.
        """
        check_scale("scale", scale)
        sizes, kind = draw_sizes("gamma", size, shape, scale), float_dtype("gamma", dtype)
        sample = exp(self._log_gamma("gamma", sizes, shape))
        return convert(sample if _is(scale, 1) else mul(sample, at_most(scale, sizes)), kind)

    @size_first
    def beta(self, size: Any = None, a: Any = 1.0, b: Any = 1.0, dtype: Any = "floatX") -> Variable:
        """Beta with mean ``a / (a + b)``; not differentiable by ``a`` and ``b``.

        Parameters
        ----------
        size, dtype
            As of ``uniform``.
        a, b : float or Variable that broadcasts to ``size``
            Positive; NaN where one is not.

        Returns
        -------
        Variable of ``dtype`` and shape ``size``.

        Raises
        ------
        DTypeError, ShapeError
            As of ``uniform``.
        """
        sizes, kind = draw_sizes("beta", size, a, b), float_dtype("beta", dtype)
        first, second = (self._log_gamma("beta", sizes, parameter) for parameter in (a, b))
        return convert(sigmoid(sub(first, second)), kind)

    def _log_gamma(self, name: str, sizes: Sequence[Variable], shape: Any) -> Variable:
        return drawn_from(log_gamma_draw, self._draw(name), everywhere(shape, sizes), 4)

    @size_first
    def poisson(self, size: Any = None, lam: Any = 1.0, dtype: Any = "int64") -> Variable:
        """Poisson with mean ``lam``.

        Parameters
        ----------
        size
            As of ``uniform``.
        lam : float or Variable that broadcasts to ``size``
            From 0 up; where a variable is not: NaN in a float dtype, in an integer dtype a NaN cast to it.
        dtype : any dtype

        Returns
        -------
        Variable of ``dtype`` and shape ``size``.

        Raises
        ------
        DTypeError, ShapeError, ValueError
            As of ``uniform``; ValueError if ``lam`` is a number below 0.
        """
        check_scale("lam", lam)
        sizes = draw_sizes("poisson", size, lam)
        return convert(drawn_from(poisson_draw, self._draw("poisson"), everywhere(lam, sizes), 2), canonical(dtype))

    @size_first
    def multinomial(self, size: Any = None, n: int = 1, pvals: Any = (0.5, 0.5), dtype: Any = "int64") -> Variable:
        """How often each of k outcomes comes up in ``n`` trials.

        Parameters
        ----------
        size
            The shape of the result without its last axis; see ``uniform``. By default that of ``pvals`` without its
            last axis: a draw for each row.
        n : int
            Number of trials; time and memory grow with it.
        pvals : Variable or array_like, float, shape (k,) or one that broadcasts to (*size, k)
            Probabilities; what they are multiplied by along the last axis does not matter.
        dtype : any dtype

        Returns
        -------
        Variable of ``dtype`` and shape (*size, k); with n = 1 a one-hot row for each draw.

        Raises
        ------
        ValueError
            If ``n`` is below 0.
        DTypeError, ShapeError
            As of ``uniform``.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 0:
            raise ValueError(f"multinomial: n is {n!r}; it must be an integer from 0 up")
        p = floating(pvals)
        trials = (*draw_sizes("multinomial", size, p[..., 0]), n)
        each = self._category("multinomial", trials, p.dimshuffle(*range(p.ndim - 1), "x", p.ndim - 1))
        is_it = eq(each.dimshuffle(*range(each.ndim), "x"), arange(p.shape[-1]))
        return convert(sum_(convert(is_it, "int64"), -2), canonical(dtype))

    def _category(self, name: str, size: Any, p: Variable) -> Variable:
        """A number below k for each element of ``size``, with the probabilities in the last axis of ``p``."""
        sizes = draw_sizes(name, size)
        wide = convert(p, "float64" if p.dtype == "float64" else "float32")
        total = broadcast_to(cumsum(wide, -1), (*sizes, p.shape[-1]))
        u = mul(unit(self._draw(name), sizes, wide.dtype).dimshuffle(*range(len(sizes)), "x"), total[..., -1:])
        return sum_(convert(ge(u, total[..., :-1]), "int64"), -1)

    @size_first
    def permutation(self, size: Any = None, n: Any = None) -> Variable:
        """Permutations of 0..n-1, all equally likely: the order of random numbers of 64 bits.

        Parameters
        ----------
        size
            The shape of the result without its last axis; by default (), one permutation.
        n : int or integer scalar Variable
            It must be given.

        Returns
        -------
        Variable, int64, shape (*size, n).

        Raises
        ------
        DTypeError, ShapeError
            As of ``uniform``.
        """
        shape = (*draw_sizes("permutation", size), required("permutation", "n", n))
        return argsort(random_key(self._draw("permutation"), draw_sizes("permutation", shape)))

    @size_first
    def choice(self, size: Any = None, a: Any = None, replace: bool = True, p: Any = None) -> Variable:
        """Elements of ``a``, or of 0..a-1.

        Parameters
        ----------
        size
            As of ``uniform``; by default (), one element.
        a : int, or Variable or array_like, shape (k, ...)
            It must be given.
        replace : bool
            Whether an element may be drawn again; if not, ``size`` must hold k elements at most.
        p : Variable or array_like, float, shape (k,), optional
            Probabilities; all are equal if it is not given.

        Returns
        -------
        Variable, int64 or of the dtype of ``a``, shape (*size, ...).

        Raises
        ------
        ShapeError
            If there is not one probability for each element; and as of ``uniform``.
        DTypeError
            As of ``uniform``.
        """
        if not isinstance(required("choice", "a", a), int) and as_variable(a).ndim:
            return take(a, self.choice(size=size, a=as_variable(a).shape[0], replace=replace, p=p), 0)
        weights = None if p is None else specify_shape(floating(p), (a,))
        if not replace:
            order = self.permutation((), a) if weights is None else self._weighted_order(a, weights)
            sizes = sizes_of(draw_sizes("choice", size), "choice")
            return reshape(order[: product(sizes)], sizes)
        return self.integers(size=size, high=a) if weights is None else self._category("choice", size, weights)

    def _weighted_order(self, a: Any, p: Variable) -> Variable:
        """An order in which elements are drawn with these probabilities (Efraimidis and Spirakis 2006)."""
        return argsort(true_div(self.exponential((a,), dtype=p.dtype), p))


def _is(value: object, n: int) -> bool:
    return isinstance(value, int | float) and value == n

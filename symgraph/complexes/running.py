"""Products along an axis of complex numbers: as linear recurrences, which have a gradient without a division."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symgraph import expression
from symgraph.complexes.arithmetic import conj, mul
from symgraph.complexes.rules import named, of_parts
from symgraph.formula import Combiner, Compute, Operand, Terms, compute
from symgraph.graph import Variable, apply, constant
from symgraph.kinds import structured
from symgraph.op import GradResult
from symgraph.ops import elementwise as ew
from symgraph.ops.broadcast import expanded
from symgraph.ops.creation import arange_of, zeros_like
from symgraph.ops.extents import product
from symgraph.ops.join import concatenate
from symgraph.ops.reduce import kept
from symgraph.ops.shape import extents, permute, reshaped
from symgraph.ops.slicing import take_slice
from symgraph.parts import Parts

# ------------------------------------------------------------------------------------------------ the recurrence


def _composed(imaginary: bool) -> Combiner:
    """Maps s -> a*s + b one after the other, as the parts of a and b; that of b which is wanted comes last."""

    def merge(first: Terms, second: Terms) -> Terms:
        (ar, ai, *b), (cr, ci, *d) = first, second
        (br, bi), (dr, di) = (b, d) if imaginary else (b[::-1], d[::-1])
        re, im = br * cr - bi * ci + dr, br * ci + bi * cr + di
        return ar * cr - ai * ci, ar * ci + ai * cr, *((re, im) if imaginary else (im, re))

    def identity(dtypes: Sequence[str]) -> Terms:
        return tuple(expression.const(int(k == 0), d) for k, d in enumerate(dtypes))

    return Combiner(f"complex_affine_{'im' if imaginary else 're'}", identity, merge, merge)


COMPOSED = {imaginary: _composed(imaginary) for imaginary in (False, True)}


def _recurrence_numpy(
    ar: np.ndarray, ai: np.ndarray, br: np.ndarray, bi: np.ndarray, axis: int, imaginary: bool
) -> np.ndarray:
    re, im = np.array(br), np.array(bi)
    *factors, real, imag = (np.moveaxis(part, axis, 0) for part in (ar, ai, re, im))
    for k, (c, d) in enumerate(zip(*factors, strict=True)):
        x, y = (real[k - 1], imag[k - 1]) if k else (0, 0)
        step = c * x - d * y, c * y + d * x
        real[k], imag[k] = real[k] + step[0], imag[k] + step[1]
    return im if imaginary else re


def _recurrence_grad(
    g: Variable, ar: Variable, ai: Variable, br: Variable, bi: Variable, out: Variable, axis: int, imaginary: bool
) -> GradResult:
    """What reaches step k from all later ones, r[k] = g[k] + conj(a[k+1])*r[k+1]; by a it is r[k] * conj(s[k-1])."""
    none = zeros_like(g)
    arriving = Parts(none, g) if imaginary else Parts(g, none)
    a, b = Parts(ar, ai), Parts(br, bi)
    back = recurrence(_before(_turned(conj(a), axis), axis), _turned(arriving, axis), axis)
    r = _turned(back, axis)
    by_a = mul(r, conj(_before(recurrence(a, b, axis), axis)))
    return [by_a.re, by_a.im, r.re, r.im]


@structured(
    name="complex_recurrence", infer=lambda ar, ai, br, bi, axis, imaginary: br.type, reference=_recurrence_numpy,
    grad=_recurrence_grad,
)  # fmt: skip
def _recurrence(ar: Operand, ai: Operand, br: Operand, bi: Operand, axis: int, imaginary: bool) -> Compute:
    """A part of s[k] = a[k]*s[k-1] + b[k] along ``axis``, with s[-1] = 0."""
    last = (br, bi) if imaginary else (bi, br)
    return compute(
        ar.shape, lambda *at: (ar[at], ai[at], *(part[at] for part in last)), combiner=COMPOSED[imaginary], prefix=axis
    )


@of_parts(named("recurrence"))
def recurrence(a: Parts, b: Parts, axis: int) -> Parts:
    """s[k] = a[k]*s[k-1] + b[k] along ``axis``, with s[-1] = 0."""
    operands = (a.re, a.im, b.re, b.im)
    return Parts(_recurrence(*operands, axis=axis, imaginary=False), _recurrence(*operands, axis=axis, imaginary=True))


@of_parts(named("shift"))
def _shift(z: Parts, axis: int, fill: float) -> Parts:
    """z moved on by one along ``axis``."""
    re, im = (
        apply(named("shift"), [part], {"axis": axis, "fill": first}).outputs[0]
        for part, first in ((z.re, fill), (z.im, 0.0))
    )
    return Parts(re, im)


def _before(z: Parts, axis: int) -> Parts:
    return _shift(z, axis, 0.0)


def _turned(z: Parts, axis: int) -> Parts:
    """z from its last element along ``axis`` to its first."""
    re, im = (apply(named("reverse"), [part], {"axis": axis}).outputs[0] for part in (z.re, z.im))
    return Parts(re, im)


# ------------------------------------------------------------------------------------------------ products


@of_parts(named("cumprod"))
def _cumprod(z: Parts, axis: int) -> Parts:
    """Each element times those before it: the recurrence that starts with the first and adds nothing."""
    number = arange_of(0, 1, extents(z.re)[axis], "int64")
    is_first = ew.eq(permute(number, tuple(0 if k == axis else None for k in range(z.re.ndim))), 0)
    start = Parts(ew.switch(is_first, z.re, 0), ew.switch(is_first, z.im, 0))
    after = Parts(ew.switch(is_first, 0, z.re), ew.switch(is_first, 0, z.im))
    return recurrence(after, start, axis)


@of_parts(named("prod"))
def _prod(z: Parts, axis: tuple[int, ...], keepdims: bool) -> Parts:
    """The last of the running products of 1 and the elements along ``axis``."""
    re, im = (_in_line(part, axis, first) for part, first in ((z.re, 1), (z.im, 0)))
    last = re.ndim - 1
    running = _cumprod(Parts(re, im), last)
    count = product([extents(z.re)[k] for k in axis])
    found = [permute(take_slice(v, count, 1, 1, last), tuple(range(last))) for v in (running.re, running.im)]
    return Parts(*[kept(v, axis, not keepdims) for v in found])


def _in_line(x: Variable, axis: tuple[int, ...], first: int) -> Variable:
    """The elements along ``axis`` as one last axis, ``first`` before them."""
    left = tuple(k for k in range(x.ndim) if k not in axis)
    sizes = extents(x)
    line = reshaped(permute(x, (*left, *axis)), [*[sizes[k] for k in left], product([sizes[k] for k in axis])])
    head = expanded(constant(first, x.dtype), [*[sizes[k] for k in left], 1])
    return concatenate([head, line], len(left))

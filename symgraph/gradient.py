"""Symbolic differentiation: grad, vjp, jvp, jacobian, hessian.

The cost is canonicalised and stabilised first, then differentiated, so that gradients start from stable named ops.
Reverse accumulation walks the nodes once; each op states its own gradient.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from symgraph import masks
from symgraph.batch import batch
from symgraph.coercion import as_variable, convert
from symgraph.complexes import apart, has_complex, in_parts, leaf_parts
from symgraph.custom import shaped_like
from symgraph.dependence import remember
from symgraph.errors import ArgumentError, DTypeError, GradientError, ShapeError, layout
from symgraph.graph import Apply, Variable, apply, constant, describe, in_code, label, substitute, toposort, transform
from symgraph.kinds import Composite
from symgraph.ops.broadcast import broadcast_like, sum_to
from symgraph.ops.complexes import complex, real
from symgraph.ops.creation import zeros_like
from symgraph.ops.matrices import eye
from symgraph.ops.shape import elements, extents, reshaped
from symgraph.origin import here_excerpt, made_at
from symgraph.parts import by_pairs
from symgraph.rewrite import STABILIZING, rewrite
from symgraph.rewrites.selections import fold_selections
from symgraph.types import is_complex, is_float, is_inexact

Wrt = TypeVar("Wrt", Variable, Sequence[Variable])


def grad(
    cost: Variable | None, wrt: Any, known_grads: Mapping[Variable, Variable] | None = None,
    consider_constant: Sequence[Variable] = (), disconnected_inputs: str = "raise", return_disconnected: str = "zero",
) -> Any:  # fmt: skip
    """d cost / d wrt, as graphs.

    Parameters
    ----------
    cost : Variable, float scalar
        May be None if ``known_grads`` is given.
    wrt : Variable or sequence of Variable
        Float or complex variables; intermediate ones too. The gradient by a complex z is dC/dRe(z) + i dC/dIm(z).
    known_grads : dict, optional
        Gradients already known of intermediate variables: the walk starts at these as well.
    consider_constant : sequence of Variable
        Variables that no gradient flows through.
    disconnected_inputs : "raise", "warn" or "ignore"
        What to do if the cost does not depend on a variable in ``wrt``.
    return_disconnected : "zero", "none"
        What such a variable gets.

    Returns
    -------
    Variable or list of Variable
        Of the same types as ``wrt``.

    Raises
    ------
    ShapeError
        If the cost is not a scalar.
    DTypeError
        If the cost is not a float, or a variable in ``wrt`` neither a float nor complex.
    GradientError
        If a variable is disconnected, or an op on the way has no gradient.

    Notes
    -----
    The cost is repaired before it is differentiated: ``log(x + 1)`` becomes ``log1p(x)``. So its gradient need not hold
    the variables that were computed on the way, here ``x + 1``: they can be neither replaced in it (``givens``) nor
    differentiated by. What ``wrt``, ``known_grads`` and ``consider_constant`` name stays as it is. To replace something
    computed in a gradient too, let it be an input of the cost, take the gradient, and replace that input.
    """
    _check_policy(disconnected_inputs, return_disconnected)
    many = list(wrt) if isinstance(wrt, list | tuple) else [wrt]
    known = dict(known_grads or {})
    starts = dict(zip(known, _weights("grad: known_grads", list(known), list(known.values())), strict=True))
    if cost is not None:
        _check_cost(cost)
        starts = {cost: constant(np.ones((), cost.dtype)), **starts}
    found = _pull(list(starts), list(starts.values()), many, list(consider_constant))
    result = [
        _disconnected(v, disconnected_inputs, return_disconnected) if g is None else g
        for v, g in zip(many, found, strict=True)
    ]
    remember(result, [*starts, *starts.values(), *many])
    return result if isinstance(wrt, list | tuple) else result[0]


def vjp(f: Any, wrt: Any, cotangent: Any, disconnected_inputs: str = "raise") -> Any:
    """cotangent * d f / d wrt (Theano's Lop): the gradient of ``f`` weighted by ``cotangent``, which has f's shape."""
    _check_policy(disconnected_inputs)
    outputs, many = _listed(f), _listed(wrt)
    weights = _weights("vjp: the cotangent", outputs, _listed(cotangent))
    found = _pull(outputs, weights, many, [])
    result = [
        _disconnected(v, disconnected_inputs, "zero") if g is None else g for v, g in zip(many, found, strict=True)
    ]
    remember(result, [*outputs, *weights, *many])
    return result if isinstance(wrt, list | tuple) else result[0]


def jvp(f: Any, wrt: Any, tangent: Any) -> Any:
    """d f / d wrt * tangent (Theano's Rop), by differentiating the vector-Jacobian product by its cotangent.

    References
    ----------
    Townsend (2017), "A new trick for calculating Jacobian vector products".
    """
    outputs, many = _listed(f), _listed(wrt)
    tangents = _weights("jvp: the tangent", many, _listed(tangent))
    weights = [Variable(v.type, name="cotangent") for v in outputs]
    pulled = _pull(outputs, weights, many, [])
    connected = [(g, t) for g, t in zip(pulled, tangents, strict=True) if g is not None]
    pushed = _pull([g for g, _ in connected], [t for _, t in connected], weights, [])
    found = [zeros_like(v) if g is None else g for v, g in zip(outputs, pushed, strict=True)]
    # What is left of the cotangents is their shape, which is that of the outputs.
    result = substitute(found, dict(zip(weights, outputs, strict=True)))
    remember(result, [*outputs, *tangents, *many])
    return result if isinstance(f, list | tuple) else result[0]


def jacobian(f: Variable, wrt: Any, disconnected_inputs: str = "raise") -> Any:
    """d f[i] / d wrt[j], of shape f.shape + wrt.shape: one reverse pass for all i together.

    The pass is built once and given an axis more: every op carries a formula, so batching is mechanical.
    """
    _check_policy(disconnected_inputs)
    if is_complex(f.dtype):
        raise _real_only("jacobian", f, "give its parts one after the other: f.real, f.imag")
    weight = Variable(f.type, name="cotangent")
    many = _listed(wrt)
    found = _pull([f], [weight], many, [])
    rows = [_disconnected(v, disconnected_inputs, "zero") if g is None else g for v, g in zip(many, found, strict=True)]
    batched = _batched(rows, {weight: _units(f)})
    shaped = [reshaped(b, (*extents(f), *extents(v))) for b, v in zip(batched, many, strict=True)]
    remember(shaped, [f, *many])
    return shaped if isinstance(wrt, list | tuple) else shaped[0]


def _batched(rows: Sequence[Variable], units: Mapping[Variable, Variable]) -> list[Variable]:
    """``rows`` for each of ``units``: formulas know real values alone."""
    if not has_complex(rows):
        return batch(rows, units)
    return by_pairs(batch(in_parts(apart(rows)), units), [is_complex(v.dtype) for v in rows], complex)


def hessian(cost: Variable, wrt: Any, disconnected_inputs: str = "raise") -> Any:
    """d2 cost / d wrt2, of shape wrt.shape * 2, for each variable in ``wrt``."""
    many = _listed(wrt)
    for v in many:
        if is_complex(v.dtype):
            raise _real_only("hessian", v, "use hessian_vector_product; or make it of two real variables")
    first = grad(cost, many, disconnected_inputs=disconnected_inputs)
    found = [jacobian(g, v, disconnected_inputs="ignore") for g, v in zip(first, many, strict=True)]
    return found if isinstance(wrt, list | tuple) else found[0]


def hessian_vector_product(cost: Variable, wrt: Any, vector: Any) -> Any:
    """hessian(cost, wrt) * vector without the hessian (Pearlmutter 1994)."""
    many = _listed(wrt)
    first = grad(cost, many)
    weights = _weights("hessian_vector_product: the vector", many, _listed(vector))
    found = _pull(first, weights, many, [])
    result = [zeros_like(v) if g is None else g for v, g in zip(many, found, strict=True)]
    remember(result, [*first, *weights])
    return result if isinstance(wrt, list | tuple) else result[0]


# ------------------------------------------------------------------------------------------------ the walk


def _pull(
    outputs: Sequence[Variable], cotangents: Sequence[Variable], wrt: Sequence[Variable], stop: Sequence[Variable]
) -> list[Variable | None]:
    """The gradient of sum(outputs * cotangents) by each of ``wrt``; None if disconnected."""
    for v in wrt:
        _check_wrt(v)
    is_apart = has_complex([*outputs, *wrt], [*wrt, *stop])
    return (_pull_apart if is_apart else _pull_real)(outputs, cotangents, wrt, stop)


def _pull_apart(
    outputs: Sequence[Variable], cotangents: Sequence[Variable], wrt: Sequence[Variable], stop: Sequence[Variable]
) -> list[Variable | None]:
    """The same where values are complex: everything is differentiated as a function of real parts.

    By a complex value the gradient is that by the real part plus i times that by the imaginary part, and so is its
    cotangent. A value that is written, and of which the graph of parts reads nothing, has a gradient of 0.
    """
    leaves = [*wrt, *stop]
    known = {v: leaf_parts(v) if is_complex(v.dtype) else v for v in leaves}
    weights = [apart([convert(g, v.dtype)])[0] for v, g in zip(outputs, cotangents, strict=True)]
    by, constant_parts = ([known[v] for v in many] for many in (wrt, stop))
    parts = in_parts(apart(outputs, known))
    each = iter(_pull_real(parts, in_parts(weights), in_parts(by), in_parts(constant_parts)))
    pulled = [_whole(v, next(each), next(each)) if is_complex(v.dtype) else next(each) for v in wrt]
    written, read = _read(outputs, leaves), _read(parts, in_parts(list(known.values())))
    vanished = {v for v in wrt if v in written and not read.intersection(in_parts([known[v]]))}
    return [zeros_like(v) if g is None and v in vanished else g for v, g in zip(wrt, pulled, strict=True)]


def _whole(v: Variable, re: Variable | None, im: Variable | None) -> Variable | None:
    """The gradient by ``v`` from those by its parts."""
    if re is None and im is None:
        return None
    zero = zeros_like(real(v))
    return complex(zero if re is None else re, zero if im is None else im)  # type: ignore[no-any-return]


def _pull_real(
    outputs: Sequence[Variable], cotangents: Sequence[Variable], wrt: Sequence[Variable], stop: Sequence[Variable]
) -> list[Variable | None]:
    leaves = [*wrt, *stop]
    stable = fold_selections(rewrite(outputs, STABILIZING, leaves=leaves), leaves)
    prepared = _expand_for_gradient(stable)
    total: dict[Variable, Variable] = {}
    for v, g in zip(prepared, cotangents, strict=True):
        _add(total, v, g, stretched=False)
    useful = _dependent(prepared, wrt, stop)
    for node in reversed(toposort(prepared, leaves)):
        if node in useful and any(v in total for v in node.outputs):
            _pull_node(node, total, useful, set(wrt), set(stop))
    vanished = _read(outputs, leaves) - _read(prepared, leaves)
    return [zeros_like(v) if v not in total and v in vanished else total.get(v) for v in wrt]


def _read(outputs: Sequence[Variable], leaves: Sequence[Variable]) -> set[Variable]:
    """What ``outputs`` depend on: a variable that rewriting made vanish has a gradient of zero, and is connected."""
    return {v for node in toposort(outputs, leaves) for v in node.op.operands(node)}


def _expand_for_gradient(outputs: Sequence[Variable]) -> list[Variable]:
    """Composites without a gradient of their own give way to their bodies."""

    def rebuild(node: Apply, inputs: Sequence[Variable]) -> Sequence[Variable]:
        new = node if list(node.inputs) == list(inputs) else _again(node, inputs)
        if isinstance(node.op, Composite) and node.op.grad_rule is None:
            with made_at(node.origin):
                return _expand_for_gradient(node.op.expand(new))
        return new.outputs

    return transform(outputs, lambda v: None, rebuild)


def _again(node: Apply, inputs: Sequence[Variable]) -> Apply:
    with made_at(node.origin):
        return apply(node.op, inputs, node.attrs)


def _dependent(outputs: Sequence[Variable], wrt: Sequence[Variable], stop: Sequence[Variable]) -> set[Apply]:
    """The nodes on a way from ``wrt`` to ``outputs``."""
    reached: set[Variable] = set(wrt)
    nodes = set()
    blocked = set(stop)
    for node in toposort(outputs, [*wrt, *stop]):
        if any(v in reached and v not in blocked for v in node.op.operands(node)):
            nodes.add(node)
            reached.update(node.outputs)
    return nodes


def _pull_node(
    node: Apply, total: dict[Variable, Variable], useful: set[Apply], wrt: set[Variable], stop: set[Variable]
) -> None:
    with made_at(node.origin):
        contributions = masks.gradient(node, [total.get(v) for v in node.outputs])
        for v, g in zip(node.inputs, contributions, strict=True):
            wanted = v not in stop and is_float(v.dtype) and (v in wrt or v.owner in useful)
            if g is not None and wanted:
                _add(total, v, g, stretched=node.op.broadcasts)


def _add(total: dict[Variable, Variable], v: Variable, g: Variable, stretched: bool = True) -> None:
    """Add a contribution, brought to the type of its variable."""
    fitted = convert(_fit_shape(g, v) if stretched or g.type.shape != v.type.shape else g, v.dtype)
    total[v] = masks.total(total[v], fitted) if v in total else fitted


def _fit_shape(g: Variable, v: Variable) -> Variable:
    if g.type.shape == v.type.shape and g.type.is_static:
        return g
    if g.ndim < v.ndim or any(a == 1 and b != 1 for a, b in zip(g.type.shape[::-1], v.type.shape[::-1], strict=False)):
        g = broadcast_like(g, v)
    return sum_to(g, v)


# ------------------------------------------------------------------------------------------------ arguments


def _listed(x: Any) -> list[Any]:
    return list(x) if isinstance(x, list | tuple) else [x]


def _weights(name: str, like: Sequence[Variable], given: Sequence[object]) -> list[Variable]:
    """What weighs each of ``like``: one of its shape for each."""
    if len(like) != len(given):
        raise ArgumentError(f"{name}: {len(given)} are given for {len(like)} variables\ngive one for each")
    for v in like:
        if not isinstance(v, Variable):
            raise ArgumentError(f"{name} is given for {v!r:.60}\ngive variables")
    return [shaped_like(as_variable(w), v, name, label(v)) for v, w in zip(like, given, strict=True)]


def _check_policy(disconnected: str, returned: str = "zero") -> None:
    if disconnected not in ("raise", "warn", "ignore"):
        raise ValueError(f"disconnected_inputs is {disconnected!r}; it must be 'raise', 'warn' or 'ignore'")
    if str(returned).lower() not in ("zero", "none"):
        raise ValueError(f"return_disconnected is {returned!r}; it must be 'zero' or 'none'")


def _check_cost(cost: Variable) -> None:
    if not isinstance(cost, Variable):
        raise GradientError(f"grad: the cost is {cost!r}; it must be a variable")
    if cost.ndim:
        raise ShapeError(
            layout(f"grad: the cost {label(cost)} is {cost.type}, it must be a scalar", [describe(cost)],
                   here_excerpt(), f"reduce it first: {in_code(cost, 'cost')}.mean() or {in_code(cost, 'cost')}.sum()")
        )  # fmt: skip
    if is_complex(cost.dtype):
        name = in_code(cost, "cost")
        raise DTypeError(
            layout(f"grad: the cost {label(cost)} is {cost.dtype}, it must be a real number", [describe(cost)],
                   here_excerpt(), f"take one of it: {name}.real, {name}.imag or abs({name})")
        )  # fmt: skip
    if not is_float(cost.dtype):
        raise DTypeError(
            layout(f"grad: the cost {label(cost)} is {cost.dtype}, it must be a float", [describe(cost)],
                   here_excerpt(), f"cast it: {in_code(cost, 'cost')}.astype('float32')")
        )  # fmt: skip


def _real_only(name: str, v: Variable, mend: str) -> DTypeError:
    return DTypeError(layout(f"{name}: {label(v)} is {v.dtype}, it must be real", [describe(v)], here_excerpt(), mend))


def _check_wrt(v: Variable) -> None:
    if not isinstance(v, Variable):
        raise GradientError(f"grad: wrt holds {v!r}; it must hold variables")
    if not is_inexact(v.dtype):
        raise DTypeError(
            layout(f"grad: {label(v)} is {v.dtype}: there is no gradient by an integer or a bool", [describe(v)],
                   here_excerpt(), "differentiate by a float variable")
        )  # fmt: skip


def _disconnected(v: Variable, policy: str, returned: str) -> Any:
    if policy == "raise":
        computed = "; a gradient need not hold what its cost computed: differentiate it by inputs"
        mend = f"leave it out of wrt, or pass disconnected_inputs='ignore'{computed if v.owner is not None else ''}"
        raise GradientError(
            layout(f"grad: the cost does not depend on {label(v)}, or only through ops without a gradient",
                   [describe(v)], here_excerpt(), mend)
        )  # fmt: skip
    if policy == "warn":
        warnings.warn(f"grad: the cost does not depend on {label(v)}", stacklevel=4)
    return None if returned.lower() == "none" else zeros_like(v)


def _units(f: Variable) -> Variable:
    """The unit cotangents of ``f``: row i is one at flat position i."""
    count = elements(f)
    return reshaped(eye(count, dtype=f.dtype), (count, *extents(f)))

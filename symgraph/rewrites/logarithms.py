"""Stabilize: logarithms and ratios of exponentials, their sums and products (see ``stabilize`` for the law).

What a logarithm is of is taken apart: the logarithm of a product is a sum, that of a sum of exponentials a logsumexp.
Each part must have a logarithm that is not formed from the part itself, or be a positive number; so nothing is gained
where the parts are plain numbers, and nothing is tried.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from symgraph.graph import Apply, Constant, Variable, apply, constant
from symgraph.match import Factor, Matcher, Owner, added, factors, make, multiply
from symgraph.op import OPS
from symgraph.ops.shape import permute
from symgraph.pattern import Pattern
from symgraph.pattern import sum as sum_
from symgraph.rewrite import repaired, rewriter
from symgraph.rewrites.signs import is_nonnegative, is_positive_constant
from symgraph.rewrites.views import VIEWS, bare, beside_reduction, placed, views_of

EXPONENTIALS = frozenset(
    {"exp", "exp_difference", "exp_product", "softmax", "softmax_complement", "sigmoid", "cosh", "sech", "sech2",
     "erfc"}
)
"""Ops whose values span all magnitudes while their logarithms are ordinary numbers, and known without them."""

LOGARITHMS: dict[str, Callable[[float], float]] = {"log": math.log, "log2": math.log2, "log10": math.log10}

_TOTAL = sum_(Pattern(name="terms"), axis=Pattern(name="axis"), keepdims=Pattern(name="keepdims"))


def log_of(v: Variable, owner: Owner, depth: int = 4) -> Variable | None:
    """log(v) without forming ``v``; None if there is no such way."""
    node = owner(v)
    if node is None or not depth:
        return None
    match node.op.name:
        case name if name in EXPONENTIALS:
            return repaired(_log(v), owner, pairs_only=True)
        case "add":
            return _log_of_terms(added(v, owner), owner, depth)
        case "sub":
            return _log_of_difference(node.inputs, owner, depth)
        case "neg":
            made = owner(node.inputs[0])
            if made is not None and made.op.name == "sub":
                return _log_of_difference(made.inputs[::-1], owner, depth)
            return _log_of_product(v, owner, depth)
        case "exp2" | "pow":
            return _log_of_exponential(node, "log")
        case "mul" | "true_div":
            return _log_of_product(v, owner, depth)
        case "prod":
            return _log_of_prod(node, owner, depth)
        case "sum" | "cast":
            found = repaired(_log(v), owner, pairs_only=True)
            return _log_of_weighted_sum([Factor(v, False)], owner, False) if found is None else found
        case name if name in VIEWS:
            chain, base = views_of(v, owner)
            found = log_of(base, owner, depth - 1)
            return None if found is None else placed(found, chain)
    return None


def _log(v: Variable) -> Apply:
    node = make("log", v).owner
    assert node is not None
    return node


# ------------------------------------------------------------------------------------------------ sums


def _log_of_terms(terms: Sequence[Variable], owner: Owner, depth: int) -> Variable | None:
    """logaddexp of the logarithms of all terms, if they are known, and not all of constants."""
    logs = _logs(terms, owner, depth)
    if logs is None or all(isinstance(v, Constant) for v in terms):
        return None
    return functools.reduce(functools.partial(make, "logaddexp"), logs)


def _log_of_difference(terms: Sequence[Variable], owner: Owner, depth: int) -> Variable | None:
    logs = _logs(terms, owner, depth)
    return None if logs is None else make("logsubexp", *logs)


def _logs(terms: Sequence[Variable], owner: Owner, depth: int) -> list[Variable] | None:
    found = [make("log", v) if is_positive_constant(v) else log_of(v, owner, depth - 1) for v in terms]
    return None if any(v is None for v in found) else found  # type: ignore[return-value]


# ------------------------------------------------------------------------------------------------ products


def _log_of_product(v: Variable, owner: Owner, depth: int) -> Variable | None:
    """The sum of the logarithms of the factors, if none can be negative, and one is known without the factor."""
    negative, given = factors(v, owner)
    weighted = _log_of_weighted_sum(given, owner, negative)
    if weighted is not None or negative:
        return weighted
    if not all(is_positive_constant(f.value) or is_nonnegative(f.value, owner) for f in given):
        return None
    logs = [log_of(f.value, owner, depth - 1) for f in given]
    if all(u is None for u in logs):
        return None
    terms = [make("log", f.value) if u is None else u for f, u in zip(given, logs, strict=True)]
    signed = [make("neg", u) if f.below else u for f, u in zip(given, terms, strict=True) if not _is_one(f.value)]
    return functools.reduce(functools.partial(make, "add"), signed)


def _log_of_prod(node: Apply, owner: Owner, depth: int) -> Variable | None:
    """The sum of the logarithms of the elements that are multiplied along axes, if they are known."""
    (x,) = node.inputs
    found = log_of(x, owner, depth - 1) if is_nonnegative(x, owner) else None
    return None if found is None else make("sum", found, **node.attrs)


@rewriter("stabilize", "log_prod")
def log_of_prod_in_parts(node: Apply, owner: Owner) -> Variable | None:
    """Elements such as sigmoids underflow one by one where their logarithms are ordinary numbers."""
    return _log_of_prod(node, owner, 4)


def _is_one(v: Variable) -> bool:
    return isinstance(v, Constant) and bool((v.data == 1).all())


def _log_of_weighted_sum(given: Sequence[Factor], owner: Owner, negative: bool) -> Variable | None:
    """log(a*sum(w*exp(x))/b), or of its negative: numbers beside the sum, and weights in it of any sign."""
    for k, f in enumerate(given):
        total = None if f.below else _weighted_exp(f.value, owner)
        others = [_number(g, owner) for j, g in enumerate(given) if j != k]
        if total is None or any(g is None for g in others):
            continue
        one = _one(f.value)
        above = multiply(one, negative, [g for g in others if g is not None and not g.below])
        below = multiply(one, False, [Factor(g.value, False) for g in others if g is not None and g.below])
        attrs = {"axis": total.axis, "keepdims": total.keepdims}
        return make("log_weighted_sum_exp", total.x, total.weights, above, below, **attrs)
    return None


def _number(f: Factor, owner: Owner) -> Factor | None:
    """``f`` as a scalar, if it is one under inserted axes."""
    v = bare(f.value, owner)
    return None if v.ndim else Factor(v, f.below)


@dataclass(frozen=True)
class _Total:
    """sum(weights*exp(x)) along ``axis``."""

    x: Variable
    weights: Variable
    axis: tuple[int, ...]
    keepdims: bool


def _weighted_exp(v: Variable, owner: Owner) -> _Total | None:
    """``v`` as a weighted sum of exponentials."""
    for env in Matcher(owner, views=True).match(_TOTAL, v, {}):
        found = _exp_factor(env["terms"], owner)  # type: ignore[arg-type]
        if found is not None:
            return _Total(*found, env["axis"], env["keepdims"])  # type: ignore[arg-type]
    return None


def _exp_factor(v: Variable, owner: Owner) -> tuple[Variable, Variable] | None:
    """(x, w) for w*exp(x), a single exponential among the factors."""
    negative, given = factors(v, owner)
    made = [owner(f.value) for f in given]
    at = [k for k, node in enumerate(made) if node is not None and node.op.name == "exp" and not given[k].below]
    if len(at) != 1:
        return None
    rest = [f for k, f in enumerate(given) if k != at[0]]
    alone = len(rest) == 1 and not negative and not rest[0].below and rest[0].value.dtype == v.dtype
    weights = rest[0].value if alone else multiply(_one(v), negative, rest)
    return given[at[0]].value.owner.inputs[0], weights  # type: ignore[union-attr]


def _one(v: Variable) -> Variable:
    return constant(np.ones((), v.dtype))


# ------------------------------------------------------------------------------------------------ other bases


def _log_of_exponential(node: Apply, name: str) -> Variable | None:
    """The logarithm of c**x, c a number, to the base of the op ``name``: x times that of c."""
    match node.op.name:
        case "exp":
            base, x = math.e, node.inputs[0]
        case "exp2":
            base, x = 2.0, node.inputs[0]
        case "pow" if is_positive_constant(node.inputs[0]) and not node.inputs[0].ndim:
            base, x = float(node.inputs[0].data), node.inputs[1]  # type: ignore[attr-defined]
        case _:
            return None
    slope = LOGARITHMS[name](base)
    return (x if slope == 1 else make("mul", x, constant(slope, x.dtype))) if slope else None


def _log_of_exponentials(v: Variable, owner: Owner, name: str) -> Variable | None:
    """The logarithm of 8 * 2**x / 2**y: of exponentials and positive numbers, not all of them numbers."""
    negative, given = factors(v, owner)
    if negative or all(isinstance(f.value, Constant) for f in given):
        return None
    logs = [_log_of_part(f.value, owner, name) for f in given]
    if any(u is None for u in logs):
        return None
    signed = [make("neg", u) if f.below else u for f, u in zip(given, logs, strict=True) if not _is_one(f.value)]
    return functools.reduce(functools.partial(make, "add"), signed)


def _log_of_part(v: Variable, owner: Owner, name: str) -> Variable | None:
    if is_positive_constant(v):
        return make(name, v)
    node = owner(v)
    return None if node is None else _log_of_exponential(node, name)


@rewriter("stabilize", *LOGARITHMS)
def logarithm_of_exponential(node: Apply, owner: Owner) -> Variable | None:
    """c**x overflows or underflows where its logarithm is x times that of c, an ordinary number; and what has a natural
    logarithm of its own has one to the bases 2 and 10."""
    v, name = node.inputs[0], node.op.name
    made = owner(v)
    if made is None or made.op.name in VIEWS:
        return None
    if name == "log":
        found = _log_of_exponential(made, name)
    else:
        found = _log_of_exponentials(v, owner, name)
        natural = log_of(v, owner) if found is None else None
        found = found if natural is None else make("mul", natural, constant(LOGARITHMS[name](math.e), v.dtype))
    return found if found is not None and found.type == node.outputs[0].type else None


# ------------------------------------------------------------------------------------------------ rules


@rewriter("stabilize", "log")
def log_in_parts(node: Apply, owner: Owner) -> Variable | None:
    """log(c*exp(x)/sum(exp(y))) and log(exp(x) + exp(y) + c) overflow where the logarithms of their parts are ordinary
    numbers."""
    made = owner(node.inputs[0])
    if made is None or made.op.name not in ("add", "sub", "neg", "mul", "true_div", "sum", "cast"):
        return None
    ways = (_log_of_inverse(node.inputs[0], owner), log_of(node.inputs[0], owner))
    found = next((v for v in ways if v is not None), None)
    return _log_of_factors(node.inputs[0], owner) if found is None else found


def _log_of_inverse(v: Variable, owner: Owner) -> Variable | None:
    """1 / y overflows or underflows where its logarithm is an ordinary number; that of 1 / -inf, -0, is -inf."""
    negative, given = factors(v, owner)
    if len(given) != 2 or not _is_one(given[0].value) or not given[1].below:
        return None
    y = make("neg", given[1].value) if negative else given[1].value
    if is_nonnegative(y, owner):
        return make("neg", make("log", y))
    found = repaired(_log(y), owner)
    return None if found is None else make("switch", make("eq", y, -np.inf), -np.inf, make("neg", found))


def _log_of_factors(v: Variable, owner: Owner) -> Variable | None:
    """The logarithm of a product of two and more that are no constants, which may be out of range."""
    negative, given = factors(v, owner)
    given = [Factor(u, f.below) for f in given for u in _roots(f.value, owner)]
    if sum(not isinstance(f.value, Constant) or f.value.data.size > 1 for f in given) < 2:
        return None
    values = [make("neg", f.value) if negative and k == 0 else f.value for k, f in enumerate(given)]
    return make("log_product", *values, below=tuple(f.below for f in given))


def _roots(v: Variable, owner: Owner) -> list[Variable]:
    """What a square is twice; anything else itself."""
    node = owner(v)
    return [node.inputs[0]] * 2 if node is not None and node.op.name == "sqr" else [v]


@rewriter("stabilize", "log")
def log_of_absolute_product(node: Apply, owner: Owner) -> Variable | None:
    """|x*y| is |x| * |y|, whose logarithm is known where the product is out of range."""
    made = owner(node.inputs[0])
    inner = owner(made.inputs[0]) if made is not None and made.op.name == "abs" else None
    if inner is None or inner.op.name not in ("mul", "true_div"):
        return None
    return make("log", make(inner.op.name, *[make("abs", v) for v in inner.inputs]))


@rewriter("stabilize", "log1p")
def log1p_in_parts(node: Apply, owner: Owner) -> Variable | None:
    """log(1 + exp(x) + exp(y)) overflows where softplus of the logarithm of the sum is an ordinary number."""
    made = owner(node.inputs[0])
    if made is None or made.op.name not in ("add", "sum", "cast", *VIEWS):
        return None
    found = log_of(node.inputs[0], owner)
    return None if found is None else make("softplus", found)


@rewriter("stabilize", "xlogy0", "xlog1py0")
def logarithm_beside_weight(node: Apply, owner: Owner) -> Variable | None:
    """y*log(softmax(x)), 0 where y is, has the logarithm that is known without its argument: a small probability is
    rounded to 0."""
    weight, y = node.inputs
    made = owner(y)
    _, base = views_of(made.inputs[0] if made is not None and made.op.name == "neg" else y, owner)
    inner = owner(base)
    if inner is None or inner.op.name not in EXPONENTIALS:
        return None
    logarithm = make("log" if node.op.name == "xlogy0" else "log1p", y).owner
    found = None if logarithm is None else repaired(logarithm, owner)
    return None if found is None else make("times_log0", weight, found)


@rewriter("stabilize", "mul", "true_div")
def exp_over_sum_of_exps(node: Apply, owner: Owner) -> Variable | None:
    """exp(x) / sum(exp(y)) is inf / inf, or 0 / 0: the maximum is taken out of both."""
    if not _may_be_ratio(node, owner) or beside_reduction(node, owner) is not None:
        return None
    negative, given = factors(node.outputs[0], owner)
    for k, f in enumerate(given):
        total = _weighted_exp(f.value, owner) if f.below else None
        for j, g in enumerate(given):
            ratio = None if total is None or g.below else _ratio(g.value, total, owner)
            if ratio is not None:
                return multiply(ratio, negative, [h for i, h in enumerate(given) if i not in (j, k)])
    return None


def _ratio(v: Variable, total: _Total, owner: Owner) -> Variable | None:
    """v / total, what is too large or too small taken out of both."""
    x, axes = _exponent(v, owner), (total.axis, total.keepdims)
    other = _weighted_exp(v, owner) if x is None else None
    if other is not None and (other.axis, other.keepdims) == axes:
        if other.x is total.x and _is_one(total.weights) and _is_chosen(other):
            return make("sum", make("mul", other.weights, make("softmax", total.x, axis=total.axis)), *axes)
        shift = _shift(total, other)
        return make("true_div", _shifted(other, shift), _shifted(total, shift))
    if x is None:
        return None
    shift = _peak(total) if _is_one(total.weights) else _shift(total, total)
    removed = tuple(k for k in range(shift.ndim) if total.keepdims or k not in total.axis)
    return make("true_div", make("exp_difference", x, permute(shift, removed)), _shifted(total, shift))


def _is_chosen(total: _Total) -> bool:
    """Whether the weights are numbers of at most 1 together, as a one-hot row: where their softmax underflows, no more
    than the least number is lost, and the slope of its sum does not cancel."""
    if not isinstance(total.weights, Constant):
        return False
    data = total.weights.data
    w = data.reshape((1,) * (total.x.ndim - data.ndim) + data.shape)
    return all(w.shape[k] > 1 for k in total.axis) and bool((np.abs(w).sum(total.axis) <= 1).all())


def _may_be_ratio(node: Apply, owner: Owner) -> bool:
    """Whether something stands below the line, asked first because it is cheap."""
    made = [owner(v) for v in node.inputs]
    return node.op.name == "true_div" or any(n is not None and n.op.name == "true_div" for n in made)


def _exponent(v: Variable, owner: Owner) -> Variable | None:
    """x for exp(x), or for elements chosen or placed from it."""
    chain, base = views_of(v, owner)
    made = owner(base)
    if made is None or made.op.name != "exp":
        return None
    return placed(made.inputs[0], chain)


def _peak(total: _Total) -> Variable:
    """The maximum, kept; what it is does not matter to the ratio, nor does its slope."""
    return OPS["disconnected_grad"](make("peak", total.x, axis=total.axis))  # type: ignore[operator, no-any-return]


def _shift(below: _Total, above: _Total) -> Variable:
    """0 where both sums are in range as they are written, else the maximum: beside it an exponential may underflow that
    a huge weight brings back."""
    sizes = [_size(t) for t in (below, above)]
    least, largest = float(np.finfo(sizes[0].dtype).tiny), float(np.finfo(sizes[0].dtype).max)
    fine = [make(name, v, bound) for v in sizes for name, bound in (("ge", least), ("le", largest))]
    return make("switch", functools.reduce(functools.partial(make, "and_"), fine), 0.0, _peak(below))


def _size(total: _Total) -> Variable:
    """The sum of magnitudes, kept; without infinite weights, which no exponential but 0 brings back."""
    w = make("switch", make("isinf", total.weights), 0.0, make("abs", total.weights))
    size = make("sum", make("mul", w, make("exp", total.x)), total.axis, True)
    return OPS["disconnected_grad"](size)  # type: ignore[operator, no-any-return]


def _shifted(total: _Total, shift: Variable) -> Variable:
    e = make("exp_difference", total.x, shift)
    return make("sum", make("mul", total.weights, e), total.axis, total.keepdims)


@rewriter("stabilize", "mul", "true_div")
def exp_over_list_of_exps(node: Apply, owner: Owner) -> Variable | None:
    """exp(x) / (exp(x) + exp(y) + ...) is inf / inf, or 0 / 0: only differences to x are exponentiated."""
    if not _may_be_ratio(node, owner):
        return None
    negative, given = factors(node.outputs[0], owner)
    for k, f in enumerate(given):
        terms = added(f.value, owner) if f.below else []
        for j, g in enumerate(given):
            if len(terms) > 1 and not g.below and any(g.value is t for t in terms):
                found = _share(g.value, terms, owner)
                if found is not None:
                    return multiply(found, negative, [h for i, h in enumerate(given) if i not in (j, k)])
    return None


def _share(part: Variable, terms: Sequence[Variable], owner: Owner) -> Variable | None:
    """exp(x) over a sum with it in it."""
    x, others = _exponent(part, owner), [t for t in terms if t is not part]
    logs = _logs(others, owner, 4)
    if x is None or logs is None or len(others) != len(terms) - 1:
        return None
    gaps = [make("sub", v, x) for v in logs]
    return make("exp", make("neg", make("softplus", functools.reduce(functools.partial(make, "logaddexp"), gaps))))


@rewriter("stabilize", "concatenate")
def exp_of_join(node: Apply, owner: Owner) -> Variable | None:
    """Joined exponentials are the exponential of what is joined, which sums and ratios know."""
    exponents = [_exponent(v, owner) for v in node.inputs]
    if any(x is None for x in exponents):
        return None
    return make("exp", apply(node.op, exponents, node.attrs).outputs[0])  # type: ignore[arg-type]

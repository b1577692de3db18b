"""Stabilize: logarithms of exponentials, their sums and products (see ``stabilize`` for the law).

What a logarithm is of is taken apart (``WAYS``). A product is exp(exponents) times a rest, numbers of any sign: its
logarithm is the exponents and that of the rest, NaN where the rest is negative. A sum of such products along axes is a
``Total``: the rest of each term is its weight. Nothing is done where no part has a logarithm of its own, which is not
formed from the part itself.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from symgraph.graph import Apply, Constant, Variable, constant
from symgraph.match import Factor, Matcher, Owner, added, factors, make, multiply
from symgraph.ops.reduce import kept
from symgraph.ops.shape import permute
from symgraph.pattern import Pattern
from symgraph.pattern import sum as sum_
from symgraph.rewrite import repaired, rewriter
from symgraph.rewrites.signs import is_nonnegative, is_positive_constant
from symgraph.rewrites.views import VIEWS, placed, views_of

EXPONENTIALS = frozenset(
    {"exp", "exp_difference", "exp_product", "softmax", "softmax_complement", "sigmoid", "cosh", "sech", "sech2",
     "erfc", "sigmoid_gap", "erf_gap"}
)
"""Ops whose values span all magnitudes while their logarithms are ordinary numbers, and known without them."""

PARTED = frozenset({
    "add", "sub", "neg", "mul", "true_div", "sum", "cast", "switch", "dot", "batched_dot", "weighted_exp",
    "weighted_softmax", "inverse_expm1",
})  # fmt: skip
"""Ops on several parts, whose logarithm is taken apart."""

LOGARITHMS: dict[str, Callable[[float], float]] = {"log": math.log, "log2": math.log2, "log10": math.log10}

_SUM = sum_(Pattern(name="terms"), axis=Pattern(name="axis"), keepdims=Pattern(name="keepdims"))


def log_of(v: Variable, owner: Owner, depth: int = 5) -> Variable | None:
    """log(v) without forming ``v``, NaN where that is negative; None if there is no such way within ``depth`` ops."""
    node = owner(v)
    way = WAYS.get(node.op.name) if node is not None and depth else None
    return None if way is None else way(v, owner, depth - 1)


def _log_of_nonnegative(v: Variable, owner: Owner, depth: int) -> Variable | None:
    """log(v) without forming ``v``, if that cannot be negative: so it may be one of several terms or factors."""
    return log_of(v, owner, depth) if is_nonnegative(v, owner) else None


def _log_of_named(v: Variable, owner: Owner, depth: int) -> Variable | None:
    """What a rule says of the logarithm of one op."""
    return repaired(_log(v), owner, pairs_only=True)


def _log_through_view(v: Variable, owner: Owner, depth: int) -> Variable | None:
    chain, base = views_of(v, owner)
    found = log_of(base, owner, depth + 1)
    return None if found is None else placed(found, chain)


def _log_of_share(v: Variable, owner: Owner, depth: int) -> Variable | None:
    node = owner(v)
    return make("log_weighted_softmax", *node.inputs, **node.attrs) if node is not None else None


def _log_of_choice(v: Variable, owner: Owner, depth: int) -> Variable | None:
    """That of what is chosen; of a number too, if not of two numbers."""
    condition, *branches = owner(v).inputs  # type: ignore[union-attr]
    numbers = [isinstance(u, Constant) and is_nonnegative(u, owner) for u in branches]
    logs = [make("log", u) if n else log_of(u, owner, depth) for u, n in zip(branches, numbers, strict=True)]
    return None if all(numbers) or any(u is None for u in logs) else make("switch", condition, *logs)


def _log(v: Variable) -> Apply:
    node = make("log", v).owner
    assert node is not None
    return node


def _total(terms: Sequence[Variable]) -> Variable:
    return functools.reduce(functools.partial(make, "add"), terms)


# ------------------------------------------------------------------------------------------------ sums of terms


def _log_of_terms(v: Variable, owner: Owner, depth: int) -> Variable | None:
    """logaddexp of the logarithms of all terms, if they are known, and not all of constants."""
    terms = added(v, owner)
    logs = logs_of_terms(terms, owner, depth)
    if logs is None or all(isinstance(u, Constant) for u in terms):
        return None
    return functools.reduce(functools.partial(make, "logaddexp"), logs)


def _log_of_difference(v: Variable, owner: Owner, depth: int) -> Variable | None:
    logs = logs_of_terms(owner(v).inputs, owner, depth)  # type: ignore[union-attr]
    return None if logs is None else make("logsubexp", *logs)


def _log_of_negation(v: Variable, owner: Owner, depth: int) -> Variable | None:
    """That of -(x - y) is that of y - x, and others are products."""
    made = owner(owner(v).inputs[0])  # type: ignore[union-attr]
    if made is None or made.op.name != "sub":
        return _log_of_product(v, owner, depth)
    return _log_of_difference(make("sub", *made.inputs[::-1]), owner, depth)


def logs_of_terms(terms: Sequence[Variable], owner: Owner, depth: int = 5) -> list[Variable] | None:
    """The logarithms of all terms, none of which can be negative; None if one is not known."""
    found = [make("log", v) if is_positive_constant(v) else _log_of_nonnegative(v, owner, depth) for v in terms]
    return None if any(v is None for v in found) else found  # type: ignore[return-value]


# ------------------------------------------------------------------------------------------------ products


@dataclass(frozen=True)
class Product:
    """A product as exp(exponents) times the rest: what has no logarithm of its own, or may be negative."""

    exponents: list[Variable]
    negative: bool
    rest: list[Factor]

    @property
    def exponent(self) -> Variable | None:
        """The sum of the exponents, if there are any."""
        return _total(self.exponents) if self.exponents else None

    @property
    def is_bare(self) -> bool:
        """Whether there is no rest."""
        return not self.negative and not self.rest

    def weights(self, dtype: str) -> Variable:
        """The rest, multiplied."""
        if len(self.rest) == 1 and not (self.negative or self.rest[0].below) and self.rest[0].value.dtype == dtype:
            return self.rest[0].value
        return multiply(constant(np.ones((), dtype)), self.negative, self.rest)


def taken_apart(negative: bool, given: Sequence[Factor], owner: Owner, depth: int = 5) -> Product:
    """A product as exponents and the rest."""
    found = Product([], negative, [])
    for f in _opened(given, owner):
        known = _log_of_nonnegative(f.value, owner, depth)
        if known is not None:
            found.exponents.append(make("neg", known) if f.below else known)
        elif not is_one(f.value):
            found.rest.append(f)
    return found


def _opened(given: Sequence[Factor], owner: Owner) -> list[Factor]:
    """Each w*exp(x - y) that is one op as two factors."""
    found = []
    for f in given:
        node = owner(f.value)
        if node is None or node.op.name != "weighted_exp":
            found.append(f)
        else:
            w, x, y = node.inputs
            found += [Factor(w, f.below), Factor(make("exp_difference", x, y), f.below)]
    return found


def _log_of_product(v: Variable, owner: Owner, depth: int) -> Variable | None:
    """The sum of the logarithms of the factors where they are known; the rest may have any sign."""
    negative, given = factors(v, owner)
    product = taken_apart(negative, given, owner, depth)
    if product.is_bare:
        return product.exponent
    beside = _log_beside_total(negative, given, owner, depth)
    if beside is None and product.exponents:
        return _total([*product.exponents, _log_of_rest(product, v.dtype)])
    return _log_beside_signed(product, owner, depth) if beside is None else beside


def _log_of_prod(v: Variable, owner: Owner, depth: int) -> Variable | None:
    """The sum of the logarithms of the elements that are multiplied along axes, if they are known."""
    node = owner(v)
    assert node is not None
    return _sum_of_logs(node, owner, depth)


def _sum_of_logs(node: Apply, owner: Owner, depth: int) -> Variable | None:
    found = _log_of_nonnegative(node.inputs[0], owner, depth)
    return None if found is None else make("sum", found, **node.attrs)


@rewriter("stabilize", "log_prod")
def log_of_prod_in_parts(node: Apply, owner: Owner) -> Variable | None:
    """Elements such as sigmoids underflow one by one where their logarithms are ordinary numbers."""
    return _sum_of_logs(node, owner, 5)


def _log_beside_total(negative: bool, given: Sequence[Factor], owner: Owner, depth: int) -> Variable | None:
    """Of a product with a sum of exponentials in it: the sum takes the rest in, and its logarithm may be near 0."""
    for f in given:
        total = total_of(f.value, owner, depth)
        if total is not None:
            product = taken_apart(negative, [g for g in given if g is not f], owner, depth)
            logarithm = total.log_beside(product, f.below)
            return _total([*product.exponents, make("neg", logarithm) if f.below else logarithm])
    return None


def _log_beside_signed(product: Product, owner: Owner, depth: int) -> Variable | None:
    """Of a product with one factor that may be negative, whose logarithm is known."""
    signed = [f for f in product.rest if not is_nonnegative(f.value, owner)]
    known = log_of(signed[0].value, owner, depth) if len(signed) == 1 and not product.negative else None
    if known is None:
        return None
    rest = Product([], False, [f for f in product.rest if f is not signed[0]])
    logarithm = make("neg", known) if signed[0].below else known
    return logarithm if rest.is_bare else _total([logarithm, _log_of_rest(rest, known.dtype)])


def _log_of_rest(product: Product, dtype: str) -> Variable:
    """The logarithm of a product none of whose factors has one; that of 1 / y without its inverse."""
    if any(not f.below for f in product.rest):
        return make("log", product.weights(dtype))
    below = Product([], product.negative, [Factor(f.value, False) for f in product.rest])
    return make("log_product", below.weights(dtype), below=(True,))


def is_one(v: Variable) -> bool:
    return isinstance(v, Constant) and bool((v.data == 1).all())


# ------------------------------------------------------------------------------------------------ totals


@dataclass(frozen=True)
class Total:
    """sum(weights*exp(x)) along ``axis``, the weights of any sign: the product of ``rest``, negated if ``negative``."""

    x: Variable
    weights: Variable
    negative: bool
    rest: list[Factor]
    axis: tuple[int, ...]
    keepdims: bool

    @property
    def is_plain(self) -> bool:
        """Whether all weights are 1."""
        return is_one(self.weights)

    @property
    def axes(self) -> dict[str, object]:
        return {"axis": self.axis, "keepdims": self.keepdims}

    def log(self) -> Variable:
        """The logarithm."""
        if self.is_plain:
            return make("logsumexp", self.x, **self.axes)
        return self.log_beside(Product([], False, []), False)

    def log_beside(self, product: Product, below: bool) -> Variable:
        """The logarithm of the total times the rest of a product; of the total over it if ``below``."""
        return make("log_weighted_sum_exp", self.x, self.weights, *self._fraction(product, below), **self.axes)

    def _fraction(self, product: Product, below: bool) -> Iterator[Variable]:
        """What the total is multiplied and divided by, with the axes it is along."""
        for k, side in enumerate((below, not below)):
            rest = [Factor(f.value, False) for f in product.rest if f.below is side]
            v = Product([], product.negative and k == 0, rest).weights(self.x.dtype)
            yield kept(v, self.axis, self.keepdims) if v.ndim else v


def total_of(v: Variable, owner: Owner, depth: int = 5) -> Total | None:
    """``v`` as a weighted sum of exponentials, a product of matrices too."""
    for negative, terms, axis, keepdims in _summed(v, owner):
        product = taken_apart(negative, terms, owner, depth)
        if product.exponent is not None:
            return Total(
                product.exponent, product.weights(v.dtype), product.negative, product.rest, axis, keepdims
            )
    return None


def _summed(v: Variable, owner: Owner) -> Iterator[tuple[bool, list[Factor], tuple[int, ...], bool]]:
    """A sum: the product that is added up (negative, factors), along which axes, and whether these are kept."""
    for env in Matcher(owner, views=True).match(_SUM, v, {}):
        yield *factors(env["terms"], owner), env["axis"], env["keepdims"]  # type: ignore[arg-type, misc]
    node = owner(v)
    if node is not None and node.op.name in ("dot", "batched_dot"):
        rank = v.ndim
        places = [(*range(rank), None), (*range(rank - 2), None, rank - 2, rank - 1)]
        sides = [(factors(u, owner), to) for u, to in zip(node.inputs, places, strict=True)]
        given = [Factor(_moved(f.value, to), f.below) for (_, side), to in sides for f in side]
        yield sides[0][0][0] != sides[1][0][0], given, (rank - 1,), False


def _moved(v: Variable, places: tuple[int | None, ...]) -> Variable:
    """A factor of a matrix with its axes in these places; a number as it is."""
    return permute(v, places) if v.ndim else v


def _log_of_total(v: Variable, owner: Owner, depth: int) -> Variable | None:
    found = _log_of_named(v, owner, depth)
    total = total_of(v, owner, depth) if found is None else None
    return found if total is None else total.log()


# ------------------------------------------------------------------------------------------------ powers


def log_of_exponential(node: Apply, name: str) -> Variable | None:
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


def _log_of_power(v: Variable, owner: Owner, depth: int) -> Variable | None:
    return log_of_exponential(owner(v), "log")  # type: ignore[arg-type]


WAYS: dict[str, Callable[[Variable, Owner, int], Variable | None]] = {
    **dict.fromkeys(EXPONENTIALS, _log_of_named),
    **dict.fromkeys(VIEWS, _log_through_view),
    **dict.fromkeys(("exp2", "pow"), _log_of_power),
    **dict.fromkeys(("mul", "true_div", "weighted_exp"), _log_of_product),
    **dict.fromkeys(("sum", "cast", "dot", "batched_dot"), _log_of_total),
    "add": _log_of_terms,
    "sub": _log_of_difference,
    "neg": _log_of_negation,
    "prod": _log_of_prod,
    "switch": _log_of_choice,
    "weighted_softmax": _log_of_share,
}
"""Op -> how the logarithm of its result is found."""


# ------------------------------------------------------------------------------------------------ rules


@rewriter("stabilize", "log")
def log_in_parts(node: Apply, owner: Owner) -> Variable | None:
    """log(c*exp(x)/sum(exp(y))) and log(exp(x) + exp(y) + c) overflow where the logarithms of their parts are ordinary
    numbers."""
    made = owner(node.inputs[0])
    if made is None or made.op.name not in PARTED:
        return None
    found = (way(node.inputs[0], owner) for way in (log_of, _log_of_inverse, _log_of_list, log_of_factors))
    return next((v for v in found if v is not None), None)


def _log_of_list(v: Variable, owner: Owner) -> Variable | None:
    """The logarithm of a sum or difference of exponentials, and maybe numbers, with weights of any sign."""
    made = owner(v)
    flipped = made is not None and made.op.name == "neg"
    made = owner(made.inputs[0]) if made is not None and flipped else made
    if made is None or made.op.name not in ("add", "sub"):
        return None
    products = []
    for k, side in enumerate(made.inputs):
        for t in added(side, owner):
            negative, given = factors(t, owner)
            minus = negative ^ flipped ^ (k == 1 and made.op.name == "sub")
            products.append(taken_apart(minus, given, owner))
    if not any(p.exponents for p in products):
        return None
    zero = constant(np.zeros((), v.dtype))
    parts = [u for p in products for u in (p.weights(v.dtype), p.exponent if p.exponents else zero)]
    return make("log_weighted_list", *parts)


def _log_of_inverse(v: Variable, owner: Owner) -> Variable | None:
    """1 / y overflows or underflows where its logarithm is an ordinary number; that of 1 / -inf, -0, is -inf."""
    negative, given = factors(v, owner)
    made = owner(given[0].value)
    if len(given) == 2 and is_one(given[0].value) and given[1].below:
        y = given[1].value
    elif len(given) == 1 and made is not None and made.op.name == "inverse_expm1":
        y = make("expm1", made.inputs[0])
    else:
        return None
    y = make("neg", y) if negative else y
    if is_nonnegative(y, owner):
        return make("neg", make("log", y))
    found = repaired(_log(y), owner)
    return None if found is None else make("switch", make("eq", y, -np.inf), -np.inf, make("neg", found))


def log_of_factors(v: Variable, owner: Owner) -> Variable | None:
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
    found = _log_of_nonnegative(node.inputs[0], owner, 5)
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

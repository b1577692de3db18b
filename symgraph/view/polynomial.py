"""Sums of products: the normal form in which a formula of real numbers is read.

    Polynomial ::= monomial -> coefficient
    Monomial   ::= (atom, exponent) in the order of the atoms, which are numbers of variables

A *flag* is an atom that is 0 or 1, so that ``flag*a + (1 - flag)*b`` chooses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from fractions import Fraction

Monomial = tuple[tuple[int, int], ...]
Polynomial = Mapping[Monomial, Fraction]

ONE: Polynomial = {(): Fraction(1)}


def number(value: float | Fraction) -> Polynomial:
    """A constant."""
    return {(): Fraction(value)} if value else {}


def atom(k: int, exponent: int = 1) -> Polynomial:
    """A power of one atom."""
    return {((k, exponent),): Fraction(1)}


def plus(a: Polynomial, b: Polynomial, factor: int = 1) -> Polynomial:
    """a + factor*b."""
    found = dict(a)
    for monomial, c in b.items():
        found[monomial] = found.get(monomial, Fraction(0)) + factor * c
    return {monomial: c for monomial, c in found.items() if c}


def times(a: Polynomial, b: Polynomial, flags: Collection[int] = ()) -> Polynomial:
    """a*b, where the square of a flag is the flag."""
    found: dict[Monomial, Fraction] = {}
    for left, c in a.items():
        for right, d in b.items():
            product = _product(left, right, flags)
            found[product] = found.get(product, Fraction(0)) + c * d
    return {monomial: c for monomial, c in found.items() if c}


def _product(a: Monomial, b: Monomial, flags: Collection[int]) -> Monomial:
    powers = Counter(dict(a))
    for k, exponent in b:
        powers[k] += exponent
    return tuple(sorted((k, 1 if k in flags else e) for k, e in powers.items() if e))


def split(p: Polynomial, flag: int) -> tuple[Polynomial, Polynomial]:
    """What ``p`` is where the flag is 1, and where it is 0."""
    without = {m: c for m, c in p.items() if (flag, 1) not in m}
    taken: Polynomial = {tuple(f for f in m if f[0] != flag): c for m, c in p.items() if (flag, 1) in m}
    return plus(without, taken), without


def inverse(p: Polynomial) -> Polynomial | None:
    """1/p of a single term, else None."""
    if len(p) != 1:
        return None
    ((monomial, c),) = p.items()
    return {tuple((k, -e) for k, e in monomial): 1 / c}


def content(p: Polynomial) -> tuple[Monomial, Fraction]:
    """The factor that all terms have in common; its coefficient is 1 where theirs differ in size."""
    monomials = [dict(m) for m in p]
    common = []
    for k in sorted(set.intersection(*map(set, monomials))):
        exponents = [m[k] for m in monomials]
        if min(exponents) > 0 or max(exponents) < 0:
            common.append((k, min(exponents) if min(exponents) > 0 else max(exponents)))
    sizes = {abs(c) for c in p.values()}
    return tuple(common), sizes.pop() if len(sizes) == 1 else Fraction(1)

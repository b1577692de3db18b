"""Near-minimax polynomials with machine coefficients: how the tables in ``codegen/numerics`` were made.

    python tools/minimax.py            # every fit: its table as it stands in the module, and the error it reaches
    python tools/minimax.py EXP LOG    # only these
    python tools/minimax.py --write    # and put them into the modules

A fit takes the polynomial p of a given degree that minimises max |weight * (function - p)| on an interval. It starts
from Chebyshev interpolation in 60 digits and is improved by Lawson's reweighted least squares. Coefficients are then
rounded one after the other, lowest power first, and the ones still free are refitted after each rounding, so that they
make up for it. The error is reported for the rounded coefficients, as a power of two.

A quotient p/q, q(0) = 1, comes from the linear problem |weight * (function * q - p)/q0|, q0 the last q, solved again
and again; then q is rounded, and p is the polynomial for function * q. Its table has the coefficients of p, then those
of q without the first.

References
----------
Lawson (1961), thesis, University of California; Sanathanan, Koerner (1963), "Transfer function synthesis as a ratio of
two complex polynomials", IEEE Trans. Autom. Control 8; Brisebarre, Muller, Tisserand (2006), "Computing
machine-efficient polynomial approximations", ACM TOMS 32(2).
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np

Real = Any  # an mpmath number; mpmath has no types
Function = Callable[[Real], Real]
MODULES = Path(__file__).parent.parent / "codegen" / "numerics"


@dataclass(frozen=True)
class Fit:
    """p(x), ``len(degrees)`` of them by dtype, for ``function`` on [low, high]; over q(x) of degree ``under``."""

    name: str
    function: Function
    low: float
    high: float
    degrees: dict[str, int]
    weight: Function = lambda x: mp.mpf(1)
    under: int = 0

    def over(self, q: list[Real]) -> Fit:
        """The fit of p where q is known."""
        function, weight = self.function, self.weight
        return replace(
            self, function=lambda x: function(x) * horner(q, x), weight=lambda x: weight(x) / horner(q, x), under=0
        )


def chebyshev_points(low: Real, high: Real, count: int) -> list[Real]:
    """The extrema of the Chebyshev polynomial of degree ``count - 1``, moved to [low, high]."""
    return [(low + high) / 2 + (high - low) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * count)) for i in range(count)]


def value(function: Function, x: Real) -> Real:
    """``function(x)``, with digits to spare near zero, where quotients cancel."""
    with mp.workdps(mp.mp.dps * (1 if abs(x) > 1e-6 else 4)):
        return function(x if x else mp.mpf(10) ** -mp.mp.dps)


def interpolate(fit: Fit, degree: int) -> list[Real]:
    """The coefficients of the polynomial through ``degree + 1`` Chebyshev points."""
    points = chebyshev_points(mp.mpf(fit.low), mp.mpf(fit.high), degree + 1)
    rows = mp.matrix([[x**j for j in range(degree + 1)] for x in points])
    return list(mp.lu_solve(rows, mp.matrix([value(fit.function, x) for x in points])))


def lawson(basis: np.ndarray, target: np.ndarray, rounds: int = 60) -> np.ndarray:
    """Coefficients c for which max |target - basis @ c| is nearly least."""
    weights = np.full(len(target), 1 / len(target))
    best, least = np.zeros(basis.shape[1]), np.abs(target).max()
    for _ in range(rounds):
        root = np.sqrt(weights)
        c = np.linalg.lstsq(basis * root[:, None], target * root, rcond=None)[0]
        error = np.abs(target - basis @ c)
        if error.max() < least:
            best, least = c, error.max()
        weights = weights * error
        weights /= weights.sum()
    return best


def chebyshev_monomials(count: int, low: Real, high: Real) -> list[list[Real]]:
    """T_0, ..., T_(count-1) on [low, high] as coefficients of powers of x."""
    scale, shift = 2 / (high - low), -(high + low) / (high - low)
    rows = [[mp.mpf(1)], [shift, scale]]
    while len(rows) < count:
        last, before = rows[-1], rows[-2]
        new = [mp.mpf(0)] * (len(last) + 1)
        for j, c in enumerate(last):
            new[j] += 2 * shift * c
            new[j + 1] += 2 * scale * c
        for j, c in enumerate(before):
            new[j] -= c
        rows.append(new)
    return rows[:count]


def round_to(x: Real, dtype: str) -> Real:
    """``x`` rounded to ``dtype``."""
    with mp.workprec({"float32": 24, "float64": 53}[dtype]):
        return +x


def horner(coefficients: list[Real], x: Real) -> Real:
    """The polynomial at ``x``."""
    total = mp.mpf(0)
    for c in reversed(coefficients):
        total = total * x + c
    return total


@dataclass(frozen=True)
class Sample:
    """Function and weight of a fit at many points."""

    points: list[Real]
    values: list[Real]
    weights: list[Real]

    def errors(self, coefficients: list[Real]) -> list[Real]:
        """The weighted errors of a polynomial."""
        rows = zip(self.points, self.values, self.weights, strict=True)
        return [w * (v - horner(coefficients, x)) for x, v, w in rows]


def sample(fit: Fit, count: int) -> Sample:
    """``fit`` at ``count`` Chebyshev points."""
    points = chebyshev_points(mp.mpf(fit.low), mp.mpf(fit.high), count)
    return Sample(points, [value(fit.function, x) for x in points], [value(fit.weight, x) for x in points])


def largest_error(fit: Fit, coefficients: list[Real]) -> Real:
    """The largest weighted error of a polynomial, or of a quotient."""
    if fit.under:
        count = len(coefficients) - fit.under
        return largest_error(fit.over([mp.mpf(1), *coefficients[count:]]), coefficients[:count])
    return max(abs(e) for e in sample(fit, 24 * (len(coefficients) + 1)).errors(coefficients))


def minimax(fit: Fit, degree: int, dtype: str) -> list[Real]:
    """Machine coefficients, lowest power first."""
    if fit.under:
        q = [round_to(c, dtype) for c in denominator(fit, degree)]
        return [*minimax(fit.over(q), degree, dtype), *q[1:]]
    at = sample(fit, 24 * (degree + 2))
    found = interpolate(fit, degree)
    for k in range(degree + 1):
        refit(at, found, k, fit)
        found[k] = round_to(found[k], dtype)
    return found


def denominator(fit: Fit, degree: int, rounds: int = 400) -> list[Real]:
    """q of the quotient p/q for which the largest error is nearly least; float64 bears degrees for float32 alone."""
    at = sample(fit, 60 * (degree + fit.under + 2))
    x, v, w = (np.array([float(a) for a in own]) for own in (at.points, at.values, at.weights))
    powers = x[:, None] ** np.arange(max(degree, fit.under) + 1)
    basis = np.hstack([powers[:, : degree + 1], -v[:, None] * powers[:, 1 : fit.under + 1]])
    weights, under, best, least = np.full(len(x), 1 / len(x)), np.ones(len(x)), np.zeros(fit.under), np.inf
    for _ in range(rounds):
        rows = (np.sqrt(weights) * w / under)[:, None]
        scale = np.abs(basis * rows).max(0)
        c = np.linalg.lstsq(basis * rows / scale, v * rows[:, 0], rcond=1e-18)[0] / scale
        under = 1 + powers[:, 1 : fit.under + 1] @ c[degree + 1 :]
        error = np.abs(powers[:, : degree + 1] @ c[: degree + 1] / under - v) * w
        if error.max() < least:
            best, least = c[degree + 1 :], error.max()
        weights = weights * error
        weights /= weights.sum()
    return [mp.mpf(1), *(mp.mpf(float(c)) for c in best)]


def refit(at: Sample, found: list[Real], k: int, fit: Fit) -> None:
    """Move the coefficients from ``k`` on so that the largest error is least."""
    errors = at.errors(found)
    scale = max(abs(e) for e in errors)
    shapes = chebyshev_monomials(len(found) - k, mp.mpf(fit.low), mp.mpf(fit.high))
    scaled = [(x, w * x**k) for x, w in zip(at.points, at.weights, strict=True)]
    basis = np.array([[float(w * horner(t, x)) for t in shapes] for x, w in scaled])
    change = lawson(basis, np.array([float(e / scale) for e in errors]))
    for c, t in zip(change, shapes, strict=True):
        for j, m in enumerate(t):
            found[k + j] += mp.mpf(float(c)) * scale * m


# ------------------------------------------------------------------------------------------------ the fits


def scaled_erfc(q: Real) -> Real:
    """(1 + 2a) exp(a^2) erfc(a) at a = 4 (1 + q)/(1 - q): between 1 and 1.3 for every a >= 0."""
    a = 4 * (1 + q) / (1 - q)
    return (1 + 2 * a) * mp.exp(a * a) * mp.erfc(a)


ROOT_PI = 1.7724539041519165  # the square root of pi, in float32


def erfc_rest(a: Real) -> Real:
    """(1 + sqrt(pi) a - 1/(exp(a^2) erfc(a)))/a: between 0.65 and 0 for a >= 0."""
    return (1 + ROOT_PI * a - 1 / (mp.exp(a * a) * mp.erfc(a))) / a


def stirling_rest(u: Real) -> Real:
    """log(gamma(x)) - ((x - 1/2) log(x) - x + log(2 pi)/2) at x = 1/u, over u."""
    return (mp.loggamma(1 / u) + (1 / u - 0.5) * mp.log(u) + 1 / u - mp.log(2 * mp.pi) / 2) / u


def odd(name: str, function: Function, high: float, degrees: dict[str, int]) -> Fit:
    """function(x) = x + x z p(z), z = x^2 <= high, relative."""

    def rest(z: Real) -> Real:
        return (function(mp.sqrt(z)) - mp.sqrt(z)) / mp.sqrt(z) ** 3

    return Fit(name, rest, 0, high, degrees, lambda z: mp.sqrt(z) ** 3 / function(mp.sqrt(z)))


LN2 = 0.34667  # a little over log(2)/2: the rounded reduction may overshoot


FITS = [
    # exp(r) = 1 + r + r^2 p(r), relative
    Fit("EXP", lambda r: (mp.expm1(r) - r) / r**2, -LN2, LN2, {"float32": 4, "float64": 9},
        lambda r: r**2 / mp.exp(r)),
    # 2^r = 1 + r p(r), relative
    Fit("EXP2", lambda r: mp.expm1(r * mp.log(2)) / r, -0.50001, 0.50001, {"float32": 5, "float64": 10},
        lambda r: r / 2**r),
    # expm1(r) = r + r^2 p(r) on [log(3/4), log(3/2)], relative
    Fit("EXPM1", lambda r: (mp.expm1(r) - r) / r**2, -0.2879, 0.4057, {"float32": 5, "float64": 10},
        lambda r: r**2 / mp.expm1(r)),
    # log(1 + f) = f + f^2 p(f) on [3/4, 3/2] - 1, relative; with s = f/(2 + f), z = s^2,
    # log(1 + f) = 2s + s z p(z)
    Fit("LOG", lambda f: (mp.log1p(f) - f) / f**2, -0.25, 0.5, {"float32": 8}, lambda f: f**2 / mp.log1p(f)),
    Fit("CBRT", lambda f: mp.cbrt(1 + f), -0.25, 0.5, {"float32": 4, "float64": 4}, lambda f: 1 / mp.cbrt(1 + f)),
    Fit("LOG_ODD", lambda z: (2 * mp.atanh(mp.sqrt(z)) - 2 * mp.sqrt(z)) / mp.sqrt(z) ** 3, 0, 0.04,
        {"float64": 6}, lambda z: mp.sqrt(z) ** 3 / mp.atanh(mp.sqrt(z)) / 2),
    odd("TANH", mp.tanh, 0.36, {"float32": 4, "float64": 10}),
    odd("SINH", mp.sinh, 1, {"float32": 3, "float64": 7}),
    odd("SIN", mp.sin, 0.79**2, {"float32": 3, "float64": 5}),
    # cos(r) = 1 + z p(z), z = r^2, |r| <= pi/4 and a little, relative; the same for sin
    Fit("COS", lambda z: (mp.cos(mp.sqrt(z)) - 1) / z, 0, 0.79**2, {"float32": 3, "float64": 6},
        lambda z: z / mp.cos(mp.sqrt(z))),
    # log(1 + f) = 2/3 s (3 + z + z^2 p(z)), s = f/(2 + f), z = s^2
    Fit("POW", lambda z: (3 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 3 - z) / z**2, 0, 0.04, {"float32": 2, "float64": 7},
        lambda z: z**2 / 3),
    # erf(x) = x + x p(z), z = x^2 < 1
    Fit("ERF_NEAR", lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1, 0, 1, {"float32": 6, "float64": 12},
        lambda z: mp.sqrt(z) / mp.erf(mp.sqrt(z))),
    # log(erfc(a)) = p(a) for 1 <= a <= 6, where erf becomes 1
    Fit("ERF_FAR", lambda a: mp.log(mp.erfc(a)), 1, 6, {"float32": 6, "float64": 18},
        lambda a: mp.erfc(a) / mp.erf(a)),
    # (1 + 2a) exp(a^2) erfc(a) = 1 + (1 + q) p(q), q = (a - 4)/(a + 4), a < 28
    Fit("ERFC", lambda q: (scaled_erfc(q) - 1) / (1 + q), -1, 0.75, {"float64": 21},
        lambda q: (1 + q) / scaled_erfc(q)),
    # 1/(exp(a^2) erfc(a)) = 1 + sqrt(pi) a - a p(a)/q(a), a < 10.5
    Fit("ERFC_REST", erfc_rest, 0, 10.5, {"float32": 3}, lambda a: a * mp.exp(a * a) * mp.erfc(a), under=4),
    odd("ARCTAN", mp.atan, 1, {"float32": 7, "float64": 18}),
    odd("ARCSIN", mp.asin, 0.25, {"float32": 4, "float64": 11}),
    # log(gamma(1/u)) less the first terms of Stirling's series = u p(u), absolute
    Fit("STIRLING", stirling_rest, 0, 1 / 3, {"float64": 12}, lambda u: u),
    # log(gamma(2 + d)) = d p(d), relative
    Fit("GAMMALN", lambda d: mp.loggamma(2 + d) / d, -0.5, 1, {"float64": 20}, lambda d: d / mp.loggamma(2 + d)),
    # log(1/u) - digamma(1/u) = u p(u), relative to digamma
    Fit("DIGAMMA_FAR", lambda u: -(mp.digamma(1 / u) + mp.log(u)) / u, 0, 1 / 2, {"float64": 16},
        lambda u: u / mp.digamma(1 / u)),
]  # fmt: skip


def show(x: Real, dtype: str) -> str:
    """The shortest decimal that ``dtype`` reads as ``x``."""
    return repr(float(x)) if dtype == "float64" else str(np.float32(float(x)))


def table(fit: Fit) -> tuple[str, str]:
    """The table of ``fit`` as Python text, and the errors it reaches."""
    lines, errors = [f"_{fit.name}: Table = {{"], []
    for dtype, degree in fit.degrees.items():
        coefficients = minimax(fit, degree, dtype)
        inner = textwrap.fill(", ".join(show(c, dtype) for c in coefficients) + ",", 110).splitlines()
        lines += [f'    "{dtype}": (', *(f"        {line}" for line in inner), "    ),"]
        errors.append(f"{dtype} 2^{float(mp.log(largest_error(fit, coefficients), 2)):.1f}")
    return "\n".join([*lines, "}  # fmt: skip"]), ", ".join(errors)


def write(name: str, text: str) -> None:
    """Put the table in the place of the one that stands in ``codegen/numerics``."""
    pattern = re.compile(rf"^_{name}: Table = {{.*?^}}  # fmt: skip$", re.MULTILINE | re.DOTALL)
    for path in MODULES.glob("*.py"):
        old = path.read_text()
        new = pattern.sub(lambda _: text, old)
        if new != old:
            path.write_text(new)


def main(arguments: list[str]) -> None:
    """Print, or with --write replace, the tables of the fits named, or of all."""
    mp.mp.dps = 60
    names = [a for a in arguments if not a.startswith("--")]
    for fit in FITS:
        if names and fit.name not in names:
            continue
        text, errors = table(fit)
        print(f"{text}\n# {fit.name}: {errors}\n")
        if "--write" in arguments:
            write(fit.name, text)


if __name__ == "__main__":
    main(sys.argv[1:])

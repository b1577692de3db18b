"""float16 is stored, not computed with: every primitive is done in float32 and rounded back, as in NumPy."""

from __future__ import annotations

from collections.abc import Callable

from symgraph.expression import Expr, absolute, apply, bitcast, cast, eq, ne, select

STORED = frozenset({"const", "axis", "load", "select", "rare", "bitcast"})


def touches_half(e: Expr) -> bool:
    """Whether ``e`` computes with float16: anything but storing, choosing, and converting from and to float32."""
    dtypes = [e.dtype, *[a.dtype for a in e.args]]
    return "float16" in dtypes and e.prim not in STORED and (e.prim != "cast" or "float32" not in dtypes)


def widened(e: Expr, expand: Callable[[Expr], Expr]) -> Expr:
    """``e`` with its arithmetic in float32, there expanded, and every conversion in steps that have an instruction."""
    if e.prim == "cast":
        return _converted(e.args[0], e.dtype)
    wide = apply(e.prim, *(cast(a, "float32") if a.dtype == "float16" else a for a in e.args))
    result = expand(wide)
    return cast(result, "float16") if e.dtype == "float16" else result


def _converted(x: Expr, dtype: str) -> Expr:
    if x.dtype == "float16":
        return cast(cast(x, "float32"), dtype)
    single = _to_odd_single(x) if x.dtype == "float64" else cast(x, "float32")
    return cast(single, "float16")


def _to_odd_single(x: Expr) -> Expr:
    """float64 to float32 rounded to odd, so that rounding again does no harm (Boldo, Melquiond 2008)."""
    single = cast(x, "float32")
    back = cast(single, "float64")
    pattern = bitcast(single, "int32")
    step = select(absolute(back) < absolute(x), 1, -1)
    even = ne(x, back) & eq(pattern & 1, 0)
    return bitcast(select(even, pattern + cast(step, "int32"), pattern), "float32")

"""Intrinsics that a processor has no instruction for, in terms of others: LLVM would call the C library for them.

Every value is the one the instruction would give, bit by bit (a NaN's payload aside): x86 before 2013 has no fused
multiply-add, and before 2008 no rounding to integers.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet

NAMES = ("fma", "floor", "ceil", "trunc", "rint")
"""What may be lacking; the C library calls its functions of doubles by the same names."""

_DECLARED = re.compile(
    rf"^declare (?P<type>.+) @llvm\.(?P<name>{'|'.join(NAMES)})\.(?P<suffix>\w+)\(.*\)\n", re.MULTILINE
)
_DECLARE = re.compile(r"^declare .*\n", re.MULTILINE)
_VECTOR = re.compile(r"<(\d+) x (\w+)>")


def probe() -> str:
    """A module that calls each of NAMES."""
    return "".join(_probe(name, 3 if name == "fma" else 1) for name in NAMES)


def _probe(name: str, arity: int) -> str:
    operands = ", ".join(["double %x"] * arity)
    return (
        f"declare double @llvm.{name}.f64({', '.join(['double'] * arity)})\ndefine double @probe.{name}(double %x) {{\n"
        f"  %y = call double @llvm.{name}.f64({operands})\n  ret double %y\n}}\n"
    )


def stand_in(text: str, lacking: AbstractSet[str]) -> str:
    """The module ``text`` with functions of its own in the place of the intrinsics in ``lacking``."""
    found = [m for m in _DECLARED.finditer(text) if m["name"] in lacking]
    if not found:
        return text
    for m in found:
        text = text.replace(m[0], "").replace(f"@llvm.{m['name']}.{m['suffix']}(", f"@soft.{m['name']}.{m['suffix']}(")
    needed: dict[str, None] = {}
    for m in found:
        needed.update(dict.fromkeys(_definition(m["name"], m["type"], m["suffix"])))
    have = set(_DECLARE.findall(text))
    return text + "".join(part for part in needed if part not in have)


def _definition(name: str, kind: str, suffix: str) -> list[str]:
    """The declarations and definitions that make up ``@soft.name.suffix``."""
    vector = _VECTOR.fullmatch(kind)
    lanes, scalar = (int(vector[1]), vector[2]) if vector else (0, kind)
    if name != "fma":
        return _rounding(name, kind, suffix, lanes, scalar)
    if scalar != "double":
        return _narrow_fma(kind, suffix, lanes)
    return [*_DOUBLE_FMA, *([_by_lanes(kind, suffix, lanes)] if lanes else [])]


def _like(kind: str, lanes: int) -> str:
    return f"<{lanes} x {kind}>" if lanes else kind


def _splat(scalar: str, value: str, lanes: int) -> str:
    return f"splat ({scalar} {value})" if lanes else value


# ------------------------------------------------------------------------------------------------ rounding


def _rounding(name: str, kind: str, suffix: str, lanes: int, scalar: str) -> list[str]:
    """To the nearest by adding a number whose last bit is 1, then a step back if that went the wrong way."""
    ones = _splat(scalar, "1.0", lanes)
    whole = _splat(scalar, "0x4330000000000000" if scalar == "double" else "0x4160000000000000", lanes)
    from_zero = f"  %near = call {kind} @llvm.copysign.{suffix}({kind} %high, {kind} %x)\n"
    step = {
        "rint": "",
        "trunc": f"  %past = fcmp ogt {kind} %high, %size\n  %back = fsub {kind} %high, {ones}\n",
        "floor": f"{from_zero}  %past = fcmp ogt {kind} %near, %x\n  %back = fsub {kind} %near, {ones}\n",
        "ceil": f"{from_zero}  %past = fcmp olt {kind} %near, %x\n  %back = fadd {kind} %near, {ones}\n",
    }[name]
    start = "%near" if "%near" in step else "%high"
    bits = _like("i1", lanes)
    rounded = f"  %r = select {bits} %past, {kind} %back, {kind} {start}\n" if step else ""
    return [
        f"declare {kind} @llvm.fabs.{suffix}({kind})\n",
        f"declare {kind} @llvm.copysign.{suffix}({kind}, {kind})\n",
        f"""define internal {kind} @soft.{name}.{suffix}({kind} %x) {{
  %size = call {kind} @llvm.fabs.{suffix}({kind} %x)
  %small = fcmp olt {kind} %size, {whole}
  %sum = fadd {kind} %size, {whole}
  %high = fsub {kind} %sum, {whole}
{step}{rounded}  %signed = call {kind} @llvm.copysign.{suffix}({kind} {"%r" if step else "%high"}, {kind} %x)
  %y = select {bits} %small, {kind} %signed, {kind} %x
  ret {kind} %y
}}
""",
    ]


# ------------------------------------------------------------------------------------------------ fused multiply-add


def _narrow_fma(kind: str, suffix: str, lanes: int) -> list[str]:
    """In double: the product is exact, the sum rounded to odd, so that rounding again does no harm.

    Boldo, Melquiond (2008), Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd.
    """
    wide, bits, flags = _like("double", lanes), _like("i64", lanes), _like("i1", lanes)
    zero, none, one, minus = (_splat(*s, lanes) for s in [("double", "0.0"), *(("i64", n) for n in ("0", "1", "-1"))])
    return [
        f"""define internal {kind} @soft.fma.{suffix}({kind} %x, {kind} %y, {kind} %z) {{
  %a = fpext {kind} %x to {wide}
  %b = fpext {kind} %y to {wide}
  %c = fpext {kind} %z to {wide}
  %p = fmul {wide} %a, %b
  %s = fadd {wide} %p, %c
  %c.near = fsub {wide} %s, %p
  %p.near = fsub {wide} %s, %c.near
  %p.lost = fsub {wide} %p, %p.near
  %c.lost = fsub {wide} %c, %c.near
  %lost = fadd {wide} %p.lost, %c.lost
  %inexact = fcmp one {wide} %lost, {zero}
  %pattern = bitcast {wide} %s to {bits}
  %last = and {bits} %pattern, {one}
  %even = icmp eq {bits} %last, {none}
  %lost.up = fcmp ogt {wide} %lost, {zero}
  %s.up = fcmp ogt {wide} %s, {zero}
  %inwards = xor {flags} %lost.up, %s.up
  %step = select {flags} %inwards, {bits} {minus}, {bits} {one}
  %change = and {flags} %inexact, %even
  %by = select {flags} %change, {bits} %step, {bits} {none}
  %moved = add {bits} %pattern, %by
  %odd = bitcast {bits} %moved to {wide}
  %r = fptrunc {wide} %odd to {kind}
  ret {kind} %r
}}
"""
    ]


def _by_lanes(kind: str, suffix: str, lanes: int) -> str:
    """The function of vectors that calls that of doubles for each lane."""
    lines = [f"define internal {kind} @soft.fma.{suffix}({kind} %x, {kind} %y, {kind} %z) {{"]
    for k in range(lanes):
        lines += [f"  %{v}{k} = extractelement {kind} %{v}, i32 {k}" for v in "xyz"]
        lines.append(f"  %f{k} = call double @soft.fma.f64(double %x{k}, double %y{k}, double %z{k})")
        before = f"%r{k - 1}" if k else "poison"
        lines.append(f"  %r{k} = insertelement {kind} {before}, double %f{k}, i32 {k}")
    return "\n".join([*lines, f"  ret {kind} %r{lanes - 1}", "}", ""])


def _unpacked(v: str) -> str:
    """``%v.e``, the exponent field; ``%v.m`` and ``%v.x`` with |v| = m * 2^(x - 1075), m of 53 bits unless v is 0."""
    return f"""  %{v}.bits = bitcast double %{v} to i64
  %{v}.shifted = lshr i64 %{v}.bits, 52
  %{v}.e = and i64 %{v}.shifted, 2047
  %{v}.fraction = and i64 %{v}.bits, 4503599627370495
  %{v}.subnormal = icmp eq i64 %{v}.e, 0
  %{v}.lead = select i1 %{v}.subnormal, i64 0, i64 4503599627370496
  %{v}.raw = or i64 %{v}.fraction, %{v}.lead
  %{v}.zeros = call i64 @llvm.ctlz.i64(i64 %{v}.raw, i1 false)
  %{v}.up = sub i64 %{v}.zeros, 11
  %{v}.m = shl i64 %{v}.raw, %{v}.up
  %{v}.e1 = call i64 @llvm.umax.i64(i64 %{v}.e, i64 1)
  %{v}.x = sub i64 %{v}.e1, %{v}.up
"""


def _clamped(name: str, by: str) -> str:
    """``%name``: a shift by ``by`` bits, at least none and at most all but one."""
    return f"""  %{name}.least = call i64 @llvm.smax.i64(i64 {by}, i64 0)
  %{name}.most = call i64 @llvm.smin.i64(i64 %{name}.least, i64 127)
  %{name} = zext i64 %{name}.most to i128
"""


def _sticky(v: str, by: str) -> str:
    """``%v.low``: ``%v`` shifted right by ``%by``; its last bit says whether anything was lost."""
    return f"""  %{v}.right = lshr i128 %{v}, %{by}
  %{v}.back = shl i128 %{v}.right, %{by}
  %{v}.ne = icmp ne i128 %{v}.back, %{v}
  %{v}.bit = zext i1 %{v}.ne to i128
  %{v}.low = or i128 %{v}.right, %{v}.bit
"""


# The product of 106 bits and z are put below 2^125 and 2^124 of 128, the one with the lesser exponent shifted right: if
# that loses bits, they are too low to matter but for rounding. An underflow is one more bound on the last place.
_DOUBLE_FMA = (
    "declare i64 @llvm.ctlz.i64(i64, i1)\n",
    "declare i128 @llvm.ctlz.i128(i128, i1)\n",
    "declare i64 @llvm.smax.i64(i64, i64)\n",
    "declare i64 @llvm.smin.i64(i64, i64)\n",
    "declare i64 @llvm.umax.i64(i64, i64)\n",
    "declare i64 @llvm.umin.i64(i64, i64)\n",
    f"""define internal double @soft.fma.f64(double %x, double %y, double %z) {{
{_unpacked("x")}{_unpacked("y")}{_unpacked("z")}  %plain.xy = fmul double %x, %y
  %plain = fadd double %plain.xy, %z
  %x.zero = icmp eq i64 %x.raw, 0
  %y.zero = icmp eq i64 %y.raw, 0
  %x.huge = icmp eq i64 %x.e, 2047
  %y.huge = icmp eq i64 %y.e, 2047
  %z.huge = icmp eq i64 %z.e, 2047
  %xy.zero = or i1 %x.zero, %y.zero
  %xy.huge = or i1 %x.huge, %y.huge
  %is.plain = or i1 %xy.zero, %xy.huge
  %x.wide = zext i64 %x.m to i128
  %y.wide = zext i64 %y.m to i128
  %z.wide = zext i64 %z.m to i128
  %xy = mul i128 %x.wide, %y.wide
  %p = shl i128 %xy, 19
  %q = shl i128 %z.wide, 71
  %xy.x = add i64 %x.x, %y.x
  %p.x = sub i64 %xy.x, 2169
  %z.zero = icmp eq i64 %z.raw, 0
  %z.x0 = sub i64 %z.x, 1146
  %q.x = select i1 %z.zero, i64 %p.x, i64 %z.x0
  %e = call i64 @llvm.smax.i64(i64 %p.x, i64 %q.x)
  %q.by = sub i64 %p.x, %q.x
  %p.by = sub i64 %q.x, %p.x
{_clamped("q.shift", "%q.by")}{_sticky("q", "q.shift")}{_clamped("p.shift", "%p.by")}{_sticky("p", "p.shift")}
  %xy.sign = xor i64 %x.bits, %y.bits
  %signs = xor i64 %xy.sign, %z.bits
  %differ = icmp slt i64 %signs, 0
  %sum = add i128 %p.low, %q.low
  %difference = sub i128 %p.low, %q.low
  %total = select i1 %differ, i128 %difference, i128 %sum
  %turned = icmp slt i128 %total, 0
  %opposite = sub i128 0, %total
  %size = select i1 %turned, i128 %opposite, i128 %total
  %nothing = icmp eq i128 %size, 0
  %size.zeros = call i128 @llvm.ctlz.i128(i128 %size, i1 false)
  %free = trunc i128 %size.zeros to i64
  %top = sub i64 75, %free
  %normal = add i64 %e, %top
  %place = call i64 @llvm.smax.i64(i64 %normal, i64 -1074)
  %right.by = sub i64 %place, %e
  %left.by = sub i64 %e, %place
{_clamped("right", "%right.by")}{_clamped("left", "%left.by")}  %down = lshr i128 %size, %right
  %unit = shl i128 1, %right
  %half = lshr i128 %unit, 1
  %last = and i128 %down, 1
  %tie = add i128 %half, %last
  %exact = icmp eq i128 %right, 0
  %tie.less = sub i128 %tie, 1
  %bias = select i1 %exact, i128 0, i128 %tie.less
  %biased = add i128 %size, %bias
  %rounded = lshr i128 %biased, %right
  %kept = shl i128 %rounded, %left
  %m = trunc i128 %kept to i64
  %field = add i64 %place, 1074
  %high = shl i64 %field, 52
  %pattern = add i64 %m, %high
  %finite = call i64 @llvm.umin.i64(i64 %pattern, i64 9218868437227405312)
  %turned.sign = select i1 %turned, i64 -9223372036854775808, i64 0
  %sign.all = xor i64 %xy.sign, %turned.sign
  %sign = and i64 %sign.all, -9223372036854775808
  %signed = or i64 %finite, %sign
  %bits = select i1 %nothing, i64 0, i64 %signed
  %fused = bitcast i64 %bits to double
  %or.z = select i1 %z.huge, double %z, double %fused
  %r = select i1 %is.plain, double %plain, double %or.z
  ret double %r
}}
""",
)

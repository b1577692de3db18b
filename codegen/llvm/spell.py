"""How LLVM IR spells types, constants and the basic primitives.

``SPELL`` has a row for each primitive and kind of element: f float, i signed, u unsigned, b bool. A spelling gets the
writer, the term, the operands' texts (vectors or scalars alike) and the type text. Meanings are those of
``expression.PRIMS``: no fast-math flag, and nothing is ever poison.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from codegen.kernel import KernelError
from symgraph.expression import Expr
from symgraph.types import SIZES, UNSIGNED, is_float

Spelling = Callable[["Writer", Expr, Sequence[str], str], str]

_FLOATS = {"float16": "half", "float32": "float", "float64": "double"}
_SUFFIX = {"half": "f16", "float": "f32", "double": "f64"}


@dataclass
class Writer:
    """A place in the text of a function: appends instructions and names their results."""

    fresh: Callable[[], str]
    declares: set[str]
    lines: list[str] = field(default_factory=list)
    label: str = "entry"

    def line(self, text: str) -> None:
        self.lines.append("  " + text)

    def value(self, text: str) -> str:
        """The name of the result of instruction ``text``."""
        name = "%" + self.fresh()
        self.line(f"{name} = {text}")
        return name

    def start(self, label: str) -> None:
        """Begin a block."""
        self.lines.append(f"{label}:")
        self.label = label

    def append(self, inner: Writer, label: str) -> None:
        """Add the blocks of ``inner``, the first of them called ``label``."""
        self.start(label)
        self.lines += inner.lines
        self.label = inner.label

    def call(self, name: str, result: str, operands: Sequence[tuple[str, str]]) -> str:
        """A call of the intrinsic ``name``; operands are (type and attributes, text)."""
        self.declare(name, result, [kind for kind, _ in operands])
        text = f"call {result} @{name}({', '.join(f'{kind} {x}' for kind, x in operands)})"
        if result != "void":
            return self.value(text)
        self.line(text)
        return ""

    def declare(self, name: str, result: str, kinds: Sequence[str]) -> None:
        plain = ", ".join(k if k.startswith("<") else k.split(" ")[0] for k in kinds)
        self.declares.add(f"declare {result} @{name}({plain})")


# ------------------------------------------------------------------------------------------------ types, constants


def element(dtype: str) -> str:
    """The LLVM type of a value in a register."""
    if is_float(dtype):
        return _FLOATS[dtype]
    return "i1" if dtype == "bool" else f"i{8 * SIZES[dtype]}"


def stored(dtype: str) -> str:
    """The LLVM type of a value in memory."""
    return "i8" if dtype == "bool" else element(dtype)


def shaped(kind: str, lanes: int) -> str:
    """``kind``, or a vector of it."""
    return f"<{lanes} x {kind}>" if lanes else kind


def mangled(kind: str, lanes: int) -> str:
    """The suffix of an overloaded intrinsic."""
    return (f"v{lanes}" if lanes else "") + _SUFFIX.get(kind, kind if kind != "ptr" else "p0")


def literal(value: object, dtype: str) -> str:
    """A scalar constant."""
    if dtype == "bool":
        return "true" if value else "false"
    if dtype == "float16":
        return f"0xH{int(np.float16(value).view(np.uint16)):04X}"  # type: ignore[arg-type]
    if is_float(dtype):
        return f"0x{struct.unpack('<Q', struct.pack('<d', float(value)))[0]:016X}"  # type: ignore[arg-type]
    return str(value)


def constant(value: object, dtype: str, lanes: int) -> str:
    """A constant, the same in all lanes."""
    text = literal(value, dtype)
    return f"splat ({element(dtype)} {text})" if lanes else text


def kind(dtype: str) -> str:
    """The column of the table: f, i, u or b."""
    if is_float(dtype):
        return "f"
    return "b" if dtype == "bool" else "u" if dtype in UNSIGNED else "i"


# ------------------------------------------------------------------------------------------------ spellings


def spell(w: Writer, e: Expr, args: Sequence[str], lanes: int) -> str:
    """Append the instructions of the primitive at the root of ``e``; gives the name of the result."""
    operand = e.args[-1].dtype
    row = SPELL.get(e.prim, {}).get(kind(operand))
    if row is None:
        raise KernelError(f"{e.prim} of {operand} has no spelling")
    return row(w, e, args, shaped(element(operand), lanes))


def _lanes(typ: str) -> int:
    return int(typ[1:].split(" ")[0]) if typ.startswith("<") else 0


def _scalar(typ: str) -> str:
    return typ[1:-1].split(" ")[2] if typ.startswith("<") else typ


def _like(typ: str, kind: str) -> str:
    """``kind`` in as many lanes as ``typ``."""
    return shaped(kind, _lanes(typ))


def _splat(typ: str, text: str) -> str:
    return f"splat ({_scalar(typ)} {text})" if _lanes(typ) else text


def _infix(op: str) -> Spelling:
    return lambda w, e, a, t: w.value(f"{op} {t} {a[0]}, {a[1]}")


def _intrinsic(name: str, *extra: tuple[str, str]) -> Spelling:
    def write(w: Writer, e: Expr, a: Sequence[str], t: str) -> str:
        return w.call(f"llvm.{name}.{mangled(_scalar(t), _lanes(t))}", t, [*((t, x) for x in a), *extra])

    return write


def _select(w: Writer, typ: str, cond: str, a: str, b: str) -> str:
    return w.value(f"select {_like(typ, 'i1')} {cond}, {typ} {a}, {typ} {b}")


def _best(ordered: str, unordered: str) -> Spelling:
    """maximum or minimum: a NaN of either side, the second operand at a tie. One compare if a side is no NaN."""

    def write(w: Writer, e: Expr, a: Sequence[str], t: str) -> str:
        x, y = e.args
        compare = unordered if y.prim == "const" and y.value == y.value else ordered
        better = _select(w, t, w.value(f"fcmp {compare} {t} {a[0]}, {a[1]}"), a[0], a[1])
        if compare == unordered or (x.prim == "const" and x.value == x.value):
            return better
        return _select(w, t, w.value(f"fcmp uno {t} {a[0]}, {a[0]}"), a[0], better)

    return write


def _pick(compare: str) -> Spelling:
    return lambda w, e, a, t: _select(w, t, w.value(f"icmp {compare} {t} {a[0]}, {a[1]}"), a[0], a[1])


def _same(w: Writer, e: Expr, a: Sequence[str], t: str) -> str:
    return a[0]


def _negate(w: Writer, e: Expr, a: Sequence[str], t: str) -> str:
    return w.value(f"sub {t} {_splat(t, '0')}, {a[0]}")


def _not(w: Writer, e: Expr, a: Sequence[str], t: str) -> str:
    return w.value(f"xor {t} {a[0]}, {_splat(t, 'true' if e.dtype == 'bool' else '-1')}")


def _is(w: Writer, t: str, x: str, n: int) -> str:
    return w.value(f"icmp eq {t} {x}, {_splat(t, str(n))}")


def _divide(op: str) -> Spelling:
    """Integer quotient or remainder, total: 0 for a zero divisor, and the least number over -1 wraps."""

    def write(w: Writer, e: Expr, a: Sequence[str], t: str) -> str:
        x, y = a
        signed, divisor = op[0] == "s", e.args[1]
        if divisor.prim == "const" and divisor.value not in (0, -1):
            return w.value(f"{op} {t} {x}, {y}")
        zero = _is(w, t, y, 0)
        minus = _is(w, t, y, -1) if signed else zero
        special = w.value(f"or {_like(t, 'i1')} {zero}, {minus}")
        plain = w.value(f"{op} {t} {x}, {_select(w, t, special, _splat(t, '1'), y)}")
        if op.endswith("rem"):
            return _select(w, t, special, _splat(t, "0"), plain)
        result = _select(w, t, minus, _negate(w, e, a, t), plain) if signed else plain
        return _select(w, t, zero, _splat(t, "0"), result)

    return write


def _shift(op: str) -> Spelling:
    """Shifts beyond the width give what shifting one by one would."""

    def write(w: Writer, e: Expr, a: Sequence[str], t: str) -> str:
        width, count = 8 * SIZES[e.dtype], e.args[1]
        if count.prim == "const" and isinstance(count.value, int) and 0 <= count.value < width:
            return w.value(f"{op} {t} {a[0]}, {a[1]}")
        fits = w.value(f"icmp ult {t} {a[1]}, {_splat(t, str(width))}")
        last = _splat(t, str(width - 1))
        shifted = w.value(f"{op} {t} {a[0]}, {_select(w, t, fits, a[1], last)}")
        return shifted if op == "ashr" else _select(w, t, fits, shifted, _splat(t, "0"))

    return write


def _compare(ints: str, floats: str) -> dict[str, Spelling]:
    sign = {"i": "s", "u": "u", "b": "u"} if ints in ("lt", "le") else dict.fromkeys("iub", "")
    return {"f": _infix(f"fcmp {floats}"), **{k: _infix(f"icmp {s}{ints}") for k, s in sign.items()}}


def _choose(w: Writer, e: Expr, a: Sequence[str], t: str) -> str:
    return _select(w, t, *a)


# ------------------------------------------------------------------------------------------------ conversions


def _convert(w: Writer, e: Expr, a: Sequence[str], t: str) -> str:
    source, target = e.args[0].dtype, e.dtype
    if target == "bool":
        test = "fcmp une" if is_float(source) else "icmp ne"
        return w.value(f"{test} {t} {a[0]}, {_splat(t, '0.0' if is_float(source) else '0')}")
    return _CONVERT[is_float(source), is_float(target)](w, source, target, a[0], t)


def _as(w: Writer, op: str, x: str, t: str, target: str) -> str:
    return w.value(f"{op} {t} {x} to {_like(t, element(target))}")


def _integers(w: Writer, source: str, target: str, x: str, t: str) -> str:
    if SIZES[source] > SIZES[target]:
        return _as(w, "trunc", x, t, target)
    if SIZES[source] == SIZES[target] and source != "bool":
        return x
    return _as(w, "sext" if kind(source) == "i" else "zext", x, t, target)


def _to_float(w: Writer, source: str, target: str, x: str, t: str) -> str:
    op = "sitofp" if kind(source) == "i" else "uitofp"
    if target != "float16":
        return _as(w, op, x, t, target)
    return _floats(w, "float32", "float16", _as(w, op, x, t, "float32"), _like(t, "float"))


def _to_integer(w: Writer, source: str, target: str, x: str, t: str) -> str:
    """Towards zero; out of range is some number (freeze), and small or unsigned targets wrap as NumPy's do."""
    if source == "float16":
        return _to_integer(w, "float32", target, *_floats_typed(w, x, t, "float32"))
    wide = "int64" if SIZES[target] > 4 or target == "uint32" else "int32"
    if target == "uint64":
        return w.value(f"freeze {_like(t, 'i64')} {_as(w, 'fptoui', x, t, target)}")
    frozen = w.value(f"freeze {_like(t, element(wide))} {_as(w, 'fptosi', x, t, wide)}")
    return _integers(w, wide, target, frozen, _like(t, element(wide)))


def _floats_typed(w: Writer, x: str, t: str, target: str) -> tuple[str, str]:
    return _as(w, "fpext", x, t, target), _like(t, element(target))


def _floats(w: Writer, source: str, target: str, x: str, t: str) -> str:
    """float16 is two steps from float64, by way of float32; downwards the first one rounds to odd."""
    if {source, target} != {"float16", "float64"}:
        return _as(w, "fpext" if SIZES[target] > SIZES[source] else "fptrunc", x, t, target)
    if target == "float64":
        return _as(w, "fpext", *_floats_typed(w, x, t, "float32"), target)
    return _as(w, "fptrunc", _round_odd(w, x, t), _like(t, "float"), target)


def _round_odd(w: Writer, x: str, t: str) -> str:
    """float64 to float32, an inexact result made odd, so that the next rounding cannot be a second one."""
    single, bits = _like(t, "float"), _like(t, "i32")
    near = w.value(f"fptrunc {t} {x} to {single}")
    back = w.value(f"fpext {single} {near} to {t}")
    absolute = _intrinsic("fabs")
    size, wanted = (absolute(w, _NO_TERM, [v], t) for v in (back, x))
    above = w.value(f"zext {_like(t, 'i1')} {w.value(f'fcmp ogt {t} {size}, {wanted}')} to {bits}")
    inexact = w.value(f"zext {_like(t, 'i1')} {w.value(f'fcmp one {t} {size}, {wanted}')} to {bits}")
    raw = w.value(f"sub {bits} {w.value(f'bitcast {single} {near} to {bits}')}, {above}")
    return w.value(f"bitcast {bits} {w.value(f'or {bits} {raw}, {inexact}')} to {single}")


_CONVERT: dict[tuple[bool, bool], Callable[[Writer, str, str, str, str], str]] = {
    (False, False): _integers, (False, True): _to_float, (True, False): _to_integer, (True, True): _floats,
}  # fmt: skip


def _bitcast(w: Writer, e: Expr, a: Sequence[str], t: str) -> str:
    target = _like(t, element(e.dtype))
    return a[0] if target == t else w.value(f"bitcast {t} {a[0]} to {target}")


# ------------------------------------------------------------------------------------------------ the table


def _integral(signed: Spelling, unsigned: Spelling | None = None) -> dict[str, Spelling]:
    return {"i": signed, "u": unsigned or signed}


def _all(spelling: Spelling) -> dict[str, Spelling]:
    return dict.fromkeys("fiub", spelling)


def _bits(op: str) -> dict[str, Spelling]:
    return dict.fromkeys("iub", _infix(op))


_NO_TERM: Expr = Expr()

SPELL: dict[str, dict[str, Spelling]] = {
    "add": {"f": _infix("fadd"), **_integral(_infix("add")), "b": _infix("or")},
    "sub": {"f": _infix("fsub"), **_integral(_infix("sub"))},
    "mul": {"f": _infix("fmul"), **_integral(_infix("mul")), "b": _infix("and")},
    "div": {"f": _infix("fdiv")},
    "neg": {"f": lambda w, e, a, t: w.value(f"fneg {t} {a[0]}"), **_integral(_negate)},
    "abs": {"f": _intrinsic("fabs"), **_integral(_intrinsic("abs", ("i1", "false")), _same)},
    "maximum": {"f": _best("ogt", "ugt"), **_integral(_pick("sgt"), _pick("ugt")), "b": _infix("or")},
    "minimum": {"f": _best("olt", "ult"), **_integral(_pick("slt"), _pick("ult")), "b": _infix("and")},
    "fma": {"f": _intrinsic("fma")},
    "sqrt": {"f": _intrinsic("sqrt")},
    "floor": {"f": _intrinsic("floor")},
    "ceil": {"f": _intrinsic("ceil")},
    "trunc": {"f": _intrinsic("trunc")},
    "rint": {"f": _intrinsic("rint")},
    "copysign": {"f": _intrinsic("copysign")},
    "quot": _integral(_divide("sdiv"), _divide("udiv")),
    "rem": _integral(_divide("srem"), _divide("urem")),
    "and": _bits("and"),
    "or": _bits("or"),
    "xor": _bits("xor"),
    "not": dict.fromkeys("iub", _not),
    "shl": _integral(_shift("shl")),
    "shr": _integral(_shift("ashr"), _shift("lshr")),
    "lt": _compare("lt", "olt"),
    "within": _integral(_infix("icmp slt"), _infix("icmp ult")),
    "le": _compare("le", "ole"),
    "eq": _compare("eq", "oeq"),
    "ne": _compare("ne", "une"),
    "select": _all(_choose),
    "cast": _all(_convert),
    "bitcast": {"f": _bitcast, **_integral(_bitcast)},
}

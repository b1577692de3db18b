"""Graphs as text: ``pprint`` writes the formula, ``debugprint`` the tree with types, places and what is shared.

Both walk without recursion, and what is used several times is written once: the text is as long as the graph.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TextIO

from symgraph.backend import Prepared, Task
from symgraph.errors import ArgumentError
from symgraph.function import Function
from symgraph.graph import Apply, Attr, Constant, Variable, apply, label, leaves, printable
from symgraph.kinds import Elementwise
from symgraph.rewrite import STABILIZING, rewrite
from symgraph.shared_variable import SharedVariable

__all__ = ["debugprint", "pprint"]

Piece = str | tuple[Variable, int]
"""A part of a formula: text, or a variable with the least binding power it may have without parentheses."""

Text = tuple[list[Piece], int]
"""A formula in parts, and how strongly its outermost operator binds."""

INFIX = {
    "lt": ("<", 1), "le": ("<=", 1), "gt": (">", 1), "ge": (">=", 1), "or_": ("|", 2), "xor": ("^", 3),
    "and_": ("&", 4), "left_shift": ("<<", 5), "right_shift": (">>", 5), "add": ("+", 6), "sub": ("-", 6),
    "mul": ("*", 7), "true_div": ("/", 7), "int_div": ("//", 7), "mod": ("%", 7), "dot": ("@", 7), "pow": ("**", 9),
}  # fmt: skip
"""Operators with Python's binding powers."""

PREFIX = {"neg": "-", "invert": "~"}
COMPARISON, UNARY, POWER, ATOM = 1, 8, 9, 10
INTERNAL = ("head", "checked", "asked_by")
"""Attributes that only the builders of index expressions and messages read."""

LONGEST = 6
"""Nodes up to which a shared part of a formula is written out each time."""

DEEPEST = 40
"""Levels after which ``debugprint`` starts a new tree: an indentation that grew with the graph would be unreadable."""


# ------------------------------------------------------------------------------------------------ formulas


def pprint(v: Variable) -> str:
    """A variable as a formula, with infix operators and no needless parentheses.

    Larger parts that are used several times stand in lines of their own before it.

    Parameters
    ----------
    v : Variable

    Returns
    -------
    str

    Examples
    --------
    >>> pprint(exp(x) / exp(x).sum(axis=1, keepdims=True))
    'exp(x) / sum(exp(x), axis=1, keepdims=True)'
    """
    formula = _Formula(_names(v))
    lines = [f"{formula.names[s]} = {formula.text(s)}" for s in formula.names if s.owner is not None and s is not v]
    return "\n".join([*lines, formula.text(v)])


def in_terms_of(v: Variable, names: Mapping[Variable, str]) -> str:
    """A variable as a formula in which some others, and what is behind them, stand by name."""
    return _Formula(names).text(v)


def _names(root: Variable) -> dict[Variable, str]:
    """The names of unnamed leaves and of shared parts."""
    taken = {v.name for v in leaves([root]) if v.name}
    unnamed = (v for v in leaves([root]) if not v.name and not isinstance(v, Constant))
    names = {v: f"<{k}: {v.type}>" for k, v in enumerate(unnamed)}
    numbers = (f"t{k}" for k in range(2**62) if f"t{k}" not in taken)
    for v in _shared_parts(root):
        own = v.name if v.name and v.name.isidentifier() and v.name not in taken else None
        names[v] = own or next(numbers)
        taken.add(names[v])
    return names


class _Formula:
    """The text of each part of a formula, given the names of some parts."""

    def __init__(self, names: Mapping[Variable, str]) -> None:
        self.names = names

    def text(self, v: Variable) -> str:
        """The formula of ``v``; of a named part, what the name stands for."""
        parts: list[str] = []
        waiting = _text(v)[0][::-1] if v.owner is not None else [(v, 0)]
        while waiting:
            piece = waiting.pop()
            if isinstance(piece, str):
                parts.append(piece)
            elif piece[0] in self.names:
                parts.append(self.names[piece[0]])
            else:
                pieces, power = _text(piece[0])
                waiting += [")", *pieces[::-1], "("] if power < piece[1] else pieces[::-1]
        return "".join(parts)


def _shared_parts(root: Variable) -> list[Variable]:
    """What is used more than once and is long enough for a name, in an order in which it can be read."""
    order = _order(root)
    uses = Counter(inner for v in order for inner in _operands(v))
    size: dict[Variable, int] = {}
    found = []
    for v in order:
        size[v] = 1 + sum(size[inner] for inner in _operands(v))
        if uses[v] > 1 and size[v] > LONGEST:
            found.append(v)
            size[v] = 1
    return found


def _order(root: Variable) -> list[Variable]:
    """Everything that the text names, operands first."""
    order: dict[Variable, None] = {}
    waiting = [root]
    while waiting:
        missing = [v for v in _operands(waiting[-1]) if v not in order]
        if missing:
            waiting += reversed(missing)
        else:
            order.setdefault(waiting.pop())
    return list(order)


def _operands(v: Variable) -> list[Variable]:
    """The variables that the text of a variable names."""
    return [piece[0] for piece in _text(v)[0] if not isinstance(piece, str)]


def _shown(v: Variable) -> Variable:
    """``v`` without what its text leaves out."""
    while v.owner is not None and v.owner.op.name == "slice" and _is_whole(v.owner):
        v = v.owner.inputs[0]
    return v


def _text(v: Variable) -> Text:
    """The text of a variable, its operands not yet written."""
    v = _shown(v)
    node = v.owner
    if node is None:
        return _leaf(v)
    name, inputs = node.op.name, [_unpadded(node, i) for i in node.inputs]
    if name in INFIX:
        return _infix(name, inputs)
    if name in PREFIX:
        return [PREFIX[name], (inputs[0], UNARY)], UNARY
    if name == "dimshuffle":
        return _dimshuffled(inputs[0], node.attrs["pattern"])
    return _call(v, node, inputs), ATOM


def _leaf(v: Variable) -> Text:
    text = _leaf_text(v)
    return [text], UNARY if isinstance(v, Constant) and text.startswith("-") else ATOM


def _call(v: Variable, node: Apply, inputs: Sequence[Variable]) -> list[Piece]:
    """``name(operands, name=attribute)``, or a subscript."""
    name = node.op.name
    if name == "shape_of":
        return [(inputs[0], ATOM), f".shape[{node.attrs['axis']}]"]
    if name == "slice" and all(isinstance(i, Constant) for i in inputs[1:]):
        return [(inputs[0], ATOM), f"[{', '.join(_slices(node))}]"]
    if name == "gather" and node.attrs["axes"] == tuple(range(len(inputs) - 1)):
        return [(inputs[0], ATOM), "[", *_listed([[(i, 0)] for i in inputs[1:]]), "]"]
    if name == "arange":
        kind: list[list[Piece]] = [] if node.attrs["dtype"] == "int64" else [[text] for text in _attributes(node)]
        return ["arange(", *_listed([*_range(inputs), *kind]), ")"]
    arguments: list[list[Piece]] = [[(i, 0)] for i in inputs]
    arguments += [[text] for text in _attributes(node)]
    slot = [] if len(node.outputs) == 1 else [f"[{v.slot}]"]
    return [f"{name.rstrip('_')}(", *_listed(arguments), ")", *slot]


def _range(inputs: Sequence[Variable]) -> list[list[Piece]]:
    """The arguments of an arange from its start, step and length; numbers below a negative one are none anyway."""
    start, step, length = inputs
    if [_number(start), _number(step)] != [0, 1]:
        return [[(start, 0)], ["step=", (step, 0)], ["length=", (length, 0)]]
    made = length.owner
    bounded = made is not None and made.op.name == "maximum" and _number(made.inputs[1]) == 0
    return [[(made.inputs[0] if made is not None and bounded else length, 0)]]


def _number(v: Variable) -> int | None:
    """An integer constant."""
    return int(v.data) if isinstance(v, Constant) and not v.ndim else None


def _infix(name: str, inputs: Sequence[Variable]) -> Text:
    symbol, power = INFIX[name]
    left, right = (power + 1, UNARY) if power == POWER else (power + (power == COMPARISON), power + 1)
    return [(inputs[0], left), f" {symbol} ", (inputs[1], right)], power


def _listed(parts: Iterable[list[Piece]]) -> list[Piece]:
    """The parts with commas between them."""
    return [piece for part in parts for piece in (", ", *part)][1:]


def _attributes(node: Apply) -> Iterator[str]:
    """``name=value`` for what is not as usual: absent, false, or an axis that is every axis."""
    for name, value in node.attrs.items():
        if value is None or value is False or name in INTERNAL:
            continue
        if name == "axis" and isinstance(value, tuple):
            if value == tuple(range(node.inputs[0].ndim)):
                continue
            value = value[0] if len(value) == 1 else value
        yield f"{name}={value!r}"


def _unpadded(node: Apply, v: Variable) -> Variable:
    """An operand without the axes that broadcasting puts before it."""
    inner = v.owner
    if inner is None or inner.op.name != "dimshuffle" or not isinstance(node.op, Elementwise):
        return v
    (x,), pattern = inner.inputs, inner.attrs["pattern"]
    padded = pattern == (None,) * (len(pattern) - x.ndim) + tuple(range(x.ndim))
    others = [i.ndim for i in node.inputs if i is not v and _own_rank(i) == node.outputs[0].ndim]
    return x if padded and others else v


def _own_rank(v: Variable) -> int:
    """The rank without axes put before it."""
    node = v.owner
    padded = node is not None and node.op.name == "dimshuffle" and node.attrs["pattern"][:1] == (None,)
    return node.inputs[0].ndim if padded and node is not None else v.ndim


def _dimshuffled(x: Variable, pattern: tuple[int | None, ...]) -> Text:
    if x.ndim > 1 and pattern == tuple(reversed(range(x.ndim))):
        return [(x, ATOM), ".T"], ATOM
    if tuple(k for k in pattern if k is not None) == tuple(range(x.ndim)):
        return [(x, ATOM), f"[{', '.join('None' if k is None else ':' for k in pattern)}]"], ATOM
    dropped = set(range(x.ndim)) - set(pattern)
    if pattern == tuple(k for k in range(x.ndim) if k not in dropped):
        found = _product(x, dropped) or _indexed(x, dropped)
        if found is not None:
            return found
    return [(x, ATOM), f".dimshuffle({', '.join(repr('x' if k is None else k) for k in pattern)})"], ATOM


def _product(x: Variable, dropped: set[int]) -> Text | None:
    """A product with vectors: the axes that made matrices of them are dropped again."""
    if x.owner is None or x.owner.op.name != "dot":
        return None
    left, right = x.owner.inputs
    row = _without(left, 0) if 0 in dropped else left
    column = _without(right, 1) if 1 in dropped else right
    return None if row is None or column is None else _infix("dot", [row, column])


def _without(v: Variable, axis: int) -> Variable | None:
    """``v`` without an axis that a dimshuffle put in."""
    node = v.owner
    if node is None or node.op.name != "dimshuffle" or node.attrs["pattern"][axis] is not None:
        return None
    pattern = tuple(k for place, k in enumerate(node.attrs["pattern"]) if place != axis)
    (x,) = node.inputs
    return x if pattern == tuple(range(x.ndim)) else apply(node.op, [x], {"pattern": pattern}).outputs[0]


def _indexed(x: Variable, dropped: set[int]) -> Text | None:
    """``base[i, :, j]``."""
    base, items = _items(x, dropped)
    if not items:
        return None
    parts: list[list[Piece]] = [[(items[k], 0)] if k in items else [":"] for k in range(max(items) + 1)]
    return [(base, ATOM), "[", *_listed(parts), "]"], ATOM


def _items(x: Variable, dropped: set[int]) -> tuple[Variable, dict[int, Variable]]:
    """The variable under slices of one element whose axes are all dropped, and the indices by axis."""
    items: dict[int, Variable] = {}
    base = _shown(x)
    while base.owner is not None and base.owner.op.name == "slice" and base.owner.attrs["axis"] in dropped - set(items):
        inner, start, length, _ = base.owner.inputs
        if not (isinstance(length, Constant) and int(length) == 1):
            break
        items[base.owner.attrs["axis"]] = _unwrapped(start)
        base = _shown(inner)
    return (base, items) if set(items) == dropped else (x, {})


def _unwrapped(i: Variable) -> Variable:
    """An index as it was given: the count from the end is understood."""
    node = i.owner
    if node is None or node.op.name != "switch" or node.inputs[0].owner is None:
        return i
    negative = node.inputs[0].owner
    return node.inputs[2] if negative.op.name == "lt" and negative.inputs[0] is node.inputs[2] else i


def _is_whole(node: Apply) -> bool:
    """Whether a slice takes an axis from end to end."""
    x, start, length, step = node.inputs
    axis = node.attrs["axis"]
    if not (isinstance(start, Constant) and isinstance(step, Constant) and (int(start), int(step)) == (0, 1)):
        return False
    if isinstance(length, Constant):
        return int(length) == x.type.shape[axis]
    n = length.owner
    if n is not None and n.op.name == "maximum" and n.inputs[0].owner is not None:
        n = n.inputs[0].owner
    return n is not None and n.op.name == "shape_of" and n.inputs[0] is x and n.attrs["axis"] == axis


def _slices(node: Apply) -> list[str]:
    start, length, step = (int(v) for v in node.inputs[1:] if isinstance(v, Constant))
    stop = start + length * step
    text = f"{start}:{stop if stop >= 0 else ''}{'' if step == 1 else f':{step}'}"
    return [":"] * int(node.attrs["axis"]) + [text]


def _leaf_text(v: Variable) -> str:
    """A leaf in a formula: its name, or the value of a small constant."""
    if v.name:
        return printable(v.name)
    if not isinstance(v, Constant):
        return f"<{v.type}>"
    if v.data.size == 1:
        return str(v.data.reshape(())[()])
    return str(v.data.tolist()) if v.ndim == 1 and v.data.size <= LONGEST else f"<constant {v.type}>"


# ------------------------------------------------------------------------------------------------ trees


def debugprint(what: Variable | Sequence[Variable] | Function, file: TextIO | None = None) -> str:
    """The text of a graph as a tree: each op above its operands, with type, attributes and place in the user's source.

    What occurs again is shown by its mark ``[id A]`` alone. Nothing is printed: write ``print(debugprint(x))``, or give
    ``file=sys.stdout``.

    Parameters
    ----------
    what : Variable, sequence of Variable, or Function
        Of a function, the rewritten graph of each program compiled so far; before the first call, what its graph
        becomes without the shapes of the inputs.
    file : text file, optional
        Where to write the text as well.

    Returns
    -------
    str
        The text.
    """
    text = "\n".join(_function_lines(what) if isinstance(what, Function) else _trees(_roots(what)))
    if file is not None:
        file.write(text + "\n")
    return text


def _roots(what: Variable | Sequence[Variable]) -> list[tuple[str, Variable]]:
    many = [what] if isinstance(what, Variable) else list(what)
    for v in many:
        if not isinstance(v, Variable):
            raise ArgumentError(f"debugprint: {v!r} is no variable\ngive variables or a function of symgraph.function")
    return [("", v) for v in many]


def _function_lines(f: Function) -> Iterator[str]:
    yield f"{f!r}, backend {f.backend}"
    for program in f.programs.values():
        yield from _program_lines(f.task, program.prepared)
    if not f.programs:
        yield "not compiled yet: the graph for any shapes"
        yield from _trees(_results(f.task, rewrite(f.task.results, STABILIZING)))


def _program_lines(task: Task, p: Prepared) -> Iterator[str]:
    types = [f"{printable(v.name or f'{kind} {k}')} {v.type}"
             for kind, many in (("input", p.inputs), ("shared", p.shared)) for k, v in enumerate(many)]  # fmt: skip
    yield f"compiled for {', '.join(types) or 'no inputs'}"
    new = dict(zip((*p.renewed, *p.targets), (*p.outputs[len(task.outputs) :], *p.updates), strict=True))
    results = [*p.outputs[: len(task.outputs)], *(new[task.shared.index(target)] for target, _ in task.updates)]
    yield from _trees(_results(task, results))


def _results(task: Task, values: Sequence[Variable]) -> list[tuple[str, Variable]]:
    heads = [f"output {k}: " for k in range(len(task.outputs))]
    heads += [f"update of {label(target)}: " for target, _ in task.updates]
    return list(zip(heads, values, strict=True))


def _trees(roots: Sequence[tuple[str, Variable]]) -> list[str]:
    """The lines of a tree for each root; marks are common to all of them."""
    ids: dict[Variable, str] = {}
    lines: list[str] = []
    expanded: set[Variable] = set()
    trees = deque(roots)
    while trees:
        head, root = trees.popleft()
        waiting = [(root, head, "", 0)]
        while waiting:
            v, first, rest, depth = waiting.pop()
            mark = ids.setdefault(v, _letters(len(ids)))
            inner = () if v.owner is None else v.owner.inputs
            again, late = bool(inner) and v in expanded, bool(inner) and depth == DEEPEST
            lines.append(first + _line(v, mark, again, late and not again))
            if again:
                continue
            if late:
                trees.append(("", v))
                continue
            expanded.add(v)
            waiting += reversed(_branches(inner, rest, depth + 1))
    return lines


def _branches(inner: Sequence[Variable], rest: str, depth: int) -> list[tuple[Variable, str, str, int]]:
    last = len(inner) - 1
    return [
        (v, f"{rest}{'└─ ' if k == last else '├─ '}", f"{rest}{'   ' if k == last else '│  '}", depth)
        for k, v in enumerate(inner)
    ]


def _line(v: Variable, mark: str, again: bool, late: bool) -> str:
    node = v.owner
    name = node.op.name if node is not None else _leaf_text(v) if v.name or isinstance(v, Constant) else "unnamed"
    if again:
        return f"{name} [id {mark}] ..."
    if late:
        return f"{name} [id {mark}] ... goes on below"
    slot = f".{v.slot}" if node is not None and len(node.outputs) > 1 else ""
    said = [*([f"{k}={x!r}" for k, x in _told(node)] if node is not None else [_kind(v)])]
    said += [repr(v.name)] if node is not None and v.name else []
    said += [str(v.origin)] if v.origin is not None and not isinstance(v, Constant) else []
    return f"{name}{slot} [id {mark}] {v.type}  {', '.join(said)}".rstrip()


def _told(node: Apply) -> Iterator[tuple[str, Attr]]:
    return ((k, x) for k, x in node.attrs.items() if k not in INTERNAL)


def _kind(v: Variable) -> str:
    return "constant" if isinstance(v, Constant) else "shared" if isinstance(v, SharedVariable) else "input"


def _letters(n: int) -> str:
    """0 -> A, 25 -> Z, 26 -> AA."""
    found = ""
    while n >= 0:
        found = chr(ord("A") + n % 26) + found
        n = n // 26 - 1
    return found

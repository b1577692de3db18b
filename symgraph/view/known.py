"""Formulas that have a name, found in a graph once it is in its stable form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from symgraph.graph import Apply, Variable
from symgraph.match import Env, Matcher
from symgraph.pattern import Pattern, gather, log_softmax
from symgraph.pattern import sum as sum_
from symgraph.view import brief
from symgraph.view.reading import is_range, unchecked


@dataclass(frozen=True)
class Form:
    """A formula with a name.

    Attributes
    ----------
    name : str
    pattern : Pattern
    why : str
        What it is and why it matters, with the pattern's stand-ins in braces.
    """

    name: str
    pattern: Pattern
    why: str


_x, _y, _rows = Pattern(name="x"), Pattern(name="y"), Pattern(name="rows")
_axis, _axes, _keepdims, _head = (Pattern(name=n) for n in ("axis", "axes", "keepdims", "head"))

CROSS_ENTROPY = (
    "Of softmax({x}) and {y}: {what}. Taken from log_softmax it is finite for every finite {x}, and its gradient by "
    "{x} is softmax({x}) minus {target}, with no probability to divide by, which may round to 0."
)
FORMS = (
    Form("cross-entropy", gather(log_softmax(_x, axis=_axis), _rows, _y, axes=_axes, head=_head),
         CROSS_ENTROPY.replace("{what}", "minus the logarithm of the probability of each label")
         .replace("{target}", "onehot({y})")),
    Form("cross-entropy", sum_(_y * log_softmax(_x, axis=_axis), axis=_axis, keepdims=_keepdims),
         CROSS_ENTROPY.replace("{what}", "minus the sum of {y} times the logarithms of the probabilities")
         .replace("{target}", "{y}, where {y} sums to 1")),
)  # fmt: skip


@dataclass(frozen=True)
class Known:
    """A formula with a name, as it was found: ``what`` and ``why`` are in terms of the user's names."""

    name: str
    node: Apply
    what: str
    why: str


def known(nodes: Iterable[Apply]) -> Iterator[Known]:
    """The formulas with a name among ``nodes``."""
    matcher = Matcher(views=True)
    for node in nodes:
        for form in FORMS:
            if node.op.name != form.pattern.op:
                continue
            env = next(matcher.match(form.pattern, node.outputs[0], {}), None)
            if env is not None and ("rows" not in env or is_range(env["rows"])):
                yield Known(form.name, node, brief.of_value(node.outputs[0]), _filled(form.why, env))


def _filled(text: str, env: Env) -> str:
    """The text with short formulas for the stand-ins."""
    return text.format(**{k: _short(v) for k, v in env.items()})


def _short(v: object) -> str:
    if not isinstance(v, Variable):
        return repr(v)
    v = unchecked(v)
    return brief.called(v) if v.owner is None else brief.of_node(v.owner)

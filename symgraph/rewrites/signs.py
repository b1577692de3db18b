"""Signs that are plain to see."""

from __future__ import annotations

import numpy as np

from symgraph.graph import Constant, Variable
from symgraph.match import Owner
from symgraph.types import UNSIGNED, is_float

_NONNEGATIVE = frozenset({
    "sqr", "exp", "exp2", "abs", "sigmoid", "softmax", "softmax_complement", "softplus", "cosh", "sech", "sech2",
    "erfc", "erfcx", "norm", "exp_difference", "exp_product", "hypot", "shifted_root", "root_of_squares",
})  # fmt: skip
_KEEPS_SIGN = frozenset({
    "add", "mul", "true_div", "sum", "prod", "max", "min", "maximum", "cast", "sqrt", "dot", "batched_dot", "switch",
})  # fmt: skip
_VIEWS = frozenset({"dimshuffle", "reshape", "gather", "slice", "broadcast_to", "broadcast_like"})


def is_nonnegative(v: Variable, owner: Owner, depth: int = 4) -> bool:
    """Whether no element can be below 0 or be -0, by the ops within ``depth`` steps; signed integers may wrap."""
    if isinstance(v, Constant):
        return bool((v.data >= 0).all()) and not np.signbit(v.data).any()
    node = owner(v)
    if v.dtype == "bool" or v.dtype in UNSIGNED or node is None:
        return v.dtype == "bool" or v.dtype in UNSIGNED
    if node.op.name == "shape_of" or (node.op.name in _NONNEGATIVE and is_float(v.dtype)):
        return True
    if node.op.name == "pow" and is_positive_constant(node.inputs[0]) and is_float(v.dtype):
        return True
    if node.op.name in _VIEWS:
        return is_nonnegative(node.inputs[0], owner, depth)
    parts = node.inputs[1:] if node.op.name == "switch" else node.inputs
    keeps = node.op.name in _KEEPS_SIGN and is_float(v.dtype)
    return keeps and depth > 0 and all(is_nonnegative(u, owner, depth - 1) for u in parts)


def is_positive_constant(v: Variable) -> bool:
    """Whether ``v`` is a constant, every element above 0 and finite."""
    return isinstance(v, Constant) and v.data.size > 0 and bool(((v.data > 0) & (v.data < np.inf)).all())

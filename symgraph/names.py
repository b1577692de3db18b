"""What functions of Theano and NumPy are called here: for the message where one is asked for by its other name."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

OURS = {
    "sign": "sgn", "square": "sqr", "join": "concatenate", "concat": "concatenate", "power": "pow", "negative": "neg",
    "subtract": "sub", "multiply": "mul", "divide": "true_div", "true_divide": "true_div", "floor_divide": "int_div",
    "remainder": "mod", "equal": "eq", "not_equal": "neq", "greater": "gt", "greater_equal": "ge", "less": "lt",
    "less_equal": "le", "logical_and": "and_", "logical_or": "or_", "logical_xor": "xor", "logical_not": "invert",
    "bitwise_and": "and_", "bitwise_or": "or_", "bitwise_xor": "xor", "bitwise_not": "invert", "digamma": "psi",
    "as_tensor_variable": "as_variable", "as_tensor": "as_variable", "ravel": "flatten", "stacklists": "stack",
    "permute_dims": "transpose", "fill": "full_like", "extract_diag": "diagonal", "ifelse": "switch",
    "max_and_argmax": "argmax", "nnet": "nn", "RandomStreams": "random.RandomStream",
    "MRG_RandomStreams": "random.RandomStream", "max_pool_2d": "nn.max_pool2d", "pool_2d": "nn.max_pool2d",
    "matrix_inverse": "linalg.inv", "amax": "max", "amin": "min", "lgamma": "gammaln",
}  # fmt: skip
"""By the other name: the function that does the same, or nearly so."""


def no_attribute(name: str, homes: Mapping[str, ModuleType]) -> AttributeError:
    """The error for a name that the package has not: it says what it is called here, or in which of ``homes`` it is."""
    text = f"module 'symgraph' has no attribute {name!r}"
    ours = OURS.get(name) or next((f"{home}.{name}" for home, module in homes.items() if name in module.__all__), None)
    return AttributeError(f"{text}; use symgraph.{ours}" if ours else text, name=name)

"""symgraph: write a formula once; it is simplified, repaired, differentiated, and compiled to native code.

>>> import symgraph as sg
>>> x, y = sg.matrices("x y")
>>> w = sg.shared(np.zeros((784, 10)), name="w")
>>> cost = sg.nn.categorical_crossentropy(sg.nn.softmax(x @ w), y).mean()
>>> train = sg.function([x, y], cost, updates=sg.optim.sgd(cost, [w], lr=0.05))
"""

from typing import TYPE_CHECKING, NoReturn

from symgraph import complexes, config, errors, linalg, nn, ops, optim, random, rewrites, variables
from symgraph.arguments import In
from symgraph.backend import register_backend
from symgraph.checkpoint import load, save
from symgraph.coercion import as_variable
from symgraph.config import configure, floatX, using
from symgraph.custom import custom_gradient
from symgraph.errors import (
    AllocationError,
    ArgumentError,
    AxisError,
    BackendError,
    DataError,
    DTypeError,
    GradientError,
    IndexOutOfRange,
    LinAlgError,
    NumericalError,
    ShapeError,
    SymbolicTruthError,
    SymgraphError,
    UnusedInputError,
    UpdateError,
)
from symgraph.function import Function, function
from symgraph.gradient import grad, hessian, hessian_vector_product, jacobian, jvp, vjp
from symgraph.graph import Constant, Variable, constant
from symgraph.kinds import elementwise
from symgraph.names import no_attribute
from symgraph.ops.activations import *
from symgraph.ops.axes import *
from symgraph.ops.broadcast import *
from symgraph.ops.complexes import *
from symgraph.ops.creation import *
from symgraph.ops.cumulative import *
from symgraph.ops.einsum import *
from symgraph.ops.elementwise import *
from symgraph.ops.exponentials import *
from symgraph.ops.index import *
from symgraph.ops.join import *
from symgraph.ops.linalg import *
from symgraph.ops.matrices import *
from symgraph.ops.pad import *
from symgraph.ops.passing import *
from symgraph.ops.reduce import *
from symgraph.ops.rounding import *
from symgraph.ops.search import *
from symgraph.ops.shape import *
from symgraph.ops.sort import *
from symgraph.ops.special import *
from symgraph.ops.square import *
from symgraph.ops.taking import *
from symgraph.ops.transcendental import *
from symgraph.printing import debugprint, pprint
from symgraph.results import Out
from symgraph.rewrite import rule
from symgraph.shared_variable import SharedVariable
from symgraph.show import accuracy, draw, explain
from symgraph.testing import verify_grad
from symgraph.types import TensorType
from symgraph.variables import *

__version__ = "0.1.0"

Lop, Rop = vjp, jvp

__all__ = [
    # the language
    "Variable", "Constant", "SharedVariable", "TensorType", "Function", "In", "Out", "constant", "as_variable",
    "function", "grad", "vjp", "jvp", "Lop", "Rop", "jacobian", "hessian", "hessian_vector_product", "elementwise",
    "custom_gradient", "rule", "register_backend",
    # modules
    "config", "errors", "linalg", "nn", "optim", "random",
    # settings
    "configure", "using", "floatX",
    # files, text, tests
    "save", "load", "pprint", "debugprint", "draw", "explain", "accuracy", "verify_grad",
    # errors
    "SymgraphError", "AllocationError", "ArgumentError", "AxisError", "BackendError", "DataError", "DTypeError",
    "GradientError", "IndexOutOfRange", "LinAlgError", "NumericalError", "ShapeError", "SymbolicTruthError",
    "UnusedInputError", "UpdateError",
    # elementwise
    "add", "sub", "mul", "true_div", "int_div", "mod", "pow", "neg", "inv", "sqr", "identity", "lt", "le", "gt",
    "ge", "eq", "neq", "isnan", "isinf", "isclose", "and_", "or_", "xor", "invert", "left_shift", "right_shift",
    "abs", "absolute", "sgn", "floor", "ceil", "round", "trunc", "copysign", "maximum", "minimum", "clip", "switch",
    "where", "cast", "exp", "log", "sqrt", "cbrt", "log1p", "expm1", "exp2", "log2", "log10", "sin", "cos", "tan",
    "arcsin", "arccos", "arctan", "arctan2", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "deg2rad",
    "rad2deg",
    "sigmoid", "softplus", "log_sigmoid", "xlogx", "xlogy0", "logaddexp", "log1mexp", "erf", "erfc", "erfcx",
    "erfinv", "erfcinv", "gamma", "gammaln", "psi", "relu", "leaky_relu", "elu", "selu", "gelu", "silu",
    "hard_sigmoid", "softsign",
    # complex numbers
    "real", "imag", "conj", "angle", "complex",
    # identities with another gradient, or that print
    "Print", "disconnected_grad", "grad_clip", "grad_scale", "zero_grad",
    # reductions
    "sum", "prod", "max", "min", "any", "all", "argmax", "argmin", "mean", "var", "std", "norm", "ptp", "logsumexp",
    "cumsum", "cumprod", "bincount",
    # shape and axes
    "shape", "dimshuffle", "reshape", "flatten", "transpose", "swapaxes", "moveaxis", "expand_dims", "squeeze",
    "shape_padleft", "shape_padright", "shape_padaxis", "broadcast_to", "specify_shape", "concatenate", "stack",
    "split", "tile", "repeat", "roll", "flip", "pad",
    # creation
    "zeros", "ones", "full", "empty", "zeros_like", "ones_like", "full_like", "alloc", "arange", "linspace", "eye",
    "identity_like", "tri", "tril", "triu", "diag", "diagonal", "meshgrid", "mgrid", "to_one_hot",
    # indexing
    "set_subtensor", "inc_subtensor", "take", "take_along_axis", "choose", "nonzero",
    # order
    "sort", "argsort", "topk", "argtopk", "topk_and_argtopk", "unique", "searchsorted",
    # products
    "dot", "matmul", "tensordot", "batched_dot", "outer", "einsum", "kron", "trace",
]  # fmt: skip
__all__ += variables.__all__


def __dir__() -> list[str]:
    """What completion shows: the public names."""
    return sorted(__all__)


if not TYPE_CHECKING:  # a checker would take every name for one that is there

    def __getattr__(name: str) -> NoReturn:
        raise no_attribute(name, {"nn": nn, "linalg": linalg, "random": random, "optim": optim})

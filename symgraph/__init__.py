"""symgraph: write a formula once; it is simplified, repaired, differentiated, and compiled to native code.

>>> import symgraph as sg
>>> x, y = sg.matrices("x y")
>>> w = sg.shared(np.zeros((784, 10)), name="w")
>>> cost = sg.nn.categorical_crossentropy(sg.nn.softmax(x @ w), y).mean()
>>> train = sg.function([x, y], cost, updates=sg.optim.sgd(cost, [w], lr=0.05))
"""

from symgraph import errors, linalg, nn, ops, optim, random, rewrites
from symgraph.arguments import In
from symgraph.backend import register_backend
from symgraph.checkpoint import load, save
from symgraph.config import configure, floatX, using
from symgraph.custom import custom_gradient
from symgraph.errors import (
    ArgumentError,
    AxisError,
    BackendError,
    DataError,
    DTypeError,
    GradientError,
    IndexOutOfRange,
    ShapeError,
    SymgraphError,
    SymbolicTruthError,
    UnusedInputError,
    UpdateError,
)
from symgraph.function import Function, function
from symgraph.gradient import grad, hessian, hessian_vector_product, jacobian, jvp, vjp
from symgraph.graph import Constant, SharedVariable, Variable, constant
from symgraph.op import as_variable, elementwise
from symgraph.rewrite import rule
from symgraph.types import TensorType
from symgraph.variables import make_constructors, shared, tensor

__version__ = "0.1.0"

Lop, Rop = vjp, jvp
globals().update(make_constructors())
for _module in vars(ops).copy().values():
    for _name in getattr(_module, "__all__", ()):
        globals()[_name] = getattr(_module, _name)
del _module, _name

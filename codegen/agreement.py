"""Whether a call is one for a program: the integers that decide extents, worked out by machine code.

The host's prelude does the same before it looks a program up (``symgraph.prelude``). A native call has no look-up: it
takes the program that it is for, which asks this first.
"""

from __future__ import annotations

from codegen.affine import all_of, loads_in
from codegen.checker import check
from codegen.kernel import Buffer, Kernel, Store
from symgraph import expression
from symgraph.backend import Prepared
from symgraph.expression import INDEX, const, eq
from symgraph.prelude import scalar_terms
from symgraph.varying import as_varying


def agreement(prepared: Prepared) -> Kernel | None:
    """A kernel that writes whether the sizes are those that ``prepared`` is for, from its leaves.

    None if there are no sizes, one is taken at run time, or there is more to them than arithmetic of scalars.
    """
    names = [f"in{k}" for k in range(len(prepared.inputs))] + [f"sh{k}" for k in range(len(prepared.shared))]
    leaves = [*prepared.inputs, *prepared.shared]
    terms = scalar_terms([v for v, _ in prepared.sizes], leaves)
    if not terms or any(as_varying(n) for _, n in prepared.sizes):
        return None
    zero = (const(0, INDEX),)
    found = [eq(t, const(n, t.dtype)) for t, (_, n) in zip(terms, prepared.sizes, strict=True)]
    (ok,) = expression.substitute(
        [all_of(found)],
        lambda e: expression.load(names[int(str(e.value))], zero, e.dtype) if e.prim == "load" else None,
    )
    read = {str(e.value) for e in loads_in([ok])}
    given = [Buffer(n, v.dtype, (1,)) for n, v in zip(names, leaves, strict=True) if n in read]
    kernel = Kernel("sizes", (Buffer("ok", "bool", (1,)), *given), (Store("ok", zero, ok),))
    check(kernel)
    return kernel

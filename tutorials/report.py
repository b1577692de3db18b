"""What the compiler did to a model, in plain words."""

from __future__ import annotations

from symgraph import Function
from symgraph.rewrite import RULES


def explain(function: Function) -> None:
    """Print what was repaired for the sake of the numbers, by which rule, and at which of the user's lines."""
    repairs: dict[str, list[str]] = {}
    for step in function.trace:
        if step.phase == "stabilize":
            places = repairs.setdefault(step.rule, [])
            if step.origin is not None and str(step.origin) not in places:
                places.append(str(step.origin))
    print("repaired:" if repairs else "nothing had to be repaired")
    for rule, places in repairs.items():
        print(f"  {rule} ({', '.join(places) or 'in the gradient'}): {RULES[rule].doc.strip().splitlines()[0]}")

"""Cases of the contractions."""

from __future__ import annotations

import numpy as np

from symgraph.ops.einsum import einsum
from symgraph.ops.linalg import batched_dot, dot, matmul, outer, tensordot
from tests.cases import Arrays, Case
from tests.cases.shape import Draw, drawn, normal

ULP = 32.0  # of a sum of up to eight products, each rounded twice, in any order


def whole(*letters: str, dtypes: tuple[str, ...] = ("int8", "uint16", "int64", "bool")) -> Draw:
    """Small whole numbers of one drawn dtype, of drawn shapes."""

    def draw(rng: np.random.Generator, dtype: str) -> Arrays:
        kind = dtypes[rng.integers(len(dtypes))]
        arrays = drawn(*letters)(rng, "float64")
        return [rng.integers(0, 2 if kind == "bool" else 4, size=a.shape).astype(kind) for a in arrays]

    return draw


def product(subscripts: str, *letters: str) -> Case:
    """An einsum of operands of drawn shapes."""
    return Case(
        lambda *xs: einsum(subscripts, *xs), drawn(*letters), lambda *xs: np.einsum(subscripts, *xs),
        tuple(range(len(letters))), ULP,
    )  # fmt: skip


CASES: dict[str, list[Case]] = {
    "dot": [
        Case(dot, drawn("mk", "kn"), np.dot, (0, 1), ULP),
        Case(dot, drawn("mk", "kn", low=0), np.dot, (), ULP),
        Case(dot, normal((37, 19), (19, 41)), np.dot, (), ULP),
        Case(dot, whole("mk", "kn"), lambda x, w: np.dot(x, w)),
        Case(dot, drawn("k", "k"), np.dot, (0, 1), ULP),
        Case(dot, drawn("mk", "k"), np.dot, (0, 1), ULP),
        Case(dot, drawn("k", "kn"), np.dot, (0, 1), ULP),
        Case(dot, drawn("amk", "kn"), np.dot, (0, 1), ULP),
        Case(dot, drawn("mk", "akn"), np.dot, (0, 1), ULP),
        Case(lambda x, w: dot(x.T, w.T), drawn("km", "nk"), lambda x, w: x.T @ w.T, (0, 1), ULP),
        Case(lambda x: dot(x, x.T), drawn("mk"), lambda x: x @ x.T, (0,), ULP),
        Case(matmul, drawn("amk", "kn"), np.matmul, (0, 1), ULP),
        Case(tensordot, drawn("mab", "abn"), np.tensordot, (0, 1), ULP),
        Case(
            lambda x, w: tensordot(x, w, ([0, 2], [1, 0])), drawn("amb", "ban"),
            lambda x, w: np.tensordot(x, w, ([0, 2], [1, 0])), (0, 1), ULP,
        ),
        product("ij,kj->ki", "mk", "nk"),
        product("ijk,kjl->li", "mab", "ban"),
    ],
    "batched_dot": [
        Case(matmul, drawn("bmk", "bkn"), np.matmul, (0, 1), ULP),
        Case(matmul, drawn("bmk", "bkn", low=0), np.matmul, (), ULP),
        Case(matmul, drawn("a1mk", "bkn"), np.matmul, (0, 1), ULP),
        Case(matmul, drawn("k", "bkn"), np.matmul, (0, 1), ULP),
        Case(matmul, drawn("mk", "bkn"), np.matmul, (0, 1), ULP),
        Case(batched_dot, drawn("bmk", "bkn"), np.matmul, (0, 1), ULP),
        Case(batched_dot, drawn("bk", "bkn"), lambda x, w: np.einsum("bk,bkn->bn", x, w), (0, 1), ULP),
        Case(batched_dot, drawn("bk", "bk"), lambda x, w: np.sum(x * w, 1), (0, 1), ULP),
        product("bij,bkj->bik", "bmk", "bnk"),
        product("bij,bj->bi", "bmk", "bk"),
        product("bi,bij,bj->b", "bm", "bmn", "bn"),
    ],
    "mul": [
        Case(outer, drawn("m", "n"), np.outer, (0, 1)),
        product("i,j->ji", "m", "n"),
        product("ij,j->ij", "mn", "n"),
    ],
    "diagonal": [product("ii->i", "nn"), product("iij->j", "nnm")],
}  # fmt: skip

"""Loops written by hand and compiled by numba: what LLVM makes of the array kernels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numba
import numpy as np

from benchmarks.peers import Build, Step
from benchmarks.workloads import RATE, VOLATILITY, Problem

F = np.float32
jit = numba.njit(parallel=True, fastmath=True, error_model="numpy")
DRIFT, SIGMA, INTEREST, ROOT = F(RATE + VOLATILITY**2 / 2), F(VOLATILITY), F(RATE), F(0.5**0.5)
ONE, HALF = F(1), F(0.5)


@numba.njit
def add_one(x):
    return x + ONE


@jit
def chain(a, b, c):
    out = np.empty_like(a)
    for i in numba.prange(a.size):
        out[i] = math.tanh(a[i] * b[i] + c[i]) * math.exp(-a[i] * a[i]) + math.sqrt(abs(b[i]))
    return out


@jit
def black_scholes(s, k, t):
    call, put = np.empty_like(s), np.empty_like(s)
    for i in numba.prange(s.size):
        q = SIGMA * math.sqrt(t[i])
        d = (math.log(s[i] / k[i]) + DRIFT * t[i]) / q
        discounted = k[i] * math.exp(-INTEREST * t[i])
        up = HALF * (ONE + math.erf(d * ROOT))
        down = HALF * (ONE + math.erf((d - q) * ROOT))
        call[i] = s[i] * up - discounted * down
        put[i] = call[i] - s[i] + discounted
    return call, put


@jit
def log_softmax(x):
    out = np.empty_like(x)
    for i in numba.prange(len(x)):
        shift = x[i].max()
        total = F(0)
        for j in range(x.shape[1]):
            total += math.exp(x[i, j] - shift)
        shift += math.log(total)
        for j in range(x.shape[1]):
            out[i, j] = x[i, j] - shift
    return out


@jit
def logsumexp(x):
    out = np.empty(len(x), F)
    for i in numba.prange(len(x)):
        shift = x[i].max()
        total = F(0)
        for j in range(x.shape[1]):
            total += math.exp(x[i, j] - shift)
        out[i] = shift + math.log(total)
    return out


@jit
def sum_rows(x):
    out = np.empty(len(x), F)
    for i in numba.prange(len(x)):
        total = F(0)
        for j in range(x.shape[1]):
            total += x[i, j]
        out[i] = total
    return out


@jit
def sum_all(x):
    return sum_rows(x).sum()


@jit
def mean_var(x):
    mean, var = np.empty(len(x), F), np.empty(len(x), F)
    n = F(x.shape[1])
    for i in numba.prange(len(x)):
        total = F(0)
        for j in range(x.shape[1]):
            total += x[i, j]
        middle = total / n
        total = F(0)
        for j in range(x.shape[1]):
            d = x[i, j] - middle
            total += d * d
        mean[i], var[i] = middle, total / n
    return mean, var


def call(f: Callable[..., Any]) -> Build:
    def build(problem: Problem) -> Step:
        return Step(f, [tuple(np.asarray(a) for a in arguments) for arguments in problem.arguments])

    return build


def builders(variant: str) -> Mapping[str, Build]:
    kernels = {
        "add_one_scalar": add_one,
        "add_one_10": add_one,
        "elementwise_chain": chain,
        "black_scholes": black_scholes,
        "log_softmax_rows": log_softmax,
        "logsumexp_rows": logsumexp,
        "sum": sum_all,
        "sum_rows": sum_rows,
        "mean_var_rows": mean_var,
    }
    return {name: call(kernel) for name, kernel in kernels.items()}

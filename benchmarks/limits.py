"""What this machine can do at most: ``python -m benchmarks.limits THREADS`` prints it as JSON.

The floor of a workload is the time in which the machine could do its multiply-adds, or move its bytes, and nothing
else. Both rates are measured by loops written here as LLVM IR: fused multiply-adds on registers, and a triad of arrays
far larger than any cache with stores that bypass it, or a sum, whichever moves more bytes.
"""

from __future__ import annotations

import ctypes
import json
import math
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from benchmarks.peers import Step
from benchmarks.timing import burst
from benchmarks.worker import pin
from benchmarks.workloads import Array
from codegen.llvm.target import Library, emit_object, host, load

ACCUMULATORS = 12  # more than latency times units of any processor we know, and they fit in 16 registers
TURNS = 4_000_000
FLOATS = 64 * 2**20  # in each array
REPEATS = 20
_ALIGNMENT = 64

_LOOP = """
define void @{name}(ptr %a, ptr %b, ptr %c, i64 %n) {{
entry:
  %x = load {v}, ptr %a, align 4
  %y = load {v}, ptr %b, align 4
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
{body}
  %next = add i64 %i, {stride}
  %more = icmp ult i64 %next, %n
  br i1 %more, label %loop, label %done
done:
{end}
  ret void
}}
"""


def loop(name: str, body: str, stride: int, end: str, lanes: int) -> str:
    """A function of three arrays and a count, with ``body`` for each ``stride`` floats."""
    return _LOOP.format(name=name, body=body, stride=stride, end=end, v=f"<{lanes} x float>")


def carried(v: str, step: Callable[[int], str]) -> tuple[str, str]:
    """Accumulators through a loop, and their sum stored at its end."""
    heads = [f"  %s{k} = phi {v} [ zeroinitializer, %entry ], [ %t{k}, %loop ]" for k in range(ACCUMULATORS)]
    total = [f"  %u{k} = fadd {v} %{f'u{k - 1}' if k > 1 else 't0'}, %t{k}" for k in range(1, ACCUMULATORS)]
    end = [*total, f"  store {v} %u{ACCUMULATORS - 1}, ptr %c, align 4"]
    return "\n".join([*heads, *[step(k) for k in range(ACCUMULATORS)]]), "\n".join(end)


def text(lanes: int) -> str:
    """The three loops."""
    v = f"<{lanes} x float>"

    def multiply_add(k: int) -> str:
        return f"  %t{k} = call {v} @llvm.fma({v} %s{k}, {v} %x, {v} %y)"

    def add(k: int) -> str:
        return f"{element(k, 'a', k)}\n  %t{k} = fadd {v} %s{k}, %e{k}"

    def element(name: int, array: str, k: int) -> str:
        at = f"  %i{name} = add i64 %i, {k * lanes}\n  %p{name} = getelementptr float, ptr %{array}, i64 %i{name}"
        return f"{at}\n  %e{name} = load {v}, ptr %p{name}, align 4"

    # %x and %y are the first elements of the arrays: constants that LLVM cannot know
    product = f"  %m = fmul {v} %e1, %x\n  %r = fadd {v} %m, %e0\n  %pc = getelementptr float, ptr %c, i64 %i"
    store = f"  store {v} %r, ptr %pc, align {4 * lanes}, !nontemporal !0"
    triad = "\n".join([element(0, "a", 0), element(1, "b", 0), product, store])
    fma, sums = carried(v, multiply_add), carried(v, add)
    functions = [
        loop("fma", fma[0], 1, fma[1], lanes),
        loop("sum", sums[0], ACCUMULATORS * lanes, sums[1], lanes),
        loop("triad", triad, lanes, "", lanes),
    ]
    return "\n".join([*functions, f"declare {v} @llvm.fma({v}, {v}, {v})", "!0 = !{i32 1}"])


def aligned(n: int, value: float) -> Array:
    """An array whose pages are there, at an address that any vector store takes."""
    room = np.empty(n + _ALIGNMENT, np.float32)
    start = -room.ctypes.data % _ALIGNMENT // 4
    room[start : start + n] = value
    return room[start : start + n]


class Loops:
    """The loops, loaded, with a number of threads."""

    def __init__(self, threads: int, floats: int = FLOATS) -> None:
        self.lanes, self.threads = host().vector_bytes // 4, threads
        self.library: Library = load([emit_object(text(self.lanes), host())])
        whole = threads * ACCUMULATORS * self.lanes
        self.part = floats // whole * whole // threads
        self.arrays = [[aligned(self.part, value) for value in (0.5, 0.25, 0.0)] for _ in range(threads)]
        self.pool = ThreadPoolExecutor(threads)

    def seconds(self, name: str, n: int, repeats: int) -> float:
        """The least time in which all threads have gone through ``n`` elements of their own."""
        signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
        function = signature(self.library.address(name))

        def run(arrays: list[Array]) -> None:
            function(*[a.ctypes.data for a in arrays], n)

        return min(timed(lambda: list(self.pool.map(run, self.arrays))) for _ in range(repeats))


def timed(f: Callable[[], Any]) -> float:
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def measure(threads: int, turns: int = TURNS, floats: int = FLOATS, repeats: int = REPEATS) -> dict[str, float]:
    """Flops and bytes a second, and the seconds that a call that does nothing takes in ``timing.burst``."""
    loops = Loops(threads, floats)
    flops = threads * turns * ACCUMULATORS * loops.lanes * 2
    moved = 4 * loops.part * threads
    rates = [k * moved / loops.seconds(name, loops.part, repeats) for name, k in (("sum", 1), ("triad", 3))]
    empty = Step(id, [(math.pi,)])
    return {
        "flops": flops / loops.seconds("fma", turns, repeats),
        "bandwidth": max(rates),
        "empty_call": min(burst(empty, 0.0)),
    }


def main() -> None:
    threads = int(sys.argv[1])
    pin(threads)
    print(json.dumps(measure(threads)))


if __name__ == "__main__":
    main()

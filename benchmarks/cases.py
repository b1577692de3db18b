"""What is measured: the cases, how each is measured, and the bar for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes
    ----------
    title : str
        What the table calls it.
    workload : str
        A name in ``workloads.WORKLOADS``; "" where only an import is measured.
    measure : str
        "step": a call in a process that goes on. In a fresh process each: "cold", building, compiling and the first
        call with an empty cache; "warm", the same with the cache that an earlier process left; "idle", resident
        memory with the library and the data loaded; "memory", what training adds to it; "import".
    bar : float, optional
        The most it may be: a multiple of the best peer for "step" and "memory", else seconds.
    """

    title: str
    workload: str = ""
    measure: str = "step"
    bar: float | None = None

    @property
    def relative(self) -> bool:
        """Whether the bar is a multiple of the best peer."""
        return self.measure in ("step", "memory")

    @property
    def of_memory(self) -> bool:
        """Whether bytes are measured, and not seconds."""
        return self.measure in ("idle", "memory")


def _steps() -> dict[str, Case]:
    rows = {
        "linear_regression": ("linear regression step", 0.5),
        "add_one_scalar": ("f(x) = x + 1, 0-d", 0.6),
        "add_one_10": ("f(x) = x + 1, 10 elements", 0.6),
        "logistic_regression": ("logistic regression step", 0.5),
        "net": ("net step", 0.95),
        "modern_net": ("modern_net step", 0.8),
        "conv_net": ("conv_net step", 0.45),
        "conv_net_predict": ("conv_net predict 1000", 0.6),
        "modern_net_predict": ("modern_net predict 1000", 0.95),
        "elementwise_chain": ("elementwise chain 10M", 0.4),
        "black_scholes": ("Black-Scholes 5M", 0.8),
        "log_softmax_rows": ("log_softmax 4096x1000, rows", 1.0),
        "log_softmax_columns": ("log_softmax 4096x1000, columns", None),
        "logsumexp_rows": ("logsumexp 4096x1000, rows", 1.0),
        "logsumexp_columns": ("logsumexp 4096x1000, columns", None),
        "sum": ("sum 4096²", 1.0),
        "sum_rows": ("sum 4096², rows", 1.0),
        "sum_columns": ("sum 4096², columns", None),
        "mean_var_rows": ("mean and var 4096², rows", 1.0),
        "mean_var_columns": ("mean and var 4096², columns", 0.3),
        "matmul_1024": ("matmul 1024³", 1.0),
        "matmul_128x784x625": ("matmul 128x784x625", 1.0),
        "mlp_hessian": ("Hessian of a small MLP", 0.8),
    }
    return {name: Case(title, name, bar=bar) for name, (title, bar) in rows.items()}


def _first_calls() -> dict[str, Case]:
    bars = {"net": (0.4, None), "modern_net": (0.8, None), "conv_net": (1.5, 0.15)}
    return {
        f"{name}_{measure}": Case(f"{name}, first call {measure}", name, measure, bar)
        for name, pair in bars.items()
        for measure, bar in zip(("cold", "warm"), pair, strict=True)
    }


CASES = {
    **_steps(),
    **_first_calls(),
    "import": Case("import", measure="import", bar=0.12),
    "conv_net_idle": Case("conv_net, resident memory before building", "conv_net", "idle"),
    "conv_net_memory": Case("conv_net, resident memory added by training", "conv_net", "memory", 0.5),
}

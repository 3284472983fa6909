"""What is measured: a list of cases, each one small value. To add a case, add a line to `CASES`."""

from dataclasses import dataclass, replace

import numpy as np

CALL, STREAM, KEYED, PANEL = "one call", "stream", "bank, keyed", "panel"
PREFIX = {CALL: "call", STREAM: "stream", KEYED: "bank-keyed", PANEL: "panel"}
PANEL_STEPS = 20


@dataclass(frozen=True)
class Problem:
    """What is learned: `linear`, `logistic`, `softmax`, `mlp` (one hidden tanh layer) or `rnn` (Elman's), and how data are made.

    d features; k classes of softmax, hidden units of networks; outputs of `rnn`. The prior is weak but mild, so that no guard
    acts and every peer, which has none, computes the same theta. No intercepts, except in networks.
    """

    kind: str
    d: int
    k: int = 1
    diagonal: bool = False
    outputs: int = 1

    @property
    def p(self) -> int:
        """The number of parameters."""
        d, k, out = self.d, self.k, self.outputs
        return {"softmax": d * k, "mlp": k * (d + 2) + 1, "rnn": k * (d + k + 1) + out * (k + 1)}.get(self.kind, d)

    @property
    def prior_variance(self) -> float:
        full_linear = self.kind == "linear" and not self.diagonal
        return 1.0 if full_linear else 0.05 if self.kind == "mlp" else 0.01 if self.kind == "rnn" else 1 / self.d

    def theta_0(self) -> np.ndarray:
        """(p,) where everybody starts."""
        if self.kind not in ("mlp", "rnn"):
            return np.zeros(self.p)
        d, k, rng = self.d, self.k, np.random.default_rng(self.p)
        inner, outer = rng.normal(size=k * d) / np.sqrt(d), rng.normal(size=self.outputs * k) / np.sqrt(k)
        between = rng.normal(size=k * k) / np.sqrt(2 * k) if self.kind == "rnn" else []
        return np.concatenate([inner, between, np.zeros(k), outer, np.zeros(self.outputs)])

    def rows(self, n: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
        """X (n, d), Y (n,), of `rnn` (n, outputs): standard normal features, y drawn from the model."""
        rng = np.random.default_rng(self.p)
        X = rng.standard_normal((n, self.d), dtype=dtype)
        width = self.k if self.kind in ("softmax", "mlp") else self.outputs
        slope = rng.normal(size=(self.d, width)) / np.sqrt(self.d)
        Z = X @ slope.astype(dtype)
        if self.kind == "linear":
            return X, (Z[:, 0] + rng.normal(size=n)).astype(dtype)
        if self.kind == "logistic":
            return X, (rng.random(n) < 1 / (1 + np.exp(-Z[:, 0]))).astype(dtype)
        if self.kind == "softmax":
            return X, np.argmax(Z + rng.gumbel(size=Z.shape), axis=1).astype(dtype)
        if self.kind == "rnn":
            now = np.tanh(Z)
            before = np.vstack([np.zeros((1, self.outputs)), now[:-1]])
            return X, (2 * before * now + rng.normal(size=now.shape)).astype(dtype)
        return X, (np.tanh(Z).sum(axis=1) / np.sqrt(self.k) + rng.normal(size=n)).astype(dtype)


@dataclass(frozen=True)
class Case:
    """One measurement. `work`: CALL (`update(x, y)` from Python, row by row), STREAM (`update_many(X, Y)`), KEYED (one model
    for each of so many keys, rows of random keys in one call) or PANEL (one row of every key in each call)."""

    work: str
    problem: Problem
    dtype: str = "float64"
    threads: int = 1
    keys: int = 0

    @property
    def name(self) -> str:
        parts = [PREFIX[self.work], self.label.replace(" ", "-"), f"p{self.problem.p}"]
        parts += [f"{self.keys}keys"] if self.keys else []
        parts += ["f32"] if self.dtype == "float32" else []
        return "-".join(parts + ([f"{self.threads}threads"] if self.threads > 1 else []))

    @property
    def label(self) -> str:
        """'linear', 'diagonal linear', 'softmax', ..."""
        return f"{'diagonal ' if self.problem.diagonal else ''}{self.problem.kind}"

    @property
    def n(self) -> int:
        """Rows in memory, at most 64 MB of them; a turn that needs more goes round them again. Of rows of any keys all are one turn."""
        if self.work == KEYED:
            return max(1_000_000, 10 * self.keys)
        if self.work == PANEL:
            return PANEL_STEPS * self.keys
        return 2000 if self.work == CALL else min(200_000, max(80, 4_000_000 // self.problem.p))

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        return self.problem.rows(self.n, self.dtype)

    def key_of(self, rows: int) -> np.ndarray:
        """(rows,) the key of each row: random, or all of them in turn."""
        if self.work == PANEL:
            return np.arange(rows) % self.keys
        return np.random.default_rng(self.keys).integers(0, self.keys, self.n)[:rows]

    def tiny(self) -> "Case":
        """The same case with few parameters, for tests."""
        d, k = min(self.problem.d, 7), min(self.problem.k, 3)
        return replace(self, problem=replace(self.problem, d=d, k=k), keys=min(self.keys, 5))


def _linear(p: int) -> Problem:
    return Problem("linear", p)


def _logistic(p: int) -> Problem:
    return Problem("logistic", p)


SOFTMAX = Problem("softmax", 64, 10)
NETWORKS = [Problem("mlp", 18, 25), Problem("mlp", 18, 100)]  # p = 501, 2001
RECURRENT = [Problem("rnn", 4, units, outputs=2) for units in (16, 32, 64)]  # p = 370, 1250, 4546
DIAGONALS = [Problem("linear", p, diagonal=True) for p in (10_000, 100_000)]
DTYPES = ("float64", "float32")

CASES: list[Case] = [
    *(Case(CALL, _linear(p), dtype) for dtype in DTYPES for p in (4, 10, 100)),
    *(Case(STREAM, _linear(p), dtype) for dtype in DTYPES for p in (4, 10, 100, 500, 1000, 2000)),
    *(Case(STREAM, _logistic(p), dtype) for dtype in DTYPES for p in (10, 100, 500, 1000, 2000)),
    *(Case(STREAM, problem, dtype) for dtype in DTYPES for problem in (SOFTMAX, *NETWORKS, *DIAGONALS)),
    *(Case(STREAM, problem) for problem in RECURRENT),
    *(Case(STREAM, _linear(p), dtype, threads=2) for dtype in DTYPES for p in (500, 1000, 2000)),
    *(Case(STREAM, _logistic(p), threads=2) for p in (500, 1000, 2000)),
    *(Case(STREAM, problem, threads=2) for problem in (SOFTMAX, *NETWORKS, *DIAGONALS)),
    *(Case(KEYED, _linear(8), threads=threads, keys=keys) for threads in (1, 2) for keys in (1000, 100_000)),
    Case(KEYED, _linear(8), threads=2, keys=1_000_000),
    *(Case(PANEL, _linear(p), keys=10_000) for p in (4, 16)),
]
BY_NAME = {case.name: case for case in CASES}
ALONG = BY_NAME["stream-linear-p100"]
"""The case whose cost is followed along a long stream, to show that it is flat."""

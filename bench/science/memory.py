"""Remembering over a delay, learned online: real-time recurrent learning with a Kalman filter, with Adam, and UORO with Adam.

`python bench/science/memory.py` runs two tasks as one endless stream each. Copy: the input is a random bit a row, the answer
the bit of so many rows ago. Delayed recall: now and then a cue comes with a bit of its own; so many rows later a signal
asks for it, and only then is there an answer (y is missing in between: nothing is learned, the state runs on). A run has
solved its task at the first row from which the mean loss of the next answers is below a tenth of log 2.
"""

import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from report import Report, implementation, name, parser

SEEDS, UNITS, ROWS = 10, 12, 10_000
WINDOW, SOLVED = 200, 0.1 * np.log(2)
CHUNK = 1000
USUAL = 1e-3  # Adam's step as it comes
STEPS = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)  # tried in hindsight
SHOWN = {"copy": "copy", "recall": "delayed recall"}


@dataclass(frozen=True)
class Task:
    kind: str
    delay: int

    @property
    def title(self) -> str:
        return f"{SHOWN[self.kind]}, {self.delay} rows"

    def stream(self, seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """U (n, d) of -1, 0, 1 and Y (n,) of 0, 1 and NaN."""
        rng = np.random.default_rng(seed)
        if self.kind == "copy":
            bit = rng.integers(0, 2, rows)
            Y = np.full(rows, np.nan)
            Y[self.delay :] = bit[: rows - self.delay]
            return 2.0 * bit[:, None] - 1, Y
        U, Y = np.zeros((rows, 2)), np.full(rows, np.nan)
        t = 0
        while t + self.delay < rows:
            bit = rng.integers(0, 2)
            U[t, 0], U[t + self.delay, 1], Y[t + self.delay] = 2.0 * bit - 1, 1.0, bit
            t += self.delay + 1 + rng.integers(0, 3)
        return U, Y


TASKS = [Task("copy", 2), Task("copy", 5), Task("recall", 5), Task("recall", 10)]


def learner(impl: ModuleType, kind: str, inputs: int, seed: int, step: float | None = None) -> Any:
    """A filter of one of the three kinds, all of them from the same theta_0."""
    model, family = impl.RNN(inputs, UNITS, 1), impl.Bernoulli()
    if kind == "kalman":
        return impl.Filter(model, family, belief=impl.Full(1.0), rule=impl.Fading(half_life=2000), seed=seed)
    sensitivity = impl.UORO(seed=seed) if kind == "uoro" else impl.RTRL(state_correction=False)
    return impl.Filter(model, family, rule=impl.Adam(step), sensitivity=sensitivity, seed=seed)


def solved(flt: Any, task: Task, seed: int, rows: int) -> float:
    """The row after which the window of answers was good, infinity where there is none."""
    U, Y = task.stream(seed, rows)
    answers, at = np.empty(0), np.empty(0, dtype=int)
    for first in range(0, rows, CHUNK):
        part = slice(first, first + CHUNK)
        losses = flt.update_many(U[part], Y[part]).nll_plugin
        there = np.flatnonzero(np.isfinite(Y[part]))
        answers, at = np.append(answers, losses[there]), np.append(at, first + there)
        if len(answers) >= WINDOW:
            mean = np.convolve(answers, np.ones(WINDOW) / WINDOW, "valid")
            good = np.flatnonzero(mean < SOLVED)
            if len(good):
                return float(at[good[0] + WINDOW - 1] + 1)
    return np.inf


def run(impl: ModuleType, task: Task, kind: str, seeds: int, rows: int, step: float | None = None) -> np.ndarray:
    inputs = 1 if task.kind == "copy" else 2
    return np.array([solved(learner(impl, kind, inputs, seed, step), task, seed, rows) for seed in range(seeds)])


def best_step(impl: ModuleType, task: Task, kind: str, seeds: int, rows: int) -> tuple[float, np.ndarray]:
    """The step with the lowest median over these same streams, which no user has."""
    found = {step: run(impl, task, kind, seeds, rows, step) for step in STEPS}
    best = min(STEPS, key=lambda step: (np.median(found[step]), np.mean(np.minimum(found[step], 10 * rows))))
    return best, found[best]


def cell(rows: np.ndarray) -> str:
    """Median over the streams and how many solved it."""
    median = np.median(rows)
    shown = f"{median:,.0f}" if np.isfinite(median) else "not"
    return f"{shown} ({np.isfinite(rows).sum()} of {len(rows)})"


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=SEEDS)
    options.add_argument("--rows", type=int, default=ROWS)
    given = options.parse_args()
    impl, report, n = implementation(given.reference), Report("memory"), (given.seeds, given.rows)
    table = []
    for task in TASKS:
        cells = [cell(run(impl, task, "kalman", *n))]
        for kind in ("rtrl", "uoro"):
            step, best = best_step(impl, task, kind, *n)
            cells += [cell(run(impl, task, kind, *n, USUAL)), f"{cell(best)} at {step:g}"]
        table.append([task.title, *cells])
    report.table(
        ["task", "RTRL + Kalman", "RTRL + Adam", "best in hindsight", "UORO + Adam", "best in hindsight"],
        table,
        f"Rows until solved: median over {given.seeds} streams (NumPy seeds from 0), in brackets how many were solved within "
        f"{given.rows:,} rows. RNN of {UNITS} tanh units from the same theta_0; Kalman: prior variance 1, half-life 2,000 rows, "
        f"state correction; Adam: step {USUAL:g}, and the best of {', '.join(f'{s:g}' for s in STEPS)} on these same streams, "
        f"without state correction; {name(impl)}.",
    )
    report.save()


if __name__ == "__main__":
    sys.exit(main())

"""Bands of recurrent forecasts on series whose model is right: do 90 % of the values fall into them?

`python bench/science/calibration.py` draws the parameters of a small recurrent model from the filter's own prior, a normal
around its theta_0, simulates a series from it, lets the filter learn it, and counts how many of the values one row ahead,
and of those of the rows after the last one, lie in the central 90 % intervals. The inputs are either known or the y of the
row before (fed back). Beside it the same forecasts with the parameters taken as known, which is what a point fit offers.
"""

import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from report import Report, implementation, name, parser

SEEDS = 200
ROWS, STEPS = 60, 20
NOISE = 0.1  # variance of y around z
PRIOR = 0.05  # variance of each parameter around theta_0
HALF = 1.6448536269514722  # of a central 90 % interval, in sd


@dataclass(frozen=True)
class Case:
    title: str
    cell: str
    fed_back: bool

    def model(self, impl: ModuleType) -> Any:
        return getattr(impl, self.cell)(1, 3, 1)


CASES = [
    Case(f"{cell}, {'fed back' if fed_back else 'inputs known'}", cell, fed_back)
    for cell in ("LinearStateSpace", "RNN", "GRU")
    for fed_back in (False, True)
]


def simulate(model: Any, theta: np.ndarray, case: Case, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """U (n, 1), Y (n,) with n = ROWS + STEPS from s = 0."""
    n = ROWS + STEPS
    U, Y, s = rng.normal(size=(n, 1)), np.empty(n), np.zeros(model.state_size)
    noise = np.sqrt(NOISE) * rng.normal(size=n)
    for i in range(n):
        if case.fed_back:
            U[i] = Y[i - 1] if i else 0.0
        s = model.advance(theta, s, U[i]).s
        Y[i] = model.readout(theta, s).z[0] + noise[i]
    return U, Y


@dataclass(frozen=True)
class Coverage:
    """Shares of values inside, one number a seed."""

    one_ahead: np.ndarray
    ahead: np.ndarray
    known: np.ndarray
    """As `ahead`, parameters and state taken as known."""
    drawn_again: np.ndarray
    """How often its series exploded."""


def run(impl: ModuleType, case: Case, seeds: int = SEEDS) -> Coverage:
    found = np.array([one(impl, case, seed) for seed in range(seeds)])
    return Coverage(*found.T)


def one(impl: ModuleType, case: Case, seed: int) -> tuple[float, float, float, int]:
    """Coverage of one series. A series that explodes is drawn again, theta_0 and all."""
    rng, model = np.random.default_rng(seed), case.model(impl)
    again = 0
    while True:
        theta_0 = model.initial_theta(int(rng.integers(2**31))) / 2
        theta = theta_0 + np.sqrt(PRIOR) * rng.normal(size=theta_0.size)
        U, Y = simulate(model, theta, case, rng)
        if np.abs(Y).max() < 100:
            break
        again += 1
    flt = impl.Filter(model, impl.Gaussian(NOISE), belief=impl.Full(PRIOR), theta=theta_0)
    trace = flt.update_many(U[:ROWS], Y[:ROWS])
    mean, std = flt.forecast(steps=STEPS) if case.fed_back else flt.forecast(U[ROWS:])
    return (
        share(Y[:ROWS], trace.prediction, trace.std),
        share(Y[ROWS:], mean, std),
        share(Y[ROWS:], mean, np.sqrt(NOISE)),
        again,
    )


def share(y: np.ndarray, mean: np.ndarray, std: Any) -> float:
    return float(np.mean(np.abs(y - mean) <= HALF * std))


def cell(values: np.ndarray) -> str:
    """Mean ± standard error over the seeds, in %."""
    return f"{100 * np.mean(values):.1f} ± {100 * np.std(values, ddof=1) / np.sqrt(len(values)):.1f} %"


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=SEEDS)
    given = options.parse_args()
    impl, report = implementation(given.reference), Report("calibration")
    found = {case: run(impl, case, given.seeds) for case in CASES}
    report.table(
        [
            "model and inputs",
            "one row ahead",
            f"1 to {STEPS} rows ahead",
            "the same, parameters as known",
            "drawn again",
        ],
        [
            [case.title, cell(c.one_ahead), cell(c.ahead), cell(c.known), f"{np.sum(c.drawn_again):.0f}"]
            for case, c in found.items()
        ],
        f"Share of values inside the 90 % intervals, mean ± standard error of {given.seeds} series (NumPy seeds from 0): 3 units, "
        f"{ROWS} rows, theta_0 half as large as it comes, parameters drawn from the prior N(theta_0, {PRIOR}·I), noise variance {NOISE}; series that leave ±100 are drawn again; {name(impl)}.",
    )
    inside = [case.title for case, c in found.items() if 0.87 <= np.mean(c.ahead) <= 0.93]
    report.text(f"Between 87 and 93 % ahead: {len(inside)} of {len(found)}.")
    report.save()


if __name__ == "__main__":
    sys.exit(main())
